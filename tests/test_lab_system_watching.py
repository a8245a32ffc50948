"""What clients saw, from the times of their acknowledgements; and clients that run."""

import contextlib
import math
import random
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise

import pytest

from aether_deploy.lab.system import watching
from aether_deploy.lab.system.expecting import Expectation
from aether_deploy.lab.system.judging import judge
from aether_deploy.lab.system.measuring import MARGIN_SECS, QUIET_SECS, STAYS_SECS, Seen, Stall, is_settled, measure
from aether_deploy.lab.system.member import Probe
from aether_deploy.lab.system.network import Network
from aether_deploy.lab.system.parts import Part, part_of
from aether_deploy.lab.system.record import Measured, Outage, Predicted
from aether_deploy.lab.system.watching import CALM_SECS, KEEN_SECS, Watch
from aether_deploy.lab.system.yardstick import ANSWER_SECS, Yardstick
from tests.lab_workload_cases import PATIENCE_SECS, wait_for

EXACT = 1.1
GRAIN_SECS = 0.01
AT, UNTIL = 100.0, 130.0


def steady(begin: float, end: float, step: float = 0.1) -> list[float]:
    """Return acknowledgements in even steps."""
    return [begin + step * place for place in range(round((end - begin) / step))]


def saw(*spans: tuple[float, float], extra: Sequence[float] = (), reads: Sequence[tuple[float, bool]] = ()) -> Measured:
    times = sorted([*(each for span in spans for each in steady(*span)), *extra])
    return measure(
        Seen(acknowledged=times, reads=reads, total=len(times)), at=AT, until=UNTIL, resolution=EXACT, lost=0
    )


def test_writes_that_went_on_have_held() -> None:
    found = saw((90, 130))

    assert (found.outcome, found.readable) == ("holds", True)
    assert found.stopped_secs == pytest.approx(0.1, abs=0.02)
    assert found.watched_secs == 30.0


def test_a_stop_begins_with_the_fault_and_ends_with_the_first_write_after_it() -> None:
    found = saw((90, 99.95), (107.4, 130))

    assert found.outcome == "interrupted"
    assert found.stopped_secs == pytest.approx(7.4, abs=0.01)


def test_a_write_in_flight_that_is_acknowledged_after_the_fault_hides_no_stop() -> None:
    found = saw((90, 99.95), (107.4, 130), extra=[100.02])

    assert found.stopped_secs == pytest.approx(7.38, abs=0.01)


def test_a_write_that_waited_through_the_stop_counts_when_it_was_acknowledged() -> None:
    found = saw((90, 99.95), (105.0, 130))

    assert found.stopped_secs == pytest.approx(5.0, abs=0.01)


def test_a_stop_that_begins_later_is_measured_from_the_last_write_before_it() -> None:
    found = saw((90, 110), (116, 130))

    assert found.stopped_secs == pytest.approx(6.1, abs=0.02)


def test_the_longest_of_several_stops_counts() -> None:
    found = saw((90, 100), (102, 110), (114, 118), (120, 130))

    assert found.stopped_secs == pytest.approx(4.1, abs=0.02)


def test_a_wait_shorter_than_an_answer_is_no_stop() -> None:
    found = saw((90, 104), (105, 130))

    assert found.outcome == "holds"
    assert found.stopped_secs == pytest.approx(1.1, abs=0.02)


@pytest.mark.parametrize(("good", "outcome"), [(True, "read-only"), (False, "down")])
def test_writes_that_are_not_back_are_told_apart_by_reads(good: bool, outcome: str) -> None:
    found = saw((90, 100), reads=[(secs, good) for secs in steady(100, 130, 0.5)])

    assert (found.outcome, found.stopped_secs, found.readable) == (outcome, None, good)


def test_writes_that_went_away_again_are_not_back() -> None:
    found = saw((90, 100), (105, 120), reads=[(110.0, True), (125.0, True)])

    assert (found.outcome, found.stopped_secs) == ("read-only", None)


