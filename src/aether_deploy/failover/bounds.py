"""How long a failover takes and what it may lose, for each failure: best, mean and worst, with the formula.

``φ`` is the time between the leader's last renewal of its key and the failure. It lies anywhere in ``0..loop_wait``, so
that what depends on it has its mean in the middle.
"""

from aether_deploy.failover.bound import FailoverBound, FailoverBounds
from aether_deploy.failover.bound_case import Case
from aether_deploy.failover.bound_rows import ROWS
from aether_deploy.failover.policy import FailoverPolicy
from aether_deploy.failover.timings import StoreKind, store_of

__all__ = ["FailoverBound", "FailoverBounds", "bounds"]


def bounds(
    policy: FailoverPolicy,
    *,
    dcs: StoreKind = "kubernetes",
    members: int = 3,
    black_hole: bool = True,
    replay_secs: float = 0.0,
    repair_secs: float | None = None,
) -> FailoverBounds:
    """Return what to expect of each failure.

    Args:
        policy: The policy.
        dcs: The store of keys.
        members: Members that hold data.
        black_hole: Packets to a lost machine vanish; else something refuses them at once.
        replay_secs: What a replica has to replay when it is promoted, seconds.
        repair_secs: How long a Patroni that hangs or is dead stays so, seconds; None: nobody says.

    Raises:
        TypeError: If ``policy`` is no policy, or ``members`` no whole number.
        ValueError: If there is no such store, or there are fewer than two members.
    """
    if not isinstance(policy, FailoverPolicy):
        raise TypeError(f"policy is {policy!r}, and no FailoverPolicy; FailoverPolicy() has all defaults")
    if not isinstance(members, int):
        raise TypeError(f"members is {members!r}, and no whole number")
    store = store_of(dcs)
    if members < 2:
        raise ValueError(f"{members} member has nobody to fail over to")
    case = Case(policy, store, members, black_hole=black_hole, replay_secs=replay_secs, repair_secs=repair_secs)
    return FailoverBounds(dcs=store, rows=tuple(row(case) for row in ROWS))
