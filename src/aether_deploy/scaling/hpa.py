"""The HorizontalPodAutoscaler that carries the scaling settings out, in the mode of the cluster's version.

Mode ``pods``: a scale-up tolerance of 0 and a scale-down tolerance of one half leave the count alone exactly between
half and full load, and outside that band both sides want ceil(players / target). With headroom the target is smaller
and the tolerances are larger by as much, so that the band stays and the size grows.
"""

import json
from collections.abc import Iterable
from typing import Any

from aether_deploy.quantities import Quantity
from aether_deploy.scaling.config import CustomMetric, ScalingConfig
from aether_deploy.scaling.modes import PERIOD_SECS_MAX, SYNC_SECS, Mode, budget_policy, mode_of, player_metric

ANNOTATION = "aether.io/scaling-"
MODE_ANNOTATION = ANNOTATION + "mode"
DESIRED = "aether_world_desired_replicas"
FLOOR = "aether_world_replica_floor"
_NANOS = 10**9


def scaling_annotations(scaling: ScalingConfig, metrics: Iterable[CustomMetric]) -> dict[str, str]:
    """Return the scaling settings as annotations of the workload."""
    described = [
        {
            "name": metric.name,
            "target_value": metric.target_value or scaling.target_players_per_pod,
            "metric_type": metric.metric_type,
        }
        for metric in metrics
    ]
    values = {
        "min-replicas": str(scaling.min_replicas),
        "max-replicas": str(scaling.max_replicas),
        "target-players-per-pod": str(scaling.target_players_per_pod),
        "scale-up-cooldown-secs": str(scaling.scale_up_cooldown_secs),
        "scale-down-cooldown-secs": str(scaling.scale_down_cooldown_secs),
        "metrics": json.dumps(described, separators=(",", ":")),
    }
    return {ANNOTATION + name: value for name, value in values.items()}


def autoscaler(
    scaling: ScalingConfig,
    metrics: Iterable[CustomMetric],
    *,
    metadata: dict[str, Any],
    target_kind: str,
    target_name: str,
    kubernetes: str,
    scrape_interval_secs: int = 15,
) -> dict[str, Any]:
    """Return the HorizontalPodAutoscaler of a workload."""
    target = {"apiVersion": "apps/v1", "kind": target_kind, "name": target_name}
    mode = mode_of(scaling, kubernetes)
    annotations = dict(sorted({**metadata.get("annotations", {}), MODE_ANNOTATION: mode}.items()))
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {**metadata, "annotations": annotations},
        "spec": {
            "scaleTargetRef": target,
            "minReplicas": scaling.min_replicas,
            "maxReplicas": scaling.max_replicas,
            "metrics": _metrics(scaling, tuple(metrics), target, mode),
            "behavior": behavior(scaling, mode, scrape_interval_secs),
        },
    }


def transported(scaling: ScalingConfig) -> tuple[str, ...]:
    """Return the names of the recorded counts that mode ``desired`` carries out; the largest wins."""
    return (DESIRED, FLOOR) if scaling.protect_occupied else (DESIRED,)


def _metrics(
    scaling: ScalingConfig, metrics: tuple[CustomMetric, ...], target: dict[str, str], mode: Mode
) -> list[dict[str, Any]]:
    if mode != "desired":
        return [_metric(metric, scaling, target) for metric in metrics]
    one = {"type": "AverageValue", "averageValue": "1"}
    found = [
        {"type": "Object", "object": {"describedObject": dict(target), "metric": {"name": name}, "target": dict(one)}}
        for name in transported(scaling)
    ]
    players = player_metric(metrics)
    return found + [_metric(metric, scaling, target) for metric in metrics if metric is not players]


