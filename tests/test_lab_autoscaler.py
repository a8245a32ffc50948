"""The HorizontalPodAutoscaler of a real control plane without a metrics API: what it does, and what it says."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from aether_deploy.fleet.config import DeploymentConfig
from aether_deploy.fleet.predictions import Outcome, after_scale
from aether_deploy.lab.applying import MANAGER
from aether_deploy.lab.client import Body
from aether_deploy.lab.control_plane import ControlPlane
from aether_deploy.lab.scenarios import SCENARIOS, play
from aether_deploy.lab.stage import Stage
from tests.lab_cases import in_namespace, workload
from tests.stage_cases import Edit, Edited, edited, spec_with, stage_with

pytestmark = pytest.mark.real

NAMESPACE = "autoscaler"
VOLUME = {"size": "1Gi"}
BOUNDS = {"min_replicas": 3, "max_replicas": 6}
METRICS = [{"name": "aether_players"}]
HPA = ("autoscaling/v2", "HorizontalPodAutoscaler")
SYNC_SECS = 120.0


def scaled(name: str, namespace: str = NAMESPACE, **settings: Any) -> DeploymentConfig:
    return workload(name, namespace, scaling=BOUNDS, custom_metrics=METRICS, **settings)


OTHER_METRIC = {
    "type": "External",
    "external": {"metric": {"name": "elsewhere"}, "target": {"type": "AverageValue", "averageValue": "50"}},
}
WRONG: dict[str, Edit] = {
    "tight": spec_with("HorizontalPodAutoscaler", minReplicas=5, maxReplicas=5),
    "asks-elsewhere": spec_with("HorizontalPodAutoscaler", metrics=[OTHER_METRIC]),
}


@pytest.fixture(scope="module")
def stage(control_plane: ControlPlane) -> Iterator[Stage]:
    """Two workloads as we render them, and two whose autoscaler is wrong; all have the pods that they need."""
    workloads: list[Edited] = [(scaled("world", pvc=VOLUME),), (scaled("gateway"),)]
    with stage_with(control_plane, NAMESPACE, workloads) as stage:
        for name, edit in WRONG.items():
            for manifest in edited(scaled(name), edit):
                control_plane.client.apply(manifest.body, manager=MANAGER)
        for name in WRONG:
            control_plane.wait_for(lambda name=name: synced(stage, name, 3, 5), f"{name} is scaled")  # type: ignore[misc]
        yield stage


def synced(stage: Stage, name: str, *counts: int) -> bool:
    """Return whether the autoscaler's last look saw one of ``counts`` pods."""
    status = stage.lab.client.get(*HPA, name, NAMESPACE).get("status", {})
    return status.get("currentReplicas") in counts


def path_of(stage: Stage, name: str) -> str:
    kind = stage.lab.client.get(*HPA, name, NAMESPACE)["spec"]["scaleTargetRef"]["kind"]
    return stage.lab.client.path_of("apps/v1", kind, NAMESPACE, name)


def set_replicas(stage: Stage, name: str, count: int) -> None:
    stage.lab.client.patch(path_of(stage, name), {"spec": {"replicas": count}}, subresource="scale")


def replicas(stage: Stage, name: str) -> int:
    count: int = stage.lab.client.request("GET", path_of(stage, name)).body["spec"]["replicas"]
    return count


def left_alone(stage: Stage, name: str, *counts: int) -> bool:
    """Set one count after the other and return whether the autoscaler looked at each and left it.

    It writes into its status what it saw, after it has changed what it wants to change.
    """
    for count in counts:
        set_replicas(stage, name, count)
        stage.watch.wait(lambda count=count: synced(stage, name, count), SYNC_SECS)  # type: ignore[misc]
        if not synced(stage, name, count) or replicas(stage, name) != count:
            return False
    return True


def why(stage: Stage, name: str) -> tuple[str, str]:
    """Return what the autoscaler says of its being active: status and reason."""
    status = stage.lab.client.get(*HPA, name, NAMESPACE)["status"]
    (active,) = (each for each in status["conditions"] if each["type"] == "ScalingActive")
    return active["status"], active["reason"]


