"""What a member does in one loop, told as cases."""

from itertools import product
from typing import Any

import pytest

from aether_deploy.failover.cycle import Situation, decide_scheduled, decide_step

CASES: dict[str, tuple[dict[str, Any], str]] = {
    "nobody leads": ({}, "race"),
    "another leads": ({"holder": "other"}, "follow"),
    "a primary sees another lead": ({"holder": "other", "postgres": "primary"}, "demote immediate-nolock"),
    "a leader first renews its key": ({"holder": "me", "postgres": "primary"}, "renew"),
    "a leader that renewed it": ({"holder": "me", "postgres": "primary", "renewed": True}, "lead"),
    "a replica with the key": ({"holder": "me", "renewed": True}, "promote"),
    "a leader that could not renew": (
        {"holder": "me", "postgres": "primary", "renewed": False},
        "demote immediate-nolock",
    ),
    "the same in a pause": ({"holder": "me", "postgres": "primary", "renewed": False, "paused": True}, "wait"),
    "a replica with the key in a pause": ({"holder": "me", "paused": True}, "release"),
    "the store is gone": ({"store": False, "postgres": "primary"}, "demote offline"),
    "the store is gone in a pause": ({"store": False, "postgres": "primary", "paused": True}, "wait"),
    "the store is gone for a replica": ({"store": False}, "wait"),
    "the store is gone, and all agree": ({"store": False, "postgres": "primary", "failsafe": True}, "stay"),
    "the store is gone, and one does not agree": (
        {"store": False, "postgres": "primary", "failsafe": False},
        "demote offline",
    ),
    "busy with the key": ({"holder": "me", "task": "promote"}, "renew"),
    "busy, and renewed": ({"holder": "me", "task": "promote", "renewed": True}, "wait"),
    "lost the key before its promotion": (
        {"holder": "other", "task": "promote", "cancellable": True},
        "cancel_promotion",
    ),
    "lost the key in its promotion": ({"holder": "other", "task": "promote"}, "wait"),
    "lost the key while primary": (
        {"holder": "other", "task": "restart", "postgres": "primary"},
        "demote immediate-nolock",
    ),
    "crashed with the key": ({"holder": "me", "postgres": "down", "was_primary": True}, "renew"),
    "crashed, and may take its time": (
        {"holder": "me", "postgres": "down", "was_primary": True, "renewed": True},
        "start_in_place",
    ),
    "crashed, and may not take time": (
        {"holder": "me", "postgres": "down", "was_primary": True, "renewed": True, "primary_start_timeout": 0},
        "ask_others",
    ),
    "crashed, and another can": (
        {
            "holder": "me",
            "postgres": "down",
            "was_primary": True,
            "renewed": True,
            "primary_start_timeout": 0,
            "another_can": True,
        },
        "demote immediate",
    ),
    "crashed, and nobody else can": (
        {
            "holder": "me",
            "postgres": "down",
            "was_primary": True,
            "renewed": True,
            "primary_start_timeout": 0,
            "another_can": False,
        },
        "recover",
    ),
    "crashed without the key": ({"holder": "other", "postgres": "down", "was_primary": True}, "recover"),
    "does not start": ({"holder": "me", "postgres": "down", "start_failed": True}, "release"),
    "starts": ({"holder": "me", "postgres": "starting", "renewed": True, "starting_secs": 299.0}, "wait"),
    "starts for too long": (
        {"holder": "me", "postgres": "starting", "renewed": True, "starting_secs": 300.0},
        "ask_others",
    ),
    "starts for too long, and another can": (
        {"holder": "me", "postgres": "starting", "renewed": True, "starting_secs": 300.0, "another_can": True},
        "demote immediate",
    ),
    "lost the key while starting": (
        {"holder": "me", "postgres": "starting", "renewed": False},
        "demote immediate-nolock",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_member_takes_a_step_when(case: str) -> None:
    seen, says = CASES[case]

    step = decide_step(Situation(**seen))

    assert " ".join(filter(None, (step.kind, step.mode))) == says


def test_no_situation_leaves_a_primary_running_that_does_not_lead() -> None:
    """Every situation has a step, and without the key or the store a primary stops, unless all agree."""
    each: Any
    for each in product(
        (True, False), ("me", "other", "nobody"), (None, "restart"), (None, True, False), (None, True, False)
    ):
        store, holder, task, renewed, failsafe = each
        seen = Situation(
            store=store,
            holder=holder,
            postgres="primary",
            task=task,
            renewed=renewed,
            failsafe=failsafe,
        )
        step = decide_step(seen)

        may_go_on = failsafe is True if not store else holder == "me" and renewed is not False
        races = store and holder == "nobody" and task is None
        assert (step.kind == "demote") is not (may_go_on or races), seen


@pytest.mark.parametrize(
    ("due_in_secs", "answer"), [(10.1, "wait"), (10.0, "act"), (0.0, "act"), (-15.0, "act"), (-15.1, "stale")]
)
def test_a_switchover_that_is_set_for_a_time_is_due_around_it(due_in_secs: float, answer: str) -> None:
    assert decide_scheduled(due_in_secs, loop_wait=10) == answer
