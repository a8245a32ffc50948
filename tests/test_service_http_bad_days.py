"""What clients, clocks and killed processes do to a server, done to it."""

import asyncio
import contextlib
import gc
import logging
import os
import resource
import signal
import socket
import struct
import time
import tracemalloc
from collections import Counter
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import msgspec
import pytest

from aether_deploy.service.http.limits import Limits
from aether_deploy.service.http.peers import Peers
from aether_deploy.service.http.server import _within
from tests.http_cases import NEXT, READY, READY_TARGET, Talk, get, post, statuses, talk
from tests.http_server import HASTY, PATIENCE_SECS, Live, live, patient, process, until
from tests.router_cases import dead_port

LAST = get(READY_TARGET, b"Connection: close")
IDLE_CONNECTIONS = 10_000
BYTES_PER_IDLE_CONNECTION_MAX = 16_384


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(test)


async def drip(running: Live, sent: bytes, drops: list[int] | None = None, number: int = 0) -> bytes:
    """Send this, and then a byte now and then until the server ends it; return what it said.

    Each byte is noted in ``drops``, by the number of its client.
    """
    reader, writer = await running.open()
    hearing = asyncio.create_task(reader.read())
    writer.write(sent)
    for _ in range(1000):
        if hearing.done():
            break
        writer.write(b"a")
        if drops is not None:
            drops.append(number)
        await asyncio.sleep(0.05)
    heard = await patient(hearing)
    writer.close()
    return heard


def test_clients_that_drip_heads_are_ended_and_harm_nobody() -> None:
    clients = range(200)
    drops: list[int] = []

    def all_dripped_since(begin: int) -> bool:
        since = Counter(drops[begin:])
        return all(since[each] > 1 for each in clients)

    async def test() -> None:
        async with live(Limits(head_secs=10.0, tick_secs=0.05)) as running:
            core = running.server._core
            clock = Sleeper(core.now)  # what a machine does that stands still is not asked here
            core._loop = clock  # type: ignore[assignment]
            begun = b"GET / HTTP/1.1\r\nX-A: "
            dripping = [asyncio.create_task(drip(running, begun, drops, each)) for each in clients]
            await until(lambda: all_dripped_since(0))
            clock.now += 6
            await until(lambda: core.now == clock.now)
            later = len(drops)
            await until(lambda: all_dripped_since(later))
            assert statuses(await running.ask(LAST)) == [200]
            assert core.counts.timed_out == 0
            clock.now += 6
            heard = await patient(asyncio.gather(*dripping))

            assert [statuses(each) for each in heard] == [[408]] * len(clients)
            assert core.counts.timed_out == len(clients)
            assert statuses(await running.ask(LAST)) == [200]

    run(test())


def test_a_client_that_drips_a_body_is_ended() -> None:
    async def test() -> None:
        async with live(HASTY) as running:
            heard = await patient(drip(running, post(b"", b"Content-Length: 60000")))

            assert statuses(heard) == [408]
            assert b"the body of the request did not come in time" in heard
            assert running.server.counts.timed_out == 1

    run(test())


def test_a_client_that_says_nothing_is_ended() -> None:
    async def test() -> None:
        async with live(Limits(head_secs=2.0, idle_secs=0.2, tick_secs=0.05)) as running:
            silent, writer = await running.open()
            kept, kept_writer = await running.open()
            kept_writer.write(NEXT)

            assert await patient(silent.read()) == b""
            assert (await patient(kept.read())).endswith(READY)
            writer.close()
            kept_writer.close()

    run(test())


def test_a_client_that_never_reads_is_dropped() -> None:
    async def test() -> None:
        async with live(msgspec.structs.replace(HASTY, head_secs=10.0)) as running:
            with socket.create_connection(running.server.addresses[0]) as deaf:
                deaf.sendall(get(b"/large?bytes=1000000") * 20)
                await until(lambda: running.server.counts.dropped == 1)

                assert statuses(await running.ask(LAST)) == [200]
                assert running.server.counts.answered < 20

    run(test())


