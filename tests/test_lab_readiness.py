"""Clients reach a world once it is ready, and no longer once it is told to end; its own name works at any time."""

import copy
from typing import Any

import pytest

from aether_deploy import Surroundings
from aether_deploy.fleet.bundle import render_manifests
from aether_deploy.lab.applying import apply_manifests
from aether_deploy.lab.control_plane import ControlPlane
from aether_deploy.lab.nodes import READY_AFTER, STOP_AFTER
from aether_deploy.lab.watching import PodWatch
from tests.lab_cases import in_namespace, workload

pytestmark = pytest.mark.real

PODS = ["world-0", "world-1", "world-2"]
HELD = "10m"  # longer than any test: what is held happens when it is released
SECS = 90.0
BRIEFLY_SECS = 2.0  # for what never happens


def apply_slow_world(plane: ControlPlane, namespace: str, **wrong: dict[str, Any]) -> None:
    """Apply a world whose pods run and are not ready until they are released.

    Args:
        plane: The control plane.
        namespace: Where.
        wrong: Changes to the spec of its Services: ``client`` and ``headless``; None takes a field away.
    """
    config = workload("world", namespace, replicas=len(PODS), pvc={"size": "1Gi"})
    manifests = copy.deepcopy(render_manifests(config, Surroundings()))
    bodies = {(each.kind, each.name): each.body for each in manifests}
    template = bodies["StatefulSet", "world"]["spec"]["template"]
    template["metadata"].setdefault("annotations", {})[READY_AFTER] = HELD
    for service, changes in (("world", wrong.get("client", {})), ("world-headless", wrong.get("headless", {}))):
        spec = {**bodies["Service", service]["spec"], **changes}
        bodies["Service", service]["spec"] = {key: value for key, value in spec.items() if value is not None}
    applied = apply_manifests(plane.client, manifests)
    assert [fault for each in applied for fault in each.faults()] == []


# --- the checks


def endpoints(plane: ControlPlane, namespace: str, service: str) -> dict[str, bool]:
    """Return the pods that a Service knows, and whether it leads to each."""
    slices = plane.client.list(
        "discovery.k8s.io/v1", "EndpointSlice", namespace, labels=f"kubernetes.io/service-name={service}"
    )
    found = [each for one in slices for each in one.get("endpoints") or ()]
    return {each["targetRef"]["name"]: each["conditions"]["ready"] for each in found}


def gate_faults(
    plane: ControlPlane, namespace: str, watch: PodWatch, *, named: float = SECS, entered: float = SECS
) -> list[str]:
    """Return what is wrong with pods that run unready, and then when they become ready.

    Args:
        plane: The control plane.
        namespace: Where the world is.
        watch: Its pods.
        named: How long to wait for their names, seconds.
        entered: How long to wait for clients to be led to them, seconds.
    """

    def seen() -> dict[str, bool]:
        return endpoints(plane, namespace, "world")

    assert watch.wait(lambda: _running_unready(watch), SECS)
    faults = []
    # A closed gate knows the pods and leads to none; one that leads to any is open.
    watch.wait(lambda: seen() == dict.fromkeys(PODS, False) or any(seen().values()), entered)
    faults += [f"{pod}: clients are led to it before it is ready" for pod, open_to in seen().items() if open_to]
    if not watch.wait(lambda: endpoints(plane, namespace, "world-headless") == dict.fromkeys(PODS, True), named):
        faults.append("pods that run and are not ready have no name")
    assert _running_unready(watch)
    for pod in PODS:
        _annotate(plane, namespace, pod, {READY_AFTER: None})
    assert watch.wait(lambda: watch.ready("world") == len(PODS), SECS)
    if not watch.wait(lambda: seen() == dict.fromkeys(PODS, True), entered):
        faults.append(f"clients are led to {[pod for pod, open_to in seen().items() if open_to]} at last")
    return faults


def leaving_faults(plane: ControlPlane, namespace: str, watch: PodWatch, within_secs: float = SECS) -> list[str]:
    """Tell a ready pod to end, and return what is wrong while it has not ended."""
    leaver, *others = PODS

    def ending() -> bool:
        return any(pod.name == leaver and pod.terminating for pod in watch.pods("world"))

    def leads_to() -> list[str]:
        return sorted(pod for pod, open_to in endpoints(plane, namespace, "world").items() if open_to)

    _annotate(plane, namespace, leaver, {STOP_AFTER: HELD})
    plane.client.delete("v1", "Pod", leaver, namespace)
    try:
        assert watch.wait(ending, SECS)
        left = watch.wait(lambda: leads_to() == others, within_secs)
        assert ending()
    finally:
        _annotate(plane, namespace, leaver, {STOP_AFTER: None})
    return [] if left else [f"{leaver}: clients are led to it until it is gone"]


def _running_unready(watch: PodWatch) -> bool:
    """Say whether all pods run, and none is ready."""
    pods = watch.pods("world")
    return [pod.name for pod in pods if pod.node] == PODS and not any(pod.ready for pod in pods)


def _annotate(plane: ControlPlane, namespace: str, pod: str, annotations: dict[str, str | None]) -> None:
    path = plane.client.path_of("v1", "Pod", namespace, pod)
    plane.client.patch(path, {"metadata": {"annotations": annotations}})


# --- the proofs


def test_readiness_gates_traffic_from_the_first_start_to_the_end(control_plane: ControlPlane) -> None:
    with in_namespace(control_plane, "readiness") as watch:
        apply_slow_world(control_plane, "readiness")

        assert gate_faults(control_plane, "readiness", watch) == []
        assert leaving_faults(control_plane, "readiness", watch) == []


# --- the checks have teeth


def test_a_client_service_that_publishes_pods_too_early_is_noticed(control_plane: ControlPlane) -> None:
    with in_namespace(control_plane, "tooth-early") as watch:
        apply_slow_world(control_plane, "tooth-early", client={"publishNotReadyAddresses": True})

        faults = gate_faults(control_plane, "tooth-early", watch)
        assert any(fault.endswith(": clients are led to it before it is ready") for fault in faults)


def test_a_client_service_that_keeps_pods_until_they_are_gone_is_noticed(control_plane: ControlPlane) -> None:
    with in_namespace(control_plane, "tooth-late") as watch:
        apply_slow_world(control_plane, "tooth-late", client={"publishNotReadyAddresses": True})
        gate_faults(control_plane, "tooth-late", watch)

        assert leaving_faults(control_plane, "tooth-late", watch, BRIEFLY_SECS) == [
            "world-0: clients are led to it until it is gone"
        ]


def test_a_headless_service_that_hides_pods_until_they_are_ready_is_noticed(control_plane: ControlPlane) -> None:
    with in_namespace(control_plane, "tooth-hidden") as watch:
        apply_slow_world(control_plane, "tooth-hidden", headless={"publishNotReadyAddresses": None})

        assert gate_faults(control_plane, "tooth-hidden", watch, named=BRIEFLY_SECS) == [
            "pods that run and are not ready have no name"
        ]


def test_a_client_service_that_selects_nobody_is_noticed(control_plane: ControlPlane) -> None:
    with in_namespace(control_plane, "tooth-nobody") as watch:
        selector = {"app.kubernetes.io/instance": "wrold"}
        apply_slow_world(control_plane, "tooth-nobody", client={"selector": selector})

        assert gate_faults(control_plane, "tooth-nobody", watch, entered=BRIEFLY_SECS) == [
            "clients are led to [] at last"
        ]
