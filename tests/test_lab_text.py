"""What the verbs of the lab print of a record."""

import msgspec
import pytest

from aether_deploy.cli.lab_text import down_text, fault_text, report_text, status_text, up_text
from aether_deploy.lab.system.control import Ended, InEffect, LabStatus
from aether_deploy.lab.system.record import (
    FaultRecord,
    LabProcess,
    LabRecord,
    Measured,
    MemberRecord,
    PartRecord,
    Predicted,
)


def process(name: str, region: str, state: str = "running", *leads: str) -> LabProcess:
    return LabProcess(
        name=name, member="sessions", region=region, datacenter=f"{region}-a",
        state=state, pid=1, leads=leads,  # type: ignore[arg-type]
    )  # fmt: skip


def part(name: str, said: Predicted, seen: Measured | None, verdict: str, says: str = "") -> PartRecord:
    return PartRecord(
        member="sessions", part=name, region="us", predicted=said, measured=seen, verdict=verdict, says=says,  # type: ignore[arg-type]
    )  # fmt: skip


WENT_ON = Measured(outcome="holds", stopped_secs=0.1, watched_secs=10, acknowledged=100)
STOPPED = Measured(outcome="interrupted", stopped_secs=7.4, watched_secs=10, acknowledged=90, lost=3)
TAKEN_OVER = Predicted(outcome="interrupted", best_secs=5, worst_secs=10, loss="the last", rules=("a rule (source)",))
PARTS = (
    part("shard 0 of us", TAKEN_OVER, STOPPED, "held"),
    part("shard 1 of us", Predicted(), WENT_ON, "held"),
    part("shard 2 of us", Predicted(), STOPPED, "broken", "it was to be untouched"),
    part("shard 3 of us", Predicted(), None, "unmeasured", "nobody asks"),
)
FAULT = FaultRecord(fault="zone=us-a", failure="zone us-a", at=65, until=75, hit=("us/sessions-us-a-0",), parts=PARTS)
RECORD = LabRecord(
    system="aether", environment="prod", file="aether.yaml", started="2026-01-01T00:00:00Z", up_secs=7265.0,
    boot_secs=3.25, regions={"us": ("us-a",), "eu": ("eu-a",)}, links={}, uses={},
    members=(
        MemberRecord(
            name="sessions", kind="valkey", boot_secs=3.0, memory_mb=12.4,
            processes=(
                process("sessions-us-a-0", "us", "ended"),
                process("sessions-us-b-0", "us", "running", "shard 0 of us"),
                process("sessions-eu-a-0", "eu", "frozen"),
            ),
        ),
    ),
    left_out=("events (nats): only Linux tells who calls",),
    faults=(FAULT,),
)  # fmt: skip
STATUS = LabStatus(record=RECORD, in_effect=(InEffect("zone=us-a", 65.0),), watching="kill=sessions")


def test_what_was_booted_is_told_with_times_and_memory() -> None:
    assert up_text(RECORD).splitlines() == [
        "aether/prod from aether.yaml is up after 3.2 s: 2 processes in 2 regions, 12 MB",
        "  sessions  valkey  3.0 s  3 processes  12 MB",
        "left out  events (nats): only Linux tells who calls",
    ]


def test_the_status_counts_processes_by_region_and_state() -> None:
    assert status_text(STATUS, verbose=False).splitlines() == [
        "aether/prod from aether.yaml, up for 2 h 01 min, 12 MB",
        "  sessions  valkey  us  1 running, 1 ended",
        "                    eu  1 frozen",
        "left out  events (nats): only Linux tells who calls",
        "in effect  zone=us-a  for 2 h 00 min",
        "watching   kill=sessions",
    ]


def test_the_status_names_every_process_when_asked() -> None:
    assert status_text(STATUS, verbose=True).splitlines()[1:4] == [
        "  us/sessions-us-a-0  ended    us-a  sessions",
        "  us/sessions-us-b-0  running  us-a  sessions  leads shard 0 of us",
        "  eu/sessions-eu-a-0  frozen   eu-a  sessions",
    ]


def test_a_fault_shows_what_was_felt_or_should_have_been() -> None:
    assert fault_text(FAULT, verbose=False, quiet=False).splitlines() == [
        "zone=us-a after 1 min 05 s, 1 process hit; watched for 10 s",
        "      component  part           writes, predicted                  writes, measured",
        "ok    sessions   shard 0 of us  stop for 5 to 10 s; may lose some  stopped for 7.4 s  3 lost",
        "FAIL  sessions   shard 2 of us  go on                              stopped for 7.4 s  it was to be untouched",
        "?     sessions   shard 3 of us  go on                              not asked          nobody asks",
        "2 of 4 parts as predicted, 1 not, 1 not measured (1 went on untouched)",
    ]


def test_where_analyze_knows_no_such_failure_nothing_is_said() -> None:
    unknown = FaultRecord(fault="kill=sessions", failure="", at=1, until=11, parts=PARTS[3:])

    assert "?     sessions   shard 3 of us  nothing is said" in fault_text(unknown, verbose=False, quiet=False)


def test_every_part_and_the_rules_are_told_when_asked() -> None:
    lines = fault_text(FAULT, verbose=True, quiet=False).splitlines()

    assert any("shard 1 of us" in line for line in lines)
    assert "rule  a rule (source)" in lines


def test_quietly_only_what_is_broken_is_told() -> None:
    lines = fault_text(FAULT, verbose=False, quiet=True).splitlines()

    assert [line.split()[0] for line in lines] == ["zone=us-a", "component", "FAIL"]


@pytest.mark.parametrize("quiet", [True, False])
def test_a_report_holds_every_fault(quiet: bool) -> None:
    text = report_text(RECORD, verbose=False, quiet=quiet)

    assert "zone=us-a" in text
    assert text.startswith("zone=us-a" if quiet else "aether/prod from aether.yaml, up for 2 h 01 min: 1 fault\n\n")


def test_what_was_mended_is_back_and_no_fault() -> None:
    again = Predicted(outcome="interrupted", certain=False)
    parts = (part("shard 0 of us", again, WENT_ON, "held"), part("shard 1 of us", again, STOPPED, "held"))
    mended = FaultRecord(fault="mend=all", failure="", at=80, until=90, hit=("us/sessions-us-a-0",), parts=parts)
    both = msgspec.structs.replace(RECORD, faults=(FAULT, mended))

    lines = fault_text(mended, verbose=False, quiet=False).splitlines()

    assert lines[0] == "mend=all after 1 min 20 s, 1 process back; watched for 10 s"
    assert [line.split("come back")[1].strip() for line in lines[2:4]] == ["back at once", "back after 7.4 s  3 lost"]
    assert report_text(both, verbose=False, quiet=False).splitlines()[0].endswith(": 1 fault, 1 mend")


def test_how_long_a_fault_is_still_watched_is_told() -> None:
    watched = msgspec.structs.replace(STATUS, watch_left_secs=33.6)

    assert status_text(watched, verbose=False).splitlines()[-1] == "watching   kill=sessions, for 34 s more at most"


def test_the_end_counts_what_ended() -> None:
    assert down_text(Ended({"sessions": 1, "events": 0})) == "ended 1 process (sessions 1, events 0); nothing is left"
