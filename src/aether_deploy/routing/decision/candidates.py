"""The regions of one view under one policy, made ready for many decisions; and one player's standing with each."""

import math
from collections.abc import Iterator, Sequence

import msgspec

from aether_deploy.routing.decision.eligibility import (
    DAMPING,
    DRAIN,
    DRAINED,
    FULL,
    LATENCY,
    NOT_ALLOWED,
    RAMP,
    SOFT_LOAD,
    UNHEALTHY,
    WRONG_BUILD,
    name_of,
    share_of_players,
)
from aether_deploy.routing.decision.latency import LatencyTable
from aether_deploy.routing.policy import LatencyPolicy, LatencySource, RoutingPolicy
from aether_deploy.routing.request import RouteRequest
from aether_deploy.routing.routed import Routed
from aether_deploy.routing.view import RegionView, RoutingView

DEFAULT_LATENCY = LatencyPolicy()
"""Who says how far a region is where the policy leaves ``latency`` out; its cap and ties do not apply then."""


class CandidateTable:
    """Everything about a decision that depends on policy and view alone.

    Attributes:
        policy: The rules; the table is good for no others.
        codes: The regions, in file order.
        index: Their places, by code.
        latency: How far they are.
        masks: What keeps new players out of each region, all of them alike.
        returning: What keeps those out who return to a session there: a ramp, a soft limit and a soft drain do not.
        shares: What keeps some new players out.
        holds: Whether players who were sent elsewhere stay there for a while.
        held: Whether a region is away, or back for too short a time, to call back those who were sent elsewhere.
        loads: What ties are decided by; what is unknown comes last.
        plain: Answers to players who bring nothing but a preferred region; None where they depend on who it is.
    """

    def __init__(self, policy: RoutingPolicy, view: RoutingView) -> None:
        self.policy = policy
        self.regions = view.regions
        self.codes = tuple(region.code for region in view.regions)
        self.places = range(len(self.codes))
        self.latency = LatencyTable(policy.latency or DEFAULT_LATENCY, view)
        self.index = self.latency.index
        self.returning = tuple(_lasting(policy, region) for region in view.regions)
        masks, shares = list(self.returning), []
        for place, region in enumerate(view.regions):
            for bit, taken in _taken(policy, region):
                if taken <= 0.0:
                    masks[place] |= bit
                elif taken < 1.0 and masks[place] < FULL:  # who may not be sent there at all needs no hash
                    shares.append(share_of_players(place, bit, taken, region.code))
        self.shares = tuple(shares)
        self.masks = tuple(masks)
        hold_secs = policy.failback.hold_secs if policy.failback else 0
        self.holds = hold_secs > 0
        self.held = tuple(self.holds and _is_away(region, hold_secs) for region in view.regions)
        self.loads = tuple(
            math.inf if region.load is None or region.load_at_least else region.load for region in view.regions
        )
        self.tie_ms = policy.latency.tie_ms if policy.latency else None
        self.slack_ms = policy.sticky.slack_ms if policy.sticky else None
        self.residency = {rule.name: frozenset(rule.regions) for rule in policy.residency}
        self.caps = _caps(policy.latency)
        self.waits = len(self.caps) > 1
        self.plain: dict[str | None, Routed | None] = {}

    def is_plain(self, request: RouteRequest) -> bool:
        """Return whether a request says nothing that matters here but which region is preferred, and who asks."""
        return not (
            request.measured
            or request.party
            or (self.waits and request.waited_secs)
            or request.sticky is not None
            or request.position is not None
            or request.residency is not None
            or request.build is not None
        )

    def cap_ms(self, waited_secs: float) -> float:
        """Return how far a region may be for one who waited, milliseconds; infinite without a cap."""
        found = math.inf
        for after_secs, cap_ms in self.caps:
            if waited_secs < after_secs:
                break
            found = cap_ms
        return found

    def masks_for(
        self,
        request: RouteRequest,
        returning: int | None,
        latencies: Sequence[float],
        residents: frozenset[str] | None,
        builds: frozenset[str] = frozenset(),
    ) -> list[int]:
        """Return what keeps the player out of each region, as bits; see :mod:`routing.eligibility`.

        Args:
            request: The player.
            returning: The region that he returns to a session in.
            latencies: How far the regions are, milliseconds; of a party, from the member who is the furthest away
                among those who know. Where nobody knows it is infinite, and no cap removes it.
            residents: The regions that he may be in, of a party those that every member may; None is any.
            builds: The builds that he, or the members of the party, speak.
        """
        masks = list(self.masks)
        if self.shares:
            player = name_of(request.player)
            for share in self.shares:
                if share.keeps_out(player):
                    masks[share.place] |= share.bit
        if returning is not None:
            masks[returning] = self.returning[returning]
        if self.caps:
            cap = self.cap_ms(request.waited_secs)
            if cap < max(latencies, default=0.0):
                for place, latency in enumerate(latencies):
                    if cap < latency < math.inf:
                        masks[place] |= LATENCY
        if residents is not None:
            for place, code in enumerate(self.codes):
                if code not in residents:
                    masks[place] |= NOT_ALLOWED
        if builds:
            for place, region in enumerate(self.regions):
                if region.builds and not builds <= region.builds:
                    masks[place] |= WRONG_BUILD
        return masks


