"""What changes of all other kinds do: most act in place; a few are refused, need a restart, or put data at risk."""

from collections.abc import Callable, Mapping, Sequence

from msgspec import UNSET

from aether_deploy.gitops.diff.changes import Body, Change, Danger, Effect, ObjectKey, change_of
from aether_deploy.gitops.diff.components import TAKEN_UP, component_of
from aether_deploy.gitops.diff.fields import FieldChange
from aether_deploy.gitops.diff.folder import FolderPair
from aether_deploy.gitops.diff.recipes import recreate_object
from aether_deploy.infrastructure.component import FileChange
from aether_deploy.manifest.immutable import immutable_fields, kept_fields

Rule = Callable[[FolderPair, ObjectKey, Body, Body, Sequence[FieldChange]], list[Change]]

PROTECTION = ("argocd.argoproj.io/sync-options", "kustomize.toolkit.fluxcd.io/prune")
_POD_SECURITY = "pod-security.kubernetes.io/enforce"
_CONTENT = ("data", "binaryData")


def other_changes(
    folder: FolderPair, key: ObjectKey, before: Body, after: Body, fields: Sequence[FieldChange]
) -> list[Change]:
    """Return what the changed ``fields`` of an object do, whose pods are not its own."""
    fixed = immutable_fields(before, after)
    refused = [each for each in fields if any(each.below(*steps) for steps in fixed)]
    left = [each for each in fields if each not in refused]
    changes = []
    if refused:
        says = [f"way out: {_REFUSED.get(key.kind, 'recreate the object')}"]
        way_out = recreate_object(key, folder.place)
        changes.append(change_of(Effect.REFUSED, folder.unit, key, fields=refused, says=says, way_out=way_out))
    if left:
        changes += RULES.get(key.kind, _of_an_operator)(folder, key, before, after, left)
    return changes


_REFUSED = {
    "Service": "recreate the object; its name finds nobody for a moment",
    "RoleBinding": "recreate the object; its rights are gone for a moment",
    "ClusterRoleBinding": "recreate the object; its rights are gone for a moment",
}


def _in_place(
    folder: FolderPair, key: ObjectKey, before: Body, after: Body, fields: Sequence[FieldChange]
) -> list[Change]:
    return [change_of(Effect.IN_PLACE, folder.unit, key, fields=list(fields))]


def _reloaded(
    folder: FolderPair, key: ObjectKey, before: Body, after: Body, fields: Sequence[FieldChange]
) -> list[Change]:
    """What an operator carries on to its program, which reads it again without ending."""
    if all(each.at[0] == "metadata" for each in fields):
        return _in_place(folder, key, before, after, fields)
    return [change_of(Effect.RELOADS, folder.unit, key, fields=list(fields), says=["Prometheus reads it again"])]


def _config_map(
    folder: FolderPair, key: ObjectKey, before: Body, after: Body, fields: Sequence[FieldChange]
) -> list[Change]:
    content = [each for each in fields if each.at[0] in _CONTENT]
    component = component_of(after)
    told = list(component.file_changes(before.get("data", {}), after.get("data", {}))) if component and content else []
    if told:
        told = [_by_a_restart(each, folder.restarted_by(key)) for each in told]
        return [_told(folder, key, fields, told)]
    if not content or folder.rolls(key.namespace):  # pods that roll read it as they start
        return _in_place(folder, key, before, after, fields)
    return _restarted(folder, key, fields)


def _of_an_operator(
    folder: FolderPair, key: ObjectKey, before: Body, after: Body, fields: Sequence[FieldChange]
) -> list[Change]:
    component = component_of(after)
    told = component.object_changes(before, after) if component is not None else ()
    return [_told(folder, key, fields, told)] if told else _in_place(folder, key, before, after, fields)


def _told(folder: FolderPair, key: ObjectKey, fields: Sequence[FieldChange], told: Sequence[FileChange]) -> Change:
    """Return what the component's kind says of a change."""
    worst = min((TAKEN_UP[each.effect] for each in told), key=list(Effect).index)
    says = list(dict.fromkeys(each.says for each in told))
    return change_of(worst, folder.unit, key, fields=list(fields), says=says)


def _by_a_restart(change: FileChange, readers: Sequence[Body]) -> FileChange:
    """What pods could take while they run they take by a restart where the checksum of their template says so."""
    if change.effect != "reloads" or not readers:
        return change
    held = any(each["spec"].get("updateStrategy", {}).get("type") == "OnDelete" for each in readers)
    when = "when somebody deletes them, as the runbook says" if held else "as they are replaced"
    return FileChange("restarts", f"nothing tells running pods of the new file: they take it {when}")


def _secret(
    folder: FolderPair, key: ObjectKey, before: Body, after: Body, fields: Sequence[FieldChange]
) -> list[Change]:
    """What is behind a Secret may change: running pods keep what they read."""
    if all(each.at[0] == "metadata" for each in fields):
        return _in_place(folder, key, before, after, fields)
    return _restarted(folder, key, fields)


