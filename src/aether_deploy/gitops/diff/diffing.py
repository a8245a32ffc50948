"""Two states of a tree become a diff: which files differ, what is in them, and what that does.

Files are told apart by the hashes that their indexes hold, so only folders with a difference are read.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

import msgspec

from aether_deploy.gitops.diff.arrivals import arrival_changes, passing_of
from aether_deploy.gitops.diff.autoscalers import autoscaler_changes
from aether_deploy.gitops.diff.changes import Body, Change, Diff, Effect, ObjectKey, change_of, in_report_order
from aether_deploy.gitops.diff.fields import FieldChange, field_changes
from aether_deploy.gitops.diff.folder import AUTOSCALERS, WORKLOADS, FolderPair
from aether_deploy.gitops.diff.others import other_changes
from aether_deploy.gitops.diff.recipes import Place
from aether_deploy.gitops.diff.workloads import workload_changes
from aether_deploy.gitops.index import IndexEntry, UnitIndex
from aether_deploy.manifest.defaults import with_defaults

"""How many fields of one change a report names; the rest is counted."""

Parse = Callable[[str, bytes], Body]
Places = Callable[[str, str], Place]


class Side(Protocol):
    """One state of a tree: its indexes, and the files that they list."""

    @property
    def units(self) -> Mapping[str, UnitIndex]:
        """The index of every unit, by its folder."""

    def contents(self, paths: Iterable[str]) -> Mapping[str, bytes]:
        """Return the bytes of files, by path relative to the tree's root."""


def diff_sides(before: Side, after: Side, *, parse: Parse, places: Places, environments: Sequence[str]) -> Diff:
    """Return everything that differs between two states of a tree.

    Args:
        before: The state that is deployed.
        after: The state that is to be.
        parse: Reads a manifest: of a path and its bytes.
        places: Where the files of a unit's folder lie for commands, and how its engine is held still.
        environments: The environments to compare; units of others are left out.
    """
    changes = []
    wanted = [
        unit
        for unit in sorted({*before.units, *after.units})
        if (before.units.get(unit) or after.units[unit]).environment in environments
    ]
    homes = {unit: _homes(before.units.get(unit), after.units.get(unit)) for unit in wanted}
    states = [_read(side, homes, parse) for side in (before, after)]
    for unit, home in homes.items():
        here = [
            FolderPair(
                unit=unit,
                before=states[0].get((unit, folder), {}),
                after=states[1].get((unit, folder), {}),
                place=places(unit, folder),
            )
            for folder in sorted(set(home.values()))
        ]
        if here and unit not in after.units:
            changes.append(_unit_gone(unit, here))
        else:
            changes += diff_folders(here)
    indexes = [before.units.get(unit) or after.units[unit] for unit in wanted]
    clusters = {(index.environment, index.cluster) for index in indexes if index.cluster is not None}
    return Diff(in_report_order(changes), tuple(environments), len(clusters))


def diff_folders(folders: Sequence[FolderPair]) -> list[Change]:
    """Return every change in the folders of one unit."""
    changes = [each for folder in folders for each in _field_effects(folder)]
    return changes + arrival_changes([passing_of(folder) for folder in folders])


def _field_effects(folder: FolderPair) -> Iterable[Change]:
    for pair in folder.pairs():
        if pair.before is None or pair.after is None:
            continue
        fields = _real_changes(pair.before, pair.after)
        if fields:
            yield from _as_one_refusal(_effects(folder, pair.key, pair.before, pair.after, fields))


def _real_changes(before: Body, after: Body) -> list[FieldChange]:
    """Return the fields that differ in a cluster too: not those that only say what the server fills in anyway."""
    real = field_changes(with_defaults(before), with_defaults(after))
    found = [
        each
        for each in field_changes(before, after)
        if any(each.below(*other.at) or other.below(*each.at) for other in real)
    ]
    telling = [each for each in found if not _is_waiver(each)]
    return telling or found


_WAIVERS = ("checkov.io/skip", "kube-score/ignore", "ignore-check.kube-linter.io/", "polaris.fairwinds.com/")


def _is_waiver(field: FieldChange) -> bool:
    """Return whether a field only tells a checker of manifests why another one is as it is."""
    return field.at[:2] == ("metadata", "annotations") and field.at[-1].startswith(_WAIVERS)


def _as_one_refusal(changes: Sequence[Change]) -> Sequence[Change]:
    """A server takes an object as a whole or not at all: where a field is refused, all others wait for the way out."""
    refusal = next((each for each in changes if each.effect is Effect.REFUSED), None)
    if refusal is None or len(changes) == 1:
        return changes
    waiting = tuple(each for each in changes if each is not refusal)
    return [msgspec.structs.replace(refusal, waiting=waiting)]


def _effects(
    folder: FolderPair, key: ObjectKey, before: Body, after: Body, fields: Sequence[FieldChange]
) -> list[Change]:
    if key.kind in WORKLOADS:
        return workload_changes(folder, key, before, after, fields)
    if key.kind in AUTOSCALERS:
        return autoscaler_changes(folder, key, before, after, fields)
    return other_changes(folder, key, before, after, fields)


def _unit_gone(unit: str, folders: Sequence[FolderPair]) -> Change:
    """A unit that leaves the tree leaves what runs: nobody applies it any more, and nobody removes it."""
    objects = [key for folder in folders for key in sorted(folder.before)]
    heads = [key for key in objects if key.kind == "Namespace"] or objects
    more = [key for key in objects if key != heads[0]]
    if "/engine/" in unit:
        says = ["its engine applies the clusters no more, once these objects are deleted; what runs stays"]
        return change_of(Effect.REMOVED, unit, heads[0], says=says, more=more)
    says = [
        "it leaves the tree as a whole; its objects and claims stay in the cluster, and nobody keeps them up to date"
    ]
    return change_of(Effect.DATA, unit, heads[0], says=says, more=more)


def _homes(before: UnitIndex | None, after: UnitIndex | None) -> dict[ObjectKey, str]:
    """Return the objects of a unit that lie in a folder with a difference, and that folder: the one they are to be in.

    What lies beside a difference is needed to tell what the difference does.
    """
    old, new = (
        {_key(entry): (entry.path.rpartition("/")[0], entry.sha256) for entry in _objects(index)}
        for index in (before, after)
    )
    homes = {key: folder for key, (folder, _) in (old | new).items()}
    differing = {homes[key] for key in homes if old.get(key, ("", ""))[1] != new.get(key, ("", ""))[1]}
    return {key: folder for key, folder in homes.items() if folder in differing}


def _objects(index: UnitIndex | None) -> Iterable[IndexEntry]:
    return (entry for entry in index.entries if entry.name is not None) if index is not None else ()


def _key(entry: IndexEntry) -> ObjectKey:
    return ObjectKey.of(entry.api_version or "", entry.kind or "", entry.namespace, entry.name or "")


def _read(
    side: Side, homes: Mapping[str, Mapping[ObjectKey, str]], parse: Parse
) -> dict[tuple[str, str], dict[ObjectKey, Body]]:
    """Return the objects of the folders with a difference, by unit and folder."""
    places = {}
    for unit, home in homes.items():
        if home:
            for entry in _objects(side.units.get(unit)):
                if (folder := home.get(_key(entry))) is not None:
                    places[f"{unit}/{entry.path}"] = (unit, folder, _key(entry))
    found: dict[tuple[str, str], dict[ObjectKey, Body]] = {}
    for path, content in side.contents(places).items():
        unit, folder, key = places[path]
        found.setdefault((unit, folder), {})[key] = parse(path, content)
    return found
