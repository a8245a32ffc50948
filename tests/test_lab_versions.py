"""What Kubernetes 1.35 does otherwise than 1.37: which of the rendered values it drops without a word.

Kubernetes 1.34 is not judged here, for it takes half an hour to build. It differs from 1.35 in one thing that we
render: the gate ``HPAConfigurableTolerance`` is off, so it drops the autoscaler's ``tolerance`` silently, and the
autoscaler keeps the cluster's tolerance of a tenth both ways (mode ``legacy``, which ``render`` writes for v1.34).
"""

import pytest

from aether_deploy.fleet.bundle import render_manifests
from aether_deploy.lab.applying import Applied, apply_manifests
from aether_deploy.lab.control_plane import ControlPlane
from aether_deploy.lab.programs import NEWEST_PATCHES, version_of
from aether_deploy.pods.surroundings import Surroundings
from tests.lab_cases import in_namespace, workload

pytestmark = pytest.mark.real
DROPPED_BY_35 = ["spec.updateStrategy.rollingUpdate.maxUnavailable: 2 was dropped"]


def faults_of(plane: ControlPlane, rendered_for: str) -> list[str]:
    """Apply worlds that scale and roll out two at a time, and return what the server dropped or rewrote."""
    return [str(each) for applied in applied_on(plane, rendered_for) for each in applied.differences]


def applied_on(plane: ControlPlane, rendered_for: str) -> list[Applied]:
    settings = {"pvc": {"size": "1Gi"}, "update": {"max_unavailable": 2}, "scaling": {}}
    metrics = [{"name": "aether_players"}]
    namespace = f"versions-{rendered_for.replace('.', '-')}"
    config = workload("world", namespace, custom_metrics=metrics, **settings)
    with in_namespace(plane, namespace):
        applied = apply_manifests(plane.client, render_manifests(config, Surroundings(kubernetes=rendered_for)))
    assert [each.refused or each.unjudged for each in applied if each.live is None] == []
    return applied


def test_kubernetes_1_35_boots_and_is_the_version_that_was_asked_for(older_control_plane: ControlPlane) -> None:
    version = older_control_plane.client.request("GET", "/version").body["gitVersion"]

    assert version == NEWEST_PATCHES[35] == version_of(older_control_plane.kubectl)


def test_kubernetes_1_35_keeps_the_tolerances_and_whatever_is_rendered_for_it(
    older_control_plane: ControlPlane,
) -> None:
    applied = applied_on(older_control_plane, "v1.35")

    (autoscaler,) = (each.live for each in applied if each.manifest.kind == "HorizontalPodAutoscaler")
    assert autoscaler is not None
    behavior = autoscaler["spec"]["behavior"]
    assert (behavior["scaleUp"]["tolerance"], behavior["scaleDown"]["tolerance"]) == ("0", "500m")
    assert [fault for each in applied for fault in each.faults()] == []


def test_kubernetes_1_35_drops_what_only_1_37_knows(older_control_plane: ControlPlane) -> None:
    assert faults_of(older_control_plane, "v1.37") == DROPPED_BY_35


def test_kubernetes_1_37_keeps_it(control_plane: ControlPlane) -> None:
    assert faults_of(control_plane, "v1.37") == []
