"""The section ``routing`` in a platform: what a router is told, and the workloads and objects that it makes."""

import json
from itertools import combinations
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from aether_deploy.manifest.value import Manifest
from aether_deploy.platform.config import Platform
from aether_deploy.platform.routing import router_config
from aether_deploy.problems import NoHealthyRegionError
from aether_deploy.routing.decision.deciding import decide_route
from aether_deploy.routing.policy import LatencyPolicy
from aether_deploy.routing.probe_target import target_of
from aether_deploy.routing.request import RouteRequest
from aether_deploy.routing.router_config import RouterConfig
from aether_deploy.routing.view import Position
from aether_deploy.routing.viewing import view_of
from tests.platform_cases import cluster, platform, said
from tests.rule_case import DIGEST

OPEN = """
services:
  - {name: gateway, uses: [world-server, router], expose: {type: LoadBalancer, ports: [http]}}
  - {name: voice-relay, expose: {type: LoadBalancer, ports: [rtp, http]}}
"""
RULES = """
routing:
  entry: gateway
  hostname: play.example.com
  load: {soft_percent: 80}
  residency: [{name: eu-players, regions: [eu-west-1]}]
"""
ROUTER = f"""
routing:
  self_check: tcp://status.example.com:853
  service: {{image: "aether/router:v1@{DIGEST}"}}
"""
EDGE = f"""
routing:
  backends:
    - name: player-edge
      kind: envoy
      image: envoyproxy/envoy:distroless-v1.40.0@{DIGEST}
      listeners: [{{name: rtp, port: 3478, protocol: UDP, to: voice-relay}}]
"""
DNS = """
routing:
  backends: [{name: player-dns, kind: external_dns, provider: aws}]
"""
ALL = (RULES, ROUTER, OPEN, EDGE, DNS)
THIRD = """
regions: [{code: ap-south-1, zones: [ap-1a, ap-1b], location: {lat: 19.08, lon: 72.88}}]
"""


def objects(system: Platform, region: str, name: str) -> dict[str, Manifest]:
    """Return the objects of a folder of the workloads' namespace, by kind and name."""
    (found,) = [each for each in cluster(system, region).folders if each.name == name]
    return {f"{each.kind}/{each.name}": each for each in found.manifests}


def config_file(system: Platform, region: str, workload: str, name: str) -> str:
    data = objects(system, region, workload)[f"ConfigMap/{workload}-config"].body["data"]
    return str(data[name])


def priorities(system: Platform, region: str) -> list[str]:
    """Return the regions of the edge's endpoints in one region, by their priority."""
    bootstrap = yaml.safe_load(config_file(system, region, "player-edge", "envoy.yaml"))
    (found,) = [each for each in bootstrap["static_resources"]["clusters"] if each["name"] == "rtp"]
    endpoints = sorted(found["load_assignment"]["endpoints"], key=lambda each: each["priority"])
    return [each["locality"]["region"] for each in endpoints]


def test_a_platform_without_routing_has_a_router_by_the_three_rules_that_asks_nobody() -> None:
    config = router_config(platform())

    assert [(each.code, each.probe, each.capacity_players) for each in config.regions] == [
        ("us-east-1", None, 1000),
        ("eu-west-1", None, 1000),
    ]
    assert (config.load, config.damping, config.latency) == (None, None, None)


def test_a_router_is_told_where_regions_are_how_full_they_get_and_what_to_ask() -> None:
    config = router_config(platform(*ALL))

    us = config.regions[0]
    assert us.probe == "http://us-east-1.play.example.com:8080/readyz"
    assert (us.server_name, us.address) == ("play.example.com", "us-east-1.play.example.com")
    assert us.capacity_players == 20 * 50
    assert us.location is not None
    assert config.self_check == "tcp://status.example.com:853"


def test_a_router_is_told_measured_round_trips_and_leaves_the_rest_to_positions() -> None:
    link = "links: [{between: [us-east-1, ap-south-1], latency_ms: 198}]"
    config = router_config(platform(*ALL, THIRD, link, "routing: {health: {timeout_ms: 1000}}"))

    assert [(each.between, each.latency_ms) for each in config.links] == [(("ap-south-1", "us-east-1"), 198)]
    in_paris = RouteRequest(preferred="eu-west-1", position=Position(48.86, 2.35))
    routed = decide_route(config, view_of(config, down=["eu-west-1"]), in_paris)
    assert (routed.decision.region, routed.source) == ("us-east-1", "great_circle")


