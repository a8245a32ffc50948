"""The contract of a world server, checked from outside. Nothing is changed unless that is asked for."""

import math
from typing import NamedTuple

from aether_deploy.contract.asking import NoReply, Reply, Target, ask, parse_address, parse_url, words_of
from aether_deploy.contract.exposition import Exposition, read_exposition
from aether_deploy.contract.game import GameClient
from aether_deploy.contract.observing import PROBE_TRIES, Server, Waits, are_worlds, numbers_of
from aether_deploy.contract.playing import check_drain, check_game
from aether_deploy.contract.rules import FLOOR, PLAYERS, REPLAYING, Verdict, fails, holds, judges, skips
from aether_deploy.problems import ConfigError, EffectError, shown

UNKNOWN_PATH = "/aether-contract-check-no-such-path"
FAULTS_SHOWN = 5


class UnreachableError(EffectError):
    """Nobody answers at the address that was given."""


class Report(NamedTuple):
    """What was found out about a server.

    Attributes:
        url: The server, as it was named.
        verdicts: One for each rule that was asked about, in the order of the contract.
    """

    url: str
    verdicts: list[Verdict]

    @property
    def is_kept(self) -> bool:
        """Whether no rule was seen broken."""
        return all(verdict.outcome != "fail" for verdict in self.verdicts)


def check_contract(url: str, *, udp: str | None = None, drain: bool = False, waits: Waits | None = None) -> Report:
    """Check what a running world server must offer.

    Args:
        url: The server's HTTP port: ``http://127.0.0.1:8080``.
        udp: Its players' port, HOST:PORT, if it speaks the protocol of examples/world-server: then one player joins,
            looks around and leaves.
        drain: Close the gate and open it, then drain the server for good.
        waits: How long is waited for what.

    Returns:
        A verdict for each rule. The server cannot make this fail or hang: whatever it does is a verdict.

    Raises:
        ConfigError: The addresses cannot be read.
        UnreachableError: Nobody takes the connection, or a host is not known.
    """
    target, problems = parse_url(url)
    game, more = (None, []) if udp is None else parse_address(udp, "--udp")
    if target is None or problems or more:
        raise ConfigError(problems + more)
    server = Server(target, waits or Waits())
    alive = server.probe("/healthz")
    if isinstance(alive, NoReply) and not alive.connected:
        raise UnreachableError(f"{target}: {alive.why}\n  fix: start the server, or name another one")
    ready = server.probe("/readyz")
    verdicts = [_healthz(alive, server.waits), _readyz(ready)]
    metrics, read = _metrics(server.scrape())
    verdicts += [_loading(ready, read), _own_paths(server), *metrics]
    is_ready = isinstance(ready, Reply) and ready.status == 200
    if game is not None:
        verdicts += check_game(server, _known(game), is_ready=is_ready)
    if drain:
        verdicts += check_drain(server, game, is_ready=is_ready)
    return Report(url, verdicts)


def _known(game: Target) -> Target:
    """Return the players' port, if this machine has a way there; whether anybody listens is a rule."""
    try:
        GameClient(game).close()
    except (OSError, UnicodeError) as error:
        raise UnreachableError(f"{game}: {words_of(error)}\n  fix: name another one with --udp") from error
    return game


def _healthz(alive: Reply | NoReply, waits: Waits) -> Verdict:
    if isinstance(alive, NoReply):
        return fails("healthz", f"{alive.why}, {PROBE_TRIES} times in a row")
    return judges("healthz", alive.status == 200, str(alive))


def _readyz(ready: Reply | NoReply) -> Verdict:
    if isinstance(ready, NoReply):
        return fails("readyz", f"{ready.why}, {PROBE_TRIES} times in a row")
    return judges("readyz", ready.status in (200, 503), str(ready))


def _loading(ready: Reply | NoReply, read: Exposition | None) -> Verdict:
    """Judge what was ready before the metrics were scraped: a replay that still goes on was going on then."""
    status = ready.status if isinstance(ready, Reply) else None
    replaying = [sample.value for sample in read.of(REPLAYING)] if read else []
    if any(replaying):
        return judges("loading", status != 200, f"{status or 'no answer'} while {REPLAYING} is {replaying[0]:g}")
    if status == 503:
        return holds("loading", "503: not loaded yet")
    return skips("loading", "no replay was seen; run this while the server starts")


def _own_paths(server: Server) -> Verdict:
    reply = ask(server.target, UNKNOWN_PATH, within_secs=server.waits.probe_secs)
    if isinstance(reply, NoReply):
        return skips("own-paths", reply.why)
    return judges("own-paths", not 200 <= reply.status < 400, f"{reply} for {UNKNOWN_PATH}")


def _metrics(reply: Reply | NoReply) -> tuple[list[Verdict], Exposition | None]:
    names = ("metrics-type", "player-count", "ordinal-floor")
    if isinstance(reply, NoReply) or reply.status != 200:
        return [fails("metrics", str(reply)), *(skips(name, "/metrics cannot be read") for name in names)], None
    kind = (reply.content_type or "").partition(";")[0].strip().lower()
    said = "no content type" if reply.content_type is None else shown(reply.content_type)
    typed = judges("metrics-type", kind == "text/plain", said)
    read = read_exposition(reply.body)
    if read.faults:
        some = "; ".join(read.faults[:FAULTS_SHOWN])
        more = " ..." if len(read.faults) > FAULTS_SHOWN else ""
        unread = [skips(name, "/metrics cannot be read") for name in names[1:]]
        return [fails("metrics", f"{some}{more}"), typed, *unread], None
    return [holds("metrics", f"200, {len(read.samples)} series"), typed, _player_count(read), _floor(read)], read


def _player_count(read: Exposition) -> Verdict:
    samples = read.of(PLAYERS)
    if fault := _gauge_fault(read, PLAYERS):
        return fails("player-count", fault)
    if not are_worlds(samples):
        return fails("player-count", f"{len(samples)} series that the label world does not tell apart")
    return holds("player-count", f"{numbers_of(read).players:g}")


def _floor(read: Exposition) -> Verdict:
    samples = read.of(FLOOR)
    if fault := _gauge_fault(read, FLOOR):
        return fails("ordinal-floor", fault)
    if len(samples) > 1:
        return fails("ordinal-floor", f"{len(samples)} series; a pod has one ordinal")
    players, floor = numbers_of(read).players, samples[0].value
    if floor != int(floor):
        return fails("ordinal-floor", f"{floor:g}, which is no number of replicas")
    if floor == 0 and players is not None and players > 0:
        return fails("ordinal-floor", f"0 while {PLAYERS} is {players:g}")
    return holds("ordinal-floor", f"{floor:g}")


def _gauge_fault(read: Exposition, name: str) -> str | None:
    values = [sample.value for sample in read.of(name)]
    wrong = [value for value in values if not math.isfinite(value) or value < 0]
    kind = read.kinds.get(name)
    if not values:
        return f"there is no {name}"
    if wrong:
        return f"{wrong[0]:g}"
    return None if kind == "gauge" else f"of type {kind}" if kind else "without a TYPE"
