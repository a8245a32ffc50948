"""Objects of the GitOps engines: what they say of order, ownership and removal."""

import json
import subprocess
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml

from aether_deploy.cli.main import run
from aether_deploy.delivery.loading import Judgement, read_description
from aether_deploy.gitops.engines import commands_around
from aether_deploy.gitops.layout import WAVE
from aether_deploy.gitops.render import render_tree
from aether_deploy.gitops.stages import AFTER, DATA, wave_of
from aether_deploy.gitops.tree import Tree
from tests.conftest import Golden
from tests.kubectl import COMMAND, find_kubectl
from tests.real import need
from tests.test_golden import stable

EXAMPLES = Path(__file__).parents[1] / "examples"
EXAMPLE = EXAMPLES / "two-regions" / "aether.yaml"
WITH_COMPONENTS = EXAMPLES / "three-regions" / "aether.yaml"
REPO = "https://git.example.com/aether/deploy.git"
ENGINES = ("argocd", "flux")
SPLITS = ("cluster", "workload")
ADDRESS = (("gitops.repo", REPO), ("gitops.path", "sites/deploy"))


def judged_of(engine: str, *more: tuple[str, str], example: Path = EXAMPLE) -> Judgement:
    description = read_description([str(example)], [("gitops.engine", engine), *ADDRESS, *more])
    judged = description.evaluate(["prod"])
    assert not judged.failed
    return judged


def tree_of(engine: str, *more: tuple[str, str], example: Path = EXAMPLE) -> Tree:
    judged = judged_of(engine, *more, example=example)
    return render_tree(judged.platforms, judged.files)[0]


def objects(tree: Tree, below: str) -> list[dict[str, Any]]:
    return [
        yaml.safe_load(file.text)
        for unit in tree.units
        for file in unit.files
        if file.name is not None and f"{unit.path}/{file.path}".startswith(below)
    ]


def of_kind(tree: Tree, kind: str, below: str = "prod/engine/") -> list[dict[str, Any]]:
    return [body for body in objects(tree, below) if body["kind"] == kind]


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("engine", ENGINES)
def test_the_objects_of_an_engine_are_golden(engine: str, split: str, tmp_path: Path, check_golden: Golden) -> None:
    settings = [f"--set=gitops.{name}={value}" for name, value in (("engine", engine), ("split", split))]
    settings += [f"--set={name}={value}" for name, value in ADDRESS]

    assert run(["render", "-q", "--env", "prod", str(EXAMPLE), "-o", str(tmp_path), *settings]) == 0
    root = tmp_path / "prod" / "engine"
    paths = sorted(path for path in root.rglob("*") if path.is_file())
    files = {path.relative_to(root).as_posix(): stable(path.read_bytes().decode()) for path in paths}

    check_golden(f"engines/{engine}-{split}", files)


def test_waves_and_dependencies_are_the_order_of_one_graph() -> None:
    waves = {
        stage: {body["metadata"].get("annotations", {}).get(WAVE, "0") for body in objects(tree_of("argocd"), below)}
        for stage, below in (
            ("cluster", "prod/clusters/us-east-1/cluster/"),
            ("monitoring", "prod/clusters/us-east-1/monitoring/"),
            ("workloads", "prod/clusters/us-east-1/aether-prod/"),
        )
    }
    depends = {
        body["metadata"]["name"].removeprefix("aether-prod-"): tuple(
            each["name"].removeprefix("aether-prod-") for each in body["spec"].get("dependsOn", ())
        )
        for body in of_kind(tree_of("flux"), "Kustomization", "prod/engine/flux/us-east-1/")
    }

    assert waves == {stage: {str(wave_of(stage))} for stage in AFTER if stage != DATA}
    assert depends == {
        stage: tuple(each for each in before if each != DATA) for stage, before in AFTER.items() if stage != DATA
    }


@pytest.mark.parametrize("split", SPLITS)
def test_applications_own_no_finalizer_and_their_set_keeps_resources(split: str) -> None:
    (found,) = of_kind(tree_of("argocd", ("gitops.split", split)), "ApplicationSet")

    assert found["spec"]["syncPolicy"] == {"preserveResourcesOnDeletion": True}
    assert "finalizers" not in found["spec"]["template"]["metadata"]


def test_argocd_leaves_replicas_to_autoscalers_only_where_one_has_them_everywhere() -> None:
    (everywhere,) = of_kind(tree_of("argocd"), "ApplicationSet")
    (mixed,) = of_kind(
        tree_of("argocd", ("worlds.world-server.per_region.eu-west-1", "{scaling: none, custom_metrics: []}")),
        "ApplicationSet",
    )

    (ignored,) = everywhere["spec"]["template"]["spec"]["ignoreDifferences"]
    assert (ignored["kind"], ignored["name"]) == ("StatefulSet", "world-server")
    assert ignored["jsonPointers"] == ["/spec/replicas"]
    assert "ignoreDifferences" not in mixed["spec"]["template"]["spec"]


@pytest.mark.parametrize("example", [EXAMPLE, WITH_COMPONENTS], ids=lambda path: path.parent.name)
@pytest.mark.parametrize("split", SPLITS)
def test_every_object_of_a_cluster_is_in_exactly_one_kustomization_of_flux(split: str, example: Path) -> None:
    tree = tree_of("flux", ("gitops.split", split), example=example)
    paths = [
        body["spec"]["path"].removeprefix("./sites/deploy/")
        for body in of_kind(tree, "Kustomization", "prod/engine/flux/us-east-1/")
    ]

    for unit in tree.units:
        for file in unit.files:
            path = f"{unit.path}/{file.path}"
            if file.name is not None and path.startswith("prod/clusters/us-east-1/"):
                assert sum(path.startswith(f"{each}/") for each in paths) == 1, path


