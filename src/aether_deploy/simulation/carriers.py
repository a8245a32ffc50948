"""An autoscaler in a comparison: its count at each sync, fast, and afterwards why, step by step."""

from collections.abc import Mapping, Sequence

import msgspec

from aether_deploy.scaling.config import ScalingConfig
from aether_deploy.scaling.controller.aggregate import AggregateController
from aether_deploy.scaling.controller.policy import HpaPolicy, MetricTarget
from aether_deploy.scaling.controller.reasons import Sync
from aether_deploy.scaling.controller.reconcile import HpaController
from aether_deploy.scaling.controller.seen import PodTotals, Reading, Seen
from aether_deploy.scaling.hpa import DESIRED, FLOOR
from aether_deploy.simulation.recorded import RecordedRule


class Sight(msgspec.Struct, frozen=True, kw_only=True):
    """What is there at a sync.

    Attributes:
        secs: The time, seconds.
        replicas: The count that the workload is to have.
        players: Players on its pods, as far as these say so.
        missing: Pods that give no sample.
        floor: Highest ordinal in use plus one; a pod without a sample may be in use.
        said_floor: The same of the pods that give a sample.
        ending_players: Players on pods that are ending.
        ending_pods: How many pods are ending.
    """

    secs: int
    replicas: int
    players: int
    missing: int = 0
    floor: int = 0
    said_floor: int = 0
    ending_players: int = 0
    ending_pods: int = 0

    @property
    def said(self) -> int:
        """Pods that give a sample."""
        return self.replicas - self.missing


class Carrier:
    """An autoscaler on its way through a trace.

    Attributes:
        policy: The autoscaler.
    """

    def __init__(
        self,
        policy: HpaPolicy,
        scaling: ScalingConfig,
        *,
        interval_secs: int,
        readings: Mapping[str, int] = {},
    ) -> None:
        """Begin as after a start of the controller.

        Args:
            policy: The autoscaler.
            scaling: The settings, whose recorded count it may carry out.
            interval_secs: Pause between two scrapes, seconds.
            readings: What metrics say that are neither players nor recorded counts, in thousandths, by name.
        """
        self.policy = policy
        self._scaling, self._interval_secs, self._readings = scaling, interval_secs, readings
        self._rule = self._new_rule()
        self._whole = all(metric.source in ("Object", "External") for metric in policy.metrics)
        try:
            self._fast: AggregateController | None = AggregateController(policy)
        except ValueError:
            self._fast = None
        self._slow = HpaController(policy)

    def wanted(self, sight: Sight) -> int:
        """Return the count after the sync that sees this."""
        recorded = self._recorded(self._rule, sight)
        if self._fast is None:
            return self._slow.sync(sight.secs, self._seen(sight, recorded)).replicas
        if self._whole:
            values = [self._value(metric, sight, recorded) for metric in self.policy.metrics]
            return self._fast.sync_whole(sight.secs, sight.replicas, sight.replicas + sight.ending_pods, values)
        return self._fast.sync_pods(sight.secs, sight.replicas, sight.said, sight.players * 1000, sight.missing)

    def explained(self, recent: Sequence[Sight]) -> tuple[Sync, int]:
        """Return the last of several syncs with its reasons, and the count that was recorded for it.

        Args:
            recent: What was there at each sync, from the beginning or from longer ago than anything is remembered.
        """
        controller, rule = HpaController(self.policy), self._new_rule()
        for sight in recent:
            recorded = self._recorded(rule, sight)
            sync = controller.sync(sight.secs, self._seen(sight, recorded))
        return sync, recorded

    def _new_rule(self) -> RecordedRule:
        return RecordedRule(self._scaling, interval_secs=self._interval_secs)

    def _recorded(self, rule: RecordedRule, sight: Sight) -> int:
        """Return the count that the rules record; ending pods say how many players they have, too."""
        return rule.evaluate(
            sight.secs,
            sight.players + sight.ending_players,
            said=sight.said,
            running=sight.said + sight.missing,
            replicas=sight.replicas,
        )

    def _seen(self, sight: Sight, recorded: int) -> Seen:
        values: dict[str, Reading] = {}
        for metric in self.policy.metrics:
            if metric.source == "Pods":
                totals = PodTotals(counted=sight.said, sum_milli=sight.players * 1000, missing=sight.missing)
                values[metric.key] = totals if sight.said else None
            else:
                value = self._value(metric, sight, recorded)
                values[metric.key] = None if value is None else [value]
        return Seen(
            spec_replicas=sight.replicas,
            status_replicas=sight.replicas + sight.ending_pods,
            ready_pods=sight.replicas,
            values=values,
        )

    def _value(self, metric: MetricTarget, sight: Sight, recorded: int) -> int | None:
        if metric.name == DESIRED:
            return recorded * 1000
        if metric.name == FLOOR:
            # The floor needs a word of every pod.
            return sight.said_floor * 1000 if sight.said and not sight.missing else None
        return self._readings.get(metric.name)
