"""Bring the programs that the tests judge by: ``python -m tools.programs [NAME ...]``.

Each goes into the user's cache by name and version, and is brought once; it appears there complete or not at
all. ``--list`` says what is there and where. Exit code 3 where one cannot be brought.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from aether_deploy.lab.building import GO_FIX, NETWORK_FIX, BuildError, bring_once, say
from aether_deploy.lab.programs import cache_folder
from tools import other_python

COMMAND = "python -m tools.programs"
KUBE_SCORE = "v1.20.0"
CHECKOV = "3.3.30"
CHECKOV_PYTHONS = range(10, 13)  # minor versions of Python 3 that it declares


@dataclass(frozen=True)
class Program:
    """One program.

    Attributes:
        name: What it is called.
        variable: Environment variable that names one to use instead.
        version: Returns the version that is brought.
        bring: Puts the program at the path it is given, complete or not at all.
        first_time: How long that takes.
        folder: Folder in the cache, where it is not the name.
        why_none: Returns why this machine cannot have it, or None; then nobody misses it.
    """

    name: str
    variable: str
    version: Callable[[], str]
    bring: Callable[[Path], None]
    first_time: str
    folder: str | None = None
    why_none: Callable[[], str | None] = lambda: None

    def cached(self) -> Path:
        """Return where the program belongs in the cache, whether it is there or not."""
        return cache_folder() / (self.folder or self.name) / self.version() / self.name

    def found(self) -> Path | None:
        """Return the program to use: the named one, that of the cache, or the one on PATH."""
        named = os.environ.get(self.variable)
        if named:
            return Path(named)
        if self.cached().is_file():
            return self.cached()
        on_path = shutil.which(self.name)
        return Path(on_path) if on_path else None


def install_kube_score(target: Path) -> None:
    """Install kube-score as ``target``, by way of a temporary folder beside it.

    Raises:
        BuildError: Go is missing, or its build failed.
    """
    go = shutil.which("go")
    if go is None:
        raise BuildError(f"Go is missing\n  fix: {GO_FIX}")
    with tempfile.TemporaryDirectory(prefix=".", dir=target.parent) as folder:
        environment = {**os.environ, "GOBIN": folder, "CGO_ENABLED": "0"}
        _run([go, "install", f"github.com/zegl/kube-score/cmd/kube-score@{KUBE_SCORE}"], environment)
        (Path(folder) / target.name).replace(target)


def install_checkov(target: Path) -> None:
    """Install checkov into an environment of its own beside ``target``, a link that is made last.

    Raises:
        BuildError: The installation failed.
    """
    environment = target.parent / "environment"
    _run([_python_for_checkov(), "-m", "venv", "--clear", str(environment)])
    pip = [str(environment / "bin" / "python"), "-m", "pip"]
    _run([*pip, "install", "--quiet", "--disable-pip-version-check", f"checkov=={CHECKOV}"])
    _run([str(environment / "bin" / "checkov"), "--version"])
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    partial.symlink_to(Path(environment.name, "bin", "checkov"))
    partial.replace(target)


def _python_for_checkov() -> str:
    """Return a Python that checkov declares, or else this one: it may do."""
    if sys.version_info.minor in CHECKOV_PYTHONS:
        return sys.executable
    others = (shutil.which(f"python3.{minor}") for minor in reversed(CHECKOV_PYTHONS))
    return next(filter(None, others), sys.executable)


def _checkov_version() -> str:
    return CHECKOV


def _kube_score_version() -> str:
    return KUBE_SCORE


def _run(command: list[str], environment: Mapping[str, str] | None = None) -> None:
    # What it prints goes to stderr (2): our standard output carries paths.
    done = subprocess.run(command, env=environment, stdout=2, check=False)
    if done.returncode != 0:
        words = " ".join([Path(command[0]).name, *command[1:]])
        raise BuildError(f"`{words}` ended with exit code {done.returncode}\n  fix: {NETWORK_FIX}")


# All programs, by name.
PROGRAMS: Mapping[str, Program] = {
    program.name: program
    for program in (
        Program(
            name="kube-score",
            variable="KUBE_SCORE",
            version=_kube_score_version,
            bring=install_kube_score,
            first_time="a minute",
        ),
        Program(
            name="checkov",
            variable="CHECKOV",
            version=_checkov_version,
            bring=install_checkov,
            first_time="a minute",
        ),
        Program(
            name="other-python",
            variable="OTHER_PYTHON",
            version=other_python.environment_version,
            bring=other_python.install,
            first_time="some seconds",
            why_none=other_python.why_none,
        ),
    )
}


def find(name: str) -> Path | None:
    """Return the program ``name`` that is to be used, or None if there is none."""
    return PROGRAMS[name].found()


def bring(program: Program) -> Path:
    """Bring ``program`` into the cache unless it is there, and return its path.

    Raises:
        BuildError: It cannot be brought; the message says what to do.
        OSError: The cache cannot be written.
    """
    what = f"{program.name} {program.version()}"
    return bring_once(program.cached(), what, f"{program.first_time} the first time", program.bring)


def listing() -> str:
    """Return a line for each program: name, pinned version, and where the one to use is."""
    lines = []
    for program in PROGRAMS.values():
        path = program.found()
        where = str(path) if path else program.why_none() or f"missing; to bring it: {COMMAND} {program.name}"
        if path and not path.is_file():
            where = f"{path}, as ${program.variable} says, where there is no file"
        lines.append(f"{program.name:<14}{program.version():<10}{where}\n")
    return "".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Bring the named programs, or all, and print their paths."""
    parser = argparse.ArgumentParser(prog=COMMAND, description="Bring the programs that the tests judge by.")
    parser.add_argument("--list", action="store_true", help="say what is there and where, and bring nothing")
    parser.add_argument("names", metavar="NAME", nargs="*", help=f"one of {', '.join(PROGRAMS)}; none is all of them")
    given = parser.parse_args(arguments)
    if unknown := sorted(set(given.names) - PROGRAMS.keys()):
        parser.error(f"unknown program {unknown[0]}; known are {', '.join(PROGRAMS)}")
    if given.list:
        sys.stdout.write(listing())
        return 0
    failed = False
    for program in [PROGRAMS[name] for name in given.names] or PROGRAMS.values():
        if not given.names and (reason := program.why_none()):
            say(f"{program.name} is not brought: {reason}")
            continue
        try:
            print(bring(program))
        except (BuildError, OSError) as error:
            say(f"cannot bring {program.name}: {error}")
            failed = True
    return 3 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
