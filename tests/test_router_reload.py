"""A router that reads everything again: all of it or nothing, however often it is told to."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli_cases import ended, program
from tests.router_cases import (
    FULL_POLICY,
    TOKEN,
    FakeRegion,
    RouterProcess,
    config_values,
    fake_regions,
    new_keys,
    serve,
    until,
    write,
)

EAST, WEST, SOUTH = "us-east-1", "eu-west-1", "ap-south-1"


@pytest.fixture
def regions() -> Iterator[dict[str, FakeRegion]]:
    with fake_regions() as regions:
        yield regions


def test_a_reload_that_is_refused_lists_every_fault_as_a_begin_does(
    tmp_path: Path, regions: dict[str, FakeRegion]
) -> None:
    faulty = {
        "load": {"soft_percent": 96, "hard_percent": 95},
        "latency": {"sources": ["matrix", "matrix"]},
        "residency": [{"name": "law", "regions": ["mars-1"]}],
        "drain": {"venus-1": "soft"},
    }
    config = write(tmp_path, regions)
    with serve(tmp_path, config) as router:
        values = json.loads(write(tmp_path, regions, **faulty).read_text())
        values["links"].append({"between": [EAST, "pluto-1"], "latency_ms": 9})
        config.write_text(json.dumps(values))
        router.process.send_signal(signal.SIGHUP)
        told = router.heard("reload_refused")["problems"]
    begin = ended(program("router", "serve", "--config", str(config), folder=tmp_path))

    assert [each.partition(": $.")[2].partition(":")[0] for each in told] == [
        "load.soft_percent",
        "latency.sources[1]",
        "links[3].between[1]",
        "residency[0].regions[0]",
        "drain.venus-1",
    ]
    assert begin.code == 2
    assert all(each in begin.err for each in told)


def test_another_configuration_is_taken_whole_and_what_is_known_is_kept(
    tmp_path: Path, regions: dict[str, FakeRegion]
) -> None:
    (tmp_path / "token").write_text(TOKEN)
    config = write(tmp_path, regions)
    with serve(tmp_path, config, "--admin-token-file", "token") as router:
        router.until("/readyz", 200)
        router.ask("POST", f"/v1/regions/{WEST}/drain", {"mode": "hard"}, token=TOKEN)
        values = json.loads(config.read_text())
        values["regions"] = [each for each in values["regions"] if each["code"] != EAST]
        values["links"] = values["links"][2:]
        values["on_unknown"] = "error"
        config.write_text(json.dumps(values))
        (tmp_path / "token").write_text("another-token-of-more-than-16")
        epoch = router.ask("GET", "/v1/regions").json["epoch"]
        router.process.send_signal(signal.SIGHUP)
        router.heard("reloaded")
        unknown = router.ask("GET", f"/v1/route?preferred={EAST}")
        known = router.ask("GET", f"/v1/route?preferred={WEST}").json
        tokens = [
            router.ask("DELETE", f"/v1/regions/{WEST}/drain", token=each).status
            for each in (TOKEN, "another-token-of-more-than-16")
        ]

    assert (unknown.status, unknown.json["known"]) == (404, [WEST, SOUTH])
    assert (known["region"], known["reason"]) == (SOUTH, "preferred_drained")
    assert known["epoch"] > epoch
    assert tokens == [401, 200]


def _broken(by: Callable[[Any], None]) -> bytes:
    values = json.loads(json.dumps(config_values()))
    by(values)
    return json.dumps(values).encode()


NONSENSE: dict[str, tuple[str, bytes]] = {
    "no JSON": ("router.json", b"{"),
    "not UTF-8": ("router.json", b"\xff\xfe"),
    "nothing": ("router.json", b""),
    "a list": ("router.json", b"[]"),
    "without regions": ("router.json", b'{"regions": []}'),
    "another product's": ("router.json", b'{"apiVersion": "v1", "kind": "ConfigMap"}'),
    "a link of three": ("router.json", _broken(lambda v: v["links"][0]["between"].append("mars-1"))),
    "a link to nowhere": ("router.json", _broken(lambda v: v["links"][0].update(between=["us-east-1", "mars-1"]))),
    "a port that there is not": ("router.json", _broken(lambda v: v["regions"][0].update(probe="http://a:99999/"))),
    "no name": ("router.json", _broken(lambda v: v["regions"][0].update(server_name="a b"))),
    "a residency nowhere": (
        "router.json",
        _broken(lambda v: v.update(residency=[{"name": "x", "regions": ["mars-1"]}])),
    ),
    "a deep hole": ("router.json", b"[" * 100_000),
    "a short token": ("token", b"short"),
    "no key": ("keys.pem", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
}


def test_nonsense_is_told_and_nothing_of_it_is_taken(tmp_path: Path, regions: dict[str, FakeRegion]) -> None:
    (tmp_path / "token").write_text(TOKEN)
    (tmp_path / "keys.pem").write_bytes(new_keys()[0])
    config = write(tmp_path, regions, **FULL_POLICY)
    with serve(tmp_path, config, "--admin-token-file", "token", "--signing-key-file", "keys.pem") as router:
        router.until("/readyz", 200)
        before = _unsigned(router)
        for name, content in NONSENSE.values():
            sound = {each: (tmp_path / each).read_bytes() for each in ("router.json", "token", "keys.pem")}
            fewer = json.loads(sound["router.json"])
            del fewer["regions"][0], fewer["links"][:2]
            (tmp_path / "router.json").write_text(json.dumps(fewer))  # sound by itself, and not to be taken either
            (tmp_path / name).write_bytes(content)
            router.process.send_signal(signal.SIGHUP)
            refused = router.heard("reload_refused")

            assert refused["level"] == "error"
            assert "\n  fix: " in refused["problems"][0]
            assert _unsigned(router) == before
            assert router.ask("POST", f"/v1/regions/{SOUTH}/drain", {}, token="short").status == 401
            for each, held in sound.items():
                (tmp_path / each).write_bytes(held)
        (tmp_path / "token").unlink()
        router.process.send_signal(signal.SIGHUP)
        gone = router.heard("reload_refused")
        metrics = router.ask("GET", "/metrics").body.decode()

    assert "cannot be read: No such file or directory" in gone["problems"][0]
    assert f'aether_router_reloads_total{{outcome="refused"}} {len(NONSENSE) + 1}\n' in metrics


def _unsigned(router: RouterProcess) -> tuple[Any, Any]:
    """Return an answer without its bundle, which is signed anew each hour, and the keys that this is signed with."""
    answer = router.ask("GET", f"/v1/route?preferred={EAST}").json
    assert answer.pop("bundle")
    return answer, router.ask("GET", "/v1/keys").json


def test_every_fault_of_every_file_is_told_at_once(tmp_path: Path, regions: dict[str, FakeRegion]) -> None:
    config = write(tmp_path, regions, on_unknown="explode", latency={"max_ms": 0})
    (tmp_path / "token").write_text("short")

    told = ended(
        program(
            "router", "serve", "--config", str(config), "--admin-token-file", "token", "--signing-key-file", "none",
            folder=tmp_path,
        )
    )  # fmt: skip

    assert told.code == 2
    for fault in (
        "$.on_unknown: is 'explode'",
        "$.latency.max_ms: is 0",
        "token: $: holds a token of 5",
        "none: $: cannot be",
    ):
        assert fault in told.err


def test_signals_that_come_thick_and_fast_end_in_the_last_configuration(
    tmp_path: Path, regions: dict[str, FakeRegion]
) -> None:
    config = write(tmp_path, regions)
    with serve(tmp_path, config) as router:
        router.until("/readyz", 200)
        values = json.loads(config.read_text())
        for number in range(30):
            values["regions"][0]["address"] = f"{number}.example.com"
            (tmp_path / "new").write_text(json.dumps(values))
            os.replace(tmp_path / "new", config)
            router.process.send_signal(signal.SIGHUP)
        until(lambda: router.ask("GET", f"/v1/route?preferred={EAST}").json["address"] == "29.example.com")
