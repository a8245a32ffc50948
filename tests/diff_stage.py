"""Changes of descriptions on a real control plane: what a diff says of each, and what comes of it.

Every change is rendered by the whole pipeline, and applied as an engine applies it. All of them settle together.
"""

import contextlib
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import yaml
from msgspec.structs import replace

from aether_deploy.delivery.comparing import diff_trees
from aether_deploy.gitops.diff.changes import Diff, ObjectKey
from aether_deploy.gitops.render import render_tree
from aether_deploy.gitops.tree import Tree
from aether_deploy.lab.applying import BY_SERVER
from aether_deploy.lab.client import ApiError, Client
from aether_deploy.lab.control_plane import ControlPlane
from aether_deploy.lab.watching import Pod, PodWatch
from aether_deploy.manifest.yaml_source import read_document
from aether_deploy.platform.config import Platform
from aether_deploy.platform.layers import Document, Source
from tests.diff_cases import SYSTEM, DiffCase

Body = dict[str, Any]
Objects = dict[ObjectKey, Body]

ENGINE = "argocd-controller"
INVALID = 422
SETTLE_SECS = 180.0
QUIET_SECS = 5.0  # more than two looks of the autoscaler's controller
_ORDER = ("Namespace", "ServiceAccount", "ConfigMap", "ClusterRole", "Role")
_IDLE = ("Service", "NetworkPolicy", "PodDisruptionBudget", "PodMonitor", "PrometheusRule")
"""Kinds on which no pod depends: where they do not change, they need not be there."""

_WORKLOADS = ("StatefulSet", "Deployment")


# --- rendering


def rendered(environment: str, *texts: str) -> tuple[Platform, Tree]:
    """Return the platform of layers of YAML, in an environment of its own, and its tree."""
    layers = (*filter(None, texts), f"environments: {{{environment}: {{}}}}")
    sources = tuple(Source(f"{place}.yaml", read_document(text, f"{place}.yaml")) for place, text in enumerate(layers))
    evaluation = Document(sources, ()).evaluate(environment)
    found = "\n".join(f"{problem}" for _, problem in evaluation.found)
    assert evaluation.platform is not None, found
    return evaluation.platform, render_tree([evaluation.platform])[0]


def objects_of(tree: Tree, cluster: str | None = None) -> Objects:
    """Return the objects of a tree, in the order in which an engine applies them; of one cluster where one is named."""
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    bodies = [
        yaml.load(file.text, loader)
        for unit in tree.units
        for file in unit.files
        if file.name is not None and cluster in (None, unit.cluster)
    ]
    bodies.sort(key=lambda body: _ORDER.index(body["kind"]) if body["kind"] in _ORDER else len(_ORDER))
    return {key_of(body): body for body in bodies}


def key_of(body: Mapping[str, Any]) -> ObjectKey:
    metadata = body["metadata"]
    return ObjectKey.of(body["apiVersion"], body["kind"], metadata.get("namespace"), metadata["name"])


# --- applying, as an engine does


def apply_objects(client: Client, objects: Objects) -> set[ObjectKey]:
    """Apply every object, and return those that the server does not take because a field cannot be changed."""
    refused = set()
    for key, body in objects.items():
        try:
            client.apply(body, manager=ENGINE, force=True)
        except ApiError as error:
            if error.status != INVALID:
                raise
            refused.add(key)
    return refused


def prune_objects(client: Client, keys: Iterable[ObjectKey], bodies: Objects) -> None:
    """Delete what left the tree, as an engine does: but no namespaces."""
    for key in keys:
        if key.kind != "Namespace":
            client.delete(bodies[key]["apiVersion"], key.kind, key.name, key.namespace or None)


# --- seeing


class Moment(NamedTuple):
    """One namespace, or what a case has of the cluster, when nothing moves.

    Attributes:
        objects: Its objects as they are in the cluster, without what only a server writes.
        pods: Its pods by name.
        claims: The UID of each claim, and the volume that it has.
        owned: Claims that go with the workload that owns them.
    """

    objects: Objects
    pods: dict[str, Pod]
    claims: dict[str, tuple[str, str]]
    owned: frozenset[str]

    def wanted(self, key: ObjectKey) -> int | None:
        """Return how many pods a workload is to have."""
        body = self.objects.get(key)
        return None if body is None else body["spec"]["replicas"]


