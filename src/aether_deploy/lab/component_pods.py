"""Pods of components in a rehearsal: whether all that are described run, and where."""

from collections import Counter
from collections.abc import Mapping

import msgspec

from aether_deploy.lab.control_plane import ControlPlane
from aether_deploy.lab.stage import Verdict
from aether_deploy.lab.watching import Pod, PodWatch
from aether_deploy.manifest.labels import INSTANCE
from aether_deploy.platform.rendering import ClusterManifests

SETTLE_SECS = 60.0
SCENARIO = "components"
_RUN_FOR_GOOD = ("Deployment", "StatefulSet")


class ComponentPods(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the pods of components.

    Attributes:
        placement: Ready pods, by component and zone.
        pending: Pods without a node, by component.
        verdicts: Whether all are ready; none where no component has pods.
    """

    placement: dict[str, dict[str, int]]
    pending: dict[str, int]
    verdicts: tuple[Verdict, ...]


def wanted_pods(cluster: ClusterManifests) -> Mapping[str, int]:
    """Return how many pods each component is to have that run for good; those of Jobs and of operators do not count."""
    found: Counter[str] = Counter()
    for folder in cluster.data:
        for manifest in folder.manifests:
            if manifest.kind in _RUN_FOR_GOOD:
                labels = manifest.body["spec"]["template"]["metadata"]["labels"]
                found[labels[INSTANCE]] += manifest.body["spec"]["replicas"]
    return dict(sorted(found.items()))


def look_at_components(lab: ControlPlane, cluster: ClusterManifests) -> ComponentPods:
    """Wait until all pods of components are ready, and return what became of them.

    Raises:
        EffectError: A program of the control plane ended, or the API server does not answer.
    """
    wanted = wanted_pods(cluster)
    if not wanted:
        return ComponentPods(placement={}, pending={}, verdicts=())
    zones = {node.name: node.zone for node in lab.nodes}
    with PodWatch(lab.client, cluster.data_namespace, lab.check) as watch:
        watch.wait(lambda: all(_ready(watch, name) >= count for name, count in wanted.items()), SETTLE_SECS)
        placement, pending = {}, {}
        verdicts = []
        for name, count in wanted.items():
            pods = _pods(watch, name)
            counts = Counter(zones.get(pod.node or "") for pod in pods if pod.ready)
            placement[name] = {zone: counts[zone] for zone in lab.zones}
            waiting = [pod for pod in pods if pod.node is None and not pod.terminating]
            pending[name] = len(waiting)
            if counts.total() < count:
                words = dict.fromkeys(f"scheduler: {pod.waits_for}" for pod in waiting if pod.waits_for)
                text = f"expected {count} ready; saw {counts.total()} ready, {len(waiting)} Pending"
                verdicts.append(
                    Verdict(scenario=SCENARIO, subject=name, holds=False, text=text, details=tuple(words)[:4])
                )
    if not verdicts:
        text = f"{sum(wanted.values())} of {sum(wanted.values())} pods ready"
        verdicts.append(Verdict(scenario=SCENARIO, subject="", holds=True, text=text))
    return ComponentPods(placement=placement, pending=pending, verdicts=tuple(verdicts))


def _pods(watch: PodWatch, name: str) -> list[Pod]:
    """Return a component's pods but for those of its Jobs, which have no revision."""
    return [pod for pod in watch.pods(name) if pod.revision is not None]


def _ready(watch: PodWatch, name: str) -> int:
    return sum(pod.ready for pod in _pods(watch, name))
