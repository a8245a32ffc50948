"""What people do for an object store when the region that takes writes is lost: as its runbook has it."""

from typing import TYPE_CHECKING

from aether_deploy.infrastructure.estate import Estate
from aether_deploy.infrastructure.object_store.regions import SELF_HOSTED, home_regions
from aether_deploy.infrastructure.object_store.rendering import stateful_set_name
from aether_deploy.infrastructure.object_store.runbook import bringing_back, taking_over
from aether_deploy.infrastructure.recovery import NOTHING_TO_DO, Recovery

if TYPE_CHECKING:
    from aether_deploy.infrastructure.kinds.object_store import ObjectStoreConfig


def recovery(config: "ObjectStoreConfig", estate: Estate, region: str) -> Recovery:
    """Return how the second region takes writes, and how the first is brought back."""
    homes = home_regions(config, estate)
    if config.provider != SELF_HOSTED or len(homes) < 2 or homes[0].code != region:
        return NOTHING_TO_DO
    return Recovery(
        lost=taking_over(config, estate),
        returned=bringing_back(config, estate),
        fenced=(stateful_set_name(config, region),),
    )
