"""Where faults go while values are read, and how a place in a document is written."""

import re
from collections.abc import Iterable
from typing import Any, Final

from aether_deploy.problems import Problem, Severity, printable

Path = tuple[Any, str | int] | None
"""A place as a chain ``(parent, step)``; None is the root. Cheap to extend, written out only for a fault."""


class Faulty:
    def __repr__(self) -> str:
        return "FAULTY"


FAULTY: Final = Faulty()
"""Stands for a value that was reported and cannot be built."""

# Characters that Kustomize, Go's YAML or an XML log reader drops or rewrites however they are quoted
# (C0 but tab and newline, DEL and C1 with NEL, line and paragraph separators, BOM, non-characters, surrogates).
UNCARRIED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]")


def steps(path: Path) -> tuple[str | int, ...]:
    """Return ``path`` as plain steps from the root."""
    found: list[str | int] = []
    while path is not None:
        path, step = path
        found.append(step)
    return tuple(reversed(found))


def path_text(path: Iterable[str | int]) -> str:
    """Return the JSONPath of ``path``: ``$.worlds[0].labels['a.b/c']``; on one line, whatever the keys hold."""
    text = "$"
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*", step):
            text += f".{step}"
        else:
            escaped = step.replace("\\", "\\\\").replace("'", "\\'")
            text += f"['{printable(escaped)}']"
    return text


class Sink:
    """Collects the problems of one reading.

    Attributes:
        found: Every fault so far, in document order, each with the steps of its path.
        partial: Read an overlay: nothing is required, null removes, cross-field rules wait.
        python: Values come from Python code, which may set fields that a file may not.
    """

    __slots__ = ("found", "partial", "python")

    def __init__(self, *, partial: bool = False, python: bool = False) -> None:
        self.found: list[tuple[tuple[str | int, ...], Problem]] = []
        self.partial = partial
        self.python = python

    def fault(
        self,
        path: Path,
        reason: str,
        fix: str,
        *,
        value: str | None = None,
        severity: Severity = "error",
        key: str | None = None,
    ) -> Faulty:
        where = steps(path)
        problem = Problem(path=path_text(where), reason=reason, fix=fix, value=value, severity=severity, key=key)
        self.found.append((where, problem))
        return FAULTY

    @property
    def problems(self) -> tuple[Problem, ...]:
        return tuple(problem for _, problem in self.found)

    def distinct(self) -> tuple[Problem, ...]:
        """Return the problems, each once: an entry and its placements may show the same fault."""
        return tuple(dict.fromkeys(self.problems))

    @property
    def failed(self) -> bool:
        return any(problem.severity == "error" for _, problem in self.found)
