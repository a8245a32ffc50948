"""What is said of mending: what was stopped comes back, and what serves goes on but for as long as its clocks run."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from aether_deploy.lab.system.faults import LabFault
from aether_deploy.lab.system.parts import Part
from aether_deploy.lab.system.record import FaultRecord, Predicted

_BACK = "it is back once what failed is back"
_SERVES = "nothing that serves is touched"
_WAKES = f"{_SERVES}; what comes back may let it choose anew, as after the loss of its leader"


class Mending(NamedTuple):
    """What is said of mending.

    Attributes:
        parts: What becomes of each part.
        unpredicted: The parts of which nothing is said, with the reason.
    """

    parts: dict[Part, Predicted]
    unpredicted: dict[Part, str]


def mending(clocks: Mapping[Part, float], *, remaining: Sequence[LabFault], earlier: Sequence[FaultRecord]) -> Mending:
    """Return what is said of mending.

    Whatever was stopped until its failure is over comes back, and nobody says when. What serves goes on, or pauses for
    as long as its own clocks run at most.

    Args:
        clocks: How long each part may take to do something by itself, seconds.
        remaining: Faults that stay in effect.
        earlier: What was done before, and what came of it.
    """
    said = Mending({}, {})
    others = ", ".join(str(each) for each in remaining)
    for part, clock_secs in clocks.items():
        past = _past(part, earlier)
        said.parts[part] = _back(past, clock_secs)
        if past.stopped and others:
            said.unpredicted[part] = f"other faults are in effect: {others}"
        elif past.unsaid:
            said.unpredicted[part] = "nothing was said of what stopped it"
    return said


class _Past(NamedTuple):
    """What befell a part: whether it does not serve, what was said to be lost, and whether nothing was said of it."""

    stopped: bool
    losses: tuple[str, ...]
    unsaid: bool


def _back(past: _Past, clock_secs: float) -> Predicted:
    loss = "; ".join(past.losses)
    if not past.stopped and not clock_secs:
        return Predicted(loss=loss, rules=(_SERVES,))
    return Predicted(
        outcome="interrupted", readable=False, certain=False, loss=loss,
        worst_secs=None if past.stopped else clock_secs, rules=(_BACK if past.stopped else _WAKES,),
    )  # fmt: skip


def _past(part: Part, earlier: Sequence[FaultRecord]) -> _Past:
    """Return what befell a part since what it lost was last counted."""
    stopped, unsaid = False, False
    losses: dict[str, None] = {}
    own = [each for record in earlier for each in record.parts if (each.member, each.part, each.region) == part]
    for each in own:
        if each.measured is None:
            continue
        stopped = each.measured.outcome in ("down", "read-only")
        if each.measured.lost is not None:
            losses, unsaid = {}, False
            continue
        unsaid = unsaid or (stopped and each.verdict == "unmeasured")
        if each.predicted.loss:
            losses[each.predicted.loss] = None
    return _Past(stopped, tuple(losses), unsaid)
