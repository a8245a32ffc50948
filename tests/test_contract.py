"""The contract check: good servers pass, and every broken rule is caught by a verdict of its own."""

import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from aether_deploy.contract.checking import Report, check_contract
from aether_deploy.contract.observing import Waits
from aether_deploy.contract.rules import RULES
from tests.cli_cases import ROOT, CommandLine
from tests.fake_world import DRAINED, LOOKED_AT, PLAYED, FakeWorld, serving
from tests.world_process import HeldReplay, World, running

PAGE = ROOT / "docs/world-server-contract.md"
BRISK = Waits(probe_secs=1.0, scrape_secs=5.0, game_secs=5.0, change_secs=2.0, grace_secs=30.0)
"""What changes in a fake world shows at once, so only what is broken is waited for."""


def outcomes(report: Report) -> dict[str, str]:
    return {verdict.rule: verdict.outcome for verdict in report.verdicts}


def broken(report: Report) -> list[str]:
    return [verdict.rule for verdict in report.verdicts if verdict.outcome == "fail"]


# --- a server that keeps it


def test_the_example_keeps_every_rule(tmp_path: Path) -> None:
    with running(World(tmp_path)) as world:
        world.wait_until_ready()
        report = check_contract(f"http://{world.target}", udp=f"127.0.0.1:{world.udp}", drain=True)

    assert outcomes(report) == {rule: "skipped" if rule == "loading" else "ok" for rule in RULES}
    assert report.is_kept


def test_the_example_keeps_the_rules_while_it_loads(tmp_path: Path) -> None:
    held = HeldReplay(tmp_path / "wal")
    with running(World(tmp_path)) as world:
        url, udp = f"http://{world.target}", f"127.0.0.1:{world.udp}"
        report = check_contract(url, udp=udp, drain=True)
        held.release()
        world.wait_until_ready()
        assert world.gauge("draining") == 0

    tried = {"healthz", "readyz", "loading", "own-paths", "metrics", "metrics-type", "player-count", "ordinal-floor"}
    assert outcomes(report) == {rule: "ok" if rule in tried else "skipped" for rule in RULES}
    seen = {verdict.rule: verdict.seen for verdict in report.verdicts}
    assert (seen["readyz"], seen["loading"]) == ("503", "503 while aether_world_wal_replaying is 1")
    assert (seen["ordinal-floor"], seen["join-floor"]) == ("3", "the world is not ready")


def test_a_full_example_is_not_blamed_for_being_full(tmp_path: Path) -> None:
    with running(World(tmp_path, WORLD_MAX_PLAYERS=1)) as world, world.wait_until_ready().player() as ada:
        ada.join()
        report = check_contract(f"http://{world.target}", udp=f"127.0.0.1:{world.udp}")

    assert broken(report) == []
    seen = {verdict.rule: verdict.seen for verdict in report.verdicts if verdict.outcome == "skipped"}
    assert seen["join-counted"] == "JOIN was refused: 'full'"


def test_the_fake_keeps_what_it_is_asked_for() -> None:
    with serving(FakeWorld()) as world:
        report = check_contract(world.url, udp=world.udp, drain=True, waits=BRISK)

    assert outcomes(report) == {rule: "skipped" if rule == "loading" else "ok" for rule in RULES}


def test_nothing_is_changed_unless_that_is_asked_for() -> None:
    with serving(FakeWorld()) as world:
        check_contract(world.url, waits=BRISK)
        alone = list(world.asked)
        check_contract(world.url, udp=world.udp, waits=BRISK)

    assert alone == ["GET /healthz", "GET /readyz", "GET /metrics", "GET /aether-contract-check-no-such-path"]
    assert {asked for asked in world.asked if "drain" in asked or "POST" in asked} == set()
    assert world.players == {}


# --- servers that break it


@pytest.mark.parametrize("kind", LOOKED_AT, ids=lambda kind: kind.__name__)
def test_a_broken_rule_is_caught_by_itself(kind: type[FakeWorld]) -> None:
    with serving(kind()) as world:
        report = check_contract(world.url, waits=BRISK)

    assert broken(report) == [LOOKED_AT[kind]]


