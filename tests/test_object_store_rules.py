"""What is refused where a store is to run, what changes of its files do, and what the table and documents say."""

import json
from typing import Any, get_args

import msgspec
import pytest

from aether_deploy.infrastructure.analysis.failures import PlatformFailure
from aether_deploy.infrastructure.kinds.object_store import ObjectStoreConfig
from aether_deploy.infrastructure.object_store.capabilities import Provider, capabilities_of, matrix
from aether_deploy.infrastructure.object_store.changes import file_changes
from aether_deploy.infrastructure.object_store.documents import documents_of
from aether_deploy.infrastructure.object_store.impact import analyst
from aether_deploy.infrastructure.object_store.job import buckets_file, identities_file
from aether_deploy.infrastructure.object_store.parts import ObjectBucket
from aether_deploy.infrastructure.object_store.regions import reading_order
from aether_deploy.infrastructure.object_store.runbook import runbook
from aether_deploy.jobs.object_store_buckets import is_same, meaning
from aether_deploy.jobs.object_store_identities import IdentitiesFile, WrongSecret, files_of
from aether_deploy.jobs.object_store_s3 import S3Answer, signed_headers
from aether_deploy.problems import ConfigError
from tests.nats_cases import estate, region
from tests.object_store_cases import FOLLOWED, ONE, PUBLIC, TWO, provided, said, store

AWS_PLACES = estate(region("us-east-1"), region("eu-west-1"))


# --- the table


def test_every_provider_has_every_row_with_its_source_and_a_reason_for_no() -> None:
    table = matrix()

    assert set(table.providers) == set(get_args(Provider))
    for row in table.providers.values():
        assert row.features.keys() == table.features.keys()
        assert all(each.source for each in row.features.values())
        assert all(bool(each.why) is not each.can for each in row.features.values())


ASKED: dict[str, dict[str, Any]] = {
    "versioning": {"versioning": True},
    "lifecycle_expiration": {"lifecycle": {"expiries": [{"name": "a", "days": 1}]}},
    "lifecycle_noncurrent": {"versioning": True, "lifecycle": {"noncurrent_days": 1}},
    "lifecycle_abort": {"lifecycle": {"abort_upload_days": 1}},
    "lifecycle_transition": {"lifecycle": {"transitions": [{"name": "a", "days": 30, "storage_class": "STANDARD_IA"}]}},
    "cors": {"cors": [{"name": "web", "origins": ["https://a.example.com"]}]},
    "cors_wildcard": {"cors": [{"name": "web", "origins": ["https://*.example.com"]}]},
    "public_prefix": {"public_prefixes": ["public/"]},
    "public_access_block": {"block_public_access": True},
    "encryption": {"encryption": "sse_s3"},
    "object_lock": {"versioning": True, "object_lock": {"days": 1}},
}


@pytest.mark.parametrize("provider", get_args(Provider))
@pytest.mark.parametrize("feature", ASKED)
def test_what_a_provider_cannot_is_refused_at_its_field_and_the_rest_is_set(provider: str, feature: str) -> None:
    bucket = {"name": "saves", **ASKED[feature]}
    problems = ""
    try:
        found = store(bucket) if provider == "seaweedfs" else provided(provider, bucket)
    except ConfigError as error:
        problems = str(error)

    phrase = f"{provider} cannot {matrix().features[feature]}"
    assert (phrase in problems) is not capabilities_of(provider)[feature].can
    if not problems:
        assert any(documents_of(found.buckets[0], name="saves", provider=provider).values())


def test_every_feature_of_a_bucket_is_asked_for() -> None:
    assert {*ASKED, "replication"} == matrix().features.keys()


def test_several_regions_are_refused_where_nothing_copies() -> None:
    with pytest.raises(ConfigError, match="r2 cannot copy a bucket to another region"):
        provided("r2", {"name": "saves"}, regions=["us-east-1", "eu-west-1"])
    everywhere = provided("garage", {"name": "saves"}, regions="all")

    assert [each.partition(":")[0] for each in said(everywhere, AWS_PLACES)] == ["regions"]


