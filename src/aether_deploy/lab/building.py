"""Programs that are missing are built with Go, from modules whose versions and hashes are pinned."""

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from aether_deploy.lab.programs import MODULES, Program
from aether_deploy.problems import EffectError

GO_FIX = "install it from https://go.dev/dl/ so that `go` is on PATH"
NETWORK_FIX = "its own message above says why; it needs the network, or a proxy that its settings name"


class BuildError(EffectError):
    """A program cannot be built here; the message says what to do."""


def bring_program(program: Program) -> Path:
    """Put ``program`` into the user's cache unless it is there, and return its path.

    Raises:
        BuildError: Go is missing, or the build failed.
    """
    what = f"{program.name} {program.version}"
    return bring_once(program.cached, what, "minutes the first time, seconds later", partial(build, program))


def bring_once(target: Path, what: str, how_long: str, make: Callable[[Path], None]) -> Path:
    """Have ``make`` put a file at ``target``, complete or not at all, unless it is there, and return ``target``.

    Of several processes one makes it, and the others wait.
    """
    if target.is_file():
        say(f"{what} is there already")
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with alone(target.parent / ".lock"):
        if not target.is_file():
            say(f"bringing {what} ({how_long}) …")
            start = time.monotonic()
            make(target)
            say(f"{what} is there after {time.monotonic() - start:.0f} s")
    return target


def build(program: Program, target: Path) -> None:
    """Build ``program`` as ``target``, by way of a temporary folder beside it.

    Raises:
        BuildError: Go is missing, or its build failed.
    """
    go = shutil.which("go")
    if go is None:
        raise BuildError(f"Go is missing, and {program.name} is built with it\n  fix: {GO_FIX}")
    if not program.pinned:
        raise BuildError(
            f"nothing pins the modules of {program.name} {program.version}\n"
            "  fix: name a version that is pinned, or let KUBEBUILDER_ASSETS name a folder that has it"
        )
    with tempfile.TemporaryDirectory(prefix=".", dir=target.parent) as folder:
        flags = ["-trimpath", "-ldflags", _linker_flags(program)]
        built = Path(folder) / program.name
        if program.module is None:
            command = [go, "install", *flags, f"{program.package}@{program.version}"]
            where = Path(folder)
        else:
            command = [go, "build", *flags, "-buildvcs=false", "-o", str(built), program.package]
            where = MODULES / program.module
        environment = {**os.environ, "CGO_ENABLED": "0", "GOBIN": folder, "GOFLAGS": "-mod=readonly"}
        # What it prints goes to stderr (2): our standard output carries paths.
        done = subprocess.run(command, cwd=where, env=environment, stdout=2, check=False)
        if done.returncode != 0:
            words = " ".join(["go", *command[1:2], program.package])
            raise BuildError(f"`{words}` ended with exit code {done.returncode}\n  fix: {NETWORK_FIX}")
        built.replace(target)


def _linker_flags(program: Program) -> str:
    flags = "-s -w"
    if program.folder != "kubernetes":
        return flags
    major, minor, _ = program.version.removeprefix("v").split(".")
    values = {"gitVersion": program.version, "gitMajor": major, "gitMinor": minor}
    return flags + "".join(f" -X k8s.io/component-base/version.{name}={value}" for name, value in values.items())


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Keep other processes that name the same ``path`` out while the block runs."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def say(message: str) -> None:
    """Print a line of progress on standard error."""
    print(message, file=sys.stderr, flush=True)
