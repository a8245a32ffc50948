"""One policy of an edge, as values: what all back ends are rendered from.

Cache-Control of what leaves the edge follows RFC 9111 and RFC 5861, so that browsers and further caches keep it alike.
"""

from typing import TYPE_CHECKING

import msgspec

from aether_deploy.infrastructure.estate import Estate
from aether_deploy.infrastructure.object_store.regions import (
    StoreAddress,
    bucket_name,
    home_regions,
    inside_address,
    outside_address,
    reading_order,
)

if TYPE_CHECKING:
    from aether_deploy.infrastructure.kinds.edge import EdgeConfig
    from aether_deploy.infrastructure.kinds.object_store import ObjectStoreConfig
    from aether_deploy.infrastructure.object_store.parts import ObjectBucket

NOT_FOUND_SECS = 5
"""How long an edge remembers that an object is not there, seconds: an upload is seen soon, a flood of asking is not."""

METHODS = ("GET", "HEAD")


class EdgeOrigin(msgspec.Struct, frozen=True):
    """Where an edge fetches from.

    Attributes:
        name: The region of it, or ``shield``.
        address: Where it answers.
        path: What stands before the object's key there: ``/game-assets``; empty at another edge.
        certified_as: With https: the name that its certificate has, where that is not the host's.
    """

    name: str
    address: StoreAddress
    path: str = ""
    certified_as: str = ""


class EdgePage(msgspec.Struct, frozen=True):
    """Pages of one origin that may read, as a rule of the bucket says it.

    Attributes:
        origin: Where they come from, as browsers say it: ``https://play.example.com``; ``*`` is any.
        headers: Headers that they may send beside the simple ones.
        expose_headers: Headers that they may read beside the simple ones.
        max_age_secs: How long a browser need not ask again what it may send, seconds.
    """

    origin: str
    headers: tuple[str, ...] = ()
    expose_headers: tuple[str, ...] = ()
    max_age_secs: int = 3600


class EdgeClass(msgspec.Struct, frozen=True, kw_only=True):
    """A cache class: see ``parts.CacheClass``."""

    name: str
    match: str
    ttl_secs: int
    immutable: bool
    swr_secs: int
    sie_secs: int

    @property
    def cache_control(self) -> str:
        """What browsers are told."""
        words = ["public", f"max-age={self.ttl_secs}"]
        words += [f"stale-while-revalidate={self.swr_secs}"] if self.swr_secs else []
        words += [f"stale-if-error={self.sie_secs}"] if self.sie_secs else []
        return ", ".join([*words, "immutable"] if self.immutable else words)


class EdgePolicy(msgspec.Struct, frozen=True, kw_only=True):
    """What one region's edge does.

    Attributes:
        hostname: The name that players ask for.
        origins: Where it fetches from: the first that answers.
        open_prefixes: Beginnings of paths that anybody may read; all else is not there.
        classes: How long what is kept, the longest path first.
        not_found_secs: How long it is remembered that an object of a class is not there, seconds.
        methods: What may be asked; everything else is refused.
        pages: Pages of other origins that may read.
        shielded: It fetches from another edge first.
    """

    hostname: str
    origins: tuple[EdgeOrigin, ...]
    open_prefixes: tuple[str, ...]
    classes: tuple[EdgeClass, ...]
    not_found_secs: int = NOT_FOUND_SECS
    methods: tuple[str, ...] = METHODS
    pages: tuple[EdgePage, ...] = ()
    shielded: bool = False


def policy_of(config: "EdgeConfig", estate: Estate, region: str) -> EdgePolicy:
    """Return the policy of the edge in ``region``; its store and its bucket must be there."""
    store = estate.component(config.store)
    bucket = next(each for each in store.buckets if each.name == config.bucket)
    shield = shield_of(config, estate, region)
    return EdgePolicy(
        hostname=config.hostname,
        origins=(*([shield] if shield else []), *origins_of(config, store, estate, region)),
        open_prefixes=tuple(f"/{each}" for each in bucket.public_prefixes),
        classes=classes_of(config),
        pages=pages_of(bucket),
        shielded=shield is not None,
    )


def pages_of(bucket: "ObjectBucket") -> tuple[EdgePage, ...]:
    """Return the pages that may read a bucket; of several rules for the same origin the first counts, as in S3."""
    found: dict[str, EdgePage] = {}
    for rule in bucket.cors:
        if rule.enabled and not {"GET", "HEAD"}.isdisjoint(rule.methods):
            for origin in rule.origins:
                own = EdgePage(origin, tuple(rule.headers), tuple(rule.expose_headers), rule.max_age_secs)
                found.setdefault(origin, own)
    return tuple(found.values())


def classes_of(config: "EdgeConfig") -> tuple[EdgeClass, ...]:
    """Return the cache classes, the longest path first, which is the one that counts."""
    found = (
        EdgeClass(
            name=each.name,
            match=each.match,
            ttl_secs=each.ttl_secs,
            immutable=each.immutable,
            swr_secs=each.stale_while_revalidate_secs,
            sie_secs=each.stale_if_error_secs,
        )
        for each in config.cache_classes
        if each.enabled
    )
    return tuple(sorted(found, key=lambda each: (-len(each.match), each.match)))


def origins_of(config: "EdgeConfig", store: "ObjectStoreConfig", estate: Estate, region: str) -> tuple[EdgeOrigin, ...]:
    """Return the copies of the store that an edge in ``region`` reaches, the nearest first."""
    own = {each.code for each in home_regions(store, estate)}
    found = []
    for code in reading_order(store, estate, region):
        here = code == region and region in own
        address = inside_address(store, estate, code) if here else outside_address(store, estate, code)
        if address is not None:
            found.append(EdgeOrigin(code, address, f"/{bucket_name(store, estate, config.bucket, code)}"))
    return tuple(found)


def shield_of(config: "EdgeConfig", estate: Estate, region: str) -> EdgeOrigin | None:
    """Return the edge that an edge in ``region`` asks before any origin; None where there is none, or it is that."""
    if config.shield is None or config.shield == region or config.endpoint is None:
        return None
    host = estate.filled(config.endpoint, config.shield)
    if config.tls is None:
        return EdgeOrigin("shield", StoreAddress("http", host, 80))
    return EdgeOrigin("shield", StoreAddress("https", host, 443), certified_as=config.hostname)
