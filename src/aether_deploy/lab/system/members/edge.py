"""Edges in a lab: real nginx from the policy of each region, before the stores that run here, and their clients."""

import contextlib
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import partial

import msgspec

from aether_deploy.infrastructure.edge.nginx import CONNECT_SECS, READ_SECS
from aether_deploy.infrastructure.edge.policy import EdgePolicy, policy_of
from aether_deploy.infrastructure.edge.ports import HTTP
from aether_deploy.infrastructure.estate import Estate, EstateRegion
from aether_deploy.infrastructure.kinds.edge import EdgeConfig
from aether_deploy.infrastructure.kinds.object_store import ObjectStoreConfig
from aether_deploy.infrastructure.object_store.job import ADMIN
from aether_deploy.infrastructure.object_store.ports import S3
from aether_deploy.infrastructure.object_store.regions import SELF_HOSTED, home_regions, signing_region
from aether_deploy.jobs.object_store_s3 import S3Client
from aether_deploy.lab.edge.edge import Edge
from aether_deploy.lab.edge.programs import find_nginx
from aether_deploy.lab.processes import DaemonError
from aether_deploy.lab.seaweedfs.store import login_of
from aether_deploy.lab.system.member import Member, Probe
from aether_deploy.lab.system.members.pods import FrontedMember, Pod, Seat
from aether_deploy.lab.system.network import HOST, Address, Network, Server
from aether_deploy.platform.config import Platform
from aether_deploy.problems import EffectError

SHIELD = "shield"
_CACHE_MB = 64
_READY_SECS = 120.0
_POLL_SECS = 0.1
_SLICE_SECS = 0.9
_TRIES = 3
_ALONE_SECS = 0.3
"""How long one player waits before others ask beside him."""
_OBJECTS = 20
"""So many objects of one kind players ask for: for one that is fetched already a pod lets others wait."""


def members_of(platform: Platform, network: Network) -> Sequence[Member]:
    """Return a member for each edge whose pods and whose origins run here."""
    return [
        EdgeMember(config, platform.estate, network) for config in _edges(platform) if not _why_not(config, platform)
    ]


def left_out_of(platform: Platform) -> Sequence[str]:
    """Return the edges that do not run here, each with the reason."""
    return [f"{config.name} (edge): {reason}" for config in _edges(platform) if (reason := _why_not(config, platform))]


def _edges(platform: Platform) -> Iterator[EdgeConfig]:
    for each in platform.components:
        if isinstance(each, EdgeConfig) and each.enabled and each.placed_in(platform.estate):
            yield each


def _why_not(config: EdgeConfig, platform: Platform) -> str:
    store = platform.estate.component(config.store)
    if config.backend != "nginx":
        return f"{config.backend} runs it, and nothing of it is here"
    if not isinstance(store, ObjectStoreConfig) or store.provider != SELF_HOSTED:
        return f"its origin {config.store} does not run here"
    return ""


class EdgePaths(msgspec.Struct, frozen=True):
    """What clients of an edge ask for.

    Attributes:
        new: A path whose answer is never kept; None where everything is.
        kept: The path whose answer is kept for longest; None where nothing is.
    """

    new: str | None
    kept: str | None

    @property
    def others(self) -> tuple[str, ...]:
        """Further paths whose answers are never kept."""
        return () if self.new is None else tuple(f"{self.new}-{number}" for number in range(1, _OBJECTS))

    @property
    def every(self) -> tuple[str, ...]:
        """All of them."""
        return (*_paths(self), *self.others)


def paths_of(policy: EdgePolicy) -> EdgePaths:
    """Return what clients of an edge ask for, of what is open to anybody."""
    longest = sorted(policy.classes, key=lambda each: -(each.ttl_secs + each.sie_secs))
    kept = [path for each in longest if each.ttl_secs for path in _below(each.match, policy)]
    free = [prefix for prefix in policy.open_prefixes if not _kept_secs(prefix, policy)]
    return EdgePaths(
        new=f"{free[0]}aether-lab-new" if free else None, kept=f"{kept[0]}aether-lab-kept" if kept else None
    )


def _below(match: str, policy: EdgePolicy) -> Iterator[str]:
    for prefix in policy.open_prefixes:
        if match.startswith(prefix):
            yield match
        elif prefix.startswith(match):
            yield prefix


def _kept_secs(prefix: str, policy: EdgePolicy) -> int:
    return next((each.ttl_secs for each in policy.classes if prefix.startswith(each.match)), 0)


