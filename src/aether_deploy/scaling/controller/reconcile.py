"""The controller's sync: metrics to a count, the count to what is written, and what is remembered of it."""

from collections.abc import Iterable
from typing import Literal

import msgspec

from aether_deploy.scaling.controller.grouping import CLUSTER_INITIALIZATION, Initialization
from aether_deploy.scaling.controller.normalizing import (
    ChangeLog,
    Timed,
    limit,
    limit_legacy,
    stabilize,
    stabilize_legacy,
)
from aether_deploy.scaling.controller.policy import DOWNSCALE_WINDOW_SECS, HpaPolicy
from aether_deploy.scaling.controller.proposals import Failure, Proposal, propose
from aether_deploy.scaling.controller.reasons import (
    Condition,
    InvalidMetrics,
    MetricRecommendation,
    Reason,
    RecommendationFailed,
    ReplicaLimit,
    ScalingDisabled,
    Stabilized,
    Sync,
    WithinTolerance,
    limiting_step,
)
from aether_deploy.scaling.controller.seen import Seen


class _Recommended(msgspec.Struct):
    """What the metrics come to.

    Attributes:
        replicas: Their count; None where the sync ends without one.
        steps: How it came about.
        active: The condition ``ScalingActive``.
    """

    replicas: int | None
    steps: list[Reason]
    active: Condition


class HpaController:
    """The HorizontalPodAutoscaler controller's memory of one autoscaler, and what it does at each sync.

    Time is what the caller says it is: seconds of any clock that does not run backwards. The count is taken as
    written: what the workload then has comes back in the next ``Seen``.

    Attributes:
        policy: The autoscaler.
    """

    def __init__(
        self,
        policy: HpaPolicy,
        *,
        initialization: Initialization = CLUSTER_INITIALIZATION,
        legacy_window_secs: float = DOWNSCALE_WINDOW_SECS,
        history: Iterable[Timed] | None = None,
        ups: Iterable[Timed] = (),
        downs: Iterable[Timed] = (),
        scaled_to_zero: bool = False,
    ) -> None:
        """Begin as after a start of the controller, or with what it is said to remember.

        Args:
            policy: The autoscaler.
            initialization: How the cluster treats the cpu samples of young pods.
            legacy_window_secs: Downscale window of an autoscaler without behavior, seconds.
            history: Recommendations, by time; None is no memory: the first sync then takes the current count
                for one.
            ups: Sizes of scale-ups, by time.
            downs: Sizes of scale-downs, by time.
            scaled_to_zero: Whether the status says that the controller scaled the workload to zero; up to 1.36
                it never does.
        """
        self.policy = policy
        self._initialization = initialization
        self._legacy_window_secs = legacy_window_secs
        self._history: list[Timed] | None = None if history is None else list(history)
        self._ups = ChangeLog(ups)
        self._downs = ChangeLog(downs)
        self._conditions: dict[str, Condition] = {}
        if scaled_to_zero and policy.from_zero == "own-zero":
            self._set("ScaledToZero", True, "ScaledToZero")

    def restart(self) -> None:
        """Forget what the controller holds in memory; conditions stay, as they are part of the object."""
        self._history = None
        self._ups = ChangeLog()
        self._downs = ChangeLog()

    def sync(self, now_secs: float, seen: Seen, *, written_secs: float | None = None) -> Sync:
        """Return what the controller does at ``now_secs`` with what is ``seen``, and remember it.

        Args:
            now_secs: When it looks.
            seen: What it sees.
            written_secs: When the API server has taken its change; None is at once. Rates count from then.
        """
        written = now_secs if written_secs is None else written_secs
        policy, replicas = self.policy, seen.spec_replicas
        self._set("AbleToScale", True, "SucceededGetScale")
        if self._history is None:
            self._history = [(now_secs, replicas)]
        own_zero = policy.from_zero == "own-zero" and self._is_own_zero
        if replicas == 0 and not self._scales_from_zero(own_zero):
            self._set("ScalingActive", False, "ScalingDisabled")
            return self._ended(replicas, [ScalingDisabled(replicas=0)])
        outside = _outside(policy, replicas)
        if outside is not None:
            return self._written(written, replicas, outside.replicas, [outside], ())

        proposals = tuple(propose(policy, metric, seen, now_secs, self._initialization) for metric in policy.metrics)
        recommended = _recommend(proposals, replicas)
        self._conditions["ScalingActive"] = recommended.active
        if recommended.replicas is None:
            return self._ended(replicas, recommended.steps, proposals)
        steps = recommended.steps
        desired = self._normalized(now_secs, recommended.replicas, replicas, steps)
        if replicas == 0 and own_zero and desired < policy.min_replicas:
            desired = policy.min_replicas
            steps.append(ReplicaLimit(replicas=desired, wanted=0, bound="minReplicas"))
        return self._written(written, replicas, desired, steps, proposals)

    @property
    def _is_own_zero(self) -> bool:
        condition = self._conditions.get("ScaledToZero")
        return condition is not None and condition.status

    def _scales_from_zero(self, own_zero: bool) -> bool:
        policy = self.policy
        match policy.from_zero:
            case "never":
                return False
            case "min-zero":
                return policy.min_replicas == 0
            case "own-zero":
                return own_zero and (policy.min_replicas != 0 or _reads_the_whole(policy))

    def _normalized(self, now_secs: float, desired: int, replicas: int, steps: list[Reason]) -> int:
        """Return the count within windows, rates and bounds; remember ``desired``; add to ``steps``."""
        policy = self.policy
        assert self._history is not None
        if policy.has_behavior:
            up, down = policy.up, policy.down
            stable = stabilize(self._history, now_secs, desired=desired, replicas=replicas, up=up, down=down)
            held_up = desired >= replicas
        else:
            window_secs = self._legacy_window_secs
            stable = stabilize_legacy(self._history, now_secs, desired=desired, window_secs=window_secs)
            held_up = False
        self._remember(now_secs, desired)
        if stable.replicas == desired:
            self._set("AbleToScale", True, "ReadyForNewScale")
        else:
            self._set("AbleToScale", True, "ScaleUpStabilized" if held_up else "ScaleDownStabilized")
            steps.append(
                Stabilized(replicas=stable.replicas, wanted=desired, lowest=stable.lowest, highest=stable.highest)
            )
        least, most = policy.min_replicas, policy.max_replicas
        if policy.has_behavior:
            limited = limit(
                stable.replicas,
                now_secs,
                replicas=replicas,
                least=least,
                most=most,
                up=policy.up,
                down=policy.down,
                ups=self._ups,
                downs=self._downs,
            )
        else:
            limited = limit_legacy(stable.replicas, replicas=replicas, least=least, most=most)
        self._set("ScalingLimited", limited.replicas != stable.replicas, limited.reason)
        step = limiting_step(limited.reason, wanted=stable.replicas, replicas=limited.replicas, limit=limited.limit)
        if step is not None:
            steps.append(step)
        return limited.replicas

    def _remember(self, now_secs: float, desired: int) -> None:
        assert self._history is not None
        longest: float = self._legacy_window_secs
        if self.policy.has_behavior:
            longest = max(self.policy.up.window_secs, self.policy.down.window_secs)
        self._history = [each for each in self._history if now_secs - each[0] <= longest]
        self._history.append((now_secs, desired))

    def _written(
        self,
        at_secs: float,
        replicas: int,
        desired: int,
        steps: list[Reason],
        proposals: tuple[Proposal | Failure, ...],
    ) -> Sync:
        """Return the sync that writes ``desired``, and remember the change."""
        policy = self.policy
        if desired == replicas:
            return self._ended(replicas, steps, proposals)
        self._set("AbleToScale", True, "SucceededRescale")
        if policy.has_behavior:
            if desired > replicas:
                self._ups.store(at_secs, desired - replicas, policy.up.longest_period_secs)
            else:
                self._downs.store(at_secs, replicas - desired, policy.down.longest_period_secs)
        if policy.from_zero == "own-zero":
            to_zero = desired == 0 and policy.min_replicas == 0 and _reads_the_whole(policy)
            self._set("ScaledToZero", to_zero, "ScaledToZero" if to_zero else "NotScaledToZero")
        return self._ended(replicas, steps, proposals, desired)

    def _ended(
        self,
        replicas: int,
        steps: list[Reason],
        proposals: tuple[Proposal | Failure, ...] = (),
        desired: int | None = None,
    ) -> Sync:
        return Sync(
            before=replicas,
            replicas=replicas if desired is None else desired,
            steps=tuple(steps),
            conditions=tuple(self._conditions.values()),
            proposals=proposals,
        )

    def _set(
        self,
        type: Literal["AbleToScale", "ScalingActive", "ScalingLimited", "ScaledToZero"],
        status: bool,
        reason: str,
    ) -> None:
        self._conditions[type] = Condition(type, status, reason)


