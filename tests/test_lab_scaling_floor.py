"""The floor of ordinals keeps occupied pods, on a real autoscaler; and what becomes of it within a tolerance."""

import json
from collections.abc import Iterator, Mapping

import pytest

from aether_deploy.lab.client import Body
from aether_deploy.lab.metrics_flags import Cadence
from aether_deploy.lab.nodes import STOP_AFTER
from aether_deploy.scaling.adapter import Served, adapter_config, recorded
from aether_deploy.scaling.config import CustomMetric, ScalingConfig
from aether_deploy.scaling.hpa import DESIRED, FLOOR
from aether_deploy.scaling.recording import Scaled, rule_groups
from tests import scaling_cases
from tests.lab_cases import boot_for_tests, in_namespace
from tests.players import ORDINAL_FLOOR, PLAYERS, Placing, Players, on, spread
from tests.scaling_cases import FAST, chain_beside, going, hpa, world
from tests.scaling_judge import judge
from tests.scaling_traces import Act, Played, Steps, Trace, TraceLab, await_scrape_of_count, play_all

pytestmark = pytest.mark.real

NAMESPACE = "floors"
SECS = 48
SLOW_STATE = Cadence(state_secs=10)
"""Clusters scrape kube-state-metrics less often than an autoscaler looks, so that counts are older than players."""

EXACT = {"scaleUp": going("0"), "scaleDown": going("0")}
A_TENTH = {"scaleUp": going(), "scaleDown": going()}
A_HALF = {"scaleUp": going("0"), "scaleDown": going("500m")}
KEEPING = ScalingConfig(scale_up_cooldown_secs=0, scale_down_cooldown_secs=0, protect_occupied=True)


def ending_one_by_one(first: int, secs: Mapping[int, int]) -> tuple[Act]:
    """Return the act that lets pods from ordinal ``first`` on take their time to end, by ordinal."""

    def act(lab: TraceLab, name: str) -> bool:
        for ordinal, each in secs.items():
            path = lab.plane.client.path_of("v1", "Pod", lab.namespace, f"{name}-{first + ordinal}")
            lab.plane.client.patch(path, {"metadata": {"annotations": {STOP_AFTER: f"{each}s"}}})
        return True

    return (act,)


def occupied(count: int) -> Placing:
    """Return the placing of players on the pods below an ordinal."""
    return on(dict.fromkeys(range(count), 10))


def draining(name: str, behavior: Mapping[str, Body], pods: int, floor: int, *, apart_secs: int = 2) -> Trace:
    """Return a world whose upper pods empty, and end one after the other, some seconds apart."""
    going_away = {ordinal: 4 + apart_secs * (pods - floor - 1 - ordinal) for ordinal in range(pods - floor)}
    return Trace(
        workload=world(name, NAMESPACE, pods),
        autoscaler=hpa(name, NAMESPACE, scaling_cases.recorded(name, FLOOR), behavior=behavior),
        steps={0: occupied(pods), 2: ending_one_by_one(floor, going_away), 5: occupied(floor)},
        secs=SECS,
    )


LEAVING: Steps = {
    0: on(dict.fromkeys(range(8), 45)),
    5: on({**dict.fromkeys(range(4), 20), 7: 9}),
    9: on({0: 3, 3: 2, 7: 1}),
    19: on({0: 3, 3: 2}),
    33: on({}),
}


def emptying(name: str, *metrics: str) -> Trace:
    """Return a world whose crowd goes home, the last of it from an upper pod."""
    return Trace(
        workload=world(name, NAMESPACE, 8),
        autoscaler=hpa(name, NAMESPACE, *(scaling_cases.recorded(name, metric) for metric in metrics), behavior=EXACT),
        steps=LEAVING,
        secs=SECS,
    )


FEW = on({0: 3})
# The scale-down that follows comes well before the next scrape of the count, or that would not be too old.
JUST_COUNTED = await_scrape_of_count(2)
GOING_TWICE: Steps = {
    0: on(dict.fromkeys(range(8), 45)),
    4: JUST_COUNTED,
    4.1: FEW,
    16: spread(390),
    32: JUST_COUNTED,
    32.1: FEW,
}


def shrinking(name: str) -> Trace:
    """Return a world whose crowd goes home twice."""
    return Trace(
        workload=world(name, NAMESPACE, 8),
        autoscaler=hpa(name, NAMESPACE, scaling_cases.recorded(name, DESIRED), behavior=EXACT),
        steps=GOING_TWICE,
        secs=SECS,
    )


TRACES = (
    draining("exact", EXACT, 11, 9),
    draining("within-a-tenth", A_TENTH, 11, 9, apart_secs=12),  # with one left there is time for a sync
    draining("within-a-half", A_HALF, 14, 6),
    draining("exact-far", EXACT, 14, 6),
    emptying("kept", DESIRED, FLOOR),
    emptying("not-kept", DESIRED),
    shrinking("by-its-record"),
    shrinking("by-the-scraped-count"),
)


def scraped_count(scaled: Scaled) -> str:
    """Return the rule that answers, where nothing is to change, with the count that was scraped last."""
    players, count, pods = f"sum({PLAYERS}{scaled.pods})", f"max({scaled.replicas})", f"count({PLAYERS}{scaled.pods})"
    grow = f"ceil({players} / 50) and ({players} > 50 * {count})"
    shrink = f"ceil({players} / 50) and ({players} * 2 < 50 * {count}) and ({pods} >= {count})"
    return f"clamp(({grow}) or ({shrink}) or {count}, 2, 20)"


