"""What is said of a fault before it is done: rows of the analysis, narrowed to what the processes lead that are hit."""

import pytest

from aether_deploy.failover.bounds import bounds
from aether_deploy.failover.policy import FailoverPolicy
from aether_deploy.infrastructure.edge.nginx import READ_SECS
from aether_deploy.infrastructure.nats.quorum import election_secs
from aether_deploy.infrastructure.valkey.timing import failover_secs
from aether_deploy.lab.system.expecting import NO_SUCH_PAIR, Expecting
from aether_deploy.lab.system.faults import LabFault
from aether_deploy.lab.system.judging import judge
from aether_deploy.lab.system.parts import Part
from aether_deploy.lab.system.record import FaultRecord, Predicted
from aether_deploy.platform.analysing import analyse_platform
from tests.analysis_cases import THREE_REGIONS, platform_of
from tests.lab_system_scenes import (
    ASSETS,
    expected,
    in_region,
    in_zone,
    measured,
    part_record,
    process,
    sessions_in,
    whole,
)

US_SHARDS = [Part("sessions", f"shard {shard} of us", "us") for shard in range(3)]
EU_SHARDS = [Part("sessions", f"shard {shard} of eu", "eu") for shard in range(3)]
ACCOUNTS = Part("accounts", "", "us")
STANDBY = Part("accounts", "standby", "eu")
STREAM = Part("events", "MATCHES", "us")
MIRROR = Part("events", "MATCHES-mirror-eu", "eu")
MANAGEMENT = Part("events", "management", None)
OBJECTS = Part("assets", "objects", None)
COPY = Part("assets", "eu", "eu")
EDGES = [Part("cdn", code, code) for code in ("us", "eu", "ap")]
PARTS = [*US_SHARDS, *EU_SHARDS, ACCOUNTS, STANDBY, STREAM, MIRROR, MANAGEMENT, OBJECTS, COPY, *EDGES]
PROCESSES = [
    *sessions_in("us"),
    *sessions_in("eu"),
    process("accounts", "us", "a", leads=[""]),
    process("accounts", "us", "b"),
    process("accounts", "us", "c"),
    process("events", "us", "b", leads=["MATCHES", "management"]),
    process("events", "us", "a"),
    process("assets", "us", "a", leads=["objects"]),
    process("assets", "eu", "a", leads=["eu"]),
]


@pytest.fixture(scope="module")
def expecting() -> Expecting:
    return Expecting(whole())


def zone(expecting: Expecting, name: str) -> dict[Part, Predicted]:
    found = expected(expecting, f"zone={name}", hit=in_zone(PROCESSES, name), processes=PROCESSES, parts=PARTS)
    assert found.failure == f"zone {name}"
    return dict(found.parts)


def test_a_zone_stops_the_shard_that_is_led_there_and_no_other(expecting: Expecting) -> None:
    said = zone(expecting, "us-a")

    stopped = said[US_SHARDS[0]]
    span = failover_secs(5000)
    assert (stopped.outcome, stopped.best_secs, stopped.worst_secs) == ("interrupted", span.best, span.worst)
    assert stopped.loss
    assert "node timeouts" in stopped.rules[0]
    assert [said[part].outcome for part in (*US_SHARDS[1:], *EU_SHARDS)] == ["holds"] * 5
    assert said[US_SHARDS[2]].note == "without a replica until it is back"


def test_a_leader_that_is_elsewhere_makes_the_gravest_case_uncertain(expecting: Expecting) -> None:
    hit, elsewhere = zone(expecting, "us-a"), zone(expecting, "us-b")

    assert hit[ACCOUNTS].certain
    assert hit[ACCOUNTS].best_secs is not None
    assert elsewhere[ACCOUNTS].outcome == "interrupted"
    assert not elsewhere[ACCOUNTS].certain
    assert elsewhere[ACCOUNTS].best_secs is None
    assert elsewhere[STREAM].best_secs == election_secs(3).best
    assert hit[STREAM].best_secs is None


def test_a_database_is_held_against_the_store_that_a_lab_runs(expecting: Expecting) -> None:
    policy = FailoverPolicy(synchronous_mode="quorum")
    here = bounds(policy, dcs="etcd3", members=3, black_hole=False)
    there = bounds(policy, members=3)

    said = zone(expecting, "us-a")[ACCOUNTS]

    assert here.of("node-loss").writable is not None
    assert said.worst_secs == here.of("node-loss").writable.rounded().worst  # type: ignore[union-attr]
    assert said.worst_secs != there.of("node-loss").writable.rounded().worst  # type: ignore[union-attr]
    assert any("ttl" in rule for rule in said.rules)


