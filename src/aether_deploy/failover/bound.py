"""What to expect of a failure, as values, as a table and for machines."""

from typing import Any

import msgspec

from aether_deploy.failover.timings import StoreKind


class Times(msgspec.Struct, frozen=True):
    """Best, mean and worst time, seconds."""

    best: float
    mean: float
    worst: float

    def __add__(self, other: "Times") -> "Times":
        return Times(self.best + other.best, self.mean + other.mean, self.worst + other.worst)

    def later(self, secs: float) -> "Times":
        """Return the same times, all later."""
        return self + Times(secs, secs, secs)

    def rounded(self) -> "Times":
        """Return them as they are printed, to a hundredth."""
        return Times(round(self.best, 2), round(self.mean, 2), round(self.worst, 2))


class Bound(msgspec.Struct, frozen=True, kw_only=True):
    """What to expect of one failure.

    Attributes:
        failure: Its name.
        says: What happens.
        detect: When the leader's key is free, or the leader has stepped down, seconds from the failure; None:
            nothing has to be noticed.
        writable: When writes are acknowledged again, seconds from ``since``; None: never without a human, or they
            never stopped, as ``note`` says.
        since: What ``writable`` counts from.
        loss_bytes: Most acknowledged bytes that a winner may lack beyond ``loss_secs``; None: no bound.
        loss_secs: Seconds of acknowledged writes that a winner may lack besides; None: no bound.
        loss: The same in words.
        dual_primary_secs: Longest time in which two PostgreSQL take writes; None: until somebody ends it.
        formula: How ``writable`` comes about, with the numbers in it.
        source: Where the rule stands.
        note: What else to know.
    """

    failure: str
    says: str
    detect: Times | None
    writable: Times | None
    since: str = "failure"
    loss_bytes: int | None = 0
    loss_secs: float | None = 0.0
    loss: str = "nothing"
    dual_primary_secs: float | None = 0.0
    formula: str
    source: str
    note: str = ""


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """The bounds of a policy.

    Attributes:
        dcs: The store.
        rows: One for each failure.
    """

    dcs: StoreKind
    rows: tuple[Bound, ...]

    def of(self, failure: str) -> Bound:
        """Return the bound of a failure.

        Raises:
            KeyError: If there is none of that name.
        """
        return {row.failure: row for row in self.rows}[failure]

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
                "detect": _values(row.detect),
                "writable": _values(row.writable),
            }
            for row in self.rows
        ]


def _values(times: Times | None) -> dict[str, float] | None:
    return None if times is None else msgspec.structs.asdict(times.rounded())


def _cells(row: Bound) -> tuple[str, ...]:
    dual = "until ended" if row.dual_primary_secs is None else f"{row.dual_primary_secs:g} s"
    writable = _span(row.writable)
    if row.writable is not None and row.since != "failure":
        writable += f" after {row.since}"
    return row.failure, _span(row.detect), writable, row.loss, "-" if dual == "0 s" else dual


def _span(times: Times | None) -> str:
    return "-" if times is None else f"{times.best:.1f} / {times.mean:.1f} / {times.worst:.1f}"
