"""Which configuration carries the scaling rule out, and what it cannot carry.

==========  =====================================================================================================
``pods``    The autoscaler reads players per pod. Tolerances make the band exact: it holds from half to full load.
``desired`` A recording rule computes the count, cooldowns included; the autoscaler only carries it out.
``legacy``  Players per pod within a tenth: before 1.35 the API server drops tolerances without a word.
==========  =====================================================================================================
"""

from collections.abc import Iterable, Iterator
from typing import Literal

from aether_deploy.config.base import Fault
from aether_deploy.scaling.config import CustomMetric, ScalingConfig

Mode = Literal["pods", "desired", "legacy"]

TOLERANCE_SINCE = 35
"""Minor version of Kubernetes that keeps the tolerance of each direction (HPAConfigurableTolerance, KEP-4951)."""

SYNC_SECS = 15
"""``--horizontal-pod-autoscaler-sync-period``, as clusters have it."""

PERIOD_SECS_MAX = 1800
"""Longest period of a scaling policy that the API server takes."""

_HOUR_SECS = 3600


def minor_of(kubernetes: str) -> int:
    """Return the minor version of ``v1.<minor>``."""
    return int(kubernetes.removeprefix("v1."))


def keeps_tolerance(kubernetes: str) -> bool:
    """Return whether the API server of ``kubernetes`` keeps an autoscaler's tolerances."""
    return minor_of(kubernetes) >= TOLERANCE_SINCE


def mode_of(scaling: ScalingConfig, kubernetes: str) -> Mode:
    """Return the mode that is rendered for a cluster of ``kubernetes`` (``v1.<minor>``)."""
    if scaling.mode != "auto":
        return scaling.mode
    if scaling.protect_occupied or scaling.backend == "keda":
        return "desired"
    return "pods" if keeps_tolerance(kubernetes) else "legacy"


def player_metric(metrics: Iterable[CustomMetric]) -> CustomMetric | None:
    """Return the metric that counts the players of each pod: the first of type Pods."""
    return next((each for each in metrics if each.metric_type == "Pods"), None)


