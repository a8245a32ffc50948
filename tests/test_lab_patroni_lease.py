"""What a lab remembers of a lease, and which processes it takes for a member's."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from aether_deploy.lab.patroni.lease import LeaseEvent, LeaseWatch
from aether_deploy.lab.patroni.process_tree import postmaster_in, with_children
from aether_deploy.problems import EffectError

Event = tuple[str, str]


def watch_of(*told: tuple[str, float | None]) -> LeaseWatch:
    """Return a watch that was told who holds the lease and when it was renewed."""
    watch = LeaseWatch(lambda watch: None)
    for holder, renewed_at in told:
        watch.tell(holder, renewed_at=renewed_at)
    return watch


def seen(watch: LeaseWatch) -> list[Event]:
    return [(event.what, event.holder) for event in watch.events]


def test_a_lease_is_taken_renewed_and_ended() -> None:
    watch = watch_of(("a", 1.0), ("a", None), ("a", 3.0), ("", None), ("", None), ("b", 30.0))

    assert seen(watch) == [("taken", "a"), ("renewed", "a"), ("ended", ""), ("taken", "b")]


def test_a_lease_that_goes_from_one_to_another_between_two_looks_is_taken() -> None:
    watch = watch_of(("a", 1.0), ("b", 21.0))

    assert seen(watch) == [("taken", "a"), ("taken", "b")]


@pytest.mark.parametrize("moment,renewed", [(0.5, None), (1.0, 1.0), (2.9, 1.0), (3.0, 3.0), (99.0, 30.0)])
def test_the_last_renewal_before_a_moment_is_known(moment: float, renewed: float | None) -> None:
    watch = watch_of(("a", 1.0), ("a", 3.0), ("", 20.0), ("b", 30.0))

    assert watch.renewed_before(moment) == renewed


def test_who_takes_the_lease_after_a_moment_may_be_asked_for_all_but_one() -> None:
    watch = watch_of(("a", 1.0), ("a", 3.0), ("", 20.0), ("a", 21.0), ("b", 30.0))

    assert watch.taken_after(2.0) == LeaseEvent(21.0, "a", "taken")
    assert watch.taken_after(2.0, not_by="a") == LeaseEvent(30.0, "b", "taken")
    assert watch.taken_after(30.0) is None


def test_a_renewal_is_waited_for() -> None:
    def follow(watch: LeaseWatch) -> None:
        watch.tell("a", renewed_at=time.monotonic())
        watch.pause()

    with LeaseWatch(follow) as watch:
        event = watch.next_renewal(within_secs=90)

    assert (event.what, event.holder) == ("renewed", "a")


def test_a_lease_that_nobody_renews_is_said() -> None:
    with pytest.raises(EffectError, match=r"^nobody renewed the lease within 0.05 s\n  fix: "):
        watch_of(("a", 1.0)).next_renewal(within_secs=0.05)


def test_a_store_that_does_not_answer_is_asked_again() -> None:
    asked: list[int] = []

    def follow(watch: LeaseWatch) -> None:
        asked.append(1)
        if len(asked) == 1:
            raise EffectError("no answer")
        watch.tell("a", renewed_at=time.monotonic())
        watch.pause()

    with LeaseWatch(follow) as watch:
        watch.next_renewal(within_secs=90)

    assert watch.events[0].holder == "a"


# --- processes


@pytest.fixture
def family() -> Iterator["subprocess.Popen[str]"]:
    """A process with a child, both of which sleep; it says its child's id."""
    code = "import subprocess; child = subprocess.Popen(['sleep', '60']); print(child.pid, flush=True); child.wait()"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        yield parent
        for pid in with_children(parent.pid):
            os.kill(pid, 9)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells whose child a process is, by files")
def test_a_process_is_found_with_its_children(family: "subprocess.Popen[str]") -> None:
    assert family.stdout is not None
    child = int(family.stdout.readline())

    assert with_children(family.pid) == [family.pid, child]


@pytest.mark.parametrize("text", ["", "no number\n", "1\n/somewhere\n", f"{2**22 + 1}\n"])
def test_a_file_that_names_no_postmaster_of_this_folder_is_a_leftover(text: str, tmp_path: Path) -> None:
    (tmp_path / "postmaster.pid").write_text(text)

    assert postmaster_in(tmp_path) is None


def test_a_folder_without_a_file_has_no_postmaster(tmp_path: Path) -> None:
    assert postmaster_in(tmp_path) is None
