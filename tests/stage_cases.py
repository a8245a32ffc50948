"""Workloads on a real control plane, as ``rehearse`` plays on them, and manifests that are wrong on purpose."""

import contextlib
import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from aether_deploy.fleet.bundle import render_manifests
from aether_deploy.fleet.config import DeploymentConfig
from aether_deploy.fleet.predictions import Outcome
from aether_deploy.lab.applying import apply_manifests
from aether_deploy.lab.client import ApiError
from aether_deploy.lab.control_plane import ControlPlane
from aether_deploy.lab.nodes import READY_AFTER, STOP_AFTER
from aether_deploy.lab.stage import Stage
from aether_deploy.manifest.value import Manifest
from aether_deploy.platform.parts import RegionConfig, Site
from aether_deploy.platform.rendering import ClusterManifests, Folder
from aether_deploy.pods.surroundings import Surroundings
from tests.lab_cases import ZONES, in_namespace

Body = dict[str, Any]
Result = TypeVar("Result")
Edit = Callable[[Body], Body | None]
"""Changes one manifest on its way to the server; None leaves it out."""

Edited = tuple[Any, ...]
"""A workload's settings, and the edits of what is rendered for it."""

ACCEPTED = 201
SITE = Site(RegionConfig(code="us-east-1", zones=list(ZONES)), "lab", "v1.37")


def pods_take(*, ready_after: str = "0s", stop_after: str = "0s") -> Edit:
    """Return the edit that makes pods slow: to become ready, and to end."""

    def edit(body: Body) -> Body:
        if body["kind"] in ("StatefulSet", "Deployment"):
            annotations = body["spec"]["template"]["metadata"].setdefault("annotations", {})
            annotations |= {READY_AFTER: ready_after, STOP_AFTER: stop_after}
        return body

    return edit


def without(kind: str) -> Edit:
    """Return the edit that leaves objects of a kind out."""
    return lambda body: None if body["kind"] == kind else body


def spec_with(kind: str, **fields: Any) -> Edit:
    """Return the edit that sets fields of the specification of a kind's objects; None removes one."""

    def edit(body: Body) -> Body:
        if body["kind"] == kind:
            given = {**body["spec"], **fields}
            body["spec"] = {name: value for name, value in given.items() if value is not None}
        return body

    return edit


def edited(config: DeploymentConfig, *edits: Edit) -> list[Manifest]:
    """Return what is rendered for a workload, with ``edits`` applied to each object."""
    found = []
    for manifest in render_manifests(config, Surroundings()):
        body: Body | None = copy.deepcopy(manifest.body)
        for edit in edits:
            body = None if body is None else edit(body)
        if body is not None:
            found.append(Manifest(body, manifest.source))
    return found


def apply_edited(plane: ControlPlane, config: DeploymentConfig, *edits: Edit) -> None:
    """Apply what is rendered for a workload, with ``edits``; the server must take all of it."""
    applied = apply_manifests(plane.client, edited(config, *edits))
    assert [fault for each in applied for fault in each.faults()] == []


@contextlib.contextmanager
def stage_with(
    plane: ControlPlane,
    namespace: str,
    workloads: Sequence[Edited],
    *,
    make: type[Stage] = Stage,
) -> Iterator[Stage]:
    """Make a namespace in which ``workloads`` run, each with its edits, all of their pods ready.

    Args:
        plane: Where they run.
        namespace: Its name; the workloads must carry it.
        workloads: Each a tuple of settings and edits.
        make: What plays on them.
    """
    folders = tuple(Folder(config.name, tuple(edited(config, *edits)), config) for config, *edits in workloads)
    cluster = ClusterManifests(SITE, namespace, (), folders)
    with in_namespace(plane, namespace) as watch:
        applied = apply_manifests(plane.client, cluster.manifests)
        assert [fault for each in applied for fault in each.faults()] == []
        stage = make(plane, cluster, watch)
        wanted = {config.name: Outcome(ready=config.least_pods) for config, *_ in workloads}
        stood = watch.wait(lambda: all(stage.stands_as(*each) for each in wanted.items()), 180)
        assert stood, stage.placement()
        yield stage


def evict(plane: ControlPlane, namespace: str, pod: str) -> int:
    """Ask for the eviction of a pod and return the HTTP status: 201, or 429 where the budget forbids it."""
    try:
        plane.client.evict(namespace, pod)
    except ApiError as error:
        return error.status
    return ACCEPTED


def wait_for_budget(plane: ControlPlane, namespace: str, name: str, *, healthy: int) -> None:
    """Wait until the controller has counted the pods of a budget."""

    def counted() -> bool:
        status = plane.client.get("policy/v1", "PodDisruptionBudget", name, namespace).get("status", {})
        return bool(status.get("currentHealthy") == healthy and status.get("expectedPods"))

    plane.wait_for(counted, f"the budget {name} counts {healthy} pods")


def side_by_side(calls: Mapping[str, Callable[[], Result]]) -> dict[str, Result]:
    """Call all at the same time, since each only waits, and return the results by name."""
    with ThreadPoolExecutor(len(calls)) as pool:
        running = {name: pool.submit(call) for name, call in calls.items()}
    return {name: each.result() for name, each in running.items()}