def test_without_a_read_nobody_knows_whether_a_part_could_be_read() -> None:
    """Its client waited for the answer to a write all the while."""
    away, back = saw((90, 100)), saw((90, 100), (107, 130))

    assert (away.outcome, away.readable) == ("down", None)
    assert (back.outcome, back.readable) == ("interrupted", None)
    assert judge(Predicted(outcome="read-only"), away).verdict == "unmeasured"
    assert judge(Predicted(outcome="down"), away).verdict == "unmeasured"
    assert judge(Predicted(outcome="down", readable=False), away).verdict == "held"
    assert judge(Predicted(), away).verdict == "broken"


def test_a_read_that_hangs_for_the_whole_stop_brought_nothing() -> None:
    seen = Seen(acknowledged=steady(90, 100), reads=[(99.0, True)], reading=100.1)

    found = measure(seen, at=AT, until=UNTIL, resolution=EXACT, lost=None)

    assert (found.outcome, found.readable) == ("down", False)


def test_reads_before_and_after_a_stop_do_not_speak_for_it() -> None:
    reads = [(95.0, True), (101.0, False), (103.0, False), (105.0, True), (110.0, True), (120.0, True)]

    found = saw((90, 100), (107, 130), reads=reads)

    assert not found.readable


def test_a_part_that_never_answered_is_down() -> None:
    found = saw(reads=[(105.0, False)])

    assert (found.outcome, found.acknowledged) == ("down", 0)


def test_how_long_the_machine_stood_still_is_told_beside_the_stop() -> None:
    times = [*steady(90, 104), *steady(107, 130)]
    seen = Seen(acknowledged=times, reads=())

    told = [
        measure(seen, at=AT, until=UNTIL, resolution=EXACT, lost=None, stalls=stalls)
        for stalls in ([Stall(104.5, 105.0), Stall(105.2, 107.0)], [Stall(90.0, 104.0), Stall(107.5, 120.0)])
    ]

    assert [(each.outcome, each.stalled_secs) for each in told] == [("interrupted", 2.3), ("interrupted", 0.1)]


def test_stops_that_follow_each_other_within_moments_are_one() -> None:
    found = saw((90, 100), (108, 108.4), (116.3, 116.5), (124.4, 130))

    assert found.outcome == "interrupted"
    assert found.stopped_secs == pytest.approx(8.0 + 8.0 + 8.0, abs=0.4)


def test_a_stop_after_writes_went_on_for_a_while_is_another() -> None:
    found = saw((90, 100), (105, 109), (115, 130))

    assert found.stopped_secs == pytest.approx(6.1, abs=0.2)


def counted(gaps: Sequence[tuple[float, float]]) -> float:
    """Return the longest stop: gaps that are outages, with the next within moments, are summed."""
    best, total, end = 0.0, 0.0, -math.inf
    for begin, until in gaps:
        length = until - begin
        if length > 2 * EXACT:
            total = total + length if begin - end < STAYS_SECS else length
            end = until
            best = max(best, total)
        best = max(best, length)
    return best


def test_no_stop_is_hidden_and_none_is_made_up() -> None:
    """Of random lives of a part, the longest time without an acknowledgement is found by looking at every moment."""
    seed = random.Random().randrange(2**32)
    chance = random.Random(seed)
    for _ in range(200):
        times = sorted(chance.uniform(90, UNTIL) for _ in range(chance.randrange(60)))
        after = [each for each in times if each > AT]
        begins = [AT, *after]

        found = measure(Seen(acknowledged=times, reads=(), total=0), at=AT, until=UNTIL, resolution=EXACT, lost=None)

        last = UNTIL - begins[-1]
        if last > EXACT:
            assert found.outcome in ("read-only", "down"), f"seed {seed}"
        else:
            closed = counted(list(zip(begins, after, strict=False)))
            assert found.stopped_secs == pytest.approx(closed, abs=0.001), f"seed {seed}"
            assert (found.outcome == "interrupted") == (closed > EXACT), f"seed {seed}"


# --- when a watch is over


