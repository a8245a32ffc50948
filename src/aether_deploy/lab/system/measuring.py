"""What a client saw of a fault, from the times of its acknowledgements alone.

A write that was sent before the fault and acknowledged after it counts when it was acknowledged, so it hides nothing
of what followed.
"""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import chain, pairwise
from typing import NamedTuple

import msgspec

from aether_deploy.infrastructure.analysis.impacts import Outcome
from aether_deploy.lab.system.record import Measured, Predicted

STAYS_SECS = 3.0
"""How long writes must go on until a part counts as back."""
QUIET_SECS = 10.0
"""How long a part is watched at least, one that is to stay down and one that is to go on: so long, or as long as its
own clocks run (:attr:`aether_deploy.lab.system.expecting.Expectation.clocks`)."""
MARGIN_SECS = 2.0
MEND_SECS = 180.0
"""How long what was mended is waited for, where nothing says how long that takes."""
LONGEST_SECS = 600.0
"""Nothing is watched for longer, whatever happens."""
UNSAID_SECS = 60.0
"""The same of what nothing was said of."""


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What one client saw up to a moment; times are seconds, rising.

    Attributes:
        acknowledged: When each write was acknowledged; of a part that takes none, when each read brought something.
        reads: When each read ended, and whether it brought something.
        reading: When the read began that has not ended; None: none is on its way.
        total: How many writes were acknowledged in all.
    """

    acknowledged: Sequence[float]
    reads: Sequence[tuple[float, bool]]
    reading: float | None = None
    total: int = 0


class Stall(NamedTuple):
    """A time in which nothing of this process ran, though it wanted to."""

    begin: float
    end: float


def measure(
    seen: Seen, *, at: float, until: float, resolution: float, lost: int | None, stalls: Sequence[Stall] = ()
) -> Measured:
    """Return what a client saw of a fault.

    Args:
        seen: What it saw so far.
        at: When the fault was.
        until: When the watch ended.
        resolution: A shorter wait is none, seconds.
        lost: How many acknowledged writes are gone; None: not known.
        stalls: When the machine itself stood still.
    """
    begin, end, stopped = _longest(seen.acknowledged, at, until, resolution)
    last = longest_open(seen.acknowledged, at, until)
    is_back = last <= resolution
    if not is_back:
        begin, end = until - last, until
    readable = _was_readable(seen, begin, end, resolution)
    outcome: Outcome = "holds"
    if not is_back:
        outcome = "read-only" if readable else "down"
    elif stopped > resolution:
        outcome = "interrupted"
    return Measured(
        outcome=outcome,
        readable=outcome == "holds" or readable,
        stopped_secs=round(stopped, 3) if is_back else None,
        stalled_secs=round(stalled_secs(stalls, begin, end), 3),
        watched_secs=round(until - at, 3),
        acknowledged=seen.total,
        lost=lost,
    )


def stalled_secs(stalls: Sequence[Stall], begin: float, end: float) -> float:
    """Return for how long of a time the machine stood still, seconds."""
    return sum(max(0.0, min(each.end, end) - max(each.begin, begin)) for each in stalls)


class _Away(NamedTuple):
    """A time without an acknowledgement, or several that are one, and how much of it that was, seconds."""

    begin: float
    end: float
    secs: float


def _longest(times: Sequence[float], at: float, until: float, resolution: float) -> _Away:
    """Return the longest time without an acknowledgement that one ended after the fault; it begins with the fault.

    Outages that follow each other before writes went on for long enough to be back are one; those are not that may be
    a single answer that came late.
    """
    after = times[bisect_right(times, at) : bisect_right(times, until)]
    longest = last = _Away(at, at, 0.0)
    for begin, end in pairwise(chain((at,), after)):
        found = _Away(begin, end, end - begin)
        if found.secs > 2 * resolution:
            if last.secs and begin - last.end < STAYS_SECS:
                found = _Away(last.begin, end, last.secs + found.secs)
            last = found
        longest = max(longest, found, key=_secs)
    return longest


def _secs(away: _Away) -> float:
    return away.secs


def longest_open(times: Sequence[float], at: float, until: float) -> float:
    """Return how long, at the end, nothing has been acknowledged since the fault, seconds."""
    place = bisect_right(times, until)
    return until - max(at, times[place - 1] if place else at)


def _was_readable(seen: Seen, begin: float, end: float, resolution: float) -> bool | None:
    """Return whether most reads within a time brought something; None where none was tried: nothing speaks for either.

    A read that is on its way for longer than an answer may take has brought nothing.
    """
    within = [good for when, good in seen.reads if begin < when <= end]
    if seen.reading is not None and end - max(seen.reading, begin) > resolution:
        within.append(False)
    return 2 * sum(within) >= len(within) if within else None


def is_settled(
    seen: Seen,
    said: Predicted,
    *,
    at: float,
    now: float,
    resolution: float,
    clock_secs: float = 0.0,
    open_: bool = False,
    stalls: Sequence[Stall] = (),
) -> bool:
    """Return whether longer watching would tell nothing more of a part.

    Args:
        seen: What its client saw so far.
        said: What was said of it.
        at: When the fault was.
        now: The moment.
        resolution: A shorter wait is none, seconds.
        clock_secs: How long the part may take to do something by itself, seconds: what fails late fails by then.
        open_: Nothing was said of it.
        stalls: When the machine itself stood still.
    """
    if now - at < _least_secs(resolution, clock_secs):
        return False
    away = longest_open(seen.acknowledged, at, now)
    is_back = away <= resolution
    if not is_back and away < QUIET_SECS:
        return False  # whether that is a pause or an outage is not known yet
    if not is_back and away < UNSAID_SECS and _was_readable(seen, now - away, now, resolution) is None:
        return False  # its client waits for the answer to a write, and has asked for nothing else
    if said.outcome in ("down", "read-only") or (said.outcome == "holds" and not open_):
        return True  # it has been watched for long enough to see whether that holds
    longest = _longest(seen.acknowledged, at, now, resolution)
    if is_back and (longest.secs <= resolution or now - longest.end >= STAYS_SECS):
        return True
    return now - at >= _most_secs(said, open_=open_) + stalled_secs(stalls, at, now) + resolution + MARGIN_SECS


def _least_secs(resolution: float, clock_secs: float) -> float:
    return max(QUIET_SECS, clock_secs + resolution, resolution + MARGIN_SECS)


def _most_secs(said: Predicted, *, open_: bool) -> float:
    return UNSAID_SECS if open_ else MEND_SECS if said.worst_secs is None else said.worst_secs


def longest_watch_secs(said: Predicted, *, resolution: float, clock_secs: float = 0.0, open_: bool = False) -> float:
    """Return how long a part is watched at most, seconds, while the machine does not stand still.

    Args:
        said: What was said of it.
        resolution: A shorter wait is none, seconds.
        clock_secs: How long the part may take to do something by itself, seconds.
        open_: Nothing was said of it.
    """
    waits = open_ or said.outcome == "interrupted"
    most = _most_secs(said, open_=open_) + resolution + MARGIN_SECS if waits else 0.0
    return min(LONGEST_SECS, max(_least_secs(resolution, clock_secs) + QUIET_SECS, most))
