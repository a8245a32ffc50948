"""The router as a process, among regions that really answer, fall silent and come back, and on its bad days."""

import fcntl
import gc
import json
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from aether_deploy.cli.main import run
from aether_deploy.problems import ConfigError
from aether_deploy.routing.decision_log import CutOff, LoggedConfig, LoggedRoute, read_decisions
from aether_deploy.routing.router_config import RouterConfig
from aether_deploy.service.router.bundle import verify_bundle
from aether_deploy.service.router.live import LiveRouter
from aether_deploy.service.router.serving import Settings, Told, checked
from tests.cli_cases import ended, program
from tests.router_cases import (
    FULL_POLICY,
    IMPATIENT,
    PATIENCE_SECS,
    REGIONS,
    TOKEN,
    FakeRegion,
    RouterProcess,
    config_values,
    dead_port,
    fake_regions,
    healths,
    new_keys,
    region_for,
    serve,
    until,
    write,
)

EAST, WEST, SOUTH = "us-east-1", "eu-west-1", "ap-south-1"
PIPE_BYTES = 4096
LINE_BYTES_MIN = 100


@pytest.fixture
def regions() -> Iterator[dict[str, FakeRegion]]:
    with fake_regions() as regions:
        yield regions


# --- players follow regions


def test_players_leave_a_region_that_fails_and_return_when_it_is_back(
    tmp_path: Path, regions: dict[str, FakeRegion]
) -> None:
    with serve(tmp_path, write(tmp_path, regions, **IMPATIENT)) as router:
        until(lambda: region_for(router, EAST) == EAST)
        regions[EAST].status = 503
        until(lambda: region_for(router, EAST) == WEST)
        regions[WEST].status = None
        until(lambda: region_for(router, EAST) == SOUTH)
        regions[EAST].status = 200
        until(lambda: region_for(router, EAST) == EAST)
        until(lambda: healths(router) == {EAST: "healthy", WEST: "unhealthy", SOUTH: "healthy"})
        code = router.end()

    assert code == 0


def test_the_bundle_of_a_router_outlives_it(tmp_path: Path, regions: dict[str, FakeRegion]) -> None:
    (tmp_path / "keys.pem").write_bytes(new_keys()[0])
    with serve(tmp_path, write(tmp_path, regions), "--signing-key-file", "keys.pem") as router:
        router.until("/readyz", 200)
        bundle = router.ask("GET", f"/v1/route?preferred={WEST}").json["bundle"]
        keys = router.ask("GET", "/v1/keys").json["keys"]
        router.end(signal.SIGKILL)

    assert [each.region for each in verify_bundle(bundle, keys, time.time()).regions] == [WEST, EAST, SOUTH]


def test_a_slow_region_slows_neither_the_others_nor_answers(tmp_path: Path, regions: dict[str, FakeRegion]) -> None:
    regions[SOUTH].status = None
    with serve(tmp_path, write(tmp_path, regions, health={"interval_ms": 100, "timeout_ms": 120_000})) as router:
        until(lambda: len(regions[EAST].asked) > 20)
        answers = [region_for(router, code) for code in (EAST, WEST, SOUTH)]

    assert answers == [EAST, WEST, WEST]
    assert len(regions[SOUTH].asked) == 1


@pytest.mark.parametrize("told_by", ["an option", "the configuration"])
def test_a_router_that_sees_nothing_at_all_keeps_what_it_knew(
    told_by: str, tmp_path: Path, regions: dict[str, FakeRegion]
) -> None:
    outside = FakeRegion()
    url = outside.url.replace("127.0.0.1", "localhost")  # another host than those of the regions
    options = ["--self-check", url] if told_by == "an option" else []
    policy = IMPATIENT if options else {**IMPATIENT, "self_check": url}
    with serve(tmp_path, write(tmp_path, regions, **policy), *options) as router:
        until(lambda: set(healths(router).values()) == {"healthy"})
        router.heard("self_check", answers=True, url=url)
        for each in (outside, *regions.values()):
            each.status = None
        until(lambda: router.ask("GET", "/v1/regions").json["stale"])
        blind = _told(router)
        silent = router.heard("self_check", answers=False)
        for each in (outside, *regions.values()):
            each.status = 200
        until(lambda: _told(router) == (EAST, False))
    outside.close()

    assert blind == (EAST, True)
    assert silent["means"] == "if two regions or more, and half of all, are silent too, they stay as they were"


