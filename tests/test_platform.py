"""A platform becomes one configuration per placement, and manifests that know their neighbours."""

from typing import Any

import pytest

from aether_deploy import DeploymentConfig, Platform, PvcConfig, RegionConfig
from tests.platform_cases import bodies, cluster, evaluate, platform, render, said
from tests.rule_case import DIGEST, IMAGE

ELSEWHERE = """
services:
  - name: matchmaking
    regions: [us-east-1]
    expose: {type: LoadBalancer, internal: true, ports: [http]}
    endpoint: "{cluster}.{region}.{environment}.example.com"
  - {name: gateway, network: {allow_to: [203.0.113.0/24]}}
"""


def policy(objects: dict[tuple[str, str], dict[str, Any]], name: str) -> dict[str, Any]:
    found: dict[str, Any] = objects["NetworkPolicy", name]["spec"]
    return found


def pod(objects: dict[tuple[str, str], dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = objects[kind, name]["spec"]["template"]["spec"]
    return found


def env(objects: dict[tuple[str, str], dict[str, Any]], kind: str, name: str) -> dict[str, str]:
    return {each["name"]: each["value"] for each in pod(objects, kind, name)["containers"][0].get("env", ())}


def pods_of(name: str) -> dict[str, Any]:
    labels = {"app.kubernetes.io/instance": name, "app.kubernetes.io/name": name}
    return {"podSelector": {"matchLabels": labels}}


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


# --- uses


def test_what_is_used_is_told_by_the_environment_of_the_pod() -> None:
    objects = render("us-east-1", "services: [{name: gateway, env: {AETHER_MATCHMAKING_HOST: mine}}]")

    assert env(objects, "Deployment", "gateway") == {
        "AETHER_MATCHMAKING_HOST": "mine",
        "AETHER_MATCHMAKING_PORT_HTTP": "8080",
        "AETHER_WORLD_SERVER_HOST": "world-server.aether-prod.svc",
        "AETHER_WORLD_SERVER_PORT_GAME": "7777",
        "AETHER_WORLD_SERVER_PORT_HTTP": "8080",
    }


def test_uses_opens_the_network_on_both_sides() -> None:
    objects = render("us-east-1")
    ports = [{"protocol": "TCP", "port": 8080}, {"protocol": "UDP", "port": 3478}]

    assert {"to": [pods_of("voice-relay")], "ports": ports} in policy(objects, "world-server")["egress"]
    assert {"from": [pods_of("world-server")], "ports": ports} in policy(objects, "voice-relay")["ingress"]


def test_what_nobody_uses_or_exposes_lets_only_prometheus_in() -> None:
    objects = render("us-east-1", "services: [{name: gateway, uses: []}]")

    assert policy(objects, "gateway")["ingress"] == [
        {"from": [{"namespaceSelector": {}}], "ports": [{"protocol": "TCP", "port": 8080}]}
    ]


def test_prometheus_comes_from_its_namespace_only_where_it_is_known() -> None:
    objects = render("us-east-1", "observability: {prometheus: {url: 'http://p:9090', namespace: monitoring}}")

    selector = {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}

    assert policy(objects, "gateway")["ingress"] == [
        {"from": [{"namespaceSelector": selector}], "ports": [{"protocol": "TCP", "port": 8080}]}
    ]


def test_every_pod_may_ask_dns_even_where_it_answers_on_the_node() -> None:
    objects = render("us-east-1")

    for name in ("world-server", "gateway", "matchmaking", "voice-relay"):
        assert policy(objects, name)["egress"][0] == {
            "to": [
                {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}},
                {"ipBlock": {"cidr": "169.254.0.0/16"}},
            ],
            "ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}],
        }


def test_what_is_exposed_may_be_reached_from_anywhere_on_those_ports_only() -> None:
    objects = render("us-east-1", "services: [{name: voice-relay, expose: {ports: [rtp]}}]")

    assert {"ports": [{"protocol": "UDP", "port": 3478}]} in policy(objects, "voice-relay")["ingress"]


def test_further_addresses_are_allowed_by_block() -> None:
    text = "services: [{name: gateway, network: {allow_from: [198.51.100.0/24], allow_to: ['2001:db8::/32']}}]"
    objects = render("us-east-1", text)

    assert {
        "from": [{"ipBlock": {"cidr": "198.51.100.0/24"}}],
        "ports": [{"protocol": "TCP", "port": 8080}],
    } in policy(objects, "gateway")["ingress"]
    assert {"to": [{"ipBlock": {"cidr": "2001:db8::/32"}}]} in policy(objects, "gateway")["egress"]


# --- what runs elsewhere


def test_what_is_not_placed_here_is_a_name_for_its_endpoint() -> None:
    objects = render("eu-west-1", ELSEWHERE)

    assert ("Deployment", "matchmaking") not in objects
    assert objects["Service", "matchmaking"]["spec"] == {
        "type": "ExternalName",
        "externalName": "us-east-1.us-east-1.prod.example.com",
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
    }
    assert env(objects, "Deployment", "gateway")["AETHER_MATCHMAKING_HOST"] == "matchmaking.aether-prod.svc"


def test_what_is_not_used_where_it_does_not_run_leaves_nothing_there() -> None:
    objects = render("eu-west-1", "services: [{name: gateway, uses: []}, {name: matchmaking, regions: [us-east-1]}]")

    assert [name for _, name in objects if name.startswith("matchmaking")] == []


def test_the_way_out_leads_to_the_listed_addresses() -> None:
    egress = policy(render("eu-west-1", ELSEWHERE), "gateway")["egress"]

    assert egress[1:] == [
        {
            "to": [pods_of("world-server")],
            "ports": [{"protocol": "TCP", "port": 8080}, {"protocol": "UDP", "port": 7777}],
        },
        {"to": [{"ipBlock": {"cidr": "203.0.113.0/24"}}]},
    ]


def test_without_addresses_the_way_out_is_open_on_the_exposed_ports_and_a_warning_says_so() -> None:
    open_way = "services: [{name: gateway, network: null}]"
    system = platform(ELSEWHERE, open_way)

    egress = policy(bodies(cluster(system, "eu-west-1")), "gateway")["egress"]

    assert {"ports": [{"protocol": "TCP", "port": 8080}]} in egress
    assert said(ELSEWHERE, open_way) == [
        "$.services[0].uses[1]: warning: is 'matchmaking'; outside eu-west-1, so its ports are open to any address "
        "from here\n  fix: list its addresses in network.allow_to of 'gateway'"
    ]


NEAREST = {
    "by links": ("links: [{between: [r-a, r-c], latency_ms: 90}, {between: [r-b, r-c], latency_ms: 10}]", "r-b"),
    "by links that turn it round": (
        "links: [{between: [r-a, r-c], latency_ms: 10}, {between: [r-b, r-c], latency_ms: 90}]",
        "r-a",
    ),
    "by distance where no link is known": ("links: [{between: [r-a, r-b], latency_ms: 10}]", "r-b"),
    "by file order where both are as far": (
        "links: [{between: [r-a, r-c], latency_ms: 50}, {between: [r-b, r-c], latency_ms: 50}]",
        "r-a",
    ),
}


@pytest.mark.parametrize("case", NEAREST)
def test_the_nearest_placement_is_found(case: str) -> None:
    links, expected = NEAREST[case]
    text = f"""
regions:
  - {{code: us-east-1, enabled: false}}
  - {{code: eu-west-1, enabled: false}}
  - {{code: r-a, provider: aws, zones: [a], location: {{lat: 0, lon: 0}}}}
  - {{code: r-b, provider: aws, zones: [a], location: {{lat: 0, lon: 40}}}}
  - {{code: r-c, provider: aws, zones: [a], location: {{lat: 0, lon: 50}}}}
services: [{{name: matchmaking, regions: [r-a, r-b]}}]
{links}
"""
    objects = render("r-c", ELSEWHERE, text)

    assert objects["Service", "matchmaking"]["spec"]["externalName"] == f"{expected}.{expected}.prod.example.com"


# --- built in Python


def test_a_platform_built_in_python_equals_the_one_from_a_file() -> None:
    loaded = Platform.load(
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
