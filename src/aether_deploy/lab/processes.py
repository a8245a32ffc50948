"""Programs that run beside us for a while, and end with us, however we end."""

import ctypes
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from aether_deploy.lab.interrupts import deferred
from aether_deploy.problems import EffectError

OWNER = "AETHER_DEPLOY_LAB"
"""Environment variable of every program that we start: the folder of its control plane."""

_PR_SET_PDEATHSIG = 1
_POLL_SECS = 0.05
_LOG_LINES = 6
# klog marks errors and fatal ones; the others are what Go programs say before they end.
_TELLING = re.compile(
    r"^[EF]\d{4} |\bpanic:|\bfatal\b|\berror:|^Error|\blevel=error\b|\"level\":\"(error|fatal|panic)\"", re.IGNORECASE
)


class DaemonError(EffectError):
    """A program did not start, ended by itself, or does not answer; the message quotes its log."""


def _dying_with_us() -> Callable[[], None] | None:
    """Return what has the kernel end a child when we end, a ``kill -9`` included; None where no kernel does.

    It runs between fork and exec, so all that can be made beforehand is.
    """
    if sys.platform != "linux":
        return None
    library, us = ctypes.CDLL(None), os.getpid()

    def ask() -> None:
        library.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != us:  # we ended before we could ask
            os._exit(1)

    return ask


class Daemon:
    """One program that runs until it is stopped.

    Attributes:
        name: What messages call it.
        log: Everything that it prints.
    """

    def __init__(self, name: str, command: Sequence[str], folder: Path, *, works_in: Path | None = None) -> None:
        """Prepare a program.

        Args:
            name: What messages call it.
            command: The program and its arguments.
            folder: The folder of the control plane; its log goes there.
            works_in: Where it runs; left out, in ``folder``.
        """
        self.name = name
        self.log = folder / f"{name}.log"
        self._command = list(command)
        self._works_in = works_in or folder
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        return None if self._process is None or self._process.poll() is not None else self._process.pid

    @property
    def code(self) -> int | None:
        """How it ended, negative by a signal; None while it runs, or where it was never started."""
        return None if self._process is None else self._process.poll()

    def start(self) -> None:
        """Start the program in a session of its own, so that Ctrl-C reaches us first.

        Raises:
            DaemonError: The program cannot be run.
        """
        try:
            with self.log.open("ab") as log, deferred():
                self._process = subprocess.Popen(
                    self._command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    cwd=self._works_in,
                    env={**os.environ, OWNER: str(self.log.parent)},
                    start_new_session=True,
                    preexec_fn=_dying_with_us(),
                )
        except OSError as error:
            fix = "see that the file can be run, and that the folder can be written"
            raise DaemonError(f"{self.name} cannot be started: {error.strerror}\n  fix: {fix}") from error

    def check(self) -> None:
        """Raise if the program has ended by itself.

        Raises:
            DaemonError: It has; with the lines of its log that tell why.
        """
        if self._process is not None and (code := self._process.poll()) is not None:
            raise DaemonError(f"{self.name} ended by itself ({_ending(code)})\n{self._quoted()}\n  fix: {self._fix()}")

    def wait_until(self, ready: Callable[[], bool], within_secs: float) -> None:
        """Wait until ``ready`` says so.

        Raises:
            DaemonError: The program ended, or is not ready in time.
        """
        deadline = time.monotonic() + within_secs
        while not ready():
            self.check()
            if time.monotonic() > deadline:
                self.check()
                reason = f"{self.name} is not ready after {within_secs:g} s"
                raise DaemonError(f"{reason}\n{self._quoted()}\n  fix: {self._fix()}")
            time.sleep(_POLL_SECS)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the program, if it runs."""
        if (pid := self.pid) is not None:
            os.kill(pid, number)

    def stop(self, grace_secs: float) -> None:
        """End the program: ask it, and after ``grace_secs`` insist. Returns when it is gone."""
        if self._process is None:
            return
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        try:
            self._process.wait(grace_secs)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def kill(self) -> None:
        """End the program at once, even one that is stopped; :meth:`reap` waits until it is gone."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()

    def reap(self) -> None:
        """Wait until the program is gone."""
        if self._process is not None:
            self._process.wait()

    def _quoted(self) -> str:
        lines = self.log.read_text("utf-8", "replace").splitlines() if self.log.exists() else []
        telling = [line for line in lines if _TELLING.search(line)]
        if not telling or len(lines) <= _LOG_LINES:
            telling = lines
        quoted = [f"  {self.name}: {line[:400]}" for line in telling[-_LOG_LINES:]]
        return "\n".join(quoted) or f"  {self.name} wrote no log"

    def _fix(self) -> str:
        text = self.log.read_text("utf-8", "replace") if self.log.exists() else ""
        if "address already in use" in text:
            return "another program took the port meanwhile; run again"
        if "no space left on device" in text:
            return "free some space, or let TMPDIR name a folder on a larger disk, then run again"
        return "see the lines of its log above"


def _ending(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"


def free_ports(count: int) -> tuple[list[int], list[socket.socket]]:
    """Return TCP ports on the loopback address that nobody has, and the sockets that keep them so.

    A socket that is bound and does not listen keeps the kernel from giving its port to anybody who asks for any.
    On Linux a program may listen there nevertheless, if it sets SO_REUSEADDR as Go programs do. Elsewhere it may
    not, so no sockets are returned.
    """
    sockets = []
    for _ in range(count):
        each = socket.socket()
        sockets.append(each)
        each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        each.bind(("127.0.0.1", 0))
    ports = [int(each.getsockname()[1]) for each in sockets]
    if sys.platform == "linux":
        return ports, sockets
    for each in sockets:
        each.close()
    return ports, []
