"""The picture of a what-if: a row for each loss, a column for each region, and in each cell how full it is.

A bar is as long as its region is full: first the players who were there, then those who come. Marks stand at the soft
and the hard limit, and at the capacity. As HTML it is one file that loads nothing; as PNG it is drawn by matplotlib,
which the extra ``[plots]`` brings. Colours are those of Okabe and Ito, and every cell says its number, so that none is
needed to read it. Equal answers give equal pictures.
"""

from collections.abc import Iterator, Sequence
from html import escape
from io import BytesIO
from typing import Any, Literal

import msgspec

from aether_deploy.routing.policy import LoadPolicy
from aether_deploy.simulation.routing.whatif import LatencySpread, Loss, RegionOutcome, WhatIf

ROW, LABELS, TOP, MARGIN = 30, 190, 92, 16
FIGURE, FIGURES, LEGEND_WIDTH = 62, 270, 840
CELLS_WIDTH, LEAST_CELL, MOST_CELL = 840, 84, 160
CELLS = LABELS + FIGURES
"""Where cells begin: figures stand before them, so that a narrow window cuts off no number."""
BAR_TOP, BAR_HEIGHT, GAP = 15, 9, 10

ShapeKind = Literal["free", "stays", "comes", "over", "lost", "limit", "band"]
WordKind = Literal["title", "head", "plain", "soft", "bad"]


class Shape(msgspec.Struct, frozen=True):
    """A filled rectangle."""

    kind: ShapeKind
    x: float
    y: float
    width: float
    height: float
    says: str = ""


class Word(msgspec.Struct, frozen=True):
    """Text on one line; ``end`` aligns it to the right of ``x``."""

    kind: WordKind
    x: float
    y: float
    text: str
    end: bool = False


class Drawing(msgspec.Struct, frozen=True, kw_only=True):
    """A picture as rectangles and words, in points from the upper left corner."""

    title: str
    width: int
    height: int
    shapes: tuple[Shape, ...]
    words: tuple[Word, ...]


def drawing_of(told: WhatIf, title: str, load: LoadPolicy | None) -> Drawing:
    """Return the picture of a what-if.

    Args:
        told: What each loss does.
        title: What stands above.
        load: The rule of load, whose limits are marked; None where there is none.
    """
    return _Drawer(told, load).drawn(title)


