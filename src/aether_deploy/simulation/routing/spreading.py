"""Sending many players to regions at once, by the decision that a router makes for each of them.

A crowd is decided in cohorts: players of one group under one name, so that what a router decides by a hash of the name
(who spills, say) falls on a share of the group. Cohorts arrive in an order in which groups take turns, each in
proportion to its size, so that they share what room there is. Loads grow as they arrive. A step sends as many cohorts
as would all be decided the same at its beginning and at its end; where a load is at a point at which decisions change,
it sends an eighth of what lies between the soft and the hard limit. Nobody is sent to a region past its hard limit:
the step ends there, and the others are decided again. Equal input gives equal places.
"""

from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from hashlib import blake2b

import msgspec

from aether_deploy.problems import NoHealthyRegionError
from aether_deploy.routing.decision.deciding import decide_route
from aether_deploy.routing.request import RouteRequest
from aether_deploy.routing.routed import FAIL_OPEN, Failover
from aether_deploy.routing.router_config import RouterConfig
from aether_deploy.routing.tracking.capacity import load_of
from aether_deploy.routing.view import RoutingView
from aether_deploy.routing.viewing import view_of
from aether_deploy.simulation.routing.players import PlayerGroup

COHORTS = 2048
"""Cohorts of a crowd of few groups; a crowd of more groups has one for each."""
COHORTS_OF_A_GROUP = 512
STEPS_OF_A_BAND = 8
STEPS_BEFORE_A_LARGER_ONE = 8
"""Small steps after which a larger one is tried again: trying costs decisions."""


class Cohort(msgspec.Struct, frozen=True, kw_only=True):
    """Players of one group whom a router decides alike.

    Attributes:
        players: How many they are.
        request: What each of them asks.
        origin: The region that they were in; None where they were in none.
    """

    players: int
    request: RouteRequest
    origin: str | None = None


class Placed(msgspec.Struct, frozen=True, kw_only=True):
    """Players of one cohort in one region.

    Attributes:
        cohort: The cohort.
        players: How many they are.
        region: The region; None where none takes them.
        latency_ms: How far it is for them, milliseconds; None where nobody knows.
    """

    cohort: Cohort
    players: int
    region: str | None
    latency_ms: float | None = None


class Filled(msgspec.Struct, frozen=True, kw_only=True):
    """A region got so full that it takes fewer players, or none any more.

    Attributes:
        region: Its code.
        limit: ``soft`` where players begin to spill, ``hard`` where it refuses.
        arrived: Players of the crowd who had found a place there by then.
    """

    region: str
    limit: str
    arrived: int


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """Where a crowd is.

    Attributes:
        placed: Its players by cohort and region, none with 0.
        players: Players of each region, those who were there before included.
        filled: The regions that got full, in this order.
    """

    placed: tuple[Placed, ...]
    players: Mapping[str, int]
    filled: tuple[Filled, ...]


