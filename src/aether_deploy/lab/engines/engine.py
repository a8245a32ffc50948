"""What every engine here can do, and the life of its programs."""

import itertools
import socket
import time
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import msgspec

from aether_deploy.lab.applying import MANAGER
from aether_deploy.lab.client import ApiError, Client
from aether_deploy.lab.control_plane import ControlPlane
from aether_deploy.lab.crds import CustomKind, find_definition, install_definitions
from aether_deploy.lab.life import Booted
from aether_deploy.lab.processes import Daemon, free_ports
from aether_deploy.lab.programs import BRING, MissingProgramsError, Program, find_program
from aether_deploy.problems import EffectError

_START_SECS = 90.0
_SYNC_SECS = 120.0
_HTTP_NOT_FOUND = 404

Body = dict[str, Any]
Phase = Literal["working", "waiting", "ready", "failed", "suspended"]


class State(msgspec.Struct, frozen=True, kw_only=True):
    """How one piece stands that an engine applies by itself: an Application, or a Kustomization.

    Attributes:
        name: Its kind and name.
        attempted: The commit that the engine last worked on; empty where it never did.
        applied: The commit that it last applied as a whole; empty where it never did.
        phase: ``waiting`` is for other pieces; ``failed`` may be tried again.
        message: The engine's own words.
    """

    name: str
    attempted: str
    applied: str
    phase: Phase
    message: str

    def __str__(self) -> str:
        return f"{self.name}: {self.phase} at {self.attempted[:8] or 'nothing'}: {self.message}"


class Published(msgspec.Struct, frozen=True, kw_only=True):
    """A tree that was published, as an engine finds it.

    Attributes:
        url: Address of the repository.
        branch: The branch that it follows.
        path: Folder of the engine's own objects in the repository.
        objects: What lies in that folder.
    """

    url: str
    branch: str
    path: str
    objects: Sequence[Mapping[str, Any]]


