"""What Kubernetes will do with a workload when something happens to it: said beforehand, from its settings.

Sources: Kubernetes 1.37 ``statefulset/stateful_set_control.go``, ``deployment/rolling.go``,
``plugins/podtopologyspread``, ``podgc``, ``nodelifecycle``.
"""

from collections.abc import Mapping

import msgspec

from aether_deploy.fleet.bundle import STATEFUL_MAX_UNAVAILABLE_SINCE
from aether_deploy.fleet.config import DeploymentConfig
from aether_deploy.scaling.modes import minor_of


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How a workload comes through.

    Attributes:
        ready: Pods that are ready once everything has settled.
        pending: Pods that then find no node.
        ending: Pods that then are told to end and cannot.
        fewest: Pods that are ready at every moment meanwhile, at least.
    """

    ready: int
    pending: int = 0
    ending: int = 0
    fewest: int = 0


class Rollout(msgspec.Struct, frozen=True, kw_only=True):
    """How a new template reaches the pods.

    Attributes:
        replaced: How many pods are replaced by themselves.
        ordinals: In which order, where pods have ordinals.
        at_once: Pods that are missing at the same time, at most.
        extra: Pods that the controller asks for beyond the wanted count meanwhile, at most.
        fewest: Pods that are ready at every moment, at least.
    """

    replaced: int
    ordinals: tuple[int, ...] = ()
    at_once: int
    extra: int = 0
    fewest: int


def after_zone_loss(config: DeploymentConfig, placed: Mapping[str, int], zone: str) -> Outcome:
    """Return what happens when the nodes of ``zone`` are deleted.

    Volumes stay in their zone, so durable pods wait for it. Others move: zones without nodes do not count
    for the spread.

    Args:
        config: The workload.
        placed: Ready pods in each zone before.
        zone: The zone that is lost.
    """
    total, lost = sum(placed.values()), placed.get(zone, 0)
    left = total - lost
    if config.is_stateful:
        return Outcome(ready=left, pending=lost, fewest=left)
    if len(placed) == 1:
        return Outcome(ready=0, pending=total)
    return Outcome(ready=total, fewest=left)


def after_zone_cut(config: DeploymentConfig, placed: Mapping[str, int], zone: str) -> Outcome:
    """Return what happens when the nodes of ``zone`` become unreachable, but stay known.

    Nobody there can confirm that a pod has ended, so pods stay Terminating. A Deployment replaces them elsewhere:
    tainted nodes do not count for the spread. A StatefulSet never runs two pods of one ordinal, and waits.
    Where no other zone is left, the controllers take the fault to be their own, and tell no pod to end.
    """
    total, lost = sum(placed.values()), placed.get(zone, 0)
    left = total - lost
    if len(placed) == 1:
        return Outcome(ready=0)
    if config.is_stateful:
        return Outcome(ready=left, ending=lost, fewest=left)
    return Outcome(ready=total, ending=lost, fewest=left)


def after_drain(config: DeploymentConfig, pods: int, *, here: int = 0, company: bool = True) -> Outcome:
    """Return what happens when a node is drained.

    Args:
        config: The workload.
        pods: Its pods that are ready before.
        here: Those of them on the node.
        company: Whether another node takes them. If none does they stay Pending, and once the budget is used up by
            them the drain cannot go on.
    """
    budget = config.disruption_budget.max_unavailable
    if company:
        return Outcome(ready=pods, fewest=max(pods - budget, 0))
    stuck = min(here, budget)
    return Outcome(ready=pods - stuck, pending=stuck, fewest=pods - stuck)


def after_scale(config: DeploymentConfig, replicas: int, *, before: int = 0) -> Outcome:
    """Return what happens when somebody sets the replica count: an autoscaler corrects what is out of bounds.

    ``before`` pods are ready before; those that stay are ready all the time.

    Zero is how an autoscaler is turned off (condition ``ScalingDisabled``), so it stays zero.
    """
    if config.scaling is not None and replicas > 0:
        replicas = min(max(replicas, config.scaling.min_replicas), config.scaling.max_replicas)
    return Outcome(ready=replicas, fewest=min(before, replicas))


def rollout_of(config: DeploymentConfig, pods: int, kubernetes: str) -> Rollout:
    """Return how a new template reaches ``pods`` pods on an API server of version ``v1.<minor>``."""
    update = config.update
    if config.is_stateful:
        ordinals = tuple(range(pods - 1, (update.partition or 0) - 1, -1)) if update.strategy == "RollingUpdate" else ()
        honoured = minor_of(kubernetes) >= STATEFUL_MAX_UNAVAILABLE_SINCE
        at_once = min((update.max_unavailable or 1) if honoured else 1, pods) if ordinals else 0
        return Rollout(replaced=len(ordinals), ordinals=ordinals, at_once=at_once, fewest=pods - at_once)
    if update.strategy == "Recreate":
        return Rollout(replaced=pods, at_once=pods, fewest=0)
    missing, extra = update.max_unavailable or 0, 1 if update.max_surge is None else update.max_surge
    return Rollout(replaced=pods, at_once=missing, extra=extra, fewest=max(pods - missing, 0))
