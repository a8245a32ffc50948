"""Where each copy of each shard is: the plan that no node and no scheduler makes by itself.

Copy ``c`` of shard ``i`` is in zone ``i + c`` of its region, counted round; copy 0 is the one that is to be primary. So
the copies of a shard never share a zone while there are zones enough, and primaries are spread as evenly as can be.
"""

from collections import defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING

import msgspec

from aether_deploy.infrastructure.estate import Datacenter, Estate, EstateRegion

if TYPE_CHECKING:
    from aether_deploy.infrastructure.kinds.valkey import ValkeyConfig

SLOTS = 16384
"""Hash slots of every cluster (Valkey cluster specification, "Key distribution model")."""


class Node(msgspec.Struct, frozen=True):
    """One node.

    Attributes:
        pod: Name of its pod.
        stateful_set: Name of its StatefulSet.
        datacenter: Where it runs.
        shard: The shard that it keeps a copy of.
        copy: Which copy: 0 is to be primary, the others are to be replicas.
    """

    pod: str
    stateful_set: str
    datacenter: Datacenter
    shard: int
    copy: int


def slot_ranges(shards: int) -> tuple[tuple[int, int], ...]:
    """Return the first and last slot of each shard, as even as whole numbers allow.

    Bounds are rounded as ``valkey-cli --cluster create`` rounds them: three shards begin at 0, 5461 and 10923.
    """
    # Twice the bound plus one, halved: rounded to the nearest, and a half upwards.
    bounds = [(2 * SLOTS * place + shards) // (2 * shards) for place in range(shards + 1)]
    return tuple((first, following - 1) for first, following in pairwise(bounds))


def stateful_set_name(component: str, datacenter: str) -> str:
    return f"{component}-{datacenter}"


def placed_regions(config: "ValkeyConfig", estate: Estate) -> tuple[EstateRegion, ...]:
    """Return the regions with a cluster, in file order."""
    placed = config.placed_in(estate)
    return tuple(region for region in estate.regions if region.code in placed)


def nodes_of(config: "ValkeyConfig", region: EstateRegion) -> tuple[Node, ...]:
    """Return the nodes of a region's cluster by shard and copy; none where no datacenter of it holds data.

    A further copy of every shard gives each StatefulSet further pods and leaves those that there are what they are.
    """
    zones = region.zones
    homes = {zone: [each for each in region.full if each.zone == zone] for zone in zones}
    taken: dict[str, int] = defaultdict(int)
    pods: dict[str, int] = defaultdict(int)
    found = []
    for copy in range(config.replicas + 1 if zones else 0):
        for shard in range(config.shards):
            zone = zones[(shard + copy) % len(zones)]
            home = homes[zone][taken[zone] % len(homes[zone])]
            taken[zone] += 1
            name = stateful_set_name(config.name, home.name)
            found.append(Node(f"{name}-{pods[name]}", name, home, shard, copy))
            pods[name] += 1
    return tuple(sorted(found, key=lambda each: (each.shard, each.copy)))


def host_of(config: "ValkeyConfig", estate: Estate, pod: str) -> str:
    """Return the host name of a node inside its Kubernetes cluster: what it announces, and where it is found."""
    return f"{pod}.{config.name}-headless.{estate.data_namespace}.svc"