@pytest.mark.parametrize(
    "health, probe",
    [
        ("{port: https}", "https://us-east-1.play.example.com:8443/readyz"),
        ("{port: https, scheme: http, path: /up}", "http://us-east-1.play.example.com:8443/up"),
        ("{port: https, scheme: tcp}", "tcp://us-east-1.play.example.com:8443"),
    ],
)
def test_a_region_is_asked_by_the_scheme_of_its_port(health: str, probe: str) -> None:
    https = """
services: [{name: gateway, ports: [{name: https, port: 8443}], expose: {ports: [https]}}]
"""
    config = router_config(platform(*ALL, https, f"routing: {{health: {health}}}"))

    assert config.regions[0].probe == probe


def test_an_endpoint_of_the_entry_says_where_players_and_probes_go() -> None:
    endpoint = "services: [{name: gateway, endpoint: 'gw.{region}.example.net'}]"
    config = router_config(platform(RULES, ROUTER, OPEN, endpoint))

    assert config.regions[1].address == "gw.eu-west-1.example.net"
    assert config.regions[1].probe == "http://gw.eu-west-1.example.net:8080/readyz"


def test_what_is_rendered_for_a_router_reads_back_as_what_it_is_told_whatever_its_defaults_are() -> None:
    system = platform(*ALL)

    values = json.loads(config_file(system, "us-east-1", "router", "router.json"))

    assert RouterConfig.from_values(values) == router_config(system)
    assert values["health"]["fall"] == 3
    assert values["load"] == {
        "soft_percent": 80,
        "hard_percent": 95,
        "report_max_age_secs": 15,
        "reservation_secs": 30,
    }


def test_the_router_is_a_workload_like_others_that_may_dial_nothing_but_probes_and_its_self_check() -> None:
    found = objects(platform(*ALL), "us-east-1", "router")

    (container,) = found["Deployment/router"].body["spec"]["template"]["spec"]["containers"]
    assert container["args"][:4] == ["router", "serve", "--config", "/etc/aether/router.json"]
    egress = found["NetworkPolicy/router"].body["spec"]["egress"]
    assert egress[1:] == [{"ports": [{"protocol": "TCP", "port": 853}, {"protocol": "TCP", "port": 8080}]}]


def test_callers_of_the_router_find_it_and_are_let_in() -> None:
    system = platform(*ALL)

    gateway = objects(system, "eu-west-1", "gateway")["Deployment/gateway"].body["spec"]["template"]["spec"]
    env = {each["name"]: each["value"] for each in gateway["containers"][0]["env"]}
    assert env["AETHER_ROUTER_HOST"] == "router.aether-prod.svc"
    (callers, _) = objects(system, "eu-west-1", "router")["NetworkPolicy/router"].body["spec"]["ingress"]
    assert callers["from"] == [{"podSelector": {"matchLabels": {"app.kubernetes.io/instance": "gateway"}}}]


def test_secret_files_of_the_router_become_its_options() -> None:
    secrets = """
routing:
  service:
    secret_files:
      - {name: admin-token, secret: router-admin, key: token, path: /run/secrets/admin/token}
      - {name: signing-key, secret: router-signing, key: key.pem, path: /run/secrets/signing/key.pem}
"""
    found = objects(platform(*ALL, secrets), "us-east-1", "router")

    args = found["Deployment/router"].body["spec"]["template"]["spec"]["containers"][0]["args"]
    assert args[-4:] == [
        "--admin-token-file",
        "/run/secrets/admin/token",
        "--signing-key-file",
        "/run/secrets/signing/key.pem",
    ]


@pytest.mark.parametrize("files", ["[{name: [x]}]", "[{name: {a: b}}]", "[7, null]", "{admin-token: 7}", "7"])
def test_secret_files_that_are_none_are_faults_of_theirs_alone(files: str) -> None:
    told = said(RULES, ROUTER, OPEN, f"{{routing: {{service: {{secret_files: {files}}}}}}}")

    assert told
    assert all(each.startswith("$.routing.service.secret_files") for each in told), told


