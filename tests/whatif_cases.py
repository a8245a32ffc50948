"""Regions, players and what they lose, for the tests of what-ifs."""

from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import strategies as st

from aether_deploy.routing.router_config import RouterConfig
from aether_deploy.routing.view import Position
from aether_deploy.simulation.routing.players import PlayerGroup
from aether_deploy.simulation.routing.whatif import Loss, what_if

LINKS = {("us", "eu"): 76, ("us", "ap"): 198, ("eu", "ap"): 122}
CAPACITIES = {"us": 2000, "eu": 2000, "ap": 1000}


def router_of(
    capacities: Mapping[str, int | None] = CAPACITIES, links: Mapping[tuple[str, str], int] = LINKS, **rules: Any
) -> RouterConfig:
    """Return a router of regions with these capacities, and these round trips between them."""
    regions = [
        {"code": code, **({} if most is None else {"capacity_players": most})} for code, most in capacities.items()
    ]
    pairs = [{"between": list(pair), "latency_ms": latency} for pair, latency in links.items()]
    return RouterConfig.from_values({"regions": regions, "links": pairs, **rules})


def at_home(**players: int) -> tuple[PlayerGroup, ...]:
    """Return so many players at home in each region."""
    return tuple(PlayerGroup(players=number, region=code) for code, number in players.items())


def loss_of(config: RouterConfig, groups: Sequence[PlayerGroup], *lost: str) -> Loss:
    """Return what the loss of these regions at once does."""
    return what_if(config, groups, losses=[lost]).losses[0]


def moved(loss: Loss) -> dict[str | None, int]:
    """Return how many players go where."""
    found: dict[str | None, int] = {}
    for move in loss.moves:
        found[move.region] = found.get(move.region, 0) + move.players
    return found


def after(loss: Loss) -> dict[str, int]:
    """Return how many players each region has after a loss."""
    return {region.code: region.after for region in loss.regions}


# --- any

CODES = ("a", "b", "c", "d", "e")


@st.composite
def worlds(
    draw: st.DrawFn, *, load: bool | None = None, residency: bool = True
) -> tuple[RouterConfig, list[PlayerGroup]]:
    """Return any few regions with any rules, and any players."""
    codes = CODES[: draw(st.integers(1, 5))]
    regions = [
        {
            "code": code,
            "latency_ms": draw(st.integers(0, 300)),
            **({"capacity_players": draw(st.integers(1, 200))} if draw(st.integers(0, 9)) else {}),
            "location": {"lat": draw(st.integers(-80, 80)), "lon": draw(st.integers(-170, 170))},
        }
        for code in codes
    ]
    pairs = [[one, two] for place, one in enumerate(codes) for two in codes[place + 1 :]]
    links = [{"between": pair, "latency_ms": draw(st.integers(1, 300))} for pair in pairs if draw(st.booleans())]
    rules: dict[str, Any] = {}
    if load if load is not None else draw(st.booleans()):
        soft = draw(st.integers(1, 100))
        rules["load"] = {"soft_percent": soft, "hard_percent": draw(st.integers(soft, 100))}
    if draw(st.booleans()):
        rules["latency"] = {"tie_ms": draw(st.integers(0, 50))}
        if draw(st.booleans()):
            rules["latency"]["max_ms"] = draw(st.integers(1, 300))
    if residency and draw(st.booleans()):
        some = draw(st.lists(st.sampled_from(codes), min_size=1, unique=True))
        rules["residency"] = [{"name": "resident", "regions": some}]
    config = RouterConfig.from_values({"regions": regions, "links": links, **rules})
    groups = draw(st.lists(_groups(codes, resident="residency" in rules), max_size=5))
    return config, groups


@st.composite
def _groups(draw: st.DrawFn, codes: Sequence[str], *, resident: bool) -> PlayerGroup:
    placed = draw(st.booleans())
    return PlayerGroup(
        players=draw(st.integers(0, 200)),
        region=None if placed else draw(st.sampled_from(codes)),
        position=Position(draw(st.integers(-80, 80)), draw(st.integers(-170, 170))) if placed else None,
        residency="resident" if resident and draw(st.booleans()) else None,
    )
