"""``aether-deploy analyze``: what every failure does to the data plane, before it happens."""

import os
from collections.abc import Sequence
from typing import get_args

import click

from aether_deploy.cli.inputs import file_arguments, judge, print_warnings, read_files, stop_for_problems
from aether_deploy.cli.output import envelope, print_json
from aether_deploy.infrastructure.analysis.analysing import Analysis
from aether_deploy.infrastructure.analysis.findings import Finding, Severity, reaches
from aether_deploy.infrastructure.analysis.judging import analysis_findings
from aether_deploy.platform.analysing import analyse_platform
from aether_deploy.platform.config import Platform
from aether_deploy.problems import ConfigError, EffectError, Problem

NO_COMPONENTS = "no components: a failure hits workloads only, and rehearse shows what it does to them"


@click.command()
@file_arguments
@click.option("--pairs", is_flag=True, help="Look at pairs of zones, of regions and of links too.")
@click.option("--graph", metavar="FILE.svg", type=click.Path(), help="Draw regions, zones, components and links.")
@click.option("--markdown", is_flag=True, help="Print Markdown, for a pull request.")
@click.option(
    "--fail-on",
    type=click.Choice(get_args(Severity)),
    default="error",
    show_default=True,
    help="Exit 1 if a finding is as grave as this.",
)
@click.option("-v", "--verbose", is_flag=True, help="Print what is weaker meanwhile, and the rules with their sources.")
def command(
    files: tuple[str, ...],
    environment: str | None,
    settings: tuple[str, ...],
    as_json: bool,
    quiet: bool,
    pairs: bool,
    graph: str | None,
    markdown: bool,
    fail_on: Severity,
    verbose: bool,
) -> int:
    """Say what every failure does to each component of the data plane.

    Failures are a process, a node, a zone, a region, a witness, a control plane and a link between two regions.
    Answered is what stays writable and readable, how long it takes until writes are back, what may be lost, and what
    somebody has to do; each answer rests on a rule. What should be mended is a finding: an error, a warning or a
    note.
    """
    if as_json and markdown:
        raise click.UsageError("--json and --markdown exclude each other")
    _check_graph(graph)
    description = read_files(files, settings)
    judgement = judge(description, environment, every=False)
    if judgement.failed:
        return stop_for_problems("analyze", description, judgement, as_json=as_json)
    analysis = analyse_platform(judgement.platforms[0], pairs=pairs)
    findings = analysis_findings(analysis)
    grave = [each for each in findings if reaches(each, fail_on)]
    if graph is not None:
        _write_graph(graph, analysis, judgement.platforms[0])
    if as_json:
        from aether_deploy.infrastructure.analysis.values import analysis_values

        result = {**analysis_values(analysis, findings), "graph": graph}
        print_json(envelope("analyze", ok=not grave, problems=judgement.problems, result=result))
        return 1 if grave else 0
    print_warnings(description, judgement, quiet=quiet)
    _print(analysis, findings, grave, quiet=quiet, markdown=markdown, verbose=verbose)
    return 1 if grave else 0


def _print(
    analysis: Analysis,
    findings: Sequence[Finding],
    grave: Sequence[Finding],
    *,
    quiet: bool,
    markdown: bool,
    verbose: bool,
) -> None:
    """Print the table and the findings; quietly, only the findings that make it fail."""
    from aether_deploy.infrastructure.analysis.grid import shared_findings
    from aether_deploy.infrastructure.analysis.table import summary_text, table_markdown, table_text

    if quiet:
        for finding in shared_findings(grave):
            click.echo(str(finding))
    elif not analysis.subjects:
        click.echo(NO_COMPONENTS)
    elif markdown:
        click.echo(f"{table_markdown(analysis, findings)}\n\n{summary_text(analysis, findings)}")
    else:
        click.echo(f"{table_text(analysis, findings, reasons=verbose)}\n\n{summary_text(analysis, findings)}")


def _check_graph(path: str | None) -> None:
    """Refuse, before any work, a file that cannot be drawn.

    Raises:
        ConfigError: Its name ends with no known format.
        EffectError: Its folder is missing.
    """
    if path is None:
        return
    folder = os.path.dirname(path)
    if not path.endswith(".svg"):
        fix = "name a file that ends with .svg"
        raise ConfigError([Problem(path=f"--graph {path}", reason="ends with no format that is drawn", fix=fix)])
    if folder and not os.path.isdir(folder):
        raise EffectError(f"{path}: {folder} is no folder\n  fix: make it, or name a file in a folder that is there")


def _write_graph(path: str, analysis: Analysis, platform: Platform) -> None:
    from aether_deploy.delivery.traces import write_result
    from aether_deploy.infrastructure.analysis.graph import graph_svg

    write_result(path, [graph_svg(analysis, f"{platform.name}, {platform.environment}").encode()])
