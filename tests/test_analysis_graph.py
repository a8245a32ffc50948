"""The picture of regions, zones, components and links: whole, and nothing in it but itself."""

import re
from xml.etree import ElementTree

import pytest

from aether_deploy.infrastructure.analysis.analysing import Analysis
from aether_deploy.infrastructure.analysis.graph import CHIPS_MAX, graph_svg
from tests.analysis_cases import (
    MATCHES,
    ONE_REGION,
    THREE_REGIONS,
    TWO_REGIONS,
    WITNESSED,
    WORLD,
    analysed,
    nats,
    postgres,
    with_components,
)

SVG = "{http://www.w3.org/2000/svg}"


def drawn(analysis: Analysis, title: str = "aether, prod") -> ElementTree.Element:
    return ElementTree.fromstring(graph_svg(analysis, title))


def words(root: ElementTree.Element) -> list[str]:
    return ["".join(each.itertext()) for each in root.iter(f"{SVG}text")]


def test_it_names_every_region_zone_component_and_link() -> None:
    said = words(drawn(with_components(THREE_REGIONS, postgres(more="standby: {region: eu}"), nats(streams=MATCHES))))

    for word in ("us", "eu", "ap", "us-a", "eu-c", "76 ms, 10 Gbit/s", "198 ms", "122 ms", "nats", "postgres"):
        assert word in said
    assert said.count("events 1 server") == 9
    assert said.count("accounts 1 member") == 3
    assert said.count("accounts standby, 0 to 1 member") == 3


def test_a_witness_in_a_cluster_of_its_own_stands_apart_and_dashed() -> None:
    root = drawn(with_components(WITNESSED, nats(streams=MATCHES, more="witness: fra")))

    assert {"witness fra", "cluster frankfurt", "fra, zone fra-a", "events votes"} <= set(words(root))
    assert [each.get("class") for each in root.iter(f"{SVG}rect")].count("box witness") == 1


def test_a_witness_is_joined_to_the_regions_that_it_votes_with() -> None:
    root = drawn(with_components(WITNESSED, nats(streams=MATCHES, more="witness: fra")))

    titles = {each.findtext(f"{SVG}title"): each for each in root.iter(f"{SVG}path")}
    (box,) = (each for each in root.iter(f"{SVG}rect") if each.get("class") == "box witness")

    for region in ("us", "eu"):
        path = titles[f"{region} - witness fra: no round trip is known"]
        assert path.get("class") == "link talks"
        assert float((path.get("d") or "").rpartition("H")[2]) == float(box.get("x") or 0) + float(
            box.get("width") or 0
        )


def test_a_witness_that_nobody_votes_with_is_joined_to_nobody() -> None:
    root = drawn(with_components(WITNESSED, postgres()))

    assert not any("witness" in (each.findtext(f"{SVG}title") or "") for each in root.iter(f"{SVG}path"))


LEGENDS: dict[str, tuple[str, list[str], set[str]]] = {
    "both looks": (THREE_REGIONS, [postgres(more="standby: {region: eu}")], {"components", "no component"}),
    "only what talks": (WITNESSED, [nats(streams=MATCHES, more="witness: fra")], {"components"}),
    "only what is known": (TWO_REGIONS, [postgres()], {"no component"}),
    "no link": (ONE_REGION, [postgres()], set()),
}


@pytest.mark.parametrize("case", LEGENDS)
def test_the_legend_explains_the_lines_that_are_drawn_and_no_others(case: str) -> None:
    regions, components, explained = LEGENDS[case]

    said = words(drawn(with_components(regions, *components)))

    assert {word.partition(" talk")[0] for word in said if word.endswith("over it")} == explained


def test_links_that_components_use_are_told_from_those_that_are_only_known() -> None:
    root = drawn(with_components(THREE_REGIONS, postgres(more="standby: {region: eu}")))

    titles = {each.findtext(f"{SVG}title"): each.get("class") for each in root.iter(f"{SVG}path")}

    assert titles["us - eu: 76 ms, 10 Gbit/s"] == "link talks"
    assert titles["us - ap: 198 ms"] == "link"


def test_everything_lies_inside_of_the_picture_and_no_label_on_another() -> None:
    root = drawn(with_components(THREE_REGIONS, nats(streams=MATCHES)))
    _, _, width, height = (float(number) for number in (root.get("viewBox") or "").split())

    boxes = [[float(each.get(key) or 0) for key in ("x", "y", "width", "height")] for each in root.iter(f"{SVG}rect")]
    plates = [
        [float(each.get(key) or 0) for key in ("x", "y", "width", "height")]
        for each in root.iter(f"{SVG}rect")
        if each.get("class") == "plate"
    ]

    assert all(x >= 0 and y >= 0 and x + w <= width and y + h <= height for x, y, w, h in boxes)
    assert not any(
        a[0] < b[0] + b[2] and b[0] < a[0] + a[2] and a[1] < b[1] + b[3] and b[1] < a[1] + a[3]
        for place, a in enumerate(plates)
        for b in plates[:place]
    )


def test_it_follows_light_and_dark_and_loads_nothing() -> None:
    text = graph_svg(with_components(TWO_REGIONS, nats(streams=MATCHES, more="enabled: false")), "aether, prod")

    assert "@media (prefers-color-scheme: dark)" in text
    light, _, dark = text.partition("@media")
    colours = set(re.findall(r"--(\w+): #", light))
    assert colours == set(re.findall(r"--(\w+): #", dark.partition("text {")[0])) != set()
    assert re.findall(r"(?:href|src|url|@import)", text) == []


def test_many_components_in_a_zone_are_counted() -> None:
    crowd = [postgres(name=f"database-{number:02d}") for number in range(CHIPS_MAX + 5)]

    said = words(drawn(with_components(ONE_REGION, *crowd)))

    assert sum(word.startswith("database-") for word in said) == 3 * (CHIPS_MAX - 1)
    assert said.count("and 6 more") == 3


def test_without_components_it_shows_where_they_would_be() -> None:
    said = words(drawn(analysed(TWO_REGIONS, WORLD)))

    assert {"us", "eu", "us-a", "76 ms"} <= set(said)


def test_names_are_text_and_no_markup() -> None:
    root = drawn(analysed(ONE_REGION, WORLD), '<script>"&')

    assert root.get("aria-label") == '<script>"&'
    assert '<script>"&' in words(root)


def test_equal_analyses_have_equal_pictures() -> None:
    texts = {graph_svg(with_components(THREE_REGIONS, nats(streams=MATCHES)), "aether") for _ in range(2)}

    assert len(texts) == 1
