"""Clients that ask every part of a lab without a pause, and what they saw of a fault.

Each part has a thread. It writes, waits for the acknowledgement, and remembers when that came.
"""

import math
import threading
import time
from array import array
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from aether_deploy.lab.system.expecting import Expectation
from aether_deploy.lab.system.measuring import (
    LONGEST_SECS,
    Seen,
    Stall,
    is_settled,
    longest_open,
    longest_watch_secs,
    measure,
)
from aether_deploy.lab.system.member import Probe
from aether_deploy.lab.system.parts import Part, part_of
from aether_deploy.lab.system.record import Measured, Outage, Predicted

KEEN_SECS, CALM_SECS = 0.2, 0.5
"""From the beginning of one write to that of the next: while a fault is watched, and otherwise."""
READ_EVERY = 5
"""A client reads after every so many writes, and after each that failed."""
BEAT_SECS = 0.1
LATE_SECS = 0.1
"""How long what costs nothing may take; for what takes longer the machine has no time."""
COUNTED = 5000
"""So many of the latest acknowledged writes are looked for at the end."""
COUNT_SECS = 30.0
KEPT = 20_000
"""So many of the latest acknowledgements are kept at least: more than half an hour of them."""
_TURN_SECS = 5.0
_POLL_SECS = 0.1
_TELL_SECS = 2.0


def resolution_of(probe: Probe) -> float:
    """Return how exactly a client tells when writes are back, seconds.

    A write that is sent just before they are may wait in vain, and the next is sent a pace later.
    """
    return probe.answer_secs + KEEN_SECS


class Observed(NamedTuple):
    """What came of a fault.

    Attributes:
        until: When the watch ended; what is counted then is counted later.
        parts: What each client saw.
    """

    until: float
    parts: dict[Part, Measured]


class _Metronome(threading.Thread):
    """Does again and again what costs nothing, and notes when that takes its time: then the machine has no time."""

    def __init__(self, clock: Callable[[], float], beat: Callable[[], None]) -> None:
        super().__init__(name="metronome", daemon=True)
        self._stalls: deque[Stall] = deque(maxlen=KEPT)
        self._clock = clock
        self._beat = beat
        self._over = threading.Event()
        self._due = math.inf

    def run(self) -> None:
        self._due = self._clock() + BEAT_SECS
        while not self._over.wait(max(self._due - self._clock(), 0.0)):
            self._beat()
            now = self._clock()
            if now - self._due > LATE_SECS:
                self._stalls.append(Stall(self._due, now))
            self._due = now + BEAT_SECS

    def stalls(self) -> tuple[Stall, ...]:
        """Return when the machine had no time, up to now: a beat that has not ended yet may be late already."""
        due, now = self._due, self._clock()
        ended = tuple(self._stalls)
        is_late = now - due > LATE_SECS and not (ended and ended[-1].begin == due)
        return (*ended, Stall(due, now)) if is_late else ended

    def end(self) -> None:
        self._over.set()


