"""Services in a lab: a stand-in in each zone, at the rendered ports' names, behind one address in each region."""

import json
import socket
import ssl
import sys
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

from aether_deploy.lab.processes import Daemon, free_ports
from aether_deploy.lab.programs import MissingProgramsError
from aether_deploy.lab.system import stand_in
from aether_deploy.lab.system.asking import Secured, ask_any
from aether_deploy.lab.system.loopback import free_datagram_port
from aether_deploy.lab.system.member import Member, Probe
from aether_deploy.lab.system.members.pods import Configs, Pod, PodsMember, Seat, configs_of, seats_of
from aether_deploy.lab.system.network import HOST, Address, Network, Server
from aether_deploy.lab.system.relays import Targets
from aether_deploy.platform.config import Platform
from aether_deploy.pods.parts import PortConfig
from aether_deploy.traffic.backend import Landscape

SECTION = "services"
_ANSWER_SECS = 0.5
"""Shorter than a pause that a client would notice: of several pods one may hang, and the next is asked then."""

_CERTIFICATE = "service"
_AUTHORITY = "authority"


def members_of(platform: Platform, network: Network) -> Sequence[Member]:
    """Return a member for each service.

    Raises:
        MissingProgramsError: One speaks TLS, and what makes certificates is not on this machine.
    """
    return [
        ServiceMember(view.name, configs_of(platform, view), platform, network)
        for view in platform.authored
        if view.section == SECTION and view.regions
    ]


def authority_word(name: str) -> str:
    """Return under what name a service tells the others which file holds who vouches for it."""
    return f"who vouches for {name}"


class ServiceMember(PodsMember):
    """One service."""

    kind = "service"

    def __init__(self, name: str, configs: Configs, platform: Platform, network: Network) -> None:
        """Look at what it needs; nothing runs before the block is entered.

        Raises:
            MissingProgramsError: It speaks TLS, and what makes certificates is not on this machine.
        """
        super().__init__(name, configs, platform.estate)
        self._landscape, self._network = platform.landscape, network
        self._secured = {code: _secured_ports(config.ports, self._landscape, name) for code, config in configs.items()}
        if any(self._secured.values()) and find_spec("cryptography") is None:
            raise MissingProgramsError(
                f"{name} speaks TLS, and cryptography is not installed\n  fix: pip install 'aether-deploy[lab]'"
            )
        self._folder = Path()
        self.left_out = (
            f"{name}: a stand-in answers for it: every question with who it is, datagrams with themselves",
        )

    # --- life

    def _prepare(self, folder: Path) -> Iterator[Pod]:
        self._folder = folder
        if any(self._secured.values()):
            self._certify(folder)
        for seat in seats_of(self._estate, self._configs):
            yield self._pod(seat, folder)

    def _certify(self, folder: Path) -> None:
        from aether_deploy.lab.certificates import Authority  # needs cryptography, which may be missing

        authority = Authority(f"aether-lab-{self.name}")
        authority.write(folder, _AUTHORITY)
        where = self._landscape
        names = [] if where is None else [where.hostname, *where.entry.addresses.values()]
        authority.issue(folder, _CERTIFICATE, name=self.name, server=True, hosts=[each for each in names if each])
        self._network.note(authority_word(self.name), str(folder / f"{_AUTHORITY}.crt"))

    def _pod(self, seat: Seat, folder: Path) -> Pod:
        ports = _open_ports(self._configs[seat.region].ports)
        numbers, held = free_ports(len(ports))
        for each in held:
            self._life.callback(each.close)
        listening = {
            port.name: Address(HOST, free_datagram_port() if port.protocol == "UDP" else number)
            for port, number in zip(ports, numbers, strict=True)
        }
        certificate = [str(folder / f"{_CERTIFICATE}.{end}") for end in ("crt", "key")]
        told = {
            "who": {"service": self.name, "region": seat.region, "pod": seat.name, "zone": seat.datacenter},
            "ports": [
                {
                    "host": HOST,
                    "port": listening[port.name].port,
                    "protocol": port.protocol,
                    "tls": certificate if port.name in self._secured[seat.region] else None,
                }
                for port in ports
            ],
        }
        daemon = Daemon(seat.file, [sys.executable, "-I", "-S", stand_in.__file__, json.dumps(told)], folder)
        return Pod(seat, daemon, lambda: "listens" in daemon.log.read_text("utf-8"), ports=listening)

    def _opened(self) -> None:
        for pod in self._pods:
            for name, address in pod.ports.items():
                self._network.publish(Server(self.name, pod.seat.region, name, pod.seat.number + 1), address)
        for code, config in self._configs.items():
            for port in _open_ports(config.ports):
                self._front(self._network, code, port.name, "UDP" if port.protocol == "UDP" else "TCP")

    # --- who asks it

    def probes(self) -> Sequence[Probe]:
        return [self._probe(code) for code in self._configs]

    def _probe(self, code: str) -> Probe:
        ports = _open_ports(self._configs[code].ports)
        secured = self._secured[code]
        best = min(ports, key=lambda port: (port.protocol == "UDP", port.name in secured))
        server = Server(self.name, code, best.name)
        if best.protocol == "UDP":
            return EchoProbe(self.name, code, self._network.find(server))
        trusted = self._folder / f"{_AUTHORITY}.crt" if best.name in secured else None
        context = None if trusted is None else Secured(ssl.create_default_context(cafile=str(trusted)), "localhost")
        path = self._configs[code].probes.readiness.path or "/"
        return AskingProbe(self.name, code, lambda: self._network.ways(code, server), path, context)


class AskingProbe(Probe):
    """Asks a service of one region for its readiness."""

    def __init__(self, member: str, region: str, ways: Targets, path: str, secured: Secured | None) -> None:
        self.member, self.region = member, region
        self._ways, self._path, self._secured = ways, path, secured

    def write(self, number: int) -> None:
        self.read()

    def read(self) -> None:
        ask_any(self._ways(), self._path, within_secs=_ANSWER_SECS, secured=self._secured)

    def close(self) -> None:
        """Nothing stays open between two questions."""


class EchoProbe(Probe):
    """Sends a service of one region a datagram, as somebody new each time, and waits until it comes back."""

    def __init__(self, member: str, region: str, address: Address) -> None:
        self.member, self.region = member, region
        self._address = address

    def write(self, number: int) -> None:
        self.read()

    def read(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(_ANSWER_SECS)
            client.connect(self._address)
            client.send(b"lab")
            client.recv(2048)

    def close(self) -> None:
        """Nothing stays open between two questions."""


def _open_ports(ports: Sequence[PortConfig]) -> list[PortConfig]:
    return [each for each in ports if each.enabled and each.protocol in ("TCP", "UDP")]


def _secured_ports(ports: Sequence[PortConfig], where: Landscape | None, name: str) -> frozenset[str]:
    """Return which ports speak TLS: those that are called so, and the one at which routing asks for it."""
    found = {each.name for each in _open_ports(ports) if each.protocol == "TCP" and each.name.startswith("https")}
    if where is not None and where.entry.name == name and where.question is not None:
        asked = where.question
        found = found | {asked.port[0]} if asked.scheme == "https" else found - {asked.port[0]}
    return frozenset(found)
