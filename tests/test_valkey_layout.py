"""Where copies of shards are, what zones can be lost, and how long that takes: in tables and in laws."""

import itertools
import random
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aether_deploy.infrastructure.estate import Datacenter, EstateRegion
from aether_deploy.infrastructure.valkey.layout import SLOTS, nodes_of, slot_ranges
from aether_deploy.infrastructure.valkey.survival import (
    Shape,
    drifted,
    fate_of,
    second_losses,
    shape_of,
    zone_survival,
)
from aether_deploy.infrastructure.valkey.timing import failover_secs, grace_secs, return_pause_secs
from tests.valkey_cases import ONE, valkey, zoned

US = ONE.regions[0]


def test_three_shards_have_the_slots_that_every_tool_gives_them() -> None:
    assert slot_ranges(3) == ((0, 5460), (5461, 10922), (10923, 16383))


@given(st.integers(1, 1000))
def test_every_slot_has_one_shard_and_no_shard_has_more_than_one_slot_more(shards: int) -> None:
    ranges = slot_ranges(shards)
    sizes = {last - first + 1 for first, last in ranges}

    assert [slot for first, last in ranges for slot in range(first, last + 1)] == list(range(SLOTS))
    assert max(sizes) - min(sizes) <= 1


def test_a_shards_replica_is_in_the_zone_after_its_primarys() -> None:
    found = [(node.pod, node.shard, node.copy) for node in nodes_of(valkey(), US)]

    assert found == [
        ("sessions-us-a-0", 0, 0), ("sessions-us-b-1", 0, 1),
        ("sessions-us-b-0", 1, 0), ("sessions-us-c-1", 1, 1),
        ("sessions-us-c-0", 2, 0), ("sessions-us-a-1", 2, 1),
    ]  # fmt: skip


