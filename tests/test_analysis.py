"""What can fail, and whom it touches."""

import itertools
import random

import msgspec
import pytest

from aether_deploy.infrastructure.analysis.analysing import Analysis, Cell, Use, analyse, users_hit
from aether_deploy.infrastructure.analysis.analysts import PlainAnalyst
from aether_deploy.infrastructure.analysis.failures import Footprint, PlatformFailure, pair_failures, single_failures
from aether_deploy.infrastructure.analysis.impacts import Effect, FailureImpact, Loss, Outcome, is_graver
from aether_deploy.infrastructure.analysis.judging import analysis_findings
from aether_deploy.infrastructure.analysis.table import summary_text
from aether_deploy.infrastructure.estate import Datacenter, Estate, EstateRegion
from aether_deploy.timespan import TimeSpan
from tests.analysis_cases import (
    ESTATE,
    EU,
    MATCHES,
    THREE_REGIONS,
    US,
    WORLD,
    Counting,
    analysed,
    nats,
    platform_of,
    row,
    subject,
    with_components,
)


def named(failures: list[PlatformFailure], kind: str) -> list[str]:
    return [each.name for each in failures if each.kind == kind]


# --- what can fail


def test_everything_that_can_fail_alone_is_asked() -> None:
    failures = single_failures(ESTATE, ["accounts"])

    assert [(each.name, each.role) for each in failures if each.kind == "process"] == [
        ("accounts", "leader"),
        ("accounts", "member"),
    ]
    assert named(failures, "node") == ["us-a", "us-b", "us-c", "eu-a"]
    assert named(failures, "zone") == ["us-a", "us-b", "us-c", "eu-a"]
    assert named(failures, "witness") == ["fra"]
    assert named(failures, "control-plane") == ["us", "dublin"]
    assert named(failures, "region") == ["us", "eu"]
    assert named(failures, "link") == ["us - eu"]


def test_a_witness_in_a_cluster_of_its_own_survives_the_region_that_lists_it() -> None:
    lost = {each.name: each.lost for each in single_failures(ESTATE, []) if each.kind == "region"}

    assert lost == {"us": {"us-a", "us-b", "us-c"}, "eu": {"eu-a"}}


def test_a_witness_in_the_cluster_of_its_region_is_lost_with_it() -> None:
    near = EstateRegion("eu", "dublin", (EU.datacenters[0], Datacenter("fra", "fra-a", "eu", "dublin", witness=True)))
    estate = Estate("aether", "prod", (US, near))

    (region,) = (each for each in single_failures(estate, []) if each.name == "eu" and each.kind == "region")

    assert region.lost == {"eu-a", "fra"}


def test_datacenters_in_one_zone_are_lost_together() -> None:
    twin = EstateRegion("eu", "eu", tuple(Datacenter(name, "a", "eu", "eu") for name in ("one", "two")))
    estate = Estate("aether", "prod", (twin,))

    zones = [each for each in single_failures(estate, []) if each.kind == "zone"]

    assert [(each.name, each.lost) for each in zones] == [("eu-a", frozenset(("one", "two")))]


def test_pairs_are_all_pairs_of_zones_of_regions_and_of_links() -> None:
    ap = EstateRegion("ap", "ap", (Datacenter("ap-a", "ap-a", "ap", "ap"),))
    failures = list(pair_failures(Estate("aether", "prod", (US, EU, ap))))

    assert len(named(failures, "zones")) == len(list(itertools.combinations(range(5), 2)))
    assert named(failures, "regions") == ["us + eu", "us + ap", "eu + ap"]
    assert named(failures, "links") == ["us - eu + us - ap", "us - eu + eu - ap", "us - ap + eu - ap"]


def test_a_failure_is_felt_only_as_far_as_the_footprint_reaches() -> None:
    zones = PlatformFailure(kind="zones", name="us-a + eu-a", lost=frozenset(("us-a", "eu-a")))

    felt = zones.within(Footprint(frozenset(("us-a", "us-b"))))

    assert felt == PlatformFailure(kind="zone", name="", lost=frozenset(("us-a",)))


# --- whom it touches


def test_a_component_is_asked_only_about_what_touches_it_and_about_each_once() -> None:
    inside, outside = Counting("us-a us-b"), Counting("eu-a")

    analysis = analyse(ESTATE, [subject("inside", inside), subject("outside", outside)], pairs=True)

    assert {name for each in inside.asked for name in each.lost} == {"us-a", "us-b"}
    assert {name for each in outside.asked for name in each.lost} == {"eu-a"}
    assert len(inside.asked) == len(set(inside.asked))
    assert [each.failure.name for each in analysis.singles if each.failure.kind == "zone"] == ["us-a", "us-b", "eu-a"]


def test_a_failure_that_touches_nothing_has_no_row_and_is_counted() -> None:
    analysis = analyse(ESTATE, [subject("inside", Counting("us-a"))])

    assert [each.failure.name for each in analysis.singles if each.failure.kind == "zone"] == ["us-a"]
    assert analysis.untouching + len(analysis.singles) == len(single_failures(ESTATE, ["inside"]))


def test_a_workload_that_is_served_over_a_link_is_cut_off_with_it() -> None:
    near, far = Use("near", "us", "us"), Use("far", "eu", "us")
    analysis = analyse(ESTATE, [subject("inside", Counting("us-a"), near, far)])

    cell = row(analysis, "link").cells["inside"]

    assert (cell.impact.effects, cell.cut_off) == ((), (far,))