def budget_policy(scaling: ScalingConfig) -> tuple[int, int] | None:
    """Return the rate at which pods may go: how many in how many seconds; None is any.

    Within any hour no more pods go than hold ``max_players_displaced_per_hour`` players when full, and they go
    as evenly as the autoscaler's sync allows.
    """
    pods = scaling.sizing.removed_per_hour
    if pods is None:
        return None
    period = min(max(-(-_HOUR_SECS // max(pods, 1)), SYNC_SECS), PERIOD_SECS_MAX)
    return max(pods * period // _HOUR_SECS, 1), period


def drain_secs(scaling: ScalingConfig | None) -> int:
    """Return the seconds that a full pod needs to empty at the pace of ``max_players_displaced_per_hour``."""
    if scaling is None or scaling.max_players_displaced_per_hour is None:
        return 0
    return -(-scaling.target_players_per_pod * _HOUR_SECS // scaling.max_players_displaced_per_hour)


def mode_faults(
    scaling: ScalingConfig,
    metrics: Iterable[CustomMetric],
    *,
    kubernetes: str,
    cluster: str,
    stateful: bool,
    rule_interval_secs: int | None,
    grace_secs: int,
) -> Iterator[Fault]:
    """Yield what the mode cannot carry on this cluster; places are relative to the workload.

    Args:
        scaling: The settings.
        metrics: The workload's custom metrics.
        kubernetes: The cluster's version, ``v1.<minor>``.
        cluster: Its name.
        stateful: Whether the workload is a StatefulSet.
        rule_interval_secs: How often a Prometheus scrapes and evaluates our rules; None: there is none.
        grace_secs: Longest time that a pod has to end.

    Rule:
        Kubernetes, ``pkg/registry/autoscaling/horizontalpodautoscaler/strategy.go`` (dropDisabledFields) and
        ``pkg/controller/podautoscaler``.
    """
    mode, known = mode_of(scaling, kubernetes), tuple(metrics)
    where = f"Kubernetes {kubernetes} of cluster '{cluster}'"
    if mode == "legacy":
        yield from _legacy_faults(scaling, where, kubernetes)
    elif not keeps_tolerance(kubernetes):
        yield _needs_tolerance(scaling, mode, where)
    if mode == "desired":
        yield from _desired_faults(scaling, known, rule_interval_secs, grace_secs)
    elif scaling.protect_occupied:
        yield Fault(
            ("scaling", "mode"),
            f"with tolerances an occupied pod is not told from a load in band, so '{mode}' protects none",
            "set it to auto or desired, or remove protect_occupied",
            mode,
        )
    if mode != "desired" and scaling.backend == "keda":
        yield Fault(
            ("scaling", "mode"),
            "KEDA has no metrics of pods, and an average within tolerance lets ending pods bounce back",
            "set it to auto or desired, or use backend: hpa",
            mode,
        )
    if mode != "desired":
        yield from _bouncing_metrics(known, stateful)


def _legacy_faults(scaling: ScalingConfig, where: str, kubernetes: str) -> Iterator[Fault]:
    if keeps_tolerance(kubernetes):
        yield Fault(
            ("scaling", "mode"),
            f"{where} keeps tolerances, and legacy does without: it acts below 0.9 and above 1.1 of the target only",
            "set it to auto",
            "legacy",
            "warning",
        )
        return
    sized = " of the target less its headroom" if scaling.headroom_percent else " of the target"
    yield Fault(
        ("scaling",),
        f"{where} drops the autoscaler's tolerance: from 0.9 to 1.1{sized} it holds, and below it scales down "
        "(mode legacy)",
        f"declare v1.{TOLERANCE_SINCE} or newer once the cluster runs it",
        severity="warning",
    )


def _why_not_pods(scaling: ScalingConfig) -> str:
    """Return the setting that asks for the mode."""
    if scaling.mode != "auto":
        return "mode"
    return "protect_occupied" if scaling.protect_occupied else "backend"


def _needs_tolerance(scaling: ScalingConfig, mode: Mode, where: str) -> Fault:
    field = _why_not_pods(scaling)
    what = "loads in band are acted upon" if mode == "pods" else "above 10 pods a step of one is never made"
    return Fault(
        ("scaling", field),
        f"{where} drops the autoscaler's tolerance without a word: {what}",
        f"declare v1.{TOLERANCE_SINCE} or newer once the cluster runs it, or do without it"
        if field != "mode"
        else f"declare v1.{TOLERANCE_SINCE} or newer once the cluster runs it, or set it to auto",
        getattr(scaling, field),
    )


def _desired_faults(
    scaling: ScalingConfig, metrics: tuple[CustomMetric, ...], rule_interval_secs: int | None, grace_secs: int
) -> Iterator[Fault]:
    because = _why_not_pods(scaling)
    if rule_interval_secs is None:
        yield Fault(
            ("scaling", because),
            "needs recording rules, and no Prometheus evaluates any",
            "add observability.prometheus (and leave observability.rules on)",
            getattr(scaling, because),
        )
    elif scaling.protect_occupied and grace_secs < (unnoticed := 2 * rule_interval_secs + SYNC_SECS):
        yield Fault(
            ("drain", "grace_period_secs"),
            f"shorter than the {unnoticed} s for which a player may have joined unnoticed: scrape, rule and sync",
            f"set it to {unnoticed} or more",
            grace_secs,
        )
    players = [place for place, each in enumerate(metrics) if each.metric_type == "Pods"]
    if not players:
        yield Fault(
            ("custom_metrics",),
            "mode desired computes the count from the players of each pod, and no metric has the type Pods",
            "add the metric that counts them",
        )
    for place in players[1:]:
        yield Fault(
            ("custom_metrics", place),
            "mode desired computes the count from one metric of type Pods, the first",
            "remove it, or set scaling.mode to pods",
            metrics[place].name,
        )


def _bouncing_metrics(metrics: tuple[CustomMetric, ...], stateful: bool) -> Iterator[Fault]:
    for place, metric in enumerate(metrics):
        if stateful and metric.metric_type != "Pods" and metric.target_type == "AverageValue":
            yield Fault(
                ("custom_metrics", place),
                "in band the autoscaler takes status.replicas for its proposal, which counts ending pods: "
                "after each scale-down the count bounces back",
                "set its target_type to Value, or scaling.mode to desired",
                metric.name,
            )
