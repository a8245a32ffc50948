"""A Git repository that programs on this machine read over HTTP, by the protocol that Git itself speaks there.

It is read-only by HTTP; who publishes pushes to its folder.
"""

import os
import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Self

from aether_deploy.lab.interrupts import deferred
from aether_deploy.lab.programs import MissingProgramsError
from aether_deploy.problems import EffectError

_ANSWER_SECS = 60
_LENGTH_REQUIRED = 411


class GitServer:
    """One bare repository, served on the loopback address while the block runs.

        with GitServer(folder) as git:
            subprocess.run(["git", "push", git.repository, "main"], cwd=checkout)

    Attributes:
        repository: Its folder, to push to; it stays when the block ends.
        url: Where it is read; empty while nothing is served.
    """

    def __init__(self, folder: Path, name: str = "deploy.git") -> None:
        """Prepare the server.

        Args:
            folder: Where the repository is made, unless it is there.
            name: Name of the repository.

        Raises:
            MissingProgramsError: Git is not on this machine.
        """
        git = shutil.which("git")
        if git is None:
            raise MissingProgramsError("git is not on this machine\n  fix: install it so that `git` is on PATH")
        self.repository = folder / name
        self.url = ""
        self._git = git
        self._server: _Server | None = None

    def __enter__(self) -> Self:
        self._make_repository()
        with deferred():
            self._server = _Server(self._git, self.repository.parent)
            self.url = f"http://127.0.0.1:{self._server.server_address[1]}/{self.repository.name}"
            threading.Thread(target=self._server.serve_forever, args=(0.05,), name="git-server", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with deferred():
            if self._server is not None:
                self._server.shutdown()
                self._server.server_close()
            self._server, self.url = None, ""

    def _make_repository(self) -> None:
        if (self.repository / "HEAD").is_file():
            return
        command = [self._git, "init", "--quiet", "--bare", "--initial-branch=main", str(self.repository)]
        environment = _environment(self.repository.parent)
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        if done.returncode != 0:
            fix = "see that the folder can be written"
            raise EffectError(f"{self.repository}: no repository was made: {done.stderr.strip()}\n  fix: {fix}")


def _environment(root: Path) -> dict[str, str]:
    """Return the environment of Git: nobody's settings count here."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "GIT_PROJECT_ROOT": str(root),
        "GIT_HTTP_EXPORT_ALL": "1",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
    }


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, git: str, root: Path) -> None:
        self.command = [git, "http-backend"]
        self.environment = _environment(root)
        super().__init__(("127.0.0.1", 0), _Request)


class _Request(BaseHTTPRequestHandler):
    """One question of a Git client, which ``git http-backend`` answers as a CGI program does."""

    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        if "Content-Length" not in self.headers:
            self.close_connection = True
            return self.send_error(_LENGTH_REQUIRED)
        return self._answer(self.rfile.read(int(self.headers["Content-Length"])))

    def _answer(self, content: bytes) -> None:
        done = subprocess.run(
            self.server.command,
            input=content,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**self.server.environment, **self._variables(len(content))},
            timeout=_ANSWER_SECS,
            check=False,
        )
        head, _, body = done.stdout.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode("latin-1").splitlines() if ": " in line)
        status = fields.pop("Status", "200 OK" if head else "500 Internal Server Error")
        self.send_response(int(status.split()[0]))
        for name, value in fields.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _variables(self, length: int) -> dict[str, str]:
        path, _, query = self.path.partition("?")
        return {
            "REQUEST_METHOD": self.command,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(length),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing: standard error is the user's."""
