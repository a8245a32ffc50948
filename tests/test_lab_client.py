"""The client of the API, against a small server on this machine that answers as it is told."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from aether_deploy.lab.applying import apply_manifests
from aether_deploy.lab.client import ApiError, Client
from aether_deploy.manifest.value import Manifest
from aether_deploy.problems import EffectError

PODS = {"name": "pods", "kind": "Pod", "namespaced": True}
NODES = {"name": "nodes", "kind": "Node", "namespaced": False}
STATUS = {"name": "pods/status", "kind": "Pod", "namespaced": True}
POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "namespace": "n"}}
Answerer = Callable[["Request"], None]


class Request(BaseHTTPRequestHandler):
    """One request, answered by the server's function."""

    protocol_version = "HTTP/1.1"
    server: "Server"

    def log_message(self, format: str, *arguments: Any) -> None:
        pass

    def _answer(self) -> None:
        self.content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.seen.append(f"{self.command} {self.path}")
        self.server.answerer(self)

    do_GET = do_POST = do_PATCH = do_DELETE = _answer

    @property
    def query(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}

    def say(self, body: Any, status: int = 200, **headers: str | list[str]) -> None:
        content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(status)
        for name, values in headers.items():
            for value in [values] if isinstance(values, str) else values:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


class Server(ThreadingHTTPServer):
    """A server of one test.

    Attributes:
        answerer: Answers every request.
        seen: Methods and paths, in the order that they came.
    """

    daemon_threads = True
    answerer: Answerer

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Request)
        self.seen: list[str] = []

    def handle_error(self, request: object, client_address: object) -> None:
        pass  # a client that went away is what some tests are about


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def client(server: Server) -> Client:
    return Client(server.server_port, None, timeout_secs=60)


def resources(request: Request) -> None:
    request.say({"resources": [PODS, STATUS, NODES]})


# --- answers


def test_warnings_come_with_the_answer(server: Server, client: Client) -> None:
    server.answerer = lambda request: request.say(
        {"kind": "Pod"}, Warning=['299 - "would violate \\"restricted\\""', "299 - bare"]
    )

    answer = client.request("GET", "/x")

    assert answer.body == {"kind": "Pod"}
    assert answer.warnings == ('would violate "restricted"', "299 - bare")


@pytest.mark.parametrize(("status", "reason"), [(404, "NotFound"), (409, "Conflict"), (422, "Invalid")])
def test_a_refusal_has_status_reason_and_message(status: int, reason: str, server: Server, client: Client) -> None:
    body = {"kind": "Status", "reason": reason, "message": "because"}
    server.answerer = lambda request: request.say(body, status)

    with pytest.raises(ApiError) as refused:
        client.request("POST", "/api/v1/pods", {})

    assert (refused.value.status, refused.value.reason, refused.value.body) == (status, reason, body)
    assert str(refused.value) == "POST /api/v1/pods: because"


def test_a_refusal_that_is_no_json_is_told_by_its_text_or_its_status(server: Server, client: Client) -> None:
    server.answerer = lambda request: request.say("" if request.path == "/empty" else "dial tcp: refused\n", 502)

    with pytest.raises(ApiError, match=r"^GET /x: dial tcp: refused$"):
        client.request("GET", "/x")
    with pytest.raises(ApiError, match=r"^GET /empty: Bad Gateway$"):
        client.request("GET", "/empty")


def test_text_is_returned_as_it_is_and_errors_are_none(server: Server, client: Client) -> None:
    server.answerer = lambda request: request.say("ok", 200 if request.path == "/readyz" else 500)

    assert client.text("/readyz") == "ok"
    assert client.text("/other") is None
    assert Client(1, None).text("/readyz") is None


# --- servers that do not answer


