"""What may scale a workload in a replay: the scaling rule itself, or the autoscaler that we render for it."""

from collections.abc import Sequence
from typing import Literal, Protocol

from aether_deploy.scaling.autoscaler import Autoscaler
from aether_deploy.scaling.config import CustomMetric, ScalingConfig
from aether_deploy.scaling.controller.aggregate import AggregateController
from aether_deploy.scaling.controller.keda import policy_of_scaled_object
from aether_deploy.scaling.controller.policy import HpaPolicy
from aether_deploy.scaling.decision import Hold
from aether_deploy.scaling.hpa import DESIRED, FLOOR, autoscaler
from aether_deploy.scaling.keda import scaled_object
from aether_deploy.scaling.modes import SYNC_SECS
from aether_deploy.scaling.recording import Scaled
from aether_deploy.simulation.placing import occupied_floor_evenly
from aether_deploy.simulation.recorded import RecordedRule

PLAYERS = CustomMetric(name="aether_world_player_count")
BackendKind = Literal["decide", "hpa", "keda"]


class Backend(Protocol):
    """Decides a count at each sync, and remembers what it needs for the next."""

    @property
    def reason(self) -> str:
        """Why the last count is what it is."""

    def wanted(self, secs: int, players: int, replicas: int, running: int) -> int:
        """Return the count for ``players`` on all pods together, spread evenly over those that run.

        Args:
            secs: The time, seconds.
            players: Players on all pods together.
            replicas: The count as it is.
            running: How many of these pods run; the others are starting.
        """

    def wanted_by_pod(self, secs: int, loads: Sequence[int | None], replicas: int) -> int:
        """Return the count for the players of each running pod, by ordinal; None for one that gives no sample."""


class Rule:
    """The scaling rule as it is specified, asked at each sync."""

    def __init__(self, scaling: ScalingConfig, *, separate_clocks: bool = False) -> None:
        self.reason = ""
        self._autoscaler = Autoscaler(scaling, separate_clocks=separate_clocks)
        self._protects = scaling.protect_occupied

    def wanted(self, secs: int, players: int, replicas: int, running: int) -> int:
        """Return the rule's count; see ``Backend``."""
        return self._step(secs, players, replicas, occupied_floor_evenly(players, running) if self._protects else 0)

    def wanted_by_pod(self, secs: int, loads: Sequence[int | None], replicas: int) -> int:
        """Return the rule's count; a pod without a sample has no players, but may be occupied."""
        floor = _floor(loads, unsaid_is_occupied=True) if self._protects else 0
        return self._step(secs, sum(each for each in loads if each), replicas, floor)

    def _step(self, secs: int, players: int, replicas: int, floor: int) -> int:
        decision = self._autoscaler.step(secs, players, replicas, occupied_floor=floor)
        if isinstance(decision, Hold):
            self.reason = decision.reason
            return replicas
        self.reason = type(decision).__name__
        return decision.target_replicas


class PodsMetric:
    """An autoscaler that reads the players of each pod: modes ``pods`` and ``legacy``."""

    def __init__(self, policy: HpaPolicy) -> None:
        self._controller = AggregateController(policy)

    @property
    def reason(self) -> str:
        """The name of the last step of the last sync."""
        return self._controller.reason

    def wanted(self, secs: int, players: int, replicas: int, running: int) -> int:
        """Return the controller's count; pods that are starting are pending."""
        return self._controller.sync_pods(secs, replicas, running, players * 1000, 0, replicas - running)

    def wanted_by_pod(self, secs: int, loads: Sequence[int | None], replicas: int) -> int:
        """Return the controller's count; pods that are starting are pending."""
        said = [each for each in loads if each is not None]
        running = len(loads)
        return self._controller.sync_pods(
            secs, replicas, len(said), sum(said) * 1000, running - len(said), replicas - running
        )


