"""Bad days, by doing them: one clear error where we still live, and neither a process nor a folder left."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from aether_deploy.lab import control_plane as control_plane_module
from aether_deploy.lab.client import Client
from aether_deploy.lab.control_plane import ControlPlane
from aether_deploy.lab.nodes import fake_nodes
from aether_deploy.lab.processes import DaemonError, free_ports
from aether_deploy.lab.programs import NEWEST, control_plane_programs, find_program
from aether_deploy.lab.watching import PodWatch
from aether_deploy.lab.workplace import Workplace
from aether_deploy.problems import EffectError
from tests.cli_cases import PROGRAM, SMALL, Ended, ended, program
from tests.real import need

pytestmark = pytest.mark.real

ZONES = ("zone-a",)
LONG = ("rehearse", "--scenario", "zone-loss=us-east-1a")
"""A rehearsal that takes more than a minute, because Kubernetes does."""


@pytest.fixture(autouse=True)
def programs() -> dict[str, Path]:
    """Return where all programs lie, or end the test."""
    wanted = {each.name: each for each in control_plane_programs(NEWEST)}
    return {name: Path(need(find_program(each), name, "python -m aether_deploy.lab")) for name, each in wanted.items()}


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return the folder for temporary files, of this test and of the programs that it starts.

    It comes after ``tmp_path``, which lies elsewhere.
    """
    folder = Path(tempfile.mkdtemp(prefix="bad-day-"))
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "aether.yaml").write_text(SMALL, "utf-8")
    return tmp_path


