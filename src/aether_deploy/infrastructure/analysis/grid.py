"""A table as a person reads it: what stands in a cell, who shares a column, and what is said below it."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from aether_deploy.infrastructure.analysis.analysing import Analysis
from aether_deploy.infrastructure.analysis.findings import Finding
from aether_deploy.infrastructure.analysis.impacts import Outcome
from aether_deploy.infrastructure.analysis.lines import Line, Summary, names_text

NOTICED_WIDTH_MAX = 30
SHARED_WIDTH_MAX = 60
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


def cell_text(cell: Summary | None, parts: int) -> str:
    """Return what stands in the table for what a failure does to a component with so many parts."""
    if cell is None:
        return UNTOUCHED_TEXT
    words = []
    if cell.outcome is not None:
        signs = f"{'*' if cell.weaker else ''}{'!' if cell.human else ''}"
        words = [(cell.lasts or _WORDS[cell.outcome]) + signs]
        words += ["~"] if cell.lossy else []
        words += [f"{cell.hit}/{parts}"] if 0 < cell.hit < parts else []
    return " ".join([*words, *([f"cut {cell.cut}"] if cell.cut else [])])


class Column(NamedTuple):
    """One column: components that every failure treats alike.

    Attributes:
        title: Its first component, and how many more.
        names: All of them; none in the column of who notices.
        place: The place of the first among the components.
        parts: How many parts each has.
    """

    title: str
    names: tuple[str, ...]
    place: int
    parts: int = 1

    def text(self, line: Line) -> str:
        """Return what stands in it in a row."""
        if not self.names:
            return names_text(line.noticed, NOTICED_WIDTH_MAX)
        return cell_text(line.cells[self.place], self.parts)


def columns_of(analysis: Analysis, lines: Sequence[Line], *, merged: bool) -> list[Column]:
    """Return the columns, in the order of the file.

    Args:
        analysis: The analysis.
        lines: Its rows.
        merged: Components that are treated alike share a column.
    """
    groups: dict[tuple[object, ...], list[int]] = {}
    for place, subject in enumerate(analysis.subjects):
        alike = tuple(cell_text(line.cells[place], subject.analyst.parts) for line in lines)
        groups.setdefault(alike if merged else (place,), []).append(place)
    columns = [_column(analysis, places) for places in groups.values()]
    return [*columns, Column("noticed by", (), 0)] if any(line.noticed for line in lines) else columns


def _column(analysis: Analysis, places: Sequence[int]) -> Column:
    names = tuple(analysis.subjects[place].name for place in places)
    title = names[0] + (f" +{len(names) - 1}" if len(names) > 1 else "")
    return Column(title, names, places[0], analysis.subjects[places[0]].analyst.parts)


class Act(NamedTuple):
    """What somebody has to do, or what is lost, or why: said once for all failures and parts that it is true of.

    Attributes:
        component: The component, or several of which all of it is true.
        when: The rows of the table in which it happens.
        parts: The parts that it is true of; empty where the component has but one.
        text: What it is.
    """

    component: str
    when: tuple[str, ...]
    parts: tuple[str, ...]
    text: str


def acts_of(lines: Iterable[Line], pick: str) -> list[Act]:
    """Return what effects say in one of their fields, each text once for all components that it is true of alike.

    Args:
        lines: The rows of the table.
        pick: ``human``, ``note`` or ``loss``.
    """
    found: dict[tuple[str, str], tuple[dict[str, None], dict[str, None]]] = {}
    for line in lines:
        for _, name, effect in line.effects:
            said = effect.loss.text if pick == "loss" and effect.loss is not None else getattr(effect, pick)
            if isinstance(said, str) and said:
                when, parts = found.setdefault((name, said), ({}, {}))
                when[line.label] = None
                parts |= {effect.part: None} if effect.part else {}
    acts = [Act(name, tuple(when), tuple(parts), text) for (name, text), (when, parts) in found.items()]
    groups: dict[tuple[object, ...], list[Act]] = {}
    for act in acts:
        groups.setdefault((act.when, act.parts, _about_anyone(act.text, act.component)), []).append(act)
    return [_shared_act(alike) for alike in groups.values()]


def _shared_act(alike: Sequence[Act]) -> Act:
    first, *others = alike
    if not others:
        return first
    names = names_text([each.component for each in alike], SHARED_WIDTH_MAX)
    return first._replace(component=names, text=_about_anyone(first.text, first.component))


def shared_findings(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings as people read them: what is found of several components alike stands once, with their names."""
    groups: dict[Finding, list[Finding]] = {}
    for each in findings:
        about_anyone = {name: _about_anyone(getattr(each, name), each.component) for name in ("text", "fix")}
        groups.setdefault(msgspec.structs.replace(each, component="", **about_anyone), []).append(each)
    return [
        alike[0]
        if len(alike) == 1
        else msgspec.structs.replace(shared, component=names_text([each.component for each in alike], SHARED_WIDTH_MAX))
        for shared, alike in groups.items()
    ]


def _about_anyone(text: str, name: str) -> str:
    """Return ``text`` without the name of the one component that it is about: its runbook is called after it."""
    return text.replace(f"runbooks/{name}.md", "runbooks/<component>.md") if name else text


class Reason(NamedTuple):
    """A rule that answers rest on: what it says, who says so, and the components that it speaks of."""

    text: str
    source: str
    names: tuple[str, ...]


def reasons_of(lines: Iterable[Line]) -> list[Reason]:
    """Return every rule that an answer rests on, those of one source together."""
    found: dict[tuple[str, str], dict[str, None]] = {}
    for line in lines:
        for _, name, effect in line.effects:
            for rule in effect.rules:
                found.setdefault((rule.source, rule.text), {})[name] = None
    sources = list(dict.fromkeys(source for source, _ in found))
    ordered = sorted(found, key=lambda each: sources.index(each[0]))
    return [Reason(text, source, tuple(found[source, text])) for source, text in ordered]
