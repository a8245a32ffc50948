"""Session caches in a lab: one cluster in each region, and a client for each of its shards."""

import secrets
import signal
import sys
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack
from functools import partial

from aether_deploy.infrastructure.estate import Estate
from aether_deploy.infrastructure.kinds.valkey import ValkeyConfig
from aether_deploy.infrastructure.valkey.job import MODULE
from aether_deploy.infrastructure.valkey.layout import placed_regions, slot_ranges
from aether_deploy.infrastructure.valkey.ports import CLIENT
from aether_deploy.jobs.valkey_protocol import NoAnswer, Refused
from aether_deploy.lab.system.member import Member, Probe
from aether_deploy.lab.system.members.job import Job
from aether_deploy.lab.system.members.standing import Standing, address_of
from aether_deploy.lab.system.network import Address, Network, Server
from aether_deploy.lab.system.record import LabProcess
from aether_deploy.lab.valkey.cluster import ValkeyCluster
from aether_deploy.lab.valkey.node_client import NodeClient
from aether_deploy.lab.valkey.sessions import slot_of
from aether_deploy.platform.config import Platform
from aether_deploy.problems import EffectError

_JOB_SECS = 120.0
_READY_SECS = 120.0
_PLANNED_SECS = 180.0
"""How long Jobs run after each other at mending until all is as planned."""
_SHORT_WAIT_SECS = 5.0
_AWAY_SECS = 15.0
"""How long copies are waited for where other nodes are away: their shard may have nobody to copy."""
_TRY_SECS = 0.3
_WITHIN_SECS = 0.9
_PAUSE_SECS = 0.05
_POLL_SECS = 0.2
_AGAIN_SECS = 1.0
_FIX = "mend it again; lab status -v says who leads what"
_SESSION_SECS = 86400


def members_of(platform: Platform, network: Network) -> Sequence[Member]:
    """Return a member for each session cache; none where nodes cannot have addresses of their own."""
    if sys.platform != "linux":
        return ()
    return [ValkeyMember(config, platform.estate, network) for config in _caches(platform)]


def left_out_of(platform: Platform) -> Sequence[str]:
    """Return what does not run outside of Linux."""
    if sys.platform == "linux":
        return ()
    reason = "each node needs an address of its own on the loopback device, which only Linux has"
    return [f"{config.name} (valkey): {reason}" for config in _caches(platform)]


def _caches(platform: Platform) -> Iterator[ValkeyConfig]:
    for each in platform.components:
        if isinstance(each, ValkeyConfig) and each.enabled and each.placed_in(platform.estate):
            yield each


