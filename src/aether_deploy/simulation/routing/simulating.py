"""The health of regions in a simulation: seeded faults against the tracker and the decision that routers run."""

import msgspec

from aether_deploy.routing.router_config import RouterConfig
from aether_deploy.routing.tracking.health import detection_secs, recovery_secs
from aether_deploy.simulation.routing.events import FAULT_KINDS, FaultKind, RegionFault
from aether_deploy.simulation.routing.playing import Play
from aether_deploy.simulation.routing.rules import PRODUCTION, Rules
from aether_deploy.simulation.routing.world import report_secs


class RoutingRun(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one simulation in which every promise was kept.

    Attributes:
        seed: What it was made from.
        secs: How long it was, seconds.
        faults: What went wrong.
        steps: After how many events the promises were judged.
        views: How many different views decisions saw.
        decisions: How many decisions were judged.
        moves: How often a watched player was sent elsewhere than before.
        joined: Players who joined a region.
        refused: Players whom no region could take.
        home_after_secs: When every watched player was home for good, seconds after the last fault was over.
        home_bound_secs: The latest time that the rules allow for that.
        trace: What happened, line by line; equal seeds give equal traces.
    """

    seed: int
    secs: float
    faults: tuple[RegionFault, ...]
    steps: int
    views: int
    decisions: int
    moves: int
    joined: int
    refused: int
    home_after_secs: float
    home_bound_secs: float
    trace: tuple[str, ...]


def home_bound_secs(config: RouterConfig) -> float:
    """Return how long it can take from the end of all faults until players are home again, seconds.

    A fall that is on its way is still noticed, a blind router notices that it sees, the region is found healthy, rests
    as long as it may, and then warms up or holds its players back. Loads are known again with the next reports.
    """
    secs = 2 * detection_secs(config.health) + 2 * recovery_secs(config.health)
    if config.damping is not None:
        secs += config.damping.max_suppress_secs
    if config.failback is not None:
        secs += max(config.failback.ramp_secs, config.failback.hold_secs)
    return secs + report_secs(config)


def simulate_routing(
    config: RouterConfig,
    *,
    seed: int,
    hours: float = 1.0,
    fault_every_secs: float = 60.0,
    kinds: tuple[FaultKind, ...] = FAULT_KINDS,
    rules: Rules = PRODUCTION,
) -> RoutingRun:
    """Simulate a router through hours of faults, and then a calm in which everybody comes home.

    Args:
        config: The router; what is judged is what its rules promise.
        seed: Equal seeds give equal runs, event by event.
        hours: How long faults go on, hours.
        fault_every_secs: How often one begins, in the mean, seconds.
        kinds: What may go wrong.
        rules: What is simulated.

    Raises:
        InvariantError: A promise was broken; it has the seed and the last events.
    """
    bound = home_bound_secs(config)
    play = Play(config, seed, hours * 3600, fault_every_secs, kinds, rules)
    play.run(bound)
    return RoutingRun(
        seed=seed,
        secs=play.secs + bound,
        faults=play.faults,
        steps=play.steps,
        views=play.views,
        decisions=play.judge.decisions,
        moves=play.judge.moves,
        joined=play.joined,
        refused=play.refused,
        home_after_secs=play.away_until - play.secs,
        home_bound_secs=bound,
        trace=tuple(play.trace),
    )
