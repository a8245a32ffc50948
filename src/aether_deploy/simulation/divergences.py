"""What a mode cannot carry of the scaling rule, before anything ships: the causes that comparisons can find for it."""

from collections.abc import Iterator

from aether_deploy.scaling.config import ScalingConfig
from aether_deploy.scaling.hpa import down_window_secs
from aether_deploy.scaling.modes import SYNC_SECS, TOLERANCE_SINCE, Mode, budget_policy, keeps_tolerance, mode_of
from aether_deploy.simulation.backends import compile_policy
from aether_deploy.simulation.findings import counted
from aether_deploy.simulation.instant import Bands, HpaInstant, RuleInstant
from aether_deploy.simulation.proofs import find_other_size

_SIZES_TRIED = 200


def divergences(
    scaling: ScalingConfig, kubernetes: str, mode: Mode | None = None, *, scrape_interval_secs: int = 15
) -> list[str]:
    """Return what an autoscaler does otherwise than the rule, one line each, with the cause's id at its end.

    Args:
        scaling: The settings.
        kubernetes: The cluster's version, ``v1.<minor>``.
        mode: The mode; None is the one that is rendered.
        scrape_interval_secs: Pause between two scrapes, seconds.

    Returns:
        The lines, the gravest first. Everything that a comparison can find on a trace of players is among them.
    """
    mode = mode_of(scaling, kubernetes) if mode is None else mode
    window = down_window_secs(scaling, mode, scrape_interval_secs)
    moded = ScalingConfig(**{name: getattr(scaling, name) for name in scaling.__struct_fields__} | {"mode": mode})
    found = list(_of_tolerance(moded, kubernetes, mode))
    if mode == "desired":
        return [*found, *_of_records(moded, window)]
    return [*found, *_of_time(moded, window), *_of_pods(moded), *_of_sizes(moded, kubernetes)]


def _of_tolerance(scaling: ScalingConfig, kubernetes: str, mode: Mode) -> Iterator[str]:
    if mode == "legacy":
        target = scaling.target_players_per_pod * (100 - scaling.headroom_percent)
        low, high = target * 0.9 / 100, target * 1.1 / 100
        yield f"more than {high:g} players a pod add pods, not more than {scaling.target_players_per_pod} (D11)"
        yield f"fewer than {low:g} players a pod remove pods, not fewer than half of the target (D10)"
    elif not keeps_tolerance(kubernetes):
        yield (
            f"before v1.{TOLERANCE_SINCE} tolerances are dropped: within a tenth of the wanted count nothing changes "
            f"({'D11, D20' if mode == 'desired' else 'D10, D11'})"
        )
        if mode == "desired":
            yield "within a tenth the count of pods that are there is taken, and ending pods bounce back (D21)"


def _of_time(scaling: ScalingConfig, window: int) -> Iterator[str]:
    up, down = scaling.scale_up_cooldown_secs, scaling.scale_down_cooldown_secs
    if up:
        yield f"a second scale-up does not wait {up} s after the first (D3), nor after a scale-down (D7)"
    yield (
        f"a scale-down waits until no higher count was wanted for {window} s, and not until {down} s after the last "
        "change: dips and lows between peaks remove nothing (D5, D6, D7, D8)"
        if window
        else "a scale-down waits for nothing, and a further one neither (D3)"
    )
    budget = budget_policy(scaling)
    if budget is not None:
        yield f"pods go {counted(budget[0], 'pod')} in {budget[1]} s at most, and not the hour's budget at once (D9)"
    if scaling.max_step_up is not None or scaling.max_step_down is not None:
        yield f"a step may come in parts, and the next one as soon as {SYNC_SECS} s or its cooldown have passed (D9)"


def _of_pods(scaling: ScalingConfig) -> Iterator[str]:
    yield "pods without a sample count as full when pods would go, and as empty when pods would come (D14)"
    yield "players on ending pods do not count (D18)"
    if scaling.protect_occupied:
        yield "it does not know which pods are occupied, and removes them (occupied)"


def _of_records(scaling: ScalingConfig, window: int) -> Iterator[str]:
    yield (
        f"a scale-down waits until no higher count was recorded for {window} s: it comes as much later, and a shorter "
        "dip removes nothing (D5, D6, D7, D8)"
    )
    yield "the rule goes by its own last record, and so do its cooldowns; the count may follow later (lag)"
    budget = budget_policy(scaling)
    if budget is not None:
        yield f"pods go {counted(budget[0], 'pod')} in {budget[1]} s at most, and not the hour's budget at once (D9)"
    yield "without a sample of every pod nothing is removed (D14)"


def _of_sizes(scaling: ScalingConfig, kubernetes: str) -> Iterator[str]:
    if scaling.max_replicas - scaling.min_replicas > _SIZES_TRIED:
        yield "sizes are reckoned in floats, and some are one pod larger (D12)"
        return
    policy = compile_policy(scaling, "hpa", kubernetes=kubernetes)
    case = find_other_size(RuleInstant(scaling), Bands(HpaInstant(policy, scaling)))
    if case is not None:
        wanted, gets = case
        yield (
            f"sizes are reckoned in floats: {gets.players} players on {gets.replicas} pods become {gets.becomes}, and "
            f"not {wanted.becomes} (D12)"
        )