@pytest.mark.parametrize("example", [EXAMPLE, WITH_COMPONENTS], ids=lambda path: path.parent.name)
@pytest.mark.parametrize("split", SPLITS)
def test_every_object_of_a_cluster_is_in_exactly_one_application_of_argocd(split: str, example: Path) -> None:
    tree = tree_of("argocd", ("gitops.split", split), example=example)
    (found,) = of_kind(tree, "ApplicationSet")
    patterns = [each["path"].split("/")[2:] for each in found["spec"]["generators"][0]["git"]["directories"]]

    for unit in tree.units:
        for file in unit.files if "/clusters/" in unit.path else ():
            steps = f"{unit.path}/{file.path}".split("/")
            over = [each for each in patterns if len(steps) > len(each) and all(map(fnmatch, steps, each))]
            assert len(over) == 1 or file.name is None, file.path


@pytest.mark.parametrize("example", [EXAMPLE, WITH_COMPONENTS], ids=lambda path: path.parent.name)
def test_argocd_may_write_whatever_is_rendered(example: Path) -> None:
    tree = tree_of("argocd", example=example)
    (project,) = of_kind(tree, "AppProject")
    spaces = {each["namespace"] for each in project["spec"]["destinations"]}
    cluster_kinds = {each["kind"] for each in project["spec"]["clusterResourceWhitelist"]}

    bodies = objects(tree, "prod/clusters/")
    assert {body["metadata"]["namespace"] for body in bodies if "namespace" in body["metadata"]} <= spaces
    assert {body["kind"] for body in bodies if "namespace" not in body["metadata"]} <= cluster_kinds


FOLDERS = {
    "cluster": "cluster",
    "aether-prod/gateway": "gateway",
    "aether-prod/secrets": "secrets",
    "aether-prod-data/accounts": "accounts",
    "aether-prod-data/secrets": "data-secrets",
}
"""Folders of a cluster, each with what tells its piece from others where each workload is one."""


@pytest.mark.real
def test_applications_are_called_as_the_commands_that_hold_them_still() -> None:
    kubectl = need(find_kubectl(), "kubectl", COMMAND)
    judged = judged_of("argocd", ("gitops.split", "workload"), example=WITH_COMPONENTS)
    (found,) = of_kind(render_tree(judged.platforms, judged.files)[0], "ApplicationSet")
    name = found["spec"]["template"]["metadata"]["name"]
    for folder, piece in FOLDERS.items():
        steps = ["sites", "deploy", "prod", "clusters", "dublin", *folder.split("/")]
        path = {"segments": steps, "basename": steps[-1]}
        body = {"apiVersion": "example.com/v1", "kind": "Folder", "metadata": {"name": "x"}, "path": path}
        command = [kubectl, "annotate", "--local", "-f", "-", "zz=1", "-o", f"go-template={name}"]
        told = subprocess.run(command, input=json.dumps(body), capture_output=True, text=True, check=True).stdout
        hold, _ = commands_around(judged.platforms[0], "dublin", folder)

        assert told == f"aether-prod-dublin-{piece}"
        assert f" application {told} " in hold[0]


@pytest.mark.parametrize("split", SPLITS)
def test_kustomizations_are_called_as_the_commands_that_suspend_them(split: str) -> None:
    judged = judged_of("flux", ("gitops.split", split), example=WITH_COMPONENTS)
    tree = render_tree(judged.platforms, judged.files)[0]
    made = {
        body["spec"]["path"].partition("/clusters/us-east-1/")[2]: body["metadata"]["name"]
        for body in of_kind(tree, "Kustomization", "prod/engine/flux/us-east-1/")
    }
    for folder in FOLDERS:
        own = next(name for path, name in made.items() if f"{folder}/".startswith(f"{path}/"))
        hold, _ = commands_around(judged.platforms[0], "us-east-1", folder)

        assert f" {own} " in hold[0]


def test_flux_reads_a_closed_repository_by_its_secret() -> None:
    found = of_kind(tree_of("flux", ("gitops.flux", "{secret: deploy-key, interval_secs: 30}")), "GitRepository")

    assert {body["spec"]["secretRef"]["name"] for body in found} == {"deploy-key"}
    assert {body["spec"]["interval"] for body in found} == {"30s"}


def test_without_an_engine_nothing_is_added() -> None:
    tree = tree_of("none")

    assert objects(tree, "prod/engine/") == []
    assert all(WAVE not in file.text for unit in tree.units for file in unit.files)


def test_flux_decrypts_where_sops_encrypted() -> None:
    sops = (
        ("secrets", "{provider: sops, path: 'secrets/{secret}.yaml', sops_key_secret: sops-age}"),
        ("defaults.workloads.pull_secrets", "[]"),
    )
    plain = {body["spec"].get("decryption") is None for body in of_kind(tree_of("flux"), "Kustomization")}
    secret = {
        body["metadata"]["name"]: body["spec"].get("decryption")
        for body in of_kind(tree_of("flux", *sops), "Kustomization", "prod/engine/flux/us-east-1/")
    }

    assert plain == {True}
    assert secret["aether-prod-workloads"] == {"provider": "sops", "secretRef": {"name": "sops-age"}}
    assert secret["aether-prod-cluster"] is None
