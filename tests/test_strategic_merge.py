"""Strategic merge patches: what the real kubectl makes of them is what we make of them, keys in their order."""

import json
import random
import subprocess
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from aether_deploy.manifest.merge_keys import KINDS
from aether_deploy.manifest.patch_fault import PatchFault
from aether_deploy.manifest.strategic_merge import has_merge_keys, strategic_merge
from tests.kubectl import COMMAND, find_kubectl
from tests.patch_cases import PatchCase, meant, objects, patched_by_kubectl, random_merge
from tests.platform_cases import cluster, platform
from tests.real import need
from tools import make_merge_keys
from tools.make_schemas import MissingError

SEED = 20_261_125
PATCHES = 160
KUSTOMIZED = 40
DEPLOYMENT: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "gateway", "finalizers": ["a", "b"]},
    "spec": {
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}},
        "template": {
            "spec": {
                "containers": [
                    {
                        "name": "gateway",
                        "image": "v1",
                        "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
                        "args": ["-a", "-b"],
                    }
                ],
                "tolerations": [{"key": "a", "operator": "Exists"}],
                "volumes": [{"name": "tmp", "emptyDir": {}}],
            }
        },
    },
}
SCALED_OBJECT = {
    "apiVersion": "keda.sh/v1alpha1",
    "kind": "ScaledObject",
    "metadata": {"name": "world"},
    "spec": {
        "pollingInterval": 15,
        "triggers": [{"name": "players", "type": "prometheus"}],
        "fallback": {"replicas": 3},
    },
}


def pod(patch: dict[str, Any]) -> dict[str, Any]:
    """Return the pod of DEPLOYMENT after a patch of it."""
    merged = strategic_merge(DEPLOYMENT, {"spec": {"template": {"spec": patch}}})
    found: dict[str, Any] = merged["spec"]["template"]["spec"]
    return found


def box(patch: dict[str, Any]) -> dict[str, Any]:
    """Return the container of DEPLOYMENT after a patch of it."""
    found: dict[str, Any] = pod({"containers": [{"name": "gateway", **patch}]})["containers"][0]
    return found


def test_neither_the_object_nor_the_patch_is_changed() -> None:
    body, patch = deepcopy(DEPLOYMENT), {"spec": {"replicas": 3, "strategy": None}}
    merged = strategic_merge(body, patch)

    assert (body, patch) == (DEPLOYMENT, {"spec": {"replicas": 3, "strategy": None}})
    assert merged["spec"]["replicas"] == 3
    assert "strategy" not in merged["spec"]


def test_keys_that_were_there_keep_their_place_and_new_ones_stand_last() -> None:
    merged = strategic_merge(
        DEPLOYMENT, {"spec": {"replicas": 3, "template": {"metadata": {}}}, "metadata": {"name": "x"}}
    )

    assert list(merged) == ["apiVersion", "kind", "metadata", "spec"]
    assert list(merged["spec"]) == ["strategy", "template", "replicas"]


def test_items_of_a_keyed_list_meet_by_their_key_and_new_ones_stand_first() -> None:
    env = [{"name": "C", "value": "3"}, {"name": "B", "value": "9"}]

    assert box({"env": env})["env"] == [env[0], {"name": "A", "value": "1"}, env[1]]


def test_a_list_without_a_key_is_replaced() -> None:
    assert box({"args": ["-c"]})["args"] == ["-c"]
    assert pod({"tolerations": [{"key": "b"}]})["tolerations"] == [{"key": "b"}]


def test_an_item_can_be_deleted() -> None:
    assert box({"env": [{"name": "A", "$patch": "delete"}]})["env"] == [{"name": "B", "value": "2"}]


def test_a_keyed_list_can_be_replaced() -> None:
    assert box({"env": [{"name": "C"}, {"$patch": "replace"}]})["env"] == [{"name": "C"}]


def test_a_map_can_be_replaced_or_emptied() -> None:
    replaced = strategic_merge(DEPLOYMENT, {"spec": {"strategy": {"$patch": "replace", "type": "Recreate"}}})
    emptied = strategic_merge(DEPLOYMENT, {"spec": {"strategy": {"$patch": "delete"}}})

    assert replaced["spec"]["strategy"] == {"type": "Recreate"}
    assert emptied["spec"]["strategy"] == {}


def test_retained_keys_are_all_that_is_left() -> None:
    patch = {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}

    assert strategic_merge(DEPLOYMENT, patch)["spec"]["strategy"] == {"type": "Recreate"}


