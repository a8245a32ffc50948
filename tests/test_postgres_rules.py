"""What is said of a PostgreSQL cluster that would not do what its description promises."""

import re
from typing import Any

import pytest

from aether_deploy.infrastructure.estate import Datacenter, Estate, EstateRegion
from aether_deploy.infrastructure.kinds.postgres import PostgresConfig
from aether_deploy.pods.storage import PvcConfig
from tests.postgres_cases import PATRONI, SHARDED, STANDBY, VALUES, ZALANDO, config, estate, path, said

SYNC = {"synchronous_mode": True}
QUORUM = {"synchronous_mode": "quorum"}
STRICT = {"synchronous_mode_strict": True}
SPILO_14 = f"ghcr.io/zalando/spilo-14:2.1-p7@sha256:{'0' * 64}"


def test_the_smallest_cluster_has_nothing_to_say_against_it() -> None:
    assert said() == []


def test_every_shape_of_the_reference_is_sound() -> None:
    assert said(**STANDBY, failover=QUORUM) == []
    assert said(**SHARDED, members=3) == []


CASES: dict[str, tuple[dict[str, Any], str]] = {
    "every region": ({"regions": "all"}, "error: regions: not one region; a cluster has one primary"),
    "two regions": ({"regions": ["us-east-1", "eu-west-1"]}, "$.regions: "),
    "no region": ({"regions": []}, "$.regions: "),
    "no image": ({"image": "none"}, "$: lacks 'image', which its pods run"),
    "a standby at home": (
        {**STANDBY, "standby": {"region": "us-east-1"}},
        "$.standby.region: is 'us-east-1'; the region of the cluster that it follows: both are lost together",
    ),
    "a standby without a way to the primary": (
        {"standby": STANDBY["standby"]},
        "$: lacks 'endpoint': the standby in 'eu-west-1' streams from the primary over it",
    ),
    "a standby of a primary that nobody exposes": (
        {**STANDBY, "expose": "none"},
        "$.endpoint: is 'accounts.{region}.example.com'; nothing exposes it",
    ),
    "a standby of shards": (
        {**SHARDED, **STANDBY, "tls": {"secret": "tls"}},
        "$.standby: not with sharding: each group would need an address of its own to stream from",
    ),
    "a standby in the clear": (
        {**STANDBY, "image": PATRONI},
        "$.standby: warning: passwords and data go to another region as plain text",
    ),
    "an endpoint that both regions have": (
        {**STANDBY, "endpoint": "accounts.example.com"},
        "$.endpoint: warning: is 'accounts.example.com'; the same name in both regions",
    ),
    "a database that is there anyway": (
        {"database": "template1"},
        "$.database: is 'template1'; a database that every cluster has from the start",
    ),
    "a database that follows from its name": (
        {"name": "postgres"},
        "$.database: is 'postgres'; a database that every cluster has from the start",
    ),
    "shards in a database that is there anyway": (
        {**SHARDED, "sharding": {"database": "postgres", "workers": 1}},
        "$.sharding.database: is 'postgres'; a database that every cluster has from the start",
    ),
    "a version that the image is too old for": (
        {"postgresql": {"version": 18}, "image": SPILO_14},
        "$.postgresql.version: is 18; not in the image, which is Spilo with PostgreSQL 14 and older ones",
    ),
    "a parameter in a slip of the pen": (
        {"postgresql": {"parameters": {"shared_bufers": "1GB"}}},
        "$.postgresql.parameters.shared_bufers: no parameter of PostgreSQL 18; Patroni leaves it out",
    ),
    "a parameter that went": (
        {"postgresql": {"parameters": {"promote_trigger_file": "x"}, "version": 14}},
        "$.postgresql.parameters.promote_trigger_file: is 'x'; not yours to set",
    ),
    "shards on Spilo": (
        {**SHARDED, "image": VALUES["image"]},
        "$.sharding: needs an image with Citus, and Spilo has none",
    ),
    "shards that are asynchronous": (
        {**SHARDED, "failover": {"synchronous_mode": False}},
        "$.failover.synchronous_mode: warning: is false; a group that fails over may lose writes that others keep",
    ),
    "another database than the shards'": (
        {**SHARDED, "database": "lobby"},
        "$.database: is 'lobby'; not sharding.database, which is 'game'",
    ),
    "one member": ({"members": 1}, "$.members: warning: is 1; no other member can take over"),
    "a worker of one": (
        {**SHARDED, "sharding": {**SHARDED["sharding"], "members_per_worker": 1}},
        "$.sharding.members_per_worker: warning: is 1; no other member can take over",
    ),
    "strict with one replica": (
        {"members": 2, "failover": {**SYNC, "synchronous_mode_strict": True}},
        "$.failover.synchronous_mode_strict: warning: is true; the only replica must have each write",
    ),
    "more synchronous replicas than there are": (
        {"failover": {**SYNC, "synchronous_mode_strict": True, "synchronous_node_count": 3}},
        "$.failover.synchronous_node_count: warning: is 3; more than the replicas, which are 2: Patroni waits for 2",
    ),
    "a quorum of two": (
        {"members": 2, "failover": QUORUM},
        "$.failover.synchronous_mode: warning: is 'quorum'; a quorum of one replica: the same as true",
    ),
    "a standby that could not write when it is needed": (
        {**STANDBY, "standby": {"region": "eu-west-1", "members": 1}, "failover": {**SYNC, **STRICT}},
        "$.standby.members: warning: is 1; failover.synchronous_mode_strict wants 1 replicas: once it is promoted no",
    ),
    "too few senders": (
        {"members": 5, "postgresql": {"parameters": {"max_wal_senders": 4}}},
        "$.postgresql.parameters.max_wal_senders: 4, and 5 are needed: for 4 that stream and one that is copied",
    ),
    "more members than senders by default": (
        {"members": 11},
        "$.postgresql.parameters.max_wal_senders: 10, and 11 are needed",
    ),
    "too few slots": (
        {**STANDBY, "members": 5, "postgresql": {"parameters": {"max_replication_slots": 4}}},
        "$.postgresql.parameters.max_replication_slots: 4, and 5 are needed: for 5 that stream",
    ),
    "a watchdog that must be": (
        {"failover": {"watchdog": "required"}},
        "$.failover.watchdog: is 'required'; a pod that is restricted sees no device of its node: without its",
    ),
    "a watchdog that may be": (
        {"failover": {"watchdog": "automatic"}},
        "$.failover.watchdog: warning: is 'automatic'; a pod that is restricted sees no device of its node: Patroni",
    ),
    "an archive and a small lag": (
        {"postgresql": {"parameters": {"archive_mode": "on", "archive_command": "true"}}},
        "$.failover.maximum_lag_on_failover: warning: is 1048576; less than a segment of WAL, which is 16777216",
    ),
    "no time to stop": (
        {"stop_secs": 30, "failover": {"primary_stop_timeout": 30}},
        "$.stop_secs: is 30; not more than failover.primary_stop_timeout, which is 30: the pod is killed first",
    ),
    "every pod exposed": ({"expose": {"per_pod": True}}, "$.expose.per_pod: is true; which pod takes writes changes"),
    "another port exposed": (
        {"expose": {"ports": ["api"]}},
        "$.expose.ports[0]: is 'api'; no port that is exposed",
    ),
    "a volume that pods share": (
        {"pvc": {"size": "1Gi", "access_mode": "ReadWriteMany"}},
        "$.pvc.access_mode: is 'ReadWriteMany'; lets two pods mount the data of one member",
    ),
    "a volume that goes": (
        {"pvc": {"size": "1Gi", "retention": {"when_deleted": "Retain"}}},
        "$.pvc.retention: not used: volumes of a database are always kept",
    ),
    "data where Spilo has none": (
        {"pvc": {"size": "1Gi", "mount_path": "/data"}},
        "$.pvc.mount_path: is '/data'; not where Spilo keeps its data",
    ),
    "a team of nobody": ({"team": "acid"}, "$.team: is 'acid'; not used by backend patroni"),
    "root": ({"identity": {"run_as_user": 0}}, "$.identity.run_as_user: is 0; root, which a restricted namespace"),
}


