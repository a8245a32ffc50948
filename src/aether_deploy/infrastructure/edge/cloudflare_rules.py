"""What Cloudflare's API takes: the body of one request for each phase of a zone's rules.

Rules name paths as they were sent (``raw.http.request.uri.path``) where a request comes in, so that no setting of the
zone for URL normalization decides what is closed. After that a path is a plain one below what is public, with or
without the bucket that a rule put before it.

Sources: Cloudflare API, *Rulesets*, ``PUT /zones/{zone_id}/rulesets/phases/{phase}/entrypoint``; Cloudflare Docs,
*Cache Response Rules* (``set_cache_control``), *Cloud Connector*, *Rules language*.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from aether_deploy.infrastructure.edge.outside import (
    OutsideOrigin,
    outside_origins,
    outside_policy,
)
from aether_deploy.infrastructure.edge.policy import METHODS, NOT_FOUND_SECS, EdgeClass, EdgePolicy
from aether_deploy.infrastructure.estate import Estate
from aether_deploy.infrastructure.object_store.regions import SELF_HOSTED

if TYPE_CHECKING:
    from aether_deploy.infrastructure.kinds.edge import EdgeConfig

Rule = dict[str, Any]
Documents = dict[str, Any]

TRANSFORM = "http_request_transform"
SETTINGS = "http_config_settings"
ORIGIN = "http_request_origin"
FIREWALL = "http_request_firewall_custom"
CACHE = "http_request_cache_settings"
CACHE_RESPONSE = "http_response_cache_settings"
HEADERS = "http_response_headers_transform"
DNS = "dns"
CONNECTOR = "cloud_connector"

_RAW = "raw.http.request.uri.path"
_PATH = "http.request.uri.path"
_MISLEADING = ("..", "//", "/./", "\\")
"""What must not be in a path: some reader of it could take it for another one."""

_MISLEADING_CODES = ("%00", "%2e", "%2f", "%5c", "%2525", "%252e", "%252f", "%255c")
_STORES_OWN = ("x-amz-id-2", "x-amz-request-id", "x-amz-server-side-encryption", "x-amz-version-id")
_SAYS_LONG = ("max-age", "s-maxage", "stale-while-revalidate", "stale-if-error")
_FORBIDS = ("no-cache", "no-store", "private", "must-revalidate", "proxy-revalidate")


def documents_of(config: "EdgeConfig", estate: Estate) -> Documents:
    """Return the body of every request by its phase; ``dns`` and ``cloud_connector`` are no phases of rules."""
    policy, origin = outside_policy(config, estate), asked_origin(config, estate)
    own_host = estate.component(config.store).provider != SELF_HOSTED
    found: Documents = {DNS: _record(policy, origin)}
    if origin.is_s3:
        found[CONNECTOR] = [_connector(policy, origin)]
    rules: Mapping[str, Sequence[Rule]] = {
        TRANSFORM: list(_transform(policy, origin)),
        SETTINGS: [_encryption(policy, origin)],
        ORIGIN: [] if origin.is_s3 else [_route(policy, origin, own_host=own_host)],
        FIREWALL: [_closing(policy)],
        CACHE: list(_keeping(policy, origin)),
        CACHE_RESPONSE: list(_telling(policy, origin)),
        HEADERS: list(_page_headers(policy)),
    }
    for phase, listed in rules.items():
        if listed:
            named = [{"ref": f"{config.name}_{each.pop('ref')}", **each} for each in listed]
            found[phase] = {"description": f"edge {config.name}", "rules": named}
    return found


def asked_origin(config: "EdgeConfig", estate: Estate) -> OutsideOrigin:
    """Return the copy of the store that is asked: rules name one."""
    return outside_origins(config, estate.component(config.store), estate)[0]


def document_text(body: object) -> str:
    """Return a body as JSON. Equal input gives equal text."""
    return json.dumps(body, indent=2, sort_keys=True) + "\n"


# --- expressions


def quoted(text: str) -> str:
    """Return a text as expressions have it."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def here(policy: EdgePolicy) -> str:
    """Return what is true of requests to this edge."""
    return f"http.host eq {quoted(policy.hostname)}"


def plain_and_open(policy: EdgePolicy) -> str:
    """Return what is true of paths that anybody may read, and that every reader takes for the same."""
    opened = " or ".join(f"starts_with({_RAW}, {quoted(prefix)})" for prefix in policy.open_prefixes)
    tests = [f"({opened})", f'not ends_with({_RAW}, "/")']
    tests += [f"not {_RAW} contains {quoted(each)}" for each in _MISLEADING]
    tests += [f"not lower({_RAW}) contains {quoted(each)}" for each in _MISLEADING_CODES]
    return " and ".join(tests)


def _below(prefix: str, origin: OutsideOrigin) -> str:
    """Return what is true of paths below ``prefix``, whether the phase sees them as sent or as rewritten."""
    sent = f"starts_with({_PATH}, {quoted(prefix)})"
    return f"({sent} or starts_with({_PATH}, {quoted(origin.path + prefix)}))" if origin.path else sent


# --- rules, in the order in which a request meets them


