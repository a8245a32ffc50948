"""Pictures of what-ifs: every region of every loss is in them, and the page needs nothing but itself."""

import re
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings

from aether_deploy.routing.limits import RoutingLimits
from aether_deploy.routing.router_config import RouterConfig
from aether_deploy.simulation.routing.players import PlayerGroup
from aether_deploy.simulation.routing.plotting import Drawing, drawing_of, drawn_html, drawn_png
from aether_deploy.simulation.routing.whatif import losses_of, what_if
from tests.whatif_cases import at_home, router_of, worlds

SVG = "{http://www.w3.org/2000/svg}"


def drawn(config: RouterConfig, groups: list[PlayerGroup], title: str = "a title") -> Drawing:
    losses = losses_of([region.code for region in config.regions], 2)
    return drawing_of(what_if(config, groups, losses=losses, limits=RoutingLimits()), title, config.load)


def parsed(html: str) -> ElementTree.Element:
    """Return the picture of a page."""
    found = re.search(r"<svg.*</svg>", html, re.DOTALL)
    assert found is not None
    return ElementTree.fromstring(found.group())


def texts(root: ElementTree.Element) -> list[str]:
    return [each.text or "" for each in root.iter(f"{SVG}text")]


def test_the_page_says_what_each_loss_does() -> None:
    picture = drawn(router_of(load={}), list(at_home(us=1200, eu=1200, ap=600)))

    said = texts(parsed(drawn_html(picture)))

    assert said[0] == "a title"
    assert [word for word in said if word in ("us", "eu", "ap")][:3] == ["us", "eu", "ap"]
    assert [name for name in ("nothing lost", "us", "us and eu", "eu and ap") if name not in said] == []
    assert {"60 %", "95 %", "lost", "150", "2050"} <= set(said)


def test_a_picture_of_three_regions_fits_a_window_of_1000_and_a_wide_one_shows_its_numbers_first() -> None:
    three = drawn(router_of(load={}), list(at_home(us=1200)))
    wide = drawn(router_of({f"r{place}": 10 for place in range(9)}, {}), [])

    assert three.width <= 960
    assert max(word.x for word in wide.words if word.text == "no place") < 450
    assert "max-width: 100%" in drawn_html(wide)


def test_players_beyond_the_capacity_of_their_region_are_marked() -> None:
    shapes = drawn(router_of(), list(at_home(us=1500, eu=1500))).shapes

    over = [shape for shape in shapes if shape.kind == "over" and shape.says]
    assert {shape.says for shape in over} >= {"eu: 1500 players before, 3000 after, of 2000"}


def test_the_page_loads_nothing_and_escapes_what_it_shows() -> None:
    html = drawn_html(drawn(router_of(), list(at_home(us=1)), "<script>alert('&')</script>"))

    assert "<script" not in html
    assert re.findall(r"(?:src|href)=|url\((?!#)|@import|https?://(?!www\.w3\.org/2000/svg)", html) == []
    assert texts(parsed(html))[0] == "<script>alert('&')</script>"


@given(worlds())
@settings(max_examples=40, deadline=None)
def test_whatever_is_lost_everything_stays_inside_the_picture(world: tuple[RouterConfig, list[PlayerGroup]]) -> None:
    config, groups = world

    picture = drawn(config, groups)
    html = drawn_html(picture)

    for shape in picture.shapes:
        assert 0 <= shape.x <= shape.x + shape.width <= picture.width
        assert 0 <= shape.y <= shape.y + shape.height <= picture.height
    assert all(0 <= word.x <= picture.width and 0 < word.y < picture.height for word in picture.words)
    parsed(html)
    assert html == drawn_html(drawn(config, groups))


def test_a_png_is_drawn_and_equal_pictures_give_equal_bytes() -> None:
    pytest.importorskip("matplotlib", reason="a PNG is drawn by matplotlib: pip install 'aether-deploy[plots]'")
    picture = drawn(router_of(load={}), list(at_home(us=1200, eu=1200, ap=600)))

    png = drawn_png(picture)

    assert png.startswith(b"\x89PNG")
    assert png == drawn_png(picture)
    assert int.from_bytes(png[16:20]) == pytest.approx(picture.width * 1.5, abs=2)
