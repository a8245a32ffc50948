"""Workloads, autoscalers and rules for tests of scaling on a real control plane, written by hand."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from aether_deploy.lab.applying import MANAGER
from aether_deploy.lab.client import Body
from aether_deploy.lab.control_plane import ControlPlane
from aether_deploy.lab.flags import Pace
from aether_deploy.lab.metrics_chain import MetricsChain
from aether_deploy.lab.metrics_flags import Cadence
from aether_deploy.lab.nodes import READY_AFTER, STOP_AFTER
from aether_deploy.lab.programs import MissingProgramsError
from aether_deploy.manifest.labels import INSTANCE
from tests.players import PLAYERS
from tests.real import miss

HPA = ("autoscaling/v2", "HorizontalPodAutoscaler")
FAST = Pace(hpa_sync_secs=1, node_grace_secs=60, toleration_secs=300)
ADAPTER = """
rules:
- seriesQuery: 'aether_world_player_count{namespace!="",pod!=""}'
  resources:
    overrides:
      namespace: {resource: namespace}
      pod: {resource: pod}
  name: {matches: '^aether_world_player_count$', as: 'aether_world_player_count'}
  metricsQuery: 'sum by (<<.GroupBy>>) (max by (<<.GroupBy>>, world) (<<.Series>>{<<.LabelMatchers>>}))'
- seriesQuery: '{__name__=~"^aether_world_(desired_replicas|replica_floor)$",namespace!="",statefulset!=""}'
  resources:
    overrides:
      namespace: {resource: namespace}
      statefulset: {group: apps, resource: statefulset}
  metricsQuery: 'max by (<<.GroupBy>>) (<<.Series>>{<<.LabelMatchers>>})'
"""


@contextlib.contextmanager
def chain_beside(
    plane: ControlPlane,
    *,
    adapter: str = ADAPTER,
    rules: Mapping[str, str] | None = None,
    cadence: Cadence | None = None,
) -> Iterator[MetricsChain]:
    """Run a metrics chain beside a control plane, or end the calling test where its programs are missing."""
    try:
        chain = MetricsChain(plane, adapter=adapter, rules=rules, cadence=cadence)
    except MissingProgramsError as error:
        miss(str(error))
    with chain:
        yield chain


def world(
    name: str, namespace: str, replicas: int, *, ready_after: str = "0s", stop_after: str = "0s", **pod: Any
) -> Body:
    """Return a StatefulSet whose pods come and go at once.

    Args:
        name: Its name.
        namespace: Its namespace.
        replicas: How many pods it has until somebody changes that.
        ready_after: How long a pod runs before it is ready.
        stop_after: How long a pod takes to end.
        pod: Further fields of the pod's specification.
    """
    labels = {INSTANCE: name}
    security = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    container = {"name": "world", "image": "world:v1", "securityContext": security, **pod.pop("container", {})}
    template = {
        "metadata": {"labels": labels, "annotations": {READY_AFTER: ready_after, STOP_AFTER: stop_after}},
        "spec": {
            "containers": [container],
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            **pod,
        },
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "replicas": replicas,
            "serviceName": name,
            "podManagementPolicy": "Parallel",
            "selector": {"matchLabels": labels},
            "template": template,
        },
    }


def hpa(
    name: str,
    namespace: str,
    *metrics: Body,
    least: int = 2,
    most: int = 20,
    behavior: Mapping[str, Body] | None = None,
) -> Body:
    """Return the autoscaler of a StatefulSet; ``behavior`` by direction."""
    target = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": name}
    spec: Body = {"scaleTargetRef": target, "minReplicas": least, "maxReplicas": most, "metrics": list(metrics)}
    if behavior:
        spec["behavior"] = dict(behavior)
    return {
        "apiVersion": HPA[0],
        "kind": HPA[1],
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }


def per_pod(average: str = "50", name: str = PLAYERS) -> Body:
    """Return the metric of players per pod."""
    target = {"type": "AverageValue", "averageValue": average}
    return {"type": "Pods", "pods": {"metric": {"name": name}, "target": target}}


def recorded(workload: str, name: str, *, kind: str = "AverageValue", value: str = "1") -> Body:
    """Return a metric that is recorded for a StatefulSet."""
    described = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": workload}
    target = {"type": kind, kind[0].lower() + kind[1:]: value}
    return {"type": "Object", "object": {"describedObject": described, "metric": {"name": name}, "target": target}}


def going(
    tolerance: str | None = None, *, window: int = 0, select: str = "Max", policies: list[Body] | None = None
) -> Body:
    """Return the behavior of one direction; left out, it goes as far as it wants at once."""
    policies = [{"type": "Pods", "value": 100, "periodSeconds": 1}] if policies is None else policies
    said = {"stabilizationWindowSeconds": window, "selectPolicy": select, "policies": policies}
    return said if tolerance is None else {"tolerance": tolerance, **said}


def exact(*, up: int = 0, down: int = 4) -> dict[str, Body]:
    """Return the behavior of mode ``pods``: it holds from half to full load; ``up`` and ``down`` are windows."""
    return {"scaleUp": going("0", window=up), "scaleDown": going("500m", window=down)}


def outside(name: str, labels: Mapping[str, str], average: str = "1") -> Body:
    """Return a metric that is no object's, of the series with these labels."""
    metric = {"name": name, "selector": {"matchLabels": dict(labels)}}
    return {
        "type": "External",
        "external": {"metric": metric, "target": {"type": "AverageValue", "averageValue": average}},
    }


def apply(plane: ControlPlane, *bodies: Body) -> None:
    """Apply objects as they are."""
    for body in bodies:
        plane.client.apply(body, manager=MANAGER, force=True)


def replicas(plane: ControlPlane, namespace: str, name: str) -> int:
    """Return how many pods a StatefulSet is to have."""
    count: int = plane.client.get("apps/v1", "StatefulSet", name, namespace)["spec"]["replicas"]
    return count


def why(plane: ControlPlane, namespace: str, name: str) -> tuple[str, str]:
    """Return what the autoscaler says of its being active: status and reason."""
    status = plane.client.get(*HPA, name, namespace).get("status", {})
    found = [each for each in status.get("conditions", ()) if each["type"] == "ScalingActive"]
    return (found[0]["status"], found[0]["reason"]) if found else ("", "")
