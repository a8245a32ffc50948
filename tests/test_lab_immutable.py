"""Every field that is rendered is changed, one by one, on real API servers: the refused ones are those of our list.

A change counts as judged only if the changed object could be created: else its value is wrong, not its change.
"""

import copy
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import pytest

from aether_deploy import DeploymentConfig
from aether_deploy.fleet.bundle import render_manifests
from aether_deploy.lab.applying import MANAGER
from aether_deploy.lab.client import ApiError, Client
from aether_deploy.lab.control_plane import ControlPlane
from aether_deploy.lab.crds import CUSTOM_KINDS
from aether_deploy.manifest import immutable
from aether_deploy.manifest.immutable import IDENTITY, IMMUTABLE, immutable_changes
from tests.bundle_cases import CASES
from tests.lab_cases import in_namespace
from tests.platform_cases import cluster, platform
from tests.stage_cases import Body

Place = tuple[str | int, ...]

pytestmark = pytest.mark.real
on_each_version = pytest.mark.parametrize(
    "plane",
    [
        pytest.param("control_plane", id="newest"),
        pytest.param("older_control_plane", id="v1.35"),
    ],
)
NAMESPACE = "immutable"
CUSTOM = {each.kind for each in CUSTOM_KINDS}  # judged by their own definitions, which the tests of admission apply
INVALID = 422
FREE_MAPS = ("labels", "annotations", "matchLabels", "nodeSelector", "data", "binaryData", "limits", "requests")
OTHER: Mapping[str, tuple[str, ...]] = {
    "TCP": ("UDP",),
    "UDP": ("TCP",),
    "ClusterIP": ("LoadBalancer",),
    "LoadBalancer": ("NodePort",),
    "NodePort": ("LoadBalancer",),
    "ExternalName": ("ClusterIP",),
    "Parallel": ("OrderedReady",),
    "Retain": ("Delete",),
    "Delete": ("Retain",),
    "Local": ("Cluster",),
    "Cluster": ("Local",),
    "Always": ("IfNotPresent",),
    "AlwaysAllow": ("IfHealthyBudget",),
    "RollingUpdate": ("OnDelete", "Recreate"),
    "OnDelete": ("RollingUpdate",),
    "Recreate": ("RollingUpdate",),
    "ReadWriteOnce": ("ReadWriteMany",),
    "ReadWriteOncePod": ("ReadWriteOnce",),
    "DoNotSchedule": ("ScheduleAnyway",),
    "ScheduleAnyway": ("DoNotSchedule",),
    "Honor": ("Ignore",),
    "OnRootMismatch": ("Always",),
    "RuntimeDefault": ("Unconfined",),
    "Max": ("Min",),
    "Pods": ("Percent",),
    "Percent": ("Pods",),
    "PreferSameZone": ("PreferSameNode",),
    "Exists": ("Equal",),
    "NoSchedule": ("NoExecute",),
    "ClusterRole": ("Role",),
    "None": ("10.96.0.200",),  # of those that a server gives to nobody who does not ask for one
    "StatefulSet": ("Deployment",),
    "Deployment": ("StatefulSet",),
}

CLUSTERED = ("Namespace", "ClusterRoleBinding")
_RBAC = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}
BESIDE: tuple[Body, ...] = (
    {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "secret"}, "type": "example.com/a"},
    *(
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": {"name": "binding"}, "roleRef": _RBAC}
        for kind in ("RoleBinding", "ClusterRoleBinding")
    ),
    {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "balanced"},
        "spec": {"type": "LoadBalancer", "loadBalancerClass": "example.com/a", "ports": [{"port": 80}]},
    },
)
"""Objects of kinds that the table of workloads does not render, or with fields that only patches reach."""

ONE_VALUE = {
    "RoleBinding.roleRef.apiGroup",
    "ClusterRoleBinding.roleRef.apiGroup",
    "ClusterRoleBinding.roleRef.kind",
}
"""Fields that have no other value."""


