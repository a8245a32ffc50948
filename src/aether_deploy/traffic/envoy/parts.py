"""The parts of an Envoy's settings."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from aether_deploy.config.base import FILLED, Config, Fault, rule
from aether_deploy.config.marks import WholeRule
from aether_deploy.config.types import HttpPath, PortName, PortNumber, PositiveSeconds, Seconds, ServiceName

ADMIN_PORT = 9901
OPS_PORT = 9902
Protocol = Literal["UDP", "TCP", "HTTP"]
Sessions = Annotated[int, WholeRule(ge=1, le=1_000_000)]


class ListenerCheckConfig(Config):
    """How Envoy asks whether one region's workload takes sessions, where its readiness probe does not say it.

    Attributes:
        port: Name of the port that is asked, of protocol TCP.
        path: HTTP path that is asked; left out, it only connects.
        scheme: How the path is asked.
    """

    port: PortName
    path: HttpPath | None = None
    scheme: Literal["http", "https"] = "http"


class ListenerConfig(Config):
    """One port at which players arrive, and the workload that they are sent to.

    Attributes:
        name: The port's name.
        port: Its number, from 1024 on.
        protocol: ``UDP`` and ``TCP`` pass through; ``HTTP`` is understood, so that a request which no server has seen
            yet can go to the next region.
        to: Name of the workload, in every region that runs it.
        to_port: Name of the workload's port; left out, the port with the listener's name, else the only one that is
            exposed and of the same transport.
        check: How its health is asked; left out, as its readiness probe says, and for the entry as ``routing.health``.
        idle_secs: A session without traffic ends after this time, seconds; left out 60 with UDP, else 3600. A stream
            over WebSocket counts as traffic only while something is sent.
        sessions: Sessions that one pod keeps at most, for all of its players; further ones are refused.
        on_unhealthy: Connections to a region that turns unhealthy: ``close`` them, so that clients come again and
            reach the next region, or ``keep`` them. Sessions over UDP always move on with their next datagram.
        response_secs: HTTP: longest time for a whole answer, seconds; 0 is any. A WebSocket may last longer.
    """

    name: PortName
    port: PortNumber
    protocol: Protocol = "TCP"
    to: ServiceName
    to_port: PortName | None = None
    check: ListenerCheckConfig | None = None
    idle_secs: PositiveSeconds = FILLED
    sessions: Sessions = 20_000
    on_unhealthy: Literal["close", "keep"] = "close"
    response_secs: Seconds = 15

    @classmethod
    def fill(cls, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return what is given, with the idle time of its protocol beneath it."""
        return {"idle_secs": 60 if given.get("protocol") == "UDP" else 3600, **given}

    @property
    def transport(self) -> Literal["UDP", "TCP"]:
        """What the listener's port and the workload's port speak."""
        return "UDP" if self.protocol == "UDP" else "TCP"

    @rule
    def the_port_can_be_opened(self) -> Iterator[Fault]:
        if self.port < 1024:
            reason = "below 1024, which a process without rights cannot open"
            yield Fault(("port",), reason, "use 1024 or more", self.port)
        if self.port in (ADMIN_PORT, OPS_PORT) and self.transport == "TCP":
            yield Fault(("port",), "taken by Envoy's own metrics and readiness", "use another port", self.port)

    @rule
    def datagrams_move(self) -> Iterator[Fault]:
        if self.protocol == "UDP" and self.on_unhealthy == "keep":
            reason = "not possible with UDP: Envoy sends the next datagram to a healthy region"
            yield Fault(("on_unhealthy",), reason, "leave it out", "keep")
