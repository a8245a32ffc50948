"""Starting the process that keeps a lab, and hearing how its boot goes."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO

import msgspec

from aether_deploy.lab.system.control import LOG, Line
from aether_deploy.lab.system.keeper import Order
from aether_deploy.lab.workplace import own_workplaces
from aether_deploy.problems import ConfigError, EffectError

_LOG_WHILE_BOOTING = "lab-{pid}.log"
_LOG_LINES = 6
_END_SECS = 60.0
Tell = Callable[[str], None]


def start_keeper(order: Order, tell: Tell) -> None:
    """Start the process that keeps a lab, and return once the lab is up; it stays when we end.

    Args:
        order: What lab.
        tell: Hears how the boot goes.

    Raises:
        ConfigError: The description has faults.
        EffectError: A lab is up already, and nothing befalls it; or this one cannot boot, and nothing of it is left.
    """
    log = own_workplaces() / _LOG_WHILE_BOOTING.format(pid=os.getpid())
    try:
        _boot(order, tell, log)
        log.replace(log.with_name(LOG))  # ours is the one lab that is up
    finally:
        log.unlink(missing_ok=True)


def _boot(order: Order, tell: Tell, log: Path) -> None:
    with log.open("wb") as stderr:
        keeper = subprocess.Popen(
            [sys.executable, "-m", "aether_deploy.lab.system.keeper"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            start_new_session=True,
        )
    assert keeper.stdin is not None
    assert keeper.stdout is not None
    try:
        with keeper.stdin as stdin:
            stdin.write(msgspec.json.encode(order))
        is_up = _heard(keeper.stdout, tell)
    except BaseException:
        _end(keeper)
        raise
    if not is_up:
        code = keeper.wait()
        raise EffectError(f"the lab ended while it booted (exit code {code})\n{_quoted(log)}\n  fix: please report it")


def _heard(stream: IO[bytes], tell: Tell) -> bool:
    """Pass on what the keeper says until its lab is up; return whether it is."""
    for line in stream:
        said = msgspec.json.decode(line, type=Line)
        if said.answer is not None:
            return True
        if said.tell is not None:
            tell(said.tell)
        elif said.problems:
            raise ConfigError(said.problems)
        elif said.refused is not None:
            raise EffectError(said.refused)
    return False


def _end(keeper: "subprocess.Popen[bytes]") -> None:
    """End a keeper whose lab is not wanted any more, and wait until everything of it is gone."""
    if keeper.poll() is None:
        os.kill(keeper.pid, signal.SIGTERM)
    try:
        keeper.wait(_END_SECS)
    except subprocess.TimeoutExpired:
        keeper.kill()  # what it runs ends with it
        keeper.wait()


def _quoted(log: Path) -> str:
    lines = log.read_text("utf-8", "replace").splitlines()[-_LOG_LINES:]
    return "\n".join(f"  {line}" for line in lines) or "  it said nothing"
