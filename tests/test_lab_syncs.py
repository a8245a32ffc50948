"""Syncs of an autoscaler, put together from records that are made up."""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from aether_deploy.lab.adapter_proxy import Served
from aether_deploy.lab.autoscaler_record import AutoscalerRecord
from aether_deploy.lab.syncs import ObservedSync, PodTimeline
from aether_deploy.lab.watching import Change
from tests.test_lab_watching import pod, watch_of

TODAY = time.localtime()
NOON = time.mktime((TODAY.tm_year, TODAY.tm_mon, TODAY.tm_mday, 12, 0, 0, 0, 0, -1))
PATH = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/worlds"
SELECTOR = "labelSelector=app.kubernetes.io%2Finstance%3Dworld"
HPA: dict[str, Any] = {
    "metadata": {"name": "any", "namespace": "worlds"},
    "spec": {
        "scaleTargetRef": {"kind": "StatefulSet", "name": "world"},
        "metrics": [
            {"type": "Pods", "pods": {"metric": {"name": "players"}}},
            {"type": "Object", "object": {"metric": {"name": "floor"}, "describedObject": {"name": "world"}}},
            {"type": "External", "external": {"metric": {"name": "all", "selector": {"matchLabels": {"a": "b"}}}}},
        ],
    },
}


def audited(secs: float, verb: str, replicas: int, *, status: int = 0, code: int = 200, name: str = "world") -> str:
    """Return what kube-apiserver writes down of a read or a write of the scale."""
    at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(NOON + int(secs))) + f"{secs % 1:.6f}"[1:] + "Z"
    scale = {
        "spec": {"replicas": replicas},
        "status": {"replicas": status, "selector": "app.kubernetes.io/instance=world"},
    }
    event = {
        "requestURI": f"/apis/apps/v1/namespaces/worlds/statefulsets/{name}/scale",
        "verb": verb,
        "responseStatus": {"code": code},
        "requestObject": scale,
        "responseObject": scale,
        "requestReceivedTimestamp": at,
    }
    return json.dumps(event, separators=(",", ":"))


def logged(secs: float, message: str, count: int, target: str = "StatefulSet/worlds/world") -> str:
    """Return a line of the controller's log."""
    at = time.strftime("%m%d %H:%M:%S", time.localtime(NOON + int(secs)))
    fields = f'HPA="worlds/any" desiredReplicas={count} metric="pods metric players" scaleTarget="{target}"'
    return f'I{at}{f"{secs % 1:.6f}"[1:]}   29177 horizontal.go:958] "{message}" {fields}'


def served(secs: float, path: str, items: Sequence[Any], status: int = 200) -> Served:
    return Served(began=NOON + secs, ended=NOON + secs + 0.01, path=path, status=status, body={"items": list(items)})


def of_pods(secs: float, **values: str) -> Served:
    items = [{"describedObject": {"name": name.replace("_", "-")}, "value": value} for name, value in values.items()]
    return served(secs, f"{PATH}/pods/%2A/players?{SELECTOR}", items)


def syncs(
    folder: Path,
    audit: Sequence[str],
    log: Sequence[str] = (),
    served: Sequence[Served] = (),
    history: Sequence[Change] = (),
) -> list[ObservedSync]:
    (folder / "audit.log").write_text("\n".join(audit), "utf-8")
    (folder / "kube-controller-manager.log").write_text("\n".join(log), "utf-8")
    return AutoscalerRecord(folder, served).syncs(HPA, watch_of(*history))


