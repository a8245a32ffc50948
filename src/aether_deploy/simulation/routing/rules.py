"""What is simulated."""

from collections.abc import Callable

import msgspec

from aether_deploy.routing.decision.deciding import decide_route
from aether_deploy.routing.tracking.tracker import RegionTracker
from aether_deploy.simulation.routing.checking import Decide


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """The rules that a simulated router runs; a test puts a broken one here and sees it caught.

    Attributes:
        decide: The decision.
        tracker: Makes what knows of regions over time.
    """

    decide: Decide = decide_route
    tracker: Callable[..., RegionTracker] = RegionTracker


PRODUCTION = Rules()
