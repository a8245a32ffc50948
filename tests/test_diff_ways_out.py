"""The ways out that a diff prints, run as printed: a shell, kubectl, and what is in the cluster afterwards."""

import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from msgspec.structs import replace

from aether_deploy.delivery.comparing import diff_trees
from aether_deploy.delivery.tree_writer import write_tree
from aether_deploy.gitops.diff.changes import Change, Effect
from aether_deploy.gitops.tree import Tree, TreeFile
from aether_deploy.lab.control_plane import ControlPlane
from aether_deploy.lab.watching import PodWatch
from aether_deploy.manifest.yaml_text import to_yaml
from tests.diff_cases import PLAYERS, SCALED, SCALED_WORLD, SERVICE, SYSTEM, WATCHED, WORLD, gateway, spec_of, world
from tests.diff_stage import apply_objects, objects_of, rendered, settle

pytestmark = pytest.mark.real

SIX = "replicas: null, scaling: {min_replicas: 2, max_replicas: 8}"


Edit = Callable[[dict[str, Any]], None]
"""Changes one object as no description can, for ways out that only a later version of ours may need."""


def edited(tree: Tree, edit: Edit | None) -> Tree:
    """Return the tree with every object edited."""

    def file(each: TreeFile) -> TreeFile:
        if edit is None or each.name is None:
            return each
        body = yaml.safe_load(each.text)
        edit(body)
        return replace(each, text=to_yaml(body))

    return Tree(tuple(replace(unit, files=tuple(map(file, unit.files))) for unit in tree.units))


