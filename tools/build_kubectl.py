"""Build the kubectl that the tests judge by: ``python tools/build_kubectl.py``.

The version is the one that ``controlplane/kubernetes/go.mod`` pins. The program goes into the user's cache
and is built once; it appears there complete or not at all. Prints its path. Exit code 3 where it cannot be
built.
"""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

MODULE = Path(__file__).resolve().parents[1] / "controlplane" / "kubernetes"
COMMAND = "python tools/build_kubectl.py"
GO_FIX = "install it from https://go.dev/dl/ so that `go` is on PATH"
NETWORK_FIX = "its own message above says why; it needs the network, or a proxy that its settings name"


class BuildError(Exception):
    """The program cannot be built here; the message says what to do."""


def kubernetes_version(module: Path = MODULE) -> str:
    """Return the version of Kubernetes that ``module`` pins, such as ``v1.37.2``."""
    found = re.search(r"\bk8s\.io/kubernetes (v\d+\.\d+\.\d+)\s", (module / "go.mod").read_text("utf-8"))
    if found is None:
        raise BuildError(f"{module / 'go.mod'} pins no version of k8s.io/kubernetes")
    return found[1]


def cached_kubectl() -> Path:
    """Return where the built kubectl belongs, whether it is there or not."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "aether-deploy" / "kubernetes" / kubernetes_version() / "kubectl"


def build(target: Path) -> None:
    """Build kubectl as ``target``, by way of a temporary name beside it.

    Raises:
        BuildError: Go is missing, or its build failed.
    """
    go = shutil.which("go")
    if go is None:
        raise BuildError(f"Go is missing\n  fix: {GO_FIX}")
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    flags = ["-trimpath", "-buildvcs=false", "-ldflags", _linker_flags(kubernetes_version())]
    try:
        built = subprocess.run(
            [go, "build", *flags, "-o", str(partial), "k8s.io/kubernetes/cmd/kubectl"],
            cwd=MODULE,
            env={**os.environ, "CGO_ENABLED": "0"},
            check=False,
        )
        if built.returncode != 0:
            raise BuildError(f"`go build` in {MODULE} ended with exit code {built.returncode}\n  fix: {NETWORK_FIX}")
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def _linker_flags(version: str) -> str:
    major, minor, _ = version.removeprefix("v").split(".")
    values = {"gitVersion": version, "gitMajor": major, "gitMinor": minor}
    return "-s -w " + " ".join(f"-X k8s.io/component-base/version.{name}={value}" for name, value in values.items())


def main() -> int:
    """Build kubectl unless it is there, and print its path."""
    try:
        target = cached_kubectl()
        if target.is_file():
            _say(f"kubectl {kubernetes_version()} is built already")
        else:
            _say(f"building kubectl {kubernetes_version()} (some 5 minutes the first time, seconds later) …")
            start = time.monotonic()
            build(target)
            _say(f"built in {time.monotonic() - start:.0f} s")
    except (BuildError, OSError) as error:
        _say(f"cannot build kubectl: {error}")
        return 3
    print(target)
    return 0


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