def test_a_region_takes_along_what_is_only_there(expecting: Expecting) -> None:
    hit = in_region(PROCESSES, "us")

    found = expected(expecting, "region=us", hit=hit, processes=PROCESSES, parts=PARTS)
    said = found.parts

    assert found.failure == "region us"
    assert not found.unpredicted
    assert [said[part].outcome for part in US_SHARDS] == ["down"] * 3
    assert [said[part].outcome for part in EU_SHARDS] == ["holds"] * 3
    assert (said[ACCOUNTS].outcome, said[STREAM].outcome, said[OBJECTS].outcome) == ("down", "down", "read-only")
    assert said[ACCOUNTS].human.startswith("promote the standby in eu")
    assert (said[STANDBY].outcome, said[MIRROR].outcome, said[COPY].outcome) == ("holds",) * 3
    assert [said[part].outcome for part in EDGES] == ["down", "interrupted", "interrupted"]
    assert all(said[part].certain for part in (*US_SHARDS, ACCOUNTS, STREAM, OBJECTS))


def test_every_effect_of_a_row_is_said_even_where_no_client_asks(expecting: Expecting) -> None:
    system = whole()
    row = next(
        each for each in analyse_platform(system).singles if (each.failure.kind, each.failure.name) == ("region", "us")
    )

    said = expected(expecting, "region=us", hit=in_region(PROCESSES, "us"), parts=[OBJECTS]).parts

    wanted = {(name, each.part) for name, cell in row.cells.items() for each in cell.impact.effects}
    assert {(part.member, part.part) for part in said} == wanted


def test_a_copy_whose_region_is_lost_has_nothing_to_give(expecting: Expecting) -> None:
    said = expected(expecting, "region=eu", hit=in_region(PROCESSES, "eu"), processes=PROCESSES, parts=PARTS).parts

    assert (said[MIRROR].outcome, said[MIRROR].readable) == ("down", False)


def test_a_link_that_is_cut_stops_no_writes(expecting: Expecting) -> None:
    found = expected(expecting, "cut=eu,us", processes=PROCESSES, parts=PARTS)
    said = found.parts

    assert found.failure == "link us - eu"
    assert [said[part].outcome for part in (*US_SHARDS, ACCOUNTS, STREAM, OBJECTS)] == ["holds"] * 6
    assert said[MANAGEMENT].outcome == "interrupted"
    assert (said[MANAGEMENT].best_secs, said[MANAGEMENT].worst_secs) == (None, election_secs(9).worst)


def test_the_end_of_a_process_concerns_what_it_leads(expecting: Expecting) -> None:
    (hit,) = [each for each in PROCESSES if each.leads == ("shard 1 of us",)]

    found = expected(expecting, f"kill={hit.name}", hit=[hit], processes=PROCESSES, parts=PARTS)

    assert found.failure == "process of sessions that leads"
    assert found.parts[US_SHARDS[1]].best_secs == failover_secs(5000).best
    others = [part for part in PARTS if part != US_SHARDS[1]]
    assert {found.parts[part].outcome for part in others} == {"holds"}


def test_the_end_of_a_replica_stops_nothing_for_sure(expecting: Expecting) -> None:
    (hit,) = [each for each in PROCESSES if each.name == "accounts-us-b-0"]

    found = expected(expecting, f"kill={hit.name}", hit=[hit], processes=PROCESSES, parts=PARTS)

    assert found.failure == "another process of accounts"
    assert found.parts[ACCOUNTS].outcome == "holds"


def test_a_process_that_hangs_is_as_good_as_lost(expecting: Expecting) -> None:
    (hit,) = [each for each in PROCESSES if each.name == "accounts-us-a-0"]

    found = expected(expecting, f"freeze={hit.name}", hit=[hit], processes=PROCESSES, parts=PARTS)

    silent = bounds(FailoverPolicy(synchronous_mode="quorum"), dcs="etcd3", members=3).of("node-loss").writable
    assert found.failure == "node us-a, for accounts"
    assert silent is not None
    assert found.parts[ACCOUNTS].worst_secs == silent.rounded().worst
    assert found.parts[US_SHARDS[0]].outcome == "holds"


