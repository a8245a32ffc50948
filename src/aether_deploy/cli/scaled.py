"""What the scaling verbs share: the workload that is meant, where it runs, and by what version it is judged."""

import re
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, TypeVar

import click
import msgspec

from aether_deploy.cli.inputs import Asked, judge, print_warnings, read_files, stop_for_problems
from aether_deploy.cli.output import print_problems
from aether_deploy.config.sink import path_text
from aether_deploy.delivery.loading import locate
from aether_deploy.delivery.traces import load_trace, name_of_trace
from aether_deploy.fleet.config import DeploymentConfig
from aether_deploy.platform.config import Platform
from aether_deploy.platform.parts import Site
from aether_deploy.platform.placing import EntryView, at_layer
from aether_deploy.platform.references import NEWEST_MINOR, OLDEST_MINOR
from aether_deploy.problems import ConfigError, Problem, shown, suggestion
from aether_deploy.scaling.config import CustomMetric, ScalingConfig
from aether_deploy.scaling.controller.policy import HpaPolicy
from aether_deploy.scaling.modes import SYNC_SECS, player_metric
from aether_deploy.simulation.backends import compile_policy
from aether_deploy.simulation.trace_csv import gap_problems
from aether_deploy.simulation.traces import Trace

F = TypeVar("F", bound=Callable[..., Any])
VERSIONS = tuple(f"v1.{minor}" for minor in range(OLDEST_MINOR, NEWEST_MINOR + 1))


class Scaled(msgspec.Struct, frozen=True, kw_only=True):
    """A workload that scales, in one region.

    Attributes:
        view: Its entry in the file.
        site: The cluster where it runs.
        kubernetes: The version by which it is judged: ``v1.37``.
        config: The workload.
        scaling: Its settings of scaling.
        interval_secs: Pause between two scrapes of its metrics, seconds.
    """

    view: EntryView
    site: Site
    kubernetes: str
    config: DeploymentConfig
    scaling: ScalingConfig
    interval_secs: int = SYNC_SECS

    @property
    def name(self) -> str:
        return self.config.name

    @property
    def region(self) -> str:
        return self.site.region.code

    @property
    def title(self) -> str:
        return f"{self.name} in {self.region}"

    @property
    def players_metric(self) -> CustomMetric | None:
        """The metric that counts its players."""
        return player_metric(self.config.custom_metrics)

    def policy(self, backend: Literal["hpa", "keda"] | None = None) -> HpaPolicy:
        """Return the autoscaler that ``backend`` gets, for the players of pods alone; the rendered one for None."""
        return compile_policy(self.scaling, backend, kubernetes=self.kubernetes, interval_secs=self.interval_secs)

    def first_count(self, trace: Trace) -> int:
        """Return the pods that the first players of a trace need, within the bounds."""
        scaling = self.scaling
        return min(max(scaling.sizing.needed(trace.players[0]), scaling.min_replicas), scaling.max_replicas)

    def values(self) -> dict[str, str]:
        """Return what it is, for machines."""
        return {"world": self.name, "region": self.region, "kubernetes": self.kubernetes}

    @property
    def _settings(self) -> tuple[object, ...]:
        return (self.scaling, tuple(self.config.custom_metrics), self.kubernetes)

    def scales_like(self, other: "Scaled") -> bool:
        """Return whether both do the same with equal players."""
        return self._settings == other._settings


def world_options(function: F) -> F:
    """Add --world, --region and --k8s."""
    for decorate in (
        click.option("--k8s", metavar="VERSION", help="Judge as if the cluster had this version, such as v1.34."),
        click.option("--region", metavar="R", help="The region; needed only where its settings differ."),
        click.option("--world", metavar="NAME", help="The world or service; needed only where several scale."),
    ):
        function = decorate(function)
    return function


def trace_option(function: F) -> F:
    """Add --trace."""
    says = "Players over time, as CSV; - is standard input."
    return click.option("--trace", "trace_file", required=True, metavar="CSV", type=click.Path(), help=says)(function)


