"""Topology settings and the scheduling fragments of a pod that they become."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from aether_deploy.config.base import Config
from aether_deploy.config.marks import Keyed, WholeRule
from aether_deploy.config.types import LabelKey, ServiceName
from aether_deploy.manifest.boxes import YamlConfig

ZONE_KEY = "topology.kubernetes.io/zone"
HOST_KEY = "kubernetes.io/hostname"


class AffinityRule(Config):
    """A service to run near.

    Attributes:
        service: Name of the world or service to be near.
        weight: How much it counts, 1 to 100. Soft zone spread has the same say as a weight of 100.
    """

    service: ServiceName
    weight: Annotated[int, WholeRule(ge=1, le=100)] = 100


class TopologyConfig(YamlConfig):
    """How pods of one workload spread, and what they prefer to be near.

    Attributes:
        spread_across_zones: Spread pods over zones; they are spread over nodes in any case.
        topology_key: The node label whose values are the zones.
        preferred_colocation: Workloads whose zone the pods prefer.
        strict: A pod waits rather than make the spread uneven by more than one (``DoNotSchedule``). Zones
            whose nodes are all gone, unreachable or cordoned do not count, so pods of a lost zone move to
            the others. Soft spread (the default) only scores nodes.

    Rule:
        The specification, "Zone-Aware Topology"; Kubernetes ``podtopologyspread``.
    """

    spread_across_zones: bool = True
    topology_key: LabelKey = ZONE_KEY
    preferred_colocation: Annotated[Sequence[AffinityRule], Keyed("service")] = ()
    strict: bool = False


class Neighbour:
    """A service to be near: its selector labels and namespace."""

    __slots__ = ("labels", "namespace", "weight")

    def __init__(self, labels: Mapping[str, str], namespace: str, weight: int) -> None:
        self.labels = dict(labels)
        self.namespace = namespace
        self.weight = weight


def affinity_fragment(
    topology: TopologyConfig, selector: Mapping[str, str], neighbours: list[Neighbour]
) -> dict[str, Any]:
    """Return ``spec.affinity`` of a pod: near its neighbours, away from its own kind."""
    affinity: dict[str, Any] = {}
    if neighbours:
        affinity["podAffinity"] = {
            "preferredDuringSchedulingIgnoredDuringExecution": [
                {
                    "weight": near.weight,
                    "podAffinityTerm": {
                        "labelSelector": {"matchLabels": near.labels},
                        "namespaces": [near.namespace],
                        "topologyKey": topology.topology_key,
                    },
                }
                for near in neighbours
            ]
        }
    affinity["podAntiAffinity"] = {
        "preferredDuringSchedulingIgnoredDuringExecution": [
            {
                "weight": 100,
                "podAffinityTerm": {"labelSelector": {"matchLabels": dict(selector)}, "topologyKey": key},
            }
            for key in [*_zone_keys(topology), HOST_KEY]
        ]
    }
    return affinity


def _zone_keys(topology: TopologyConfig) -> list[str]:
    """Return the label to spread over beside that of hosts, which are spread over in any case."""
    wanted = topology.spread_across_zones and topology.topology_key != HOST_KEY
    return [topology.topology_key] if wanted else []


def spread_fragment(
    topology: TopologyConfig, selector: Mapping[str, str], *, revision_label: str | None = None
) -> list[dict[str, Any]]:
    """Return ``spec.topologySpreadConstraints`` of a pod; hosts only ever softly.

    Args:
        topology: The settings.
        selector: Labels of the workload's pods.
        revision_label: Label that tells old pods from new ones in a rollout, where both are there at a time: else
            the new ones would be spread around the old ones, and stay uneven when those are gone.
    """
    soft = [_constraint(HOST_KEY, "ScheduleAnyway", selector)]
    if not topology.spread_across_zones:
        return soft
    if not topology.strict:
        return [*(_constraint(key, "ScheduleAnyway", selector) for key in _zone_keys(topology)), *soft]
    # A zone whose nodes are all tainted (unreachable, cordoned) would count as an empty one, and hold pods back.
    strict = {**_constraint(topology.topology_key, "DoNotSchedule", selector), "nodeTaintsPolicy": "Honor"}
    if revision_label is not None:
        strict["matchLabelKeys"] = [revision_label]
    return [strict, *soft] if topology.topology_key != HOST_KEY else [strict]


def _constraint(key: str, action: str, selector: Mapping[str, str]) -> dict[str, Any]:
    return {
        "maxSkew": 1,
        "topologyKey": key,
        "whenUnsatisfiable": action,
        "labelSelector": {"matchLabels": dict(selector)},
    }
