"""Where a store is: which region takes writes, which follow it, and at which address each answers."""

from typing import TYPE_CHECKING

import msgspec

from aether_deploy.infrastructure.estate import Estate, EstateRegion
from aether_deploy.infrastructure.object_store.amazon import endpoint_of_amazon, region_of_address
from aether_deploy.infrastructure.object_store.ports import S3
from aether_deploy.patterns import Pattern

if TYPE_CHECKING:
    from aether_deploy.infrastructure.kinds.object_store import ObjectStoreConfig

SELF_HOSTED = "seaweedfs"
_GOOGLE = "https://storage.googleapis.com"
_GOOGLE_REGION = Pattern("[a-z]+-[a-z]+[0-9]+")
_SIGNING = {"gcs": "auto", "r2": "auto", "garage": "garage", "ceph_rgw": "us-east-1", SELF_HOSTED: "us-east-1"}
AMAZONS_FIRST = "us-east-1"
"""Where Amazon makes buckets of which nothing is said; it refuses to be told so."""

HTTPS = 443
HTTP = 80


class StoreAddress(msgspec.Struct, frozen=True):
    """Where one region's copy answers.

    Attributes:
        scheme: ``http`` or ``https``.
        host: Host name.
        port: Port.
    """

    scheme: str
    host: str
    port: int

    @property
    def url(self) -> str:
        """The address as one text, without a port that its scheme implies."""
        implied = {"http": HTTP, "https": HTTPS}[self.scheme]
        return f"{self.scheme}://{self.host}" + ("" if self.port == implied else f":{self.port}")


def home_regions(config: "ObjectStoreConfig", estate: Estate) -> tuple[EstateRegion, ...]:
    """Return the regions that hold the store's objects: the one that takes writes, and then those that follow it.

    A list names them in that order; ``all`` is the order of the file.
    """
    known = {region.code: region for region in estate.regions}
    codes = tuple(known) if config.regions == "all" else config.regions
    return tuple(known[code] for code in codes if code in known)


def active_region(config: "ObjectStoreConfig", estate: Estate) -> EstateRegion | None:
    """Return the region that takes writes; None where no region of it is there."""
    return next(iter(home_regions(config, estate)), None)


def bucket_name(config: "ObjectStoreConfig", estate: Estate, bucket: str, region: str) -> str:
    """Return what a bucket is called in a region.

    A provider that has one space of names for all regions needs another name for each copy.
    """
    active = active_region(config, estate)
    shared = config.provider == SELF_HOSTED or active is None or active.code == region
    return bucket if shared else f"{bucket}-{region}"


def external_address(config: "ObjectStoreConfig", estate: Estate, region: str) -> StoreAddress:
    """Return where a provider's store answers in ``region``."""
    usual = endpoint_of_amazon(region) if config.provider == "aws" else _GOOGLE
    scheme, _, rest = estate.filled(config.url or usual, region).partition("://")
    host, _, port = rest.partition(":")
    return StoreAddress(scheme, host, int(port) if port else HTTPS if scheme == "https" else HTTP)


def inside_address(config: "ObjectStoreConfig", estate: Estate, region: str) -> StoreAddress:
    """Return where those in ``region`` reach the copy of that region."""
    if config.provider != SELF_HOSTED:
        return external_address(config, estate, region)
    active = active_region(config, estate)
    name = config.name if active is None or active.code == region else f"{config.name}-repl"
    return StoreAddress("http", f"{name}.{estate.data_namespace}.svc", S3[1])


def outside_address(config: "ObjectStoreConfig", estate: Estate, region: str) -> StoreAddress | None:
    """Return where those in other regions reach the copy of ``region``; None where nothing exposes it."""
    if config.provider != SELF_HOSTED:
        return external_address(config, estate, region)
    exposed = () if config.expose is None else config.expose.ports
    if config.endpoint is None or S3[0] not in exposed:
        return None
    return StoreAddress("http", estate.filled(config.endpoint, region), S3[1])


def signing_region(config: "ObjectStoreConfig", region: str) -> str:
    """Return the region that signatures name."""
    if config.signing_region is not None:
        return config.signing_region
    if config.provider == "aws":
        return region_of_address(config.url or "") or region
    return _SIGNING[config.provider]


def is_region_of_google(code: str) -> bool:
    """Return whether a code is written as Google's regions are: ``europe-west1``."""
    return _GOOGLE_REGION.fullmatch(code) is not None


def location_of(config: "ObjectStoreConfig", region: str) -> str:
    """Return where a provider is to make the buckets of a region; empty where it has one place, or decides itself.

    Amazon makes them in its first region where nothing is said, Google in the United States: Amazon S3 API Reference,
    ``CreateBucket``; Cloud Storage, Bucket locations. Others refuse a place that they do not know.
    """
    place = {"aws": signing_region(config, region), "gcs": config.signing_region or region}.get(config.provider, "")
    return "" if place == AMAZONS_FIRST else place


def reading_order(config: "ObjectStoreConfig", estate: Estate, region: str) -> tuple[str, ...]:
    """Return the regions that hold the store's objects, the nearest to ``region`` first."""
    homes = [each.code for each in home_regions(config, estate)]
    order = {code: place for place, code in enumerate(homes)}

    def far(code: str) -> tuple[float, int]:
        trip = estate.round_trip_ms(region, code)
        return (float("inf") if trip is None else trip, order[code])

    return tuple(sorted(homes, key=far))
