"""Regions as they really are, which a router can only guess."""

from random import Random

from aether_deploy.routing.policy import LoadPolicy
from aether_deploy.routing.router_config import RouterConfig, RouterRegion
from aether_deploy.routing.tracking.health import ProbeOutcome
from aether_deploy.simulation.routing.events import RegionFault

JOINING_SECS = 5.0


class Site:
    """One region. What is wrong with it is counted, since faults overlap.

    Attributes:
        region: As configured.
        down: Faults that keep it from answering.
        not_ready: Faults that make it say no.
        cut: Faults that keep the router from it.
        fading: Times between which it answers less and less.
        players: Players in it.
        reported_at: When the router last got its load, seconds.
    """

    def __init__(self, region: RouterRegion) -> None:
        self.region = region
        self.down = self.not_ready = self.cut = self.players = 0
        self.fading: list[tuple[float, float]] = []
        self.reported_at = float("-inf")

    @property
    def fine(self) -> bool:
        return not (self.down or self.not_ready or self.cut or self.fading)

    def suffer(self, fault: RegionFault, by: int) -> None:
        """Begin or end to suffer a fault."""
        match fault.kind:
            case "down":
                self.down += by
            case "not-ready":
                self.not_ready += by
            case "flaps" if fault.explicit:
                self.not_ready += by
            case "flaps":
                self.down += by
            case "cut-off":
                self.cut += by
            case "slow-death" if by > 0:
                self.fading.append((fault.at_secs, fault.ends_at))
            case "slow-death":
                self.fading.remove((fault.at_secs, fault.ends_at))

    def answers(self, now: float, chance: Random) -> bool:
        """Return whether a probe that reaches it is answered."""
        fades = max(((now - since) / (until - since) for since, until in self.fading if until > since), default=0.0)
        return chance.random() >= fades


class World:
    """All regions, the router's network, and what can be known.

    Attributes:
        sites: The regions, by code.
        blind: Faults that keep the router from everything.
        target_lost: Faults that keep it from what it checks itself by.
        blind_since: When it last turned blind, seconds.
        sees_since: When the last of these faults was over, seconds; infinite while there is one.
        jumped_at: When its clock last jumped forwards, and with it leases ended before their time, seconds.
    """

    def __init__(self, config: RouterConfig) -> None:
        self.config = config
        self.sites = {region.code: Site(region) for region in config.regions}
        self.blind = self.target_lost = 0
        self.blind_since = self.sees_since = 0.0
        self.jumped_at = float("-inf")

    def suffer(self, fault: RegionFault, by: int, now: float) -> None:
        """Begin or end to suffer a fault."""
        if fault.kind == "blind-router":
            self.blind_since = self.blind_since if self.blind else now
            self.blind += by
        if fault.kind == "self-check-lost":
            self.target_lost += by
        self.sees_since = float("inf") if self.blind or self.target_lost else min(self.sees_since, now)
        for code in fault.regions:
            self.sites[code].suffer(fault, by)

    def probe(self, site: Site, now: float, chance: Random) -> ProbeOutcome:
        """Return what a probe brings."""
        if self.blind or site.cut:
            return "timeout"
        if site.down:
            return "refused"
        if not site.answers(now, chance):
            return "timeout"
        return "not_ready" if site.not_ready else "ready"

    def reaches_router(self, site: Site) -> bool:
        """Return whether the router gets a region's reports."""
        return not (self.blind or site.cut or site.down)

    def is_knowingly_full(self, site: Site, now: float) -> bool:
        """Return whether a region is full, and the router has the means to know: reports in time, and no lost lease."""
        load, capacity = self.config.load, site.region.capacity_players
        if load is None or capacity is None or site.players * 100 < load.hard_percent * capacity:
            return False
        joining = joining_secs(self.config)
        in_time = now - site.reported_at < min(load.reservation_secs - joining, load.report_max_age_secs)
        return in_time and self.jumped_at < site.reported_at - joining


def joining_secs(config: RouterConfig) -> float:
    """Return how long a player takes to join at the most, seconds: never longer than his lease."""
    return min(JOINING_SECS, (config.load or LoadPolicy()).reservation_secs)


def report_secs(config: RouterConfig) -> float:
    """Return how often a region reports its load, seconds."""
    return (config.load or LoadPolicy()).report_max_age_secs / 3