def cohorts_of(groups: Sequence[PlayerGroup]) -> tuple[Cohort, ...]:
    """Return the cohorts of ``groups``, which hold all their players, in the order in which they arrive."""
    parts = max(1, min(COHORTS_OF_A_GROUP, COHORTS // max(1, len(groups))))
    found: list[tuple[float, int, Cohort]] = []
    for place, group in enumerate(groups):
        pieces = min(parts, group.players)
        begin = _share(group.name)
        for piece in range(pieces):
            players = group.players * (piece + 1) // pieces - group.players * piece // pieces
            cohort = Cohort(players=players, request=group.request(f"{group.name}#{piece}"))
            found.append(((piece + begin) / pieces, place, cohort))
    return tuple(cohort for _, _, cohort in sorted(found, key=lambda each: each[:2]))


def _share(name: str) -> float:
    """Return a number from 0 to 1 that depends on a name alone."""
    return int.from_bytes(blake2b(name.encode(), digest_size=6).digest(), "big") / 2**48


def room_of(config: RouterConfig, capacity: int) -> int | None:
    """Return how many players a region of ``capacity`` takes before it refuses; None without a rule of load."""
    return None if config.load is None else -(-capacity * config.load.hard_percent // 100)


def spread(
    config: RouterConfig, crowd: Iterable[Cohort], *, players: Mapping[str, int], down: Collection[str] = ()
) -> Spread:
    """Send a crowd to regions.

    Args:
        config: Regions, links and rules. The regions are healthy, but for ``down``.
        crowd: The cohorts that arrive, in this order.
        players: Players who are in regions already, and stay there.
        down: Codes of regions that are unhealthy.

    Returns:
        Where everybody is: the players of the crowd are as many as those of ``placed``.
    """
    return _Arrival(config, crowd, players, down).run()


class _Waiting:
    """A cohort on its way."""

    __slots__ = ("chosen", "cohort", "latency_ms", "left", "number")

    def __init__(self, number: int, cohort: Cohort) -> None:
        self.number = number
        self.cohort = cohort
        self.left = cohort.players
        self.chosen: str | None = None
        self.latency_ms: float | None = None


class _Arrival:
    """One crowd on its way."""

    def __init__(
        self, config: RouterConfig, crowd: Iterable[Cohort], players: Mapping[str, int], down: Collection[str]
    ) -> None:
        self._config = config
        self._view = view_of(config, down=down)
        self._capacities = {region.code: region.capacity_players for region in config.regions}
        self._players = {code: players.get(code, 0) for code in self._capacities}
        self._before = dict(self._players)
        self._queue = deque(_Waiting(number, cohort) for number, cohort in enumerate(crowd) if cohort.players)
        self._total = sum(each.left for each in self._queue)
        self._batch = len(self._queue)  # cohorts of a step at most, and players of each
        self._most = self._total
        self._small_steps = 0  # since the last one that was larger
        self._placed: dict[tuple[int, str | None], Placed] = {}
        self._filled: list[Filled] = []
        self._full: set[tuple[str, str]] = set()
        self._note_filled()
        self._filled.clear()  # they were full before

    def run(self) -> Spread:
        while self._queue:
            self._step()
        return Spread(placed=tuple(self._placed.values()), players=self._players, filled=tuple(self._filled))

    def _step(self) -> None:
        """Send the next cohorts, or a part of the next one."""
        if self._small_steps % STEPS_BEFORE_A_LARGER_ONE == 0:
            self._batch, self._most = 2 * self._batch, self._total
        view = self._seen(self._players)
        batch = [self._queue.popleft() for _ in range(min(self._batch, len(self._queue)))]
        for each in batch:
            each.chosen, each.latency_ms = _decided(self._config, view, each.cohort.request)
        most = self._most
        while not (small := self._is_small(flows := _flows(batch, most))) and not self._holds(batch, flows):
            if len(batch) > 1:
                half = len(batch) // 2
                self._queue.extendleft(reversed(batch[half:]))
                batch = batch[:half]
            else:
                most = max(1, min(most, batch[0].left) // 2)
        self._batch, self._most = len(batch), most
        self._small_steps = self._small_steps + 1 if small else 0
        self._send(batch, most)

    def _send(self, batch: Sequence[_Waiting], most: int) -> None:
        entered: set[str] = set()
        for each in batch:
            if each.chosen is None:
                self._place(each, each.left)
                continue
            # the first one was taken as loads are now: the decision counts, not the arithmetic of this room
            least = 0 if each.chosen in entered else 1
            entered.add(each.chosen)
            self._place(each, min(each.left, most, max(least, self._room(each.chosen))))
        self._queue.extendleft(reversed([each for each in batch if each.left]))
        self._note_filled()

    def _is_small(self, flows: Mapping[str, int]) -> bool:
        """Say whether a step is so small that decisions may change in it."""
        return all(flow <= self._granule(code) for code, flow in flows.items())

    def _granule(self, code: str) -> int:
        capacity, load = self._capacities[code], self._config.load
        if capacity is None:
            return self._total
        if load is None:
            return max(1, capacity // 100, self._total // 256)
        band = max(1, load.hard_percent - load.soft_percent)
        return max(1, capacity * band // (100 * STEPS_OF_A_BAND))

    def _holds(self, batch: Sequence[_Waiting], flows: Mapping[str, int]) -> bool:
        """Say whether all of a step would be decided the same when it has arrived."""
        view = self._seen({code: players + flows.get(code, 0) for code, players in self._players.items()})
        return all(_decided(self._config, view, each.cohort.request)[0] == each.chosen for each in batch)

    def _room(self, code: str) -> int:
        """Return how many more players a region takes before it refuses."""
        capacity = self._capacities[code]
        room = None if capacity is None else room_of(self._config, capacity)
        return self._total if room is None else max(0, room - self._players[code])

    def _place(self, each: _Waiting, players: int) -> None:
        if not players:
            return
        each.left -= players
        key = (each.number, each.chosen)
        known = self._placed[key].players if key in self._placed else 0
        self._placed[key] = Placed(
            cohort=each.cohort, players=known + players, region=each.chosen, latency_ms=each.latency_ms
        )
        if each.chosen is not None:
            self._players[each.chosen] += players

    def _seen(self, players: Mapping[str, int]) -> RoutingView:
        regions = tuple(
            msgspec.structs.replace(region, load=load_of(players[region.code], self._capacities[region.code]))
            for region in self._view.regions
        )
        return RoutingView(regions=regions, matrix=self._view.matrix)

    def _note_filled(self) -> None:
        load = self._config.load
        if load is None:
            return
        for code, players in self._players.items():
            seen = load_of(players, self._capacities[code])
            for limit, percent in (("soft", load.soft_percent), ("hard", load.hard_percent)):
                if seen is not None and seen >= percent / 100 and (code, limit) not in self._full:
                    self._full.add((code, limit))
                    self._filled.append(Filled(region=code, limit=limit, arrived=players - self._before[code]))


def _flows(batch: Iterable[_Waiting], most: int) -> dict[str, int]:
    """Return how many of a step go where, of each cohort ``most`` at most."""
    flows: dict[str, int] = {}
    for each in batch:
        if each.chosen is not None:
            flows[each.chosen] = flows.get(each.chosen, 0) + min(each.left, most)
    return flows


def _decided(config: RouterConfig, view: RoutingView, request: RouteRequest) -> tuple[str | None, float | None]:
    """Return the region for a request, and how far it is; None where no region may take it."""
    try:
        routed = decide_route(config, view, request)
    except NoHealthyRegionError:
        return None, None
    if isinstance(routed.decision, Failover) and routed.decision.code == FAIL_OPEN:
        return None, None  # sent somewhere for want of anything better is not served
    return routed.decision.region, routed.latency_ms
