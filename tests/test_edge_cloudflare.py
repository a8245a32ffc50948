"""Edges of Cloudflare: the bodies of requests, and who judges them without an account."""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from aether_deploy.infrastructure.kinds.edge import EdgeConfig
from tests.edge_cases import BUCKET, PAGE, around, policy, said
from tests.edge_provider_cases import (
    AMAZON,
    CLOSED,
    OPEN,
    before_own,
    documents,
    on_amazon,
    provider_edge,
)
from tests.object_store_cases import provided
from tests.real import miss

SCHEMAS = json.loads((Path(__file__).parent / "schemas" / "cloudflare.json").read_text())


def rules(config: EdgeConfig, where: Any, phase: str) -> dict[str, dict[str, Any]]:
    """Return the rules of one phase by what their refs end with, in their order."""
    return {each["ref"].removeprefix("cdn_"): each for each in documents(config, where)[phase]["rules"]}


def test_a_name_that_leaves_no_way_back_to_pods_of_ones_own_is_refused() -> None:
    config = provider_edge("cloudflare", name="c" * 55)

    assert said(config, on_amazon(config))[0].startswith("name: has 55 characters")


def test_later_rules_win_so_the_longest_path_comes_last() -> None:
    config = provider_edge("cloudflare")
    phases = [
        list(rules(config, on_amazon(config), phase))
        for phase in ("http_request_cache_settings", "http_response_cache_settings")
    ]

    assert phases == [
        ["not_kept", "kept_hashed", "kept_index", "kept_strict"][:1] + ordered(),
        [name.replace("kept", "told") for name in ordered()] + ["missing"],
    ]


def ordered() -> list[str]:
    longest_first = [each.name for each in policy().classes]
    return [f"kept_{name}" for name in reversed(longest_first)]


def test_a_class_says_all_directives_and_takes_back_what_others_said() -> None:
    config = provider_edge("cloudflare")
    told = rules(config, on_amazon(config), "http_response_cache_settings")
    index, hashed = (told[name]["action_parameters"] for name in ("told_index", "told_hashed"))

    assert index["max-age"] == {"operation": "set", "value": 1}
    assert index["stale-if-error"] == {"operation": "set", "value": 86400}
    assert index["immutable"] == {"operation": "remove"}
    assert hashed["immutable"] == {"operation": "set"}
    assert hashed["stale-if-error"] == {"operation": "remove"}
    assert {hashed[name]["operation"] for name in ("no-store", "no-cache", "private", "s-maxage")} == {"remove"}


def test_a_class_of_no_seconds_is_told_so() -> None:
    config = provider_edge("cloudflare", cache_classes=[{"name": "now", "match": "/public/now/", "ttl_secs": 0}])

    told = rules(config, on_amazon(config), "http_response_cache_settings")["told_now"]["action_parameters"]
    assert told["max-age"] == {"operation": "set", "value": 0}


def test_pages_that_may_read_are_named_one_by_one_and_others_are_told_nothing() -> None:
    pages = [PAGE, "https://*.example.org"]
    config = provider_edge("cloudflare")
    where = on_amazon(config, cors=[{"name": "web", "origins": pages, "expose_headers": ["ETag"]}])
    found = rules(config, where, "http_response_headers_transform")

    allowed = "access-control-allow-origin"
    assert found["headers"]["action_parameters"]["headers"][allowed] == {"operation": "remove"}
    assert found["headers"]["action_parameters"]["headers"]["vary"] == {"operation": "set", "value": "Origin"}
    assert found["page_0"]["expression"].endswith(f'http.request.headers["origin"][0] eq "{PAGE}"')
    assert found["page_1"]["expression"].endswith('wildcard "https://*.example.org"')
    assert found["page_0"]["action_parameters"]["headers"]["access-control-expose-headers"]["value"] == "ETag"


def test_a_store_that_runs_here_gets_its_port_and_its_bucket_before_the_path() -> None:
    config = provider_edge("cloudflare")
    found = documents(config, before_own(config))

    assert found["dns"]["content"] == "assets.us-east-1.example.com"
    assert found["http_request_origin"]["rules"][0]["action_parameters"] == {"origin": {"port": 8333}}
    assert found["http_config_settings"]["rules"][0]["action_parameters"] == {"ssl": "flexible"}
    (rewritten,) = [each for each in found["http_request_transform"]["rules"] if each["ref"] == "cdn_bucket"]
    assert (
        rewritten["action_parameters"]["uri"]["path"]["expression"] == 'concat("/game-assets", http.request.uri.path)'
    )
    assert "cloud_connector" not in found


def test_a_bucket_of_amazons_is_reached_by_the_connector_and_by_no_rewriting() -> None:
    config = provider_edge("cloudflare")
    found = documents(config, on_amazon(config))

    assert found["cloud_connector"][0]["parameters"] == {"host": "game-assets.s3.us-east-1.amazonaws.com"}
    assert [each["ref"] for each in found["http_request_transform"]["rules"]] == ["cdn_query"]
    assert "http_request_origin" not in found


