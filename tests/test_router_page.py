"""The router's page in a real browser: live, readable in light and dark, on small screens, without a mouse."""

import re
import shutil
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from aether_deploy.service.router.page import page_response
from tests.real import miss, need
from tests.router_cases import (
    FULL_POLICY,
    TOKEN,
    Bench,
    FakeRegion,
    RouterProcess,
    config_values,
    dead_port,
    fake_regions,
    serve,
    until,
    write,
    write_config,
)

EAST, WEST, SOUTH = "us-east-1", "eu-west-1", "ap-south-1"
PATIENCE_MS = 90_000


def test_the_page_asks_nobody_else_and_runs_nothing_but_its_own() -> None:
    answer = Bench().ask("/")
    page = answer.body.decode()

    policy = answer.headers["Content-Security-Policy"]
    assert answer.content_type == "text/html; charset=utf-8"
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy
    assert re.findall(r"(?:src|href|url)\s*[=(]\s*[\"']?(?:https?:)?//", page) == []
    assert re.findall(r"\son[a-z]+\s*=\s*[\"']|style\s*=\s*[\"']|innerHTML|insertAdjacentHTML|eval\(", page) == []
    assert len(page) < 40_000
    assert page_response() is page_response()


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
        started = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"], timeout=PATIENCE_MS)
        yield started
        started.close()


@pytest.fixture
def regions() -> Iterator[dict[str, FakeRegion]]:
    with fake_regions() as regions:
        yield regions


@pytest.fixture
def router(tmp_path: Path, regions: dict[str, FakeRegion]) -> Iterator[RouterProcess]:
    """A router in the middle of an evening: one region fills up and drains, one is down."""
    (tmp_path / "token").write_text(TOKEN)
    probes = {code: region.url for code, region in regions.items()}
    policy = {**FULL_POLICY, "load": {"report_max_age_secs": 3600, "reservation_secs": 3600}}
    values = config_values(probes=probes, **policy, health={"interval_ms": 200, "timeout_ms": 10_000})
    config, listen = write_config(tmp_path, values), f"127.0.0.1:{dead_port()}"  # where another one can listen, too
    arguments = ["--config", str(config), "--listen", listen, "--admin-token-file", "token"]
    with RouterProcess(*arguments, folder=tmp_path) as router:
        router.until("/readyz", 200)
        router.ask(
            "PUT", f"/v1/regions/{EAST}/load", {"players": 640, "capacity": 1000, "builds": ["1.8.2"]}, token=TOKEN
        )
        router.ask("PUT", f"/v1/regions/{WEST}/load", {"players": 880, "capacity": 1000}, token=TOKEN)
        router.ask("POST", "/v1/reservations", {"region": WEST, "players": 12}, token=TOKEN)
        router.ask("POST", f"/v1/regions/{WEST}/drain", {"bleed_secs": 3600, "deadline_secs": 7200}, token=TOKEN)
        yield router


