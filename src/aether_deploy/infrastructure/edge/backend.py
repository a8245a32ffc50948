"""The back ends of edges, found by scanning: a new one is one new module in ``backends``."""

import pkgutil
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from aether_deploy.config.base import Fault
from aether_deploy.infrastructure.component import Place, Port
from aether_deploy.infrastructure.edge import backends
from aether_deploy.infrastructure.estate import Estate

if TYPE_CHECKING:
    from aether_deploy.infrastructure.kinds.edge import EdgeConfig
    from aether_deploy.infrastructure.kinds.object_store import ObjectStoreConfig

RUNS_HERE = "nginx"
"""The back end that has pods; all others are a provider's."""


class Backend(Protocol):
    """What one back end makes of the policy. Its module is called as the back end, and has ``BACKEND``."""

    @property
    def called(self) -> str:
        """What people call it: ``CloudFront``."""

    def ports(self, config: "EdgeConfig") -> tuple[Port, ...]:
        """Return the ports that players ask."""

    def own_faults(self, config: "EdgeConfig") -> Iterator[Fault]:
        """Yield what is wrong between its settings; steps begin at the component."""

    def placed_faults(self, config: "EdgeConfig", store: "ObjectStoreConfig", estate: Estate) -> Iterator[Fault]:
        """Yield what it cannot do with this store on this estate, errors and warnings; the bucket is there."""

    def render(self, config: "EdgeConfig", place: Place) -> list[dict[str, Any]]:
        """Return its objects at one place."""

    def runbooks(self, config: "EdgeConfig", estate: Estate) -> Mapping[str, str]:
        """Return what people read, and apply by hand, by file name."""

    def origins_asked(self, count: int) -> int:
        """Return how many of ``count`` copies of the store it asks, one after the other."""


@cache
def backend_names() -> tuple[str, ...]:
    """Return the names of all back ends, sorted."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(backends.__path__)))


@cache
def backend_of(name: str) -> Backend:
    """Return the back end of that name, imported on first use."""
    found: Backend = import_module(f"{backends.__name__}.{name}").BACKEND
    return found
