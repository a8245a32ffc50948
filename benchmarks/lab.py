"""The control plane of rehearsals: its boot and memory, and the time that many world pods take to run on it."""

import subprocess
import time

from aether_deploy.fleet.bundle import render_manifests
from aether_deploy.fleet.config import DeploymentConfig
from aether_deploy.lab.applying import apply_manifests
from aether_deploy.lab.control_plane import ControlPlane
from aether_deploy.lab.nodes import fake_nodes
from aether_deploy.lab.programs import NEWEST, MissingProgramsError
from aether_deploy.lab.watching import PodWatch
from aether_deploy.pods.storage import PvcConfig
from aether_deploy.pods.surroundings import Surroundings

NAMESPACE = "bench"
WITHIN_SECS = 900
ZONES = ("us-east-1a", "us-east-1b", "us-east-1c")


def measure(pods: tuple[int, ...] = (100, 1000)) -> dict[str, float]:
    """Return the figures, or none where programs of the control plane are missing."""
    try:
        plane = ControlPlane(NEWEST, nodes=fake_nodes(ZONES, per_zone=4, cpu="1000", memory="4Ti"))
    except MissingProgramsError as error:
        print(f"no figures of the control plane: {error}")
        return {}
    with plane:
        found = {"control plane, boot, s": plane.boot_secs}
        found |= {f"control plane, memory of {name}, MB": size for name, size in _memory(plane).items()}
        plane.client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        account = ("v1", "ServiceAccount", "default", NAMESPACE)
        plane.wait_for(lambda: plane.client.find(*account) is not None, "the service account is made")
        with PodWatch(plane.client, NAMESPACE, plane.check) as watch:
            for count in pods:
                found[f"control plane, {count} world pods applied and ready, s"] = _settle(plane, watch, count)
        found["control plane, memory with these pods, MB"] = _memory(plane)["all programs"]
        begun = time.perf_counter()
    found["control plane, end, s"] = time.perf_counter() - begun
    return found


def _settle(plane: ControlPlane, watch: PodWatch, pods: int) -> float:
    config = DeploymentConfig(
        name=f"world-{pods}",
        namespace=NAMESPACE,
        image="aether/world-server:v1.2.0",
        replicas=pods,
        pvc=PvcConfig(size="1Gi"),
        scaling=None,
    )
    begun = time.perf_counter()
    applied = apply_manifests(plane.client, render_manifests(config, Surroundings()))
    assert all(each.sound for each in applied), [fault for each in applied for fault in each.faults()]
    if not watch.wait(lambda: watch.ready(config.name) == pods, WITHIN_SECS):
        raise AssertionError(f"{watch.ready(config.name)} of {pods} pods are ready after {WITHIN_SECS} s")
    return time.perf_counter() - begun


def _memory(plane: ControlPlane) -> dict[str, float]:
    """Return the resident memory of each program, and of all, MB."""
    found = {"all programs": 0.0}
    for name, pid in plane.pids.items():
        program = "kwok" if name == "volumes" or name.startswith("kubelets") else name
        size = _resident_mb(pid)
        found["all programs"] += size
        found[program] = found.get(program, 0.0) + size
    return found


def _resident_mb(pid: int) -> float:
    done = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=True)
    return int(done.stdout) * 1024 / 1e6
