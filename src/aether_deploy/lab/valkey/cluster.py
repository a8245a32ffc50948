"""A real cluster of one region on this machine: our files, real nodes, and failures at will."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack
from pathlib import Path

import msgspec

from aether_deploy.infrastructure.estate import Estate, EstateRegion
from aether_deploy.infrastructure.kinds.valkey import ValkeyConfig
from aether_deploy.infrastructure.valkey.job import FILE, MODULE, plan_file
from aether_deploy.infrastructure.valkey.layout import Node, host_of, nodes_of
from aether_deploy.infrastructure.valkey.ports import BUS, CLIENT
from aether_deploy.infrastructure.valkey.rendering import files_of
from aether_deploy.infrastructure.valkey.starting import (
    CONFIG_FILE,
    CONFIG_FOLDER,
    PASSWORD_COPY,
    PAUSE,
    POD_IP,
    POD_NAME,
    SCRIPT_FILE,
    password_file,
)
from aether_deploy.infrastructure.valkey.timing import return_pause_secs
from aether_deploy.infrastructure.valkey.views import Seen, fields_in, peers_in
from aether_deploy.jobs.valkey_protocol import Connection, NoAnswer, Refused, Reply
from aether_deploy.lab.life import Booted
from aether_deploy.lab.processes import Daemon
from aether_deploy.lab.valkey.addresses import Addresses
from aether_deploy.lab.valkey.programs import find_valkey_server
from aether_deploy.lab.workplace import Workplace
from aether_deploy.problems import EffectError

ROOM_MB = 100
PASSWORD = 'sessions "word\\ of#the $lab'
"""A password with everything in it that a shell or the server's file could take for something else."""

_READY_SECS = 120.0
_POLL_SECS = 0.05
_ANSWER_SECS = 10.0
_JOB_SECS = 240.0


class NodePlace(msgspec.Struct, frozen=True, kw_only=True):
    """One node of a lab: who it is, its address, and its folder (``nodes.conf`` and its script)."""

    node: Node
    address: str
    folder: Path


