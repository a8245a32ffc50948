"""What can be done to a lab, as people write it: ``zone=us-east-1a``, ``cut=us-east-1,eu-west-1``."""

from typing import Literal, get_args

import msgspec

FaultKind = Literal["kill", "freeze", "zone", "region", "cut", "mend"]
"""What is done: a process ends, or hangs; a zone or a region is gone; two regions no longer reach each other; or what
was done is undone."""

EVERYTHING = "all"
"""The target of ``mend`` that undoes every fault."""

KINDS: tuple[FaultKind, ...] = get_args(FaultKind)


class LabFault(msgspec.Struct, frozen=True):
    """One thing that is done to a lab.

    Attributes:
        kind: What is done.
        target: To what: a process (``sessions-us-east-1a-0``, ``us-east-1/router-0``), a member (``sessions``), a zone,
            a region, two regions with a comma between them; of ``mend`` the target of an earlier fault, or ``all``.
    """

    kind: FaultKind
    target: str

    def __str__(self) -> str:
        return f"{self.kind}={self.target}"

    @property
    def ends(self) -> frozenset[str]:
        """The two regions of ``cut``."""
        return frozenset(each.strip() for each in self.target.split(","))


def parse_fault(text: str) -> LabFault:
    """Return the fault that ``KIND=TARGET`` names; whether there is such a target is for the lab to say.

    Raises:
        ValueError: It names none; says what would.
    """
    kind, equals, target = text.partition("=")
    known = next((each for each in KINDS if each == kind), None)
    if known is None:
        raise ValueError(f"is no KIND=TARGET; kinds are {', '.join(KINDS)}")
    if not equals or not target.strip():
        raise ValueError("says not to what")
    fault = LabFault(known, target.strip())
    if known == "cut" and len(fault.ends) != 2:
        raise ValueError("is no pair of different regions with a comma between")
    return fault
