"""What a provider asks of names, lifecycles and regions, beyond what it can do at all."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import msgspec

from aether_deploy.config.base import Fault
from aether_deploy.infrastructure.estate import Estate, EstateRegion
from aether_deploy.infrastructure.object_store.amazon import is_region_of_amazon, partition_of, region_of_address
from aether_deploy.infrastructure.object_store.regions import home_regions, is_region_of_google

if TYPE_CHECKING:
    from aether_deploy.infrastructure.kinds.object_store import ObjectStoreConfig
    from aether_deploy.infrastructure.object_store.parts import ObjectBucket, ObjectTransition

NAME_MAX = 63


class Reserved(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider keeps of the names of buckets for itself, and who says so."""

    source: str
    begins: tuple[str, ...] = ()
    ends: tuple[str, ...] = ()
    holds: tuple[str, ...] = ()

    def why(self, name: str) -> str | None:
        """Return what a name has that it may not have; None where it may be given."""
        checks = (("begins with", self.begins, name.startswith), ("ends with", self.ends, name.endswith))
        for what, parts, has in (*checks, ("has", self.holds, name.__contains__)):
            part = next((each for each in parts if has(each)), None)
            if part is not None:
                return f"{what} '{part}'"
        return None


RESERVED = {
    "aws": Reserved(
        source="Amazon S3 User Guide, General purpose bucket naming rules",
        begins=("xn--", "sthree-", "amzn-s3-demo-"),
        ends=("-s3alias", "--ol-s3", "--x-s3", "--table-s3"),
    ),
    "gcs": Reserved(
        source="Cloud Storage, Bucket name requirements",
        begins=("goog",),
        holds=("google", "g00gle", "go0gle", "g0ogle"),
    ),
    "seaweedfs": Reserved(source="SeaweedFS 4.48: InvalidBucketName", begins=("xn--",), ends=("-s3alias",)),
}

