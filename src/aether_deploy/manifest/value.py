"""A manifest as a value, and the order in which manifests are written."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

# The order in which Argo CD applies kinds inside one wave (gitops-engine, ``sync_tasks.go``); it also suits kubectl.
KIND_ORDER = {
    kind: place
    for place, kind in enumerate(
        (
            "Namespace", "NetworkPolicy", "ResourceQuota", "LimitRange", "PodDisruptionBudget", "ServiceAccount",
            "Secret", "ConfigMap", "StorageClass", "PersistentVolume", "PersistentVolumeClaim",
            "CustomResourceDefinition", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding", "Service",
            "DaemonSet", "Pod", "ReplicaSet", "Deployment", "HorizontalPodAutoscaler", "StatefulSet", "Job",
            "CronJob", "IngressClass", "Ingress", "APIService",
        )
    )
}  # fmt: skip


class Manifest(msgspec.Struct, frozen=True, gc=False):
    """One Kubernetes object.

    Attributes:
        body: The object as plain maps, lists and scalars, keys in the order of its schema.
        source: The entry of the description that it comes from: ``worlds.world-server``.
    """

    body: dict[str, Any]
    source: str

    @property
    def api_version(self) -> str:
        return self.body["apiVersion"]  # type: ignore[no-any-return]

    @property
    def kind(self) -> str:
        return self.body["kind"]  # type: ignore[no-any-return]

    @property
    def name(self) -> str:
        return self.body["metadata"]["name"]  # type: ignore[no-any-return]

    @property
    def namespace(self) -> str | None:
        return self.body["metadata"].get("namespace")  # type: ignore[no-any-return]


def in_apply_order(manifests: Iterable[Manifest]) -> list[Manifest]:
    """Return ``manifests`` sorted by kind, then namespace, then name; unknown kinds (custom ones) last."""
    return sorted(
        manifests,
        key=lambda m: (KIND_ORDER.get(m.kind, len(KIND_ORDER)), m.kind, m.namespace or "", m.name),
    )


def value_at(body: Any, steps: Iterable[Any]) -> Any:
    """Return what stands in nested mappings at ``steps``; None where nothing does."""
    for step in steps:
        body = body.get(step) if isinstance(body, Mapping) else None
    return body
