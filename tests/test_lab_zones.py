"""Where the scheduler puts pods: evenly in strict mode, always somewhere in the other, and near whom they prefer."""

import contextlib
import copy
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest

from aether_deploy import DeploymentConfig, Surroundings
from aether_deploy.fleet.bundle import render_manifests
from aether_deploy.lab.applying import apply_manifests
from aether_deploy.lab.control_plane import ControlPlane
from aether_deploy.lab.nodes import ZONE
from aether_deploy.lab.scenarios import ROLL
from aether_deploy.lab.stage import skew_of
from aether_deploy.lab.watching import PodWatch
from tests.lab_cases import apply_workload, in_namespace, workload

pytestmark = pytest.mark.real

COUNTS = (2, 3, 7, 12)
KINDS: Mapping[str, dict[str, Any]] = {"statefulset": {"pvc": {"size": "1Gi"}}, "deployment": {}}
STRICT = {"strict": True}
ROLLED = {"topology": STRICT, "update": {"max_surge": 3}}
SECS = 90.0
GONE_SECS = 120.0  # a namespace takes its time to vanish
HALF_A_NODE = {"cpu_request": "33", "cpu_limit": "33"}  # so that one fits on each node, of 64

Record = Callable[[str, object], None]


# --- the checks


def zone_counts(plane: ControlPlane, watch: PodWatch, name: str) -> dict[str, int]:
    """Return how many pods of a workload each zone has, one without any too."""
    zones = {node.name: node.zone for node in plane.nodes}
    counts = Counter(zones[pod.node] for pod in watch.pods(name) if pod.node is not None and not pod.terminating)
    return {zone: counts[zone] for zone in plane.zones}


def ready_faults(watch: PodWatch, config: DeploymentConfig) -> list[str]:
    """Return what is wrong where not all pods of a workload come to be ready, in the scheduler's words."""
    if watch.wait(lambda: watch.ready(config.name) == config.replicas == len(watch.pods(config.name)), SECS):
        return []
    waits = {pod.waits_for for pod in watch.pods(config.name) if pod.waits_for}
    return [f"{config.name}: {watch.ready(config.name)} of {config.replicas} pods are ready", *sorted(waits)]


def skew_faults(plane: ControlPlane, watch: PodWatch, config: DeploymentConfig) -> list[str]:
    """Return what is wrong where zones differ by more than one pod once all are ready."""
    faults = ready_faults(watch, config)
    counts = zone_counts(plane, watch, config.name)
    return faults if skew_of(counts.values()) <= 1 else [*faults, f"{config.name}: {counts}"]


def apply_changed(plane: ControlPlane, config: DeploymentConfig, change: Callable[[dict[str, Any]], None]) -> None:
    """Apply a workload whose pods' spec somebody made wrong."""
    manifests = copy.deepcopy(render_manifests(config, Surroundings()))
    change(next(each.body for each in manifests if each.kind == config.target_kind)["spec"]["template"]["spec"])
    applied = apply_manifests(plane.client, manifests)
    assert [fault for each in applied for fault in each.faults()] == []


@contextlib.contextmanager
def in_own_namespace(plane: ControlPlane, namespace: str, *, alone: bool = True) -> Iterator[PodWatch]:
    """Give a test a namespace, and all room that the nodes have if it is to be ``alone``; leave no pods behind."""
    with in_namespace(plane, namespace) as watch:
        if alone:
            plane.wait_for(lambda: not plane.client.list("v1", "Pod"), "the pods of other tests are gone", GONE_SECS)
        try:
            yield watch
        finally:
            # A namespace keeps its pods for five seconds after it was deleted; what owns them does not.
            for kind in ("Deployment", "StatefulSet"):
                path = plane.client.path_of("apps/v1", kind, namespace)
                plane.client.request("DELETE", path, {"propagationPolicy": "Background"})
            watch.wait(lambda: not watch.pods(), GONE_SECS)


def fill(plane: ControlPlane, watch: PodWatch, namespace: str, zone: str) -> None:
    """Take more than half of every node of a zone away."""
    blocker = workload(
        "blocker", namespace, replicas=len(plane.nodes_in(zone)), resources=HALF_A_NODE, node_selector={ZONE: zone}
    )
    apply_workload(plane, blocker)
    assert ready_faults(watch, blocker) == []


# --- strict spread


@pytest.mark.parametrize("kind", KINDS)
def test_strict_zones_differ_by_one_pod_at_most_for_every_count(control_plane: ControlPlane, kind: str) -> None:
    namespace = f"strict-{kind}"
    with in_own_namespace(control_plane, namespace, alone=False) as watch:
        worlds = [
            workload(f"world-{count}", namespace, replicas=count, topology=STRICT, **KINDS[kind]) for count in COUNTS
        ]
        for config in worlds:
            apply_workload(control_plane, config)

        assert [fault for config in worlds for fault in skew_faults(control_plane, watch, config)] == []


