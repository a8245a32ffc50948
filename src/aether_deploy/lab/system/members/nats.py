"""Messaging in a lab: the servers of all regions, and a client for each stream."""

import signal
import sys
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

from aether_deploy.infrastructure.estate import Estate
from aether_deploy.infrastructure.kinds.nats import NatsConfig
from aether_deploy.infrastructure.nats.job import MODULE
from aether_deploy.infrastructure.nats.ports import CLIENT
from aether_deploy.infrastructure.nats.streams import streams_of
from aether_deploy.lab.nats.places import HOST
from aether_deploy.lab.nats.supercluster import Supercluster
from aether_deploy.lab.programs import MissingProgramsError
from aether_deploy.lab.system.member import Member, Probe
from aether_deploy.lab.system.members.job import Job
from aether_deploy.lab.system.members.standing import Standing, address_of
from aether_deploy.lab.system.network import Address, Network, Server
from aether_deploy.lab.system.record import LabProcess
from aether_deploy.platform.config import Platform

_READY_SECS = 180.0
_JOB_SECS = 200.0
_ASKED_AT_ONCE = 9


def members_of(platform: Platform, network: Network) -> Sequence[Member]:
    """Return a member for each messaging component; none where its regions cannot be told apart."""
    return [NatsMember(each, platform.estate, network) for each in _brokers(platform) if _can_run(each, platform)]


def left_out_of(platform: Platform) -> Sequence[str]:
    """Return what does not run outside of Linux."""
    reason = "its links between regions need to know who calls, which only Linux tells"
    return [f"{each.name} (nats): {reason}" for each in _brokers(platform) if not _can_run(each, platform)]


def _brokers(platform: Platform) -> Iterator[NatsConfig]:
    for each in platform.components:
        if isinstance(each, NatsConfig) and each.enabled and each.placed_in(platform.estate):
            yield each


def _can_run(config: NatsConfig, platform: Platform) -> bool:
    return sys.platform == "linux" or len(config.placed_in(platform.estate)) == 1


class NatsMember(Member):
    """The servers of one messaging component."""

    kind = "nats"

    def __init__(self, config: NatsConfig, estate: Estate, network: Network) -> None:
        """Prepare its servers.

        Raises:
            MissingProgramsError: The server, or the client that its Jobs need, is not on this machine.
        """
        self.name = config.name
        self._config, self._network = config, network
        self._servers = Supercluster(config, estate)
        self._streams = streams_of(config, estate)
        self._regions = tuple(code for code in dict.fromkeys(each.region for each in self._streams))
        self._standing = Standing()
        self._life = ExitStack()
        self._jobs = 0
        _need_client()

    # --- life

    def _boot(self) -> None:
        self._life.enter_context(self._servers)
        self._servers.wait_until(self._is_ready, _READY_SECS, f"{self.name}: all servers healthy, with a leader")
        for job in [self._settle(code) for code in self._regions]:
            job.need(_JOB_SECS)
        numbers: dict[str, int] = {}
        for place in self._servers.places.values():
            region = place.server.datacenter.region
            number = numbers[region] = numbers.get(region, -1) + 1
            self._network.publish(Server(self.name, region, CLIENT[0], number), Address(HOST, place.ports["client"]))

    def _is_ready(self) -> bool:
        self.check()  # one that ended is never healthy
        return self._servers.ready()

    def _end(self) -> None:
        self._life.close()

    def _settle(self, code: str) -> Job:
        """Start the streams' Job of a region."""
        file = self._servers.write_streams(code)
        self._jobs += 1
        return Job(f"streams-{code}-{self._jobs}", MODULE, file, file.parent)

    # --- who is there

    def processes(self) -> Sequence[LabProcess]:
        leading = self._leading()
        return [
            LabProcess(
                name=pod,
                member=self.name,
                region=place.server.datacenter.region,
                datacenter=place.server.datacenter.name,
                state=self._standing.state_of(pod, self._servers.daemon(pod)),
                pid=self._servers.daemon(pod).pid,
                leads=leading.get(pod, ()),
            )
            for pod, place in list(self._servers.places.items())
        ]

    def _leading(self) -> dict[str, tuple[str, ...]]:
        """Return what each server leads: the management of all, and its streams."""
        asked = [pod for pod in self._servers.running() if not self._standing.is_frozen(pod)]
        if not asked:
            return {}
        with ThreadPoolExecutor(_ASKED_AT_ONCE) as pool:
            answers = dict(zip(asked, pool.map(self._seen, asked), strict=True))
        return {pod: tuple(_led_by(pod, answer)) for pod, answer in answers.items()}

    def _seen(self, pod: str) -> dict[str, Any]:
        return self._servers.seen(pod, "/jsz?accounts=true&streams=true")

    # --- what befalls them

    def _pods(self, names: Collection[str]) -> list[str]:
        return [
            pod
            for pod, place in self._servers.places.items()
            if address_of(place.server.datacenter.region, pod) in names
        ]

    def kill(self, names: Collection[str]) -> None:
        pods = self._pods(names)
        self._standing.end(pods)
        self._servers.kill(*pods)

    def freeze(self, names: Collection[str]) -> None:
        pods = self._pods(names)
        self._standing.freeze(pods)
        self._servers.signal(signal.SIGSTOP, *pods)

    def mend(self, names: Collection[str]) -> None:
        """Start what ended, and let go on what is frozen; streams are on disks, and Jobs run once."""
        pods, running = self._pods(names), self._servers.running()
        self._servers.signal(signal.SIGCONT, *pods)
        self._servers.start(*(pod for pod in pods if pod not in running))
        self._standing.mend(pods)

    def cut(self, pair: frozenset[str]) -> None:
        if self._servers.links is not None:
            self._servers.links.cut(*sorted(pair))

    def join(self, pair: frozenset[str]) -> None:
        if self._servers.links is not None:
            self._servers.links.heal(*sorted(pair))

    def check(self) -> None:
        for pod in self._servers.pods():
            self._standing.check(pod, self._servers.daemon(pod))

    def probes(self) -> Sequence[Probe]:
        from aether_deploy.lab.system.members.nats_probe import ManagementProbe, StreamProbe  # need nats-py

        found: list[Probe] = [StreamProbe(self.name, self._servers, stream) for stream in self._streams]
        accounts = [*(each.account for each in self._streams), *(each.name for each, _, _ in self._config.users)]
        for account in accounts[:1]:
            names = [each.name for each in self._streams if each.account == account]
            found.append(ManagementProbe(self.name, self._servers, account, names))
        return found


def _led_by(pod: str, answer: dict[str, Any]) -> Iterator[str]:
    if answer.get("meta_cluster", {}).get("leader") == pod:
        yield "management"
    for account in answer.get("account_details", ()):
        for stream in account.get("stream_detail", ()):
            if stream.get("cluster", {}).get("leader") == pod:
                yield str(stream["name"])


def _need_client() -> None:
    from importlib.util import find_spec

    if find_spec("nats") is None:
        raise MissingProgramsError("nats-py is not installed\n  fix: pip install 'aether-deploy[lab]'")
