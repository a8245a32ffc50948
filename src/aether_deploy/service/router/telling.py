"""What a router tells of itself: how regions are, and what changes, to those who ask and to those who listen."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from aether_deploy.routing.router_config import RouterConfig, RouterRegion
from aether_deploy.routing.tracking.status import RegionStatus
from aether_deploy.routing.view import RegionView, RoutingView
from aether_deploy.service.router.feed import Feed
from aether_deploy.service.router.journal import Journal
from aether_deploy.service.router.probing import Probed

_SAID = ("health", "drain", "suppressed", "stale")
_TOLD = ("health", "suppressed", "drain", "ramp", "drain_share", "load", "load_stale")


class Known(NamedTuple):
    """All that a router knows at one time.

    Attributes:
        config: What it is told.
        view: What decisions see.
        statuses: How regions stand, in file order.
        probed: What the last probe of each region brought, and how long ago, seconds.
        recent: The last decisions.
        checked: What came of the last self-check, and how long ago, seconds; None where nothing is asked.
    """

    config: RouterConfig
    view: RoutingView
    statuses: Sequence[RegionStatus]
    probed: Mapping[str, tuple[float, Probed]]
    recent: Sequence[Mapping[str, Any]]
    checked: tuple[float, Probed] | None = None

    def snapshot_age_secs(self) -> float | None:
        """Return the age of the oldest probe, seconds; None while a region is still to be probed for the first time."""
        wanted = [region.code for region in self.config.regions if region.probe]
        if any(code not in self.probed for code in wanted):
            return None
        return round(max((self.probed[code][0] for code in wanted), default=0.0), 3)

    def regions(self) -> list[dict[str, Any]]:
        """Return everything about each region, as plain values."""
        pairs = zip(self.config.regions, self.statuses, strict=True)
        return [_region_values(region, status, self.probed.get(region.code)) for region, status in pairs]

    def snapshot(self) -> dict[str, Any]:
        """Return everything, as plain values."""
        load = self.config.load
        return {
            "epoch": self.view.epoch,
            "stale": self.view.stale,
            "snapshot_age_secs": self.snapshot_age_secs(),
            "self_check": None if self.checked is None else _probe_values(*self.checked),
            "load_limits": None
            if load is None
            else {"soft_percent": load.soft_percent, "hard_percent": load.hard_percent},
            "regions": self.regions(),
            "matrix": self.view.matrix,
            "recent": list(self.recent),
        }


def _region_values(region: RouterRegion, status: RegionStatus, last: tuple[float, Probed] | None) -> dict[str, Any]:
    return {
        **msgspec.to_builtins(status),
        "address": region.address,
        "location": None if region.location is None else region.location.to_values(),
        "latency_ms": region.latency_ms,
        "probe": _probe_values(*last) if region.probe and last is not None else None,
    }


def _probe_values(age_secs: float, probed: Probed) -> dict[str, Any]:
    took_ms = round(probed.secs * 1000, 1)
    return {
        "outcome": probed.outcome, "detail": probed.detail, "took_ms": took_ms, "age_secs": round(age_secs, 3)
    }  # fmt: skip


def tell_changes(
    before: RoutingView, after: RoutingView, know: Callable[[], Known], feed: Feed, journal: Journal
) -> None:
    """Tell listeners, and note, what is another than it was; ``know`` returns all that is known now."""
    changes = list(_changes(before, after))
    if feed.listeners:
        feed.publish("change", {"changes": changes, **know().snapshot()}, epoch=after.epoch)
    for change in changes:
        if change["what"] in _SAID:
            detail = know().probed[change["region"]][1].detail if change["what"] == "health" else None
            bad = change["after"] in ("unhealthy", True)
            journal.say("change", "warning" if bad else "info", **change, **({"detail": detail} if detail else {}))


def _changes(before: RoutingView, after: RoutingView) -> Iterator[dict[str, Any]]:
    """Yield what differs between two views, region by region."""
    if before.stale != after.stale:
        yield {"what": "stale", "before": before.stale, "after": after.stale}
    unknown = RegionView(code="")
    for region in after.regions:
        was = before.by_code.get(region.code, unknown)
        for name in _TOLD:
            old, new = getattr(was, name), getattr(region, name)
            if old != new:
                yield {"region": region.code, "what": name, "before": old, "after": new}
