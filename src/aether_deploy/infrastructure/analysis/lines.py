"""An analysis as rows: failures that do the same to everybody are one row, whoever prints or judges them."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

from aether_deploy.infrastructure.analysis.analysing import Analysis, Cell, Row, users_hit
from aether_deploy.infrastructure.analysis.failures import FailureKind, PlatformFailure
from aether_deploy.infrastructure.analysis.impacts import Effect, Outcome

NAMES_WIDTH_MAX = 44


class Summary(NamedTuple):
    """What a failure does to a component, as far as a table tells it; equal ones read the same.

    Attributes:
        outcome: What becomes of writes to the part that is hit hardest; None: nothing of it is hit.
        lasts: How long they stop, best to worst; empty where they do not, or do not come back by themselves.
        weaker: Writes go on, and something is worse.
        human: Somebody has to act.
        lossy: Acknowledged writes may be lost.
        hit: How many parts fare as badly at a time.
        cut: How many workloads elsewhere no longer reach it.
    """

    outcome: Outcome | None
    lasts: str = ""
    weaker: bool = False
    human: bool = False
    lossy: bool = False
    hit: int = 0
    cut: int = 0


class Line(NamedTuple):
    """One row.

    Attributes:
        label: What fails.
        rows: The failures that it stands for, all with the same cells.
        cells: What it does to each component, in the order of the file; None: nothing.
        noticed: The workloads that notice.
    """

    label: str
    rows: tuple[Row, ...]
    cells: tuple[Summary | None, ...]
    noticed: tuple[str, ...] = ()

    @property
    def effects(self) -> Iterator[tuple[Row, str, Effect]]:
        """Every effect in it, with its failure and its component."""
        for row in self.rows:
            for name, cell in row.cells.items():
                for effect in cell.impact.effects:
                    yield row, name, effect


def lasts_text(effect: Effect) -> str:
    """Return how long writes stop: ``20-33 s``; empty where they do not, or do not come back by themselves."""
    return "" if effect.recovery is None else effect.recovery.range_text()


def summary_of(cell: Cell | None, *, in_one_region: bool = False) -> Summary | None:
    """Return what a table tells of a cell.

    Args:
        cell: The cell.
        in_one_region: What fails is in one region, whichever that is: effects on clients of several regions do not
            come together. One process that ends is such a failure.
    """
    if cell is None or not (cell.impact.effects or cell.cut_off):
        return None
    effects, worst = cell.impact.effects, cell.impact.worst
    cut = len({use.workload for use in cell.cut_off})
    if worst is None:
        return Summary(None, cut=cut)
    return Summary(
        worst.outcome,
        lasts=lasts_text(worst) if worst.outcome == "interrupted" else "",
        weaker=worst.outcome == "holds" and bool(worst.note),
        human=any(each.human for each in effects),
        lossy=any(each.loss is not None for each in effects),
        hit=0 if worst.outcome == "holds" else _hit(effects, worst.outcome, in_one_region=in_one_region),
        cut=cut,
    )


def _hit(effects: Iterable[Effect], outcome: Outcome, *, in_one_region: bool) -> int:
    regions = Counter(each.region for each in effects if each.outcome == outcome)
    everywhere = regions.pop(None, 0)
    return everywhere + (max(regions.values(), default=0) if in_one_region else regions.total())


def single_lines(analysis: Analysis) -> list[Line]:
    """Return the rows that are about one failure, smallest first."""
    lines = list(_process_lines(analysis))
    others = [row for row in analysis.singles if row.failure.role is None]
    for kind, rows in groupby(others, key=lambda row: row.failure.kind):
        lines += _merged(analysis, kind, list(rows))
    return lines


def lines_of(analysis: Analysis) -> list[Line]:
    """Return all rows: single failures, then the pairs that do more than their halves."""
    lines = single_lines(analysis)
    for kind, rows in groupby(analysis.graver_pairs, key=lambda row: row.failure.kind):
        lines += _merged(analysis, kind, list(rows))
    return lines


def names_text(names: Sequence[str], width: int = NAMES_WIDTH_MAX) -> str:
    """Return names in a row, as many as fit: ``a, b and 4 more``."""
    shown: list[str] = []
    for name in names:
        if shown and len(", ".join([*shown, name])) > width:
            break
        shown.append(name)
    left = len(names) - len(shown)
    return ", ".join(shown) + (f" and {left} more" if left else "")


# --- which are alike

_ROLES = {"leader": "process that leads", "member": "another process"}
_IN_REGIONS = ("node", "zone", "zones")


def _cells(analysis: Analysis, cells: Mapping[str, Cell], *, in_one_region: bool = False) -> tuple[Summary | None, ...]:
    return tuple(summary_of(cells.get(each.name), in_one_region=in_one_region) for each in analysis.subjects)


def _process_lines(analysis: Analysis) -> Iterator[Line]:
    for role, label in _ROLES.items():
        rows = [row for row in analysis.singles if row.failure.role == role]
        cells = {name: cell for row in rows for name, cell in row.cells.items()}
        if rows:
            yield Line(label, tuple(rows), _cells(analysis, cells, in_one_region=True), _noticed(analysis, rows))


def _noticed(analysis: Analysis, rows: Iterable[Row]) -> tuple[str, ...]:
    return tuple({use.workload: None for row in rows for name in row.cells for use in users_hit(analysis, row, name)})


def _merged(analysis: Analysis, kind: FailureKind, rows: Sequence[Row]) -> Iterator[Line]:
    """Yield one line for all failures of a kind that stop the same parts for as long.

    Zones and nodes are told by their regions, and stop as many parts for as long: each has other shards of a cache.
    """
    groups: dict[tuple[object, ...], list[Row]] = {}
    cells: dict[tuple[object, ...], tuple[Summary | None, ...]] = {}
    for row in rows:
        within = kind in _IN_REGIONS
        home = _homes(analysis, row.failure) if within else ()
        summaries = _cells(analysis, row.cells)
        stopped = (_told(cell) if within else _stopped(cell) for cell in row.cells.values())
        key: tuple[object, ...] = (home, summaries, *stopped)
        groups.setdefault(key, []).append(row)
        cells[key] = summaries
    for key, alike in groups.items():
        yield Line(_label(analysis, kind, alike), tuple(alike), cells[key], _noticed(analysis, alike))


def _stopped(cell: Cell) -> tuple[tuple[str, str], ...]:
    return tuple((each.part, each.human) for each in cell.impact.effects if each.outcome != "holds")


def _told(cell: Cell) -> frozenset[str]:
    return frozenset(each.human for each in cell.impact.effects if each.outcome != "holds")


def _homes(analysis: Analysis, failure: PlatformFailure) -> tuple[str, ...]:
    """Return the regions in which something fails, in file order."""
    hit = failure.lost | failure.nodes
    return tuple(dict.fromkeys(each.region for each in analysis.estate.datacenters if each.name in hit))


# --- what they are called

_NOUNS = {
    "control-plane": "control plane",
    "zones": "two zones",
    "regions": "two regions",
    "links": "two links",
}


def _label(analysis: Analysis, kind: FailureKind, rows: Sequence[Row]) -> str:
    noun = _NOUNS.get(kind, kind)
    return _zones_label(analysis, kind, rows) or (
        f"{noun} {names_text([row.failure.name for row in rows], NAMES_WIDTH_MAX - len(noun))}"
    )


def _zones_label(analysis: Analysis, kind: FailureKind, rows: Sequence[Row]) -> str:
    """Return a name for all zones of a region, or all pairs of them; empty where it is only some."""
    homes = _homes(analysis, rows[0].failure) if kind in _IN_REGIONS else ()
    sizes = [len(region.zones) for code in homes if (region := analysis.estate.region(code)) is not None]
    if len(sizes) == 1 and kind == "zones" and len(rows) == sizes[0] * (sizes[0] - 1) // 2 > 1:
        return f"any two zones of {homes[0]}"
    if len(sizes) == 2 and len(rows) == sizes[0] * sizes[1] > 1:
        return f"a zone of {homes[0]} and one of {homes[1]}"
    if len(sizes) == 1 and kind != "zones" and len(rows) == sizes[0] > 1:
        return f"a {kind} in {homes[0]}" if kind == "node" else f"a zone of {homes[0]}"
    return ""
