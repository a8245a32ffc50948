"""A world server in this process that keeps the contract, and one class for each way of breaking a rule of it."""

import json
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ORDINAL = 4
GONE_SECS = 90.0


class FakeWorld:
    """A world without a log; what a subclass overrides is what it breaks."""

    def __init__(self) -> None:
        self.players: dict[str, str] = {}
        self.joinable_replicas: int | None = None
        self.draining = False
        self.asked: list[str] = []
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.bind(("127.0.0.1", 0))
        world = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                world.asked.append(f"GET {self.path}")
                self.say(*world.get(self.path))

            def do_POST(self) -> None:
                world.asked.append(f"POST {self.path}")
                body = self.rfile.read(int(self.headers["Content-Length"]))
                world.joinable_replicas = json.loads(body)["joinable_replicas"]
                self.say(*world.get(self.path))

            def say(self, status: int, text: str, content_type: str | None = "text/plain") -> None:
                self.send_response(status)
                if content_type is not None:
                    self.send_header("Content-Type", content_type)
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    @property
    def udp(self) -> str:
        return f"127.0.0.1:{self._udp.getsockname()[1]}"

    def run(self) -> Callable[[], None]:
        """Serve from now on; return what ends it."""
        ended = threading.Event()
        threads = [threading.Thread(target=self._http.serve_forever, args=(0.02,)),
                   threading.Thread(target=self._hear, args=(ended,))]  # fmt: skip
        for thread in threads:
            thread.start()

        def end() -> None:
            ended.set()
            self._http.shutdown()
            self._http.server_close()
            for thread in threads:
                thread.join()
            self._udp.close()

        return end

    def _hear(self, ended: threading.Event) -> None:
        self._udp.settimeout(0.02)
        while not ended.is_set():
            try:
                data, address = self._udp.recvfrom(2048)
            except OSError:
                continue
            for text in self.answer(data.decode().split()):
                self._udp.sendto(f"{text}\n".encode(), address)

    # --- what it promises

    def get(self, path: str) -> tuple[Any, ...]:
        match path:
            case "/healthz":
                return self.health(), ""
            case "/readyz":
                return self.ready(), ""
            case "/metrics":
                return 200, self.metrics(), self.content_type()
            case "/admission":
                return 200, json.dumps({"ordinal": ORDINAL, "joinable_replicas": self.joinable_replicas})
            case "/drain":
                self.draining = True
                return self.drained(), ""
        return self.unknown(), ""

    def health(self) -> int:
        return 200

    def ready(self) -> int:
        return 200

    def unknown(self) -> int:
        return 404

    def content_type(self) -> str | None:
        return "text/plain; version=0.0.4"

    def count(self) -> float:
        return len(self.players)

    def floor(self) -> float:
        return ORDINAL + 1 if self.players else 0

    def metrics(self) -> str:
        return (
            f"# TYPE aether_world_player_count gauge\naether_world_player_count {self.count()}\n"
            f"# TYPE aether_world_ordinal_floor gauge\naether_world_ordinal_floor {self.floor()}\n"
        )

    def drained(self) -> int:
        deadline = time.monotonic() + GONE_SECS
        while self.players and time.monotonic() < deadline:
            time.sleep(0.01)
        return 200

    def may_join(self) -> bool:
        return not self.draining and not self.is_closed()

    def is_closed(self) -> bool:
        return self.joinable_replicas is not None and self.joinable_replicas <= ORDINAL

    def sends_away(self) -> bool:
        return self.draining

    def answer(self, words: list[str]) -> Iterator[str]:
        match words:
            case ["JOIN", name] if name in self.players.values():
                yield next(f"WELCOME {token} 0 0" for token, known in self.players.items() if known == name)
            case ["JOIN", name] if self.may_join():
                token = secrets.token_hex(8)
                self.players[token] = name
                yield f"WELCOME {token} 0 0"
            case ["JOIN", _]:
                yield "REFUSED no"
            case ["PING", token] if token in self.players:
                if self.sends_away():
                    yield "GO elsewhere"
                yield "PONG 0 0"
            case ["LEAVE", token]:
                self.players.pop(token, None)
                yield "BYE"
            case _:
                yield "ERROR unknown"


@contextmanager
def serving(world: FakeWorld) -> Iterator[FakeWorld]:
    """Let a world serve inside the block."""
    end = world.run()
    try:
        yield world
    finally:
        end()


# --- one rule broken


class Unhealthy(FakeWorld):
    def health(self) -> int:
        return 500


class MovedHealth(FakeWorld):
    def health(self) -> int:
        return 302


class UnreadyByAnotherStatus(FakeWorld):
    def ready(self) -> int:
        return 404


class ReadyWhileReplaying(FakeWorld):
    def metrics(self) -> str:
        return super().metrics() + "# TYPE aether_world_wal_replaying gauge\naether_world_wal_replaying 1\n"


class SuccessEverywhere(FakeWorld):
    def unknown(self) -> int:
        return 200


