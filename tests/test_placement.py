"""How pods spread: what the scheduler is told, softly and strictly."""

from typing import Any

from aether_deploy import TopologyConfig
from aether_deploy.placement.config import HOST_KEY, ZONE_KEY, spread_fragment

SELECTOR = {"app": "x"}


def constraint(key: str, action: str, **more: Any) -> dict[str, Any]:
    return {
        "maxSkew": 1,
        "topologyKey": key,
        "whenUnsatisfiable": action,
        "labelSelector": {"matchLabels": SELECTOR},
        **more,
    }


def test_soft_spread_only_scores_zones_and_hosts() -> None:
    assert spread_fragment(TopologyConfig(), SELECTOR, revision_label="r") == [
        constraint(ZONE_KEY, "ScheduleAnyway"),
        constraint(HOST_KEY, "ScheduleAnyway"),
    ]


def test_strict_spread_makes_pods_wait_but_not_for_zones_that_are_unreachable() -> None:
    strict = TopologyConfig(strict=True)

    assert spread_fragment(strict, SELECTOR)[0] == constraint(ZONE_KEY, "DoNotSchedule", nodeTaintsPolicy="Honor")


def test_strict_spread_counts_new_pods_apart_from_old_ones_where_both_are_there_in_a_rollout() -> None:
    zone, host = spread_fragment(TopologyConfig(strict=True), SELECTOR, revision_label="pod-template-hash")

    assert zone["matchLabelKeys"] == ["pod-template-hash"]
    assert host == constraint(HOST_KEY, "ScheduleAnyway")


def test_without_zones_pods_spread_over_hosts_alone() -> None:
    topology = TopologyConfig(spread_across_zones=False, strict=True)

    assert spread_fragment(topology, SELECTOR) == [constraint(HOST_KEY, "ScheduleAnyway")]