def test_strict_zones_differ_by_one_pod_at_most_after_a_rollout_too(control_plane: ControlPlane) -> None:
    with in_own_namespace(control_plane, "strict-rollout", alone=False) as watch:
        services = [workload(f"game-{count}", "strict-rollout", replicas=count, **ROLLED) for count in COUNTS]
        for config in services:
            apply_workload(control_plane, config)
        assert [fault for config in services for fault in ready_faults(watch, config)] == []
        roll_all(control_plane, watch, services)

        assert [fault for config in services for fault in skew_faults(control_plane, watch, config)] == []


def roll_all(plane: ControlPlane, watch: PodWatch, services: Sequence[DeploymentConfig]) -> None:
    """Replace all pods of Deployments, as a new version does."""
    before = {pod.uid for pod in watch.pods()}
    template = {"metadata": {"annotations": {ROLL: str(time.time())}}}
    for config in services:
        path = plane.client.path_of("apps/v1", "Deployment", config.namespace, config.name)
        plane.client.patch(path, {"spec": {"template": template}})

    def replaced() -> bool:
        pods = watch.pods()
        wanted = sum(config.replicas for config in services)
        return len(pods) == wanted and all(pod.ready and pod.uid not in before for pod in pods)

    assert watch.wait(replaced, SECS)


def test_strict_pods_wait_for_room_in_their_zone_rather_than_unbalance_the_others(control_plane: ControlPlane) -> None:
    with in_own_namespace(control_plane, "strict-full") as watch:
        fill(control_plane, watch, "strict-full", "zone-a")
        config = workload("world", "strict-full", replicas=4, topology=STRICT, resources=HALF_A_NODE)
        apply_workload(control_plane, config)
        watch.wait(lambda: watch.ready("world") == 2 and any(pod.waits_for for pod in watch.pods("world")), SECS)

        assert zone_counts(control_plane, watch, "world") == {"zone-a": 0, "zone-b": 1, "zone-c": 1}
        waits = {pod.waits_for or "" for pod in watch.pods("world") if pod.waits_for}
        assert len(waits) == 1
        assert "didn't match pod topology spread constraints" in waits.pop()


# --- soft spread


@pytest.mark.parametrize("kind", KINDS)
def test_soft_pods_always_schedule_and_the_skew_is_told(
    control_plane: ControlPlane, kind: str, record_property: Record
) -> None:
    namespace = f"soft-{kind}"
    with in_own_namespace(control_plane, namespace, alone=False) as watch:
        worlds = [workload(f"world-{count}", namespace, replicas=count, **KINDS[kind]) for count in COUNTS]
        for config in worlds:
            apply_workload(control_plane, config)

        assert [fault for config in worlds for fault in ready_faults(watch, config)] == []
        for config in worlds:
            tell(record_property, f"{kind} of {config.replicas}", zone_counts(control_plane, watch, config.name))


def test_soft_pods_schedule_on_small_nodes_with_a_zone_that_is_full(
    control_plane: ControlPlane, record_property: Record
) -> None:
    with in_own_namespace(control_plane, "soft-full") as watch:
        fill(control_plane, watch, "soft-full", "zone-a")
        config = workload("world", "soft-full", replicas=6, resources=HALF_A_NODE)
        apply_workload(control_plane, config)

        assert ready_faults(watch, config) == []
        counts = zone_counts(control_plane, watch, "world")
        assert counts == {"zone-a": 0, "zone-b": 3, "zone-c": 3}
        tell(record_property, "6 that fill what is left", counts)


def tell(record_property: Record, what: str, counts: Mapping[str, int]) -> None:
    """Report an observed placement, in the test's report and with ``-rP``."""
    text = f"skew {skew_of(counts.values())} ({', '.join(f'{zone} {count}' for zone, count in counts.items())})"
    record_property(what, text)
    print(f"{what}: {text}")


# --- co-location


def relay(namespace: str) -> DeploymentConfig:
    """Return a voice-relay that sits in zone-a and makes its nodes the least attractive ones."""
    return workload(
        "voice-relay",
        namespace,
        replicas=3,
        node_selector={ZONE: "zone-a"},
        resources={"cpu_request": "16", "cpu_limit": "16"},
    )


def near_relay(namespace: str, **settings: Any) -> DeploymentConfig:
    near = [{"service": "voice-relay", "weight": 80}]
    return workload("world", namespace, pvc={"size": "1Gi"}, topology={"preferred_colocation": near}, **settings)


def attraction_faults(plane: ControlPlane, watch: PodWatch, config: DeploymentConfig) -> list[str]:
    """Return what is wrong where the pods of a workload are not all in the zone of voice-relay."""
    faults = ready_faults(watch, config)
    counts = zone_counts(plane, watch, config.name)
    return faults if counts == {"zone-a": config.replicas, "zone-b": 0, "zone-c": 0} else [*faults, str(counts)]


