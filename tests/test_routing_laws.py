"""The laws of the routing decision, on random worlds, and that each broken rule breaks one of them."""

import itertools
import math
import random
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from msgspec.structs import replace

from aether_deploy import Region, RegionRoutingConfig
from aether_deploy.problems import (
    DecisionError,
    NoCapacityError,
    NoHealthyRegionError,
    UnknownRegionError,
)
from aether_deploy.routing.decision import candidates, deciding, eligibility, latency, ranking, standing
from aether_deploy.routing.decision.deciding import decide_for_all, decide_route
from aether_deploy.routing.decision.explaining import explain_route
from aether_deploy.routing.policy import NEUTRAL, DampingPolicy, RoutingPolicy
from aether_deploy.routing.request import RouteRequest
from aether_deploy.routing.routed import Failover, Primary, Routed
from aether_deploy.routing.view import RegionView, RoutingView
from tests.routing_oracle import CODES, Answer, World, hard_facts_of, slowly, world_of

SEED = 8
WORLDS = 4_000
NEUTRAL_WORLDS = 30_000


def decided(world: World) -> Routed | type[Exception]:
    try:
        return decide_route(*world)
    except DecisionError as error:
        return type(error)


def answer_of(world: World) -> Answer:
    routed = decided(world)
    if not isinstance(routed, Routed):
        return routed
    if isinstance(routed.decision, Primary):
        return routed.decision.region, "primary", routed.relaxed
    return routed.decision.region, f"failover {routed.decision.reason.partition(':')[0]}", routed.relaxed


def changed(world: World, code: str, **fields: Any) -> World:
    """Return the world with one region changed."""
    policy, view, request = world
    regions = tuple(replace(r, **fields) if r.code == code else replace(r) for r in view.regions)
    return policy, replace(view, regions=regions), request


# --- laws: each takes a world and a chance, and asserts


def the_rules_written_slowly_say_the_same(world: World, chance: random.Random) -> None:
    assert answer_of(world) == slowly(*world)


def equal_worlds_give_equal_answers(world: World, chance: random.Random) -> None:
    policy, view, request = world
    twin = (replace(policy), replace(view, regions=tuple(replace(r) for r in view.regions)), replace(request))

    assert decided(twin) == decided(world) == decided(world)


def primary_is_the_preferred_region_and_failover_another(world: World, chance: random.Random) -> None:
    routed = decided(world)
    if not isinstance(routed, Routed):
        return
    is_preferred = routed.decision.region == routed.preferred
    open_to_all = isinstance(routed.decision, Failover) and routed.decision.reason.startswith("fail_open")

    assert isinstance(routed.decision, Primary) == (is_preferred and not open_to_all)


def there_is_an_answer_exactly_if_a_region_is_healthy_open_and_has_room(world: World, chance: random.Random) -> None:
    policy, view, request = world
    routed = decided(world)
    if routed is UnknownRegionError:
        return
    fit = [r for r in view.regions if r.drain != "hard" and not hard_facts_of(policy, r, request)]
    room = [r for r in fit if not (policy.load and r.load is not None and r.load >= 0.95)]
    healthy = [r for r in room if r.health == "healthy"]

    if healthy:
        assert isinstance(routed, Routed)
        assert routed.decision.region in {r.code for r in healthy}
        assert {*routed.alternates} <= {r.code for r in healthy} - {routed.decision.region}
    elif any(r.health == "healthy" for r in fit):
        assert routed is NoCapacityError
    elif policy.on_none_healthy == "error" or not room:
        assert routed is NoHealthyRegionError
    else:
        assert isinstance(routed, Routed)
        assert isinstance(routed.decision, Failover)
        assert routed.decision.region in {r.code for r in room}
        assert routed.decision.reason.startswith("fail_open: ")


