"""The section ``gitops``: which engine applies the tree, from which repository, in which pieces."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from aether_deploy.config.base import FILLED, Config, Fault, rule
from aether_deploy.config.marks import Placeholders, TextRule
from aether_deploy.config.types import DnsLabel, ObjectName, seconds

if TYPE_CHECKING:
    from aether_deploy.platform.config import Platform

PIECES = ("cluster", "monitoring", "data-secrets")
"""Pieces that every cluster may have beside those of its workloads and components."""

Engine = Literal["none", "argocd", "flux"]
FIELD_MANAGERS: Mapping[Engine, str] = {
    "argocd": "argocd-controller",
    "flux": "kustomize-controller",
    "none": "kubectl",
}
Repository = Annotated[
    str,
    TextRule(
        what="the address of a Git repository",
        pattern=r"((https?|ssh)://([A-Za-z0-9_.-]+@)?[^\s/@]+/\S+|[A-Za-z0-9_.-]+@[A-Za-z0-9.-]+:\S+)",
        fix="write https://host/path.git or ssh://git@host/path.git, without a password",
    ),
]
Revision = Annotated[
    str,
    TextRule(
        what="a branch",
        pattern=r"[A-Za-z0-9_][A-Za-z0-9_.+/-]*",
        fix="name a branch, such as main or releases/eu",
        max_length=200,
    ),
]
TreePath = Annotated[
    str,
    TextRule(
        what="a folder of the repository",
        pattern=r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*",
        fix="write a relative path with '/', such as deploy",
        max_length=200,
    ),
]
ClusterName = Annotated[str, Placeholders(("environment", "cluster"))]


class ArgoCdConfig(Config):
    """How Argo CD applies the tree.

    Attributes:
        namespace: Namespace that Argo CD runs in.
        cluster_name: Name by which Argo CD knows a cluster; ``{environment}`` and ``{cluster}`` are filled in.
    """

    namespace: DnsLabel = "argocd"
    cluster_name: ClusterName = "{environment}-{cluster}"

    @rule
    def clusters_are_told_apart(self) -> Iterator[Fault]:
        if "{cluster}" not in self.cluster_name:
            yield Fault(
                ("cluster_name",),
                "the same for every cluster",
                "let {cluster} stand in it",
                self.cluster_name,
            )


class FluxConfig(Config):
    """How Flux applies the tree.

    Attributes:
        namespace: Namespace that Flux runs in.
        secret: Secret in that namespace with the credentials for ``repo``; left out, it is read without any.
        interval_secs: Pause between two looks at the repository, seconds.
        timeout_secs: How long a step may take to become healthy before it counts as failed, seconds.
    """

    namespace: DnsLabel = "flux-system"
    secret: ObjectName | None = None
    interval_secs: Annotated[int, seconds(ge=5, le=86400)] = 60
    timeout_secs: Annotated[int, seconds(ge=10, le=86400)] = 300


class GitOpsConfig(Config):
    """Who applies the tree, and from where.

    Attributes:
        engine: ``argocd`` or ``flux`` renders its objects beside the clusters' folders; ``none`` leaves applying
            to you.
        repo: Address of the repository that the tree is published to; an engine needs it.
        revision: The branch that the engine follows.
        path: Folder of the repository that the tree lies in.
        split: What is applied as one piece: a whole ``cluster``, or each ``workload`` of its own. A piece with
            more than 1,000 objects runs into the time limits of engines.
        argocd: How Argo CD applies the tree.
        flux: How Flux applies the tree.
    """

    engine: Engine = "none"
    repo: Repository | None = None
    revision: Revision = "main"
    path: TreePath = "deploy"
    split: Literal["cluster", "workload"] = "cluster"
    argocd: ArgoCdConfig = FILLED
    flux: FluxConfig = FILLED

    @classmethod
    def fill(cls, given: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"argocd": {}, "flux": {}, **given}

    @property
    def field_manager(self) -> str:
        """Name by which the engine owns the fields that it applies."""
        return FIELD_MANAGERS[self.engine]

    @rule
    def engines_read_a_repository(self) -> Iterator[Fault]:
        if self.engine != "none" and self.repo is None:
            yield Fault(("engine",), "it has nothing to read", "add repo, or leave engine out", self.engine)

    @rule
    def branches_are_names(self) -> Iterator[Fault]:
        if ".." in self.revision or self.revision.endswith((".lock", "/", ".")):
            fix = "name a branch, such as main"
            yield Fault(("revision",), "no name that Git takes for a branch", fix, self.revision)


def pieces_are_told_apart(self: "Platform") -> Iterator[Fault]:
    """Where each workload and component is a piece of its own, the engine's objects are named by it."""
    if self.gitops.engine == "none" or self.gitops.split == "cluster":
        return
    named: list[tuple[tuple[str | int, ...], str]] = [(view.at, view.name) for view in self.entries]
    named += [(("components", place), each.name) for place, each in enumerate(self.components)]
    for at, name in named:
        if name in PIECES:
            reason = "with gitops.split: workload, the name of a piece that every cluster has"
            yield Fault((*at, "name"), reason, "give it another name", name)
