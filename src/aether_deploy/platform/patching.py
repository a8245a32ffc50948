"""Patches applied to what was rendered for one cluster, and everything that is wrong with what comes out."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from aether_deploy.config.base import Fault
from aether_deploy.manifest.json_patch import json_patch, pointer_steps
from aether_deploy.manifest.labels import COMPONENT, INSTANCE, MANAGED_BY, NAME, PART_OF
from aether_deploy.manifest.merge_keys import KINDS, TYPES
from aether_deploy.manifest.patch_fault import PatchFault, Steps
from aether_deploy.manifest.shape import misshapen
from aether_deploy.manifest.strategic_merge import strategic_merge
from aether_deploy.manifest.value import Manifest, value_at
from aether_deploy.platform.manifest_checks import CHECKS, Finding, checks_waived_on
from aether_deploy.platform.manifest_rules import (
    WORKLOADS,
    Key,
    Together,
    object_findings,
    relations,
    version_findings,
)
from aether_deploy.platform.patches import PatchConfig
from aether_deploy.pods.fragments import content_checksum
from aether_deploy.pods.surroundings import NEWEST_KUBERNETES
from aether_deploy.pods.waivers import Bearer, Checks, checks_annotations, joined_annotations

_IDENTITY: tuple[Steps, ...] = (
    ("apiVersion",),
    ("kind",),
    ("metadata", "name"),
    ("metadata", "namespace"),
    ("spec", "selector"),
    *(("metadata", "labels", label) for label in (INSTANCE, NAME, COMPONENT, PART_OF, MANAGED_BY)),
    *(("spec", "template", "metadata", "labels", label) for label in (INSTANCE, NAME, COMPONENT, PART_OF, MANAGED_BY)),
)
"""What makes an object the one that it is, for an API server, for its Services and for who prunes."""

_SORTED = {"annotations", "binaryData", "data", "labels", "matchLabels", "nodeSelector", "stringData"}
"""Maps whose keys are an author's: they are written in order."""

_BEARERS: Mapping[str, Bearer] = {
    "Deployment": "workload",
    "HorizontalPodAutoscaler": "autoscaler",
    "Service": "outside_service",
    "StatefulSet": "workload",
}
_CHECKSUM = "checksum/config"


class Patched(msgspec.Struct, frozen=True):
    """What patches made of the objects of one cluster.

    Attributes:
        manifests: The objects, each in its place.
        faults: What is wrong, with absolute steps.
        matched: Places of the patches that found their object.
        changed: Places of those that changed it.
        waived: Place of a patch and name of its waiver, for each waiver that was needed.
    """

    manifests: tuple[Manifest, ...]
    faults: tuple[Fault, ...] = ()
    matched: frozenset[int] = frozenset()
    changed: frozenset[int] = frozenset()
    waived: frozenset[tuple[int, str]] = frozenset()


def patch_objects(
    patches: Sequence[PatchConfig],
    region: str,
    manifests: Iterable[Manifest],
    waivers: Callable[[Manifest], Mapping[str, str]],
    *,
    kubernetes: str = NEWEST_KUBERNETES,
) -> Patched:
    """Return the objects of a cluster with the patches applied, in the order of the patches.

    Args:
        patches: All patches of the platform; those for other regions are passed over.
        region: The region of the cluster.
        manifests: Its objects.
        waivers: The waivers of the workload that an object belongs to.
        kubernetes: The version of the cluster.
    """
    work = _Work(manifests, kubernetes)
    for place, patch in enumerate(patches):
        wanted = patch.target.regions
        if patch.enabled and (wanted == "all" or region in wanted):
            work.apply(place, patch)
    return work.result(patches, waivers)


class _Standing(msgspec.Struct, frozen=True):
    """A rule that is broken now, and the patch that began it; None: what was rendered had it."""

    finding: Finding
    patch: int | None