def open_trace(path: str) -> tuple[Trace, list[Problem]]:
    """Return a trace, and warnings about its gaps.

    Raises:
        ConfigError: With every problem of the file.
    """
    trace = load_trace(path)
    return trace, gap_problems(trace, name_of_trace(path))


class Question(Asked, frozen=True, kw_only=True):
    """What is asked about scaling."""

    def place_of(self, scaled: Scaled) -> str:
        """Return file, line and column of a workload's settings of scaling, as messages have them."""
        return ":".join(str(part) for part in self._place(scaled, "scaling") if part is not None)

    def without_players(self, scaled: Scaled) -> Problem:
        """Return the problem of a workload that has no metric of players."""
        fix = "add a metric of type Pods that counts players"
        return self._problem(scaled, "custom_metrics", "no metric of type Pods counts its players", fix)

    def unseen_problems(self, scaled: Scaled) -> list[Problem]:
        """Return a warning for each metric of a workload that does not follow from players."""
        fix = "reckon with more pods where it asks for them"
        reason = "does not follow from players; it is taken to ask for no more pods than they do"
        found = []
        for place, metric in enumerate(scaled.config.custom_metrics):
            if metric is not scaled.players_metric:
                problem = self._problem(scaled, f"custom_metrics[{place}]", reason, fix)
                found.append(msgspec.structs.replace(problem, severity="warning", value=shown(metric.name)))
        return found

    def _problem(self, scaled: Scaled, field: str, reason: str, fix: str) -> Problem:
        file, line, column = self._place(scaled, "custom_metrics")
        path = f"{path_text(scaled.view.at)}.{field}"
        return Problem(path=path, reason=reason, fix=fix, file=file, line=line, column=column)

    def _place(self, scaled: Scaled, field: str) -> tuple[str, int | None, int | None]:
        """Return where a field of a workload stands, or the workload."""
        evaluation = self.judgement.evaluations[0]
        document = self.description.document
        for steps in (at_layer(self.platform, scaled.view, scaled.site, (field,)), scaled.view.at):
            origin = document.origin(evaluation, steps)
            if origin is not None and origin.source is not None:
                place = locate(self.description, origin.source, origin.steps)
                name = document.sources[origin.source].name
                return (name, None, None) if place is None else (name, *place)
        return "--set", None, None

    def warn(self, scaled: Iterable[Problem] = (), trace: Sequence[Problem] = ()) -> tuple[Problem, ...]:
        """Print warnings about the files, about what scales, and about a trace; return them all."""
        judgement = self.judgement.with_problems(scaled)
        if not self.as_json:
            print_warnings(self.description, judgement, quiet=self.quiet)
            print_problems(() if self.quiet else trace, sys.stderr)
        return (*judgement.problems, *trace)


def ask(
    files: Sequence[str],
    environment: str | None,
    settings: Sequence[str],
    *,
    verb: str,
    as_json: bool,
    quiet: bool,
) -> Question | int:
    """Read and judge; return the exit code where problems stop the verb, which are printed."""
    description = read_files(files, settings)
    judgement = judge(description, environment, every=False)
    if judgement.failed:
        return stop_for_problems(verb, description, judgement, as_json=as_json)
    return Question(description=description, judgement=judgement, as_json=as_json, quiet=quiet)


def scaled_workloads(platform: Platform, kubernetes: str | None) -> list[Scaled]:
    """Return every workload that scales, in every region where it runs, in file order."""
    found = []
    for view in platform.entries:
        for site in platform.sites:
            if site.region.code not in view.regions:
                continue
            config = platform.config_of(view.at, site.region.code)
            if config is not None and config.scaling is not None:
                found.append(
                    Scaled(
                        view=view,
                        site=site,
                        kubernetes=kubernetes or site.kubernetes,
                        config=config,
                        scaling=config.scaling,
                        interval_secs=platform.observability.scrape_interval_secs,
                    )
                )
    return found


