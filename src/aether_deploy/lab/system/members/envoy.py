"""Envoys in a lab: the rendered files, each Envoy on an address of its own, and a DNS server for each region."""

import contextlib
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from aether_deploy.lab.envoy import Edge, find_envoy
from aether_deploy.lab.system.asking import Secured, anybody, ask
from aether_deploy.lab.system.loopback import own_addresses
from aether_deploy.lab.system.member import Member, Probe
from aether_deploy.lab.system.members.pods import Configs, Pod, PodsMember, Seat, configs_of, seats_of
from aether_deploy.lab.system.members.service import authority_word
from aether_deploy.lab.system.network import Address, Network, Server
from aether_deploy.platform.config import Platform
from aether_deploy.platform.routing import routing_of
from aether_deploy.traffic.backend import Landscape, Port, Target
from aether_deploy.traffic.envoy.parts import ListenerConfig
from aether_deploy.traffic.envoy.routes import question, stops, target_port
from aether_deploy.traffic.kinds.envoy import CONFIG_PATH, EnvoyConfig

_DATAGRAM_SECS = 0.3
_ANSWER_SECS = 0.5
_NO_WAYS = "each needs addresses of its own on the loopback network, which only Linux has"
Speech = Literal["UDP", "HTTP", "HTTPS"]


def members_of(platform: Platform, network: Network) -> Sequence[Member]:
    """Return a member for each Envoy that ``platform`` describes.

    Raises:
        MissingProgramsError: Envoy is not on this machine; with what brings it.
    """
    where = platform.landscape
    if where is None or sys.platform != "linux":
        return []
    return [EnvoyMember(backend, configs, platform, where, network) for backend, configs in _backends(platform)]


def left_out_of(platform: Platform) -> Sequence[str]:
    """Return which Envoys do not run here, each with the reason."""
    return [] if sys.platform == "linux" else [f"{each.name}: {_NO_WAYS}" for each, _ in _backends(platform)]


def _backends(platform: Platform) -> Iterator[tuple[EnvoyConfig, Configs]]:
    routing = routing_of(platform)
    for entry in platform.directed:
        for each in () if routing is None else routing.sound_backends:
            if each.name == entry.view.name and isinstance(each, EnvoyConfig):
                yield each, configs_of(platform, entry.view)


class EnvoyMember(PodsMember):
    """The Envoys of one back end, in every region."""

    kind = "envoy"

    def __init__(
        self, backend: EnvoyConfig, configs: Configs, platform: Platform, where: Landscape, network: Network
    ) -> None:
        """Look for Envoy; nothing runs before the block is entered.

        Raises:
            MissingProgramsError: It is not on this machine; with what brings it.
        """
        super().__init__(backend.name, configs, platform.estate)
        self._backend, self._where, self._network = backend, where, network
        self._program = find_envoy()
        self.left_out = (f"{backend.name}: no DNS with its waits lies between players and its Envoys",)

    # --- life

    def _prepare(self, folder: Path) -> Iterator[Pod]:
        addresses = own_addresses(self._life)
        resolvers = {code: self._network.serve_names(self._names_in(code, addresses)) for code in self._configs}
        for seat in seats_of(self._estate, self._configs):
            yield self._pod(seat, next(addresses), resolvers[seat.region], folder)

    def _pod(self, seat: Seat, address: str, resolver: Address, folder: Path) -> Pod:
        files = self._configs[seat.region].config_files
        text = next(each.text or "" for each in files if each.path == CONFIG_PATH)
        edge = Edge(self._program, text, folder, address=address, resolver=resolver, trusted_ca=self._trusted())
        return Pod(
            seat,
            edge.daemon,
            edge.is_ready,
            ports={each.name: Address(address, each.port) for each in self._backend.listeners},
        )

    def _trusted(self) -> Path | None:
        """Return the file with who vouches for the entry, where any listener asks it by its certificate."""
        asked = self._where.question
        if asked is None or not asked.verified or self._where.entry.name not in self._backend.target_names:
            return None
        return Path(self._network.noted(authority_word(self._where.entry.name)))

    def _names_in(self, code: str, addresses: Iterator[str]) -> Mapping[str, Sequence[str]]:
        """Return the addresses of the names that a region's Envoys ask for, with what leads on from there."""
        found: dict[str, list[str]] = {}
        opened: set[tuple[str, int, str]] = set()
        for listener, target, port in self._led():
            asked = question(self._where, listener, target)
            for stop in stops(self._where, code, target):
                here = found.setdefault(stop.host.lower(), [])
                if not here:
                    here.append(next(addresses))
                for each in (port, *(() if asked is None else (asked.port,))):
                    if (here[0], each[1], each[2]) not in opened:
                        opened.add((here[0], each[1], each[2]))
                        server = Server(target.name, stop.region, each[0])
                        self._network.reach_at(code, server, Address(here[0], each[1]))
        return found

    def _led(self) -> Iterator[tuple[ListenerConfig, Target, Port]]:
        """Yield each listener with the workload and the port that it leads to."""
        for each in self._backend.listeners:
            target = self._where.target(each.to)
            port = None if target is None else target_port(each, target)
            if target is not None and port is not None:
                yield each, target, port

    # --- who asks it

    def probes(self) -> Sequence[Probe]:
        return [
            SessionProbe(self.name, each.name, code, self._ways(code, each), _speech(each, port))
            for each, _, port in self._led()
            for code in self._configs
        ]

    def _ways(self, code: str, listener: ListenerConfig) -> list[Address]:
        """Return the Envoys that a player of a region may arrive at: those there, then those of the next regions."""
        order = dict.fromkeys((code, *self._where.order.get(code, ()), *self._configs))
        return [pod.ports[listener.name] for each in order for pod in self.pods_in(each)]


def _speech(listener: ListenerConfig, port: Port) -> Speech:
    if listener.transport == "UDP":
        return "UDP"
    return "HTTPS" if listener.protocol == "TCP" and port[0].startswith("https") else "HTTP"


class SessionProbe(Probe):
    """A new player of one region at one listener; whoever answers him is alive."""

    def __init__(self, member: str, part: str, region: str, ways: Sequence[Address], speech: Speech) -> None:
        self.member, self.part, self.region = member, part, region
        self._ways, self._speech = ways, speech
        self._secured = Secured(anybody(), "lab") if speech == "HTTPS" else None

    def write(self, number: int) -> None:
        self.read()

    def read(self) -> None:
        """Begin a session at the first Envoy that takes it.

        Raises:
            OSError: None does, or nobody answers behind it.
        """
        for each in self._ways:
            with contextlib.suppress(OSError):
                self._ask(each)
                return
        raise ConnectionError(f"no Envoy takes a session of {self.part}")

    def _ask(self, way: Address) -> None:
        if self._speech != "UDP":
            ask(way, "/", within_secs=_ANSWER_SECS, secured=self._secured)
            return
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as player:
            player.settimeout(_DATAGRAM_SECS)
            player.connect(way)
            player.send(b"lab")
            player.recv(2048)

    def close(self) -> None:
        """Nothing stays open between two sessions."""
