"""Taking a region out of service without ending a session in it."""

import math
from collections.abc import Sequence
from typing import Literal

import msgspec

from aether_deploy.routing.tracking.gradual import step_at, steps_done
from aether_deploy.routing.view import DrainMode

ALL_PERCENT = 100
LEAVING_REPORTS = 16
"""Reports from which the rate of leaving is taken: the last ones, since the first players of a drain leave otherwise
than the last."""


class Drain(msgspec.Struct, frozen=True, kw_only=True):
    """A drain that was asked for.

    Attributes:
        mode: ``soft`` takes no new players, but those who return; ``hard`` takes nobody.
        since: When it began, seconds.
        bleed_secs: A soft drain takes a share of new players, from all to none, over this time, seconds.
        deadline_secs: A soft drain is a hard one from this long after its begin on, seconds; None never.

    Rule:
        R12.
    """

    mode: Literal["soft", "hard"]
    since: float
    bleed_secs: float = 0.0
    deadline_secs: float | None = None

    @property
    def deadline(self) -> float:
        """When it is over whoever is left, seconds; infinite where nobody set one."""
        return math.inf if self.deadline_secs is None else self.since + self.deadline_secs

    def mode_at(self, now: float) -> DrainMode:
        """Return the mode at a time."""
        return "hard" if now >= self.deadline else self.mode

    def share(self, now: float) -> float:
        """Return the share of new players that it still takes at a time, in whole percents."""
        if self.mode_at(now) == "hard":
            return 0.0
        return (ALL_PERCENT - self._gone_percent(now)) / ALL_PERCENT

    def next_change(self, now: float) -> float | None:
        """Return when mode or share change next, seconds; None where they stay."""
        if self.mode_at(now) == "hard":
            return None
        gone = self._gone_percent(now)
        step = math.inf if gone == ALL_PERCENT else step_at(self.since, self.bleed_secs, ALL_PERCENT, gone + 1)
        soonest = min(step, self.deadline)
        return soonest if soonest < math.inf else None

    def _gone_percent(self, now: float) -> int:
        return steps_done(self.since, self.bleed_secs, ALL_PERCENT, now)


def predict_empty(reports: Sequence[tuple[float, int]]) -> float | None:
    """Return when the last player will have left, seconds; None where nothing says that anybody leaves.

    A straight line through the first and the last of the last reports: sessions of one length that began evenly end
    evenly.

    Args:
        reports: Times and players, the oldest first.
    """
    recent = reports[-LEAVING_REPORTS:]
    if not recent:
        return None
    (first, before), (last, after) = recent[0], recent[-1]
    if after == 0:
        return last
    if last <= first or after >= before:
        return None
    return last + after * (last - first) / (before - after)
