"""Deciding a router's log again: by its own rules, which must give the same, or by others, to see who moves.

By other rules, regions, places and links are those of the new configuration; what was known of a region at the time
stays: its health, its rest after falls, its ramp, its load, a drain by order; drains of the description are those of
the new one. A region that the log does not know is taken as healthy with an unknown load; one that the new
configuration does not have is gone.
"""

from collections.abc import Iterable, Mapping

import msgspec

from aether_deploy.problems import DecisionError
from aether_deploy.routing.decision.deciding import decide_route
from aether_deploy.routing.decision_log import (
    CutOff,
    Entry,
    LoggedAnswer,
    LoggedConfig,
    LoggedLoss,
    LoggedRoute,
    LoggedView,
)
from aether_deploy.routing.policy import RoutingPolicy
from aether_deploy.routing.request import RouteRequest
from aether_deploy.routing.router_config import RouterConfig
from aether_deploy.routing.view import DrainMode, RegionView, RoutingView
from aether_deploy.routing.viewing import matrix_of, stricter_drain, view_of

EXAMPLES = 3


class Example(msgspec.Struct, frozen=True, kw_only=True):
    """One decision of the log that comes out otherwise.

    Attributes:
        line: Its line in the file, from 1.
        player: Who asked; empty where nobody said.
        preferred: The region that he prefers, if any.
        was: What he was told.
        becomes: What he would be told.
    """

    line: int
    player: str
    preferred: str | None
    was: LoggedAnswer
    becomes: LoggedAnswer


class Shift(msgspec.Struct, frozen=True, kw_only=True):
    """Players who go from one answer to another, for one reason.

    Attributes:
        origin: The region that they were sent to; None where they got an error.
        region: The region that they would be sent to; None with an error.
        was: Why they went there: ``primary``, the code of a failover's reason, or that of an error.
        becomes: Why they would go there, in the same words.
        decisions: Lines of the log.
        players: Players on these lines.
        examples: The first few lines.
    """

    origin: str | None
    region: str | None
    was: str
    becomes: str
    decisions: int
    players: int
    examples: tuple[Example, ...]

    @property
    def moves(self) -> bool:
        """Whether the region is another one, or there is one where there was none."""
        return self.origin != self.region


class RoutingReplay(msgspec.Struct, frozen=True, kw_only=True):
    """A log that was decided again.

    Attributes:
        decisions: Lines that hold a decision.
        players: Players on these lines.
        same_players: Those who are told exactly the same.
        shifts: The others, most players first: those who move, then those who are told the same region otherwise.
        configs: How often the router was told something new.
        views: How often it knew something new.
        dropped: Decisions that the router made and did not log.
        cut_off_line: The last line, where it has no end and was left out.
        new_regions: Regions that the log does not know, and that were taken as healthy.
    """

    decisions: int
    players: int
    same_players: int
    shifts: tuple[Shift, ...]
    configs: int
    views: int
    dropped: int
    cut_off_line: int | None
    new_regions: tuple[str, ...]

    @property
    def is_exact(self) -> bool:
        """Whether everybody is told exactly the same."""
        return not self.shifts

    @property
    def moved_players(self) -> int:
        """Players who go elsewhere."""
        return sum(shift.players for shift in self.shifts if shift.moves)


def replay_decisions(entries: Iterable[Entry], config: RouterConfig | None = None) -> RoutingReplay:
    """Decide everything in a log again.

    Args:
        entries: What the log holds, as ``read_decisions`` yields it. It is read once, and not kept.
        config: Regions, links and rules to decide by; those of the log where left out.
    """
    replayed = _Replaying(config)
    for entry in entries:
        replayed.take(entry)
    return replayed.told()


def answer_of(policy: RoutingPolicy, view: RoutingView, request: RouteRequest) -> LoggedAnswer:
    """Return what a router answers, as its log holds it."""
    try:
        return LoggedAnswer.of(decide_route(policy, view, request))
    except DecisionError as error:
        return LoggedAnswer.of(error)