class Engine(Booted):
    """One engine beside one control plane, within its block. Everything that it runs ends with the block.

        with ControlPlane("v1.37.2") as plane, FluxEngine(plane) as engine:
            engine.bootstrap(published)
            engine.sync_now()
            states = engine.wait_for(commit)

    What it made in the control plane stays there, as in a cluster whose engine is taken away.

    Attributes:
        title: Its name.
        group: What brings all that it needs: the argument of ``python -m aether_deploy.lab``.
        needs: Its programs.
        kinds: The kinds that it is told in.
        manager: Field manager by which it applies.
        boot_secs: How long the boot took, seconds.
    """

    title: ClassVar[str]
    group: ClassVar[str]
    needs: ClassVar[tuple[Program, ...]]
    kinds: ClassVar[tuple[CustomKind, ...]]
    manager: ClassVar[str]

    def __init__(self, plane: ControlPlane) -> None:
        """Prepare the engine; nothing runs before the block is entered.

        Raises:
            MissingProgramsError: Programs, or the definitions of its kinds, are not on this machine.
        """
        self._programs = self._found()
        self._plane = plane
        self._daemons: dict[str, Daemon] = {}
        self._held: list[socket.socket] = []
        self._requests = itertools.count(1)
        self.boot_secs = 0.0

    def _found(self) -> dict[str, Path]:
        found = {program.name: find_program(program) for program in self.needs} | self._besides()
        missing = [name for name, path in found.items() if path is None]
        missing += [kind.name for kind in self.kinds if find_definition(kind) is None]
        if missing:
            reason = f"{self.title} needs what is not on this machine: {', '.join(missing)}"
            raise MissingProgramsError(f"{reason}\n  fix: {'; '.join(self._fixes(missing))}")
        return {name: path for name, path in found.items() if path is not None}

    def _besides(self) -> dict[str, Path | None]:
        """Return where programs lie that are not built here, by name."""
        return {}

    def _fixes(self, missing: Sequence[str]) -> list[str]:
        """Return what brings each of what is missing."""
        others = self._besides()
        built = any(name not in others for name in missing)
        return [f"`{BRING} {self.group}` builds what needs Go"] if built else []

    # --- life

    def _boot(self) -> None:
        begun = time.monotonic()
        self._folder.mkdir(exist_ok=True)
        install_definitions(self._plane, self.kinds)
        self._boot_programs()
        self.boot_secs = time.monotonic() - begun

    def _end(self) -> None:
        for daemon in self._daemons.values():
            daemon.kill()
        for daemon in self._daemons.values():
            daemon.reap()
        self._daemons.clear()
        for each in self._held:
            each.close()
        self._held.clear()

    def check(self) -> None:
        """Raise if a program of the engine or of the control plane has ended by itself.

        Raises:
            DaemonError: It has; the message quotes its log.
        """
        self._plane.check()
        for daemon in list(self._daemons.values()):
            daemon.check()

    @property
    def pids(self) -> dict[str, int]:
        """Process id of each program that runs, by name."""
        return {name: pid for name, daemon in self._daemons.items() if (pid := daemon.pid) is not None}

    @property
    def _folder(self) -> Path:
        return self._plane.folder / self.group

    @property
    def _client(self) -> Client:
        return self._plane.client

    @abstractmethod
    def _boot_programs(self) -> None:
        """Start the programs, in order, and wait until they are ready."""

    # --- what one may ask of it

    def register(self, *clusters: str) -> None:
        """Make the control plane known to the engine by these names; one that runs in its cluster needs none."""
        del clusters

    @abstractmethod
    def bootstrap(self, published: Published) -> None:
        """Let the engine follow what was published, as its documentation has it done by hand, once."""

    @abstractmethod
    def sync_now(self) -> None:
        """Have the engine look at the repository now, and at the cluster; it goes on by itself."""

    @abstractmethod
    def status(self) -> list[State]:
        """Return how every piece stands."""

    def wait_for(self, commit: str, within_secs: float = _SYNC_SECS) -> list[State]:
        """Wait until the engine is through with a commit: everything is applied and healthy, or has failed.

        Returns:
            How every piece stands then.

        Raises:
            EffectError: It is not through in time; the message has the engine's own words.
        """
        states: list[State] = []

        def through() -> bool:
            states[:] = self.status()
            return is_through(states, commit)

        try:
            self.wait(through, f"{self.title} is through with {commit[:8]}", within_secs)
        except EffectError as error:
            said = "\n".join(f"  {each}" for each in states)
            raise EffectError(f"{error}\n{said}") from error
        return states

    def wait(self, ready: Callable[[], bool], what: str, within_secs: float = _START_SECS) -> None:
        """Wait until ``ready`` says so, and notice a program that ends meanwhile.

        Raises:
            EffectError: Not in time, or a program ended.
        """

        def looked() -> bool:
            self.check()
            return ready()

        self._plane.wait_for(looked, what, within_secs)

    # --- for its modules

    def _ports(self, count: int) -> list[int]:
        ports, held = free_ports(count)
        self._held += held
        return ports

    def _start(self, name: str, command: Iterable[str], environment: Mapping[str, str]) -> None:
        # env(1) becomes the program, under the same process id.
        words = ["env", *(f"{key}={value}" for key, value in environment.items()), *command]
        daemon = Daemon(name, words, self._plane.folder, works_in=self._folder)
        daemon.log.unlink(missing_ok=True)  # of an engine that was here before
        self._daemons[name] = daemon
        daemon.start()

    def _ready(self, name: str, ready: Callable[[], bool]) -> None:
        def alive_and_ready() -> bool:
            self.check()
            return ready()

        self._daemons[name].wait_until(alive_and_ready, _START_SECS)

    def _answers(self, name: str, port: int, path: str) -> None:
        asked = Client(port, None, name=name, timeout_secs=2)
        self._ready(name, lambda: asked.text(path) is not None)

    def _apply(self, body: Mapping[str, Any]) -> None:
        self._client.apply(body, manager=MANAGER, force=True)

    def _make_namespace(self, name: str) -> None:
        self._apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})

    def _annotate(self, body: Mapping[str, Any], annotations: Mapping[str, str | None]) -> None:
        self._patch(body, {"metadata": {"annotations": dict(annotations)}})

    def _patch(self, body: Mapping[str, Any], change: Mapping[str, Any]) -> None:
        """Merge a change into an object, which may be gone by now."""
        try:
            self._client.patch(self._client.path_to(body), change)
        except ApiError as error:
            if error.status != _HTTP_NOT_FOUND:
                raise


def is_through(states: Iterable[State], commit: str) -> bool:
    """Return whether an engine is through with a commit.

    A piece that waits for a failed one will not be. One that failed without a commit has failed to read it.
    """
    found = [state for state in states if state.phase != "suspended"]
    here = [state for state in found if state.phase in ("ready", "failed") and state.attempted == commit]
    here += [state for state in found if state.phase == "failed" and not state.attempted]
    failed = any(state.phase == "failed" for state in here)
    rest = [state for state in found if state not in here]
    return bool(here) and (not rest or (failed and all(state.phase == "waiting" for state in rest)))
