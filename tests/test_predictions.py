"""What Kubernetes will do with a workload, said beforehand; real controllers judge the same in test_lab_*."""

import pytest

from aether_deploy import DeploymentConfig, DisruptionBudgetConfig, PvcConfig, ScalingConfig
from aether_deploy.fleet.predictions import Outcome, after_drain, after_scale, after_zone_cut, after_zone_loss
from tests.rule_case import IMAGE

WORLD = DeploymentConfig(
    name="world", namespace="a", image=IMAGE, pvc=PvcConfig(size="1Gi"), scaling=ScalingConfig(min_replicas=2)
)
SERVICE = DeploymentConfig(name="gateway", namespace="a", image=IMAGE, replicas=4)
BOLD = DeploymentConfig(
    name="gateway",
    namespace="a",
    image=IMAGE,
    replicas=4,
    disruption_budget=DisruptionBudgetConfig(max_unavailable=2),
)
PLACED = {"a": 2, "b": 1, "c": 1}

CASES: dict[str, tuple[Outcome, Outcome]] = {
    "durable pods wait for the zone of their volumes": (
        after_zone_loss(WORLD, PLACED, "a"),
        Outcome(ready=2, pending=2, fewest=2),
    ),
    "stateless pods move to other zones": (after_zone_loss(SERVICE, PLACED, "a"), Outcome(ready=4, fewest=2)),
    "without another zone nothing runs": (after_zone_loss(SERVICE, {"a": 4}, "a"), Outcome(ready=0, pending=4)),
    "a zone without pods changes nothing": (after_zone_loss(WORLD, PLACED, "d"), Outcome(ready=4, fewest=4)),
    "no second pod takes an ordinal that may still run": (
        after_zone_cut(WORLD, PLACED, "a"),
        Outcome(ready=2, ending=2, fewest=2),
    ),
    "a drained node's pods find another": (after_drain(SERVICE, 4, here=2), Outcome(ready=4, fewest=3)),
    "a wider budget lets more go at a time": (after_drain(BOLD, 4, here=2), Outcome(ready=4, fewest=2)),
    "a drain stops at the budget where no node takes the pods": (
        after_drain(WORLD, 4, here=2, company=False),
        Outcome(ready=3, pending=1, fewest=3),
    ),
    "an autoscaler raises what is too low": (after_scale(WORLD, 1, before=3), Outcome(ready=2, fewest=2)),
    "zero switches an autoscaler off": (after_scale(WORLD, 0, before=3), Outcome(ready=0)),
    "without one the count is what was said": (after_scale(SERVICE, 7, before=4), Outcome(ready=7, fewest=4)),
}


@pytest.mark.parametrize("claim", CASES)
def test_it_is_predicted_that(claim: str) -> None:
    predicted, expected = CASES[claim]

    assert predicted == expected
