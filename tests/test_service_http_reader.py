"""What the server takes for a request, and that it does not matter how its bytes arrive."""

import os
import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aether_deploy.service.http.limits import Limits
from tests.http_cases import CASES, LIMITS, NEXT, READY, READY_TARGET, Talk, get, post, statuses, talk

every_case = pytest.mark.parametrize("sent, expected", CASES.values(), ids=CASES)


@every_case
def test_a_request_is_answered_or_refused_by_the_rules(sent: bytes, expected: list[int]) -> None:
    told = talk(sent)

    assert statuses(told.heard()) == expected


@every_case
def test_a_refusal_is_a_problem_document_and_ends_the_connection(sent: bytes, expected: list[int]) -> None:
    told = talk(sent)

    refused = bool(expected) and expected[-1] >= 400
    assert (b"application/problem+json" in told.heard()) == (refused or 500 in expected)
    assert not refused or (told.wire.ended and b"Connection: close" in told.heard())


@every_case
def test_it_does_not_matter_how_bytes_are_cut(sent: bytes, expected: list[int]) -> None:
    whole = talk(sent).outcome()

    assert Talk().say(sent[at : at + 1] for at in range(len(sent))).outcome() == whole
    for at in range(1, len(sent)):
        assert Talk().say((sent[:at], sent[at:])).outcome() == whole, at


@every_case
def test_the_short_cut_takes_what_the_reader_takes(sent: bytes, expected: list[int]) -> None:
    assert talk(sent + NEXT).outcome() == talk(sent + NEXT, short_cut=False).outcome()


@every_case
def test_a_request_that_was_judged_before_is_judged_alike(sent: bytes, expected: list[int]) -> None:
    told = Talk().say((NEXT, NEXT))
    first = told.heard()
    told.say((sent,))

    assert statuses(told.heard()[len(first) :]) == expected


@pytest.mark.parametrize("name, field", {"host": b"Host: b", "content-length": b"Content-Length: 0"}.items())
def test_a_field_that_may_stand_once_is_named_where_it_stands_twice(name: str, field: bytes) -> None:
    told = talk(post(b"", b"Content-Length: 0", field))

    assert f"the head names {name} twice".encode() in told.heard()


def test_a_parameter_that_a_query_has_twice_is_named() -> None:
    assert b"the query says 'preferred' twice" in talk(get(b"/v1/route?preferred=a&%70referred=b")).heard()


def test_the_short_cut_is_taken() -> None:
    plain = talk(NEXT)
    match = plain.core.plain_get(NEXT)

    assert match is not None
    assert match.end() == len(NEXT)
    assert plain.application.targets == [READY_TARGET]


def test_a_short_cut_that_is_too_lenient_is_caught() -> None:
    lenient = re.compile(rb"GET (\S+) HTTP/1\.1\r\n(?:[^\r]+\r\n)*\r\n")
    differs = []
    for name, (sent, _) in CASES.items():
        told = Talk()
        told.core.plain_get = lenient.match
        if told.say((sent + NEXT,)).outcome() != talk(sent + NEXT, short_cut=False).outcome():
            differs.append(name)

    assert "chunked on a ready get" in differs
    assert "two hosts, ready" in differs
    assert "a tab before the colon" in differs


def test_what_is_asked_arrives_decoded() -> None:
    told = talk(get(b"/v1/r%C3%A9gion?a=1&b=%20x+y&c&=&%41=%3d", b"X-A:  one\t", b"x-a: two"))

    request = told.application.asked[0]
    assert request.path == "/v1/région"
    assert dict(request.query) == {"a": "1", "b": " x y", "c": "", "": "", "A": "="}
    assert request.headers["x-a"] == "one, two"
    assert (request.method, request.peer, request.body) == ("GET", "192.0.2.1", b"")


def test_a_head_request_gets_the_length_and_no_body() -> None:
    told = talk(b"HEAD" + NEXT[3:])

    assert told.application.asked[0].method == "GET"
    assert told.heard().endswith(b"\r\n\r\n")
    assert b"Content-Length: " in told.heard()


@pytest.mark.parametrize("target", [b"/fails", b"/splits"])
def test_a_head_request_of_what_fails_gets_no_body_either(target: bytes) -> None:
    told = talk(b"HEAD" + get(target)[3:])

    assert statuses(told.heard()) == [500]
    assert told.heard().endswith(b"\r\n\r\n")


def test_ready_answers_come_in_the_order_of_their_requests() -> None:
    told = talk(NEXT + get(b"/b") + NEXT + post(b"x", b"Content-Length: 1") + NEXT)

    bodies = [part.partition(b"\r\n\r\n")[2] for part in told.heard().split(b"HTTP/1.1 200 OK\r\n")[1:]]
    assert [body == READY for body in bodies] == [True, False, True, False, True]


