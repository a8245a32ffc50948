"""Faults in what the user gave us, and the exceptions that carry them.

Exception
├── ConfigError (ValueError)      the input is wrong; carries every Problem           exit 2
├── DecisionError                 no answer exists: no healthy region, no capacity    exit 1
│   ├── NoHealthyRegionError
│   │   └── NoCapacityError
│   ├── UnknownRegionError
│   └── UnknownResidencyError
├── EffectError                   the world refused: disk, git, kubectl               exit 3
└── InvariantError                our own mistake                                     exit 70
"""

from collections.abc import Iterable
from typing import Literal

import msgspec

Severity = Literal["error", "warning"]


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One fault: where it is, what it is, and how to mend it.

    Path, reason and fix are each one line that can be printed: what they quote of a file is escaped.

    Attributes:
        path: JSONPath of the value, from the document's root: ``$.worlds[0].image``.
        reason: What is wrong, without the value: ``less than min_replicas, which is 6``.
        fix: What to do about it, as an imperative.
        value: The value as it was read, ready to print (``'abc'``, ``4``); None where none belongs.
        severity: ``error`` stops the work, ``warning`` never does.
        file: The file that holds the value, as the user named it.
        line: Its line, from 1.
        column: Its column in characters, from 1.
        environment: The environment whose overlay causes the fault.
        key: The key inside ``path`` that the fault is about, where the value is not: an unknown key.
    """

    path: str
    reason: str
    fix: str
    value: str | None = None
    severity: Severity = "error"
    file: str | None = None
    line: int | None = None
    column: int | None = None
    environment: str | None = None
    key: str | None = None

    def __post_init__(self) -> None:
        for name in ("path", "reason", "fix"):
            text = getattr(self, name)
            if not text.isprintable():
                msgspec.structs.force_setattr(self, name, printable(text))

    @property
    def message(self) -> str:
        """The fault in one line, without its place."""
        return self.reason if self.value is None else f"is {self.value}; {self.reason}"

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)
        where = f"{place}: {self.path}" if place else self.path
        if self.environment is not None:
            where += f" (environment {self.environment})"
        severity = "warning: " if self.severity == "warning" else ""
        return f"{where}: {severity}{self.message}\n  fix: {self.fix}"


class ConfigError(ValueError):
    """The input is wrong. ``problems`` holds every fault that was found, in document order."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class DecisionError(Exception):
    """A decision was asked for and no answer exists."""


class NoHealthyRegionError(DecisionError):
    """No region may take the player.

    Attributes:
        preferred: The region that was preferred; None where that is not known.
    """

    def __init__(self, text: str, *, preferred: str | None = None) -> None:
        super().__init__(text)
        self.preferred = preferred


NoAvailableRegionError = NoHealthyRegionError
"""Its name in the implementation that the specification was written for."""


class NoCapacityError(NoHealthyRegionError):
    """Healthy regions are open to the player, and every one of them is full."""


class UnknownRegionError(DecisionError):
    """The preferred region is not configured, and the policy refuses to replace it."""


class UnknownResidencyError(DecisionError):
    """The player is under a residency rule that is not configured: to ignore it could break a law."""


class EffectError(Exception):
    """The world refused an effect: disk, git, a missing program."""


class InvariantError(Exception):
    """A promise of this program was broken by this program."""


def printable(text: str) -> str:
    """Return ``text`` on one line, with escapes for what cannot be printed: ``\\n``, ``\\u2028``."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class Shown(str):
    """A value that was already made ready for a message."""

    __slots__ = ()


def shown(value: object) -> str:
    """Return ``value`` as a message shows it: short, on one line, strings in single quotes."""
    if isinstance(value, Shown):
        return value
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        text = printable(value[:61])
        return f"'{text[:57]}...'" if len(value) > 60 else f"'{text}'"
    if isinstance(value, (int, float)):
        text = str(getattr(value, "text", value))  # as the file spells it: 1.30 is not 1.3
        return text if len(text) <= 60 else f"{text[:57]}..."
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, (list, tuple, set, frozenset)):
        return "a list"
    return f"a {type(value).__name__}"


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that ``word`` is most likely a slip of, or None."""
    import difflib

    candidates = list(known)
    close = difflib.get_close_matches(word, candidates, n=1, cutoff=0.6)
    if not close:
        lower = {candidate.lower(): candidate for candidate in reversed(candidates)}
        close = [lower[word.lower()]] if word.lower() in lower else []
    return close[0] if close else None


def suggestion(word: str, known: Iterable[str], otherwise: str) -> str:
    """Return ``did you mean 'x'?`` or, with nothing close, ``otherwise``."""
    close = did_you_mean(word, known)
    return otherwise if close is None else f"did you mean '{close}'?"
