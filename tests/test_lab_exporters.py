"""What stands for the metrics endpoints of pods, and what stands before the adapter."""

import http.client
import http.server
import json
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from aether_deploy.lab.adapter_proxy import AdapterProxy
from aether_deploy.lab.certificates import write_certificates
from aether_deploy.lab.exporters import TARGETS, Exporters
from aether_deploy.lab.flags import AUTOSCALER

METRIC = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/worlds/pods/*/players?labelSelector=a%3Db"


def new_threads(before: set[threading.Thread]) -> set[threading.Thread]:
    """Return the threads that were not there before, and do not end soon; others may have ended meanwhile."""
    for thread in set(threading.enumerate()) - before:
        thread.join(60)
    return set(threading.enumerate()) - before


@pytest.fixture
def exporters() -> Iterator[Exporters]:
    before = set(threading.enumerate())
    with Exporters() as exporters:
        yield exporters
    assert new_threads(before) == set()


def asked(exporters: Exporters, *paths: str) -> list[tuple[int, str]]:
    """Return status and text at each path, all asked on one connection, as Prometheus does."""
    connection = http.client.HTTPConnection("127.0.0.1", exporters.port, timeout=60)
    found = []
    for path in paths:
        connection.request("GET", path)
        response = connection.getresponse()
        found.append((response.status, response.read().decode()))
    connection.close()
    return found


def test_a_pod_says_what_it_is_told_to_say_until_it_is_silent(exporters: Exporters) -> None:
    path = "/pods/worlds/world-0/metrics"

    assert asked(exporters, path) == [(503, "")]
    exporters.serve("worlds", "world-0", {"players": 40, "floor": 1})
    assert asked(exporters, path, path) == [(200, "players 40\nfloor 1\n")] * 2
    exporters.silence("worlds", "world-0")
    assert asked(exporters, path, "/", "/pods/worlds/world-1/metrics") == [(503, "")] * 3


def test_every_scrape_is_noted_with_its_answer(exporters: Exporters) -> None:
    exporters.serve("worlds", "world-0", {"players": 1})

    asked(exporters, "/pods/worlds/world-0/metrics", "/pods/worlds/world-1/metrics", TARGETS)

    assert [each[1:] for each in exporters.scrapes] == [
        ("worlds", "world-0", {"players": 1}),
        ("worlds", "world-1", None),
    ]


def test_pods_are_listed_once_they_are_expected_or_served(exporters: Exporters) -> None:
    exporters.expect("worlds", ["world-0", "world-1"])
    exporters.serve("worlds", "world-1", {})
    exporters.serve("voice", "relay-0", {})
    exporters.silence("voice", "relay-0")

    ((status, text),) = asked(exporters, TARGETS)

    listed = json.loads(text)
    assert status == 200
    assert [(each["labels"]["namespace"], each["labels"]["pod"]) for each in listed] == [
        ("worlds", "world-0"),
        ("worlds", "world-1"),
        ("voice", "relay-0"),
    ]
    assert listed[0] == {
        "targets": [f"127.0.0.1:{exporters.port}"],
        "labels": {"__metrics_path__": "/pods/worlds/world-0/metrics", "namespace": "worlds", "pod": "world-0"},
    }


# --- before the adapter


class Adapter(http.server.BaseHTTPRequestHandler):
    """An adapter that answers with what it was asked, and by whom."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        headers = {name: self.headers.get_all(name) for name in ("X-Remote-User", "X-Remote-Group", "Accept")}
        answer = json.dumps({"path": self.path, **headers}).encode()
        self.send_response(404 if "unknown" in self.path else 200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[AdapterProxy]:
    """Return a proxy before an adapter that trusts the front proxy alone."""
    write_certificates(tmp_path)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Adapter)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_verify_locations(str(tmp_path / "front-proxy-ca.crt"))
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(str(tmp_path / "server.crt"), str(tmp_path / "server.key"))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    with AdapterProxy(tmp_path, int(server.server_address[1])) as proxy:
        yield proxy
    server.shutdown()
    thread.join()
    server.server_close()


def through(proxy: AdapterProxy, folder: Path, path: str, user: str) -> tuple[int, dict[str, object]]:
    """Return status and body of what ``user`` is answered by way of the proxy."""
    context = ssl.create_default_context(cafile=str(folder / "ca.crt"))
    connection = http.client.HTTPSConnection("127.0.0.1", proxy.port, context=context, timeout=60)
    connection.putrequest("GET", path)
    for header in (("X-Remote-User", user), ("X-Remote-Group", "a"), ("X-Remote-Group", "b"), ("Accept", "any/thing")):
        connection.putheader(*header)
    connection.endheaders()
    response = connection.getresponse()
    answer = json.loads(response.read())
    connection.close()
    return response.status, answer


def test_the_adapter_is_asked_in_the_name_of_the_user_with_all_groups(proxy: AdapterProxy, tmp_path: Path) -> None:
    status, body = through(proxy, tmp_path, "/apis/custom.metrics.k8s.io/v1beta2", "somebody")

    assert status == 200
    assert body == {
        "path": "/apis/custom.metrics.k8s.io/v1beta2",
        "X-Remote-User": ["somebody"],
        "X-Remote-Group": ["a", "b"],
        "Accept": ["any/thing"],
    }


def test_what_the_autoscaler_is_served_is_noted_and_can_be_read(proxy: AdapterProxy, tmp_path: Path) -> None:
    through(proxy, tmp_path, METRIC, "somebody")
    through(proxy, tmp_path, "/apis/custom.metrics.k8s.io/v1beta2", AUTOSCALER)
    _, first = through(proxy, tmp_path, METRIC, AUTOSCALER)
    through(proxy, tmp_path, METRIC.replace("players", "unknown"), AUTOSCALER)

    known, unknown = proxy.served
    assert (known.path, known.status, known.body) == (METRIC, 200, first)
    assert first["Accept"] == ["application/json"]
    assert unknown.status == 404
    assert known.began <= known.ended <= unknown.began


def test_connections_end_with_the_block(tmp_path: Path) -> None:
    write_certificates(tmp_path)
    before = set(threading.enumerate())
    context = ssl.create_default_context(cafile=str(tmp_path / "ca.crt"))

    with AdapterProxy(tmp_path, 1) as proxy:
        connection = http.client.HTTPSConnection("127.0.0.1", proxy.port, context=context, timeout=60)
        connection.request("GET", METRIC)
        answer = connection.getresponse()
        assert answer.status == 502
        assert answer.read().startswith(b"the adapter: ")

    assert new_threads(before) == set()
    connection.close()
