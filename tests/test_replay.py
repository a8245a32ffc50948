"""Replays of players over time: what they decide, what they count, and that the fast way is the slow one."""

import tracemalloc
from collections.abc import Callable, Iterator, Sequence

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aether_deploy import Hold, ScalingConfig
from aether_deploy.scaling.autoscaler import Autoscaler
from aether_deploy.scaling.controller.policy import HpaPolicy
from aether_deploy.scaling.controller.reconcile import HpaController
from aether_deploy.scaling.controller.seen import PodSeen, Seen
from aether_deploy.scaling.hpa import autoscaler
from aether_deploy.simulation.backends import PLAYERS, Backend, BackendKind, backend_of
from aether_deploy.simulation.placing import displaced_evenly, place_on_running
from aether_deploy.simulation.recorded import RecordedRule
from aether_deploy.simulation.replay import Replay, ReplayStep, ReplayTotals, rows_of, sampled
from aether_deploy.simulation.traces import Trace

KUBERNETES = "v1.37"
SYNC_SECS = 15


def replay(
    scaling: ScalingConfig, kind: BackendKind, *, replicas: int = 2, start_secs: int = 0, kubernetes: str = KUBERNETES
) -> Replay:
    backend = backend_of(scaling, kind, kubernetes=kubernetes)
    target = scaling.target_players_per_pod
    return Replay(backend, target=target, start_replicas=replicas, start_secs=start_secs)


def changes(steps: Iterator[ReplayStep]) -> dict[int, int]:
    return {step.secs: step.wanted for step in steps if step.wanted != step.before}


def at_syncs(players: Callable[[int], int], until: int) -> Iterator[tuple[int, int]]:
    return ((secs, players(secs)) for secs in range(0, until + 1, SYNC_SECS))


# --- what it decides


def test_a_replay_of_the_rule_is_the_rule() -> None:
    scaling = ScalingConfig()
    players = {0: 200, 30: 400, 75: 30}

    steps = replay(scaling, "decide").steps(at_syncs(lambda now: players[max(at for at in players if at <= now)], 400))

    assert changes(steps) == {0: 4, 60: 8, 360: 2}


class ByName:
    """The controller with pods by name, its reasons and all."""

    def __init__(self, policy: HpaPolicy) -> None:
        self._controller = HpaController(policy)
        self.reason = ""

    def wanted(self, secs: int, players: int, replicas: int, running: int) -> int:
        each, more = divmod(players, max(running, 1))
        return self.wanted_by_pod(secs, [each + (place < more) for place in range(running)], replicas)

    def wanted_by_pod(self, secs: int, loads: Sequence[int | None], replicas: int) -> int:
        pods = [PodSeen(name=str(place)) for place in range(len(loads))]
        pods += [PodSeen(name=str(place), phase="Pending", ready=False) for place in range(len(loads), replicas)]
        readings = {str(place): load * 1000 for place, load in enumerate(loads) if load is not None}
        sync = self._controller.sync(secs, Seen(spec_replicas=replicas, pods=pods, values={PLAYERS.name: readings}))
        self.reason = sync.reason
        return sync.replicas


def by_name(scaling: ScalingConfig, kubernetes: str) -> ByName:
    body = autoscaler(
        scaling,
        (PLAYERS,),
        metadata={"name": "world"},
        target_kind="StatefulSet",
        target_name="world",
        kubernetes=kubernetes,
    )
    return ByName(HpaPolicy.from_manifest(body, kubernetes=kubernetes))


SCALINGS = st.builds(
    lambda least, more, up, longer, **rest: ScalingConfig(
        min_replicas=least,
        max_replicas=least + more,
        scale_up_cooldown_secs=up,
        scale_down_cooldown_secs=up + longer,
        **rest,
    ),
    st.integers(1, 4),
    st.integers(0, 20),
    st.sampled_from([0, 15, 60, 100]),
    st.sampled_from([0, 45, 240]),
    target_players_per_pod=st.integers(1, 60),
    headroom_percent=st.sampled_from([0, 0, 20, 50]),
    max_step_up=st.none() | st.integers(1, 5),
    max_step_down=st.none() | st.integers(1, 5),
)
WALKS = st.lists(st.tuples(st.integers(1, 12), st.integers(0, 900)), min_size=1, max_size=12).map(
    lambda runs: [players for length, players in runs for _ in range(length)]
)


@settings(max_examples=200, deadline=None)
@given(SCALINGS, WALKS, st.integers(0, 25), st.sampled_from([0, 20, 90]), st.sampled_from(["v1.34", "v1.37"]))
def test_the_fast_way_is_the_slow_way(
    scaling: ScalingConfig, walk: list[int], replicas: int, start_secs: int, kubernetes: str
) -> None:
    slow: Backend = by_name(scaling, kubernetes)
    target = scaling.target_players_per_pod
    slowly = Replay(slow, target=target, start_replicas=replicas, start_secs=start_secs)
    fast = replay(scaling, "hpa", replicas=replicas, start_secs=start_secs, kubernetes=kubernetes)
    faster = replay(scaling, "hpa", replicas=replicas, start_secs=start_secs, kubernetes=kubernetes)

    expected = list(slowly.steps(sampled(walk, step_secs=SYNC_SECS)))

    assert list(fast.steps(sampled(walk, step_secs=SYNC_SECS))) == expected
    assert faster.totals(sampled(walk, step_secs=SYNC_SECS)) == fast.so_far() == slowly.so_far()