def an_alternate_is_where_he_goes_if_those_before_it_go_down(world: World, chance: random.Random) -> None:
    routed = decided(world)
    if not isinstance(routed, Routed) or (
        isinstance(routed.decision, Failover) and routed.decision.reason.startswith("fail_open")
    ):
        return
    went = [routed.decision.region, *routed.alternates]
    left = world
    for gone, following in itertools.pairwise(went):
        left = changed(left, gone, health="unhealthy")
        then = decided(left)
        assert isinstance(then, Routed)
        assert then.decision.region == following
    if len(went) < 4:
        left = changed(left, went[-1], health="unhealthy")
        then = decided(left)
        assert not isinstance(then, Routed) or "fail_open" in str(then.decision)


def a_constant_on_all_latencies_changes_nothing(world: World, chance: random.Random) -> None:
    policy, view, request = world
    rules = policy.latency
    if request.party or any(r.position for r in view.regions) or (rules and rules.max_ms is not None):
        return
    if rules and request.preferred not in view.by_code and "matrix" in rules.sources:
        return
    more = float(chance.choice([1, 7, 40]))
    regions = tuple(r if r.latency_ms is None else replace(r, latency_ms=r.latency_ms + more) for r in view.regions)
    matrix = {a: {b: ms + more for b, ms in row.items()} for a, row in view.matrix.items()}
    measured = {code: replace(m, rtt_ms=m.rtt_ms + more) for code, m in request.measured.items()}
    shifted = policy, replace(view, regions=regions, matrix=matrix), replace(request, measured=measured)

    assert answer_of(shifted) == answer_of(world)


def the_order_of_regions_matters_only_for_ties(world: World, chance: random.Random) -> None:
    policy, view, request = world
    candidates = explain_route(*world).candidates
    keys = [(each.latency_ms, each.mean_ms) for each in candidates]
    loads = [region.load for region in view.regions]
    tied = policy.latency is not None and (len({*loads}) < len(loads))
    if len({*keys}) < len(keys) or tied:
        return
    shuffled = chance.sample(view.regions, len(view.regions))

    assert answer_of((policy, replace(view, regions=tuple(shuffled)), request)) == answer_of(world)


def losing_a_region_that_was_not_chosen_changes_nothing(world: World, chance: random.Random) -> None:
    policy, view, _ = world
    routed = decided(world)
    code = chance.choice(view.regions).code
    if not isinstance(routed, Routed) or (policy.latency and policy.latency.tie_ms):
        return
    if code in (routed.decision.region, routed.preferred) or "fail_open" in str(routed.decision):
        return
    for loss in ({"health": "unhealthy"}, {"suppressed": True}, {"drain": "hard"}, {"ramp": 0.0}):
        after = decided(changed(world, code, **loss))
        assert isinstance(after, Routed)
        assert (after.decision, after.preferred) == (routed.decision, routed.preferred)


def health_does_not_decide_what_is_preferred(world: World, chance: random.Random) -> None:
    told = explain_route(*world)
    changes = {"health": "unhealthy", "drain": "hard", "suppressed": True}
    for name, value in changes.items():
        after = explain_route(*changed(world, chance.choice(CODES), **{name: value}))
        if "token" not in (told.preferred_by, after.preferred_by):
            assert (after.preferred, after.preferred_by) == (told.preferred, told.preferred_by)


def an_explanation_tells_of_the_decision(world: World, chance: random.Random) -> None:
    told = explain_route(*world)
    routed = decided(world)

    assert (told.routed or (told.error and told.error[0])) == getattr(routed, "__name__", routed)
    if isinstance(routed, Routed) and "fail_open" not in str(routed.decision):
        chosen, *others = told.candidates
        assert [each.code for each in told.candidates if each.chosen] == [chosen.code] == [routed.decision.region]
        assert tuple(each.rule for each in chosen.obstacles) == routed.relaxed
        assert all(each.gave_way for each in chosen.obstacles)
        assert tuple(each.code for each in others[: len(routed.alternates)]) == routed.alternates
        assert all(each.eligible or not all(o.gave_way for o in each.obstacles) for each in others)
        assert {each.code for each in told.candidates} == {region.code for region in world[1].regions}
        assert chosen.latency_ms == routed.latency_ms


