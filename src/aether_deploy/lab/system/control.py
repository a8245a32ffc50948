"""Asking a lab that runs in another process: one question a connection, JSON lines over a Unix socket.

The socket lies in the folder of the process that keeps the lab, in one that only its user may enter; where that is
somebody else's, nothing is asked.
"""

import contextlib
import fcntl
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, Protocol

import msgspec

from aether_deploy.lab.system.accepting import accepted
from aether_deploy.lab.system.faults import LabFault
from aether_deploy.lab.system.record import FaultRecord, LabRecord
from aether_deploy.lab.workplace import own_workplaces
from aether_deploy.problems import ConfigError, EffectError, Problem

SOCKET = "control.sock"
LOG = "lab.log"
NO_LAB = "no lab is up\n  fix: aether-deploy lab up FILE boots one"
ONE_AT_A_TIME = "a lab is up already\n  fix: aether-deploy lab down ends it"
Tell = Callable[[str], None]

_STAYS = "the lab has ended, and the process that kept it has not\n  fix: see which runs: pgrep -f lab.system.keeper"
_LOCK = ".lab.lock"
_LEAVE_SECS = 60.0
_POLL_SECS = 0.05
_LONGEST_PATH = 100
_LONGEST_QUESTION = 65536


class InEffect(msgspec.Struct, frozen=True):
    """A fault that nobody has undone: as it was asked for, and when, seconds since the lab was up."""

    fault: str
    at: float


class LabStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How a lab is.

    Attributes:
        record: The lab and everything that was done to it.
        in_effect: What nobody has undone.
        complaints: What ended though nobody ended it.
        watching: The fault that is being watched; empty where none is.
        watch_left_secs: For how long it is watched at most from now on, seconds; None where none is, or it is not done
            yet.
    """

    record: LabRecord
    in_effect: tuple[InEffect, ...] = ()
    complaints: tuple[str, ...] = ()
    watching: str = ""
    watch_left_secs: float | None = None


class Ended(msgspec.Struct, frozen=True):
    """What a lab ended with: its members, and how many processes each had left."""

    processes: dict[str, int]


class Question(msgspec.Struct, frozen=True):
    """What is asked of a lab.

    Attributes:
        ask: What it is.
        fault: Of ``fault``: what is done.
        most_secs: Of ``fault``: longest time to watch.
    """

    ask: Literal["status", "fault", "down"]
    fault: LabFault | None = None
    most_secs: float | None = None


class Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of an answer: what is going on, then what came of it, or why nothing did."""

    tell: str | None = None
    answer: Any = None
    problems: tuple[Problem, ...] = ()
    refused: str | None = None


