"""Quantities against the answers of Kubernetes' own Go code, and the laws that hold for all of them."""

import ast
import json
import pickle
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aether_deploy import quantities
from aether_deploy.quantities import (
    BINARY,
    DECIMAL,
    EXPONENT,
    DurationError,
    Quantity,
    QuantityError,
    bytes_of,
    canonical,
    canonical_duration,
    millis_of,
    parse_duration_secs,
    parse_quantity,
)

GO: dict[str, Any] = json.loads(Path(__file__).with_name("cases").joinpath("quantities.json").read_text())
CASES: list[tuple[str, str, int | None, str, int | None, int | None]] = [tuple(row) for row in GO["cases"]]


def reason(text: str) -> str:
    with pytest.raises(QuantityError) as caught:
        parse_quantity(text)
    return str(caught.value)


def refused(text: str) -> bool:
    try:
        parse_quantity(text)
    except QuantityError:
        return True
    return False


suffixes = st.sampled_from(
    ["", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei", "e3", "E-7", "e+12"]
)
texts = st.builds(
    lambda sign, number, suffix: f"{sign}{number}{suffix}",
    st.sampled_from(["", "+", "-"]),
    st.from_regex(r"\A(?:[0-9]{1,18}|[0-9]{0,9}\.[0-9]{1,9}|[0-9]{1,9}\.)\Z"),
    suffixes,
).filter(lambda text: not refused(text))
amounts = texts.map(parse_quantity)


STORY = {
    "1000m": "1",
    "0.5": "500m",
    "1024Mi": "1Gi",
    "1.5Gi": "1536Mi",
    "1e3": "1e3",
    "1e4": "10e3",
    "+1": "1",
    ".5": "500m",
    "5.": "5",
    "-1.5Gi": "-1536Mi",
    "0.5Ki": "512",
    "1.1Ki": "1126400m",
    "15.625Ki": "16k",
    "0.1n": "1n",
    "-0.1n": "-1n",
    "9Ei": "9223372036854775807",
    "0Gi": "0",
    "-0": "0",
}


@pytest.mark.parametrize("text", STORY)
def test_a_quantity_is_written_in_its_canonical_form(text: str) -> None:
    assert canonical(text) == STORY[text]


def test_the_canonical_form_is_the_one_that_kubernetes_settles_on() -> None:
    differences = [(text, canonical(text), expected) for text, expected, *_ in CASES if canonical(text) != expected]

    assert differences == []


def test_the_amount_is_the_one_that_kubernetes_reads() -> None:
    differences = [text for text, _, _, nanos, *_ in CASES if parse_quantity(text).nanos != int(nanos)]

    assert differences == []


def test_quantities_are_ordered_as_kubernetes_orders_them() -> None:
    amounts = [parse_quantity(text) for text, *_ in CASES]
    ours = [(a > b) - (a < b) for a, b in pairwise(amounts)]

    assert ours == [order for _, _, order, *_ in CASES[1:]]


def test_bytes_and_millicores_round_up_as_in_kubernetes() -> None:
    judged = [(text, value, millis) for text, *_, value, millis in CASES if value is not None]

    assert len(judged) > 300
    assert [(text, bytes_of(text), millis_of(text)) for text, *_ in judged] == judged


def test_what_kubernetes_refuses_is_refused() -> None:
    assert [text for text in GO["refused"] if not refused(text)] == []


def test_a_number_without_a_digit_is_refused_though_kubernetes_reads_zero() -> None:
    assert {reason(text) for text in GO["read as zero for want of a digit"]} == {"has no digit"}


def test_what_kubernetes_would_print_as_another_amount_is_refused() -> None:
    assert {reason(text) for text in GO["printed as another amount"]} == {
        "too large: Kubernetes prints it as another amount; an exponent such as e21 is kept"
    }
    assert canonical("1000e18") == "1e21"
    assert canonical("999E") == "999E"


REASONS = {
    "": "has no digit",
    "500 m": "no quantity: a number and a suffix, without spaces, such as 500m or 1.5Gi",
    "1,5": "no quantity: a number and a suffix, without spaces, such as 500m or 1.5Gi",
    "\u0661": "no quantity: a number and a suffix, without spaces, such as 500m or 1.5Gi",
    "1\n": "no quantity: a number and a suffix, without spaces, such as 500m or 1.5Gi",
    "1K": "has the unknown suffix K: use k or Ki",
    "1gi": "has the unknown suffix gi: use Gi",
    "1GB": "has the unknown suffix GB: use n u m k M G T P E, Ki Mi Gi Ti Pi Ei, or an exponent such as e3",
    "Mi": "has no digit",
    "1" * 1001: "has more than 1000 digits",
    "1e1001": "has an exponent beyond 1000",
    "1e-1001": "has an exponent beyond 1000",
    "1e" + "9" * 5000: "has an exponent beyond 1000",
}


@pytest.mark.parametrize("text", REASONS, ids=lambda text: repr(text)[:20])
def test_a_refusal_says_why(text: str) -> None:
    assert reason(text) == REASONS[text]


@given(texts)
def test_the_canonical_form_is_idempotent(text: str) -> None:
    assert canonical(canonical(text)) == canonical(text)


@given(texts)
def test_the_canonical_form_keeps_the_amount(text: str) -> None:
    assert parse_quantity(canonical(text)) == parse_quantity(text)


@given(amounts, amounts, amounts)
def test_the_order_is_total(a: Quantity, b: Quantity, c: Quantity) -> None:
    assert (a < b) + (a == b) + (a > b) == 1
    assert (a <= b) == (not b < a)
    assert (a >= b) == (b <= a)
    assert not (a <= b <= c) or a <= c


@given(amounts)
def test_rounding_never_gives_less_than_was_asked(quantity: Quantity) -> None:
    assert abs(quantity.value) * 10**9 >= abs(quantity.nanos) > (abs(quantity.value) - 1) * 10**9
    assert abs(quantity.millis) * 10**6 >= abs(quantity.nanos) > (abs(quantity.millis) - 1) * 10**6


@given(st.text(alphabet="0123456789.+-eEinumkKMGTP ", max_size=12) | st.text(max_size=6))
def test_no_text_ends_in_anything_but_an_amount_or_a_refusal(text: str) -> None:
    assert refused(text) or isinstance(parse_quantity(text).nanos, int)


def test_equal_amounts_are_equal_however_they_are_written() -> None:
    assert len({parse_quantity(text) for text in ("1", "1000m", "1e0", "+1.0")}) == 1
    assert parse_quantity("1Gi") != parse_quantity("1G")
    assert [parse_quantity(text).format for text in ("1Gi", "1G", "1e9")] == [BINARY, DECIMAL, EXPONENT]


def test_a_quantity_cannot_be_changed() -> None:
    quantity = parse_quantity("1.5Gi")

    with pytest.raises(AttributeError, match="cannot be changed"):
        quantity.nanos = 1
    assert pickle.loads(pickle.dumps(quantity)) == quantity == Quantity(1536 * 2**20 * 10**9, BINARY)
    assert repr(quantity) == "Quantity(nanos=1610612736000000000, format='binary')"
    assert str(quantity) == "1536Mi"
    assert quantity != "1536Mi"


DURATIONS = {"1h30m": 5400, "15m": 900, "90s": 90, "0s": 0, "1h": 3600, "1h0m5s": 3605, "100h": 360_000}


@pytest.mark.parametrize("text", DURATIONS)
def test_a_duration_counts_its_seconds(text: str) -> None:
    assert parse_duration_secs(text) == DURATIONS[text]


NO_DURATIONS = [
    *(
        "",
        "5",
        "0",
        "h",
        "1.5h",
        "-1h",
        "+1h",
        "1d",
        "500ms",
        "1m1h",
        "1s1s",
        "1h 30m",
        "1H",
        "90s\n",
        "\u0661s",
    ),
    *("9223372037s", "9" * 2000 + "s"),
]


@pytest.mark.parametrize("text", NO_DURATIONS, ids=lambda text: repr(text)[:20])
def test_anything_else_is_no_duration(text: str) -> None:
    with pytest.raises(DurationError):
        parse_duration_secs(text)


def test_a_duration_is_written_without_its_empty_parts() -> None:
    assert [canonical_duration(secs) for secs in (0, 45, 90, 900, 3600, 5400, 3605)] == [
        *("0s", "45s", "1m30s", "15m", "1h", "1h30m", "1h5s"),
    ]
    with pytest.raises(DurationError, match=r"^outside of 0s to 9223372036s"):
        canonical_duration(-1)


@given(st.integers(0, 9_223_372_036))
def test_a_written_duration_reads_as_itself(secs: int) -> None:
    assert parse_duration_secs(canonical_duration(secs)) == secs


def test_quantities_load_nothing_but_what_regular_expressions_load() -> None:
    tree = ast.parse(Path(quantities.__file__).read_text())
    imports = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)}

    assert imports <= {"from functools import lru_cache", "from aether_deploy.patterns import Pattern"}
