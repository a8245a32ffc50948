"""Edges of CloudFront: the template, the functions, and who judges both without an account."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from aether_deploy.infrastructure.analysis.failures import PlatformFailure
from aether_deploy.infrastructure.edge.cloudfront_functions import closing_function, telling_function
from aether_deploy.infrastructure.edge.impact import analyst
from aether_deploy.infrastructure.edge.outside import outside_origins
from aether_deploy.infrastructure.estate import Estate
from aether_deploy.infrastructure.kinds.edge import EdgeConfig
from aether_deploy.infrastructure.object_store.regions import home_regions
from tests.edge_cases import BUCKET, CLASSES, around, policy, said
from tests.edge_provider_cases import (
    AMAZON,
    BLOCKS,
    CLOSED,
    OPEN,
    before_own,
    documents,
    find_node,
    on_amazon,
    own_store,
    provider_edge,
)
from tests.nats_cases import estate, region
from tests.object_store_cases import provided
from tests.real import need


def distribution(config: EdgeConfig, where: Estate) -> dict[str, Any]:
    found: dict[str, Any] = documents(config, where)["cloudfront"]["Resources"]["Distribution"]["Properties"]
    settings: dict[str, Any] = found["DistributionConfig"]
    return settings


def test_stale_answers_of_cloudfront_need_the_header_of_the_object() -> None:
    config = provider_edge("cloudfront", cache_classes=[dict(each) for each in CLASSES])

    (found,) = config.problems()
    assert found.severity == "warning"
    assert found.fix.endswith("Cache-Control: public, max-age=1, stale-while-revalidate=1, stale-if-error=86400")


def test_the_nearest_copy_to_the_shield_is_asked_first_and_then_one_other() -> None:
    here = provider_edge("cloudfront")
    there = provider_edge("cloudfront", shield="eu-west-1")

    first, second = (distribution(each, on_amazon(each)) for each in (here, there))
    assert [each["Id"] for each in first["Origins"]] == ["us-east-1", "eu-west-1"]
    assert [each["Id"] for each in second["Origins"]] == ["eu-west-1", "us-east-1"]
    assert first["Origins"][1]["DomainName"] == "game-assets-eu-west-1.s3.eu-west-1.amazonaws.com"
    assert "OriginShield" not in first["Origins"][0]
    assert second["Origins"][0]["OriginShield"] == {"Enabled": True, "OriginShieldRegion": "eu-west-1"}
    (group,) = first["OriginGroups"]["Items"]
    assert [each["OriginId"] for each in group["Members"]["Items"]] == ["us-east-1", "eu-west-1"]
    assert {404, 500, 503} <= set(group["FailoverCriteria"]["StatusCodes"]["Items"])


def test_a_shield_may_be_a_region_of_amazons_that_is_none_of_ours() -> None:
    config = provider_edge("cloudfront", shield="eu-west-2")
    where = on_amazon(config)

    assert [*config.named_regions] == []
    assert distribution(config, where)["Origins"][0]["OriginShield"]["OriginShieldRegion"] == "eu-west-2"
    assert [each["Id"] for each in distribution(config, where)["Origins"]] == ["us-east-1", "eu-west-1"]


def test_a_bucket_of_another_partition_and_one_with_an_address_of_its_own_are_found() -> None:
    config = provider_edge("cloudfront")
    china = estate(region("cn-north-1"))
    found = outside_origins(config, provided("aws", dict(BUCKET), regions=["cn-north-1"]), china)
    own = outside_origins(config, provided("aws", dict(BUCKET), url="https://s3.us-east-1.amazonaws.com"), AMAZON)

    assert [each.address.host for each in found] == ["game-assets.s3.cn-north-1.amazonaws.com.cn"]
    assert [(each.address.host, each.is_s3) for each in own] == [("game-assets.s3.us-east-1.amazonaws.com", True)]


def test_a_third_copy_is_never_asked_and_that_is_said() -> None:
    config = provider_edge("cloudfront")
    three = around(config, provided("ceph_rgw", dict(BUCKET), url="https://{region}.s3.example.com"), AMAZON)
    wide = around(config, own_store(expose={"type": "LoadBalancer", "ports": ["s3"]}, regions="all"), AMAZON)

    assert len(home_regions(wide.components[0], AMAZON)) == 3
    assert "origin: a group of CloudFront has 2 origins: the copy in ap-south-1 is never asked" in said(config, wide)
    assert said(config, three) == []


def test_only_buckets_of_amazon_are_asked_with_a_signature() -> None:
    config = provider_edge("cloudfront")
    amazon, own = distribution(config, on_amazon(config)), distribution(config, before_own(config))

    assert amazon["Origins"][0]["OriginAccessControlId"] == {"Fn::GetAtt": ["OriginAccess", "Id"]}
    assert "OriginAccess" in documents(config, on_amazon(config))["cloudfront"]["Resources"]
    assert "OriginAccess" not in documents(config, before_own(config))["cloudfront"]["Resources"]
    assert "OriginAccessControlId" not in own["Origins"][0]
    assert own["Origins"][0]["OriginPath"] == "/game-assets"
    assert own["Origins"][0]["CustomOriginConfig"]["HTTPPort"] == 8333
    assert own["DefaultCacheBehavior"]["TargetOriginId"] == "us-east-1"


def test_the_longest_path_of_the_classes_is_the_first_behavior_and_the_rest_is_not_kept() -> None:
    classes = [
        {"name": "all", "match": "/public/", "ttl_secs": 60},
        {"name": "build", "match": "/public/build/", "ttl_secs": 31536000, "immutable": True},
    ]
    config = provider_edge("cloudfront", cache_classes=classes)
    bare = provider_edge("cloudfront", cache_classes=classes[1:])

    assert paths(distribution(config, on_amazon(config))) == ["/public/build/*", "/public/*"]
    found = distribution(bare, on_amazon(bare))["CacheBehaviors"]
    assert [each["PathPattern"] for each in found] == ["/public/build/*", "/public/*"]
    assert found[0]["CachePolicyId"] == {"Ref": "Classbuild"}
    assert found[1]["CachePolicyId"] == "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"


def paths(settings: dict[str, Any]) -> list[str]:
    return [each["PathPattern"] for each in settings["CacheBehaviors"]]


def test_what_is_kept_is_told_apart_by_host_and_path_alone_for_as_long_as_its_class_says() -> None:
    config = provider_edge("cloudfront")
    resources = documents(config, on_amazon(config))["cloudfront"]["Resources"]
    kept = {
        name: each["Properties"]["CachePolicyConfig"] for name, each in resources.items() if name.startswith("Class")
    }

    times = {name: (each["MinTTL"], each["DefaultTTL"], each["MaxTTL"]) for name, each in kept.items()}
    assert times == {"Classhashed": (31536000,) * 3, "Classindex": (0, 1, 86400), "Classstrict": (1, 1, 1)}
    for each in kept.values():
        key = each["ParametersInCacheKeyAndForwardedToOrigin"]
        assert key["QueryStringsConfig"] == {"QueryStringBehavior": "none"}
        assert key["HeadersConfig"] == {"HeaderBehavior": "none"}
        assert key["CookiesConfig"] == {"CookieBehavior": "none"}


def test_classes_whose_names_differ_by_a_dash_stay_two() -> None:
    names = ("a1", "a-1")
    classes = [{"name": name, "match": f"/public/{name}/", "ttl_secs": 60} for name in names]
    config = provider_edge("cloudfront", cache_classes=classes)

    found = distribution(config, on_amazon(config))["CacheBehaviors"]
    assert len({json.dumps(each["CachePolicyId"]) for each in found}) == 3


def test_what_has_three_copies_goes_on_with_the_second_and_not_with_the_third() -> None:
    config = provider_edge("cloudfront")
    wide = around(config, own_store(expose={"type": "LoadBalancer", "ports": ["s3"]}, regions="all"), AMAZON)
    codes = [each.code for each in AMAZON.regions]
    lost = {
        n: frozenset(dc.name for each in AMAZON.regions if each.code in codes[:n] for dc in each.full) for n in (1, 2)
    }
    looks = analyst(config, wide)

    (one,) = looks.impact(PlatformFailure(kind="region", name="one", lost=lost[1])).effects
    (two,) = looks.impact(PlatformFailure(kind="regions", name="two", lost=lost[2])).effects
    assert (one.outcome, one.note) == ("holds", "what is not kept comes from eu-west-1")
    assert two.outcome == "read-only"


def test_more_paths_than_a_function_holds_are_refused() -> None:
    long = "/public/" + "a" * 480 + "/"
    classes = [{"name": f"c{at}", "match": f"{long}{at}/", "ttl_secs": 60} for at in range(20)]
    config = provider_edge("cloudfront", cache_classes=classes)

    (found,) = said(config, on_amazon(config))
    assert found.startswith("cache_classes: a function with all these paths has ")


def test_names_that_are_too_long_for_an_account_are_refused() -> None:
    config = provider_edge("cloudfront", name="c" * 50)

    assert said(config, on_amazon(config)) == [
        "name: its functions would have names of 70 characters, and CloudFront takes 64"
    ]


# --- judges
def run_function(code: str, call: str) -> Any:
    """Return what a function answers, run by a JavaScript engine."""
    node = need(find_node(), "node", f"{sys.executable} -m pip install playwright")
    script = f"'use strict';\n{code}\nprocess.stdout.write(JSON.stringify({call}));"
    done = subprocess.run([node, "-e", script], capture_output=True, text=True, check=True, timeout=180)
    return json.loads(done.stdout)


def answers(paths_asked: Any) -> list[Any]:
    asked = json.dumps(list(paths_asked))
    call = (
        f"{asked}.map(uri => handler({{request: {{method: 'GET', uri: uri, querystring: {{acl: {{value: ''}}}}, "
        "headers: {}}}))"
    )
    found: list[Any] = run_function(closing_function(policy().open_prefixes), call)
    return found


@pytest.mark.real
def test_the_function_of_cloudfront_closes_every_way_to_ask_for_what_is_private() -> None:
    closed, opened = answers(CLOSED), answers(OPEN)

    assert [path for path, answer in zip(CLOSED, closed, strict=True) if answer.get("statusCode") != 404] == []
    assert [answer.get("uri") for answer in opened] == list(OPEN)
    assert {json.dumps(answer["querystring"]) for answer in opened} == {"{}"}


@pytest.mark.real
def test_the_function_of_cloudfront_tells_browsers_of_classes_and_of_no_errors() -> None:
    asked = [
        ("/public/build/a", 200), ("/public/index/list", 206), ("/public/other", 200), ("/public/build/a", 404),
    ]  # fmt: skip
    old = "{'cache-control': {value: 'private'}}"
    call = (
        f"{json.dumps(asked)}.map(each => handler({{request: {{uri: each[0]}}, response: {{statusCode: each[1], "
        f"headers: {old}}}}}).headers)"
    )
    found = run_function(telling_function(policy().classes), call)

    assert [each.get("cache-control", {}).get("value") for each in found] == [
        "public, max-age=31536000, immutable",
        "public, max-age=1, stale-while-revalidate=1, stale-if-error=86400",
        None,
        "private",
    ]


def linted(folder: Path, templates: dict[str, Any]) -> dict[str, list[str]]:
    """Return what cfn-lint says of each template, by its name."""
    own = Path(sys.executable).with_name("cfn-lint")
    found = str(own) if own.is_file() else shutil.which("cfn-lint")
    linter = need(found, "cfn-lint", f"{sys.executable} -m pip install cfn-lint")
    for name, template in templates.items():
        (folder / f"{name}.json").write_text(json.dumps(template))
    files = [str(folder / f"{name}.json") for name in templates]
    command = [linter, "--regions", "us-east-1", "--format", "json", "--", *files]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    said: dict[str, list[str]] = {name: [] for name in templates}
    for each in json.loads(done.stdout):
        said[Path(each["Filename"]).stem].append(each["Message"])
    return said


@pytest.mark.real
def test_the_schemas_of_cloudformation_take_every_template_and_no_slip(tmp_path: Path) -> None:
    shielded = provider_edge(
        "cloudfront", shield="eu-west-1", cloudfront={**BLOCKS["cloudfront"], "price_class": "PriceClass_100"}
    )
    bare = provider_edge("cloudfront", cache_classes=[])
    slip = documents(shielded, on_amazon(shielded))["cloudfront"]
    settings = slip["Resources"]["Distribution"]["Properties"]["DistributionConfig"]
    settings |= {"HttpVersion": "http9", "Orgins": []}
    made = {
        "shielded-amazon": documents(shielded, on_amazon(shielded))["cloudfront"],
        "shielded-own": documents(shielded, before_own(shielded))["cloudfront"],
        "bare-amazon": documents(bare, on_amazon(bare, cors=[]))["cloudfront"],
        "bare-own": documents(bare, before_own(bare))["cloudfront"],
        "slip": slip,
    }

    found = linted(tmp_path, made)
    words = found.pop("slip")
    assert all(any(each in word for word in words) for each in ("http9", "Orgins")), words
    assert found == {name: [] for name in made if name != "slip"}
