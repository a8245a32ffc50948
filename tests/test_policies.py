"""What is rendered before policy checkers: nothing to report, but for deviations that say so themselves."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from aether_deploy import (
    AffinityRule,
    CustomMetric,
    DeploymentConfig,
    Probe,
    ProbeConfig,
    PvcConfig,
    ResourceRequirements,
    ScalingConfig,
    Surroundings,
    TopologyConfig,
    WorkloadKind,
    render_tree,
    to_yaml_documents,
)
from aether_deploy.delivery.loading import read_description
from aether_deploy.fleet.bundle import render_manifests
from aether_deploy.fleet.deviations import deviations
from aether_deploy.pods.waivers import WAIVERS as ALL_WAIVERS
from aether_deploy.pods.waivers import Bearer
from tests.policies import JUDGES, Verdict
from tests.policy_cases import BASES, DEVIATIONS, SERVICE, mutated, mutations
from tests.real import need_program

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("*/aether.yaml"))
WAIVERS = {name: waiver for name, waiver in ALL_WAIVERS.items() if not waiver.components_only}
CHECK_NAMES = Path(__file__).parent / "cases" / "check_names.json"
# What an annotation of a checker looks like: without them nothing is waived.
WAIVING = re.compile(r"checkov\.io/skip|kube-score/|kube-linter\.io/|polaris\.fairwinds\.com/")
BEARERS: Mapping[str, Bearer] = {
    "Deployment": "workload",
    "StatefulSet": "workload",
    "Service": "outside_service",
    "HorizontalPodAutoscaler": "autoscaler",
}
# A kind that both checkers know to have checks for, so an object that they pass over in silence is noticed.
JUDGED_KINDS = {"checkov": {"Deployment", "StatefulSet", "Service", "ServiceAccount"}}
JUDGED_KINDS["kube-score"] = {*BEARERS, "NetworkPolicy", "PodDisruptionBudget"}

Bodies = list[dict[str, Any]]
every_judge = pytest.mark.parametrize("judge", JUDGES)


def bodies_of(settings: Mapping[str, Any], place: int) -> Bodies:
    """Render a workload under a name and in a namespace that no other place has."""
    name = f"{settings['name']}-{place}"
    config = DeploymentConfig(**{**settings, "name": name}, namespace=f"case-{place}")
    return [manifest.body for manifest in render_manifests(config, Surroundings())]


def verdict_of(judge: str, bundles: Mapping[int, Bodies]) -> Verdict:
    texts = {f"case-{place}.yaml": to_yaml_documents(bodies) for place, bodies in bundles.items()}
    return JUDGES[judge](need_program(judge), texts)


def stripped(bodies: Bodies) -> Bodies:
    """Return ``bodies`` without the annotations that waive anything."""
    copies = json.loads(json.dumps(bodies))
    for body in copies:
        annotations = body["metadata"].get("annotations", {})
        for key in [key for key in annotations if WAIVING.search(key)]:
            del annotations[key]
    return copies  # type: ignore[no-any-return]


@pytest.mark.real
@every_judge
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.parent.name)
def test_an_example_passes_with_every_object(example: Path, judge: str) -> None:
    description = read_description([str(example)])
    judgement = description.evaluate(description.document.environments())
    tree, clusters = render_tree(judgement.platforms, judgement.files)

    units = {
        unit.path: {f"{unit.path}/{file.path}": file.text for file in unit.files if file.name is not None}
        for unit in tree.units
        if any(file.name is not None for file in unit.files)  # a runbook is no manifest
    }
    # kube-score looks for pods and policies in everything that it is given, so it gets one cluster at a time.
    groups = (
        [*units.values()]
        if judge == "kube-score"
        else [{path: text for each in units.values() for path, text in each.items()}]
    )
    verdicts = [JUDGES[judge](need_program(judge), texts) for texts in groups]
    seen = {tuple(target) for verdict in verdicts for target in verdict.judged}
    manifests = [manifest for rendered in clusters for manifest in rendered.cluster.manifests]
    wanted = {(each.kind, each.namespace, each.name) for each in manifests if each.kind in JUDGED_KINDS[judge]}

    assert not judgement.failed
    assert sorted(str(finding) for verdict in verdicts for finding in verdict.findings) == []
    assert wanted
    assert wanted <= seen


def specified() -> DeploymentConfig:
    """Return the specification's example, with the values of its sections on probes, topology and scaling."""
    return DeploymentConfig(
        name="world-server",
        namespace="aether-prod",
        image="aether/world-server:v1.2.0",
        replicas=3,
        kind=WorkloadKind.StatefulSet,
        resources=ResourceRequirements(cpu_request="500m", cpu_limit="2000m", memory_request="1Gi", memory_limit="4Gi"),
        pvc=PvcConfig(storage_class="ssd", size="10Gi", mount_path="/data/wal"),
        probes=ProbeConfig(
            liveness=Probe(path="/healthz", port=8080, initial_delay_secs=10, period_secs=15, failure_threshold=3),
            readiness=Probe(path="/readyz", port=8080, initial_delay_secs=5, period_secs=10, failure_threshold=2),
        ),
        topology=TopologyConfig(
            spread_across_zones=True,
            topology_key="topology.kubernetes.io/zone",
            preferred_colocation=(AffinityRule(service="voice-relay", weight=80),),
        ),
        scaling=ScalingConfig(target_players_per_pod=50, min_replicas=2, max_replicas=20),
        custom_metrics=(CustomMetric(name="aether_world_player_count", target_value=50, metric_type="Pods"),),
    )


