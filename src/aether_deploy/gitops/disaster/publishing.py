"""How a description gets to clusters: as commands that look, and others, apart from them, that do it."""

from collections.abc import Iterable, Sequence

from aether_deploy.infrastructure.recovery import shell
from aether_deploy.platform.config import Platform

SAYING_ALL = "**Name, right behind aether.yaml, every file of an earlier loss that is still published.**"
"""Said of each command that publishes: it publishes what it names, and nothing else."""


def publishing(platform: Platform, layers: Sequence[str], clusters: Iterable[str]) -> str:
    """Return the commands by which aether.yaml with ``layers`` gets to ``clusters``: a look, then the deed.

    The commands of the deed are joined: nothing is applied that was not rendered.
    """
    files = " ".join(["aether.yaml", *layers])
    gitops, environment = platform.gitops, platform.environment
    if gitops.repo is not None:
        publish = f"aether-deploy publish {files} --env {environment}"
        look, do = f"{publish} --dry-run", [f"{publish} --push"]
    else:
        look = f"aether-deploy diff {files} --env {environment} --against {gitops.path}"
        do = [f"aether-deploy render {files} --env {environment} -o {gitops.path}"]
    for cluster in clusters if gitops.engine == "none" else ():
        folder = f"{gitops.path}/{environment}/clusters/{cluster}"
        do.append(f"kubectl --context {cluster} apply --server-side -k {folder}")
    return f"{SAYING_ALL} Look:\n\n{shell([look])}\nThen, if that is what you want:\n\n{shell(joined(do))}"


def joined(commands: Sequence[str]) -> list[str]:
    """Return commands of which each is run only if those before it succeeded."""
    return [*(f"{each} &&" for each in commands[:-1]), *commands[-1:]]
