"""``aether-deploy rehearse``: what a real Kubernetes does with a description, before anything ships."""

import contextlib
import os
import re
import sys
from collections.abc import Sequence
from typing import NamedTuple

import click
import msgspec
from click.core import ParameterSource

from aether_deploy.cli.inputs import file_arguments, judge, print_warnings, read_files, stop_for_problems
from aether_deploy.cli.output import envelope, print_json
from aether_deploy.cli.progress import steps
from aether_deploy.cli.rehearsed import asked_text, asked_values, failures_text, rehearsed_text, rehearsed_values
from aether_deploy.delivery.loading import Description, Judgement
from aether_deploy.gitops.pieces import RenderedCluster
from aether_deploy.gitops.render import render_clusters
from aether_deploy.lab.control_plane import need_certificates
from aether_deploy.lab.dry_run import dry_run
from aether_deploy.lab.interrupts import ending_on_signals
from aether_deploy.lab.programs import NEWEST_PATCHES, need_programs, newest_patch
from aether_deploy.lab.rehearsal import Nodes, Rehearsed, known_in, rehearse
from aether_deploy.lab.scenarios import Known, chosen_scenarios
from aether_deploy.problems import ConfigError, Problem, shown, suggestion
from aether_deploy.quantities import QuantityError, parse_quantity


