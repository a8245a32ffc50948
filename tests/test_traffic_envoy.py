"""Envoy's configuration for each region, and what is said of a back end that cannot work."""

from typing import Any

import msgspec
import pytest
import yaml

from aether_deploy.config.base import Fault
from aether_deploy.fleet.config import DeploymentConfig
from aether_deploy.problems import ConfigError
from aether_deploy.routing.policy import HealthPolicy, RoutingPolicy
from aether_deploy.traffic.backend import BackendConfig, Landscape
from aether_deploy.traffic.kinds.envoy import EnvoyConfig
from aether_deploy.traffic.registry import backend_types
from tests.conftest import Golden
from tests.envoy_cases import ASKED, EDGE, GATEWAY, HTTPS, LAND, REGIONS, RTP, VOICE, WEB, envoy, landscape, target


def clusters(config: EnvoyConfig, where: Landscape = LAND, region: str = "us") -> dict[str, Any]:
    document = yaml.safe_load(config.bootstrap(where, region))
    return {each["name"]: each for each in document["static_resources"]["clusters"]}


def hosts(cluster: dict[str, Any]) -> list[tuple[str, int, dict[str, Any]]]:
    found = []
    for place, each in enumerate(cluster["load_assignment"]["endpoints"]):
        assert each["priority"] == place
        endpoint = each["lb_endpoints"][0]["endpoint"]
        address = endpoint["address"]["socket_address"]
        found.append((address["address"], address["port_value"], endpoint["health_check_config"]))
    return found


def faults(config: EnvoyConfig, where: Landscape = LAND) -> list[Fault]:
    return [fault for fault in config.faults(where) if fault.severity == "error"]


def test_every_bootstrap_is_the_golden_one(check_golden: Golden) -> None:
    check_golden("traffic/envoy", {f"{region}.yaml": EDGE.bootstrap(LAND, region) for region in REGIONS})


@pytest.mark.parametrize("region", REGIONS)
def test_each_region_is_one_priority_in_the_order_of_routing_and_home_is_the_service(region: str) -> None:
    names = [host for host, _, _ in hosts(clusters(EDGE, region=region)["rtp"])]
    away = [f"voice-relay.{code}.play.example.com" for code in LAND.order[region][1:]]

    assert names == ["voice-relay.aether-prod.svc", *away]


def test_the_admin_interface_is_reached_from_inside_the_pod_only() -> None:
    document = yaml.safe_load(EDGE.bootstrap(LAND, "us"))
    admin = document["admin"]["address"]["socket_address"]
    listeners = [each["address"]["socket_address"] for each in document["static_resources"]["listeners"]]

    assert admin == {"address": "127.0.0.1", "port_value": 9901}
    assert admin["port_value"] not in [each["port_value"] for each in listeners]


def test_datagrams_are_checked_at_a_port_that_can_be_asked() -> None:
    (_, port, check), *_ = hosts(clusters(EDGE)["rtp"])

    assert (port, check["port_value"]) == (3478, 8080)


def test_a_region_that_does_not_run_the_workload_is_left_out() -> None:
    voice = target("voice-relay", *VOICE.ports, regions=frozenset({"eu", "ap"}))
    where = landscape(targets={"voice-relay": voice, "gateway": GATEWAY})

    assert faults(envoy(RTP), where) == []
    assert [host for host, _, _ in hosts(clusters(envoy(RTP), where)["rtp"])] == [
        "voice-relay.eu.play.example.com",
        "voice-relay.ap.play.example.com",
    ]


def test_fail_open_is_home_once_more_where_nothing_is_asked() -> None:
    where = landscape(policy=RoutingPolicy(on_none_healthy="fail_open"))
    *_, last = hosts(clusters(EDGE, where)["web"])

    assert last == ("lobby.aether-prod.svc", 8080, {"disable_active_health_check": True})


def test_times_of_checks_are_those_of_routing_with_and_without_traffic() -> None:
    where = landscape(health=HealthPolicy(interval_ms=1500, timeout_ms=250, fall=4, rise=5))
    check = clusters(EDGE, where)["web"]["health_checks"][0]
    intervals = {value for name, value in check.items() if name.endswith("interval")}

    assert (intervals, check["timeout"]) == ({"1.5s"}, "0.25s")
    assert (check["unhealthy_threshold"], check["healthy_threshold"]) == (4, 5)
    assert "retriable_statuses" not in check["http_health_check"]


def test_the_entry_is_asked_as_routing_says_and_for_the_name_that_players_use() -> None:
    where = landscape(question=msgspec.structs.replace(ASKED, path="/alive"))
    cluster = clusters(envoy(HTTPS), where)["https"]
    check = cluster["health_checks"][0]

    assert check["http_health_check"]["path"] == "/alive"
    assert {each["hostname"] for _, _, each in hosts(cluster)} == {"play.example.com:8443"}
    assert check["transport_socket_match_criteria"] == cluster["transport_socket_matches"][0]["match"]
    assert "transport_socket" not in cluster, "sessions pass through as they are"


