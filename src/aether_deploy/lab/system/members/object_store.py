"""An object store in a lab: a server for each region, those that follow the first, and clients of both."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from signal import SIGCONT, SIGSTOP
from xml.etree import ElementTree

from aether_deploy.infrastructure.estate import Estate
from aether_deploy.infrastructure.kinds.object_store import ObjectStoreConfig
from aether_deploy.infrastructure.object_store.job import ADMIN
from aether_deploy.infrastructure.object_store.ports import FILER, FILER_GRPC, S3
from aether_deploy.infrastructure.object_store.regions import SELF_HOSTED, home_regions, reading_order, signing_region
from aether_deploy.infrastructure.object_store.rendering import stateful_set_name
from aether_deploy.jobs.object_store_s3 import S3Client
from aether_deploy.lab.seaweedfs.store import ObjectStore, StorePlace
from aether_deploy.lab.system.member import Member, Probe
from aether_deploy.lab.system.members.standing import Standing, address_of
from aether_deploy.lab.system.network import HOST, Address, Network, Server
from aether_deploy.lab.system.record import LabProcess
from aether_deploy.platform.config import Platform
from aether_deploy.problems import EffectError

PREFIX = "aether-lab/"
"""Where clients of a lab write."""

FIRST = f"{PREFIX}first"
"""An object that is there from the beginning."""

_ANSWER_SECS = 0.9
_READY_SECS = 120.0


def members_of(platform: Platform, network: Network) -> Sequence[Member]:
    """Return a member for each store that runs here."""
    return [ObjectStoreMember(config, platform.estate, network) for config in _stores(platform) if _runs_here(config)]


def left_out_of(platform: Platform) -> Sequence[str]:
    """Return the stores of providers."""
    return [
        f"{config.name} (object_store): {config.provider} runs it, and nothing of it is here"
        for config in _stores(platform)
        if not _runs_here(config)
    ]


def _stores(platform: Platform) -> Iterator[ObjectStoreConfig]:
    for each in platform.components:
        if isinstance(each, ObjectStoreConfig) and each.enabled and each.placed_in(platform.estate):
            yield each


def _runs_here(config: ObjectStoreConfig) -> bool:
    return config.provider == SELF_HOSTED


class ObjectStoreMember(Member):
    """The servers of one store. That of a region stands in its first zone, since its volume is in one."""

    kind = "object_store"

    def __init__(self, config: ObjectStoreConfig, estate: Estate, network: Network) -> None:
        """Prepare its servers.

        Raises:
            MissingProgramsError: The server is not on this machine.
        """
        self.name = config.name
        self.left_out = (
            f"{config.name}: its CronJob, which carries out lifecycles once a day, runs only when buckets are made",
        )
        self._config, self._estate, self._network = config, estate, network
        self._homes = [region.code for region in home_regions(config, estate)]
        self._standing = Standing()
        self._store = ObjectStore(config, estate, reach=self._leader)
        self._life = ExitStack()

    # --- life

    def _boot(self) -> None:
        self._life.enter_context(self._store)
        for region, place in self._store.places.items():
            self._publish(region, place)
        self._store.wait_ready(_READY_SECS, self._homes)
        for region in self._homes:
            done = self._store.set_up_buckets(region)
            if done.returncode:
                raise EffectError(f"the buckets of {self.name} in {region} cannot be made\n{done.stdout}{done.stderr}")
        if self._bucket is not None:
            self._write_first(self._bucket)

    def _publish(self, region: str, place: StorePlace) -> None:
        for name, *_ in (S3, FILER, FILER_GRPC):
            self._network.publish(Server(self.name, region, name), Address(HOST, place.weed.ports[name]))

    def _leader(self, region: str, leader: StorePlace) -> str:
        """Return where a region that follows reaches the filer that it copies from: through the link between them."""
        self._publish(leader.region, leader)
        http, grpc = (
            self._network.reach(region, Server(self.name, leader.region, name)) for name in (FILER[0], FILER_GRPC[0])
        )
        return f"{http}.{grpc.port}"

    def _write_first(self, bucket: str) -> None:
        answer = self._store.client(self._homes[0]).ask("PUT", f"/{bucket}/{FIRST}", body=b"first")
        if answer.status != 200:
            raise EffectError(f"{self.name} takes no object: {answer.said}")
        for region in self._homes[1:]:
            what = f"{self.name}: {region} has what {self._homes[0]} has"
            self._store.wait_until(partial(self._is_copied, bucket, region), _READY_SECS, what)

    def _is_copied(self, bucket: str, region: str) -> bool:
        self._store.follow_again([region])
        return self._store.has_copied(region, bucket, FIRST)

    def _end(self) -> None:
        self._life.close()

    @property
    def _bucket(self) -> str | None:
        return next((each.name for each in self._config.buckets if each.enabled), None)

    # --- who is there

    def processes(self) -> Sequence[LabProcess]:
        return [self._process(region) for region in self._homes if region in self._store.places]

    def _process(self, region: str) -> LabProcess:
        server = self._store.daemons(region)[0]
        home = self._estate.region(region)
        assert home is not None
        return LabProcess(
            name=self._pod(region),
            member=self.name,
            region=region,
            datacenter=home.full[0].name,
            state=self._standing.state_of(self._address(region), server),
            pid=server.pid,
            leads=("objects",) if region == self._homes[0] else (region,),
        )

    def _pod(self, region: str) -> str:
        return f"{stateful_set_name(self._config, region)}-0"

    def _address(self, region: str) -> str:
        return address_of(region, self._pod(region))

    def _regions(self, names: Collection[str]) -> list[str]:
        return [region for region in self._homes if self._address(region) in names]

    # --- what befalls them

    def kill(self, names: Collection[str]) -> None:
        self._standing.end(names)
        gone = [daemon for region in self._regions(names) for daemon in self._store.daemons(region)]
        for daemon in gone:
            daemon.kill()
        for daemon in gone:
            daemon.reap()

    def freeze(self, names: Collection[str]) -> None:
        self._standing.freeze(names)
        for region in self._regions(names):
            for daemon in self._store.daemons(region):
                daemon.signal(SIGSTOP)

    def mend(self, names: Collection[str]) -> None:
        """Let go on what is frozen, and start what ended; what follows is started again wherever it ended by itself.

        Other servers may be away or frozen meanwhile, and stay so.
        """
        mended = self._regions(names)
        for region in mended:
            for daemon in self._store.daemons(region):
                daemon.signal(SIGCONT)
            if self._store.daemons(region)[0].pid is None:
                self._store.start(region)
        self._standing.mend(names)
        self._store.wait_ready(_READY_SECS, mended)
        frozen = [region for region in self._homes if self._standing.is_frozen(self._address(region))]
        self._store.follow_again([region for region in self._homes if region not in frozen])

    def check(self) -> None:
        for region in self._homes:
            self._standing.check(self._address(region), self._store.daemons(region)[0])

    # --- clients

    def probes(self) -> Sequence[Probe]:
        if self._bucket is None:
            return ()
        leader = _Objects(self.name, self._bucket, [self._client(region, region) for region in self._homes])
        return [leader, *(self._copy(region) for region in self._homes[1:])]

    def _copy(self, region: str) -> Probe:
        order = reading_order(self._config, self._estate, region)
        assert self._bucket is not None
        return _Copy(self.name, self._bucket, region, [self._client(region, home) for home in order])

    def _client(self, region: str, home: str) -> S3Client:
        address = self._network.reach(region, Server(self.name, home, S3[0]))
        login = self._store.login(ADMIN)
        return S3Client(f"http://{address}", signing_region(self._config, home), login, answer_secs=_ANSWER_SECS)


class _Objects(Probe):
    """A client that writes where writes go, and reads wherever there is a copy."""

    part = "objects"

    def __init__(self, member: str, bucket: str, clients: Sequence[S3Client]) -> None:
        self.member = member
        self._bucket, self._leader, self._clients = bucket, clients[0], clients

    def write(self, number: int) -> None:
        _need(self._leader, "PUT", f"/{self._bucket}/{_key(number)}", body=b"lab")

    def read(self) -> None:
        _read_somewhere(self._clients, f"/{self._bucket}/{FIRST}")

    def missing(self, numbers: Sequence[int]) -> Sequence[int]:
        there = set(_listed(self._leader, self._bucket, after=_key(numbers[0] - 1))) if numbers else set()
        return [number for number in numbers if _key(number) not in there]

    def close(self) -> None:
        """Nothing is open between two questions."""


class _Copy(Probe):
    """A reader of a region that follows: of the copy there, and where nobody answers, of the next."""

    takes_writes = False

    def __init__(self, member: str, bucket: str, region: str, clients: Sequence[S3Client]) -> None:
        self.member, self.part, self.region = member, region, region
        self._bucket, self._clients = bucket, clients

    def write(self, number: int) -> None:
        self.read()

    def read(self) -> None:
        _read_somewhere(self._clients, f"/{self._bucket}/{FIRST}")

    def close(self) -> None:
        """Nothing is open between two questions."""


def _key(number: int) -> str:
    return f"{PREFIX}{number:012d}"


def _need(client: S3Client, method: str, path: str, query: Mapping[str, str] | None = None, body: bytes = b"") -> bytes:
    answer = client.ask(method, path, query, body=body)
    if answer.status != 200:
        raise EffectError(f"{method} {path}: {answer.said}")
    return answer.body


def _read_somewhere(clients: Sequence[S3Client], path: str) -> None:
    """Read an object from the first copy that answers.

    Raises:
        EffectError: None does.
    """
    reasons = []
    for client in clients:
        try:
            _need(client, "GET", path)
        except (OSError, EffectError) as error:
            reasons.append(str(error))
        else:
            return
    raise EffectError("; ".join(reasons))


def _listed(client: S3Client, bucket: str, *, after: str) -> Iterator[str]:
    """Yield the keys of the lab that come after one, page by page."""
    query = {"list-type": "2", "prefix": PREFIX, "start-after": after}
    while True:
        root = ElementTree.fromstring(_need(client, "GET", f"/{bucket}", query))
        texts = [(each.tag.rpartition("}")[2], each.text or "") for each in root.iter()]
        yield from (text for tag, text in texts if tag == "Key")
        token = next((text for tag, text in texts if tag == "NextContinuationToken"), "")
        if not token:
            return
        query = {"list-type": "2", "prefix": PREFIX, "continuation-token": token}
