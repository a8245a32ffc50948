"""A control plane boots, answers, and is gone when its block ends."""

import pytest

from aether_deploy.lab.control_plane import ControlPlane
from aether_deploy.lab.programs import NEWEST, version_of
from tests.lab_cases import apply_workload, in_namespace, workload

pytestmark = pytest.mark.real


def test_it_is_the_version_that_was_asked_for(control_plane: ControlPlane) -> None:
    version = control_plane.client.request("GET", "/version").body["gitVersion"]

    assert version == control_plane.version == NEWEST
    assert version_of(control_plane.kubectl) == NEWEST


def test_a_workload_runs_and_its_pods_spread(control_plane: ControlPlane) -> None:
    with in_namespace(control_plane, "boot") as watch:
        apply_workload(control_plane, workload("gateway", "boot", replicas=3))

        assert watch.wait(lambda: watch.ready("gateway") == 3, 180)
