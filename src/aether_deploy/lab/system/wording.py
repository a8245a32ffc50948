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
            return "come back" if _was_away(said) else f"stop {_span(said)}"
        case "read-only":
            return f"{gravest}stop until mended; reads go on"
        case "down":
            reads = "; reads go on elsewhere" if said.readable else ""
            return f"{gravest}stop until mended{reads or ', and so do reads'}"


def seen_text(record: PartRecord) -> str:
    """Return what clients saw of a part after what was said of it."""
    return measured_text(record.measured, record.predicted)


def _was_away(said: Predicted) -> bool:
    """Return whether it was said of a part that it comes back, and not when: only of mending that is said."""
    return said.outcome == "interrupted" and said.worst_secs is None


def _span(said: Predicted) -> str:
    assert said.worst_secs is not None
    if said.best_secs is None:
        return f"for {secs_text(said.worst_secs)} at most"
    return f"for {TimeSpan(said.best_secs, said.best_secs, said.worst_secs).range_text(' to ')}"


def measured_text(seen: Measured | None, said: Predicted | None = None) -> str:
    """Return what clients saw of writes: ``stopped for 7.4 s``, ``went on``.

    Args:
        seen: What they saw; None: nobody asks.
        said: What was said; of what was away before, and was to come back, nothing goes on.
    """
    if seen is None:
        return "not asked"
    match seen.outcome:
        case "holds" if said is not None and _was_away(said):
            return "back at once"
        case "interrupted" if said is not None and _was_away(said):
            return f"back after {secs_text(seen.stopped_secs or 0.0)}"
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
