"""What a member knows when it decides: its own state, the keys in the store, and what the others said."""

from collections.abc import Iterable, Mapping
from typing import Any, Literal

import msgspec

from aether_deploy.failover.effective import read_number


class SyncKey(msgspec.Struct, frozen=True, kw_only=True):
    """The key ``/sync``: who has every acknowledged write.

    Attributes:
        leader: The leader that wrote it; None: there is no such key, or it is void.
        standbys: Synchronous replicas; by quorum, the voters.
        quorum: How many voters a candidate must hear besides itself.
    """

    leader: str | None = None
    standbys: frozenset[str] = frozenset()
    quorum: int = 0

    @property
    def members(self) -> frozenset[str]:
        """The leader and the standbys; nobody where the key is void."""
        return frozenset() if self.leader is None else self.standbys | {self.leader}


class FailoverKey(msgspec.Struct, frozen=True, kw_only=True):
    """The key ``/failover``: what a human asked for.

    Attributes:
        leader: Who is to step down; named by a switchover, not by a failover.
        candidate: Who is to lead; None: anybody.
        scheduled: It is for later.
    """

    leader: str | None = None
    candidate: str | None = None
    scheduled: bool = False


class Peer(msgspec.Struct, frozen=True, kw_only=True):
    """What a member said of itself, or that it said nothing.

    Attributes:
        name: Its name.
        reachable: It answered within the time, with the state of its PostgreSQL.
        in_recovery: It is a replica; None where that is not known.
        lsn: The larger of what it received and replayed, bytes.
        timeline: Its timeline; 0: not known.
        nofailover: It may not lead.
        priority: Its ``failover_priority``.
        watchdog_failed: It needs a watchdog and has none.
    """

    name: str
    reachable: bool = True
    in_recovery: bool | None = True
    lsn: int = 0
    timeline: int = 0
    nofailover: bool = False
    priority: int = 1
    watchdog_failed: bool = False

    @property
    def hindrance(self) -> str | None:
        """Why it cannot lead, or None."""
        if not self.reachable:
            return "not reachable"
        if self.nofailover:
            return "not allowed to lead"
        return "without a watchdog" if self.watchdog_failed else None


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """A member as the store knows it, or ``/failsafe`` alone."""

    name: str
    nofailover: bool = False


class RaceView(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a member decides by when nobody leads, and when it asks whether another could.

    Attributes:
        me: Its name.
        role: Its PostgreSQL: a replica, a primary that runs, or one that is starting.
        lsn: The larger of what it received and replayed, bytes; sampled before the others are asked.
        timeline: Its timeline; None: not known.
        nofailover: It may not lead.
        priority: Its ``failover_priority``.
        watchdog_usable: No watchdog is required, or there is one.
        same_system: Its data belong to this cluster.
        released_secs_ago: When it gave the key back because a script before promotion failed, seconds; None: never.
        ttl: Life of the leader's key, seconds.
        optime: What the last leader published of its position, bytes.
        cluster_timeline: The timeline of the cluster, by ``/history``; 0: not known.
        maximum_lag: ``maximum_lag_on_failover``, bytes.
        check_timeline: ``check_timeline``.
        synchronous: ``synchronous_mode``; false in a standby cluster.
        standby_cluster: The cluster follows another one.
        paused: Nobody takes over by itself.
        failsafe_mode: ``failsafe_mode``.
        failsafe: Members of ``/failsafe``; None: no such key, or none that can be read.
        sync: ``/sync``.
        failover: ``/failover``, if any.
        members: Members in the store.
        former_members: Those when there was a leader last.
        former_leader: That leader.
    """

    me: str
    role: Literal["replica", "primary", "starting"] = "replica"
    lsn: int = 0
    timeline: int | None = None
    nofailover: bool = False
    priority: int = 1
    watchdog_usable: bool = True
    same_system: bool = True
    released_secs_ago: float | None = None
    ttl: int = 30
    optime: int = 0
    cluster_timeline: int = 0
    maximum_lag: int = 1_048_576
    check_timeline: bool = False
    synchronous: bool | Literal["quorum"] = False
    standby_cluster: bool = False
    paused: bool = False
    failsafe_mode: bool = False
    failsafe: frozenset[str] | None = None
    sync: SyncKey = SyncKey()
    failover: FailoverKey | None = None
    members: tuple[Known, ...] = ()
    former_members: tuple[Known, ...] = ()
    former_leader: str | None = None

    @property
    def request(self) -> FailoverKey | None:
        """What a human asked for; a key that names nobody asks for nothing."""
        asked = self.failover
        return asked if asked is not None and (asked.leader or asked.candidate) else None

    @property
    def sync_is_active(self) -> bool:
        """Whether a synchronous mode is on and a leader has written ``/sync``."""
        return self.synchronous is not False and self.sync.leader is not None

    @property
    def quorum_is_active(self) -> bool:
        """Whether that mode is ``quorum``."""
        return self.synchronous == "quorum" and self.sync.leader is not None

    def lags(self, lsn: int) -> bool:
        """Return whether a position is farther behind the last one published than the limit."""
        return self.optime - lsn > self.maximum_lag


def known(names: Iterable[str]) -> tuple[Known, ...]:
    """Return members of whom only the names are known."""
    return tuple(Known(name=name) for name in names)


def failover_tags(tags: Mapping[str, Any]) -> tuple[bool, int]:
    """Return whether a member may never lead, and its priority, as the daemon reads its tags.

    ``nofailover`` wins where it is given; without it a priority of 0 or less says the same. A priority that is no
    number is 1.

    Rule:
        Patroni, ``patroni/tags.py``.
    """
    refused, priority = tags.get("nofailover"), read_number(tags.get("failover_priority"))
    never = bool(refused) if refused is not None else priority is not None and priority <= 0
    return never, 0 if refused else 1 if priority is None else priority
