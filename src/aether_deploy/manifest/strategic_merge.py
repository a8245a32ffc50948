"""Strategic merge patches on plain values: maps merge, ``null`` removes, lists of named things merge by their key.

What Kubernetes does, with its directives: ``$patch`` (``delete``, ``replace``), ``$retainKeys``,
``$deleteFromPrimitiveList`` and ``$setElementOrder``. New items of a keyed list stand before those that were there,
as Kubernetes puts them, unless ``$setElementOrder`` says otherwise. A kind that Kubernetes does not have itself has no
keys, so a patch of one is a JSON Merge Patch (RFC 7386), as in Kustomize.

Source: Kubernetes, ``apimachinery/pkg/util/strategicpatch/patch.go`` (``StrategicMergeMapPatch``); Kustomize merges
objects without a known schema by RFC 7386.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aether_deploy.manifest.merge_keys import KINDS, TYPES, Field
from aether_deploy.manifest.patch_fault import PatchFault, Steps

DIRECTIVE = "$patch"
RETAIN = "$retainKeys"
DELETE_FROM = "$deleteFromPrimitiveList/"
SET_ORDER = "$setElementOrder/"
_UNMARKED: Field = ("", "", "")


def has_merge_keys(body: Mapping[str, Any]) -> bool:
    """Return whether an object is of a kind that Kubernetes has itself, so that its lists merge by key."""
    return (body.get("apiVersion"), body.get("kind")) in KINDS


def strategic_merge(body: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``body`` with ``patch`` merged into it. Neither is changed; keys that were there keep their place.

    Raises:
        PatchFault: The patch cannot be applied.
    """
    kind = KINDS.get((str(body.get("apiVersion")), str(body.get("kind"))))
    if kind is None:
        return merge_patch(body, patch, ())
    return _merge_maps(body, patch, kind, ())


def merge_patch(value: object, patch: Mapping[str, Any], at: Steps) -> dict[str, Any]:
    """Return ``value`` with a JSON Merge Patch (RFC 7386) applied.

    Raises:
        PatchFault: The patch has a directive, which only a strategic merge patch may have.
    """
    merged = dict(value) if isinstance(value, Mapping) else {}
    for key, each in patch.items():
        if key.startswith("$"):
            fix = "write the value itself: maps merge, null removes, and a list replaces the one that is there"
            raise PatchFault((*at, key), "a directive, and a custom resource has no strategic merge", fix)
        if each is None:
            merged.pop(key, None)
        elif isinstance(each, Mapping):
            merged[key] = merge_patch(merged.get(key), each, (*at, key))
        else:
            merged[key] = each
    return merged


def _merge_maps(value: Mapping[str, Any], patch: Mapping[str, Any], of: str, at: Steps) -> dict[str, Any]:
    if DIRECTIVE in patch:
        return _directed(patch, at)
    merged = _retained(value, patch, at) if RETAIN in patch else dict(value)
    fields = TYPES.get(of, {})
    for key, each in patch.items():
        if key.startswith(SET_ORDER) or key == RETAIN:
            continue
        if key.startswith(DELETE_FROM):
            name = key.removeprefix(DELETE_FROM)
            if name in merged:
                merged[name] = _without(merged[name], each, (*at, key))
        elif each is None:
            merged.pop(key, None)
        elif key in merged:
            order = patch.get(SET_ORDER + key)
            merged[key] = _merged(merged[key], each, fields.get(key, _UNMARKED), (*at, key), ordered=order is not None)
        else:
            merged[key] = cleaned(each)
        if merged.get(key, ...) is _GONE:
            del merged[key]
    return _in_order(value, merged, patch, fields, at)


class _Gone:
    """Stands for a value that a directive took away."""


_GONE = _Gone()


def _directed(patch: Mapping[str, Any], at: Steps) -> dict[str, Any]:
    match patch[DIRECTIVE]:
        case "replace":
            return _kept(patch)
        case "delete":
            return {}
    raise PatchFault((*at, DIRECTIVE), "no directive of a map", "write delete or replace, or leave it out to merge")


def _kept(patch: Mapping[str, Any]) -> dict[str, Any]:
    """Return a map of the patch as it is written into the object, without the directive that says so."""
    kept: dict[str, Any] = cleaned({key: each for key, each in patch.items() if key != DIRECTIVE})
    return kept


def _retained(value: Mapping[str, Any], patch: Mapping[str, Any], at: Steps) -> dict[str, Any]:
    keys = patch[RETAIN]
    if not isinstance(keys, (list, tuple)):
        raise PatchFault((*at, RETAIN), "not a list of keys", "list every key that is to be there afterwards")
    for key, each in patch.items():
        if each is not None and not key.startswith("$") and key not in keys:
            raise PatchFault((*at, key), f"not among {RETAIN}", f"add it to {RETAIN}")
    return {key: each for key, each in value.items() if key in keys}