def test_what_the_author_says_of_the_router_wins() -> None:
    said_of = "{routing: {service: {replicas: 5, env: {TZ: UTC}, resources: {cpu_limit: '3'}}}}"
    deployment = objects(platform(*ALL, said_of), "us-east-1", "router")["Deployment/router"].body

    assert deployment["spec"]["replicas"] == 5
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    assert {"name": "TZ", "value": "UTC"} in container["env"]
    assert container["resources"]["limits"]["cpu"] == "3"


def test_a_fault_of_the_router_is_told_once_at_the_section() -> None:
    found = said(RULES, ROUTER, OPEN, "{routing: {service: {replicas: many, imag: x}}}")

    assert found == [
        "$.routing.service: has unknown key 'imag'\n  fix: did you mean 'image'?",
        "$.routing.service.replicas: is 'many'; expected a whole number\n  fix: write a whole number",
    ]


def test_a_router_needs_an_image() -> None:
    bare = "{routing: {self_check: tcp://status.example.com:853, service: {replicas: 2}}}"
    (problem,) = said(RULES, OPEN.replace(", router", ""), bare)

    assert "$.routing.service: lacks 'image'" in problem


def test_a_fault_in_routing_hides_none_of_a_workload() -> None:
    found = said(
        *ALL, "{routing: {load: {soft_percent: 101}}, worlds: [{name: world-server, scaling: {max_replicas: 1}}]}"
    )

    assert any("$.routing.load.soft_percent: is 101; more than 100" in each for each in found)
    assert any("scaling.max_replicas: is 1" in each for each in found)


@pytest.mark.parametrize(
    "section",
    ["worlds: [{name: router, image: x/y:v1, pvc: {size: 1Gi}}]", "services: [{name: player-edge, image: x/y:v1}]"],
)
def test_the_names_of_routing_are_those_of_no_other(section: str) -> None:
    assert any(".name: is '" in each and " too\n" in each for each in said(*ALL, section))


@pytest.mark.parametrize("region", ["us-east-1", "eu-west-1", "ap-south-1"])
@pytest.mark.parametrize(
    "rules",
    [
        "{}",
        "{latency: {sources: [static]}}",
        "{latency: {max_ms: 50, tie_ms: 200}, load: {}}",
        "{drain: {us-east-1: soft}}",
        "{drain: {eu-west-1: hard, us-east-1: soft}}",
    ],
)
def test_an_edge_fails_over_in_the_order_of_the_routers_decision(region: str, rules: str) -> None:
    static = "regions: [{code: us-east-1, latency_ms: 90}, {code: eu-west-1, latency_ms: 20}]"
    system = platform(*ALL, THIRD, static, f"routing: {rules}")

    assert priorities(system, region) == router_order(router_config(system), region)


def router_order(config: RouterConfig, preferred: str) -> list[str]:
    """Return who takes the players of a region as one region after the other falls, by the router's own rules, but
    for those that no fixed order can know: the cap, ties, load and what hangs on time."""
    latency = config.latency
    plain = LatencyPolicy() if latency is None else latency
    fixed = {"latency": msgspec.structs.replace(plain, max_ms=None, tie_ms=0, expansions=()), "load": None}
    config = msgspec.structs.replace(config, **fixed)
    down: list[str] = []
    while True:
        try:
            routed = decide_route(config, view_of(config, down=down), RouteRequest(preferred=preferred))
        except NoHealthyRegionError:
            return down
        down.append(routed.decision.region)


CODES = ("a", "b", "c", "d", "e")
SOURCES = ("measured", "matrix", "great_circle", "static")
places = st.tuples(st.integers(-60, 60), st.integers(-180, 180))


@st.composite
def lands(draw: st.DrawFn) -> dict[str, Any]:
    """Regions, some of them without a place or a static latency; links between some; sources in any order; drains."""
    regions = [
        {
            "code": code,
            "zones": [f"{code}1", f"{code}2"],
            **({"location": {"lat": at[0], "lon": at[1]}} if (at := draw(st.none() | places)) else {}),
            **({"latency_ms": ms} if (ms := draw(st.none() | st.integers(0, 300))) is not None else {}),
        }
        for code in CODES[: draw(st.integers(2, 5))]
    ]
    links = [
        {"between": draw(st.permutations((one["code"], other["code"]))), "latency_ms": draw(st.integers(1, 200))}
        for one, other in combinations(regions, 2)
        if not ("location" in one and "location" in other) or draw(st.booleans())  # a file must tell how far
    ]
    drained = draw(st.lists(st.sampled_from(regions), unique_by=lambda each: each["code"], max_size=2))
    latency = st.lists(st.sampled_from(SOURCES), min_size=1, unique=True).map(lambda names: {"sources": names})
    routing = {
        "entry": "gateway",
        "hostname": "play.example.com",
        "latency": draw(st.none() | latency),
        "health": {"timeout_ms": 60_000},
        "drain": {each["code"]: draw(st.sampled_from(["soft", "hard"])) for each in drained},
    }
    return {"regions": regions, "links": links, "routing": routing}