def test_the_image_of_the_specification_is_a_warning_and_a_waiver() -> None:
    config = specified()

    assert [(problem.severity, problem.path, problem.reason) for problem in config.problems()] == [
        ("warning", "$.image", "named by its tag only, which can be moved")
    ]
    assert 'checkov.io/skip1: "CKV_K8S_43=the tag is not moved"' in config.render_bundle()


@pytest.mark.real
@every_judge
def test_the_example_of_the_specification_passes(judge: str) -> None:
    verdict = JUDGES[judge](need_program(judge), {"all.yaml": specified().render_bundle()})

    assert verdict.findings == frozenset()
    assert [finding.check for finding in verdict.waived] == (["CKV_K8S_43"] if judge == "checkov" else [])
    assert {target.kind for target in verdict.judged} >= JUDGED_KINDS[judge] - {"Deployment"}


def test_every_waiver_has_workloads_that_deviate_in_this_way_alone() -> None:
    found = {
        name: {frozenset(deviations(DeploymentConfig(**settings))) for settings in cases}
        for name, cases in DEVIATIONS.items()
    }

    assert found == {name: {frozenset({name})} for name in WAIVERS}


@pytest.mark.real
@every_judge
def test_a_deviation_passes_with_its_waiver_and_fails_without_by_the_checks_that_are_waived(judge: str) -> None:
    names = [name for name, cases in DEVIATIONS.items() for _ in cases]
    cases = [settings for cases in DEVIATIONS.values() for settings in cases]
    bundles = {place: bodies_of(settings, place) for place, settings in enumerate(cases)}
    with_waivers = verdict_of(judge, bundles)
    without = verdict_of(judge, {place: stripped(bodies) for place, bodies in bundles.items()})

    assert sorted(map(str, with_waivers.findings)) == []
    assert without.waived == {}
    for name, waiver in WAIVERS.items():
        namespaces = {f"case-{place}" for place, each in enumerate(names) if each == name}
        field = judge.replace("-", "_")
        declared = {(bearer, check) for bearer in BEARERS.values() for check in getattr(waiver.on(bearer), field)}
        failed = {finding for finding in without.findings if finding.target.namespace in namespaces}

        assert {(BEARERS[finding.target.kind], finding.check) for finding in failed} == declared, name
        assert failed <= with_waivers.waived.keys(), name


@pytest.mark.real
def test_checkov_repeats_the_reason_of_the_author() -> None:
    reason = "bursts; see QOS=1,\n\tand more = better"
    settings = {**SERVICE, "resources": {"cpu_limit": "none"}, "waivers": {"cpu_limit": reason}}
    verdict = verdict_of("checkov", {0: bodies_of(settings, 0)})

    assert list(verdict.waived.values()) == ["bursts; see QOS:1, and more : better"]


@pytest.mark.real
def test_checkov_reads_annotations_of_the_workload_and_not_of_its_pods() -> None:
    bodies = bodies_of(DEVIATIONS["cpu_limit"][0], 0)
    for body in bodies:
        if body["kind"] == "Deployment":
            body["spec"]["template"]["metadata"]["annotations"] = body["metadata"].pop("annotations")
    verdict = verdict_of("checkov", {0: bodies})

    assert [finding.check for finding in verdict.findings] == ["CKV_K8S_11"]


@pytest.mark.parametrize("name", WAIVERS)
def test_a_new_reason_restarts_no_pod(name: str) -> None:
    for settings in DEVIATIONS[name]:
        before, after = (
            [body["spec"]["template"] for body in bodies_of(each, 0) if "template" in body.get("spec", {})]
            for each in (settings, {**settings, "waivers": {name: "another reason"}})
        )

        assert before == after


@pytest.mark.parametrize("checker", ["kube-linter", "polaris"])
def test_the_names_of_other_checkers_are_those_of_their_own_lists(checker: str) -> None:
    known = set(json.loads(CHECK_NAMES.read_text("utf-8"))[checker]["checks"])
    field = checker.replace("-", "_")
    waived = {
        check
        for waiver in ALL_WAIVERS.values()
        for bearer in BEARERS.values()
        for check in getattr(waiver.on(bearer), field)
    }

    assert waived - known == set()
    assert waived


@pytest.mark.real
@every_judge
def test_what_mutations_start_from_passes(judge: str) -> None:
    verdict = verdict_of(judge, {place: bodies_of(base, place) for place, base in enumerate(BASES.values())})

    assert sorted(map(str, verdict.findings)) == []
    assert verdict.waived == {}


@pytest.mark.real
@every_judge
def test_a_mutation_of_any_checked_field_is_reported(judge: str) -> None:
    rows = mutations()
    verdict = verdict_of(judge, {n: mutated(bodies_of(BASES[row.base], n), row) for n, row in enumerate(rows)})
    reported = {row.what: verdict.checks_of(f"case-{n}") for n, row in enumerate(rows)}

    assert len(reported) == len(rows)
    assert [row.what for row in rows if not row.checks] == []
    assert reported == {
        row.what: {check for check in row.checks if check.startswith("CKV") == (judge == "checkov")} for row in rows
    }


@pytest.mark.real
def test_every_check_of_kube_score_that_concerns_us_is_failed_by_some_mutation() -> None:
    verdict = verdict_of("kube-score", {place: bodies_of(base, place) for place, base in enumerate(BASES.values())})
    asked = {check for checks in verdict.judged.values() for check in checks}

    assert asked - {check for row in mutations() for check in row.checks} == set()
    assert len(asked) > 25
