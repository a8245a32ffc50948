"""Where an autoscaler differs from the rule: each known divergence is reproduced, and told by its cause."""

import re
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aether_deploy import Hold, ScaleDown, ScaleUp, ScalingConfig
from aether_deploy.scaling.controller.policy import Direction, HpaPolicy, MetricTarget, RatePolicy
from aether_deploy.simulation.backends import backend_of, compile_policy
from aether_deploy.simulation.causes import CAUSES, Change
from aether_deploy.simulation.compare import Compared, compare_backends, compare_policy
from aether_deploy.simulation.divergences import divergences
from aether_deploy.simulation.replay import Replay, rows_of
from aether_deploy.simulation.traces import MISSING, Trace

EXACT, DROPPED = "v1.37", "v1.34"
T50 = ScalingConfig()


def held(*samples: tuple[int, int], until: int = 1200) -> Trace:
    """Players from each time on, the last ones until the end."""
    times = [secs for secs, _ in samples]
    players = [count for _, count in samples]
    if times[-1] < until:
        times, players = [*times, until], [*players, players[-1]]
    return Trace(times=times, players=players)


def hpa(scaling: ScalingConfig = T50, kubernetes: str = EXACT, **changed: Any) -> HpaPolicy:
    return msgspec.structs.replace(compile_policy(scaling, "hpa", kubernetes=kubernetes), **changed)


def direction(side: Direction, **changed: Any) -> Direction:
    return msgspec.structs.replace(side, **changed)


WINDOW_60 = hpa(up=direction(hpa().up, window_secs=60))
DEFAULT_RATES = hpa(
    up=direction(
        hpa().up,
        policies=(
            RatePolicy(type="Pods", value=4, period_secs=15),
            RatePolicy(type="Percent", value=100, period_secs=15),
        ),
    )
)
PEAKS = held(*((secs, 240 if secs % 90 == 0 else 90) for secs in range(0, 1500, 15)), until=1500)


def with_floor(down_tolerance: float, up_tolerance: float = 0.0) -> HpaPolicy:
    floor = MetricTarget(source="External", name="floor", kind="AverageValue", target=1000)
    return hpa(
        metrics=(*hpa().metrics, floor),
        up=direction(hpa().up, tolerance=up_tolerance),
        down=direction(hpa().down, tolerance=down_tolerance, window_secs=0),
    )


