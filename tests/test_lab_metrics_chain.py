"""Players come to a real autoscaler by the real way: exporters, Prometheus, its adapter."""

import os
import threading
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import pytest

from aether_deploy.lab.client import ApiError, Body
from aether_deploy.lab.control_plane import ControlPlane
from aether_deploy.lab.metrics_chain import MetricsChain
from aether_deploy.lab.processes import DaemonError
from aether_deploy.lab.watching import PodWatch
from tests.lab_cases import boot_for_tests, in_namespace
from tests.players import PLAYERS, Players, on, spread
from tests.scaling_cases import ADAPTER, FAST, apply, chain_beside, exact, hpa, per_pod, replicas, why, world

pytestmark = pytest.mark.real

NAMESPACE = "worlds"
ORDINALS = 12
FORTY_EACH = {f"world-{ordinal}": "40" for ordinal in range(6)}


class Lab(NamedTuple):
    """A control plane, the chain beside it, and one world of six pods with its players."""

    plane: ControlPlane
    chain: MetricsChain
    watch: PodWatch
    players: Players


@pytest.fixture(scope="module")
def plane() -> Iterator[ControlPlane]:
    with boot_for_tests(pace=FAST, records_autoscalers=True) as plane:
        yield plane


@pytest.fixture(scope="module")
def lab(plane: ControlPlane) -> Iterator[Lab]:
    with in_namespace(plane, NAMESPACE) as watch, chain_beside(plane) as chain:
        chain.exporters.expect(NAMESPACE, [f"world-{ordinal}" for ordinal in range(ORDINALS)])
        apply(plane, world("world", NAMESPACE, 6))
        with Players(chain.exporters, watch, NAMESPACE) as players:
            players.place("world", spread(240))
            plane.wait_for(lambda: watch.ready("world") == 6, "the world runs")
            # Pods that ran first were more crowded for a moment, which the autoscaler might have seen.
            chain.wait_for(lambda: chain.pods_metric(NAMESPACE, PLAYERS) == FORTY_EACH, "players are served")
            apply(plane, hpa("world", NAMESPACE, per_pod(), behavior=exact()))
            yield Lab(plane, chain, watch, players)


def settled(lab: Lab, count: int) -> bool:
    """Return whether the world has ``count`` pods, which all run and tell of their players."""
    return (
        replicas(lab.plane, NAMESPACE, "world") == count
        and lab.watch.ready("world") == count
        and len(lab.chain.pods_metric(NAMESPACE, PLAYERS)) == count
    )


def scraped(lab: Lab) -> float | None:
    """Return how many players Prometheus knows of."""
    return lab.chain.value(f'sum({PLAYERS}{{namespace="{NAMESPACE}"}})')


def test_the_metrics_api_answers_for_each_pod(lab: Lab) -> None:
    # One that could not be scraped for a moment is left out for that moment.
    lab.chain.wait_for(lambda: lab.chain.pods_metric(NAMESPACE, PLAYERS) == FORTY_EACH, "players are served")


def test_prometheus_knows_the_players_and_the_state_of_objects(lab: Lab) -> None:
    lab.chain.wait_for(lambda: scraped(lab) == 240, "players are scraped")
    lab.chain.wait_for(lambda: lab.chain.value('kube_statefulset_replicas{statefulset="world"}') == 6, "objects too")
    assert lab.chain.value('kube_pod_deletion_timestamp{pod="world-0"}') is None


def test_the_autoscaler_holds_in_band_and_follows_the_players_outside(lab: Lab) -> None:
    lab.chain.wait_for(lambda: why(lab.plane, NAMESPACE, "world") == ("True", "ValidMetricFound"), "it reads players")
    assert replicas(lab.plane, NAMESPACE, "world") == 6

    # Nobody moves to the pods that come: where one of two was scraped, who moved would count twice.
    for players, played, pods in ((300, 6, 6), (301, 6, 7), (520, 7, 11), (275, 7, 11)):
        each, more = divmod(players, played)
        lab.players.place("world", on({ordinal: each + (ordinal < more) for ordinal in range(played)}))
        lab.chain.wait_for(lambda players=players: scraped(lab) == players, "players are scraped")  # type: ignore[misc]
        lab.chain.wait_for(lambda pods=pods: settled(lab, pods), f"{players} players have {pods} pods")  # type: ignore[misc]

    # From here on it depends on which pods are scraped first: what is seen in between may come to 6, and 6 is in band.
    lab.players.place("world", spread(250))
    lab.chain.wait_for(lambda: replicas(lab.plane, NAMESPACE, "world") in range(5, 11), "it shrinks")
    syncs = lab.chain.record.syncs(autoscaler(lab), lab.watch)
    assert {6, 7, 11} <= {sync.desired for sync in syncs}


