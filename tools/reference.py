"""``docs/reference.md``: every field of an aether.yaml, from the types that read it."""

from collections.abc import Iterator
from typing import Any

from msgspec import UNSET

from aether_deploy.config.base import Config, FieldSpec, plain, spec_of
from aether_deploy.config.compiling import PartialNode
from aether_deploy.config.describe import field_descriptions, rule_of, summary_of, unit_of
from aether_deploy.config.nodes import ConfigNode, ListNode, MapNode, Node, OptionalNode, TaggedNode, UnionNode
from aether_deploy.fleet.config import DeploymentConfig
from aether_deploy.fleet.defaults import CONTAINER_RESOURCES
from aether_deploy.platform.config import Platform
from aether_deploy.platform.expansion import SECTIONS
from aether_deploy.platform.explaining import shown_value, type_text
from aether_deploy.platform.parts import Workload
from aether_deploy.pods.parts import ContainerConfig
from aether_deploy.routing.config import RegionRoutingConfig
from tools.markdown import NOTE, table

INTRODUCTION = """\
Every section of an `aether.yaml` and every field in it. `aether-deploy explain PATH` prints the same for one
field, and with a file also the value that holds there and the line that it comes from.

How to read the tables:

- *Default*: **required** must be given; *by class*: see [Class defaults](#class-defaults); – is nothing.
- A name's end is its unit: `_secs` seconds, `_ms` milliseconds, `_percent` percent, `_players` players.
  Seconds may also be written as a duration: `5m`, `1h30m`.
- CPU is a quantity of cores (`2`, `500m`); sizes are quantities of bytes (`512Mi`, `10Gi`).
- *Merged by* a field: a later layer changes the items of the list that it names, and leaves the others.
  Every other list is replaced whole.
- `none` switches off what has a default. `null` only removes what an earlier layer said, so that the default
  holds again.
- *The specification* is what [design](design.md) says it is.

"""

CLASS_DEFAULTS = """\
What a workload gets where its entry, its `per_region` and `defaults` are silent: durable worlds and stateless
services differ. A `DeploymentConfig` that is built in Python is a world if it has a `pvc`, else a service.

"""

ONLY_IN_PYTHON = """\
Health and players are observed, never described: these types have no place in a file.

"""


def reference_page() -> str:
    """Return ``docs/reference.md``."""
    of_file = list(_reached(Platform))
    beside = [cls for cls in _reached(RegionRoutingConfig) if cls not in of_file]
    where = _places(of_file)
    text = "# Reference of aether.yaml\n\n" + NOTE + "\n" + INTRODUCTION + _contents(of_file, beside)
    for cls in of_file:
        text += _section(cls, where.get(cls, []))
        if cls is Workload:
            text += "### Class defaults\n\n" + CLASS_DEFAULTS + _class_table()
    text += "## Only in Python\n\n" + ONLY_IN_PYTHON
    return text + "".join(_section(cls, []) for cls in beside)


def _reached(cls: type[Config]) -> Iterator[type[Config]]:
    """Return ``cls`` and the types that its fields hold, each after the first type that mentions it."""
    seen: dict[type[Config], None] = {}

    def visit(each: type[Config]) -> None:
        if each in seen:
            return
        if each is DeploymentConfig:
            visit(Workload)  # it has the same fields and more, so it stands for both
        seen[each] = None
        for field in spec_of(each).fields:
            for inner in _classes_in(field.node):
                visit(inner)

    visit(cls)
    return iter(sorted(seen, key=lambda each: (each is not cls, list(seen).index(each))))


def _classes_in(node: Node) -> list[type[Config]]:
    """Return the types of the mappings that a field holds: none, one, or one for each kind."""
    match node:
        case OptionalNode():
            return _classes_in(node.inner)
        case ListNode():
            return _classes_in(node.item)
        case MapNode():
            return _classes_in(node.value)
        case UnionNode():
            return next((found for member in node.members if (found := _classes_in(member))), [])
        case ConfigNode():
            return [node.cls]
        case PartialNode():
            return [node.partial.cls]
        case TaggedNode():
            return list(node.tagged.types().values())
    return []


def _places(classes: list[type[Config]]) -> dict[type[Config], list[str]]:
    """Return, for each type, the fields that hold it, as ``Owner.field``, overlays left out."""
    found: dict[type[Config], list[str]] = {}
    for owner in classes:
        for field in spec_of(owner).fields:
            inherited = owner is not DeploymentConfig and issubclass(owner, DeploymentConfig)
            for inner in _classes_in(field.node):
                if not (inherited and field.name in DeploymentConfig.__struct_fields__):
                    found.setdefault(inner, []).append(f"{_owner_text(owner)}{field.name}")
    return found


def _owner_text(owner: type[Config]) -> str:
    if owner is Platform:
        return ""
    return "a workload's " if owner is DeploymentConfig else f"{owner.__name__}'s "


def _contents(of_file: list[type[Config]], beside: list[type[Config]]) -> str:
    links = [_link(cls) for cls in of_file]
    return "Types: " + ", ".join(links) + ". Only in Python: " + ", ".join(_link(cls) for cls in beside) + ".\n\n"


