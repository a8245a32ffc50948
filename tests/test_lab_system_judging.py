"""Verdicts: what lies within a prediction, what does not, and what nothing can tell."""

import pytest

from aether_deploy.lab.system.expecting import Expectation
from aether_deploy.lab.system.judging import NOBODY_ASKS, judge, part_records
from aether_deploy.lab.system.parts import Part
from aether_deploy.lab.system.record import Measured, Predicted
from tests.lab_system_scenes import measured

SHORT = Predicted(outcome="interrupted", best_secs=5.0, worst_secs=10.0)
PERHAPS = Predicted(outcome="interrupted", certain=False, worst_secs=10.0)
AWAY = Predicted(outcome="read-only")
DOWN = Predicted(outcome="down", readable=False)
GRAVEST = Predicted(outcome="down", readable=False, certain=False)

CASES: dict[str, tuple[Predicted, Measured | None, str, str]] = {
    "untouched and so it was": (Predicted(), measured(), "held", "writes went on; the longest wait was 0.1 s"),
    "untouched, and it stopped": (
        Predicted(), measured("interrupted", 3.0), "broken",
        "writes stopped for 3.0 s, and it was to be untouched",
    ),
    "within the span": (SHORT, measured("interrupted", 7.4), "held", "writes stopped for 7.4 s"),
    "as exactly as clients tell, early": (SHORT, measured("interrupted", 4.0), "held", "writes stopped for 4.0 s"),
    "as exactly as clients tell, late": (SHORT, measured("interrupted", 11.0), "held", "writes stopped for 11.0 s"),
    "sooner than the rule says": (
        SHORT, measured("interrupted", 3.8), "broken",
        "writes stopped for 3.8 s, sooner than the rule says: 5.0 s at least",
    ),
    "never stopped though it must": (
        SHORT, measured(), "broken",
        "writes went on; the longest wait was 0.1 s, sooner than the rule says: 5.0 s at least",
    ),
    "later than the rule says": (
        SHORT, measured("interrupted", 11.2), "broken", "writes stopped for 11.2 s, longer than 10.0 s",
    ),
    "it may stop, and did not": (PERHAPS, measured(), "held", "writes went on; the longest wait was 0.1 s"),
    "it may stop, and did": (PERHAPS, measured("interrupted", 9.0), "held", "writes stopped for 9.0 s"),
    "not back in time": (SHORT, measured("down", None, readable=False), "broken", "writes are not back after 20.0 s"),
    "not watched for long enough": (
        SHORT, measured("down", None, watched_secs=8.0), "unmeasured",
        "writes are not back; watched for 8.0 s only, and 10.0 s may pass",
    ),
    "not watched for long enough to see it stop": (
        SHORT, measured(watched_secs=6.0), "unmeasured",
        "watched for 6.0 s only: too short to see writes stop for 5.0 s and more",
    ),
    "stopped for too short a time, however long it was watched": (
        SHORT, measured("interrupted", 3.0, watched_secs=5.5), "broken",
        "writes stopped for 3.0 s, sooner than the rule says: 5.0 s at least",
    ),
    "watched for less than an answer may take": (
        DOWN, measured(watched_secs=1.0), "unmeasured", "watched for 1.0 s only: too short to see writes stop",
    ),
    "reads go on": (
        AWAY, measured("read-only", None), "held", "writes were not back after 20.0 s, and reads went on",
    ),
    "reads do not go on": (
        AWAY, measured("down", None, readable=False), "broken",
        "nothing was to be had after 20.0 s, and it was to be read-only",
    ),
    "back though it was to stay away": (
        AWAY, measured("interrupted", 4.0), "broken", "writes stopped for 4.0 s, and it was to be read-only",
    ),
    "nothing to be had": (
        DOWN, measured("down", None, readable=False), "held", "nothing was to be had after 20.0 s",
    ),
    "down, and readable elsewhere": (
        Predicted(outcome="down"), measured("read-only", None), "held", "writes stopped, and it could still be read",
    ),
    "down, and not readable elsewhere": (
        Predicted(outcome="down"), measured("down", None, readable=False), "broken",
        "nothing was to be had after 20.0 s; it could not be read meanwhile, though it was to be",
    ),
    "nobody tried to read": (
        AWAY, measured("down", None, readable=None), "unmeasured",
        "writes were not back after 20.0 s, and no read was tried meanwhile",
    ),
    "nobody tried to read what is to be readable elsewhere": (
        Predicted(outcome="down"), measured("down", None, readable=None), "unmeasured",
        "writes were not back after 20.0 s, and no read was tried meanwhile",
    ),
    "stopped within the span, and nobody tried to read": (
        SHORT, measured("interrupted", 7.0, readable=None), "held",
        "writes stopped for 7.0 s, and no read was tried meanwhile",
    ),
    "better than the gravest case": (
        GRAVEST, measured(), "held", "writes went on; the longest wait was 0.1 s, better than the gravest case",
    ),
    "better than what must come": (
        DOWN, measured(), "broken", "writes went on; the longest wait was 0.1 s, and it was to be down",
    ),
    "not readable meanwhile": (
        SHORT, measured("interrupted", 7.0, readable=False), "broken",
        "writes stopped for 7.0 s; it could not be read meanwhile, though it was to be",
    ),
    "a write is gone": (
        SHORT, measured("interrupted", 7.0, lost=1), "broken",
        "writes stopped for 7.0 s; 1 acknowledged write gone, and none may be",
    ),
    "writes are gone, as was said": (
        Predicted(outcome="interrupted", best_secs=5.0, worst_secs=10.0, loss="sessions of the last moments"),
        measured("interrupted", 7.0, lost=3), "held", "writes stopped for 7.0 s; 3 acknowledged writes gone",
    ),
    "a write is gone though all was well": (
        Predicted(), measured(lost=2), "broken",
        "writes went on; the longest wait was 0.1 s; 2 acknowledged writes gone, and none may be",
    ),
    "the machine stood still meanwhile": (
        SHORT, measured("interrupted", 13.0, stalled_secs=2.5), "unmeasured",
        "writes stopped for 13.0 s, longer than 10.0 s; this machine stood still for 2.5 s of it",
    ),
    "it stopped with the machine": (
        Predicted(), measured("interrupted", 3.0, stalled_secs=2.0, readable=False), "unmeasured",
        "writes stopped for 3.0 s, and it was to be untouched; this machine stood still for 2.0 s of it",
    ),
    "writes do not get lost because a machine stands still": (
        Predicted(), measured("interrupted", 3.0, stalled_secs=2.0, lost=1), "broken",
        "writes stopped for 3.0 s, and it was to be untouched",
    ),
    "the machine stood still for too little of it": (
        SHORT, measured("interrupted", 13.0, stalled_secs=1.5), "broken",
        "writes stopped for 13.0 s, longer than 10.0 s",
    ),
    "back after mending": (
        Predicted(outcome="interrupted", certain=False), measured("interrupted", 33.0), "held",
        "writes stopped for 33.0 s",
    ),
    "not back after mending": (
        Predicted(outcome="interrupted", certain=False), measured("read-only", None, watched_secs=180.0), "broken",
        "writes are not back after 180.0 s",
    ),
    "nobody asks": (SHORT, None, "unmeasured", NOBODY_ASKS),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_verdict_says_why(case: str) -> None:
    said, seen, verdict, says = CASES[case]

    assert judge(said, seen, resolution=1.1) == (verdict, says)


def test_every_part_that_was_said_or_seen_has_a_verdict() -> None:
    seen, unseen, unsaid, surprise = (Part("sessions", f"shard {number}", "us") for number in range(4))
    expectation = Expectation(
        failure="zone us-a",
        parts={seen: SHORT, unseen: DOWN, unsaid: Predicted()},
        unpredicted={unsaid: "no such pair"},
    )
    told = {seen: measured("interrupted", 6.0), unsaid: measured(), surprise: measured()}

    records = {Part(each.member, each.part, each.region): each for each in part_records(expectation, told)}

    assert {part: (each.verdict, each.says) for part, each in records.items()} == {
        seen: ("held", "writes stopped for 6.0 s"),
        unsaid: ("unmeasured", "no such pair"),
        surprise: ("unmeasured", "nothing was said of it"),
        unseen: ("unmeasured", NOBODY_ASKS),
    }


def test_a_client_that_tells_less_exactly_is_given_more_room() -> None:
    part = Part("cdn", "us", "us")
    expectation = Expectation(failure="link us - eu", parts={part: PERHAPS})

    (record,) = part_records(expectation, {part: measured("interrupted", 12.0)}, resolutions={part: 2.5})

    assert record.verdict == "held"
