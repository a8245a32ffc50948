"""``aether-deploy route``: where one player goes, and why."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from aether_deploy.cli.inputs import FiniteRange, file_arguments
from aether_deploy.cli.output import envelope, print_json
from aether_deploy.cli.routed import Options, RoutingQuestion, ask_routing, plain
from aether_deploy.problems import DecisionError, Problem, did_you_mean, shown
from aether_deploy.routing.decision.deciding import decide_route
from aether_deploy.routing.decision.explaining import Explanation, explain_route
from aether_deploy.routing.request import RouteRequest
from aether_deploy.routing.routed import Failover, Primary, Routed
from aether_deploy.routing.router_config import RouterConfig
from aether_deploy.routing.view import RoutingView
from aether_deploy.routing.viewing import view_of


@click.command()
@file_arguments
@click.option("--preferred", metavar="R", help="The player's region; the closest one where left out.")
@click.option("--down", metavar="A,B", help="Regions that are unhealthy; all others are healthy.")
@click.option("--explain", is_flag=True, help="Say what was decided of each region, and by what.")
@click.option("--player", metavar="ID", default="", help="Who it is: decides who is among a share of players.")
@click.option("--position", metavar="LAT,LON", help="Where the player is, degrees north and east.")
@click.option("--measured", multiple=True, metavar="REGION=MS", help="What he measured (repeatable).")
@click.option("--sticky", metavar="R", help="The region that he was sent to before.")
@click.option("--residency", metavar="NAME", help="The residency rule that he is under.")
@click.option("--waited", type=FiniteRange(0), default=0.0, metavar="SECS", help="How long he waits already.")
@click.option("--load", multiple=True, metavar="REGION=PERCENT", help="How full a region is (repeatable).")
@click.option(
    "--drain", multiple=True, metavar="REGION[=hard]", help="A region that drains: soft or hard (repeatable)."
)
def command(
    files: tuple[str, ...],
    environment: str | None,
    settings: tuple[str, ...],
    as_json: bool,
    quiet: bool,
    preferred: str | None,
    down: str | None,
    explain: bool,
    load: tuple[str, ...],
    drain: tuple[str, ...],
    **player: Any,
) -> int:
    """Say which region takes a player: primary REGION, or failover REGION REASON.

    It is what a router decides that runs the description's section routing, at a moment when all regions are healthy
    and empty, but for what the options say. Without that section, a player goes to his region if it is healthy, else
    to the closest healthy one. Exit 1 if no region may take him.
    """
    question = ask_routing(files, environment, settings, verb="route", as_json=as_json, quiet=quiet)
    if isinstance(question, int):
        return question
    options = Options(question.codes)
    loads, drains = options.loads("--load", load), options.drains("--drain", drain)
    gone = options.regions("--down", down)
    request = _request(options, question, preferred, player)
    options.stop_for_faults()
    view = view_of(question.config, down=gone, loads=loads, drains=drains)
    return _answer(question, view, request, explain=explain)


def _request(
    options: Options, question: RoutingQuestion, preferred: str | None, player: dict[str, Any]
) -> RouteRequest:
    rules = [rule.name for rule in question.config.residency]
    return RouteRequest(
        player=player["player"],
        preferred=preferred or None,  # as a router reads ?preferred=
        position=options.position("--position", player["position"]),
        measured=options.measured("--measured", player["measured"]),
        sticky=options.one_of("--sticky", player["sticky"], question.codes, "region"),
        residency=options.one_of("--residency", player["residency"], rules, "residency rule"),
        waited_secs=player["waited"],
    )


def _hints(config: RouterConfig, request: RouteRequest) -> Iterator[Problem]:
    """Yield what a router bears without a word, and whoever types it may not have meant."""
    preferred, sticky = request.preferred, request.sticky
    known = (*config.codes, *(home.code for home in config.homes))
    if preferred is not None and preferred not in known and (close := did_you_mean(preferred, known)):
        reason, fix = f"no region is named {shown(preferred)}", f"did you mean '{close}'?"
        yield Problem(path=f"--preferred {preferred}", reason=reason, fix=fix, severity="warning")
    if sticky is not None and preferred is None and config.sticky is None:
        reason = "the description has no routing.sticky, so he does not stay there, but counts as one who returns"
        fix = "set routing.sticky, or leave the option out"
        yield Problem(path=f"--sticky {sticky}", reason=reason, fix=fix, severity="warning")


def _answer(question: RoutingQuestion, view: RoutingView, request: RouteRequest, *, explain: bool) -> int:
    told = explain_route(question.config, view, request) if explain else None
    try:
        routed: Routed | None = decide_route(question.config, view, request)
        fault = None
    except DecisionError as error:
        routed, fault = None, error
    problems = question.warn([*_hints(question.config, request)])
    if question.as_json:
        addresses = {region.code: region.address for region in question.config.regions}
        return _print_json(problems, routed, fault, told, addresses)
    if routed is not None:
        click.echo(decision_text(routed.decision))
    if told is not None:
        click.echo("\n".join(_why_lines(told, routed)))
    if fault is not None:
        raise fault
    return 0


def _print_json(
    problems: Sequence[Problem],
    routed: Routed | None,
    fault: DecisionError | None,
    told: Explanation | None,
    addresses: Mapping[str, str | None],
) -> int:
    """Print the answer in the words in which a router gives it."""
    values = None if routed is None else routed.to_values(addresses)
    if told is not None:
        values = {**(values or {}), "explanation": plain(told.to_values())}
    if fault is not None:
        problems = [*problems, Problem(path="$", reason=str(fault), fix="ask for less, or let a region come back")]
    print_json(envelope("route", ok=fault is None, problems=problems, result=values))
    return 0 if fault is None else 1


def _why_lines(told: Explanation, routed: Routed | None) -> list[str]:
    """Return the explanation, without what is said already: the decision, or the error that follows."""
    first, *others = told.text().splitlines()
    if routed is None:
        return others
    why = first.removeprefix(decision_text(routed.decision)).lstrip(":; ")
    return [f"why: {why}", *others]


def decision_text(decision: Primary | Failover) -> str:
    """Return a decision as the verb prints it."""
    why = f" {decision.reason}" if isinstance(decision, Failover) else ""
    return f"{decision.word} {decision.region}{why}"
