"""A running server does to a stream that is changed what ``stream_changes`` says."""

import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from aether_deploy.lab.nats.supercluster import Supercluster
from tests.nats_cases import ONE, alone
from tests.nats_clients import call, messages_in, need_nats, publish
from tests.nats_updates import BASE, MESSAGES, UPDATES

pytestmark = [pytest.mark.real, pytest.mark.failover]


@pytest.fixture(scope="module")
def servers() -> Iterator[Supercluster]:
    need_nats()
    config = alone(pvc={"size": "1Gi"}, jetstream={"memory_size": "64Mi"})
    with Supercluster(config, ONE) as found:
        found.wait_ready()
        yield found


def filled(servers: Supercluster, pod: str, stream: Mapping[str, Any]) -> None:
    call(servers, pod, f"STREAM.DELETE.{stream['name']}")
    assert "error" not in call(servers, pod, f"STREAM.CREATE.{stream['name']}", stream)
    assert publish(servers, pod, "a.x", MESSAGES) == MESSAGES


@pytest.mark.parametrize("change, expected", UPDATES.values(), ids=UPDATES.keys())
def test_a_running_server_agrees(servers: Supercluster, change: Mapping[str, Any], expected: str) -> None:
    pod = servers.pods()[0]
    filled(servers, pod, BASE)

    answer = call(servers, pod, "STREAM.UPDATE.A", {**BASE, **change})

    assert ("error" in answer) is (expected == "refused"), answer
    if expected == "lost":
        servers.wait_until(lambda: messages_in(servers, pod, "A") < MESSAGES, 20, "messages go")
    else:
        time.sleep(0.2)
        assert messages_in(servers, pod, "A") == MESSAGES


def test_a_copy_cannot_follow_another_stream(servers: Supercluster) -> None:
    pod = servers.pods()[0]
    for name in ("ONE", "OTHER"):
        call(servers, pod, f"STREAM.CREATE.{name}", {"name": name, "subjects": [name]})
    copy = {"name": "COPY", "storage": "file", "mirror": {"name": "ONE"}}
    assert "error" not in call(servers, pod, "STREAM.CREATE.COPY", copy)

    answer = call(servers, pod, "STREAM.UPDATE.COPY", {**copy, "mirror": {"name": "OTHER"}})

    assert "mirror configuration can not be updated" in answer["error"]["description"]


def test_subjects_that_overlap_within_a_stream_are_refused(servers: Supercluster) -> None:
    pod = servers.pods()[0]

    answer = call(servers, pod, "STREAM.CREATE.TWICE", {"name": "TWICE", "subjects": ["t.*", "t.b"]})

    assert "overlaps" in answer["error"]["description"]


def test_fewer_replicas_keep_all_messages(servers: Supercluster) -> None:
    pod = servers.pods()[0]
    filled(servers, pod, {**BASE, "num_replicas": 3})

    assert "error" not in call(servers, pod, "STREAM.UPDATE.A", BASE)

    servers.wait_until(lambda: messages_in(servers, pod, "A") == MESSAGES, 20, "all messages")
