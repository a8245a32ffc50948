"""The whole lab of ``examples/three-regions``: how long it takes to boot and what memory it takes, as one and in parts.

Its peers are its own members: each boots alone first, and then all at once. Where processors are many, boots wait on
timers, and the whole can take little more than its slowest member. Where they are few, all of them are busy from the
first to the last moment, and no order of starts makes the whole shorter than what its parts burn, shared by the
processors: the bound is the greater of both.
"""

import os
import resource
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
    slowest = max(each.boot_secs for each, _ in alone.values())
    shared = sum(cpu_secs for _, cpu_secs in alone.values()) / (os.cpu_count() or 1)
    record, cpu_secs = whole
    return {
        "lab: processes": sum(len(member.processes) for member in record.members),
        "lab: whole boot, s": record.boot_secs,
        "lab: whole boot, processor s": cpu_secs,
        **{f"lab: boot of {', '.join(modules)} alone, s": each.boot_secs for modules, (each, _) in alone.items()},
        **{f"lab: boot of {', '.join(modules)} alone, processor s": secs for modules, (_, secs) in alone.items()},
        "lab: whole boot, times that of its slowest member alone": record.boot_secs / slowest,
        "lab: whole boot, times the greater of its slowest member and its parts' processor time": record.boot_secs
        / max(slowest, shared),
        "lab: whole boot, share of its parts one after another": record.boot_secs
        / sum(each.boot_secs for each, _ in alone.values()),
        "lab: memory of the whole, MB": _memory(record),
        "lab: memory of its parts alone together, MB": sum(_memory(each) for each, _ in alone.values()),
    }


def _booted(platform: Platform, modules: tuple[str, ...]) -> tuple[LabRecord, float]:
    """Return what a lab says of itself, and the processor seconds that it and its processes took until they ended."""
    begun = _cpu_secs()
    with LabSystem(platform, file=EXAMPLE.name, modules=modules) as lab:
        record = lab.record()
    return record, _cpu_secs() - begun


def _cpu_secs() -> float:
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in spent)


def _memory(record: LabRecord) -> float:
    return sum(member.memory_mb or 0.0 for member in record.members)
