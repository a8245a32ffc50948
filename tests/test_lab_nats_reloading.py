"""A running server takes what ``reload_class`` says that it takes, and refuses the rest."""

from collections.abc import Iterator
from typing import Any

import pytest

from aether_deploy.infrastructure.nats.reloading import reload_class
from aether_deploy.lab.nats.supercluster import Supercluster
from tests.nats_cases import estate, nats, region
from tests.nats_clients import need_nats
from tests.nats_reloads import CHANGES, changed

pytestmark = [pytest.mark.real, pytest.mark.failover]

POD = "events-us-a-0"


@pytest.fixture(scope="module")
def servers() -> Iterator[Supercluster]:
    """Two regions of one server, which has everything that a file can say."""
    need_nats()
    config = nats(leafnodes={}, pvc={"size": "1Gi"}, jetstream={"memory_size": "64Mi"})
    with Supercluster(config, estate(region("us", 1), region("eu", 1))) as found:
        found.wait_ready()
        yield found


@pytest.mark.parametrize("path, change, expected", CHANGES.values(), ids=CHANGES.keys())
def test_a_running_server_agrees(servers: Supercluster, path: str, change: Any, expected: str) -> None:
    before = servers.options(POD)
    after = changed(before, path, change)

    refused = servers.reload(POD, after)
    back = servers.reload(POD, before)

    assert (refused is None) is (expected == "reload"), refused
    assert refused is None or "config reload not supported" in refused or "variable reference" in refused
    assert reload_class(before, after) == expected
    if refused is None and back is not None:  # what has grown does not shrink
        assert reload_class(after, before) == "restart"
        servers.stop(POD)
        servers.start(POD)
        servers.wait_ready()


def test_one_change_that_is_refused_keeps_the_others_out(servers: Supercluster) -> None:
    before = servers.options(POD)
    both = changed(before, *CHANGES["payloads may be larger"][:2])
    both = changed(both, *CHANGES["a domain comes"][:2])

    assert servers.reload(POD, both) is not None
    assert servers.seen(POD, "/varz")["max_payload"] == before["max_payload"]


def test_a_server_that_was_restarted_has_what_it_refused(servers: Supercluster) -> None:
    before = servers.options(POD)
    after = changed(before, *CHANGES["a region has one more server"][:2])
    assert servers.reload(POD, after) is not None

    servers.stop(POD)
    servers.start(POD)

    servers.wait_ready()
    assert servers.reload(POD, after) is None
    servers.stop(POD)
    servers.write(POD, before)
    servers.start(POD)
    servers.wait_ready()