@pytest.mark.parametrize("case", CASES)
def test_what_cannot_work_is_said_once_and_nothing_else(case: str) -> None:
    settings, expected = CASES[case]
    found = said(**settings)

    assert [text.startswith(expected) for text in found] == [True], found


def zone_faults(zones: int, **settings: Any) -> list[str]:
    return [f"{path(fault.at)}: {fault.reason}" for fault in config(**settings).faults(estate(zones))]


def test_two_zones_may_hold_every_copy_of_a_synchronous_write_in_one() -> None:
    (told,) = zone_faults(2, failover=SYNC)

    assert told == (
        "members: 2 of them share a zone of region 'us-east-1': it may hold every copy of a write that was "
        "acknowledged, and then nobody takes over by himself"
    )


@pytest.mark.parametrize(
    "zones,settings",
    [
        (3, {"failover": SYNC}),
        (2, {"failover": {**SYNC, "synchronous_node_count": 2}}),
        (2, {"members": 2, "failover": SYNC}),
        (2, {}),
        (3, {"members": 3, "failover": QUORUM}),
    ],
)
def test_a_copy_elsewhere_or_none_promised_is_fine(zones: int, settings: dict[str, Any]) -> None:
    assert zone_faults(zones, **settings) == []


SHARED_ZONES = [(3, 5, 1), (3, 7, 2), (2, 4, 1), (2, 3, 1)]


