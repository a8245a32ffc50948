"""What writing a tree over what is on disk would change: a plan, or every reason why not.

Only what is ours may be changed. A file is ours if its bytes have a hash that the index of its unit lists,
or that the journal of an unfinished run lists. So after an interruption at any point the next run knows
each file of the unfinished one, whatever its own input is.
"""

import os
from collections.abc import Collection, Iterable

import msgspec

from aether_deploy.delivery.disk import Survey, TreeBlockedError
from aether_deploy.delivery.tree_past import Past
from aether_deploy.gitops.index import (
    Journal,
    JournalEntry,
    UnitIndex,
    index_unit,
    render_journal,
    render_root_index,
    render_unit_index,
    sha256_of,
)
from aether_deploy.gitops.tree import INDEX_NAME, JOURNAL_NAME, TEMPORARY_SUFFIX, Tree, Unit, folders_of

_KEEP_EDIT = "move the edit into the description, or give --force to lose it"
_KEEP_FOREIGN = "move it away, or give --force to replace it"


class Change(msgspec.Struct, frozen=True, gc=False):
    """A file to write: its path below the root, and its bytes."""

    path: str
    content: bytes


class WritePlan(msgspec.Struct, frozen=True, kw_only=True):
    """What a run changes on disk. All paths are relative to the root; the indexes are among them.

    Attributes:
        written: Paths that are new or get other bytes, sorted.
        unchanged: Paths that have their bytes already, sorted.
        removed: Paths that are ours and no longer in the tree, sorted.
        folders: To create, parents first.
        files: To write first.
        prunes: To remove then.
        indexes: To write then.
        pruned_indexes: To remove then.
        vacated: Folders to remove then if they are empty, the deepest first.
        root_index: To write last; None if it has its bytes already.
        leftovers: Temporary files of an unfinished run, to remove before anything else.
        journal: The bytes that stand as the journal while the plan is applied.
        journal_after: The bytes that remain as the journal; None to remove it.
        unfinished: Whether a run before this one was interrupted, in the units of this one.
    """

    written: tuple[str, ...]
    unchanged: tuple[str, ...]
    removed: tuple[str, ...]
    folders: tuple[str, ...]
    files: tuple[Change, ...]
    prunes: tuple[str, ...]
    indexes: tuple[Change, ...]
    pruned_indexes: tuple[str, ...]
    vacated: tuple[str, ...]
    root_index: Change | None
    leftovers: tuple[str, ...]
    journal: bytes
    journal_after: bytes | None
    unfinished: bool

    @property
    def changes_nothing(self) -> bool:
        """Whether the disk holds the tree already, and nothing is left of an unfinished run."""
        return not (self.written or self.removed or self.leftovers or self.unfinished)


def plan_write(
    root: str | os.PathLike[str],
    tree: Tree,
    *,
    environments: Collection[str],
    complete: bool,
    force: bool = False,
    survey: Survey | None = None,
) -> WritePlan:
    """Return what writing ``tree`` to ``root`` would change. Reads the disk and changes nothing.

    Args:
        root: The folder of the tree; it may be missing.
        tree: What is to be there.
        environments: Those that were rendered. Units of others are left alone, unless ``complete``.
        complete: Whether all environments were rendered: then a unit that is not in ``tree`` is removed.
        force: Replace edited and foreign files that are in the way.
        survey: What is there, if that is no folder on disk.

    Raises:
        TreeBlockedError: Something on disk is in the way; every obstacle is in it.
        EffectError: ``root`` is no folder.
    """
    survey = survey or Survey(os.fspath(root) or ".")
    new = {unit.path: index_unit(unit) for unit in tree.units}
    past = Past(survey, new)
    past.refuse_other_systems({index.name for index in new.values()})
    if JOURNAL_NAME in survey.obstacles:  # without it, files of the unfinished run would look foreign
        raise TreeBlockedError(survey.root, list(survey.obstacles.values()))
    gone = {unit for unit in past.indexes if unit not in new and (complete or past.environment(unit) in environments)}
    past.claim([*new, *gone])
    draft = _Draft(survey, past, force=force)
    for unit in sorted(tree.units, key=lambda unit: unit.path):
        draft.write_unit(unit, new[unit.path])
    for unit in tree.units:
        draft.prune_unit(unit.path)
    for path in sorted(gone):
        draft.prune_unit(path)
        draft.prune_index(path)
    draft.write_index("", render_root_index({*new, *past.units} - gone))
    if survey.obstacles:
        raise TreeBlockedError(survey.root, list(survey.obstacles.values()))
    return draft.finish(next((index.name for index in new.values()), ""))


