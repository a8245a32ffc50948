"""The folder of one control plane: nobody else's while we live, and removed by the next run if we were killed."""

import contextlib
import fcntl
import os
import shutil
import signal
import stat
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import IO

from aether_deploy.lab.processes import OWNER
from aether_deploy.problems import EffectError

_LOCK = "owner.lock"
_GONE_SECS = 30.0
_MADE: ContextVar[list[Path] | None] = ContextVar("_MADE", default=None)
_FIX = "let TMPDIR name a folder that can be written and has room"


class Workplace:
    """One such folder, held by a lock that the kernel takes back when this process ends, however it ends."""

    def __init__(self, folder: Path, lock: IO[bytes]) -> None:
        self.folder = folder
        self._lock = lock

    @classmethod
    def new(cls, *, room_mb: int = 1) -> "Workplace":
        """Clean up after runs that were killed, and return a folder of our own.

        Args:
            room_mb: Space that there has to be, MB.

        Raises:
            EffectError: The folder cannot be made, or there is too little space.
        """
        parent = own_workplaces()
        try:
            with (parent / ".lock").open("wb") as turn:  # a folder that is not locked yet is no leftover
                fcntl.flock(turn, fcntl.LOCK_EX)
                clean_leftovers(parent)
                _refuse_full(parent, room_mb)
                folder = Path(tempfile.mkdtemp(prefix="run-", dir=parent))
                lock = (folder / _LOCK).open("wb")
                fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError as error:
            raise EffectError(f"{parent}: {error.strerror}\n  fix: {_FIX}") from error
        made = _MADE.get()
        if made is not None:
            made.append(folder)
        return cls(folder, lock)

    def remove(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self._lock.close()


def _refuse_foreign(parent: Path) -> None:
    """Refuse a folder that another user put where ours belongs: keys of an administrator go there."""
    found = parent.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise EffectError(f"{parent}: belongs to somebody else\n  fix: {_FIX}")


def _refuse_unusable(wanted: str) -> None:
    """Refuse a TMPDIR that cannot be used, in whose place Python would take another without a word.

    A lab belongs to its TMPDIR: elsewhere nobody would look for it.
    """
    if wanted and not (os.path.isdir(wanted) and os.access(wanted, os.W_OK | os.X_OK)):
        raise EffectError(f"TMPDIR={wanted}: is no folder that can be written\n  fix: {_FIX}")


def _refuse_full(parent: Path, room_mb: int) -> None:
    free_mb = shutil.disk_usage(parent).free // 1_000_000
    if free_mb < room_mb:
        raise EffectError(f"{parent}: has {free_mb} MB free of the {room_mb} MB that are needed\n  fix: {_FIX}")


def workplaces() -> Path:
    """Return the folder that all folders of control planes lie in."""
    return Path(tempfile.gettempdir()) / f"aether-deploy-lab-{os.getuid()}"


def own_workplaces() -> Path:
    """Return that folder, made where it was missing, and nobody else's.

    Raises:
        EffectError: It cannot be made, or somebody else put something there, or TMPDIR names what cannot be used.
    """
    _refuse_unusable(os.environ.get("TMPDIR", ""))
    parent = workplaces()
    try:
        parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _refuse_foreign(parent)
    except OSError as error:
        raise EffectError(f"{parent}: {error.strerror}\n  fix: {_FIX}") from error
    return parent


@contextlib.contextmanager
def remembering(folders: list[Path]) -> Iterator[None]:
    """Add to ``folders`` each that this thread gets for itself within the block."""
    before = _MADE.set(folders)
    try:
        yield
    finally:
        _MADE.reset(before)


def clean_leftovers(parent: Path) -> list[Path]:
    """End the programs of runs that were killed, remove their folders, and return those."""
    cleaned = []
    for folder in sorted(parent.glob("run-*")):
        with contextlib.suppress(OSError), (folder / _LOCK).open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # its owner lives, if this fails
            end_programs(folder)
            shutil.rmtree(folder, ignore_errors=True)
            cleaned.append(folder)
    return cleaned


def programs_in(folder: Path) -> list[int]:
    """Return the ids of the programs that were started for ``folder``; none where the system does not tell."""
    mark = f"{OWNER}={folder}".encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
    return found


def end_programs(folder: Path) -> None:
    """End the programs that were started for ``folder``; returns when they are gone, or after a while."""
    deadline = time.monotonic() + _GONE_SECS
    while (pids := programs_in(folder)) and time.monotonic() < deadline:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)


def end_children(folders: Sequence[Path]) -> None:
    """End the programs that this process started for some of its folders, so that who waits for one waits no more."""
    marks = [f"{OWNER}={folder}".encode() for folder in folders]
    for entry in Path("/proc").glob("[0-9]*") if marks else ():
        with contextlib.suppress(OSError, ValueError, IndexError):
            parent = int((entry / "stat").read_text("utf-8").rpartition(")")[2].split()[1])
            if parent == os.getpid() and _is_marked((entry / "environ").read_bytes().split(b"\0"), marks):
                os.kill(int(entry.name), signal.SIGKILL)


def _is_marked(environment: Sequence[bytes], marks: Sequence[bytes]) -> bool:
    """Return whether a program was started for one of the folders, or for one in it."""
    return any(each == mark or each.startswith(mark + b"/") for each in environment for mark in marks)
