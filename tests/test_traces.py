"""Player traces: what a trace is, what is read from CSV text, and every way in which such text can be wrong."""

import tracemalloc
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aether_deploy.delivery.traces import load_trace, write_result
from aether_deploy.problems import ConfigError, EffectError, Problem
from aether_deploy.simulation.csv_cells import LISTED, MAX_LINE_BYTES
from aether_deploy.simulation.trace_csv import gap_problems, read_trace, trace_lines
from aether_deploy.simulation.traces import MAX_PLAYERS, MAX_SECS, MISSING, Trace

TIMES = st.lists(st.integers(0, 10_000), min_size=1, max_size=30, unique=True).map(sorted)


def samples_of(times: list[int], least: int = 0) -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(least, 5000), min_size=len(times), max_size=len(times))


@st.composite
def traces(draw: st.DrawFn) -> Trace:
    """Return any trace, of all players together or of up to three pods."""
    times = draw(TIMES)
    pods = draw(st.integers(0, 3))
    if not pods:
        return Trace(times=times, players=draw(samples_of(times)))
    return Trace(times=times, pods={f"world-{n}": draw(samples_of(times, MISSING)) for n in range(pods)})


def read(text: str | bytes) -> Trace:
    data = text.encode() if isinstance(text, str) else text
    return read_trace(data.splitlines(keepends=True) if b"\r" not in data else data.split(b"\n"), "t.csv")


def faults(text: str | bytes) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read_trace(iter((text.encode() if isinstance(text, str) else text).splitlines(keepends=True)), "t.csv")
    return str(caught.value).splitlines()


# --- the value


def test_the_last_sample_holds_until_the_next() -> None:
    trace = Trace(times=[10, 40], players=[5, 9])

    assert [trace.players_at(secs) for secs in (10, 39.9, 40, 1000)] == [5, 5, 9, 9]
    with pytest.raises(ValueError, match=r"^9 is before the first sample, at 10$"):
        trace.players_at(9)


def test_players_of_pods_are_their_sum_and_missing_ones_are_none() -> None:
    trace = Trace(times=[0, 15], pods={"a-0": [3, MISSING], "a-1": [4, 6]})

    assert list(trace.players) == [7, 6]
    assert trace.pods_at(20) == {"a-0": None, "a-1": 6}


