"""The ways to run a PostgreSQL cluster, found by scanning: a new one is one new module in ``backends``."""

import pkgutil
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from aether_deploy.config.base import Fault
from aether_deploy.infrastructure.component import FileChange, Place
from aether_deploy.infrastructure.estate import Estate
from aether_deploy.infrastructure.postgres import backends
from aether_deploy.infrastructure.recovery import Recovery

if TYPE_CHECKING:
    from aether_deploy.infrastructure.kinds.postgres import PostgresConfig


class Backend(Protocol):
    """One way to run it. A back end's module is called as the back end, and has ``BACKEND``."""

    @property
    def makes_services(self) -> bool:
        """Whether an operator makes its Services, in each of its regions one of its name."""

    def scope(self, config: "PostgresConfig", region: str) -> str:
        """Return the name of the Patroni cluster in a region; members are ``<scope>-0`` … where nothing is sharded."""

    def credentials(self, config: "PostgresConfig") -> str:
        """Return the Secret that its users log in with: keys ``username`` and ``password``."""

    def promotion(self, config: "PostgresConfig", estate: Estate) -> str:
        """Return how its standby is promoted, in the imperative: ``PATCH its /config with …``."""

    def object_changes(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> Sequence[FileChange]:
        """Return what a change of an operator's object does; nothing where this back end makes none, or knows none."""

    def object_gone(self, before: Mapping[str, Any]) -> FileChange | None:
        """Return what the end of an operator's object does; None where this back end makes none."""

    def secrets(self, config: "PostgresConfig") -> Mapping[str, tuple[str, ...]]:
        """Return the Secrets that its pods need, each with the keys that must be in it."""

    def faults(self, config: "PostgresConfig", estate: Estate) -> Iterator[Fault]:
        """Yield what this back end cannot do; steps begin at the component."""

    def render(self, config: "PostgresConfig", place: Place) -> list[dict[str, Any]]:
        """Return the objects of the component at one place."""

    def runbooks(self, config: "PostgresConfig", estate: Estate) -> Mapping[str, str]:
        """Return what people read and run by hand, by file name."""

    def recovery(self, config: "PostgresConfig", estate: Estate, region: str) -> Recovery:
        """Return what people do when a region is lost."""


@cache
def backend_names() -> tuple[str, ...]:
    """Return the names of all back ends, sorted."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(backends.__path__)))


@cache
def backend_of(name: str) -> Backend:
    """Return the back end of that name, imported on first use."""
    found: Backend = import_module(f"{backends.__name__}.{name}").BACKEND
    return found
