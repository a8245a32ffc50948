"""A server on real sockets: order, keeping and ending connections, streams, and how it stops."""

import asyncio
import contextlib
import socket
from collections.abc import Coroutine
from typing import Any

import pytest

from aether_deploy.problems import EffectError
from aether_deploy.service.http.limits import Limits
from aether_deploy.service.http.server import serve
from tests.http_cases import NEXT, READY, READY_TARGET, Echo, get, post, statuses
from tests.http_server import CALM, live, patient, until

LAST = get(READY_TARGET, b"Connection: close")


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(test)


def test_a_connection_stays_open_for_many_requests() -> None:
    async def test() -> None:
        async with live() as running:
            reader, writer = await running.open()
            for _ in range(50):
                writer.write(NEXT)
                head = await patient(reader.readuntil(b"\r\n\r\n"))
                body = await patient(reader.readexactly(len(READY)))

                assert statuses(head) == [200]
                assert body == READY
            writer.close()
            assert running.server.counts.connections == 1

    run(test())


def test_thousands_of_requests_in_one_go_are_answered_in_order() -> None:
    async def test() -> None:
        async with live() as running:
            many = b"".join(NEXT if place % 3 else get(b"/large?bytes=%d" % (place % 97)) for place in range(6000))
            heard = await running.ask(many + LAST)

            assert statuses(heard) == [200] * 6001
            lengths = [int(part.partition(b"\r\n")[0]) for part in heard.split(b"Content-Length: ")[1:]]
            assert lengths[:-1] == [len(READY) if place % 3 else place % 97 for place in range(6000)]

    run(test())


def test_answers_wait_for_a_client_that_does_not_read_yet() -> None:
    async def test() -> None:
        async with live() as running:
            reader, writer = await running.open()
            for _ in range(40):
                writer.write(get(b"/large?bytes=1000000"))
            writer.write(LAST)
            await asyncio.sleep(0.3)
            given = running.server.counts.answered

            heard = await patient(reader.read())
            writer.close()
            assert given < 40
            assert len(heard) > 40_000_000
            assert statuses(heard[-400:])[-1] == 200
            assert running.server.counts.answered == 40

    run(test())


def test_a_half_closed_client_gets_every_answer() -> None:
    async def test() -> None:
        async with live() as running:
            reader, writer = await running.open()
            writer.write(get(b"/large?bytes=1000000") * 5 + NEXT)
            writer.write_eof()
            heard = await patient(reader.read())
            writer.close()

            assert len(heard) > 5_000_000
            assert heard.endswith(READY)

    run(test())


def test_a_client_that_waits_is_told_to_go_on() -> None:
    async def test() -> None:
        async with live() as running:
            reader, writer = await running.open()
            writer.write(post(b"", b"Content-Length: 5", b"Expect: 100-continue"))

            assert await patient(reader.readuntil(b"\r\n\r\n")) == b"HTTP/1.1 100 Continue\r\n\r\n"
            writer.write(b"hello")
            assert statuses(await patient(reader.readuntil(b"\r\n\r\n"))) == [200]
            writer.close()

    run(test())


def test_an_error_is_readable_though_the_client_still_sends() -> None:
    async def test() -> None:
        async with live() as running:
            for _ in range(20):
                heard = await running.ask(b"GET /% HTTP/1.1\r\nHost: a\r\n\r\n" + b"x" * 100_000)

                assert statuses(heard) == [400]

    run(test())


def test_a_port_that_is_taken_is_an_error_with_a_way_out() -> None:
    async def test() -> None:
        async with live() as running:
            with pytest.raises(
                EffectError, match=r"cannot listen on 127\.0\.0\.1:\d+: Address.* in use\n  fix: "
            ) as told:
                await serve(Echo(), host="127.0.0.1", port=running.server.port, limits=CALM, stopping=asyncio.Event())

            assert str(running.server.port) in str(told.value)

    run(test())


def test_an_address_that_is_not_here_is_an_error_with_a_way_out() -> None:
    async def test() -> None:
        with pytest.raises(EffectError, match=r"cannot listen on 192\.0\.2\.1:0: .*\n  fix: "):
            await serve(Echo(), host="192.0.2.1", port=0, limits=CALM, stopping=asyncio.Event())

    run(test())


