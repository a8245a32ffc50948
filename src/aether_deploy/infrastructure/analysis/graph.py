"""Regions, zones, components and links as a picture: one SVG file that loads nothing, and follows light and dark.

Regions stand below each other and links are arcs beside them, so that no two labels ever meet, however many there
are. Colours are those of Okabe and Ito; the name beside each says the same again.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from html import escape
from itertools import combinations
from typing import NamedTuple

from aether_deploy.infrastructure.analysis.analysing import Analysis
from aether_deploy.infrastructure.analysis.failures import Pair
from aether_deploy.infrastructure.estate import Datacenter

MARGIN, GAP = 24, 28
HEAD, ZONE_HEAD, LINE, PAD = 34, 22, 20, 10
LETTER = 7.2
CELL_WIDTH_MIN = 150
ARC_STEP_MIN = 46
CHIPS_MAX = 14
TITLE = 52

_COLOURS = 6
_STYLE = """\
  svg { color-scheme: light dark; --paper: #fff; --ink: #1b1f24; --soft: #59636e; --line: #c8ced5; --box: #f6f8fa;
    --cell: #fff; --k0: #0072b2; --k1: #d55e00; --k2: #009e73; --k3: #cc79a7; --k4: #e69f00; --k5: #56b4e9; }
  @media (prefers-color-scheme: dark) { svg { --paper: #14171a; --ink: #e8ebee; --soft: #9aa4ae; --line: #454d56;
    --box: #1d2227; --cell: #14171a; --k0: #56b4e9; --k1: #ff8a3d; --k2: #2cc295; --k3: #e39fc4; --k4: #e6b84a;
    --k5: #8fd0f5; } }
  text { font: 12px system-ui, sans-serif; fill: var(--soft); } .name { fill: var(--ink); }
  .title { font-size: 17px; font-weight: 600; fill: var(--ink); } .region { font-size: 14px; font-weight: 600; }
  .paper { fill: var(--paper); } .box { fill: var(--box); stroke: var(--line); } .witness { stroke-dasharray: 5 4; }
  .cell { fill: var(--cell); stroke: var(--line); } .link { fill: none; stroke: var(--soft); stroke-width: 1.3; }
  .talks { stroke: var(--k0); stroke-width: 2; } .plate { fill: var(--paper); }
  .k0 { fill: var(--k0); } .k1 { fill: var(--k1); } .k2 { fill: var(--k2); } .k3 { fill: var(--k3); }
  .k4 { fill: var(--k4); } .k5 { fill: var(--k5); }
"""


class Chip(NamedTuple):
    """A component in a zone: its colour's number, its name, and how much of it is there."""

    colour: int
    name: str
    text: str


class Box(NamedTuple):
    """A zone, with what stands in it."""

    title: str
    is_witness: bool
    chips: tuple[Chip, ...]
    left_out: int


class Band(NamedTuple):
    """A region, or the cluster of a witness: what is drawn as one row."""

    title: str
    subtitle: str
    is_witness: bool
    boxes: tuple[Box, ...]

    @property
    def height(self) -> int:
        """Its height, pixels."""
        most = max((len(box.chips) + bool(box.left_out) for box in self.boxes), default=0)
        return HEAD + ZONE_HEAD + max(most, 1) * LINE + 2 * PAD


def graph_svg(analysis: Analysis, title: str) -> str:
    """Return the picture; equal analyses give equal text.

    Args:
        analysis: The analysis.
        title: What stands above it: the system and the environment.
    """
    bands = [*_regions(analysis), *_witness_clusters(analysis)]
    cell = _cell_width(bands)
    columns = max(len(band.boxes) for band in bands)
    right = MARGIN + 2 * PAD + columns * (cell + PAD) - PAD
    tops = _tops(bands)
    bottom = tops[-1] + bands[-1].height
    arcs = _arcs(analysis, bands)
    step = _arc_step(arc.text for arc in arcs)
    reach = max((int((arc.other - arc.one) * step + _wide(arc.text) / 2) for arc in arcs), default=0)
    kinds, lines = _kinds(analysis), {arc.talks for arc in arcs}
    width = max(right + reach, MARGIN + len(title) * 10, MARGIN + _legend_width(kinds, lines)) + MARGIN
    height = bottom + MARGIN + (LINE + MARGIN if kinds else 0)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" aria-label="{escape(title)}">',
        f"<title>{escape(title)}</title>",
        f"<style>\n{_STYLE}</style>",
        f'<rect class="paper" width="{width}" height="{height}"/>',
        f'<text class="title" x="{MARGIN}" y="34">{escape(title)}</text>',
        *_draw_arcs(arcs, bands, tops, right, cell),
        *(part for band, top in zip(bands, tops, strict=True) for part in _band(band, top, right, cell)),
        *_legend(kinds, lines, bottom + MARGIN),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


# --- what is shown


def _kinds(analysis: Analysis) -> list[str]:
    return sorted({each.kind for each in analysis.subjects})


def _regions(analysis: Analysis) -> Iterator[Band]:
    for region in analysis.estate.regions:
        near = [each for each in region.datacenters if not each.witness or each.cluster == region.cluster]
        cluster = "" if region.cluster == region.code else f"cluster {region.cluster}"
        subtitle = ", ".join(word for word in (region.provider, cluster) if word)
        yield Band(region.code, subtitle, False, tuple(_box(analysis, each) for each in near))


def _witness_clusters(analysis: Analysis) -> Iterator[Band]:
    """Yield the witnesses that stand in clusters of their own."""
    own = {region.cluster for region in analysis.estate.regions}
    for region in analysis.estate.regions:
        for each in region.datacenters:
            if each.cluster not in own:
                yield Band(_witness_title(each.name), f"cluster {each.cluster}", True, (_box(analysis, each),))


def _box(analysis: Analysis, datacenter: Datacenter) -> Box:
    colours = {kind: place % _COLOURS for place, kind in enumerate(_kinds(analysis))}
    chips = []
    for subject in analysis.subjects:
        text = subject.analyst.pods.get(datacenter.name)
        if text is not None:
            chips.append(Chip(colours[subject.kind], subject.name, text))
    shown = chips if len(chips) <= CHIPS_MAX else chips[: CHIPS_MAX - 1]
    title = datacenter.name if datacenter.name == datacenter.zone else f"{datacenter.name}, zone {datacenter.zone}"
    return Box(title, datacenter.witness, tuple(shown), len(chips) - len(shown))


def _talking(analysis: Analysis) -> frozenset[Pair]:
    """Return the pairs of regions between which components talk."""
    return frozenset(pair for each in analysis.subjects for pair in each.analyst.footprint.links)


def _link_text(analysis: Analysis, pair: Pair) -> str:
    """Return what is known of a link: ``76 ms, 10 Gbit/s``."""
    trip, band = analysis.estate.round_trips.get(pair), analysis.estate.bandwidths.get(pair)
    words = [] if trip is None else [f"{trip:.0f} ms"]
    if band is not None:
        words.append(f"{band / 1000:g} Gbit/s" if band >= 1000 else f"{band} Mbit/s")
    return ", ".join(words)


# --- where it stands


def _wide(text: str) -> float:
    return len(text) * LETTER


def _cell_width(bands: Sequence[Band]) -> int:
    texts = [_wide(box.title) for band in bands for box in band.boxes]
    texts += [_wide(f"{chip.name}  {chip.text}") + 20 for band in bands for box in band.boxes for chip in box.chips]
    return int(max([CELL_WIDTH_MIN, *texts])) + 2 * PAD


def _tops(bands: Sequence[Band]) -> list[int]:
    tops = [TITLE]
    for band in bands[:-1]:
        tops.append(tops[-1] + band.height + GAP)
    return tops


def _arc_step(texts: Iterable[str]) -> int:
    """Return how far apart arcs of different spans stand, so that a label touches no arc but its own."""
    return max([ARC_STEP_MIN, *(int(_wide(text) / 2) + 24 for text in texts)])


class Arc(NamedTuple):
    """A link between two bands, by their places."""

    one: int
    other: int
    text: str
    talks: bool


def _arcs(analysis: Analysis, bands: Sequence[Band]) -> list[Arc]:
    """Return the links that are drawn: those that are known, and those that components use."""
    talking = _talking(analysis)
    shown = talking | analysis.estate.round_trips.keys()
    places = {band.title: place for place, band in enumerate(bands)}
    pairs = [(one, other, frozenset((one, other))) for one, other in combinations(places, 2)]
    links = [
        Arc(places[one], places[other], _link_text(analysis, pair), pair in talking)
        for one, other, pair in pairs
        if pair in shown
    ]
    return links + [Arc(places[code], places[band], "", True) for code, band in _votes(analysis) if band in places]


def _votes(analysis: Analysis) -> list[tuple[str, str]]:
    """Return every region whose servers vote with a witness, and the band that such a witness has if it is apart."""
    pairs = ((code, name) for each in analysis.subjects for name in each.witnesses for code in each.regions)
    return list(dict.fromkeys((code, _witness_title(name)) for code, name in pairs))


def _witness_title(name: str) -> str:
    return f"witness {name}"


def _draw_arcs(arcs: Sequence[Arc], bands: Sequence[Band], tops: Sequence[int], right: int, cell: int) -> Iterator[str]:
    step = _arc_step(arc.text for arc in arcs)
    for arc in sorted(arcs, key=lambda arc: arc.other - arc.one):  # wide arcs last: no label hides any of them
        start = tops[arc.one] + bands[arc.one].height / 2 + 8
        end = tops[arc.other] + bands[arc.other].height / 2 - 8
        reach = (arc.other - arc.one) * step
        out = right + reach * 4 / 3  # the curve reaches three quarters of its handles
        name = f"{bands[arc.one].title} - {bands[arc.other].title}: {arc.text or 'no round trip is known'}"
        yield (
            f'<path class="{"link talks" if arc.talks else "link"}" '
            f'd="M{right},{start:g}C{out:.1f},{start:g} {out:.1f},{end:g} {right},{end:g}'
            f'{f"H{MARGIN + _band_width(bands[arc.other], right, cell)}" if bands[arc.other].is_witness else ""}">'
            f"<title>{escape(name)}</title></path>"
        )
        if arc.text:
            x, y, wide = right + reach, (start + end) / 2, _wide(arc.text)
            yield f'<rect class="plate" x="{x - wide / 2:.1f}" y="{y - 9:g}" width="{wide:.1f}" height="18"/>'
            yield f'<text class="name" x="{x}" y="{y + 4:g}" text-anchor="middle">{escape(arc.text)}</text>'


# --- how it looks


def _title_width(band: Band) -> int:
    return int(len(band.title) * 8.6) + 12


def _head_width(band: Band) -> int:
    return _title_width(band) + int(_wide(band.subtitle))


def _band_width(band: Band, right: int, cell: int) -> int:
    return max(cell, _head_width(band)) + 2 * PAD if band.is_witness else right - MARGIN


def _band(band: Band, top: int, right: int, cell: int) -> Iterator[str]:
    kind = "box witness" if band.is_witness else "box"
    width = _band_width(band, right, cell)
    yield f'<rect class="{kind}" x="{MARGIN}" y="{top}" width="{width}" height="{band.height}" rx="8"/>'
    yield f'<text class="name region" x="{MARGIN + PAD}" y="{top + 22}">{escape(band.title)}</text>'
    if band.subtitle:
        x = MARGIN + PAD + _title_width(band)
        yield f'<text x="{x}" y="{top + 22}">{escape(band.subtitle)}</text>'
    for place, box in enumerate(band.boxes):
        yield from _zone(box, MARGIN + PAD + place * (cell + PAD), top + HEAD, cell, band.height - HEAD - PAD)


def _zone(box: Box, x: int, top: int, width: int, height: int) -> Iterator[str]:
    kind = "cell witness" if box.is_witness else "cell"
    yield f'<rect class="{kind}" x="{x}" y="{top}" width="{width}" height="{height}" rx="5"/>'
    yield f'<text x="{x + PAD}" y="{top + 17}">{escape(box.title)}</text>'
    y = top + ZONE_HEAD + 14
    for chip in box.chips:
        yield f'<rect class="k{chip.colour}" x="{x + PAD}" y="{y - 10}" width="10" height="10" rx="2"/>'
        yield (
            f'<text x="{x + PAD + 16}" y="{y}"><tspan class="name">{escape(chip.name)}</tspan>'
            f"{f' {escape(chip.text)}' if chip.text else ''}</text>"
        )
        y += LINE
    if box.left_out:
        yield f'<text x="{x + PAD}" y="{y}">and {box.left_out} more</text>'


_LINES = {True: ("link talks", "components talk over it"), False: ("link", "no component talks over it")}


def _legend_width(kinds: Sequence[str], lines: Collection[bool]) -> int:
    texts = [text for talks, (_, text) in _LINES.items() if talks in lines]
    return sum(int(_wide(kind)) + 40 for kind in kinds) + sum(int(_wide(text)) + 52 for text in texts)


def _legend(kinds: Sequence[str], lines: Collection[bool], y: int) -> Iterator[str]:
    """Yield what colours and lines mean, of those that are drawn.

    Args:
        kinds: The kinds of components.
        lines: Of the links that are drawn: whether components talk over them.
        y: Where it begins.
    """
    x = MARGIN
    for place, kind in enumerate(kinds):
        yield f'<rect class="k{place % _COLOURS}" x="{x}" y="{y}" width="10" height="10" rx="2"/>'
        yield f'<text class="name" x="{x + 16}" y="{y + 10}">{escape(kind)}</text>'
        x += int(_wide(kind)) + 40
    for talks, (look, text) in _LINES.items():
        if talks in lines:
            yield f'<path class="{look}" d="M{x},{y + 5}h22"/>'
            yield f'<text class="name" x="{x + 28}" y="{y + 10}">{text}</text>'
            x += int(_wide(text)) + 52
