"""Asking a lab over its socket: questions, progress, answers and refusals as they were given."""

import contextlib
import re
import resource
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from aether_deploy.lab.system import control
from aether_deploy.lab.system.control import (
    LOG,
    NO_LAB,
    ONE_AT_A_TIME,
    SOCKET,
    ControlSocket,
    Ended,
    InEffect,
    LabStatus,
    Tell,
    alone,
    ask_down,
    ask_fault,
    ask_status,
    connected,
)
from aether_deploy.lab.system.faults import LabFault, parse_fault
from aether_deploy.lab.system.keeper import Order
from aether_deploy.lab.system.network import Network
from aether_deploy.lab.system.record import FaultRecord, LabRecord
from aether_deploy.lab.system.starting import start_keeper
from aether_deploy.lab.system.yardstick import Yardstick
from aether_deploy.lab.workplace import own_workplaces, workplaces
from aether_deploy.problems import ConfigError, EffectError, Problem
from tests.lab_system_platforms import CACHES
from tests.lab_workload_cases import PATIENCE_SECS

REFUSED_SECS = 0.3
RECORD = LabRecord(
    system="aether", environment="prod", file="aether.yaml", started="2026-01-01T00:00:00Z", up_secs=12.0,
    boot_secs=3.0, regions={"us": ("us-a",)}, links={}, uses={}, members=(),
)  # fmt: skip
STATUS = LabStatus(record=RECORD, in_effect=(InEffect("zone=us-a", 5.0),))
PROBLEM = Problem(path="zone=us-z", reason="no zone of this lab has that name", fix="did you mean 'us-a'?")


class Keeper:
    """Answers as labs do, without one."""

    def status(self) -> LabStatus:
        return STATUS

    def fault(self, fault: LabFault, most_secs: float | None, tell: Tell) -> FaultRecord:
        match fault.target:
            case "us-z":
                raise ConfigError([PROBLEM])
            case "busy":
                raise EffectError("another fault is being watched\n  fix: wait")
            case "bug":
                raise KeyError("zone")
        tell(f"watching for {most_secs:g} s" if most_secs else "watching")
        return FaultRecord(fault=str(fault), failure="zone us-a", at=1.0, until=2.0)

    def down(self) -> Ended:
        return Ended({"sessions": 6})


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="lab-") as name:
        monkeypatch.setattr(tempfile, "tempdir", name)
        place = own_workplaces() / "run-1"
        place.mkdir()
        yield place


@pytest.fixture
def answered(folder: Path) -> Iterator[Path]:
    listening = ControlSocket(folder, Keeper())
    yield folder
    listening.close()


def say_nothing(text: str) -> None:
    pass


@pytest.mark.usefixtures("answered")
def test_a_lab_says_how_it_is() -> None:
    assert ask_status() == STATUS


@pytest.mark.usefixtures("answered")
def test_a_fault_is_told_while_it_goes_on_and_answered_at_the_end() -> None:
    heard: list[str] = []

    record = ask_fault(parse_fault("zone=us-a"), most_secs=7, tell=heard.append)

    assert (record.fault, record.failure, heard) == ("zone=us-a", "zone us-a", ["watching for 7 s"])


@pytest.mark.usefixtures("answered")
def test_the_end_is_answered() -> None:
    log = own_workplaces() / LOG
    log.touch()

    assert ask_down() == Ended({"sessions": 6})
    assert not log.exists()


@pytest.mark.usefixtures("answered")
def test_faults_of_the_input_come_back_as_they_were() -> None:
    with pytest.raises(ConfigError) as refused:
        ask_fault(parse_fault("zone=us-z"), most_secs=None, tell=say_nothing)

    assert refused.value.problems == (PROBLEM,)


REFUSED = {
    "zone=busy": "another fault is being watched\n  fix: wait",
    "zone=bug": "the lab could not answer: KeyError: 'zone'\n  fix: please report it",
}


@pytest.mark.usefixtures("answered")
@pytest.mark.parametrize("fault", REFUSED)
def test_what_a_lab_cannot_do_comes_back_and_it_goes_on(fault: str) -> None:
    with pytest.raises(EffectError) as refused:
        ask_fault(parse_fault(fault), most_secs=None, tell=say_nothing)

    assert str(refused.value) == REFUSED[fault]
    assert ask_status() == STATUS


