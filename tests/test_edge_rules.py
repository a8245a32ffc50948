"""What is refused of an edge where it runs, what it asks first, and what a failure does to it."""

import subprocess
from typing import Any

import pytest

from aether_deploy.infrastructure.analysis.failures import PlatformFailure
from aether_deploy.infrastructure.component import Place
from aether_deploy.infrastructure.edge.impact import analyst
from aether_deploy.infrastructure.edge.nginx import NginxPlace, nginx_text, resolver_script, stages_needed
from aether_deploy.infrastructure.edge.policy import policy_of
from aether_deploy.infrastructure.edge.rendering import config_text
from aether_deploy.infrastructure.edge.runbook import runbook
from aether_deploy.infrastructure.kinds.object_store import ObjectStoreConfig
from aether_deploy.pods.surroundings import Surroundings
from aether_deploy.problems import ConfigError
from tests.edge_cases import BUCKET, PAGE, PLACES, around, edge, policy, said
from tests.object_store_cases import FOLLOWED, provided, store

US = frozenset({"us-a", "us-b", "us-c"})
EU = frozenset({"eu-a", "eu-b", "eu-c"})


def test_a_sound_edge_has_no_faults() -> None:
    config = edge(shield="us")

    assert said(config, around(config)) == []


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no such store": ({"origin": "asets/game-assets"}, "origin: no object store is called 'asets'"),
    "no such bucket": ({"origin": "assets/game"}, "origin: 'assets' has no bucket 'game'"),
    "a class outside of what is public": (
        {"cache_classes": [{"name": "a", "match": "/private/", "ttl_secs": 9}]},
        "cache_classes.0.match: outside of what is public in 'assets/game-assets': nothing below it is ever answered",
    ),
    "a shield without an edge": ({"shield": "ap", "regions": ["us", "eu"]}, "shield: has no edge of this component"),
}


@pytest.mark.parametrize("sentence", REFUSED)
def test_an_edge_that_could_answer_nothing_is_refused(sentence: str) -> None:
    settings, reason = REFUSED[sentence]
    config = edge(**settings)

    assert said(config, around(config)) == [reason]


def test_a_bucket_that_nobody_may_read_and_a_store_that_nobody_reaches_are_refused() -> None:
    config = edge()
    closed = store({"name": "game-assets"}, **FOLLOWED)
    inside = store(dict(BUCKET))

    assert "has no public_prefixes" in said(config, around(config, closed))[0]
    assert "nowhere to fetch from" in said(config, around(config, inside))[0]
    assert said(edge(regions=["us"]), around(edge(regions=["us"]), inside)) == []


def test_the_nearest_copy_is_asked_first_and_the_shield_before_all() -> None:
    assert [each.name for each in policy("us").origins] == ["us", "eu"]
    assert [each.address.host for each in policy("eu").origins] == [
        "assets-repl.aether-prod-data.svc",
        "assets.us.example.com",
    ]
    assert [each.name for each in policy("ap", shield="us").origins] == ["shield", "us", "eu"]
    assert [each.name for each in policy("us", shield="us").origins] == ["us", "eu"]
    assert policy("ap", shield="us").origins[0].address.url == "http://us.cdn.example.com"


def test_a_providers_bucket_is_asked_for_by_its_own_name_over_tls() -> None:
    config = edge()
    origin = provided("ceph_rgw", dict(BUCKET), regions=["us"])
    found = policy_of(config, around(config, origin), "eu")
    text = nginx_text(found, place(stages_needed(found)))

    assert "proxy_pass https://origin_0/game-assets$request_uri;" in text
    assert "server ceph-rgw.example.com:443 resolve;" in text
    assert "proxy_set_header Host ceph-rgw.example.com;" in text
    assert "proxy_ssl_verify on;" in text


def test_a_name_inside_is_looked_up_once_and_one_outside_again_and_again() -> None:
    text = nginx_text(policy("eu"), place(stages_needed(policy("eu"))))

    assert "server assets-repl.aether-prod-data.svc:8333;" in text
    assert "server assets.us.example.com:8333 resolve;" in text
    assert "$aether_host" not in text


def test_what_is_kept_is_told_apart_by_path_alone_whatever_page_asks() -> None:
    text = nginx_text(policy(), place(4))

    assert "proxy_cache_key $uri;" in text
    assert "proxy_set_header Origin" not in text
    assert f"'~^{PAGE.replace('.', chr(92) + '.')}$' $http_origin;" in text


