"""Which change of a server's file takes effect while it runs, and which needs it to restart.

On SIGHUP a server takes all changes of its file or, if it refuses one of them, none: it goes on with the old file and
says so in its log only.

Rule:
    nats-server ``server/reload.go`` and ``conf/parse.go`` (a variable that is unknown), and each row tried on a running
    server (``tests/test_lab_nats_reloading.py``). A server is taken to run in a pod: its variables and its folders are
    those that the pod started with.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Literal

from aether_deploy.infrastructure.nats.text import options_in, variables_in

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
    return max(changes_of(old, new).values(), key=_ORDER.index, default="none")


def changes_of(old: Mapping[str, Any] | str, new: Mapping[str, Any] | str) -> dict[str, ReloadClass]:
    """Return every setting that differs, by its path, with what it takes.

    Raises:
        ValueError: A text is none that we wrote.
    """
    before, after = _options(old), _options(new)
    known = variables_in(before)
    found = _changes(before, after, ())
    return {".".join(steps): _class_of(steps, was, now, known) for steps, was, now in found}


def restart_part(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options without what a running server takes: equal parts need no restart.

    Sizes that may only grow are left out, since no volume of ours ever shrinks; and so are variables, since what gives
    them their values is the template of the pods, which changes with them.
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


def _class_of(steps: Steps, was: Any, now: Any, known: Collection[str]) -> ReloadClass:
    if not variables_in(now) <= set(known):
        return "restart"  # the environment of a process is that of its start, and one unknown name refuses the file
    if steps[-1] == "tls" and was is None:
        return "restart"  # the server would take it, but the folder with the certificates comes with a new pod only
    if any(steps[:length] in RELOADED for length in range(1, len(steps) + 1)):
        return "reload"
    if steps in RAISED and isinstance(was, int) and isinstance(now, int) and now > was:
        return "reload"
    if steps in IDENTITY and was is not None:
        return "refused"
    return "restart"
