"""Workloads that reach each other, and are reached: uses, other regions, load balancers, neighbours."""

from typing import Any

import pytest

from tests.platform_cases import bodies, cluster, platform, render, said

ELSEWHERE = """
services:
  - name: matchmaking
    regions: [us-east-1]
    expose: {type: LoadBalancer, internal: true, ports: [http]}
    endpoint: "{cluster}.{region}.{environment}.example.com"
  - {name: gateway, network: {allow_to: [203.0.113.0/24]}}
"""


SELECTOR = {name: {"app.kubernetes.io/instance": name} for name in ("world-server", "gateway", "voice-relay")}


def policy(objects: dict[tuple[str, str], dict[str, Any]], name: str) -> dict[str, Any]:
    found: dict[str, Any] = objects["NetworkPolicy", name]["spec"]
    return found


def pod(objects: dict[tuple[str, str], dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = objects[kind, name]["spec"]["template"]["spec"]
    return found


def env(objects: dict[tuple[str, str], dict[str, Any]], kind: str, name: str) -> dict[str, str]:
    return {each["name"]: each["value"] for each in pod(objects, kind, name)["containers"][0].get("env", ())}


def pods_of(name: str) -> dict[str, Any]:
    return {"podSelector": {"matchLabels": SELECTOR[name]}}


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


# --- what is exposed


def test_what_is_exposed_has_a_service_of_those_ports_only() -> None:
    text = "services: [{name: voice-relay, expose: {ports: [rtp], external_traffic_policy: Local}}]"
    objects = render("us-east-1", text)

    assert objects["Service", "voice-relay-external"]["spec"] == {
        "type": "LoadBalancer",
        "externalTrafficPolicy": "Local",
        "selector": SELECTOR["voice-relay"],
        "ports": [{"name": "rtp", "port": 3478, "targetPort": "rtp", "protocol": "UDP"}],
    }
    assert [port["name"] for port in objects["Service", "voice-relay"]["spec"]["ports"]] == ["http", "rtp"]


def test_a_player_reaches_his_own_world() -> None:
    text = "worlds: [{name: world-server, scaling: {max_replicas: 3}, expose: {ports: [game], per_pod: true}}]"
    objects = render("us-east-1", text)
    services = {name: body["spec"] for (kind, name), body in objects.items() if kind == "Service" and "world" in name}

    assert set(services) == {"world-server", "world-server-headless", *(f"world-server-{n}" for n in range(3))}
    assert services["world-server-2"] == {
        "type": "LoadBalancer",
        "selector": {**SELECTOR["world-server"], "apps.kubernetes.io/pod-index": "2"},
        "ports": [{"name": "game", "port": 7777, "targetPort": "game", "protocol": "UDP"}],
    }


INTERNAL = {
    "aws": {
        "service.beta.kubernetes.io/aws-load-balancer-internal": "true",
        "service.beta.kubernetes.io/aws-load-balancer-scheme": "internal",
    },
    "gcp": {"networking.gke.io/load-balancer-type": "Internal"},
    "azure": {"service.beta.kubernetes.io/azure-load-balancer-internal": "true"},
}


@pytest.mark.parametrize("provider", INTERNAL)
def test_an_internal_load_balancer_is_asked_for_in_the_words_of_its_provider(provider: str) -> None:
    text = f"""
regions: [{{code: us-east-1, provider: {provider}}}]
services: [{{name: matchmaking, expose: {{internal: true, ports: [http]}}}}]
"""
    objects = render("us-east-1", text)

    assert objects["Service", "matchmaking-external"]["metadata"]["annotations"] == INTERNAL[provider]


def test_the_authors_annotations_of_a_load_balancer_win() -> None:
    text = """
services:
  - name: matchmaking
    expose: {internal: true, ports: [http], annotations: {networking.gke.io/load-balancer-type: Mine}}
"""
    objects = render("us-east-1", "regions: [{code: us-east-1, provider: gcp}]", text)

    annotations = objects["Service", "matchmaking-external"]["metadata"]["annotations"]

    assert annotations == {"networking.gke.io/load-balancer-type": "Mine"}


def test_callers_may_be_kept_in_their_zone() -> None:
    objects = render("us-east-1", "services: [{name: matchmaking, traffic: prefer_zone}]")

    assert objects["Service", "matchmaking"]["spec"]["trafficDistribution"] == "PreferSameZone"
    assert "trafficDistribution" not in objects["Service", "gateway"]["spec"]


def test_a_stateful_set_has_its_headless_service_even_without_ports() -> None:
    text = "worlds: [{name: world-server, ports: [{name: http, enabled: false}, {name: game, enabled: false}]}]"
    unused = "services: [{name: gateway, uses: [matchmaking]}]"
    objects = render("us-east-1", text, "worlds: [{name: world-server, metrics: none}]", unused)

    assert objects["StatefulSet", "world-server"]["spec"]["serviceName"] == "world-server-headless"
    assert objects["Service", "world-server-headless"]["spec"] == {
        "clusterIP": "None",
        "publishNotReadyAddresses": True,
        "selector": SELECTOR["world-server"],
    }
    assert ("Service", "world-server") not in objects


# --- neighbours

NEAR = "worlds: [{name: world-server, topology: {preferred_colocation: [{service: voice-relay, weight: 80}]}}]"


def test_a_neighbour_is_looked_for_in_the_namespace_where_it_runs() -> None:
    objects = render("us-east-1", NEAR)

    affinity = pod(objects, "StatefulSet", "world-server")["affinity"]["podAffinity"]

    assert affinity["preferredDuringSchedulingIgnoredDuringExecution"] == [
        {
            "weight": 80,
            "podAffinityTerm": {
                "labelSelector": {"matchLabels": SELECTOR["voice-relay"]},
                "namespaces": ["aether-prod"],
                "topologyKey": "topology.kubernetes.io/zone",
            },
        }
    ]


def test_nothing_is_near_what_does_not_run_here() -> None:
    away = """
worlds: [{name: world-server, uses: []}]
services: [{name: voice-relay, regions: [us-east-1]}]
"""
    objects = render("eu-west-1", NEAR, away)

    assert "podAffinity" not in pod(objects, "StatefulSet", "world-server")["affinity"]


# --- monitoring


def test_without_prometheus_no_object_needs_a_custom_resource_definition() -> None:
    assert {kind for kind, _ in render("us-east-1")} == {
        "Namespace", "NetworkPolicy", "PodDisruptionBudget", "ServiceAccount", "Service", "Deployment",
        "HorizontalPodAutoscaler", "StatefulSet",
    }  # fmt: skip


def test_with_prometheus_every_workload_is_scraped() -> None:
    text = "observability: {prometheus: {url: 'http://p:9090', namespace: monitoring}, scrape_interval_secs: 30}"
    objects = render("us-east-1", text)

    assert objects["PodMonitor", "gateway"]["spec"] == {
        "selector": {"matchLabels": SELECTOR["gateway"]},
        "podMetricsEndpoints": [{"port": "http", "path": "/metrics", "interval": "30s"}],
    }
    assert len([kind for kind, _ in objects if kind == "PodMonitor"]) == 4


QUIET = {
    "monitors are off": "observability: {prometheus: {url: 'http://p:9090', namespace: m}, pod_monitors: false}",
    "the workload has no metrics": (
        "observability: {prometheus: {url: 'http://p:9090', namespace: m}}\ndefaults: {workloads: {metrics: none}}"
    ),
}


@pytest.mark.parametrize("case", QUIET)
def test_nothing_is_scraped_where(case: str) -> None:
    objects = render("us-east-1", QUIET[case])

    assert [kind for kind, _ in objects if kind == "PodMonitor"] == []
