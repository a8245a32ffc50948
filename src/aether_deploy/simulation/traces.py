"""Players over time: what was measured, or what might be."""

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from operator import lt, sub

import msgspec

MISSING = -1
"""Stands in a pod's samples where it gave none."""

MAX_PLAYERS = 1_000_000_000
MAX_SECS = 253_402_300_799  # the last second of the year 9999, as seconds since 1970
MAX_SAMPLES = 31_622_400  # one each second of a leap year

GAP_STEPS = 10
_STEPS_LOOKED_AT = 10_000
_STEPS_AT_LEAST = 16


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """A time without samples, during which the last one is taken to hold.

    Attributes:
        place: Number of the sample that ends it, from 0.
        length_secs: From the sample before, seconds.
        usual_secs: Step between samples elsewhere, seconds.
    """

    place: int
    length_secs: int
    usual_secs: int


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """How many players there were, from one time to the next; in between, the last sample holds.

    Give ``players`` or ``pods``. Numbers are kept as machine words: 16 bytes a sample, and 8 more for each pod.

    Attributes:
        times: Whole seconds of any clock, strictly increasing, at least one.
        players: Players on all pods together, 0 or more; with ``pods`` their sum, where missing ones count 0.
        pods: The samples of each pod by its name, ``MISSING`` (-1) where it gave none; empty where only
            ``players`` is known.

    Example:
        >>> Trace(times=[0, 30], players=[40, 260]).players_at(29)
        40
    """

    times: Sequence[int]
    players: Sequence[int] = ()
    pods: Mapping[str, Sequence[int]] = {}

    def __post_init__(self) -> None:
        times = _words(self.times)
        pods = {name: _words(row) for name, row in self.pods.items()}
        players = _words(self.players)
        _check(times, players, pods)
        if pods:
            sums = _words(sum(each for each in row if each > 0) for row in zip(*pods.values(), strict=True))
            if players and players != sums:
                raise ValueError("players are not the sum of the pods: leave them out")
            players = sums
        for name, value in (("times", times), ("players", players), ("pods", pods)):
            msgspec.structs.force_setattr(self, name, value)

    def __len__(self) -> int:
        return len(self.times)

    @property
    def start_secs(self) -> int:
        """Time of the first sample, seconds."""
        return self.times[0]

    @property
    def end_secs(self) -> int:
        """Time of the last sample, seconds."""
        return self.times[-1]

    @property
    def peak_players(self) -> int:
        """Most players at any time."""
        return max(self.players)

    def players_at(self, secs: float) -> int:
        """Return how many players there are at ``secs``: the last sample that is not later.

        Raises:
            ValueError: Before the first sample.
        """
        return self.players[self._place(secs)]

    def pods_at(self, secs: float) -> dict[str, int | None]:
        """Return the players of each pod at ``secs``; None where the sample that holds is missing.

        Raises:
            ValueError: Before the first sample.
        """
        place = self._place(secs)
        return {name: None if row[place] == MISSING else row[place] for name, row in self.pods.items()}

    def synced(self, step_secs: int) -> Iterator[tuple[int, int]]:
        """Yield time and players at the first sample, and each ``step_secs`` after, up to the last sample."""
        times, players, place, last = self.times, self.players, 0, len(self.times) - 1
        for secs in range(self.start_secs, self.end_secs + 1, _positive(step_secs)):
            while place < last and times[place + 1] <= secs:
                place += 1
            yield secs, players[place]

    def resampled(self, step_secs: int) -> "Trace":
        """Return the trace as a reader sees it who looks each ``step_secs``."""
        times = range(self.start_secs, self.end_secs + 1, _positive(step_secs))
        if not self.pods:
            return Trace(times=times, players=[players for _, players in self.synced(step_secs)])
        places = [self._place(secs) for secs in times]
        return Trace(times=times, pods={name: [row[at] for at in places] for name, row in self.pods.items()})

    def gaps(self) -> Iterator[Gap]:
        """Yield each step that is more than ten times as long as the steps at the beginning usually are.

        A trace of a few samples has none: nothing is usual in it.
        """
        steps = sorted(map(sub, islice(self.times, 1, _STEPS_LOOKED_AT + 1), self.times))
        if len(steps) < _STEPS_AT_LEAST:
            return
        usual = steps[(len(steps) - 1) // 2]
        for place, step in enumerate(map(sub, islice(self.times, 1, None), self.times), 1):
            if step > GAP_STEPS * usual:
                yield Gap(place=place, length_secs=step, usual_secs=usual)

    def _place(self, secs: float) -> int:
        place = bisect_right(self.times, secs) - 1
        if place < 0:
            raise ValueError(f"{secs} is before the first sample, at {self.start_secs}")
        return place


def _words(numbers: Iterable[int]) -> "array[int]":
    return numbers if isinstance(numbers, array) and numbers.typecode == "q" else array("q", numbers)


def _positive(step_secs: int) -> int:
    if step_secs < 1:
        raise ValueError(f"a step of {step_secs} seconds is less than 1")
    return step_secs


def _check(times: "array[int]", players: "array[int]", pods: "Mapping[str, array[int]]") -> None:
    if not times:
        raise ValueError("a trace has one sample or more")
    if not all(map(lt, times, islice(times, 1, None))):
        raise ValueError("times of a trace are strictly increasing")
    if times[0] < 0 or times[-1] > MAX_SECS:
        raise ValueError(f"times of a trace are seconds from 0 to {MAX_SECS}")
    if not players and not pods:
        raise ValueError("a trace has players, or pods")
    for name, row in (("players", players), *pods.items()):
        least = MISSING if name in pods else 0
        if row and (len(row) != len(times) or min(row) < least or max(row) > MAX_PLAYERS * max(len(pods), 1)):
            raise ValueError(f"{name}: one number from 0 to {MAX_PLAYERS} belongs to each time")
