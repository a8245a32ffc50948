"""How nginx tells pages of other origins that they may read, without asking the store or keeping an answer for each.

The store is asked as by nobody's page, so that one answer is kept for all; what a page is told is added on the way out.
Source: Fetch Standard, *CORS protocol*.
"""

from collections.abc import Callable, Iterator, Sequence

from aether_deploy.infrastructure.edge.policy import METHODS, EdgePage
from aether_deploy.patterns import Pattern

_WORDS = Pattern(r"[*.+?^$(){}|\[\]\\]")


def page_maps(pages: Sequence[EdgePage]) -> Iterator[str]:
    """Yield what tells, of each request, what a page that sent it is told; empty where it is told nothing."""
    yield from _map("aether_page", pages, lambda each: "*" if each.origin == "*" else "$http_origin")
    yield from _map("aether_exposed", pages, lambda each: ", ".join(each.expose_headers))
    yield from _map("aether_headers", pages, lambda each: ", ".join(each.headers))
    yield from _map("aether_max_age", pages, lambda each: str(each.max_age_secs))
    # Only a page that may read asks what it may send; everything else but reading is refused.
    yield "map $request_method:$aether_page $aether_refused {"
    yield "  default 1;"
    yield f"  '~^({'|'.join(METHODS)}):' '';"
    yield "  '~^OPTIONS:.' '';"
    yield "}"


def _map(name: str, pages: Sequence[EdgePage], value: Callable[[EdgePage], str]) -> Iterator[str]:
    yield f"map $http_origin ${name} {{"
    yield "  default '';"
    for page in pages:
        said = value(page)
        yield f"  '{origin_pattern(page.origin)}' {said if said.startswith('$') else _quoted(said)};"
    yield "}"


def origin_pattern(origin: str) -> str:
    """Return the pattern of what a browser says; ``*`` in an origin stands for labels of a name."""
    if origin == "*":
        return "~."
    literal = _WORDS.sub(lambda found: "[a-z0-9.-]+" if found.group() == "*" else f"\\{found.group()}", origin)
    return f"~^{literal}$"


def _quoted(text: str) -> str:
    return f"'{text}'"


def page_headers() -> Iterator[str]:
    """Yield the headers of an answer to a page; nginx leaves out those that are empty."""
    yield "add_header Access-Control-Allow-Origin $aether_page always;"
    yield "add_header Access-Control-Expose-Headers $aether_exposed always;"
    yield "add_header Vary Origin always;"


def preflight() -> Iterator[str]:
    """Yield the answer to what a browser asks before it sends headers of its own."""
    yield "if ($request_method = OPTIONS) {"
    yield "  add_header Access-Control-Allow-Origin $aether_page;"
    yield f"  add_header Access-Control-Allow-Methods '{', '.join(METHODS)}';"
    yield "  add_header Access-Control-Allow-Headers $aether_headers;"
    yield "  add_header Access-Control-Max-Age $aether_max_age;"
    yield "  add_header Vary Origin;"
    yield "  return 204;"
    yield "}"