class Way:
    """A change whose old state runs, and whose new state lies in a folder."""

    def __init__(
        self, plane: ControlPlane, name: str, old: Sequence[str], new: Sequence[str], folder: Path, edit: Edit | None
    ) -> None:
        self.plane = plane
        self.client = plane.client
        self.folder = folder
        self.platform, self.tree = rendered(name, *new)
        self.tree = edited(self.tree, edit)
        self.namespace = self.platform.namespace
        before = rendered(name, *old)[1]
        apply_objects(self.client, objects_of(before))
        write_tree(folder / "deploy", self.tree)
        self.diff = diff_trees([self.platform], before, self.tree, root="deploy")
        self.settled()

    def settled(self) -> None:
        assert settle(self.plane, [self.namespace]) == {}

    def change(self, effect: Effect) -> Change:
        (found,) = (change for change in self.diff.changes if change.effect is effect)
        return found

    def run(self, *commands: str) -> str:
        """Give commands to a shell as they are printed, in the folder that the tree lies in."""
        path = f"{self.plane.kubectl.parent}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", "\n".join(commands)],
            cwd=self.folder,
            env={**os.environ, "PATH": path, "KUBECONFIG": str(self.plane.kubeconfig)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def pods(self, workload: str) -> dict[str, str]:
        """Return the UID of each pod of a workload."""
        found = self.client.list("v1", "Pod", self.namespace, labels=f"app.kubernetes.io/instance={workload}")
        return {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in found}

    def claims(self) -> dict[str, tuple[str, str]]:
        """Return the UID and the volume of each claim."""
        found = self.client.list("v1", "PersistentVolumeClaim", self.namespace)
        return {each["metadata"]["name"]: (each["metadata"]["uid"], each["spec"]["volumeName"]) for each in found}

    def get(self, api_version: str, kind: str, name: str) -> dict[str, Any]:
        return self.client.get(api_version, kind, name, self.namespace)


@pytest.fixture
def ways(control_plane: ControlPlane, tmp_path: Path) -> Iterator[Any]:
    made: list[Way] = []

    def make(name: str, old: Sequence[str], new: Sequence[str], edit: Edit | None = None) -> Way:
        made.append(Way(control_plane, name, (SYSTEM, *old), (SYSTEM, *new), tmp_path, edit))
        return made[-1]

    yield make
    for way in made:
        control_plane.client.delete("v1", "Namespace", way.namespace)


def scale(way: Way, kind: str, name: str, replicas: int) -> None:
    """Let the autoscaler's own user write the count, as it would for players; its window holds it up."""
    path = way.client.path_of("apps/v1", kind, way.namespace, name)
    way.client.patch(path, {"spec": {"replicas": replicas}}, subresource="scale", manager="kube-controller-manager")


def test_a_recreated_statefulset_keeps_every_pod_and_every_claim(ways: Any) -> None:
    way = ways("way-size", (WORLD, world(SIX)), (WORLD, world(SIX + ", pvc: {size: 2Gi}")))
    scale(way, "StatefulSet", "world", 6)
    way.settled()
    pods, claims = way.pods("world"), way.claims()
    assert len(pods) == 6
    old = way.get("apps/v1", "StatefulSet", "world")["metadata"]["uid"]

    way.run(*way.change(Effect.REFUSED).way_out)
    way.settled()

    assert way.pods("world") == pods
    assert way.claims() == claims
    made = way.get("apps/v1", "StatefulSet", "world")
    assert made["metadata"]["uid"] != old
    assert made["spec"]["volumeClaimTemplates"][0]["spec"]["resources"]["requests"]["storage"] == "2Gi"
    assert made["spec"]["replicas"] == 6


def test_a_headless_service_is_made_anew(ways: Any) -> None:
    way = ways("way-address", (SERVICE,), (SERVICE, _headless()))
    pods = way.pods("gateway")

    way.run(*way.change(Effect.REFUSED).way_out)
    way.settled()

    assert way.get("v1", "Service", "gateway")["spec"]["clusterIP"] == "None"
    assert way.pods("gateway") == pods


def _headless() -> str:
    return spec_of("Service", "{clusterIP: None}", name="gateway")


def test_a_deployment_with_another_selector_is_made_anew(ways: Any) -> None:
    def edit(body: dict[str, Any]) -> None:
        if body["kind"] == "Deployment":
            body["spec"]["selector"]["matchLabels"]["app.kubernetes.io/name"] = "gateway"

    way = ways("way-selector", (SERVICE,), (SERVICE,), edit)
    pods = way.pods("gateway")

    way.run(*way.change(Effect.REFUSED).way_out)
    way.settled()

    made = way.get("apps/v1", "Deployment", "gateway")
    assert made["spec"]["selector"]["matchLabels"]["app.kubernetes.io/name"] == "gateway"
    way.plane.wait_for(lambda: len(way.pods("gateway")) == 3, "only the new pods are there")
    assert set(way.pods("gateway").values()).isdisjoint(pods.values())


def test_a_binding_to_another_role_is_made_anew(ways: Any, control_plane: ControlPlane) -> None:
    def edit(body: dict[str, Any]) -> None:
        if body["kind"] == "ClusterRoleBinding" and body["metadata"]["name"].endswith("-reads"):
            body["roleRef"]["name"] = "view"

    adapter = f"{SCALED_WORLD}observability: {{{WATCHED}, metrics_adapter: true, pod_monitors: false}}\n"
    way = ways("way-role", (adapter,), (adapter,), edit)
    change = way.change(Effect.REFUSED)
    try:
        way.run(*change.way_out)

        made = control_plane.client.get("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", change.key.name)
        assert made["roleRef"]["name"] == "view"
    finally:
        for key, body in objects_of(way.tree).items():
            if key.namespace != way.namespace and key.kind != "Namespace":
                control_plane.client.delete(body["apiVersion"], key.kind, key.name, key.namespace or None)


def test_a_count_that_the_client_recorded_is_edited_out_of_the_record_first(ways: Any) -> None:
    way = ways("way-record", (SERVICE,), (SERVICE, gateway(f"{SCALED}, {PLAYERS}")))
    old = way.folder / "old"
    write_tree(old, rendered("way-record", SYSTEM, SERVICE)[1])
    way.run(
        f"kubectl -n {way.namespace} delete deployment gateway", f"kubectl apply -k {old}/way-record/clusters/us-east-1"
    )
    way.settled()
    pods = way.pods("gateway")
    command = way.change(Effect.HAND_OVER).way_out[-1].partition(" from the record: ")[2]

    way.run("export KUBE_EDITOR=\"sed -i '/^  replicas:/d'\"", command)
    way.run("kubectl apply -k deploy/way-record/clusters/us-east-1")
    way.settled()

    assert way.pods("gateway") == pods
    assert len(pods) == 3


@pytest.mark.parametrize("kind", ["StatefulSet", "Deployment"])
def test_a_count_that_is_handed_over_first_never_falls(ways: Any, control_plane: ControlPlane, kind: str) -> None:
    name = "world" if kind == "StatefulSet" else "gateway"
    base, new = (WORLD, world(SCALED)) if kind == "StatefulSet" else (SERVICE, gateway(f"{SCALED}, {PLAYERS}"))
    way = ways(f"way-hand-{name}", (base,), (base, new))
    pods = way.pods(name)
    assert len(pods) == 3

    with PodWatch(control_plane.client, way.namespace, control_plane.check) as watch:
        way.run(*way.change(Effect.HAND_OVER).way_out)
        apply_objects(way.client, objects_of(way.tree))
        way.settled()
        ended = [change.pod for change in watch.history if change.gone or change.pod.terminating]

    assert ended == []
    assert way.pods(name) == pods
    assert way.get("apps/v1", kind, name)["spec"]["replicas"] == 3


def test_volumes_move_to_the_new_name(ways: Any) -> None:
    renamed = WORLD.replace("name: world,", "name: lobby, formerly: world,").replace("name: world}", "name: lobby}")
    way = ways("way-rename", (WORLD,), (renamed,))
    before = way.claims()
    assert set(before) == {f"wal-world-{ordinal}" for ordinal in range(3)}

    way.run(*way.change(Effect.DATA).way_out)
    way.settled()

    after = way.claims()
    assert {name: volume for name, (_, volume) in after.items()} == {
        name.replace("world", "lobby"): volume for name, (_, volume) in before.items()
    }
    assert set(way.pods("lobby")) == {f"lobby-{ordinal}" for ordinal in range(3)}
    phases = {name: way.get("v1", "PersistentVolumeClaim", name)["status"]["phase"] for name in after}
    assert set(phases.values()) == {"Bound"}
