"""What ``routing whatif`` and ``routing replay`` print, as text and for machines."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from aether_deploy.cli.output import count
from aether_deploy.cli.routed import plain
from aether_deploy.routing.limits import RoutingLimits
from aether_deploy.routing.waits import Path
from aether_deploy.simulation.routing.plotting import row_name
from aether_deploy.simulation.routing.replay import Example, RoutingReplay, Shift
from aether_deploy.simulation.routing.whatif import Loss, Move, RegionOutcome, WhatIf

TOLD_LOSSES = 12
HEADS = ("lost", "players move", "p50", "p95", "most", "fullest", "no place")


def whatif_text(told: WhatIf, limits: RoutingLimits | None, *, every: bool) -> str:
    """Return what each loss does, as a table, and then each loss by itself.

    Args:
        told: What is told.
        limits: What it was held against; None where there is nothing.
        every: Tell each loss by itself, however many they are; otherwise of many only those beyond the limits.
    """
    rows = [HEADS, *(_summary(loss) for loss in (told.baseline, *told.losses))]
    lines = list(_aligned(rows, left=(0, 5)))
    for loss in _told_alone(told, every=every):
        lines += ["", *_loss_lines(loss)]
    lines += ["", *_path_lines(told.paths)] if told.paths else []
    return "\n".join([*lines, "", *_verdict(told, limits)])


def verdict_text(told: WhatIf, limits: RoutingLimits | None) -> str:
    """Return whether the limits hold, and what exceeds them."""
    return "\n".join(_verdict(told, limits))


def _summary(loss: Loss) -> tuple[str, ...]:
    fullest = loss.fullest
    full = "-" if fullest is None else f"{fullest.code} {_percent(fullest.load_after)}"
    latencies = (_ms(loss.after.p50), _ms(loss.after.p95), _ms(loss.after.most))
    moving = str(loss.moving_players) if loss.lost else "-"
    return row_name(loss), moving, *latencies, full, str(loss.deficit_players)


def _told_alone(told: WhatIf, *, every: bool) -> Iterator[Loss]:
    for loss in told.losses:
        if every or len(told.losses) <= TOLD_LOSSES or loss.beyond:
            yield loss


def _loss_lines(loss: Loss) -> Iterator[str]:
    yield f"{row_name(loss)} lost: {_players(loss.moving_players)} move"
    yield from _aligned([*_move_rows(loss)], left=(0, 2, 3, 4), indent="  ")
    yield from (f"  beyond the limits: {sentence}" for sentence in loss.beyond)


def _move_rows(loss: Loss) -> Iterator[tuple[str, ...]]:
    outcomes = {region.code: region for region in loss.regions}
    seen: set[str] = set()
    for move in loss.moves:
        source = f" from {move.origin}" if len(loss.lost) > 1 else ""
        if move.region is None:
            yield f"nowhere{source}", str(move.players), "no region takes them", "", ""
            continue
        known = move.region in seen
        seen.add(move.region)
        state = "" if known else _state(outcomes[move.region])
        yield f"{move.region}{source}", str(move.players), _range(move), state, "" if known else _fills(loss, move)
    for region in loss.regions:
        if region.over_capacity and region.code not in seen:
            yield region.code, "0", "", _state(region), ""


def _state(region: RegionOutcome) -> str:
    share = "" if region.load_after is None else f" of {region.capacity}, {_percent(region.load_after)}"
    over = f", {region.over_capacity} too many" if region.over_capacity else ""
    return f"{region.before} -> {region.after}{share}{over}"


def _fills(loss: Loss, move: Move) -> str:
    words = {"soft": "spills", "hard": "refuses"}
    return ", ".join(f"{words[each.limit]} after {each.arrived}" for each in loss.filled if each.region == move.region)


def _range(move: Move) -> str:
    latency = move.latency
    if latency.p50 is None:
        return "- ms"
    low, high = round(latency.p50), round(latency.most or 0.0)
    return f"{low} ms" if low == high else f"{low} ms, at most {high}"


def _path_lines(paths: Iterable[Path]) -> Iterator[str]:
    for path in paths:
        yield f"players arrive within {path.secs:g} s by {path.name}"
        yield from (f"  {wait.secs:>6g} s  {wait.what}" for wait in path.waits)


def _verdict(told: WhatIf, limits: RoutingLimits | None) -> Iterator[str]:
    unknown = told.baseline.before.unknown_players
    if unknown:
        yield f"note: nobody knows how far {_players(unknown)} are; they are in no latency"
    if limits is None:
        yield "routing.limits says nothing, so nothing is held against anything"
        return
    beyond = [loss for loss in (told.baseline, *told.losses) if loss.beyond]
    said = [f"{_players(limits.deficit_players)} without a place"]
    said += [] if limits.p95_ms is None else [f"p95 {limits.p95_ms} ms"]
    if not beyond:
        yield f"the limits hold: at most {', '.join(said)}"
        return
    yield f"beyond the limits (at most {', '.join(said)}): {len(beyond)} of {1 + len(told.losses)}"
    yield from (f"  {row_name(loss)}: {sentence}" for loss in beyond for sentence in loss.beyond)


def whatif_values(told: WhatIf, plot: str | None) -> dict[str, Any]:
    """Return what each loss does, for machines."""
    losses = [_loss_values(loss) for loss in (told.baseline, *told.losses)]
    paths = [{**plain(path), "secs": plain(path.secs)} for path in told.paths]
    return {"baseline": losses[0], "losses": losses[1:], "paths": paths, "plot": plot}


def _loss_values(loss: Loss) -> dict[str, Any]:
    regions = [{**plain(region), "over_capacity": region.over_capacity} for region in loss.regions]
    return {**plain(loss), "held_players": loss.held_players, "regions": regions}


# --- replay


def replay_text(told: RoutingReplay, log: str, other: str | None) -> str:
    """Return what came of deciding a log again: by its own rules, or by those of ``other``."""
    decided = f"{count(told.decisions, 'decision')} for {_players(told.players)} in {log}"
    if told.is_exact:
        lines = [f"{decided}: all come out the same" + (f" by {other}" if other else "")]
    elif other is None:
        changed = told.players - told.same_players
        lines = [f"{decided}: {_players(changed)} would be told something else, by the log's own rules"]
    else:
        lines = [f"{decided}: {_players(told.moved_players)} would go elsewhere by {other}"]
    moving = [shift for shift in told.shifts if shift.moves or other is None]
    lines += _shift_lines(moving)
    if staying := [shift for shift in told.shifts if shift not in moving]:
        players = _players(sum(shift.players for shift in staying))
        lines += ["", f"{players} would go where they went, and be told another reason, or other regions after it"]
        lines += _shift_lines(staying)
    return "\n".join([*lines, *_replay_notes(told, log)])


def _shift_lines(shifts: Sequence[Shift]) -> list[str]:
    """Return shifts as a table, and an example of each."""
    if not shifts:
        return []
    rows = [("players", "was sent to", "goes to", "was", "is"), *(_shift_row(shift) for shift in shifts)]
    examples = (_example(shift.examples[0]) for shift in shifts)
    return ["", *_aligned(rows, left=(1, 2, 3, 4)), "", "for example", *examples]


def _shift_row(shift: Shift) -> tuple[str, ...]:
    return str(shift.players), shift.origin or "-", shift.region or "-", shift.was, shift.becomes


def _example(example: Example) -> str:
    who = f"player {example.player}" if example.player else "a player"
    home = f" who prefers {example.preferred}" if example.preferred else ""
    was, becomes = (
        " ".join(part for part in (each.decision, each.region, each.reason) if part)
        for each in (example.was, example.becomes)
    )
    if was == becomes:
        was, becomes = (
            f"{text}, then {', '.join(each.alternates) or 'none'}"
            for text, each in ((was, example.was), (becomes, example.becomes))
        )
    return f"  line {example.line}: {who}{home}: {was} becomes {becomes}"


def _replay_notes(told: RoutingReplay, log: str) -> Iterator[str]:
    if told.dropped:
        yield f"note: {count(told.dropped, 'decision')} more were made and not logged"
    if told.cut_off_line is not None:
        yield f"note: {log}:{told.cut_off_line}: the last line has no end and was left out: the router was killed"
    if told.new_regions:
        yield f"note: the log knows nothing of {', '.join(told.new_regions)}, taken as healthy"


def replay_values(told: RoutingReplay) -> dict[str, Any]:
    """Return what came of deciding a log again, for machines."""
    return {**plain(told), "moved_players": told.moved_players, "is_exact": told.is_exact}


# --- words


def _players(players: int) -> str:
    return count(players, "player")


def _percent(load: float | None) -> str:
    return "-" if load is None else f"{100 * load:.0f} %"


def _ms(latency: float | None) -> str:
    return "-" if latency is None else f"{latency:.0f} ms"


def _aligned(rows: Sequence[tuple[str, ...]], *, left: Sequence[int], indent: str = "") -> Iterator[str]:
    """Yield rows as lines; the columns of ``left`` begin where they begin, the others end where they end."""
    widths = [max((len(row[place]) for row in rows), default=0) for place in range(len(rows[0]))] if rows else []
    for row in rows:
        cells = (
            cell.ljust(width) if place in left else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield f"{indent}{'  '.join(cells)}".rstrip()
