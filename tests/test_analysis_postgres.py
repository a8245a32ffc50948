"""What the analysis says of a PostgreSQL cluster: who may be lost, who may take over, how long that takes."""

from collections import Counter
from itertools import combinations
from typing import Literal, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aether_deploy.failover.bounds import bounds
from aether_deploy.failover.election import decide_candidacy
from aether_deploy.failover.policy import FailoverPolicy
from aether_deploy.failover.seen import Peer, RaceView, SyncKey, known
from aether_deploy.failover.timings import StoreKind
from aether_deploy.infrastructure.analysis.failures import PlatformFailure
from aether_deploy.infrastructure.postgres.impact import PostgresAnalyst, effect_of_bound
from aether_deploy.infrastructure.postgres.shards import Shard, Toll, toll_of_zones
from tests.analysis_cases import ONE_REGION, THREE_REGIONS, TWO_REGIONS, effects, found, postgres, row, with_components

STANDBY = "standby: {region: eu, members: 2}"
TWO_ZONES = ONE_REGION.replace(", us-c", "")
ONE_ZONE = ONE_REGION.replace(", us-b, us-c", "")
CITUS = """sharding: {database: game, workers: 3, members_per_worker: 2}"""


@given(members=st.integers(1, 12), zones=st.integers(1, 6), data=st.data())
def test_no_placement_takes_more_or_fewer_than_the_toll_says(members: int, zones: int, data: st.DataObject) -> None:
    lost = data.draw(st.integers(0, zones))

    toll = toll_of_zones(members, zones, lost)

    in_zones = Counter(number % zones for number in range(members))
    taken = [sum(in_zones[zone] for zone in chosen) for chosen in combinations(range(zones), lost)]
    assert toll == Toll(min(taken), max(taken))


def somebody_always_takes_over(members: int, copies: int, lost: int, mode: bool | Literal["quorum"]) -> bool:
    """Return whether the election finds a winner whoever is lost with the leader, and whoever had each write."""
    names = [f"m{number}" for number in range(members)]
    leader, replicas = names[0], names[1:]
    chosen = combinations(replicas, copies) if mode is True else [tuple(replicas)]
    return all(
        any(
            decide_candidacy(
                RaceView(
                    me=name,
                    lsn=100,
                    synchronous=mode,
                    sync=SyncKey(leader=leader, standbys=frozenset(standbys), quorum=members - 1 - copies),
                    members=known(alive),
                    former_members=known(names),
                    former_leader=leader,
                ),
                {other: Peer(name=other, lsn=100) for other in alive if other != name},
            ).may_lead
            for name in alive
        )
        for standbys in chosen
        for gone in combinations(replicas, lost - 1)
        for alive in [[name for name in replicas if name not in gone]]
    )


@pytest.mark.parametrize("mode", [True, "quorum"])
@pytest.mark.parametrize("members", [2, 3, 4, 5])
def test_how_many_may_be_lost_at_once_is_what_the_election_says(mode: bool | Literal["quorum"], members: int) -> None:
    """The analysis calls a loss safe if and only if Patroni's rules find a winner in every case of it."""
    for copies in range(1, members):
        for lost in range(1, members):
            more = f"members: {members}\n    failover: {{synchronous_mode: {str(mode).lower()}"
            analyst = one_analyst(postgres(more=f"{more}, synchronous_node_count: {copies}}}"))

            effect = analyst.loss_of(Shard("", members), Toll(lost, lost))

            assert (effect.outcome == "interrupted") == somebody_always_takes_over(members, copies, lost, mode)


def one_analyst(component: str) -> PostgresAnalyst:
    analyst = with_components(ONE_REGION, component).by_name["accounts"].analyst
    assert isinstance(analyst, PostgresAnalyst)
    return analyst


# --- a zone, a node


def test_three_members_in_three_zones_bear_a_zone_within_the_bounds() -> None:
    lost = effects(with_components(ONE_REGION, postgres()), "accounts", "zone", "us-b")[""]

    expected = bounds(FailoverPolicy(), members=3).of("node-loss").writable
    assert expected is not None
    assert (lost.outcome, lost.human) == ("interrupted", "")
    assert lost.recovery is not None
    assert (lost.recovery.best, lost.recovery.worst) == (round(expected.best, 2), round(expected.worst, 2))
    assert lost.loss is not None
    assert lost.loss.bytes_max == 1_048_576


def test_a_shorter_ttl_is_a_shorter_outage() -> None:
    more = "failover: {ttl: 20, loop_wait: 2, retry_timeout: 5}"
    default, short = (
        effects(with_components(ONE_REGION, postgres(more=text)), "accounts", "node", "us-a")[""].recovery
        for text in ("", more)
    )

    assert default is not None
    assert short is not None
    assert short.worst < default.worst


