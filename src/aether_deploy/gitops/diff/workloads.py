"""What a change of a StatefulSet or a Deployment does: refused, rolls, scales, changes hands, or nothing to its pods.

Sources: Kubernetes 1.37 ``pkg/apis/apps/validation``, ``pkg/controller/{statefulset,deployment}``; the documentation of
server-side apply for who owns ``spec.replicas``.
"""

import math
from collections.abc import Iterable, Sequence

from msgspec import UNSET

from aether_deploy.gitops.diff.changes import Body, Change, Danger, Effect, ObjectKey, change_of
from aether_deploy.gitops.diff.fields import FieldChange
from aether_deploy.gitops.diff.folder import FolderPair
from aether_deploy.gitops.diff.pods import (
    MIRRORED,
    first_ordinal,
    players_per_pod,
    pod_count,
    replacement_lines,
    replacement_of,
)
from aether_deploy.gitops.diff.recipes import (
    hand_over_last_applied,
    hand_over_to_autoscaler,
    recreate_object,
    recreate_workload,
)
from aether_deploy.manifest.immutable import immutable_fields
from aether_deploy.quantities import QuantityError, parse_quantity

_RETENTION = ("spec", "persistentVolumeClaimRetentionPolicy")
_CLAIMS = ("spec", "volumeClaimTemplates")
_ORDINALS = ("spec", "ordinals")
_REPLICAS = ("spec", "replicas")
_TEMPLATE = ("spec", "template")
_ANNOTATIONS = ("metadata", "annotations")


def workload_changes(
    folder: FolderPair, key: ObjectKey, before: Body, after: Body, fields: Sequence[FieldChange]
) -> list[Change]:
    """Return what the changed ``fields`` of a StatefulSet or Deployment do."""
    left = [each for each in fields if not (each.at[:2] == _ANNOTATIONS and each.at[-1].startswith(MIRRORED))]
    refused = _take(left, *immutable_fields(before, after))
    retention = _take(left, _RETENTION) if _newly_deleted(before, after) else []
    replicas, ordinals, template = _take(left, _REPLICAS), _take(left, _ORDINALS), _take(left, _TEMPLATE)
    changes = [*_refused(folder, key, after, refused), *_retention(folder, key, before, after, retention)]
    changes += _replicas(folder, key, before, after, replicas)
    changes += _moved_ordinals(folder, key, before, after, ordinals)
    if template:
        changes.append(_roll(folder, key, before, after, template))
    if left:
        changes.append(_in_place(folder, key, before, after, left, rolls=bool(template)))
    return changes


def _take(fields: list[FieldChange], *places: Sequence[str]) -> list[FieldChange]:
    """Take the fields at ``places`` out of ``fields``, and return them."""
    taken = [each for each in fields if any(_touches(each, place) for place in places)]
    fields[:] = [each for each in fields if each not in taken]
    return taken


def _touches(field: FieldChange, place: Sequence[str]) -> bool:
    """Return whether a field is at, below or above a place: what is above was added or removed as a whole."""
    return field.below(*place) or tuple(place[: len(field.at)]) == field.at


def _refused(folder: FolderPair, key: ObjectKey, after: Body, fields: Sequence[FieldChange]) -> Iterable[Change]:
    if not fields:
        return
    if key.kind == "StatefulSet":
        says = ["way out: keep the pods, recreate the object"]
        if any(each.below(*_CLAIMS) for each in fields):
            says[0] += "; claims that exist stay as they are"
        if any(_grows(each) for each in fields):
            says.insert(0, "claims that exist grow by kubectl patch pvc, one by one, where their class allows it")
        owned = folder.autoscaler_of(folder.after, key) is not None
        way_out = recreate_workload(key, folder.place, autoscaled=owned)
    else:
        says = ["way out: recreate the object; all its pods end, and new ones start"]
        players = players_per_pod(after)
        if players is not None:
            says[0] += f" (up to {players * pod_count(after).most} players move)"
        way_out = recreate_object(key, folder.place)
    yield change_of(Effect.REFUSED, folder.unit, key, fields=list(fields), says=says, way_out=way_out)


_WHEN = {"whenScaled": "when a pod is scaled away", "whenDeleted": "when the StatefulSet is deleted"}


def _newly_deleted(before: Body, after: Body) -> list[str]:
    """Return when claims go that did not go before."""
    old, new = (body["spec"].get(_RETENTION[1]) or {} for body in (before, after))
    return [when for when in _WHEN if new.get(when) == "Delete" and old.get(when) != "Delete"]


def _grows(field: FieldChange) -> bool:
    """Return whether a field is the size of a claim, and becomes larger."""
    if field.at[-1] != "storage" or not field.below(*_CLAIMS):
        return False
    try:
        return parse_quantity(str(field.after)) > parse_quantity(str(field.before))
    except QuantityError:
        return False


def _retention(
    folder: FolderPair, key: ObjectKey, before: Body, after: Body, fields: Sequence[FieldChange]
) -> Iterable[Change]:
    if fields:
        says = [
            f"from now on a claim is deleted, with its data, {_WHEN[when]}" for when in _newly_deleted(before, after)
        ]
        yield change_of(Effect.DATA, folder.unit, key, fields=list(fields), says=says)


def _replicas(
    folder: FolderPair, key: ObjectKey, before: Body, after: Body, fields: Sequence[FieldChange]
) -> Iterable[Change]:
    if not fields:
        return
    (field,) = fields
    owned = folder.autoscaler_of(folder.after, key) is not None
    if field.after is UNSET and not owned:
        yield _set(folder, key, before, after, field)  # nobody has it then, so it goes back to its default
    elif field.after is UNSET or (owned and field.before is not UNSET):
        yield _given_up(folder, key, after, field)
    elif field.before is UNSET and folder.autoscaler_of(folder.before, key) is not None:
        yield _taken_back(folder, key, before, field)
    else:
        yield _set(folder, key, before, after, field)


