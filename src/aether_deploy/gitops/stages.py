"""What is applied after what: one graph, from which every engine's order follows.

A stage is what is applied together. Argo CD gets it as sync waves, Flux as ``dependsOn``.
"""

from collections.abc import Iterator, Mapping

CLUSTER = "cluster"
MONITORING = "monitoring"
WORKLOADS = "workloads"

AFTER: Mapping[str, tuple[str, ...]] = {
    CLUSTER: (),
    MONITORING: (CLUSTER,),
    WORKLOADS: (CLUSTER,),
}
"""The stages, in order, and the stages that each of them waits for.

An engine waits until a stage is healthy before it applies a later one, and meanwhile takes no newer commit. So only
what must stand first is an earlier stage. Nothing waits for workloads, which may be Pending: not their autoscalers,
whose limits one may have to raise then. Workloads do not wait for monitoring: an autoscaler without metrics holds
still, while an adapter that does not start would hold up every change. Nor do they for what fetches their Secrets.
"""

_WAVES_APART = 10  # leaves room for waves of somebody's own between ours


def wave_of(stage: str) -> int:
    """Return Argo CD's sync wave of a stage: 0 for what waits for nothing."""
    return max((wave_of(before) + _WAVES_APART for before in AFTER[stage]), default=0)


def stages_before(stage: str, rendered: frozenset[str]) -> Iterator[str]:
    """Yield the stages that ``stage`` waits for, as far as they are rendered."""
    yield from (before for before in AFTER[stage] if before in rendered)


def has_later_stage(stage: str) -> bool:
    """Return whether any stage waits for this one."""
    return any(stage in before for before in AFTER.values())
