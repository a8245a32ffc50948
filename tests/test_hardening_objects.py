"""The objects around the pods pass what policy checkers ask; what deviates says so."""

from aether_deploy import DeploymentConfig, ResourceRequirements
from tests.hardening_cases import (
    OBJECTS,
    Objects,
    every_workload,
    labels_of,
    of_kind,
    pod_of,
    rendered,
    workload_of,
)
from tests.platform_cases import cluster, platform
from tests.rule_case import IMAGE

# --- objects


def test_the_namespace_is_not_the_default_one_and_is_restricted() -> None:
    (namespace,) = cluster(platform(), "us-east-1").cluster

    assert namespace.name != "default"
    assert namespace.body["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


@every_workload
def test_a_stateful_set_has_its_headless_service(objects: Objects) -> None:
    body = workload_of(objects)
    if body["kind"] == "Deployment":
        assert "serviceName" not in body["spec"]
        return
    service = objects["Service", body["spec"]["serviceName"]]["spec"]

    assert service["clusterIP"] == "None"
    assert service["selector"].items() <= labels_of(objects).items()


@every_workload
def test_one_budget_governs_the_pods_and_never_blocks_a_node_drain(objects: Objects) -> None:
    (budget,) = of_kind(objects, "PodDisruptionBudget")

    assert budget["spec"] == {
        "maxUnavailable": 1,
        "selector": workload_of(objects)["spec"]["selector"],
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
    }


@every_workload
def test_a_network_policy_selects_the_pods_in_both_directions(objects: Objects) -> None:
    (policy,) = of_kind(objects, "NetworkPolicy")

    assert policy["spec"]["podSelector"] == workload_of(objects)["spec"]["selector"]
    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert policy["spec"]["egress"]


@every_workload
def test_an_autoscaler_has_room_and_a_target_that_leaves_it_the_count(objects: Objects) -> None:
    scalers = of_kind(objects, "HorizontalPodAutoscaler")
    body = workload_of(objects)

    for scaler in scalers:
        assert scaler["apiVersion"] == "autoscaling/v2"
        assert 2 <= scaler["spec"]["minReplicas"] < scaler["spec"]["maxReplicas"]
        assert scaler["spec"]["scaleTargetRef"] == {
            "apiVersion": body["apiVersion"], "kind": body["kind"], "name": body["metadata"]["name"]
        }  # fmt: skip
    assert ("replicas" in body["spec"]) == (not scalers)


@every_workload
def test_a_service_selects_the_pods_and_leads_to_a_port_of_theirs(objects: Objects) -> None:
    names = {port["name"] for port in pod_of(objects)["containers"][0]["ports"]}
    identity = labels_of(objects) | {"apps.kubernetes.io/pod-index": "0"}

    for service in of_kind(objects, "Service"):
        spec = service["spec"]
        index = {"apps.kubernetes.io/pod-index": "0"} if "apps.kubernetes.io/pod-index" in spec["selector"] else {}
        assert spec.get("type", "ClusterIP") != "NodePort"
        assert (spec["selector"] | index).items() <= identity.items()
        assert {port["targetPort"] for port in spec["ports"]} <= names


@every_workload
def test_the_controller_is_labelled_with_its_own_name(objects: Objects) -> None:
    body = workload_of(objects)

    assert body["metadata"]["labels"]["app.kubernetes.io/instance"] == body["metadata"]["name"]


@every_workload
def test_the_selector_finds_the_pods_and_holds_nothing_that_changes(objects: Objects) -> None:
    selector = workload_of(objects)["spec"]["selector"]["matchLabels"]

    assert selector.items() <= labels_of(objects).items()
    assert set(selector) == {"app.kubernetes.io/instance"}


@every_workload
def test_every_object_is_in_the_namespace_and_labelled_by_us(objects: Objects) -> None:
    for body in objects.values():
        assert body["metadata"]["namespace"] == "aether-prod"
        assert body["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "aether-deploy"


@every_workload
def test_nothing_is_rendered_that_would_need_more_care(objects: Objects) -> None:
    kinds = {kind for kind, _ in objects}

    assert kinds.isdisjoint({"Job", "CronJob", "Ingress", "Secret", "Role", "ClusterRole", "Pod"})


# --- deliberate deviations


def test_no_cpu_limit_is_an_option_that_writes_its_waivers() -> None:
    objects = rendered(
        DeploymentConfig(
            name="voice",
            image=IMAGE,
            resources=ResourceRequirements(cpu_limit=None),
            waivers={"cpu_limit": "mixing bursts"},
        )
    )
    annotations = workload_of(objects)["metadata"]["annotations"]

    assert "cpu" not in pod_of(objects)["containers"][0]["resources"]["limits"]
    assert annotations["checkov.io/skip1"] == "CKV_K8S_11=mixing bursts"
    assert annotations["kube-score/ignore"] == "container-resources"
    assert annotations["polaris.fairwinds.com/cpuLimitsMissing-exempt"] == "true"


def test_what_scales_leaves_replicas_out_and_says_so() -> None:
    objects = OBJECTS["a service that scales"]
    body = workload_of(objects)

    assert "replicas" not in body["spec"]
    assert body["metadata"]["annotations"]["polaris.fairwinds.com/deploymentMissingReplicas-exempt"] == "true"
