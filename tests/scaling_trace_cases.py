"""Traces of players, each a case that decides between readings of how an autoscaler works; target 50 per pod."""

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from aether_deploy.lab.client import Body
from aether_deploy.scaling.adapter import Served, adapter_config
from aether_deploy.scaling.adapter import recorded as served_records
from aether_deploy.scaling.config import CustomMetric, ScalingConfig
from aether_deploy.scaling.hpa import DESIRED, FLOOR, autoscaler
from aether_deploy.scaling.recording import PLAYERS as ALL_PLAYERS
from aether_deploy.scaling.recording import Scaled, rule_groups
from tests.players import PLAYERS, each, on, spread
from tests.scaling_cases import exact, going, hpa, outside, per_pod, recorded, world
from tests.scaling_traces import Steps, Trace, scale_to

NAMESPACE = "traces"
SECS = 48.0
BY_DESIRED = {"scaleUp": going("0"), "scaleDown": going("0", window=3)}
FULL_NODE = {"resources": {"requests": {"cpu": "60"}}}  # nine nodes have 64 each, so a tenth pod waits
SETTINGS = {
    "desired": ScalingConfig(scale_up_cooldown_secs=2, scale_down_cooldown_secs=5, mode="desired"),
    "guarded": ScalingConfig(
        scale_up_cooldown_secs=0, scale_down_cooldown_secs=0, mode="desired", protect_occupied=True
    ),
    "from-outside": ScalingConfig(scale_up_cooldown_secs=0, scale_down_cooldown_secs=4, mode="desired"),
    "by-the-whole": ScalingConfig(mode="desired"),
    "desired-as-rendered": ScalingConfig(scale_up_cooldown_secs=0, scale_down_cooldown_secs=5, mode="desired"),
}
BY_PODS = ScalingConfig(scale_up_cooldown_secs=0, scale_down_cooldown_secs=12, mode="pods")
ADAPTER = json.dumps(
    adapter_config(
        [
            Served(PLAYERS, "Pods"),
            *served_records("StatefulSet"),
            Served(ALL_PLAYERS, "Object", "StatefulSet"),
            Served(DESIRED, "External"),
        ]
    )
)


def rules() -> str:
    """Return the recording rules of all traces."""
    metrics = [CustomMetric(name=PLAYERS)]
    groups = []
    for name, scaling in SETTINGS.items():
        groups += rule_groups(scaling, metrics, _scaled(name), interval_secs=1)
    return json.dumps({"groups": groups})


def _scaled(name: str) -> Scaled:
    return Scaled(namespace=NAMESPACE, kind="StatefulSet", name=name)


def _trace(
    name: str,
    replicas: int,
    behavior: dict[str, Body],
    steps: Steps,
    shows: str,
    *,
    metrics: list[Body] | None = None,
    most: int = 20,
    top: int = 14,
    unrecorded: Iterable[str] = (),
    **workload: Any,
) -> Trace:
    return Trace(
        workload=world(name, NAMESPACE, replicas, **workload),
        autoscaler=hpa(name, NAMESPACE, *(metrics or [per_pod()]), most=most, behavior=behavior),
        steps=steps,
        secs=SECS,
        shows=frozenset(shows.split("; ")),
        top=top,
        unrecorded=frozenset(unrecorded),
    )


def _rates(*policies: tuple[str, int, int]) -> list[Body]:
    return [{"type": type, "value": value, "periodSeconds": secs} for type, value, secs in policies]


BY_RATES = {
    "scaleUp": going("0", policies=_rates(("Pods", 2, 5), ("Percent", 50, 5))),
    "scaleDown": going("500m", policies=_rates(("Pods", 1, 3))),
}
BY_THE_SMALLER_RATE = {
    "scaleUp": going("0", select="Min", policies=_rates(("Pods", 3, 4), ("Percent", 30, 4))),
    "scaleDown": going(select="Disabled"),
}