_Broken = tuple[Key, str, str]
"""An object, a rule's name, and where: what stays the same while other patches move items about."""


class _Work:
    """The objects while patches are applied one after the other."""

    def __init__(self, manifests: Iterable[Manifest], kubernetes: str) -> None:
        self.manifests = list(manifests)
        self._kubernetes = kubernetes
        self.faults: list[Fault] = []
        self.matched: set[int] = set()
        self.changed: set[int] = set()
        self._places: dict[tuple[str, str], list[int]] = {}
        for place, manifest in enumerate(self.manifests):
            self._places.setdefault((manifest.kind, manifest.name), []).append(place)
        self._alone: dict[int, dict[_Broken, _Standing]] = {}
        self._together: dict[_Broken, _Standing] | None = None

    def apply(self, place: int, patch: PatchConfig) -> None:
        """Apply one patch to every object that it is about."""
        target = patch.target
        for index in self._places.get((target.kind, target.name), ()):
            manifest = self.manifests[index]
            if target.namespace in (None, manifest.namespace):
                self.matched.add(place)
                self._patch(place, patch, index)

    def _patch(self, place: int, patch: PatchConfig, index: int) -> None:
        old = self.manifests[index]
        if index not in self._alone:
            self._alone[index] = self._judged_alone(old, {}, None)
        try:
            body = _patched(old.body, patch)
        except PatchFault as fault:
            way = "merge" if patch.merge is not None else "json"
            reason = f"{_named(old)}: {fault.reason}"
            self.faults.append(Fault(("patches", place, way, *fault.at), reason, fault.fix))
            return
        if body == old.body:
            return
        self.changed.add(place)
        wrong = list(_identity_faults(old, body)) or list(_shape_faults(old, body))
        if wrong:  # rules may only look at an object that is one
            for at, reason, fix in wrong:
                where = ("patches", place, *place_of_change(patch, body, at))
                self.faults.append(Fault(where, f"{_named(old)}: {where_text(body, at)} {reason}", fix))
            return
        new = Manifest(_in_order(body), old.source)
        related = relations(old.body) != relations(new.body)
        if related and self._together is None:
            self._together = _judged_together(self.manifests, {}, None)
        self.manifests[index] = new
        self._follow_content(old, new)
        self._alone[index] = self._judged_alone(new, self._alone[index], place)
        if related:
            self._together = _judged_together(self.manifests, self._together or {}, place)

    def _judged_alone(
        self, manifest: Manifest, known: Mapping[_Broken, _Standing], patch: int | None
    ) -> dict[_Broken, _Standing]:
        key, body = (manifest.namespace, manifest.kind, manifest.name), manifest.body
        found = (*object_findings(body), *version_findings(body, self._kubernetes))
        return _standing_of(((key, body, each) for each in found), known, patch)

    def _follow_content(self, old: Manifest, new: Manifest) -> None:
        """Roll the pods whose config files changed, as they roll where the description changes them."""
        before, after = _checksum(old), _checksum(new)
        if before is None or after is None or before == after:
            return
        for index, manifest in enumerate(self.manifests):
            if manifest.source == new.source and manifest.kind in WORKLOADS:
                self.manifests[index] = _with_checksum(manifest, before, after)

    def result(self, patches: Sequence[PatchConfig], waivers: Callable[[Manifest], Mapping[str, str]]) -> Patched:
        """Return the objects, and as faults all rules that a patch broke and nobody waived."""
        faults = list(self.faults)
        used: set[tuple[int, str]] = set()
        together: dict[Key, list[_Standing]] = {}
        for (key, _, _), each in (self._together or {}).items():
            together.setdefault(key, []).append(each)
        for index, manifest in enumerate(self.manifests):
            excused: dict[str, str] = {}
            shared = together.get((manifest.namespace, manifest.kind, manifest.name), ())
            for standing in (*self._alone.get(index, {}).values(), *shared):
                place, name = standing.patch, standing.finding.check
                if place is None:
                    continue
                own = waivers(manifest)
                if CHECKS[name].waivable and name in patches[place].waivers:
                    used.add((place, name))
                    excused[name] = patches[place].waivers[name]
                elif CHECKS[name].waivable and name in own:
                    excused[name] = own[name]
                else:
                    faults.append(_fault_of(place, patches[place], manifest, standing.finding))
            if excused:
                self.manifests[index] = _excused(manifest, excused)
        faults.sort(key=lambda fault: int(fault.at[1]))
        return Patched(
            tuple(self.manifests), tuple(faults), frozenset(self.matched), frozenset(self.changed), frozenset(used)
        )