def test_values_can_be_taken_from_a_list_of_scalars() -> None:
    merged = strategic_merge(DEPLOYMENT, {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"]}})

    assert merged["metadata"]["finalizers"] == ["b"]


def test_the_order_of_items_can_be_set() -> None:
    order = [{"name": "A"}, {"name": "B"}, {"name": "C"}]
    env = box({"env": [{"name": "C", "value": "3"}], "$setElementOrder/env": order})["env"]

    assert [each["name"] for each in env] == ["A", "B", "C"]


def test_a_custom_resource_is_merged_by_rfc_7386() -> None:
    patch = {"spec": {"triggers": [{"type": "cpu"}], "fallback": {"failureThreshold": 3}, "pollingInterval": None}}

    assert not has_merge_keys(SCALED_OBJECT)
    assert strategic_merge(SCALED_OBJECT, patch)["spec"] == {
        "triggers": [{"type": "cpu"}],
        "fallback": {"replicas": 3, "failureThreshold": 3},
    }


def test_the_examples_of_rfc_7386_hold() -> None:
    examples: list[tuple[Any, Any, Any]] = [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ]

    assert [strategic_merge(value, patch) for value, patch, _ in examples] == [wanted for _, _, wanted in examples]


@pytest.mark.parametrize(
    "patch, at, reason",
    [
        ({"metadata": {"$patch": "merge"}}, ("metadata", "$patch"), "no directive of a map"),
        (
            {"spec": {"strategy": {"$retainKeys": ["type"], "rollingUpdate": {}}}},
            ("spec", "strategy", "rollingUpdate"),
            "not among $retainKeys",
        ),
        ({"spec": {"strategy": {"$retainKeys": 1}}}, ("spec", "strategy", "$retainKeys"), "not a list of keys"),
        (
            {"spec": {"template": {"spec": {"containers": [{"image": "v2"}]}}}},
            ("spec", "template", "spec", "containers", 0),
            "has no name, by which the items of this list meet",
        ),
        (
            {"spec": {"template": {"spec": {"containers": ["gateway"]}}}},
            ("spec", "template", "spec", "containers", 0),
            "no mapping",
        ),
        (
            {"spec": {"template": {"spec": {"volumes": [{"name": "tmp", "$patch": "keep"}]}}}},
            ("spec", "template", "spec", "volumes", 0, "$patch"),
            "no directive of an item",
        ),
        (
            {"spec": {"template": {"spec": {"$setElementOrder/volumes": "tmp"}}}},
            ("spec", "template", "spec", "$setElementOrder/volumes"),
            "not a list",
        ),
        ({"metadata": {"finalizers": [{"a": 1}]}}, ("metadata", "finalizers"), "not a list of scalars"),
        (
            {"metadata": {"$deleteFromPrimitiveList/finalizers": "a"}},
            ("metadata", "$deleteFromPrimitiveList/finalizers"),
            "not about two lists",
        ),
    ],
)
def test_a_patch_that_cannot_be_applied_says_where(patch: Any, at: tuple[str | int, ...], reason: str) -> None:
    with pytest.raises(PatchFault) as caught:
        strategic_merge(DEPLOYMENT, patch)

    assert (caught.value.at, caught.value.reason) == (at, reason)


def test_a_directive_is_refused_in_a_patch_of_a_custom_resource() -> None:
    with pytest.raises(PatchFault, match="custom resource has no strategic merge"):
        strategic_merge(SCALED_OBJECT, {"spec": {"triggers": [{"a": 1}], "$setElementOrder/triggers": []}})


@pytest.mark.real
def test_random_patches_do_what_kubectl_does(tmp_path: Path) -> None:
    program = need(find_kubectl(), "kubectl", COMMAND)
    rng = random.Random(SEED)
    print("seed", SEED)
    bodies = [body for body in objects() if (body["apiVersion"], body["kind"]) in KINDS]
    cases = [PatchCase(body, random_merge(rng, body)) for body in rng.choices(bodies, k=PATCHES)]
    found = patched_by_kubectl(program, cases, "strategic", tmp_path)
    judged = [(case, theirs) for case, theirs in zip(cases, found, strict=True) if isinstance(theirs, dict)]

    assert len(judged) > PATCHES // 2
    for case, theirs in judged:
        assert meant(strategic_merge(*case)) == meant(theirs), case.patch


def custom_resources() -> list[dict[str, Any]]:
    """Return every object of a platform whose kind is none of Kubernetes' own."""
    watch = "observability: {prometheus: {url: 'http://p:9090', namespace: monitoring}}"
    keda = "worlds: [{name: world-server, scaling: {backend: keda}}]"
    rendered = cluster(platform(watch, keda), "us-east-1")
    return [each.body for each in rendered.manifests if not has_merge_keys(each.body)]


@pytest.mark.real
def test_a_patch_of_a_custom_resource_does_what_kustomize_does(tmp_path: Path) -> None:
    program = need(find_kubectl(), "kubectl", COMMAND)
    rng = random.Random(SEED)
    print("seed", SEED)
    for number in range(KUSTOMIZED):
        body = rng.choice(custom_resources())
        patch = _for_kustomize(random_merge(rng, body))
        patch.pop("metadata", None)
        who = {key: body[key] for key in ("apiVersion", "kind")}
        named = {**who, "metadata": {key: body["metadata"][key] for key in ("name", "namespace")}, **patch}
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "object.json").write_text(json.dumps(body), "utf-8")
        made = {"resources": ["object.json"], "patches": [{"patch": json.dumps(named)}]}
        (folder / "kustomization.yaml").write_text(json.dumps(made), "utf-8")
        built = subprocess.run([program, "kustomize", folder], capture_output=True, text=True, check=True).stdout

        assert meant(strategic_merge(body, patch)) == meant(yaml.safe_load(built)), patch


def _for_kustomize(patch: Any) -> Any:
    """Return a patch without directives, and without booleans, which Kustomize writes as the text that was there."""
    if isinstance(patch, dict):
        return {key: _for_kustomize(each) for key, each in patch.items() if not key.startswith("$")}
    if isinstance(patch, list):
        return [_for_kustomize(each) for each in patch]
    return "text" if isinstance(patch, bool) else patch


@pytest.mark.real
def test_the_table_is_what_kubernetes_says() -> None:
    try:
        made = make_merge_keys.make_table()
    except MissingError as error:
        need(None, f"the source of the table ({error})", make_merge_keys.COMMAND)
        raise

    assert make_merge_keys.TARGET.read_text("utf-8") == made
