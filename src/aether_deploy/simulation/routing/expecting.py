"""What the view must say of one region, reckoned a second time from what the router was told, and plainly.

Written from the rules and not from the code that is judged: whole histories instead of counters, exponentials instead
of remembered moments.
"""

import math

import msgspec

from aether_deploy.routing.router_config import RouterConfig, RouterRegion
from aether_deploy.routing.tracking.health import ProbeOutcome
from aether_deploy.routing.view import RegionView

LEAST_RAMP = 0.1
FALL = 1000.0
NEAR = 1e-6
A_STEP = 0.0101
"""Shares go in whole percents."""
A_LOAD_STEP = 0.001


class Past(msgspec.Struct):
    """What a fall changes, and what a router that was blind takes back.

    Attributes:
        penalty: Penalty at ``at``.
        at: When it was reckoned last.
        rests: It was suppressed then.
        rests_until: When its last rest ends.
        healthy_at: When it last turned healthy after it had been unhealthy; None: it never had been.
    """

    penalty: float = 0.0
    at: float = 0.0
    rests: bool = False
    rests_until: float = -math.inf
    healthy_at: float | None = None

    @property
    def returned_at(self) -> float | None:
        """When it last came back into service: healthy, and not resting any more."""
        return None if self.healthy_at is None else max(self.healthy_at, self.rests_until)


class Asked(msgspec.Struct, frozen=True):
    """A drain that was asked for."""

    mode: str
    at: float
    bleed_secs: float
    deadline_secs: float | None


