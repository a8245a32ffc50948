"""A real API server takes everything that we render, as it is and without a warning, and all pods come to be."""

import contextlib
import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from aether_deploy import DeploymentConfig, Surroundings
from aether_deploy.delivery.loading import read_description
from aether_deploy.fleet.bundle import render_manifests
from aether_deploy.gitops.pieces import RenderedCluster
from aether_deploy.gitops.render import render_clusters
from aether_deploy.lab.applying import Applied, apply_manifests, changed_by_second_apply
from aether_deploy.lab.assumed import give_assumed, in_pools
from aether_deploy.lab.control_plane import ControlPlane
from aether_deploy.lab.crds import CUSTOM_KINDS
from aether_deploy.lab.nodes import ZONE, FakeNode
from aether_deploy.lab.watching import PodWatch
from aether_deploy.manifest.comparison import differences
from aether_deploy.manifest.value import Manifest
from tests.bundle_cases import CASES, BundleCase
from tests.lab_cases import in_namespace, teach_kinds, workload
from tests.test_golden import EXAMPLES

pytestmark = pytest.mark.real

PODS_SECS = 120.0

OnServer = tuple[PodWatch, list[Applied]]
"""The pods of a namespace, and what became of each object that was applied."""


def clusters_of_examples() -> dict[str, RenderedCluster]:
    """Return every cluster of every environment of every example, each under a system's name of its own.

    With the examples' own name they would share a namespace, which takes long to vanish.
    """
    found: dict[str, RenderedCluster] = {}
    for example in EXAMPLES:
        for rendered in _clusters(example, "aether"):
            name = f"{example.parent.name}-{rendered.cluster.site.cluster}"
            place = rendered.path.replace("aether", name, 1)
            again = {each.path: each for each in _clusters(example, name)}
            found[f"{example.parent.name}/{rendered.path}"] = again[place]
    return found


def _clusters(example: Path, name: str) -> list[RenderedCluster]:
    description = read_description([str(example)], [("name", name)])
    judgement = description.evaluate(list(description.document.environments()))
    return render_clusters(judgement.platforms, judgement.files)


CLUSTERS = clusters_of_examples()


@pytest.fixture(scope="module")
def plane(control_plane: ControlPlane) -> ControlPlane:
    """Return the control plane, which knows every custom kind that we render."""
    teach_kinds(control_plane, CUSTOM_KINDS)
    return control_plane


# --- the checks


def faults_of(plane: ControlPlane, watch: PodWatch, applied: Iterable[Applied], wanted: Mapping[str, int]) -> list[str]:
    """Return what is wrong: with what was applied, with the pods that come of it, and with a second apply.

    Args:
        plane: The control plane.
        watch: The pods of the namespace.
        applied: What became of each object.
        wanted: How many pods each workload must have.
    """
    first = list(applied)
    faults = [fault for each in first for fault in each.faults()]
    faults += [f"{each.title}: not judged: {each.unjudged}" for each in first if each.unjudged]
    if any(each.live is None for each in first):
        return faults
    namespace = first[-1].manifest.namespace
    assert namespace is not None
    faults += pod_faults(plane, watch, namespace, wanted)
    if not faults:
        faults += later_faults(plane, first)
        faults += [f"{title}: changed by a second apply" for title in changed_by_second_apply(plane.client, first)]
    return faults


def pod_faults(plane: ControlPlane, watch: PodWatch, namespace: str, wanted: Mapping[str, int]) -> list[str]:
    """Return the workloads that lack pods once all have come or some are refused, and why they are refused."""

    def all_ready() -> bool:
        return all(watch.ready(name) == count for name, count in wanted.items())

    watch.wait(lambda: all_ready() or bool(refused_pods(plane, namespace)), PODS_SECS)
    found = [f"{name}: {watch.ready(name)} of {count} pods" for name, count in wanted.items()]
    lacking = [text for text, (name, count) in zip(found, wanted.items(), strict=True) if watch.ready(name) != count]
    return lacking + refused_pods(plane, namespace)


