"""What all back ends have in common: the land that they send players through, and what they give for it."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

import msgspec

from aether_deploy.config.base import Config, Fault
from aether_deploy.config.types import ServiceName
from aether_deploy.routing.policy import LATENCY_SOURCES, HealthPolicy, RoutingPolicy
from aether_deploy.routing.probe_target import authority_of
from aether_deploy.routing.router_config import Drain
from aether_deploy.routing.tracking.health import Scheme
from aether_deploy.routing.waits import Wait

Port = tuple[str, int, str]
"""A port: name, number, protocol."""
SOURCES = "latency.sources: which, and in which order"
Check = tuple[str | None, int, str]
"""What tells whether a workload is ready: path, port, and the type of the question (``http``, ``tcp`` …)."""


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """One workload that players are sent to.

    Attributes:
        name: Its name, which is that of its Service in every region that runs it.
        ports: Its ports.
        exposed: Names of those that the outside reaches.
        regions: Codes of the regions that run it.
        addresses: Host name at which the outside reaches it, by region; a region may lack one.
        readiness: What the kubelet asks it; None where nothing is asked.
        sound: It has no faults of its own; else what it lacks here may be among them, and is told there.
    """

    name: str
    ports: tuple[Port, ...]
    exposed: frozenset[str] = frozenset()
    regions: frozenset[str] = frozenset()
    addresses: Mapping[str, str] = {}
    readiness: Check | None = None
    sound: bool = True

    def port(self, name: str) -> Port | None:
        """Return the port of that name; None where there is none."""
        return next((each for each in self.ports if each[0] == name), None)


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What tells whether a region takes sessions. The router and Envoy ask the entry the same one.

    Attributes:
        port: The port that is asked.
        scheme: ``tcp`` only connects.
        path: What is asked for; None with ``tcp``.
        server_name: Name that is asked for in every region; None is each region's own.
        verified: With ``https``: the certificate must be one that a player would take, for that name.
    """

    port: Port
    scheme: Scheme
    path: str | None = None
    server_name: str | None = None
    verified: bool = False

    def authority(self, name: str) -> str:
        """Return the ``Host`` of the question to ``name``."""
        return authority_of(self.scheme, self.server_name or name, self.port[1])


class Landscape(msgspec.Struct, frozen=True, kw_only=True):
    """All that a back end knows of the platform around it.

    Attributes:
        system: The platform's name.
        namespace: Namespace of the workloads, the same in every cluster.
        regions: Codes of the regions, in file order.
        order: For each region those that its players go to, as the router decides while one after the other fails:
            it first, then by latency; file order breaks ties. Regions under a soft drain come last, under a hard one
            never.
        last_resort: For each region the same without soft drains, which hold nobody back where no region is healthy.
        providers: Who provides each region; None where nobody said.
        hostname: Name that players ask for; each region has its own below it.
        entry: The workload whose health is the region's.
        health: When it counts as healthy.
        question: What it is asked for that; None where it exposes nothing that can be asked.
        targets: The workloads that back ends name, by name.
        policy: The rules of routing.
        drain: Regions that are being emptied, and how.
        edges: Names of other back ends whose pods the outside reaches.
    """

    system: str
    namespace: str
    regions: tuple[str, ...]
    order: Mapping[str, tuple[str, ...]]
    last_resort: Mapping[str, tuple[str, ...]] = {}
    providers: Mapping[str, str | None] = {}
    hostname: str | None = None
    entry: Target
    health: HealthPolicy
    question: Question | None = None
    targets: Mapping[str, Target] = {}
    policy: RoutingPolicy
    drain: Mapping[str, Drain] = {}
    edges: frozenset[str] = frozenset()

    def target(self, name: str) -> Target | None:
        """Return the workload of that name, the entry included; None where there is none."""
        return self.entry if name == self.entry.name else self.targets.get(name)


def region_name(workload: str, region: str, *, entry: str | None, hostname: str | None) -> str | None:
    """Return the name at which a workload of one region is reached below the platform's own: the entry at
    ``<region>.<hostname>``, any other at ``<workload>.<region>.<hostname>``; None without a host name."""
    if hostname is None:
        return None
    return f"{region}.{hostname}" if workload == entry else f"{workload}.{region}.{hostname}"


