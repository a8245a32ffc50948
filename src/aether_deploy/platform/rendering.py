"""A platform becomes manifests: for each cluster, the cluster's own objects and one folder per workload."""

from collections.abc import Mapping
from typing import Any

import msgspec

from aether_deploy.fleet.bundle import render_manifests
from aether_deploy.fleet.config import DeploymentConfig
from aether_deploy.fleet.surroundings import Peer, Surroundings
from aether_deploy.manifest.labels import MANAGED_BY, PART_OF
from aether_deploy.manifest.value import Manifest
from aether_deploy.platform.config import Platform
from aether_deploy.platform.monitoring import render_monitoring
from aether_deploy.platform.parts import Site
from aether_deploy.platform.placing import EntryView, nearest, site_configs


class Folder(msgspec.Struct, frozen=True):
    """The objects of one workload in one cluster.

    Attributes:
        name: The workload's name.
        manifests: Its objects, in apply order.
        config: The workload; None where it runs elsewhere and only its Service stands here.
    """

    name: str
    manifests: tuple[Manifest, ...]
    config: DeploymentConfig | None


class ClusterManifests(msgspec.Struct, frozen=True):
    """Everything that one cluster gets.

    Attributes:
        site: The cluster.
        namespace: Namespace of the workloads.
        cluster: Objects of the cluster itself.
        folders: The workloads, by name.
        monitoring: What makes metrics readable for autoscalers.
    """

    site: Site
    namespace: str
    cluster: tuple[Manifest, ...]
    folders: tuple[Folder, ...]
    monitoring: tuple[Manifest, ...] = ()

    @property
    def manifests(self) -> tuple[Manifest, ...]:
        workloads = (manifest for folder in self.folders for manifest in folder.manifests)
        return (*self.cluster, *self.monitoring, *workloads)


def render_cluster(platform: Platform, site: Site, files: Mapping[str, bytes]) -> ClusterManifests:
    """Return the manifests of one cluster.

    Args:
        platform: The platform, without faults.
        site: One of ``platform.sites``.
        files: Content of every config file's ``source``.
    """
    here = site_configs(platform, site)
    used_by = _callers(here)
    external = _external_peers(platform, site, here)
    folders = []
    for name, (view, config) in here.items():
        around = _surroundings(platform, site, config, here, used_by.get(name, ()), external, files)
        manifests = tuple(render_manifests(config, around, source=source_of(view)))
        folders.append(Folder(name, manifests, config))
    folders += [
        Folder(name, (_external_service(platform, name, host, peer, source),), None)
        for name, (peer, host, source) in external.items()
    ]
    folders.sort(key=lambda folder: folder.name)
    monitoring = render_monitoring(platform, site, [config for _, config in here.values()])
    return ClusterManifests(site, platform.namespace, (_namespace(platform),), tuple(folders), monitoring)


def source_of(view: EntryView) -> str:
    return f"{view.section}.{view.name}"


def _callers(here: Mapping[str, tuple[EntryView, DeploymentConfig]]) -> dict[str, tuple[Peer, ...]]:
    callers: dict[str, list[Peer]] = {}
    for name in sorted(here):
        for used in here[name][1].uses:
            callers.setdefault(used, []).append(Peer(name=name))
    return {name: tuple(peers) for name, peers in callers.items()}


def _peer(config: DeploymentConfig, *, external: bool = False) -> Peer:
    exposed = config.expose.ports if external and config.expose else None
    ports = tuple(
        (port.name, port.port, port.protocol)
        for port in config.ports
        if port.enabled and (exposed is None or port.name in exposed)
    )
    return Peer(name=config.name, ports=ports, external=external)


def _external_peers(
    platform: Platform, site: Site, here: Mapping[str, tuple[EntryView, DeploymentConfig]]
) -> dict[str, tuple[Peer, str, str]]:
    """Return what is used here and runs elsewhere: the peer, its host name, and its entry."""
    wanted = sorted({name for _, config in here.values() for name in config.uses if name not in here})
    found = {}
    for name in wanted:
        there = nearest(platform, name, site)
        if there is not None and there[1].endpoint is not None:
            region, config = there
            words = {"region": region.code, "environment": platform.environment, "cluster": region.cluster}
            source = f"{config.workload_class}.{name}"
            found[name] = (_peer(config, external=True), there[1].endpoint.format_map(words), source)
    return found


def _surroundings(
    platform: Platform,
    site: Site,
    config: DeploymentConfig,
    here: Mapping[str, tuple[EntryView, DeploymentConfig]],
    used_by: tuple[Peer, ...],
    external: Mapping[str, tuple[Peer, str, str]],
    files: Mapping[str, bytes],
) -> Surroundings:
    uses = {name: _peer(here[name][1]) if name in here else external[name][0] for name in config.uses}
    near = {each.service: platform.namespace for each in config.topology.preferred_colocation if each.service in here}
    watch = platform.observability
    return Surroundings(
        kubernetes=site.kubernetes,
        system=platform.name,
        provider=site.region.provider,
        storage_class=site.region.storage_class,
        uses=uses,
        used_by=used_by,
        neighbours=near,
        monitoring_namespace=watch.prometheus.namespace if watch.prometheus else None,
        scrape_interval_secs=watch.scrape_interval_secs if watch.renders_pod_monitors else None,
        rule_interval_secs=watch.rule_interval_secs,
        prometheus_url=watch.prometheus.url if watch.prometheus else None,
        files=files,
    )


def _namespace(platform: Platform) -> Manifest:
    # Losing the Namespace loses every claim in it, so no engine may ever prune it.
    annotations = {
        "argocd.argoproj.io/sync-options": "Prune=false,Delete=false",
        "kustomize.toolkit.fluxcd.io/prune": "disabled",
    }
    labels = {
        MANAGED_BY: "aether-deploy",
        PART_OF: platform.name,
        **{f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("audit", "enforce", "warn")},
    }
    metadata = {"name": platform.namespace, "labels": labels, "annotations": annotations}
    return Manifest({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}, "name")


def _external_service(platform: Platform, name: str, host: str, peer: Peer, source: str) -> Manifest:
    ports: list[dict[str, Any]] = [
        {"name": port, "port": number, "protocol": protocol} for port, number, protocol in peer.ports
    ]
    metadata = {
        "name": name,
        "namespace": platform.namespace,
        "labels": {MANAGED_BY: "aether-deploy", PART_OF: platform.name},
    }
    spec: dict[str, Any] = {"type": "ExternalName", "externalName": host}
    if ports:
        spec["ports"] = ports
    return Manifest({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}, source)
