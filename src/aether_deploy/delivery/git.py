"""The program ``git``, asked from one folder: plain subprocesses, and every refusal with a way out.

Nothing here asks a person. What belongs to the user stays in force: identity, signing, hooks, credentials,
``GIT_CONFIG_*``, ``GIT_SSH_COMMAND``. What would lead git elsewhere does not: ``GIT_DIR`` and its like, which are set
while a hook runs.
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import IO

import msgspec

from aether_deploy.delivery.git_process import NOTHING, environment, run, scratch, streamed
from aether_deploy.delivery.git_refusals import OTHERWISE, GitError, way_out
from aether_deploy.problems import printable

__all__ = ["OLDEST", "Answer", "Git", "GitError", "list_entries", "list_files", "need_git"]

OLDEST = (2, 31)
"""The oldest Git that knows all that is asked of it: ``rev-parse --path-format`` came with 2.31."""


class Answer(msgspec.Struct, frozen=True):
    """What a git command gave: its exit code, and both of its streams."""

    code: int
    out: bytes
    err: str


class Git:
    """The program git, working in one folder."""

    def __init__(self, folder: str, settings: Mapping[str, str] | None = None) -> None:
        """Prepare git.

        Args:
            folder: Where it works, as ``git -C`` takes it.
            settings: What its configuration says instead, for hooks that it runs, too.
        """
        self.folder = os.path.abspath(folder or ".")
        self._settings = dict(settings or {})

    def ask(
        self, *arguments: str, given: bytes = b"", patient: bool = False, variables: Mapping[str, str] = NOTHING
    ) -> Answer:
        """Run git and return its answer, whatever its exit code.

        Args:
            arguments: The command and what it takes.
            given: Its standard input.
            patient: Let it come to its end when this program is interrupted or killed: it changes what is the user's.
            variables: More for its environment.

        Raises:
            GitError: There is no git that can be run.
        """
        command = self._command(arguments)
        code, out, err = run(command, environment(os.environ, variables), given, patient=patient)
        return Answer(code, out, err.decode("utf-8", "backslashreplace"))

    def tell(
        self,
        *arguments: str,
        given: bytes = b"",
        doing: str = "",
        fix: str = "",
        patient: bool = False,
        variables: Mapping[str, str] = NOTHING,
    ) -> bytes:
        """Run git, which has to succeed, and return its standard output.

        Args:
            arguments: The command and what it takes.
            given: Its standard input.
            doing: What cannot be done if it fails, for the message; left out, the command.
            fix: The way out then; left out, one that fits to what git says.
            patient: As of :meth:`ask`.
            variables: More for its environment.

        Raises:
            GitError: It failed; with what it said.
        """
        answer = self.ask(*arguments, given=given, patient=patient, variables=variables)
        if answer.code != 0:
            raise self.refusal(answer, doing or f"git {arguments[0]} failed", fix)
        return answer.out

    def line(self, *arguments: str) -> str:
        """Return the one line that a git command prints; empty if it prints nothing or fails."""
        answer = self.ask(*arguments)
        return "" if answer.code else os.fsdecode(answer.out).removesuffix("\n")

    def refusal(self, answer: Answer, reason: str, fix: str = "") -> GitError:
        """Return the error for an answer that is a refusal."""
        said = answer.err or os.fsdecode(answer.out)
        return GitError(f"{self.folder}: {reason}", said, fix=fix or way_out(said, self.folder) or OTHERWISE)

    def objects(self, names: Iterable[str]) -> Iterator[bytes | None]:
        """Yield the content of each file that ``names`` name, such as ``main:deploy/a.yaml``; None for no file.

        All are read by one process, so many thousands cost little more than their bytes.

        Raises:
            GitError: The repository cannot be read.
        """
        with scratch() as asked:  # a pipe would fill up while we read
            asked.writelines(os.fsencode(name) + b"\n" for name in names)
            asked.seek(0)
            command = self._command(["cat-file", "--batch", "--buffer"])
            with streamed(command, environment(os.environ), asked) as (process, stream, err):
                yield from _batch(stream)
                process.wait()
                err.seek(0)
                said = err.read().decode("utf-8", "backslashreplace")
        # Of a damaged object it only says so, and goes on.
        if process.returncode != 0 or any(line.startswith(("error: ", "fatal: ")) for line in said.splitlines()):
            raise self.refusal(Answer(process.returncode, b"", said), "git cat-file failed")

    def _command(self, arguments: Iterable[str]) -> list[str]:
        settings = [word for name, value in self._settings.items() for word in ("-c", f"{name}={value}")]
        return ["git", "-C", self.folder, "--no-pager", *settings, *arguments]


def need_git() -> tuple[int, ...]:
    """Return the version of git.

    Raises:
        GitError: There is none, or it is too old.
    """
    said = os.fsdecode(Git("/").tell("version"))
    found = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", said)
    version = tuple(int(part) for part in found.groups() if part is not None) if found else ()
    oldest = ".".join(map(str, OLDEST))
    if version < OLDEST:
        said = said.strip() or "git"
        raise GitError(f"{printable(said)} is too old", fix=f"install Git {oldest} or newer")
    return version


class TreeEntry(msgspec.Struct, frozen=True, gc=False):
    """What a commit holds at a path: ``mode`` as Git writes it (``100644``, ``120000``), and the object's id."""

    mode: str
    id: str

    @property
    def is_file(self) -> bool:
        return self.mode.startswith("100")

    @property
    def is_submodule(self) -> bool:
        return self.mode == "160000"


def list_entries(git: Git, folder: str) -> dict[str, TreeEntry]:
    """Return all that is no folder below one, by path from there; nothing where there is no such folder.

    Args:
        git: In the repository.
        folder: Such as ``main:deploy/``.
    """
    answer = git.ask("ls-tree", "-r", "-z", "--full-tree", folder)
    if answer.code != 0:
        return {}
    lines = os.fsdecode(answer.out).split("\0")[:-1]
    parted = (line.partition("\t") for line in lines)
    return {path: TreeEntry(*about.split(" ")[::2]) for about, _, path in parted}


def list_files(git: Git, folder: str) -> dict[str, str]:
    """Return the id of every regular file below a folder, by its path from there; as :func:`list_entries`."""
    return {path: entry.id for path, entry in list_entries(git, folder).items() if entry.is_file}


def _batch(stream: IO[bytes]) -> Iterator[bytes | None]:
    """Yield what ``git cat-file --batch`` prints: the content of each file, None for what is no file."""
    while header := stream.readline():
        if header.endswith((b" missing\n", b" ambiguous\n")):
            yield None
            continue
        _, kind, size = header.rsplit(b" ", 2)
        content = stream.read(int(size))
        if stream.read(1) != b"\n":
            return  # cut off: git says why when it ends
        yield content if kind == b"blob" else None