@pytest.mark.parametrize("name", ["world", "gateway"])
def test_inside_the_bounds_nothing_changes_without_metrics_and_the_reason_is_said(stage: Stage, name: str) -> None:
    assert left_alone(stage, name, 5, 4, 6, 5)
    assert why(stage, name) == ("False", "FailedGetPodsMetric")


def test_other_bounds_and_another_metric_are_seen(stage: Stage) -> None:
    assert not left_alone(stage, "tight", 4)
    assert stage.watch.wait(lambda: replicas(stage, "tight") == 5, SYNC_SECS)
    assert why(stage, "asks-elsewhere") != ("False", "FailedGetPodsMetric")


@pytest.mark.parametrize("name", ["world", "gateway"])
@pytest.mark.parametrize("count, corrected", [(9, 6), (1, 3), (5, 5)])
def test_outside_the_bounds_the_count_is_corrected_as_predicted(
    stage: Stage, name: str, count: int, corrected: int
) -> None:
    config = stage.workloads[name]
    predicted = after_scale(config, count)

    set_replicas(stage, name, count)

    assert predicted == Outcome(ready=corrected)
    assert stage.watch.wait(lambda: replicas(stage, name) == corrected, SYNC_SECS)
    assert stage.watch.wait(lambda: synced(stage, name, corrected) and stage.stands_as(name, predicted), SYNC_SECS)
    assert replicas(stage, name) == corrected


def test_none_stays_none_for_that_turns_the_autoscaler_off(stage: Stage) -> None:
    predicted = after_scale(stage.workloads["gateway"], 0)

    set_replicas(stage, "gateway", 0)

    assert stage.watch.wait(lambda: why(stage, "gateway") == ("False", "ScalingDisabled"), SYNC_SECS)
    assert stage.watch.wait(lambda: stage.stands_as("gateway", predicted), SYNC_SECS)
    assert replicas(stage, "gateway") == predicted.ready == 0
    set_replicas(stage, "gateway", 3)


def test_the_scenario_says_that_the_autoscaler_corrects(stage: Stage) -> None:
    for name in stage.workloads:
        set_replicas(stage, name, 3)
    assert stage.settle(dict.fromkeys(stage.workloads, Outcome(ready=3)))

    (verdict,) = play(stage, SCENARIOS["scale"], "world:9")

    assert verdict.holds
    assert verdict.text == "6 ready, the autoscaler corrects 9 to its bound, never below 3"


# --- the first deploy


def counts_from_birth(plane: ControlPlane, namespace: str, config: DeploymentConfig, *edits: Edit) -> list[int]:
    """Apply a workload and return every replica count that it has until all its pods are ready, in order."""
    seen: list[int] = []

    def follow(path: str, version: str) -> None:
        for event in plane.client.watch(path, version):
            if event["type"] != "BOOKMARK":
                note(seen, event["object"])

    with in_namespace(plane, namespace) as watch:
        path = plane.client.path_of("apps/v1", config.target_kind, namespace)
        version = plane.client.request("GET", path).body["metadata"]["resourceVersion"]
        threading.Thread(target=follow, args=(path, version), daemon=True).start()
        for manifest in edited(config, *edits):
            plane.client.apply(manifest.body, manager=MANAGER)
        assert watch.wait(lambda: watch.ready(config.name) == config.least_pods, 90)
        assert watch.wait(lambda: bool(seen) and seen[-1] == config.least_pods, 90)
    return seen


def note(seen: list[int], body: Body) -> None:
    count = body["spec"]["replicas"]
    if seen[-1:] != [count]:
        seen.append(count)


@pytest.mark.parametrize("settings", [{"pvc": VOLUME}, {}], ids=["StatefulSet", "Deployment"])
def test_a_first_deploy_has_one_pod_until_the_autoscaler_lifts_it(
    control_plane: ControlPlane, settings: dict[str, Any]
) -> None:
    namespace = f"first-{'world' if settings else 'service'}"
    config = scaled("new", namespace, **settings)

    assert counts_from_birth(control_plane, namespace, config) == [1, 3]


def test_a_manifest_that_says_the_count_would_be_seen(control_plane: ControlPlane) -> None:
    config = scaled("new", "first-said")

    assert counts_from_birth(control_plane, "first-said", config, spec_with("Deployment", replicas=3)) == [3]
