"""How far regions are from a player, and who says so."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from aether_deploy.routing.policy import LatencyPolicy, LatencySource
from aether_deploy.routing.request import Measurement
from aether_deploy.routing.view import Position, RegionView, RoutingView

EARTH_RADIUS_KM = 6371.0
# Light in fibre covers 200 km a millisecond; a round trip goes the way twice.
FIBRE_MS_PER_KM = 2 / 200
# Real paths are about half as long again as the great circle.
ROUND_TRIP_MS_PER_KM = FIBRE_MS_PER_KM * 1.5
# Nobody can answer sooner than this; the fifth below light is for positions that are a little off.
POSSIBLE_MS_PER_KM = FIBRE_MS_PER_KM * 0.8
JITTER_WEIGHT = 0.5
LOSS_MS_PER_PERCENT = 5.0
NOBODY_RANK = 99

Vector = tuple[float, float, float]
"""A place as a point of the unit sphere."""


class Place(Protocol):
    """Whatever has a latitude and a longitude, degrees."""

    @property
    def lat(self) -> float: ...
    @property
    def lon(self) -> float: ...


def great_circle_km(a: Place, b: Place) -> float:
    """Return the distance of two places on a sphere, kilometres."""
    return arc_km(unit_vector(a), unit_vector(b))


def great_circle_ms(a: Place, b: Place) -> float:
    """Return the round trip between two places that their distance lets expect, milliseconds."""
    return great_circle_km(a, b) * ROUND_TRIP_MS_PER_KM


def unit_vector(place: Place) -> Vector:
    """Return a place as a point of the unit sphere: what distances to many others are quickest from."""
    lat, lon = math.radians(place.lat), math.radians(place.lon)
    across = math.cos(lat)
    return across * math.cos(lon), across * math.sin(lon), math.sin(lat)


def vector_of(position: Position | None) -> Vector | None:
    """Return a position as a point of the unit sphere; None where there is none, or it is on no globe."""
    if position is None or not (-90.0 <= position.lat <= 90.0 and -180.0 <= position.lon <= 180.0):
        return None
    return unit_vector(position)


def arc_km(a: Vector, b: Vector) -> float:
    """Return the distance of two points along the sphere, kilometres. Exact for near ones too, by the chord."""
    x, y, z = a[0] - b[0], a[1] - b[1], a[2] - b[2]
    # Not math.dist, whose last bit depends on the version of Python.
    return 2 * EARTH_RADIUS_KM * math.asin(min(1.0, math.sqrt(x * x + y * y + z * z) / 2))


def score_ms(measured: Measurement) -> float:
    """Return what a measurement is worth, milliseconds: players feel jitter and loss as delay.

    Rule:
        R6: the median, half the jitter, and 5 ms for each percent of loss.
    """
    return measured.rtt_ms + JITTER_WEIGHT * measured.jitter_ms + LOSS_MS_PER_PERCENT * measured.loss_percent


def disbelief(measured: Measurement, policy: LatencyPolicy, km: float | None) -> str | None:
    """Return why a measurement is not believed, or None where it is.

    Args:
        measured: What the player says.
        policy: How many samples, and how fresh.
        km: Distance between where he says he is and the region; None where either is unknown.

    Rule:
        R6: an answer sooner than 0.8 of what light in fibre needs is made up, or the position is.
    """
    if measured.samples < policy.sample_min:
        return f"{measured.samples} samples < {policy.sample_min}"
    if not measured.age_secs <= policy.sample_max_age_secs:
        return f"{measured.age_secs:g} s old > {policy.sample_max_age_secs} s"
    parts = (measured.rtt_ms, measured.jitter_ms, measured.loss_percent)
    if not (all(part >= 0.0 for part in parts) and score_ms(measured) < math.inf):
        return "is no round trip, jitter and loss"
    if km is not None and measured.rtt_ms < km * POSSIBLE_MS_PER_KM:
        return f"{measured.rtt_ms:g} ms is sooner than light could answer over {km:.0f} km"
    return None


_NOWHERE: Sequence[float | None] = ()


class Row(NamedTuple):
    """What is known of all regions, in file order, before a player says anything.

    Attributes:
        latencies: Round trips, milliseconds; infinite where nobody knows.
        sources: Who says so; None where nobody does.
        open: Regions whose distance from the player's position says more than this row.
    """

    latencies: tuple[float, ...]
    sources: tuple[LatencySource | None, ...]
    open: tuple[int, ...]


class LatencyTable:
    """The latencies of one view under one policy; what does not depend on the player is worked out once."""

    def __init__(self, policy: LatencyPolicy, view: RoutingView) -> None:
        self.policy = policy
        self.regions = view.regions
        self.index = {region.code: place for place, region in enumerate(view.regions)}
        self.matrix = view.matrix
        self.rank: dict[LatencySource | None, int] = {name: rank for rank, name in enumerate(policy.sources)}
        self.rank[None] = NOBODY_RANK
        self.measures = "measured" in self.rank
        self.vectors = [None if r.position is None else unit_vector(r.position) for r in view.regions]
        self._rows: dict[tuple[str | None, bool], Row] = {}

    def of(
        self, preferred: str | None, position: Position | None, measured: Mapping[str, Measurement]
    ) -> tuple[Sequence[float], Sequence[LatencySource | None]]:
        """Return the round trips of one player to all regions, in file order, and who says so.

        Args:
            preferred: The region that he chose, if it is one of ours: links count from there, and where he gives no
                position, his is that region's.
            position: Where he says he is; one that is on no globe counts as none.
            measured: What he measured; regions that are not ours are left alone.

        Returns:
            Milliseconds, infinite where nobody knows; and the sources, None where nobody says.
        """
        here = vector_of(position)
        row = self._rows.get((preferred, here is not None)) or self._row(preferred, here is not None)
        if here is None and not measured:
            return row.latencies, row.sources
        latencies, sources = list(row.latencies), list(row.sources)
        away = _NOWHERE if here is None else [None if v is None else arc_km(here, v) for v in self.vectors]
        for place in row.open:
            latencies[place] = away[place] * ROUND_TRIP_MS_PER_KM  # type: ignore[operator]
            sources[place] = "great_circle"
        if measured and self.measures:
            self._believe(measured, away, latencies, sources)
        return latencies, sources

    def onward(
        self, latencies: Sequence[float], sources: Sequence[LatencySource | None], position: Position | None
    ) -> tuple[Sequence[float], Sequence[LatencySource | None]]:
        """Return round trips with what the closest region says of those that nobody else knows: for a player who
        chose no region of ours it is the preferred one, and links and distances count from there.

        Args:
            latencies: What :meth:`of` returns for him.
            sources: The same.
            position: Where he says he is.

        Returns:
            Both, filled. Nothing that was known changes, and nothing becomes closer than the closest region.

        Rule:
            R6, ``matrix[preferred]``, with R1's preferred region of a player who names none.
        """
        nearest = min(latencies, default=math.inf)
        if nearest == math.inf or math.inf not in latencies:
            return latencies, sources
        placed, home = vector_of(position) is not None, self.regions[latencies.index(nearest)].code
        row = self._rows.get((home, placed)) or self._row(home, placed)
        found, by = list(latencies), list(sources)
        for place, latency in enumerate(latencies):
            if latency == math.inf and row.sources[place] is not None:
                found[place], by[place] = max(nearest, row.latencies[place]), row.sources[place]
        return found, by

    def _believe(
        self,
        measured: Mapping[str, Measurement],
        away: Sequence[float | None],
        latencies: list[float],
        sources: list[LatencySource | None],
    ) -> None:
        index, rank, own = self.index, self.rank, self.rank["measured"]
        samples, age_secs = self.policy.sample_min, self.policy.sample_max_age_secs
        for code, each in measured.items():
            place = index.get(code)
            if place is None or rank[sources[place]] < own:
                continue
            # In place, because it is most of the work of a decision; disbelief() says the same in words.
            rtt, jitter, loss = each.rtt_ms, each.jitter_ms, each.loss_percent
            score = rtt + JITTER_WEIGHT * jitter + LOSS_MS_PER_PERCENT * loss
            if (
                each.samples >= samples
                and each.age_secs <= age_secs
                and (rtt >= 0.0 and jitter >= 0.0 and loss >= 0.0 and score < math.inf)
                and ((km := away[place] if away else None) is None or rtt >= km * POSSIBLE_MS_PER_KM)
            ):
                latencies[place] = score
                sources[place] = "measured"

    def knows(self, preferred: str) -> bool:
        """Return whether anything counts from there: one of the regions, or a home that has links to them."""
        return preferred in self.index or preferred in self.matrix

    def km(self, here: Vector | None, place: int) -> float | None:
        """Return how far a region is from a point; None where either is unknown."""
        there = self.vectors[place]
        return None if here is None or there is None else arc_km(here, there)

    def _row(self, preferred: str | None, placed: bool) -> Row:
        latencies, sources, still_open = [], [], []
        for place, region in enumerate(self.regions):
            latency, source = self._plain(preferred, placed, place, region)
            latencies.append(latency)
            sources.append(source)
            nearer = self.rank.get("great_circle", NOBODY_RANK) < self.rank[source]
            if placed and nearer and self.vectors[place] is not None:
                still_open.append(place)
        row = Row(tuple(latencies), tuple(sources), tuple(still_open))
        if preferred is None or self.knows(preferred):  # the names that strangers make up are not kept
            self._rows[preferred, placed] = row
        return row

    def _plain(
        self, preferred: str | None, placed: bool, place: int, region: RegionView
    ) -> tuple[float, LatencySource | None]:
        for source in self.policy.sources:
            found: float | None = None
            if source == "static":
                found = region.latency_ms
            elif source == "matrix":
                found = self._linked(preferred, region.code)
            elif source == "great_circle" and not placed and preferred in self.index:
                home = self.vectors[self.index[preferred]]
                found = None if (km := self.km(home, place)) is None else km * ROUND_TRIP_MS_PER_KM
            if found is not None:
                return float(found), source
        return math.inf, None

    def _linked(self, preferred: str | None, code: str) -> float | None:
        links = self.matrix.get(preferred) if preferred is not None else None
        if not links:
            return None
        return 0.0 if code == preferred else links.get(code)
