"""What an autoscaler saw and did at one sync, and the pods as they were when it looked."""

import time
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

from aether_deploy.lab.watching import Change, Pod

Source = Literal["Pods", "Object", "External"]

LAG_SECS = 5.0
"""By how much what the controller knows of pods may be older or newer than what a watch of ours knew."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What the autoscaler was served for one of its metrics.

    Attributes:
        source: Where it is read.
        metric: Its name.
        values: Thousandths by the name of the pod or object; those of ``External`` are numbered. None where
            the metrics API refused, or was not asked.
    """

    source: Source
    metric: str
    values: Mapping[str, int] | None


class PodSample(msgspec.Struct, frozen=True, kw_only=True):
    """A pod as the autoscaler may have seen it.

    Attributes:
        name: Its name.
        phase: ``Pending``, ``Running``, ``Succeeded`` or ``Failed``.
        ready: Whether its condition ``Ready`` is true, even while it ends.
        terminating: Whether it was told to end.
        value_milli: What was served of it for the first metric of pods, in thousandths; None where nothing was.
    """

    name: str
    phase: str
    ready: bool
    terminating: bool
    value_milli: int | None = None


Pods = tuple[PodSample, ...]


class ObservedSync(msgspec.Struct, frozen=True, kw_only=True):
    """One sync of an autoscaler.

    Attributes:
        read_secs: When its controller read the scale, seconds since the epoch.
        served_secs: When it had the last of its metrics; ``at_secs`` where it asked for none.
        at_secs: When it knew what its metrics come to; then it looked at its clock for windows and rates.
        done_secs: When it had looked.
        written_secs: When it had written another count; None where it wrote none.
        spec_replicas: Replicas that the workload was to have.
        status_replicas: Replicas that the workload's controller reported, those that are about to end included.
        answers: What it was served, in the order of its metrics.
        proposed: What the metrics came to, before windows, rates and bounds; None where they came to nothing.
        desired: What the workload was to have after the sync.
        failed: Whether it gave up, for want of metrics.
        pods: The pods as our watch knew them when it decided.
        pod_views: The pods as they were at each moment that it may have seen: one, unless pods changed just then.
    """

    read_secs: float
    served_secs: float
    at_secs: float
    done_secs: float
    written_secs: float | None
    spec_replicas: int
    status_replicas: int
    answers: tuple[Answer, ...]
    proposed: int | None
    desired: int
    failed: bool
    pods: Pods = ()
    pod_views: tuple[Pods, ...] = ()

    def values(self, metric: str) -> Mapping[str, int]:
        """Return what was served for a metric, nothing where nothing was."""
        found = next((each.values for each in self.answers if each.metric == metric), None)
        return found or {}


class PodTimeline:
    """The pods of one workload over time."""

    def __init__(self, history: Iterable[Change], workload: str) -> None:
        """Order what a watch has seen.

        Args:
            history: Its changes, in order, their moments of the monotonic clock.
            workload: The workload whose pods these are.
        """
        offset = time.time() - time.monotonic()
        self._moments = [float("-inf")]
        self._views: list[Pods] = [()]
        alive: dict[str, Pod] = {}
        for change in history:
            if change.pod.workload != workload:
                continue
            if change.gone:
                alive.pop(change.pod.uid, None)
            else:
                alive[change.pod.uid] = change.pod
            view = tuple(sorted(map(_sample, alive.values()), key=lambda pod: pod.name))
            if view != self._views[-1]:
                self._moments.append(change.at + offset)
                self._views.append(view)

    def at(self, secs: float) -> Pods:
        """Return the pods at a moment, seconds since the epoch."""
        return self._views[bisect_right(self._moments, secs) - 1]

    def between(self, began: float, ended: float) -> tuple[Pods, ...]:
        """Return the different views from ``began`` to ``ended``, the oldest first."""
        first, last = bisect_right(self._moments, began) - 1, bisect_right(self._moments, ended)
        return tuple(dict.fromkeys(self._views[first:last]))

    def beside(self, sync: ObservedSync) -> ObservedSync:
        """Return ``sync`` with the pods as they were then, and as they may have seemed."""
        metric = next((each for each in sync.answers if each.source == "Pods"), None)
        values = (metric.values if metric is not None else None) or {}
        seen = self.between(sync.served_secs - LAG_SECS, sync.at_secs + LAG_SECS)
        return msgspec.structs.replace(
            sync,
            pods=_with_values(self.at(sync.at_secs), values),
            pod_views=tuple(_with_values(view, values) for view in seen),
        )


def _sample(pod: Pod) -> PodSample:
    return PodSample(name=pod.name, phase=pod.phase, ready=pod.condition, terminating=pod.terminating)


def _with_values(pods: Pods, values: Mapping[str, int]) -> Pods:
    return tuple(msgspec.structs.replace(pod, value_milli=values.get(pod.name)) for pod in pods)
