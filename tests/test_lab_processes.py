"""Programs that run beside us: readiness, ends that were not asked for, and ends that were."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from aether_deploy.lab.interrupts import Told, deferred, ending_on_signals
from aether_deploy.lab.processes import OWNER, Daemon, DaemonError, free_ports

Start = Callable[..., Daemon]
SHRUGS = "trap 'echo no >> shrugged' TERM; echo up; while :; do sleep 0.05; done"


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Return what starts a line of shell as a daemon called ``it``."""
    started: list[Daemon] = []

    def start(script: str) -> Daemon:
        started.append(Daemon("it", ["/bin/sh", "-c", script], tmp_path))
        started[-1].start()
        return started[-1]

    yield start
    for each in started:
        each.kill()
        each.reap()


def says(daemon: Daemon, text: str) -> Callable[[], bool]:
    return lambda: text in daemon.log.read_text()


# --- readiness


def test_one_waits_until_it_is_ready(start: Start) -> None:
    daemon = start("sleep 0.2; echo up; exec sleep 60")

    daemon.wait_until(says(daemon, "up"), within_secs=90)

    assert says(daemon, "up")()
    assert daemon.pid is not None
    daemon.check()


def test_one_that_is_not_ready_in_time_is_quoted(start: Start) -> None:
    daemon = start("echo still thinking; exec sleep 60")
    daemon.wait_until(says(daemon, "thinking"), within_secs=90)

    with pytest.raises(DaemonError) as refused:
        daemon.wait_until(lambda: False, within_secs=0.1)

    assert str(refused.value) == (
        "it is not ready after 0.1 s\n  it: still thinking\n  fix: see the lines of its log above"
    )


# --- ends that were not asked for

ENDS = {
    "an exit code": ("echo bye; exit 3", "it ended by itself (exit code 3)\n  it: bye"),
    "a signal": ("echo bye; kill -9 $$", "it ended by itself (signal SIGKILL)\n  it: bye"),
    "no log": ("exit 0", "it ended by itself (exit code 0)\n  it wrote no log"),
}


@pytest.mark.parametrize("case", ENDS)
def test_an_end_by_itself_is_told_with_its_code_or_signal(case: str, start: Start) -> None:
    script, said = ENDS[case]
    daemon = start(script)

    with pytest.raises(DaemonError) as refused:
        daemon.wait_until(lambda: False, within_secs=90)

    assert str(refused.value) == f"{said}\n  fix: see the lines of its log above"
    assert daemon.pid is None


def test_of_a_long_log_the_last_lines_that_tell_are_quoted(start: Start) -> None:
    telling = [
        "E1124 07:00:00.000000       1 run.go:72] no luck",
        '{"level":"fatal","msg":"listen failed"}',
        "panic: runtime error",
        "error: unknown flag",
    ]
    lines = [f"I1124 line {number}" for number in range(20)]
    printed = "\n".join([*lines, *telling, *lines])
    daemon = start(f"cat <<'END'\n{printed}\nEND\nexit 1")

    with pytest.raises(DaemonError) as refused:
        daemon.wait_until(lambda: False, within_secs=90)

    assert str(refused.value).splitlines()[1:-1] == [f"  it: {line}" for line in telling]


FIXES = {
    "listen tcp 127.0.0.1:1: bind: address already in use": "another program took the port meanwhile; run again",
    "write wal: no space left on device": "free some space, or let TMPDIR name a folder on a larger disk",
}


@pytest.mark.parametrize("line", FIXES)
def test_what_is_known_to_mend_is_said(line: str, start: Start) -> None:
    daemon = start(f"echo '{line}'; exit 1")

    with pytest.raises(DaemonError, match=FIXES[line]):
        daemon.wait_until(lambda: False, within_secs=90)


def test_what_cannot_be_run_is_said(tmp_path: Path) -> None:
    with pytest.raises(DaemonError, match=r"^it cannot be started: No such file or directory\n  fix: "):
        Daemon("it", [str(tmp_path / "gone")], tmp_path).start()