# Amazon S3 API Reference, Transition; the order is that of "Supported transitions and related constraints".
_AMAZON = ("STANDARD_IA", "INTELLIGENT_TIERING", "ONEZONE_IA", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE")
# Cloudflare R2, Object lifecycles: there is one further class.
CLASSES: dict[str, tuple[str, ...]] = {"aws": _AMAZON, "r2": ("STANDARD_IA",)}
"""The classes of storage that a provider has beside the usual one, from the warmest to the coldest; those of a gateway
of Ceph are its operators'."""

_INFREQUENT = ("STANDARD_IA", "ONEZONE_IA")
_INFREQUENT_DAYS = 30


# --- of the component alone


def names_can_be_given(self: "ObjectStoreConfig") -> Iterator[Fault]:
    """A provider keeps some names for itself."""
    kept = RESERVED.get(self.provider)
    for place, bucket in enumerate(self.buckets):
        why = None if kept is None or not bucket.enabled else kept.why(bucket.name)
        if why is not None and kept is not None:
            fix = "give it another name"
            yield Fault(
                ("buckets", place, "name"), f"{why}, which {self.provider} refuses ({kept.source})", fix, bucket.name
            )


def copies_have_names(self: "ObjectStoreConfig") -> Iterator[Fault]:
    """A copy at a provider is called as its bucket and its region: one space of names holds all regions."""
    if self.provider != "aws" or self.regions == "all" or len(self.regions) < 2:
        return
    names = {each.name for each in self.buckets if each.enabled}
    for place, bucket in enumerate(self.buckets):
        copy = f"{bucket.name}-{self.regions[1]}"
        if bucket.enabled and len(copy) > NAME_MAX:
            reason = f"makes its copy '{copy}' longer than {NAME_MAX} characters"
            yield Fault(("buckets", place, "name"), reason, f"take {len(copy) - NAME_MAX} off", bucket.name)
        if bucket.enabled and copy in names:
            reason = f"makes its copy '{copy}', which is the name of another bucket"
            yield Fault(("buckets", place, "name"), reason, "give one of both another name", bucket.name)


def classes_are_the_providers(self: "ObjectStoreConfig") -> Iterator[Fault]:
    known = CLASSES.get(self.provider)
    for place, bucket in enumerate(self.buckets):
        moves = () if bucket.lifecycle is None or not bucket.enabled else bucket.lifecycle.transitions
        for at, move in enumerate(moves):
            where = ("buckets", place, "lifecycle", "transitions", at)
            if move.enabled and known is not None and move.storage_class not in known:
                reason = f"no class that objects move to at {self.provider}"
                yield Fault((*where, "storage_class"), reason, f"known are {', '.join(known)}", move.storage_class)
            if move.enabled and self.provider == "aws" and move.storage_class in _INFREQUENT:
                yield from _kept_warm(move, (*where, "days"))
        if self.provider == "aws":
            yield from _ever_colder(bucket, place)


def _kept_warm(move: "ObjectTransition", at: tuple[str | int, ...]) -> Iterator[Fault]:
    if move.days < _INFREQUENT_DAYS:
        reason = f"less than {_INFREQUENT_DAYS}, before which Amazon S3 moves nothing to {move.storage_class}"
        yield Fault(at, reason, f"set it to {_INFREQUENT_DAYS} or more", move.days)


def _ever_colder(bucket: "ObjectBucket", place: int) -> Iterator[Fault]:
    """Objects move down the list and never up; rules of one prefix are taken together."""
    moves = () if bucket.lifecycle is None or not bucket.enabled else bucket.lifecycle.transitions
    known = [(at, each) for at, each in enumerate(moves) if each.enabled and each.storage_class in _AMAZON]
    for prefix in dict.fromkeys(each.prefix for _, each in known):
        same = sorted(((at, each) for at, each in known if each.prefix == prefix), key=lambda pair: pair[1].days)
        for (_, warm), (at, cold) in pairwise(same):
            if _AMAZON.index(cold.storage_class) <= _AMAZON.index(warm.storage_class) or cold.days == warm.days:
                reason = (
                    f"after transition '{warm.name}' has moved them to {warm.storage_class}, from where they do not"
                )
                where = ("buckets", place, "lifecycle", "transitions", at, "storage_class")
                yield Fault(where, f"{reason} come back", "drop one of both, or change their order", cold.storage_class)


# --- where its buckets are


def faults_of_places(self: "ObjectStoreConfig", estate: Estate) -> Iterator[Fault]:
    """Yield what is wrong with a provider's store in the regions of the file; steps begin at the component."""
    homes = home_regions(self, estate)
    if self.provider == "aws":
        yield from _regions_of_amazon(self, homes)
    if self.provider == "gcs" and self.signing_region is None:
        for each in homes:
            if not is_region_of_google(each.code):
                reason = f"lacks 'signing_region', and region '{each.code}' is none of Google's"
                fix = "add signing_region: <Google's location, europe-west1>: without it buckets are made in the US"
                yield Fault((), reason, fix)


def _regions_of_amazon(self: "ObjectStoreConfig", homes: Sequence[EstateRegion]) -> Iterator[Fault]:
    foreign = [each.code for each in homes if not is_region_of_amazon(each.code)]
    for code in foreign:
        if self.url is None:
            reason = f"lacks 'url', and region '{code}' is none of Amazon's"
            yield Fault((), reason, "add url: https://s3.<Amazon's region>.amazonaws.com, and signing_region")
        elif self.signing_region is None and region_of_address(self.url) is None:
            reason = f"lacks 'signing_region', and region '{code}' is none of Amazon's"
            yield Fault(
                (), reason, "add signing_region: <Amazon's region>: signatures name it, and buckets are made there"
            )
    if len(homes) < 2:
        return
    if self.signing_region is not None:
        reason = "one for two regions, and each has signatures of its own"
        yield Fault(("signing_region",), reason, "remove it, and call regions as Amazon does", self.signing_region)
    if self.url is not None and "{region}" not in self.url:
        yield Fault(("url",), "one for two regions", "write {region} where they differ", self.url)
    if len({partition_of(each.code) for each in homes}) > 1:
        reason = "in two partitions of Amazon's, between which S3 copies nothing"
        yield Fault(("regions",), reason, "name two regions of one of them", self.regions)
