"""What pods of a component may do, and the files that they read."""

from collections.abc import Mapping, Sequence
from typing import Any

from aether_deploy.infrastructure.component import ComponentConfig, Place
from aether_deploy.infrastructure.objects.naming import metadata_of


def service_account(config: ComponentConfig, place: Place, name: str | None = None) -> dict[str, Any]:
    """Return a ServiceAccount whose token no pod gets unasked."""
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": metadata_of(config, place, name),
        "automountServiceAccountToken": False,
    }


def role(
    config: ComponentConfig, place: Place, rules: Sequence[Mapping[str, Any]], *, name: str | None = None
) -> list[dict[str, Any]]:
    """Return a Role with ``rules``, and what binds it to the component's ServiceAccount."""
    metadata = metadata_of(config, place, name)
    group = "rbac.authorization.k8s.io"
    subject = {"kind": "ServiceAccount", "name": metadata["name"], "namespace": place.namespace}
    return [
        {"apiVersion": f"{group}/v1", "kind": "Role", "metadata": metadata, "rules": [dict(each) for each in rules]},
        {
            "apiVersion": f"{group}/v1",
            "kind": "RoleBinding",
            "metadata": metadata_of(config, place, name),
            "roleRef": {"apiGroup": group, "kind": "Role", "name": metadata["name"]},
            "subjects": [subject],
        },
    ]


def config_map(config: ComponentConfig, place: Place, name: str, data: Mapping[str, str]) -> dict[str, Any]:
    """Return a ConfigMap; Flux would replace ``${...}`` in it, so it is told not to."""
    annotations = {"kustomize.toolkit.fluxcd.io/substitute": "disabled"}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata_of(config, place, name, annotations=annotations),
        "data": dict(sorted(data.items())),
    }
