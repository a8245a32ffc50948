"""A rehearsal sees pods of components: where they run, and that they do not where nodes are too small."""

import pytest

from aether_deploy.gitops.pieces import RenderedCluster
from aether_deploy.gitops.render import render_clusters
from aether_deploy.lab.component_pods import SCENARIO, wanted_pods
from aether_deploy.lab.programs import NEWEST, MissingProgramsError
from aether_deploy.lab.rehearsal import Nodes, rehearse
from aether_deploy.platform.config import Platform
from tests.component_cases import CASES, clusters_of
from tests.real import miss
from tests.rule_case import DIGEST

SESSIONS = {"name": "sessions", "kind": "valkey", "image": f"valkey/valkey:9.1.2@{DIGEST}", "maxmemory": "1Gi"}
ZONES = ["zone-a", "zone-b", "zone-c"]


def cluster() -> RenderedCluster:
    (rendered,) = render_clusters(
        [
            Platform.from_values(
                {
                    "name": "aether", "kubernetes": "v1.37", "tools_image": f"aether/deploy-tools:v1@{DIGEST}",
                    "regions": [{"code": "us", "zones": ZONES}], "components": [SESSIONS],
                }
            )
        ],
        {},
    )  # fmt: skip
    return rendered


@pytest.mark.parametrize("kind,title", CASES, ids=[f"{kind}-{title}" for kind, title in CASES])
def test_what_is_wanted_is_what_is_rendered(kind: str, title: str) -> None:
    for rendered in clusters_of(kind, title):
        sets = [
            manifest.body
            for folder in rendered.cluster.data
            for manifest in folder.manifests
            if manifest.kind in ("StatefulSet", "Deployment")
        ]

        assert sum(wanted_pods(rendered.cluster).values()) == sum(body["spec"]["replicas"] for body in sets)


@pytest.mark.real
@pytest.mark.failover
def test_pods_of_components_are_seen_where_they_run_and_where_they_do_not() -> None:
    try:
        wide = rehearse(cluster(), NEWEST)
        narrow = rehearse(cluster(), NEWEST, nodes=Nodes(per_zone=1, memory="2Gi"))
    except MissingProgramsError as error:
        miss(str(error))

    assert wide.placement["sessions"] == dict.fromkeys(ZONES, 2)
    assert [each.text for each in wide.verdicts if each.scenario == SCENARIO] == ["6 of 6 pods ready"]
    (failed,) = [each for each in narrow.verdicts if not each.holds]
    assert (failed.scenario, failed.subject) == (SCENARIO, "sessions")
    assert narrow.pending["sessions"] > 0
    assert any("Insufficient memory" in each for each in failed.details)
