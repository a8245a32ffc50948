"""What the answers amount to: which failures leave something down that need not be, and who must know of what."""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from aether_deploy.infrastructure.analysis.analysing import Analysis, Row, Use
from aether_deploy.infrastructure.analysis.findings import SEVERITIES, Finding, Severity
from aether_deploy.infrastructure.analysis.impacts import Effect
from aether_deploy.infrastructure.analysis.lines import Line, lasts_text, names_text, single_lines

_SOURCE = "this analysis"
_OUTCOMES = {"holds": "writes go on", "interrupted": "writes stop for", "read-only": "only reads", "down": "down"}


def analysis_findings(analysis: Analysis) -> list[Finding]:
    """Return every finding, the gravest first, then in the order of the file; equal analyses give equal findings."""
    lines = single_lines(analysis)
    order = ["", *(each.name for each in analysis.subjects)]
    found = [*_judged(analysis, lines), *_cut_off(lines)]
    for subject in analysis.subjects:
        found += subject.analyst.findings()
    return sorted(dict.fromkeys(found), key=lambda each: (SEVERITIES.index(each.severity), order.index(each.component)))


class _Verdict(NamedTuple):
    """How an effect is judged: the rule's name, how grave it is, and what to do where the effect does not say."""

    rule: str
    severity: Severity
    fix: str


def _judged(analysis: Analysis, lines: Iterable[Line]) -> Iterator[Finding]:
    """Yield one finding for all failures and parts of a component that are judged alike."""
    groups: dict[tuple[str, _Verdict, str, str], tuple[dict[str, None], dict[str, None], Effect]] = {}
    for line in lines:
        for row, name, effect in line.effects:
            for verdict, said in _verdicts(analysis, row, effect):
                when, parts, _ = groups.setdefault((name, verdict, said, effect.fix), ({}, {}, effect))
                when[line.label] = None
                parts |= {effect.part: None} if effect.part else {}
    for (name, verdict, said, _), (when, parts, effect) in groups.items():
        who = names_text(list(parts), 60)
        yield Finding(
            rule=verdict.rule,
            severity=verdict.severity,
            component=name,
            text=f"{names_text(list(when), 90)}: {f'{who}: ' if who else ''}{said}",
            fix=effect.fix or verdict.fix,
            source=effect.rules[0].source if effect.rules else _SOURCE,
        )


def _verdicts(analysis: Analysis, row: Row, effect: Effect) -> Iterator[tuple[_Verdict, str]]:
    judge = _JUDGES.get(row.failure.kind)
    verdict = None if judge is None else judge(analysis, row, effect)
    if verdict is not None:
        yield _as_meant(verdict, effect), _outcome_text(effect)
    if effect.loss is not None and effect.ends_by_itself:
        fix = "let a write be in two places before it is acknowledged, or accept it"
        lossy = _Verdict("acknowledged-writes", "warning", fix)
        yield _as_meant(lossy, effect), f"may lose acknowledged writes: {effect.loss.text}"


def _as_meant(verdict: _Verdict, effect: Effect) -> _Verdict:
    """Return the verdict one step milder where the component promises no more: nobody could mend it in the file."""
    milder: dict[Severity, Severity] = {"error": "warning", "warning": "note", "note": "note"}
    return verdict._replace(severity=milder[verdict.severity]) if effect.by_design else verdict


def _outcome_text(effect: Effect) -> str:
    text = f"{_OUTCOMES[effect.outcome]} {lasts_text(effect)}".strip()
    if effect.human:
        return f"{text} until somebody acts: {effect.human}"
    return text if effect.recovery is not None or effect.outcome == "holds" else f"{text} until what failed is back"


def _one_is_enough(_: Analysis, __: Row, effect: Effect) -> _Verdict | None:
    """A process or a node: nothing may hang on one."""
    if effect.ends_by_itself:
        return None
    return _Verdict("single-point", "error", "run more of it, in more zones")


def _zone(analysis: Analysis, row: Row, effect: Effect) -> _Verdict | None:
    if effect.ends_by_itself:
        return None
    region = next(each for each in analysis.estate.regions if any(dc.name in row.failure.lost for dc in each.full))
    if len(region.zones) < 2:
        return _Verdict("one-zone", "warning", f"give region {region.code} three zones")
    return _Verdict("zone-loss", "error", "spread it over three zones")


def _region(analysis: Analysis, row: Row, effect: Effect) -> _Verdict | None:
    if effect.ends_by_itself:
        return None
    if effect.region != row.failure.name and effect.region is not None:
        return _Verdict("reaches-other-regions", "error", "let no other region depend on it")
    if effect.human:
        return _Verdict("region-loss-by-hand", "note", "rehearse it, and say beforehand who may decide")
    bearable = effect.readable or len(analysis.estate.regions) == 1
    return _Verdict("region-loss", "note" if bearable else "warning", "keep a copy in a second region")


def _witness(_: Analysis, __: Row, effect: Effect) -> _Verdict | None:
    if effect.outcome == "holds":
        return None
    return _Verdict("witness-decides", "error", "let it go on without the witness")


def _link(_: Analysis, __: Row, effect: Effect) -> _Verdict | None:
    if effect.outcome == "holds":
        return None
    return _Verdict("link-loss", "warning", "add a second path between the regions")


def _control_plane(_: Analysis, __: Row, effect: Effect) -> _Verdict | None:
    if effect.outcome == "holds":
        return None
    return _Verdict("control-plane", "warning", "let it go on without the API server")


_JUDGES: dict[str, Callable[[Analysis, Row, Effect], _Verdict | None]] = {
    "process": _one_is_enough,
    "node": _one_is_enough,
    "zone": _zone,
    "region": _region,
    "witness": _witness,
    "link": _link,
    "control-plane": _control_plane,
}


def _cut_off(lines: Iterable[Line]) -> Iterator[Finding]:
    """Yield which workloads depend on a link, one finding for a component."""
    found: dict[str, tuple[dict[str, None], dict[Use, None]]] = {}
    for line in lines:
        for row in line.rows:
            for name, cell in row.cells.items() if row.failure.kind == "link" else ():
                if cell.cut_off:
                    links, users = found.setdefault(name, ({}, {}))
                    links[row.failure.name] = None
                    users |= dict.fromkeys(cell.cut_off)
    for name, (links, users) in found.items():
        who = names_text([f"{use.workload} in {use.region}" for use in users], 90)
        yield Finding(
            rule="users-cut-off",
            severity="note",
            component=name,
            text=f"link {names_text(list(links), 60)}: {who} can no longer reach it",
            fix="let them bear it (queue, retry, read a local copy), or run them where it runs",
            source="placement",
        )
