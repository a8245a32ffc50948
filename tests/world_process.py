"""The world server of examples/world-server as a process of its own, and players who speak to it."""

import importlib.util
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import Any, Self

from aether_deploy.contract.asking import NoReply, Reply, Target, ask
from aether_deploy.contract.exposition import read_exposition

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "examples/world-server"
PATIENCE_SECS = 90.0
"""How long a test waits for what must happen; far beyond what it takes."""


def wal_module() -> ModuleType:
    """Return the example's wal.py."""
    spec = importlib.util.spec_from_file_location("example_wal", EXAMPLE / "wal.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


WAL = wal_module()

FLOOR = 3
"""Of pod 2, while anything would be lost with it."""

HISTORY: list[dict[str, Any]] = [
    {"op": "join", "name": "ada", "token": "a1"},
    {"op": "tick", "moves": {"a1": [1, 2]}},
    {"op": "tick", "moves": {"a1": [3, 4]}},
]


def wait_for(what: str, condition: Callable[[], Any], *, every_secs: float = 0.02) -> Any:
    """Return what ``condition`` returns once that is true."""
    deadline = time.monotonic() + PATIENCE_SECS
    while not (found := condition()):
        assert time.monotonic() < deadline, f"after {PATIENCE_SECS:g} s there is no {what}"
        time.sleep(every_secs)
    return found


class Player:
    """A socket that speaks the players' protocol."""

    def __init__(self, port: int, name: str = "ada") -> None:
        self.name = name
        self.token = ""
        self.told: list[str] = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.connect(("127.0.0.1", port))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def ask(self, text: str, within_secs: float = PATIENCE_SECS) -> str:
        """Return the answer to a datagram; what is said without being asked goes to ``told``.

        Raises:
            OSError: There is none.
        """
        self._socket.send(text.encode())
        return self.hear(within_secs)

    def hear(self, within_secs: float = PATIENCE_SECS) -> str:
        self._socket.settimeout(within_secs)
        while (said := self._socket.recv(2048).decode().rstrip("\n")).startswith("GO "):
            self.told.append(said)
        return said

    def hear_what_came(self) -> list[str]:
        """Return everything that he was told without having asked."""
        self._socket.setblocking(False)
        with suppress(OSError):
            while said := self._socket.recv(2048).decode().rstrip("\n"):
                self.told.append(said)
        return self.told

    def join(self) -> Self:
        answer = self.ask(f"JOIN {self.name}")
        found = re.fullmatch(r"WELCOME (\w+) -?\d+ -?\d+", answer)
        assert found, answer
        self.token = found[1]
        return self

    def leave(self) -> None:
        assert self.ask(f"LEAVE {self.token}") == "BYE"


class World:
    """The server's process; ``start`` again after it ended and it finds its log."""

    def __init__(self, folder: Path, **settings: object) -> None:
        self.wal, self.archive, self.log = folder / "wal", folder / "archive", folder / "server.log"
        self.settings = {"POD_INDEX": 2, "WORLD_HOST": "127.0.0.1", "WORLD_HTTP_PORT": 0, "WORLD_UDP_PORT": 0}
        self.settings |= {"WORLD_PLAYER_TIMEOUT_SECS": PATIENCE_SECS, "WORLD_WAL_DIR": self.wal}
        self.settings |= {"WORLD_ARCHIVE_DIR": self.archive, **settings}
        self.process: subprocess.Popen[bytes] | None = None
        self.http, self.udp = 0, 0

    def start(self) -> Self:
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("WORLD_", "POD_"))}
        environment |= {key: str(value) for key, value in self.settings.items()}
        with self.log.open("wb") as log:
            command = [sys.executable, "-B", str(EXAMPLE / "world_server.py")]
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        self.http, self.udp = wait_for("world that listens", self._ports)
        return self

    def _ports(self) -> tuple[int, int] | None:
        assert self.process is not None
        ended = self.process.poll() is not None
        found = re.search(r"listens: http (\d+), udp (\d+)", self.said)
        assert found or not ended, self.said
        return (int(found[1]), int(found[2])) if found else None

    @property
    def said(self) -> str:
        return self.log.read_text()

    @property
    def target(self) -> Target:
        return Target("127.0.0.1", self.http)

    def get(self, path: str, within_secs: float = PATIENCE_SECS) -> Reply:
        reply = ask(self.target, path, within_secs=within_secs)
        assert not isinstance(reply, NoReply), f"{path}: {reply}\n{self.said}"
        return reply

    def status(self, path: str) -> int:
        return self.get(path).status

    def drain(self) -> dict[str, Any]:
        """Call /drain and wait for its answer."""
        answer: dict[str, Any] = json.loads(self.get("/drain").body)
        return answer

    def admit(self, replicas: object) -> Reply:
        body = json.dumps({"joinable_replicas": replicas}).encode()
        reply = ask(self.target, "/admission", within_secs=PATIENCE_SECS, method="POST", body=body)
        assert isinstance(reply, Reply)
        return reply

    def gauge(self, name: str) -> float:
        """Return a number from the metrics, ``aether_world_`` left out of its name."""
        read = read_exposition(self.get("/metrics").body)
        assert read.faults == []
        (sample,) = read.of(f"aether_world_{name}")
        return sample.value

    def wait_until_ready(self) -> Self:
        wait_for("world that is ready", lambda: self.status("/readyz") == 200)
        return self

    def player(self, name: str = "ada") -> Player:
        return Player(self.udp, name)

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def wait(self) -> int:
        """Wait for the process to end and return its exit code."""
        assert self.process is not None
        return self.process.wait(PATIENCE_SECS)

    def stop(self) -> int:
        self.signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def records(self) -> list[dict[str, Any]]:
        """Return every whole record of the log."""
        lines = [line for path in sorted(self.wal.glob("wal-*.log")) for line in path.read_bytes().splitlines(True)]
        return [record for line in lines if (record := WAL.decode(line)) is not None]

    def is_archived(self) -> bool:
        """Whether the archive holds the same bytes as the log."""
        return _files(self.wal) == _files(self.archive)


def _files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("wal-*"))}


def write_segment(path: Path, records: Sequence[dict[str, Any]], first: int = 1) -> None:
    """Write a segment of the log, as the server would have."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(WAL.encode({"n": first + place, **record}) for place, record in enumerate(records)))


class HeldReplay:
    """A log on a disk that is as slow as a test wants: the replay goes on when ``release`` is called."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self._pipe = folder / "wal-000000000001.log"
        os.mkfifo(self._pipe)

    def release(self) -> None:
        with self._pipe.open("wb") as pipe:
            pipe.write(WAL.encode({"n": 1, "op": "join", "name": "ada", "token": "a1"}))
            pipe.write(WAL.encode({"n": 2, "op": "leave", "token": "a1", "why": "asked"}))


@contextmanager
def running(world: World) -> Iterator[World]:
    """Start a world, and see to it that it ends."""
    try:
        yield world.start()
    finally:
        world.kill()
