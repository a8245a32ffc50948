"""What is wrong with a scaling policy before it ever runs, each with the smallest case that shows it.

Each finding is proven for all players and all counts of the policy, see :mod:`aether_deploy.simulation.proofs`; a
policy without a finding is proven to be free of it. What is looked at is what is wanted at once, with nothing
removed lately and nobody's pod protected: windows and cooldowns delay a flap, and cure none; and where a step, a
budget or an occupied pod keeps more than the size for the players, a pod's worth of players still fits.

==================  ===============================================================================================
``flap``            A count moves, and moves back though hardly anybody came or went.
``overload-stays``  Pods stay overloaded for ever where the rule would add some.
``early-growth``    Pods are added where the rule adds none.
``early-shrink``    Pods are removed where the rule keeps them.
``idle-stays``      Pods stay that the rule would remove.
``size-differs``    Both move, to different counts: floats round.
``max-unreached``   A count does not grow however many players come.
``unreachable``     A count within the bounds that no players lead to.
``restless``        A count that no players leave alone.
``percent-rounds``  A policy in percent changes the count by another number than it says.
``window-short``    One sample decides.
``period-short``    A policy's period is over before the next sync.
``surge``           A declared surge is not served, or late.
``zone-loss``       Declared players may not fit when a zone is lost (see ``zone_headroom``).
==================  ===============================================================================================
"""

from collections.abc import Callable, Iterator, Sequence

from aether_deploy.scaling.config import ScalingConfig
from aether_deploy.scaling.controller.policy import HpaPolicy
from aether_deploy.simulation.findings import Finding, Settings, Severity, Subject, counted, joined, span
from aether_deploy.simulation.instant import Bands
from aether_deploy.simulation.judged import Judged
from aether_deploy.simulation.lint_rates import lint_rates
from aether_deploy.simulation.proofs import (
    Difference,
    Move,
    Turn,
    find_other_size,
    find_turn,
    late_growth,
    late_shrinking,
    never_grows,
    restless_counts,
    unreachable_counts,
)
from aether_deploy.simulation.surge import Surge, lint_surge

_GRAVE = {"overload-stays", "early-shrink"}
_LISTED = 5
_LISTINGS = {
    "unreachable": ("no number of players leads to", "take it as it is, or lower headroom_percent"),
    "restless": ("no number of players leaves alone", "raise the tolerance of scaling down"),
}
_ORDER = ("error", "warning", "note")


def lint_policy(
    scaling: ScalingConfig,
    hpa: HpaPolicy | None,
    *,
    kubernetes: str,
    scrape_interval_secs: int = 15,
    surge: Surge | None = None,
    change: int = 1,
) -> list[Finding]:
    """Return what is wrong with a policy: errors first, then warnings, then notes.

    Args:
        scaling: The settings.
        hpa: The autoscaler that carries them out; None judges the rule alone.
        kubernetes: The cluster's version, ``v1.<minor>``.
        scrape_interval_secs: Pause between two scrapes, seconds.
        surge: Players that are expected at once, where that is known.
        change: Players that come and go all the time, and should not move the count to and fro; at most one pod's.

    Returns:
        The findings. A policy with a finding's suggestion has no finding of that rule.

    Raises:
        ValueError: If ``change`` is negative or more than one pod's players.

    Rule:
        The specification, "Player-Count Autoscaling"; Kubernetes, ``pkg/controller/podautoscaler``
        (``replica_calculator.go``, ``horizontal.go``).
    """
    if not 0 <= change <= scaling.target_players_per_pod:
        raise ValueError(f"a change of {change} players is not from 0 to target_players_per_pod")
    judged = Judged(scaling, hpa, kubernetes=kubernetes, scrape_interval_secs=scrape_interval_secs)
    found = [
        *_flaps(judged, change),
        *_bands(judged),
        *_counts(judged),
        *lint_rates(judged),
    ]
    if surge is not None:
        found += lint_surge(judged, surge)
    return sorted(found, key=lambda finding: _ORDER.index(finding.severity))


