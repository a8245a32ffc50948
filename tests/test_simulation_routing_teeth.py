"""A broken rule is caught: each of these routers breaks one, and a promise with it."""

import math
from collections.abc import Callable
from itertools import count
from typing import Any

import msgspec
import pytest

from aether_deploy.problems import InvariantError
from aether_deploy.routing.decision.deciding import decide_route
from aether_deploy.routing.policy import DampingPolicy, HealthPolicy, RoutingPolicy
from aether_deploy.routing.request import RouteRequest
from aether_deploy.routing.routed import Failover, Primary, Routed
from aether_deploy.routing.router_config import RouterConfig, RouterLink
from aether_deploy.routing.tracking import region_track as track
from aether_deploy.routing.tracking.capacity import LoadBook, LoadReport, Reservation
from aether_deploy.routing.tracking.damping import Damping
from aether_deploy.routing.tracking.draining import Drain
from aether_deploy.routing.tracking.guard import BlindGuard
from aether_deploy.routing.tracking.health import HealthCount, ProbeOutcome
from aether_deploy.routing.tracking.steady_clock import SteadyClock
from aether_deploy.routing.tracking.tracker import RegionTracker
from aether_deploy.routing.view import RegionView, RoutingView
from aether_deploy.simulation.routing.checking import Decide
from aether_deploy.simulation.routing.events import FAULT_KINDS, FaultKind
from aether_deploy.simulation.routing.rules import PRODUCTION, Rules
from aether_deploy.simulation.routing.simulating import simulate_routing
from tests.routing_worlds import router

TRIES = 12
FIRST_SEED = 500
FIRST_SEEDS = {  # of those that need luck: the first one that is known to tell, so that nobody waits for it
    "soft drains are ignored": 501,
    "rest is ignored": 503,
    "a reload ends what came after a rest": 505,
}


def sweep(
    rules: Rules,
    kinds: tuple[FaultKind, ...],
    *,
    case: str = "",
    tries: int = TRIES,
    config: RouterConfig | None = None,
) -> None:
    first = FIRST_SEEDS.get(case, FIRST_SEED)
    for seed in range(first, first + tries):
        simulate_routing(config or router(), seed=seed, hours=0.04, fault_every_secs=8, kinds=kinds, rules=rules)


# --- decisions that break a rule


def _seeing(change: Callable[[RegionView], RegionView]) -> Decide:
    """Return a decision that sees regions as they are not."""

    def decide(policy: RoutingPolicy, view: RoutingView, request: RouteRequest) -> Routed:
        regions = tuple(change(region) for region in view.regions)
        return decide_route(policy, RoutingView(regions=regions, matrix=view.matrix, epoch=view.epoch), request)

    return decide


def _asked(change: Callable[[RouteRequest, RoutingView], RouteRequest]) -> Decide:
    """Return a decision that hears questions that nobody asked."""
    return lambda policy, view, request: decide_route(policy, view, change(request, view))


def _told(change: Callable[[Primary | Failover, RouteRequest], Primary | Failover]) -> Decide:
    """Return a decision that tells another one."""

    def decide(policy: RoutingPolicy, view: RoutingView, request: RouteRequest) -> Routed:
        routed = decide_route(policy, view, request)
        return msgspec.structs.replace(routed, decision=change(routed.decision, request))

    return decide


def _with(**values: Any) -> Callable[[RegionView], RegionView]:
    return lambda region: msgspec.structs.replace(region, **values)


def _rests_as_if_down(region: RegionView) -> RegionView:
    return msgspec.structs.replace(region, health="unhealthy") if region.suppressed else region


def _warms_up_as_if_down(region: RegionView) -> RegionView:
    return msgspec.structs.replace(region, health="unhealthy") if region.ramp < 1 else region


def _drains_hard_only(region: RegionView) -> RegionView:
    return msgspec.structs.replace(region, drain="none") if region.drain == "soft" else region


def _failover_home(decision: Primary | Failover, request: RouteRequest) -> Primary | Failover:
    return Failover(region=decision.region, reason="preferred_unhealthy") if request.preferred else decision


