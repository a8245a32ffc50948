"""What a member does in one loop: a total function on what it sees, asked again when it has learned more.

Rule of it all: Patroni 4.1.5, ``_run_cycle`` in ``patroni/ha.py``. The order of the questions is Patroni's.
"""

from typing import Literal

import msgspec

StepKind = Literal[
    "wait",
    "renew",
    "race",
    "lead",
    "promote",
    "cancel_promotion",
    "demote",
    "release",
    "follow",
    "start_in_place",
    "ask_others",
    "recover",
    "stay",
]
DemoteMode = Literal["offline", "graceful", "immediate", "immediate-nolock"]


class Situation(msgspec.Struct, frozen=True, kw_only=True):
    """What a member sees in one loop.

    Attributes:
        store: The store answered.
        holder: Who holds the leader's key.
        postgres: Its PostgreSQL.
        task: What it is busy with, if anything: ``promote``, ``start``, ``demote``, ``rewind``.
        cancellable: A promotion has not reached PostgreSQL.
        renewed: It renewed the key in this loop; None: it has not tried.
        paused: The cluster is paused.
        failsafe: Without the store: every member of ``/failsafe`` agreed that this one goes on; None: the mode is
            off, or this one does not lead.
        was_primary: Its PostgreSQL is down, and was primary.
        start_failed: It tried to start PostgreSQL, and that is down again.
        starting_secs: How long PostgreSQL has been starting, seconds.
        primary_start_timeout: How long a primary may, seconds.
        another_can: Another member could take over; None: nobody was asked.
    """

    store: bool = True
    holder: Literal["me", "other", "nobody"] = "nobody"
    postgres: Literal["primary", "replica", "starting", "down"] = "replica"
    task: str | None = None
    cancellable: bool = False
    renewed: bool | None = None
    paused: bool = False
    failsafe: bool | None = None
    was_primary: bool = False
    start_failed: bool = False
    starting_secs: float = 0.0
    primary_start_timeout: int = 300
    another_can: bool | None = None


class Step(msgspec.Struct, frozen=True):
    """What to do, and why.

    Attributes:
        kind: ``renew`` and ``ask_others`` ask for an answer, and then the question is asked again with it.
        reason: In words, for a timeline.
        mode: How to demote.
    """

    kind: StepKind
    reason: str
    mode: DemoteMode | None = None


def decide_step(seen: Situation) -> Step:
    """Decide what a member does next in this loop."""
    if not seen.store:
        return _without_store(seen)
    if seen.task is not None:
        return _busy(seen)
    if seen.postgres == "starting" and seen.holder == "me":
        return _slow_start(seen)
    if seen.start_failed and seen.holder == "me":
        return Step("release", "its PostgreSQL does not start")
    if seen.postgres == "down":
        return Step("wait", "paused") if seen.paused else _down(seen)
    if seen.holder == "nobody":
        return Step("race", "nobody leads")
    return _leader(seen) if seen.holder == "me" else _member(seen)


def _without_store(seen: Situation) -> Step:
    if seen.postgres != "primary" or seen.paused:
        return Step("wait", "the store does not answer")
    if seen.failsafe:
        return Step("stay", "the store does not answer, and every member agrees")
    why = "" if seen.failsafe is None else ", and not every member agrees"
    return Step("demote", f"the store does not answer{why}", "offline")


def _busy(seen: Situation) -> Step:
    if seen.holder == "me" and seen.renewed is None:
        return Step("renew", f"busy with {seen.task}")
    if seen.holder == "me" and seen.renewed:
        return Step("wait", f"busy with {seen.task}")
    if seen.paused:
        return Step("wait", "paused")
    if seen.task == "promote" and seen.cancellable:
        return Step("cancel_promotion", "lost the key before its promotion")
    if seen.postgres == "primary":
        return Step("demote", f"lost the key during {seen.task}", "immediate-nolock")
    return Step("wait", f"busy with {seen.task}")


def _slow_start(seen: Situation) -> Step:
    if seen.paused:
        return Step("wait", "paused")
    if seen.renewed is None:
        return Step("renew", "its PostgreSQL is starting")
    if not seen.renewed:
        return Step("demote", "lost the key while starting", "immediate-nolock")
    if seen.starting_secs < seen.primary_start_timeout:
        return Step("wait", "its PostgreSQL is starting")
    if seen.another_can is None:
        return Step("ask_others", "starts for longer than primary_start_timeout")
    if seen.another_can:
        return Step("demote", "starts for longer than primary_start_timeout", "immediate")
    return Step("wait", "starts for too long, and nobody else can lead")


def _down(seen: Situation) -> Step:
    if seen.holder != "me":
        return Step("recover", "its PostgreSQL is down")
    if seen.renewed is None:
        return Step("renew", "its PostgreSQL is down")
    if seen.renewed and not seen.primary_start_timeout:
        if seen.another_can is None:
            return Step("ask_others", "its PostgreSQL is down, and primary_start_timeout is 0")
        if seen.another_can:
            return Step("demote", "its PostgreSQL is down, and primary_start_timeout is 0", "immediate")
    elif seen.renewed and seen.was_primary:
        return Step("start_in_place", "its PostgreSQL is down, and it holds the key")
    return Step("recover", "its PostgreSQL is down")


def _leader(seen: Situation) -> Step:
    is_primary = seen.postgres == "primary"
    if seen.paused and not is_primary:
        return Step("release", "paused, and its PostgreSQL is no primary")
    if seen.renewed is None:
        return Step("renew", "it holds the key")
    if seen.renewed:
        return Step("lead", "it holds the key") if is_primary else Step("promote", "it holds the key")
    if is_primary and not seen.paused:
        return Step("demote", "could not renew the key", "immediate-nolock")
    return Step("wait", "could not renew the key")


def _member(seen: Situation) -> Step:
    if seen.postgres != "primary":
        return Step("follow", "another holds the key")
    if seen.paused:
        return Step("wait", "paused")
    return Step("demote", "another holds the key", "immediate-nolock")


def decide_scheduled(due_in_secs: float, loop_wait: int) -> Literal["wait", "act", "stale"]:
    """Decide what becomes of a switchover or restart that a human has set for a time.

    Args:
        due_in_secs: Time until then, seconds; negative: it is past.
        loop_wait: ``loop_wait``, seconds.

    Returns:
        ``act`` within a loop before, or up to one and a half loops after, in whole seconds; ``stale`` later than that,
        and then the request is dropped.

    Rule:
        Patroni 4.1.5, ``should_run_scheduled_action`` in ``patroni/ha.py``.
    """
    if due_in_secs > loop_wait:
        return "wait"
    return "stale" if due_in_secs < -int(loop_wait * 1.5) else "act"