def test_a_pod_has_as_many_workers_as_cores_that_it_may_use() -> None:
    found = {limit: workers(limit) for limit in ("500m", "1", "1500m", "4", "none")}

    assert found == {"500m": 1, "1": 1, "1500m": 2, "4": 4, "none": 4}


def workers(cpu_limit: str) -> int:
    config = edge(regions=["us"], resources={"cpu_limit": cpu_limit})
    where = around(config)
    region = where.regions[0]
    spot = Place(estate=where, region=region, cluster="us", datacenters=region.datacenters, surroundings=Surroundings())
    text = config_text(config, spot, policy_of(config, where, "us"))
    return int(text.split()[1].rstrip(";"))


WRONG_NAMES = {
    "a placeholder": "{region}.example.com",
    "a label of 64 characters": f"{'a' * 64}.example.com",
    "a scheme": "https://cdn.example.com",
    "one label": "cdn",
    "an address": "192.0.2.7",
}


@pytest.mark.parametrize("sentence", WRONG_NAMES)
def test_a_host_name_that_is_none_is_one_problem_at_its_own_place(sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        edge(hostname=WRONG_NAMES[sentence])

    assert [problem.path for problem in caught.value.problems] == ["$.hostname"]


def place(stages: int) -> NginxPlace:
    return NginxPlace(
        listens={"http": "8080", "status": "8081"},
        stages=[f"127.0.0.1:{9001 + at}" for at in range(stages)],
        cache="/var/cache/edge/objects",
        cache_mb=10240,
        resolver="/tmp/resolver.conf",
    )


def test_the_longest_path_of_the_classes_counts() -> None:
    classes = [
        {"name": "all", "match": "/public/", "ttl_secs": 60},
        {"name": "build", "match": "/public/build/", "ttl_secs": 31536000},
    ]

    assert [each.name for each in policy(cache_classes=classes).classes] == ["build", "all"]


def test_equal_policies_give_equal_text() -> None:
    texts = {nginx_text(policy(), place(4)) for _ in range(3)}

    assert len(texts) == 1


def test_who_resolves_names_is_written_as_nginx_reads_it(tmp_path: Any) -> None:
    (tmp_path / "resolv.conf").write_text(
        "search a.example.com\nnameserver 10.0.0.10\nnameserver fd00::a\noptions ndots:5\n"
    )
    script = resolver_script(str(tmp_path / "out")).replace("/etc/resolv.conf", str(tmp_path / "resolv.conf"))
    subprocess.run(["sh", "-c", script], check=True)

    assert (tmp_path / "out").read_text() == "resolver 10.0.0.10 [fd00::a] valid=30s;\n"


def test_edges_outlive_their_origins_with_what_they_keep() -> None:
    config = edge()
    looks = analyst(config, around(config))

    one = looks.impact(PlatformFailure(kind="region", name="us", lost=US))
    both = looks.impact(PlatformFailure(kind="regions", name="us + eu", lost=US | EU))

    assert {(each.part, each.outcome) for each in one.effects} == {("us", "down"), ("eu", "holds"), ("ap", "holds")}
    assert [each.outcome for each in both.effects] == ["down", "down", "read-only"]
    assert "hashed for 31536000 s" in both.effects[2].note
    assert [each.rule for each in looks.findings()] == ["no-stale-if-error"]


def waits(
    failure: PlatformFailure, origin: ObjectStoreConfig | None = None, **settings: Any
) -> dict[str, tuple[str, str, float]]:
    """Return what a failure does to the edges of each region: its outcome, what is told, and the longest wait."""
    config = edge(**settings)
    looks = analyst(config, around(config, origin))
    felt = looks.impact(failure.within(looks.footprint)).effects
    return {each.part: (each.outcome, each.note, each.pause.worst if each.pause else 0.0) for each in felt}


CUT = PlatformFailure(kind="link", name="us - ap", cut=frozenset({frozenset(("us", "ap"))}))


def test_an_edge_that_does_not_reach_its_shield_waits_for_it_and_then_for_each_copy_that_is_silent() -> None:
    found = waits(CUT, shield="ap")

    assert found["us"] == ("holds", "what is not kept comes from us", 15.0)
    assert CUT.cut <= analyst(edge(shield="ap"), around(edge(shield="ap"))).footprint.links


def test_a_shield_that_is_gone_with_the_nearest_copy_is_two_to_wait_for() -> None:
    lost = PlatformFailure(kind="region", name="us", lost=US)

    found = waits(lost, shield="us")

    assert (found["ap"], found["us"][0]) == (("holds", "what is not kept comes from eu", 30.0), "down")


def test_a_shield_that_waits_for_its_own_copy_is_waited_for_no_longer_than_one_that_is_silent() -> None:
    lost = PlatformFailure(kind="region", name="us", lost=US)

    assert waits(lost, shield="ap")["eu"] == ("holds", "what is not kept comes from eu", 30.0)


def test_a_shield_reaches_what_the_edge_itself_does_not() -> None:
    origin = store(dict(BUCKET), **{**FOLLOWED, "regions": ["us"]})

    alone, shielded = waits(CUT, origin), waits(CUT, origin, shield="eu")

    assert alone["ap"][0] == "read-only"
    assert shielded["ap"] == ("holds", "what is not kept comes from the shield in eu", 15.0)


def test_a_shield_is_waited_for_before_a_providers_store_too() -> None:
    lost = PlatformFailure(kind="region", name="us", lost=US)

    assert waits(lost, provided("aws", dict(BUCKET)), shield="us")["ap"] == (
        "holds", "what is not kept comes from the store", 15.0,
    )  # fmt: skip


AMAZONS: dict[str, Any] = {"url": "https://s3.{region}.amazonaws.com", "regions": ["us"]}
VERSIONED = {**BUCKET, "versioning": True, "lifecycle": {"noncurrent_days": 30}}
COPIED = {**AMAZONS, "regions": ["us", "eu"], "replication_role": "arn:aws:iam::123456789012:role/copies"}


def fixes(origin: ObjectStoreConfig, lost: frozenset[str]) -> dict[str, str]:
    """Return what is advised to the edge of the region that is left, where others are lost."""
    looks = analyst(edge(), around(edge(), origin))
    felt = looks.impact(PlatformFailure(kind="regions", name="lost", lost=lost)).effects
    return {each.part: each.fix for each in felt if each.part == "ap"}


def test_a_lost_region_may_be_that_of_a_providers_store_and_then_only_what_is_kept_is_answered() -> None:
    lost = PlatformFailure(kind="region", name="us", lost=US)
    zone = PlatformFailure(kind="zone", name="us", lost=US)
    case = "if it is us of aws itself that is lost"

    alone = waits(lost, provided("aws", dict(BUCKET), **AMAZONS))
    shielded = waits(lost, provided("aws", dict(BUCKET), **AMAZONS), shield="ap")
    copied = waits(lost, provided("aws", VERSIONED, **COPIED))

    assert (alone["us"][0], alone["eu"][0], alone["ap"][0]) == ("down", "read-only", "read-only")
    assert alone["eu"][1].startswith(f"{case}: only what is kept is answered: strict for 1 s, hashed")
    assert shielded["eu"] == alone["eu"]
    assert copied["ap"] == ("holds", f"{case}, what is not kept comes from eu", 15.0)
    assert fixes(provided("aws", dict(BUCKET), **AMAZONS), US) == {"ap": "let a further region follow the store"}
    assert fixes(provided("aws", VERSIONED, **COPIED), US | EU) == {"ap": ""}  # a bucket is copied to one other
    assert set(waits(zone, provided("aws", dict(BUCKET), **AMAZONS))) == {"us"}
    assert set(waits(CUT, provided("aws", dict(BUCKET), **AMAZONS))) == set()
    assert set(waits(lost, provided("aws", dict(BUCKET), **{**AMAZONS, "regions": ["eu"]}))) == {"us"}


def test_a_shield_is_not_reached_over_a_link_that_is_cut_and_a_providers_store_is() -> None:
    found = waits(CUT, provided("aws", dict(BUCKET), **AMAZONS), shield="us")

    assert found["ap"] == ("holds", "what is not kept comes from the store", 15.0)


def test_the_runbook_says_whom_each_edge_asks() -> None:
    config = edge(shield="us")

    text = runbook(config, around(config))

    assert "| ap | shield (http://us.cdn.example.com), us (http://assets.us.example.com:8333), eu " in text
    assert PLACES.data_namespace in text


def test_the_runbook_asks_an_edge_with_a_certificate_by_the_name_that_this_has() -> None:
    config = edge(tls={"secret": "cdn-tls"})

    text = runbook(config, around(config))

    assert "--connect-to cdn.example.com:443:us.cdn.example.com:443 https://cdn.example.com/<path>" in text
