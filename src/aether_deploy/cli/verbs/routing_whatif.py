"""``aether-deploy routing whatif``: what the loss of regions does to players."""

from collections.abc import Sequence
from pathlib import PurePath

import click

from aether_deploy.cli.inputs import collected, file_arguments
from aether_deploy.cli.output import count, envelope, print_json
from aether_deploy.cli.pictures import check_plot
from aether_deploy.cli.routed import Options, RoutingQuestion, ask_routing
from aether_deploy.cli.whatif_text import verdict_text, whatif_text, whatif_values
from aether_deploy.delivery.lines import name_of_input, open_lines
from aether_deploy.delivery.traces import write_result
from aether_deploy.platform.arrivals import arrival_paths
from aether_deploy.platform.routing import routing_of
from aether_deploy.problems import ConfigError, Problem
from aether_deploy.routing.limits import RoutingLimits
from aether_deploy.routing.waits import RECONNECT_SECS
from aether_deploy.simulation.csv_cells import MAX_LINE_BYTES
from aether_deploy.simulation.routing.players import (
    DEFAULT_FILL_PERCENT,
    PlayerGroup,
    filled_players,
    no_players_problem,
    read_players,
)
from aether_deploy.simulation.routing.whatif import WhatIf, losses_of, what_if

VERB = "routing whatif"
PAIR = 2


@click.command()
@file_arguments
@click.option("--players", "players_file", metavar="CSV", type=click.Path(), help="Who plays, and where; - reads it.")
@click.option(
    "--fill",
    type=click.IntRange(1, 1000),
    show_default=str(DEFAULT_FILL_PERCENT),
    metavar="PERCENT",
    help="Instead of --players: fill each region to this part of its capacity.",
)
@click.option("--lose", multiple=True, metavar="A,B", help="Lose these at once (repeatable); each one by default.")
@click.option("--pairs", is_flag=True, help="Lose any two at once, too.")
@click.option(
    "--reconnect-secs",
    type=click.IntRange(0, 3600),
    default=RECONNECT_SECS,
    show_default=True,
    metavar="N",
    help="How long a client needs until it asks again.",
)
@click.option("--plot", metavar="FILE", type=click.Path(), help="Draw it: FILE.html, or FILE.png by matplotlib.")
@click.option("-v", "--verbose", is_flag=True, help="Tell each loss by itself, however many they are.")
def command(
    files: tuple[str, ...],
    environment: str | None,
    settings: tuple[str, ...],
    as_json: bool,
    quiet: bool,
    players_file: str | None,
    fill: int | None,
    lose: tuple[str, ...],
    pairs: bool,
    reconnect_secs: int,
    plot: str | None,
    verbose: bool,
) -> int:
    """Say what the loss of a region, or of any two, does to players.

    All players arrive while every region is healthy; then those of the lost regions arrive again, together. Told is
    where they go, how far that is, how full regions get, who finds no place, and when players arrive. Exit 1 beyond
    what the description's routing.limits allow, before any loss and after each.

    Players are a CSV of region,players or lat,lon,players, with a column residency where some are under a rule. p50
    and p95 are the latencies that 50 and 95 of 100 players have, or less. No place have those whom every region
    refuses, and those beyond the capacity of theirs.
    """
    if players_file is not None and fill is not None:
        raise click.UsageError("--players and --fill both say who plays; give one or the other")
    fill = DEFAULT_FILL_PERCENT if fill is None else fill
    faults: list[Problem] = []
    collected(faults, lambda: check_plot(plot))
    question = collected(
        faults,
        lambda: ask_routing(files, environment, settings, verb=VERB, as_json=as_json, quiet=quiet, beside=faults),
    )
    if question is None:
        raise ConfigError(faults)
    if isinstance(question, int):
        return question
    limits = _limits(question)
    losses = collected(faults, lambda: _losses(question, lose, pairs, 1 if limits is None else limits.lost_regions))
    groups = collected(faults, lambda: _groups(question, players_file, fill))
    if losses is None or groups is None or faults:
        raise ConfigError(faults)
    problems = question.warn()
    paths = arrival_paths(question.platform, reconnect_secs=reconnect_secs)
    told = what_if(question.config, groups, losses=losses, limits=limits, paths=paths)
    title = _title(groups, players_file, fill)
    if plot is not None:
        _draw(plot, told, f"{question.platform.name}, {question.platform.environment}: {title}", question)
    if as_json:
        result = {"players": sum(group.players for group in groups), **whatif_values(told, plot)}
        print_json(envelope(VERB, ok=told.holds, problems=problems, result=result))
    elif not quiet:
        click.echo(f"{title}\n\n{whatif_text(told, limits, every=verbose)}")
    elif not told.holds:
        click.echo(verdict_text(told, limits))
    return 0 if told.holds else 1


def _limits(question: RoutingQuestion) -> RoutingLimits | None:
    routing = routing_of(question.platform)
    return None if routing is None else routing.limits


def _losses(question: RoutingQuestion, lose: Sequence[str], pairs: bool, most: int) -> tuple[tuple[str, ...], ...]:
    """Return what is lost: what was asked for, or each region, and more at once where the limits promise more.

    Raises:
        ConfigError: A region is none of the description.
    """
    options = Options(question.codes)
    asked = tuple(options.regions("--lose", text) for text in lose)
    options.stop_for_faults()
    every = losses_of(question.codes, max(most, PAIR) if pairs else most) if pairs or not asked else ()
    return tuple(dict.fromkeys((*asked, *every)))


def _groups(question: RoutingQuestion, path: str | None, fill: int) -> tuple[PlayerGroup, ...]:
    """Return the players: those of the file, or as many as fill the regions.

    Raises:
        ConfigError: With every problem of the file; or there is neither a file nor a capacity.
    """
    if path is None:
        groups = filled_players(question.config, fill)
        if not groups:
            raise ConfigError([no_players_problem()])
        return groups
    fix = "name a CSV file that is there: region,players, or lat,lon,players"
    with open_lines(path, fix=fix, most_bytes=MAX_LINE_BYTES) as lines:
        rules = [rule.name for rule in question.config.residency]
        return read_players(lines, name_of_input(path), regions=question.codes, residencies=rules)


def _title(groups: Sequence[PlayerGroup], path: str | None, fill: int) -> str:
    players = count(sum(group.players for group in groups), "player")
    if path is None:
        return f"{players}: each region filled to {fill} % of its capacity (--players CSV for yours)"
    return f"{players} in {count(len(groups), 'group')} of {name_of_input(path)}"


def _draw(path: str, told: WhatIf, title: str, question: RoutingQuestion) -> None:
    from aether_deploy.simulation.routing.plotting import drawing_of, drawn_html, drawn_png

    drawing = drawing_of(told, title, question.config.load)
    html = PurePath(path).suffix == ".html"
    write_result(path, [drawn_html(drawing).encode() if html else drawn_png(drawing)])