def test_a_check_of_its_own_replaces_the_readiness_probe() -> None:
    check = clusters(envoy({**RTP, "check": {"port": "http"}}))["rtp"]["health_checks"][0]

    assert check["tcp_health_check"] == {}
    assert "http_health_check" not in check


def test_its_pods_are_a_service_that_the_fleet_takes() -> None:
    entry = {"name": "player-edge", "namespace": "aether-prod", **EDGE.workload(LAND, "eu")}
    config = DeploymentConfig(**entry)
    problems = [(problem.path, problem.severity) for problem in config.problems()]

    assert problems == [("$.image", "warning")]
    assert config.config_files[0].text == EDGE.bootstrap(LAND, "eu")
    assert [port.name for port in config.ports if port.enabled] == ["https", "web", "rtp", "ops"]
    assert config.expose is not None
    assert set(config.expose.ports) == {"https", "web", "rtp"}
    assert config.render_bundle() == DeploymentConfig(**entry).render_bundle()


def test_a_listener_on_the_port_that_every_service_has_does_not_collide() -> None:
    web = envoy({**WEB, "name": "http"})
    config = DeploymentConfig(name="edge", namespace="x", **web.workload(LAND, "us"))

    assert [(port.name, port.port) for port in config.ports if port.enabled] == [("http", 8080), ("ops", 9902)]


def test_what_its_pods_dial_outside_is_the_port_and_the_one_that_tells_health() -> None:
    assert envoy(RTP).outside(LAND, "us") == (("rtp", 3478, "UDP"), ("http", 8080, "TCP"))
    alone = landscape(regions=("us",), order={"us": ("us",)})
    here = target("voice-relay", *VOICE.ports, regions=frozenset({"us"}))

    assert (
        envoy(RTP).outside(landscape(regions=alone.regions, order=alone.order, targets={"voice-relay": here}), "us")
        == ()
    )


def test_a_land_that_it_can_serve_has_no_faults_and_no_warnings() -> None:
    assert list(EDGE.faults(LAND)) == []


def test_the_rules_that_it_cannot_keep_are_one_warning() -> None:
    policy = RoutingPolicy.from_values(
        {"latency": {"max_ms": 180}, "damping": {}, "load": {}, "sticky": {}, "failback": {}}
    )
    (warning,) = list(EDGE.faults(landscape(policy=policy)))

    assert warning.severity == "warning"
    assert warning.reason == (
        "cannot keep these rules of routing: latency.sources: measured, "
        "latency.sources: great_circle from players' positions, "
        "latency.max_ms, latency.tie_ms, damping, failback.ramp_secs, failback.hold_secs, load, sticky"
    )


SILENT = target("voice-relay", ("rtp", 3478, "UDP"))
HIDDEN = target("voice-relay", *VOICE.ports, exposed=frozenset({"rtp"}))
NOWHERE = target("voice-relay", *VOICE.ports, addresses={"us": "a.example.com", "eu": "b.example.com"})
INSIDE = target("voice-relay", *VOICE.ports, exposed=frozenset())
EXEC = target("voice-relay", *VOICE.ports, readiness=("", 8080, "grpc"))
REFUSED: dict[str, tuple[dict[str, Any], Any, tuple[Any, ...], str]] = {
    "no such workload": ({**RTP, "to": "voice-realy"}, VOICE, ("to",), "nothing in this file has that name"),
    "nothing to ask": (RTP, SILENT, ("to",), "nothing that Envoy can ask"),
    "a probe that Envoy has not": (RTP, EXEC, ("to",), "nothing that Envoy can ask"),
    "health is not exposed": (RTP, HIDDEN, ("to",), "port 'http' of 'voice-relay' tells its health"),
    "nothing is exposed": (RTP, INSIDE, ("to",), "leads to port 'rtp' of 'voice-relay', which other regions cannot"),
    "a region without address": (RTP, NOWHERE, ("to",), "no address that other regions reach it at in ap"),
    "no port of the transport": (
        {**RTP, "protocol": "TCP", "name": "x", "to_port": "rtp"},
        VOICE,
        ("to_port",),
        "of protocol UDP",
    ),
    "no such port": ({**RTP, "to_port": "rpt"}, VOICE, ("to_port",), "has no port of that name"),
    "no such port to check": ({**RTP, "check": {"port": "htpp"}}, VOICE, ("check", "port"), "has no port of that name"),
    "several ports": (
        {"name": "any", "port": 9000, "to": "voice-relay"},
        target("voice-relay", ("a", 1, "TCP"), ("b", 2, "TCP")),
        (),
        "does not say where it leads",
    ),
}