def _restarted(folder: FolderPair, key: ObjectKey, fields: Sequence[FieldChange]) -> list[Change]:
    says = ["pods get the new files within two minutes; what reads them at its start only has to be restarted"]
    return [change_of(Effect.RESTARTS, folder.unit, key, fields=list(fields), says=says)]


def _service(
    folder: FolderPair, key: ObjectKey, before: Body, after: Body, fields: Sequence[FieldChange]
) -> list[Change]:
    kept = kept_fields(before, after)
    said = ["the server keeps what it has there; recreate the object to have it go"] if kept else []
    for each in fields:
        said += [line for line in _service_says(before, after, each) if line not in said]
    danger = Danger.ATTENTION if said else None
    return [change_of(Effect.IN_PLACE, folder.unit, key, danger=danger, fields=list(fields), says=said)]


def _service_says(before: Body, after: Body, field: FieldChange) -> list[str]:
    if field.at == ("spec", "type"):
        if field.before == "LoadBalancer":
            return ["its load balancer goes, with its address: players who know that one reach nobody"]
        if "ExternalName" in (field.before, field.after):
            return ["its name leads elsewhere from now on; connections that are open stay"]
        if field.before == "NodePort":
            return ["its port on every node closes"]
        return []
    if field.at[:2] == ("spec", "ports") and field.before is not UNSET and field.at[-1] not in ("[order]", "name"):
        return [f"who uses port {field.at[2][1:-1] if len(field.at) > 2 else ''} has to follow".replace("  ", " ")]
    if field.at[:2] == ("spec", "selector"):
        return ["it leads to other pods from now on"]
    if field.at[:2] == ("metadata", "annotations") and before.get("spec", {}).get("type") == "LoadBalancer":
        return ["the provider may make its load balancer anew, with another address"]
    return []


def _namespace(
    folder: FolderPair, key: ObjectKey, before: Body, after: Body, fields: Sequence[FieldChange]
) -> list[Change]:
    protection = [each for each in fields if each.at[-1] in PROTECTION and each.at[:2] == ("metadata", "annotations")]
    rest = [each for each in fields if each not in protection]
    changes = []
    if protection:
        says = ["an engine may delete the namespace from now on, and every claim in it"]
        changes.append(change_of(Effect.DATA, folder.unit, key, fields=protection, says=says))
    if rest:
        enforced = [each for each in rest if each.at[-1] == _POD_SECURITY]
        says = ["pods that break it are refused when they are next made; running ones stay"] if enforced else []
        danger = Danger.ATTENTION if enforced else None
        changes.append(change_of(Effect.IN_PLACE, folder.unit, key, danger=danger, fields=rest, says=says))
    return changes


def _network_policy(
    folder: FolderPair, key: ObjectKey, before: Body, after: Body, fields: Sequence[FieldChange]
) -> list[Change]:
    narrower = [
        each
        for each in fields
        if each.at[:1] == ("spec",) and (each.after is UNSET or isinstance(each.before, list | dict | str | int))
    ]
    says = ["what it no longer allows is cut, open connections included where the network checks them"]
    danger = Danger.ATTENTION if narrower else None
    return [
        change_of(Effect.IN_PLACE, folder.unit, key, danger=danger, fields=list(fields), says=says if narrower else [])
    ]


def _application_set(
    folder: FolderPair, key: ObjectKey, before: Body, after: Body, fields: Sequence[FieldChange]
) -> list[Change]:
    kept = [each for each in fields if "preserveResourcesOnDeletion" in each.at or "finalizers" in each.at]
    if kept:
        says = ["an Application that goes takes its cluster's namespace along, and every claim in it"]
        return [change_of(Effect.DATA, folder.unit, key, fields=list(fields), says=says)]
    return _in_place(folder, key, before, after, fields)


def _flux_kustomization(
    folder: FolderPair, key: ObjectKey, before: Body, after: Body, fields: Sequence[FieldChange]
) -> list[Change]:
    kept = [each for each in fields if each.at == ("spec", "deletionPolicy") and each.before == "Orphan"]
    if kept or any(each.at == ("spec", "force") and each.after is True for each in fields):
        says = ["Flux may delete what it applied, StatefulSets and namespaces included"]
        return [change_of(Effect.DATA, folder.unit, key, fields=list(fields), says=says)]
    return _in_place(folder, key, before, after, fields)


RULES: Mapping[str, Rule] = {
    "ApplicationSet": _application_set,
    "ConfigMap": _config_map,
    "ExternalSecret": _secret,
    "Kustomization": _flux_kustomization,
    "Namespace": _namespace,
    "NetworkPolicy": _network_policy,
    "PodMonitor": _reloaded,
    "PrometheusRule": _reloaded,
    "SealedSecret": _secret,
    "Secret": _secret,
    "Service": _service,
}
