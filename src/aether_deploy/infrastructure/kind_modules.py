"""What the package of a kind may hold beside its settings: a module that answers one sort of question."""

from functools import cache
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

_ROOM = "aether_deploy.infrastructure"


@cache
def module_of_kind(kind: str, name: str) -> ModuleType | None:
    """Return the module ``name`` of a kind's package; None where the kind has no such module, or no package."""
    package = f"{_ROOM}.{kind}"
    if find_spec(package) is None or find_spec(f"{package}.{name}") is None:
        return None
    return import_module(f"{package}.{name}")
