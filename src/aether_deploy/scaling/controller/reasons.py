"""Why a sync ends with its count, step by step, and the conditions that the controller writes."""

from typing import Literal, TypeAlias

import msgspec

from aether_deploy.scaling.controller.normalizing import LimitReason
from aether_deploy.scaling.controller.proposals import Failure, Proposal

Move: TypeAlias = Literal["up", "down"]


class Step(msgspec.Struct, frozen=True, kw_only=True, tag_field="reason"):
    """One thing that decided about a count. Its class is the reason.

    Attributes:
        replicas: The count after it.
    """

    replicas: int


class MetricRecommendation(Step, frozen=True, kw_only=True, tag=True):
    """The largest proposal of the metrics.

    Attributes:
        metric: The metric that proposes it; the first one of several.
    """

    metric: str


class WithinTolerance(Step, frozen=True, kw_only=True, tag=True):
    """The metric with the largest proposal is too near to its target to act upon."""

    metric: str
    ratio: float


class Stabilized(Step, frozen=True, kw_only=True, tag=True):
    """Recent recommendations hold the count back.

    Attributes:
        wanted: What the metrics ask for now.
        lowest: The lowest recommendation of the window for scaling up.
        highest: The highest recommendation of the window for scaling down.
    """

    wanted: int
    lowest: int
    highest: int


class PolicyLimited(Step, frozen=True, kw_only=True, tag=True):
    """The policies of a direction do not allow a change as large.

    Attributes:
        move: The direction.
        wanted: The count before.
        limit: The most, or the fewest, pods that they allow now.
    """

    move: Move
    wanted: int
    limit: int


class ReplicaLimit(Step, frozen=True, kw_only=True, tag=True):
    """A bound of the autoscaler.

    Attributes:
        wanted: The count before.
        bound: Which one.
        bypass: Whether the count was outside already: then neither metrics nor windows nor policies are asked.
    """

    wanted: int
    bound: Literal["minReplicas", "maxReplicas"]
    bypass: bool = False


class InvalidMetrics(Step, frozen=True, kw_only=True, tag=True):
    """Some metric fails. The others decide, unless they would remove pods.

    Attributes:
        metrics: The metrics that fail.
    """

    metrics: tuple[str, ...]


class RecommendationFailed(Step, frozen=True, kw_only=True, tag=True):
    """Every metric fails, or one does and the others would remove pods: the count stays.

    Attributes:
        metrics: The metrics that fail.
        wanted: What the others ask for; None without any.
    """

    metrics: tuple[str, ...]
    wanted: int | None


class ScalingDisabled(Step, frozen=True, kw_only=True, tag=True):
    """The workload has 0 pods, and the controller did not put it there."""


Reason: TypeAlias = (
    MetricRecommendation
    | WithinTolerance
    | Stabilized
    | PolicyLimited
    | ReplicaLimit
    | InvalidMetrics
    | RecommendationFailed
    | ScalingDisabled
)


class Condition(msgspec.Struct, frozen=True):
    """A condition of the autoscaler's status.

    Attributes:
        type: ``AbleToScale``, ``ScalingActive``, ``ScalingLimited`` or ``ScaledToZero``.
        status: Whether it holds.
        reason: The controller's word for why.
    """

    type: Literal["AbleToScale", "ScalingActive", "ScalingLimited", "ScaledToZero"]
    status: bool
    reason: str


class Sync(msgspec.Struct, frozen=True, kw_only=True):
    """What one sync does, and why.

    Attributes:
        before: The count before.
        replicas: The count that it writes, or leaves.
        steps: What decided, in order; the last one stands for the count.
        conditions: The conditions of the status afterwards, by type in the order of their first writing.
        proposals: What the metrics propose, in their order; empty where none was asked.
    """

    before: int
    replicas: int
    steps: tuple[Reason, ...]
    conditions: tuple[Condition, ...]
    proposals: tuple[Proposal | Failure, ...] = ()

    @property
    def reason(self) -> str:
        """The name of the last step."""
        return type(self.steps[-1]).__name__

    @property
    def condition_reasons(self) -> dict[str, str]:
        """The reason of each condition, by its type."""
        return {each.type: each.reason for each in self.conditions}


def limiting_step(
    reason: LimitReason, *, wanted: int, replicas: int, limit: int | None
) -> PolicyLimited | ReplicaLimit | None:
    """Return the step of a limit; None where nothing was limited."""
    match reason:
        case "DesiredWithinRange":
            return None
        case "TooManyReplicas":
            return ReplicaLimit(replicas=replicas, wanted=wanted, bound="maxReplicas")
        case "TooFewReplicas":
            return ReplicaLimit(replicas=replicas, wanted=wanted, bound="minReplicas")
        case "ScaleUpLimit" | "ScaleDownLimit":
            assert limit is not None
            move: Move = "up" if reason == "ScaleUpLimit" else "down"
            return PolicyLimited(replicas=replicas, move=move, wanted=wanted, limit=limit)
