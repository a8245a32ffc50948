"""From the metrics' count to the count that is written: stabilization, rates, bounds.

Rule:
    Kubernetes, ``pkg/controller/podautoscaler/horizontal.go``: with behavior a recommendation counts while it is
    younger than a direction's window; without, also when it is exactly as old. What is remembered is the count
    before stabilization. A rate counts the changes of both directions within its period.
"""

from collections.abc import Iterable, Iterator
from typing import Literal, TypeAlias

import msgspec

from aether_deploy.scaling.controller.go_numbers import ceil_int32, truncate_int32, wrap_int32
from aether_deploy.scaling.controller.policy import DOWNSCALE_WINDOW_SECS, Direction

Timed: TypeAlias = tuple[float, int]
"""When, and how many: a recommendation, or the size of a change."""

LimitReason: TypeAlias = Literal[
    "DesiredWithinRange", "ScaleUpLimit", "ScaleDownLimit", "TooManyReplicas", "TooFewReplicas"
]


class Stabilized(msgspec.Struct, frozen=True, kw_only=True):
    """A count within what was recommended recently.

    Attributes:
        replicas: The count.
        lowest: It is not below this: the lowest recommendation of the window for scaling up.
        highest: It is not above this: the highest recommendation of the window for scaling down.
    """

    replicas: int
    lowest: int
    highest: int


class Limited(msgspec.Struct, frozen=True, kw_only=True):
    """A count within rates and bounds.

    Attributes:
        replicas: The count.
        reason: What limited it; ``DesiredWithinRange`` where nothing did.
        limit: The most, or the fewest, pods that the rates of the direction allow; None where none were asked.
    """

    replicas: int
    reason: LimitReason
    limit: int | None = None


class ChangeLog:
    """The changes of one direction that the controller remembers.

    A change that is older than every period of its own direction gives its place to a new one; until then, also
    longer periods of the other direction see it.
    """

    def __init__(self, events: Iterable[Timed] = ()) -> None:
        """Begin with ``events``."""
        self._events = list(events)
        self._outdated = [False] * len(self._events)

    def __iter__(self) -> Iterator[Timed]:
        return iter(self._events)

    def changed_within(self, period_secs: float, now_secs: float) -> int:
        """Return the changes younger than ``period_secs`` together."""
        total = 0
        for at, change in self._events:
            if now_secs - at < period_secs:
                total += change
        return total

    def store(self, now_secs: float, change: int, longest_period_secs: float) -> None:
        """Remember ``change``; ``longest_period_secs`` is that of the direction's policies."""
        place = -1
        for number, (at, _) in enumerate(self._events):
            if now_secs - at > longest_period_secs:
                self._outdated[number] = True
            if self._outdated[number]:
                place = number
        if place < 0:
            self._events.append((now_secs, change))
            self._outdated.append(False)
        else:
            self._events[place] = (now_secs, change)
            self._outdated[place] = False


def stabilize(
    history: Iterable[Timed], now_secs: float, *, desired: int, replicas: int, up: Direction, down: Direction
) -> Stabilized:
    """Return the count between what both windows allow, as near to ``replicas`` as may be."""
    lowest = highest = desired
    for at, recommended in history:
        age = now_secs - at
        if age < up.window_secs:
            lowest = min(lowest, recommended)
        if age < down.window_secs:
            highest = max(highest, recommended)
    return Stabilized(replicas=min(max(replicas, lowest), highest), lowest=lowest, highest=highest)


def stabilize_legacy(
    history: Iterable[Timed], now_secs: float, *, desired: int, window_secs: float = DOWNSCALE_WINDOW_SECS
) -> Stabilized:
    """Return the highest recommendation of the window, as an autoscaler without behavior does."""
    highest = max((count for at, count in history if now_secs - at <= window_secs), default=desired)
    highest = max(highest, desired)
    return Stabilized(replicas=highest, lowest=highest, highest=highest)


def up_limit(replicas: int, now_secs: float, direction: Direction, ups: ChangeLog, downs: ChangeLog) -> int:
    """Return the most pods that the policies of scaling up allow."""
    if direction.select == "Disabled":
        return replicas
    limits = []
    for policy in direction.policies:
        start = _period_start(replicas, policy.period_secs, now_secs, ups, downs)
        if policy.type == "Pods":
            limits.append(wrap_int32(start + policy.value))
        else:
            limits.append(ceil_int32(float(start) * (1 + float(policy.value) / 100)))
    return (min if direction.select == "Min" else max)(limits, default=replicas)


def down_limit(replicas: int, now_secs: float, direction: Direction, ups: ChangeLog, downs: ChangeLog) -> int:
    """Return the fewest pods that the policies of scaling down allow."""
    if direction.select == "Disabled":
        return replicas
    limits = []
    for policy in direction.policies:
        start = _period_start(replicas, policy.period_secs, now_secs, ups, downs)
        if policy.type == "Pods":
            limits.append(wrap_int32(start - policy.value))
        else:
            limits.append(truncate_int32(float(start) * (1 - float(policy.value) / 100)))
    return (max if direction.select == "Min" else min)(limits, default=replicas)


def limit(
    desired: int,
    now_secs: float,
    *,
    replicas: int,
    least: int,
    most: int,
    up: Direction,
    down: Direction,
    ups: ChangeLog,
    downs: ChangeLog,
) -> Limited:
    """Return ``desired`` within the rates of its direction and within the bound that lies there.

    A count on its way down is not cut to ``most``, nor one on its way up raised to ``least``.
    """
    if desired > replicas:
        rate = up_limit(replicas, now_secs, up, ups, downs)
        # Recent changes can put the limit below what is there; that stops the change and does not turn it.
        allowed = min(most, max(rate, replicas))
        if desired > allowed:
            return Limited(replicas=allowed, reason="ScaleUpLimit" if allowed < most else "TooManyReplicas", limit=rate)
        return Limited(replicas=desired, reason="DesiredWithinRange", limit=rate)
    if desired < replicas:
        rate = down_limit(replicas, now_secs, down, ups, downs)
        allowed = max(least, min(rate, replicas))
        if desired < allowed:
            return Limited(
                replicas=allowed, reason="ScaleDownLimit" if allowed > least else "TooFewReplicas", limit=rate
            )
        return Limited(replicas=desired, reason="DesiredWithinRange", limit=rate)
    return Limited(replicas=desired, reason="DesiredWithinRange")


def limit_legacy(desired: int, *, replicas: int, least: int, most: int) -> Limited:
    """Return ``desired`` within bounds and the one rate of an autoscaler without behavior: double, or 4."""
    rate = truncate_int32(max(2.0 * replicas, 4.0))
    if desired < least:
        return Limited(replicas=least, reason="TooFewReplicas", limit=rate)
    if desired > min(most, rate):
        return Limited(
            replicas=min(most, rate), reason="ScaleUpLimit" if most > rate else "TooManyReplicas", limit=rate
        )
    return Limited(replicas=desired, reason="DesiredWithinRange", limit=rate)


def _period_start(replicas: int, period_secs: int, now_secs: float, ups: ChangeLog, downs: ChangeLog) -> int:
    added = ups.changed_within(period_secs, now_secs)
    removed = downs.changed_within(period_secs, now_secs)
    return replicas - added + removed
