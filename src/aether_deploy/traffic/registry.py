"""The kinds of back ends, found by scanning: a new kind is one new module in ``kinds``."""

import pkgutil
from collections.abc import Mapping
from functools import cache
from importlib import import_module

from aether_deploy.traffic import kinds
from aether_deploy.traffic.backend import BackendConfig


@cache
def backend_types() -> Mapping[str, type[BackendConfig]]:
    """Return the type of each kind's settings, by the kind's name, sorted.

    A kind's module is called as the kind, and has ``KIND``: a subclass of BackendConfig.
    """
    names = sorted(module.name for module in pkgutil.iter_modules(kinds.__path__))
    return {name: import_module(f"{kinds.__name__}.{name}").KIND for name in names}
