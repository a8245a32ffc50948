"""What a scenario plays on: one cluster of the platform, its control plane, and the eyes on its pods."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from aether_deploy.fleet.config import DeploymentConfig
from aether_deploy.fleet.predictions import Outcome
from aether_deploy.lab.control_plane import ControlPlane
from aether_deploy.lab.watching import Pod, PodWatch
from aether_deploy.manifest.labels import INSTANCE
from aether_deploy.platform.rendering import ClusterManifests

SETTLE_SECS = 60.0  # without a change
FLAPS_MAX = 50
QUIET_SECS = 4.0


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """One expectation, and what was seen.

    Attributes:
        scenario: The scenario that it belongs to, with its argument.
        subject: The workloads that it is about; empty for all.
        holds: Whether what was expected was seen.
        text: Expected and seen, in a line.
        details: The programs' own words, a line each.
        fewest: Fewest pods of the workload that were ready at one moment; None where nobody counted.
        secs_below: For how long fewer pods were ready than before, seconds; None where nobody counted.
    """

    scenario: str
    subject: str
    holds: bool
    text: str
    details: tuple[str, ...] = ()
    fewest: int | None = None
    secs_below: float | None = None


class Stage:
    """One cluster, ready to be played on.

    Attributes:
        lab: The control plane.
        cluster: What is rendered for the cluster.
        watch: The pods of its workloads.
        workloads: The workloads that run here, by name.
    """

    def __init__(self, lab: ControlPlane, cluster: ClusterManifests, watch: PodWatch) -> None:
        self.lab = lab
        self.cluster = cluster
        self.watch = watch
        self.workloads: Mapping[str, DeploymentConfig] = {
            folder.name: folder.config for folder in cluster.folders if folder.config is not None
        }
        self._zones = {node.name: node.zone for node in lab.nodes}

    @property
    def namespace(self) -> str:
        return self.cluster.namespace

    def zone_of(self, pod: Pod) -> str | None:
        """Return the zone of the node that a pod is bound to."""
        return None if pod.node is None else self._zones.get(pod.node)

    def placed(self, workload: str) -> dict[str, int]:
        """Return how many ready pods of a workload each zone has; a zone without any is there too."""
        counts = Counter(zone for pod in self.watch.pods(workload) if pod.ready and (zone := self.zone_of(pod)))
        return {zone: counts[zone] for zone in self.lab.zones}

    def admitted(self, workload: str) -> dict[str, int]:
        """Return the ready pods of a workload in each zone that has nodes for it."""
        selector = self.workloads[workload].node_selector.items()
        zones = {node.zone for node in self.lab.nodes if selector <= node.labels.items()}
        return {zone: count for zone, count in self.placed(workload).items() if zone in zones or count}

    def has_company(self, workload: str, node: str) -> bool:
        """Return whether the pods of a workload on ``node`` find another one: in its zone, if they have volumes."""
        config, zone = self.workloads[workload], self._zones[node]
        return any(
            other.name != node
            and config.node_selector.items() <= other.labels.items()
            and (other.zone == zone or not config.is_stateful)
            for other in self.lab.nodes
        )

    def wanted(self, workload: str) -> int:
        """Return how many pods the workload's controller is to run."""
        replicas: int = self._object(workload)["spec"]["replicas"]
        return replicas

    def claimed(self, workload: str) -> int:
        """Return how many pods the workload's controller has asked for, those of all its ReplicaSets together.

        Pods themselves may be more for a moment: one is made here before another one is deleted there.
        """
        if self.workloads[workload].is_stateful:
            return self.wanted(workload)
        selector = f"{INSTANCE}={workload}"
        found = self.lab.client.list("apps/v1", "ReplicaSet", self.namespace, labels=selector)
        return sum(each["spec"]["replicas"] for each in found)

    def is_available(self, workload: str) -> bool:
        """Return whether all wanted pods are ready for as long as ``min_ready_secs`` says."""
        return _all_available(self._object(workload))

    def has_rolled(self, workload: str, replaced: int) -> bool:
        """Return whether the workload's controller says of its newest template that ``replaced`` pods run by it.

        It says so after it has told those pods to end that it would replace next: whatever it does has begun by then.
        """
        body = self._object(workload)
        status = body.get("status", {})
        seen = status.get("observedGeneration", 0) >= body["metadata"]["generation"]
        return bool(seen and status.get("updatedReplicas", 0) == replaced and _all_available(body))

    def _object(self, workload: str) -> dict[str, Any]:
        return self.lab.client.get("apps/v1", self.workloads[workload].target_kind, workload, self.namespace)

    def placement(self) -> dict[str, dict[str, int]]:
        """Return the placement of every workload."""
        return {name: self.placed(name) for name in self.workloads}

    def pending(self, workload: str) -> list[Pod]:
        """Return the pods of a workload that wait for a node."""
        return [pod for pod in self.watch.pods(workload) if pod.node is None and not pod.terminating]

    def ending(self, workload: str) -> list[Pod]:
        """Return the pods of a workload that were told to end and are still there."""
        return [pod for pod in self.watch.pods(workload) if pod.terminating]

    def now(self, workload: str) -> Outcome:
        """Return how a workload stands."""
        return Outcome(
            ready=self.watch.ready(workload),
            pending=len(self.pending(workload)),
            ending=len(self.ending(workload)),
        )

    def stands_as(self, workload: str, outcome: Outcome) -> bool:
        """Return whether a workload stands as ``outcome`` says it will once everything has settled."""
        now = self.now(workload)
        return (now.ready, now.pending, now.ending) == (outcome.ready, outcome.pending, outcome.ending)

    def patiently(self, holds: Callable[[], bool], idle_secs: float) -> bool:
        """Wait until ``holds`` does, for as long as pods change; give up after ``idle_secs`` without a change."""
        while True:
            seen = len(self.watch.history)
            if self.watch.wait(holds, idle_secs):
                return True
            if len(self.watch.history) == seen:
                return False

    def settle(self, outcomes: Mapping[str, Outcome], idle_secs: float = SETTLE_SECS) -> bool:
        """Wait until every workload stands as expected, and stays so for a moment. Returns whether it came to be."""

        def all_stand() -> bool:
            return all(self.stands_as(name, outcome) for name, outcome in outcomes.items())

        for _ in range(FLAPS_MAX):
            if not self.patiently(all_stand, idle_secs):
                return False
            # A controller that is about to do more does it soon; only what stays has settled.
            if not self.watch.wait(lambda: not all_stand(), QUIET_SECS):
                return True
        return False

    def judge(
        self, scenario: str, workload: str, expected: Outcome, since: float, *, settled: bool, promise: str = ""
    ) -> Verdict:
        """Return the verdict on one workload after a scenario that began at ``since``.

        Args:
            scenario: The scenario, with its argument.
            workload: The workload.
            expected: What was predicted.
            since: When the scenario began, of the monotonic clock.
            settled: Whether all workloads came to stand as expected, and stayed so.
            promise: What is to be said of an outcome that is not simply good.
        """
        now, fewest = self.now(workload), self.watch.fewest_ready(workload, since)
        stands = self.stands_as(workload, expected)
        kept = fewest >= expected.fewest
        before = next((ready for _, ready in self.watch.counts(workload, since)), 0)
        below = self.watch.secs_below(workload, before, since)
        holds = stands and kept and (settled or not self._flaps(workload, expected))
        text = _outcome_text(expected) if holds else f"expected {_outcome_text(expected)}; saw {_outcome_text(now)}"
        if holds and promise:
            text += f", {promise}"
        if kept and expected.fewest:
            text += f", never below {expected.fewest}"
        elif not kept:
            secs = self.watch.secs_below(workload, expected.fewest, since)
            text += f"; only {fewest} at one moment, below {expected.fewest} for {secs:.0f} s"
        if below >= 1:
            text += f", fewer than {before} for {below:.0f} s"
        details = self.words(workload) if now.pending or not stands else ()
        return Verdict(
            scenario=scenario,
            subject=workload,
            holds=holds,
            text=text,
            details=details,
            fewest=fewest,
            secs_below=round(below, 1),
        )

    def _flaps(self, workload: str, expected: Outcome) -> bool:
        return self.watch.wait(lambda: not self.stands_as(workload, expected), QUIET_SECS)

    def words(self, workload: str) -> tuple[str, ...]:
        """Return what the scheduler and the controllers say of pods that are not there or not ready."""
        said = dict.fromkeys(f"scheduler: {pod.waits_for}" for pod in self.pending(workload) if pod.waits_for)
        events = self.lab.client.list("v1", "Event", self.namespace)
        for event in events:
            failed = event["type"] == "Warning" and event["reason"] == "FailedCreate"
            if failed and self._workload_of(event["involvedObject"]["name"]) == workload:
                said[f"{event['source'].get('component', 'controller')}: {event['message']}"] = None
        return tuple(said)[:4]

    def _workload_of(self, name: str) -> str | None:
        """Return the workload whose controller is called so: its name, or for a ReplicaSet that and a hash."""
        names = [each for each in self.workloads if name == each or name.startswith(f"{each}-")]
        return max(names, key=len, default=None)


def _outcome_text(outcome: Outcome) -> str:
    parts = [f"{outcome.ready} ready"]
    parts += [f"{outcome.pending} Pending"] if outcome.pending else []
    parts += [f"{outcome.ending} Terminating"] if outcome.ending else []
    return ", ".join(parts)


def skew_of(counts: Iterable[int]) -> int:
    """Return the difference between the fullest and the emptiest zone."""
    known = list(counts)
    return max(known) - min(known) if known else 0


def fullest(counts: Mapping[str, int]) -> str:
    """Return the key with the highest count, the first of equals."""
    return max(counts, key=lambda name: counts[name])


def _all_available(body: Mapping[str, Any]) -> bool:
    available: int = body.get("status", {}).get("availableReplicas", 0)
    replicas: int = body["spec"]["replicas"]
    return available == replicas
