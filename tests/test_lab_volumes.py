"""Each ordinal of a world has a volume of its own, in its pod's zone, and keeps it as long as it is told to."""

import copy
from collections.abc import Mapping
from typing import Any

import pytest

from aether_deploy import DeploymentConfig, Surroundings
from aether_deploy.fleet.bundle import render_manifests
from aether_deploy.lab.applying import apply_manifests
from aether_deploy.lab.control_plane import DEFAULT_CLASS, ControlPlane
from aether_deploy.lab.nodes import ZONE
from aether_deploy.lab.watching import Pod, PodWatch
from tests.lab_cases import apply_workload, in_namespace, workload

pytestmark = pytest.mark.real

SETTLE_SECS = 90.0


def world(namespace: str, **settings: Any) -> DeploymentConfig:
    pvc = {"size": "10Gi", "storage_class": "ssd", **settings.pop("pvc", {})}
    return workload("world", namespace, **{"replicas": 6, "pvc": pvc, **settings})


# --- the checks


def claim_faults(plane: ControlPlane, config: DeploymentConfig, watch: PodWatch) -> list[str]:
    """Return what is wrong with the claims and volumes of a world, whose pods must all be ready."""
    # A pod may start once its claim has a volume; that it is bound stands in the claim's status a moment later.
    watch.wait(lambda: all(phase == "Bound" for phase in phases(plane, config.namespace)), SETTLE_SECS)
    faults = [] if watch.ready(config.name) == config.replicas else [f"{watch.ready(config.name)} pods are ready"]
    for pod in watch.pods(config.name):
        claim = plane.client.find("v1", "PersistentVolumeClaim", f"wal-{pod.name}", config.namespace)
        if claim is None:
            faults.append(f"{pod.name}: has no claim wal-{pod.name}")
        else:
            faults += [f"{pod.name}: {fault}" for fault in _volume_faults(plane, config, pod, claim)]
    return faults


def _volume_faults(plane: ControlPlane, config: DeploymentConfig, pod: Pod, claim: Mapping[str, Any]) -> list[str]:
    assert config.pvc is not None
    name = claim["spec"].get("volumeName")
    if name is None or claim["status"]["phase"] != "Bound":
        return [f"the claim is {claim['status']['phase']}"]
    volume = plane.client.get("v1", "PersistentVolume", name)["spec"]
    zone = next((node.zone for node in plane.nodes if node.name == pod.node), None)
    seen = {
        "class": (claim["spec"]["storageClassName"], volume["storageClassName"]),
        "size": (claim["status"]["capacity"]["storage"], volume["capacity"]["storage"]),
        "zone": (zone, _zone_of(volume)),
        "owner": (claim["metadata"]["uid"], volume["claimRef"]["uid"]),
    }
    wanted = {
        "class": (config.pvc.storage_class or DEFAULT_CLASS,) * 2,
        "size": (config.pvc.size,) * 2,
        "zone": (zone,) * 2,
        "owner": (claim["metadata"]["uid"],) * 2,
    }
    return [
        f"{what} of claim and volume: {seen[what]}, not {wanted[what]}" for what in seen if seen[what] != wanted[what]
    ]


def _zone_of(volume: Mapping[str, Any]) -> str | None:
    """Return the zone that a volume binds its pod to."""
    for term in volume.get("nodeAffinity", {}).get("required", {}).get("nodeSelectorTerms", ()):
        for each in term["matchExpressions"]:
            if each["key"] == ZONE and len(each["values"]) == 1:
                return str(each["values"][0])
    return None


def phases(plane: ControlPlane, namespace: str) -> list[str]:
    """Return how every claim of a namespace stands."""
    return [each["status"]["phase"] for each in plane.client.list("v1", "PersistentVolumeClaim", namespace)]


def volumes(plane: ControlPlane, namespace: str) -> dict[int, str]:
    """Return the volume of each ordinal that has a claim."""
    claims = plane.client.list("v1", "PersistentVolumeClaim", namespace)
    return {int(each["metadata"]["name"].rpartition("-")[2]): each["spec"]["volumeName"] for each in claims}


def renewed_by_a_round_trip(plane: ControlPlane, config: DeploymentConfig, watch: PodWatch) -> list[int]:
    """Scale a world from 6 to 2 and back, and return the ordinals whose volume is not the one that it was."""
    before = volumes(plane, config.namespace)
    scale(plane, config, watch, 2)
    retention = config.pvc.retention if config.pvc else None
    if retention and retention.when_scaled == "Delete":
        plane.wait_for(lambda: set(volumes(plane, config.namespace)) == {0, 1}, "claims are deleted", SETTLE_SECS)
    scale(plane, config, watch, 6)
    after = volumes(plane, config.namespace)
    assert set(after) == set(before)
    return sorted(ordinal for ordinal in before if before[ordinal] != after[ordinal])


