"""Rest for regions that fall too often."""

import math

import msgspec

from aether_deploy.routing.policy import DampingPolicy

PENALTY_PER_FALL = 1000.0


class Damping(msgspec.Struct, frozen=True):
    """The penalty of one region. A value: ``fall`` returns the next one.

    Each fall from healthy to unhealthy adds 1000. The penalty halves every ``half_life_secs``. From ``suppress`` on
    the region rests, until the penalty is down to ``reuse``; the penalty is held to a ceiling, so that a rest ends at
    the latest ``max_suppress_secs`` after the last fall.

    Attributes:
        policy: The rule.
        penalty: The penalty right after the last fall.
        at: When that was, seconds.
        rests_until: When the rest ends that the last fall left it in; minus infinity where it does not rest.

    Rule:
        R9, after RFC 2439, section 4.

    Example:
        >>> calm = Damping(DampingPolicy())
        >>> flapped = calm.fall(0).fall(0).fall(0)
        >>> flapped.value(0), flapped.suppressed(0), flapped.released_at()
        (3000.0, True, 120.0)
    """

    policy: DampingPolicy
    penalty: float = 0.0
    at: float = 0.0
    rests_until: float = -math.inf

    def value(self, now: float) -> float:
        """Return the penalty at a time, seconds."""
        return self.penalty * _decay(max(now - self.at, 0.0), self.policy)

    def fall(self, now: float) -> "Damping":
        """Return what it is after one more fall, at a time that is not before the last one."""
        penalty = min(self.value(now) + PENALTY_PER_FALL, self.policy.ceiling)
        rests_until = -math.inf
        if self.suppressed(now) or penalty >= self.policy.suppress:
            rests_until = now + self.policy.half_life_secs * math.log2(penalty / self.policy.reuse)
        return Damping(self.policy, penalty, now, rests_until)

    def suppressed(self, now: float) -> bool:
        """Return whether the region rests at a time."""
        return now < self.rests_until

    def released_at(self) -> float | None:
        """Return when the rest ends that the last fall left it in, seconds; None where it does not rest."""
        return self.rests_until if self.rests_until > -math.inf else None

    def under(self, policy: DampingPolicy, now: float) -> "Damping":
        """Return the same penalty under another rule, from a time on.

        What rests goes on until the new rule lets it return, or returns now; when a rest ended is not forgotten.
        """
        penalty = min(self.value(now), policy.ceiling)
        rests_until = min(self.rests_until, now)
        if penalty > policy.reuse and (self.suppressed(now) or penalty >= policy.suppress):
            rests_until = now + policy.half_life_secs * math.log2(penalty / policy.reuse)
        return Damping(policy, penalty, now, rests_until)


def _decay(secs: float, policy: DampingPolicy) -> float:
    return float(2.0 ** -min(secs / policy.half_life_secs, 1000.0))
