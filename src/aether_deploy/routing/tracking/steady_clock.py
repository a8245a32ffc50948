"""A clock that never runs backwards, on top of one that may."""

import math

import msgspec


class SteadyClock(msgspec.Struct):
    """Turns the caller's time into time that only goes forwards.

    A clock that jumps back continues from where it was: no age is ever negative, and nothing that waits for a time
    waits longer because of the jump. A jump forwards looks like a pause, and everything grows older by it.

    Attributes:
        at: The latest time, seconds of this clock.
        ahead: How much this clock is ahead of the caller's, seconds.
    """

    at: float
    ahead: float = 0.0

    def advance(self, now: float) -> float:
        """Return the time that is ``now`` for the caller, seconds of this clock; never less than the last one."""
        steady = now + self.ahead
        if steady < self.at:
            self.ahead += self.at - steady
            steady = self.at
        self.at = steady
        return steady

    def for_caller(self, steady: float) -> float:
        """Return the first time of the caller's at which this clock has reached ``steady``, seconds."""
        now = steady - self.ahead
        while now + self.ahead < steady:  # rounding must not wake anybody too early, he would wait for nothing
            now += max(math.ulp(now), math.ulp(steady), math.ulp(self.ahead))
        return now
