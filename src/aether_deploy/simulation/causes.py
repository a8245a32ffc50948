"""Why an autoscaler and the rule of the specification differ: the known causes, and which one it was.

``D2``, ``D13`` and ``D24`` are not told apart here: with no window of scaling up there is no difference (``D2``),
another target rounds for the same cause as ``D12`` does (``D13``), and where both land with no headroom they agree
(``D24``; it is what lint calls a flap).
"""

from fractions import Fraction
from math import ceil
from typing import Literal, NamedTuple

import msgspec

from aether_deploy.scaling.config import ScalingConfig
from aether_deploy.scaling.controller.policy import CLUSTER_TOLERANCE, HpaPolicy, MetricTarget
from aether_deploy.scaling.controller.proposals import Proposal
from aether_deploy.scaling.controller.reasons import (
    PolicyLimited,
    RecommendationFailed,
    ReplicaLimit,
    ScalingDisabled,
    Stabilized,
    Sync,
)
from aether_deploy.scaling.decision import Hold, ScaleDown, ScaleUp
from aether_deploy.simulation.carriers import Sight
from aether_deploy.simulation.instant import RuleInstant

CAUSES = {
    "D1": "a spike waits for the window of scaling up",
    "D3": "the autoscaler has no cooldown and moves again at once",
    "D4": "each wave waits for the window of scaling up",
    "D5": "the rule removes pods on one low sample, the window of scaling down keeps them",
    "D6": "the rule waits since the last change, the window of scaling down since the last high recommendation",
    "D7": "after a scale-down the rule waits in both directions, the autoscaler only in one",
    "D8": "the rule follows each peak and each low, the window of scaling down keeps the highest",
    "D9": "the rates of the autoscaler allow a part of the change only",
    "D10": "the tolerance of scaling down is another than the rule's half",
    "D11": "the tolerance of scaling up is another than the rule's none",
    "D12": "the autoscaler reckons in floats and rounds up",
    "D14": "pods without a sample argue against the change, to the rule they have no players",
    "D15": "a count above the maximum is put right before anything else is looked at",
    "D16": "a count below the minimum is put right before anything else is looked at",
    "D17": "with 0 pods the autoscaler is off",
    "D18": "players on ending pods count for the rule only",
    "D19": "the rule calls a decrease to the maximum a scale-up",
    "D20": "a value of the whole within tolerance keeps the count",
    "D21": "a value of the whole within tolerance takes ending pods for wanted ones",
    "D22": "a value of the whole within a large tolerance takes ending pods for wanted ones",
    "D23": "a rate in percent is reckoned in floats",
    "lag": "the recorded count goes by its own last record, which the autoscaler has not carried out yet",
    "occupied": "the autoscaler does not know which pods are occupied",
    "bounds": "the autoscaler has other bounds, or other metrics, than the rule",
}
"""What each cause is, by its id."""


class Cause(msgspec.Struct, frozen=True):
    """Why two counts differ.

    Attributes:
        id: A key of ``CAUSES``.
        text: What happened, with the numbers.
    """

    id: str
    text: str


class Change(NamedTuple):
    """A change of a count.

    Attributes:
        secs: The time, seconds from the first sample.
        replicas: The count from then on.
    """

    secs: int
    replicas: int


