"""The Patroni clusters that one component is: one in its region, one in the standby's, or one for each Citus group."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from aether_deploy.infrastructure.estate import Estate

if TYPE_CHECKING:
    from aether_deploy.infrastructure.kinds.postgres import PostgresConfig

ROLE = "role"
SCOPE = "aether.io/scope"
"""Label by which the members of one Patroni cluster, and what it keeps in the API server, are found."""
CITUS_GROUP = "citus-group"
"""Label by which Patroni tells the groups of one Citus cluster apart; the name is Patroni's."""
COORDINATOR = 0

LOCK_OBJECTS = ("config", "leader", "failover", "sync")
"""Ends of the names of the ConfigMaps in which a Patroni cluster keeps its state."""


class Group(msgspec.Struct, frozen=True):
    """One Patroni cluster.

    Attributes:
        part: Name of its StatefulSet; its members are ``<part>-0``, ``<part>-1`` …
        members: How many it has.
        number: Its Citus group; None where nothing is sharded.
    """

    part: str
    members: int
    number: int | None = None

    @property
    def labels(self) -> dict[str, str]:
        """Labels that only its pods have."""
        return {} if self.number is None else {CITUS_GROUP: str(self.number)}

    @property
    def file(self) -> str:
        """Name of its configuration file in the component's ConfigMap."""
        return "patroni.yml" if self.number is None else f"patroni-g{self.number}.yml"

    @property
    def leads(self) -> bool:
        """Whether clients ask it: the only one, or the coordinator of Citus."""
        return self.number in (None, COORDINATOR)


def scope_of(config: "PostgresConfig", region: str) -> str:
    """Return the name that Patroni knows the cluster of a region by; its members' names begin with it."""
    return config.renderer.scope(config, region)


def groups_in(config: "PostgresConfig", region: str) -> tuple[Group, ...]:
    """Return the Patroni clusters of a component in a region where it runs."""
    scope = scope_of(config, region)
    if config.standby is not None and region == config.standby.region:
        return (Group(scope, config.standby.members),)
    if config.sharding is None:
        return (Group(scope, config.members),)
    sharding = config.sharding
    counts = [config.members, *[sharding.members_per_worker] * sharding.workers]
    return tuple(Group(f"{scope}-g{number}", members, number) for number, members in enumerate(counts))


def slot_of(config: "PostgresConfig") -> str | None:
    """Return the replication slot that the standby cluster streams from, without which WAL that it lacks is removed.

    Patroni makes slots of members itself, and none for another cluster: this one must be declared where it streams
    from.
    """
    return None if config.standby is None else slot_for(config, config.standby.region)


def slot_for(config: "PostgresConfig", region: str) -> str:
    """Return the slot that the cluster of a region streams from, as a standby; names of slots have no ``-``."""
    return f"{config.name}-{region}".replace("-", "_")


def lock_names(scope: str, group: Group) -> Iterator[str]:
    """Yield the names of the ConfigMaps in which a Patroni cluster keeps its state."""
    base = scope if group.number is None else f"{scope}-{group.number}"
    yield from (f"{base}-{end}" for end in LOCK_OBJECTS)


def role_selector(role: str, group: Group | None = None) -> dict[str, Any]:
    """Return the labels of the pods with a role, in a group."""
    return {ROLE: role, **(group.labels if group else {})}


def source_host(config: "PostgresConfig", estate: Estate, region: str) -> str | None:
    """Return where the cluster in ``region`` streams from; None where it is no standby."""
    active = config.active_in(estate)
    if config.standby is None or region != config.standby.region or config.endpoint is None or active is None:
        return None
    return estate.filled(config.endpoint, active)
