"""Real servers run our arguments, our programs set them up, and the table of what they can is held against them."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aether_deploy.infrastructure.object_store.capabilities import capabilities_of
from aether_deploy.infrastructure.object_store.documents import documents_of
from aether_deploy.infrastructure.object_store.parts import ObjectBucket
from aether_deploy.infrastructure.object_store.ports import FILER, FILER_GRPC
from aether_deploy.infrastructure.object_store.provider_rules import RESERVED
from aether_deploy.infrastructure.object_store.rendering import startup_script
from aether_deploy.infrastructure.object_store.seaweed import follow_arguments, follow_script
from aether_deploy.jobs.object_store_s3 import S3Client
from aether_deploy.lab.seaweedfs.programs import find_weed
from aether_deploy.lab.seaweedfs.store import ObjectStore, Reach, StorePlace
from aether_deploy.lab.system.network import HOST, Address, Network, Server
from tests.object_store_cases import FOLLOWED, ONE, PUBLIC, TWO, store
from tests.real import need
from tests.weed_stage import started

pytestmark = pytest.mark.real

ENCRYPTED = {"name": "saves", "encryption": "sse_s3"}
LOCKED = {"name": "records", "versioning": True, "object_lock": {"days": 1}}
USERS = [{"name": "game"}, {"name": "report", "secret": "report", "buckets": ["game-assets"], "access": "read"}]
OPEN_PORTS = {"-s3.port.iceberg=0", "-s3.port.lance=0"}
PATIENCE_SECS = 180.0
PAIR = frozenset(("us", "eu"))


@pytest.fixture(scope="module")
def link() -> Iterator[Network]:
    """What lies between the regions of the first store."""
    with contextlib.closing(Network()) as network:
        yield network


def bodies_over(link: Network) -> Reach:
    """Let a copy fetch the bodies of objects over a link; of what there is it is told directly."""

    def reach(region: str, leader: StorePlace) -> str:
        server = Server("assets", leader.region, FILER[0])
        link.publish(server, Address(HOST, leader.weed.ports[FILER[0]]))
        return f"{link.reach(region, server)}.{leader.weed.ports[FILER_GRPC[0]]}"

    return reach


@pytest.fixture(scope="module")
def both(link: Network) -> Iterator[tuple[ObjectStore, ObjectStore]]:
    """Both of the stores below, which boot at a time: they wait on timers, not on the processor."""
    tmp = {"name": "game-assets", "lifecycle": {"expiries": [{"name": "tmp", "prefix": "tmp/", "days": 1}]}}
    with (
        started(TWO, dict(PUBLIC), ENCRYPTED, LOCKED, reach=bodies_over(link), users=USERS, **FOLLOWED) as two,
        started(ONE, tmp) as one,
    ):
        two.wait_ready()
        for region in ("us", "eu"):
            done = two.set_up_buckets(region)
            assert done.returncode == 0, done.stdout + done.stderr
        one.wait_ready()
        yield two, one


@pytest.fixture(scope="module")
def two(both: tuple[ObjectStore, ObjectStore]) -> ObjectStore:
    """A store in two regions whose buckets are set up; for tests that end nobody."""
    return both[0]


@pytest.fixture(scope="module")
def one(both: tuple[ObjectStore, ObjectStore]) -> ObjectStore:
    """A store in one region, without a key of encryption."""
    return both[1]


@pytest.fixture
def us(two: ObjectStore) -> S3Client:
    return two.client("us")


def test_the_program_makes_buckets_once_and_then_finds_them(two: ObjectStore) -> None:
    again = two.set_up_buckets()

    assert again.stdout.splitlines() == [
        "ok   game-assets: unchanged",
        "ok   saves: unchanged",
        "ok   records: unchanged",
    ]
    assert again.returncode == 0


def test_the_program_mends_what_a_hand_changed(two: ObjectStore, us: S3Client) -> None:
    us.ask("DELETE", "/game-assets", {"policy": ""})
    suspended = b"<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>"
    us.ask("PUT", "/game-assets", {"versioning": ""}, body=suspended)

    done = two.set_up_buckets()

    assert "ok   game-assets: set versioning, set policy" in done.stdout


def test_what_is_no_longer_described_is_taken_away(two: ObjectStore, us: S3Client) -> None:
    us.ask("PUT", "/plain")
    described = store({**PUBLIC, "name": "plain"}, **FOLLOWED)
    two.set_up_buckets(config=described)

    done = two.set_up_buckets(config=store({"name": "plain"}, **FOLLOWED))

    assert done.stdout.splitlines() == [
        "ok   plain: took away versioning, took away lifecycle, took away cors, took away policy"
    ]
    assert us.ask("GET", "/plain", {"policy": ""}).status == 404


def test_nobody_but_those_who_log_in_reads_outside_of_the_public_prefix(two: ObjectStore, us: S3Client) -> None:
    us.ask("PUT", "/game-assets/public/a", body=b"open")
    us.ask("PUT", "/game-assets/private/a", body=b"closed")
    anybody = two.client("us", None)
    report = two.client("us", "report")

    assert anybody.ask("GET", "/game-assets/public/a").body == b"open"
    assert anybody.ask("GET", "/game-assets/private/a").status == 403
    assert anybody.ask("GET", "/game-assets").status == 403
    assert anybody.ask("PUT", "/game-assets/public/b", body=b"x").status == 403
    assert report.ask("GET", "/game-assets/private/a").body == b"closed"
    assert report.ask("PUT", "/game-assets/private/b", body=b"x").status == 403
    assert report.ask("GET", "/saves/a").status == 403
    assert two.client("us", "game").ask("PUT", "/game-assets/private/b", body=b"x").status == 200


def test_who_writes_neither_opens_nor_deletes_nor_makes_a_bucket_and_what_he_changes_is_mended(
    two: ObjectStore,
) -> None:
    game = two.client("us", "game")
    opening = json.dumps({"Version": "2012-10-17", "Statement": [{**ANYBODY, "Resource": ["arn:aws:s3:::saves/*"]}]})
    refused = [
        game.ask("PUT", "/saves", {"policy": ""}, body=opening.encode()),
        game.ask("DELETE", "/game-assets", {"policy": ""}),
        game.ask("DELETE", "/saves"),
        game.ask("PUT", "/another"),
    ]
    suspended = b"<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>"
    changed = game.ask("PUT", "/game-assets", {"versioning": ""}, body=suspended)

    mended = two.set_up_buckets()

    assert [each.status for each in refused] == [403] * 4
    assert changed.status == 200  # the server lets those who write
    assert "ok   game-assets: set versioning" in mended.stdout


ANYBODY = {"Effect": "Allow", "Principal": "*", "Action": ["s3:GetObject"]}


@pytest.mark.parametrize("name", ["xn--saves", "saves-s3alias"])
def test_names_that_it_keeps_for_itself_are_refused_as_the_rule_says(us: S3Client, name: str) -> None:
    assert us.ask("PUT", f"/{name}").said == "400 InvalidBucketName"
    assert RESERVED["seaweedfs"].why(name) is not None


# --- the table, row by row


def _versioning(us: S3Client) -> bool:
    first = us.ask("PUT", "/game-assets/v", body=b"1").headers["x-amz-version-id"]
    us.ask("PUT", "/game-assets/v", body=b"2")
    return us.ask("GET", "/game-assets/v", {"versionId": first}).body == b"1"


def _takes(us: S3Client, bucket: ObjectBucket, word: str, name: str) -> bool:
    us.ask("PUT", f"/{name}")
    document = documents_of(bucket, name=name, provider="aws")[word].encode()
    return us.ask("PUT", f"/{name}", {word: ""}, body=document).status < 300


def _lifecycle(us: S3Client, **lifecycle: Any) -> bool:
    bucket = ObjectBucket.from_values({"name": "rules", "versioning": True, "lifecycle": lifecycle})
    return _takes(us, bucket, "lifecycle", "rules")


def _cors(us: S3Client) -> bool:
    us.ask("PUT", "/game-assets/public/c", body=b"x")
    answer = us.ask("GET", "/game-assets/public/c", headers={"Origin": "https://play.example.com"})
    stranger = us.ask("GET", "/game-assets/public/c", headers={"Origin": "https://elsewhere.example.com"})
    allowed = "access-control-allow-origin"
    return answer.headers.get(allowed) == "https://play.example.com" and allowed not in stranger.headers


def _public(us: S3Client) -> bool:
    return b"AetherPublicRead" in us.ask("GET", "/game-assets", {"policy": ""}).body


def _encryption(us: S3Client) -> bool:
    put = us.ask("PUT", "/saves/e", body=b"secret")
    return put.status == 200 and us.ask("GET", "/saves/e").body == b"secret"


def _wildcard(us: S3Client) -> bool:
    page = {"name": "web", "origins": ["https://*.example.com"]}
    taken = _takes(us, ObjectBucket.from_values({"name": "pages", "cors": [page]}), "cors", "pages")
    us.ask("PUT", "/pages/c", body=b"x")

    def allowed(origin: str) -> bool:
        headers = us.ask("GET", "/pages/c", headers={"Origin": origin}).headers
        return headers.get("access-control-allow-origin") == origin

    strangers = ("https://example.com", "https://evil-example.com", "http://a.example.com", "https://a.example.com.org")
    return taken and allowed("https://a.example.com") and not any(map(allowed, strangers))


def _lock(us: S3Client) -> bool:
    version = us.ask("PUT", "/records/l", body=b"1").headers["x-amz-version-id"]
    return us.ask("DELETE", "/records/l", {"versionId": version}).status == 403


def _blocked(us: S3Client) -> bool:
    bucket = ObjectBucket.from_values({"name": "rules", "block_public_access": True})
    return _takes(us, bucket, "publicAccessBlock", "rules")


ROWS = {
    "versioning": _versioning,
    "lifecycle_expiration": lambda us: _lifecycle(us, expiries=[{"name": "a", "days": 1}]),
    "lifecycle_noncurrent": lambda us: _lifecycle(us, noncurrent_days=1),
    "lifecycle_abort": lambda us: _lifecycle(us, abort_upload_days=1),
    "lifecycle_transition": lambda us: _lifecycle(
        us, transitions=[{"name": "a", "days": 1, "storage_class": "GLACIER"}]
    ),
    "cors": _cors,
    "cors_wildcard": _wildcard,
    "public_prefix": _public,
    "public_access_block": _blocked,
    "encryption": _encryption,
    "object_lock": _lock,
}


@pytest.mark.parametrize("feature", ROWS)
def test_a_row_of_the_table_is_what_the_server_does(us: S3Client, feature: str) -> None:
    assert ROWS[feature](us) is capabilities_of("seaweedfs")[feature].can


def test_every_row_is_run(two: ObjectStore) -> None:
    assert {*ROWS, "replication"} == capabilities_of("seaweedfs").keys()


def test_the_region_that_follows_gets_objects_settings_and_deletions(two: ObjectStore, us: S3Client) -> None:
    us.ask("PUT", "/game-assets/public/r", body=b"copied")
    us.ask("PUT", "/saves/r", body=b"secret")
    anybody, admin = two.client("eu", None), two.client("eu")

    two.wait_until(lambda: two.has_copied("eu", "game-assets", "public/r"), PATIENCE_SECS, "the copy is there")
    assert anybody.ask("GET", "/game-assets/public/r").body == b"copied"
    two.wait_until(lambda: admin.ask("GET", "/saves/r").body == b"secret", PATIENCE_SECS, "what is encrypted is read")
    assert anybody.ask("GET", "/game-assets/private/a").status in (403, 404)
    assert two.client("eu", "game").ask("PUT", "/game-assets/x", body=b"lost").status == 403
    assert two.compare("eu").returncode == 0
    us.ask("DELETE", "/game-assets/public/r")
    two.wait_until(lambda: _is_deleted(two, "public/r"), PATIENCE_SECS, "it is gone there, too")
    assert anybody.ask("GET", "/game-assets/public/r").status == 404


def _is_deleted(stores: ObjectStore, key: str) -> bool:
    """Return whether the copy leads to the mark of a deletion; a reader who comes before that may mislead it."""
    return any(each.deletes and each.is_current for each in stores.versions("eu", "game-assets", key))


def test_readers_that_come_while_an_object_is_copied_mislead_the_copy_until_the_program_sets_it_right(
    two: ObjectStore, us: S3Client, link: Network
) -> None:
    two.set_current("eu")  # what readers of the tests before have hidden by chance does not count here
    early, odd = (_misled(two, link, f"public/{name}") for name in ("early", "a b+%\u00e9/x"))

    hidden = [_read(two, key) for key in (early, odd)]
    done, again = two.set_current("eu"), two.set_current("eu")

    assert hidden == [b"first"] * 2
    assert done.returncode == again.returncode == 0, done.stdout + done.stderr
    assert (done.stdout.splitlines()[-1], again.stdout) == ("2 set right, 0 not", "0 set right, 0 not\n")
    assert [_read(two, key) for key in (early, odd)] == [b"second"] * 2
    us.ask("DELETE", f"/game-assets/{early}")
    two.wait_until(lambda: len(two.versions("eu", "game-assets", early)) == 3, PATIENCE_SECS, "the mark is there")
    assert _read(two, early) == b"second"
    assert two.set_current("eu").stdout.endswith("1 set right, 0 not\n")
    assert two.client("eu", None).ask("GET", f"/game-assets/{early}").status == 404
    listed = two.client("eu").ask("GET", "/game-assets", {"list-type": "2", "prefix": "public/"}).body
    assert early.encode() not in listed
    found = two.client("eu").ask("GET", "/game-assets", {"list-type": "2", "prefix": odd}).body
    assert b"<Size>6</Size>" in found


def _read(stores: ObjectStore, key: str) -> bytes:
    return stores.client("eu", None).ask("GET", f"/game-assets/{key}").body


def _misled(stores: ObjectStore, link: Network, key: str) -> str:
    """Write an object twice, with a reader who comes when the copy is told of the first and does not have it yet."""
    us = stores.client("us")
    link.cut(PAIR)
    us.ask("PUT", f"/game-assets/{key}", body=b"first")
    stores.wait_until(lambda: _is_told_of(stores, key), PATIENCE_SECS, "it is told of the first")
    _read(stores, key)
    link.join(PAIR)
    stores.wait_until(lambda: _read(stores, key) == b"first", PATIENCE_SECS, "the first is read")
    us.ask("PUT", f"/game-assets/{key}", body=b"second")
    stores.wait_until(lambda: len(stores.versions("eu", "game-assets", key)) == 2, PATIENCE_SECS, "both are there")
    return key


def _is_told_of(stores: ObjectStore, key: str) -> bool:
    """Return whether the copy has noted which version is the current one."""
    filer = S3Client(f"http://{HOST}:{stores.places['eu'].weed.ports[FILER[0]]}", "eu", None)
    noted = filer.ask("GET", f"/buckets/game-assets/{key}.versions", {"metadata": "true"})
    return b"Latest-Version-File-Name" in noted.body


def test_a_call_of_s3_for_copying_is_misread_so_none_is_made(us: S3Client) -> None:
    answer = us.ask("PUT", "/game-assets", {"replication": ""}, body=b"<ReplicationConfiguration/>")

    assert answer.said == "409 BucketAlreadyOwnedByYou"


def test_the_startup_probe_waits_for_a_place_for_objects(two: ObjectStore) -> None:
    need(shutil.which("wget"), "wget", "apt-get install wget")
    ports = two.places["us"].weed.ports

    def probe(port: int) -> int:
        return subprocess.run(["sh", "-c", startup_script(f"127.0.0.1:{port}")], check=False, timeout=90).returncode

    assert probe(ports["master"]) == 0
    assert probe(ports["s3"]) != 0
    assert probe(9) != 0


def test_it_listens_on_its_own_address_and_ports_and_no_others(two: ObjectStore) -> None:
    own = {number for place in two.places.values() for number in place.weed.ports.values()}
    pids = {daemon.pid for daemon in two._servers.values()}

    found = {(address, port) for pid in pids for address, port in listening(pid)}

    assert {address for address, _ in found} == {"127.0.0.1"}
    assert {port for _, port in found} == own


def listening(pid: int | None) -> Iterator[tuple[str, int]]:
    """Yield address and port of everything on which a process listens."""
    links = []
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # it was closed meanwhile
            links.append(link.readlink())
    inodes = {str(link)[8:-1] for link in links if str(link).startswith("socket:[")}
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:
                raw, _, port = fields[1].partition(":")
                octets = [str(int(raw[-8:][at : at + 2], 16)) for at in (6, 4, 2, 0)]
                yield ".".join(octets), int(port, 16)


def test_lifecycle_is_carried_out_by_the_script_and_not_by_the_server(one: ObjectStore) -> None:
    assert one.set_up_buckets().returncode == 0
    us = one.client("us")
    past = b"<LifecycleConfiguration><Rule><ID>a</ID><Status>Enabled</Status><Filter><Prefix>tmp/</Prefix></Filter>"
    past += b"<Expiration><Date>2020-01-01T00:00:00Z</Date></Expiration></Rule></LifecycleConfiguration>"
    us.ask("PUT", "/game-assets", {"lifecycle": ""}, body=past)
    us.ask("PUT", "/game-assets/tmp/a", body=b"x")
    us.ask("PUT", "/game-assets/keep/a", body=b"x")

    still = us.ask("GET", "/game-assets/tmp/a").status
    done = one.carry_out_lifecycle()

    assert still == 200
    assert done.returncode == 0, done.stdout + done.stderr
    assert us.ask("GET", "/game-assets/tmp/a").status == 404
    assert us.ask("GET", "/game-assets/keep/a").status == 200


def test_without_a_key_an_encrypted_bucket_takes_no_upload_which_is_why_one_is_needed(one: ObjectStore) -> None:
    us = one.client("us")
    us.ask("PUT", "/saves")
    document = documents_of(ObjectBucket.from_values(ENCRYPTED), name="saves", provider="seaweedfs")["encryption"]

    taken = us.ask("PUT", "/saves", {"encryption": ""}, body=document.encode())

    assert taken.status == 200
    assert us.ask("PUT", "/saves/e", body=b"x").status == 500


def test_the_program_says_when_nobody_answers_and_what_a_wrong_file_is(two: ObjectStore, tmp_path: Path) -> None:
    module = [sys.executable, "-m", "aether_deploy.jobs.object_store_buckets"]
    for key in ("access_key", "secret_key"):
        (tmp_path / key).write_text("x")
    file = tmp_path / "buckets.json"
    body = {"format": 1, "url": "http://127.0.0.1:9", "region": "us", "credentials": str(tmp_path), "wait_secs": 0}
    file.write_text(json.dumps({**body, "buckets": [{"name": "a", "settings": {}}]}))
    silent = subprocess.run([*module, str(file)], capture_output=True, text=True, check=False)
    file.write_text(json.dumps({**body, "format": 2, "buckets": []}))
    newer = subprocess.run([*module, str(file)], capture_output=True, text=True, check=False)
    file.write_text("{}")
    wrong = subprocess.run([*module, str(file)], capture_output=True, text=True, check=False)

    assert (silent.returncode, newer.returncode, wrong.returncode) == (3, 2, 2)
    assert "does not answer" in silent.stderr
    assert "format 2" in newer.stderr


def test_what_copies_is_started_again_until_it_finds_both_and_ends_with_its_pod(
    two: ObjectStore, tmp_path: Path
) -> None:
    script = follow_script(follow_arguments(two.places["eu"].weed, leader="127.0.0.1:9.9"), pause_secs=0.1)
    path = f"{find_weed().parent}{os.pathsep}{os.environ['PATH']}"
    process = subprocess.Popen(
        ["sh", "-c", script], cwd=tmp_path, env={**os.environ, "PATH": path}, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    tries = [line for line in (process.stderr.readline() for _ in range(2)) if "get filer" in line]
    process.terminate()

    assert len(tries) == 2
    assert process.wait(90) == 0
