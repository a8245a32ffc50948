"""How players return to a region that is healthy again: by share, in steps of a percent."""

from aether_deploy.routing.policy import FailbackPolicy
from aether_deploy.routing.tracking.gradual import step_at, steps_done

FIRST_PERCENT = 10
ALL_PERCENT = 100


def ramp_share(policy: FailbackPolicy | None, since: float, now: float) -> float:
    """Return the share of new players that a region takes, in whole percents.

    Args:
        policy: The rule; None is no ramp.
        since: When the region came back, seconds.
        now: The time, seconds.

    Rule:
        R10: ``max(10 %, (now - since) / ramp_secs)``.
    """
    if policy is None or policy.ramp_secs == 0:
        return 1.0
    return max(FIRST_PERCENT, steps_done(since, policy.ramp_secs, ALL_PERCENT, now)) / ALL_PERCENT


def next_share_at(policy: FailbackPolicy | None, since: float, now: float) -> float | None:
    """Return when the share changes next, seconds; None where it stays."""
    if policy is None or policy.ramp_secs == 0:
        return None
    percent = max(FIRST_PERCENT, steps_done(since, policy.ramp_secs, ALL_PERCENT, now))
    return step_at(since, policy.ramp_secs, ALL_PERCENT, percent + 1) if percent < ALL_PERCENT else None
