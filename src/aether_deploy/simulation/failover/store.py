"""The store of keys: a leader's key with a life, seen through each store's own ways of expiring and telling.

``etcd3`` deletes a key some time after its life is over and tells all watchers. ``raft`` does within 50 ms. In
Kubernetes nothing expires: each member watches the leader's record for itself, on its own clock, and looks only when
its loop comes round. While the store is gone nothing expires; etcd gives keys a whole life when it is back.

Rule of it all: Patroni 4.1.5, ``patroni/dcs/etcd3.py``, ``kubernetes.py``, ``raft.py``.
"""

from collections.abc import Callable
from random import Random

from aether_deploy.failover.seen import FailoverKey, SyncKey
from aether_deploy.failover.timings import EXPIRY_SECS, StoreKind
from aether_deploy.simulation.failover.engine import Engine


class Sighting:
    """What one member last saw of the leader's record, and when, by its own clock."""

    __slots__ = ("at", "version")

    def __init__(self) -> None:
        self.version, self.at = -1, 0.0


class Store:
    """The keys of one cluster.

    Attributes:
        leader: Who holds the leader's key.
        version: Changes with every write of it.
        expires: When its life ends, seconds.
        optime: Position that the leader published last, bytes.
        published_at: When that was, seconds.
        sync: ``/sync``.
        sync_version: Changes with every write of it.
        failover: ``/failover``.
        failsafe: Members of ``/failsafe``; None: no such key.
        timeline: The last one in ``/history``.
        down: The store does not answer: ``refused`` at once, ``hung`` not at all; None: it answers.
        paused: The configuration says so.
        standby_cluster: The configuration names a cluster to follow.
        takeovers: How often the key was taken.
    """

    def __init__(self, kind: StoreKind, ttl: float, engine: Engine, rng: Random, tell: Callable[..., None]) -> None:
        self.kind, self.ttl = kind, ttl
        self.leader: str | None = None
        self.version, self.expires = 0, 0.0
        self.optime, self.published_at = 0, 0.0
        self.sync, self.sync_version = SyncKey(), 0
        self.failover: FailoverKey | None = None
        self.failsafe: frozenset[str] | None = None
        self.timeline = 0
        self.down: str | None = None
        self.paused = self.standby_cluster = False
        self.takeovers = 0
        self._touched: dict[str, float] = {}
        self._sightings: dict[str, Sighting] = {}
        self._engine, self._rng, self._tell = engine, rng, tell
        self._watched = False

    # --- reading

    def holder(self, reader: str) -> str | None:
        """Return who holds the key, as ``reader`` sees it now."""
        if self.kind != "kubernetes":
            return self.leader
        seen = self._sightings.setdefault(reader, Sighting())
        if seen.version != self.version:
            seen.version, seen.at = self.version, self._engine.now
        return self.leader if seen.at + self.ttl >= self._engine.now else None

    def members(self) -> tuple[str, ...]:
        """Return the members that the store knows; a member's key lives as long as the leader's, a pod as it is."""
        if self.kind == "kubernetes":
            return tuple(self._touched)
        life, now = self.ttl + EXPIRY_SECS[self.kind], self._engine.now
        return tuple(name for name, at in self._touched.items() if at + life > now)

    # --- writing

    def touch(self, name: str) -> None:
        """Renew a member's own key."""
        self._touched[name] = self._engine.now

    def renew(self, name: str) -> bool:
        """Renew the leader's key; return whether ``name`` still held it."""
        if self.leader != name or (self.kind != "kubernetes" and self.expires <= self._engine.now):
            return False
        self._hold(name)
        if self.kind == "kubernetes":
            self._tell(name, "renewed")
        return True

    def publish(self, name: str, optime: int) -> None:
        """Write the leader's position to ``/status``."""
        changed = optime != self.optime
        self.optime, self.published_at = optime, self._engine.now
        if changed and self.kind != "kubernetes":
            self._tell(name, "status")

    def take(self, name: str, *, compare: bool = True) -> bool:
        """Take the key that nobody holds; return whether it was free.

        Args:
            name: Who takes it.
            compare: Look whether it is free, which is what keeps two from holding it.
        """
        if compare and not self._is_free(name):
            return False
        self._hold(name)
        self.takeovers += 1
        self._tell(None, "leader")
        return True

    def _is_free(self, name: str) -> bool:
        if self.kind == "kubernetes":
            seen = self._sightings.get(name)
            return seen is not None and seen.version == self.version
        return self.leader is None

    def _hold(self, name: str) -> None:
        self.leader = name
        self.version += 1
        self.expires = self._engine.now + self.ttl
        if self.kind == "kubernetes":
            seen = self._sightings.setdefault(name, Sighting())
            seen.version, seen.at = self.version, self._engine.now
        elif not self._watched:
            self._watched = True
            self._engine.call(self.expires, self._end_of_life)

    def release(self, name: str, optime: int | None = None) -> None:
        """Delete the key, if ``name`` holds it."""
        if self.leader != name:
            return
        if optime is not None:
            self.optime, self.published_at = optime, self._engine.now
        self._free()

    def write_sync(self, key: SyncKey, version: int) -> bool:
        """Write ``/sync`` unless somebody else did; return whether it was written."""
        if version != self.sync_version:
            return False
        self.sync = key
        self.sync_version += 1
        return True

    def configure(self, *, paused: bool | None = None, standby_cluster: bool | None = None) -> None:
        """Change the dynamic configuration."""
        self.paused = self.paused if paused is None else paused
        self.standby_cluster = self.standby_cluster if standby_cluster is None else standby_cluster
        self._tell(None, "config")

    # --- life and death

    def lose(self, how: str) -> None:
        """The store does not answer from now on."""
        self.down = how

    def restore(self) -> None:
        """The store answers again."""
        self.down = None
        if self.kind == "etcd3" and self.leader is not None:
            self.expires = self._engine.now + self.ttl
        if self.kind != "kubernetes" and self.leader is not None and not self._watched:
            self._watched = True
            self._engine.call(max(self.expires, self._engine.now), self._end_of_life)

    def _end_of_life(self) -> None:
        self._watched = False
        if self.leader is None or self.down is not None:
            return
        self._watched = True
        if self.expires > self._engine.now:
            self._engine.call(self.expires, self._end_of_life)
            return
        late = self._rng.uniform(0.0, EXPIRY_SECS[self.kind])
        version = self.version
        self._engine.call(self._engine.now + late, lambda: self._expire(version))

    def _expire(self, version: int) -> None:
        if self.version == version and self.down is None:
            self._watched = False
            self._free()
        else:
            self._end_of_life()

    def _free(self) -> None:
        self.leader = None
        self.version += 1
        self._tell(None, "leader")
