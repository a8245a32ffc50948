"""A Job of the platform as a process of a lab: it runs beside others, and ends by itself."""

import sys
import time
from pathlib import Path

from aether_deploy.lab.processes import Daemon
from aether_deploy.problems import EffectError

_POLL_SECS = 0.05
_END_SECS = 2.0


class Job:
    """One run of one of our own programs, as the container of a Job runs it.

    Attributes:
        name: What messages call it.
    """

    def __init__(self, name: str, module: str, file: Path, folder: Path) -> None:
        """Start ``python -m <module> <file>``; its log goes to ``folder``."""
        self.name = name
        self._daemon = Daemon(name, [sys.executable, "-m", module, str(file)], folder)
        self._daemon.start()

    def wait(self, within_secs: float) -> int | None:
        """Return its exit code once it has ended; None where it does not in time, and then it is ended."""
        deadline = time.monotonic() + within_secs
        while self._daemon.pid is not None:
            if time.monotonic() > deadline:
                self._daemon.stop(_END_SECS)
                return None
            time.sleep(_POLL_SECS)
        return self._daemon.code

    def need(self, within_secs: float) -> None:
        """Wait for it.

        Raises:
            EffectError: It fails, or does not end in time; with what it said.
        """
        code = self.wait(within_secs)
        if code == 0:
            return
        how = f"did not end within {within_secs:g} s" if code is None else f"failed (exit code {code})"
        raise EffectError(f"{self.name} {how}\n{self.said}\n  fix: see what it said above")

    @property
    def said(self) -> str:
        """What it said, indented."""
        text = self._daemon.log.read_text("utf-8", "replace").strip()
        return "\n".join(f"  {self.name}: {line}" for line in text.splitlines()[-8:]) or f"  {self.name} said nothing"