def test_a_client_that_only_sends_is_not_listened_to_for_ever() -> None:
    async def test() -> None:
        async with live(Limits(stall_secs=60, tick_secs=0.05, drain_secs=0.1)) as running:
            with socket.create_connection(running.server.addresses[0]) as deaf:
                deaf.setblocking(False)
                sent, full = 0, 0
                while sent < 200_000_000 and full < 20:
                    try:
                        sent += deaf.send(get(b"/large?bytes=10000") * 1000)
                        full = 0
                    except BlockingIOError:
                        full += 1
                        await asyncio.sleep(0.05)

                assert full == 20, "the server took everything"

    run(test())


def test_a_client_that_leaves_half_open_and_never_reads_is_dropped() -> None:
    told = talk(NEXT)
    told.wire.get_write_buffer_size = lambda: 10  # type: ignore[method-assign]
    told.wire.closing = True  # it said its last, and the answer waits
    aborted: list[bool] = []
    told.wire.abort = lambda: aborted.append(True)  # type: ignore[method-assign]
    told.core._loop = Sleeper(told.connection.deadline)  # type: ignore[assignment]
    told.core.tick()

    assert aborted == [True]
    assert told.core.counts.dropped == 1


def test_a_client_that_sends_thousands_of_orders_at_once_lets_others_through() -> None:
    async def test() -> None:
        async with live() as running:
            greedy, greedy_writer = await running.open()
            orders = 3000
            greedy_writer.write(post(b"hello", b"Content-Length: 5") * orders)
            await until(lambda: running.server.counts.answered > 0)
            assert statuses(await running.ask(LAST)) == [200]
            done = running.server.counts.answered
            for _ in range(orders):
                head = await patient(greedy.readuntil(b"\r\n\r\n"))
                await patient(greedy.readexactly(int(head.rpartition(b": ")[2])))
            greedy_writer.close()

            assert done < orders
            assert running.server.counts.answered == orders

    run(test())


def test_a_head_without_end_is_refused_before_it_is_kept() -> None:
    async def test() -> None:
        async with live() as running:
            heard = await running.ask(b"GET / HTTP/1.1\r\nX-A: " + b"a" * 1_000_000)

            assert statuses(heard) == [431]

    run(test())


def test_one_client_too_many_is_told_so() -> None:
    async def test() -> None:
        async with live(Limits(connections=3, tick_secs=0.05)) as running:
            held = [await running.open() for _ in range(3)]
            for reader, writer in held:
                writer.write(NEXT)
                await patient(reader.readuntil(READY))
            heard = await running.ask(NEXT)

            assert statuses(heard) == [503]
            assert b"Retry-After: 1" in heard
            held[0][1].close()
            await until(lambda: running.server.connections <= 2)
            assert statuses(await running.ask(LAST)) == [200]
            for _, writer in held:
                writer.close()

    run(test())


def test_one_address_cannot_have_all_connections() -> None:
    async def test() -> None:
        async with live(Limits(connections=100, peer_connections=3, tick_secs=0.05)) as running:
            held = [socket.create_connection(running.server.addresses[0]) for _ in range(3)]
            await until(lambda: running.server.connections == 3)
            heard = await running.ask(NEXT)

            assert statuses(heard) == [429]
            assert b"Retry-After: 1" in heard
            assert running.server.counts.refused_connections == 1
            with socket.create_connection(running.server.addresses[0], source_address=("127.0.0.2", 0)) as other:
                other.sendall(LAST)
                await until(lambda: running.server.counts.connections == 5)
                assert statuses(await asyncio.to_thread(other.recv, 4096)) == [200]
            for client in held:
                client.close()
            await until(lambda: running.server.connections == 0)
            assert statuses(await running.ask(LAST)) == [200]

    run(test())


def test_an_address_that_asks_for_far_too_many_connections_is_cut_and_others_are_served() -> None:
    async def test() -> None:
        async with live(Limits(peer_connections=1, tick_secs=0.05)) as running:
            clients = [socket.create_connection(running.server.addresses[0]) for _ in range(200)]
            await until(lambda: running.server.counts.connections == 200)

            await until(lambda: running.server.connections <= 66)
            with socket.create_connection(running.server.addresses[0], source_address=("127.0.0.2", 0)) as other:
                other.sendall(LAST)
                assert statuses(await asyncio.to_thread(other.recv, 4096)) == [200]
            for client in clients:
                client.close()

    run(test())


