"""Where each object lies: environment, cluster, namespace, workload, one object per file."""

from collections.abc import Iterable, Mapping
from typing import Any

from aether_deploy.gitops.stages import CLUSTER, DATA, MONITORING, WORKLOADS, wave_of
from aether_deploy.gitops.tree import TreeFile, Unit
from aether_deploy.manifest.value import Manifest
from aether_deploy.manifest.yaml_text import to_yaml
from aether_deploy.platform.config import Platform
from aether_deploy.platform.rendering import ClusterManifests

KUSTOMIZATION = "kustomization.yaml"
WAVE = "argocd.argoproj.io/sync-wave"
KUSTOMIZE_VERSION = "kustomize.config.k8s.io/v1beta1"


def unit_path(platform: Platform, cluster: str) -> str:
    """Return the folder of a cluster in the tree."""
    return f"{platform.environment}/clusters/{cluster}"


def file_name(kind: str, name: str, folder: str) -> str:
    """Return the file of an object: its kind, and what its name adds to its folder's."""
    if name == folder:
        return f"{kind.lower()}.yaml"
    return f"{kind.lower()}-{name.removeprefix(f'{folder}-')}.yaml"


Made = dict[tuple[int, str], tuple[tuple[Manifest, ...], list[TreeFile]]]
"""Files of folders that were made already, by the identity of their objects, and the folder."""


def cluster_unit(platform: Platform, rendered: ClusterManifests, made: Made | None = None) -> Unit:
    """Return the files of one cluster.

    Args:
        platform: The platform.
        rendered: The cluster.
        made: Files of clusters before this one; what several clusters have alike is written out once.
    """
    waves = platform.gitops.engine == "argocd"
    made = {} if made is None else made
    files = folder_files(CLUSTER, rendered.cluster, wave=waves and wave_of(CLUSTER))
    tops = [CLUSTER]
    if rendered.monitoring:
        tops.append(MONITORING)
        files += folder_files(MONITORING, rendered.monitoring, wave=waves and wave_of(MONITORING))
    for namespace, folders in rendered.namespaces:
        wave = waves and wave_of(WORKLOADS if namespace == rendered.namespace else DATA)
        for folder in folders:
            key = (id(folder.manifests), path := f"{namespace}/{folder.name}")
            if key not in made:
                made[key] = (folder.manifests, folder_files(path, folder.manifests, wave=wave))
            files += made[key][1]
        tops.append(namespace)
        files.append(_kustomization(namespace, [folder.name for folder in folders]))
    files.append(_kustomization("", tops))
    return Unit(
        path=unit_path(platform, rendered.site.cluster),
        name=platform.name,
        environment=platform.environment,
        cluster=rendered.site.cluster,
        files=tuple(sorted(files, key=lambda file: file.path)),
    )


def folder_files(
    folder: str, manifests: Iterable[Manifest], *, leaf: str = "", kustomized: bool = True, wave: int = 0
) -> list[TreeFile]:
    """Return the files of one folder: one for each object, and the kustomization.yaml that lists them.

    Args:
        folder: Relative to the unit; empty for the unit itself.
        manifests: Its objects, in apply order.
        leaf: What the folder is called; left out, the last part of ``folder``.
        kustomized: Whether it gets a kustomization.yaml.
        wave: Argo CD's sync wave of the objects; 0 is what Argo CD takes without an annotation.
    """
    leaf = leaf or folder.rpartition("/")[2]
    names = []
    files = []
    for manifest in manifests:
        name = file_name(manifest.kind, manifest.name, leaf)
        names.append(name)
        files.append(
            TreeFile(
                path=f"{folder}/{name}" if folder else name,
                text=to_yaml(_in_wave(manifest.body, wave) if wave else manifest.body),
                api_version=manifest.api_version,
                kind=manifest.kind,
                namespace=manifest.namespace,
                name=manifest.name,
                source=manifest.source,
            )
        )
    return [*files, _kustomization(folder, names)] if kustomized else files


def _in_wave(body: Mapping[str, Any], wave: int) -> dict[str, Any]:
    metadata = body["metadata"]
    annotations = {**metadata.get("annotations", {}), WAVE: str(wave)}
    return {**body, "metadata": {**metadata, "annotations": dict(sorted(annotations.items()))}}


def _kustomization(folder: str, resources: list[str]) -> TreeFile:
    body = {"apiVersion": KUSTOMIZE_VERSION, "kind": "Kustomization", "resources": resources}
    path = f"{folder}/{KUSTOMIZATION}" if folder else KUSTOMIZATION
    return TreeFile(path=path, text=to_yaml(body), api_version=KUSTOMIZE_VERSION, kind="Kustomization")
