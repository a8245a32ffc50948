"""A small world server that keeps every promise of docs/world-server-contract.md.

The others say what happens: wal.py how nothing is lost, world.py what a world is, players.py and operators.py what
is said on the two ports. This one says when: from replay to the last record before the process ends.
"""

import asyncio
import logging
import os
import re
import signal
import socket
import sys
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from operators import Operators
from players import Players
from wal import Record, Wal, WalError
from world import World

log = logging.getLogger("world-server")

REMIND_SECS = 1.0
ARCHIVE_SECS = 1.0
LAST_ANSWERS_SECS = 1.0


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the environment says: each field is WORLD_ and its name in capitals, but ``ordinal`` is POD_INDEX.

    Attributes:
        ordinal: Number of this pod; left out, the end of its host name, which is that of the pod: world-server-3.
        drain_secs: Longest that /drain waits for players to leave; less than the pod's grace period.
        exit_secs: Longest that the archive may take after SIGTERM; together they are less than the grace period.
        player_timeout_secs: A player who is silent this long has left.
        move_to: Where players are sent when the world drains.
    """

    ordinal: int
    host: str = "0.0.0.0"
    http_port: int = 8080
    udp_port: int = 7777
    wal_dir: Path = Path("/data/wal")
    archive_dir: Path = Path("/data/wal/archive")
    max_players: int = 50
    tick_hz: float = 10.0
    drain_secs: float = 240.0
    exit_secs: float = 30.0
    player_timeout_secs: float = 15.0
    move_to: str = "matchmaking"


def read_settings() -> Settings:
    """Return what the environment says, or end the process with what is wrong with it."""
    at_end = re.search(r"-(\d+)$", socket.gethostname())
    given: dict[str, Any] = {"ordinal": int(at_end[1]) if at_end else 0}
    for each in fields(Settings):
        name = "POD_INDEX" if each.name == "ordinal" else f"WORLD_{each.name.upper()}"
        text = os.environ.get(name)
        if text is None:
            continue
        assert callable(each.type)
        try:
            given[each.name] = each.type(text)
        except ValueError:
            sys.exit(f"{name} is {text!r}, which is no number")
        if isinstance(given[each.name], (int, float)) and not given[each.name] >= (each.name == "tick_hz"):
            sys.exit(f"{name} is {text!r}, which is too small")
    return Settings(**given)


class WorldServer:
    """The process: from the first record that it replays to the last that it archives."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.world = World(settings.ordinal, settings.max_players)
        self.wal = Wal(settings.wal_dir, settings.archive_dir)
        self.players = Players(self.world, self.wal, self._change, move_to=settings.move_to)
        self.operators = Operators(self.world, self.wal, self.drain)
        self._drained: asyncio.Task[None] | None = None

    async def run(self) -> int:
        """Serve until a signal asks to stop.

        Returns:
            0 after a stop that was asked for; 1 where the world cannot go on.

        Raises:
            OSError: A port cannot be had.
        """
        loop, stop = asyncio.get_running_loop(), asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)  # a second signal finds it set and changes nothing
        settings = self.settings
        udp_port = await self.players.listen(settings.host, settings.udp_port)
        http_port = await self.operators.listen(settings.host, settings.http_port)
        log.info("world %d listens: http %d, udp %d", settings.ordinal, http_port, udp_port)
        life, stopped = asyncio.create_task(self._live()), asyncio.create_task(stop.wait())
        await asyncio.wait({life, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if life.done():
            log.critical("the world ends: %r", life.exception())
            return 1
        await self._shut_down()
        return 0

    async def drain(self) -> None:
        """Take nobody new, send players elsewhere, and wait until nothing would be lost, or ``drain_secs``.

        The first call begins it, all calls share it, and nothing takes it back.
        """
        if self._drained is None:
            self._drained = asyncio.create_task(self._empty())
        await asyncio.shield(self._drained)

    async def _live(self) -> None:
        """Replay, then run the world for ever.

        Raises:
            WalError: The log is damaged.
            OSError: The disk refuses. Nobody was told of what it did not take, so ending is right.
        """
        async for records in self.wal.replay():
            for record in records:
                self.world.apply(record, _now())
            await asyncio.sleep(0)
        for player in self.world.players.values():
            player.heard_at = _now()
        self.world.loaded = True
        log.info("loaded %d records; cut %d bytes of a torn end", self.wal.last, self.wal.torn_bytes)
        await asyncio.gather(self.players.hear(), self._tick(), self._archive())

    async def _tick(self) -> None:
        world, remind_at = self.world, 0.0
        while True:
            await asyncio.sleep(1 / self.settings.tick_hz)
            now = _now()
            wanted, self.players.moves = self.players.moves, {}
            moves = {token: place for token, place in wanted.items() if token in world.players}
            if moves:
                self._change({"op": "tick", "moves": moves})
            moved = [(world.players[token], place) for token, place in moves.items()]
            for player in list(world.players.values()):
                if now - player.heard_at > self.settings.player_timeout_secs:
                    self._change({"op": "leave", "token": player.token, "why": "timeout"})
            await self.wal.commit()
            for player, (x, y) in moved:
                self.players.tell(player, f"MOVED {world.ticks} {x} {y}")
            if world.draining and now >= remind_at:
                self.players.send_away()
                remind_at = now + REMIND_SECS

    async def _archive(self) -> None:
        while True:
            try:
                await self.wal.archive(close=not self.world.players)
            except OSError as error:
                log.error("the archive refuses, trying again: %s", error)
            await asyncio.sleep(ARCHIVE_SECS)

    async def _empty(self) -> None:
        log.info("draining")
        self.world.draining = True
        self.players.send_away()
        with suppress(TimeoutError):
            async with asyncio.timeout(self.settings.drain_secs):
                while self.world.floor(self.wal.unarchived_bytes):
                    await asyncio.sleep(0.05)

    async def _shut_down(self) -> None:
        """Stop joins, tell players, flush, archive, close: in this order nothing that anybody was told is lost."""
        self.world.draining = True
        self.players.send_away()
        if self.world.loaded:
            for token in list(self.world.players):
                self._change({"op": "leave", "token": token, "why": "shutdown"})
            await self.wal.commit()
            try:
                async with asyncio.timeout(self.settings.exit_secs):
                    await self.wal.archive(close=True)
            except (OSError, TimeoutError) as error:
                log.error("on this volume alone: %d bytes: %r", self.wal.unarchived_bytes, error)
        self.players.close()
        await self.operators.finish(LAST_ANSWERS_SECS)
        log.info("closed after record %d", self.wal.last)

    def _change(self, record: Record) -> None:
        self.wal.append(record)
        self.world.apply(record, _now())


def _now() -> float:
    return asyncio.get_running_loop().time()


def main() -> None:
    """Run the server that the environment describes."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    server = WorldServer(read_settings())
    try:
        code = asyncio.Runner().run(server.run())
    except (OSError, WalError) as error:
        log.critical("%s", error)
        code = 1
    logging.shutdown()
    os._exit(code)  # all is on the disk, so a copy that hangs on another one must not keep us


if __name__ == "__main__":
    main()
