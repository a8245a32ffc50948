"""What a lint finds: a rule that is broken, the smallest case that shows it, and what to do about it."""

from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

from aether_deploy.simulation.proofs import Move

Severity = Literal["error", "warning", "note"]
Subject = Literal["decide", "hpa"]

Settings = Mapping[str, int | str]
"""Settings by name, with their new values."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong with a policy.

    Attributes:
        rule: The rule's id: ``flap``.
        severity: ``error`` where the policy cannot do its work, ``warning`` where players or money pay for it,
            ``note`` where it is only good to know.
        backends: Which of the two it is true of: ``decide``, the specification's rule, and ``hpa``.
        text: What is wrong, in one line with the numbers of the smallest case.
        counterexample: That case, step by step; empty where no count of players shows it.
        fix: What to do about it, as an imperative.
        suggestion: The settings that ``fix`` changes, with their new values; empty where no setting mends it.
        cause: The id of the divergence behind it, as comparisons give it: ``D24``; empty where it has none.
    """

    rule: str
    severity: Severity
    backends: tuple[Subject, ...]
    text: str
    counterexample: tuple[Move, ...] = ()
    fix: str
    suggestion: Settings = {}
    cause: str = ""

    def __str__(self) -> str:
        return f"{self.severity}: {self.rule} ({', '.join(self.backends)}): {self.text}\n  fix: {self.fix}"


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: ``1 pod``, ``2 pods``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def joined(words: Iterable[object], last: str = "and") -> str:
    """Return words as a sentence has them: ``1, 2 and 3``."""
    *head, tail = map(str, words)
    return f"{', '.join(head)} {last} {tail}" if head else tail


def span(least: int, most: int) -> str:
    """Return a range of numbers: ``7``, or ``7 to 9``."""
    return str(least) if least == most else f"{least} to {most}"
