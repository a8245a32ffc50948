"""Facts about the HorizontalPodAutoscaler controller from Kubernetes' own tests, run against our model of it."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.hpa_runner import run_hpa
from tests.run_cases import main

FILES = [Path(__file__).parent / "cases" / name for name in ("hpa_cases.json", "hpa_more_cases.json")]
CASES = {case["id"]: case for path in FILES for case in json.loads(path.read_text("utf-8"))["cases"]}


@pytest.mark.parametrize("name", CASES)
def test_the_model_does_what_the_controller_does(name: str) -> None:
    assert run_hpa([CASES[name]]) == [[]]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_runner_counts_what_passed(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    count = len(json.loads(path.read_text("utf-8"))["cases"])

    assert main(["hpa", str(path)]) == 0
    assert capsys.readouterr().out == f"{count} passed, 0 failed\n"


def altered(name: str, **expected: Any) -> dict[str, Any]:
    case = CASES[name]
    return {**case, "expected": {**case["expected"], **expected}}


UNTRUE = {
    "another count": (altered("pods_metric-03", replicas=6), "replicas: expected 6, got 7"),
    "another usage": (altered("pods_metric-03", usage_milli=31667), "usage_milli: expected 31667, got 31666"),
    "another condition of a limit": (
        altered("behavior_policies-03", condition="TooFewReplicas"),
        "condition: expected 'TooFewReplicas', got 'DesiredWithinRange'",
    ),
    "a condition that no type has": (
        altered("reconcile_no_behavior-28", condition="ValidMetricFound"),
        "condition: expected 'ValidMetricFound', got SucceededGetScale ScalingDisabled",
    ),
    "another class": (altered("pod_grouping-02", **{"class": "counted"}), "class: expected 'counted', got 'unready'"),
    "an answer that the kind does not give": (
        altered("policy_limit_min_select-01", replicas=2),
        "expected.replicas is not known to this kind of case, which answers limit",
    ),
    "a case without what it needs": (
        {**CASES["pod_grouping-02"], "kind": "limits_legacy"},
        "cannot be run: KeyError('desired')",
    ),
}


@pytest.mark.parametrize("name", UNTRUE)
def test_what_is_untrue_fails(name: str) -> None:
    case, fault = UNTRUE[name]

    assert run_hpa([case]) == [[fault]]


def test_an_unknown_kind_is_a_failure() -> None:
    [[fault]] = run_hpa([{"kind": "vertical", "input": {}, "expected": {}}])

    assert fault.startswith("the kind 'vertical' is unknown; known are behavior_policies, external_average")


def test_a_bare_list_and_unknown_fields_are_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case = CASES["pods_metric-03"]
    path = tmp_path / "cases.json"
    path.write_text(json.dumps([{**case, "seen_on": "a Tuesday", "input": {**case["input"], "weather": "rain"}}]))

    assert main(["hpa", str(path)]) == 0
    assert capsys.readouterr().out == "1 passed, 0 failed\n"


def test_traces_in_prose_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "traces.json"
    path.write_text(json.dumps({"traces": [{"id": "D1", "hpa": "2 until t=45"}]}))

    assert main(["hpa", str(path)]) == 2
    assert capsys.readouterr().err == f"{path}: its 1 traces are prose, which no program can judge\n"
