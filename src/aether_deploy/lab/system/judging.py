"""What was predicted against what was measured: a verdict on each part, and why."""

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from aether_deploy.infrastructure.analysis.impacts import Outcome
from aether_deploy.lab.system.expecting import Expectation
from aether_deploy.lab.system.parts import Part
from aether_deploy.lab.system.record import Measured, PartRecord, Predicted, Verdict
from aether_deploy.lab.system.wording import secs_text

NOBODY_ASKS = "no client asks this part"
_GRAVITY: dict[Outcome, int] = {"holds": 0, "interrupted": 1, "read-only": 2, "down": 3}
RESOLUTION_SECS = 1.2
_UNREAD = ", and no read was tried meanwhile"


class Judged(NamedTuple):
    """A verdict, and why, in one line."""

    verdict: Verdict
    says: str


def part_records(
    expectation: Expectation, measured: Mapping[Part, Measured], *, resolutions: Mapping[Part, float] | None = None
) -> tuple[PartRecord, ...]:
    """Return every part of which something was said or seen, with its verdict.

    Args:
        expectation: What was said.
        measured: What the clients saw.
        resolutions: How exactly each client tells when writes are back, seconds.
    """
    found = []
    for part in dict.fromkeys((*measured, *expectation.parts)):
        said, seen = expectation.parts.get(part, Predicted()), measured.get(part)
        reason = expectation.unpredicted.get(part, "" if part in expectation.parts else "nothing was said of it")
        resolution = (resolutions or {}).get(part, RESOLUTION_SECS)
        judged = Judged("unmeasured", reason) if reason else judge(said, seen, resolution=resolution)
        found.append(
            PartRecord(
                member=part.member, part=part.part, region=part.region, predicted=said, measured=seen,
                verdict=judged.verdict, says=judged.says,
            )
        )  # fmt: skip
    return tuple(found)


def judge(said: Predicted, seen: Measured | None, *, resolution: float = RESOLUTION_SECS) -> Judged:
    """Return whether what was seen lies within what was said.

    Times lie within it up to what a client can tell. The shortest time that a rule gives is a promise as the longest
    is: who waits for less than the life of a lease has seen something else than the rule says. What would lie within it
    but for the time in which the machine stood still is not measured.

    Args:
        said: The prediction.
        seen: What a client saw; None: nobody asks.
        resolution: How exactly it tells when writes are back, seconds.
    """
    if seen is None:
        return Judged("unmeasured", NOBODY_ASKS)
    judged = _of(said, seen, resolution)
    if judged.verdict == "broken" and _of(said, seen, resolution + seen.stalled_secs).verdict == "held":
        return Judged("unmeasured", f"{judged.says}; this machine stood still for {secs_text(seen.stalled_secs)} of it")
    return judged


def _of(said: Predicted, seen: Measured, resolution: float) -> Judged:
    if seen.outcome == "interrupted" and (seen.stopped_secs or 0.0) <= resolution:
        seen = msgspec.structs.replace(seen, outcome="holds", readable=True)
    judged = _outcome(said, seen, resolution)
    if judged.verdict != "held":
        return judged
    if said.readable and seen.readable is False:
        return Judged("broken", f"{judged.says}; it could not be read meanwhile, though it was to be")
    if said.readable and seen.readable is None and seen.outcome == "down":
        return Judged("unmeasured", judged.says)
    if seen.lost and not said.loss:
        return Judged("broken", f"{judged.says}; {_lost(seen)}, and none may be")
    return Judged("held", f"{judged.says}; {_lost(seen)}" if seen.lost else judged.says)


def _outcome(said: Predicted, seen: Measured, resolution: float) -> Judged:
    if said.outcome == "interrupted" and seen.outcome in ("holds", "interrupted"):
        return _span(said, seen, resolution)
    if said.outcome == "interrupted":
        most = said.worst_secs
        if most is not None and seen.watched_secs <= most + resolution:
            reason = f"watched for {secs_text(seen.watched_secs)} only, and {secs_text(most)} may pass"
            return Judged("unmeasured", f"writes are not back; {reason}")
        return Judged("broken", f"writes are not back after {secs_text(seen.watched_secs)}")
    if said.outcome == "read-only" and seen.outcome == "down" and seen.readable is None:
        return Judged("unmeasured", _says(seen))
    if said.outcome == "down" and seen.outcome == "read-only":
        return Judged("held", "writes stopped, and it could still be read")
    if _GRAVITY[seen.outcome] == _GRAVITY[said.outcome]:
        return Judged("held", _says(seen))
    if _GRAVITY[seen.outcome] < _GRAVITY[said.outcome] and not said.certain:
        return Judged("held", f"{_says(seen)}, better than the gravest case")
    if seen.outcome == "holds" and seen.watched_secs <= resolution:
        return Judged("unmeasured", f"watched for {secs_text(seen.watched_secs)} only: too short to see writes stop")
    return Judged(
        "broken", f"{_says(seen)}, and it was to be {'untouched' if said.outcome == 'holds' else said.outcome}"
    )


def _span(said: Predicted, seen: Measured, resolution: float) -> Judged:
    stopped = seen.stopped_secs or 0.0
    best, worst = said.best_secs, said.worst_secs
    if best is not None and seen.outcome == "holds" and seen.watched_secs < best + resolution:
        reason = f"too short to see writes stop for {secs_text(best)} and more"
        return Judged("unmeasured", f"watched for {secs_text(seen.watched_secs)} only: {reason}")
    if worst is not None and stopped > worst + resolution:
        return Judged("broken", f"writes stopped for {secs_text(stopped)}, longer than {secs_text(worst)}")
    if best is not None and stopped < best - resolution:
        return Judged("broken", f"{_says(seen)}, sooner than the rule says: {secs_text(best)} at least")
    return Judged("held", _says(seen))


def _says(seen: Measured) -> str:
    match seen.outcome:
        case "holds":
            return f"writes went on; the longest wait was {secs_text(seen.stopped_secs or 0.0)}"
        case "interrupted":
            return f"writes stopped for {secs_text(seen.stopped_secs or 0.0)}{_UNREAD if seen.readable is None else ''}"
        case "read-only":
            return f"writes were not back after {secs_text(seen.watched_secs)}, and reads went on"
        case "down" if seen.readable is None:
            return f"writes were not back after {secs_text(seen.watched_secs)}{_UNREAD}"
        case "down":
            return f"nothing was to be had after {secs_text(seen.watched_secs)}"


def _lost(seen: Measured) -> str:
    return f"{seen.lost} acknowledged write{'s' if seen.lost != 1 else ''} gone"
