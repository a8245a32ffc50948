"""What Zalando's operator is told, before the definition of its own object."""

import copy
import json
from typing import Any

import jsonschema
import pytest

from aether_deploy.lab.applying import apply_manifests
from aether_deploy.lab.client import ApiError
from aether_deploy.lab.control_plane import ControlPlane
from aether_deploy.lab.crds import CUSTOM_KINDS
from aether_deploy.manifest.value import Manifest
from tests.lab_cases import in_namespace
from tests.platform_cases import cluster as cluster_of
from tests.platform_cases import platform
from tests.postgres_cases import STANDBY, ZALANDO, Body, config, estate, rendered
from tests.rule_case import DIGEST

_FILE = next(each.cached for each in CUSTOM_KINDS if each.kind == "postgresql")
DEFINITION: Body = json.loads(_FILE.read_text("utf-8"))
SCHEMA: Body = DEFINITION["spec"]["versions"][0]["schema"]["openAPIV3Schema"]

VARIANTS: dict[str, tuple[dict[str, Any], str]] = {
    "plain": ({}, "us-east-1"),
    "no image": ({"image": "none"}, "us-east-1"),
    "source": (dict(STANDBY), "us-east-1"),
    "standby": (dict(STANDBY), "eu-west-1"),
    "everything": (
        {
            "members": 5,
            "failover": {"ttl": 60, "synchronous_mode": True, "synchronous_mode_strict": True, "failsafe_mode": True},
            "postgresql": {"version": 17, "parameters": {"max_connections": 200, "jit": False, "work_mem": "32MB"}},
            "tls": {"secret": "ledger-tls"},
            "expose": {"internal": True, "annotations": {"example.com/lb": "small"}},
            "endpoint": "ledger.{region}.example.com",
            "network": {"allow_from": ["10.0.0.0/8"], "allow_to": ["10.0.0.0/8"]},
            "priority_class": "players",
            "node_selector": {"pool": "data"},
            "tolerations": [{"key": "data", "operator": "Exists", "effect": "NoSchedule"}],
            "annotations": {"example.com/owner": "data"},
            "resources": {"cpu_limit": "none", "memory_request": "4Gi", "memory_limit": "4Gi"},
            "database": "game_ledger",
        },
        "us-east-1",
    ),
    "node port": ({"expose": {"type": "NodePort"}, "endpoint": "x.example.com"}, "us-east-1"),
}
every_variant = pytest.mark.parametrize("variant", VARIANTS)


def cluster(variant: str) -> Body:
    settings, region = VARIANTS[variant]
    return rendered(config(**{**ZALANDO, **settings}), region)["postgresql", "acid-ledger"]


def strict(schema: Any) -> Any:
    """Return a schema in which a key that it does not name is a fault, as it is for the server."""
    if isinstance(schema, list):
        return [strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: strict(each) for key, each in schema.items()}
    if isinstance(found.get("properties"), dict) and found.get("type") == "object" and found["properties"]:
        found.setdefault("additionalProperties", False)
    return found


def faults(body: Body) -> list[str]:
    spec = strict(SCHEMA["properties"]["spec"])
    return [error.message for error in jsonschema.Draft202012Validator(spec).iter_errors(body["spec"])]


@every_variant
def test_the_definition_takes_every_object(variant: str) -> None:
    assert faults(cluster(variant)) == []


@pytest.mark.parametrize(
    "path,value",
    [
        (("postgresql", "version"), "19"),
        (("numberOfInstances",), "three"),
        (("patroni", "ttl"), "30s"),
        (("patroni", "quorum"), True),
        (("volume", "size"), "much"),
        (("teamId",), None),
    ],
)
def test_the_definition_has_teeth(path: tuple[str, ...], value: object) -> None:
    body = copy.deepcopy(cluster("plain"))
    node = body["spec"]
    for step in path[:-1]:
        node = node[step]
    if value is None:
        del node[path[-1]]
    else:
        node[path[-1]] = value

    assert faults(body)


def test_the_policy_stands_there_by_patronis_own_names() -> None:
    assert cluster("plain")["spec"]["patroni"] == {
        "ttl": 30,
        "loop_wait": 10,
        "retry_timeout": 10,
        "maximum_lag_on_failover": 1_048_576,
        "synchronous_mode": False,
        "synchronous_mode_strict": False,
        "synchronous_node_count": 1,
        "failsafe_mode": False,
        "initdb": {"data-checksums": "true", "encoding": "UTF8", "locale": "C.UTF-8"},
    }


