"""One failure of a running cluster, and what it cost: from the lease and from what clients were promised."""

import time
from collections.abc import Callable

import msgspec

from aether_deploy.lab.patroni.cluster import PatroniCluster
from aether_deploy.lab.patroni.member import PatroniMember

Fail = Callable[[PatroniMember], float]
"""Lets a member fail and returns when that was, seconds of the monotonic clock."""

_WITHIN_SECS = 120.0


class Takeover(msgspec.Struct, frozen=True, kw_only=True):
    """How another member took over from one that failed.

    Attributes:
        victim: Who failed.
        successor: Who took over.
        phase_secs: Age of the lease when it failed, seconds.
        detected_secs: From the failure until another member took the lease.
        writable_secs: From the failure until a client's row was acknowledged by another member.
        gap_secs: The longest time from the failure on in which no member acknowledged anything.
        dual_secs: For how long both took rows.
        acknowledged: Rows that clients were promised, from before the failure until the cluster was healthy again.
        lost: Those that the cluster does not have afterwards.
    """

    victim: str
    successor: str
    phase_secs: float
    detected_secs: float
    writable_secs: float
    gap_secs: float
    dual_secs: float
    acknowledged: int
    lost: int


def measure_takeover(
    cluster: PatroniCluster, fail: Fail, *, phase_secs: float, within_secs: float = _WITHIN_SECS
) -> Takeover:
    """Let the leader fail at a phase of its lease, wait until another member writes, and mend what failed.

    Args:
        cluster: A healthy cluster whose writers write.
        fail: How the leader fails.
        phase_secs: How old the lease is to be then, seconds; less than ``loop_wait``.
        within_secs: How long to wait for the other member, seconds.

    Raises:
        EffectError: Nobody took over in time, or the cluster did not become healthy again.
    """
    begun = time.monotonic()
    cluster.at_phase(phase_secs)
    victim = cluster.leader().name
    moment = fail(cluster.members[victim])
    cluster.wait_taken(moment, not_by=victim, within_secs=within_secs)
    first = cluster.writers.wait_written(moment, within_secs, not_to=victim)
    taken = cluster.lease.taken_after(moment, not_by=victim)
    renewed = cluster.lease.renewed_before(moment)
    assert taken is not None
    assert renewed is not None
    gap = cluster.writers.longest_gap_secs(moment, first.at)
    cluster.restore()
    return Takeover(
        victim=victim,
        successor=first.member,
        phase_secs=moment - renewed,
        detected_secs=taken.at - moment,
        writable_secs=first.at - moment,
        gap_secs=gap,
        dual_secs=cluster.writers.dual_secs(moment, victim),
        acknowledged=len(cluster.writers.acknowledged(begun)),
        lost=len(cluster.writers.lost(cluster.leader().name, begun)),
    )
