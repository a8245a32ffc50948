"""Who may give orders: whoever has the bearer token from the operator's file."""

import hmac

from aether_deploy.problems import ConfigError, Problem
from aether_deploy.service.http.messages import Request, Response
from aether_deploy.service.router.answers import refusal

TOKEN_MIN, TOKEN_MAX = 16, 1024
_FIX = "name the file of the token; to make one: openssl rand -hex 32"


class AdminToken:
    """The token that orders need."""

    def __init__(self, token: bytes) -> None:
        self._token = token

    def admits(self, request: Request) -> bool:
        """Say whether a request has the token; how long that takes tells nothing of it."""
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        return scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode("utf-8"), self._token)


def read_admin_token(content: bytes, *, file: str) -> AdminToken:
    """Return the token that a file holds: one line, without the spaces around it.

    Raises:
        ConfigError: It is empty, short, long, of several lines, or not plain ASCII.
    """
    token = content.strip()
    reason = None
    if not token:
        reason = "is empty"
    elif any(not 0x21 <= byte <= 0x7E for byte in token):
        reason = "holds something else than one word of printable ASCII"
    elif len(token) < TOKEN_MIN:
        reason = f"holds a token of {len(token)} characters; fewer than {TOKEN_MIN} can be guessed"
    elif len(token) > TOKEN_MAX:
        reason = f"holds a token of {len(token)} characters; more than {TOKEN_MAX} do not fit into a header"
    if reason is not None:
        raise ConfigError([Problem(path="$", reason=reason, fix=_FIX, file=file)])
    return AdminToken(token)


def refused_order(token: AdminToken | None, request: Request) -> Response | None:
    """Return why an order is not followed; None where it may be."""
    if token is None:
        return refusal("admin_off", "this router takes no orders: it was started without --admin-token-file")
    if token.admits(request):
        return None
    said = "the bearer token is wrong" if "authorization" in request.headers else "the order has no bearer token"
    return refusal("unauthorized", said, headers=(("WWW-Authenticate", 'Bearer realm="router"'),))
