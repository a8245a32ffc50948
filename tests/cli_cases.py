"""The command line as a person meets it: run in this process, or as the installed program."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from aether_deploy.cli.main import run
from tests.rule_case import DIGEST

ROOT = Path(__file__).resolve().parents[1]
ONE_REGION = ROOT / "examples/one-region/aether.yaml"
PROGRAM = Path(sys.executable).parent / "aether-deploy"
VERBS = (
    "init",
    "check",
    "render",
    "diff",
    "publish",
    "analyze",
    "rehearse",
    "scaling",
    "route",
    "routing",
    "router",
    "simulate",
    "contract",
    "lab",
    "schema",
    "completion",
    "explain",
)

SMALL = f"""\
name: aether
kubernetes: v1.37
regions:
  - {{code: us-east-1, zones: [us-east-1a, us-east-1b, us-east-1c]}}
worlds:
  - name: world-server
    image: aether/world-server:v1.2.0@{DIGEST}
    pvc: {{size: 10Gi}}
"""
WARNED = SMALL.replace(f"@{DIGEST}", "")
WARNING = (
    "aether.yaml:7:12: $.worlds[0].image: warning: is 'aether/world-server:v1.2.0'; "
    "named by its tag only, which can be moved\n"
    "  fix: add the digest: name:tag@sha256:digest, or give the waiver image_digest a reason\n"
)
STAGES = SMALL + "environments: {prod: {}, staging: {kubernetes: v1.36}}\n"
FAULTY = SMALL.replace("10Gi", "10Gi, sise: 1")
UNKNOWN_SIZE = (
    "aether.yaml:8:23: $.worlds[0].pvc: has unknown key 'sise'\n  fix: did you mean 'size'?\n"
    "1 problem in aether.yaml (environment prod)\n"
)


class Ended(NamedTuple):
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str

    @property
    def answer(self) -> dict[str, Any]:
        """The one JSON object on standard output."""
        answer: dict[str, Any] = json.loads(self.out)
        return answer


class CommandLine:
    """The command line in this process, in a folder that holds ``aether.yaml``."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capsys = capsys
        self.write("aether.yaml", SMALL)

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        return path

    def __call__(self, *arguments: str) -> Ended:
        self._capsys.readouterr()
        code = run(arguments)
        return Ended(code, *self._capsys.readouterr())


def program(*arguments: str, folder: Path, **settings: Any) -> subprocess.Popen[str]:
    """Start the installed program; its streams are pipes unless ``settings`` say otherwise."""
    environment = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "CI")}
    given = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "env": environment, **settings}
    return subprocess.Popen([PROGRAM, *arguments], cwd=folder, text=True, encoding="utf-8", **given)


def ended(process: subprocess.Popen[str]) -> Ended:
    """Wait for a program."""
    out, err = process.communicate(timeout=180)
    return Ended(process.returncode, out or "", err or "")
