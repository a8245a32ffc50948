"""The router's peer: the same answers, known beforehand, from a starlette application for uvicorn."""

import json
import os
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_ANSWERS = {
    code: body.encode() for code, body in json.loads(Path(os.environ["BENCH_ANSWERS"]).read_text("utf-8")).items()
}


async def _route(request: Request) -> Response:
    return Response(_ANSWERS[request.query_params["preferred"]], media_type="application/json")


app = Starlette(routes=[Route("/v1/route", _route)])
