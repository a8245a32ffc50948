"""Updates of a stream, and what each does: held against ``stream_changes``, and against a running server."""

from collections.abc import Mapping, Sequence
from typing import Any

from aether_deploy.infrastructure.component import FileChange

BASE: Mapping[str, Any] = {
    "name": "A",
    "retention": "limits",
    "storage": "file",
    "num_replicas": 1,
    "discard": "old",
    "compression": "none",
    "max_age": 0,
    "max_bytes": 2**20,
    "max_msgs": 100,
    "max_msg_size": -1,
    "allow_direct": True,
    "subjects": ["a.>"],
    "duplicate_window": 60 * 10**9,
}
"""A stream as the JetStream API takes it."""

MESSAGES = 20
"""Messages of about 100 bytes that it holds before the update."""

UPDATES: dict[str, tuple[Mapping[str, Any], str]] = {
    # sentence: what changes; "made": all messages stay, "lost": some go, "refused": nothing changes
    "more bytes": ({"max_bytes": 2**21}, "made"),
    "no limit of bytes": ({"max_bytes": -1}, "made"),
    "more messages": ({"max_msgs": 1000}, "made"),
    "smaller messages": ({"max_msg_size": 10}, "made"),
    "other subjects": ({"subjects": ["b.>"]}, "made"),
    "a shorter memory for duplicates": ({"duplicate_window": 10**10}, "made"),
    "more replicas": ({"num_replicas": 3}, "made"),
    "compression": ({"compression": "s2"}, "made"),
    "the new give way": ({"discard": "new"}, "made"),
    "fewer bytes": ({"max_bytes": 500}, "lost"),
    "fewer messages": ({"max_msgs": 5}, "lost"),
    "an age": ({"max_age": 10**9, "duplicate_window": 10**9}, "lost"),
    "interest": ({"retention": "interest"}, "lost"),
    "fewer messages, and the new give way": ({"max_msgs": 5, "discard": "new"}, "made"),
    "fewer bytes, and the new give way": ({"max_bytes": 500, "discard": "new"}, "made"),
    "an age, and the new give way": ({"max_age": 10**9, "duplicate_window": 10**9, "discard": "new"}, "lost"),
    "another storage": ({"storage": "memory"}, "refused"),
    "a queue": ({"retention": "workqueue"}, "refused"),
    "a queue with fewer messages": ({"retention": "workqueue", "max_msgs": 5}, "refused"),
}


def outcome(changes: Sequence[FileChange]) -> str:
    """Return what the gravest of the changes says of a stream, in the words of ``UPDATES``."""
    return {"data at risk": "lost", "by hand": "refused", "reloads": "made"}[changes[0].effect]