SECONDS = f"times of a trace are seconds from 0 to {MAX_SECS}"
IMPOSSIBLE = {
    "no sample": ({"times": [], "players": []}, "a trace has one sample or more"),
    "neither players nor pods": ({"times": [0]}, "a trace has players, or pods"),
    "a time twice": ({"times": [0, 0], "players": [1, 1]}, "times of a trace are strictly increasing"),
    "time running backwards": ({"times": [5, 4], "players": [1, 1]}, "times of a trace are strictly increasing"),
    "a time before zero": ({"times": [-1], "players": [1]}, SECONDS),
    "too late a time": ({"times": [MAX_SECS + 1], "players": [1]}, SECONDS),
    "fewer players than times": (
        {"times": [0, 1], "players": [1]}, f"players: one number from 0 to {MAX_PLAYERS} belongs to each time",
    ),
    "fewer players than none": (
        {"times": [0], "players": [-1]}, f"players: one number from 0 to {MAX_PLAYERS} belongs to each time",
    ),
    "a pod that gives less than nothing": (
        {"times": [0], "pods": {"a": [-2]}}, f"a: one number from 0 to {MAX_PLAYERS} belongs to each time",
    ),
    "another sum than that of the pods": (
        {"times": [0], "players": [4], "pods": {"a": [3]}}, "players are not the sum of the pods: leave them out",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", IMPOSSIBLE)
def test_an_impossible_trace_is_refused_on_construction(case: str) -> None:
    given, says = IMPOSSIBLE[case]

    with pytest.raises(ValueError, match=f"^{says}$"):
        Trace(**given)  # type: ignore[arg-type]


@settings(deadline=None)
@given(traces(), st.integers(1, 500))
def test_resampling_shows_what_held_at_each_time(trace: Trace, step: int) -> None:
    resampled = trace.resampled(step)

    assert list(resampled.times) == list(range(trace.start_secs, trace.end_secs + 1, step))
    assert list(zip(resampled.times, resampled.players, strict=True)) == list(trace.synced(step))
    assert all(resampled.players_at(secs) == trace.players_at(secs) for secs in resampled.times)
    assert all(resampled.pods_at(secs) == trace.pods_at(secs) for secs in resampled.times)


@settings(deadline=None)
@given(traces())
def test_resampling_twice_changes_nothing_more(trace: Trace) -> None:
    assert trace.resampled(7).resampled(7) == trace.resampled(7)


def test_a_step_is_one_second_or_more() -> None:
    with pytest.raises(ValueError, match=r"^a step of 0 seconds is less than 1$"):
        list(Trace(times=[0], players=[1]).synced(0))


# --- text that is right


@given(traces())
@example(Trace(times=[0], pods={"world-0": [MISSING], "world-1": [MISSING]}))
def test_a_trace_that_is_written_reads_back_equal(trace: Trace) -> None:
    assert read_trace(trace_lines(trace)) == trace


WRITINGS = {
    "as it should be": b"secs,players\n0,40\n15,260\n",
    "without a last line end": b"secs,players\n0,40\n15,260",
    "with CRLF": b"secs,players\r\n0,40\r\n15,260\r\n",
    "with a byte order mark": b"\xef\xbb\xbfsecs,players\n0,40\n15,260\n",
    "with spaces": b" secs , players \n 0 ,40\n15,  260 \n",
    "with quotes": b'"secs","players"\n"0","40"\n15,"260"\n',
    "with zeros in front": b"secs,players\n000,0000000000000040\n15,00260\n",
    "with blank lines at the end": b"secs,players\n0,40\n15,260\n\n  \n\r\n",
}


@pytest.mark.parametrize("case", WRITINGS)
def test_what_cannot_be_mistaken_is_read(case: str) -> None:
    lines = WRITINGS[case].splitlines(keepends=True)

    assert read_trace(lines) == Trace(times=[0, 15], players=[40, 260])


def test_an_empty_cell_of_a_pod_is_a_missing_sample() -> None:
    trace = read("secs,world-0,world-1\n0,3,4\n15,,6\n30,5, \n45,,\n")

    assert trace == Trace(times=[0, 15, 30, 45], pods={"world-0": [3, -1, 5, -1], "world-1": [4, 6, -1, -1]})


# --- text that is wrong

HEADERS = {
    "": ["t.csv:1:1: $: is empty", "  fix: begin with the line secs,players"],
    "\n0,1\n": ["t.csv:1:1: $: begins with an empty line", "  fix: begin with the line secs,players"],
    "secs,players\n": ["t.csv:1:1: $: has no samples", "  fix: add a line for each time, such as 0,40"],
    "0,40\n15,50\n": ["t.csv:1:1: $: is '0'; has no header", "  fix: begin with the line secs,players"],
    "time,players\n0,1\n": [
        "t.csv:1:1: $: is 'time'; the first column is the time", "  fix: name it secs, and give whole seconds",
    ],
    "secs;players\n0;1\n": ["t.csv:1:1: $: is separated by ';'", "  fix: separate the columns by commas"],
    "secs\tplayers\n0\t1\n": ["t.csv:1:1: $: is separated by '\\t'", "  fix: separate the columns by commas"],
    "secs\n0\n": [
        "t.csv:1:1: $: has no column of players", "  fix: add the column players, or one for each pod",
    ],
    "secs,Players\n0,1\n": ["t.csv:1:6: $: is 'Players'; not the name of a pod", "  fix: did you mean 'players'?"],
    "secs,a,b c,\n0,1,2,3\n": [
        "t.csv:1:8: $: is 'b c'; not the name of a pod",
        "  fix: write the pod's name, such as world-0, or remove the column",
        "t.csv:1:12: $: is ''; not the name of a pod",
        "  fix: write the pod's name, such as world-0, or remove the column",
    ],
    "secs,a,a,players\n0,1,2,3\n": [
        "t.csv:1:8: $: is 'a'; named twice",
        "  fix: remove one of the two columns",
        "t.csv:1:10: $: is 'players'; stands beside pods, whose sum it is",
        "  fix: remove the column, or give secs,players only",
    ],
}  # fmt: skip


@pytest.mark.parametrize("text", HEADERS)
def test_a_wrong_header_is_told(text: str) -> None:
    assert faults(text) == HEADERS[text]


REMOVE = "  fix: remove the line: the value before it then holds"
DIGITS = "  fix: write it in digits only, without signs and separators"
LINES = {
    "5,-5": ["t.csv:3:3: players: is '-5'; less than 0", "  fix: write 0 or more"],
    "-5,5": ["t.csv:3:1: secs: is '-5'; less than 0", "  fix: write 0 or more"],
    "0,5": ["t.csv:3:1: secs: is '0'; the same time as in a line before", "  fix: keep one of the two lines"],
    "5,nan": ["t.csv:3:3: players: is 'nan'; not a number", REMOVE],
    "5,Infinity": ["t.csv:3:3: players: is 'Infinity'; not a number", REMOVE],
    "5,": ["t.csv:3:3: players: has no value", REMOVE],
    ",5": ["t.csv:3:1: secs: has no value", "  fix: give the time in whole seconds"],
    "5,1.6": ["t.csv:3:3: players: is '1.6'; not written as a whole number", "  fix: write 2"],
    "5,1e3": ["t.csv:3:3: players: is '1e3'; not written as a whole number", "  fix: write 1000"],
    "5,1e999": ["t.csv:3:3: players: is '1e999'; not written as a whole number", "  fix: write 1000000000"],
    "5,+7": ["t.csv:3:3: players: is '+7'; not written as a whole number", "  fix: write 7"],
    "5,1_000": ["t.csv:3:3: players: is '1_000'; not a whole number", DIGITS],
    "5,٣": ["t.csv:3:3: players: is '٣'; not a whole number", DIGITS],
    "5,0x10": ["t.csv:3:3: players: is '0x10'; not a whole number", DIGITS],
    "5,1000000001": ["t.csv:3:3: players: is '1000000001'; more than 1000000000", "  fix: correct the number"],
    "1764000000000,5": [
        "t.csv:3:1: secs: is '1764000000000'; more than 253402300799", "  fix: give seconds, not milliseconds",
    ],
    "1764000000,5": [
        "t.csv:3:1: secs: is '1764000000'; more than ten years after the first sample", "  fix: correct the time",
    ],
    "5,6,7": ["t.csv:3:5: $: has 3 columns, where the header has 2", "  fix: remove what is too much"],
    "5": [
        "t.csv:3:1: $: has 1 column, where the header has 2", "  fix: add what is missing; a comma stands between two",
    ],
    '5,"6': [
        "t.csv:3:3: $: is '\"6'; has a quote that is not closed",
        "  fix: close it, or write the number without quotes",
    ],
    '5,"6"7': ["t.csv:3:3: players: is '\"6\"7'; not a whole number", DIGITS],
    "é,5": ["t.csv:3:1: secs: is 'é'; not a whole number", DIGITS],
}  # fmt: skip


@pytest.mark.parametrize("line", LINES)
def test_a_wrong_line_is_told_with_its_place(line: str) -> None:
    assert faults(f"secs,players\n0,1\n{line}\n900,4\n") == LINES[line]


def test_a_number_of_any_length_is_too_large() -> None:
    assert faults(f"secs,players\n0,{'9' * 9000}\n")[0] == (
        f"t.csv:2:3: players: is '{'9' * 57}...'; more than 1000000000"
    )


def test_time_that_runs_backwards_is_told() -> None:
    assert faults("secs,players\n30,1\n15,2\n") == [
        "t.csv:3:1: secs: is '15'; earlier than 30, a line before",
        "  fix: sort the lines by time",
    ]


def test_blank_lines_between_samples_are_one_problem() -> None:
    assert faults("secs,players\n0,1\n\n\n15,2\n") == [
        "t.csv:3:1: $: is an empty line between samples",
        "  fix: remove it",
    ]


def test_of_pods_an_empty_cell_is_the_way_out() -> None:
    assert faults("secs,world-0\n0,NaN\n") == [
        "t.csv:2:3: world-0: is 'NaN'; not a number",
        "  fix: leave the cell empty",
    ]


NO_TEXT = {
    b"secs,players\n0,1\n5,\xff\n": "t.csv:3:3: $: holds the byte 0xFF, not UTF-8",
    b"secs,players\n\xc3\xa9,\0\n": "t.csv:2:3: $: holds the byte 0x00, not text",
    "secs,players\n0,1\n".encode("utf-16"): "t.csv:1:1: $: is UTF-16, not UTF-8 text",
    b"\x1f\x8b\x08\x00": "t.csv:1:1: $: is gzip, not UTF-8 text",
    b"PK\x03\x04\x00": "t.csv:1:1: $: is a spreadsheet or archive, not UTF-8 text",
}


@pytest.mark.parametrize("data", NO_TEXT)
def test_what_is_no_text_is_told_once(data: bytes) -> None:
    assert faults(data) == [NO_TEXT[data], "  fix: save it as CSV text in UTF-8"]


def test_lines_of_an_old_mac_are_told() -> None:
    with pytest.raises(ConfigError, match="has lines that end in a carriage return alone"):
        read_trace([b"secs,players\r0,1\r"])


def test_an_endless_line_is_not_read_to_its_end() -> None:
    def endless() -> Iterator[bytes]:
        yield b"s" * (MAX_LINE_BYTES + 1)
        raise AssertionError("read on")

    with pytest.raises(ConfigError, match=f"has a line of more than {MAX_LINE_BYTES} bytes"):
        read_trace(endless())


def test_all_problems_come_at_once_and_of_many_the_first() -> None:
    lines = ["secs,players\n", *(f"{n * 15},-1\n" for n in range(50))]

    with pytest.raises(ConfigError) as caught:
        read_trace(lines, "t.csv")
    *first, rest = caught.value.problems
    assert [problem.line for problem in first] == list(range(2, LISTED + 2))
    assert str(rest) == "t.csv: $: has 30 more problems below line 21\n  fix: mend those above, then run again"


@given(st.binary(max_size=200) | st.text("secs,players0-9.\n\"'", max_size=200).map(str.encode))
@example(b"secs,players\n0,1\n,\n")
@example(b'secs,players\n"')
@example(b"secs,a,\n")
def test_any_bytes_are_a_trace_or_problems(data: bytes) -> None:
    problems: list[Problem] = []
    trace = None
    try:
        trace = read_trace(data.splitlines(keepends=True), "t.csv")
    except ConfigError as error:
        problems += error.problems

    assert (trace is None) is bool(problems)
    assert all(problem.file == "t.csv" and problem.fix for problem in problems)


# --- gaps


def test_a_gap_is_a_warning_at_the_line_that_ends_it() -> None:
    usual = [secs * 15 for secs in range(20)]
    trace = Trace(times=[*usual, 285 + 150, 435 + 151, 601], players=[1] * 23)

    assert [str(problem) for problem in gap_problems(trace, "t.csv")] == [
        "t.csv:23:1: secs: warning: is 586; 151 s after the line before, where 15 s are usual; the last value holds\n"
        "  fix: add the samples that are missing; leave it if nothing changed meanwhile"
    ]


def test_of_many_gaps_the_first_are_told() -> None:
    times = [*range(0, 10_000, 10), *range(20_000, 60_000, 1000)]

    *first, rest = gap_problems(Trace(times=times, players=[1] * len(times)), "t.csv")
    assert len(first) == LISTED
    assert str(rest) == ("t.csv: $: warning: has 20 more gaps below line 1021\n  fix: mend those above, then run again")


@pytest.mark.parametrize("times", [range(0, 360_000, 3600), [7], [0, 15, 5000], [0, *range(9000, 9014)]])
def test_even_steps_and_few_samples_have_no_gap(times: Sequence[int]) -> None:
    assert list(Trace(times=times, players=[1] * len(times)).gaps()) == []


# --- the disk


def test_a_file_is_read_line_by_line_in_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    with path.open("w") as file:
        file.writelines(chain(["secs,players\n"], (f"{n * 15},{n % 997}\n" for n in range(50_000))))

    tracemalloc.start()
    trace = load_trace(str(path))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert len(trace) == 50_000
    assert peak < 24 * 50_000  # 16 bytes a sample, and what growing arrays leave behind


@pytest.mark.parametrize(
    ("name", "reason"),
    [("gone.csv", "No such file or directory"), (".", "Is a directory"), ("a\0b", "embedded null byte")],
)
def test_a_file_that_cannot_be_read_is_the_users_input(name: str, reason: str, tmp_path: Path) -> None:
    path = str(tmp_path / name) if name != "a\0b" else name

    with pytest.raises(ConfigError) as caught:
        load_trace(path)
    assert caught.value.problems[0].message == f"cannot be read: {reason}"


def test_a_result_replaces_its_file_in_one_step(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    path.write_text("old")
    path.chmod(0o640)

    def breaks() -> Iterator[bytes]:
        yield b"new"
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_result(str(path), breaks())
    assert (path.read_text(), [each.name for each in tmp_path.iterdir()]) == ("old", ["out.csv"])

    write_result(str(path), [b"new"])
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("new", 0o640)


def test_a_result_is_written_where_a_link_leads(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "real")

    write_result(str(tmp_path / "link"), [b"text"])
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "text"


def test_a_result_that_cannot_be_written_is_a_refusal(tmp_path: Path) -> None:
    with pytest.raises(EffectError) as caught:
        write_result(f"{tmp_path}/gone/out.csv", [b"text"])
    assert str(caught.value) == (
        f"{tmp_path}/gone/out.csv: cannot be written: No such file or directory\n"
        "  fix: name a file in a folder that is there and can be written"
    )


@pytest.mark.parametrize("first", ["0.0", "2026-01-01T00:00:00Z", "soon"])
def test_a_time_that_cannot_be_read_is_one_fault(first: str) -> None:
    with pytest.raises(ConfigError) as raised:
        read_trace(["secs,players", f"{first},10", "15,20"], "trace.csv")

    assert [problem.line for problem in raised.value.problems] == [2]
