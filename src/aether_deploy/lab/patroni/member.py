"""One member of a Patroni cluster on this machine: its Patroni, its PostgreSQL, and how either fails."""

import json
import re
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from aether_deploy.lab.client import Client
from aether_deploy.lab.patroni.configuration import Place
from aether_deploy.lab.patroni.process_tree import postmaster_in, signal_all, with_children
from aether_deploy.lab.patroni.programs import PatroniPrograms
from aether_deploy.lab.processes import Daemon, DaemonError

What = Literal["patroni", "postgres", "node"]
"""Which processes of a member fail: one of its two programs, or all that runs there."""

_POSTGRES_SAYS = re.compile(r" UTC \[\d+\] |^\t")
_RESTARTS = 2
_GRACE_SECS = 40.0
_ASK_SECS = 5.0


class PatroniMember:
    """One member.

    Attributes:
        name: Its name.
        place: Where it lives.
        rest: Requests to its REST API.
        restarts: How often its Patroni ended by itself and was started again.
    """

    def __init__(
        self, place: Place, configuration: Mapping[str, Any], environment: Mapping[str, str], programs: PatroniPrograms
    ) -> None:
        """Write its configuration; nothing runs before :meth:`start`."""
        self.name = place.name
        self.place = place
        self.restarts = 0
        self._wanted = False
        self.rest = Client(place.rest_port, None, name=f"patroni of {place.name}", timeout_secs=_ASK_SECS)
        place.folder.mkdir(mode=0o700)
        file = place.folder / "patroni.yml"
        file.write_text(json.dumps(configuration, indent=1), "utf-8")  # JSON is YAML
        variables = {"LANG": "C", "LC_ALL": "C", "PYTHONUNBUFFERED": "1", **environment}
        command = ["env", *(f"{name}={value}" for name, value in variables.items()), *programs.prefix]
        # The folder that marks its processes is the whole lab's, so that the next run finds them all.
        self._daemon = Daemon(f"patroni-{place.name}", [*command, *programs.patroni, str(file)], place.folder.parent)

    # --- life

    def start(self) -> None:
        """Start its Patroni, which starts PostgreSQL when it sees fit."""
        self._wanted = True
        self._daemon.start()

    def stop(self) -> None:
        """Ask its Patroni to end, which stops PostgreSQL and gives a lease away; returns when both are gone."""
        self._wanted = False
        self._daemon.stop(_GRACE_SECS)
        self.kill()

    def kill(self, what: What = "node") -> float:
        """End its processes at once, as a machine that loses power.

        Returns:
            When that was, seconds of the monotonic clock.
        """
        return self._signal(what, signal.SIGKILL)

    def let_end(self) -> None:
        """Take its end as wanted, by whomever it came, and wait until its Patroni is gone."""
        self._wanted = False
        self._daemon.reap()

    def freeze(self, what: What = "node") -> float:
        """Stop its processes without ending them, as a machine that hangs: its addresses answer nothing.

        Returns:
            When that was, seconds of the monotonic clock.
        """
        return self._signal(what, signal.SIGSTOP)

    def thaw(self, what: What = "node") -> None:
        """Let its processes go on."""
        self._signal(what, signal.SIGCONT)

    def freeze_senders(self) -> int:
        """Stop what sends its log to replicas, so that they fall behind; return how many there were.

        A receiver that is stopped would not let its replica be promoted either.
        """
        postmaster = postmaster_in(self.data)
        senders = [] if postmaster is None else [pid for pid in with_children(postmaster) if _sends(pid)]
        signal_all(senders, signal.SIGSTOP)
        return len(senders)

    def check(self) -> None:
        """Raise if its Patroni ended by itself.

        Raises:
            DaemonError: It did; the message quotes what Patroni said last. PostgreSQL says more, and less to the point.
        """
        if not self._wanted:
            return
        try:
            self._daemon.check()
        except DaemonError as error:
            reason = str(error).partition("\n")[0]
            raise DaemonError(f"{reason}\n{self.last_words()}\n  fix: see the lines of its log above") from None

    def supervise(self) -> None:
        """Start its Patroni again if it ended by itself, as a kubelet would, but not for ever.

        Raises:
            DaemonError: It ends each time; see :meth:`check`.
        """
        try:
            self.check()
        except DaemonError:
            if self.restarts >= _RESTARTS:
                raise
            self.restarts += 1
            self._daemon.start()

    def last_words(self, count: int = 8) -> str:
        """Return the last lines that its Patroni printed, each with its name."""
        lines = self.log.read_text("utf-8", "replace").splitlines() if self.log.exists() else []
        said = [line for line in lines if not _POSTGRES_SAYS.search(line)]
        return "\n".join(f"  {self._daemon.name}: {line[:400]}" for line in said[-count:])

    @property
    def pid(self) -> int | None:
        """Process id of its Patroni while that runs."""
        return self._daemon.pid

    @property
    def runs(self) -> bool:
        """Whether its Patroni runs."""
        return self._daemon.pid is not None

    @property
    def log(self) -> Path:
        """Everything that its Patroni and its PostgreSQL print."""
        return self._daemon.log

    @property
    def data(self) -> Path:
        """The folder of its database."""
        return self.place.folder / "data"

    def _signal(self, what: What, number: signal.Signals) -> float:
        patroni = [] if self._daemon.pid is None or what == "postgres" else [self._daemon.pid]
        postmaster = None if what == "patroni" else postmaster_in(self.data)
        # Found before any is ended: without its parent a backend belongs to nobody.
        pids = [*patroni, *([] if postmaster is None else with_children(postmaster))]
        signal_all(pids, number)
        moment = time.monotonic()
        if number == signal.SIGKILL and patroni:
            self._wanted = False
            self._daemon.reap()
        return moment


def kill_together(members: Sequence[PatroniMember]) -> None:
    """End all that runs of several members at once, as a zone that is lost; returns when their Patronis are gone."""
    patronis = [pid for member in members if (pid := member.pid) is not None]
    postmasters = [pid for member in members if (pid := postmaster_in(member.data)) is not None]
    signal_all([*patronis, *with_children(*postmasters)], signal.SIGKILL)
    for member in members:
        member.let_end()


def _sends(pid: int) -> bool:
    try:
        return b"walsender" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
