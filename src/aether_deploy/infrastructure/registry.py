"""The kinds of components, found by scanning: a new kind is one new module in ``kinds``."""

import pkgutil
from collections.abc import Mapping
from functools import cache
from importlib import import_module

from aether_deploy.infrastructure import kinds
from aether_deploy.infrastructure.component import ComponentConfig


@cache
def component_types() -> Mapping[str, type[ComponentConfig]]:
    """Return the type of each kind's settings, by the kind's name, sorted.

    A kind's module is called as the kind, and has ``KIND``: a subclass of ComponentConfig.
    """
    names = sorted(module.name for module in pkgutil.iter_modules(kinds.__path__))
    return {name: import_module(f"{kinds.__name__}.{name}").KIND for name in names}
