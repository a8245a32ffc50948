"""What the analysis says of a session cache."""

from collections.abc import Iterator

import pytest

from aether_deploy.infrastructure.analysis.failures import FailureKind, PlatformFailure
from aether_deploy.infrastructure.analysis.grid import cell_text
from aether_deploy.infrastructure.analysis.judging import analysis_findings
from aether_deploy.infrastructure.analysis.lines import lines_of
from aether_deploy.infrastructure.valkey.impact import analyst
from aether_deploy.infrastructure.valkey.survival import fate_of, shape_of
from aether_deploy.infrastructure.valkey.timing import failover_secs
from tests.analysis_cases import ONE_REGION, THREE_REGIONS, effects, found, with_components
from tests.rule_case import DIGEST
from tests.valkey_cases import ONE, TWO_REGIONS, valkey, zoned


def sessions(more: str = "") -> str:
    """Return a session cache: an item of ``components``."""
    return f"""
  - name: sessions
    kind: valkey
    image: valkey/valkey:9.1.2@{DIGEST}
    maxmemory: 2Gi
    {more}
"""


def test_a_zone_stops_one_shard_for_a_failover_and_drift_is_told() -> None:
    lost = effects(with_components(THREE_REGIONS, sessions()), "sessions", "zone", "us-a")

    assert set(lost) == {"shard 0 of us", "shard 2 of us"}
    stopped, thinner = lost["shard 0 of us"], lost["shard 2 of us"]
    assert (stopped.outcome, stopped.recovery, stopped.human) == ("interrupted", failover_secs(5000), "")
    assert stopped.loss is not None
    assert stopped.note == (
        "once us-a is back, the loss of us-b would stop all shards, until the Job has moved primaries back: within 5 "
        "minutes"
    )
    assert (thinner.outcome, thinner.note, thinner.loss) == ("holds", "without a replica until it is back", None)


def test_a_primary_that_ends_stops_its_shard_and_a_replica_none() -> None:
    analysis = with_components(ONE_REGION, sessions())

    leader = effects(analysis, "sessions", "process", role="leader")
    member = effects(analysis, "sessions", "process", role="member")

    assert {part: each.outcome for part, each in leader.items()} == {"shard 0 of us": "interrupted"}
    assert {each.outcome for each in member.values()} == {"holds"}
    node = effects(analysis, "sessions", "node", "us-b")
    assert {part: each.outcome for part, each in node.items()} == {"shard 1 of us": "interrupted"}


def test_a_region_takes_its_own_sessions_along_and_no_others() -> None:
    analysis = with_components(THREE_REGIONS, sessions())

    lost = effects(analysis, "sessions", "region", "eu")

    assert set(lost) == {"shard 0 of eu", "shard 1 of eu", "shard 2 of eu"}
    assert {(each.outcome, each.readable) for each in lost.values()} == {("down", False)}
    assert all(each.loss is not None and "kept in memory only" in each.loss.text for each in lost.values())
    assert {each.rule for each in found(analysis, "reaches-other-regions")} == set()
    felt = {each.failure.kind for each in analysis.rows if "sessions" in each.cells}
    assert felt == {"process", "node", "zone", "region"}


def test_what_a_cache_in_memory_loses_is_a_note_and_a_warning_where_nothing_may_go() -> None:
    cache = with_components(THREE_REGIONS, sessions())
    kept = with_components(THREE_REGIONS, sessions("eviction: noeviction"))

    assert [each for each in analysis_findings(cache) if each.severity != "note"] == []
    assert {each.fix for each in found(cache, "acknowledged-writes")} == {"keep in a database what must not be lost"}
    assert {each.severity for each in found(kept, "acknowledged-writes")} == {"warning"}
    assert {each.severity for each in found(kept, "region-loss")} == {"warning"}


