"""The last decisions, for people who watch: the same ones together, with how many they were."""

from collections import deque
from typing import Any

from aether_deploy.routing.decision_log import LoggedAnswer

KEPT = 50
TOLD_MAX = 20
Decided = tuple[str | None, str, str | None, str | None]


class RecentDecisions:
    """Decisions since the last telling, and the last ones that were told."""

    def __init__(self) -> None:
        self._new: dict[Decided, int] = {}
        self._told: deque[dict[str, Any]] = deque(maxlen=KEPT)

    def add(self, preferred: str | None, answer: LoggedAnswer, count: int = 1) -> None:
        """Take a decision that ``count`` players got."""
        decided = preferred, answer.decision, answer.region, answer.reason
        self._new[decided] = self._new.get(decided, 0) + count

    def take(self, at: float) -> list[dict[str, Any]]:
        """Return what is new, the most frequent first, and note it as told ``at`` that time, seconds since 1970."""
        frequent = sorted(self._new.items(), key=lambda item: -item[1])[:TOLD_MAX]
        self._new = {}
        told = [
            {"at": at, "preferred": preferred, "decision": decision, "region": region, "reason": reason, "count": count}
            for (preferred, decision, region, reason), count in frequent
        ]
        self._told.extend(told)
        return told

    def last(self) -> list[dict[str, Any]]:
        """Return the last decisions that were told, the oldest first."""
        return list(self._told)
