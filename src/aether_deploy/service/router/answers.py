"""Decisions in the words of the HTTP interface."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from aether_deploy.problems import DecisionError, Problem
from aether_deploy.routing.decision.deciding import decide_for_all, decide_route
from aether_deploy.routing.decision_log import outcome_of
from aether_deploy.routing.policy import LoadPolicy
from aether_deploy.routing.request import RouteRequest
from aether_deploy.routing.routed import Routed
from aether_deploy.routing.router_config import RouterConfig
from aether_deploy.routing.tracking.health import recovery_secs
from aether_deploy.routing.view import RoutingView
from aether_deploy.service.http.messages import PROBLEM, Response
from aether_deploy.service.router.bundle import sign_bundle
from aether_deploy.service.router.signing import SigningKeys
from aether_deploy.service.router.stickiness import sticky_token

NO_STORE = ("Cache-Control", "no-store")
BUNDLE_SECS = 86_400
RENEW_SECS = 3600
"""How long a signed text is given out before a fresh one is made: a client's copy is never older than this."""
KEPT = 1000
"""Answers of one view that are kept, and bundles: clients choose what they ask, and could fill any memory."""
_OF_MANY = frozenset({"matrix", "static", None})
"""Sources of latencies that many players have in common, so that their answers are equal."""
TITLES = {
    "bad_request": (400, "What was asked cannot be read"),
    "unknown_residency": (400, "No residency rule has that name"),
    "unauthorized": (401, "A bearer token is needed"),
    "admin_off": (403, "Orders are off"),
    "not_found": (404, "Nothing is here"),
    "unknown_region": (404, "No region has that name"),
    "unknown_reservation": (404, "No such place is kept"),
    "method_not_allowed": (405, "Not to be asked this way"),
    "never_fits": (409, "The region is too small for so many players"),
    "unsupported_media_type": (415, "Only JSON is read"),
    "no_healthy_region": (503, "No region may take the player"),
    "no_capacity": (503, "No region has room"),
    "not_ready": (503, "Not ready"),
}
"""Status and title of every problem, by code."""


def json_response(values: object, *, status: int = 200) -> Response:
    """Return values as an answer that nobody may keep."""
    return Response(status, msgspec.json.encode(values), headers=(NO_STORE,))


def refusal(
    code: str,
    detail: str,
    *,
    errors: Sequence[Problem] = (),
    headers: tuple[tuple[str, str], ...] = (),
    **more: object,
) -> Response:
    """Return a problem document.

    Args:
        code: What it is, for programs; one of ``TITLES``.
        detail: What happened, for people.
        errors: Every single fault, where there are several.
        headers: Further header fields.
        more: Further members.

    Rule:
        RFC 9457, section 3.
    """
    status, title = TITLES[code]
    document: dict[str, object] = {
        "type": f"urn:aether:problem:{code}", "title": title, "status": status, "detail": detail, "code": code, **more
    }  # fmt: skip
    if errors:
        document["errors"] = [{"at": each.path, "reason": each.message, "fix": each.fix} for each in errors]
    return Response(status, msgspec.json.encode(document), PROBLEM, (NO_STORE, *headers))


def unreadable(faults: Sequence[Problem]) -> Response:
    """Return that a request has faults, with all of them."""
    return refusal("bad_request", "; ".join(f"{each.path}: {each.message}" for each in faults), errors=faults)


class RouteAnswers:
    """Decides under one configuration, and words what was decided.

    Attributes:
        config: What the router is told.
        ttl_secs: How long a client may go by an answer before it asks again, seconds.
        retry_secs: When it is worth asking again where no region takes anybody, seconds.
    """

    def __init__(self, config: RouterConfig, keys: SigningKeys | None, *, wall: Callable[[], float]) -> None:
        self.config = config
        self.ttl_secs = (config.load or LoadPolicy()).reservation_secs
        self.retry_secs = math.ceil(recovery_secs(config.health))
        self._addresses: Mapping[str, str | None] = {region.code: region.address for region in config.regions}
        self._tokens = {region.code: sticky_token(region.code, keys) for region in config.regions}
        self._keys = keys
        self._wall = wall
        self._signed: dict[tuple[str, ...], str] = {}
        self._worded: dict[Routed, Response] = {}
        self._kept_for: tuple[RoutingView | None, int] = (None, -1)

    def decide(self, view: RoutingView, request: RouteRequest) -> Routed | DecisionError:
        """Return where a player goes, or why nowhere."""
        try:
            return decide_route(self.config, view, request)
        except DecisionError as error:
            return error

    def decide_for_all(self, view: RoutingView, preferred: str) -> Routed | None:
        """Return where everybody goes who names a region and nothing else; None: nowhere, or it depends on who asks."""
        try:
            return decide_for_all(self.config, view, preferred)
        except DecisionError:
            return None

    def values(self, view: RoutingView, routed: Routed) -> dict[str, Any]:
        """Return a decision as the members of an answer."""
        region = routed.decision.region
        values = routed.to_values(self._addresses)
        values |= {
            "epoch": view.epoch,
            "stale": view.stale,
            "ttl_secs": self.ttl_secs,
            "sticky": self._tokens[region],
        }
        if self._keys is not None:
            values["bundle"] = self._bundle(view, (region, *routed.alternates))
        return values

    def response(self, view: RoutingView, outcome: Routed | DecisionError) -> Response:
        """Return the answer to a player; equal decisions from one view have the same one, until it is signed anew."""
        if isinstance(outcome, Routed):
            self._keep_for(view)
            worded = self._worded.get(outcome)
            if worded is None:
                worded = json_response(self.values(view, outcome))
                if outcome.source in _OF_MANY and len(self._worded) < KEPT:
                    self._worded[outcome] = worded
            return worded
        code = outcome_of(outcome)
        known = [region.code for region in self.config.regions]
        if code == "unknown_region":
            return refusal(code, str(outcome), known=known)
        return refusal(code, str(outcome), headers=(("Retry-After", str(self.retry_secs)),))

    def renewals(self) -> int:
        """Return a number that changes when signed texts have to be made anew."""
        return int(self._wall()) // RENEW_SECS

    def _keep_for(self, view: RoutingView) -> None:
        """Forget what was kept for another view, or for another hour."""
        renewals = self.renewals()
        if self._kept_for[0] is not view or self._kept_for[1] != renewals:
            self._kept_for = view, renewals
            self._worded, self._signed = {}, {}

    def _bundle(self, view: RoutingView, regions: tuple[str, ...]) -> str:
        """Return a bundle, which is signed once for each view and hour."""
        assert self._keys is not None
        self._keep_for(view)
        bundle = self._signed.get(regions)
        if bundle is None:
            issued = int(self._wall())
            bundle = sign_bundle(
                self._keys, regions, self._addresses, epoch=view.epoch, issued=issued, lifetime_secs=BUNDLE_SECS
            )
            if len(self._signed) < KEPT:
                self._signed[regions] = bundle
        return bundle
