"""What a fault hits: processes by name, by member, by zone and region; pairs of regions; and what is mended."""

import pytest

from aether_deploy.infrastructure.estate import Estate
from aether_deploy.lab.system.faults import KINDS, parse_fault
from aether_deploy.lab.system.record import LabProcess, ProcessState
from aether_deploy.lab.system.targets import FaultInEffect, Strike, strike_of
from aether_deploy.problems import ConfigError
from tests.nats_cases import estate, region

TWO = estate(region("us"), region("eu", 2, "fra"))


def process(
    name: str, place: str, *leads: str, member: str = "sessions", state: ProcessState = "running"
) -> LabProcess:
    where = TWO.datacenter(place)
    assert where is not None
    return LabProcess(
        name=name, member=member, region=where.region, datacenter=place, state=state, pid=1, leads=leads
    )  # fmt: skip


PROCESSES = [
    process("sessions-us-a-0", "us-a"),
    process("sessions-us-b-0", "us-b", "shard 0 of us"),
    process("sessions-eu-a-0", "eu-a", "shard 0 of eu"),
    process("router-0", "us-a", member="router"),
    process("router-0", "eu-a", member="router"),
    process("events-fra-0", "fra", member="events"),
]


def struck(
    text: str, *in_effect: FaultInEffect, processes: list[LabProcess] = PROCESSES, where: Estate = TWO
) -> Strike:
    return strike_of(parse_fault(text), where, processes, in_effect)


def done(text: str, *hit: str) -> FaultInEffect:
    return FaultInEffect(parse_fault(text), 1.0, frozenset(hit))


HIT = {
    "a process by its name": ("kill=sessions-us-a-0", ["us/sessions-us-a-0"]),
    "a process by its address": ("freeze=eu/router-0", ["eu/router-0"]),
    "of a member the process that leads": ("kill=sessions", ["us/sessions-us-b-0"]),
    "of a member without a leader the first": ("kill=router", ["us/router-0"]),
    "a zone": ("zone=us-a", ["us/sessions-us-a-0", "us/router-0"]),
    "a region, without a witness in a cluster of its own": ("region=eu", ["eu/sessions-eu-a-0", "eu/router-0"]),
}


@pytest.mark.parametrize("case", HIT)
def test_a_fault_hits(case: str) -> None:
    fault, hit = HIT[case]

    assert [each.address for each in struck(fault).hit] == hit


def test_a_cut_hits_no_process() -> None:
    assert struck("cut=eu,us") == Strike(cut=(frozenset(("us", "eu")),))


GONE = [process("sessions-us-a-0", "us-a", state="ended"), process("sessions-us-b-0", "us-b", state="frozen")]
REFUSED = {
    "kill=sesions": "kill=sesions: no process and no member has that name\n  fix: did you mean 'sessions'?",
    "kill=database": "kill=database: no process and no member has that name\n"
    "  fix: members are sessions, router, events; lab status lists the processes",
    "kill=router-0": "kill=router-0: several processes have that name\n  fix: name one: us/router-0, eu/router-0",
    "zone=us-z": "zone=us-z: no zone of this lab has that name\n  fix: did you mean 'us-c'?",
    "region=asia": "region=asia: no region of this lab has that name\n  fix: known are us, eu",
    "cut=us,er": "cut=us,er: no region of this lab is called 'er'\n  fix: known are us, eu",
    "mend=all": "mend=all: no fault is in effect\n  fix: nothing is to be done",
}


@pytest.mark.parametrize("fault", REFUSED)
def test_what_is_no_target_is_refused_with_what_is_one(fault: str) -> None:
    with pytest.raises(ConfigError) as refused:
        struck(fault)

    assert str(refused.value) == REFUSED[fault]


REFUSED_AFTER = {
    "kill=sessions-us-a-0": "has ended already",
    "freeze=sessions-us-b-0": "is frozen already",
    "freeze=sessions": "none of its processes runs",
    "zone=us-a": "nothing runs there any more",
}


@pytest.mark.parametrize("fault", REFUSED_AFTER)
def test_nothing_is_done_twice(fault: str) -> None:
    with pytest.raises(ConfigError, match=REFUSED_AFTER[fault]):
        struck(fault, processes=GONE)


def test_a_link_is_cut_once() -> None:
    with pytest.raises(ConfigError, match="is cut already"):
        struck("cut=us,eu", done("cut=eu,us"))


def test_a_frozen_process_can_be_ended() -> None:
    assert [each.name for each in struck("kill=sessions", processes=GONE).hit] == ["sessions-us-b-0"]


def test_mending_brings_back_what_no_other_fault_keeps_away() -> None:
    zone = done("zone=us-a", "us/sessions-us-a-0")
    both = done("region=us", "us/sessions-us-a-0", "us/sessions-us-b-0")

    mended = struck("mend=us", zone, both, processes=GONE)

    assert [each.name for each in mended.hit] == ["sessions-us-b-0"]
    assert mended.ends == (both,)


@pytest.mark.parametrize("target", ["all", "us-a", "zone=us-a"])
def test_a_fault_is_mended_by_its_target(target: str) -> None:
    fault = done("zone=us-a", "us/sessions-us-a-0")

    assert [each.name for each in struck(f"mend={target}", fault, processes=GONE).hit] == ["sessions-us-a-0"]


def test_mending_all_joins_what_was_cut() -> None:
    assert struck("mend=all", done("cut=us,eu"), done("zone=us-a")).cut == (frozenset(("us", "eu")),)


def test_a_target_that_is_not_in_effect_is_refused_with_those_that_are() -> None:
    with pytest.raises(ConfigError, match="in effect are us-a; or all"):
        struck("mend=eu", done("zone=us-a"))


@pytest.mark.parametrize("text", ["kill", "kill=", "zone= "])
def test_a_fault_without_a_target_is_told_so(text: str) -> None:
    with pytest.raises(ValueError, match=r"^says not to what$"):
        parse_fault(text)


@pytest.mark.parametrize("text", ["", "=us", "burn=us", "burn"])
def test_what_names_no_fault_is_told_the_kinds(text: str) -> None:
    with pytest.raises(ValueError, match=f"is no KIND=TARGET; kinds are {', '.join(KINDS)}"):
        parse_fault(text)


@pytest.mark.parametrize("text", ["cut=us", "cut=us,us", "cut=us,eu,ap"])
def test_a_cut_is_between_two_regions(text: str) -> None:
    with pytest.raises(ValueError, match="is no pair of different regions"):
        parse_fault(text)
