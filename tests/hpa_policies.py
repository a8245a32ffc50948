"""Autoscalers of the controller's model for its tests."""

from typing import Any

from aether_deploy.scaling.controller.policy import Direction, HpaPolicy, MetricTarget, RatePolicy
from aether_deploy.scaling.controller.proposals import Proposal, propose_from_totals
from aether_deploy.scaling.controller.seen import PodTotals, Seen

PLAYERS = MetricTarget(source="Pods", name="players", kind="AverageValue", target=50_000)
EXTERNAL = MetricTarget(source="External", name="queue", kind="AverageValue", target=1000)
QUEUE = MetricTarget(source="External", name="queue", kind="Value", target=1000)
CPU = MetricTarget(source="Resource", name="cpu", kind="Utilization", target=50)


def policy_of(
    *metrics: MetricTarget,
    least: int = 2,
    most: int = 20,
    windows: tuple[int, int] = (0, 300),
    tolerances: tuple[float, float] = (0.5, 0.0),
    **rest: Any,
) -> HpaPolicy:
    """Return a policy; windows are up and down, tolerances down and up."""
    any_up = (RatePolicy(type="Pods", value=100, period_secs=15),)
    any_down = (RatePolicy(type="Percent", value=100, period_secs=15),)
    fields: dict[str, Any] = {
        "min_replicas": least,
        "max_replicas": most,
        "metrics": metrics or (PLAYERS,),
        "up": Direction(window_secs=windows[0], tolerance=tolerances[1], select="Max", policies=any_up),
        "down": Direction(window_secs=windows[1], tolerance=tolerances[0], select="Max", policies=any_down),
        "has_behavior": True,
    }
    return HpaPolicy(**fields | rest)


def totals(replicas: int, players: int, *, missing: int = 0, unready: int = 0) -> Seen:
    found = PodTotals(counted=replicas - missing - unready, sum_milli=players * 1000, missing=missing, unready=unready)
    return Seen(spec_replicas=replicas, values={"players": found})


def proposed(policy: HpaPolicy, replicas: int, players: int, **rest: int) -> int:
    values = totals(replicas, players, **rest).values["players"]
    assert isinstance(values, PodTotals)
    found = propose_from_totals(policy, policy.metrics[0], replicas, values)
    assert isinstance(found, Proposal)
    return found.replicas


def direction(window_secs: int, *rates: RatePolicy, select: Any = "Max") -> Direction:
    return Direction(window_secs=window_secs, tolerance=0.1, select=select, policies=rates)
