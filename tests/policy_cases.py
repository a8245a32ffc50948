"""Workloads that deviate on purpose, and mutations of a workload that does not."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any, NamedTuple

IMAGE = "example/world:v1.0.0@sha256:3d82af46aecc963b3ab29be52a3dbd61779cce38bdb3df813b0e75e77135e542"
SERVICE: Mapping[str, Any] = {"name": "gateway", "image": IMAGE, "priority_class": "players"}
WORLD: Mapping[str, Any] = {**SERVICE, "name": "world", "pvc": {"size": "1Gi"}}
SCALING = {"min_replicas": 3, "max_replicas": 9}
METRIC = [{"name": "aether_players"}]
SIDECAR = {"name": "shipper", "image": IMAGE}

# Waiver -> the workloads that deviate in this way and in no other.
DEVIATIONS: Mapping[str, tuple[Mapping[str, Any], ...]] = {
    "cpu_limit": (
        {**SERVICE, "resources": {"cpu_limit": "none"}},
        {**WORLD, "resources": {"cpu_limit": "none"}},
        {**SERVICE, "sidecars": [{**SIDECAR, "resources": {"cpu_limit": "none"}}]},
    ),
    "fixed_count": ({**WORLD, "scaling": {"min_replicas": 3, "max_replicas": 3}},),
    "image_digest": (
        {**SERVICE, "image": "example/world:v1.0.0"},
        {**WORLD, "image": "example/world:v1.0.0"},
    ),
    "node_port": ({**SERVICE, "expose": {"type": "NodePort", "ports": ["http"]}},),
    "per_pod": ({**WORLD, "expose": {"per_pod": True, "ports": ["http"]}},),
    "priority_class": ({**SERVICE, "priority_class": None}, {**WORLD, "priority_class": None}),
    "recreate": ({**SERVICE, "update": {"strategy": "Recreate"}},),
    "replicas": ({**SERVICE, "scaling": SCALING, "custom_metrics": METRIC},),
    "secret_env": ({**SERVICE, "env": {"SECRET_DOOR": "left"}, "waivers": {"secret_env": "a door"}},),
    "service_account_token": (
        {**SERVICE, "identity": {"automount_token": True}},
        {**WORLD, "identity": {"automount_token": True}},
    ),
    "single_replica": (
        {**SERVICE, "replicas": 1},
        {**WORLD, "scaling": "none", "replicas": 1},
        {**WORLD, "scaling": {"min_replicas": 1, "max_replicas": 9}},
    ),
    "user_id": (
        {**SERVICE, "identity": {"run_as_user": 1000, "run_as_group": 1000, "fs_group": 1000}},
        {**WORLD, "identity": {"run_as_user": 1000}},
        {**WORLD, "identity": {"run_as_user": 1000, "run_as_group": 1000}},
    ),
}


class Gone:
    """Stands for a field that is taken away."""


GONE = Gone()
POD = "spec.template.spec"
BOX = f"{POD}.containers.0"


class Mutation(NamedTuple):
    """A change of one object of a workload.

    Attributes:
        kind: Kind of the objects that change.
        edits: Path -> new value; GONE takes the field away, and "" is the object itself.
        checkov: Checks of checkov that report it.
        kube_score: Checks of kube-score that report it.
    """

    kind: str
    edits: Mapping[str, Any]
    checkov: frozenset[str] = frozenset()
    kube_score: frozenset[str] = frozenset()


def mutated(bodies: list[dict[str, Any]], mutation: Mutation) -> list[dict[str, Any]]:
    """Return a copy of ``bodies`` with the mutation in every object of its kind."""
    copies = []
    for body in deepcopy(bodies):
        if body["kind"] == mutation.kind:
            if "" in mutation.edits:
                continue
            for path, value in mutation.edits.items():
                _edit(body, path.split("."), value)
        copies.append(body)
    assert copies != bodies, "the mutation changes nothing"
    return copies


def _edit(node: Any, path: list[str], value: Any) -> None:
    for step in path[:-1]:
        node = node[int(step)] if isinstance(node, list) else node.setdefault(step, {})
    last: Any = int(path[-1]) if isinstance(node, list) else path[-1]
    if value is GONE:
        del node[last]
    else:
        node[last] = value
