"""A platform's components against every failure: who they are, who uses them, and what becomes of both."""

from collections import defaultdict
from typing import TYPE_CHECKING

from aether_deploy.infrastructure.analysis.analysing import Analysis, Subject, Use, analyse
from aether_deploy.infrastructure.analysis.analysts import analyst_of
from aether_deploy.infrastructure.component import ComponentConfig
from aether_deploy.platform.components import server_of

if TYPE_CHECKING:
    from aether_deploy.platform.config import Platform


def analyse_platform(platform: "Platform", *, pairs: bool = False) -> Analysis:
    """Return what every failure does to the components of ``platform``.

    Args:
        platform: A platform without faults.
        pairs: Look at pairs of zones, of regions and of links too.

    Returns:
        The analysis; equal platforms give equal ones. Without components it has no rows.
    """
    uses = _uses(platform)
    subjects = [
        _subject(platform, component, tuple(uses[component.name]))
        for component in platform.components
        if component.enabled and component.placed_in(platform.estate)
    ]
    return analyse(platform.estate, subjects, pairs=pairs)


def _subject(platform: "Platform", component: ComponentConfig, uses: tuple[Use, ...]) -> Subject:
    return Subject(
        name=component.name,
        kind=type(component).KIND_NAME,
        regions=component.placed_in(platform.estate),
        witnesses=tuple(each.name for each in component.witnesses(platform.estate)),
        uses=uses,
        analyst=analyst_of(component, platform.estate),
    )


def _uses(platform: "Platform") -> dict[str, list[Use]]:
    """Return who uses each component, by its name, in the order of the file."""
    found: dict[str, list[Use]] = defaultdict(list)
    components = {each.name: each for each in platform.components if each.enabled}
    sites = {site.region.code: site for site in platform.sites if not site.witness}
    for view in platform.entries:
        for code in view.regions:
            config = platform.expanded_in(view.at, code).config
            for name in config.uses if config is not None else ():
                component = components.get(name)
                server = None if component is None else server_of(platform, component, sites[code])
                if server is not None:
                    found[name].append(Use(view.name, code, server))
    return found
