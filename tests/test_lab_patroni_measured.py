"""What real Patroni was measured to do lies inside what is predicted. ``tests/patroni_measuring.py`` measured it."""

import json
from pathlib import Path
from typing import Any

import pytest

from aether_deploy.failover.bounds import bounds
from aether_deploy.failover.policy import FailoverPolicy
from tests.patroni_cases import FAST, detection_secs
from tests.patroni_measuring import MEASURED

Row = dict[str, Any]
ROWS: list[Row] = json.loads(MEASURED.read_text("utf-8"))
KILLS = [row for row in ROWS if row["fault"] == "leader-killed" and not row["settings"]]
LATE_SECS = 1.0
"""What a machine with two cores and other work was late by, at most."""


def named(row: Row) -> str:
    return "{dcs} {fault} {ttl}/{loop_wait}/{retry_timeout} {phase_secs}".format(**row)


@pytest.mark.parametrize("row", KILLS, ids=named)
def test_the_lease_of_a_killed_leader_changed_hands_when_the_formula_says(row: Row) -> None:
    late = row["detected_secs"] - detection_secs(row["dcs"], row, row["phase_secs"])

    assert 0 <= late <= LATE_SECS


@pytest.mark.parametrize("row", ROWS, ids=named)
def test_writes_were_acknowledged_again_within_the_bounds(row: Row) -> None:
    policy = FailoverPolicy(**{name: row[name] for name in FAST}, **row["settings"])
    bound = bounds(policy, dcs=row["dcs"]).of(row["fault"])
    secs = float(row["writable_secs"] if bound.since == "failure" else row["gap_secs"])

    assert bound.writable is not None
    assert bound.writable.best <= secs <= bound.writable.worst


def test_on_kubernetes_a_lease_ends_at_a_look_and_not_when_it_is_over() -> None:
    """With a loop of 9 seconds the third look comes 27.5 s after the last renewal, for a lease of 20."""
    ends = [
        row["detected_secs"] + row["phase_secs"]
        for row in KILLS
        if row["dcs"] == "kubernetes" and row["loop_wait"] == 9
    ]

    assert len(ends) >= 4
    assert min(ends) >= 27.5
    assert max(ends) <= 27.5 + LATE_SECS


def test_enough_kills_were_measured_at_the_two_usual_loops() -> None:
    counts = {loop: sum(row["dcs"] == "kubernetes" and row["loop_wait"] == loop for row in KILLS) for loop in (2, 10)}

    assert all(count >= 10 for count in counts.values())


def test_the_kill_that_the_guide_tells_is_one_that_was_measured() -> None:
    guide = (Path(__file__).resolve().parents[1] / "docs" / "databases.md").read_text("utf-8")

    told = [
        row for row in KILLS if f"| +{row['detected_secs']} s |" in guide and f"| +{row['writable_secs']} s |" in guide
    ]

    assert [(row["dcs"], row["loop_wait"], f"| -{row['phase_secs']} s |" in guide) for row in told] == [
        ("kubernetes", 10, True)
    ]
