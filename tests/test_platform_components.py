"""Components in a platform: where their folders lie, who reaches them, and what a witness is."""

import pytest

from aether_deploy.gitops.pieces import RenderedCluster, pieces_of
from aether_deploy.gitops.render import render_tree
from aether_deploy.gitops.stages import AFTER, CLUSTER, DATA, WORKLOADS
from aether_deploy.infrastructure.registry import component_types
from aether_deploy.manifest.value import Manifest
from aether_deploy.platform.config import Platform
from tests.platform_cases import platform, said
from tests.rule_case import DIGEST

TOOLS = f"tools_image: aether/deploy-tools:v1@{DIGEST}"
ACCOUNTS = f"""
components:
  - name: accounts
    kind: postgres
    image: ghcr.io/zalando/spilo-18:4.1-p2@{DIGEST}
    regions: [us-east-1]
    pvc: {{size: 10Gi}}
    standby: {{region: eu-west-1, members: 2}}
    expose: {{internal: true}}
    endpoint: "accounts.{{region}}.example.com"
    network: {{allow_from: [10.0.0.0/8], allow_to: [10.0.0.0/8]}}
services: [{{name: gateway, uses: [world-server, matchmaking, accounts], network: {{allow_to: [10.0.0.0/8]}}}}]
"""
WITNESS = f"""
{TOOLS}
regions:
  - code: us-east-1
    zones: null
    datacenters:
      - {{name: ua, zone: a}}
      - {{name: ub, zone: b}}
      - {{name: uc, zone: c}}
      - {{name: ohio, zone: us-east-2a, cluster: ohio, role: witness}}
  - {{code: eu-west-1, datacenters: [{{name: dub3, zone: eu-west-1c, cluster: dublin}}]}}
clusters: [{{name: ohio, kubernetes: v1.36}}]
components:
  - name: events
    kind: nats
    image: nats:2.15.1@{DIGEST}
    pvc: {{size: 10Gi}}
    witness: ohio
    tls: {{secret: events-tls}}
    expose: {{type: LoadBalancer, per_pod: true, internal: true, ports: [gateway]}}
    gateway: {{endpoint: "{{pod}}.nats.example.com"}}
    network: {{allow_from: [10.0.0.0/8]}}
"""


def clusters(system: Platform) -> dict[str, RenderedCluster]:
    return {each.cluster.site.cluster: each for each in render_tree([system])[1]}


def folder(rendered: RenderedCluster, name: str) -> dict[str, Manifest]:
    """Return the objects of a component's folder, by the name of their file without its extension."""
    (found,) = [each for each in rendered.cluster.data if each.name == name]
    return {f"{each.kind}/{each.name}": each for each in found.manifests}


def test_components_have_a_namespace_and_a_folder_of_their_own() -> None:
    tree, rendered = render_tree([platform(ACCOUNTS)])
    paths = {f"{unit.path}/{file.path}" for unit in tree.units for file in unit.files}

    assert "prod/clusters/us-east-1/aether-prod-data/accounts/statefulset-us-east-1.yaml" in paths
    assert "prod/clusters/us-east-1/cluster/namespace-aether-prod-data.yaml" in paths
    assert {"prod/runbooks/accounts.md", "prod/runbooks/accounts-patch-config.json"} <= paths
    assert [each.cluster.data_namespace for each in rendered] == ["aether-prod-data"] * 2


def test_a_platform_without_components_has_no_second_namespace() -> None:
    (us, _) = render_tree([platform()])[1]

    assert [each.name for each in us.cluster.cluster] == ["aether-prod"]
    assert us.cluster.data == ()


def test_the_name_of_a_database_leads_to_its_primary_from_the_region_of_its_standby_too() -> None:
    found = clusters(platform(ACCOUNTS))
    here, there = (folder(found[cluster], "accounts") for cluster in ("us-east-1", "dublin"))

    assert here["Service/accounts"].body["spec"]["type"] == "ClusterIP"
    assert there["Service/accounts"].body["spec"]["externalName"] == "accounts.us-east-1.example.com"
    assert there["StatefulSet/accounts-eu-west-1"].body["spec"]["replicas"] == 2


def test_stages_put_data_before_workloads_and_wait_for_the_cluster_alone() -> None:
    rendered = clusters(platform(ACCOUNTS))["us-east-1"]

    assert [piece.stage for piece in pieces_of(rendered)] == [CLUSTER, DATA, WORKLOADS]
    assert AFTER[WORKLOADS] == (CLUSTER, DATA)


@pytest.mark.parametrize("split", ["cluster", "workload"])
def test_flux_applies_data_before_workloads_and_takes_the_next_commit_though_a_database_is_down(split: str) -> None:
    gitops = f"gitops: {{engine: flux, repo: 'https://git.example.com/d.git', split: {split}}}"
    tree, _ = render_tree([platform(ACCOUNTS, gitops)])
    files = {file.name: file.text for unit in tree.units if "engine" in unit.path for file in unit.files}
    data, caller = ("accounts", "gateway") if split == "workload" else ("data", "workloads")

    assert f"- name: aether-prod-{data}\n" in files[f"aether-prod-{caller}"]
    assert "wait: false" in files[f"aether-prod-{data}"]
    assert "wait: true" in files["aether-prod-cluster"]


