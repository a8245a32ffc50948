"""The picture of a replay as one HTML file: nothing is loaded from elsewhere, equal scenes give equal bytes.

Colours are those of Okabe and Ito, which people with any kind of colour vision can tell apart; shapes and dashes say
the same again.
"""

from collections.abc import Iterable, Iterator, Sequence
from html import escape

from aether_deploy.simulation.picture import (
    Column,
    Mark,
    Scene,
    Ticks,
    Values,
    axis_title,
    columns_of,
    count_ticks,
    legend_of,
    marks_of,
    overs_of,
    reasons_of,
    time_ticks,
    weight_of,
)

WIDTH, HEIGHT = 1200, 660
LEFT, RIGHT = 76, WIDTH - 44
PLAYERS_TOP, PLAYERS_BOTTOM = 44, 344
PODS_TOP, PODS_BOTTOM = 386, 552
STRIP_TOP, STRIP_BOTTOM = 566, 582
AXIS_LABELS, AXIS_TITLE, REASONS = 602, 624, 650

_STYLE = """\
:root { color-scheme: light dark; --paper: #fff; --ink: #1b1f24; --soft: #59636e; --line: #d8dde3;
  --players: #0072b2; --area: #0072b222; --capacity: #009e73; --over: #d55e0048; --overline: #d55e00;
  --pods: #1b1f24; --needed: #cc79a7; --up: #0072b2; --down: #d55e00;
  --r0: #e3e7eb; --r1: #8a939c; --r2: #56b4e9; --r3: #e69f00; --r4: #cc79a7; --r5: #f0e442; --r6: #d55e00; }
@media (prefers-color-scheme: dark) { :root { --paper: #14171a; --ink: #e8ebee; --soft: #9aa4ae; --line: #333a41;
  --players: #56b4e9; --area: #56b4e922; --capacity: #2cc295; --over: #d55e0066; --overline: #ff8a3d;
  --pods: #e8ebee; --needed: #e39fc4; --up: #56b4e9; --down: #ff8a3d;
  --r0: #2b3137; --r1: #6b757f; --r2: #56b4e9; --r3: #e69f00; --r4: #cc79a7; --r5: #f0e442; --r6: #ff6a1a; } }
body { margin: 0 auto; max-width: 1240px; padding: 20px; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 21px; margin: 0 0 12px; } p { color: var(--soft); margin: 12px 0 0; }
dl { display: flex; flex-wrap: wrap; gap: 8px 32px; margin: 0 0 16px; } dl div { min-width: 90px; }
dt { color: var(--soft); font-size: 13px; } dd { margin: 0; font-size: 18px; font-variant-numeric: tabular-nums; }
figure { margin: 0; overflow-x: auto; } svg { display: block; width: 100%; min-width: 720px; height: auto; }
svg text { font: 13px system-ui, sans-serif; fill: var(--soft); } svg .name { fill: var(--ink); }
.grid { stroke: var(--line); stroke-width: 1; } .bound { stroke: var(--soft); stroke-dasharray: 2 4; }
.players, .capacity, .pods, .needed { fill: none; stroke-width: 1.6; stroke-linejoin: round; }
.players { stroke: var(--players); } .area { fill: var(--area); }
.capacity { stroke: var(--capacity); stroke-width: 2; }
.pods { stroke: var(--pods); stroke-width: 2; }
.needed { stroke: var(--needed); stroke-dasharray: 5 3; }
.over { fill: var(--over); } .up { fill: var(--up); } .down { fill: var(--down); }
.r0 { fill: var(--r0); } .r1 { fill: var(--r1); } .r2 { fill: var(--r2); } .r3 { fill: var(--r3); }
.r4 { fill: var(--r4); } .r5 { fill: var(--r5); } .r6 { fill: var(--r6); }
#hair { stroke: var(--soft); visibility: hidden; } #said { min-height: 1.5em; font-variant-numeric: tabular-nums; }
"""

# Follows the pointer; without it everything else is still there.
_SCRIPT = """\
"use strict";
const svg = document.querySelector("svg"), hair = document.getElementById("hair");
const said = document.getElementById("said"), rest = said.textContent;
function time(s) {
  const parts = [];
  for (const [size, unit] of [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]]) {
    const n = Math.floor(s / size); s -= n * size;
    if (n) parts.push(n + " " + unit); else if (parts.length) break;
  }
  return parts.slice(0, 2).join(" ") || "0 s";
}
function range(low, high) { return low === high ? low : low + " to " + high; }
svg.addEventListener("pointermove", event => {
  const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
  const secs = (at.x - LEFT) / (RIGHT - LEFT) * SPAN;
  let low = 0, high = COLUMNS.length - 1;
  while (low < high) { const mid = (low + high + 1) >> 1; if (COLUMNS[mid][0] <= secs) low = mid; else high = mid - 1; }
  const [start, p0, p1, r0, r1, n0, n1, w0, w1, why] = COLUMNS[low];
  const x = LEFT + start / SPAN * (RIGHT - LEFT);
  hair.setAttribute("x1", x); hair.setAttribute("x2", x); hair.style.visibility = "visible";
  said.textContent = `${time(start)}: ${range(p0, p1)} players, room for ${range(r0 * TARGET, r1 * TARGET)}; ` +
    `${range(n0, n1)} pods, ${range(w0, w1)} needed; ${WORDS[why]}`;
});
svg.addEventListener("pointerleave", () => { hair.style.visibility = "hidden"; said.textContent = rest; });
"""