def refused_pods(plane: ControlPlane, namespace: str) -> list[str]:
    """Return what controllers say of pods that they could not create."""
    path = plane.client.path_of("v1", "Event", namespace)
    events = plane.client.request("GET", path, query={"fieldSelector": "reason=FailedCreate"}).body["items"]
    return sorted({f"FailedCreate: {each['message']}" for each in events})


def later_faults(plane: ControlPlane, applied: Iterable[Applied]) -> list[str]:
    """Return what controllers dropped or rewrote of the applied objects meanwhile."""
    found = []
    for each in applied:
        body = each.manifest.body
        live = plane.client.request("GET", plane.client.path_to(body)).body
        found += [f"{each.title}: {difference}" for difference in differences(body, live)]
    return found


# --- examples


@contextlib.contextmanager
def on_cluster(plane: ControlPlane, rendered: RenderedCluster) -> Iterator[OnServer]:
    """Apply what a cluster gets, its namespace included, and delete that afterwards."""
    cluster = msgspec.structs.replace(rendered.cluster, monitoring=())  # of which a cluster has one
    applied = apply_manifests(plane.client, cluster.manifests)
    try:
        with PodWatch(plane.client, cluster.namespace, plane.check) as watch:
            yield watch, applied
    finally:
        for namespace in cluster.cluster:
            plane.client.delete("v1", "Namespace", namespace.name)


@pytest.fixture(scope="module")
def examples(plane: ControlPlane) -> Iterator[Mapping[str, OnServer]]:
    """Return what became of every cluster of the examples: all run at a time, so that their waits overlap."""
    with contextlib.ExitStack() as stack:
        yield {name: stack.enter_context(on_cluster(plane, rendered)) for name, rendered in CLUSTERS.items()}


@pytest.mark.parametrize("name", CLUSTERS)
def test_a_server_takes_every_example_as_it_is_and_all_pods_are_created(
    plane: ControlPlane, examples: Mapping[str, OnServer], name: str
) -> None:
    cluster = CLUSTERS[name].cluster
    wanted = {folder.name: folder.config.least_pods for folder in cluster.folders if folder.config is not None}
    watch, applied = examples[name]

    assert len(applied) == len(cluster.manifests) - len(cluster.monitoring)
    assert faults_of(plane, watch, applied, wanted) == []


MONITORED = "two-regions/prod/clusters/us-east-1"


def test_a_server_takes_the_adapter_with_its_rights_and_runs_it(plane: ControlPlane) -> None:
    manifests = CLUSTERS[MONITORED].cluster.monitoring
    name = next(each.name for each in manifests if each.kind == "Deployment")
    give_assumed(plane.client, [], manifests)
    applied = apply_manifests(plane.client, manifests)
    try:
        with PodWatch(plane.client, "monitoring", plane.check) as watch:
            ran = watch.wait(lambda: watch.ready(name) == 2, PODS_SECS)
            faults = [fault for each in applied for fault in each.faults()] + later_faults(plane, applied)
    finally:
        # Nobody answers behind an APIService here, and while it stands no namespace is ever gone.
        for manifest in reversed(manifests):
            plane.client.delete(manifest.api_version, manifest.kind, manifest.name, manifest.namespace)

    assert faults == []
    assert ran
    assert manifests[-1].kind == "APIService"


def test_every_namespace_that_we_render_enforces_and_warns_of_restricted_pods() -> None:
    modes = [f"pod-security.kubernetes.io/{mode}" for mode in ("enforce", "warn")]

    for rendered in CLUSTERS.values():
        labels = rendered.cluster.cluster[0].body["metadata"]["labels"]
        assert [labels[mode] for mode in modes] == ["restricted", "restricted"]


# --- the table of workloads


