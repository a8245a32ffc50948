"""``aether-deploy check``: everything that is wrong with a description."""

import sys
from importlib.util import find_spec
from typing import Any

import click

from aether_deploy.cli.inputs import file_arguments, judge, read_files, strict_option, summary
from aether_deploy.cli.output import count, envelope, print_json, print_problems
from aether_deploy.delivery.loading import Judgement
from aether_deploy.gitops.render import check_clusters, render_tree
from aether_deploy.problems import Problem


@click.command()
@file_arguments
@strict_option
def command(
    files: tuple[str, ...],
    environment: str | None,
    settings: tuple[str, ...],
    as_json: bool,
    quiet: bool,
    strict: bool,
) -> int:
    """Check a description: types, rules, references, placements and the manifests that it makes.

    Several FILEs are layers, the later ones stronger; the default is aether.yaml. All environments are
    checked unless --env names one. Every problem is printed at once; warnings do not fail the check
    without --strict. Where the extra [check] is installed, every manifest is also held against the
    strict schemas of Kubernetes.
    """
    description = read_files(files, settings)
    judgement = judge(description, environment, every=True)
    result = None
    if not judgement.failed:
        problems, result = _judge_manifests(judgement)
        judgement = judgement.with_problems(problems)
    judgement = judgement.strictly() if strict else judgement
    bad = judgement.failed
    if as_json:
        print_json(envelope("check", ok=not bad, problems=judgement.problems, result=result))
        return 2 if bad else 0
    print_problems((p for p in judgement.problems if not quiet or p.severity == "error"), sys.stdout)
    if not quiet or bad:
        click.echo(summary(description, judgement))
    if result is not None and not quiet:
        judged = ", valid by the strict schemas" if result["schemas"] else ""
        click.echo(f"{count(result['clusters'], 'cluster')}, {count(result['objects'], 'object')}{judged}")
    return 2 if bad else 0


def _judge_manifests(judgement: Judgement) -> tuple[list[Problem], dict[str, Any]]:
    """Render, and return what only the manifests show."""
    tree, clusters = render_tree(judgement.platforms, judgement.files)
    problems = check_clusters(clusters)
    schemas = find_spec("jsonschema_rs") is not None
    if schemas:
        from aether_deploy.schemacheck import check_manifests

        problems += check_manifests(manifest.body for each in clusters for manifest in each.cluster.manifests)
    return problems, {"clusters": len(clusters), "objects": tree.objects, "schemas": schemas}
