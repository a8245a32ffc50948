"""What a failure leaves of a supercluster; the lab holds real servers against the same answers."""

import json
from pathlib import Path
from typing import Any

import pytest

from aether_deploy.infrastructure.estate import Datacenter, EstateRegion
from aether_deploy.infrastructure.nats.quorum import (
    Fate,
    Shape,
    StreamFate,
    catch_up_secs,
    election_secs,
    fate_of,
    region_holding_half,
    shape_of,
)
from tests.nats_cases import MATCHES, ONE, TELEMETRY, THREE, TWO, WITNESS, alone, estate, nats, region

MEASURED = json.loads((Path(__file__).parent / "cases" / "nats_measured.json").read_text("utf-8"))["rows"]
US = ("us-a", "us-b", "us-c")
EU = ("eu-a", "eu-b", "eu-c")


def shape(where: Any = THREE, *streams: Any, **settings: Any) -> Shape:
    return shape_of(nats(*(streams or (MATCHES, TELEMETRY)), **settings), where)


def stream(fate: Fate, name: str) -> StreamFate:
    return next(each for each in fate.streams if each.stream.name == name)


def test_nothing_lost_changes_nothing() -> None:
    fate = fate_of(shape())

    assert (fate.meta.leader, fate.meta.alive, fate.meta.majority, fate.meta.election) == (True, 9, 5, None)
    assert all(
        (each.writable, each.interrupted, each.stale, each.loss) == ("yes", False, False, "none")
        for each in fate.streams
    )


# --- regions

REGION_LOSS = {
    # where, component, lost: leader, alive, majority
    "one of three": (THREE, {}, US, (True, 6, 5)),
    "two of three": (THREE, {}, US + EU, (False, 3, 5)),
    "one of two": (TWO, {}, US, (False, 3, 4)),
    "one of two and a witness": (WITNESS, {"witness": "fra"}, US, (True, 4, 4)),
    "the witness": (WITNESS, {"witness": "fra"}, ("fra",), (True, 6, 4)),
    "a region and the witness": (WITNESS, {"witness": "fra"}, (*US, "fra"), (False, 3, 4)),
}


@pytest.mark.parametrize("where, settings, lost, expected", REGION_LOSS.values(), ids=REGION_LOSS.keys())
def test_a_majority_of_all_servers_leads(where: Any, settings: dict[str, Any], lost: Any, expected: Any) -> None:
    meta = fate_of(shape(where, **settings), lost=lost).meta

    assert (meta.leader, meta.alive, meta.majority) == expected
    assert (meta.election is None) is not meta.leader


def test_streams_of_the_surviving_region_go_on_without_a_leader() -> None:
    fate = fate_of(shape(TWO), lost=US)

    assert fate.meta.unmanaged == ("eu",)
    assert stream(fate, "TELEMETRY-eu").writable == "yes"
    assert stream(fate, "TELEMETRY-eu").rule.endswith("no consumer can be made meanwhile")


def test_the_stream_of_a_lost_region_waits_for_somebody_who_promotes_its_mirror() -> None:
    fate = fate_of(shape(), lost=US)
    matches = stream(fate, "MATCHES")

    assert (matches.writable, matches.copies, matches.needs_human) == ("no", ("MATCHES-mirror-eu",), True)
    assert matches.loss == "once a copy is promoted, what was published within the last 76 ms or more (round trip)"
    assert (stream(fate, "MATCHES-mirror-eu").writable, stream(fate, "MATCHES-mirror-eu").stale) == ("yes", True)


def test_a_stream_without_a_mirror_needs_nobody_but_its_region() -> None:
    lonely = {"name": "A", "subjects": ["a.>"], "regions": ["us"], "max_bytes": "1Gi"}
    (fate,) = fate_of(shape(THREE, lonely), lost=US).streams

    assert (fate.writable, fate.needs_human, fate.copies) == ("no", False, ())
    assert fate.loss == "none; after a power loss what was acknowledged in the last 120 s"


def test_a_sync_before_each_answer_loses_nothing_to_a_power_loss() -> None:
    lonely = {"name": "A", "subjects": ["a.>"], "regions": ["us"], "max_bytes": "1Gi"}
    (fate,) = fate_of(shape(THREE, lonely, jetstream={"sync_interval_secs": 0}), lost=US).streams

    assert fate.loss.endswith("each message is on disk before it is acknowledged")


# --- zones and servers


def test_a_zone_may_take_a_leader_and_no_message() -> None:
    fate = fate_of(shape(), lost=["us-a"])
    matches = stream(fate, "MATCHES")

    assert (matches.writable, matches.interrupted, matches.loss) == ("yes", True, "none")
    assert matches.recovery == election_secs(2)
    assert stream(fate, "TELEMETRY-eu").interrupted is False


def test_two_zones_stop_three_replicas() -> None:
    assert stream(fate_of(shape(), lost=["us-a", "us-b"]), "MATCHES").writable == "no"