def test_who_is_hit_are_those_who_use_it_and_are_not_gone_themselves() -> None:
    near, far = Use("near", "us", "us"), Use("far", "eu", "us")
    analysis = analyse(ESTATE, [subject("inside", Counting("us-a us-b us-c"), near, far)])

    assert users_hit(analysis, row(analysis, "zone", "us-a"), "inside") == [near, far]
    assert users_hit(analysis, row(analysis, "region", "us"), "inside") == [far]


def test_pairs_are_graver_only_where_they_do_more_than_each_half() -> None:
    class Two(Counting):
        def impact(self, failure: PlatformFailure) -> FailureImpact:
            return FailureImpact((Effect(outcome="down" if len(failure.lost) > 1 else "holds", note="weaker"),))

    analysis = analyse(ESTATE, [subject("two", Two("us-a us-b"))], pairs=True)

    assert [each.failure.name for each in analysis.graver_pairs] == ["us-a + us-b"]


def test_the_work_does_not_depend_on_who_is_not_touched() -> None:
    """Many components elsewhere change neither rows nor answers of one here."""
    alone = analyse(ESTATE, [subject("here", Counting("us-a"))], pairs=True)
    crowd = [subject(f"there-{number}", Counting("eu-a")) for number in range(20)]
    among = analyse(ESTATE, [subject("here", Counting("us-a")), *crowd], pairs=True)

    def cells(analysis: Analysis) -> dict[tuple[str, str, str | None], Cell]:
        rows = analysis.rows
        return {(r.failure.kind, r.failure.name, r.failure.role): r.cells["here"] for r in rows if "here" in r.cells}

    assert cells(alone) == cells(among)


def test_gravity_orders_outcomes_before_times_and_people_before_times() -> None:
    slow = FailureImpact((Effect(outcome="interrupted", recovery=TimeSpan(1, 2, 300)),))
    asks = FailureImpact((Effect(outcome="interrupted", recovery=TimeSpan(1, 2, 3), human="act"),))
    down = FailureImpact((Effect(outcome="down"),))

    assert is_graver(down, [slow, asks])
    assert is_graver(asks, [slow])
    assert not is_graver(slow, [slow])


# --- what is to be mended


class Lossy(Counting):
    """A kind that knows no fix: everything stops it, everywhere, and takes what was acknowledged."""

    def impact(self, failure: PlatformFailure) -> FailureImpact:
        outcome: Outcome = "interrupted" if failure.role == "member" else "down"
        return FailureImpact((Effect(outcome=outcome, region="eu", loss=Loss(text="all")),))


class Advising(Lossy):
    """The same, of a kind that knows one."""

    def impact(self, failure: PlatformFailure) -> FailureImpact:
        (effect,) = super().impact(failure).effects
        return FailureImpact((msgspec.structs.replace(effect, fix="add a zebra"),))


def test_a_judge_of_all_kinds_advises_no_parts_that_only_some_kinds_have() -> None:
    analysis = analyse(ESTATE, [subject("any", Lossy("us-a us-b us-c fra", (("us", "eu"),)))])

    findings = analysis_findings(analysis)

    assert {each.rule for each in findings} >= {
        "single-point", "zone-loss", "reaches-other-regions", "witness-decides", "link-loss", "acknowledged-writes",
    }  # fmt: skip
    words = {word for each in findings for word in each.fix.replace(",", "").split()}
    assert words & {"server", "servers", "votes", "members", "majority", "synchronous", "stream"} == set()


def test_where_a_kind_knows_a_fix_it_speaks() -> None:
    analysis = analyse(ESTATE, [subject("any", Advising("us-a us-b us-c fra", (("us", "eu"),)))])

    assert {each.fix for each in analysis_findings(analysis)} == {"add a zebra"}


# --- of any kind


def test_a_kind_without_rules_is_gone_with_its_last_datacenter_and_says_that_no_more_is_known() -> None:
    (component,) = platform_of(THREE_REGIONS, WORLD, "components:", nats(streams="")).components
    analyst = PlainAnalyst(component, ESTATE)

    zone = analyst.impact(PlatformFailure(kind="zone", name="", lost=frozenset(("us-a",))))
    region = analyst.impact(PlatformFailure(kind="region", name="", lost=frozenset(("us-a", "us-b", "us-c"))))

    assert (zone.outcome, region.outcome) == ("holds", "down")
    assert "not known" in region.effects[0].rules[-1].text


def test_a_platform_without_components_has_an_empty_analysis() -> None:
    analysis = analysed(THREE_REGIONS, WORLD)

    assert (analysis.subjects, analysis.singles, analysis_findings(analysis)) == ((), (), [])
    assert summary_text(analysis, []).endswith("0 components: no findings")


def test_a_component_that_is_switched_off_is_not_analysed() -> None:
    analysis = with_components(THREE_REGIONS, nats(streams=MATCHES, more="enabled: false"))

    assert analysis.subjects == ()


@pytest.mark.parametrize("seed", range(20))
def test_what_is_remembered_is_what_would_be_answered(seed: int) -> None:
    """Every cell equals the answer to the whole failure, asked anew."""
    print(f"seed {seed}")
    chance = random.Random(seed)
    replicas = chance.choice([1, 3])
    stream = f"{{name: ONE, subjects: [one.>], regions: [us], replicas: {replicas}, max_bytes: 1Gi, mirrors: [eu]}}"
    analysis = with_components(THREE_REGIONS, nats(streams=stream), pairs=True)

    for each in chance.sample(analysis.rows, 20):
        for name, cell in each.cells.items():
            assert cell.impact == analysis.by_name[name].analyst.impact(each.failure)
