"""What becomes of a change of an object store's files: what its buckets are to be, and what its servers read."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from aether_deploy.infrastructure.component import FileChange
from aether_deploy.infrastructure.object_store.job import ADMIN, CURRENT_FILE, FILE, IDENTITIES_SOURCE


def file_changes(before: Mapping[str, str], after: Mapping[str, str]) -> list[FileChange]:
    """Return what is made of changed files, the worst first; what another version wrote is not raised over."""
    if FILE in before and FILE in after:
        return list(_of_buckets(before[FILE], after[FILE])) if before[FILE] != after[FILE] else []
    changed = [name for name in sorted(before.keys() & after.keys()) if before[name] != after[name]]
    if not changed:
        return []
    if changed == [CURRENT_FILE]:
        return [FileChange("reloads", "the Job that leads readers to the newest versions takes it at its next run")]
    found = list(_of_lead(before.get(IDENTITIES_SOURCE, ""), after.get(IDENTITIES_SOURCE, "")))
    says = f"a server takes {', '.join(changed)} when it restarts, which its pod does for it"
    return [*found, FileChange("restarts", says)]


def _of_lead(before: str, after: str) -> Iterator[FileChange]:
    """Yield that a region takes writes that did not, or no longer: which objects it has is asked by nobody else."""
    old, new = _writers(before), _writers(after)
    if old is None or new is None or bool(old) is bool(new) or not old | new:
        return
    what = "no longer takes writes, and follows another region" if old else "takes writes, which another region took"
    yield FileChange(
        "by hand", f"{what}: see that copies agree first, and that nobody writes; the runbook has the steps"
    )


def _writers(text: str) -> frozenset[str] | None:
    """Return those who write beside the operators; None where nobody knows."""
    try:
        people = json.loads(text)["identities"]
        return frozenset(
            each["name"] for each in people if each["name"] != ADMIN and any("Write" in say for say in each["actions"])
        )
    except (ValueError, KeyError, TypeError):
        return None


def _of_buckets(before: str, after: str) -> Iterator[FileChange]:
    old, new = _buckets(before), _buckets(after)
    if old is None or new is None:
        yield FileChange("by hand", "another version wrote what buckets are to be; the Job reads only its own")
        return
    both = sorted(old.keys() & new.keys())
    for name in both:
        if old[name].get("locked") != new[name].get("locked") and new[name].get("locked"):
            yield FileChange("refused", f"bucket {name} was made without object_lock, and it is decided then")
    for name in both:
        if _shortens(old[name], new[name]):
            says = f"bucket {name}: objects go earlier than they did, at the next run of what carries that out"
            yield FileChange("data at risk", says)
        if old[name].get("versioning") and not new[name].get("versioning"):
            says = f"bucket {name} keeps no old versions any more: what is overwritten or deleted is gone"
            yield FileChange("data at risk", says)
    for name in sorted(new):
        opened = sorted(_open(new[name]) - _open(old.get(name, {})))
        if opened:
            yield FileChange("reloads", f"bucket {name}: anybody may read {', '.join(opened)} within five minutes")
    for name in sorted(old.keys() - new.keys()):
        yield FileChange("by hand", f"bucket {name} stays as it is, with its objects; who wants it gone deletes it")
    if old != new:
        yield FileChange("reloads", "the Job brings buckets about within five minutes; servers run on")


def _buckets(text: str) -> dict[str, dict[str, Any]] | None:
    try:
        listed = json.loads(text)["buckets"]
        return {each["name"]: {"locked": each["locked"], **each["settings"]} for each in listed}
    except (ValueError, KeyError, TypeError):
        return None


def _open(settings: Mapping[str, Any]) -> set[str]:
    """Return where anybody may read, by the policy."""
    try:
        statements = json.loads(settings.get("policy") or "{}").get("Statement", [])
        return {each.partition(":::")[2] for statement in statements for each in statement["Resource"]}
    except (ValueError, KeyError, TypeError, AttributeError):
        return set()


def _shortens(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Return whether the new rules may delete what the old ones kept; which days changed is not read."""
    return bool(new.get("lifecycle")) and old.get("lifecycle") != new.get("lifecycle")
