"""A real edge on this machine: our file, real nginx, and origins that stand where we say."""

import http.client
import subprocess
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import msgspec

from aether_deploy.infrastructure.edge.nginx import STATUS_PATH, NginxPlace, nginx_text, stages_needed
from aether_deploy.infrastructure.edge.policy import EdgePolicy
from aether_deploy.infrastructure.object_store.regions import StoreAddress
from aether_deploy.lab.edge.programs import find_nginx
from aether_deploy.lab.life import Booted
from aether_deploy.lab.processes import Daemon, free_ports
from aether_deploy.lab.workplace import Workplace

HOST = "127.0.0.1"
ROOM_MB = 100
# Killed, a master would leave its workers behind, which keep the port.
ALONE = "daemon off; master_process off;"
_READY_SECS = 90.0
_ANSWER_SECS = 60.0


class EdgeAnswer(msgspec.Struct, frozen=True):
    """What an edge answered: status, headers with names in lower case, and body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def cache(self) -> str:
        """Where it comes from, in nginx's word: ``MISS``, ``HIT``, ``STALE`` …"""
        return self.headers.get("x-cache", "")


class Edge(Booted):
    """One edge, of the policy of one region. Replaced in what is rendered are addresses, ports and folders.

    Attributes:
        policy: The policy, with origins that stand here.
        port: Where it answers.
    """

    def __init__(self, policy: EdgePolicy, origins: Mapping[str, str], *, cache_mb: int = 64) -> None:
        """Prepare an edge; nothing runs before the block is entered.

        Args:
            policy: What is rendered.
            origins: Address and port where each origin of ``policy`` stands here, by its name.
            cache_mb: How much it may keep, MB.

        Raises:
            MissingProgramsError: nginx is not on this machine; with what brings it.
        """
        moved = tuple(msgspec.structs.replace(each, address=_address(origins[each.name])) for each in policy.origins)
        self.policy = msgspec.structs.replace(policy, origins=moved)
        self._cache_mb = cache_mb
        self._program = find_nginx()
        self._life = ExitStack()
        self._daemon: Daemon | None = None
        self.port = 0
        self._status = 0

    def _end(self) -> None:
        self._life.close()

    def _boot(self) -> None:
        workplace = Workplace.new(room_mb=ROOM_MB)
        self._life.callback(workplace.remove)
        folder = workplace.folder
        ports, held = free_ports(2 + stages_needed(self.policy))
        for each in held:
            self._life.callback(each.close)  # nobody is given its ports while it is down either
        self._life.callback(self._end_server)
        self.port, self._status = ports[0], ports[1]
        place = NginxPlace(
            listens={"http": f"{HOST}:{self.port}", "status": f"{HOST}:{self._status}"},
            stages=[f"{HOST}:{port}" for port in ports[2:]],
            cache=str(folder / "cache"),
            cache_mb=self._cache_mb,
            run=str(folder),
        )
        file = folder / "nginx.conf"
        file.write_text(nginx_text(self.policy, place), "utf-8")
        command = [str(self._program), "-p", str(folder), "-c", str(file), "-g", ALONE]
        self._daemon = Daemon("nginx", command, folder)
        self._daemon.start()
        self._daemon.wait_until(self._is_ready, _READY_SECS)

    def _end_server(self) -> None:
        if self._daemon is not None:
            self._daemon.kill()
            self._daemon.reap()

    def _is_ready(self) -> bool:
        try:
            return self._ask(self._status, "GET", STATUS_PATH, {}).status == 200
        except OSError:
            return False

    def ask(self, path: str, *, method: str = "GET", headers: Mapping[str, str] | None = None) -> EdgeAnswer:
        """Return the answer to one request; ``path`` is sent as it stands."""
        return self._ask(self.port, method, path, headers or {})

    def _ask(self, port: int, method: str, path: str, headers: Mapping[str, str]) -> EdgeAnswer:
        connection = http.client.HTTPConnection(HOST, port, timeout=_ANSWER_SECS)
        try:
            connection.putrequest(method, path, skip_accept_encoding=True)
            for name, value in headers.items():
                connection.putheader(name, value)
            connection.endheaders()
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return EdgeAnswer(answer.status, found, answer.read())
        finally:
            connection.close()

    @property
    def daemon(self) -> Daemon:
        """Its process; killed, it can be started again where it was."""
        assert self._daemon is not None, "it has not booted"
        return self._daemon

    @property
    def log(self) -> str:
        """Everything that it has said: a line for each request, and errors."""
        return "" if self._daemon is None else self._daemon.log.read_text("utf-8", "replace")


def _address(text: str) -> StoreAddress:
    host, _, port = text.partition(":")
    return StoreAddress("http", host, int(port))


def syntax_fault(program: Path, file: Path, folder: Path) -> str | None:
    """Return what nginx's own check says against a file; None where it takes it."""
    command = [str(program), "-t", "-p", str(folder), "-c", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
    return None if done.returncode == 0 else (done.stdout + done.stderr).strip()
