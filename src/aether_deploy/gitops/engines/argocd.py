"""Argo CD: one AppProject and one ApplicationSet, which makes an Application of each cluster's folder.

Sources: Argo CD, ``docs/operator-manual/applicationset/`` (Generators-Git, Controlling-Resource-Modification,
GoTemplate) and ``docs/user-guide/`` (sync-options, sync-waves, diffing).
"""

from collections.abc import Sequence
from typing import Any

from aether_deploy.gitops.engines.objects import engine_object
from aether_deploy.gitops.layout import folder_files
from aether_deploy.gitops.pieces import RenderedCluster, piece_name_of
from aether_deploy.gitops.stages import CLUSTER, DATA, MONITORING
from aether_deploy.gitops.tree import Unit
from aether_deploy.manifest.value import Manifest
from aether_deploy.platform.config import Platform
from aether_deploy.platform.secrets import FOLDER as SECRETS

API_VERSION = "argoproj.io/v1alpha1"
SKIP = "argocd.argoproj.io/skip-reconcile"
_ADAPTER_READS = "kube-system"  # the namespace of a Role that every aggregated API server needs
_CLUSTER_KINDS = (
    ("", "Namespace"),
    ("apiregistration.k8s.io", "APIService"),
    ("rbac.authorization.k8s.io", "ClusterRole"),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"),
)


def render_units(platform: Platform, clusters: Sequence[RenderedCluster]) -> tuple[Unit, ...]:
    """Return the unit of Argo CD's objects, for all clusters of an environment."""
    manifests = [_project(platform), _application_set(platform, clusters)]
    path = f"{platform.environment}/engine/argocd"
    files = tuple(folder_files("", manifests, leaf="argocd"))
    return (Unit(path=path, name=platform.name, environment=platform.environment, files=files),)


def _object(platform: Platform, kind: str, spec: dict[str, Any]) -> Manifest:
    return engine_object(platform, (API_VERSION, kind), platform.gitops.argocd.namespace, platform.namespace, spec)


def _project(platform: Platform) -> Manifest:
    """Return the AppProject: our repository may write into our namespaces, and nowhere else.

    It allows more than is rendered now: what it did not allow, Argo CD could not remove either.
    """
    watch = platform.observability.prometheus
    namespaces = [platform.namespace, platform.data_namespace]
    namespaces += [] if watch is None else [watch.namespace, _ADAPTER_READS]
    name = _cluster_name(platform, "*")
    spec = {
        "description": f"{platform.name}, environment {platform.environment}",
        "sourceRepos": [platform.gitops.repo],
        "destinations": [{"name": name, "namespace": namespace} for namespace in dict.fromkeys(namespaces)],
        "clusterResourceWhitelist": [{"group": group, "kind": kind} for group, kind in _CLUSTER_KINDS],
    }
    return _object(platform, "AppProject", spec)


def _application_set(platform: Platform, clusters: Sequence[RenderedCluster]) -> Manifest:
    gitops = platform.gitops
    generator = {
        "repoURL": gitops.repo,
        "revision": gitops.revision,
        "directories": [{"path": path} for path in _folders(platform)],
    }
    spec = {
        "goTemplate": True,
        "goTemplateOptions": ["missingkey=error"],
        "generators": [{"git": generator}],
        "syncPolicy": {"preserveResourcesOnDeletion": True},
        "preservedFields": {"annotations": [SKIP]},  # or nobody could hold an Application still
        "template": _template(platform, clusters),
    }
    return _object(platform, "ApplicationSet", spec)


def _template(platform: Platform, clusters: Sequence[RenderedCluster]) -> dict[str, Any]:
    """Return the template of an Application. It has no finalizers: one that goes must not empty its cluster."""
    gitops = platform.gitops
    cluster, name = _words(platform)
    spec: dict[str, Any] = {
        "project": platform.namespace,
        "source": {"repoURL": gitops.repo, "targetRevision": gitops.revision, "path": "{{.path.path}}"},
        # Without a namespace the project's destinations do not match, though every object names its own.
        "destination": {"name": _cluster_name(platform, cluster), "namespace": platform.namespace},
        "syncPolicy": {
            "automated": {"prune": True, "selfHeal": True},
            "syncOptions": ["CreateNamespace=false", "ServerSideApply=true", "RespectIgnoreDifferences=true"],
            # Without refresh, a retry keeps its revision: a broken commit would hold up the one that mends it.
            "retry": {
                "limit": -1,
                "refresh": True,
                "backoff": {"duration": "5s", "factor": 2, "maxDuration": "3m"},
            },
        },
    }
    if ignored := _autoscaled(platform, clusters):
        spec["ignoreDifferences"] = ignored
    # The server tells the difference: Argo CD itself takes the defaults of claim templates for one, and syncs for ever.
    annotations = {"argocd.argoproj.io/compare-options": "ServerSideDiff=true"}
    return {"metadata": {"name": f"{platform.namespace}-{name}", "annotations": annotations}, "spec": spec}


def _folders(platform: Platform) -> list[str]:
    clusters = f"{platform.gitops.path}/{platform.environment}/clusters/*"
    if platform.gitops.split == "cluster":
        return [clusters]
    both = (f"{platform.data_namespace}/*", f"{platform.namespace}/*")
    return [f"{clusters}/{folder}" for folder in (CLUSTER, MONITORING, *both)]


def _words(platform: Platform) -> tuple[str, str]:
    """Return what the template says for a folder's cluster, and for its Application's own part of the name."""
    if platform.gitops.split == "cluster":
        return "{{.path.basename}}", "{{.path.basename}}"
    place = platform.gitops.path.count("/") + 3
    cluster = f"{{{{index .path.segments {place}}}}}"
    data = f'(eq (index .path.segments {place + 1}) "{platform.data_namespace}")'
    apart = f'{{{{if and {data} (eq .path.basename "{SECRETS}")}}}}{DATA}-{{{{end}}}}'
    return cluster, f"{cluster}-{apart}{{{{.path.basename}}}}"


def _cluster_name(platform: Platform, cluster: str) -> str:
    name = platform.gitops.argocd.cluster_name
    return name.replace("{environment}", platform.environment).replace("{cluster}", cluster)


def _autoscaled(platform: Platform, clusters: Sequence[RenderedCluster]) -> list[dict[str, Any]]:
    """Return what Argo CD leaves to autoscalers: the replicas of workloads that scale wherever they run.

    A workload that scales in some clusters only is not among them: there its replicas are Git's in the others,
    and where an autoscaler has them, Git says nothing of them.
    """
    scaled: dict[tuple[str, str], bool] = {}
    for each in clusters:
        for folder in each.cluster.folders:
            if folder.config is not None:
                key = (folder.config.target_kind, folder.name)
                scaled[key] = scaled.get(key, True) and folder.config.scaling is not None
    return [
        {
            "group": "apps",
            "kind": kind,
            "name": name,
            "namespace": platform.namespace,
            "jsonPointers": ["/spec/replicas"],
        }
        for (kind, name), everywhere in sorted(scaled.items())
        if everywhere
    ]


def commands_around(platform: Platform, cluster: str, folder: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the commands that keep Argo CD from an Application, and let it go on. They are for Argo CD's cluster."""
    name = f"{platform.namespace}-{cluster}"
    if platform.gitops.split == "workload":
        name += f"-{piece_name_of(platform, folder)}"
    annotate = f"kubectl -n {platform.gitops.argocd.namespace} annotate application {name} {SKIP}"
    return (f"{annotate}=true",), (f"{annotate}-",)
