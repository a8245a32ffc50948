"""What runs before this one left in a tree: its indexes, and the journal of an unfinished run."""

from collections.abc import Callable, Collection, Iterable
from typing import TypeVar

from aether_deploy.delivery.disk import Survey, joined
from aether_deploy.gitops.index import (
    BadIndexError,
    JournalEntry,
    UnitIndex,
    parse_journal,
    parse_root_index,
    parse_unit_index,
    render_unit_index,
)
from aether_deploy.gitops.tree import INDEX_NAME, JOURNAL_NAME

Parsed = TypeVar("Parsed")


class Past:
    """What runs before this one left: the indexes, and the journal of an unfinished one.

    Attributes:
        units: Those that the root's index lists.
        journal: Of a run that was interrupted.
        indexes: Of all units that the root's index, the journal or the new tree knows; None for none.
        contents: The bytes of each index, by its path.
        refused: Units whose index cannot be trusted; their files are not judged, it would be noise.
        owned: Of each unit that this run may change: the hashes by which a file is ours.
        claimed: The journal's entries for what this run may change.
        carried: The journal's other entries; they stay.
    """

    def __init__(self, survey: Survey, new: dict[str, UnitIndex]) -> None:
        self._survey = survey
        self.contents: dict[str, bytes] = {}
        self.refused: set[str] = set()
        self.owned: dict[str, dict[str, tuple[str, ...]]] = {}
        self.claimed: list[JournalEntry] = []
        self.carried: list[JournalEntry] = []
        self.units = self._parsed(INDEX_NAME, parse_root_index) or ()
        self.journal = self._parsed(JOURNAL_NAME, parse_journal)
        self._entries = () if self.journal is None else self.journal.entries
        known = {*new, *self.units, *(entry.unit for entry in self._entries if entry.unit)}
        self.indexes = {unit: self._index(unit, new.get(unit)) for unit in sorted(known)}

    def environment(self, unit: str) -> str:
        """Return the environment of ``unit``; a unit that lost its index has it in its path."""
        index = self.indexes[unit]
        return unit.partition("/")[0] if index is None else index.environment

    def refuse_other_systems(self, names: Collection[str]) -> None:
        """Note each unit that another system rendered: one root holds one system."""
        fix = "choose another folder with -o, or remove that system's tree first"
        for unit, index in self.indexes.items():
            if index is not None and index.name not in names:
                self.refused.add(unit)
                self._survey.block(unit, f"belongs to the system '{index.name}'", fix)
        if self.journal is not None and self.journal.name not in names:
            reason = f"is of an unfinished run for the system '{self.journal.name}'"
            self._survey.block(JOURNAL_NAME, reason, fix)

    def claim(self, units: Iterable[str]) -> None:
        """Fill ``owned``, ``claimed`` and ``carried``, where this run may change ``units``."""
        for unit in units:
            index = self.indexes[unit]
            entries = () if index is None else index.entries
            self.owned[unit] = {entry.path: (entry.sha256,) for entry in entries}
        for entry in self._entries:
            if entry.unit and entry.unit not in self.owned:
                self.carried.append(entry)
                continue
            self.claimed.append(entry)
            if entry.path != INDEX_NAME:
                owned = self.owned[entry.unit]
                owned[entry.path] = (*owned.get(entry.path, ()), entry.sha256)

    def _index(self, unit: str, new: UnitIndex | None) -> UnitIndex | None:
        path = f"{unit}/{INDEX_NAME}"
        index = self._parsed(path, _parse_like(new))
        if path in self.contents and index is None:
            self.refused.add(unit)
        return index

    def _parsed(self, path: str, parse: Callable[[bytes, str], Parsed]) -> Parsed | None:
        content = self._survey.read(path) if self._survey.has_file(path) else None
        if content is None:
            return None
        self.contents[path] = content
        try:
            return parse(content, joined(self._survey.root, path))
        except BadIndexError as error:
            self._survey.block(path, f"line {error.line} {error.reason}", error.fix)
            return None


def _parse_like(new: UnitIndex | None) -> Callable[[bytes, str], UnitIndex]:
    """Return a parser that knows the bytes of ``new`` at sight: an unchanged index costs no decoding."""

    def parse(content: bytes, where: str) -> UnitIndex:
        if new is not None and content == render_unit_index(new).encode():
            return new
        return parse_unit_index(content, where)

    return parse
