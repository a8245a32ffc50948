"""What a lint says of a policy: every proof judged by trying all players and all counts of small policies."""

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aether_deploy import ScalingConfig
from aether_deploy.scaling.controller.policy import Direction, HpaPolicy, MetricTarget, RatePolicy
from aether_deploy.scaling.controller.reconcile import HpaController
from aether_deploy.scaling.controller.seen import PodTotals, Seen
from aether_deploy.simulation.backends import compile_policy
from aether_deploy.simulation.findings import Finding
from aether_deploy.simulation.instant import Bands, HpaInstant, Instant, RuleInstant
from aether_deploy.simulation.lint import lint_policy
from aether_deploy.simulation.proofs import (
    Difference,
    Move,
    Turn,
    find_other_size,
    find_turn,
    late_growth,
    late_shrinking,
    never_grows,
    restless_counts,
    unreachable_counts,
)
from aether_deploy.simulation.surge import Surge, replay_surge

EXACT, DROPPED = "v1.37", "v1.34"

# --- what is wanted at once


def small_scaling(target: int, least: int, more: int, **rest: Any) -> ScalingConfig:
    return ScalingConfig(target_players_per_pod=target, min_replicas=least, max_replicas=least + more, **rest)


SMALL = st.builds(
    small_scaling,
    st.integers(1, 12),
    st.integers(1, 5),
    st.integers(0, 9),
    headroom_percent=st.integers(0, 50),
    max_step_up=st.none() | st.integers(1, 4),
    max_step_down=st.none() | st.integers(1, 4),
    mode=st.sampled_from(["auto", "desired"]),
)
VERSIONS = st.sampled_from([EXACT, DROPPED])
RATES = st.builds(
    RatePolicy, type=st.sampled_from(["Pods", "Percent"]), value=st.integers(1, 100), period_secs=st.just(15)
)
DIRECTIONS = st.builds(
    Direction,
    window_secs=st.sampled_from([0, 60, 300]),
    tolerance=st.sampled_from([0.0, 0.1, 0.2, 0.5, 0.9]),
    select=st.sampled_from(["Max", "Min", "Disabled"]),
    policies=st.tuples(RATES) | st.tuples(RATES, RATES),
)
FOREIGN = st.builds(
    HpaPolicy,
    min_replicas=st.integers(1, 4),
    max_replicas=st.integers(4, 12),
    metrics=st.builds(
        lambda target: (MetricTarget(source="Pods", name="players", kind="AverageValue", target=target),),
        st.integers(300, 12_000),
    ),
    up=DIRECTIONS,
    down=DIRECTIONS,
    has_behavior=st.booleans(),
)


def bands_of(scaling: ScalingConfig, kubernetes: str) -> tuple[Bands, Bands]:
    hpa = compile_policy(scaling, "hpa", kubernetes=kubernetes)
    return Bands(RuleInstant(scaling)), Bands(HpaInstant(hpa, scaling))


def players_of(instant: Instant) -> range:
    """More players than any of these small policies tells apart."""
    return range(12 * instant.most * 2 + 20)


@settings(deadline=None)
@given(FOREIGN, st.integers(0, 400), st.data())
def test_the_autoscaler_at_once_is_the_controller_without_history(
    hpa: HpaPolicy, players: int, data: st.DataObject
) -> None:
    replicas = data.draw(st.integers(hpa.min_replicas, hpa.max_replicas))
    seen = Seen(spec_replicas=replicas, values={"players": PodTotals(counted=replicas, sum_milli=1000 * players)})

    sync = HpaController(hpa, history=()).sync(0.0, seen)

    assert HpaInstant(hpa, ScalingConfig()).propose(players, replicas) == sync.replicas


