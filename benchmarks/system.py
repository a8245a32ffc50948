"""The whole lab of ``examples/three-regions``: how long it takes to boot and what memory it takes, as one and in parts.

Its peers are its own members: each boots alone first, and then all at once. On a machine that waits on timers rather
than on processors the whole takes little more than its slowest member.
"""

from pathlib import Path

from aether_deploy.delivery.loading import load_platform
from aether_deploy.lab.programs import MissingProgramsError
from aether_deploy.lab.system import registry
from aether_deploy.lab.system.record import LabRecord
from aether_deploy.lab.system.system import LabSystem
from aether_deploy.platform.config import Platform

EXAMPLE = Path(__file__).parents[1] / "examples" / "three-regions" / "aether.yaml"
APART = (("nats",), ("valkey",), ("object_store",), ("postgres",), ("world", "service", "router", "envoy"))
"""What boots alone: modules of members that need nobody else. Edges need a store, routers and Envoy need services."""


def measure() -> dict[str, float]:
    """Return the figures, or none where programs of the lab are missing."""
    platform = load_platform(str(EXAMPLE))
    try:
        alone = {modules: _booted(platform, modules) for modules in APART}
        whole = _booted(platform, registry.MODULES)
    except MissingProgramsError as error:
        print(f"no figures of the whole lab: {error}")
        return {}
    slowest = max(each.boot_secs for each in alone.values())
    parts = sum(_memory(each) for each in alone.values())
    return {
        "lab: processes": sum(len(member.processes) for member in whole.members),
        "lab: whole boot, s": whole.boot_secs,
        **{f"lab: boot of {', '.join(modules)} alone, s": each.boot_secs for modules, each in alone.items()},
        "lab: whole boot, times that of its slowest member alone": whole.boot_secs / slowest,
        "lab: whole boot, share of its parts one after another": whole.boot_secs
        / sum(each.boot_secs for each in alone.values()),
        "lab: memory of the whole, MB": _memory(whole),
        "lab: memory of its parts alone together, MB": parts,
    }


def _booted(platform: Platform, modules: tuple[str, ...]) -> LabRecord:
    with LabSystem(platform, file=EXAMPLE.name, modules=modules) as lab:
        return lab.record()


def _memory(record: LabRecord) -> float:
    return sum(member.memory_mb or 0.0 for member in record.members)
