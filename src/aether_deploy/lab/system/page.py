"""What was done to a lab, and what came of it, as one HTML file that loads nothing and runs nothing.

Equal records give equal bytes.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from html import escape

from aether_deploy.lab.system.page_bars import KEY, fault_bars, lab_bars, verdict_html
from aether_deploy.lab.system.page_graph import graph_svg, legend_html, state_after, state_now, states_in
from aether_deploy.lab.system.page_style import PAGE_WIDTH, STYLE
from aether_deploy.lab.system.record import FaultRecord, LabRecord, PartRecord, Verdict
from aether_deploy.lab.system.wording import part_text, predicted_text, seen_text

_ORDER: dict[Verdict, int] = {"broken": 0, "held": 1, "unmeasured": 2}


def page_of(record: LabRecord) -> str:
    """Return the page."""
    title = f"Lab of {record.system} ({record.environment})"
    body = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="soft">{escape(_subtitle(record))}</p>',
        _figures(record),
        *_platform(record),
        *_timeline(record),
        *_faults(record),
        *_members(record),
        *_left_out(record),
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{STYLE}{_hint_style(record)}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(body)
        + "\n</main>\n</body>\n</html>\n"
    )


# --- the head


def _subtitle(record: LabRecord) -> str:
    file = f"{record.file}, " if record.file else ""
    return f"{file}up since {record.started}: real processes of one machine, from the configuration that is rendered"


def _figures(record: LabRecord) -> str:
    verdicts = _verdicts(part for fault in record.faults for part in fault.parts)
    running = sum(each.state == "running" for member in record.members for each in member.processes)
    total = sum(len(member.processes) for member in record.members)
    mends = sum(fault.mends for fault in record.faults)
    known = [member.memory_mb for member in record.members if member.memory_mb is not None]
    figures = [
        ("booted in", f"{record.boot_secs:.1f} s"),
        ("up for", _length(record.up_secs)),
        ("processes", f"{total}" if running == total else f"{running} of {total} run"),
        *([("memory", f"{sum(known):.0f} MB")] if known else []),
        ("faults", str(len(record.faults) - mends)),
        *([("mends", str(mends))] if mends else []),
    ]
    cells = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in figures)
    if record.faults:
        cells += f"<div><dt>predictions</dt><dd>{verdicts}</dd></div>"
    return f'<dl class="figures">{cells}</dl>'


def _verdicts(parts: "Iterator[PartRecord] | Sequence[PartRecord]") -> str:
    counts = Counter(part.verdict for part in parts)
    words = [verdict_html(each, f"{counts[each]} {each}") for each in _ORDER if counts[each]]
    return ", ".join(words) or "none"


def _length(secs: float) -> str:
    minutes, rest = divmod(round(secs), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


# --- pictures


def _platform(record: LabRecord) -> Iterator[str]:
    state = state_now(record)
    yield "<h2>The platform now</h2>"
    yield _scrolled(graph_svg(record, state, "the platform as it is now"), "the platform as it is now")
    yield legend_html(record, states_in(record, state))


def _scrolled(svg: str, name: str) -> str:
    return (
        f'<figure><p class="hint">{_HINT}</p>'
        f'<div class="scroll" tabindex="0" role="group" aria-label="{escape(name)}">\n{svg}\n</div></figure>'
    )


_HINT = "wider than this screen: scroll it sideways →"
_AROUND = 80
"""Pixels beside a picture, at most."""


def _hint_style(record: LabRecord) -> str:
    """Return the rule that shows the hint where the picture does not fit: the page itself does not grow with it."""
    found = re.search(r' width="(\d+)"', graph_svg(record, state_now(record), ""))
    assert found is not None
    least = int(found[1]) + _AROUND
    shown = ".hint { display: block; }"
    return f"{shown}\n" if least > PAGE_WIDTH else f"@media (max-width: {least - 1}px) {{ {shown} }}\n"


def _timeline(record: LabRecord) -> Iterator[str]:
    if not record.faults:
        return
    yield "<h2>What was done, and who was away</h2>"
    yield "<ol>"
    for place, fault in enumerate(record.faults, 1):
        counts = _verdicts(fault.parts)
        yield f'<li><a href="#fault-{place}">{escape(fault.fault)}</a> after {_length(fault.at)}: {counts}</li>'
    yield "</ol>"
    yield lab_bars(record) or "<p>No part was away for longer than an answer may take.</p>"


# --- faults


def _faults(record: LabRecord) -> Iterator[str]:
    if record.faults:
        yield "<h2>Predicted and measured</h2>"
        yield KEY
    for place, fault in enumerate(record.faults, 1):
        yield from _fault(record, fault, place)


def _fault(record: LabRecord, fault: FaultRecord, place: int) -> Iterator[str]:
    told = sorted((each for each in fault.parts if _is_told(each, fault)), key=_rank)
    quiet = [each for each in fault.parts if not _is_told(each, fault)]
    befell = "back" if fault.mends else "hit"
    hit = f"{len(fault.hit)} process{'es' if len(fault.hit) != 1 else ''} {befell}; " if fault.hit else ""
    called = f"analyze calls it “{fault.failure}”; " if fault.failure else ""
    yield f'<section class="fault" id="fault-{place}">'
    yield f"<h3>{place}. {escape(fault.fault)}</h3>"
    yield f'<p class="soft">{escape(called)}{hit}watched for {_length(fault.until - fault.at)}</p>'
    yield f"<p>{_verdicts(fault.parts)}</p>"
    shown = [each for each in told if each.measured is not None]
    if shown:
        yield fault_bars(record, fault, shown)
    broken = [each for each in told if each.verdict == "broken"]
    if broken:
        yield _table(broken)
    yield from _folded(f"Why: {len(fault.parts)} predictions with their rules", fault.parts)
    if quiet:
        yield f'<p class="soft">{_count(len(quiet), "further part")} went on as predicted.</p>'
    state = state_after(record, place)
    yield f"<details><summary>The platform after {escape(fault.fault)}</summary>"
    yield _scrolled(graph_svg(record, state, f"after {fault.fault}"), f"the platform after {fault.fault}")
    yield legend_html(record, states_in(record, state))
    yield "</details></section>"


def _folded(summary: str, parts: Sequence[PartRecord]) -> Iterator[str]:
    if parts:
        yield f"<details><summary>{escape(summary)}</summary>{_table(sorted(parts, key=_rank))}</details>"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _is_told(part: PartRecord, fault: FaultRecord) -> bool:
    """Return whether something was predicted or seen of a part; else it went on as was said."""
    if part.verdict != "held" or part.measured is None or part.measured.outcome != "holds":
        return True
    return part.predicted.outcome != "holds" and not fault.mends


def _rank(part: PartRecord) -> tuple[int, str, str, str]:
    return (_ORDER[part.verdict], part.member, part.region or "", part.part)


def _table(parts: Sequence[PartRecord]) -> str:
    head = "".join(
        f'<th scope="col">{name}</th>' for name in ("component", "part", "predicted: writes", "measured", "verdict")
    )
    rows = "".join(_part(each) for each in parts)
    return f'<table class="parts"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'


def _part(part: PartRecord) -> str:
    cells = [
        ("component", escape(part.member)),
        ("part", escape(part_text(part))),
        ("predicted", escape(predicted_text(part.predicted)) + _reasons(part)),
        ("measured", escape(seen_text(part))),
        ("verdict", f"{verdict_html(part.verdict)}<br>{escape(part.says)}"),
    ]
    return "<tr>" + "".join(f'<td data-is="{name}">{text}</td>' for name, text in cells) + "</tr>"


def _reasons(part: PartRecord) -> str:
    said = part.predicted
    lines = [
        *([f"somebody must: {said.human}"] if said.human else []),
        *([f"may be lost: {said.loss}"] if said.loss else []),
        *([said.note] if said.note else []),
        *said.rules,
    ]
    if not lines:
        return ""
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f"<details><summary>why</summary><ul>{items}</ul></details>"


# --- what there is


def _members(record: LabRecord) -> Iterator[str]:
    yield "<h2>Members</h2>"
    names = ("member", "kind", "processes", "booted in", "memory", "used by")
    head = "".join(f'<th scope="col">{name}</th>' for name in names)
    yield '<div class="scroll" tabindex="0" role="group" aria-label="members">'
    yield f"<table><thead><tr>{head}</tr></thead><tbody>"
    for each in record.members:
        users = ", ".join(name for name, used in record.uses.items() if each.name in used) or "–"
        memory = "–" if each.memory_mb is None else f"{each.memory_mb:.0f} MB"
        cells = (each.name, each.kind, str(len(each.processes)), f"{each.boot_secs:.1f} s", memory, users)
        yield "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"
    yield "</tbody></table></div>"


def _left_out(record: LabRecord) -> Iterator[str]:
    if record.left_out:
        items = "".join(f"<li>{escape(each)}</li>" for each in record.left_out)
        yield f'<h2>Not shown here</h2>\n<ul class="plain">{items}</ul>'