@pytest.mark.parametrize("kind", PLAYED, ids=lambda kind: kind.__name__)
def test_a_broken_rule_that_only_a_player_sees_is_caught_by_itself(kind: type[FakeWorld]) -> None:
    with serving(kind()) as world:
        assert broken(check_contract(world.url, waits=BRISK)) == []
        report = check_contract(world.url, udp=world.udp, waits=BRISK)

    assert broken(report) == [PLAYED[kind]]


@pytest.mark.parametrize("kind", DRAINED, ids=lambda kind: kind.__name__)
def test_a_broken_rule_of_the_end_is_caught_by_itself(kind: type[FakeWorld]) -> None:
    with serving(kind()) as world:
        report = check_contract(world.url, udp=world.udp, drain=True, waits=BRISK)

    assert broken(report) == [DRAINED[kind]]


def test_a_closed_players_port_is_caught_by_itself() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken, serving(FakeWorld()) as world:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        taken.connect(("127.0.0.1", 1))  # so it hears nobody else, and nobody else gets the port
        report = check_contract(world.url, udp=f"127.0.0.1:{port}", waits=BRISK)

    assert broken(report) == ["game-port"]


def test_every_rule_has_a_server_that_breaks_it() -> None:
    assert {*LOOKED_AT.values(), *PLAYED.values(), *DRAINED.values(), "game-port"} == set(RULES)


class AnotherGame(FakeWorld):
    """Its players speak another protocol."""

    def answer(self, words: list[str]) -> Iterator[str]:
        yield "\x01\x02hello"


class SilentGame(FakeWorld):
    """Its players' port answers nobody whom it does not know."""

    def answer(self, words: list[str]) -> Iterator[str]:
        yield from ()


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        (AnotherGame, "JOIN was answered '\\x01\\x02hello', which is another protocol"),
        (SilentGame, "no answer to JOIN on UDP 127.0.0.1:PORT within 0.5 s"),
    ],
    ids=["another", "silent"],
)
def test_a_world_of_another_protocol_is_not_blamed(kind: type[FakeWorld], says: str) -> None:
    with serving(kind()) as world:
        report = check_contract(world.url, udp=world.udp, drain=True, waits=BRISK._replace(game_secs=0.5))
        says = says.replace("PORT", world.udp.partition(":")[2])

    assert report.is_kept
    seen = {verdict.rule: (verdict.outcome, verdict.seen) for verdict in report.verdicts}
    only = "only the protocol of examples/world-server can be spoken from here"
    assert seen["game-port"] == ("skipped", f"{says}; {only}")
    assert seen["join-counted"] == seen["gate"] == seen["drain-waits"] == ("skipped", says)
    assert seen["drain-ends"][0] == seen["drain-floor"][0] == "ok"


def test_several_worlds_in_one_pod_are_added() -> None:
    class TwoWorlds(FakeWorld):
        def metrics(self) -> str:
            line = "aether_world_player_count"
            return super().metrics().replace(f"\n{line} ", f'\n{line}{{world="a"}} 7\n{line}{{world="b"}} ')

        def floor(self) -> float:
            return 5

    with serving(TwoWorlds()) as world:
        report = check_contract(world.url, waits=BRISK)

    assert [verdict.seen for verdict in report.verdicts if verdict.rule == "player-count"] == ["7"]
    assert report.is_kept


# --- the page


def test_the_page_shows_what_the_example_gets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cli = CommandLine(tmp_path, capsys)
    found = re.search(r"^<!-- compared .* -->\n```text\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    with running(World(tmp_path, POD_INDEX=0)) as world:
        world.wait_until_ready()
        ended = cli("contract", "check", f"http://{world.target}", "--udp", f"127.0.0.1:{world.udp}")

    assert found is not None
    assert (ended.code, ended.out.replace(str(world.udp), "7777")) == (0, found[1])


def test_every_rule_has_its_place_on_the_page_in_the_same_order() -> None:
    headings = re.findall(r"^### `([a-z-]+)`$", PAGE.read_text("utf-8"), re.MULTILINE)

    assert [heading for heading in headings if heading in RULES] == list(RULES)


def test_every_rule_says_who_relies_on_it_and_what_to_do() -> None:
    assert [rule for rule, each in RULES.items() if not (each.promise and each.fix and each.source)] == []
