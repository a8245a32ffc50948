"""One entry of the file becomes one configuration per place where it runs.

The layers of an entry, each over the one before: ``defaults.workloads``, ``defaults.worlds`` or
``defaults.services``, the entry itself, and its ``per_region`` for the region. The class defaults stand
beneath all of them. A fault is reported at the layer that brought the value.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import UNSET

from aether_deploy.config.base import Fault, spec_of
from aether_deploy.config.compiling import compile_type
from aether_deploy.config.marks import Keyed
from aether_deploy.config.merging import child, is_verbatim, list_key, merge
from aether_deploy.config.nodes import Node
from aether_deploy.config.sink import FAULTY, Sink
from aether_deploy.fleet.config import UNPLACED, DeploymentConfig
from aether_deploy.problems import Problem, Shown, shown

Steps = tuple[str | int, ...]
SECTIONS = ("worlds", "services")
ROUTING = "routing"
"""Section whose settings make workloads of their own, with the defaults of ``services``."""
PLACEMENT_FIELDS = ("enabled", "regions", "per_region")


class Layer(msgspec.Struct, frozen=True, gc=False):
    """One mapping of workload fields, and where it stands in the document."""

    at: Steps
    values: Mapping[str, Any]


class Expanded(msgspec.Struct, frozen=True):
    """One entry as it runs in one region.

    Attributes:
        config: The workload; None where it has faults.
        layers: What it was made of, the strongest last.
        values: The layers as one mapping.
        faults: What is wrong with it, with absolute steps.
    """

    config: DeploymentConfig | None
    layers: tuple[Layer, ...]
    values: Mapping[str, Any]
    faults: tuple[Fault, ...]


def entry_layers(
    at: Steps, section: str, entry: Mapping[str, Any], defaults: Mapping[str, Any], region: str | None
) -> tuple[Layer, ...]:
    """Return the layers of the ``entry`` at ``at`` in ``region``, the weakest first.

    Args:
        at: Where the entry stands in the document.
        section: Whose defaults are beneath it: ``worlds`` or ``services``.
        entry: What the document says of it.
        defaults: The layers of the section ``defaults``.
        region: The region that it runs in.
    """
    layers = [Layer(("defaults", name), _mapping(defaults.get(name))) for name in ("workloads", section)]
    own = {name: value for name, value in entry.items() if name not in PLACEMENT_FIELDS}
    layers.append(Layer(at, own))
    per_region = _mapping(entry.get("per_region"))
    if region is not None and region in per_region:
        layers.append(Layer((*at, "per_region", region), _mapping(per_region[region])))
    return tuple(layer for layer in layers if layer.values or layer.at == at)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def expand_entry(layers: tuple[Layer, ...], section: str) -> Expanded:
    """Return the workload that ``layers`` make, or everything that is wrong with it."""
    node = node_of_workload()
    values = dict(layers[0].values) if layers else {}
    for layer in layers[1:]:
        values = merge(values, layer.values, node)
    sink = Sink(python=True)
    _report_decided(values, sink)
    placed_values = {**values, "workload_class": section, "namespace": UNPLACED}
    config = DeploymentConfig.read_values(placed_values, None, sink)
    # Steps of a fault count the items of the class defaults, too.
    filled = DeploymentConfig.fill(placed_values) if sink.found else values
    origins = [find_layer(steps, layers, filled, node, key=problem.key) for steps, problem in sink.found]
    said = {(p.value, p.reason) for (_, p), origin in zip(sink.found, origins, strict=True) if origin is not None}
    placed = (
        _fault_at(origin, problem)
        if origin is not None
        else _fault_of_default(steps, problem, layers, filled, node, copied=(problem.value, problem.reason) in said)
        for (steps, problem), origin in zip(sink.found, origins, strict=True)
    )
    faults = tuple(fault for fault in placed if fault is not None)
    failed = config is FAULTY or any(fault.severity == "error" for fault in faults)
    return Expanded(None if failed else config, layers, values, faults)


def _report_decided(values: Mapping[str, Any], sink: Sink) -> None:
    """Report what only Python code may set: an entry is read as Python code, because its section sets its class."""
    known = spec_of(DeploymentConfig).by_name
    for name, value in values.items():
        field = known.get(name)
        if field is not None and field.python_only is not None:
            sink.fault((None, name), f"not set in a file; {field.python_only}", "remove it", value=shown(value))


def _fault_at(origin: Steps, problem: Problem) -> Fault:
    """Return ``problem`` as a fault at the layer that brought the value."""
    value = UNSET if problem.value is None else Shown(problem.value)
    return Fault(origin, problem.reason, problem.fix, value, problem.severity, problem.key)


def _fault_of_default(
    steps: Steps, problem: Problem, layers: tuple[Layer, ...], values: Mapping[str, Any], node: Node, *, copied: bool
) -> Fault | None:
    """Return ``problem`` with a default as a fault of the entry.

    Nobody needs a warning about a default that he did not choose, nor a fault again that a default ``copied``
    (startup asks what liveness asks).
    """
    if problem.severity == "warning" or copied:
        return None
    for length in range(len(steps) - 1, -1, -1):
        found = find_layer(steps[:length], layers, values, node)
        if found is not None:
            break
    rest = ".".join(str(step) for step in steps[length:])
    reason = f"{rest} {problem.message} ({rest} is a default of its class)" if rest else problem.reason
    return Fault(found or layers[-1].at, reason, problem.fix, UNSET, problem.severity)


def find_layer(
    steps: Steps, layers: tuple[Layer, ...], values: object, node: Node, *, key: str | None = None
) -> Steps | None:
    """Return the steps, from the document's root, of the value that won at ``steps``; None for a default.

    A scalar belongs to the strongest layer that has it, a container to the entry it was begun in.
    """
    wanted = steps if key is None else (*steps, key)
    hits = [
        (layer, translated)
        for layer in layers
        if (translated := translate(wanted, values, layer.values, node)) is not None
    ]
    if not hits:
        return None
    first = began([value_at(layer.values, translated) for layer, translated in hits], wanted, node)
    entry = [hit for hit in hits[first:] if hit[0].at[0] in (*SECTIONS, ROUTING)]
    layer, translated = (entry or hits[first:])[0]
    return (*layer.at, *(translated if key is None else translated[:-1]))


def began(held: Sequence[object], steps: Steps, node: Node) -> int:
    """Return which of the values that layers hold at ``steps``, the weakest first, began the one that won.

    Only mappings and lists of named things join what is below them; everything else replaces it.
    """
    whole = False
    for step in steps:
        node = child(node, step)
        whole = whole or is_verbatim(node)
    first = len(held) - 1
    if whole:
        return first
    while first > 0 and _joins(held[first], held[first - 1], node):
        first -= 1
    return first


def _joins(value: object, below: object, node: Node) -> bool:
    if isinstance(value, Mapping):
        return isinstance(below, Mapping)
    return isinstance(value, (list, tuple)) and isinstance(below, (list, tuple)) and list_key(node) is not None


def translate(steps: Steps, merged: object, layer: object, node: Node) -> Steps | None:
    """Return ``steps`` of the merged value as steps of one of its layers; lists of named things meet by key."""
    found: list[str | int] = []
    for step in steps:
        if isinstance(step, int):
            place = _same_item(step, merged, layer, node)
            if place is None:
                return None
            merged, layer, node = merged[step], layer[place], child(node, step)  # type: ignore[index]
            found.append(place)
        elif isinstance(layer, Mapping) and _brings(layer, step, merged):
            merged = merged.get(step) if isinstance(merged, Mapping) else None
            layer, node = layer[step], child(node, step)
            found.append(step)
        else:
            return None
    return tuple(found)


def _brings(layer: Mapping[str, Any], step: str, merged: object) -> bool:
    """Return whether ``layer`` has a value at ``step``: null is one only where it is still there (an unknown key)."""
    if step not in layer:
        return False
    return layer[step] is not None or (isinstance(merged, Mapping) and merged.get(step, UNSET) is None)


def _same_item(step: int, merged: object, layer: object, node: Node) -> int | None:
    if not isinstance(layer, (list, tuple)) or not isinstance(merged, (list, tuple)) or step >= len(merged):
        return None
    keyed = list_key(node)
    if keyed is None:
        return step if step < len(layer) else None
    key = keyed.key_of(merged[step])
    if key is None:
        return _same_keyless(step, merged, layer, child(node, step), keyed)
    if len(layer) == len(merged) and keyed.key_of(layer[step]) == key:
        return step  # as in a document of one layer, without counting
    # Of items with one key, the n-th of the merged list is the n-th of the layer.
    nth = sum(keyed.key_of(item) == key for item in merged[:step])
    places = [place for place, item in enumerate(layer) if keyed.key_of(item) == key]
    return places[nth] if nth < len(places) else None


def _same_keyless(step: int, merged: Sequence[Any], layer: Sequence[Any], node: Node, keyed: Keyed) -> int | None:
    """Return the place in ``layer`` of an item that has no key: merging keeps the order of such items."""
    nameless, own = (
        [place for place, item in enumerate(items) if keyed.key_of(item) is None] for items in (merged, layer)
    )
    if len(nameless) == len(own):
        return own[nameless.index(step)]
    # Several layers bring such items; this one may hold it as it was before its nulls were left out.
    return next((place for place in own if merge(None, layer[place], node) == merged[step]), None)


def value_at(values: object, steps: Steps) -> object:
    """Return the value at ``steps``, or UNSET."""
    for step in steps:
        try:
            values = values[step]  # type: ignore[index]
        except (KeyError, IndexError, TypeError):
            return UNSET
    return values


def node_of_workload() -> Node:
    """Return the node by whose types the layers of an entry merge."""
    return compile_type(DeploymentConfig)


def iterate_entries(worlds: object, services: object) -> Iterator[tuple[str, int, Mapping[str, Any]]]:
    """Return section, place and mapping of every entry."""
    for section, entries in zip(SECTIONS, (worlds, services), strict=True):
        for place, entry in enumerate(entries if isinstance(entries, (list, tuple)) else ()):
            if isinstance(entry, Mapping):
                yield section, place, entry
