"""The JSON Schema of aether.yaml."""

from collections.abc import Iterator, Mapping
from typing import Any

from aether_deploy.config.base import Config, spec_of
from aether_deploy.config.compiling import compile_type
from aether_deploy.config.merging import child
from aether_deploy.config.nodes import ConfigNode, Node, OptionalNode
from aether_deploy.config.schema import json_schema
from aether_deploy.fleet.defaults import class_defaults
from aether_deploy.platform.config import Platform
from aether_deploy.platform.expansion import SECTIONS
from aether_deploy.platform.parts import Workload


def platform_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of an aether.yaml, with descriptions, defaults and patterns."""
    varying = frozenset(
        pair for name in SECTIONS for pair in _class_says(class_defaults(name, {}), compile_type(Workload))
    )
    return json_schema(Platform, title="aether.yaml", varying=varying)


def _class_says(defaults: Mapping[str, Any], node: Node) -> Iterator[tuple[type[Config], str]]:
    """Yield every field, by class and name, that has a default of its workload's class."""
    while isinstance(node, OptionalNode):
        node = node.inner
    assert isinstance(node, ConfigNode)
    cls = node.cls
    for name, value in defaults.items():
        yield from ((base, name) for base in cls.__mro__ if issubclass(base, Config) and name in spec_of(base).by_name)
        if isinstance(value, Mapping):
            yield from _class_says(value, child(node, name))
