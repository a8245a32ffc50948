"""KEDA's ScaledObject, which makes the HorizontalPodAutoscaler itself and reads Prometheus directly."""

from typing import Any

from aether_deploy.scaling.config import CustomMetric, ScalingConfig
from aether_deploy.scaling.hpa import behavior, transported
from aether_deploy.scaling.modes import player_metric
from aether_deploy.scaling.recording import Scaled, matchers

FALLBACK_AFTER = 3


def scaled_object(
    scaling: ScalingConfig,
    metrics: tuple[CustomMetric, ...],
    scaled: Scaled,
    *,
    metadata: dict[str, Any],
    prometheus_url: str,
    interval_secs: int,
) -> dict[str, Any]:
    """Return the ScaledObject of a workload: the counts that recording rules compute, carried out one to one.

    A query without data is an error and not zero players; after three of them the count stays, or rises to
    ``min_replicas``.

    Args:
        scaling: The settings.
        metrics: The workload's metrics; those of other types than Pods become queries of their own.
        scaled: The workload.
        metadata: The object's metadata.
        prometheus_url: Address of Prometheus inside the cluster.
        interval_secs: Pause between two polls, seconds.

    Rule:
        KEDA, ``apis/keda/v1alpha1/scaledobject_types.go`` and ``pkg/scalers/prometheus_scaler.go``.
    """
    queries = [(name, f"max({name}{scaled.selector})", 1, "AverageValue") for name in transported(scaling)]
    players = player_metric(metrics)
    for metric in metrics:
        if metric is not players:
            wanted = metric.target_value or scaling.target_players_per_pod
            queries.append((metric.name, _query(metric, scaled), wanted, metric.target_type))
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": metadata,
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": scaled.kind, "name": scaled.name},
            "pollingInterval": interval_secs,
            "minReplicaCount": scaling.min_replicas,
            "maxReplicaCount": scaling.max_replicas,
            "fallback": {
                "failureThreshold": FALLBACK_AFTER,
                "replicas": scaling.min_replicas,
                "behavior": "currentReplicasIfHigher",
            },
            "advanced": {"horizontalPodAutoscalerConfig": {"behavior": behavior(scaling, "desired", interval_secs)}},
            "triggers": [_trigger(*query, prometheus_url=prometheus_url) for query in queries],
        },
    }


def _query(metric: CustomMetric, scaled: Scaled) -> str:
    """Return the query of a metric of the workload, or of its namespace, as the adapter would ask for it."""
    if metric.metric_type == "Object":
        return f"max({metric.name}{scaled.selector[:-1]}{matchers(metric)}}})"
    return f'sum({metric.name}{{namespace="{scaled.namespace}"{matchers(metric)}}})'


def _trigger(name: str, query: str, threshold: int, target_type: str, *, prometheus_url: str) -> dict[str, Any]:
    return {
        "type": "prometheus",
        "name": name,
        "metricType": target_type,
        "metadata": {
            "serverAddress": prometheus_url,
            "query": query,
            "threshold": str(threshold),
            "ignoreNullValues": "false",
        },
    }
