"""What people do for an object store when the region that takes writes is lost: sections of its runbook."""

from typing import TYPE_CHECKING

from aether_deploy.infrastructure.estate import Estate
from aether_deploy.infrastructure.object_store.regions import SELF_HOSTED, home_regions
from aether_deploy.infrastructure.object_store.runbook import runbook
from aether_deploy.infrastructure.recovery import NOTHING_TO_DO, Recovery, section_of

if TYPE_CHECKING:
    from aether_deploy.infrastructure.kinds.object_store import ObjectStoreConfig


def recovery(config: "ObjectStoreConfig", estate: Estate, region: str) -> Recovery:
    """Return how the second region takes writes, and how the first is brought back."""
    homes = home_regions(config, estate)
    if config.provider != SELF_HOSTED or len(homes) < 2 or homes[0].code != region:
        return NOTHING_TO_DO
    text = runbook(config, estate)
    return Recovery(
        lost=section_of(text, f"Let {homes[1].code} take writes"),
        returned=section_of(text, f"Bring {region} back"),
        fenced=(f"{config.name}-{region}",),
    )
