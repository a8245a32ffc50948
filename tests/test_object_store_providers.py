"""What providers ask beyond what they can do: addresses, places and names, and what they do by themselves."""

import json
import re
from typing import Any, get_args

import pytest

from aether_deploy.infrastructure.kinds.object_store import ObjectStoreConfig
from aether_deploy.infrastructure.object_store.capabilities import Provider
from aether_deploy.infrastructure.object_store.documents import documents_of
from aether_deploy.infrastructure.object_store.job import buckets_file
from aether_deploy.infrastructure.object_store.parts import ObjectBucket
from aether_deploy.jobs.object_store_buckets import is_same
from aether_deploy.jobs.object_store_s3 import S3Answer
from aether_deploy.problems import ConfigError
from tests.nats_cases import estate, region
from tests.object_store_cases import ONE, provided, said, store
from tests.platform_cases import render

AWS_PLACES = estate(region("us-east-1"), region("eu-west-1"))
AMAZON: dict[str, Any] = {"name": "saves", "provider": "aws"}


# --- what is nonsense whoever it is

NONSENSE: dict[str, dict[str, Any]] = {
    "a bucket's name": {"buckets": [{"name": "Saves"}]},
    "a bucket that is none": {"buckets": ["saves"]},
    "an address": {"url": "s3.example.com"},
    "a role": {"replication_role": "admin"},
    "a region of signatures": {"signing_region": "us east"},
    "a volume": {"pvc": {"size": "big"}},
    "a list of regions": {"regions": "us-east-1"},
    "an unknown field": {"bucket": []},
}


@pytest.mark.parametrize("provider", get_args(Provider))
@pytest.mark.parametrize("sentence", NONSENSE)
def test_nonsense_is_a_problem_and_never_a_bug(provider: str, sentence: str) -> None:
    values = {"name": "assets", "provider": provider, **NONSENSE[sentence]}

    with pytest.raises(ConfigError) as caught:
        ObjectStoreConfig.from_values(values)

    assert next(iter(NONSENSE[sentence])) in str(caught.value)


ADDRESSES = {
    "https://s3.example.com": True,
    "http://s3.{region}.example.com:8333": True,
    "https://s3.example.com:65536": False,
    "https://s3.example.com:0": False,
    "https://s3..example.com": False,
    "https://-s3.example.com": False,
    "https://10.0.0.1": False,
    "https://[::1]": False,
    "https://user@s3.example.com": False,
    "https://s3.example.com/bucket": False,
    "https://s3.{zone}.example.com": False,
    "ftp://s3.example.com": False,
}


@pytest.mark.parametrize("url", ADDRESSES)
def test_an_address_is_a_scheme_and_a_name(url: str) -> None:
    problems = ""
    try:
        provided("ceph_rgw", {"name": "saves"}, url=url)
    except ConfigError as error:
        problems = str(error)

    assert (problems == "") is ADDRESSES[url]
    assert "$.url: " in problems or ADDRESSES[url]


ORIGINS = {
    "*": True,
    "http://localhost:3000": True,
    "https://*.example.com": True,
    "https://play.example.com/": False,
    "https://Play.example.com": False,
    "https://play..example.com": False,
    "https://-play.example.com": False,
    "https://play.example.com:99999": False,
    "https://*": False,
    "https://a.*.example.com": False,
    "play.example.com": False,
    "null": False,
}


@pytest.mark.parametrize("origin", ORIGINS)
def test_an_origin_is_what_a_browser_sends(origin: str) -> None:
    problems = ""
    try:
        store({"name": "saves", "cors": [{"name": "web", "origins": [origin]}]})
    except ConfigError as error:
        problems = str(error)

    assert (problems == "") is ORIGINS[origin]


# --- where a provider is, and where it makes buckets


def test_a_region_that_is_not_amazons_needs_an_address() -> None:
    bare = provided("aws", {"name": "saves"}, regions=["us"])

    assert said(bare, ONE) == [": lacks 'url', and region 'us' is none of Amazon's"]
    assert said(provided("aws", regions=["us"], url="https://s3.us-east-1.amazonaws.com"), ONE) == []


PLACES: dict[str, tuple[str, dict[str, Any], list[str]]] = {
    "an address that names its region": ("aws", {"url": "https://s3.us-east-1.amazonaws.com"}, []),
    "an address of nobody's region": (
        "aws",
        {"url": "https://s3.example.com"},
        [": lacks 'signing_region', and region 'us' is none of Amazon's"],
    ),
    "an address with its region beside": ("aws", {"url": "https://s3.example.com", "signing_region": "us-east-1"}, []),
    "a region of Google's is not said": ("gcs", {}, [": lacks 'signing_region', and region 'us' is none of Google's"]),
    "a region of Google's is said": ("gcs", {"signing_region": "us-central1"}, []),
}


@pytest.mark.parametrize("sentence", PLACES)
def test_where_a_provider_makes_buckets_is_known(sentence: str) -> None:
    provider, settings, problems = PLACES[sentence]

    assert said(provided(provider, {"name": "saves"}, regions=["us"], **settings), ONE) == problems


def test_two_regions_of_amazons_are_told_apart_and_in_one_partition() -> None:
    bucket = {"name": "saves", "versioning": True, "lifecycle": {"noncurrent_days": 9}}
    role = {"replication_role": "arn:aws:iam::123456789012:role/copy"}
    china = estate(region("us-east-1"), region("cn-north-1"))
    one = provided("aws", bucket, regions=["us-east-1", "eu-west-1"], url="https://s3.example.com", **role)
    both = provided("aws", bucket, regions=["us-east-1", "cn-north-1"], **role)
    signed = provided("aws", bucket, regions=["us-east-1", "eu-west-1"], signing_region="us-east-1", **role)

    assert said(one, AWS_PLACES) == ["url: one for two regions"]
    assert said(both, china) == ["regions: in two partitions of Amazon's, between which S3 copies nothing"]
    assert said(signed, AWS_PLACES) == ["signing_region: one for two regions, and each has signatures of its own"]