def settled(
    said: Predicted, *spans: tuple[float, float], now: float, open_: bool = False, clock: float = 0.0, read: bool = True
) -> bool:
    times = [each for span in spans for each in steady(*span)]
    reads = [(each, False) for each in steady(AT, now, 1.0)] if read else ()
    seen = Seen(acknowledged=times, reads=reads)
    return is_settled(seen, said, at=AT, now=now, resolution=EXACT, clock_secs=clock, open_=open_)


STOPS = Predicted(outcome="interrupted", best_secs=5.0, worst_secs=20.0)


def test_what_is_to_hold_or_to_stay_away_is_watched_for_a_while() -> None:
    for said in (Predicted(), Predicted(outcome="down"), Predicted(outcome="read-only")):
        assert not settled(said, (90, 109), now=109.0)
        assert settled(said, (90, 110), now=AT + QUIET_SECS)


def test_what_fails_late_is_watched_until_its_own_clocks_have_run() -> None:
    for said in (Predicted(), Predicted(outcome="down")):
        assert not settled(said, (90, 140), now=AT + 30 + EXACT - 0.1, clock=30.0)
        assert settled(said, (90, 140), now=AT + 30 + EXACT + 0.1, clock=30.0)


def test_a_client_that_has_not_read_yet_is_waited_for_a_minute() -> None:
    said = Predicted(outcome="read-only")

    assert settled(said, (90, 100), now=AT + 15)
    assert not settled(said, (90, 100), now=AT + 59, read=False)
    assert settled(said, (90, 100), now=AT + 61, read=False)


def test_what_stops_is_watched_until_it_is_back_and_stays() -> None:
    assert not settled(STOPS, (90, 100), now=112.0)
    assert not settled(STOPS, (90, 100), (111, 112), now=112.0)
    assert settled(STOPS, (90, 100), (111, 115), now=115.0)


def test_what_does_not_come_back_is_watched_until_all_times_are_over() -> None:
    last = AT + 20 + EXACT + MARGIN_SECS

    assert not settled(STOPS, (90, 100), now=last - 0.1)
    assert settled(STOPS, (90, 100), now=last + 0.1)


def test_what_is_mended_is_waited_for_though_nobody_says_how_long() -> None:
    said = Predicted(outcome="interrupted", certain=False)

    assert not settled(said, (90, 100), now=AT + 100)
    assert settled(said, (90, 100), (198, 202), now=202.0)
    assert settled(said, (90, 100), now=AT + 200)


def test_a_pause_at_the_end_of_a_watch_is_not_taken_for_an_outage() -> None:
    for said in (Predicted(), STOPS):
        assert not settled(said, (90, 118.5), now=120.0)
        assert settled(said, (90, 118.5), (120.0, 123.5), now=123.5)
        assert settled(Predicted(), (90, 118.5), now=129.0)


def test_what_nothing_was_said_of_is_waited_for_a_minute() -> None:
    assert not settled(Predicted(), (90, 100), now=AT + 60, open_=True)
    assert settled(Predicted(), (90, 100), now=AT + 65, open_=True)
    assert settled(Predicted(), (90, 130), now=AT + 30, open_=True)


# --- clients that run


class Ticks(threading.Thread):
    """A clock that stands still while this process does, so that nobody takes that for an outage."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._now = 0.0
        self._over = threading.Event()
        self.start()

    def run(self) -> None:
        while not self._over.wait(GRAIN_SECS):
            self._now += GRAIN_SECS

    def __call__(self) -> float:
        return self._now

    def sleep(self, secs: float) -> None:
        """Return once so much has passed by this clock."""
        until = self._now + secs
        while self._now < until:
            time.sleep(GRAIN_SECS)

    def later(self, secs: float, do: Callable[[], object]) -> None:
        """Do something then, and go on meanwhile."""

        def wait() -> None:
            self.sleep(secs)
            do()

        threading.Thread(target=wait, daemon=True).start()

    def end(self) -> None:
        self._over.set()


@pytest.fixture
def ticks() -> Iterator[Ticks]:
    clock = Ticks()
    yield clock
    clock.end()


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every client have its turn, and every one of them end."""
    monkeypatch.setattr(watching, "_TURN_SECS", PATIENCE_SECS)


