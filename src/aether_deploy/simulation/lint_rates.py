"""Findings about windows, periods and rates: what is judged by its numbers alone, without any players."""

from collections.abc import Iterator
from fractions import Fraction
from math import ceil, floor

from aether_deploy.scaling.controller.normalizing import ChangeLog, down_limit, up_limit
from aether_deploy.scaling.controller.policy import Direction, HpaPolicy, RatePolicy
from aether_deploy.scaling.modes import SYNC_SECS
from aether_deploy.simulation.findings import Finding, Subject
from aether_deploy.simulation.judged import Judged
from aether_deploy.simulation.proofs import Move


def lint_rates(judged: Judged) -> Iterator[Finding]:
    """Yield what is wrong with the windows, periods and rates of a policy."""
    yield from _short_windows(judged)
    if judged.hpa is None:
        return
    yield from _short_periods(judged.hpa)
    yield from _percents(judged.hpa)


def _short_windows(judged: Judged) -> Iterator[Finding]:
    """A sample is up to a scrape and a sync old; a window of two scrapes holds two different ones."""
    enough = max(2 * judged.scrape_interval_secs, judged.scrape_interval_secs + SYNC_SECS)
    scaling = judged.scaling
    backends: list[Subject] = ["decide"] if scaling.scale_down_cooldown_secs < enough else []
    if judged.hpa is not None and judged.hpa.down.window_secs < enough:
        backends.append("hpa")
    if not backends:
        return
    secs = min(scaling.scale_down_cooldown_secs, *([judged.hpa.down.window_secs] if judged.hpa else ()))
    wanted = max(enough, scaling.scale_up_cooldown_secs)
    mends = scaling.scale_down_cooldown_secs < enough and judged.is_compiled
    yield Finding(
        rule="window-short",
        severity="warning",
        backends=tuple(backends),
        text=f"scaling down waits {secs} s, less than two scrapes ({enough} s): one bad sample removes pods",
        fix=f"set scale_down_cooldown_secs to {wanted}" if mends else f"set its downscale window to {enough} s",
        suggestion={"scale_down_cooldown_secs": wanted} if mends else {},
    )


def _short_periods(hpa: HpaPolicy) -> Iterator[Finding]:
    for name, direction in (("up", hpa.up), ("down", hpa.down)):
        short = [policy for policy in direction.policies if policy.period_secs < SYNC_SECS]
        if short and direction.select != "Disabled" and hpa.has_behavior:
            yield Finding(
                rule="period-short",
                severity="note",
                backends=("hpa",),
                text=f"a policy of scaling {name} has a period of {short[0].period_secs} s, which is over before the "
                f"next sync: it allows {_value(short[0])} at each sync, every {SYNC_SECS} s",
                fix=f"set periodSeconds to {SYNC_SECS} or more",
            )


def _percents(hpa: HpaPolicy) -> Iterator[Finding]:
    """Compare the floats of policies in percent with exact fractions, for each count."""
    for name, direction in (("up", hpa.up), ("down", hpa.down)):
        for policy in direction.policies:
            case = _percent_case(hpa, name, policy) if policy.type == "Percent" and hpa.has_behavior else None
            if case is not None:
                count, limit, exact = case
                yield Finding(
                    rule="percent-rounds",
                    severity="warning" if name == "down" else "note",
                    backends=("hpa",),
                    text=f"{policy.value} % of {count} pods {name} is reckoned in floats: the limit is {limit}, "
                    f"exactly it would be {exact}",
                    counterexample=(Move(0, count, limit),) if name == "down" else (),
                    fix="use a policy of type Pods",
                    cause="D23",
                )


def _percent_case(hpa: HpaPolicy, name: str, policy: RatePolicy) -> tuple[int, int, int] | None:
    alone = Direction(window_secs=0, tolerance=0.0, select="Max", policies=(policy,))
    limit_of = up_limit if name == "up" else down_limit
    for count in range(max(hpa.min_replicas, 1), hpa.max_replicas + 1):
        limit = limit_of(count, 0.0, alone, ChangeLog(), ChangeLog())
        changed = Fraction(policy.value * count, 100)
        exact = ceil(count + changed) if name == "up" else max(floor(count - changed), 0)
        if limit != exact and max(limit, 0) != exact and _matters(hpa, name, limit, exact):
            return count, limit, exact
    return None


def _matters(hpa: HpaPolicy, name: str, limit: int, exact: int) -> bool:
    """Return whether the bounds do not hide the difference."""
    if name == "up":
        return min(limit, exact) < hpa.max_replicas
    return max(limit, exact) > hpa.min_replicas


def _value(policy: RatePolicy) -> str:
    return f"{policy.value} %" if policy.type == "Percent" else f"{policy.value} pods"