@settings(deadline=None)
@given(SMALL, VERSIONS)
def test_what_is_wanted_never_falls_with_players(scaling: ScalingConfig, kubernetes: str) -> None:
    for bands in bands_of(scaling, kubernetes):
        instant = bands.instant
        for n in range(instant.least, instant.most + 1):
            wanted = [instant.propose(players, n) for players in players_of(instant)]
            assert wanted == sorted(wanted)
            assert all(instant.least <= count <= instant.most for count in wanted)


@settings(deadline=None)
@given(SMALL, VERSIONS)
def test_nothing_shrinks_below_the_fewest_or_grows_above_the_largest(scaling: ScalingConfig, kubernetes: str) -> None:
    for bands in bands_of(scaling, kubernetes):
        instant = bands.instant
        for n in range(instant.least, instant.most + 1):
            for players in players_of(instant):
                wanted = instant.propose(players, n)
                assert wanted >= min(instant.fewest(players), n)
                assert wanted <= max(instant.largest(players), n)


@settings(deadline=None)
@given(SMALL, st.data())
def test_what_a_limit_keeps_beyond_the_size_has_room_for_a_pod_of_players(
    scaling: ScalingConfig, data: st.DataObject
) -> None:
    rule = RuleInstant(scaling)
    replicas = data.draw(st.integers(rule.least, rule.most))
    players = data.draw(st.integers(0, 150))
    kept = data.draw(st.integers(rule.fewest(players) + 1, rule.most + 1))
    change = data.draw(st.integers(0, scaling.target_players_per_pod))

    if rule.propose(players, replicas) < kept <= replicas:
        assert rule.propose(players + change, kept) <= kept


# --- proofs against trying everything


def every_move(instant: Instant) -> Iterator[Move]:
    for n in range(instant.least, instant.most + 1):
        for players in players_of(instant):
            yield Move(players, n, instant.propose(players, n))


def brute_turn(instant: Instant, change: int, turn: Turn) -> tuple[Move, Move] | None:
    """The smallest case, found by trying all."""
    for first in every_move(instant):
        down = turn == "down-up"
        if (first.becomes < first.replicas) if down else (first.becomes > first.replicas):
            after = first.players + change if down else max(first.players - change, 0)
            second = Move(after, first.becomes, instant.propose(after, first.becomes))
            if (second.becomes > second.replicas) if down else (second.becomes < second.replicas):
                return first, second
    return None


@settings(max_examples=150, deadline=None)
@given(SMALL, VERSIONS, st.integers(0, 12), st.sampled_from(["down-up", "up-down"]))
def test_a_flap_is_found_exactly_where_one_is(scaling: ScalingConfig, kubernetes: str, change: int, turn: Turn) -> None:
    for bands in bands_of(scaling, kubernetes):
        assert find_turn(bands, change, turn) == brute_turn(bands.instant, change, turn)


@settings(deadline=None)
@given(FOREIGN, st.integers(0, 12), st.sampled_from(["down-up", "up-down"]))
def test_a_flap_of_any_autoscaler_is_found_exactly_where_one_is(hpa: HpaPolicy, change: int, turn: Turn) -> None:
    bands = Bands(HpaInstant(hpa, ScalingConfig()))

    assert find_turn(bands, change, turn) == brute_turn(bands.instant, change, turn)


@settings(deadline=None)
@given(SMALL, VERSIONS)
def test_bands_are_those_found_by_trying_all_players(scaling: ScalingConfig, kubernetes: str) -> None:
    for bands in bands_of(scaling, kubernetes):
        instant = bands.instant
        for n in range(instant.least, instant.most + 1):
            wanted = [instant.propose(players, n) for players in players_of(instant)]
            grows = [players for players, count in enumerate(wanted) if count > n]
            shrinks = [players for players, count in enumerate(wanted) if count < n]

            assert bands.grows[n] == (grows[0] if grows else None)
            assert bands.shrinks[n] == (shrinks[-1] if shrinks else -1)


