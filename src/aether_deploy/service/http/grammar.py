"""The bytes that HTTP/1.1 allows, as patterns shared by the parser and by the short cut for plain requests.

Rule:
    RFC 9110, sections 5.5 and 5.6.2; RFC 9112, sections 2 to 6; RFC 3986, appendix A. Where they let a server choose
    between refusing and repairing, this one refuses.
"""

import re

TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
VALUE = rb"[\t\x20-\x7e\x80-\xff]"
TARGET = rb"[A-Za-z0-9\-._~!$&'()*+,;=:@%/?]"
HOST = rb"(?:\[[0-9A-Fa-f:.]++\]|[A-Za-z0-9\-._~!$&'()*+,;=%]*+)(?::[0-9]*+)?+"

REQUEST_LINE = re.compile(rb"(" + TOKEN + rb"++) ([\x21-\x7e]++) HTTP/([0-9])\.([0-9])")
FIELD_LINE = re.compile(rb"(" + TOKEN + rb"++):(" + VALUE + rb"*+)")
ORIGIN_FORM = re.compile(rb"/" + TARGET + rb"*+")
ABSOLUTE_FORM = re.compile(rb"[Hh][Tt][Tt][Pp][Ss]?://(" + HOST + rb")(/" + TARGET + rb"*+|\?" + TARGET + rb"*+|)")
HOST_VALUE = re.compile(HOST)

# Fields that change how a request is read or its connection kept; the short cut is for heads without them.
FRAMING_FIELDS = ("host", "connection", "content-length", "transfer-encoding", "expect")


def _any_case(text: str) -> bytes:
    return b"".join(f"[{c}{c.upper()}]".encode() if c.isalpha() else re.escape(c).encode() for c in text)


def plain_get(fields_max: int) -> re.Pattern[bytes]:
    """Return what matches the whole head of a GET that needs no further look, with its target as group 1.

    It matches only what ``RequestReader`` accepts: HTTP/1.1, a path as target, one valid Host, no body, and a
    connection that stays open. Its time is linear in what it reads: no part is tried twice.

    Args:
        fields_max: Most header fields that may be there.
    """
    each = max((fields_max - 1) // 2, 0)
    framing = b"|".join(_any_case(name) for name in FRAMING_FIELDS)
    keep = _any_case("connection") + rb":[ \t]*+" + _any_case("keep-alive") + rb"[ \t]*+\r\n"
    other = rb"(?!(?:" + framing + rb"):)" + TOKEN + rb"++:" + VALUE + rb"*+\r\n"
    others = rb"(?:" + other + rb"|" + keep + rb"){0,%d}+" % each
    host = _any_case("host") + rb":[ \t]*+" + HOST + rb"[ \t]*+\r\n"
    return re.compile(rb"GET (/" + TARGET + rb"*+) HTTP/1\.1\r\n" + others + host + others + rb"\r\n")
