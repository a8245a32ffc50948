"""``aether-deploy scaling replay``: what a trace of players does to the number of pods."""

import sys
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, TypeVar

import click

from aether_deploy.cli.inputs import file_arguments
from aether_deploy.cli.output import count, envelope, print_json
from aether_deploy.cli.pictures import check_plot, write_plot
from aether_deploy.cli.progress import steps
from aether_deploy.cli.scaled import Scaled, ask, chosen, open_trace, trace_option, world_options
from aether_deploy.delivery.traces import name_of_trace
from aether_deploy.scaling.modes import SYNC_SECS, mode_of
from aether_deploy.simulation.backends import BackendKind, backend_of
from aether_deploy.simulation.picture import Recorder, duration_text
from aether_deploy.simulation.replay import Replay, ReplayStep, ReplayTotals, rows_of
from aether_deploy.simulation.traces import Trace

Sample = TypeVar("Sample")
SYNCS_BETWEEN_WORDS = 5000
LINES_AT_ONCE = 2048
COLUMNS = ("secs", "players", "before", "wanted", "running", "players_per_pod", "reason", "displaced")


@click.command()
@file_arguments
@world_options
@trace_option
@click.option(
    "--backend",
    type=click.Choice(["decide", "hpa", "keda"]),
    help="Who scales: the rule itself, or an autoscaler; the one that is rendered where left out.",
)
@click.option(
    "--replicas", type=click.IntRange(0, 100_000), metavar="N", help="Pods at the beginning; as the first players need."
)
@click.option(
    "--start-secs",
    type=click.IntRange(0, 86_400),
    default=0,
    show_default=True,
    metavar="N",
    help="How long a pod starts.",
)
@click.option("--csv", "as_csv", is_flag=True, help="Print each sync, not the totals.")
@click.option("--plot", metavar="FILE", type=click.Path(), help="Draw it: FILE.html, or FILE.png by matplotlib.")
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
    backend: BackendKind | None,
    replicas: int | None,
    start_secs: int,
    as_csv: bool,
    plot: str | None,
) -> int:
    """Replay a trace of players, and say what scaling does with it, and what that costs.

    A trace is CSV text: secs,players with whole numbers, or one column for each pod: secs,world-0,world-1, where an
    empty cell is a sample that is missing. Between two samples the first one holds. The autoscaler looks every 15
    seconds, as on a cluster.

    Over target are the seconds in which there are more players than running pods can serve; displaced are players
    whose pod was removed; a change that turns the one before within 10 minutes is a flap.
    """
    if as_csv and as_json:
        raise click.UsageError("--csv and --json are two forms of an answer; choose one")
    check_plot(plot)
    question = ask(files, environment, settings, verb="scaling replay", as_json=as_json, quiet=quiet)
    if isinstance(question, int):
        return question
    scaled = chosen(question, world, region, k8s)
    trace, gaps = open_trace(trace_file)
    played = _Played(scaled, trace, backend or scaled.scaling.backend, replicas, start_secs)
    problems = question.warn(question.unseen_problems(scaled), gaps)
    recorder = None if plot is None else Recorder(scaled.scaling)
    totals = played.run(recorder, as_csv=as_csv, quiet=quiet or as_json)
    if plot is not None and recorder is not None:
        write_plot(plot, recorder.scene(f"{played.title} with {name_of_trace(trace_file)}", _figures(totals)))
    if as_json:
        print_json(envelope("scaling replay", ok=True, problems=problems, result=played.values(totals, plot)))
    elif not as_csv:
        click.echo(_text(played.title, totals))
    return 0