class Keeper(Protocol):
    """Who answers."""

    def status(self) -> LabStatus: ...

    def fault(self, fault: LabFault, most_secs: float | None, tell: Tell) -> FaultRecord: ...

    def down(self) -> Ended: ...


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Be the only one of this user who keeps a lab while the block runs, however it ends.

    Raises:
        EffectError: Somebody else is; or the folder of all labs is not ours.
    """
    with (own_workplaces() / _LOCK).open("wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise EffectError(ONE_AT_A_TIME) from error
        yield


# --- answering


class ControlSocket:
    """Listens in a folder, and lets a keeper answer; each connection has a thread."""

    def __init__(self, folder: Path, keeper: Keeper) -> None:
        """Listen from now on.

        Raises:
            EffectError: The folder's path is too long for a socket.
        """
        path = folder / SOCKET
        if len(os.fsencode(path)) > _LONGEST_PATH:
            raise EffectError(f"{path}: too long for a socket\n  fix: let TMPDIR name a folder with a shorter path")
        self._keeper = keeper
        self._open: set[threading.Thread] = set()
        self._over = threading.Event()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._thread = threading.Thread(target=self._listen, name="lab-control", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Take no more questions, and let those that were taken be answered."""
        self._over.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for each in list(self._open):
            each.join(_LAST_ANSWER_SECS)

    def _listen(self) -> None:
        for connection in accepted(self._listener, self._over):
            thread = threading.Thread(target=self._serve, args=(connection,), name="lab-question", daemon=True)
            self._open.add(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection, connection.makefile("rb") as reader:
            _send(connection, self._answer(reader.readline(_LONGEST_QUESTION), connection))
        self._open.discard(threading.current_thread())

    def _answer(self, line: bytes, connection: socket.socket) -> Line:
        def tell(text: str) -> None:
            with contextlib.suppress(OSError):  # who asked is gone; what was begun goes on
                _send(connection, Line(tell=text))

        try:
            question = msgspec.json.decode(line, type=Question)
            return Line(answer=self._asked(question, tell))
        except ConfigError as error:
            return Line(problems=tuple(error.problems))
        except (EffectError, msgspec.MsgspecError) as error:
            return Line(refused=str(error))
        except Exception as error:  # it is said there, and the lab goes on
            return Line(refused=f"the lab could not answer: {type(error).__name__}: {error}\n  fix: please report it")

    def _asked(self, question: Question, tell: Tell) -> Any:
        match question:
            case Question(ask="fault", fault=LabFault() as fault):
                return self._keeper.fault(fault, question.most_secs, tell)
            case Question(ask="down"):
                return self._keeper.down()
            case _:
                return self._keeper.status()


_LAST_ANSWER_SECS = 5.0


def _send(connection: socket.socket, line: Line) -> None:
    connection.sendall(msgspec.json.encode(line) + b"\n")


# --- asking


def ask_status() -> LabStatus:
    """Return how the lab is that is up.

    Raises:
        EffectError: None is.
    """
    return msgspec.convert(_ask(Question("status"), _say_nothing), type=LabStatus)


def ask_fault(fault: LabFault, *, most_secs: float | None, tell: Tell) -> FaultRecord:
    """Do something to the lab that is up, and return what came of it.

    Raises:
        ConfigError: There is no such target.
        EffectError: No lab is up, or it watches another fault.
    """
    return msgspec.convert(_ask(Question("fault", fault, most_secs), tell), type=FaultRecord)


def ask_down() -> Ended:
    """End the lab that is up; returns when everything of it is gone.

    Raises:
        EffectError: None is, or something of it is still there.
    """
    ended = msgspec.convert(_ask(Question("down"), _say_nothing), type=Ended)
    deadline = time.monotonic() + _LEAVE_SECS
    while time.monotonic() < deadline:  # who kept it answers before it has left
        with contextlib.suppress(EffectError), alone():
            (own_workplaces() / LOG).unlink(missing_ok=True)
            return ended
        time.sleep(_POLL_SECS)
    raise EffectError(_STAYS)


def _say_nothing(text: str) -> None:
    pass


def _ask(question: Question, tell: Tell) -> Any:
    connection = connected()
    if connection is None:
        raise EffectError(NO_LAB)
    with connection:
        connection.sendall(msgspec.json.encode(question) + b"\n")
        for line in _lines(connection):
            if line.tell is not None:
                tell(line.tell)
            elif line.problems:
                raise ConfigError(line.problems)
            elif line.refused is not None:
                raise EffectError(line.refused)
            elif line.answer is not None:
                return line.answer
    raise EffectError("the lab ended before it answered\n  fix: aether-deploy lab up FILE boots another")


def _lines(connection: socket.socket) -> Iterator[Line]:
    with contextlib.suppress(ConnectionError), connection.makefile("rb") as reader:
        for line in reader:
            yield msgspec.json.decode(line, type=Line)


def connected() -> socket.socket | None:
    """Return a connection to the lab of this user that is up; None where none is.

    Raises:
        EffectError: The folder of all labs is not ours.
    """
    for path in sorted(own_workplaces().glob(f"run-*/{SOCKET}")):
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(str(path))
        except OSError:  # a leftover of one that was killed
            connection.close()
            continue
        return connection
    return None
