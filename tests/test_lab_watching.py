"""What a watch tells of the past, on changes that are made up; and how it follows a server."""

import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, cast

import pytest

from aether_deploy.lab.client import Answer, ApiError, Client
from aether_deploy.lab.watching import Change, Pod, PodWatch, pod_of
from aether_deploy.problems import EffectError

SECS = 90.0


def pod(name: str, *, ready: bool = True, terminating: bool = False, uid: str = "", workload: str = "world") -> Pod:
    return Pod(
        name=name,
        uid=uid or name,
        workload=workload,
        node="node",
        ready=ready and not terminating,
        terminating=terminating,
        revision="1",
        waits_for=None,
        image="image",
    )


def watch_of(*changes: Change) -> PodWatch:
    watch = PodWatch(cast(Client, None), "namespace", lambda: None)
    watch.history.extend(changes)
    return watch


# A rollout of two pods, one after the other, beside another workload.
ROLLOUT = (
    Change(1, pod("world-0"), False),
    Change(2, pod("world-1"), False),
    Change(3, pod("gateway-0", workload="gateway"), False),
    Change(10, pod("world-1", terminating=True), False),
    Change(11, pod("world-1", terminating=True), True),
    Change(12, pod("world-1", uid="new-1", ready=False), False),
    Change(14, pod("world-1", uid="new-1"), False),
    Change(15, pod("world-0", terminating=True), False),
    Change(16, pod("world-0", uid="new-0"), False),
    Change(17, pod("world-0", terminating=True), True),
    Change(18, pod("gateway-0", workload="gateway", ready=False), False),
)

COUNTS = {
    "from the beginning": (0, [(1, 1), (2, 2), (10, 1), (14, 2), (15, 1), (16, 2)]),
    "from a moment between": (5, [(5, 2), (10, 1), (14, 2), (15, 1), (16, 2)]),
    "from the moment of a change": (10, [(10, 1), (14, 2), (15, 1), (16, 2)]),
    "from the end": (20, [(20, 2)]),
}


@pytest.mark.parametrize("case", COUNTS)
def test_counts_say_how_many_were_ready_and_when_that_changed(case: str) -> None:
    since, counts = COUNTS[case]

    assert watch_of(*ROLLOUT).counts("world", since) == counts


def test_a_workload_that_nobody_saw_has_no_counts() -> None:
    assert watch_of(*ROLLOUT).counts("nobody", 0) == []
    assert watch_of(*ROLLOUT).fewest_ready("nobody", 0) == 0


def test_the_fewest_ready_are_counted_from_a_moment_on() -> None:
    watch = watch_of(*ROLLOUT)

    assert [watch.fewest_ready("world", since) for since in (0, 5, 15.5, 16)] == [1, 1, 1, 2]


def test_a_dip_of_a_moment_is_seen() -> None:
    watch = watch_of(
        Change(1, pod("world-0"), False),
        Change(2, pod("world-0", ready=False), False),
        Change(2, pod("world-0"), False),
    )

    assert watch.fewest_ready("world", 1) == 0


def test_the_time_below_is_added_up_until_now() -> None:
    now = time.monotonic()
    watch = watch_of(
        Change(now - 60, pod("world-0"), False),
        Change(now - 50, pod("world-1"), False),
        Change(now - 40, pod("world-1", terminating=True), False),
        Change(now - 30, pod("world-1", uid="new"), False),
        Change(now - 5, pod("world-0", ready=False), False),
    )

    below = [watch.secs_below("world", least, now - 45) for least in (1, 2, 3)]
    late = time.monotonic() - now

    assert below == [0, pytest.approx(15, abs=late + 0.01), pytest.approx(45, abs=late + 0.01)]


def test_those_that_ended_are_told_in_the_order_in_which_they_were_told_to_end() -> None:
    watch = watch_of(*ROLLOUT)

    assert [each.uid for each in watch.ended("world", 5)] == ["world-1", "world-0"]
    assert [each.ordinal for each in watch.ended("world", 12)] == [0]
    assert watch.ended("world", 17) == []


def test_one_that_vanishes_without_being_told_has_ended_too() -> None:
    watch = watch_of(Change(1, pod("world-0"), False), Change(2, pod("world-0"), True))

    assert [each.name for each in watch.ended("world", 1)] == ["world-0"]


# --- pods


