"""The controller on plain numbers: the counts of ``HpaController`` without its explanations, many times as fast.

That both always agree is a test, on random autoscalers and histories.
"""

from collections import deque
from collections.abc import Sequence

from aether_deploy.scaling.controller.go_numbers import INT32_MAX, ceil_int32, ratio_of
from aether_deploy.scaling.controller.normalizing import ChangeLog, Timed, limit, limit_legacy
from aether_deploy.scaling.controller.policy import DOWNSCALE_WINDOW_SECS, HpaPolicy, MetricTarget


class AggregateController:
    """An ``HpaController`` for one ``Pods`` metric in totals, or for values of the whole.

    The metrics are either one of ``Pods`` with an average, or any number of ``Object`` and ``External`` with an
    average. Readings are not negative, and sums stay below 2^63.

    Attributes:
        policy: The autoscaler.
        reason: The name of the last step of the last sync: see ``Sync.reason``.
    """

    def __init__(self, policy: HpaPolicy) -> None:
        """Begin as after a start of the controller.

        Raises:
            ValueError: If the autoscaler has other metrics.
        """
        sources = {metric.source for metric in policy.metrics}
        averages = all(metric.kind == "AverageValue" for metric in policy.metrics)
        if not averages or not (
            sources <= {"Object", "External"} or (sources == {"Pods"} and len(policy.metrics) == 1)
        ):
            raise ValueError("only averages, of one metric of Pods or of values of the whole, go without pods by name")
        self.policy = policy
        self.reason = ""
        self._low, self._high = 1.0 - policy.down.tolerance, 1.0 + policy.up.tolerance
        self._up_secs: float = policy.up.window_secs if policy.has_behavior else 0
        self._down_secs: float = policy.down.window_secs if policy.has_behavior else DOWNSCALE_WINDOW_SECS
        self._own_zero = False
        self.restart()

    def restart(self) -> None:
        """Forget what the controller holds in memory."""
        self._knows = False
        # The lowest and the highest recommendation of each window stand first; later ones only get further in.
        self._lowest: deque[Timed] = deque()
        self._highest: deque[Timed] = deque()
        self._ups = ChangeLog()
        self._downs = ChangeLog()

    def sync_pods(
        self, now_secs: float, replicas: int, counted: int, sum_milli: int, missing: int = 0, unready: int = 0
    ) -> int:
        """Return the count after a sync that sees these ``PodTotals``."""
        kept = self._kept_outside(now_secs, replicas)
        if kept is not None:
            return kept
        if not counted:
            self.reason = "RecommendationFailed"
            return replicas
        target = self.policy.metrics[0].target
        ratio = float(sum_milli // counted) / float(target)
        if not missing and (not unready or ratio <= 1.0):
            if self._low <= ratio <= self._high:
                self.reason = "WithinTolerance"
                return self._normalized(now_secs, replicas, replicas)
            self.reason = "MetricRecommendation"
            return self._normalized(now_secs, replicas, ceil_int32(ratio * counted))
        return self._normalized(
            now_secs, replicas, self._filled(replicas, counted, sum_milli, missing, unready, ratio, target)
        )

    def sync_whole(self, now_secs: float, replicas: int, status: int, values_milli: Sequence[int | None]) -> int:
        """Return the count after a sync that sees one value for each metric; None for one that fails.

        Args:
            now_secs: The time of the sync.
            replicas: The count that the workload should have.
            status: The count that it has.
            values_milli: The value of each metric, in thousandths.
        """
        kept = self._kept_outside(now_secs, replicas)
        if kept is not None:
            return kept
        best, why, fails = -1, "", False
        for metric, value in zip(self.policy.metrics, values_milli, strict=True):
            if value is None:
                fails = True
                continue
            ratio = ratio_of(value, float(metric.target) * status)
            within = self._low <= ratio <= self._high
            count = status if within else _count_of_whole(metric, value)
            if best <= 0 or count > best:
                best, why = count, "WithinTolerance" if within else "MetricRecommendation"
        if not why or (fails and best < replicas):
            self.reason = "RecommendationFailed"
            return replicas
        self.reason = why
        return self._normalized(now_secs, replicas, best)

    def _kept_outside(self, now_secs: float, replicas: int) -> int | None:
        """Return the count where no metric is asked, else None."""
        policy = self.policy
        if not self._knows:
            self._knows = True
            self._remember(now_secs, replicas)
        if replicas > policy.max_replicas:
            self.reason = "ReplicaLimit"
            return self._written(now_secs, replicas, policy.max_replicas)
        if replicas >= policy.min_replicas and replicas:
            return None
        if replicas:
            self.reason = "ReplicaLimit"
            return self._written(now_secs, replicas, policy.min_replicas)
        if policy.from_zero == "min-zero" and policy.min_replicas == 0:
            return None
        if policy.from_zero == "own-zero" and self._own_zero:
            return None
        self.reason = "ScalingDisabled"
        return 0

    def _filled(
        self, replicas: int, counted: int, sum_milli: int, missing: int, unready: int, ratio: float, target: int
    ) -> int:
        """Return the proposal once missing and unready pods are filled in."""
        samples = counted
        if missing and ratio != 1.0:
            samples += missing
            sum_milli += target * missing if ratio < 1.0 else 0
        if ratio > 1.0:
            samples += unready
        filled = float(sum_milli // samples) / float(target)
        if self._low <= filled <= self._high:
            self.reason = "WithinTolerance"
            return replicas
        self.reason = "MetricRecommendation"
        wanted = ceil_int32(filled * samples)
        if (ratio < 1.0 < filled) or (filled < 1.0 < ratio):
            return replicas
        if (filled < 1.0 and wanted > replicas) or (filled > 1.0 and wanted < replicas):
            return replicas
        return wanted

    def _normalized(self, now_secs: float, replicas: int, desired: int) -> int:
        """Return the count within windows, rates and bounds; remember the recommendation and the change."""
        desired = max(desired, 0)
        policy = self.policy
        stable = self._stabilized(now_secs, replicas, desired)
        if stable != desired:
            self.reason = "Stabilized"
        if stable == replicas and replicas and policy.has_behavior:
            return replicas
        if policy.has_behavior:
            limited = limit(
                stable,
                now_secs,
                replicas=replicas,
                least=policy.min_replicas,
                most=policy.max_replicas,
                up=policy.up,
                down=policy.down,
                ups=self._ups,
                downs=self._downs,
            )
        else:
            limited = limit_legacy(stable, replicas=replicas, least=policy.min_replicas, most=policy.max_replicas)
        count = limited.replicas
        if count != stable:
            bound = limited.reason in ("TooManyReplicas", "TooFewReplicas")
            self.reason = "ReplicaLimit" if bound else "PolicyLimited"
        if replicas == 0 and policy.from_zero == "own-zero" and count < policy.min_replicas:
            self.reason = "ReplicaLimit"
            count = policy.min_replicas
        return replicas if count == replicas else self._written(now_secs, replicas, count)

    def _stabilized(self, now_secs: float, replicas: int, desired: int) -> int:
        """Return ``desired`` within the windows, and remember it."""
        has_behavior = self.policy.has_behavior
        lowest = highest = desired
        entries, span = self._highest, self._down_secs
        # Without behavior, what is exactly as old as the window still counts.
        while entries and (now_secs - entries[0][0] >= span if has_behavior else now_secs - entries[0][0] > span):
            entries.popleft()
        if entries:
            highest = max(highest, entries[0][1])
        if span:
            while entries and entries[-1][1] <= desired:
                entries.pop()
            entries.append((now_secs, desired))
        if not has_behavior:
            return highest
        entries, span = self._lowest, self._up_secs
        if span:
            while entries and now_secs - entries[0][0] >= span:
                entries.popleft()
            if entries:
                lowest = min(lowest, entries[0][1])
            while entries and entries[-1][1] >= desired:
                entries.pop()
            entries.append((now_secs, desired))
        return min(max(replicas, lowest), highest)

    def _remember(self, now_secs: float, desired: int) -> None:
        self._highest.append((now_secs, desired))
        self._lowest.append((now_secs, desired))

    def _written(self, now_secs: float, replicas: int, count: int) -> int:
        policy = self.policy
        if policy.has_behavior:
            if count > replicas:
                self._ups.store(now_secs, count - replicas, policy.up.longest_period_secs)
            else:
                self._downs.store(now_secs, replicas - count, policy.down.longest_period_secs)
        self._own_zero = count == 0 and policy.min_replicas == 0 and policy.metrics[0].source != "Pods"
        return count


def _count_of_whole(metric: MetricTarget, value: int) -> int:
    wanted = float(value) / float(metric.target)
    if metric.source == "External" and wanted > INT32_MAX:
        return INT32_MAX
    return ceil_int32(wanted)