class _Drawer:
    """Draws one what-if."""

    def __init__(self, told: WhatIf, load: LoadPolicy | None) -> None:
        self._rows = (told.baseline, *told.losses)
        self._load = load
        codes = [region.code for region in told.baseline.regions]
        self._codes = codes
        self._cell = max(LEAST_CELL, min(MOST_CELL, CELLS_WIDTH // max(1, len(codes))))
        loads = [region.load_after or 0.0 for row in self._rows for region in row.regions]
        self._full = max(1.0, *loads)
        self._most = max(1, *(region.after for row in self._rows for region in row.regions))
        self._shapes: list[Shape] = []
        self._words: list[Word] = []

    def drawn(self, title: str) -> Drawing:
        width = max(LEGEND_WIDTH, CELLS + self._cell * len(self._codes) + MARGIN)
        self._say("title", MARGIN, 26, title)
        self._legend(46)
        for place, code in enumerate(self._codes):
            self._say("head", CELLS + place * self._cell, TOP - 12, code)
        for place, head in enumerate(("move", "p50", "p95 ms", "no place")):
            self._say("head", LABELS + (place + 1) * FIGURE, TOP - 12, head, end=True)
        for place, row in enumerate(self._rows):
            self._row(row, TOP + place * ROW, width, banded=place % 2 == 0)
        return Drawing(
            title=title,
            width=width,
            height=TOP + ROW * len(self._rows) + MARGIN,
            shapes=tuple(self._shapes),
            words=tuple(self._words),
        )

    def _row(self, row: Loss, y: float, width: int, *, banded: bool) -> None:
        if banded:
            self._shapes.append(Shape("band", 0, y, width, ROW))
        self._say("plain", MARGIN, y + 19, row_name(row))
        for place, region in enumerate(row.regions):
            self._draw_cell(region, CELLS + place * self._cell, y)
        figures: Sequence[tuple[WordKind, str]] = (
            ("soft", str(row.moving_players) if row.lost else ""),
            ("soft", _ms(row.after, "p50")),
            ("bad" if any("p95" in each for each in row.beyond) else "soft", _ms(row.after, "p95")),
            ("bad" if row.deficit_players else "soft", str(row.deficit_players)),
        )
        for place, (kind, text) in enumerate(figures):
            self._say(kind, LABELS + (place + 1) * FIGURE, y + 19, text, end=True)

    def _draw_cell(self, region: RegionOutcome, x: float, y: float) -> None:
        span, top = self._cell - GAP, y + BAR_TOP
        if region.lost:
            self._shapes.append(Shape("lost", x, top, span, BAR_HEIGHT, f"{region.code} is lost"))
            self._say("soft", x, y + 12, "lost")
            return
        says = f"{region.code}: {region.before} players before, {region.after} after"
        says += f", of {region.capacity}" if region.capacity is not None else ""
        self._shapes.append(Shape("free", x, top, span * self._share(region, region.capacity), BAR_HEIGHT, says))
        stays, after = min(region.before, region.after), region.after
        capacity = after if region.capacity is None else region.capacity
        for kind, first, last in _parts(stays, after, capacity):
            start, end = span * self._share(region, first), span * self._share(region, last)
            self._shapes.append(Shape(kind, x + start, top, end - start, BAR_HEIGHT, says))
        if self._load is not None and region.load_after is not None:
            for percent in (self._load.soft_percent, self._load.hard_percent):
                self._shapes.append(Shape("limit", x + span * percent / 100 / self._full, top - 2, 1, BAR_HEIGHT + 4))
        said = f"{region.after} players" if region.load_after is None else f"{100 * region.load_after:.0f} %"
        self._say("bad" if region.over_capacity else "plain", x, y + 12, said)

    def _share(self, region: RegionOutcome, players: int | None) -> float:
        """Return how much of a cell ``players`` of a region fill."""
        if not region.capacity:
            return (players or 0) / self._most
        return (players or 0) / region.capacity / self._full

    def _legend(self, y: float) -> None:
        limits = [] if self._load is None else [("limit", "soft and hard limit")]
        kinds = [("stays", "players who were there"), ("comes", "players who come"), ("over", "beyond its capacity")]
        x = float(MARGIN)
        for kind, text in (*kinds, ("free", "room"), ("lost", "lost"), *limits):
            wide = 1 if kind == "limit" else 18
            self._shapes.append(Shape(kind, x, y - 9, wide, BAR_HEIGHT))  # type: ignore[arg-type]
            self._say("soft", x + wide + 6, y, text)
            x += wide + 24 + 7 * len(text)

    def _say(self, kind: WordKind, x: float, y: float, text: str, *, end: bool = False) -> None:
        self._words.append(Word(kind, x, y, text, end))


def _parts(stays: int, after: int, capacity: int) -> Iterator[tuple[ShapeKind, int, int]]:
    """Yield the parts of a bar: who stays, who comes, and who is too much."""
    parts: tuple[tuple[ShapeKind, int, int], ...] = (
        ("stays", 0, min(stays, capacity)),
        ("comes", min(stays, capacity), min(after, capacity)),
        ("over", min(after, capacity), after),
    )
    yield from (part for part in parts if part[2] > part[1])


def row_name(loss: Loss) -> str:
    """Return what a row is about."""
    return " and ".join(loss.lost) if loss.lost else "nothing lost"


def _ms(latency: LatencySpread, name: str) -> str:
    value = getattr(latency, name)
    return "-" if value is None else f"{value:.0f}"


# --- HTML

_STYLE = """\
:root { color-scheme: light dark; --paper: #fff; --ink: #1b1f24; --soft: #59636e; --band: #f4f6f8; --free: #e3e7eb;
  --stays: #56b4e9; --comes: #0072b2; --over: #d55e00; --lost: #8a939c; --bad: #b34700; }
@media (prefers-color-scheme: dark) { :root { --paper: #14171a; --ink: #e8ebee; --soft: #9aa4ae; --band: #1b1f23;
  --free: #333a41; --stays: #2b6f99; --comes: #56b4e9; --over: #ff8a3d; --lost: #6b757f; --bad: #ff8a3d; } }
body { margin: 0 auto; padding: 20px; background: var(--paper); color: var(--ink); }
figure { margin: 0; overflow-x: auto; } svg { display: block; max-width: 100%; min-width: 900px; height: auto; }
text { font: 12px system-ui, sans-serif; fill: var(--ink); font-variant-numeric: tabular-nums; }
.title { font-size: 17px; font-weight: 600; } .head { fill: var(--soft); } .soft { fill: var(--soft); }
.bad { fill: var(--bad); font-weight: 700; } .band { fill: var(--band); } .free { fill: var(--free); }
.stays { fill: var(--stays); } .comes { fill: var(--comes); } .over { fill: var(--over); }
.limit { fill: var(--ink); } .lost { fill: url(#hatch); } #hatch path { stroke: var(--lost); stroke-width: 2; }
"""
_HATCH = (
    '<defs><pattern id="hatch" width="5" height="5" patternUnits="userSpaceOnUse">'
    '<path d="M-1,6L6,-1M-1,1L1,-1M4,6L6,4"/></pattern></defs>\n'
)


def drawn_html(drawing: Drawing) -> str:
    """Return the picture as one HTML file; equal pictures give equal text."""
    parts = [_rect(shape) for shape in drawing.shapes] + [_text(word) for word in drawing.words]
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>{escape(drawing.title)}</title>\n<style>\n{_STYLE}</style>\n</head>\n<body>\n<figure>\n"
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{escape(drawing.title)}" '
        f'width="{drawing.width}" height="{drawing.height}" viewBox="0 0 {drawing.width} {drawing.height}">\n'
        f"{_HATCH}{''.join(parts)}</svg>\n</figure>\n</body>\n</html>\n"
    )


def _rect(shape: Shape) -> str:
    place = f'x="{shape.x:.4g}" y="{shape.y:.5g}" width="{shape.width:.4g}" height="{shape.height:.4g}"'
    said = f"<title>{escape(shape.says)}</title>" if shape.says else ""
    return f'<rect class="{shape.kind}" {place}>{said}</rect>\n'


def _text(word: Word) -> str:
    anchor = ' text-anchor="end"' if word.end else ""
    return f'<text class="{word.kind}" x="{word.x:.5g}" y="{word.y:.5g}"{anchor}>{escape(word.text)}</text>\n'


# --- PNG

_FILLS = {
    "band": "#f4f6f8",
    "free": "#e3e7eb",
    "stays": "#56b4e9",
    "comes": "#0072b2",
    "over": "#d55e00",
    "lost": "#ffffff",
    "limit": "#1b1f24",
}
_INKS = {"title": "#1b1f24", "head": "#59636e", "plain": "#1b1f24", "soft": "#59636e", "bad": "#b34700"}


def drawn_png(drawing: Drawing) -> bytes:
    """Return the picture as a PNG file; equal pictures give equal bytes with one version of matplotlib.

    Raises:
        ImportError: matplotlib is not installed.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    style: dict[Any, Any] = {"font.family": "DejaVu Sans", "hatch.linewidth": 0.6}
    with rc_context(style):
        figure = Figure(figsize=(drawing.width / 100, drawing.height / 100), dpi=150)
        axes: Any = figure.add_axes((0, 0, 1, 1))
        axes.set_xlim(0, drawing.width)
        axes.set_ylim(drawing.height, 0)
        axes.axis("off")
        for shape in drawing.shapes:
            hatch: dict[str, Any] = (
                {"hatch": "//////", "edgecolor": "#8a939c"} if shape.kind == "lost" else {"edgecolor": "none"}
            )
            place = (shape.x, shape.y)
            axes.add_patch(Rectangle(place, shape.width, shape.height, facecolor=_FILLS[shape.kind], lw=0, **hatch))
        for word in drawing.words:
            size, weight = (12, "bold") if word.kind == "title" else (8, "bold" if word.kind == "bad" else "normal")
            align = "right" if word.end else "left"
            axes.text(word.x, word.y, word.text, size=size, weight=weight, color=_INKS[word.kind], ha=align)
        image = BytesIO()
        canvas: Any = FigureCanvasAgg(figure)
        canvas.print_png(image, metadata={"Software": None})
    return image.getvalue()
