"""All that a router is told: the regions it may send players to, how it asks them, and the rules."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

from aether_deploy.config.base import FILLED, Config, Fault, rule
from aether_deploy.config.marks import Keyed, TextRule
from aether_deploy.config.types import Count, DnsLabel, Latitude, Longitude, PositiveCount
from aether_deploy.patterns import Pattern
from aether_deploy.problems import suggestion
from aether_deploy.routing.policy import HealthPolicy, RoutingPolicy
from aether_deploy.routing.probe_target import target_of

Drain = Literal["soft", "hard"]
"""How a region drains: ``soft`` takes nobody but those who return to their session, and new players only where no
other region is left; ``hard`` takes nobody."""

ProbeAddress = Annotated[
    str,
    TextRule(
        what="an address to probe",
        pattern=r"(https?://[^\s/?#]+(/[^\s#]*)?|tcp://[^\s/?#]+:[0-9]+)",
        fix="write http://host:port/path, https://host:port/path or tcp://host:port",
    ),
]


NO_SUCH_REGION = "no region has that code"
_HOST_NAME = Pattern(r"[A-Za-z0-9._:-]{1,255}")


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

    @rule
    def it_can_be_asked(self) -> Iterator[Fault]:
        yield from probe_faults(("probe",), self.probe)
        if self.server_name is not None and not _HOST_NAME.fullmatch(self.server_name):
            yield Fault(
                ("server_name",), "no name that a certificate can be for", "write a host name", self.server_name
            )


class RouterLink(Config):
    """The network between two regions.

    Attributes:
        between: The two regions' codes, in any order.
        latency_ms: Round trip, milliseconds.
    """

    between: Sequence[DnsLabel]
    latency_ms: PositiveCount

    @rule
    def it_joins_two_regions(self) -> Iterator[Fault]:
        if len(set(self.between)) != 2 or len(self.between) != 2:
            yield Fault(("between",), "not two different regions", "name two regions: [a, b]", self.between)


class RouterHome(Config):
    """A region that players may prefer, and that takes nobody: no entry runs there.

    Attributes:
        code: Its code.
        location: Where it is.
    """

    code: DnsLabel
    location: RouterPosition | None = None


class RouterConfig(RoutingPolicy):
    """A router's whole configuration, as it is rendered beside its pods and served from.

    Attributes:
        regions: The regions, in the order that breaks ties.
        links: The latency matrix.
        homes: Where else players are at home. They are sent to the closest region by its ``links``, or its place.
        health: When regions are healthy.
        self_check: What the router asks to tell whether its own network works, outside of all regions: while that is
            silent, and answered before, regions that are silent together stay as they were.
        drain: Regions that are being emptied, and how, whatever orders say; a stricter order counts.
    """

    regions: Annotated[Sequence[RouterRegion], Keyed("code")]
    links: Annotated[Sequence[RouterLink], Keyed("between", pair=True)] = ()
    homes: Annotated[Sequence[RouterHome], Keyed("code")] = ()
    health: HealthPolicy = FILLED
    self_check: ProbeAddress | None = None
    drain: dict[DnsLabel, Drain] = {}

    @classmethod
    def fill(cls, given: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"health": {}, **given}

    @property
    def codes(self) -> tuple[str, ...]:
        """Codes of the regions."""
        return tuple(region.code for region in self.regions)

    @rule
    def there_is_a_region(self) -> Iterator[Fault]:
        if not self.regions:
            yield Fault(("regions",), "no region takes players", "list at least one region")

    @rule
    def links_join_regions(self) -> Iterator[Fault]:
        known = (*self.codes, *(home.code for home in self.homes))
        for place, link in enumerate(self.links):
            for number, code in enumerate(link.between):
                if code not in known:
                    yield _unknown(("links", place, "between", number), code, known)

    @rule
    def homes_take_nobody(self) -> Iterator[Fault]:
        for place, home in enumerate(self.homes):
            if home.code in self.codes:
                yield Fault(("homes", place, "code"), "a region that takes players", "name it once", home.code)

    @rule
    def residency_names_regions(self) -> Iterator[Fault]:
        for place, each in enumerate(self.residency):
            for number, code in enumerate(each.regions):
                if code not in self.codes:
                    yield _unknown(("residency", place, "regions", number), code, self.codes)

    @rule
    def drains_name_regions(self) -> Iterator[Fault]:
        for code in self.drain:
            if code not in self.codes:
                fix = suggestion(code, self.codes, f"known are {', '.join(self.codes)}")
                yield Fault(("drain", code), NO_SUCH_REGION, fix, key=code)

    @rule
    def the_self_check_can_be_asked(self) -> Iterator[Fault]:
        yield from probe_faults(("self_check",), self.self_check)


def probe_faults(at: tuple[str | int, ...], url: str | None) -> Iterator[Fault]:
    """Yield why a URL cannot be asked; nothing where it can, or there is none."""
    if url is None:
        return
    fix = "write it like https://host:443/readyz or tcp://host:7777"
    try:
        target = target_of(url)
    except ValueError as error:
        yield Fault(at, f"cannot be asked: {error}", fix, url)
        return
    if not (_HOST_NAME.fullmatch(target.host) and target.path.isascii() and target.path.isprintable()):
        yield Fault(at, "holds what no request can", fix, url)


def _unknown(at: tuple[str | int, ...], code: str, codes: Sequence[str]) -> Fault:
    return Fault(at, NO_SUCH_REGION, suggestion(code, codes, f"known are {', '.join(codes)}"), code)