@pytest.mark.parametrize("mode", ["true", "quorum"])
def test_a_synchronous_cluster_loses_nothing_where_each_copy_has_its_own_zone(mode: str) -> None:
    analysis = with_components(ONE_REGION, postgres(more=f"failover: {{synchronous_mode: {mode}}}"))

    lost = effects(analysis, "accounts", "zone", "us-a")[""]

    assert (lost.outcome, lost.loss) == ("interrupted", None)
    assert found(analysis, "zone-loss") == found(analysis, "acknowledged-writes") == []


@pytest.mark.parametrize("mode", ["true", "quorum"])
def test_in_two_zones_all_copies_of_a_write_may_be_lost_together_and_nobody_takes_over(mode: str) -> None:
    analysis = with_components(TWO_ZONES, postgres(more=f"failover: {{synchronous_mode: {mode}}}"))

    lost = effects(analysis, "accounts", "zone", "us-a")[""]

    assert (lost.outcome, lost.readable) == ("read-only", True)
    assert "may lack writes" in lost.human
    (finding,) = found(analysis, "zone-loss")
    assert finding.severity == "error"
    assert finding.fix.startswith("set failover.synchronous_node_count to 2")


def test_what_the_finding_advises_mends_it() -> None:
    more = "failover: {synchronous_mode: true, synchronous_node_count: 2}"

    assert found(with_components(TWO_ZONES, postgres(more=more)), "zone-loss") == []


def test_an_asynchronous_cluster_in_two_zones_goes_on_and_may_lose_writes() -> None:
    analysis = with_components(TWO_ZONES, postgres())

    lost = effects(analysis, "accounts", "zone", "us-a")[""]

    assert lost.outcome == "interrupted"
    assert [(each.severity, each.fix) for each in found(analysis, "acknowledged-writes")] == [
        ("warning", "set failover.synchronous_mode to true or quorum")
    ]
    assert [each.severity for each in found(analysis, "shared-zones")] == ["note"]


def test_in_one_zone_everything_hangs_on_it() -> None:
    analysis = with_components(ONE_ZONE, postgres())

    assert effects(analysis, "accounts", "zone", "us-a")[""].outcome == "down"
    assert [each.severity for each in found(analysis, "one-zone")] == ["warning"]


def test_a_single_member_starts_again_where_it_was_and_waits_for_its_node() -> None:
    analysis = with_components(ONE_REGION, postgres(more="members: 1"))

    process = effects(analysis, "accounts", "process", role="leader")[""]
    node = effects(analysis, "accounts", "node", "us-a")[""]

    assert (process.outcome, process.human) == ("interrupted", "")
    assert (node.outcome, node.fix) == ("down", "set members to 3")
    assert {each.severity for each in found(analysis, "single-point")} == {"error"}


def test_a_strict_cluster_stops_writing_with_its_last_replica() -> None:
    more = "members: 2\n    failover: {synchronous_mode: true, synchronous_mode_strict: true}"

    lost = effects(with_components(ONE_REGION, postgres(more=more)), "accounts", "process", role="member")[""]

    assert (lost.outcome, lost.readable) == ("read-only", True)


STRICT = "members: 2\n    failover: {synchronous_mode: MODE, synchronous_mode_strict: true}"


@pytest.mark.parametrize("mode", ["true", "quorum"])
def test_a_strict_cluster_of_two_is_stopped_by_either_process_and_somebody_should_mend_that(mode: str) -> None:
    analysis = with_components(ONE_REGION, postgres(more=STRICT.replace("MODE", mode)))

    leader, replica = (effects(analysis, "accounts", "process", role=role)[""] for role in ("leader", "member"))

    assert {leader.outcome, replica.outcome, effects(analysis, "accounts", "zone", "us-a")[""].outcome} == {"read-only"}
    assert leader.recovery is replica.recovery is None
    assert {(each.severity, each.fix) for each in found(analysis, "single-point")} == {
        ("error", "add members, or set failover.synchronous_mode_strict to false")
    }


POLICIES = [
    FailoverPolicy(
        synchronous_mode=mode,
        synchronous_mode_strict=strict,
        synchronous_node_count=count,
        failsafe_mode=failsafe,
        primary_start_timeout=start,
    )
    for mode in (False, True, "quorum")
    for strict in (False, True)
    for count in (1, 2)
    for failsafe in (False, True)
    for start in (0, 300)
]
OUTCOMES = {"back": "interrupted", "untouched": "holds", "stopped": "read-only"}