def scale(plane: ControlPlane, config: DeploymentConfig, watch: PodWatch, replicas: int) -> None:
    path = plane.client.path_of("apps/v1", "StatefulSet", config.namespace, config.name)
    plane.client.patch(path, {"spec": {"replicas": replicas}}, subresource="scale")
    assert settled(watch, config, replicas)


def settled(watch: PodWatch, config: DeploymentConfig, replicas: int) -> bool:
    """Wait until exactly the ordinals below ``replicas`` are there and ready."""

    def stands() -> bool:
        pods = watch.pods(config.name)
        return [pod.ordinal for pod in pods if pod.ready] == list(range(replicas)) and len(pods) == replicas

    return watch.wait(stands, SETTLE_SECS)


# --- the proofs


def test_every_ordinal_has_a_volume_in_its_pods_zone_with_the_declared_class_and_size(
    control_plane: ControlPlane,
) -> None:
    with in_namespace(control_plane, "volumes") as watch:
        config = world("volumes")
        apply_workload(control_plane, config)
        assert settled(watch, config, 6)

        assert claim_faults(control_plane, config, watch) == []
        assert len(set(volumes(control_plane, "volumes").values())) == 6


def test_a_world_that_names_no_class_gets_volumes_of_the_clusters_default_class(control_plane: ControlPlane) -> None:
    with in_namespace(control_plane, "volumes-default") as watch:
        config = world("volumes-default", replicas=2, pvc={"storage_class": None})
        apply_workload(control_plane, config)
        assert settled(watch, config, 2)

        assert claim_faults(control_plane, config, watch) == []


def test_ordinals_that_return_after_a_scale_down_find_their_old_volumes(control_plane: ControlPlane) -> None:
    with in_namespace(control_plane, "volumes-kept") as watch:
        config = world("volumes-kept")
        apply_workload(control_plane, config)
        assert settled(watch, config, 6)

        assert renewed_by_a_round_trip(control_plane, config, watch) == []
        assert claim_faults(control_plane, config, watch) == []


def test_with_retention_delete_ordinals_that_return_get_new_volumes(control_plane: ControlPlane) -> None:
    with in_namespace(control_plane, "volumes-new") as watch:
        config = world("volumes-new", pvc={"retention": {"when_scaled": "Delete"}})
        apply_workload(control_plane, config)
        assert settled(watch, config, 6)

        assert renewed_by_a_round_trip(control_plane, config, watch) == [2, 3, 4, 5]
        assert claim_faults(control_plane, config, watch) == []


# --- the checks have teeth


@pytest.mark.parametrize(
    "namespace, wrong, fault",
    [
        ("tooth-class", {"storageClassName": "fast-ssd"}, "class of claim and volume: ('fast-ssd', 'fast-ssd'), not "),
        (
            "tooth-size",
            {"resources": {"requests": {"storage": "1Gi"}}},
            "size of claim and volume: ('1Gi', '1Gi'), not ",
        ),
    ],
)
def test_a_claim_of_another_class_or_size_is_noticed(
    control_plane: ControlPlane, namespace: str, wrong: Mapping[str, Any], fault: str
) -> None:
    with in_namespace(control_plane, namespace) as watch:
        config = world(namespace, replicas=1)
        manifests = copy.deepcopy(render_manifests(config, Surroundings()))
        body = next(each.body for each in manifests if each.kind == "StatefulSet")
        body["spec"]["volumeClaimTemplates"][0]["spec"].update(wrong)
        apply_manifests(control_plane.client, manifests)
        assert settled(watch, config, 1)

        (found,) = claim_faults(control_plane, config, watch)
        assert found.startswith(f"world-0: {fault}")


def test_a_volume_that_no_zone_holds_is_noticed(control_plane: ControlPlane) -> None:
    with in_namespace(control_plane, "tooth-zone") as watch:
        room = {"accessModes": ["ReadWriteOnce"], "storageClassName": "ssd", "capacity": {"storage": "10Gi"}}
        claim = {"namespace": "tooth-zone", "name": "wal-world-0"}
        spec = {**room, "claimRef": claim, "hostPath": {"path": "/lab/anywhere"}}
        metadata = {"name": "anywhere"}
        control_plane.client.create(
            {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": metadata, "spec": spec}
        )
        config = world("tooth-zone", replicas=1)
        apply_workload(control_plane, config)
        assert settled(watch, config, 1)

        (found,) = claim_faults(control_plane, config, watch)
        assert found.startswith("world-0: zone of claim and volume: ('zone-")
        assert "None" in found


def test_a_workload_without_volumes_is_noticed(control_plane: ControlPlane) -> None:
    with in_namespace(control_plane, "tooth-none") as watch:
        apply_workload(control_plane, workload("world", "tooth-none", replicas=1))
        assert watch.wait(lambda: watch.ready("world") == 1, SETTLE_SECS)

        (found,) = claim_faults(control_plane, world("tooth-none", replicas=1), watch)
        assert "has no claim" in found
