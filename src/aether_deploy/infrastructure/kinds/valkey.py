"""The kind ``valkey``: a session cache, one independent Valkey cluster in each region."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

from aether_deploy.config.base import FILLED, Fault, rule
from aether_deploy.config.marks import WholeRule
from aether_deploy.config.types import SizeQuantity
from aether_deploy.infrastructure.component import ComponentConfig, FileChange, Place, Port
from aether_deploy.infrastructure.estate import Estate
from aether_deploy.infrastructure.valkey.examples import EXAMPLES
from aether_deploy.infrastructure.valkey.image import lacks_handover
from aether_deploy.infrastructure.valkey.memory import (
    MACHINE_MAX_GB,
    MEMORY_PERCENT_MAX,
    MEMORY_PERCENT_MIN,
    limit_for,
    percent_of_limit,
    size_text,
)
from aether_deploy.infrastructure.valkey.ports import CLIENT
from aether_deploy.infrastructure.valkey.starting import FOLDERS
from aether_deploy.infrastructure.valkey.timing import failover_secs
from aether_deploy.pods.storage import PvcConfig
from aether_deploy.quantities import bytes_of

Eviction = Literal[
    "volatile-lru", "volatile-lfu", "volatile-ttl", "volatile-random",
    "allkeys-lru", "allkeys-lfu", "allkeys-random", "noeviction",
]  # fmt: skip


class ValkeyConfig(ComponentConfig):
    """A session cache: in each region a Valkey cluster of its own, which no other region takes part in.

    Attributes:
        kind: ``valkey``.
        shards: Primaries of a region's cluster, among which the 16384 hash slots are divided evenly.
        replicas: Further copies of each shard, in other zones.
        maxmemory: What a node may hold; 60 to 75 % of ``resources.memory_limit``.
        node_timeout_ms: How long a node may be silent before others doubt it, milliseconds. A failover takes one to
            two times as long.
        eviction: What goes when a node is full (``maxmemory-policy``): with ``volatile-…`` only what has an end anyway.
        pvc: The volume of each node. It holds ``nodes.conf``, by which a node that restarts is the same node, and
            nothing else: sessions are kept in memory only.
    """

    KIND_NAME: ClassVar[str] = "valkey"

    EXAMPLES: ClassVar[Mapping[str, Mapping[str, Any]]] = EXAMPLES

    kind: Literal["valkey"] = FILLED
    shards: Annotated[int, WholeRule(ge=1, le=500)] = 3
    replicas: Annotated[int, WholeRule(ge=1, le=5)] = 1
    maxmemory: SizeQuantity
    node_timeout_ms: Annotated[int, WholeRule(ge=500, le=120_000)] = 5000
    eviction: Eviction = "volatile-lru"
    pvc: PvcConfig = FILLED

    @classmethod
    def fill(cls, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return what is given and the defaults of the kind beneath it: a memory limit that fits ``maxmemory``."""
        said = given.get("resources", {})
        limit = limit_for(given.get("maxmemory"))
        if limit is not None and isinstance(said, Mapping) and said.get("memory_limit") is None:
            given = {**given, "resources": {**said, "memory_limit": limit}}
        pvc = given.get("pvc", {})
        return super().fill({**given, "pvc": {"size": "1Gi", **pvc} if isinstance(pvc, Mapping) else pvc})

    @classmethod
    def default_limits(cls) -> Mapping[str, str]:
        """Return one processor and a little disk; the memory follows from ``maxmemory``."""
        return {
            "cpu_limit": "1",
            "memory_limit": "1536Mi",
            "ephemeral_limit": "64Mi",
        }

    @classmethod
    def default_exposed(cls) -> Sequence[str]:
        return [CLIENT[0]]

    # --- what others need to know of it

    @property
    def client_ports(self) -> tuple[Port, ...]:
        return (CLIENT,)

    def secrets(self, place: Place) -> Mapping[str, tuple[str, ...]]:
        """Return the Secret with the one password of nodes and clients."""
        return {str(self.credentials): ("password",)}

    def faults(self, estate: Estate) -> Iterator[Fault]:
        from aether_deploy.infrastructure.valkey.rules import faults_of

        yield from faults_of(self, estate)

    def render(self, place: Place) -> list[dict[str, Any]]:
        from aether_deploy.infrastructure.valkey.rendering import objects_of

        return objects_of(self, place)

    @classmethod
    def file_changes(cls, before: Mapping[str, str], after: Mapping[str, str]) -> Sequence[FileChange]:
        from aether_deploy.infrastructure.valkey.changes import file_changes

        return file_changes(before, after)

    def runbooks(self, estate: Estate) -> Mapping[str, str]:
        from aether_deploy.infrastructure.valkey.runbook import runbook, slots_text

        return {f"{self.name}.md": runbook(self, estate), f"{self.name}-slots.json": slots_text(self, estate)}

    # --- rules between its fields

    @rule
    def it_has_an_image(self) -> Iterator[Fault]:
        if self.image is None:
            yield Fault((), "lacks 'image'", "add image: valkey/valkey:<version>@sha256:<64 hex digits>")

    @rule
    def it_hands_over_when_told_to_end(self) -> Iterator[Fault]:
        if self.image is not None and lacks_handover(self.image):
            reason = "lacks 'shutdown-on-sigterm failover', and so would not start: Valkey 9.0 is the first to have it"
            fix = "take image: valkey/valkey:<version>@sha256:<64 hex digits>, of 9.0 or newer"
            yield Fault(("image",), reason, fix, self.image)

    @rule
    def its_volume_is_a_folder_of_its_own(self) -> Iterator[Fault]:
        path = self.pvc.mount_path
        taken = next((each for each in (*FOLDERS, "/tmp") if path == each or path.startswith(f"{each}/")), None)
        if taken is not None:
            reason = f"in {taken}, where the container sees something else"
            yield Fault(("pvc", "mount_path"), reason, f"remove it, and it is {self.DATA_PATH}", path)
        elif not re.fullmatch(r"[\w./-]+", path, re.ASCII):
            reason = "goes into the server's file, which takes letters, digits and '_', '.', '-', '/' as they are"
            yield Fault(("pvc", "mount_path"), reason, f"remove it, and it is {self.DATA_PATH}", path)

    @rule
    def shards_can_elect(self) -> Iterator[Fault]:
        if self.shards < 3:
            reason = "too few: a replica needs the votes of most primaries, and with one of so few gone there are none"
            yield Fault(("shards",), reason, "set it to 3", self.shards)

    @rule
    def memory_has_room(self) -> Iterator[Fault]:
        limit = self.resources.memory_limit
        percent = percent_of_limit(self.maxmemory, limit)
        if percent > MEMORY_PERCENT_MAX:
            reason = (
                f"{percent:.0f} % of resources.memory_limit, which is {limit}: connections, and a copy for a replica, "
                "would have the node killed, with all that it holds"
            )
            most = size_text(bytes_of(limit) * MEMORY_PERCENT_MAX // 100)
            fix = f"lower it to {most} or less, or raise memory_limit to {limit_for(self.maxmemory)}, or leave that out"
            yield Fault(("maxmemory",), reason, fix, self.maxmemory)
        elif percent < MEMORY_PERCENT_MIN:
            reason = f"only {percent:.0f} % of resources.memory_limit, which is {limit}: the rest is never used"
            least = size_text(-(-bytes_of(limit) * MEMORY_PERCENT_MIN // 100))
            fix = f"raise it to {least} or more, or lower memory_limit to {limit_for(self.maxmemory)}"
            yield Fault(("maxmemory",), reason, fix, self.maxmemory, "warning")

    @rule
    def a_machine_has_the_memory(self) -> Iterator[Fault]:
        if bytes_of(self.maxmemory) > MACHINE_MAX_GB * 2**30:
            reason = f"more than any machine has, which is {MACHINE_MAX_GB // 1024}Ti at most: no node would ever start"
            yield Fault(("maxmemory",), reason, "lower it, and take more shards", self.maxmemory)

    @rule
    def silence_is_told_from_death(self) -> Iterator[Fault]:
        if self.node_timeout_ms < 2000:
            reason = "a pause of a node that has much to do, or to copy, would be taken for its death"
            yield Fault(("node_timeout_ms",), reason, "set it to 2000 to 5000", self.node_timeout_ms, "warning")
        elif self.node_timeout_ms > 15_000:
            worst = failover_secs(self.node_timeout_ms).worst
            reason = f"players of a shard would wait for up to {worst:.0f} s for its replica to take over"
            yield Fault(("node_timeout_ms",), reason, "set it to 2000 to 5000", self.node_timeout_ms, "warning")

    @rule
    def writes_do_not_fail_when_full(self) -> Iterator[Fault]:
        if self.eviction == "noeviction":
            reason = "once a node is full nobody can log in"
            yield Fault(("eviction",), reason, "set it to volatile-lru", self.eviction, "warning")

    @rule
    def nothing_outside_is_promised_it(self) -> Iterator[Fault]:
        if self.expose is not None:
            reason = "nodes send clients to the host names of their pods, which nobody outside of the cluster reaches"
            yield Fault(("expose",), reason, "remove it, and let the component run in every region where it is used")


KIND = ValkeyConfig
