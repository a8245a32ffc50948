"""What the streams' Job compares, and what it leaves alone; the lab runs it against real servers."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from aether_deploy.infrastructure.nats.streams import created, streams_of
from aether_deploy.jobs.nats_streams import Streams, differences, is_promoted, main, settle_account
from tests.nats_cases import MATCHES, TELEMETRY, THREE, nats, objects, place

ORIGIN, MIRROR = (created(each) for each in streams_of(nats(MATCHES), THREE))
AGGREGATE = created(streams_of(nats(TELEMETRY), THREE)[-1])


def as_server(config: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """Return a stream as servers tell of it: with what nobody asked for."""
    return {**config, "metadata": {"_nats.level": "3"}, "deny_delete": False, **more}


@pytest.mark.parametrize("config", [ORIGIN, MIRROR, AGGREGATE], ids=["origin", "mirror", "aggregate"])
def test_what_servers_add_is_no_difference(config: dict[str, Any]) -> None:
    assert differences(config, as_server(config)) == {}


def test_order_is_no_difference() -> None:
    turned = as_server(AGGREGATE, sources=[{**each, "external": None} for each in reversed(AGGREGATE["sources"])])  # type: ignore[call-overload]
    several = {**ORIGIN, "subjects": ["b", "a"]}

    assert differences(AGGREGATE, turned) == {}
    assert differences(several, as_server({**ORIGIN, "subjects": ["a", "b"]})) == {}


@pytest.mark.parametrize(
    "key, value",
    [("max_bytes", 1), ("num_replicas", 1), ("subjects", ["x"]), ("placement", {"cluster": "eu"}), ("max_age", 5)],
)
def test_what_was_asked_for_and_is_not_so_is_told(key: str, value: Any) -> None:
    assert differences(ORIGIN, as_server(ORIGIN, **{key: value})) == {key: (ORIGIN[key], value)}


def test_a_mirror_that_has_no_origin_any_more_was_promoted() -> None:
    assert is_promoted(MIRROR, as_server({key: value for key, value in MIRROR.items() if key != "mirror"}))
    assert not is_promoted(MIRROR, as_server(MIRROR))
    assert not is_promoted(ORIGIN, as_server(ORIGIN))


class Servers:
    """Servers that have streams, and answer as they are told to."""

    def __init__(
        self, streams: dict[str, dict[str, Any]], *, answers: Mapping[str, str] | None = None, takes: bool = True
    ) -> None:
        """Take ``streams``; refuse calls as ``answers`` says, and do what was refused nevertheless if ``takes``."""
        self.streams, self.answers, self.takes = streams, dict(answers or {}), takes
        self.asked: list[str] = []

    async def request(self, subject: str, payload: bytes, timeout: float) -> Any:
        call, _, name = subject.removeprefix("$JS.API.STREAM.").partition(".")
        self.asked.append(call)
        refused = self.answers.get(call) or self.answers.get(f"{call}.{name}")
        if call != "INFO" and (self.takes or not refused):
            self.streams[name] = json.loads(payload)
        if refused:
            return _Message({"error": {"code": 503, "description": refused}})
        if name not in self.streams:
            return _Message({"error": {"code": 404, "err_code": 10059, "description": "stream not found"}})
        return _Message({"config": self.streams[name]})


class _Message:
    def __init__(self, answer: dict[str, Any]) -> None:
        self.data = json.dumps(answer).encode()


def settled(servers: Servers, wanted: dict[str, Any]) -> tuple[bool, str]:
    return asyncio.run(Streams(servers).settle(wanted))


def test_a_stream_that_is_there_is_asked_for_once() -> None:
    servers = Servers({"MATCHES": as_server(ORIGIN)})

    assert (settled(servers, ORIGIN), servers.asked) == ((True, "unchanged"), ["INFO"])


def test_a_create_is_believed_once_servers_tell_of_the_stream() -> None:
    servers = Servers({})

    assert (settled(servers, ORIGIN), servers.asked) == ((True, "created"), ["INFO", "CREATE", "INFO"])


def test_what_differs_is_put_right() -> None:
    servers = Servers({"MATCHES": as_server(ORIGIN, max_bytes=1)})

    assert (settled(servers, ORIGIN), servers.asked) == ((True, "updated max_bytes"), ["INFO", "UPDATE", "INFO"])


def test_a_create_that_was_refused_and_taken_is_taken() -> None:
    servers = Servers({}, answers={"CREATE": "system temporarily unavailable"})

    assert (settled(servers, ORIGIN), servers.asked) == ((True, "created"), ["INFO", "CREATE", "INFO"])


def test_a_create_that_was_refused_is_told_in_the_servers_words() -> None:
    servers = Servers({}, answers={"CREATE": "insufficient storage"}, takes=False)

    assert (settled(servers, ORIGIN), servers.asked) == ((False, "insufficient storage"), ["INFO", "CREATE", "INFO"])


def test_a_promoted_mirror_is_left_alone() -> None:
    servers = Servers({"MATCHES-mirror-eu": as_server({**ORIGIN, "name": "MATCHES-mirror-eu"})})

    assert (settled(servers, MIRROR), servers.asked) == ((True, "promoted: left as it is"), ["INFO"])


def test_a_stream_that_cannot_be_made_keeps_no_other_from_being_made() -> None:
    servers = Servers({}, answers={"CREATE.MATCHES": "insufficient storage"}, takes=False)
    found = asyncio.run(settle_account(Streams(servers), [ORIGIN, MIRROR], deadline=0))

    assert found == {"MATCHES": (False, "insufficient storage"), "MATCHES-mirror-eu": (True, "created")}


def test_silence_is_an_answer() -> None:
    class Silent(Servers):
        async def request(self, subject: str, payload: bytes, timeout: float) -> Any:
            raise TimeoutError

    assert settled(Silent({}), ORIGIN) == (False, "no answer: TimeoutError")


BAD = {
    "no file": (None, "No such file"),
    "no JSON": ("{", "fix: let aether-deploy render it"),
    "another format": (
        '{"format": 2, "servers": "", "wait_secs": 1, "accounts": []}',
        "has format 2; this program reads 1",
    ),
    "a key too many": (
        '{"format": 1, "servers": "", "wait_secs": 1, "accounts": [], "x": 1}',
        "unknown field",
    ),
}


@pytest.mark.parametrize("text, words", BAD.values(), ids=BAD.keys())
def test_a_file_that_is_wrong_ends_with_two(
    text: str | None, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "streams.json"
    if text is not None:
        file.write_text(text, "utf-8")

    assert main([str(file)]) == 2
    assert words in capsys.readouterr().err


def test_the_program_reads_what_is_rendered(tmp_path: Path) -> None:
    import msgspec

    from aether_deploy.jobs.nats_streams import StreamsFile

    text = objects(nats(MATCHES, TELEMETRY), place())["ConfigMap", "events-streams"]["data"]["streams.json"]
    file = msgspec.json.decode(text, type=StreamsFile)

    assert [stream["name"] for account in file.accounts for stream in account.streams] == [
        "MATCHES",
        "TELEMETRY-us",
        "TELEMETRY-all",
    ]