def test_one_process_stops_one_shard_of_all_regions_and_zones_of_a_region_are_one_row() -> None:
    lines = {line.label: line.cells[0] for line in lines_of(with_components(THREE_REGIONS, sessions()))}
    parts = 9

    assert cell_text(lines["process that leads"], parts) == "5-10 s ~ 1/9"
    assert cell_text(lines["another process"], parts) == "ok*"
    assert cell_text(lines["a node in eu"], parts) == "5-10 s ~ 1/9"
    assert cell_text(lines["a zone of eu"], parts) == "5-10 s ~ 1/9"
    assert cell_text(lines["region eu"], parts) == "down ~ 3/9"
    assert not any("us-a" in label for label in lines)


def test_two_zones_at_a_time_stop_all_shards() -> None:
    analysis = with_components(ONE_REGION, sessions(), pairs=True)

    lost = effects(analysis, "sessions", "zones", "us-a + us-b")

    assert {each.outcome for each in lost.values()} == {"down"}
    assert len(lost) == 3
    assert "1 of 3 primaries are left, and 2 must vote" in lost["shard 2 of us"].rules[0].text


def test_no_zone_is_a_single_point_and_drift_is_a_note() -> None:
    analysis = with_components(THREE_REGIONS, sessions())

    assert found(analysis, "zone-loss") == []
    assert found(analysis, "single-point") == []
    (note,) = found(analysis, "zone-drift")
    assert note.severity == "note"
    assert "CronJob sessions-cluster moves them back within 5 minutes" in note.text


def test_one_zone_is_told_as_such() -> None:
    analysis = with_components(ONE_REGION.replace("us-a, us-b, us-c", "us-a"), sessions())

    (finding,) = found(analysis, "one-zone")
    assert finding.component == "sessions"
    assert found(analysis, "zone-drift") == []


def test_with_more_zones_than_votes_need_no_second_loss_stops_it() -> None:
    config = valkey(shards=7)
    answers = analyst(config, zoned(7))

    assert list(answers.findings()) == []
    assert answers.parts == 7
    assert set(answers.pods.values()) == {"1 primary, 1 replica"}


def zones_failures() -> Iterator[tuple[int, int, int, tuple[str, ...]]]:
    for zones, shards, replicas in ((3, 3, 1), (3, 5, 2), (4, 4, 1), (5, 7, 2)):
        names = [f"us-{letter}" for letter in "abcde"[:zones]]
        yield from ((zones, shards, replicas, (name,)) for name in names)
        yield from ((zones, shards, replicas, (one, other)) for one in names for other in names if one < other)


@pytest.mark.parametrize("zones, shards, replicas, lost", list(zones_failures()))
def test_effects_are_those_of_the_survival_that_is_computed(
    zones: int, shards: int, replicas: int, lost: tuple[str, ...]
) -> None:
    where, config = zoned(zones), valkey(shards=shards, replicas=replicas)
    fate = fate_of(shape_of(config, where.regions[0]), lost)
    kind: FailureKind = "zone" if len(lost) == 1 else "zones"

    found = analyst(config, where).impact(PlatformFailure(kind=kind, name="x", lost=frozenset(lost))).effects
    by_outcome = {
        outcome: {int(each.part.split(" ")[1]) for each in found if each.outcome == outcome}
        for outcome in ("interrupted", "down", "holds")
    }

    if fate.serves:
        assert by_outcome == {
            "interrupted": set(fate.promoted),
            "down": set(fate.orphaned),
            "holds": set(fate.thinner),
        }
    else:
        assert by_outcome == {"interrupted": set(), "down": set(range(shards)), "holds": set()}


def test_regions_are_hit_apart() -> None:
    answers = analyst(valkey(), TWO_REGIONS)
    hit = answers.impact(PlatformFailure(kind="zones", name="x", lost=frozenset({"us-a", "eu-a"}))).effects

    assert {each.part for each in hit if each.outcome == "interrupted"} == {"shard 0 of us", "shard 0 of eu"}
    assert answers.footprint.links == frozenset()
    assert answers.footprint.control_planes == frozenset()
    assert analyst(valkey(), ONE).parts == 3
