"""What an entry of ``streams`` means: which streams, where, of how many servers, and as servers take them."""

from typing import Any

import pytest

from aether_deploy.infrastructure.nats.streams import Stream, created, streams_of
from tests.nats_cases import MATCHES, ONE, TELEMETRY, THREE, estate, nats, region


def made(*streams: Any, where: Any = THREE, **settings: Any) -> tuple[Stream, ...]:
    return streams_of(nats(*streams, **settings), where)


def test_a_stream_of_one_region_has_its_name_and_mirrors_of_theirs() -> None:
    found = made({**MATCHES, "mirrors": ["eu", "ap"]})

    assert [(each.name, each.role, each.region, each.sources) for each in found] == [
        ("MATCHES", "origin", "us", ()),
        ("MATCHES-mirror-eu", "mirror", "eu", ("MATCHES",)),
        ("MATCHES-mirror-ap", "mirror", "ap", ("MATCHES",)),
    ]


def test_a_stream_of_several_regions_is_named_by_each_and_gathered_in_one() -> None:
    found = made(TELEMETRY)

    assert [(each.name, each.region, each.subjects, each.sources) for each in found] == [
        ("TELEMETRY-us", "us", ("telemetry.us.>",), ()),
        ("TELEMETRY-eu", "eu", ("telemetry.eu.>",), ()),
        ("TELEMETRY-ap", "ap", ("telemetry.ap.>",), ()),
        ("TELEMETRY-all", "us", (), ("TELEMETRY-us", "TELEMETRY-eu", "TELEMETRY-ap")),
    ]
    assert found[-1].max_bytes == 3 * 512 * 2**20


def test_mirrors_of_several_origins_are_told_apart() -> None:
    both = {"name": "A", "subjects": ["a.{region}"], "regions": ["us", "eu"], "mirrors": ["ap", "eu"]}

    assert [each.name for each in made(both)] == [
        "A-us", "A-eu", "A-us-mirror-eu", "A-us-mirror-ap", "A-eu-mirror-ap",
    ]  # fmt: skip


def test_a_stream_keeps_its_name_where_one_region_of_several_is_left() -> None:
    where = estate(region("us"), disabled=frozenset({"eu", "ap"}))

    assert [each.name for each in made(TELEMETRY, where=where)] == ["TELEMETRY-us", "TELEMETRY-all"]
    assert [each.name for each in made(TELEMETRY, where=ONE)] == ["TELEMETRY"]


def test_a_stream_of_one_listed_region_has_a_plain_name() -> None:
    assert [each.name for each in made({"name": "A", "subjects": ["a"], "regions": ["eu"]})] == ["A"]


@pytest.mark.parametrize("zones, replicas", [(1, 1), (2, 1), (3, 3), (5, 3)])
def test_replicas_follow_the_zones(zones: int, replicas: int) -> None:
    (stream,) = made({"name": "A", "subjects": ["a"]}, where=estate(region("us", zones)))

    assert stream.replicas == replicas


def test_each_region_has_the_replicas_that_it_can_have() -> None:
    where = estate(region("us"), region("eu", 1), region("ap", 2))

    assert [(each.region, each.replicas) for each in made(TELEMETRY, where=where)] == [
        ("us", 3), ("eu", 1), ("ap", 1), ("us", 3),
    ]  # fmt: skip


def test_a_disabled_entry_makes_nothing() -> None:
    assert made({**MATCHES, "enabled": False}) == ()


def test_an_origin_as_servers_take_it() -> None:
    (stream, _) = made({**MATCHES, "max_age_secs": 60})

    assert created(stream) == {
        "name": "MATCHES",
        "subjects": ["matches.>"],
        "retention": "limits",
        "storage": "file",
        "num_replicas": 3,
        "placement": {"cluster": "us", "tags": ["region:us"]},
        "discard": "old",
        "compression": "none",
        "max_age": 60 * 10**9,
        "max_bytes": 2**30,
        "max_msgs": -1,
        "max_msg_size": -1,
        "allow_direct": True,
        "duplicate_window": 60 * 10**9,
    }


def test_a_copy_has_no_subjects() -> None:
    mirror, aggregate = made(MATCHES)[1], made(TELEMETRY)[-1]

    assert "subjects" not in created(mirror)
    assert created(mirror)["mirror"] == {"name": "MATCHES"}
    assert "subjects" not in created(aggregate)
    assert created(aggregate)["sources"] == [{"name": f"TELEMETRY-{code}"} for code in ("us", "eu", "ap")]
