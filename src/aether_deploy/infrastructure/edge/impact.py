"""What a failure does to edges: those of other regions go on, and what is kept outlives its origins.

A provider's edge is nowhere in the platform: nothing that fails in it takes the edge away, but its origins may go.
"""

from collections.abc import Iterator, Mapping

import msgspec

from aether_deploy.infrastructure.analysis.failures import Footprint, PlatformFailure
from aether_deploy.infrastructure.analysis.findings import Finding
from aether_deploy.infrastructure.analysis.impacts import Basis, Effect, FailureImpact
from aether_deploy.infrastructure.edge.copies import StoreCopies
from aether_deploy.infrastructure.edge.nginx import CONNECT_SECS, READ_SECS
from aether_deploy.infrastructure.edge.outside import outside_origins
from aether_deploy.infrastructure.edge.policy import classes_of
from aether_deploy.infrastructure.estate import Estate, EstateRegion
from aether_deploy.infrastructure.kinds.edge import EdgeConfig
from aether_deploy.timespan import TimeSpan

_KEPT = Basis(
    "what is kept is answered without an origin, for as long as its class says", "RFC 5861; measured on nginx"
)
_SPARE = Basis(
    f"an origin that is gone costs the first who ask up to {CONNECT_SECS} s, one that answers nothing {READ_SECS} s; "
    "then the next is asked, and one player now and then finds out whether it is back",
    "ngx_http_upstream_module; measured on nginx 1.31.3",
)
_SHIELD_GONE = "if the shield's pod is among the lost"
_PODS = Basis("its pods keep nothing that would be missed: others answer", "Deployment; placement")


_ELSEWHERE = Basis("nothing of it runs here: it goes on while one of its origins does", "its provider's own promises")


def analyst(config: EdgeConfig, estate: Estate) -> "EdgeAnalyst | ProviderAnalyst":
    """Return who answers for edges."""
    return EdgeAnalyst(config, estate) if config.runs_here else ProviderAnalyst(config, estate)


class _Asked(msgspec.Struct, frozen=True):
    """Whom an edge asks while something fails.

    Attributes:
        sources: Who answers, in the order in which they are asked; each with whether that is sure.
        silent: How many do not answer.
    """

    sources: Mapping[str, bool]
    silent: int

    @property
    def in_vain(self) -> int:
        """How many may be waited for, one after the other, until somebody answers."""
        return self.silent + sum(not sure for sure in self.sources.values())


class EdgeAnalyst:
    """Answers for the edges of one component: one in each region, and the copies of the store behind them."""

    def __init__(self, config: EdgeConfig, estate: Estate) -> None:
        """Look at where its pods and its origins are."""
        self._config = config
        placed = config.placed_in(estate)
        self._regions = tuple(each for each in estate.regions if each.code in placed)
        self._copies = StoreCopies(estate.component(config.store), estate)
        # Without an endpoint nobody reaches it from elsewhere: see policy.shield_of.
        shields = self._regions if config.endpoint is not None else ()
        self._shield = next((each for each in shields if each.code == config.shield), None)

    @property
    def footprint(self) -> Footprint:
        """Every datacenter with its pods or with a copy of its store, and the links to those and to the shield."""
        names = {each.name for region in self._regions for each in region.full} | self._copies.datacenters
        here = self._copies.regions if self._copies.run_here else ()
        asked = (*here, *((self._shield,) if self._shield is not None else ()))
        pairs = {frozenset((a.code, b.code)) for a in self._regions for b in asked if a.code != b.code}
        return Footprint(datacenters=frozenset(names), links=frozenset(pairs))

    @property
    def pods(self) -> Mapping[str, str]:
        """Where pods of each region may be."""
        text = f"of {self._config.replicas} pods"
        return {each.name: text for region in self._regions for each in region.full}

    @property
    def parts(self) -> int:
        """One in each region."""
        return len(self._regions)

    def impact(self, failure: PlatformFailure) -> FailureImpact:
        """Return what it does to the edge of each region: its pods, and then what it fetches from."""
        return FailureImpact(tuple(effect for region in self._regions for effect in self._effects(region, failure)))

    def _effects(self, region: EstateRegion, failure: PlatformFailure) -> Iterator[Effect]:
        here = {each.name for each in region.full}
        if here and here <= failure.lost:
            yield Effect(
                part=region.code, region=region.code, outcome="down", readable=False, rules=(_PODS,),
                by_design=len(self._regions) > 1,
                note="players are answered by the edge of another region, once their names lead there",
            )  # fmt: skip
            return
        asked = self._asked(region, failure)
        if not asked.sources:
            yield Effect(
                part=region.code, region=region.code, outcome="read-only", note=_outlives(self._config), rules=(_KEPT,),
                fix=self._copies.fix,
            )  # fmt: skip
        elif not any(asked.sources.values()):
            yield Effect(
                part=region.code, region=region.code, outcome="read-only", rules=(self._copies.rule, _KEPT),
                note=f"{self._copies.if_gone(failure) or _SHIELD_GONE}: {_outlives(self._config)}",
                fix=self._copies.fix,
            )  # fmt: skip
        elif asked.in_vain:
            yield self._waiting(region, asked, failure)
        elif here & failure.lost or here & failure.nodes or failure.role:
            yield Effect(part=region.code, region=region.code, note="fewer pods, and what they kept", rules=(_PODS,))

    def _waiting(self, region: EstateRegion, asked: "_Asked", failure: PlatformFailure) -> Effect:
        """Return what it means that some who are asked do not answer, or may not: one is waited for after the other."""
        note = f"what is not kept comes from {next(name for name, sure in asked.sources.items() if sure)}"
        rules: tuple[Basis, ...] = (_SPARE,)
        if not asked.silent and (gone := self._copies.if_gone(failure)):
            note, rules = f"{gone}, {note}", (self._copies.rule, _SPARE)
        elif not asked.silent:
            note = f"{_SHIELD_GONE}, {note}"
        times = asked.in_vain
        pause = TimeSpan(0.0, times * CONNECT_SECS, times * READ_SECS)
        return Effect(part=region.code, region=region.code, note=note, pause=pause, rules=rules)

    def _asked(self, region: EstateRegion, failure: PlatformFailure) -> "_Asked":
        """Return who answers an edge, in the order in which it asks: its shield before any copy of the store."""
        sources: dict[str, bool] = {}
        silent = 0
        if self._shield is not None and self._shield.code != region.code:
            # A shield that waits for its own is waited for no longer.
            first = self._copies.nearest_first(self._shield.code)[:1]
            if self._reaches(region, self._shield, failure) and all(
                self._fetches(self._shield, each, failure) for each in first
            ):
                shaken = bool({each.name for each in self._shield.full} & (failure.lost | failure.nodes))
                doubtful = any(self._copies.fate(each, failure) == "doubtful" for each in first)
                sources[f"the shield in {self._shield.code}"] = not (shaken or doubtful)
            else:
                silent += 1
        for each in self._copies.nearest_first(region.code):
            if self._fetches(region, each, failure):
                sources[self._copies.called(each)] = self._copies.fate(each, failure) == "there"
            else:
                silent += 1
        if not self._copies.regions:
            sources["the store"] = True  # a provider's, in none of our regions
        return _Asked(sources, silent)

    def _fetches(self, region: EstateRegion, copy: EstateRegion, failure: PlatformFailure) -> bool:
        """Return whether a copy is there for a region; to a provider's lead no links of the platform."""
        cut = self._copies.run_here and frozenset((region.code, copy.code)) in failure.cut
        return not cut and self._copies.fate(copy, failure) != "gone"

    def _reaches(self, region: EstateRegion, other: EstateRegion, failure: PlatformFailure) -> bool:
        gone = {each.name for each in other.full} <= failure.lost
        return not gone and frozenset((region.code, other.code)) not in failure.cut

    def findings(self) -> Iterator[Finding]:
        """Yield classes that are gone with their origin, though nobody need notice."""
        yield from _gone_with_their_origin(self._config)