@settings(deadline=None)
@given(SMALL, VERSIONS)
def test_another_size_is_found_exactly_where_one_is(scaling: ScalingConfig, kubernetes: str) -> None:
    rule, other = bands_of(scaling, kubernetes)
    assert isinstance(rule.instant, RuleInstant)
    differing = (
        (move, Move(move.players, move.replicas, gets))
        for move in every_move(rule.instant)
        if (gets := other.instant.propose(move.players, move.replicas)) != move.becomes
        and (gets - move.replicas) * (move.becomes - move.replicas) > 0
    )

    assert (find_other_size(rule.instant, other) is None) == (next(differing, None) is None)


@settings(deadline=None)
@given(SMALL, VERSIONS)
def test_counts_that_nothing_leads_to_or_leaves_are_found(scaling: ScalingConfig, kubernetes: str) -> None:
    for bands in bands_of(scaling, kubernetes):
        moves = list(every_move(bands.instant))
        counts = range(bands.instant.least, bands.instant.most + 1)
        reached = {move.becomes for move in moves if move.becomes != move.replicas}
        resting = {move.replicas for move in moves if move.becomes == move.replicas}
        growing = {move.replicas for move in moves if move.becomes > move.replicas}

        assert list(unreachable_counts(bands)) == [n for n in counts if n not in reached and len(counts) > 1]
        assert list(restless_counts(bands)) == [n for n in counts if n not in resting]
        assert list(never_grows(bands)) == [n for n in counts if n not in growing and n < bands.instant.most]


@pytest.mark.parametrize("kubernetes", [EXACT, DROPPED])
def test_bands_that_differ_hold_exactly_the_players_on_whom_both_differ(kubernetes: str) -> None:
    rule, other = bands_of(ScalingConfig(headroom_percent=10), kubernetes)
    late = {(each.replicas, p) for each in late_growth(rule, other) for p in range(each.least, each.most + 1)}
    early = {(each.replicas, p) for each in late_shrinking(other, rule) for p in range(each.least, each.most + 1)}
    everything = [(n, p) for n in range(2, 21) for p in range(1500)]

    def moves(bands: Bands, n: int, players: int) -> int:
        return bands.instant.propose(players, n) - n

    assert late == {case for case in everything if moves(rule, *case) > 0 >= moves(other, *case) == 0}
    assert early == {case for case in everything if moves(other, *case) < 0 <= moves(rule, *case) == 0}


# --- what is known of the divergences


def lint(scaling: ScalingConfig, kubernetes: str = EXACT, **rest: Any) -> list[Finding]:
    return lint_policy(scaling, compile_policy(scaling, "hpa", kubernetes=kubernetes), kubernetes=kubernetes, **rest)


def by_rule(findings: list[Finding]) -> dict[str, list[Finding]]:
    found: dict[str, list[Finding]] = {}
    for finding in findings:
        found.setdefault(finding.rule, []).append(finding)
    return found


def test_of_the_defaults_only_the_missing_headroom_is_told() -> None:
    (finding,) = lint(ScalingConfig())

    assert finding == Finding(
        rule="flap",
        severity="warning",
        backends=("decide", "hpa"),
        text="100 players on 5 pods want 2, and 101 on those 2 want 3: the cooldowns let that happen every 360 s, "
        "the autoscaler's windows every 300 s",
        counterexample=(Move(100, 5, 2), Move(101, 2, 3)),
        fix="set headroom_percent to 10",
        suggestion={"headroom_percent": 10},
        cause="D24",
    )
    assert str(finding) == (
        "warning: flap (decide, hpa): 100 players on 5 pods want 2, and 101 on those 2 want 3: the cooldowns let that "
        "happen every 360 s, the autoscaler's windows every 300 s\n  fix: set headroom_percent to 10"
    )


def test_a_policy_with_headroom_is_clean() -> None:
    assert lint(ScalingConfig(headroom_percent=10)) == []


