"""``aether-deploy scaling compare``: where an autoscaler first does something else than the rule, and why."""

from collections.abc import Sequence
from typing import Any

import click

from aether_deploy.cli.inputs import file_arguments
from aether_deploy.cli.output import count, envelope, print_json
from aether_deploy.cli.progress import steps
from aether_deploy.cli.scaled import Scaled, ask, chosen, open_trace, trace_option, world_options
from aether_deploy.scaling.modes import keeps_tolerance, mode_of
from aether_deploy.simulation.compare import BackendName, Compared, Difference, compare_backends
from aether_deploy.simulation.divergences import divergences
from aether_deploy.simulation.picture import duration_text
from aether_deploy.simulation.traces import Trace

BACKENDS = ("pods", "desired", "legacy", "keda")


@click.command()
@file_arguments
@world_options
@trace_option
@click.option(
    "--backend",
    "backends",
    type=click.Choice(BACKENDS),
    multiple=True,
    help="Only this one (repeatable); what the cluster can run where left out.",
)
@click.option(
    "--replicas", type=click.IntRange(0, 100_000), metavar="N", help="Pods at the beginning; what the players need."
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
    trace_file: str,
    backends: tuple[BackendName, ...],
    replicas: int | None,
) -> int:
    """Compare autoscalers with the rule on a trace of players: where each first differs, and why.

    A backend is a mode of the HorizontalPodAutoscaler, or KEDA. Up to a difference, rule and autoscaler have the
    same pods; of each cause the first difference is shown. At the end stands everything that what is rendered can do
    otherwise, whether this trace shows it or not. Exit 1 if the backend that is rendered differs, or, with
    --backend, one of those that are named.
    """
    question = ask(files, environment, settings, verb="scaling compare", as_json=as_json, quiet=quiet)
    if isinstance(question, int):
        return question
    scaled = chosen(question, world, region, k8s)
    trace, gaps = open_trace(trace_file)
    problems = question.warn(question.unseen_problems(scaled), gaps)
    start = scaled.first_count(trace) if replicas is None else replicas
    found = _compared(scaled, trace, backends or _runnable(scaled), start, quiet=quiet or as_json)
    rendered = _rendered(scaled)
    exact = all(each.exact for each in found if backends or each.backend == rendered)
    others = divergences(scaled.scaling, scaled.kubernetes, scrape_interval_secs=scaled.interval_secs)
    if as_json:
        result = {
            **scaled.values(),
            "rendered": rendered,
            "start_replicas": start,
            "compared": [_values(each) for each in found],
            "divergences": others,
        }
        print_json(envelope("scaling compare", ok=exact, problems=problems, result=result))
    else:
        click.echo(f"{scaled.title}, Kubernetes {scaled.kubernetes}, from {count(start, 'pod')}")
        for each in found:
            click.echo(_text(each, rendered))
        if others and not quiet:
            click.echo(f"what {rendered} does otherwise than the rule, whatever the trace:")
            click.echo("\n".join(f"  {each}" for each in others))
    return 0 if exact else 1


def _rendered(scaled: Scaled) -> BackendName:
    return "keda" if scaled.scaling.backend == "keda" else mode_of(scaled.scaling, scaled.kubernetes)


def _runnable(scaled: Scaled) -> list[BackendName]:
    """Return the backend that is rendered, and the others that the cluster can run."""
    others: list[BackendName] = ["pods", "desired", "keda"] if keeps_tolerance(scaled.kubernetes) else ["legacy"]
    return list(dict.fromkeys([_rendered(scaled), *others]))


def _compared(
    scaled: Scaled, trace: Trace, backends: Sequence[BackendName], start: int, *, quiet: bool
) -> list[Compared]:
    found = []
    with steps(quiet=quiet) as say:
        for backend in dict.fromkeys(backends):
            say(f"comparing {backend}")
            found += compare_backends(
                scaled.scaling,
                trace,
                kubernetes=scaled.kubernetes,
                backends=(backend,),
                start_replicas=start,
                scrape_interval_secs=scaled.interval_secs,
            )
    return found


def _text(compared: Compared, rendered: str) -> str:
    name = f"{compared.backend:<9}{'rendered' if compared.backend == rendered else '':<10}"
    if compared.exact:
        return f"{name}exact at each of {count(compared.syncs, 'sync')}"
    indent = " " * len(name)
    lines = [f"differs after {compared.differing} of {count(compared.syncs, 'sync')}"]
    for found in compared.differences:
        players, pods = count(found.players, "player"), count(found.replicas, "pod")
        lines.append(
            f"{found.cause.id} after {duration_text(found.secs)} ({found.secs} s): {players} on {pods}, "
            f"the rule wants {found.rule_wants}, the autoscaler {found.gets}"
        )
        lines.append(f"  {found.cause.text}")
    return name + f"\n{indent}".join(lines)


def _values(compared: Compared) -> dict[str, Any]:
    return {
        "backend": compared.backend,
        "exact": compared.exact,
        "syncs": compared.syncs,
        "differing": compared.differing,
        "differences": [_difference_values(each) for each in compared.differences],
    }


def _difference_values(found: Difference) -> dict[str, Any]:
    return {
        "secs": found.secs,
        "players": found.players,
        "replicas": found.replicas,
        "rule_wants": found.rule_wants,
        "gets": found.gets,
        "cause": found.cause.id,
        "text": found.cause.text,
    }
