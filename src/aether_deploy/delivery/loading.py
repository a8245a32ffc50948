"""Reading a description from disk: files, their layers, and every problem at its place."""

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import msgspec

from aether_deploy.delivery.sources import MAX_FILE_BYTES, read_bytes, read_sources
from aether_deploy.manifest.text_places import TextPlaces
from aether_deploy.platform.config import Platform
from aether_deploy.platform.expansion import Steps
from aether_deploy.platform.layers import Document, Evaluation, Setting, Source
from aether_deploy.problems import ConfigError, Problem, shown


class Description(msgspec.Struct, frozen=True):
    """One description as it lies on disk.

    Attributes:
        document: Its layers.
        texts: Text of each file.
        folder: Folder of the first file; ``source`` paths of config files are relative to it.
        refused: What no reader takes (``yes``, a key twice, an anchor), with its place; nothing else is judged by it.
    """

    document: Document
    texts: tuple[str, ...]
    folder: str
    refused: tuple[Problem, ...] = ()

    def evaluate(self, environments: Sequence[str]) -> "Judgement":
        """Return the platform of each environment, and every problem once, at its place.

        Raises:
            ConfigError: If an environment is unknown, or a ``--set`` does not fit.
        """
        evaluations = [self._evaluate(name) for name in environments]
        files: dict[str, bytes] = {}
        found = []
        for evaluation in evaluations:
            problems = [*evaluation.found]
            if evaluation.platform is not None:
                problems += read_sources(evaluation.platform, self.folder, files)
                if not any(problem.severity == "error" for _, problem in problems):
                    problems += _patch_problems(evaluation.platform, files)
            found.append(problems)
        return Judgement(tuple(evaluations), files, self._placed(evaluations, found, files))

    def _evaluate(self, environment: str) -> Evaluation:
        """A document without overlays has one environment, whose name only counts where it is asked for."""
        named = self._has_overlays() or environment not in self.document.environments()
        return self.document.evaluate(environment if named else None)

    def _has_overlays(self) -> bool:
        return "environments" in self.document.base

    def _placed(
        self,
        evaluations: list[Evaluation],
        found: list[list[tuple[Steps, Problem]]],
        files: Mapping[str, bytes],
    ) -> tuple[Problem, ...]:
        if not any(found):
            return self.refused
        base = self._in_base(files) if self._has_overlays() else set()
        finder = _Finder(self)
        seen: dict[tuple[Any, ...], tuple[Any, Problem]] = {}
        for evaluation, problems in zip(evaluations, found, strict=True):
            for steps, problem in problems:
                overlaid = self._has_overlays() and problem.file is None and _identity(problem) not in base
                own = evaluation.overlay if overlaid else None
                identity = (own, *_identity(problem))
                if identity not in seen:
                    seen[identity] = finder.placed(evaluation, steps, problem, own)
        names = [source.name for source in self.document.sources]
        placed = [((names.index(p.file or ""), "", p.line, p.column), p) for p in self.refused]
        return tuple(problem for _, problem in sorted([*placed, *seen.values()], key=lambda item: item[0]))

    def _in_base(self, files: Mapping[str, bytes]) -> set[tuple[Any, ...]]:
        """Return the problems that no overlay causes."""
        evaluation = self.document.evaluate(None)
        found = [problem for _, problem in evaluation.found]
        if evaluation.platform is not None:
            found += [problem for _, problem in read_sources(evaluation.platform, self.folder, {**files})]
        with suppress(ConfigError):  # a file of the base that no environment reads
            found += [problem for _, problem in _patch_problems(evaluation.platform, files)]
        return {_identity(problem) for problem in found}


def _patch_problems(platform: Platform | None, files: Mapping[str, bytes]) -> list[tuple[Steps, Problem]]:
    """Return what is wrong with patches: only rendering shows it, so that costs nothing where none is."""
    if platform is None or not platform.patches:
        return []
    from aether_deploy.platform.patch_problems import patch_problems

    return patch_problems(platform, files)


class Judgement(msgspec.Struct, frozen=True):
    """What a description amounts to.

    Attributes:
        evaluations: One for each environment that was asked for.
        files: Content of every config file's ``source``, and of every encrypted Secret.
        problems: Errors and warnings, in document order.
    """

    evaluations: tuple[Evaluation, ...]
    files: Mapping[str, bytes]
    problems: tuple[Problem, ...]

    def with_problems(self, more: Iterable[Problem]) -> "Judgement":
        """Return the judgement with problems that only the manifests show."""
        return msgspec.structs.replace(self, problems=(*self.problems, *more))

    def strictly(self) -> "Judgement":
        """Return the judgement with every warning as an error."""
        problems = tuple(msgspec.structs.replace(problem, severity="error") for problem in self.problems)
        return msgspec.structs.replace(self, problems=problems)

    @property
    def platforms(self) -> tuple[Platform, ...]:
        return tuple(each.platform for each in self.evaluations if each.platform is not None)

    @property
    def failed(self) -> bool:
        return any(problem.severity == "error" for problem in self.problems)