def test_a_process_that_may_open_few_files_keeps_what_one_client_may_have_in_proportion() -> None:
    few = _within(Limits(connections=16_000, peer_connections=4000), 800)

    assert (few.connections, few.peer_connections) == (800, 200)
    assert _within(Limits(peer_connections=1), 1).peer_connections == 1


def test_an_ipv6_network_of_64_bits_is_one_client() -> None:
    peers = Peers()

    assert [peers.take(each) for each in ("2001:db8::1", "2001:db8::ffff:2", "2001:db8:0:1::1")] == [1, 2, 1]
    assert [peers.take(each) for each in ("192.0.2.1", "192.0.2.2", "192.0.2.1", "fe80::1%eth0", "")] == [1, 1, 2, 1, 1]
    for each in ("2001:db8::9", "2001:db8::1", "2001:db8::1"):
        peers.give_back(each)
    assert (peers.held("2001:db8::1"), peers.held("192.0.2.1")) == (0, 2)


def test_far_too_many_clients_are_cut_without_an_answer() -> None:
    async def test() -> None:
        async with live(Limits(connections=1, tick_secs=0.05)) as running:
            clients = [socket.create_connection(running.server.addresses[0]) for _ in range(200)]
            await until(lambda: running.server.counts.connections == 200)

            await until(lambda: running.server.connections <= 66)
            assert running.server.counts.refused_connections == 199
            for client in clients:
                client.close()
            await until(lambda: running.server.connections == 0)
            assert statuses(await running.ask(LAST)) == [200]

    run(test())


