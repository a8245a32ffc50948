"""What is simulated: the cluster, its store, its load, and how long things take."""

from collections.abc import Mapping
from typing import Any

import msgspec

from aether_deploy.failover.policy import FailoverPolicy
from aether_deploy.failover.timings import StoreKind, store_of

Span = tuple[float, float]


class Durations(msgspec.Struct, frozen=True, kw_only=True):
    """How long things take, seconds; each time anew between the two.

    The defaults were measured with Patroni 4.1.5 and PostgreSQL 18 on one machine with idle disks.

    Attributes:
        store: A call to the store.
        event: Until a watcher learns of a change.
        answer: A member's answer about itself.
        reset: Until a dead process is known as such, on a machine that lives.
        reload: Until PostgreSQL has taken a changed setting.
        promote: From the key to the first write.
        crash_start: Recovery of a crashed primary, in place.
        replica_start: Start as a replica.
        rewind: Until a former primary follows again.
        stop: Until a primary has written that it is shut down.
        release: From a primary found crashed to its key released.
        stream: Until a write has reached a replica.
        request: Until a human's request is in the store.
        retry: Between two attempts to reach the store.
    """

    store: Span = (0.001, 0.003)
    event: Span = (0.003, 0.01)
    answer: Span = (0.005, 0.03)
    reset: Span = (0.001, 0.004)
    reload: Span = (0.005, 0.05)
    promote: Span = (0.05, 0.12)
    crash_start: Span = (2.6, 3.6)
    replica_start: Span = (0.5, 2.0)
    rewind: Span = (2.0, 5.0)
    stop: Span = (0.27, 0.32)
    release: Span = (0.3, 1.9)
    stream: Span = (0.00002, 0.0002)
    request: Span = (0.02, 0.15)
    retry: Span = (0.4, 1.4)


class FailoverSetup(msgspec.Struct, frozen=True, kw_only=True):
    """A cluster as it is before the fault: one leader, all replicas streaming.

    Attributes:
        policy: Its policy.
        members: Members that hold data.
        store: Where it keeps its keys.
        name: What members are called, before ``-0``, ``-1``, ...
        writes_per_sec: Transactions of all clients together, on every PostgreSQL that takes writes.
        write_bytes: WAL of one transaction, bytes.
        lag_bytes: How far behind a member is held, by name, bytes.
        tags: Patroni's tags of a member, by name.
        standby_cluster: It follows another cluster.
        replay_secs: What a replica has still to replay when it is promoted, seconds.
        latest_phase: The fault comes within this part of a loop after the leader's last renewal.
        heals_after_secs: When the fault ends; None: as usual for its kind.
        durations: How long things take.

    Raises:
        ValueError: If there is no such store.
    """

    policy: FailoverPolicy
    members: int = 3
    store: StoreKind = "kubernetes"
    name: str = "pg"
    writes_per_sec: float = 50.0
    write_bytes: int = 200
    lag_bytes: Mapping[str, int] = {}
    tags: Mapping[str, Mapping[str, Any]] = {}
    standby_cluster: bool = False
    replay_secs: float = 0.0
    latest_phase: float = 1.0
    heals_after_secs: float | None = None
    durations: Durations = Durations()

    def __post_init__(self) -> None:
        """Refuse a store that is unknown before anything runs."""
        store_of(self.store)

    @property
    def names(self) -> tuple[str, ...]:
        """The members; the first leads."""
        return tuple(f"{self.name}-{number}" for number in range(self.members))

    @property
    def bytes_per_sec(self) -> float:
        """WAL of the load, bytes in a second."""
        return self.writes_per_sec * self.write_bytes