def _merged(value: object, patch: object, field: Field, at: Steps, *, ordered: bool) -> Any:
    """Return what a field that is in both becomes."""
    of, strategies, key = field
    merges = "merge" in strategies.split(",")
    if isinstance(value, Mapping) and isinstance(patch, Mapping):
        if strategies == "replace":
            return _directed(patch, at) if DIRECTIVE in patch else _kept(patch)
        return _merge_maps(value, patch, of, at)
    if isinstance(value, (list, tuple)) and isinstance(patch, (list, tuple)):
        if not merges:
            return list(patch)
        return _merge_lists(value, patch, of, key, at, ordered=ordered)
    return cleaned(patch)


def cleaned(patch: object) -> Any:
    """Return what a patch says of a value that is not there: without nulls, and without what only directs a merge."""
    if isinstance(patch, Mapping):
        if DIRECTIVE in patch:
            return _GONE
        said = {key: cleaned(each) for key, each in patch.items() if each is not None and not key.startswith("$")}
        return {key: each for key, each in said.items() if each is not _GONE}
    if isinstance(patch, (list, tuple)):
        return [each for each in map(cleaned, patch) if each is not _GONE]
    return patch


def _without(value: object, gone: object, at: Steps) -> list[Any]:
    if not isinstance(value, (list, tuple)) or not isinstance(gone, (list, tuple)):
        raise PatchFault(at, "not about two lists", "list the values to take away from a list")
    return [each for each in value if each not in gone]


def _merge_lists(
    value: Sequence[Any], patch: Sequence[Any], of: str, key: str, at: Steps, *, ordered: bool
) -> list[Any]:
    if not key:
        if any(isinstance(each, (Mapping, list, tuple)) for each in patch):
            raise PatchFault(at, "not a list of scalars", "write texts or numbers")
        every = list(dict.fromkeys([*value, *patch]))
        return every if ordered else _sorted_into(value, every, patch, _identity)
    _check_items(patch, key, at)
    there = _after_directives(value, patch, key, at)
    said = [each for each in patch if DIRECTIVE not in each]
    if any(each.get(DIRECTIVE) == "replace" for each in patch):
        return [cleaned(each) for each in said]
    merged = list(there)
    for place, item in enumerate(patch):
        if DIRECTIVE in item:
            continue
        found = next((index for index, each in enumerate(merged) if _key_of(each, key) == item[key]), None)
        if found is None:
            merged.append(cleaned(item))
        else:
            merged[found] = _merge_maps(merged[found], item, of, (*at, place))
    return merged if ordered else _sorted_into(there, merged, said, lambda each: _key_of(each, key))


def _check_items(patch: Sequence[Any], key: str, at: Steps) -> None:
    for place, item in enumerate(patch):
        where = (*at, place)
        if not isinstance(item, Mapping):
            raise PatchFault(where, "no mapping", f"write a mapping with {key}")
        if DIRECTIVE in item and item[DIRECTIVE] not in ("delete", "replace"):
            raise PatchFault((*where, DIRECTIVE), "no directive of an item", "write delete or replace")
        if item.get(DIRECTIVE) != "replace" and item.get(key) is None:
            raise PatchFault(where, f"has no {key}, by which the items of this list meet", f"add {key}")


def _after_directives(value: Sequence[Any], patch: Sequence[Any], key: str, at: Steps) -> list[Any]:
    gone = [item[key] for item in patch if item.get(DIRECTIVE) == "delete"]
    return [each for each in value if _key_of(each, key) not in gone]


def _key_of(item: object, key: str) -> Any:
    return item.get(key) if isinstance(item, Mapping) else None


def _identity(value: object) -> Any:
    return value


def _sorted_into(there: Sequence[Any], merged: Sequence[Any], order: Iterable[Any], key_of: Any) -> list[Any]:
    """Return ``merged`` in the order that Kubernetes gives it.

    What the patch names is in the patch's order, the rest in its own; where both were there before, the earlier one
    stays first, and else what the patch names does.
    """
    wanted = [key_of(each) for each in order]
    before = [key_of(each) for each in there]
    named = sorted((each for each in merged if key_of(each) in wanted), key=lambda each: wanted.index(key_of(each)))
    rest = [each for each in merged if key_of(each) not in wanted]
    found = []
    while named and rest:
        left, right = key_of(rest[0]), key_of(named[0])
        first = left in before and right in before and before.index(left) < before.index(right)
        found.append((rest if first else named).pop(0))
    return [*found, *named, *rest]


def _in_order(
    value: Mapping[str, Any], merged: dict[str, Any], patch: Mapping[str, Any], fields: Mapping[str, Field], at: Steps
) -> dict[str, Any]:
    """Return ``merged`` with its lists in the order that the patch's ``$setElementOrder`` directives say."""
    for directive, order in patch.items():
        if not directive.startswith(SET_ORDER):
            continue
        name = directive.removeprefix(SET_ORDER)
        if not isinstance(order, (list, tuple)):
            raise PatchFault((*at, directive), "not a list", "list the items in their order")
        key = fields.get(name, _UNMARKED)[2]
        if isinstance(merged.get(name), list):
            there = value.get(name)
            before = there if isinstance(there, (list, tuple)) else ()
            key_of = (lambda each, key=key: _key_of(each, key)) if key else _identity
            merged[name] = _sorted_into(before, merged[name], order, key_of)
    return merged
