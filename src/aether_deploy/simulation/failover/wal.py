"""PostgreSQL as far as a failover is concerned: positions over time, branches of history, who waits for whom.

Nothing happens per write. Clients write at a rate, so a position is a line over time; what was acknowledged is
settled whenever something changes.
"""

from typing import Literal

from aether_deploy.failover.synchronous import ANY_REPLICA


class Branch:
    """A timeline: it leaves its parent at a position, and something was acknowledged on it.

    Attributes:
        number: Its number, as PostgreSQL counts.
        parent: Where it comes from; None: the first.
        fork: Position at which it left, bytes.
        acked: Highest position that a client was told of, bytes.
    """

    __slots__ = ("acked", "fork", "number", "parent")

    def __init__(self, parent: "Branch | None", fork: float) -> None:
        self.number: int = 1 if parent is None else parent.number + 1
        self.parent = parent
        self.fork = fork
        self.acked = fork

    def common_with(self, other: "Branch") -> tuple["Branch", float]:
        """Return the last branch that both went through, and up to which position they are one."""
        mine = self.path()
        for branch, left_at in other.path().items():
            if branch in mine:
                return branch, min(left_at, mine[branch])
        raise AssertionError("two histories have no beginning in common")

    def path(self) -> dict["Branch", float]:
        """Return the branches back to the first, each with the position at which this history left it."""
        found, branch = {self: float("inf")}, self
        while branch.parent is not None:
            found[branch.parent] = branch.fork
            branch = branch.parent
        return found


Role = Literal["primary", "replica", "starting", "down"]


