"""The whole of ``examples/three-regions`` in a lab: every prediction of a loss is held against what happens."""

import json
import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli_cases import PROGRAM, ROOT
from tests.lab_system_platforms import Labs, need_system

EXAMPLE = ROOT / "examples" / "three-regions" / "aether.yaml"
MEMORY_MB_MAX = 8000
FAULT_SECS = 400
"""Members settle for a minute at most; what is mended is waited for for three; then lost writes are counted."""

pytestmark = [
    pytest.mark.real,
    pytest.mark.failover,
    pytest.mark.skipif(not PROGRAM.exists(), reason="aether-deploy is not installed; to bring it: make install"),
]


@pytest.fixture(scope="module")
def whole() -> Iterator[Labs]:
    """The lab of the example, which is up."""
    need_system()
    with tempfile.TemporaryDirectory(prefix="lab-") as name:
        labs = Labs(Path(name), EXAMPLE.read_text("utf-8"))
        try:
            up = labs("up", "-q", within_secs=400)
            assert up.code == 0, up.err
            yield labs
        finally:
            labs("down")
            for pid in labs.processes():
                os.kill(pid, signal.SIGKILL)


def judged(labs: Labs, fault: str) -> list[Any]:
    """Return all parts after a fault: none did something else than was predicted, and two of three were measured.

    A machine that stands still for moments leaves some unmeasured.
    """
    told = labs("fault", fault, "--json", within_secs=FAULT_SECS)
    parts: list[Any] = json.loads(told.out)["result"]["parts"]
    assert {each["member"] for each in parts} >= {"accounts", "inventory", "sessions", "events", "assets", "cdn"}
    assert [each for each in parts if each["verdict"] == "broken"] == []
    unmeasured = [(each["member"], each["part"], each["says"]) for each in parts if each["verdict"] == "unmeasured"]
    assert 3 * len(unmeasured) <= len(parts), unmeasured
    return parts


def held(parts: list[Any], region: str) -> dict[str, int]:
    """Return how many parts of a region's caches and streams, of the database and of the store went as predicted."""
    names: dict[str, Callable[[Any], bool]] = {
        "sessions": lambda each: each["region"] == region,
        "events": lambda each: each["region"] == region and each["part"] != "management",
        "accounts": lambda each: each["part"] == "",
        "assets": lambda each: each["part"] == "objects",
    }
    return {
        name: sum(each["verdict"] == "held" for each in parts if each["member"] == name and is_meant(each))
        for name, is_meant in names.items()
    }


def test_it_boots_whole_and_fits_into_a_small_machine(whole: Labs) -> None:
    record = whole.result("status")["record"]

    assert [each["name"] for each in record["members"]] == [
        "events", "sessions", "assets", "cdn", "accounts", "inventory", "router", "player-edge", "world-server",
        "gateway", "matchmaking", "voice-relay",
    ]  # fmt: skip
    assert sum(each["memory_mb"] for each in record["members"]) < MEMORY_MB_MAX


def test_the_loss_of_a_region_goes_as_analyze_says_and_is_mended(whole: Labs) -> None:
    lost = judged(whole, "region=us-east-1")
    back = judged(whole, "mend=all")

    assert held(lost, "us-east-1") == {"sessions": 3, "events": 3, "accounts": 1, "assets": 1}
    assert held(back, "us-east-1") == {"sessions": 3, "events": 3, "accounts": 1, "assets": 1}


def test_the_loss_of_a_zone_goes_as_analyze_says_and_is_mended(whole: Labs) -> None:
    lost = judged(whole, "zone=eu-west-1b")
    judged(whole, "mend=all")

    assert held(lost, "eu-west-1")["sessions"] == 3


def test_it_leaves_nothing(whole: Labs) -> None:
    """The last one of this lab."""
    assert whole("down", "-q") == (0, "", "")
    assert whole.wait_until_nothing_runs() == {}
    assert whole.runs == []