def test_argo_cd_has_data_in_the_wave_of_the_workloads() -> None:
    gitops = "gitops: {engine: argocd, repo: 'https://git.example.com/d.git'}"
    tree, _ = render_tree([platform(ACCOUNTS, gitops)])
    texts = [
        file.text for unit in tree.units for file in unit.files if file.path.endswith("statefulset-us-east-1.yaml")
    ]

    assert len(texts) == 1
    assert 'argocd.argoproj.io/sync-wave: "10"' in texts[0]


def test_a_witness_gets_a_cluster_with_nothing_but_its_voter() -> None:
    found = clusters(platform(WITNESS))
    ohio = found["ohio"].cluster
    (voter,) = [each for each in ohio.manifests if each.kind == "StatefulSet"]

    assert list(found) == ["us-east-1", "dublin", "ohio"]
    assert ohio.site.kubernetes == "v1.36"
    assert ohio.site.zone_names == ("us-east-2a",)
    assert [each.name for each in ohio.cluster] == ["aether-prod-data"]
    assert ohio.folders == ()
    assert (voter.name, voter.body["spec"]["replicas"]) == ("events-ohio", 1)


def test_a_component_and_a_workload_cannot_share_a_name() -> None:
    found = said(ACCOUNTS.replace("name: accounts", "name: gateway").replace(", accounts]", "]"))

    assert [text.partition("\n")[0] for text in found if "error" not in text and "warning" not in text] == [
        "$.components[0].name: is 'gateway'; the name of one of the services too"
    ]


def test_what_uses_a_component_that_is_switched_off_is_told_so() -> None:
    found = said(ACCOUNTS, "components: [{name: accounts, enabled: false}]")

    assert [text.partition("\n")[0] for text in found] == [
        "$.services[0].uses[2]: is 'accounts'; switched off by enabled: false"
    ]


def test_an_unknown_kind_is_one_problem_with_those_that_are_known() -> None:
    found = said(ACCOUNTS.replace("kind: postgres", "kind: postgrse"))

    assert found == ["$.components[0].kind: is 'postgrse'; no kind that is known\n  fix: did you mean 'postgres'?"]


def test_a_primary_in_a_region_that_is_switched_off_is_a_problem_though_its_standby_is_not() -> None:
    found = said(ACCOUNTS, "regions: [{code: us-east-1, enabled: false}]")

    assert "$.components[0].regions[0]: is 'us-east-1'; switched off, and the standby would follow nobody" in found[0]


def test_an_overlay_changes_one_field_of_a_component_and_needs_no_kind() -> None:
    system = platform(ACCOUNTS, "components: [{name: accounts, failover: {ttl: 60}, standby: none}]")
    component = system.component("accounts")

    assert component is not None
    assert component.to_values()["failover"] == {"ttl": 60}
    assert component.placed_in(system.estate) == ("us-east-1",)


def test_a_fault_in_one_component_hides_none_of_another_nor_of_those_that_use_them() -> None:
    found = said(
        ACCOUNTS.replace("members: 2", "memberz: 2").replace("accounts]", "acounts]"),
        "components: [{name: events, kind: nats, image: 'nats:latest', pvc: {size: 1Gi}, regions: [us-est-1]}]",
    )

    assert sorted(text.partition(": ")[0] for text in found if "warning" not in text) == [
        "$.components[0].standby",
        "$.components[1].image",
        "$.components[1].regions[0]",
        "$.services[0].uses[2]",
    ]


def test_an_overlay_for_a_component_that_is_not_there_is_a_slip_of_one_that_is() -> None:
    found = said(ACCOUNTS, "components: [{name: acounts, members: 2}]")

    assert found == [
        "$.components[1]: lacks 'kind'\n"
        "  fix: did you mean 'accounts', which is there? Something new needs kind: "
        f"one of {', '.join(component_types())}"
    ]


@pytest.mark.parametrize(
    ("endpoint", "reason"),
    [
        ("https://a.example.com", "not a host name"),
        ("a.example.com:5432", "not a host name"),
        ("a b.example.com", "not a host name"),
        ("10.0.0.1", "an address, and a name is wanted"),
        ("{regoin}.example.com", "has no placeholder {regoin}"),
    ],
)
def test_an_endpoint_is_a_name_without_scheme_and_port(endpoint: str, reason: str) -> None:
    found = said(ACCOUNTS.replace("accounts.{region}.example.com", endpoint))

    assert [text.partition("\n")[0] for text in found] == [f"$.components[0].endpoint: is '{endpoint}'; {reason}"]


def test_files_in_the_way_of_credentials_are_told_of_every_workload() -> None:
    clash = "secret_files: [{name: mine, secret: mine, path: /run/aether/secrets/accounts/mine}]"
    both = f"services: [{{name: gateway, {clash}}}, {{name: matchmaking, uses: [accounts], {clash}}}]"

    found = said(ACCOUNTS, both)

    assert [text.partition(": ")[0] for text in found if "warning" not in text] == [
        "$.services[0].uses",
        "$.services[1].uses",
    ]