def test_a_self_check_that_never_answers_is_told_at_once_and_keeps_no_dead_region(
    tmp_path: Path, regions: dict[str, FakeRegion]
) -> None:
    url = f"http://localhost:{dead_port()}/"
    with serve(tmp_path, write(tmp_path, regions, **IMPATIENT, self_check=url)) as router:
        told = router.heard("self_check")
        until(lambda: set(healths(router).values()) == {"healthy"})
        regions[EAST].status = regions[WEST].status = None
        until(lambda: _told(router) == (SOUTH, False))

    assert (told["level"], told["url"], told["answers"]) == ("warning", url, False)
    assert told["detail"] == "connection refused"
    assert told["means"] == "it never answered, so it proves nothing: regions that fall silent are taken for dead"
    assert [line["event"] for line in router.lines].count("self_check") == 1
    assert not any(line.get("what") == "stale" for line in router.lines)


def test_a_router_that_is_given_nothing_to_ask_says_so_as_it_begins(
    tmp_path: Path, regions: dict[str, FakeRegion]
) -> None:
    config = write(tmp_path, {EAST: regions[EAST]})
    with serve(tmp_path, config) as router:
        some = router.lines[0]
        write(tmp_path, {})
        router.process.send_signal(signal.SIGHUP)
        none = router.heard("reloaded")

    assert (some["unasked"], none["unasked"]) == ([WEST, SOUTH], [EAST, WEST, SOUTH])
    assert some["notes"][-1] == (
        "nobody asks how eu-west-1, ap-south-1 is, so it counts as healthy whatever happens: "
        "name routing.entry in the description, or give each region a probe"
    )


def _told(router: RouterProcess) -> tuple[str | None, bool | None]:
    """Return where a player goes, and whether the router is blind as it says so."""
    answer = router.ask("GET", f"/v1/route?preferred={EAST}").json
    return answer.get("region"), answer.get("stale")


def test_a_self_check_that_a_reload_brings_is_asked_and_one_that_it_takes_away_keeps_nobody_blind(
    tmp_path: Path, regions: dict[str, FakeRegion]
) -> None:
    outside = FakeRegion()
    config = write(tmp_path, regions, **IMPATIENT)
    with serve(tmp_path, config) as router:
        until(lambda: set(healths(router).values()) == {"healthy"})
        write(tmp_path, regions, **IMPATIENT, self_check=outside.url.replace("127.0.0.1", "localhost"))
        router.process.send_signal(signal.SIGHUP)
        router.heard("self_check", answers=True)
        for each in (outside, *regions.values()):
            each.status = None
        until(lambda: router.ask("GET", "/v1/regions").json["stale"])
        write(tmp_path, regions, **IMPATIENT)
        router.process.send_signal(signal.SIGHUP)
        until(lambda: not router.ask("GET", "/v1/regions").json["stale"])
        router.until(f"/v1/route?preferred={EAST}", 503)
    outside.close()


def test_metrics_tell_how_the_server_is(tmp_path: Path, regions: dict[str, FakeRegion]) -> None:
    with serve(tmp_path, write(tmp_path, regions)) as router:
        router.until("/readyz", 200)
        text = router.ask("GET", "/metrics").body.decode()

    assert "\naether_router_http_connections 1\n" in text
    assert "\naether_router_http_connections_refused_total 0\n" in text


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        ("https://US-east-1.play.example.com/readyz", [EAST]),
        ("tcp://us-east-1.play.example.com:53", [EAST]),
        ("http://127.0.0.1:1/", [EAST, WEST, SOUTH]),
        ("https://localhost/", []),
        ("https://play.example.com/", []),
    ],
)
@pytest.mark.parametrize("by_option", [True, False])
def test_a_self_check_that_asks_a_region_is_refused(url: str, asked: list[str], by_option: bool) -> None:
    probes = dict.fromkeys((EAST, WEST, SOUTH), "http://127.0.0.1:8080/readyz")
    values = config_values(probes=probes, **({} if by_option else {"self_check": url}))
    told = Told(RouterConfig.from_values(values), None, None)
    settings = Settings(host="", port=0, self_check=url if by_option else None)

    if not asked:
        assert checked(told, settings) is told
        return
    with pytest.raises(ConfigError) as caught:
        checked(told, settings)

    at = "--self-check" if by_option else "$.self_check"
    said = f"{at}: is '{url}'; asks {', '.join(asked)}, and must lie outside of all regions\n  fix: "
    assert str(caught.value).startswith(said)