def test_ipv6_is_served() -> None:
    if not socket.has_dualstack_ipv6():
        pytest.skip("this machine has no IPv6; enable it with sysctl net.ipv6.conf.all.disable_ipv6=0")

    async def test() -> None:
        async with live(host="::1") as running:
            assert statuses(await running.ask(LAST)) == [200]
            assert running.server.addresses[0][0] == "::1"

    run(test())


def test_every_address_is_served_on_one_port() -> None:
    async def test() -> None:
        async with live(host="") as running:
            families = [socket.AF_INET] + [socket.AF_INET6] * socket.has_dualstack_ipv6()
            assert {port for _, port in running.server.addresses} == {running.server.port}
            for family in families:
                local = "127.0.0.1" if family == socket.AF_INET else "::1"
                reader, writer = await asyncio.open_connection(local, running.server.port)
                writer.write(LAST)
                assert statuses(await patient(reader.read())) == [200]
                writer.close()

    run(test())


def test_processes_may_share_a_port() -> None:
    async def test() -> None:
        stopping = asyncio.Event()
        one = await serve(Echo(), host="127.0.0.1", port=0, limits=CALM, stopping=stopping, reuse_port=True)
        other = await serve(Echo(), host="127.0.0.1", port=one.port, limits=CALM, stopping=stopping, reuse_port=True)
        stopping.set()
        await patient(one.wait_closed())
        await patient(other.wait_closed())

        assert one.port == other.port

    run(test())


# -- streams


def test_a_stream_gets_what_is_sent_until_its_client_goes() -> None:
    async def test() -> None:
        async with live() as running:
            reader, writer = await running.open()
            writer.write(get(b"/events"))
            head = await patient(reader.readuntil(b"\r\n\r\n"))
            assert b"Content-Type: text/event-stream\r\n" in head
            assert await patient(reader.readuntil(b"\n\n")) == b"data: welcome\n\n"
            assert running.server.streams == 1

            running.application.subscribers[0](b"data: 1\n\n")
            assert await patient(reader.readuntil(b"\n\n")) == b"data: 1\n\n"
            writer.close()
            await until(lambda: not running.application.subscribers)
            assert running.server.streams == 0

    run(test())


def test_a_quiet_stream_gives_signs_of_life() -> None:
    async def test() -> None:
        async with live(Limits(heartbeat_secs=0.1, tick_secs=0.05)) as running:
            reader, writer = await running.open()
            writer.write(get(b"/events"))
            await patient(reader.readuntil(b"welcome\n\n"))

            assert await patient(reader.readexactly(9)) == b":\n\n" * 3
            writer.close()

    run(test())


def test_a_stream_that_is_not_read_is_dropped_and_the_others_go_on() -> None:
    async def test() -> None:
        limits = Limits(stream_bytes=100_000, stall_secs=600, tick_secs=0.05)
        async with live(limits) as running:
            deaf = socket.create_connection(running.server.addresses[0])
            deaf.sendall(get(b"/events"))
            reader, writer = await running.open()
            writer.write(get(b"/events"))
            await until(lambda: len(running.application.subscribers) == 2)
            await patient(reader.readuntil(b"welcome\n\n"))
            sent = 0
            while len(running.application.subscribers) == 2 and sent < 10_000:
                for send in list(running.application.subscribers):
                    send(b"data: %s\n\n" % (b"x" * 10_000))
                sent += 1
                await patient(reader.readuntil(b"\n\n"))

            running.application.subscribers[0](b"data: still here\n\n")
            assert await patient(reader.readuntil(b"\n\n")) == b"data: still here\n\n"
            assert running.server.counts.dropped == 1
            assert limits.stream_bytes < sent * 10_000 < 100_000_000
            writer.close()
            deaf.close()

    run(test())


def test_one_stream_too_many_is_told_so() -> None:
    async def test() -> None:
        async with live(Limits(streams=1, tick_secs=0.05)) as running:
            _, writer = await running.open()
            writer.write(get(b"/events"))
            await until(lambda: running.server.streams == 1)
            heard = await running.ask(get(b"/events", b"Connection: close"))

            assert statuses(heard) == [503]
            assert b"Retry-After: 5" in heard
            writer.close()

    run(test())