class _Client(threading.Thread):
    """Asks one part until it is told to end."""

    def __init__(self, probe: Probe, clock: Callable[[], float]) -> None:
        super().__init__(name=f"client-{part_of(probe)}", daemon=True)
        self.part = part_of(probe)
        self.probe = probe
        self.pace_secs = CALM_SECS
        self.turns = 0
        self.outages: list[tuple[float, float]] = []
        self._clock = clock
        self._over = threading.Event()
        self._wake = threading.Event()
        self._count = threading.Event()
        self._counted = threading.Event()
        self._lost: int | None = None
        self._is_counting = False
        self._counted_at = 0.0
        self._total = 0
        self._numbers: deque[int] = deque(maxlen=COUNTED)
        self._acknowledged = array("d")
        self._reads: list[tuple[float, bool]] = []
        self._reading: float | None = None

    # --- its thread

    def run(self) -> None:
        try:
            while not self._over.is_set():
                begun = self._clock()
                self._turn()
                if self._count.is_set():
                    self._count.clear()
                    self._is_counting = True
                    self._lost = self._missing()
                    self._counted_at = self._clock()
                    self._is_counting = False
                    self._counted.set()
                self._wake.wait(max(self.pace_secs - (self._clock() - begun), 0.0))
                self._wake.clear()
        finally:
            self.probe.close()

    def _turn(self) -> None:
        number = self.turns + 1
        good = self._write(number) if self.probe.takes_writes else self._read()
        if self.probe.takes_writes and (not good or number % READ_EVERY == 0):
            self._read()
        self.turns = number

    def _write(self, number: int) -> bool:
        try:
            self.probe.write(number)
        except Exception:  # whatever it is, it was not acknowledged
            return False
        self._total += 1
        self._numbers.append(number)
        self._acknowledge()
        return True

    def _read(self) -> bool:
        self._reading = self._clock()
        try:
            self.probe.read()
            good = True
        except Exception:  # nothing was to be had
            good = False
        self._reads.append((self._clock(), good))
        self._reading = None
        if good and not self.probe.takes_writes:
            self._acknowledge()
        return good

    def _acknowledge(self) -> None:
        now = self._clock()
        since = self.asked_since()
        assert since is not None  # one thread asks and counts
        if now - since > self.outage_secs:
            self.outages.append((since, now))
        if len(self._acknowledged) >= 2 * KEPT:
            self._acknowledged = self._acknowledged[-KEPT:]
            self._reads = self._reads[-KEPT:]
        self._acknowledged.append(now)

    def _missing(self) -> int | None:
        """Return how many of the latest acknowledged writes are gone; None where it cannot be told.

        What is gone is counted once.
        """
        if type(self.probe).missing is Probe.missing or not self.probe.takes_writes:
            return None
        try:
            gone = set(self.probe.missing(list(self._numbers)))
        except Exception:
            return None
        self._numbers = deque((each for each in self._numbers if each not in gone), maxlen=COUNTED)
        return len(gone)

    # --- other threads

    def wake(self, pace_secs: float) -> None:
        self.pace_secs = pace_secs
        self._wake.set()

    def ask_count(self) -> None:
        self._counted.clear()
        self._count.set()
        self._wake.set()

    def lost(self, within_secs: float) -> int | None:
        return self._lost if self._counted.wait(max(within_secs, 0.0)) else None

    def end(self) -> None:
        self._over.set()
        self._wake.set()

    def asked_since(self) -> float | None:
        """Return since when the part has been asked and has acknowledged nothing; None while the client counts."""
        if self._is_counting:
            return None
        return max(self._acknowledged[-1] if self._acknowledged else 0.0, self._counted_at)

    @property
    def outage_secs(self) -> float:
        """A longer time without an acknowledgement is an outage, seconds: no pace explains it."""
        return self.probe.answer_secs + CALM_SECS + KEEN_SECS

    def seen(self) -> Seen:
        reading = self._reading  # first: one that ends meanwhile is told twice, and not never
        return Seen(acknowledged=self._acknowledged[:], reads=self._reads[:], reading=reading, total=self._total)


