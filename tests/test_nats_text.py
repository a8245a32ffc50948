"""A server's file: one setting a line, text quoted, and our own text read back as what it was."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aether_deploy.infrastructure.nats.text import Variable, options_in, text_of

SCALARS = st.one_of(
    st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\x85\u2028\u2029"), max_size=12),
    st.integers(-(2**53), 2**53),
    st.booleans(),
    st.builds(Variable, st.from_regex(r"[A-Z][A-Z_]{0,8}", fullmatch=True)),
)
KEYS = st.from_regex(r"[A-Za-z][-A-Za-z0-9_]{0,8}", fullmatch=True)
OPTIONS = st.recursive(
    st.dictionaries(KEYS, SCALARS, max_size=4),
    lambda inner: st.dictionaries(
        KEYS, st.one_of(SCALARS, inner, st.lists(st.one_of(SCALARS, inner), max_size=3)), max_size=4
    ),
    max_leaves=12,
)


def test_a_file_is_laid_out_line_by_line() -> None:
    options = {
        "server_name": Variable("POD_NAME"),
        "tls": {"verify": True, "timeout": 5},
        "routes": ["nats://a:1"],
        "gateways": [{"name": "us", "urls": []}],
    }

    assert text_of(options).splitlines() == [
        "server_name: $POD_NAME",
        "tls {",
        "  verify: true",
        "  timeout: 5",
        "}",
        "routes: [",
        '  "nats://a:1"',
        "]",
        "gateways: [",
        "  {",
        '    name: "us"',
        "    urls: [",
        "    ]",
        "  }",
        "]",
    ]


def test_what_a_server_would_read_as_something_else_is_quoted() -> None:
    texts = {"a": "0123", "b": "1k", "c": "on", "d": "$X", "e": 'say "x"', "f": "#", "g": "include x"}

    assert text_of(texts).splitlines() == [
        'a: "0123"', 'b: "1k"', 'c: "on"', 'd: "$X"', r'e: "say \"x\""', 'f: "#"', 'g: "include x"',
    ]  # fmt: skip


def test_a_key_that_is_a_directive_is_quoted() -> None:
    assert text_of({"include": {"users": []}}).splitlines()[0] == '"include" {'


@given(OPTIONS)
def test_our_own_text_reads_back(options: dict[str, object]) -> None:
    assert options_in(text_of(options)) == options


@pytest.mark.parametrize("text", ["a", "a {", "a: [", "a: {}}", "a: [\n1"])
def test_a_text_that_is_not_ours_is_told(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        options_in(text)
