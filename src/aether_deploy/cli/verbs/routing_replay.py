"""``aether-deploy routing replay``: a router's decision log, decided again."""

import click

from aether_deploy.cli.output import envelope, print_json
from aether_deploy.cli.routed import ask_routing
from aether_deploy.cli.whatif_text import replay_text, replay_values
from aether_deploy.delivery.lines import name_of_input, open_lines
from aether_deploy.problems import ConfigError, Problem
from aether_deploy.routing.decision_log import read_decisions
from aether_deploy.routing.router_config import RouterConfig
from aether_deploy.simulation.csv_cells import LISTED
from aether_deploy.simulation.routing.replay import RoutingReplay, replay_decisions

MAX_LINE_BYTES = 64 << 20


@click.command()
@click.argument("log", metavar="LOG", type=click.Path())
@click.option(
    "--with", "files", multiple=True, metavar="FILE", type=click.Path(), help="Decide by this description (repeatable)."
)
@click.option("--env", "environment", metavar="NAME", help="Its environment; the first where left out.")
@click.option("--set", "settings", multiple=True, metavar="PATH=VALUE", help="Set one value in it (repeatable).")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("-q", "--quiet", is_flag=True, help="Print only errors.")
def command(
    log: str,
    files: tuple[str, ...],
    environment: str | None,
    settings: tuple[str, ...],
    as_json: bool,
    quiet: bool,
) -> int:
    """Decide everything in a router's decision log again; - reads standard input.

    With --with, by the rules, regions and links of another description, and what was known at each time: its health,
    loads and drains. Told is who would go elsewhere, and why; exit 0. Without it, by the log's own rules, which must
    give exactly what players were told; exit 1 where they do not.

    A log whose last line has no end, because the router was killed, is read up to there. Lines that make no sense are
    problems, and so is a log without a decision.
    """
    if (environment is not None or settings) and not files:
        raise click.UsageError("--env and --set are about the description of --with; give it, or leave them out")
    config: RouterConfig | None = None
    problems: tuple[Problem, ...] = ()
    if files:
        verb = "routing replay"
        question = ask_routing(files, environment, settings, verb=verb, as_json=as_json, quiet=quiet)
        if isinstance(question, int):
            return question
        config, problems = question.config, question.warn()
    told = _replayed(log, config)
    ok = config is not None or told.is_exact
    if as_json:
        print_json(envelope("routing replay", ok=ok, problems=problems, result=replay_values(told)))
    elif not quiet or not ok:
        click.echo(replay_text(told, name_of_input(log), ", ".join(files) or None))
    return 0 if ok else 1


def _replayed(log: str, config: RouterConfig | None) -> RoutingReplay:
    """Decide the log again.

    Raises:
        ConfigError: With the faults of the file, the first 20 where there are more; or it holds no decision.
    """
    faults: list[Problem] = []
    name = name_of_input(log)
    fix = "name a log that is there: what router serve --decision-log writes"
    with open_lines(log, fix=fix, most_bytes=MAX_LINE_BYTES) as lines:
        told = replay_decisions(read_decisions(lines, faults, file=name), config)
    if len(faults) > LISTED:
        more = len(faults) - LISTED
        reason = f"has {more} more problem{'s' * (more != 1)} below line {faults[LISTED - 1].line}"
        faults[LISTED:] = [Problem(path="$", reason=reason, fix="mend those above, then run again", file=name)]
    if not faults and not told.decisions:
        cut = "" if told.cut_off_line is None else f"; line {told.cut_off_line}, which has no end, was left out"
        asked = "name a log of a router that was asked" if told.configs else fix
        faults.append(Problem(path="$", reason=f"holds no decisions{cut}", fix=asked, file=name))
    if faults:
        raise ConfigError(faults)
    return told
