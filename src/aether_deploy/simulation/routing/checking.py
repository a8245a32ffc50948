"""The judge of a simulation: after every step it holds what the router sees and decides against the rules.

An error if and only if no region that may take the player is healthy, not drained hard and below its hard limit. The
region that is chosen may take him, and no region that is better is passed over. A ``Failover`` never names the
preferred region. One region's change moves only players from it or to it. Equal questions have equal answers. No region
is left and entered again faster than damping permits. A router that is blind keeps what it knew.
"""

import math
from collections.abc import Callable, Mapping
from typing import NoReturn

import msgspec

from aether_deploy.problems import NoCapacityError, NoHealthyRegionError
from aether_deploy.routing.policy import LATENCY_SOURCES, RoutingPolicy
from aether_deploy.routing.request import RouteRequest
from aether_deploy.routing.routed import Primary, Routed
from aether_deploy.routing.router_config import RouterConfig
from aether_deploy.routing.view import RegionView, RoutingView
from aether_deploy.simulation.routing.expecting import Expectation

Decide = Callable[[RoutingPolicy, RoutingView, RouteRequest], Routed]
SAME_MS = 1e-6
PLAYERS_PER_REGION = 4


class Asker(msgspec.Struct):
    """A player who asks again and again: he is watched, and takes no place.

    Attributes:
        home: The region that he prefers.
        request: How he asks.
        allowed: Where he may be.
        doubts: He asks twice.
        returns: He asks for the region that he was sent to the last time.
        region: Where he was sent; None where no region may take him.
    """

    home: str
    request: RouteRequest
    allowed: frozenset[str]
    doubts: bool = False
    returns: bool = False
    region: str | None = None


