"""What each metric proposes: the controller's arithmetic, in its own order and number types.

Rule:
    Kubernetes, ``pkg/controller/podautoscaler/replica_calculator.go`` and ``metrics/utilization.go``: values are
    whole thousandths, averages are truncated, ratios are doubles.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias

import msgspec

from aether_deploy.scaling.controller.go_numbers import (
    INT32_MAX,
    INT64_MAX,
    ceil_int32,
    ceil_int64,
    divide,
    ratio_of,
    wrap_int32,
    wrap_int64,
)
from aether_deploy.scaling.controller.grouping import CLUSTER_INITIALIZATION, Groups, Initialization, group_pods
from aether_deploy.scaling.controller.policy import HpaPolicy, MetricTarget
from aether_deploy.scaling.controller.seen import PodTotals, Seen

Kept: TypeAlias = Literal["", "within-tolerance", "would-turn"]


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """The count that one metric asks for.

    Attributes:
        metric: Its key.
        replicas: The count.
        ratio: Usage by target.
        filled_ratio: The same once missing and unready pods were filled in; None where none were.
        kept: Why the count is not computed from the ratio: the ratio is ``within-tolerance``, or filling in
            ``would-turn`` the direction; empty where it is.
        usage_milli: What the status shows: usage, or usage by pod, in thousandths.
        utilization: Usage in percent of the requests, of a metric with such a target.
    """

    metric: str
    replicas: int
    ratio: float
    filled_ratio: float | None = None
    kept: Kept = ""
    usage_milli: int
    utilization: int | None = None


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """A metric that proposes nothing.

    Attributes:
        metric: Its key.
        condition: The reason that the controller writes: ``FailedGetPodsMetric``.
        why: What is wrong with it.
    """

    metric: str
    condition: str
    why: str


class _NoProposalError(Exception):
    """A metric cannot propose anything; the message says why."""


def is_within(ratio: float, down: float, up: float) -> bool:
    """Return whether a ratio is not acted upon; both ends are not."""
    return 1.0 - down <= ratio <= 1.0 + up


def propose(
    policy: HpaPolicy,
    metric: MetricTarget,
    seen: Seen,
    now_secs: float,
    initialization: Initialization = CLUSTER_INITIALIZATION,
) -> Proposal | Failure:
    """Return what ``metric`` proposes for what is ``seen``."""
    try:
        match metric.source:
            case "Pods":
                return _of_pods(policy, metric, seen, _totals(metric, seen, "", now_secs, initialization))
            case "Resource" | "ContainerResource" if metric.kind != "Utilization":
                return _of_pods(policy, metric, seen, _totals(metric, seen, metric.name, now_secs, initialization))
            case "Resource" | "ContainerResource":
                return _of_requests(policy, metric, seen, now_secs, initialization)
            case "Object" | "External" if metric.kind == "AverageValue":
                return _of_status(policy, metric, seen)
            case "Object" | "External" if metric.kind == "Value":
                return _of_ready_pods(policy, metric, seen)
            case "Unknown":
                return Failure(metric=metric.key, condition="InvalidMetricSourceType", why="the type is unknown")
            case _:
                raise _NoProposalError(f"its target cannot be a {metric.kind}")
    except _NoProposalError as error:
        return Failure(metric=metric.key, condition=f"FailedGet{metric.source}Metric", why=str(error))


def propose_from_totals(
    policy: HpaPolicy, metric: MetricTarget, replicas: int, totals: PodTotals
) -> Proposal | Failure:
    """Return what a ``Pods`` metric proposes for ``replicas`` pods with these totals."""
    try:
        return _of_pods(policy, metric, Seen(spec_replicas=replicas), totals)
    except _NoProposalError as error:
        return Failure(metric=metric.key, condition=f"FailedGet{metric.source}Metric", why=str(error))


def _totals(
    metric: MetricTarget, seen: Seen, resource: str, now_secs: float, initialization: Initialization
) -> PodTotals:
    reading = seen.values.get(metric.key)
    if isinstance(reading, PodTotals):
        if not reading.counted + reading.missing + reading.unready:
            raise _NoProposalError("the selector matches no pod")
        return reading
    return _groups(metric, seen, resource, now_secs, initialization).totals()


def _groups(metric: MetricTarget, seen: Seen, resource: str, now_secs: float, initialization: Initialization) -> Groups:
    reading = seen.values.get(metric.key)
    if not reading:
        raise _NoProposalError("the metrics API gives no reading")
    if not isinstance(reading, Mapping):
        raise TypeError(f"{metric.key}: the readings of {metric.source} are by pod")
    if not seen.pods:
        raise _NoProposalError("the selector matches no pod")
    return group_pods(seen.pods, reading, resource, now_secs, initialization)


def _of_pods(policy: HpaPolicy, metric: MetricTarget, seen: Seen, totals: PodTotals) -> Proposal:
    target, down, up = metric.target, policy.down.tolerance, policy.up.tolerance
    samples, total = totals.counted + totals.stray, wrap_int64(totals.sum_milli)
    if not samples:
        raise _NoProposalError("no pod has a reading that counts")
    usage = divide(total, samples)
    ratio = ratio_of(usage, target)
    fills_unready = totals.unready > 0 and ratio > 1.0
    if not fills_unready and not totals.missing:
        within = is_within(ratio, down, up)
        return Proposal(
            metric=metric.key,
            replicas=seen.spec_replicas if within else ceil_int32(ratio * totals.counted),
            ratio=ratio,
            kept="within-tolerance" if within else "",
            usage_milli=usage,
        )

    # A missing pod is taken to be where it argues against the change; it does not argue at exactly the target.
    if totals.missing and ratio != 1.0:
        samples += totals.missing
        total = wrap_int64(total + (target * totals.missing if ratio < 1.0 else 0))
    if fills_unready:
        samples += totals.unready
    filled = ratio_of(divide(total, samples), target)
    replicas, kept = _after_filling(ratio, filled, samples, seen.spec_replicas, down, up)
    return Proposal(
        metric=metric.key, replicas=replicas, ratio=ratio, filled_ratio=filled, kept=kept, usage_milli=usage
    )


def _after_filling(
    ratio: float, filled: float, samples: int, replicas: int, down: float, up: float
) -> tuple[int, Kept]:
    if is_within(filled, down, up):
        return replicas, "within-tolerance"
    if (ratio < 1.0 < filled) or (filled < 1.0 < ratio):
        return replicas, "would-turn"
    wanted = ceil_int32(filled * samples)
    if (filled < 1.0 and wanted > replicas) or (filled > 1.0 and wanted < replicas):
        return replicas, "would-turn"
    return wanted, ""


def _of_requests(
    policy: HpaPolicy, metric: MetricTarget, seen: Seen, now_secs: float, initialization: Initialization
) -> Proposal:
    groups = _groups(metric, seen, metric.name, now_secs, initialization)
    if not groups.readings:
        raise _NoProposalError("no pod has a reading that counts")
    requests = _requests(metric, seen)
    target, down, up = metric.target, policy.down.tolerance, policy.up.tolerance
    ratio, utilization, usage = _utilization(groups.readings, requests, target)
    fills_unready = bool(groups.unready) and ratio > 1.0
    if not fills_unready and not groups.missing:
        within = is_within(ratio, down, up)
        return Proposal(
            metric=metric.key,
            replicas=seen.spec_replicas if within else ceil_int32(ratio * groups.counted),
            ratio=ratio,
            kept="within-tolerance" if within else "",
            usage_milli=usage,
            utilization=utilization,
        )

    filled = dict(groups.readings)
    if ratio < 1.0:
        filled |= {name: divide(requests[name] * max(100, target), 100) for name in groups.missing}
    elif ratio > 1.0:
        filled |= dict.fromkeys(groups.missing, 0)
    if fills_unready:
        filled |= dict.fromkeys(groups.unready, 0)
    filled_ratio, _, _ = _utilization(filled, requests, target)
    replicas, kept = _after_filling(ratio, filled_ratio, len(filled), seen.spec_replicas, down, up)
    return Proposal(
        metric=metric.key,
        replicas=replicas,
        ratio=ratio,
        filled_ratio=filled_ratio,
        kept=kept,
        usage_milli=usage,
        utilization=utilization,
    )


def _requests(metric: MetricTarget, seen: Seen) -> dict[str, int]:
    requests = {}
    for pod in seen.pods:
        if metric.key not in pod.requests_milli:
            raise _NoProposalError(f"pod {pod.name} requests no {metric.key}")
        requests[pod.name] = pod.requests_milli[metric.key]
    return requests


def _utilization(readings: Mapping[str, int], requests: Mapping[str, int], target: int) -> tuple[float, int, int]:
    """Return the ratio, usage in percent of the requests, and usage by pod in thousandths."""
    known = [name for name in readings if name in requests]
    total = wrap_int64(sum(readings[name] for name in known))
    requested = wrap_int64(sum(requests[name] for name in known))
    if not requested:
        raise _NoProposalError("no reading belongs to a pod that requests the resource")
    percent = wrap_int32(divide(wrap_int64(total * 100), requested))
    return ratio_of(percent, target), percent, divide(total, len(known))


def _of_ready_pods(policy: HpaPolicy, metric: MetricTarget, seen: Seen) -> Proposal:
    usage = _whole_usage(metric, seen)
    ratio = ratio_of(usage, metric.target)
    if not seen.spec_replicas:
        return Proposal(metric=metric.key, replicas=ceil_int32(ratio), ratio=ratio, usage_milli=usage)
    if is_within(ratio, policy.down.tolerance, policy.up.tolerance):
        return Proposal(
            metric=metric.key, replicas=seen.spec_replicas, ratio=ratio, kept="within-tolerance", usage_milli=usage
        )
    wanted = ratio * _ready_pods(seen)
    replicas = INT32_MAX if wanted > INT32_MAX else ceil_int32(wanted)
    return Proposal(metric=metric.key, replicas=replicas, ratio=ratio, usage_milli=usage)


def _ready_pods(seen: Seen) -> int:
    if seen.ready_pods is not None:
        if not seen.status and not seen.ready_pods:
            raise _NoProposalError("the selector matches no pod")
        return seen.ready_pods
    if not seen.pods:
        raise _NoProposalError("the selector matches no pod")
    # Here, pods that are being deleted count.
    return sum(1 for pod in seen.pods if pod.phase == "Running" and pod.ready)


def _of_status(policy: HpaPolicy, metric: MetricTarget, seen: Seen) -> Proposal:
    usage, replicas = _whole_usage(metric, seen), seen.status
    ratio = ratio_of(usage, float(metric.target) * replicas)
    within = is_within(ratio, policy.down.tolerance, policy.up.tolerance)
    shown = ceil_int64(ratio_of(usage, replicas))
    if not within:
        wanted = ratio_of(usage, metric.target)
        is_capped = metric.source == "External" and wanted > INT32_MAX
        replicas = INT32_MAX if is_capped else ceil_int32(wanted)
    if metric.source == "External" and float(usage) >= float(INT64_MAX):
        shown = INT64_MAX
    return Proposal(
        metric=metric.key,
        replicas=replicas,
        ratio=ratio,
        kept="within-tolerance" if within else "",
        usage_milli=shown,
    )


def _whole_usage(metric: MetricTarget, seen: Seen) -> int:
    reading = seen.values.get(metric.key)
    if not reading:
        raise _NoProposalError("the metrics API gives no reading")
    if not isinstance(reading, Sequence):
        raise TypeError(f"{metric.key}: the reading of {metric.source} is the values of its series")
    if metric.source == "Object":
        return reading[0]
    usage = 0
    for value in reading:
        if value > 0 and usage > INT64_MAX - value:
            return INT64_MAX
        usage = wrap_int64(usage + value)
        # With this kind of target the controller takes any negative sum for an overflow.
        if metric.kind == "AverageValue" and usage < 0:
            return INT64_MAX
    return usage
