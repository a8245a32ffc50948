"""Facts about how routers route, run against our rules, our damping and our arithmetic of Envoy.

A case says what a system sees (``inputs``) and what it does (``expected``). Which of ours answers it is told by the
system, the topic and the shape of the inputs, never by the id. Every key of ``expected`` is compared. A case about
something that no rule of ours speaks of, or speaks of on purpose in another way, is ``Outside``, with the reason; a
case of ours that cannot be read is a failure.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tests.routing_stage import Answers, Unlike, aether, cap, damping, regional, specification

Case = dict[str, Any]


class Outside(list[str]):
    """No failures, and no success either: why a case is not about our rules."""

    def __init__(self, reason: str) -> None:
        super().__init__()
        self.reason = reason


def run_routing(cases: Sequence[Case]) -> list[list[str]]:
    """Return the failures of each case, or why it is none of ours."""
    return [_failures(case) for case in cases]


def _failures(case: Case) -> list[str]:
    reason = _outside(case)
    if reason is not None:
        return Outside(reason)
    try:
        if "expected" not in case:
            return ["says nothing that is expected"]
        answers = _answer_of(case)(case["inputs"], case["expected"])
    except Unlike as unlike:
        return Outside(str(unlike))
    except (KeyError, ValueError, TypeError, IndexError, AttributeError) as error:
        return [f"cannot be run: {error!r}"]
    expected = case["expected"]
    wanted = expected if isinstance(expected, dict) else {"answer": expected}
    within = case.get("tolerance_pct", 0)
    return [fault for key, value in wanted.items() for fault in _compare(key, value, answers, within)]


def _compare(key: str, wanted: Any, answers: Answers, within: float) -> list[str]:
    if key in MEASURED:
        return []
    if key not in answers:
        return [f"expected.{key} is not known to this kind of case, which answers {', '.join(sorted(answers))}"]
    got = answers[key]
    if isinstance(got, Callable):  # type: ignore[arg-type]
        fault = got(wanted)
        return [] if fault is None else [f"{key}: {fault}"]
    return [] if _equal(got, wanted, within) else [f"{key}: expected {wanted!r}, got {got!r}"]


def _equal(got: Any, wanted: Any, within: float) -> bool:
    if isinstance(wanted, dict) and isinstance(got, dict):
        return wanted.keys() == got.keys() and all(_equal(got[key], wanted[key], within) for key in wanted)
    if isinstance(wanted, list):
        return len(got) == len(wanted) and all(_equal(g, w, within) for g, w in zip(got, wanted, strict=True))
    if isinstance(wanted, bool) or isinstance(got, bool) or not isinstance(wanted, (int, float)):
        return bool(got == wanted)
    return isinstance(got, (int, float)) and abs(got - wanted) <= within + 1e-9


MEASURED = frozenset({"lost_datagrams"})
"""What only a running Envoy tells; tests/test_lab_envoy.py asks one."""


# --- which of ours a case is about

Answering = Callable[[Mapping[str, Any], Any], Answers]


def _answer_of(case: Case) -> Answering:
    if case["system"] == "envoy":
        found = next((answer for about, answer in ENVOY if about(case)), None)
        if found is None:
            raise ValueError(f"a case of {case['topic']} with {', '.join(case['inputs'])}")
        return found
    return ANSWERS[case["system"]]


def _priorities(inputs: Mapping[str, Any], expected: Any) -> Answers:
    from aether_deploy.traffic.envoy.priority import priority_load

    threshold = inputs.get("panic_threshold", 50)
    load = priority_load(
        inputs["healthy_pct"],
        hosts=next((inputs[key] for key in ("hosts", "hosts_per_priority", "host_counts") if key in inputs), None),
        overprovisioning_factor=inputs.get("overprovisioning_factor", inputs.get("factor", 140)),
        panic_threshold=0 if threshold == "any" else threshold,
    )
    return {
        "load_pct": list(load.load_percent),
        "health_score": list(load.health_score),
        "normalized_total": load.normalized_total,
        "panic": list(load.panic),
    }


def _localities(inputs: Mapping[str, Any], expected: Any) -> Answers:
    from aether_deploy.traffic.envoy.priority import locality_load

    return locality_load(inputs["weights"], inputs["available_pct"], factor=inputs.get("factor", 140))


def _health_threshold(inputs: Mapping[str, Any], expected: Any) -> Answers:
    """Count checks of one kind as the router does, whose probes take answers as Envoy's health checks do."""
    from aether_deploy.routing.policy import HealthPolicy
    from aether_deploy.routing.tracking.health import HealthCount, ProbeOutcome
    from aether_deploy.routing.view import Health

    policy = HealthPolicy(fall=inputs.get("unhealthy_threshold", 3), rise=inputs.get("healthy_threshold", 2))
    status = inputs.get("http_status")
    outcome: ProbeOutcome = "timeout"
    if status is not None and 200 <= status <= 299:
        outcome = "ready"
    elif status is not None and not _listed(status, inputs.get("retriable_statuses", [])):
        outcome = "not_ready"
    goal = "healthy" if outcome == "ready" else "unhealthy"
    first: Health = "unhealthy" if outcome == "ready" else "healthy"
    count, checks = HealthCount("unknown" if inputs.get("first_check") else first), 0
    while count.state != goal:
        count, checks = count.after(outcome, policy), checks + 1
    return {f"{goal}_after_checks": checks}


