"""Manifests that we render for a database, run by real Patroni on a real API server: its file, its Role, its labels."""

import itertools
import statistics
import time
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from aether_deploy.gitops.render import render_clusters
from aether_deploy.infrastructure.kinds.postgres import PostgresConfig
from aether_deploy.infrastructure.postgres.backends.patroni import RIGHTS
from aether_deploy.lab.control_plane import ControlPlane
from aether_deploy.lab.patroni.cluster import PatroniCluster
from aether_deploy.lab.patroni.kubernetes_store import KubernetesStore, access_by
from aether_deploy.lab.patroni.validation import configuration_faults
from aether_deploy.platform.config import Platform
from tests.lab_cases import boot_for_tests
from tests.patroni_cases import BOOT_SECS, QUICK, database_programs
from tests.rule_case import DIGEST

pytestmark = pytest.mark.real

Body = dict[str, Any]
REGIONS = ("us-east-1", "eu-west-1", "ap-south-1")
DATABASE: Mapping[str, Any] = {
    "kind": "postgres",
    "name": "accounts",
    "image": f"registry.example.com/patroni:18.6@{DIGEST}",
    "regions": ["us-east-1"],
    "pvc": {"size": "20Gi"},
    "failover": QUICK,
}
POD: Mapping[str, str] = {
    "PATRONI_NAME": "accounts-us-east-1-0",
    "PATRONI_RESTAPI_CONNECT_ADDRESS": "10.0.0.1:8008",
    "PATRONI_POSTGRESQL_CONNECT_ADDRESS": "10.0.0.1:5432",
    "PATRONI_KUBERNETES_POD_IP": "10.0.0.1",
    "PATRONI_SUPERUSER_PASSWORD": "secret",
    "PATRONI_REPLICATION_PASSWORD": "secret",
    "PATRONI_REWIND_PASSWORD": "secret",
}
"""Variables that the pod of a member has; the rest of its configuration stands in the file."""

# Spilo writes the file itself, from what is laid over its own.
WHOLE_FILES = sorted(
    title for title, values in PostgresConfig.EXAMPLES.items() if "/patroni" in str(values["image"])
)  # fmt: skip


@cache
def rendered(title: str | None = None) -> list[Body]:
    """Return the objects of an example of the kind, or of the database that is run here."""
    component = DATABASE if title is None else {"kind": "postgres", **PostgresConfig.EXAMPLES[title]}
    zones = ["zone-a", "zone-b", "zone-c"]
    platform = Platform.from_values(
        {
            "name": "aether",
            "kubernetes": "v1.37",
            "regions": [{"code": code, "provider": "aws", "zones": zones, "storage_class": "ssd"} for code in REGIONS],
            "links": [
                {"between": [REGIONS[one], REGIONS[other]], "latency_ms": 90} for one, other in ((0, 1), (0, 2), (1, 2))
            ],
            "components": [dict(component)],
        }
    )
    clusters = render_clusters([platform], {})
    return [
        manifest.body for each in clusters for folder in each.cluster.data for manifest in folder.manifests
    ]  # fmt: skip


def of_kind(bodies: list[Body], *kinds: str) -> Iterator[Body]:
    return (body for body in bodies if body["kind"] in kinds)


def files_in(bodies: list[Body]) -> list[Body]:
    """Return Patroni's files, as the ConfigMaps hold them."""
    held = [file for body in of_kind(bodies, "ConfigMap") for file in body["data"].items()]
    return [yaml.safe_load(text) for name, text in held if name.endswith(".yml")]


@pytest.mark.parametrize("title", WHOLE_FILES)
def test_patroni_finds_no_fault_with_the_files_that_are_rendered(title: str, tmp_path: Path) -> None:
    programs = database_programs()
    files = files_in(rendered(title))

    faults = [configuration_faults(file, tmp_path, programs, POD) for file in files]

    assert files
    assert faults == [[] for _ in files]


@pytest.fixture(scope="module")
def plane() -> Iterator[ControlPlane]:
    database_programs()
    with boot_for_tests(zones=("zone-a",), per_zone=1) as plane:
        yield plane


