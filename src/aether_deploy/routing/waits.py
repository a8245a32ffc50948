"""How long players wait for a new region, part by part, by who leads them there."""

from collections.abc import Sequence

import msgspec

from aether_deploy.routing.policy import HealthPolicy
from aether_deploy.routing.tracking.health import detection_secs

RECONNECT_SECS = 5
"""How long a client is taken to need until it notices that its region is gone, and asks again."""


class Wait(msgspec.Struct, frozen=True, kw_only=True):
    """One part of the time until players arrive.

    Attributes:
        secs: At most so long, seconds.
        what: What takes it.
    """

    secs: float
    what: str


class Path(msgspec.Struct, frozen=True, kw_only=True):
    """How clients learn where to go now, and how long that takes.

    Attributes:
        name: Who tells them.
        waits: The parts, one after the other.
    """

    name: str
    waits: tuple[Wait, ...]

    @property
    def secs(self) -> float:
        """All parts together, seconds."""
        return sum(wait.secs for wait in self.waits)


def router_path(health: HealthPolicy) -> Path:
    """Return how a router leads players elsewhere, from the moment a region is silent."""
    probes = f"{health.fall} probes each {health.interval_ms} ms, and the last one's {health.timeout_ms} ms"
    found = Wait(secs=round(detection_secs(health), 3), what=f"until probes agree: {probes}")
    return Path(name="router", waits=(found,))


def paths_of(ways: Sequence[Path], *, reconnect_secs: int = RECONNECT_SECS) -> tuple[Path, ...]:
    """Return the ways with what the client needs at the end of each until it asks again.

    Args:
        ways: How clients learn where to go; one that takes no time leads nobody.
        reconnect_secs: What a client needs until it asks again, seconds: an assumption about clients.
    """
    again = Wait(secs=float(reconnect_secs), what="until the client asks again, by assumption")
    return tuple(Path(name=way.name, waits=(*way.waits, again)) for way in ways if way.waits)
