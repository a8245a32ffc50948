"""Telling a world that is down from a router that sees nothing.

Where half of the regions are silent at once and the router does not even reach what it checks itself by, it is the
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
        self_check_fails: The router's own target answered before, and did not the last time. One that never answered
            proves nothing: it may be a slip in its name, so it counts as one that is never asked.

    Rule:
        R13. It begins where a region turns unhealthy by silence while the self-check fails, and two regions at least,
        and at least half of those that are probed, are silent then: those that fell within one detection
        (``detection_secs``) of it, and those that are healthy and did not answer the last time. The self-check may
        fail later, by at most that time. Regions that were down before count as heard, so that where most are dead the
        next silence is believed. It ends where the self-check works, or where fewer than two, or than half, of
        the regions that were not down before are silent: a router that hears most of them is not blind, even if its
        target is gone for good. Then silences are counted afresh.
    """

    __slots__ = ("_answered", "_fallen", "_silent", "blind", "regions", "self_check_fails")

    def __init__(self, regions: int) -> None:
        self.regions = regions
        self.blind = self.self_check_fails = self._answered = False
        self._fallen: dict[str, float] = {}
        self._silent: set[str] = set()  # since they were healthy; those that fell are among them

    def checked(self, answers: bool | None) -> None:
        """Note whether the router's own target answered; None: from now on there is none, or another one."""
        self._answered = answers is not None and (answers or self._answered)
        self.self_check_fails = self._answered and not answers

    def heard(self, code: str, outcome: ProbeOutcome, *, was_healthy: bool) -> None:
        """Note what a probe brought of a region that was healthy before it, or not."""
        if outcome in SILENCES:
            if was_healthy:
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
        down = self._fallen.keys() - set(group)
        if not group or not _is_blinding(len(self._silent - down), self.regions):
            return ()
        self.blind = True
        for code in group:
            del self._fallen[code]
        return group

    def ends(self) -> bool:
        """Return whether the router sees again, and note it."""
        down = self._fallen.keys()  # silences of a blind router make none fall: these were down before
        is_cut_off = self.self_check_fails and _is_blinding(len(self._silent - down), self.regions - len(down))
        if not self.blind or is_cut_off:
            return False
        self.blind = False
        return True

    def over(self, codes: Iterable[str]) -> "BlindGuard":
        """Return a copy that watches these regions."""
        kept = frozenset(codes)
        copy = BlindGuard(len(kept))
        copy.blind, copy.self_check_fails, copy._answered = self.blind, self.self_check_fails, self._answered
        copy._fallen = {code: at for code, at in self._fallen.items() if code in kept}
        copy._silent = self._silent & kept
        return copy


def _is_blinding(silent: int, regions: int) -> bool:
    """Return whether so many silent regions of so many say more of the router than of them."""
    return silent >= LEAST_REGIONS and 2 * silent >= regions
