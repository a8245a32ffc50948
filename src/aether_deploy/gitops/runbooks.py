"""What people read and run by hand: one folder for each environment, which no engine applies."""

from aether_deploy.gitops.disaster.page import disaster_files
from aether_deploy.gitops.tree import TreeFile, Unit
from aether_deploy.platform.config import Platform


def runbook_units(platform: Platform) -> tuple[Unit, ...]:
    """Return the unit of an environment's runbooks: those of components, and that for the loss of a region."""
    files = [
        TreeFile(path=name, text=text, source=f"components.{component.name}")
        for component in platform.components
        if component.placed_in(platform.estate)
        for name, text in component.runbooks(platform.estate).items()
    ]
    files += disaster_files(platform)
    if not files:
        return ()
    path = f"{platform.environment}/runbooks"
    return (Unit(path=path, name=platform.name, environment=platform.environment, files=tuple(files)),)
