"""Answers that are known before anybody asks."""

from typing import NamedTuple

from aether_deploy.routing.request import RouteRequest
from aether_deploy.routing.routed import Routed
from aether_deploy.routing.view import RoutingView
from aether_deploy.service.http.writing import encode_response
from aether_deploy.service.router.answers import RouteAnswers

PREFIX = b"/v1/route?preferred="


class ReadyAnswer(NamedTuple):
    """What was decided for everybody who asks for one target.

    Attributes:
        request: What they bring.
        routed: Where they go.
        response: What they are told, head included.
    """

    request: RouteRequest
    routed: Routed
    response: bytes


def ready_answers(answers: RouteAnswers, view: RoutingView) -> dict[bytes, ReadyAnswer]:
    """Return the answers to everybody who names a known region and nothing else, by target.

    Where a region takes a share of players (it warms up, spills or bleeds) and that changes the answer, who asks
    decides, and none is ready. Nor is one where there is no region.
    """
    ready = {}
    for region in answers.config.regions:
        routed = answers.decide_for_all(view, region.code)
        if routed is not None:
            target = PREFIX + region.code.encode("ascii")
            response = encode_response(answers.response(view, routed))
            ready[target] = ReadyAnswer(RouteRequest(preferred=region.code), routed, response)
    return ready
