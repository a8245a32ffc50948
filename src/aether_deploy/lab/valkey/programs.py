"""Where the server is, as the extra ``[lab]`` brings it."""

from pathlib import Path

from aether_deploy.lab.programs import REDIS_PACKAGE, find_lab_program


def find_valkey_server() -> Path:
    """Return the program ``valkey-server``: in its package beside this Python, or on PATH.

    Raises:
        MissingProgramsError: It is not on this machine; with what brings it.
    """
    return find_lab_program("valkey-server", package=REDIS_PACKAGE)
