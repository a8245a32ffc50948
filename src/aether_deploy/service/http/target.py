"""From the raw target of a request to its path and query."""

import re
from collections.abc import Mapping

from aether_deploy.problems import shown
from aether_deploy.service.http.grammar import ABSOLUTE_FORM, ORIGIN_FORM
from aether_deploy.service.http.refusal import Refusal

_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})?")


def check_form(method: bytes, target: bytes) -> None:
    """Refuse a target that is neither a path, nor a whole http address, nor the ``*`` of OPTIONS.

    Raises:
        Refusal: It is none of them, or holds a byte that does not belong there.
    """
    if ORIGIN_FORM.fullmatch(target) or ABSOLUTE_FORM.fullmatch(target):
        return
    if target != b"*" or method != b"OPTIONS":
        raise Refusal(400, "the request target is no path, or holds a byte that must be percent-encoded")


def split_target(target: bytes) -> tuple[str, Mapping[str, str]]:
    """Return the decoded path and query of a target that ``check_form`` let through.

    Raises:
        Refusal: A percent sign without two hexadecimal digits, text that is no UTF-8, an encoded NUL, an encoded slash
            in the path, which would be another path after decoding, or a parameter that is said twice.
    """
    absolute = ABSOLUTE_FORM.fullmatch(target)
    local = absolute[2] if absolute else target
    path, _, query = local.partition(b"?")
    if b"%2f" in path.lower():
        raise Refusal(400, "an encoded slash in the path is ambiguous")
    return _decoded(path) or "/", _fields(query)


def _fields(query: bytes) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for pair in query.split(b"&"):
        if pair:
            name, _, value = (_decoded(each) for each in pair.replace(b"+", b" ").partition(b"="))
            if name in found:
                raise Refusal(400, f"the query says {shown(name)} twice")
            found[name] = value
    return found


def _decoded(text: bytes) -> str:
    if b"%" in text:
        text = _ESCAPE.sub(_byte, text)
    if b"\0" in text:
        raise Refusal(400, "the request target holds an encoded NUL")
    try:
        return text.decode()
    except UnicodeDecodeError:
        raise Refusal(400, "the request target is no UTF-8") from None


def _byte(escape: re.Match[bytes]) -> bytes:
    if escape[1] is None:
        raise Refusal(400, "a percent sign in the request target lacks its two hexadecimal digits")
    return bytes.fromhex(escape[1].decode())