@pytest.mark.parametrize("zones,members,count", SHARED_ZONES)
def test_more_members_than_zones_share_them(zones: int, members: int, count: int) -> None:
    assert zone_faults(zones, members=members, failover={**QUORUM, "synchronous_node_count": count})


@pytest.mark.parametrize("zones,members,count", SHARED_ZONES)
def test_each_way_out_of_a_shared_zone_is_one(zones: int, members: int, count: int) -> None:
    policy = {**QUORUM, "synchronous_node_count": count}
    (fault,) = config(members=members, failover=policy).faults(estate(zones))
    found = re.fullmatch(r"set \S+ to (\d+), or this to (\d+) or fewer, or give the region (\d+) zones", fault.fix)
    assert found is not None
    more_copies, fewer_members, more_zones = (int(number) for number in found.groups())
    letters = "abcdefgh"[:more_zones]
    region = EstateRegion("us-east-1", "x", tuple(Datacenter(each, each, "us-east-1", "x") for each in letters))
    wide = Estate(system="aether", environment="prod", regions=(region,))

    assert zone_faults(zones, members=members, failover={**policy, "synchronous_node_count": more_copies}) == []
    assert zone_faults(zones, members=fewer_members, failover=policy) == []
    assert list(config(members=members, failover=policy).faults(wide)) == []


def test_the_field_that_has_too_many_members_is_named() -> None:
    (told,) = zone_faults(3, **{**SHARDED, "sharding": {**SHARDED["sharding"], "members_per_worker": 5}})

    assert told.startswith("sharding.members_per_worker: 2 of them share a zone")


@pytest.mark.parametrize("name", ["Accounts", "acc_ounts", "1accounts", "a b", 7])
def test_a_bad_name_is_the_only_thing_that_is_said_of_it(name: object) -> None:
    (told,) = said(name=name)

    assert told.startswith("$.name: ")


def test_a_bad_name_of_a_sharded_database_is_said_once() -> None:
    (told,) = said(**{**SHARDED, "sharding": {"database": "a b", "workers": 1}})

    assert told.startswith("$.sharding.database: is 'a b'; not a name of a database")


@pytest.mark.parametrize("version", range(14, 19))
def test_an_image_of_spilo_has_its_own_version_and_older_ones(version: int) -> None:
    image = f"ghcr.io/zalando/spilo-17:4.0-p3@sha256:{'0' * 64}"

    assert bool(said(image=image, postgresql={"version": version})) == (version > 17)


def test_the_operators_own_user_gives_no_database_its_name() -> None:
    assert said(**ZALANDO, database="standby") == [
        "error: database: the operator's own user, and the database's is called like it",
        RESTRICTED,
    ]


def test_regions_may_be_left_out_where_there_is_one() -> None:
    component = config(regions="all")
    whole = estate()
    only = Estate(system="aether", environment="prod", regions=whole.regions[:1])

    assert list(component.faults(only)) == []
    assert component.placed_in(only) == ("us-east-1",)
    assert component.active_in(only) == component.serving_region(only, "us-east-1") == "us-east-1"
    assert component.active_in(whole) is None


def test_one_zone_loses_all_members_at_once() -> None:
    assert zone_faults(1) == ["members: all in one zone of region 'us-east-1': its loss is the loss of them all"]


def test_a_standby_in_a_region_that_is_switched_off_is_refused() -> None:
    around = estate(disabled=frozenset({"eu-west-1"}))
    found = [f"{path(fault.at)}: {fault.reason}" for fault in config(**STANDBY).faults(around)]

    assert found == ["standby.region: switched off"]


