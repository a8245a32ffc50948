"""Telling a world that is down from a router that sees nothing.

Where half of the regions fall silent at once and the router does not even reach what it checks itself by, it is the
router that is cut off. Then silence says nothing of regions, and what was known before it is kept.
"""

from collections.abc import Iterable

from aether_deploy.routing.policy import HealthPolicy
from aether_deploy.routing.tracking.health import SILENCES, ProbeOutcome, detection_secs

LEAST_REGIONS = 2


class BlindGuard:
    """Watches silences. It is told of every probe, and says when to keep what was known.

    Attributes:
        regions: How many regions are probed.
        blind: What was known is kept: silences do not count, explicit answers do.
        self_check_fails: The router's own target did not answer the last time; never asked counts as answered.

    Rule:
        R13. It begins where at least two regions, and at least half of those that are probed, turn unhealthy by silence
        within one detection (``detection_secs``) of each other while the self-check fails; either may come first, by at
        most that time. It ends where the self-check works, or where fewer than half of the regions that were not down
        before are silent: a router that hears most of them is not blind, even if its target is gone for good. Then
        silences are counted afresh.
    """

    __slots__ = ("_fallen", "_silent", "blind", "regions", "self_check_fails")

    def __init__(self, regions: int) -> None:
        self.regions = regions
        self.blind = self.self_check_fails = False
        self._fallen: dict[str, float] = {}
        self._silent: set[str] = set()

    def heard(self, code: str, outcome: ProbeOutcome) -> None:
        """Note what a probe brought."""
        if outcome in SILENCES:
            self._silent.add(code)
        else:
            self._silent.discard(code)
            self._fallen.pop(code, None)

    def fell(self, code: str, now: float) -> None:
        """Note that a region turned from healthy to unhealthy by silence."""
        self._fallen[code] = now

    def group(self, policy: HealthPolicy, now: float) -> tuple[str, ...]:
        """Return the regions that fell together with the last one, where that was within the window; sorted."""
        window = detection_secs(policy)
        last = max(self._fallen.values(), default=-window)
        if now - last > window:
            return ()
        return tuple(sorted(code for code, at in self._fallen.items() if last - at <= window))

    def begins(self, policy: HealthPolicy, now: float) -> tuple[str, ...]:
        """Return the regions whose fall is to be taken back, as the router turns blind; empty where it does not."""
        if self.blind or not self.self_check_fails:
            return ()
        group = self.group(policy, now)
        if len(group) < LEAST_REGIONS or 2 * len(group) < self.regions:
            return ()
        self.blind = True
        for code in group:
            del self._fallen[code]
        return group

    def ends(self) -> bool:
        """Return whether the router sees again, and note it."""
        down = self._fallen.keys()  # silences of a blind router make none fall: these were down before
        hears = 2 * len(self._silent - down) < self.regions - len(down)
        if not self.blind or (self.self_check_fails and not hears):
            return False
        self.blind = False
        return True

    def over(self, codes: Iterable[str]) -> "BlindGuard":
        """Return a copy that watches these regions."""
        kept = frozenset(codes)
        copy = BlindGuard(len(kept))
        copy.blind, copy.self_check_fails = self.blind, self.self_check_fails
        copy._fallen = {code: at for code, at in self._fallen.items() if code in kept}
        copy._silent = self._silent & kept
        return copy
