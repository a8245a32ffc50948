"""What the analysis says of a NATS supercluster."""

import random
from collections.abc import Sequence
from itertools import combinations

import msgspec
import pytest

from aether_deploy.infrastructure.analysis.failures import PlatformFailure
from aether_deploy.infrastructure.kinds.nats import NatsConfig
from aether_deploy.infrastructure.nats.impact import analyst
from aether_deploy.infrastructure.nats.quorum import Shape, StreamGroup, fate_of
from aether_deploy.infrastructure.nats.touched import TouchedShape
from tests.analysis_cases import (
    MATCHES,
    ONE_REGION,
    THREE_REGIONS,
    WITNESSED,
    effects,
    found,
    nats,
    platform_of,
    row,
    with_components,
)

TWO_ZONES = ONE_REGION.replace(", us-c", "")


def test_with_three_regions_the_loss_of_one_leaves_the_others_alone() -> None:
    analysis = with_components(THREE_REGIONS, nats(streams=MATCHES))

    lost = effects(analysis, "events", "region", "us")

    assert lost["MATCHES"].outcome == "down"
    assert "MATCHES-mirror-eu" in lost["MATCHES"].human
    assert lost["management"].outcome == "holds"
    assert effects(analysis, "events", "region", "ap")["management"].outcome == "holds"
    assert "MATCHES" not in effects(analysis, "events", "region", "ap")


def test_a_stream_of_three_bears_a_zone_and_stops_for_an_election() -> None:
    lost = effects(with_components(THREE_REGIONS, nats(streams=MATCHES)), "events", "zone", "us-b")["MATCHES"]

    assert (lost.outcome, lost.human, lost.loss) == ("interrupted", "", None)
    assert lost.recovery is not None
    assert 0 < lost.recovery.best < lost.recovery.mean < lost.recovery.worst <= 10


def test_a_stream_of_one_is_a_single_point_and_the_fix_says_so() -> None:
    single = "{name: ONE, subjects: [one.>], regions: [us], replicas: 1, max_bytes: 1Gi}"
    analysis = with_components(THREE_REGIONS, nats(streams=single))

    (finding,) = {each for each in found(analysis, "single-point") if "process" in each.text}

    assert finding.severity == "error"
    assert finding.fix == "set replicas of the stream to 3, in three zones"