def test_where_tolerance_is_dropped_pods_go_early_and_overload_stays() -> None:
    found = by_rule(lint(ScalingConfig(), DROPPED))

    assert [(rule, each.backends, each.cause) for rule, group in found.items() for each in group] == [
        ("flap", ("decide",), "D24"),
        ("flap", ("hpa",), ""),
        ("overload-stays", ("hpa",), "D11"),
        ("early-shrink", ("hpa",), "D10"),
    ]
    assert found["overload-stays"][0].text == (
        "101 to 110 players on 2 pods stay there for ever, where the rule wants 3; on 2 pods up to 110 % of the target"
    )
    assert found["early-shrink"][0].text == "75 to 100 players on 3 pods become 2, where the rule keeps 3"


def test_the_traces_of_dropped_tolerance_lie_in_what_is_found() -> None:
    rule, other = bands_of(ScalingConfig(), DROPPED)

    assert Difference(replicas=10, least=501, most=550) in list(late_growth(rule, other))  # D11: 540
    assert Difference(replicas=10, least=250, most=449) in list(late_shrinking(other, rule))  # D10: 440


def test_floats_that_round_up_are_found() -> None:
    (finding,) = by_rule(lint(ScalingConfig(max_replicas=30)))["size-differs"]

    assert (finding.cause, finding.text) == (
        "D12",
        "350 players on 25 pods become 8, by the rule 7: the autoscaler reckons in floats",
    )


def foreign(**changed: Any) -> HpaPolicy:
    return msgspec.structs.replace(
        compile_policy(ScalingConfig(headroom_percent=10), "hpa", kubernetes=EXACT), **changed
    )


def test_a_percentage_that_rounds_is_found() -> None:
    down = msgspec.structs.replace(foreign().down, policies=(RatePolicy(type="Percent", value=80, period_secs=15),))

    scaling = ScalingConfig(headroom_percent=10, min_replicas=1, max_replicas=12)

    findings = lint_policy(scaling, foreign(min_replicas=1, max_replicas=12, down=down), kubernetes=EXACT)

    (finding,) = by_rule(findings)["percent-rounds"]
    assert (finding.rule, finding.severity, finding.cause) == ("percent-rounds", "warning", "D23")
    assert finding.text == "80 % of 10 pods down is reckoned in floats: the limit is 1, exactly it would be 2"


def test_an_autoscaler_that_may_not_grow_is_an_error() -> None:
    up = msgspec.structs.replace(foreign().up, select="Disabled")

    findings = lint_policy(ScalingConfig(headroom_percent=10), foreign(up=up), kubernetes=EXACT)

    assert (findings[0].rule, findings[0].severity) == ("max-unreached", "error")
    assert findings[0].text == "no number of players makes 2 pods more; max_replicas is 20"
    assert findings[0].fix == "render the autoscaler from these settings"


def test_a_count_that_headroom_skips_is_a_note() -> None:
    found = by_rule(lint(ScalingConfig(min_replicas=9, max_replicas=12, headroom_percent=20)))

    assert [each.text for each in found["unreachable"]] == ["no number of players leads to 10 or 11 pods"]


def test_a_count_that_cannot_rest_is_found() -> None:
    metric = MetricTarget(source="Pods", name="players", kind="AverageValue", target=300)
    exact = Direction(window_secs=300, tolerance=0.0, select="Max", policies=foreign().up.policies)

    findings = lint_policy(
        ScalingConfig(target_players_per_pod=1, headroom_percent=10),
        foreign(metrics=(metric,), up=exact, down=exact),
        kubernetes=EXACT,
    )

    (finding,) = by_rule(findings)["restless"]
    assert finding.text == "no number of players leaves alone 3, 5, 6, 8, 9 pods or 7 more counts"


