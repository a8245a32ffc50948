"""The ways to run a PostgreSQL cluster, found by scanning: a new one is one new module in ``backends``."""

import pkgutil
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from aether_deploy.config.base import Fault
from aether_deploy.infrastructure.component import Place
from aether_deploy.infrastructure.estate import Estate
from aether_deploy.infrastructure.postgres import backends

if TYPE_CHECKING:
    from aether_deploy.infrastructure.kinds.postgres import PostgresConfig


class Backend(Protocol):
    """One way to run it. A back end's module is called as the back end, and has ``BACKEND``."""

    def secrets(self, config: "PostgresConfig") -> Mapping[str, tuple[str, ...]]:
        """Return the Secrets that its pods need, each with the keys that must be in it."""

    def faults(self, config: "PostgresConfig", estate: Estate) -> Iterator[Fault]:
        """Yield what this back end cannot do; steps begin at the component."""

    def render(self, config: "PostgresConfig", place: Place) -> list[dict[str, Any]]:
        """Return the objects of the component at one place."""

    def runbooks(self, config: "PostgresConfig", estate: Estate) -> Mapping[str, str]:
        """Return what people read and run by hand, by file name."""


@cache
def backend_names() -> tuple[str, ...]:
    """Return the names of all back ends, sorted."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(backends.__path__)))


@cache
def backend_of(name: str) -> Backend:
    """Return the back end of that name, imported on first use."""
    found: Backend = import_module(f"{backends.__name__}.{name}").BACKEND
    return found