class Attempt(NamedTuple):
    """A rendered object, and the same object with one field changed.

    Attributes:
        field: The field, with ``*`` for free keys and ``[]`` for places in lists.
        old: The object as it was rendered.
        new: All forms of the changed object, of which the first that could be created is tried.
    """

    field: str
    old: Body
    new: list[Body]


def rendered_bodies() -> list[Body]:
    """Return what the table of workloads and a platform render, each under a name of its own, with no pods."""
    named = [
        (name, manifest.body)
        for name, case in CASES.items()
        for manifest in render_manifests(DeploymentConfig(**case.values), case.around)
    ]
    named += [("platform", manifest.body) for manifest in cluster(platform(), "eu-west-1").manifests]
    named += [("beside", body) for body in BESIDE]
    bodies = [_placed(name, copy.deepcopy(body)) for name, body in named]
    return [body for body in bodies if body["kind"] not in CUSTOM]


def _placed(case: str, body: Body) -> Body:
    name = f"{case.replace('.', '-')}-{body['metadata']['name']}"[-50:].strip("-")
    body["metadata"]["name"] = name
    if body["kind"] not in CLUSTERED:
        body["metadata"]["namespace"] = NAMESPACE
    if body["kind"] in ("StatefulSet", "Deployment"):
        body["spec"]["replicas"] = 0
    return body


def leaves(value: Any, at: Place = ()) -> Iterator[Place]:
    """Yield the place of every value that holds no others."""
    if isinstance(value, dict) and value:
        for key, each in value.items():
            yield from leaves(each, (*at, key))
    elif isinstance(value, list) and value:
        for place, each in enumerate(value):
            yield from leaves(each, (*at, place))
    else:
        yield at


def field_of(kind: str, at: Place) -> str:
    steps = [kind]
    for before, step in zip(("", *at), at, strict=False):
        free = before in FREE_MAPS
        steps.append("[]" if isinstance(step, int) else "*" if free else str(step))
    return ".".join(steps).replace(".[]", "[]")


def attempts() -> list[Attempt]:
    """Return one attempt for every field of every kind."""
    found: dict[str, Attempt] = {}
    for body in rendered_bodies():
        for at in leaves(body):
            field = field_of(body["kind"], at)
            if at not in IDENTITY and field not in ONE_VALUE:
                forms = [changed(body, at, value) for value in others(value_at(body, at))] + removed(body, at)
                known = found.setdefault(field, Attempt(field, body, []))
                if known.old is body:
                    known.new.extend(forms)
    return list(found.values())


def value_at(body: Body, at: Place) -> Any:
    value: Any = body
    for step in at:
        value = value[step]
    return value


