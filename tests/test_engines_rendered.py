"""Objects of the GitOps engines: what they say of order, ownership and removal."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from aether_deploy.cli.main import run
from aether_deploy.delivery.loading import read_description
from aether_deploy.gitops.layout import WAVE
from aether_deploy.gitops.render import render_tree
from aether_deploy.gitops.stages import AFTER, DATA, wave_of
from aether_deploy.gitops.tree import Tree
from tests.conftest import Golden
from tests.test_golden import stable

EXAMPLE = Path(__file__).parents[1] / "examples" / "two-regions" / "aether.yaml"
REPO = "https://git.example.com/aether/deploy.git"
ENGINES = ("argocd", "flux")
SPLITS = ("cluster", "workload")
ADDRESS = (("gitops.repo", REPO), ("gitops.path", "sites/deploy"))


def tree_of(engine: str, *more: tuple[str, str]) -> Tree:
    description = read_description([str(EXAMPLE)], [("gitops.engine", engine), *ADDRESS, *more])
    judged = description.evaluate(["prod"])
    assert not judged.failed
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


@pytest.mark.parametrize("split", SPLITS)
def test_every_object_of_a_cluster_is_in_exactly_one_kustomization_of_flux(split: str) -> None:
    tree = tree_of("flux", ("gitops.split", split))
    paths = [
        body["spec"]["path"].removeprefix("./sites/deploy/")
        for body in of_kind(tree, "Kustomization", "prod/engine/flux/us-east-1/")
    ]

    for unit in tree.units:
        for file in unit.files:
            path = f"{unit.path}/{file.path}"
            if file.name is not None and path.startswith("prod/clusters/us-east-1/"):
                assert sum(path.startswith(f"{each}/") for each in paths) == 1, path


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
