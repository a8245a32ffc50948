"""Times of a lab as bars that are as wide as the page: faults, outages, and what was predicted beside what came."""

from collections.abc import Iterable, Iterator, Sequence
from html import escape

from aether_deploy.lab.system.parts import Part
from aether_deploy.lab.system.record import FaultRecord, LabRecord, Outage, PartRecord, Predicted, Verdict
from aether_deploy.lab.system.wording import predicted_text, seen_text

_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21_600, 43_200, 86_400)
_TICKS = 7
_SIGNS: dict[Verdict, str] = {"held": "✓", "broken": "✗", "unmeasured": "–"}
_STRETCH = 3.0
"""So many times longer than the watch an axis may be, to show what was predicted."""


def fault_bars(record: LabRecord, fault: FaultRecord, parts: Sequence[PartRecord]) -> str:
    """Return a row for each part: the time in which writes were to come back, and below it the time they were away.

    Args:
        record: The lab.
        fault: The fault.
        parts: Those of its parts that are shown.
    """
    span = _span(fault, parts)
    axis = _axis(span, [])
    rows = "".join(_told(each) + _row(record, fault, each, span) for each in parts)
    corner = '<div class="who corner soft">what becomes of writes; seconds since the fault</div>'
    return f'<div class="bars">{corner}{axis}{rows}</div>'


def lab_bars(record: LabRecord) -> str:
    """Return a row for each part that was ever away, over the whole life of the lab; empty where none was."""
    parts = sorted({(each.member, each.part, each.region or "") for each in record.outages})
    if not parts:
        return ""
    span = max(record.up_secs, 1.0)
    moments = [(fault.at, str(place)) for place, fault in enumerate(record.faults, 1)]
    axis = _axis(span, moments)
    rows = []
    for member, part, region in parts:
        own = [each for each in record.outages if (each.member, each.part, each.region or "") == (member, part, region)]
        rows.append(_who(str(Part(member, part, region or None))) + _life(own, moments, span))
    corner = '<div class="who corner soft">faults, and seconds since it was up</div>'
    return f'<div class="bars life">{corner}{axis}{"".join(rows)}</div>'


KEY = (
    '<ul class="key">'
    '<li><svg><rect class="said" x="1" y="1" width="20" height="10"/></svg>'
    "predicted: writes are back at a time within this; dashed where only one end of it is known</li>"
    '<li><svg><rect class="seen held" x="0" y="2" width="22" height="8"/></svg>'
    "measured: no write was acknowledged; as predicted</li>"
    '<li><svg><rect class="seen broken" x="0" y="2" width="22" height="8"/></svg>the same, not as predicted</li>'
    "</ul>"
)


# --- axes


def _span(fault: FaultRecord, parts: Iterable[PartRecord]) -> float:
    watched = max(fault.until - fault.at, 1.0)
    worst = [each.predicted.worst_secs for each in parts if each.predicted.worst_secs is not None]
    return max([watched, *(secs for secs in worst if secs <= _STRETCH * watched)]) * 1.02


def _ticks(span: float) -> list[int]:
    step = next((each for each in _STEPS if span / each <= _TICKS), _STEPS[-1])
    return list(range(0, int(span) + 1, step))


def _axis(span: float, moments: Sequence[tuple[float, str]]) -> str:
    low = 30 if moments else 15
    texts = [
        f'<text x="{_at(tick, span)}" y="{low}" text-anchor="{_anchor(tick, span)}">{tick}</text>'
        for tick in _ticks(span)
    ]
    names = [
        f'<text class="name" x="{_at(at, span)}" y="13" text-anchor="{_anchor(at, span)}">{text}</text>'
        for at, text in moments
    ]
    tall = " tall" if moments else ""
    return f'<svg class="axis{tall}" aria-hidden="true">{"".join((*names, *texts))}</svg>'


def _anchor(tick: float, span: float) -> str:
    if tick < 0.01 * span:
        return "start"
    return "end" if tick > 0.97 * span else "middle"


