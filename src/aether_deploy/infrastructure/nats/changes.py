"""What running pods make of a change of a NATS component's files: those of its servers, and that of its streams."""

from collections.abc import Iterator, Mapping

from aether_deploy.infrastructure.component import FileChange
from aether_deploy.infrastructure.nats.job import FILE
from aether_deploy.infrastructure.nats.reloading import changes_of
from aether_deploy.infrastructure.nats.stream_changes import stream_changes

_SERVERS_FILE = ".conf"

_TAKEN: tuple[tuple[str, FileChange], ...] = (
    (
        "refused",
        FileChange("refused", "with another {keys} a server comes back as another one, or without its streams"),
    ),
    (
        "restart",
        FileChange("restarts", "a server takes {keys} when it restarts; until then it refuses the whole new file"),
    ),
    (
        "reload",
        FileChange(
            "reloads",
            "a running server takes {keys}, once it is told of the new file: by its reloader, or by a SIGHUP",
        ),
    ),
)

_UNKNOWN = FileChange("restarts", "another version wrote {keys}: a server takes it when it restarts, if not before")


def file_changes(before: Mapping[str, str], after: Mapping[str, str]) -> list[FileChange]:
    """Return what is made of changed files, the worst first; a file that is new has no server yet.

    What another version or a hand wrote is not raised over: as much is said as is known, of a file of an unknown name
    nothing.
    """
    found: list[FileChange] = []
    if FILE in before and FILE in after and before[FILE] != after[FILE]:
        found += stream_changes(before[FILE], after[FILE])
    return found + list(_of_servers(before, after))


def _of_servers(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[FileChange]:
    keys: dict[str, set[str]] = {}
    unknown: set[str] = set()
    for name in sorted(before.keys() & after.keys()):
        if not name.endswith(_SERVERS_FILE) or before[name] == after[name]:
            continue
        try:
            changes = changes_of(before[name], after[name])
        except ValueError:  # not one of our own lines
            unknown.add(name)
            continue
        for path, needed in changes.items():
            keys.setdefault(needed, set()).add(path)
    for known, taken in _TAKEN:
        if known in keys:
            yield _about(taken, keys[known])
    if unknown:
        yield _about(_UNKNOWN, unknown)


def _about(change: FileChange, keys: set[str]) -> FileChange:
    return FileChange(change.effect, change.says.format(keys=", ".join(sorted(keys))))
