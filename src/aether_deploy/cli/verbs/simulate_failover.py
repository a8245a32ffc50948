"""``aether-deploy simulate failover``: what a fault does to a database, many times or step by step."""

from collections.abc import Iterator
from typing import Any, get_args

import click
import msgspec

from aether_deploy.cli.inputs import file_arguments, judge, print_warnings, read_files, stop_for_problems
from aether_deploy.cli.output import count, envelope, print_json
from aether_deploy.cli.progress import steps
from aether_deploy.cli.simulated import (
    Simulated,
    cluster_of,
    distribution_text,
    named_fault,
    timeline_text,
    traced_text,
)
from aether_deploy.failover.bound import FailoverBound
from aether_deploy.failover.bounds import bounds
from aether_deploy.failover.faults import FAULT_NAMES, FaultName
from aether_deploy.failover.timings import StoreKind
from aether_deploy.simulation.failover.distribution import distribute, heals_after, judge_run
from aether_deploy.simulation.failover.faults import fault_text
from aether_deploy.simulation.failover.run import FailoverRun, iterate_failovers, seed_of, simulate_failover
from aether_deploy.simulation.failover.setup import FailoverSetup

RUNS_BETWEEN_WORDS = 100
KINDS = "\n".join(f"  {name:<22}{fault_text(name)}" for name in FAULT_NAMES)


@click.command(epilog=f"\b\nFaults:\n{KINDS}")
@file_arguments
@click.option("--component", metavar="NAME", help="The database; needed only where several fail over.")
@click.option(
    "--group", type=click.IntRange(0), default=0, show_default=True, metavar="N", help="Where it is sharded: the group."
)
@click.option("--fault", "fault_name", required=True, metavar="KIND", help="What happens; listed below.")
@click.option(
    "--dcs", type=click.Choice(get_args(StoreKind)), default="kubernetes", show_default=True, help="The store."
)
@click.option(
    "--runs", type=click.IntRange(1, 1_000_000), default=1000, show_default=True, metavar="N", help="How often."
)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, metavar="S", help="Where chance begins.")
@click.option(
    "--writes",
    type=click.FloatRange(0, 1_000_000),
    default=50,
    show_default=True,
    metavar="N",
    help="Transactions in a second, of all clients together.",
)
@click.option("--behind", type=click.IntRange(0), default=0, metavar="BYTES", help="How far all replicas are behind.")
@click.option("--trace", is_flag=True, help="Print the first of the runs, event by event.")
def command(
    files: tuple[str, ...],
    environment: str | None,
    settings: tuple[str, ...],
    as_json: bool,
    quiet: bool,
    component: str | None,
    group: int,
    fault_name: str,
    dcs: StoreKind,
    runs: int,
    seed: int,
    writes: float,
    behind: int,
    trace: bool,
) -> int:
    """Let a fault hit a database again and again, and say how long writes stop and what is lost.

    The fault comes at a moment of chance between two loops of the leader. Each run is held against bounds that follow
    from the settings alone; exit 1 if one breaks them, with the seed that shows it. With --trace the first run is
    told event by event, with its own seed: with --runs 1 that seed is the run's, and tells it alone.
    """
    fault = named_fault(fault_name)
    description = read_files(files, settings)
    judgement = judge(description, environment, every=False)
    if judgement.failed:
        return stop_for_problems("simulate failover", description, judgement, as_json=as_json)
    meant = cluster_of(judgement.platforms[0], component, fault, group)
    setup = _setup(meant, dcs, writes, behind)
    bound = _bound(setup, fault)
    if not as_json:
        print_warnings(description, judgement, quiet=quiet)
    title = f"{meant.title}: {fault} on {dcs}"
    what = {
        "component": meant.component,
        "region": meant.region,
        "group": meant.group.number,
        "dcs": dcs,
        "members": meant.group.members,
        "seed": seed,
    }
    if trace:
        run = simulate_failover(setup, fault=fault, seed=seed if runs == 1 else seed_of(seed, 0))
        ok, result = not judge_run(run, bound, setup), {**what, "run": _run_values(run)}
        text = timeline_text(f"{title}, {traced_text(seed, runs, run)}", run)
    else:
        many = _runs(setup, fault, runs, seed, quiet=quiet)
        told = distribute(many, fault=fault, setup=setup, bound=bound)
        ok, result = not told.broken, {**what, **told.to_values(), "bound": msgspec.to_builtins(bound)}
        text = distribution_text(f"{title}, {count(runs, 'run')}, seed {seed}", told, bound)
    if as_json:
        print_json(envelope("simulate failover", ok=ok, problems=judgement.problems, result=result))
    elif not quiet or not ok:
        click.echo(text)
    return 0 if ok else 1


def _setup(meant: Simulated, dcs: StoreKind, writes: float, behind: int) -> FailoverSetup:
    setup = FailoverSetup(
        policy=meant.policy,
        members=meant.group.members,
        store=dcs,
        name=meant.group.part,
        writes_per_sec=writes,
    )
    return msgspec.structs.replace(setup, lag_bytes=dict.fromkeys(setup.names[1:], behind))


def _bound(setup: FailoverSetup, fault: FaultName) -> FailoverBound:
    repair = heals_after(setup, fault)
    return bounds(setup.policy, dcs=setup.store, members=setup.members, repair_secs=repair).of(fault)


def _runs(setup: FailoverSetup, fault: FaultName, runs: int, seed: int, *, quiet: bool) -> Iterator[FailoverRun]:
    """Yield the runs, and say now and then how many they were."""
    with steps(quiet=quiet) as say:
        if runs == 1:
            yield simulate_failover(setup, fault=fault, seed=seed)
            return
        for number, run in enumerate(iterate_failovers(setup, fault=fault, runs=runs, seed=seed), start=1):
            yield run
            if number % RUNS_BETWEEN_WORDS == 0:
                say(f"{number} of {runs} runs")


def _run_values(run: FailoverRun) -> dict[str, Any]:
    """Return one run as plain values, times to a thousandth of a second."""
    values = {
        name: round(value, 3) if isinstance(value := getattr(run, name), float) else value
        for name in run.__struct_fields__
    }
    events = [{"secs": round(event.secs, 3), "who": event.who, "what": event.what} for event in run.events]
    return {**values, "events": events}