@pytest.fixture(scope="module")
def store(plane: ControlPlane) -> KubernetesStore:
    (file,) = files_in(rendered())
    access = list(of_kind(rendered(), "ServiceAccount", "Role", "RoleBinding"))
    return KubernetesStore(plane, "data", section=file["kubernetes"], access=access, pod_labels=_pod_labels())


def _pod_labels() -> dict[str, str]:
    (body,) = of_kind(rendered(), "StatefulSet")
    labels: dict[str, str] = body["spec"]["template"]["metadata"]["labels"]
    return labels


@pytest.fixture(scope="module")
def cluster(store: KubernetesStore) -> Iterator[PatroniCluster]:
    (file,) = files_in(rendered())
    with PatroniCluster(store, members=2, rendered=file, scope=file["scope"]) as cluster:
        cluster.writers.start(BOOT_SECS)
        cluster.wait_healthy()
        yield cluster


def test_the_rendered_file_and_role_make_a_cluster_that_takes_writes(cluster: PatroniCluster) -> None:
    lost = cluster.writers.lost(cluster.leader().name)

    logs = [member.log.read_text("utf-8", "replace") for member in cluster.members.values()]
    assert lost == []
    assert not any("Permission denied" in log or ("cannot " in log and "resource" in log) for log in logs)


def test_the_cluster_lives_by_the_policy_that_was_rendered(cluster: PatroniCluster) -> None:
    settings = cluster.leader().rest.request("GET", "/config").body

    assert {name: settings[name] for name in QUICK} == QUICK


def test_the_services_find_the_leader_and_the_replica_by_what_patroni_writes(
    cluster: PatroniCluster, store: KubernetesStore
) -> None:
    cluster.lease.next_renewal(60)
    leader = cluster.leader().name
    replica = next(name for name in cluster.members if name != leader)
    labels = {name: store.labels_of(name) for name in cluster.members}
    asked = {body["metadata"]["name"]: body["spec"]["selector"] for body in of_kind(rendered(), "Service")}

    found = {
        service: sorted(name for name in labels if selector.items() <= labels[name].items())
        for service, selector in asked.items()
    }

    assert found == {
        "accounts": [leader],
        "accounts-repl": [replica],
        "accounts-headless": sorted(cluster.members),
    }


def test_its_state_lies_in_config_maps_and_in_the_annotations_of_pods(
    cluster: PatroniCluster, plane: ControlPlane
) -> None:
    maps = {each["metadata"]["name"]: each["metadata"] for each in plane.client.list("v1", "ConfigMap", "data")}
    pods = {each["metadata"]["name"]: each["metadata"] for each in plane.client.list("v1", "Pod", "data")}

    leader = maps[f"{cluster.scope}-leader"]
    assert f"{cluster.scope}-config" in maps
    assert leader["annotations"]["leader"] == cluster.leader().name
    assert leader["labels"] == {"app.kubernetes.io/instance": "accounts", "aether.io/scope": cluster.scope}
    assert all("status" in pod["annotations"] for pod in pods.values())


def test_a_changed_loop_wait_is_lived_by_at_once(cluster: PatroniCluster) -> None:
    settings = cluster.patch_config({"loop_wait": 3})
    cluster.lease.next_renewal(60)

    renewed = [cluster.lease.next_renewal(60).at for _ in range(5)]

    pauses = [later - earlier for earlier, later in itertools.pairwise(renewed)]
    assert settings["loop_wait"] == 3
    assert statistics.median(pauses) > 2 * QUICK["loop_wait"], pauses  # a loop may be late once, and the next early


def _without(resource: str, verb: str) -> list[dict[str, Any]]:
    return [
        {**rule, "verbs": [each for each in rule["verbs"] if rule["resources"] != [resource] or each != verb]}
        for rule in RIGHTS
    ]


def test_a_role_that_lacks_a_verb_is_noticed(plane: ControlPlane) -> None:
    store = KubernetesStore(plane, "lacking", access=access_by(_without("configmaps", "create")))
    with PatroniCluster(store, members=1, dynamic=QUICK) as cluster:
        log = next(iter(cluster.members.values())).log
        deadline = time.monotonic() + 180
        while "cannot create resource" not in log.read_text("utf-8", "replace"):
            assert time.monotonic() < deadline, log.read_text("utf-8", "replace")[-2000:]
            time.sleep(0.1)

        assert not cluster.is_healthy()
        assert cluster.lease.events == []
