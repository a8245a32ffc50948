"""What a picture of a replay shows, reduced to as many columns as it is wide.

However long a replay is, a column keeps the first, least, greatest and last value of its time, so that a line drawn
through them looks as one drawn through all samples: a peak of one sample is never lost. Above two months, where days
would run into each other, a column is a day, and a line goes through the most of each.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice, repeat
from operator import lt, mul
from typing import NamedTuple

import msgspec

from aether_deploy.scaling.config import ScalingConfig
from aether_deploy.simulation.replay import ReplayStep

COLUMNS = 1080
MARK_COLUMNS = 8
DAY_SECS = 86_400
DAILY_FROM_SECS = 60 * DAY_SECS

# How grave a reason is. Those of the rule and of the controller that mean the same weigh, and look, the same:
# nothing to do, not known, a change, held by time, held by a rate, held by a bound, broken.
CALM, OTHER, CHANGE, TIME, RATE, BOUND, BROKEN = range(7)
_WEIGHTS = {
    "in-band": CALM,
    "WithinTolerance": CALM,
    "ScaleUp": CHANGE,
    "ScaleDown": CHANGE,
    "MetricRecommendation": CHANGE,
    "cooldown": TIME,
    "Stabilized": TIME,
    "step": RATE,
    "budget": RATE,
    "PolicyLimited": RATE,
    "at-target": BOUND,
    "occupied": BOUND,
    "ReplicaLimit": BOUND,
    "InvalidMetrics": BROKEN,
    "RecommendationFailed": BROKEN,
    "ScalingDisabled": BROKEN,
}

_SECOND_STEPS = (
    *(1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200),
    *(86_400, 172_800, 604_800, 1_209_600, 2_592_000, 7_776_000),
)
_UNITS = ((86_400, "days"), (3600, "hours"), (60, "minutes"), (1, "seconds"))


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    """A replay as a picture shows it.

    Attributes:
        title: What was replayed.
        figures: What it amounts to, as pairs of a name and a value, ready to print.
        times: Seconds, increasing, one for each step.
        players: Players from each time on.
        needed: Pods that these players need, within the bounds.
        replicas: Pods that there are, those that are starting included.
        running: Pods that run.
        reasons: Why there are so many, as places in ``words``.
        words: The reasons that there are.
        target: Players that a pod serves.
        least: Fewest pods.
        most: Most pods.
    """

    title: str
    figures: tuple[tuple[str, str], ...]
    times: Sequence[int]
    players: Sequence[int]
    needed: Sequence[int]
    replicas: Sequence[int]
    running: Sequence[int]
    reasons: Sequence[int]
    words: tuple[str, ...]
    target: int
    least: int
    most: int

    @property
    def span_secs(self) -> int:
        """Length of the replay, seconds; 1 where it is a single step."""
        return max(self.times[-1] - self.times[0], 1)

    @property
    def is_daily(self) -> bool:
        """Whether a column is a day, or several."""
        return self.span_secs > DAILY_FROM_SECS

    @property
    def column_days(self) -> int:
        """How many days a column is, where it is any."""
        return -(-self.span_secs // (COLUMNS * DAY_SECS))


class Recorder:
    """Keeps of a replay what a picture shows: some 40 bytes of each step."""

    def __init__(self, scaling: ScalingConfig) -> None:
        """Begin without a step."""
        self._scaling = scaling
        self._rows = [array("q") for _ in range(5)]
        self._reasons = array("H")
        self._places: dict[str, int] = {}

    def add(self, step: ReplayStep) -> None:
        """Keep one step."""
        scaling = self._scaling
        needed = min(max(scaling.sizing.needed(step.players), scaling.min_replicas), scaling.max_replicas)
        for row, value in zip(self._rows, (step.secs, step.players, needed, step.wanted, step.running), strict=True):
            row.append(value)
        self._reasons.append(self._places.setdefault(step.reason, len(self._places)))

    def scene(self, title: str, figures: Iterable[tuple[str, str]]) -> Scene:
        """Return the picture of the steps, of which there is one at least."""
        times, players, needed, replicas, running = self._rows
        return Scene(
            title=title,
            figures=tuple(figures),
            times=times,
            players=players,
            needed=needed,
            replicas=replicas,
            running=running,
            reasons=self._reasons,
            words=tuple(self._places),
            target=self._scaling.target_players_per_pod,
            least=self._scaling.min_replicas,
            most=self._scaling.max_replicas,
        )


class Values(NamedTuple):
    """The values of one column."""

    first: int
    least: int
    greatest: int
    last: int

    @property
    def most(self) -> "Values":
        """The greatest one alone."""
        return Values(*(self.greatest,) * 4)


class Column(NamedTuple):
    """The steps that fall into one column of the picture.

    Attributes:
        secs: Time of its first step, seconds since the beginning.
        players: Players.
        needed: Pods that they need.
        replicas: Pods that there are.
        running: Pods that run.
        reason: The gravest of its reasons, as a place in the scene's words.
        over: Some pod has more players than its target.
    """

    secs: int
    players: Values
    needed: Values
    replicas: Values
    running: Values
    reason: int
    over: bool


class Mark(NamedTuple):
    """Changes of the number of pods, in one direction and near each other.

    Attributes:
        secs: Time of the first of them, seconds since the beginning.
        up: Whether they add pods.
        before: The pods that they begin with: the fewest of scale-ups, the most of scale-downs.
        after: The pods that they lead to: the most of scale-ups, the fewest of scale-downs.
        changes: How many changes these are.
        reason: Why the first was made.
    """

    secs: int
    up: bool
    before: int
    after: int
    changes: int
    reason: str

    def joined(self, before: int, after: int) -> "Mark":
        """Return the mark with one more change."""
        least, most = (min, max) if self.up else (max, min)
        return self._replace(before=least(self.before, before), after=most(self.after, after), changes=self.changes + 1)

    @property
    def text(self) -> str:
        """The mark in words."""
        many = f" in {self.changes} steps" if self.changes > 1 else ""
        return f"{duration_text(self.secs)}: {self.before} to {self.after} pods{many}: {self.reason}"


def weight_of(word: str) -> int:
    """Return how grave a reason is, from ``CALM`` to ``BROKEN``."""
    return _WEIGHTS.get(word, OTHER)


def columns_of(scene: Scene) -> list[Column]:
    """Return the scene's columns, in the order of time; times without a step have none."""
    starts = _starts(scene)
    return [_column(scene, start, end) for start, end in zip(starts, [*starts[1:], len(scene.times)], strict=True)]


