"""Synchronous replication by quorum: which replicas must have a write, and whom a winner must ask, step by step.

Two places hold two sets. PostgreSQL waits for ``numsync`` of the replicas in ``sync`` (``ANY n (...)``). The store
holds ``voters``, and a candidate must hear from ``quorum`` of them. Both change one after the other, and between any
two changes a leader may die. So after every step whoever has an acknowledged write is among those that a winner
hears: every ``numsync`` of ``sync`` and every ``quorum + 1`` of the voters, the candidate included, overlap.

Rule of it all: Patroni 4.1.5, ``patroni/quorum.py``. Names are compared as they are written; those of pods have no
capitals.
"""

from typing import Literal

import msgspec


class QuorumState(msgspec.Struct, frozen=True, kw_only=True):
    """What is set now, and what is wanted.

    Attributes:
        leader: Leader according to ``/sync``.
        quorum: How many voters a candidate must hear, itself not counted.
        voters: Whom it may hear.
        numsync: How many replicas PostgreSQL waits for.
        sync: Among which.
        confirmed: How many replicas have reached what was written when ``sync`` changed last.
        active: Replicas that stream and may be synchronous.
        wanted: ``synchronous_node_count``.
        me: Who is leader now.
    """

    leader: str
    quorum: int
    voters: frozenset[str]
    numsync: int
    sync: frozenset[str]
    confirmed: int
    active: frozenset[str]
    wanted: int
    me: str


class SyncStep(msgspec.Struct, frozen=True, kw_only=True):
    """One change.

    Attributes:
        kind: ``publish`` writes ``/sync``, ``assign`` sets ``synchronous_standby_names``, ``look_again`` asks to
            look at PostgreSQL once more, because nothing else is to be done until something there changes.
        leader: The leader to publish.
        number: The quorum to publish, or the replicas to wait for.
        names: The voters to publish, or the replicas to assign; sorted.
    """

    kind: Literal["publish", "assign", "look_again"]
    leader: str
    number: int
    names: tuple[str, ...]


class Resolution(msgspec.Struct, frozen=True):
    """The steps to what is wanted; ``broken`` says why there are none, where the state cannot be mended."""

    steps: tuple[SyncStep, ...] = ()
    broken: str | None = None


def resolve_quorum(state: QuorumState) -> Resolution:
    """Return the steps from a state to the wanted one, each safe to be the last.

    Returns:
        Steps in order; the same state gives the same steps. None at rest.
    """
    walk = _Walk(state)
    try:
        walk.run()
    except _BrokenError as error:
        return Resolution((), str(error))
    return Resolution(_merged(walk.steps))


def quorum_overlaps(state: QuorumState) -> str | None:
    """Return why a write that is acknowledged now might be unknown to those that a winner hears, or None."""
    voters, sync = state.voters | {state.leader}, state.sync | {state.me}
    everybody = voters | sync
    if state.voters and len(everybody) > state.quorum + state.numsync + 1:
        return f"{len(everybody)} members, quorum {state.quorum} and {state.numsync} synchronous ones need not overlap"
    if not (voters <= sync or sync <= voters):
        return f"only voters: {', '.join(sorted(voters - sync))}; only synchronous: {', '.join(sorted(sync - voters))}"
    return None


class _BrokenError(Exception):
    """No step leads from here that keeps the overlap."""