def rules() -> str:
    """Return the floor of each world, and the count that the rule of the specification wants where it counts."""
    groups = []
    for trace in TRACES:
        name = trace.name
        scaled = Scaled(namespace=NAMESPACE, kind="StatefulSet", name=name)
        if name in ("kept", "not-kept", "by-its-record"):
            groups += rule_groups(KEEPING, [CustomMetric(name=PLAYERS)], scaled, interval_secs=1)
            continue
        record, expression = FLOOR, f"max({ORDINAL_FLOOR}{scaled.pods} unless on (pod) kube_pod_deletion_timestamp)"
        if name == "by-the-scraped-count":
            record, expression = DESIRED, scraped_count(scaled)
        labels = {"namespace": NAMESPACE, "statefulset": name}
        groups.append({"name": name, "rules": [{"record": record, "expr": expression, "labels": labels}]})
    return json.dumps({"groups": groups})


ADAPTER = json.dumps(adapter_config([Served(PLAYERS, "Pods"), *recorded("StatefulSet")]))


@pytest.fixture(scope="module")
def lab() -> Iterator[TraceLab]:
    with (
        boot_for_tests(pace=FAST, records_autoscalers=True) as plane,
        in_namespace(plane, NAMESPACE) as watch,
        chain_beside(plane, adapter=ADAPTER, rules={"floors.yaml": rules()}, cadence=SLOW_STATE) as chain,
        Players(chain.exporters, watch, NAMESPACE) as players,
    ):
        yield TraceLab(plane, chain, watch, players, NAMESPACE)


@pytest.fixture(scope="module")
def played(lab: TraceLab) -> Mapping[str, Played]:
    return play_all(lab, TRACES)


@pytest.mark.parametrize("name", [trace.name for trace in TRACES])
def test_the_model_does_what_the_autoscaler_does(played: Mapping[str, Played], name: str) -> None:
    assert judge(played[name]).faults == []


# --- ending pods bounce back


def bounces(played: Played) -> list[tuple[int, int]]:
    """Return the scale-ups that the floor did not ask for: the counts before and after."""
    return [
        (sync.spec_replicas, sync.desired)
        for sync in played.syncs
        if sync.desired > sync.spec_replicas and sum(sync.values(FLOOR).values()) <= 1000 * sync.spec_replicas
    ]


@pytest.mark.parametrize("name, floor", [("within-a-tenth", 9), ("within-a-half", 6)])
def test_within_a_tolerance_pods_that_end_slowly_are_taken_for_wanted(
    played: Mapping[str, Played], name: str, floor: int
) -> None:
    assert floor in played[name].counts
    assert bounces(played[name]) != []
    assert played[name].counts[-1] > floor


@pytest.mark.parametrize("name, floor", [("exact", 9), ("exact-far", 6)])
def test_without_a_tolerance_the_count_becomes_the_floor_and_stays(
    played: Mapping[str, Played], name: str, floor: int
) -> None:
    assert bounces(played[name]) == []
    assert played[name].counts[-1] == floor


# --- occupied pods


def removed(lab: TraceLab, played: Played, name: str) -> list[tuple[int, float]]:
    """Return the pods of a world that were told to end: ordinal, and the players that it had then."""
    found = []
    offset = played.offset_secs
    for pod in lab.watch.ended(name, 0):
        at = next(change.at for change in lab.watch.history if change.pod.uid == pod.uid and change.pod.terminating)
        said = [each.said for each in played.placed if each.at <= at + offset]
        found.append((pod.ordinal or 0, said[-1].get(pod.name, 0) if said else 0))
    return found


def test_an_occupied_pod_is_not_removed_while_the_crowd_goes_home(lab: TraceLab, played: Mapping[str, Played]) -> None:
    gone = removed(lab, played["kept"], "kept")

    assert {ordinal for ordinal, _ in gone} == set(range(2, 8))
    assert [each for each in gone if each[1]] == []
    assert played["kept"].counts[0] == 8
    assert min(sync.desired for sync in played["kept"].syncs if sync.at_secs < played["kept"].placed[3].at) == 8


def test_without_the_floor_it_is_removed(lab: TraceLab, played: Mapping[str, Played]) -> None:
    gone = removed(lab, played["not-kept"], "not-kept")

    assert [ordinal for ordinal, players in gone if ordinal == 7 and players] == [7]


# --- counts that are older than players


def lifted_for_few(played: Played) -> list[tuple[int, int]]:
    """Return the scale-ups of a world that had few players by then: the counts before and after."""
    full_again = [each.at for each in played.placed if sum(each.said.values()) > 300][-1]
    few = [each.at for each in played.placed if sum(each.said.values()) < 100]
    return [
        (sync.spec_replicas, sync.desired)
        for sync in played.syncs
        if sync.desired > sync.spec_replicas and (few[0] < sync.at_secs < full_again or sync.at_secs > few[1])
    ]


def test_a_scale_down_is_not_undone_while_its_count_is_not_scraped(played: Mapping[str, Played]) -> None:
    assert lifted_for_few(played["by-its-record"]) == []
    assert played["kept"].counts == [8, 4, 2]


def test_a_rule_that_answers_with_the_scraped_count_undoes_it(played: Mapping[str, Played]) -> None:
    assert lifted_for_few(played["by-the-scraped-count"]) != []
