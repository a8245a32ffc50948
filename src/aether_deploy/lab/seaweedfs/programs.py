"""Where the server is, as the extra ``[lab]`` brings it."""

from pathlib import Path

from aether_deploy.lab.programs import find_lab_program


def find_weed() -> Path:
    """Return the program ``weed``: beside this Python, or on PATH.

    Raises:
        MissingProgramsError: It is not on this machine; with what brings it.
    """
    return find_lab_program("weed")
