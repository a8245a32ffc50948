"""The players' port: datagrams of one line each, which README.md describes."""

import asyncio
import re
import secrets
from collections.abc import Callable

from wal import Record, Wal
from world import Address, Player, World

NAME = re.compile(r"[A-Za-z0-9_.-]{1,32}")
NUMBER = re.compile(r"-?[0-9]{1,6}")
INBOX_MAX = 10_000
STATE_CHARACTERS_MAX = 1200


class Players(asyncio.DatagramProtocol):
    """Hears players and answers them; what a datagram changed is durable before anybody is told.

    Attributes:
        moves: Where players want to be; the next tick takes them there.
    """

    def __init__(self, world: World, wal: Wal, change: Callable[[Record], None], *, move_to: str) -> None:
        self.moves: dict[str, tuple[int, int]] = {}
        self._world, self._wal, self._change = world, wal, change
        self._move_to = move_to
        self._inbox: asyncio.Queue[tuple[bytes, Address]] = asyncio.Queue(INBOX_MAX)
        self._transport: asyncio.DatagramTransport | None = None

    async def listen(self, host: str, port: int) -> int:
        """Open the port, 0 for any that is free, and return its number."""
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, (host, port))
        return int(self._transport.get_extra_info("sockname")[1])

    def datagram_received(self, data: bytes, address: Address) -> None:
        if not self._world.loaded:
            self._send("REFUSED loading", address)
        elif not self._inbox.full():
            self._inbox.put_nowait((data, address))

    async def hear(self) -> None:
        """Answer datagrams for ever. All that wait share one write to the disk."""
        while True:
            batch = [await self._inbox.get()]
            while not self._inbox.empty():
                batch.append(self._inbox.get_nowait())
            answers = [(self._answer(data, address), address) for data, address in batch]
            await self._wal.commit()
            for text, address in answers:
                if text:
                    self._send(text, address)

    def tell(self, player: Player | None, text: str) -> None:
        """Send a line to a player who has been heard."""
        if player is not None and player.address is not None:
            self._send(text, player.address)

    def send_away(self) -> None:
        """Tell all players where to go. Datagrams get lost, so this is said again and again."""
        for player in self._world.players.values():
            self.tell(player, f"GO {self._move_to}")

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def _send(self, text: str, address: Address) -> None:
        if self._transport is not None:
            self._transport.sendto(f"{text}\n".encode(), address)

    def _answer(self, data: bytes, address: Address) -> str:
        """Return the answer to a datagram; empty where a tick answers."""
        verb, *arguments = data.decode("ascii", "replace").split() or [""]
        if verb == "JOIN" and len(arguments) == 1 and NAME.fullmatch(arguments[0]):
            return self._join(arguments[0], address)
        world = self._world
        player = world.players.get(arguments[0]) if arguments else None
        if player is None:
            return "BYE" if verb == "LEAVE" and arguments else "ERROR unknown"
        player.heard_at, player.address = _now(), address
        match verb, arguments[1:]:
            case "PING", []:
                return f"PONG {world.ticks} {len(world.players)}"
            case "STATE", []:
                everybody = " ".join(f"{each.name}:{each.place[0]}:{each.place[1]}" for each in world.players.values())
                return f"STATE {world.ticks} {everybody}"[:STATE_CHARACTERS_MAX]
            case "MOVE", [x, y] if NUMBER.fullmatch(x) and NUMBER.fullmatch(y):
                self.moves[player.token] = int(x), int(y)
                return ""
            case "LEAVE", []:
                self._change({"op": "leave", "token": player.token, "why": "asked"})
                return "BYE"
        return "ERROR unknown"

    def _join(self, name: str, address: Address) -> str:
        world = self._world
        player = next((each for each in world.players.values() if each.name == name), None)
        if player is None:
            if reason := world.why_not_join():
                return f"REFUSED {reason}"
            token = secrets.token_hex(8)
            self._change({"op": "join", "name": name, "token": token})
            player = world.players[token]
            player.address = address
        elif player.address != address:
            return "REFUSED name-taken"
        player.heard_at = _now()
        return f"WELCOME {player.token} {player.place[0]} {player.place[1]}"


def _now() -> float:
    return asyncio.get_running_loop().time()