@given(lands())
@settings(max_examples=60, deadline=None)
def test_on_any_land_every_edge_fails_over_as_the_router_decides(land: dict[str, Any]) -> None:
    image = f"x/y:v1@{DIGEST}"
    listener = {"name": "web", "port": 8080, "to": "gateway"}
    edge = {"name": "edge", "kind": "envoy", "image": f"envoyproxy/envoy:v1.40.0@{DIGEST}", "listeners": [listener]}
    gateway = {"name": "gateway", "image": image, "expose": {"type": "LoadBalancer", "ports": ["http"]}}
    routing = {**land["routing"], "backends": [edge]}
    system = Platform.from_values(
        {"name": "aether", "kubernetes": "v1.37", "services": [gateway], **land, "routing": routing}
    )
    landscape, config = system.landscape, router_config(system)

    assert landscape is not None
    assert system.routing is not None
    (backend,) = system.routing.sound_backends
    for region in config.codes:
        bootstrap = yaml.safe_load(backend.bootstrap(landscape, region))  # type: ignore[attr-defined]
        endpoints = bootstrap["static_resources"]["clusters"][0]["load_assignment"]["endpoints"]
        assert [each["locality"]["region"] for each in endpoints] == router_order(config, region)


def test_each_cluster_gets_its_own_record_and_name() -> None:
    system = platform(*ALL)

    for region in ("us-east-1", "eu-west-1"):
        (record,) = objects(system, region, "player-dns").values()
        (endpoint,) = record.body["spec"]["endpoints"]
        assert (endpoint["setIdentifier"], endpoint["targets"]) == (region, [f"{region}.play.example.com"])
        service = objects(system, region, "gateway")["Service/gateway-external"].body
        assert service["metadata"]["annotations"]["external-dns.kubernetes.io/hostname"] == f"{region}.play.example.com"


def test_a_listener_to_what_no_name_leads_to_is_a_problem() -> None:
    found = [each for each in said(RULES, ROUTER, OPEN, EDGE) if "warning" not in each]

    (problem,) = found
    assert "$.routing.backends[0].listeners[0].to: is 'voice-relay'" in problem


def test_an_overlay_can_switch_a_back_end_off() -> None:
    off = """
routing: {backends: [{name: player-dns, enabled: false}]}
services: [{name: voice-relay, endpoint: "v.{region}.example.com"}]
"""
    system = platform(*ALL, off)

    names = [each.name for each in cluster(system, "us-east-1").folders]
    assert "player-dns" not in names
    assert "player-edge" in names


def test_a_residency_keeps_the_regions_that_are_enabled() -> None:
    more: dict[str, Any] = {"routing.residency": [{"name": "eu-players", "regions": ["eu-west-1", "us-east-1"]}]}
    system = platform(*ALL, "{regions: [{code: eu-west-1, enabled: false}]}", sets=more)

    (rule,) = router_config(system).residency
    assert rule.regions == ("us-east-1",)


def test_a_drain_and_a_self_check_of_the_section_reach_the_router() -> None:
    off = "regions: [{code: ap-south-1, enabled: false}]"
    system = platform(*ALL, THIRD, off, "routing: {drain: {eu-west-1: soft, ap-south-1: hard}}")

    values = json.loads(config_file(system, "us-east-1", "router", "router.json"))

    assert (values["drain"], values["self_check"]) == ({"eu-west-1": "soft"}, "tcp://status.example.com:853")


