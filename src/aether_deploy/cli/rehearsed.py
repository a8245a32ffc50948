"""What a rehearsal showed, as text for people and as values for machines."""

from collections.abc import Sequence
from typing import Any

from aether_deploy.cli.output import count
from aether_deploy.lab.dry_run import DryRun
from aether_deploy.lab.rehearsal import Rehearsed
from aether_deploy.lab.stage import Verdict


def rehearsed_text(found: Rehearsed, asked: Sequence[str] = ()) -> str:
    """Return everything that a rehearsal showed."""
    objects = count(len(found.applied), "object")
    taken = "nothing dropped or rewritten" if not found.faults else count(len(found.faults), "fault")
    lines = [
        f"Kubernetes {found.kubernetes}, {count(found.nodes, 'node')} in {count(len(found.zones), 'zone')}; "
        f"{objects} applied, {taken}"
    ]
    lines += [f"  {fault}" for fault in found.faults]
    lines += [f"  not judged: {applied.title}: {applied.unjudged}" for applied in found.applied if applied.unjudged]
    lines += _placement(found)
    lines += _verdict_lines(found, found.verdicts, asked)
    lines.append(_verdict_count(found))
    if found.assumed:
        lines.append(f"the cluster must have: {', '.join(found.assumed)}")
    return "\n".join(lines)


def failures_text(found: Rehearsed, asked: Sequence[str] = ()) -> str:
    """Return only what does not hold; empty where everything does."""
    failed = [verdict for verdict in found.verdicts if not verdict.holds]
    return "\n".join([*found.faults, *_verdict_lines(found, failed, asked)])


def _placement(found: Rehearsed) -> list[str]:
    """Return where pods landed, as a table of workloads and zones."""
    names = max(map(len, found.placement), default=0) + 2
    widths = [max(len(zone), 6) + 2 for zone in found.zones]
    head = "".join(f"{zone:>{width}}" for zone, width in zip(found.zones, widths, strict=True))
    lines = [f"  {'':<{names}}{head}{'pending':>9}"]
    for name, zones in found.placement.items():
        cells = "".join(f"{zones[zone]:>{width}}" for zone, width in zip(found.zones, widths, strict=True))
        lines.append(f"  {name:<{names}}{cells}{found.pending[name]:>9}")
    return lines


def _verdict_lines(found: Rehearsed, verdicts: Sequence[Verdict], asked: Sequence[str]) -> list[str]:
    titles = {verdict.scenario: _title(verdict.scenario, found, asked) for verdict in found.verdicts}
    width = max(map(len, titles.values()), default=0)
    lines = []
    for verdict in verdicts:
        word = "ok  " if verdict.holds else "FAIL"
        subject = f"{verdict.subject}: " if verdict.subject else ""
        lines.append(f"{word}  {titles[verdict.scenario]:<{width}}  {subject}{verdict.text}")
        lines += [f"{' ' * (8 + width)}{detail}" for detail in verdict.details]
    return lines


def _title(scenario: str, found: Rehearsed, asked: Sequence[str]) -> str:
    """Return a scenario's name, with its argument where that was not asked for, or one of several."""
    name = scenario.partition("=")[0]
    alike = {verdict.scenario for verdict in found.verdicts if verdict.scenario.partition("=")[0] == name}
    return name if scenario in asked and len(alike) == 1 else scenario


def _verdict_count(found: Rehearsed) -> str:
    failed = sum(not verdict.holds for verdict in found.verdicts)
    expectations = count(len(found.verdicts), "expectation")
    return f"{failed} of {expectations} failed" if failed else f"{expectations} met"


def rehearsed_values(found: Rehearsed) -> dict[str, Any]:
    """Return a rehearsal for machines."""
    return {
        "path": found.path,
        "kubernetes": found.kubernetes,
        "nodes": found.nodes,
        "zones": list(found.zones),
        "objects": len(found.applied),
        "faults": found.faults,
        "not_judged": {applied.title: applied.unjudged for applied in found.applied if applied.unjudged},
        "assumed": list(found.assumed),
        "placement": found.placement,
        "pending": found.pending,
        "verdicts": [
            {name: getattr(verdict, name) for name in verdict.__struct_fields__} for verdict in found.verdicts
        ],
    }


def asked_text(asked: DryRun) -> str:
    """Return what a real cluster said to a dry run, and what it could not say."""
    taken = "nothing refused, dropped or rewritten" if asked.holds else count(len(asked.faults), "fault")
    all_objects = count(len(asked.applied), "object")
    objects = f"{asked.judged} of {all_objects}" if asked.unjudged else all_objects
    lines = [f"Kubernetes {asked.kubernetes}: {objects} judged by dry run, {taken}"]
    lines += [f"  {fault}" for fault in asked.faults]
    reasons: dict[str, list[str]] = {}
    for applied in asked.unjudged:
        reasons.setdefault(str(applied.unjudged), []).append(applied.title)
    lines += [f"  not judged: {', '.join(titles)}: {reason}" for reason, titles in reasons.items()]
    lines.append("  not judged: pods; a dry run makes none, so neither pod security nor scheduling was seen")
    return "\n".join(lines)


def asked_values(asked: DryRun) -> dict[str, Any]:
    """Return what a real cluster said to a dry run, for machines."""
    return {
        "kubernetes": asked.kubernetes,
        "judged": asked.judged,
        "faults": asked.faults,
        "not_judged": {applied.title: applied.unjudged for applied in asked.unjudged},
    }
