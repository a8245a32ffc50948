"""Evictions, drains and rollouts on a real control plane: how many pods are missing, in which order, until when.

Each check is a function that the proof calls with what we render, and its tooth with a manifest made wrong.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from threading import Barrier
from typing import Any, NamedTuple, TypeVar, cast

import pytest

from aether_deploy.delivery.loading import read_description
from aether_deploy.fleet.config import DeploymentConfig
from aether_deploy.fleet.predictions import Rollout, rollout_of
from aether_deploy.gitops.render import render_clusters
from aether_deploy.lab import scenarios
from aether_deploy.lab.control_plane import ControlPlane
from aether_deploy.lab.nodes import BROKEN_IMAGE, STOP_AFTER
from aether_deploy.lab.scenarios import ROLL, SCENARIOS, play
from aether_deploy.lab.stage import QUIET_SECS, Stage, Verdict
from tests.lab_cases import in_namespace, workload
from tests.rule_case import IMAGE
from tests.stage_cases import (
    ACCEPTED,
    Body,
    Edit,
    Edited,
    apply_edited,
    evict,
    pods_take,
    side_by_side,
    spec_with,
    stage_with,
    wait_for_budget,
    without,
)

Claim = TypeVar("Claim", bound=Callable[..., None])
VOLUME = {"size": "1Gi"}
REFUSED = 429
FAILED = 500
SECS = 90.0
SETUP_SECS = 300.0
ALL_MUST_STAY = spec_with("PodDisruptionBudget", maxUnavailable=None, minAvailable="100%")
NO_BUDGET = without("PodDisruptionBudget")


def judged(test: Claim) -> Claim:
    """Mark a test that the shared control plane judges."""
    return cast(Claim, pytest.mark.real(test))


# --- evictions

EVICTED = "eviction"
LOADING = ("loading", "loading-blocked")


def world(name: str, namespace: str, **settings: Any) -> DeploymentConfig:
    return workload(name, namespace, pvc=VOLUME, **settings)


@pytest.fixture(scope="module")
def evicted(control_plane: ControlPlane) -> Iterator[Stage]:
    """Three pods of each kind of budget; those of the loading worlds run and never become ready."""
    slow = pods_take(ready_after="3s", stop_after="1s")
    never = pods_take(ready_after="1h")
    workloads: list[Edited] = [
        (world("ours", EVICTED, replicas=3), slow),
        (world("all-must-stay", EVICTED, replicas=3), slow, ALL_MUST_STAY),
        (world("no-budget", EVICTED, replicas=3), slow, NO_BUDGET),
        (world("two-budgets", EVICTED, replicas=3), slow),
    ]
    with stage_with(control_plane, EVICTED, workloads) as stage:
        second = {"maxUnavailable": 1, "selector": {"matchLabels": {"app.kubernetes.io/instance": "two-budgets"}}}
        budget = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "spec": second}
        control_plane.client.create({**budget, "metadata": {"name": "second", "namespace": EVICTED}})
        apply_edited(control_plane, world("loading", EVICTED, replicas=3), never)
        blocked = spec_with("PodDisruptionBudget", unhealthyPodEvictionPolicy="IfHealthyBudget")
        apply_edited(control_plane, world("loading-blocked", EVICTED, replicas=3), never, blocked)
        for name in ("ours", "all-must-stay", "two-budgets", "second"):
            wait_for_budget(control_plane, EVICTED, name, healthy=3)
        for name in LOADING:
            assert stage.watch.wait(lambda name=name: running(stage, name) == 3, SECS)  # type: ignore[misc]
            wait_for_budget(control_plane, EVICTED, name, healthy=0)
        yield stage


def running(stage: Stage, name: str) -> int:
    """Return how many pods of a workload run, ready or not."""
    pods = stage.lab.client.list("v1", "Pod", stage.namespace, labels=f"app.kubernetes.io/instance={name}")
    return sum(pod["status"].get("phase") == "Running" for pod in pods)


def evict_in_a_row(stage: Stage, name: str) -> list[int]:
    """Ask for the eviction of every pod of a workload without a pause and return the statuses."""
    return [evict(stage.lab, stage.namespace, pod.name) for pod in stage.watch.pods(name)]


@judged
def test_while_a_pod_is_away_no_other_may_be_evicted(evicted: Stage) -> None:
    path = evicted.lab.client.path_of("v1", "Pod", EVICTED, "ours-0")
    evicted.lab.client.patch(path, {"metadata": {"annotations": {STOP_AFTER: "1h"}}})  # away until it is let go

    assert evict_in_a_row(evicted, "ours") == [ACCEPTED, REFUSED, REFUSED]
    assert evicted.watch.wait(lambda: evicted.now("ours").ready == 2, SECS)
    assert evict(evicted.lab, EVICTED, "ours-1") == REFUSED
    evicted.lab.client.request("DELETE", path, {"gracePeriodSeconds": 0})
    assert evicted.watch.wait(lambda: evicted.now("ours").ready == 3, SECS)

    # The budget's controller sees the pod a moment later than we do.
    assert evicted.watch.wait(lambda: evict(evicted.lab, EVICTED, "ours-1") == ACCEPTED, SECS)


@judged
@pytest.mark.parametrize(
    "name, statuses",
    {
        "no-budget": [ACCEPTED, ACCEPTED, ACCEPTED],
        "all-must-stay": [REFUSED, REFUSED, REFUSED],
        "two-budgets": [FAILED, FAILED, FAILED],
    }.items(),
)
def test_a_wrong_budget_lets_all_go_or_none(evicted: Stage, name: str, statuses: list[int]) -> None:
    assert evict_in_a_row(evicted, name) == statuses


@judged
def test_worlds_that_never_become_ready_do_not_block_a_drain(evicted: Stage) -> None:
    assert evict_in_a_row(evicted, "loading") == [ACCEPTED, ACCEPTED, ACCEPTED]
    assert evict_in_a_row(evicted, "loading-blocked") == [REFUSED, REFUSED, REFUSED]


def budgets_of_pods(manifests: list[Body]) -> dict[str, list[str]]:
    """Return for each workload the budgets whose selector matches its pods."""
    budgets = [body for body in manifests if body["kind"] == "PodDisruptionBudget"]
    return {
        body["metadata"]["name"]: [
            budget["metadata"]["name"]
            for budget in budgets
            if budget["metadata"]["namespace"] == body["metadata"]["namespace"]
            and budget["spec"]["selector"]["matchLabels"].items()
            <= body["spec"]["template"]["metadata"]["labels"].items()
        ]
        for body in manifests
        if body["kind"] in ("StatefulSet", "Deployment")
    }


def bodies_of(example: str) -> list[list[Body]]:
    """Return the objects of each cluster of each environment of an example."""
    description = read_description([f"examples/{example}/aether.yaml"], [])
    judgement = description.evaluate(description.document.environments())
    clusters = render_clusters(judgement.platforms, judgement.files)
    return [[manifest.body for manifest in rendered.cluster.manifests] for rendered in clusters]


@pytest.mark.parametrize("example", ["one-region", "two-regions"])
def test_each_pod_has_exactly_one_budget(example: str) -> None:
    for bodies in bodies_of(example):
        found = budgets_of_pods(bodies)

        assert found
        assert found == {name: [name] for name in found}


def test_a_budget_for_all_pods_would_be_seen() -> None:
    bodies = bodies_of("one-region")[0]
    (namespace,) = (body["metadata"]["name"] for body in bodies if body["kind"] == "Namespace")
    wide = {"matchLabels": {"app.kubernetes.io/managed-by": "aether-deploy"}}
    metadata = {"name": "wide", "namespace": namespace}
    bodies.append({"kind": "PodDisruptionBudget", "metadata": metadata, "spec": {"selector": wide}})

    assert all(budgets == [name, "wide"] for name, budgets in budgets_of_pods(bodies).items())


# --- drains

DRAINED: dict[str, tuple[str, tuple[Edit, ...]]] = {
    "drain": ("zone-a-0", ()),
    "drain-unbounded": ("zone-b-0", (NO_BUDGET,)),
    "drain-blocked": ("zone-c-0", (ALL_MUST_STAY,)),
}


@pytest.fixture(scope="module")
def drained(control_plane: ControlPlane) -> dict[str, list[Verdict]]:
    """Drain a node of two worlds and a service, each kind of budget in a namespace of its own."""
    all_stand = Barrier(len(DRAINED), timeout=SETUP_SECS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scenarios, "DRAIN_SECS", 30.0)
        return side_by_side({name: partial(drain, control_plane, name, all_stand) for name in DRAINED})


def drain(plane: ControlPlane, namespace: str, all_stand: Barrier) -> list[Verdict]:
    node, edits = DRAINED[namespace]
    # Where nothing bounds them, all that are taken are to be away at the same moment, however late we ask for each.
    slow = pods_take(ready_after="1s", stop_after="15s" if NO_BUDGET in edits else "1s")
    workloads: list[Edited] = [
        (world("world", namespace, replicas=18), slow, *edits),
        (workload("gateway", namespace, replicas=9), slow, *edits),
    ]
    with stage_with(plane, namespace, workloads) as stage:
        if NO_BUDGET not in edits:
            wait_for_budget(plane, namespace, "world", healthy=18)
            wait_for_budget(plane, namespace, "gateway", healthy=9)
        all_stand.wait()  # or the pods of another one would have to do without a node that is drained already
        return play(stage, SCENARIOS["node-drain"], node)


@judged
def test_a_drain_completes_within_the_budgets(drained: dict[str, list[Verdict]]) -> None:
    assert [verdict.subject for verdict in drained["drain"]] == ["", "gateway", "world"]
    assert [verdict for verdict in drained["drain"] if not verdict.holds] == []


@judged
def test_a_drain_without_budgets_takes_too_many_at_once(drained: dict[str, list[Verdict]]) -> None:
    assert [verdict.subject for verdict in drained["drain-unbounded"] if not verdict.holds] == ["world"]


@judged
def test_a_drain_where_all_must_stay_never_completes(drained: dict[str, list[Verdict]]) -> None:
    assert [verdict.subject for verdict in drained["drain-blocked"] if not verdict.holds] == [""]


# --- rollouts

ROLLED = "rollout"
UPDATES: dict[str, dict[str, Any]] = {
    "one-by-one": {"pvc": VOLUME, "replicas": 4},
    "two-at-a-time": {"pvc": VOLUME, "replicas": 5, "update": {"max_unavailable": 2}},
    "from-ordinal-3": {"pvc": VOLUME, "replicas": 5, "update": {"partition": 3}},
    "when-deleted": {"pvc": VOLUME, "replicas": 3, "update": {"strategy": "OnDelete"}},
    "surging": {"replicas": 3},
    "surging-by-2": {"replicas": 4, "update": {"max_surge": 2, "max_unavailable": 1}},
    "recreated": {"replicas": 3, "update": {"strategy": "Recreate"}},
}
WRONG_UPDATES: dict[str, tuple[dict[str, Any], Edit]] = {
    "not-one-by-one": (
        UPDATES["one-by-one"],
        spec_with("StatefulSet", updateStrategy={"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 3}}),
    ),
    "not-from-ordinal-3": (
        UPDATES["from-ordinal-3"],
        spec_with("StatefulSet", updateStrategy={"type": "RollingUpdate"}),
    ),
    "not-when-deleted": (
        UPDATES["when-deleted"],
        spec_with("StatefulSet", updateStrategy={"type": "RollingUpdate"}),
    ),
    "not-surging": (
        UPDATES["surging"],
        spec_with("Deployment", strategy={"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 2}}),
    ),
}


Seen = tuple[bool, Rollout]


class CountingStage(Stage):
    """Remembers the most pods that a workload's controller asked for at one moment."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.most: Counter[str] = Counter()

    def claimed(self, workload: str) -> int:
        count = super().claimed(workload)
        self.most[workload] = max(self.most[workload], count)
        return count


