"""Which change of a server's file takes effect while it runs, and which needs it to restart.

On SIGHUP a server takes all changes of its file or, if it refuses one of them, none: it goes on with the old file and
says so in its log only.

Rule:
    nats-server ``server/reload.go``, and each row tried on a running server (``tests/test_lab_nats_reloading.py``).
"""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from aether_deploy.infrastructure.component import FileChange
from aether_deploy.infrastructure.nats.text import options_in

ReloadClass = Literal["none", "reload", "restart", "refused"]
"""``reload``: a SIGHUP is enough. ``restart``: a server takes it when it restarts, one after another. ``refused``: not
even so, because it would come back as another server or without its streams."""

Steps = tuple[str, ...]

RELOADED: frozenset[Steps] = frozenset(
    {
        ("accounts",),
        ("cluster", "no_advertise"),
        ("cluster", "routes"),
        ("cluster", "tls"),
        ("max_payload",),
        ("pid_file",),
        ("server_tags",),
        ("tls",),
    }
)
"""What a running server takes; what is inside of it, too."""

RAISED: frozenset[Steps] = frozenset({("jetstream", "max_file_store"), ("jetstream", "max_memory_store")})
"""What a running server lets grow. It refuses less, also where it has just been given more."""

IDENTITY: frozenset[Steps] = frozenset(
    {
        ("cluster", "name"),
        ("gateway", "name"),
        ("jetstream", "domain"),
        ("jetstream", "store_dir"),
        ("server_name",),
    }
)
"""Who a server is to the others, and where its streams lie."""

_ORDER: tuple[ReloadClass, ...] = ("none", "reload", "restart", "refused")


def reload_class(old: Mapping[str, Any] | str, new: Mapping[str, Any] | str) -> ReloadClass:
    """Return what it takes to bring a server from one file to another: the worst that any change takes.

    Args:
        old: The file that the server runs with: its options, or its text as we wrote it.
        new: The file that it is to have.
    """
    before, after = _options(old), _options(new)
    classes = {_class_of(steps, was, now) for steps, was, now in _changes(before, after, ())}
    return max(classes, key=_ORDER.index, default="none")


def changes_of(old: Mapping[str, Any] | str, new: Mapping[str, Any] | str) -> dict[str, ReloadClass]:
    """Return every setting that differs, by its path, with what it takes."""
    found = _changes(_options(old), _options(new), ())
    return {".".join(steps): _class_of(steps, was, now) for steps, was, now in found}


def restart_part(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options without what a running server takes: equal parts need no restart.

    Sizes that may only grow are left out, since no volume of ours ever shrinks.
    """
    return _without(options, ())


def _without(options: Mapping[str, Any], at: Steps) -> dict[str, Any]:
    kept = {}
    for key, value in options.items():
        steps = (*at, key)
        if steps in RELOADED or steps in RAISED:
            continue
        kept[key] = _without(value, steps) if isinstance(value, Mapping) else value
    return kept


def _options(said: Mapping[str, Any] | str) -> Mapping[str, Any]:
    return options_in(said) if isinstance(said, str) else said


def _changes(old: Mapping[str, Any], new: Mapping[str, Any], at: Steps) -> Iterator[tuple[Steps, Any, Any]]:
    for key in dict.fromkeys((*old, *new)):
        was, now = old.get(key), new.get(key)
        if was == now:
            continue
        if isinstance(was, Mapping) and isinstance(now, Mapping) and (*at, key) not in RELOADED:
            yield from _changes(was, now, (*at, key))
        else:
            yield (*at, key), was, now


def _class_of(steps: Steps, was: Any, now: Any) -> ReloadClass:
    if any(steps[:length] in RELOADED for length in range(1, len(steps) + 1)):
        return "reload"
    if steps in RAISED and isinstance(was, int) and isinstance(now, int) and now > was:
        return "reload"
    if steps in IDENTITY and was is not None:
        return "refused"
    return "restart"


_SAYS: Mapping[str, str] = {
    "reload": "a running server takes {keys}, once it is told of the new file: by its reloader, or by a SIGHUP",
    "restart": "a server takes {keys} when it restarts; until then it refuses the whole new file",
    "refused": "with another {keys} a server comes back as another one, or without its streams",
}
_EFFECTS: Mapping[str, Literal["reloads", "restarts", "refused"]] = {
    "reload": "reloads", "restart": "restarts", "refused": "refused",
}  # fmt: skip


def file_changes(before: Mapping[str, str], after: Mapping[str, str]) -> list[FileChange]:
    """Return what running servers make of changed files, the worst first; a file that is new has no server yet."""
    keys: dict[str, set[str]] = {}
    for name in before.keys() & after.keys():
        for path, needed in changes_of(before[name], after[name]).items():
            keys.setdefault(needed, set()).add(path)
    return [
        FileChange(_EFFECTS[needed], _SAYS[needed].format(keys=", ".join(sorted(keys[needed]))))
        for needed in ("refused", "restart", "reload")
        if needed in keys
    ]
