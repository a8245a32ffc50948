"""What the objects of all engines have in common."""

from typing import Any

from aether_deploy.manifest.labels import system_labels
from aether_deploy.manifest.value import Manifest
from aether_deploy.platform.config import Platform

_SOURCE = "gitops"


def engine_object(
    platform: Platform, kind: tuple[str, str], namespace: str, name: str, spec: dict[str, Any]
) -> Manifest:
    """Return an object of an engine; ``kind`` is its API version and its kind."""
    metadata = {"name": name, "namespace": namespace, "labels": system_labels(platform.name)}
    return Manifest({"apiVersion": kind[0], "kind": kind[1], "metadata": metadata, "spec": spec}, _SOURCE)
