"""KEDA in front of the controller: the HorizontalPodAutoscaler that it makes of a ScaledObject.

Rule:
    KEDA, ``controllers/keda/hpa.go``: a ``minReplicaCount`` of 0 becomes 1, and KEDA itself changes between 0 and
    1; every trigger becomes an ``External`` metric, cpu and memory become ``Resource``; ``behavior`` is passed on.
"""

from collections.abc import Mapping
from typing import Any

from aether_deploy.quantities import parse_quantity
from aether_deploy.scaling.controller.policy import CLUSTER_TOLERANCE, HpaPolicy

MAX_REPLICAS = 100
"""``maxReplicaCount``, where it is left out."""


def policy_of_scaled_object(
    body: Mapping[str, Any], *, kubernetes: str, cluster_tolerance: float = CLUSTER_TOLERANCE
) -> HpaPolicy:
    """Return the policy of the autoscaler that KEDA makes of ``body`` on a cluster of ``kubernetes``.

    A metric is named as its trigger is; on the cluster its name is ``s<number>-<type>``.

    Raises:
        KeyError: If a trigger says no threshold, as scalers of some types do not.
    """
    made = {"spec": _made_spec(body["spec"])}
    return HpaPolicy.from_manifest(made, kubernetes=kubernetes, cluster_tolerance=cluster_tolerance)


def autoscaler_of_scaled_object(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the HorizontalPodAutoscaler that KEDA makes of ``body``, named ``keda-hpa-`` and as that.

    Its metrics are named as their triggers are, and on the cluster ``s<number>-<type>``.

    Raises:
        KeyError: If a trigger says no threshold, as scalers of some types do not.
    """
    metadata = {"name": f"keda-hpa-{body['metadata']['name']}", "namespace": body["metadata"]["namespace"]}
    made = {**_made_spec(body["spec"]), "scaleTargetRef": dict(body["spec"]["scaleTargetRef"])}
    return {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": metadata, "spec": made}


def _made_spec(spec: Mapping[str, Any]) -> dict[str, Any]:
    advanced = spec.get("advanced") or {}
    made: dict[str, Any] = {
        "minReplicas": max(spec.get("minReplicaCount") or 0, 1),
        "maxReplicas": MAX_REPLICAS if spec.get("maxReplicaCount") is None else spec["maxReplicaCount"],
        "metrics": [_metric(number, each) for number, each in enumerate(spec["triggers"])],
    }
    behavior = (advanced.get("horizontalPodAutoscalerConfig") or {}).get("behavior")
    if behavior is not None:
        made["behavior"] = behavior
    return made


def _metric(number: int, trigger: Mapping[str, Any]) -> dict[str, Any]:
    kind = trigger["type"]
    said = trigger["metadata"]
    if kind in ("cpu", "memory"):
        target: dict[str, Any] = {"type": trigger.get("metricType", "Utilization")}
        if target["type"] == "Utilization":
            target["averageUtilization"] = int(said["value"])
        else:
            target["averageValue"] = said["value"]
        return {"type": "Resource", "resource": {"name": kind, "target": target}}
    name = trigger.get("name") or f"s{number}-{kind}"
    # KEDA keeps thousandths of a threshold and cuts the rest.
    amount = f"{parse_quantity(str(said['threshold'])).nanos // 10**6}m"
    field = "value" if trigger.get("metricType") == "Value" else "averageValue"
    target = {"type": "Value" if field == "value" else "AverageValue", field: amount}
    return {"type": "External", "external": {"metric": {"name": name}, "target": target}}
