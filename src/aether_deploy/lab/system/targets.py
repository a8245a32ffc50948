"""What a fault hits: which processes of a lab, or which two regions."""

from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec

from aether_deploy.infrastructure.estate import Estate, datacenter_name
from aether_deploy.lab.system.faults import EVERYTHING, LabFault
from aether_deploy.lab.system.record import LabProcess
from aether_deploy.problems import ConfigError, Problem, suggestion


class Strike(msgspec.Struct, frozen=True):
    """What a fault hits.

    Attributes:
        hit: The processes that it ends, stops or mends.
        cut: Pairs of regions that it cuts, or joins.
        ends: Of ``mend``: the faults that it undoes.
    """

    hit: tuple[LabProcess, ...] = ()
    cut: tuple[frozenset[str], ...] = ()
    ends: tuple["FaultInEffect", ...] = ()


class FaultInEffect(msgspec.Struct, frozen=True):
    """A fault that nobody has undone yet.

    Attributes:
        fault: What was done.
        at: When, seconds since the lab was up.
        hit: Addresses of the processes that it hit.
    """

    fault: LabFault
    at: float
    hit: frozenset[str] = frozenset()


def strike_of(
    fault: LabFault, estate: Estate, processes: Sequence[LabProcess], in_effect: Sequence[FaultInEffect]
) -> Strike:
    """Return what ``fault`` hits.

    Args:
        fault: What is asked for.
        estate: Regions and datacenters.
        processes: Every process of the lab as it is now.
        in_effect: Faults that nobody has undone.

    Raises:
        ConfigError: There is no such target, or nothing is left to do there; says what would be one.
    """
    match fault.kind:
        case "mend":
            return _mended(fault, processes, in_effect)
        case "cut":
            return _cut(fault, estate, in_effect)
        case "zone":
            return _place(fault, _zones(estate), processes)
        case "region":
            return _place(fault, _regions(estate), processes)
        case "kill":
            return Strike((_one(fault, processes, ("running", "frozen")),))
        case "freeze":
            return Strike((_one(fault, processes, ("running",)),))


def _wrong(fault: LabFault, reason: str, fix: str) -> ConfigError:
    return ConfigError([Problem(path=str(fault), reason=reason, fix=fix)])


# --- places


def _zones(estate: Estate) -> dict[str, frozenset[str]]:
    """Return the names of each zone's datacenters, by what ``analyze`` calls the zone."""
    return {
        datacenter_name(region.code, zone): frozenset(
            each.name for each in region.datacenters if each.zone == zone and not each.witness
        )
        for region in estate.regions
        for zone in region.zones
    }


def _regions(estate: Estate) -> dict[str, frozenset[str]]:
    """Return the names of each region's datacenters: everything in its cluster."""
    return {
        region.code: frozenset(each.name for each in estate.datacenters if each.cluster == region.cluster)
        for region in estate.regions
    }


def _place(fault: LabFault, known: Mapping[str, frozenset[str]], processes: Iterable[LabProcess]) -> Strike:
    datacenters = known.get(fault.target)
    if datacenters is None:
        fix = suggestion(fault.target, known, f"known are {', '.join(known)}")
        raise _wrong(fault, f"no {fault.kind} of this lab has that name", fix)
    hit = tuple(each for each in processes if each.datacenter in datacenters and each.state != "ended")
    if not hit:
        raise _wrong(fault, "nothing runs there any more", "mend it first, or name another")
    return Strike(hit)


def _cut(fault: LabFault, estate: Estate, in_effect: Iterable[FaultInEffect]) -> Strike:
    codes = [region.code for region in estate.regions]
    for code in sorted(fault.ends):
        if code not in codes:
            fix = suggestion(code, codes, f"known are {', '.join(codes)}")
            raise _wrong(fault, f"no region of this lab is called '{code}'", fix)
    if any(each.fault.kind == "cut" and each.fault.ends == fault.ends for each in in_effect):
        raise _wrong(fault, "is cut already", "mend it first, or cut another")
    return Strike(cut=(fault.ends,))


# --- single processes


def _one(fault: LabFault, processes: Sequence[LabProcess], states: Collection[str]) -> LabProcess:
    """Return the process that a fault names by its name, by its address, or by the member that it leads."""
    named = [each for each in processes if fault.target in (each.name, each.address)]
    if len(named) > 1:
        fix = f"name one: {', '.join(each.address for each in named)}"
        raise _wrong(fault, "several processes have that name", fix)
    candidates = named or [each for each in processes if each.member == fault.target]
    if not candidates:
        raise _unknown(fault, processes)
    able = [each for each in candidates if each.state in states]
    if not able:
        state = "has ended" if candidates[0].state == "ended" else "is frozen"
        what = f"{state} already" if named else f"none of its processes {_DOES[fault.kind]}"
        raise _wrong(fault, what, "mend it first, or name another")
    return next((each for each in able if each.leads), able[0])


_DOES = {"kill": "is left", "freeze": "runs"}


def _unknown(fault: LabFault, processes: Iterable[LabProcess]) -> ConfigError:
    every = list(processes)
    members = list(dict.fromkeys(each.member for each in every))
    words = [*members, *dict.fromkeys(each.name for each in every), *(each.address for each in every)]
    otherwise = f"members are {', '.join(members)}; lab status lists the processes"
    return _wrong(fault, "no process and no member has that name", suggestion(fault.target, words, otherwise))


# --- undoing


def _mended(fault: LabFault, processes: Iterable[LabProcess], in_effect: Sequence[FaultInEffect]) -> Strike:
    """Return what comes back: what no other fault keeps away."""
    ends = [each for each in in_effect if _is_meant(fault.target, each.fault)]
    if not ends:
        raise _nothing_to_mend(fault, in_effect)
    kept = [each for each in in_effect if each not in ends]
    away = frozenset(address for each in kept for address in each.hit)
    back = frozenset(address for each in ends for address in each.hit) - away
    hit = tuple(each for each in processes if each.address in back)  # one that runs could not be mended whole
    return Strike(hit, tuple(each.fault.ends for each in ends if each.fault.kind == "cut"), tuple(ends))


def _is_meant(target: str, fault: LabFault) -> bool:
    return target in (EVERYTHING, fault.target, str(fault))


def _nothing_to_mend(fault: LabFault, in_effect: Sequence[FaultInEffect]) -> ConfigError:
    if not in_effect:
        return _wrong(fault, "no fault is in effect", "nothing is to be done")
    targets = [each.fault.target for each in in_effect]
    fix = suggestion(fault.target, targets, f"in effect are {', '.join(targets)}; or {EVERYTHING}")
    return _wrong(fault, "no fault in effect has that target", fix)
