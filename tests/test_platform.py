"""A platform becomes one configuration per placement, and manifests that know their neighbours."""

from typing import Any

import pytest

from aether_deploy import (
    DefaultsConfig,
    DeploymentConfig,
    DrainConfig,
    Platform,
    Probe,
    ProbeConfig,
    PvcConfig,
    RegionConfig,
    ResourceRequirements,
    ScalingConfig,
    Workload,
)
from tests.platform_cases import bodies, cluster, evaluate, platform, render
from tests.rule_case import DIGEST, IMAGE

ELSEWHERE = """
services:
  - name: matchmaking
    regions: [us-east-1]
    expose: {type: LoadBalancer, internal: true, ports: [http]}
    endpoint: "{cluster}.{region}.{environment}.example.com"
  - {name: gateway, network: {allow_to: [203.0.113.0/24]}}
"""


def pod(objects: dict[tuple[str, str], dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = objects[kind, name]["spec"]["template"]["spec"]
    return found


# --- expansion


def test_an_entry_runs_in_every_region_unless_it_says_otherwise() -> None:
    system = platform("services: [{name: voice-relay, regions: all}]", ELSEWHERE)

    placed = {view.name: view.regions for view in system.entries}

    assert placed == {
        "world-server": ("us-east-1", "eu-west-1"),
        "gateway": ("us-east-1", "eu-west-1"),
        "matchmaking": ("us-east-1",),
        "voice-relay": ("us-east-1", "eu-west-1"),
    }


def test_the_layers_of_an_entry_each_beat_the_one_before() -> None:
    text = """
defaults:
  workloads: {labels: {a: workloads, b: workloads, c: workloads, d: workloads}, replicas: 5}
  services: {labels: {b: services, c: services, d: services}}
services:
  - name: matchmaking
    labels: {c: entry, d: entry}
    per_region: {eu-west-1: {labels: {d: region}}}
"""
    system = platform(text)
    (view,) = system.entries_by_name["matchmaking"]
    here, there = (system.config_of(view.at, region) for region in view.regions)

    assert here is not None
    assert there is not None
    assert here.replicas == 5
    assert here.labels == {"a": "workloads", "b": "services", "c": "entry", "d": "entry"}
    assert there.labels == {"a": "workloads", "b": "services", "c": "entry", "d": "region"}


def test_defaults_of_worlds_do_not_reach_services() -> None:
    objects = render("us-east-1", "defaults: {worlds: {topology: {strict: true}}}")

    actions = {
        name: pod(objects, kind, name)["topologySpreadConstraints"][0]["whenUnsatisfiable"]
        for kind, name in (("StatefulSet", "world-server"), ("Deployment", "gateway"))
    }

    assert actions == {"world-server": "DoNotSchedule", "gateway": "ScheduleAnyway"}


def test_null_in_a_region_removes_what_the_entry_says() -> None:
    system = platform("services: [{name: gateway, replicas: 5, per_region: {eu-west-1: {replicas: null}}}]")
    (view,) = system.entries_by_name["gateway"]

    counts = [config.replicas for region in view.regions if (config := system.config_of(view.at, region))]

    assert counts == [5, 2]


def test_a_service_is_a_service_even_with_a_volume() -> None:
    objects = render("us-east-1", "services: [{name: gateway, pvc: {size: 1Gi}}]")

    body = objects["StatefulSet", "gateway"]

    assert body["spec"]["replicas"] == 2
    assert body["metadata"]["labels"]["app.kubernetes.io/component"] == "service"
    assert pod(objects, "StatefulSet", "gateway")["terminationGracePeriodSeconds"] == 30


def test_a_disabled_workload_is_not_rendered_and_stays_known() -> None:
    text = "services: [{name: gateway, enabled: false}]\nworlds: [{name: world-server, formerly: arena}]"
    objects = render("us-east-1", text)

    assert ("Deployment", "gateway") not in objects
    assert ("Deployment", "matchmaking") in objects


def test_a_disabled_region_is_no_cluster_and_lists_that_name_it_shrink() -> None:
    text = "regions: [{code: eu-west-1, enabled: false}]\nservices: [{name: gateway, regions: [eu-west-1, us-east-1]}]"
    system = platform(text)

    assert [site.cluster for site in system.sites] == ["us-east-1"]
    assert [view.regions for view in system.entries_by_name["gateway"]] == [("us-east-1",)]


def test_a_cluster_may_have_a_version_of_its_own() -> None:
    system = platform("clusters: [{name: dublin, kubernetes: v1.34}]")

    tolerances = [
        bodies(cluster(system, region))["HorizontalPodAutoscaler", "world-server"]["spec"]["behavior"]["scaleUp"].get(
            "tolerance"
        )
        for region in ("us-east-1", "eu-west-1")
    ]

    assert [(site.cluster, site.kubernetes) for site in system.sites] == [("us-east-1", "v1.37"), ("dublin", "v1.34")]
    assert tolerances == ["0", None]


def test_a_bound_that_an_older_cluster_would_drop_is_left_out_there() -> None:
    text = "clusters: [{name: dublin, kubernetes: v1.36}]\nworlds: [{name: world-server, update: {max_unavailable: 2}}]"
    system = platform(text)

    strategies = [
        bodies(cluster(system, region))["StatefulSet", "world-server"]["spec"]["updateStrategy"]["rollingUpdate"]
        for region in ("us-east-1", "eu-west-1")
    ]

    assert strategies == [{"partition": 0, "maxUnavailable": 2}, {"partition": 0}]


def test_volumes_take_the_storage_class_of_their_region() -> None:
    system = platform("services: [{name: matchmaking, pvc: {size: 1Gi, storage_class: nvme}}]")

    classes = {
        (region, name): bodies(cluster(system, region))["StatefulSet", name]["spec"]["volumeClaimTemplates"][0][
            "spec"
        ].get("storageClassName")
        for region in ("us-east-1", "eu-west-1")
        for name in ("world-server", "matchmaking")
    }

    assert classes == {
        ("us-east-1", "world-server"): "ssd",
        ("us-east-1", "matchmaking"): "nvme",
        ("eu-west-1", "world-server"): None,
        ("eu-west-1", "matchmaking"): "nvme",
    }


# --- namespaces and labels


def test_everything_lies_in_the_namespace_of_system_and_environment() -> None:
    rendered = cluster(platform("environments: {dev: {}}"), "us-east-1")

    names = {manifest.namespace or manifest.name for manifest in rendered.manifests}

    assert names == {"aether-dev"}


def test_the_namespace_is_restricted_and_no_engine_prunes_it() -> None:
    (manifest,) = cluster(platform(), "us-east-1").cluster

    assert manifest.body["metadata"] == {
        "name": "aether-prod",
        "labels": {
            "app.kubernetes.io/managed-by": "aether-deploy",
            "app.kubernetes.io/part-of": "aether",
            "pod-security.kubernetes.io/audit": "restricted",
            "pod-security.kubernetes.io/enforce": "restricted",
            "pod-security.kubernetes.io/warn": "restricted",
        },
        "annotations": {
            "argocd.argoproj.io/sync-options": "Prune=false,Delete=false",
            "kustomize.toolkit.fluxcd.io/prune": "disabled",
        },
    }


def test_every_object_says_what_system_it_is_part_of() -> None:
    rendered = cluster(platform(ELSEWHERE), "eu-west-1")

    systems = {manifest.body["metadata"]["labels"]["app.kubernetes.io/part-of"] for manifest in rendered.manifests}

    assert systems == {"aether"}


def test_names_in_the_cluster_hold_no_version_and_no_environment() -> None:
    one, other = (
        {(kind, name) for kind, name in bodies(cluster(platform(text), "us-east-1")) if kind != "Namespace"}
        for text in (
            "environments: {prod: {}}",
            f"environments: {{dev: {{worlds: [{{name: world-server, image: 'w:v9@{DIGEST}'}}]}}}}",
        )
    )

    assert one == other


# --- built in Python


def test_a_platform_built_in_python_equals_the_one_from_a_file() -> None:
    loaded = Platform.from_values(
        {
            "name": "aether",
            "kubernetes": "v1.37",
            "regions": [{"code": "us-east-1", "zones": ["a"]}],
            "worlds": [{"name": "world", "image": IMAGE, "pvc": {"size": "1Gi"}}],
        }
    )
    built = Platform(
        name="aether",
        kubernetes="v1.37",
        regions=(RegionConfig(code="us-east-1", zones=("a",)),),
        worlds=(DeploymentConfig(name="world", image=IMAGE, pvc=PvcConfig(size="1Gi")),),
    )

    assert bodies(cluster(built, "us-east-1")) == bodies(cluster(loaded, "us-east-1"))


def test_a_workload_built_in_python_keeps_what_it_says_over_the_platforms_defaults() -> None:
    built = Platform(
        name="aether",
        kubernetes="v1.37",
        regions=(RegionConfig(code="us-east-1", zones=("a",)),),
        defaults={"workloads": {"replicas": 7, "labels": {"team": "worlds"}}},  # type: ignore[arg-type]
        services=(DeploymentConfig(name="gateway", image=IMAGE, replicas=3),),
    )

    body = bodies(cluster(built, "us-east-1"))["Deployment", "gateway"]

    assert body["spec"]["replicas"] == 3
    assert body["metadata"]["labels"]["team"] == "worlds"


def test_one_fault_in_many_places_is_said_once() -> None:
    found = evaluate("defaults: {workloads: {drain: {grace_period_secs: 0}}}").found

    assert [str(problem) for _, problem in found] == [
        "$.defaults.workloads.drain.grace_period_secs: is 0; less than 1\n  fix: set it to 1 or more"
    ]


# --- entries that Python builds

ENTRIES: dict[str, Workload] = {
    "probes with the times of their type": Workload(
        name="gateway",
        image=IMAGE,
        probes=ProbeConfig(
            liveness=Probe(path="/healthz", port=8080, period_secs=10, failure_threshold=3),
            readiness=Probe(path="/readyz", port=8080, period_secs=10, failure_threshold=3),
        ),
    ),
    "a count like the class's": Workload(name="gateway", image=IMAGE, replicas=2),
    "nothing but its name": Workload(name="gateway", image=IMAGE),
    "no scraping and no CPU limit": Workload(
        name="gateway", image=IMAGE, metrics=None, resources=ResourceRequirements(cpu_limit=None)
    ),
    "a world": Workload(
        name="gateway",
        image=IMAGE,
        pvc=PvcConfig(size="1Gi"),
        scaling=ScalingConfig(max_replicas=4),
        drain=DrainConfig(grace_period_secs=30, pre_stop=None),
    ),
}


@pytest.mark.parametrize("said", ENTRIES)
def test_an_entry_of_python_runs_as_it_was_built(said: str) -> None:
    entry = ENTRIES[said]
    section = entry.workload_class
    regions = [RegionConfig(code="us-east-1", zones=["a", "b"])]
    worlds, services = ([entry], []) if section == "worlds" else ([], [entry])
    system = Platform(name="aether", kubernetes="v1.37", regions=regions, worlds=worlds, services=services)

    placed = system.config_of((section, 0), "us-east-1")

    assert placed is not None
    fields = [name for name in DeploymentConfig.__struct_fields__ if name != "namespace"]
    assert {name: getattr(placed, name) for name in fields} == {name: getattr(entry, name) for name in fields}


def test_what_an_entry_of_python_says_beats_the_defaults_and_what_it_leaves_out_does_not() -> None:
    system = Platform(
        name="aether",
        kubernetes="v1.37",
        regions=[RegionConfig(code="us-east-1", zones=["a", "b"])],
        defaults=DefaultsConfig(services={"replicas": 5}),
        services=[Workload(name="says", image=IMAGE, replicas=2), Workload(name="silent", image=IMAGE)],
    )

    counts = [config.replicas for place in (0, 1) if (config := system.config_of(("services", place), "us-east-1"))]

    assert counts == [2, 5]
