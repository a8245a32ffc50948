"""The rules of routing by sentence: what a player asks, what is known of the regions, and what he is told."""

from typing import Any

from aether_deploy.routing.policy import (
    DampingPolicy,
    FailbackPolicy,
    LatencyExpansion,
    LatencyPolicy,
    LoadPolicy,
    ResidencyRule,
    RoutingPolicy,
    StickyPolicy,
)
from aether_deploy.routing.request import PartyMember

FAR = {"us": 10.0, "eu": 80.0, "ap": 150.0}
POLICIES: dict[str, RoutingPolicy] = {
    "neutral": RoutingPolicy(),
    "strict": RoutingPolicy(on_unknown="error"),
    "open": RoutingPolicy(on_none_healthy="fail_open"),
    "cap": RoutingPolicy(latency=LatencyPolicy(max_ms=100)),
    "widening": RoutingPolicy(
        latency=LatencyPolicy(
            max_ms=50,
            expansions=(LatencyExpansion(after_secs=10, max_ms=100), LatencyExpansion(after_secs=20, max_ms=None)),
        )
    ),
    "damping": RoutingPolicy(damping=DampingPolicy()),
    "failback": RoutingPolicy(failback=FailbackPolicy()),
    "load": RoutingPolicy(load=LoadPolicy()),
    "open load": RoutingPolicy(load=LoadPolicy(), on_none_healthy="fail_open"),
    "sticky": RoutingPolicy(sticky=StickyPolicy()),
    "residency": RoutingPolicy(residency=(ResidencyRule(name="law", regions=("eu", "ap")),)),
    "open residency": RoutingPolicy(
        residency=(ResidencyRule(name="law", regions=("eu", "ap")),), on_none_healthy="fail_open"
    ),
    "all": RoutingPolicy(
        latency=LatencyPolicy(max_ms=100),
        damping=DampingPolicy(),
        failback=FailbackPolicy(),
        load=LoadPolicy(),
        sticky=StickyPolicy(),
    ),
}
DOWN: dict[str, Any] = {"health": "unhealthy"}
SOFT: dict[str, Any] = {"drain": "soft"}
HARD: dict[str, Any] = {"drain": "hard"}