@settings(max_examples=100, deadline=None)
@given(SCALINGS, st.lists(st.lists(st.none() | st.integers(0, 90), min_size=1, max_size=12), min_size=1, max_size=40))
def test_by_pod_the_fast_way_is_the_slow_way(scaling: ScalingConfig, rows: list[list[int | None]]) -> None:
    timed = [(place * SYNC_SECS, row) for place, row in enumerate(rows)]
    slowly = Replay(by_name(scaling, KUBERNETES), target=scaling.target_players_per_pod, start_replicas=3)

    steps = list(replay(scaling, "hpa", replicas=3).steps_by_pod(timed))

    assert steps == list(slowly.steps_by_pod(timed))


@given(SCALINGS, WALKS, st.sampled_from(["decide", "hpa"]))
def test_pods_with_even_loads_come_to_the_same_as_their_sum(
    scaling: ScalingConfig, walk: list[int], kind: BackendKind
) -> None:
    summed = replay(scaling, kind, replicas=3)
    steps = list(summed.steps(sampled(walk, step_secs=SYNC_SECS)))
    rows = []
    for step in steps:
        each, more = divmod(step.players, max(step.before, 1))
        rows.append((step.secs, [each + (place < more) for place in range(step.before)]))
    by_pod = replay(scaling, kind, replicas=3)

    assert list(by_pod.steps_by_pod(rows)) == steps
    assert by_pod.so_far() == summed.so_far()


# --- what it counts


def told(
    counts: Sequence[int], players: Sequence[int], *, start_replicas: int, start_secs: int = 0, flap_secs: int = 600
) -> tuple[list[ReplayStep], ReplayTotals]:
    """Replay with a backend that says ``counts``, a minute apart, and a target of 10."""

    class Told:
        reason = "told"

        def __init__(self) -> None:
            self._counts = iter(counts)

        def wanted(self, secs: int, players: int, replicas: int, running: int) -> int:
            return next(self._counts)

        def wanted_by_pod(self, secs: int, loads: Sequence[int | None], replicas: int) -> int:
            return next(self._counts)

    found = Replay(Told(), target=10, start_replicas=start_replicas, start_secs=start_secs, flap_secs=flap_secs)
    return list(found.steps(sampled(players, step_secs=60))), found.so_far()


def test_totals_are_reckoned_from_one_sync_to_the_next() -> None:
    steps, totals = told([2, 4, 4, 1, 1], [20, 50, 41, 7, 99], start_replicas=3)

    assert totals == ReplayTotals(
        syncs=5,
        secs=240,
        pod_secs=60 * (2 + 4 + 4 + 1),
        over_target_secs=60 * 2,
        peak_replicas=4,
        peak_players=99,
        scale_ups=1,
        scale_downs=2,
        flaps=2,
        pods_removed=4,
        displaced=6 + 5,
    )
    assert totals.pod_hours == 11 / 60
    assert [step.displaced for step in steps] == [6, 0, 0, 5, 0]
    assert [step.players_per_pod for step in steps] == [10.0, 12.5, 10.25, 7.0, 99.0]
    assert {step.reason for step in steps} == {"told"}


def test_a_turn_is_a_flap_as_long_as_the_change_before_is_fresh() -> None:
    counts = [2, 3, 4, 3, 3, 3, 4]

    assert told(counts, [0] * 7, start_replicas=1, flap_secs=180)[1].flaps == 2
    assert told(counts, [0] * 7, start_replicas=1, flap_secs=179)[1].flaps == 1
    assert told(counts, [0] * 7, start_replicas=1, flap_secs=59)[1].flaps == 0


def test_pods_that_start_serve_nobody_yet_and_are_the_first_to_go() -> None:
    steps, totals = told([4, 4, 3, 3, 1], [40] * 5, start_replicas=2, start_secs=150)

    assert [step.running for step in steps] == [2, 2, 2, 3, 1]
    # The third pod runs from second 150 on; three of them carry 30 of the 40 players.
    assert totals.over_target_secs == 240
    assert [step.displaced for step in steps] == [0, 0, 0, 0, 26]
    assert totals.pod_secs == 60 * (4 + 4 + 3 + 3)


def test_a_pod_counts_from_the_second_that_it_runs() -> None:
    _, totals = told([4, 4, 4], [40] * 3, start_replicas=2, start_secs=90)

    assert totals.over_target_secs == 90


