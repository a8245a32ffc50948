"""The picture of a replay as PNG, by matplotlib, which the extra ``[plots]`` brings."""

from collections.abc import Iterable, Sequence
from io import BytesIO
from typing import Any

from aether_deploy.simulation.picture import (
    BOUND,
    BROKEN,
    CALM,
    CHANGE,
    OTHER,
    RATE,
    TIME,
    Column,
    Scene,
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

# As in the page: the colours of Okabe and Ito.
_INK, _SOFT, _LINE = "#1b1f24", "#59636e", "#d8dde3"
_PLAYERS, _CAPACITY, _OVER, _NEEDED = "#0072b2", "#009e73", "#d55e00", "#cc79a7"
_UP, _DOWN = "#0072b2", "#d55e00"
_REASONS = {
    CALM: "#e3e7eb",
    CHANGE: "#56b4e9",
    TIME: "#e69f00",
    RATE: "#cc79a7",
    BOUND: "#f0e442",
    BROKEN: "#d55e00",
    OTHER: "#8a939c",
}
_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _LINE,
    "xtick.color": _SOFT,
    "ytick.color": _SOFT,
    "legend.frameon": False,
}


def render_png(scene: Scene) -> bytes:
    """Return the picture as a PNG file; equal scenes give equal bytes with one version of matplotlib.

    Raises:
        ImportError: matplotlib is not installed.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = columns_of(scene)
    with rc_context(_STYLE):
        figure = Figure(figsize=(12, 7), dpi=120)
        players, pods, why = figure.subplots(3, 1, sharex=True, height_ratios=[30, 17, 1.6])
        _draw_players(players, scene, columns)
        _draw_pods(pods, scene, columns)
        _draw_reasons(why, scene, columns)
        _draw_overs((players,) if scene.is_daily else (players, pods), scene, columns)
        _label(figure, (players, pods, why), scene)
        image = BytesIO()
        canvas: Any = FigureCanvasAgg(figure)
        canvas.print_png(image, metadata={"Software": None})
    return image.getvalue()


def _line(scene: Scene, points: Iterable[tuple[int, Values]]) -> tuple[list[int], list[int]]:
    """Return places of a line through values that hold until the next ones."""
    xs: list[int] = []
    ys: list[int] = []
    for secs, values in points:
        if ys:
            xs.append(secs)
            ys.append(ys[-1])
        xs += [secs] * 4
        ys += values.most if scene.is_daily else values
    return [*xs, scene.span_secs], [*ys, ys[-1]]


def _draw_overs(planes: Sequence[Any], scene: Scene, columns: Sequence[Column]) -> None:
    """Draw each time with more players than capacity, wide enough to be seen; a mark above for days."""
    low, high = (1.005, 1.03) if scene.is_daily else (0, 1)
    for start, end in overs_of(scene, columns):
        for axes in planes:
            right = max(end, start + scene.span_secs / 600)
            axes.axvspan(start, right, low, high, color=_OVER, alpha=0.25, lw=0, clip_on=False)


def _draw_players(axes: Any, scene: Scene, columns: Sequence[Column]) -> None:
    players = [(column.secs, column.players) for column in columns]
    xs, ys = _line(scene, players)
    lows: list[int] | int = 0
    if scene.is_daily:
        _, lows = _line(scene, [(secs, Values(*(values.least,) * 4)) for secs, values in players])
    axes.fill_between(xs, lows, ys, color=_PLAYERS, alpha=0.13, lw=0)
    axes.plot(xs, ys, color=_PLAYERS, lw=1.2, label="players")
    capacity = ((c.secs, Values(*(each * scene.target for each in c.running))) for c in columns)
    axes.plot(*_line(scene, capacity), color=_CAPACITY, lw=1.5, label="capacity")
    axes.fill_between([], [], color=_OVER, alpha=0.25, lw=0, label="over")
    _scale(axes, max(max(c.players.greatest, c.running.greatest * scene.target) for c in columns), 6)
    axes.set_ylabel(axis_title(scene, "players"))


def _draw_pods(axes: Any, scene: Scene, columns: Sequence[Column]) -> None:
    _scale(axes, max(max(c.replicas.greatest, c.needed.greatest) for c in columns), 5)
    for bound, name in ((scene.least, "min"), (scene.most, "max")):
        if bound <= axes.get_ylim()[1]:
            axes.axhline(bound, color=_SOFT, lw=0.9, ls=(0, (1, 3)))
            axes.text(1.006, bound, name, transform=axes.get_yaxis_transform(), va="center", color=_SOFT)
    replicas = _line(scene, ((column.secs, column.replicas) for column in columns))
    needed = _line(scene, ((column.secs, column.needed) for column in columns))
    axes.plot(*replicas, color=_INK, lw=1.5, label="pods", zorder=3, clip_on=False)
    axes.plot(*needed, color=_NEEDED, lw=1.2, ls=(0, (4, 2)), label="needed", zorder=2)
    lift = axes.get_ylim()[1] * 0.06
    for up, colour, shape in ((True, _UP, "^"), (False, _DOWN, "v")):
        marks = [mark for mark in marks_of(scene) if mark.up is up]
        xs, ys = [mark.secs for mark in marks], [mark.after + (lift if up else -lift) for mark in marks]
        label = "up" if up else "down"
        axes.plot(xs, ys, shape, color=colour, ms=6, mew=0, label=label, zorder=4, clip_on=False)
    axes.set_ylabel(axis_title(scene, "pods"))


def _scale(axes: Any, greatest: int, most: int) -> None:
    ticks = count_ticks(greatest, most)
    axes.set_ylim(0, ticks.places[-1])
    axes.set_yticks(ticks.places, ticks.labels)
    axes.grid(axis="y", color=_LINE, lw=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)


def _draw_reasons(axes: Any, scene: Scene, columns: Sequence[Column]) -> None:
    words = set()
    for start, end, word in reasons_of(scene, columns):
        words.add(word)
        axes.axvspan(start, end, color=_REASONS[weight_of(word)], lw=0)
    for word in sorted(words, key=lambda word: (weight_of(word), word)):
        axes.fill_between([], [], color=_REASONS[weight_of(word)], lw=0, label=word)
    axes.set_yticks([0.5], ["why"])
    axes.set_ylim(0, 1)
    axes.tick_params(axis="y", length=0, labelcolor=_INK)
    axes.spines[:].set_visible(False)


def _label(figure: Any, planes: Sequence[Any], scene: Scene) -> None:
    """Write what stands around the data: title, figures, legends, and the time axis."""
    players, pods, why = planes
    figure.subplots_adjust(left=0.07, right=0.955, top=0.84, bottom=0.135, hspace=0.12)
    figure.text(0.02, 0.965, scene.title, size=13, weight="bold", va="top")
    figures = "     ".join(f"{name}: {value}" for name, value in scene.figures)
    figure.text(0.02, 0.918, figures, color=_SOFT, va="top")
    drawn = {}
    for axes in (players, pods):
        drawn.update({label: handle for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)})
    legend = legend_of(scene)
    figure.legend(
        [drawn[kind] for kind, _ in legend],
        [text for _, text in legend],
        loc="upper left",
        bbox_to_anchor=(0.062, 0.895),
        ncols=7,
        columnspacing=1.2,
        handletextpad=0.6,
    )
    ticks = time_ticks(scene.span_secs)
    why.set_xlim(0, scene.span_secs)
    why.set_xticks(ticks.places, ticks.labels)
    why.set_xlabel(ticks.unit)
    figure.legend(
        *why.get_legend_handles_labels(),
        loc="lower left",
        bbox_to_anchor=(0.062, 0.01),
        ncols=8,
        columnspacing=1.2,
        handletextpad=0.6,
    )
