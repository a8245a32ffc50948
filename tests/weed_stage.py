"""Real stores for tests, or the reason why there are none."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aether_deploy.infrastructure.estate import Estate
from aether_deploy.lab.programs import MissingProgramsError
from aether_deploy.lab.seaweedfs.programs import find_weed
from aether_deploy.lab.seaweedfs.store import ObjectStore, Reach
from tests.object_store_cases import store
from tests.real import miss


def started(where: Estate, *buckets: dict[str, Any], reach: Reach | None = None, **settings: Any) -> ObjectStore:
    """Return a store whose servers start as its block is entered; the calling test ends where there is no server."""
    try:
        find_weed()
    except MissingProgramsError as error:
        miss(str(error))
    return ObjectStore(store(*buckets, **settings), where, reach=reach)


@contextmanager
def booted(where: Estate, *buckets: dict[str, Any], **settings: Any) -> Iterator[ObjectStore]:
    """Boot a store, and wait until all its servers take uploads."""
    with started(where, *buckets, **settings) as servers:
        servers.wait_ready()
        yield servers
