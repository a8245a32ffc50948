"""A field's annotation becomes the node that reads it."""

import types
import typing
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, Literal

import msgspec

from aether_deploy.config.marks import (
    Distinct,
    Keyed,
    NumberRule,
    OneOf,
    Partial,
    Placeholders,
    Tagged,
    TextRule,
    Verbatim,
    WholeRule,
)
from aether_deploy.config.nodes import (
    AnyNode,
    BoolNode,
    ChoiceNode,
    ConfigNode,
    ListNode,
    MapNode,
    Node,
    NumberNode,
    OptionalNode,
    TaggedNode,
    TextNode,
    UnionNode,
    VerbatimNode,
    WholeNode,
    is_config,
)
from aether_deploy.config.sink import Path, Sink


class PartialNode(Node):
    """Checks keys and types of some fields of a Config and hands the raw mapping on, for layering."""

    __slots__ = ("partial",)
    expects = "a mapping"

    def __init__(self, partial: Partial) -> None:
        self.partial = partial

    def read(self, raw: object, path: Path, sink: Sink) -> Any:
        """Return the mapping even with faults in it: rules on the whole document still want to see it."""
        given = type(raw).as_given(raw) if is_config(raw) else raw  # type: ignore[attr-defined]
        if not isinstance(given, Mapping):
            return self.refuse(raw, path, sink, "write a mapping: { ... }")
        checked = self.partial.checked
        said = given if checked is None else {name: given[name] for name in checked if name in given}
        if said:
            inner = Sink(partial=True)
            compile_type(self.partial.cls).read(said, path, inner)
            sink.found += inner.found
        for name in self.partial.required:
            if given.get(name) is None:
                sink.fault(path, f"lacks '{name}'", f"add {name}")
        return given


_COMPILED: dict[Any, Node] = {}


def compile_type(annotation: Any) -> Node:
    """Return the node of a field's annotation; equal annotations share one."""
    try:
        return _COMPILED[annotation]
    except KeyError:
        node = _COMPILED[annotation] = _compile(annotation, ())
        return node
    except TypeError:  # an unhashable part, such as a Partial with a list
        return _compile(annotation, ())


def _first(rules: tuple[Any, ...], kind: type) -> Any:
    return next((rule for rule in rules if isinstance(rule, kind)), None)


def _compile(annotation: Any, rules: tuple[Any, ...]) -> Node:
    if isinstance(annotation, typing.TypeAliasType) if hasattr(typing, "TypeAliasType") else False:
        return _compile(annotation.__value__, rules)
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        inner, *more = typing.get_args(annotation)
        return _compile(inner, (*more, *rules))
    if partial := _first(rules, Partial):
        return PartialNode(partial)
    if tagged := _first(rules, Tagged):
        return TaggedNode(tagged)
    if verbatim := _first(rules, Verbatim):
        return VerbatimNode(verbatim)
    if origin in (typing.Union, types.UnionType):
        return _compile_union(typing.get_args(annotation), rules)
    if origin is Literal:
        return ChoiceNode(typing.get_args(annotation), None)
    if origin is Sequence:
        item = compile_type(typing.get_args(annotation)[0])
        return ListNode(item, _first(rules, Keyed), distinct=_first(rules, Distinct) is not None)
    if origin in (dict, Mapping) or (isinstance(origin, type) and issubclass(origin, Mapping)):
        key, value = typing.get_args(annotation)
        return MapNode(compile_type(key), compile_type(value))
    return _compile_plain(annotation, rules)


def _compile_union(members: tuple[Any, ...], rules: tuple[Any, ...]) -> Node:
    real = [m for m in members if m is not type(None) and m is not msgspec.UnsetType]
    nodes = tuple(_compile(member, rules) for member in real)
    inner = nodes[0] if len(nodes) == 1 else UnionNode(nodes)
    return OptionalNode(inner) if type(None) in members else inner


def _compile_plain(annotation: Any, rules: tuple[Any, ...]) -> Node:
    if annotation is Any:
        return AnyNode()
    if annotation is str and (one_of := _first(rules, OneOf)):
        return ChoiceNode(one_of.words, None)
    if annotation is str:
        return TextNode(_first(rules, TextRule), _first(rules, Placeholders))
    if annotation is bool:
        return BoolNode()
    if annotation is int:
        return WholeNode(_first(rules, WholeRule) or WholeRule())
    if annotation is float:
        return NumberNode(_first(rules, NumberRule) or NumberRule(ge=-1e308, le=1e308))
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return ChoiceNode(tuple(member.value for member in annotation), annotation)
    if hasattr(annotation, "read_values"):
        return ConfigNode(annotation)
    raise TypeError(f"no node for the annotation {annotation!r}")