def test_a_world_prefers_the_zone_of_its_neighbour_to_emptier_nodes(control_plane: ControlPlane) -> None:
    with in_own_namespace(control_plane, "near") as watch:
        apply_workload(control_plane, relay("near"))
        assert ready_faults(watch, relay("near")) == []
        config = near_relay("near", replicas=1)
        apply_workload(control_plane, config)

        assert attraction_faults(control_plane, watch, config) == []


def test_a_world_of_many_pods_is_near_its_neighbour_and_all_are_scheduled(
    control_plane: ControlPlane, record_property: Record
) -> None:
    with in_own_namespace(control_plane, "near-many") as watch:
        apply_workload(control_plane, relay("near-many"))
        config = near_relay("near-many", replicas=6)
        apply_workload(control_plane, config)

        assert ready_faults(watch, config) == []
        tell(record_property, "6 near a relay in zone-a", zone_counts(control_plane, watch, "world"))


def test_a_neighbour_that_does_not_exist_blocks_nothing(control_plane: ControlPlane) -> None:
    with in_own_namespace(control_plane, "near-nobody") as watch:
        config = near_relay("near-nobody", replicas=6)
        apply_workload(control_plane, config)

        assert ready_faults(watch, config) == []


def test_a_neighbour_whose_zone_is_full_blocks_nothing(control_plane: ControlPlane) -> None:
    with in_own_namespace(control_plane, "near-full") as watch:
        fill(control_plane, watch, "near-full", "zone-a")
        apply_workload(control_plane, relay("near-full"))
        assert ready_faults(watch, relay("near-full")) == []
        config = near_relay("near-full", replicas=2, resources=HALF_A_NODE)
        apply_workload(control_plane, config)

        assert ready_faults(watch, config) == []
        assert zone_counts(control_plane, watch, "world")["zone-a"] == 0


# --- the checks have teeth


def test_a_spread_of_the_wrong_pods_is_noticed(control_plane: ControlPlane) -> None:
    """Somebody selects another workload's pods and drops what else keeps them apart: they go where room is."""
    with in_own_namespace(control_plane, "tooth-selector") as watch:
        fill(control_plane, watch, "tooth-selector", "zone-a")
        fill_more(control_plane, watch, "tooth-selector")
        config = workload("world", "tooth-selector", replicas=6, topology=STRICT)

        def wrong_selector(spec: dict[str, Any]) -> None:
            del spec["affinity"]
            for each in spec["topologySpreadConstraints"]:
                each["labelSelector"] = {"matchLabels": {"app.kubernetes.io/instance": "wrold"}}

        apply_changed(control_plane, config, wrong_selector)

        assert skew_faults(control_plane, watch, config) == ["world: {'zone-a': 0, 'zone-b': 0, 'zone-c': 6}"]


def fill_more(plane: ControlPlane, watch: PodWatch, namespace: str) -> None:
    """Make the nodes of zone-b less attractive too."""
    blocker = workload("second", namespace, replicas=3, resources=HALF_A_NODE, node_selector={ZONE: "zone-b"})
    apply_workload(plane, blocker)
    assert ready_faults(watch, blocker) == []


def test_a_soft_spread_that_unbalances_full_zones_is_noticed(control_plane: ControlPlane) -> None:
    with in_own_namespace(control_plane, "tooth-soft") as watch:
        fill(control_plane, watch, "tooth-soft", "zone-a")
        config = workload("world", "tooth-soft", replicas=4, resources=HALF_A_NODE)
        apply_workload(control_plane, config)

        assert skew_faults(control_plane, watch, config) == ["world: {'zone-a': 0, 'zone-b': 2, 'zone-c': 2}"]


def test_a_neighbour_sought_in_the_wrong_namespace_is_noticed(control_plane: ControlPlane) -> None:
    with in_own_namespace(control_plane, "tooth-near") as watch:
        apply_workload(control_plane, relay("tooth-near"))
        assert ready_faults(watch, relay("tooth-near")) == []
        config = near_relay("tooth-near", replicas=1)

        def elsewhere(spec: dict[str, Any]) -> None:
            for each in spec["affinity"]["podAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]:
                each["podAffinityTerm"]["namespaces"] = ["elsewhere"]

        apply_changed(control_plane, config, elsewhere)

        assert attraction_faults(control_plane, watch, config) != []


def test_a_required_neighbour_that_blocks_is_noticed(
    control_plane: ControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    with in_own_namespace(control_plane, "tooth-required") as watch:
        config = near_relay("tooth-required", replicas=1)

        def required(spec: dict[str, Any]) -> None:
            near = spec["affinity"]["podAffinity"].pop("preferredDuringSchedulingIgnoredDuringExecution")
            terms = [each["podAffinityTerm"] for each in near]
            spec["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"] = terms

        apply_changed(control_plane, config, required)
        assert watch.wait(lambda: any(pod.waits_for for pod in watch.pods("world")), SECS)
        monkeypatch.setattr("tests.test_lab_zones.SECS", 3.0)
        count, words = ready_faults(watch, config)

        assert count == "world: 0 of 1 pods are ready"
        assert "didn't match pod affinity rules" in words
