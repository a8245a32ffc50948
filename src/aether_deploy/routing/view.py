"""What is known of the regions at one moment: all that a decision may look at."""

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Literal

import msgspec

Health = Literal["unknown", "healthy", "unhealthy"]
DrainMode = Literal["none", "soft", "hard"]
NotNegative = Annotated[float, msgspec.Meta(ge=0)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class Position(msgspec.Struct, frozen=True):
    """A place on Earth, degrees north and east."""

    lat: float
    lon: float


class RegionView(msgspec.Struct, frozen=True, kw_only=True):
    """One region at one moment. Numbers that cannot be are refused where one is read, such as from a log.

    Attributes:
        code: Its code.
        latency_ms: Static round trip, milliseconds; None where nobody said.
        position: Where it is; None where nobody said.
        health: What probes say; only ``healthy`` takes players.
        suppressed: It fell too often and rests.
        ramp: Share of new players that it takes after a recovery, 0 to 1.
        healthy_secs: How long it is healthy since it was last unhealthy, seconds; infinite where it never was.
        load: Players and reservations over capacity; None where it is unknown and limits nothing.
        load_stale: The last report of players is older than the policy likes.
        load_at_least: Nobody reported players, or too long ago: the load is that of the reservations alone.
        drain: ``soft`` takes no new players, but those who return; ``hard`` takes nobody.
        drain_share: Share of new players that a soft drain still takes, 1 to 0 while it bleeds.
        builds: Builds that its worlds speak; empty where nobody said, or said so too long ago (R11's time after which a
            load is unknown), which excludes none.
    """

    code: str
    latency_ms: NotNegative | None = None
    position: Position | None = None
    health: Health = "healthy"
    suppressed: bool = False
    ramp: Share = 1.0
    healthy_secs: NotNegative = float("inf")
    load: NotNegative | None = None
    load_stale: bool = False
    load_at_least: bool = False
    drain: DrainMode = "none"
    drain_share: Share = 0.0
    builds: frozenset[str] = frozenset()


class RoutingView(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """All regions at one moment, in file order, which breaks ties.

    Attributes:
        regions: The regions.
        matrix: Round trips between regions, milliseconds, by code and code; symmetric, without the diagonal.
        epoch: Number of the view; a later one has a larger number.
        stale: Probes are blind, and the healths are those from before (see ``BlindGuard``).
    """

    regions: tuple[RegionView, ...]
    matrix: Mapping[str, Mapping[str, NotNegative]] = {}
    epoch: int = 0
    stale: bool = False

    @cached_property
    def by_code(self) -> dict[str, RegionView]:
        """The regions by code."""
        return {region.code: region for region in self.regions}