def test_one_origin_is_asked_and_the_others_are_named_as_never_asked() -> None:
    config = provider_edge("cloudflare")

    assert said(config, on_amazon(config)) == [
        "origin: rules of Cloudflare name one origin: the copy in eu-west-1 is never asked"
    ]


def test_an_origin_that_is_asked_by_a_name_of_its_own_may_need_another_plan() -> None:
    config = provider_edge("cloudflare")
    where = around(config, provided("ceph_rgw", dict(BUCKET), url="https://s3.example.com:9000"), AMAZON)

    (route,) = rules(config, where, "http_request_origin").values()
    assert route["action_parameters"] == {"host_header": "s3.example.com", "origin": {"port": 9000}}
    assert ["not every plan" in each for each in said(config, where)] == [True]


# --- judges


def validated(found: dict[str, Any]) -> None:
    """Hold every document against what Cloudflare's library lets a request hold; see the schema's own comment."""
    for name, body in found.items():
        if name == "dns":
            held_against("dns").validate(body)
        elif name == "cloud_connector":
            for each in body:
                held_against("cloud_connector").validate(each)
        else:
            assert name in SCHEMAS["phases"]
            assert body.keys() == {"description", "rules"}
            for each in body["rules"]:
                held_against("rules", each["action"]).validate(each)


@cache
def held_against(*steps: str) -> jsonschema.Draft202012Validator:
    schema = SCHEMAS
    for step in steps:
        schema = schema[step]
    return jsonschema.Draft202012Validator(schema)


def all_cloudflare() -> list[dict[str, Any]]:
    config = provider_edge("cloudflare")
    pages = [{"name": "web", "origins": ["*"], "expose_headers": ["ETag"]}, {"name": "app", "origins": [PAGE]}]
    rados = provided("ceph_rgw", dict(BUCKET), url="https://s3.example.com:9000")
    places = [on_amazon(config), on_amazon(config, cors=pages), before_own(config), around(config, rados, AMAZON)]
    return [documents(config, where) for where in places]


def test_requests_to_cloudflare_hold_what_its_library_lets_them_hold() -> None:
    for found in all_cloudflare():
        validated(found)


def test_the_schema_of_cloudflare_refuses_a_word_it_does_not_know() -> None:
    found = all_cloudflare()[0]
    found["http_response_cache_settings"]["rules"][0]["action_parameters"]["max-age"]["secs"] = 1

    with pytest.raises(jsonschema.ValidationError):
        validated(found)


def expressions(found: dict[str, Any]) -> list[str]:
    """Return every expression of the documents; one that gives a text is compared with one, as a filter must be."""
    said: list[str] = []
    for body in found.values():
        for each in (
            body["rules"] if isinstance(body, dict) and "rules" in body else body if isinstance(body, list) else ()
        ):
            said.append(each["expression"])
            said += [f'{value} eq "x"' for value in _values(each.get("action_parameters", {}))]
    return said


def _values(node: object) -> list[str]:
    if not isinstance(node, dict):
        return []
    own = [node["expression"]] if "expression" in node else []
    return own + [found for each in node.values() for found in _values(each)]


def parsed(expression: str) -> dict[str, Any]:
    try:
        from octorules_wirefilter import parse_expression
    except ImportError:
        miss("Cloudflare's parser of expressions is missing; to bring it: pip install octorules-wirefilter")
    found: dict[str, Any] = parse_expression(expression)
    return found


@pytest.mark.real
def test_cloudflares_own_parser_takes_every_expression() -> None:
    for found in all_cloudflare():
        for each in expressions(found):
            assert parsed(each).get("error") is None, each


@pytest.mark.real
def test_cloudflares_own_parser_refuses_a_field_that_there_is_not() -> None:
    assert "error" in parsed('http.request.path eq "/"')


def holds(expression: str, *, method: str, path: str) -> bool:
    """Return whether an expression of those few words is true of a request, by Python's own reading of them."""
    text = re.sub(r'(\S+) contains ("(?:[^"\\]|\\.)*")', r"(\2 in \1)", expression)
    text = re.sub(r'in \{("[A-Z]+") ("[A-Z]+")\}', r"in (\1, \2)", text).replace(" eq ", " == ")
    for name, word in {
        "raw.http.request.uri.path": "raw",
        "http.request.method": "method",
        "http.host": "host",
    }.items():
        text = text.replace(name, word)
    words = {
        "raw": path, "method": method, "host": "cdn.example.com", "lower": str.lower,
        "starts_with": str.startswith, "ends_with": str.endswith,
    }  # fmt: skip
    return bool(eval(text, {"__builtins__": {}}, words))


@pytest.mark.parametrize("where", [on_amazon, before_own])
def test_rules_of_cloudflare_block_every_way_to_ask_for_what_is_private(where: Any) -> None:
    config = provider_edge("cloudflare")
    (closing,) = rules(config, where(config), "http_request_firewall_custom").values()

    assert [path for path in CLOSED if not holds(closing["expression"], method="GET", path=path)] == []
    assert [path for path in OPEN if holds(closing["expression"], method="GET", path=path)] == []
    assert holds(closing["expression"], method="PUT", path=OPEN[0])
    assert closing["action"] == "block"
