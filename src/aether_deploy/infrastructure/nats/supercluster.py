"""Who the servers of a component are: one NATS cluster for each region, and one for a witness."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

from aether_deploy.infrastructure.estate import Datacenter, Estate, EstateRegion

if TYPE_CHECKING:
    from aether_deploy.infrastructure.kinds.nats import NatsConfig


class Server(msgspec.Struct, frozen=True):
    """One server.

    Attributes:
        pod: Name of its pod, which is its name in the whole supercluster: datacenters have names of their own.
        stateful_set: Name of its StatefulSet.
        cluster: Name of its NATS cluster: its region's code, or the name of the witness.
        datacenter: Where it runs.
    """

    pod: str
    stateful_set: str
    cluster: str
    datacenter: Datacenter

    @property
    def tags(self) -> tuple[str, str]:
        """What placement finds it by; the tag ``zone:`` is the one that ``unique_tag`` names."""
        return f"region:{self.cluster}", f"zone:{self.datacenter.zone}"


def stateful_set_name(component: str, datacenter: str) -> str:
    return f"{component}-{datacenter}"


def placed_regions(config: "NatsConfig", estate: Estate) -> tuple[EstateRegion, ...]:
    """Return the regions that hold data, in file order."""
    placed = config.placed_in(estate)
    return tuple(region for region in estate.regions if region.code in placed)


def datacenters_of(config: "NatsConfig", estate: Estate) -> Iterator[tuple[str, Datacenter, int]]:
    """Yield each datacenter that has servers, with the NATS cluster that it belongs to and how many it has."""
    for region in placed_regions(config, estate):
        for datacenter in region.full:
            yield region.code, datacenter, config.servers_per_zone
    for witness in config.witnesses(estate):
        yield witness.name, witness, 1


def servers_of(config: "NatsConfig", estate: Estate) -> tuple[Server, ...]:
    """Return every server of the supercluster, the witness last."""
    return tuple(
        Server(f"{name}-{ordinal}", name, cluster, datacenter)
        for cluster, datacenter, count in datacenters_of(config, estate)
        for name in (stateful_set_name(config.name, datacenter.name),)
        for ordinal in range(count)
    )
