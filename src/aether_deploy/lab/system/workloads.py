"""What is said of members that ``analyze`` does not speak of: the router, its edges, worlds and services.

Of a workload it is what placement says: its pods in other zones go on, and a region without any is gone. Of those that
lead players it is what the health checks of routing say: how long, at most, until all of them know that a region is
silent.
"""

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from aether_deploy.lab.system.parts import Part
from aether_deploy.lab.system.record import LabProcess, Predicted
from aether_deploy.platform.routing import routing_of
from aether_deploy.platform.routing_config import ROUTER
from aether_deploy.routing.waits import router_path
from aether_deploy.traffic.envoy.routes import stops
from aether_deploy.traffic.kinds.envoy import EnvoyConfig

if TYPE_CHECKING:
    from aether_deploy.platform.config import Platform

_PLACED = "its pods in other zones answer (Service; placement)"
_GONE = "all of its pods in the region are gone until their zones are back (placement)"
_ALONE = "a world is one pod: its players wait for it (StatefulSet)"
_NEAR = "players are led by what runs in their own region (routing)"

Processes = Sequence[LabProcess]


class Leading(NamedTuple):
    """Who leads players: how long, at most, until a silent region is left out, seconds, and why; and whither first.

    Attributes:
        secs: How long.
        why: Why.
        backend: The back end; None for the router.
    """

    secs: float
    why: str
    backend: EnvoyConfig | None = None


class WorkloadRules:
    """Answers for the workloads of one platform."""

    def __init__(self, platform: "Platform") -> None:
        """Look at a platform without faults."""
        self._platform = platform

    @cached_property
    def _leading(self) -> dict[str, Leading]:
        return dict(self._leaders())

    def _leaders(self) -> Iterator[tuple[str, Leading]]:
        routing, landscape = routing_of(self._platform), self._platform.landscape
        if routing is None or landscape is None:
            return
        if routing.service is not None:
            way = router_path(landscape.health)
            yield ROUTER, Leading(way.secs, way.waits[0].what)
        for each in routing.sound_backends:
            if isinstance(each, EnvoyConfig):
                waits = each.waits(landscape)
                yield each.name, Leading(sum(it.secs for it in waits), ", ".join(it.what for it in waits), each)

    def clock_secs(self, part: Part) -> float:
        """Return how long, at most, players are led to what is silent, seconds; 0 for what leads none."""
        leading = self._leading.get(part.member)
        return 0.0 if leading is None else leading.secs

    def of(self, part: Part, hit: Processes, processes: Processes, *, cut: frozenset[str] = frozenset()) -> Predicted:
        """Return what becomes of one part of a workload.

        Args:
            part: The part; its region is that of the players, or of the pods.
            hit: The processes that a fault ends or stops.
            processes: All processes as they were before.
            cut: Two regions that are cut apart.
        """
        gone = {each.address for each in hit}
        gone |= {each.address for each in processes if each.state != "running"}
        here = [each for each in processes if each.member == part.member and part.region in (None, each.region)]
        left = [each for each in here if each.address not in gone]
        leading = self._leading.get(part.member)
        if leading is not None and ((here and not left) or _is_gone(part.region, processes, gone)):
            return _led(leading)  # they ask what leads players in another region
        if leading is not None and leading.backend is None:
            return Predicted(rules=(_NEAR,))
        if here and not left:
            return Predicted(outcome="down", readable=False, rules=(_GONE,))
        alone = [each for each in here if part.part and part.part in each.leads]
        if alone and all(each.address in gone for each in alone):
            return Predicted(outcome="down", readable=False, rules=(_ALONE,))
        if leading is not None and self._is_sent_on(
            leading, part, [each for each in processes if each.address in gone], processes, cut
        ):
            return _led(leading)
        return Predicted(rules=(_PLACED,))

    def _is_sent_on(
        self, leading: Leading, part: Part, gone: Processes, processes: Processes, cut: frozenset[str]
    ) -> bool:
        """Return whether the region that takes a listener's sessions first no longer does."""
        landscape = self._platform.landscape
        listeners = () if leading.backend is None else leading.backend.listeners
        listener = next((each for each in listeners if each.name == part.part), None)
        if landscape is None or listener is None or part.region is None:
            return False
        target = landscape.target(listener.to)
        first = None if target is None else next(iter(stops(landscape, part.region, target)), None)
        if target is None or first is None:
            return False
        whole = [each for each in processes if (each.member, each.region) == (target.name, first.region)]
        return cut == {part.region, first.region} or (bool(whole) and all(each in gone for each in whole))


def _led(leading: Leading) -> Predicted:
    """Return what becomes of players who are led elsewhere."""
    return Predicted(
        outcome="interrupted", readable=False, certain=False, worst_secs=leading.secs,
        note="players are led to another region", rules=(f"{leading.why} (routing.health)",),
    )  # fmt: skip


def _is_gone(region: str | None, processes: Processes, gone: set[str]) -> bool:
    """Return whether nothing runs any more in a region where something did."""
    here = [each for each in processes if each.region == region]
    return bool(here) and all(each.address in gone for each in here)
