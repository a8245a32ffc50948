"""What the Job makes of a changed list of streams, and what it does not: what servers refuse, or nobody removes.

Rule:
    nats-server ``server/stream.go`` (``configUpdateCheck``) and ``server/filestore.go`` (``UpdateConfig``); each row
    was tried on a running server (``tests/test_lab_nats_updates.py``).
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from aether_deploy.infrastructure.component import FileChange

Settings = Mapping[str, Any]
"""A stream as the JetStream API takes it."""

_LIMITS = ("max_bytes", "max_msgs", "max_age")
"""What a stream holds at most; 0 or less is no limit."""

_READ = FileChange("reloads", "the Job reads it when it runs, within 5 minutes")
_UNREADABLE = FileChange("reloads", "the Job makes what is written there within 5 minutes, and removes no stream")


def stream_changes(before: str, after: str) -> list[FileChange]:
    """Return what becomes of a changed file of streams, the worst first.

    Args:
        before: The file that the Job read so far.
        after: The one that it reads from now on, within 5 minutes.
    """
    try:
        old, new = _streams(before), _streams(after)
    except (ValueError, TypeError, KeyError, AttributeError):  # of another version, or written by hand
        return [_UNREADABLE]
    lost: list[str] = []
    refused: list[str] = []
    made: list[str] = []
    for name in (name for name in new if name in old and old[name] != new[name]):
        lost += _lost(old[name], new[name], name)
        stuck = list(_refused(old[name], new[name]))
        refused += [f"{name} ({', '.join(stuck)})"] if stuck else []
        made += [f"{name} ({', '.join(_differing(old[name], new[name]))})"] if not stuck else []
    made += [f"{name} (new)" for name in new if name not in old]
    return list(_said(lost, refused, [name for name in old if name not in new], made)) or [_READ]


def _said(lost: list[str], refused: list[str], left: list[str], made: list[str]) -> Iterator[FileChange]:
    if lost:
        yield FileChange("data at risk", f"messages go within 5 minutes, as the Job changes {'; '.join(lost)}")
    if refused:
        reason = "servers refuse it of a stream that exists, and then take none of its changes"
        way_out = "delete the stream and its messages, and the Job makes it anew"
        yield FileChange("by hand", f"the Job fails at {'; '.join(refused)}: {reason}; {way_out}")
    if left:
        kept = "what is left out keeps its messages, its room and its subjects until somebody runs nats stream rm"
        moved = "one that is in another region from now on moves there"
        yield FileChange("by hand", f"nobody removes {', '.join(left)}: {kept}; {moved}")
    if made:
        yield FileChange("reloads", f"the Job sees to it within 5 minutes: {'; '.join(made)}")


def _streams(text: str) -> dict[str, Settings]:
    """Return the streams of a file by name, with their account where there are several."""
    accounts = json.loads(text)["accounts"]
    several = len({account["name"] for account in accounts}) > 1
    return {
        f"{account['name']}/{each['name']}" if several else each["name"]: dict(each)
        for account in accounts
        for each in account["streams"]
    }


def _differing(old: Settings, new: Settings) -> list[str]:
    return sorted(key for key in {*old, *new} if old.get(key) != new.get(key))


def _refused(old: Settings, new: Settings) -> Iterator[str]:
    if old.get("storage") != new.get("storage"):
        yield "storage"
    retention = (old.get("retention"), new.get("retention"))
    if retention[0] != retention[1] and "workqueue" in retention:
        yield "retention"
    if new.get("mirror") is not None and old.get("mirror") != new.get("mirror"):
        yield "mirror"


def _lost(old: Settings, new: Settings, name: str) -> Iterator[str]:
    """Yield what takes messages away: one that takes no new ones where it is full keeps the old, up to their age."""
    if any(_refused(old, new)):
        return
    for key in _LIMITS:
        was, now = old.get(key, 0), new.get(key, 0)
        falls = now > 0 and (was <= 0 or now < was)
        if falls and (key == "max_age" or new.get("discard") == "old"):
            yield f"{name}: {key} falls"
    if old.get("retention") == "limits" and new.get("retention") == "interest":
        yield f"{name}: what no consumer waits for goes at once with retention interest"
