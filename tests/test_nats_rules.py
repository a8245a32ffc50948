"""What servers would start with and then fail at is said before, with where and how to fix."""

from typing import Any

import pytest

from aether_deploy.infrastructure.estate import Datacenter, EstateRegion
from aether_deploy.problems import ConfigError
from tests.nats_cases import (
    GATEWAY,
    MATCHES,
    ONE,
    TELEMETRY,
    THREE,
    TWO,
    WITNESS,
    alone,
    estate,
    faults,
    nats,
    region,
    told,
)

SMALL: dict[str, Any] = {"name": "A", "subjects": ["a.>"], "max_bytes": "1Gi"}


def refused(*streams: dict[str, Any], **settings: Any) -> str:
    """Return the only fault of a component that cannot be built."""
    with pytest.raises(ConfigError) as caught:
        nats(*streams, **settings)
    (problem,) = caught.value.problems
    return str(problem)


# --- sound ones


@pytest.mark.parametrize(
    "where, settings",
    [(THREE, {}), (WITNESS, {"witness": "fra"}), (estate(region("us", 1), region("eu", 1), region("ap", 1)), {})],
    ids=["three regions", "two and a witness", "a zone in each"],
)
def test_a_sound_supercluster_has_no_fault(where: Any, settings: dict[str, Any]) -> None:
    assert told(nats(MATCHES, TELEMETRY, **settings), where) == []


def test_one_region_needs_no_gateway() -> None:
    assert told(alone(SMALL), ONE) == []


# --- the majority


def test_two_regions_alone_lose_everything_with_one() -> None:
    (fault,) = told(nats(), TWO)

    assert fault == (
        "$: region 'us' holds 3 of 6 servers: without it there is no majority, and no stream or consumer can be made "
        "in any region / add a datacenter with role: witness and a cluster of its own, and name it in witness (its "
        "server is the one that lacks), or run in a further region"
    )


def test_a_witness_that_is_there_is_named() -> None:
    (fault,) = told(nats(), WITNESS)

    assert fault.endswith("/ set witness: fra, whose server is the one that lacks, or run in a further region")


def test_a_region_that_outweighs_all_others_is_counted() -> None:
    (fault,) = told(nats(), estate(region("us", 5), region("eu", 1), region("ap", 1)))

    assert fault.startswith("$: region 'us' holds 5 of 7 servers")
    assert fault.endswith("/ let the others have 6 servers together, 4 more than now")


def test_a_witness_does_not_save_a_region_that_outweighs_two() -> None:
    (fault,) = told(nats(witness="fra"), estate(region("us", 3), region("eu", 2, "fra")))

    assert fault.startswith("witness: region 'us' holds 3 of 6 servers")


def test_more_servers_in_each_zone_change_no_share() -> None:
    assert "holds 6 of 12" in told(nats(servers_per_zone=2), TWO)[0]


def test_a_region_of_two_zones_is_warned_of() -> None:
    (fault,) = faults(alone(), estate(region("us", 2)))

    assert (fault.severity, fault.reason) == (
        "warning",
        "zone 'us-a' holds 1 of its 2 servers: without it there is no majority",
    )


# --- the witness

WITNESSES = {
    "unknown": ("fre", WITNESS, "no datacenter has that name, or it is disabled / did you mean 'fra'?"),
    "unknown, and there is none": (
        "fra",
        THREE,
        "no datacenter has that name, or it is disabled / add it to the datacenters of a region, with role: witness "
        "and a cluster of its own",
    ),
    "holds data": (
        "us-a",
        THREE,
        "a datacenter of region 'us' that holds data / name one with role: witness",
    ),
}


@pytest.mark.parametrize("name, where, words", WITNESSES.values(), ids=WITNESSES.keys())
def test_a_witness_is_one_that_can_vote(name: str, where: Any, words: str) -> None:
    assert f"witness: {words}" in told(nats(witness=name), where)


def test_a_witness_in_the_cluster_of_a_region_falls_with_it() -> None:
    inside = EstateRegion("eu", "eu", (*region("eu").full, Datacenter("fra", "z", "eu", "eu", True)), "aws")
    found = told(nats(witness="fra"), estate(region("us"), inside))

    assert "witness: in cluster 'eu', which goes down with its region and then does not vote" in found[0]


