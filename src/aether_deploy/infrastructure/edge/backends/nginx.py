"""Back end ``nginx``: pods of it in each region, which people and tests can run."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from aether_deploy.config.base import Fault
from aether_deploy.infrastructure.component import Place, Port
from aether_deploy.infrastructure.edge import rules
from aether_deploy.infrastructure.edge.ports import HTTP, HTTPS
from aether_deploy.infrastructure.edge.rendering import objects_of
from aether_deploy.infrastructure.edge.runbook import runbook
from aether_deploy.infrastructure.estate import Estate

if TYPE_CHECKING:
    from aether_deploy.infrastructure.kinds.edge import EdgeConfig
    from aether_deploy.infrastructure.kinds.object_store import ObjectStoreConfig


class NginxBackend:
    """Renders Deployments: everything of the policy can be kept."""

    called = "nginx"

    def ports(self, config: "EdgeConfig") -> tuple[Port, ...]:
        return (HTTP,) if config.tls is None else (HTTP, HTTPS)

    def own_faults(self, config: "EdgeConfig") -> Iterator[Fault]:
        yield from ()

    def placed_faults(self, config: "EdgeConfig", store: "ObjectStoreConfig", estate: Estate) -> Iterator[Fault]:
        yield from rules.shield_runs_here(config, estate)
        yield from rules.every_edge_has_an_origin(config, store, estate)

    def render(self, config: "EdgeConfig", place: Place) -> list[dict[str, Any]]:
        return objects_of(config, place)

    def runbooks(self, config: "EdgeConfig", estate: Estate) -> Mapping[str, str]:
        return {f"{config.name}.md": runbook(config, estate)}

    def origins_asked(self, count: int) -> int:
        return count


BACKEND = NginxBackend()
