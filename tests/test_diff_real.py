"""What a diff predicts is what a real control plane does: every change of the table, and changes drawn by chance."""

import copy
import random
from typing import Any

import pytest
from msgspec import UNSET

from aether_deploy.gitops.diff.changes import Diff, ObjectKey
from aether_deploy.gitops.diff.diffing import diff_folders
from aether_deploy.gitops.diff.fields import field_changes
from aether_deploy.gitops.diff.folder import FolderPair
from aether_deploy.gitops.diff.recipes import Place
from aether_deploy.lab.client import ApiError, Client
from aether_deploy.lab.control_plane import ControlPlane
from aether_deploy.lab.crds import CUSTOM_KINDS, FLUX_KINDS
from aether_deploy.manifest.defaults import with_defaults
from aether_deploy.manifest.immutable import IDENTITY
from tests.diff_cases import CASES, SCALED_WORLD, SYSTEM
from tests.diff_laws import LAWS, contradictions
from tests.diff_stage import Played, Step, key_of, objects_of, play, rendered, step
from tests.lab_cases import teach_kinds
from tests.test_lab_immutable import changed, leaves, others, removed, value_at

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def knowing(control_plane: ControlPlane) -> ControlPlane:
    """Return the control plane, which knows the custom kinds that are rendered."""
    wanted = (*CUSTOM_KINDS, *(each for each in FLUX_KINDS if each.kind in ("GitRepository", "Kustomization")))
    teach_kinds(control_plane, wanted)
    return control_plane


@pytest.fixture(scope="module")
def played(knowing: ControlPlane) -> dict[str, Played]:
    found: dict[str, Played] = {}
    for names in waves():
        with play(knowing, [step(name, CASES[name]) for name in names]) as seen:
            found |= seen
    return found


def waves() -> list[list[str]]:
    """Return which cases are played together: those with an adapter share an APIService, so one at a time."""
    adapted = [name for name, case in CASES.items() if "metrics_adapter: true" in f"{case.base}{case.old}{case.new}"]
    return [[name for name in CASES if name not in adapted], *([name] for name in adapted)]


@pytest.mark.parametrize("name", CASES)
def test_what_is_predicted_is_what_happens(played: dict[str, Played], name: str) -> None:
    assert contradictions(played[name]) == []


# --- changes drawn by chance

COUNT = 24
KINDS = ("StatefulSet", "Deployment", "Service", "HorizontalPodAutoscaler", "ConfigMap", "NetworkPolicy")
ALL = f"""
{SCALED_WORLD.strip().splitlines()[0]}
services:
  - name: gateway
    image: "aether/gateway:v1"
    replicas: 2
    expose: {{type: LoadBalancer, ports: [http]}}
    config_files: [{{name: a.toml, path: /etc/a.toml, text: 'a = 1'}}]
"""


def drawn(client: Client, chance: random.Random, name: str) -> Step:
    """Return a change of one field, or of one that holds others, of one object, that could be created as it is then."""
    platform, tree = rendered(name, SYSTEM, ALL)
    old = objects_of(tree)
    while True:
        key = chance.choice([key for key in old if key.kind in KINDS])
        at = chance.choice([at for at in leaves(old[key]) if at not in IDENTITY])
        forms = [changed(old[key], at, value) for value in others(value_at(old[key], at))] + removed(old[key], at)
        new = next((each for each in forms if key_of_or_none(each) == key and could_be_created(client, each)), None)
        if new is not None:
            objects = {**old, key: new}
            folder = FolderPair(unit="u/clusters/c", before=old, after=objects, place=Place(folder="f"))
            diff = Diff(tuple(diff_folders([folder])), (name,), 1)
            return Step(name, old, objects, diff, platform.namespace)


def key_of_or_none(body: dict[str, Any]) -> ObjectKey | None:
    return key_of(body) if "name" in body.get("metadata", {}) and "kind" in body and "apiVersion" in body else None


def could_be_created(client: Client, body: dict[str, Any]) -> bool:
    new = copy.deepcopy(body)
    new["metadata"] |= {"name": f"{new['metadata']['name']}-new", "namespace": "default"}
    try:
        path = client.path_of(new["apiVersion"], new["kind"], "default")
        client.request("POST", path, new, query={"dryRun": "All", "fieldValidation": "Strict"})
    except ApiError:
        return False
    return True


def test_changes_drawn_by_chance_do_what_is_predicted(knowing: ControlPlane, request: pytest.FixtureRequest) -> None:
    seed = request.config.getoption("mutation_seed")
    print(f"seed {seed}: pytest --mutation-seed {seed}")
    chance = random.Random(seed)
    steps = [drawn(knowing.client, chance, f"drawn-{place}") for place in range(COUNT)]

    with play(knowing, steps, patience_secs=30) as found:
        wrong = {name: (_drawn(each), faults) for name, each in found.items() if (faults := judged(each))}

    assert wrong == {}


def judged(played: Played) -> list[str]:
    """Return what is wrong; of pods that cannot start only whether the change was refused."""
    return list(LAWS[0](played)) if played.unsettled else contradictions(played)


def _drawn(played: Played) -> list[str]:
    return [
        f"{key.kind} {field.path}: {field.before!r} -> {field.after!r}"
        for key, body in played.new.items()
        for field in field_changes(played.old[key], body)
    ]


# --- what a server fills in


def test_the_server_fills_in_what_we_say_it_does(knowing: ControlPlane) -> None:
    """Else a field that only says a default would count as a change, or a change as none."""
    client, wrong = knowing.client, {}
    bodies = [
        body
        for name, case in CASES.items()
        for body in objects_of(rendered(name, SYSTEM, case.base, case.old)[1]).values()
    ]
    seen = set()
    for body in bodies:
        shape = (body["kind"], tuple(sorted(".".join(map(str, at)) for at in leaves(body))))
        if body["kind"] not in FILLED or shape in seen:
            continue
        seen.add(shape)
        new = copy.deepcopy(body)
        new["metadata"] |= {"name": f"{new['metadata']['name']}-new", "namespace": "default"}
        path = client.path_of(new["apiVersion"], new["kind"], "default")
        live = client.request("POST", path, new, query={"dryRun": "All"}).body
        found = [
            field
            for field in field_changes(with_defaults(new), {**live, "kind": new["kind"]})
            if field.at[0] in ("spec", "subjects", "roleRef", "rules")
            and field.at[:2] not in ALLOCATED
            and field.at[-1] not in BY_SERVER
            and not (field.after is UNSET and field.before in (0, ""))
        ]
        if found:
            wrong[body["kind"], body["metadata"]["name"]] = [
                f"{each.path}: {each.before} -> {each.after}" for each in found
            ]

    assert wrong == {}


FILLED = ("StatefulSet", "Deployment", "Service", "HorizontalPodAutoscaler", "NetworkPolicy", "PodDisruptionBudget")
ALLOCATED = {("spec", name) for name in ("replicas", "clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy")}
"""What a server chooses, or what has owners, and so is no default."""
BY_SERVER = ("nodePort", "healthCheckNodePort", "status")
