"""Facts about how other routers route, run against our rules."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.routing_runner import SYSTEMS, TOPICS, Outside, run_routing
from tests.run_cases import main

PATH = Path(__file__).parent / "cases" / "routing_cases.json"
CASES = {case["id"]: case for case in json.loads(PATH.read_text("utf-8"))["cases"]}
OURS = {"spec_default", "aether_reference", "rfc2439_style"}


@pytest.mark.parametrize("name", CASES)
def test_a_case_holds_or_is_outside_our_rules_for_a_reason(name: str) -> None:
    failures = run_routing([CASES[name]])[0]

    assert failures == []
    if isinstance(failures, Outside):
        assert CASES[name]["system"] not in OURS
        assert failures.reason


def test_the_runner_counts_what_passed_and_lists_the_rest(capsys: pytest.CaptureFixture[str]) -> None:
    outside = {name: run_routing([case])[0] for name, case in CASES.items()}
    reasons = {name: fault.reason for name, fault in outside.items() if isinstance(fault, Outside)}

    assert main(["routing", str(PATH)]) == 0
    *listed, count = capsys.readouterr().out.splitlines()
    assert listed == [f"outside our rules: {name}: {reason}" for name, reason in reasons.items()]
    assert count == f"{len(CASES) - len(reasons)} passed, 0 failed"
    assert len(reasons) < len(CASES) / 2


def test_a_file_that_fails_is_told_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "cases.json"
    path.write_text(json.dumps([CASES["spec-01"], altered("spec-02", region="ap"), CASES["istio-03"]]), "utf-8")

    assert main(["routing", str(path)]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "1 passed, 1 failed"


def altered(name: str, **expected: Any) -> dict[str, Any]:
    case = CASES[name]
    return {**case, "expected": {**case["expected"], **expected}}


def asked(name: str, *, expected: Any = None, **inputs: Any) -> dict[str, Any]:
    case = CASES[name]
    return {
        **case,
        "inputs": {**case["inputs"], **inputs},
        "expected": case["expected"] if expected is None else expected,
    }


UNTRUE: dict[str, tuple[dict[str, Any], str]] = {
    "another region": (altered("spec-02", region="ap"), "region: expected 'ap', got 'us'"),
    "another kind": (altered("spec-01", kind="failover"), "kind: expected 'failover', got 'primary'"),
    "another reason": (
        altered("spec-02", reason="preferred unknown"),
        "reason: expected 'preferred unknown', got 'preferred_unhealthy'",
    ),
    "another error": (
        altered("spec-04", error="UnknownRegionError"),
        "error: expected UnknownRegionError, got NoHealthyRegionError('none of 2 regions is healthy')",
    ),
    "an error where there is none": (
        altered("spec-01", error="NoHealthyRegionError"),
        "expected.error is not known to this kind of case, which answers answer, is_failover, kind, latency_ms, "
        "reason, region",
    ),
    "a region where there is an error": (
        altered("spec-04", region="us"),
        "expected.region is not known to this kind of case, which answers error, player_region",
    ),
    "another player's region": (
        altered("aether-04", player_region="eu-west"),
        "player_region: expected 'eu-west', got 'us-east'",
    ),
    "another latency": (altered("aether-02", latency_ms=180), "latency_ms: expected 180, got 150.0"),
    "a fallback that was none": (
        altered("aether-05", reason="fallback to any healthy region"),
        "reason: expected 'fallback to any healthy region', got 'preferred_full', relaxed ()",
    ),
    "another penalty": (
        altered("damp-03", values=[1000, 1707, 2207, 2562]),
        "values: expected [1000, 1707, 2207, 2562], got [1000, 1707, 2207, 2561]",
    ),
    "another release": (altered("damp-01", released_at_s=121), "released_at_s: expected 121, got 120.0"),
    "no suppression": (altered("damp-01", suppressed=False), "suppressed: expected False, got True"),
    "another cap": (altered("flex-02", cap_ms=150), "cap_ms: expected 150, got 100.0"),
    "another load": (altered("envoy-prio-03", load_pct=[100, 0]), "load_pct: expected [100, 0], got [99, 1]"),
    "another locality": ({**CASES["envoy-locality-04"], "expected": {"X": 29, "Y": 74}}, "X: expected 29, got "),
    "another count of checks": (
        altered("envoy-hc-01", unhealthy_after_checks=3),
        "unhealthy_after_checks: expected 3, got 1",
    ),
    "a failover sooner than the bound": (
        altered("udp-03", failover_s_max=8.9),
        "failover_s_max: expected at most 8.9 s, and we promise 9.0 s",
    ),
    "a cookie that holds on a dead origin": (
        {**CASES["cf-04"], "expected": "the same endpoint"},
        "answer: expected 'the same endpoint', and he is sent to other-1",
    ),
    "players before the first probe": (
        {**CASES["cf-05"], "expected": "origin considered up"},
        "answer: expected 'origin considered up', and it takes players: False",
    ),
    "the secondary of a healthy primary": (
        {**CASES["r53-01"], "expected": "secondary"},
        "answer: expected 'secondary', got 'primary'",
    ),
    "nothing": (
        {key: value for key, value in CASES["spec-01"].items() if key != "expected"},
        "says nothing that is expected",
    ),
    "a case without what it needs": (
        {**CASES["spec-01"], "inputs": {"preferred": "us"}},
        "cannot be run: KeyError('regions')",
    ),
    "a priority without what it needs": (
        {**CASES["envoy-prio-03"], "inputs": {"healthy": [1, 2]}},
        "cannot be run: ValueError('a case of priority_load with healthy')",
    ),
    "a phrase that tells of no regions": (
        asked("aether-04", regions="as above"),
        "cannot be run: ValueError(\"'as above' tells of no regions\")",
    ),
}


@pytest.mark.parametrize("name", UNTRUE)
def test_what_is_untrue_fails(name: str) -> None:
    case, fault = UNTRUE[name]

    failures = run_routing([case])[0]

    assert not isinstance(failures, Outside)
    assert len(failures) == 1
    assert failures[0].startswith(fault)


REGIONS = [{"code": "us", "latency_ms": 10.5, "healthy": False}, {"code": "eu", "latency_ms": 90, "healthy": True}]
OTHERS: dict[str, dict[str, Any]] = {
    "a latency that is no whole number": asked("spec-02", regions=REGIONS, preferred="us", expected={"region": "eu"}),
    "no regions at all": asked("spec-02", regions=[], expected={"error": "NoHealthyRegionError"}),
    "a region twice": asked("spec-02", regions=[REGIONS[1]] * 2, expected={"error": "ValueError"}),
    "an unknown one, refused": asked("spec-09", on_unknown="error", expected={"error": "UnknownRegionError"}),
    "a reason with blanks": asked("spec-09", expected={"region": "eu", "reason": "preferred unknown"}),
    "fail open by its whole name": asked(
        "spec-04", on_none_healthy="fail_open", expected={"kind": "failover", "region": "eu"}
    ),
    "home is no failover": asked(
        "aether-05", preferred="us-west", expected={"is_failover": False, "region": "us-west", "latency_ms": 0}
    ),
    "a phrase about one region": asked(
        "aether-04", regions="us-east unhealthy and us-west load 90", expected={"region": "eu-west"}
    ),
    "a decayed penalty": asked("damp-01", after_s=60, expected={"value": 1500, "suppressed": True}),
    "a released region": asked("damp-01", after_s=120, expected={"value": 750, "suppressed": False}),
    "the ceiling of a penalty": asked(
        "damp-01", flaps_at_s=[0] * 100, expected={"value": 24000, "ceiling": 24000, "released_at_s": 300}
    ),
    "another penalty for each": asked(
        "damp-03", penalty=500, suppress=1250, reuse=375, expected={"values": [500, 854, 1104, 1280]}
    ),
    "a cap that ended": asked(
        "gl-lat-05", policies=[{"max_ms": 50, "duration_s": 60}], waited_s=60, expected={"cap_ms": None}
    ),
    "every player within the cap": asked(
        "flex-01", players=[{"A": 40, "B": 60}, {"A": 50, "B": 10}], expected={"cap_ms": 50, "eligible": ["A"]}
    ),
    "an answer that Envoy tries again": asked(
        "envoy-hc-01", retriable_statuses=[503], expected={"unhealthy_after_checks": 3}
    ),
    "a range of them": asked(
        "envoy-hc-01", retriable_statuses=[{"start": 500, "end": 600}], expected={"unhealthy_after_checks": 3}
    ),
    "the closest healthy record": {
        **CASES["r53-01"],
        "inputs": {"latency_ms": {"us": 20, "eu": 90}, "health": {"us": "unhealthy", "eu": "healthy"}},
        "expected": "eu",
    },
    "both records down": asked("r53-01", primary="unhealthy", secondary="unhealthy", expected="primary"),
    "three priorities": asked(
        "envoy-prio-13", healthy_pct=[25, 25, 20], panic_threshold=0, expected={"load_pct": [37, 35, 28]}
    ),
}


@pytest.mark.parametrize("name", OTHERS)
def test_the_same_rules_answer(name: str) -> None:
    failures = run_routing([OTHERS[name]])[0]

    assert failures == []
    assert not isinstance(failures, Outside)


def test_systems_and_topics_that_are_none_of_ours_have_a_reason_each() -> None:
    assert all(SYSTEMS.values())
    assert all(TOPICS.values())
    assert not SYSTEMS.keys() & OURS
    assert not {system for system, _ in TOPICS} & OURS