def _named(manifest: Manifest) -> str:
    return f"{manifest.kind} {manifest.name}"


def _patched(body: dict[str, Any], patch: PatchConfig) -> dict[str, Any]:
    if "sops" in body or body["kind"] == "SealedSecret":
        raise PatchFault((), "is encrypted, and a change would break its seal", "change it before it is encrypted")
    if patch.merge is not None:
        return strategic_merge(body, patch.merge)
    changed = json_patch(body, patch.json or ())
    if not isinstance(changed, Mapping):
        raise PatchFault((), "is no object any more", "change what is inside it")
    return dict(changed)


_Wrong = tuple[Steps, str, str]


def _identity_faults(old: Manifest, body: Mapping[str, Any]) -> Iterator[_Wrong]:
    for key in ("metadata", "spec"):
        if old.body.get(key) and not body.get(key):
            yield (key,), "is gone", "take away what is inside it, one by one"
            return
    for at in _IDENTITY:
        if at == ("spec", "selector") and old.kind not in WORKLOADS:
            continue
        before, after = value_at(old.body, at), value_at(body, at)
        if before != after:
            yield at, "makes it another object, or one that others no longer find", "leave it as it is rendered"


def _shape_faults(old: Manifest, body: Mapping[str, Any]) -> Iterator[_Wrong]:
    found = misshapen(body)
    before = {(where_text(old.body, each.at), each.reason) for each in misshapen(old.body)} if found else set()
    for each in found:
        if (where_text(body, each.at), each.reason) not in before:
            yield each.at, each.reason, each.fix


def _judged_together(
    manifests: Sequence[Manifest], known: Mapping[_Broken, _Standing], patch: int | None
) -> dict[_Broken, _Standing]:
    bodies = {(each.namespace, each.kind, each.name): each.body for each in manifests}
    found = ((key, bodies[key], each) for key, each in Together(manifests).findings())
    return _standing_of(found, known, patch)


def _standing_of(
    found: Iterable[tuple[Key, Mapping[str, Any], Finding]], known: Mapping[_Broken, _Standing], patch: int | None
) -> dict[_Broken, _Standing]:
    standing = {}
    for key, body, finding in found:
        broken = (key, finding.check, where_text(body, finding.at))
        begun = known[broken].patch if broken in known else patch
        standing[broken] = _Standing(finding, begun)
    return standing


def _fault_of(place: int, patch: PatchConfig, manifest: Manifest, finding: Finding) -> Fault:
    at = ("patches", place, *place_of_change(patch, manifest.body, finding.at))
    fix = finding.fix
    if CHECKS[finding.check].waivable:
        fix += f", or give waivers.{finding.check} of the patch a reason"
    return Fault(at, f"{_named(manifest)}: {where_text(manifest.body, finding.at)} {finding.reason}", fix)


def _excused(manifest: Manifest, reasons: Mapping[str, str]) -> Manifest:
    """Return the object with the annotations by which checkers accept what was waived."""
    bearer = _BEARERS.get(manifest.kind)
    said: list[tuple[Checks, str]] = [(checks_waived_on(name, bearer), reasons[name]) for name in sorted(reasons)]
    ours = checks_annotations(said) if bearer else {}
    if not ours:
        return manifest
    metadata = manifest.body["metadata"]
    annotations = dict(sorted(joined_annotations(metadata.get("annotations", {}), ours).items()))
    return Manifest({**manifest.body, "metadata": {**metadata, "annotations": annotations}}, manifest.source)


