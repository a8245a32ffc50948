"""The processes that git runs in: with an environment that leads it nowhere else, and over when we are."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from types import MappingProxyType
from typing import IO

from aether_deploy.delivery.git_refusals import GitError
from aether_deploy.problems import EffectError

NOTHING: Mapping[str, str] = MappingProxyType({})

_PR_SET_PDEATHSIG = 1
_GRACE_SECS = 5.0

# From `git rev-parse --local-env-vars` of 2.50, and what a hook of a server or a caller's pathspecs add. The
# parameters of `git -c` and GIT_CONFIG_COUNT are the user's settings, and stay.
_LOCAL = frozenset(
    {
        "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_CONFIG", "GIT_OBJECT_DIRECTORY", "GIT_DIR", "GIT_WORK_TREE",
        "GIT_IMPLICIT_WORK_TREE", "GIT_GRAFT_FILE", "GIT_INDEX_FILE", "GIT_NO_REPLACE_OBJECTS",
        "GIT_REPLACE_REF_BASE", "GIT_PREFIX", "GIT_SHALLOW_FILE", "GIT_COMMON_DIR", "GIT_INTERNAL_SUPER_PREFIX",
        "GIT_QUARANTINE_PATH", "GIT_NAMESPACE", "GIT_ATTR_SOURCE", "GIT_INDEX_VERSION", "GIT_DEFAULT_HASH",
        "GIT_LITERAL_PATHSPECS", "GIT_GLOB_PATHSPECS", "GIT_NOGLOB_PATHSPECS", "GIT_ICASE_PATHSPECS",
    }
)  # fmt: skip


def environment(ours: Mapping[str, str], more: Mapping[str, str] = NOTHING) -> dict[str, str]:
    """Return the environment of a git command: the user's, without what leads it to another repository.

    Messages are in English, so that they can be told apart; characters are what the user's locale says, for hooks
    that read files. Nothing asks on a terminal.
    """
    kept = {name: value for name, value in ours.items() if name not in _LOCAL}
    characters = kept.pop("LC_ALL", "") or kept.get("LC_CTYPE", "")
    kept.pop("LANGUAGE", None)
    return {
        **kept,
        **({"LC_CTYPE": characters} if characters else {}),
        "LC_MESSAGES": "C",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_EDITOR": ":",
        "GIT_OPTIONAL_LOCKS": "0",
        **more,
    }


def run(command: list[str], variables: Mapping[str, str], given: bytes, *, patient: bool) -> tuple[int, bytes, bytes]:
    """Run git to its end; return its exit code and what it printed, to both streams.

    Files take what it prints, for a pipe would keep us waiting for whatever holds its other end: a connection of ssh
    that stays open for the next command, or a program that a hook has left running.
    """
    with scratch() as source, scratch() as out, scratch() as err:
        source.write(given)
        source.seek(0)
        with started(command, variables, source, out, err, patient=patient) as process:
            process.wait()
        out.seek(0)
        err.seek(0)
        return process.returncode, out.read(), err.read()


@contextmanager
def started(
    command: list[str],
    variables: Mapping[str, str],
    source: IO[bytes],
    out: IO[bytes] | int,
    err: IO[bytes],
    *,
    patient: bool = False,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run git beside the block; it is over when the block is.

    It has a session of its own: Ctrl-C reaches us first, and no program that it runs finds a terminal to ask on.
    """
    try:
        process = subprocess.Popen(
            command,
            stdin=source,
            stdout=out,
            stderr=err,
            cwd="/",  # ours may be gone
            env=dict(variables),
            start_new_session=True,
            preexec_fn=None if patient else _dying_with_us(),
        )
    except OSError as error:
        raise GitError(f"git cannot be run: {error.strerror}", fix="install Git, and see that it is on PATH") from error
    with process:
        try:
            yield process
        except BaseException:
            if patient:
                process.wait()
            else:
                _end(process)
            raise


@contextmanager
def streamed(
    command: list[str], variables: Mapping[str, str], source: IO[bytes]
) -> Iterator[tuple[subprocess.Popen[bytes], IO[bytes], IO[bytes]]]:
    """Run git beside the block, and yield it, what it prints as it comes, and its messages, for the end."""
    with scratch() as err, started(command, variables, source, subprocess.PIPE, err) as process:
        assert process.stdout is not None
        yield process, process.stdout, err


@contextmanager
def scratch() -> Iterator[IO[bytes]]:
    """Yield a temporary file without a name.

    Raises:
        EffectError: None can be made.
    """
    try:
        file = tempfile.TemporaryFile()  # noqa: SIM115
    except OSError as error:
        fix = "let TMPDIR name a folder that can be written and has room"
        raise EffectError(f"no temporary file can be made: {error.strerror}\n  fix: {fix}") from error
    with file:
        yield file


def _dying_with_us() -> Callable[[], None] | None:
    """Return what has the kernel end git when we are killed; None where no kernel does.

    With SIGTERM, upon which git removes its locks.
    """
    if sys.platform != "linux":
        return None
    import ctypes

    library, us = ctypes.CDLL(None), os.getpid()

    def ask() -> None:
        library.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != us:  # we ended before we could ask
            os._exit(1)

    return ask


def _end(process: subprocess.Popen[bytes]) -> None:
    """End git and what it runs: ask it, so that it removes its locks, and then insist."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(_GRACE_SECS)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