def others(value: Any) -> list[Any]:
    """Return values of the type of ``value`` that differ from it."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [value + 1, value - 1, value * 2]
    if isinstance(value, str):
        number = re.match(r"[0-9]+", value)
        more = [value.replace(number[0], str(int(number[0]) * 2), 1)] if number else []
        return [*OTHER.get(value, ()), *more, f"{value}x", f"x{value}", f"{value}/x"]
    return []


def changed(body: Body, at: Place, value: Any) -> Body:
    """Return ``body`` with another value at one place, and whatever must follow it."""
    found = copy.deepcopy(body)
    value_at(found, at[:-1])[at[-1]] = value
    if at[:3] == ("spec", "selector", "matchLabels") and "template" in body["spec"]:
        found["spec"]["template"]["metadata"]["labels"][at[3]] = value
    if at[-1] == "name" and (at[-3:-2] == ("volumes",) or at[1] == "volumeClaimTemplates"):
        _mount_as(found, value_at(body, at), value)
    return found


def _mount_as(body: Body, old: str, new: str) -> None:
    pod = body["spec"]["template"]["spec"]
    for container in (*pod["containers"], *pod.get("initContainers", ())):
        for mount in container["volumeMounts"]:
            mount["name"] = new if mount["name"] == old else mount["name"]


def removed(body: Body, at: Place) -> list[Body]:
    """Return ``body`` without the value at a place, without what holds it, and so on."""
    found = []
    for length in range(len(at), max(len(at) - 4, 1), -1):
        new = copy.deepcopy(body)
        del value_at(new, at[: length - 1])[at[length - 1]]
        found.append(new)
    return found


# --- the judge


def could_be_created(client: Client, body: Body) -> bool:
    new = copy.deepcopy(body)
    new["metadata"]["name"] += "-new"
    path = client.path_of(new["apiVersion"], new["kind"], NAMESPACE)
    try:
        client.request("POST", path, new, query={"dryRun": "All", "fieldValidation": "Strict"})
    except ApiError:
        return False
    return True


def is_refused(client: Client, body: Body) -> bool:
    """Apply a changed object by dry run and return whether the server refuses the change."""
    try:
        client.apply(body, manager=MANAGER, dry_run=True)
    except ApiError as error:
        if error.status != INVALID:
            raise
        return True
    return False


class Change(NamedTuple):
    """One object in two states."""

    old: Body
    changed: Body


class Judged(NamedTuple):
    """What a server made of all attempts.

    Attributes:
        refused: Fields whose change it refused.
        ours: Fields whose change our list says it refuses.
        unjudged: Fields for which no form could be created.
    """

    refused: dict[str, Change]
    ours: set[str]
    unjudged: list[str]


def judge(client: Client) -> Judged:
    """Try every attempt on a server whose namespace is empty."""
    refused, unjudged = {}, []
    ours: set[str] = set()
    applied: set[int] = set()
    for attempt in attempts():
        if id(attempt.old) not in applied:
            client.apply(attempt.old, manager=MANAGER)
            applied.add(id(attempt.old))
        new = next((each for each in attempt.new if could_be_created(client, each)), None)
        if new is None:
            unjudged.append(attempt.field)
            continue
        if is_refused(client, new):
            refused[attempt.field] = Change(attempt.old, new)
        if immutable_changes(attempt.old, new):
            ours.add(attempt.field)
    return Judged(refused, ours, unjudged)


JUDGED: dict[str, Judged] = {}


@pytest.fixture
def judged(plane: str, request: pytest.FixtureRequest) -> Judged:
    """Return what the server of a version says; it is asked once."""
    if plane not in JUDGED:
        booted: ControlPlane = request.getfixturevalue(plane)
        with in_namespace(booted, NAMESPACE):
            JUDGED[plane] = judge(booted.client)
        for body in rendered_bodies():
            if body["kind"] in CLUSTERED:
                booted.client.delete(body["apiVersion"], body["kind"], body["metadata"]["name"])
    return JUDGED[plane]


@on_each_version
def test_exactly_the_listed_fields_are_refused(judged: Judged) -> None:
    assert sorted(judged.refused) == sorted(judged.ours)
    assert judged.unjudged == []


@on_each_version
def test_the_list_names_nothing_that_is_not_refused(judged: Judged) -> None:
    """A list that is too long would be no better than one that is too short."""
    listed = {f"{kind}.{'.'.join(steps)}" for kind, fields in IMMUTABLE.items() for steps in fields}

    assert {field for field in listed if not any(each.startswith(field) for each in judged.refused)} == set()


@on_each_version
@pytest.mark.parametrize("kind", IMMUTABLE)
def test_a_list_that_lacks_a_kind_would_be_seen(judged: Judged, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(immutable, "IMMUTABLE", {name: each for name, each in IMMUTABLE.items() if name != kind})

    missed = [field for field, new in judged.refused.items() if not immutable_changes(new.old, new.changed)]

    assert missed
    assert all(field.startswith(kind) for field in missed)


@on_each_version
def test_an_address_that_is_left_out_is_kept(plane: str, request: pytest.FixtureRequest) -> None:
    client = request.getfixturevalue(plane).client
    old: Body = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "kept", "namespace": "default"},
        "spec": {"clusterIP": "None", "selector": {"a": "b"}},
    }
    new = {**old, "spec": {"selector": {"a": "b"}}}
    client.apply(old, manager=MANAGER)

    assert immutable_changes(old, new) == []
    assert client.apply(new, manager=MANAGER).body["spec"]["clusterIP"] == "None"