def _checksum(manifest: Manifest) -> str | None:
    if manifest.kind != "ConfigMap":
        return None
    return content_checksum(manifest.body.get("data", {}), manifest.body.get("binaryData", {}))


def _with_checksum(manifest: Manifest, before: str, after: str) -> Manifest:
    spec = manifest.body["spec"]
    metadata = spec["template"].get("metadata", {})
    if metadata.get("annotations", {}).get(_CHECKSUM) != before:
        return manifest
    changed = {**metadata, "annotations": {**metadata["annotations"], _CHECKSUM: after}}
    template = {**spec["template"], "metadata": changed}
    return Manifest({**manifest.body, "spec": {**spec, "template": template}}, manifest.source)


def _in_order(value: Any, name: str = "") -> Any:
    """Return a patched value with the keys of its authors' maps in order."""
    if isinstance(value, Mapping):
        keys = sorted(value) if name in _SORTED else list(value)
        return {key: _in_order(value[key], key) for key in keys}
    return [_in_order(each) for each in value] if isinstance(value, (list, tuple)) else value


# --- places


def where_text(body: Any, at: Steps) -> str:
    """Return a place in an object as people name it: ``spec.template.spec.containers[gateway].image``."""
    text = ""
    for step in at:
        inner: Any = None
        if isinstance(step, int) and isinstance(body, (list, tuple)) and step < len(body):
            inner = body[step]
            name = inner.get("name") if isinstance(inner, Mapping) else None
            text += f"[{name if isinstance(name, str) else step}]"
        elif isinstance(step, str):
            inner = body.get(step) if isinstance(body, Mapping) else None
            plain = step.replace("-", "").isalnum()
            text += f".{step}" if plain else f"['{step}']"
        else:
            text += f"[{step}]"
        body = inner
    return text.lstrip(".")


def place_of_change(patch: PatchConfig, body: Mapping[str, Any], at: Steps) -> Steps:
    """Return the steps into a patch that bring what an object has at ``at``, as far as that can be told."""
    if patch.merge is not None:
        return ("merge", *_place_in_merge(patch.merge, body, at))
    wanted = tuple(str(step) for step in at)
    for place, operation in reversed(list(enumerate(patch.json or ()))):
        path = pointer_steps(operation["path"])
        shared = min(len(path), len(wanted))
        if path[:shared] == wanted[:shared]:
            return ("json", place)
    return ("json",)


def _place_in_merge(patch: Any, body: Any, at: Steps) -> Steps:
    of = KINDS.get((str(body.get("apiVersion")), str(body.get("kind"))), "")
    found: list[str | int] = []
    key = ""
    for step in at:
        if isinstance(step, str):
            if not isinstance(patch, Mapping) or step not in patch:
                break
            of, _, key = TYPES.get(of, {}).get(step, ("", "", ""))
            inner: Any = body.get(step) if isinstance(body, Mapping) else None
        else:
            inner = body[step] if isinstance(body, (list, tuple)) and step < len(body) else None
            place = _place_of_item(patch, inner, step, key)
            if place is None:
                break
            step = place
        patch, body = patch[step], inner
        found.append(step)
    return tuple(found)


def _place_of_item(patch: Any, item: Any, step: int, key: str) -> int | None:
    """Return where a list of the patch has the item of an object: by its key, or by its place where it has none."""
    if not isinstance(patch, (list, tuple)):
        return None
    if not key:
        return step if step < len(patch) else None
    wanted = item.get(key) if isinstance(item, Mapping) else None
    places = (place for place, each in enumerate(patch) if isinstance(each, Mapping) and each.get(key) == wanted)
    return next(places, None)
