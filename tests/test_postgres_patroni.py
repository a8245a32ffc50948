"""What the pods of a cluster are told: by configuration file, by variables, and by the Services that find them."""

import json
from typing import Any

import pytest

from aether_deploy.failover.policy import FailoverPolicy
from aether_deploy.infrastructure.postgres.configuration import (
    dynamic_configuration,
    patch_body,
    patroni_configuration,
)
from aether_deploy.infrastructure.postgres.groups import groups_in
from aether_deploy.infrastructure.postgres.parameters import DYNAMIC
from aether_deploy.infrastructure.postgres.probes import PERIOD_SECS, readiness_failures
from tests.postgres_cases import (
    PATRONI,
    SHARDED,
    STANDBY,
    Body,
    config,
    container_of,
    file_of,
    pod_of,
    rendered,
)

SETS = "StatefulSet"


def names(objects: dict[tuple[str, str], Body], kind: str) -> set[str]:
    return {name for each, name in objects if each == kind}


def variables(container: Body) -> dict[str, Any]:
    return {each["name"]: each.get("value", each.get("valueFrom")) for each in container["env"]}


def test_a_cluster_is_what_the_reference_names() -> None:
    objects = rendered(config(expose={}, endpoint="accounts.{region}.example.com"))

    assert {kind: names(objects, kind) for kind, _ in objects} == {
        "ServiceAccount": {"accounts"},
        "Role": {"accounts"},
        "RoleBinding": {"accounts"},
        "ConfigMap": {"accounts-config"},
        "Service": {"accounts", "accounts-repl", "accounts-headless", "accounts-external"},
        "StatefulSet": {"accounts-us-east-1"},
        "PodDisruptionBudget": {"accounts-us-east-1"},
        "NetworkPolicy": {"accounts"},
    }


def test_what_patroni_writes_never_meets_what_we_render() -> None:
    """Patroni keeps ``/config`` in a ConfigMap ``<scope>-config``; ours is ``<component>-config``."""
    component = config(image=PATRONI)
    objects = rendered(component)
    scope = file_of(objects)["scope"]

    assert scope == "accounts-us-east-1"
    assert f"{scope}-config" not in names(objects, "ConfigMap")


def test_the_role_is_what_patroni_asks_for_and_no_more() -> None:
    (configs, pods) = rendered(config())["Role", "accounts"]["rules"]

    assert configs["resources"] == ["configmaps"]
    assert configs["verbs"] == ["create", "get", "list", "patch", "watch"]
    assert pods["resources"] == ["pods"]
    assert pods["verbs"] == ["list", "patch", "watch"]


@pytest.mark.parametrize("image", [config().image, PATRONI])
def test_every_setting_of_the_policy_is_said_whatever_the_image_would_take(image: str) -> None:
    policy = FailoverPolicy(ttl=40, maximum_lag_on_failover=2_000_000, failsafe_mode=True)
    dcs = file_of(rendered(config(image=image, failover=policy)))["bootstrap"]["dcs"]

    assert {name: dcs[name] for name in ("loop_wait", "ttl", "retry_timeout")} == {
        "loop_wait": 10,
        "ttl": 40,
        "retry_timeout": 10,
    }
    assert dcs["maximum_lag_on_failover"] == 2_000_000
    assert dcs["failsafe_mode"] is True
    assert dcs["synchronous_mode"] is False


def test_spilo_is_told_what_its_own_defaults_would_spoil() -> None:
    """Spilo's limit is 32 MiB, it closes a segment of WAL every half hour, and counts connections by memory."""
    dcs = file_of(rendered(config()))["bootstrap"]["dcs"]

    assert dcs["maximum_lag_on_failover"] == 1_048_576
    assert dcs["postgresql"]["parameters"] == {
        "archive_mode": "off",
        "archive_timeout": 0,
        "max_connections": 100,
    }


# --- the two kinds of image


def test_spilo_is_started_as_it_wants_and_keeps_its_state_in_config_maps() -> None:
    objects = rendered(config())
    container, told = container_of(objects), variables(container_of(objects))

    assert "command" not in container
    assert told["DCS_ENABLE_KUBERNETES_API"] == told["KUBERNETES_USE_CONFIGMAPS"] == "true"
    assert told["SCOPE"] == "accounts-us-east-1"
    assert told["SPILO_CONFIGURATION"] == {"configMapKeyRef": {"name": "accounts-config", "key": "patroni.yml"}}
    assert told["PGPASSWORD_SUPERUSER"] == {"secretKeyRef": {"name": "accounts-members", "key": "superuser-password"}}
    assert json.loads(told["KUBERNETES_LABELS"]).items() <= pod_of(objects)["metadata"]["labels"].items()
    assert pod_of(objects)["metadata"]["labels"][told["KUBERNETES_SCOPE_LABEL"]] == told["SCOPE"]


