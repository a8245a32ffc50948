"""What a failure does to a provider's store: nothing of it runs here, and it may be lost with a region all the same.

Whether a lost region is that of the provider, or only what runs there, no description says: the gravest is told, and
that it is one of two.
"""

from collections.abc import Iterator, Mapping

from aether_deploy.infrastructure.analysis.failures import Footprint, PlatformFailure
from aether_deploy.infrastructure.analysis.findings import Finding
from aether_deploy.infrastructure.analysis.impacts import UNTOUCHED, Basis, Effect, FailureImpact, Loss
from aether_deploy.infrastructure.estate import Estate, EstateRegion
from aether_deploy.infrastructure.kinds.object_store import ObjectStoreConfig
from aether_deploy.infrastructure.object_store.regions import (
    external_address,
    home_regions,
    is_region_of_google,
    signing_region,
)

_HOSTS = {"aws": "aws", "gcs": "gcp"}
"""Providers whose regions may be those of the file, by what the file calls them there."""

_OWN = ("ceph_rgw", "garage")
"""What people run themselves: where, no description says."""

_ONE_REGION = Basis(
    "a bucket is in one region of its provider, and as lost as that is", "Amazon S3 User Guide; Cloud Storage locations"
)
_STANDS_SOMEWHERE = Basis("who runs it knows where it stands", "not in the description")
_COPIED_LATER = Basis(
    "S3 copies after it has answered who wrote, one way, and promises no time unless that is bought",
    "Amazon S3 User Guide, Replicating objects; Replication Time Control",
)


def may_go_along(config: ObjectStoreConfig, region: EstateRegion) -> bool:
    """Return whether the region of the file may be where its copy is kept, and so be lost with it."""
    if config.provider in _OWN:
        return True
    if config.provider not in _HOSTS or region.provider not in (None, _HOSTS[config.provider]):
        return False
    return config.provider == "aws" or is_region_of_google(_kept_in(config, region))


def _kept_in(config: ObjectStoreConfig, region: EstateRegion) -> str:
    """Return what the provider calls the place of its copy; empty where it has one place, or nobody says."""
    match config.provider:
        case "aws":
            return signing_region(config, region.code)
        case "gcs":
            return config.signing_region or region.code
        case _:
            return ""


def if_lost(config: ObjectStoreConfig, region: EstateRegion) -> str:
    """Return the words of the case in which the copy of a lost region is lost with it."""
    if config.provider in _OWN:
        return f"if the servers of {config.provider} are in {region.code} and lost with it"
    return f"if it is {_kept_in(config, region)} of {config.provider} itself that is lost"


def whose_region(config: ObjectStoreConfig) -> Basis:
    """Return why it may be."""
    return _STANDS_SOMEWHERE if config.provider in _OWN else _ONE_REGION


class ProviderAnalyst:
    """Answers for a provider's store: it goes on, unless a lost region is the very one that keeps it."""

    def __init__(self, config: ObjectStoreConfig, estate: Estate) -> None:
        """Look at where its buckets are."""
        self._config, self._estate = config, estate
        self._homes: tuple[EstateRegion, ...] = home_regions(config, estate) if config.enabled else ()

    @property
    def footprint(self) -> Footprint:
        """Every datacenter of the regions that may be lost together with their copy."""
        names = {each.name for region in self._homes if may_go_along(self._config, region) for each in region.full}
        return Footprint(datacenters=frozenset(names))

    @property
    def pods(self) -> Mapping[str, str]:
        """None."""
        return {}

    @property
    def parts(self) -> int:
        """One copy in each region."""
        return len(self._homes)

    def impact(self, failure: PlatformFailure) -> FailureImpact:
        """Return what the loss of a whole region may do; a process, a node or a zone here is nothing to it."""
        return FailureImpact(tuple(self._effects(failure))) if failure.kind == "region" else UNTOUCHED

    def _effects(self, failure: PlatformFailure) -> Iterator[Effect]:
        for place, region in enumerate(self._homes):
            here = {each.name for each in region.full}
            if not (here and here <= failure.lost and may_go_along(self._config, region)):
                continue
            if place:
                note = (
                    f"only {if_lost(self._config, region)}: its copy is away, and gets what it missed once it is back"
                )
                yield Effect(
                    part=region.code, region=region.code, note=note, rules=(whose_region(self._config), _COPIED_LATER)
                )
            elif len(self._homes) > 1:
                yield self._copy_is_left(region)
            else:
                yield Effect(
                    part="objects", outcome="down", readable=False, rules=(whose_region(self._config),),
                    note=f"only {if_lost(self._config, region)}; else it goes on",
                    fix="let a second region follow: name it in regions" if self._config.provider == "aws" else "",
                )  # fmt: skip

    def _copy_is_left(self, region: EstateRegion) -> Effect:
        case, other = if_lost(self._config, region), self._homes[1].code
        there = f"{external_address(self._config, self._estate, other).url}, where each bucket is <bucket>-{other}"
        return Effect(
            part="objects", outcome="read-only", rules=(whose_region(self._config), _COPIED_LATER),
            note=f"only {case}; else it goes on. The copy in {other} has another address and other names",
            human=f"{case}: wait for it, or let those who read and write use {there}; nothing copies "
            "back what is written there",
            loss=Loss(text=f"{case}: what S3 had not copied to {other} yet, without a bound"),
        )  # fmt: skip

    def findings(self) -> Iterator[Finding]:
        """Yield that what fails at the provider is nothing that is looked at."""
        places = " and ".join(place for each in self._homes if (place := _kept_in(self._config, each)))
        where = f" in {places}" if places else ""
        judged = "only the loss of a region" if self.footprint.datacenters else "nothing"
        yield Finding(
            rule="kept-elsewhere", severity="note", component=self._config.name, source="provider",
            text=f"kept by {self._config.provider}{where}: of what fails there {judged} is judged",
            fix="read what it promises, and rehearse what you do without it",
        )  # fmt: skip