class UnreadableMetrics(FakeWorld):
    def metrics(self) -> str:
        return super().metrics() + "aether_world_tick_hz fast\n"


class MetricsAsPage(FakeWorld):
    def content_type(self) -> str | None:
        return "text/html"


class MetricsWithoutType(FakeWorld):
    def content_type(self) -> str | None:
        return None


class CountBelowZero(FakeWorld):
    def count(self) -> float:
        return -1


class CountNotFinite(FakeWorld):
    def count(self) -> float:
        return float("nan")


class CountMissing(FakeWorld):
    def metrics(self) -> str:
        return super().metrics().replace("player_count", "crowd")


class CountAsCounter(FakeWorld):
    def metrics(self) -> str:
        return super().metrics().replace("player_count gauge", "player_count counter")


class CountUntyped(FakeWorld):
    def metrics(self) -> str:
        return super().metrics().replace("# TYPE aether_world_player_count gauge\n", "")


class CountTwice(FakeWorld):
    def metrics(self) -> str:
        line = "aether_world_player_count"
        return super().metrics().replace(f"\n{line} ", f'\n{line}{{room="1"}} 0\n{line}{{room="2"}} ')


class FloorMissing(FakeWorld):
    def metrics(self) -> str:
        return super().metrics().replace("ordinal_floor", "ground")


class FloorBelowPlayers(FakeWorld):
    def count(self) -> float:
        return super().count() + 1


class FloorOfParts(FakeWorld):
    def floor(self) -> float:
        return 4.5


class CountOfNobody(FakeWorld):
    def count(self) -> float:
        return 0


class FloorOfNobody(FakeWorld):
    def floor(self) -> float:
        return 0


class UnreadyWithPlayers(FakeWorld):
    def ready(self) -> int:
        return 503 if self.players else 200


class CountOfEverybodyEver(FakeWorld):
    ever = 0

    def count(self) -> float:
        self.ever = max(self.ever, len(self.players))
        return self.ever


class FloorForEver(FakeWorld):
    ever = 0.0

    def floor(self) -> float:
        self.ever = max(self.ever, super().floor())
        return self.ever


class GateOfAir(FakeWorld):
    def is_closed(self) -> bool:
        return False


class GateThatStaysClosed(FakeWorld):
    was_closed = False

    def is_closed(self) -> bool:
        self.was_closed = self.was_closed or super().is_closed()
        return self.was_closed


class JoinsWhileDraining(FakeWorld):
    def may_join(self) -> bool:
        return not self.is_closed()


class DrainsInSilence(FakeWorld):
    def sends_away(self) -> bool:
        return False


class UnhealthyWhileDraining(FakeWorld):
    def health(self) -> int:
        return 500 if self.draining else 200


class UnreadyWhileDraining(FakeWorld):
    def ready(self) -> int:
        return 503 if self.draining else 200


class DrainThatDoesNotWait(FakeWorld):
    def drained(self) -> int:
        return 200


class DrainForTheFirstOnly(FakeWorld):
    def drained(self) -> int:
        return super().drained() if self.asked.count("GET /drain") == 1 else 409


class NoDrain(FakeWorld):
    def get(self, path: str) -> tuple[Any, ...]:
        return (404, "") if path == "/drain" else super().get(path)


class FloorAfterDrain(FakeWorld):
    def floor(self) -> float:
        return ORDINAL + 1 if self.draining else super().floor()


LOOKED_AT: dict[type[FakeWorld], str] = {
    Unhealthy: "healthz",
    MovedHealth: "healthz",
    UnreadyByAnotherStatus: "readyz",
    ReadyWhileReplaying: "loading",
    SuccessEverywhere: "own-paths",
    UnreadableMetrics: "metrics",
    MetricsAsPage: "metrics-type",
    MetricsWithoutType: "metrics-type",
    CountBelowZero: "player-count",
    CountNotFinite: "player-count",
    CountMissing: "player-count",
    CountAsCounter: "player-count",
    CountUntyped: "player-count",
    CountTwice: "player-count",
    FloorMissing: "ordinal-floor",
    FloorBelowPlayers: "ordinal-floor",
    FloorOfParts: "ordinal-floor",
}
PLAYED: dict[type[FakeWorld], str] = {
    CountOfNobody: "join-counted",
    FloorOfNobody: "join-floor",
    UnreadyWithPlayers: "ready-with-players",
    CountOfEverybodyEver: "leave-counted",
    FloorForEver: "leave-floor",
}
DRAINED: dict[type[FakeWorld], str] = {
    GateOfAir: "gate",
    GateThatStaysClosed: "gate",
    JoinsWhileDraining: "drain-refuses",
    DrainsInSilence: "drain-tells",
    UnhealthyWhileDraining: "drain-healthz",
    UnreadyWhileDraining: "drain-readyz",
    DrainThatDoesNotWait: "drain-waits",
    DrainForTheFirstOnly: "drain-ends",
    NoDrain: "drain-ends",
    FloorAfterDrain: "drain-floor",
}
