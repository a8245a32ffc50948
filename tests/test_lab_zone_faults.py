"""A zone is cut off, and a zone is lost, on a real control plane: what comes of every kind of workload.

Both are played once, as ``rehearse`` plays them; the tests look at what was seen. Beside the workloads that we render,
others stand with manifests that are wrong on purpose: the same expectations must fail there.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec
import pytest

from aether_deploy.fleet.config import DeploymentConfig
from aether_deploy.fleet.predictions import Outcome, after_zone_cut, after_zone_loss
from aether_deploy.lab.control_plane import ControlPlane
from aether_deploy.lab.scenarios import SCENARIOS, play
from aether_deploy.lab.stage import Stage, Verdict
from aether_deploy.lab.watching import Pod
from tests.lab_cases import boot_for_tests, workload
from tests.stage_cases import Body, Edited, stage_with

pytestmark = pytest.mark.real

CUT_ZONE = "zone-c"
LOST_ZONE = "zone-a"  # another one: after the cut, services have moved away from that
NAMESPACE = "zone-faults"
WRONG = "zone-faults-wrong"
VOLUME = {"size": "1Gi"}
STRICT = {"strict": True}
WORKLOADS: dict[str, dict[str, Any]] = {
    "world": {"pvc": VOLUME, "replicas": 6},
    "strict-world": {"pvc": VOLUME, "replicas": 6, "topology": STRICT},
    "service": {"replicas": 6},
    "strict-service": {"replicas": 6, "topology": STRICT},
}
DURABLE = ("world", "strict-world")
STATELESS = ("service", "strict-service")
FREE_CLASS = "free"


def strict_spread(**fields: Any) -> Any:
    """Return the edit that sets fields of the strict constraint of a Deployment's pods; None removes one."""

    def edit(body: Body) -> Body:
        if body["kind"] == "Deployment":
            strict, *soft = body["spec"]["template"]["spec"]["topologySpreadConstraints"]
            strict = {name: value for name, value in {**strict, **fields}.items() if value is not None}
            body["spec"]["template"]["spec"]["topologySpreadConstraints"] = [strict, *soft]
        return body

    return edit


WRONG_WORKLOADS: dict[str, tuple[dict[str, Any], Any]] = {
    "movable-world": ({"pvc": {**VOLUME, "storage_class": FREE_CLASS}, "replicas": 6}, None),
    "counts-unreachable": ({"replicas": 6, "topology": STRICT}, strict_spread(nodeTaintsPolicy=None)),
    "wants-three-zones": ({"replicas": 6, "topology": STRICT}, strict_spread(minDomains=3)),
}


class Seen(NamedTuple):
    """A workload at the moment when it was judged."""

    now: Outcome
    pods: list[Pod]
    words: tuple[str, ...]


class Played(NamedTuple):
    """One scenario.

    Attributes:
        zone: The zone that it was played on.
        verdicts: What ``rehearse`` says of each workload.
        expected: What was predicted of each.
        before: Their pods beforehand.
        seen: The workloads when they were judged.
        wrong: The verdicts on the wrong manifests, by the same expectations.
        after: The pods when the zone was back.
    """

    zone: str
    verdicts: dict[str, Verdict]
    expected: dict[str, Outcome]
    before: dict[str, list[Pod]]
    seen: dict[str, Seen]
    wrong: dict[str, Verdict]
    after: dict[str, list[Pod]]

    def is_there(self, pod: Pod) -> bool:
        """Return whether a pod is bound to a node of the zone."""
        return pod.node is not None and pod.node.startswith(self.zone)

    def lost(self, name: str) -> dict[str, str]:
        """Return the pods that a workload had in the zone: uid by name."""
        return {pod.name: pod.uid for pod in self.before[name] if self.is_there(pod)}

    def newcomers(self, name: str) -> list[Pod]:
        """Return the pods that had come by the time of the verdict."""
        known = {pod.uid for pod in self.before[name]}
        return [pod for pod in self.seen[name].pods if pod.uid not in known]


