"""What to expect of a failure, as values, as a table and for machines."""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from aether_deploy.failover.faults import FAULT_WORDS, FaultName, fault_of
from aether_deploy.failover.timings import StoreKind
from aether_deploy.timespan import TimeSpan

Fate = Literal["back", "untouched", "stopped"]
"""What becomes of writes: they stop, or may, and come back by themselves; they go on while it lasts; they stop until
what was lost is back, or a human comes."""

Since = Literal["failure", "store-back", "last-write"]
"""From when on a time counts: the failure; the store answers again; the last write was acknowledged."""

SINCE_WORDS: Mapping[Since, str] = {"failure": "", "store-back": "it answers again", "last-write": "the last write"}


class FailoverBound(msgspec.Struct, frozen=True, kw_only=True):
    """What to expect of one failure.

    Attributes:
        failure: Its name.
        detect: When the leader's key is free, or the leader has stepped down, seconds from the failure; None:
            nothing has to be noticed.
        fate: What becomes of writes; exactly with ``back`` there is a ``writable``.
        writable: When writes are acknowledged again, seconds from ``since``.
        since: What ``writable`` counts from.
        loss_bytes: Most acknowledged bytes that a winner may lack beyond ``loss_secs``; None: no bound.
        loss_secs: Seconds of acknowledged writes that a winner may lack besides; None: no bound.
        loss: The same in words.
        dual_primary_secs: Longest time in which two PostgreSQL take writes; None: until somebody ends it.
        formula: How ``writable`` comes about, with the numbers in it.
        source: Where the rule stands.
        note: What else to know.
    """

    failure: FaultName
    detect: TimeSpan | None
    fate: Fate
    writable: TimeSpan | None
    since: Since = "failure"
    loss_bytes: int | None = 0
    loss_secs: float | None = 0.0
    loss: str = "nothing"
    dual_primary_secs: float | None = 0.0
    formula: str
    source: str
    note: str = ""

    @property
    def says(self) -> str:
        """What happens, as a sentence."""
        return FAULT_WORDS[self.failure]

    @property
    def is_lossy(self) -> bool:
        """Whether acknowledged writes may be lost."""
        return self.loss_bytes != 0 or self.loss_secs != 0.0


class FailoverBounds(msgspec.Struct, frozen=True, kw_only=True):
    """The bounds of a policy.

    Attributes:
        dcs: The store.
        rows: One for each failure.
    """

    dcs: StoreKind
    rows: tuple[FailoverBound, ...]

    def of(self, failure: str) -> FailoverBound:
        """Return the bound of a failure.

        Raises:
            ValueError: If there is none of that name; it says which are near.
        """
        name = fault_of(failure)
        return next(row for row in self.rows if row.failure == name)

    def to_text(self) -> str:
        """Return a table, and below it the formula of each row."""
        head = ("failure", "noticed", "writable again", "acknowledged writes lost", "two primaries")
        cells = [head, *(_cells(row) for row in self.rows)]
        widths = [max(len(row[place]) for row in cells) for place in range(len(head))]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells
        ]
        lines += ["", "seconds, best / mean / worst"]
        lines += [f"{row.failure}: {row.formula}{'; ' + row.note if row.note else ''}" for row in self.rows]
        return "\n".join(lines) + "\n"

    def to_values(self) -> list[dict[str, Any]]:
        """Return the rows as plain values, times to a hundredth of a second."""
        return [
            {
                **{name: getattr(row, name) for name in row.__struct_fields__},
                "says": row.says,
                "detect": _values(row.detect),
                "writable": _values(row.writable),
            }
            for row in self.rows
        ]


def _values(times: TimeSpan | None) -> dict[str, float] | None:
    return None if times is None else msgspec.structs.asdict(times.rounded())


_WITHOUT_A_TIME: Mapping[Fate, str] = {"back": "-", "untouched": "writes go on", "stopped": "not by itself"}


def writable_text(row: FailoverBound) -> str:
    """Return when writes are back: ``22.6 / 27.6 / 32.9 s``, with what it counts from."""
    if row.writable is None:
        return _WITHOUT_A_TIME[row.fate]
    after = SINCE_WORDS[row.since]
    return f"{row.writable} s after {after}" if after else f"{row.writable} s"


def _cells(row: FailoverBound) -> tuple[str, ...]:
    dual = "until ended" if row.dual_primary_secs is None else f"{row.dual_primary_secs:g} s"
    noticed = "-" if row.detect is None else str(row.detect)
    return row.failure, noticed, writable_text(row), row.loss, "-" if dual == "0 s" else dual