class ProviderAnalyst:
    """Answers for a provider's edge: only the copies of its store can be lost to it."""

    def __init__(self, config: EdgeConfig, estate: Estate) -> None:
        """Look at where its origins are."""
        self._config = config
        store = estate.component(config.store)
        found = outside_origins(config, store, estate) if config.enabled and store is not None else ()
        asked = [each.name for each in found[: config.renderer.origins_asked(len(found))]]
        self._copies = StoreCopies(store, estate, only=asked)

    @property
    def footprint(self) -> Footprint:
        """Every datacenter with which a copy of its store may go."""
        return Footprint(datacenters=self._copies.datacenters)

    @property
    def pods(self) -> Mapping[str, str]:
        """None."""
        return {}

    @property
    def parts(self) -> int:
        """One for all regions, where anything of the platform can be lost to it."""
        return 1 if self._copies.datacenters else 0

    def impact(self, failure: PlatformFailure) -> FailureImpact:
        """Return what it does to what the edge fetches from."""
        return FailureImpact(tuple(self._effects(failure)))

    def _effects(self, failure: PlatformFailure) -> Iterator[Effect]:
        fates = {each: self._copies.fate(each, failure) for each in self._copies.regions}
        sure = [each for each, fate in fates.items() if fate == "there"]
        if len(sure) == len(fates):
            return
        part = self._config.renderer.called
        case = self._copies.if_gone(failure)
        if sure:
            note = f"what is not kept comes from {self._copies.called(sure[0])}"
            rules = (self._copies.rule, _ELSEWHERE) if case else (_ELSEWHERE,)
            yield Effect(part=part, note=f"{case}, {note}" if case else note, rules=rules)
        else:
            note = _outlives(self._config)
            yield Effect(
                part=part, outcome="read-only", note=f"{case}: {note}" if case else note,
                rules=(*((self._copies.rule,) if case else ()), _KEPT, _ELSEWHERE),
                fix=self._fix,
            )  # fmt: skip

    @property
    def _fix(self) -> str:
        if self._copies.run_here:
            return "take a store of a provider, or one with a further region"
        return self._copies.fix if self._config.renderer.origins_asked(2) > 1 else ""

    def findings(self) -> Iterator[Finding]:
        """Yield classes that are gone with their origin, though nobody need notice."""
        yield from _gone_with_their_origin(self._config)


def _outlives(config: EdgeConfig) -> str:
    kept = [f"{each.name} for {each.ttl_secs + each.sie_secs} s" for each in classes_of(config)]
    return f"only what is kept is answered: {', '.join(kept) or 'nothing is'}"


def _gone_with_their_origin(config: EdgeConfig) -> Iterator[Finding]:
    for each in classes_of(config):
        if each.ttl_secs < 3600 and not each.sie_secs:
            yield Finding(
                rule="no-stale-if-error", severity="note", component=config.name, source="RFC 5861",
                text=f"class '{each.name}' is not answered {each.ttl_secs} s after the last origin went",
                fix="give it stale_if_error_secs",
            )  # fmt: skip
