"""``diff --live``: what runs on a real control plane, compared with what is rendered."""

import copy
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from aether_deploy.cli.main import run
from aether_deploy.delivery.loading import read_description
from aether_deploy.gitops.diff.changes import Effect, ObjectKey
from aether_deploy.gitops.render import render_tree
from aether_deploy.gitops.tree import Tree
from aether_deploy.lab.applying import APPLIERS
from aether_deploy.lab.client import Answer, Client
from aether_deploy.lab.control_plane import ControlPlane
from aether_deploy.lab.live import diff_live
from aether_deploy.platform.config import Platform

EXAMPLE = Path(__file__).parents[1] / "examples" / "one-region" / "aether.yaml"
WITHOUT_VOICE = (("worlds.world-server.uses", "[]"), ("worlds.world-server.topology.preferred_colocation", "[]"))
NUMBERS = itertools.count(1)
AUTOSCALER = "autoscaling/v2"

pytestmark = pytest.mark.real


def rendered(system: str, *settings: tuple[str, str]) -> tuple[Platform, Tree]:
    judged = read_description([str(EXAMPLE)], [("name", system), *settings]).evaluate(["prod"])
    assert not judged.failed, judged.problems
    return judged.platforms[0], render_tree(judged.platforms, judged.files)[0]


def bodies(tree: Tree) -> list[dict[str, Any]]:
    found = [yaml.safe_load(file.text) for unit in tree.units for file in unit.files if file.name is not None]
    return sorted(found, key=lambda body: body["kind"] != "Namespace")


MARKS: dict[str, dict[str, dict[str, str]]] = {
    "argocd-controller": {"annotations": {"argocd.argoproj.io/tracking-id": "aether:v1/Service:a/b"}},
    "kustomize-controller": {
        "labels": {
            "kustomize.toolkit.fluxcd.io/name": "aether-prod-workloads",
            "kustomize.toolkit.fluxcd.io/namespace": "flux-system",
        }
    },
}
"""What engines put on every object, by their field manager."""


def applied(plane: ControlPlane, tree: Tree, manager: str) -> None:
    for body in bodies(tree):
        for field, marks in MARKS.get(manager, {}).items():
            body["metadata"][field] = {**body["metadata"].get(field, {}), **marks}
        plane.client.apply(body, manager=manager)


def seen(plane: ControlPlane, platform: Platform, tree: Tree) -> dict[tuple[Effect, str], list[str]]:
    """Return the fields of each change, by its effect and object."""
    found = diff_live(platform, tree, kubeconfig=str(plane.kubeconfig))
    return {(each.effect, f"{each.key.kind} {each.key.name}"): each.field_texts() for each in found.changes}


@pytest.fixture
def system(control_plane: ControlPlane) -> Iterator[str]:
    """Return the name of a system that nobody else uses; its namespace goes afterwards."""
    name = f"live{next(NUMBERS)}"
    yield name
    if control_plane.client.find("v1", "Namespace", f"{name}-prod") is not None:
        control_plane.client.delete("v1", "Namespace", f"{name}-prod")


def test_where_nothing_runs_everything_is_added(control_plane: ControlPlane, system: str) -> None:
    platform, tree = rendered(system)
    control_plane.client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": platform.namespace}})

    changes = diff_live(platform, tree, kubeconfig=str(control_plane.kubeconfig)).changes

    added = [each for each in changes if each.effect is Effect.ADDED]
    assert {each.key.name for each in added} == {"gateway", "matchmaking", "voice-relay", "world-server"}
    assert {each.key.kind for each in changes if each not in added} == {"Namespace"}


@pytest.mark.parametrize("manager", APPLIERS)
def test_what_was_applied_does_not_differ_whoever_applied_it(
    manager: str, control_plane: ControlPlane, system: str
) -> None:
    platform, tree = rendered(system)
    applied(control_plane, tree, manager)

    assert seen(control_plane, platform, tree) == {}


def test_a_field_that_is_rendered_no_more_is_seen(control_plane: ControlPlane, system: str) -> None:
    _, before = rendered(system)
    platform, tree = rendered(system, ("worlds.world-server.env", "{}"))
    applied(control_plane, before, "argocd-controller")

    found = seen(control_plane, platform, tree)

    assert found == {(Effect.ROLLS, "StatefulSet world-server"): ["env[WORLD_TICK_HZ] removed"]}


