"""What it means that objects come, go, or come under another name."""

from collections.abc import Iterable, Sequence

import msgspec

from aether_deploy.gitops.diff.changes import Body, Change, Danger, Effect, ObjectKey, change_of
from aether_deploy.gitops.diff.components import TAKEN_UP, component_of
from aether_deploy.gitops.diff.folder import AUTOSCALERS, WORKLOADS, FolderPair, Pair
from aether_deploy.gitops.diff.pods import formerly, players_per_pod, pod_count
from aether_deploy.gitops.diff.recipes import move_volumes

_WHAT_GOES = {
    "Service": "its name finds nobody any more",
    "HorizontalPodAutoscaler": "nobody scales its workload any more",
    "ScaledObject": "nobody scales its workload any more",
    "NetworkPolicy": "what it kept out comes in",
    "APIService": "autoscalers lose the metrics that it serves",
    "ExternalSecret": "the Secret that it made goes with it, and pods that need it no longer start",
    "SealedSecret": "the Secret that it made goes with it, and pods that need it no longer start",
    "PodMonitor": "nobody scrapes its pods any more, so autoscalers that read their metrics hold still",
    "PrometheusRule": "nobody records or alerts by it any more, so autoscalers that read what it recorded hold still",
}
"""What it means that an object goes on its own; others just go."""


class Passing(msgspec.Struct, frozen=True):
    """Objects of one folder that are in one of both states only."""

    folder: FolderPair
    gone: tuple[Pair, ...]
    new: tuple[Pair, ...]


def passing_of(folder: FolderPair) -> Passing:
    """Return what comes and what goes in a folder."""
    pairs = list(folder.pairs())
    return Passing(
        folder,
        tuple(each for each in pairs if each.after is None),
        tuple(each for each in pairs if each.before is None),
    )


def arrival_changes(passing: Sequence[Passing]) -> list[Change]:
    """Return what comes and goes in the folders of one unit; a renamed workload is told as one change.

    Args:
        passing: What comes and goes, by folder.
    """
    renamed = dict(_renamed(passing))
    new_names = {key for key, _, _ in renamed.values()}
    changes = []
    for each in passing:
        changes += _gone(each, renamed)
        changes += _new(each, new_names)
    return changes


def _renamed(passing: Sequence[Passing]) -> Iterable[tuple[ObjectKey, tuple[ObjectKey, Body, FolderPair]]]:
    """Yield each workload that goes and comes back under another name, as ``formerly`` says."""
    gone = {each.key: each for passed in passing for each in passed.gone if each.key.kind in WORKLOADS}
    new = [(each, passed.folder) for passed in passing for each in passed.new if each.key.kind in WORKLOADS]
    for each, folder in new:
        assert each.after is not None
        old = msgspec.structs.replace(each.key, name=formerly(each.after) or "")
        if old in gone:
            yield old, (each.key, each.after, folder)


def _gone(passed: Passing, renamed: dict[ObjectKey, tuple[ObjectKey, Body, FolderPair]]) -> list[Change]:
    unit = passed.folder.unit
    heads = [each for each in passed.gone if each.key.kind in (*WORKLOADS, "Namespace")]
    rest = [each.key for each in passed.gone if each not in heads]
    changes = []
    for each in heads:
        assert each.before is not None
        if each.key.kind == "Namespace":
            changes.append(change_of(Effect.DATA, unit, each.key, says=[_NAMESPACE]))
        elif each.key in renamed:
            changes.append(_rename(unit, each, renamed[each.key], rest))
        else:
            changes.append(_removed_workload(unit, each.key, each.before, rest))
        rest = [] if each.key.kind in WORKLOADS else rest
    for key in rest:
        if (told := _told_by_its_kind(passed.folder, key)) is not None:
            changes.append(told)
            continue
        says = _what_goes(passed.folder, key)
        danger = Danger.ATTENTION if says else Danger.SAFE
        changes.append(change_of(Effect.REMOVED, unit, key, danger=danger, says=says))
    return changes


