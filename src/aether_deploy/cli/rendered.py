"""A description read, judged and rendered into a tree, and compared: the steps of every verb that deals with trees."""

from collections.abc import Sequence
from typing import NamedTuple

from aether_deploy.cli.inputs import judge, print_warnings, read_files, stop_for_problems
from aether_deploy.delivery.comparing import diff_trees
from aether_deploy.delivery.loading import Description, Judgement
from aether_deploy.delivery.tree_reading import StoredTree
from aether_deploy.gitops.diff.changes import Diff
from aether_deploy.gitops.pieces import RenderedCluster
from aether_deploy.gitops.render import check_clusters, render_tree
from aether_deploy.gitops.tree import Tree
from aether_deploy.problems import ConfigError, Problem


class Rendered(NamedTuple):
    """A description without errors, and its tree.

    Attributes:
        description: What was read.
        judgement: Its environments, and what there is to warn of.
        tree: What they render to.
        clusters: The manifests that the tree was made of.
    """

    description: Description
    judgement: Judgement
    tree: Tree
    clusters: list[RenderedCluster]

    @property
    def environments(self) -> list[str]:
        """The environments that were rendered."""
        return [evaluation.environment for evaluation in self.judgement.evaluations]

    @property
    def complete(self) -> bool:
        """Whether these are all environments that there are."""
        return set(self.environments) == set(self.description.document.environments())

    @property
    def root(self) -> str:
        """Where the tree lies in its repository.

        Raises:
            ConfigError: Environments differ in it.
        """
        return same_everywhere("path", [each.gitops.path for each in self.judgement.platforms])

    def warn(self, *, quiet: bool) -> None:
        """Print the warnings to standard error."""
        print_warnings(self.description, self.judgement, quiet=quiet)


def same_everywhere(field: str, values: Sequence[str]) -> str:
    """Return the one value of ``gitops.<field>`` that all environments have: one commit goes to one place.

    Raises:
        ConfigError: They differ.
    """
    if len(set(values)) > 1:
        reason = f"differs between environments: {', '.join(sorted(set(values)))}"
        fix = "take them one by one, with --env NAME"
        raise ConfigError([Problem(path=f"$.gitops.{field}", reason=reason, fix=fix)])
    return values[0]


def render_files(
    verb: str,
    files: Sequence[str],
    environment: str | None,
    settings: Sequence[str],
    *,
    every: bool = True,
    strict: bool = False,
    as_json: bool = False,
) -> Rendered | int:
    """Return what the arguments of a verb render to; the exit code where problems stop it, which it has printed then.

    Args:
        verb: The verb, for its answer.
        files: The FILE arguments.
        environment: What ``--env`` names.
        settings: The values of ``--set``.
        every: Without ``--env``, render all environments instead of the first.
        strict: Warnings count as errors.
        as_json: Print problems as an object.
    """
    description = read_files(files, settings)
    judgement = judge(description, environment, every=every)
    judgement = judgement.strictly() if strict else judgement
    if judgement.failed:
        return stop_for_problems(verb, description, judgement, as_json=as_json)
    tree, clusters = render_tree(judgement.platforms, judgement.files)
    judgement = judgement.with_problems(check_clusters(clusters))
    judgement = judgement.strictly() if strict else judgement
    if judgement.failed:
        return stop_for_problems(verb, description, judgement, as_json=as_json)
    return Rendered(description, judgement, tree, clusters)


def diff_rendered(rendered: Rendered, before: StoredTree | Tree, *, root: str, asked: str | None) -> Diff:
    """Return what it does to clusters that a description was rendered anew.

    Args:
        rendered: The description.
        before: What was there.
        root: Where the tree lies, for commands.
        asked: What ``--env`` names; without it, environments that are gone count too.
    """
    environments = rendered.environments
    if asked is None:
        stored = before.units if isinstance(before, StoredTree) else {unit.path: unit for unit in before.units}
        environments += sorted({unit.environment for unit in stored.values()} - set(environments))
    return diff_trees(rendered.judgement.platforms, before, rendered.tree, root=root, environments=environments)