@click.command()
@file_arguments
@click.option(
    "--scenario",
    "scenarios",
    multiple=True,
    metavar="NAME[=ARG]",
    help="steady (the default), zone-loss=ZONE, zone-cut=ZONE, node-drain=NODE, rollout=WORKLOAD, "
    "scale=WORKLOAD:N, or all (repeatable). Without its argument a scenario chooses one itself.",
)
@click.option("--cluster", metavar="NAME", help="Only this cluster; each in turn where left out.")
@click.option("--k8s", metavar="VERSION", help="Version that judges; the newest known patch where left out.")
@click.option("--nodes-per-zone", type=click.IntRange(1, 100), default=3, show_default=True, help="Fake nodes.")
@click.option("--node-cpu", default="64", show_default=True, metavar="QUANTITY", help="CPU of each node.")
@click.option("--node-memory", default="256Gi", show_default=True, metavar="QUANTITY", help="Memory of each node.")
@click.option("--kubeconfig", metavar="FILE", help="Ask a real cluster instead, by dry run; nothing is changed.")
@click.option("--context", metavar="NAME", help="The context of the kubeconfig to use.")
def command(
    files: tuple[str, ...],
    environment: str | None,
    settings: tuple[str, ...],
    as_json: bool,
    quiet: bool,
    scenarios: tuple[str, ...],
    cluster: str | None,
    k8s: str | None,
    nodes_per_zone: int,
    node_cpu: str,
    node_memory: str,
    kubeconfig: str | None,
    context: str | None,
) -> int:
    """Boot a real control plane on this machine, apply what is rendered, and say what Kubernetes does.

    No container engine, no root and no cloud is needed: kube-apiserver, controllers and scheduler run as
    processes, with fake nodes in the zones of the description. For each scenario, what is expected is computed
    beforehand, and compared with what happens. Exit 1 if an expectation failed.

    With --kubeconfig or --context a real cluster judges instead: every object is applied as a dry run on its
    server, and compared with what comes back.
    """
    description = read_files(files, settings)
    judgement = judge(description, environment, every=False)
    if judgement.failed:
        return stop_for_problems("rehearse", description, judgement, as_json=as_json)
    clusters = render_clusters(judgement.platforms, judgement.files)
    report = Report(description=description, judgement=judgement, as_json=as_json, quiet=quiet)
    if kubeconfig is not None or context is not None:
        _refuse_lab_options()
        return _ask(report, _asked_cluster(clusters, cluster), kubeconfig, context)
    nodes = Nodes(per_zone=nodes_per_zone, cpu=node_cpu, memory=node_memory)
    return _rehearse(report, _planned(clusters, cluster, k8s, scenarios, nodes), nodes)


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What was read, and how to show what comes of it."""

    description: Description
    judgement: Judgement
    as_json: bool
    quiet: bool

    def warn(self) -> None:
        if not self.as_json:
            print_warnings(self.description, self.judgement, quiet=self.quiet)


class Planned(NamedTuple):
    """The rehearsal of one cluster."""

    rendered: RenderedCluster
    version: str
    scenarios: list[str]


def _rehearse(report: Report, plans: Sequence[Planned], nodes: Nodes) -> int:
    need_certificates()
    need_programs({plan.version for plan in plans})
    report.warn()
    found = []
    with ending_on_signals():
        for plan in plans:
            with steps(quiet=report.quiet or report.as_json) as say:
                found.append(rehearse(plan.rendered, plan.version, plan.scenarios, nodes=nodes, say=say))
            if not report.as_json:
                _print_cluster(found, plan.scenarios, of=len(plans), quiet=report.quiet)
    holds = all(each.holds for each in found)
    if report.as_json:
        result = {"clusters": [rehearsed_values(each) for each in found]}
        print_json(envelope("rehearse", ok=holds, problems=report.judgement.problems, result=result))
    return 0 if holds else 1


def _print_cluster(found: Sequence[Rehearsed], asked: Sequence[str], *, of: int, quiet: bool) -> None:
    """Print the newest of several clusters, as soon as it is known."""
    newest = found[-1]
    text = failures_text(newest, asked) if quiet else rehearsed_text(newest, asked)
    if text and of > 1:
        text = f"{newest.path}\n{text}" if quiet or len(found) == 1 else f"\n{newest.path}\n{text}"
    if text:
        click.echo(text)
        sys.stdout.flush()


# --- what was asked for


def _planned(
    clusters: Sequence[RenderedCluster], name: str | None, k8s: str | None, scenarios: Sequence[str], nodes: Nodes
) -> list[Planned]:
    """Return what to rehearse; everything that is wrong with the options is said before anything boots."""
    chosen, problems = _chosen(clusters, name)
    version, more = (None, []) if k8s is None else _version(k8s)
    problems += more + _quantity_problems(nodes)
    known = [known_in(each, nodes) for each in chosen or clusters]
    try:
        chosen_scenarios(scenarios, _known_in_any(known))
    except ConfigError as error:
        problems += error.problems
    if problems:
        raise ConfigError(problems)
    return [
        Planned(each, version or newest_patch(each.cluster.site.kubernetes), _playable(scenarios, here))
        for each, here in zip(chosen, known, strict=True)
    ]


def _chosen(clusters: Sequence[RenderedCluster], name: str | None) -> tuple[list[RenderedCluster], list[Problem]]:
    names = [each.cluster.site.cluster for each in clusters]
    if name is None or name in names:
        return [each for each in clusters if name in (None, each.cluster.site.cluster)], []
    fix = suggestion(name, names, f"known are {', '.join(names)}")
    return [], [Problem(path=f"--cluster {name}", reason="no cluster has that name", fix=fix)]


def _version(text: str) -> tuple[str | None, list[Problem]]:
    """Return the version that ``--k8s`` means: a patch, or the newest one of a minor."""
    found = re.fullmatch(r"v?1\.(\d{1,3})(\.\d{1,3})?", text)
    if found and found[2]:
        return f"v1.{found[1]}{found[2]}", []
    if found and int(found[1]) in NEWEST_PATCHES:
        return newest_patch(f"v1.{found[1]}"), []
    known = list(NEWEST_PATCHES.values())
    fix = f"known are {', '.join(known)}"
    if found:
        return None, [Problem(path=f"--k8s {text}", reason="no version of that minor is known", fix=fix)]
    return None, [Problem(path=f"--k8s {text}", reason="is no version", fix=suggestion(text, known, fix))]


def _quantity_problems(nodes: Nodes) -> list[Problem]:
    problems = []
    for option, text, example in (("cpu", nodes.cpu, "16"), ("memory", nodes.memory, "64Gi")):
        try:
            fault = None if parse_quantity(text) > parse_quantity("0") else "not more than zero"
        except QuantityError as error:
            fault = str(error)
        if fault:
            flag = f"--node-{option}"
            problems.append(Problem(path=flag, value=shown(text), reason=fault, fix=f"write {flag} {example}"))
    return problems


def _known_in_any(known: Sequence[Known]) -> Known:
    """Return what scenarios may name in any of the clusters."""
    return Known(
        zones=tuple(dict.fromkeys(zone for each in known for zone in each.zones)),
        nodes=tuple(dict.fromkeys(node for each in known for node in each.nodes)),
        workloads=tuple(dict.fromkeys(workload for each in known for workload in each.workloads)),
    )


def _playable(scenarios: Sequence[str], known: Known) -> list[str]:
    """Return those that can be played in one cluster: another one has other zones, nodes and workloads."""
    playable = []
    for scenario in scenarios:
        with contextlib.suppress(ConfigError):
            chosen_scenarios([scenario], known)
            playable.append(scenario)
    return playable


# --- a real cluster


def _refuse_lab_options() -> None:
    """Refuse options that mean nothing to a real cluster."""
    context = click.get_current_context()
    names = ("scenarios", "k8s", "nodes_per_zone", "node_cpu", "node_memory")
    given = [
        option.opts[0]
        for option in context.command.params
        if option.name in names and context.get_parameter_source(option.name) is ParameterSource.COMMANDLINE
    ]
    if given:
        raise click.UsageError(f"a real cluster is only asked by dry run; leave {', '.join(given)} out")


def _asked_cluster(clusters: Sequence[RenderedCluster], name: str | None) -> RenderedCluster:
    chosen, problems = _chosen(clusters, name)
    if len(chosen) > 1:
        names = ", ".join(each.cluster.site.cluster for each in chosen)
        problems = [Problem(path="--cluster", reason="a real cluster is one of several", fix=f"name it: {names}")]
    if problems:
        raise ConfigError(problems)
    return chosen[0]


def _ask(report: Report, rendered: RenderedCluster, kubeconfig: str | None, context: str | None) -> int:
    if kubeconfig is not None and not os.path.isfile(kubeconfig):
        problem = Problem(path=f"--kubeconfig {kubeconfig}", reason="is no file", fix="name the file of the cluster")
        raise ConfigError([problem])
    report.warn()
    with ending_on_signals(), steps(quiet=report.quiet or report.as_json) as say:
        asked = dry_run(rendered.cluster.manifests, kubeconfig=kubeconfig, context=context, say=say)
    if report.as_json:
        values = asked_values(asked)
        print_json(envelope("rehearse", ok=asked.holds, problems=report.judgement.problems, result=values))
    elif not report.quiet:
        click.echo(asked_text(asked))
    elif not asked.holds:
        click.echo("\n".join(asked.faults))
    return 0 if asked.holds else 1
