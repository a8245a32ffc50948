"""How much memory processes take, those that they started included."""

import contextlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

_PROC = Path("/proc")


def memories_mb(asked: Iterable[Iterable[int]]) -> list[float | None]:
    """Return what processes and all that descend from them share with nobody, and their part of the rest (PSS), MB.

    Args:
        asked: Several groups of processes, by their ids.

    Returns:
        The sum of each group; None where the system does not tell.
    """
    if not (_PROC / "self/smaps_rollup").exists():
        return [None for _ in asked]
    children = _children()
    return [_memory_mb(pids, children) for pids in asked]


def _memory_mb(pids: Iterable[int], children: Mapping[int, Sequence[int]]) -> float:
    found = list(dict.fromkeys(pids))
    for each in found:
        found += [child for child in children.get(each, ()) if child not in found]
    return round(sum(_kilobytes(each) for each in found) * 1024 / 1_000_000, 1)


def _children() -> dict[int, list[int]]:
    children: dict[int, list[int]] = defaultdict(list)
    for entry in _PROC.glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            parent = int((entry / "stat").read_text("utf-8").rpartition(")")[2].split()[1])
            children[parent].append(int(entry.name))
    return children


def _kilobytes(pid: int) -> int:
    with contextlib.suppress(OSError):
        for line in (_PROC / str(pid) / "smaps_rollup").read_text("ascii").splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    return 0