class UnreadBackend(msgspec.Struct, frozen=True):
    """A back end with faults of its own: its name is known, so that others can be judged."""

    name: str
    enabled: bool = True

    @classmethod
    def of(cls, raw: object) -> "UnreadBackend":
        """Return what stands for a value that could not be read."""
        name = raw.get("name") if isinstance(raw, Mapping) else getattr(raw, "name", None)
        enabled = raw.get("enabled") if isinstance(raw, Mapping) else True
        return cls(name if isinstance(name, str) else "", enabled=enabled is not False)


class BackendConfig(Config):
    """One back end: the fields that every kind has.

    Attributes:
        name: Its name; workloads, components and back ends share one space of names.
        enabled: false renders nothing, but keeps the name known.
    """

    KIND_NAME: ClassVar[str]
    """The kind's word: ``envoy``. Every kind has a field ``kind: Literal[<that word>] = FILLED``."""

    EXAMPLES: ClassVar[Mapping[str, Mapping[str, Any]]]
    """Back ends of the kind as a file has them, by what each shows."""

    EXPRESSES: ClassVar[frozenset[str]] = frozenset()
    """The words of :func:`rules_in_use` that the kind can keep."""

    NAMES_WORKLOADS: ClassVar[bool] = False
    """Whether the kind makes a host name for every workload that is exposed: see :func:`region_name`."""

    ASKS: ClassVar[bool] = False
    """Whether the kind asks regions by ``routing.health`` how they are."""

    PROVISO: ClassVar[str] = ""
    """Which players it leads elsewhere, where that is not all who use it."""

    name: ServiceName
    enabled: bool = True

    @classmethod
    def fill(cls, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return what is given and the defaults of the kind beneath it."""
        return {"kind": cls.KIND_NAME, **given}

    @property
    def target_names(self) -> frozenset[str]:
        """Names of the workloads that it sends players to, beside the entry."""
        return frozenset()

    def faults(self, landscape: Landscape) -> Iterator[Fault]:
        """Yield what is wrong with it on this land, errors and warnings; steps begin at the back end.

        The rules of routing that the kind cannot keep are one warning that lists them.
        """
        if lost := [each for each in rules_in_use(landscape) if each not in self.EXPRESSES]:
            reason = f"cannot keep these rules of routing: {', '.join(lost)}"
            fix = "let those players who need them ask the router (routing.service), or leave the rules out"
            yield Fault((), reason, fix, severity="warning")

    def leads_to_what_is_sound(self, landscape: Landscape) -> bool:
        """Return whether what it leads to has no faults that are told elsewhere, and that :meth:`faults` leaves out."""
        return True

    def workload(self, landscape: Landscape, region: str) -> Mapping[str, Any] | None:
        """Return its pods in one region's cluster as an entry of ``services``, without name; None without pods."""
        return None

    def waits(self, landscape: Landscape) -> tuple[Wait, ...]:
        """Return what passes, at most, from the moment a region is silent until it leads players elsewhere."""
        return ()

    def outside(self, landscape: Landscape, region: str) -> tuple[Port, ...]:
        """Return what its pods dial outside of the cluster, each once."""
        return ()

    def render(self, landscape: Landscape, region: str) -> list[dict[str, Any]]:
        """Return its further objects in one region's cluster, in any order. Equal input gives equal objects."""
        return []

    def annotations(self, landscape: Landscape, region: str, workload: str) -> Mapping[str, str]:
        """Return the annotations that the Service ``<workload>-external`` of one region needs for it."""
        return {}


def rules_in_use(landscape: Landscape) -> Iterable[str]:
    """Yield the rules beyond "the preferred region, else the closest healthy one" that a land asks for, as it names
    them. Unhealthy regions and those of an unknown name count: what a back end does then differs."""
    policy = landscape.policy
    yield f"on_none_healthy: {policy.on_none_healthy}"
    if latency := policy.latency:
        if "measured" in latency.sources:
            yield "latency.sources: measured"
        if "great_circle" in latency.sources:
            yield "latency.sources: great_circle from players' positions"
        if tuple(latency.sources) != LATENCY_SOURCES:
            yield SOURCES
        if latency.max_ms is not None:
            yield "latency.max_ms"
        if latency.tie_ms:
            yield "latency.tie_ms"
    if policy.damping:
        yield "damping"
    if policy.failback and policy.failback.ramp_secs:
        yield "failback.ramp_secs"
    if policy.failback and policy.failback.hold_secs:
        yield "failback.hold_secs"
    if policy.load:
        yield "load"
    if policy.sticky:
        yield "sticky"
    if policy.residency:
        yield "residency"
    yield from sorted({f"drain: {mode}" for mode in landscape.drain.values()})