# --- where it runs


def test_a_sound_store_has_no_faults() -> None:
    assert said(store(dict(PUBLIC), **FOLLOWED), TWO) == []
    assert said(provided("aws", {"name": "saves"}), AWS_PLACES) == []


CASES: dict[str, tuple[dict[str, Any], str]] = {
    "no address to follow": (
        {**FOLLOWED, "endpoint": "none"},
        ": lacks 'endpoint', at which the other regions follow the first",
    ),
    "a closed filer": (
        {**FOLLOWED, "expose": {"internal": True, "ports": ["s3"]}},
        "expose.ports: closes port filer, by which the other regions follow the first",
    ),
    "one name for all regions": (
        {**FOLLOWED, "endpoint": "assets.example.com"},
        "endpoint: one name for several regions, each of which has a store",
    ),
    "a region that is not there": ({"regions": ["mars"]}, "regions: names no region that is enabled"),
}


@pytest.mark.parametrize("sentence", CASES)
def test_a_store_that_cannot_be_followed_is_refused(sentence: str) -> None:
    settings, reason = CASES[sentence]

    assert reason in said(store(dict(PUBLIC), **settings), TWO)


def test_programs_of_ours_need_their_image() -> None:
    without = estate(region("us"), tools_image=None)

    assert said(store(), without) == [": needs tools_image, with which who may log in is written down"]


def test_rules_that_delete_nothing_are_carried_out_by_nobody() -> None:
    def renders(lifecycle: dict[str, Any]) -> bool:
        return store({"name": "saves", "lifecycle": lifecycle}).has_lifecycle

    assert not renders({})
    assert not renders({"expiries": [{"name": "a", "days": 1, "enabled": False}]})
    assert renders({"abort_upload_days": 1})


def test_the_order_of_regions_says_who_takes_writes_and_not_that_of_the_file() -> None:
    swapped = store(**{**FOLLOWED, "regions": ["eu", "us"]})

    assert swapped.serving_region(TWO, "eu") == "eu"
    assert swapped.serving_region(TWO, "us") is None
    assert reading_order(swapped, TWO, "us") == ("us", "eu")


# --- what programs are told


def test_a_region_that_follows_lets_nobody_but_operators_write() -> None:
    config = store(
        {"name": "saves"}, users=[{"name": "app"}, {"name": "r", "secret": "r", "access": "read"}], **FOLLOWED
    )
    actions = {
        code: {each["name"]: each["actions"] for each in identities_file(config, TWO, code, folder="/x")["identities"]}
        for code in ("us", "eu")
    }

    assert actions["us"]["app"] == ["Read", "List", "Write", "Tagging"]
    assert actions["eu"]["app"] == ["Read", "List"]
    assert actions["us"]["r"] == actions["eu"]["r"] == ["Read", "List"]
    assert "Write" in actions["eu"]["admin"]


def test_a_copy_at_amazon_has_a_name_of_its_own_and_is_named_by_the_first() -> None:
    bucket = {"name": "saves", "versioning": True, "lifecycle": {"noncurrent_days": 9}, "public_prefixes": ["p/"]}
    config = provided(
        "aws", bucket, regions=["us-east-1", "eu-west-1"], replication_role="arn:aws:iam::123456789012:role/copy"
    )
    files = {
        code: buckets_file(config, AWS_PLACES, code, url="https://x", credentials="/c")["buckets"][0]
        for code in ("us-east-1", "eu-west-1")
    }

    assert [files[code]["name"] for code in files] == ["saves", "saves-eu-west-1"]
    assert "arn:aws:s3:::saves-eu-west-1<" in files["us-east-1"]["settings"]["replication"]
    assert "replication" not in files["eu-west-1"]["settings"]
    assert "arn:aws:s3:::saves-eu-west-1/p/*" in files["eu-west-1"]["settings"]["policy"]