@pytest.mark.parametrize("sent", [b"", b"GET / HT", post(b"hel", b"Content-Length: 5"), NEXT * 100, get(b"/events")])
def test_a_client_that_resets_leaves_nothing_behind(sent: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        async with live() as running:
            for _ in range(50):
                client = socket.create_connection(running.server.addresses[0])
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                client.sendall(sent)
                await asyncio.sleep(0)
                client.close()
            await until(lambda: running.server.connections == 0)

            assert running.application.subscribers == []
            assert statuses(await running.ask(LAST)) == [200]

    run(test())
    assert caplog.records == []


def test_a_failure_of_the_application_is_logged_with_its_cause(caplog: pytest.LogCaptureFixture) -> None:
    told = talk(get(b"/fails"))

    assert statuses(told.heard()) == [500]
    assert b"the application is broken" not in told.heard()
    (record,) = caplog.records
    assert record.getMessage() == "the answer to GET /fails failed"
    assert record.levelno == logging.ERROR
    assert "the application is broken" in str(record.exc_info)


def test_an_application_that_cannot_count_is_logged_and_still_answers(caplog: pytest.LogCaptureFixture) -> None:
    told = Talk()

    def fails(target: bytes) -> None:
        raise RuntimeError("no more ink")

    told.core.counted = fails
    told.say((NEXT, NEXT, NEXT + NEXT, get(READY_TARGET, b"X: y")))

    assert statuses(told.heard()) == [200] * 5
    assert len(caplog.records) == 5


def test_a_jump_of_the_wall_clock_ends_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    told = talk(NEXT)
    for jump in (86_400 * 365, -86_400 * 365):
        later = time.time() + jump
        monkeypatch.setattr("aether_deploy.service.http.core.time.time", lambda later=later: later)
        told.core.tick()
        told.say((NEXT,))

        assert not told.wire.closing
        year = time.gmtime(later).tm_year
        assert f" {year} ".encode() in told.wire.written[-1]


def test_a_machine_that_slept_ends_idle_connections_in_good_order() -> None:
    told = talk(NEXT)
    begun = told.connection.deadline
    told.core._loop = Sleeper(begun + 3600)  # type: ignore[assignment]
    told.core.tick()

    assert told.wire.closing
    assert told.core.counts.timed_out == 0


class Sleeper:
    def __init__(self, now: float) -> None:
        self.now = now

    def time(self) -> float:
        return self.now


@pytest.mark.real
def test_a_killed_server_is_seen_by_its_clients_and_restarts_at_once() -> None:
    with process(port=dead_port()) as (killed, port):
        clients = [socket.create_connection(("127.0.0.1", port), PATIENCE_SECS) for _ in range(50)]
        for client in clients:
            client.sendall(NEXT)
            assert client.recv(4096).endswith(READY)
        clients[0].sendall(b"GET / HT")
        killed.send_signal(signal.SIGKILL)
        for client in clients:
            with contextlib.suppress(ConnectionResetError):
                assert client.recv(1) == b""
        with process(port=port) as (_, again), socket.create_connection(("127.0.0.1", again), PATIENCE_SECS) as client:
            client.sendall(NEXT)

            assert again == port
            assert client.recv(4096).endswith(READY)
    for client in clients:
        client.close()


@pytest.mark.real
def test_a_server_ends_by_itself_when_it_is_told_to() -> None:
    with process() as (running, port):
        with socket.create_connection(("127.0.0.1", port), PATIENCE_SECS) as client:
            client.sendall(NEXT)
            client.recv(4096)
            running.send_signal(signal.SIGTERM)

            assert client.recv(1) == b""
        assert running.wait(PATIENCE_SECS) == 0


@pytest.mark.real
def test_ten_thousand_idle_connections_cost_little_and_harm_nobody() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = IDLE_CONNECTIONS + 500
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"this user may open {hard} files; to allow more: ulimit -Hn {wanted}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(wanted, soft), hard))
    clients: list[socket.socket] = []
    try:
        with process(Limits(head_secs=600)) as (running, port):
            before = _resident_bytes(running.pid)
            for number in range(IDLE_CONNECTIONS):
                origin = f"127.0.0.{number % 4 + 1}", 0  # one address may not have them all
                clients.append(socket.create_connection(("127.0.0.1", port), PATIENCE_SECS, origin))
            for client in clients[::100]:
                client.sendall(NEXT)
                assert client.recv(4096).endswith(READY)
            each = (_resident_bytes(running.pid) - before) / IDLE_CONNECTIONS
            print(f"{each:.0f} bytes for each of {IDLE_CONNECTIONS} idle connections")

            assert each < BYTES_PER_IDLE_CONNECTION_MAX
            assert len(os.listdir(f"/proc/{running.pid}/fd")) > IDLE_CONNECTIONS
            running.send_signal(signal.SIGTERM)
            assert running.wait(PATIENCE_SECS) == 0
    finally:
        for client in clients:
            client.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1]) * resource.getpagesize()


def test_fifty_thousand_requests_leave_nothing_behind() -> None:
    mixed = (NEXT + get(b"/b?c=d", b"X-A: b") + post(b"hello", b"Content-Length: 5") + get(b"/nothing") + NEXT) * 20
    ends = (LAST, b"GET /%", get(b"/%"), post(b"hel", b"Content-Length: 5"), get(b"/events"))

    async def round_of_requests(running: Live, connections: int) -> None:
        for place in range(connections):
            reader, writer = await running.open()
            writer.write(mixed + ends[place % len(ends)])
            writer.write_eof()
            await patient(reader.read())
            writer.close()
        await until(lambda: running.server.connections == 0)
        running.application.asked.clear()
        running.application.targets.clear()
        gc.collect()

    async def test() -> None:
        async with live() as running:
            await round_of_requests(running, 20)
            tracemalloc.start()
            await round_of_requests(running, 5)
            objects, kept = len(gc.get_objects()), tracemalloc.get_traced_memory()[0]
            await round_of_requests(running, 500)
            more_objects, more_kept = len(gc.get_objects()) - objects, tracemalloc.get_traced_memory()[0] - kept
            tracemalloc.stop()
            print(f"{more_objects} objects and {more_kept} bytes more after 50,000 requests")

            assert more_objects < 500
            assert more_kept < 100_000

    run(test())


def test_limits_of_the_bad_days_are_shorter_than_those_of_a_server() -> None:
    assert HASTY.head_secs < Limits().head_secs
    assert HASTY.stall_secs < Limits().stall_secs