def opened(browser: Any, router: RouterProcess, *, scheme: str = "light", width: int = 1100) -> Any:
    page = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 900}).new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.faults = []
    page.on("console", lambda message: page.faults.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    page.goto(f"http://127.0.0.1:{router.port}/", wait_until="domcontentloaded")
    page.wait_for_selector("#link.good")
    return page


@pytest.mark.real
def test_regions_are_shown_as_they_are(browser: Any, router: RouterProcess) -> None:
    page = opened(browser, router)
    # At one moment: the page draws anew each second, and what it drew before has no layout any more.
    shown, texts = page.evaluate(
        "() => [Object.fromEntries([...document.querySelectorAll('.region')].map(e => [e.dataset.code, e.innerText])),"
        " [...document.querySelectorAll('#matrix tr')].map(row => row.innerText)]"
    )
    rows = [text.split() for text in texts]

    assert list(shown) == [EAST, WEST, SOUTH]
    for code, words in {
        EAST: ("healthy", "64 %: 640 of 1000", "1.8.2", "us-east-1.play.example.com", "answers 200"),
        WEST: ("healthy, draining", "89.2 %: 880 + 12 on their way of 1000", "soft, still takes", "deadline in"),
        SOUTH: ("healthy", "nobody reported"),
    }.items():
        for word in words:
            assert word in shown[code]
    assert rows[0] == [EAST, "0", "76", "198"]
    assert page.faults == []


@pytest.mark.real
def test_a_change_is_shown_without_a_reload_of_the_page(
    browser: Any, router: RouterProcess, regions: dict[str, FakeRegion]
) -> None:
    page = opened(browser, router)
    regions[SOUTH].status = 503
    page.wait_for_selector(f".region.bad[data-code={SOUTH}]")
    text = page.inner_text(f".region[data-code={SOUTH}]")
    router.ask("DELETE", f"/v1/regions/{WEST}/drain", token=TOKEN)
    page.wait_for_selector(f".region.good[data-code={WEST}]")
    for _ in range(3):
        router.ask("GET", f"/v1/route?preferred={SOUTH}&player=x")
    until(lambda: sum(int(row[-1]) for row in _recent(page)) >= 3)  # told of once a second, maybe in two parts

    assert "answers 503" in text
    assert "Penalty" in text
    for time, *decided, _ in _recent(page):
        assert re.fullmatch(r"\d\d:\d\d:\d\d", time)
        assert decided == [SOUTH, EAST, "preferred_unhealthy"]
    assert sum(int(row[-1]) for row in _recent(page)) == 3
    assert page.faults == []


def _recent(page: Any) -> list[list[str]]:
    """Return the rows of the last decisions, cell by cell."""
    rows: list[list[str]] = page.evaluate(
        "[...document.querySelectorAll('#recent tr')].map(row => [...row.children].map(each => each.innerText))"
    )
    return rows


@pytest.mark.real
def test_a_self_check_that_does_not_answer_is_shown(
    browser: Any, tmp_path: Path, regions: dict[str, FakeRegion], router: RouterProcess
) -> None:
    url = f"http://localhost:{dead_port()}/"
    with serve(tmp_path, write(tmp_path, regions, self_check=url)) as blinded:
        blinded.heard("self_check", answers=False)
        silent = opened(browser, blinded)
        silent.wait_for_selector("#self-check", state="visible")
        told = silent.inner_text("#self-check")

    assert told == "What this router checks itself by does not answer: connection refused."
    assert opened(browser, router).is_hidden("#self-check")


@pytest.mark.real
def test_what_clients_make_up_is_shown_as_text(browser: Any, router: RouterProcess) -> None:
    page = opened(browser, router)
    router.ask("GET", f"/v1/route?preferred={'x' * 63}")
    page.wait_for_selector("#recent tr")

    assert page.inner_text("#recent td:nth-child(2)") == "x" * 63
    assert page.evaluate("document.documentElement.scrollWidth") <= 1100


@pytest.mark.real
def test_a_router_that_is_gone_is_told_and_one_that_is_back_too(
    browser: Any, router: RouterProcess, tmp_path: Path
) -> None:
    page = opened(browser, router)
    router.process.kill()
    page.wait_for_selector("#link.bad")
    words = page.inner_text("#link")
    listen = f"127.0.0.1:{router.port}"
    with RouterProcess("--config", str(tmp_path / "router.json"), "--listen", listen, folder=tmp_path):
        page.wait_for_selector("#link.good")

    assert "what stands here is old" in words


@pytest.mark.real
@pytest.mark.parametrize("width", [320, 400, 1100])
def test_nothing_sticks_out_of_the_screen(width: int, browser: Any, router: RouterProcess) -> None:
    page = opened(browser, router, width=width)

    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.real
@pytest.mark.parametrize("width", [320, 400])
def test_no_column_of_a_decision_is_out_of_sight_on_a_phone(width: int, browser: Any, router: RouterProcess) -> None:
    page = opened(browser, router, width=width)
    router.ask("GET", f"/v1/route?preferred={'x' * 63}")
    page.wait_for_selector("#recent tr")

    edges = page.evaluate(
        "[...document.querySelectorAll('#recent-table tr > *')].map(each => each.getBoundingClientRect().right)"
    )

    assert len(edges) == 10
    assert max(edges) <= width


# What WCAG 2.2 reckons contrast by: relative luminance of sRGB (1.4.3: at least 4.5 for text).
CONTRASTS = """() => {
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = (rgb) => rgb.slice(0, 3).map((each) => each / 255)
    .map((each) => each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4)
    .reduce((sum, each, place) => sum + each * [0.2126, 0.7152, 0.0722][place], 0);
  const ground = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const colour = parse(getComputedStyle(each).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const found = {};
  for (const element of document.querySelectorAll("h1,h2,h3,p,span,dt,dd,th,td,a")) {
    if (!element.textContent.trim() || !element.getClientRects().length) continue;
    const [a, b] = [light(parse(getComputedStyle(element).color)), light(ground(element))];
    found[element.textContent.trim().slice(0, 40)] = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  }
  return found;
}"""


@pytest.mark.real
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_word_can_be_read(
    scheme: str, browser: Any, router: RouterProcess, regions: dict[str, FakeRegion]
) -> None:
    regions[SOUTH].status = 503
    page = opened(browser, router, scheme=scheme)
    page.wait_for_selector(f".region.bad[data-code={SOUTH}]")

    contrasts = page.evaluate(CONTRASTS)

    assert len(contrasts) > 25
    assert {text: ratio for text, ratio in contrasts.items() if ratio < 4.5} == {}


@pytest.mark.real
def test_both_schemes_are_schemes_of_their_own(browser: Any, router: RouterProcess) -> None:
    grounds = {
        scheme: opened(browser, router, scheme=scheme).evaluate("getComputedStyle(document.body).backgroundColor")
        for scheme in ("light", "dark")
    }

    assert grounds["light"] != grounds["dark"]


@pytest.mark.real
def test_a_keyboard_reaches_everything_that_scrolls_or_leads_on(browser: Any, router: RouterProcess) -> None:
    page = opened(browser, router, width=400)
    reached = []
    for _ in range(5):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate(
                "document.activeElement.getAttribute('aria-labelledby') || document.activeElement.textContent"
            )
        )

    assert reached[:2] == ["matrix-title", "recent-title"]
    assert reached[2:4] == ["Interface", "Metrics"]


@pytest.mark.real
def test_a_screen_reader_finds_names_roles_and_values(browser: Any, router: RouterProcess) -> None:
    page = opened(browser, router)

    assert page.get_by_role("heading", name="Regions", exact=True).count() == 1
    assert page.get_by_role("list", name="Regions").get_by_role("listitem").count() == 3
    assert page.get_by_role("meter", name=f"Load of {WEST}").get_attribute("aria-valuetext") == "89.2 %"
    assert page.get_by_role("rowheader", name=EAST).count() == 1
    assert page.get_by_role("columnheader", name=EAST).count() == 1
    assert page.get_by_role("status").inner_text() == "live"
    assert page.evaluate("document.documentElement.lang") == "en"
