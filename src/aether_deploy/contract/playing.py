"""The rules that only a player sees: one joins, and with ``--drain`` sees the world off."""

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator

from aether_deploy.contract.asking import NoReply, Reply, Target, ask
from aether_deploy.contract.game import GameClient, Joined, NotJoined
from aether_deploy.contract.observing import POLL_SECS, Numbers, Server
from aether_deploy.contract.rules import FLOOR, PLAYERS, Verdict, fails, holds, judges, skips

_JOINED = ("join-counted", "join-floor", "ready-with-players", "leave-counted", "leave-floor")
_DRAINED_PLAYER = ("drain-refuses", "drain-tells", "drain-waits")
_DRAINED = ("drain-healthz", "drain-readyz", "drain-ends", "drain-floor")
DRAINS = 2


def check_game(server: Server, target: Target, *, is_ready: bool) -> Iterator[Verdict]:
    """Join, look around and leave."""
    if not is_ready:
        yield from (skips(rule, "the world is not ready") for rule in ("game-port", *_JOINED))
        return
    before = server.numbers()
    with contextlib.closing(GameClient(target)) as player:
        joined = player.join(server.waits.game_secs)
        yield _port(joined, target)
        if isinstance(joined, NotJoined):
            yield from (skips(rule, joined.why) for rule in _JOINED)
            return
        counted = _wait_for_count(server, player, before)
        yield _counted(server, before.players, counted)
        yield from _while_on(server, player, before, counted)
        player.leave(server.waits.game_secs)
    yield from _after_leaving(server, before, was_counted=counted is not None)


def _port(joined: Joined | NotJoined, target: Target) -> Verdict:
    if isinstance(joined, NotJoined) and joined.closed:
        return fails("game-port", joined.why)
    if isinstance(joined, NotJoined) and not joined.refused:
        return skips("game-port", f"{joined.why}; only the protocol of examples/world-server can be spoken from here")
    return holds("game-port", f"UDP {target} answers")


def _wait_for_count(server: Server, player: GameClient, before: Numbers) -> Numbers | None:
    base = before.players
    return None if base is None else server.until(lambda now: (now.players or 0) > base, _staying(server, player))


def _staying(server: Server, player: GameClient) -> Callable[[], object]:
    return lambda: player.ping(server.waits.game_secs)


def _while_on(server: Server, player: GameClient, before: Numbers, seen: Numbers | None) -> Iterator[Verdict]:
    if before.floor is None:
        yield skips("join-floor", f"there is no {FLOOR}")
    else:
        up = seen if seen and seen.floor else server.until(lambda now: bool(now.floor), _staying(server, player))
        yield judges("join-floor", up is not None, f"{up.floor:g}" if up and up.floor else "0 with a player on")
    ready = server.probe("/readyz")
    yield judges("ready-with-players", isinstance(ready, Reply) and ready.status == 200, str(ready))


def _counted(server: Server, base: float | None, seen: Numbers | None) -> Verdict:
    if base is None:
        return skips("join-counted", f"there is no {PLAYERS}")
    if seen is None:
        return fails("join-counted", f"{PLAYERS} is not above {base:g} after {server.waits.change_secs:g} s")
    return holds("join-counted", f"{base:g}, then {seen.players:g}")


def _after_leaving(server: Server, before: Numbers, *, was_counted: bool) -> Iterator[Verdict]:
    base = before.players
    if base is None or not was_counted:
        yield from (skips(rule, "joining was not counted") for rule in ("leave-counted", "leave-floor"))
        return
    left = server.until(lambda now: now.players is not None and now.players <= base)
    late = f"after {server.waits.change_secs:g} s"
    if left is None:
        yield fails("leave-counted", f"{PLAYERS} is still above {base:g} {late}")
        yield skips("leave-floor", "leaving was not counted")
        return
    yield holds("leave-counted", f"{left.players:g}")
    if left.players or before.floor is None:
        yield skips("leave-floor", "others are in the world" if left.players else f"there is no {FLOOR}")
        return
    down = server.until(lambda now: now.floor == 0)
    yield judges("leave-floor", down is not None, "0" if down else f"not 0 {late} without players")


# --- what cannot be undone


def check_drain(server: Server, target: Target | None, *, is_ready: bool) -> Iterator[Verdict]:
    """Close the gate and open it again, then drain the server with a player on, if it can be joined."""
    if not is_ready:
        yield from (skips(rule, "the world is not ready") for rule in ("gate", *_DRAINED_PLAYER, *_DRAINED))
        return
    with contextlib.ExitStack() as stack:
        player, why = None, "no players' port was given; --udp names it"
        if target is not None:
            player = stack.enter_context(contextlib.closing(GameClient(target)))
            joined = player.join(server.waits.game_secs)
            if isinstance(joined, NotJoined):
                player, why = None, joined.why
        yield _gate(server, target, player, why)
        yield from _drain(server, target, player, why)


