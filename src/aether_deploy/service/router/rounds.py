"""Probing all regions, round after round, each at its own pace: a slow one holds up nobody."""

import asyncio
import hashlib
from collections.abc import Callable, Mapping

from aether_deploy.routing.policy import HealthPolicy
from aether_deploy.routing.router_config import RouterConfig
from aether_deploy.routing.tracking.health import SPREAD
from aether_deploy.service.router.probing import Probed, Prober, Target, target_of

Report = Callable[[str, Probed], None]
Course = tuple[Target, HealthPolicy]


class Rounds:
    """The probes of a router. Of one region never more than one is under way."""

    def __init__(self, prober: Prober, report: Report, failed: Callable[[BaseException], None]) -> None:
        """Begin with nothing to probe.

        Args:
            prober: Asks.
            report: Is told what each probe of a region brought.
            failed: Is told where a round ended by a mistake of ours.
        """
        self._prober, self._report, self._failed = prober, report, failed
        self._running: dict[str, tuple[Course, asyncio.Task[None]]] = {}

    def follow(self, wanted: Mapping[str, Course]) -> None:
        """Probe regions by these courses; one that is as it was goes on undisturbed."""
        for code in [code for code, (course, _) in self._running.items() if wanted.get(code) != course]:
            self._running.pop(code)[1].cancel()
        for code, course in wanted.items():
            if code not in self._running:
                task = asyncio.create_task(self._go_on(code, course), name=f"probe {code}")
                task.add_done_callback(self._over)
                self._running[code] = course, task

    def stop(self) -> None:
        """End all rounds."""
        for _, task in self._running.values():
            task.cancel()
        self._running = {}

    async def _go_on(self, code: str, course: Course) -> None:
        target, health = course
        loop, number = asyncio.get_running_loop(), 0
        while True:
            began = loop.time()
            self._report(code, await self._prober.probe(target, within_secs=health.timeout_ms / 1000))
            number += 1
            pause = health.interval_ms / 1000 * spread(code, number)
            await asyncio.sleep(max(0.0, began + pause - loop.time()))

    def _over(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failed(error)


def courses_of(config: RouterConfig) -> dict[str, Course]:
    """Return what a configuration says to ask, and when, by region."""
    return {
        region.code: (target_of(region.probe, region.server_name), config.health)
        for region in config.regions
        if region.probe is not None
    }


def spread(code: str, number: int) -> float:
    """Return by what a region's pause is multiplied after its probe of that number: 0.9 to 1.1, so that probes of
    several regions and routers do not keep in step. No chance: it is a hash.

    Rule:
        R8: the interval varies by a tenth.
    """
    digest = hashlib.blake2b(f"{code}\0{number}".encode(), digest_size=8).digest()
    return 1 - SPREAD + 2 * SPREAD * int.from_bytes(digest, "big") / 2**64
