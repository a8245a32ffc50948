"""Pictures of replays: nothing of note is lost in them, and the page needs nothing but itself."""

import re
from array import array
from collections.abc import Sequence
from typing import Any
from xml.etree import ElementTree

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aether_deploy.problems import EffectError
from aether_deploy.scaling.config import ScalingConfig
from aether_deploy.simulation.backends import backend_of
from aether_deploy.simulation.generators import DAY, generate_trace
from aether_deploy.simulation.picture import (
    COLUMNS,
    Recorder,
    Scene,
    columns_of,
    count_ticks,
    duration_text,
    marks_of,
    overs_of,
    reasons_of,
    time_ticks,
)
from aether_deploy.simulation.picture_html import render_html
from aether_deploy.simulation.replay import Replay

SCALING = ScalingConfig()
WORDS = ("WithinTolerance", "MetricRecommendation", "Stabilized")


def scene_of(players: Sequence[int], pods: Sequence[int], *, step: int = 15, **said: Any) -> Scene:
    """Return the picture of steps with these players and pods."""
    steps = len(players)
    given: dict[str, Any] = {
        "title": "world-server in us-east-1",
        "figures": (("pod hours", "12.5"),),
        "times": array("q", range(0, steps * step, step)),
        "players": players,
        "needed": [-(-count // 50) for count in players],
        "replicas": pods,
        "running": pods,
        "reasons": [0] * steps,
        "words": WORDS,
        "target": 50,
        "least": 2,
        "most": 20,
    }
    return Scene(**given | said)


def replayed(kind: str, **given: int) -> Scene:
    """Return the picture of a generated trace, as the autoscaler of the defaults scales it."""
    trace = generate_trace(kind, **given)
    replay = Replay(backend_of(SCALING, "hpa", kubernetes="v1.37"), target=50, start_replicas=2, start_secs=60)
    recorder = Recorder(SCALING)
    for step in replay.steps(trace.synced(15)):
        recorder.add(step)
    return recorder.scene("a title", [("a figure", "7")])


@st.composite
def scenes(draw: st.DrawFn) -> Scene:
    """Return any short scene, with times at any distance from each other."""
    times = sorted(draw(st.sets(st.integers(0, 200 * DAY), min_size=1, max_size=40)))
    numbers = st.lists(st.integers(0, 3000), min_size=len(times), max_size=len(times))
    pods = st.lists(st.integers(0, 30), min_size=len(times), max_size=len(times))
    reasons = st.lists(st.integers(0, 2), min_size=len(times), max_size=len(times))
    return scene_of(draw(numbers), draw(pods), times=times, running=draw(pods), reasons=draw(reasons))


# --- columns


@given(scenes())
def test_no_peak_and_no_trough_is_lost(scene: Scene) -> None:
    columns = columns_of(scene)

    assert len(columns) <= COLUMNS + 1
    assert [column.secs for column in columns] == sorted({column.secs for column in columns})
    for name in ("players", "needed", "replicas", "running"):
        values = [getattr(column, name) for column in columns]
        row = getattr(scene, name)
        assert (min(v.least for v in values), max(v.greatest for v in values)) == (min(row), max(row))
        assert (values[0].first, values[-1].last) == (row[0], row[-1])


def test_a_single_sample_in_a_month_is_seen() -> None:
    steps = 30 * DAY // 15
    players = array("q", [40]) * steps
    players[1_234] = 900
    scene = scene_of(players, array("q", [2]) * steps, needed=array("q", [1]) * steps, reasons=bytes(steps))

    over = [column for column in columns_of(scene) if column.over]
    assert [column.players.greatest for column in over] == [900]
    assert len(list(overs_of(scene, columns_of(scene)))) == 1


def test_the_gravest_reason_of_a_column_is_shown() -> None:
    reasons = [0] * 50_000
    reasons[40_000] = 2
    scene = scene_of([40] * 50_000, [2] * 50_000, reasons=reasons)

    spans = list(reasons_of(scene, columns_of(scene)))
    assert [word for _, _, word in spans] == ["WithinTolerance", "Stabilized", "WithinTolerance"]
    assert [end for _, end, _ in spans[:-1]] == [begin for begin, _, _ in spans[1:]]


@given(scenes())
def test_every_change_is_in_exactly_one_mark(scene: Scene) -> None:
    pairs = list(zip(scene.replicas, scene.replicas[1:], strict=False))
    marks = marks_of(scene)

    if scene.is_daily:
        assert marks == []
        return
    assert sum(mark.changes for mark in marks if mark.up) == sum(after > before for before, after in pairs)
    assert sum(mark.changes for mark in marks if not mark.up) == sum(after < before for before, after in pairs)
    assert all((mark.after > mark.before) is mark.up for mark in marks)


def test_changes_near_each_other_are_one_mark() -> None:
    pods = [2] * 1000 + [3, 5, 4, 8] + [8] * 999_000
    scene = scene_of([40] * len(pods), pods, step=1)

    assert [mark.text for mark in marks_of(scene)] == [
        "16 min 40 s: 2 to 8 pods in 3 steps: WithinTolerance",
        "16 min 42 s: 5 to 4 pods: WithinTolerance",
    ]


def test_of_months_a_column_is_a_day() -> None:
    scene = scene_of([40, 260, 10, 30], [2] * 4, step=50 * DAY)

    assert scene.is_daily
    assert [column.secs for column in columns_of(scene)] == [0, 50 * DAY, 100 * DAY, 150 * DAY]


# --- axes

SPANS = {
    60: ("0", "60", "seconds"),
    20 * 60: ("0", "20", "minutes"),
    86_400: ("0", "24", "hours"),
    7 * 86_400: ("0", "7", "days"),
    365 * 86_400: ("0", "360", "days"),
}


@pytest.mark.parametrize("span", SPANS)
def test_time_is_marked_in_units_that_fit(span: int) -> None:
    ticks = time_ticks(span)

    assert (ticks.labels[0], ticks.labels[-1], ticks.unit.split()[0]) == SPANS[span]


@given(st.integers(1, 400 * DAY) | st.integers(1, 10**12))
def test_time_has_few_marks_and_none_beyond_its_end(span: int) -> None:
    ticks = time_ticks(span)

    assert 1 <= len(ticks.places) <= 14
    assert len(set(ticks.labels)) == len(ticks.labels)
    assert ticks.places[-1] <= span


@given(st.integers(0, 10**12))
def test_an_axis_reaches_as_high_as_its_values_in_few_marks(greatest: int) -> None:
    ticks = count_ticks(greatest)

    assert ticks.places[-1] >= max(greatest, 1)
    assert 2 <= len(ticks.places) <= 7


def test_times_are_told_in_two_units() -> None:
    seconds = (0, 45, 60, 3_725, 90_000, 86_400, 86_405)

    assert [duration_text(secs) for secs in seconds] == ["0 s", "45 s", "1 min", "1 h 2 min", "1 d 1 h", "1 d", "1 d"]


# --- the page


def drawing(page: str) -> ElementTree.Element:
    """Return the drawing of a page, which is sound XML."""
    found = re.search(r"<svg.*</svg>", page, re.DOTALL)
    assert found is not None
    return ElementTree.fromstring(found[0])


def test_equal_scenes_give_equal_pages() -> None:
    assert render_html(replayed("launch-day", days=1)) == render_html(replayed("launch-day", days=1))


@settings(deadline=None, max_examples=30)
@given(scenes())
def test_any_scene_is_drawn_inside_of_its_frame(scene: Scene) -> None:
    root = drawing(render_html(scene))
    width, height = (float(each) for each in root.attrib["viewBox"].split()[2:])

    for path in root.iter("path"):
        for command, places in re.findall(r"([MHV])([-0-9.,]+)", path.attrib["d"]):
            numbers = [float(each) for each in places.split(",")]
            limit = {"H": [width], "V": [height], "M": [width, height]}[command]
            assert all(0 <= number <= most for number, most in zip(numbers, limit, strict=True))


def test_a_page_stands_alone() -> None:
    page = render_html(replayed("event-spike", days=2))

    assert re.findall(r"https?:|//[a-z]|src=|href=|@import|url\(|<link", page) == []
    assert "prefers-color-scheme: dark" in page


def test_text_from_outside_is_no_markup() -> None:
    scene = msgspec.structs.replace(
        replayed("launch-day", days=1), title="<script>&", figures=(("<b>", "</dd>"),), words=('</script>"',) * 9
    )
    page = render_html(scene)

    assert page.count("<script>") == 1
    assert page.count("</script>") == 1
    assert "&lt;script&gt;&amp;" in page
    assert "<b>" not in page


def test_what_is_drawn_is_named() -> None:
    texts = ["".join(text.itertext()) for text in drawing(render_html(replayed("event-spike", days=2))).iter("text")]

    for name in (
        "players",
        "pods",
        "hours since the first sample",
        "min",
        "max",
        "scaled up",
        "pods needed",
        "Stabilized",
    ):
        assert name in texts


def test_a_year_is_a_small_page() -> None:
    page = render_html(replayed("day-curve", days=365, step_secs=3600))

    assert len(page.encode()) < 100_000
    assert "players, most of each day" in page


def test_a_week_is_a_page_below_half_a_megabyte() -> None:
    assert len(render_html(replayed("day-curve")).encode()) < 500_000


def test_a_single_step_is_drawn() -> None:
    scene = scene_of([0], [0])

    assert drawing(render_html(scene)) is not None


# --- PNG


def test_a_png_is_drawn_and_equal_scenes_give_equal_bytes() -> None:
    pytest.importorskip(
        "matplotlib", reason="matplotlib is not installed; to bring it: pip install 'aether-deploy[plots]'"
    )
    from aether_deploy.simulation.picture_png import render_png

    scene = replayed("launch-day", days=1)
    image = render_png(scene)

    assert image.startswith(b"\x89PNG\r\n")
    assert render_png(scene) == image
    assert render_png(replayed("day-curve", days=90, step_secs=3600)).startswith(b"\x89PNG\r\n")
    assert render_png(scene_of([0], [0])).startswith(b"\x89PNG\r\n")


def test_without_matplotlib_a_png_is_refused_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    from aether_deploy.cli import pictures

    monkeypatch.setattr(pictures, "find_spec", lambda name: None)
    pictures.check_plot("timeline.html")
    with pytest.raises(EffectError) as caught:
        pictures.check_plot("timeline.png")
    assert str(caught.value) == (
        "timeline.png: a PNG is drawn by matplotlib, which is not installed\n"
        "  fix: pip install 'aether-deploy[plots]', or name a file that ends with .html"
    )