@pytest.mark.parametrize(("listener", "voice", "at", "reason"), REFUSED.values(), ids=list(REFUSED))
def test_a_listener_that_leads_nowhere_is_refused(
    listener: dict[str, Any], voice: Any, at: tuple[Any, ...], reason: str
) -> None:
    found = faults(envoy(listener), landscape(targets={"voice-relay": voice}))

    assert [fault.at for fault in found][:1] == [("listeners", 0, *at)]
    assert reason in found[0].reason
    assert found[0].fix


ILL = {
    "no listener": ([], "no port takes players"),
    "a port without rights": ([{**RTP, "port": 443}], "below 1024"),
    "a port of its own": ([{**WEB, "port": 9902}], "taken by Envoy's own"),
    "a name of its own": ([{**WEB, "name": "ops"}], "the name of Envoy's own"),
    "two at one port": ([WEB, {**HTTPS, "port": 8080}], "taken by listener 'web'"),
    "datagrams that stay": ([{**RTP, "on_unhealthy": "keep"}], "not possible with UDP"),
}


@pytest.mark.parametrize(("listeners", "reason"), ILL.values(), ids=list(ILL))
def test_what_envoy_cannot_do_is_refused_before_any_land_is_known(listeners: list[Any], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        envoy(*listeners)


def test_a_session_may_be_idle_for_as_long_as_its_protocol_needs() -> None:
    assert [each.idle_secs for each in EDGE.listeners] == [3600, 3600, 60]
    assert envoy({**RTP, "idle_secs": 30}).listeners[0].idle_secs == 30


@pytest.mark.parametrize("example", EnvoyConfig.EXAMPLES.values(), ids=list(EnvoyConfig.EXAMPLES))
def test_every_example_runs_on_the_land_and_gives_equal_bytes_each_time(example: dict[str, Any]) -> None:
    one, other = EnvoyConfig.from_values(example), EnvoyConfig.from_values(dict(reversed(example.items())))

    assert faults(one) == []
    for region in REGIONS:
        assert one.bootstrap(LAND, region) == other.bootstrap(landscape(), region)
        assert one.workload(LAND, region) == other.workload(LAND, region)
        assert one.render(LAND, region) == []


def test_one_port_takes_datagrams_and_connections() -> None:
    assert envoy(RTP, {**HTTPS, "port": 3478}).listeners[1].port == 3478


def test_who_is_trusted_may_be_a_file_from_a_secret() -> None:
    ours = {"name": "ca", "secret": "our-ca", "key": "ca.crt", "path": "/run/secrets/ca/ca.crt"}
    config = envoy(HTTPS, secret_files=[ours], trusted_ca="/run/secrets/ca/ca.crt")
    (match,) = clusters(config)["https"]["transport_socket_matches"]
    context = match["transport_socket"]["typed_config"]["common_tls_context"]["validation_context"]

    assert context == {"trusted_ca": {"filename": "/run/secrets/ca/ca.crt"}}
    (file,) = DeploymentConfig(name="edge", namespace="x", **config.workload(LAND, "us")).secret_files
    assert file.path == "/run/secrets/ca/ca.crt"


def test_a_workload_that_is_not_the_entry_is_asked_as_the_kubelet_asks_it_with_any_certificate() -> None:
    secret = target("voice-relay", ("rtp", 3478, "UDP"), ("tls", 8443, "TCP"), readiness=("/readyz", 8443, "https"))
    cluster = clusters(envoy(RTP), landscape(targets={"voice-relay": secret}))["rtp"]
    (match,) = cluster["transport_socket_matches"]

    assert "common_tls_context" not in match["transport_socket"]["typed_config"]


def test_players_of_a_region_under_a_hard_drain_never_go_there_not_even_when_none_is_healthy() -> None:
    order = {"us": ("eu", "ap"), "eu": ("eu", "ap"), "ap": ("ap", "eu")}
    policy = RoutingPolicy(on_none_healthy="fail_open")
    where = landscape(order=order, last_resort=order, drain={"us": "hard"}, policy=policy)

    for region in REGIONS:
        names = [host for host, _, _ in hosts(clusters(envoy(WEB), where, region)["web"])]
        assert len(names) == 3
        assert not any(".us." in name for name in names)


EVERY_EXAMPLE = {
    f"{kind}-{name}": made.from_values(example)
    for kind, made in backend_types().items()
    for name, example in made.EXAMPLES.items()
}


@pytest.mark.parametrize("backend", EVERY_EXAMPLE.values(), ids=list(EVERY_EXAMPLE))
def test_every_back_end_says_itself_how_soon_it_leads_players_elsewhere(backend: BackendConfig) -> None:
    waits = backend.waits(LAND)

    assert waits
    assert all(wait.secs > 0 and wait.what.startswith(("until", "while")) for wait in waits)
