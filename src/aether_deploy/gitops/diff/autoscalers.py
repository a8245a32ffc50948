"""What a change of an autoscaler does to the number of pods.

Sources: ``docs/scaling.md``; Kubernetes 1.37 ``pkg/controller/podautoscaler/horizontal.go``.
"""

from collections.abc import Sequence

from msgspec import UNSET

from aether_deploy.gitops.diff.changes import Body, Change, Danger, Effect, ObjectKey, change_of
from aether_deploy.gitops.diff.fields import FieldChange
from aether_deploy.gitops.diff.folder import FolderPair
from aether_deploy.gitops.diff.workloads import fewer_pods, loses_claims
from aether_deploy.quantities import QuantityError, parse_quantity

_LEAST = ("minReplicas", "minReplicaCount")
_MOST = ("maxReplicas", "maxReplicaCount")
_AMOUNTS = ("averageValue", "value", "threshold", "averageUtilization")


def autoscaler_changes(
    folder: FolderPair, key: ObjectKey, before: Body, after: Body, fields: Sequence[FieldChange]
) -> list[Change]:
    """Return what the changed ``fields`` of a HorizontalPodAutoscaler or a ScaledObject do."""
    scaling: list[FieldChange] = []
    quiet: list[FieldChange] = []
    says: list[str] = []
    down = False
    for each in fields:
        said, fewer = _consequence(folder, before, after, each)
        down |= fewer
        (scaling if said else quiet).append(each)
        says += [said] if said and said not in says else []
    changes = []
    if scaling:
        danger = None if down else Danger.SAFE
        effect = Effect.DATA if down and _loses_claims(folder, after) else Effect.SCALES
        changes.append(change_of(effect, folder.unit, key, danger=danger, fields=scaling, says=says))
    if quiet:
        changes.append(change_of(Effect.IN_PLACE, folder.unit, key, fields=quiet))
    return changes


def _loses_claims(folder: FolderPair, autoscaler: Body) -> bool:
    found = folder.target_of(folder.after, autoscaler)
    return found is not None and loses_claims(found[1])


def _consequence(folder: FolderPair, before: Body, after: Body, field: FieldChange) -> tuple[str, bool]:
    """Return what a field does to the number of pods, and whether pods may end by it; nothing where it does nothing."""
    if field.at == ("spec", "scaleTargetRef", "name"):
        return "another workload is scaled; nobody scales the old one any more", True
    if field.at[:1] != ("spec",) or not (field.at[1:2] and field.at[1] in (*_LEAST, *_MOST, "metrics", "triggers")):
        return "", False
    old, new = _number(field.before), _number(field.after)
    if field.at[1] in _LEAST:
        return ("" if new <= old else f"fewer than {new:g} become {new:g} at once"), False
    if field.at[1] in _MOST:
        return _lower_most(folder, after, old, new)
    if field.at[-1] in _AMOUNTS and old > 0 and new > 0:
        return f"for as many players about {old / new:.2f} times as many pods", new > old
    return "the count follows another metric from now on", True


def _lower_most(folder: FolderPair, after: Body, old: float, new: float) -> tuple[str, bool]:
    if new >= old:
        return "", False
    found = folder.target_of(folder.after, after)
    fewer = fewer_pods(found[1], int(old - new)) if found is not None else f"up to {old - new:g} pods end"
    return f"more than {new:g} become {new:g} at once: {fewer}", True


def _number(value: object) -> float:
    """Return a bound or a target as a number; 0 for what is none. A bound that is left out is 1."""
    if value is UNSET:
        return 1.0
    try:
        return parse_quantity(str(value)).nanos / 1e9
    except QuantityError:
        return 0.0