class Watch:
    """The clients of a lab. Its methods but :meth:`outages` belong to one thread at a time."""

    def __init__(
        self, probes: Sequence[Probe], clock: Callable[[], float], *, beat: Callable[[], None] = lambda: None
    ) -> None:
        """Prepare clients; none asks anything before :meth:`start`.

        Args:
            probes: What asks each part; they are closed by :meth:`close`.
            clock: Tells the time since the lab was up, seconds; it never goes back.
            beat: Something that takes no time where the machine has some: what stands still meanwhile is no outage.
        """
        self._clock = clock
        self._clients = [_Client(each, clock) for each in probes]
        self._metronome = _Metronome(clock, beat)

    @property
    def parts(self) -> tuple[Part, ...]:
        """The parts that are asked, in the order of their clients."""
        return tuple(each.part for each in self._clients)

    @property
    def resolutions(self) -> dict[Part, float]:
        """How exactly each client tells when writes are back, seconds."""
        return {each.part: resolution_of(each.probe) for each in self._clients}

    # --- life

    def start(self) -> None:
        """Let every client begin."""
        self._metronome.start()
        for client in self._clients:
            client.start()

    def close(self) -> None:
        """Let every client end; returns when they have, or hang. Safe to call twice."""
        self._metronome.end()
        for client in self._clients:
            client.end()
        for client in self._clients:
            if client.ident is not None:
                client.join(client.probe.answer_secs + _TURN_SECS)

    # --- a fault

    def prepare(self) -> None:
        """Let the clients hurry; returns once each had its turn, or hangs."""
        before = [client.turns for client in self._clients]
        for client in self._clients:
            client.wake(KEEN_SECS)
        deadline = time.monotonic() + _TURN_SECS
        while time.monotonic() < deadline and any(
            client.turns == turns for client, turns in zip(self._clients, before, strict=True)
        ):
            time.sleep(_POLL_SECS / 4)

    def observe(
        self,
        at: float,
        expectation: Expectation,
        *,
        most_secs: float | None = None,
        tell: Callable[[str], None] = lambda text: None,
    ) -> Observed:
        """Watch what a fault does until all that was predicted must have come, count what is gone, and return both.

        Args:
            at: When the fault was.
            expectation: What was said of it.
            most_secs: Longest time to watch, seconds; left out, as long as the predictions need.
            tell: Hears how it goes, every two seconds.
        """
        told = self._clock()
        while True:
            now = self._clock()
            waiting = [client.part for client in self._clients if not self._is_settled(client, at, now, expectation)]
            if not waiting or now - at >= (LONGEST_SECS if most_secs is None else most_secs):
                break
            if now - told >= _TELL_SECS:
                told = now
                tell(_progress(now - at, waiting))
            time.sleep(_POLL_SECS)
        return Observed(now, self._told(at, now))

    def longest_secs(self, expectation: Expectation, *, most_secs: float | None = None) -> float:
        """Return for how long a fault is watched at most, seconds, while the machine does not stand still.

        Args:
            expectation: What was said of it.
            most_secs: As for :meth:`observe`.
        """
        longest = max(
            (
                longest_watch_secs(
                    expectation.parts.get(client.part, Predicted()),
                    resolution=resolution_of(client.probe),
                    clock_secs=expectation.clocks.get(client.part, 0.0),
                    open_=client.part in expectation.unpredicted,
                )
                for client in self._clients
            ),
            default=0.0,
        )
        return longest if most_secs is None else min(longest, most_secs)

    def _is_settled(self, client: _Client, at: float, now: float, expectation: Expectation) -> bool:
        said = expectation.parts.get(client.part, Predicted())
        nobody_says = client.part in expectation.unpredicted
        return is_settled(
            client.seen(),
            said,
            at=at,
            now=now,
            resolution=resolution_of(client.probe),
            clock_secs=expectation.clocks.get(client.part, 0.0),
            open_=nobody_says,
            stalls=self._metronome.stalls(),
        )

    def _told(self, at: float, until: float) -> dict[Part, Measured]:
        asked = set()
        for client in self._clients:
            if longest_open(client.seen().acknowledged, at, until) <= resolution_of(client.probe):
                client.ask_count()
                asked.add(client.part)
        deadline = time.monotonic() + COUNT_SECS
        stalls = self._metronome.stalls()
        found = {}
        for client in self._clients:
            lost = client.lost(deadline - time.monotonic()) if client.part in asked else None
            resolution = resolution_of(client.probe)
            found[client.part] = measure(
                client.seen(), at=at, until=until, resolution=resolution, lost=lost, stalls=stalls
            )
        for client in self._clients:
            client.pace_secs = CALM_SECS
        return found

    # --- all the time

    def outages(self) -> tuple[Outage, ...]:
        """Return every time in which a part acknowledged nothing for long, by the order of their beginnings."""
        now = self._clock()
        found = [outage for client in self._clients for outage in _outages(client, now)]
        return tuple(sorted(found, key=lambda each: (each.begin, each.member, each.part, each.region or "")))


def _progress(secs: float, waiting: Sequence[Part]) -> str:
    names = ", ".join(str(part) for part in waiting[:3])
    more = f" and {len(waiting) - 3} more" if len(waiting) > 3 else ""
    return f"{secs:.0f} s since the fault; waiting for {names}{more}"


def _outages(client: _Client, now: float) -> Iterator[Outage]:
    member, part, region = client.part
    for begin, end in tuple(client.outages):
        yield Outage(member=member, part=part, region=region, begin=round(begin, 3), end=round(end, 3))
    since = client.asked_since()
    if since is not None and now - since > client.outage_secs:
        yield Outage(member=member, part=part, region=region, begin=round(since, 3))