@pytest.mark.parametrize("members", [2, 3, 4])
@pytest.mark.parametrize("store", get_args(StoreKind))
def test_what_a_bound_says_of_writes_is_what_the_effect_says(members: int, store: StoreKind) -> None:
    rows = [row for policy in POLICIES for row in bounds(policy, dcs=store, members=members).rows]

    told = [(row.fate, effect_of_bound(row)) for row in rows]

    assert {fate for fate, _ in told} == (OUTCOMES.keys() if members == 2 else {"back", "untouched"})
    assert [each for each in told if each[1].outcome != OUTCOMES[each[0]]] == []
    assert [each for each in told if (each[1].recovery is not None) != (each[0] == "back")] == []


# --- the API server


def test_without_failsafe_the_leader_steps_down_when_the_api_server_is_gone() -> None:
    analysis = with_components(ONE_REGION, postgres())

    lost = effects(analysis, "accounts", "control-plane", "us")[""]

    assert (lost.outcome, lost.readable, lost.human) == ("read-only", True, "")
    assert [(each.severity, each.fix) for each in found(analysis, "control-plane")] == [
        ("warning", "set failover.failsafe_mode to true")
    ]


def test_with_failsafe_it_goes_on() -> None:
    analysis = with_components(ONE_REGION, postgres(more="failover: {failsafe_mode: true}"))

    assert effects(analysis, "accounts", "control-plane", "us")[""].outcome == "holds"
    assert found(analysis, "control-plane") == []


# --- regions


def test_a_region_with_a_standby_needs_a_human_and_loses_what_had_not_arrived() -> None:
    analysis = with_components(TWO_REGIONS, postgres(more=STANDBY))

    lost = effects(analysis, "accounts", "region", "us")[""]

    assert (lost.outcome, lost.readable) == ("down", True)
    assert 'promote the standby in eu: PATCH its /config with {"standby_cluster": null}' in lost.human
    assert lost.loss is not None
    assert "76 ms" in lost.loss.text
    assert [each.severity for each in found(analysis, "region-loss-by-hand")] == ["note"]


@pytest.mark.parametrize(
    ("backend", "how"),
    [("patroni", 'PATCH its /config with {"standby_cluster": null}'), ("zalando", "name eu in regions and publish")],
)
def test_a_standby_is_promoted_as_its_back_end_does_it(backend: str, how: str) -> None:
    text = postgres(name="acid-ledger", more=f"standby: {{region: eu}}\n    backend: {backend}")
    if backend == "zalando":
        text = "\n".join(line for line in text.splitlines() if not line.strip().startswith("image:"))
        text += "\n    team: acid\n"
    analysis = with_components(THREE_REGIONS, text)

    human = effects(analysis, "acid-ledger", "region", "us")[""].human

    assert human.startswith(f"promote the standby in eu: {how}")
    assert human.endswith("as runbooks/acid-ledger.md says; make sure that us is gone, or two clusters take writes")


def test_synchronous_members_are_no_help_to_another_region() -> None:
    more = f"{STANDBY}\n    failover: {{synchronous_mode: quorum}}"

    lost = effects(with_components(TWO_REGIONS, postgres(more=more)), "accounts", "region", "us")[""]

    assert lost.loss is not None


def test_without_a_standby_a_lost_region_is_a_warning_that_names_the_nearest_one() -> None:
    analysis = with_components(THREE_REGIONS, postgres())

    assert effects(analysis, "accounts", "region", "us")[""].human == ""
    assert [(each.severity, each.fix) for each in found(analysis, "region-loss")] == [
        ("warning", "add standby: {region: eu}")
    ]


def test_more_members_are_no_advice_against_the_loss_of_the_only_region() -> None:
    analysis = with_components(ONE_REGION, postgres(more="members: 1"))

    assert [each.fix for each in found(analysis, "region-loss")] == ["keep a copy in a second region"]
    assert [each.fix for each in found(analysis, "zone-loss")] == ["set members to 3"]


def test_a_single_member_with_a_second_region_in_reach_is_advised_a_standby_for_the_loss_of_its_own() -> None:
    analysis = with_components(THREE_REGIONS, postgres(more="members: 1"))

    assert [each.fix for each in found(analysis, "region-loss")] == ["add standby: {region: eu}"]


def test_with_one_region_alone_its_loss_is_a_note() -> None:
    assert [each.severity for each in found(with_components(ONE_REGION, postgres()), "region-loss")] == ["note"]


def test_both_regions_lost_leave_nobody_to_promote() -> None:
    analysis = with_components(THREE_REGIONS, postgres(more=STANDBY), pairs=True)

    both = effects(analysis, "accounts", "regions", "us + eu")[""]
    other = effects(analysis, "accounts", "regions", "us + ap")[""]

    assert (both.human, both.readable) == ("", False)
    assert other.human != ""


