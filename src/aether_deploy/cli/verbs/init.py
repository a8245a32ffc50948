"""``aether-deploy init``: a description to start from."""

import json
import os
import re
import shlex
from pathlib import Path

import click

from aether_deploy.cli.output import envelope, print_json
from aether_deploy.delivery.starting import write_new_files
from aether_deploy.manifest.yaml_text import to_yaml
from aether_deploy.platform.config import Platform
from aether_deploy.platform.schema import platform_schema
from aether_deploy.problems import ConfigError, Problem

NAME_LENGTH_MAX = 40
START = """\
# yaml-language-server: $schema=aether.schema.json
# One world server that keeps a write-ahead log. What is left out has safe defaults:
# `aether-deploy explain worlds` lists the fields.
{name}
kubernetes: v1.37
regions:
  - {{code: us-east-1, zones: [us-east-1a, us-east-1b, us-east-1c]}}
worlds:
  - name: world-server
    image: aether/world-server:v1.2.0
    pvc: {{size: 10Gi}}
"""


@click.command()
@click.argument("folder", metavar="DIR")
@click.option("--name", metavar="NAME", help="Name of the system; the folder's name where left out.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("-q", "--quiet", is_flag=True, help="Print only errors.")
def command(folder: str, name: str | None, as_json: bool, quiet: bool) -> int:
    """Write aether.yaml and aether.schema.json into DIR, which is made if it is missing.

    Files that are there are never replaced.
    """
    if not folder:
        raise click.UsageError("DIR is empty; name a folder, or . for this one")
    if name is not None:
        _check_name(name)
    system = name if name is not None else _name_of(folder)
    files = {
        "aether.yaml": START.format(name=to_yaml({"name": system}).strip()),
        "aether.schema.json": json.dumps(platform_schema(), ensure_ascii=False, indent=2) + "\n",
    }
    write_new_files(folder, files)
    if as_json:
        result = {"folder": folder, "files": sorted(files)}
        print_json(envelope("init", ok=True, problems=(), result=result))
    elif not quiet:
        click.echo(f"wrote {', '.join(os.path.join(folder, file) for file in files)}", err=True)
        click.echo(f"next: aether-deploy check {shlex.quote(os.path.join(folder, 'aether.yaml'))}", err=True)
    return 0


def _name_of(folder: str) -> str:
    """Return the folder's name as a system may be called."""
    plain = re.sub("[^a-z0-9-]+", "-", Path(folder).resolve().name.lower())
    return plain.strip("-")[:NAME_LENGTH_MAX].strip("-") or "aether"


def _check_name(name: str) -> None:
    from aether_deploy.config.base import spec_of
    from aether_deploy.config.sink import Sink

    sink = Sink()
    spec_of(Platform).by_name["name"].node.read(name, None, sink)
    if sink.failed:
        raise ConfigError(Problem(path="--name", value=p.value, reason=p.reason, fix=p.fix) for p in sink.problems)