ONE_STREAM = "{name: ONE, subjects: [one.>], regions: [us], replicas: 1, max_bytes: 1Gi}"
FIXES: dict[str, tuple[str, str, str, dict[str, str]]] = {
    "a zone of two": (
        TWO_ZONES, "zone", "us-a",
        {
            "management": "give region us a third zone",
            "ONE": "give region us a third zone, and then set replicas of the stream to 3",
        },
    ),
    "the only region": (
        TWO_ZONES, "region", "us",
        {
            "management": "run in two further regions, or in one more and a witness",
            "ONE": "run in a second region, and mirror the stream there",
        },
    ),
    "the only region, of three zones": (
        ONE_REGION, "region", "us",
        {
            "management": "run in two further regions, or in one more and a witness",
            "ONE": "run in a second region, and mirror the stream there",
        },
    ),
    "one of three regions": (
        THREE_REGIONS, "region", "us",
        {"ONE": "give the stream mirrors in another region"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", FIXES)
def test_the_advice_fits_what_is_lost_and_what_there_is(case: str) -> None:
    regions, kind, name, fixes = FIXES[case]

    lost = effects(with_components(regions, nats(streams=ONE_STREAM), workloads=""), "events", kind, name)

    assert {part: effect.fix for part, effect in lost.items() if effect.outcome == "down"} == fixes


def test_a_third_zone_is_what_mends_two() -> None:
    three = "{name: ONE, subjects: [one.>], regions: [us], replicas: 3, max_bytes: 1Gi}"

    lost = effects(with_components(ONE_REGION, nats(streams=three), workloads=""), "events", "zone", "us-a")

    assert {effect.outcome for effect in lost.values()} <= {"holds", "interrupted"}


def vote_fix(zones: Sequence[int]) -> str:
    """Return what is advised where region us is lost and regions have so many zones: ``check`` would refuse them."""
    platform = platform_of(THREE_REGIONS, "components:", nats())
    regions = tuple(
        msgspec.structs.replace(region, datacenters=region.datacenters[:count])
        for region, count in zip(platform.estate.regions, zones, strict=False)
    )
    (config,) = platform.components
    assert isinstance(config, NatsConfig)
    asked = analyst(config, msgspec.structs.replace(platform.estate, regions=regions))
    lost = frozenset(each.name for each in regions[0].datacenters)
    (management,) = asked.impact(PlatformFailure(kind="region", name="us", lost=lost)).effects
    return management.fix


def test_two_regions_alone_are_advised_a_witness() -> None:
    assert vote_fix([3, 3]).startswith("add a witness, or servers in a third region")


def test_two_regions_lost_at_once_are_borne_by_five() -> None:
    analysis = with_components(THREE_REGIONS, nats(), workloads="", pairs=True)

    lost = effects(analysis, "events", "regions", "us + eu")

    assert (lost["management"].outcome, lost["management"].fix) == ("down", "run in two further regions")


def test_where_one_of_three_regions_holds_half_it_is_told_to_hold_less() -> None:
    assert vote_fix([3, 1, 1]) == "let no region hold half of the servers"


def test_a_lost_region_whose_stream_is_mirrored_is_advised_nothing_more() -> None:
    mirrored = MATCHES.replace("replicas: 3", "replicas: 1")

    lost = effects(with_components(THREE_REGIONS, nats(streams=mirrored)), "events", "region", "us")

    assert (lost["MATCHES"].fix, bool(lost["MATCHES"].human)) == ("", True)


def test_only_a_mirror_that_is_promoted_can_lack_messages() -> None:
    mirrored, alone = MATCHES, MATCHES.replace(", mirrors: [eu]", "")
    lost = [
        effects(with_components(THREE_REGIONS, nats(streams=streams)), "events", "region", "us")["MATCHES"]
        for streams in (mirrored, alone)
    ]

    assert [(each.outcome, bool(each.human), each.loss is not None) for each in lost] == [
        ("down", True, True),
        ("down", False, False),
    ]
    assert lost[0].loss is not None
    assert lost[0].loss.text.startswith("once a copy is promoted, what was published within the last 76 ms or more")


def test_a_witness_keeps_the_majority_and_its_own_loss_is_borne() -> None:
    analysis = with_components(WITNESSED, nats(streams=MATCHES, more="witness: fra"))

    assert effects(analysis, "events", "region", "us")["management"].outcome == "holds"
    assert effects(analysis, "events", "region", "eu")["management"].outcome == "holds"
    assert row(analysis, "witness", "fra").cells["events"].impact.outcome == "holds"
    assert found(analysis, "reaches-other-regions") == []


def test_a_cut_between_two_regions_stops_no_stream_and_makes_copies_stale() -> None:
    cut = effects(with_components(THREE_REGIONS, nats(streams=MATCHES)), "events", "link", "us - eu")

    assert {each.outcome for each in cut.values()} == {"holds"}
    assert "gets nothing new" in cut["MATCHES-mirror-eu"].note


def test_a_region_that_is_cut_off_from_both_others_can_make_nothing() -> None:
    analysis = with_components(THREE_REGIONS, nats(streams=MATCHES), pairs=True)

    cut = effects(analysis, "events", "links", "us - eu + us - ap")

    assert cut["management from us"].outcome == "down"
    assert [each.failure.name for each in analysis.graver_pairs if each.failure.kind == "links"] == [
        "us - eu + us - ap",
        "us - eu + eu - ap",
        "us - ap + eu - ap",
    ]


def test_copies_over_links_of_unknown_bandwidth_are_noted() -> None:
    analysis = with_components(THREE_REGIONS, nats(streams=MATCHES.replace("[eu]", "[eu, ap]")))

    (finding,) = found(analysis, "mirror-bandwidth")

    assert "us - ap" in finding.text
    assert "us - eu" not in finding.text


# --- the part that a failure touches


def any_shape(chance: random.Random) -> Shape:
    """Return a supercluster of two to five regions, perhaps with a witness, with streams and copies of them."""
    codes = [f"r{number}" for number in range(chance.randint(2, 5))]
    zones = {f"{code}-{zone}": code for code in codes for zone in range(chance.randint(1, 3))}
    servers = {name: chance.randint(1, 2) for name in zones}
    streams = [
        StreamGroup(name=f"S{number}", role="origin", cluster=chance.choice(codes), replicas=chance.choice([1, 3]))
        for number in range(4)
    ]
    for number, source in enumerate(streams[:2]):
        name = f"M{number}"
        streams.append(
            StreamGroup(name=name, role="mirror", cluster=chance.choice(codes), replicas=1, sources=(source.name,))
        )
    copied = tuple(each.name for each in streams[:3])
    streams.append(StreamGroup(name="A", role="aggregate", cluster=chance.choice(codes), replicas=3, sources=copied))
    witness = {"w": "w"} if chance.random() < 0.5 else {}
    return Shape(
        clusters={**zones, **witness},
        zones={name: name for name in (*zones, *witness)},
        servers={**servers, **dict.fromkeys(witness, 1)},
        witnesses=frozenset(witness),
        streams=tuple(streams),
    )


@pytest.mark.parametrize("seed", range(150))
def test_the_touched_part_answers_as_the_whole_does(seed: int) -> None:
    print(f"seed {seed}")
    chance = random.Random(seed)
    shape = any_shape(chance)
    gone = {name: chance.randint(1, count) for name, count in shape.servers.items() if chance.random() < 0.3}
    pairs = list(combinations(dict.fromkeys(shape.clusters.values()), 2))
    cut = [frozenset(pair) for pair in pairs if chance.random() < 0.3]

    whole = fate_of(shape, lost=gone, cut=cut)
    part = TouchedShape(shape)
    touched = {each.stream.name: each for each in part.streams(gone, cut)}

    assert part.meta(gone, cut) == whole.meta
    for each in whole.streams:
        text, _, _ = each.rule.partition("; no consumer")
        found = touched.get(each.stream.name)
        if found is None:
            assert (each.writable, each.interrupted, each.stale) == ("yes", False, False)
        else:
            assert found == msgspec.structs.replace(each, rule=text)
