"""A real Kubernetes control plane on this machine: no containers, no root, gone when the block ends."""

import functools
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aether_deploy.lab.client import Client
from aether_deploy.lab.flags import (
    Pace,
    api_server_flags,
    audit_policy,
    controller_manager_flags,
    etcd_flags,
    kubeconfig,
    scheduler_flags,
)
from aether_deploy.lab.interrupts import deferred
from aether_deploy.lab.nodes import ZONE, FakeNode, fake_nodes, kubelet_stages, storage_class, volume_stages
from aether_deploy.lab.processes import Daemon, DaemonError, free_ports
from aether_deploy.lab.programs import MissingProgramsError, control_plane_programs, find_programs
from aether_deploy.lab.workplace import Workplace
from aether_deploy.problems import EffectError

_START_SECS = 90.0
_GRACE_SECS = 5.0
_DYING_SECS = 0.5
_ASK_SECS = 2.0  # who is not ready may not answer at all, and is asked again
ROOM_MB = 256
"""Space that a control plane needs: etcd takes half of it at once."""

DEFAULT_CLASS = "lab-default"
USER = "admin"


class ControlPlane:
    """One control plane, which stands for one cluster.

        with ControlPlane("v1.37.2", nodes=fake_nodes(["a", "b", "c"])) as cluster:
            cluster.client.list("v1", "Node")

    Everything that it runs ends with the block: on return, on an exception, on Ctrl-C, and, where the system is
    Linux, with the thread that entered it, however it ends. Enter it in a thread that lives as long as the block.

    Attributes:
        version: Version of Kubernetes that judges.
        nodes: The nodes that it was given.
        client: Requests to its API server.
        kubeconfig: A file by which ``kubectl`` reaches it.
        boot_secs: How long the boot took, seconds.
    """

    def __init__(
        self,
        version: str,
        *,
        nodes: Sequence[FakeNode] | None = None,
        storage_classes: Sequence[str] = (),
        pace: Pace | None = None,
        programs: Mapping[str, Path] | None = None,
        ports: Sequence[int] | None = None,
        records_autoscalers: bool = False,
    ) -> None:
        """Prepare a control plane; nothing runs before the block is entered.

        Args:
            version: Version of Kubernetes, such as ``v1.37.2``.
            nodes: Its nodes; left out, three in each of three zones.
            storage_classes: Names of StorageClasses beside the default one.
            pace: How fast the controllers react.
            programs: Where the programs lie; left out, they are looked for.
            ports: Ports to use, for tests; left out, free ones.
            records_autoscalers: Write down what autoscalers read, propose and do.

        Raises:
            MissingProgramsError: Programs, or the extra ``[lab]``, are not on this machine.
        """
        need_certificates()
        self.version = version
        self.nodes = tuple(fake_nodes(("zone-a", "zone-b", "zone-c")) if nodes is None else nodes)
        self.boot_secs = 0.0
        self._classes = tuple(storage_classes)
        self._pace = pace or Pace()
        self._programs = dict(programs or find_programs(control_plane_programs(version)))
        self._ports = list(ports or ())
        self._recorded = records_autoscalers
        self._held: list[socket.socket] = []
        self._place: Workplace | None = None
        self._daemons: dict[str, Daemon] = {}
        self.client: Client

    # --- life

    def __enter__(self) -> Self:
        begun = time.monotonic()
        try:
            with deferred():
                self._place = Workplace.new(room_mb=ROOM_MB)
            self._boot()
        except OSError as error:
            self.close()
            raise EffectError(
                f"{error.filename or 'the folder of the control plane'}: {error.strerror}\n"
                "  fix: let TMPDIR name a folder that can be written and has room"
            ) from error
        except BaseException as error:
            self._end_after(error)
            raise
        self.boot_secs = time.monotonic() - begun
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end_after(error)

    def _end_after(self, error: BaseException | None) -> None:
        """End everything; where a request failed because a program ended, say that instead."""
        try:
            if isinstance(error, EffectError) and not isinstance(error, DaemonError):
                self._look_for_the_dying(error)
        finally:
            self.close()

    def _look_for_the_dying(self, error: EffectError) -> None:
        deadline = time.monotonic() + _DYING_SECS  # its connections end a moment before the program is seen to
        while self._daemons and time.monotonic() < deadline:
            try:
                self.check()
            except DaemonError as cause:
                raise cause from error
            time.sleep(0.05)

    def close(self) -> None:
        """End everything and remove the folder; safe to call twice. Ctrl-C waits until it is done."""
        try:
            with deferred():
                self._end()
        except KeyboardInterrupt:
            with deferred():
                self._end()
            raise

    def _end(self) -> None:
        # At once, for nothing is worth keeping; asked to end, kube-apiserver would first wait for an etcd that hangs.
        for daemon in self._daemons.values():
            daemon.kill()
        for daemon in self._daemons.values():
            daemon.reap()
        self._daemons.clear()
        for each in self._held:
            each.close()
        self._held.clear()
        if self._place is not None:
            self._place.remove()
            self._place = None

    def check(self) -> None:
        """Raise if a program has ended by itself.

        Raises:
            DaemonError: It has; the message quotes its log.
        """
        for daemon in list(self._daemons.values()):
            daemon.check()

    @property
    def folder(self) -> Path:
        """Where its keys, logs and data lie while it runs."""
        assert self._place is not None
        return self._place.folder

    @property
    def kubeconfig(self) -> Path:
        """A file by which ``kubectl`` reaches it as an administrator."""
        return self.folder / f"{USER}.kubeconfig"

    @property
    def kubectl(self) -> Path:
        """The ``kubectl`` of its version."""
        return self._programs["kubectl"]

    @property
    def pids(self) -> dict[str, int]:
        """Process id of each program that runs, by name."""
        return {name: pid for name, daemon in self._daemons.items() if (pid := daemon.pid) is not None}

    # --- zones

    @property
    def zones(self) -> tuple[str, ...]:
        """The zones of its nodes."""
        return tuple(dict.fromkeys(node.zone for node in self.nodes))

    def nodes_in(self, zone: str) -> tuple[FakeNode, ...]:
        """Return the nodes of a zone."""
        return tuple(node for node in self.nodes if node.zone == zone)

    def cut_zone(self, zone: str) -> None:
        """Silence the kubelets of a zone: its nodes become unreachable, and nobody ends its pods."""
        name = _kubelets(self.zones.index(zone))
        self._daemons[name].stop(_GRACE_SECS)
        del self._daemons[name]

    def join_zone(self, zone: str) -> None:
        """Let the kubelets of a zone speak again."""
        self._start_kubelets(self.zones.index(zone))

    def lose_zone(self, zone: str) -> None:
        """Take the nodes of a zone away, as when its machines are gone for good."""
        self.cut_zone(zone)
        for node in self.nodes_in(zone):
            self.client.delete("v1", "Node", node.name)

    def return_zone(self, zone: str) -> None:
        """Give the nodes of a lost zone back."""
        for node in self.nodes_in(zone):
            self.client.create(node.body())
        self.join_zone(zone)

    def wait_for(self, ready: Callable[[], bool], what: str, within_secs: float = _START_SECS) -> None:
        """Wait until ``ready`` says so, and notice a program that ends meanwhile.

        Raises:
            EffectError: Not in time, or a program ended.
        """
        deadline = time.monotonic() + within_secs
        while not ready():
            self.check()
            if time.monotonic() > deadline:
                raise EffectError(f"{what}: not after {within_secs:g} s\n  fix: see whether the machine is overloaded")
            time.sleep(0.05)

    # --- boot

    def _boot(self) -> None:
        from aether_deploy.lab.certificates import CLIENTS, write_certificates

        write_certificates(self.folder)
        ports = self._ports
        if not ports:
            ports, self._held = free_ports(6 + len(self.zones))
        etcd, peers, api, controllers, scheduler, *kwok = ports
        self._kwok_ports = kwok
        for user, _, _ in CLIENTS:
            (self.folder / f"{user}.kubeconfig").write_text(kubeconfig(self.folder, user, api), "utf-8")
        self._start("etcd", etcd_flags(self.folder, etcd, peers))
        if self._recorded:
            (self.folder / "audit.yaml").write_text(audit_policy(), "utf-8")
        self._start("kube-apiserver", api_server_flags(self.folder, api, etcd, self._pace, recorded=self._recorded))
        self.client = Client.from_certificates(api, self.folder, USER)
        asked = Client.from_certificates(api, self.folder, USER, timeout_secs=_ASK_SECS)
        self._ready("kube-apiserver", lambda: asked.text("/readyz") == "ok")
        flags = controller_manager_flags(self.folder, controllers, self._pace, recorded=self._recorded)
        self._start("kube-controller-manager", flags)
        self._start("kube-scheduler", scheduler_flags(self.folder, scheduler))
        for file, text in (("volumes", volume_stages(self.nodes)), ("kubelets", kubelet_stages())):
            (self.folder / f"{file}.yaml").write_text(text, "utf-8")
        self._start_kwok("volumes", "volumes", "lab.aether.io/nothing=true", kwok[0])
        for place in range(len(self.zones)):
            self._start_kubelets(place)
        for name in (DEFAULT_CLASS, *self._classes):
            self.client.create(storage_class(name, default=name == DEFAULT_CLASS))
        for node in self.nodes:
            self.client.create(node.body())
        for name, port in (("kube-controller-manager", controllers), ("kube-scheduler", scheduler)):
            asked = Client(port, _trusting(), timeout_secs=_ASK_SECS)
            self._ready(name, functools.partial(_is_healthy, asked))
        self.wait_for_nodes()
        self.wait_for(self._accounts_are_made, "service accounts are made")

    def wait_for_nodes(self) -> None:
        """Wait until all nodes are ready.

        Raises:
            EffectError: They are not in time: this machine is too busy to play their kubelets.
        """
        self.wait_for(self._nodes_are_ready, "nodes become ready")

    def _nodes_are_ready(self) -> bool:
        ready = [
            condition
            for node in self.client.list("v1", "Node")
            for condition in node.get("status", {}).get("conditions", ())
            if condition["type"] == "Ready" and condition["status"] == "True" and not node["spec"].get("taints")
        ]
        return len(ready) == len(self.nodes)

    def _accounts_are_made(self) -> bool:
        return self.client.find("v1", "ServiceAccount", "default", "default") is not None

    def _start(self, name: str, flags: Sequence[str], program: str | None = None) -> None:
        daemon = Daemon(name, [str(self._programs[program or name]), *flags], self.folder)
        self._daemons[name] = daemon
        daemon.start()

    def _ready(self, name: str, ready: Callable[[], bool]) -> None:
        def alive_and_ready() -> bool:
            self.check()
            return ready()

        self._daemons[name].wait_until(alive_and_ready, _START_SECS)

    def _start_kubelets(self, place: int) -> None:
        selector = f"{ZONE}={self.zones[place]}"
        self._start_kwok(_kubelets(place), "kubelets", selector, self._kwok_ports[place + 1])

    def _start_kwok(self, name: str, stages: str, selector: str, port: int) -> None:
        number = 128 + self._kwok_ports.index(port)  # an address range of its own, or two pods would share one
        flags = [
            f"--kubeconfig={self.folder / 'kwok.kubeconfig'}",
            f"--config={self.folder / stages}.yaml",
            f"--manage-nodes-with-label-selector={selector}",
            "--manage-all-nodes=false",
            "--node-lease-duration-seconds=0",
            f"--server-address=127.0.0.1:{port}",
            f"--node-ip=10.{number}.255.1",
            f"--cidr=10.{number}.0.1/16",
        ]
        self._start(name, flags, "kwok")


def need_certificates() -> None:
    """See that what makes certificates is installed.

    Raises:
        MissingProgramsError: It is not.
    """
    if find_spec("cryptography") is None:
        raise MissingProgramsError(
            "a control plane needs the package cryptography\n  fix: pip install 'aether-deploy[lab]'"
        )


def _is_healthy(client: Client) -> bool:
    return client.text("/healthz") == "ok"


def _kubelets(place: int) -> str:
    return f"kubelets-{place}"


def _trusting() -> Any:
    """Return TLS settings for asking a program of ours for its health: its certificate is self-signed."""
    import ssl

    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
