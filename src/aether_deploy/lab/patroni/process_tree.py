"""The processes of one member, found before any of them is ended: PostgreSQL is nobody's child but its own."""

import contextlib
import os
import signal
from collections.abc import Iterable
from pathlib import Path


def postmaster_in(data: Path) -> int | None:
    """Return the id of the postmaster that works in ``data``, or None."""
    try:
        pid = int((data / "postmaster.pid").read_text("utf-8").partition("\n")[0])
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (OSError, ValueError):
        return None
    return pid if str(data).encode() in command else None  # else the file is a leftover, its id another's now


def with_children(*pids: int) -> list[int]:
    """Return processes and all that descend from them, the eldest first."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            parent = int((entry / "stat").read_text("utf-8").rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(entry.name))
    found = list(pids)
    for each in found:
        found += children.get(each, ())
    return found


def signal_all(pids: Iterable[int], number: signal.Signals) -> None:
    """Send a signal to each process that still runs."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
