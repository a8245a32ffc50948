"""The installed Patroni as an oracle: its own code decides about situations that ours decided about."""

from collections.abc import Mapping
from copy import deepcopy
from importlib import import_module
from types import SimpleNamespace
from typing import Any

from aether_deploy.failover.quorum import QuorumState
from aether_deploy.failover.seen import Known, Peer, RaceView
from aether_deploy.failover.synchronous import NamedState
from tests.real import miss

VERSION = "4.1.5"


class Patroni:
    """Patroni's modules, with what they need of a daemon replaced by values."""

    ha: Any
    dcs: Any

    def __init__(self) -> None:
        try:
            import_module("patroni.postgresql")  # its modules import each other; this end of the circle works
            self.ha, self.dcs, self.config = (import_module(f"patroni.{name}") for name in ("ha", "dcs", "config"))
            self.quorum, self.tags = import_module("patroni.quorum"), import_module("patroni.tags")
            self.global_config = import_module("patroni").global_config
        except ModuleNotFoundError as error:
            miss(f"Patroni is not installed ({error}); to bring it: pip install 'aether-deploy[lab]'")

    def adjust(self, config: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return a dynamic configuration as the daemon adjusts it; None where it refuses it."""
        adjusted = deepcopy(dict(config))
        daemon = self.config.Config.__new__(self.config.Config)
        try:
            daemon._validate_and_adjust_timeouts(adjusted)
        except Exception:  # the daemon logs whatever it is, and keeps what it had
            return None
        return adjusted

    def reading(self, config: Mapping[str, Any]) -> Any:
        """Return the daemon's own reader of settings, for one configuration."""
        return self._global(dict(config))

    def member_tags(self, tags: Mapping[str, Any]) -> tuple[bool, int]:
        """Return what the daemon makes of a member's tags: may never lead, priority."""
        given = dict(tags)
        reader = type("Reader", (self.tags.Tags,), {"tags": property(lambda _: given)})()
        return reader.nofailover, reader.failover_priority

    def transitions(self, state: QuorumState) -> list[tuple[str, str, int, tuple[str, ...]]] | None:
        """Return the resolver's steps; None where it gives up."""
        resolver = self.quorum.QuorumStateResolver(
            leader=state.leader,
            quorum=state.quorum,
            voters=state.voters,
            numsync=state.numsync,
            sync=state.sync,
            numsync_confirmed=state.confirmed,
            active=state.active,
            sync_wanted=state.wanted,
            leader_wanted=state.me,
        )
        try:
            return [(each[0], each[1], each[2], tuple(sorted(each[3]))) for each in resolver]
        except (self.quorum.QuorumError, AssertionError):
            return None

    def named_steps(self, state: NamedState, later: frozenset[str]) -> list[tuple[str, str | None, tuple[str, ...]]]:
        """Return what ``Ha._process_multisync_replication`` does; ``later`` are confirmed after its pause."""
        ci_set = import_module("patroni.collections").CaseInsensitiveSet
        done: list[tuple[str, str | None, tuple[str, ...]]] = []
        confirmed = [state.confirmed, later]

        def write(leader: str, standbys: Any, quorum: int, version: int) -> Any:
            done.append(("publish", leader, tuple(sorted(standbys or ()))))
            return self.dcs.SyncState(1, leader, ",".join(sorted(standbys or ())) or None, quorum)

        def current_state(_: Any) -> Any:
            return SimpleNamespace(
                active=ci_set(state.active),
                sync_confirmed=ci_set(confirmed.pop(0)),
                sync=ci_set(state.names),
                numsync=state.numsync,
            )

        ha = self.ha.Ha.__new__(self.ha.Ha)
        standbys = ",".join(sorted(state.key.standbys)) or None
        ha.cluster = SimpleNamespace(sync=self.dcs.SyncState(1, state.key.leader, standbys, 0))
        ha.dcs = SimpleNamespace(write_sync_state=write)
        handler = SimpleNamespace(
            current_state=current_state,
            set_synchronous_standby_names=lambda names: done.append(("assign", state.me, tuple(sorted(names)))),
        )
        ha.state_handler = SimpleNamespace(name=state.me, sync_handler=handler)
        self.ha.global_config = self._global({"synchronous_mode": True, "synchronous_mode_strict": state.strict})
        real, self.ha.time.sleep = self.ha.time.sleep, lambda _: None
        try:
            ha._process_multisync_replication()
        finally:
            self.ha.time.sleep = real
        return done

    def may_lead(self, view: RaceView, peers: Mapping[str, Peer], *, now: float = 1_000_000.0) -> bool:
        """Return what ``Ha.is_healthiest_node`` says."""
        ha = self._ha(view, peers)
        ha._released_leader_key_timestamp = 0.0 if view.released_secs_ago is None else now - view.released_secs_ago
        real, self.ha.time.time = self.ha.time.time, lambda: now
        try:
            return bool(ha.is_healthiest_node())
        finally:
            self.ha.time.time = real

    def failover_possible(
        self, view: RaceView, peers: Mapping[str, Peer], *, cluster_lsn: int, exclude_candidate: bool
    ) -> bool:
        """Return what ``Ha.is_failover_possible`` says."""
        ha = self._ha(view, peers)
        return bool(ha.is_failover_possible(cluster_lsn=cluster_lsn, exclude_failover_candidate=exclude_candidate))

    def _ha(self, view: RaceView, peers: Mapping[str, Peer]) -> Any:
        ha = self.ha.Ha.__new__(self.ha.Ha)
        ha.cluster, ha.old_cluster = self._cluster(view, view.members), self._cluster(view, view.former_members)
        ha.patroni = SimpleNamespace(nofailover=view.nofailover, failover_priority=view.priority)
        ha.state_handler = SimpleNamespace(
            name=view.me,
            sysid="1",
            supports_multiple_sync=True,
            is_starting=lambda: view.role == "starting",
            is_primary=lambda: view.role == "primary",
            get_primary_timeline=lambda: view.timeline or 0,
            replica_cached_timeline=lambda _: view.timeline,
            last_operation=lambda: view.lsn,
        )
        failsafe = None if view.failsafe is None else {name: f"http://{name}" for name in view.failsafe}
        ha.dcs = SimpleNamespace(ttl=view.ttl, failsafe=failsafe, manual_failover=lambda *_, **__: True)
        ha.watchdog = SimpleNamespace(is_healthy=view.watchdog_usable)
        ha._last_timeline = None
        ha.fetch_nodes_statuses = lambda members: [self._status(each, peers.get(each.name)) for each in members]
        ha.fetch_node_status = lambda member: self._status(member, peers.get(member.name))
        self.ha.global_config = self._global(self._settings(view))
        return ha

    def _status(self, member: Any, peer: Peer | None) -> Any:
        if peer is None or not peer.reachable:
            return self.ha._MemberStatus.unknown(member)
        tags: dict[str, Any] = {"failover_priority": peer.priority}
        if peer.nofailover:
            tags["nofailover"] = True
        said = {"tags": tags, "watchdog_failed": peer.watchdog_failed, "timeline": peer.timeline}
        wal = {"received_location": peer.lsn, "replayed_location": 0}
        if peer.in_recovery is False:
            said["role"], wal = "primary", {"location": peer.lsn}
        return self.ha._MemberStatus.from_api_response(member, {**said, "wal": wal})

    def _cluster(self, view: RaceView, members: tuple[Known, ...]) -> Any:
        dcs = self.dcs
        found = [
            dcs.Member(1, each.name, None, {"api_url": f"http://{each.name}", "tags": {"nofailover": each.nofailover}})
            for each in members
        ]
        former = view.former_leader
        leader = None if former is None else dcs.Leader(1, None, dcs.Member(1, former, None, {}))
        asked = view.failover
        failover = None
        if asked is not None:
            failover = dcs.Failover(1, asked.leader, asked.candidate, "later" if asked.scheduled else None)
        standbys = ",".join(sorted(view.sync.standbys)) or None
        sync = dcs.SyncState(1, view.sync.leader, standbys, view.sync.quorum)
        lines = [(view.cluster_timeline - 1, 0, "")] if view.cluster_timeline else []
        history = dcs.TimelineHistory(1, "", lines) if view.cluster_timeline else None
        system = "1" if view.same_system else "2"
        status = dcs.Status(view.optime, None, [])
        return dcs.Cluster(system, None, leader, status, found, failover, sync, history, None, {})

    @staticmethod
    def _settings(view: RaceView) -> dict[str, Any]:
        return {
            "maximum_lag_on_failover": view.maximum_lag,
            "check_timeline": view.check_timeline,
            "synchronous_mode": view.synchronous,
            "failsafe_mode": view.failsafe_mode,
            "pause": view.paused,
            "standby_cluster": {"host": "elsewhere"} if view.standby_cluster else None,
        }

    def _global(self, config: dict[str, Any]) -> Any:
        reader = type(self.global_config)()
        reader.update(None, config)
        return reader