class _Switch(Probe):
    """A part that can be turned off, and that loses what it is told to."""

    def __init__(self, part: str = "", region: str | None = None) -> None:
        self.member, self.part, self.region = "store", part, region
        self.writes, self.reads, self.closed = True, True, 0
        self.kept: list[int] = []
        self.lost: set[int] = set()
        self.threads: set[int] = set()

    def write(self, number: int) -> None:
        self.threads.add(threading.get_ident())
        if not self.writes:
            raise ConnectionError("refused")
        self.kept.append(number)

    def read(self) -> None:
        self.threads.add(threading.get_ident())
        if not self.reads:
            raise ConnectionError("refused")

    def missing(self, numbers: Sequence[int]) -> Sequence[int]:
        self.threads.add(threading.get_ident())
        return [each for each in numbers if each in self.lost]

    def close(self) -> None:
        self.closed += 1


class _Copy(_Switch):
    """A part that takes no writes."""

    takes_writes = False

    def write(self, number: int) -> None:
        raise AssertionError("it takes no writes")


@contextmanager
def watched(ticks: Ticks, *probes: Probe) -> Iterator[Watch]:
    watch = Watch(probes, ticks)
    watch.start()
    try:
        yield watch
    finally:
        watch.close()


def observed(watch: Watch, at: float, secs: float, said: Predicted | None = None) -> dict[Part, Measured]:
    parts = dict.fromkeys(watch.parts, said or Predicted(outcome="interrupted", worst_secs=60.0))
    return watch.observe(at, Expectation(failure="", parts=parts), most_secs=secs).parts


def test_clients_see_what_stops_and_what_does_not(ticks: Ticks) -> None:
    hit, spared, copy = _Switch("hit"), _Switch("spared"), _Copy("copy")
    watch = Watch([hit, spared, copy], ticks)
    watch.start()
    watch.prepare()
    at = ticks()
    hit.writes = hit.reads = copy.reads = False
    ticks.later(2.0, lambda: setattr(hit, "writes", True))

    found = observed(watch, at, 3.5)
    watch.close()

    assert {part.part: each.outcome for part, each in found.items()} == {
        "hit": "interrupted", "spared": "holds", "copy": "down",
    }  # fmt: skip
    stopped = found[part_of(hit)].stopped_secs
    assert stopped is not None
    assert 2.0 <= stopped < 3.5
    assert not found[part_of(hit)].readable
    assert found[part_of(copy)].acknowledged == 0


def test_each_client_keeps_to_one_thread_and_is_closed_there_once(ticks: Ticks) -> None:
    one, other = _Switch("one"), _Switch("other")

    with watched(ticks, one, other) as watch:
        watch.prepare()
        observed(watch, 0.0, 0.3)

    assert [len(each.threads) for each in (one, other)] == [1, 1]
    assert one.threads.isdisjoint(other.threads)
    assert [each.closed for each in (one, other)] == [1, 1]
    assert threading.get_ident() not in one.threads | other.threads


def test_what_is_gone_is_counted_once(ticks: Ticks) -> None:
    probe = _Switch()

    with watched(ticks, probe) as watch:
        watch.prepare()
        probe.lost = {1, 2}
        first = observed(watch, 0.0, 0.5)
        second = observed(watch, 0.0, 0.5)

    assert [each[part_of(probe)].lost for each in (first, second)] == [2, 0]


def test_the_time_of_counting_is_no_outage_and_not_of_the_watch(ticks: Ticks) -> None:
    class _Slow(_Switch):
        def missing(self, numbers: Sequence[int]) -> Sequence[int]:
            self.told.append(watch.outages())
            ticks.sleep(2.2)  # longer than what counts as an outage
            self.told.append(watch.outages())
            return ()

        told: list[Sequence[Outage]] = []

    probe = _Slow()

    with watched(ticks, probe) as watch:
        watch.prepare()
        observed = watch.observe(0.0, Expectation(failure="", parts={}), most_secs=0.3)
        watch.prepare()
        outages, ended = watch.outages(), ticks()

    assert (outages, probe.told) == ((), [(), ()])
    assert observed.parts[part_of(probe)].lost == 0
    assert ended - observed.until > 2.0


