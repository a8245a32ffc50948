"""``aether-deploy explain``: what a field is, and where its value comes from."""

import click

from aether_deploy.cli.inputs import file_arguments, judge, print_warnings, read_files, stop_for_problems
from aether_deploy.cli.output import envelope, print_json
from aether_deploy.delivery.loading import locate
from aether_deploy.platform.explaining import Explanation, explain_field, explain_value
from aether_deploy.problems import Problem


@click.command()
@click.argument("path", metavar="PATH")
@file_arguments
def command(
    path: str, files: tuple[str, ...], environment: str | None, settings: tuple[str, ...], as_json: bool, quiet: bool
) -> int:
    """Explain the field at PATH, such as worlds.scaling.max_replicas.

    With FILE, PATH names an item too (worlds.world-server.scaling.max_replicas), and the value is printed
    with the line that won; a region after @ tells what holds there
    (worlds.world-server.scaling.max_replicas@ap-south-1).
    """
    problems: tuple[Problem, ...] = ()
    if not files:
        for said, what in (("@" in path, "a region after @"), (environment is not None, "--env"), (settings, "--set")):
            if said:
                raise click.UsageError(f"{what} asks for a value; give the FILE that holds it")
        explanation = explain_field(path)
    else:
        description = read_files(files, settings)
        judgement = judge(description, environment, every=False)
        if judgement.failed:
            return stop_for_problems("explain", description, judgement, as_json=as_json)
        explanation, origin = explain_value(path, description.document, judgement.evaluations[0])
        if origin is not None:
            place = None if origin.source is None else locate(description, origin.source, origin.steps)
            name = "--set" if origin.source is None else description.document.sources[origin.source].name
            explanation = explanation.at(name, place, origin.environment)
        problems = judgement.problems
        if not as_json:
            print_warnings(description, judgement, quiet=quiet)
    if as_json:
        print_json(envelope("explain", ok=True, problems=problems, result=explanation.values()))
    else:
        click.echo(_text(explanation))
    return 0


def _text(explanation: Explanation) -> str:
    lines = [explanation.path, f"  {explanation.description}"]
    rows = [
        ("value", explanation.value),
        ("from", explanation.origin),
        ("type", explanation.type),
        ("unit", explanation.unit),
        ("default", explanation.default),
        ("rule", explanation.rule),
    ]
    lines += [f"  {name + ':':<9}{text}" for name, text in rows if text is not None]
    if explanation.fields:
        lines.append("  fields:")
        width = max(map(len, explanation.fields)) + 2
        lines += [f"    {name:<{width}}{text}" for name, text in explanation.fields.items()]
    return "\n".join(lines)