def test_one_that_never_ran_is_no_fault_and_can_be_stopped(tmp_path: Path) -> None:
    daemon = Daemon("it", ["true"], tmp_path)

    daemon.check()
    daemon.signal(signal.SIGTERM)
    daemon.stop(1)
    daemon.kill()
    daemon.reap()

    assert daemon.pid is None


# --- ends that were


def test_a_stop_asks_first(start: Start) -> None:
    daemon = start("trap 'echo thanks; exit 0' TERM; echo up; while :; do sleep 0.02; done")
    daemon.wait_until(says(daemon, "up"), within_secs=90)

    daemon.stop(grace_secs=90)

    assert daemon.log.read_text() == "up\nthanks\n"


def test_a_stop_insists_where_asking_does_not_help(start: Start) -> None:
    daemon = start(SHRUGS)
    daemon.wait_until(says(daemon, "up"), within_secs=90)

    daemon.stop(grace_secs=5)  # in which it is to hear of it

    assert (daemon.log.parent / "shrugged").read_text() == "no\n"
    assert daemon.pid is None


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_one_that_hangs_can_be_ended(how: str, start: Start) -> None:
    daemon = start(SHRUGS)
    daemon.wait_until(says(daemon, "up"), within_secs=90)
    daemon.signal(signal.SIGSTOP)
    begun = time.monotonic()

    if how == "stop":
        daemon.stop(grace_secs=0.2)
    else:
        daemon.kill()
        daemon.reap()

    assert daemon.pid is None
    assert time.monotonic() - begun < 60


def test_it_has_a_session_of_its_own_so_that_ctrl_c_reaches_us_first(start: Start) -> None:
    pid = start("exec sleep 60").pid

    assert pid is not None
    assert os.getsid(pid) == pid != os.getsid(0)


def test_it_is_marked_with_its_folder_and_works_there(start: Start, tmp_path: Path) -> None:
    daemon = start(f'echo "$PWD ${OWNER}"; exec sleep 60')

    daemon.wait_until(says(daemon, f"{tmp_path} {tmp_path}"), within_secs=90)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children that their parent ended")
def test_it_ends_with_us_even_if_we_are_killed(tmp_path: Path) -> None:
    code = (
        "import os, pathlib, signal; from aether_deploy.lab.processes import Daemon\n"
        f"daemon = Daemon('it', ['sleep', '60'], pathlib.Path({str(tmp_path)!r})); daemon.start()\n"
        "print(daemon.pid, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )

    said = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, timeout=60, check=False)

    assert said.returncode == -signal.SIGKILL
    deadline = time.monotonic() + 90
    while _runs(int(said.stdout)):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _runs(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    try:
        return stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


# --- ports


def test_free_ports_are_different_and_nobody_else_gets_them_while_they_are_held() -> None:
    ports, held = free_ports(20)
    others, other_held = free_ports(20)
    for each in (*held, *other_held):
        each.close()

    assert len({*ports, *others}) == 40


# --- signals


def test_a_signal_waits_for_the_end_of_a_block_that_must_not_be_interrupted() -> None:
    done = []

    def block() -> None:
        with deferred():
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
            done.append("all of it")

    with pytest.raises(KeyboardInterrupt):
        block()
    assert done == ["all of it"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_told_to_end_we_clean_up_and_end_by_that_signal(tmp_path: Path) -> None:
    code = (
        "import signal; from aether_deploy.lab.interrupts import ending_on_signals\n"
        "with ending_on_signals():\n"
        "    try:\n        signal.raise_signal(signal.SIGTERM)\n"
        "    finally:\n        print('cleaned', flush=True)\n"
    )

    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)

    assert (ended.returncode, ended.stdout, ended.stderr) == (-signal.SIGTERM, "cleaned\n", "")


def test_a_block_that_was_not_told_to_end_leaves_signals_as_they_were() -> None:
    before = signal.getsignal(signal.SIGTERM)

    with ending_on_signals():
        assert signal.getsignal(signal.SIGTERM) is not before

    assert signal.getsignal(signal.SIGTERM) is before
    assert str(Told(signal.SIGHUP)) == "SIGHUP"
