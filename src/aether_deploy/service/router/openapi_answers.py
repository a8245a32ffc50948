"""What comes out of a router, as JSON Schema, and each operation in words."""

from typing import Any, NamedTuple

from aether_deploy.routing.decision.eligibility import CONSTRAINTS
from aether_deploy.routing.policy import LATENCY_SOURCES
from aether_deploy.routing.routed import Failover, Primary
from aether_deploy.service.http.messages import PROBLEMS
from aether_deploy.service.router.answers import TITLES
from aether_deploy.service.router.probing import OUTCOMES

JSON, EVENTS, HTML, TEXT = "application/json", "text/event-stream", "text/html", "text/plain"


class Told(NamedTuple):
    """One operation, in words.

    Attributes:
        summary: What it does.
        words: What comes out.
        schema: Name of the schema of that; None for text.
        problems: Statuses of its problems, but for those that every operation of its kind has.
        status: Status where all is well.
        content_type: Type of what comes out; None: nothing does.
    """

    summary: str
    words: str
    schema: str | None = None
    problems: tuple[int, ...] = ()
    status: int = 200
    content_type: str | None = JSON


_EXPLAINED = Told(
    "Say why a player would be sent where, without sending one.",
    "Every region, and what removed it.",
    "Explanation",
    (400,),
)
_ROUTED = Told("Send a player to a region.", "Where the player goes.", "Route", (400, 404, 503))
_REGION = Told("", "The region as it is now.", "Region", (400, 404))
SUMMARIES = {
    "page": Told("Show regions to people.", "A page.", content_type=HTML),
    "route": _ROUTED._replace(summary="Send a player to a region, by preference or position."),
    "route_question": _ROUTED._replace(summary="Send a player or a party to a region, by what was measured."),
    "explain": _EXPLAINED,
    "explain_question": _EXPLAINED,
    "regions": Told("Return all that is known of regions.", "The regions in file order.", "Snapshot"),
    "events": Told(
        "Follow what changes.",
        "Server-sent events: first `snapshot`; then `change` and `reload` as they happen, `regions` and `decisions` "
        "each second. The id is the epoch.",
        content_type=EVENTS,
    ),
    "keys": Told("Return the keys that bundles and tokens are signed with.", "Public Ed25519 keys by id.", "Keys"),
    "report_load": _REGION._replace(summary="Report how many players a region has."),
    "drain": _REGION._replace(summary="Take players away from a region."),
    "undrain": _REGION._replace(summary="Send players to a region again.", problems=(404,)),
    "reserve": Told(
        "Keep places for players on their way.", "What is kept.", "Reservation", problems=(400, 409), status=201
    ),
    "release": Told(
        "Give places back: the players will not come.", "They are free.", problems=(404,), status=204, content_type=None
    ),
    "joined": Told(
        "Say that the players are there: their places are kept until the region's next report, which counts them.",
        "It is noted.",
        problems=(404,),
        status=204,
        content_type=None,
    ),
    "healthz": Told("Say whether the process answers.", "It does.", content_type=TEXT),
    "readyz": Told(
        "Say whether answers can be relied on: every region was probed, and not too long ago.",
        "They can.",
        problems=(503,),
        content_type=TEXT,
    ),
    "metrics": Told("Return metrics for Prometheus.", "Text format 0.0.4.", content_type=TEXT),
    "openapi": Told("Return this document.", "OpenAPI 3.1.", "OpenApi"),
}


def _object(required: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
        "additionalProperties": False,
    }


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}


_TEXT, _NUMBER, _WHOLE, _TRUTH = ({"type": each} for each in ("string", "number", "integer", "boolean"))
_SECS = {"type": "number", "minimum": 0}
_SHARE = {"type": "number", "minimum": 0, "maximum": 1}
_SOURCE = {"enum": list(LATENCY_SOURCES)}
_DECISION = {"enum": [Primary.word, Failover.word]}
_HEALTH = {"enum": ["unknown", "healthy", "unhealthy"]}
_RELAXED = {"type": "array", "items": {"enum": list(CONSTRAINTS)}}


def _list(of: str) -> dict[str, Any]:
    return {"type": "array", "items": {"$ref": f"#/components/schemas/{of}"}}


