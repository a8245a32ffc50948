"""What people do for a session cache when a region is lost: nothing, and when it is back the Job does it."""

from typing import TYPE_CHECKING

from aether_deploy.infrastructure.estate import Estate
from aether_deploy.infrastructure.recovery import NOTHING_TO_DO, Recovery
from aether_deploy.infrastructure.valkey.job import WHAT

if TYPE_CHECKING:
    from aether_deploy.infrastructure.kinds.valkey import ValkeyConfig


def recovery(config: "ValkeyConfig", estate: Estate, region: str) -> Recovery:
    """Return that the Job of ``region`` makes its cluster again: nodes have other addresses, or lost their files."""
    if region not in config.placed_in(estate):
        return NOTHING_TO_DO
    return Recovery(at_once=(f"{config.name}-{WHAT}",))
