"""What happens to players when regions are lost: where they go, how far that is, and whether there is room.

Everybody is decided by the function that a router runs. First all players arrive while every region is healthy; then
those of the lost regions arrive again, together, while the others stay where they are: live sessions never move.
"""

from collections.abc import Collection, Iterator, Sequence
from itertools import combinations

import msgspec

from aether_deploy.routing.limits import RoutingLimits
from aether_deploy.routing.router_config import RouterConfig
from aether_deploy.routing.tracking.capacity import load_of
from aether_deploy.routing.waits import Path
from aether_deploy.simulation.routing.players import PlayerGroup
from aether_deploy.simulation.routing.spreading import Cohort, Filled, Placed, Spread, cohorts_of, spread


class LatencySpread(msgspec.Struct, frozen=True, kw_only=True):
    """How far regions are for some players, milliseconds.

    Attributes:
        p50: Half of them have this latency, or less.
        p95: 95 of 100 of them.
        most: All of them.
        unknown_players: Players of whom nobody knows it; the others are those that count.
    """

    p50: float | None
    p95: float | None
    most: float | None
    unknown_players: int = 0


class RegionOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """One region before and after a loss.

    Attributes:
        code: Its code.
        lost: It is among those that are lost.
        capacity: Players that it takes; None where nobody said.
        before: Players before.
        after: Players after.
        load_before: Before, as a share of its capacity; None where that is not known.
        load_after: After.
    """

    code: str
    lost: bool
    capacity: int | None
    before: int
    after: int
    load_before: float | None
    load_after: float | None

    @property
    def over_capacity(self) -> int:
        """Players that it has and cannot hold."""
        return 0 if self.capacity is None else max(0, self.after - self.capacity)


class Move(msgspec.Struct, frozen=True, kw_only=True):
    """Players who lose one region and go to another.

    Attributes:
        origin: The region that is lost.
        region: Where they go; None where no region takes them.
        players: How many they are.
        latency: How far it is then.
    """

    origin: str
    region: str | None
    players: int
    latency: LatencySpread


class Loss(msgspec.Struct, frozen=True, kw_only=True):
    """What the loss of regions does. ``players`` are those who are held, and the deficit.

    Attributes:
        lost: Codes of the lost regions, in file order; none is the state before.
        players: All players.
        moving_players: Players who were in a lost region.
        refused_players: Players whom no region takes.
        deficit_players: Players whom no region can hold: the refused ones, and those beyond the capacity of theirs.
        regions: Every region before and after.
        moves: Where the players of lost regions go.
        before: Latency of all players before.
        after: Latency of all who have a region after.
        moved: Latency of those who moved.
        filled: Regions that got full by the move, in this order: each sends those after it to the next one.
        beyond: What exceeds the limits, as sentences; none where they hold.
    """

    lost: tuple[str, ...]
    players: int
    moving_players: int
    refused_players: int
    deficit_players: int
    regions: tuple[RegionOutcome, ...]
    moves: tuple[Move, ...]
    before: LatencySpread
    after: LatencySpread
    moved: LatencySpread
    filled: tuple[Filled, ...]
    beyond: tuple[str, ...] = ()

    @property
    def held_players(self) -> int:
        """Players who have a region that has room for them."""
        return sum(region.after - region.over_capacity for region in self.regions)

    @property
    def fullest(self) -> RegionOutcome | None:
        """The region with the highest load after; None where no capacity is known."""
        known = [region for region in self.regions if region.load_after is not None and not region.lost]
        return max(known, key=lambda region: region.load_after or 0.0, default=None)


