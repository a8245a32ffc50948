"""The decision log: what it holds decides everything again, on a full disk, after a kill, and over many files."""

import errno
import json
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from aether_deploy import EffectError
from aether_deploy.problems import DecisionError, Problem
from aether_deploy.routing.decision.deciding import decide_route
from aether_deploy.routing.decision_log import (
    CutOff,
    Entry,
    LoggedAnswer,
    LoggedConfig,
    LoggedLoss,
    LoggedRoute,
    LoggedView,
    config_line,
    loss_line,
    outcome_of,
    read_decisions,
    route_line,
    view_line,
)
from aether_deploy.routing.request import Measurement, PartyMember, RouteRequest
from aether_deploy.routing.router_config import RouterConfig
from aether_deploy.routing.view import Position, RegionView, RoutingView
from aether_deploy.service.router import deciding_log, journal, writing
from aether_deploy.service.router.deciding_log import DecisionLog
from aether_deploy.service.router.writing import LineWriter, RotatedFile, Sheet
from tests.router_cases import FULL_POLICY, Bench, config_values

EAST, WEST, SOUTH = "us-east-1", "eu-west-1", "ap-south-1"
CONFIG = RouterConfig.from_values(config_values(**FULL_POLICY))
VIEW = RoutingView(
    regions=(
        RegionView(code=EAST, latency_ms=5.5, position=Position(38.95, -77.45), ramp=0.3, healthy_secs=18.0),
        RegionView(code=WEST, health="unhealthy", healthy_secs=0.0, suppressed=True, builds=frozenset({"2", "1"})),
        RegionView(code=SOUTH, load=0.1 + 0.2, load_stale=True, drain="soft", drain_share=0.25),
    ),
    matrix={EAST: {WEST: 76.0}, WEST: {EAST: 76.0}},
    epoch=41,
    stale=True,
)
REQUEST = RouteRequest(
    player="anna",
    preferred=EAST,
    position=Position(1.25, -2.5),
    measured={WEST: Measurement(rtt_ms=20.5, samples=9)},
    party=(PartyMember(preferred=WEST, measured={EAST: Measurement(rtt_ms=1e-3)}),),
    waited_secs=3.25,
)
ANSWER = LoggedAnswer(
    decision="failover", region=EAST, reason="preferred_unknown", alternates=(SOUTH,), relaxed=("ramp",)
)


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what is closed be written, however long that takes here."""
    monkeypatch.setattr(deciding_log, "CLOSE_SECS", 90.0)
    monkeypatch.setattr(journal, "CLOSE_SECS", 90.0)


def read(content: bytes, faults: list[Problem] | None = None) -> list[Entry]:
    found: list[Problem] = []
    entries = list(read_decisions(content.splitlines(keepends=True), found, file="log"))
    if faults is None:
        assert found == []
    else:
        faults += found
    return entries


def replayed(entries: list[Entry]) -> list[LoggedAnswer]:
    """Decide everything in a log again."""
    told: list[LoggedAnswer] = []
    config, view = CONFIG, VIEW
    for entry in entries:
        match entry:
            case LoggedConfig():
                config = entry.config
            case LoggedView():
                view = entry.view
            case LoggedRoute():
                try:
                    told.append(LoggedAnswer.of(decide_route(config, view, entry.request)))
                except DecisionError as error:
                    told.append(LoggedAnswer(decision="error", reason=outcome_of(error)))
    return told


def answers(entries: list[Entry]) -> list[LoggedAnswer]:
    return [entry.answer for entry in entries if isinstance(entry, LoggedRoute)]


# --- the format


def test_what_is_written_is_read_as_it_was() -> None:
    content = config_line(CONFIG, at=1.5) + view_line(VIEW, at=2) + route_line(REQUEST, ANSWER, at=3, count=7)

    assert read(content + loss_line(4, at=5)) == [
        LoggedConfig(line=1, at=1.5, config=CONFIG),
        LoggedView(line=2, at=2.0, view=VIEW),
        LoggedRoute(line=3, at=3.0, request=REQUEST, answer=ANSWER, count=7),
        LoggedLoss(line=4, at=5.0, decisions=4),
    ]


def test_each_line_is_one_json_object_without_what_goes_without_saying() -> None:
    view = RoutingView(regions=(RegionView(code=EAST),), epoch=1)
    line = view_line(view, at=1.5) + route_line(RouteRequest(preferred=EAST), LoggedAnswer(decision="primary"), at=2)

    assert line == (
        b'{"kind":"view","t":1.5,"view":{"regions":[{"code":"us-east-1"}],"epoch":1}}\n'
        b'{"kind":"route","t":2,"request":{"preferred":"us-east-1"},"answer":{"decision":"primary"}}\n'
    )


def test_a_line_without_an_end_is_told_and_not_used() -> None:
    whole = config_line(CONFIG, at=1) + view_line(VIEW, at=2)
    last = route_line(REQUEST, ANSWER, at=3)

    for length in range(1, len(last)):
        assert read(whole + last[:length])[2:] == [CutOff(line=3)]


def test_every_line_that_makes_no_sense_is_told_with_its_number_and_the_others_are_read() -> None:
    garbage = [b"\x00\xff\n", b"{}\n", b'{"kind":"rout"}\n', b'{"kind":"route","t":1}\n', b"[]\n", b"\n"]
    faults: list[Problem] = []
    routes = b"".join(route_line(REQUEST, ANSWER, at=3) + each for each in [b'{"kind":"route",\n', b""])

    entries = read(config_line(CONFIG, at=1) + view_line(VIEW, at=2) + routes, faults)
    none = read(b"".join(garbage), faults)

    assert [entry.line for entry in entries] == [1, 2, 3, 5]
    assert none == []
    assert [fault.line for fault in faults] == [4, 1, 2, 3, 4, 5, 6]
    assert {fault.file for fault in faults} == {"log"}


def test_nothing_is_read_as_decided_from_a_view_that_could_not_be_read() -> None:
    faults: list[Problem] = []
    route = route_line(REQUEST, ANSWER, at=3)
    spoiled = view_line(VIEW, at=2).replace(b'"epoch":41', b'"epoch":"x"')
    content = (
        config_line(CONFIG, at=1) + view_line(VIEW, at=2) + route + spoiled + route + view_line(VIEW, at=4) + route
    )

    entries = read(content, faults)

    assert [entry.line for entry in entries] == [1, 2, 3, 6, 7]
    assert [fault.line for fault in faults] == [4]


def test_a_log_that_begins_in_the_middle_is_a_fault() -> None:
    faults: list[Problem] = []

    assert read(route_line(REQUEST, ANSWER, at=3) * 2, faults) == []
    assert [str(fault) for fault in faults] == [
        "log:1: $: comes before what it was decided from: a config, then a view\n"
        "  fix: remove the line, if something else than the router wrote it"
    ]


def test_another_format_and_a_faulty_configuration_are_told() -> None:
    faults: list[Problem] = []
    line = config_line(CONFIG, at=1)

    read(line.replace(b'"format":1', b'"format":2'), faults)
    read(line.replace(b'"max_ms":180', b'"max_ms":0'), faults)

    assert "is of format 2; this version reads format 1" in faults[0].reason
    assert "$.latency.max_ms: is 0; less than 1" in faults[1].reason


# --- a router that runs


def busy(bench: Bench) -> None:
    """Let much happen: every rule, errors, orders and another configuration."""
    bench.ask(f"/v1/route?preferred={EAST}")
    bench.probe("ready")
    for number in range(60):
        bench.now += 1
        bench.wall += 1
        if number == 10:
            bench.probe("not_ready", EAST).probe("ready", EAST, times=2)
        if number == 20:
            bench.order("PUT", f"/v1/regions/{WEST}/load", {"players": 88, "capacity": 100})
        if number == 30:
            bench.order("POST", f"/v1/regions/{SOUTH}/drain", {"bleed_secs": 20})
        if number == 40:
            bench.reload(config_values(on_unknown="error", load={}))
        for code in (EAST, WEST, SOUTH, "mars-1"):
            bench.ask(f"/v1/route?preferred={code}&player=p{number}&lat={number}&lon=7.125")
            if (target := f"/v1/route?preferred={code}".encode()) in bench.application.ready:
                bench.application.counted(target)
        bench.ask("/v1/route", {"measured": {WEST: {"rtt_ms": 20 + number / 7}}, "party": [{"preferred": EAST}]})
        bench.live.tick()
    bench.probe("not_ready")
    bench.ask(f"/v1/route?preferred={EAST}")


def test_everything_that_a_router_decided_is_decided_again_from_its_log(tmp_path: Path) -> None:
    bench = Bench(log=tmp_path / "log", **FULL_POLICY)
    busy(bench)
    assert bench.log is not None
    bench.log.close()

    entries = read((tmp_path / "log").read_bytes())
    told = answers(entries)

    assert replayed(entries) == told
    assert {each.decision for each in told} == {"primary", "failover", "error"}
    assert {each.reason for each in told if each.decision == "error"} == {"no_healthy_region", "unknown_region"}
    assert sum(entry.count for entry in entries if isinstance(entry, LoggedRoute)) == sum(
        bench.live.counts.decisions.values()
    )
    assert bench.log.dropped == 0


def test_every_file_of_a_log_is_complete_by_itself(tmp_path: Path) -> None:
    bench = Bench(**FULL_POLICY)
    log = DecisionLog(tmp_path / "log", wall=lambda: bench.wall, bytes_max=3000)
    log.told(bench.live.config, bench.live.view)
    bench.live._decisions = log
    busy(bench)
    _wait_for(lambda: log._writer._bytes == 0)
    bench.ask(f"/v1/route?preferred={EAST}")
    log.close()

    files = sorted(tmp_path.iterdir())
    entries = [read(file.read_bytes()) for file in files]

    assert [file.name for file in files][:2] == ["log", "log.1"]
    assert len(files) <= 5  # a file is full once a batch has filled it, and how much is in one is chance
    for each in entries:
        assert isinstance(each[0], LoggedConfig)
        assert replayed(each) == answers(each)


@pytest.mark.parametrize("cut_off", [b"", b"{", b'{"kind":"rou', b'{"kind":"' + b"x" * (3 << 20)])
def test_a_log_of_an_earlier_life_is_gone_on_with_without_the_line_that_was_cut_off(
    cut_off: bytes, tmp_path: Path
) -> None:
    earlier = config_line(CONFIG, at=1) + view_line(VIEW, at=1) + route_line(REQUEST, ANSWER, at=1)
    (tmp_path / "log").write_bytes(earlier + cut_off)

    for life in range(6):
        log = DecisionLog(tmp_path / "log", wall=lambda: 5.0)
        log.told(CONFIG, VIEW)
        log.decided(REQUEST, ANSWER, count=life + 1)
        log.close()
    entries = read((tmp_path / "log").read_bytes())

    assert [path.name for path in tmp_path.iterdir()] == ["log"]
    assert (tmp_path / "log").read_bytes().startswith(earlier)
    assert [type(entry) for entry in entries] == [LoggedConfig, LoggedView, LoggedRoute] * 7
    assert [entry.count for entry in entries if isinstance(entry, LoggedRoute)] == [1, 1, 2, 3, 4, 5, 6]


def test_a_log_of_which_only_half_a_line_is_there_begins_anew(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b'{"kind"')

    log = DecisionLog(tmp_path / "log", wall=lambda: 5.0)
    log.told(CONFIG, VIEW)
    log.close()

    assert [type(entry) for entry in read((tmp_path / "log").read_bytes())] == [LoggedConfig, LoggedView]


def test_a_new_log_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    DecisionLog(tmp_path / "log", wall=lambda: 5.0).close()

    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o600


def test_a_log_that_somebody_writes_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    log = DecisionLog(tmp_path / "log", wall=lambda: 5.0)
    log.told(CONFIG, VIEW)
    _wait_for(lambda: log._writer._bytes == 0 and (tmp_path / "log").read_bytes().count(b"\n") == 2)

    with pytest.raises(EffectError, match="log: is written by another process\n  fix: choose another file, or end"):
        DecisionLog(tmp_path / "log", wall=lambda: 6.0)

    log.close()
    DecisionLog(tmp_path / "log", wall=lambda: 7.0).close()
    assert [type(entry) for entry in read((tmp_path / "log").read_bytes())] == [LoggedConfig, LoggedView]


def test_a_file_that_is_no_decision_log_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "keys.pem").write_bytes(b"-----BEGIN PRIVATE KEY-----\nhalf")

    with pytest.raises(EffectError, match=r"keys\.pem: holds something else than these lines\n  fix: choose another"):
        DecisionLog(tmp_path / "keys.pem", wall=lambda: 5.0)

    assert (tmp_path / "keys.pem").read_bytes() == b"-----BEGIN PRIVATE KEY-----\nhalf"


def test_a_full_log_whose_successor_cannot_be_opened_goes_on_when_it_can(tmp_path: Path) -> None:
    file = RotatedFile(tmp_path / "log", bytes_max=4)
    file.append(b"one\n")
    (tmp_path / "log").rename(tmp_path / "taken")
    other = RotatedFile(tmp_path / "log")  # somebody who took the name between two files

    with pytest.raises(BlockingIOError):
        file.append(b"two\n")
    other.close()
    file.append(b"three\n")
    file.append(b"four\n")
    file.close()

    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        "taken": b"one\n",
        "log.1": b"three\n",
        "log": b"four\n",
    }


def test_a_log_that_cannot_be_written_is_refused_at_the_begin(tmp_path: Path) -> None:
    with pytest.raises(EffectError, match="nowhere/log: cannot be written: No such file or directory\n  fix: "):
        DecisionLog(tmp_path / "nowhere/log", wall=lambda: 1.0)


# --- files that are slow or full


class Gate(Sheet):
    """A file that takes nothing until the test lets it."""

    def __init__(self) -> None:
        self.reached, self.open = threading.Event(), threading.Event()
        self.lines: list[bytes] = []

    def append(self, lines: bytes) -> None:
        self.reached.set()
        assert self.open.wait(90)
        self.lines.append(lines)


def test_a_slow_disk_holds_up_nobody_and_what_is_left_out_is_counted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    gate = Gate()
    monkeypatch.setattr("aether_deploy.service.router.deciding_log._SelfContained", lambda path, bytes_max: gate)
    log = DecisionLog(tmp_path / "log", wall=lambda: 5.0, waiting_bytes_max=8000)
    log.told(CONFIG, VIEW)
    assert gate.reached.wait(90)  # from now on its thread waits there, with all of what it was told or a part
    for number in range(1000):
        if number == 900:
            log.knows(VIEW)
        log.decided(REQUEST, ANSWER, count=2)
    dropped = log.dropped
    gate.open.set()
    _wait_for(lambda: log._writer._bytes == 0)
    log.decided(REQUEST, ANSWER, count=2)
    log.close()

    entries = read(b"".join(gate.lines))
    routes = sum(entry.count for entry in entries if isinstance(entry, LoggedRoute))
    lost = sum(entry.decisions for entry in entries if isinstance(entry, LoggedLoss))

    assert 0 < dropped < 2000
    assert (routes + lost, lost) == (2002, dropped)
    assert [type(entry) for entry in entries[-3:]] == [LoggedLoss, LoggedView, LoggedRoute]


def test_a_full_disk_leaves_no_half_line_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = writing._write_whole

    def half(number: int, lines: bytes) -> None:
        os.write(number, lines[: len(lines) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    writer = LineWriter(RotatedFile(tmp_path / "file"), name="test")
    writer.put(b"one\n")
    _wait_for(lambda: (tmp_path / "file").read_bytes() == b"one\n")
    monkeypatch.setattr(writing, "_write_whole", half)
    writer.put(b"two\n", 7)
    _wait_for(lambda: writer.lost == 7)
    failure = writer.failure
    monkeypatch.setattr(writing, "_write_whole", whole)
    writer.put(b"three\n")

    assert writer.close(within_secs=90)
    assert failure == "No space left on device"
    assert (tmp_path / "file").read_bytes() == b"one\nthree\n"


def test_a_device_that_is_always_full_costs_nobody_an_answer() -> None:
    bench = Bench(**FULL_POLICY)
    log = DecisionLog(Path("/dev/full"), wall=lambda: 1.0)
    bench.live._decisions = log
    log.told(bench.live.config, bench.live.view)
    bench.probe("ready")

    assert bench.ask(f"/v1/route?preferred={EAST}").status == 200
    _wait_for(lambda: log.failure is not None)
    bench.ask(f"/v1/route?preferred={EAST}")
    _wait_for(lambda: _asked_again(bench, log))
    for _ in range(3):
        bench.live.tick()
    bench.journal.close()
    said = b'"level":"error","event":"decision_log","takes":false,"failure":"No space left on device"'
    assert bench.said.lines.count(b'"event":"decision_log"') == bench.said.lines.count(said) == 1


def _asked_again(bench: Bench, log: DecisionLog) -> bool:
    bench.ask(f"/v1/route?preferred={EAST}")
    return log.dropped > 0 and log.failure == "No space left on device"


def test_what_was_lost_with_the_disk_is_written_before_decisions_go_on(tmp_path: Path) -> None:
    log = DecisionLog(tmp_path / "log", wall=lambda: 5.0)
    sheet: Any = log._writer._sheet
    real = sheet._put

    def refuse(lines: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    log.told(CONFIG, RoutingView(regions=VIEW.regions, epoch=1))
    log.decided(REQUEST, ANSWER)
    _wait_for(lambda: log._writer._bytes == 0 and (tmp_path / "log").read_bytes().count(b"\n") == 3)
    sheet._put = refuse
    log.knows(VIEW)
    log.decided(REQUEST, ANSWER)
    _wait_for(lambda: log._writer.lost == 1)
    sheet._put = real
    log.decided(REQUEST, ANSWER)
    log.close()

    entries = read((tmp_path / "log").read_bytes())
    assert [type(each) for each in entries] == [
        *(LoggedConfig, LoggedView, LoggedRoute),
        *(LoggedConfig, LoggedView, LoggedLoss, LoggedRoute),
    ]
    assert [each.view.epoch for each in entries if isinstance(each, LoggedView)] == [1, 41]


def test_the_log_is_plain_json_for_other_tools() -> None:
    content = config_line(CONFIG, at=1) + view_line(VIEW, at=2) + route_line(REQUEST, ANSWER, at=3)

    assert [json.loads(line)["kind"] for line in content.splitlines()] == ["config", "view", "route"]


def _wait_for(what: Any) -> None:
    deadline = time.monotonic() + 90
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.005)
