"""The log of the example world server: nothing that anybody was told is lost, and no damage goes unnoticed."""

import asyncio
import os
import random
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.world_process import FLOOR, HISTORY, WAL, World, running, wait_for, write_segment


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Return a world that is ready."""
    with running(World(tmp_path)) as each:
        yield each.wait_until_ready()


def test_the_floor_holds_while_a_player_is_on_and_falls_once_the_log_is_archived(world: World) -> None:
    assert (world.gauge("player_count"), world.gauge("ordinal_floor")) == (0, 0)
    with world.player() as ada:
        ada.join()
        assert (world.gauge("player_count"), world.gauge("ordinal_floor")) == (1, FLOOR)
        ada.leave()

    wait_for("floor of 0", lambda: world.gauge("ordinal_floor") == 0)
    assert world.gauge("wal_unarchived_bytes") == 0
    assert world.is_archived()


def test_an_archive_that_refuses_keeps_the_floor_until_it_takes_the_log(tmp_path: Path) -> None:
    with running(World(tmp_path, WORLD_DRAIN_SECS=0.5)) as world:
        world.wait_until_ready()
        world.archive.rmdir()
        world.archive.write_text("no folder")
        with world.player() as ada:
            ada.join().leave()

        answer = world.drain()
        assert (answer["drained"], answer["players"], answer["wal_unarchived_bytes"] > 0) == (False, 0, True)
        assert (world.gauge("player_count"), world.gauge("ordinal_floor")) == (0, FLOOR)
        assert (world.status("/healthz"), world.status("/readyz")) == (200, 200)
        world.archive.unlink()
        world.archive.mkdir()
        wait_for("floor of 0", lambda: world.gauge("ordinal_floor") == 0)
        assert world.is_archived()


class Acknowledged:
    """A player who moves on and on, and what he was told before the world was killed."""

    def __init__(self, world: World, name: str, killed: threading.Event) -> None:
        self.told = self.sent = 0
        self._killed = killed
        self.player = world.player(name).join()
        self.thread = threading.Thread(target=self._move)
        self.thread.start()

    def _move(self) -> None:
        while not self._killed.is_set():
            self.sent += 1
            while not self._is_told():
                if self._killed.is_set():
                    return
            self.told = self.sent

    def _is_told(self) -> bool:
        try:
            answer = self.player.ask(f"MOVE {self.player.token} {self.sent} 0", within_secs=0.5)
            while not re.fullmatch(rf"MOVED \d+ {self.sent} 0", answer):  # one of before, that was sent again
                answer = self.player.hear(within_secs=0.5)
        except OSError:
            return False
        return True


@pytest.mark.parametrize("seed", range(4))
def test_a_world_that_is_killed_while_it_writes_has_lost_nothing_that_anybody_was_told(
    seed: int, tmp_path: Path
) -> None:
    killed = threading.Event()
    with running(World(tmp_path, WORLD_TICK_HZ=200)) as world:
        world.wait_until_ready()
        movers = [Acknowledged(world, f"mover-{number}", killed) for number in range(4)]
        with world.player("gone") as gone:
            gone.join().leave()
        wait_for("move of everybody", lambda: all(mover.told for mover in movers))
        time.sleep(random.Random(seed).random() / 5)
        world.kill()
        killed.set()
        for mover in movers:
            mover.thread.join()

        world.start().wait_until_ready()

        assert world.gauge("player_count") == len(movers)
        for mover in movers:
            with world.player() as again:
                state = again.ask(f"STATE {mover.player.token}")
            places = dict(re.findall(r"(\S+):(\d+):0", state))
            assert mover.told <= int(places[mover.player.name]) <= mover.sent
        assert [record["n"] for record in world.records()] == list(range(1, len(world.records()) + 1))


def replayed(folder: Path) -> tuple[list[dict[str, Any]], Any]:
    """Replay a log with the example's own code."""

    async def replay() -> tuple[list[dict[str, Any]], Any]:
        wal = WAL.Wal(folder, folder / "archive")
        return [record async for records in wal.replay() for record in records], wal

    return asyncio.run(replay())