ANSWERS: dict[str, Any] = {
    "Problem": {
        **_object(
            {
                "type": {"type": "string", "format": "uri"},
                "title": _TEXT,
                "status": _WHOLE,
                "detail": _TEXT,
                "code": {"enum": list(dict.fromkeys((*TITLES, *(code for code, _ in PROBLEMS.values()))))},
            },
            {
                "errors": {"type": "array", "items": _object({"at": _TEXT, "reason": _TEXT, "fix": _TEXT})},
                "known": {"type": "array", "items": _TEXT},
            },
        ),
        "description": "RFC 9457. `errors` has every fault of the request at once.",
    },
    "Place": _object({"region": _TEXT}, {"address": _TEXT}),
    "Route": _object(
        {
            "decision": _DECISION,
            "region": _TEXT,
            "preferred": _or_null(_TEXT),
            "latency_ms": _or_null(_NUMBER),
            "source": _or_null(_SOURCE),
            "alternates": _list("Place"),
            "epoch": _WHOLE,
            "stale": _TRUTH,
            "ttl_secs": _WHOLE,
            "sticky": _TEXT,
        },
        {"reason": _TEXT, "address": _TEXT, "relaxed": _RELAXED, "bundle": _TEXT},
    ),
    "Obstacle": _object({"rule": _TEXT, "text": _TEXT, "gave_way": _TRUTH}),
    "Candidate": _object(
        {
            "code": _TEXT,
            "latency_ms": _or_null(_NUMBER),
            "mean_ms": _or_null(_NUMBER),
            "source": _or_null(_SOURCE),
            "obstacles": _list("Obstacle"),
            "notes": {"type": "array", "items": _TEXT},
            "eligible": _TRUTH,
            "chosen": _TRUTH,
        }
    ),
    "Explanation": _object(
        {
            "epoch": _WHOLE,
            "stale": _TRUTH,
            "player": _TEXT,
            "decision": _or_null(_DECISION),
            "preferred": _or_null(_TEXT),
            "preferred_by": _TEXT,
            "why": _TEXT,
            "candidates": _list("Candidate"),
        },
        {
            "error": _object({"name": _TEXT, "text": _TEXT}),
            "region": _TEXT,
            "reason": _TEXT,
            "latency_ms": _or_null(_NUMBER),
            "source": _or_null(_SOURCE),
            "relaxed": _RELAXED,
            "alternates": _list("Place"),
        },
    ),
    "Probe": _object({"outcome": {"enum": list(OUTCOMES)}, "detail": _TEXT, "took_ms": _SECS, "age_secs": _SECS}),
    "Drain": _object(
        {
            "by": {"enum": ["order", "description", "both"]},
            "mode": {"enum": ["soft", "hard"]},
            "share": _SHARE,
            "since_secs": _SECS,
            "deadline_in_secs": _or_null(_SECS),
            "done": _TRUTH,
            "empty": _TRUTH,
            "remaining_secs": _or_null(_SECS),
        }
    ),
    "Location": _object({"lat": _NUMBER, "lon": _NUMBER}),
    "Region": _object(
        {
            "code": _TEXT,
            "health": _HEALTH,
            "takes_players": _TRUTH,
            "penalty": _SECS,
            "rests_secs": _SECS,
            "ramp": _SHARE,
            "healthy_secs": _or_null(_SECS),
            "players": _or_null(_WHOLE),
            "reserved": _WHOLE,
            "capacity": _or_null(_WHOLE),
            "load": _or_null(_SECS),
            "load_stale": _TRUTH,
            "load_at_least": _TRUTH,
            "report_age_secs": _or_null(_SECS),
            "builds": {"type": "array", "items": _TEXT},
            "drain": _or_null({"$ref": "#/components/schemas/Drain"}),
            "address": _or_null(_TEXT),
            "location": _or_null({"$ref": "#/components/schemas/Location"}),
            "latency_ms": _or_null(_WHOLE),
            "probe": _or_null({"$ref": "#/components/schemas/Probe"}),
        }
    ),
    "Decisions": _object(
        {
            "at": _NUMBER,
            "preferred": _or_null(_TEXT),
            "decision": {"enum": [*_DECISION["enum"], "error"]},
            "region": _or_null(_TEXT),
            "reason": _or_null(_TEXT),
            "count": _WHOLE,
        }
    ),
    "Snapshot": _object(
        {
            "epoch": _WHOLE,
            "stale": _TRUTH,
            "snapshot_age_secs": _or_null(_SECS),
            "self_check": _or_null({"$ref": "#/components/schemas/Probe"}),
            "load_limits": _or_null(_object({"soft_percent": _WHOLE, "hard_percent": _WHOLE})),
            "regions": _list("Region"),
            "matrix": {
                "type": "object",
                "additionalProperties": {"type": "object", "additionalProperties": _NUMBER},
            },
            "recent": _list("Decisions"),
        }
    ),
    "Keys": _object({"signs": _or_null(_TEXT), "keys": {"type": "object", "additionalProperties": _TEXT}}),
    "Reservation": _object({"id": _TEXT, "region": _TEXT, "players": _WHOLE, "lease_secs": _SECS}),
    "OpenApi": {"type": "object", "required": ["openapi", "info", "paths"]},
}
"""Schemas of everything that comes out, by name."""
