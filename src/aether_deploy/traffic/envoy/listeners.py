"""Where players arrive: one Envoy listener for each port, and one that only the kubelet and Prometheus ask."""

from collections.abc import Mapping
from typing import Any

from aether_deploy.traffic.envoy.clusters import socket_address
from aether_deploy.traffic.envoy.parts import OPS_PORT, ListenerConfig

ANYWHERE = "0.0.0.0"
ADMIN_CLUSTER = "envoy-admin"
_TYPES = "type.googleapis.com/envoy.extensions.filters"
_HTTP_MANAGER = f"{_TYPES}.network.http_connection_manager.v3.HttpConnectionManager"
_ROUTER = {
    "name": "envoy.filters.http.router",
    "typed_config": {"@type": f"{_TYPES}.http.router.v3.Router"},
}
_BUFFER_BYTES = 32_768


def render_listener(listener: ListenerConfig) -> dict[str, Any]:
    """Return the Envoy form of one port at which players arrive."""
    address = {
        "name": listener.name,
        "address": socket_address(ANYWHERE, listener.port, listener.transport),
    }
    if listener.protocol == "UDP":
        return {**address, "listener_filters": [_udp_proxy(listener)]}
    proxy = _tcp_proxy(listener) if listener.protocol == "TCP" else _http_proxy(listener)
    return {
        **address,
        "per_connection_buffer_limit_bytes": _BUFFER_BYTES,
        "filter_chains": [{"filters": [proxy]}],
    }


def _udp_proxy(listener: ListenerConfig) -> dict[str, Any]:
    """A player's datagrams go where the first went while that answers; then the next one goes to the next region.

    The workload sees Envoy's address: one of the player's could not be answered from another region.
    """
    route = {"@type": f"{_TYPES}.udp.udp_proxy.v3.Route", "cluster": listener.name}
    return {
        "name": "envoy.filters.udp_listener.udp_proxy",
        "typed_config": {
            "@type": f"{_TYPES}.udp.udp_proxy.v3.UdpProxyConfig",
            "stat_prefix": listener.name,
            "idle_timeout": f"{listener.idle_secs}s",
            "matcher": {"on_no_match": {"action": {"name": "route", "typed_config": route}}},
        },
    }


def _tcp_proxy(listener: ListenerConfig) -> dict[str, Any]:
    return {
        "name": "envoy.filters.network.tcp_proxy",
        "typed_config": {
            "@type": f"{_TYPES}.network.tcp_proxy.v3.TcpProxy",
            "stat_prefix": listener.name,
            "cluster": listener.name,
            "idle_timeout": f"{listener.idle_secs}s",
            "max_connect_attempts": 3,
        },
    }


def _http_proxy(listener: ListenerConfig) -> dict[str, Any]:
    """HTTP as Envoy advises at an edge: the client's address is the connection's, paths are made plain, odd names of
    headers are refused, and streams that stand still end."""
    return {
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": {
            "@type": _HTTP_MANAGER,
            "stat_prefix": listener.name,
            "use_remote_address": True,
            "normalize_path": True,
            "merge_slashes": True,
            "path_with_escaped_slashes_action": "REJECT_REQUEST",
            "common_http_protocol_options": {
                "idle_timeout": f"{listener.idle_secs}s",
                "headers_with_underscores_action": "REJECT_REQUEST",
            },
            "http2_protocol_options": {
                "max_concurrent_streams": 100,
                "initial_stream_window_size": 65_536,
                "initial_connection_window_size": 1_048_576,
            },
            "stream_idle_timeout": f"{listener.idle_secs}s",
            "request_headers_timeout": "10s",
            "upgrade_configs": [{"upgrade_type": "websocket"}],
            "route_config": {
                "name": listener.name,
                "virtual_hosts": [{"name": "everything", "domains": ["*"], "routes": [_route(listener)]}],
            },
            "http_filters": [_ROUTER],
        },
    }


def _route(listener: ListenerConfig) -> dict[str, Any]:
    """Only requests that no server has seen go on to the next region: others might be done twice."""
    previous = "envoy.retry_priorities.previous_priorities"
    return {
        "match": {"prefix": "/"},
        "route": {
            "cluster": listener.name,
            "timeout": f"{listener.response_secs}s",
            "retry_policy": {
                "retry_on": "connect-failure,refused-stream",
                "num_retries": 2,
                "retry_priority": {
                    "name": previous,
                    "typed_config": {
                        "@type": "type.googleapis.com/envoy.extensions.retry.priority.previous_priorities.v3"
                        ".PreviousPrioritiesConfig",
                        "update_frequency": 1,
                    },
                },
            },
        },
    }


def render_ops_listener() -> dict[str, Any]:
    """Return the listener of metrics and probes: three paths, of which two lead to the admin interface, which itself
    can stop Envoy and so listens on the loopback address only."""
    routes = [
        {"match": {"path": "/healthz"}, "direct_response": {"status": 200, "body": {"inline_string": "alive\n"}}},
        _to_admin("/readyz", "/ready"),
        _to_admin("/metrics", "/stats/prometheus"),
    ]
    manager: Mapping[str, Any] = {
        "@type": _HTTP_MANAGER,
        "stat_prefix": "ops",
        "normalize_path": True,
        "route_config": {
            "name": "ops",
            "virtual_hosts": [{"name": "ops", "domains": ["*"], "routes": routes}],
        },
        "http_filters": [_ROUTER],
    }
    return {
        "name": "ops",
        "address": socket_address(ANYWHERE, OPS_PORT),
        "ignore_global_conn_limit": True,
        "filter_chains": [
            {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
        ],
    }


def _to_admin(path: str, admin_path: str) -> dict[str, Any]:
    only_get = [{"name": ":method", "string_match": {"exact": "GET"}}]
    return {
        "match": {"path": path, "headers": only_get},
        "route": {"cluster": ADMIN_CLUSTER, "prefix_rewrite": admin_path},
    }
