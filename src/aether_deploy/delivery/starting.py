"""Writing files that must be new."""

import os
from collections.abc import Mapping

from aether_deploy.problems import EffectError


def write_new_files(folder: str, files: Mapping[str, str]) -> None:
    """Write ``files`` into ``folder``: all of them, or none. The folder is made if it is missing.

    Raises:
        EffectError: If one of them is there already, or the disk refuses.
    """
    from pathlib import Path

    root = Path(folder)
    there = [name for name in files if os.path.lexists(root / name)]
    if there:
        raise EffectError(f"{folder} already holds {', '.join(there)}\n  fix: name another folder, or remove them")
    made = []
    try:
        root.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            temporary = root / f".{name}.aether-tmp"
            made.append(temporary)
            temporary.unlink(missing_ok=True)  # left by a run that was killed, or a link that leads elsewhere
            temporary.write_text(text, encoding="utf-8", newline="\n")
        for name in files:
            os.replace(root / f".{name}.aether-tmp", root / name)
    except OSError as error:
        for temporary in made:
            temporary.unlink(missing_ok=True)
        raise EffectError(f"{folder}: {error.strerror}\n  fix: name a folder that can be written") from error
