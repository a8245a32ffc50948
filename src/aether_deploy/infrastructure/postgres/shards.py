"""Patroni clusters as an analysis counts them, and how many of their members a failure may take."""

from collections.abc import Sequence

import msgspec

from aether_deploy.infrastructure.postgres.groups import Group

COORDINATOR_PART = "coordinator"


class Shard(msgspec.Struct, frozen=True):
    """Patroni clusters of equal size in one region: the only one, the coordinator's, those of all workers.

    Attributes:
        part: What it is called; empty where nothing is sharded.
        members: Members of each.
        clusters: How many these are.
    """

    part: str
    members: int
    clusters: int = 1


class Toll(msgspec.Struct, frozen=True):
    """How many members of a cluster a failure takes, at least and at most: which zone has one more is not known."""

    least: int
    most: int


def shards_of(groups: Sequence[Group]) -> tuple[Shard, ...]:
    """Return the clusters of a component in one region; workers, which are all alike, as one."""
    first, *workers = groups
    if first.number is None:
        return (Shard("", first.members),)
    each = f"each of {len(workers)} workers" if len(workers) > 1 else "the worker"
    rest = (Shard(each, workers[0].members, len(workers)),) if workers else ()
    return (Shard(COORDINATOR_PART, first.members), *rest)


def toll_of_zones(members: int, zones: int, lost: int) -> Toll:
    """Return how many of ``members`` stand in ``lost`` of ``zones``.

    Rule:
        Pods spread with ``maxSkew: 1`` and ``DoNotSchedule``: zones differ by one member at most.
    """
    each, more = divmod(members, zones)
    return Toll(lost * each + max(0, lost - (zones - more)), lost * each + min(lost, more))