LOCATIONS: dict[str, tuple[str, str, dict[str, Any], str | None]] = {
    "Amazon's first region is not said": ("aws", "us-east-1", {}, None),
    "another of Amazon's": ("aws", "eu-west-1", {}, "eu-west-1"),
    "Google's region": ("gcs", "europe-west1", {}, "europe-west1"),
    "Google's two regions": ("gcs", "eu-west-1", {"signing_region": "EUR4"}, "EUR4"),
    "Cloudflare decides": ("r2", "eu-west-1", {}, None),
    "a gateway of Ceph has one place": ("ceph_rgw", "eu-west-1", {"signing_region": "eu"}, None),
    "Garage has one place": ("garage", "eu-west-1", {}, None),
}


@pytest.mark.parametrize("sentence", LOCATIONS)
def test_buckets_are_made_where_their_region_is(sentence: str) -> None:
    provider, code, settings, location = LOCATIONS[sentence]
    config = provided(provider, {"name": "saves"}, regions=[code], **settings)

    file = buckets_file(config, estate(region(code)), code, url="https://x", credentials="/c")

    assert file.get("location") == location


def test_china_and_the_government_have_addresses_and_names_of_their_own() -> None:
    bucket = {"name": "saves", "public_prefixes": ["p/"]}
    found = {}
    for code in ("cn-north-1", "us-gov-west-1", "eu-west-1"):
        config = provided("aws", bucket, regions=[code])
        file = buckets_file(config, estate(region(code)), code, url="https://x", credentials="/c")
        policy = json.loads(file["buckets"][0]["settings"]["policy"])
        found[config.client_url(estate(region(code)))] = policy["Statement"][0]["Resource"]

    assert found == {
        "https://s3.cn-north-1.amazonaws.com.cn": ["arn:aws-cn:s3:::saves/p/*"],
        "https://s3.us-gov-west-1.amazonaws.com": ["arn:aws-us-gov:s3:::saves/p/*"],
        "https://s3.eu-west-1.amazonaws.com": ["arn:aws:s3:::saves/p/*"],
    }


STORES = """
components:
  - {name: assets, kind: object_store, provider: r2, url: "https://abc.r2.cloudflarestorage.com:8443",
     regions: [us-east-1]}
services: [{name: gateway, uses: [world-server, matchmaking, assets]}]
"""


def test_users_are_told_the_own_name_of_a_provider_which_its_certificate_has() -> None:
    for code in ("us-east-1", "eu-west-1"):
        pod = render(code, STORES)["Deployment", "gateway"]["spec"]["template"]["spec"]
        env = {each["name"]: each["value"] for each in pod["containers"][0]["env"]}

        assert env["AETHER_ASSETS_URL"] == "https://abc.r2.cloudflarestorage.com:8443"
        assert env["AETHER_ASSETS_PORT_S3"] == "8443"
        assert "AETHER_MATCHMAKING_URL" not in env


def test_users_of_a_store_that_runs_here_are_told_an_address_of_the_same_form() -> None:
    assert store().client_url(ONE) == "http://assets.aether-prod-data.svc:8333"
    assert store(regions=["mars"]).client_url(ONE) is None


# --- what it does by itself


def test_amazon_lets_a_policy_open_what_it_names_before_it_is_told_the_policy() -> None:
    opened = documents_of(ObjectBucket.from_values({"name": "saves", "public_prefixes": ["p/"]}), **AMAZON)
    closed = documents_of(ObjectBucket.from_values({"name": "saves", "block_public_access": True}), **AMAZON)
    plain = documents_of(ObjectBucket.from_values({"name": "saves"}), **AMAZON)

    words = list(opened)
    assert words.index("publicAccessBlock") < words.index("policy")
    assert "<BlockPublicPolicy>false<" in opened["publicAccessBlock"]
    assert "<BlockPublicAcls>true<" in opened["publicAccessBlock"]
    assert "false" not in closed["publicAccessBlock"]
    assert "publicAccessBlock" not in plain


def test_cloudflare_goes_on_clearing_away_what_was_never_finished() -> None:
    def days(lifecycle: dict[str, Any] | None) -> list[str]:
        bucket = ObjectBucket.from_values({"name": "saves", "lifecycle": lifecycle} if lifecycle else {"name": "saves"})
        return re.findall("<DaysAfterInitiation>([0-9]+)<", documents_of(bucket, name="s", provider="r2")["lifecycle"])

    assert days(None) == ["7"]
    assert days({"expiries": [{"name": "a", "days": 1}]}) == ["7"]
    assert days({"abort_upload_days": 2}) == ["2"]


def test_what_amazon_adds_to_a_setting_by_itself_is_no_difference() -> None:
    ours = documents_of(ObjectBucket.from_values({"name": "saves", "encryption": "sse_s3"}), **AMAZON)["encryption"]
    more = "<BucketKeyEnabled>false</BucketKeyEnabled>"
    more += "<BlockedEncryptionTypes><EncryptionType>SSE-C</EncryptionType></BlockedEncryptionTypes></Rule>"

    assert is_same(ours, S3Answer(200, {}, ours.replace("</Rule>", more).encode()))
    assert not is_same(ours, S3Answer(200, {}, ours.replace("AES256", "aws:kms").encode()))
