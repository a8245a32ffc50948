"""What every kind of component promises; a new kind is tested here without an edit, by its own examples."""

import ipaddress
from typing import Any

import jsonschema
import pytest

from aether_deploy.config.sink import Sink
from aether_deploy.gitops.render import render_clusters
from aether_deploy.infrastructure.objects.naming import PART
from aether_deploy.infrastructure.registry import component_types
from aether_deploy.manifest.labels import INSTANCE
from aether_deploy.manifest.yaml_text import to_yaml_documents
from aether_deploy.platform.components import component_secrets, place_of
from aether_deploy.platform.config import Platform
from aether_deploy.platform.manifest_checks import CHECKS
from aether_deploy.platform.manifest_rules import object_findings
from aether_deploy.platform.schema import platform_schema
from aether_deploy.platform.secrets import secrets_named
from aether_deploy.pods.names import name_max
from aether_deploy.pods.paths import CREDENTIALS_FOLDER
from aether_deploy.pods.surroundings import Surroundings
from aether_deploy.quantities import parse_quantity
from tests.component_cases import (
    MADE_BY_OPERATORS,
    Body,
    clusters_of,
    component_of,
    containers,
    data_of,
    description_of,
    every_example,
    every_kind,
    makes_pods,
    objects,
    platform_of,
    pods,
    values_of,
)
from tests.conftest import Golden


@every_kind
def test_a_kind_is_called_as_its_module_and_has_examples(kind: str) -> None:
    cls = component_types()[kind]

    assert kind == cls.KIND_NAME
    assert cls.__module__.rpartition(".")[2] == kind
    assert cls.EXAMPLES


@every_example
def test_an_example_is_sound_and_comes_back_from_its_own_values(kind: str, title: str) -> None:
    platform = platform_of(kind, title)
    component = platform.components[0]

    assert [problem for problem in platform.problems() if problem.severity == "error"] == []
    assert type(component).from_values(component.to_values()) == component
    assert Platform.from_values(platform.to_values()) == platform


@every_example
def test_the_schema_takes_an_example_and_refuses_its_slips(kind: str, title: str) -> None:
    validator = jsonschema.Draft202012Validator(platform_schema())
    description = description_of(kind, title)
    slip = {**description, "components": [{**description["components"][0], "imgae": "x"}]}

    assert [error.message for error in validator.iter_errors(description)] == []
    assert list(validator.iter_errors(slip))


@every_example
def test_an_example_renders_to_the_golden_file(kind: str, title: str, check_golden: Golden) -> None:
    files = {
        f"{rendered.cluster.site.cluster}.yaml": to_yaml_documents(each.body for each in data_of(rendered))
        for rendered in clusters_of(kind, title)
        if data_of(rendered)
    }

    check_golden(f"components/{kind}-{title}", files)


@every_example
def test_objects_are_named_and_labelled_as_their_component(kind: str, title: str) -> None:
    name = values_of(kind, title)["name"]

    for _, body in objects(kind, title):
        metadata = body["metadata"]
        assert metadata["name"] == name or metadata["name"].startswith(f"{name}-"), metadata["name"]
        assert len(metadata["name"]) <= name_max(body["kind"])
        assert metadata["namespace"] == "aether-prod-data"
        if body["spec"].get("type") != "ExternalName" if isinstance(body.get("spec"), dict) else True:
            assert metadata["labels"].get(INSTANCE) == name


@every_example
@pytest.mark.parametrize("length", [20, 30, 36, 38, 40, 41, 42, 43, 45, 48, 50, 52, 54, 58, 63])
def test_a_long_name_is_refused_or_all_objects_have_one_that_a_server_takes(kind: str, title: str, length: int) -> None:
    description = description_of(kind, title)
    name = f"{description['components'][0]['name']}-".ljust(length, "x")
    description["components"][0] = {**description["components"][0], "name": name}
    description["services"][0]["uses"] = []
    sink = Sink(python=True)
    platform = Platform.read_values(description, None, sink)

    refused = [problem for problem in sink.problems if problem.severity == "error"]
    if not refused:
        bodies = [each for rendered in render_clusters([platform], {}) for each in data_of(rendered)]
        assert [each.name for each in bodies if len(each.name) > name_max(each.kind)] == []
    assert refused or length < 58
    assert not refused or length > 30


