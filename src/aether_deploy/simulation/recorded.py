"""The recording rule of mode ``desired`` as Prometheus evaluates it."""

import math

from aether_deploy.scaling.config import ScalingConfig


class RecordedRule:
    """The wanted count of mode ``desired``: what ``scaling.recording`` writes in PromQL.

    The count that it decides about is its own last record, and the workload's only before there is one. A cooldown
    holds as long as both samples around a change lie within its range.

    Rule:
        ``aether_deploy.scaling.recording.desired_expression``; Prometheus, "Querying basics": a range leaves out
        its beginning.
    """

    def __init__(self, scaling: ScalingConfig, *, interval_secs: int) -> None:
        """Begin without a record.

        Args:
            scaling: The settings.
            interval_secs: Pause between two evaluations, seconds.
        """
        self._sizing = scaling.sizing
        self._up_secs = _range_secs(scaling.scale_up_cooldown_secs, interval_secs)
        self._down_secs = _range_secs(scaling.scale_down_cooldown_secs, interval_secs)
        self._record: int | None = None
        self._record_secs = 0.0
        # When the record was last another one than now.
        self._other_secs = -math.inf

    def evaluate(self, secs: float, players: int, *, said: int, running: int, replicas: int) -> int:
        """Return the count that the rule records at ``secs``.

        Args:
            secs: The time of the evaluation.
            players: Players on all pods together.
            said: How many pods say how many players they have.
            running: How many pods run.
            replicas: How many pods the workload is to have; heeded where there is no record.
        """
        sizing = self._sizing
        count = replicas if self._record is None else self._record
        wanted = count
        if players > sizing.target * max(count, 1):
            if self._other_secs <= secs - self._up_secs:
                wanted = sizing.needed(players)
                if sizing.step_up is not None:
                    wanted = min(wanted, count + sizing.step_up)
        elif 2 * players < sizing.target * count and said >= running and self._other_secs <= secs - self._down_secs:
            wanted = sizing.needed(players)
            if sizing.step_down is not None:
                wanted = max(wanted, count - sizing.step_down)
        wanted = min(max(wanted, sizing.least), sizing.most)
        if self._record is not None and wanted != self._record:
            self._other_secs = self._record_secs
        self._record, self._record_secs = wanted, secs
        return wanted


def _range_secs(cooldown_secs: int, interval_secs: int) -> float:
    """Return the range in which a change counts, seconds; without a cooldown none does.

    A change shows between two samples, so the range begins one interval before the cooldown.
    """
    return cooldown_secs + interval_secs - 1 if cooldown_secs else -math.inf
