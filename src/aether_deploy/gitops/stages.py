"""What is applied after what: one graph, from which every engine's order follows.

A stage is what is applied together. Argo CD gets it as sync waves, Flux as ``dependsOn``.
"""

from collections.abc import Iterator, Mapping

CLUSTER = "cluster"
DATA = "data"
MONITORING = "monitoring"
WORKLOADS = "workloads"

AFTER: Mapping[str, tuple[str, ...]] = {
    CLUSTER: (),
    DATA: (CLUSTER,),
    MONITORING: (CLUSTER,),
    WORKLOADS: (CLUSTER, DATA),
}
"""The stages, in order, and the stages that each of them comes after.

Components come before the workloads that use them. Workloads do not come after monitoring, without which an autoscaler
holds still, nor after what fetches their Secrets.
"""

HEALTHY_FIRST = frozenset({CLUSTER})
"""The stages whose health is waited for before a later one is applied.

An engine that waits takes no newer commit meanwhile. So it waits for what must stand first, and for nothing that may
be Pending for a day: no world, and no database that has lost a zone, or nobody could ship anything during an outage.
"""

_WAVES_APART = 10  # leaves room for waves of somebody's own between ours


def wave_of(stage: str) -> int:
    """Return Argo CD's sync wave of a stage: 0 for what waits for nothing.

    Argo CD waits for the health of every earlier wave, so only stages that are waited for have one of their own.
    """
    waited = [before for before in AFTER[stage] if before in HEALTHY_FIRST]
    return max((wave_of(before) + _WAVES_APART for before in waited), default=0)


def stages_before(stage: str, rendered: frozenset[str]) -> Iterator[str]:
    """Yield the stages that ``stage`` waits for, as far as they are rendered."""
    yield from (before for before in AFTER[stage] if before in rendered)
