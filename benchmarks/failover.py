"""How many failovers of a database are simulated in a second: in the default policy, and in the busiest one."""

import time

from aether_deploy.failover.policy import FailoverPolicy
from aether_deploy.simulation.failover.run import iterate_failovers
from aether_deploy.simulation.failover.setup import FailoverSetup

RUNS = 10_000
POLICIES = {
    "by default": FailoverPolicy(),
    "by quorum, every 2 s": FailoverPolicy(ttl=20, loop_wait=2, retry_timeout=3, synchronous_mode="quorum"),
}


def measure() -> dict[str, float]:
    """Return simulated failovers a second of processor time, over 10,000 runs."""
    found = {}
    for name, policy in POLICIES.items():
        began = time.process_time()
        runs = sum(1 for _ in iterate_failovers(FailoverSetup(policy=policy), fault="node-loss", runs=RUNS, seed=1))
        assert runs == RUNS
        found[f"elections {name}, simulated a second"] = RUNS / (time.process_time() - began)
    return found