def _gate(server: Server, target: Target | None, player: GameClient | None, why: str) -> Verdict:
    if player is None or target is None:
        return skips("gate", why)
    found = _admission(server)
    if isinstance(found, NoReply) or found.status == 404:
        return skips("gate", f"{found} for /admission; nothing keeps players off a pod that is about to go")
    with contextlib.suppress(ValueError, TypeError, KeyError):
        said = json.loads(found.body)
        ordinal, before = int(said["ordinal"]), said["joinable_replicas"]
        return _close_and_open(server, target, player, ordinal, before)
    return fails("gate", f"{found} for /admission, without ordinal and joinable_replicas")


def _close_and_open(server: Server, target: Target, player: GameClient, ordinal: int, before: object) -> Verdict:
    closed = _admission(server, ordinal)
    if not isinstance(closed, Reply) or closed.status != 200:
        return fails("gate", f"{closed} for POST /admission")
    while_closed, stays = _try_to_join(server, target), player.ping(server.waits.game_secs)
    _admission(server, before)
    afterwards = _try_to_join(server, target)
    if isinstance(while_closed, Joined):
        return fails("gate", "closed, and somebody could join")
    if not stays:
        return fails("gate", "closed, and the player who was in is out")
    if isinstance(afterwards, NotJoined):
        return fails("gate", f"open again, and {afterwards.why}")
    return holds("gate", f"closed: {while_closed.why}; open again: joined")


def _admission(server: Server, *replicas: object) -> Reply | NoReply:
    """Ask for the state of the gate, or set it."""
    body = json.dumps({"joinable_replicas": replicas[0]}).encode() if replicas else b""
    method = "POST" if replicas else "GET"
    return ask(server.target, "/admission", within_secs=server.waits.scrape_secs, method=method, body=body)


def _try_to_join(server: Server, target: Target) -> Joined | NotJoined:
    with contextlib.closing(GameClient(target)) as another:
        joined = another.join(server.waits.game_secs)
        if isinstance(joined, Joined):
            another.leave(server.waits.game_secs)
        return joined


class _Drains:
    """Calls of /drain that wait, all at a time."""

    def __init__(self, server: Server) -> None:
        self.replies: list[Reply | NoReply] = []
        self._server = server
        self._threads = [threading.Thread(target=self._call, daemon=True) for _ in range(DRAINS)]
        for thread in self._threads:
            thread.start()

    def _call(self) -> None:
        self.replies.append(ask(self._server.target, "/drain", within_secs=self._server.waits.grace_secs))

    def wait(self) -> None:
        for thread in self._threads:
            thread.join()

    @property
    def ended(self) -> bool:
        """Whether one was answered as a drain that is over."""
        return any(isinstance(each, Reply) and each.status == 200 for each in list(self.replies))

    @property
    def refused(self) -> Reply | NoReply | None:
        """An answer that is no drain."""
        return next((each for each in list(self.replies) if isinstance(each, NoReply) or each.status != 200), None)


def _drain(server: Server, target: Target | None, player: GameClient | None, why: str) -> Iterator[Verdict]:
    drains = _Drains(server)
    if player is None or target is None:
        drains.wait()
        yield from (skips(rule, why) for rule in _DRAINED_PLAYER)
    else:
        yield from _drain_with_player(server, target, player, drains)
    for rule, path in (("drain-healthz", "/healthz"), ("drain-readyz", "/readyz")):
        reply = server.probe(path)
        yield judges(rule, isinstance(reply, Reply) and reply.status == 200, str(reply))
    if player is not None:
        player.leave(server.waits.game_secs)
    drains.wait()
    bad = drains.refused
    yield judges("drain-ends", bad is None, str(bad) if bad else f"{DRAINS} calls, {DRAINS} times 200")
    if bad is not None:
        yield skips("drain-floor", "the drain did not end")
        return
    empty = server.until(lambda now: now.floor == 0)
    yield judges("drain-floor", empty is not None, "0" if empty else f"not 0 after {server.waits.change_secs:g} s")


def _drain_with_player(server: Server, target: Target, player: GameClient, drains: _Drains) -> Iterator[Verdict]:
    deadline = time.monotonic() + server.waits.change_secs
    while isinstance(joined := _try_to_join(server, target), Joined) and time.monotonic() < deadline:
        if drains.refused is not None:
            break
        time.sleep(POLL_SECS)
    if (bad := drains.refused) is not None:
        yield from (skips(rule, f"{bad} for /drain") for rule in _DRAINED_PLAYER)
        return
    said = joined.why if isinstance(joined, NotJoined) else f"joined {server.waits.change_secs:g} s after /drain"
    yield judges("drain-refuses", isinstance(joined, NotJoined), said)
    time.sleep(server.waits.probe_secs)  # an answer that comes at once has come by now
    waits = not drains.ended
    deadline = time.monotonic() + server.waits.change_secs
    while not player.sent_away and time.monotonic() < deadline:
        player.ping(server.waits.game_secs)
        time.sleep(POLL_SECS)
    yield judges("drain-tells", player.sent_away, "sent away" if player.sent_away else "nothing was said to the player")
    yield judges("drain-waits", waits, "waited" if waits else "answered while a player was on")
