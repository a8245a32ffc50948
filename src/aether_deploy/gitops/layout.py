"""Where each object lies: environment, cluster, namespace, workload, one object per file."""

from collections.abc import Iterable

from aether_deploy.gitops.tree import TreeFile, Unit
from aether_deploy.manifest.value import Manifest
from aether_deploy.manifest.yaml_text import to_yaml
from aether_deploy.platform.config import Platform
from aether_deploy.platform.rendering import ClusterManifests

KUSTOMIZATION = "kustomization.yaml"
MONITORING = "monitoring"
KUSTOMIZE_VERSION = "kustomize.config.k8s.io/v1beta1"


def unit_path(platform: Platform, cluster: str) -> str:
    """Return the folder of a cluster in the tree."""
    return f"{platform.environment}/clusters/{cluster}"


def file_name(kind: str, name: str, folder: str) -> str:
    """Return the file of an object: its kind, and what its name adds to its folder's."""
    if name == folder:
        return f"{kind.lower()}.yaml"
    return f"{kind.lower()}-{name.removeprefix(f'{folder}-')}.yaml"


def cluster_unit(platform: Platform, rendered: ClusterManifests) -> Unit:
    """Return the files of one cluster."""
    files = list(_folder_files("cluster", rendered.cluster))
    for folder in rendered.folders:
        files += _folder_files(f"{rendered.namespace}/{folder.name}", folder.manifests)
    tops = ["cluster"]
    if rendered.monitoring:
        tops.append(MONITORING)
        files += _folder_files(MONITORING, rendered.monitoring)
    if rendered.folders:
        tops.append(rendered.namespace)
        files.append(_kustomization(rendered.namespace, [folder.name for folder in rendered.folders]))
    files.append(_kustomization("", tops))
    return Unit(
        path=unit_path(platform, rendered.site.cluster),
        name=platform.name,
        environment=platform.environment,
        cluster=rendered.site.cluster,
        files=tuple(sorted(files, key=lambda file: file.path)),
    )


def _folder_files(folder: str, manifests: Iterable[Manifest]) -> list[TreeFile]:
    leaf = folder.rpartition("/")[2]
    names = []
    files = []
    for manifest in manifests:
        name = file_name(manifest.kind, manifest.name, leaf)
        names.append(name)
        files.append(
            TreeFile(
                path=f"{folder}/{name}",
                text=to_yaml(manifest.body),
                api_version=manifest.api_version,
                kind=manifest.kind,
                namespace=manifest.namespace,
                name=manifest.name,
                source=manifest.source,
            )
        )
    return [*files, _kustomization(folder, names)]


def _kustomization(folder: str, resources: list[str]) -> TreeFile:
    body = {"apiVersion": KUSTOMIZE_VERSION, "kind": "Kustomization", "resources": resources}
    path = f"{folder}/{KUSTOMIZATION}" if folder else KUSTOMIZATION
    return TreeFile(path=path, text=to_yaml(body), api_version=KUSTOMIZE_VERSION, kind="Kustomization")
