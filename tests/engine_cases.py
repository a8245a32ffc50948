"""A system that is published to a repository, which a real engine follows, and what is then in the cluster."""

import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from aether_deploy.delivery.loading import read_description
from aether_deploy.delivery.tree_writer import write_tree
from aether_deploy.gitops.diff.changes import ObjectKey
from aether_deploy.gitops.diff.recipes import recreate_workload
from aether_deploy.gitops.diff.sides import place_of
from aether_deploy.gitops.engines import commands_around
from aether_deploy.gitops.pieces import RenderedCluster
from aether_deploy.gitops.render import render_tree
from aether_deploy.lab.client import ApiError, Client
from aether_deploy.lab.control_plane import ControlPlane
from aether_deploy.lab.crds import CustomKind
from aether_deploy.lab.engines.engine import Engine, Published, State
from aether_deploy.lab.git_server import GitServer
from aether_deploy.lab.watching import PodWatch
from aether_deploy.manifest.comparison import differences
from aether_deploy.manifest.value import Manifest

Body = dict[str, Any]
Description = dict[str, Any]

CLUSTER = "us-east-1"
ENVIRONMENT = "prod"
TREE = "deploy"
_DIGEST = "@sha256:" + "0" * 64
IMAGE = f"registry.example.com/world:v1{_DIGEST}"
NEW_IMAGE = f"registry.example.com/world:v2{_DIGEST}"
_DERIVED = (("", "Endpoints"), ("", "Event"), ("events.k8s.io", "Event"), ("coordination.k8s.io", "Lease"))
"""Kinds whose objects come and go by themselves."""


def description(name: str, **more: Any) -> Description:
    """Return a small system: a durable world that scales, a service that scales, and one that does not."""
    zones = [f"{CLUSTER}{letter}" for letter in "abc"]
    return {
        "name": name,
        "kubernetes": "v1.37",
        "regions": [{"code": CLUSTER, "zones": zones}],
        "worlds": [
            {
                "name": "world-server",
                "image": IMAGE,
                "env": {"WORLD_TICK_HZ": "30"},
                "pvc": {"size": "1Gi"},
                "drain": {"grace_period_secs": 5, "pre_stop": {"sleep_secs": 1}},
                "scaling": {"min_replicas": 3, "max_replicas": 6, "scale_down_cooldown_secs": 60},
            }
        ],
        "services": [
            {"name": "gateway", "image": IMAGE, "scaling": {"min_replicas": 2, "max_replicas": 4}}
            | {"custom_metrics": [{"name": "aether_gateway_player_count"}]},
            {"name": "matchmaking", "image": IMAGE, "replicas": 2},
        ],
        **more,
    }


def edited(given: Description, workload: str, **fields: Any) -> Description:
    """Return a description with other values for fields of one workload."""

    def entry(each: Body) -> Body:
        return {**each, **fields} if each["name"] == workload else each

    return {**given, **{section: [entry(each) for each in given[section]] for section in ("worlds", "services")}}


def without(given: Description, workload: str) -> Description:
    """Return a description without a workload."""
    sections = {name: [each for each in given[name] if each["name"] != workload] for name in ("worlds", "services")}
    return {**given, **sections}


