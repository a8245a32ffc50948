"""How many pods must run so that the players still fit after any one zone is lost.

Strict spread is checked when a pod is placed, and never again: a pod goes to a zone that has no more pods than any
other. So the zone it went to had at most ``(s - 1) / z`` pods when ``s`` pods were there in ``z`` zones, and has at
most ``ceil(s / z)`` after it. Removing pods only lowers that. Hence, whatever was added, removed or evicted in which
order, no zone ever holds more than ``ceil(s / z)`` pods, ``s`` being the most pods there ever were while these were
placed. It holds no fewer either: after a shrink that many of the lowest ordinals may share one zone.
"""

from collections.abc import Iterator

import msgspec

from aether_deploy.scaling.config import ScalingConfig
from aether_deploy.simulation.findings import Finding


class ZoneHeadroom(msgspec.Struct, frozen=True, kw_only=True):
    """The smallest count with which a zone can be lost, and what that rests on.

    Attributes:
        needed: Pods that serve the players, however they are spread.
        min_replicas: Fewest pods with the guarantee; None where no count in the bounds has it.
        lost: Most of these pods that one zone can hold; 0 where there is no guarantee.
        repeated: Fewest pods with which a later loss is survived as well, though nothing was moved back after the
            first; None where no count in the bounds has it.
        why: The reckoning, one line.
        conditions: What else must hold, one line each.
    """

    needed: int
    min_replicas: int | None
    lost: int
    repeated: int | None
    why: str
    conditions: tuple[str, ...]


def zone_loss_min_replicas(
    players: int,
    target: int,
    zones: int,
    strict: bool,
    *,
    max_replicas: int | None = None,
    pinned: bool = False,
) -> ZoneHeadroom:
    """Return the smallest ``min_replicas`` with which ``players`` still fit when any one zone is lost.

    Args:
        players: Players to serve after the loss.
        target: Players that one pod serves.
        zones: Zones that have nodes.
        strict: Whether the spread is ``DoNotSchedule`` with a skew of 1.
        max_replicas: Most pods there ever are; left out, the count never rises above the answer.
        pinned: Pods have volumes that bind them to the zone of their first placement, and the first
            ``min_replicas`` of them all ran at a time before the count ever rose above that.

    Returns:
        The count, with its reckoning. At the moment of the loss all of the pods run; until replacements run, or,
        with pinned volumes, until the zone is back, the others serve the players with at most ``target`` each.

    Raises:
        ValueError: If a number makes no sense.

    Rule:
        Kubernetes, ``podtopologyspread/filtering.go`` (checked at scheduling only) and
        ``pkg/controller/statefulset/stateful_set_control.go`` (highest ordinals go first).

    Example:
        >>> zone_loss_min_replicas(300, 50, 3, True, max_replicas=20).min_replicas
        13
    """
    if players < 0 or target < 1 or zones < 1 or (max_replicas is not None and max_replicas < 1):
        raise ValueError("players cannot be negative; target, zones and max_replicas are 1 or more")
    needed = -(-players // target)
    why_not = none_possible(zones, strict)
    if why_not is not None:
        return _none(needed, why_not)
    most = None if pinned else max_replicas
    count = _fewest(needed, zones, most)
    if max_replicas is not None and count > max_replicas:
        least = _fewest(needed, zones, None)
        return _none(
            needed,
            f"{needed} pods are needed, and no count up to {max_replicas} keeps them when a zone is lost: "
            f"max_replicas of {least} is the least that can",
        )
    again = _repeated(needed, zones, most, pinned)
    among = max(most or count, count)
    lost = most_in_one_zone(count, zones, among)
    return ZoneHeadroom(
        needed=needed,
        min_replicas=count,
        lost=lost,
        repeated=again if again is None or max_replicas is None or again <= max_replicas else None,
        why=f"{needed} pods are needed; of {count} pods, placed among at most {among} in {zones} zones, one zone holds "
        f"at most {lost}, and {count - lost} stay",
        conditions=_conditions(pinned, count, _fewest(needed, zones, max_replicas)),
    )


def lint_zone_loss(scaling: ScalingConfig, players: int, *, zones: int, strict: bool) -> Iterator[Finding]:
    """Yield a finding where ``players`` may not fit any more when a zone is lost.

    Args:
        scaling: The settings; their ``min_replicas`` run when the zone is lost.
        players: Players to serve after the loss.
        zones: Zones that have nodes.
        strict: Whether the spread is ``DoNotSchedule`` with a skew of 1.
    """
    found = zone_loss_min_replicas(
        players, scaling.target_players_per_pod, zones, strict, max_replicas=scaling.max_replicas
    )
    if found.min_replicas is not None and found.min_replicas <= scaling.min_replicas:
        return
    least = found.min_replicas
    yield Finding(
        rule="zone-loss",
        severity="warning",
        backends=("decide", "hpa"),
        text=f"{players} players may not fit when a zone is lost: {found.why}",
        fix=f"set min_replicas to {least}" if least else "change what the reason names",
        suggestion={"min_replicas": least} if least else {},
    )


def _none(needed: int, why: str) -> ZoneHeadroom:
    return ZoneHeadroom(needed=needed, min_replicas=None, lost=0, repeated=None, why=why, conditions=())


def none_possible(zones: int, strict: bool) -> str | None:
    """Return why no number of pods survives the loss of a zone, or None where one may."""
    if zones == 1:
        return "there is one zone: its loss leaves no pod"
    if not strict:
        return (
            "soft spread (ScheduleAnyway) only scores nodes: all pods may stand in one zone, and no count helps; "
            "set topology.strict: true"
        )
    return None


def most_in_one_zone(replicas: int, zones: int, highest: int) -> int:
    """Return how many of the ``replicas`` lowest ordinals one zone can hold under strict spread.

    Args:
        replicas: Pods now.
        zones: Zones that had nodes whenever one of the pods was placed.
        highest: Most pods there were when one of the pods was placed.
    """
    return min(replicas, -(-max(highest, replicas) // zones))


def _fewest(needed: int, zones: int, most: int | None) -> int:
    """Return the smallest count of which ``needed`` stay, not looking at whether it is within its bounds."""
    if needed == 0:
        return 1
    if most is not None:
        return needed + -(-most // zones)
    return -(-needed * zones // (zones - 1))  # the smallest n with n - ceil(n / zones) >= needed


def _repeated(needed: int, zones: int, most: int | None, pinned: bool) -> int | None:
    """Return the smallest count for a loss after which pods were placed among one zone less."""
    if pinned or needed == 0:
        return _fewest(needed, zones, most)
    return _fewest(needed, zones - 1, most) if zones > 2 else None


def _conditions(pinned: bool, count: int, otherwise: int) -> tuple[str, ...]:
    always = (
        "all pods run when the zone is lost",
        "every zone has a node that takes the pods whenever one is placed: zones without one do not count as zones",
        "players of lost pods are spread over the others",
    )
    if not pinned:
        return (*always, "after a loss pods are not moved back by themselves: restart them, or run 'repeated' pods")
    return (
        *always,
        f"the first {count} pods all run at a time before the count first rises above {count}; "
        f"otherwise {otherwise} pods are needed",
        "a pod of the lost zone stays Pending until the zone is back; so does one whose volume would break the spread",
    )
