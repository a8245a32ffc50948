"""The real engines apply what we render: published to a repository, into a real API server."""

import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import NamedTuple

import pytest

from aether_deploy.lab.client import Body
from aether_deploy.lab.control_plane import ControlPlane
from aether_deploy.lab.engines.argocd import ArgoCdEngine
from aether_deploy.lab.engines.engine import Engine
from aether_deploy.lab.engines.flux import FluxEngine
from aether_deploy.lab.git_server import GitServer
from aether_deploy.lab.programs import MissingProgramsError
from aether_deploy.lab.watching import PodWatch
from tests.engine_cases import CLUSTER, ENVIRONMENT, IMAGE, NEW_IMAGE, System, description, edited, forget, without
from tests.lab_cases import boot_for_tests
from tests.real import miss

pytestmark = pytest.mark.engines

ENGINES = {"flux": FluxEngine, "argo-cd": ArgoCdEngine}
SECOND = "second"
RUNNING_SECS = 60.0
HELD_SECS = 8.0
NUMBERS = count(1)


class Lab(NamedTuple):
    """An engine beside a control plane; tests share it, each with a system of its own."""

    plane: ControlPlane
    engine: Engine


@pytest.fixture(scope="module", params=ENGINES)
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    with boot_for_tests(per_zone=1, zones=[f"{CLUSTER}{letter}" for letter in "abc"]) as plane:
        try:
            engine = ENGINES[request.param](plane)
        except MissingProgramsError as error:
            miss(str(error))
        with engine:
            engine.register(f"{ENVIRONMENT}-{CLUSTER}", f"{ENVIRONMENT}-{SECOND}")
            yield Lab(plane, engine)


@pytest.fixture
def system(lab: Lab, tmp_path: Path) -> Iterator[System]:
    """Return a system that nothing was published of yet; afterwards its namespace goes."""
    with GitServer(tmp_path) as git:
        system = System(lab.engine, lab.plane, git, tmp_path, f"system-{next(NUMBERS)}")
        yield system
        forget(lab.engine, lab.plane.client)
    if lab.plane.client.find("v1", "Namespace", system.namespace) is not None:
        lab.plane.client.delete("v1", "Namespace", system.namespace)


@pytest.fixture
def running(system: System) -> System:
    """Return a system that runs: the small one, all of its pods ready."""
    system.publish(description(system.name))
    system.bootstrap()
    system.sync()
    with system.watched() as watch:
        assert watch.wait(lambda: counts(watch) == {"world-server": 3, "gateway": 2, "matchmaking": 2}, RUNNING_SECS)
    return system


def counts(watch: PodWatch) -> dict[str, int]:
    """Return how many ready pods each workload has."""
    found: dict[str, int] = {}
    for pod in watch.pods():
        found[pod.workload] = found.get(pod.workload, 0) + pod.ready
    return found


# --- what is there


def test_everything_that_is_rendered_is_in_the_cluster_and_equal(running: System) -> None:
    assert running.drift() == []
    kinds = {each.kind for each in running.manifests}
    assert {"Namespace", "StatefulSet", "Deployment", "HorizontalPodAutoscaler", "NetworkPolicy"} <= kinds


@pytest.mark.parametrize("split", ["cluster", "workload"])
def test_components_are_applied_beside_the_workloads(system: System, split: str) -> None:
    digest = IMAGE.partition("@")[2]
    sessions = {"name": "sessions", "kind": "valkey", "image": f"valkey/valkey:9.1.2@{digest}", "maxmemory": "64Mi"}
    tools = f"registry.example.com/tools:v1@{digest}"
    given = description(system.name, tools_image=tools, components=[sessions], gitops={"split": split})
    system.publish(given)
    system.bootstrap()
    system.sync()

    assert system.drift() == []
    assert {each.namespace for each in system.manifests if each.kind == "StatefulSet"} == {
        system.namespace,
        f"{system.namespace}-data",
    }


def test_a_second_look_changes_nothing(running: System) -> None:
    before = running.written()

    running.sync()

    assert running.written() == before


def test_what_an_autoscaler_set_stays_through_later_commits_and_looks(running: System) -> None:
    assert running.worlds()["replicas"] == 3  # its minimum, which Git does not say
    running.scale(5)

    running.apply(edited(description(running.name), "world-server", env={"WORLD_TICK_HZ": "20"}))
    running.sync()

    assert running.worlds()["replicas"] == 5
    assert running.drift() == []