def _link(cls: type[Config]) -> str:
    return f"[{cls.__name__}](#{cls.__name__.lower()})"


def _section(cls: type[Config], held_by: list[str]) -> str:
    text = f"## {cls.__name__}\n\n{_code(summary_of(cls))}\n\n"
    if held_by:
        text += f"Where: {', '.join(_place(each) for each in held_by)}.\n\n"
    if rule := rule_of(cls):
        text += f"Source of its rule: {_code(rule)}\n\n"
    fields = spec_of(cls).fields
    if cls is DeploymentConfig:
        text += f"The fields of {_link(Workload)} without `enabled`, `regions` and `per_region`; in Python also:\n\n"
        fields = tuple(field for field in fields if field.python_only)
    elif issubclass(cls, DeploymentConfig):
        fields = tuple(field for field in fields if not field.python_only)
    words = field_descriptions(cls)
    rows = [_row(cls, field, words.get(field.name, "")) for field in fields]
    return text + table(("field", "type", "default", "meaning"), rows) + "\n"


def _place(held_by: str) -> str:
    owner, _, field = held_by.rpartition(" ")
    return f"{owner} `{field}`" if owner else f"`{field}`"


def _code(text: str) -> str:
    return text.replace("``", "`")


def _row(cls: type[Config], field: FieldSpec, words: str) -> tuple[str, ...]:
    unit = unit_of(field.name)
    said = unit is None or unit.partition(" ")[0] in words.lower()
    meaning = words if said else f"{words.rstrip('.')}; {unit}."
    if field.python_only:
        meaning += f" Not set in a file: {field.python_only}."
    return (f"`{field.name}`", _type(field.node), _default(cls, field), meaning)


def _type(node: Node) -> str:
    """Return the type of a field, the types that it holds as links."""
    text, classes = type_text(node), _classes_in(node)
    if not classes:
        return text
    links = " or ".join(_link(cls) for cls in classes)
    for word, link in (("mappings", f"overlays of {links}" if _is_overlay(node) else links), ("a mapping", links)):
        before, found, after = text.rpartition(word)
        if found:
            return before + link + after
    return text


def _is_overlay(node: Node) -> bool:
    inner = node.value if isinstance(node, MapNode) else node
    return isinstance(inner, PartialNode) and inner.partial.overlay


def _default(cls: type[Config], field: FieldSpec) -> str:
    values = _by_class().get((_bare(cls), field.name))
    if values == [{}, {}]:
        return "its type's defaults"
    if field.required:
        return "by class; in Python **required**" if values else "**required**"
    if field.default in (UNSET, None, (), {}):
        return "by class" if values else "–"
    return f"`{shown_value(field.default)}`" + (", or by class" if values else "")


def _bare(cls: type[Config]) -> type[Config]:
    return DeploymentConfig if issubclass(cls, DeploymentConfig) else cls


def _by_class() -> dict[tuple[type[Config], str], list[Any]]:
    """Return, for each field to which a class gives a value, those values."""
    found: dict[tuple[type[Config], str], list[Any]] = {(ContainerConfig, "resources"): [CONTAINER_RESOURCES]}
    for section in SECTIONS:
        for path, owner, value in _given_by_class(section):
            found.setdefault((owner, path.rpartition(".")[2]), []).append(value)
    return found


def _class_table() -> str:
    found: dict[str, dict[str, Any]] = {}
    for section in SECTIONS:
        for path, _, value in _given_by_class(section):
            if value is not None:
                found.setdefault(path, {})[section] = value
    rows = [
        (f"`{path}`", *(_shown(values.get(each)) for each in SECTIONS))
        for path, values in found.items()
        if any(values.get(each) != {} for each in SECTIONS)
    ]
    rows += [
        (f"`resources.{name}` of a sidecar or init container", f"`{value}`", f"`{value}`")
        for name, value in CONTAINER_RESOURCES.items()
    ]
    return table(("field", *SECTIONS), rows) + "\n"


def _shown(value: Any) -> str:
    if value is None:
        return "–"
    return "its type's defaults" if value == {} else f"`{shown_value(value)}`"


def _given_by_class(section: str) -> Iterator[tuple[str, type[Config], Any]]:
    values = {"name": "x", "image": "x:1", "workload_class": section}
    return _beyond_types(DeploymentConfig(**values), "")  # type: ignore[arg-type]


def _beyond_types(config: Config, above: str) -> Iterator[tuple[str, type[Config], Any]]:
    """Return path, owner and value of what ``config`` holds beyond its type's defaults.

    The value of a section is None where its fields follow.
    """
    for field in spec_of(type(config)).fields:
        value = getattr(config, field.name)
        if value is UNSET or value == field.default or field.name in ("name", "image", "workload_class"):
            continue
        path = f"{above}{field.name}"
        inner = list(_beyond_types(value, f"{path}.")) if isinstance(value, Config) else []
        yield path, type(config), None if inner else plain(value)
        yield from inner
