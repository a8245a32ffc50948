"""How one player, or one party, stands with each region: preferred, how far, and what keeps them out."""

import math
from collections.abc import Sequence

from aether_deploy.problems import UnknownRegionError, UnknownResidencyError, shown
from aether_deploy.routing.decision.candidates import CandidateTable, Standing
from aether_deploy.routing.policy import LatencySource
from aether_deploy.routing.request import PartyMember, RouteRequest

Latencies = Sequence[float]
Sources = Sequence[LatencySource | None]


def standing_of(table: CandidateTable, request: RouteRequest) -> Standing:
    """Return how a player, or a party, stands with each region.

    Raises:
        UnknownRegionError: A preferred region is not configured, and ``on_unknown`` is ``error``.
        UnknownResidencyError: The residency rule is not configured.

    Rule:
        R1: by choice, else by token, else the closest of all regions, healthy or not. If health counted here, a player
        whose closest region is down would be told that he is at home.
    """
    residents = _residents(table, request)
    returning = None
    if request.sticky is not None and not request.joining:  # who begins a session is new wherever he was
        returning = table.index.get(request.sticky)
    if request.party:
        return _party(table, request, returning, residents)
    chosen = request.preferred
    home = _known(table, chosen)
    latencies, sources = table.latency.of(home, request.position, request.measured)
    said = latencies  # what links from the closest region add says nothing of which is the closest
    if home is None:
        latencies, sources = table.latency.onward(latencies, sources, request.position)
    builds = frozenset() if request.build is None else frozenset((request.build,))
    masks = table.masks_for(request, returning, latencies, residents, builds)
    standing = Standing(latencies, None, sources, masks, "", None, None, returning)
    _prefer(table, standing, chosen, said)
    return standing


def _prefer(table: CandidateTable, standing: Standing, chosen: str | None, keys: Sequence[object]) -> None:
    """Set the preferred region; ``keys`` are smaller the closer a region is."""
    if chosen is not None:
        standing.preferred, standing.place = chosen, table.index.get(chosen)
        return
    if not keys:
        return
    closest = keys.index(min(keys))  # type: ignore[type-var]
    standing.place, returning, slack = closest, standing.returning, table.slack_ms
    if returning is not None and slack is not None and returning != closest:
        near = standing.latencies[returning] <= standing.latencies[closest] + slack
        if near and not standing.masks[returning]:
            standing.place, standing.then = returning, closest
    standing.preferred = table.codes[standing.place]


def _party(
    table: CandidateTable, request: RouteRequest, returning: int | None, residents: frozenset[str] | None
) -> Standing:
    """Return how a party stands.

    Members who know nothing of any region have no say. A region of choice says where a member is; it is the party's
    only where all choose the same.

    Rule:
        R14: the least latency of the member who has it worst, then the least mean; every member within the cap. Builds
        and residency hold for every member.
    """
    members = request.members
    choices = [each.preferred for each in members]
    homes = [_known(table, choice) for choice in choices]
    told = [_told(table, home, member) for home, member in zip(homes, members, strict=True)]
    knowing = [each for each in told if min(each[0], default=math.inf) < math.inf] or told[:1]
    worst = [max(knowing, key=lambda each: each[0][place]) for place in table.places]
    latencies = [each[0][place] for place, each in zip(table.places, worst, strict=True)]
    sources = [each[1][place] for place, each in zip(table.places, worst, strict=True)]
    means = [math.fsum(each[0][place] for each in knowing) / len(knowing) for place in table.places]
    furthest = [max((x for each in knowing if (x := each[0][p]) < math.inf), default=math.inf) for p in table.places]
    masks = table.masks_for(request, returning, furthest, residents, request.builds)
    standing = Standing(latencies, means, sources, masks, "", None, None, returning)
    chosen = choices[0] if len(set(choices)) == 1 else None
    if chosen is None and min(knowing[0][0], default=math.inf) == math.inf:  # nobody knows anything
        chosen = next((home for home in homes if home is not None), None)
    _prefer(table, standing, chosen, list(zip(latencies, means, strict=True)))
    return standing


def _told(table: CandidateTable, home: str | None, who: RouteRequest | PartyMember) -> tuple[Latencies, Sources]:
    """Return how far the regions are from one member."""
    latencies, sources = table.latency.of(home, who.position, who.measured)
    return (latencies, sources) if home is not None else table.latency.onward(latencies, sources, who.position)


def _known(table: CandidateTable, chosen: str | None) -> str | None:
    """Return the region that a player chose, where links and distances count from; None where he chose none of ours.

    Raises:
        UnknownRegionError: It takes no players, and ``on_unknown`` is ``error``.
    """
    if chosen is None or chosen in table.index:
        return chosen
    if table.policy.on_unknown == "error":
        raise UnknownRegionError(f"no region is named '{chosen}'; known are {', '.join(table.codes)}")
    return chosen if table.latency.knows(chosen) else None


def _residents(table: CandidateTable, request: RouteRequest) -> frozenset[str] | None:
    """Return the regions that every member may be in; None is any."""
    if request.residency is None and not request.party:
        return None
    found: frozenset[str] | None = None
    for name in request.residencies:
        allowed = table.residency.get(name)
        if allowed is None:
            known = ", ".join(table.residency) or "none"
            raise UnknownResidencyError(f"no residency rule is named {shown(name)}; known are {known}")
        found = allowed if found is None else found & allowed
    return found