def _at(secs: float, span: float) -> str:
    return f"{min(max(secs / span, 0.0), 1.0) * 100:.3f}%"


def _grid(span: float) -> Iterator[str]:
    for tick in _ticks(span):
        x = _at(tick, span)
        yield f'<line class="tick" x1="{x}" x2="{x}" y1="0" y2="100%"/>'


def _who(name: str) -> str:
    return f'<div class="who">{escape(name)}</div>'


def _told(part: PartRecord) -> str:
    """Return the name of a part, what was said and seen of it, and the verdict."""
    said = f'<div class="soft">predicted: {escape(predicted_text(part.predicted))}</div>'
    seen = f'<div class="soft">measured: {escape(seen_text(part))} {verdict_html(part.verdict)}</div>'
    return f'<div class="who">{escape(_name(part))}{said}{seen}</div>'


def verdict_html(verdict: Verdict, text: str = "") -> str:
    """Return a verdict with its sign; ``text`` stands in its place."""
    return f'<span class="verdict {verdict}">{_SIGNS[verdict]} {text or verdict}</span>'


def _name(part: PartRecord) -> str:
    return str(Part(part.member, part.part, part.region))


# --- rows


def _row(record: LabRecord, fault: FaultRecord, part: PartRecord, span: float) -> str:
    text = f"{_name(part)}: predicted: writes {predicted_text(part.predicted)}; measured: {seen_text(part)}"
    bars = [*_grid(span), *_said(part.predicted, span), *_seen(record, fault, part, span)]
    return f'<svg class="bar" role="img" aria-label="{escape(text)}">{"".join(bars)}</svg>'


def _said(said: Predicted, span: float) -> Iterator[str]:
    """Yield the time within which writes come back; dashed where it has no beginning or no end."""
    if said.outcome == "holds":
        return
    begin = said.best_secs or 0.0
    end = said.worst_secs if said.outcome == "interrupted" and said.worst_secs is not None else span
    is_open = said.outcome != "interrupted" or said.worst_secs is None or end > span
    yield _rect(f"said{' open' if is_open or said.best_secs is None else ''}", begin, end, span, y=19, height=12)


def _seen(record: LabRecord, fault: FaultRecord, part: PartRecord, span: float) -> Iterator[str]:
    """Yield the times in which nothing was acknowledged while the fault was watched."""
    if part.measured is None or part.measured.outcome == "holds":
        return
    own = [
        (max(each.begin, fault.at), fault.until if each.end is None else min(each.end, fault.until))
        for each in record.outages
        if (each.member, each.part, each.region) == (part.member, part.part, part.region)
        and each.begin < fault.until
        and (each.end is None or each.end > fault.at)
    ]
    stopped = part.measured.stopped_secs
    fallback = fault.until - fault.at if stopped is None else stopped
    for begin, end in own or [(fault.at, fault.at + fallback)]:
        yield _rect(f"seen {part.verdict}", begin - fault.at, end - fault.at, span, y=34, height=8)


def _life(outages: Sequence[Outage], moments: Sequence[tuple[float, str]], span: float) -> str:
    said = "; ".join(
        f"away from {each.begin:.0f} s" + ("" if each.end is None else f" to {each.end:.0f} s") for each in outages
    )
    bars = [
        _rect("seen unmeasured", each.begin, span if each.end is None else each.end, span, y=9, height=8)
        for each in outages
    ]
    lines = [f'<line class="moment" x1="{_at(at, span)}" x2="{_at(at, span)}" y1="0" y2="100%"/>' for at, _ in moments]
    return f'<svg class="bar" role="img" aria-label="{escape(said)}">{"".join((*_grid(span), *bars, *lines))}</svg>'


def _rect(look: str, begin: float, end: float, span: float, *, y: int, height: int) -> str:
    width = max(min(end, span) - min(begin, span), 0.0) / span * 100
    return f'<rect class="{look}" x="{_at(begin, span)}" y="{y}" width="{max(width, 0.25):.3f}%" height="{height}"/>'