def render_html(scene: Scene) -> str:
    """Return the picture as one HTML file; equal scenes give equal text."""
    columns = columns_of(scene)
    figures = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>\n" for name, value in scene.figures)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>{escape(scene.title)}</title>\n<style>\n{_STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{escape(scene.title)}</h1>\n<dl>\n{figures}</dl>\n<figure>\n{_svg(scene, columns)}</figure>\n"
        '<p id="said">Point at the picture to read it.</p>\n'
        f"<script>\n{_data(scene, columns)}{_SCRIPT}</script>\n</body>\n</html>\n"
    )


def _data(scene: Scene, columns: Sequence[Column]) -> str:
    from json import dumps

    rows = [(c.secs, *c.players[1:3], *c.running[1:3], *c.replicas[1:3], *c.needed[1:3], c.reason) for c in columns]
    words = dumps(scene.words).replace("</", "<\\/")
    return (
        f"const COLUMNS = {dumps(rows, separators=(',', ':'))};\nconst WORDS = {words};\n"
        f"const LEFT = {LEFT}, RIGHT = {RIGHT}, SPAN = {scene.span_secs}, TARGET = {scene.target};\n"
    )


class _Plane:
    """Places of the picture for times and values."""

    def __init__(self, scene: Scene, ticks: Ticks, top: int, bottom: int) -> None:
        self.ticks = ticks
        self.top, self.bottom = top, bottom
        self._span = scene.span_secs
        self._most = ticks.places[-1]
        self._daily = scene.is_daily

    def place(self, secs: int) -> float:
        return LEFT + secs * (RIGHT - LEFT) / self._span

    def x(self, secs: int) -> str:
        return _short(self.place(secs))

    def y(self, value: int) -> str:
        return _short(self.bottom - value * (self.bottom - self.top) / self._most)

    def line(self, points: Iterable[tuple[int, Values]]) -> str:
        """Return a path through values that hold until the next ones."""
        parts: list[str] = []
        for secs, values in points:
            values = values.most if self._daily else values
            parts.append(f"{'H' if parts else 'M'}{self.x(secs)}{'V' if parts else ','}{self.y(values.first)}")
            if not values.first == values.least == values.greatest == values.last:
                parts += [f"V{self.y(each)}" for each in values[1:]]
        return f"{''.join(parts)}H{RIGHT}"

    def band(self, points: Sequence[tuple[int, Values]]) -> str:
        """Return the path around all values of days; otherwise that around everything below the line."""
        if not self._daily:
            return f"{self.line(points)}V{self.bottom}H{LEFT}z"
        ends = [*(secs for secs, _ in points[1:]), None]
        back = (
            f"H{RIGHT if end is None else self.x(end)}V{self.y(values.least)}"
            for (_, values), end in reversed(list(zip(points, ends, strict=True)))
        )
        return f"{self.line(points)}{''.join(back)}H{LEFT}z"


def _short(place: float) -> str:
    return f"{place:.1f}".removesuffix(".0")


def _svg(scene: Scene, columns: Sequence[Column]) -> str:
    most_players = max(max(c.players.greatest, c.running.greatest * scene.target) for c in columns)
    most_pods = max(max(c.replicas.greatest, c.needed.greatest) for c in columns)
    players = _Plane(scene, count_ticks(most_players), PLAYERS_TOP, PLAYERS_BOTTOM)
    pods = _Plane(scene, count_ticks(most_pods, 5), PODS_TOP, PODS_BOTTOM)
    lines = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(scene.title)}">',
        *_legend(scene),
        *_over(columns, players, scene),
        *_frame(players, axis_title(scene, "players")),
        *_players(scene, columns, players),
        *_frame(pods, axis_title(scene, "pods")),
        *_pods(scene, columns, pods),
        *_strip(scene, columns, players),
        *_time_axis(scene, players),
        f'<line id="hair" y1="{PLAYERS_TOP}" y2="{STRIP_BOTTOM}"/>',
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _legend(scene: Scene) -> Iterator[str]:
    """Yield what the lines mean, above the data."""
    x = LEFT
    for kind, text in legend_of(scene):
        yield _swatch(kind, x, 20)
        yield f'<text class="name" x="{x + 26}" y="24">{text}</text>'
        x += _wide(text)


def _wide(text: str) -> int:
    """Return how wide a swatch with its text is, in letters of a usual font."""
    return 48 + 15 * len(text) // 2


