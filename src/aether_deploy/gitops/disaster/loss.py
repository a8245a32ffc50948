"""One region that is lost: what the analysis, the routing decision and the components say of it."""

from collections.abc import Iterator, Mapping
from functools import cached_property

import msgspec

from aether_deploy.infrastructure.analysis.analysing import Analysis, Row
from aether_deploy.infrastructure.component import ComponentConfig
from aether_deploy.infrastructure.recovery import Recovery, recovery_of
from aether_deploy.platform.analysing import analyse_platform
from aether_deploy.platform.arrivals import arrival_paths
from aether_deploy.platform.config import Platform
from aether_deploy.platform.parts import RegionConfig
from aether_deploy.platform.placing import EntryView, nearest, site_configs
from aether_deploy.platform.routing import capacity_players, router_config
from aether_deploy.routing.router_config import RouterConfig
from aether_deploy.routing.waits import Path


class Everywhere(msgspec.Struct, frozen=True):
    """What the losses of all regions have in common.

    Attributes:
        platform: A platform without faults.
        analysis: What every failure does to its components.
        router: What decides where players go.
        paths: How players learn where to go; none where nothing sends them.
        room: Players that each region takes, as far as that is known, by its code.
    """

    platform: Platform
    analysis: Analysis
    router: RouterConfig
    paths: tuple[Path, ...]
    room: Mapping[str, int]


class RegionLoss(msgspec.Struct, frozen=True, dict=True):
    """The loss of one region.

    Attributes:
        region: The region.
        around: What it has in common with the loss of others.
    """

    region: RegionConfig
    around: Everywhere

    @property
    def platform(self) -> Platform:
        """The platform that loses it."""
        return self.around.platform

    @property
    def code(self) -> str:
        """The region's code."""
        return self.region.code

    @property
    def cluster(self) -> str:
        """Its cluster, and the context that reaches it."""
        return self.region.cluster

    @cached_property
    def others(self) -> tuple[RegionConfig, ...]:
        """The regions that are left, in file order."""
        return tuple(each for each in self.platform.regions if each.enabled and each.code != self.code)

    @cached_property
    def row(self) -> Row | None:
        """What its loss does to components; None where it touches none."""
        rows = self.around.analysis.singles
        return next((row for row in rows if row.failure.kind == "region" and row.failure.name == self.code), None)

    @cached_property
    def components(self) -> tuple[ComponentConfig, ...]:
        """Every component that runs somewhere, in file order."""
        estate = self.platform.estate
        return tuple(each for each in self.platform.components if each.enabled and each.placed_in(estate))

    @cached_property
    def recoveries(self) -> tuple[tuple[ComponentConfig, Recovery], ...]:
        """What people do for each component."""
        return tuple((each, recovery_of(each, self.platform.estate, self.code)) for each in self.components)

    @cached_property
    def orphans(self) -> tuple[EntryView, ...]:
        """The workloads that some other region calls in the lost one, though they run in a third one too."""
        called = {
            name
            for site in self.platform.sites
            if not site.witness and site.region.code != self.code
            for name in self._called_from(site.region.code)
            if (there := nearest(self.platform, name, site)) is not None and there[0].code == self.code
        }
        return tuple(each for each in self.platform.authored if each.name in called and len(each.regions) > 1)

    def _called_from(self, code: str) -> Iterator[str]:
        """Yield the workloads that are used in a region and do not run there."""
        site = next(each for each in self.platform.sites if each.region.code == code and not each.witness)
        here = site_configs(self.platform, site)
        for _, config in here.values():
            yield from (name for name in config.uses if name not in here and self.platform.component(name) is None)


def losses_of(platform: Platform) -> tuple[RegionLoss, ...]:
    """Return the loss of each region of ``platform``, in file order."""
    regions = [each for each in platform.regions if each.enabled]
    around = Everywhere(
        platform,
        analyse_platform(platform),
        router_config(platform),
        arrival_paths(platform),
        {each.code: capacity_players(platform, each) for each in regions},
    )
    return tuple(RegionLoss(each, around) for each in regions)