class Lists:
    """All objects of the cluster at one moment, asked for kind by kind."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._lists: dict[tuple[str, str], Objects] = {}

    def of(self, api_version: str, kind: str) -> Objects:
        if (api_version, kind) not in self._lists:
            found = self._client.list(api_version, kind)
            bodies = [{**each, "apiVersion": api_version, "kind": kind} for each in found]
            self._lists[api_version, kind] = {key_of(body): body for body in bodies}
        return self._lists[api_version, kind]

    def moment(self, bodies: Objects, namespace: str, watch: PodWatch) -> Moment:
        """Return what is there of ``bodies``, and the pods and claims of a namespace."""
        live = {key: self.of(body["apiVersion"], key.kind).get(key) for key, body in bodies.items()}
        claims = [each for key, each in self.of("v1", "PersistentVolumeClaim").items() if key.namespace == namespace]
        return Moment(
            objects={key: _plain(body) for key, body in live.items() if body is not None},
            pods={pod.name: pod for pod in watch.pods() if not pod.terminating},
            claims={
                each["metadata"]["name"]: (each["metadata"]["uid"], each["spec"].get("volumeName", ""))
                for each in claims
            },
            owned=frozenset(each["metadata"]["name"] for each in claims if each["metadata"].get("ownerReferences")),
        )


def _plain(body: Body) -> Body:
    metadata = {key: value for key, value in body["metadata"].items() if key not in BY_SERVER}
    annotations = {
        key: value for key, value in metadata.get("annotations", {}).items() if not key.startswith("deployment.")
    }
    metadata["annotations"] = annotations
    return {key: value for key, value in body.items() if key != "status"} | {"metadata": metadata}


def settle(plane: ControlPlane, namespaces: Sequence[str], patience_secs: float = SETTLE_SECS) -> dict[str, str]:
    """Wait until every workload of the namespaces stands, and nothing has changed for a while.

    Returns:
        What does not come to stand, by namespace.
    """
    deadline, quiet, last = time.monotonic() + patience_secs, time.monotonic(), None
    while True:
        state, stands = _state(plane.client, set(namespaces))
        if state != last:
            quiet, last = time.monotonic(), state
        if stands and time.monotonic() - quiet > QUIET_SECS:
            return {}
        plane.check()
        if time.monotonic() > deadline:
            return _unsettled(plane.client, set(namespaces))
        time.sleep(0.5)


def _state(client: Client, namespaces: set[str]) -> tuple[list[Any], bool]:
    workloads = [
        each
        for kind in _WORKLOADS
        for each in client.list("apps/v1", kind)
        if each["metadata"]["namespace"] in namespaces
    ]
    pods = [each["metadata"] for each in client.list("v1", "Pod") if each["metadata"]["namespace"] in namespaces]
    state = [(each["metadata"]["uid"], each["spec"]["replicas"], each["status"]) for each in workloads]
    stands = all(_stands(each) for each in workloads) and not any("deletionTimestamp" in each for each in pods)
    return [state, sorted(each["uid"] for each in pods)], stands


def _stands(workload: Body) -> bool:
    status, wanted = workload.get("status", {}), workload["spec"]["replicas"]
    seen = status.get("observedGeneration", 0) >= workload["metadata"]["generation"]
    return bool(seen and status.get("replicas", 0) == wanted == status.get("readyReplicas", 0))


def _unsettled(client: Client, namespaces: set[str]) -> dict[str, str]:
    return {
        each["metadata"]["namespace"]: f"{kind} {each['metadata']['name']} does not settle: {each.get('status')}"
        for kind in _WORKLOADS
        for each in client.list("apps/v1", kind)
        if each["metadata"]["namespace"] in namespaces and not _stands(each)
    }


# --- one change, played


class Played(NamedTuple):
    """One change of a description, and what came of it.

    Attributes:
        diff: What the diff said.
        old: What was rendered before.
        new: What is rendered after.
        refused: The objects that the server refused.
        before: What was there before.
        after: What is there now.
        watch: The pods meanwhile.
        since: When the change was applied, of the monotonic clock.
        unsettled: What never came to stand.
    """

    diff: Diff
    old: Objects
    new: Objects
    refused: set[ObjectKey]
    before: Moment
    after: Moment
    watch: PodWatch
    since: float
    unsettled: str | None

    def replaced(self, key: ObjectKey) -> list[Pod]:
        """Return the pods of a workload that ended and were followed by others in their place, in that order."""
        if key not in self.before.objects or key not in self.after.objects:
            return []
        ended = [pod for pod in self.watch.ended(key.name, self.since) if pod.uid in self._uids_before(key)]
        if key.kind == "StatefulSet":  # of another revision: one that went and came back is the same world
            after = self.after.pods
            return [pod for pod in ended if pod.name in after and after[pod.name].revision != pod.revision]
        old = {pod.revision for pod in self.before.pods.values() if pod.workload == key.name}
        if any(pod.revision in old for pod in self.after.pods.values() if pod.workload == key.name):
            return []  # some of the old ones are still wanted: they were fewer, not others
        return ended

    def _uids_before(self, key: ObjectKey) -> set[str]:
        return {pod.uid for pod in self.before.pods.values() if pod.workload == key.name}

    def most_away(self, key: ObjectKey) -> int:
        """Return how many pods of a workload were missing at one moment, at most."""
        counts = (self.before.wanted(key) or 0, self.after.wanted(key) or 0)
        if key.kind == "Deployment":
            return max(min(counts) - self.watch.fewest_ready(key.name, self.since), 0)
        stay = set(self.before.pods) & set(self.after.pods)
        ready, most = {name for name in stay if self.before.pods[name].workload == key.name}, 0
        places = len(ready)
        for change in self.watch.history:
            if change.at > self.since and change.pod.name in stay and change.pod.workload == key.name:
                (ready.add if change.pod.ready and not change.gone else ready.discard)(change.pod.name)
                most = max(most, places - len(ready))
        return most

    def most_more(self, key: ObjectKey) -> int:
        """Return how many pods of a workload there were beyond those wanted, at most; ending ones do not count."""
        there = {pod.uid for pod in self.before.pods.values() if pod.workload == key.name}
        most = len(there)
        for change in self.watch.history:
            if change.at > self.since and change.pod.workload == key.name:
                alive = not change.gone and not change.pod.terminating
                (there.add if alive else there.discard)(change.pod.uid)
                most = max(most, len(there))
        return most - max(self.before.wanted(key) or 0, self.after.wanted(key) or 0)

    def changed(self) -> set[ObjectKey]:
        """Return the objects that are still there and differ."""
        return {
            key
            for key, body in self.before.objects.items()
            if key in self.after.objects and bare(self.after.objects[key]) != bare(body)
        }


def bare(body: Body) -> Body:
    """Return what a diff tells of an object: not what an autoscaler or a reader of our own annotations says too."""
    annotations = {
        key: value
        for key, value in body["metadata"]["annotations"].items()
        if not key.startswith(("aether.io/", "kube-score/", "checkov.io/", "ignore-check.", "polaris."))
    }
    return {**body, "metadata": {**body["metadata"], "annotations": annotations}}


class Step(NamedTuple):
    """One change that is to be played.

    Attributes:
        name: What it is called; its environment too.
        old: What is rendered before.
        new: What is rendered after.
        diff: What the diff says.
        namespace: Where its workloads are.
        earlier: What was applied before the old.
    """

    name: str
    old: Objects
    new: Objects
    diff: Diff
    namespace: str
    earlier: Objects | None = None


def step_of(
    name: str, old: Sequence[str], new: Sequence[str], *, earlier: Sequence[str] = (), cluster: str | None = None
) -> Step:
    """Return the change from the layers ``old`` to the layers ``new``."""
    platform, after = rendered(name, *new)
    before = rendered(name, *old)[1]
    states = [objects_of(tree, cluster) for tree in (before, after)]
    idle = {key for key, body in states[0].items() if key.kind in _IDLE and states[1].get(key) == body}
    old_objects, new_objects = ({key: body for key, body in each.items() if key not in idle} for each in states)
    diff = diff_trees([platform], before, after, root="deploy")
    here = tuple(each for each in diff.changes if cluster in (None, each.place))
    return Step(
        name=name,
        old=old_objects,
        new=new_objects,
        diff=replace(diff, changes=here),
        namespace=platform.namespace,
        earlier=objects_of(rendered(name, *earlier)[1], cluster) if earlier else None,
    )


def step(name: str, case: DiffCase) -> Step:
    """Return a case of the table as a change that can be played."""
    return step_of(
        name,
        (SYSTEM, case.base, case.old),
        (SYSTEM, case.new_base or case.base, case.new),
        earlier=(SYSTEM, case.base, case.earlier) if case.earlier is not None else (),
        cluster=case.cluster,
    )


@contextlib.contextmanager
def play(
    plane: ControlPlane, steps: Sequence[Step], *, patience_secs: float = SETTLE_SECS
) -> Iterator[dict[str, Played]]:
    """Apply the old state of all steps, then the new one, and yield what came of each; everything goes afterwards.

    Args:
        plane: Where they are played.
        steps: The changes.
        patience_secs: How long the new states may take to settle.
    """
    client, namespaces = plane.client, [step.namespace for step in steps]
    for namespace in sorted({key.namespace for step in steps for key in (*step.old, *step.new)} - {"", *namespaces}):
        if client.find("v1", "Namespace", namespace) is None:
            client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    try:
        for states in ([step.earlier for step in steps if step.earlier], [step.old for step in steps]):
            for objects in states:
                refused = apply_objects(client, objects)
                assert not refused, refused
            unsettled = settle(plane, namespaces) if any(states) else {}
            assert unsettled == {}
        with contextlib.ExitStack() as stack:
            watches = [stack.enter_context(PodWatch(client, each, plane.check)) for each in namespaces]
            yield _changed_to_new(plane, steps, watches, patience_secs)
    finally:
        _remove(client, steps)


def _changed_to_new(
    plane: ControlPlane, steps: Sequence[Step], watches: Sequence[PodWatch], patience_secs: float
) -> dict[str, Played]:
    client, lists = plane.client, Lists(plane.client)
    begun = []
    for step, watch in zip(steps, watches, strict=True):
        begun.append(lists.moment(step.old | step.new, step.namespace, watch))
    applied = []
    for step in steps:
        since = time.monotonic()
        refused = apply_objects(client, {key: body for key, body in step.new.items() if step.old.get(key) != body})
        prune_objects(client, [key for key in step.old if key not in step.new], step.old)
        applied.append((since, refused))
    unsettled = settle(plane, [step.namespace for step in steps], patience_secs)
    played, lists = {}, Lists(client)
    for step, watch, before, (since, refused) in zip(steps, watches, begun, applied, strict=True):
        after = lists.moment(step.old | step.new, step.namespace, watch)
        played[step.name] = Played(
            step.diff, step.old, step.new, refused, before, after, watch, since, unsettled.get(step.namespace)
        )
    return played


def _remove(client: Client, steps: Sequence[Step]) -> None:
    """Delete what is not in a namespace, then the namespaces; an APIService that nobody serves would hold them up."""
    everything = {key: body for step in steps for key, body in (step.old | step.new).items()}
    mine = {step.namespace for step in steps}
    apart = [key for key in everything if key.kind != "Namespace" and key.namespace not in mine]
    for key in sorted(apart, key=lambda each: each.kind):
        with contextlib.suppress(ApiError):
            client.delete(everything[key]["apiVersion"], key.kind, key.name, key.namespace or None)
    for namespace in mine:
        here = {key.kind for key in everything if key.namespace == namespace}
        for kind in here & set(_WORKLOADS):  # a namespace keeps its pods for seconds, and other tests need the room
            with contextlib.suppress(ApiError):
                client.request(
                    "DELETE", client.path_of("apps/v1", kind, namespace), {"propagationPolicy": "Background"}
                )
        with contextlib.suppress(ApiError):
            client.delete("v1", "Namespace", namespace)
