"""The platform of a lab as a picture: regions, zones, processes and links, with what failed marked.

Regions stand below each other and links are arcs beside them, as ``analyze --graph`` draws them.
"""

from collections.abc import Collection, Iterator, Sequence
from html import escape
from itertools import combinations
from typing import NamedTuple

from aether_deploy.infrastructure.analysis.graph import GAP, HEAD, LETTER, LINE, PAD, ZONE_HEAD
from aether_deploy.lab.system.faults import parse_fault
from aether_deploy.lab.system.record import LabProcess, LabRecord, ProcessState

COLOURS = 6
DOT = 14
_TOP = 8
_CELL_MIN = 120
_BOW = 74
_MARKS: dict[ProcessState, str] = {"running": "runs", "frozen": "hangs", "ended": "ended"}


class State(NamedTuple):
    """How a lab is at a moment: processes that ended and that hang, by address, and links that are cut."""

    ended: frozenset[str] = frozenset()
    frozen: frozenset[str] = frozenset()
    cut: frozenset[frozenset[str]] = frozenset()


def state_now(record: LabRecord) -> State:
    """Return how the lab is: its processes as they were found, those too that ended by themselves."""
    states = {each.address: each.state for member in record.members for each in member.processes}
    return State(
        ended=frozenset(address for address, state in states.items() if state == "ended"),
        frozen=frozenset(address for address, state in states.items() if state == "frozen"),
        cut=frozenset(map(frozenset, record.cut)),
    )


def state_after(record: LabRecord, faults: int) -> State:
    """Return what so many of its faults made of the lab."""
    ended: set[str] = set()
    frozen: set[str] = set()
    cut: set[frozenset[str]] = set()
    for each in record.faults[:faults]:
        hit = set(each.hit)
        cut = cut.union(map(frozenset, each.cut)).difference(map(frozenset, each.joined))
        match parse_fault(each.fault).kind:
            case "mend":
                ended, frozen = ended - hit, frozen - hit
            case "freeze":
                frozen |= hit - ended
            case _:
                ended, frozen = ended | hit, frozen - hit
    return State(frozenset(ended), frozenset(frozen), frozenset(cut))


class _Row(NamedTuple):
    """One member in a zone: the number of its kind, its name, and how each of its processes is."""

    kind: int
    name: str
    states: tuple[ProcessState, ...]

    @property
    def width(self) -> float:
        return 16 + len(self.name) * LETTER + 8 + DOT * len(self.states)


class _Zone(NamedTuple):
    title: str
    rows: tuple[_Row, ...]

    @property
    def is_gone(self) -> bool:
        states = [state for row in self.rows for state in row.states]
        return bool(states) and all(state == "ended" for state in states)


class _Band(NamedTuple):
    title: str
    zones: tuple[_Zone, ...]

    @property
    def height(self) -> int:
        return HEAD + ZONE_HEAD + max([1, *(len(zone.rows) for zone in self.zones)]) * LINE + 2 * PAD


def kinds_of(record: LabRecord) -> list[str]:
    """Return the kinds of members, in the order of their colours."""
    return sorted({each.kind for each in record.members})


def graph_svg(record: LabRecord, state: State, label: str) -> str:
    """Return the picture. Equal input gives equal text.

    Args:
        record: What there is.
        state: How it is.
        label: What it shows, for those who do not see it.
    """
    bands = [_band(record, code, zones, state) for code, zones in record.regions.items()]
    cell = int(max([_CELL_MIN, *(_zone_width(zone) for band in bands for zone in band.zones)])) + 2 * PAD
    columns = max((len(band.zones) for band in bands), default=1)
    right = 2 + 2 * PAD + columns * (cell + PAD) - PAD
    tops = _tops(bands)
    arcs = list(_arcs(record, bands, tops, right, state))
    width = right + (_BOW * (len(bands) - 1) + 60 if len(bands) > 1 else 0) + 4
    height = tops[-1] + bands[-1].height + 4 if bands else 4
    parts = [
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        f'aria-label="{escape(label)}">',
        *arcs,
        *(text for band, top in zip(bands, tops, strict=True) for text in _drawn(band, top, right, cell)),
        "</svg>",
    ]
    return "\n".join(parts)


def _band(record: LabRecord, code: str, zones: Sequence[str], state: State) -> _Band:
    kinds = kinds_of(record)
    found = []
    for name in zones:
        rows = []
        for member in record.members:
            here = [each for each in member.processes if each.datacenter == name and each.region == code]
            if here:
                states = tuple(_state(each, state) for each in here)
                rows.append(_Row(kinds.index(member.kind), member.name, states))
        found.append(_Zone(name, tuple(rows)))
    return _Band(code, tuple(found))


def _state(process: LabProcess, state: State) -> ProcessState:
    if process.address in state.ended:
        return "ended"
    return "frozen" if process.address in state.frozen else "running"


def _zone_width(zone: _Zone) -> float:
    title = len(zone.title) * LETTER + (50 if zone.is_gone else 0)
    return max([title, *(row.width for row in zone.rows)])


