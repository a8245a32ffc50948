"""Where the server is, as the extra ``[lab]`` brings it."""

import subprocess
from importlib.util import find_spec
from pathlib import Path

from aether_deploy.lab.programs import find_lab_program

_CHECK_SECS = 60


def find_nats_server() -> Path:
    """Return the program ``nats-server``: beside this Python, or on PATH.

    Raises:
        MissingProgramsError: It is not on this machine; with what brings it.
    """
    return find_lab_program("nats-server")


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
