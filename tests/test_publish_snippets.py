"""The pipelines that docs/publishing.md shows, run: by a shell as the runners do, with the servers played."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs

import pytest
import yaml

from tests.cli_cases import ROOT, SMALL
from tests.git_cases import clone_of, commit, files_at, git, isolate
from tests.real import need

pytestmark = pytest.mark.real

SNIPPETS = re.findall(r"^```yaml\n(.*?)^```$", (ROOT / "docs/publishing.md").read_text(), re.MULTILINE | re.DOTALL)
PIPELINES: list[dict[str, Any]] = [
    yaml.load(text, yaml.BaseLoader) for text in SNIPPETS if "script" in text or "jobs" in text
]
HEADING = "ATTENTION: 1 rolls pods"


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a checkout of a proposed change: a description whose image is newer than that of main."""
    isolate(tmp_path, monkeypatch)
    folder = clone_of(tmp_path)
    commit(folder, {"aether.yaml": SMALL})
    git(folder, "push", "--quiet", "origin", "main")
    git(folder, "switch", "--quiet", "--create", "change")
    commit(folder, {"aether.yaml": SMALL.replace("v1.2.0", "v1.3.0")})
    git(folder, "switch", "--quiet", "--detach")
    return folder


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """Return a folder with programs that a runner has: pip does nothing here, gh keeps what it is told."""
    folder = tmp_path / "bin"
    folder.mkdir()
    told = tmp_path / "gh.json"
    gh = f"import json, sys; json.dump([sys.argv[1:], open(sys.argv[-1]).read()], open({str(told)!r}, 'w'))"
    (folder / "gh").write_text(f"#!{sys.executable}\n{gh}\n")
    (folder / "pip").write_text("#!/bin/sh\nexit 0\n")
    for path in folder.iterdir():
        path.chmod(0o755)
    return folder


