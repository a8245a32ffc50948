"""What goes wrong with regions, and with the router that watches them: a plan of faults made from a seed."""

from collections.abc import Callable
from random import Random
from typing import Literal, get_args

import msgspec

from aether_deploy.routing.router_config import RouterConfig

FaultKind = Literal[
    "flaps",
    "down",
    "not-ready",
    "slow-death",
    "cut-off",
    "blind-router",
    "self-check-lost",
    "surge",
    "drain",
    "clock-jump",
    "reload",
]
FAULT_KINDS: tuple[FaultKind, ...] = get_args(FaultKind)


class RegionFault(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that goes wrong, once.

    Attributes:
        kind: What.
        at_secs: When, seconds from the start.
        lasts_secs: How long, seconds; 0 where it is over at once.
        regions: Codes of the regions that it hits; none where it hits the router.
        amount: How much: falls of flaps, players of a surge, seconds that a clock jumps.
        explicit: Flaps of a region that says "not ready" when it falls, instead of nothing.
        mode: Of a drain.
        bleed_secs: Of a drain, seconds.
        deadline_secs: Of a drain, seconds; None without one.
    """

    kind: FaultKind
    at_secs: float
    lasts_secs: float = 0.0
    regions: tuple[str, ...] = ()
    amount: float = 0.0
    explicit: bool = False
    mode: Literal["soft", "hard"] = "soft"
    bleed_secs: float = 0.0
    deadline_secs: float | None = None

    @property
    def ends_at(self) -> float:
        return self.at_secs + self.lasts_secs

    def __str__(self) -> str:
        where = f" at {', '.join(self.regions)}" if self.regions else ""
        much = f" of {self.amount:g}" if self.amount else ""
        return f"{self.kind}{where}{much} for {self.lasts_secs:.1f} s"


def plan_faults(
    config: RouterConfig,
    chance: Random,
    *,
    until_secs: float,
    every_secs: float,
    kinds: tuple[FaultKind, ...] = FAULT_KINDS,
) -> tuple[RegionFault, ...]:
    """Return what goes wrong until a time, in order; all of it is over by then.

    Args:
        config: Which regions there are.
        chance: Where it comes from; equal states give equal plans.
        until_secs: The end, seconds.
        every_secs: How often something begins, in the mean, seconds.
        kinds: What may happen.
    """
    codes = tuple(region.code for region in config.regions)
    faults, now = [], chance.expovariate(1 / every_secs)
    while now < until_secs:
        fault = _MAKERS[chance.choice(kinds)](codes, chance, now)
        left = until_secs - now
        faults.append(msgspec.structs.replace(fault, lasts_secs=min(fault.lasts_secs, left)))
        now += chance.expovariate(1 / every_secs)
    return tuple(faults)


Maker = Callable[[tuple[str, ...], Random, float], RegionFault]


def _flaps(codes: tuple[str, ...], chance: Random, at: float) -> RegionFault:
    falls, period = chance.randrange(2, 8), chance.choice((5.0, 8.0, 12.0, 30.0, 60.0))
    return RegionFault(
        kind="flaps",
        at_secs=at,
        lasts_secs=falls * period,
        regions=_one(codes, chance),
        amount=falls,
        explicit=chance.random() < 0.5,
    )


def _down(codes: tuple[str, ...], chance: Random, at: float) -> RegionFault:
    several = chance.randrange(1, len(codes) + 1) if chance.random() < 0.4 else 1
    hit = tuple(sorted(chance.sample(codes, several)))
    return RegionFault(kind="down", at_secs=at, lasts_secs=chance.uniform(1, 90), regions=hit)


def _not_ready(codes: tuple[str, ...], chance: Random, at: float) -> RegionFault:
    return RegionFault(kind="not-ready", at_secs=at, lasts_secs=chance.uniform(0.5, 40), regions=_one(codes, chance))


def _slow_death(codes: tuple[str, ...], chance: Random, at: float) -> RegionFault:
    return RegionFault(kind="slow-death", at_secs=at, lasts_secs=chance.uniform(20, 120), regions=_one(codes, chance))


def _cut_off(codes: tuple[str, ...], chance: Random, at: float) -> RegionFault:
    hit = tuple(sorted(chance.sample(codes, chance.randrange(1, len(codes) + 1))))
    return RegionFault(kind="cut-off", at_secs=at, lasts_secs=chance.uniform(1, 60), regions=hit)


def _blind(codes: tuple[str, ...], chance: Random, at: float) -> RegionFault:
    return RegionFault(kind="blind-router", at_secs=at, lasts_secs=chance.uniform(5, 90))


def _target_lost(codes: tuple[str, ...], chance: Random, at: float) -> RegionFault:
    return RegionFault(kind="self-check-lost", at_secs=at, lasts_secs=chance.uniform(5, 120))


def _surge(codes: tuple[str, ...], chance: Random, at: float) -> RegionFault:
    players = chance.randrange(5, 60)
    return RegionFault(
        kind="surge", at_secs=at, lasts_secs=chance.uniform(1, 20), regions=_one(codes, chance), amount=players
    )


def _drain(codes: tuple[str, ...], chance: Random, at: float) -> RegionFault:
    return RegionFault(
        kind="drain",
        at_secs=at,
        lasts_secs=chance.uniform(5, 120),
        regions=_one(codes, chance),
        mode=chance.choice(("soft", "hard")),
        bleed_secs=chance.choice((0.0, 10.0, 45.0)),
        deadline_secs=chance.choice((None, 0.0, 20.0, 60.0)),
    )


def _clock_jump(codes: tuple[str, ...], chance: Random, at: float) -> RegionFault:
    return RegionFault(kind="clock-jump", at_secs=at, amount=chance.choice((-3600.0, -20.0, -1.0, 5.0, 40.0, 900.0)))


def _reload(codes: tuple[str, ...], chance: Random, at: float) -> RegionFault:
    return RegionFault(kind="reload", at_secs=at)


def _one(codes: tuple[str, ...], chance: Random) -> tuple[str, ...]:
    return (chance.choice(codes),)


_MAKERS: dict[FaultKind, Maker] = {
    "flaps": _flaps,
    "down": _down,
    "not-ready": _not_ready,
    "slow-death": _slow_death,
    "cut-off": _cut_off,
    "blind-router": _blind,
    "self-check-lost": _target_lost,
    "surge": _surge,
    "drain": _drain,
    "clock-jump": _clock_jump,
    "reload": _reload,
}
