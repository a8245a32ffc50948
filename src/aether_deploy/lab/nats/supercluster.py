"""A real supercluster on this machine: our files, real servers, and failures at will."""

import contextlib
import json
import signal
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from aether_deploy.infrastructure.estate import Estate
from aether_deploy.infrastructure.kinds.nats import NatsConfig
from aether_deploy.infrastructure.nats.job import streams_file
from aether_deploy.infrastructure.nats.options import options_of
from aether_deploy.infrastructure.nats.streams import streams_of
from aether_deploy.infrastructure.nats.supercluster import servers_of
from aether_deploy.infrastructure.nats.text import text_of
from aether_deploy.lab.life import Booted
from aether_deploy.lab.nats.links import Links
from aether_deploy.lab.nats.places import HOST, LISTENERS, ServerPlace, logins_of, wiring_of
from aether_deploy.lab.nats.programs import find_nats_server
from aether_deploy.lab.processes import Daemon, free_ports
from aether_deploy.lab.workplace import Workplace
from aether_deploy.problems import EffectError

ROOM_MB = 100
_READY_SECS = 180.0
_POLL_SECS = 0.1
_ANSWER_SECS = 5.0


class Supercluster(Booted):
    """The servers of one component.

        with Supercluster(config, estate) as nats:
            nats.wait_ready()
            nats.kill(*nats.pods("eu-west-1"))

    Everything that it runs ends with the block, and with this process, however that ends.

    Attributes:
        places: Every server by the name of its pod.
        links: What lies between the NATS clusters; None where there is one.
    """

    def __init__(self, config: NatsConfig, estate: Estate, *, waiting: Collection[str] = ()) -> None:
        """Prepare the servers of ``config``; nothing runs before the block is entered.

        Args:
            config: The component.
            estate: Its regions and datacenters.
            waiting: NATS clusters whose servers do not start with the block.

        Raises:
            MissingProgramsError: The server is not on this machine; with what brings it.
        """
        self.config = config
        self.estate = estate
        self.places: dict[str, ServerPlace] = {}
        self.links: Links | None = None
        self._program = find_nats_server()
        self._daemons: dict[str, Daemon] = {}
        self._clusters_by_pid: dict[int, str] = {}
        self._life = ExitStack()
        self._held: list[socket.socket] = []
        self._tls_folder = Path()
        self._waiting = frozenset(waiting)

    # --- life

    def _end(self) -> None:
        self._life.close()

    def _boot(self) -> None:
        workplace = Workplace.new(room_mb=ROOM_MB)
        self._life.callback(workplace.remove)
        self._life.callback(self._end_servers)
        self._tls_folder = workplace.folder / "tls"
        if self.config.tls is not None:
            self._certify()
        self._place(workplace.folder)
        for pod, place in self.places.items():
            self.write(pod, self.options(pod))
            if place.server.cluster not in self._waiting:
                self.start(pod)

    def _certify(self) -> None:
        from aether_deploy.lab.certificates import Authority  # needs cryptography, which may be missing

        self._tls_folder.mkdir()
        authority = Authority("aether-lab-nats")
        authority.write(self._tls_folder, "ca")
        authority.issue(self._tls_folder, "tls", name="nats", peer=True)

    def _place(self, folder: Path) -> None:
        servers = servers_of(self.config, self.estate)
        ports, self._held = free_ports(len(LISTENERS) * len(servers))
        numbers = iter(ports)
        listening = {each.pod: {name: next(numbers) for name in LISTENERS} for each in servers}
        gateways = {listening[each.pod]["gateway"]: each.cluster for each in servers}
        dialed = {port: port for port in gateways}
        if len(set(gateways.values())) > 1:
            self.links = Links(self._clusters_by_pid)
            self._life.callback(self.links.close)
            dialed = self.links.open(gateways)
        for each in servers:
            home = folder / each.pod
            home.mkdir()
            own = listening[each.pod]
            self.places[each.pod] = ServerPlace(server=each, ports=own, folder=home, dialed=dialed[own["gateway"]])
        self._daemons = {pod: Daemon(pod, self._command(pod), folder) for pod in self.places}

    def _command(self, pod: str) -> list[str]:
        return [str(self._program), "--config", str(self.places[pod].file)]

    def _end_servers(self) -> None:
        for daemon in self._daemons.values():
            daemon.kill()
        for daemon in self._daemons.values():
            daemon.reap()
        for each in self._held:
            each.close()

    # --- files

    def options(self, pod: str) -> dict[str, Any]:
        """Return the options of one server: those that are rendered, with addresses of this machine."""
        place = self.places[pod]
        wiring = wiring_of(self.config, place, list(self.places.values()), self._tls_folder)
        return options_of(self.config, cluster=place.server.cluster, tags=place.server.tags, wiring=wiring)

    def write(self, pod: str, options: Mapping[str, Any]) -> Path:
        """Write the file that a server reads when it starts, or is told to."""
        file = self.places[pod].file
        file.write_text(text_of(options), "utf-8")
        return file

    def write_streams(self, region: str) -> Path:
        """Write what the streams' Job of one region reads, and the logins that it uses."""
        folder = self._tls_folder.parent / f"job-{region}"
        folder.mkdir(exist_ok=True)
        accounts: dict[str, str] = {}
        for account, user, _ in self.config.users:
            login = logins_of(self.config)[user.name]
            home = folder / user.name
            home.mkdir(exist_ok=True)
            (home / "username").write_text(str(login.username), "utf-8")
            (home / "password").write_text(str(login.password), "utf-8")
            accounts.setdefault(account.name, str(home))
        mine = [each for each in streams_of(self.config, self.estate) if each.region == region]
        url = self.url(self.pods(region)[0])
        said = streams_file(self.config, mine, servers=url, folders=accounts, tls_folder=str(self._tls_folder))
        file = folder / "streams.json"
        file.write_text(json.dumps(said), "utf-8")
        return file

    # --- who is there

    def pods(self, cluster: str | None = None) -> list[str]:
        """Return the names of the servers of a NATS cluster, or of all."""
        return [pod for pod, place in self.places.items() if cluster in (None, place.server.cluster)]

    def url(self, pod: str) -> str:
        """Return the address for clients of a server."""
        return f"{'tls' if self.config.tls else 'nats'}://{HOST}:{self.places[pod].ports['client']}"

    @property
    def ca_file(self) -> Path | None:
        """The certificate of the authority that signed those of the servers; None without TLS."""
        return self._tls_folder / "ca.crt" if self.config.tls is not None else None

    def daemon(self, pod: str) -> Daemon:
        """Return the process of a server."""
        return self._daemons[pod]

    def running(self) -> list[str]:
        """Return the names of the servers that run."""
        return [pod for pod, daemon in self._daemons.items() if daemon.pid is not None]

    # --- what they say

    def health(self, pod: str, question: str | None = None) -> int:
        """Return the status of a server's answer to ``/healthz``: 200 where all is well; 0 where none comes.

        Args:
            pod: The server.
            question: ``js-server-only``, ``js-enabled-only``; left out, everything is asked.
        """
        path = "/healthz" if question is None else f"/healthz?{question}=true"
        try:
            with urllib.request.urlopen(self._monitor(pod) + path, timeout=_ANSWER_SECS) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    def seen(self, pod: str, path: str) -> dict[str, Any]:
        """Return what a server answers to ``/varz``, ``/jsz``, ``/gatewayz`` …; nothing where none comes."""
        with (
            contextlib.suppress(OSError),
            urllib.request.urlopen(self._monitor(pod) + path, timeout=_ANSWER_SECS) as it,
        ):
            answer = json.loads(it.read())
            return answer if isinstance(answer, dict) else {}
        return {}

    def _monitor(self, pod: str) -> str:
        return f"http://{HOST}:{self.places[pod].ports['monitor']}"

    def meta(self, pod: str) -> dict[str, Any]:
        """Return what a server knows of the meta group: ``leader``, ``cluster_size`` and ``replicas``."""
        found = self.seen(pod, "/jsz").get("meta_cluster", {})
        return found if isinstance(found, dict) else {}

    def leader(self) -> str | None:
        """Return the meta leader that most running servers name; None where most name none."""
        named = [str(self.meta(pod).get("leader", "")) for pod in self.running()]
        most = max(set(named), key=named.count, default="")
        return most if most and named.count(most) * 2 > len(named) else None

    def log(self, pod: str) -> str:
        """Return everything that a server has said."""
        return self._daemons[pod].log.read_text("utf-8", "replace")

    # --- waiting

    def wait_ready(self, within_secs: float = _READY_SECS) -> float:
        """Wait until the servers are :meth:`ready`; return how long that took, seconds.

        Raises:
            EffectError: That does not come about in time.
        """
        return self.wait_until(self.ready, within_secs, "all servers healthy, with a leader, each counting all")

    def ready(self) -> bool:
        """Return whether every running server is healthy, there is a leader, and all are counted in the meta group.

        The leader takes the servers into the group one by one, while all of them already say that they are healthy
        (nats-server 2.15, server/raft.go ``trackPeer``): until it has, fewer than a majority of them decide.
        """
        running = self.running()
        return (
            all(self.health(pod) == 200 for pod in running)
            and self.leader() is not None
            and all(self._knows_all(pod, len(running)) for pod in running)
        )

    def _knows_all(self, pod: str, count: int) -> bool:
        """Return whether a server counts so many in the meta group, itself among them.

        ``cluster_size`` alone is what its file lets it expect until the leader takes in the first; ``replicas`` alone
        leaves open whether it was taken in itself. The group keeps those that are gone, so this is about a first start.
        """
        group = self.meta(pod)
        return group.get("cluster_size", 0) >= count and len(group.get("replicas") or ()) >= count - 1

    def wait_until(self, holds: Callable[[], bool], within_secs: float, what: str) -> float:
        """Wait until ``holds`` says so; return how long that took, seconds.

        Raises:
            EffectError: A server ended by itself, or the time is over.
        """
        begun = time.monotonic()
        while not holds():
            if time.monotonic() - begun > within_secs:
                told = {pod: self.health(pod) for pod in self.running()}
                raise EffectError(f"not within {within_secs:g} s: {what}; /healthz says {told}")
            time.sleep(_POLL_SECS)
        return time.monotonic() - begun

    # --- what befalls them

    def start(self, *pods: str) -> None:
        """Start servers that do not run."""
        for pod in pods:
            daemon = self._daemons[pod]
            daemon.start()
            if daemon.pid is not None:
                self._clusters_by_pid[daemon.pid] = self.places[pod].server.cluster

    def kill(self, *pods: str) -> None:
        """End servers at once, as a lost node does."""
        for pod in pods:
            self._daemons[pod].kill()
        for pod in pods:
            self._daemons[pod].reap()

    def stop(self, *pods: str, grace_secs: float = 30.0) -> None:
        """Ask servers to end, and wait for it."""
        for pod in pods:
            self._daemons[pod].stop(grace_secs)

    def signal(self, number: signal.Signals, *pods: str) -> None:
        """Send servers a signal: SIGHUP reads the file again, SIGSTOP freezes, SIGUSR2 sends clients away first."""
        for pod in pods:
            self._daemons[pod].signal(number)

    def reload(self, pod: str, options: Mapping[str, Any], within_secs: float = 90.0) -> str | None:
        """Give a running server another file; return what it refused of it, or None where it took it.

        Raises:
            EffectError: It says neither in time.
        """
        heard = len(self.log(pod))
        self.write(pod, options)
        self.signal(signal.SIGHUP, pod)
        answers: list[str] = []

        def answered() -> bool:
            answers[:] = [line for line in self.log(pod)[heard:].splitlines() if _is_answer(line)]
            return bool(answers)

        self.wait_until(answered, within_secs, f"{pod} answers a reload")
        return answers[0] if "Failed to reload" in answers[0] else None

    @contextlib.contextmanager
    def partition(self, cluster: str) -> Iterator[None]:
        """Cut one NATS cluster off from all others while the block runs."""
        assert self.links is not None
        others = {place.server.cluster for place in self.places.values()} - {cluster}
        for other in sorted(others):
            self.links.cut(cluster, other)
        try:
            yield
        finally:
            for other in sorted(others):
                self.links.heal(cluster, other)


def _is_answer(line: str) -> bool:
    return "Failed to reload" in line or "Reloaded server configuration" in line
