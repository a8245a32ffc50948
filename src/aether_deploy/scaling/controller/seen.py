"""What the controller sees at a sync: the scale, the pods, and the readings of its metrics."""

from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias

import msgspec

LONG_AGO_SECS = float("-inf")


class PodSeen(msgspec.Struct, frozen=True, kw_only=True):
    """A pod that the workload's selector matches. Times are on the clock of the sync.

    Attributes:
        name: Its name, by which readings refer to it.
        phase: Its phase.
        ready: Its ``Ready`` condition; None where it has none yet.
        deleting: Whether it is being deleted.
        started_secs: When it started; None where it has not.
        ready_changed_secs: When its ``Ready`` condition last changed; None is at its start.
        requests_milli: What it requests of each resource, by ``MetricTarget.key``, in thousandths.
    """

    name: str
    phase: Literal["Pending", "Running", "Succeeded", "Failed", "Unknown"] = "Running"
    ready: bool | None = True
    deleting: bool = False
    started_secs: float | None = LONG_AGO_SECS
    ready_changed_secs: float | None = None
    requests_milli: Mapping[str, int] = {}


class PodSample(msgspec.Struct, frozen=True, kw_only=True):
    """A pod's reading with the time that it stands for, which only cpu needs.

    Attributes:
        milli: The value, in thousandths.
        taken_secs: When it was taken; None is at the sync.
        window_secs: How long it was averaged, seconds.
    """

    milli: int
    taken_secs: float | None = None
    window_secs: float = 0


class PodTotals(msgspec.Struct, frozen=True, kw_only=True):
    """The readings of a ``Pods`` metric as sums, so that a replay needs no pod by name.

    Attributes:
        counted: Pods whose reading counts.
        sum_milli: Their readings together, in thousandths.
        missing: Pods without a reading.
        unready: Pods that are pending.
        stray: Readings of pods that are not there; they count in the average and not as pods.
    """

    counted: int
    sum_milli: int
    missing: int = 0
    unready: int = 0
    stray: int = 0


PodReadings: TypeAlias = Mapping[str, "int | PodSample"]
"""A reading for each pod, by its name: thousandths, or a ``PodSample``."""

Reading: TypeAlias = PodReadings | PodTotals | Sequence[int] | None
"""Of ``Pods`` and resources: readings by pod, or their totals; of ``Object`` and ``External``: the values of
all series, in thousandths; None where the metrics API gives an error."""


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a sync looks at.

    Attributes:
        spec_replicas: The count that the workload should have.
        status_replicas: The count that it has; a StatefulSet's includes pods that are being deleted. None is
            the same as ``spec_replicas``.
        pods: The pods of the selector.
        ready_pods: How many of them run and are ready, where ``pods`` are not given; None counts ``pods``.
        values: The reading of each metric, by ``MetricTarget.key``; one that is not there is None.
    """

    spec_replicas: int
    status_replicas: int | None = None
    pods: Sequence[PodSeen] = ()
    ready_pods: int | None = None
    values: Mapping[str, Reading] = {}

    @property
    def status(self) -> int:
        """``status_replicas``, or ``spec_replicas`` where it is left out."""
        return self.spec_replicas if self.status_replicas is None else self.status_replicas
