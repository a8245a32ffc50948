"""Recording rules of mode ``desired``: the scaling rule in PromQL, evaluated by Prometheus.

They read what the world servers export (docs/world-server-contract.md) and what kube-state-metrics exports:
``kube_statefulset_replicas`` or ``kube_deployment_spec_replicas``, ``kube_pod_status_phase`` and
``kube_pod_deletion_timestamp``.

The count that the rule decides about is its own last record. The workload's count reaches Prometheus a scrape late,
and after a scale-down the rule would take the old count for a wish and undo it. So that count serves only to begin
with, and whoever scales the workload by hand is corrected.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from aether_deploy.scaling.config import CustomMetric, ScalingConfig
from aether_deploy.scaling.hpa import DESIRED, FLOOR
from aether_deploy.scaling.modes import player_metric

PLAYERS = "aether_world_players"
ORDINAL_FLOOR = "aether_world_ordinal_floor"
_KINDS = {
    "StatefulSet": ("statefulset", "kube_statefulset_replicas", "[0-9]+"),
    "Deployment": ("deployment", "kube_deployment_spec_replicas", "[a-z0-9]+-[a-z0-9]{5}"),
}


class Scaled(msgspec.Struct, frozen=True, kw_only=True):
    """A workload whose count a recording rule computes.

    Attributes:
        namespace: Its namespace.
        kind: ``StatefulSet`` or ``Deployment``.
        name: Its name.
    """

    namespace: str
    kind: str
    name: str

    @property
    def label(self) -> str:
        """The label that kube-state-metrics and our records name it by."""
        return _KINDS[self.kind][0]

    @property
    def selector(self) -> str:
        """What selects its records and those of kube-state-metrics."""
        return f'{{namespace="{self.namespace}",{self.label}="{self.name}"}}'

    @property
    def pods(self) -> str:
        """What selects the series of its pods, and of no other workload's."""
        return f'{{namespace="{self.namespace}",pod=~"{self.name}-{_KINDS[self.kind][2]}"}}'

    @property
    def replicas(self) -> str:
        """The series of the count that it is to have."""
        return _KINDS[self.kind][1] + self.selector


def rule_groups(
    scaling: ScalingConfig, metrics: Iterable[CustomMetric], scaled: Scaled, *, interval_secs: int
) -> list[dict[str, Any]]:
    """Return the rule groups that compute the workload's count, as a Prometheus rule file holds them.

    Every record has the labels ``namespace`` and ``statefulset`` (or ``deployment``), and is one series. Where
    nobody says how many players there are, the wanted count stays; where a pod does not say whether it is in use,
    the floor is missing, and then no autoscaler scales down.

    Args:
        scaling: The settings.
        metrics: The workload's metrics; the first of type Pods counts the players.
        scaled: The workload.
        interval_secs: Pause between two evaluations, and between two scrapes, seconds.
    """
    players = player_metric(metrics)
    assert players is not None
    expressions = {
        PLAYERS: f"sum(max by (pod, world) ({_series(players, scaled)}))",
        DESIRED: desired_expression(scaling, players, scaled, interval_secs),
    }
    if scaling.protect_occupied:
        expressions[FLOOR] = floor_expression(scaled)
    labels = {"namespace": scaled.namespace, scaled.label: scaled.name}
    rules = [{"record": name, "expr": expr, "labels": dict(labels)} for name, expr in expressions.items()]
    name = f"aether-{scaled.namespace}-{scaled.name}-scaling"
    return [{"name": name, "interval": f"{interval_secs}s", "rules": rules}]


def matchers(metric: CustomMetric) -> str:
    """Return what the metric's selector adds to a PromQL selector that says something already."""
    return "".join(f',{name}="{value}"' for name, value in sorted(metric.selector.items()))


def _series(metric: CustomMetric, scaled: Scaled) -> str:
    return f"{metric.name}{scaled.pods[:-1]}{matchers(metric)}}}"


def desired_expression(scaling: ScalingConfig, metric: CustomMetric, scaled: Scaled, interval_secs: int) -> str:
    """Return the specification's five rules in PromQL, over the record of all players.

    A cooldown runs from the evaluation that changed the record, and both directions look at all changes, as the
    rule's shared clock does. A scale-down needs a sample of every pod that runs.

    Rule:
        The specification, "Player-Count Autoscaling".
    """
    target, left = scaling.target_players_per_pod, 100 - scaling.headroom_percent
    players = f"max({PLAYERS}{scaled.selector})"
    count = f"(max({DESIRED}{scaled.selector}) or max({scaled.replicas}))"
    size = f"ceil({players} / {target})" if left == 100 else f"ceil({players} * 100 / {target * left})"
    said = f"count by (pod) ({_series(metric, scaled)}) unless on (pod) {_ending(scaled)}"
    up, down = size, size
    if scaling.max_step_up is not None:
        up = f"clamp_max({up}, scalar({count}) + {scaling.max_step_up})"
    if scaling.max_step_down is not None:
        down = f"clamp_min({down}, scalar({count}) - {scaling.max_step_down})"
    grow = [up, f"{players} > {target} * clamp_min({count}, 1)"]
    shrink = [down, f"{players} * 2 < {target} * {count}", f"count({said}) >= {_alive(scaled, 'Running')}"]
    grow += _rested(scaled, scaling.scale_up_cooldown_secs, interval_secs)
    shrink += _rested(scaled, scaling.scale_down_cooldown_secs, interval_secs)
    lines = ["clamp(", *_branch("", grow), *_branch("or ", shrink), f"  or {count},"]
    return "\n".join([*lines, f"  {scaling.min_replicas}, {scaling.max_replicas}", ")"])


def floor_expression(scaled: Scaled) -> str:
    """Return the highest ordinal in use plus one, in PromQL.

    Ending pods do not count, or a released one would lift the floor again. Where a pod that runs or is pending
    says nothing, there is no floor, and so no scale-down: its volume may hold a log that is not archived.
    """
    said = f"max by (pod) ({ORDINAL_FLOOR}{scaled.pods}) unless on (pod) {_ending(scaled)}"
    return f"max({said})\nand (count({said}) >= {_alive(scaled, 'Pending|Running')})"


def _ending(scaled: Scaled) -> str:
    return f'kube_pod_deletion_timestamp{{namespace="{scaled.namespace}"}}'


def _alive(scaled: Scaled, phases: str) -> str:
    phases = f'kube_pod_status_phase{scaled.pods[:-1]},phase=~"{phases}"}}'
    return f"sum({phases} unless on (pod) {_ending(scaled)})"


def _rested(scaled: Scaled, cooldown_secs: int, interval_secs: int) -> list[str]:
    if not cooldown_secs:
        return []
    # A change shows between two samples, so the range begins one interval before the cooldown. Less a thousandth, it
    # means the same whether a range includes its beginning (Prometheus 2) or not (3).
    span = (cooldown_secs + interval_secs) * 1000 - 1
    return [f"(max(changes({DESIRED}{scaled.selector}[{span}ms])) or vector(0)) == 0"]


def _branch(word: str, conditions: list[str]) -> list[str]:
    head, *rest = (f"({each})" for each in conditions)
    return [f"  {word}(", f"    {head}", *(f"    and {each}" for each in rest), "  )"]