_chances = count()
DECISIONS: dict[str, tuple[Decide, tuple[FaultKind, ...], str]] = {
    "the unhealthy take players": (_seeing(_with(health="healthy")), ("down",), "which may not take him"),
    "hard drains are ignored": (_seeing(_with(drain="none")), ("drain",), "which may not take him"),
    "full regions take players": (_seeing(_with(load=0.0)), ("surge",), "may not take him"),
    "soft drains are ignored": (_seeing(_drains_hard_only), ("drain",), "was better"),
    "rest is ignored": (_seeing(_with(suppressed=False)), ("flaps",), "was better"),
    "rest empties the set": (_seeing(_rests_as_if_down), ("flaps", "down"), "was refused|may take him|was better"),
    "warming up empties the set": (_seeing(_warms_up_as_if_down), ("down",), "was refused .* may take him"),
    "who is home is told that he is not": (_told(_failover_home), ("reload",), "was told Failover"),
    "chance decides": (
        _asked(lambda request, _: msgspec.structs.replace(request, player=f"{next(_chances)}")),
        ("down",),
        "asked twice",
    ),
    "nobody is held": (
        _asked(lambda request, _: msgspec.structs.replace(request, joining=True)),
        ("down",),
        "is held",
    ),
    "who was sent away is held for ever": (_seeing(_with(healthy_secs=0.0)), ("down",), "was not sent home"),
}


@pytest.mark.parametrize("case", DECISIONS)
def test_a_decision_that_breaks_a_rule_is_caught_where(case: str) -> None:
    decide, kinds, says = DECISIONS[case]

    with pytest.raises(InvariantError, match=says) as caught:
        sweep(Rules(decide=decide), kinds, case=case)

    assert "\nseed " in str(caught.value)


def _either_by_turns(policy: RoutingPolicy, view: RoutingView, request: RouteRequest) -> Routed:
    """Choose now the one and now the other of two regions that are equally far, as no rule but one forbids."""
    routed = decide_route(policy, view, request)
    if view.epoch % 2 or not isinstance(routed.decision, Failover) or len(routed.alternates) != 1:
        return routed
    other = view.by_code[routed.alternates[0]]
    if other.ramp < 1 or other.suppressed:
        return routed
    decision = Failover(region=other.code, reason=routed.decision.reason)
    return msgspec.structs.replace(routed, decision=decision, alternates=())


PAIRS = (("us", "eu"), ("us", "ap"), ("eu", "ap"))


def test_a_player_who_moves_though_neither_region_changed_is_caught() -> None:
    links = [RouterLink(between=[home, other], latency_ms=50) for home, other in PAIRS]

    with pytest.raises(InvariantError, match=r"moved from \w+ to \w+, and only \{'\w+'\} changed"):
        sweep(Rules(decide=_either_by_turns), ("down",), config=router(links=links))


# --- trackers that break a rule


def _told_health(**changes: int) -> Callable[..., RegionTracker]:
    def tracker(config: RouterConfig, *, now: float, life: str = "") -> RegionTracker:
        policy = msgspec.structs.replace(config.health, **changes)
        return RegionTracker(msgspec.structs.replace(config, health=policy), now=now, life=life)

    return tracker


class _Forgets(RegionTracker):
    def reconfigured(self, config: RouterConfig, now: float) -> "_Forgets":
        return type(self)(config, now=now)


class _NeverLooksAgain(RegionTracker):
    def _next_change(self) -> float:
        return math.inf


class _CountsViewsBackwards(RegionTracker):
    def view(self, now: float) -> RoutingView:
        view = super().view(now)
        return msgspec.structs.replace(view, epoch=-view.epoch)


TRACKERS: dict[str, tuple[Callable[..., RegionTracker], tuple[FaultKind, ...], str]] = {
    "one silence is enough": (_told_health(fall=1), ("slow-death",), "is unhealthy and must be healthy"),
    "silences are not enough": (_told_health(fall=9), ("down", "cut-off"), "is healthy and must be unhealthy"),
    "one answer is enough": (_told_health(rise=1), ("down",), "is healthy and must be unhealthy"),
    "answers are not enough": (_told_health(rise=9), ("down",), "is unhealthy and must be healthy"),
    "a reload forgets everything": (_Forgets, ("reload", "drain"), "must be healthy|has a load|drains none"),
    "views are kept too long": (_NeverLooksAgain, ("drain", "down"), "drains|takes|has a load"),
    "epochs run backwards": (_CountsViewsBackwards, ("down",), "epoch -[0-9]+ follows -[0-9]+"),
}


@pytest.mark.parametrize("case", TRACKERS)
def test_a_tracker_that_breaks_a_rule_is_caught_where(case: str) -> None:
    tracker, kinds, says = TRACKERS[case]

    with pytest.raises(InvariantError, match=says) as caught:
        sweep(Rules(tracker=tracker), kinds, case=case)

    assert "\nseed " in str(caught.value)


# --- parts that break a rule


def _no_is_a_silence(self: HealthCount, outcome: ProbeOutcome, policy: HealthPolicy) -> HealthCount:
    return _AFTER(self, "timeout" if outcome == "not_ready" else outcome, policy)


def _never_rests(self: Damping, now: float) -> Damping:
    return msgspec.structs.replace(_FALL(self, now), rests_until=-math.inf)