class Expectation:
    """One region, as it must be seen. Times are the router's, without its jumps back."""

    def __init__(self, region: RouterRegion, config: RouterConfig) -> None:
        self.code, self.config, self.probed = region.code, config, region.probe is not None
        self.capacity = region.capacity_players
        self.past = Past()
        self.before_fall: Past | None = None
        self.last: ProbeOutcome | None = None
        self.ready_in_a_row = self.silent_in_a_row = 0
        self.health = "unknown" if self.probed else "healthy"
        self.before_row = self.after_answer = self.health
        self.row_is_whole = True
        self.report: tuple[float, int] | None = None
        self.places: dict[str, tuple[float, bool]] = {}
        self.drain: Asked | None = None

    # --- what it was told

    def probe(self, outcome: ProbeOutcome, *, blind: bool) -> None:
        self.last = outcome
        if outcome == "ready":
            if not self.ready_in_a_row:
                self.before_row = self.health
            self.ready_in_a_row, self.silent_in_a_row = self.ready_in_a_row + 1, 0
            return
        self.ready_in_a_row, self.row_is_whole = 0, True
        if outcome == "not_ready":
            self.silent_in_a_row = 0
        elif not blind:
            self.silent_in_a_row += 1

    def counts_afresh(self) -> None:
        self.silent_in_a_row = 0
        self.after_answer = self.health
        self.row_is_whole = not self.ready_in_a_row  # whether the last answer counts is nobody's concern

    def reported(self, now: float, players: int) -> None:
        self.report = (now, players)
        self.places = {key: place for key, place in self.places.items() if not place[1]}

    def joined(self, reservation_id: str) -> None:
        if reservation_id in self.places:
            self.places[reservation_id] = (self.places[reservation_id][0], True)

    # --- what it must be

    def faults(self, seen: RegionView, now: float, *, stale: bool) -> list[str]:
        """Return what is wrong with what is seen of it."""
        faults = [*self._health(seen, stale=stale), *self._drain(seen, now), *self._load(seen, now)]
        self._follow(seen, now)
        return [*faults, *self._damping(seen, now), *self._ramp(seen, now)]

    def _health(self, seen: RegionView, *, stale: bool) -> list[str]:
        policy = self.config.health
        must: str | None = None
        if not self.probed:
            must = "healthy"
        elif self.last == "not_ready":
            must = "unhealthy"
        elif self.ready_in_a_row and (self.before_row != "unhealthy" or self.row_is_whole):
            long_enough = self.before_row != "unhealthy" or self.ready_in_a_row >= policy.rise
            must = "healthy" if long_enough else "unhealthy"
        elif stale:
            must = None
        elif self.silent_in_a_row >= policy.fall:
            must = "unhealthy"
        elif self.silent_in_a_row:
            must = self.after_answer
        if must is not None and seen.health != must:
            return [f"{self.code} is {seen.health} and must be {must} after {self._told()}"]
        return []

    def _told(self) -> str:
        return f"{self.last}, {self.ready_in_a_row} answers and {self.silent_in_a_row} silences in a row"

    def _follow(self, seen: RegionView, now: float) -> None:
        """Take over the health that is seen, and reckon what follows from it."""
        was, self.health = self.health, seen.health
        if self.last in ("ready", "not_ready") and not self.silent_in_a_row:
            self.after_answer = seen.health
        self._decay(now)
        if was == "healthy" and seen.health == "unhealthy":
            self.before_fall = msgspec.structs.replace(self.past)
            self._fell()
        elif was == "unhealthy" and seen.health == "healthy" and self.last not in ("ready", "not_ready"):
            if self.before_fall is not None:  # a blind router took the fall back
                self.past = self.before_fall
                self._decay(now)
        elif was == "unhealthy" and seen.health == "healthy":
            self.past.healthy_at = now

    def _decay(self, now: float) -> None:
        damping, past = self.config.damping, self.past
        if damping is None:
            return
        past.penalty *= math.exp(-math.log(2) * (now - past.at) / damping.half_life_secs)
        past.at = now
        if past.rests and past.penalty <= damping.reuse * (1 + NEAR):
            past.rests = False

    def _fell(self) -> None:
        damping, past = self.config.damping, self.past
        if damping is not None:
            past.penalty = min(past.penalty + FALL, damping.ceiling)
            past.rests = past.rests or past.penalty >= damping.suppress
            if past.rests:
                past.rests_until = past.at + damping.half_life_secs * math.log(past.penalty / damping.reuse, 2)

    def _damping(self, seen: RegionView, now: float) -> list[str]:
        damping = self.config.damping
        if damping is None:
            return ["it rests, and nothing is damped"] if seen.suppressed else []
        edge = min(abs(self.past.penalty / damping.reuse - 1), abs(self.past.penalty / damping.suppress - 1))
        if edge > 10 * NEAR and seen.suppressed != self.past.rests:
            rests = "rests" if seen.suppressed else "does not rest"
            return [f"{self.code} {rests} with a penalty of {self.past.penalty:.3f}: left and entered out of time"]
        return []

    def _ramp(self, seen: RegionView, now: float) -> list[str]:
        policy = self.config.failback
        if seen.health != "healthy":
            return []
        if policy is None or policy.ramp_secs == 0 or self.past.returned_at is None:
            must = 1.0
        else:
            must = min(1.0, max(LEAST_RAMP, (now - self.past.returned_at) / policy.ramp_secs))
        if not must - A_STEP <= seen.ramp <= must + NEAR:
            return [f"{self.code} takes {seen.ramp:.0%} of new players, and must take {must:.1%} after its return"]
        return []

    def _load(self, seen: RegionView, now: float) -> list[str]:
        policy = self.config.load
        self.places = {key: place for key, place in self.places.items() if place[0] > now - NEAR}
        if self.capacity is None or policy is None:
            return []
        at, players = self.report or (-math.inf, 0)
        age, stale, unknown = now - at, policy.report_max_age_secs, 4 * policy.report_max_age_secs
        kept, most_kept = sum(ends > now + NEAR for ends, _ in self.places.values()), len(self.places)
        over = age > unknown
        if min(abs(age - stale), abs(age - unknown)) < NEAR or (over and (kept == 0) != (most_kept == 0)):
            return []
        if (seen.load is None) != (over and not kept) or seen.load_stale != (stale < age < math.inf):
            return [
                f"{self.code} has a load of {seen.load} (old: {seen.load_stale}), its report is {age:.1f} s old, and "
                f"{kept} places are kept"
            ]
        if seen.load is None:
            return []
        there = 0 if over else players
        least, most = (there + kept) / self.capacity, (there + most_kept) / self.capacity
        if not least - A_LOAD_STEP - NEAR <= seen.load <= most + NEAR:
            return [f"{self.code} has a load of {seen.load}, and must have {most:.4f}: {there} and {kept} places"]
        return []

    def _drain(self, seen: RegionView, now: float) -> list[str]:
        asked = self.drain
        if asked is None:
            return [] if seen.drain == "none" else [f"{self.code} drains, and nobody asked"]
        age = now - asked.at
        over = asked.deadline_secs is not None and age >= asked.deadline_secs
        mode = "hard" if over else asked.mode
        share = max(0.0, 1 - age / asked.bleed_secs) if mode == "soft" and asked.bleed_secs else 0.0
        edge = asked.deadline_secs is not None and abs(age - asked.deadline_secs) < NEAR
        if edge or (seen.drain == mode and share - NEAR <= seen.drain_share <= share + A_STEP):
            return []
        return [f"{self.code} drains {seen.drain} with {seen.drain_share:.2f}, and must {mode} with {share:.4f}"]

    def held(self, now: float) -> bool | None:
        """Return whether a failback still holds its players back; None on the edge."""
        policy, since = self.config.failback, self.past.healthy_at
        if policy is None or since is None or self.health != "healthy":
            return False
        secs = now - since
        return None if abs(secs - policy.hold_secs) < NEAR else secs < policy.hold_secs
