"""The whole of ``examples/three-regions`` in a lab: every prediction of a loss is held against what happens."""

import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli_cases import PROGRAM, ROOT
from tests.lab_system_platforms import Labs, need_system

EXAMPLE = ROOT / "examples" / "three-regions" / "aether.yaml"
MEMORY_MB_MAX = 8000

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


def broken(labs: Labs, fault: str) -> list[Any]:
    """Return the parts that did something else than was predicted."""
    record = labs.result("fault", fault)
    assert {each["member"] for each in record["parts"]} >= {
        "accounts",
        "inventory",
        "sessions",
        "events",
        "assets",
        "cdn",
    }
    return [each for each in record["parts"] if each["verdict"] == "broken"]


def test_it_boots_whole_and_fits_into_a_small_machine(whole: Labs) -> None:
    record = whole.result("status")["record"]

    assert [each["name"] for each in record["members"]] == [
        "events", "sessions", "assets", "cdn", "accounts", "inventory", "router", "player-edge", "world-server",
        "gateway", "matchmaking", "voice-relay",
    ]  # fmt: skip
    assert sum(each["memory_mb"] for each in record["members"]) < MEMORY_MB_MAX


def test_the_loss_of_a_region_goes_as_analyze_says_and_is_mended(whole: Labs) -> None:
    assert broken(whole, "region=us-east-1") == []
    assert broken(whole, "mend=all") == []


def test_the_loss_of_a_zone_goes_as_analyze_says_and_is_mended(whole: Labs) -> None:
    assert broken(whole, "zone=eu-west-1b") == []
    assert broken(whole, "mend=all") == []


def test_it_leaves_nothing(whole: Labs) -> None:
    """The last one of this lab."""
    assert whole("down", "-q") == (0, "", "")
    assert whole.wait_until_nothing_runs() == {}
    assert whole.runs == []
