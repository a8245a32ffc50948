"""``aether-deploy scaling trace``: a trace of players that might be."""

import sys
from collections.abc import Iterator
from itertools import chain, islice
from typing import Any

import click
import msgspec

from aether_deploy.cli.output import envelope, print_json
from aether_deploy.delivery.traces import write_result
from aether_deploy.problems import ConfigError
from aether_deploy.simulation.generators import KINDS, generate_samples

LINES = 4096
KINDS_TEXT = "\b\nNAME is one of:\n" + "\n".join(
    f"{name:<13} {kind.text} ({kind.days} days)" for name, kind in KINDS.items()
)


@click.command(epilog=KINDS_TEXT)
@click.argument("name", metavar="NAME")
@click.option("--days", type=int, metavar="N", help="Length; what suits the kind where left out.")
@click.option("--peak", type=int, default=1000, show_default=True, metavar="N", help="About the most players at once.")
@click.option("--seed", type=int, default=1, show_default=True, metavar="S", help="Equal seeds give equal traces.")
@click.option("--step-secs", type=int, default=15, show_default=True, metavar="N", help="Time between samples.")
@click.option("--peak-hour", type=int, default=20, show_default=True, metavar="H", help="Busiest hour of a day.")
@click.option(
    "-o", "--output", default="-", metavar="FILE|-", type=click.Path(), help="Where it goes; - is standard output."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object: the samples, or what was written.")
@click.option("-q", "--quiet", is_flag=True, help="Print only errors.")
def command(
    name: str,
    days: int | None,
    peak: int,
    seed: int,
    step_secs: int,
    peak_hour: int,
    output: str,
    as_json: bool,
    quiet: bool,
) -> int:
    """Make up a trace of players, as CSV with the columns secs and players, for replay and compare.

    Equal arguments give equal bytes on every machine.
    """
    if not output:
        raise click.UsageError("-o names no file; give -o FILE, or -o - for standard output")
    try:
        samples = generate_samples(name, seed=seed, days=days, peak=peak, step_secs=step_secs, peak_hour=peak_hour)
    except ConfigError as error:
        raise ConfigError(msgspec.structs.replace(each, path=_option(each.path)) for each in error.problems) from error
    if as_json and output == "-":
        rows = [[secs, players] for secs, players in samples]
        print_json(envelope("scaling trace", ok=True, problems=(), result={"output": output, "samples": rows}))
        return 0
    if output == "-":
        for part in _parts(samples):
            sys.stdout.write(part)
        return 0
    return _write(samples, output, as_json=as_json, quiet=quiet)


def _option(path: str) -> str:
    return "NAME" if path == "kind" else f"--{path.replace('_', '-')}"


def _write(samples: Iterator[tuple[int, int]], output: str, *, as_json: bool, quiet: bool) -> int:
    written = 0

    def counted() -> Iterator[tuple[int, int]]:
        nonlocal written
        for sample in samples:
            written += 1
            yield sample

    write_result(output, (part.encode() for part in _parts(counted())))
    if as_json:
        result: dict[str, Any] = {"output": output, "samples": written}
        print_json(envelope("scaling trace", ok=True, problems=(), result=result))
    elif not quiet:
        click.echo(f"wrote {output}: {written} samples", err=True)
    return 0


def _parts(samples: Iterator[tuple[int, int]]) -> Iterator[str]:
    """Yield the CSV text, many lines at a time."""
    lines = chain(("secs,players\n",), (f"{secs},{players}\n" for secs, players in samples))
    while part := "".join(islice(lines, LINES)):
        yield part
