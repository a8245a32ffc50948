"""How each fault is played: what strikes, and what ends it."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import msgspec

from aether_deploy.failover.faults import FAULT_WORDS, MEANWHILE_SECS, REPAIR_SECS, FaultName
from aether_deploy.failover.seen import FailoverKey
from aether_deploy.simulation.failover import handover

if TYPE_CHECKING:
    from aether_deploy.simulation.failover.cluster import Cluster

Act = Callable[["Cluster", str], None]


class FaultKind(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of fault.

    Attributes:
        strike: Does it, to a cluster and the name of its leader, or of the replica that it is about.
        heal: Ends it.
        heals_after_secs: When it ends, seconds after the strike; without ``heal`` it does not.
        prepare: What is so before; the strike then comes ``ttl`` and 20 seconds later.
        hits: Whom it is about.
        by_request: A human asks for it, which takes its time.
        follows: The cluster follows another one before.
    """

    strike: Act
    heal: Act | None = None
    heals_after_secs: float = REPAIR_SECS
    prepare: Act | None = None
    hits: Literal["leader", "replica"] = "leader"
    by_request: bool = False
    follows: bool = False


def _others(cluster: "Cluster", name: str) -> list[str]:
    return [other for other in cluster.members if other != name]


def _node_loss(cluster: "Cluster", name: str) -> None:
    cluster.vanish(name, silently=True)


def _killed(cluster: "Cluster", name: str) -> None:
    cluster.vanish(name, silently=False)


def _postgres_killed(cluster: "Cluster", name: str) -> None:
    cluster.members[name].postgres.stop(cluster.now)


def _patroni_killed(cluster: "Cluster", name: str) -> None:
    cluster.members[name].kill_patroni()


def _patroni_back(cluster: "Cluster", name: str) -> None:
    if cluster.members[name].machine_up:
        cluster.members[name].start_patroni()
    else:
        cluster.boot(name)


def _patroni_frozen(cluster: "Cluster", name: str) -> None:
    cluster.members[name].freeze_patroni()


def _thawed(cluster: "Cluster", name: str) -> None:
    member = cluster.members[name]
    if not member.machine_up:
        cluster.boot(name)
        return
    member.postgres.freeze(cluster.now, frozen=False)
    member.thaw_patroni()


def _node_frozen(cluster: "Cluster", name: str) -> None:
    cluster.members[name].freeze_patroni()
    cluster.members[name].postgres.freeze(cluster.now, frozen=True)


def _patroni_stopped(cluster: "Cluster", name: str) -> None:
    member = cluster.members[name]
    member.kill_patroni()
    cluster.engine.start(handover.step_down(member, comes_back=False))


def _switchover(cluster: "Cluster", name: str) -> None:
    cluster.store.failover = FailoverKey(leader=name)
    cluster.members[name].wake()


def _store_refuses(cluster: "Cluster", _: str) -> None:
    cluster.store.lose("refused")


def _store_hangs(cluster: "Cluster", _: str) -> None:
    cluster.store.lose("hung")


def _store_and_replica(cluster: "Cluster", name: str) -> None:
    cluster.store.lose("refused")
    replica = _others(cluster, name)[-1]
    cluster.engine.call(cluster.now + MEANWHILE_SECS, lambda: cluster.vanish(replica, silently=False))


def _store_back(cluster: "Cluster", _: str) -> None:
    cluster.store.restore()


def _cut_off(cluster: "Cluster", name: str) -> None:
    cluster.cut(name, *_others(cluster, name))
    cluster.cut_from_store(name)


def _mended(cluster: "Cluster", name: str) -> None:
    cluster.mend_to_store(name)
    cluster.mend(name, *_others(cluster, name))


def _off_store(cluster: "Cluster", name: str) -> None:
    cluster.cut_from_store(name)


def _paused_and_killed(cluster: "Cluster", name: str) -> None:
    cluster.store.configure(paused=True)
    cluster.vanish(name, silently=False)


def _resumed(cluster: "Cluster", _: str) -> None:
    cluster.store.configure(paused=False)


def _region_promoted(cluster: "Cluster", _: str) -> None:
    cluster.store.configure(standby_cluster=False)


FAULTS: dict[FaultName, FaultKind] = {
    "node-loss": FaultKind(strike=_node_loss),
    "leader-killed": FaultKind(strike=_killed),
    "postgres-killed": FaultKind(strike=_postgres_killed),
    "patroni-killed": FaultKind(strike=_patroni_killed, heal=_patroni_back),
    "patroni-frozen": FaultKind(strike=_patroni_frozen, heal=_thawed),
    "node-frozen": FaultKind(strike=_node_frozen, heal=_thawed),
    "patroni-stopped": FaultKind(strike=_patroni_stopped),
    "switchover": FaultKind(strike=_switchover, by_request=True),
    "dcs-loss": FaultKind(strike=_store_refuses, heal=_store_back),
    "dcs-frozen": FaultKind(strike=_store_hangs, heal=_store_back),
    "dcs-and-replica-loss": FaultKind(strike=_store_and_replica, heal=_store_back),
    "leader-cut-off": FaultKind(strike=_cut_off, heal=_mended),
    "leader-off-dcs": FaultKind(strike=_off_store, heal=_mended),
    "replica-loss": FaultKind(strike=_node_loss, hits="replica"),
    "replica-killed": FaultKind(strike=_killed, hits="replica"),
    "replica-cut-off": FaultKind(strike=_cut_off, heal=_mended, hits="replica"),
    "resume": FaultKind(prepare=_paused_and_killed, strike=_resumed, by_request=True),
    "region-promoted": FaultKind(strike=_region_promoted, by_request=True, follows=True),
}


def fault_text(name: FaultName) -> str:
    """Return what happens, and when it ends by itself, as sentences."""
    kind = FAULTS[name]
    return FAULT_WORDS[name] + (f" It is over after {kind.heals_after_secs:g} s." if kind.heal is not None else "")
