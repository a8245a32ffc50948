"""``aether-deploy scaling lint``: proof that settings do not flap, or the smallest case in which they do."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import click
import msgspec

from aether_deploy.cli.inputs import file_arguments
from aether_deploy.cli.output import count, envelope, print_json
from aether_deploy.cli.scaled import Question, Scaled, ask, meant, world_options
from aether_deploy.problems import ConfigError, Problem, shown
from aether_deploy.simulation.findings import Finding
from aether_deploy.simulation.lint import lint_policy
from aether_deploy.simulation.surge import Surge
from aether_deploy.simulation.zone_headroom import lint_zone_loss


class Linted(NamedTuple):
    """A workload, and what is wrong with its scaling."""

    scaled: Scaled
    findings: list[Finding]


@click.command()
@file_arguments
@world_options
@click.option("--surge", metavar="PLAYERS/SECS", help="Players who come at once, such as 2000/600; +SECS: pod start.")
@click.option(
    "--change", type=click.IntRange(0), default=1, show_default=True, metavar="N", help="Players who come and go."
)
@click.option(
    "--zone-loss", type=click.IntRange(0), metavar="PLAYERS", help="Players who must still fit when a zone is lost."
)
def command(
    files: tuple[str, ...],
    environment: str | None,
    settings: tuple[str, ...],
    as_json: bool,
    quiet: bool,
    world: str | None,
    region: str | None,
    k8s: str | None,
    surge: str | None,
    change: int,
    zone_loss: int | None,
) -> int:
    """Prove that scaling does what its settings say, for all numbers of players and pods, or show where it does not.

    Judged are the rule and the autoscaler that is rendered, of all worlds and services that scale, or of one. Each
    finding has the smallest case that shows it, and the change of settings that mends it. Exit 1 if there are
    errors or warnings; notes are good to know, and no failure.
    """
    declared = _surge(surge)
    question = ask(files, environment, settings, verb="scaling lint", as_json=as_json, quiet=quiet)
    if isinstance(question, int):
        return question
    workloads, warnings = _judged(question, meant(question, world, region, k8s))
    linted = [_lint(scaled, declared, change, zone_loss) for scaled in workloads]
    problems = question.warn(warnings)
    graves = [finding for each in linted for finding in each.findings if finding.severity != "note"]
    if as_json:
        result = [_values(question, each) for each in linted]
        print_json(envelope("scaling lint", ok=not graves, problems=problems, result=result))
        return 1 if graves else 0
    for title, place, findings in _grouped(question, linted):
        for finding in findings:
            if not quiet or finding.severity != "note":
                click.echo(f"{place}: {title}: {finding}")
    if not quiet or graves:
        click.echo(_summary(linted))
    return 1 if graves else 0


def _grouped(question: Question, linted: Sequence[Linted]) -> Iterator[tuple[str, str, list[Finding]]]:
    """Yield title, place and findings; regions in which a workload has the same ones stand together."""
    groups: list[list[Linted]] = []
    for each in linted:
        same = [group for group in groups if group[0].scaled.name == each.scaled.name]
        found = next((group for group in same if group[0].findings == each.findings), None)
        if found is None:
            groups.append([each])
        else:
            found.append(each)
    for group in groups:
        first = group[0]
        regions = ", ".join(each.scaled.region for each in group)
        yield f"{first.scaled.name} in {regions}", question.place_of(first.scaled), first.findings


def _judged(question: Question, workloads: Sequence[Scaled]) -> tuple[list[Scaled], list[Problem]]:
    """Return the workloads that can be judged, and warnings about all of them.

    Raises:
        ConfigError: None can be.
    """
    judged = [scaled for scaled in workloads if scaled.players_metric is not None]
    left_out = [question.without_players(scaled) for scaled in workloads if scaled.players_metric is None]
    if not judged:
        raise ConfigError(left_out)
    warnings = [msgspec.structs.replace(problem, severity="warning") for problem in left_out]
    return judged, warnings + [problem for scaled in judged for problem in question.unseen_problems(scaled)]


def _surge(text: str | None) -> Surge | None:
    if text is None:
        return None
    try:
        return Surge.parse(text)
    except ValueError as error:
        reason, fix = "not a surge", "write PLAYERS/SECS, such as 2000/600, or PLAYERS/SECS+START_SECS"
        raise ConfigError([Problem(path="--surge", value=shown(text), reason=reason, fix=fix)]) from error


def _lint(scaled: Scaled, surge: Surge | None, change: int, zone_loss: int | None) -> Linted:
    target = scaled.scaling.target_players_per_pod
    if change > target:
        reason = f"more than the players of one pod of {scaled.name}, which are {target}"
        raise ConfigError([Problem(path="--change", value=str(change), reason=reason, fix=f"set it to 0 to {target}")])
    found = lint_policy(
        scaled.scaling,
        scaled.policy(),
        kubernetes=scaled.kubernetes,
        scrape_interval_secs=scaled.interval_secs,
        surge=surge,
        change=change,
    )
    if zone_loss is not None:
        topology, zones = scaled.config.topology, len(scaled.site.region.zone_names)
        strict = topology.spread_across_zones and topology.strict
        found += lint_zone_loss(scaled.scaling, zone_loss, zones=zones, strict=strict)
    return Linted(scaled, found)


def _summary(linted: Sequence[Linted]) -> str:
    """Return the closing line: how many findings, and of what."""
    findings = [finding for each in linted for finding in each.findings]
    counts = [
        count(number, noun)
        for noun in ("error", "warning", "note")
        if (number := sum(finding.severity == noun for finding in findings))
    ]
    titles = ", ".join(each.scaled.title for each in linted)
    return f"{', '.join(counts) or 'no findings'}: {titles}"


def _values(question: Question, linted: Linted) -> dict[str, Any]:
    findings = [
        {
            "rule": each.rule,
            "severity": each.severity,
            "backends": list(each.backends),
            "text": each.text,
            "fix": each.fix,
            "counterexample": [
                {"players": move.players, "replicas": move.replicas, "becomes": move.becomes}
                for move in each.counterexample
            ],
            "suggestion": dict(each.suggestion),
            "cause": each.cause,
        }
        for each in linted.findings
    ]
    return {**linted.scaled.values(), "place": question.place_of(linted.scaled), "findings": findings}
