"""Predictions and measurements in few words, the same in a terminal and on the page."""

from aether_deploy.lab.system.parts import Part
from aether_deploy.lab.system.record import Measured, PartRecord, Predicted
from aether_deploy.timespan import TimeSpan


def predicted_text(said: Predicted) -> str:
    """Return what was said of writes: ``stop for 5 to 10 s``, ``go on``."""
    gravest = "" if said.certain else "at worst "
    match said.outcome:
        case "holds":
            return "go on"
        case "interrupted":
            return "come back" if said.worst_secs is None else f"stop {_span(said)}"
        case "read-only":
            return f"{gravest}stop until mended; reads go on"
        case "down":
            reads = "; reads go on elsewhere" if said.readable else ""
            return f"{gravest}stop until mended{reads or ', and so do reads'}"


def _span(said: Predicted) -> str:
    assert said.worst_secs is not None
    if said.best_secs is None:
        return f"for {secs_text(said.worst_secs)} at most"
    return f"for {TimeSpan(said.best_secs, said.best_secs, said.worst_secs).range_text(' to ')}"


def measured_text(seen: Measured | None) -> str:
    """Return what clients saw of writes: ``stopped for 7.4 s``, ``went on``."""
    if seen is None:
        return "not asked"
    match seen.outcome:
        case "holds":
            return "went on"
        case "interrupted":
            return f"stopped for {secs_text(seen.stopped_secs or 0.0)}"
        case "read-only":
            return f"stopped; reads went on ({secs_text(seen.watched_secs)} watched)"
        case "down" if seen.readable is None:
            return f"stopped; no read was tried ({secs_text(seen.watched_secs)} watched)"
        case "down":
            return f"nothing to be had ({secs_text(seen.watched_secs)} watched)"


def part_text(record: PartRecord) -> str:
    """Return which part of its member is meant, and for whom: ``shard 0 of us-east-1``, ``in us-east-1``."""
    return str(Part("", record.part, record.region)) or "all of it"


def secs_text(secs: float) -> str:
    """Return a measured time to a tenth: ``7.4 s``."""
    return f"{secs:.1f} s"