@pytest.mark.usefixtures("answered")
def test_several_ask_at_once() -> None:
    answers: list[LabStatus] = []
    askers = [threading.Thread(target=lambda: answers.append(ask_status())) for _ in range(8)]
    for each in askers:
        each.start()
    for each in askers:
        each.join()

    assert answers == [STATUS] * 8


@pytest.mark.parametrize("said", [b"", b"nonsense\n", b'{"ask": "dance"}\n', b"[" * 70000 + b"\n"])
def test_nonsense_is_refused_and_the_lab_goes_on(answered: Path, said: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as caller:
        caller.connect(str(answered / SOCKET))
        caller.sendall(said)
        caller.shutdown(socket.SHUT_WR)
        line = caller.makefile("rb").readline()

    assert msgspec.json.decode(line)["refused"]
    assert ask_status() == STATUS


@pytest.mark.usefixtures("folder")
def test_where_no_lab_is_up_that_is_said() -> None:
    with pytest.raises(EffectError) as refused:
        ask_status()

    assert str(refused.value) == NO_LAB


def test_a_socket_that_nobody_answers_any_more_is_no_lab(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(folder / SOCKET))

    with pytest.raises(EffectError, match="no lab is up"):
        ask_status()


def test_a_folder_whose_path_is_too_long_for_a_socket_is_refused(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 120)
    deep.mkdir()

    with pytest.raises(EffectError, match="too long for a socket\n  fix: let TMPDIR name"):
        ControlSocket(deep, Keeper())


@pytest.mark.usefixtures("answered")
def test_who_kept_the_lab_and_stays_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "_LEAVE_SECS", 0.2)

    with (
        alone(),
        pytest.raises(EffectError, match=r"^the lab has ended, and the process that kept it has not\n  fix: "),
    ):
        ask_down()


@contextlib.contextmanager
def too_many_files() -> Iterator[None]:
    """Let this process open nothing while the block runs."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_lab_that_had_too_many_files_open_answers_once_it_has_not(answered: Path) -> None:
    with socket.socket(socket.AF_UNIX) as caller:
        with too_many_files():
            caller.connect(str(answered / SOCKET))
            time.sleep(REFUSED_SECS)
        caller.settimeout(PATIENCE_SECS)
        caller.sendall(b'{"ask": "status"}\n')
        line = caller.makefile("rb").readline()

    assert msgspec.json.decode(line)["answer"]
    assert ask_status() == STATUS


def test_a_yardstick_that_had_too_many_files_open_answers_once_it_has_not() -> None:
    with contextlib.ExitStack() as life:
        network = life.enter_context(contextlib.closing(Network()))
        yardstick = life.enter_context(contextlib.closing(Yardstick(network)))
        caller = life.enter_context(socket.socket())
        with too_many_files():
            caller.connect(yardstick.address)
            time.sleep(REFUSED_SECS)
        caller.settimeout(PATIENCE_SECS)
        caller.sendall(b"?")

        assert caller.recv(1) == b"?"


def hear() -> None:
    connected()


def keep() -> None:
    with alone():
        pass


def start() -> None:
    start_keeper(Order(files=("aether.yaml",)), say_nothing)


@pytest.mark.parametrize("entering", [hear, keep, start])
def test_a_folder_of_somebody_else_is_not_entered(
    entering: Callable[[], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    for name in ("lab.log", ".lab.lock"):
        (theirs / name).write_text("theirs")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    workplaces().symlink_to(theirs)

    with pytest.raises(EffectError, match=r": belongs to somebody else\n  fix: "):
        entering()

    assert {each.name: each.read_text() for each in theirs.iterdir()} == {"lab.log": "theirs", ".lab.lock": "theirs"}


def test_a_lab_that_is_refused_leaves_the_log_of_the_one_that_is_up(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", tempfile.gettempdir())
    description = folder / "aether.yaml"
    description.write_text(CACHES, "utf-8")
    log = own_workplaces() / "lab.log"
    log.write_text("what the first one says", "utf-8")

    with alone(), pytest.raises(EffectError, match=f"^{re.escape(ONE_AT_A_TIME)}$"):
        start_keeper(Order(files=(str(description),)), say_nothing)

    assert log.read_text("utf-8") == "what the first one says"
    assert list(own_workplaces().glob("lab-*")) == []