def test_a_reload_whose_regions_hold_the_self_check_is_refused_as_at_the_begin(
    tmp_path: Path, regions: dict[str, FakeRegion]
) -> None:
    config = write(tmp_path, regions, **IMPATIENT)
    with serve(tmp_path, config) as router:
        write(tmp_path, regions, **IMPATIENT, self_check="http://127.0.0.1:1/")
        router.process.send_signal(signal.SIGHUP)
        refused = router.heard("reload_refused")
    begin = ended(program("router", "serve", "--config", str(config), "--listen", "127.0.0.1:0", folder=tmp_path))

    assert begin.code == 2
    assert refused["problems"][0] in begin.err
    assert "asks us-east-1, eu-west-1, ap-south-1" in begin.err


# --- begin and end


def test_a_router_that_is_told_to_end_answers_until_it_is_forgotten(
    tmp_path: Path, regions: dict[str, FakeRegion]
) -> None:
    config = write(tmp_path, regions)
    with RouterProcess("--config", str(config), "--drain-secs", "3600", folder=tmp_path) as router:
        router.until("/readyz", 200)
        router.process.send_signal(signal.SIGTERM)
        router.heard("leaving")
        leaving = router.until("/readyz", 503)
        still = router.ask("GET", f"/v1/route?preferred={EAST}")
        code = router.end()
        router.heard("ended")

    assert (leaving.json["code"], leaving.json["detail"]) == ("not_ready", "is told to end")
    assert (still.status, code) == (200, 0)


def test_an_interrupt_ends_at_once_and_cleanly(tmp_path: Path, regions: dict[str, FakeRegion]) -> None:
    config = write(tmp_path, regions)
    with RouterProcess("--config", str(config), "--drain-secs", "3600", folder=tmp_path) as router:
        router.until("/readyz", 200)
        code = router.end(signal.SIGINT)
        router.heard("ended")

    assert code == 130


def test_who_is_told_to_end_twice_does_not_wait(tmp_path: Path, regions: dict[str, FakeRegion]) -> None:
    config = write(tmp_path, regions)
    with RouterProcess("--config", str(config), "--drain-secs", "3600", folder=tmp_path) as router:
        router.process.send_signal(signal.SIGTERM)
        router.heard("leaving")
        code = router.end(signal.SIGTERM)

    assert code == 0


def test_who_insists_does_not_wait_for_a_client_that_never_ends(tmp_path: Path, regions: dict[str, FakeRegion]) -> None:
    config = write(tmp_path, regions)
    with (
        RouterProcess("--config", str(config), folder=tmp_path) as router,
        socket.create_connection(("127.0.0.1", router.port), timeout=PATIENCE_SECS) as wire,
    ):
        wire.sendall(b"POST /v1/route HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{")
        until(lambda: _answers(router.port))
        router.process.send_signal(signal.SIGINT)
        router.heard("leaving")
        until(lambda: not _answers(router.port))
        code = router.end(signal.SIGINT)
        told = _rest_of(wire)

    assert (code, told) == (130, b"")


def _rest_of(wire: socket.socket) -> bytes:
    try:
        return wire.recv(1000)
    except ConnectionResetError:
        return b""