def autoscaler(lab: Lab) -> Body:
    return lab.plane.client.get("autoscaling/v2", "HorizontalPodAutoscaler", "world", NAMESPACE)


def test_what_the_autoscaler_was_served_is_recorded_for_each_sync(lab: Lab) -> None:
    syncs = [sync for sync in lab.chain.record.syncs(autoscaler(lab), lab.watch) if not sync.failed]

    assert syncs
    for sync in syncs:
        (answer,) = sync.answers
        assert (answer.source, answer.metric) == ("Pods", PLAYERS)
        assert sync.values(PLAYERS).keys() <= {f"world-{ordinal}" for ordinal in range(ORDINALS)}
        assert sync.proposed is not None
        assert sync.pods in sync.pod_views
    up = next(sync for sync in syncs if sync.desired > sync.spec_replicas)
    assert (up.spec_replicas, up.proposed, up.desired) == (6, 7, 7)
    assert up.read_secs < up.served_secs < up.at_secs < (up.written_secs or 0)
    assert sum(up.values(PLAYERS).values()) == 301_000
    assert [(pod.phase, pod.ready, pod.terminating) for pod in up.pods] == [("Running", True, False)] * 6
    assert all(sooner.done_secs < later.read_secs for sooner, later in pairwise(syncs))


def test_without_it_the_autoscaler_says_so_and_holds(plane: ControlPlane) -> None:
    with in_namespace(plane, "no-metrics") as watch:
        apply(plane, world("world", "no-metrics", 6), hpa("world", "no-metrics", per_pod(), behavior=exact()))

        plane.wait_for(lambda: why(plane, "no-metrics", "world")[0] == "False", "it says so")

        assert why(plane, "no-metrics", "world") == ("False", "FailedGetPodsMetric")
        assert replicas(plane, "no-metrics", "world") == 6
        assert watch.wait(lambda: watch.ready("world") == 6, 180)


# --- how it ends


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def registered(plane: ControlPlane) -> list[str]:
    names = [each["metadata"]["name"] for each in plane.client.list("apiregistration.k8s.io/v1", "APIService")]
    return [name for name in names if "metrics" in name]


@pytest.fixture(scope="module")
def bare() -> Iterator[ControlPlane]:
    """Return a control plane that no chain is beside."""
    with boot_for_tests(per_zone=1) as plane:
        yield plane


def test_it_ends_with_its_block_and_the_control_plane_forgets_it(bare: ControlPlane) -> None:
    before, others = set(threading.enumerate()), bare.pids
    elsewhere = {thread.name for thread in before}  # an API server may open a connection to another chain meanwhile

    with chain_beside(bare) as chain:
        started = chain.pids
        assert sorted(started) == ["kube-state-metrics", "prometheus", "prometheus-adapter"]
        assert registered(bare) == ["v1beta2.custom.metrics.k8s.io"]

    assert not any(map(alive, started.values()))
    for thread in set(threading.enumerate()) - before:
        if thread.name not in elsewhere:
            thread.join(60)  # its connection is closed, and it may be about to end
    assert {thread.name for thread in set(threading.enumerate()) - before} <= elsewhere
    assert registered(bare) == []
    assert bare.pids == others
    with pytest.raises(ApiError) as refused:
        chain.pods_metric("default", PLAYERS)
    assert refused.value.status in (404, 503)


def test_external_metrics_are_served_where_there_are_rules_for_them(bare: ControlPlane) -> None:
    rule = "externalRules: [{seriesQuery: 'up', resources: {overrides: {namespace: {resource: namespace}}}}]"

    with chain_beside(bare, adapter=f"{ADAPTER}\n{rule}"):
        assert registered(bare) == ["v1beta1.external.metrics.k8s.io", "v1beta2.custom.metrics.k8s.io"]

    assert registered(bare) == []


@pytest.mark.parametrize(
    "program, says, wrong",
    [
        ("prometheus-adapter", "field query not found", {"adapter": ADAPTER.replace("metricsQuery", "query")}),
        ("prometheus", "parse error", {"rules": {"a.yaml": "groups: [{name: a, rules: [{record: b, expr: 'sum('}]}]"}}),
    ],
    ids=["adapter", "rules"],
)
def test_a_program_that_refuses_its_configuration_is_quoted_and_nothing_is_left(
    bare: ControlPlane, program: str, says: str, wrong: dict[str, Any]
) -> None:
    with pytest.raises(DaemonError) as refused, chain_beside(bare, **wrong):
        pass

    message = str(refused.value)
    assert message.startswith(f"{program} ended by itself (exit code "), message
    assert says in message
    assert registered(bare) == []
    bare.check()