@pytest.fixture(scope="module")
def rolled(control_plane: ControlPlane) -> dict[str, Seen]:
    """Roll all of them out and return for each whether the scenario was content, and what happened."""
    slow = pods_take(ready_after="1s", stop_after="1s")
    # How many are asked for is only known of the moments when it is asked for, so that these take their time: the
    # first of them three times over, the other one once.
    surging = {
        "surging": pods_take(ready_after="5s", stop_after="1s"),
        "surging-by-2": pods_take(ready_after="15s", stop_after="1s"),
    }
    workloads: list[Edited] = [
        (workload(name, ROLLED, **each), surging.get(name, slow)) for name, each in UPDATES.items()
    ]
    workloads += [(workload(name, ROLLED, **each), slow, edit) for name, (each, edit) in WRONG_UPDATES.items()]
    with (
        pytest.MonkeyPatch.context() as patch,
        stage_with(control_plane, ROLLED, workloads, make=CountingStage) as stage,
    ):
        patch.setattr(scenarios, "ROLLOUT_SECS", 30.0)
        patch.setattr(scenarios, "QUIET_SECS", 10.0)  # for what must not come, and does where the strategy is wrong
        assert isinstance(stage, CountingStage)
        return side_by_side({name: partial(roll, stage, name) for name in stage.workloads})


