"""The router's answers to everything that can be asked over HTTP."""

from collections.abc import Mapping
from typing import Any

import msgspec

from aether_deploy.problems import NoCapacityError, Problem, UnknownRegionError, suggestion
from aether_deploy.routing.decision.explaining import explain_route
from aether_deploy.routing.request import RouteRequest
from aether_deploy.service.http.messages import JSON, Request, Response, Stream
from aether_deploy.service.http.server import Server
from aether_deploy.service.router.answers import NO_STORE, json_response, refusal, unreadable
from aether_deploy.service.router.endpoints import Endpoint, find
from aether_deploy.service.router.live import LiveRouter
from aether_deploy.service.router.metrics import CONTENT_TYPE, metrics_text
from aether_deploy.service.router.openapi import openapi_document
from aether_deploy.service.router.page import page_response
from aether_deploy.service.router.questions import (
    DrainOrder,
    LoadReport,
    ReservationOrder,
    RouteQuestion,
    in_query,
    read_body,
    read_query,
    request_of,
    unasked,
)
from aether_deploy.service.router.rights import AdminToken, refused_order

Given = Mapping[str, str]
PLAIN_TEXT = "text/plain; charset=utf-8"


class RouterApplication:
    """A router as the server sees it.

    Attributes:
        live: What it knows and answers by.
        token: What orders need; None: there are none.
        leaving: It was told to end: not ready any more, but still answering.
        server: What it is asked through, for its metrics; None before that listens.
    """

    def __init__(self, live: LiveRouter, token: AdminToken | None) -> None:
        self.live = live
        self.token = token
        self.leaving = False
        self.server: Server | None = None

    # --- what the server calls

    @property
    def ready(self) -> Mapping[bytes, bytes]:
        """Answers that are known before anybody asks."""
        return self.live.ready

    def counted(self, target: bytes) -> None:
        """Note that one of them was given."""
        self.live.counted(target)

    def answer(self, request: Request) -> Response | Stream:
        """Return the answer to a request."""
        found = find(request.path)
        if found is None:
            return self._counted(
                request.method, "other", refusal("not_found", f"{request.path} is no path of a router")
            )
        endpoint = found.by_method.get(request.method)
        if endpoint is None:
            allowed = ", ".join(found.by_method)
            said = f"{found.path} takes {allowed}"
            refused = refusal("method_not_allowed", said, headers=(("Allow", allowed),))
            return self._counted(request.method, found.path, refused)
        return self._counted(request.method, found.path, self._answer(endpoint, request, found.given))

    def _answer(self, endpoint: Endpoint, request: Request, given: Given) -> Response | Stream:
        if endpoint.is_order:
            refused = refused_order(self.token, request)
            if refused is not None:
                self.live.counts.refused_admin += 1
                return refused
        kind = request.headers.get("content-type", JSON).partition(";")[0].strip().lower()
        if request.body and kind != JSON:
            return refusal("unsupported_media_type", f"the body is said to be {kind}; send {JSON}")
        if endpoint.method != "GET" and request.query:
            return unreadable(unasked(request.query))
        try:
            answer: Response | Stream = getattr(self, f"_{endpoint.name}")(request, given)
        except UnknownRegionError as error:
            return refusal("unknown_region", str(error), known=[region.code for region in self.live.config.regions])
        return answer

    def _counted(self, method: str, path: str, answer: Response | Stream) -> Response | Stream:
        status = answer.status if isinstance(answer, Response) else 200
        self.live.counts.requests[method, path, status] += 1
        return answer

    # --- players

    def _route(self, request: Request, _: Given) -> Response:
        return self._routed(self._asked(read_query(request.query), request), request)

    def _route_question(self, request: Request, _: Given) -> Response:
        return self._routed(self._asked(read_body(RouteQuestion, request.body), request), request)

    def _routed(self, asked: RouteRequest | Response, request: Request) -> Response:
        if isinstance(asked, Response):
            return asked
        return self.live.route(asked, is_named=asked.player != request.peer)

    def _explain(self, request: Request, _: Given) -> Response:
        asked = self._asked(read_query(request.query), request)
        return self._explained(asked) if isinstance(asked, RouteRequest) else asked

    def _explain_question(self, request: Request, _: Given) -> Response:
        asked = self._asked(read_body(RouteQuestion, request.body), request)
        return self._explained(asked) if isinstance(asked, RouteRequest) else asked

    def _explained(self, asked: RouteRequest) -> Response:
        view = self.live.refresh()
        explanation = explain_route(self.live.config, view, asked)
        values = {"epoch": view.epoch, "stale": view.stale, "player": asked.player, **explanation.to_values()}
        return json_response(values)

    def _asked(self, question: RouteQuestion | list[Problem], request: Request) -> RouteRequest | Response:
        if isinstance(question, list):
            return unreadable(question)
        sticky = None
        if question.sticky is not None:
            sticky = self.live.tokens.region(question.sticky)
            self.live.counts.refused_tokens += sticky is None
        names = [rule.name for rule in self.live.config.residency]
        asked = request_of(question, peer=request.peer, sticky=sticky, residencies=names)
        if isinstance(asked, list):
            return unreadable(asked if request.method != "GET" else [in_query(each) for each in asked])
        return asked

    # --- what is known

    def _regions(self, _: Request, __: Given) -> Response:
        return json_response(self.live.snapshot())

    def _events(self, _: Request, __: Given) -> Stream:
        return self.live.feed.stream(self.live.first_event)

    def _keys(self, _: Request, __: Given) -> Response:
        keys = self.live.keys
        return json_response({"signs": keys.key_id if keys else None, "keys": dict(keys.public) if keys else {}})

    # --- orders

    def _report_load(self, request: Request, given: Given) -> Response:
        code = self._known(given)
        report = _read(LoadReport, request)
        if isinstance(report, Response):
            return report
        self.live.order(
            lambda tracker, now: tracker.report_load(
                code, players=report.players, capacity=report.capacity, builds=report.builds, now=now
            )
        )
        return self._region(code)

    def _drain(self, request: Request, given: Given) -> Response:
        code = self._known(given)
        order = _read(DrainOrder, request)
        if isinstance(order, Response):
            return order
        self.live.order(
            lambda tracker, now: tracker.drain(
                code, order.mode, bleed_secs=order.bleed_secs, deadline_secs=order.deadline_secs, now=now
            )
        )
        self.live.journal.say("drain", region=code, peer=request.peer, **msgspec.structs.asdict(order))
        return self._region(code)

    def _undrain(self, request: Request, given: Given) -> Response:
        code = self._known(given)
        self.live.order(lambda tracker, now: tracker.undrain(code, now))
        self.live.journal.say("undrain", region=code, peer=request.peer)
        return self._region(code)

    def _reserve(self, request: Request, _: Given) -> Response:
        order = _read(ReservationOrder, request)
        if isinstance(order, Response):
            return order
        if order.region not in (codes := self.live.config.codes):
            fix = suggestion(order.region, codes, f"known are {', '.join(codes)}")
            return unreadable([Problem(path="$.region", reason="no region has that name", fix=fix)])
        try:
            kept = self.live.order(
                lambda tracker, now: tracker.reserve(
                    order.region, players=order.players, lease_secs=order.lease_secs, now=now
                )
            )
        except NoCapacityError as error:
            return refusal("never_fits", str(error))
        return json_response(msgspec.to_builtins(kept), status=201)

    def _release(self, _: Request, given: Given) -> Response:
        return self._end_reservation(given["id"], joined=False)

    def _joined(self, _: Request, given: Given) -> Response:
        return self._end_reservation(given["id"], joined=True)

    def _end_reservation(self, reservation: str, *, joined: bool) -> Response:
        if self.live.order(lambda tracker, now: tracker.release(reservation, now, joined=joined)):
            return Response(204, headers=(NO_STORE,))
        return refusal("unknown_reservation", f"no place is kept as {reservation}, or its lease is over")

    def _known(self, given: Given) -> str:
        code, codes = given["code"], self.live.config.codes
        if code not in codes:
            raise UnknownRegionError(f"no region is named '{code}'; known are {', '.join(codes)}")
        return code

    def _region(self, code: str) -> Response:
        return json_response(next(each for each in self.live.regions() if each["code"] == code))

    # --- for machines and people

    def _healthz(self, _: Request, __: Given) -> Response:
        return Response(200, b"ok\n", PLAIN_TEXT, (NO_STORE,))

    def _readyz(self, _: Request, __: Given) -> Response:
        why = "is told to end" if self.leaving else self.live.why_not_ready()
        return Response(200, b"ready\n", PLAIN_TEXT, (NO_STORE,)) if why is None else refusal("not_ready", why)

    def _metrics(self, _: Request, __: Given) -> Response:
        live = self.live
        live.count_ready()
        statuses = live.statuses()
        return Response(200, metrics_text(live.counts, statuses, live.gauges(), self.server), CONTENT_TYPE, (NO_STORE,))

    def _openapi(self, _: Request, __: Given) -> Response:
        return Response(200, openapi_document(), JSON)

    def _page(self, _: Request, __: Given) -> Response:
        return page_response()


def _read(cls: type[Any], request: Request) -> Any:
    read = read_body(cls, request.body)
    return unreadable(read) if isinstance(read, list) else read