def _given_up(folder: FolderPair, key: ObjectKey, after: Body, field: FieldChange) -> Change:
    owner = folder.autoscaler_of(folder.after, key)
    whom = f"the {owner['kind']} '{owner['metadata']['name']}'" if owner is not None else "nobody"
    says = [
        f"Git gives the count up to {whom}; if only Git ever set it, it falls from {field.before} to 1 at once",
        "way out: before this is applied, let another owner hold it",
    ]
    way_out = [*hand_over_to_autoscaler(key), *hand_over_last_applied(key)]
    return change_of(Effect.HAND_OVER, folder.unit, key, fields=[field], says=says, way_out=way_out)


def _taken_back(folder: FolderPair, key: ObjectKey, before: Body, field: FieldChange) -> Change:
    """Git takes the count back from an autoscaler that goes."""
    ran = pod_count(before)
    says = [f"Git takes the count back from its autoscaler: whatever runs ({ran}) becomes {field.after}"]
    players, fewer = players_per_pod(before), max(ran.most - field.after, 0)
    if fewer:
        moved = f", and up to {fewer * players} players move" if players is not None else ""
        says.append(f"up to {fewer} pods end at once{moved}; to avoid that, first set the bounds to {field.after}")
    return change_of(Effect.HAND_OVER, folder.unit, key, danger=Danger.ATTENTION, fields=[field], says=says)


def _set(folder: FolderPair, key: ObjectKey, before: Body, after: Body, field: FieldChange) -> Change:
    old, new = (value if isinstance(value, int) else 1 for value in (field.before, field.after))
    if new >= old:
        says = [f"{new - old} more {'starts' if new - old == 1 else 'start'}"]
        return change_of(Effect.SCALES, folder.unit, key, danger=Danger.SAFE, fields=[field], says=says)
    effect = Effect.DATA if loses_claims(after) else Effect.SCALES
    return change_of(effect, folder.unit, key, fields=[field], says=[fewer_pods(after, old - new, at_most=False)])


def loses_claims(workload: Body) -> bool:
    """Return whether the claims of pods that are scaled away are deleted."""
    spec = workload["spec"]
    return bool(spec.get("volumeClaimTemplates")) and (spec.get(_RETENTION[1]) or {}).get("whenScaled") == "Delete"


def fewer_pods(workload: Body, fewer: int, *, at_most: bool = True) -> str:
    """Return what it means that ``fewer`` pods of a workload end."""
    which = f", the highest {'ordinal' if fewer == 1 else 'ordinals'}" if workload["kind"] == "StatefulSet" else ""
    players = players_per_pod(workload)
    moved = f"; up to {fewer * players} players move" if players is not None else ""
    lost = "; their claims are deleted, with their data" if loses_claims(workload) else ""
    return f"{'up to ' if at_most else ''}{fewer} {'pod ends' if fewer == 1 else 'pods end'}{which}{moved}{lost}"


def _moved_ordinals(
    folder: FolderPair, key: ObjectKey, before: Body, after: Body, fields: Sequence[FieldChange]
) -> Iterable[Change]:
    """Other ordinals are other pods, with other volumes."""
    if not fields:
        return
    (old, new), count = (first_ordinal(before), first_ordinal(after)), pod_count(after)
    moved = min(abs(new - old), count.most)
    which = "lowest" if new > old else "highest"
    says = [f"ordinals begin at {new}, not at {old}: the {which} {moved} of its pods end, as many others start"]
    if after["spec"].get("volumeClaimTemplates"):
        says[0] += " with volumes of their own; the old claims " + ("are deleted" if loses_claims(after) else "stay")
    yield change_of(
        Effect.DATA if loses_claims(after) else Effect.SCALES, folder.unit, key, fields=list(fields), says=says
    )


def _roll(folder: FolderPair, key: ObjectKey, before: Body, after: Body, fields: list[FieldChange]) -> Change:
    says = replacement_lines(before, after)
    mounts = [each for each in fields if any(step.startswith("volumeMounts") for step in each.at)]
    claims = {claim["metadata"]["name"] for claim in after["spec"].get("volumeClaimTemplates", ())}
    if any(claim in str(each.before) or f"[{claim}]" in each.at for each in mounts for claim in claims):
        says.append("the volume is mounted elsewhere: what looks for its files at the old path finds none")
    if not replacement_of(before, after).pods.most:
        return change_of(Effect.IN_PLACE, folder.unit, key, fields=fields, says=says, danger=Danger.ATTENTION)
    return change_of(Effect.ROLLS, folder.unit, key, fields=fields, says=says)


def _in_place(
    folder: FolderPair, key: ObjectKey, before: Body, after: Body, fields: list[FieldChange], *, rolls: bool
) -> Change:
    says = []
    if not rolls and _held_back(before) > _held_back(after):
        says.append("pods that still run an older template, which was held back so far, roll now")
    danger = Danger.ATTENTION if says else None
    return change_of(Effect.IN_PLACE, folder.unit, key, danger=danger, fields=fields, says=says)


def _held_back(workload: Body) -> float:
    """Return up to which ordinal, or whether at all, a new template waits: more means that more pods wait."""
    spec = workload["spec"]
    strategy = spec.get("updateStrategy") or {}
    if spec.get("paused") is True or strategy.get("type") == "OnDelete":
        return math.inf
    return float((strategy.get("rollingUpdate") or {}).get("partition") or 0)
