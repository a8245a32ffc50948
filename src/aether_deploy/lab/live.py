"""A rendered tree compared with what runs in a cluster: the cluster itself says what it would make of it.

Each object is applied as a dry run, in the name of whoever applied it before: only so does it show which fields would
go, too. What is refused is compared field by field instead.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from aether_deploy.delivery.comparing import parse_object
from aether_deploy.gitops.diff.changes import Body, Change, Diff, Effect, ObjectKey, change_of, in_report_order
from aether_deploy.gitops.diff.diffing import diff_folders
from aether_deploy.gitops.diff.folder import FolderPair
from aether_deploy.gitops.diff.recipes import Place
from aether_deploy.gitops.diff.sides import place_of, sums_by_folder
from aether_deploy.gitops.index import index_unit
from aether_deploy.gitops.tree import Tree, Unit
from aether_deploy.lab.applying import APPLIERS, BY_SERVER, ENGINE_MARKS, decrypted_by_engine
from aether_deploy.lab.client import ApiError, Client
from aether_deploy.lab.dry_run import asked_cluster
from aether_deploy.manifest.labels import MANAGED_BY, PART_OF
from aether_deploy.platform.config import Platform
from aether_deploy.problems import ConfigError, EffectError, Problem, suggestion

_UNKNOWN, _FORBIDDEN, _GONE = 401, 403, 404
_LOOKS = 10
"""How often an object is looked at that others keep changing; what was seen last is told then."""


def diff_live(
    platform: Platform,
    tree: Tree,
    *,
    cluster: str | None = None,
    kubeconfig: str | None = None,
    context: str | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> Diff:
    """Return what applying the tree would change in a cluster that runs. Nothing is stored there.

    Args:
        platform: The platform of the environment that runs there.
        tree: What it renders to.
        cluster: Which of its clusters that is; may be left out where there is one.
        kubeconfig: The file that names the cluster; left out, the one that ``kubectl`` takes.
        context: The context in it; left out, the current one.
        say: Told what is going on.

    Raises:
        ConfigError: There is no such cluster, or several and none is named.
        EffectError: There is no ``kubectl``, or the cluster cannot be reached.
    """
    unit = _unit(platform, tree, cluster)
    say("connecting")
    with asked_cluster(kubeconfig, context) as (client, _):
        say("asking")
        changes = _Asked(platform, unit, client).changes()
    return Diff(in_report_order(changes), (platform.environment,), 1)


def _unit(platform: Platform, tree: Tree, cluster: str | None) -> Unit:
    units = {
        unit.cluster: unit
        for unit in tree.units
        if unit.cluster is not None and unit.path == f"{platform.environment}/clusters/{unit.cluster}"
    }
    names = sorted(units)
    if cluster is None and len(units) == 1:
        return units[names[0]]
    if cluster is None:
        fix = f"name it: {', '.join(names)}"
        raise ConfigError([Problem(path="--cluster", reason="a real cluster is one of several", fix=fix)])
    if cluster not in units:
        fix = suggestion(cluster, names, f"known are {', '.join(names)}")
        raise ConfigError([Problem(path=f"--cluster {cluster}", reason="no cluster has that name", fix=fix)])
    return units[cluster]


class _Asked:
    """One unit, and the cluster that is asked about it."""

    def __init__(self, platform: Platform, unit: Unit, client: Client) -> None:
        self._platform = platform
        self._unit = unit
        self._client = client
        self._sums = sums_by_folder(index_unit(unit))
        self._refusals: dict[ObjectKey, str] = {}

    def changes(self) -> list[Change]:
        pairs = {folder: self._pairs(bodies) for folder, bodies in self._folders().items()}
        known = {key for before, after in pairs.values() for key in {*before, *after}}
        for key, body in self._left_over(known):
            folder = next((name for name in pairs if name.endswith(f"/{key.name}")), self._platform.namespace)
            pairs.setdefault(folder, ({}, {}))[0][key] = body
        changes = diff_folders(
            [
                FolderPair(unit=self._unit.path, before=before, after=after, place=self._place(folder))
                for folder, (before, after) in pairs.items()
            ]
        )
        told = {each.key for each in changes if each.effect is Effect.REFUSED}
        others = {key: said for key, said in self._refusals.items() if key not in told}
        changes = [each for each in changes if each.key not in others]
        return changes + [
            change_of(Effect.REFUSED, self._unit.path, key, says=[f"the server says: {said}"])
            for key, said in others.items()
        ]

    def _folders(self) -> dict[str, list[Body]]:
        found: dict[str, list[Body]] = {}
        for file in self._unit.files:
            if file.name is not None:
                body = parse_object(file.path, file.text.encode())
                if not decrypted_by_engine(body):
                    found.setdefault(file.path.rpartition("/")[0], []).append(body)
        return found

    def _place(self, folder: str) -> Place:
        sums = self._sums.get(folder, {})
        return place_of(self._platform, self._platform.gitops.path, self._unit.path, folder, sums)

    def _pairs(self, bodies: list[Body]) -> tuple[dict[ObjectKey, Body], dict[ObjectKey, Body]]:
        before: dict[ObjectKey, Body] = {}
        after: dict[ObjectKey, Body] = {}
        for body in bodies:
            key = _key(body)
            pair = self._asked(body)
            if pair is not None:
                before[key], after[key] = pair
            else:
                after[key] = body
        return before, after

    def _found(self, body: Body) -> Body | None:
        try:
            return self._client.request("GET", self._client.path_to(body)).body
        except ApiError as error:
            if error.status == _GONE:
                return None
            raise _unread(error, body["kind"]) from error

    def _asked(self, body: Body) -> tuple[Body, Body] | None:
        """Return an object as it is, and as it would be then, both of one moment; None where it is not there.

        What a controller or somebody else writes between both questions would look like a change of ours.
        """
        looks = 0
        while (live := self._found(body)) is not None:
            looks += 1
            manager = _applier(live) or self._platform.gitops.field_manager
            try:
                answer = self._client.apply(body, manager=manager, force=True, dry_run=True).body
            except ApiError as error:
                if error.status == _UNKNOWN:
                    raise
                self._refusals[_key(body)] = str(error.body.get("message") or error)
                return _shared(live, body), body
            if _version(answer) == _version(live) or looks == _LOOKS:
                return _plain(live), _plain(answer)
        return None

    def _left_over(self, known: set[ObjectKey]) -> Iterator[tuple[ObjectKey, Body]]:
        """Yield the objects of ours in the namespace that the tree has not, or has no more."""
        labels = f"{MANAGED_BY}=aether-deploy,{PART_OF}={self._platform.name}"
        kinds = dict.fromkeys(
            (file.api_version or "", file.kind or "")
            for file in self._unit.files
            if file.namespace == self._platform.namespace
        )
        for api_version, kind in kinds | dict.fromkeys(_ALWAYS):
            try:
                found = self._client.list(api_version, kind, self._platform.namespace, labels=labels)
            except ApiError as error:
                if error.status == _GONE:
                    continue
                raise _unread(error, kind) from error
            for each in found:
                body = {"apiVersion": api_version, "kind": kind, **each}
                if not body["metadata"].get("ownerReferences") and _key(body) not in known:
                    yield _key(body), _plain(body)


_ALWAYS = (
    ("apps/v1", "StatefulSet"),
    ("apps/v1", "Deployment"),
    ("autoscaling/v2", "HorizontalPodAutoscaler"),
    ("networking.k8s.io/v1", "NetworkPolicy"),
    ("policy/v1", "PodDisruptionBudget"),
    ("v1", "ConfigMap"),
    ("v1", "Service"),
    ("v1", "ServiceAccount"),
)


def _key(body: Body) -> ObjectKey:
    metadata = body["metadata"]
    return ObjectKey.of(body["apiVersion"], body["kind"], metadata.get("namespace"), metadata["name"])


def _version(body: Body) -> str | None:
    """Return the version of the object that an answer is about; a dry run makes no other one."""
    version: str | None = body["metadata"].get("resourceVersion")
    return version


def _applier(live: Body) -> str | None:
    """Return who applied an object on the server's side, of those who apply trees."""
    managed = live["metadata"].get("managedFields", ())
    appliers = [each["manager"] for each in managed if each["operation"] == "Apply" and not each.get("subresource")]
    return next((each for each in appliers if each in APPLIERS), None)


def _plain(body: Body) -> Body:
    """Return an object without what only a server writes, and without the marks of engines."""
    metadata = {key: value for key, value in body["metadata"].items() if key not in BY_SERVER}
    for field in ("labels", "annotations"):
        left = {key: value for key, value in metadata.pop(field, {}).items() if key not in ENGINE_MARKS}
        metadata |= {field: left} if left else {}
    return {key: value for key, value in body.items() if key != "status"} | {"metadata": metadata}


def _shared(live: Any, rendered: Any) -> Any:
    """Return ``live`` as far as ``rendered`` speaks of it: the rest are defaults, and fields of others."""
    if isinstance(live, Mapping) and isinstance(rendered, Mapping):
        return {key: _shared(live[key], value) for key, value in rendered.items() if key in live}
    if isinstance(live, list) and isinstance(rendered, list) and len(live) == len(rendered):
        return [_shared(*pair) for pair in zip(live, rendered, strict=True)]
    return live


def _unread(error: ApiError, kind: str) -> EffectError:
    if error.status != _FORBIDDEN:
        return error
    fix = "give this user the verbs get, list and patch for what is rendered; a dry run needs the last"
    return EffectError(f"this user may not read {kind}: {error.body.get('message')}\n  fix: {fix}")