def roll(stage: CountingStage, name: str) -> Seen:
    before = {pod.uid for pod in stage.watch.pods(name)}
    begun = time.monotonic()
    verdicts = SCENARIOS["rollout"].play(stage, name)  # without a wait for all others to stand, which roll as well
    ended = [pod for pod in stage.watch.ended(name, begun) if pod.uid in before]
    fewest = stage.watch.fewest_ready(name, begun)
    seen = Rollout(
        replaced=len(ended),
        ordinals=tuple(pod.ordinal for pod in ended if pod.ordinal is not None and stage.workloads[name].is_stateful),
        at_once=len(before) - fewest,
        extra=stage.most[name] - len(before),
        fewest=fewest,
    )
    return all(verdict.holds for verdict in verdicts), seen


def promised(name: str, **settings: Any) -> Rollout:
    config = workload(name, ROLLED, **settings)
    return rollout_of(config, config.replicas, "v1.37")


@judged
@pytest.mark.parametrize("name", UPDATES)
def test_a_rollout_keeps_order_and_count_as_predicted(rolled: dict[str, Seen], name: str) -> None:
    assert rolled[name] == (True, promised(name, **UPDATES[name]))


@judged
@pytest.mark.parametrize("name", WRONG_UPDATES)
def test_a_strategy_that_breaks_the_promise_is_seen(rolled: dict[str, Seen], name: str) -> None:
    content, seen = rolled[name]

    assert seen != promised(name, **WRONG_UPDATES[name][0])
    assert not content