class _Played:
    """A trace on its way through the backend of a workload."""

    def __init__(
        self, scaled: Scaled, trace: Trace, backend: BackendKind, replicas: int | None, start_secs: int
    ) -> None:
        scaling = scaled.scaling
        self._scaled, self._trace, self._backend = scaled, trace, backend
        self._replicas = scaled.first_count(trace) if replicas is None else replicas
        self._replay = Replay(
            backend_of(
                scaling,
                backend,
                kubernetes=scaled.kubernetes,
                interval_secs=scaled.interval_secs,
            ),
            target=scaling.target_players_per_pod,
            start_replicas=self._replicas,
            start_secs=start_secs,
        )

    @property
    def title(self) -> str:
        if self._backend == "decide":
            return f"{self._scaled.title}, by the rule itself"
        kubernetes = self._scaled.kubernetes
        mode = "desired" if self._backend == "keda" else mode_of(self._scaled.scaling, kubernetes)
        return f"{self._scaled.title}, by {self._backend} in mode {mode} on Kubernetes {kubernetes}"

    def run(self, recorder: Recorder | None, *, as_csv: bool, quiet: bool) -> ReplayTotals:
        """Play it to its end; say how far it is on a terminal."""
        with steps(quiet=quiet) as say:
            if recorder is None and not as_csv and not self._trace.pods:
                return self._replay.totals(self._told(self._trace.synced(SYNC_SECS), say))
            played = self._steps(say) if recorder is None else _kept(self._steps(say), recorder)
            if as_csv:
                _print_csv(played)
            else:
                for _ in played:
                    pass
        return self._replay.so_far()

    def _steps(self, say: Callable[[str], None]) -> Iterator[ReplayStep]:
        if self._trace.pods:
            return self._replay.steps_by_pod(self._told(rows_of(self._trace, SYNC_SECS), say))
        return self._replay.steps(self._told(self._trace.synced(SYNC_SECS), say))

    def _told(self, samples: Iterator[Sample], say: Callable[[str], None]) -> Iterator[Sample]:
        """Yield samples, and say now and then how many they were."""
        total, done = (self._trace.end_secs - self._trace.start_secs) // SYNC_SECS + 1, 0
        while some := list(islice(samples, SYNCS_BETWEEN_WORDS)):
            yield from some
            done += len(some)
            say(f"replayed {done} of {total} syncs")

    def values(self, totals: ReplayTotals, plot: str | None) -> dict[str, Any]:
        """Return what was played, and what came of it, for machines."""
        return {
            **self._scaled.values(),
            "backend": self._backend,
            "start_replicas": self._replicas,
            **{name: getattr(totals, name) for name in totals.__struct_fields__},
            "plot": plot,
        }


def _kept(played: Iterator[ReplayStep], recorder: Recorder) -> Iterator[ReplayStep]:
    for step in played:
        recorder.add(step)
        yield step


def _print_csv(played: Iterator[ReplayStep]) -> None:
    """Print each sync as a line, many at a time."""
    sys.stdout.write(f"{','.join(COLUMNS)}\n")
    while part := "".join(map(_line, islice(played, LINES_AT_ONCE))):
        sys.stdout.write(part)


def _line(step: ReplayStep) -> str:
    each = f"{step.players_per_pod:.2f}"
    return (
        f"{step.secs},{step.players},{step.before},{step.wanted},{step.running},{each},{step.reason},{step.displaced}\n"
    )


def _figures(totals: ReplayTotals) -> list[tuple[str, str]]:
    """Return what a replay came to, as names and values to print."""
    changes = f"{totals.scale_ups} up, {totals.scale_downs} down, {count(totals.flaps, 'flap')}"
    return [
        ("pod hours", f"{totals.pod_hours:.1f}"),
        ("most pods", str(totals.peak_replicas)),
        ("most players", str(totals.peak_players)),
        ("over target", duration_text(totals.over_target_secs)),
        ("displaced", f"{count(totals.displaced, 'player')} on {count(totals.pods_removed, 'pod')}"),
        ("changes", changes),
    ]


def _text(title: str, totals: ReplayTotals) -> str:
    lines = [f"{title}: {count(totals.syncs, 'sync')} in {duration_text(totals.secs)}"]
    return "\n".join([*lines, *(f"  {name:<14}{value}" for name, value in _figures(totals))])