class WhatIf(msgspec.Struct, frozen=True, kw_only=True):
    """What each loss does.

    Attributes:
        baseline: The state before any loss.
        losses: The losses, in the order of ``lost``.
        paths: How long it takes until players arrive, by how they learn where.
    """

    baseline: Loss
    losses: tuple[Loss, ...]
    paths: tuple[Path, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether the limits hold, before any loss and after each."""
        return not any(loss.beyond for loss in (self.baseline, *self.losses))


def losses_of(codes: Sequence[str], most: int) -> tuple[tuple[str, ...], ...]:
    """Return every set of one to ``most`` regions that may be lost at once, small ones first, in file order."""
    return tuple(lost for size in range(1, most + 1) for lost in combinations(codes, size))


def what_if(
    config: RouterConfig,
    groups: Sequence[PlayerGroup],
    *,
    losses: Sequence[Collection[str]],
    limits: RoutingLimits | None = None,
    paths: Sequence[Path] = (),
) -> WhatIf:
    """Return what each loss does to players; equal input gives equal answers.

    Args:
        config: Regions, links and rules.
        groups: The players.
        losses: Sets of regions, each lost at once.
        limits: What may be lost by that; left out, nothing is held against anything.
        paths: How clients learn where to go, which ``paths_of`` says.

    Raises:
        KeyError: A lost region is none of the router's.
    """
    before = spread(config, cohorts_of(groups), players={})
    return WhatIf(
        baseline=_judged(_outcome(config, before, (), before, before.placed), limits),
        losses=tuple(_judged(lose(config, before, lost), limits) for lost in losses),
        paths=tuple(paths),
    )


def lose(config: RouterConfig, before: Spread, lost: Collection[str]) -> Loss:
    """Return what the loss of ``lost`` does to players who are where ``before`` says."""
    codes = [region.code for region in config.regions]
    unknown = set(lost) - set(codes)
    if unknown:
        raise KeyError(min(unknown))
    gone = tuple(code for code in codes if code in lost)
    crowd = [
        Cohort(players=placed.players, request=placed.cohort.request, origin=placed.region)
        for placed in before.placed
        if placed.region in gone
    ]
    staying = {code: players for code, players in before.players.items() if code not in lost}
    after = spread(config, crowd, players=staying, down=gone)
    # Whoever found no place before finds none now: no region has got more room.
    staying_put = [placed for placed in before.placed if placed.region not in gone]
    return _outcome(config, before, gone, after, (*staying_put, *after.placed))


def _outcome(config: RouterConfig, before: Spread, lost: tuple[str, ...], after: Spread, now: Sequence[Placed]) -> Loss:
    regions = tuple(_regions(config, before, lost, after))
    moved = after.placed if lost else ()
    refused = sum(placed.players for placed in now if placed.region is None)
    return Loss(
        lost=lost,
        players=sum(placed.players for placed in now),
        moving_players=sum(placed.players for placed in moved),
        refused_players=refused,
        deficit_players=refused + sum(region.over_capacity for region in regions),
        regions=regions,
        moves=tuple(_moves(lost, moved)),
        before=latency_spread(before.placed),
        after=latency_spread(now),
        moved=latency_spread(moved),
        filled=after.filled,
    )


def _regions(config: RouterConfig, before: Spread, lost: tuple[str, ...], after: Spread) -> Iterator[RegionOutcome]:
    for region in config.regions:
        code, capacity = region.code, region.capacity_players
        yield RegionOutcome(
            code=code,
            lost=code in lost,
            capacity=capacity,
            before=before.players[code],
            after=after.players[code],
            load_before=load_of(before.players[code], capacity),
            load_after=load_of(after.players[code], capacity),
        )


def _moves(lost: tuple[str, ...], moved: Sequence[Placed]) -> Iterator[Move]:
    """Yield the moves by origin, most players first; those who find no region last."""
    found: dict[tuple[str, str | None], list[Placed]] = {}
    for placed in moved:
        assert placed.cohort.origin is not None, "who moves was in a region"
        found.setdefault((placed.cohort.origin, placed.region), []).append(placed)
    moves = [
        Move(
            origin=origin,
            region=region,
            players=sum(placed.players for placed in group),
            latency=latency_spread(group),
        )
        for (origin, region), group in found.items()
    ]
    yield from sorted(moves, key=lambda move: (lost.index(move.origin), move.region is None, -move.players))


def latency_spread(placed: Sequence[Placed]) -> LatencySpread:
    """Return how far regions are for players who have one; percentiles are nearest ranks."""
    known = sorted(
        (each.latency_ms, each.players) for each in placed if each.region is not None and each.latency_ms is not None
    )
    total = sum(players for _, players in known)
    unknown = sum(each.players for each in placed if each.region is not None and each.latency_ms is None)
    p50, p95, most = (_rank(known, -(-total * percent // 100)) for percent in (50, 95, 100))
    return LatencySpread(p50=p50, p95=p95, most=most, unknown_players=unknown)


def _rank(known: Sequence[tuple[float, int]], rank: int) -> float | None:
    """Return the latency of the player of that rank, from 1; None where there is none."""
    seen = 0
    for latency, players in known:
        seen += players
        if seen >= rank:
            return latency
    return None


def _judged(loss: Loss, limits: RoutingLimits | None) -> Loss:
    return loss if limits is None else msgspec.structs.replace(loss, beyond=tuple(_beyond(loss, limits)))


def _beyond(loss: Loss, limits: RoutingLimits) -> Iterator[str]:
    if loss.deficit_players > limits.deficit_players:
        yield f"{loss.deficit_players} players find no place, more than {limits.deficit_players}"
    if limits.p95_ms is not None and loss.after.p95 is not None and loss.after.p95 > limits.p95_ms:
        yield f"p95 is {loss.after.p95:g} ms, more than {limits.p95_ms} ms"