def _tops(bands: Sequence[_Band]) -> list[int]:
    tops = [_TOP]
    for band in bands:
        tops.append(tops[-1] + band.height + GAP)
    return tops[: len(bands)]


def _arcs(record: LabRecord, bands: Sequence[_Band], tops: Sequence[int], right: int, state: State) -> Iterator[str]:
    """Yield the links, those between neighbours first, so that no line crosses the text of another."""
    places = list(enumerate(bands))
    for (one, a), (other, b) in sorted(combinations(places, 2), key=lambda pair: pair[1][0] - pair[0][0]):
        is_cut = frozenset((a.title, b.title)) in state.cut
        trip = record.links.get(f"{a.title},{b.title}")
        text = " ".join(word for word in ("" if trip is None else f"{trip:.0f} ms", "cut" if is_cut else "") if word)
        start, end = tops[one] + a.height / 2 + 8, tops[other] + b.height / 2 - 8
        reach = (other - one) * _BOW
        out = right + reach * 4 / 3
        yield (
            f'<path class="link{" cut" if is_cut else ""}" '
            f'd="M{right},{start:g}C{out:.1f},{start:g} {out:.1f},{end:g} {right},{end:g}"/>'
        )
        if text:
            x, y, wide = right + reach, (start + end) / 2, len(text) * LETTER
            yield f'<rect class="plate" x="{x - wide / 2:.1f}" y="{y - 9:g}" width="{wide:.1f}" height="18"/>'
            look = "gone-text" if is_cut else "name"
            yield f'<text class="{look}" x="{x}" y="{y + 4:g}" text-anchor="middle">{escape(text)}</text>'


def _drawn(band: _Band, top: int, right: int, cell: int) -> Iterator[str]:
    yield f'<rect class="band" x="2" y="{top}" width="{right - 2}" height="{band.height}" rx="8"/>'
    yield f'<text class="region" x="{2 + PAD}" y="{top + 22}">{escape(band.title)}</text>'
    for place, zone in enumerate(band.zones):
        yield from _zone(zone, 2 + PAD + place * (cell + PAD), top + HEAD, cell, band.height - HEAD - PAD)


def _zone(zone: _Zone, x: int, top: int, width: int, height: int) -> Iterator[str]:
    gone = " gone" if zone.is_gone else ""
    yield f'<rect class="zone{gone}" x="{x}" y="{top}" width="{width}" height="{height}" rx="5"/>'
    yield f'<text x="{x + PAD}" y="{top + 17}">{escape(zone.title)}</text>'
    if gone:
        yield f'<text class="gone-text" x="{x + width - PAD}" y="{top + 17}" text-anchor="end">gone</text>'
    y = top + ZONE_HEAD + 14
    for row in zone.rows:
        yield _swatch(row.kind, x + PAD, y - 10)
        yield f'<text class="name" x="{x + PAD + 16}" y="{y}">{escape(row.name)}</text>'
        start = x + width - PAD - DOT * len(row.states)
        for place, state in enumerate(row.states):
            yield mark(state, start + place * DOT + DOT / 2, y - 5)
        y += LINE


def _swatch(kind: int, x: int, y: int) -> str:
    """Return the sign of a kind: a full square of its colour, and hollow ones once the colours are used up."""
    if kind < COLOURS:
        return f'<rect class="k{kind}" x="{x}" y="{y}" width="10" height="10" rx="2"/>'
    look = f"k{kind % COLOURS} hollow"
    return f'<rect class="{look}" x="{x + 1.5}" y="{y + 1.5}" width="7" height="7" rx="1"/>'


def mark(state: ProcessState, x: float, y: float) -> str:
    """Return the sign of a process: a disc runs, a ring hangs, a cross ended."""
    if state == "ended":
        path = f"M{x - 4:g},{y - 4:g}l8,8m0,-8l-8,8"
        return f'<path class="ended" d="{path}"><title>{_MARKS[state]}</title></path>'
    radius = 4.5 if state == "running" else 4
    look = "runs" if state == "running" else "frozen"
    return f'<circle class="{look}" cx="{x:g}" cy="{y:g}" r="{radius:g}"><title>{_MARKS[state]}</title></circle>'


def legend_html(record: LabRecord, states: Collection[ProcessState]) -> str:
    """Return what colours and signs mean, of those that are drawn."""
    items = [
        f'<li><svg viewBox="0 0 22 12">{_swatch(place, 6, 1)}</svg>{escape(kind)}</li>'
        for place, kind in enumerate(kinds_of(record))
    ]
    order: tuple[ProcessState, ...] = ("running", "frozen", "ended")
    items += [
        f'<li><svg viewBox="0 0 22 12">{mark(each, 11, 6)}</svg>process {_MARKS[each]}</li>'
        for each in order
        if each in states
    ]
    return f'<ul class="key">{"".join(items)}</ul>'


def states_in(record: LabRecord, state: State) -> set[ProcessState]:
    """Return how processes are at a moment."""
    return {_state(each, state) for member in record.members for each in member.processes}