class Judge:
    """Judges one run.

    Attributes:
        expected: What must be seen of each region.
        decisions: How many decisions were judged.
        moves: How often a watched player was sent elsewhere than before.
    """

    def __init__(self, config: RouterConfig, decide: Decide, told: Callable[[str], NoReturn]) -> None:
        self.config, self._decide, self._broken = config, decide, told
        self.expected = {region.code: Expectation(region, config) for region in config.regions}
        self.latency = {home: latencies_from(home, config) for home in self.expected}
        self.askers = _askers(config)
        self.decisions = self.moves = 0
        self._view: RoutingView | None = None

    # --- after every step

    def judge(self, view: RoutingView, now: float, *, keep: frozenset[str]) -> None:
        """Judge what is seen, and every watched player's answer where something changed.

        Args:
            view: What the router sees.
            now: The router's time without its jumps back, seconds.
            keep: Regions that a blind router has to keep healthy.

        Raises:
            InvariantError: A promise is broken.
        """
        was, self._view = self._view, view
        if was is not None and was.stale and not view.stale:
            for expected in self.expected.values():
                expected.counts_afresh()
        for region in view.regions:
            for fault in self.expected[region.code].faults(region, now, stale=view.stale):
                self._broken(fault)
            if region.code in keep and region.health != "healthy":
                self._broken(f"the router is blind, and {region.code} is {region.health}")
        if was is view:
            return
        if was is not None and view.epoch <= was.epoch:
            self._broken(f"epoch {view.epoch} follows {was.epoch}")
        self._answers(was, view, now)

    def _answers(self, was: RoutingView | None, view: RoutingView, now: float) -> None:
        changed = None if was is None else {r.code for r in view.regions if was.by_code[r.code] != r}
        for asker in self.askers:
            before = asker.region
            asker.region = self._answer(asker, view, now)
            if asker.region == before:
                continue
            self.moves += 1
            self._judge_move(asker, before, changed)
            if asker.returns and asker.region is not None:
                asker.request = msgspec.structs.replace(asker.request, sticky=asker.region)

    def _judge_move(self, asker: Asker, before: str | None, changed: set[str] | None) -> None:
        """One region's change moves only players from it or to it; a tie may be decided anew by a third one."""
        if changed is None or asker.returns or (self.config.latency is not None and self.config.latency.tie_ms):
            return
        if before not in changed and asker.region not in changed:
            self._broken(f"{asker.request.player} moved from {before} to {asker.region}, and only {changed} changed")

    # --- one answer

    def _answer(self, asker: Asker, view: RoutingView, now: float) -> str | None:
        self.decisions += 1
        first = self._ask(view, asker.request)
        if asker.doubts and (second := self._ask(view, asker.request)) != first:
            self._broken(f"{asker.request.player} asked twice and was told {first} and {second}")
        may = [region for region in view.regions if region.code in asker.allowed and self.may(region)]
        if not isinstance(first, Routed):
            self._judge_refusal(asker, first, may, view)
            return None
        chosen, who = first.decision.region, asker.request.player
        if not may and self.config.on_none_healthy == "fail_open":
            return None  # he is sent somewhere, and nobody promises that it works
        if chosen not in {region.code for region in may}:
            self._broken(f"{who} was sent to {chosen}, which may not take him: {view.by_code.get(chosen)}")
        if isinstance(first.decision, Primary) != (chosen == asker.home):
            self._broken(f"{who} of {asker.home} was told {first.decision}")
        if {chosen, *first.alternates} - {region.code for region in may} or chosen in first.alternates:
            self._broken(f"{who} was sent to {chosen}, with alternates {first.alternates} that may not take him")
        if asker.returns:
            self._judge_return(asker, chosen, view, now)
        else:
            self._judge_choice(asker, chosen, view, may)
        return chosen

    def _ask(self, view: RoutingView, request: RouteRequest) -> Routed | type[Exception]:
        try:
            return self._decide(self.config, view, request)
        except NoHealthyRegionError as error:
            return type(error)

    def _judge_refusal(self, asker: Asker, error: type[Exception], may: list[RegionView], view: RoutingView) -> None:
        who = asker.request.player
        if may:
            self._broken(f"{who} was refused ({error.__name__}), and {may[0].code} may take him")
        full = [r for r in view.regions if r.code in asker.allowed and self.may(r, load=False)]
        if (error is NoCapacityError) != bool(full):
            self._broken(f"{who} was refused for {error.__name__}, and full are {[region.code for region in full]}")

    def _judge_choice(self, asker: Asker, chosen: str, view: RoutingView, may: list[RegionView]) -> None:
        """Nobody better was passed over, as far as that is certain: a share of players may or may not have him."""
        latency = self.latency[asker.home]
        least, _ = self.rungs(view.by_code[chosen], latency)
        tie = 0 if self.config.latency is None else self.config.latency.tie_ms
        for region in may:
            _, most = self.rungs(region, latency)
            if region.code == chosen or most > least:
                continue
            better = most < least or region.code == asker.home
            closer = latency[region.code] < latency[chosen] - tie - SAME_MS and chosen != asker.home
            if better or closer:
                self._broken(f"{asker.request.player} of {asker.home} was sent to {chosen}, and {region} was better")

    def _judge_return(self, asker: Asker, chosen: str, view: RoutingView, now: float) -> None:
        """Who was sent elsewhere stays there while his home is held, and goes home then."""
        sticky, home = asker.request.sticky, view.by_code.get(asker.home)
        if sticky is None or sticky == asker.home or home is None:
            return
        held = self.expected[asker.home].held(now)
        at, latency = view.by_code[sticky], self.latency[asker.home]
        returns = self.may(at) and not at.suppressed and not self._too_far(latency[sticky])
        if held and returns and chosen != sticky:
            self._broken(f"{asker.request.player} was moved from {sticky} to {chosen}, and {asker.home} is held")
        open_to_him = asker.home in asker.allowed and self.may(home) and self.rungs(home, latency)[1] == 0
        if held is False and open_to_him and chosen != asker.home:
            self._broken(f"{asker.request.player} was not sent home from {sticky}, but to {chosen}")

    # --- a region, read plainly

    def may(self, region: RegionView, *, load: bool = True) -> bool:
        """Return whether a region may take anybody: what never gives way."""
        policy = self.config.load
        full = load and policy is not None and region.load is not None and region.load * 100 >= policy.hard_percent
        return region.health == "healthy" and region.drain != "hard" and not full

    def rungs(self, region: RegionView, latency: Mapping[str, float]) -> tuple[int, int]:
        """Return the least and the highest rung of the ladder that a region can be on for a new player."""
        config = self.config
        load = region.load if config.load is not None and region.load is not None else 0.0
        soft = 100 if config.load is None else config.load.soft_percent
        rests = config.damping is not None and region.suppressed
        certain = [
            1 if rests else 0,
            3 if self._too_far(latency[region.code]) else 0,
            5 if region.drain == "soft" and region.drain_share == 0 else 0,
        ]
        likely = [
            2 if config.failback is not None and region.ramp < 1 else 0,
            4 if config.load is not None and load * 100 > soft else 0,
            5 if region.drain == "soft" else 0,
        ]
        return max(certain), max(*certain, *likely)

    def _too_far(self, latency_ms: float) -> bool:
        policy = self.config.latency
        return policy is not None and policy.max_ms is not None and policy.max_ms < latency_ms < math.inf

    def at_home(self, view: RoutingView) -> bool:
        """Return whether every watched player is where he wants to be, but for those whose region has no room."""
        soft = 101 if self.config.load is None else self.config.load.soft_percent
        roomy = {region.code for region in view.regions if (region.load or 0.0) * 100 < soft}
        near = {home for home, latency in self.latency.items() if not self._too_far(latency[home])}
        return all(asker.region == asker.home for asker in self.askers if asker.home in asker.allowed & roomy & near)