def test_what_does_not_answer_is_not_asked_what_it_lost(ticks: Ticks) -> None:
    probe = _Switch()

    with watched(ticks, probe) as watch:
        watch.prepare()
        probe.writes, probe.lost = False, {1}
        ticks.sleep(1.5)
        found = observed(watch, 0.2, 0.3)

    assert found[part_of(probe)].lost is None


def test_a_client_is_in_a_hurry_once_a_fault_is_near(ticks: Ticks) -> None:
    begun: list[float] = []

    class _Timed(_Switch):
        def write(self, number: int) -> None:
            begun.append(time.monotonic())

    with watched(ticks, _Timed()) as watch:
        watch.prepare()
        before = len(begun)
        wait_for("ten writes", lambda: len(begun) >= before + 10)

    assert statistics.median(later - each for each, later in pairwise(begun[before:])) < (KEEN_SECS + CALM_SECS) / 2


def test_outages_are_remembered_and_one_that_lasts_has_no_end(ticks: Ticks) -> None:
    probe = _Switch("a", "us")

    with watched(ticks, probe) as watch:
        watch.prepare()
        probe.writes = False
        ticks.sleep(2.2)
        (lasting,) = watch.outages()
        probe.writes = True
        wait_for("its end", lambda: watch.outages()[0].end is not None)
        (over,) = watch.outages()

    assert (lasting.member, lasting.part, lasting.region, lasting.end) == ("store", "a", "us", None)
    assert over.begin == lasting.begin
    assert over.end is not None
    assert over.end - over.begin >= 2.2 - KEEN_SECS


def test_a_machine_without_time_is_noticed_by_what_costs_nothing(ticks: Ticks) -> None:
    probe = _Switch()
    watch = Watch([probe], ticks, beat=lambda: ticks.sleep(0.4))
    watch.start()
    watch.prepare()
    at = ticks()
    probe.writes = False
    ticks.later(1.8, lambda: setattr(probe, "writes", True))

    found = observed(watch, at, 2.5)[part_of(probe)]
    watch.close()

    assert found.stalled_secs > 0.7
    assert judge(Predicted(), found, resolution=watch.resolutions[part_of(probe)]).verdict == "unmeasured"


def test_a_machine_that_has_no_time_yet_is_noticed_at_once(ticks: Ticks) -> None:
    probe, goes_on = _Switch(), threading.Event()

    def beat() -> None:
        goes_on.wait(PATIENCE_SECS)

    watch = Watch([probe], ticks, beat=beat)
    watch.start()
    watch.prepare()
    ticks.sleep(0.5)
    at = ticks()
    probe.writes = False
    ticks.later(1.8, lambda: setattr(probe, "writes", True))

    found = observed(watch, at, 2.5)[part_of(probe)]
    goes_on.set()
    watch.close()

    assert found.stalled_secs > 1.5
    assert judge(Predicted(), found, resolution=watch.resolutions[part_of(probe)]).verdict == "unmeasured"


def test_a_yardstick_answers_at_once_and_hangs_nobody_once_it_is_gone() -> None:
    with contextlib.closing(Network()) as network:
        yardstick = Yardstick(network)
        begun = time.monotonic()
        for _ in range(5):
            yardstick.ask()
        took = time.monotonic() - begun
        yardstick.close()
        yardstick.close()
        yardstick.ask()

    assert took < 5 * ANSWER_SECS


def test_a_part_that_hangs_keeps_nobody_from_ending(ticks: Ticks) -> None:
    class _Hanging(_Switch):
        def write(self, number: int) -> None:
            time.sleep(1.0)
            raise TimeoutError

    hanging, well = _Hanging("hanging"), _Switch("well")

    with watched(ticks, hanging, well) as watch:
        watch.prepare()
        found = observed(watch, 0.0, 1.5)

    assert found[part_of(well)].outcome == "holds"
    assert hanging.closed == 1
