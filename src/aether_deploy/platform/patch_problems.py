"""Everything that is wrong with the patches of a platform: found by applying them to what is rendered."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from aether_deploy.config.base import Fault
from aether_deploy.config.sink import path_text
from aether_deploy.manifest.value import Manifest
from aether_deploy.platform.config import Platform
from aether_deploy.platform.patches import PatchConfig
from aether_deploy.platform.patching import Patched
from aether_deploy.platform.rendering import ClusterManifests, render_patched
from aether_deploy.problems import Problem, shown, suggestion

Steps = tuple[str | int, ...]
_NAMES_SHOWN = 12


def patch_problems(platform: Platform, files: Mapping[str, bytes]) -> list[tuple[Steps, Problem]]:
    """Return every problem of the patches in every cluster, each once, with its steps.

    Args:
        platform: The platform, without faults.
        files: As for ``render_cluster``; the same mapping given to it later makes it the quicker.
    """
    if not any(patch.enabled for patch in platform.patches):
        return []
    made = {site.region.code: render_patched(platform, site, files) for site in platform.sites}
    faults = [*(fault for _, patched in made.values() for fault in patched.faults)]
    for place, patch in enumerate(platform.patches):
        if patch.enabled:
            faults += _faults_of_target(place, patch, made)
            faults += _faults_of_use(place, patch, [patched for _, patched in made.values()])
    faults.sort(key=lambda fault: int(fault.at[1]))
    return [(fault.at, _problem_of(fault)) for fault in dict.fromkeys(faults)]


def _problem_of(fault: Fault) -> Problem:
    value = shown(fault.value) if isinstance(fault.value, str) else None
    return Problem(path=path_text(fault.at), reason=fault.reason, fix=fault.fix, value=value, severity=fault.severity)


def _faults_of_target(
    place: int, patch: PatchConfig, made: Mapping[str, tuple[ClusterManifests, Patched]]
) -> Iterator[Fault]:
    target = patch.target
    wanted = list(made) if target.regions == "all" else [code for code in target.regions if code in made]
    missed = [code for code in wanted if place not in made[code][1].matched]
    if missed == wanted:
        objects = [manifest for code in wanted for manifest in made[code][0].manifests]
        yield _nothing_matched(place, patch, objects)
    elif target.regions != "all":
        for code in missed:
            at = ("patches", place, "target", "regions", target.regions.index(code))
            reason = f"{target.kind} '{target.name}' is not rendered there"
            yield Fault(at, reason, "remove the region", code, "warning")


def _nothing_matched(place: int, patch: PatchConfig, objects: Iterable[Manifest]) -> Fault:
    target = patch.target
    at = ("patches", place, "target")
    objects = list(objects)
    kinds = list(dict.fromkeys(each.kind for each in objects))
    if target.kind not in kinds:
        fix = suggestion(target.kind, kinds, _known("kinds", kinds))
        return Fault((*at, "kind"), "no object of that kind is rendered", fix, target.kind)
    names = list(dict.fromkeys(each.name for each in objects if each.kind == target.kind))
    if target.name not in names:
        fix = suggestion(target.name, names, _known("names", names))
        return Fault((*at, "name"), f"no {target.kind} of that name is rendered", fix, target.name)
    spaces = list(
        dict.fromkeys(str(each.namespace) for each in objects if each.kind == target.kind and each.name == target.name)
    )
    fix = suggestion(str(target.namespace), spaces, _known("namespaces", spaces))
    return Fault((*at, "namespace"), f"{target.kind} '{target.name}' is in another", fix, target.namespace)


def _known(what: str, names: Sequence[str]) -> str:
    if not names:
        return "enable what is patched, or set enabled: false"
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return f"known {what} are {', '.join(names[:_NAMES_SHOWN])}{more}; enabled: false leaves the patch out here"


def _faults_of_use(place: int, patch: PatchConfig, made: Sequence[Patched]) -> Iterator[Fault]:
    at = ("patches", place)
    if any(fault.at[1] == place for patched in made for fault in patched.faults):
        return  # what it would do is not known before it can be applied
    matched = any(place in patched.matched for patched in made)
    if matched and not any(place in patched.changed for patched in made):
        yield Fault(at, "changes nothing: all of it is rendered so already", "remove it", severity="warning")
    for name in patch.waivers:
        if matched and not any((place, name) in patched.waived for patched in made):
            reason = "waives nothing: the patched object does not break that rule"
            yield Fault((*at, "waivers", name), reason, "remove it", severity="warning")