def test_a_server_that_hangs_is_one_error_within_the_timeout(server: Server) -> None:
    asked, ends = threading.Event(), threading.Event()

    def hang(request: Request) -> None:
        asked.set()
        ends.wait(120)

    server.answerer = hang
    client = Client(server.server_port, None, timeout_secs=0.2)
    begun = time.monotonic()

    with pytest.raises(EffectError) as refused:
        client.request("GET", "/api")
    took = time.monotonic() - begun
    assert asked.wait(60)
    ends.set()

    assert took < 60
    assert server.seen == ["GET /api"]
    assert str(refused.value) == (
        "kube-apiserver does not answer within 0.2 s (GET /api)\n"
        "  fix: see whether its machine is overloaded or out of memory, then run again"
    )


def test_a_server_that_is_not_there_is_one_error_by_its_name() -> None:
    with pytest.raises(EffectError, match=r"^the cluster cannot be reached: .*refused \(GET /api\)\n  fix: "):
        Client(1, None, name="the cluster").request("GET", "/api")


def test_an_idle_connection_that_was_dropped_is_tried_again_once(server: Server, client: Client) -> None:
    def drop_after_answer(request: Request) -> None:
        request.say({})
        request.close_connection = len(server.seen) == 1

    server.answerer = drop_after_answer

    assert [client.request("GET", "/x").body for _ in range(3)] == [{}, {}, {}]
    assert server.seen == ["GET /x"] * 3


def test_a_server_that_drops_every_connection_is_an_error(server: Server, client: Client) -> None:
    def drop(request: Request) -> None:
        request.close_connection = True

    server.answerer = drop

    with pytest.raises(EffectError, match=r"^kube-apiserver cannot be reached: "):
        client.request("GET", "/x")
    assert server.seen == ["GET /x"] * 2


def test_each_thread_has_a_connection_of_its_own(server: Server, client: Client) -> None:
    both = threading.Barrier(2, timeout=60)

    def meet(request: Request) -> None:
        both.wait()  # both requests are under way at the same time
        request.say({})

    server.answerer = meet
    other = threading.Thread(target=client.request, args=("GET", "/other"))
    other.start()

    assert client.request("GET", "/mine").body == {}
    other.join(60)
    assert sorted(server.seen) == ["GET /mine", "GET /other"]


def test_a_unix_socket_serves_as_well(tmp_path: Path) -> None:
    with pytest.raises(EffectError, match=r"No such file or directory \(GET /x\)"):
        Client(tmp_path / "api", None).request("GET", "/x")


# --- objects


def test_paths_come_from_discovery_and_are_asked_for_once(server: Server, client: Client) -> None:
    server.answerer = resources

    assert client.path_of("v1", "Pod", "n", "a/b") == "/api/v1/namespaces/n/pods/a/b"
    assert client.path_of("v1", "Pod") == "/api/v1/pods"
    assert client.path_of("v1", "Node", "ignored", "x") == "/api/v1/nodes/x"
    assert client.path_of("apps/v1", "Pod", "n") == "/apis/apps/v1/namespaces/n/pods"
    assert server.seen == ["GET /api/v1", "GET /apis/apps/v1"]


def test_an_unknown_kind_is_not_found(server: Server, client: Client) -> None:
    server.answerer = resources

    with pytest.raises(ApiError) as refused:
        client.path_of("v1", "Pot")

    assert (refused.value.status, refused.value.reason) == (404, "NotFound")
    assert str(refused.value) == "find Pot: the server has no kind Pot in v1"


def test_find_tells_absence_from_refusal(server: Server, client: Client) -> None:
    def answer(request: Request) -> None:
        if request.path == "/api/v1":
            return resources(request)
        return request.say({"message": "no"}, 404 if request.path.endswith("gone") else 403)

    server.answerer = answer

    assert client.find("v1", "Pod", "gone", "n") is None
    with pytest.raises(ApiError, match="no"):
        client.find("v1", "Pod", "secret", "n")


