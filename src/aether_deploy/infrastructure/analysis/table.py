"""An analysis as text for a terminal, and as Markdown for a pull request."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from textwrap import fill

from aether_deploy.infrastructure.analysis.analysing import Analysis
from aether_deploy.infrastructure.analysis.findings import SEVERITIES, Finding
from aether_deploy.infrastructure.analysis.grid import (
    LEGEND,
    Act,
    Column,
    acts_of,
    columns_of,
    reasons_of,
    shared_findings,
)
from aether_deploy.infrastructure.analysis.lines import Line, lines_of, names_text

WIDTH = 118
_GAP = "   "
_TITLES = {
    "human": "somebody has to act",
    "loss": "what may be lost",
    "note": "weaker until it is back",
}

_NOTHING_HIT = "no failure of what is described here touches a component: what runs elsewhere fails by itself"


def table_text(analysis: Analysis, findings: Sequence[Finding], *, reasons: bool = True) -> str:
    """Return the table, its legend, what a human does, what may be lost, the reasons and the findings.

    Args:
        analysis: The analysis, of at least one component.
        findings: What it found.
        reasons: Print what is weaker though writes go on, and the rules, too.
    """
    lines = lines_of(analysis)
    blocks = ["\n".join(_grid(analysis, lines)), "\n".join(_legend(analysis, lines))] if lines else [_NOTHING_HIT]
    for pick, title in _TITLES.items():
        acts = acts_of(lines, pick) if reasons or pick != "note" else []
        if acts:
            blocks.append("\n".join([title, *(_act(act) for act in acts)]))
    if reasons and lines:
        blocks.append("\n".join(["why", *_reasons(lines, analysis)]))
    if findings:
        blocks.append("\n".join(map(str, shared_findings(findings))))
    return "\n\n".join(blocks)


def summary_text(analysis: Analysis, findings: Sequence[Finding]) -> str:
    """Return the closing line: failures, components, findings."""
    count = len(analysis.singles) + len(analysis.pairs) + analysis.untouching
    counts = [_counted(sum(each.severity == name for each in findings), name) for name in SEVERITIES]
    found = ", ".join(text for text in counts if not text.startswith("0 ")) or "no findings"
    return f"{_counted(count, 'failure')}, {_counted(len(analysis.subjects), 'component')}: {found}"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _grid(analysis: Analysis, lines: Sequence[Line]) -> Iterator[str]:
    """Yield the table; where it is wider than a page, in blocks of components, each with the rows that touch them."""
    columns = columns_of(analysis, lines, merged=False)
    if _label_width(lines) + sum(len(_GAP) + _width(column, lines) for column in columns) <= WIDTH:
        yield from _block(columns, lines)
    else:
        yield from _blocks(analysis, lines)
    if analysis.pairs:
        idle = _counted(len(analysis.pairs) - len(analysis.graver_pairs), "pair")
        yield f"{idle} of {len(analysis.pairs)} do no more than their halves alone"


def _block(columns: Sequence[Column], lines: Sequence[Line]) -> Iterator[str]:
    label, widths = _label_width(lines), [_width(column, lines) for column in columns]
    yield _row("failure", label, [column.title for column in columns], widths)
    for line in lines:
        yield _row(line.label, label, [column.text(line) for column in columns], widths)


def _blocks(analysis: Analysis, lines: Sequence[Line]) -> Iterator[str]:
    columns = columns_of(analysis, lines, merged=True)
    titles = {column.names[0]: column.title for column in columns if column.names}
    for names in _split(columns, lines):
        part = analysis.only(name for column in names for name in column.names)
        rows = lines_of(part)
        shown = [
            column for column in columns_of(part, rows, merged=False) if column.title in titles or not column.names
        ]
        yield from _block([column._replace(title=titles.get(column.title, column.title)) for column in shown], rows)
        yield ""
    for column in columns:
        if len(column.names) > 1:
            yield fill(f"{column.title}: {', '.join(column.names)}", WIDTH, subsequent_indent="  ")


def _split(columns: Sequence[Column], lines: Sequence[Line]) -> Iterator[list[Column]]:
    """Yield components in blocks that fit beside the labels and who notices; at least one in each."""
    block: list[Column] = []
    taken = _label_width(lines) + sum(len(_GAP) + _width(column, lines) for column in columns if not column.names)
    used = taken
    for column in columns:
        needed = len(_GAP) + _width(column, lines) if column.names else 0
        if block and used + needed > WIDTH:
            yield block
            block, used = [], taken
        block += [column] if column.names else []
        used += needed
    if block:
        yield block


def _label_width(lines: Sequence[Line]) -> int:
    return max([len("failure"), *(len(line.label) for line in lines)])


def _width(column: Column, lines: Sequence[Line]) -> int:
    return max([len(column.title), *(len(column.text(line)) for line in lines)])


def _row(label: str, label_width: int, cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [cell.ljust(width) for cell, width in zip(cells, widths, strict=True)]
    return _GAP.join([label.ljust(label_width), *padded]).rstrip()


def _legend(analysis: Analysis, lines: Sequence[Line]) -> Iterator[str]:
    """Yield the meaning of the signs that the table uses."""
    cells = [column.text(line) for column in columns_of(analysis, lines, merged=True) if column.names for line in lines]
    tests = {
        "ok": "ok", "20-33 s": " s", "read": "read", "down": "down", "!": "!", "~": "~", "2/5": "/", "cut 3": "cut",
    }  # fmt: skip
    for sign, meaning in LEGEND:
        if any(tests[sign] in cell for cell in cells) if sign in tests else sign in cells:
            yield f"  {sign:<8} {meaning}"


def _act(act: Act) -> str:
    parts = f" [{names_text(act.parts, 60)}]" if act.parts else ""
    said = f"  {act.component}{parts}: {act.text}"
    when = f"    {names_text(act.when, 3 * WIDTH)}"
    return "\n".join(fill(text, WIDTH, subsequent_indent="    ", break_on_hyphens=False) for text in (said, when))


def _reasons(lines: Sequence[Line], analysis: Analysis) -> Iterator[str]:
    """Yield the rules, below each source."""
    everybody = len(analysis.subjects)
    for source, reasons in groupby(reasons_of(lines), key=lambda reason: reason.source):
        yield fill(f"  {source}", WIDTH, subsequent_indent="    ", break_on_hyphens=False)
        for reason in reasons:
            whose = "all" if len(reason.names) == everybody > 1 else names_text(reason.names, 40)
            yield fill(f"    - {whose}: {reason.text}", WIDTH, subsequent_indent="      ", break_on_hyphens=False)


# --- Markdown


def table_markdown(analysis: Analysis, findings: Sequence[Finding]) -> str:
    """Return the table and the findings as Markdown, what explains them folded away."""
    lines = lines_of(analysis)
    if not lines:
        return "\n\n".join([_NOTHING_HIT, "\n".join(_markdown_findings(findings))])
    merged = len(analysis.subjects) > 8
    columns = columns_of(analysis, lines, merged=merged)
    blocks = ["\n".join(_markdown_grid(columns, lines))]
    blocks += ["\n".join(f"- {_escaped(_shared(column))}" for column in columns if len(column.names) > 1)]
    blocks += ["\n".join(_markdown_findings(findings))]
    for pick, title in _TITLES.items():
        acts = acts_of(lines, pick)
        if acts:
            blocks.append(_folded(title.capitalize(), (_markdown_act(act) for act in acts)))
    rules = (f"- {_escaped(each.text)} ({_escaped(each.source)})" for each in reasons_of(lines))
    blocks.append(_folded("Why", rules))
    blocks.append(_folded("What the signs mean", (f"- `{sign}` {meaning}" for sign, meaning in LEGEND)))
    return "\n\n".join(block for block in blocks if block)


def _shared(column: Column) -> str:
    return f"{column.title}: {', '.join(column.names)}"


def _markdown_grid(columns: Sequence[Column], lines: Sequence[Line]) -> Iterator[str]:
    yield f"| failure | {' | '.join(_escaped(column.title) for column in columns)} |"
    yield f"| --- {'| --- ' * len(columns)}|"
    for line in lines:
        cells = " | ".join(_escaped(column.text(line)) for column in columns)
        yield f"| {_escaped(line.label)} | {cells} |"


def _markdown_findings(findings: Sequence[Finding]) -> Iterator[str]:
    for each in shared_findings(findings):
        about = f"`{each.component}`: " if each.component else ""
        yield f"- **{each.severity}** {about}{_escaped(each.text)} (`{each.rule}`)  \n  fix: {_escaped(each.fix)}"
    if not findings:
        yield "No findings."


def _markdown_act(act: Act) -> str:
    parts = f" [{names_text(act.parts, 60)}]" if act.parts else ""
    return f"- `{act.component}`{_escaped(parts)}: {_escaped(act.text)} ({_escaped(names_text(act.when, 3 * WIDTH))})"


def _folded(title: str, lines: Iterable[str]) -> str:
    return f"<details><summary>{title}</summary>\n\n" + "\n".join(lines) + "\n\n</details>"


def _escaped(text: str) -> str:
    """Return text that Markdown leaves as it is."""
    return "".join(f"\\{each}" if each in "\\|*_~<>[]`" else each for each in text)