def test_two_zones_at_once_are_a_pair_that_the_analysis_knows(expecting: Expecting) -> None:
    hit = in_zone(PROCESSES, "us-b")

    found = expected(
        expecting, "zone=us-b", hit=hit, processes=PROCESSES, parts=PARTS, in_effect=[LabFault("zone", "us-a")]
    )

    assert found.failure == "zones us-a + us-b"
    assert [found.parts[part].outcome for part in US_SHARDS] == ["down"] * 3
    assert not found.unpredicted


@pytest.mark.parametrize(
    ("fault", "in_effect"),
    [("zone=us-b", "cut=us,eu"), ("kill=sessions-us-a-0", "zone=us-b"), ("freeze=sessions-us-a-0", "zone=us-b")],
)
def test_what_the_analysis_does_not_know_is_not_predicted(expecting: Expecting, fault: str, in_effect: str) -> None:
    kind, _, target = in_effect.partition("=")

    found = expected(
        expecting, fault, hit=PROCESSES[:1], processes=PROCESSES, parts=PARTS, in_effect=[LabFault(kind, target)]  # type: ignore[arg-type]
    )  # fmt: skip

    assert found.failure == ""
    assert found.unpredicted == dict.fromkeys(PARTS, NO_SUCH_PAIR)


def test_a_leader_that_drifted_from_the_plan_is_not_predicted(expecting: Expecting) -> None:
    drifted = process("sessions", "us", "a", 1, leads=["shard 2 of us"])

    found = expected(expecting, "zone=us-a", hit=[PROCESSES[0], drifted], parts=US_SHARDS)

    assert set(found.unpredicted) == {US_SHARDS[2]}


def test_the_gravest_of_several_cases_says_so_in_its_note(expecting: Expecting) -> None:
    said = zone(expecting, "us-a")

    assert said[OBJECTS].note.startswith("if its server and its volume are there")
    assert not said[OBJECTS].certain


def test_edges_may_lose_their_only_origin_with_the_zone_of_its_server() -> None:
    alone = ASSETS.replace("[us, eu]", "[us]")
    expecting = Expecting(platform_of(THREE_REGIONS, "components:", alone))

    said = expected(expecting, "zone=us-a", hit=[PROCESSES[-2]], parts=EDGES).parts

    assert [(said[part].outcome, said[part].certain) for part in EDGES] == [("read-only", False)] * 3


def test_who_fetches_from_a_process_that_ends_is_not_spoken_of(expecting: Expecting) -> None:
    (hit,) = [each for each in PROCESSES if each.leads == ("objects",)]

    found = expected(expecting, f"kill={hit.name}", hit=[hit], processes=PROCESSES, parts=PARTS)

    assert found.parts[OBJECTS].outcome == "interrupted"
    assert set(found.unpredicted) == {*EDGES, OBJECTS}
    assert found.unpredicted[OBJECTS] == "it is back once its process is started again, and a lab has no kubelet"


def test_notes_that_name_their_case_make_every_kind_uncertain() -> None:
    analysis = analyse_platform(whole(), pairs=True)
    worded = [
        effect
        for row in analysis.rows
        for cell in row.cells.values()
        for effect in cell.impact.effects
        if " if " in f" {effect.note}" and effect.outcome in ("down", "read-only")
    ]

    assert worded
    assert not [each.note for each in worded if each.is_certain]


# --- mending


def record(fault: str, *parts: object) -> FaultRecord:
    return FaultRecord(fault=fault, failure="", at=0.0, until=20.0, parts=parts)  # type: ignore[arg-type]


def test_what_was_stopped_is_back_once_everything_is_mended(expecting: Expecting) -> None:
    down = Predicted(outcome="down", readable=False, loss="all sessions of it")
    lost = part_record("sessions", US_SHARDS[0].part, "us", down, measured("down", None), "held")

    found = expected(expecting, "mend=all", hit=PROCESSES, parts=US_SHARDS, earlier=[record("region=us", lost)])

    said = found.parts[US_SHARDS[0]]
    assert (said.outcome, said.worst_secs, said.loss) == ("interrupted", None, "all sessions of it")
    assert not said.readable
    assert found.parts[US_SHARDS[1]].loss == ""
    assert not found.unpredicted