@given(shards=st.integers(3, 24), replicas=st.integers(1, 5), zones=st.integers(1, 7))
def test_copies_share_no_zone_while_there_are_enough_and_load_is_even(shards: int, replicas: int, zones: int) -> None:
    nodes = nodes_of(valkey(shards=shards, replicas=replicas), zoned(zones).regions[0])

    for shard in range(shards):
        homes = [node.datacenter.zone for node in nodes if node.shard == shard]
        assert len(set(homes)) == min(replicas + 1, zones)
    primaries = Counter(node.datacenter.zone for node in nodes if node.copy == 0)
    assert max(primaries.values()) == -(-shards // zones)
    names = [node.pod for node in nodes]
    assert len(set(names)) == len(names) == shards * (replicas + 1)
    for name, count in Counter(node.stateful_set for node in nodes).items():
        assert {node.pod for node in nodes if node.stateful_set == name} == {f"{name}-{at}" for at in range(count)}


@given(shards=st.integers(3, 12), replicas=st.integers(1, 3), zones=st.integers(1, 5))
def test_a_further_replica_moves_no_pod(shards: int, replicas: int, zones: int) -> None:
    region = zoned(zones).regions[0]
    before = nodes_of(valkey(shards=shards, replicas=replicas), region)
    after = nodes_of(valkey(shards=shards, replicas=replicas + 1), region)

    assert set(before) < set(after)


def test_datacenters_of_one_zone_share_what_it_holds() -> None:
    names = {"dub1": "a", "dub2": "a", "dub3": "b", "dub4": "c"}
    region = EstateRegion("eu", "dublin", tuple(Datacenter(n, z, "eu", "dublin") for n, z in names.items()))
    nodes = nodes_of(valkey(shards=6), region)

    assert Counter(node.datacenter.name for node in nodes) == {"dub1": 2, "dub2": 2, "dub3": 4, "dub4": 4}
    for shard in range(6):
        assert len({node.datacenter.zone for node in nodes if node.shard == shard}) == 2


def test_a_witness_holds_no_copy() -> None:
    witness = Datacenter("fra", "fra-a", "us", "frankfurt", witness=True)
    region = EstateRegion("us", "us", (*US.datacenters, witness))

    assert nodes_of(valkey(), region) == nodes_of(valkey(), US)


# --- what is left


SURVIVAL = {
    "three shards in three zones": (3, 3, {"us-a", "us-b", "us-c"}),
    "two zones": (3, 2, {"us-b"}),
    "one zone": (3, 1, set()),
    "four shards in three zones: half of them in one": (4, 3, {"us-b", "us-c"}),
    "four shards in four zones": (4, 4, {"us-a", "us-b", "us-c", "us-d"}),
    "five shards in three zones": (5, 3, {"us-a", "us-b", "us-c"}),
    "six shards in three zones": (6, 3, {"us-a", "us-b", "us-c"}),
}


@pytest.mark.parametrize("shards, zones, survived", SURVIVAL.values(), ids=SURVIVAL.keys())
def test_zones_that_may_be_lost(shards: int, zones: int, survived: set[str]) -> None:
    fates = zone_survival(shape_of(valkey(shards=shards), zoned(zones).regions[0]))

    assert {zone for zone, fate in fates.items() if fate.survives} == survived


def test_after_a_zone_was_back_the_one_that_took_over_must_not_go() -> None:
    shape = shape_of(valkey(), US)
    after = drifted(shape, "us-a")

    assert after.shards == (("us-b", "us-a"), ("us-b", "us-c"), ("us-c", "us-a"))
    assert second_losses(shape, "us-a") == ("us-b",)
    assert fate_of(after, ("us-b",)).votes == 1


def brute_survives(shape: Shape, lost: set[str]) -> bool:
    """Return whether all slots are served, by playing the election: who is alive, who votes, who can be voted for."""
    alive = [[zone not in lost for zone in copies] for copies in shape.shards]
    votes = sum(copies[0] for copies in alive)
    if votes * 2 <= len(alive):
        return False
    return all(any(copies) for copies in alive)


SEED = 20261126


def test_fates_are_those_of_an_election_that_is_played() -> None:
    print(f"seed {SEED}")
    chance = random.Random(SEED)
    for _ in range(3000):
        zones = "abcde"[: chance.randint(1, 5)]
        shards = tuple(
            tuple(chance.choice(zones) for _ in range(chance.randint(1, 4))) for _ in range(chance.randint(1, 9))
        )
        shape, lost = Shape(shards), {zone for zone in zones if chance.random() < 0.4}
        fate = fate_of(shape, lost)

        assert fate.survives == brute_survives(shape, lost)
        assert fate.votes == sum(copies[0] not in lost for copies in shards)
        assert not set(fate.promoted) & set(fate.orphaned)
        assert set(fate.promoted) | set(fate.orphaned) == {at for at, each in enumerate(shards) if each[0] in lost}
        assert all(shards[at][0] not in lost and set(shards[at][1:]) & lost for at in fate.thinner)


def drifts(shape: Shape, zone: str) -> Iterator[Shape]:
    """Yield every cluster that there may be after ``zone`` was lost and is back, whoever took over."""
    choices = []
    for copies in shape.shards:
        heirs = [each for each in copies if each != zone] if copies[0] == zone else [copies[0]]
        choices.append([(heir, *(each for each in copies if each != heir)) for heir in heirs])
    yield from (Shape(tuple(shards)) for shards in itertools.product(*choices))


@given(shards=st.integers(3, 7), replicas=st.integers(1, 2), zones=st.integers(3, 5))
def test_a_second_loss_is_told_if_it_may_stop_the_cluster_whoever_took_over(
    shards: int, replicas: int, zones: int
) -> None:
    shape = shape_of(valkey(shards=shards, replicas=replicas), zoned(zones).regions[0])
    for zone in shape.zones:
        if not fate_of(shape, (zone,)).survives:
            continue
        feared = {
            each
            for after in drifts(shape, zone)
            for each in shape.zones
            if each != zone and not brute_survives(after, {each})
        }

        assert set(second_losses(shape, zone)) == feared


@given(shards=st.integers(3, 15), zones=st.integers(3, 6))
def test_what_the_rule_lets_through_survives_every_zone(shards: int, zones: int) -> None:
    where = zoned(zones)
    config = valkey(shards=shards)
    errors = [each for each in config.faults(where) if each.severity == "error"]
    fates = zone_survival(shape_of(config, where.regions[0])).values()

    assert all(fate.survives for fate in fates) == (not errors)


# --- times


@given(st.integers(500, 120_000))
def test_a_primary_that_is_back_waits_longer_than_its_replica_needs(node_timeout_ms: int) -> None:
    span = failover_secs(node_timeout_ms)

    assert node_timeout_ms / 1000 <= span.best < span.mean < span.worst
    assert return_pause_secs(node_timeout_ms) > span.worst
    assert grace_secs(node_timeout_ms) > span.worst


def test_a_failover_takes_one_to_two_node_timeouts() -> None:
    assert failover_secs(5000).range_text() == "5-10 s"
    assert failover_secs(2000).range_text() == "2-4.2 s"
    assert failover_secs(1000).range_text() == "1-2.2 s"
