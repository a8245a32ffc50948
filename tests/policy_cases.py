"""Workloads that deviate on purpose, and mutations of a workload that does not."""

import json
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
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
    "secret_literal": (
        {
            **SERVICE,
            "env": {"TEST_PEM": "-----BEGIN PRIVATE KEY-----\nMHc="},
            "waivers": {"secret_literal": "a key of the manual"},
        },
    ),
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


# Workloads that no checker finds anything about.
BASES: Mapping[str, Mapping[str, Any]] = {
    "world": {**WORLD, "sidecars": [SIDECAR]},
    "service": SERVICE,
    "scaled": {**SERVICE, "scaling": SCALING, "custom_metrics": METRIC},
}


class Mutation(NamedTuple):
    """A change of every object of one kind.

    Attributes:
        what: What is wrong then.
        base: The workload, by its name in ``BASES``.
        kind: Kind of the objects.
        edits: Path -> new value; None takes the field away, and the path "" is the object itself.
        checks: All checks that report it; those of checkov begin with CKV.
    """

    what: str
    base: str
    kind: str
    edits: Mapping[str, Any]
    checks: tuple[str, ...]


def mutations() -> list[Mutation]:
    """Return the mutations of ``tests/cases/policy_mutations.json``.

    ``$pod`` in a path is the pod's spec, ``$box`` its first container.
    """
    path = Path(__file__).parent / "cases" / "policy_mutations.json"
    return [Mutation(**{**row, "checks": tuple(row["checks"])}) for row in json.loads(path.read_text("utf-8"))]


def mutated(bodies: list[dict[str, Any]], mutation: Mutation) -> list[dict[str, Any]]:
    """Return a copy of ``bodies`` with the mutation in every object of its kind."""
    copies = deepcopy(bodies)
    for body in copies:
        if body["kind"] == mutation.kind:
            for path, value in mutation.edits.items():
                steps = path.replace("$box", "$pod.containers.0").replace("$pod", "spec.template.spec").split(".")
                _edit(body, steps, value)
    copies = [body for body in copies if body]
    assert copies != bodies, f"no {mutation.kind} changes when {mutation.what}"
    return copies


def _edit(node: Any, path: list[str], value: Any) -> None:
    if path == [""]:
        node.clear()
        return
    for step in path[:-1]:
        node = node[int(step)] if isinstance(node, list) else node[step]
    last: Any = int(path[-1]) if isinstance(node, list) else path[-1]
    if value is None:
        del node[last]
    else:
        node[last] = value
