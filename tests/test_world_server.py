"""The example world server as a real process: what it does for players and for operators."""

import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from aether_deploy.contract.asking import Reply, ask
from tests.world_process import EXAMPLE, PATIENCE_SECS, WAL, World, running, wait_for


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Return a world that is ready."""
    with running(World(tmp_path)) as each:
        yield each.wait_until_ready()


@pytest.fixture(scope="module")
def shared_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Return a world that is ready, for tests that leave it as it was."""
    with running(World(tmp_path_factory.mktemp("world"))) as each:
        yield each.wait_until_ready()


# --- players


def test_a_player_joins_moves_sees_others_and_leaves(shared_world: World) -> None:
    with shared_world.player("ada") as ada, shared_world.player("bob") as bob:
        ada.join()
        bob.join()

        assert re.fullmatch(r"MOVED \d+ 3 -4", ada.ask(f"MOVE {ada.token} 3 -4"))
        assert re.fullmatch(r"STATE \d+ ada:3:-4 bob:0:0", bob.ask(f"STATE {bob.token}"))
        assert re.fullmatch(r"PONG \d+ 2", bob.ask(f"PING {bob.token}"))
        bob.leave()
        assert re.fullmatch(r"PONG \d+ 1", ada.ask(f"PING {ada.token}"))
        assert bob.ask(f"PING {bob.token}") == "ERROR unknown"
        ada.leave()


def test_a_datagram_that_comes_twice_changes_nothing(world: World) -> None:
    with world.player() as ada, world.player() as impostor:
        ada.join()

        assert ada.ask("JOIN ada") == f"WELCOME {ada.token} 0 0"
        assert impostor.ask("JOIN ada") == "REFUSED name-taken"
        ada.leave()
        ada.leave()
        assert world.gauge("player_count") == 0


GARBAGE = ["", " ", "JOIN", "JOIN a b", f"JOIN {'x' * 33}", "JOIN ä", "MOVE", "LEAVE", "PING x", "\0" * 900]


@pytest.mark.parametrize("text", GARBAGE, ids=repr)
def test_garbage_is_answered_and_changes_nothing(text: str, shared_world: World) -> None:
    with shared_world.player() as ada:
        assert ada.ask(text) == "ERROR unknown"


@pytest.mark.parametrize("move", ["", "1", "1 2 3", "x y", "1e3 2", "9999999 0"])
def test_a_move_to_nowhere_is_none(move: str, shared_world: World) -> None:
    with shared_world.player("eve") as eve:
        assert eve.join().ask(f"MOVE {eve.token} {move}") == "ERROR unknown"
        eve.leave()


def test_a_silent_player_has_left(tmp_path: Path) -> None:
    with running(World(tmp_path, WORLD_PLAYER_TIMEOUT_SECS=0.2)) as world, world.wait_until_ready().player() as ada:
        ada.join()

        wait_for("record of it", lambda: world.records()[-1].get("why") == "timeout")
        assert world.gauge("player_count") == 0


def test_a_player_comes_back_to_where_he_was(world: World) -> None:
    with world.player() as ada:
        ada.join().ask(f"MOVE {ada.token} 7 8")
        ada.leave()

        assert re.fullmatch(r"WELCOME \w+ 7 8", ada.ask("JOIN ada"))


# --- who may join, and what readiness has to do with it: nothing


def test_a_full_world_refuses_and_stays_ready(tmp_path: Path) -> None:
    with running(World(tmp_path, WORLD_MAX_PLAYERS=1)) as world:
        world.wait_until_ready()
        with world.player("ada") as ada, world.player("bob") as bob:
            ada.join()

            assert bob.ask("JOIN bob") == "REFUSED full"
            assert world.status("/readyz") == 200
            assert world.gauge("joinable") == 0
            ada.leave()
            bob.join()


@pytest.mark.parametrize(("replicas", "may_join"), [(0, False), (2, False), (3, True), (None, True)])
def test_the_gate_is_closed_from_its_own_ordinal_on(replicas: int | None, may_join: bool, world: World) -> None:
    with world.player("ada") as ada, world.player("bob") as bob:
        ada.join()
        answer = json.loads(world.admit(replicas).body)

        reason = None if may_join else "closed"
        assert answer == {"ordinal": 2, "joinable_replicas": replicas, "joinable": may_join, "reason": reason}
        assert bob.ask("JOIN bob").startswith("WELCOME " if may_join else "REFUSED closed")
        assert ada.ask(f"PING {ada.token}").startswith("PONG ")
        assert world.status("/readyz") == 200
        assert json.loads(world.get("/admission").body)["joinable_replicas"] == replicas


