"""``aether-deploy lab up``: the platform as real processes on this machine."""

import sys
from collections.abc import Sequence

import click
import msgspec

from aether_deploy.cli.inputs import (
    DEFAULT_FILE,
    Asked,
    file_arguments,
    judge,
    print_warnings,
    read_files,
    stop_for_problems,
)
from aether_deploy.cli.lab_text import up_text
from aether_deploy.cli.output import envelope, print_json
from aether_deploy.cli.progress import steps
from aether_deploy.delivery.loading import Description
from aether_deploy.lab.interrupts import ending_on_signals
from aether_deploy.lab.system.control import ask_status
from aether_deploy.lab.system.keeper import Order, kept, wait_for_the_end
from aether_deploy.lab.system.record import LabRecord
from aether_deploy.lab.system.starting import start_keeper
from aether_deploy.problems import ConfigError, Problem, suggestion

NEXT = "next: aether-deploy lab fault zone={zone}   (then lab fault mend=all, lab report, lab down)"


@click.command()
@file_arguments
@click.option(
    "--region",
    "regions",
    multiple=True,
    metavar="R",
    help="Only this region; the others are switched off, as enabled: false does (repeatable).",
)
@click.option("--foreground", is_flag=True, help="Stay until Ctrl-C, or lab down, ends the lab.")
def command(
    files: tuple[str, ...],
    environment: str | None,
    settings: tuple[str, ...],
    as_json: bool,
    quiet: bool,
    regions: tuple[str, ...],
    foreground: bool,
) -> int:
    """Boot the platform on this machine, from what is rendered: databases, brokers, caches, stores, edges, the router,
    Envoy, and a server in place of each workload.

    Each is a real process and stands for a pod. Returns when all of them serve; they run until lab down ends them.
    One lab runs at a time. docs/lab.md says what stands for what, and what one machine cannot show.
    """
    files = files or (DEFAULT_FILE,)
    settings = (*settings, *_switched_off(files, environment, settings, regions))
    description = read_files(files, settings)
    judgement = judge(description, environment, every=False)
    if judgement.failed:
        return stop_for_problems("lab up", description, judgement, as_json=as_json)
    asked = Asked(description=description, judgement=judgement, as_json=as_json, quiet=quiet)
    if not as_json:
        print_warnings(description, judgement, quiet=quiet)
    if foreground:
        return _stay(asked, ", ".join(files))
    order = Order(files=files, environment=environment, settings=tuple(_pair(each) for each in settings))
    with ending_on_signals(), steps(quiet=quiet or as_json) as say:
        start_keeper(order, say)
    _print(asked, ask_status().record)
    return 0


def _stay(asked: Asked, name: str) -> int:
    with ending_on_signals(), steps(quiet=asked.quiet or asked.as_json) as say, kept(asked.platform, name, say) as lab:
        _print(asked, lab.record())
        sys.stdout.flush()
        wait_for_the_end()
    return 0


def _print(asked: Asked, record: LabRecord) -> None:
    if asked.as_json:
        result = msgspec.to_builtins(record)
        print_json(envelope("lab up", ok=True, problems=asked.judgement.problems, result=result))
    elif not asked.quiet:
        click.echo(up_text(record))
        zones = [name for names in record.regions.values() for name in names]
        click.echo(NEXT.format(zone=zones[0]), err=True)


def _pair(setting: str) -> tuple[str, str]:
    path, _, value = setting.partition("=")
    return path, value


# --- regions


def _switched_off(
    files: Sequence[str], environment: str | None, settings: Sequence[str], regions: Sequence[str]
) -> list[str]:
    """Return the settings that switch off every region but those that are named.

    Raises:
        ConfigError: No region that runs has that name.
    """
    if not regions:
        return []
    known = _regions_in(read_files(files, settings), environment)
    problems = [
        Problem(
            path=f"--region {each}",
            reason="no region that runs has that code",
            fix=suggestion(each, known, f"known are {', '.join(known)}"),
        )
        for each in regions
        if each not in known
    ]
    if problems:
        raise ConfigError(problems)
    return [f"regions.{code}.enabled=false" for code in known if code not in regions]


def _regions_in(description: Description, environment: str | None) -> list[str]:
    """Return the codes of regions that run, as far as the description can be read: its faults are told later."""
    found = description.document.merged(environment or description.document.environments()[0]).get("regions")
    entries = found if isinstance(found, list | tuple) else ()
    return [str(each.get("code")) for each in entries if isinstance(each, dict) and each.get("enabled") is not False]
