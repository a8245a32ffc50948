"""A router's life: it reads, listens, probes, reads again on SIGHUP, and leaves without a lost answer on SIGTERM."""

import asyncio
import contextlib
import gc
import logging
import secrets
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Coroutine, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from aether_deploy.problems import ConfigError, EffectError, Problem, shown
from aether_deploy.routing.router_config import RouterConfig, RouterRegion
from aether_deploy.service.http.limits import Limits
from aether_deploy.service.http.server import Server, bind, serve_on
from aether_deploy.service.router.application import RouterApplication
from aether_deploy.service.router.deciding_log import DecisionLog
from aether_deploy.service.router.journal import Journal, Level
from aether_deploy.service.router.live import LiveRouter
from aether_deploy.service.router.probing import Prober, target_of
from aether_deploy.service.router.resolving import Resolver
from aether_deploy.service.router.rights import AdminToken
from aether_deploy.service.router.rounds import Rounds, courses_of, spread
from aether_deploy.service.router.signing import SigningKeys
from aether_deploy.service.router.writing import Descriptor, LineWriter

TICK_SECS = 1.0
LEAST_WAIT_SECS = 0.001
INTERRUPTED = 130


class Told(NamedTuple):
    """What a router is told; all of it is read again on SIGHUP.

    Attributes:
        config: Regions and rules.
        keys: What it signs with.
        token: What orders need.
        warnings: What stops nobody, and should be known.
    """

    config: RouterConfig
    keys: SigningKeys | None
    token: AdminToken | None
    warnings: tuple[Problem, ...] = ()


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What a router is started with, and keeps for its life.

    Attributes:
        host: Address to listen on; empty: every one.
        port: Port to listen on; 0: any.
        decision_log: Where decisions are noted.
        self_check: What it checks its own network by, a URL of http, https or tcp, instead of what it is told.
        drain_secs: How long it goes on to answer after SIGTERM, while endpoints forget it.
        limits: What clients are allowed. A drain there is short: with a pause before SIGTERM, ``drain_secs`` and the
            logs' last lines, all of it fits into the 30 seconds that Kubernetes gives.
        quiet: It says only what is wrong.
    """

    host: str
    port: int
    decision_log: Path | None = None
    self_check: str | None = None
    drain_secs: float = 5.0
    limits: Limits = Limits(drain_secs=10.0)
    quiet: bool = False


def checked(told: Told, settings: Settings) -> Told:
    """Return what a router is told, with a self-check that lies outside of all regions.

    Raises:
        ConfigError: The self-check asks a region: it falls silent with it, and then the router takes itself for blind.
    """
    url = settings.self_check or told.config.self_check
    host = None if url is None else target_of(url).host
    regions = [region.code for region in told.config.regions if host is not None and host in _hosts(region)]
    if not regions:
        return told
    path = "--self-check" if settings.self_check else "$.self_check"
    reason = f"asks {', '.join(regions)}, and must lie outside of all regions"
    fix = "name a host that none of them is reached by, such as the provider's own, or leave it out"
    raise ConfigError([Problem(path=path, reason=reason, fix=fix, value=shown(url))])


def _hosts(region: RouterRegion) -> Iterator[str]:
    """Yield the names that a region is reached by, in lower case."""
    if region.probe is not None:
        yield target_of(region.probe).host
    for name in (region.server_name, region.address):
        if name is not None:
            yield name.lower()


def serve_router(read: Callable[[], Told], settings: Settings) -> int:
    """Serve until told to end, and return the exit code: 0, or 130 after an interrupt.

    Args:
        read: Reads what the router is told; called again on SIGHUP, from another thread.
        settings: What it keeps.

    Raises:
        ConfigError: What it is told at the begin has faults.
        EffectError: It cannot listen, or its log cannot be written, or is written by another process.
    """
    asked_before: list[int] = []
    signal.signal(signal.SIGHUP, lambda number, _: asked_before.append(number))  # by default it would kill
    told = checked(read(), settings)
    gc.enable()  # a command that ends need not collect; this one does not end
    journal = Journal(LineWriter(Descriptor(sys.stderr.fileno()), name="journal"), wall=time.time, quiet=settings.quiet)
    server_log, heard = logging.getLogger("aether_deploy"), _ToJournal(journal)
    server_log.addHandler(heard)
    try:
        return asyncio.run(_live(read, told, settings, journal, asked_before))
    finally:
        server_log.removeHandler(heard)
        journal.close()


async def _live(
    read: Callable[[], Told], told: Told, settings: Settings, journal: Journal, asked_before: Sequence[int]
) -> int:
    """Take the port, then the log: a router that cannot begin writes nothing of it."""
    sockets = await bind(settings.host, settings.port)
    with contextlib.ExitStack() as held:
        for each in sockets:
            held.enter_context(contextlib.closing(each))
        decisions = None if settings.decision_log is None else DecisionLog(settings.decision_log, wall=time.time)
        if decisions is not None:
            held.callback(decisions.close)
        return await _Life(read, told, settings, journal, decisions).run(sockets, asked_before)


class _Life:
    """One router from its begin to its end."""

    def __init__(
        self,
        read: Callable[[], Told],
        told: Told,
        settings: Settings,
        journal: Journal,
        decisions: DecisionLog | None,
    ) -> None:
        self._read, self._told, self._settings, self._journal = read, told, settings, journal
        self._live = LiveRouter(
            told.config,
            told.keys,
            clock=time.monotonic,
            wall=time.time,
            journal=journal,
            decisions=decisions,
            life=f"{secrets.token_hex(4)}-",
        )
        self._application = RouterApplication(self._live, told.token)
        self._stopping = asyncio.Event()
        self._leave = asyncio.Event()
        self._closing: asyncio.Future[None] | None = None
        self._code = 0
        self._failure: BaseException | None = None
        self._reload_wanted = asyncio.Event()
        self._resolver = Resolver()
        self._prober = Prober(self._resolver)
        self._rounds = Rounds(self._prober, self._live.observe, self._fail)

    async def run(self, sockets: list[socket.socket], asked_before: Sequence[int]) -> int:
        self._listen_to_signals()
        if asked_before:
            self._reload_wanted.set()
        server = await serve_on(sockets, self._application, limits=self._settings.limits, stopping=self._stopping)
        self._application.server = server
        self._say_hello(server)
        self._warn(self._told)
        self._rounds.follow(courses_of(self._live.config))
        tasks = [self._task(each) for each in (self._follow_time(), self._tick(), self._reload(), self._check_self())]
        gc.collect()
        gc.freeze()  # what is there now stays: no collection needs to look at it again
        try:
            await self._leave.wait()
            await self._take_leave(server)
        finally:
            self._rounds.stop()
            for task in tasks:
                task.cancel()
            self._live.tick()
            self._resolver.close()
        if self._failure is not None:
            raise self._failure
        return self._code

    # --- what goes on beside answers

    def _task(self, what: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(what)
        task.add_done_callback(self._over)
        return task

    def _over(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(error)

    async def _follow_time(self) -> None:
        """Replace what changes by time alone when its time comes."""
        woken = asyncio.Event()
        self._live.changed = woken.set
        while True:
            self._live.refresh()
            woken.clear()
            at = self._live.next_change()
            wait = None if at is None else max(LEAST_WAIT_SECS, at - self._live.now)
            try:
                await asyncio.wait_for(woken.wait(), wait)
            except TimeoutError:
                continue

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_SECS)
            self._live.tick()

    async def _check_self(self) -> None:
        loop, number = asyncio.get_running_loop(), 0
        while True:
            began, health, url = loop.time(), self._live.config.health, self._self_check
            if url is not None:
                probed = await self._prober.probe(target_of(url), within_secs=health.timeout_ms / 1000)
                if url == self._self_check:  # else a reload took it away meanwhile, or brought another
                    self._live.self_check(url, probed)
            number += 1
            pause = health.interval_ms / 1000 * spread("", number)
            await asyncio.sleep(max(0.0, began + pause - loop.time()))

    @property
    def _self_check(self) -> str | None:
        return self._settings.self_check or self._live.config.self_check

    async def _reload(self) -> None:
        """Read everything again when told to: all of it, or nothing. What can fail is done before all is replaced."""
        while True:
            await self._reload_wanted.wait()
            self._reload_wanted.clear()
            try:
                told = checked(await asyncio.get_running_loop().run_in_executor(None, self._read), self._settings)
                courses, prepared = courses_of(told.config), self._live.prepare(told.config, told.keys)
            except Exception as error:  # whatever a new file does to its reader, this router goes on
                self._refuse_reload(error)
                continue
            asked = self._self_check
            self._live.go_on_by(prepared)
            if self._self_check != asked:
                self._live.forget_self_check()
            self._rounds.follow(courses)
            self._application.token = told.token
            self._live.counts.reloads["done"] += 1
            self._journal.say("reloaded", **self._live.summary())
            self._warn(told)

    def _refuse_reload(self, error: Exception) -> None:
        self._live.counts.reloads["refused"] += 1
        if isinstance(error, ConfigError):
            faults = [str(each) for each in error.problems]
        elif isinstance(error, (EffectError, OSError)):
            faults = [str(error)]
        else:
            faults = ["".join(traceback.format_exception(error))]
        self._journal.say("reload_refused", "error", problems=faults, kept="the configuration from before")

    # --- begin and end

    def _listen_to_signals(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, self._reload_wanted.set)
        loop.add_signal_handler(signal.SIGTERM, self._end, 0)
        loop.add_signal_handler(signal.SIGINT, self._end, INTERRUPTED)

    def _end(self, code: int) -> None:
        """End. Who says so twice, or by an interrupt, does not want to wait for endpoints; once more, for nobody."""
        if self._closing is not None:
            self._closing.cancel()
        if self._leave.is_set() or code == INTERRUPTED:
            self._stopping.set()
        self._code = self._code or code
        self._leave.set()

    def _fail(self, error: BaseException) -> None:
        """End by a mistake of ours: a new process does better than one that has stopped to look."""
        self._failure = self._failure or error
        self._stopping.set()
        self._leave.set()

    async def _take_leave(self, server: Server) -> None:
        self._application.leaving = True
        self._journal.say("leaving", drain_secs=self._settings.drain_secs)
        try:
            await asyncio.wait_for(self._stopping.wait(), self._settings.drain_secs)
        except TimeoutError:
            self._stopping.set()
        self._closing = asyncio.ensure_future(server.wait_closed())
        with contextlib.suppress(asyncio.CancelledError):
            await self._closing
        self._journal.say("ended")

    def _warn(self, told: Told) -> None:
        for problem in told.warnings:
            self._journal.say("warned", "warning", problem=str(problem))

    def _say_hello(self, server: Server) -> None:
        notes = []
        if self._application.token is None:
            notes.append("no orders are taken: start with --admin-token-file")
        if self._live.keys is None:
            notes.append("answers carry no signed bundle: start with --signing-key-file")
        if self._self_check is None:
            notes.append(
                "a blind router cannot tell itself from a dead world: give self_check, or start with --self-check"
            )
        if unasked := self._live.unasked:
            notes.append(
                f"nobody asks how {', '.join(unasked)} is, so it counts as healthy whatever happens: "
                "name routing.entry in the description, or give each region a probe"
            )
        listening = [f"{host}:{port}" for host, port in server.addresses]
        self._journal.say("listening", addresses=listening, port=server.port, notes=notes, **self._live.summary())


class _ToJournal(logging.Handler):
    """Brings what the server says into the journal."""

    def __init__(self, journal: Journal) -> None:
        super().__init__(logging.WARNING)
        self._journal = journal

    def emit(self, record: logging.LogRecord) -> None:
        trace = {} if record.exc_info is None else {"trace": self.format(record)}
        level: Level = "error" if record.levelno >= logging.ERROR else "warning"
        self._journal.say("server", level, text=record.getMessage(), **trace)
