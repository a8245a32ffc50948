"""One moment of scaling, step by step: what the rule does, and what the autoscaler does that carries it out."""

from collections.abc import Iterator, Sequence

import msgspec

from aether_deploy.scaling.config import ScalingConfig
from aether_deploy.scaling.controller.policy import Direction, HpaPolicy
from aether_deploy.scaling.controller.proposals import Failure, Proposal
from aether_deploy.scaling.controller.reasons import PolicyLimited, ReplicaLimit, ScalingDisabled, Stabilized, Sync
from aether_deploy.scaling.controller.reconcile import HpaController
from aether_deploy.scaling.controller.seen import PodTotals, Reading, Seen
from aether_deploy.scaling.decision import Hold
from aether_deploy.scaling.hpa import DESIRED, FLOOR
from aether_deploy.simulation.placing import occupied_floor_evenly

Line = tuple[str, str]


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked about.

    Attributes:
        players: Players on all pods together, spread evenly.
        replicas: Pods, all of them running.
        since_up_secs: Seconds since the last scale-up; None is long ago.
        since_down_secs: Seconds since the last scale-down; None is long ago.
    """

    players: int
    replicas: int
    since_up_secs: int | None = None
    since_down_secs: int | None = None


class Explained(msgspec.Struct, frozen=True, kw_only=True):
    """How a count comes about.

    Attributes:
        replicas: The count.
        lines: The steps that lead to it: a name, and what happens there.
    """

    replicas: int
    lines: tuple[Line, ...]


def explain_rule(scaling: ScalingConfig, moment: Moment) -> Explained:
    """Return what the scaling rule decides at a moment, step by step."""
    floor = occupied_floor_evenly(moment.players, moment.replicas) if scaling.protect_occupied else 0
    decision = scaling.compute_desired_replicas(
        moment.players,
        moment.replicas,
        secs_since_scale_up=moment.since_up_secs,
        secs_since_scale_down=moment.since_down_secs,
        occupied_floor=floor,
    )
    lines = [("sees", _seen_text(moment, scaling.target_players_per_pod)), *_rule_steps(scaling, moment, floor)]
    if isinstance(decision, Hold):
        return _explained(lines, moment.replicas, moment, f" ({decision.reason})")
    return _explained(lines, decision.target_replicas, moment)


def explain_hpa(policy: HpaPolicy, scaling: ScalingConfig, moment: Moment) -> Explained:
    """Return what one sync of the autoscaler controller does at a moment, step by step.

    Every pod runs and gives a sample. Of earlier syncs, those that made the last changes are remembered, and no
    others.

    Args:
        policy: The autoscaler; metrics that have nothing to do with players are left out.
        scaling: The settings that it carries out.
        moment: What is asked about.
    """
    values = _values(policy, scaling, moment)
    known = tuple(metric for metric in policy.metrics if metric.key in values)
    policy = msgspec.structs.replace(policy, metrics=known)
    seen = Seen(spec_replicas=moment.replicas, ready_pods=moment.replicas, values=values)
    sync = HpaController(policy, history=_history(moment)).sync(0, seen)
    lines = [line for each in sync.proposals for line in _proposal_lines(each, policy, moment)]
    lines += _limit_lines(policy, sync)
    return _explained(lines, sync.replicas, moment, f" ({sync.reason})")


def _explained(lines: Sequence[Line], replicas: int, moment: Moment, why: str = "") -> Explained:
    before = moment.replicas
    if replicas == before:
        result = f"stays at {_pods(replicas)}{why}"
    else:
        result = f"scales {'up' if replicas > before else 'down'} from {before} to {_pods(replicas)}{why}"
    return Explained(replicas=replicas, lines=(*lines, ("result", result)))


# --- the rule


def _rule_steps(scaling: ScalingConfig, moment: Moment, floor: int) -> Iterator[Line]:
    capacity = scaling.target_players_per_pod * max(moment.replicas, 1)
    least = -(-capacity // 2)
    pods = _pods(max(moment.replicas, 1))
    up, down = moment.players > capacity, 2 * moment.players < capacity
    where = f"{moment.players} are more" if up else f"{moment.players} are fewer" if down else "nothing to do"
    yield "band", f"{least} to {capacity} players are left alone on {pods}: {where}"
    if up or down:
        sizing = scaling.sizing
        each = "" if not scaling.headroom_percent else f", {scaling.headroom_percent} % of each left free"
        yield "needs", f"{_pods(sizing.needed(moment.players))} for {moment.players} players{each}"
        yield "cooldown", _cooldown_text(scaling, moment, up=up)
        yield from _step_lines(scaling, moment, floor, up=up)
    yield "bounds", f"{scaling.min_replicas} to {_pods(scaling.max_replicas)}"


def _cooldown_text(scaling: ScalingConfig, moment: Moment, *, up: bool) -> str:
    wait = scaling.scale_up_cooldown_secs if up else scaling.scale_down_cooldown_secs
    since = min((each for each in (moment.since_up_secs, moment.since_down_secs) if each is not None), default=None)
    said = f"a scale-{'up' if up else 'down'} waits {wait} s after any change"
    if since is None:
        return f"{said}: the last was long ago"
    return f"{said}: the last was {since} s ago" + (f", {wait - since} s to go" if since < wait else "")


def _step_lines(scaling: ScalingConfig, moment: Moment, floor: int, *, up: bool) -> Iterator[Line]:
    step = scaling.max_step_up if up else scaling.max_step_down
    if step is not None:
        yield "step", f"at most {_pods(step)} at once"
    if not up and scaling.protect_occupied:
        yield "occupied", f"players are on the first {_pods(floor)}, which stay"
    if not up and scaling.max_players_displaced_per_hour is not None:
        yield "budget", f"at most {_pods(scaling.sizing.removed_per_hour or 0)} go within an hour; none went lately"


# --- the autoscaler


def _history(moment: Moment) -> list[tuple[float, int]]:
    changes = (moment.since_up_secs, moment.since_down_secs)
    return [(-float(secs), moment.replicas) for secs in changes if secs is not None]


def _values(policy: HpaPolicy, scaling: ScalingConfig, moment: Moment) -> dict[str, Reading]:
    """Return the reading of each metric that follows from players."""
    values: dict[str, Reading] = {}
    for metric in policy.metrics:
        if metric.name == DESIRED:
            values[metric.key] = [explain_rule(scaling, moment).replicas * 1000]
        elif metric.name == FLOOR:
            values[metric.key] = [occupied_floor_evenly(moment.players, moment.replicas) * 1000]
        elif metric.source == "Pods":
            values[metric.key] = PodTotals(counted=moment.replicas, sum_milli=moment.players * 1000)
    return values


def _proposal_lines(proposal: Proposal | Failure, policy: HpaPolicy, moment: Moment) -> Iterator[Line]:
    metric = next(each for each in policy.metrics if each.key == proposal.metric)
    if isinstance(proposal, Failure):
        yield "sees", f"{metric.name}: nothing, as {proposal.why}"
        return
    target = _thousandths(metric.target)
    if metric.source == "Pods":
        each = _thousandths(proposal.usage_milli)
        yield "sees", f"{metric.name}: {each} a pod on {_pods(moment.replicas)}; target {target}"
    else:
        whole = round(proposal.ratio * metric.target * moment.replicas)
        yield "sees", f"{metric.name}: {_thousandths(whole)} on {_pods(moment.replicas)}; target {target} a pod"
    low, high = 1.0 - policy.down.tolerance, 1.0 + policy.up.tolerance
    inside = proposal.kept == "within-tolerance"
    where = "inside" if inside else "outside"
    yield "band", f"ratios from {_ratio(low)} to {_ratio(high)} are left alone: {_ratio(proposal.ratio)} is {where}"
    if inside:
        yield "proposal", f"{_pods(proposal.replicas)}, as it is"
    elif metric.source == "Pods":
        product = proposal.ratio * moment.replicas
        yield (
            "proposal",
            f"ceil({_ratio(proposal.ratio)} × {moment.replicas} = {_ratio(product)}) = {proposal.replicas}",
        )
    else:
        yield "proposal", _pods(proposal.replicas)


def _limit_lines(policy: HpaPolicy, sync: Sync) -> Iterator[Line]:
    """Yield what windows, rates and bounds make of the proposals."""
    outside = next((step for step in sync.steps if isinstance(step, ReplicaLimit) and step.bypass), None)
    if outside is not None:
        yield "bounds", f"{sync.before} is outside of {_bounds(policy)}: {outside.bound} at once, whatever is measured"
        return
    if isinstance(sync.steps[-1], ScalingDisabled):
        yield "sees", "0 pods: the autoscaler is off until somebody sets a count"
    if not sync.proposals or all(isinstance(each, Failure) for each in sync.proposals):
        return
    wanted = max(each.replicas for each in sync.proposals if isinstance(each, Proposal))
    direction, name = (policy.down, "down") if wanted < sync.before else (policy.up, "up")
    stabilized = next((step for step in sync.steps if isinstance(step, Stabilized)), None)
    if stabilized is not None:
        kept = f"{_pods(stabilized.replicas)}, which was recommended within {direction.window_secs} s"
        yield "window", f"{kept}, wins over {stabilized.wanted}"
    elif wanted != sync.before:
        window = direction.window_secs
        said = f"waits {window} s, and nothing else was recommended meanwhile" if window else "waits for nothing"
        yield "window", f"a scale-{name} {said}"
    limited = next((step for step in sync.steps if isinstance(step, PolicyLimited)), None)
    if limited is not None:
        yield "policy", f"{_rates(direction)}: {_pods(limited.limit)} now, where {limited.wanted} are wanted"
    elif wanted != sync.before:
        yield "policy", f"{_rates(direction)}: not reached"
    yield "bounds", _bounds(policy)


def _bounds(policy: HpaPolicy) -> str:
    return f"{policy.min_replicas} to {_pods(policy.max_replicas)}"


def _rates(direction: Direction) -> str:
    if direction.select == "Disabled":
        return "no change in this direction"
    rates = [
        f"{f'{each.value} %' if each.type == 'Percent' else _pods(each.value)} in {each.period_secs} s"
        for each in direction.policies
    ]
    joined = (" or " if direction.select == "Max" else " and ").join(rates)
    return f"at most {joined}"


# --- words


def _seen_text(moment: Moment, target: int) -> str:
    each = _ratio(moment.players / max(moment.replicas, 1))
    return f"{moment.players} players on {_pods(moment.replicas)}, {each} a pod; target {target}"


def _pods(count: int) -> str:
    return f"{count} pod" if count == 1 else f"{count} pods"


def _thousandths(milli: int) -> str:
    whole, rest = divmod(milli, 1000)
    return str(whole) if not rest else f"{whole}.{rest:03}".rstrip("0")


def _ratio(value: float) -> str:
    """Return a number in a few digits; in all of them where rounding up makes something of the last."""
    near = round(value)
    return repr(value) if near and value != near and abs(value - near) < 1e-6 else f"{value:.6g}"