def test_a_witness_named_as_a_region_would_be_its_cluster() -> None:
    where = estate(region("us"), region("eu", 3, "ap"), region("ap"))
    found = told(nats(witness="ap", regions=["us", "eu"]), where)

    assert any(each.startswith("witness: named as a region is") for each in found)


def test_a_witness_of_one_region_is_of_no_use() -> None:
    config = nats(witness="fra", regions=["eu"])

    assert [(each.at, each.severity) for each in faults(config, WITNESS)] == [(("witness",), "warning")]
    assert told(config, WITNESS) == [
        "witness: of no use to one region, whose streams stop with it: it has no server / remove it, or run in a "
        "second region"
    ]
    assert config.witnesses(WITNESS) == ()


def test_where_one_of_two_regions_is_switched_off_only_the_witness_is_told() -> None:
    left = estate(region("eu", 3, "fra"), disabled=frozenset({"us"}))
    both = {"name": "A", "subjects": ["a.{region}.>"], "max_bytes": "1Gi"}

    assert [fault.at for fault in faults(nats(both, witness="fra"), left)] == [("witness",)]


def test_a_witness_that_went_with_its_region_is_only_warned_of() -> None:
    config, left = nats(witness="fra"), estate(region("us"), disabled=frozenset({"eu"}))

    assert [(fault.at, fault.severity) for fault in faults(config, left)] == [(("witness",), "warning")]
    assert told(config, left)[0].endswith(" / set witness: none here, or run in a second region")


def test_a_slip_in_the_witness_is_not_told_as_a_lack_of_votes() -> None:
    assert told(nats(witness="fre"), WITNESS) == [
        "witness: no datacenter has that name, or it is disabled / did you mean 'fra'?"
    ]


def test_a_slip_in_a_witness_that_would_not_do_is_told_with_it() -> None:
    found = told(nats(witness="fre"), estate(region("us", 3), region("eu", 1, "fra")))

    assert [each.partition(":")[2].split(" ")[1] for each in found] == ["no", "region"]


# --- gateways


def test_two_regions_need_gateways() -> None:
    found = told(alone(), THREE)

    assert found[0].startswith("$: lacks 'gateway', by which its 3 clusters would reach each other / add gateway:")


def test_a_gateway_that_nothing_exposes_is_refused() -> None:
    assert "nothing exposes port gateway" in refused(expose="none")
    assert "nothing exposes port gateway" in refused(expose={"ports": ["client"], "per_pod": True})


def test_gateways_of_several_servers_need_an_address_each() -> None:
    assert "one address for all servers" in refused(expose={"ports": ["gateway"]})
    assert "the same for every server" in refused(gateway={"endpoint": "nats.example.com"})


def test_a_port_that_is_closed_cannot_be_exposed() -> None:
    assert "closed without 'leafnodes'" in refused(expose={**GATEWAY["expose"], "ports": ["gateway", "leafnode"]})
    assert "no port of it" in refused(expose={**GATEWAY["expose"], "ports": ["gateway", "monitor"]})


def test_gateways_without_certificates_are_warned_of() -> None:
    open_to_all = nats(tls="none", expose={**GATEWAY["expose"], "internal": False})

    assert [(each.at, each.severity) for each in faults(open_to_all)] == [
        (("gateway",), "warning"),
        (("network",), "warning"),
    ]


HOSTS = [
    "https://{pod}.example.com",
    "{pod}.example.com:7222",
    "{pod}.a b.example.com",
    "{pod}.a_b.com",
    "{pod}..com",
    "",
]


@pytest.mark.parametrize("host", HOSTS)
def test_an_endpoint_that_is_no_host_name_is_refused(host: str) -> None:
    for settings in ({"gateway": {"endpoint": host}}, {"leafnodes": {"endpoint": host}}):
        with pytest.raises(ConfigError) as caught:
            nats(**settings)

        assert any("not a host name" in str(problem) for problem in caught.value.problems)


