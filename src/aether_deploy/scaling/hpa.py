"""The HorizontalPodAutoscaler that carries the scaling settings out.

From Kubernetes 1.35 the band of the specification is exact (mode ``pods``): a scale-up tolerance of 0 and a
scale-down tolerance of one half leave the count alone exactly between half and full load, and outside that
band both sides want ceil(players / target). Below 1.35 the API server drops ``tolerance`` silently; then the
autoscaler keeps its own tolerance of a tenth both ways (mode ``legacy``), and the platform's check says so.
"""

import json
from collections.abc import Iterable
from typing import Any

from aether_deploy.scaling.config import CustomMetric, ScalingConfig

ANNOTATION = "aether.io/scaling-"
TOLERANCE_SINCE = 35


def minor_of(kubernetes: str) -> int:
    """Return the minor version of ``v1.<minor>``."""
    return int(kubernetes.removeprefix("v1."))


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
) -> dict[str, Any]:
    """Return the HorizontalPodAutoscaler of a workload."""
    target = {"apiVersion": "apps/v1", "kind": target_kind, "name": target_name}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": metadata,
        "spec": {
            "scaleTargetRef": target,
            "minReplicas": scaling.min_replicas,
            "maxReplicas": scaling.max_replicas,
            "metrics": [_metric(metric, scaling, target) for metric in metrics],
            "behavior": _behavior(scaling, exact=minor_of(kubernetes) >= TOLERANCE_SINCE),
        },
    }


def _metric(metric: CustomMetric, scaling: ScalingConfig, target: dict[str, str]) -> dict[str, Any]:
    value = {
        "type": "AverageValue",
        "averageValue": str(metric.target_value or scaling.target_players_per_pod),
    }
    source: dict[str, Any] = {"metric": {"name": metric.name}, "target": value}
    if metric.metric_type == "Object":
        source = {"describedObject": dict(target), **source}
    return {"type": metric.metric_type, metric.metric_type.lower(): source}


def _behavior(scaling: ScalingConfig, *, exact: bool) -> dict[str, Any]:
    # The default policies cap a scale-up at the larger of 4 pods and doubling per 15 s; the specification jumps.
    step = max(scaling.max_replicas - scaling.min_replicas, 1)
    up: dict[str, Any] = {
        "stabilizationWindowSeconds": 0,
        "selectPolicy": "Max",
        "policies": [{"type": "Pods", "value": step, "periodSeconds": 15}],
    }
    down: dict[str, Any] = {
        "stabilizationWindowSeconds": scaling.scale_down_cooldown_secs,
        "selectPolicy": "Max",
        "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}],
    }
    if exact:
        up = {"tolerance": "0", **up}
        down = {"tolerance": "500m", **down}
    return {"scaleUp": up, "scaleDown": down}
