"""What people do for an object store when the region that takes writes is lost: as its runbook has it."""

from typing import TYPE_CHECKING

from aether_deploy.infrastructure.estate import Estate
from aether_deploy.infrastructure.object_store.provider_impact import may_go_along
from aether_deploy.infrastructure.object_store.regions import (
    SELF_HOSTED,
    bucket_name,
    external_address,
    home_regions,
)
from aether_deploy.infrastructure.object_store.rendering import GRACE_SECS, stateful_set_name
from aether_deploy.infrastructure.object_store.runbook import bringing_back, taking_over
from aether_deploy.infrastructure.recovery import NOTHING_TO_DO, Recovery

if TYPE_CHECKING:
    from aether_deploy.infrastructure.kinds.object_store import ObjectStoreConfig


def recovery(config: "ObjectStoreConfig", estate: Estate, region: str) -> Recovery:
    """Return how the second region takes writes, and how the first is brought back."""
    homes = [each.code for each in home_regions(config, estate)]
    left = [code for code in homes if code != region]
    if region not in homes or not left:
        return NOTHING_TO_DO
    if homes[0] != region:
        return Recovery(without={"regions": left})
    if config.provider != SELF_HOSTED:
        return _of_provider(config, estate, region, left[0])
    return Recovery(
        lost=taking_over(config, estate, fenced=True),
        returned=bringing_back(config, estate),
        fenced=(stateful_set_name(config, region),),
        fenced_pods=(f"{stateful_set_name(config, region)}-0",),
        grace_secs=GRACE_SECS,
        promoted={"regions": left},
        returning={"regions": [*left, region]},
        without={"regions": left},
    )


def _of_provider(config: "ObjectStoreConfig", estate: Estate, first: str, second: str) -> Recovery:
    """Return where the copy is, if the provider's region may be lost, too.

    No layer says so: with the second region alone in ``regions`` its buckets would be called as those of the first.
    """
    if not may_go_along(config, home_regions(config, estate)[0]):
        return NOTHING_TO_DO
    names = [(each.name, bucket_name(config, estate, each.name, second)) for each in config.buckets if each.enabled]
    copies = ", ".join(f"`{copy}` for `{name}`" for name, copy in names)
    words = {"provider": config.provider, "first": first, "second": second, "copies": copies}
    return Recovery(
        lost=_COPY_ELSEWHERE.format(**words, url=external_address(config, estate, second).url),
        gone=_COPY_STAYS.format(**words),
    )


_COPY_ELSEWHERE = """\
Only if {first} of {provider} itself is lost; else the store goes on. What had not been copied to {second} by then is
there when {first} is back, or lost with it. Wait for that, or let those who read and write ask {url} for
other buckets: {copies}. Nothing copies back what is written there.
"""

_COPY_STAYS = """\
In {second} buckets are called {copies}. With {second} alone in `regions` they would be called as those of {first} were,
which are not there: make a component with names of its own, and copy to it.
"""
