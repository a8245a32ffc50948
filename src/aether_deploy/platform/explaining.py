"""Explaining a field: its type, unit, default and rule; and of a document, its value and who won."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec import UNSET

from aether_deploy.config.base import Config, FieldSpec, plain, spec_of
from aether_deploy.config.compiling import PartialNode, compile_type
from aether_deploy.config.describe import field_descriptions, rule_of, summary_of, unit_of
from aether_deploy.config.merging import child, list_key, narrowed
from aether_deploy.config.nodes import (
    ConfigNode,
    ListNode,
    MapNode,
    Node,
    NumberNode,
    OptionalNode,
    TaggedNode,
    UnionNode,
    WholeNode,
)
from aether_deploy.config.sink import path_text
from aether_deploy.fleet.defaults import class_defaults
from aether_deploy.platform.config import Platform
from aether_deploy.platform.expansion import SECTIONS, Steps, find_layer, node_of_workload, value_at
from aether_deploy.platform.layers import Document, Evaluation, Origin, Setting
from aether_deploy.platform.parts import Workload
from aether_deploy.problems import ConfigError, Problem, did_you_mean, shown, suggestion


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """What there is to say of a field. Every part is ready to print; None where there is nothing to say.

    Attributes:
        path: The field's path.
        description: What it is.
        type: What it may hold.
        unit: Its unit.
        default: Its value when left out.
        rule: Where its rule comes from.
        fields: For a section, its fields and what they are.
        value: In a document, the value that holds.
        origin: In a document, where that value was written.
    """

    path: str
    description: str
    type: str
    unit: str | None = None
    default: str | None = None
    rule: str | None = None
    fields: Mapping[str, str] = {}
    value: str | None = None
    origin: str | None = None

    def at(self, name: str, place: tuple[int, int] | None, environment: str | None) -> "Explanation":
        """Return the explanation with the file, line and column of its value."""
        where = name if place is None else f"{name}:{place[0]}:{place[1]}"
        overlay = f" (environment {environment})" if environment else ""
        return msgspec.structs.replace(self, origin=where + overlay)

    def values(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__struct_fields__}


def explain_field(
    path: str, *, items_exist: bool = False, steps: Steps | None = None, values: object = UNSET
) -> Explanation:
    """Return what the field at ``path`` is. List items may be left out or named: ``worlds.scaling``.

    Args:
        path: The field's path. What each kind has of its own is asked by the kind: ``components.nats.streams``.
        items_exist: A step that is no field names an item; else it may be a field that is misspelt.
        steps: The same path with items by their places.
        values: The document, in which an item says its kind.

    Raises:
        ConfigError: If there is no such field, or each kind has another one of that name.
    """
    node: Node = compile_type(Platform)
    owner: type[Config] = Platform
    field: FieldSpec | None = None
    names: list[str] = []  # the fields on the way, without items
    in_item = False
    for step in _parsed(path) if steps is None else steps:
        item = isinstance(node, ListNode) and isinstance(step, int)
        node = narrowed(_opened(node), values)
        values = value_at(values, (step,))
        if item:
            node, in_item = narrowed(node, values), True
            continue
        if isinstance(node, TaggedNode) and step in node.tagged.types():
            node, in_item = narrowed(node, {node.tagged.field: step}), True
            continue
        known: dict[str, FieldSpec] = {}
        for cls in _classes_of(node):
            known = {**spec_of(cls).by_name, **known}
        if step in known:
            _refuse_ambiguous(path, str(step), node)
            owner = next(cls for cls in _classes_of(node) if step in spec_of(cls).by_name)
            field, in_item = known[str(step)], False
            if field.python_only is not None:
                raise _refused(path, f"is not set in a file; {field.python_only}", "leave it out")
            node = field.node
            names.append(str(step))
        elif isinstance(node, MapNode):
            node, in_item = child(node, step), True
        elif field is not None and not in_item and _names_item(field, step, known, items_exist=items_exist):
            in_item = True
        else:
            raise _unknown(path, str(step), known)
    found = _explanation(path or "$", owner, field, _opened(node), tuple(names))
    return msgspec.structs.replace(found, type=type_text(_opened(node)), default=None) if in_item else found


def _refuse_ambiguous(path: str, step: str, node: Node) -> None:
    """Refuse a field that several kinds have, each with another meaning."""
    if not isinstance(node, TaggedNode):
        return
    types = node.tagged.types()
    holders = {kind: spec_of(cls).by_name[step].node for kind, cls in types.items() if step in spec_of(cls).by_name}
    if len({id(each) for each in holders.values()}) > 1:
        before, _, after = path.partition(step)
        ways = " or ".join(f"{before}{kind}.{step}{after}" for kind in holders)
        raise _refused(path, f"is another field in each kind: {', '.join(holders)}", f"write {ways}")


def _parsed(path: str) -> Steps:
    """Return the steps of ``path``, which may begin with ``$`` as in problems."""
    bare = path.removeprefix("$").removeprefix(".") if path.startswith("$") else path
    if not bare:
        return ()
    try:
        return Setting(bare, None).steps
    except ConfigError as error:
        first = error.problems[0]
        raise _refused(path, first.reason, first.fix) from error


def _refused(path: str, reason: str, fix: str) -> ConfigError:
    return ConfigError([Problem(path=path, reason=reason, fix=fix)])


def _names_item(field: FieldSpec, step: str | int, known: Mapping[str, FieldSpec], *, items_exist: bool) -> bool:
    if isinstance(step, int):
        return isinstance(field.node, ListNode)
    return list_key(field.node) is not None and (items_exist or did_you_mean(step, known) is None)


def _unknown(path: str, step: str, known: Mapping[str, Any]) -> ConfigError:
    fields = [name for name, field in known.items() if not field.python_only]
    if path == step and step in spec_of(Workload).by_name:
        fix = f"it is a field of workloads: worlds.{step} or services.{step}"
        return _refused(path, f"has no field {shown(step)}", fix)
    fix = suggestion(step, fields, f"known are {', '.join(fields)}" if fields else "leave it out: it has no fields")
    return _refused(path, f"has no field {shown(step)}", fix)


def _opened(node: Node) -> Node:
    """Return the node that ``node`` wraps: an optional's inside, a list's item."""
    while isinstance(node, OptionalNode | ListNode):
        node = node.inner if isinstance(node, OptionalNode) else node.item
    return node


def _classes_of(node: Node) -> tuple[type[Config], ...]:
    """Return the types whose fields a value of ``node`` may have: one, or one for each kind."""
    match node:
        case ConfigNode():
            return (node.cls,)
        case PartialNode():
            return (node.partial.cls,)
        case TaggedNode():
            return tuple(node.tagged.types().values())
    return ()


def _explanation(
    path: str, owner: type[Config], field: FieldSpec | None, inner: Node, names: tuple[str, ...]
) -> Explanation:
    classes = _classes_of(inner)
    cls = classes[0] if classes else None
    fields: dict[str, str] = {}
    for each in classes:
        words = field_descriptions(each)
        fields |= {f.name: words.get(f.name, "") for f in spec_of(each).fields if not f.python_only} | fields
    if field is None:
        return Explanation(path=path, description=summary_of(owner), type="a mapping", fields=fields)
    said = field_descriptions(owner).get(field.name) or summary_of(cls or owner)
    return Explanation(
        path=path,
        description=said,
        type=type_text(field.node),
        unit=unit_of(field.name),
        default=_default_text(field, names),
        rule=rule_of(cls or owner),
        fields=fields,
    )


def type_text(node: Node) -> str:
    """Return what a node may hold, in words."""
    match node:
        case OptionalNode():
            return f"{type_text(node.inner)}, or none"
        case UnionNode():
            return " or ".join(type_text(member) for member in node.members)
        case ListNode():
            merged = f", merged by {node.keyed.field}" if node.keyed else ""
            return f"a list of {_plural(type_text(node.item))}{merged}"
        case MapNode():
            return f"a mapping of {_plural(type_text(node.key))} to {_plural(type_text(node.value))}"
        case WholeNode():
            least, most = node.rule.ge, node.rule.le
            bounds = f", {least} or more" if least is not None and most in (None, 2**31 - 1) else ""
            bounds = f", {least} to {most}" if least is not None and most not in (None, 2**31 - 1) else bounds
            return node.expects + bounds
        case NumberNode():
            return f"{node.expects}, {node.rule.ge:g} to {node.rule.le:g}" if node.rule.le < 1e308 else node.expects
    return node.expects


def _plural(text: str) -> str:
    article, space, noun = text.partition(" ")
    return f"{noun}s" if space and article in ("a", "an") else text


def _default_text(field: FieldSpec, names: tuple[str, ...]) -> str | None:
    if field.required:
        return "required"
    names = tuple(name for name in names if name not in ("environments", "per_region"))
    if not names:
        return shown_value(field.default)
    sections = [name for name in SECTIONS if name in names[:2]] or (SECTIONS if names[0] == "defaults" else [])
    inner = names[2:] if names[0] == "defaults" else names[1:]
    given = {name: value_at(class_defaults(name, {}), inner) for name in sections} if inner else {}
    said = {name: shown_value(value) for name, value in given.items() if value is not UNSET}
    if said:
        alike = len(set(said.values())) == 1
        return next(iter(said.values())) if alike else ", ".join(f"{text} ({name})" for name, text in said.items())
    return None if field.default is UNSET else shown_value(field.default)


def shown_value(value: object) -> str:
    """Return a value as a file would say it, on one line."""
    import json

    said = plain(value)
    return said if isinstance(said, str) else json.dumps(said, ensure_ascii=False)


def explain_value(path: str, document: Document, evaluation: Evaluation) -> tuple[Explanation, Origin | None]:
    """Return what the field at ``path`` is and what it holds in an evaluated document, and who wrote it.

    Raises:
        ConfigError: If there is no such field or item.
    """
    assert evaluation.platform is not None
    bare, _, region = path.partition("@")
    steps = _steps(bare, evaluation.values)
    explanation = explain_field(bare, items_exist=True, steps=steps, values=evaluation.values)
    if len(steps) > 1 and steps[0] in SECTIONS:
        return _explain_entry(explanation, path, steps, region, document, evaluation)
    if region:
        raise _refused(path, "holds in every region", "leave the region out; only worlds and services differ by it")
    value = value_at(evaluation.values, steps)
    if value is UNSET:
        value = _held(evaluation.platform, steps, path)
        return msgspec.structs.replace(explanation, value=shown_value(value), origin="default"), None
    return msgspec.structs.replace(explanation, value=shown_value(value)), document.origin(evaluation, steps)


def _explain_entry(
    explanation: Explanation, path: str, steps: Steps, region: str, document: Document, evaluation: Evaluation
) -> tuple[Explanation, Origin | None]:
    platform = evaluation.platform
    assert platform is not None
    section, place, *inner = steps
    codes = [each.code for each in platform.regions]
    if region and region not in codes:
        fix = suggestion(region, codes, f"known are {', '.join(codes)}")
        raise _refused(path, f"has no region {shown(region)}", fix)
    found = platform.expanded_in((section, place), region or None)
    if inner and inner[0] in ("enabled", "regions", "per_region"):
        value = value_at(evaluation.values, steps)
        origin = document.origin(evaluation, steps) if value is not UNSET else None
        default = {"enabled": "true", "regions": "all"}.get(str(inner[0]), "{}")
        text = default if value is UNSET else shown_value(value)
        return msgspec.structs.replace(explanation, value=text, origin="default"), origin
    names, written = _named_and_written(inner, found.values)
    value = _held(found.config, names, path)
    at = None if written is None else find_layer(written, found.layers, found.values, node_of_workload())
    explained = msgspec.structs.replace(explanation, value=shown_value(value), origin=f"default of {section}")
    return explained, None if at is None else document.origin(evaluation, at)


def _steps(path: str, values: object) -> Steps:
    """Return the steps of ``path``, with names of list items as positions as far as the items of sections."""
    node: Node = compile_type(Platform)
    found: list[str | int] = []
    steps = _parsed(path)
    for step in steps:
        keyed = list_key(node)
        if isinstance(values, list | tuple):
            names = [_name_of(keyed.key_of(item), place) if keyed else "" for place, item in enumerate(values)]
            step = _place_in(names, step, path_text(found), path)
        found.append(step)
        values, node = value_at(values, (step,)), child(narrowed(node, values), step)
        if len(found) == 2 and found[0] in SECTIONS:
            return (*found, *steps[2:])
    return tuple(found)


def _name_of(key: object, place: int) -> str:
    """Return what an item is called; one without a name, such as a link, is called by its position."""
    return key if isinstance(key, str) else str(place)


def _place_in(names: list[str], step: str | int, where: str, path: str) -> int:
    if isinstance(step, int) and step < len(names):
        return step
    if isinstance(step, str) and step in names:
        return names.index(step)
    known = [name for name in names if name]
    some = f"name one of its items: {', '.join(known)}" if known else "name an item that is there"
    fix = some if isinstance(step, int) else suggestion(step, known, some)
    raise _refused(path, f"{where} has no item {shown(step)}", fix)


def _named_and_written(steps: list[str | int], values: object) -> tuple[list[str | int], Steps | None]:
    """Return ``steps`` inside an entry with items by name, and by position in what its layers say.

    The second is None for what no layer says: a default of the class.
    """
    node: Node = node_of_workload()
    names: list[str | int] = []
    written: list[str | int] = []
    for step in steps:
        keyed = list_key(node)
        if keyed is not None:
            keys = [keyed.key_of(item) for item in values] if isinstance(values, list | tuple) else []
            name = keys[step] if isinstance(step, int) and step < len(keys) else step
            names.append(str(name))
            if name not in keys:
                return [*names, *steps[len(names) :]], None
            step = keys.index(name)
        else:
            names.append(step)
        written.append(step)
        values, node = value_at(values, (step,)), child(node, step)
    return names, tuple(written)


def _held(config: Config | None, names: Iterable[str | int], path: str) -> Any:
    """Return what ``config`` holds at ``names``, items of lists by name or position; None inside what is off."""
    held: Any = config
    node = compile_type(type(config))
    done: list[str | int] = []
    for step in names:
        where = path_text(done).removeprefix("$.")
        if isinstance(held, Config):
            held = getattr(held, str(step), None)
        elif isinstance(held, Mapping):
            if step not in held:
                fix = suggestion(str(step), map(str, held), f"known are {', '.join(held)}" if held else "add it first")
                raise _refused(path, f"{where} has no key {shown(step)}", fix)
            held = held[step]
        elif isinstance(held, tuple):
            keyed = list_key(node)
            items = [_name_of(keyed.key_of(item), place) if keyed else "" for place, item in enumerate(held)]
            held = held[_place_in(items, step, where, path)]
        node = child(node, step)
        done.append(step)
    return held