def _identity(problem: Problem) -> tuple[Any, ...]:
    return (problem.file, problem.line, problem.path, problem.key, problem.value, problem.reason)


class _Finder:
    """Finds values in the files; each file is parsed for positions once, and only for a problem."""

    def __init__(self, description: Description) -> None:
        self._description = description
        self._places: dict[int, TextPlaces] = {}

    def placed(
        self, evaluation: Evaluation, steps: Steps, problem: Problem, environment: str | None
    ) -> tuple[Any, Problem]:
        document = self._description.document
        if problem.file is not None:  # it is in a file that the description names
            return (len(document.sources), problem.file, problem.line or 0, problem.column or 0), problem
        key = problem.key
        for length in range(len(steps), -1, -1):
            origin = document.origin(evaluation, steps[:length], key=key)
            if origin is not None or (key is not None and length == 0):
                break
            key = None
        source = 0 if origin is None else origin.source
        if source is None:
            return (len(document.sources), "", 0, 0), msgspec.structs.replace(
                problem, file="--set", environment=environment
            )
        where = origin.steps if origin is not None else ()
        line, column = self.position(source, where, at_key=key is not None) or (1, 1)
        name = document.sources[source].name
        placed = msgspec.structs.replace(problem, file=name, line=line, column=column, environment=environment)
        return (source, "", line, column), placed

    def position(self, source: int, steps: Steps, *, at_key: bool) -> tuple[int, int] | None:
        """Return line and column of a value, or of its key."""
        if source not in self._places:
            self._places[source] = TextPlaces(self._description.texts[source])
        return self._places[source].find(steps, at_key=at_key)


def locate(description: Description, source: int, steps: Steps) -> tuple[int, int] | None:
    """Return line and column of the value at ``steps`` in one of the files."""
    return _Finder(description).position(source, steps, at_key=False)


def read_description(paths: Sequence[str], settings: Iterable[tuple[str, str]] = ()) -> Description:
    """Read the files of a description, the weakest first.

    Args:
        paths: Files in YAML or JSON.
        settings: ``--set`` options as path and YAML text of the value.

    Raises:
        ConfigError: A file cannot be read at all: it is missing, or its syntax is broken.
    """
    from aether_deploy.manifest.yaml_source import read_partly

    problems: list[Problem] = []
    broken = False
    sources, texts = [], []
    for path in paths:
        try:
            text = _read_text(path)
        except ConfigError as error:
            problems += error.problems
            broken = True
            continue
        values, faults = read_partly(text, path)
        problems += faults
        if values is None:
            broken = True
            continue
        sources.append(Source(path, values))
        texts.append(text)
    said = []
    for path, text in settings:
        try:
            said.append(_setting(path, text))
        except ConfigError as error:
            problems += error.problems
            broken = True
    if broken:
        raise ConfigError(problems)
    folder = os.path.dirname(paths[0]) if paths else ""
    return Description(Document(tuple(sources), tuple(said)), tuple(texts), folder, tuple(problems))


def _read_text(path: str) -> str:
    def fault(reason: str, fix: str, line: int | None = None, column: int | None = None) -> ConfigError:
        return ConfigError([Problem(path="$", reason=reason, fix=fix, file=path, line=line, column=column)])

    try:
        data = read_bytes(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise fault(
            f"cannot be read: {reason}", "name a file that is there, or start one with aether-deploy init"
        ) from error
    if len(data) > MAX_FILE_BYTES:
        raise fault(f"has more than {MAX_FILE_BYTES} bytes", "split it into layers, or generate less of it")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8")
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        raise fault(f"holds the byte 0x{data[error.start]:02X}, not UTF-8", "save it as UTF-8", line, column) from error


def _setting(path: str, text: str) -> Setting:
    from aether_deploy.manifest.yaml_source import read_document

    try:
        values = read_document(f"value: {text}", "--set")
    except ConfigError as error:
        first = error.problems[0]
        problem = Problem(path=f"--set {path}", reason=first.reason, fix=first.fix, value=shown(text))
        raise ConfigError([problem]) from error
    assert isinstance(values, dict)
    if len(values) != 1:
        fix = "give each PATH=VALUE its own --set"
        raise ConfigError([Problem(path=f"--set {path}", reason="holds more than a value", fix=fix, value=shown(text))])
    setting = Setting(path, values["value"])
    _ = setting.steps
    return setting


def load_platform(*paths: str, environment: str | None = None, settings: Iterable[tuple[str, str]] = ()) -> Platform:
    """Return the platform that the files describe, for one environment (the first where none is named).

    Raises:
        ConfigError: With every problem of the description, each with file, line and column.
    """
    description = read_description(paths, settings)
    judgement = description.evaluate([environment or description.document.environments()[0]])
    if judgement.failed:
        raise ConfigError(problem for problem in judgement.problems if problem.severity == "error")
    return judgement.platforms[0]