# --- to and fro


def _flaps(judged: Judged, change: int) -> Iterator[Finding]:
    for turn, first, second, backends in _flap_cases(judged, change):
        suggestion = judged.first_clean(_against_flaps(judged, turn), backends, _without_flaps(change, backends))
        constant = first.players == second.players
        after = f"on those {second.replicas}" if constant else f"{second.players} on those {second.replicas}"
        yield Finding(
            rule="flap",
            severity="error" if constant else "warning",
            backends=tuple(backends),
            text=f"{counted(first.players, 'player')} on {counted(first.replicas, 'pod')} want {first.becomes}, "
            f"and {after} want {second.becomes}: {_delay(judged, backends)}",
            counterexample=(first, second),
            fix=judged.fix_text(suggestion, otherwise="raise target_players_per_pod", backends=backends),
            suggestion=suggestion,
            cause="D24" if turn == "down-up" else "",
        )


def _flap_cases(judged: Judged, change: int) -> Iterator[tuple[Turn, Move, Move, list[Subject]]]:
    turns: tuple[Turn, ...] = ("down-up", "up-down")
    for turn in turns:
        cases: dict[tuple[Move, Move], list[Subject]] = {}
        for bands in judged.all:
            case = find_turn(bands, 0, turn) or find_turn(bands, change, turn)
            if case is not None:
                cases.setdefault(case, []).append(bands.instant.name)
        for (first, second), backends in cases.items():
            yield turn, first, second, backends


def _without_flaps(change: int, backends: Sequence[Subject]) -> Callable[[Judged], bool]:
    """Return what says of a policy whether none of ``backends`` flaps."""
    return lambda judged: all(set(found).isdisjoint(backends) for *_, found in _flap_cases(judged, change))


def _against_flaps(judged: Judged, turn: Turn) -> Iterator[Settings]:
    yield from judged.changes()
    yield {"max_step_down": 1} if turn == "down-up" else {"max_step_up": 1}


def _delay(judged: Judged, backends: Sequence[Subject]) -> str:
    """Return how often it can happen: what stands in the way delays it and does not prevent it."""
    said = []
    cooldowns = judged.scaling.scale_up_cooldown_secs + judged.scaling.scale_down_cooldown_secs
    if "decide" in backends:
        said.append(f"the cooldowns let that happen every {cooldowns} s" if cooldowns else "no cooldown delays that")
    if "hpa" in backends and judged.hpa is not None:
        windows = judged.hpa.up.window_secs + judged.hpa.down.window_secs
        secs = windows if judged.computes_sizes else max(windows, cooldowns)
        said.append(f"the autoscaler's windows every {secs} s" if secs else "no window of the autoscaler does")
    return ", ".join(said)


# --- where the autoscaler acts and the rule does not, or the other way round


def _bands(judged: Judged) -> Iterator[Finding]:
    for name, differences in _band_cases(judged).items():
        if differences:
            yield _band_finding(judged, name, differences)
    if judged.other is None or not judged.computes_sizes:
        return
    case = find_other_size(judged.rule_instant, judged.other)
    if case is not None:
        wanted, gets = case
        floats = ": the autoscaler reckons in floats" if judged.is_compiled else ""
        yield Finding(
            rule="size-differs",
            severity="note",
            backends=("hpa",),
            text=f"{counted(gets.players, 'player')} on {counted(gets.replicas, 'pod')} become {gets.becomes}, "
            f"by the rule {wanted.becomes}{floats}",
            counterexample=(gets,),
            fix=judged.fix_text({}, otherwise="take it as it is, or set mode to desired", backends=("decide", "hpa")),
            cause="D12" if floats else "",
        )


