"""What an analysis finds: what is wrong, how grave that is, and what to change."""

from typing import Literal

import msgspec

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
"""From grave to good to know."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to mend, or to know.

    Attributes:
        rule: The rule's name: ``no-standby``.
        severity: ``error`` where one failure leaves something down that more of the same could have saved,
            ``warning`` where somebody will pay for it one day, ``note`` where it is a decision to know of.
        component: The component; empty where it is about all of them.
        text: What is wrong, in one line.
        fix: What to do about it, as an imperative.
        source: Who says so.
    """

    rule: str
    severity: Severity
    component: str = ""
    text: str
    fix: str
    source: str

    def __str__(self) -> str:
        about = f"{self.component}: " if self.component else ""
        return f"{self.severity}: {about}{self.text} ({self.rule})\n  fix: {self.fix}"


def reaches(finding: Finding, severity: Severity) -> bool:
    """Return whether a finding is as grave as ``severity``, or graver."""
    return SEVERITIES.index(finding.severity) <= SEVERITIES.index(severity)