def test_what_a_provider_does_not_know_is_not_asked_about() -> None:
    plain = ObjectBucket.from_values({"name": "saves"})

    assert documents_of(plain, name="saves", provider="garage") == {"lifecycle": "", "cors": ""}
    assert documents_of(plain, name="saves", provider="gcs") == {"versioning": ""}


def test_the_same_setting_written_otherwise_is_the_same() -> None:
    ours = '<A xmlns="http://x"><Rule><ID>a</ID><B>1</B><C>2</C></Rule></A>'
    theirs = b"<?xml version='1.0'?>\n<A><Rule><C>2</C><B>1</B><ID>other</ID></Rule></A>"
    policy = '{"Statement":[{"Sid":"a","Action":["s3:GetObject"],"Principal":"*","Resource":["x","y"]}]}'
    answer = b'{"Statement":[{"Resource":["y","x"],"Principal":{"AWS":"*"},"Action":"s3:GetObject"}]}'

    assert meaning(ours) == meaning(theirs)
    assert meaning(policy) == meaning(answer)
    assert meaning(ours) != meaning(ours.replace("2", "3"))
    assert meaning(policy) != meaning(policy.replace("y", "z"))
    assert is_same("", S3Answer(404, {}, b"<Error/>"))
    assert is_same("", S3Answer(200, {}, b"<VersioningConfiguration/>"))
    assert not is_same("", S3Answer(200, {}, b"<V><Status>Enabled</Status></V>"))


