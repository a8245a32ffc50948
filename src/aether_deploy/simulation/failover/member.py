"""A member: Patroni's loop around a PostgreSQL, on a machine. What it does is decided by the production rules."""

from collections.abc import Generator

import msgspec

from aether_deploy.failover.cycle import Situation, Step
from aether_deploy.failover.election import Verdict, decide_candidacy
from aether_deploy.failover.seen import RaceView
from aether_deploy.failover.timings import REPLICA_DELAY_SECS
from aether_deploy.simulation.failover import handover, synchronizing
from aether_deploy.simulation.failover.body import HAND_OVER_SECS, Body, StoreLostError
from aether_deploy.simulation.failover.engine import Steps


class Member(Body):
    """A member with its loop."""

    def loop(self) -> Steps:
        cluster, pause = self.cluster, float(self.cluster.setup.policy.loop_wait)
        next_run = cluster.now
        process = self._loop_process
        assert process is not None
        while True:
            try:
                yield from self._cycle()
            except StoreLostError:
                yield from self._without_store()
            self._undisturbed = True
            cluster.promises.look()
            next_run += pause
            nap = next_run - cluster.now
            if nap <= 0:
                next_run = cluster.now
                yield 0.001
                continue
            if self._holder not in (None, self.name) and self.task is None and cluster.setup.store != "raft":
                nap += REPLICA_DELAY_SECS
            if not process.nudged:
                process.napping = True
                yield nap
                process.napping = False
            if process.nudged:
                process.nudged, next_run = False, cluster.now

    def _cycle(self) -> Steps:
        cluster = self.cluster
        self._holder = holder = yield from self._who_leads()
        seen = Situation(
            holder="nobody" if holder is None else "me" if holder == self.name else "other",
            postgres=self.postgres.role,
            task=self.task,
            cancellable=self.cancellable,
            paused=cluster.store.paused,
            was_primary=self.postgres.was_primary,
            start_failed=self.start_failed,
            starting_secs=cluster.now - self.postgres.since,
            primary_start_timeout=cluster.setup.policy.primary_start_timeout,
        )
        step = cluster.rules.step(seen)
        while step.kind in ("renew", "ask_others"):
            if step.kind == "renew":
                renewed = yield from self._renew()
                seen = msgspec.structs.replace(seen, renewed=renewed)
            else:
                verdict = yield from self.another_can()
                seen = msgspec.structs.replace(seen, another_can=verdict.may_lead)
            step = cluster.rules.step(seen)
        self.start_failed = False
        yield from self._do(step)
        if cluster.store_fault(self.name) is None:
            cluster.store.touch(self.name)

    def _who_leads(self) -> Generator[float, None, str | None]:
        """Read the keys. A store that hangs answers late once, from what it had, and then no more."""
        cluster = self.cluster
        if cluster.store_fault(self.name) == "hung":
            yield cluster.within((0.0, 0.98 * cluster.setup.policy.retry_timeout))
            if cluster.store_fault(self.name) == "hung":
                return self._holder
        yield from self._reach_store()
        return self._read()

    def _read(self) -> str | None:
        """Return who leads, and remember whom there was to ask when somebody did."""
        cluster = self.cluster
        store = cluster.store
        holder = store.holder(self.name)
        self._sync_version = store.sync_version
        if holder is not None:
            self.former_leader, self.former_members = holder, cluster.known(store.members())
        elif cluster.setup.policy.failsafe_mode and self.failsafe_until > cluster.now:
            holder = self.failsafe_leader
        if holder != self.name:
            self.leads_until = 0.0
        return holder

    def _renew(self) -> Generator[float, None, bool]:
        yield from self._reach_store()
        cluster, store = self.cluster, self.cluster.store
        if not store.renew(self.name):
            self.leads_until = 0.0
            return False
        if self.postgres.role == "primary" and self.task is None:
            store.publish(self.name, cluster.position(self.postgres))
        if cluster.setup.policy.failsafe_mode:
            store.failsafe = frozenset((*store.members(), self.name))
        self._hold()
        return True

    def _do(self, step: Step) -> Steps:
        match step.kind:
            case "race":
                yield from self._race()
            case "lead":
                yield from self._lead()
            case "promote":
                yield from handover.promote(self, self._sync_version)
            case "demote":
                assert step.mode is not None
                yield from self.demote(step.mode, step.reason)
            case "follow":
                self.follow(self._holder)
            case "cancel_promotion":
                self.drop_task()
            case "release":
                self.leads_until = 0.0
                self.cluster.store.release(self.name)
            case "start_in_place":
                self.start_task("start", handover.start_in_place(self))
            case "recover":
                self.stop_watchdog()
                self.start_task("start", handover.start_as_replica(self))

    def _lead(self) -> Steps:
        cluster, store = self.cluster, self.cluster.store
        asked = store.failover
        if asked is not None and (yield from self._hands_over()):
            return
        store.timeline = max(store.timeline, self.postgres.branch.number)
        if cluster.setup.policy.is_synchronous and not store.standby_cluster:
            yield from synchronizing.synchronize(self)
        cluster.finish_if_settled(self)

    def _hands_over(self) -> Generator[float, None, bool]:
        """Do what a human asked of the leader; return whether it steps down."""
        store = self.cluster.store
        asked = store.failover
        assert asked is not None
        if asked.leader in (None, self.name) and asked.candidate != self.name:
            verdict = yield from self.another_can()
            if verdict.may_lead:
                self.start_task("demote", handover.step_down(self))
                return True
        self.cluster.note(self.name, "drops the request, as nobody can take over")
        store.failover = None
        return False

    def _race(self) -> Steps:
        cluster = self.cluster
        view = cluster.view(self)
        verdict = yield from self._candidacy(view)
        if verdict != self.verdict:
            cluster.note(self.name, f"{'may' if verdict.may_lead else 'may not'} lead: {verdict.reason}")
        self.verdict = verdict
        if not verdict.may_lead:
            yield from self._leave_it_to_others(view)
            return
        yield from self._reach_store()
        if not cluster.store.take(self.name, compare=cluster.rules.compare):
            cluster.note(self.name, "was too late for the key")
            self._holder = self._read()
            self.follow(self._holder)
            return
        cluster.note(self.name, "takes the key")
        self._holder = self.name
        asked = view.request is not None
        cluster.promises.took(self, asked=asked, was_primary=view.role == "primary")
        self._hold()
        cluster.store.failover = None
        if self.postgres.role == "replica" and not cluster.store.standby_cluster:
            yield from handover.promote(self, cluster.store.sync_version)

    def _candidacy(self, view: RaceView) -> Generator[float, None, Verdict]:
        rules = self.cluster.rules
        verdict = rules.alone(view)
        if verdict is not None:
            return verdict
        if view.request is not None:
            peers = yield from self.ask(name for name in self.cluster.members if name != self.name)
            return decide_candidacy(view, peers)
        peers = yield from self.ask(rules.to_ask(view))
        return rules.judge(view, peers.values(), former_leader=view.former_leader)

    def _leave_it_to_others(self, view: RaceView) -> Steps:
        asked = view.request
        if view.nofailover or (asked is not None and asked.candidate is not None):
            yield HAND_OVER_SECS
        if view.paused:
            return
        if self.postgres.role == "primary":
            yield from self.demote("immediate-nolock", "may not lead")
        elif self.postgres.role == "replica" and self.cluster.store.holder(self.name) is None:
            yield self.cluster.within(self.cluster.setup.durations.reload)
            self.postgres.disconnect(self.cluster.now)

    def _without_store(self) -> Steps:
        cluster, policy = self.cluster, self.cluster.setup.policy
        failsafe: bool | None = None
        if policy.failsafe_mode and self.postgres.role == "primary":
            failsafe = yield from self._everybody_agrees()
        seen = Situation(store=False, postgres=self.postgres.role, paused=cluster.store.paused, failsafe=failsafe)
        step = cluster.rules.step(seen)
        if step.kind == "stay":
            self._hold()
        elif step.kind == "demote":
            yield from self.demote("offline", step.reason)

    def _everybody_agrees(self) -> Generator[float, None, bool]:
        cluster = self.cluster
        known = cluster.store.failsafe or frozenset()
        if self.name not in known:
            return False
        others = sorted(known - {self.name})
        waits = [cluster.answer_secs(self.name, name) for name in others]
        yield max(waits, default=0.0)
        answers = [cluster.agrees(self.name, name) for name in others]
        if not all(answers):
            yield max(waits)  # who did not answer is asked once more
        return all(answers)