def test_one_address_cannot_have_all_streams() -> None:
    async def test() -> None:
        async with live(Limits(peer_streams=1, tick_secs=0.05)) as running:
            _, writer = await running.open()
            writer.write(get(b"/events"))
            await until(lambda: running.server.streams == 1)
            heard = await running.ask(get(b"/events", b"Connection: close"))
            with socket.create_connection(running.server.addresses[0], source_address=("127.0.0.2", 0)) as other:
                other.sendall(get(b"/events"))
                await until(lambda: running.server.streams == 2)

            assert statuses(heard) == [429]
            assert b"Retry-After: 5" in heard
            writer.close()
            await until(lambda: running.server.streams == 0)
            assert running.server._core._streaming._held == {}

    run(test())


def test_a_request_that_waited_behind_another_gets_the_answer_of_now() -> None:
    async def test() -> None:
        async with live() as running:
            reader, writer = await running.open()
            writer.write(NEXT)
            await patient(reader.readuntil(READY))
            begun = post(b"{}", b"Content-Length: 2")
            writer.write(begun[:-2])  # its body comes late, and with it the next request
            await until(lambda: running.server._core.open.copy().pop()._head is not None)
            old = running.application.ready[READY_TARGET]
            running.application.ready = {READY_TARGET: old.replace(b"us-east-1", b"eu-west-1")}
            writer.write(begun[-2:] + NEXT)

            told = await patient(reader.readuntil(b'-west-1"}'))
            assert b"us-east-1" not in told
            writer.close()

    run(test())


def test_a_head_request_of_a_stream_opens_none() -> None:
    async def test() -> None:
        async with live() as running:
            heard = await running.ask(b"HEAD /events HTTP/1.1\r\nHost: a\r\n\r\n")

            assert statuses(heard) == [200]
            assert heard.endswith(b"\r\n\r\n")
            assert running.application.subscribers == []

    run(test())


# -- stopping


def test_a_server_that_stops_answers_what_is_on_its_way() -> None:
    async def test() -> None:
        async with live() as running:
            reader, writer = await running.open()
            writer.write(post(b"hel", b"Content-Length: 5"))
            await until(lambda: any(each._head is not None for each in running.server._core.open))
            running.stopping.set()
            await until(lambda: not running.server.listening)
            writer.write(b"lo")
            heard = await patient(reader.read())
            writer.close()

            assert statuses(heard) == [200]
            assert b"Connection: close\r\n" in heard
            await patient(running.server.wait_closed())

    run(test())


def test_busy_clients_lose_no_request_when_the_server_stops() -> None:
    async def test() -> None:
        async with live() as running:
            cut: list[bytes] = []
            answered = 0

            async def client() -> None:
                nonlocal answered
                reader, writer = await running.open()
                while True:
                    writer.write(NEXT)
                    head = await patient(reader.readuntil(b"\r\n\r\n"))
                    cut.append(head + await patient(reader.readexactly(len(READY))))
                    answered += 1
                    if b"Connection: close" in head:
                        break
                writer.close()

            clients = [asyncio.create_task(client()) for _ in range(20)]
            await until(lambda: running.server.connections == 20 and answered > 20)
            running.stopping.set()
            await patient(asyncio.gather(*clients))

            assert all(each.endswith(READY) for each in cut)

    run(test())


def test_a_server_that_stops_ends_streams_and_idle_connections() -> None:
    async def test() -> None:
        async with live() as running:
            reader, writer = await running.open()
            writer.write(get(b"/events"))
            idle, idle_writer = await running.open()
            await patient(reader.readuntil(b"welcome\n\n"))
            await running.stop()

            assert await patient(reader.read()) == b""
            assert await patient(idle.read()) == b""
            assert running.application.subscribers == []
            writer.close()
            idle_writer.close()

    run(test())


def test_a_server_that_stops_cuts_who_never_ends() -> None:
    async def test() -> None:
        async with live(Limits(drain_secs=0.3, tick_secs=0.05)) as running:
            reader, writer = await running.open()
            writer.write(b"GET / HTTP/1.1\r\n")
            await until(lambda: any(each._reader is not None for each in running.server._core.open))
            await running.stop()

            with contextlib.suppress(ConnectionResetError):
                assert await patient(reader.read()) == b""
            assert running.server.connections == 0
            writer.close()

    run(test())