def _starts(scene: Scene) -> list[int]:
    """Return the place of the first step of each column."""
    begun, span = scene.times[0], scene.span_secs
    if scene.is_daily:
        begins: Iterable[int] = range(0, span + 1, DAY_SECS * scene.column_days)
    else:
        begins = (-(-column * span // COLUMNS) for column in range(COLUMNS + 1))
    places = (bisect_left(scene.times, begun + secs) for secs in begins)
    return [place for place in dict.fromkeys(places) if place < len(scene.times)]


def _column(scene: Scene, start: int, end: int) -> Column:
    part = slice(start, end)
    reason = max(set(scene.reasons[part]), key=lambda place: (weight_of(scene.words[place]), -place))
    return Column(
        secs=scene.times[start] - scene.times[0],
        players=_values(scene.players[part]),
        needed=_values(scene.needed[part]),
        replicas=_values(scene.replicas[part]),
        running=_values(scene.running[part]),
        reason=reason,
        over=any(map(lt, map(mul, scene.running[part], repeat(scene.target)), scene.players[part])),
    )


def _values(row: Sequence[int]) -> Values:
    return Values(row[0], min(row), max(row), row[-1])


def marks_of(scene: Scene) -> list[Mark]:
    """Return the changes of the number of pods; none where a column is a day.

    Changes of one direction that are nearer than a mark is wide are one mark.
    """
    if scene.is_daily:
        return []
    near = scene.span_secs * MARK_COLUMNS // COLUMNS
    marks: list[Mark] = []
    open_marks: dict[bool, int] = {}
    for place, (before, after) in enumerate(zip(scene.replicas, islice(scene.replicas, 1, None), strict=False), 1):
        if before == after:
            continue
        secs, up = scene.times[place] - scene.times[0], after > before
        same = open_marks.get(up)
        if same is not None and secs - marks[same].secs < near:
            marks[same] = marks[same].joined(before, after)
        else:
            open_marks[up] = len(marks)
            marks.append(Mark(secs, up, before, after, 1, scene.words[scene.reasons[place]]))
    return marks


def overs_of(scene: Scene, columns: Sequence[Column]) -> Iterator[tuple[int, int]]:
    """Yield begin and end of each time with more players than capacity, as whole columns."""
    start: int | None = None
    for column in columns:
        if column.over and start is None:
            start = column.secs
        elif not column.over and start is not None:
            yield start, column.secs
            start = None
    if start is not None:
        yield start, scene.span_secs


def reasons_of(scene: Scene, columns: Sequence[Column]) -> Iterator[tuple[int, int, str]]:
    """Yield begin, end and reason of each time whose columns have one reason."""
    starts = [
        column
        for before, column in zip([None, *columns], columns, strict=False)
        if before is None or before.reason != column.reason
    ]
    ends = [*(column.secs for column in starts[1:]), scene.span_secs]
    for column, end in zip(starts, ends, strict=True):
        yield column.secs, end, scene.words[column.reason]


# --- axes


class Ticks(NamedTuple):
    """Where an axis is marked.

    Attributes:
        places: Values at which a mark stands.
        labels: What is written there.
        unit: What the numbers are.
    """

    places: tuple[int, ...]
    labels: tuple[str, ...]
    unit: str


def time_ticks(span_secs: int, most: int = 13) -> Ticks:
    """Return marks for a time axis that begins at 0."""
    years = (factor * 10**power * 365 * DAY_SECS for power in range(9) for factor in (1, 2, 5))
    step = next(step for step in chain(_SECOND_STEPS, years) if span_secs <= step * most)
    size, unit = next((size, unit) for size, unit in _UNITS if step % size == 0)
    places = tuple(range(0, span_secs + 1, step))
    return Ticks(places, tuple(str(place // size) for place in places), f"{unit} since the first sample")


def count_ticks(greatest: int, most: int = 6) -> Ticks:
    """Return marks for an axis from 0 to the last mark, which is ``greatest`` or more."""
    steps = (factor * 10**power for power in range(20) for factor in (1, 2, 5))
    step = next(step for step in steps if step * most >= greatest)
    places = tuple(range(0, -(-max(greatest, 1) // step) * step + 1, step))
    return Ticks(places, tuple(number_text(place) for place in places), "")


def number_text(number: int) -> str:
    """Return a number with narrow spaces between its thousands."""
    return f"{number:,}".replace(",", "\u202f")


def legend_of(scene: Scene) -> list[tuple[str, str]]:
    """Return what is drawn, as pairs of a kind and what it means."""
    over = "days with more players than capacity" if scene.is_daily else "more players than capacity"
    lines = [
        ("players", "players"),
        ("capacity", "capacity: running pods × target"),
        ("over", over),
        ("pods", "pods"),
        ("needed", "pods needed"),
    ]
    return lines if scene.is_daily else [*lines, ("up", "scaled up"), ("down", "scaled down")]


def axis_title(scene: Scene, name: str) -> str:
    """Return what an axis of values says."""
    days = f"{scene.column_days} days" if scene.column_days > 1 else "day"
    return f"{name}, most of each {days}" if scene.is_daily else name


def duration_text(secs: int) -> str:
    """Return a time for people, in two units at most: ``2 d 5 h``, ``45 s``."""
    parts = []
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        amount, secs = divmod(secs, size)
        if amount:
            parts.append(f"{amount} {unit}")
        elif parts:
            break
    return " ".join(parts[:2]) or "0 s"
