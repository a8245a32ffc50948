"""Make the streams of a NATS component exist as described: ``python -m aether_deploy.jobs.nats_streams FILE``.

It never deletes a stream and never trusts a refusal: a create that a server answers with an error, or not at all, may
have been taken, so what counts is what servers say that they have. A mirror that somebody promoted stays promoted.

Exit: 0 all streams are there, 1 some are not, 2 the file is wrong, 3 no server answers.
Needs ``nats-py`` (the extra ``[tools]``).
"""

import asyncio
import json
import logging
import math
import ssl
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from aether_deploy.infrastructure.nats.job import FORMAT
from aether_deploy.jobs.told import UnusableFileError, told

_ANSWER_SECS = 8.0
_PAUSE_SECS = 1.0
_GLANCE_SECS = 0.05
# Servers tell each other what they have reserved at most once a second (nats-server server/events.go, limitStatsz).
_TOLD_SECS = 1.25
_LEAST_SECS = 20.0
"""An account has so much time at least, however long those before it took."""
_LATER = "not in time: the next run goes on"
_STEPS = 3
_NOT_FOUND = 10059
# The order of subjects and sources is nobody's business.
_SETS = ("subjects",)

Verdict = str


class Account(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One account: the folder of its user's ``username`` and ``password``, and its streams as servers take them."""

    name: str
    credentials: str
    streams: list[dict[str, Any]]


class Tls(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Folder of ``ca.crt`` and, where servers ask clients for one, of ``tls.crt`` and ``tls.key``."""

    folder: str
    certificate: bool = False


class StreamsFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the program is to do; ``infrastructure.nats.job`` writes it."""

    format: int
    servers: str
    wait_secs: float
    accounts: list[Account]
    tls: Tls | None = None


def differences(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return the settings that differ, each with what is wanted and what is there.

    Servers add settings that nobody asked for; those are not compared.
    """
    return {key: (value, found.get(key)) for key, value in wanted.items() if not _alike(key, value, found.get(key))}


def _alike(key: str, wanted: Any, found: Any) -> bool:
    if key in _SETS:
        return sorted(wanted) == sorted(found or [])
    if key == "sources":
        return sorted(each["name"] for each in wanted) == sorted(each["name"] for each in found or [])
    if isinstance(wanted, Mapping) and isinstance(found, Mapping):
        return all(found.get(name) == value for name, value in wanted.items())
    # What is false or nothing may be left out of an answer.
    return wanted == found or (not wanted and found is None)


def is_promoted(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> bool:
    """Return whether a stream that is described as a mirror has become a stream of its own."""
    return "mirror" in wanted and not found.get("mirror")


class Pace:
    """Leaves servers the time to tell each other what was reserved, before they choose the next place."""

    def __init__(self) -> None:
        self._told_at = -math.inf

    def reserved(self) -> None:
        """Note that a stream may have been given its place."""
        self._told_at = time.monotonic() + _TOLD_SECS

    async def wait(self) -> None:
        """Return once servers had the time to tell each other of the last one."""
        await asyncio.sleep(max(0.0, self._told_at - time.monotonic()))


class Streams:
    """The streams of one account, over one connection; ``pace`` is that of all accounts."""

    def __init__(self, client: Any, pace: Pace | None = None) -> None:
        self._client, self._pace = client, pace or Pace()

    async def ask(self, call: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return the answer to a call of the JetStream API; an error is an answer, silence is one, too."""
        payload = json.dumps(body).encode() if body is not None else b""
        try:
            message = await self._client.request(f"$JS.API.STREAM.{call}", payload, timeout=_ANSWER_SECS)
        except Exception as error:  # nats-py has a type for each way to get no answer
            return {"error": {"code": 503, "description": f"no answer: {type(error).__name__}"}}
        answer = json.loads(message.data)
        return answer if isinstance(answer, dict) else {"error": {"code": 500, "description": "no JSON object"}}

    async def settle(self, wanted: Mapping[str, Any]) -> tuple[bool, Verdict]:
        """Bring one stream about; return whether it is there, and what was done or what servers said against it."""
        name, done, said = str(wanted["name"]), "", ""
        for _ in range(_STEPS):
            info = await self.ask(f"INFO.{name}")
            error, found = info.get("error", {}), info.get("config", {})
            differing = differences(wanted, found)
            if not error and is_promoted(wanted, found):
                return True, "promoted: left as it is"
            if not error and not differing:
                return True, done or "unchanged"
            if error and error.get("err_code") != _NOT_FOUND:
                return False, str(error.get("description"))
            if said:  # refused, and what servers have says the same
                return False, said
            call, done = ("CREATE", "created") if error else ("UPDATE", f"updated {', '.join(sorted(differing))}")
            reserves = wanted.get("max_bytes", -1) > 0
            if reserves and call == "CREATE":
                await self._pace.wait()
            answer = await self.ask(f"{call}.{name}", wanted)
            said = str(answer.get("error", {}).get("description", ""))
            if reserves:
                self._pace.reserved()
            await asyncio.sleep(_GLANCE_SECS)
        return False, "the servers have it otherwise than asked for"


class NoServer(Exception):
    """No server lets us in."""


async def settle_all(file: StreamsFile) -> dict[str, tuple[bool, Verdict]]:
    """Bring all streams about, and return for each whether it is there and what was done or said.

    One after another, each once servers had the time to tell each other what those before it have reserved: they choose
    the places of a stream by what they last heard, and would put more on one of them than it has.
    """
    deadline = time.monotonic() + file.wait_secs
    results: dict[str, tuple[bool, Verdict]] = {}
    pace = Pace()
    for account in file.accounts:
        client = await _connect(file, account, deadline)
        try:
            found = await settle_account(Streams(client, pace), account.streams, deadline)
        finally:
            await client.close()
        results |= {f"{account.name}/{name}": verdict for name, verdict in found.items()}
    return results


async def settle_account(
    streams: Streams, wanted: list[dict[str, Any]], deadline: float
) -> dict[str, tuple[bool, Verdict]]:
    """Go through the streams of one account until all are there or the time is over."""
    results: dict[str, tuple[bool, Verdict]] = {str(each["name"]): (False, _LATER) for each in wanted}
    last = max(deadline, time.monotonic() + _LEAST_SECS)
    while True:
        for each in wanted:
            name = str(each["name"])
            if not results[name][0] and time.monotonic() < last:
                results[name] = await streams.settle(each)
        if all(there for there, _ in results.values()) or time.monotonic() >= deadline:
            return results
        await asyncio.sleep(_PAUSE_SECS)


async def _connect(file: StreamsFile, account: Account, deadline: float) -> Any:
    import nats

    folder = Path(account.credentials)
    options: dict[str, Any] = {
        "user": (folder / "username").read_text("utf-8"),
        "password": (folder / "password").read_text("utf-8"),
        "connect_timeout": 5,
        "max_reconnect_attempts": 1,
        "error_cb": _quiet,
    }
    if file.tls is not None:
        options["tls"] = _tls_context(file.tls)
    while True:
        try:
            return await nats.connect(file.servers, **options)
        except Exception as error:  # refused, unreachable, wrong password: all may pass
            if time.monotonic() >= deadline:
                raise NoServer(f"{file.servers} does not let account {account.name} in: {error}") from error
        await asyncio.sleep(_PAUSE_SECS)


async def _quiet(error: Exception) -> None:
    """Say nothing: what fails is asked for again, and what stays so is told at the end."""


def _tls_context(tls: Tls) -> ssl.SSLContext:
    folder = Path(tls.folder)
    context = ssl.create_default_context(cafile=str(folder / "ca.crt"))
    if tls.certificate:
        context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    return context


def main(arguments: list[str]) -> int:
    """Run the program; the module's docstring says what it returns."""
    try:
        file = told("aether_deploy.jobs.nats_streams", arguments, StreamsFile, format=FORMAT)
    except UnusableFileError as error:
        print(error, file=sys.stderr)
        return 2
    logging.getLogger("asyncio").setLevel(logging.ERROR)  # it warns of how connections end, whatever we do
    try:
        results = asyncio.run(settle_all(file))
    except (NoServer, OSError) as error:
        print(f"{error}\n  fix: see that the servers run, and that the Secret is theirs", file=sys.stderr)
        return 3
    for name, (there, verdict) in results.items():
        print(f"{'ok  ' if there else 'FAIL'} {name}: {verdict}")
    return 0 if all(there for there, _ in results.values()) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
