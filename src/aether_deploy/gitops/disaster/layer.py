"""What is published while a region is away: a file beneath no other, so that it wins."""

from collections.abc import Mapping
from typing import Any

from aether_deploy.gitops.disaster.loss import RegionLoss
from aether_deploy.manifest.yaml_text import to_yaml
from aether_deploy.platform.placing import EntryView
from aether_deploy.platform.routing import routing_of

_HEAD = """\
# What is published while {region} is away, as one more file behind aether.yaml: disaster-recovery.md has the commands.
# Copy it first: what is rendered with it has another one, or none.
"""


def layer_file(loss: RegionLoss) -> str:
    """Return the name of the layer's file."""
    return f"lost-{loss.code}.yaml"


def layer_text(loss: RegionLoss) -> str:
    """Return the layer as a file; empty where nothing needs be said while the region is away."""
    layer = layer_of(loss)
    return _HEAD.format(region=loss.code) + to_yaml(layer) if layer else ""


def layer_of(loss: RegionLoss) -> Mapping[str, Any]:
    """Return what differs from the description while the region is away.

    Its players stay away though it may look healthy, workloads elsewhere call other regions than it, and Jobs that
    would undo what people do keep still.
    """
    if not loss.others:
        return {}
    layer: dict[str, Any] = {}
    if is_routed(loss):
        layer["routing"] = {"drain": {loss.code: "hard"}}
    for section in ("worlds", "services"):
        moved = [_elsewhere(view, loss.code) for view in loss.orphans if view.section == section]
        layer |= {section: moved} if moved else {}
    patches = [_still(job) for _, recovery in loss.recoveries for job in recovery.still]
    return layer | ({"patches": patches} if patches else {})


def is_routed(loss: RegionLoss) -> bool:
    """Return whether a router or a back end sends players to the region."""
    if routing_of(loss.platform) is None:
        return False
    return loss.code in loss.around.router.codes


def _elsewhere(view: EntryView, lost: str) -> dict[str, Any]:
    return {"name": view.name, "regions": [code for code in view.regions if code != lost]}


def _still(job: str) -> dict[str, Any]:
    return {"name": f"{job}-still", "target": {"kind": "CronJob", "name": job}, "merge": {"spec": {"suspend": True}}}
