"""The rules between fields that say how many pods run, how they change, and who reaches them.

Sources: as of ``fleet.rules``.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from aether_deploy.config.base import Fault
from aether_deploy.pods.parts import PreStopConfig

if TYPE_CHECKING:
    from aether_deploy.fleet.config import DeploymentConfig

SERVICES_MAX = 1000


def budget_leaves_pods(self: "DeploymentConfig") -> Iterator[Fault]:
    missing = self.disruption_budget.max_unavailable
    if missing > 1 and missing >= self.least_pods:
        yield Fault(
            ("disruption_budget", "max_unavailable"),
            f"lets a node drain take all of {self.least_pods} pods",
            f"set it to {max(self.least_pods - 1, 1)} or less",
            missing,
        )


def metrics_match_scaling(self: "DeploymentConfig") -> Iterator[Fault]:
    scaling = self.scaling
    if scaling is None:
        if self.custom_metrics:
            yield Fault(
                ("custom_metrics",),
                "nothing scales by them: scaling is off",
                "remove them, or add scaling",
                severity="warning",
            )
        return
    if not self.custom_metrics:
        yield Fault(
            (),
            "lacks 'custom_metrics': a service that scales must say by which metric",
            "add custom_metrics: [{name: ...}]",
        )
    for place, metric in enumerate(self.custom_metrics):
        target = metric.target_value
        if metric.metric_type == "Pods" and target is not None and target != scaling.target_players_per_pod:
            yield Fault(
                ("custom_metrics", place, "target_value"),
                f"differs from scaling.target_players_per_pod, which is {scaling.target_players_per_pod}",
                "leave target_value out: it follows target_players_per_pod",
                target,
            )


def replicas_are_the_autoscalers(self: "DeploymentConfig") -> Iterator[Fault]:
    if self.replicas == 0:
        yield Fault(("replicas",), "runs nothing", "set it to 1 or more, or use enabled: false", 0)
    scaling = self.scaling
    if scaling and not scaling.min_replicas <= self.replicas <= max(scaling.max_replicas, scaling.min_replicas):
        yield Fault(
            ("replicas",),
            f"outside {scaling.min_replicas}..{scaling.max_replicas}; the autoscaler owns the count",
            "leave replicas out, or change scaling",
            self.replicas,
            "warning",
        )
    if self.least_pods == 1 and "single_replica" not in self.waivers:
        at = ("scaling", "min_replicas") if self.scaling else ("replicas",)
        yield Fault(
            at,
            "one pod: every update and every lost node interrupts it",
            "set it to 2 or more, or give the waiver single_replica a reason",
            1,
            "warning",
        )


def update_fits_the_kind(self: "DeploymentConfig") -> Iterator[Fault]:
    update, kind = self.update, self.target_kind
    only = {"partition": "StatefulSet", "max_surge": "Deployment"}
    for name, wanted in only.items():
        if getattr(update, name) is not None and kind != wanted:
            yield Fault(
                ("update", name),
                f"only a {wanted} has it, and this is a {kind}",
                "remove it",
                getattr(update, name),
            )
    strategies = {"OnDelete": "StatefulSet", "Recreate": "Deployment"}
    wanted = strategies.get(update.strategy, kind)
    if kind != wanted:
        yield Fault(
            ("update", "strategy"),
            f"only a {wanted} has it, and this is a {kind}",
            "use RollingUpdate",
            update.strategy,
        )
    if update.strategy != "RollingUpdate":
        for name in ("partition", "max_surge", "max_unavailable"):
            if getattr(update, name) is not None and only.get(name, kind) == kind:
                yield Fault(
                    ("update", name),
                    f"not used with strategy {update.strategy}",
                    "remove it",
                    getattr(update, name),
                )
    elif kind == "Deployment" and update.max_surge == 0 and not update.max_unavailable:
        yield Fault(
            ("update", "max_surge"),
            "with max_unavailable 0 no pod can ever be replaced",
            "set one of them to 1",
            0,
        )
    elif kind == "StatefulSet" and update.max_unavailable == 0:
        yield Fault(("update", "max_unavailable"), "no pod could ever be replaced", "set it to 1 or more", 0)


def drain_leaves_time(self: "DeploymentConfig") -> Iterator[Fault]:
    if self.drain.grace_period_secs > 3600:
        yield Fault(
            ("drain", "grace_period_secs"),
            "longer than an hour, which node drains and cluster autoscalers do not wait for",
            "set it to 3600 or less",
            self.drain.grace_period_secs,
            "warning",
        )


def occupied_pods_can_be_kept(self: "DeploymentConfig") -> Iterator[Fault]:
    if self.scaling is None or not self.scaling.protect_occupied:
        return
    at = ("scaling", "protect_occupied")
    if not self.is_stateful:
        yield Fault(
            at,
            "only pods of a StatefulSet leave in the order of their ordinals",
            "add a pvc, or remove protect_occupied",
            True,
        )
    if self.metrics is None:
        yield Fault(at, "nobody can ask which pods are occupied: metrics is none", "give metrics a port", True)
    stop = self.drain.pre_stop
    if not isinstance(stop, PreStopConfig) or stop.sleep_secs is not None:
        yield Fault(
            ("drain", "pre_stop"),
            "does not drain, and a player may join a pod unnoticed shortly before it is removed",
            "set it to the path and port at which the server drains",
            severity="warning",
        )


def exposed_pods_have_ordinals(self: "DeploymentConfig") -> Iterator[Fault]:
    if self.expose and self.expose.per_pod and not self.is_stateful:
        yield Fault(
            ("expose", "per_pod"),
            "only pods of a StatefulSet have ordinals",
            "add a pvc, or remove per_pod",
            True,
        )
    elif self.expose and self.expose.per_pod and self.most_pods > SERVICES_MAX:
        at = ("scaling", "max_replicas") if self.scaling else ("replicas",)
        yield Fault(
            at,
            f"makes as many Services by expose.per_pod; engines read at most {SERVICES_MAX} objects in time",
            f"set it to {SERVICES_MAX} or less, or remove per_pod",
            self.most_pods,
        )


def endpoints_are_exposed(self: "DeploymentConfig") -> Iterator[Fault]:
    if self.endpoint is not None and self.expose is None:
        yield Fault(("endpoint",), "nothing is exposed that other regions could reach", "add expose", self.endpoint)