def test_a_cluster_answers_in_its_own_region_and_its_standby_nowhere() -> None:
    component, around = config(**STANDBY), estate()

    assert component.placed_in(around) == ("us-east-1", "eu-west-1")
    assert component.serving_region(around, "us-east-1") == "us-east-1"
    assert component.serving_region(around, "eu-west-1") is None
    assert component.serving_region(around, "ap-south-1") is None


def test_a_disabled_cluster_runs_nowhere() -> None:
    assert config(enabled=False, **STANDBY).placed_in(estate()) == ()


def test_python_and_a_file_make_the_same_cluster() -> None:
    built = PostgresConfig(name="accounts", image=VALUES["image"], regions=("us-east-1",), pvc=PvcConfig(size="20Gi"))

    assert built == config()
    assert PostgresConfig.from_values(built.to_values()) == built


def test_shards_are_synchronous_by_quorum_as_patroni_has_them() -> None:
    assert config(**SHARDED).failover.synchronous_mode == "quorum"
    assert config().failover.synchronous_mode is False


@pytest.mark.parametrize(
    "image,kind",
    [
        ("ghcr.io/zalando/spilo-18:4.1-p2", "spilo"),
        ("registry.example.com:5000/mirror/spilo-18:1", "spilo"),
        ("spilo:1", "spilo"),
        ("registry.example.com/patroni-citus:18.1", "patroni"),
        ("registry.example.com/spilo/patroni:1", "patroni"),
        ("example.com/patroni@sha256:" + "0" * 64, "patroni"),
    ],
)
def test_the_name_of_an_image_tells_its_kind(image: str, kind: str) -> None:
    assert config(image=image).image_kind == kind


def test_a_back_end_that_nobody_knows_is_refused() -> None:
    (told,) = said(backend="crunchy")

    assert told.startswith("$.backend: is 'crunchy'")


ZALANDO_CASES: dict[str, tuple[dict[str, Any], str]] = {
    "no team": ({"team": "none"}, "error: : lacks 'team', which the operator wants"),
    "another team": ({"team": "core"}, "error: name: does not begin with its team, which the operator wants: 'core-'"),
    "a name for no StatefulSet": (
        {"name": "acid-".ljust(53, "x")},
        "error: name: what the operator calls its StatefulSet, whose name has at most 52 characters",
    ),
    "a quorum": (
        {"failover": QUORUM},
        "error: failover.synchronous_mode: the operator's object has only true and false",
    ),
    "no lag at all": (
        {"failover": {"maximum_lag_on_failover": 0}},
        "error: failover.maximum_lag_on_failover: the operator leaves a 0 out, and Patroni takes its default then",
    ),
    "a start timeout": (
        {"failover": {"primary_start_timeout": 0}},
        "error: failover.primary_start_timeout: the operator's object has no field for it",
    ),
    "a timeline check": (
        {"failover": {"check_timeline": True}},
        "error: failover.check_timeline: the operator's object has no field for it",
    ),
    "shards": (
        {"sharding": SHARDED["sharding"], "failover": {"synchronous_mode": True}, "members": 2},
        "error: sharding: the operator's object has no field for it",
    ),
    "another image": ({"image": PATRONI}, "error: image: the operator runs images of Spilo only"),
    "a pull secret": ({"pull_secrets": ["registry"]}, "error: pull_secrets: the operator's object has no field for it"),
    "a volume for one pod": (
        {"pvc": {"size": "1Gi", "access_mode": "ReadWriteOncePod"}},
        "error: pvc.access_mode: the operator's volumes are ReadWriteOnce",
    ),
}
RESTRICTED = (
    "warning: backend: the operator's pods name no seccomp profile and keep capabilities: namespace "
    "'aether-prod-data' is restricted and admits none of them"
)


@pytest.mark.parametrize("case", ZALANDO_CASES)
def test_what_the_operators_object_cannot_say_is_a_problem(case: str) -> None:
    settings, expected = ZALANDO_CASES[case]

    assert said(**{**ZALANDO, **settings}) == [expected, RESTRICTED]


def test_that_a_restricted_namespace_admits_no_pod_of_the_operator_is_always_said() -> None:
    assert said(**ZALANDO) == [RESTRICTED]


@pytest.mark.parametrize("version", [13, 19])
def test_a_version_that_nobody_runs_is_refused(version: int) -> None:
    assert said(postgresql={"version": version})