def test_a_port_that_is_taken_is_3(tmp_path: Path, regions: dict[str, FakeRegion]) -> None:
    config = write(tmp_path, regions)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        told = ended(
            program("router", "serve", "--config", str(config), "--listen", f"127.0.0.1:{port}", folder=tmp_path)
        )

    assert told.code == 3
    assert told.err.startswith(f"error: cannot listen on 127.0.0.1:{port}: ")
    assert "\n  fix: " in told.err


def test_standard_output_stays_empty_and_every_message_is_one_object(
    tmp_path: Path, regions: dict[str, FakeRegion]
) -> None:
    config = write(tmp_path, regions)
    process = program(
        "router", "serve", "--config", str(config), "--listen", "127.0.0.1:0", "--drain-secs", "0", folder=tmp_path
    )
    assert process.stderr is not None
    first = json.loads(process.stderr.readline())
    process.send_signal(signal.SIGTERM)
    told = ended(process)

    assert (told.code, told.out) == (0, "")
    assert first["event"] == "listening"
    assert len(first["notes"]) == 3
    for line in told.err.splitlines():
        assert {"time", "level", "event"} <= json.loads(line).keys()


def test_a_router_that_was_killed_begins_again_at_once_and_reads_its_log(
    tmp_path: Path, regions: dict[str, FakeRegion]
) -> None:
    arguments = ["--config", str(write(tmp_path, regions)), "--decision-log", "log"]
    arguments += ["--listen", f"127.0.0.1:{dead_port()}"]
    with RouterProcess(*arguments, folder=tmp_path) as router:
        router.until("/readyz", 200)
        region_for(router, "mars-1")
        until(lambda: b'"preferred":"mars-1"' in (tmp_path / "log").read_bytes())
        router.end(signal.SIGKILL)
    with RouterProcess(*arguments, folder=tmp_path) as router:
        router.until("/readyz", 200)
        again = region_for(router, EAST)
        router.end(signal.SIGINT)

    faults: list[Any] = []
    entries = list(read_decisions((tmp_path / "log").read_bytes().splitlines(keepends=True), faults))
    assert (again, faults) == (EAST, [])
    assert [entry.request.preferred for entry in entries if isinstance(entry, LoggedRoute)] == ["mars-1", EAST]
    assert sum(isinstance(entry, LoggedConfig) for entry in entries) == 2
    assert not any(isinstance(entry, CutOff) for entry in entries)
    assert not (tmp_path / "log.1").exists()


@pytest.mark.parametrize("obstacle", ["its port is taken", "its log is written by another"])
def test_a_router_that_cannot_begin_leaves_the_log_of_the_one_that_runs(
    obstacle: str, tmp_path: Path, regions: dict[str, FakeRegion]
) -> None:
    config = write(tmp_path, regions)
    with serve(tmp_path, config, "--decision-log", "log") as router:
        router.until("/readyz", 200)
        region_for(router, "mars-1")
        until(lambda: b'"preferred":"mars-1"' in (tmp_path / "log").read_bytes())
        port, log = (router.port, "other") if obstacle == "its port is taken" else (0, "log")
        told = [
            ended(
                program(
                    *("router", "serve", "--config", str(config), "--decision-log", log),
                    *("--listen", f"127.0.0.1:{port}"),
                    folder=tmp_path,
                )
            )
            for _ in range(2)
        ]
        region_for(router, "mars-2")
        until(lambda: b'"preferred":"mars-2"' in (tmp_path / "log").read_bytes())

    assert [each.code for each in told] == [3, 3]
    said = f"cannot listen on 127.0.0.1:{port}: " if port else "log: is written by another process\n  fix: "
    assert all(each.err.startswith(f"error: {said}") for each in told)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log", "router.json"]