def test_a_commit_returns_when_the_disk_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[int] = []

    def fsync(handle: int) -> None:
        flushed.append(os.fstat(handle).st_size)

    monkeypatch.setattr(os, "fsync", fsync)

    async def commit() -> None:
        wal = WAL.Wal(tmp_path, tmp_path / "archive")
        _ = [records async for records in wal.replay()]
        for record in HISTORY:
            wal.append(record)
            await wal.commit()
            assert flushed[-1] == (tmp_path / "wal-000000000001.log").stat().st_size
        before = len(flushed)
        await wal.commit()
        assert len(flushed) == before

    asyncio.run(commit())


def test_a_torn_end_is_cut_off_wherever_it_tore(tmp_path: Path) -> None:
    path = tmp_path / "wal-000000000001.log"
    write_segment(path, HISTORY)
    whole = path.read_bytes()
    ends = [place + 1 for place, byte in enumerate(whole) if byte == ord("\n")]

    for size in range(ends[1] + 1, ends[2]):
        path.write_bytes(whole[:size])
        records, wal = replayed(tmp_path)

        assert [record["n"] for record in records] == [1, 2]
        assert path.read_bytes() == whole[: ends[1]]
        assert (wal.torn_bytes, wal.unarchived_bytes) == (size - ends[1], ends[1])


def test_a_log_goes_on_after_a_torn_end(tmp_path: Path) -> None:
    write_segment(tmp_path / "wal/wal-000000000001.log", HISTORY)
    with (tmp_path / "wal/wal-000000000001.log").open("ab") as segment:
        segment.write(b'0123abcd {"n":4,"op":"le')
    with running(World(tmp_path)) as world:
        world.wait_until_ready()
        assert "loaded 3 records; cut 24 bytes" in world.said
        with world.player("bob") as bob:
            bob.join()
        world.kill()

        world.start().wait_until_ready()

        assert [record["n"] for record in world.records()] == [1, 2, 3, 4]
        assert world.gauge("player_count") == 2


def test_a_log_whose_only_record_is_torn_begins_again(tmp_path: Path) -> None:
    (tmp_path / "wal").mkdir()
    (tmp_path / "wal/wal-000000000001.log").write_bytes(b"0123abcd {")
    with running(World(tmp_path)) as world:
        with world.wait_until_ready().player() as ada:
            ada.join().leave()

        wait_for("archive of it", lambda: world.gauge("ordinal_floor") == 0)
        assert [record["n"] for record in world.records()] == [1, 2]
        assert world.is_archived()


def _flip(folder: Path) -> None:
    path = folder / "wal-000000000001.log"
    content = bytearray(path.read_bytes())
    content[20] ^= 1
    path.write_bytes(bytes(content))


def _tear_archived(folder: Path) -> None:
    path = folder / "wal-000000000004.log"
    (folder.parent / "archive").mkdir()
    (folder.parent / "archive" / path.name).write_bytes(path.read_bytes())
    path.write_bytes(path.read_bytes()[:-3] + b"xyz")


DAMAGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "a flipped bit": (_flip, "wal-000000000001.log: damaged at byte 0, and that is no torn end"),
    "a lost segment": (
        lambda folder: (folder / "wal-000000000001.log").unlink(),
        "wal-000000000004.log: record 1 is missing; 4 stands in its place",
    ),
    "a bad end of what was archived whole": (
        _tear_archived, "wal-000000000004.log: damaged at byte 50, and that is no torn end",
    ),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_log_is_refused_and_left_alone(damage: str, tmp_path: Path) -> None:
    harm, message = DAMAGES[damage]
    world = World(tmp_path)
    write_segment(world.wal / "wal-000000000001.log", HISTORY)
    write_segment(world.wal / "wal-000000000004.log", HISTORY[1:], first=4)
    harm(world.wal)
    before = {path: path.read_bytes() for path in world.wal.iterdir()}
    with running(world):
        assert world.wait() == 1

    assert message in world.said
    assert {path: path.read_bytes() for path in world.wal.iterdir()} == before
