"""Every failure against every component that it touches.

Which components a failure touches is looked up, and a failure that a component feels like an earlier one is answered
from memory: the work grows with failures and the components that they touch, not with all there are.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

import msgspec

from aether_deploy.infrastructure.analysis.analysts import Analyst
from aether_deploy.infrastructure.analysis.failures import (
    FailureKind,
    Pair,
    PlatformFailure,
    pair_failures,
    single_failures,
)
from aether_deploy.infrastructure.analysis.impacts import UNTOUCHED, FailureImpact, is_graver
from aether_deploy.infrastructure.estate import Estate, EstateRegion


class Use(NamedTuple):
    """A workload that uses a component.

    Attributes:
        workload: Its name.
        region: Where it runs.
        served_from: The region whose part of the component answers it.
    """

    workload: str
    region: str
    served_from: str


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """A component that is analysed.

    Attributes:
        name: Its name.
        kind: Its kind.
        regions: Codes of the regions where it runs.
        witnesses: Names of the datacenters where it only votes.
        uses: Who uses it, in file order.
        analyst: Who answers for it.
    """

    name: str
    kind: str
    regions: tuple[str, ...]
    witnesses: tuple[str, ...] = ()
    uses: tuple[Use, ...] = ()
    analyst: Analyst


class Cell(NamedTuple):
    """What a failure does to a component, and to those who use it.

    Attributes:
        impact: What it does to the component.
        cut_off: Those who use it and no longer reach it, though it goes on.
    """

    impact: FailureImpact
    cut_off: tuple[Use, ...] = ()


class Row(NamedTuple):
    """A failure, and what it does to each component that it touches, by name in the order of the file."""

    failure: PlatformFailure
    cells: Mapping[str, Cell]


class Analysis(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """What every failure does.

    Attributes:
        estate: Regions and datacenters.
        subjects: The components, in the order of the file.
        singles: Every single failure that touches something.
        pairs: Every pair that touches something; empty where pairs were not asked for.
        untouching: How many failures touch nothing.
    """

    estate: Estate
    subjects: tuple[Subject, ...]
    singles: tuple[Row, ...]
    pairs: tuple[Row, ...] = ()
    untouching: int = 0

    @property
    def rows(self) -> tuple[Row, ...]:
        """All rows, single failures first."""
        return self.singles + self.pairs

    def only(self, names: Iterable[str]) -> "Analysis":
        """Return the rows that touch one of the components ``names``, and what they do to these."""
        kept = frozenset(names)
        return Analysis(
            estate=self.estate,
            subjects=tuple(each for each in self.subjects if each.name in kept),
            singles=tuple(_only(self.singles, kept)),
            pairs=tuple(_only(self.graver_pairs, kept)),
            untouching=self.untouching,
        )

    @cached_property
    def graver_pairs(self) -> tuple[Row, ...]:
        """The pairs that do more to some component than each of their halves."""
        alone = {(row.failure.kind, row.failure.name): row.cells for row in self.singles}
        return tuple(row for row in self.pairs if any(_graver(row, alone)))

    @cached_property
    def by_name(self) -> dict[str, Subject]:
        """The components by their names."""
        return {each.name: each for each in self.subjects}


def _only(rows: Iterable[Row], names: frozenset[str]) -> Iterator[Row]:
    for failure, cells in rows:
        kept = {name: cell for name, cell in cells.items() if name in names}
        if kept:
            yield Row(failure, kept)


def _graver(row: Row, alone: Mapping[tuple[FailureKind, str], Mapping[str, Cell]]) -> Iterator[bool]:
    """Yield for each component whether a pair does more to it than each of its halves ``alone``."""
    halves = [alone.get((row.failure.single_kind, name), {}) for name in row.failure.halves]
    for name, cell in row.cells.items():
        known = [half[name].impact for half in halves if name in half]
        if not any(cell.impact is each for each in known):
            yield is_graver(cell.impact, known or (UNTOUCHED,))


def analyse(estate: Estate, subjects: Sequence[Subject], *, pairs: bool = False) -> Analysis:
    """Return what every failure does to every component.

    Args:
        estate: Regions and datacenters.
        subjects: The components.
        pairs: Look at pairs of zones, of regions and of links too.

    Returns:
        Rows in the order of :func:`single_failures` and :func:`pair_failures`; equal input gives an equal analysis.
    """
    desk = _Desk(subjects)
    alone = [desk.row(failure) for failure in single_failures(estate, [each.name for each in subjects])]
    twice = [desk.row(failure) for failure in pair_failures(estate)] if pairs else []
    touching = [row for row in alone if row.cells]
    touching_pairs = [row for row in twice if row.cells]
    return Analysis(
        estate=estate,
        subjects=tuple(subjects),
        singles=tuple(touching),
        pairs=tuple(touching_pairs),
        untouching=len(alone) + len(twice) - len(touching) - len(touching_pairs),
    )


class _Desk:
    """Knows who is touched by what, and remembers answers."""

    def __init__(self, subjects: Sequence[Subject]) -> None:
        self._places = {each.name: place for place, each in enumerate(subjects)}
        self._subjects = subjects
        self._footprints = [each.analyst.footprint for each in subjects]
        self._by_datacenter: dict[str, list[int]] = defaultdict(list)
        self._by_link: dict[Pair, list[int]] = defaultdict(list)
        self._by_control_plane: dict[str, list[int]] = defaultdict(list)
        self._users: list[dict[Pair, list[Use]]] = [_by_pair(each.uses) for each in subjects]
        for place, footprint in enumerate(self._footprints):
            for name in footprint.datacenters:
                self._by_datacenter[name].append(place)
            for pair in footprint.links | self._users[place].keys():
                self._by_link[pair].append(place)
            for cluster in footprint.control_planes:
                self._by_control_plane[cluster].append(place)
        self._answers: list[dict[PlatformFailure, FailureImpact]] = [{} for _ in subjects]

    def row(self, failure: PlatformFailure) -> Row:
        cells = {}
        for place in self._touched(failure):
            cell = self._cell(place, failure)
            if cell.impact.effects or cell.cut_off:
                cells[self._subjects[place].name] = cell
        return Row(failure, cells)

    def _touched(self, failure: PlatformFailure) -> list[int]:
        if failure.role is not None:
            return [self._places[failure.name]]
        found: set[int] = set()
        for name in failure.lost | failure.nodes:
            found.update(self._by_datacenter.get(name, ()))
        for pair in failure.cut:
            found.update(self._by_link.get(pair, ()))
        for cluster in failure.control_planes:
            found.update(self._by_control_plane.get(cluster, ()))
        return sorted(found)

    def _cell(self, place: int, failure: PlatformFailure) -> Cell:
        felt = failure.within(self._footprints[place])
        known = self._answers[place].get(felt)
        if known is None:
            asked = felt.role or felt.lost or felt.nodes or felt.cut or felt.control_planes
            known = self._subjects[place].analyst.impact(felt) if asked else UNTOUCHED
            self._answers[place][felt] = known
        users = self._users[place]
        cut_off = tuple(use for pair in failure.cut for use in users.get(pair, ())) if users and failure.cut else ()
        return Cell(known, cut_off if len(failure.cut) < 2 else tuple(sorted(cut_off)))


def _by_pair(uses: Iterable[Use]) -> dict[Pair, list[Use]]:
    found: dict[Pair, list[Use]] = defaultdict(list)
    for use in uses:
        if use.region != use.served_from:
            found[frozenset((use.region, use.served_from))].append(use)
    return dict(found)


def users_hit(analysis: Analysis, row: Row, name: str) -> list[Use]:
    """Return the workloads that notice what ``row`` does to the component ``name``, but for those that are gone too."""
    subject, cell = analysis.by_name[name], row.cells[name]
    if not subject.uses:
        return []
    felt = {effect.region for effect in cell.impact.effects if effect.is_felt}
    if not felt and not cell.cut_off:
        return []
    gone = {region.code for region in analysis.estate.regions if _is_gone(region, row.failure)}
    return [
        use
        for use in subject.uses
        if use.region not in gone and (None in felt or use.served_from in felt or use in cell.cut_off)
    ]


def _is_gone(region: EstateRegion, failure: PlatformFailure) -> bool:
    return bool(failure.lost) and all(each.name in failure.lost for each in region.full)