def test_a_window_of_one_sample_is_found_and_a_longer_one_suggested() -> None:
    scaling = ScalingConfig(scale_up_cooldown_secs=0, scale_down_cooldown_secs=20, headroom_percent=10)

    (finding,) = lint(scaling)

    assert finding.text == "scaling down waits 20 s, less than two scrapes (30 s): one bad sample removes pods"
    assert (finding.backends, finding.suggestion) == (("decide", "hpa"), {"scale_down_cooldown_secs": 30})


def test_a_period_that_is_over_before_the_next_sync_is_found() -> None:
    up = msgspec.structs.replace(foreign().up, policies=(RatePolicy(type="Pods", value=4, period_secs=5),))

    found = by_rule(lint_policy(ScalingConfig(headroom_percent=10), foreign(up=up), kubernetes=EXACT))

    assert [each.text for each in found["period-short"]] == [
        "a policy of scaling up has a period of 5 s, which is over before the next sync: it allows 4 pods at each "
        "sync, every 15 s"
    ]


def test_without_an_autoscaler_the_rule_is_judged_alone() -> None:
    (finding,) = lint_policy(ScalingConfig(), None, kubernetes=DROPPED)

    assert (finding.backends, finding.suggestion) == (("decide",), {"headroom_percent": 10})


def test_a_larger_change_needs_more_headroom() -> None:
    (finding,) = lint(ScalingConfig(headroom_percent=10), change=20)

    assert (finding.counterexample, finding.suggestion) == (
        (Move(81, 4, 2), Move(101, 2, 3)),
        {"headroom_percent": 20},
    )


def test_a_change_of_more_than_a_pod_is_refused() -> None:
    with pytest.raises(ValueError, match="a change of 51 players is not from 0 to target_players_per_pod"):
        lint(ScalingConfig(), change=51)


# --- suggestions


LINTED = st.builds(
    small_scaling,
    st.integers(1, 100),
    st.integers(1, 6),
    st.integers(0, 12),
    headroom_percent=st.integers(0, 50),
    max_step_down=st.none() | st.integers(1, 4),
    scale_down_cooldown_secs=st.integers(0, 600),
    scale_up_cooldown_secs=st.integers(0, 600),
    mode=st.sampled_from(["auto", "legacy", "desired"]),
)


@settings(max_examples=60, deadline=None)
@given(LINTED, VERSIONS)
def test_a_policy_with_the_suggestion_has_not_the_finding(scaling: ScalingConfig, kubernetes: str) -> None:
    for finding in lint(scaling, kubernetes):
        if finding.suggestion:
            better = ScalingConfig(**msgspec.structs.asdict(scaling) | dict(finding.suggestion))
            after = lint(better, kubernetes)

            assert not [
                each
                for each in after
                if each.rule == finding.rule and not set(each.backends).isdisjoint(finding.backends)
            ]


@settings(deadline=None)
@given(LINTED, VERSIONS)
def test_a_counterexample_is_what_the_policy_does(scaling: ScalingConfig, kubernetes: str) -> None:
    rule, other = bands_of(scaling, kubernetes)
    for finding in lint(scaling, kubernetes):
        for backend in finding.backends:
            instant = (rule if backend == "decide" else other).instant
            for move in finding.counterexample:
                if finding.rule != "percent-rounds":
                    assert instant.propose(move.players, move.replicas) == move.becomes


def test_findings_are_data() -> None:
    assert json.loads(msgspec.json.encode(lint(ScalingConfig())[0]))["counterexample"] == [
        {"players": 100, "replicas": 5, "becomes": 2},
        {"players": 101, "replicas": 2, "becomes": 3},
    ]


# --- surges


def test_a_surge_beyond_the_maximum_is_an_error_that_says_how_many_pods_it_needs() -> None:
    findings = lint(ScalingConfig(headroom_percent=10), surge=Surge(players=2000, within_secs=600))

    assert [(each.rule, each.severity, each.text, each.suggestion) for each in findings] == [
        ("surge", "error", "2000 players within 600 s need 40 pods, and max_replicas is 20", {"max_replicas": 40})
    ]


