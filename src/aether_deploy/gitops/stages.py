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
    WORKLOADS: (CLUSTER, MONITORING),
}
"""The stages, in order, and the stages that each of them waits for.

Workloads and their autoscalers are one stage: an engine waits until a stage is healthy, so with autoscalers in a later
one, a world that is Pending would keep its own limits from being raised. So are their Secrets: what fetches them may
be down while a limit has to be raised.
"""

_WAVES_APART = 10  # leaves room for waves of somebody's own between ours


def wave_of(stage: str) -> int:
    """Return Argo CD's sync wave of a stage: 0 for what waits for nothing."""
    return max((wave_of(before) + _WAVES_APART for before in AFTER[stage]), default=0)


def stages_before(stage: str, rendered: frozenset[str]) -> Iterator[str]:
    """Yield the stages that ``stage`` waits for, as far as they are rendered."""
    yield from (before for before in AFTER[stage] if before in rendered)
