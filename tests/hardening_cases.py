"""Workloads of every shape, rendered, and ways to look at them: for the claims about hardening."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from aether_deploy import (
    ConfigFile,
    ContainerConfig,
    CustomMetric,
    DeploymentConfig,
    ExposeConfig,
    MountConfig,
    PortConfig,
    Probe,
    ProbeConfig,
    PvcConfig,
    ScalingConfig,
    SecretFile,
    Surroundings,
    VolumeConfig,
)
from aether_deploy.fleet.bundle import render_manifests
from tests.rule_case import IMAGE

Body = dict[str, Any]
Objects = dict[tuple[str, str], Body]

PVC = PvcConfig(size="10Gi")
SIDECAR = ContainerConfig(
    name="shipper", image=IMAGE, env={"A": "1"}, mounts=(MountConfig(volume="wal", path="/wal", read_only=True),)
)
CONFIGS = {
    "a world": DeploymentConfig(name="world", namespace="aether-prod", image=IMAGE, pvc=PVC),
    "a service": DeploymentConfig(name="gateway", namespace="aether-prod", image=IMAGE, env={"A": "1", "B": "2"}),
    "a service that scales": DeploymentConfig(
        name="gateway",
        namespace="aether-prod",
        image=IMAGE,
        scaling=ScalingConfig(min_replicas=3),
        custom_metrics=(CustomMetric(name="players"),),
    ),
    "a world with company": DeploymentConfig(
        name="world",
        namespace="aether-prod",
        image=IMAGE,
        pvc=PVC,
        uses=("gateway", "voice-relay"),
        sidecars=(SIDECAR, ContainerConfig(name="proxy", image=IMAGE)),
        init_containers=(ContainerConfig(name="fetch", image=IMAGE, command=("fetch",)),),
        config_files=(ConfigFile(name="world.toml", path="/etc/world.toml", text="tick = 30"),),
        secret_files=(SecretFile(name="key", secret="world-signing", path="/run/secrets/key"),),
        volumes=(
            VolumeConfig(name="cache", path="/cache", size="1Gi"),
            VolumeConfig(name="scratch", path="/scratch", type="memory", size="64Mi"),
            VolumeConfig(name="assets", path="/assets", type="claim", claim="assets", read_only=True),
        ),
    ),
    "a world that is exposed": DeploymentConfig(
        name="world",
        namespace="aether-prod",
        image=IMAGE,
        pvc=PVC,
        ports=(PortConfig(name="http", port=8080), PortConfig(name="game", port=7777, protocol="UDP")),
        expose=ExposeConfig(ports=("game",), per_pod=True, external_traffic_policy="Local"),
    ),
    "a service that is asked elsewhere": DeploymentConfig(
        name="gateway",
        namespace="aether-prod",
        image=IMAGE,
        expose=ExposeConfig(ports=("http",)),
        probes=ProbeConfig(
            liveness=Probe(type="tcp", port=9000), readiness=Probe(path="/readyz", port=9001), startup=None
        ),
    ),
}


def rendered(config: DeploymentConfig) -> Objects:
    return {(m.kind, m.name): m.body for m in render_manifests(config, Surroundings())}


OBJECTS = {name: rendered(config) for name, config in CONFIGS.items()}


def workload_of(objects: Objects) -> Body:
    (body,) = (body for (kind, _), body in objects.items() if kind in ("StatefulSet", "Deployment"))
    return body


def pod_of(objects: Objects) -> Body:
    found: Body = workload_of(objects)["spec"]["template"]["spec"]
    return found


def containers_of(objects: Objects) -> list[Body]:
    """Return every container: sidecars and init containers too."""
    pod = pod_of(objects)
    return [*pod.get("initContainers", ()), *pod["containers"]]


def labels_of(objects: Objects) -> dict[str, str]:
    found: dict[str, str] = workload_of(objects)["spec"]["template"]["metadata"]["labels"]
    return found


def of_kind(objects: Objects, kind: str) -> list[Body]:
    return [body for (each, _), body in objects.items() if each == kind]


def keys_of(value: Any) -> Iterator[str]:
    """Return every key at every depth."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield key
            yield from keys_of(each)
    elif isinstance(value, list):
        for each in value:
            yield from keys_of(each)


def every_workload(check: Callable[[Objects], None]) -> Any:
    return pytest.mark.parametrize("objects", OBJECTS.values(), ids=OBJECTS)(check)
