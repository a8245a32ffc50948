"""A real API server and the policy checkers on every kind's examples; a new kind comes in by itself."""

import contextlib
from collections.abc import Iterator, Mapping

import pytest

from aether_deploy.gitops.pieces import RenderedCluster
from aether_deploy.lab.applying import Applied, apply_manifests, changed_by_second_apply
from aether_deploy.lab.control_plane import ControlPlane
from aether_deploy.lab.crds import CUSTOM_KINDS
from aether_deploy.lab.watching import PodWatch
from aether_deploy.manifest.yaml_text import to_yaml
from tests.component_cases import CASES, MADE_BY_OPERATORS, clusters_of, data_of
from tests.lab_cases import teach_kinds
from tests.policies import JUDGES
from tests.real import need_program
from tests.test_lab_admission import PODS_SECS, later_faults, refused_pods

pytestmark = pytest.mark.real

OnServer = tuple[PodWatch, list[Applied]]
PLACES = [(kind, title, place) for kind, title in CASES for place in range(len(clusters_of(kind, title)))]
every_place = pytest.mark.parametrize("kind,title,place", PLACES, ids=[f"{k}-{t}-{p}" for k, t, p in PLACES])


def cluster_of(kind: str, title: str, place: int) -> RenderedCluster:
    """Return one cluster of an example, with a system's name of its own: all stand beside each other."""
    return clusters_of(kind, title, f"case-{PLACES.index((kind, title, place))}")[place]


@pytest.fixture(scope="module")
def plane(control_plane: ControlPlane) -> ControlPlane:
    """Return the control plane, which knows every custom kind that we render."""
    teach_kinds(control_plane, CUSTOM_KINDS)
    return control_plane


@contextlib.contextmanager
def on_server(plane: ControlPlane, rendered: RenderedCluster) -> Iterator[OnServer]:
    """Apply what a cluster gets for its components, and delete their namespace afterwards."""
    cluster = rendered.cluster
    manifests = [*cluster.cluster, *data_of(rendered)]
    applied = apply_manifests(plane.client, manifests)
    try:
        with PodWatch(plane.client, cluster.data_namespace, plane.check) as watch:
            yield watch, applied
    finally:
        for namespace in cluster.cluster:
            plane.client.delete("v1", "Namespace", namespace.name)


@pytest.fixture(scope="module")
def applied_places(plane: ControlPlane) -> Iterator[Mapping[tuple[str, str, int], OnServer]]:
    """Return what became of every cluster of every example: all run at a time, so that their waits overlap."""
    with contextlib.ExitStack() as stack:
        yield {place: stack.enter_context(on_server(plane, cluster_of(*place))) for place in PLACES}


@every_place
def test_a_server_takes_a_component_without_a_warning_and_makes_all_its_pods(
    plane: ControlPlane,
    applied_places: Mapping[tuple[str, str, int], OnServer],
    kind: str,
    title: str,
    place: int,
) -> None:
    watch, applied = applied_places[kind, title, place]
    rendered = cluster_of(kind, title, place)
    wanted: dict[str, int] = {}
    for manifest in data_of(rendered):
        if manifest.kind == "StatefulSet":
            component = manifest.body["metadata"]["labels"]["app.kubernetes.io/instance"]
            wanted[component] = wanted.get(component, 0) + manifest.body["spec"]["replicas"]

    def running() -> dict[str, int]:
        return {name: sum(pod.node is not None for pod in watch.pods(name)) for name in wanted}

    watch.wait(lambda: all(running()[name] >= count for name, count in wanted.items()), PODS_SECS)

    assert [fault for each in applied for fault in each.faults()] == []
    assert [f"{each.title}: {each.unjudged}" for each in applied if each.unjudged] == []
    assert refused_pods(plane, rendered.cluster.data_namespace) == []
    assert {name: min(running()[name], count) for name, count in wanted.items()} == wanted
    assert later_faults(plane, applied) == []
    assert list(changed_by_second_apply(plane.client, applied)) == []


@pytest.mark.parametrize("judge", JUDGES)
def test_policy_checkers_find_nothing_that_is_not_waived_by_name(judge: str) -> None:
    findings = []
    seen: set[tuple[str, ...]] = set()
    for kind, title in CASES:
        for rendered in clusters_of(kind, title):
            texts = {
                f"{place}-{each.kind}-{each.name}.yaml": to_yaml(each.body)
                for place, each in enumerate(data_of(rendered))
            }
            if texts:
                verdict = JUDGES[judge](need_program(judge), texts)
                operated = any(each.kind in MADE_BY_OPERATORS for each in data_of(rendered))
                findings += [
                    f"{kind} {title}: {finding}"
                    for finding in verdict.findings
                    if not (operated and finding.check == "networkpolicy-targets-pod")  # its operator makes the pods
                ]
                seen |= {tuple(target) for target in verdict.judged}

    assert sorted(findings) == []
    assert seen
