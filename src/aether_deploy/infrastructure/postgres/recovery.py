"""What people do for a database when a region is lost: its back end knows."""

from typing import TYPE_CHECKING

from aether_deploy.infrastructure.estate import Estate
from aether_deploy.infrastructure.recovery import Recovery

if TYPE_CHECKING:
    from aether_deploy.infrastructure.kinds.postgres import PostgresConfig


def recovery(config: "PostgresConfig", estate: Estate, region: str) -> Recovery:
    """Return what somebody does when ``region`` is lost."""
    return config.renderer.recovery(config, estate, region)
