"""Metadata and labels of a component's objects."""

from collections.abc import Mapping
from typing import Any

from aether_deploy.infrastructure.component import ComponentConfig, Place
from aether_deploy.manifest.labels import object_labels, selector_labels
from aether_deploy.pods.waivers import joined_annotations

PART = "aether.io/part"
"""Label that tells the StatefulSets and Jobs of one component apart; its value is their name."""

SERVER = {"aether.io/role": "server"}
"""Label of the pods that are servers: neither Services nor the budget must see those of Jobs, which no budget can
count."""


def metadata_of(
    config: ComponentConfig,
    place: Place,
    name: str | None = None,
    *,
    annotations: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return the metadata of one of the component's objects."""
    metadata: dict[str, Any] = {
        "name": name or config.name,
        "namespace": place.namespace,
        "labels": labels_of(config, place, labels or {}),
    }
    said = joined_annotations(config.annotations, annotations or {})
    if said:
        metadata["annotations"] = dict(sorted(said.items()))
    return metadata


def labels_of(config: ComponentConfig, place: Place, more: Mapping[str, str]) -> dict[str, str]:
    own = object_labels(config.name, component=config.KIND_NAME, system=place.estate.system, own=config.labels)
    return dict(sorted({**own, **more}.items()))


def part_labels(config: ComponentConfig, part: str) -> dict[str, str]:
    """Return the labels by which a StatefulSet of the component finds its pods."""
    return {**selector_labels(config.name), PART: part}
