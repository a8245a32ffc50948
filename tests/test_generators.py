"""Generated traces: the same everywhere, and each with the shape that its name says."""

from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aether_deploy.problems import ConfigError
from aether_deploy.simulation.generators import DAY, HOUR, KINDS, generate_samples, generate_trace
from aether_deploy.simulation.trace_csv import trace_lines
from aether_deploy.simulation.traces import Trace

every_kind = pytest.mark.parametrize("kind", KINDS)

# Equal on every Python and machine; a change here is a change of what users get for a seed.
HASHES = {
    "day-curve": "86ca006d69baadf7ef512e03fcd7121e31eee9fd89ceaf6991bf4ebc0ca645ff",
    "launch-day": "39abf695d543a8649470374cee682d92796d77c7447f9bbef1e4910c587fd8a2",
    "event-spike": "0254e77ce18bae7d66392fa11f87438bccae0f3cb6e76971577e5de25637ce78",
    "outage-spill": "1a27365bc22cfa5a475c6324a0c5824f30c9fae4137e2124c1099ce14e1ff293",
    "slow-decay": "792f9fd0c2c9c6d8284ea5554a3885670961cdd3a3a3b6ee5a165e04785a9b46",
}


def most(trace: Trace, begin: int, end: int) -> int:
    """Return the most players between two times."""
    return max(players for secs, players in zip(trace.times, trace.players, strict=True) if begin <= secs < end)


@every_kind
def test_equal_seeds_give_equal_bytes_on_every_machine(kind: str) -> None:
    text = "".join(trace_lines(generate_trace(kind, seed=7, step_secs=60)))

    assert sha256(text.encode()).hexdigest() == HASHES[kind]


@every_kind
def test_other_seeds_give_other_traces(kind: str) -> None:
    assert generate_trace(kind, seed=1, step_secs=300) != generate_trace(kind, seed=2, step_secs=300)


@settings(max_examples=25)
@given(
    st.sampled_from(sorted(KINDS)),
    st.integers(0, 2**64),
    st.integers(1, 5),
    st.integers(1, 1_000_000_000),
    st.integers(60, DAY),
    st.integers(0, 23),
)
def test_a_trace_is_as_long_and_as_high_as_it_is_asked_for(
    kind: str, seed: int, days: int, peak: int, step: int, hour: int
) -> None:
    trace = generate_trace(kind, seed=seed, days=days, peak=peak, step_secs=step, peak_hour=hour)

    assert list(trace.times) == list(range(0, days * DAY + 1, step))
    assert trace.peak_players <= peak


@every_kind
@pytest.mark.parametrize("seed", range(5))
def test_the_busiest_moment_comes_near_the_peak(kind: str, seed: int) -> None:
    assert generate_trace(kind, seed=seed, peak=1000, step_secs=60).peak_players > 850


@pytest.mark.parametrize("hour", [0, 9, 20])
def test_a_day_is_busiest_at_its_peak_hour(hour: int) -> None:
    trace = generate_trace("day-curve", days=4, step_secs=300, peak_hour=hour)
    day = [trace.players_at(2 * DAY + at * HOUR) for at in range(24)]

    assert abs(day.index(max(day)) - hour) in (0, 1, 23)
    assert min(day) < max(day) / 3


def test_weekends_are_busier_than_workdays() -> None:
    trace = generate_trace("day-curve", step_secs=300)

    assert most(trace, 5 * DAY, 7 * DAY) > most(trace, 0, 5 * DAY)


def test_a_launch_is_a_rush_after_silence() -> None:
    trace = generate_trace("launch-day", step_secs=60)

    assert most(trace, 0, 12 * HOUR) < 20
    assert trace.players_at(13 * HOUR) > 500
    assert trace.players_at(2 * DAY + 20 * HOUR) < trace.players_at(20 * HOUR) / 2


@pytest.mark.parametrize("seed", range(5))
def test_an_event_doubles_the_players_within_minutes(seed: int) -> None:
    trace = generate_trace("event-spike", seed=seed, step_secs=60)
    rise = max(trace.players_at(secs + 600) - trace.players_at(secs) for secs in range(DAY, 2 * DAY, 60))

    assert rise > 450
    assert most(trace, 0, DAY) < 500


@pytest.mark.parametrize("seed", range(5))
def test_an_outage_elsewhere_brings_its_players_at_once_and_once(seed: int) -> None:
    trace = generate_trace("outage-spill", seed=seed, step_secs=15)
    rise = max(trace.players_at(secs + 120) - trace.players_at(secs) for secs in range(DAY, 2 * DAY - 120, 15))

    assert rise > 400
    assert most(trace, 0, DAY) < 600
    assert trace.players_at(2 * DAY) < 600


def test_a_decay_loses_players_week_by_week() -> None:
    trace = generate_trace("slow-decay", step_secs=300)
    weeks = [most(trace, week * 7 * DAY, (week + 1) * 7 * DAY) for week in range(4)]

    assert weeks == sorted(weeks, reverse=True)
    assert weeks[3] < weeks[0] * 3 / 4


def test_all_that_does_not_fit_is_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        generate_samples("day-kurve", days=0, peak=0, step_secs=0, peak_hour=24)
    assert str(caught.value).splitlines() == [
        "kind: is 'day-kurve'; no kind of trace has that name",
        "  fix: did you mean 'day-curve'?",
        "days: is 0; less than 1",
        "  fix: set it to 1 to 366",
        "peak: is 0; less than 1",
        "  fix: set it to 1 to 1000000000",
        "step_secs: is 0; less than 1",
        "  fix: set it to 1 to 86400",
        "peak_hour: is 24; more than 23",
        "  fix: set it to 0 to 23",
    ]


def test_more_samples_than_a_year_of_seconds_are_refused() -> None:
    with pytest.raises(ConfigError, match="makes more than 31622400 samples"):
        generate_samples("day-curve", days=366, step_secs=1)