def test_a_region_under_a_drain_has_no_record_while_another_one_is_left() -> None:
    drained = platform(*ALL, "routing: {drain: {eu-west-1: hard}}")
    both = platform(*ALL, "routing: {drain: {eu-west-1: hard, us-east-1: soft}}")

    assert "player-dns" not in {each.name for each in cluster(drained, "eu-west-1").folders}
    assert objects(drained, "us-east-1", "player-dns")
    assert objects(both, "us-east-1", "player-dns")


def test_the_question_in_router_json_is_the_one_of_the_edge() -> None:
    https = """
services: [{name: gateway, ports: [{name: https, port: 8443}], expose: {ports: [https]}}]
routing: {backends: [{name: player-edge, listeners: [{name: https, port: 8443, to: gateway}]}]}
"""
    system = platform(*ALL, https, "routing: {health: {port: https, path: /up}}")

    (us, _) = router_config(system).regions
    bootstrap = yaml.safe_load(config_file(system, "us-east-1", "player-edge", "envoy.yaml"))
    (edge,) = [each for each in bootstrap["static_resources"]["clusters"] if each["name"] == "https"]
    (context,) = [each["transport_socket"]["typed_config"] for each in edge["transport_socket_matches"]]
    asked = edge["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]["health_check_config"]
    target = target_of(us.probe or "", us.server_name)
    assert (target.port, target.path, target.server_name) == (
        asked["port_value"],
        edge["health_checks"][0]["http_health_check"]["path"],
        context["sni"],
    )
    assert target.authority == asked["hostname"]
    assert context["auto_sni_san_validation"] is True


# --- faults are told once, where they stand


def test_a_fault_of_a_rule_hides_none_of_the_section_and_has_its_place() -> None:
    found = said(*ALL, "{routing: {latency: {sources: []}, entry: gatewy, self_check: 'tcp://h:0'}}")

    paths = {each.partition(":")[0] for each in found if "warning" not in each}
    assert paths == {"$.routing.latency.sources", "$.routing.entry", "$.routing.self_check"}


def test_links_and_regions_with_faults_break_nothing_else() -> None:
    off = "regions: [{code: us-east-1, enabled: false}, {code: eu-west-1, enabled: false}]"

    found = said(*ALL, off, "links: [{between: [us-east-1, us-east-1], latency_ms: 5}]")

    assert any(each.startswith("$.links[0].between: ") for each in found)
    assert any(each.startswith("$.regions: no region is enabled") for each in found)


def _edges(*listeners: str, name: str = "edge") -> str:
    image = f"a/envoy:v1@{DIGEST}"
    return (
        f"routing: {{backends: [{{name: {name}, kind: envoy, image: '{image}', listeners: [{', '.join(listeners)}]}}]}}"
    )


A_LISTENER = "{name: a, port: 9000, to: gateway, to_port: http}"
FOLLOW_UPS = {
    "a back end without listeners": (_edges(), "$.routing.backends[0].listeners"),
    "a listener with Envoy's own name": (
        _edges(A_LISTENER, "{name: ops, port: 9001, to: gateway, to_port: http}"),
        "$.routing.backends[0].listeners[1].name",
    ),
    "a back end with the name of the entry": (_edges(A_LISTENER, name="gateway"), "$.routing.backends[0].name"),
    "a health port that is none": ("routing: {health: {port: nope}}", "$.routing.health.port"),
    "an endpoint that is no host name": (
        "services: [{name: gateway, endpoint: 'https://{region}.example.com'}]",
        "$.services[0].endpoint",
    ),
    "a region in the host name of all": ("routing: {hostname: 'play.{region}.example.com'}", "$.routing.hostname"),
    "a host name in capitals": ("routing: {hostname: Play.Example.com}", "$.routing.hostname"),
    "a host name that is an address": ("routing: {hostname: 203.0.113.7}", "$.routing.hostname"),
    "a path with a space": ("routing: {health: {path: '/ready z'}}", "$.routing.health.path"),
}


@pytest.mark.parametrize("case", FOLLOW_UPS)
def test_a_fault_has_no_follow_ups(case: str) -> None:
    text, place = FOLLOW_UPS[case]
    edge = () if "backends" in text else (_edges(A_LISTENER, A_LISTENER.replace("a, port: 9000", "b, port: 9001")),)

    found = [each for each in said(RULES, ROUTER, OPEN, *edge, text) if ": warning: " not in each]

    assert [each.partition(": ")[0] for each in found] == [place], found
