"""Replay of players over time: what a backend would have done with them, and what that would have cost.

A trace says how many players there were at each sync; they are taken to be there until the next one. The backend
decides, and its count is there at once: pods that go are gone, pods that come run after ``start_secs``.

Everything is reckoned in one pass and in constant memory, whatever the length of the trace.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from aether_deploy.simulation.backends import Backend
from aether_deploy.simulation.placing import displaced_evenly, place_on_running
from aether_deploy.simulation.traces import MISSING, Trace

FLAP_SECS = 600
"""A change that turns the direction of one that is no older than this is a flap."""

Row = Sequence[int | None]
"""Players of each pod, by ordinal; None for one that gave no sample."""


class ReplayStep(msgspec.Struct, frozen=True, kw_only=True):
    """One sync of a replay.

    Attributes:
        secs: The time, seconds.
        players: Players on all pods together.
        before: The count before.
        wanted: The count afterwards.
        running: How many of these pods run right afterwards; the others are starting.
        reason: The backend's word for why: of the rule ``ScaleUp``, ``ScaleDown`` or why it holds; of an
            autoscaler the name of the last step, such as ``WithinTolerance`` or ``Stabilized``.
        displaced: Players on the pods that this step removes.
    """

    secs: int
    players: int
    before: int
    wanted: int
    running: int
    reason: str
    displaced: int

    @property
    def players_per_pod(self) -> float:
        """Players by running pod; without a pod, infinite if there are any."""
        if self.running:
            return self.players / self.running
        return float("inf") if self.players else 0.0


class ReplayTotals(msgspec.Struct, frozen=True, kw_only=True):
    """What a replay comes to.

    Attributes:
        syncs: How often the backend was asked.
        secs: From the first sync to the last one, seconds. The last one is asked, and holds for no time.
        pod_secs: Seconds of all pods together, those that are starting included.
        over_target_secs: Seconds with more players than ``target * running``.
        peak_replicas: Most pods.
        peak_players: Most players.
        scale_ups: How often pods were added.
        scale_downs: How often pods were removed.
        flaps: Changes that turn the direction of the change before, no more than ``flap_secs`` after it.
        pods_removed: Pods that scale-downs removed.
        displaced: Players that were on pods when these were removed. The highest ordinals go. Where a trace only
            knows all players together, they are spread as evenly as may be over the running pods, those with one
            more on the lowest ordinals. Pods that are still starting have no players.
    """

    syncs: int
    secs: int
    pod_secs: int
    over_target_secs: int
    peak_replicas: int
    peak_players: int
    scale_ups: int
    scale_downs: int
    flaps: int
    pods_removed: int
    displaced: int

    @property
    def pod_hours(self) -> float:
        """Hours of all pods together."""
        return self.pod_secs / 3600


class Replay:
    """A workload on its way through a trace.

    Give ``totals`` or ``steps`` a trace once; both come to the same.

    Attributes:
        backend: What scales it.
    """

    def __init__(
        self,
        backend: Backend,
        *,
        target: int,
        start_replicas: int,
        start_secs: int = 0,
        flap_secs: int = FLAP_SECS,
    ) -> None:
        """Begin with ``start_replicas`` pods that run.

        Args:
            backend: What scales the workload.
            target: Players that one pod serves.
            start_replicas: Pods before the first sync.
            start_secs: How long a pod starts before it runs, seconds.
            flap_secs: A change that turns the direction of one that is no older than this is a flap.
        """
        self.backend = backend
        self._target = target
        self._flap_secs = flap_secs
        self._start_secs = start_secs
        self._replicas = self._running = self._peak_replicas = start_replicas
        self._starting: deque[tuple[int, int]] = deque()
        self._capacity = target * start_replicas
        self._first_secs: int | None = None
        self._secs = self._players = self._peak_players = self._syncs = 0
        self._pod_secs = self._over_secs = 0
        self._ups = self._downs = self._flaps = self._removed = self._displaced = 0
        self._last_change: tuple[int, bool] | None = None

    def totals(self, samples: Iterable[tuple[int, int]]) -> ReplayTotals:
        """Return what the replay of players at each sync comes to; nothing else is kept of it."""
        wanted_of = self.backend.wanted
        for secs, players in samples:
            self._pass(secs, players)
            wanted = wanted_of(secs, players, self._replicas, self._running)
            if wanted != self._replicas:
                self._change(secs, wanted, None)
        return self.so_far()

    def steps(self, samples: Iterable[tuple[int, int]]) -> Iterator[ReplayStep]:
        """Yield each sync of the replay of players at each sync; ``so_far`` has the totals up to there."""
        for secs, players in samples:
            self._pass(secs, players)
            before, displaced = self._replicas, self._displaced
            wanted = self.backend.wanted(secs, players, before, self._running)
            if wanted != before:
                self._change(secs, wanted, None)
            yield self._step(before, self._displaced - displaced)

    def steps_by_pod(self, rows: Iterable[tuple[int, Row]]) -> Iterator[ReplayStep]:
        """Yield each sync of the replay of players of each pod; ``so_far`` has the totals up to there.

        A row may have been measured on another number of pods than run in the replay. Players of pods that do not
        run are spread over those that do, lowest ordinals first; pods that were not measured have no others.
        """
        for secs, row in rows:
            self._pass(secs, sum(each for each in row if each))
            before, displaced = self._replicas, self._displaced
            loads = place_on_running(row, self._running)
            wanted = self.backend.wanted_by_pod(secs, loads, before)
            if wanted != before:
                self._change(secs, wanted, loads)
            yield self._step(before, self._displaced - displaced)

    def so_far(self) -> ReplayTotals:
        """Return what the replay came to up to now."""
        return ReplayTotals(
            syncs=self._syncs,
            secs=self._secs - (self._first_secs or 0),
            pod_secs=self._pod_secs,
            over_target_secs=self._over_secs,
            peak_replicas=self._peak_replicas,
            peak_players=self._peak_players,
            scale_ups=self._ups,
            scale_downs=self._downs,
            flaps=self._flaps,
            pods_removed=self._removed,
            displaced=self._displaced,
        )

    def _step(self, before: int, displaced: int) -> ReplayStep:
        return ReplayStep(
            secs=self._secs,
            players=self._players,
            before=before,
            wanted=self._replicas,
            running=self._running,
            reason=self.backend.reason,
            displaced=displaced,
        )

    def _pass(self, secs: int, players: int) -> None:
        """Let the time until ``secs`` pass, and see ``players`` then."""
        if self._first_secs is None:
            self._first_secs = self._secs = secs
        if self._starting:
            self._start_until(secs)
        passed = secs - self._secs
        self._pod_secs += passed * self._replicas
        if self._players > self._capacity:
            self._over_secs += passed
        if players > self._peak_players:
            self._peak_players = players
        self._secs, self._players = secs, players
        self._syncs += 1

    def _start_until(self, secs: int) -> None:
        """Let the pods run that are ready by ``secs``, each from its own time on."""
        while self._starting and self._starting[0][0] <= secs:
            ready_secs, count = self._starting.popleft()
            passed = ready_secs - self._secs
            self._pod_secs += passed * self._replicas
            if self._players > self._capacity:
                self._over_secs += passed
            self._secs = ready_secs
            self._run(self._running + count)

    def _run(self, running: int) -> None:
        self._running = running
        self._capacity = self._target * running

    def _change(self, secs: int, wanted: int, loads: Row | None) -> None:
        grows = wanted > self._replicas
        if grows:
            self._ups += 1
            self._add(secs, wanted - self._replicas)
        else:
            self._downs += 1
            self._removed += self._replicas - wanted
            self._remove(self._replicas - wanted, loads)
        self._replicas = wanted
        self._peak_replicas = max(self._peak_replicas, wanted)
        if self._last_change is not None:
            at, grew = self._last_change
            self._flaps += grew is not grows and secs - at <= self._flap_secs
        self._last_change = (secs, grows)

    def _add(self, secs: int, count: int) -> None:
        if self._start_secs:
            self._starting.append((secs + self._start_secs, count))
        else:
            self._run(self._running + count)

    def _remove(self, count: int, loads: Row | None) -> None:
        # The highest ordinals go, and those are the ones that are starting.
        while count and self._starting:
            ready_secs, starting = self._starting.pop()
            if starting > count:
                self._starting.append((ready_secs, starting - count))
            count -= min(starting, count)
        staying = self._running - count
        if loads is None:
            self._displaced += displaced_evenly(self._players, self._running, staying)
        else:
            self._displaced += sum(each for each in loads[staying:] if each)
        self._run(staying)


def rows_of(trace: Trace, step_secs: int) -> Iterator[tuple[int, Row]]:
    """Yield time and players of each pod at the first sample, and each ``step_secs`` after, up to the last one.

    Pods stand in the order of their ordinals, or in that of the trace where a name does not end with one.

    Raises:
        ValueError: If the trace does not know its pods.
    """
    if not trace.pods:
        raise ValueError("the trace knows all players together, and not those of each pod")
    names = list(trace.pods)
    ordinals = [name.rpartition("-")[2] for name in names]
    if all(each.isdecimal() for each in ordinals):
        names = [name for _, name in sorted(zip(map(int, ordinals), names, strict=True))]
    series = [trace.pods[name] for name in names]
    times, place, last = trace.times, 0, len(trace.times) - 1
    for secs in range(trace.start_secs, trace.end_secs + 1, step_secs):
        while place < last and times[place + 1] <= secs:
            place += 1
        yield secs, [None if row[place] == MISSING else row[place] for row in series]


def sampled(players: Iterable[int], *, step_secs: int, start_secs: int = 0) -> Iterator[tuple[int, int]]:
    """Yield time and players of a sequence that has one number for each sync."""
    for number, count in enumerate(players):
        yield start_secs + number * step_secs, count