@every_example
def test_finished_objects_break_no_rule_that_nothing_waives(kind: str, title: str) -> None:
    for rendered in clusters_of(kind, title):
        for manifest in data_of(rendered):
            found = {finding.check for finding in object_findings(manifest.body)}
            assert {check for check in found if CHECKS[check].because} == set(), manifest.name


@every_example
def test_pods_can_do_nothing_special_and_write_where_they_may(kind: str, title: str) -> None:
    for _, body, template in pods(kind, title):
        spec = template["spec"]
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert spec["enableServiceLinks"] is False
        volumes = {volume["name"] for volume in spec["volumes"]}
        volumes |= {claim["metadata"]["name"] for claim in body["spec"].get("volumeClaimTemplates", ())}
        for container in containers(template):
            security = container["securityContext"]
            assert security["allowPrivilegeEscalation"] is False
            assert security["capabilities"] == {"drop": ["ALL"]}
            mounts = container.get("volumeMounts", ())
            assert {mount["name"] for mount in mounts} <= volumes
            assert len({mount["mountPath"] for mount in mounts}) == len(mounts)


@every_example
def test_containers_are_guaranteed_what_they_may_use_and_pinned(kind: str, title: str) -> None:
    for _, body, template in pods(kind, title):
        for container in containers(template):
            resources = container["resources"]
            assert resources["requests"].keys() >= {"cpu", "memory"}, (body["metadata"]["name"], container["name"])
            memory = [parse_quantity(resources[each]["memory"]) for each in ("requests", "limits")]
            assert memory[0] == memory[1]
            assert "@sha256:" in container["image"]


@every_example
def test_what_runs_for_good_says_when_it_lives_and_when_it_is_ready(kind: str, title: str) -> None:
    for _, body, template in pods(kind, title):
        if body["kind"] in ("StatefulSet", "Deployment"):
            main = template["spec"]["containers"][0]
            assert main["livenessProbe"] != main["readinessProbe"]


@every_example
def test_every_pod_that_runs_for_good_has_one_budget_that_lets_one_go(kind: str, title: str) -> None:
    for rendered in clusters_of(kind, title):
        bodies = [each.body for each in data_of(rendered)]
        budgets = [body for body in bodies if body["kind"] == "PodDisruptionBudget"]
        for body in bodies:
            if body["kind"] not in ("StatefulSet", "Deployment"):
                continue
            labels = body["spec"]["template"]["metadata"]["labels"]
            over = [each for each in budgets if each["spec"]["selector"]["matchLabels"].items() <= labels.items()]
            assert len(over) == 1, body["metadata"]["name"]
            assert over[0]["spec"]["maxUnavailable"] == 1


@every_example
def test_members_of_one_set_never_share_a_failure_unasked(kind: str, title: str) -> None:
    for _, body, template in pods(kind, title):
        if body["kind"] != "StatefulSet" or body["spec"]["replicas"] < 2:
            continue
        spec = template["spec"]
        strict = {
            each["topologyKey"]
            for each in spec["topologySpreadConstraints"]
            if each["whenUnsatisfiable"] == "DoNotSchedule"
        }
        pinned = "topology.kubernetes.io/zone" in spec.get("nodeSelector", {})
        assert strict == ({"kubernetes.io/hostname"} if pinned else {"topology.kubernetes.io/zone"})
        for each in spec["topologySpreadConstraints"]:
            labels = each["labelSelector"]["matchLabels"]
            assert labels.items() <= template["metadata"]["labels"].items()
            assert PART in labels


