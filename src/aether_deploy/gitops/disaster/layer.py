"""What is published while a region is away, and after: files behind all others, so that they win."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from aether_deploy.gitops.disaster.loss import RegionLoss
from aether_deploy.infrastructure.recovery import Recovery
from aether_deploy.manifest.yaml_text import to_yaml
from aether_deploy.platform.placing import EntryView
from aether_deploy.platform.routing import routing_of

_LOST = """\
# What is published while {region} is away, as one more file behind aether.yaml: disaster-recovery.md has the commands.
# Copy it first: what is rendered with it has another one, or none.
"""
_PROMOTED = """\
# What is published once others have taken the place of {region}: disaster-recovery.md has the commands.
# Take the entry of a component out for which that was not done.
"""
_RETURNING = """\
# What is published instead of promoted-{region}.yaml once {region} is back and follows: disaster-recovery.md has the
# commands. What was taken out of that file is taken out of this one, too.
"""
_GONE = """\
# What is published once {region} is never to come back: disaster-recovery.md has the commands, and what else is to be
# decided first, if anything is.
"""


class Layer(msgspec.Struct, frozen=True):
    """One file.

    Attributes:
        file: Its name.
        head: What stands above what it says.
        values: What differs from the description; empty where nothing needs be said.
        environment: The environment whose overlay says it, since an overlay is stronger than every file; None where the
            description has no overlays.
    """

    file: str
    head: str
    values: Mapping[str, Any]
    environment: str | None

    @property
    def text(self) -> str:
        """The file; empty where nothing needs be said."""
        if not self.values:
            return ""
        said = self.values if self.environment is None else {"environments": {self.environment: self.values}}
        return self.head + to_yaml(said)


def layers_of(loss: RegionLoss) -> tuple[Layer, ...]:
    """Return every layer of a region that has something to say."""
    found = (lost_layer(loss), promoted_layer(loss), returning_layer(loss), gone_layer(loss))
    return tuple(each for each in found if each.values)


def lost_layer(loss: RegionLoss) -> Layer:
    """Return what differs from the description while the region is away.

    Its players stay away though it may look healthy, workloads elsewhere call other regions than it, and Jobs that
    would undo what people do keep still.
    """
    layer: dict[str, Any] = {}
    if loss.others and is_routed(loss):
        layer["routing"] = {"drain": {loss.code: "hard"}}
    layer |= _workloads(loss.orphans, loss.code) if loss.others else {}
    patches = [_still(job) for _, recovery in loss.recoveries for job in recovery.still] if loss.others else []
    return _layer(loss, "lost", _LOST, layer | ({"patches": patches} if patches else {}))


def promoted_layer(loss: RegionLoss) -> Layer:
    """Return what differs once other regions have taken the place of this one, wherever somebody must let them."""
    return _layer(loss, "promoted", _PROMOTED, _components(loss, lambda each: each.promoted))


def returning_layer(loss: RegionLoss) -> Layer:
    """Return what differs once the region follows those that took its place; empty: what was said before holds."""
    changes = any(recovery.returning for _, recovery in loss.recoveries)
    layer = _components(loss, lambda each: each.returning or each.promoted) if changes else {}
    return _layer(loss, "returning", _RETURNING, layer)


def gone_layer(loss: RegionLoss) -> Layer:
    """Return what follows from the loss for good; what does not follow from it, people decide."""
    if not loss.others:
        return _layer(loss, "gone", _GONE, {})
    listed = [
        view
        for view in loss.platform.authored
        if isinstance(view.entry.get("regions"), (list, tuple)) and loss.code in view.regions
    ]
    layer: dict[str, Any] = {"regions": [{"code": loss.code, "enabled": False}]}
    layer |= _workloads([view for view in listed if len(view.regions) > 1], loss.code)
    return _layer(loss, "gone", _GONE, layer | _components(loss, lambda each: each.without))


def is_routed(loss: RegionLoss) -> bool:
    """Return whether a router or a back end sends players to the region."""
    if routing_of(loss.platform) is None:
        return False
    return loss.code in loss.around.router.codes


def _layer(loss: RegionLoss, what: str, head: str, values: Mapping[str, Any]) -> Layer:
    environment = loss.platform.environment if loss.platform.environments else None
    return Layer(f"{what}-{loss.code}.yaml", head.format(region=loss.code), values, environment)


def _components(loss: RegionLoss, fields_of: Callable[[Recovery], Mapping[str, Any]]) -> dict[str, Any]:
    said = [{"name": each.name, **fields} for each, recovery in loss.recoveries if (fields := fields_of(recovery))]
    return {"components": said} if said and loss.others else {}


def _workloads(views: Iterable[EntryView], lost: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for view in sorted(views, key=lambda each: each.section != "worlds"):
        left = [code for code in view.regions if code != lost]
        found.setdefault(view.section, []).append({"name": view.name, "regions": left})
    return found


def _still(job: str) -> dict[str, Any]:
    return {"name": f"{job}-still", "target": {"kind": "CronJob", "name": job}, "merge": {"spec": {"suspend": True}}}