class System:
    """One system: its description, the repository that it is published to, and the engine that follows it.

    Attributes:
        namespace: Namespace of its workloads.
        clusters: What was rendered last.
        commit: What was published last.
    """

    def __init__(self, engine: Engine, plane: ControlPlane, git: GitServer, folder: Path, name: str) -> None:
        self.engine = engine
        self.plane = plane
        self.name = name
        self.namespace = f"{name}-{ENVIRONMENT}"
        self.clusters: list[RenderedCluster] = []
        self.commit = ""
        self._git = git
        self._folder = folder
        self._checkout = folder / "checkout"
        self._run("init", "--quiet", "--initial-branch=main", str(self._checkout), cwd=folder)

    @property
    def client(self) -> Client:
        return self.plane.client

    @property
    def tree(self) -> Path:
        """The tree in the checkout."""
        return self._checkout / TREE

    @property
    def cluster_folder(self) -> Path:
        """The folder of the cluster in the tree."""
        return self.tree / ENVIRONMENT / "clusters" / CLUSTER

    # --- publishing

    def render(self, given: Description) -> None:
        """Render a description into the checkout."""
        file = self._folder / "aether.yaml"
        file.write_text(json.dumps({**given, "gitops": self._gitops(given)}), "utf-8")
        read = read_description([str(file)])
        judged = read.evaluate(read.document.environments())
        assert not judged.failed, judged.problems
        self._platforms = judged.platforms
        tree, self.clusters = render_tree(judged.platforms, judged.files)
        write_tree(self.tree, tree)

    def _gitops(self, given: Description) -> Body:
        return {"engine": self.engine.group.replace("-", ""), "repo": self._git.url, **given.get("gitops", {})}

    def push(self, message: str) -> str:
        """Commit what the checkout holds, whatever it is, and return the commit."""
        self._run("add", "--all")
        self._run("commit", "--quiet", f"--message={message}")
        self._run("push", "--quiet", "--force", str(self._git.repository), "main")
        self.commit = self._run("rev-parse", "HEAD")
        return self.commit

    def publish(self, given: Description, message: str = "render") -> str:
        """Render and push a description, and return the commit."""
        self.render(given)
        return self.push(message)

    def remove_clusters(self) -> None:
        """Take the folders of all clusters away, and those of the engine that are for one."""
        for folder in (self.tree / ENVIRONMENT / "clusters", self.tree / ENVIRONMENT / "engine" / "flux"):
            shutil.rmtree(folder, ignore_errors=True)

    def _run(self, *words: str, cwd: Path | None = None) -> str:
        environment = {
            "PATH": os.environ["PATH"],
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            **{f"GIT_{who}_{what}": "lab@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
        }
        done = subprocess.run(
            ["git", *words], cwd=cwd or self._checkout, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    # --- the engine

    def bootstrap(self) -> None:
        """Let the engine follow what was published."""
        path = self._engine_folder.relative_to(self._checkout).as_posix()
        self.engine.bootstrap(Published(url=self._git.url, branch="main", path=path, objects=self.engine_objects))

    @property
    def _engine_folder(self) -> Path:
        return next((self.tree / ENVIRONMENT / "engine").glob("flux/*" if self.engine.group == "flux" else "argocd"))

    @property
    def engine_objects(self) -> list[Body]:
        """What is rendered for the engine itself."""
        files = [path for path in sorted(self._engine_folder.glob("*.yaml")) if path.name != "kustomization.yaml"]
        return [yaml.safe_load(path.read_text("utf-8")) for path in files]

    def apply(self, given: Description, message: str = "render") -> str:
        """Publish a description, and wait until the engine has applied it."""
        commit = self.publish(given, message)
        self.sync()
        return commit

    def sync(self) -> list[State]:
        """Have the engine apply what was published last; it must succeed."""
        self.engine.sync_now()
        states = self.engine.wait_for(self.commit)
        assert [str(state) for state in states if state.phase != "ready"] == []
        return states

    def failures(self) -> list[State]:
        """Have the engine try what was published last, and return what it says of the pieces that fail."""
        self.engine.sync_now()
        states = self.engine.wait_for(self.commit)
        return [state for state in states if state.phase == "failed"]

    def way_out(self, workload: str) -> list[str]:
        """Return the commands that ``diff`` prints for a change of a StatefulSet that is refused."""
        unit = self.cluster_folder.relative_to(self.tree).as_posix()
        place = place_of(self._platforms[0], TREE, unit, f"{self.namespace}/{workload}")
        key = ObjectKey("apps", "StatefulSet", self.namespace, workload)
        return recreate_workload(key, place, autoscaled=True)

    def commands_around(self, workload: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the commands that keep the engine from a workload, and those that let it go on."""
        return commands_around(self._platforms[0], CLUSTER, f"{self.namespace}/{workload}")

    def shell(self, commands: Iterable[str]) -> None:
        """Run commands as a user does, in the checkout."""
        path = f"{self.plane.kubectl.parent}{os.pathsep}{os.environ['PATH']}"
        environment = {"PATH": path, "KUBECONFIG": str(self.plane.kubeconfig), "HOME": str(self._folder)}
        script = "\n".join(["set -eu -o pipefail", *commands])
        done = subprocess.run(
            ["bash", "-c", script], cwd=self._checkout, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"

    # --- the cluster

    @property
    def manifests(self) -> tuple[Manifest, ...]:
        """What was rendered last."""
        return tuple(manifest for each in self.clusters for manifest in each.cluster.manifests)

    def _live(self, body: Mapping[str, Any]) -> Body | None:
        metadata = body["metadata"]
        return self.client.find(body["apiVersion"], body["kind"], metadata["name"], metadata.get("namespace"))

    def drift(self) -> list[str]:
        """Return what is rendered and not so in the cluster, a line each; for the engine itself too."""
        found = []
        for body in [*self.engine_objects, *(each.body for each in self.manifests)]:
            live, title = self._live(body), f"{body['kind']} {body['metadata']['name']}"
            found += [f"{title}: is not there"] if live is None else []
            found += [f"{title}: {difference}" for difference in differences(body, live or body)]
        return found

    def worlds(self) -> Body:
        """Return the specification of the worlds as it is in the cluster."""
        spec: Body = self.client.get("apps/v1", "StatefulSet", "world-server", self.namespace)["spec"]
        return spec

    def container(self) -> Body:
        """Return the container of the worlds as the cluster is told."""
        container: Body = self.worlds()["template"]["spec"]["containers"][0]
        return container

    def scale(self, replicas: int) -> None:
        """Give the worlds a count as an autoscaler does it."""
        path = self.client.path_of("apps/v1", "StatefulSet", self.namespace, "world-server")
        self.client.patch(path, {"spec": {"replicas": replicas}}, subresource="scale")

    def watched(self) -> PodWatch:
        """Return a watch of the pods, for a block."""
        return PodWatch(self.client, self.namespace, self.engine.check)

    def pods(self, workload: str = "world-server") -> dict[str, str]:
        """Return the uid of each pod of a workload, by name."""
        with self.watched() as watch:
            return {pod.name: pod.uid for pod in watch.pods(workload)}

    def volumes(self) -> dict[str, str]:
        """Return the uid of each claim, by name."""
        claims = self.client.list("v1", "PersistentVolumeClaim", self.namespace)
        return {each["metadata"]["name"]: each["metadata"]["uid"] for each in claims}

    def written(self) -> dict[str, object]:
        """Return what changes when somebody writes an object that we render: its uid and generation."""
        found: dict[str, object] = {}
        for each in self.manifests:
            metadata = (self._live(each.body) or {}).get("metadata", {})
            found[f"{each.kind} {each.name}"] = (metadata.get("uid"), metadata.get("generation"))
        return found

    def objects(self) -> dict[str, str]:
        """Return the uid of every object of the namespace that somebody wrote, by kind and name."""
        return {
            f"{body['kind']} {body['metadata']['name']}": body["metadata"]["uid"]
            for body in self.all_objects()
            if not body["metadata"].get("ownerReferences")
        }

    def all_objects(self) -> Iterator[Body]:
        """Yield every object of the namespace, but events and leases."""
        for group, api_version, kind in namespaced_kinds(self.client):
            if (group, kind) not in _DERIVED:
                with contextlib.suppress(ApiError):
                    yield from ({"kind": kind, **body} for body in self.client.list(api_version, kind, self.namespace))


def namespaced_kinds(client: Client) -> Iterator[tuple[str, str, str]]:
    """Yield group, version and kind of everything that can be listed in a namespace."""
    groups = client.request("GET", "/apis").body["groups"]
    versions = [("", "v1"), *((each["name"], each["preferredVersion"]["groupVersion"]) for each in groups)]
    for group, version in versions:
        path = f"/apis/{version}" if group else f"/api/{version}"
        resources: list[Body] = []
        with contextlib.suppress(ApiError):  # of an API that is registered and not served
            resources = client.request("GET", path).body.get("resources", [])
        for each in resources:
            if each["namespaced"] and "/" not in each["name"] and "list" in each["verbs"]:
                yield group, version, each["kind"]


def forget(engine: Engine, client: Client) -> None:
    """Take everything away that an engine was told; what it applied stays."""
    kinds = [kind for kind in engine.kinds if kind.kind in ("Kustomization", "GitRepository", "ApplicationSet")]

    def left() -> list[tuple[CustomKind, Body]]:
        return [(kind, body) for kind in kinds for body in client.list(kind.api_version, kind.kind)]

    for kind, body in left():
        with contextlib.suppress(ApiError):
            client.delete(kind.api_version, kind.kind, body["metadata"]["name"], body["metadata"]["namespace"])
    engine.wait(lambda: not left() and not engine.status(), f"{engine.title} has nothing to do", 60)
