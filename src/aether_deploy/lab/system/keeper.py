"""The process that keeps a lab: it boots it, answers what is asked of it, and ends it.

Started by ``aether-deploy lab up`` in a session of its own as ``python -m aether_deploy.lab.system.keeper``, with an
:class:`Order` on standard input. Standard output tells how the boot goes, as JSON lines, and is closed once it is up.
"""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from typing import IO

import msgspec

from aether_deploy.delivery.loading import load_platform
from aether_deploy.lab.interrupts import ending_on_signals
from aether_deploy.lab.system.control import ControlSocket, Ended, InEffect, LabStatus, Line, Tell, alone
from aether_deploy.lab.system.faults import LabFault
from aether_deploy.lab.system.record import FaultRecord
from aether_deploy.lab.system.system import LabSystem
from aether_deploy.lab.workplace import Workplace
from aether_deploy.platform.config import Platform
from aether_deploy.problems import ConfigError, EffectError

BOOTING = "the lab is still booting\n  fix: wait until lab up has returned"
_ENDED_SECS = 120.0
_LASTS = "the lab has not ended within {secs:g} s\n  fix: kill -9 {pid} ends it at once, with all that it runs"


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What lab to keep: the description's files, its environment, and single values that are set."""

    files: tuple[str, ...]
    environment: str | None = None
    settings: tuple[tuple[str, str], ...] = ()


class LabKeeper:
    """Answers for a lab from its first moment to its last.

    Attributes:
        lab: The lab; None before it is up, and once it ends.
        stays: Why it could not end whole; empty where it could.
    """

    def __init__(self) -> None:
        self.lab: LabSystem | None = None
        self.stays = ""
        self._asked_to_end = False
        self._over = threading.Event()
        self._left: dict[str, int] = {}

    def status(self) -> LabStatus:
        lab = self._up()
        return LabStatus(
            record=lab.record(),
            in_effect=tuple(InEffect(str(each.fault), round(each.at, 3)) for each in lab.in_effect),
            complaints=tuple(lab.complaints()),
            watching=lab.watching,
            watch_left_secs=lab.watch_left_secs,
        )

    def fault(self, fault: LabFault, most_secs: float | None, tell: Tell) -> FaultRecord:
        return self._up().fault(fault, most_secs=most_secs, tell=tell)

    def down(self) -> Ended:
        """End the lab; returns when it is gone.

        Raises:
            EffectError: It is not.
        """
        lab = self._up()
        if not self._asked_to_end:
            running = [each.member for each in lab.processes() if each.state != "ended"]
            self._left = {member.name: running.count(member.name) for member in lab.members}
        self._asked_to_end = True
        os.kill(os.getpid(), signal.SIGTERM)  # wakes the main thread, which keeps the lab
        if not self._over.wait(_ENDED_SECS):
            raise EffectError(_LASTS.format(secs=_ENDED_SECS, pid=os.getpid()))
        if self.stays:
            raise EffectError(self.stays)
        return Ended(self._left)

    def end(self) -> None:
        """Say that everything is gone."""
        self._over.set()

    @property
    def asked_to_end(self) -> bool:
        """Whether somebody asked for the end."""
        return self._asked_to_end

    def _up(self) -> LabSystem:
        if self.lab is None:
            raise EffectError(BOOTING)
        return self.lab


@contextlib.contextmanager
def kept(platform: Platform, file: str, tell: Tell) -> Iterator[LabSystem]:
    """Boot the lab of a platform and answer for it while the block runs.

    Raises:
        EffectError: One is up already, or this one cannot boot.
    """
    keeper = LabKeeper()
    with contextlib.ExitStack() as life:
        life.enter_context(alone())
        workplace = Workplace.new()
        life.callback(workplace.remove)
        control = ControlSocket(workplace.folder, keeper)
        life.callback(control.close)
        life.callback(keeper.end)
        try:
            with LabSystem(platform, file=file, tell=tell) as lab:
                keeper.lab = lab
                yield lab
        except KeyboardInterrupt:
            if not keeper.asked_to_end:
                raise
        except EffectError as error:
            keeper.stays = str(error)
            raise
        finally:
            keeper.lab = None


def wait_for_the_end() -> None:
    """Wait until this process is interrupted."""
    threading.Event().wait()


# --- as a process of its own


class _Reporter:
    """Tells who started us how the boot goes; if nobody listens any more, it is over."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def send(self, line: Line) -> None:
        try:
            self._stream.write(msgspec.json.encode(line) + b"\n")
            self._stream.flush()
        except BrokenPipeError as error:
            raise KeyboardInterrupt from error

    def tell(self, text: str) -> None:
        self.send(Line(tell=text))

    def up(self) -> None:
        """Say that the lab is up, and be silent from now on."""
        self.send(Line(answer={}))
        self.leave()

    def leave(self) -> None:
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, self._stream.fileno())
        os.close(silence)


def main() -> int:
    """Keep a lab until somebody ends it."""
    reporter = _Reporter(sys.stdout.buffer)
    try:
        order = msgspec.json.decode(sys.stdin.buffer.read(), type=Order)
        platform = load_platform(*order.files, environment=order.environment, settings=order.settings)
        with ending_on_signals(), kept(platform, ", ".join(order.files), reporter.tell):
            reporter.up()
            wait_for_the_end()
    except ConfigError as error:
        reporter.send(Line(problems=tuple(error.problems)))
        return 2
    except EffectError as error:
        reporter.send(Line(refused=str(error)))
        return 3
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