class EdgeMember(FrontedMember):
    """The edges of one component: in each region one for each of its first zones, as many as it has replicas.

    A front before them stands for their Service.
    """

    kind = "edge"

    def __init__(self, config: EdgeConfig, estate: Estate, network: Network) -> None:
        """Prepare its edges.

        Raises:
            MissingProgramsError: nginx is not on this machine.
        """
        find_nginx()
        super().__init__(config.name, estate)
        self._config, self._network = config, network
        self._origin: ObjectStoreConfig = estate.component(config.store)
        placed = config.placed_in(estate)
        regions = [region for region in estate.regions if region.code in placed and region.full]
        self._regions = sorted(regions, key=lambda region: region.code != config.shield)  # who is asked comes first
        self._policies = {region.code: policy_of(config, estate, region.code) for region in self._regions}
        self.left_out = tuple(self._left_out())
        self._changes = 0

    def _left_out(self) -> Iterator[str]:
        yield f"{self.name}: a pod that hangs leaves its Service at once, and not once its readiness probe has failed"
        if self._config.tls is not None:
            yield f"{self.name}: its certificate; here it answers without encryption"
        if any(paths_of(policy).new is None for policy in self._policies.values()):
            yield f"{self.name}: a client that asks for what is not kept, since its cache classes keep everything"

    # --- life

    def _boot(self) -> None:
        self._put_objects()
        for region in self._regions:
            self._boot_in(region)
            self._front(self._network, region.code, HTTP[0])
        for pod in self._pods:
            _until(pod.ready, f"what {pod.seat.address} keeps")

    def _boot_in(self, region: EstateRegion) -> None:
        zones = [next(each for each in region.full if each.zone == zone) for zone in region.zones]
        for number, datacenter in enumerate(zones[: self._config.replicas]):
            edge = self._booted(region.code)
            address = Address(HOST, edge.port)
            seat = Seat(f"{self.name}-{number}", number, region.code, datacenter.name)
            self._pods.append(Pod(seat, edge.daemon, partial(self._is_warm, edge, seat), ports={HTTP[0]: address}))
            self._network.publish(Server(self.name, region.code, HTTP[0], number + 1), address)

    def _booted(self, region: str) -> Edge:
        """Return an edge that runs; where ports cannot be kept, another program may take one before it does."""
        policy = self._policies[region]
        origins = {each.name: str(self._network.reach(region, self._server(each.name))) for each in policy.origins}
        for _ in range(_TRIES - 1):
            with contextlib.suppress(DaemonError):
                return self._life.enter_context(self._edge(policy, origins))
        return self._life.enter_context(self._edge(policy, origins))

    def _edge(self, policy: EdgePolicy, origins: dict[str, str]) -> Edge:
        return Edge(policy, origins, cache_mb=_CACHE_MB)

    def _server(self, origin: str) -> Server:
        if origin == SHIELD:
            assert self._config.shield is not None
            return Server(self.name, self._config.shield, HTTP[0])
        return Server(self._origin.name, origin, S3[0])

    def _put_objects(self) -> None:
        """Put what clients ask for where writes go, and wait until every copy has it."""
        homes = [region.code for region in home_regions(self._origin, self._estate)]
        asked = [paths_of(policy) for policy in self._policies.values()]
        awaited = {each for paths in asked for each in _paths(paths)}
        every = {each for paths in asked for each in paths.every}
        for path in [*sorted(every - awaited), *sorted(awaited)]:  # the last is copied last
            self._until_there(homes[0], "PUT", path)
        for home in homes[1:]:
            for path in sorted(awaited):
                self._until_there(home, "GET", path)

    def _until_there(self, home: str, verb: str, path: str) -> None:
        client = self._client(home)
        _until(lambda: self._is_there(client, verb, path), path)

    def _is_there(self, client: S3Client, verb: str, path: str) -> bool:
        body = b"lab" if verb == "PUT" else b""
        return client.ask(verb, f"/{self._config.bucket}{path}", body=body).status == 200

    def _client(self, home: str) -> S3Client:
        address = self._network.find(Server(self._origin.name, home, S3[0]))
        return S3Client(f"http://{address}", signing_region(self._origin, home), login_of(ADMIN), answer_secs=5.0)

    def _is_warm(self, edge: Edge, seat: Seat) -> bool:
        """Ask an edge for everything that clients ask for, and return whether it has that."""
        return all(edge.ask(path).status == 200 for path in _paths(paths_of(self._policies[seat.region])))

    # --- what befalls them

    def kill(self, names: Collection[str]) -> None:
        super().kill(names)
        self._changes += 1

    def freeze(self, names: Collection[str]) -> None:
        super().freeze(names)
        self._changes += 1

    def _unnoticed_secs(self, region: str) -> float:
        return 0.0

    # --- clients

    def probes(self) -> Sequence[Probe]:
        return [_Players(self, region.code) for region in self._regions if paths_of(self._policies[region.code]).new]

    def ask(self, region: str, path: str, within_secs: float, over: threading.Event | None = None) -> None:
        """Ask the edge of a region for a path; a client gives up on a pod that something befalls meanwhile.

        Args:
            region: The region.
            path: What for.
            within_secs: How long to wait, seconds.
            over: Set once nobody wants the answer any more.

        Raises:
            OSError: Nobody answers.
            EffectError: The answer is not the object.
        """
        address, changes = self._network.find(Server(self.name, region, HTTP[0])), self._changes

        def goes_on(spent: float) -> bool:
            return spent < within_secs and changes == self._changes and not (over is not None and over.is_set())

        status = _status(address, path, goes_on)
        if status != 200:
            raise EffectError(f"{path}: {status}")

    def patience_secs(self, region: str) -> float:
        """Return how long a client of a region waits: the edge asks its origins one after the other, until the last."""
        before = max(1, len(self._policies[region].origins) - 1)
        return before * (CONNECT_SECS + READ_SECS) + _SLICE_SECS

    def paths(self, region: str) -> EdgePaths:
        """Return what clients of a region ask for."""
        return paths_of(self._policies[region])

    def crowd(self, region: str) -> int:
        """Return how many players ask at once so that most are answered while each pod lets one wait."""
        return 2 * len(self.pods_in(region)) + 1


