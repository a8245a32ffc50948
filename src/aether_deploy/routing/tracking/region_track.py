"""What is known of one region over time."""

import math
from collections import deque
from collections.abc import Iterator
from functools import reduce
from typing import Self

import msgspec

from aether_deploy.routing.router_config import RouterConfig, RouterRegion
from aether_deploy.routing.tracking.capacity import LoadBook, LoadReport
from aether_deploy.routing.tracking.damping import Damping
from aether_deploy.routing.tracking.draining import LEAVING_REPORTS, Drain, predict_empty
from aether_deploy.routing.tracking.gradual import step_at, steps_done
from aether_deploy.routing.tracking.health import HealthCount, ProbeOutcome
from aether_deploy.routing.tracking.ramp import next_share_at, ramp_share
from aether_deploy.routing.view import DrainMode, RegionView
from aether_deploy.routing.viewing import position_of, stricter_drain


class Standing(msgspec.Struct, frozen=True):
    """What a fall changes, and what is put back where it turns out to be none.

    Attributes:
        health: What probes say.
        recovered_at: When it last turned from unhealthy to healthy, seconds; None where it never did.
        damping: Its penalty; None where nothing is damped.
    """

    health: HealthCount
    recovered_at: float | None = None
    damping: Damping | None = None


class RegionTrack:
    """One region. Times are those of the tracker's steady clock, seconds.

    Attributes:
        region: As configured.
        standing: Its health and what follows from it.
        before: Its standing before it last fell by silence, until it answers.
        ordered: The drain that an operator ordered, or None.
        described: The drain that the configuration says, or None; an order can be stricter, and cannot end it.
        book: Its load.
        holds_until: The time until which it is seen as it was last seen, seconds; whoever changes it says ``touch``.
    """

    __slots__ = (
        "_config",
        "_leaving",
        "_position",
        "_seen",
        "before",
        "book",
        "described",
        "holds_until",
        "ordered",
        "region",
        "standing",
    )

    def __init__(self, region: RouterRegion, config: RouterConfig, now: float) -> None:
        self._config = config
        self.region, self._position = region, position_of(region)
        damping = None if config.damping is None else Damping(config.damping)
        self.standing = Standing(HealthCount("unknown" if region.probe else "healthy"), damping=damping)
        self.before: Standing | None = None
        self.ordered: Drain | None = None
        mode = config.drain.get(region.code)
        self.described = None if mode is None else Drain(mode=mode, since=now)
        self.book = LoadBook(config.load, region.capacity_players)
        self._leaving: deque[tuple[float, int]] = deque(maxlen=LEAVING_REPORTS)
        self._seen: RegionView | None = None
        self.holds_until = -math.inf

    # --- what happens to it

    def see(self, outcome: ProbeOutcome, now: float) -> bool:
        """Take a probe's outcome; return whether the health changed."""
        was = self.standing
        health = was.health.after(outcome, self._config.health)
        if outcome in ("ready", "not_ready"):
            self.before = None
        if health == was.health:
            return False
        recovered_at, damping = was.recovered_at, was.damping
        if health.state == "healthy" and was.health.state == "unhealthy":
            recovered_at = now
        if health.state == "unhealthy" and was.health.state == "healthy":
            damping = None if damping is None else damping.fall(now)
            self.before = None if outcome == "not_ready" else was
        self.standing = Standing(health, recovered_at, damping)
        return health.state != was.health.state

    def take_back_fall(self) -> None:
        """Put back what was before the last fall by silence, which was the router's and not the region's."""
        if self.before is not None:
            self.standing, self.before = self.before, None
            self.recount()

    def recount(self) -> None:
        """Forget what was counted against its health."""
        self.standing = msgspec.structs.replace(self.standing, health=self.standing.health.recounted())

    def take(self, report: LoadReport) -> None:
        """Take a report of its load."""
        self.book.take(report)
        self._leaving.append((report.at, report.players))

    def begin(self, drain: Drain) -> None:
        """Begin a drain by order; one that was ordered before is replaced."""
        self.ordered = drain
        self._leaving.clear()

    # --- what is known

    def touch(self) -> None:
        """Note that it changed, and must be looked at anew."""
        self.holds_until = -math.inf

    def view(self, now: float) -> RegionView:
        """Return it as decisions see it: the same object as long as that holds."""
        if self._seen is None or now >= self.holds_until:
            self.book.expire(now)
            self._seen = self._look(now)
            self.holds_until = min(self._changes(now), default=math.inf)
        return self._seen

    def _look(self, now: float) -> RegionView:
        standing, occupancy = self.standing, self.book.occupancy(now)
        healthy = standing.health.state == "healthy"
        never_fell = standing.health.state != "unhealthy" and standing.recovered_at is None
        return RegionView(
            code=self.region.code,
            latency_ms=self.region.latency_ms,
            position=self._position,
            health=standing.health.state,
            suppressed=standing.damping is not None and standing.damping.suppressed(now),
            ramp=ramp_share(self._config.failback, self._returned_at(), now) if healthy else 1.0,
            healthy_secs=math.inf if never_fell else float(self._seconds_held(now)) if healthy else 0.0,
            load=occupancy.load,
            load_stale=occupancy.stale,
            load_at_least=occupancy.at_least,
            drain=self._drain_mode(now),
            drain_share=min((drain.share(now) for drain in self.drains), default=0.0),
            builds=self.book.builds(now),
        )

    def _changes(self, now: float) -> Iterator[float]:
        """Yield the times after ``now`` at which it may change by time alone."""
        standing = self.standing
        if standing.damping is not None and standing.damping.suppressed(now):
            yield standing.damping.rests_until
        if standing.health.state == "healthy" and standing.recovered_at is not None:
            yield from _known(next_share_at(self._config.failback, self._returned_at(), now))
            held = self._seconds_held(now)
            if held < self._hold_secs:
                yield step_at(standing.recovered_at, self._hold_secs, self._hold_secs, held + 1)
        yield from _known(self.book.next_change(now))
        for drain in self.drains:
            yield from _known(drain.next_change(now))

    def healthy_secs(self, now: float) -> float:
        """Return how long it is healthy since it was last unhealthy, seconds; infinite where it never was."""
        if self.standing.health.state != "healthy":
            return 0.0
        return math.inf if self.standing.recovered_at is None else now - self.standing.recovered_at

    def is_drained(self, now: float) -> bool:
        """Return whether a drain is done: it has emptied the region, or its deadline has passed."""
        return bool(self.drains) and (self.is_emptied(now) or now >= self._deadline)

    def is_emptied(self, now: float) -> bool:
        """Return whether a report since the begin of a drain has nobody."""
        if not self.drains:
            return False
        report, since = self.book.report, min(drain.since for drain in self.drains)
        return report is not None and report.at >= since and self.book.players(now) == 0

    def drained_at(self, now: float) -> float | None:
        """Return when a drain will be done as it goes, seconds; None where there is none, or nothing tells."""
        if not self.drains:
            return None
        if self.is_drained(now):
            return now
        empty = predict_empty(tuple(self._leaving))
        known = min(self._deadline, math.inf if empty is None else max(empty, now))
        return known if known < math.inf else None

    # --- another configuration

    def under(self, region: RouterRegion, config: RouterConfig, now: float) -> Self:
        """Return what is known of it under another configuration; the original stays as it is."""
        copy = type(self)(region, config, now)
        copy.ordered, copy.book = self.ordered, self.book.under(config.load, region.capacity_players)
        if self.described is not None and copy.described is not None:
            copy.described = msgspec.structs.replace(copy.described, since=self.described.since)
        if copy.described is None or self.described is not None:  # a drain that begins has its own rate of leaving
            copy._leaving.extend(self._leaving)
        if region.probe is not None:
            copy.standing = _under(self.standing, config, now)
            copy.before = None if self.before is None else _under(self.before, config, now)
        return copy

    @property
    def drains(self) -> tuple[Drain, ...]:
        """The drains that it is in: by order, by description, or both, and then the stricter counts."""
        return tuple(drain for drain in (self.ordered, self.described) if drain is not None)

    def _drain_mode(self, now: float) -> DrainMode:
        modes: list[DrainMode] = [drain.mode_at(now) for drain in self.drains]
        return reduce(stricter_drain, modes, "none")

    @property
    def _deadline(self) -> float:
        return min(drain.deadline for drain in self.drains)

    @property
    def _hold_secs(self) -> int:
        return 0 if self._config.failback is None else self._config.failback.hold_secs

    def _seconds_held(self, now: float) -> int:
        """Return the whole seconds since the recovery, as far as the hold of a failback asks for them."""
        since = now if self.standing.recovered_at is None else self.standing.recovered_at
        return steps_done(since, self._hold_secs, self._hold_secs, now) if self._hold_secs else 0

    def _returned_at(self) -> float:
        """Return when it came back into service: a region that rests after its recovery warms up when it returns."""
        standing = self.standing
        if standing.recovered_at is None:
            return -math.inf
        rests_until = -math.inf if standing.damping is None else standing.damping.rests_until
        return max(standing.recovered_at, rests_until)


def _under(standing: Standing, config: RouterConfig, now: float) -> Standing:
    fresh = None if config.damping is None else Damping(config.damping)
    damping = fresh if fresh is None or standing.damping is None else standing.damping.under(fresh.policy, now)
    return msgspec.structs.replace(standing, damping=damping)


def _known(moment: float | None) -> Iterator[float]:
    if moment is not None:
        yield moment
