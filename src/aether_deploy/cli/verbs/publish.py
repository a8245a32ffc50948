"""``aether-deploy publish``: the tree as a commit on a branch of a Git repository."""

from functools import partial
from typing import Any

import click

from aether_deploy.cli.diffed import diff_text
from aether_deploy.cli.inputs import file_arguments, strict_option
from aether_deploy.cli.output import count, envelope, print_json
from aether_deploy.cli.progress import progress
from aether_deploy.cli.rendered import Rendered, diff_rendered, render_files, same_everywhere
from aether_deploy.delivery.publishing import Publication, plan_publish, publish
from aether_deploy.delivery.tree_reading import StoredTree, UnreadableTreeError
from aether_deploy.gitops.tree import Tree
from aether_deploy.lab.interrupts import ending_on_signals


@click.command()
@file_arguments
@strict_option
@click.option(
    "--repo",
    default=".",
    metavar="DIR",
    type=click.Path(),
    help="A clone of the repository, or a folder in it; the default is the working directory.",
)
@click.option(
    "--branch",
    metavar="NAME",
    help="The branch; the default is gitops.revision, or what is checked out where gitops names no repository.",
)
@click.option("--message", metavar="TEXT", help="The commit's message; the default says what changes.")
@click.option("--push", is_flag=True, help="Push the branch, on top of what its remote has; never by force.")
@click.option("--dry-run", is_flag=True, help="Print what would be committed, and change nothing.")
def command(
    files: tuple[str, ...],
    environment: str | None,
    settings: tuple[str, ...],
    as_json: bool,
    quiet: bool,
    strict: bool,
    repo: str,
    branch: str | None,
    message: str | None,
    push: bool,
    dry_run: bool,
) -> int:
    """Commit the rendered tree to a branch of a Git repository.

    The commit is made in a temporary work tree, on top of the branch's tip, and only if something changed; work tree,
    index and stash of the clone are left alone. A branch that is checked out there is brought forward as by git merge
    --ff-only. Edits in the tree's folder, foreign files, an unfinished rebase or merge, a refusing hook and a rejected
    push stop the run, and the branch stays as it was. The commit's id is printed.
    """
    if message is not None and not message.strip():
        raise click.UsageError("--message is empty; leave it out for one that says what changes")
    if branch is not None and not branch.strip():
        raise click.UsageError("--branch is empty; leave it out for the branch that gitops.revision names")
    rendered = render_files("publish", files, environment, settings, strict=strict, as_json=as_json)
    if isinstance(rendered, int):
        return rendered
    where = {"branch": _branch(rendered) if branch is None else branch, "path": rendered.root}
    what = {"message": message, "push": push, "summarize": partial(_summarized, rendered, environment)}
    published = _publish(rendered, repo, {**where, **what}, dry_run=dry_run, silent=quiet or as_json)
    if as_json:
        problems = rendered.judgement.problems
        print_json(envelope("publish", ok=True, problems=problems, result=_result(published, dry_run)))
        return 0
    rendered.warn(quiet=quiet)
    _print(published, dry_run=dry_run, quiet=quiet)
    return 0


def _publish(rendered: Rendered, repo: str, what: dict[str, Any], *, dry_run: bool, silent: bool) -> Publication:
    what = {"environments": rendered.environments, "complete": rendered.complete, **what}
    with ending_on_signals():
        if dry_run:
            return plan_publish(repo, rendered.tree, **what)
        with progress("writing", quiet=silent) as show:
            return publish(repo, rendered.tree, progress=show, **what)


def _summarized(rendered: Rendered, asked: str | None, before: StoredTree | None) -> str:
    """Return what the commit does to the clusters, for its message."""
    try:
        return diff_text(diff_rendered(rendered, before or Tree(()), root=rendered.root, asked=asked), verbose=False)
    except UnreadableTreeError:  # what somebody made of a file that goes is no reason not to publish; files are listed
        return ""


def _branch(rendered: Rendered) -> str | None:
    """Return the branch that the description names; None if it names no repository, and so none of its branches."""
    named = [each.gitops.revision for each in rendered.judgement.platforms if each.gitops.repo is not None]
    return same_everywhere("revision", named) if named else None


def _print(published: Publication, *, dry_run: bool, quiet: bool) -> None:
    if dry_run:
        click.echo("\n".join(_plan_lines(published)))
    else:
        click.echo(published.commit)
    if not quiet:
        click.echo(
            "\n".join([_summary(published, dry_run=dry_run), *map("note: {}".format, published.notes)]), err=True
        )


def _plan_lines(published: Publication) -> list[str]:
    on = "as its first commit" if published.base is None else f"on top of {published.base[:12]}"
    if not published.message:
        lines = [f"nothing to commit: {published.branch} holds this tree at {str(published.base)[:12]}"]
    else:
        lines = [f"would commit to {published.branch} {on}"]
        lines += [f"would write   {path}" for path in published.written]
        lines += [f"would remove  {path}" for path in published.removed]
        lines += ["message:", *(f"  {line}".rstrip() for line in published.message.splitlines())]
    if published.remote is not None:
        lines.append(f"would push {published.branch} to {published.remote}{_along(published)}")
    return lines


def _summary(published: Publication, *, dry_run: bool) -> str:
    counts = f"{len(published.written)} written, {len(published.removed)} removed"
    if published.changes_nothing:
        return f"nothing to publish: {published.branch} of {published.repository} holds this tree already"
    if dry_run:
        return f"{counts}; nothing was changed" if published.message else "nothing was changed"
    pushed = "" if published.remote is None else f", pushed to {published.remote}{_along(published)}"
    made = f"committed to {published.branch} of {published.repository}: {counts}"
    return (made if published.message else f"{published.branch} of {published.repository} held this tree") + pushed


def _along(published: Publication) -> str:
    """Say how many commits of the user's own are pushed, too."""
    number = published.taken_along
    return f", with {count(number, 'commit')} of the clone that it lacked" if number else ""


def _result(published: Publication, dry_run: bool) -> dict[str, Any]:
    values = {name: getattr(published, name) for name in published.__struct_fields__}
    return {**values, "changed": bool(published.message), "dry_run": dry_run}
