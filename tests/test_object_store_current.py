"""Which version of an object a copy should lead to, and how the program answers."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from aether_deploy.infrastructure.object_store.job import CURRENT_MODULE, current_file
from aether_deploy.jobs.object_store_current import MODULE, Version, main, misled
from tests.nats_cases import place
from tests.object_store_cases import FOLLOWED, PUBLIC, TWO, store

POINTER = "seaweed-x-amz-latest-version-"
T1, T2 = "2026-11-26T12:29:03Z", "2026-11-26T12:29:04Z"


def version(number: str, modified: str, *, current: bool = False, deletes: bool = False, key: str = "k") -> Version:
    return Version(key=key, number=number, modified=modified, is_current=current, deletes=deletes)


@pytest.mark.parametrize(
    ("versions", "wanted"),
    [
        ([version("5b", T1, current=True), version("5a", T2)], "5a"),
        ([version("5a", T2, current=True), version("5b", T1)], None),
        ([version("5b", T1, current=True), version("5a", T1)], "5a"),
        ([version("5b", T1, current=True), version("5a", T2, deletes=True)], "5a"),
        ([version("null", T1, current=True), version("5b", T1, current=True), version("5a", T2)], "5a"),
        ([version("null", T1, current=True), version("5a", T2)], None),
        ([version("5a", T1, current=True), version("null", T2)], None),
        ([version("5b", T1), version("5a", T2)], None),
        ([], None),
    ],
    ids=[
        "newer",
        "right",
        "same second",
        "deletion",
        "kept none before",
        "kept none before, still to come",
        "keeps none now",
        "still to come",
        "none",
    ],
)
def test_readers_are_led_to_the_newest_version_where_they_are_led_to_another(
    versions: list[Version], wanted: str | None
) -> None:
    for order in (versions, versions[::-1]):
        found = misled(order)

        assert (found.number if found else None) == wanted


def test_it_runs_where_a_copy_has_versions_and_reaches_that_copy_alone() -> None:
    def jobs(code: str, *buckets: Mapping[str, Any]) -> dict[str, Any]:
        objects = store(*buckets, **FOLLOWED).render(place(TWO, code))
        return {each["kind"]: each for each in objects if each["metadata"]["name"] == "assets-current"}

    found = jobs("eu", PUBLIC, {"name": "plain"})

    told = json.loads(found["ConfigMap"]["data"]["current.json"])
    assert found.keys() == {"ConfigMap", "CronJob"}
    assert told["buckets"] == ["game-assets"]
    assert told["filer"] == "http://assets-eu-0.assets-headless.aether-prod-data.svc:8888"
    assert jobs("us", PUBLIC) == jobs("eu", {"name": "plain"}) == {}


# --- asking a store


def listing(*versions: Version, then: str = "") -> bytes:
    def one(each: Version) -> str:
        word = "DeleteMarker" if each.deletes else "Version"
        said = f"<Key>{each.key}</Key><VersionId>{each.number}</VersionId><LastModified>{each.modified}</LastModified>"
        return f"<{word}>{said}<IsLatest>{str(each.is_current).lower()}</IsLatest></{word}>"

    more = f"<IsTruncated>true</IsTruncated><NextKeyMarker>{then}</NextKeyMarker>" if then else ""
    return f"<ListVersionsResult>{more}{''.join(map(one, versions))}</ListVersionsResult>".encode()


class Stage(HTTPServer):
    """Answers for S3 and for the filer: pages by their key marker, and a status for all that is written."""

    def __init__(self, pages: dict[str, bytes], status: int) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.pages, self.status = pages, status
        self.written: list[tuple[str, str, dict[str, str]]] = []


class Answers(BaseHTTPRequestHandler):
    server: Stage

    def do_GET(self) -> None:
        asked = parse_qs(urlsplit(self.path).query)
        page = self.server.pages.get(asked.get("key-marker", [""])[0], b"")
        self._answer(200 if page else 404, page)

    def do_PUT(self) -> None:
        said = {name.lower(): text for name, text in self.headers.items()}
        told = {name.removeprefix(POINTER): text for name, text in said.items() if name.startswith(POINTER)}
        self.server.written.append((self.command, unquote(self.path), told))
        self._answer(self.server.status, b"")

    do_HEAD = do_PUT

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Stay silent."""


@contextmanager
def answering(pages: dict[str, bytes], status: int = 202) -> Iterator[Stage]:
    with Stage(pages, status) as stage:
        thread = threading.Thread(target=stage.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield stage
        finally:
            stage.shutdown()
            thread.join()


def run(port: int, folder: Path) -> int:
    for key in ("access_key", "secret_key"):
        (folder / key).write_text("x")
    url = f"http://127.0.0.1:{port}"
    said = current_file(store(dict(PUBLIC), {"name": "plain"}), "us", url=url, filer=url, credentials=str(folder))
    file = folder / "current.json"
    file.write_text(json.dumps(said))
    return main([str(file)])


PAGES = {
    "": listing(version("1", T2, current=True, key="a"), version("8", T2, deletes=True, key="b c"), then="b c"),
    "b c": listing(version("9", T1, current=True, key="b c"), version("1", T1, current=True, key="d")),
}


def test_versions_of_an_object_are_seen_together_across_pages_and_the_filer_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with answering(PAGES) as stage:
        code = run(stage.server_port, tmp_path)

    path = "/buckets/game-assets/b c.versions?tagging="
    assert code == 0
    assert stage.written == [("PUT", path, {"file-name": "v_none"}), ("HEAD", "/game-assets/b c", {})]
    assert capsys.readouterr().out == "ok   game-assets/b c: 8 is the current one\n1 set right, 0 not\n"


def test_what_the_filer_refuses_is_named_and_the_rest_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with answering(PAGES, 500) as stage:
        code = run(stage.server_port, tmp_path)

    assert code == 1
    assert capsys.readouterr().out == "FAIL game-assets/b c: 500\n0 set right, 1 not\n"


def test_a_store_that_is_silent_or_lists_nothing_is_told_from_a_file_that_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with answering({}) as stage:
        unlisted, port = run(stage.server_port, tmp_path), stage.server_port
    silent = run(port, tmp_path)
    (tmp_path / "current.json").write_text("{}")

    assert (unlisted, silent, main([str(tmp_path / "current.json")]), main([])) == (3, 3, 2, 2)
    said = capsys.readouterr().err
    assert "game-assets: its versions cannot be listed: 404" in said
    assert "does not answer" in said
    assert f"usage: python -m {MODULE} FILE" in said
    assert MODULE == CURRENT_MODULE