def test_a_ready_answer_that_was_replaced_is_not_given_any_more() -> None:
    told = talk(NEXT)
    told.application.ready = {READY_TARGET: b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nnew"}
    told.say((NEXT,))
    told.application.ready = {}
    told.say((NEXT,))

    bodies = [part.partition(b"\r\n\r\n")[2] for part in told.heard().split(b"HTTP/1.1 200 OK\r\n")[1:]]
    assert bodies[:2] == [READY, b"new"]
    assert told.application.asked[0].query == {"preferred": "us-east-1"}


def test_every_answer_has_a_date() -> None:
    told = talk(NEXT + get(b"/b") + get(b"/%"))

    assert re.findall(rb"Date: (\w{3}), \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\r\n", b"".join(told.wire.written)) != []
    assert b"".join(told.wire.written).count(b"\r\nDate: ") == 3


def test_limits_hold_for_the_short_cut_too() -> None:
    small = Limits(request_line_bytes=20, head_bytes=60, headers=1)

    assert statuses(talk(NEXT, limits=small).heard()) == [414]
    assert statuses(talk(get(b"/", b"X-A: b"), limits=small).heard()) == [431]


# -- a fuzzer: pieces that matter to framing, put together and damaged by a seed

PIECES = [sent for sent, _ in CASES.values()]
SPARKS = tuple(
    b"\r\n|\n|\r|\0| |\t|:|Host: a\r\n|Content-Length: 3\r\n|%|\xff|Transfer-Encoding: chunked\r\n|"
    b"Connection: close\r\n|GET |HTTP/1.1|?|connection:x\r\n|Connection: keep-alive\r\n|Expect: 100-continue\r\n|"
    b"\r\n\r\n|0|-".split(b"|")
)


def _damaged(chance: random.Random) -> bytes:
    text = bytearray(b"".join(chance.choice((NEXT, chance.choice(PIECES))) for _ in range(chance.randint(1, 4))))
    for _ in range(chance.randint(0, 4)):
        at = chance.randrange(len(text) + 1)
        kind = chance.randrange(4)
        if kind == 0:
            text[at:at] = chance.choice(SPARKS)
        elif kind == 1:
            del text[at : at + chance.randint(1, 6)]
        elif kind == 2:
            text[at : at + 1] = bytes([chance.randrange(256)])
        else:
            text[at:at] = text[max(at - chance.randint(1, 40), 0) : at]
    return bytes(text)


def _cut(text: bytes, chance: random.Random) -> list[bytes]:
    marks = sorted(chance.randrange(len(text) + 1) for _ in range(chance.randint(0, 8)))
    return [text[begin:end] for begin, end in zip([0, *marks], [*marks, len(text)], strict=True)]


def _agrees(sent: bytes, chunks: list[bytes], place: str) -> None:
    whole = talk(sent).outcome()
    assert whole == talk(sent, short_cut=False).outcome(), f"{place}: the short cut differs on {sent!r}"
    assert whole == Talk().say(chunks).outcome(), f"{place}: the cut {chunks!r} differs"
    assert whole[1] or not any(code in statuses(whole[0]) for code in (400, 413, 414, 417, 431, 501, 505)), place


def test_damaged_requests_are_judged_alike_by_every_way() -> None:
    seed = int(os.environ.get("HTTP_SEED", random.randrange(2**32)))
    print(f"HTTP_SEED={seed}")
    chance = random.Random(seed)
    for place in range(3000):
        sent = _damaged(chance)
        _agrees(sent, _cut(sent, chance), f"HTTP_SEED={seed}, round {place}")


@settings(deadline=None, max_examples=200)
@given(
    st.lists(st.one_of(st.sampled_from(SPARKS), st.sampled_from((NEXT, *PIECES)), st.binary(max_size=8)), max_size=6)
)
def test_any_bytes_are_judged_alike_by_every_way(parts: list[bytes]) -> None:
    sent = b"".join(parts)

    _agrees(sent, parts, "hypothesis")


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=1500))
def test_no_bytes_break_the_reader(sent: bytes) -> None:
    told = talk(sent)

    assert 500 not in statuses(told.heard())
    assert told.core.counts.failed == 0


def test_the_limits_of_the_cases_are_smaller_than_those_of_a_server() -> None:
    usual = Limits()

    assert LIMITS.head_bytes < usual.head_bytes
    assert LIMITS.body_bytes < usual.body_bytes
