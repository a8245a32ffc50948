"""An analysis as rows and columns that a person reads: failures that do the same to everybody are one row."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

from aether_deploy.infrastructure.analysis.analysing import Analysis, Cell, Row, users_hit
from aether_deploy.infrastructure.analysis.failures import Failure, FailureKind
from aether_deploy.infrastructure.analysis.impacts import Effect, Impact, Outcome

NAMES_WIDTH_MAX = 44
NOTICED_WIDTH_MAX = 30
UNTOUCHED_TEXT = "."

_WORDS: dict[Outcome, str] = {"holds": "ok", "interrupted": "", "read-only": "read", "down": "down"}

LEGEND = (
    (UNTOUCHED_TEXT, "not touched"),
    ("ok", "writes go on; ok*: and something is weaker until it is back"),
    ("20-33 s", "writes stop for so long, best to worst, and come back by themselves"),
    ("read", "it can only be read until what failed is back"),
    ("down", "it can be neither read nor written until what failed is back"),
    ("!", "somebody has to act: see below"),
    ("~", "acknowledged writes may be lost: see below"),
    ("2/5", "so many of its parts; the others go on"),
    ("cut 3", "it goes on, but so many workloads elsewhere no longer reach it"),
)


class Line(NamedTuple):
    """One row of the table.

    Attributes:
        label: What fails.
        rows: The failures that it stands for, all with the same cells.
        cells: What it does to each component, as text, in the order of the file.
        noticed: The workloads that notice, some of their names.
    """

    label: str
    rows: tuple[Row, ...]
    cells: tuple[str, ...]
    noticed: str = ""


def seconds_text(secs: float) -> str:
    """Return a time that is easy to read: ``0.2``, ``20``."""
    return f"{secs:.1f}" if secs < 10 and round(secs) != secs else f"{secs:.0f}"


def span_text(effect: Effect) -> str:
    """Return how long writes stop: ``20-33 s``."""
    if effect.recovery is None:
        return ""
    best, worst = seconds_text(effect.recovery.best), seconds_text(effect.recovery.worst)
    return f"{best} s" if best == worst else f"{best}-{worst} s"


def cell_text(cell: Cell | None, parts: int) -> str:
    """Return what stands in the table for a cell of a component with so many parts."""
    if cell is None:
        return UNTOUCHED_TEXT
    words = [_impact_text(cell.impact, parts)] if cell.impact.effects else []
    words += [f"cut {len({use.workload for use in cell.cut_off})}"] if cell.cut_off else []
    return " ".join(words) or UNTOUCHED_TEXT


def _impact_text(impact: Impact, parts: int) -> str:
    worst = impact.worst
    assert worst is not None
    word = _WORDS[worst.outcome] or span_text(worst)
    word += "*" if worst.outcome == "holds" and worst.note else ""
    word += "!" if any(each.human for each in impact.effects) else ""
    word += " ~" if any(each.loss is not None for each in impact.effects) else ""
    alike = sum(each.outcome == worst.outcome for each in impact.effects)
    if worst.outcome != "holds" and alike < parts:
        word += f" {alike}/{parts}"
    return word


def single_lines(analysis: Analysis) -> list[Line]:
    """Return the rows of the table that are about one failure, smallest first."""
    lines = list(_process_lines(analysis))
    others = [row for row in analysis.singles if row.failure.role is None]
    for kind, rows in groupby(others, key=lambda row: row.failure.kind):
        lines += _merged(analysis, kind, list(rows))
    return lines


def lines_of(analysis: Analysis) -> list[Line]:
    """Return the rows of the table: single failures, then the pairs that do more than their halves."""
    lines = single_lines(analysis)
    for kind, rows in groupby(analysis.graver_pairs, key=lambda row: row.failure.kind):
        lines += _merged(analysis, kind, list(rows))
    return lines


_ROLES = {"leader": "process that leads", "member": "another process"}


def _cells(analysis: Analysis, cells: Mapping[str, Cell]) -> tuple[str, ...]:
    return tuple(cell_text(cells.get(each.name), each.analyst.parts) for each in analysis.subjects)


def _process_lines(analysis: Analysis) -> Iterator[Line]:
    for role, label in _ROLES.items():
        rows = [row for row in analysis.singles if row.failure.role == role]
        cells = {name: cell for row in rows for name, cell in row.cells.items()}
        if rows:
            yield Line(label, tuple(rows), _cells(analysis, cells), _noticed(analysis, rows))


def _noticed(analysis: Analysis, rows: Iterable[Row]) -> str:
    """Return the workloads that notice one of ``rows``, as many as fit."""
    hit = {use.workload: None for row in rows for name in row.cells for use in users_hit(analysis, row, name)}
    return names_text(list(hit), NOTICED_WIDTH_MAX)


def _merged(analysis: Analysis, kind: FailureKind, rows: Sequence[Row]) -> Iterator[Line]:
    """Yield one line for all failures of a kind that stop the same parts for as long; zones by their regions."""
    groups: dict[tuple[object, ...], list[Row]] = {}
    shown: dict[tuple[object, ...], tuple[str, ...]] = {}
    for row in rows:
        home = _homes(analysis, row.failure) if kind in _IN_REGIONS else ()
        cells = _cells(analysis, row.cells)
        key: tuple[object, ...] = (home, cells, *(_stopped(cell) for cell in row.cells.values()))
        groups.setdefault(key, []).append(row)
        shown[key] = cells
    for key, alike in groups.items():
        yield Line(_label(analysis, kind, alike), tuple(alike), shown[key], _noticed(analysis, alike))


_IN_REGIONS = ("node", "zone", "zones")


def _stopped(cell: Cell) -> tuple[tuple[str, str], ...]:
    return tuple((each.part, each.human) for each in cell.impact.effects if each.outcome != "holds")


def _homes(analysis: Analysis, failure: Failure) -> tuple[str, ...]:
    """Return the regions in which something fails, in file order."""
    hit = failure.lost | failure.nodes
    return tuple(dict.fromkeys(each.region for each in analysis.estate.datacenters if each.name in hit))


_NOUNS = {
    "control-plane": "control plane",
    "zones": "two zones",
    "regions": "two regions",
    "links": "two links",
}


def _label(analysis: Analysis, kind: FailureKind, rows: Sequence[Row]) -> str:
    noun = _NOUNS.get(kind, kind)
    return _zones_label(analysis, kind, rows) or (
        f"{noun} {names_text([row.failure.name for row in rows], NAMES_WIDTH_MAX - len(noun))}"
    )


def _zones_label(analysis: Analysis, kind: FailureKind, rows: Sequence[Row]) -> str:
    """Return a name for all zones of a region, or all pairs of them; empty where it is only some."""
    homes = _homes(analysis, rows[0].failure) if kind in _IN_REGIONS else ()
    sizes = [len(region.zones) for code in homes if (region := analysis.estate.region(code)) is not None]
    if len(sizes) == 1 and kind == "zones" and len(rows) == sizes[0] * (sizes[0] - 1) // 2 > 1:
        return f"any two zones of {homes[0]}"
    if len(sizes) == 2 and len(rows) == sizes[0] * sizes[1] > 1:
        return f"a zone of {homes[0]} and one of {homes[1]}"
    if len(sizes) == 1 and kind != "zones" and len(rows) == sizes[0] > 1:
        return f"a {kind} in {homes[0]}" if kind == "node" else f"a zone of {homes[0]}"
    return ""


def names_text(names: Sequence[str], width: int = NAMES_WIDTH_MAX) -> str:
    """Return names in a row, as many as fit: ``a, b and 4 more``."""
    shown: list[str] = []
    for name in names:
        if shown and len(", ".join([*shown, name])) > width:
            break
        shown.append(name)
    left = len(names) - len(shown)
    return ", ".join(shown) + (f" and {left} more" if left else "")


class Column(NamedTuple):
    """One column: components that every failure treats alike.

    Attributes:
        title: Its first component, and how many more.
        names: All of them; none in the column of who notices.
        place: The place of the first among the components.
    """

    title: str
    names: tuple[str, ...]
    place: int

    def text(self, line: Line) -> str:
        """Return what stands in it in a row."""
        return line.cells[self.place] if self.names else line.noticed


def columns_of(analysis: Analysis, lines: Sequence[Line], *, merged: bool) -> list[Column]:
    """Return the columns, in the order of the file.

    Args:
        analysis: The analysis.
        lines: Its rows.
        merged: Components that are treated alike share a column.
    """
    groups: dict[tuple[object, ...], list[int]] = {}
    for place in range(len(analysis.subjects)):
        alike = tuple(line.cells[place] for line in lines)
        groups.setdefault(alike if merged else (place,), []).append(place)
    columns = [_column(analysis, places) for places in groups.values()]
    return [*columns, Column("noticed by", (), 0)] if any(line.noticed for line in lines) else columns


def _column(analysis: Analysis, places: Sequence[int]) -> Column:
    names = tuple(analysis.subjects[place].name for place in places)
    return Column(names[0] + (f" +{len(names) - 1}" if len(names) > 1 else ""), names, places[0])


class Act(NamedTuple):
    """What somebody has to do, or what is lost, or why: said once for all failures and parts that it is true of.

    Attributes:
        component: The component.
        when: The rows of the table in which it happens.
        parts: The parts that it is true of; empty where the component has but one.
        text: What it is.
    """

    component: str
    when: tuple[str, ...]
    parts: tuple[str, ...]
    text: str


def acts_of(lines: Iterable[Line], pick: str) -> list[Act]:
    """Return what effects say in one of their fields, each text once for a component.

    Args:
        lines: The rows of the table.
        pick: ``human``, ``note`` or ``loss``.
    """
    found: dict[tuple[str, str], tuple[dict[str, None], dict[str, None]]] = {}
    for line in lines:
        for name, effect in _effects(line):
            said = effect.loss.text if pick == "loss" and effect.loss is not None else getattr(effect, pick)
            if isinstance(said, str) and said:
                when, parts = found.setdefault((name, said), ({}, {}))
                when[line.label] = None
                parts |= {effect.part: None} if effect.part else {}
    return [Act(name, tuple(when), tuple(parts), text) for (name, text), (when, parts) in found.items()]


def _effects(line: Line) -> Iterator[tuple[str, Effect]]:
    for row in line.rows:
        for name, cell in row.cells.items():
            for effect in cell.impact.effects:
                yield name, effect


class Reason(NamedTuple):
    """A rule that answers rest on: what it says, who says so, and the components that it speaks of."""

    text: str
    source: str
    names: tuple[str, ...]


def reasons_of(lines: Iterable[Line]) -> list[Reason]:
    """Return every rule that an answer rests on, those of one source together."""
    found: dict[tuple[str, str], dict[str, None]] = {}
    for line in lines:
        for name, effect in _effects(line):
            for rule in effect.rules:
                found.setdefault((rule.source, rule.text), {})[name] = None
    sources = list(dict.fromkeys(source for source, _ in found))
    ordered = sorted(found, key=lambda each: sources.index(each[0]))
    return [Reason(text, source, tuple(found[source, text])) for source, text in ordered]
