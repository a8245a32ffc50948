"""What running nodes make of a change of their component's files."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from aether_deploy.infrastructure.component import FileChange
from aether_deploy.infrastructure.valkey.job import FILE
from aether_deploy.infrastructure.valkey.options import AT_START
from aether_deploy.infrastructure.valkey.starting import CONFIG_FILE, SCRIPT_FILE
from aether_deploy.infrastructure.valkey.text import options_in

_AT_START = "a node takes {} when it restarts: one after another, as the runbook says"
_LESS = "a node that restarts with a smaller maxmemory throws away what is above it, once it is primary"
_BY_JOB = "the Job sets {} on running nodes, within 5 minutes"
_UNKNOWN = "another version wrote {}: a node takes it when it restarts"
_RESHARDED = (
    "slots do not move by themselves: the Job leaves them where they are, and fails; make a component of another name, "
    "and let players log in again, or move slots by hand"
)
_REPLANNED = (
    "planned for another shard than before: {}; the Job gives up no copy for that, and fails; keep the datacenters of "
    "the region and their order, or make a component of another name, and let players log in again"
)
_MOVED = "the Job sees to it within 5 minutes, once the pods are there: who follows whom"


def file_changes(before: Mapping[str, str], after: Mapping[str, str]) -> list[FileChange]:
    """Return what is made of changed files, the worst first; what nobody here wrote is not raised over."""
    found: list[FileChange] = []
    changed = [name for name in sorted(before.keys() & after.keys()) if before[name] != after[name]]
    if FILE in changed:
        found += _of_plan(before[FILE], after[FILE])
    if CONFIG_FILE in changed:
        found += _of_nodes(before[CONFIG_FILE], after[CONFIG_FILE])
    if SCRIPT_FILE in changed:
        found.append(FileChange("restarts", _AT_START.format(SCRIPT_FILE)))
    return found


def _of_nodes(before: str, after: str) -> Iterator[FileChange]:
    try:
        old, new = options_in(before), options_in(after)
    except ValueError:
        yield FileChange("restarts", _UNKNOWN.format(CONFIG_FILE))
        return
    changed = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
    if _is_less(old.get("maxmemory"), new.get("maxmemory")):
        yield FileChange("data at risk", _LESS)
    # What is left out is not set back to its default by anybody before the restart.
    at_start = [name for name in changed if name in AT_START or name not in new]
    at_once = [name for name in changed if name not in at_start]
    if at_start:
        yield FileChange("restarts", _AT_START.format(", ".join(at_start)))
    if at_once:
        yield FileChange("reloads", _BY_JOB.format(", ".join(at_once)))


def _is_less(old: str | None, new: str | None) -> bool:
    try:
        return int(new or "") < int(old or "")
    except ValueError:
        return False


def _of_plan(before: str, after: str) -> Iterator[FileChange]:
    old, new = _plan_in(before), _plan_in(after)
    if old is None or new is None:
        yield FileChange("reloads", "the Job reads it when it runs, within 5 minutes")
        return
    if _ranges(old) != _ranges(new):
        yield FileChange("refused", _RESHARDED)
    elif elsewhere := _elsewhere(old, new):
        yield FileChange("refused", _REPLANNED.format(_few(elsewhere)))
    elif old.get("shards") != new.get("shards"):
        yield FileChange("reloads", _MOVED)
    else:
        yield FileChange("reloads", "the Job reads it when it runs, within 5 minutes")


def _elsewhere(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Return the pods that there are before and after, and that keep a copy of another shard afterwards."""
    before, after = _shards_by_pod(old), _shards_by_pod(new)
    return [pod for pod in sorted(before) if pod in after and before[pod] != after[pod]]


def _shards_by_pod(plan: Mapping[str, Any]) -> dict[str, int]:
    return {
        str(node["name"]): at
        for at, shard in enumerate(plan["shards"])
        for node in shard.get("nodes") or ()
        if isinstance(node, dict) and "name" in node
    }


def _few(names: Sequence[str]) -> str:
    shown = ", ".join(names[:3])
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown


def _plan_in(text: str) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except ValueError:
        return None
    shards = found.get("shards") if isinstance(found, dict) else None
    sound = isinstance(shards, list) and all(isinstance(each, dict) and "slots" in each for each in shards)
    return found if sound else None


def _ranges(plan: Mapping[str, Any]) -> list[Any]:
    return [shard["slots"] for shard in plan["shards"]]