class ValkeyMember(Member):
    """The clusters of one session cache."""

    kind = "valkey"

    def __init__(self, config: ValkeyConfig, estate: Estate, network: Network) -> None:
        """Prepare its clusters.

        Raises:
            MissingProgramsError: The server is not on this machine.
        """
        self.name = config.name
        self._network = network
        self._standing = Standing()
        self._clusters = {
            region.code: ValkeyCluster(config, estate, region.code)
            for region in placed_regions(config, estate)
            if region.zones
        }
        self._life = ExitStack()
        self._jobs = 0

    # --- life

    def _boot(self) -> None:
        for cluster in self._clusters.values():
            self._life.enter_context(cluster)
        for job in [self._reconcile(code) for code in self._clusters]:
            job.need(_JOB_SECS)
        for code, cluster in self._clusters.items():
            cluster.wait_until(partial(self._is_planned, cluster), _READY_SECS, f"{self.name} in {code} is as planned")
            for number, place in enumerate(cluster.places.values()):
                self._network.publish(Server(self.name, code, CLIENT[0], number), Address(place.address, CLIENT[1]))

    def _is_planned(self, cluster: ValkeyCluster) -> bool:
        self.check()  # one that ended answers never
        return cluster.is_planned()

    def _end(self) -> None:
        self._life.close()

    def _reconcile(self, code: str, *, wait_secs: float = 60.0) -> Job:
        cluster = self._clusters[code]
        self._jobs += 1
        return Job(f"reconcile-{code}-{self._jobs}", MODULE, cluster.plan(wait_secs=wait_secs), cluster.folder)

    # --- who is there

    def processes(self) -> Sequence[LabProcess]:
        return [process for code in self._clusters for process in self._processes_in(code)]

    def _processes_in(self, code: str) -> Iterator[LabProcess]:
        cluster = self._clusters[code]
        silent = [pod for pod in cluster.places if self._standing.is_frozen(address_of(code, pod))]
        leading = {pod: shard for shard, pod in cluster.primaries(silent=silent).items()}
        for pod, place in list(cluster.places.items()):
            daemon = cluster.daemon(pod)
            yield LabProcess(
                name=pod,
                member=self.name,
                region=code,
                datacenter=place.node.datacenter.name,
                state=self._standing.state_of(address_of(code, pod), daemon),
                pid=daemon.pid,
                leads=(_part(code, leading[pod]),) if pod in leading else (),
            )

    def _each(self, names: Collection[str]) -> Iterator[tuple[str, ValkeyCluster, list[str]]]:
        for code, cluster in self._clusters.items():
            if pods := [pod for pod in cluster.places if address_of(code, pod) in names]:
                yield code, cluster, pods

    # --- what befalls them

    def kill(self, names: Collection[str]) -> None:
        self._standing.end(names)
        for _, cluster, pods in self._each(names):
            cluster.kill(*pods)

    def freeze(self, names: Collection[str]) -> None:
        self._standing.freeze(names)
        for _, cluster, pods in self._each(names):
            cluster.signal(signal.SIGSTOP, *pods)

    def mend(self, names: Collection[str]) -> None:
        """Start what ended, let go on what is frozen, and run what the CronJob runs every few minutes.

        A node that was primary waits before it starts. Where all nodes are there, the Job runs until all is as planned;
        while others are gone it says so and ends, as in a cluster.

        Raises:
            EffectError: A node does not come back, or the Job cannot bring the cluster to its plan.
        """
        mended = list(self._each(names))
        for code, cluster, pods in mended:
            running = cluster.running()
            cluster.signal(signal.SIGCONT, *pods)
            cluster.start(*(pod for pod in pods if pod not in running))
            self._standing.mend(address_of(code, pod) for pod in pods)
        for code, cluster, pods in mended:
            what = f"{', '.join(pods)} of {self.name} in {code} answer"
            cluster.wait_until(partial(self._answer, cluster, pods), _READY_SECS, what)
        deadline = time.monotonic() + _PLANNED_SECS
        jobs = {code: self._reconcile(code, wait_secs=self._patience_secs(code)) for code, _, _ in mended}
        for code, job in jobs.items():
            self._until_planned(code, job, deadline)

    def _answer(self, cluster: ValkeyCluster, pods: Collection[str]) -> bool:
        self.check()  # one that ended answers never
        return set(pods) <= cluster.look(silent=[pod for pod in cluster.places if pod not in pods]).keys()

    def _patience_secs(self, code: str) -> float:
        return 60.0 if self._is_whole(code) else _SHORT_WAIT_SECS

    def _is_whole(self, code: str) -> bool:
        """Return whether nobody keeps a node of a region away."""
        addresses = [address_of(code, pod) for pod in self._clusters[code].places]
        return not any(self._standing.is_ended(each) or self._standing.is_frozen(each) for each in addresses)

    def _until_planned(self, code: str, job: Job, deadline: float) -> None:
        """Run the Job again until all is as planned, as the CronJob would; once where nodes are away.

        Raises:
            EffectError: It is not in time; with what the last one said.
        """
        while job.wait(_JOB_SECS) != 0 and self._is_whole(code):
            if time.monotonic() > deadline:
                raise EffectError(f"{self.name} in {code} is not as planned\n{job.said}\n  fix: {_FIX}")
            time.sleep(_AGAIN_SECS)
            job = self._reconcile(code)

    def settle(self, within_secs: float) -> bool:
        """Wait until all is as planned; where nodes are away, some seconds for those that run to be of use."""
        deadline = time.monotonic() + within_secs
        return all(self._settle(code, deadline) for code in self._clusters)

    def _settle(self, code: str, deadline: float) -> bool:
        cluster = self._clusters[code]
        whole = self._is_whole(code)
        latest = deadline if whole else min(deadline, time.monotonic() + _AWAY_SECS)
        while not (cluster.is_planned() if whole else self._has_copies(code)):
            if time.monotonic() > latest:
                return not whole
            time.sleep(_POLL_SECS)
        return True

    def _has_copies(self, code: str) -> bool:
        cluster = self._clusters[code]
        silent = [pod for pod in cluster.places if self._standing.is_frozen(address_of(code, pod))]
        return all(seen.me.slots or seen.synced for seen in cluster.look(silent=silent).values())

    def check(self) -> None:
        for code, cluster in self._clusters.items():
            for pod in cluster.places:
                self._standing.check(address_of(code, pod), cluster.daemon(pod))

    def probes(self) -> Sequence[Probe]:
        return [
            _Shard(self.name, code, cluster, shard)
            for code, cluster in self._clusters.items()
            for shard in range(cluster.config.shards)
        ]


def _part(code: str, shard: int) -> str:
    return f"shard {shard} of {code}"


class _Shard(Probe):
    """A client of one shard, which goes where nodes send it."""

    def __init__(self, member: str, code: str, cluster: ValkeyCluster, shard: int) -> None:
        self.member, self.part, self.region = member, _part(code, shard), code
        self._cluster = cluster
        self._key = _key_in(slot_ranges(cluster.config.shards)[shard])
        self._client = NodeClient(cluster, answer_secs=_TRY_SECS, address=cluster.places[cluster.pod(shard)].address)

    def write(self, number: int) -> None:
        self._ask("SETEX", f"{self._key}-{number}", str(_SESSION_SECS), "lab")
        self._last = number

    def read(self) -> None:
        if self._ask("GET", f"{self._key}-{self._last}") != "lab":
            raise EffectError(f"{self.part} has lost what was written last")

    _last = 0

    def missing(self, numbers: Sequence[int]) -> Sequence[int]:
        return [number for number in numbers if self._ask("EXISTS", f"{self._key}-{number}") != 1]

    def close(self) -> None:
        self._client.leave()

    def _ask(self, *words: str) -> object:
        deadline = time.monotonic() + _WITHIN_SECS
        while True:
            try:
                return self._client.connected().call(*words)
            except Refused as error:
                if not self._follow(str(error)) and time.monotonic() > deadline:
                    raise
            except NoAnswer:
                self._client.look_around()
                if time.monotonic() > deadline:
                    raise
            if time.monotonic() > deadline:
                raise EffectError(f"nobody answers for {self.part}")
            time.sleep(_PAUSE_SECS)

    def _follow(self, error: str) -> bool:
        """Turn to the node that an answer names; return whether it names one."""
        if not error.startswith("MOVED "):
            self._client.look_around()
            return False
        host = error.split(" ")[2].rpartition(":")[0]
        self._client.turn_to(self._cluster.hosts.get(host, self._client.address))
        return True


def _key_in(slots: tuple[int, int]) -> str:
    """Return the beginning of keys that lie in a slot of ``slots``, and that no other client has: only what stands
    in braces counts ("Hash tags").
    """
    while True:
        tag = secrets.token_hex(6)
        if slots[0] <= slot_of(tag) <= slots[1]:
            return f"lab-{{{tag}}}"