def test_an_endpoint_that_becomes_too_long_is_refused() -> None:
    close, apart = "x" * 50 + "-{pod}.example.com", "x" * 50 + ".{pod}.example.com"
    whole = ".".join(["x" * 50] * 4) + ".{pod}.{pod}.{pod}.{pod}.{pod}"

    assert told(nats(gateway={"endpoint": apart}, leafnodes={"endpoint": apart})) == []
    assert told(nats(leafnodes={"endpoint": close})) == [
        f"leafnodes.endpoint: for server 'events-us-a-0' '{'x' * 50}-events-us-a-0' has 64 characters; a label has at "
        "most 63 / shorten it, or join its parts by '.'"
    ]
    assert "characters; a host name has at most 253" in told(nats(gateway={"endpoint": whole}))[0]


# --- streams: where

PLACES = {
    "an unknown region": (
        {"regions": ["eu", "uss"]},
        "streams.0.regions.1: no region has that code / did you mean 'us'?",
    ),
    "an unknown mirror": (
        {"regions": ["us"], "mirrors": ["mars"]},
        "streams.0.mirrors.0: no region has that code / known are us, eu, ap",
    ),
    "an unknown gathering place": ({"aggregate_in": "mars"}, "streams.0.aggregate_in: no region has that code"),
    "a mirror of itself": ({"regions": ["us"], "mirrors": ["us"]}, "streams.0.mirrors.0: the stream itself is there"),
}


@pytest.mark.parametrize("settings, words", PLACES.values(), ids=PLACES.keys())
def test_a_stream_is_where_servers_are(settings: dict[str, Any], words: str) -> None:
    stream = {"name": "A", "subjects": ["{region}.a.>"], "max_bytes": "1Gi", **settings}

    assert any(each.startswith(words) for each in told(nats(stream)))


def test_a_region_without_the_component_keeps_no_stream() -> None:
    config = nats({**SMALL, "regions": ["us"], "mirrors": ["ap"]}, regions=["us", "eu"], witness="fra")
    where = estate(region("us"), region("eu", 3, "fra"), region("ap"))

    assert told(config, where) == ["streams.0.mirrors.0: a region in which the component does not run / one of us, eu"]


def test_lists_shrink_and_single_references_do_not() -> None:
    where = estate(region("us"), region("ap"), region("sa"), disabled=frozenset({"eu"}))
    shrunk = {"name": "A", "subjects": ["a.{region}.>"], "regions": ["us", "eu"], "max_bytes": "1Gi", "mirrors": ["eu"]}

    assert told(nats(shrunk), where) == []
    assert told(nats({**shrunk, "aggregate_in": "eu"}), where) == [
        "streams.0.aggregate_in: a region that is disabled / name a region that is enabled, or set aggregate_in: none "
        "here"
    ]
    assert told(nats({**SMALL, "regions": ["eu"]}), where) == [
        "streams.0.regions: names no region that is enabled / name one that is enabled, or use enabled: false"
    ]


def test_a_region_that_is_unknown_hides_nothing_else() -> None:
    stream = {**SMALL, "regions": ["nowhere"], "replicas": 5, "max_bytes": "50Gi"}

    found = told(nats(stream), estate(tools_image=None))

    assert [each.partition(" / ")[0] for each in found] == [
        "streams.0.regions.0: no region has that code",
        "streams.0.replicas: more than the 3 zones of region 'us': no two replicas share a zone",
        "pvc.size: less than the 50Gi of stream 'A' that a server keeps",
        "streams: made by a Job of our own program, and the platform has no 'tools_image'",
    ]
    assert len(told(nats({**stream, "replicas": 3, "max_bytes": "1Gi"}))) == 1


# --- streams: how many


def test_replicas_beyond_the_zones_of_a_region_are_refused() -> None:
    found = told(nats({**MATCHES, "replicas": 5}))

    assert found == [
        "streams.0.replicas: more than the 3 zones of region 'us': no two replicas share a zone / set it to 3, or "
        "leave it out"
    ]


def test_a_mirror_needs_its_zones_too() -> None:
    found = told(nats({**MATCHES, "replicas": 3}), estate(region("us"), region("eu", 1), region("ap", 3)))

    assert found[0].startswith("streams.0.replicas: more than the 1 zone of region 'eu'")


