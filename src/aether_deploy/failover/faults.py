"""What can happen to a cluster: the faults that bounds reckon with and simulations play, by name."""

from collections.abc import Mapping
from typing import Literal, get_args

from aether_deploy.problems import suggestion

FaultName = Literal[
    "node-loss",
    "leader-killed",
    "postgres-killed",
    "patroni-killed",
    "patroni-frozen",
    "node-frozen",
    "patroni-stopped",
    "switchover",
    "dcs-loss",
    "dcs-frozen",
    "dcs-and-replica-loss",
    "leader-cut-off",
    "leader-off-dcs",
    "replica-loss",
    "replica-killed",
    "replica-cut-off",
    "resume",
    "region-promoted",
]

FAULT_NAMES: tuple[FaultName, ...] = get_args(FaultName)
"""All of them, in the order in which help and tables have them."""

REPAIR_SECS = 60.0
"""How long a fault lasts that ends by itself, where nobody says otherwise, seconds."""

MEANWHILE_SECS = 6.0
"""How long the store is gone before a replica is lost besides, in ``dcs-and-replica-loss``, seconds."""

FAULT_WORDS: Mapping[FaultName, str] = {
    "node-loss": "The leader's machine is gone; nothing there answers.",
    "leader-killed": "The leader's Patroni and PostgreSQL are killed; its machine lives.",
    "postgres-killed": "The leader's PostgreSQL is killed; its Patroni lives.",
    "patroni-killed": "The leader's Patroni is killed; its PostgreSQL takes writes.",
    "patroni-frozen": "The leader's Patroni hangs; its PostgreSQL takes writes.",
    "node-frozen": "The leader's machine hangs.",
    "patroni-stopped": "The leader's Patroni is asked to end (SIGTERM).",
    "switchover": "A human asks for another leader.",
    "dcs-loss": "The store refuses connections.",
    "dcs-frozen": "The store hangs.",
    "dcs-and-replica-loss": f"The store refuses connections, and a replica is lost {MEANWHILE_SECS:g} s after it.",
    "leader-cut-off": "The leader reaches neither store nor members.",
    "leader-off-dcs": "The leader reaches the members, but not the store.",
    "replica-loss": "A replica's machine is gone, a synchronous one if there is.",
    "replica-killed": "A replica's Patroni and PostgreSQL are killed, a synchronous one if there is.",
    "replica-cut-off": "A replica reaches neither store nor members.",
    "resume": "A pause in which the leader was killed ends.",
    "region-promoted": "A human makes a standby cluster a cluster of its own.",
}
"""What happens, as a sentence."""


def fault_of(name: str) -> FaultName:
    """Return the fault of that name.

    Raises:
        ValueError: If there is none; it says which are near.
    """
    for known in FAULT_NAMES:
        if known == name:
            return known
    near = suggestion(str(name), FAULT_NAMES, f"faults are {', '.join(FAULT_NAMES)}")
    raise ValueError(f"no fault is named {name!r}; {near}")