def latencies_from(home: str, config: RouterConfig) -> dict[str, float]:
    """Return the round trips from a region to all, by the first source that knows, milliseconds."""
    sources = LATENCY_SOURCES if config.latency is None else config.latency.sources
    links = {frozenset(link.between): float(link.latency_ms) for link in config.links}
    at_home = next(region for region in config.regions if region.code == home)
    linked = any(home in pair for pair in links)
    found: dict[str, float] = {}
    for region in config.regions:
        known: dict[str, float | None] = {"static": region.latency_ms}
        known["matrix"] = 0.0 if region.code == home and linked else links.get(frozenset((home, region.code)))
        if at_home.location is not None and region.location is not None:
            here, there = at_home.location, region.location
            known["great_circle"] = _round_trip_ms(here.lat, here.lon, there.lat, there.lon)
        told = [value for source in sources if (value := known.get(source)) is not None]
        found[region.code] = told[0] if told else math.inf
    return found


def _round_trip_ms(lat: float, lon: float, other_lat: float, other_lon: float) -> float:
    """Return what light in fibre needs there and back along paths half as long again as the great circle."""
    a, b, width = math.radians(lat), math.radians(other_lat), math.radians(other_lon - lon)
    half_chord = math.sin((b - a) / 2) ** 2 + math.cos(a) * math.cos(b) * math.sin(width / 2) ** 2
    return 2 * 6371.0 * math.asin(math.sqrt(min(1.0, half_chord))) * 1.5 * 2 / 200


def _askers(config: RouterConfig) -> list[Asker]:
    everywhere = frozenset(region.code for region in config.regions)
    askers = []
    for home in sorted(everywhere):
        for number in range(PLAYERS_PER_REGION):
            request = RouteRequest(player=f"{home}/{number}", preferred=home)
            askers.append(Asker(home, request, everywhere, doubts=not number))
        returning = RouteRequest(player=f"{home}/returning", preferred=home)
        askers.append(Asker(home, returning, everywhere, returns=True))
    for rule in config.residency:
        home = min(everywhere)
        request = RouteRequest(player=f"{rule.name}/0", preferred=home, residency=rule.name)
        askers.append(Asker(home, request, frozenset(rule.regions) & everywhere))
    return askers
