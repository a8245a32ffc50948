"""Reading a description as it was at a commit: its files, and those beside it, in a temporary folder."""

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from aether_deploy.delivery.git import list_files
from aether_deploy.delivery.repository import Repository, open_repository
from aether_deploy.delivery.tree_reading import NothingThereError
from aether_deploy.problems import EffectError


@contextmanager
def description_at(repo: str, ref: str, files: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Yield the files of a description as they were at a commit.

    They lie in a temporary folder, at the same places to each other, with all that lay in the folder of the first
    one, which paths in a description are relative to. If one of the files leads out of that folder by ``../``, the
    whole repository is there. Symbolic links are left out.

    Args:
        repo: A folder in the repository that the files are in.
        ref: What names the commit: ``origin/main``, a tag, an id.
        files: The files' paths today, relative to the working directory.

    Raises:
        NothingThereError: One of the files is not in that commit.
        EffectError: A file lies in no such repository, there is no such commit, git fails, or the disk refuses.
    """
    repository = open_repository(repo)
    commit = repository.commit(ref)
    ids = list_files(repository.git, f"{commit}:")
    places = [_place(repository, file) for file in files]
    _need(places, ids, ref)
    contents = list(repository.git.objects(ids[place] for place in places))
    whole = any(b"../" in (content or b"") for content in contents)
    beside = "" if whole or not places else _folder_of(places[0])
    inside = (path for path in ids if os.pardir not in path.split("/"))  # git makes no such path, but takes one
    wanted = [path for path in inside if path in places or path.startswith(beside)]
    with tempfile.TemporaryDirectory(prefix="aether-deploy-description-") as folder:
        _lay(repository, Path(folder), wanted, [ids[path] for path in wanted])
        yield tuple(os.path.join(folder, place) for place in places)


def _place(repository: Repository, file: str) -> str:
    """Return where ``file`` lies in the repository."""
    top = os.path.realpath(repository.top or repository.common)
    parent, name = os.path.split(os.path.abspath(file))
    place = os.path.relpath(os.path.join(os.path.realpath(parent), name), top)
    if repository.top is None or place.split(os.sep)[0] == os.pardir:
        fix = "name a file of its work tree, or compare with a tree: --against DIR"
        raise EffectError(f"{file}: does not lie in the repository {repository.folder}\n  fix: {fix}")
    return place


def _need(places: Sequence[str], ids: dict[str, str], ref: str) -> None:
    missing = [place for place in places if place not in ids]
    if missing:
        fix = "name another commit, or a file that was there"
        raise NothingThereError(f"{', '.join(missing)}: is no file in {ref}\n  fix: {fix}")


def _folder_of(place: str) -> str:
    folder = os.path.dirname(place)
    return f"{folder}/" if folder else ""


def _lay(repository: Repository, folder: Path, paths: Sequence[str], ids: Sequence[str]) -> None:
    try:
        for path, content in zip(paths, repository.git.objects(ids), strict=True):
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content or b"")
    except OSError as error:
        fix = "let TMPDIR name a folder that can be written and has room"
        raise EffectError(f"{error.filename or folder}: {error.strerror}\n  fix: {fix}") from error