def test_an_apply_is_strict_and_a_dry_run_is_one(server: Server, client: Client) -> None:
    asked: list[dict[str, str]] = []

    def answer(request: Request) -> None:
        if request.command == "GET":
            return resources(request)
        asked.append(request.query)
        assert request.headers["Content-Type"] == "application/apply-patch+yaml"
        return request.say(json.loads(request.content))

    server.answerer = answer

    (stored,) = apply_manifests(client, [Manifest(POD, "")])
    (tried,) = apply_manifests(client, [Manifest(POD, "")], dry_run=True)

    assert stored.live == tried.live == POD
    strict = {"fieldManager": "aether-deploy", "fieldValidation": "Strict"}
    assert asked == [strict, {**strict, "dryRun": "All"}]


def test_a_dry_run_tells_who_else_changed_a_field_and_judges_all_the_same(server: Server, client: Client) -> None:
    causes = [
        {"reason": "FieldManagerConflict", "field": ".spec.replicas", "message": 'conflict with "kubectl-scale"'},
        {"reason": "FieldManagerConflict", "field": ".spec.image", "message": 'conflict with "kubectl" using apps/v1'},
    ]

    def answer(request: Request) -> None:
        if request.command == "GET":
            return resources(request)
        if "force" not in request.query:
            return request.say({"reason": "Conflict", "details": {"causes": causes}}, status=409)
        return request.say(json.loads(request.content))

    server.answerer = answer

    (tried,) = apply_manifests(client, [Manifest(POD, "")], dry_run=True)

    assert tried.live == POD
    assert tried.faults() == [f"{tried.title}: spec.replicas: changed by kubectl-scale, which owns it"]


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (404, {"details": {"kind": "namespaces"}}, "the namespace n is not there yet"),
        (404, {"details": {}}, "the server does not know Pod of v1"),
    ],
)
def test_what_is_absent_is_not_judged(status: int, body: Any, said: str, server: Server, client: Client) -> None:
    def answer(request: Request) -> None:
        return resources(request) if request.command == "GET" else request.say(body, status)

    server.answerer = answer

    (applied,) = apply_manifests(client, [Manifest(POD, "")])

    assert (applied.unjudged, applied.refused, applied.faults()) == (said, None, [])


def test_who_may_not_ask_is_told_so_and_no_object_is_blamed(server: Server, client: Client) -> None:
    server.answerer = lambda request: request.say({"message": "Unauthorized", "reason": "Unauthorized"}, 401)

    with pytest.raises(ApiError, match="Unauthorized"):
        apply_manifests(client, [Manifest(POD, "")])


# --- watching


def test_a_watch_yields_events_as_they_come_until_the_server_ends_it(server: Server, client: Client) -> None:
    first_was_read = threading.Event()
    events = [{"type": "ADDED", "object": {"n": 1}}, {"type": "DELETED", "object": {"n": 2}}]

    def stream(request: Request) -> None:
        assert request.query["resourceVersion"] == "7"
        request.send_response(200)
        request.end_headers()
        request.close_connection = True
        request.wfile.write(f"{json.dumps(events[0])}\n".encode())
        assert first_was_read.wait(60)
        request.wfile.write(f"{json.dumps(events[1])}\n".encode())

    server.answerer = stream
    watch = client.watch("/api/v1/pods", "7")

    assert next(watch) == events[0]
    first_was_read.set()
    assert list(watch) == events[1:]


def test_a_watch_that_is_refused_or_breaks_is_an_error(server: Server, client: Client) -> None:
    def answer(request: Request) -> None:
        if request.path.startswith("/gone"):
            return request.say({"message": "too old", "reason": "Expired"}, 410)
        request.send_response(200)
        request.send_header("Content-Length", "1000")
        request.end_headers()
        request.wfile.write(b'{"type": "ADD')
        request.close_connection = True
        return None

    server.answerer = answer

    with pytest.raises(ApiError) as refused:
        next(client.watch("/gone", "1"))
    assert refused.value.status == 410
    with pytest.raises(EffectError, match=r"^the watch of /broken broke: "):
        list(client.watch("/broken", "1"))
