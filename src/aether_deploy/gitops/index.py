"""The text of ``aether.index.jsonl`` and ``aether.pending.jsonl``, and its way back.

The index of a unit says which files are ours, with their hashes; the index of the root says which units.
The journal says what an unfinished run was about to write and remove. All three lie in a folder that others
write to: reading them back is strict, and a path that leads out of its unit is refused.
"""

from collections.abc import Iterable, Sequence
from typing import Annotated, TypeVar

import msgspec

from aether_deploy.gitops.tree import INDEX_NAME, Unit, folders_of, path_fault
from aether_deploy.problems import EffectError, shown

FORMAT = 1

Sha256 = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]


class BadIndexError(EffectError):
    """An index or a journal cannot be trusted: which file and line, why, and what to do about it."""

    def __init__(self, where: str, line: int, reason: str, fix: str) -> None:
        self.line = line
        self.reason = reason
        self.fix = fix
        super().__init__(f"{where}:{line}: {reason}\n  fix: {fix}")


class IndexEntry(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True, forbid_unknown_fields=True):
    """One file of a unit, as its index lists it; the fields are those of a TreeFile."""

    path: str
    sha256: Sha256
    api_version: str | None = None
    kind: str | None = None
    namespace: str | None = None
    name: str | None = None
    source: str | None = None


class UnitIndex(msgspec.Struct, frozen=True, kw_only=True):
    """What a unit's index holds: whose it is, and its files sorted by path."""

    name: str
    environment: str
    cluster: str | None
    entries: tuple[IndexEntry, ...]