def test_a_mistake_of_ours_ends_the_process_so_that_another_takes_its_place(
    tmp_path: Path, regions: dict[str, FakeRegion], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def stumble(self: LiveRouter, code: str, probed: Any) -> None:
        raise RuntimeError("the moon is full")

    monkeypatch.setattr(LiveRouter, "observe", stumble)
    config = write(tmp_path, regions)
    try:
        code = run(["router", "serve", "--config", str(config), "--listen", "127.0.0.1:0", "--drain-secs", "3600"])
    finally:
        gc.unfreeze()
    told = capfd.readouterr().err

    assert code == 70
    assert "RuntimeError: the moon is full" in told
    assert told.endswith("error: this is a bug in aether-deploy; please report it with the lines above\n")


# --- under load


def test_no_answer_is_lost_or_wrong_while_everything_changes(tmp_path: Path, regions: dict[str, FakeRegion]) -> None:
    (tmp_path / "token").write_text(TOKEN)
    config = write(tmp_path, regions, **FULL_POLICY)
    told: list[tuple[int, Any]] = []
    over = threading.Event()

    def ask(router: RouterProcess) -> None:
        while not over.is_set():
            answer = router.ask("GET", f"/v1/route?preferred={EAST}")
            told.append((answer.status, answer.json))

    with serve(tmp_path, config, "--admin-token-file", "token") as router:
        router.until("/readyz", 200)
        threads = [threading.Thread(target=ask, args=(router,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for round_ in range(5):
            router.ask("POST", f"/v1/regions/{EAST}/drain", {"mode": "hard"}, token=TOKEN)
            regions[SOUTH].status = 503 if round_ % 2 else 200
            router.process.send_signal(signal.SIGHUP)
            router.ask("DELETE", f"/v1/regions/{EAST}/drain", token=TOKEN)
        over.set()
        for thread in threads:
            thread.join()
        code = router.end()

    assert code == 0
    assert {status for status, _ in told} == {200}
    assert {(answer["decision"], answer["region"]) for _, answer in told} <= {("primary", EAST), ("failover", WEST)}


def test_a_listener_hears_of_a_change_over_the_wire(tmp_path: Path, regions: dict[str, FakeRegion]) -> None:
    with serve(tmp_path, write(tmp_path, regions)) as router:
        router.until("/readyz", 200)
        with socket.create_connection(("127.0.0.1", router.port), timeout=PATIENCE_SECS) as wire:
            wire.sendall(b"GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n")
            heard = wire.makefile("rb")
            _until_line(heard, b"event: snapshot\n")
            regions[EAST].status = 503
            _until_line(heard, b"event: change\n")
            change = json.loads(heard.readline().removeprefix(b"data: "))
            router.process.send_signal(signal.SIGINT)
            rest = heard.read()

    assert change["changes"] == [{"region": EAST, "what": "health", "before": "healthy", "after": "unhealthy"}]
    assert (b"\n" + rest).endswith(b"\n\n")


def _until_line(heard: Any, line: bytes) -> None:
    while (one := heard.readline()) != line:
        assert one


def test_who_does_not_read_standard_error_holds_up_nobody(tmp_path: Path, regions: dict[str, FakeRegion]) -> None:
    config = write(tmp_path, regions)
    listening = dead_port()
    process = program("router", "serve", "--config", str(config), "--listen", f"127.0.0.1:{listening}", folder=tmp_path)
    assert process.stderr is not None
    fcntl.fcntl(process.stderr, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    try:
        until(lambda: _answers(listening))
        until(lambda: _one_more_line(process) and _reloads(listening) > PIPE_BYTES / LINE_BYTES_MIN)
        for _ in range(50):
            _one_more_line(process)
            assert _answers(listening)
    finally:
        process.kill()
        process.communicate()


def _one_more_line(process: subprocess.Popen[str]) -> bool:
    process.send_signal(signal.SIGHUP)
    return True


def _reloads(port: int) -> int:
    """Return how often the router has read everything again, and said so in a line."""
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=PATIENCE_SECS) as answer:
        found = re.search(
            r'^aether_router_reloads_total\{outcome="done"\} (\d+)$', answer.read().decode(), re.MULTILINE
        )
    assert found is not None
    return int(found[1])


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECS) as wire:
            wire.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            return wire.makefile("rb").readline() == b"HTTP/1.1 200 OK\r\n"
    except OSError:
        return False


def test_the_regions_of_this_suite_are_those_of_its_configuration() -> None:
    assert [each["code"] for each in REGIONS] == [EAST, WEST, SOUTH]
