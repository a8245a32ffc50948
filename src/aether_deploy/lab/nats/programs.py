"""Where the server is, as the extra ``[lab]`` brings it."""

import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from aether_deploy.lab.programs import MissingProgramsError

_FIX = "pip install 'aether-deploy[lab]'"
_CHECK_SECS = 20


def find_nats_server() -> Path:
    """Return the program ``nats-server``: beside this Python, or on PATH.

    Raises:
        MissingProgramsError: It is not on this machine; with what brings it.
    """
    beside = Path(sys.executable).parent / "nats-server"
    found = beside if beside.is_file() else shutil.which("nats-server")
    if found is None:
        raise MissingProgramsError(f"nats-server is not on this machine\n  fix: {_FIX}")
    return Path(found)


def can_certify() -> bool:
    """Return whether certificates can be made here."""
    return find_spec("cryptography") is not None


def syntax_fault(program: Path, file: Path) -> str | None:
    """Return what the server's own check says against a file; None where it takes it.

    It reads the file and starts nothing, so most of what ends a server at boot passes.
    """
    done = subprocess.run(
        [str(program), "-t", "-c", str(file)], capture_output=True, text=True, timeout=_CHECK_SECS, check=False
    )
    return None if done.returncode == 0 else (done.stdout + done.stderr).strip()
