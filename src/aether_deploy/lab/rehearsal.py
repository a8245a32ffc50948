"""The rehearsal of one cluster: boot, apply, look, play the scenarios."""

from collections.abc import Callable, Sequence

import msgspec

from aether_deploy.fleet.config import DeploymentConfig
from aether_deploy.fleet.predictions import Outcome
from aether_deploy.gitops.pieces import RenderedCluster
from aether_deploy.lab.applying import Applied, apply_manifests, changed_by_second_apply
from aether_deploy.lab.assumed import assumed_by, give_assumed, in_pools, pool_count
from aether_deploy.lab.client import Client
from aether_deploy.lab.component_pods import look_at_components
from aether_deploy.lab.control_plane import ControlPlane
from aether_deploy.lab.crds import custom_kinds_of, how_to_judge, install_definitions
from aether_deploy.lab.nodes import FakeNode, fake_nodes
from aether_deploy.lab.scenarios import Known, chosen_scenarios, play
from aether_deploy.lab.stage import Stage, Verdict
from aether_deploy.lab.watching import PodWatch
from aether_deploy.platform.rendering import ClusterManifests

Say = Callable[[str], None]


class Rehearsed(msgspec.Struct, frozen=True, kw_only=True):
    """What a rehearsal of one cluster showed.

    Attributes:
        path: The cluster's folder in the tree.
        kubernetes: Version of Kubernetes that judged.
        nodes: How many nodes it had.
        zones: Its zones.
        applied: What became of each object.
        assumed: What the cluster was given because the description says that it has it: ``PriorityClass games``.
        placement: Ready pods, by workload or component, and zone.
        pending: Pods without a node, by workload or component.
        verdicts: What was expected and seen.
    """

    path: str
    kubernetes: str
    nodes: int
    zones: tuple[str, ...]
    applied: tuple[Applied, ...]
    assumed: tuple[str, ...]
    placement: dict[str, dict[str, int]]
    pending: dict[str, int]
    verdicts: tuple[Verdict, ...]

    @property
    def faults(self) -> list[str]:
        """What the API server refused, warned of, dropped or rewrote."""
        return [fault for applied in self.applied for fault in applied.faults()]

    @property
    def holds(self) -> bool:
        """Whether everything was taken as it is, and every expectation was met."""
        return not self.faults and all(verdict.holds for verdict in self.verdicts)


class Nodes(msgspec.Struct, frozen=True, kw_only=True):
    """The nodes that a rehearsal makes in each zone.

    Attributes:
        per_zone: Nodes in each zone; as many again for each further pool that workloads select by labels.
        cpu: CPU of each, as a quantity.
        memory: Memory of each, as a quantity.
    """

    per_zone: int = 3
    cpu: str = "64"
    memory: str = "256Gi"


def rehearse(
    rendered: RenderedCluster,
    version: str,
    scenarios: Sequence[str] = (),
    *,
    nodes: Nodes | None = None,
    say: Say = lambda text: None,
) -> Rehearsed:
    """Return what a real control plane does with everything that one cluster gets.

    Args:
        rendered: The cluster.
        version: Version of Kubernetes that judges: ``v1.37.2``.
        scenarios: What to play, as ``--scenario`` writes it; left out, ``steady``.
        nodes: The nodes of each zone.
        say: Told what is going on.

    Raises:
        ConfigError: A scenario is unknown.
        EffectError: Programs are missing, or one of them failed.
    """
    cluster = rendered.cluster
    made = _nodes(cluster, nodes or Nodes())
    plays = chosen_scenarios(scenarios, known_in(rendered, nodes))
    say(f"booting Kubernetes {version}")
    with ControlPlane(version, nodes=made, storage_classes=_storage_classes(cluster)) as lab:
        install_definitions(lab, custom_kinds_of(cluster.manifests))
        say(f"applying {len(cluster.manifests)} objects")
        applied = _apply(lab.client, cluster)
        with PodWatch(lab.client, cluster.namespace, lab.check) as watch:
            stage = Stage(lab, cluster, watch)
            say("waiting for pods")
            stage.settle({name: Outcome(ready=each.least_pods) for name, each in stage.workloads.items()})
            verdicts = _second_apply(lab.client, applied)
            components = look_at_components(lab, cluster)
            verdicts += components.verdicts
            placement = {**stage.placement(), **components.placement}
            pending = {name: len(stage.pending(name)) for name in stage.workloads} | components.pending
            for scenario, argument in plays:
                say(f"playing {scenario.name}{'=' * bool(argument)}{argument}")
                verdicts += play(stage, scenario, argument)
            lab.check()  # what was seen counts only if all programs lived to see it
    return Rehearsed(
        path=rendered.path,
        kubernetes=version,
        nodes=len(made),
        zones=tuple(cluster.site.zone_names),
        applied=tuple(applied),
        assumed=assumed_by(_workloads(cluster), _storage_classes(cluster), cluster.manifests),
        placement=placement,
        pending=pending,
        verdicts=tuple(verdicts),
    )


def known_in(rendered: RenderedCluster, nodes: Nodes | None = None) -> Known:
    """Return what scenarios may name in a cluster."""
    cluster = rendered.cluster
    return Known(
        zones=tuple(cluster.site.zone_names),
        nodes=tuple(node.name for node in _nodes(cluster, nodes or Nodes())),
        workloads=tuple(folder.name for folder in cluster.folders if folder.config is not None),
    )


def _nodes(cluster: ClusterManifests, shape: Nodes) -> tuple[FakeNode, ...]:
    made = fake_nodes(
        cluster.site.zone_names,
        region=cluster.site.region.code,
        per_zone=shape.per_zone * pool_count(_workloads(cluster)),
        cpu=shape.cpu,
        memory=shape.memory,
        zone_keys={config.topology.topology_key for config in _workloads(cluster)},
    )
    return in_pools(made, _workloads(cluster))


def _workloads(cluster: ClusterManifests) -> list[DeploymentConfig]:
    return [folder.config for folder in cluster.folders if folder.config is not None]


def _storage_classes(cluster: ClusterManifests) -> list[str]:
    named = {
        template["spec"].get("storageClassName")
        for manifest in cluster.manifests
        if manifest.kind == "StatefulSet"
        for template in manifest.body["spec"]["volumeClaimTemplates"]
    }
    return sorted(name for name in named if name)


def _apply(client: Client, cluster: ClusterManifests) -> list[Applied]:
    """Apply the namespace, make what is assumed in it, then apply the workloads."""
    first = apply_manifests(client, cluster.cluster)
    give_assumed(client, _workloads(cluster), cluster.manifests)
    rest = apply_manifests(client, cluster.manifests[len(cluster.cluster) :])
    return [_with_advice(each) for each in (*first, *rest)]


def _with_advice(applied: Applied) -> Applied:
    """Say beside what nobody could judge what would let it be judged, if anything does."""
    if applied.unjudged is None or (advice := how_to_judge(applied.manifest)) is None:
        return applied
    return msgspec.structs.replace(applied, unjudged=f"{applied.unjudged}; {advice}")


def _second_apply(client: Client, applied: Sequence[Applied]) -> list[Verdict]:
    changed = changed_by_second_apply(client, applied)
    if not changed:
        return [Verdict(scenario="apply", subject="", holds=True, text="a second apply changes nothing")]
    text = f"expected a second apply to change nothing; it changed {len(changed)}"
    return [Verdict(scenario="apply", subject="", holds=False, text=text, details=tuple(changed[:5]))]
