"""How a component is reached, and what may reach it: Services and the network policy."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aether_deploy.infrastructure.component import ComponentConfig, Place, Port
from aether_deploy.infrastructure.objects.naming import metadata_of
from aether_deploy.manifest.labels import POD_INDEX, selector_labels
from aether_deploy.pods.network import (
    INTERNAL_ANNOTATIONS,
    blocks,
    dns_egress,
    monitoring_ingress,
    pods_of,
    policy_body,
)
from aether_deploy.pods.waivers import waiver_annotations


def service(
    config: ComponentConfig,
    place: Place,
    name: str,
    ports: Iterable[Port],
    *,
    selector: Mapping[str, str] | None = None,
    headless: bool = False,
) -> dict[str, Any]:
    """Return a Service inside the cluster; a headless one names pods that are not ready, too."""
    found = {**selector_labels(config.name), **(selector or {})}
    listed = [_port(each) for each in ports]
    spec: dict[str, Any] = (
        {"clusterIP": "None", "publishNotReadyAddresses": True, "selector": found, "ports": listed}
        if headless
        else {"type": "ClusterIP", "selector": found, "ports": listed}
    )
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata_of(config, place, name), "spec": spec}


def _port(port: Port) -> dict[str, Any]:
    name, number, protocol = port
    return {"name": name, "port": number, "targetPort": name, "protocol": protocol}


def outside_service(
    config: ComponentConfig, place: Place, name: str, ports: Iterable[Port], *, selector: Mapping[str, str]
) -> dict[str, Any]:
    """Return a Service for other regions, as ``expose`` says."""
    expose = config.expose
    assert expose is not None
    annotations = dict(expose.annotations)
    if expose.internal:
        annotations = {**INTERNAL_ANNOTATIONS.get(place.surroundings.provider or "", {}), **annotations}
    waived = {"per_pod": POD_INDEX in selector, "node_port": expose.type == "NodePort"}
    reasons = {waiver: config.waivers.get(waiver) for waiver, deviates in waived.items() if deviates}
    annotations |= waiver_annotations(reasons, "outside_service")
    spec: dict[str, Any] = {"type": expose.type}
    if expose.external_traffic_policy is not None:
        spec["externalTrafficPolicy"] = expose.external_traffic_policy
    spec |= {
        "selector": {**selector_labels(config.name), **selector},
        "ports": [_port(each) for each in ports if each[0] in expose.ports],
    }
    metadata = metadata_of(config, place, name, annotations=annotations)
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}


def network_policy(
    config: ComponentConfig,
    place: Place,
    *,
    client_ports: Iterable[Port],
    own_ports: Iterable[Port] = (),
    metrics_ports: Iterable[Port] = (),
    outside_ports: Iterable[Port] = (),
    egress: Sequence[dict[str, Any]] = (),
) -> dict[str, Any]:
    """Return the policy of the component's pods: what its users, its own pods and monitoring need, no more.

    Args:
        config: The component.
        place: Where it runs.
        client_ports: What its users call.
        own_ports: What its own pods call among each other.
        metrics_ports: What Prometheus scrapes.
        outside_ports: What other regions call; from ``network.allow_from``, or from anywhere where that is empty.
        egress: What its pods call beyond DNS and each other.
    """
    own = pods_of_component(config)
    ingress: list[dict[str, Any]] = []
    around = place.surroundings
    clients = [pods_of(peer) for peer in around.used_by]
    if clients and (ports := policy_ports(client_ports)):
        ingress.append({"from": clients, "ports": ports})
    among = policy_ports([*own_ports])
    if among:
        ingress.append({"from": [own], "ports": among})
    if scraped := policy_ports(metrics_ports):
        ingress.append(monitoring_ingress(around.monitoring_namespace, scraped))
    allowed = blocks(config.network.allow_from)
    if outside := policy_ports(outside_ports):
        ingress.append({**({"from": allowed} if allowed else {}), "ports": outside})
    if allowed and (ports := policy_ports(client_ports)):
        ingress.append({"from": allowed, "ports": ports})
    leaving = [dns_egress(), *([{"to": [own], "ports": among}] if among else []), *egress]
    if config.network.allow_to:
        leaving.append({"to": blocks(config.network.allow_to)})
    return policy_body(metadata_of(config, place), config.name, ingress, leaving)


def pods_of_component(config: ComponentConfig) -> dict[str, Any]:
    """Return all pods of the component as a peer of a network rule."""
    return {"podSelector": {"matchLabels": selector_labels(config.name)}}


def policy_ports(ports: Iterable[Port]) -> list[dict[str, Any]]:
    """Return ports as a network rule has them."""
    return [{"protocol": protocol, "port": number} for _, number, protocol in ports]


def pod_monitor(config: ComponentConfig, place: Place, port: str, path: str = "/metrics") -> list[dict[str, Any]]:
    """Return the PodMonitor of the component's pods; none where monitoring is off."""
    interval = place.surroundings.scrape_interval_secs
    if interval is None:
        return []
    return [
        {
            "apiVersion": "monitoring.coreos.com/v1",
            "kind": "PodMonitor",
            "metadata": metadata_of(config, place),
            "spec": {
                "selector": {"matchLabels": selector_labels(config.name)},
                "podMetricsEndpoints": [{"port": port, "path": path, "interval": f"{interval}s"}],
            },
        }
    ]
