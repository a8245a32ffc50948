"""What a scenario plays on: one cluster of the platform, its control plane, and the eyes on its pods."""

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from aether_deploy.fleet.config import DeploymentConfig
from aether_deploy.fleet.predictions import Outcome
from aether_deploy.lab.control_plane import ControlPlane
from aether_deploy.lab.watching import Pod, PodWatch
from aether_deploy.platform.rendering import ClusterManifests

SETTLE_SECS = 60.0
QUIET_SECS = 4.0


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """One expectation, and what was seen.

    Attributes:
        scenario: The scenario that it belongs to, with its argument.
        subject: The workloads that it is about; empty for all.
        holds: Whether what was expected was seen.
        text: Expected and seen, in a line.
        details: The programs' own words, a line each.
    """

    scenario: str
    subject: str
    holds: bool
    text: str
    details: tuple[str, ...] = ()


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

    def settle(self, outcomes: Mapping[str, Outcome], within_secs: float = SETTLE_SECS) -> bool:
        """Wait until every workload stands as expected, and stays so for a moment. Returns whether it came to be."""

        def all_stand() -> bool:
            return all(self.stands_as(name, outcome) for name, outcome in outcomes.items())

        deadline = time.monotonic() + within_secs
        while self.watch.wait(all_stand, deadline - time.monotonic()):
            # A controller that is about to do more does it soon; only what stays has settled.
            if not self.watch.wait(lambda: not all_stand(), QUIET_SECS):
                return True
        return False

    def judge(self, scenario: str, workload: str, expected: Outcome, since: float, *, promise: str = "") -> Verdict:
        """Return the verdict on one workload after a scenario that began at ``since``."""
        now, fewest = self.now(workload), self.watch.fewest_ready(workload, since)
        stands = self.stands_as(workload, expected)
        kept = fewest >= expected.fewest
        wanted = self.watch.secs_below(workload, expected.fewest, since)
        text = _outcome_text(expected) if stands and kept else f"expected {_outcome_text(expected)}; saw {_seen(now)}"
        if stands and kept and promise:
            text += f", {promise}"
        if kept and expected.fewest:
            text += f", never below {expected.fewest}"
        elif not kept:
            text += f"; only {fewest} at one moment, below {expected.fewest} for {wanted:.0f} s"
        details = self.words(workload) if now.pending or not stands else ()
        return Verdict(scenario=scenario, subject=workload, holds=stands and kept, text=text, details=details)

    def words(self, workload: str) -> tuple[str, ...]:
        """Return what the scheduler and the controllers say of pods that are not there or not ready."""
        said = dict.fromkeys(f"scheduler: {pod.waits_for}" for pod in self.pending(workload) if pod.waits_for)
        events = self.lab.client.list("v1", "Event", self.namespace)
        for event in events:
            about = event["involvedObject"]["name"]
            if event["type"] == "Warning" and event["reason"] == "FailedCreate" and about.startswith(workload):
                said[f"{event['source'].get('component', 'controller')}: {event['message']}"] = None
        return tuple(said)[:4]


def _outcome_text(outcome: Outcome) -> str:
    parts = [f"{outcome.ready} ready"]
    parts += [f"{outcome.pending} Pending"] if outcome.pending else []
    parts += [f"{outcome.ending} Terminating"] if outcome.ending else []
    return ", ".join(parts)


def _seen(outcome: Outcome) -> str:
    return _outcome_text(outcome)


def skew_of(counts: Iterable[int]) -> int:
    """Return the difference between the fullest and the emptiest zone."""
    known = list(counts)
    return max(known) - min(known) if known else 0


def fullest(counts: Mapping[str, int]) -> str:
    """Return the key with the highest count, the first of equals."""
    return max(counts, key=lambda name: counts[name])


def names_of(items: Sequence[str]) -> str:
    return ", ".join(items)
