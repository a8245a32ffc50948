"""The scaling rule over time: the decision, the clocks of its cooldowns, and what it may still displace."""

from collections import deque

from aether_deploy.scaling.config import ScalingConfig
from aether_deploy.scaling.decision import Hold, ScaleDown, ScaleUp

HOUR_SECS = 3600


class Autoscaler:
    """Applies a policy's decisions one after the other.

    Time is what the caller says it is: seconds of any clock that does not run backwards.

    Attributes:
        scaling: The settings.
    """

    def __init__(self, scaling: ScalingConfig, *, separate_clocks: bool = False) -> None:
        """Begin with no change ever made.

        Args:
            scaling: The settings.
            separate_clocks: Each direction waits for its own last change only.
        """
        self.scaling = scaling
        self._separate_clocks = separate_clocks
        self._now = float("-inf")
        self._up_at: float | None = None
        self._down_at: float | None = None
        self._removed: deque[tuple[float, int]] = deque()

    def step(
        self, now_secs: float, players: int, replicas: int, *, occupied_floor: int = 0
    ) -> ScaleUp | ScaleDown | Hold:
        """Decide for this moment, and take the decision as carried out.

        Args:
            now_secs: The moment; not before that of the last step.
            players: Players on all pods together.
            replicas: Pods now; 0 counts as 1 in the load ratio.
            occupied_floor: Highest ordinal of a pod with players or an unarchived WAL, plus one; heeded with
                ``protect_occupied``.

        Raises:
            ValueError: If a number is negative, no number, or time runs backwards.
        """
        if not now_secs >= self._now:
            raise ValueError(f"time runs backwards: {now_secs} after {self._now}")
        self._now = now_secs
        decision = self.scaling.compute_desired_replicas(
            players,
            replicas,
            secs_since_scale_up=None if self._up_at is None else now_secs - self._up_at,
            secs_since_scale_down=None if self._down_at is None else now_secs - self._down_at,
            separate_clocks=self._separate_clocks,
            occupied_floor=occupied_floor,
            pods_removed_last_hour=self._removed_last_hour(now_secs),
        )
        match decision:
            case ScaleUp():
                self._up_at = now_secs
            case ScaleDown(target_replicas=target):
                self._down_at = now_secs
                self._removed.append((now_secs, replicas - target))
            case Hold():
                pass
        return decision

    def _removed_last_hour(self, now_secs: float) -> int:
        while self._removed and now_secs - self._removed[0][0] >= HOUR_SECS:
            self._removed.popleft()
        return sum(count for _, count in self._removed)
