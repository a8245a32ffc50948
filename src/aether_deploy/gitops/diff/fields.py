"""Two manifests compared field by field, items of lists by their names."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import UNSET

from aether_deploy.quantities import QuantityError, parse_quantity

Steps = tuple[str, ...]

_ITEM_KEYS = ("name", "mountPath", "containerPort", "port", "topologyKey", "path", "key")
_AMOUNTS_BELOW = frozenset({"requests", "limits", "capacity"})
_AMOUNTS = frozenset({"sizeLimit", "averageValue", "value", "tolerance"})
_SHORT = 40


class FieldChange(msgspec.Struct, frozen=True):
    """One field that differs.

    Attributes:
        at: Steps to it; ``[wal]`` is the item of a list with that name, ``[0]`` the first of a list without.
        before: Its value; UNSET where it was not there.
        after: Its value; UNSET where it is not there any more.
    """

    at: Steps
    before: Any
    after: Any

    @property
    def path(self) -> str:
        """The field's path in full: ``spec.template.spec.containers[gateway].image``."""
        return _joined(self.at)

    def below(self, *steps: str) -> bool:
        """Return whether the field is, or lies in, the one at ``steps``."""
        return self.at[: len(steps)] == steps


def field_changes(before: Any, after: Any, at: Steps = ()) -> list[FieldChange]:
    """Return the fields in which two values differ, in document order; amounts that are equal do not (1, 1000m)."""
    return list(_changes(before, after, at))


_FREE = frozenset({"annotations", "labels", "matchLabels", "data", "binaryData", "nodeSelector"})


def _changes(before: Any, after: Any, at: Steps) -> Iterator[FieldChange]:
    if at and (before is UNSET or after is UNSET):  # a list or map that comes with its items is told item by item
        before, after = _emptied(before, after, at), _emptied(after, before, at)
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in dict.fromkeys((*before, *after)):
            yield from _changes(_value(before, key), _value(after, key), (*at, str(key)))
    elif isinstance(before, list) and isinstance(after, list) and (keys := _keys(before, after)):
        yield from _item_changes(keys, before, after, at)
    elif not _equal(before, after, at):
        yield FieldChange(at, before, after)


def _emptied(value: Any, other: Any, at: Steps) -> Any:
    """Return what an absent value stands for where the other state has one."""
    if value is not UNSET:
        return value
    if isinstance(other, Mapping) and other and at[-1] in _FREE:
        return {}
    return [] if isinstance(other, list) and other and isinstance(other[0], Mapping) else UNSET


def _value(values: Mapping[str, Any], key: str) -> Any:
    value = values.get(key, UNSET)
    return UNSET if value is None else value  # an API server takes null for a field that is left out


def _keys(before: Sequence[Any], after: Sequence[Any]) -> tuple[list[str], list[str]] | None:
    """Return what tells the items of both lists apart; None where they are compared as a whole."""
    items = [*before, *after]
    if not items or not all(isinstance(item, Mapping) for item in items):
        return None
    for key in _ITEM_KEYS:
        if all(_name_of(item, key) is not None for item in items):
            names = [[f"[{_name_of(item, key)}]" for item in group] for group in (before, after)]
            if all(len(set(group)) == len(group) for group in names):
                return names[0], names[1]
    return [f"[{place}]" for place in range(len(before))], [f"[{place}]" for place in range(len(after))]


def _name_of(item: Mapping[str, Any], key: str) -> str | None:
    """Return an item's name; a claim template has it in its metadata, and a port is told by its protocol too."""
    value = item.get(key, item.get("metadata", {}).get(key) if isinstance(item.get("metadata"), Mapping) else None)
    if not isinstance(value, str | int):
        return None
    return f"{value}/{item['protocol']}" if isinstance(value, int) and "protocol" in item else str(value)


def _item_changes(
    keys: tuple[list[str], list[str]], before: Sequence[Any], after: Sequence[Any], at: Steps
) -> Iterator[FieldChange]:
    old, new = dict(zip(keys[0], before, strict=True)), dict(zip(keys[1], after, strict=True))
    for key in dict.fromkeys((*old, *new)):
        yield from _changes(old.get(key, UNSET), new.get(key, UNSET), (*at, key))
    if [key for key in old if key in new] != [key for key in new if key in old]:
        yield FieldChange((*at, "[order]"), list(old), list(new))


def _same(one: Any, other: Any) -> bool:
    """Return whether two values are the same to an API server, to which false is no 0."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return type(one) is type(other) and bool(one == other)


def _equal(before: Any, after: Any, at: Steps) -> bool:
    if _same(before, after):
        return True
    if not at or not (at[-1] in _AMOUNTS or (len(at) > 1 and at[-2] in _AMOUNTS_BELOW)):
        return False
    try:
        return parse_quantity(str(before)) == parse_quantity(str(after))
    except QuantityError:
        return False


# --- texts


def _joined(steps: Sequence[str]) -> str:
    text = ""
    for step in steps:
        if step.startswith("["):
            text += step
        elif "." in step or "/" in step:
            text += f"[{step}]"
        else:
            text += f".{step}" if text else step
    return text


def short_path(change: FieldChange, workload: str) -> str:
    """Return the path as a reviewer calls the field: ``image`` of the container that is named like the workload.

    Args:
        change: The field.
        workload: Name of the object.
    """
    steps = [step for step in change.at if step not in ("spec", "template")] or list(change.at)
    if steps[:2] in (["containers", f"[{workload}]"], ["metadata", "labels"], ["metadata", "annotations"]):
        steps = steps[2:] if steps[0] == "containers" else steps[1:]
    return _joined(steps) or "containers"


def short_change(change: FieldChange, workload: str) -> str:
    """Return the change in a few words: ``image v1.4.0 -> v1.5.0``, ``replicas: added 3``."""
    path = short_path(change, workload)
    if change.before is UNSET:
        return f"{path} {_short(change.after)} added".replace("  ", " ")
    if change.after is UNSET:
        return f"{path} {_short(change.before)} removed".replace("  ", " ")
    if change.at[-1] == "image" and isinstance(change.before, str) and isinstance(change.after, str):
        return "{} {} -> {}".format(path, *_short_images(change.before, change.after))
    if isinstance(change.before, str | int) and isinstance(change.after, str | int):
        before, after = _short(change.before), _short(change.after)
        return f"{path} changed" if before == after else f"{path} {before} -> {after}"
    return f"{path} changed"


def _short(value: Any) -> str:
    if isinstance(value, Mapping | list):
        return ""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    text = text.splitlines()[0] if text else "''"
    return text if len(text) <= _SHORT else f"{text[: _SHORT - 1]}…"


def _short_images(before: str, after: str) -> tuple[str, str]:
    """Return the parts of two images that differ: tags where only those do, else digests, else all."""
    (old, old_digest), (new, new_digest) = (text.partition("@sha256:")[::2] for text in (before, after))
    old_name, new_name = (text.rpartition(":")[0] if ":" in text.rpartition("/")[2] else text for text in (old, new))
    if old_name != new_name:
        return old, new
    if old == new:
        return f"@{old_digest[:12] or 'none'}", f"@{new_digest[:12] or 'none'}"
    return old[len(old_name) + 1 :] or "no tag", new[len(new_name) + 1 :] or "no tag"
