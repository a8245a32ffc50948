"""Many runs as a distribution, held against what was promised beforehand."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from aether_deploy.failover.bound import FailoverBound
from aether_deploy.failover.faults import FaultName, fault_of
from aether_deploy.simulation.failover.faults import FAULTS
from aether_deploy.simulation.failover.run import FailoverRun, iterate_failovers
from aether_deploy.simulation.failover.setup import FailoverSetup

FIGURES = ("takeover_secs", "outage_secs", "stopped_secs", "dual_primary_secs", "lost_writes")
SLACK_SECS = 0.05
DUAL_SLACK_SECS = 0.3
PERCENTILES = (50, 95, 99)


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """How a figure is spread over runs.

    Attributes:
        count: Runs that have it.
        least: The smallest.
        mean: Their mean.
        p50: Half of them are no larger.
        p95: 95 of 100 are no larger.
        p99: 99 of 100 are no larger.
        most: The largest.
    """

    count: int
    least: float
    mean: float
    p50: float
    p95: float
    p99: float
    most: float

    @classmethod
    def of(cls, values: Iterable[float]) -> "Spread | None":
        """Return the spread of values; None of none."""
        ordered = sorted(values)
        if not ordered:
            return None
        at = [ordered[max(0, -(-len(ordered) * percent // 100) - 1)] for percent in PERCENTILES]
        mean = sum(ordered) / len(ordered)
        return cls(count=len(ordered), least=ordered[0], mean=mean, p50=at[0], p95=at[1], p99=at[2], most=ordered[-1])


class Broken(msgspec.Struct, frozen=True):
    """A run that broke a promise: its seed, and what was promised."""

    seed: int
    what: str


class Distribution(msgspec.Struct, frozen=True, kw_only=True):
    """What came of many runs of one fault.

    Attributes:
        fault: The fault.
        runs: How many.
        spreads: The figures of ``FailoverRun`` by name; None where no run has one.
        winners: How often each member took over.
        leaderless: How often nobody acknowledged writes in the end.
        why_leaderless: Why, in one of these runs.
        broken: Runs that broke a promise.
    """

    fault: FaultName
    runs: int
    spreads: dict[str, Spread | None]
    winners: dict[str, int]
    leaderless: int
    why_leaderless: str | None
    broken: tuple[Broken, ...]

    def to_values(self) -> dict[str, Any]:
        """Return it as plain values, times to a thousandth of a second."""
        spreads = {name: _rounded(spread) for name, spread in self.spreads.items()}
        broken = [msgspec.structs.asdict(each) for each in self.broken]
        return {**msgspec.structs.asdict(self), "spreads": spreads, "broken": broken}


def _rounded(spread: Spread | None) -> dict[str, float] | None:
    if spread is None:
        return None
    return {name: round(value, 3) for name, value in msgspec.structs.asdict(spread).items()}


def simulate_failovers(
    setup: FailoverSetup, *, fault: str, runs: int, seed: int, bound: FailoverBound | None = None
) -> Distribution:
    """Let a fault hit a cluster many times, and return what came of it.

    Args:
        setup: The cluster.
        fault: One of ``FAULTS``.
        runs: How many times.
        seed: Equal seeds give equal distributions, on every machine.
        bound: What is promised of the fault; runs that break it are listed with their seeds.

    Raises:
        ValueError: If there is no such fault.
        InvariantError: If a promise was broken that holds for every cluster.
    """
    many = iterate_failovers(setup, fault=fault, runs=runs, seed=seed)
    return distribute(many, fault=fault_of(fault), setup=setup, bound=bound)


def distribute(
    runs: Iterable[FailoverRun], *, fault: FaultName, setup: FailoverSetup, bound: FailoverBound | None = None
) -> Distribution:
    """Return the distribution of runs of one fault; each is held against ``bound``."""
    figures: dict[str, list[float]] = {name: [] for name in FIGURES}
    winners: dict[str, int] = dict.fromkeys(setup.names, 0)
    broken: list[Broken] = []
    count, leaderless, why = 0, 0, None
    for run in runs:
        count += 1
        for name, values in figures.items():
            value = getattr(run, name)
            if value is not None and not (name == "outage_secs" and run.leaderless):  # one without an end has no length
                values.append(value)
        if run.winner is not None:
            winners[run.winner] += 1
        if run.leaderless is not None:
            leaderless, why = leaderless + 1, run.leaderless
        if bound is not None:
            broken += [Broken(run.seed, what) for what in judge_run(run, bound, setup)]
    return Distribution(
        fault=fault,
        runs=count,
        spreads={name: Spread.of(values) for name, values in figures.items()},
        winners={name: number for name, number in winners.items() if number},
        leaderless=leaderless,
        why_leaderless=why,
        broken=tuple(broken),
    )


def heals_after(setup: FailoverSetup, fault: str) -> float | None:
    """Return when a fault ends by itself, seconds; None: it does not."""
    kind = FAULTS[fault_of(fault)]
    if kind.heal is None:
        return None
    return kind.heals_after_secs if setup.heals_after_secs is None else setup.heals_after_secs


def judge_run(run: FailoverRun, bound: FailoverBound, setup: FailoverSetup) -> Sequence[str]:
    """Return the promises of a bound that a run broke.

    A member that is held behind its leader on purpose voids the times: whether anybody may take over is what such a
    run is to find out.
    """
    broken = []
    if not any(setup.lag_bytes.values()) and not setup.replay_secs:
        broken += _judge_time(run, bound, heals_after(setup, run.fault))
    dual = bound.dual_primary_secs
    if dual is not None and run.dual_primary_secs > dual + DUAL_SLACK_SECS:
        broken.append(f"two PostgreSQL took writes for {run.dual_primary_secs:.1f} s, {dual:g} s were the bound")
    if bound.loss_bytes is not None and bound.loss_secs is not None:
        most = bound.loss_bytes + bound.loss_secs * setup.bytes_per_sec + 2 * setup.write_bytes * bool(bound.loss_secs)
        if run.lost_writes * setup.write_bytes > most:
            broken.append(f"{run.lost_writes} acknowledged writes were lost, the bound was {bound.loss}")
    return broken


def _judge_time(run: FailoverRun, bound: FailoverBound, heals: float | None) -> list[str]:
    """Judge when writes were acknowledged again; a fault that ended before that proves nothing."""
    if bound.writable is None:
        return []
    since = {"failure": 0.0, "store-back": heals or 0.0, "last-write": run.stopped_secs or 0.0}[bound.since]
    worst, best = bound.writable.worst, bound.writable.best
    if run.takeover_secs is None:
        if run.leaderless is None or (heals is not None and heals <= worst and bound.since == "failure"):
            return []
        return [f"nobody acknowledges writes: {run.leaderless}"]
    took = run.takeover_secs - since
    if heals is not None and bound.since == "failure" and heals <= worst:
        return []
    if took > worst + SLACK_SECS:
        return [f"writes came back after {took:.1f} s, {worst:.1f} s were the bound"]
    if took < best - SLACK_SECS:
        return [f"writes came back after {took:.1f} s, {best:.1f} s were the least that was reckoned with"]
    return []