def test_a_standby_streams_from_the_endpoint_by_a_slot_that_its_source_keeps() -> None:
    assert cluster("standby")["spec"]["standby"] == {
        "standby_host": "accounts.us-east-1.example.com",
        "standby_port": "5432",
        "standby_primary_slot_name": "acid_ledger_eu_west_1",
    }
    assert cluster("source")["spec"]["patroni"]["slots"] == {"acid_ledger_eu_west_1": {"type": "physical"}}
    assert "slots" not in cluster("standby")["spec"]["patroni"]
    assert (cluster("source")["spec"]["numberOfInstances"], cluster("standby")["spec"]["numberOfInstances"]) == (3, 2)


def test_passwords_are_those_of_secrets_that_are_there_before() -> None:
    """The operator makes none where one is there, so both regions have the same."""
    component = config(**{**ZALANDO, "database": "game_ledger"})
    end = "acid-ledger.credentials.postgresql.acid.zalan.do"

    assert component.renderer.secrets(component) == {
        f"postgres.{end}": ("password", "username"),
        f"standby.{end}": ("password", "username"),
        f"game-ledger.{end}": ("password", "username"),
    }


def test_the_operators_pods_have_a_policy_by_the_operators_label() -> None:
    policy = rendered(config(**ZALANDO))["NetworkPolicy", "acid-ledger"]["spec"]
    operator = [peer for rule in policy["ingress"] for peer in rule["from"] if peer.get("namespaceSelector") == {}]

    assert policy["podSelector"]["matchLabels"] == {"cluster-name": "acid-ledger"}
    assert [set(peer["podSelector"]["matchLabels"].values()) for peer in operator] == [{"postgres-operator"}] * 2


def test_workloads_log_in_by_the_secret_that_the_operator_names() -> None:
    component = config(**{**ZALANDO, "database": "game_ledger"})
    secret = "game-ledger.acid-ledger.credentials.postgresql.acid.zalan.do"
    book = component.runbooks(estate())["acid-ledger.md"]

    assert component.credentials == secret
    assert secret in component.renderer.secrets(component)
    assert secret in book
    assert "which must be `game_ledger`" in book


def test_a_workload_mounts_that_secret_where_those_of_all_components_are() -> None:
    name = "bank.acid-ledger.credentials.postgresql.acid.zalan.do"
    system = platform(
        f"""
        services:
          - {{name: web, image: "web:1@{DIGEST}", uses: [acid-ledger], regions: [us-east-1]}}
        components:
          - name: acid-ledger
            kind: postgres
            backend: zalando
            team: acid
            database: bank
            regions: [us-east-1]
            pvc: {{size: 10Gi}}
        """
    )
    bodies = [each.body for each in cluster_of(system, "us-east-1").manifests]
    (web,) = [each for each in bodies if (each["kind"], each["metadata"]["name"]) == ("Deployment", "web")]
    pod: Body = web["spec"]["template"]["spec"]
    (volume,) = [each for each in pod["volumes"] if each.get("secret", {}).get("secretName") == name]
    (mount,) = [each for each in pod["containers"][0]["volumeMounts"] if each["name"] == volume["name"]]

    assert mount["mountPath"] == "/run/aether/secrets/acid-ledger"


@pytest.fixture(scope="module")
def plane(control_plane: ControlPlane) -> ControlPlane:
    """Return the control plane, which knows the operator's kind."""
    control_plane.client.apply(DEFINITION, manager="tests", force=True)

    def known() -> bool:
        try:
            control_plane.client.list("acid.zalan.do/v1", "postgresql")
        except ApiError:
            return False
        return True

    control_plane.wait_for(known, "the server knows the operator's kind")
    return control_plane


@pytest.mark.real
def test_a_server_takes_every_object_as_it_is(plane: ControlPlane) -> None:
    with in_namespace(plane, "zalando"):
        found = []
        for variant in VARIANTS:
            body = copy.deepcopy(cluster(variant))
            body["metadata"] |= {"namespace": "zalando", "name": f"acid-{variant.replace(' ', '-')}"}
            found += [fault for each in apply_manifests(plane.client, [Manifest(body, "")]) for fault in each.faults()]

        assert found == []


@pytest.mark.real
def test_a_server_refuses_a_field_that_the_operator_does_not_know(plane: ControlPlane) -> None:
    with in_namespace(plane, "zalando-tooth"):
        body = copy.deepcopy(cluster("plain"))
        body["metadata"]["namespace"] = "zalando-tooth"
        body["spec"]["patroni"]["check_timeline"] = True
        (applied,) = apply_manifests(plane.client, [Manifest(body, "")])

        assert applied.faults()