CASES: dict[str, tuple[str, dict[str, Any], dict[str, Any], str]] = {
    # R1
    "choice comes before everything": ("sticky", {}, {"preferred": "ap", "sticky": "us"}, "primary ap"),
    "a token comes before the closest": ("sticky", {}, {"sticky": "us", "measured": {}}, "primary us"),
    "a token within the slack is followed": (
        "sticky",
        {"eu": {"latency_ms": 50.0}},
        {"sticky": "eu"},
        "primary eu",
    ),
    "a token beyond the slack is not": ("sticky", {"eu": {"latency_ms": 50.1}}, {"sticky": "eu"}, "primary us"),
    "a token to a region that is down is not": (
        "sticky",
        {"us": DOWN, "eu": {"latency_ms": 20.0}},
        {"sticky": "us"},
        "failover eu preferred_unhealthy",
    ),
    "a token without the block for it is not": (
        "neutral",
        {"eu": {"latency_ms": 20.0}},
        {"sticky": "eu"},
        "primary us",
    ),
    "who joins a new session follows no token": (
        "sticky",
        {"eu": {"latency_ms": 20.0}},
        {"sticky": "eu", "joining": True},
        "primary us",
    ),
    "a token of a region that is gone is nothing": ("sticky", {}, {"sticky": "mars"}, "primary us"),
    "without choice and token the closest is preferred": ("neutral", {}, {}, "primary us"),
    "the closest is preferred even if it is down": ("neutral", {"us": DOWN}, {}, "failover eu preferred_unhealthy"),
    # R2, R3
    "the preferred region takes him, however far": ("neutral", {}, {"preferred": "ap"}, "primary ap"),
    "the next closest may be closer than the preferred": (
        "neutral",
        {"ap": DOWN},
        {"preferred": "ap"},
        "failover us preferred_unhealthy",
    ),
    "before the first answer of a probe a region takes nobody": (
        "neutral",
        {"us": {"health": "unknown"}},
        {"preferred": "us"},
        "failover eu preferred_unhealthy: no probe has answered yet",
    ),
    "ties go to less load": (
        "cap",
        {"us": DOWN, "eu": {"load": 0.5}, "ap": {"latency_ms": 85.0, "load": 0.4}},
        {"preferred": "us"},
        "failover ap preferred_unhealthy",
    ),
    "what is further than a tie is further": (
        "cap",
        {"us": DOWN, "eu": {"load": 0.5}, "ap": {"latency_ms": 85.1, "load": 0.4}},
        {"preferred": "us"},
        "failover eu preferred_unhealthy",
    ),
    "ties at equal loads go by file order": (
        "cap",
        {"us": DOWN, "eu": {"load": 0.4}, "ap": {"latency_ms": 75.0, "load": 0.4}},
        {"preferred": "us"},
        "failover eu preferred_unhealthy",
    ),
    "a load that nobody knows comes after one that is known": (
        "cap",
        {"us": DOWN, "ap": {"latency_ms": 82.0, "load": 0.9}},
        {"preferred": "us"},
        "failover ap preferred_unhealthy",
    ),
    "without the block latencies tie only if equal": (
        "neutral",
        {"us": DOWN, "eu": {"load": 0.9}, "ap": {"latency_ms": 80.0, "load": 0.1}},
        {"preferred": "us"},
        "failover eu preferred_unhealthy",
    ),
    # R5
    "an unknown region is a failover": ("neutral", {}, {"preferred": "mars"}, "failover us preferred_unknown"),
    "or an error that lists what is known": (
        "strict",
        {},
        {"preferred": "mars"},
        "UnknownRegionError: no region is named 'mars'; known are us, eu, ap",
    ),
    "of a party member too": (
        "strict",
        {},
        {"party": (PartyMember(preferred="mars"),)},
        "UnknownRegionError: no region is named 'mars'; known are us, eu, ap",
    ),
    "no region is an error": (
        "neutral",
        {"us": DOWN, "eu": DOWN, "ap": DOWN},
        {"preferred": "us"},
        "NoHealthyRegionError: none of 3 regions is healthy",
    ),
    "which says why where health is not all": (
        "neutral",
        {"us": DOWN, "eu": HARD, "ap": {"builds": frozenset({"1"})}},
        {"preferred": "us", "build": "2"},
        "NoHealthyRegionError: none of 3 regions may take the player: us is unhealthy, eu is drained, "
        "ap has another build",
    ),
    "failing open takes the preferred region": (
        "open",
        {"us": DOWN, "eu": DOWN, "ap": {"health": "unknown"}},
        {"preferred": "ap"},
        "failover ap fail_open: no region is healthy",
    ),
    "or the closest where that is unknown": (
        "open",
        {"us": DOWN, "eu": DOWN, "ap": DOWN},
        {"preferred": "mars"},
        "failover us fail_open: no region is healthy",
    ),
    "failing open keeps a hard drain": (
        "open",
        {"us": {**DOWN, **HARD}, "eu": DOWN, "ap": DOWN},
        {"preferred": "us"},
        "failover eu fail_open: no region is healthy",
    ),
    "failing open beside a healthy region that is drained hard says so": (
        "open",
        {"us": DOWN, "eu": HARD, "ap": DOWN},
        {"preferred": "eu"},
        "failover us fail_open: no region that is open to the player is healthy",
    ),
    "failing open for him says that others are healthy": (
        "open residency",
        {"eu": DOWN, "ap": DOWN},
        {"preferred": "us", "residency": "law"},
        "failover eu fail_open: no region that is open to the player is healthy",
    ),
    "failing open keeps residency": (
        "open residency",
        {"us": DOWN, "eu": DOWN, "ap": DOWN},
        {"preferred": "us", "residency": "law"},
        "failover eu fail_open: no region is healthy",
    ),
    "failing open with nothing left is the error": (
        "open residency",
        {"eu": HARD, "ap": HARD},
        {"residency": "law"},
        "NoHealthyRegionError: none of 3 regions may take the player: us is not where he may be, eu is drained, "
        "ap is drained",
    ),
    "failing open is for health, not for room": (
        "open load",
        {"us": {"load": 0.95}, "eu": DOWN, "ap": DOWN},
        {"preferred": "us"},
        "NoCapacityError: no region has room: us is full (load 0.95), eu is unhealthy, ap is unhealthy",
    ),
    # R6, where no latency is known
    "a region of unknown latency comes last": (
        "neutral",
        {"us": DOWN, "eu": {"latency_ms": None}},
        {"preferred": "us"},
        "failover ap preferred_unhealthy",
    ),
    "but is never excluded, not by a cap either": (
        "cap",
        {"us": DOWN, "eu": {"latency_ms": None}},
        {"preferred": "us"},
        "failover eu preferred_unhealthy",
    ),
    "among unknown ones the file decides": (
        "cap",
        {
            "us": {**DOWN, "latency_ms": None},
            "eu": {"latency_ms": None, "load": 0.5},
            "ap": {"latency_ms": None, "load": 0},
        },
        {"preferred": "us"},
        "failover eu preferred_unhealthy",
    ),
    # R7
    "a region that rests is passed over": (
        "damping",
        {"us": {"suppressed": True}},
        {},
        "failover eu preferred_flapping",
    ),
    "but not if it is all there is": (
        "damping",
        {"us": {"suppressed": True}, "eu": DOWN, "ap": DOWN},
        {},
        "primary us (damping gave way)",
    ),
    "a rest without the block for it is none": ("neutral", {"us": {"suppressed": True}}, {}, "primary us"),
    "a region that warms up takes its share": ("failback", {"us": {"ramp": 0.0}}, {}, "failover eu preferred_warming"),
    "but everybody where it is all there is": (
        "failback",
        {"us": {"ramp": 0.0}, "eu": DOWN, "ap": DOWN},
        {},
        "primary us (ramp gave way)",
    ),
    "what is beyond the cap is passed over": ("cap", {}, {"preferred": "ap"}, "failover us preferred_too_far"),
    "the cap includes itself": ("cap", {"ap": {"latency_ms": 100.0}}, {"preferred": "ap"}, "primary ap"),
    "beyond the cap is better than nothing": (
        "cap",
        {"us": DOWN, "eu": DOWN},
        {"preferred": "ap"},
        "primary ap (latency gave way)",
    ),
    "the cap widens with the wait": ("widening", {}, {"preferred": "eu", "waited_secs": 10.0}, "primary eu"),
    "not before": ("widening", {}, {"preferred": "eu", "waited_secs": 9.9}, "failover us preferred_too_far"),
    "and ends": ("widening", {}, {"preferred": "ap", "waited_secs": 20.0}, "primary ap"),
    "flapping gives way before distance": (
        "all",
        {"us": {"suppressed": True}, "eu": {"latency_ms": 120.0}},
        {},
        "primary us (damping gave way)",
    ),
    "distance gives way before load": (
        "all",
        {"us": {"load": 0.949999}, "eu": DOWN},
        {},
        "failover ap preferred_over_soft_limit (latency gave way)",
    ),
    "load gives way before a drain": (
        "all",
        {"us": SOFT, "eu": {"load": 0.949999}, "ap": DOWN},
        {},
        "failover eu preferred_draining (soft_load gave way)",
    ),
    "a soft drain gives way last": ("all", {"us": SOFT, "eu": HARD, "ap": DOWN}, {}, "primary us (drain gave way)"),
    "only what the chosen region breaks is said to give way": (
        "all",
        {"us": {"suppressed": True, "load": 0.949999}, "eu": {"load": 0.949999}, "ap": DOWN},
        {},
        "primary us (damping, soft_load gave way)",
    ),
    # R10
    "who returns to a region that warms up is not new": (
        "failback",
        {"us": {"ramp": 0.0, "healthy_secs": 90.0}},
        {"preferred": "us", "sticky": "us"},
        "primary us",
    ),
    "who was sent elsewhere stays until home is calm": (
        "failback",
        {"us": {"healthy_secs": 59.9}},
        {"preferred": "us", "sticky": "ap"},
        "failover ap preferred_warming",
    ),
    "and then goes home": (
        "failback",
        {"us": {"healthy_secs": 60.0}},
        {"preferred": "us", "sticky": "ap"},
        "primary us",
    ),
    "or with his next join": (
        "failback",
        {"us": {"healthy_secs": 1.0}},
        {"preferred": "us", "sticky": "ap", "joining": True},
        "primary us",
    ),
    "nor is he moved on while home is down": (
        "failback",
        {"us": DOWN},
        {"preferred": "us", "sticky": "ap"},
        "failover ap preferred_unhealthy",
    ),
    "unless the region that he is in goes too": (
        "failback",
        {"us": {"healthy_secs": 1.0}, "ap": DOWN},
        {"preferred": "us", "sticky": "ap"},
        "primary us",
    ),
    "a failover follows the token within the slack": (
        "sticky",
        {"us": DOWN, "ap": {"latency_ms": 120.0}},
        {"preferred": "us", "sticky": "ap"},
        "failover ap preferred_unhealthy",
    ),
    "and not beyond": (
        "sticky",
        {"us": DOWN, "ap": {"latency_ms": 120.1}},
        {"preferred": "us", "sticky": "ap"},
        "failover eu preferred_unhealthy",
    ),
    # R11
    "below the soft limit all are taken": ("load", {"us": {"load": 0.8499}}, {}, "primary us"),
    "at the soft limit all are taken": ("load", {"us": {"load": 0.85}}, {}, "primary us"),
    "just below the hard limit hardly one": (
        "load",
        {"us": {"load": 0.949999}},
        {},
        "failover eu preferred_over_soft_limit",
    ),
    "who returns is not spilled": ("load", {"us": {"load": 0.949999}}, {"sticky": "us"}, "primary us"),
    "at the hard limit nobody is": ("load", {"us": {"load": 0.95}}, {"sticky": "us"}, "failover eu preferred_full"),
    "a load that nobody knows limits nothing": ("load", {"us": {"load": None}}, {}, "primary us"),
    "health without room is no capacity": (
        "load",
        {"us": {"load": 0.97}, "eu": {"load": 1.2}, "ap": DOWN},
        {},
        "NoCapacityError: no region has room: us is full (load 0.97), eu is full (load 1.20), ap is unhealthy",
    ),
    "a full region that is closed to him is no capacity of his": (
        "load",
        {"us": {"load": 0.97, "builds": frozenset({"1"})}, "eu": DOWN, "ap": HARD},
        {"build": "2"},
        "NoHealthyRegionError: none of 3 regions may take the player: us has another build, eu is unhealthy, "
        "ap is drained",
    ),
    # R12
    "a soft drain takes nobody who is new": ("neutral", {"us": SOFT}, {}, "failover eu preferred_draining"),
    "but those who return": ("neutral", {"us": SOFT}, {"preferred": "us", "sticky": "us"}, "primary us"),
    "and no new session of theirs": (
        "neutral",
        {"us": SOFT},
        {"preferred": "us", "sticky": "us", "joining": True},
        "failover eu preferred_draining",
    ),
    "a drain that bleeds takes a share": ("neutral", {"us": {**SOFT, "drain_share": 1.0}}, {}, "primary us"),
    "a hard drain takes nobody": (
        "neutral",
        {"us": HARD},
        {"preferred": "us", "sticky": "us"},
        "failover eu preferred_drained",
    ),
    "not even where nothing else is left": (
        "neutral",
        {"us": HARD, "eu": DOWN, "ap": DOWN},
        {"preferred": "us"},
        "NoHealthyRegionError: none of 3 regions may take the player: us is drained, eu is unhealthy, ap is unhealthy",
    ),
    # residency and builds
    "residency leaves its regions": (
        "residency",
        {},
        {"preferred": "us", "residency": "law"},
        "failover eu preferred_not_allowed",
    ),
    "and never gives way": (
        "residency",
        {"eu": DOWN, "ap": DOWN},
        {"preferred": "us", "residency": "law"},
        "NoHealthyRegionError: none of 3 regions may take the player: us is not where he may be, eu is unhealthy, "
        "ap is unhealthy",
    ),
    "a residency that nobody wrote down is refused": (
        "residency",
        {},
        {"residency": "lore"},
        "UnknownResidencyError: no residency rule is named 'lore'; known are law",
    ),
    "a region of another build takes nobody of this one": (
        "neutral",
        {"us": {"builds": frozenset({"1.3", "1.4"})}},
        {"preferred": "us", "build": "1.5"},
        "failover eu preferred_wrong_build",
    ),
    "a client that names no build fits everywhere": (
        "neutral",
        {"us": {"builds": frozenset({"1.3"})}},
        {},
        "primary us",
    ),
}
"""By sentence: the policy, what is unusual of the regions, the request, and the answer in a line."""