def _rests_for_long(self: Damping, now: float) -> Damping:
    fallen = _FALL(self, now)
    return msgspec.structs.replace(fallen, rests_until=fallen.rests_until + 40)


def _forgets_the_last_rest(self: Damping, policy: DampingPolicy, now: float) -> Damping:
    other = _UNDER(self, policy, now)
    return other if other.suppressed(now) else msgspec.structs.replace(other, rests_until=-math.inf)


def _counts_no_places(self: LoadBook, reservation: Reservation, now: float) -> None:
    return None


def _gives_back_at_once(self: LoadBook, reservation_id: str, *, joined: bool) -> bool:
    return _RELEASE(self, reservation_id, joined=False)


def _report_ends_all_places(self: LoadBook, report: LoadReport) -> None:
    self._joined = set(self._kept)
    _TAKE(self, report)


def _nothing(*_: object) -> None:
    return None


def _never(*_: object) -> tuple[str, ...]:
    return ()


def _no(*_: object) -> bool:
    return False


def _straight(self: SteadyClock, now: float) -> float:
    self.at = now
    return now


def _always_as_asked(self: Drain, now: float) -> str:
    return self.mode


def _all_at_once(*_: object) -> float:
    return 1.0


_AFTER, _FALL, _UNDER = HealthCount.after, Damping.fall, Damping.under
_RELEASE, _TAKE = LoadBook.release, LoadBook.take
PARTS: dict[str, tuple[Any, str, Any, tuple[FaultKind, ...], str]] = {
    "an explicit no is a silence": (HealthCount, "after", _no_is_a_silence, ("not-ready",), "and must be unhealthy"),
    "a region that flaps never rests": (Damping, "fall", _never_rests, ("flaps",), "left and entered out of time"),
    "a region rests too long": (Damping, "fall", _rests_for_long, ("flaps",), "left and entered out of time"),
    "a reload ends what came after a rest": (
        Damping,
        "under",
        _forgets_the_last_rest,
        ("flaps", "reload"),
        "of new players, and must take",
    ),
    "a region returns at once": (track, "ramp_share", _all_at_once, ("down",), "takes 100% of new players"),
    "places are not counted": (LoadBook, "reserve", _counts_no_places, ("surge",), "has a load of"),
    "places are kept for ever": (LoadBook, "expire", _nothing, ("surge",), "has a load of|not later than now"),
    "who joined is counted by nobody": (LoadBook, "release", _gives_back_at_once, ("surge",), "has a load of|was sent"),
    "a report ends all places": (LoadBook, "take", _report_ends_all_places, ("surge",), "has a load of"),
    "a blind router evicts the world": (BlindGuard, "begins", _never, ("blind-router",), "the router is blind, and"),
    "a router stays blind": (BlindGuard, "ends", _no, ("blind-router",), "is stale, and the router sees"),
    "what a blind router counted counts": (HealthCount, "recounted", lambda self: self, ("blind-router",), "must be"),
    "a clock that jumps back ages nothing": (SteadyClock, "advance", _straight, ("clock-jump", "drain"), "old|must"),
    "a deadline passes": (
        Drain,
        "mode_at",
        _always_as_asked,
        ("drain",),
        "drains soft .* must hard|not later than now",
    ),
}


@pytest.mark.parametrize("case", PARTS)
def test_a_part_that_breaks_a_rule_is_caught_where(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    owner, name, broken, kinds, says = PARTS[case]
    monkeypatch.setattr(owner, name, broken)

    with pytest.raises(InvariantError, match=says) as caught:
        sweep(PRODUCTION, kinds, case=case)

    assert "\nseed " in str(caught.value)


def test_who_joined_and_is_counted_by_nobody_fills_a_region_over_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The load law of the judge is switched off: the world itself tells that too many were sent."""
    from aether_deploy.simulation.routing.expecting import Expectation

    monkeypatch.setattr(LoadBook, "release", _gives_back_at_once)
    monkeypatch.setattr(Expectation, "_load", lambda *_: [])

    with pytest.raises(InvariantError, match=r"was sent to \w+, where \d+ of 30 are"):
        sweep(PRODUCTION, ("surge",), config=router(capacity=30))


@pytest.mark.parametrize("kinds", sorted({kinds for _, kinds, _ in (*DECISIONS.values(), *TRACKERS.values())}))
def test_the_same_faults_break_no_promise_of_production(kinds: tuple[FaultKind, ...]) -> None:
    sweep(PRODUCTION, kinds, tries=1)


def test_all_faults_together_break_no_promise_of_production() -> None:
    sweep(PRODUCTION, FAULT_KINDS, tries=2)