class Standing(msgspec.Struct, gc=False):
    """How one player, or one party, stands with each region.

    Attributes:
        latencies: Round trips, of a party's worst member, milliseconds; infinite where nobody knows.
        means: A party's mean round trips; None for a single player.
        sources: Who says so.
        masks: What keeps them out.
        preferred: Code of the preferred region, which may be none of ours.
        place: Its place; None where it is none of ours.
        then: Place of the region that would be preferred if that one were down: it was preferred by token, and only
            a region that may take him is.
        returning: Place of the region that he returns to a session in.
    """

    latencies: Sequence[float]
    means: Sequence[float] | None
    sources: Sequence[LatencySource | None]
    masks: list[int]
    preferred: str
    place: int | None
    then: int | None
    returning: int | None


def table_of(policy: RoutingPolicy, view: RoutingView) -> CandidateTable:
    """Return the table of a policy and a view; it is kept with the view and made once."""
    kept: dict[int, CandidateTable] = view.__dict__.setdefault("_tables", {})
    table = kept.get(id(policy))  # the table holds on to its policy, so no other has its id
    if table is None:
        table = kept[id(policy)] = CandidateTable(policy, view)
    return table


def takes_new_players(policy: RoutingPolicy, region: RegionView) -> bool:
    """Return whether a region takes any new players; which ones may depend on who they are."""
    return not _lasting(policy, region) and all(taken > 0.0 for _, taken in _taken(policy, region))


def spill_share(load: float, soft: float, hard: float) -> float:
    """Return the share of new players that a region of a load sends elsewhere: 0 at ``soft``, 1 at ``hard`` (R11)."""
    if load < soft:
        return 0.0
    return 1.0 if load >= hard else (load - soft) / (hard - soft)


def _is_away(region: RegionView, hold_secs: float) -> bool:
    return region.health != "healthy" or region.healthy_secs < hold_secs


def _lasting(policy: RoutingPolicy, region: RegionView) -> int:
    mask = 0
    if policy.damping is not None and region.suppressed:
        mask |= DAMPING
    if policy.load is not None and region.load is not None and region.load >= policy.load.hard_percent / 100:
        mask |= FULL
    if region.drain == "hard":
        mask |= DRAINED
    if region.health != "healthy":
        mask |= UNHEALTHY
    return mask


def _taken(policy: RoutingPolicy, region: RegionView) -> Iterator[tuple[int, float]]:
    """Yield what keeps a share of new players out, and the share that it leaves."""
    if policy.failback is not None:
        yield RAMP, region.ramp
    if policy.load is not None and region.load is not None:
        spilled = spill_share(region.load, policy.load.soft_percent / 100, policy.load.hard_percent / 100)
        if spilled < 1.0:  # at the hard limit the region is full, and says so
            yield SOFT_LOAD, 1.0 - spilled
    if region.drain == "soft":
        yield DRAIN, region.drain_share


def _caps(policy: LatencyPolicy | None) -> tuple[tuple[float, float], ...]:
    """Return from which wait on which cap holds, seconds and milliseconds."""
    if policy is None or policy.max_ms is None:
        return ()
    later = ((float(each.after_secs), each.max_ms) for each in policy.expansions)
    return tuple(
        (after, math.inf if cap is None else float(cap)) for after, cap in ((-math.inf, policy.max_ms), *later)
    )
