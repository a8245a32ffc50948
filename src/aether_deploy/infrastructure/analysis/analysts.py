"""Who answers for a component what a failure does to it: its kind's ``impact`` module, or what holds of every kind."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Protocol

from aether_deploy.infrastructure.analysis.failures import Footprint, PlatformFailure
from aether_deploy.infrastructure.analysis.findings import Finding
from aether_deploy.infrastructure.analysis.impacts import UNTOUCHED, Basis, Effect, FailureImpact
from aether_deploy.infrastructure.estate import Estate
from aether_deploy.infrastructure.kind_modules import module_of_kind

if TYPE_CHECKING:
    from aether_deploy.infrastructure.component import ComponentConfig


class Analyst(Protocol):
    """Answers for one component on one estate. All of it is pure: equal questions have equal answers."""

    @property
    def footprint(self) -> Footprint:
        """Where it can be hit; nothing else is ever asked."""
        ...

    @property
    def pods(self) -> Mapping[str, str]:
        """What of it stands in each datacenter, in few words, by the datacenter's name: ``standby``."""
        ...

    @property
    def parts(self) -> int:
        """How many parts it has that take writes: the most that one failure can stop."""
        ...

    def impact(self, failure: PlatformFailure) -> FailureImpact:
        """Return what a failure within the footprint does to it."""
        ...

    def findings(self) -> Iterator[Finding]:
        """Yield what is wrong with it that no single failure shows."""
        ...


def analyst_of(component: "ComponentConfig", estate: Estate) -> Analyst:
    """Return who answers for ``component``.

    A kind's package may hold a module ``impact`` with ``analyst(component, estate)``; a kind without one gets
    answers that hold of anything that runs in datacenters.
    """
    module = module_of_kind(type(component).KIND_NAME, "impact")
    answering: Analyst = PlainAnalyst(component, estate) if module is None else module.analyst(component, estate)
    return answering


_UNKNOWN = Basis("what its kind does beyond that is not known here", "no rule of this kind")


class PlainAnalyst:
    """What holds of any component: where its pods are lost it is gone, and it is back when they are."""

    def __init__(self, component: "ComponentConfig", estate: Estate) -> None:
        """Look at where it runs."""
        self._regions = [region for region in estate.regions if region.code in component.placed_in(estate)]
        self._witnesses = frozenset(each.name for each in component.witnesses(estate))

    @property
    def footprint(self) -> Footprint:
        """Every datacenter that its pods run in."""
        names = {each.name for region in self._regions for each in region.full}
        return Footprint(datacenters=self._witnesses | names)

    @property
    def pods(self) -> Mapping[str, str]:
        """Where its pods run; how many is not known."""
        here = {each.name: "" for region in self._regions for each in region.full}
        return here | dict.fromkeys(sorted(self._witnesses), "votes")

    @property
    def parts(self) -> int:
        """One in each region."""
        return len(self._regions)

    def impact(self, failure: PlatformFailure) -> FailureImpact:
        """Return what is gone: a region's part is down with its last datacenter, and weaker with the first."""
        return (
            FailureImpact(tuple(self._effects(failure))) if failure.role or failure.lost or failure.nodes else UNTOUCHED
        )

    def findings(self) -> Iterator[Finding]:
        """Yield nothing: nothing is known."""
        yield from ()

    def _effects(self, failure: PlatformFailure) -> Iterator[Effect]:
        for region in self._regions:
            here = {each.name for each in region.full}
            lost = here & failure.lost
            if here and lost == here:
                yield Effect(
                    part=region.code, region=region.code, outcome="down", readable=False,
                    rules=(Basis("all of its pods are gone until their datacenters are back", "placement"), _UNKNOWN),
                )  # fmt: skip
            elif lost or here & failure.nodes or failure.role:
                yield Effect(part=region.code, region=region.code, note="fewer pods", rules=(_UNKNOWN,))