def _listed(status: int, listed: Sequence[Any]) -> bool:
    return any(each["start"] <= status < each["end"] if isinstance(each, dict) else status == each for each in listed)


def _failover_time(inputs: Mapping[str, Any], expected: Any) -> Answers:
    from aether_deploy.traffic.envoy.bounds import failover_bound_ms

    # The upstream was killed, so its port refuses: what a check takes at most does not count.
    bound_secs = (
        failover_bound_ms(
            interval_ms=round(inputs["interval_s"] * 1000),
            timeout_ms=round(inputs.get("timeout_s", 1) * 1000),
            fall=inputs["unhealthy_threshold"],
            failure="refusal",
        )
        / 1000
    )

    def within(limit: float) -> str | None:
        return None if bound_secs <= limit else f"expected at most {limit} s, and we promise {bound_secs} s"

    return {"failover_s_max": within}


def _has(case: Case, *names: str) -> bool:
    return all(name in case["inputs"] for name in names)


def _tells(case: Case, *names: str) -> bool:
    return isinstance(case.get("expected"), dict) and any(name in case["expected"] for name in names)


ENVOY: tuple[tuple[Callable[[Case], bool], Answering], ...] = (
    (lambda case: _has(case, "healthy_pct"), _priorities),
    (lambda case: _has(case, "weights", "available_pct"), _localities),
    (lambda case: _tells(case, "unhealthy_after_checks", "healthy_after_checks"), _health_threshold),
    (lambda case: _has(case, "interval_s", "unhealthy_threshold") and _tells(case, "failover_s_max"), _failover_time),
)
"""What answers a case about Envoy, by what it holds."""

ANSWERS: dict[str, Answering] = {
    "spec_default": specification,
    "aether_reference": aether,
    "rfc2439_style": damping,
    "gamelift": cap,
    "gamelift_flexmatch": cap,
    "cloudflare": regional,
    "route53": regional,
}
"""By system, where not Envoy's."""


# --- what is none of ours

_VARIOUS = "no rule of ours, and no back end that we render, speaks of it"
SYSTEMS = {
    "global_accelerator": "we render none; a hard drain holds during failover too (R12), its dial does not",
    "k8gb": "we render no k8gb; a router that hears nobody keeps what it knew (R13)",
    "agones": "we do not allocate game servers across clusters",
    "istio": "we render no Istio",
    "azure_front_door": "our regions have no weights or priorities; a window of latency only breaks ties by load (R3)",
    "unity_matchmaker": "loss comes first there; ours adds 5 ms for each percent of it (R6)",
}
TOPICS = {
    ("cloudflare", "affinity_ttl"): "our tokens have no age",
    ("cloudflare", "all_unhealthy"): "we have no pool of last resort; on_none_healthy says what happens",
    ("envoy", "health_unknown"): "the router waits for a first answer instead (R8)",
    ("route53", "all_unhealthy"): "we render latency records, which have no weights",
    ("route53", "quorum"): "one vantage point only; several are not built",
    ("route53", "weight_zero"): "we render latency records, which have no weights",
    ("gamelift", "tie_break"): "no costs, no alphabet: load, then file order (R3)",
    (
        "gamelift_flexmatch",
        "missing_region",
    ): "a region that nobody measured is the last choice, and never excluded (R6)",
}


ANSWERED = frozenset({"priority_load", "panic", "locality_weight", "health_threshold", "udp_failover_time"})
"""Topics of Envoy that ours has an answer to: one of them that cannot be read is a failure."""

UNANSWERED = {
    "udp": "only a running Envoy tells; tests/test_lab_envoy_sessions.py asks one",
    "outlier": "our bootstrap watches no outliers; health checks decide",
}
"""The others, by how they begin."""


def _outside(case: Case) -> str | None:
    system, topic = case["system"], case["topic"]
    if (system, topic) in TOPICS:
        return TOPICS[system, topic]
    if system == "envoy" and topic not in ANSWERED and not any(about(case) for about, _ in ENVOY):
        default = "what our bootstrap sets otherwise, or leaves at Envoy's default"
        return next((reason for begin, reason in UNANSWERED.items() if topic.startswith(begin)), default)
    if system == "envoy" or system in ANSWERS:
        return None
    return SYSTEMS.get(system, _VARIOUS)