def test_what_somebody_edits_or_deletes_by_hand_is_healed(running: System) -> None:
    weaker = {"pod-security.kubernetes.io/enforce": "baseline"}
    edits: dict[tuple[str, str, str], Body] = {
        ("autoscaling/v2", "HorizontalPodAutoscaler", "world-server"): {"spec": {"maxReplicas": 9}},
        ("apps/v1", "Deployment", "matchmaking"): {"spec": {"replicas": 4}},
        ("v1", "Namespace", running.namespace): {"metadata": {"labels": weaker}},
    }
    for (api_version, kind, name), change in edits.items():
        running.client.patch(running.client.path_of(api_version, kind, running.namespace, name), change)
    running.client.delete("policy/v1", "PodDisruptionBudget", "gateway", running.namespace)
    assert len(running.drift()) == 4

    running.engine.sync_now()
    running.engine.wait(lambda: running.drift() == [], "everything is as it was", 60)
    running.sync()

    assert running.drift() == []


def test_a_new_image_rolls_the_pods_and_keeps_their_volumes(running: System) -> None:
    claims = running.volumes()
    before = running.pods()

    with running.watched() as watch:
        running.apply(edited(description(running.name), "world-server", image=NEW_IMAGE))
        rolled = watch.wait(lambda: ready_images(watch) == 3 * [NEW_IMAGE], 90)

    assert rolled
    after = running.pods()
    assert (after.keys(), set(after.values()) & set(before.values())) == (before.keys(), set())
    assert running.volumes() == claims
    assert {pod.image for pod in watch.pods("gateway")} == {IMAGE}


def ready_images(watch: PodWatch) -> list[str]:
    """Return the image of each world that is ready."""
    return [pod.image for pod in watch.pods("world-server") if pod.ready]


# --- what goes


def test_a_workload_that_is_removed_takes_its_own_objects_along_and_nothing_else(running: System) -> None:
    own = {f"{each.kind} {each.name}" for each in running.manifests if each.source == "services.matchmaking"}
    before = running.objects()

    running.apply(without(description(running.name), "matchmaking"))
    running.engine.wait(lambda: not own & running.objects().keys(), "the objects of matchmaking are gone", 60)

    after = running.objects()
    assert before.keys() - after.keys() == own
    assert {name: before[name] for name in after} == after


def test_a_world_that_is_removed_leaves_its_volumes(running: System) -> None:
    claims = running.volumes()
    assert len(claims) == 3

    running.apply(without(description(running.name), "world-server"))
    running.engine.wait(lambda: not running.pods(), "the worlds are gone", 60)

    assert running.volumes() == claims


def test_a_cluster_folder_that_is_renamed_or_removed_takes_nothing_along(running: System) -> None:
    zones = [{"name": zone, "zone": zone, "cluster": SECOND} for zone in running.plane.zones]
    before, pods_before = running.objects(), running.pods()
    assert any(name.startswith("PersistentVolumeClaim ") for name in before)

    running.publish(description(running.name, regions=[{"code": CLUSTER, "datacenters": zones}]))
    running.failures()
    assert running.objects() == before

    running.bootstrap()  # of the folder by its new name, as one does for Flux
    running.sync()
    assert running.objects() == before

    running.remove_clusters()
    running.push("remove all clusters")
    running.engine.sync_now()
    running.engine.wait(lambda: not applied(running), "the engine finds nothing to apply", 60)

    assert running.objects() == before
    assert running.pods() == pods_before
    assert running.client.get("v1", "Namespace", running.namespace)["status"]["phase"] == "Active"


def applied(system: System) -> list[str]:
    """Return the pieces that the engine applies without a failure."""
    states = [state for state in system.engine.status() if not state.name.startswith("GitRepository ")]
    return [str(state) for state in states if state.phase not in ("failed", "waiting")]


# --- what is broken