class ValkeyCluster(Booted):
    """The cluster of one region.

        with ValkeyCluster(config, estate, "us") as valkey:
            valkey.reconcile()
            valkey.kill(*valkey.pods("us-a"))

    Nodes run the script and read the file that the ConfigMap holds. Replaced in them are: the three folders, the path
    of the program, and ``bind``. Everything ends with the block, and with this process, however that ends.

    Attributes:
        places: Every node by the name of its pod.
    """

    def __init__(self, config: ValkeyConfig, estate: Estate, region: str) -> None:
        """Prepare the nodes of ``config`` in a region; nothing runs before the block is entered.

        Raises:
            MissingProgramsError: The server is not on this machine; with what brings it.
        """
        found = estate.region(region)
        assert found is not None
        self.config = config
        self.estate = estate
        self.region: EstateRegion = found
        self.places: dict[str, NodePlace] = {}
        self._program = find_valkey_server()
        self._daemons: dict[str, Daemon] = {}
        self._life = ExitStack()
        self._folder = Path()
        self._addresses = Addresses((CLIENT[1], BUS[1]))

    # --- life

    def _end(self) -> None:
        self._life.close()

    def _boot(self) -> None:
        workplace = Workplace.new(room_mb=ROOM_MB)
        self._life.callback(workplace.remove)
        self._life.callback(self._end_nodes)
        self._folder = workplace.folder
        self.password_file.write_text(PASSWORD + "\n", "utf-8")
        for node in nodes_of(self.config, self.region):
            folder = workplace.folder / node.pod
            folder.mkdir()
            self._place(NodePlace(node=node, address=self._addresses.new(), folder=folder))
        self.start(*self.pods())
        self.wait_until(self._all_answer, _READY_SECS, "all nodes answer")

    def _all_answer(self) -> bool:
        for daemon in self._daemons.values():
            daemon.check()  # one that ended answers never
        return len(self.look()) == len(self.places)

    def _end_nodes(self) -> None:
        for daemon in self._daemons.values():
            daemon.kill()
        for daemon in self._daemons.values():
            daemon.reap()

    # --- files

    @property
    def password_file(self) -> Path:
        return self._folder / "password"

    def replaced(self, place: NodePlace) -> dict[str, str]:
        """Return what is written otherwise than in the ConfigMap: each text, and what stands in its place."""
        return {
            f"exec valkey-server {CONFIG_FOLDER}/": f"exec {self._program} {place.folder}/",
            password_file(self.config): str(self.password_file),
            PASSWORD_COPY: f"{place.folder}/password",
            f"{self.config.pvc.mount_path}/": f"{place.folder}/",
            f"dir {self.config.pvc.mount_path}\n": f"dir {place.folder}\n",
            "bind * -::*\n": f"bind {place.address}\n",
        }

    def _place(self, place: NodePlace) -> None:
        self.places[place.node.pod] = place
        for name, text in files_of(self.config, self.estate).items():
            for rendered, here in self.replaced(place).items():
                text = text.replace(rendered, here)
            (place.folder / name).write_text(text, "utf-8")
        assert CONFIG_FOLDER not in (place.folder / SCRIPT_FILE).read_text("utf-8")
        assert (place.folder / CONFIG_FILE).is_file()
        pause = return_pause_secs(self.config.node_timeout_ms)
        variables = [f"{POD_NAME}={place.node.pod}", f"{POD_IP}={place.address}", f"{PAUSE}={pause}"]
        command = ["env", *variables, "sh", str(place.folder / SCRIPT_FILE)]
        self._daemons[place.node.pod] = Daemon(place.node.pod, command, self._folder, works_in=place.folder)

    def plan(self, *, wait_secs: float = 120.0, settings: Mapping[str, str] | None = None) -> Path:
        """Write the file of the reconcile program, with addresses in place of host names; return where it is."""
        said = plan_file(self.config, self.estate, self.region)
        for shard in said["shards"]:
            for node in shard["nodes"]:
                node["host"] = self.places[node["name"]].address
        said |= {"wait_secs": wait_secs, "password_file": str(self.password_file)}
        said["settings"] = {**said["settings"], **(settings or {})}
        file = self._folder / FILE
        file.write_text(json.dumps(said), "utf-8")
        return file

    @property
    def folder(self) -> Path:
        """The folder of its files."""
        return self._folder

    def daemon(self, pod: str) -> Daemon:
        """Return the process of a node."""
        return self._daemons[pod]

    def reconcile(
        self, *, wait_secs: float = 120.0, settings: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run the program that the CronJob runs; return what it said."""
        command = [sys.executable, "-m", MODULE, str(self.plan(wait_secs=wait_secs, settings=settings))]
        return subprocess.run(command, capture_output=True, text=True, timeout=_JOB_SECS, check=False)

    # --- who is there

    def pods(self, zone: str | None = None) -> list[str]:
        """Return the names of the nodes of a zone, or of all."""
        return [pod for pod, place in self.places.items() if zone in (None, place.node.datacenter.zone)]

    def pod(self, shard: int, copy: int = 0) -> str:
        """Return the name of the node that is planned to keep a copy of a shard; copy 0 is its primary."""
        return next(pod for pod, place in self.places.items() if (place.node.shard, place.node.copy) == (shard, copy))

    def running(self) -> list[str]:
        """Return the names of the nodes that run."""
        return [pod for pod, daemon in self._daemons.items() if daemon.pid is not None]

    @property
    def hosts(self) -> dict[str, str]:
        """The address of each node by the host name that it announces."""
        return {host_of(self.config, self.estate, pod): place.address for pod, place in self.places.items()}

    # --- what they say

    def call(self, pod: str, *words: str) -> Reply:
        """Return a node's answer to a command.

        Raises:
            NoAnswer: There is none.
            Refused: It is an error.
        """
        with Connection((self.places[pod].address, CLIENT[1]), answer_secs=_ANSWER_SECS) as connection:
            connection.call("AUTH", PASSWORD)
            return connection.call(*words)

    def look(self, *, silent: Collection[str] = ()) -> dict[str, Seen]:
        """Return what each node says that answers; those that are known to be ``silent`` are not asked."""
        found = {}
        for pod in self.running():
            if pod in silent:
                continue
            try:
                found[pod] = self._look_at(pod)
            except (NoAnswer, Refused, ValueError):
                continue
        return found

    def _look_at(self, pod: str) -> Seen:
        address = self.places[pod].address
        with Connection((address, CLIENT[1]), answer_secs=_ANSWER_SECS) as connection:
            connection.call("AUTH", PASSWORD)
            replication = fields_in(connection.text("INFO", "replication"))
            return Seen(
                address=f"{address}:{CLIENT[1]}",
                peers=peers_in(connection.text("CLUSTER", "NODES")),
                serves="cluster_state:ok" in connection.text("CLUSTER", "INFO"),
                synced=replication.get("master_link_status") == "up",
            )

    def primaries(self, *, silent: Collection[str] = ()) -> dict[int, str]:
        """Return which node that answers says that it is primary of each shard; ``silent`` ones are not asked."""
        found = {}
        for pod, seen in self.look(silent=silent).items():
            if seen.me.slots:
                found[self.places[pod].node.shard] = pod
        return found

    def is_planned(self) -> bool:
        """Return whether every shard has its planned primary, every replica its copy, and all hold that for fit."""
        views = self.look()
        return len(views) == len(self.places) and all(
            seen.serves and (bool(seen.me.slots) if self.places[pod].node.copy == 0 else seen.synced)
            for pod, seen in views.items()
        )

    def log(self, pod: str) -> str:
        """Return everything that a node has said."""
        return self._daemons[pod].log.read_text("utf-8", "replace")

    # --- waiting

    def wait_until(self, holds: Callable[[], bool], within_secs: float, what: str) -> float:
        """Wait until ``holds`` says so; return how long that took, seconds.

        Raises:
            EffectError: The time is over.
        """
        begun = time.monotonic()
        while not holds():
            if time.monotonic() - begun > within_secs:
                told = {pod: sorted(seen.me.flags) for pod, seen in self.look().items()}
                raise EffectError(f"not within {within_secs:g} s: {what}; nodes say {told}")
            time.sleep(_POLL_SECS)
        return time.monotonic() - begun

    # --- what befalls them

    def start(self, *pods: str) -> None:
        """Start nodes that do not run; one that was primary waits before it serves."""
        for pod in pods:
            self._daemons[pod].start()

    def kill(self, *pods: str) -> None:
        """End nodes at once, as a lost machine does."""
        for pod in pods:
            self._daemons[pod].kill()
        for pod in pods:
            self._daemons[pod].reap()

    def stop(self, *pods: str, grace_secs: float = 60.0) -> None:
        """Ask nodes to end, as a kubelet does, and wait for it."""
        for pod in pods:
            self._daemons[pod].stop(grace_secs)

    def signal(self, number: signal.Signals, *pods: str) -> None:
        """Send nodes a signal: SIGSTOP freezes, SIGCONT lets them go on."""
        for pod in pods:
            self._daemons[pod].signal(number)

    def move(self, *pods: str) -> None:
        """Give nodes that do not run other addresses, as pods get that are made anew."""
        for pod in pods:
            assert pod not in self.running()
            self._place(msgspec.structs.replace(self.places[pod], address=self._addresses.new()))

    def lose_files(self, *pods: str) -> None:
        """Take the volumes of nodes that do not run away from them."""
        for pod in pods:
            assert pod not in self.running()
            os.remove(self.places[pod].folder / "nodes.conf")