OF_PODS = (
    # 50.17 per pod are more than a tenth would act on.
    _trace("grows", 6, exact(), {0: spread(240), 9: spread(301), 20: spread(1200)}, "ReplicaLimit", top=20),
    _trace("shrinks", 12, exact(down=9), {0: spread(500), 9: spread(270), 26: spread(90)}, "Stabilized"),
    _trace(
        "ends-of-the-band",
        4,
        exact(),
        {0: spread(200), 10: spread(201), 21: spread(125), 33: spread(124)},
        "at 1.0; at 1.005; at 0.5; at 0.496; WithinTolerance; MetricRecommendation",
        top=6,
    ),
    _trace(
        "missing-on-the-way-down",
        4,
        exact(down=9),
        {0: each(20, silent=[3]), 14: each(20)},
        "missing; within-tolerance; Stabilized",
        top=4,
    ),
    _trace(
        "missing-on-the-way-up",
        4,
        exact(),
        {0: each(80, silent=[1, 2, 3]), 14: each(80, silent=[3]), 30: each(50)},
        "missing; would-turn; MetricRecommendation",
        top=6,
    ),
    _trace(
        "missing-at-the-target",
        4,
        exact(),
        {0: each(50, silent=[1]), 14: each(51, silent=[1])},
        "missing; at 1.0",
        top=5,
    ),
    _trace(
        "waits-for-nodes",
        7,
        exact(),
        {0: spread(300), 9: each(90), 26: each(60)},
        "pending; MetricRecommendation",
        container=FULL_NODE,
    ),
    # At its bound it wants 25 pods for as long as those that are not ready count.
    _trace(
        "slow-to-be-ready",
        4,
        exact(),
        {0: spread(190), 12: each(125), 28: spread(500)},
        "unready; ReplicaLimit",
        ready_after="14s",
        most=10,
        top=10,
    ),
    _trace(
        "slow-to-end",
        10,
        exact(down=2),
        {0: each(30), 8: each(14), 18: each(80), 34: each(20)},
        "ending, and served; more than wanted",
        stop_after="14s",
    ),
    _trace("by-rates", 3, BY_RATES, {0: spread(140), 8: spread(900), 30: spread(60)}, "PolicyLimited"),
    _trace(
        "by-the-smaller-rate", 3, BY_THE_SMALLER_RATE, {0: spread(140), 8: spread(900), 36: spread(60)}, "PolicyLimited"
    ),
    _trace(
        "by-windows",
        6,
        exact(up=6, down=8),
        {
            0: spread(240),
            8: spread(400),
            11: spread(240),
            15: spread(450),
            27: spread(130),
            30: spread(300),
            34: spread(130),
        },
        "Stabilized",
    ),
    # 0.28 * 25 is 7.000000000000001 in doubles; the window holds it until all pods are scraped.
    _trace("at-the-edge-of-doubles", 25, exact(down=9), {0: spread(700), 9: spread(350)}, "at 0.28", most=30, top=25),
    _trace(
        "within-a-tenth",
        10,
        {"scaleUp": going(), "scaleDown": going(window=4)},
        {0: spread(500), 9: spread(440), 22: spread(493), 34: spread(497)},
        "WithinTolerance; MetricRecommendation",
    ),
    _trace(
        "without-behavior", 3, {}, {0: spread(140), 9: spread(900), 30: spread(60)}, "PolicyLimited; Stabilized", top=20
    ),
    _trace(
        "unheard",
        5,
        exact(),
        {0: spread(200), 9: spread(300, silent=range(20)), 24: spread(420)},
        "RecommendationFailed; MetricRecommendation",
    ),
    _trace(
        "out-of-bounds",
        5,
        exact(),
        {0: spread(200), 9: scale_to(25), 18: scale_to(1), 28: scale_to(0), 38: scale_to(4)},
        "ReplicaLimit; ScalingDisabled",
    ),
)
OF_OBJECTS = (
    _trace(
        "desired",
        4,
        BY_DESIRED,
        {0: spread(160), 10: spread(301), 22: spread(620), 34: spread(140)},
        "WithinTolerance; MetricRecommendation",
        metrics=[recorded("desired", DESIRED)],
    ),
    _trace(
        "guarded",
        6,
        BY_DESIRED,
        {0: spread(270), 8: on({5: 3, 0: 50}), 17: on({3: 5}), 36: spread(500)},
        "ending; more than wanted; WithinTolerance",
        metrics=[recorded("guarded", DESIRED), recorded("guarded", FLOOR)],
        stop_after="6s",
    ),
    _trace(
        "half-blind",
        6,
        {"scaleUp": going("0"), "scaleDown": going("0")},
        {0: spread(290), 10: spread(120), 22: spread(420), 36: spread(100)},
        "RecommendationFailed; InvalidMetrics",
        metrics=[per_pod(), recorded("half-blind", FLOOR)],
        unrecorded=[FLOOR],
    ),
    _trace(
        "by-the-whole",
        6,
        {"scaleUp": going("0"), "scaleDown": going("500m", window=2)},
        {0: spread(290), 10: spread(400), 26: spread(90)},
        "MetricRecommendation",
        metrics=[recorded("by-the-whole", ALL_PLAYERS, kind="Value", value="300")],
        ready_after="7s",
    ),
    _trace(
        "from-outside",
        5,
        BY_DESIRED,
        {0: spread(220), 10: spread(700), 26: spread(150)},
        "WithinTolerance; MetricRecommendation",
        metrics=[outside(DESIRED, {"statefulset": "from-outside"})],
    ),
)


def _as_rendered(name: str, scaling: ScalingConfig) -> Trace:
    """Return a trace whose autoscaler is the one that we render, which takes half a minute to go down."""
    steps: Steps = {0: spread(240), 9: spread(301), 18: spread(80)}
    trace = _trace(name, 6, {}, steps, "MetricRecommendation; Stabilized", top=8)
    rendered = autoscaler(
        scaling,
        [CustomMetric(name=PLAYERS)],
        metadata=trace.autoscaler["metadata"],
        target_kind="StatefulSet",
        target_name=name,
        kubernetes="v1.37",
        scrape_interval_secs=1,
    )
    return replace(trace, autoscaler=rendered)


TRACES = (
    *OF_PODS,
    *OF_OBJECTS,
    _as_rendered("pods-as-rendered", BY_PODS),
    _as_rendered("desired-as-rendered", SETTINGS["desired-as-rendered"]),
)
