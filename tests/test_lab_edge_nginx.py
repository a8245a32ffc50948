"""What our file makes of nginx where a store is not enough to show it: names, certificates, ends, and bad origins."""

import http.client
import http.server
import socket
import ssl
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from aether_deploy.infrastructure.edge.policy import EdgePage
from aether_deploy.infrastructure.edge.rendering import preparing_to_end
from aether_deploy.infrastructure.object_store.regions import StoreAddress
from aether_deploy.lab.certificates import Authority
from tests.edge_cases import PAGE, policy
from tests.edge_nginx import before, origin, program, resolver, running, says

pytestmark = pytest.mark.real


def get(port: int, path: str, *, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=90)
    try:
        connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def test_an_origin_outside_is_found_by_its_name_once_somebody_knows_it(tmp_path: Path) -> None:
    names: dict[str, str] = {}
    with origin(says(200, b"there")) as port, resolver(names) as dns:
        (tmp_path / "resolver.conf").write_text(f"resolver 127.0.0.1:{dns} valid=1s ipv6=off;\n")
        found = before(policy(), port, host="assets.eu.example.com")
        with running(found, tmp_path, resolver=str(tmp_path / "resolver.conf")) as edge:
            unknown = get(edge.http, "/public/build/a")[0]
            names["assets.eu.example.com"] = "127.0.0.1"
            deadline = time.monotonic() + 90
            while (known := get(edge.http, "/public/build/b"))[0] != 200 and time.monotonic() < deadline:
                time.sleep(0.1)

    assert unknown == 502
    assert (known[0], known[2]) == (200, b"there")


def serial(port: int) -> int:
    """Return the number of the certificate that an edge shows."""
    from cryptography import x509

    careless = ssl.create_default_context()
    careless.check_hostname, careless.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", port), timeout=90) as plain, careless.wrap_socket(plain) as secured:
        shown = secured.getpeercert(binary_form=True)
    assert shown is not None
    return x509.load_der_x509_certificate(shown).serial_number


def renew(now: Path, version: str) -> None:
    """Bring another certificate as Kubernetes does: a new folder, to which a link is turned in one step."""
    folder = now.with_name(version)
    folder.mkdir()
    Authority("edge").issue(folder, "tls", name="cdn.example.com", server=True, hosts=["cdn.example.com"])
    link = now.with_name(f"link-{version}")
    link.symlink_to(folder)
    link.replace(now)


