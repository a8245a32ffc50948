"""What the rules refuse real servers refuse too, or answer misleadingly; what the rules let through they make."""

from collections.abc import Iterator
from typing import Any

import pytest

from aether_deploy.infrastructure.nats.capacity import fullest
from aether_deploy.infrastructure.nats.streams import created, streams_of
from aether_deploy.lab.nats.supercluster import Supercluster
from tests.nats_cases import ONE, alone, faults, region, told
from tests.nats_clients import call, need_nats, run_job

pytestmark = [pytest.mark.real, pytest.mark.failover]

US = region("us")
GIB = 2**30


def stream(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "subjects": [f"{name.lower()}.>"], "regions": ["us"], "max_bytes": "1Gi", **more}


# Single replicas and replicas on all servers, so that they fill the three servers to the last byte.
FITTING = [
    stream("A", replicas=1),
    stream("B", replicas=1),
    stream("C", replicas=1),
    stream("D", replicas=3),
    stream("E", replicas=1, max_bytes="512Mi"),
    stream("F", replicas=1, max_bytes="512Mi"),
]


@pytest.fixture
def servers() -> Iterator[Supercluster]:
    need_nats()
    with Supercluster(alone(*FITTING, pvc={"size": "2560Mi"}), ONE) as found:
        found.wait_ready()
        yield found


def test_what_fits_by_the_rule_is_made_and_what_does_not_is_refused(servers: Supercluster) -> None:
    made = run_job(servers, "us")
    room = 2560 * 2**20
    reserved = [servers.seen(pod, "/jsz")["reserved_storage"] for pod in servers.pods()]
    more = alone(*FITTING, stream("G", replicas=1), pvc={"size": "2560Mi"})
    last = created(streams_of(more, ONE)[-1])
    answer = call(servers, "events-us-a-0", "STREAM.CREATE.G", last)

    assert [each.severity for each in faults(servers.config, ONE)] == ["warning"]  # only if they are placed well
    assert made.returncode == 0, made.stdout
    assert max(reserved) <= room, reserved
    assert fullest(streams_of(servers.config, ONE), US, 1, "file") == room
    assert told(more, ONE)[0].startswith("pvc.size: less than the")
    assert answer["error"]["err_code"] == 10005


MISLEADING: dict[str, dict[str, Any]] = {
    "five replicas in three zones": {"num_replicas": 5},
    "a region that nobody knows": {"placement": {"tags": ["region:mars"]}},
    "larger than any volume": {"max_bytes": 100 * GIB},
}


def test_servers_answer_all_of_it_alike(servers: Supercluster) -> None:
    base = created(streams_of(alone(stream("X")), ONE)[0])
    told_by_servers = {
        title: call(servers, "events-us-a-0", "STREAM.CREATE.X", {**base, **change})["error"]
        for title, change in MISLEADING.items()
    }
    told_by_rules = [
        told(alone(stream("X", replicas=5)), ONE),
        told(alone(stream("X", regions=["mars"])), ONE),
        told(alone(stream("X", max_bytes="100Gi")), ONE),
    ]

    print(told_by_servers)
    assert {error["err_code"] for error in told_by_servers.values()} == {10005}
    assert [found[0].partition(":")[0] for found in told_by_rules] == [
        "streams.0.replicas",
        "streams.0.regions.0",
        "pvc.size",
    ]