@contextlib.contextmanager
def giving(plane: ControlPlane, config: DeploymentConfig, manifests: Sequence[Manifest] = ()) -> Iterator[None]:
    """Give the cluster what ``config`` names and nobody renders, and take the nodes and classes of it back."""
    node = FakeNode(name="chosen", zone="zone-a", labels={ZONE: "zone-a", config.topology.topology_key: "zone-a"})
    made = in_pools([node], [config])[0]
    give_assumed(plane.client, [config], manifests)
    if config.node_selector:
        plane.client.create(made.body())
    try:
        yield
    finally:
        if config.node_selector:
            plane.client.delete("v1", "Node", made.name)
        if config.priority_class:
            plane.client.delete("scheduling.k8s.io/v1", "PriorityClass", config.priority_class)


def placed_in(namespace: str, case: BundleCase) -> tuple[DeploymentConfig, list[Manifest]]:
    """Return a workload of the table and its objects, in a namespace of its own."""
    config = DeploymentConfig(**{**case.values, "namespace": namespace})
    return config, render_manifests(config, case.around)


@contextlib.contextmanager
def of_the_table(plane: ControlPlane, name: str) -> Iterator[OnServer]:
    """Apply a workload of the table in a namespace of its own."""
    namespace = f"table-{name.replace('.', '-')}"
    config, manifests = placed_in(namespace, CASES[name])
    with in_namespace(plane, namespace) as watch, giving(plane, config, manifests):
        yield watch, apply_manifests(plane.client, manifests)


@pytest.fixture(scope="module")
def table(plane: ControlPlane) -> Iterator[Mapping[str, OnServer]]:
    """Return what became of every workload of the table: all run at a time, so that their waits overlap."""
    with contextlib.ExitStack() as stack:
        yield {name: stack.enter_context(of_the_table(plane, name)) for name in CASES}


@pytest.mark.parametrize("name", CASES)
def test_a_server_takes_every_workload_of_the_table_as_it_is_and_all_pods_are_created(
    plane: ControlPlane, table: Mapping[str, OnServer], name: str
) -> None:
    config = DeploymentConfig(**CASES[name].values)
    watch, applied = table[name]

    assert faults_of(plane, watch, applied, {config.name: config.least_pods}) == []


# --- the checks have teeth


def a_workload(namespace: str, **settings: Any) -> list[Manifest]:
    return copy.deepcopy(render_manifests(workload("gateway", namespace, **settings), Surroundings()))


def the_workload(manifests: Iterable[Manifest]) -> dict[str, Any]:
    return next(each.body for each in manifests if each.kind == "Deployment")


def complaints(plane: ControlPlane, watch: PodWatch, manifests: Iterable[Manifest], pods: int = 2) -> list[str]:
    return faults_of(plane, watch, apply_manifests(plane.client, manifests), {"gateway": pods})


def test_a_privileged_container_is_noticed_by_a_warning_and_by_pods_that_never_come(plane: ControlPlane) -> None:
    with in_namespace(plane, "tooth-privileged") as watch:
        manifests = a_workload("tooth-privileged")
        container = the_workload(manifests)["spec"]["template"]["spec"]["containers"][0]
        container["securityContext"] = {"privileged": True}
        warning, none_there, *refused = complaints(plane, watch, manifests)

        assert warning.startswith(
            'Deployment tooth-privileged/gateway: warning: would violate PodSecurity "restricted:latest": privileged'
        )
        assert none_there == "gateway: 0 of 2 pods"
        assert "violates PodSecurity" in refused[0]


def test_an_unknown_field_is_refused(plane: ControlPlane) -> None:
    with in_namespace(plane, "tooth-unknown") as watch:
        manifests = a_workload("tooth-unknown")
        the_workload(manifests)["spec"]["template"]["spec"]["restartpolicy"] = "Always"
        (refused,) = complaints(plane, watch, manifests)

        assert refused.startswith("Deployment tooth-unknown/gateway: refused: ")
        assert "restartpolicy: field not declared in schema" in refused


