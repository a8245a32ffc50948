"""Views of made-up cases: all regions healthy, but for what is said."""

import msgspec
import pytest

from aether_deploy.routing.router_config import Drain, RouterConfig
from aether_deploy.routing.view import DrainMode, Position
from aether_deploy.routing.viewing import matrix_of, view_of
from tests.routing_oracle import haversine_km
from tests.whatif_cases import router_of


def test_regions_are_healthy_and_empty_but_for_what_is_said() -> None:
    view = view_of(router_of(), down=["us"], loads={"eu": 0.5}, drains={"ap": "soft"})

    assert [(each.code, each.health, each.load, each.drain) for each in view.regions] == [
        ("us", "unhealthy", None, "none"),
        ("eu", "healthy", 0.5, "none"),
        ("ap", "healthy", None, "soft"),
    ]


def test_links_count_both_ways() -> None:
    assert matrix_of(router_of(links={("us", "eu"): 76})) == {"us": {"eu": 76.0}, "eu": {"us": 76.0}}


def test_a_region_is_where_and_as_far_as_its_router_is_told() -> None:
    regions = [{"code": "us", "latency_ms": 9, "location": {"lat": 38.95, "lon": -77.45}}, {"code": "eu"}]

    us, eu = view_of(RouterConfig.from_values({"regions": regions})).regions

    assert (us.latency_ms, us.position) == (9, Position(38.95, -77.45))
    assert (eu.latency_ms, eu.position) == (None, None)


@pytest.mark.parametrize("said", [{"down": ["mars"]}, {"loads": {"mars": 0.1}}, {"drains": {"mars": "hard"}}])
def test_a_region_that_is_none_is_refused(said: dict[str, object]) -> None:
    with pytest.raises(KeyError, match="mars"):
        view_of(router_of(), **said)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("described", "ordered", "effective"),
    [("soft", "none", "soft"), ("hard", "soft", "hard"), ("soft", "hard", "hard"), ("hard", "hard", "hard")],
)
def test_of_a_drain_that_is_described_and_one_by_order_the_stricter_counts(
    described: Drain, ordered: DrainMode, effective: DrainMode
) -> None:
    config = msgspec.structs.replace(router_of(), drain={"us": described})

    assert view_of(config, drains={"us": ordered}).by_code["us"].drain == effective
    assert view_of(config, drains={"us": ordered}).by_code["eu"].drain == "none"


def test_a_home_without_an_entry_is_as_far_as_its_links_and_else_its_place_say() -> None:
    values = {
        "regions": [
            {"code": "us", "location": {"lat": 38.95, "lon": -77.45}},
            {"code": "eu", "location": {"lat": 53.35, "lon": -6.26}},
            {"code": "sa"},
        ],
        "homes": [{"code": "ap", "location": {"lat": 19.08, "lon": 72.88}}, {"code": "af"}],
        "links": [{"between": ["us", "ap"], "latency_ms": 198}],
    }

    matrix = matrix_of(RouterConfig.from_values(values))

    away_km = haversine_km(Position(19.08, 72.88), Position(53.35, -6.26))
    assert matrix["ap"] == {"us": 198.0, "eu": pytest.approx(0.015 * away_km)}
    assert sorted(matrix) == ["ap", "us"]