EVEN = {
    "two in three zones": (2, 3, "an even count: it bears no loss at all / set it to 1, or to 3"),
    "two in two zones": (2, 2, "an even count: it bears no loss at all / set it to 1"),
    "four in four zones": (4, 4, "an even count: it bears the loss of one server, as 3 do / set it to 3"),
    "four in five zones": (4, 5, "an even count: it bears the loss of one server, as 3 do / set it to 3, or to 5"),
    "four in three zones": (
        4,
        3,
        "more than the 3 zones of region 'us': no two replicas share a zone / set it to 3, or leave it out",
    ),
}


@pytest.mark.parametrize("count, zones, words", EVEN.values(), ids=EVEN.keys())
def test_of_an_even_count_only_what_helps_is_told(count: int, zones: int, words: str) -> None:
    found = told(nats({**SMALL, "regions": ["us"], "replicas": count}), estate(region("us", zones), *THREE.regions[1:]))

    assert found == [f"streams.0.replicas: {words}"]


def test_of_two_regions_the_one_with_fewer_zones_counts() -> None:
    mirrored = {**SMALL, "regions": ["us"], "mirrors": ["eu"], "replicas": 2}

    (fault,) = told(nats(mirrored), estate(region("us"), region("eu", 2), region("ap")))

    assert fault.endswith("set it to 1")


# --- streams: what


def test_the_same_subject_in_several_regions_is_kept_twice() -> None:
    found = told(nats({"name": "A", "subjects": ["a.>"], "max_bytes": "1Gi"}))

    assert found == [
        "streams.0.subjects.0: the same in regions 'us' and 'eu', whose streams would both keep it / write {region} "
        "into it as a token: a.{region}.>"
    ]


@pytest.mark.parametrize(
    "subject, written",
    [("a", "a.{region}"), ("a.b.*", "a.{region}.b.*"), ("telemetry.>", "telemetry.{region}.>")],
)
def test_the_fix_of_a_subject_is_a_subject_that_passes(subject: str, written: str) -> None:
    stream = {"name": "A", "subjects": [subject], "max_bytes": "1Gi"}

    assert told(nats(stream))[0].endswith(f"as a token: {written}")
    assert told(nats({**stream, "subjects": [written]})) == []


def test_subjects_of_one_stream_that_overlap_are_told_so() -> None:
    assert told(nats({**SMALL, "subjects": ["a.*", "a.b"], "regions": ["us"]})) == [
        "streams.0.subjects.1: overlaps with 'a.*' of the same stream, which the server refuses / remove one of the "
        "two, or let it be narrower"
    ]


OVERLAPS = {
    "the same": ("a.b", True),
    "beneath": ("a.b.c", False),
    "by >": ("a.>", True),
    "by *": ("a.*", True),
    "by * elsewhere": ("b.*", False),
    "longer": ("a.b.>", False),
    "by * and >": ("a.*.>", False),
}


@pytest.mark.parametrize("subject, overlaps", OVERLAPS.values(), ids=OVERLAPS.keys())
def test_overlapping_subjects_of_one_account_are_refused(subject: str, overlaps: bool) -> None:
    one = {"name": "A", "subjects": ["a.b"], "regions": ["us"], "max_bytes": "1Gi"}
    found = told(nats(one, {**one, "name": "B", "subjects": [subject]}))

    assert [each.partition(" / ")[0] for each in found] == (
        ["streams.1.subjects.0: overlaps with 'a.b' of stream 'A': the server refuses the second"] if overlaps else []
    )


def test_accounts_do_not_share_subjects() -> None:
    one = {"name": "A", "subjects": ["a.>"], "regions": ["us"], "max_bytes": "1Gi", "account": "APP"}
    accounts = [
        {"name": "APP", "users": [{"name": "app"}]},
        {"name": "OPS", "users": [{"name": "ops", "secret": "events-ops"}]},
    ]

    assert told(nats(one, {**one, "name": "B", "account": "OPS"}, accounts=accounts)) == []


SUBJECTS = {
    "a..b": "has an empty token",
    ".a": "has an empty token",
    "a.>.b": "has '>' before its end",
    "a.b*": "has 'b*', whose wildcard stands for itself",
    ">": "overlaps with $JS.>",
    "*.b": "overlaps with $JS.>",
    "$JS.EVENT.a": "overlaps with $JS.>",
    "$SYS.a": "overlaps with $SYS.>",
    "a b": "not a subject",
    "a.{zone}": "has no placeholder {zone}",
}