class Postgres:
    """One PostgreSQL.

    Attributes:
        name: Its member.
        role: What it does.
        branch: Its timeline.
        frozen: It is stopped as it stands.
        stalled: Its stream is dead, and ``upstream`` has not noticed.
        upstream: Where it streams from.
        gap: How far behind it is held, bytes.
        delay: Until a write of ``upstream`` is here, seconds.
        downstream: Who streams from here.
        names: Replicas that a write waits for, as assigned; ``*`` is any.
        numsync: How many of them.
        assigned_at: Position when ``names`` changed last, bytes.
        ready: Which of ``names`` have reached it.
        was_primary: What it did before it went down.
        since: When ``role`` changed last, seconds.
        rate: Bytes in a second that clients write here while they can.
        grain: Bytes of one transaction; what is cut off in the middle of one counts for nothing.
    """

    def __init__(self, name: str, branch: Branch, base: float, rate: float, grain: int) -> None:
        self.name, self.branch, self.rate, self.grain = name, branch, rate, grain
        self.role: Role = "replica"
        self.frozen = self.stalled = self.was_primary = False
        self.upstream: Postgres | None = None
        self.gap, self.delay = 0.0, 0.0
        self.downstream: list[Postgres] = []
        self.names: frozenset[str] = frozenset()
        self.numsync, self.assigned_at = 0, 0.0
        self.ready: set[str] = set()
        self.since = 0.0
        self._base, self._at = base, 0.0
        self._rate_before = 0.0

    # --- positions

    def lsn(self, now: float) -> float:
        """Return what it has, or had a moment ago, bytes."""
        if now < self._at:
            return self._base - self._rate_before * (self._at - now)
        if self.role == "primary":
            return self._base + self._rate_now * (now - self._at)
        if self.upstream is None or self.frozen or self.stalled:
            return self._base
        return max(self._base, self.upstream.lsn(now - self.delay) - self.gap)

    @property
    def _rate_now(self) -> float:
        return self.rate if self.acknowledges else 0.0

    @property
    def writable(self) -> bool:
        """Whether it takes writes; whether it acknowledges them is another question."""
        return self.role == "primary" and not self.frozen

    @property
    def is_blocked(self) -> bool:
        """Whether writes wait for replicas that are not there."""
        return self.numsync > 0 and len(self._waited_for()) < self.numsync

    @property
    def acknowledges(self) -> bool:
        return self.writable and not self.is_blocked

    def _waited_for(self) -> list["Postgres"]:
        anybody = ANY_REPLICA in self.names
        return [
            each
            for each in self.downstream
            if (anybody or each.name in self.names) and not each.frozen and not each.stalled
        ]

    def settle(self, now: float) -> None:
        """Note the position, those downstream, and what was acknowledged until now; to be done before any change."""
        for each in self.downstream:
            each._base, each._at = each.lsn(now), now
        base = self.lsn(now)
        if now > self._at:
            self._rate_before = self._rate_now
        if self.writable:
            self.branch.acked = max(self.branch.acked, self._acked(now, base))
        self._base, self._at = base, now

    def _acked(self, now: float, own: float) -> float:
        if not self.numsync:
            return own
        waited = sorted((each.lsn(now) for each in self._waited_for()), reverse=True)
        return min(own, waited[self.numsync - 1]) if len(waited) >= self.numsync else 0.0

    # --- changes

    def stop(self, now: float, *, silently: bool = False) -> None:
        """It is gone as it stands, and its streams with it.

        Args:
            now: The time, seconds.
            silently: Its machine is gone: whom it streamed from goes on waiting for it.
        """
        if silently and self.upstream is not None:
            self.stall(now)
        else:
            self.disconnect(now)
        self.settle(now)
        self._keep_whole()
        self.was_primary = self.role == "primary"
        self._change("down", now)
        for each in list(self.downstream):
            each.disconnect(now)
        self.ready = set()

    def flush_and_stop(self, now: float) -> None:
        """It sends everything to those who stream from it, and stops."""
        self.settle(now)
        self._keep_whole()
        for each in self.downstream:
            if not each.gap and not each.frozen and not each.stalled:
                each._base = max(each._base, self._base)
        self.stop(now)

    def begin(self, role: Role, now: float) -> None:
        """It runs."""
        self.settle(now)
        self._change(role, now)

    def promote(self, now: float) -> None:
        """It becomes primary, on a timeline of its own."""
        self.disconnect(now)
        self.settle(now)
        self.branch = Branch(self.branch, self._base)
        self._change("primary", now)
        for each in list(self.downstream):
            if not each.adopts(self, now):
                each.disconnect(now)

    def _change(self, role: Role, now: float) -> None:
        self.role, self.since = role, now

    def freeze(self, now: float, *, frozen: bool) -> None:
        if self.upstream is not None:
            self.upstream.settle(now)
        self.settle(now)
        self.frozen = frozen

    def stall(self, now: float, *, stalled: bool = True) -> None:
        """Its stream carries nothing, or carries again."""
        if self.upstream is not None:
            self.upstream.settle(now)
            self.settle(now)
            self._keep_whole()
        self.stalled = stalled

    def _keep_whole(self) -> None:
        self._base = self._base // self.grain * self.grain

    def assign(self, names: frozenset[str], numsync: int, now: float) -> None:
        """Set whom writes wait for."""
        self.settle(now)
        if names != self.names:
            self.assigned_at = self._base
            self.ready &= set(names)
        self.names, self.numsync = names, numsync

    def disconnect(self, now: float) -> None:
        """It no longer streams."""
        upstream = self.upstream
        if upstream is None:
            return
        upstream.settle(now)
        self.settle(now)
        self._keep_whole()
        self.upstream, self.stalled = None, False
        upstream.downstream.remove(self)
        upstream.ready.discard(self.name)

    def follow(self, upstream: "Postgres", delay: float, now: float) -> bool:
        """Stream from another; return whether histories allow it without a rewind."""
        if self.upstream is upstream and self.branch is upstream.branch:
            return True
        self.disconnect(now)
        if upstream.upstream is self:
            upstream.disconnect(now)
        if not self.adopts(upstream, now):
            return False
        upstream.settle(now)
        self.upstream, self.delay = upstream, delay
        upstream.downstream.append(self)
        return True

    def start_behind(self, leader: "Postgres", delay: float) -> None:
        """Begin a simulation as a replica of ``leader``, as far behind as it is held."""
        self._base -= self.gap
        self.upstream, self.delay = leader, delay
        leader.downstream.append(self)

    def adopts(self, leader: "Postgres", now: float) -> bool:
        """Take over the timeline of ``leader``, if this one has nothing beyond where they part."""
        branch, end = self.branch.common_with(leader.branch)
        if branch is not self.branch or self.lsn(now) > end:
            return False
        self.branch = leader.branch
        return True

    def rewind(self, leader: "Postgres", now: float) -> None:
        """Give up what ``leader`` never had."""
        self.settle(now)
        _, end = self.branch.common_with(leader.branch)
        self._base = min(self._base, end)
        self.branch = leader.branch