class RecordedMetric:
    """An autoscaler that carries out counts which recording rules compute: mode ``desired``."""

    def __init__(self, policy: HpaPolicy, rule: RecordedRule) -> None:
        self._controller = AggregateController(policy)
        self._rule = rule
        self._names = tuple(metric.name for metric in policy.metrics)

    @property
    def reason(self) -> str:
        """The name of the last step of the last sync."""
        return self._controller.reason

    def wanted(self, secs: int, players: int, replicas: int, running: int) -> int:
        """Return the controller's count for what the rules record."""
        desired = self._rule.evaluate(secs, players, said=running, running=running, replicas=replicas)
        values: list[int | None] = [desired * 1000]
        if len(self._names) > 1:
            # The floor needs a word of every pod.
            floor = occupied_floor_evenly(players, running)
            values.append(floor * 1000 if running >= max(replicas, 1) else None)
        return self._controller.sync_whole(secs, replicas, replicas, values)

    def wanted_by_pod(self, secs: int, loads: Sequence[int | None], replicas: int) -> int:
        """Return the controller's count for what the rules record."""
        said = [each for each in loads if each is not None]
        running = len(loads)
        desired = self._rule.evaluate(secs, sum(said), said=len(said), running=running, replicas=replicas)
        values: list[int | None] = [desired * 1000]
        if len(self._names) > 1:
            # The floor needs a word of every pod.
            floor = _floor(loads, unsaid_is_occupied=False)
            values.append(floor * 1000 if len(said) >= max(replicas, 1) else None)
        return self._controller.sync_whole(secs, replicas, replicas, values)


def backend_of(
    scaling: ScalingConfig, kind: BackendKind, *, kubernetes: str, interval_secs: int = SYNC_SECS
) -> Backend:
    """Return the backend that scales a StatefulSet by ``scaling``.

    Args:
        scaling: The settings.
        kind: ``decide`` asks the rule at each sync; ``hpa`` and ``keda`` are what we render, on a cluster.
        kubernetes: The cluster's version, ``v1.<minor>``.
        interval_secs: Pause between two scrapes and between two evaluations of recording rules, seconds.
    """
    if kind == "decide":
        return Rule(scaling)
    policy = compile_policy(scaling, kind, kubernetes=kubernetes, interval_secs=interval_secs)
    recorded = {DESIRED, FLOOR} >= {metric.name for metric in policy.metrics}
    return (
        RecordedMetric(policy, RecordedRule(scaling, interval_secs=interval_secs)) if recorded else PodsMetric(policy)
    )


def compile_policy(
    scaling: ScalingConfig,
    backend: Literal["hpa", "keda"] | None = None,
    *,
    kubernetes: str,
    interval_secs: int = SYNC_SECS,
) -> HpaPolicy:
    """Return the autoscaler that we render, as the API server of ``kubernetes`` keeps it; of KEDA, the one it makes.

    Args:
        scaling: The settings; the players of each pod are the only metric.
        backend: What scales; left out, what the settings say.
        kubernetes: The cluster's version, ``v1.<minor>``.
        interval_secs: Pause between two scrapes and between two evaluations of recording rules, seconds.
    """
    metadata = {"name": "world"}
    if (backend or scaling.backend) == "keda":
        body = scaled_object(
            scaling,
            (PLAYERS,),
            Scaled(namespace="replay", kind="StatefulSet", name="world"),
            metadata=metadata,
            prometheus_url="http://prometheus",
            interval_secs=interval_secs,
        )
        return policy_of_scaled_object(body, kubernetes=kubernetes)
    body = autoscaler(
        scaling,
        (PLAYERS,),
        metadata=metadata,
        target_kind="StatefulSet",
        target_name="world",
        kubernetes=kubernetes,
        scrape_interval_secs=interval_secs,
    )
    return HpaPolicy.from_manifest(body, kubernetes=kubernetes)


def _floor(loads: Sequence[int | None], *, unsaid_is_occupied: bool) -> int:
    """Return the highest ordinal in use plus one."""
    for place in range(len(loads) - 1, -1, -1):
        if loads[place] or (unsaid_is_occupied and loads[place] is None):
            return place + 1
    return 0