def _band_cases(judged: Judged) -> dict[str, tuple[Difference, ...]]:
    if judged.other is None:
        return {}
    rule, other = judged.rule, judged.other
    return {
        "overload-stays": tuple(late_growth(rule, other)),
        "early-growth": tuple(late_growth(other, rule)),
        "idle-stays": tuple(late_shrinking(rule, other)),
        "early-shrink": tuple(late_shrinking(other, rule)),
    }


def _without_band(name: str, grave: set[str]) -> Callable[[Judged], bool]:
    """Return what says of a policy whether it has not what ``name`` says, and nothing graver instead."""
    return lambda judged: name not in _broken(judged) and _broken(judged) & _GRAVE <= grave


def _broken(judged: Judged) -> set[str]:
    return {name for name, differences in _band_cases(judged).items() if differences}


def _band_finding(judged: Judged, name: str, differences: tuple[Difference, ...]) -> Finding:
    first = differences[0]
    assert judged.other is not None
    wanted = judged.rule.instant.propose(first.least, first.replicas)
    gets = judged.other.instant.propose(first.least, first.replicas)
    where = f"{span(first.least, first.most)} players on {counted(first.replicas, 'pod')}"
    says = {
        "overload-stays": f"{where} stay there for ever, where the rule wants {wanted}; {_worst(judged, differences)}",
        "idle-stays": f"{where} stay there for ever, where the rule wants {wanted}",
        "early-growth": f"{where} become {gets}, where the rule keeps {first.replicas}",
        "early-shrink": f"{where} become {gets}, where the rule keeps {first.replicas}",
    }
    grave = name in _GRAVE and any(each.most > each.least for each in differences)
    suggestion = judged.first_clean(judged.changes(), ("hpa",), _without_band(name, _broken(judged) & _GRAVE))
    return Finding(
        rule=name,
        severity="warning" if grave else "note",
        backends=("hpa",),
        text=says[name],
        counterexample=(Move(first.least, first.replicas, gets),),
        fix=judged.fix_text(suggestion, otherwise="take it as it is", backends=("hpa",)),
        suggestion=suggestion,
        cause={"overload-stays": "D11", "early-shrink": "D10"}.get(name, ""),
    )


def _worst(judged: Judged, differences: tuple[Difference, ...]) -> str:
    """Return the largest overload that is left standing."""
    target = judged.scaling.target_players_per_pod
    worst = max(differences, key=lambda each: each.most / (each.replicas * target))
    hundredths = -(-100 * worst.most // (worst.replicas * target))
    return f"on {counted(worst.replicas, 'pod')} up to {hundredths} % of the target"


# --- counts


def _counts(judged: Judged) -> Iterator[Finding]:
    for bands in judged.all:
        stuck = next(never_grows(bands), None)
        if stuck is not None:
            yield Finding(
                rule="max-unreached",
                severity="error",
                backends=(bands.instant.name,),
                text=f"no number of players makes {counted(stuck, 'pod')} more; max_replicas is {bands.instant.most}",
                fix=judged.fix_text(
                    {}, otherwise="allow it: scaleUp needs a selectPolicy other than Disabled", backends=("hpa",)
                ),
            )
    yield from _listing(judged, "unreachable", "note", unreachable_counts)
    yield from _listing(judged, "restless", "warning", restless_counts)


def _listing(
    judged: Judged, rule: str, severity: Severity, find: Callable[[Bands], Iterator[int]]
) -> Iterator[Finding]:
    says, fix = _LISTINGS[rule]
    found: dict[tuple[int, ...], list[Subject]] = {}
    for bands in judged.all:
        found.setdefault(tuple(find(bands)), []).append(bands.instant.name)
    for counts, backends in found.items():
        if counts:
            text = f"{says} {_listed(counts)}"
            yield Finding(rule=rule, severity=severity, backends=tuple(backends), text=text, fix=fix)


def _listed(counts: tuple[int, ...]) -> str:
    if len(counts) > _LISTED:
        return f"{', '.join(map(str, counts[:_LISTED]))} pods or {len(counts) - _LISTED} more counts"
    return f"{joined(counts, 'or')} pods"