def test_a_sync_is_what_was_read_served_proposed_and_written(tmp_path: Path) -> None:
    audit = [audited(0, "get", 6, status=7), audited(0.3, "update", 9), audited(1.5, "get", 9, status=9)]
    log = [
        logged(0.2, "Proposing desired replicas", 11),
        logged(0.4, "Successfully rescaled", 9),
        logged(1.7, "Decided not to scale", 9),
    ]
    answers = [
        of_pods(0.1, world_0="40", world_1="40500m"),
        served(0.12, f"{PATH}/statefulsets.apps/world/floor", [{"describedObject": {"name": "world"}, "value": "8"}]),
        served(
            0.14,
            "/apis/external.metrics.k8s.io/v1beta1/namespaces/worlds/all?labelSelector=a%3Db",
            [{"value": "1"}, {"value": "2"}],
        ),
        served(0.15, f"{PATH}/statefulsets.apps/other/floor", [{"describedObject": {"name": "other"}, "value": "3"}]),
    ]

    first, second = syncs(tmp_path, audit, log, answers)

    assert (first.spec_replicas, first.status_replicas, first.proposed, first.desired) == (6, 7, 11, 9)
    moments = [first.read_secs, first.served_secs, first.at_secs, first.done_secs, first.written_secs]
    assert moments == [pytest.approx(NOON + secs) for secs in (0, 0.15, 0.2, 0.3, 0.4)]
    assert second.written_secs is None
    assert [each.values for each in first.answers] == [
        {"world-0": 40_000, "world-1": 40_500},
        {"world": 8_000},
        {"0": 1_000, "1": 2_000},
    ]
    assert (second.spec_replicas, second.proposed, second.desired, second.failed) == (9, None, 9, False)
    assert [each.values for each in second.answers] == [None, None, None]


def test_a_sync_without_a_decision_failed_and_the_last_one_may_not_be_over(tmp_path: Path) -> None:
    refused = served(0.1, f"{PATH}/pods/*/players?{SELECTOR}", [], status=404)

    (only,) = syncs(tmp_path, [audited(0, "get", 6), audited(1, "get", 6)], served=[refused])

    assert (only.failed, only.desired, only.answers[0].values) == (True, 6, None)


def test_a_write_that_was_refused_is_tried_again_within_the_sync(tmp_path: Path) -> None:
    audit = [
        audited(0, "get", 6),
        audited(0.1, "update", 9, code=409),
        audited(0.2, "get", 6),
        audited(0.3, "update", 9),
        audited(1, "get", 9),
    ]

    (only,) = syncs(tmp_path, audit)

    assert (only.spec_replicas, only.desired, only.failed) == (6, 9, False)


def test_other_workloads_and_lines_that_are_not_complete_are_left_out(tmp_path: Path) -> None:
    audit = [audited(0, "get", 6), audited(0.5, "get", 2, name="world-2"), audited(1, "get", 7)[:-9]]
    log = [
        logged(0.1, "Proposing desired replicas", 3, "StatefulSet/worlds/world-2"),
        logged(0.2, "Decided not to scale", 6),
        "E1125 12:00:00.000000 1 horizontal.go:354] Unhandled StatefulSet/worlds/world",
    ]

    (only,) = syncs(tmp_path, audit, log, [of_pods(0.1, world_0="1")])

    assert (only.proposed, only.desired) == (None, 6)


# --- the pods of that moment


def test_pods_are_known_as_they_were_and_as_they_may_have_seemed() -> None:
    offset = time.time() - time.monotonic()
    history = [
        Change(10, pod("world-0"), False),
        Change(11, pod("world-1", ready=False), False),
        Change(11, pod("other-0", workload="other"), False),
        Change(20, pod("world-1", terminating=True), False),
        Change(20.5, pod("world-1", terminating=True), True),
    ]

    timeline = PodTimeline(history, "world")

    names = [[each.name for each in timeline.at(offset + at)] for at in (9.9, 10.1, 12, 20.1, 21)]
    assert names == [[], ["world-0"], ["world-0", "world-1"], ["world-0", "world-1"], ["world-0"]]
    assert len(timeline.between(offset + 12, offset + 19)) == 1
    assert [len(view) for view in timeline.between(offset + 19, offset + 20.2)] == [2, 2]
    assert [len(view) for view in timeline.between(offset + 19, offset + 22)] == [2, 2, 1]
