"""Hours of faults against the tracker and the decision of routers: every promise is kept, and all come home."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from aether_deploy.routing.policy import (
    DampingPolicy,
    FailbackPolicy,
    HealthPolicy,
    LatencyPolicy,
    LoadPolicy,
    ResidencyRule,
)
from aether_deploy.routing.router_config import RouterConfig, RouterRegion
from aether_deploy.simulation.routing.checking import latencies_from
from aether_deploy.simulation.routing.events import FAULT_KINDS, FaultKind, plan_faults
from aether_deploy.simulation.routing.simulating import home_bound_secs, simulate_routing
from tests.routing_worlds import router

HOURS = 0.05
WORLDS: dict[str, RouterConfig] = {
    "every rule": router(),
    "the specification's three rules": router(damping=None, failback=None, load=None, latency=None),
    "five regions": router(("us", "eu", "ap", "sa", "af"), capacity=40),
    "two regions, no matter how full": router(("us", "eu"), load=None),
    "one region": router(("us",)),
    "a cap on latency": router(latency=LatencyPolicy(tie_ms=0, max_ms=60)),
    "ties by load": router(latency=LatencyPolicy(tie_ms=40)),
    "small regions": router(capacity=15),
    "hasty probes": router(health=HealthPolicy(fall=1, rise=1, interval_ms=2000, timeout_ms=1500)),
    "no ramp": router(failback=FailbackPolicy(ramp_secs=0, hold_secs=20)),
    "a narrow damping": router(
        damping=DampingPolicy(suppress=1200, reuse=1000, half_life_secs=10, max_suppress_secs=60)
    ),
    "leases and reports of the defaults": router(load=LoadPolicy()),
    "residents, and open doors": router(
        residency=[ResidencyRule(name="eu", regions=["eu", "ap"])], on_none_healthy="fail_open"
    ),
}
REGRESSION_SEEDS: tuple[tuple[int, tuple[FaultKind, ...]], ...] = (
    (505, ("flaps", "reload")),  # a region that warmed up after a rest took everybody at once after a reload
)


@pytest.mark.parametrize("seed,world", list(enumerate(WORLDS)))
def test_every_promise_is_kept_in(seed: int, world: str) -> None:
    run = simulate_routing(WORLDS[world], seed=seed, hours=HOURS, fault_every_secs=10)

    assert run.home_after_secs < run.home_bound_secs, f"seed {seed}"
    assert run.decisions > 500


@pytest.mark.parametrize("seed,kinds", REGRESSION_SEEDS)
def test_what_went_wrong_once_is_right(seed: int, kinds: tuple[FaultKind, ...]) -> None:
    run = simulate_routing(router(), seed=seed, hours=0.04, fault_every_secs=8, kinds=kinds)

    assert run.home_after_secs < run.home_bound_secs


def test_every_kind_of_fault_happens_and_leaves_its_mark() -> None:
    marks = ("rests", "ramp 0.", "(old)", "drain soft", "drain hard", "stale", "unhealthy", "answers not_ready")
    runs = [simulate_routing(router(), seed=seed, hours=0.1, fault_every_secs=8) for seed in range(100, 102)]
    told = "\n".join(line for run in runs for line in run.trace)

    assert {fault.kind for run in runs for fault in run.faults} == set(FAULT_KINDS)
    assert [mark for mark in marks if mark not in told] == []
    assert min(run.joined for run in runs) > 100
    assert sum(run.refused for run in runs) > 0
    assert min(run.moves for run in runs) > 0


def test_all_faults_are_over_when_they_should_be() -> None:
    from random import Random

    for seed in range(20):
        plan = plan_faults(router(), Random(seed), until_secs=300, every_secs=10)

        assert [fault.at_secs for fault in plan] == sorted(fault.at_secs for fault in plan), f"seed {seed}"
        assert max(fault.ends_at for fault in plan) <= 300, f"seed {seed}"


def test_the_bound_until_all_are_home_is_the_sum_of_what_the_rules_allow() -> None:
    # two detections of 3.8 s, two recoveries of 2.7 s, the longest rest, the longer of ramp and hold, a report
    assert home_bound_secs(router()) == pytest.approx(2 * 3.8 + 2 * 2.7 + 60 + 30 + 2)
    assert home_bound_secs(router(damping=None, failback=None)) == pytest.approx(2 * 3.8 + 2 * 2.7 + 2)


def test_a_region_whose_latency_nobody_knows_is_the_last_choice_of_the_judge_too() -> None:
    config = RouterConfig(regions=[RouterRegion(code="us", latency_ms=3), RouterRegion(code="eu")])

    assert latencies_from("us", config) == {"us": 3, "eu": float("inf")}


TELL = """
import hashlib
from aether_deploy.simulation.routing.simulating import simulate_routing
from tests.routing_worlds import router
run = simulate_routing(router(), seed=5, hours=0.03, fault_every_secs=10)
print(hashlib.sha256(repr((run.faults, run.trace, run.decisions)).encode()).hexdigest())
"""


def test_equal_seeds_give_equal_traces_whatever_the_hash_seed_and_others_do_not() -> None:
    here = Path(__file__).parents[1]
    digests = {
        subprocess.run(
            [sys.executable, "-c", TELL],
            cwd=here,
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": f"{here}"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for hash_seed in ("0", "77")
    }
    run = simulate_routing(router(), seed=5, hours=0.03, fault_every_secs=10)
    other = simulate_routing(router(), seed=6, hours=0.03, fault_every_secs=10)

    assert digests == {hashlib.sha256(repr((run.faults, run.trace, run.decisions)).encode()).hexdigest()}
    assert other.trace != run.trace
