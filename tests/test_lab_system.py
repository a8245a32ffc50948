"""A whole platform in a lab, from the command line: it boots, fails as predicted, is mended, and leaves nothing."""

import os
import re
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli_cases import PROGRAM
from tests.lab_system_platforms import CACHES, SMALL, Labs, need_system
from tests.lab_workload_cases import wait_for

WATCHED_SECS = 40
"""The only store stays away: so long is watched, and so long others have to ask meanwhile."""

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not PROGRAM.exists(), reason="aether-deploy is not installed; to bring it: make install"),
]


def new_labs(text: str) -> Iterator[Labs]:
    need_system()
    with tempfile.TemporaryDirectory(prefix="lab-") as name:  # sockets need short paths
        labs = Labs(Path(name), text)
        try:
            yield labs
        finally:
            if labs.processes():
                labs("down")
            for pid in labs.processes():
                os.kill(pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def whole() -> Iterator[Labs]:
    """A lab of the small platform, which is up."""
    for labs in new_labs(SMALL):
        up = labs("up")
        assert up.code == 0, up.err
        assert ": 20 processes in 2 regions" in up.out.splitlines()[0]
        yield labs


@pytest.fixture
def caches() -> Iterator[Labs]:
    """Labs of two caches, none of which is up."""
    yield from new_labs(CACHES)


def test_a_platform_boots_fails_as_predicted_and_is_mended(whole: Labs) -> None:
    lost = whole("fault", "zone=us-b")
    page = whole.folder / "lab.html"
    reported = whole("report", "--html", str(page), "-q")
    mended = whole("fault", "mend=all")
    status = whole.result("status")

    assert lost.code == 0, lost.out
    assert "sessions" in lost.out
    assert (reported.code, reported.out) == (0, "")
    assert page.read_text("utf-8").startswith("<!DOCTYPE html>")
    assert mended.code == 0, mended.out
    assert [fault["fault"] for fault in status["record"]["faults"]] == ["zone=us-b", "mend=all"]
    assert (status["in_effect"], status["complaints"]) == ([], [])
    assert {each["state"] for each in _processes(status)} == {"running"}


def _processes(status: Any) -> list[Any]:
    return [process for member in status["record"]["members"] for process in member["processes"]]


def test_a_target_that_is_none_is_refused_and_nothing_is_done(whole: Labs) -> None:
    before = whole.result("status")["record"]["faults"]

    assert whole("fault", "zone=us-z") == (
        2, "", "zone=us-z: no zone of this lab has that name\n  fix: did you mean 'us-c'?\n1 problem\n",
    )  # fmt: skip
    assert whole.result("status")["record"]["faults"] == before


def test_a_second_lab_is_refused_and_the_first_goes_on(whole: Labs) -> None:
    assert whole("up", "-q") == (3, "", "error: a lab is up already\n  fix: aether-deploy lab down ends it\n")
    assert whole("status", "-q").code == 0


def test_ctrl_c_leaves_a_fault_to_the_lab_and_says_so(whole: Labs) -> None:
    asking = whole.start("fault", "kill=assets", "--watch", str(WATCHED_SECS))
    wait_for("the watch", lambda: whole.result("status")["watch_left_secs"] is not None)
    asking.send_signal(signal.SIGINT)
    out, err = asking.communicate(timeout=90)
    refused = whole("fault", "mend=all")
    wait_for("the end of the watch", lambda: not whole.result("status")["watching"])
    reported = whole.result("report")["faults"][-1]["fault"]
    mended = whole("fault", "mend=all")

    assert (asking.returncode, out) == (130, "")
    assert re.fullmatch(
        r"kill=assets goes on and is being watched, for \d+ s more at most; lab report has it then\n", err
    )
    assert refused.code == 3
    assert re.match(r"error: kill=assets is being watched, for \d+ s more at most\n  fix: wait", refused.err)
    assert reported == "kill=assets"
    assert mended.code == 0, mended.out


def test_what_ends_by_itself_is_told(whole: Labs) -> None:
    victim = next(each for each in _processes(whole.result("status")) if each["member"] == "cdn")
    os.kill(victim["pid"], signal.SIGKILL)
    wait_for("its end", lambda: victim["pid"] not in whole.processes())

    status = whole("status", "-q")

    assert (status.code, status.out) == (1, "")
    assert "ended by itself (signal SIGKILL)" in status.err


def test_the_end_of_a_lab_leaves_nothing(whole: Labs) -> None:
    """The last one of this lab."""
    ended = whole("down")

    assert ended.code == 0
    assert ended.out.startswith("ended 19 processes (")
    assert whole.wait_until_nothing_runs() == {}
    assert whole.runs == []
    assert whole("status") == (3, "", "error: no lab is up\n  fix: aether-deploy lab up FILE boots one\n")


def test_a_keeper_that_is_killed_takes_everything_with_it(caches: Labs) -> None:
    assert caches("up", "--region", "us", "-q").code == 0
    keeper = next(pid for pid, command in caches.processes().items() if "system.keeper" in command)
    os.kill(keeper, signal.SIGKILL)

    assert caches.wait_until_nothing_runs() == {}
    assert caches("status").code == 3
    assert len(caches.runs) > 0
    assert caches("up", "--region", "eu", "-q").code == 0
    assert {each["region"] for each in _processes(caches.result("status"))} == {"eu"}
    assert caches("down", "-q") == (0, "", "")
    assert caches.runs == []


@pytest.mark.parametrize("when", ["while it boots", "once it is up"])
def test_ctrl_c_ends_a_lab_in_the_foreground(caches: Labs, when: str) -> None:
    process = caches.start("up", "--foreground", "--region", "us")
    assert process.stdout is not None
    if when == "once it is up":
        assert "is up after" in process.stdout.readline()
    else:
        caches.wait_for_processes(3)
    process.send_signal(signal.SIGINT)

    assert process.wait(180) == 130
    process.communicate()
    assert caches.wait_until_nothing_runs() == {}
    assert caches.runs == []


def test_a_lab_that_cannot_boot_says_so_and_leaves_nothing(caches: Labs) -> None:
    ended = caches("up", "--region", "asia")

    assert (ended.code, ended.out) == (2, "")
    assert ended.err == "--region asia: no region that runs has that code\n  fix: known are us, eu\n1 problem\n"
    assert caches.processes() == {}


def test_a_platform_of_which_nothing_can_run_is_refused(caches: Labs) -> None:
    ended = caches("up", "--set", "components.sessions.enabled=false")

    assert (ended.code, ended.out) == (3, "")
    assert ended.err.startswith("error: nothing of this description can run here")
