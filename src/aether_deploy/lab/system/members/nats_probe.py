"""Clients of messaging: one publishes to a stream, one makes streams. They need ``nats-py`` (the extra ``[lab]``)."""

import asyncio
import contextlib
import json
import logging
import secrets
import ssl
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, TypeVar

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import NoRespondersError
from nats.js.api import AckPolicy, ConsumerConfig

from aether_deploy.infrastructure.kinds.nats import NatsConfig
from aether_deploy.infrastructure.nats.streams import Stream
from aether_deploy.lab.nats.places import logins_of
from aether_deploy.lab.nats.supercluster import Supercluster
from aether_deploy.lab.system.member import Probe
from aether_deploy.problems import EffectError

_WITHIN_SECS = 0.9
_TRY_SECS = 0.4
_PAUSE_SECS = 0.1
_LEAVE_SECS = 0.2
_NO_MESSAGE = "404"
_NOT_FOUND = 10059
_BATCH = 500
_T = TypeVar("_T")


class _NatsProbe(Probe):
    """A client that asks servers of its region first, and then any other."""

    def __init__(self, servers: Supercluster, user: str, region: str | None) -> None:
        own = servers.pods(region)
        self._servers = servers
        self._pods = [*own, *(pod for pod in servers.pods() if pod not in own)]
        self._next = 0
        self._user = user
        self._token = secrets.token_hex(6)
        self._tls = None if servers.ca_file is None else ssl.create_default_context(cafile=str(servers.ca_file))
        self._client: Client | None = None
        self._lost = asyncio.Event()
        logging.getLogger("asyncio").setLevel(logging.ERROR)  # it warns of how connections end, whatever we do
        self._loop = asyncio.new_event_loop()

    def close(self) -> None:
        if not self._loop.is_closed():
            self._run(self._end())
            self._loop.close()

    # --- what runs in the loop

    def _run(self, work: Coroutine[Any, Any, _T]) -> _T:
        return self._loop.run_until_complete(work)

    async def _ask(self, call: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return the answer to a call of the JetStream API."""
        return await self._request(f"$JS.API.{call}", b"" if body is None else json.dumps(body).encode())

    async def _request(self, subject: str, payload: bytes) -> dict[str, Any]:
        """Return an answer as an object; an answer that is none (a message of a stream) is an empty one."""
        deadline = self._loop.time() + _WITHIN_SECS
        while True:
            try:
                async with asyncio.timeout(min(_TRY_SECS, deadline - self._loop.time())):
                    return _read(subject, await self._answer(subject, payload))
            except NoRespondersError:  # the server is well, and knows nobody who could answer
                if deadline - self._loop.time() < _PAUSE_SECS:
                    raise
            except Exception:
                self._next += 1  # another server may answer
                await self._leave()
                if deadline - self._loop.time() < _PAUSE_SECS:
                    raise
            await asyncio.sleep(_PAUSE_SECS)

    async def _answer(self, subject: str, payload: bytes) -> Msg:
        """Return what comes back; that the connection ends is known at once."""
        client = await self._connected()
        asked = asyncio.ensure_future(client.request(subject, payload, timeout=_TRY_SECS))
        asked.add_done_callback(_heed)
        ended = asyncio.ensure_future(self._lost.wait())
        try:
            await asyncio.wait((asked, ended), return_when=asyncio.FIRST_COMPLETED)
            if not asked.done():
                raise EffectError(f"the connection to {self._pod} ended")
            return asked.result()
        finally:
            asked.cancel()
            ended.cancel()

    async def _connected(self) -> Client:
        if self._client is None or not self._client.is_connected:
            login = logins_of(self._servers.config)[self._user]
            self._client, self._lost = Client(), asyncio.Event()
            await self._client.connect(
                self._servers.url(self._pod), user=str(login.username), password=str(login.password), tls=self._tls,
                connect_timeout=1, allow_reconnect=False, error_cb=_quiet, closed_cb=self._note_end,
            )  # fmt: skip
        return self._client

    @property
    def _pod(self) -> str:
        return self._pods[self._next % len(self._pods)]

    async def _note_end(self) -> None:
        self._lost.set()

    async def _end(self) -> None:
        await self._leave()
        others = [each for each in asyncio.all_tasks() if each is not asyncio.current_task()]
        for each in others:
            each.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _leave(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            with contextlib.suppress(Exception):
                await asyncio.wait_for(client.close(), _LEAVE_SECS)


class StreamProbe(_NatsProbe):
    """Publishes to one stream, and reads its last message from any of its copies."""

    def __init__(self, member: str, servers: Supercluster, stream: Stream) -> None:
        """Prepare to reach the servers of the stream's region."""
        super().__init__(servers, user_of(servers.config, stream.account), stream.region)
        self.member, self.part, self.region = member, stream.name, stream.region
        self.takes_writes = stream.role == "origin"
        self._retention = stream.settings.retention
        self._subject = _subject_in(stream.subjects[0], self._token) if stream.subjects else ""
        self._sequences: dict[int, int] = {}

    def write(self, number: int) -> None:
        answer = self._run(self._request(self._subject, str(number).encode()))
        if "error" in answer:
            raise EffectError(f"{self.part} refuses a message: {answer['error'].get('description')}")
        self._sequences[number] = int(answer["seq"])

    def read(self) -> None:
        """Ask for the newest message; that there is none yet is an answer, too."""
        self._run(self._ask(f"DIRECT.GET.{self.part}", {"last_by_subj": self._subject or ">"}))

    def missing(self, numbers: Sequence[int]) -> Sequence[int]:
        return self._run(self._missing(numbers))

    async def _missing(self, numbers: Sequence[int]) -> list[int]:
        if self._retention != "limits":
            raise EffectError(f"messages of {self.part} go once they are done")
        answer = await self._ask(f"STREAM.INFO.{self.part}")
        first = int(answer["state"]["first_seq"])
        found = {number for number in numbers if self._sequences.get(number, first) < first}  # gone by its limits
        client = await self._connected()
        once = ConsumerConfig(ack_policy=AckPolicy.NONE)
        subscription = await client.jetstream().pull_subscribe(self._subject, stream=self.part, config=once)
        with contextlib.suppress(TimeoutError):
            while messages := await subscription.fetch(_BATCH, timeout=_WITHIN_SECS):
                found.update(int(message.data) for message in messages)
        await subscription.unsubscribe()
        return [number for number in numbers if number not in found]


class ManagementProbe(_NatsProbe):
    """Makes a stream of its own and takes it away again: what only servers can do that have a leader of all."""

    part = "management"

    def __init__(self, member: str, servers: Supercluster, account: str, streams: Sequence[str]) -> None:
        """Prepare to reach any server.

        Args:
            member: The member.
            servers: Its servers.
            account: The account whose streams are managed.
            streams: Names of its streams, which go on without management; without any, nothing can be read.
        """
        super().__init__(servers, user_of(servers.config, account), None)
        self.member = member
        self._streams = streams
        self._left: list[str] = []

    def write(self, number: int) -> None:
        self._run(self._make(f"LAB-{self._token}-{number}"))

    def read(self) -> None:
        """Ask for what does not need a leader of all: how any of the streams is."""
        for place, name in enumerate(self._streams):
            try:
                self._run(self._ask(f"DIRECT.GET.{name}", {"last_by_subj": ">"}))
                return
            except Exception:
                if place == len(self._streams) - 1:
                    raise

    async def _make(self, name: str) -> None:
        body = {"name": name, "subjects": [f"{name}.*"], "storage": "memory", "num_replicas": 1, "max_msgs": 1}
        answer = await self._ask(f"STREAM.CREATE.{name}", {**body, "max_bytes": 1024})
        if "error" in answer:
            raise EffectError(f"no stream can be made: {answer['error'].get('description')}")
        self._left = [each for each in (*self._left, name) if not await self._is_gone(each)]

    async def _is_gone(self, name: str) -> bool:
        """Take a stream away; one whose server is lost is asked for again with the next."""
        with contextlib.suppress(Exception):
            answer = await self._ask(f"STREAM.DELETE.{name}")
            return bool(answer.get("success")) or answer.get("error", {}).get("err_code") == _NOT_FOUND
        return False


def _heed(asked: "asyncio.Future[Msg]") -> None:
    """Take note of how a question ended that nobody waits for any more, or the loop complains."""
    if not asked.cancelled():
        asked.exception()


def _read(subject: str, message: Msg) -> dict[str, Any]:
    if not subject.startswith("$JS.API.DIRECT."):
        found = json.loads(message.data)
        return found if isinstance(found, dict) else {}
    status = (message.headers or {}).get("Status", "")
    if status and status != _NO_MESSAGE:
        raise EffectError(f"{subject} is answered with {status}")
    return {}


async def _quiet(error: Exception) -> None:
    """Say nothing: what is not acknowledged is noted by who asked."""


def _subject_in(pattern: str, token: str) -> str:
    """Return a subject of our own that ``pattern`` matches; without a wildcard there is but one."""
    words = pattern.split(".")
    return ".".join(f"lab-{token}" if word in ("*", ">") else word for word in words)


def user_of(config: NatsConfig, account: str) -> str:
    """Return a user of an account who may publish, and ask."""
    users = [user for each, user, _ in config.users if each.name == account]
    return next((user.name for user in users if user.unlimited), users[0].name)