def seen_by(config: RouterConfig, view: RoutingView, *, told: RouterConfig | None = None) -> RoutingView:
    """Return what was known at one time, with the regions, places, links and drains of ``config``.

    Args:
        config: The configuration that replaces what the router was told.
        view: What it knew.
        told: What it was told: a drain that it was told of is none any more, where ``config`` does not say so too.
    """
    fresh, before = view_of(config), {} if told is None else told.drain
    regions = tuple(
        _merged(region, view.by_code.get(region.code), before.get(region.code, "none")) for region in fresh.regions
    )
    return RoutingView(regions=regions, matrix=matrix_of(config), epoch=view.epoch, stale=view.stale)


def _merged(region: RegionView, known: RegionView | None, described: DrainMode) -> RegionView:
    if known is None:
        return region
    ordered: DrainMode = "none" if known.drain == described else known.drain
    return msgspec.structs.replace(
        known,
        latency_ms=region.latency_ms,
        position=region.position,
        drain=stricter_drain(ordered, region.drain),
        drain_share=known.drain_share if ordered != "none" and region.drain == "none" else 0.0,
    )


class _Tally:
    """Players of one shift, as they are counted."""

    __slots__ = ("decisions", "examples", "players")

    def __init__(self) -> None:
        self.decisions = 0
        self.players = 0
        self.examples: list[Example] = []


class _Replaying:
    """A log on its way through the decision."""

    def __init__(self, config: RouterConfig | None) -> None:
        self._other = config
        self._policy: RoutingPolicy | None = config
        self._told: RouterConfig | None = None
        self._view: RoutingView | None = None
        self._counts = {"decisions": 0, "players": 0, "same_players": 0, "configs": 0, "views": 0, "dropped": 0}
        self._cut_off: int | None = None
        self._new: dict[str, None] = {}
        self._shifts: dict[tuple[str | None, str | None, str, str], _Tally] = {}

    def take(self, entry: Entry) -> None:
        match entry:
            case LoggedConfig():
                self._counts["configs"] += 1
                self._policy, self._told = self._other or entry.config, entry.config
            case LoggedView():
                self._counts["views"] += 1
                self._view = self._seen(entry.view)
            case LoggedRoute():
                self._decide(entry)
            case LoggedLoss():
                self._counts["dropped"] += entry.decisions
            case CutOff():
                self._cut_off = entry.line

    def _seen(self, view: RoutingView) -> RoutingView:
        if self._other is None:
            return view
        self._new.update(dict.fromkeys(each.code for each in self._other.regions if each.code not in view.by_code))
        return seen_by(self._other, view, told=self._told)

    def _decide(self, entry: LoggedRoute) -> None:
        assert self._policy is not None, "a log is read so that a config comes before every decision"
        assert self._view is not None, "a log is read so that a view comes before every decision"
        becomes = answer_of(self._policy, self._view, entry.request)
        self._counts["decisions"] += 1
        self._counts["players"] += entry.count
        if becomes == entry.answer:
            self._counts["same_players"] += entry.count
            return
        was = entry.answer
        tally = self._shifts.setdefault((was.region, becomes.region, was.why, becomes.why), _Tally())
        tally.decisions += 1
        tally.players += entry.count
        if len(tally.examples) < EXAMPLES:
            request = entry.request
            tally.examples.append(
                Example(line=entry.line, player=request.player, preferred=request.preferred, was=was, becomes=becomes)
            )

    def told(self) -> RoutingReplay:
        shifts = [
            Shift(
                origin=origin,
                region=region,
                was=was,
                becomes=becomes,
                decisions=tally.decisions,
                players=tally.players,
                examples=tuple(tally.examples),
            )
            for (origin, region, was, becomes), tally in self._shifts.items()
        ]
        shifts.sort(key=lambda shift: (not shift.moves, -shift.players, shift.examples[0].line))
        counts: Mapping[str, int] = self._counts
        return RoutingReplay(**counts, shifts=tuple(shifts), cut_off_line=self._cut_off, new_regions=tuple(self._new))
