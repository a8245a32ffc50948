"""Statements about what a policy wants at once, proven for all players and all counts, or refuted by the smallest case.

Every search goes through the counts one by one and through the ends of intervals of players, see
:mod:`aether_deploy.simulation.instant`; so finding nothing is a proof.
"""

from collections.abc import Iterator
from typing import Literal

import msgspec

from aether_deploy.simulation.instant import Bands, RuleInstant

Turn = Literal["down-up", "up-down"]


class Move(msgspec.Struct, frozen=True):
    """One step of a counterexample.

    Attributes:
        players: Players on all pods together.
        replicas: Pods.
        becomes: Pods that are wanted then.
    """

    players: int
    replicas: int
    becomes: int


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """Players with which an autoscaler acts and the rule does not, or the other way round.

    Attributes:
        replicas: Pods.
        least: Fewest such players.
        most: Most such players; every number in between is one.
    """

    replicas: int
    least: int
    most: int


def find_turn(bands: Bands, change: int, turn: Turn) -> tuple[Move, Move] | None:
    """Return the smallest case in which a count moves, and moves back when ``change`` players come or go.

    The smallest is that of fewest pods, then of fewest players. None is a proof that there is no such case: the
    second move needs a number of players near the end of a band, and whether the first one lands there with them is
    tried for every pair of counts, except where what is wanted at most, or at least, rules it out for all.

    Args:
        bands: The policy.
        change: Players that come or go between the two moves.
        turn: Which move is first.
    """
    return _down_up(bands, change) if turn == "down-up" else _up_down(bands, change)


def _down_up(bands: Bands, change: int) -> tuple[Move, Move] | None:
    instant = bands.instant
    best: tuple[int, int, int] | None = None
    for low in range(instant.least, instant.most):
        grows = bands.grows[low]
        if grows is None or instant.fewest(max(grows - change, 0)) > low:
            continue
        enough = max(grows - change, 0)
        for high in range(low + 1, instant.most + 1 if best is None else best[0] + 1):
            if enough > bands.shrinks[high] or instant.propose(enough, high) > low:
                continue
            players = max(bands.first(high, low), enough)
            if players <= bands.shrinks[high] and instant.propose(players, high) == low:
                best = min(best or (high, players, low), (high, players, low))
                break
    if best is None:
        return None
    high, players, low = best
    return Move(players, high, low), Move(players + change, low, instant.propose(players + change, low))


def _up_down(bands: Bands, change: int) -> tuple[Move, Move] | None:
    instant = bands.instant
    best: tuple[int, int, int] | None = None
    for high in range(instant.least + 1, instant.most + 1):
        at_most = bands.shrinks[high] + change
        if bands.shrinks[high] < 0 or instant.largest(at_most) < high:
            continue
        for low in range(instant.least, high if best is None else min(high, best[0] + 1)):
            grows = bands.grows[low]
            if grows is None or grows > at_most or instant.propose(at_most, low) < high:
                continue
            players = max(bands.first(low, high), grows)
            if players <= at_most and instant.propose(players, low) == high:
                best = min(best or (low, players, high), (low, players, high))
                break
    if best is None:
        return None
    low, players, high = best
    after = max(players - change, 0)
    return Move(players, low, high), Move(after, high, instant.propose(after, high))


def late_growth(rule: Bands, other: Bands) -> Iterator[Difference]:
    """Yield the players, by count, that make the rule grow and leave the other alone."""
    for n in _common(rule, other):
        begins, grows = rule.grows[n], other.grows[n]
        if begins is not None and grows is not None and grows > begins:
            yield Difference(replicas=n, least=begins, most=grows - 1)


def late_shrinking(rule: Bands, other: Bands) -> Iterator[Difference]:
    """Yield the players, by count, that make the rule shrink and leave the other alone."""
    for n in _common(rule, other):
        if other.shrinks[n] < rule.shrinks[n]:
            yield Difference(replicas=n, least=other.shrinks[n] + 1, most=rule.shrinks[n])


def never_grows(bands: Bands) -> Iterator[int]:
    """Yield the counts below the maximum that no number of players makes grow."""
    return (n for n, players in bands.grows.items() if players is None and n < bands.instant.most)


def find_other_size(rule: RuleInstant, other: Bands) -> tuple[Move, Move] | None:
    """Return the smallest case in which both move the same way, and not to the same count: the rule, the other.

    The rule is a step function of players. The other never falls with them either, so where both are equal at each
    side of each step of the rule and at the ends of all bands, they are equal everywhere.
    """
    bands = Bands(rule)
    sides = [rule.fits(count) + beyond for count in range(rule.least, rule.most + 1) for beyond in (0, 1)]
    for n in _common(bands, other):
        ends = [end for each in (bands, other) for end in _ends(each, n)]
        for players in sorted({0, *sides, *ends}):
            wanted, gets = rule.propose(players, n), other.instant.propose(players, n)
            if gets != wanted and (gets - n) * (wanted - n) > 0:
                return Move(players, n, wanted), Move(players, n, gets)
    return None


def _ends(bands: Bands, replicas: int) -> Iterator[int]:
    """Yield the last players that shrink a count, and the first that make it grow."""
    if bands.shrinks[replicas] >= 0:
        yield bands.shrinks[replicas]
    grows = bands.grows[replicas]
    if grows is not None:
        yield grows


def unreachable_counts(bands: Bands) -> Iterator[int]:
    """Yield the counts in the bounds that no other count ever moves to."""
    instant = bands.instant
    counts = range(instant.least, instant.most + 1)
    for wanted in counts:
        if len(counts) > 1 and not any(_moves_to(bands, n, wanted) for n in counts if n != wanted):
            yield wanted


def restless_counts(bands: Bands) -> Iterator[int]:
    """Yield the counts in the bounds that no number of players leaves alone."""
    for n, shrinks in bands.shrinks.items():
        grows = bands.grows[n]
        if grows is not None and grows <= shrinks + 1:
            yield n


def _moves_to(bands: Bands, replicas: int, wanted: int) -> bool:
    players = bands.first(replicas, wanted)
    return bands.instant.propose(players, replicas) == wanted


def _common(one: Bands, two: Bands) -> range:
    return range(max(one.instant.least, two.instant.least), min(one.instant.most, two.instant.most) + 1)
