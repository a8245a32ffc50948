"""``aether-deploy render``: the GitOps tree on disk, or the manifests of one environment on standard output."""

import os
from collections.abc import Sequence
from typing import Any

import click

from aether_deploy.cli.inputs import (
    DEFAULT_FILE,
    file_arguments,
    judge,
    print_warnings,
    read_files,
    stop_for_problems,
    strict_option,
)
from aether_deploy.cli.output import count, envelope, print_json
from aether_deploy.cli.progress import progress
from aether_deploy.cli.rendered import Rendered, render_files
from aether_deploy.delivery.tree_writer import WritePlan, plan_write, write_tree
from aether_deploy.gitops.pieces import RenderedCluster
from aether_deploy.gitops.render import render_clusters
from aether_deploy.gitops.tree import JOURNAL_NAME, Tree
from aether_deploy.manifest.value import in_apply_order
from aether_deploy.manifest.yaml_text import to_yaml_documents
from aether_deploy.platform.rendering import Folder
from aether_deploy.platform.secrets import secrets_brought, secrets_named


@click.command()
@file_arguments
@strict_option
@click.option(
    "-o",
    "--output",
    default="-",
    metavar="DIR|-",
    type=click.Path(),
    help="Where the tree goes; - (the default) prints the manifests of one environment.",
)
@click.option(
    "--check",
    "only_check",
    is_flag=True,
    help="Write nothing; exit 1 if DIR differs from what would be written.",
)
@click.option("--force", is_flag=True, help="Replace edited and foreign files that stand in the way.")
def command(
    files: tuple[str, ...],
    environment: str | None,
    settings: tuple[str, ...],
    as_json: bool,
    quiet: bool,
    strict: bool,
    output: str,
    only_check: bool,
    force: bool,
) -> int:
    """Render a description into a GitOps tree for kubectl, Argo CD or Flux.

    The tree is complete or untouched: files are written beside and renamed, the index last; files that we
    wrote before and no longer need are removed; edited and foreign files stop the run before anything is
    written. Unchanged files are not written.
    """
    if not output:
        raise click.UsageError("-o names no folder; give -o DIR, or -o - for standard output")
    if output == "-" and only_check:
        raise click.UsageError("--check compares with a folder; give -o DIR")
    if output == "-":
        return _print_manifests(files, environment, settings, strict=strict, as_json=as_json, quiet=quiet)
    rendered = render_files("render", files, environment, settings, strict=strict, as_json=as_json)
    if isinstance(rendered, int):
        return rendered
    return _write_tree(rendered, output, as_json=as_json, quiet=quiet, only_check=only_check, force=force)


def _print_manifests(
    files: Sequence[str],
    environment: str | None,
    settings: Sequence[str],
    *,
    strict: bool,
    as_json: bool,
    quiet: bool,
) -> int:
    description = read_files(files, settings)
    judgement = judge(description, environment, every=False)
    judgement = judgement.strictly() if strict else judgement
    if judgement.failed:
        return stop_for_problems("render", description, judgement, as_json=as_json)
    clusters = render_clusters(judgement.platforms, judgement.files)
    manifests = [in_apply_order(each.cluster.manifests) for each in clusters]
    if as_json:
        bodies = [manifest.body for group in manifests for manifest in group]
        print_json(envelope("render", ok=True, problems=judgement.problems, result={"manifests": bodies}))
        return 0
    print_warnings(description, judgement, quiet=quiet)
    for rendered, group in zip(clusters, manifests, strict=True):
        if len(clusters) > 1:
            click.echo(f"# {rendered.path}: for this cluster alone")
        click.echo(to_yaml_documents(manifest.body for manifest in group), nl=False)
    return 0


def _write_tree(rendered: Rendered, output: str, *, as_json: bool, quiet: bool, only_check: bool, force: bool) -> int:
    tree, clusters = rendered.tree, rendered.clusters
    scope: dict[str, Any] = {"environments": rendered.environments, "complete": rendered.complete}
    if only_check:
        # An edited or a foreign file is a difference, too: with force the plan lists it, and nothing is written.
        plan = plan_write(output, tree, force=True, **scope)
    else:
        try:
            with progress("writing", quiet=quiet or as_json) as shown:
                plan = write_tree(output, tree, force=force, progress=shown, **scope)
        except KeyboardInterrupt:
            if os.path.exists(os.path.join(output, JOURNAL_NAME)):
                click.echo(f"interrupted while writing to {output}; run again, to complete it", err=True)
            raise
    holds = plan.changes_nothing or not only_check
    if as_json:
        result = _result(tree, clusters, plan, output)
        print_json(envelope("render", ok=holds, problems=rendered.judgement.problems, result=result))
        return 0 if holds else 1
    rendered.warn(quiet=quiet)
    if only_check and not quiet:
        _print_differences(plan)
    elif not quiet:
        _print_tree(tree, clusters, plan, output)
    return 0 if holds else 1


def _print_differences(plan: WritePlan) -> None:
    """Print each file that a render would write or remove, on standard output: it is what was asked for."""
    lines = [f"would write   {path}" for path in plan.written]
    lines += [f"would remove  {path}" for path in plan.removed]
    if lines:
        click.echo("\n".join(lines))
    click.echo(_counts(plan, ("to write", "unchanged", "to remove")), err=True)