class Onset(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about a first difference.

    Attributes:
        scaling: The settings.
        policy: The autoscaler.
        sight: What was there.
        decision: What the rule decided.
        rule_wants: Its count.
        sync: What the autoscaler did.
        recorded: The count that recording rules had for it.
        last_move: Which way the last change before went, as both made it.
        was_busy: Whether a sample before, with as many pods, did not let the rule shrink.
        rule_after: The rule's changes from then on.
        other_after: Those of the autoscaler.
    """

    scaling: ScalingConfig
    policy: HpaPolicy
    sight: Sight
    decision: ScaleUp | ScaleDown | Hold
    rule_wants: int
    sync: Sync
    recorded: int
    last_move: Literal["up", "down"] | None
    was_busy: bool
    rule_after: tuple[Change, ...] = ()
    other_after: tuple[Change, ...] = ()

    @property
    def replicas(self) -> int:
        """The count before."""
        return self.sight.replicas

    @property
    def gets(self) -> int:
        """The autoscaler's count."""
        return self.sync.replicas

    @property
    def winner(self) -> Proposal | None:
        """The proposal that the autoscaler went by; None where no metric was asked."""
        proposals = [each for each in self.sync.proposals if isinstance(each, Proposal)]
        return max(proposals, key=lambda each: each.replicas, default=None)

    @property
    def metric(self) -> MetricTarget | None:
        """The metric of ``winner``."""
        winner = self.winner
        return next((each for each in self.policy.metrics if winner and each.key == winner.metric), None)

    @property
    def is_recorded(self) -> bool:
        """Whether the autoscaler carries out a recorded count."""
        return all(metric.source != "Pods" for metric in self.policy.metrics)

    @property
    def is_behind(self) -> bool:
        """Whether what was recorded for the autoscaler is not what the rule wants."""
        known = {self.recorded, self.sight.said_floor} if self.scaling.protect_occupied else {self.recorded}
        return self.is_recorded and self.rule_wants not in known


def cause_of(onset: Onset) -> Cause:
    """Return the cause of a first difference.

    The first of these that fits: what comes before any metric is asked, what was seen differently, what was
    proposed differently, what was held back differently.

    Rule:
        Kubernetes, ``pkg/controller/podautoscaler``: ``reconcileAutoscaler`` takes these steps in this order.
    """
    for look in (_before_metrics, _seen_otherwise, _proposed_otherwise, _held_otherwise):
        found = look(onset)
        if found:
            return Cause(found, f"{CAUSES[found]}: {_numbers(onset, found)}")
    return Cause("bounds", f"{CAUSES['bounds']}: {_numbers(onset, 'bounds')}")


def _before_metrics(onset: Onset) -> str:
    last = onset.sync.steps[-1]
    if isinstance(last, ScalingDisabled):
        return "D17"
    if isinstance(onset.decision, ScaleUp) and onset.rule_wants < onset.replicas:
        return "D19"
    if isinstance(last, ReplicaLimit) and last.bypass:
        return "D15" if last.bound == "maxReplicas" else "D16"
    return ""


def _seen_otherwise(onset: Onset) -> str:
    """Pods that the one counts and the other does not."""
    sight, winner = onset.sight, onset.winner
    if isinstance(onset.sync.steps[-1], RecommendationFailed) or winner is None:
        return "D14" if sight.missing else "bounds"
    without_them = RuleInstant(onset.scaling).propose(sight.players, sight.replicas)
    if sight.ending_players and not onset.is_recorded and without_them == onset.gets:
        return "D18"
    if sight.missing and (onset.is_recorded or winner.filled_ratio is not None):
        return "D14"
    return ""


def _proposed_otherwise(onset: Onset) -> str:
    """Another count for the same players."""
    winner, metric, n = onset.winner, onset.metric, onset.replicas
    assert winner is not None
    assert metric is not None
    if onset.is_behind:
        return "lag"
    tolerant = onset.policy.down.tolerance or onset.policy.up.tolerance
    within = tolerant and metric.source != "Pods" and winner.kept == "within-tolerance"
    if within and winner.replicas != onset.rule_wants:
        if winner.replicas == n:
            return "D20" if onset.rule_wants < n else "D11"
        return "D21" if onset.policy.down.tolerance <= CLUSTER_TOLERANCE else "D22"
    if isinstance(onset.decision, Hold) and onset.gets != n:
        return _moved_alone(onset, onset.decision.reason)
    if winner.kept == "within-tolerance" and winner.replicas == n:
        return "D11" if onset.rule_wants > n else "D10"
    return ""


def _moved_alone(onset: Onset, why: str) -> str:
    """Return why the autoscaler moves where the rule holds."""
    if onset.is_recorded and why != "occupied":
        return "lag"
    match why:
        case "cooldown":
            return "D7" if onset.last_move == "down" and onset.gets > onset.replicas else "D3"
        case "occupied":
            return "occupied"
        case "step" | "budget":
            return "D9"
    return "D11" if onset.gets > onset.replicas else "D10"


def _held_otherwise(onset: Onset) -> str:
    """The same direction, and less of it, or later."""
    for step in onset.sync.steps:
        if isinstance(step, Stabilized):
            return _window_up(onset) if step.wanted > onset.replicas else _window_down(onset)
        if isinstance(step, PolicyLimited):
            return "D23" if _rounds(onset) else "D9"
    return _other_size(onset)


def _other_size(onset: Onset) -> str:
    scaling = onset.scaling
    needed = min(max(scaling.sizing.needed(onset.sight.players), scaling.min_replicas), scaling.max_replicas)
    if onset.rule_wants != needed:
        if onset.sight.floor == onset.rule_wants and scaling.protect_occupied:
            return "occupied"
        return "D23" if _rounds(onset) else "D9"
    return "D12" if onset.gets == needed + 1 else "bounds"


def _window_up(onset: Onset) -> str:
    waves = [change for before, change in _pairs(onset.rule_after, onset.replicas) if change.replicas > before]
    return "D4" if len(waves) > 1 else "D1"


def _window_down(onset: Onset) -> str:
    """Tell apart, by what comes after, why the window held what the rule removed."""
    pairs = list(_pairs(onset.rule_after, onset.replicas))
    grew = any(change.replicas > before for before, change in pairs)
    shrank = sum(change.replicas < before for before, change in pairs)
    if not grew:
        return "D6"
    if shrank > 1:
        return "D8"
    return "D5" if onset.was_busy else "D7"


def _pairs(changes: tuple[Change, ...], replicas: int) -> list[tuple[int, Change]]:
    """Return each change with the count before it."""
    before = [replicas, *(change.replicas for change in changes)]
    return list(zip(before, changes, strict=False))


def _rounds(onset: Onset) -> bool:
    """Return whether a policy in percent, reckoned exactly, would end at the rule's count, and in floats does not."""
    n, grows = onset.replicas, onset.rule_wants > onset.replicas
    for policy in (onset.policy.up if grows else onset.policy.down).policies:
        if policy.type == "Percent":
            share = Fraction(policy.value * n, 100)
            exact = ceil(n + share) if grows else int(n - share)
            factor = float(policy.value) / 100
            rounded = ceil(float(n) * (1 + factor)) if grows else int(float(n) * (1 - factor))
            if exact == onset.rule_wants != rounded:
                return True
    return False


def _numbers(onset: Onset, cause: str) -> str:
    winner, sight, policy = onset.winner, onset.sight, onset.policy
    match cause:
        case "D1" | "D4":
            return f"the window is {policy.up.window_secs} s; {_timelines(onset)}"
        case "D5" | "D6" | "D7" | "D8":
            return f"the window is {policy.down.window_secs} s; {_timelines(onset)}"
        case "D3":
            up, down = onset.scaling.scale_up_cooldown_secs, onset.scaling.scale_down_cooldown_secs
            return f"the cooldown is {up if onset.gets > onset.replicas else down} s; {_timelines(onset)}"
        case "D9" | "D23":
            limit = next((step.limit for step in onset.sync.steps if isinstance(step, PolicyLimited)), onset.gets)
            return f"the limit is {limit} now; {_timelines(onset)}"
        case "D10" | "D11" | "D20" | "D21" | "D22" if winner is not None:
            low, high = 1 - policy.down.tolerance, 1 + policy.up.tolerance
            return f"the ratio is {winner.ratio:.6g}, and from {low:.6g} to {high:.6g} the count is kept"
        case "D12" if winner is not None:
            return f"{winner.ratio!r} times {onset.replicas} is {winner.ratio * onset.replicas!r}"
        case "D14":
            return f"{sight.missing} of {sight.replicas} pods give no sample"
        case "D15" | "D16" | "D17" | "D19":
            return f"{onset.replicas} pods, bounds {policy.min_replicas} to {policy.max_replicas}"
        case "D18":
            return f"{sight.ending_players} of {sight.players + sight.ending_players} players"
        case "lag":
            return f"it is {onset.recorded}; {_timelines(onset)}"
    return _timelines(onset)


def _timelines(onset: Onset) -> str:
    return f"rule {_timeline(onset.rule_after)}, autoscaler {_timeline(onset.other_after)}"


def _timeline(changes: tuple[Change, ...]) -> str:
    if not changes:
        return "no change"
    told = [f"{change.replicas} at {change.secs} s" for change in changes[:4]]
    return ", ".join(told) + (" ..." if len(changes) > 4 else "")