def what_is_told_to_all_is_what_everybody_is_told(world: World, chance: random.Random) -> None:
    policy, view, request = world
    try:
        told = decide_for_all(policy, view, request.preferred)
    except DecisionError as error:
        told_error = type(error)
        assert decided((policy, view, RouteRequest(preferred=request.preferred))) is told_error
        return
    fresh = replace(view)  # whose tables do not know what all are told
    fresh_table = candidates.table_of(policy, fresh)
    for name in range(12):
        asked = RouteRequest(player=f"player-{name}", preferred=request.preferred)
        alone = deciding.choose(fresh_table, standing.standing_of(fresh_table, asked))
        assert told is None or alone == told
        assert alone == decide_route(policy, view, asked)


LAWS: tuple[Callable[[World, random.Random], None], ...] = (
    the_rules_written_slowly_say_the_same,
    equal_worlds_give_equal_answers,
    primary_is_the_preferred_region_and_failover_another,
    there_is_an_answer_exactly_if_a_region_is_healthy_open_and_has_room,
    an_alternate_is_where_he_goes_if_those_before_it_go_down,
    a_constant_on_all_latencies_changes_nothing,
    the_order_of_regions_matters_only_for_ties,
    losing_a_region_that_was_not_chosen_changes_nothing,
    health_does_not_decide_what_is_preferred,
    an_explanation_tells_of_the_decision,
    what_is_told_to_all_is_what_everybody_is_told,
)


def sweep(seeds: Iterable[int], laws: Iterable[Callable[[World, random.Random], None]] = LAWS) -> None:
    """Hold the laws on the worlds of some seeds.

    Raises:
        AssertionError: One does not hold; the seed is in its notes.
    """
    for seed in seeds:
        world = world_of(seed, positions=seed % 3 > 0)
        for law in laws:
            try:
                law(world, random.Random(seed))
            except Exception as error:
                raise AssertionError(f"seed {seed}: {law.__name__}: {error!r}\n{world}") from error


def test_the_laws_hold_in_every_world() -> None:
    print(f"seeds {SEED * WORLDS} to {(SEED + 1) * WORLDS}")

    sweep(range(SEED * WORLDS, (SEED + 1) * WORLDS))


# --- the specification's three rules


def three_rules(regions: list[RegionView], preferred: str) -> str | None:
    known = {region.code: region for region in regions}
    if preferred in known and known[preferred].health == "healthy":
        return preferred
    healthy = [region for region in regions if region.health == "healthy"]
    return min(healthy, key=lambda region: region.latency_ms).code if healthy else None  # type: ignore[arg-type,return-value]


def test_without_blocks_the_policy_is_the_three_rules() -> None:
    print(f"seeds 0 to {NEUTRAL_WORLDS}")
    chance = random.Random(SEED)
    for seed in range(NEUTRAL_WORLDS):
        codes = chance.sample(CODES, chance.randint(1, len(CODES)))
        healths = [chance.choice(["healthy", "unhealthy"]) for _ in codes]
        latencies = [float(chance.randint(0, 9) if seed % 2 else chance.randint(0, 300)) for _ in codes]
        views = zip(codes, latencies, healths, strict=True)
        regions = [RegionView(code=c, latency_ms=ms, health=health) for c, ms, health in views]  # type: ignore[arg-type]
        preferred = chance.choice((*CODES, "mars"))
        request = RouteRequest(player=str(seed), preferred=preferred)

        routed = decided((NEUTRAL, RoutingView(regions=tuple(regions)), request))

        expected = three_rules(regions, preferred)
        if expected is None:
            assert routed is NoHealthyRegionError
        else:
            assert isinstance(routed, Routed)
            assert (routed.decision.region, isinstance(routed.decision, Primary)) == (expected, expected == preferred)
            assert routed.relaxed == ()


