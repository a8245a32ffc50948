"""The scaling decision as a total function on plain numbers."""

import math
from typing import ClassVar

import msgspec


class ScalingDecision(msgspec.Struct, frozen=True):
    """What to do with the replica count. Match on its variants::

        match decision:
            case ScalingDecision.ScaleUp(target_replicas=n): ...
            case ScalingDecision.ScaleDown(target_replicas=n): ...
            case ScalingDecision.Hold(reason=why): ...

    Write the parentheses: ``case ScalingDecision.Hold:`` compares with the class and never matches.
    """

    ScaleUp: ClassVar[type["ScaleUp"]]
    ScaleDown: ClassVar[type["ScaleDown"]]
    Hold: ClassVar[type["Hold"]]


class ScaleUp(ScalingDecision, frozen=True, kw_only=True):
    """Run more pods."""

    target_replicas: int


class ScaleDown(ScalingDecision, frozen=True, kw_only=True):
    """Run fewer pods."""

    target_replicas: int


class Hold(ScalingDecision, frozen=True, kw_only=True):
    """Change nothing. ``reason`` is ``in-band``, ``cooldown``, ``at-target``, ``occupied``, ``step`` or ``budget``."""

    reason: str


ScalingDecision.ScaleUp = ScaleUp
ScalingDecision.ScaleDown = ScaleDown
ScalingDecision.Hold = Hold


class Sizing(msgspec.Struct, frozen=True, kw_only=True):
    """What decides a count, as plain numbers: see ``ScalingConfig`` for each.

    Attributes:
        target: Players that one pod serves.
        least: Fewest pods.
        most: Most pods.
        up_cooldown_secs: Least time between a change and a scale-up, seconds.
        down_cooldown_secs: Least time between a change and a scale-down, seconds.
        headroom_percent: Part of the target that stays free after a change.
        step_up: Most pods that one scale-up adds; None is any number.
        step_down: Most pods that one scale-down removes; None is any number.
        removed_per_hour: Most pods that scale-downs remove within any hour; None is any number.
    """

    target: int
    least: int
    most: int
    up_cooldown_secs: float
    down_cooldown_secs: float
    headroom_percent: int = 0
    step_up: int | None = None
    step_down: int | None = None
    removed_per_hour: int | None = None

    def needed(self, players: int) -> int:
        """Return how many pods ``players`` need when each keeps its headroom free."""
        return -(-players * 100 // (self.target * (100 - self.headroom_percent)))


def decide_replicas(
    sizing: Sizing,
    *,
    players: int,
    replicas: int,
    since_up_secs: float | None = None,
    since_down_secs: float | None = None,
    separate_clocks: bool = False,
    floor: int = 0,
    removed_last_hour: int = 0,
) -> ScaleUp | ScaleDown | Hold:
    """Return the decision of the specification's five rules, within what ``sizing`` allows.

    Args:
        sizing: The settings.
        players: Players on all pods together.
        replicas: Pods now; 0 counts as 1 in the load ratio.
        since_up_secs: Seconds since the last scale-up; None is long ago.
        since_down_secs: Seconds since the last scale-down; None is long ago.
        separate_clocks: Each direction waits for its own last change only.
        floor: No scale-down goes below it.
        removed_last_hour: Pods that scale-downs removed within the last hour.
    """
    up_clock = math.inf if since_up_secs is None else since_up_secs
    down_clock = math.inf if since_down_secs is None else since_down_secs
    if players < 0 or replicas < 0 or floor < 0 or removed_last_hour < 0 or not (up_clock >= 0 and down_clock >= 0):
        raise ValueError("players, replicas and times since a change cannot be negative")
    if not separate_clocks:
        up_clock = down_clock = min(up_clock, down_clock)

    capacity = sizing.target * max(replicas, 1)
    wanted, why = replicas, "in-band"
    if players > capacity:
        wanted, why = _grown(sizing, players, replicas), "at-target"
        if up_clock < sizing.up_cooldown_secs:
            wanted, why = replicas, "cooldown"
    elif 2 * players < capacity:
        wanted, why = _shrunk(sizing, players, replicas, floor, removed_last_hour)
        if down_clock < sizing.down_cooldown_secs:
            wanted, why = replicas, "cooldown"

    # A correction of bounds waits for nothing.
    wanted = min(max(wanted, sizing.least), sizing.most)
    if wanted > replicas:
        return ScaleUp(target_replicas=wanted)
    if wanted < replicas:
        return ScaleDown(target_replicas=wanted)
    return Hold(reason=why)


def _grown(sizing: Sizing, players: int, replicas: int) -> int:
    needed = max(sizing.needed(players), replicas)
    return needed if sizing.step_up is None else min(needed, replicas + sizing.step_up)


def _shrunk(sizing: Sizing, players: int, replicas: int, floor: int, removed: int) -> tuple[int, str]:
    """Return the count to shrink to, and what holds it where it is not less."""
    wanted, why = min(max(sizing.needed(players), sizing.least), replicas), "at-target"
    limits = [(floor, "occupied")]
    if sizing.step_down is not None:
        limits.append((replicas - sizing.step_down, "step"))
    if sizing.removed_per_hour is not None:
        limits.append((replicas - max(sizing.removed_per_hour - removed, 0), "budget"))
    for limit, reason in limits:
        if limit > wanted:
            wanted, why = min(limit, replicas), reason
    return wanted, why
