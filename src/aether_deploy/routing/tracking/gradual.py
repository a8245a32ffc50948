"""What changes gradually, in equal steps: a view that changed with every microsecond could never be kept.

The time of a step is reckoned in one place, so that who looks at that time finds the step done.
"""

import math


def step_at(since: float, length_secs: float, count: int, number: int) -> float:
    """Return when a step is done, of ``count`` equal ones over ``length_secs``; step 0 is done at ``since``."""
    return since + length_secs * number / count


def steps_done(since: float, length_secs: float, count: int, now: float) -> int:
    """Return how many steps are done at a time: 0 to ``count``; before ``since`` none."""
    if now >= step_at(since, length_secs, count, count):
        return count
    if now < since:
        return 0
    done = min(count - 1, math.floor(count * (now - since) / length_secs))
    while step_at(since, length_secs, count, done + 1) <= now:
        done += 1
    while done > 0 and step_at(since, length_secs, count, done) > now:
        done -= 1
    return done
