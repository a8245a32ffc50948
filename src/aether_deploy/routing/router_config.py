"""All that a router is told: the regions it may send players to, how it asks them, and the rules."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

from aether_deploy.config.base import FILLED, Config, Fault, rule
from aether_deploy.config.marks import Keyed, TextRule
from aether_deploy.config.types import Count, DnsLabel, Latitude, Longitude, PositiveCount
from aether_deploy.routing.policy import HealthPolicy, RoutingPolicy

ProbeAddress = Annotated[
    str,
    TextRule(
        what="an address to probe",
        pattern=r"(https?://[^\s/?#]+(/[^\s#]*)?|tcp://[^\s/?#]+:[0-9]+)",
        fix="write http://host:port/path, https://host:port/path or tcp://host:port",
    ),
]


class RouterPosition(Config):
    """Where a region is.

    Attributes:
        lat: Latitude, degrees north.
        lon: Longitude, degrees east.
    """

    lat: Latitude
    lon: Longitude


class RouterRegion(Config):
    """One region that a router may send players to.

    Attributes:
        code: Its code.
        latency_ms: Static round trip, milliseconds.
        location: Where it is.
        capacity_players: Players that it takes, until a report of its load says otherwise.
        probe: What is asked whether it is healthy; left out, nobody asks, and it is always healthy.
        server_name: Name that its certificate is for, and that the probe says it wants; left out, the probe's host.
        address: Where players are sent, in answers.
    """

    code: DnsLabel
    latency_ms: Count | None = None
    location: RouterPosition | None = None
    capacity_players: PositiveCount | None = None
    probe: ProbeAddress | None = None
    server_name: str | None = None
    address: str | None = None


class RouterLink(Config):
    """The network between two regions.

    Attributes:
        between: The two regions' codes, in any order.
        latency_ms: Round trip, milliseconds.
    """

    between: Sequence[DnsLabel]
    latency_ms: PositiveCount


class RouterConfig(RoutingPolicy):
    """A router's whole configuration, as it is rendered beside its pods and served from.

    Attributes:
        regions: The regions, in the order that breaks ties.
        links: The latency matrix.
        health: How regions are asked.
    """

    regions: Annotated[Sequence[RouterRegion], Keyed("code")]
    links: Annotated[Sequence[RouterLink], Keyed("between", pair=True)] = ()
    health: HealthPolicy = FILLED

    @classmethod
    def fill(cls, given: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"health": {}, **given}

    @rule
    def there_is_a_region(self) -> Iterator[Fault]:
        if not self.regions:
            yield Fault(("regions",), "no region takes players", "list at least one region")
