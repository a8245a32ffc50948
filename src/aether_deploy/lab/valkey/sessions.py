"""Clients that write sessions into a cluster without a pause, and remember what was acknowledged, and when."""

import contextlib
import threading
import time
from binascii import crc_hqx
from itertools import pairwise
from types import TracebackType
from typing import Self

import msgspec

from aether_deploy.infrastructure.valkey.layout import SLOTS, slot_ranges
from aether_deploy.infrastructure.valkey.ports import CLIENT
from aether_deploy.jobs.valkey_protocol import Connection, NoAnswer, Refused
from aether_deploy.lab.valkey.cluster import PASSWORD, ValkeyCluster
from aether_deploy.lab.valkey.node_client import NodeClient

_ANSWER_SECS = 0.3
_PAUSE_SECS = 0.002
_RETRY_SECS = 0.02
_SESSION_SECS = 3600


def slot_of(key: str) -> int:
    """Return the hash slot of a key (Valkey cluster specification, "Hash tags"); this reads no tags."""
    return crc_hqx(key.encode(), 0) % SLOTS


class Acknowledged(msgspec.Struct, frozen=True):
    """A write that was acknowledged: its key, and when, by a clock that never goes back, seconds."""

    key: str
    at: float


class SessionWriter(threading.Thread):
    """Writes sessions of one shard, one after another, and follows where nodes send it.

        with SessionWriter(valkey, shard=0) as writer:
            valkey.kill(valkey.pod(0))
            ...
        print(writer.longest_gap_secs)

    Attributes:
        written: Every write that was acknowledged, in order.
        moved_to: The host names that nodes sent it to.
    """

    def __init__(self, cluster: ValkeyCluster, shard: int) -> None:
        """Prepare to write to ``shard``."""
        super().__init__(name=f"sessions-{shard}", daemon=True)
        self.written: list[Acknowledged] = []
        self.moved_to: set[str] = set()
        self._cluster = cluster
        self._slots = slot_ranges(cluster.config.shards)[shard]
        self._over = threading.Event()
        self._client = NodeClient(cluster, answer_secs=_ANSWER_SECS)
        self._next = 0

    def __enter__(self) -> Self:
        self.start()
        while self.is_alive() and not self.written:
            time.sleep(_RETRY_SECS)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self.join()

    def run(self) -> None:
        """Write until the block is left."""
        while not self._over.is_set():
            key = self._new_key()
            while not self._over.is_set() and not self._write(key):
                time.sleep(_RETRY_SECS)
            time.sleep(_PAUSE_SECS)
        self._client.leave()

    @property
    def longest_gap_secs(self) -> float:
        """The longest time between two acknowledged writes, seconds."""
        times = [each.at for each in self.written]
        return max((later - earlier for earlier, later in pairwise(times)), default=0.0)

    def wait_for_write(self, after: float, within_secs: float) -> float:
        """Wait until a write is acknowledged later than ``after``; return how much later the first was, seconds.

        Raises:
            TimeoutError: None is.
        """
        deadline = time.monotonic() + within_secs
        while time.monotonic() < deadline:
            found = next((each.at for each in self.written[-200:] if each.at > after), None)
            if found is not None:
                return found - after
            time.sleep(_RETRY_SECS)
        raise TimeoutError(f"no write within {within_secs:g} s")

    def _new_key(self) -> str:
        first, last = self._slots
        while True:
            self._next += 1
            key = f"session-{self._next}"
            if first <= slot_of(key) <= last:
                return key

    def _write(self, key: str) -> bool:
        """Return whether a write was acknowledged; else where to try next has been found, or not yet."""
        try:
            self._client.connected().call("SETEX", key, str(_SESSION_SECS), "player")
        except Refused as error:
            self._follow(str(error))
            return False
        except NoAnswer:
            self._client.look_around()
            return False
        self.written.append(Acknowledged(key, time.monotonic()))
        return True

    def _follow(self, error: str) -> None:
        if not error.startswith("MOVED "):
            self._client.look_around()
            return
        host = error.split(" ")[2].rpartition(":")[0]
        self.moved_to.add(host)
        self._client.turn_to(self._cluster.hosts.get(host, ""))


def missing_of(cluster: ValkeyCluster, written: list[Acknowledged]) -> list[Acknowledged]:
    """Return which acknowledged writes no primary has."""
    owners = cluster.primaries()
    ranges = slot_ranges(cluster.config.shards)
    found = []
    with contextlib.ExitStack() as stack:
        connections = {
            shard: stack.enter_context(Connection((cluster.places[pod].address, CLIENT[1]), answer_secs=10.0))
            for shard, pod in owners.items()
        }
        for connection in connections.values():
            connection.call("AUTH", PASSWORD)
        for each in written:
            shard = next(place for place, (first, last) in enumerate(ranges) if first <= slot_of(each.key) <= last)
            if shard not in connections or connections[shard].call("EXISTS", each.key) != 1:
                found.append(each)
    return found