def test_the_specifications_configuration_decides_by_the_same_function(monkeypatch: pytest.MonkeyPatch) -> None:
    config = RegionRoutingConfig(
        regions=(Region(code="a", latency_ms=9, healthy=False), Region(code="b", latency_ms=5))
    )
    seen: list[RouteRequest] = []

    def watched(policy: RoutingPolicy, view: RoutingView, request: RouteRequest) -> Routed:
        seen.append(request)
        return decide_route(policy, view, request)

    monkeypatch.setattr("aether_deploy.routing.config.decide_route", watched)

    assert config.route_player("a") == Failover(region="b", reason="preferred_unhealthy")
    assert seen == [RouteRequest(preferred="a")]


def test_a_changed_configuration_forgets_what_the_old_one_prepared() -> None:
    config = RegionRoutingConfig(regions=(Region(code="a", latency_ms=9), Region(code="b", latency_ms=5)))
    before = config.route_player("a")

    changed_config = replace(config, regions=(Region(code="a", latency_ms=9, healthy=False), config.regions[1]))

    assert (before, config.route_player("a")) == (Primary(region="a"), Primary(region="a"))
    assert changed_config.route_player("a") == Failover(region="b", reason="preferred_unhealthy")
    assert changed_config != config
    assert RegionRoutingConfig.from_values(config.to_values()) == config


def test_what_a_view_keeps_for_one_policy_is_not_used_for_another() -> None:
    view = RoutingView(
        regions=(RegionView(code="a", latency_ms=9.0, suppressed=True), RegionView(code="b", latency_ms=99.0))
    )
    request = RouteRequest(preferred="a")
    damped = RoutingPolicy(damping=DampingPolicy())

    routed = [decide_route(policy, view, request).decision.region for policy in (NEUTRAL, damped, NEUTRAL, damped)]

    assert routed == ["a", "b", "a", "b"]


def test_names_that_strangers_make_up_are_not_kept() -> None:
    view = RoutingView(regions=(RegionView(code="a", latency_ms=9.0),))
    for number in range(100):
        decide_route(NEUTRAL, view, RouteRequest(preferred=f"stranger-{number}"))

    assert candidates.table_of(NEUTRAL, view).plain == {}


# --- teeth


def _no_ladder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranking, "LAST_LEVEL", 0)


def _hard_drain_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "DRAINED", eligibility.DRAIN)


def _hard_load_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "FULL", eligibility.SOFT_LOAD)


def _ladder_in_another_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "DAMPING", eligibility.RAMP)
    monkeypatch.setattr(candidates, "RAMP", eligibility.DAMPING)


def _builds_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "WRONG_BUILD", 0)


def _residency_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "NOT_ALLOWED", eligibility.LATENCY)


def _everybody_is_in_every_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eligibility.Share, "keeps_out", lambda share, player: False)


def _shares_by_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(1)
    monkeypatch.setattr(eligibility.Share, "keeps_out", lambda share, player: chance.random() >= share.taken)


def _a_step_instead_of_a_spill(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "spill_share", lambda load, soft, hard: float(load >= soft))


def _the_cap_never_widens(monkeypatch: pytest.MonkeyPatch) -> None:
    original = candidates.CandidateTable.cap_ms
    monkeypatch.setattr(candidates.CandidateTable, "cap_ms", lambda table, waited_secs: original(table, 0.0))


def _unknown_is_beyond_the_cap(monkeypatch: pytest.MonkeyPatch) -> None:
    original = candidates.CandidateTable.masks_for

    def masks_for(table: Any, request: Any, returning: Any, latencies: Any, *others: Any) -> list[int]:
        return original(table, request, returning, [1e9 if x == math.inf else x for x in latencies], *others)

    monkeypatch.setattr(candidates.CandidateTable, "masks_for", masks_for)


def _ties_by_file_order_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranking, "_least_loaded", lambda table, standing, levels, left, tie_ms: left[0])


def _unknown_health_is_healthy(monkeypatch: pytest.MonkeyPatch) -> None:
    original = candidates._lasting
    monkeypatch.setattr(
        candidates,
        "_lasting",
        lambda policy, r: original(policy, replace(r, health="healthy") if r.health == "unknown" else r),
    )


