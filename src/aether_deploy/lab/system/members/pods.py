"""Members whose every process is one program that can be started again as it was: workloads and edges in a lab."""

import signal
from abc import abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from time import monotonic as now
from time import sleep

import msgspec

from aether_deploy.fleet.config import DeploymentConfig
from aether_deploy.infrastructure.estate import Estate
from aether_deploy.lab.processes import Daemon
from aether_deploy.lab.system.member import Member
from aether_deploy.lab.system.members.standing import PACE_SECS, Standing, address_of
from aether_deploy.lab.system.network import Address, Network, Server, Transport
from aether_deploy.lab.system.record import LabProcess
from aether_deploy.lab.workplace import Workplace
from aether_deploy.platform.config import Platform
from aether_deploy.platform.placing import EntryView

_ROOM_MB = 10
Configs = Mapping[str, DeploymentConfig]
"""A workload as it runs in each region, by the region's code."""


class Seat(msgspec.Struct, frozen=True):
    """Where one process of a workload stands.

    Attributes:
        name: Name of its pod.
        number: Its number within its region.
        region: Code of the region.
        datacenter: Name of the datacenter.
    """

    name: str
    number: int
    region: str
    datacenter: str

    @property
    def address(self) -> str:
        """What is unique among all processes, and a file may be called by."""
        return address_of(self.region, self.name)

    @property
    def file(self) -> str:
        """Name of its files in a folder that all regions share."""
        return f"{self.region}-{self.name}"


class Pod:
    """One process.

    Attributes:
        seat: Where it stands.
        daemon: The program.
        ready: Tells whether it serves.
        leads: What it alone leads.
        ports: Where it listens, by the name of the port.
    """

    def __init__(
        self,
        seat: Seat,
        daemon: Daemon,
        ready: Callable[[], bool],
        *,
        leads: tuple[str, ...] = (),
        ports: Mapping[str, Address] | None = None,
    ) -> None:
        self.seat, self.daemon, self.ready, self.leads = seat, daemon, ready, leads
        self.ports = dict(ports or {})


def configs_of(platform: Platform, view: EntryView) -> Configs:
    """Return a workload as it runs in each of its regions."""
    found = {code: platform.expanded_in(view.at, code).config for code in view.regions}
    return {code: config for code, config in found.items() if config is not None}


def seats_of(estate: Estate, configs: Configs) -> Iterator[Seat]:
    """Yield where processes of a workload stand: one in each zone, as long as it has as many pods."""
    for code, config in configs.items():
        region = estate.region(code)
        places = () if region is None else region.full
        zones = {each.zone: each for each in reversed(places)}
        for number, zone in enumerate(list(dict.fromkeys(each.zone for each in places))[: max(1, config.least_pods)]):
            yield Seat(f"{config.name}-{number}", number, code, zones[zone].name)


class FrontedMember(Member):
    """A member whose processes are the pods behind a Service, one after the other asked."""

    def __init__(self, name: str, estate: Estate) -> None:
        self.name = name
        self._estate = estate
        self._standing = Standing()
        self._frozen_at: dict[str, float] = {}
        self._turn = 0
        self._pods: list[Pod] = []
        self._life = ExitStack()

    def _front(self, network: Network, code: str, port: str, transport: Transport = "TCP") -> None:
        """Open the one address of a region, which leads to each of its pods in turn, as a Service does."""

        def targets() -> Sequence[Address]:
            pods = [pod for pod in self.pods_in(code) if self._takes(pod)]
            self._turn += 1
            turn = self._turn % max(1, len(pods))
            return [pod.ports[port] for pod in (*pods[turn:], *pods[:turn])]

        network.front(Server(self.name, code, port), targets, transport)

    def _takes(self, pod: Pod) -> bool:
        """Whether a Service would lead to a pod: to one that hangs until its readiness probe has failed."""
        if pod.daemon.pid is None:
            return False
        since = self._frozen_at.get(pod.seat.address)
        return since is None or now() - since < self._unnoticed_secs(pod.seat.region)

    @abstractmethod
    def _unnoticed_secs(self, region: str) -> float:
        """Return how long a Service still leads to a pod that hangs, seconds."""

    def _end(self) -> None:
        self._life.close()

    # --- who is there

    def pods_in(self, region: str) -> list[Pod]:
        """Return its processes in one region."""
        return [pod for pod in self._pods if pod.seat.region == region]

    def processes(self) -> Sequence[LabProcess]:
        return [
            LabProcess(
                name=pod.seat.name,
                member=self.name,
                region=pod.seat.region,
                datacenter=pod.seat.datacenter,
                state=self._standing.state_of(pod.seat.address, pod.daemon),
                pid=pod.daemon.pid,
                leads=pod.leads,
            )
            for pod in self._pods
        ]

    def check(self) -> None:
        for pod in self._pods:
            self._standing.check(pod.seat.address, pod.daemon)

    # --- what befalls them

    def _each(self, names: Collection[str]) -> list[Pod]:
        return [pod for pod in self._pods if pod.seat.address in names]

    def kill(self, names: Collection[str]) -> None:
        pods = self._each(names)
        self._standing.end(names)
        for pod in pods:
            pod.daemon.kill()
        for pod in pods:
            pod.daemon.reap()

    def freeze(self, names: Collection[str]) -> None:
        self._standing.freeze(names)
        self._frozen_at |= dict.fromkeys(names, now())
        for pod in self._each(names):
            pod.daemon.signal(signal.SIGSTOP)

    def mend(self, names: Collection[str]) -> None:
        for pod in self._each(names):
            pod.daemon.signal(signal.SIGCONT)
            if pod.daemon.pid is None:
                pod.daemon.start()
                sleep(PACE_SECS)
        self._standing.mend(names)
        for each in names:
            self._frozen_at.pop(each, None)


class PodsMember(FrontedMember):
    """One workload. Its processes start together, and it serves once all of them are ready."""

    READY_SECS = 120.0

    def __init__(self, name: str, configs: Configs, estate: Estate) -> None:
        super().__init__(name, estate)
        self._configs = configs

    @abstractmethod
    def _prepare(self, folder: Path) -> Iterator[Pod]:
        """Yield its processes, none of which runs yet; further things that must end go to ``self._life``."""

    def _boot(self) -> None:
        workplace = Workplace.new(room_mb=_ROOM_MB)
        self._life.callback(workplace.remove)
        self._life.callback(self._end_pods)
        self._pods = list(self._prepare(workplace.folder))
        self._opened()
        for pod in self._pods:
            pod.daemon.start()
        for pod in self._pods:
            pod.daemon.wait_until(pod.ready, self.READY_SECS)

    def _opened(self) -> None:
        """Say where its processes will listen; each has its ports by now."""

    def _end_pods(self) -> None:
        for pod in self._pods:
            pod.daemon.kill()
        for pod in self._pods:
            pod.daemon.reap()

    def _unnoticed_secs(self, region: str) -> float:
        asked = self._configs[region].probes.readiness
        return asked.period_secs * asked.failure_threshold + asked.timeout_secs