def test_what_matters_of_a_pod_is_read() -> None:
    body: dict[str, Any] = {
        "metadata": {
            "name": "world-12",
            "uid": "u",
            "labels": {"app.kubernetes.io/instance": "world", "controller-revision-hash": "world-1"},
        },
        "spec": {"containers": [{"image": "i"}, {"image": "j"}]},
        "status": {
            "conditions": [
                {"type": "PodScheduled", "status": "False", "message": "0/9 nodes are available"},
                {"type": "Ready", "status": "True"},
            ]
        },
    }

    read = pod_of(body)
    assert (read.workload, read.ordinal, read.revision, read.image) == ("world", 12, "world-1", "i")
    assert (read.node, read.ready, read.waits_for) == (None, True, "0/9 nodes are available")

    body["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert (pod_of(body).ready, pod_of(body).terminating) == (False, True)
    assert pod_of({"metadata": {"name": "x-abc", "uid": "u"}, "spec": body["spec"]}).ordinal is None


# --- following a server


class Told(NamedTuple):
    """What the server says to one watch: events, and how it ends."""

    events: Sequence[dict[str, Any]]
    ends: Exception | None = None


class Scripted:
    """A server that answers lists and watches as it is told, one after the other; the last watch stays open."""

    def __init__(self, lists: list[list[dict[str, Any]]], watches: list[Told]) -> None:
        self.lists, self.watches = lists, watches
        self.alive = True
        self.asked_if_alive = 0
        self.ended = threading.Event()

    def path_of(self, *_: object) -> str:
        return "/pods"

    def request(self, method: str, path: str) -> Answer:
        if path == "/livez":
            self.asked_if_alive += 1
            if not self.alive:
                raise EffectError("does not answer")
            return Answer({"message": "ok"}, ())
        return Answer({"items": self.lists.pop(0), "metadata": {"resourceVersion": "1"}}, ())

    def watch(self, path: str, version: str) -> Iterator[dict[str, Any]]:
        told = self.watches.pop(0) if self.watches else Told([])
        yield from told.events
        if told.ends is not None:
            raise told.ends
        if not self.watches:
            self.ended.wait(10)


def body(name: str, version: int, *, ready: bool = True) -> dict[str, Any]:
    return {
        "metadata": {
            "name": name,
            "uid": name,
            "resourceVersion": str(version),
            "labels": {"app.kubernetes.io/instance": "world"},
        },
        "spec": {"nodeName": "n", "containers": [{"image": "i"}]},
        "status": {"conditions": [{"type": "Ready", "status": str(ready)}]},
    }


def event(kind: str, name: str, version: int, *, ready: bool = True) -> dict[str, Any]:
    return {"type": kind, "object": body(name, version, ready=ready)}


def following(server: Scripted) -> PodWatch:
    return PodWatch(cast(Client, server), "namespace", lambda: None)


def test_pods_that_were_there_and_those_that_come_are_seen() -> None:
    bookmark = {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "9"}}}
    events = [event("ADDED", "world-1", 2), event("DELETED", "world-0", 3), bookmark]
    server = Scripted([[body("world-0", 1)]], [Told(events)])

    with following(server) as watch:
        assert watch.wait(lambda: [each.name for each in watch.pods("world")] == ["world-1"], SECS)
        assert (watch.ready("world"), len(watch.pods()), len(watch.history)) == (1, 1, 3)
    server.ended.set()


def test_a_watch_that_is_too_old_lists_again_and_notices_what_it_missed() -> None:
    gone = ApiError("watch", 410, {"message": "too old"})
    error = {"type": "ERROR", "object": {"code": 410, "message": "too old"}}
    for told in (Told([], gone), Told([error])):
        server = Scripted([[body("world-0", 1)], [body("world-1", 5)]], [told, Told([])])

        with following(server) as watch:
            assert watch.wait(lambda: [each.name for each in watch.pods()] == ["world-1"], SECS)
            assert [each.name for each in watch.ended("world", 0)] == ["world-0"]
        server.ended.set()


def test_a_pod_that_was_replaced_unseen_has_ended() -> None:
    new = body("world-0", 5)
    new["metadata"]["uid"] = "new"
    server = Scripted([[body("world-0", 1)], [new]], [Told([], ApiError("watch", 410, {})), Told([])])

    with following(server) as watch:
        assert watch.wait(lambda: [each.uid for each in watch.pods()] == ["new"], SECS)
        assert [each.uid for each in watch.ended("world", 0)] == ["world-0"]
        assert watch.counts("world", 0)[-1][1] == 1
    server.ended.set()


def test_a_watch_that_the_server_ends_goes_on() -> None:
    server = Scripted([[]], [Told([event("ADDED", "world-0", 2)]), Told([event("ADDED", "world-1", 3)]), Told([])])

    with following(server) as watch:
        assert watch.wait(lambda: watch.ready("world") == 2, SECS)
    server.ended.set()


@pytest.mark.parametrize("error", [EffectError("the watch broke"), KeyError("metadata")])
def test_who_waits_is_told_that_the_watch_broke(error: Exception) -> None:
    with following(Scripted([[]], [Told([], error)])) as watch, pytest.raises(type(error), match=str(error.args[0])):
        watch.wait(lambda: False, SECS)


def test_a_wait_that_ends_in_vain_has_asked_whether_the_server_lives() -> None:
    server = Scripted([[]], [Told([])])

    with following(server) as watch:
        assert not watch.wait(lambda: False, 0.05)
        assert server.asked_if_alive == 1

        server.alive = False
        with pytest.raises(EffectError, match="does not answer"):
            watch.wait(lambda: False, 0.05)
    server.ended.set()