def _outside(policy: HpaPolicy, replicas: int) -> ReplicaLimit | None:
    """Return the step back into the bounds for a count outside of them; 0 is none that is outside."""
    if replicas > policy.max_replicas:
        return ReplicaLimit(replicas=policy.max_replicas, wanted=replicas, bound="maxReplicas", bypass=True)
    if 0 < replicas < policy.min_replicas:
        return ReplicaLimit(replicas=policy.min_replicas, wanted=replicas, bound="minReplicas", bypass=True)
    return None


def _reads_the_whole(policy: HpaPolicy) -> bool:
    """Return whether some metric can be read without a pod."""
    return any(metric.source in ("Object", "External") for metric in policy.metrics)


def _recommend(proposals: Iterable[Proposal | Failure], replicas: int) -> _Recommended:
    """Return the largest proposal, unless a metric fails and there is none, or it would remove pods."""
    best: Proposal | None = None
    failures: list[Failure] = []
    for each in proposals:
        if isinstance(each, Failure):
            failures.append(each)
        elif best is None or best.replicas == 0 or each.replicas > best.replicas:
            best = each
    failed = tuple(failure.metric for failure in failures)
    if best is None or (failures and best.replicas < replicas):
        wanted = None if best is None else best.replicas
        return _Recommended(
            replicas=None,
            steps=[RecommendationFailed(replicas=replicas, metrics=failed, wanted=wanted)],
            active=Condition("ScalingActive", False, failures[0].condition),
        )
    steps: list[Reason] = []
    if failures:
        steps.append(InvalidMetrics(replicas=max(best.replicas, 0), metrics=failed))
    if best.kept == "within-tolerance":
        ratio = best.ratio if best.filled_ratio is None else best.filled_ratio
        steps.append(WithinTolerance(replicas=best.replicas, metric=best.metric, ratio=ratio))
    else:
        steps.append(MetricRecommendation(replicas=max(best.replicas, 0), metric=best.metric))
    return _Recommended(
        replicas=max(best.replicas, 0), steps=steps, active=Condition("ScalingActive", True, "ValidMetricFound")
    )