def _swatch(kind: str, x: int, y: int) -> str:
    if kind in ("up", "down"):
        return f'<path class="{kind}" d="{_triangle(x + 10, y, up=kind == "up")}"/>'
    if kind == "over":
        return f'<rect class="over" x="{x}" y="{y - 6}" width="20" height="12"/>'
    return f'<path class="{kind}" d="M{x},{y}h20"/>'


def _triangle(x: float, y: float, *, up: bool) -> str:
    height = -10 if up else 10
    return f"M{_short(x - 5.5)},{_short(y - height / 2)}h11l-5.5,{height}z"


def _frame(plane: _Plane, name: str) -> Iterator[str]:
    """Yield the grid of a plane, and its axis."""
    for place, label in zip(plane.ticks.places, plane.ticks.labels, strict=True):
        y = plane.y(place)
        yield f'<path class="grid" d="M{LEFT},{y}H{RIGHT}"/>'
        yield f'<text x="{LEFT - 8}" y="{y}" dy="4" text-anchor="end">{label}</text>'
    middle = (plane.top + plane.bottom) // 2
    yield f'<text class="name" text-anchor="middle" transform="translate(18,{middle}) rotate(-90)">{name}</text>'


def _over(columns: Sequence[Column], plane: _Plane, scene: Scene) -> Iterator[str]:
    """Yield one area for each time with more players than capacity, wide enough to be seen; a mark above for days."""
    top, bottom = (PLAYERS_TOP - 9, PLAYERS_TOP - 2) if scene.is_daily else (PLAYERS_TOP, PODS_BOTTOM)
    for start, end in overs_of(scene, columns):
        left = plane.place(start)
        right = _short(max(plane.place(end), left + 2))
        yield f'<path class="over" d="M{_short(left)},{top}V{bottom}H{right}V{top}z"/>'


def _players(scene: Scene, columns: Sequence[Column], plane: _Plane) -> Iterator[str]:
    points = [(column.secs, column.players) for column in columns]
    yield f'<path class="area" d="{plane.band(points)}"/>'
    yield f'<path class="players" d="{plane.line(points)}"/>'
    capacity = plane.line((c.secs, Values(*(each * scene.target for each in c.running))) for c in columns)
    yield f'<path class="capacity" d="{capacity}"/>'


def _pods(scene: Scene, columns: Sequence[Column], plane: _Plane) -> Iterator[str]:
    for bound, name in ((scene.least, "min"), (scene.most, "max")):
        if bound <= plane.ticks.places[-1]:
            y = plane.y(bound)
            yield f'<path class="bound" d="M{LEFT},{y}H{RIGHT}"/>'
            yield f'<text x="{RIGHT + 6}" y="{y}" dy="4">{name}</text>'
    yield f'<path class="needed" d="{plane.line((c.secs, c.needed) for c in columns)}"/>'
    yield f'<path class="pods" d="{plane.line((c.secs, c.replicas) for c in columns)}"/>'
    for mark in marks_of(scene):
        yield _mark(mark, plane)


def _mark(mark: Mark, plane: _Plane) -> str:
    kind, sign = ("up", -9) if mark.up else ("down", 9)
    shape = _triangle(plane.place(mark.secs), float(plane.y(mark.after)) + sign, up=mark.up)
    return f'<path class="{kind}" d="{shape}"><title>{escape(mark.text)}</title></path>'


def _strip(scene: Scene, columns: Sequence[Column], plane: _Plane) -> Iterator[str]:
    """Yield the bar that says why, and below it what its colours mean."""
    yield f'<text class="name" x="{LEFT - 8}" y="{STRIP_BOTTOM}" dy="-4" text-anchor="end">why</text>'
    words = set()
    for start, end, word in reasons_of(scene, columns):
        words.add(word)
        yield (
            f'<path class="r{weight_of(word)}" d="M{plane.x(start)},{STRIP_TOP}H{plane.x(end)}'
            f'V{STRIP_BOTTOM}H{plane.x(start)}z"><title>{escape(word)}</title></path>'
        )
    x = LEFT
    for word in sorted(words, key=lambda word: (weight_of(word), word)):
        yield f'<rect class="r{weight_of(word)}" x="{x}" y="{REASONS - 11}" width="20" height="12"/>'
        yield f'<text class="name" x="{x + 26}" y="{REASONS}">{escape(word)}</text>'
        x += _wide(word)


def _time_axis(scene: Scene, plane: _Plane) -> Iterator[str]:
    ticks = time_ticks(scene.span_secs)
    for place, label in zip(ticks.places, ticks.labels, strict=True):
        x = plane.x(place)
        yield f'<path class="grid" d="M{x},{STRIP_BOTTOM}v5"/>'
        yield f'<text x="{x}" y="{AXIS_LABELS}" text-anchor="middle">{label}</text>'
    yield f'<text class="name" x="{(LEFT + RIGHT) // 2}" y="{AXIS_TITLE}" text-anchor="middle">{ticks.unit}</text>'