@pytest.mark.parametrize("subject, words", SUBJECTS.items())
def test_a_subject_that_servers_refuse_or_read_otherwise_is_refused(subject: str, words: str) -> None:
    assert words in refused({**SMALL, "subjects": [subject]})


@pytest.mark.parametrize("name", ["a.b", "a b", "a*", "a>", "a/b", "a\\b", "", "-a"])
def test_a_name_that_is_no_file_and_no_token_is_refused(name: str) -> None:
    assert "$.streams[0].name" in refused({**SMALL, "name": name})


def test_two_streams_of_one_name_are_refused() -> None:
    mirror = {**SMALL, "name": "MATCHES-mirror-eu", "subjects": ["b.>"], "regions": ["eu"]}

    assert told(nats(MATCHES, mirror)) == [
        "streams.1.name: makes the stream 'MATCHES-mirror-eu', as 'MATCHES' does / give it another name"
    ]


def test_a_stream_whose_regions_are_one_gathers_nothing() -> None:
    assert "nothing to gather" in refused({**SMALL, "regions": ["us"], "aggregate_in": "us"})


def test_a_queue_is_not_copied() -> None:
    assert "once they are done" in refused({**SMALL, "retention": "workqueue", "mirrors": ["eu"]})


def test_duplicates_are_not_remembered_longer_than_messages() -> None:
    assert "the server refuses the stream" in refused({**SMALL, "max_age_secs": 60, "duplicate_window_secs": 120})


# --- streams: how much


def test_streams_larger_than_a_volume_are_refused_with_the_size_that_fits() -> None:
    found = told(nats(MATCHES, TELEMETRY, pvc={"size": "3Gi"}))

    # us keeps 1Gi of MATCHES, 512Mi of TELEMETRY, and 3 times 512Mi of what it gathers.
    assert found == []
    assert told(nats(MATCHES, TELEMETRY, pvc={"size": "3071Mi"})) == [
        "pvc.size: less than the 3Gi of streams that a server of region 'us' keeps: TELEMETRY-all 1536Mi, MATCHES "
        "1Gi, TELEMETRY-us 512Mi / raise it to 3Gi or more, or lower max_bytes"
    ]


def test_mirrors_take_room_where_they_are() -> None:
    streams = [{**MATCHES, "name": f"S{at}", "subjects": [f"s{at}.>"]} for at in range(3)]

    assert "region 'us'" in told(nats(*streams, pvc={"size": "2Gi"}))[0]
    assert "region 'eu'" in told(nats(*[{**each, "regions": ["ap"]} for each in streams], pvc={"size": "2Gi"}))[0]


def test_streams_in_memory_take_memory() -> None:
    memory = {**SMALL, "regions": ["us"], "storage": "memory", "max_bytes": "2Gi"}

    assert told(nats(memory, pvc={"size": "1Gi"}))[0].startswith("jetstream.memory_size: less than the 2Gi of streams")


def test_single_replicas_spread_over_the_servers() -> None:
    streams = [
        {**SMALL, "name": f"S{at}", "subjects": [f"s{at}.>"], "regions": ["us"], "replicas": 1} for at in range(3)
    ]

    (fault,) = faults(nats(*streams, pvc={"size": "1Gi"}))

    assert (fault.severity, fault.at) == ("warning", ("pvc", "size"))
    assert fault.reason.startswith("enough for all streams of region 'us' only if servers happen to place them well")
    assert fault.fix == "raise it to 1707Mi to be sure, or lower max_bytes"
    assert told(nats(*streams, pvc={"size": "1707Mi"})) == []
    assert faults(nats(*streams, {**SMALL, "regions": ["us"]}, pvc={"size": "1Gi"}))[0].severity == "error"


def test_what_fills_every_server_is_sure_to_fit() -> None:
    streams = [{**SMALL, "name": f"S{at}", "subjects": [f"s{at}.>"], "regions": ["us"]} for at in range(3)]

    assert told(nats(*streams, pvc={"size": "3Gi"})) == []