def test_a_certificate_that_was_renewed_is_taken_without_a_restart(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    renew(secret, "first")
    with (
        origin(says(200, b"x")) as port,
        running(before(policy(), port), tmp_path, tls=secret, certificate_secs=1) as edge,
    ):
        first = serial(edge.https)
        again = serial(edge.https)
        renew(secret, "second")
        deadline = time.monotonic() + 90
        while serial(edge.https) == first and time.monotonic() < deadline:
            time.sleep(0.1)
        last = serial(edge.https)

    assert again == first
    assert last != first


def test_a_shield_is_asked_over_tls_and_must_be_the_one_whose_name_players_ask_for(tmp_path: Path) -> None:
    secret, inner, outer = tmp_path / "secret", tmp_path / "inner", tmp_path / "outer"
    for folder in (secret, inner, outer):
        folder.mkdir()
    authority = Authority("edge")
    authority.issue(secret, "tls", name="cdn.example.com", server=True, hosts=["cdn.example.com"])
    authority.write(secret, "known")
    shielded = policy("ap", shield="us", tls={"secret": "cdn-tls"})
    assert (shielded.origins[0].address.url, shielded.origins[0].certified_as) == (
        "https://us.cdn.example.com", "cdn.example.com",
    )  # fmt: skip
    found: list[tuple[int, dict[str, str], bytes]] = []
    with origin(says(200, b"kept")) as port, running(before(policy(), port), inner, tls=secret) as shield:
        near = msgspec.structs.replace(shielded.origins[0], address=StoreAddress("https", "localhost", shield.https))
        for name in ("cdn.example.com", "other.example.com"):
            asked = msgspec.structs.replace(shielded, origins=(msgspec.structs.replace(near, certified_as=name),))
            folder = outer / name
            folder.mkdir()
            with running(asked, folder, trusted=str(secret / "known.crt")) as edge:
                found.append(get(edge.http, "/public/build/a"))

    assert (found[0][0], found[0][2]) == (200, b"kept")
    assert found[0][1]["x-cache"] == "MISS"
    assert found[1][0] == 502


def test_an_origin_that_fails_is_left_for_the_next_and_its_words_reach_nobody(tmp_path: Path) -> None:
    with origin(says(500, b"<Bucket>game-assets</Bucket>")) as bad, origin(says(200, b"good")) as good:
        with running(before(policy(), bad, good), tmp_path) as edge:
            answer = get(edge.http, "/public/build/a")
        alone = tmp_path / "alone"
        alone.mkdir()
        with running(before(policy(), bad), alone) as edge:
            failed = get(edge.http, "/public/build/a")

    assert (answer[0], answer[2]) == (200, b"good")
    assert failed[0] == 502
    assert b"game-assets" not in failed[2]


def test_origins_that_keep_silent_are_left_one_after_the_other_for_the_last(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as shield, socket.create_server(("127.0.0.1", 0)) as near:
        silent = [each.getsockname()[1] for each in (shield, near)]
        # A fifth of the time: two that keep silent for 15 s each would make a long test.
        with (
            origin(says(200, b"good")) as far,
            running(before(policy(), *silent, far, host="127.0.0.1"), tmp_path, times=0.2) as edge,
        ):
            answer = get(edge.http, "/public/build/a")

    assert (answer[0], answer[2]) == (200, b"good")


def test_nothing_that_a_store_says_of_itself_leaves_the_edge(tmp_path: Path) -> None:
    own = {
        "Seaweed-X-Amz-Owner": "admin", "Seaweed-X-Amz-ETag": "x", "x-amz-id-2": "x", "x-amz-storage-class": "COLD",
        "x-amz-server-side-encryption": "AES256", "Set-Cookie": "a=b", "X-Cache": "HIT", "ETag": '"kept"',
    }  # fmt: skip
    with origin(says(200, b"x", own)) as port, running(before(policy(), port), tmp_path) as edge:
        _, headers, _ = get(edge.http, "/public/build/a")

    assert headers["etag"] == '"kept"'
    assert headers["x-cache"] == "MISS"
    assert [name for name in headers if name.startswith(("x-amz", "seaweed", "set-cookie"))] == []


def test_any_number_of_pages_cost_one_fetch_and_each_may_read(tmp_path: Path) -> None:
    seen: list[str | None] = []

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        seen.append(handler.headers["Origin"])
        says(200, b"x")(handler)

    pages = (EdgePage("*"), EdgePage("https://*.example.com", expose_headers=("ETag",)))
    with origin(answer) as port:
        asked = msgspec.structs.replace(before(policy(), port), pages=pages)
        with running(asked, tmp_path) as edge:
            found = [get(edge.http, "/public/build/a", Origin=f"https://{name}.evil.example")[1] for name in "abcde"]

    assert seen == [None]
    assert [each["x-cache"] for each in found] == ["MISS", *["HIT"] * 4]
    assert {each["access-control-allow-origin"] for each in found} == {"*"}


def test_a_page_may_ask_first_what_it_may_send_and_a_stranger_may_not(tmp_path: Path) -> None:
    page = EdgePage(PAGE, headers=("Range", "If-None-Match"), expose_headers=("ETag",), max_age_secs=60)
    with origin(says(200, b"x")) as port:
        asked = msgspec.structs.replace(before(policy(), port), pages=(page,))
        with running(asked, tmp_path) as edge:
            wants = {"Access_Control_Request_Method": "GET", "Access_Control_Request_Headers": "range"}
            told = get(edge.http, "/public/build/a", method="OPTIONS", Origin=PAGE, **wants)
            stranger = get(edge.http, "/public/build/a", method="OPTIONS", Origin=f"{PAGE}.evil.example", **wants)
            nobody = get(edge.http, "/public/build/a", method="OPTIONS")
            hidden = get(edge.http, "/private/a", method="OPTIONS", Origin=PAGE, **wants)
            reads = get(edge.http, "/public/build/a", Origin=PAGE)

    assert told[0] == 204
    assert told[1]["access-control-allow-origin"] == PAGE
    assert told[1]["access-control-allow-methods"] == "GET, HEAD"
    assert told[1]["access-control-allow-headers"] == "Range, If-None-Match"
    assert told[1]["access-control-max-age"] == "60"
    assert [stranger[0], nobody[0], hidden[0]] == [405, 405, 404]
    assert (reads[1]["access-control-expose-headers"], reads[1]["vary"]) == ("ETag", "Origin")


def test_a_page_of_any_label_may_read_and_one_that_only_ends_alike_may_not(tmp_path: Path) -> None:
    asked = {"https://play.example.com": True, "https://a.b.example.com": True, "https://example.com": False,
             "https://play-example.com": False, "https://evil.com/.example.com": False,
             "http://play.example.com": False, "https://play.example.com.evil.com": False}  # fmt: skip
    with origin(says(200, b"x")) as port:
        open_to = msgspec.structs.replace(before(policy(), port), pages=(EdgePage("https://*.example.com"),))
        with running(open_to, tmp_path) as edge:
            found = {
                page: "access-control-allow-origin" in get(edge.http, "/public/build/a", Origin=page)[1]
                for page in asked
            }

    assert found == asked


def test_a_slow_reader_fills_no_disk(tmp_path: Path) -> None:
    big = 64 * 2**20

    with (
        origin(says(200, b"x" * big)) as port,
        running(before(policy(), port), tmp_path) as edge,
        socket.create_connection(("127.0.0.1", edge.http), timeout=90) as slow,
    ):
        slow.sendall(b"GET /public/other HTTP/1.0\r\n\r\n")
        assert slow.recv(4096)
        time.sleep(1.5)
        held = open_bytes(edge.daemon.pid, tmp_path / "proxy")

    assert held == 0


def open_bytes(pid: int | None, folder: Path) -> int:
    """Return the size of the files below ``folder`` that a process has open, those without a name included."""
    total = 0
    for each in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = each.readlink()
            total += each.stat().st_size if str(target).startswith(str(folder)) else 0
        except OSError:
            continue
    return total


def test_a_pod_that_ends_lets_downloads_end_first(tmp_path: Path) -> None:
    big = 32 * 2**20
    read: list[int] = []
    with origin(says(200, b"x" * big)) as port, running(before(policy(), port), tmp_path, alone=False) as edge:
        slow = socket.create_connection(("127.0.0.1", edge.http), timeout=90)
        slow.sendall(b"GET /public/other HTTP/1.0\r\n\r\n")
        read.append(len(slow.recv(4096)))
        hook = preparing_to_end(
            run=str(tmp_path), file=str(edge.file), errors=str(tmp_path / "errors"), drain_secs=0
        ).replace("nginx -s", f"{program()} -p {tmp_path} -s")
        done = subprocess.Popen(["sh", "-c", hook], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        reaping = threading.Thread(target=reap, args=(edge.daemon,), daemon=True)
        reaping.start()
        time.sleep(1.5)
        waited = done.poll() is None
        while part := slow.recv(1 << 20):
            read.append(len(part))
        said = done.communicate(timeout=90)[0]

    assert waited, said
    assert done.returncode == 0, said
    assert sum(read) > big


def reap(daemon: Any) -> None:
    """Collect the process once it ends, as a container's runtime does: until then it looks alive."""
    while daemon.code is None:
        time.sleep(0.1)
