"""What edges of providers have in common: they fetch over the internet, have no pods, and are one for all regions."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from aether_deploy.config.base import Fault
from aether_deploy.infrastructure.component import Place, Port
from aether_deploy.infrastructure.edge.policy import METHODS, EdgePolicy, classes_of, pages_of
from aether_deploy.infrastructure.estate import Estate
from aether_deploy.infrastructure.object_store.amazon import region_of_address
from aether_deploy.infrastructure.object_store.regions import (
    StoreAddress,
    active_region,
    bucket_name,
    outside_address,
    reading_order,
)
from aether_deploy.infrastructure.objects.naming import metadata_of
from aether_deploy.infrastructure.objects.rights import config_map
from aether_deploy.pods.fragments import content_checksum

if TYPE_CHECKING:
    from aether_deploy.infrastructure.kinds.edge import EdgeConfig
    from aether_deploy.infrastructure.kinds.object_store import ObjectStoreConfig

HTTPS: Port = ("https", 443, "TCP")
DOCUMENT = ".json"
"""How names of what is applied end."""


class OutsideOrigin(msgspec.Struct, frozen=True):
    """A copy of the store as the internet sees it.

    Attributes:
        name: Its region.
        address: Where it answers.
        path: What stands before an object's key there; empty where the host name tells the bucket.
        is_s3: A bucket of Amazon's own, by whose signatures CloudFront can say who it is.
    """

    name: str
    address: StoreAddress
    path: str
    is_s3: bool = False


def outside_origins(config: "EdgeConfig", store: "ObjectStoreConfig", estate: Estate) -> tuple[OutsideOrigin, ...]:
    """Return the copies that the internet reaches: the nearest to the shield first, else the one that takes writes."""
    active = active_region(store, estate)
    near = config.shield if config.shield and estate.region(config.shield) else active.code if active else ""
    found = []
    for code in reading_order(store, estate, near):
        address = outside_address(store, estate, code)
        bucket = bucket_name(store, estate, config.bucket, code)
        if address is None:
            continue
        if store.provider == "aws" and region_of_address(address.url) is not None:
            host = f"{bucket}.{address.host}"
            found.append(OutsideOrigin(code, StoreAddress("https", host, 443), "", is_s3=True))
        else:
            found.append(OutsideOrigin(code, address, f"/{bucket}"))
    return tuple(found)


def outside_policy(config: "EdgeConfig", estate: Estate) -> EdgePolicy:
    """Return what the edge does, origins aside: see :func:`outside_origins`."""
    bucket = next(each for each in estate.component(config.store).buckets if each.name == config.bucket)
    prefixes = sorted((f"/{each}" for each in bucket.public_prefixes), key=lambda each: (-len(each), each))
    return EdgePolicy(
        hostname=config.hostname,
        origins=(),
        open_prefixes=tuple(prefixes),
        classes=classes_of(config),
        pages=pages_of(bucket),
    )


def objects_of(config: "EdgeConfig", place: Place) -> list[dict[str, Any]]:
    """Return the name under which workloads of this cluster find it, and in one cluster what is to be applied.

    What is to be applied lies in the runbooks, which no engine reads; its checksums are an object, so that a diff of
    the tree tells that somebody has to apply it anew.
    """
    ports = [{"name": HTTPS[0], "port": HTTPS[1], "targetPort": HTTPS[1], "protocol": HTTPS[2]}]
    spec = {"type": "ExternalName", "externalName": config.hostname, "ports": ports}
    name = {"apiVersion": "v1", "kind": "Service", "metadata": metadata_of(config, place), "spec": spec}
    if place.region.code != config.placed_in(place.estate)[0]:
        return [name]
    documents = config.runbooks(place.estate)
    sums = {file: content_checksum({file: text}, {}) for file, text in documents.items() if file.endswith(DOCUMENT)}
    return [name, config_map(config, place, f"{config.name}-config", sums)]


def copies_reached(config: "EdgeConfig", store: "ObjectStoreConfig", estate: Estate) -> tuple[OutsideOrigin, ...]:
    """Return the copies that are asked or could be: none where the internet reaches none."""
    inside = store.expose is not None and store.expose.internal
    return () if inside else outside_origins(config, store, estate)


def fetching_faults(
    config: "EdgeConfig", store: "ObjectStoreConfig", origins: Sequence[OutsideOrigin], called: str
) -> Iterator[Fault]:
    """Yield why it reaches no copy of the store, or reaches one where others can listen."""
    if not origins:
        inside = store.expose is not None and store.expose.internal
        what = "is exposed inside only" if inside else "is not exposed"
        reason = f"'{store.name}' {what}, and {called} fetches over the internet"
        fix = "expose its port s3 without internal, take a store of a provider, or set backend to nginx"
        yield Fault(("origin",), reason, fix, config.origin)
    elif plain := [each.name for each in origins if each.address.scheme == "http"]:
        reason = (
            f"fetched from {', '.join(plain)} over the internet without encryption, which anybody on the way can change"
        )
        fix = "take a store that speaks TLS, or set backend to nginx"
        yield Fault(("origin",), reason, fix, config.origin, "warning")


def page_faults(config: "EdgeConfig", estate: Estate, called: str) -> Iterator[Fault]:
    """Yield the pages that may send headers, which a browser asks about by a method that nobody here answers."""
    for page in outside_policy(config, estate).pages:
        if page.headers:
            reason = (
                f"pages of {page.origin} may send {', '.join(page.headers)}, about which browsers ask by OPTIONS, and "
                f"this edge of {called} answers {' and '.join(METHODS)} alone"
            )
            fix = "leave headers out of that rule of the bucket, or set backend to nginx"
            yield Fault(("origin",), reason, fix, config.origin, "warning")
