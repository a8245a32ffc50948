"""JSON Schema of configuration types, from the same nodes that read them.

An overlay's schema is the type's with every field optional and nullable. An entry's has every field optional,
because what it leaves out may come from another layer.
"""

from collections.abc import Set
from typing import Any

from msgspec import UNSET

from aether_deploy.config.base import Config, FieldSpec, plain, spec_of
from aether_deploy.config.compiling import PartialNode
from aether_deploy.config.describe import field_descriptions, summary_of
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
)

DRAFT = "https://json-schema.org/draft/2020-12/schema"
_FLAVOURS = {"full": "", "entry": "Entry", "overlay": "Overlay"}


def json_schema(
    cls: type[Config], *, title: str, varying: Set[tuple[type[Config], str]] = frozenset()
) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of documents that hold a ``cls``.

    Args:
        cls: The type of the document.
        title: What the document is.
        varying: Fields of entries, by class and name, whose default depends on where the entry stands.
    """
    definitions = _Definitions(varying)
    root = definitions.reference(cls, "full", ())
    return {
        "$schema": DRAFT,
        "title": title,
        **root,
        "$defs": dict(sorted(definitions.made.items())),
    }


class _Definitions:
    """The named schemas that a document's schema refers to, made on first mention."""

    def __init__(self, varying: Set[tuple[type[Config], str]]) -> None:
        self.made: dict[str, Any] = {}
        self._varying = varying
        self._required: dict[str, tuple[str, ...]] = {}
        self._classes: dict[str, Any] = {}

    def reference(self, cls: Any, flavour: str, required: tuple[str, ...]) -> dict[str, Any]:
        name = cls.__name__ + _FLAVOURS[flavour]
        assert self._required.setdefault(name, required) == required, f"{name} would need two schemas"
        assert self._classes.setdefault(name, cls) is cls, f"two types are called {name}"
        if name not in self.made:
            self.made[name] = {}  # a type may hold itself
            self.made[name] = self._object(cls, flavour, required)
        return {"$ref": f"#/$defs/{name}"}

    def _object(self, cls: type[Config], flavour: str, required: tuple[str, ...]) -> dict[str, Any]:
        words = field_descriptions(cls)
        fields = [field for field in spec_of(cls).fields if not field.python_only]
        needed = required if flavour != "full" else tuple(field.name for field in fields if field.required)
        made: dict[str, Any] = {
            "type": "object",
            "description": summary_of(cls),
            "additionalProperties": False,
            "properties": {field.name: self._field(cls, field, words.get(field.name), flavour) for field in fields},
        }
        if needed:
            made["required"] = list(needed)
        return made

    def _field(self, cls: type[Config], field: FieldSpec, words: str | None, flavour: str) -> dict[str, Any]:
        schema = self.node(field.node, flavour)
        if flavour == "overlay":
            schema = {"anyOf": [schema, {"type": "null"}]}
        described = {"description": words, **schema} if words else schema
        default = plain(field.default) if not field.required and field.default is not UNSET else UNSET
        if default is not UNSET and (
            flavour == "full" or (flavour == "entry" and (cls, field.name) not in self._varying)
        ):
            described["default"] = default
        return described

    def node(self, node: Node, flavour: str) -> dict[str, Any]:
        """Return the schema of one node."""
        inner = "overlay" if flavour == "overlay" else flavour
        match node:
            case OptionalNode():
                return {"anyOf": [self.node(node.inner, inner), {"const": "none"}]}
            case UnionNode():
                return {"anyOf": [self.node(member, inner) for member in node.members]}
            case ConfigNode():
                return self.reference(node.cls, inner, ())
            case PartialNode():
                kind = "overlay" if node.partial.overlay or flavour == "overlay" else "entry"
                return self.reference(node.partial.cls, kind, node.partial.required)
            case TaggedNode():
                return self._tagged(node, inner, ())
            case ListNode():
                required = (node.keyed.field,) if node.keyed else ()
                unique = {"uniqueItems": True} if node.distinct else {}
                return {"type": "array", "items": self._item(node.item, inner, required), **unique}
            case MapNode():
                values = self.node(node.value, inner)
                if flavour == "overlay":
                    values = {"anyOf": [values, {"type": "null"}]}
                names = self.node(node.key, "full")
                return {"type": "object", "additionalProperties": values, "propertyNames": names}
            case AnyNode():
                return {}
            case VerbatimNode():
                return {"type": "array" if node.verbatim.list else "object", **node.verbatim.schema()}
        return _scalar(node)

    def _item(self, item: Node, flavour: str, required: tuple[str, ...]) -> dict[str, Any]:
        """An item of a named list always says its name, even in an overlay."""
        if isinstance(item, ConfigNode) and flavour != "full":
            return self.reference(item.cls, flavour, required)
        if isinstance(item, TaggedNode):
            return self._tagged(item, flavour, required)
        return self.node(item, flavour)

    def _tagged(self, node: TaggedNode, flavour: str, required: tuple[str, ...]) -> dict[str, Any]:
        """An overlay may leave the word out, because what it is laid over has it."""
        field, types = node.tagged.field, node.tagged.types()
        if flavour != "full":
            return {"anyOf": [self.reference(cls, flavour, required) for cls in types.values()]}
        branches = [
            {"if": {"properties": {field: {"const": word}}}, "then": self.reference(cls, flavour, ())}
            for word, cls in types.items()
        ]
        return {"type": "object", "required": [field], "properties": {field: {"enum": list(types)}}, "allOf": branches}


def _scalar(node: Node) -> dict[str, Any]:
    match node:
        case BoolNode():
            return {"type": "boolean"}
        case ChoiceNode():
            return {"enum": list(node.choices)}
        case NumberNode():
            return {"type": "number", "minimum": node.rule.ge, "maximum": node.rule.le}
        case WholeNode():
            return _whole(node)
        case TextNode():
            return _text(node)
    raise TypeError(f"no schema for {node!r}")


def _whole(node: WholeNode) -> dict[str, Any]:
    number: dict[str, Any] = {"type": "integer"}
    if node.rule.ge is not None:
        number["minimum"] = node.rule.ge
    if node.rule.le is not None:
        number["maximum"] = node.rule.le
    if node.rule.parse_pattern is None:
        return number
    return {"anyOf": [number, {"type": "string", "pattern": f"^(?=.){node.rule.parse_pattern}$"}]}


def _text(node: TextNode) -> dict[str, Any]:
    text: dict[str, Any] = {"type": "string"}
    rule = node.rule
    if rule is None:
        return text
    if rule.pattern is not None:
        text["pattern"] = f"^(?:{rule.pattern})$"
    if rule.max_length is not None:
        text["maxLength"] = rule.max_length
    return {"anyOf": [text, {"type": "integer"}]} if rule.numbers else text
