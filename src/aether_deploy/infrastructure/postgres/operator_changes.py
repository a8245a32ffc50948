"""What Zalando's operator makes of a change of its object, and of its end.

Source: zalando/postgres-operator v2.0.1, ``docs/administrator.md`` and ``docs/reference/operator_parameters.md``.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from aether_deploy.infrastructure.component import FileChange
from aether_deploy.infrastructure.postgres.changes import of_an_operators_version
from aether_deploy.manifest.value import value_at
from aether_deploy.quantities import parse_quantity

OBJECT_GONE = FileChange(
    "data at risk",
    "the operator takes the cluster away with it, and deletes its claims, with all data, unless its own "
    "enable_persistent_volume_claim_deletion is false",
)
_ONE_BY_ONE = FileChange(
    "restarts", "the operator replaces the pods one after another, and lets another one lead before the primary goes"
)
_SMALLER = FileChange("refused", "volumes do not shrink, and the operator leaves them as they are")
_OTHER_CLASS = FileChange("refused", "volumes that exist keep their class: move to a second component, and copy")
_OF_PODS = (
    "dockerImage",
    "resources",
    "tls",
    "podAnnotations",
    "podPriorityClassName",
    "tolerations",
    "nodeAffinity",
    "topologySpreadConstraints",
    "spiloRunAsUser",
    "spiloRunAsGroup",
    "spiloFSGroup",
    "enableShmVolume",
)


def operator_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> Sequence[FileChange]:
    """Return what a change of a ``postgresql`` object does that is more than a reload of settings."""
    return list(_changes(*(body.get("spec") or {} for body in (before, after))))


def _changes(was: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[FileChange]:
    old, new = (value_at(spec, ("postgresql", "version")) for spec in (was, now))
    if old and new and old != new:
        yield of_an_operators_version(int(old), int(new))
    if any(was.get(name) != now.get(name) for name in _OF_PODS):
        yield _ONE_BY_ONE
    larger, size = (value_at(spec, ("volume", "size")) for spec in (was, now))
    if larger and size and parse_quantity(size) < parse_quantity(larger):
        yield _SMALLER
    if value_at(was, ("volume", "storageClass")) != value_at(now, ("volume", "storageClass")):
        yield _OTHER_CLASS
