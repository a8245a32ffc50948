"""How full a region is: what it reported last, and the places that are kept for players on their way.

A report does not end a reservation: all who are still loading would be forgotten, and their places given away a second
time. A place is given back by ``release``. Of a player who joined it is told so, and then his place is kept until the
next report, which has him, and he is counted once. A player of whom nobody says that he joined is counted twice, in the
reports and by his place, until his lease ends, and never longer.
"""

import math
from heapq import heapify, heappop, heappush
from typing import Self

import msgspec

from aether_deploy.routing.policy import LoadPolicy

UNKNOWN_AFTER = 4
"""A report this many times as old as the policy likes says nothing any more."""
_SPARE_LEASES = 16


class LoadReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a region said of its load.

    Attributes:
        players: Players in it.
        capacity: Players that it takes; None leaves it to the configuration.
        builds: Builds that its worlds speak; empty where nobody said.
        at: When, seconds.
    """

    players: int
    capacity: int | None = None
    builds: frozenset[str] = frozenset()
    at: float = 0.0


class Reservation(msgspec.Struct, frozen=True, kw_only=True):
    """A place that is kept.

    Attributes:
        id: Names it when it is given back.
        region: Code of the region.
        players: For how many.
        lease_secs: For how long, seconds.
    """

    id: str
    region: str
    players: int
    lease_secs: float


class Occupancy(msgspec.Struct, frozen=True):
    """How full a region is at one moment, as decisions see it.

    Attributes:
        load: Players and reservations over capacity, as ``load_of`` has it; None where it is unknown.
        stale: The last report is older than the policy likes.
        at_least: No report counts, and the load is that of the reservations alone.
    """

    load: float | None
    stale: bool
    at_least: bool = False


def load_of(players: int, capacity: int | None) -> float | None:
    """Return the load of a region in steps of a thousandth, rounded down: a percent is reached exactly when it is.

    Args:
        players: Players and reservations.
        capacity: Players that it takes; None where nobody said, and then its load is unknown. With none it is full.
    """
    if capacity is None:
        return None
    return 1.0 if capacity == 0 else 1000 * players // capacity / 1000


class LoadBook:
    """The account of one region.

    Attributes:
        report: The last report, or None.
        reserved: Players for whom a place is kept, those included who joined since the last report.
    """

    __slots__ = ("_capacity", "_joined", "_kept", "_leases", "_policy", "report", "reserved")

    def __init__(self, policy: LoadPolicy | None, capacity: int | None) -> None:
        self._policy = policy or LoadPolicy()
        self._capacity = capacity
        self._kept: dict[str, int] = {}
        self._joined: set[str] = set()
        self._leases: list[tuple[float, str]] = []
        self.report: LoadReport | None = None
        self.reserved = 0

    def capacity(self, now: float) -> int | None:
        """Return the players that the region takes: what its report says, as long as that counts, else what is
        configured."""
        report = self._counting(now)
        reported = None if report is None else report.capacity
        return self._capacity if reported is None else reported

    def reserve(self, reservation: Reservation, now: float) -> None:
        """Keep a place until its lease ends."""
        self._kept[reservation.id] = reservation.players
        self.reserved += reservation.players
        heappush(self._leases, (now + reservation.lease_secs, reservation.id))

    def take(self, report: LoadReport) -> None:
        """Take a report; it has those who joined since the last one."""
        self.report = report
        for reservation_id in self._joined:
            self._end(reservation_id)
        self._joined.clear()
        self._forget_leases()

    def release(self, reservation_id: str, *, joined: bool) -> bool:
        """Give a place back, at once or with the next report; False where it is not kept (any more)."""
        if reservation_id not in self._kept or reservation_id in self._joined:
            return False
        if joined:
            self._joined.add(reservation_id)
        else:
            self._end(reservation_id)
            self._forget_leases()
        return True

    def expire(self, now: float) -> None:
        """End the leases whose time has come."""
        while self._leases and self._leases[0][0] <= now:
            reservation_id = heappop(self._leases)[1]
            self._end(reservation_id)
            self._joined.discard(reservation_id)

    def occupancy(self, now: float) -> Occupancy:
        """Return how full it is, its leases being up to date.

        Rule:
            R11: with no report, or one older than four times ``report_max_age_secs``, the players are unknown. The
            places that this router keeps are known all the same: it is at least as full as they make it.
        """
        report, capacity = self._counting(now), self.capacity(now)
        stale = self.report is not None and now > self._stale_from(self.report)
        if report is not None:
            return Occupancy(load_of(report.players + self.reserved, capacity), stale)
        if self.reserved and capacity is not None:
            return Occupancy(load_of(self.reserved, capacity), stale, at_least=True)
        return Occupancy(None, stale)

    def builds(self, now: float) -> frozenset[str]:
        """Return the builds of the last report; none, which excludes none, where it is too old to say anything.

        Rule:
            R11, of the load: a region whose reporter died would otherwise refuse every other build for ever.
        """
        report = self._counting(now)
        return frozenset() if report is None else report.builds

    def players(self, now: float) -> int | None:
        """Return the players and reservations; None where they are unknown."""
        report = self._counting(now)
        return None if report is None else report.players + self.reserved

    def next_change(self, now: float) -> float | None:
        """Return when the occupancy may change next by time alone, seconds; None where it does not."""
        while self._leases and self._leases[0][1] not in self._kept:
            heappop(self._leases)
        due = [self._leases[0][0]] if self._leases else []
        if (report := self._counting(now)) is not None:
            stale, unknown = self._stale_from(report), self._unknown_from(report)
            due.append(math.nextafter(stale if now <= stale else unknown, math.inf))
        return min(due, default=None)

    def under(self, policy: LoadPolicy | None, capacity: int | None) -> Self:
        """Return a copy under another rule and capacity."""
        copy = type(self)(policy, capacity)
        copy.report, copy.reserved = self.report, self.reserved
        copy._kept, copy._joined, copy._leases = dict(self._kept), set(self._joined), list(self._leases)
        return copy

    def _counting(self, now: float) -> LoadReport | None:
        """Return the report, unless there is none, or it is too old to say anything."""
        return None if self.report is None or now > self._unknown_from(self.report) else self.report

    def _end(self, reservation_id: str) -> None:
        self.reserved -= self._kept.pop(reservation_id, 0)

    def _forget_leases(self) -> None:
        """Drop the leases of places that were given back, once they are most of all: a lease may last for days."""
        if len(self._leases) > 2 * len(self._kept) + _SPARE_LEASES:
            self._leases = [lease for lease in self._leases if lease[1] in self._kept]
            heapify(self._leases)

    def _stale_from(self, report: LoadReport) -> float:
        return report.at + self._policy.report_max_age_secs

    def _unknown_from(self, report: LoadReport) -> float:
        return report.at + UNKNOWN_AFTER * self._policy.report_max_age_secs
