"""Facts about the HorizontalPodAutoscaler controller, run against our model of it.

A case says what the controller sees (``input``) and what it does (``expected``). Every key of ``expected`` is
compared; one that the kind of case does not answer is a failure. Unknown keys of ``input`` are left alone.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aether_deploy.scaling.controller.grouping import Initialization, classify_pod
from aether_deploy.scaling.controller.normalizing import (
    ChangeLog,
    Timed,
    down_limit,
    limit,
    limit_legacy,
    stabilize,
    stabilize_legacy,
    up_limit,
)
from aether_deploy.scaling.controller.policy import Direction, HpaPolicy, MetricTarget, RatePolicy, from_zero_of
from aether_deploy.scaling.controller.proposals import Failure, propose
from aether_deploy.scaling.controller.reconcile import HpaController
from aether_deploy.scaling.controller.seen import PodSample, PodSeen, Reading, Seen
from aether_deploy.scaling.modes import minor_of
from tests.hpa_pods import NOW, levels_of, pods_of, pods_said, samples_of

Case = dict[str, Any]
Answers = dict[str, Any]


INITIALIZATION = Initialization(cpu_secs=120, readiness_delay_secs=10)
KUBERNETES = "v1.35"
"""The version that the cases were read from, where a case names none: the last one before 1.36 tells an own
zero from a foreign one."""

DEFAULT_UP = [
    {"type": "Pods", "value": 4, "periodSeconds": 15},
    {"type": "Percent", "value": 100, "periodSeconds": 15},
]
DEFAULT_DOWN = [{"type": "Percent", "value": 100, "periodSeconds": 15}]
BROKEN = ("error", "broken", "failed", "invalid", "empty", "unavailable")


class OneOf(tuple[str, ...]):
    """Several answers, of which any may be expected: the reasons of all conditions."""


def run_hpa(cases: Sequence[Case]) -> list[list[str]]:
    """Return the failures of each case."""
    return [_failures(case) for case in cases]


def _failures(case: Case) -> list[str]:
    answer = KINDS.get(case["kind"])
    if answer is None:
        return [f"the kind {case['kind']!r} is unknown; known are {', '.join(sorted(KINDS))}"]
    try:
        answers = answer(case["input"])
    except (KeyError, ValueError, TypeError, IndexError, AttributeError) as error:
        return [f"cannot be run: {error!r}"]
    expected = dict(case["expected"])
    if "condition" in case["input"]:
        expected.setdefault("condition", case["input"]["condition"])
    return [fault for key, wanted in expected.items() for fault in _compare(key, wanted, answers)]


def _compare(key: str, wanted: object, answers: Answers) -> list[str]:
    if key not in answers:
        return [f"expected.{key} is not known to this kind of case, which answers {', '.join(sorted(answers))}"]
    got = answers[key]
    if isinstance(got, OneOf):
        many = wanted.values() if isinstance(wanted, dict) else wanted if isinstance(wanted, list) else [wanted]
        return [f"{key}: expected {each!r}, got {' '.join(got)}" for each in many if each not in got]
    return [] if got == wanted else [f"{key}: expected {wanted!r}, got {got!r}"]


# --- one metric


def _policy(given: Mapping[str, Any], metrics: Sequence[MetricTarget] = (), **rest: Any) -> HpaPolicy:
    up, down = (_direction(given, name) for name in ("up", "down"))
    fields: dict[str, Any] = {
        "min_replicas": given.get("min_replicas", 1),
        "max_replicas": given.get("max_replicas", 2**31 - 1),
        "metrics": tuple(metrics) or (MetricTarget(source="Unknown", name="", kind="Value", target=1),),
        "up": up,
        "down": down,
        "has_behavior": _has_behavior(given),
        "from_zero": "own-zero" if "scaled_to_zero" in given else from_zero_of(minor_of(_version(given))),
    }
    return HpaPolicy(**fields | rest)


def _version(given: Mapping[str, Any]) -> str:
    return str(given.get("kubernetes", KUBERNETES))


def _has_behavior(given: Mapping[str, Any]) -> bool:
    names = ("policies", "window", "select_policy")
    return any(given.get(f"scale_{way}_{name}") is not None for way in ("up", "down") for name in names)


def _direction(given: Mapping[str, Any], way: str) -> Direction:
    policies = given.get(f"scale_{way}_policies")
    if policies is None:
        policies = DEFAULT_UP if way == "up" else DEFAULT_DOWN
    window = given.get(f"scale_{way}_window")
    tolerance = given.get(f"tolerance_{way}")
    return Direction(
        window_secs=(0 if way == "up" else 300) if window is None else window,
        tolerance=0.1 if tolerance is None else tolerance,
        select=given.get(f"scale_{way}_select_policy") or given.get("select_policy") or "Max",
        policies=tuple(_rate(each) for each in policies),
    )


def _rate(given: Mapping[str, Any]) -> RatePolicy:
    return RatePolicy(type=given["type"], value=given["value"], period_secs=given["periodSeconds"])


def _proposed(given: Mapping[str, Any], metric: MetricTarget, reading: Reading, pods: list[PodSeen]) -> Answers:
    seen = Seen(
        spec_replicas=given["current_replicas"],
        status_replicas=given.get("status_replicas"),
        ready_pods=given.get("ready_pods"),
        pods=pods,
        values={metric.key: reading},
    )
    found = propose(_policy(given, [metric]), metric, seen, NOW, INITIALIZATION)
    if isinstance(found, Failure):
        return {"error": True, "condition": OneOf([found.condition])}
    answers: Answers = {"replicas": found.replicas, "usage_milli": found.usage_milli, "error": False}
    if found.utilization is not None:
        answers["utilization_percent"] = found.utilization
    return answers


def _pods_metric(given: Mapping[str, Any]) -> Answers:
    metric = MetricTarget(source="Pods", name="qps", kind="AverageValue", target=given["target_milli"])
    count = given.get("pod_count", given["current_replicas"])
    return _proposed(given, metric, levels_of(given["levels_milli"]), pods_of(given, count, {}))


def _whole(source: Any, kind: Any) -> Callable[[Mapping[str, Any]], Answers]:
    def answer(given: Mapping[str, Any]) -> Answers:
        metric = MetricTarget(source=source, name="qps", kind=kind, target=given["target_milli"])
        levels = [value for value in given["levels_milli"] if value is not None]
        reading = [sum(levels)] if levels and source == "Object" else levels
        return _proposed(given, metric, reading, pods_of(given, given["current_replicas"], {}))

    return answer


def _resource_utilization(given: Mapping[str, Any]) -> Answers:
    metric = MetricTarget(
        source="Resource", name=given.get("resource", "cpu"), kind="Utilization", target=given["target_percent"]
    )
    requests = given["request_milli_per_pod"]
    pods = pods_of(given, given.get("pod_count", len(requests)), {metric.key: requests})
    return _proposed(given, metric, samples_of(given["usage_milli_per_pod"]), pods)


# --- a whole sync


def _reconcile(given: Mapping[str, Any]) -> Answers:
    spec = given.get("spec_replicas", given.get("current_replicas"))
    targets: list[MetricTarget] = []
    values: dict[str, Reading] = {}
    requests: dict[str, Sequence[int | None]] = {}
    for number, each in enumerate(given["metrics"]):
        metric, reading = _metric(each, number)
        targets.append(metric)
        values[metric.key] = reading
        if each.get("request_milli_per_pod") is not None:
            requests[metric.key] = each["request_milli_per_pod"]
    status = given.get("status_replicas", spec)
    count = given.get("pod_count", max((len(row) for row in requests.values()), default=status))
    controller = HpaController(
        _policy(given, targets),
        initialization=INITIALIZATION,
        history=_history(given.get("previous_recommendations"), spec),
        ups=_events(given, "scale_up_events"),
        downs=_events(given, "scale_down_events"),
        scaled_to_zero=bool(given.get("scaled_to_zero")),
    )
    seen = Seen(
        spec_replicas=spec,
        status_replicas=status,
        ready_pods=given.get("ready_pods"),
        pods=pods_of(pods_said(given), count, requests),
        values=values,
    )
    sync = controller.sync(NOW, seen)
    return {
        "desired_replicas": sync.replicas,
        "replicas": sync.replicas,
        "condition": OneOf(each.reason for each in sync.conditions),
    }


def _metric(given: Mapping[str, Any], number: int) -> tuple[MetricTarget, Reading]:
    """Return a metric of a sync and its reading; None for one that is broken, or has no value."""
    source = given.get("type")
    if source not in ("Pods", "Object", "External", "Resource", "ContainerResource"):
        return MetricTarget(source="Unknown", name=f"metric-{number}", kind="Value", target=1), None
    of_pods = source in ("Pods", "Resource", "ContainerResource")
    kind, target = _target(given, of_pods=of_pods)
    name = given.get("name") or ("cpu" if source.endswith("Resource") else f"metric-{number}")
    container = given.get("container", f"container-{number}") if source == "ContainerResource" else ""
    metric = MetricTarget(source=source, name=name, kind=kind, target=target, container=container)
    if any(given.get(word) for word in BROKEN):
        return metric, None
    if of_pods:
        levels = given.get("levels_milli", given.get("usage_milli_per_pod"))
        reading = levels_of if source == "Pods" else samples_of
        return metric, None if levels is None else reading(levels)
    value = given.get("value_milli", given.get("levels_milli"))
    if value is None:
        return metric, None
    series = value if isinstance(value, list) else [value]
    return metric, [sum(series)] if series and source == "Object" else series


def _target(given: Mapping[str, Any], *, of_pods: bool) -> tuple[Any, int]:
    if given.get("target_percent") is not None:
        return "Utilization", given["target_percent"]
    if given.get("target_average_milli") is not None:
        return "AverageValue", given["target_average_milli"]
    for name in ("target_value_milli", "target_milli"):
        if given.get(name) is not None:
            return ("AverageValue" if of_pods else "Value"), given[name]
    return ("AverageValue" if of_pods else "Value"), 1000


def _history(given: Any, replicas: int) -> list[Timed] | None:
    if given in (None, "seeded_with_current"):
        return None
    return [] if given == "empty" else _timed(given)


def _timed(entries: Sequence[Mapping[str, Any]]) -> list[Timed]:
    return [(NOW - each["age_seconds"], each["replicas"] if "replicas" in each else each["change"]) for each in entries]


def _events(given: Mapping[str, Any], name: str) -> list[Timed]:
    return _timed(given.get(name) or [])


# --- from a recommendation to the count


def _behavior_policies(given: Mapping[str, Any]) -> Answers:
    policy = _policy(given)
    limited = limit(
        given["desired_before_policies"],
        NOW,
        replicas=given["current_replicas"],
        least=policy.min_replicas,
        most=policy.max_replicas,
        up=policy.up,
        down=policy.down,
        ups=ChangeLog(_events(given, "scale_up_events")),
        downs=ChangeLog(_events(given, "scale_down_events")),
    )
    return {
        "replicas": limited.replicas,
        "desired_replicas": limited.replicas,
        "condition": limited.reason,
        "limit": limited.limit,
    }


def _limits_legacy(given: Mapping[str, Any]) -> Answers:
    limited = limit_legacy(
        given["desired"],
        replicas=given["current_replicas"],
        least=given["min_replicas"],
        most=given["max_replicas"],
    )
    return {
        "replicas": limited.replicas,
        "desired_replicas": limited.replicas,
        "condition": limited.reason,
        "limit": limited.limit,
    }


def _stabilization_behavior(given: Mapping[str, Any]) -> Answers:
    desired, replicas = given["desired"], given["current_replicas"]
    found = stabilize(
        _timed(given["history"]),
        NOW,
        desired=desired,
        replicas=replicas,
        up=_direction(given, "up"),
        down=_direction(given, "down"),
    )
    held = "ScaleUpStabilized" if desired >= replicas else "ScaleDownStabilized"
    return {**_counts(found.replicas), "condition": "ReadyForNewScale" if found.replicas == desired else held}


def _stabilization_legacy(given: Mapping[str, Any]) -> Answers:
    names = ("scale_down_window", "window", "window_seconds", "window_secs", "downscale_window")
    window = next((given[name] for name in names if given.get(name) is not None), 300)
    desired = given["desired"]
    found = stabilize_legacy(_timed(given["history"]), NOW, desired=desired, window_secs=window)
    condition = "ReadyForNewScale" if found.replicas == desired else "ScaleDownStabilized"
    return {**_counts(found.replicas), "condition": condition}


def _counts(replicas: int) -> Answers:
    return {"stabilized": replicas, "replicas": replicas, "desired_replicas": replicas}


def _policy_limit(given: Mapping[str, Any]) -> Answers:
    way = given["direction"]
    named = {f"scale_{way}_policies": given["policies"], "select_policy": given.get("select_policy")}
    ups, downs = (ChangeLog(_events(given, f"scale_{each}_events")) for each in ("up", "down"))
    reckon = up_limit if way == "up" else down_limit
    return {"limit": reckon(given["current_replicas"], NOW, _direction(named, way), ups, downs)}


# --- one pod


def _pod_grouping(given: Mapping[str, Any]) -> Answers:
    said = {**given, **(given.get("pod") or {})}
    started = said.get("start_age_s")
    ready = said.get("ready", said.get("ready_condition"))
    changed = said.get("transition_age_s")
    pod = PodSeen(
        name=said.get("name", "pod"),
        phase=said.get("phase") or "Running",
        ready={"True": True, "False": False}.get(ready, False) if isinstance(ready, str) else ready,
        deleting=bool(said.get("deleting")),
        started_secs=None if started is None else NOW - started,
        ready_changed_secs=None if changed is None else NOW - changed,
    )
    sample = PodSample(
        milli=1, taken_secs=NOW - (said.get("metric_age_s") or 0), window_secs=said.get("metric_window_s") or 0
    )
    has_metric = said.get("has_metric", True)
    found = classify_pod(pod, sample if has_metric else None, said.get("resource") or "", NOW, INITIALIZATION)
    return {"class": found}


KINDS: dict[str, Callable[[Mapping[str, Any]], Answers]] = {
    "pods_metric": _pods_metric,
    "object_value": _whole("Object", "Value"),
    "object_average": _whole("Object", "AverageValue"),
    "external_value": _whole("External", "Value"),
    "external_average": _whole("External", "AverageValue"),
    "resource_utilization": _resource_utilization,
    "reconcile_no_behavior": _reconcile,
    "reconcile_behavior": _reconcile,
    "reconcile": _reconcile,
    "behavior_policies": _behavior_policies,
    "stabilization_behavior": _stabilization_behavior,
    "stabilization_legacy": _stabilization_legacy,
    "limits_legacy": _limits_legacy,
    "policy_limit_min_select": _policy_limit,
    "pod_grouping": _pod_grouping,
}
