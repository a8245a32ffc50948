"""The page for people: one file, which asks nobody but the router that it came from."""

import base64
import hashlib
import re
from functools import cache
from importlib.resources import files

from aether_deploy.service.http.messages import Response


@cache
def page_response() -> Response:
    """Return the page, with the rule that nothing but its own script and style may run."""
    page = files(__package__).joinpath("page.html").read_bytes()
    scripts, styles = _hashes(page, b"script"), _hashes(page, b"style")
    policy = (
        f"default-src 'none'; script-src {scripts}; style-src {styles}; connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    headers = (
        ("Content-Security-Policy", policy),
        ("Cache-Control", "no-cache"),
        ("X-Content-Type-Options", "nosniff"),
        ("Referrer-Policy", "no-referrer"),
    )
    return Response(200, page, "text/html; charset=utf-8", headers)


def _hashes(page: bytes, element: bytes) -> str:
    """Return the sources of a policy that admit the elements of that name, and none else."""
    found = re.findall(rb"<%b>(.*?)</%b>" % (element, element), page, re.DOTALL)
    return " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(each).digest()).decode()}'" for each in found)
