"""What a router knows of its regions over time: from probes, reports and orders to the view that decisions see.

No clock, no network, no chance: whoever calls says what happened and when. One writer.
"""

import math
from collections.abc import Iterable
from typing import Literal, Self

from aether_deploy.problems import NoCapacityError, UnknownRegionError
from aether_deploy.routing.policy import LoadPolicy
from aether_deploy.routing.router_config import RouterConfig
from aether_deploy.routing.tracking.capacity import LoadReport, Reservation
from aether_deploy.routing.tracking.draining import Drain
from aether_deploy.routing.tracking.guard import BlindGuard
from aether_deploy.routing.tracking.health import SILENCES, ProbeOutcome
from aether_deploy.routing.tracking.region_track import RegionTrack
from aether_deploy.routing.tracking.status import RegionStatus, status_of
from aether_deploy.routing.tracking.steady_clock import SteadyClock
from aether_deploy.routing.view import RoutingView
from aether_deploy.routing.viewing import matrix_of


class RegionTracker:
    """Everything that is known of a router's regions.

    Every method takes ``now``, seconds of any clock. One that jumps back continues from where it was (see
    ``SteadyClock``). A region that is not configured is an ``UnknownRegionError`` everywhere.

    Attributes:
        config: The configuration.
    """

    def __init__(self, config: RouterConfig, *, now: float, life: str = "") -> None:
        """Begin with regions of which nothing is known; those that nobody probes are healthy.

        Args:
            config: The configuration.
            now: The time, seconds.
            life: Begins the ids of reservations, so that one of an earlier process is not taken for one of this.
        """
        self.config = config
        self._clock = SteadyClock(now)
        self._tracks = {region.code: RegionTrack(region, config, now) for region in config.regions}
        self._guard = BlindGuard(_probed(config))
        self._life, self._reservations = life, 0
        self._view = RoutingView(regions=(), matrix=matrix_of(config))
        self._holds_until = -math.inf

    # --- what happens

    def observe(self, code: str, outcome: ProbeOutcome, now: float) -> bool:
        """Take the outcome of a probe.

        Args:
            code: The region.
            outcome: ``ready``; ``not_ready``, an answer that says no; ``timeout`` or ``refused``, no answer.
            now: The time, seconds.

        Returns:
            Whether this region's health is another now. The health of others may be, too, where the router turns out
            to be blind: ``view`` tells. Nobody asks a region without a probe, and it stays healthy.
        """
        track, steady = self._track(code), self._clock.advance(now)
        if track.region.probe is None:
            return False
        was = track.standing.health.state
        self._guard.heard(code, outcome, was_healthy=was == "healthy")
        if self._guard.ends():
            self._recount()
        if outcome not in SILENCES or not self._guard.blind:
            self._see(track, outcome, steady)
        return track.standing.health.state != was

    def self_check(self, answers: bool | None, now: float) -> bool:
        """Take whether the router reached what it checks its own network by.

        Args:
            answers: Whether it did; None: from now on nothing is asked, or something else.
            now: The time, seconds.

        Returns:
            Whether its silence counts now: it answered before. A router that never asks, or never was answered, is
            taken to see.
        """
        steady = self._clock.advance(now)
        self._guard.checked(answers)
        if self._guard.ends():
            self._recount()
        self._guard_begins(steady)
        return self._guard.self_check_fails

    def report_load(
        self, code: str, *, players: int, capacity: int | None = None, builds: Iterable[str] = (), now: float
    ) -> None:
        """Take a region's report of its load; it replaces the one before, and ends no reservation.

        Args:
            code: The region.
            players: Players in it.
            capacity: Players that it takes; None leaves it to the configuration.
            builds: Builds that its worlds speak; none excludes none.
            now: The time, seconds.

        Raises:
            ValueError: A count is negative.
        """
        track, steady = self._track(code), self._clock.advance(now)
        if players < 0 or (capacity is not None and capacity < 0):
            raise ValueError(f"{players} players of {capacity} is no load\n  fix: report counts from 0 on")
        track.take(LoadReport(players=players, capacity=capacity, builds=frozenset(builds), at=steady))
        self._changed(track)

    def reserve(self, code: str, *, players: int = 1, now: float, lease_secs: float | None = None) -> Reservation:
        """Keep a place for players who were sent to a region.

        It does not ask whether there is room now: that is what a decision does.

        Args:
            code: The region.
            players: How many.
            now: The time, seconds.
            lease_secs: For how long, seconds; None is ``load.reservation_secs``.

        Returns:
            The reservation; its id is ``life`` and a number that counts up.

        Raises:
            ValueError: There are no players, or no lease.
            NoCapacityError: They are more than the region takes at all, so there will never be room for them.
        """
        track, steady = self._track(code), self._clock.advance(now)
        lease = float((self.config.load or LoadPolicy()).reservation_secs if lease_secs is None else lease_secs)
        if players < 1 or not 0 < lease < math.inf:
            raise ValueError(
                f"{players} players for {lease:g} s is no reservation\n  fix: keep at least one for a time"
            )
        capacity = track.book.capacity(steady)
        if capacity is not None and players > capacity:
            raise NoCapacityError(f"{code} takes {capacity} players, and never {players} at once")
        self._reservations += 1
        kept = Reservation(id=f"{self._life}{self._reservations}", region=code, players=players, lease_secs=lease)
        track.book.reserve(kept, steady)
        self._changed(track)
        return kept

    def release(self, reservation_id: str, now: float, *, joined: bool = False) -> bool:
        """Give a place back.

        Args:
            reservation_id: Which one.
            now: The time, seconds.
            joined: The player is in the region now. His place is kept until its next report, which has him: were it
                given back at once, nobody would count him until then. At the latest it ends with its lease.

        Returns:
            False where it is not kept (any more), or was given back before.
        """
        steady = self._clock.advance(now)
        for track in self._tracks.values():
            track.book.expire(steady)
            if track.book.release(reservation_id, joined=joined):
                self._changed(track)
                return True
        return False

    def drain(
        self,
        code: str,
        mode: Literal["soft", "hard"],
        *,
        bleed_secs: float = 0.0,
        deadline_secs: float | None = None,
        now: float,
    ) -> None:
        """Take a region out of service by order; one that was ordered before begins anew.

        The region may be in a drain of the configuration's as well, from when that was taken on; the stricter counts.

        Args:
            code: The region.
            mode: ``soft`` takes no new players, but those who return; ``hard`` takes nobody.
            bleed_secs: A soft drain takes a share of new players, from all to none, over this time, seconds.
            deadline_secs: A soft drain is a hard one from then on, seconds; None never.
            now: The time, seconds.

        Raises:
            ValueError: A time is negative.
        """
        track, steady = self._track(code), self._clock.advance(now)
        if not 0 <= bleed_secs < math.inf or (deadline_secs is not None and not 0 <= deadline_secs < math.inf):
            raise ValueError(f"a drain over {bleed_secs} s until {deadline_secs} s\n  fix: give times from 0 on")
        track.begin(Drain(mode=mode, since=steady, bleed_secs=bleed_secs, deadline_secs=deadline_secs))
        self._changed(track)

    def undrain(self, code: str, now: float) -> bool:
        """End the drain that was ordered; False where none was. One of the configuration's stays."""
        track = self._track(code)
        self._clock.advance(now)
        was, track.ordered = track.ordered, None
        self._changed(track)
        return was is not None

    # --- what is known

    def view(self, now: float) -> RoutingView:
        """Return the regions as decisions see them.

        Returns:
            The same object until something changed that a decision can see; then one with the next epoch.
        """
        steady = self._clock.advance(now)
        if steady < self._holds_until:
            return self._view
        regions = tuple(track.view(steady) for track in self._tracks.values())
        if regions != self._view.regions or self._guard.blind != self._view.stale:
            self._view = RoutingView(
                regions=regions, matrix=self._view.matrix, epoch=self._view.epoch + 1, stale=self._guard.blind
            )
        self._holds_until = self._next_change()
        return self._view

    def next_change(self, now: float) -> float | None:
        """Return the time until which the view holds if nothing happens, seconds.

        Returns:
            A time after ``now``, of the caller's clock; at that time ``view`` may be the same again, never before it is
            another. None: it holds for good.
        """
        self.view(now)
        return None if self._holds_until == math.inf else self._clock.for_caller(self._holds_until)

    def healthy_secs(self, code: str, now: float) -> float:
        """Return how long a region is healthy since it was last unhealthy, seconds; infinite where it never was.

        The view has whole seconds of it, and no more than the hold of a failback asks for.
        """
        return self._track(code).healthy_secs(self._clock.advance(now))

    def drain_done(self, code: str, now: float) -> bool:
        """Return whether a region's drain is done: it reported nobody since it began, or its deadline has passed."""
        track, steady = self._track(code), self._clock.advance(now)
        track.book.expire(steady)
        return track.is_drained(steady)

    def drain_remaining_secs(self, code: str, now: float) -> float | None:
        """Return how long a region's drain will take as its players leave, seconds.

        Returns:
            0 where it is done; None where there is no drain, or it has no deadline and no two reports tell of a rate.
        """
        track, steady = self._track(code), self._clock.advance(now)
        track.book.expire(steady)
        done_at = track.drained_at(steady)
        return None if done_at is None else done_at - steady

    def status(self, code: str, now: float) -> RegionStatus:
        """Return how a region stands, for people."""
        return status_of(self._track(code), self.config, self._clock.advance(now))

    # --- another configuration

    def reconfigured(self, config: RouterConfig, now: float) -> Self:
        """Return a tracker under another configuration, which knows what this one knows of the regions that remain.

        This one stays as it is. The other's views are of later epochs.
        """
        steady = self._clock.advance(now)
        copy = type(self)(config, now=steady, life=self._life)
        copy._clock.ahead = self._clock.ahead
        copy._reservations = self._reservations
        for region in config.regions:
            if region.code in self._tracks:
                copy._tracks[region.code] = self._tracks[region.code].under(region, config, steady)
        copy._guard = self._guard.over(region.code for region in config.regions if region.probe)
        copy._view = RoutingView(regions=(), matrix=copy._view.matrix, epoch=self._view.epoch)
        return copy

    # --- inside

    def _track(self, code: str) -> RegionTrack:
        track = self._tracks.get(code)
        if track is None:
            raise UnknownRegionError(f"no region is named '{code}'; known are {', '.join(self._tracks)}")
        return track

    def _changed(self, *tracks: RegionTrack) -> None:
        for track in tracks:
            track.touch()
        self._holds_until = -math.inf

    def _see(self, track: RegionTrack, outcome: ProbeOutcome, steady: float) -> None:
        was = track.standing.health.state
        if not track.see(outcome, steady):
            return
        self._changed(track)
        if was == "healthy" and outcome in SILENCES:
            self._guard.fell(track.region.code, steady)
            self._guard_begins(steady)

    def _guard_begins(self, steady: float) -> None:
        for code in self._guard.begins(self.config.health, steady):
            self._tracks[code].take_back_fall()
            self._changed(self._tracks[code])

    def _recount(self) -> None:
        for track in self._tracks.values():
            track.recount()
        self._changed(*self._tracks.values())

    def _next_change(self) -> float:
        return min((track.holds_until for track in self._tracks.values()), default=math.inf)


def _probed(config: RouterConfig) -> int:
    return sum(region.probe is not None for region in config.regions)
