"""The page about losing a region: for each one what happens by itself, and what people do."""

from collections.abc import Iterator, Sequence

from aether_deploy.gitops.disaster.happening import happening_text
from aether_deploy.gitops.disaster.layer import layers_of
from aether_deploy.gitops.disaster.loss import RegionLoss, losses_of
from aether_deploy.gitops.disaster.steps import gone_steps, lost_steps, returned_steps, steps_text
from aether_deploy.gitops.tree import TreeFile
from aether_deploy.platform.config import Platform

PAGE = "disaster-recovery.md"
SOURCE = "regions"


def disaster_files(platform: Platform) -> Iterator[TreeFile]:
    """Yield the page, and the layers of each region that are published while it is away and after.

    A platform of one region without components gets neither: all that is to be known of its loss is that it is lost.
    """
    losses = losses_of(platform)
    if len(losses) < 2 and not any(loss.components for loss in losses):
        return
    yield TreeFile(path=PAGE, text=page_text(platform, losses), source=SOURCE)
    for loss in losses:
        for layer in layers_of(loss):
            yield TreeFile(path=layer.file, text=layer.text, source=SOURCE)


def page_text(platform: Platform, losses: Sequence[RegionLoss]) -> str:
    """Return the page as Markdown; equal platforms give equal pages."""
    parts = [_head(platform, losses), *_functions(losses)]
    for loss in losses:
        parts += [
            f"## {loss.code} is lost\n",
            "### What happens by itself\n",
            happening_text(loss),
            "### What people do\n",
            steps_text(lost_steps(loss)),
        ]
        for title, steps in ((f"When {loss.code} is back", returned_steps(loss)), ("If it never is", gone_steps(loss))):
            if text := steps_text(steps):
                parts += [f"### {title}\n", text]
    return "\n".join(parts)


_HEAD = """\
# Losing a region: {system}, environment {environment}

Times and losses are those of `aether-deploy analyze` and `aether-deploy routing whatif` for this description. What is
said of a component is from its own runbook, which has more. Commands use `kubectl` with a context for each cluster,
named as it is, and are given where aether.yaml and `{path}` lie.

**Every command that publishes also names, right behind aether.yaml, all files of earlier losses that were published
before and still hold**: `aether.yaml promoted-A.yaml lost-B.yaml`. It publishes what it names and undoes all else, a
promotion, too, whose old primary would take writes again.

{regions}
"""


def _head(platform: Platform, losses: Sequence[RegionLoss]) -> str:
    lines = ["| region | cluster | zones | room for players | if it is lost |", "| --- | --- | --- | --- | --- |"]
    for loss in losses:
        region = platform.estate.region(loss.code)
        zones = ", ".join(region.zones) if region is not None else ""
        room = loss.around.room[loss.code] or "unknown"
        there = f"[below](#{loss.code}-is-lost)"
        lines.append(f"| {loss.code} | {loss.cluster} | {zones} | {room} | {there} |")
    return _HEAD.format(
        system=platform.name,
        environment=platform.environment,
        path=platform.gitops.path,
        regions="\n".join(lines),
    )


def _functions(losses: Sequence[RegionLoss]) -> Iterator[str]:
    """Yield the shell functions that commands below use, each text once."""
    found = dict.fromkeys(
        recovery.functions for loss in losses for _, recovery in loss.recoveries if recovery.functions
    )
    if found:
        yield "## Shell functions\n"
        yield from found
