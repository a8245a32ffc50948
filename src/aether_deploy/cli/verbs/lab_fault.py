"""``aether-deploy lab fault``: something fails, and what was predicted stands beside what happens."""

import contextlib

import click
import msgspec

from aether_deploy.cli.inputs import FiniteRange
from aether_deploy.cli.lab_text import fault_text, watch_left_text
from aether_deploy.cli.output import envelope, print_json
from aether_deploy.cli.progress import steps
from aether_deploy.lab.system.control import ask_fault, ask_status
from aether_deploy.lab.system.faults import KINDS, LabFault, parse_fault
from aether_deploy.lab.system.record import FaultRecord
from aether_deploy.problems import ConfigError, EffectError, Problem, suggestion

EXAMPLES = {
    "kill": "kill=us-east-1/router-0",
    "freeze": "freeze=us-east-1/router-0",
    "zone": "zone=us-east-1a",
    "region": "region=us-east-1",
    "cut": "cut=us-east-1,eu-west-1",
    "mend": "mend=all",
}


@click.command()
@click.argument("fault", metavar="KIND=TARGET")
@click.option(
    "--watch",
    "most_secs",
    type=FiniteRange(0, 3600, min_open=True),
    metavar="SECS",
    help="Watch for so long at most; left out, as long as the predictions need.",
)
@click.option("-v", "--verbose", is_flag=True, help="Print every part, and the rules with their sources.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("-q", "--quiet", is_flag=True, help="Print only what did not go as predicted.")
def command(fault: str, most_secs: float | None, verbose: bool, as_json: bool, quiet: bool) -> int:
    """Do something to the lab, watch what comes of it, and print that beside what was predicted.

    \b
    kill=NAME     end a process at once; of a member: the process that leads it
    freeze=NAME   stop a process without ending it
    zone=ZONE     end every process of a zone at once
    region=CODE   end every process of a region at once
    cut=A,B       let two regions no longer reach each other
    mend=TARGET   undo a fault by its target; mend=all undoes all of them

    Names are those of lab status -v. Exit 1 if something did not go as predicted.
    """
    asked = _parsed(fault)
    record = _done(asked, most_secs, quiet=quiet or as_json)
    holds = all(part.verdict != "broken" for part in record.parts)
    if as_json:
        print_json(envelope("lab fault", ok=holds, problems=(), result=msgspec.to_builtins(record)))
    elif text := fault_text(record, verbose=verbose, quiet=quiet):
        click.echo(text)
    return 0 if holds else 1


def _done(asked: LabFault, most_secs: float | None, *, quiet: bool) -> FaultRecord:
    """Do it, and return what came of it; where Ctrl-C ends us meanwhile, say that the lab goes on with it."""
    try:
        with steps(quiet=quiet) as say:
            return ask_fault(asked, most_secs=most_secs, tell=say)
    except KeyboardInterrupt:
        with contextlib.suppress(EffectError):
            status = ask_status()
            if status.watching == str(asked):
                left = watch_left_text(status)
                click.echo(f"{asked} goes on and is being watched{left}; lab report has it then", err=True)
        raise


def _parsed(text: str) -> LabFault:
    try:
        return parse_fault(text)
    except ValueError as error:
        kind = text.partition("=")[0]
        known = EXAMPLES.get(kind)
        fix = f"write it as {known}" if known else suggestion(kind, KINDS, "see aether-deploy lab fault --help")
        raise ConfigError([Problem(path=text, reason=str(error), fix=fix)]) from error
