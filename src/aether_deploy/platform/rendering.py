"""A platform becomes manifests: for each cluster, the cluster's own objects and one folder per workload."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import msgspec

from aether_deploy.config.sink import path_text
from aether_deploy.fleet.bundle import render_manifests
from aether_deploy.fleet.config import DeploymentConfig
from aether_deploy.infrastructure.component import ComponentConfig
from aether_deploy.manifest.labels import system_labels
from aether_deploy.manifest.value import Manifest, in_apply_order
from aether_deploy.platform.components import (
    component_peer,
    components_at,
    endpoint_of,
    place_of,
    server_of,
)
from aether_deploy.platform.config import Platform
from aether_deploy.platform.encrypted import SecretUse
from aether_deploy.platform.monitoring import render_monitoring
from aether_deploy.platform.parts import Site
from aether_deploy.platform.placing import EntryView, nearest, site_configs
from aether_deploy.platform.routing_workloads import dialled_outside, outside_annotations, routing_manifests
from aether_deploy.platform.secrets import FOLDER as SECRETS
from aether_deploy.platform.secrets import SOURCE as SECRETS_SOURCE
from aether_deploy.platform.secrets import render_secrets, secrets_at
from aether_deploy.pods.surroundings import Peer, Surroundings
from aether_deploy.problems import ConfigError, Problem

if TYPE_CHECKING:
    from aether_deploy.platform.patching import Patched


class Folder(msgspec.Struct, frozen=True):
    """The objects of one workload or component in one cluster, or what brings the Secrets of all.

    Attributes:
        name: The workload's or component's name, or ``secrets``.
        manifests: Its objects, in apply order.
        config: The workload; None for ``secrets`` and components, and where it runs elsewhere and only its Service
            stands here.
        component: The component, in whatever region its pods are.
    """

    name: str
    manifests: tuple[Manifest, ...]
    config: DeploymentConfig | None
    component: ComponentConfig | None = None

    @property
    def brings_secrets(self) -> bool:
        return self.name == SECRETS and self.manifests[0].source == SECRETS_SOURCE


class ClusterManifests(msgspec.Struct, frozen=True):
    """Everything that one cluster gets.

    Attributes:
        site: The cluster.
        namespace: Namespace of the workloads.
        cluster: Objects of the cluster itself.
        folders: The workloads, by name.
        monitoring: What makes metrics readable for autoscalers.
        data: The components, by name.
        data_namespace: Namespace of the components.
    """

    site: Site
    namespace: str
    cluster: tuple[Manifest, ...]
    folders: tuple[Folder, ...]
    monitoring: tuple[Manifest, ...] = ()
    data: tuple[Folder, ...] = ()
    data_namespace: str = ""

    @property
    def manifests(self) -> tuple[Manifest, ...]:
        rest = (manifest for folder in (*self.data, *self.folders) for manifest in folder.manifests)
        return (*self.cluster, *self.monitoring, *rest)

    @property
    def namespaces(self) -> tuple[tuple[str, tuple[Folder, ...]], ...]:
        """The namespaces that have folders, each with them: that of the components before that of the workloads."""
        both = ((self.data_namespace, self.data), (self.namespace, self.folders))
        return tuple((namespace, folders) for namespace, folders in both if folders)


def render_cluster(platform: Platform, site: Site, files: Mapping[str, bytes]) -> ClusterManifests:
    """Return the manifests of one cluster, patched.

    Args:
        platform: The platform, without faults.
        site: One of ``platform.sites``.
        files: Content of every config file's ``source``, and of every encrypted Secret, by its path.

    Raises:
        ConfigError: A patch cannot be applied, or breaks a rule that it does not waive.
    """
    if not any(patch.enabled for patch in platform.patches):
        return _render_unpatched(platform, site, files)
    cluster, patched = render_patched(platform, site, files)
    errors = [fault for fault in patched.faults if fault.severity == "error"]
    if errors:
        raise ConfigError(Problem(path=path_text(each.at), reason=each.reason, fix=each.fix) for each in errors)
    return cluster


def render_patched(platform: Platform, site: Site, files: Mapping[str, bytes]) -> "tuple[ClusterManifests, Patched]":
    """Return the manifests of one cluster, and what its patches did and where they are wrong.

    Made once for the same ``files``: a description is judged by it before it is rendered.
    """
    from aether_deploy.platform.patching import patch_objects  # of no use to those who patch nothing

    known = platform.patched_by_cluster.get(site.cluster)
    if known is None or known[0] is not files:
        cluster = _render_unpatched(platform, site, files)
        waivers = {
            folder.manifests[0].source: owner.waivers
            for _, folders in cluster.namespaces
            for folder in folders
            if (owner := folder.config or folder.component)
        }
        patched = patch_objects(
            platform.patches,
            site.region.code,
            cluster.manifests,
            lambda each: waivers.get(each.source, {}),
            kubernetes=site.kubernetes,
        )
        known = platform.patched_by_cluster[site.cluster] = (files, _with_objects(cluster, patched), patched)
    return known[1:]


def _with_objects(cluster: ClusterManifests, patched: "Patched") -> ClusterManifests:
    """Return the cluster with its objects as patches left them, each where it was."""
    objects = iter(patched.manifests)

    def as_many(manifests: tuple[Manifest, ...]) -> tuple[Manifest, ...]:
        return tuple(islice(objects, len(manifests)))

    own, monitoring = as_many(cluster.cluster), as_many(cluster.monitoring)
    data, folders = (
        tuple(msgspec.structs.replace(folder, manifests=as_many(folder.manifests)) for folder in group)
        for group in (cluster.data, cluster.folders)
    )
    return msgspec.structs.replace(cluster, cluster=own, monitoring=monitoring, data=data, folders=folders)


def _render_unpatched(platform: Platform, site: Site, files: Mapping[str, bytes]) -> ClusterManifests:
    here = site_configs(platform, site)
    used_by = _callers(here)
    external = _external_peers(platform, site, here)
    components = components_at(platform, site)
    secrets_of: dict[str, list[SecretUse]] = {}
    for namespace, use in secrets_at(platform, site):
        secrets_of.setdefault(namespace, []).append(use)
    common = _surroundings(platform, site)
    data = _data_folders(
        platform, site, components, used_by, common, secrets_of.get(platform.data_namespace, ()), files
    )
    near = {**dict.fromkeys(here, platform.namespace), **{each.name: platform.data_namespace for each in components}}
    folders = []
    directing = routing_manifests(platform, site)
    for name, (view, config) in here.items():
        around = msgspec.structs.replace(
            common,
            uses={used: _used(platform, site, used, here, external) for used in config.uses},
            used_by=used_by.get(name, ()),
            outside=dialled_outside(platform, site, name),
            outside_annotations=outside_annotations(platform, site, name),
            neighbours={
                each.service: near[each.service]
                for each in config.topology.preferred_colocation
                if each.service in near
            },
            files=files,
        )
        own = _manifests(platform, view, config, around)
        beside = directing.pop(name, [])
        folders.append(Folder(name, tuple(in_apply_order([*own, *beside])) if beside else own, config))
    folders += [Folder(name, tuple(in_apply_order(manifests)), None) for name, manifests in directing.items()]
    folders += [
        Folder(name, (_external_service(platform, platform.namespace, name, host, peer, source),), None)
        for name, (peer, host, source) in external.items()
    ]
    secrets = render_secrets(platform, site, platform.namespace, secrets_of.get(platform.namespace, ()), files)
    folders += [Folder(SECRETS, secrets, None)] if secrets else []
    folders.sort(key=lambda folder: folder.name)
    monitoring = render_monitoring(platform, site, [config for _, config in here.values()])
    namespaces = [platform.namespace] if not site.witness else []
    namespaces += [platform.data_namespace] if data else []
    return ClusterManifests(
        site,
        platform.namespace,
        tuple(_namespace(platform, name) for name in namespaces),
        tuple(folders),
        monitoring,
        data,
        platform.data_namespace,
    )


def _data_folders(
    platform: Platform,
    site: Site,
    components: Sequence[ComponentConfig],
    called: Mapping[str, tuple[Peer, ...]],
    common: Surroundings,
    secrets_used: Iterable[SecretUse],
    files: Mapping[str, bytes],
) -> tuple[Folder, ...]:
    """Return the folders of the components that run at ``site``, and of those that are called from it."""
    folders = {}
    for component in components:
        callers = called.get(component.name, ())
        users = tuple(msgspec.structs.replace(peer, namespace=platform.namespace) for peer in callers)
        place = place_of(platform, site, msgspec.structs.replace(common, used_by=users))
        source = f"components.{component.name}"
        manifests = in_apply_order(Manifest(body, source) for body in component.render(place))
        if manifests:  # a service of somebody else's may need no object here
            folders[component.name] = Folder(component.name, tuple(manifests), None, component)
    for name in called:
        used = platform.component(name)
        if used is None or not used.enabled:
            continue
        code = server_of(platform, used, site)
        if code in (None, site.region.code) or (host := endpoint_of(platform, used, str(code))) is None:
            continue
        peer, source = component_peer(platform, used, external=True), f"components.{name}"
        outside = _external_service(platform, platform.data_namespace, name, host, peer, source)
        own = folders[name].manifests if name in folders else ()
        folders[name] = Folder(name, tuple(in_apply_order((*own, outside))), None, used)
    if secrets := render_secrets(platform, site, platform.data_namespace, secrets_used, files):
        folders[SECRETS] = Folder(SECRETS, secrets, None)
    return tuple(folders[name] for name in sorted(folders))


def _surroundings(platform: Platform, site: Site) -> Surroundings:
    """Return what all workloads and components at ``site`` have around them alike."""
    watch = platform.observability
    return Surroundings(
        kubernetes=site.kubernetes,
        system=platform.name,
        provider=site.region.provider,
        storage_class=site.region.storage_class,
        monitoring_namespace=watch.prometheus.namespace if watch.prometheus else None,
        scrape_interval_secs=watch.scrape_interval_secs if watch.renders_pod_monitors else None,
        rule_interval_secs=watch.rule_interval_secs,
        prometheus_url=watch.prometheus.url if watch.prometheus else None,
    )


def _manifests(
    platform: Platform, view: EntryView, config: DeploymentConfig, around: Surroundings
) -> tuple[Manifest, ...]:
    """Return the objects of one workload: the very same ones where another region has the same workload alike."""
    made = platform.manifests_made.setdefault(view.at, [])
    for known, surroundings, manifests in made:
        if known is config and surroundings == around:
            return manifests
    made.append((config, around, tuple(render_manifests(config, around, source=source_of(view)))))
    return made[-1][2]


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
            source = f"{config.workload_class}.{name}"
            found[name] = (_peer(config, external=True), platform.estate.filled(there[1].endpoint, region.code), source)
    return found


def _used(
    platform: Platform,
    site: Site,
    name: str,
    here: Mapping[str, tuple[EntryView, DeploymentConfig]],
    external: Mapping[str, tuple[Peer, str, str]],
) -> Peer:
    component = platform.component(name)
    if component is not None:
        return component_peer(platform, component, external=server_of(platform, component, site) != site.region.code)
    return _peer(here[name][1]) if name in here else external[name][0]


def _namespace(platform: Platform, name: str) -> Manifest:
    # Losing the Namespace loses every claim in it, so no engine may ever prune it.
    annotations = {
        "argocd.argoproj.io/sync-options": "Prune=false,Delete=false",
        "kustomize.toolkit.fluxcd.io/prune": "disabled",
    }
    labels = {
        **system_labels(platform.name),
        **{f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("audit", "enforce", "warn")},
    }
    metadata = {"name": name, "labels": labels, "annotations": annotations}
    return Manifest({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}, "name")


def _external_service(platform: Platform, namespace: str, name: str, host: str, peer: Peer, source: str) -> Manifest:
    ports: list[dict[str, Any]] = [
        {"name": port, "port": number, "protocol": protocol} for port, number, protocol in peer.ports
    ]
    metadata = {
        "name": name,
        "namespace": namespace,
        "labels": system_labels(platform.name),
    }
    spec: dict[str, Any] = {"type": "ExternalName", "externalName": host}
    if ports:
        spec["ports"] = ports
    return Manifest({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}, source)