def test_spilo_runs_as_its_own_user_on_a_root_that_it_may_write() -> None:
    objects = rendered(config())
    annotations = objects[SETS, "accounts-us-east-1"]["metadata"]["annotations"]
    security = container_of(objects)["securityContext"]

    assert (security["runAsUser"], security["runAsGroup"]) == (101, 103)
    assert pod_of(objects)["spec"]["securityContext"]["fsGroup"] == 103
    assert security["readOnlyRootFilesystem"] is False
    assert "the image writes into its root" in annotations.values()


def test_an_image_of_patroni_is_started_by_us_on_a_root_that_nobody_writes() -> None:
    objects = rendered(config(image=PATRONI))
    container, told = container_of(objects), variables(container_of(objects))

    assert container["command"] == ["patroni", "/etc/aether/patroni.yml"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert (container["securityContext"]["runAsUser"], container["securityContext"]["runAsGroup"]) == (999, 999)
    assert told["PATRONI_NAME"]["fieldRef"]["fieldPath"] == "metadata.name"
    assert told["PATRONI_REWIND_PASSWORD"]["secretKeyRef"]["name"] == "accounts-members"
    assert not any(key.startswith(("KUBERNETES_", "SPILO_")) for key in told)


def test_a_variable_stands_before_those_that_it_is_replaced_in() -> None:
    listed = [each["name"] for each in container_of(rendered(config(image=PATRONI)))["env"]]

    assert listed.index("POD_IP") < listed.index("PATRONI_POSTGRESQL_CONNECT_ADDRESS")
    assert listed.index("POD_IP") < listed.index("PATRONI_RESTAPI_CONNECT_ADDRESS")


@pytest.mark.parametrize("image", [config().image, PATRONI])
def test_everything_that_a_member_writes_lies_on_a_volume_of_its_own(image: str) -> None:
    objects = rendered(config(image=image))
    writable = {m["mountPath"] for m in container_of(objects)["volumeMounts"] if not m.get("readOnly")}

    assert {"/home/postgres/pgdata", "/tmp", "/dev/shm"} <= writable
    if image == PATRONI:
        file = file_of(objects)["postgresql"]
        assert file["data_dir"].startswith("/home/postgres/pgdata/")
        assert file["parameters"]["unix_socket_directories"] in writable


def test_users_get_no_password_of_the_superuser() -> None:
    component = config()
    secrets = component.secrets(None)  # type: ignore[arg-type]

    assert component.credentials == "accounts-credentials"
    assert secrets["accounts-credentials"] == ("password", "username")
    assert "superuser-password" in secrets["accounts-members"]


# --- rolling, stopping, asking


def pods_checksum(**settings: Any) -> str:
    checksum: str = pod_of(rendered(config(**settings)))["metadata"]["annotations"]["checksum/config"]
    return checksum


@pytest.mark.parametrize("image", [config().image, PATRONI])
def test_what_the_tree_says_for_the_first_start_only_restarts_nobody(image: str) -> None:
    before = pods_checksum(image=image)

    assert pods_checksum(image=image, failover={"ttl": 60}) == before
    assert pods_checksum(image=image, postgresql={"parameters": {"max_connections": 300}}) == before
    assert pods_checksum(image=image, postgresql={"parameters": {"work_mem": "32MB"}}) != before


@pytest.mark.parametrize("ttl,loop_wait,retry_timeout", [(30, 10, 10), (20, 1, 3), (120, 10, 50)])
def test_a_member_counts_as_ready_for_longer_than_a_failover_takes(
    ttl: int, loop_wait: int, retry_timeout: int
) -> None:
    policy = FailoverPolicy(ttl=ttl, loop_wait=loop_wait, retry_timeout=retry_timeout)
    worst = ttl + 0.5 + 2 + 11.6  # expiry, a black hole, the measured way back to streaming

    assert readiness_failures(policy) * PERIOD_SECS > worst


def test_a_hung_patroni_is_killed_without_the_minutes_of_a_stop() -> None:
    objects = rendered(config())
    probe = container_of(objects)["livenessProbe"]

    assert probe["httpGet"] == {"path": "/liveness", "port": "api"}
    assert probe["terminationGracePeriodSeconds"] == 10
    assert pod_of(objects)["spec"]["terminationGracePeriodSeconds"] == 300


# --- Services


def selector(objects: dict[tuple[str, str], Body], name: str) -> dict[str, str]:
    found: dict[str, str] = objects["Service", name]["spec"]["selector"]
    return found


def test_services_follow_the_roles_that_pods_give_themselves() -> None:
    objects = rendered(config(expose={}, endpoint="accounts.{region}.example.com"))
    instance = {"app.kubernetes.io/instance": "accounts"}

    assert selector(objects, "accounts") == {**instance, "role": "primary"}
    assert selector(objects, "accounts-repl") == {**instance, "role": "replica"}
    assert selector(objects, "accounts-external") == {**instance, "role": "primary"}
    assert objects["Service", "accounts-headless"]["spec"]["publishNotReadyAddresses"] is True


# --- a second region


def test_the_source_keeps_wal_for_its_standby_in_a_slot_that_is_declared() -> None:
    slots = file_of(rendered(config(**STANDBY)))["bootstrap"]["dcs"]["slots"]

    assert slots == {"accounts_eu_west_1": {"type": "physical"}}


def test_the_standby_streams_from_the_endpoint_of_the_primary_by_that_slot() -> None:
    dcs = file_of(rendered(config(**STANDBY), "eu-west-1"))["bootstrap"]["dcs"]

    assert dcs["standby_cluster"] == {
        "host": "accounts.us-east-1.example.com",
        "port": 5432,
        "primary_slot_name": "accounts_eu_west_1",
        "create_replica_methods": ["basebackup"],
    }
    assert "slots" not in dcs


def test_an_endpoint_may_name_the_cluster_of_the_primary() -> None:
    settings = {**STANDBY, "regions": ["eu-west-1"], "standby": {"region": "us-east-1"}, "endpoint": "{cluster}.db"}
    dcs = file_of(rendered(config(**settings)))["bootstrap"]["dcs"]

    assert dcs["standby_cluster"]["host"] == "dublin.db"


def test_members_of_two_regions_have_names_of_their_own() -> None:
    component = config(**STANDBY)
    sets = [names(rendered(component, code), SETS) for code in ("us-east-1", "eu-west-1")]

    assert sets == [{"accounts-us-east-1"}, {"accounts-eu-west-1"}]
    assert rendered(component, "eu-west-1")[SETS, "accounts-eu-west-1"]["spec"]["replicas"] == 2


def test_no_service_for_writes_finds_the_leader_of_a_standby() -> None:
    component = config(image=PATRONI, **STANDBY)
    objects = rendered(component, "eu-west-1")

    assert ("Service", "accounts") not in objects  # which the platform leads to the primary
    assert file_of(objects)["kubernetes"]["standby_leader_label_value"] == "standby_leader"
    assert selector(objects, "accounts-external")["role"] == "primary"
    assert selector(objects, "accounts-repl") == {"app.kubernetes.io/instance": "accounts"}


def test_the_standbys_way_out_is_open_to_the_listed_addresses_else_to_any() -> None:
    listed = {**STANDBY, "network": {"allow_to": ["10.1.0.0/16"]}}
    port = {"ports": [{"protocol": "TCP", "port": 5432}]}

    def egress(settings: dict[str, Any], code: str) -> list[Body]:
        found: list[Body] = rendered(config(**settings), code)["NetworkPolicy", "accounts"]["spec"]["egress"]
        return found

    assert port in egress(dict(STANDBY), "eu-west-1")
    assert port not in egress(dict(STANDBY), "us-east-1")
    assert port not in egress(listed, "eu-west-1")
    assert {"to": [{"ipBlock": {"cidr": "10.1.0.0/16"}}]} in egress(listed, "eu-west-1")


def test_members_reach_the_api_server_which_no_selector_matches() -> None:
    egress = rendered(config())["NetworkPolicy", "accounts"]["spec"]["egress"]

    assert {"ports": [{"protocol": "TCP", "port": 443}, {"protocol": "TCP", "port": 6443}]} in egress


def test_patronis_api_is_for_members_and_for_prometheus_where_it_scrapes() -> None:
    def open_to(**around: Any) -> list[Body]:
        ingress = rendered(config(), **around)["NetworkPolicy", "accounts"]["spec"]["ingress"]
        api = {"protocol": "TCP", "port": 8008}
        return [peer for rule in ingress if api in rule["ports"] for peer in rule["from"]]

    own = {"podSelector": {"matchLabels": {"app.kubernetes.io/instance": "accounts"}}}
    scraping = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
    watched: dict[str, Any] = {"scrape_interval_secs": 15, "monitoring_namespace": "monitoring"}

    assert open_to() == [own]
    assert open_to(**watched) == [own, scraping]
    assert ("PodMonitor", "accounts") in rendered(config(), **watched)
    assert ("PodMonitor", "accounts") not in rendered(config())


@pytest.mark.parametrize("image", [config().image, PATRONI])
def test_nobody_but_members_changes_a_cluster_over_http(image: str) -> None:
    api = file_of(rendered(config(image=image)))["restapi"]

    assert api["allowlist"] == ["127.0.0.1"]
    assert api["allowlist_include_members"] is True


# --- shards


def test_each_group_of_citus_is_a_set_of_its_own_in_one_scope() -> None:
    component = config(**SHARDED)
    objects = rendered(component)
    groups = groups_in(component, "us-east-1")

    assert [(group.part, group.members) for group in groups] == [
        ("inventory-us-east-1-g0", 3),
        ("inventory-us-east-1-g1", 2),
        ("inventory-us-east-1-g2", 2),
    ]
    for group in groups:
        file, labels = file_of(objects, "inventory", group.file), pod_of(objects, group.part)["metadata"]["labels"]
        assert file["citus"] == {"database": "game", "group": group.number}
        assert file["scope"] == "inventory-us-east-1"
        assert labels["citus-group"] == str(group.number)
        assert container_of(objects, group.part)["command"] == ["patroni", f"/etc/aether/{group.file}"]


def test_clients_of_shards_ask_the_coordinator() -> None:
    objects = rendered(config(**SHARDED))

    assert selector(objects, "inventory")["citus-group"] == "0"
    assert selector(objects, "inventory-repl")["citus-group"] == "0"
    assert config(**SHARDED).database == "game"


def test_each_group_loses_one_member_at_a_time() -> None:
    objects = rendered(config(**SHARDED))
    budgets = {name: objects["PodDisruptionBudget", name]["spec"] for name in names(objects, "PodDisruptionBudget")}

    assert {name: spec["selector"]["matchLabels"]["aether.io/part"] for name, spec in budgets.items()} == {
        f"inventory-us-east-1-g{number}": f"inventory-us-east-1-g{number}" for number in range(3)
    }


# --- access


def access(**settings: Any) -> list[str]:
    found: list[str] = file_of(rendered(config(image=PATRONI, **settings)))["postgresql"]["pg_hba"]
    return found


def test_everybody_logs_in_by_password_and_replication_too() -> None:
    lines = access()

    assert "host replication replicator all scram-sha-256" in lines
    assert lines[-1] == "host all all all scram-sha-256"
    assert not any(line.endswith((" trust", " md5")) for line in lines)


def test_with_tls_nobody_from_elsewhere_logs_in_without_it() -> None:
    lines = access(tls={"secret": "accounts-tls"})
    file = file_of(rendered(config(image=PATRONI, tls={"secret": "accounts-tls"})))["postgresql"]

    assert [line for line in lines if line.startswith("host ")] == [
        "host all all 127.0.0.1/32 scram-sha-256",
        "host all all ::1/128 scram-sha-256",
    ]
    assert file["parameters"]["ssl"] == "on"
    assert {user["sslmode"] for user in file["authentication"].values()} == {"require"}


# --- day two


def test_the_body_of_a_patch_takes_back_what_is_said_no_more() -> None:
    body = patch_body(config(postgresql={"parameters": {"max_connections": 300}}), "us-east-1")
    parameters = body["postgresql"]["parameters"]

    assert parameters["max_connections"] == 300
    assert {name for name in DYNAMIC if parameters[name] is None} == {*DYNAMIC} - {"max_connections"}


def test_the_body_of_a_patch_never_makes_a_cluster_follow_or_lead() -> None:
    component = config(**STANDBY)

    assert all("standby_cluster" not in patch_body(component, code) for code in ("us-east-1", "eu-west-1"))
    assert "standby_cluster" in dynamic_configuration(component, "eu-west-1", "accounts.us-east-1.example.com")


def test_equal_settings_give_equal_text() -> None:
    one, other = (rendered(config(**STANDBY)) for _ in range(2))

    assert json.dumps(list(one.items()), default=str) == json.dumps(list(other.items()), default=str)
    assert patroni_configuration(config(), "us-east-1", namespace="x") == patroni_configuration(
        config(), "us-east-1", namespace="x"
    )


@pytest.mark.parametrize("network", [{}, {"allow_from": ["10.0.0.0/8"]}])
def test_an_exposed_cluster_lets_each_caller_in_by_one_rule(network: dict[str, Any]) -> None:
    component = config(expose={}, endpoint="accounts.{region}.example.com", network=network)
    ingress: list[Body] = rendered(component)["NetworkPolicy", "accounts"]["spec"]["ingress"]
    sql = {"protocol": "TCP", "port": 5432}
    outside = [
        each for each in ingress if sql in each["ports"] and not any("podSelector" in p for p in each.get("from", []))
    ]

    assert outside == [{**({"from": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]} if network else {}), "ports": [sql]}]
