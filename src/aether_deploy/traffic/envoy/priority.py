"""Which share of new sessions Envoy sends to which priority: its arithmetic, on whole numbers as it does it.

Rule:
    Envoy's load balancers, ``load_balancer_impl.cc``: health score ``min(100, factor * healthy / hosts)`` cut to a
    whole number, load by score in order of priority, what rounding leaves to the first priority with any score. Where
    its documentation differs from what the program does (the tables of panic, and of three priorities), this is the
    program.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import floor

import msgspec

OVERPROVISIONING = 140
"""Envoy's own factor: a priority keeps all its sessions while 72 % of its hosts are healthy."""


class PriorityLoad(msgspec.Struct, frozen=True, kw_only=True):
    """How Envoy splits new sessions over priorities.

    Attributes:
        load_percent: Share of each priority, percent; they add up to 100.
        health_score: Health of each priority, 0 to 100.
        normalized_total: Sum of the scores, at most 100.
        panic: Which priorities ignore health, because fewer of their hosts are healthy than the threshold.
        answered: Whether any host gets them; false where none is healthy and nothing panics: they are refused.
    """

    load_percent: tuple[int, ...]
    health_score: tuple[int, ...]
    normalized_total: int
    panic: tuple[bool, ...]
    answered: bool


def priority_load(
    healthy_percent: Sequence[float | Fraction],
    *,
    hosts: Sequence[int] | None = None,
    overprovisioning_factor: int = OVERPROVISIONING,
    panic_threshold: float = 0,
) -> PriorityLoad:
    """Return how Envoy splits new sessions over priorities.

    Args:
        healthy_percent: Healthy hosts of each priority, percent, highest priority first.
        hosts: How many hosts each has, which counts only in total panic; left out, the fewest of which such a share
            can be healthy (25 % is one of 4, 20 % one of 5).
        overprovisioning_factor: Envoy's factor, percent.
        panic_threshold: Below this share of healthy hosts a priority panics, percent; 0 is never.

    Raises:
        ValueError: There is no priority, a share is not within 0 to 100, or ``hosts`` does not fit.
    """
    shares = [Fraction(each) for each in healthy_percent]
    if not shares or not all(0 <= each <= 100 for each in shares):
        raise ValueError("healthy_percent must hold a share from 0 to 100 for each priority, and at least one")
    counts = [_fewest_hosts(each) for each in shares] if hosts is None else list(hosts)
    if len(counts) != len(shares) or min(counts) < 0:
        raise ValueError(f"hosts must hold {len(shares)} counts of 0 or more, as healthy_percent has shares")
    score = [
        min(100, floor(overprovisioning_factor * each / 100)) if n else 0
        for each, n in zip(shares, counts, strict=True)
    ]
    total = min(100, sum(score))
    panic = [total != 100 and each < min(100, panic_threshold) for each in shares]
    if all(panic):
        load = _by_count(counts)
    else:
        load = _by_score(score, total)
    return PriorityLoad(
        load_percent=tuple(load),
        health_score=tuple(score),
        normalized_total=total,
        panic=tuple(panic),
        answered=any(n and (each or ill) for n, each, ill in zip(counts, score, panic, strict=True)),
    )


def _fewest_hosts(share: Fraction) -> int:
    return (share / 100).limit_denominator(1000).denominator


def _by_score(score: Sequence[int], total: int) -> list[int]:
    if total == 0:
        return [100, *[0] * (len(score) - 1)]
    left, load = 100, []
    for each in score:
        load.append(min(left, each * 100 // total))
        left -= load[-1]
    load[next(at for at, each in enumerate(score) if each)] += left
    return load


def _by_count(counts: Sequence[int]) -> list[int]:
    everyone = sum(counts)
    if everyone == 0:
        return [100, *[0] * (len(counts) - 1)]
    load = [100 * each // everyone for each in counts]
    load[next(at for at, each in enumerate(counts) if each)] += 100 - sum(load)
    return load


def locality_load(
    weights: Mapping[str, int], available_percent: Mapping[str, float], *, factor: int = OVERPROVISIONING
) -> dict[str, float]:
    """Return how Envoy splits the sessions of one priority over its localities, percent.

    Args:
        weights: Weight of each locality.
        available_percent: Healthy hosts of each, percent.
        factor: Envoy's overprovisioning factor, percent.

    Returns:
        Shares that add up to 100; all 0 where no locality is available.
    """
    effective = {
        name: weight * min(Fraction(100), factor * Fraction(available_percent[name]) / 100)
        for name, weight in weights.items()
    }
    everything = sum(effective.values())
    return {name: float(100 * each / everything) if everything else 0.0 for name, each in effective.items()}
