"""The page of a lab: everything in one file that loads nothing, readable in light and dark, wide and narrow."""

import json
import re
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec
import pytest

from aether_deploy.lab.system.page import page_of
from aether_deploy.lab.system.page_graph import State, state_after, state_now
from aether_deploy.lab.system.record import FaultRecord, LabRecord
from tests.lab_system_scenes import lab_record, process
from tests.real import miss, need

VOID = {"meta", "br", "rect", "circle", "path", "line"}


class _Tags(HTMLParser):
    """Checks that every tag that is opened is closed in turn."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.ids += [named["id"] or ""] if "id" in named else []
        self.links += [named["href"] or ""] if "href" in named else []
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


def test_the_page_loads_nothing_and_runs_nothing() -> None:
    page = page_of(lab_record())

    assert re.findall(r"(?:src|url)\s*[=(]|href=(?!\"#)", page) == []
    assert "<script" not in page
    assert re.findall(r"\son[a-z]+\s*=", page) == []
    assert "@import" not in page


def test_equal_records_give_equal_bytes_also_after_a_file() -> None:
    record = lab_record()
    again = msgspec.json.decode(msgspec.json.encode(record), type=LabRecord)

    assert page_of(again) == page_of(record)


def test_tags_are_closed_and_links_lead_to_places_on_the_page() -> None:
    tags = _Tags()
    tags.feed(page_of(lab_record()))
    tags.close()

    assert tags.open == []
    assert len(set(tags.ids)) == len(tags.ids)
    assert tags.links
    assert {link.removeprefix("#") for link in tags.links} <= set(tags.ids)


def test_mends_are_no_faults() -> None:
    assert "<dt>faults</dt><dd>2</dd></div><div><dt>mends</dt><dd>1</dd>" in page_of(lab_record())


def test_a_picture_that_does_not_fit_says_that_it_scrolls() -> None:
    page = page_of(lab_record())
    wide = int(next(iter(re.findall(r'<svg viewBox="[^"]*" width="(\d+)"', page))))
    shown = re.search(r"@media \(max-width: (\d+)px\) { \.hint { display: block; } }", page)

    assert page.count('<p class="hint">') == page.count("<figure>")
    assert shown is not None
    assert wide < int(shown[1]) < wide + 100


def test_what_people_wrote_is_text_and_no_markup() -> None:
    page = page_of(lab_record())

    assert "&lt;too soon&gt;" in page
    assert "&lt;nothing&gt; stands for it" in page
    assert "<too soon>" not in page


def test_every_prediction_and_its_rule_is_on_the_page() -> None:
    page = page_of(lab_record())

    for words in (
        "stop for 5 to 10 s",
        "stopped for 7.4 s",
        "a replica takes over after 1 to 2 node timeouts (measured)",
        "may be lost: sessions of the last moments",
        "somebody must: wait for us",
        "no client asks this part",
        "zone us-a",
        "1 further part went on as predicted",
    ):
        assert words in page, words


def test_what_failed_is_marked_after_each_fault_and_gone_once_it_is_mended() -> None:
    record = lab_record()
    lost, mended, cut = (state_after(record, place) for place in (1, 2, 3))

    assert lost.ended == frozenset(record.faults[0].hit)
    assert mended == state_after(record, 0)
    assert cut.cut == {frozenset(("us", "eu"))}


def test_a_link_is_whole_once_any_word_for_it_has_mended_it() -> None:
    cut, back = (("eu", "us"),), "mend=cut=us,eu"
    faults = (
        FaultRecord(fault="cut=us,eu", failure="", at=0.0, until=1.0, cut=cut),
        FaultRecord(fault=back, failure="", at=2.0, until=3.0, joined=cut),
    )
    record = msgspec.structs.replace(lab_record(), faults=faults, cut=())

    assert [len(state_after(record, place).cut) for place in (1, 2)] == [1, 0]
    assert state_now(record) == State()
    assert "cut" not in re.sub(r"<style>.*</style>", "", page_of(record), flags=re.S).split("<h2>")[1]


def test_the_platform_now_shows_what_ended_by_itself_and_what_is_cut() -> None:
    whole = lab_record()
    sessions, assets = whole.members
    gone = msgspec.structs.replace(sessions.processes[0], state="ended", pid=None)
    hung = msgspec.structs.replace(sessions.processes[1], state="frozen")
    found = msgspec.structs.replace(sessions, processes=(gone, hung, *sessions.processes[2:]))

    record = msgspec.structs.replace(whole, members=(found, assets))

    assert state_now(record) == State(
        frozenset((gone.address,)), frozenset((hung.address,)), frozenset((frozenset(("us", "eu")),))
    )
    now = page_of(record).split("<h2>")[1]
    assert now.startswith("The platform now")
    assert (now.count('class="ended"'), now.count('class="frozen"')) == (2, 2)  # in the picture and in its key


def test_a_process_that_hangs_is_no_longer_once_it_has_ended() -> None:
    hung = process("sessions", "us", "a").address
    faults = tuple(
        FaultRecord(fault=fault, failure="", at=0.0, until=1.0, hit=(hung,))
        for fault in ("freeze=x", "zone=us-a", "freeze=x", "mend=us-a")
    )
    record = msgspec.structs.replace(lab_record(), faults=faults)

    states = [state_after(record, place)[:2] for place in range(5)]

    none, one = frozenset[str](), frozenset((hung,))
    assert states == [(none, none), (none, one), (one, none), (one, none), (none, none)]


def test_a_lab_to_which_nothing_was_done_has_a_page_too() -> None:
    page = page_of(msgspec.structs.replace(lab_record(), faults=(), outages=()))

    assert "Predicted and measured" not in page
    assert "Members" in page


def test_a_record_is_a_file_that_others_can_read() -> None:
    values = json.loads(msgspec.json.encode(lab_record()))

    assert values["format"] == "aether-lab/v1"
    assert values["faults"][0]["parts"][0]["predicted"]["worst_secs"] == 10.2


# --- in a browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium of this machine."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    chromium = need(found, "chromium", "apt-get install chromium")
    try:
        api = import_module("playwright.sync_api")
    except ImportError:
        miss("playwright is not installed; to bring it: pip install playwright")
    with api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield started
        started.close()


def opened(browser: Any, folder: Path, *, scheme: str = "light", width: int = 1100) -> Any:
    file = folder / "lab.html"
    file.write_text(page_of(lab_record()), "utf-8")
    page = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 800}).new_page()
    page.asked = []
    page.faults = []
    page.on("request", lambda request: page.asked.append(request.url))
    page.on("console", lambda message: page.faults.append(message.text) if message.type == "error" else None)
    page.goto(file.as_uri())
    return page


@pytest.mark.real
@pytest.mark.parametrize("width", [320, 720, 1400])
def test_nothing_is_wider_than_the_screen_but_what_scrolls(browser: Any, tmp_path: Path, width: int) -> None:
    page = opened(browser, tmp_path, width=width)
    page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")

    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.faults == []
    assert len(page.asked) == 1


_CONTRAST = """
() => {
  const numbers = text => text.match(/[\\d.]+/g).map(Number);
  const light = text => numbers(text).slice(0, 3).map(each => each / 255)
    .map(each => each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4)
    .reduce((sum, each, place) => sum + each * [0.2126, 0.7152, 0.0722][place], 0);
  const paper = light(getComputedStyle(document.body).backgroundColor);
  const found = {};
  for (const each of document.querySelectorAll("h1, h2, p, dt, dd, td, th, .verdict, summary, a, .who, svg text")) {
    const style = getComputedStyle(each);
    const ink = light(each instanceof SVGElement ? style.fill : style.color);
    const ratio = (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
    found[`${each.tagName}.${each.getAttribute("class") || ""}`] = Math.round(ratio * 100) / 100;
  }
  return found;
}
"""


@pytest.mark.real
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_has_contrast(browser: Any, tmp_path: Path, scheme: str) -> None:
    page = opened(browser, tmp_path, scheme=scheme)

    ratios = page.evaluate(_CONTRAST)

    assert len(ratios) > 8
    assert {name: ratio for name, ratio in ratios.items() if ratio < 4.5} == {}


@pytest.mark.real
def test_reasons_open_by_the_keyboard(browser: Any, tmp_path: Path) -> None:
    page = opened(browser, tmp_path)
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.tagName === 'SUMMARY'"):
            break
    page.keyboard.press("Enter")

    assert page.evaluate("document.activeElement.parentElement.open")


@pytest.mark.real
def test_bars_stand_where_their_times_are(browser: Any, tmp_path: Path) -> None:
    page = opened(browser, tmp_path)

    said, seen = page.evaluate(
        "() => { const bar = document.querySelector('#fault-1 svg.bar[aria-label*=\"shard 0\"]');"
        " const place = name => { const box = bar.querySelector(name).getBoundingClientRect();"
        " const all = bar.getBoundingClientRect();"
        " return [box.left, box.right].map(x => (x - all.left) / all.width); };"
        " return [place('.said'), place('.seen')]; }"
    )

    # The watch lasted 20 s, and the axis is a fiftieth longer.
    assert said == pytest.approx([5.0 / 20.4, 10.2 / 20.4], abs=0.01)
    assert seen == pytest.approx([0.1 / 20.4, 7.4 / 20.4], abs=0.01)
