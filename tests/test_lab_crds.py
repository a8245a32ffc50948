"""Definitions of custom kinds come from pinned modules into the cache, and what lacks one is told how to get it."""

from pathlib import Path

import pytest

from aether_deploy import DeploymentConfig
from aether_deploy.fleet.bundle import render_manifests
from aether_deploy.lab.__main__ import main
from aether_deploy.lab.assumed import assumed_by, in_pools
from aether_deploy.lab.crds import CUSTOM_KINDS, custom_kinds_of, find_definition, how_to_judge
from aether_deploy.lab.nodes import fake_nodes
from aether_deploy.manifest.value import Manifest
from aether_deploy.pods.parts import IdentityConfig
from aether_deploy.pods.storage import SecretFile, VolumeConfig
from aether_deploy.pods.surroundings import Surroundings
from tests.rule_case import IMAGE

MONITORS = CUSTOM_KINDS[0]
MONITOR = Manifest(
    {"apiVersion": "monitoring.coreos.com/v1", "kind": "PodMonitor", "metadata": {"name": "gateway"}}, ""
)
SERVICE = Manifest({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "gateway"}}, "")


@pytest.fixture(autouse=True)
def empty_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Leave neither a cache nor Go to be found."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))


def fake_go(tmp_path: Path, script: str) -> None:
    """Let a shell script be Go."""
    go = tmp_path / "bin" / "go"
    go.parent.mkdir()
    go.write_text(f"#!/bin/sh\n{script}\n")
    go.chmod(0o755)


def module(tmp_path: Path, text: str) -> Path:
    """Make a module that has the definition, and return its folder."""
    file = tmp_path / "module" / MONITORS.path
    file.parent.mkdir(parents=True)
    file.write_text(text)
    return tmp_path / "module"


def test_a_definition_comes_from_its_pinned_module_into_the_cache(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = module(tmp_path, "kind: CustomResourceDefinition\n")
    fake_go(tmp_path, f"""echo '{{"Dir": "{folder}", "Sum": "{MONITORS.hash}"}}'""")

    assert main([MONITORS.name]) == 0
    assert capsys.readouterr().out == f"{MONITORS.cached}\n"
    assert MONITORS.cached.read_text() == "kind: CustomResourceDefinition\n"
    assert find_definition(MONITORS) == MONITORS.cached
    assert how_to_judge(MONITOR) is None


def test_a_module_of_another_hash_is_refused_and_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = module(tmp_path, "kind: Surprise\n")
    fake_go(tmp_path, f"""echo '{{"Dir": "{folder}", "Sum": "h1:other="}}'""")

    assert main([MONITORS.name]) == 3
    assert f"v0.85.0 has the hash h1:other=, and {MONITORS.hash} is pinned" in capsys.readouterr().err
    assert find_definition(MONITORS) is None


def test_without_network_the_words_of_go_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fake_go(tmp_path, """echo '{"Error": "dial tcp: no route"}'; exit 1""")

    assert main([MONITORS.name]) == 3
    assert capsys.readouterr().err.splitlines()[1:] == [
        "dial tcp: no route",
        f"cannot bring {MONITORS.name}: `go mod download {MONITORS.module}@v0.85.0` ended with exit code 1",
        "  fix: its own message above says why; it needs the network, or a proxy that its settings name",
    ]


def test_without_go_it_is_said_how_to_get_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([MONITORS.name]) == 3
    assert capsys.readouterr().err.splitlines()[1:] == [
        f"cannot bring {MONITORS.name}: Go is missing, and {MONITORS.name} is brought with it",
        "  fix: install it from https://go.dev/dl/ so that `go` is on PATH",
    ]


def test_what_lacks_a_definition_is_told_what_brings_it() -> None:
    assert how_to_judge(MONITOR) == f"`python -m aether_deploy.lab {MONITORS.name}` brings its definition"
    assert how_to_judge(SERVICE) is None


def test_the_custom_kinds_among_manifests_are_each_named_once() -> None:
    assert custom_kinds_of([SERVICE, MONITOR, MONITOR]) == (MONITORS,)


def selecting(**labels: str) -> DeploymentConfig:
    return DeploymentConfig(name="gateway", namespace="lobby", image=IMAGE, node_selector=labels)


def test_nodes_of_each_zone_take_turns_in_pools_that_contradict_each_other() -> None:
    nodes = in_pools(fake_nodes(["a", "b"], per_zone=2), [selecting(pool="edge"), selecting(), selecting(pool="core")])

    assert [(node.zone, node.labels["pool"]) for node in nodes] == [
        ("a", "edge"), ("a", "core"), ("b", "edge"), ("b", "core")
    ]  # fmt: skip


def test_a_selector_never_moves_a_node() -> None:
    zone = "topology.kubernetes.io/zone"

    assert [node.labels[zone] for node in in_pools(fake_nodes(["a", "b"], per_zone=1), [selecting(**{zone: "a"})])] == [
        "a", "b"
    ]  # fmt: skip


def test_what_a_cluster_must_have_is_named_once() -> None:
    config = DeploymentConfig(
        name="gateway",
        namespace="lobby",
        image=IMAGE,
        priority_class="players",
        pull_secrets=["registry"],
        secret_files=[SecretFile(name="tls", secret="tls", path="/run/tls")],
        identity=IdentityConfig(service_account="reader"),
        volumes=[VolumeConfig(name="assets", path="/assets", type="claim", claim="assets")],
        node_selector={"pool": "edge"},
    )

    assert assumed_by([config, config], ["ssd"], render_manifests(config, Surroundings())) == (
        "Namespace lobby",
        "PriorityClass players",
        "StorageClass ssd",
        "Secret lobby/registry",
        "Secret lobby/tls",
        "ServiceAccount lobby/reader",
        "PersistentVolumeClaim lobby/assets",
        "nodes labelled pool=edge",
    )
