"""What a failure does to an object store: the region that takes writes, and those that follow it."""

from collections.abc import Iterator, Mapping

from aether_deploy.infrastructure.analysis.failures import Footprint, PlatformFailure
from aether_deploy.infrastructure.analysis.findings import Finding
from aether_deploy.infrastructure.analysis.impacts import Basis, Effect, FailureImpact, Loss
from aether_deploy.infrastructure.estate import Estate, EstateRegion
from aether_deploy.infrastructure.kinds.object_store import ObjectStoreConfig
from aether_deploy.infrastructure.object_store.provider_impact import ProviderAnalyst
from aether_deploy.infrastructure.object_store.regions import SELF_HOSTED, home_regions
from aether_deploy.timespan import TimeSpan

RESTART_SECS = TimeSpan(3.0, 6.0, 20.0)
"""From the end of a server to its first answer over S3, and its first upload: measured on SeaweedFS 4.48."""

_SERVER = Basis(
    "one server holds a region's objects; it is back 3.2 s after it was killed, and takes uploads up to 5 s later",
    "measured on SeaweedFS 4.48; a node or a zone that is gone takes its volume along until it is back",
)
_FOLLOWS = Basis(
    "the other regions copy what the filer of the first tells, one way", "weed filer.sync -isActivePassive; measured"
)
_ACCEPT = "accept it, or let a provider keep what must be written at any time: one server of a region outlives no node"


def analyst(config: ObjectStoreConfig, estate: Estate) -> "ObjectStoreAnalyst | ProviderAnalyst":
    """Return who answers for an object store."""
    return ObjectStoreAnalyst(config, estate) if config.provider == SELF_HOSTED else ProviderAnalyst(config, estate)


class ObjectStoreAnalyst:
    """Answers for a store that runs here: writes go to the first of its regions, reads to the copy of each."""

    def __init__(self, config: ObjectStoreConfig, estate: Estate) -> None:
        """Look at where its servers are."""
        self._config, self._estate = config, estate
        self._homes: tuple[EstateRegion, ...] = home_regions(config, estate) if config.enabled else ()

    @property
    def footprint(self) -> Footprint:
        """Every datacenter that a server may be in, and the links by which regions follow the first."""
        names = frozenset(each.name for region in self._homes for each in region.full)
        pairs = frozenset(frozenset((self._homes[0].code, each.code)) for each in self._homes[1:])
        return Footprint(datacenters=names, links=pairs)

    @property
    def pods(self) -> Mapping[str, str]:
        """Where the one server of each region may be: the volume decides, once there is one."""
        return {
            each.name: "perhaps the server" if len(region.full) > 1 else "the server"
            for region in self._homes
            for each in region.full
        }

    @property
    def parts(self) -> int:
        """One copy in each region."""
        return len(self._homes)

    def impact(self, failure: PlatformFailure) -> FailureImpact:
        """Return what it does to writes, and to the copies of regions that follow."""
        return FailureImpact(tuple(self._effects(failure)))

    def _effects(self, failure: PlatformFailure) -> Iterator[Effect]:
        for place, region in enumerate(self._homes):
            here = {each.name for each in region.full}
            gone = bool(here) and here <= failure.lost
            perhaps = bool(here & failure.lost) or bool(here & failure.nodes)
            if gone or perhaps:
                yield self._lost(region, leads=place == 0, certain=gone)
            elif failure.role is not None:
                # Which of the servers ends is not said: the gravest is that of the region that takes writes.
                yield from self._ended(region, leads=place == 0)
            elif place and frozenset((self._homes[0].code, region.code)) in failure.cut:
                note = f"the copy in {region.code} gets nothing new until the link is back, and then what it missed"
                yield Effect(part=region.code, region=region.code, note=note, rules=(_FOLLOWS,))

    def _lost(self, region: EstateRegion, *, leads: bool, certain: bool) -> Effect:
        rules = (_SERVER, _FOLLOWS) if len(self._homes) > 1 else (_SERVER,)
        when = "" if certain else "if its server and its volume are there; "
        if not leads:
            note = f"{when}readers there take the copy of another region"
            return Effect(part=region.code, region=region.code, readable=True, note=note, rules=rules)
        others = [each.code for each in self._homes[1:]]
        if not others:
            return Effect(
                part="objects", outcome="down", readable=False, rules=rules,
                note=f"{when}objects can be neither written nor read until it is back",
                fix="let a second region follow: name it in regions",
            )  # fmt: skip
        return Effect(
            part="objects", outcome="read-only", readable=True, rules=rules, by_design=not certain,
            fix="" if certain else _ACCEPT,
            human=f"wait for {region.code}, or name {others[0]} first in regions, and follow "
            f"runbooks/{self._config.name}.md",
            loss=Loss(text="what the other regions had not yet copied: a fraction of a second, unless they lagged"),
            note=f"{when}reads go on in {', '.join(others)}; what is written there meanwhile is not copied back",
        )  # fmt: skip

    def _ended(self, region: EstateRegion, *, leads: bool) -> Iterator[Effect]:
        if leads:
            yield Effect(part="objects", outcome="interrupted", readable=False, recovery=RESTART_SECS, rules=(_SERVER,))
        else:
            note = f"the copy in {region.code} is away for {RESTART_SECS.range_text(' to ')}"
            yield Effect(part=region.code, region=region.code, note=note, rules=(_SERVER,))

    def findings(self) -> Iterator[Finding]:
        """Yield what no single failure shows: that one region has no copy, and links of unknown width."""
        name = self._config.name
        if len(self._homes) > 1:
            yield Finding(
                rule="one-server", severity="note", component=name, source=_SERVER.source,
                text="a node that is drained takes a region's one server along, which its disruption budget allows: "
                "uploads stop for as long as the volume takes to come to another node",
                fix="drain its node when few upload",
            )  # fmt: skip
        if len(self._homes) == 1:
            yield Finding(
                rule="one-copy", severity="warning", component=name, source=_SERVER.source,
                text="every object is kept once: a lost volume takes them along",
                fix="let a second region follow, or keep a copy elsewhere",
            )  # fmt: skip
        for each in self._homes[1:]:
            if frozenset((self._homes[0].code, each.code)) not in self._estate.bandwidths:
                yield Finding(
                    rule="copy-bandwidth", severity="note", component=name, source="links",
                    text=f"objects are copied over {self._homes[0].code} - {each.code}, whose bandwidth is not said: "
                    "whether the copy keeps up cannot be told",
                    fix="give this link bandwidth_mbps",
                )  # fmt: skip