BROKEN: dict[str, Callable[[str], str]] = {
    "a file that does not parse": lambda text: f"{text}  - : [\n",
    "an object that the API refuses": lambda text: text.replace("port: 8080", "port: 99999"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_commit_is_reported_and_leaves_what_runs_alone_until_it_is_mended(case: str, running: System) -> None:
    before, pods_before = running.written(), running.pods()
    running.render(edited(description(running.name), "world-server", image=NEW_IMAGE))
    file = running.cluster_folder / running.namespace / "matchmaking" / "service.yaml"
    whole = file.read_text("utf-8")
    file.write_text(BROKEN[case](whole), "utf-8")
    assert file.read_text("utf-8") != whole
    running.push(case)

    failures = running.failures()

    assert failures
    assert any("service" in state.message.lower() for state in failures), failures
    assert running.written() == before
    assert running.pods() == pods_before

    file.write_text(whole, "utf-8")
    running.push("mend it")
    running.sync()
    assert running.drift() == []


def test_what_comes_first_and_fails_holds_back_what_comes_after(system: System) -> None:
    system.render(description(system.name))
    file = system.cluster_folder / "cluster" / f"namespace-{system.namespace}.yaml"
    whole = file.read_text("utf-8")
    file.write_text(whole.replace("enforce: restricted", "enforce: nonsense"), "utf-8")
    system.push("a namespace that the API refuses")
    system.bootstrap()

    failures = system.failures()

    assert failures
    assert system.client.find("v1", "Namespace", system.namespace) is None
    assert not list(system.all_objects())

    file.write_text(whole, "utf-8")
    system.push("mend it")
    system.sync()
    assert system.drift() == []


# --- what does not hold up the rest


def test_worlds_that_are_pending_do_not_stop_a_change_of_their_limits(system: System) -> None:
    huge = {"cpu_request": "500", "cpu_limit": "500", "memory_request": "1Gi", "memory_limit": "1Gi"}
    given = edited(description(system.name), "world-server", resources=huge)
    system.publish(given)
    system.bootstrap()
    system.sync()
    with system.watched() as watch:
        assert watch.wait(lambda: any(pod.waits_for for pod in watch.pods("world-server")), RUNNING_SECS)

    limits = {"min_replicas": 2, "max_replicas": 9, "scale_down_cooldown_secs": 60}
    system.apply(edited(given, "world-server", scaling=limits))

    autoscaler = system.client.get("autoscaling/v2", "HorizontalPodAutoscaler", "world-server", system.namespace)
    assert (autoscaler["spec"]["minReplicas"], autoscaler["spec"]["maxReplicas"]) == (2, 9)
    assert system.drift() == []


def test_an_adapter_that_does_not_start_holds_up_no_workload(system: System) -> None:
    system.client.apply(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "monitoring"}}, manager="test", force=True
    )
    prometheus = {"url": "http://prometheus.monitoring:9090", "namespace": "monitoring"}
    watching = {"prometheus": prometheus, "pod_monitors": False, "rules": False, "metrics_adapter": True}
    given = description(system.name, observability=watching)
    system.publish(given)
    system.bootstrap()
    system.failures()

    system.publish(edited(given, "world-server", image=NEW_IMAGE))
    system.engine.sync_now()
    system.engine.wait(lambda: system.container()["image"] == NEW_IMAGE, "the new image is there", 60)

    assert system.drift() == []
    served = system.client.get("apiregistration.k8s.io/v1", "APIService", "v1beta2.custom.metrics.k8s.io")
    assert {each["type"]: each["status"] for each in served["status"]["conditions"]} == {"Available": "False"}
    system.client.delete("apiregistration.k8s.io/v1", "APIService", "v1beta2.custom.metrics.k8s.io")


# --- in pieces of workloads


def test_a_tree_in_pieces_of_workloads_is_applied_the_same(system: System) -> None:
    given = description(system.name, gitops={"split": "workload"})
    system.publish(given)
    system.bootstrap()

    states = system.sync()

    names = " ".join(state.name for state in states)
    assert all(each in names for each in ("cluster", "world-server", "gateway", "matchmaking"))
    assert system.drift() == []

    system.apply(edited(given, "world-server", image=NEW_IMAGE))
    assert system.drift() == []


def test_in_pieces_of_workloads_one_that_is_removed_runs_on_until_somebody_deletes_it(system: System) -> None:
    given = description(system.name, gitops={"split": "workload"})
    system.publish(given)
    system.bootstrap()
    system.sync()
    before = system.objects()

    system.apply(without(given, "matchmaking"))
    system.engine.wait(lambda: "matchmaking" not in str(system.engine.status()), "its piece is gone", 60)
    time.sleep(HELD_SECS)

    assert before.items() <= system.objects().items()


# --- the way out of a refused change


def test_the_way_out_of_a_refused_change_keeps_every_pod_and_its_fields_stay_those_of_git(running: System) -> None:
    given = description(running.name)
    running.scale(5)
    with running.watched() as watch:
        assert watch.wait(lambda: watch.ready("world-server") == 5, RUNNING_SECS)
    before = running.pods()

    larger = edited(given, "world-server", pvc={"size": "2Gi"})
    running.publish(larger)
    refusals = running.failures()
    assert any("StatefulSet" in state.message for state in refusals), refusals
    assert running.pods() == before

    running.shell(running.way_out("world-server"))
    running.sync()

    assert running.pods() == before
    assert running.worlds()["replicas"] == 5
    assert running.drift() == []

    running.apply(edited(larger, "world-server", env={}))
    assert "WORLD_TICK_HZ" not in {each["name"] for each in running.container().get("env", [])}
    assert running.worlds()["replicas"] == 5


def test_the_engine_keeps_its_hands_off_what_is_held_still(running: System) -> None:
    suspend, resume = running.commands_around("world-server")
    running.shell(suspend)

    running.publish(edited(description(running.name), "world-server", image=NEW_IMAGE))
    running.engine.sync_now()
    running.engine.sync_now()
    time.sleep(HELD_SECS)
    assert running.container()["image"] == IMAGE

    running.shell(resume)
    running.sync()
    assert running.container()["image"] == NEW_IMAGE