def test_signatures_are_those_of_amazons_own_example() -> None:
    headers = signed_headers(
        "GET",
        "/",
        "lifecycle=",
        {"host": "examplebucket.s3.amazonaws.com"},
        b"",
        "20130524T000000Z",
        "us-east-1",
        ("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
    )

    assert headers["authorization"].endswith(
        "Signature=fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"
    )


def test_secrets_that_are_wrong_are_all_named_and_nothing_is_written(tmp_path: object) -> None:
    people: list[dict[str, Any]] = [{"name": name, "login": f"{tmp_path}/{name}", "actions": []} for name in ("a", "b")]
    file = msgspec.convert({"format": 1, "folder": str(tmp_path), "identities": people}, type=IdentitiesFile)

    with pytest.raises(WrongSecret) as caught:
        files_of(file)

    assert str(caught.value).count("is missing or empty") == 4


# --- changes and failures


def changed(before: ObjectStoreConfig, after: ObjectStoreConfig) -> list[tuple[str, str]]:
    texts = [
        {"buckets.json": json.dumps(buckets_file(each, ONE, "us", url="http://x", credentials="/c"))}
        for each in (before, after)
    ]
    return [(each.effect, each.says) for each in file_changes(*texts)]


def test_changes_of_buckets_say_what_becomes_of_objects() -> None:
    plain = {"name": "saves"}
    locked = {"name": "saves", "versioning": True, "object_lock": {"days": 1}}
    short = {"name": "saves", "lifecycle": {"expiries": [{"name": "a", "days": 1}]}}

    assert changed(store(plain), store(plain)) == []
    assert [effect for effect, _ in changed(store(plain), store(locked))] == ["refused", "reloads"]
    assert [effect for effect, _ in changed(store(plain), store(short))] == ["data at risk", "reloads"]
    assert [effect for effect, _ in changed(store(plain, {"name": "old"}), store(plain))] == ["by hand", "reloads"]
    assert file_changes({"buckets.json": "{"}, {"buckets.json": "{}"})[0].effect == "by hand"
    assert [each.effect for each in file_changes({"master.toml": "a"}, {"master.toml": "b"})] == ["restarts"]
    assert [each.effect for each in file_changes({"current.json": "a"}, {"current.json": "b"})] == ["reloads"]


def test_what_opens_a_bucket_or_forgets_its_versions_is_said_before_it_happens() -> None:
    kept = {"name": "saves", "versioning": True}
    opened = {**kept, "public_prefixes": ["public/"]}

    assert changed(store(kept), store(opened))[0] == (
        "reloads",
        "bucket saves: anybody may read saves/public/* within five minutes",
    )
    assert [effect for effect, _ in changed(store(opened), store(kept))] == ["reloads"]
    assert changed(store(kept), store({"name": "saves"}))[0] == (
        "data at risk",
        "bucket saves keeps no old versions any more: what is overwritten or deleted is gone",
    )


def test_a_change_of_who_takes_writes_is_nothing_that_a_restart_settles() -> None:
    def people(code: str, **settings: Any) -> dict[str, str]:
        config = store(**{**FOLLOWED, **settings})
        return {"identities.json": json.dumps(identities_file(config, TWO, code, folder="/x"))}

    swapped = {"regions": ["eu", "us"]}
    more = {"users": [{"name": "app"}, {"name": "more", "secret": "more"}]}

    found = {code: file_changes(people(code), people(code, **swapped)) for code in ("us", "eu")}
    assert [each.effect for each in found["us"]] == [each.effect for each in found["eu"]] == ["by hand", "restarts"]
    assert "no longer takes writes" in found["us"][0].says
    assert "takes writes, which another region took" in found["eu"][0].says
    assert [each.effect for each in file_changes(people("us"), people("us", **more))] == ["restarts"]


def lost(*codes: str) -> PlatformFailure:
    names = frozenset(f"{code}-{letter}" for code in codes for letter in "abc")
    return PlatformFailure(kind="region", name=codes[0], lost=names)


def test_a_lost_region_leaves_reads_where_another_follows() -> None:
    followed, alone = analyst(store(**FOLLOWED), TWO), analyst(store(), ONE)

    assert followed.impact(lost("us")).outcome == "read-only"
    assert "not copied back" in followed.impact(lost("us")).effects[0].note
    assert followed.impact(lost("eu")).outcome == "holds"
    assert alone.impact(lost("us")).outcome == "down"
    assert [each.rule for each in alone.findings()] == ["one-copy"]
    assert [each.rule for each in followed.findings()] == ["one-server", "copy-bandwidth"]


def test_a_lost_zone_is_no_error_where_reads_go_on_and_nothing_in_the_file_would_mend_it() -> None:
    zone = PlatformFailure(kind="zone", name="us-a", lost=frozenset({"us-a"}))
    followed, alone = analyst(store(**FOLLOWED), TWO).impact(zone).worst, analyst(store(), ONE).impact(zone).worst
    gone = analyst(store(**FOLLOWED), TWO).impact(lost("us")).worst

    assert followed is not None
    assert alone is not None
    assert gone is not None
    assert (followed.outcome, followed.by_design) == ("read-only", True)
    assert (alone.outcome, alone.by_design, "second region" in alone.fix) == ("down", False, True)
    assert not gone.by_design


def test_a_process_that_ends_is_back_by_itself() -> None:
    effect = analyst(store(), ONE).impact(PlatformFailure(kind="process", name="assets", role="leader")).worst

    assert effect is not None
    assert effect.ends_by_itself
    assert effect.outcome == "interrupted"


def test_the_runbook_names_what_is_there() -> None:
    text = runbook(store(dict(PUBLIC), **FOLLOWED), TWO)

    assert "| us | takes writes | `assets-us-0` in `us` |" in text
    assert "## Let eu take writes" in text
    assert "create job --from=cronjob/assets-buckets" in text
    assert "job=assets-buckets-$(date +%s)" in text


def test_a_volume_goes_only_after_the_other_region_was_seen_to_take_writes() -> None:
    text = runbook(store(dict(PUBLIC), **FOLLOWED), TWO)
    (block,) = [each for each in text.split("```") if "delete pvc" in each]
    steps = block.strip().replace("||\n", "|| ").splitlines()[1:]

    assert "**This destroys the volume of us" in text
    assert "get pod/assets-eu-0" in steps[0]
    assert 'echo "eu does not take writes: stop"' in steps[0]
    assert "delete pvc data-assets-us-0" in steps[-1]
    assert all(each.endswith("&&") for each in steps[:-1])