def left_in(temporary: Path) -> list[str]:
    """Return the programs that work somewhere in ``temporary``, and the folders of control planes there."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if os.readlink(entry / "cwd").startswith(f"{temporary}/"):
                found.append((entry / "comm").read_text().strip())
    return found + [path.name for path in temporary.glob("*/run-*")]


def until(holds: Callable[[], object], within_secs: float = 180.0) -> None:
    deadline = time.monotonic() + within_secs
    while not holds():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.02)


class Running:
    """A rehearsal in a process of its own, whose control plane we look into from outside."""

    def __init__(self, folder: Path, temporary: Path, *arguments: str) -> None:
        assert PROGRAM.exists(), "make install"
        self.process = program(*arguments, folder=folder, env={**os.environ, "TMPDIR": str(temporary)})
        self._temporary = temporary
        self._place: Path | None = None

    def __enter__(self) -> "Running":
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    @property
    def place(self) -> Path | None:
        """The folder of its control plane; asked for before another run makes one there."""
        self._place = self._place or next(iter(self._temporary.glob("*/run-*")), None)
        return self._place

    def has_started(self, name: str) -> bool:
        assert self.process.poll() is None, self.process.communicate()
        return self.place is not None and (self.place / f"{name}.log").exists()

    def is_playing(self) -> bool:
        """Whether the nodes of a zone are gone."""
        return self.has_started("kubelets-2") and 0 < self._nodes() < 9

    def _nodes(self) -> int:
        assert self.place is not None
        with contextlib.suppress(EffectError, OSError):
            config = json.loads((self.place / "admin.kubeconfig").read_text("utf-8"))
            port = int(config["clusters"][0]["cluster"]["server"].rpartition(":")[2])
            nodes = Client.from_certificates(port, self.place, "admin").list("v1", "Node")
            # All of them have been there when the last one is ready.
            return len(nodes) if all(node["status"].get("conditions") for node in nodes) else 0
        return 0

    def pid_of(self, name: str) -> int:
        """Return the process id of one of its programs."""
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if Path(os.readlink(entry / "cwd")) == self.place and (entry / "comm").read_text().strip() == name[:15]:
                    return int(entry.name)
        raise AssertionError(f"{name} does not run")

    def ended(self) -> Ended:
        return ended(self.process)


# --- while it boots


@pytest.mark.parametrize(("place", "name"), [(0, "etcd"), (2, "kube-apiserver"), (4, "kube-scheduler"), (5, "volumes")])
def test_a_port_that_is_taken_is_said_with_the_words_of_the_program(place: int, name: str, temporary: Path) -> None:
    ports, held = free_ports(7)
    with contextlib.ExitStack() as stack:
        for each in held:
            stack.callback(each.close)
        held[place].listen()
        plane = ControlPlane(NEWEST, nodes=fake_nodes(ZONES), ports=ports)

        said = rf"(?s)^{name} ended by itself .*address already in use"
        with pytest.raises(DaemonError, match=said) as refused, plane:
            plane.wait_for(lambda: False, f"{name} ends")  # one that is slow to start ends after the boot

    assert str(refused.value).endswith("  fix: another program took the port meanwhile; run again")
    assert left_in(temporary) == []


@pytest.fixture
def small_disk(temporary: Path) -> Iterator[Callable[[str], None]]:
    """Return what puts a disk of a size (``40m``) in the place of the folder for temporary files."""
    if os.geteuid() != 0:
        pytest.skip("only root mounts a disk that is small enough to be filled")

    def mount(size: str) -> None:
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(temporary)], check=True)

    yield mount
    subprocess.run(["umount", str(temporary)], check=False)


def test_a_disk_with_too_little_room_is_refused_at_once(
    small_disk: Callable[[str], None], temporary: Path, folder: Path
) -> None:
    small_disk("40m")

    with Running(folder, temporary, "rehearse") as run:
        code, out, err = run.ended()

    assert (code, out) == (3, "")
    place = f"{temporary}/aether-deploy-lab-{os.getuid()}"
    assert err == (
        f"error: {place}: has 41 MB free of the 256 MB that are needed\n"
        "  fix: let TMPDIR name a folder that can be written and has room\n"
    )
    assert left_in(temporary) == []


@pytest.mark.parametrize(
    ("size", "said"),
    [("32k", "No space left on device"), ("40m", "etcd ended by itself")],
    ids=["for our files", "for a program's"],
)
def test_a_disk_that_gets_full_while_booting_is_one_clear_error(
    size: str, said: str, small_disk: Callable[[str], None], temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control_plane_module, "ROOM_MB", 0)
    small_disk(size)

    with pytest.raises(EffectError, match=said) as refused, ControlPlane(NEWEST, nodes=fake_nodes(ZONES)):
        pytest.fail("it booted")

    assert "TMPDIR name a folder" in str(refused.value)
    assert left_in(temporary) == []


@pytest.mark.parametrize("name", ["etcd", "kube-apiserver", "kube-controller-manager"])
def test_a_program_that_dies_at_boot_is_quoted(
    name: str, programs: dict[str, Path], temporary: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    broken.write_text("#!/bin/sh\necho started\necho 'F1124 07:00:00 main.go:1] no luck today'\nexit 7\n", "utf-8")
    broken.chmod(0o755)
    plane = ControlPlane(NEWEST, nodes=fake_nodes(ZONES), programs={**programs, name: broken})

    with pytest.raises(DaemonError) as refused:
        plane.__enter__()

    assert str(refused.value) == (
        f"{name} ended by itself (exit code 7)\n"
        f"  {name}: started\n"
        f"  {name}: F1124 07:00:00 main.go:1] no luck today\n"
        "  fix: see the lines of its log above"
    )
    assert left_in(temporary) == []


def test_a_program_that_cannot_be_run_is_said(programs: dict[str, Path], temporary: Path, tmp_path: Path) -> None:
    (tmp_path / "etcd").write_text("no program")
    (tmp_path / "etcd").chmod(0o755)
    plane = ControlPlane(NEWEST, nodes=fake_nodes(ZONES), programs={**programs, "etcd": tmp_path / "etcd"})

    with pytest.raises(DaemonError, match=r"^etcd cannot be started: Exec format error\n  fix: "):
        plane.__enter__()

    assert left_in(temporary) == []


# --- while it runs


@pytest.mark.parametrize("name", ["etcd", "kube-scheduler"])
def test_a_program_that_dies_while_one_waits_for_pods_ends_the_wait(name: str, temporary: Path) -> None:
    with (
        ControlPlane(NEWEST, nodes=fake_nodes(ZONES)) as plane,
        PodWatch(plane.client, "default", plane.check) as watch,
    ):
        os.kill(plane.pids[name], signal.SIGKILL)

        with pytest.raises(DaemonError, match=rf"^{name} ended by itself \(signal SIGKILL\)"):
            watch.wait(lambda: False, 60)

    assert left_in(temporary) == []


def test_of_two_rehearsals_at_a_time_one_meets_a_dead_program_and_the_other_notices_nothing(
    temporary: Path, folder: Path
) -> None:
    with Running(folder, temporary, *LONG) as run:
        until(lambda: run.has_started("kube-apiserver"))
        with Running(folder, temporary, "rehearse") as other:
            until(run.is_playing)
            os.kill(run.pid_of("kube-apiserver"), signal.SIGKILL)
            code, out, err = run.ended()
            assert other.ended().code == 0

    assert (code, out) == (3, "")
    assert err.startswith("error: kube-apiserver ended by itself (signal SIGKILL)\n")
    assert left_in(temporary) == []


def test_an_api_server_that_hangs_is_one_clear_error(temporary: Path, folder: Path) -> None:
    with Running(folder, temporary, *LONG) as run:
        until(run.is_playing)
        os.kill(run.pid_of("kube-apiserver"), signal.SIGSTOP)
        code, out, err = run.ended()

    assert (code, out) == (3, "")
    assert err.startswith("error: kube-apiserver does not answer within 30 s (")
    assert "Traceback" not in err
    assert left_in(temporary) == []


# --- when we are told to end


def test_ctrl_c_before_anything_runs_ends_in_silence(temporary: Path, folder: Path) -> None:
    os.mkfifo(folder / "slow.yaml")
    with Running(folder, temporary, "rehearse", "slow.yaml") as run:
        writer = os.open(folder / "slow.yaml", os.O_WRONLY)  # returns once the program has opened it, too
        run.process.send_signal(signal.SIGINT)
        ended_by = run.ended()
        os.close(writer)

    assert ended_by == (130, "", "")
    assert left_in(temporary) == []


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM), (signal.SIGHUP, -signal.SIGHUP)],
    ids=["Ctrl-C", "SIGTERM", "SIGHUP"],
)
@pytest.mark.parametrize("name", ["etcd", "kube-scheduler"])
def test_a_signal_while_booting_ends_everything_in_silence(
    name: str, number: signal.Signals, code: int, temporary: Path, folder: Path
) -> None:
    with Running(folder, temporary, *LONG) as run:
        until(lambda: run.has_started(name))
        run.process.send_signal(number)
        ended_by = run.ended()

    assert ended_by == (code, "", "")
    assert left_in(temporary) == []


def test_ctrl_c_while_playing_ends_everything_in_silence_even_if_it_is_pressed_again_and_again(
    temporary: Path, folder: Path
) -> None:
    with Running(folder, temporary, *LONG) as run:
        until(run.is_playing)
        while run.process.poll() is None:
            run.process.send_signal(signal.SIGINT)
            time.sleep(0.001)
        ended_by = run.ended()

    assert ended_by == (130, "", "")
    assert left_in(temporary) == []


def test_after_a_kill_no_process_is_left_and_the_next_run_removes_the_folder(temporary: Path, folder: Path) -> None:
    with Running(folder, temporary, *LONG) as run:
        until(lambda: run.has_started("kubelets-2"))
        place = run.place
        assert place is not None
        until((place / "kubelets-2.log").read_text)  # by then no program is halfway between us and itself
        run.process.kill()
        run.process.wait()

        until(lambda: left_in(temporary) == [place.name])

    next_one = Workplace.new()
    assert left_in(temporary) == [next_one.folder.name]
    next_one.remove()
    assert left_in(temporary) == []


def test_a_run_leaves_alone_what_belongs_to_one_that_lives(temporary: Path) -> None:
    living = Workplace.new()

    Workplace.new().remove()

    assert left_in(temporary) == [living.folder.name]
    living.remove()


def test_sockets_that_keep_ports_free_let_their_program_in() -> None:
    ports, held = free_ports(2)
    with socket.socket() as program_of_ours:
        program_of_ours.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        program_of_ours.bind(("127.0.0.1", ports[0]))
        program_of_ours.listen()

        assert len(set(ports)) == 2
    for each in held:
        each.close()