def chosen(question: Question, world: str | None, region: str | None, k8s: str | None) -> Scaled:
    """Return the workload that is meant.

    Raises:
        ConfigError: None is, or several with different settings are, or nothing counts its players.
    """
    everywhere = distinct(question, world, region, k8s)
    names = list(dict.fromkeys(each.name for each in everywhere))
    if len(names) > 1:
        fix = f"name one of them: {', '.join(names)}"
        raise ConfigError([Problem(path="--world", reason="several worlds and services scale", fix=fix)])
    if len(everywhere) > 1:
        first, *others = [each.region for each in everywhere]
        reason = f"{names[0]} has other settings in {', '.join(others)} than in {first}"
        fix = f"name one of them: {', '.join((first, *others))}"
        raise ConfigError([Problem(path="--region", reason=reason, fix=fix)])
    if everywhere[0].players_metric is None:
        raise ConfigError([question.without_players(everywhere[0])])
    return everywhere[0]


def distinct(question: Question, world: str | None, region: str | None, k8s: str | None) -> list[Scaled]:
    """Return the workloads that are meant, each once for all regions in which it scales alike.

    Raises:
        ConfigError: None is, or a name is unknown.
    """
    kept: list[Scaled] = []
    for each in meant(question, world, region, k8s):
        if not any(each.name == other.name and each.scales_like(other) for other in kept):
            kept.append(each)
    return kept


def meant(question: Question, world: str | None, region: str | None, k8s: str | None) -> list[Scaled]:
    """Return the workloads that are meant, in each of their regions.

    Raises:
        ConfigError: None is, or a name is unknown.
    """
    found = scaled_workloads(question.platform, _version(k8s))
    if world is not None:
        _check_world(question.platform, found, world)
    elif not found:
        fix = "add scaling to a world or service"
        raise ConfigError([Problem(path="$", reason="no world and no service scales", fix=fix)])
    found = [each for each in found if world in (None, each.name)]
    if region is not None:
        _check_region(question.platform, found, region)
        found = [each for each in found if each.region == region]
    return found


def _check_world(platform: Platform, found: Sequence[Scaled], world: str) -> None:
    scaling = list(dict.fromkeys(each.name for each in found))
    if world in scaling:
        return
    known = platform.entries_by_name.get(world)
    others = f"or name one that scales: {', '.join(scaling)}" if scaling else "and run again"
    if known is None:
        names = [view.name for view in platform.entries]
        fix = suggestion(world, names, f"known are {', '.join(scaling or names)}")
        problem = Problem(path=f"--world {world}", reason="no world or service has that name", fix=fix)
    elif not any(view.regions for view in known):
        problem = Problem(path=f"--world {world}", reason="it runs in no region", fix=f"enable it, {others}")
    else:
        problem = Problem(path=f"--world {world}", reason="its count is fixed", fix=f"add scaling to it, {others}")
    raise ConfigError([problem])


def _check_region(platform: Platform, found: Sequence[Scaled], region: str) -> None:
    runs = list(dict.fromkeys(each.region for each in found))
    if region in runs:
        return
    known = [each.code for each in platform.regions]
    where = f"--region {region}"
    if region not in known:
        fix = suggestion(region, known, f"known are {', '.join(known)}")
        raise ConfigError([Problem(path=where, reason="no region has that code", fix=fix)])
    fix = f"name one of them: {', '.join(runs)}"
    raise ConfigError([Problem(path=where, reason=f"{found[0].name} does not scale there", fix=fix)])


def _version(text: str | None) -> str | None:
    """Return the minor version that ``--k8s`` means."""
    if text is None:
        return None
    said = re.fullmatch(r"v?(1\.\d{1,3})(\.\d{1,3})?", text)
    if said and f"v{said[1]}" in VERSIONS:
        return f"v{said[1]}"
    reason = "no version that is known" if said else "is no version"
    fix = f"known are {', '.join(VERSIONS)}"
    raise ConfigError([Problem(path=f"--k8s {text}", reason=reason, fix=fix)])