def test_an_edit_by_hand_is_seen_and_a_count_of_the_autoscaler_is_not(control_plane: ControlPlane, system: str) -> None:
    platform, tree = rendered(system)
    applied(control_plane, tree, "kustomize-controller")
    client, namespace = control_plane.client, platform.namespace
    autoscaler = client.path_of(AUTOSCALER, "HorizontalPodAutoscaler", namespace, "gateway")
    client.patch(autoscaler, {"spec": {"maxReplicas": 30}}, manager="kubectl-edit")
    control_plane.wait_for(lambda: _replicas(control_plane, namespace) == 6, "the autoscaler lifts the worlds")

    found = seen(control_plane, platform, tree)

    assert found == {(Effect.SCALES, "HorizontalPodAutoscaler gateway"): ["maxReplicas 30 -> 12"]}


def _replicas(plane: ControlPlane, namespace: str) -> int:
    replicas: int = plane.client.get("apps/v1", "StatefulSet", "world-server", namespace)["spec"]["replicas"]
    return replicas


def test_a_count_that_the_autoscaler_writes_between_two_questions_is_no_difference(
    control_plane: ControlPlane, system: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform, tree = rendered(system)
    applied(control_plane, tree, "argocd-controller")
    path = control_plane.client.path_of("apps/v1", "StatefulSet", platform.namespace, "world-server")
    counts = iter((8, 9))
    ask = Client.apply

    def ask_late(self: Client, body: dict[str, Any], **how: Any) -> Answer:
        if body["kind"] == "StatefulSet" and (count := next(counts, None)) is not None:
            control_plane.client.patch(path, {"spec": {"replicas": count}}, subresource="scale")
        return ask(self, body, **how)

    monkeypatch.setattr(Client, "apply", ask_late)

    assert seen(control_plane, platform, tree) == {}
    assert next(counts, None) is None


def test_a_refused_change_is_told_with_its_field(control_plane: ControlPlane, system: str) -> None:
    _, before = rendered(system)
    platform, tree = rendered(system, ("worlds.world-server.pvc.size", "30Gi"))
    applied(control_plane, before, "aether-deploy")

    found = seen(control_plane, platform, tree)

    fields = ["volumeClaimTemplates[wal].resources.requests.storage 10Gi -> 30Gi"]
    assert found == {(Effect.REFUSED, "StatefulSet world-server"): fields}


def test_a_workload_that_left_the_description_is_removed(control_plane: ControlPlane, system: str) -> None:
    _, before = rendered(system)
    platform, tree = rendered(system, *WITHOUT_VOICE, ("services.voice-relay.enabled", "false"))
    applied(control_plane, before, "aether-deploy")

    changes = diff_live(platform, tree, kubeconfig=str(control_plane.kubeconfig)).changes

    (gone,) = [each for each in changes if each.effect is Effect.REMOVED]
    assert gone.key == ObjectKey("apps", "Deployment", platform.namespace, "voice-relay")
    assert {key.kind for key in gone.more} == {
        "HorizontalPodAutoscaler", "NetworkPolicy", "PodDisruptionBudget", "Service", "ServiceAccount",
    }  # fmt: skip


def test_asking_changes_nothing(control_plane: ControlPlane, system: str) -> None:
    _, before = rendered(system)
    platform, tree = rendered(system, ("services.matchmaking.replicas", "5"))
    applied(control_plane, before, "kubectl")
    path = control_plane.client.path_of("apps/v1", "Deployment", platform.namespace, "matchmaking")
    version = copy.deepcopy(control_plane.client.request("GET", path).body["metadata"]["generation"])

    assert seen(control_plane, platform, tree) == {(Effect.SCALES, "Deployment matchmaking"): ["replicas 3 -> 5"]}
    assert control_plane.client.request("GET", path).body["metadata"]["generation"] == version


def test_the_verb_says_which_clusters_there_are(
    capsys: pytest.CaptureFixture[str], control_plane: ControlPlane
) -> None:
    two = str(EXAMPLE.parents[1] / "two-regions" / "aether.yaml")
    kubeconfig = ["--kubeconfig", str(control_plane.kubeconfig)]

    assert run(["diff", two, "--live", *kubeconfig]) == 2
    assert run(["diff", two, "--live", *kubeconfig, "--cluster", "dublim"]) == 2
    assert capsys.readouterr().err == (
        "--cluster: a real cluster is one of several\n  fix: name it: dublin, us-east-1\n1 problem\n"
        "--cluster dublim: no cluster has that name\n  fix: did you mean 'dublin'?\n1 problem\n"
    )


def test_a_cluster_that_does_not_answer_is_one_error(
    capsys: pytest.CaptureFixture[str], control_plane: ControlPlane, tmp_path: Path
) -> None:
    text = control_plane.kubeconfig.read_text("utf-8")
    nowhere = tmp_path / "kubeconfig"
    nowhere.write_text(text.replace("https://127.0.0.1:", "https://127.0.0.1:1"), "utf-8")

    assert run(["diff", str(EXAMPLE), "--live", "--kubeconfig", str(nowhere)]) == 3
    assert capsys.readouterr().err.startswith("error: the cluster does not answer: ")