def _told_by_its_kind(folder: FolderPair, key: ObjectKey) -> Change | None:
    """Return what the end of an operator's object does to a component; None where its kind knows nothing of it."""
    component = component_of(folder.before[key])
    told = None if component is None else component.object_gone(folder.before[key])
    return None if told is None else change_of(TAKEN_UP[told.effect], folder.unit, key, says=[told.says])


def _what_goes(folder: FolderPair, key: ObjectKey) -> list[str]:
    if key.kind in AUTOSCALERS:
        target = folder.target_of(folder.after, folder.before[key])
        if target is not None and (other := folder.autoscaler_of(folder.after, target[0])) is not None:
            return [f"the {other['kind']} '{other['metadata']['name']}' scales its workload from now on"]
    if key.kind == "Service" and folder.before[key].get("spec", {}).get("type") == "LoadBalancer":
        return ["its load balancer goes, with its address"]
    return [_WHAT_GOES[key.kind]] if key.kind in _WHAT_GOES else []


_NAMESPACE = (
    "it leaves the tree; engines are told never to delete it, so it stays, with its claims, until somebody does: "
    "that deletes every claim in it, whatever their retention says"
)


def _claims(body: Body) -> list[str]:
    return [claim["metadata"]["name"] for claim in body["spec"].get("volumeClaimTemplates", ())]


def _all_move(body: Body) -> str:
    """Return what all pods of a workload mean for players, to go on a sentence with."""
    players = players_per_pod(body)
    return f", and up to {pod_count(body).most * players} players have to move" if players is not None else ""


def _deletes_claims(body: Body) -> bool:
    """Return whether the claims of a StatefulSet go with it."""
    retention = body["spec"].get("persistentVolumeClaimRetentionPolicy", {})
    return bool(retention.get("whenDeleted", "Retain") == "Delete")


def _claim_names(key: ObjectKey, claims: Sequence[str]) -> str:
    return ", ".join(f"{claim}-{key.name}-*" for claim in claims)


def _removed_workload(unit: str, key: ObjectKey, body: Body, more: Sequence[ObjectKey]) -> Change:
    claims = _claims(body)
    says = [f"{pod_count(body).that('end')}{_all_move(body)}"]
    if not claims:
        return change_of(Effect.REMOVED, unit, key, says=says, more=list(more))
    names = _claim_names(key, claims)
    if _deletes_claims(body):
        says.append(f"the claims {names} are deleted with it, and their data")
    else:
        says.append(f"the claims {names} stay, and nobody uses them")
    return change_of(Effect.DATA, unit, key, says=says, more=list(more))


def _rename(unit: str, gone: Pair, renamed: tuple[ObjectKey, Body, FolderPair], more: Sequence[ObjectKey]) -> Change:
    new, body, folder = renamed
    assert gone.before is not None
    claims = _claims(gone.before)
    says = [f"renamed to '{new.name}', which is another {new.kind}: all pods end{_all_move(gone.before)}"]
    if not claims:
        return change_of(Effect.REMOVED, unit, gone.key, says=says, more=list(more))
    fate = "are deleted" if _deletes_claims(gone.before) else "stay"
    says.append(f"'{new.name}' starts with empty volumes; the claims {_claim_names(gone.key, claims)} {fate}")
    says.append("way out: keep the name, or move the volumes over before this is applied")
    same = [claim for claim in claims if claim in _claims(body)]
    way_out = move_volumes(gone.key, new, tuple(same), folder.place)
    return change_of(Effect.DATA, unit, gone.key, says=says, way_out=way_out, more=list(more))


def _new(passed: Passing, renamed: set[ObjectKey]) -> list[Change]:
    unit = passed.folder.unit
    heads = [each for each in passed.new if each.key.kind in WORKLOADS]
    rest = [each.key for each in passed.new if each not in heads]
    changes = []
    for each in heads:
        assert each.after is not None
        if each.key in renamed:
            rest = []
            continue
        says = [pod_count(each.after).that("start")]
        changes.append(change_of(Effect.ADDED, unit, each.key, says=says, more=rest))
        rest = []
    return [*changes, *(change_of(Effect.ADDED, unit, key) for key in rest)]
