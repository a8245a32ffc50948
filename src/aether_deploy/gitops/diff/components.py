"""Whose component an object is, and what its kind's answers are called in a diff."""

from collections.abc import Mapping
from typing import Any

from aether_deploy.gitops.diff.changes import Effect
from aether_deploy.infrastructure.component import ComponentConfig
from aether_deploy.infrastructure.registry import component_types
from aether_deploy.manifest.labels import COMPONENT
from aether_deploy.manifest.value import value_at

TAKEN_UP: Mapping[str, Effect] = {
    "reloads": Effect.RELOADS,
    "restarts": Effect.RESTARTS,
    "by hand": Effect.BY_HAND,
    "refused": Effect.REFUSED,
    "data at risk": Effect.DATA,
}


def component_of(body: Mapping[str, Any]) -> type[ComponentConfig] | None:
    """Return the kind of component that an object is of."""
    return component_types().get(value_at(body, ("metadata", "labels", COMPONENT)) or "")