class Literal:
    """The five rules word by word, as the table of divergences has them: nothing is clamped but what they clamp."""

    def __init__(self, scaling: ScalingConfig) -> None:
        self.scaling = scaling
        self.changed = float("-inf")

    def step(
        self, now_secs: float, players: int, replicas: int, *, occupied_floor: int = 0
    ) -> ScaleUp | ScaleDown | Hold:
        target, since = self.scaling.target_players_per_pod, now_secs - self.changed
        load, needed = players / max(replicas, 1), -(-players // target)
        if load > target:
            if since < self.scaling.scale_up_cooldown_secs:
                return Hold(reason="cooldown")
            self.changed = now_secs
            return ScaleUp(target_replicas=min(needed, self.scaling.max_replicas))
        if load < target / 2:
            if since < self.scaling.scale_down_cooldown_secs:
                return Hold(reason="cooldown")
            wanted = max(needed, self.scaling.min_replicas)
            if wanted == replicas:
                return Hold(reason="at-target")
            self.changed = now_secs
            return ScaleDown(target_replicas=wanted)
        return Hold(reason="in-band")


def pods(*rows: tuple[int | None, ...]) -> Trace:
    """Players of each pod at each sync; None is a sample that is missing."""
    columns = zip(*rows, strict=True)
    return Trace(
        times=[15 * number for number in range(len(rows))],
        pods={
            f"world-{ordinal}": [MISSING if each is None else each for each in column]
            for ordinal, column in enumerate(columns)
        },
    )


NO_WINDOW = direction(hpa().down, window_secs=0)
BIG, WIDE = ScalingConfig(max_replicas=30), ScalingConfig(target_players_per_pod=100, max_replicas=60)
SHELTERED = ScalingConfig(protect_occupied=True)
STEPPED = ScalingConfig(min_replicas=1, max_step_down=8)
PERCENT_80 = direction(NO_WINDOW, policies=(RatePolicy(type="Percent", value=80, period_secs=15),))

CASES: dict[str, tuple[Callable[[], Compared], tuple[str | None, int | None, int | None, int | None]]] = {
    "D1": (
        lambda: compare_policy(T50, WINDOW_60, held((0, 90), (300, 200))),
        ("D1", 300, 4, 2),
    ),
    "D2": (lambda: compare_policy(T50, hpa(), held((0, 90), (300, 200))), (None, None, None, None)),
    "D3": (lambda: compare_policy(T50, hpa(), held((0, 200), (30, 400))), ("D3", 30, 4, 8)),
    "D4": (lambda: compare_policy(T50, WINDOW_60, held((0, 200), (30, 400))), ("D4", 0, 4, 2)),
    "D5": (
        lambda: compare_policy(T50, hpa(), held((0, 400), (60, 30), (75, 400)), start_replicas=10),
        ("D5", 60, 2, 10),
    ),
    "D6": (lambda: compare_policy(T50, hpa(), held((0, 200), (60, 10))), ("D6", 300, 2, 4)),
    "D7": (lambda: compare_policy(T50, hpa(), held((0, 10), (15, 400)), start_replicas=10), ("D7", 0, 2, 10)),
    "D8": (lambda: compare_policy(T50, hpa(), PEAKS, start_replicas=10), ("D8", 0, 5, 10)),
    "D9": (lambda: compare_policy(T50, DEFAULT_RATES, held((0, 1000))), ("D9", 0, 20, 6)),
    "D10": (
        lambda: compare_policy(T50, hpa(kubernetes=DROPPED), held((0, 440)), start_replicas=10),
        ("D10", 300, 10, 9),
    ),
    "D11": (
        lambda: compare_policy(T50, hpa(kubernetes=DROPPED), held((0, 540)), start_replicas=10),
        ("D11", 0, 11, 10),
    ),
    "D12": (
        lambda: compare_policy(BIG, hpa(BIG, down=NO_WINDOW), held((0, 350)), start_replicas=25),
        ("D12", 0, 7, 8),
    ),
    "D13, whose cause is that of D12": (
        lambda: compare_policy(WIDE, hpa(WIDE, down=NO_WINDOW), held((0, 1400)), start_replicas=50),
        ("D12", 0, 14, 15),
    ),
    "D14": (
        lambda: compare_policy(T50, hpa(down=NO_WINDOW), pods((20, 20, 20, None)), start_replicas=4),
        ("D14", 0, 2, 4),
    ),
    "D15": (
        lambda: compare_policy(T50, hpa(), held((0, 1000)), start_replicas=25, rule=Literal(T50)),
        ("D15", 0, 25, 20),
    ),
    "D16": (
        lambda: compare_policy(T50, hpa(), held((0, 30)), start_replicas=1, rule=Literal(T50)),
        ("D16", 0, 1, 2),
    ),
    "D17": (lambda: compare_policy(T50, hpa(), held((0, 120)), start_replicas=0), ("D17", 0, 3, 0)),
    "D18": (
        lambda: compare_policy(T50, hpa(), pods((40,) * 5), start_replicas=3, ending_pods=True),
        ("D18", 0, 4, 3),
    ),
    "D19": (
        lambda: compare_policy(T50, hpa(), held((0, 2000)), start_replicas=25, rule=Literal(T50)),
        ("D19", 0, 20, 20),
    ),
    "D20": (
        lambda: compare_policy(
            SHELTERED, with_floor(0.5), pods((10,) * 6 + (0,) * 4), start_replicas=10, readings={"floor": 6000}
        ),
        ("D20", 0, 6, 10),
    ),
    "D21": (
        lambda: compare_policy(
            SHELTERED,
            with_floor(0.1, 0.1),
            pods((30,) * 10),
            start_replicas=9,
            ending_pods=True,
            readings={"floor": 9000},
        ),
        ("D21", 0, 9, 10),
    ),
    "D22": (
        lambda: compare_policy(
            SHELTERED, with_floor(0.5), pods((30,) * 10), start_replicas=6, ending_pods=True, readings={"floor": 6000}
        ),
        ("D22", 0, 6, 10),
    ),
    "D23": (
        lambda: compare_policy(STEPPED, hpa(STEPPED, down=PERCENT_80), held((0, 10)), start_replicas=10),
        ("D23", 0, 2, 1),
    ),
    "D24": (lambda: compare_policy(T50, hpa(), held((0, 100)), start_replicas=2), (None, None, None, None)),
}


def outcome(compared: Compared) -> tuple[str | None, int | None, int | None, int | None]:
    if compared.exact:
        return (None,) * 4
    found = compared.differences[0]
    return found.cause.id, found.secs, found.rule_wants, found.gets


@pytest.mark.parametrize("case", CASES)
def test_a_known_divergence_is_told_by_its_cause(case: str) -> None:
    compare, expected = CASES[case]

    assert outcome(compare()) == expected


def test_every_divergence_of_the_table_is_a_case() -> None:
    assert {case.partition(",")[0] for case in CASES} == {f"D{number}" for number in range(1, 25)}


# --- words


def test_a_comparison_tells_when_what_and_why() -> None:
    assert str(compare_policy(T50, hpa(), held((0, 200), (30, 400)), backend="pods")) == (
        "pods: D3 at 30 s: 400 players on 4 pods, the rule wants 4, the autoscaler 8: the autoscaler has no cooldown "
        "and moves again at once: the cooldown is 60 s; rule 8 at 60 s, autoscaler 8 at 30 s"
    )


def test_a_comparison_without_a_difference_is_exact() -> None:
    compared = compare_policy(T50, hpa(), held((0, 90)))

    assert (compared.exact, compared.syncs, compared.differing) == (True, 81, 0)
    assert str(compared) == "hpa: exact, at each of 81 syncs"


def test_floats_are_told_with_all_of_their_digits() -> None:
    compared = CASES["D12"][0]()

    assert compared.differences[0].cause.text == (
        "the autoscaler reckons in floats and rounds up: 0.28 times 25 is 7.000000000000001"
    )


def test_of_each_cause_the_first_difference_is_told() -> None:
    compared = compare_policy(T50, hpa(), held((0, 200), (30, 400), (90, 500), (120, 700), (400, 10)))

    assert [(each.cause.id, each.secs) for each in compared.differences] == [("D3", 30)]
    assert compared.differences[0].rule_after[:2] == (Change(60, 8), Change(120, 14))


def test_what_the_cluster_can_run_is_compared() -> None:
    newer = compare_backends(T50, held((0, 90)), kubernetes=EXACT)
    older = compare_backends(T50, held((0, 90)), kubernetes=DROPPED)

    assert [each.backend for each in newer] == ["pods", "desired"]
    assert [each.backend for each in older] == ["legacy"]


def test_modes_differ_by_their_own_causes() -> None:
    second_wave, crept = held((0, 200), (30, 400)), held(*((secs, 90 + secs // 3) for secs in range(0, 600, 15)))

    def first(trace: Trace, backend: Any, kubernetes: str = EXACT) -> str | None:
        (compared,) = compare_backends(T50, trace, kubernetes=kubernetes, backends=[backend])
        return outcome(compared)[0]

    assert first(second_wave, "pods") == "D3"
    assert {first(second_wave, "desired"), first(second_wave, "keda")} <= {None, "lag"}
    assert (first(crept, "pods"), first(crept, "legacy", DROPPED)) == (None, "D11")


# --- laws


def small(**values: Any) -> ScalingConfig:
    return ScalingConfig(
        **values | {"scale_down_cooldown_secs": values["scale_up_cooldown_secs"] + values["scale_down_cooldown_secs"]}
    )


SCALINGS = st.builds(
    small,
    target_players_per_pod=st.sampled_from([1, 7, 50, 64]),
    min_replicas=st.integers(1, 4),
    max_replicas=st.integers(4, 40),
    scale_up_cooldown_secs=st.sampled_from([0, 10, 60]),
    scale_down_cooldown_secs=st.sampled_from([0, 60, 300]),
    headroom_percent=st.sampled_from([0, 10, 50]),
    max_step_up=st.none() | st.integers(1, 5),
    max_step_down=st.none() | st.integers(1, 5),
    protect_occupied=st.booleans(),
    max_players_displaced_per_hour=st.none() | st.integers(200, 1000),
)
LOADS = st.lists(st.integers(0, 60) | st.integers(0, 2200), min_size=1, max_size=120)
ROWS = st.integers(1, 8).flatmap(
    lambda width: st.lists(
        st.tuples(*[st.none() | st.integers(0, 3) | st.integers(0, 120)] * width), min_size=1, max_size=60
    )
)
BACKENDS = st.sampled_from(["pods", "desired", "legacy", "keda"])


def by_sync(loads: list[int]) -> Trace:
    return Trace(times=[15 * number for number in range(len(loads))], players=loads)


@settings(max_examples=150, deadline=None)
@given(SCALINGS, LOADS | ROWS, BACKENDS, st.sampled_from([EXACT, DROPPED]), st.integers(0, 45), st.booleans())
def test_every_difference_has_a_known_cause(
    scaling: ScalingConfig, loads: Any, backend: Any, kubernetes: str, start: int, ending: bool
) -> None:
    trace = by_sync(loads) if isinstance(loads[0], int) else pods(*loads)

    (compared,) = compare_backends(
        scaling, trace, kubernetes=kubernetes, backends=[backend], start_replicas=start, ending_pods=ending
    )

    for each in compared.differences:
        assert each.cause.id in CAUSES
        assert each.cause.id != "bounds"
        assert each.rule_wants != each.gets
    assert compared.exact == (compared.differing == 0)


@settings(max_examples=200, deadline=None)
@given(SCALINGS, LOADS | ROWS, st.sampled_from(["pods", "desired", "legacy", "keda"]), st.integers(1, 40))
def test_the_autoscaler_of_a_comparison_is_that_of_a_replay(
    scaling: ScalingConfig, loads: Any, backend: Any, start: int
) -> None:
    moded = ScalingConfig(**msgspec.structs.asdict(scaling) | {"mode": "desired" if backend == "keda" else backend})
    kind: Any = "keda" if backend == "keda" else "hpa"
    policy = compile_policy(moded, kind, kubernetes=EXACT)
    replay = Replay(
        backend_of(moded, kind, kubernetes=EXACT), target=scaling.target_players_per_pod, start_replicas=start
    )
    if isinstance(loads[0], int):
        trace = by_sync(loads)
        replayed = [step.wanted for step in replay.steps(trace.synced(15))]
    else:
        trace = pods(*loads)
        replayed = [step.wanted for step in replay.steps_by_pod(rows_of(trace, 15))]

    class Follower:
        """A rule that does what the replay did; so the comparison is exact if its autoscaler does the same."""

        def step(self, now_secs: float, players: int, replicas: int, *, occupied_floor: int = 0) -> Any:
            wanted = replayed[int(now_secs) // 15]
            if wanted == replicas:
                return Hold(reason="in-band")
            return ScaleUp(target_replicas=wanted) if wanted > replicas else ScaleDown(target_replicas=wanted)

    assert compare_policy(scaling, policy, trace, start_replicas=start, rule=Follower()).exact


# --- the checks have teeth


def test_a_rule_that_never_scales_is_told_from_the_autoscaler() -> None:
    class Asleep:
        def step(self, now_secs: float, players: int, replicas: int, *, occupied_floor: int = 0) -> Hold:
            return Hold(reason="in-band")

    compared = compare_policy(T50, hpa(), held((0, 90), (300, 500)), rule=Asleep())

    assert [(each.secs, each.gets) for each in compared.differences] == [(300, 10)]


def test_another_bound_than_the_rules_is_told() -> None:
    compared = compare_policy(T50, hpa(max_replicas=5), held((0, 500)))

    assert outcome(compared) == ("bounds", 0, 10, 5)


# --- what a mode cannot carry


def test_what_mode_pods_cannot_carry_is_told() -> None:
    assert divergences(T50, EXACT) == [
        "a second scale-up does not wait 60 s after the first (D3), nor after a scale-down (D7)",
        "a scale-down waits until no higher count was wanted for 300 s, and not until 300 s after the last change: "
        "dips and lows between peaks remove nothing (D5, D6, D7, D8)",
        "pods without a sample count as full when pods would go, and as empty when pods would come (D14)",
        "players on ending pods do not count (D18)",
    ]


def test_what_mode_legacy_cannot_carry_begins_with_its_tolerance() -> None:
    assert divergences(ScalingConfig(headroom_percent=10), DROPPED)[:2] == [
        "more than 49.5 players a pod add pods, not more than 50 (D11)",
        "fewer than 40.5 players a pod remove pods, not fewer than half of the target (D10)",
    ]


def test_what_mode_desired_cannot_carry_is_a_matter_of_time() -> None:
    assert divergences(T50, EXACT, "desired") == [
        "a scale-down waits until no higher count was recorded for 30 s: it comes as much later, and a shorter dip "
        "removes nothing (D5, D6, D7, D8)",
        "the rule goes by its own last record, and so do its cooldowns; the count may follow later (lag)",
        "without a sample of every pod nothing is removed (D14)",
    ]


def test_sizes_that_round_are_told_only_where_they_do() -> None:
    assert not [line for line in divergences(T50, EXACT) if "D12" in line]
    assert divergences(ScalingConfig(max_replicas=30), EXACT)[-1] == (
        "sizes are reckoned in floats: 350 players on 25 pods become 8, and not 7 (D12)"
    )


@settings(max_examples=150, deadline=None)
@given(SCALINGS, LOADS | ROWS, st.sampled_from(["pods", "desired", "legacy"]), st.sampled_from([EXACT, DROPPED]))
def test_every_difference_was_announced(scaling: ScalingConfig, loads: Any, mode: Any, kubernetes: str) -> None:
    trace = by_sync(loads) if isinstance(loads[0], int) else pods(*loads)
    announced = " ".join(divergences(scaling, kubernetes, mode))

    (compared,) = compare_backends(scaling, trace, kubernetes=kubernetes, backends=[mode], ending_pods=True)

    assert [each.cause.id for each in compared.differences if not re.search(rf"\b{each.cause.id}\b", announced)] == []
