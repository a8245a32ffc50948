"""``aether-deploy schema``: the JSON Schema of aether.yaml."""

import click

from aether_deploy.cli.output import envelope, print_json
from aether_deploy.platform.schema import platform_schema


@click.command()
@click.option("-q", "--quiet", is_flag=True, expose_value=False, help="As without it: there is nothing to leave out.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object that holds the schema.")
def command(as_json: bool) -> int:
    """Print the JSON Schema of aether.yaml.

    Editors complete and check by it: save it beside the file as aether.schema.json and begin aether.yaml
    with `# yaml-language-server: $schema=aether.schema.json`.
    """
    schema = platform_schema()
    print_json(envelope("schema", ok=True, problems=(), result=schema) if as_json else schema)
    return 0