def _transform(policy: EdgePolicy, origin: OutsideOrigin) -> Iterator[Rule]:
    # Without its query a request has one key, and asks the store nothing else.
    yield {
        "ref": "query",
        "action": "rewrite",
        "action_parameters": {"uri": {"query": {"value": ""}}},
        "expression": here(policy),
    }
    if origin.path:
        yield {
            "ref": "bucket",
            "action": "rewrite",
            "action_parameters": {"uri": {"path": {"expression": f"concat({quoted(origin.path)}, {_PATH})"}}},
            "expression": f"{here(policy)} and {plain_and_open(policy)}",
        }


def _encryption(policy: EdgePolicy, origin: OutsideOrigin) -> Rule:
    mode = "strict" if origin.address.scheme == "https" else "flexible"
    return {
        "ref": "encryption",
        "action": "set_config",
        "action_parameters": {"ssl": mode},
        "expression": here(policy),
    }


def _route(policy: EdgePolicy, origin: OutsideOrigin, *, own_host: bool) -> Rule:
    host = {"host_header": origin.address.host} if own_host else {}
    return {
        "ref": "origin",
        "action": "route",
        "action_parameters": {**host, "origin": {"port": origin.address.port}},
        "expression": here(policy),
    }


def _closing(policy: EdgePolicy) -> Rule:
    methods = " ".join(quoted(each) for each in METHODS)
    read = f"http.request.method in {{{methods}}}"
    return {
        "ref": "closing",
        "action": "block",
        "expression": f"{here(policy)} and not ({read} and {plain_and_open(policy)})",
    }


def _keeping(policy: EdgePolicy, origin: OutsideOrigin) -> Iterator[Rule]:
    # Of all rules that match, the last decides.
    yield {
        "ref": "not_kept",
        "action": "set_cache_settings",
        "action_parameters": {"cache": False},
        "expression": here(policy),
    }
    for each in reversed(policy.classes):
        yield {
            "ref": f"kept_{each.name}",
            "action": "set_cache_settings",
            "action_parameters": {
                "cache": True,
                "edge_ttl": {"mode": "respect_origin"},
                "browser_ttl": {"mode": "respect_origin"},
                "serve_stale": {"disable_stale_while_updating": not each.swr_secs},
            },
            "expression": f"{here(policy)} and {_below(each.match, origin)}",
        }


def _telling(policy: EdgePolicy, origin: OutsideOrigin) -> Iterator[Rule]:
    for each in reversed(policy.classes):
        yield {
            "ref": f"told_{each.name}",
            "action": "set_cache_control",
            "action_parameters": _directives(each),
            "expression": f"{here(policy)} and http.response.code lt 400 and {_below(each.match, origin)}",
        }
    yield {
        "ref": "missing",
        "action": "set_cache_control",
        "action_parameters": {"s-maxage": {"operation": "set", "value": NOT_FOUND_SECS, "cloudflare_only": True}},
        "expression": f"{here(policy)} and http.response.code in {{403 404}}",
    }


def _directives(each: EdgeClass) -> Rule:
    """Return every directive: what a shorter class or the store said of the same object must not remain."""
    times = {"max-age": each.ttl_secs, "stale-while-revalidate": each.swr_secs, "stale-if-error": each.sie_secs}
    said: Rule = {name: {"operation": "remove"} for name in (*_SAYS_LONG, *_FORBIDS)}
    said |= {name: {"operation": "set", "value": secs} for name, secs in times.items() if secs or name == "max-age"}
    return {
        **said,
        "public": {"operation": "set"},
        "immutable": {"operation": "set" if each.immutable else "remove"},
    }


def _page_headers(policy: EdgePolicy) -> Iterator[Rule]:
    removed = {name: {"operation": "remove"} for name in (*_STORES_OWN, "access-control-allow-origin")}
    yield _headers("headers", {**removed, **({"vary": _to("Origin")} if policy.pages else {})}, here(policy))
    sender = 'http.request.headers["origin"][0]'
    for at, page in enumerate(policy.pages):
        exposed = {"access-control-expose-headers": _to(", ".join(page.expose_headers))} if page.expose_headers else {}
        if page.origin == "*":
            yield _headers(f"page_{at}", {"access-control-allow-origin": _to("*"), **exposed}, here(policy))
            continue
        like = "wildcard" if "*" in page.origin else "eq"
        allowed = {"access-control-allow-origin": {"operation": "set", "expression": sender}, **exposed}
        yield _headers(f"page_{at}", allowed, f"{here(policy)} and {sender} {like} {quoted(page.origin)}")


def _headers(ref: str, headers: Mapping[str, Rule], expression: str) -> Rule:
    return {
        "ref": ref,
        "action": "rewrite",
        "action_parameters": {"headers": dict(headers)},
        "expression": expression,
    }


def _to(value: str) -> Rule:
    return {"operation": "set", "value": value}


# --- what is no rule of a phase


def _record(policy: EdgePolicy, origin: OutsideOrigin) -> Rule:
    return {"type": "CNAME", "name": policy.hostname, "content": origin.address.host, "proxied": True, "ttl": 1}


def _connector(policy: EdgePolicy, origin: OutsideOrigin) -> Rule:
    return {
        "description": f"{policy.hostname}: {origin.name}",
        "enabled": True,
        "expression": here(policy),
        "parameters": {"host": origin.address.host},
        "provider": "aws_s3",
    }
