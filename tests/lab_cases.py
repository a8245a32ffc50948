"""What tests on a real control plane share."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

from aether_deploy import DeploymentConfig
from aether_deploy.fleet.bundle import render_manifests
from aether_deploy.lab.applying import Applied, apply_manifests
from aether_deploy.lab.building import BuildError
from aether_deploy.lab.control_plane import ControlPlane
from aether_deploy.lab.crds import CustomKind, bring_definition, install_definitions
from aether_deploy.lab.flags import Pace
from aether_deploy.lab.nodes import fake_nodes
from aether_deploy.lab.programs import NEWEST, MissingProgramsError
from aether_deploy.lab.watching import PodWatch
from aether_deploy.pods.surroundings import Surroundings
from tests.real import miss
from tests.rule_case import IMAGE

ZONES = ("zone-a", "zone-b", "zone-c")
STORAGE_CLASSES = ("ssd", "fast-ssd")
STEADY = Pace(node_grace_secs=60, toleration_secs=300)
"""Where no zone is cut off: that a machine stands still for a while makes no node unreachable."""


@contextlib.contextmanager
def boot_for_tests(
    version: str = NEWEST,
    *,
    per_zone: int = 3,
    pace: Pace | None = None,
    zones: Sequence[str] = ZONES,
    records_autoscalers: bool = False,
) -> Iterator[ControlPlane]:
    """Boot a control plane, or end the calling test where its programs are missing."""
    nodes = fake_nodes(zones, region="us-east-1", per_zone=per_zone)
    try:
        plane = ControlPlane(
            version,
            nodes=nodes,
            storage_classes=STORAGE_CLASSES,
            pace=pace,
            records_autoscalers=records_autoscalers,
        )
    except MissingProgramsError as error:
        miss(str(error))
    with plane:
        yield plane


def teach_kinds(plane: ControlPlane, kinds: Sequence[CustomKind]) -> None:
    """Make custom kinds known to a control plane, or end the calling test where a definition cannot be had."""
    for custom in kinds:
        try:
            bring_definition(custom)
        except BuildError as error:
            miss(str(error))
    assert install_definitions(plane, kinds) == tuple(kinds)


def namespace_body(name: str) -> dict[str, Any]:
    """Return a Namespace that enforces and warns of ``restricted``, as ours do."""
    labels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


@contextlib.contextmanager
def in_namespace(plane: ControlPlane, name: str) -> Iterator[PodWatch]:
    """Make a namespace for one test, watch its pods, and delete it afterwards with all that is in it."""
    plane.client.create(namespace_body(name))
    plane.wait_for(
        lambda: plane.client.find("v1", "ServiceAccount", "default", name) is not None, "the service account is made"
    )
    try:
        with PodWatch(plane.client, name, plane.check) as watch:
            yield watch
    finally:
        plane.client.delete("v1", "Namespace", name)


def workload(name: str, namespace: str, **settings: Any) -> DeploymentConfig:
    """Return a workload that nothing scales unless ``settings`` say so."""
    return DeploymentConfig(**{"name": name, "namespace": namespace, "image": IMAGE, "scaling": None, **settings})


def apply_workload(
    plane: ControlPlane, config: DeploymentConfig, surroundings: Surroundings | None = None
) -> list[Applied]:
    """Apply every object of a workload; all of them must be taken as they are."""
    applied = apply_manifests(plane.client, render_manifests(config, surroundings or Surroundings()))
    assert [fault for each in applied for fault in each.faults()] == []
    return applied