def temporary_of(path: str) -> str:
    """Return the temporary file that ``path`` is written through: beside it, and always the same."""
    folder, slash, name = path.rpartition("/")
    return f"{folder}{slash}.{name}{TEMPORARY_SUFFIX}"


class _Draft:
    """A plan in the making: judges each file of the new tree, and each file of ours that is not in it."""

    def __init__(self, survey: Survey, past: Past, *, force: bool) -> None:
        self._survey = survey
        self._past = past
        self._force = force
        self._kept: set[str] = set()
        self._unchanged: list[str] = []
        self._files: list[Change] = []
        self._indexes: list[Change] = []
        self._root_index: Change | None = None
        self._prunes: list[str] = []
        self._pruned_indexes: list[str] = []
        self._folders: set[str] = set()
        self._vacated: set[str] = set()
        self._claims: list[JournalEntry] = []
        self._leftovers = {path for path in self._temporaries() if self._has_leftover(path)}

    def write_unit(self, unit: Unit, index: UnitIndex) -> None:
        """Judge all files of a unit of the new tree, and its index."""
        if unit.path in self._past.refused:
            return
        owned = self._past.owned[unit.path]
        files = sorted(unit.files, key=lambda file: file.path)
        for file, entry in zip(files, index.entries, strict=True):
            claim = JournalEntry(unit.path, file.path, entry.sha256)
            self._write_file(claim, file.text.encode(), owned.get(file.path, ()))
        self.write_index(unit.path, render_unit_index(index))

    def write_index(self, unit: str, text: str) -> None:
        """Judge the index of ``unit``, or of the root where it is empty."""
        path = f"{unit}/{INDEX_NAME}" if unit else INDEX_NAME
        content = text.encode()
        if self._survey.has_file(path) is None:
            return
        if self._past.contents.get(path) == content:
            self._unchanged.append(path)
            return
        self._prepare(path)
        self._claims.append(JournalEntry(unit, INDEX_NAME, sha256_of(content)))
        if unit:
            self._indexes.append(Change(path, content))
        else:
            self._root_index = Change(path, content)

    def prune_unit(self, unit: str) -> None:
        """Judge all files of ours in ``unit`` that the new tree does not hold."""
        if unit in self._past.refused:
            return
        for name, hashes in sorted(self._past.owned[unit].items()):
            if f"{unit}/{name}" not in self._kept:
                self._prune_file(unit, name, hashes)

    def prune_index(self, unit: str) -> None:
        """Judge the index of a unit that the new tree does not hold."""
        path = f"{unit}/{INDEX_NAME}"
        self._vacate(path)
        if path in self._past.contents:
            self._pruned_indexes.append(path)
            self._claims.append(JournalEntry(unit, INDEX_NAME, sha256_of(self._past.contents[path])))

    def finish(self, name: str) -> WritePlan:
        """Return the plan of a run for the system ``name``."""
        carried = self._past.carried
        before = None if self._past.journal is None else self._past.contents[JOURNAL_NAME]
        after = render_journal(Journal(name, tuple(carried))).encode() if carried else None
        root_index = [] if self._root_index is None else [self._root_index]
        # What an unfinished run claimed stays claimed: this run may be interrupted too.
        claims = dict.fromkeys([*carried, *self._past.claimed, *self._claims])
        changes = [*self._files, *self._indexes, *root_index]
        return WritePlan(
            written=tuple(sorted(change.path for change in changes)),
            unchanged=tuple(sorted(self._unchanged)),
            removed=tuple(sorted([*self._prunes, *self._pruned_indexes])),
            folders=tuple(sorted(self._folders)),
            files=tuple(self._files),
            prunes=tuple(self._prunes),
            indexes=tuple(self._indexes),
            pruned_indexes=tuple(self._pruned_indexes),
            vacated=tuple(sorted(self._vacated, key=lambda folder: (-folder.count("/"), folder))),
            root_index=self._root_index,
            leftovers=tuple(sorted(self._leftovers)),
            journal=render_journal(Journal(name, tuple(claims))).encode(),
            journal_after=after,
            unfinished=before != after,
        )

    def _write_file(self, claim: JournalEntry, content: bytes, hashes: tuple[str, ...]) -> None:
        path = f"{claim.unit}/{claim.path}"
        self._kept.add(path)
        exists = self._survey.has_file(path)
        if exists is None:
            return
        if exists:
            found = self._survey.read(path, len(content) + 1)
            if found is None:
                return
            if found == content:
                self._unchanged.append(path)
                if hashes != (claim.sha256,):  # no index lists it yet, so the journal has to
                    self._claims.append(claim)
                return
            if not self._claim_found(claim.unit, claim.path, hashes, _KEEP_FOREIGN):
                return
        self._prepare(path)
        self._claims.append(claim)
        self._files.append(Change(path, content))

    def _prune_file(self, unit: str, name: str, hashes: tuple[str, ...]) -> None:
        path = f"{unit}/{name}"
        exists = self._survey.has_file(path)
        if exists is None:
            return
        self._vacate(path)
        if exists and self._claim_found(unit, name, hashes, _KEEP_EDIT):
            self._prunes.append(path)

    def _claim_found(self, unit: str, name: str, hashes: tuple[str, ...], foreign_fix: str) -> bool:
        """Return whether the file that was found may go; the journal then lists the bytes that go.

        Without them, an interrupted run with --force would leave files that its successor refuses.
        """
        path = f"{unit}/{name}"
        if not hashes and not self._force:
            self._survey.block(path, "is not from aether-deploy, and has other content", foreign_fix)
            return False
        found = self._survey.sha256(path)
        if found is None:
            return False
        if found not in hashes and not self._force:
            self._survey.block(path, "was edited since it was rendered", _KEEP_EDIT)
            return False
        self._claims.append(JournalEntry(unit, name, found))
        return True

    def _prepare(self, path: str) -> None:
        """Plan the folders above ``path``, and note what stands where its temporary file goes."""
        folder = path.rpartition("/")[0]
        for missing in (folder, *folders_of(folder)):
            listing = self._survey.listing(missing)
            if not missing or missing in self._folders or listing is None or listing.exists:
                break
            self._folders.add(missing)
        temporary = temporary_of(path)
        if temporary in self._leftovers or not self._survey.has_file(temporary):
            return
        if self._force:
            self._leftovers.add(temporary)
        else:
            self._survey.block(temporary, "is not from aether-deploy, and in the way", _KEEP_FOREIGN)

    def _vacate(self, path: str) -> None:
        for folder in folders_of(path):
            listing = self._survey.listing(folder)
            if folder in self._vacated:
                break
            if listing is not None and listing.exists:
                self._vacated.add(folder)

    def _temporaries(self) -> Iterable[str]:
        """Yield the temporary files that an unfinished run may have left."""
        yield temporary_of(JOURNAL_NAME)
        for entry in self._past.claimed:
            yield temporary_of(f"{entry.unit}/{entry.path}" if entry.unit else entry.path)

    def _has_leftover(self, path: str) -> bool:
        return bool(self._survey.has_file(path))
