"""The file that an Envoy of one region starts from."""

from collections.abc import Sequence
from typing import Any

from aether_deploy.manifest.yaml_text import to_yaml
from aether_deploy.traffic.backend import Landscape
from aether_deploy.traffic.envoy.clusters import render_cluster, socket_address
from aether_deploy.traffic.envoy.listeners import ADMIN_CLUSTER, render_listener, render_ops_listener
from aether_deploy.traffic.envoy.parts import ADMIN_PORT, ListenerConfig

_LOOPBACK = "127.0.0.1"


def bootstrap_text(
    landscape: Landscape, region: str, name: str, listeners: Sequence[ListenerConfig], trusted_ca: str
) -> str:
    """Return the file of an Envoy in one region's cluster. Equal input gives equal bytes.

    Args:
        landscape: The platform around it.
        region: The region whose cluster it runs in: that of the players who arrive.
        name: The back end's name.
        listeners: Its listeners, without faults.
        trusted_ca: File with the certificates of who vouches for others.
    """
    return to_yaml(render_bootstrap(landscape, region, name, listeners, trusted_ca))


def render_bootstrap(
    landscape: Landscape, region: str, name: str, listeners: Sequence[ListenerConfig], trusted_ca: str
) -> dict[str, Any]:
    """Return the same as plain values."""
    return {
        "node": {"id": name, "cluster": f"{landscape.system}-{name}", "locality": {"region": region}},
        "admin": {"address": socket_address(_LOOPBACK, ADMIN_PORT)},
        "static_resources": {
            "listeners": [*(render_listener(each) for each in listeners), render_ops_listener()],
            "clusters": [
                *(render_cluster(landscape, region, each, trusted_ca) for each in listeners),
                _admin_cluster(),
            ],
        },
        **_overload(listeners),
    }


def _admin_cluster() -> dict[str, Any]:
    return {
        "name": ADMIN_CLUSTER,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {
            "cluster_name": ADMIN_CLUSTER,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": socket_address(_LOOPBACK, ADMIN_PORT)}}]}],
        },
    }


def _overload(listeners: Sequence[ListenerConfig]) -> dict[str, Any]:
    """Bound the connections of all listeners together, so that a flood cannot take every file descriptor."""
    most = sum(each.sessions for each in listeners if each.transport == "TCP")
    if not most:
        return {}
    kind = "envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig"
    config = {"@type": f"type.googleapis.com/{kind}", "max_active_downstream_connections": most}
    monitor = {"name": "envoy.resource_monitors.global_downstream_max_connections", "typed_config": config}
    return {"overload_manager": {"resource_monitors": [monitor]}}
