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
    """Change nothing. ``reason`` is ``in-band``, ``cooldown`` or ``at-target``."""

    reason: str


ScalingDecision.ScaleUp = ScaleUp
ScalingDecision.ScaleDown = ScaleDown
ScalingDecision.Hold = Hold


def decide_replicas(
    *,
    target: int,
    least: int,
    most: int,
    up_cooldown_secs: float,
    down_cooldown_secs: float,
    players: int,
    replicas: int,
    since_up_secs: float | None,
    since_down_secs: float | None,
    separate_clocks: bool,
) -> ScaleUp | ScaleDown | Hold:
    """Return the decision of the specification's five rules; see ``ScalingConfig``."""
    up_clock = math.inf if since_up_secs is None else since_up_secs
    down_clock = math.inf if since_down_secs is None else since_down_secs
    if players < 0 or replicas < 0 or not (up_clock >= 0 and down_clock >= 0):
        raise ValueError("players, replicas and times since a change cannot be negative")
    if not separate_clocks:
        up_clock = down_clock = min(up_clock, down_clock)

    pods = max(replicas, 1)
    needed = -(-players // target)
    wanted, why = replicas, "in-band"
    if players > target * pods:
        wanted, why = (needed, "at-target") if up_clock >= up_cooldown_secs else (replicas, "cooldown")
    elif 2 * players < target * pods:
        wanted, why = (needed, "at-target") if down_clock >= down_cooldown_secs else (replicas, "cooldown")

    wanted = min(max(wanted, least), most)
    if wanted > replicas:
        return ScaleUp(target_replicas=wanted)
    if wanted < replicas:
        return ScaleDown(target_replicas=wanted)
    return Hold(reason=why)
