"""Worlds in a lab: the reference world server in each zone, each with players of its own."""

import contextlib
import re
import secrets
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import aether_deploy.lab
from aether_deploy.fleet.config import DeploymentConfig
from aether_deploy.infrastructure.estate import Estate
from aether_deploy.lab.processes import Daemon, free_ports
from aether_deploy.lab.programs import MissingProgramsError
from aether_deploy.lab.system.loopback import free_datagram_port
from aether_deploy.lab.system.member import Member, Probe
from aether_deploy.lab.system.members.pods import Configs, Pod, PodsMember, Seat, configs_of, seats_of
from aether_deploy.lab.system.network import HOST, Address, Network, Server, Transport
from aether_deploy.platform.config import Platform

SECTION = "worlds"
PACKAGED = "world_server"
"""Folder of this package that holds the reference world server where it is installed; beside its sources it lies among
the examples."""

_PROGRAM = "world_server.py"
_WITHIN_SECS = 0.9
_READY_SECS = 1.0
_LINE_BYTES_MAX = 2048
_COLUMN = 1_000_000
"""What a coordinate of the reference world's protocol stays below."""


def members_of(platform: Platform, network: Network) -> Sequence[Member]:
    """Return a member for each world of the description.

    Raises:
        MissingProgramsError: The reference world server is not beside this package.
    """
    return [
        WorldMember(view.name, configs_of(platform, view), platform.estate, network)
        for view in platform.authored
        if view.section == SECTION and view.regions
    ]


def world_server_file() -> Path:
    """Return the program of the reference world server.

    Raises:
        MissingProgramsError: It is not there: the package was taken apart.
    """
    package = Path(aether_deploy.lab.__file__).parent
    for folder in (package / PACKAGED, package.parents[2] / "examples/world-server"):
        if (folder / _PROGRAM).is_file():
            return folder / _PROGRAM
    raise MissingProgramsError(
        "the reference world server is not beside this package\n  fix: pip install --force-reinstall aether-deploy"
    )


class WorldMember(PodsMember):
    """One fleet of worlds. What it keeps outlives its processes, as their volumes do."""

    kind = "world"

    def __init__(self, name: str, configs: Configs, estate: Estate, network: Network) -> None:
        """Look for the reference world server; nothing runs before the block is entered.

        Raises:
            MissingProgramsError: It is not beside this package.
        """
        super().__init__(name, configs, estate)
        self._network = network
        self._program = world_server_file()
        self.left_out = (f"{name}: the reference world server runs in place of its image, one in each zone",)

    def _prepare(self, folder: Path) -> Iterator[Pod]:
        for seat in seats_of(self._estate, self._configs):
            yield self._pod(seat, folder)

    def _pod(self, seat: Seat, folder: Path) -> Pod:
        numbers, held = free_ports(1)
        for each in held:
            self._life.callback(each.close)
        web, game = Address(HOST, numbers[0]), Address(HOST, free_datagram_port())
        config = self._configs[seat.region]
        volume = folder / seat.file
        settings = {
            **{key: value for key, value in config.env.items() if key.startswith("WORLD_")},
            "POD_INDEX": str(seat.number),
            "WORLD_HOST": HOST,
            "WORLD_HTTP_PORT": str(web.port),
            "WORLD_UDP_PORT": str(game.port),
            "WORLD_WAL_DIR": str(volume / "wal"),
            "WORLD_ARCHIVE_DIR": str(volume / "archive"),
        }
        command = ["env", *(f"{key}={value}" for key, value in settings.items())]
        daemon = Daemon(seat.file, [*command, sys.executable, "-E", "-S", "-B", str(self._program)], folder)
        ports = {name: game if protocol == "UDP" else web for name, protocol in _ports(config)}
        return Pod(seat, daemon, lambda: _is_ready(web), leads=(seat.name,), ports={**ports, "": game})

    def _opened(self) -> None:
        for pod in self._pods:
            for name, protocol in _ports(self._configs[pod.seat.region]):
                where = Server(self.name, pod.seat.region, name, pod.seat.number + 1)
                self._network.publish(where, pod.ports[name], protocol)
        for code, config in self._configs.items():
            for name, protocol in _ports(config):
                self._front(self._network, code, name, protocol)

    def probes(self) -> Sequence[Probe]:
        return [PlayerProbe(self.name, pod.seat, pod.ports[""]) for pod in self._pods]