# --- a bad image


def with_image(config: DeploymentConfig, image: str) -> DeploymentConfig:
    settings = {"pvc": VOLUME} if config.is_stateful else {}
    return workload(config.name, config.namespace, **settings, replicas=config.replicas, image=image)


def fewest_with_a_bad_image(stage: Stage, name: str, *edits: Edit) -> int:
    """Roll a broken image out, wait until that stands still, and return the fewest pods that were ready."""
    begun = time.monotonic()
    apply_edited(stage.lab, with_image(stage.workloads[name], BROKEN_IMAGE), *edits)
    assert stage.watch.wait(lambda: any(pod.image == BROKEN_IMAGE for pod in stage.watch.pods(name)), SECS)
    while stage.watch.wait(_changed(stage, name), QUIET_SECS):
        pass
    return stage.watch.fewest_ready(name, begun)


def _changed(stage: Stage, name: str) -> Any:
    before = stage.watch.pods(name)
    return lambda: stage.watch.pods(name) != before


def heals(stage: Stage, name: str, *edits: Edit) -> bool:
    """Give the good image back and return whether all pods come to run it."""
    config = stage.workloads[name]
    apply_edited(stage.lab, with_image(config, IMAGE), *edits)
    return stage.watch.wait(
        lambda: (
            stage.now(name).ready == config.replicas == len(stage.watch.pods(name))
            and all(pod.image == IMAGE for pod in stage.watch.pods(name))
        ),
        10 if IN_ORDER in edits else SECS,
    )


