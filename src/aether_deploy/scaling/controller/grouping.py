"""Which pods of a workload count in the average of a metric.

Rule:
    Kubernetes, ``pkg/controller/podautoscaler/replica_calculator.go``: only for cpu does it matter whether a pod
    is ready. A pod that has been running for less than the cpu initialization period counts once it is ready and
    was so for the whole window of its sample; an older one counts unless it was never ready.
"""

from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

from aether_deploy.scaling.controller.seen import PodReadings, PodSample, PodSeen, PodTotals

CPU_INITIALIZATION_SECS = 300
"""``--horizontal-pod-autoscaler-cpu-initialization-period``."""

READINESS_DELAY_SECS = 30
"""``--horizontal-pod-autoscaler-initial-readiness-delay``."""

PodClass = Literal["counted", "unready", "missing", "ignored"]


class Initialization(msgspec.Struct, frozen=True, kw_only=True):
    """How the cluster treats the cpu samples of young pods.

    Attributes:
        cpu_secs: How long a pod is young.
        readiness_delay_secs: A pod that turned unready later than this after its start was ready once.
    """

    cpu_secs: float = CPU_INITIALIZATION_SECS
    readiness_delay_secs: float = READINESS_DELAY_SECS


CLUSTER_INITIALIZATION = Initialization()
"""Where the cluster says nothing else."""


class Groups(msgspec.Struct, frozen=True, kw_only=True):
    """The pods of a workload, by what they mean to one metric.

    Attributes:
        readings: The readings that count, by pod; some may be of pods that are not there.
        counted: How many pods count.
        missing: The pods without a reading.
        unready: The pods whose reading does not count yet.
    """

    readings: Mapping[str, int]
    counted: int
    missing: tuple[str, ...]
    unready: tuple[str, ...]

    def totals(self) -> PodTotals:
        """Return their numbers only."""
        return PodTotals(
            counted=self.counted,
            sum_milli=sum(self.readings.values()),
            missing=len(self.missing),
            unready=len(self.unready),
            stray=len(self.readings) - self.counted,
        )


def classify_pod(
    pod: PodSeen,
    reading: "int | PodSample | None",
    resource: str,
    now_secs: float,
    initialization: Initialization = CLUSTER_INITIALIZATION,
) -> PodClass:
    """Return what ``pod`` means to a metric.

    Args:
        pod: The pod.
        reading: Its reading; None where it has none.
        resource: ``cpu`` for a metric of that resource; any other name is treated alike.
        now_secs: The time of the sync.
        initialization: How the cluster treats young pods.
    """
    if pod.deleting or pod.phase == "Failed":
        return "ignored"
    if pod.phase == "Pending":
        return "unready"
    if reading is None:
        return "missing"
    if resource == "cpu" and _is_unready(pod, reading, now_secs, initialization):
        return "unready"
    return "counted"


def group_pods(
    pods: Iterable[PodSeen],
    readings: PodReadings,
    resource: str,
    now_secs: float,
    initialization: Initialization = CLUSTER_INITIALIZATION,
) -> Groups:
    """Return ``pods`` by what they mean to a metric; readings of ignored and unready pods are left out."""
    kept = dict(readings)
    counted = 0
    missing: list[str] = []
    unready: list[str] = []
    for pod in pods:
        match classify_pod(pod, readings.get(pod.name), resource, now_secs, initialization):
            case "counted":
                counted += 1
            case "missing":
                missing.append(pod.name)
            case "unready":
                unready.append(pod.name)
                kept.pop(pod.name, None)
            case "ignored":
                kept.pop(pod.name, None)
    return Groups(
        readings={name: each.milli if isinstance(each, PodSample) else each for name, each in kept.items()},
        counted=counted,
        missing=tuple(missing),
        unready=tuple(unready),
    )


def _is_unready(pod: PodSeen, reading: "int | PodSample", now_secs: float, initialization: Initialization) -> bool:
    if pod.ready is None or pod.started_secs is None:
        return True
    changed = pod.started_secs if pod.ready_changed_secs is None else pod.ready_changed_secs
    if now_secs - pod.started_secs < initialization.cpu_secs:
        taken, window = now_secs, 0.0
        if isinstance(reading, PodSample):
            taken, window = now_secs if reading.taken_secs is None else reading.taken_secs, reading.window_secs
        return not pod.ready or taken < changed + window
    if pod.ready:
        return False
    return pod.ready_changed_secs is None or changed - pod.started_secs < initialization.readiness_delay_secs
