"""Where each entry runs, and which placement is nearest."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from aether_deploy.fleet.config import DeploymentConfig
from aether_deploy.platform.distance import round_trip_ms
from aether_deploy.platform.expansion import Steps, find_layer, iterate_entries, node_of_workload
from aether_deploy.platform.parts import RegionConfig, Site

if TYPE_CHECKING:
    from aether_deploy.platform.config import Platform


class EntryView(msgspec.Struct, frozen=True):
    """One entry of worlds or services, or a workload of routing, and where it runs.

    Attributes:
        at: Where it stands in the document.
        entry: What the file says of it.
        regions: Codes of the regions where it runs, in file order.
    """

    at: Steps
    entry: Mapping[str, Any]
    regions: tuple[str, ...]

    @property
    def section(self) -> str:
        return str(self.at[0])

    @property
    def name(self) -> str:
        name = self.entry.get("name")
        return name if isinstance(name, str) else ""

    @property
    def enabled(self) -> bool:
        return self.entry.get("enabled") is not False


def view_entries(platform: "Platform") -> list[EntryView]:
    """Return every entry of worlds and services; a disabled one runs nowhere."""
    rendered = [region.code for region in platform.regions if region.enabled]
    views = []
    for section, place, entry in iterate_entries(platform.worlds, platform.services):
        wanted = entry.get("regions", "all")
        listed = wanted if isinstance(wanted, (list, tuple)) else rendered
        runs = [code for code in rendered if code in listed] if entry.get("enabled") is not False else []
        views.append(EntryView((section, place), entry, tuple(runs)))
    return views


def site_configs(platform: "Platform", site: Site) -> dict[str, tuple[EntryView, DeploymentConfig]]:
    """Return the workloads that run at ``site`` and are sound, by name."""
    known = platform.configs_by_region
    if site.witness:
        return {}
    if site.region.code not in known:
        known[site.region.code] = _site_configs(platform, site)
    return known[site.region.code]


def _site_configs(platform: "Platform", site: Site) -> dict[str, tuple[EntryView, DeploymentConfig]]:
    found = {}
    for view in platform.entries:
        if site.region.code in view.regions:
            config = platform.config_of(view.at, site.region.code)
            if config is not None:
                found[config.name] = (view, config)
    return found


def nearest(platform: "Platform", name: str, site: Site) -> tuple[RegionConfig, DeploymentConfig] | None:
    """Return the region nearest to ``site`` where ``name`` runs, and the workload there."""
    best: tuple[float, RegionConfig, DeploymentConfig] | None = None
    by_code = {region.code: region for region in platform.regions}
    for view in platform.entries_by_name.get(name, ()):
        for code in view.regions:
            region = by_code[code]
            config = platform.config_of(view.at, code)
            distance = round_trip_ms(site.region, region, platform.links)
            far = float("inf") if distance is None else distance
            if config is not None and (best is None or far < best[0]):
                best = (far, region, config)
    return best and best[1:]


def at_layer(platform: "Platform", view: EntryView, site: Site, steps: Steps) -> Steps:
    """Return where the value of a placed workload at ``steps`` stands in the document."""
    expanded = platform.expanded_in(view.at, site.region.code)
    found = find_layer(steps, expanded.layers, expanded.values, node_of_workload())
    return found or view.at