class _Walk:
    """A state on its way, and the steps that it took."""

    def __init__(self, state: QuorumState) -> None:
        self.steps: list[SyncStep] = []
        self.leader, self.me = state.leader, state.me
        self.quorum, self.voters = state.quorum, state.voters
        self.numsync, self.sync = min(state.numsync, len(state.sync)), state.sync
        self.confirmed, self.active, self.wanted = state.confirmed, state.active, state.wanted

    def run(self) -> None:
        try:
            if self.leader != self.me:
                if self._take_over():
                    return
            else:
                self._check()
        except _BrokenError:
            self._publish(len(self.sync) - self.numsync, self.sync)
        if self.leader != self.me:
            raise _BrokenError(f"/sync names {self.leader} as leader")
        if not self.confirmed and self.sync & self.active:  # just promoted: what the quorum proved is confirmed
            self.confirmed = min(len(self.sync & self.active), len(self.voters) - self.quorum)
        self._finish_interrupted()
        self._drop_gone()
        self._add_new()
        self._resize()

    # --- the two kinds of steps

    def _publish(self, quorum: int, voters: frozenset[str], leader: str | None = None, *, adjust: bool = True) -> None:
        if quorum < 0 or 0 < quorum >= len(voters):
            raise _BrokenError(f"a quorum of {quorum} among {len(voters)} voters")
        before = (self.leader, self.quorum, self.voters)
        if leader is not None:
            self.leader = leader
        elif not self.confirmed and not self.voters:
            quorum, voters = 0, frozenset()  # nobody is known to have anything, so nobody votes
        elif adjust:
            quorum += max(self.numsync - self.confirmed, 0)  # replicas that lag must be found by the others
        if (self.leader, quorum, voters) == before:
            if self.voters:
                return
            self._step("look_again", self.quorum, self.voters)
        self.quorum, self.voters = quorum, voters
        self._check()
        self._step("publish", quorum, voters)

    def _assign(self, numsync: int, sync: frozenset[str]) -> None:
        if not 0 <= numsync <= len(sync):
            raise _BrokenError(f"{numsync} synchronous ones among {len(sync)}")
        self.numsync, self.sync = numsync, sync
        self._check()
        self._step("assign", numsync, sync)

    def _step(self, kind: Literal["publish", "assign", "look_again"], number: int, names: frozenset[str]) -> None:
        self.steps.append(SyncStep(kind=kind, leader=self.leader, number=number, names=tuple(sorted(names))))

    def _check(self) -> None:
        fault = quorum_overlaps(
            QuorumState(
                leader=self.leader,
                quorum=self.quorum,
                voters=self.voters,
                numsync=self.numsync,
                sync=self.sync,
                confirmed=self.confirmed,
                active=self.active,
                wanted=self.wanted,
                me=self.me,
            )
        )
        if fault is not None:
            raise _BrokenError(fault)

    # --- where to go

    def _take_over(self) -> bool:
        """After an election: the former leader becomes a voter. Return whether to wait for replicas to connect."""
        voters = (self.voters - {self.me}) | {self.leader}
        if not self.sync:
            self._assign(len(voters) - self.quorum, voters)
        self._publish(self.quorum, voters, self.me)
        return not self.sync & self.active

    def _finish_interrupted(self) -> None:
        """Go on where an earlier run was cut short: one set is larger than the other, or a number is."""
        if self.sync < self.voters:
            self._follow_voters()
        elif self.sync > self.voters:
            self._follow_sync()
        if self.voters != self.sync:
            raise _BrokenError("voters and synchronous replicas differ")
        spare = self.quorum - len(self.sync)
        if spare + min(self.numsync, self.confirmed) > 0:
            if self.numsync > self.wanted:
                self._assign(max(self.wanted, len(self.voters) - self.quorum), self.sync)
            else:
                self._publish(len(self.sync) - self.numsync, self.voters)
        elif self.numsync == self.wanted and spare + self.numsync > 0 and self.numsync > self.confirmed:
            self._publish(len(self.sync) - self.numsync, self.voters)

    def _follow_voters(self) -> None:
        dead = self.voters - self.sync - self.active
        if dead:
            quorum = len(self.voters) - len(dead) - self.numsync
            self._publish(quorum, self.voters - dead, adjust=self.sync <= self.active)
        if late := (self.voters & self.active) - self.sync:
            self._assign(self.numsync, self.sync | late)

    def _follow_sync(self) -> None:
        alive = self.sync & self.active
        gone = len(self.sync) - len(alive)
        if gone and alive and (not self.voters or alive & self.voters):
            self._assign(min(self.numsync, len(alive)), alive)
        if late := (self.sync - self.voters) & self.active:
            voters = self.voters | late
            self._publish(len(voters) - self.numsync, voters)
        if self.sync - self.voters:
            kept = self.sync & self.voters
            self._assign(min(self.numsync, len(kept)), kept)

    def _drop_gone(self) -> None:
        gone = self.sync - self.active
        if not gone:
            return
        if gone == self.sync:
            self._publish(0, frozenset(), adjust=False)
            self._assign(0, frozenset())
            return
        if self.quorum:  # a smaller quorum pays for the first ones
            first = frozenset(sorted(gone, reverse=True)[: self.quorum])
            sync, voters = self.sync - first, self.voters - first
            self._assign(min(max(self.wanted, self.numsync), len(sync)), sync)
            gone &= self.sync
            self._publish(len(voters) - self.numsync, voters, adjust=not gone)
        if gone:  # fewer copies pay for the others
            if self.quorum:
                raise _BrokenError("a quorum is left where none should be")
            numsync, sync, voters = self.numsync - len(gone), self.sync - gone, self.voters - gone
            excess = numsync - min(self.wanted, len(sync))
            self._publish(min(excess, len(voters) - 1) if excess else 0, voters, adjust=False)
            self._assign(numsync, sync)

    def _add_new(self) -> None:
        new = self.active - self.sync
        if not new:
            return
        wanted = min(self.wanted, len(self.sync | new))
        more = wanted - self.numsync
        if more > 0:  # more copies first; with none yet all may come at once
            first = frozenset(sorted(new)[:more]) if self.sync else new
            copies = self.numsync + (len(first) if self.sync else more)
            self._assign(copies, self.sync | first)
            voters = self.voters | first
            self._publish(len(voters) - wanted, voters)
            new -= self.sync
        if new:
            voters = self.voters | new
            self._publish(len(voters) - wanted, voters, adjust=wanted > self.confirmed)
            self._assign(wanted, self.sync | new)

    def _resize(self) -> None:
        more = min(self.wanted, len(self.sync)) - self.numsync
        if more > 0:
            self._assign(self.numsync + more, self.sync)
            self._publish(len(self.voters) - self.numsync, self.voters)
        elif more < 0:
            if self.quorum - more < len(self.voters):
                quorum = len(self.voters) - self.numsync - more
                self._publish(quorum, self.voters, adjust=self.wanted > self.confirmed)
            self._assign(self.numsync + more, self.sync)


def _merged(steps: list[SyncStep]) -> tuple[SyncStep, ...]:
    """Drop steps that the next one overwrites, and all after the first look."""
    kept: list[SyncStep] = []
    for step, after in zip(steps, [*steps[1:], None], strict=False):
        if after is not None and after.kind == step.kind:
            continue
        kept.append(step)
        if step.kind == "look_again":
            break
    return tuple(kept)