def test_a_surge_that_is_served_is_not_told() -> None:
    assert lint(ScalingConfig(headroom_percent=10), surge=Surge(players=900, within_secs=600)) == []


def test_steps_that_are_too_small_for_a_surge_are_found() -> None:
    scaling = ScalingConfig(headroom_percent=10, max_step_up=1)

    findings = lint(scaling, surge=Surge(players=900, within_secs=120))

    assert [(each.backends, each.severity, each.text) for each in findings] == [
        (
            ("decide",),
            "warning",
            "900 players within 120 s get 18 of 18 pods, and after 975 s a place each; a pod has up to 600 % of the "
            "target",
        ),
        (
            ("hpa",),
            "warning",
            "900 players within 120 s get 18 of 18 pods, and after 975 s a place each; a pod has up to 600 % of the "
            "target",
        ),
    ]


def test_a_surge_that_tolerance_leaves_standing_is_found() -> None:
    findings = by_rule(lint(ScalingConfig(), DROPPED, surge=Surge(players=900, within_secs=600)))["surge"]

    assert [(each.backends, each.fix) for each in findings] == [
        (("hpa",), "declare v1.35 or newer once the cluster runs it")
    ]
    assert "get 17 of 18 pods, and never a place each" in findings[0].text


def test_a_surge_is_counted_step_by_step() -> None:
    class AtOnce:
        reason = ""

        def wanted(self, secs: int, players: int, replicas: int, running: int) -> int:
            return max(replicas, -(-players // 10))

        def wanted_by_pod(self, secs: int, loads: Any, replicas: int) -> int:
            raise NotImplementedError

    outcome = replay_surge(
        AtOnce(), Surge(players=100, within_secs=60), target=10, least=1, most=20, scrape_interval_secs=15
    )

    assert (outcome.needed, outcome.replicas, outcome.wanted_secs, outcome.served_secs) == (10, 10, 60, 120)


SURGES = {
    "2000/600": Surge(players=2000, within_secs=600),
    "2000/600+90": Surge(players=2000, within_secs=600, pod_start_secs=90),
    "5/0": Surge(players=5, within_secs=0),
}


@pytest.mark.parametrize("text", SURGES)
def test_a_surge_is_read(text: str) -> None:
    assert Surge.parse(text) == SURGES[text]


@pytest.mark.parametrize("text", ["", "2000", "2000/", "a/b", "-1/5", "1/5+", "1/5 "])
def test_text_that_is_no_surge_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a surge: write PLAYERS/SECS"):
        Surge.parse(text)


def test_all_at_once_is_a_surge_too() -> None:
    assert [Surge(players=7, within_secs=0).players_at(secs) for secs in (0, 1)] == [7, 7]


# --- the checks have teeth


class Flapping:
    """Grows at a target of 10 and shrinks at one of 11: never content on two pods with 21 players."""

    name = "decide"
    least, most = 1, 4

    def propose(self, players: int, replicas: int) -> int:
        if players > 10 * replicas:
            return min(max(-(-players // 10), replicas), 4)
        return max(min(-(-players // 11), replicas), 1)

    def fewest(self, players: int) -> int:
        return 1

    def largest(self, players: int) -> int:
        return 4


def test_a_rule_that_contradicts_itself_flaps_with_nobody_coming_or_going() -> None:
    bands = Bands(Flapping())  # type: ignore[arg-type]

    assert find_turn(bands, 0, "down-up") == brute_turn(Flapping(), 0, "down-up")  # type: ignore[arg-type]
    assert find_turn(bands, 0, "down-up") is not None


def test_a_suggestion_that_does_not_help_would_be_seen() -> None:
    (finding,) = lint(ScalingConfig(min_replicas=3))

    useless = by_rule(lint(ScalingConfig(min_replicas=3, scale_down_cooldown_secs=600)))

    assert useless["flap"][0].counterexample == finding.counterexample
