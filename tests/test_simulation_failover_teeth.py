"""A broken rule is caught: each of these clusters decides by one rule less, and a promise breaks."""

from collections.abc import Iterable
from typing import Any

import msgspec
import pytest

from aether_deploy.failover.cycle import Situation, Step, decide_step
from aether_deploy.failover.election import Verdict, decide_alone, judge_peers
from aether_deploy.failover.policy import FailoverPolicy
from aether_deploy.failover.quorum import QuorumState, Resolution, resolve_quorum
from aether_deploy.failover.seen import Peer, RaceView, SyncKey
from aether_deploy.problems import InvariantError
from aether_deploy.simulation.failover.rules import Rules
from aether_deploy.simulation.failover.run import simulate_failover
from aether_deploy.simulation.failover.setup import FailoverSetup

TRIES = 60


def cluster(**changes: Any) -> FailoverSetup:
    policy = {"ttl": 20, "loop_wait": 2, "retry_timeout": 3, **changes.pop("policy", {})}
    return FailoverSetup(policy=FailoverPolicy(**policy), **{"store": "etcd3", **changes})


def sweep(setup: FailoverSetup, fault: str, rules: Rules) -> None:
    for seed in range(TRIES):
        simulate_failover(setup, fault=fault, seed=seed, rules=rules)


def _without_lag_check(view: RaceView) -> Verdict | None:
    return decide_alone(msgspec.structs.replace(view, maximum_lag=10**18))


def _without_sync_check(view: RaceView) -> Verdict | None:
    return decide_alone(msgspec.structs.replace(view, sync=SyncKey()))


def _never_demotes(seen: Situation) -> Step:
    step = decide_step(seen)
    return Step("wait", "goes on") if step.kind == "demote" else step


def _counts_no_votes(view: RaceView, peers: Iterable[Peer], *, former_leader: str | None) -> Verdict:
    return Verdict(may_lead=True, rule="healthiest", reason="asked nobody")


def _asks_for_no_quorum(view: RaceView, peers: Iterable[Peer], *, former_leader: str | None) -> Verdict:
    key = msgspec.structs.replace(view.sync, quorum=0)
    within = [peer for peer in peers if peer.lsn <= view.lsn]
    return judge_peers(msgspec.structs.replace(view, sync=key), within, former_leader=former_leader)


def _publishes_a_small_quorum(state: QuorumState) -> Resolution:
    steps = resolve_quorum(state).steps
    small = [msgspec.structs.replace(step, number=0) if step.kind == "publish" else step for step in steps]
    return Resolution(tuple(small))


LAGGING = {"pg-1": 3_000_000, "pg-2": 3_000_000}
BROKEN: dict[str, tuple[FailoverSetup, str, Rules, str]] = {
    "lag is not checked": (
        cluster(lag_bytes=LAGGING),
        "leader-killed",
        Rules(alone=_without_lag_check),
        "beyond the lag limit",
    ),
    "the key is created without a look": (
        cluster(),
        "leader-killed",
        Rules(compare=False),
        "two holders of the key",
    ),
    "a leader that lost the store goes on": (
        cluster(),
        "leader-cut-off",
        Rules(step=_never_demotes),
        "still takes writes",
    ),
    "anybody takes over in a synchronous mode": (
        cluster(policy={"synchronous_mode": True}, lag_bytes={"pg-2": 10_000}),
        "leader-killed",
        Rules(alone=_without_sync_check, to_ask=lambda _: (), judge=_counts_no_votes),
        "is not in /sync",
    ),
    "a quorum is not asked": (
        cluster(policy={"synchronous_mode": "quorum"}, lag_bytes={"pg-2": 10_000}),
        "leader-killed",
        Rules(judge=_counts_no_votes),
        "was promoted without",
    ),
    "votes of those who are ahead are not missed": (
        cluster(policy={"synchronous_mode": "quorum"}, lag_bytes={"pg-2": 10_000}),
        "leader-killed",
        Rules(judge=_asks_for_no_quorum),
        "was promoted without",
    ),
    "the quorum that is published is too small": (
        cluster(policy={"synchronous_mode": "quorum"}, members=4, lag_bytes={"pg-2": 10_000, "pg-3": 10_000}),
        "leader-cut-off",
        Rules(by_quorum=_publishes_a_small_quorum, judge=_asks_for_no_quorum),
        "was promoted without",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_rule_is_caught_where(case: str) -> None:
    setup, fault, rules, says = BROKEN[case]

    with pytest.raises(InvariantError, match=says) as caught:
        sweep(setup, fault, rules)

    assert "\nseed " in str(caught.value)
    assert "fault: " in str(caught.value)


@pytest.mark.parametrize("case", BROKEN)
def test_the_same_cluster_keeps_its_promises_by_the_rules_of_production(case: str) -> None:
    setup, fault, _, _ = BROKEN[case]

    for seed in range(10):
        simulate_failover(setup, fault=fault, seed=seed)
