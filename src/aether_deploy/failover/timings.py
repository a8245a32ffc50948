"""Times that are fixed in Patroni, in its stores and in PostgreSQL; what was measured says so."""

from typing import Literal, get_args

from aether_deploy.problems import suggestion

StoreKind = Literal["etcd3", "kubernetes", "raft"]
STORE_KINDS: tuple[StoreKind, ...] = get_args(StoreKind)

REQUEST_TIMEOUT_SECS = 2.0
"""How long a member waits for another's answer in an election. Fixed in Patroni, ``fetch_node_status``."""

REPLICA_DELAY_SECS = 0.5
"""How much later than the leader replicas come round. Fixed in Patroni, ``watch`` of etcd3 and of Kubernetes."""

EXPIRY_SECS: dict[StoreKind, float] = {"etcd3": 0.5, "raft": 0.05, "kubernetes": 0.0}
"""How long after the end of its life a key may be deleted: etcd looks every 500 ms, raft every 50 ms; in Kubernetes
nothing is deleted, members look for themselves."""

STOP_POLL_SECS = 1.0
"""How often Patroni looks whether a primary has shut down, and how long it then waits for replicas."""

WAL_SENDER_TIMEOUT_SECS = 60.0
"""How long PostgreSQL waits for a replica that is silent, by default."""


def store_of(name: str) -> StoreKind:
    """Return the store of that name.

    Raises:
        ValueError: If there is none; it says which are near.
    """
    for known in STORE_KINDS:
        if known == name:
            return known
    near = suggestion(str(name), STORE_KINDS, f"stores are {', '.join(STORE_KINDS)}")
    raise ValueError(f"no store is named {name!r}; {near}")
