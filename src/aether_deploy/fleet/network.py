"""How a workload is reached, and what may reach it: Services and the network policy."""

from collections.abc import Sequence
from typing import Any

from aether_deploy.fleet.config import DeploymentConfig
from aether_deploy.fleet.deviations import deviations
from aether_deploy.fleet.pod import metadata_of
from aether_deploy.manifest.labels import POD_INDEX, selector_labels
from aether_deploy.pods.network import (
    INTERNAL_ANNOTATIONS,
    blocks,
    dns_egress,
    monitoring_ingress,
    pods_of,
    policy_body,
)
from aether_deploy.pods.surroundings import Peer, Surroundings
from aether_deploy.pods.waivers import waiver_annotations


def service_ports(config: DeploymentConfig, names: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """Return the Service form of the named ports, or of all."""
    return [
        {"name": port.name, "port": port.port, "targetPort": port.name, "protocol": port.protocol}
        for port in config.ports
        if port.enabled and (names is None or port.name in names)
    ]


def render_services(config: DeploymentConfig, surroundings: Surroundings) -> list[dict[str, Any]]:
    """Return the Services of a workload: for clients, headless for a StatefulSet, and for the outside."""
    ports = service_ports(config)
    traffic = {"trafficDistribution": "PreferSameZone"} if config.traffic == "prefer_zone" else {}
    client = {
        "type": "ClusterIP",
        "selector": selector_labels(config.name),
        "ports": ports,
        **traffic,
    }
    services = [_service(config, surroundings, config.name, client)] if ports else []
    if config.is_stateful:
        services.append(headless_service(config, surroundings))
    if config.expose is not None:
        services += _outside_services(config, surroundings)
    return services


def owns_service(config: DeploymentConfig, suffix: str) -> bool:
    """Return whether the workload has a Service ``<name>-<suffix>``."""
    if suffix == "headless" or config.expose is None:
        return config.is_stateful and suffix == "headless"
    if not config.expose.per_pod:
        return suffix == "external"
    return suffix.isdecimal() and suffix == str(int(suffix)) and int(suffix) < config.most_pods


def headless_service(config: DeploymentConfig, surroundings: Surroundings) -> dict[str, Any]:
    """Return the Service that gives each pod of a StatefulSet its name, ready or not."""
    spec: dict[str, Any] = {
        "clusterIP": "None",
        "publishNotReadyAddresses": True,
        "selector": selector_labels(config.name),
    }
    if ports := service_ports(config):  # a StatefulSet needs its headless Service even without any
        spec["ports"] = ports
    return _service(config, surroundings, f"{config.name}-headless", spec)


def _outside_services(config: DeploymentConfig, surroundings: Surroundings) -> list[dict[str, Any]]:
    expose = config.expose
    assert expose is not None
    annotations = dict(expose.annotations)
    if not expose.per_pod:
        annotations = {**surroundings.outside_annotations, **annotations}
    if expose.internal:
        annotations = {**INTERNAL_ANNOTATIONS.get(surroundings.provider or "", {}), **annotations}
    annotations |= waiver_annotations(deviations(config), "outside_service")
    spec: dict[str, Any] = {"type": expose.type}
    if expose.external_traffic_policy is not None:
        spec["externalTrafficPolicy"] = expose.external_traffic_policy
    ports = service_ports(config, expose.ports)
    if not expose.per_pod:
        spec |= {"selector": selector_labels(config.name), "ports": ports}
        return [_service(config, surroundings, f"{config.name}-external", spec, annotations)]
    return [
        _service(
            config,
            surroundings,
            f"{config.name}-{ordinal}",
            {**spec, "selector": {**selector_labels(config.name), POD_INDEX: str(ordinal)}, "ports": ports},
            annotations,
        )
        for ordinal in range(config.most_pods)
    ]


def _service(
    config: DeploymentConfig,
    surroundings: Surroundings,
    name: str,
    spec: dict[str, Any],
    annotations: dict[str, str] | None = None,
) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata_of(config, surroundings, name=name, annotations=annotations),
        "spec": spec,
    }


def render_network_policy(config: DeploymentConfig, surroundings: Surroundings) -> dict[str, Any]:
    """Return the policy of a workload's pods: what ``uses``, ``expose``, monitoring and DNS need, no more."""
    metadata = metadata_of(config, surroundings)
    return policy_body(metadata, config.name, _ingress(config, surroundings), _egress(config, surroundings))


def _policy_ports(config: DeploymentConfig, names: Sequence[str] | None = None) -> list[dict[str, Any]]:
    return [{"protocol": port["protocol"], "port": port["port"]} for port in service_ports(config, names)]


def _ingress(config: DeploymentConfig, surroundings: Surroundings) -> list[dict[str, Any]]:
    rules: list[dict[str, Any]] = []
    if surroundings.used_by:
        rules.append({"from": [pods_of(peer) for peer in surroundings.used_by], "ports": _policy_ports(config)})
    if config.expose is not None:
        rules.append({"ports": _policy_ports(config, config.expose.ports)})
    if config.metrics is not None:
        ports = _policy_ports(config, (config.metrics.port,))
        rules.append(monitoring_ingress(surroundings.monitoring_namespace, ports))
    if config.network.allow_from:
        rules.append({"from": blocks(config.network.allow_from), "ports": _policy_ports(config)})
    return [each for each in rules if each["ports"]]


def _egress(config: DeploymentConfig, surroundings: Surroundings) -> list[dict[str, Any]]:
    rules: list[dict[str, Any]] = [dns_egress()]
    for name in config.uses:
        peer = surroundings.uses.get(name, Peer(name=name))
        ports = [{"protocol": protocol, "port": number} for _, number, protocol in peer.ports]
        allowed: dict[str, Any] = {} if peer.external else {"to": [pods_of(peer)]}
        if peer.external and config.network.allow_to:
            continue  # the blocks below lead there
        rules.append({**allowed, **({"ports": ports} if ports else {})})
    if surroundings.outside and not config.network.allow_to:
        dialled = sorted({(number, protocol) for _, number, protocol in surroundings.outside})
        rules.append({"ports": [{"protocol": protocol, "port": number} for number, protocol in dialled]})
    if config.network.allow_to:
        rules.append({"to": blocks(config.network.allow_to)})
    return rules
