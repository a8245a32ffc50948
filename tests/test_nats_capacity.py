"""Room for streams: what never fits, and what fits however servers choose; held against a player who chooses badly."""

import random
from itertools import groupby

from hypothesis import given
from hypothesis import strategies as st

from aether_deploy.infrastructure.nats.capacity import fullest, room_to_be_sure, size_text
from aether_deploy.infrastructure.nats.streams import Stream, streams_of
from tests.nats_cases import estate, nats, region

MIB = 2**20
SIZES = st.lists(st.tuples(st.sampled_from([1, 3, 5]), st.integers(1, 40)), min_size=1, max_size=8)


def streams(sizes: list[tuple[int, int]], zones: int) -> tuple[tuple[Stream, ...], int]:
    entries = [
        {
            "name": f"S{at}",
            "subjects": [f"s{at}.>"],
            "regions": ["us"],
            "replicas": min(count, zones),
            "max_bytes": f"{mib}Mi",
        }
        for at, (count, mib) in enumerate(sizes)
    ]
    return streams_of(nats(*entries), estate(region("us", zones))), sum(mib for _, mib in sizes) * MIB


def placed(found: tuple[Stream, ...], zones: int, servers: int, room: int, chance: random.Random) -> bool:
    """Whether every stream finds a place where each takes any servers with room, of different zones, in any order."""
    left = {(zone, server): room for zone in range(zones) for server in range(servers)}
    for stream in chance.sample(found, len(found)):
        assert stream.max_bytes is not None
        able = sorted(place for place, free in left.items() if free >= stream.max_bytes)
        by_zone = [list(places) for _, places in groupby(able, key=lambda place: place[0])]
        if len(by_zone) < stream.replicas:
            return False
        for places in chance.sample(by_zone, stream.replicas):
            left[chance.choice(places)] -= stream.max_bytes
    return True


@given(SIZES, st.integers(1, 5), st.integers(1, 3), st.integers(0, 2**16))
def test_with_room_to_be_sure_every_choice_is_good(
    sizes: list[tuple[int, int]], zones: int, servers: int, seed: int
) -> None:
    found, _ = streams(sizes, zones)
    us = region("us", zones)
    room = room_to_be_sure(found, us, servers, "file")

    assert placed(found, zones, servers, room, random.Random(seed)), f"seed {seed}"


@given(SIZES, st.integers(1, 5), st.integers(1, 3))
def test_what_is_sure_fits_and_all_of_it_is_always_enough(
    sizes: list[tuple[int, int]], zones: int, servers: int
) -> None:
    found, everything = streams(sizes, zones)
    us = region("us", zones)
    needed, sure = (rule(found, us, servers, "file") for rule in (fullest, room_to_be_sure))

    assert needed <= sure <= everything


def test_one_server_a_zone_and_all_replicas_need_what_they_hold() -> None:
    found, everything = streams([(3, 10), (3, 20), (3, 5)], 3)

    assert room_to_be_sure(found, region("us"), 1, "file") == fullest(found, region("us"), 1, "file") == everything


def test_less_than_sure_may_fail() -> None:
    found, _ = streams([(1, 10), (1, 10), (1, 10), (1, 10)], 3)
    us = region("us")
    room = fullest(found, us, 1, "file")

    outcomes = {placed(found, 3, 1, room - 1, random.Random(seed)) for seed in range(200)}
    assert room_to_be_sure(found, us, 1, "file") >= room
    assert outcomes == {False}


def test_sizes_are_written_as_a_file_has_them() -> None:
    assert [size_text(amount) for amount in (2**30, 2**30 + 1, 3 * 2**29, 1)] == ["1Gi", "1025Mi", "1536Mi", "1Mi"]