def test_what_serves_pauses_for_no_longer_than_its_own_clocks_when_something_is_mended(expecting: Expecting) -> None:
    pods = [process("gateway", "us", "a")]
    parts = [US_SHARDS[0], ACCOUNTS, STREAM, Part("gateway", "", "us")]

    said = expected(expecting, "mend=all", hit=PROCESSES[:1], processes=[*PROCESSES, *pods], parts=parts).parts

    assert [said[part].outcome for part in parts] == ["interrupted", "interrupted", "interrupted", "holds"]
    assert said[US_SHARDS[0]].worst_secs == failover_secs(5000).worst
    assert said[STREAM].worst_secs == election_secs(3).worst
    assert (said[ACCOUNTS].worst_secs or 0) > 30  # the life of a lease
    assert said[parts[-1]] == Predicted(rules=("nothing that serves is touched",))
    assert judge(said[STREAM], measured("interrupted", 101.0)).verdict == "broken"


def test_a_part_is_watched_for_as_long_as_its_own_clocks_run(expecting: Expecting) -> None:
    clocks = expected(expecting, "zone=us-a", hit=in_zone(PROCESSES, "us-a"), processes=PROCESSES, parts=PARTS).clocks

    assert clocks[US_SHARDS[0]] == clocks[US_SHARDS[2]] == failover_secs(5000).worst
    assert clocks[ACCOUNTS] > 30  # the life of a lease
    assert clocks[EDGES[2]] == READ_SECS


def test_what_was_counted_as_lost_once_may_not_be_lost_again(expecting: Expecting) -> None:
    down = Predicted(outcome="down", loss="all sessions of it")
    part = US_SHARDS[0]
    lost = part_record(part.member, part.part, part.region, down, measured("down", None), "held")
    back = part_record(part.member, part.part, part.region, down, measured("interrupted", 3.0, lost=9), "held")

    earlier = [record("region=us", lost), record("mend=all", back)]
    found = expected(expecting, "mend=all", parts=[part], hit=PROCESSES, earlier=earlier)

    assert found.parts[part].loss == ""


def test_what_remains_broken_keeps_a_mending_from_being_predicted(expecting: Expecting) -> None:
    lost = part_record("sessions", US_SHARDS[0].part, "us", Predicted(), measured("down", None), "broken")

    found = expected(
        expecting, "mend=us-a", hit=PROCESSES, parts=US_SHARDS, in_effect=[LabFault("zone", "us-b")],
        earlier=[record("zone=us-a", lost)],
    )  # fmt: skip

    assert found.unpredicted == {US_SHARDS[0]: "other faults are in effect: zone=us-b"}


def test_what_an_unpredicted_fault_stopped_is_not_predicted_to_be_whole(expecting: Expecting) -> None:
    lost = part_record("sessions", US_SHARDS[0].part, "us", Predicted(), measured("down", None), "unmeasured")

    found = expected(expecting, "mend=all", hit=PROCESSES, parts=US_SHARDS, earlier=[record("zone=us-b", lost)])

    assert found.unpredicted == {US_SHARDS[0]: "nothing was said of what stopped it"}


# --- workloads


def test_a_world_is_gone_with_its_process_and_others_go_on(expecting: Expecting) -> None:
    worlds = [process("world-server", "us", zone, leads=[f"world-server-{place}"]) for place, zone in enumerate("abc")]
    parts = [Part("world-server", each.leads[0], "us") for each in worlds]

    said = expected(expecting, "zone=us-a", hit=worlds[:1], processes=worlds, parts=parts).parts

    assert [said[part].outcome for part in parts] == ["down", "holds", "holds"]


def test_a_service_goes_on_while_a_pod_of_its_region_does(expecting: Expecting) -> None:
    pods = [process("gateway", region, zone) for region in ("us", "eu") for zone in "ab"]
    parts = [Part("gateway", "", "us"), Part("gateway", "", "eu")]

    one = expected(expecting, "zone=us-a", hit=pods[:1], processes=pods, parts=parts).parts
    all_of_it = expected(expecting, "region=us", hit=pods[:2], processes=pods, parts=parts).parts

    assert [one[part].outcome for part in parts] == ["holds", "holds"]
    assert [all_of_it[part].outcome for part in parts] == ["down", "holds"]


def test_a_failure_that_is_felt_is_the_same_for_analyze_and_for_a_lab(expecting: Expecting) -> None:
    """What does not hang on the store of keys is said as ``analyze`` says it."""
    analysis = analyse_platform(whole())
    for row in analysis.singles:
        if row.failure.kind not in ("zone", "region"):
            continue
        said = expected(expecting, f"{row.failure.kind}={row.failure.name}", parts=[OBJECTS]).parts
        for name, cell in row.cells.items():
            for effect in cell.impact.effects:
                if name != "accounts" and effect.outcome in ("down", "read-only"):
                    assert said[Part(name, effect.part, effect.region)].outcome == effect.outcome
