"""The fields that an API server refuses to change in an object that exists, of what is rendered here.

A change of one of them means: delete the object and make it anew. Kubernetes names them only by refusing, in words
that differ between versions, so they are listed here; tests try every rendered field on real API servers.
"""

from collections.abc import Mapping
from typing import Any

Steps = tuple[str, ...]

IMMUTABLE: Mapping[str, tuple[Steps, ...]] = {
    "StatefulSet": (
        ("spec", "podManagementPolicy"),
        ("spec", "selector"),
        ("spec", "serviceName"),
        ("spec", "volumeClaimTemplates"),
    ),
    "Deployment": (("spec", "selector"),),
    "Service": (("spec", "clusterIP"),),
}
"""By kind, the same in Kubernetes 1.35 and 1.37.

Source: Kubernetes, ``pkg/apis/apps/validation`` (``ValidateStatefulSetUpdate``, ``ValidateDeploymentUpdate``) and
``pkg/apis/core/validation`` (``ValidateServiceUpdate``).
"""

KEPT_WHEN_LEFT_OUT: Mapping[str, tuple[Steps, ...]] = {"Service": (("spec", "clusterIP"),)}
"""Those of them that the server silently keeps where a manifest says nothing of them any more."""

IDENTITY: tuple[Steps, ...] = (("apiVersion",), ("kind",), ("metadata", "name"), ("metadata", "namespace"))
"""What makes an object another one: a change is a deletion and a creation."""


def immutable_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Return the immutable fields in which two states of one object differ: ``spec.serviceName``.

    Args:
        old: The manifest as it was applied.
        new: The manifest that is to replace it, of the same kind and name.
    """
    kept = KEPT_WHEN_LEFT_OUT.get(new["kind"], ())
    changed = []
    for steps in IMMUTABLE.get(new["kind"], ()):
        before, after = _value_at(old, steps), _value_at(new, steps)
        if before != after and not (after is None and steps in kept):
            changed.append(".".join(steps))
    return changed


def _value_at(body: Mapping[str, Any], steps: Steps) -> Any:
    value: Any = body
    for step in steps:
        value = value.get(step) if isinstance(value, Mapping) else None
    return value
