"""The parts of an object store's settings: buckets, what becomes of their objects, and who logs in."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

from aether_deploy.config.base import Config, Fault, rule
from aether_deploy.config.marks import Distinct, Keyed, TextRule, WholeRule
from aether_deploy.config.types import DnsLabel, ObjectName

BucketName = Annotated[
    str,
    TextRule(
        what="a name of a bucket",
        pattern="[a-z0-9][a-z0-9-]{1,61}[a-z0-9]",
        max_length=63,
        fix="use 3 to 63 lower-case letters, digits and '-', and no '.': certificates match no further level",
    ),
]
Prefix = Annotated[
    str,
    TextRule(
        what="a prefix of keys",
        pattern=r"(?!/)([A-Za-z0-9_-][A-Za-z0-9._-]*/)+",
        max_length=512,
        fix="write it without '/' in front and with one at the end: public/ — 'public' would open 'public-keys', too",
    ),
]


def _port_fault(origin: str) -> str | None:
    port = origin.rpartition(":")[2]
    return "has a port that TCP does not know" if port.isdecimal() and not 1 <= int(port) <= 65_535 else None


_LABEL = "[a-z0-9]([a-z0-9-]*[a-z0-9])?"
CorsOrigin = Annotated[
    str,
    TextRule(
        what="an origin",
        pattern=rf"\*|https?://(\*\.)?{_LABEL}(\.{_LABEL})*(:[0-9]{{1,5}})?",
        max_length=253,
        check=_port_fault,
        fix="write scheme and host as a browser sends them, in lower case and without a path: https://play.example.com",
    ),
]
HeaderPattern = Annotated[
    str,
    TextRule(what="a name of a header", pattern=r"\*|[A-Za-z0-9-]+\*?", fix="write it as it is sent: Content-Type"),
]
HeaderName = Annotated[
    str,
    TextRule(
        what="a name of a header",
        pattern="[A-Za-z0-9-]+",
        fix="write it whole, as it is sent: ETag; Amazon S3 takes no '*' here",
    ),
]
StorageClass = Annotated[
    str, TextRule(what="a storage class", pattern="[A-Z][A-Z0-9_]*", fix="write the provider's word: STANDARD_IA")
]
Days = Annotated[int, WholeRule(ge=1, le=36_500)]
CORS_RULES_MAX = 100


class ObjectExpiry(Config):
    """Objects that go by themselves.

    Attributes:
        name: What the rule is called.
        prefix: Where; left out, in the whole bucket.
        days: Days after they were written.
        enabled: false takes the rule away.
    """

    name: DnsLabel
    prefix: Prefix | None = None
    days: Days
    enabled: bool = True


class ObjectTransition(Config):
    """Objects that move to another class of storage.

    Attributes:
        name: What the rule is called.
        prefix: Where; left out, in the whole bucket.
        days: Days after they were written.
        storage_class: The class, in the provider's words.
        enabled: false takes the rule away.
    """

    name: DnsLabel
    prefix: Prefix | None = None
    days: Days
    storage_class: StorageClass
    enabled: bool = True


class ObjectLifecycle(Config):
    """What becomes of objects in time.

    Attributes:
        noncurrent_days: Old versions go after so many days.
        abort_upload_days: Uploads that were never finished go after so many days.
        expiries: Objects that go.
        transitions: Objects that move to another class.
    """

    noncurrent_days: Days | None = None
    abort_upload_days: Days | None = None
    expiries: Annotated[Sequence[ObjectExpiry], Keyed("name")] = ()
    transitions: Annotated[Sequence[ObjectTransition], Keyed("name")] = ()

    @property
    def acts(self) -> bool:
        """Whether anything goes or moves by it."""
        listed = any(each.enabled for each in self.expiries) or any(each.enabled for each in self.transitions)
        return listed or self.noncurrent_days is not None or self.abort_upload_days is not None


class CorsRule(Config):
    """Pages that may read the bucket from within a browser.

    Attributes:
        name: What the rule is called.
        origins: Where the pages come from.
        methods: What they may do.
        headers: Headers that they may send beside the simple ones; ``x-game-*`` is all that begin so.
        expose_headers: Headers that they may read beside the simple ones.
        max_age_secs: How long a browser need not ask again, seconds.
        enabled: false takes the rule away.
    """

    name: DnsLabel
    origins: Annotated[Sequence[CorsOrigin], Distinct()]
    methods: Annotated[Sequence[Literal["GET", "HEAD", "PUT", "POST", "DELETE"]], Distinct()] = ("GET", "HEAD")
    headers: Annotated[Sequence[HeaderPattern], Distinct()] = ()
    expose_headers: Annotated[Sequence[HeaderName], Distinct()] = ()
    max_age_secs: Annotated[int, WholeRule(ge=0, le=86_400)] = 3600
    enabled: bool = True

    @rule
    def somebody_may_do_something(self) -> Iterator[Fault]:
        for name in ("origins", "methods"):
            if getattr(self, name) == ():
                yield Fault(
                    (name,), "names nobody" if name == "origins" else "names nothing", f"add {name}, or drop it"
                )

    @rule
    def strangers_do_not_write(self) -> Iterator[Fault]:
        writing = [each for each in self.methods if each not in ("GET", "HEAD")]
        if "*" in self.origins and writing:
            reason = f"any page may ask for {writing[0]} with what a visitor's browser knows"
            yield Fault(("origins",), reason, "name the origins", severity="warning")


class ObjectLock(Config):
    """Versions that nobody can delete for a while.

    Attributes:
        mode: ``governance``: those with a right of their own can. ``compliance``: nobody can, its owner included.
        days: For so many days after they were written.
    """

    mode: Literal["governance", "compliance"] = "governance"
    days: Days


class ObjectBucket(Config):
    """A bucket that is to exist.

    Attributes:
        name: Its name. At a public provider it is one of all buckets in the world.
        enabled: false no longer sets it up; it stays as it is.
        versioning: Keep what is overwritten or deleted.
        object_lock: Keep versions from being deleted; decided when a bucket is made.
        lifecycle: What becomes of objects in time.
        cors: Pages that may read it.
        public_prefixes: Where anybody may read, and nowhere else.
        block_public_access: Refuse every policy that would open it.
        encryption: ``sse_s3``: encrypted on disk with a key of the store.
    """

    name: BucketName
    enabled: bool = True
    versioning: bool = False
    object_lock: ObjectLock | None = None
    lifecycle: ObjectLifecycle | None = None
    cors: Annotated[Sequence[CorsRule], Keyed("name")] = ()
    public_prefixes: Annotated[Sequence[Prefix], Distinct()] = ()
    block_public_access: bool = False
    encryption: Literal["sse_s3"] | None = None

    @rule
    def old_versions_exist(self) -> Iterator[Fault]:
        if self.lifecycle is not None and self.lifecycle.noncurrent_days is not None and not self.versioning:
            reason = "no old versions are kept without versioning"
            yield Fault(("lifecycle", "noncurrent_days"), reason, "set versioning to true, or remove it")
        if self.object_lock is not None and not self.versioning:
            yield Fault(("object_lock",), "locks versions, and none are kept", "set versioning to true")

    @rule
    def old_versions_go(self) -> Iterator[Fault]:
        kept = self.lifecycle is None or self.lifecycle.noncurrent_days is None
        if self.versioning and kept:
            reason = "keeps every version for ever: each upload of the same key takes room that nothing gives back"
            yield Fault(("versioning",), reason, "add lifecycle: {noncurrent_days: 30}", True, "warning")

    @rule
    def objects_move_before_they_go(self) -> Iterator[Fault]:
        life = self.lifecycle
        for place, move in enumerate(() if life is None else life.transitions):
            for expiry in () if life is None else life.expiries:
                covers = (move.prefix or "").startswith(expiry.prefix or "")
                if move.enabled and expiry.enabled and covers and expiry.days <= move.days:
                    reason = f"expiry '{expiry.name}' deletes them after {expiry.days} days, before they would move"
                    at = ("lifecycle", "transitions", place, "days")
                    yield Fault(at, reason, "move them earlier, or delete them later", move.days)

    @rule
    def rules_of_pages_are_few(self) -> Iterator[Fault]:
        """Amazon S3 API Reference, ``PutBucketCors``; SeaweedFS 4.48 refuses more, too."""
        if len(self.cors) > CORS_RULES_MAX:
            reason = f"has {len(self.cors)} rules, and a bucket takes {CORS_RULES_MAX}"
            yield Fault(("cors",), reason, "join rules that differ only in their origins")

    @rule
    def what_is_blocked_is_not_public(self) -> Iterator[Fault]:
        if self.block_public_access and self.public_prefixes:
            reason = "refuses the policy by which public_prefixes are read"
            yield Fault(("block_public_access",), reason, "set it to false, or remove public_prefixes", True)


class StoreUser(Config):
    """Somebody who logs in to a store that runs here.

    Attributes:
        name: The name.
        secret: Secret with ``access_key`` and ``secret_key``; left out, ``<component>-credentials``.
        buckets: Buckets that are open to this user; left out, all.
        access: ``read`` or ``write``; writing includes reading and deleting.
        enabled: false takes the user away.
    """

    name: DnsLabel
    secret: ObjectName | None = None
    buckets: Annotated[Sequence[BucketName], Distinct()] = ()
    access: Literal["read", "write"] = "write"
    enabled: bool = True