def _health_decides_what_is_preferred(monkeypatch: pytest.MonkeyPatch) -> None:
    original = standing._prefer

    def prefer(table: Any, stands: Any, chosen: str | None, keys: Any) -> None:
        sick = [mask >= eligibility.FULL for mask in stands.masks]
        original(table, stands, chosen, [(s, key) for s, key in zip(sick, keys, strict=True)])

    monkeypatch.setattr(standing, "_prefer", prefer)


def _every_measurement_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latency, "POSSIBLE_MS_PER_KM", 0.0)


def _jitter_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latency, "JITTER_WEIGHT", 0.0)


def _a_party_by_its_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    original = standing._party

    def party(*arguments: Any) -> Any:
        stands: Any = original(*arguments)
        stands.latencies, stands.means = stands.means, stands.latencies
        standing._prefer(arguments[0], stands, None, list(zip(stands.latencies, stands.means, strict=True)))
        return stands

    monkeypatch.setattr(standing, "_party", party)


def _nobody_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "_is_away", lambda region, hold_secs: False)


def _failing_open_says_primary(monkeypatch: pytest.MonkeyPatch) -> None:
    original = deciding._without_a_region

    def without(*arguments: Any) -> Routed:
        routed = original(*arguments)
        return replace(routed, decision=Primary(region=routed.decision.region))

    monkeypatch.setattr(deciding, "_without_a_region", without)


def _failing_open_forgets_hard_facts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deciding, "HARD", eligibility.UNHEALTHY)


def _capacity_is_no_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deciding, "FULL", -1)


MUTANTS = (
    _no_ladder, _hard_drain_gives_way, _hard_load_gives_way, _ladder_in_another_order, _builds_do_not_count,
    _residency_gives_way, _everybody_is_in_every_share, _shares_by_chance, _a_step_instead_of_a_spill,
    _the_cap_never_widens, _unknown_is_beyond_the_cap, _ties_by_file_order_alone, _unknown_health_is_healthy,
    _health_decides_what_is_preferred, _every_measurement_is_believed, _jitter_costs_nothing, _a_party_by_its_mean,
    _nobody_is_held, _failing_open_says_primary, _failing_open_forgets_hard_facts, _capacity_is_no_reason,
)  # fmt: skip


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__.strip("_"))
def test_a_broken_rule_is_caught(mutant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch) -> None:
    mutant(monkeypatch)

    with pytest.raises(AssertionError, match=r"seed [0-9]+: "):
        sweep(range(WORLDS))


LAWS_ALONE = (
    (_no_ladder, there_is_an_answer_exactly_if_a_region_is_healthy_open_and_has_room),
    (_hard_drain_gives_way, there_is_an_answer_exactly_if_a_region_is_healthy_open_and_has_room),
    (_hard_load_gives_way, there_is_an_answer_exactly_if_a_region_is_healthy_open_and_has_room),
    (_builds_do_not_count, there_is_an_answer_exactly_if_a_region_is_healthy_open_and_has_room),
    (_residency_gives_way, there_is_an_answer_exactly_if_a_region_is_healthy_open_and_has_room),
    (_unknown_health_is_healthy, there_is_an_answer_exactly_if_a_region_is_healthy_open_and_has_room),
    (_failing_open_says_primary, primary_is_the_preferred_region_and_failover_another),
    (_failing_open_forgets_hard_facts, there_is_an_answer_exactly_if_a_region_is_healthy_open_and_has_room),
    (_capacity_is_no_reason, there_is_an_answer_exactly_if_a_region_is_healthy_open_and_has_room),
    (_shares_by_chance, equal_worlds_give_equal_answers),
    (_health_decides_what_is_preferred, health_does_not_decide_what_is_preferred),
)


@pytest.mark.parametrize("mutant, law", LAWS_ALONE, ids=lambda each: each.__name__.strip("_"))
def test_the_law_alone_catches(
    mutant: Callable[[pytest.MonkeyPatch], None],
    law: Callable[[World, random.Random], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mutant(monkeypatch)

    with pytest.raises(AssertionError, match=f"seed [0-9]+: {law.__name__}"):
        sweep(range(WORLDS), [law])