@every_example
def test_a_stateful_set_finds_its_own_pods_and_no_others(kind: str, title: str) -> None:
    for rendered in clusters_of(kind, title):
        makers = [(body, template) for each in data_of(rendered) for body, template in makes_pods(each.body)]
        for body, _ in makers:
            if body["kind"] not in ("StatefulSet", "Deployment"):
                continue
            selector = body["spec"]["selector"]["matchLabels"]
            found = [
                other["metadata"]["name"]
                for other, template in makers
                if selector.items() <= template["metadata"]["labels"].items()
            ]
            assert found == [body["metadata"]["name"]]


@every_example
def test_claims_stay_whatever_becomes_of_their_set(kind: str, title: str) -> None:
    for _, body in objects(kind, title, "StatefulSet"):
        assert body["spec"]["persistentVolumeClaimRetentionPolicy"] == {"whenDeleted": "Retain", "whenScaled": "Retain"}
        for claim in body["spec"]["volumeClaimTemplates"]:
            assert claim["spec"]["storageClassName"] == "ssd"


# --- the network


@every_example
def test_one_policy_closes_both_directions_of_all_pods(kind: str, title: str) -> None:
    for rendered in clusters_of(kind, title):
        bodies = [each.body for each in data_of(rendered)]
        policies = [body["spec"] for body in bodies if body["kind"] == "NetworkPolicy"]
        for _, template in (found for body in bodies for found in makes_pods(body)):
            labels = template["metadata"]["labels"]
            over = [each for each in policies if each["podSelector"]["matchLabels"].items() <= labels.items()]
            assert len(over) == 1
            assert over[0]["policyTypes"] == ["Ingress", "Egress"]
            assert {"protocol": "UDP", "port": 53} in over[0]["egress"][0]["ports"]


def reaches(policy: Body, direction: str, namespace: str, labels: dict[str, str], port: int) -> bool:
    """Return whether a policy lets pods with ``labels`` in ``namespace`` through on a TCP port."""
    side = {"ingress": "from", "egress": "to"}[direction]
    for rule in policy["spec"].get(direction, ()):
        ports = rule.get("ports")
        if ports is not None and {"protocol": "TCP", "port": port} not in ports:
            continue
        if side not in rule:
            return True
        for peer in rule[side]:
            space = peer.get("namespaceSelector", {}).get("matchLabels", {})
            chosen = peer.get("podSelector", {}).get("matchLabels", {})
            if "ipBlock" not in peer and set(space.values()) <= {namespace} and chosen.items() <= labels.items():
                return True
    return False


@every_example
def test_its_users_reach_it_on_both_sides_and_strangers_do_not(kind: str, title: str) -> None:
    component = component_of(kind, title)
    for rendered in clusters_of(kind, title):
        own = [each.body for each in data_of(rendered) if each.kind == "NetworkPolicy"]
        workloads = [each for folder in rendered.cluster.folders for each in folder.manifests]
        (caller,) = [each.body for each in workloads if each.kind == "NetworkPolicy"]
        code = rendered.cluster.site.region.code
        if not own or component.serving_region(platform_of(kind, title).estate, code) != code:
            continue
        for _, port, _ in component.client_ports:
            assert reaches(own[0], "ingress", "aether-prod", {INSTANCE: "caller"}, port)
            assert not reaches(own[0], "ingress", "aether-prod", {INSTANCE: "stranger"}, port)
            assert not reaches(own[0], "ingress", "elsewhere", {INSTANCE: "caller"}, port)
            assert reaches(caller, "egress", "aether-prod-data", {INSTANCE: component.name}, port)


@every_example
def test_users_are_told_host_ports_and_credentials(kind: str, title: str) -> None:
    component = component_of(kind, title)
    word = component.name.upper().replace("-", "_")
    for rendered in clusters_of(kind, title):
        (pod,) = [
            each.body["spec"]["template"]["spec"]
            for folder in rendered.cluster.folders
            for each in folder.manifests
            if each.kind == "Deployment"
        ]
        container = pod["containers"][0]
        env = {each["name"]: each["value"] for each in container["env"]}
        assert env[f"AETHER_{word}_HOST"] == f"{component.name}.aether-prod-data.svc"
        told = {name.partition("_PORT_")[2] for name in env if "_PORT_" in name}
        ports = {port.upper().replace("-", "_") for port, _, _ in component.client_ports}
        assert told
        assert told <= ports
        mounts = {mount["mountPath"]: mount for mount in container["volumeMounts"]}
        if component.credentials is not None:
            assert mounts[f"{CREDENTIALS_FOLDER}/{component.name}"]["readOnly"] is True
            assert ("aether-prod", component.credentials) in secrets_named(rendered.cluster.manifests)


