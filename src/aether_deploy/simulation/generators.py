"""Player traces that might be: five kinds of days, each from a seed.

Only whole numbers are reckoned with, and of ``random`` only its ``random()``, the one method whose sequence Python
promises to keep: equal arguments give equal numbers on every machine and every Python.
"""

from collections.abc import Callable, Iterator
from math import isqrt
from random import Random

import msgspec

from aether_deploy.problems import ConfigError, Problem, shown, suggestion
from aether_deploy.simulation.traces import MAX_PLAYERS, MAX_SAMPLES, Trace

MINUTE, HOUR, DAY, WEEK = 60, 3600, 86_400, 604_800
MAX_DAYS = 366
WHOLE = 10_000
"""A share of 1, in the parts that shares are reckoned in."""

_ROOM = 97  # percent of the peak that a shape reaches; above it is room for deviations
_SPREAD = 6 * WHOLE

# Players at each hour of a day, in percent of the week's peak at 20:00, which is shifted to where it is wanted.
_WORKDAY = (58, 44, 33, 26, 22, 21, 22, 25, 28, 30, 33, 36, 40, 43, 46, 50, 56, 64, 74, 83, 88, 86, 79, 69)
_WEEKEND = (70, 57, 45, 36, 30, 27, 27, 30, 36, 44, 53, 61, 67, 72, 76, 80, 84, 89, 94, 98, 100, 97, 90, 81)
_EVENING = 20


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What a generated trace shall be.

    Attributes:
        seed: Equal seeds give equal traces.
        days: Length, days.
        peak: Never more players than this, and about as many at the busiest moment.
        step_secs: Time between samples, seconds.
        peak_hour: Busiest hour of a day, 0 to 23; the trace begins on a Monday at midnight.
    """

    seed: int
    days: int
    peak: int
    step_secs: int
    peak_hour: int

    @property
    def end_secs(self) -> int:
        return self.days * DAY

    def rhythm(self, secs: int) -> int:
        """Return the share of players that the time of day and week brings."""
        shifted = secs + (_EVENING - self.peak_hour) * HOUR
        hour, rest = divmod(shifted, HOUR)
        now, after = _hourly(hour), _hourly(hour + 1)
        return (now * (HOUR - rest) + after * rest) * WHOLE // (100 * HOUR)


def _hourly(hour: int) -> int:
    table = _WEEKEND if hour // 24 % 7 >= 5 else _WORKDAY
    return table[hour % 24]


Shape = Callable[[Asked, Random], Callable[[int], int]]
"""Draws what chance decides, and returns the share of players at a time."""


def _day_curve(asked: Asked, chance: Random) -> Callable[[int], int]:
    return asked.rhythm


def _launch_day(asked: Asked, chance: Random) -> Callable[[int], int]:
    """Doors open at noon of the first day; who comes stays long, and each day fewer come."""
    opened = 12 * HOUR
    rush_secs = _drawn(chance, 20 * MINUTE, 40 * MINUTE)

    def share(secs: int) -> int:
        if secs < opened:
            return WHOLE // 100
        since = secs - opened
        crowd = _risen(since, rush_secs)
        tired = _fallen(since, 2 * DAY)  # the first evening keeps everybody, the third day one half
        return max(crowd * tired // WHOLE * (WHOLE + asked.rhythm(secs)) // (2 * WHOLE), crowd * tired // (2 * WHOLE))

    return share


def _event_spike(asked: Asked, chance: Random) -> Callable[[int], int]:
    """Each evening but the first, an event: in ten minutes everybody is there, and after an hour or two gone."""
    start = _drawn(chance, -HOUR, HOUR) + asked.peak_hour * HOUR
    rise_secs, stay_secs = _drawn(chance, 4 * MINUTE, 10 * MINUTE), _drawn(chance, HOUR, 2 * HOUR)

    def share(secs: int) -> int:
        usual = asked.rhythm(secs) * 45 // 100
        since = (secs - start) % DAY
        if secs - start < DAY and asked.days > 1:
            return usual
        return usual + (WHOLE - usual) * _visit(since, rise_secs, stay_secs, 12 * MINUTE) // WHOLE

    return share


def _outage_spill(asked: Asked, chance: Random) -> Callable[[int], int]:
    """Another region fails on the last day: within two minutes its players are here, and later they go home."""
    start = asked.end_secs - DAY + _drawn(chance, 15 * HOUR, 19 * HOUR)
    rise_secs, stay_secs = _drawn(chance, 30, 2 * MINUTE), _drawn(chance, 30 * MINUTE, 90 * MINUTE)

    def share(secs: int) -> int:
        usual = asked.rhythm(secs) * 55 // 100
        return usual + (WHOLE - usual) * _visit(secs - start, rise_secs, stay_secs, 15 * MINUTE) // WHOLE

    return share


def _slow_decay(asked: Asked, chance: Random) -> Callable[[int], int]:
    """A world that people leave: each 20 to 40 days half of them."""
    half_life_secs = _drawn(chance, 20 * DAY, 40 * DAY)

    def share(secs: int) -> int:
        return asked.rhythm(secs) * _halved(secs, half_life_secs) // WHOLE

    return share


class Kind(msgspec.Struct, frozen=True):
    """A kind of trace: what it is, how long by default, and its shape."""

    text: str
    days: int
    shape: Shape


KINDS = {
    "day-curve": Kind("the rhythm of days and weekends", 7, _day_curve),
    "launch-day": Kind("doors open at noon and a crowd rushes in, smaller each day", 3, _launch_day),
    "event-spike": Kind("calm days, and from the second on an event each evening", 3, _event_spike),
    "outage-spill": Kind("the players of another region arrive at once, and leave again", 2, _outage_spill),
    "slow-decay": Kind("weeks in which people leave", 28, _slow_decay),
}


def generate_samples(
    kind: str, *, seed: int = 1, days: int | None = None, peak: int = 1000, step_secs: int = 15, peak_hour: int = 20
) -> Iterator[tuple[int, int]]:
    """Return the samples of a trace one by one, as seconds and players; equal arguments give equal samples.

    Args:
        kind: One of ``KINDS``.
        seed: What chance decides follows from it.
        days: Length, 1 to 366 days; left out, what suits the kind.
        peak: Most players; the busiest moment comes near it.
        step_secs: Time between samples, seconds; the last one is at the end of the last day.
        peak_hour: Busiest hour of a day, 0 to 23. The trace begins on a Monday at midnight.

    Raises:
        ConfigError: With every argument that does not fit.
    """
    known = KINDS.get(kind)
    asked = Asked(
        seed=seed,
        days=known.days if known and days is None else days or 0,
        peak=peak,
        step_secs=step_secs,
        peak_hour=peak_hour,
    )
    problems = _problems(kind, asked, days)
    if known is None or problems:
        raise ConfigError(problems)
    return _samples(asked, known.shape)


def generate_trace(
    kind: str, *, seed: int = 1, days: int | None = None, peak: int = 1000, step_secs: int = 15, peak_hour: int = 20
) -> Trace:
    """Return a trace of the kind; see :func:`generate_samples`.

    Raises:
        ConfigError: With every argument that does not fit.
    """
    samples = list(generate_samples(kind, seed=seed, days=days, peak=peak, step_secs=step_secs, peak_hour=peak_hour))
    return Trace(times=[secs for secs, _ in samples], players=[players for _, players in samples])


def _samples(asked: Asked, shape: Shape) -> Iterator[tuple[int, int]]:
    chance = Random(asked.seed)
    share = shape(asked, chance)
    keep = _halved(asked.step_secs, 5 * MINUTE)  # of a deviation, one half is left after five minutes
    width = _SPREAD * isqrt((WHOLE - keep) * WHOLE)  # such that all deviations together stay within a few percent
    deviation = 0
    for secs in range(0, asked.end_secs + 1, asked.step_secs):
        deviation = (deviation * keep + int((chance.random() + chance.random() - 1) * width)) // WHOLE
        players = asked.peak * _ROOM * share(secs) * (100 * WHOLE + deviation) // (100 * 100 * WHOLE * WHOLE)
        yield secs, min(max(players, 0), asked.peak)


# --- whole numbers


def _drawn(chance: Random, least: int, most: int) -> int:
    return least + int(chance.random() * (most - least + 1))


def _risen(since_secs: int, rise_secs: int) -> int:
    """Return a share that grows smoothly from 0 to 1 within ``rise_secs``: 3x² - 2x³."""
    if since_secs <= 0:
        return 0
    if since_secs >= rise_secs:
        return WHOLE
    return WHOLE * since_secs * since_secs * (3 * rise_secs - 2 * since_secs) // rise_secs**3


def _fallen(since_secs: int, half_secs: int) -> int:
    """Return a share that is 1 at first, and 1/2 after ``half_secs``: 1 / (1 + x²)."""
    if since_secs <= 0:
        return WHOLE
    return WHOLE * half_secs * half_secs // (half_secs * half_secs + since_secs * since_secs)


def _halved(since_secs: int, half_life_secs: int) -> int:
    """Return a share that loses half of itself each ``half_life_secs``, on straight lines between."""
    halvings, rest = divmod(since_secs, half_life_secs)
    return WHOLE * (2 * half_life_secs - rest) // (2 * half_life_secs) >> halvings


def _visit(since_secs: int, rise_secs: int, stay_secs: int, leave_secs: int) -> int:
    """Return the share of visitors who are there: they come, some tire while they stay, and all leave."""
    here = _risen(since_secs, rise_secs) * (4 * stay_secs - min(max(since_secs - rise_secs, 0), stay_secs))
    left = _risen(since_secs - rise_secs - stay_secs, leave_secs)
    return here * (WHOLE - left) // (4 * stay_secs * WHOLE)


def _problems(kind: str, asked: Asked, days: int | None) -> list[Problem]:
    problems = []
    if kind not in KINDS:
        fix = suggestion(kind, KINDS, f"known are {', '.join(KINDS)}")
        problems.append(Problem(path="kind", value=shown(kind), reason="no kind of trace has that name", fix=fix))
    ranges = (
        ("days", days, 1, MAX_DAYS),
        ("peak", asked.peak, 1, MAX_PLAYERS),
        ("step_secs", asked.step_secs, 1, DAY),
        ("peak_hour", asked.peak_hour, 0, 23),
    )
    for path, value, least, most in ranges:
        if value is not None and not least <= value <= most:
            reason = f"less than {least}" if value < least else f"more than {most}"
            problems.append(Problem(path=path, value=shown(value), reason=reason, fix=f"set it to {least} to {most}"))
    if not problems and asked.end_secs // asked.step_secs >= MAX_SAMPLES:
        fix = "take fewer days, or a longer step"
        problems.append(Problem(path="step_secs", reason=f"makes more than {MAX_SAMPLES} samples", fix=fix))
    return problems
