"""Ends a lab's processes when the process that runs it ends, however it ends.

Patroni ends with us, for it is our child. PostgreSQL is nobody's: it lives on when Patroni is killed, which is what
it is for. So a process that reads from us until we are gone ends what is left.
"""

import subprocess
import sys
from pathlib import Path

from aether_deploy.lab.workplace import end_programs


def start_guard(folder: Path) -> "subprocess.Popen[bytes]":
    """Start what ends every program of ``folder`` once its standard input ends."""
    return subprocess.Popen(
        [sys.executable, "-m", __name__, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


if __name__ == "__main__":
    sys.stdin.buffer.read()
    end_programs(Path(sys.argv[1]))
