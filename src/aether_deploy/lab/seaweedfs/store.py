"""A real store on this machine, a server for each region: our arguments and files, our programs, failures at will."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack
from pathlib import Path

import msgspec

from aether_deploy.infrastructure.estate import Estate
from aether_deploy.infrastructure.kinds.object_store import ObjectStoreConfig
from aether_deploy.infrastructure.object_store.job import (
    ADMIN,
    CURRENT_FILE,
    CURRENT_MODULE,
    ENCRYPTION,
    ENCRYPTION_KEYS,
    FILE,
    IDENTITIES_MODULE,
    IDENTITIES_SOURCE,
    LOGIN_KEYS,
    MODULE,
    buckets_file,
    current_file,
    identities_file,
)
from aether_deploy.infrastructure.object_store.ports import ALL, FILER, FILER_GRPC, MASTER, S3
from aether_deploy.infrastructure.object_store.regions import home_regions, signing_region
from aether_deploy.infrastructure.object_store.seaweed import (
    IDENTITIES_FILE,
    WeedPlace,
    compare_arguments,
    files_of,
    follow_arguments,
    lifecycle_script,
    server_arguments,
)
from aether_deploy.jobs.object_store_current import Version, versions_in
from aether_deploy.jobs.object_store_s3 import S3Client
from aether_deploy.lab.life import Booted
from aether_deploy.lab.processes import Daemon, free_ports
from aether_deploy.lab.seaweedfs.programs import find_weed
from aether_deploy.lab.workplace import Workplace
from aether_deploy.problems import EffectError

HOST = "127.0.0.1"
ROOM_MB = 300
KEY = "5f" * 32
"""The key of encryption on disk."""

_READY_SECS = 120.0
_POLL_SECS = 0.1
_ANSWER_SECS = 5.0
_JOB_SECS = 120.0


class StorePlace(msgspec.Struct, frozen=True, kw_only=True):
    """One server: its region, where it listens, and its folder."""

    region: str
    weed: WeedPlace
    folder: Path

    @property
    def url(self) -> str:
        """Where it answers S3."""
        return f"http://{HOST}:{self.weed.ports[S3[0]]}"


Reach = Callable[[str, StorePlace], str]


class ObjectStore(Booted):
    """The servers of one component, one in each of its regions; those that follow have the program that copies.

        with ObjectStore(config, estate) as store:
            store.set_up_buckets()
            store.kill("us-east-1")

    Replaced in what is rendered are addresses, ports and folders. Everything ends with the block, and with this
    process, however that ends.

    Attributes:
        places: Every server by its region, the one that takes writes first.
    """

    def __init__(self, config: ObjectStoreConfig, estate: Estate, *, reach: Reach | None = None) -> None:
        """Prepare the servers of ``config``; nothing runs before the block is entered.

        Args:
            config: The component.
            estate: Regions and datacenters.
            reach: Says where a region reaches the filer of the one that takes writes, as :meth:`WeedPlace.address`
                writes it; left out, it does so directly.

        Raises:
            MissingProgramsError: The server is not on this machine; with what brings it.
        """
        self.config = config
        self.estate = estate
        self._reach = reach or (lambda _, leader: leader.weed.address(FILER[0], FILER_GRPC[0]))
        self.places: dict[str, StorePlace] = {}
        self._program = find_weed()
        self._servers: dict[str, Daemon] = {}
        self._followers: dict[str, Daemon] = {}
        self._life = ExitStack()
        self._held: list[socket.socket] = []
        self._folder = Path()

    # --- life

    def _end(self) -> None:
        self._life.close()

    def _boot(self) -> None:
        workplace = Workplace.new(room_mb=ROOM_MB)
        self._life.callback(workplace.remove)
        self._life.callback(self._end_servers)
        self._folder = workplace.folder
        self._write_logins()
        homes = [each.code for each in home_regions(self.config, self.estate)]
        ports, self._held = free_ports(len(ALL) * len(homes))
        for place, region in enumerate(homes):
            own = ports[place * len(ALL) : (place + 1) * len(ALL)]
            self._place(region, {port[0]: number for port, number in zip(ALL, own, strict=True)})
        for region in homes:
            self.start(region)

    def _end_servers(self) -> None:
        running = [*self._followers.values(), *self._servers.values()]
        for daemon in running:
            daemon.kill()  # asked politely it takes 16 s
        for daemon in running:
            daemon.reap()
        for each in self._held:
            each.close()

    def _place(self, region: str, ports: Mapping[str, int]) -> None:
        folder = self._folder / region
        (folder / "data").mkdir(parents=True)
        identities = str(folder / IDENTITIES_FILE)
        weed = WeedPlace(
            host=HOST, bind=HOST, ports=ports, data=str(folder / "data"), identities=identities, data_center=region
        )
        self.places[region] = StorePlace(region=region, weed=weed, folder=folder)
        for name, text in files_of(weed).items():
            (folder / name).write_text(text, "utf-8")
        self._write_identities(region)
        command = [str(self._program), *server_arguments(self.config, weed)]
        self._servers[region] = Daemon(f"weed-{region}", command, self._folder, works_in=folder)
        self._follow(region)

    def _follow(self, region: str) -> None:
        """Prepare the program that copies to a region; none where that takes writes."""
        place = self.places[region]
        if self._leader.region != region:
            command = [str(self._program), *follow_arguments(place.weed, leader=self._reach(region, self._leader))]
            self._followers[region] = Daemon(f"follow-{region}", command, self._folder, works_in=place.folder)

    # --- files and programs of ours

    def _write_logins(self) -> None:
        for name in (ADMIN, *(user.name for user, _ in self.config.logins)):
            home = self._folder / "logins" / name
            home.mkdir(parents=True)
            for key, text in zip(LOGIN_KEYS, self.login(name), strict=True):
                (home / key).write_text(text + "\n", "utf-8")
        if self.config.encrypts:
            home = self._folder / "logins" / ENCRYPTION
            home.mkdir()
            (home / ENCRYPTION_KEYS[0]).write_text(KEY + "\n", "utf-8")

    def login(self, name: str) -> tuple[str, str]:
        """Return the access key and the secret key of a user, or of ``admin``."""
        return login_of(name)

    def _write_identities(self, region: str) -> None:
        folder = self.places[region].folder
        said = identities_file(
            self.config, self.estate, region, folder=str(folder), logins=str(self._folder / "logins")
        )
        source = folder / IDENTITIES_SOURCE
        source.write_text(json.dumps(said), "utf-8")
        self._run([sys.executable, "-m", IDENTITIES_MODULE, str(source)]).check_returncode()

    def set_up_buckets(
        self, region: str | None = None, config: ObjectStoreConfig | None = None
    ) -> "subprocess.CompletedProcess[str]":
        """Run the program of the CronJob for a region; return what it said.

        Args:
            region: The region; left out, the one that takes writes.
            config: Other buckets than those of the component.
        """
        place = self.places[region or next(iter(self.places))]
        said = buckets_file(
            config or self.config,
            self.estate,
            place.region,
            url=place.url,
            credentials=str(self._folder / "logins" / ADMIN),
        )
        file = self._folder / FILE
        file.write_text(json.dumps(said | {"wait_secs": 20}), "utf-8")
        return self._run([sys.executable, "-m", MODULE, str(file)])

    def set_current(self, region: str) -> "subprocess.CompletedProcess[str]":
        """Run the program of the CronJob that sets right which versions are the current ones in a copy."""
        place = self.places[region]
        filer = f"http://{HOST}:{place.weed.ports[FILER[0]]}"
        credentials = str(self._folder / "logins" / ADMIN)
        said = current_file(self.config, region, url=place.url, filer=filer, credentials=credentials)
        file = self._folder / CURRENT_FILE
        file.write_text(json.dumps(said), "utf-8")
        return self._run([sys.executable, "-m", CURRENT_MODULE, str(file)])

    def versions(self, region: str, bucket: str, key: str) -> list[Version]:
        """Return the versions that a copy has of an object; none where the region does not say."""
        answer = self.client(region).ask("GET", f"/{bucket}", {"versions": "", "prefix": key})
        return [each for each in versions_in(answer.body) if each.key == key] if answer.status == 200 else []

    def has_copied(self, region: str, bucket: str, key: str) -> bool:
        """Return whether a copy has an object that keeps versions, and leads readers to it.

        A reader who asks for an object while it is copied may mislead the copy: see
        ``aether_deploy.jobs.object_store_current``.
        """
        return any(each.is_current for each in self.versions(region, bucket, key))

    def carry_out_lifecycle(self) -> "subprocess.CompletedProcess[str]":
        """Run the script of the lifecycle's CronJob in the region that takes writes."""
        path = f"{self._program.parent}{os.pathsep}{os.environ.get('PATH', '')}"
        return self._run(["sh", "-c", lifecycle_script(self._leader.weed)], {"PATH": path})

    def compare(self, region: str, *options: str) -> "subprocess.CompletedProcess[str]":
        """Run the program of the CronJob that looks whether a region that follows has everything.

        Args:
            region: The region.
            options: Further arguments of it, which win: ``-modifiedTimeAgo=0s`` looks at what is new, too.
        """
        arguments = compare_arguments(self.places[region].weed, leader=self._reach(region, self._leader))
        return self._run([str(self._program), *arguments, *options])

    @property
    def _leader(self) -> StorePlace:
        return next(iter(self.places.values()))

    def _run(self, command: list[str], env: Mapping[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=_JOB_SECS,
            check=False,
            cwd=self._folder,
            env={**os.environ, **(env or {})},
        )

    # --- asking

    def client(self, region: str, user: str | None = ADMIN) -> S3Client:
        """Return a client of one region's server; ``user`` None asks as anybody."""
        login = None if user is None else self.login(user)
        return S3Client(self.places[region].url, signing_region(self.config, region), login)

    def is_ready(self, region: str) -> bool:
        """Return whether a server answers S3 and has where to put objects."""
        ports = self.places[region].weed.ports
        has_room = '"DataNodes":[{' in _seen(f"http://{HOST}:{ports[MASTER[0]]}/dir/status")
        return has_room and bool(_seen(f"{self.places[region].url}/healthz", empty="up"))

    def daemons(self, region: str) -> tuple[Daemon, ...]:
        """Return what a pod of a region runs: its server, and where it follows another, the program that copies."""
        return tuple(each[region] for each in (self._servers, self._followers) if region in each)

    def log(self, region: str) -> str:
        """Return everything that a server has said."""
        return self._servers[region].log.read_text("utf-8", "replace")

    def wait_ready(self, within_secs: float = _READY_SECS, regions: Collection[str] | None = None) -> float:
        """Wait until servers are ready, and let those follow that do; return how long that took, seconds.

        Args:
            within_secs: How long to wait at most, seconds.
            regions: Whose servers; one that is frozen is never ready. Left out, of all that run.

        Raises:
            EffectError: One ended by itself, or the time is over.
        """
        waited = [code for code, each in self._servers.items() if each.pid is not None] if regions is None else regions

        def ready() -> bool:
            for region in waited:
                self._servers[region].check()
            return all(map(self.is_ready, waited))

        took = self.wait_until(ready, within_secs, f"the servers of {', '.join(waited)} answer S3")
        self.follow_again(waited)
        return took

    def follow_again(self, regions: Collection[str]) -> None:
        """Start what follows in regions whose server runs, where it ended by itself.

        It does wherever nobody answers it yet; in a pod a script starts it again.
        """
        for region in regions:
            follower = self._followers.get(region)
            if follower is not None and follower.pid is None and self._servers[region].pid is not None:
                follower.start()

    def wait_until(self, holds: Callable[[], bool], within_secs: float, what: str) -> float:
        """Wait until ``holds`` says so; return how long that took, seconds.

        Raises:
            EffectError: The time is over.
        """
        begun = time.monotonic()
        while not holds():
            if time.monotonic() - begun > within_secs:
                raise EffectError(f"not within {within_secs:g} s: {what}")
            time.sleep(_POLL_SECS)
        return time.monotonic() - begun

    # --- what befalls them

    def start(self, region: str) -> None:
        """Start a server that does not run; what follows starts with :meth:`wait_ready`."""
        self._servers[region].start()

    def kill(self, region: str) -> None:
        """End a region at once: its server, and the program that follows."""
        for daemons in (self._followers, self._servers):
            if region in daemons:
                daemons[region].kill()
                daemons[region].reap()

    def give_lead(self, config: ObjectStoreConfig) -> None:
        """Let another region take writes: the component as it is described then, with another order of regions.

        All servers must have been killed before: they read who may write when they start.
        """
        self.config = config
        self.places = {each.code: self.places[each.code] for each in home_regions(config, self.estate)}
        self._followers.clear()
        for region in self.places:
            self._write_identities(region)
            self._follow(region)

    def empty(self, region: str) -> None:
        """Throw the volume of a region away, whose server must have been killed before."""
        data = Path(self.places[region].weed.data)
        shutil.rmtree(data)
        data.mkdir()

    def freeze(self, region: str) -> None:
        """Stop a server without ending it: connections stay open and nobody answers."""
        self._servers[region].signal(signal.SIGSTOP)

    def thaw(self, region: str) -> None:
        """Let a frozen server go on."""
        self._servers[region].signal(signal.SIGCONT)


def login_of(name: str) -> tuple[str, str]:
    """Return the access key and the secret key that a user has in every lab."""
    return f"{name}-key", f"{name}/word+\"of' $it"


def _seen(url: str, *, empty: str = "") -> str:
    """Return what answers at ``url``, ``empty`` where that is nothing; empty text where nobody answers well."""
    try:
        with urllib.request.urlopen(url, timeout=_ANSWER_SECS) as answer:
            return answer.read().decode("utf-8", "replace") or empty
    except (OSError, urllib.error.HTTPError):
        return ""