@given(st.integers(0, 500), st.integers(1, 30), st.integers(0, 40))
def test_displaced_players_are_those_of_the_highest_ordinals(players: int, running: int, staying: int) -> None:
    each, more = divmod(players, running)
    loads = [each + (place < more) for place in range(running)]

    assert displaced_evenly(players, running, staying) == sum(loads[staying:])


@given(st.lists(st.none() | st.integers(0, 50), max_size=10), st.integers(0, 14))
def test_players_of_pods_that_do_not_run_are_spread(row: list[int | None], running: int) -> None:
    placed = place_on_running(row, running)

    assert len(placed) == running
    assert [each is None for each in placed[: len(row)]] == [each is None for each in row[:running]]
    if any(each is not None for each in placed):
        assert sum(each or 0 for each in placed) == sum(each or 0 for each in row)


def test_rows_of_a_trace_stand_by_ordinal() -> None:
    trace = Trace(times=[0, 40], pods={"world-10": [1, 2], "world-9": [3, -1]})

    assert list(rows_of(trace, 20)) == [(0, [3, 1]), (20, [3, 1]), (40, [None, 2])]
    with pytest.raises(ValueError, match="all players together"):
        next(rows_of(Trace(times=[0], players=[1]), 15))


# --- mode desired


@settings(max_examples=200, deadline=None)
@given(SCALINGS, WALKS, st.integers(1, 25))
def test_the_recorded_rule_is_the_rule(scaling: ScalingConfig, walk: list[int], replicas: int) -> None:
    """Where the steps fit the interval, and each count is carried out before the next evaluation."""
    exact = msgspec.structs.replace(
        scaling,
        scale_up_cooldown_secs=scaling.scale_up_cooldown_secs // 15 * 15,
        scale_down_cooldown_secs=scaling.scale_down_cooldown_secs // 15 * 15,
    )
    scaler = Autoscaler(exact)
    rule = RecordedRule(exact, interval_secs=15)
    recorded = decided = min(max(replicas, exact.min_replicas), exact.max_replicas)
    full = recorded * exact.target_players_per_pod
    for place, players in enumerate([full, *walk]):
        now = place * 15
        recorded = rule.evaluate(now, players, said=recorded, running=recorded, replicas=recorded)
        decision = scaler.step(now, players, decided)
        decided = decided if isinstance(decision, Hold) else decision.target_replicas

        assert recorded == decided, now


def drop(now: int) -> int:
    return 200 if now < 300 else 20


def test_a_recorded_count_stays() -> None:
    scaling = ScalingConfig(mode="desired")
    found = Replay(backend_of(scaling, "hpa", kubernetes=KUBERNETES), target=50, start_replicas=2)

    # The window of 30 seconds lets a lower count pass once two syncs agree on it.
    assert changes(found.steps(at_syncs(drop, 1000))) == {0: 4, 315: 2}


def test_keda_carries_out_the_same_counts() -> None:
    scaling = ScalingConfig(max_replicas=40)
    walk = [abs(place * 37 % 997 - 300) for place in range(2000)]
    recorded = ScalingConfig(max_replicas=40, mode="desired")

    by_keda = replay(scaling, "keda").totals(sampled(walk, step_secs=SYNC_SECS))
    by_hpa = replay(recorded, "hpa").totals(sampled(walk, step_secs=SYNC_SECS))

    assert by_keda == by_hpa


def test_occupied_pods_are_protected() -> None:
    scaling = ScalingConfig(protect_occupied=True)
    rows = [(now, [0, 0, 0, 1, 0, 0]) for now in range(0, 1200, SYNC_SECS)]

    for kind in ("decide", "hpa", "keda"):
        backend = backend_of(scaling, kind, kubernetes=KUBERNETES)
        found = Replay(backend, target=50, start_replicas=6)
        steps = list(found.steps_by_pod(rows))

        assert steps[-1].wanted == 4, kind
        assert found.so_far().displaced == 0


def test_a_pod_that_says_nothing_stops_a_protected_scale_down() -> None:
    scaling = ScalingConfig(protect_occupied=True)
    rows = [(now, [1, 0, 0, 0, 0, None]) for now in range(0, 1200, SYNC_SECS)]

    for kind in ("decide", "hpa", "keda"):
        assert changes(replay(scaling, kind, replicas=6).steps_by_pod(rows)) == {}, kind


# --- what it costs


@pytest.mark.parametrize("kind", ["decide", "hpa", "keda"])
def test_memory_does_not_grow_with_the_trace(kind: BackendKind) -> None:
    def peak_bytes(syncs: int) -> int:
        found = replay(ScalingConfig(max_players_displaced_per_hour=500), kind)
        walk = sampled((place * 7919 % 1000 for place in range(syncs)), step_secs=SYNC_SECS)
        tracemalloc.start()
        found.totals(walk)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    peak_bytes(5000)
    once, fourfold = peak_bytes(5000), peak_bytes(20_000)

    assert fourfold < 1.5 * once