def test_a_wrong_field_of_a_custom_kind_is_refused(plane: ControlPlane) -> None:
    _, manifests = placed_in("tooth-custom", CASES["service-drained-over-http"])
    monitor = copy.deepcopy(next(each.body for each in manifests if each.kind == "PodMonitor"))
    with in_namespace(plane, "tooth-custom"):
        monitor["spec"]["podMetricsEndpoints"][0]["interval"] = "soon"
        applied = apply_manifests(plane.client, [Manifest(monitor, "")])

        assert "spec.podMetricsEndpoints[0].interval in body should match" in (applied[0].refused or "")


def test_a_missing_priority_class_is_noticed_though_the_workload_is_taken(plane: ControlPlane) -> None:
    with in_namespace(plane, "tooth-priority") as watch:
        manifests = a_workload("tooth-priority", priority_class="nobody-made-it")
        none_there, refused = complaints(plane, watch, manifests)

        assert none_there == "gateway: 0 of 2 pods"
        assert refused.endswith("no PriorityClass with name nobody-made-it was found")


def test_a_field_that_the_server_drops_is_noticed(plane: ControlPlane) -> None:
    with in_namespace(plane, "tooth-dropped") as watch:
        manifests = a_workload("tooth-dropped")
        the_workload(manifests)["status"] = {"collisionCount": 7}

        assert complaints(plane, watch, manifests) == [
            "Deployment tooth-dropped/gateway: status.collisionCount: 7 was dropped"
        ]


def test_a_value_that_the_server_rewrites_is_noticed(plane: ControlPlane) -> None:
    with in_namespace(plane, "tooth-rewritten") as watch:
        manifests = a_workload("tooth-rewritten")
        container = the_workload(manifests)["spec"]["template"]["spec"]["containers"][0]
        container["resources"]["requests"]["cpu"] = "1000m"

        assert complaints(plane, watch, manifests) == [
            "Deployment tooth-rewritten/gateway: "
            "spec.template.spec.containers[0].resources.requests.cpu: '1000m' came back as '1'"
        ]


def test_a_value_that_a_controller_rewrites_later_is_noticed(plane: ControlPlane) -> None:
    with in_namespace(plane, "tooth-later"):
        manifests = a_workload("tooth-later")
        applied = apply_manifests(plane.client, manifests)
        path = plane.client.path_to(the_workload(manifests))
        plane.client.patch(path, {"spec": {"replicas": 1}}, subresource="scale")

        assert later_faults(plane, applied) == ["Deployment tooth-later/gateway: spec.replicas: 2 came back as 1"]


def test_a_second_apply_that_changes_something_is_noticed(plane: ControlPlane) -> None:
    with in_namespace(plane, "tooth-second"):
        manifests = a_workload("tooth-second")
        applied = apply_manifests(plane.client, manifests)
        the_workload(manifests)["spec"]["minReadySeconds"] = 3
        budget = next(each for each in manifests if each.kind == "PodDisruptionBudget")
        del budget.body["spec"]["unhealthyPodEvictionPolicy"]

        assert changed_by_second_apply(plane.client, applied) == [
            "PodDisruptionBudget tooth-second/gateway",
            "Deployment tooth-second/gateway",
        ]


def test_a_custom_kind_without_a_definition_is_not_judged_and_said_so(plane: ControlPlane) -> None:
    _, manifests = placed_in("tooth-undefined", CASES["service-drained-over-http"])
    monitor = next(each for each in manifests if each.kind == "PodMonitor")
    other = Manifest({**monitor.body, "kind": "PodProbe"}, "")
    with in_namespace(plane, "tooth-undefined"):
        applied = apply_manifests(plane.client, [other])[0]

        assert applied.unjudged == "the server does not know PodProbe of monitoring.coreos.com/v1"
