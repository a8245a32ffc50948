"""Real servers are killed, lose their volumes and change their roles: what is predicted, and what the runbook says."""

import time

import pytest

from aether_deploy.infrastructure.object_store.impact import RESTART_SECS
from aether_deploy.jobs.object_store_s3 import S3Client
from tests.object_store_cases import FOLLOWED, PUBLIC, TWO, store
from tests.weed_stage import booted

pytestmark = [pytest.mark.real, pytest.mark.failover]

DELETED_SECS = 15
"""By then the parts of what was written over are gone: they are deleted some seconds later."""

NOW = "-modifiedTimeAgo=0s"


def test_a_server_that_is_killed_is_back_within_the_predicted_time_and_a_lost_region_is_read_elsewhere() -> None:
    with booted(TWO, dict(PUBLIC), **FOLLOWED) as servers:
        assert [servers.set_up_buckets(each).returncode for each in ("us", "eu")] == [0, 0]
        us, eu = servers.client("us"), servers.client("eu", None)
        us.ask("PUT", "/game-assets/public/a", body=b"1")
        servers.wait_until(lambda: servers.has_copied("eu", "game-assets", "public/a"), 60, "the copy is there")

        servers.kill("us")
        read = eu.ask("GET", "/game-assets/public/a").body
        servers.start("us")
        took = servers.wait_until(lambda: takes_upload(us), 60, "uploads are taken again")

        assert read == b"1"
        assert took <= RESTART_SECS.worst
        assert us.ask("GET", "/game-assets/public/a").body == b"1"
        servers.wait_until(lambda: servers.has_copied("eu", "game-assets", "public/after"), 60, "copies go on")


def test_a_region_that_comes_back_begins_empty_and_gets_what_the_other_has_as_the_runbook_says() -> None:
    plain = {"name": "plain"}
    with booted(TWO, plain, **FOLLOWED) as servers:
        assert [servers.set_up_buckets(each).returncode for each in ("us", "eu")] == [0, 0]
        us = servers.client("us")
        for key in ("kept", "both", "gone"):
            us.ask("PUT", f"/plain/{key}", body=b"us")
        servers.wait_until(lambda: servers.compare("eu", NOW).returncode == 0, 60, "all are copied")
        servers.daemons("eu")[1].kill()
        us.ask("PUT", "/plain/both", body=b"late")
        servers.kill("us")
        servers.daemons("eu")[0].stop(30)  # as a new version of its settings does; killed, it forgets its last minute
        servers.kill("eu")

        servers.give_lead(store(plain, **{**FOLLOWED, "regions": ["eu", "us"]}))
        servers.start("eu")
        servers.wait_ready()
        app = servers.client("eu", "app")
        wrote = [app.ask("PUT", f"/plain/{key}", body=b"eu").status for key in ("both", "new")]
        deleted = app.ask("DELETE", "/plain/gone").status
        servers.start("us")
        servers.wait_ready()
        servers.wait_until(lambda: us.ask("GET", "/plain/new").body == b"eu", 60, "it gets what eu took")
        mixed, seen = us.ask("GET", "/plain/both").body, servers.compare("us", NOW).stdout
        servers.kill("us")
        servers.empty("us")
        servers.start("us")
        servers.wait_ready()
        servers.wait_until(lambda: servers.compare("us", NOW).returncode == 0, 60, "copies agree")

        assert (wrote, deleted, mixed) == ([200, 200], 204, b"eute")
        assert "[SIZE_MISMATCH] /buckets/plain/both" in seen
        assert [us.ask("GET", f"/plain/{key}").body for key in ("kept", "both", "new")] == [b"us", b"eu", b"eu"]
        assert us.ask("GET", "/plain/gone").status == 404
        assert servers.client("us", "app").ask("PUT", "/plain/x", body=b"x").status == 403


def written_within_a_second(us: S3Client, *bodies: bytes) -> bool:
    """Write an object several times; return whether the store took that for one second's."""
    time.sleep(1 - time.time() % 1)
    when = []
    for body in bodies:
        us.ask("PUT", "/plain/again", body=body)
        when.append(us.ask("HEAD", "/plain/again").headers["last-modified"])
    return len(set(when)) == 1


def test_copying_that_is_stuck_is_seen_and_goes_on_once_the_object_is_uploaded_again() -> None:
    parts = bytes(range(256)) * 4096 * 5
    with booted(TWO, {"name": "plain"}, **FOLLOWED) as servers:
        assert [servers.set_up_buckets(each).returncode for each in ("us", "eu")] == [0, 0]
        us, eu = servers.client("us"), servers.client("eu")
        us.ask("PUT", "/plain/first", body=b"1")
        servers.wait_until(lambda: eu.ask("GET", "/plain/first").status == 200, 60, "the first is copied")
        servers.daemons("eu")[1].kill()
        servers.daemons("eu")[1].reap()
        while not written_within_a_second(us, parts, b"short"):
            pass
        us.ask("PUT", "/plain/after", body=b"2")
        time.sleep(DELETED_SECS)

        servers.wait_ready()
        stuck = "404 Not Found"
        servers.wait_until(lambda: stuck in servers.daemons("eu")[1].log.read_text("utf-8"), 90, "it meets the hole")
        missed, seen = eu.ask("GET", "/plain/after").status, servers.compare("eu", NOW)
        us.ask("PUT", "/plain/again", body=b"once more")
        servers.wait_until(lambda: eu.ask("GET", "/plain/after").status == 200, 60, "copying goes on")

        assert (missed, seen.returncode) == (404, 2)
        assert "[MISSING]       /buckets/plain/after" in seen.stdout
        servers.wait_until(lambda: servers.compare("eu", NOW).returncode == 0, 60, "copies agree")


def takes_upload(client: S3Client) -> bool:
    try:
        return client.ask("PUT", "/game-assets/public/after", body=b"2").status == 200
    except OSError:
        return False