def test_what_depends_on_where_replicas_lie_is_said_so() -> None:
    wide = estate(region("us", 5), region("eu", 3), region("ap", 3))
    fates = [fate_of(shape(wide), lost=US[:count]) for count in range(4)]

    # Three replicas in five zones: two lost zones have at most two of them, and at least none.
    assert [stream(fate, "MATCHES").writable for fate in fates] == ["yes", "yes", "perhaps", "perhaps"]


def test_a_single_replica_goes_with_its_server() -> None:
    single = {"name": "A", "subjects": ["a"], "regions": ["us"], "replicas": 1, "max_bytes": "1Gi"}

    assert fate_of(shape(THREE, single), lost={"us-a": 1}).streams[0].writable == "perhaps"
    assert (
        fate_of(shape(estate(region("us", 1), region("eu"), region("ap")), single), lost=["us-a"]).streams[0].writable
        == "no"
    )


def test_one_server_of_a_zone_with_two_may_have_none_of_a_stream() -> None:
    fate = fate_of(shape(servers_per_zone=2), lost={"us-a": 1})
    matches = stream(fate, "MATCHES")

    assert (fate.meta.alive, fate.meta.majority) == (17, 10)
    assert (matches.writable, matches.interrupted) == ("yes", True)


# --- cuts


def test_a_region_that_is_cut_off_writes_and_manages_nothing() -> None:
    cut = [frozenset(("eu", "us")), frozenset(("eu", "ap"))]
    fate = fate_of(shape(), cut=cut)

    assert (fate.meta.managed, fate.meta.unmanaged) == (("us", "ap"), ("eu",))
    assert stream(fate, "TELEMETRY-eu").writable == "yes"
    assert stream(fate, "MATCHES-mirror-eu").stale is True
    assert stream(fate, "MATCHES-mirror-eu").catch_up == catch_up_secs()


def test_one_cut_of_three_leaves_the_region_that_reaches_both_to_lead() -> None:
    meta = fate_of(shape(), cut=[frozenset(("us", "eu"))]).meta

    assert (meta.leader, meta.managed, meta.unsettled) == (True, ("us", "eu", "ap"), False)


def test_two_regions_cut_apart_have_no_leader() -> None:
    meta = fate_of(shape(TWO), cut=[frozenset(("us", "eu"))]).meta

    assert (meta.leader, meta.unmanaged) == (False, ("us", "eu"))


def test_a_witness_decides_between_two_regions_cut_apart() -> None:
    meta = fate_of(shape(WITNESS, witness="fra"), cut=[frozenset(("us", "eu"))]).meta

    assert (meta.leader, meta.managed) == (True, ("us", "eu", "fra"))


# --- times


@pytest.mark.parametrize("voters, mean", [(2, 4 + 5 / 3 - 0.5), (6, 4 + 5 / 7 - 0.5), (8, 4 + 5 / 9 - 0.5)])
def test_the_first_of_many_is_early(voters: int, mean: float) -> None:
    secs = election_secs(voters)

    assert secs.mean == pytest.approx(mean)
    assert (secs.best, secs.worst) == (3.0, 9.0)


def test_a_copy_asks_ever_more_rarely() -> None:
    worst = [catch_up_secs(cut).worst for cut in (5, 15, 25, 60, 100, 10_000, None)]

    # Attempts fail after 10, 20, 40, 70, 110 … s, and each pauses 10 s longer than the one before.
    assert worst == [24, 44, 54, 64, 74, 154, 154]


def test_measured_heals_lie_within() -> None:
    rows = [row for row in MEASURED if row["what"] == "mirror caught up"]

    assert rows
    for row in rows:
        rule = catch_up_secs(row["cut_secs"])
        assert rule.best <= row["secs"] <= rule.worst, row


def test_measured_elections_lie_within() -> None:
    rows = [row for row in MEASURED if "voters" in row]

    assert rows
    for row in rows:
        rule = election_secs(row["voters"])
        assert rule.best <= row["secs"] <= rule.worst, row


# --- the half


def test_who_holds_half_is_found() -> None:
    assert region_holding_half(shape(TWO)) == ("us", 3)
    assert region_holding_half(shape(THREE)) is None
    assert region_holding_half(shape(WITNESS, witness="fra")) is None
    assert region_holding_half(shape_of(alone(), ONE)) is None


def test_a_region_is_counted_by_servers_and_a_witness_by_one() -> None:
    config = nats(MATCHES, servers_per_zone=2, witness="fra")

    assert shape_of(config, WITNESS).members == 13


def test_two_datacenters_of_one_zone_are_one_zone_of_a_stream() -> None:
    twins = (Datacenter("x", "z1", "us", "us"), Datacenter("y", "z1", "us", "us"), Datacenter("w", "z2", "us", "us"))
    where = estate(EstateRegion("us", "us", twins, "aws"), region("eu"), region("ap"))
    single = {"name": "A", "subjects": ["a"], "regions": ["us"], "max_bytes": "1Gi"}

    assert fate_of(shape(where, single), lost=["x"]).streams[0].writable == "perhaps"