def _metric(metric: CustomMetric, scaling: ScalingConfig, target: dict[str, str]) -> dict[str, Any]:
    wanted = metric.target_value or scaling.target_players_per_pod
    millis = wanted * 10 * (100 - scaling.headroom_percent) if metric.metric_type == "Pods" else wanted * 1000
    field = metric.target_type[0].lower() + metric.target_type[1:]
    identified: dict[str, Any] = {"name": metric.name}
    if metric.selector:
        identified["selector"] = {"matchLabels": dict(metric.selector)}
    source: dict[str, Any] = {
        "metric": identified,
        "target": {"type": metric.target_type, field: str(Quantity(millis * (_NANOS // 1000)))},
    }
    if metric.metric_type == "Object":
        source = {"describedObject": dict(target), **source}
    return {"type": metric.metric_type, metric.metric_type.lower(): source}


def behavior(scaling: ScalingConfig, mode: Mode, scrape_interval_secs: int) -> dict[str, Any]:
    """Return how fast the autoscaler may go, and what it does not act upon."""
    # The default policies cap a scale-up at the larger of 4 pods and doubling per 15 s; the specification jumps.
    step = scaling.max_step_up
    up_secs = SYNC_SECS if step is None else _period(scaling.scale_up_cooldown_secs)
    # In mode desired the rule waits for the cooldowns and counts the steps; the window only outlasts a stale count.
    if desired := mode == "desired":
        step, up_secs = None, SYNC_SECS
    up = {
        "stabilizationWindowSeconds": 0,
        "selectPolicy": "Max",
        "policies": [_pods(max(scaling.max_replicas - scaling.min_replicas, 1) if step is None else step, up_secs)],
    }
    policies = _down_policies(scaling, desired=desired)
    down = {
        "stabilizationWindowSeconds": down_window_secs(scaling, mode, scrape_interval_secs),
        "selectPolicy": "Min" if len(policies) > 1 else "Max",
        "policies": policies,
    }
    if mode == "legacy":
        return {"scaleUp": up, "scaleDown": down}
    up_tolerance, down_tolerance = ("0", "0") if desired else _tolerances(scaling.headroom_percent)
    return {"scaleUp": {"tolerance": up_tolerance, **up}, "scaleDown": {"tolerance": down_tolerance, **down}}


def down_window_secs(scaling: ScalingConfig, mode: Mode, scrape_interval_secs: int) -> int:
    """Return how long a scale-down waits for a higher recommendation, seconds.

    Where a rate bounds scale-downs the window is no shorter than its period: the controller counts a period from the
    count at its beginning, so a scale-down soon after a scale-up could take back all of it at once.
    """
    desired = mode == "desired"
    window = max(2 * scrape_interval_secs, 2 * SYNC_SECS) if desired else scaling.scale_down_cooldown_secs
    rates = (each for each in _down_policies(scaling, desired=desired) if each["type"] == "Pods")
    return max([window, *(int(each["periodSeconds"]) for each in rates)])


def _tolerances(headroom_percent: int) -> tuple[str, str]:
    """Return the tolerances around a target less its headroom that keep the band from half to the full target.

    They are rounded away from zero: both ends of the band belong to it, and the next load beyond is further away.
    """
    left = 100 - headroom_percent
    up, down = -(-headroom_percent * _NANOS // left), _NANOS - 50 * _NANOS // left
    return str(Quantity(up)), str(Quantity(down))


def _down_policies(scaling: ScalingConfig, *, desired: bool) -> list[dict[str, Any]]:
    found = []
    if scaling.max_step_down is not None and not desired:
        found.append(_pods(scaling.max_step_down, _period(scaling.scale_down_cooldown_secs)))
    if budget := budget_policy(scaling):
        found.append(_pods(*budget))
    return found or [{"type": "Percent", "value": 100, "periodSeconds": SYNC_SECS}]


def _period(cooldown_secs: int) -> int:
    return min(max(cooldown_secs, SYNC_SECS), PERIOD_SECS_MAX)


def _pods(count: int, period_secs: int) -> dict[str, Any]:
    return {"type": "Pods", "value": count, "periodSeconds": period_secs}
