"""The parts of a NATS component's settings."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec

from aether_deploy.config.base import FILLED, Config, Fault, rule
from aether_deploy.config.marks import Distinct, Keyed, Placeholders, TextRule, WholeRule
from aether_deploy.config.types import (
    HOST_NAME,
    DnsLabel,
    ImageRef,
    ObjectName,
    PositiveCount,
    PositiveSeconds,
    Seconds,
    SizeQuantity,
    seconds,
)
from aether_deploy.infrastructure.nats.subjects import subject_fault
from aether_deploy.pods.parts import ResourceRequirements

StreamName = Annotated[
    str,
    TextRule(
        what="a name of a stream",
        pattern="[A-Za-z0-9_][-A-Za-z0-9_]*",
        max_length=100,  # regions and '-mirror-' are added; the server stops at 255
        fix="use letters, digits, '-' and '_': the name is a file name and one token of a subject",
    ),
]
AccountName = Annotated[
    str,
    TextRule(
        what="a name of an account",
        pattern="[A-Za-z][-A-Za-z0-9_]*",
        max_length=63,
        fix="use letters, digits, '-' and '_', and begin with a letter",
    ),
]
JetStreamDomain = Annotated[
    str,
    TextRule(
        what="a JetStream domain",
        pattern="[A-Za-z0-9_][-A-Za-z0-9_]*",
        max_length=63,
        fix="use letters, digits, '-' and '_': a '.' or a space passes the server's own check and ends it at boot",
    ),
]
Subject = Annotated[
    str,
    Placeholders(("region",)),
    TextRule(
        what="a subject",
        pattern=r"[^\s]+",
        max_length=255,
        check=subject_fault,
        fix="write tokens joined by '.': matches.>, telemetry.{region}.*",
    ),
]
PodEndpoint = Annotated[
    str,
    msgspec.structs.replace(HOST_NAME, fix="write it without scheme, port and path: {pod}.nats.example.com"),
    Placeholders(("pod", "datacenter", "region", "environment", "cluster")),
]
Replicas = Annotated[int, WholeRule(ge=1, le=5)]

MAX_PAYLOAD_LIMIT = 64 * 2**20
"""The server refuses to start above this; it warns above 8 MiB."""


class JetStreamConfig(Config):
    """How servers keep streams.

    Attributes:
        memory_size: Memory for streams that are kept in memory.
        sync_interval_secs: What a power loss may take: acknowledged messages that are not yet on the disk are up to
            this old, seconds. 0 writes each to the disk before it is acknowledged. The server's own default is 120.
        domain: Name of the JetStream domain, for leafnodes that have a JetStream of their own. It is one for all
            regions: over gateways the servers of two domains elect one leader, and then refuse each other's calls.
    """

    memory_size: SizeQuantity = "1Gi"
    sync_interval_secs: Seconds = 120
    domain: JetStreamDomain | None = None


class NatsGateway(Config):
    """How the clusters of the regions reach each other.

    Attributes:
        endpoint: Host name at which other regions reach one server: ``{pod}.nats.example.com``. Each server tells it
            to the others in place of its own address, which nobody outside its cluster can reach.
    """

    endpoint: PodEndpoint

    @rule
    def each_server_has_its_own(self) -> Iterator[Fault]:
        if "{pod}" not in self.endpoint:
            fix = "write {pod} into it: {pod}.nats.example.com"
            yield Fault(("endpoint",), "the same for every server", fix, self.endpoint)


class NatsLeafnodes(Config):
    """Servers at the edge that connect to this component with the credentials of one of its users.

    Attributes:
        endpoint: Host name at which they reach one server; left out, servers do not tell each other's addresses.
    """

    endpoint: PodEndpoint | None = None


class NatsTls(Config):
    """Certificates of the servers. Routes and gateways verify both sides.

    Attributes:
        secret: Secret with ``tls.crt``, ``tls.key`` and ``ca.crt``. The certificate is for servers and for clients,
            for the names of every server inside its cluster and for those of ``gateway.endpoint``.
        verify_clients: Clients show a certificate of the same authority, too.
    """

    secret: ObjectName
    verify_clients: bool = False


class NatsLameDuck(Config):
    """How a server leaves: it sends its clients away first.

    Attributes:
        duration_secs: Over how long its clients are sent away, seconds; the server takes 30 at least.
        grace_secs: How long it waits before it begins, seconds.
    """

    duration_secs: Annotated[int, seconds(ge=30)] = 30
    grace_secs: PositiveSeconds = 10

    @rule
    def the_wait_is_the_shorter(self) -> Iterator[Fault]:
        if self.grace_secs >= self.duration_secs:
            reason = f"not less than duration_secs, which is {self.duration_secs}: the server does not start"
            yield Fault(("grace_secs",), reason, "lower it, or raise duration_secs", self.grace_secs)


class NatsUser(Config):
    """One user of an account.

    Attributes:
        name: What messages and variables call it; the server knows it by the Secret's ``username``.
        secret: Secret with ``username`` and ``password``; of the first user of all, left out, that of the component.
        publish: Subjects that it may publish to; left out, all.
        subscribe: Subjects that it may subscribe to; left out, all.
        enabled: false takes it away.
    """

    name: DnsLabel
    secret: ObjectName | None = None
    publish: Annotated[Sequence[str], Distinct()] = ()
    subscribe: Annotated[Sequence[str], Distinct()] = ()
    enabled: bool = True

    @property
    def unlimited(self) -> bool:
        """Whether it may make streams: that is a request to the server as any other message is."""
        return not self.publish and not self.subscribe


class NatsAccount(Config):
    """One account: subjects and streams of one are unseen by the others.

    Attributes:
        name: Its name.
        users: Who logs in to it.
        jetstream: Whether it may have streams.
        enabled: false takes it away.
    """

    name: AccountName
    users: Annotated[Sequence[NatsUser], Keyed("name")] = ()
    jetstream: bool = True
    enabled: bool = True


class NatsStream(Config):
    """One stream, in one region or in several.

    Attributes:
        name: Its name. In several regions it is ``<name>-<region>`` in each.
        subjects: What it keeps; in several regions each subject has ``{region}`` in it.
        regions: Where it is written: ``all``, or codes of regions.
        replicas: Servers that keep it, each in another zone; left out, 3 where there are 3 zones, else 1.
        max_age_secs: Messages older than this go, seconds.
        max_bytes: Bytes that one replica may hold; the servers set them aside.
        max_messages: Messages that it may hold.
        max_message_bytes: Largest message.
        discard: What gives way where it is full: the ``old`` messages or the ``new`` one.
        retention: When messages go: by ``limits``, when nobody is left with ``interest``, or once done (``workqueue``).
        storage: ``file``, or ``memory``, which a restart of all its servers empties.
        duplicate_window_secs: A message whose id was seen within this time is dropped, seconds; left out, 120, or
            ``max_age_secs`` where that is less.
        compression: How it lies on the disk.
        account: Its account; left out, the first that may have streams.
        mirrors: Regions that keep a copy, named ``<name>-mirror-<region>``; they follow, and do not vote.
        aggregate_in: Region that gathers the stream of all regions in one, named ``<name>-all``.
        aggregate_max_bytes: Bytes that one replica of that may hold; left out, those of all regions together.
        enabled: false takes it away from here; what servers have of it stays.
    """

    name: StreamName
    subjects: Annotated[Sequence[Subject], Distinct()]
    regions: Literal["all"] | Annotated[Sequence[DnsLabel], Distinct()] = "all"
    replicas: Replicas | None = None
    max_age_secs: PositiveSeconds | None = None
    max_bytes: SizeQuantity | None = None
    max_messages: PositiveCount | None = None
    max_message_bytes: SizeQuantity | None = None
    discard: Literal["old", "new"] = "old"
    retention: Literal["limits", "interest", "workqueue"] = "limits"
    storage: Literal["file", "memory"] = "file"
    duplicate_window_secs: PositiveSeconds | None = None
    compression: Literal["off", "s2"] = "off"
    account: AccountName | None = None
    mirrors: Annotated[Sequence[DnsLabel], Distinct()] = ()
    aggregate_in: DnsLabel | None = None
    aggregate_max_bytes: SizeQuantity | None = None
    enabled: bool = True

    @rule
    def it_keeps_something(self) -> Iterator[Fault]:
        if not self.subjects:
            yield Fault(("subjects",), "keeps nothing", "name at least one subject")

    @rule
    def an_aggregate_has_something_to_gather(self) -> Iterator[Fault]:
        if self.aggregate_in is not None and self.regions != "all" and len(self.regions) < 2:
            yield Fault(
                ("aggregate_in",),
                "the stream is in one region, so there is nothing to gather",
                "name more regions, or list the region in mirrors",
                self.aggregate_in,
            )
        if self.aggregate_in is None and self.aggregate_max_bytes is not None:
            yield Fault(
                ("aggregate_max_bytes",), "nothing is gathered", "add aggregate_in, or remove it",
                self.aggregate_max_bytes,
            )  # fmt: skip

    @rule
    def a_queue_is_not_copied(self) -> Iterator[Fault]:
        copied = "mirrors" if self.mirrors else "aggregate_in" if self.aggregate_in is not None else None
        if self.retention != "limits" and copied is not None:
            yield Fault(
                (copied,),
                f"messages of a stream with retention {self.retention} go once they are done, copied or not",
                "set retention to limits, or remove it",
            )

    @rule
    def duplicates_are_not_outlived(self) -> Iterator[Fault]:
        window, age = self.duplicate_window_secs, self.max_age_secs
        if window is not None and age is not None and window > age:
            reason = f"more than max_age_secs, which is {age}: the server refuses the stream"
            yield Fault(("duplicate_window_secs",), reason, f"lower it to {age} or less", window)

    @rule
    def memory_is_emptied(self) -> Iterator[Fault]:
        if self.storage == "memory" and self.mirrors:
            yield Fault(
                ("storage",), "emptied when all its servers restart, while the mirrors keep what they have",
                "set it to file", "memory", "warning",
            )  # fmt: skip


class NatsSidecar(Config):
    """A further container beside each server.

    Attributes:
        image: Its image.
        resources: What it may use.
    """

    image: ImageRef
    resources: ResourceRequirements = FILLED

    @classmethod
    def fill(cls, given: Mapping[str, Any]) -> Mapping[str, Any]:
        said = given.get("resources", {})
        filled = {**_SIDECAR_RESOURCES, **said} if isinstance(said, Mapping) else said
        return {**given, "resources": filled}


_SIDECAR_RESOURCES = {
    "cpu_request": "50m",
    "cpu_limit": "50m",
    "memory_request": "64Mi",
    "memory_limit": "64Mi",
    "ephemeral_request": "64Mi",
    "ephemeral_limit": "64Mi",
}
