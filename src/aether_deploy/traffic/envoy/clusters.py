"""Where one listener sends its sessions: an Envoy cluster with one priority for each region.

The pod's own region is priority 0 and the others follow in the order of routing, so that Envoy gives what
``route_player`` gives. For that a priority must be all or nothing:

- A region keeps all of its players while any of its addresses answers. Envoy multiplies the healthy share of a
  priority by its overprovisioning factor; with its own 140 a region of which one address in three answers would lose
  54 % of its players. With 100,000 it keeps them as long as one in a thousand does.
- Envoy never sends anybody to a region of which no address answers: the panic threshold is 0.
- What a check finds counts at once. Envoy by itself keeps changes back that come within a second of another one.
- There is no outlier detection: it would take out addresses by what single players saw.
"""

from collections.abc import Mapping
from typing import Any

from aether_deploy.routing.policy import HealthPolicy
from aether_deploy.routing.tracking.health import READY_STATUSES
from aether_deploy.traffic.backend import Landscape, Question, Target
from aether_deploy.traffic.envoy.parts import ListenerConfig
from aether_deploy.traffic.envoy.routes import Stop, last_stop, question, stops, target_port

ALL_OR_NOTHING = 100_000
"""Overprovisioning factor with which one healthy address in a thousand keeps a region whole."""

TLS_CHECK = {"check": "tls"}
_TYPES = "type.googleapis.com/envoy.extensions"
_BY_NAME = {
    "name": "envoy.clusters.dns",
    "typed_config": {
        "@type": f"{_TYPES}.clusters.dns.v3.DnsCluster",
        "dns_lookup_family": "V4_PREFERRED",
        "dns_refresh_rate": "5s",
        "dns_failure_refresh_rate": {"base_interval": "1s", "max_interval": "5s"},
        "respect_dns_ttl": True,
    },
}
_KEEPALIVE = {"keepalive_probes": 3, "keepalive_time": 10, "keepalive_interval": 5}


def millis(value: int) -> str:
    """Return milliseconds as Envoy's files have durations: ``0.5s``."""
    whole, rest = divmod(value, 1000)
    return f"{whole}.{rest:03d}".rstrip("0").rstrip(".") + "s"


def render_cluster(landscape: Landscape, region: str, listener: ListenerConfig, trusted_ca: str) -> dict[str, Any]:
    """Return the cluster of one listener as players of ``region`` see it; ``trusted_ca`` is the file with the
    certificates of who vouches for others."""
    target = landscape.target(listener.to)
    assert target is not None, "a listener without faults leads somewhere"
    asked = question(landscape, listener, target)
    assert asked is not None, "a listener without faults can ask"
    tls = {"transport_socket_matches": _tls_for_checks(asked, trusted_ca)} if asked.scheme == "https" else {}
    http = {"typed_extension_protocol_options": _http_options()} if listener.protocol == "HTTP" else {}
    keeps = {} if listener.protocol == "UDP" else {"upstream_connection_options": {"tcp_keepalive": _KEEPALIVE}}
    closes = {"close_connections_on_host_health_failure": True} if listener.on_unhealthy == "close" else {}
    return {
        "name": listener.name,
        "cluster_type": _BY_NAME,
        "connect_timeout": millis(landscape.health.timeout_ms),
        # A provider gives an address that DNS lost to somebody else, who may answer.
        "ignore_health_on_host_removal": True,
        **closes,
        "lb_policy": "LEAST_REQUEST" if listener.protocol == "HTTP" else "RANDOM",
        "common_lb_config": {"healthy_panic_threshold": {"value": 0}, "update_merge_window": "0s"},
        "circuit_breakers": {"thresholds": [_thresholds(listener.sessions)]},
        **keeps,
        **http,
        **tls,
        "health_checks": [render_check(landscape.health, asked)],
        "load_assignment": {
            "cluster_name": listener.name,
            "policy": {"overprovisioning_factor": ALL_OR_NOTHING},
            "endpoints": _priorities(landscape, region, listener, target, asked),
        },
    }


