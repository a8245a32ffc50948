"""``aether-deploy scaling explain``: what happens at one moment, step by step."""

from typing import Any, Literal

import click

from aether_deploy.cli.inputs import file_arguments
from aether_deploy.cli.output import count, envelope, print_json
from aether_deploy.cli.scaled import Scaled, ask, chosen, world_options
from aether_deploy.scaling.modes import mode_of
from aether_deploy.simulation.explaining import Explained, Moment, explain_hpa, explain_rule
from aether_deploy.simulation.traces import MAX_PLAYERS


@click.command()
@file_arguments
@world_options
@click.option("--players", type=click.IntRange(0, MAX_PLAYERS), required=True, metavar="N", help="Players on all pods.")
@click.option("--replicas", type=click.IntRange(0, 100_000), required=True, metavar="N", help="Pods, all running.")
@click.option("--since-up", type=click.IntRange(0), metavar="SECS", help="Since the last scale-up; long ago.")
@click.option("--since-down", type=click.IntRange(0), metavar="SECS", help="Since the last scale-down; long ago.")
@click.option(
    "--backend", type=click.Choice(["hpa", "keda"]), help="The autoscaler; the one that is rendered where left out."
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
    players: int,
    replicas: int,
    since_up: int | None,
    since_down: int | None,
    backend: Literal["hpa", "keda"] | None,
) -> int:
    """Explain one moment: what the rule does with so many players and pods, and what the autoscaler does.

    Each line is a step: what is seen, the band that is left alone, the count that is needed, cooldown or window,
    rates, bounds, and the result. Players are spread evenly, and every pod runs.
    """
    question = ask(files, environment, settings, verb="scaling explain", as_json=as_json, quiet=quiet)
    if isinstance(question, int):
        return question
    scaled = chosen(question, world, region, k8s)
    moment = Moment(players=players, replicas=replicas, since_up_secs=since_up, since_down_secs=since_down)
    used = backend or scaled.scaling.backend
    rule, other = _explained(scaled, moment, used)
    problems = question.warn(question.unseen_problems(scaled))
    if as_json:
        result = {
            **scaled.values(),
            "backend": used,
            "players": players,
            "replicas": replicas,
            "rule": _values(rule),
            "autoscaler": _values(other),
        }
        print_json(envelope("scaling explain", ok=True, problems=problems, result=result))
        return 0
    mode = "desired" if used == "keda" else mode_of(scaled.scaling, scaled.kubernetes)
    same = rule.replicas == other.replicas
    click.echo(f"{scaled.title}: {count(players, 'player')}, {count(replicas, 'pod')}")
    click.echo(_text("the rule", rule))
    click.echo(_text(f"{used} in mode {mode}, Kubernetes {scaled.kubernetes}", other))
    click.echo("both do the same" if same else f"they differ: {rule.replicas} by the rule, {other.replicas} by {used}")
    return 0


def _explained(scaled: Scaled, moment: Moment, backend: Literal["hpa", "keda"]) -> tuple[Explained, Explained]:
    policy = scaled.policy(backend)
    return explain_rule(scaled.scaling, moment), explain_hpa(policy, scaled.scaling, moment)


def _text(title: str, explained: Explained) -> str:
    return "\n".join([title, *(f"  {name:<10}{text}" for name, text in explained.lines)])


def _values(explained: Explained) -> dict[str, Any]:
    steps = [{"step": name, "text": text} for name, text in explained.lines]
    return {"replicas": explained.replicas, "steps": steps}
