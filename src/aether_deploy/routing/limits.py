"""What a platform promises about the loss of regions: ``routing whatif`` holds it to that."""

from typing import Annotated

from aether_deploy.config.base import Config
from aether_deploy.config.marks import WholeRule
from aether_deploy.config.types import Count
from aether_deploy.routing.policy import PositiveMilliseconds

LostRegions = Annotated[int, WholeRule(ge=0, le=3)]


class RoutingLimits(Config):
    """How much a loss of regions may cost players.

    Attributes:
        lost_regions: So many regions may be lost at once: each set of one to this many is tried.
        p95_ms: Latency that 95 of 100 players stay below or at, milliseconds; left out, any.
        deficit_players: Players who find no place at most.
    """

    lost_regions: LostRegions = 1
    p95_ms: PositiveMilliseconds | None = None
    deficit_players: Count = 0