class WatchedStage(Stage):
    """A stage that keeps what it judged, and calls ``first`` before."""

    seen: dict[str, Seen]
    first: Callable[[], None]

    def judge(
        self, scenario: str, workload: str, expected: Outcome, since: float, *, settled: bool, promise: str = ""
    ) -> Verdict:
        if not self.seen:
            self.first()
        pods = self.watch.pods(workload)
        self.seen[workload] = Seen(self.now(workload), pods, self.words(workload))
        return super().judge(scenario, workload, expected, since, settled=settled, promise=promise)


@pytest.fixture(scope="module")
def plane() -> Iterator[ControlPlane]:
    with boot_for_tests(per_zone=2) as plane:
        plane.client.create(
            {
                "apiVersion": "storage.k8s.io/v1",
                "kind": "StorageClass",
                "metadata": {"name": FREE_CLASS},
                "provisioner": "kubernetes.io/no-provisioner",
                "volumeBindingMode": "Immediate",
            }
        )
        for number in range(6):
            plane.client.create(volume_of_no_zone(f"free-{number}"))
        yield plane


def volume_of_no_zone(name: str) -> Body:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "capacity": {"storage": "1Gi"},
            "storageClassName": FREE_CLASS,
            "hostPath": {"path": f"/{name}"},
        },
    }


@pytest.fixture(scope="module")
def stages(plane: ControlPlane) -> Iterator[tuple[WatchedStage, Stage]]:
    ours: list[Edited] = [(workload(name, NAMESPACE, **each),) for name, each in WORKLOADS.items()]
    wrong: list[Edited] = [
        (workload(name, WRONG, **each), *([edit] if edit else [])) for name, (each, edit) in WRONG_WORKLOADS.items()
    ]
    with stage_with(plane, NAMESPACE, ours, make=WatchedStage) as stage, stage_with(plane, WRONG, wrong) as other:
        assert isinstance(stage, WatchedStage)
        yield stage, other


Predict = Callable[[DeploymentConfig, Mapping[str, int], str], Outcome]


def played(stages: tuple[WatchedStage, Stage], scenario: str, zone: str, predict: Predict) -> Played:
    """Play a scenario on a zone, and judge the wrong manifests by the same prediction while the zone is away."""
    stage, other = stages
    expected, expected_of_wrong = (
        {name: predict(config, each.placed(name), zone) for name, config in each.workloads.items()}
        for each in (stage, other)
    )
    before = {name: stage.watch.pods(name) for name in stage.workloads}
    wrong: dict[str, Verdict] = {}
    begun = time.monotonic()

    def judge_wrong() -> None:
        other.watch.wait(lambda: all(_has_settled(pod) for pod in other.watch.pods()), 90)
        wrong.update(
            {name: other.judge(scenario, name, each, begun, settled=True) for name, each in expected_of_wrong.items()}
        )

    stage.seen, stage.first = {}, judge_wrong
    verdicts = {verdict.subject: verdict for verdict in play(stage, SCENARIOS[scenario], zone)}
    after = {name: stage.watch.pods(name) for name in stage.workloads}
    assert other.settle({name: Outcome(ready=config.replicas) for name, config in other.workloads.items()})
    return Played(zone, verdicts, expected, before, stage.seen, wrong, after)


def _has_settled(pod: Pod) -> bool:
    return pod.ready or pod.terminating or pod.waits_for is not None


@pytest.fixture(scope="module")
def cut(stages: tuple[WatchedStage, Stage]) -> Played:
    return played(stages, "zone-cut", CUT_ZONE, after_zone_cut)


@pytest.fixture(scope="module")
def loss(stages: tuple[WatchedStage, Stage], cut: Played) -> Played:
    return played(stages, "zone-loss", LOST_ZONE, after_zone_loss)


