"""A member without its loop: its PostgreSQL, its machine, what it does beside the loop, its watchdog."""

from abc import ABC, abstractmethod
from collections.abc import Generator, Iterable
from typing import TYPE_CHECKING

from aether_deploy.failover.cycle import DemoteMode
from aether_deploy.failover.election import Verdict, candidates_for_failover, failover_possible
from aether_deploy.failover.seen import Known, Peer
from aether_deploy.simulation.failover import handover
from aether_deploy.simulation.failover.engine import Process, Steps
from aether_deploy.simulation.failover.wal import Postgres

if TYPE_CHECKING:
    from aether_deploy.simulation.failover.cluster import Cluster

HAND_OVER_SECS = 2.0
"""How long a member that let go, or may not lead, leaves the key to the others. Fixed in Patroni."""
REBOOT_SECS = 60.0
"""How long a machine takes to come back after its watchdog has reset it."""


class StoreLostError(Exception):
    """The store did not answer within ``retry_timeout``."""


class Body(ABC):
    """One member.

    Attributes:
        name: Its name.
        postgres: Its PostgreSQL.
        machine_up: Its machine runs.
        is_silent: Nothing on its machine answers, not even with a refusal.
        patroni_frozen: Its Patroni is stopped as it stands.
        leads_until: Until when it believes that it leads, seconds.
        task: What it is busy with.
        cancellable: A promotion has not reached PostgreSQL.
        former_leader: Who led when somebody did last.
        former_members: Who was there then.
        failsafe_leader: Whom it agreed to, without the store.
        failsafe_until: How long that holds, seconds.
        promoted_at: When its PostgreSQL became primary; None: not since its Patroni started.
        verdict: What it found last about leading.
    """

    def __init__(self, name: str, cluster: "Cluster", postgres: Postgres) -> None:
        self.name, self.cluster, self.postgres = name, cluster, postgres
        self.machine_up, self.is_silent, self.patroni_frozen = True, False, False
        self.leads_until = 0.0
        self.task: str | None = None
        self.cancellable = self.start_failed = False
        self.former_leader: str | None = None
        self.former_members: tuple[Known, ...] = ()
        self.failsafe_leader: str | None = None
        self.failsafe_until = 0.0
        self.promoted_at: float | None = None
        self.verdict: Verdict | None = None
        self._loop_process: Process | None = None
        self._task_process: Process | None = None
        self._undisturbed = True
        self._holder: str | None = None
        self._sync_version = 0
        self._watchdog_at: float | None = None

    @abstractmethod
    def loop(self) -> Steps:
        """Return what its Patroni does, over and over."""

    # --- from outside

    @property
    def patroni_up(self) -> bool:
        return self._loop_process is not None and self._loop_process.alive

    @property
    def patroni_runs_on(self) -> bool:
        """Whether its Patroni runs, and was neither stopped nor started since its last loop."""
        return self.patroni_up and not self.patroni_frozen and self._undisturbed

    def start_patroni(self, after_secs: float = 0.0) -> None:
        self._undisturbed = False
        self._loop_process = self.cluster.engine.start(self.loop(), after_secs)

    def kill_patroni(self) -> None:
        for process in (self._loop_process, self._task_process):
            if process is not None:
                self.cluster.engine.kill(process)
        self._loop_process = self._task_process = self.task = None
        self.leads_until, self.patroni_frozen = 0.0, False
        self.promoted_at = None

    def freeze_patroni(self) -> None:
        self.patroni_frozen, self._undisturbed = True, False
        for process in (self._loop_process, self._task_process):
            if process is not None:
                self.cluster.engine.freeze(process)

    def thaw_patroni(self) -> None:
        self.patroni_frozen = False
        for process in (self._loop_process, self._task_process):
            if process is not None:
                self.cluster.engine.thaw(process)

    def wake(self) -> None:
        """Let the loop come round now."""
        if self._loop_process is not None:
            self.cluster.engine.wake(self._loop_process)

    # --- what the loop is made of

    def _reach_store(self) -> Steps:
        """Make a call to the store, and try again until ``retry_timeout`` has passed.

        Raises:
            StoreLostError: It did not answer.
        """
        cluster = self.cluster
        yield cluster.within(cluster.setup.durations.store)
        if cluster.store_fault(self.name) is None:
            return
        end = cluster.now + cluster.setup.policy.retry_timeout * cluster.within((0.85, 0.98))
        while cluster.now < end:
            yield min(cluster.within(cluster.setup.durations.retry), end - cluster.now + 0.001)
            if cluster.store_fault(self.name) is None:
                return
        raise StoreLostError

    def _hold(self) -> None:
        """Believe that it leads."""
        cluster = self.cluster
        self.leads_until = cluster.now + cluster.setup.policy.ttl
        cluster.promises.believes(self)
        self._keep_watchdog()
        cluster.after_renewal()

    def another_can(self, cluster_lsn: int = 0) -> Generator[float, None, Verdict]:
        """Ask whether another member could take over."""
        view = self.cluster.view(self)
        peers = yield from self.ask(candidates_for_failover(view))
        return failover_possible(view, peers, cluster_lsn=cluster_lsn)

    def ask(self, names: Iterable[str]) -> Generator[float, None, dict[str, Peer]]:
        """Ask members about themselves, all at once; each answers when it answers."""
        cluster = self.cluster
        waits = sorted((cluster.answer_secs(self.name, name), name) for name in names)
        said, waited = {}, 0.0
        for secs, name in waits:
            yield secs - waited
            waited = secs
            said[name] = cluster.answer(self.name, name)
        return said

    def follow(self, leader: str | None) -> None:
        """Stream from a leader; where histories differ, rewind first."""
        cluster = self.cluster
        if leader in (None, self.name) or self.postgres.role != "replica" or self.task is not None:
            return
        upstream = cluster.members[leader or ""]
        if upstream.postgres.role == "down" or not cluster.reaches(self.name, upstream.name):
            return
        if not self.postgres.follow(upstream.postgres, cluster.within(cluster.setup.durations.stream), cluster.now):
            cluster.note(self.name, f"has what {leader} never had, and is rewound")
            self.start_task("rewind", handover.rewind(self, upstream))

    def demote(self, mode: DemoteMode, reason: str) -> Steps:
        """Stop to be primary."""
        cluster = self.cluster
        cluster.note(self.name, f"steps down ({mode}): {reason}")
        self.drop_task()
        self.leads_until = 0.0
        if mode == "offline":
            self.postgres.flush_and_stop(cluster.now)
        else:
            self.postgres.stop(cluster.now)
        self.stop_watchdog()
        cluster.promises.look()
        if mode == "offline":
            yield cluster.within(cluster.setup.durations.stop)
            yield from handover.start_as_replica(self)
            return
        if mode == "immediate":
            yield cluster.within(cluster.setup.durations.release)
            cluster.store.release(self.name)
            yield HAND_OVER_SECS
        self.start_task("start", handover.start_as_replica(self))

    # --- tasks beside the loop

    def start_task(self, name: str, steps: Steps) -> None:
        """Do something beside the loop, and wake the loop when it is done."""
        self.task = name
        self._task_process = self.cluster.engine.start(self._finish(steps))

    def _finish(self, steps: Steps) -> Steps:
        yield from steps
        self.task, self.cancellable, self._task_process = None, False, None
        self.cluster.promises.look()
        self.wake()

    def drop_task(self) -> None:
        if self._task_process is not None:
            self.cluster.engine.kill(self._task_process)
        self.task, self.cancellable, self._task_process = None, False, None

    # --- the watchdog

    def _keep_watchdog(self) -> None:
        policy = self.cluster.setup.policy
        if policy.watchdog != "required":  # where none is required there may be none
            return
        idle = self._watchdog_at is None
        self._watchdog_at = self.cluster.now + policy.watchdog_timeout_secs
        if idle:
            self.cluster.engine.call(self._watchdog_at, self._bite)

    def stop_watchdog(self) -> None:
        if self._watchdog_at is not None:
            self._watchdog_at = float("inf")

    def _bite(self) -> None:
        at, cluster = self._watchdog_at, self.cluster
        self._watchdog_at = None
        if at is None or at == float("inf") or not self.machine_up:
            return
        if at > cluster.now:
            self._watchdog_at = at
            cluster.engine.call(at, self._bite)
            return
        cluster.note(self.name, "its watchdog resets the machine")
        cluster.vanish(self.name, silently=True)
        cluster.engine.call(cluster.now + REBOOT_SECS, lambda: cluster.boot(self.name))