class _Players(Probe):
    """Players of one region: they ask the edge there for what it must fetch, and for what it keeps.

    One asks; where he waits, others ask beside him, each for another object. The edge serves while most are answered: a
    pod lets one wait who asks an origin that was silent before, and answers the others by the next.
    """

    def __init__(self, member: EdgeMember, region: str) -> None:
        self.member, self.part, self.region = member.name, region, region
        self._edges, self._paths = member, member.paths(region)
        self._free = deque(path for path in (self._paths.new, *self._paths.others) if path is not None)
        self._pool = ThreadPoolExecutor(len(self._free), thread_name_prefix=f"players-{region}")
        self._closed = threading.Event()

    def write(self, number: int) -> None:
        """Ask for what is not kept, for as long as an edge itself waits for its origins.

        Raises:
            Exception: One who asked alone was not answered, or most of those who asked were not.
        """
        first = self._ask()
        wait([first], _ALONE_SECS)
        if first.done():
            first.result()
            return
        others = [self._ask() for _ in range(min(self._edges.crowd(self.part) - 1, len(self._free)))]
        _need_most([first, *others])

    def _ask(self) -> "Future[None]":
        """Let somebody ask for an object that nobody waits for.

        Raises:
            EffectError: There is none.
        """
        if not self._free:
            raise EffectError(f"everybody waits who asks the edge of {self.part}")
        path = self._free.popleft()
        asked = self._pool.submit(self._asked, path)
        asked.add_done_callback(lambda _: self._free.append(path))
        return asked

    def _asked(self, path: str) -> None:
        self._edges.ask(self.part, path, self._edges.patience_secs(self.part), self._closed)

    def read(self) -> None:
        path = self._paths.kept or self._paths.new
        assert path is not None
        self._edges.ask(self.part, path, _SLICE_SECS)

    def close(self) -> None:
        self._closed.set()
        self._pool.shutdown(wait=False, cancel_futures=True)


def _need_most(asked: "Sequence[Future[None]]") -> None:
    """Wait until most have been answered.

    Raises:
        Exception: So many were not that those who were are not most.
    """
    waiting = set(asked)
    answered: list[Future[None]] = []
    failed: list[Future[None]] = []
    while 2 * len(answered) <= len(asked):
        done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
        for each in done:
            (answered if each.exception() is None else failed).append(each)
        if 2 * len(failed) >= len(asked):
            failed[0].result()


def _paths(paths: EdgePaths) -> list[str]:
    return [path for path in (paths.new, paths.kept) if path is not None]


def _until(holds: Callable[[], bool], path: str) -> None:
    deadline = time.monotonic() + _READY_SECS
    while True:
        with contextlib.suppress(OSError):
            if holds():
                return
        if time.monotonic() > deadline:
            raise EffectError(f"not within {_READY_SECS:g} s: {path} is there")
        time.sleep(_POLL_SECS)


def _status(address: Address, path: str, goes_on: Callable[[float], bool]) -> int:
    """Return the status of the answer to one GET; between slices of a second it is asked whether to wait longer.

    Raises:
        OSError: There is none.
    """
    begun = time.monotonic()
    with socket.create_connection(address, timeout=_SLICE_SECS) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n".encode())
        said = b""
        while b"\r\n" not in said:
            try:
                chunk = connection.recv(4096)
            except TimeoutError:
                if goes_on(time.monotonic() - begun):
                    continue
                raise
            if not chunk:
                raise ConnectionError(f"{address} closed the connection")
            said += chunk
    words = said.split(b"\r\n", 1)[0].split()
    if len(words) < 2 or not words[1].isdigit():
        raise ConnectionError(f"{address} speaks no HTTP")
    return int(words[1])
