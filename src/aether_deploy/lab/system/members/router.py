"""The router in a lab: the rendered configuration, with addresses of this machine in place of host names."""

import contextlib
import json
import ssl
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from aether_deploy.lab.processes import Daemon, free_ports
from aether_deploy.lab.system.asking import Secured, ask, ask_any
from aether_deploy.lab.system.member import Member, Probe
from aether_deploy.lab.system.members.pods import Configs, Pod, PodsMember, Seat, configs_of, seats_of
from aether_deploy.lab.system.members.service import authority_word
from aether_deploy.lab.system.network import HOST, Address, Network, Server
from aether_deploy.lab.system.relays import Targets
from aether_deploy.platform.config import Platform
from aether_deploy.platform.routing_config import ROUTER
from aether_deploy.platform.routing_workloads import ROUTER_FILE
from aether_deploy.routing.probe_target import target_of
from aether_deploy.traffic.backend import Landscape

PORT = "http"
_PROGRAM = "from aether_deploy.cli.main import main; main()"
"""The command line of this package, by this Python, wherever its script lies."""

_SELF_CHECK = "self-check"
_ANSWER_SECS = 0.45


def members_of(platform: Platform, network: Network) -> Sequence[Member]:
    """Return the router of ``platform``; none where it describes none."""
    where = platform.landscape
    return [
        RouterMember(configs_of(platform, each.view), platform, where, network)
        for each in platform.directed
        if each.view.name == ROUTER and where is not None
    ]


class RouterMember(PodsMember):
    """The router of every region."""

    kind = "router"

    def __init__(self, configs: Configs, platform: Platform, where: Landscape, network: Network) -> None:
        """Look at what it is told; nothing runs before the block is entered."""
        super().__init__(ROUTER, configs, platform.estate)
        self._where, self._network = where, network
        self.left_out = tuple(_left_out(configs))

    # --- life

    def _prepare(self, folder: Path) -> Iterator[Pod]:
        outside = self._network.front(Server(self.name, "", _SELF_CHECK), lambda: ())
        for seat in seats_of(self._estate, self._configs):
            file = folder / f"router-{seat.region}.json"
            if not file.exists():
                file.write_text(json.dumps(self.told(seat.region, outside), indent=2), "utf-8")
            yield self._pod(seat, file, folder)

    def told(self, region: str, outside: Address) -> dict[str, Any]:
        """Return the configuration as it is rendered for a region, but for whom it asks."""
        files = self._configs[region].config_files
        told: dict[str, Any] = json.loads(next(each.text or "" for each in files if each.path == ROUTER_FILE))
        for each in told["regions"]:
            if (url := each.get("probe")) is not None:
                each["probe"], each["server_name"] = self._asked(region, each, url)
        if told.get("self_check") is not None:
            told["self_check"] = (
                f"tcp://localhost:{outside.port}"  # by another name than regions: it is outside of them
            )
        return told

    def _asked(self, region: str, told: Mapping[str, Any], url: str) -> tuple[str, str]:
        """Return the URL that a router asks here for another, and the name that the certificate must be for."""
        target = target_of(url, told.get("server_name"))
        question = self._where.question
        assert question is not None, "who is asked is asked something"
        found = self._network.reach(region, Server(self._where.entry.name, str(told["code"]), question.port[0]))
        path = "" if target.scheme == "tcp" else target.path
        return f"{target.scheme}://{found}{path}", target.server_name

    def _pod(self, seat: Seat, file: Path, folder: Path) -> Pod:
        numbers, held = free_ports(1)
        for each in held:
            self._life.callback(each.close)
        address = Address(HOST, numbers[0])
        command = [sys.executable, "-c", _PROGRAM, "router", "serve", "-q"]
        settings = ["--config", str(file), "--listen", str(address)]
        trusting = [] if (trusted := self._trusted()) is None else ["env", f"SSL_CERT_FILE={trusted}"]
        daemon = Daemon(seat.file, [*trusting, *command, *settings], folder)
        return Pod(seat, daemon, lambda: _is_ready(address), ports={PORT: address})

    def _trusted(self) -> str | None:
        question = self._where.question
        if question is None or question.scheme != "https":
            return None
        return self._network.noted(authority_word(self._where.entry.name))

    def _opened(self) -> None:
        for pod in self._pods:
            where = Server(self.name, pod.seat.region, PORT, pod.seat.number + 1)
            self._network.publish(where, pod.ports[PORT])
        for code in self._configs:
            self._front(self._network, code, PORT)

    # --- who asks it

    def probes(self) -> Sequence[Probe]:
        question, trusted = self._where.question, self._trusted()
        entry = self._where.entry.name
        context = None if trusted is None else ssl.create_default_context(cafile=trusted)
        found = []
        for code in self._where.regions:
            routers = [self._ways(code, Server(self.name, each, PORT)) for each in self._nearest(code)]
            entries = {}
            if question is not None:
                for each in self._where.entry.regions:
                    entries[each] = self._ways(code, Server(entry, each, question.port[0]))
            name = (question.server_name if question is not None else None) or "localhost"
            path = (question.path if question is not None else None) or "/"
            secured = None if context is None else Secured(context, name)
            found.append(RoutedProbe(code, routers, entries, path, secured))
        return found

    def _ways(self, code: str, server: Server) -> Targets:
        return lambda: self._network.ways(code, server)

    def _nearest(self, code: str) -> list[str]:
        """Return the regions that have a router, as a player of one region asks them: his own first."""
        order = self._where.order.get(code, ())
        return [each for each in dict.fromkeys((code, *order, *self._configs)) if each in self._configs]


class RoutedProbe(Probe):
    """A player of one region: asks where to go, and goes there."""

    member = ROUTER

    def __init__(
        self,
        region: str,
        routers: Sequence[Targets],
        entries: Mapping[str, Targets],
        path: str,
        secured: Secured | None,
    ) -> None:
        self.region = region
        self._routers, self._entries = routers, entries
        self._path, self._secured = path, secured

    def write(self, number: int) -> None:
        self.read()

    def read(self) -> None:
        """Ask the nearest router that answers, and then the entry of the region that it names.

        Raises:
            OSError: No router answers, or the region that one names does not.
        """
        answer = json.loads(self._told())
        entry = self._entries.get(str(answer["region"]))
        if entry is not None:
            ask_any(entry(), self._path, within_secs=_ANSWER_SECS, secured=self._secured)

    def _told(self) -> bytes:
        for each in self._routers:
            with contextlib.suppress(OSError):
                return ask_any(each(), f"/v1/route?preferred={self.region}", within_secs=_ANSWER_SECS)
        raise ConnectionError("no router answers")

    def close(self) -> None:
        """Nothing stays open between two questions."""


def _is_ready(address: Address) -> bool:
    """Whether a router serves, and has found every region healthy."""
    with contextlib.suppress(OSError, ValueError):
        ask(address, "/readyz", within_secs=_ANSWER_SECS)
        regions = json.loads(ask(address, "/v1/regions", within_secs=_ANSWER_SECS))["regions"]
        return all(each["health"] != "unhealthy" for each in regions)
    return False


def _left_out(configs: Configs) -> Iterator[str]:
    first = next(iter(configs.values()))
    if first.secret_files:
        yield f"{ROUTER}: without what its Secrets hold: it takes no orders and signs nothing"
    if any('"self_check"' in (each.text or "") for each in first.config_files):
        yield f"{ROUTER}: in place of routing.self_check it asks an address of this machine"
