"""What a loss does before anybody acts: to components, to who uses them, and to players."""

from collections.abc import Iterator, Sequence

from aether_deploy.gitops.disaster.loss import RegionLoss
from aether_deploy.infrastructure.analysis.analysing import Cell, users_hit
from aether_deploy.infrastructure.analysis.impacts import Effect
from aether_deploy.infrastructure.analysis.lines import lasts_text, names_text
from aether_deploy.platform.placing import site_configs
from aether_deploy.problems import DecisionError
from aether_deploy.routing.decision.deciding import decide_route
from aether_deploy.routing.request import RouteRequest
from aether_deploy.routing.routed import Routed
from aether_deploy.routing.viewing import view_of

NAMES_WIDTH = 90


def happening_text(loss: RegionLoss) -> str:
    """Return what becomes of components and of players, as Markdown."""
    parts = [_components(loss)] if loss.components else []
    return "\n".join([*parts, "#### Players\n", *_players(loss), ""])


# --- components


def _components(loss: RegionLoss) -> str:
    cells = {} if loss.row is None else loss.row.cells
    lines = ["| component | what becomes of it | may be lost | noticed elsewhere by |", "| --- | --- | --- | --- |"]
    for component in loss.components:
        cell = cells.get(component.name)
        effects = () if cell is None else cell.impact.effects
        becomes = "; ".join(_fates(loss, effects)) or "goes on"
        lost = "; ".join(dict.fromkeys(each.loss.text for each in effects if each.loss is not None)) or "nothing"
        lines.append(f"| {component.name} | {becomes} | {lost} | {_noticed(loss, component.name, cell)} |")
    return "\n".join([*lines, ""])


def _fates(loss: RegionLoss, effects: Sequence[Effect]) -> Iterator[str]:
    """Yield what becomes of parts, those that fare alike together."""
    groups: dict[str, list[str]] = {}
    for each in effects:
        groups.setdefault(_fate(loss, each), []).append(each.part)
    for fate, parts in groups.items():
        who = names_text([part for part in parts if part], NAMES_WIDTH)
        yield f"{who}: {fate}" if who else fate


def _fate(loss: RegionLoss, effect: Effect) -> str:
    note = f" ({effect.note})" if effect.note else ""
    if effect.outcome == "holds":
        return f"goes on{note}"
    if effect.recovery is not None:
        return f"takes no writes for {lasts_text(effect)}, and comes back by itself{note}"
    what = "can only be read" if effect.outcome == "read-only" else "is down"
    until = "somebody acts" if effect.human else f"{loss.code} is back"
    return f"{what} until {until}{note}"


def _noticed(loss: RegionLoss, name: str, cell: Cell | None) -> str:
    if cell is None or loss.row is None:
        return "nobody"
    users = [f"{use.workload} in {use.region}" for use in users_hit(loss.around.analysis, loss.row, name)]
    return names_text(users, NAMES_WIDTH) or "nobody"


# --- players


def _players(loss: RegionLoss) -> Iterator[str]:
    if not loss.others:
        yield f"- There is no region but {loss.code}: nobody plays until it is back."
    else:
        yield from _destinations(loss)
    if durable := dict(_durable(loss)):
        names, pods = names_text([f"`{name}`" for name in durable], NAMES_WIDTH), sum(durable.values())
        where = f"on its volumes there, of up to {pods} pods, and on no others"
        then = " Players enter worlds of other regions, which know nothing of theirs." if loss.others else ""
        yield f"- What {names} of {loss.code} keeps is {where}.{then}"


def _destinations(loss: RegionLoss) -> Iterator[str]:
    paths = loss.around.paths
    yield _order(loss, sent=bool(paths))
    for rule in loss.around.router.residency:
        if loss.code in rule.regions:
            other = _routed(loss, rule.name)
            told = "may be nowhere else, and are refused" if other is None else f"go to {other.decision.region}"
            yield f"- Players under the residency rule `{rule.name}` {told}."
    if paths:
        yield f"- They arrive within {', '.join(f'{path.secs:g} s by {path.name}' for path in paths)}."
    room, own = sum(loss.around.room[each.code] for each in loss.others), loss.around.room[loss.code]
    if room and own:
        yield f"- The others have room for {room} players in all, {loss.code} for {own}. Who finds none is refused."


def _order(loss: RegionLoss, *, sent: bool) -> str:
    """Say where players of the region go, and where next."""
    routed = _routed(loss, None)
    if routed is None:
        return f"- By the rules of routing no other region takes players of {loss.code}."
    order = [code for code in (routed.decision.region, *routed.alternates) if code != loss.code]
    trips = [(code, loss.platform.estate.round_trip_ms(loss.code, code)) for code in order]
    far = ", then ".join(code if ms is None else f"{code} ({ms:g} ms from {loss.code})" for code, ms in trips)
    if not sent:
        return f"- Nothing sends players elsewhere: they choose another region. Closest: {far}."
    full = ". Where one is full they go to the next" if len(order) > 1 else ""
    return f"- Whoever was in {loss.code} is sent to {far}{full}."


def _routed(loss: RegionLoss, residency: str | None) -> Routed | None:
    """Return where a player of the region goes, by the decision that a router makes; None where nobody takes him."""
    config = loss.around.router
    known = loss.code in config.codes
    try:
        view = view_of(config, down=(loss.code,) if known else ())
        return decide_route(config, view, RouteRequest(preferred=loss.code, residency=residency))
    except DecisionError:
        return None


def _durable(loss: RegionLoss) -> Iterator[tuple[str, int]]:
    """Yield every workload of the region that keeps something on volumes, and how many pods it may have."""
    site = next(each for each in loss.platform.sites if each.region.code == loss.code and not each.witness)
    for name, (_, config) in sorted(site_configs(loss.platform, site).items()):
        if config.pvc is not None:
            yield name, config.replicas if config.scaling is None else config.scaling.max_replicas
