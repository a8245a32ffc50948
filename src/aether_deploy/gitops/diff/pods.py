"""What a workload's manifest says of its pods: how many, how they are replaced, how long that takes, who moves.

Sources: Kubernetes 1.37 ``statefulset/stateful_set_control.go``, ``deployment/util/deployment_util.go``
(``ResolveFenceposts``), ``pkg/kubelet/prober``; for the annotations, ``docs/scaling.md``.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from aether_deploy.gitops.diff.changes import Body
from aether_deploy.quantities import canonical_duration

MIRRORED = "aether.io/scaling-"
"""What annotations of a workload begin with that say what its autoscaler says too."""

MIN, MAX, TARGET = (MIRRORED + name for name in ("min-replicas", "max-replicas", "target-players-per-pod"))
FORMERLY = "aether.io/formerly"
_DEFAULT_GRACE_SECS = 30
_DEFAULT_PERIOD_SECS, _DEFAULT_FAILURES = 10, 3


class PodCount(msgspec.Struct, frozen=True):
    """How many pods a workload may have.

    Attributes:
        least: At least.
        most: At most.
    """

    least: int
    most: int

    def __str__(self) -> str:
        if self.least == self.most:
            return f"{self.most} pod" if self.most == 1 else f"{self.most} pods"
        return f"{self.least}..{self.most} pods"

    def that(self, verb: str) -> str:
        """Return what they do: ``3 pods end``, ``1 pod ends``."""
        return f"{self} {verb}s" if self.least == self.most == 1 else f"{self} {verb}"


def pod_count(workload: Body) -> PodCount:
    """Return how many pods a workload has: what Git says, else what its autoscaler may choose, else one."""
    replicas = workload.get("spec", {}).get("replicas")
    if isinstance(replicas, int):
        return PodCount(replicas, replicas)
    least, most = (_whole(_annotations(workload).get(name)) for name in (MIN, MAX))
    if least is None or most is None:
        return PodCount(1, 1)
    return PodCount(least, most)


def players_per_pod(workload: Body) -> int | None:
    """Return how many players a pod is meant for; None where nothing scales by players."""
    return _whole(_annotations(workload).get(TARGET))


def formerly(workload: Body) -> str | None:
    """Return the name that a workload had before it was renamed."""
    name = _annotations(workload).get(FORMERLY)
    return name if isinstance(name, str) else None


def _annotations(workload: Body) -> Mapping[str, Any]:
    found = workload.get("metadata", {}).get("annotations")
    return found if isinstance(found, Mapping) else {}


def _whole(text: object) -> int | None:
    return int(text) if isinstance(text, str) and text.isdecimal() else None


class Replacement(msgspec.Struct, frozen=True, kw_only=True):
    """How a new template reaches the pods of a workload.

    Attributes:
        pods: How many are replaced by themselves.
        order: In which order, and how many at once, in words.
        at_once: Pods that end at the same time, at most.
        away: Pods that are missing at the same time, at most.
        more: Pods that run meanwhile beyond those wanted, at most.
        least_secs: How long it takes if everything is ready at once, seconds.
        most_secs: How long it takes if every pod uses all of its time, seconds.
    """

    pods: PodCount
    order: str
    at_once: int
    away: int
    more: int
    least_secs: int
    most_secs: int


_NOBODY = PodCount(0, 0)


def replacement_of(before: Body, after: Body) -> Replacement:
    """Return how the pods of a StatefulSet or Deployment are replaced when its template changes.

    Args:
        before: The workload as it runs.
        after: The workload with its new template.
    """
    ran, runs = pod_count(before), pod_count(after)
    both = PodCount(min(ran.least, runs.least), min(ran.most, runs.most))  # others end, or are new anyway
    if not both.most:
        return _waiting("it has no pods")
    if after["kind"] == "StatefulSet":
        return _by_ordinal(both, runs, after)
    return _by_surge(both, runs, after)


def _waiting(order: str) -> Replacement:
    return Replacement(pods=_NOBODY, order=order, at_once=0, away=0, more=0, least_secs=0, most_secs=0)


def _by_ordinal(pods: PodCount, runs: PodCount, workload: Body) -> Replacement:
    strategy = workload["spec"].get("updateStrategy", {})
    if strategy.get("type") == "OnDelete":
        return _waiting("each takes the new template when somebody deletes it")
    rolling = strategy.get("rollingUpdate") or {}
    partition = rolling.get("partition") or 0
    if partition:
        first = first_ordinal(workload)
        below = max(partition - first, 0)
        pods = PodCount(max(pods.least - below, 0), max(pods.most - below, 0))
        if not pods.most:
            return _waiting(f"all ordinals are below the partition, which is {partition}")
    at_once = min(max(_share(rolling.get("maxUnavailable"), runs.most, 1, up=False), 1), pods.most)
    steps = [math.ceil(number / at_once) for number in (pods.least, pods.most)]
    (end_least, end_most), (ready_least, ready_most) = _end_secs(workload), _ready_secs(workload)
    order = f"the highest ordinal first, {_number(at_once)} at a time"
    order += f", down to ordinal {partition}" if partition else ""
    return Replacement(
        pods=pods,
        order=order,
        at_once=at_once,
        away=at_once,
        more=0,
        least_secs=steps[0] * (end_least + ready_least),
        most_secs=steps[1] * (end_most + ready_most),
    )


def first_ordinal(workload: Body) -> int:
    """Return the lowest ordinal of a StatefulSet."""
    start = (workload.get("spec", {}).get("ordinals") or {}).get("start")
    return start if isinstance(start, int) else 0


def _by_surge(pods: PodCount, runs: PodCount, workload: Body) -> Replacement:
    if workload["spec"].get("paused") is True:
        return _waiting("its rollouts are paused")
    strategy = workload["spec"].get("strategy", {})
    (end_least, end_most), (ready_least, ready_most) = _end_secs(workload), _ready_secs(workload)
    if strategy.get("type") == "Recreate":
        return Replacement(
            pods=pods,
            order="all at once, and the new ones only when the old ones are gone",
            at_once=pods.most,
            away=pods.most,
            more=0,
            least_secs=end_least + ready_least,
            most_secs=end_most + ready_most,
        )
    rolling = strategy.get("rollingUpdate") or {}
    surge = _share(rolling.get("maxSurge"), runs.most, "25%", up=True)
    missing = min(_share(rolling.get("maxUnavailable"), runs.most, "25%", up=False), runs.most)
    missing = 1 if not surge and not missing else missing
    at_once = min(surge + missing, pods.most)
    steps = [math.ceil(number / at_once) for number in (pods.least, pods.most)]
    return Replacement(
        pods=pods,
        order=f"{_number(surge)} more while rolling, {_number(missing)} fewer",
        at_once=at_once,
        away=missing,
        more=surge,
        least_secs=steps[0] * ready_least + end_least,
        most_secs=steps[1] * ready_most + end_most,
    )


def _number(number: int) -> str:
    return {0: "none", 1: "one"}.get(number, str(number))


def _share(value: object, pods: int, usual: int | str, *, up: bool) -> int:
    """Return a count of pods that may be given in percent."""
    value = usual if value is None else value
    if isinstance(value, str) and value.endswith("%") and value[:-1].isdecimal():
        part = int(value[:-1]) * pods
        return -(-part // 100) if up else part // 100
    return value if isinstance(value, int) else int(value) if isinstance(value, str) and value.isdecimal() else 0


def _end_secs(workload: Body) -> tuple[int, int]:
    """Return how long a pod takes to end: what it sleeps before it is told, and all of its grace period."""
    spec = _pod(workload)
    grace = spec.get("terminationGracePeriodSeconds", _DEFAULT_GRACE_SECS)
    sleeps = [
        container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        for container in _containers(spec)
    ]
    return min(max(sleeps, default=0), grace), grace


def _ready_secs(workload: Body) -> tuple[int, int]:
    """Return how long a pod takes to count as available: with the first answers, and with all that startup allows."""
    least = most = 0
    for container in _containers(_pod(workload)):
        startup, readiness = container.get("startupProbe") or {}, container.get("readinessProbe") or {}
        delay = readiness.get("initialDelaySeconds", 0)
        most_here = delay + (readiness.get("periodSeconds", _DEFAULT_PERIOD_SECS) if readiness else 0)
        if startup:
            period = startup.get("periodSeconds", _DEFAULT_PERIOD_SECS)
            most_here += startup.get("initialDelaySeconds", 0)
            most_here += startup.get("failureThreshold", _DEFAULT_FAILURES) * period
        least, most = max(least, delay, startup.get("initialDelaySeconds", 0)), max(most, most_here)
    available = workload["spec"].get("minReadySeconds", 0)
    return least + available, most + available


def _pod(workload: Body) -> Mapping[str, Any]:
    spec: Mapping[str, Any] = workload["spec"].get("template", {}).get("spec", {})
    return spec


def _containers(spec: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    containers: Sequence[Mapping[str, Any]] = spec.get("containers") or ()
    return containers


def replacement_lines(before: Body, after: Body) -> list[str]:
    """Return how a new template reaches the pods, for a reviewer: which, how many at once, who moves, how long."""
    found = replacement_of(before, after)
    if not found.pods.most:
        return [f"no pod by itself: {found.order}"]
    moved = f"{found.pods}, {found.order}"
    players = players_per_pod(after)
    if players is not None:
        moved += f"; up to {found.at_once * players} players move at a time, {found.pods.most * players} in all"
    return [moved, f"takes {span_text(found.least_secs, found.most_secs)}, by grace period and probes"]


def span_text(least_secs: int, most_secs: int) -> str:
    """Return ``2m to 1h10m``, rounded up to minutes where seconds do not matter."""
    texts = [canonical_duration(_rounded(secs)) for secs in (least_secs, most_secs)]
    return texts[0] if texts[0] == texts[1] else f"{texts[0]} to {texts[1]}"


def _rounded(secs: int) -> int:
    return secs if secs < 600 else -(-secs // 60) * 60