def run(script: str, folder: Path, programs: Path, variables: Mapping[str, str], *, shell: str = "bash") -> str:
    """Run a script as a runner does, and return what it prints."""
    path = os.pathsep.join([str(programs), str(Path(sys.executable).parent), os.environ["PATH"]])
    ended = subprocess.run(
        [shell, "-e", *(["-o", "pipefail"] if shell == "bash" else []), "-c", script],
        cwd=folder,
        env={**os.environ, "PATH": path, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout
    return ended.stdout


def job(name: str, key: str) -> dict[str, Any]:
    """Return the job of that name, of GitHub (``steps``) or GitLab (``script``)."""
    for pipeline in PIPELINES:
        found = pipeline.get("jobs", pipeline).get(name)
        if found is not None and key in found:
            return dict(found)
    raise AssertionError(f"docs/publishing.md shows no job {name} with {key}")


def github_script(name: str, values: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """Return all that a job runs, and its variables, with expressions filled in."""
    steps = [step for step in job(name, "steps")["steps"] if "run" in step]
    given = {key: value for step in steps for key, value in step.get("env", {}).items()}
    filled = {key: re.sub(r"\$\{\{ (.*?) \}\}", lambda found: values[found[1]], value) for key, value in given.items()}
    return "\n".join(step["run"] for step in steps), filled


def test_the_diff_is_posted_on_github(clone: Path, programs: Path, tmp_path: Path) -> None:
    script, given = github_script("diff", {"github.token": "t", "github.event.pull_request.number": "7"})
    summary = tmp_path / "summary.md"

    run(script, clone, programs, {**given, "GITHUB_BASE_REF": "main", "GITHUB_STEP_SUMMARY": str(summary)})

    arguments, body = json.loads((tmp_path / "gh.json").read_text())
    assert arguments == ["pr", "comment", "7", "--edit-last", "--create-if-none", "--body-file", "diff.md"]
    assert HEADING in body
    assert summary.read_text() == body


class Notes:
    """GitLab's notes of one merge request, as far as the snippet asks for them."""

    def __init__(self) -> None:
        self.bodies: dict[int, str] = {1: "looks good to me"}
        self.tokens: set[str | None] = set()
        notes = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer([{"id": number, "body": body} for number, body in notes.bodies.items()])

            def do_POST(self) -> None:
                notes.bodies[max(notes.bodies) + 1] = self._body()
                self._answer({})

            def do_PUT(self) -> None:
                notes.bodies[int(self.path.rpartition("/")[2])] = self._body()
                self._answer({})

            def _body(self) -> str:
                return parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())["body"][0]

            def _answer(self, values: object) -> None:
                assert self.path.startswith("/api/v4/projects/3/merge_requests/7/notes")
                notes.tokens.add(self.headers["PRIVATE-TOKEN"])
                self.send_response(200)
                self.end_headers()
                self.wfile.write(json.dumps(values).encode())

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)


@pytest.fixture
def notes() -> Iterator[Notes]:
    need(shutil.which("curl"), "curl", "apt-get install curl")
    notes = Notes()
    Thread(target=notes.server.serve_forever, daemon=True).start()
    yield notes
    notes.server.shutdown()
    notes.server.server_close()


@pytest.mark.parametrize("shell", ["bash", "sh"])
def test_the_diff_is_posted_on_gitlab_once_and_then_edited(
    shell: str, clone: Path, programs: Path, notes: Notes
) -> None:
    script = "\n".join(job("diff", "script")["script"])
    variables = {
        "CI_API_V4_URL": f"http://127.0.0.1:{notes.server.server_port}/api/v4",
        "CI_MERGE_REQUEST_PROJECT_ID": "3",
        "CI_MERGE_REQUEST_IID": "7",
        "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main",
        "DEPLOY_TOKEN": "secret",
    }

    said = run(script, clone, programs, variables, shell=shell)
    first = dict(notes.bodies)
    commit(clone, {"aether.yaml": SMALL.replace("v1.2.0", "v1.4.0")})
    run(script, clone, programs, variables, shell=shell)

    assert set(first) == set(notes.bodies) == {1, 2}
    assert first[2].startswith("<!-- aether-deploy -->\n")
    assert HEADING in first[2]
    assert "v1.3.0" in first[2]
    assert "v1.4.0" in notes.bodies[2]
    assert notes.bodies[1] == "looks good to me"
    assert notes.tokens == {"secret"}
    assert "secret" not in said


@pytest.fixture
def gitops(tmp_path: Path) -> Path:
    """Return a bare repository for the tree, in which nothing is yet but a note."""
    remote = tmp_path / "gitops.git"
    git(tmp_path, "clone", "--quiet", "--bare", str(tmp_path / "seed"), str(remote))
    return remote


def test_a_workflow_of_github_publishes(clone: Path, programs: Path, gitops: Path) -> None:
    script, given = github_script("publish", {})
    git(clone, "clone", "--quiet", str(gitops), "gitops")  # the second checkout

    run(script, clone, programs, given)

    assert "deploy/prod/clusters/us-east-1/kustomization.yaml" in files_at(gitops)
    assert git(gitops, "log", "-1", "--format=%an") == "aether-deploy\n"


@pytest.mark.parametrize("shell", ["bash", "sh"])
def test_a_pipeline_of_gitlab_publishes(shell: str, clone: Path, programs: Path, gitops: Path) -> None:
    script = "\n".join(job("publish", "script")["script"])
    address = "https://oauth2:t@git.example.com/example/gitops.git"
    git(clone, "config", "--global", f"url.{gitops.as_uri()}.insteadOf", address)

    run(script, clone, programs, {"DEPLOY_TOKEN": "t", "CI_SERVER_HOST": "git.example.com"}, shell=shell)

    assert "deploy/prod/clusters/us-east-1/kustomization.yaml" in files_at(gitops)


def test_nothing_that_a_pipeline_runs_is_more_than_shell(clone: Path) -> None:
    """A value that YAML takes for something else than text would not run."""
    for pipeline in PIPELINES:
        for each in pipeline.get("jobs", pipeline).values():
            if isinstance(each, dict):
                lines = each.get("script", [step["run"] for step in each.get("steps", ()) if "run" in step])
                assert all(isinstance(line, str) for line in lines)
    assert len(PIPELINES) == len(SNIPPETS) - 1 == 4  # one is a description
