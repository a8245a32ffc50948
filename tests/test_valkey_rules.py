"""What is refused of a session cache where it is to run, and what is only said."""

import pytest

from aether_deploy.config.base import Fault
from aether_deploy.infrastructure.valkey.image import lacks_handover
from aether_deploy.problems import ConfigError
from tests.nats_cases import estate, region
from tests.platform_cases import said
from tests.rule_case import DIGEST
from tests.valkey_cases import ONE, told, valkey, zoned


def test_three_shards_in_three_zones_are_sound() -> None:
    assert told(valkey()) == []


def test_two_zones_are_refused_with_the_reason() -> None:
    assert told(valkey(), zoned(2)) == [
        "$: error: region 'us' has two zones, and one always holds half of the primaries or more: without zone 'us-a', "
        "which holds 2 of 3, 2 votes are not there, and no replica takes over / give the region a third zone, or let "
        "'regions' leave it out"
    ]


@pytest.mark.parametrize("shards", [3, 4, 5, 6, 7, 12])
def test_no_number_of_shards_makes_two_zones_safe(shards: int) -> None:
    assert len(told(valkey(shards=shards), zoned(2))) == 1


def test_one_zone_is_a_warning() -> None:
    assert told(valkey(), zoned(1)) == [
        "$: warning: region 'us' has one zone, and all sessions there go with it / give the region three zones, unless "
        "players may log in again"
    ]


def test_a_warning_about_a_region_is_told_whole_and_names_no_value() -> None:
    regions = "regions: [{code: us-east-1, zones: [a]}, {code: eu-west-1, enabled: false}]"
    data = f"""
tools_image: aether/deploy-tools:v1@{DIGEST}
components:
  - {{name: sessions, kind: valkey, image: "valkey/valkey:9.1.2@{DIGEST}", maxmemory: 1Gi, regions: [us-east-1]}}
"""

    assert [each for each in said(data, regions) if "sessions" in each] == [
        "$.components[0]: warning: region 'us-east-1' has one zone, and all sessions there go with it\n"
        "  fix: give the region three zones, unless players may log in again"
    ]


def test_half_of_the_primaries_in_one_zone_is_refused() -> None:
    assert told(valkey(shards=4)) == [
        "shards: error: zone 'us-a' of region 'us' would hold 2 of them: without it 2 primaries are left, 3 votes are "
        "needed, and no replica takes over / set it to 3 or 5"
    ]


def test_more_copies_than_zones_are_refused() -> None:
    assert told(valkey(replicas=3)) == [
        "replicas: error: 4 copies of a shard, and region 'us' has 3 zones / lower it to 2 or less: a zone is lost as "
        "a whole"
    ]


def test_each_region_is_judged_by_its_own_zones_and_only_where_the_component_runs() -> None:
    where = estate(region("us"), region("eu", 2))

    assert [each.partition(" has ")[0] for each in told(valkey(), where)] == ["$: error: region 'eu'"]
    assert told(valkey(regions=["us"]), where) == []
    assert told(valkey(enabled=False), where) == []


def test_without_a_tools_image_nobody_makes_the_cluster() -> None:
    assert told(valkey(), estate(region("us"), tools_image=None)) == [
        "$: error: needs 'tools_image': without the Job that it runs its nodes stay apart, and own no slots / add "
        "tools_image at the top: the image of aether-deploy itself"
    ]


def test_the_memory_limit_follows_from_maxmemory() -> None:
    for size, limit in {"2Gi": "3Gi", "700Mi": "1050Mi", "1G": "1431Mi", "100Mi": "150Mi"}.items():
        resources = valkey(maxmemory=size).resources

        assert (resources.memory_limit, resources.memory_request) == (limit, limit)


def test_a_limit_that_is_given_is_kept_and_judged() -> None:
    assert valkey(resources={"memory_limit": "750Mi"}).resources.memory_request == "750Mi"
    with pytest.raises(ConfigError, match=r"100 % of resources.memory_limit, which is 512Mi"):
        valkey(resources={"memory_limit": "512Mi"})


IMAGES = {
    "valkey/valkey:9.1.2": True, "valkey/valkey:8.1": False, "valkey:8": False, "valkey/valkey:v7.2.5-alpine": False,
    "redis:9.0": False, "library/redis": False, "mirror/redis-cluster:latest": False, "valkey/valkey:unstable": True,
    "valkey/valkey": True, "reg.example:8000/valkey": True, "valkey/valkey:10-rc1": True, "redislike/valkey:9.0": True,
    "own/valkey:build-8.1": True, "own/valkey:20260101": True,
}  # fmt: skip


@pytest.mark.parametrize("image, taken", IMAGES.items())
def test_an_image_is_refused_that_is_known_not_to_hand_over(image: str, taken: bool) -> None:
    assert lacks_handover(f"{image}@{DIGEST}") == (not taken)


@pytest.mark.parametrize("pvc", [{}, {"storage_class": "fast"}, {"mount_path": "/cache"}, {"size": "2Gi"}])
def test_what_is_said_of_the_volume_leaves_the_rest_to_defaults(pvc: dict[str, str]) -> None:
    found = valkey(pvc=pvc).pvc

    assert {"size": "1Gi", "mount_path": "/data", "storage_class": None, **pvc} == {
        name: getattr(found, name) for name in ("size", "mount_path", "storage_class")
    }


@pytest.mark.parametrize("path", ["/etc/valkey", "/run/aether/secrets", "/run/aether/secrets/x", "/run/valkey", "/tmp"])
def test_no_volume_is_where_the_container_sees_something_else(path: str) -> None:
    with pytest.raises(ConfigError, match=r"where the container sees something else"):
        valkey(pvc={"mount_path": path})


def test_a_size_that_is_none_is_told_as_such_and_nothing_else() -> None:
    with pytest.raises(ConfigError) as caught:
        valkey(maxmemory="lots")

    assert [problem.path for problem in caught.value.problems] == ["$.maxmemory"]


def test_faults_stand_at_fields_that_there_are() -> None:
    for config, where in ((valkey(shards=4), ONE), (valkey(replicas=5), ONE), (valkey(), zoned(2))):
        for fault in config.faults(where):
            assert isinstance(fault, Fault)
            assert not fault.at or hasattr(config, str(fault.at[0]))