BROKEN = "bad-image"
IN_ORDER = spec_with("StatefulSet", podManagementPolicy="OrderedReady")
TWO_GO_FIRST = spec_with("Deployment", strategy={"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 2}})
BROKEN_EDITS: dict[str, tuple[Edit, ...]] = {
    "world": (),
    "gateway": (),
    "in-order": (IN_ORDER,),
    "two-go-first": (TWO_GO_FIRST,),
}


class Broken(NamedTuple):
    """What a bad image did: the fewest ready pods until it stood still, whether the revert healed it, the fewest."""

    at_halt: int
    healed: bool
    fewest: int


@pytest.fixture(scope="module")
def broken(control_plane: ControlPlane) -> dict[str, Broken]:
    workloads: list[Edited] = [
        (
            workload(name, BROKEN, replicas=4, pvc=VOLUME if name in ("world", "in-order") else None),
            pods_take(ready_after="1s"),
            *edits,
        )
        for name, edits in BROKEN_EDITS.items()
    ]
    with stage_with(control_plane, BROKEN, workloads) as stage:
        return side_by_side({name: partial(break_and_heal, stage, name) for name in BROKEN_EDITS})


def break_and_heal(stage: Stage, name: str) -> Broken:
    begun = time.monotonic()
    edits = (pods_take(ready_after="1s"), *BROKEN_EDITS[name])
    at_halt = fewest_with_a_bad_image(stage, name, *edits)
    healed = heals(stage, name, *edits)
    return Broken(at_halt, healed, stage.watch.fewest_ready(name, begun))


@judged
@pytest.mark.parametrize("name", ["world", "gateway"])
def test_a_bad_image_halts_a_rollout_and_a_revert_heals_it(broken: dict[str, Broken], name: str) -> None:
    fewest = promised(name, replicas=4, pvc=VOLUME if name == "world" else None).fewest

    assert broken[name] == Broken(at_halt=fewest, healed=True, fewest=fewest)


@judged
def test_a_broken_pod_of_ordered_worlds_stays_after_the_revert(broken: dict[str, Broken]) -> None:
    assert broken["in-order"] == Broken(at_halt=3, healed=False, fewest=3)


@judged
def test_a_bad_image_takes_as_many_services_as_may_be_missing(broken: dict[str, Broken]) -> None:
    assert broken["two-go-first"].at_halt < promised("two-go-first", replicas=4).fewest


# --- a rollout while worlds load


def missing_at_once(plane: ControlPlane, namespace: str, *, ready_after: str) -> int:
    """Change the template of four worlds that run, and return how many are told to end before one is replaced."""
    config = world("world", namespace, replicas=4)
    with in_namespace(plane, namespace) as watch:
        apply_edited(plane, config, pods_take(ready_after=ready_after, stop_after="10s"))
        assert watch.wait(lambda: [pod.phase for pod in watch.pods("world")] == ["Running"] * 4, SECS)
        if ready_after == "0s":
            assert watch.wait(lambda: watch.ready("world") == 4, SECS)
        before = {pod.uid for pod in watch.pods("world")}
        path = plane.client.path_of("apps/v1", "StatefulSet", namespace, "world")
        plane.client.patch(path, {"spec": {"template": {"metadata": {"annotations": {ROLL: "1"}}}}})
        assert watch.wait(lambda: any(pod.uid not in before for pod in watch.pods("world")), SECS)
        first = next(change.at for change in watch.history if change.pod.uid not in before)
        ended = {
            change.pod.uid
            for change in watch.history
            if change.pod.uid in before and change.pod.terminating and change.at <= first
        }
        return len(ended)


@judged
def test_a_rollout_takes_all_worlds_at_once_that_are_still_loading(control_plane: ControlPlane) -> None:
    calls = {
        "loading": partial(missing_at_once, control_plane, "rollout-loading", ready_after="1h"),
        "loaded": partial(missing_at_once, control_plane, "rollout-loaded", ready_after="0s"),
    }

    assert side_by_side(calls) == {"loading": 4, "loaded": 1}
