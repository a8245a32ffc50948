"""Layers make one document: maps merge, ``null`` removes, lists of named things merge by their key.

RFC 7386 (JSON Merge Patch), except that the type of a field may say that its list is keyed. Inside an
overlay that is itself stored for later (``per_region``), ``null`` stays, because it has not acted yet.
"""

from collections.abc import Mapping
from typing import Any

from aether_deploy.config.base import spec_of
from aether_deploy.config.compiling import PartialNode
from aether_deploy.config.marks import Keyed
from aether_deploy.config.nodes import (
    AnyNode,
    ConfigNode,
    ListNode,
    MapNode,
    Node,
    OptionalNode,
    TaggedNode,
    VerbatimNode,
)

_ANY = AnyNode()


def child(node: Node, step: object) -> Node:
    """Return the node of what a value of ``node`` holds at ``step``; an untyped one where it is unknown."""
    match node:
        case OptionalNode():
            return child(node.inner, step)
        case ConfigNode():
            field = spec_of(node.cls).by_name.get(str(step))
            return field.node if field else _ANY
        case PartialNode():
            field = spec_of(node.partial.cls).by_name.get(str(step))
            return field.node if field else _ANY
        case TaggedNode():
            known = (spec_of(cls).by_name.get(str(step)) for cls in node.tagged.types().values())
            return next((field.node for field in known if field), _ANY)
        case MapNode():
            return node.value
        case ListNode():
            return node.item
    return _ANY


def narrowed(node: Node, *values: object) -> Node:
    """Return the node of the one type that ``values`` are of, where ``node`` stands for several told by a field.

    The first of the values that says its type decides; where none does, the node stays as it is.
    """
    if isinstance(node, OptionalNode):
        return narrowed(node.inner, *values)
    return node.chosen(*values) or node if isinstance(node, TaggedNode) else node


def list_key(node: Node) -> Keyed | None:
    """Return by what a list of ``node`` merges; None where a later list replaces it whole."""
    if isinstance(node, OptionalNode):
        return list_key(node.inner)
    return node.keyed if isinstance(node, ListNode) else None


def is_verbatim(node: Node) -> bool:
    """Return whether a value of ``node`` is kept as it was written, so that a later layer replaces it whole."""
    return isinstance(node, VerbatimNode) or (isinstance(node, OptionalNode) and is_verbatim(node.inner))


def merge(base: object, overlay: object, node: Node, *, keep_null: bool = False) -> Any:
    """Return ``base`` with ``overlay`` laid over it, by the type of ``node``. Neither is changed."""
    if is_verbatim(node):
        return overlay
    node = narrowed(node, overlay, base) if isinstance(node, TaggedNode) else node
    if type(overlay) is dict or isinstance(overlay, Mapping):
        return _merge_maps(base if isinstance(base, Mapping) else {}, overlay, node, keep_null)
    keyed = list_key(node)
    if keyed is not None and isinstance(base, (list, tuple)) and isinstance(overlay, (list, tuple)):
        return _merge_lists(base, overlay, node, keyed, keep_null)
    if keyed is not None and isinstance(overlay, (list, tuple)):
        return [merge(None, item, child(node, 0), keep_null=keep_null) for item in overlay]
    return overlay


def _merge_maps(base: Mapping[str, Any], overlay: Mapping[str, Any], node: Node, keep_null: bool) -> dict[str, Any]:
    merged = dict(base)
    keep_null = keep_null or (isinstance(node, PartialNode) and node.partial.overlay)
    for key, value in overlay.items():
        kind = type(value)
        if kind is str or kind is int or kind is bool:
            merged[key] = value
        elif value is None and not keep_null and _knows(node, key):
            merged.pop(key, None)
        elif isinstance(value, (dict, list, tuple, Mapping)):
            merged[key] = merge(merged.get(key), value, child(node, key), keep_null=keep_null)
        else:
            merged[key] = value
    return merged


def _knows(node: Node, key: str) -> bool:
    """Return whether a value of ``node`` may have ``key``; what it may not have has to stay visible as a fault."""
    match node:
        case OptionalNode():
            return _knows(node.inner, key)
        case ConfigNode():
            return key in spec_of(node.cls).by_name
        case PartialNode():
            return key in spec_of(node.partial.cls).by_name
        case TaggedNode():
            return any(key in spec_of(cls).by_name for cls in node.tagged.types().values())
    return True


def _merge_lists(
    base: list[Any] | tuple[Any, ...],
    overlay: list[Any] | tuple[Any, ...],
    node: Node,
    keyed: Keyed,
    keep_null: bool,
) -> list[Any]:
    """Items meet by key, each at most once, so that a name given twice stays visible as a fault."""
    merged = list(base)
    places: dict[object, int] = {}
    for index, item in enumerate(base):
        key = keyed.key_of(item)
        if key is not None:
            places.setdefault(key, index)
    for item in overlay:
        place = places.pop(keyed.key_of(item), None)
        if place is None:
            merged.append(merge(None, item, child(node, 0), keep_null=keep_null))
        else:
            merged[place] = merge(merged[place], item, child(node, 0), keep_null=keep_null)
    return merged