@every_example
def test_a_service_answers_users_in_every_region(kind: str, title: str) -> None:
    component = component_of(kind, title)
    for rendered in clusters_of(kind, title):
        code = rendered.cluster.site.region.code
        services = [each.body for each in data_of(rendered) if each.kind == "Service" and each.name == component.name]
        if not services and any(each.kind in MADE_BY_OPERATORS for each in data_of(rendered)):
            continue  # its operator makes them
        (service,) = services
        here = component.serving_region(platform_of(kind, title).estate, code) == code
        assert service["spec"]["type"] == ("ClusterIP" if here else "ExternalName")
        if here:
            numbers = {(port["name"], port["port"], port["protocol"]) for port in service["spec"]["ports"]}
            assert numbers >= set(component.client_ports)


@every_example
def test_services_call_pods_by_ports_that_these_have(kind: str, title: str) -> None:
    for rendered in clusters_of(kind, title):
        bodies = [each.body for each in data_of(rendered)]
        templates = [body["spec"]["template"] for body in bodies if body["kind"] in ("StatefulSet", "Deployment")]
        for body in bodies:
            if body["kind"] != "Service" or body["spec"].get("type") == "ExternalName":
                continue
            selector = dict(body["spec"]["selector"])
            # What controllers and the pods themselves put on pods later.
            for label in ("apps.kubernetes.io/pod-index", "role"):
                selector.pop(label, None)
            behind = [each for each in templates if selector.items() <= each["metadata"]["labels"].items()]
            assert behind, body["metadata"]["name"]
            for template in behind:
                named = {port["name"] for each in containers(template) for port in each.get("ports", ())}
                assert {port["targetPort"] for port in body["spec"]["ports"]} <= named


@every_example
def test_networks_are_written_as_blocks(kind: str, title: str) -> None:
    for _, body in objects(kind, title, "NetworkPolicy"):
        for rule in (*body["spec"].get("ingress", ()), *body["spec"]["egress"]):
            for peer in (*rule.get("from", ()), *rule.get("to", ())):
                if "ipBlock" in peer:
                    ipaddress.ip_network(peer["ipBlock"]["cidr"])


# --- Secrets


@every_example
def test_every_secret_that_pods_name_is_one_that_the_platform_brings(kind: str, title: str) -> None:
    platform = platform_of(kind, title)
    for rendered in clusters_of(kind, title):
        site = rendered.cluster.site
        place = place_of(platform, site, Surroundings())
        declared = {use.name for use in component_secrets([component_of(kind, title)], place)}
        named = {name for namespace, name in secrets_named(data_of(rendered)) if namespace == "aether-prod-data"}
        assert named <= declared


@every_example
def test_a_fetched_secret_stands_in_both_namespaces(kind: str, title: str) -> None:
    component = component_of(kind, title)
    if component.credentials is None:
        pytest.skip("nobody logs in")
    fetched = {
        "provider": "external_secrets", "store": {"name": "vault"}, "path": "aether/{namespace}/{secret}",
    }  # fmt: skip
    platform = Platform.from_values({**description_of(kind, title), "secrets": fetched})
    found: dict[str, set[Any]] = {}
    for rendered in render_clusters([platform], {}):
        for manifest in rendered.cluster.manifests:
            if manifest.kind == "ExternalSecret":
                found.setdefault(str(manifest.namespace), set()).add(manifest.name)

    assert component.credentials in found["aether-prod"]
    named = {name for rendered in clusters_of(kind, title) for _, name in secrets_named(data_of(rendered))}
    assert named <= found.get("aether-prod-data", set())