def test_two_servers_in_a_zone_share_its_streams() -> None:
    streams = [{**SMALL, "name": f"S{at}", "subjects": [f"s{at}.>"], "regions": ["us"]} for at in range(4)]

    found = [faults(nats(*streams, servers_per_zone=2, pvc={"size": size})) for size in ("1Gi", "2Gi", "2560Mi")]
    assert [[each.severity for each in fault] for fault in found] == [["error"], ["warning"], []]


def test_a_stream_without_a_limit_is_warned_of() -> None:
    (fault,) = faults(nats({"name": "A", "subjects": ["a"], "regions": ["us"]}))

    assert (fault.severity, fault.at) == ("warning", ("streams", 0))


# --- the rest


def test_streams_need_the_tools_image() -> None:
    where = estate(tools_image=None)

    assert told(nats(MATCHES), where)[0].startswith("streams: made by a Job of our own program")
    assert told(nats(), where) == []


def test_zones_that_differ_by_case_alone_are_one_to_the_server() -> None:
    twins = (Datacenter("x", "eu-A", "eu", "eu"), Datacenter("y", "eu-a", "eu", "eu"))
    found = told(nats(), estate(region("us"), EstateRegion("eu", "eu", twins, "aws"), region("ap")))

    assert "zones 'eu-A' and 'eu-a' of region 'eu' are one to the server" in found[0]


def test_two_pods_of_one_name_are_refused() -> None:
    close = (Datacenter("x", "eu-a", "eu", "eu"), Datacenter("x-0", "eu-b", "eu", "eu"))
    found = told(nats(servers_per_zone=1), estate(region("us"), EstateRegion("eu", "eu", close, "aws"), region("ap")))

    # events-x with ordinal 0 and events-x-0 with ordinal 0 differ: events-x-0 and events-x-0-0.
    assert found == []


DOMAINS = ["a.b", "a b", "a*", "a>", ""]


@pytest.mark.parametrize("domain", DOMAINS)
def test_a_domain_that_ends_the_server_at_boot_is_refused(domain: str) -> None:
    assert "$.jetstream.domain" in refused(jetstream={"domain": domain})


def test_a_lame_duck_that_the_server_refuses_is_refused() -> None:
    assert "$.lame_duck.duration_secs" in refused(lame_duck={"duration_secs": 29})
    assert "the server does not start" in refused(lame_duck={"duration_secs": 30, "grace_secs": 30})


def test_users_have_a_secret_each() -> None:
    accounts = [{"name": "APP", "users": [{"name": "app"}, {"name": "ops"}]}]

    assert "also the Secret of user 'app' of account 'APP'" in refused(accounts=accounts)


def test_the_account_of_the_servers_has_no_streams() -> None:
    accounts = [{"name": "SYS", "users": [{"name": "app"}]}]

    assert "the account of the servers themselves" in refused(accounts=accounts)


def test_an_account_of_a_stream_exists_and_lets_somebody_make_it() -> None:
    accounts = [
        {"name": "APP", "jetstream": False, "users": [{"name": "app"}]},
        {"name": "OPS", "users": [{"name": "ops", "secret": "events-ops", "publish": ["ops.>"]}]},
    ]

    assert "no account has that name" in refused({**SMALL, "account": "OBS"}, accounts=accounts)
    assert "its jetstream is false" in refused({**SMALL, "account": "APP"}, accounts=accounts)
    assert "no user without limits" in refused({**SMALL, "account": "OPS"}, accounts=accounts)
    assert "nobody can make it: account 'OPS'" in refused(SMALL, accounts=accounts)


def test_a_message_that_no_server_takes_is_refused() -> None:
    found = refused({**SMALL, "max_message_bytes": "2Mi"})

    assert "$.streams[0].max_message_bytes: is '2Mi'; more than max_payload, which is 1Mi" in found
    assert nats({**SMALL, "max_message_bytes": "2Mi"}, max_payload="2Mi").problems() == ()
    assert "lower it to 64Mi or less" in refused(max_payload="100Mi")


def test_memory_for_streams_leaves_memory_for_the_server() -> None:
    assert "more than half of resources.memory_limit" in refused(jetstream={"memory_size": "5Gi"})


def test_an_image_is_needed() -> None:
    assert "lacks 'image'" in refused(image="none")
