"""A field that cannot be read hides no other fault of its component, and makes no follow-up of its own."""

import copy
from collections.abc import Mapping
from typing import Any

import pytest

from aether_deploy.infrastructure.registry import component_types
from aether_deploy.platform.config import Platform
from aether_deploy.problems import ConfigError, Problem
from tests.component_cases import description_of, every_example, platform_of

NONSENSE = [[7]]
"""What no field holds: neither text nor a number, no mapping, and no list of any of these."""


def problems_of(description: Mapping[str, Any]) -> tuple[Problem, ...]:
    try:
        return Platform.from_values(description).problems()
    except ConfigError as error:
        return error.problems


def with_first(kind: str, title: str, **changed: Any) -> dict[str, Any]:
    """Return the description of an example with other fields of its component."""
    description = copy.deepcopy(description_of(kind, title))
    description["components"][0].update(changed)
    return description


@every_example
def test_a_field_that_cannot_be_read_is_the_only_thing_that_is_told_of(kind: str, title: str) -> None:
    sound = {str(each) for each in platform_of(kind, title).problems()}
    fields = [name for name in component_types()[kind].__struct_fields__ if name not in ("name", "kind", "enabled")]

    for name in fields:
        found = [each for each in problems_of(with_first(kind, title, **{name: NONSENSE})) if str(each) not in sound]
        there = [each for each in found if each.path.startswith(f"$.components[0].{name}")]

        assert there, name
        assert [str(each) for each in found if each not in there] == []


@every_example
def test_a_region_that_is_not_there_is_told_of_beside_a_field_that_cannot_be_read(kind: str, title: str) -> None:
    found = problems_of(with_first(kind, title, regions=["us-east-1", "mars-1"], labels=NONSENSE))

    assert "$.components[0].regions[1]" in [each.path for each in found]


CLASS = {"name": "hashed", "match": "/public/build/", "ttl_secs": -1}
BESIDE: dict[str, tuple[str, str, dict[str, Any], list[str]]] = {
    "an edge of a provider": (
        "edge", "cloudfront",
        {
            "hostname": "CDN_x.example.com", "shield": "mars-1", "origin": "origin-s3/game-asset",
            "cache_size": "5Gi", "cache_classes": [CLASS],
        },
        ["cache_classes[0].ttl_secs", "cache_size", "hostname", "origin", "shield"],
    ),
    "an edge that runs here": (
        "edge", "shielded", {"shield": "ap", "replicas": 0, "origin": "origin-stor/game-assets"},
        ["origin", "replicas", "shield"],
    ),
    "a region and a bucket, though classes are not known": (
        "edge", "shielded", {"shield": "ap", "origin": "origin-store/game-asset", "cache_classes": [CLASS]},
        ["cache_classes[0].ttl_secs", "origin", "shield"],
    ),
    "a shield, though its regions are not known": (
        "edge", "shielded", {"shield": "ap", "regions": ["us-east-1", 5]}, ["regions", "shield"],
    ),
    "a standby": (
        "postgres", "standby", {"members": 0, "standby": {"region": "mars-1"}}, ["members", "standby.region"],
    ),
    "a store that cannot be followed": (
        "object_store", "two-regions", {"endpoint": "assets.example.com", "users": NONSENSE}, ["endpoint", "users[0]"],
    ),
    "a cache with too many copies": ("valkey", "session-cache", {"replicas": 3, "shards": -1}, ["replicas", "shards"]),
    "streams": (
        "nats", "supercluster",
        {"pvc": NONSENSE, "streams": [{"name": "A", "subjects": ["a"], "regions": ["mars-1"], "max_bytes": "1Gi"}]},
        ["pvc", "streams[0].regions[0]"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("sentence", BESIDE)
def test_what_is_wrong_elsewhere_is_told_beside_what_cannot_be_read(sentence: str) -> None:
    kind, title, changed, wrong = BESIDE[sentence]

    found = [each for each in problems_of(with_first(kind, title, **changed)) if each.severity == "error"]

    assert sorted({each.path.removeprefix("$.components[0].") for each in found}) == wrong


def test_a_bucket_that_is_not_there_is_told_of_though_its_store_has_faults() -> None:
    description = with_first("edge", "shielded", origin="origin-store/game-asset")
    store = next(each for each in description["components"] if each["name"] == "origin-store")
    store["pvc"] = NONSENSE

    found = [f"{each.path}: {each.reason}" for each in problems_of(description)]

    assert "$.components[0].origin: 'origin-store' has no bucket 'game-asset'" in found
    assert not [each for each in found if "no object store is called" in each]


def test_a_store_of_which_nothing_is_known_is_not_said_to_lack_a_bucket() -> None:
    description = with_first("edge", "shielded")
    store = next(each for each in description["components"] if each["name"] == "origin-store")
    store["buckets"] = NONSENSE

    found = [each.path for each in problems_of(description) if each.severity == "error"]

    assert [path.partition(".buckets")[0] for path in found] == ["$.components[1]"]