def _priorities(
    landscape: Landscape, region: str, listener: ListenerConfig, target: Target, asked: Question
) -> list[dict[str, Any]]:
    """Return one priority for each region. With ``fail_open`` the home region comes once more, last and never asked:
    when no region is healthy, Envoy itself would panic, and spread players over all of them."""
    port = target_port(listener, target)
    assert port is not None, "a listener without faults has a port"
    ways: list[tuple[Stop, dict[str, Any]]] = [
        (stop, {"port_value": asked.port[1], "hostname": asked.authority(stop.name)})
        for stop in stops(landscape, region, target)
    ]
    last = last_stop(landscape, region, target) if landscape.policy.on_none_healthy == "fail_open" else None
    if last is not None:
        ways.append((last, {"disable_active_health_check": True}))
    return [
        {
            "priority": priority,
            "locality": {"region": stop.region},
            "lb_endpoints": [
                {
                    "endpoint": {
                        "address": socket_address(stop.host, port[1]),
                        "hostname": stop.name,
                        "health_check_config": check,
                    }
                }
            ],
        }
        for priority, (stop, check) in enumerate(ways)
    ]


def render_check(health: HealthPolicy, asked: Question) -> dict[str, Any]:
    """Return the health check of a cluster.

    Whom it asks for stands at each address: the name that players ask for, where there is one, else the region's own.

    One answer that says "not ready" is enough, as for the router: ``retriable_statuses`` stays empty, since a status
    in it would count as no answer. Each check is a new connection: one that stays open would ask the same pod for
    ever. Checks go on at the same pace without traffic, where Envoy's own pace is 60 seconds.
    """
    interval = millis(health.interval_ms)
    kind: Mapping[str, Any]
    if asked.path is None:
        kind = {"tcp_health_check": {}}
    else:
        statuses = [{"start": READY_STATUSES.start, "end": READY_STATUSES.stop}]
        kind = {"http_health_check": {"path": asked.path, "expected_statuses": statuses}}
    tls = {"transport_socket_match_criteria": TLS_CHECK} if asked.scheme == "https" else {}
    return {
        "timeout": millis(health.timeout_ms),
        "interval": interval,
        "no_traffic_interval": interval,
        "no_traffic_healthy_interval": interval,
        "unhealthy_interval": interval,
        "unhealthy_edge_interval": interval,
        "healthy_edge_interval": interval,
        "unhealthy_threshold": health.fall,
        "healthy_threshold": health.rise,
        "reuse_connection": False,
        **kind,
        **tls,
    }


def socket_address(host: str, port: int, protocol: str = "TCP") -> dict[str, Any]:
    """Return an address as Envoy's files have it. Of an endpoint the protocol is always TCP, that of datagrams too."""
    udp = {"protocol": protocol} if protocol != "TCP" else {}
    return {"socket_address": {**udp, "address": host, "port_value": port}}


def _thresholds(sessions: int) -> dict[str, Any]:
    """Envoy's own are 1024 and refuse the player after; they bound UDP sessions too."""
    return {
        "priority": "DEFAULT",
        "max_connections": sessions,
        "max_pending_requests": sessions,
        "max_requests": sessions,
        "max_retries": sessions,
    }


def _http_options() -> dict[str, Any]:
    return {
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": f"{_TYPES}.upstreams.http.v3.HttpProtocolOptions",
            "explicit_http_config": {"http_protocol_options": {}},
        }
    }


def _tls_for_checks(asked: Question, trusted_ca: str) -> list[dict[str, Any]]:
    """TLS for checks only: sessions pass through as they are.

    Rule:
        Envoy, ``envoy/extensions/transport_sockets/tls/v3/tls.proto``: without a validation context any certificate
        is taken; ``auto_sni_san_validation`` holds its names against the one that was asked for.
    """
    name: Mapping[str, Any] = {"sni": asked.server_name} if asked.server_name else {"auto_host_sni": True}
    verified: Mapping[str, Any] = {}
    if asked.verified:
        trusted = {"validation_context": {"trusted_ca": {"filename": trusted_ca}}}
        verified = {"auto_sni_san_validation": True, "common_tls_context": trusted}
    context = {"@type": f"{_TYPES}.transport_sockets.tls.v3.UpstreamTlsContext", **name, **verified}
    return [
        {
            "name": "check-tls",
            "match": TLS_CHECK,
            "transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": context},
        }
    ]