class JournalEntry(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """A file that is ours if its bytes have this hash. ``unit`` is empty for the root's index."""

    unit: str
    path: str
    sha256: Sha256


class Journal(msgspec.Struct, frozen=True):
    """What a run of the system ``name`` is about to write and remove."""

    name: str
    entries: tuple[JournalEntry, ...]


class _Format(msgspec.Struct):
    format: int


class _UnitHeader(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    format: int
    name: str
    environment: str
    cluster: str | None = None


class _JournalHeader(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: int
    name: str


class _UnitLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    unit: str


def sha256_of(content: bytes) -> str:
    """Return the hash by which an index knows a file."""
    from hashlib import sha256  # 2 ms to import; only a render needs it

    return sha256(content).hexdigest()


def index_unit(unit: Unit) -> UnitIndex:
    """Return the index of ``unit``: one entry per file, sorted by path."""
    entries = [
        IndexEntry(
            path=file.path,
            sha256=sha256_of(file.text.encode()),
            api_version=file.api_version,
            kind=file.kind,
            namespace=file.namespace,
            name=file.name,
            source=file.source,
        )
        for file in unit.files
    ]
    entries.sort(key=lambda entry: entry.path)
    return UnitIndex(name=unit.name, environment=unit.environment, cluster=unit.cluster, entries=tuple(entries))


def render_unit_index(index: UnitIndex) -> str:
    """Return the text of a unit's index. Equal input gives equal text."""
    header = _UnitHeader(FORMAT, index.name, index.environment, index.cluster)
    return msgspec.json.Encoder().encode_lines([header, *index.entries]).decode()


def render_root_index(units: Iterable[str]) -> str:
    """Return the text of the root's index: one line per unit, sorted."""
    return "".join(f'{{"unit": {msgspec.json.encode(unit).decode()}}}\n' for unit in sorted(units))


def render_journal(journal: Journal) -> str:
    """Return the text of the journal of a run."""
    header = _JournalHeader(FORMAT, journal.name)
    return msgspec.json.Encoder().encode_lines([header, *journal.entries]).decode()


def parse_unit_index(content: bytes, where: str) -> UnitIndex:
    """Return what the index of a unit holds.

    Args:
        content: The bytes of the file.
        where: How to name the file in an error.

    Raises:
        BadIndexError: The index is corrupt, of a newer format, or names a path outside of its unit.
    """
    fix = "restore the file from version control, or remove it and render with --force"
    lines = _complete_lines(content, where, fix)
    header = _header(lines, _UnitHeader, where, fix)
    entries = _decoded(lines[1:], IndexEntry, where, fix, first=2)
    previous = ""
    for number, entry in enumerate(entries, 2):
        if fault := path_fault(entry.path):
            raise _corrupt(where, number, f"the path {shown(entry.path)} {fault}", fix)
        if entry.path <= previous:
            raise _corrupt(where, number, f"the path {shown(entry.path)} is out of order", fix)
        previous = entry.path
    return UnitIndex(name=header.name, environment=header.environment, cluster=header.cluster, entries=tuple(entries))


def parse_root_index(content: bytes, where: str) -> tuple[str, ...]:
    """Return the paths of the units that the root's index lists.

    Raises:
        BadIndexError: The index is corrupt, or names a path outside of its folder.
    """
    fix = "restore the file from version control, or remove it and render again"
    if not content:
        return ()
    units = [line.unit for line in _decoded(_complete_lines(content, where, fix), _UnitLine, where, fix, first=1)]
    known = set(units)
    previous = ""
    for number, unit in enumerate(units, 1):
        if fault := path_fault(unit):
            raise _corrupt(where, number, f"the unit {shown(unit)} {fault}", fix)
        if unit <= previous:
            raise _corrupt(where, number, f"the unit {shown(unit)} is out of order", fix)
        if not known.isdisjoint(folders_of(unit)):
            raise _corrupt(where, number, f"the unit {shown(unit)} lies in another unit", fix)
        previous = unit
    return tuple(units)


def parse_journal(content: bytes, where: str) -> Journal:
    """Return what an unfinished run left in its journal.

    Raises:
        BadIndexError: The journal is corrupt, of a newer format, or names a path outside of its unit.
    """
    fix = "remove the file and render again; what the unfinished run wrote may then need --force"
    lines = _complete_lines(content, where, fix)
    header = _header(lines, _JournalHeader, where, fix)
    entries = _decoded(lines[1:], JournalEntry, where, fix, first=2)
    for number, entry in enumerate(entries, 2):
        if entry.unit and (fault := path_fault(entry.unit)):
            raise _corrupt(where, number, f"the unit {shown(entry.unit)} {fault}", fix)
        fault = None if entry.path == INDEX_NAME else path_fault(entry.path)
        if fault or not (entry.unit or entry.path == INDEX_NAME):
            fault = fault or "lies in no unit"
            raise _corrupt(where, number, f"the path {shown(entry.path)} {fault}", fix)
    return Journal(header.name, tuple(entries))


Line = TypeVar("Line", bound=msgspec.Struct)


def _complete_lines(content: bytes, where: str, fix: str) -> list[bytes]:
    lines = content.splitlines()
    if not lines:
        raise _corrupt(where, 1, "the file is empty", fix)
    if not content.endswith(b"\n"):
        raise _corrupt(where, len(lines), "the last line is cut off", fix)
    return lines


def _header(lines: Sequence[bytes], kind: type[Line], where: str, fix: str) -> Line:
    found = _decoded(lines[:1], _Format, where, fix, first=1)[0].format
    if found > FORMAT:
        reason = f"has format {found}; this aether-deploy knows {FORMAT}"
        raise BadIndexError(where, 1, reason, "use the newer aether-deploy that wrote it")
    if found != FORMAT:
        raise _corrupt(where, 1, f"has format {found}", fix)
    return _decoded(lines[:1], kind, where, fix, first=1)[0]


def _decoded(lines: Sequence[bytes], kind: type[Line], where: str, fix: str, *, first: int) -> list[Line]:
    decode = msgspec.json.Decoder(kind).decode
    decoded: list[Line] = []
    try:
        for line in lines:
            decoded.append(decode(line))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _corrupt(where, first + len(decoded), str(error), fix) from error
    return decoded


def _corrupt(where: str, line: int, reason: str, fix: str) -> BadIndexError:
    return BadIndexError(where, line, f"is corrupt: {reason}", fix)