every_workload = pytest.mark.parametrize("name", WORKLOADS)
every_world = pytest.mark.parametrize("name", DURABLE)
every_service = pytest.mark.parametrize("name", STATELESS)


# --- a cut


@every_workload
def test_a_cut_goes_as_predicted(cut: Played, name: str) -> None:
    assert cut.seen[name].now == msgspec.structs.replace(cut.expected[name], fewest=0)
    assert cut.verdicts[name].holds, cut.verdicts[name]


@every_world
def test_worlds_of_a_cut_zone_stay_terminating_and_no_ordinal_runs_twice(cut: Played, name: str) -> None:
    terminating = {pod.name: pod.uid for pod in cut.seen[name].pods if pod.terminating}

    assert terminating == cut.lost(name) != {}
    assert cut.newcomers(name) == []


@every_service
def test_services_of_a_cut_zone_run_elsewhere(cut: Played, name: str) -> None:
    newcomers = cut.newcomers(name)

    assert len(newcomers) == len(cut.lost(name)) > 0
    assert all(pod.ready and not cut.is_there(pod) for pod in newcomers)


@every_workload
def test_a_zone_that_answers_again_gives_all_pods_back(cut: Played, name: str) -> None:
    assert [pod.ready for pod in cut.after[name]] == [True] * 6


def test_strict_spread_that_counts_unreachable_zones_is_seen(cut: Played) -> None:
    failed = {name for name, verdict in cut.wrong.items() if not verdict.holds}

    assert failed == {"counts-unreachable", "wants-three-zones"}


# --- a loss


@every_workload
def test_a_loss_goes_as_predicted(loss: Played, name: str) -> None:
    assert loss.seen[name].now == msgspec.structs.replace(loss.expected[name], fewest=0)
    assert loss.verdicts[name].holds, loss.verdicts[name]


@every_world
def test_worlds_of_a_lost_zone_wait_for_it_and_the_scheduler_says_so(loss: Played, name: str) -> None:
    waiting = {pod.name: pod for pod in loss.seen[name].pods if pod.node is None}

    assert waiting.keys() == loss.lost(name).keys() != set()
    assert all(pod.waits_for and "0/4 nodes are available" in pod.waits_for for pod in waiting.values()), waiting
    assert loss.verdicts[name].details == loss.seen[name].words
    assert any(f"scheduler: {pod.waits_for}" in loss.seen[name].words for pod in waiting.values())


@every_world
def test_worlds_go_back_to_their_volumes_when_the_zone_returns(loss: Played, name: str) -> None:
    assert {pod.name for pod in loss.after[name] if loss.is_there(pod)} == loss.lost(name).keys()
    assert [pod.ready for pod in loss.after[name]] == [True] * 6


@every_service
def test_services_of_a_lost_zone_run_elsewhere(loss: Played, name: str) -> None:
    assert loss.lost(name)
    assert [pod.ready and not loss.is_there(pod) for pod in loss.seen[name].pods] == [True] * 6


def test_volumes_of_no_zone_and_a_least_number_of_zones_are_seen(loss: Played) -> None:
    failed = {name for name, verdict in loss.wrong.items() if not verdict.holds}

    assert failed == {"movable-world", "wants-three-zones"}


# --- the only zone


def test_where_the_only_zone_is_cut_no_pod_is_told_to_end() -> None:
    workloads: list[Edited] = [
        (workload("world", "one-zone", replicas=2, pvc=VOLUME),),
        (workload("service", "one-zone", replicas=2),),
    ]
    with boot_for_tests(per_zone=1, zones=["zone-a"]) as lone, stage_with(lone, "one-zone", workloads) as stage:
        verdicts = play(stage, SCENARIOS["zone-cut"], "zone-a")

        assert [(verdict.subject, verdict.text.partition(", fewer")[0], verdict.holds) for verdict in verdicts] == [
            ("world", "0 ready", True),
            ("service", "0 ready", True),
        ]
        assert all(verdict.fewest == 0 and verdict.secs_below for verdict in verdicts)
