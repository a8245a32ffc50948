"""The recording rule of mode ``desired`` as Prometheus evaluates it."""

import math

import msgspec

from aether_deploy.scaling.config import ScalingConfig
from aether_deploy.scaling.decision import Hold, decide_replicas


class RecordedRule:
    """The wanted count of mode ``desired``: what ``scaling.recording`` writes in PromQL.

    The count that it decides about is its own last record, and the workload's only before there is one. Its cooldowns
    run from the evaluation that changed the record. A budget is not its concern: the autoscaler keeps that.

    Rule:
        ``aether_deploy.scaling.recording.desired_expression``.
    """

    def __init__(self, scaling: ScalingConfig, *, interval_secs: int) -> None:
        """Begin without a record.

        Args:
            scaling: The settings.
            interval_secs: Pause between two evaluations, seconds.
        """
        self._sizing = msgspec.structs.replace(scaling.sizing, removed_per_hour=None)
        self._interval_secs = interval_secs
        self._record: int | None = None
        self._evaluated_at = self._changed_at = -math.inf

    def evaluate(self, secs: float, players: int, *, said: int, running: int, replicas: int) -> int:
        """Return the count that is recorded at ``secs``; between two evaluations it is the last one.

        Args:
            secs: The time.
            players: Players on all pods together.
            said: How many pods say how many players they have.
            running: How many pods run.
            replicas: How many pods the workload is to have; heeded where there is no record.
        """
        if self._record is not None and secs < self._evaluated_at + self._interval_secs:
            return self._record
        count = replicas if self._record is None else self._record
        sizing = self._sizing
        wanted = min(max(count, sizing.least), sizing.most)
        since = secs - self._changed_at
        decision = decide_replicas(sizing, players=players, replicas=count, since_up_secs=since, since_down_secs=since)
        if not isinstance(decision, Hold) and (decision.target_replicas >= wanted or said >= running):
            wanted = decision.target_replicas
        if self._record is not None and wanted != self._record:
            self._changed_at = secs
        self._record, self._evaluated_at = wanted, secs
        return wanted