class PlayerProbe(Probe):
    """A player of one world, who goes to the place that an entry's number names; where he is, he is after a crash."""

    def __init__(self, member: str, seat: Seat, address: Address) -> None:
        self.member, self.part, self.region = member, seat.name, seat.region
        self._name, self._token = f"lab-{secrets.token_hex(4)}", ""
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.connect(address)

    def write(self, number: int) -> None:
        place = f"{number % _COLUMN} {number // _COLUMN}"
        deadline = time.monotonic() + _WITHIN_SECS
        if not self._token:
            self._join(deadline)
        self._ask(f"MOVE {self._token} {place}", rf"MOVED \d+ {place}", deadline)

    def read(self) -> None:
        deadline = time.monotonic() + _WITHIN_SECS
        if not self._token:
            self._join(deadline)
        self._ask(f"STATE {self._token}", r"STATE \d+ .*", deadline)

    def missing(self, numbers: Sequence[int]) -> Sequence[int]:
        """Return the entries after the place where he is: of those before it only the last one is kept."""
        deadline = time.monotonic() + _WITHIN_SECS
        if not self._token:
            x, y = self._join(deadline)
        else:
            found = self._ask(f"STATE {self._token}", rf"STATE \d+ .*?{self._name}:(\d+):(\d+).*", deadline)
            x, y = int(found[1]), int(found[2])
        return [number for number in numbers if number > x + _COLUMN * y]

    def close(self) -> None:
        self._socket.close()

    def _join(self, deadline: float) -> tuple[int, int]:
        found = self._ask(f"JOIN {self._name}", r"WELCOME (\w+) (-?\d+) (-?\d+)", deadline)
        self._token = found[1]
        return int(found[2]), int(found[3])

    def _ask(self, text: str, wanted: str, deadline: float) -> re.Match[str]:
        """Return the answer to a datagram; what was an answer to an earlier one is left out.

        Raises:
            OSError: There is none in time, or nobody listens.
            ConnectionError: The world knows him no more; the next question joins it anew.
        """
        with contextlib.suppress(BlockingIOError):
            self._socket.setblocking(False)
            while self._socket.recv(_LINE_BYTES_MAX):
                pass
        self._socket.settimeout(max(0.01, deadline - time.monotonic()))
        self._socket.send(text.encode())
        while True:
            said = self._socket.recv(_LINE_BYTES_MAX).decode("ascii", "replace").strip()
            if found := re.fullmatch(wanted, said):
                return found
            if said.startswith(("ERROR", "REFUSED")):
                if said.startswith("ERROR"):  # it knows him no more; while it loads it knows nobody yet
                    self._token = ""
                raise ConnectionError(f"the world says: {said}")
            self._socket.settimeout(max(0.01, deadline - time.monotonic()))


def _ports(config: DeploymentConfig) -> Iterator[tuple[str, Transport]]:
    """Yield names and protocols of the two ports that the reference server has: what the kubelet asks, and the game."""
    asked = config.probes.readiness.port
    open_ports = [each for each in config.ports if each.enabled]
    web = next((each for each in open_ports if each.protocol == "TCP" and each.port == asked), None)
    game = next((each for each in open_ports if each.protocol == "UDP"), None)
    if web is not None:
        yield web.name, "TCP"
    if game is not None:
        yield game.name, "UDP"


def _is_ready(web: Address) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(web, _READY_SECS) as asked:
        asked.settimeout(_READY_SECS)
        asked.sendall(b"GET /readyz HTTP/1.1\r\nhost: lab\r\nconnection: close\r\n\r\n")
        return b" 200 " in asked.recv(_LINE_BYTES_MAX)
    return False
