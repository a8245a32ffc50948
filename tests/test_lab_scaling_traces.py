"""The model of the autoscaler does what the real one does, on what the real one saw; and it sees players in time."""

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from aether_deploy.lab.syncs import ObservedSync, Pods, PodSample
from tests.lab_cases import boot_for_tests, in_namespace
from tests.players import Players
from tests.scaling_cases import FAST, chain_beside
from tests.scaling_delays import delays
from tests.scaling_judge import judge
from tests.scaling_trace_cases import ADAPTER, NAMESPACE, TRACES, rules
from tests.scaling_traces import Played, Trace, TraceLab, play_all

pytestmark = pytest.mark.real

SLACK_SECS = 3.0


@pytest.fixture(scope="module")
def lab() -> Iterator[TraceLab]:
    with (
        boot_for_tests(pace=FAST, records_autoscalers=True) as plane,
        in_namespace(plane, NAMESPACE) as watch,
        chain_beside(plane, adapter=ADAPTER, rules={"traces.yaml": rules()}) as chain,
        Players(chain.exporters, watch, NAMESPACE) as players,
    ):
        yield TraceLab(plane, chain, watch, players, NAMESPACE)


@pytest.fixture(scope="module")
def played(lab: TraceLab) -> Mapping[str, Played]:
    return play_all(lab, TRACES)


@pytest.mark.parametrize("trace", TRACES, ids=lambda trace: trace.name)
def test_the_model_does_what_the_autoscaler_does(played: Mapping[str, Played], trace: Trace) -> None:
    syncs = played[trace.name].syncs

    judged = judge(played[trace.name])

    assert judged.faults == []
    assert judged.counts == [sync.desired for sync in syncs]
    assert trace.shows <= judged.shown


def test_the_pods_of_nearly_every_sync_are_known_without_doubt(played: Mapping[str, Played]) -> None:
    judged = [judge(each) for each in played.values()]

    syncs = sum(len(each.counts) for each in judged)
    assert sum(each.doubtful for each in judged) <= syncs / 10
    assert syncs >= 10 * len(TRACES)


# --- the comparison has teeth


def behavior_with(direction: str, **fields: Any) -> Callable[[Played], Played]:
    """Return the change of what the model is told of a direction of the autoscaler."""

    def change(played: Played) -> Played:
        autoscaler = copy.deepcopy(played.autoscaler)
        autoscaler["spec"]["behavior"][direction] |= fields
        return replace(played, autoscaler=autoscaler)

    return change


def pods_as(told: Callable[[Pods], Iterable[PodSample]]) -> Callable[[Played], Played]:
    """Return the change of what the model is told of pods."""

    def change(played: Played) -> Played:
        def seen(sync: ObservedSync) -> ObservedSync:
            pods = tuple(told(sync.pods))
            return msgspec.structs.replace(sync, pods=pods, pod_views=(pods,))

        return replace(played, syncs=[seen(sync) for sync in played.syncs])

    return change


def not_ending(pods: Pods) -> list[PodSample]:
    return [msgspec.structs.replace(pod, terminating=False) for pod in pods]


WRONG: dict[str, tuple[str, Callable[[Played], Played]]] = {
    "a tolerance of a tenth upwards": ("ends-of-the-band", behavior_with("scaleUp", tolerance="100m")),
    "a tolerance of less than half downwards": ("ends-of-the-band", behavior_with("scaleDown", tolerance="499m")),
    "no window": ("shrinks", behavior_with("scaleDown", stabilizationWindowSeconds=0)),
    "another choice of rates": ("by-the-smaller-rate", behavior_with("scaleUp", selectPolicy="Max")),
    "no missing pods": (
        "missing-on-the-way-down",
        pods_as(lambda pods: [p for p in pods if p.value_milli is not None]),
    ),
    "no pending pods": ("waits-for-nodes", pods_as(lambda pods: [p for p in pods if p.phase != "Pending"])),
    "no pods that are not ready": ("slow-to-be-ready", pods_as(lambda pods: [p for p in pods if p.ready])),
    "no pod that ends": ("slow-to-end", pods_as(not_ending)),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_model_that_is_told_otherwise_is_caught(played: Mapping[str, Played], wrong: str) -> None:
    name, change = WRONG[wrong]

    assert judge(change(played[name])).faults


# --- in time


METRIC = {trace.name: trace.metrics[0] for trace in TRACES}


@pytest.mark.parametrize("name", METRIC)
def test_players_are_seen_after_a_scrape_a_rule_and_a_sync(
    lab: TraceLab, played: Mapping[str, Played], name: str
) -> None:
    found = delays(lab, played[name], METRIC[name], slack_secs=SLACK_SECS)

    assert found
    assert [delay for delay in found if delay.took > delay.bound] == []
