"""The section ``routing``: the rules, who answers for a region's health, and what sends players there."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Annotated, Any, Literal

import msgspec

from aether_deploy.config.base import FILLED, Fault, rule
from aether_deploy.config.marks import Keyed, Partial, Tagged
from aether_deploy.config.types import HOST_NAME, DnsLabel, HttpPath, PortName, ServiceName
from aether_deploy.fleet.config import DeploymentConfig
from aether_deploy.routing.limits import RoutingLimits
from aether_deploy.routing.policy import HealthPolicy, RoutingPolicy
from aether_deploy.routing.router_config import Drain, ProbeAddress, probe_faults
from aether_deploy.traffic.backend import BackendConfig, UnreadBackend
from aether_deploy.traffic.registry import backend_types

ROUTER = "router"
"""Name of the router's workload."""
_SECRETS = {"admin-token": "--admin-token-file", "signing-key": "--signing-key-file"}
Backend = Annotated[Any, Tagged("kind", backend_types, UnreadBackend.of)]
RouterService = Annotated[Any, Partial(of=DeploymentConfig, overlay=False, checked=())]


_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
PlayersName = Annotated[
    str,
    msgspec.structs.replace(
        HOST_NAME,
        what="a host name for players",
        pattern=rf"{_LABEL}(\.{_LABEL})+",
        max_length=189,  # beside a region's code a name of DNS has 253
        fix="write it like play.example.com: in lower case, of two parts or more, without {region} (each region's own "
        "name is {region}.<hostname>), scheme, port, path and closing dot",
    ),
]


def secrets_of_router(service: Mapping[str, Any]) -> Iterator[tuple[str, int, Mapping[str, Any]]]:
    """Yield each of a router's secret files that it reads itself, with the option for it and its place."""
    files = service.get("secret_files")
    for place, each in enumerate(files if isinstance(files, (list, tuple)) else ()):
        name = each.get("name") if isinstance(each, Mapping) and each.get("enabled") is not False else None
        if isinstance(name, str) and name in _SECRETS:
            yield _SECRETS[name], place, each


class HealthConfig(HealthPolicy):
    """When a region counts as healthy, and what its entry is asked for that.

    Attributes:
        port: Name of the entry's port that answers; it must be exposed. Left out, the first exposed TCP port.
        path: HTTP path that is asked.
        scheme: How it is asked; left out, ``https`` where the port's name begins so, else ``http``. ``tcp`` only
            connects.
    """

    port: PortName | None = None
    path: HttpPath = "/readyz"
    scheme: Literal["http", "https", "tcp"] | None = None

    @rule
    def the_path_can_be_asked(self) -> Iterator[Fault]:
        if "#" in self.path or not (self.path.isascii() and self.path.isprintable()):
            yield Fault(("path",), "holds what no request can", "write it in ASCII, without '#'", self.path)


class RoutingConfig(RoutingPolicy, dict=True):
    """How players reach the closest healthy region.

    Attributes:
        entry: The service that players reach first: a region is healthy while it answers its probe there.
        hostname: What players dial. Each region is ``{region}.<hostname>``, unless the entry has an ``endpoint``.
        health: How regions are asked.
        self_check: What the router asks to tell whether its own network works: a URL of http, https or tcp outside of
            all regions. While that is silent, and answered before, regions that are silent together stay as they were.
        drain: Regions that are being emptied: ``soft`` takes nobody but those who return to their session, and new
            players only where no other region is left; ``hard`` takes nobody.
        service: The router, a workload named ``router`` in every region: its image, and whatever a service may say
            besides. Its ``secret_files`` named ``admin-token`` and ``signing-key`` are what ``router serve`` takes as
            ``--admin-token-file`` and ``--signing-key-file``.
        backends: What else sends players to regions; ``kind`` picks the type of each.
        limits: What ``routing whatif`` holds the platform to.
    """

    entry: ServiceName | None = None
    hostname: PlayersName | None = None
    health: HealthConfig = FILLED
    self_check: ProbeAddress | None = None
    drain: dict[DnsLabel, Drain] = {}
    service: RouterService | None = None
    backends: Annotated[Sequence[Backend], Keyed("name")] = ()
    limits: RoutingLimits | None = None

    @cached_property
    def sound_backends(self) -> tuple[BackendConfig, ...]:
        """The back ends that are switched on and have no faults of their own."""
        read = (each for each in self.backends if each.enabled and isinstance(each, BackendConfig))
        return tuple(each for each in read if not any(said.severity == "error" for said in each.problems()))

    @classmethod
    def fill(cls, given: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"health": {}, **given}

    @rule
    def somebody_answers_for_a_region(self) -> Iterator[Fault]:
        if self.entry is None and (self.service is not None or self.backends):
            asks = "service asks it" if self.service is not None else "backends ask it"
            fix = f"name the service whose probe says whether a region is healthy: {asks}"
            yield Fault((), "lacks 'entry'", fix)

    @rule
    def the_self_check_can_be_asked(self) -> Iterator[Fault]:
        yield from probe_faults(("self_check",), self.self_check)

    @rule
    def the_router_has_one_name(self) -> Iterator[Fault]:
        said = self.service if isinstance(self.service, Mapping) else {}
        for name in ("name", "regions", "per_region", "enabled"):
            if name in said:
                says = {"name": f"the router is named '{ROUTER}'", "enabled": "leave service out instead"}
                yield Fault(("service", name), says.get(name, "the router runs in every region"), "remove it")

    @rule
    def the_router_reads_files(self) -> Iterator[Fault]:
        said = self.service if isinstance(self.service, Mapping) else {}
        for option, place, each in () if "args" in said else secrets_of_router(said):
            if each.get("key") is None:
                reason = f"lacks 'key', so its path is a folder, and the router reads a file ({option})"
                yield Fault(("service", "secret_files", place), reason, "name the key of the Secret that holds it")