def _counts(plan: WritePlan, words: tuple[str, str, str]) -> str:
    numbers = (len(plan.written), len(plan.unchanged), len(plan.removed))
    return ", ".join(f"{number} {word}" for number, word in zip(numbers, words, strict=True))


def _print_tree(tree: Tree, clusters: list[RenderedCluster], plan: WritePlan, output: str) -> None:
    """Print what the tree holds and what happened to it, on standard error: the data is the tree."""
    lines = []
    for rendered in clusters:
        site = rendered.cluster.site
        zones = "a witness" if site.witness else count(len(site.zone_names), "zone")
        lines.append(f"{os.path.join(output, rendered.path)}      {site.kubernetes}, {zones}")
        lines += _folder_lines(rendered)
    counts = _counts(plan, ("written", "unchanged", "removed"))
    lines.append(f"{count(tree.objects, 'object')}, {count(tree.file_count, 'file')}: {counts}")
    if any(folder.config and folder.config.scaling for each in clusters for folder in each.cluster.folders):
        lines.append(
            "note: at the first deploy a scaled workload shows 1 replica until its HPA lifts it to the minimum"
        )
    lines += _secret_notes(clusters)
    if clusters:
        lines.append(_next_step(clusters, output))
    click.echo("\n".join(lines), err=True)


def _secret_notes(clusters: list[RenderedCluster]) -> list[str]:
    """Return which Secrets nobody brings, a line for each namespace."""
    missing: dict[str, set[str]] = {}
    for each in clusters:
        brought = secrets_brought(each.cluster.manifests)
        for namespace, name in secrets_named(each.cluster.manifests):
            if (namespace, name) not in brought:
                missing.setdefault(namespace, set()).add(name)
    return [
        f"note: {namespace} must have {'the Secret' if len(names) == 1 else 'the Secrets'} {', '.join(sorted(names))}"
        for namespace, names in missing.items()
    ]


def _next_step(clusters: list[RenderedCluster], output: str) -> str:
    """Return what to do with the tree: rehearse what was given here, or apply it."""
    import shlex  # of no use to manifests on standard output

    given = click.get_current_context().params
    words = ["aether-deploy", "rehearse", *(given["files"] or (DEFAULT_FILE,))]
    words += ["--env", given["environment"]] if given["environment"] else []
    words += [word for setting in given["settings"] for word in ("--set", setting)]
    folder = shlex.quote(os.path.join(output, clusters[0].path))
    likewise = f", and each of the {len(clusters)} cluster folders in its own cluster" if len(clusters) > 1 else ""
    return f"next: {shlex.join(words)}   (or: kubectl apply --server-side -k {folder}{likewise})"


def _folder_lines(rendered: RenderedCluster) -> list[str]:
    cluster = rendered.cluster
    rows = [("cluster", len(cluster.cluster), ", ".join(sorted({m.kind for m in cluster.cluster})), "")]
    for namespace, folders in cluster.namespaces:
        rows += [(f"{namespace}/{folder.name}", len(folder.manifests), *_workload_words(folder)) for folder in folders]
    width = max(len(row[0]) for row in rows) + 2
    return [f"  {name:<{width}}{number:>4}  {kind:<13}{words}".rstrip() for name, number, kind, words in rows]


def _workload_words(folder: Folder) -> tuple[str, str]:
    config = folder.config
    if folder.component is not None and len(folder.manifests) > 1:
        return _component_words(folder)
    if config is None:
        return folder.manifests[0].kind, "" if folder.brings_secrets else "runs in another region"
    if config.scaling is None:
        pods, said = count(config.replicas, "pod"), []
    else:
        pods = f"{config.least_pods}..{config.most_pods} pods"
        said = [f"{config.scaling.target_players_per_pod} players each"]
    if config.pvc is not None:
        said.append(f"WAL {config.pvc.size} each")
    return config.target_kind, f"{pods:<13}{', '.join(said)}"


def _component_words(folder: Folder) -> tuple[str, str]:
    """Return what runs a component's pods, and how many it has here; a custom object says that to its operator."""
    sets = [each for each in folder.manifests if each.kind == "StatefulSet"]
    if not sets:
        return folder.manifests[-1].kind, ""
    pods = sum(each.body["spec"]["replicas"] for each in sets)
    sizes = {
        claim["spec"]["resources"]["requests"]["storage"]
        for each in sets
        for claim in each.body["spec"]["volumeClaimTemplates"]
    }
    volume = f"{', '.join(sorted(sizes))} each" if sizes else ""
    return "StatefulSet", f"{count(pods, 'pod'):<13}{volume}"


def _result(tree: Tree, clusters: list[RenderedCluster], plan: WritePlan, output: str) -> dict[str, Any]:
    return {
        "output": output,
        "objects": tree.objects,
        "files": tree.file_count,
        "written": list(plan.written),
        "unchanged": len(plan.unchanged),
        "removed": list(plan.removed),
        "clusters": [
            {
                "path": each.path,
                "kubernetes": each.cluster.site.kubernetes,
                "workloads": {
                    folder.name: len(folder.manifests) for folder in each.cluster.folders if not folder.brings_secrets
                },
                "components": {
                    folder.name: len(folder.manifests) for folder in each.cluster.data if not folder.brings_secrets
                },
            }
            for each in clusters
        ],
    }