@pytest.mark.parametrize("replicas", [-1, 1.5, "3", True, [], {}])
def test_a_gate_that_is_set_to_nonsense_stays_as_it_was(replicas: object, shared_world: World) -> None:
    shared_world.admit(7)

    assert shared_world.admit(replicas).status == 400
    assert json.loads(shared_world.get("/admission").body)["joinable_replicas"] == 7


# --- operators


def test_questions_that_are_not_meant_get_no_success(shared_world: World) -> None:
    assert shared_world.status("/nothing") == 404
    assert shared_world.status("/") == 404
    for path in ("/healthz", "/readyz", "/metrics", "/drain"):
        reply = ask(shared_world.target, path, within_secs=PATIENCE_SECS, method="POST", body=b"{}")
        assert isinstance(reply, Reply)
        assert reply.status == 405
    assert shared_world.gauge("draining") == 0


UNREADABLE = {
    "nothing": b"\r\n\r\n",
    "a word": b"GET\r\n\r\n",
    "bytes": b"\xff\0\r\n\r\n",
    "no end": b"x" * 100_000,
    "a body that is too large": b"POST /admission HTTP/1.1\r\nContent-Length: 999999\r\n\r\n",
    "a body that is cut short": b"POST /admission HTTP/1.1\r\nContent-Length: 9\r\n\r\n{}",
}


@pytest.mark.parametrize("said", UNREADABLE.values(), ids=UNREADABLE)
def test_a_question_that_cannot_be_read_is_refused_and_harms_nobody(said: bytes, shared_world: World) -> None:
    with socket.create_connection(("127.0.0.1", shared_world.http), PATIENCE_SECS) as connection:
        connection.sendall(said)
        connection.shutdown(socket.SHUT_WR)

        assert connection.recv(100).startswith(b"HTTP/1.1 400 ")
    assert shared_world.status("/healthz") == 200


def test_a_connection_that_says_nothing_holds_nobody_up(world: World) -> None:
    with socket.create_connection(("127.0.0.1", world.http)):
        assert world.status("/healthz") == 200
        assert world.stop() == 0


SETTINGS = {
    "no number": ({"WORLD_TICK_HZ": "fast"}, "WORLD_TICK_HZ is 'fast', which is no number"),
    "too small": ({"WORLD_TICK_HZ": "0"}, "WORLD_TICK_HZ is '0', which is too small"),
    "negative": ({"WORLD_DRAIN_SECS": "-1"}, "WORLD_DRAIN_SECS is '-1', which is too small"),
    "not a number": ({"WORLD_EXIT_SECS": "nan"}, "WORLD_EXIT_SECS is 'nan', which is too small"),
    "no ordinal": ({"POD_INDEX": "world-2"}, "POD_INDEX is 'world-2', which is no number"),
}


@pytest.mark.parametrize("case", SETTINGS)
def test_a_setting_that_cannot_be_read_ends_the_process_with_a_message(case: str, tmp_path: Path) -> None:
    settings, message = SETTINGS[case]
    world = World(tmp_path, **settings)
    with pytest.raises(AssertionError):
        world.start()

    assert world.said == f"{message}\n"


# --- what is beside it


def test_the_image_has_every_module() -> None:
    copied = re.search(r"^COPY \S+ (.*) /app/$", (EXAMPLE / "Containerfile").read_text(), re.MULTILINE)

    assert copied is not None
    assert sorted(copied[1].split()) == sorted(path.name for path in EXAMPLE.glob("*.py"))


def test_the_readme_shows_a_record_as_it_is_and_every_setting() -> None:
    readme = (EXAMPLE / "README.md").read_text("utf-8")
    (line,) = re.findall(r"^[0-9a-f]{8} \{.*\}$", readme, re.MULTILINE)
    settings = re.findall(r"^    (\w+): \w+(?: = .*)?$", (EXAMPLE / "world_server.py").read_text("utf-8"), re.MULTILINE)

    assert WAL.decode(f"{line}\n".encode()) is not None
    assert len(settings) > 10
    assert [name for name in settings if name != "ordinal" and f"`WORLD_{name.upper()}`" not in readme] == []
