"""The fields that an API server refuses to change in an object that exists, of what is rendered here.

A change of one of them means: delete the object and make it anew. Kubernetes names them only by refusing, in words
that differ between versions, so they are listed here; tests try every rendered field on real API servers.
"""

from collections.abc import Mapping
from typing import Any

from aether_deploy.manifest.defaults import with_defaults
from aether_deploy.manifest.value import value_at

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
    "Secret": (("type",),),
    "RoleBinding": (("roleRef",),),
    "ClusterRoleBinding": (("roleRef",),),
}
"""By kind, the same in Kubernetes 1.35 and 1.37.

Source: Kubernetes, ``pkg/apis/apps/validation`` (``ValidateStatefulSetUpdate``, ``ValidateDeploymentUpdate``) and
``pkg/apis/core/validation`` (``ValidateServiceUpdate``, ``ValidateSecretUpdate``, ``ValidateConfigMapUpdate``) and
``pkg/apis/rbac/validation`` (``ValidateRoleBindingUpdate``).
"""

KEPT_WHEN_LEFT_OUT: Mapping[str, tuple[Steps, ...]] = {
    "Service": (("spec", "clusterIP"), ("spec", "clusterIPs"), ("spec", "ipFamilies"), ("spec", "healthCheckNodePort"))
}
"""Those of them that the server silently keeps where a manifest says nothing of them any more."""

IDENTITY: tuple[Steps, ...] = (("apiVersion",), ("kind",), ("metadata", "name"), ("metadata", "namespace"))
"""What makes an object another one: a change is a deletion and a creation."""


def immutable_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Return the immutable fields in which two states of one object differ: ``spec.serviceName``.

    Args:
        old: The manifest as it was applied.
        new: The manifest that is to replace it, of the same kind and name.
    """
    return [".".join(steps) for steps in immutable_fields(old, new)]


def immutable_fields(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Steps]:
    """Return the steps to each immutable field in which two states of one object differ."""
    old, new = with_defaults(old), with_defaults(new)
    kept = KEPT_WHEN_LEFT_OUT.get(new["kind"], ())
    changed = []
    for steps in _fixed(old, new):
        before, after = value_at(old, steps), value_at(new, steps)
        if before != after and not (after is None and steps in kept):
            changed.append(steps)
    return changed


def kept_fields(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Steps]:
    """Return the steps to each field that ``new`` says nothing of any more, and that the server keeps all the same."""
    kept = KEPT_WHEN_LEFT_OUT.get(new["kind"], ())
    fixed = [steps for steps in _fixed(old, new) if steps in kept]
    return [steps for steps in fixed if value_at(old, steps) is not None and value_at(new, steps) is None]


def _fixed(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[Steps, ...]:
    """Return the fields that this object does not change any more."""
    kind = new["kind"]
    if kind in ("ConfigMap", "Secret") and old.get("immutable") is True:
        return (("immutable",), ("data",), ("binaryData",), *IMMUTABLE.get(kind, ()))
    if kind == "Service":
        return _fixed_of_service(old, new)
    return IMMUTABLE.get(kind, ())


def _fixed_of_service(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[Steps, ...]:
    """A Service that leaves or takes up an address of its own has none to keep.

    Source: Kubernetes, ``pkg/registry/core/service/strategy.go`` (``dropTypeDependentFields``).
    """
    types = {value_at(body, ("spec", "type")) for body in (old, new)}
    if "ExternalName" in types:
        return ()
    return IMMUTABLE.get("Service", ()) + ((("spec", "loadBalancerClass"),) if types == {"LoadBalancer"} else ())
