"""What was done to the processes of a member, so that what they do by themselves is told apart from it."""

from collections.abc import Iterable
from typing import Protocol

from aether_deploy.lab.processes import Daemon
from aether_deploy.lab.system.record import ProcessState

PACE_SECS = 0.2
"""From the start of one process to that of the next at mending: what starts takes a machine from those who serve."""


class Runs(Protocol):
    """What has a process id while it runs."""

    @property
    def pid(self) -> int | None:
        """The process id; None where it does not run."""


def address_of(region: str, name: str) -> str:
    """Return what is unique among all processes, as :attr:`aether_deploy.lab.system.member.LabProcess.address`."""
    return f"{region}/{name}"


class Standing:
    """Which processes of a member were ended and which were frozen, by any name that tells them apart."""

    def __init__(self) -> None:
        self._ended: set[str] = set()
        self._frozen: set[str] = set()

    def end(self, names: Iterable[str]) -> None:
        """Note that processes were ended."""
        gone = set(names)
        self._ended |= gone
        self._frozen -= gone

    def freeze(self, names: Iterable[str]) -> None:
        """Note that processes were stopped; one that was ended stays so."""
        self._frozen |= set(names) - self._ended

    def mend(self, names: Iterable[str]) -> None:
        """Note that processes go on, or were started again."""
        back = set(names)
        self._ended -= back
        self._frozen -= back

    def is_ended(self, name: str) -> bool:
        """Return whether somebody ended it."""
        return name in self._ended

    def is_frozen(self, name: str) -> bool:
        """Return whether somebody stopped it."""
        return name in self._frozen

    def state_of(self, name: str, daemon: Runs) -> ProcessState:
        """Return what a process does now; any thread may ask."""
        if daemon.pid is None:
            return "ended"
        return "frozen" if name in self._frozen else "running"

    def check(self, name: str, daemon: Daemon) -> None:
        """Raise if a process ended by itself.

        Raises:
            DaemonError: It did; the message quotes its log.
        """
        if name not in self._ended:
            daemon.check()
