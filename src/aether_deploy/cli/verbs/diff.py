"""``aether-deploy diff``: what a change of the description does to the clusters, before it ships."""

import os
from collections.abc import Mapping, Sequence

import click
import msgspec

from aether_deploy.cli.diffed import EXIT_CODES, diff_markdown, diff_text, diff_values
from aether_deploy.cli.inputs import file_arguments, strict_option
from aether_deploy.cli.output import count, envelope, print_json
from aether_deploy.cli.progress import steps
from aether_deploy.cli.rendered import Rendered, diff_rendered, render_files
from aether_deploy.delivery.description_reading import description_at
from aether_deploy.delivery.loading import Description, read_description
from aether_deploy.delivery.tree_reading import NothingThereError, StoredTree, read_tree, read_tree_at
from aether_deploy.gitops.diff.changes import Diff
from aether_deploy.gitops.render import render_tree
from aether_deploy.gitops.tree import Tree
from aether_deploy.problems import ConfigError, EffectError, Problem

_TOLD_MAX = 5


@click.command()
@file_arguments
@strict_option
@click.option("--against", metavar="DIR", type=click.Path(), help="Compare with the tree in this folder.")
@click.option(
    "--git",
    "ref",
    metavar="REF",
    help="Compare with a commit: with the tree that it holds, else with what its description renders to.",
)
@click.option("--live", is_flag=True, help="Compare with what runs in a cluster, by dry run; nothing is changed.")
@click.option("--cluster", metavar="NAME", help="With --live: the cluster that is asked, where there are several.")
@click.option("--kubeconfig", metavar="FILE", help="With --live: the file that names the cluster.")
@click.option("--context", metavar="NAME", help="With --live: the context of the kubeconfig to use.")
@click.option("-v", "--verbose", is_flag=True, help="Print all fields, and the commands of each way out.")
@click.option("--markdown", is_flag=True, help="Print Markdown, for a pull request.")
@click.option(
    "--exit-code",
    "tells",
    is_flag=True,
    help="Exit 0 if nothing changes, 10 if all is safe, 11 if something asks for attention, 12 if it is dangerous.",
)
def command(
    files: tuple[str, ...],
    environment: str | None,
    settings: tuple[str, ...],
    as_json: bool,
    quiet: bool,
    strict: bool,
    against: str | None,
    ref: str | None,
    live: bool,
    cluster: str | None,
    kubeconfig: str | None,
    context: str | None,
    verbose: bool,
    markdown: bool,
    tells: bool,
) -> int:
    """Say what a description would change, and what each change does to a cluster.

    Not the text is compared but its meaning: what is refused, which pods are replaced, in which order, how many at
    once, how long that takes, how many players move, and what puts data at risk. The most dangerous comes first,
    with the commands that get it done.
    """
    if sum((against is not None, ref is not None, live)) != 1:
        raise click.UsageError("name what to compare with: one of --against DIR, --git REF, --live")
    if not live and (cluster or kubeconfig or context):
        raise click.UsageError("--cluster, --kubeconfig and --context say which cluster --live asks; give --live")
    if as_json and markdown:
        raise click.UsageError("--json and --markdown exclude each other")
    rendered = render_files("diff", files, environment, settings, every=not live, strict=strict, as_json=as_json)
    if isinstance(rendered, int):
        return rendered
    if live:
        from aether_deploy.lab.live import diff_live  # the lab is large, and only this asks it

        with steps(quiet=quiet or as_json) as say:
            platform = rendered.judgement.platforms[0]
            diff = diff_live(platform, rendered.tree, cluster=cluster, kubeconfig=kubeconfig, context=context, say=say)
    else:
        diff = _stored(rendered, environment, against, ref)
    if as_json:
        print_json(envelope("diff", ok=True, problems=rendered.judgement.problems, result=diff_values(diff)))
    else:
        rendered.warn(quiet=quiet)
        if diff.changes or not quiet:
            click.echo(diff_markdown(diff) if markdown else diff_text(diff, verbose=verbose))
    return EXIT_CODES[diff.danger] if tells else 0


def _stored(rendered: Rendered, asked: str | None, against: str | None, ref: str | None) -> Diff:
    """Return the difference to a folder or a commit."""
    root = rendered.root if ref is not None else against or os.curdir
    before = _at_commit(rendered.description, root, ref) if ref is not None else read_tree(root)
    return diff_rendered(rendered, before, root=root, asked=asked)


def _at_commit(description: Description, root: str, ref: str) -> StoredTree | Tree:
    """Return the tree of a commit: the one that it holds, else what its description renders to."""
    repository = description.folder or os.curdir
    try:
        return read_tree_at(repository, ref, root)
    except NothingThereError:
        pass
    names = [source.name for source in description.document.sources]
    with description_at(repository, ref, names) as found:
        try:
            older = read_description(found, [])
            judged = older.evaluate(older.document.environments())
        except ConfigError as error:
            raise _undescribed(ref, error.problems, dict(zip(found, names, strict=True))) from error
        errors = [each for each in judged.problems if each.severity == "error"]
        if errors:
            raise _undescribed(ref, errors, dict(zip(found, names, strict=True)))
        return render_tree(judged.platforms, judged.files)[0]


def _undescribed(ref: str, problems: Sequence[Problem], names: Mapping[str, str]) -> EffectError:
    """Return why a commit cannot be compared with: what it describes renders to nothing."""
    told = [
        msgspec.structs.replace(each, file=f"{ref}:{names.get(each.file or '', each.file)}", fix="")
        for each in problems[:_TOLD_MAX]
    ]
    lines = [str(each).partition("\n")[0] for each in told]
    lines += [f"and {len(problems) - _TOLD_MAX} more"] if len(problems) > _TOLD_MAX else []
    reason = f"{ref}: what it describes has {count(len(problems), 'problem')}, and so renders to nothing"
    fix = "compare with another commit, or with a tree: --against DIR"
    return EffectError("\n".join([reason, *lines, f"  fix: {fix}"]))