@pytest.mark.parametrize(("kind", "name"), [("region", "eu"), ("link", "us - eu")])
def test_a_lost_standby_stops_no_write_and_fills_the_volume(kind: str, name: str) -> None:
    analysis = with_components(TWO_REGIONS, postgres(more=STANDBY))

    lost = effects(analysis, "accounts", kind, name)

    assert row(analysis, kind, name).cells["accounts"].impact.outcome == "holds"
    assert "WAL piles up on the primary's volume (10Gi)" in lost["standby"].note


def test_a_standby_that_loses_a_zone_follows_again() -> None:
    lost = effects(with_components(TWO_REGIONS, postgres(more=STANDBY)), "accounts", "zone", "eu-a")

    assert lost["standby"].note.startswith("it follows again after 23 to 33 s")


def test_a_standby_over_a_link_of_unknown_bandwidth_is_noted() -> None:
    assert len(found(with_components(TWO_REGIONS, postgres(more=STANDBY)), "standby-bandwidth")) == 1
    assert found(with_components(THREE_REGIONS, postgres(more=STANDBY)), "standby-bandwidth") == []


# --- shards


def test_each_shard_answers_for_itself() -> None:
    text = postgres(more=CITUS).replace("ghcr.io/zalando/spilo-18:4.1-p2", "registry.example.com/patroni-citus:18.1")
    analysis = with_components(ONE_REGION, text)

    lost = effects(analysis, "accounts", "zone", "us-a")

    assert list(lost) == ["coordinator", "each of 3 workers"]
    assert {each.outcome for each in lost.values()} == {"interrupted"}
    assert analysis.by_name["accounts"].analyst.parts == 2
    assert analysis.by_name["accounts"].analyst.pods["us-a"] == "1 to 4 members"


def test_a_worker_of_one_is_advised_the_setting_of_workers() -> None:
    text = postgres(more=CITUS.replace("members_per_worker: 2", "members_per_worker: 1"))
    analysis = with_components(ONE_REGION, text.replace("zalando/spilo-18:4.1-p2", "registry/patroni-citus:18.1"))

    lost = effects(analysis, "accounts", "zone", "us-a")

    assert lost["each of 3 workers"].fix == "set sharding.members_per_worker to 3"


# --- two primaries


def test_a_patroni_that_hangs_leaves_two_primaries_until_the_probe_ends_the_old_one() -> None:
    (finding,) = found(with_components(ONE_REGION, postgres()), "two-primaries")

    assert finding.severity == "warning"
    assert "for up to 24.5 s" in finding.text
    assert finding.fix.startswith("raise failover.ttl to 55")


def test_a_ttl_beyond_the_probe_leaves_no_two_primaries() -> None:
    assert found(with_components(ONE_REGION, postgres(more="failover: {ttl: 55}")), "two-primaries") == []


def test_named_synchronous_replicas_leave_no_write_to_two_primaries() -> None:
    assert (
        found(with_components(ONE_REGION, postgres(more="failover: {synchronous_mode: true}")), "two-primaries") == []
    )


# --- every answer


@pytest.mark.parametrize("mode", ["false", "true", "quorum"])
@pytest.mark.parametrize("regions", [ONE_REGION, TWO_ZONES, ONE_ZONE, TWO_REGIONS, THREE_REGIONS])
@pytest.mark.parametrize("members", [1, 2, 3, 5])
def test_every_answer_rests_on_a_rule_with_a_source(mode: str, regions: str, members: int) -> None:
    more = f"members: {members}\n    failover: {{synchronous_mode: {mode}}}"
    analysis = with_components(regions, postgres(more=more), pairs=True)

    answers = [each for row in analysis.rows for each in row.cells["accounts"].impact.effects]

    assert [each for each in answers if not each.rules or not all(rule.source for rule in each.rules)] == []
    assert [each for each in answers if each.outcome == "interrupted" and each.recovery is None] == []


def test_a_failure_elsewhere_is_never_asked() -> None:
    analysis = with_components(THREE_REGIONS, postgres(more=STANDBY))

    footprint = analysis.by_name["accounts"].analyst.footprint

    assert "ap-a" not in footprint.datacenters
    assert (
        PlatformFailure(kind="link", name="", cut=frozenset((frozenset(("us", "ap")),))).within(footprint).cut
        == frozenset()
    )


@pytest.mark.parametrize(
    ("timings", "late"),
    [("{ttl: 20, loop_wait: 9, retry_timeout: 5}", ["7 s"]), ("{ttl: 20, loop_wait: 10, retry_timeout: 5}", [])],
)
def test_replicas_that_look_long_after_the_key_is_free_are_noted(timings: str, late: list[str]) -> None:
    noted = found(with_components(ONE_REGION, postgres(more=f"failover: {timings}")), "late-look")

    assert [each.text.partition("noticed ")[2].partition(" after")[0] for each in noted] == late
