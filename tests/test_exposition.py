"""Metrics as text: what is right is read, what is wrong is told by its line."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aether_deploy.contract.exposition import FAULTS_MAX, Sample, read_exposition

GOOD = """\
# a comment
# HELP http_requests_total The total.
# TYPE http_requests_total counter
http_requests_total{method="post",code="200"} 1027 1395066363000
http_requests_total{method="post",code="400",} 3
\t
# TYPE size histogram
size_bucket{le="0.5"} 1e3
size_bucket{ le = "+Inf" } +Inf
size_sum .5
size_count 2.
up -0
path{p="C:\\\\DIR\\n\\"x\\""} NaN
"""
TEXTS = {
    "no name": ("9x 1\n", ["line 1: begins with '9x 1', which is no name of a metric"]),
    "no value": ("x\n", ["line 1: no blank after x"]),
    "no value after labels": ('x{a="b"}\n', ["line 1: the value of x is '', which is no number"]),
    "a word": ("x fast\n", ["line 1: the value of x is 'fast', which is no number"]),
    "a number of Python": ("x 1_0\n", ["line 1: the value of x is '1_0', which is no number"]),
    "a comma": ("x 1,5\n", ["line 1: the value of x is '1,5', which is no number"]),
    "a bad timestamp": ("x 1 now\n", ["line 1: after the value of x stands 'now', which is no timestamp"]),
    "too much": ("x 1 2 3\n", ["line 1: after the value of x stands '2 3', which is no timestamp"]),
    "open labels": ('x{a="b" 1\n', ["line 1: the labels of x cannot be read"]),
    "a bad escape": ('x{a="\\t"} 1\n', ["line 1: the labels of x cannot be read"]),
    "a label without quotes": ("x{a=b} 1\n", ["line 1: the labels of x cannot be read"]),
    "a label twice": ('x{a="b",a="c"} 1\n', ["line 1: a label of x stands twice"]),
    "a series twice": ("x 1\nx 2\n", ["line 2: the series 'x 2' stands twice"]),
    "the same in another order": (
        'x{a="1",b="2"} 1\nx{b="2",a="1"} 1\n', ["line 2: the series 'x{b=\"2\",a=\"1\"} 1' stands twice"],
    ),
    "two types": ("# TYPE x gauge\n# TYPE x gauge\n", ["line 2: a second TYPE of x"]),
    "two helps": ("# HELP x\n# HELP x\n", ["line 2: a second HELP of x"]),
    "a late type": ("x 1\n# TYPE x gauge\n", ["line 2: TYPE of x stands after its first sample"]),
    "an unknown type": (
        "# TYPE x number\n", ["line 1: TYPE of x is 'number', none of counter, gauge, histogram, summary, untyped"],
    ),
    "a type of nothing": ("# TYPE\n", ["line 1: TYPE of '', which is no name"]),
    "lines apart": ('x{a="1"} 1\ny 1\nx{a="2"} 1\n', ["line 3: lines of x stand apart; they must be one group"]),
    "no last line feed": ("x 1", ["the last line does not end with a line feed"]),
    "lines of Windows": ("x 1\r\n", ["line 1: the value of x is '1\\r', which is no number"]),
    "a blank at the end": (
        "x 1 \n", ["line 1: a blank at the end, after the value of x; some readers take it for a timestamp"],
    ),
    "more than a number can be": ("x 1e999\n", ["line 1: the value of x is '1e999', which is no number"]),
    "a help with a path of Windows": ("# HELP x C:\\temp\n", ["line 1: HELP of x has a backslash that is not doubled"]),
    "two faults": ("x\ny\n", ["line 1: no blank after x", "line 2: no blank after y"]),
}  # fmt: skip


def test_there_is_an_end_of_faults() -> None:
    assert len(read_exposition(b"x\n" * 1000).faults) == FAULTS_MAX


def test_good_text_is_read() -> None:
    read = read_exposition(GOOD.encode())

    assert read.faults == []
    assert read.kinds == {"http_requests_total": "counter", "size": "histogram"}
    assert len(read.samples) == 8
    assert read.of("up") == [Sample("up", (), 0.0)]
    assert read.of("http_requests_total")[0] == Sample(
        "http_requests_total", (("method", "post"), ("code", "200")), 1027
    )


@pytest.mark.parametrize("case", TEXTS)
def test_bad_text_is_told_by_its_line(case: str) -> None:
    text, faults = TEXTS[case]

    assert read_exposition(text.encode()).faults == faults


@given(st.binary(max_size=200) | st.text(alphabet='x{}a="b",\\ \t\n#TYPEHL1.e+-', max_size=60).map(str.encode))
@example(b"\xff")
@example(b"# TYPE x")
@example(b"x{")
def test_whatever_is_read_has_faults_or_can_be_read_again(body: bytes) -> None:
    read = read_exposition(body)
    again = "".join(f"{each.name}{_labels(each)} {each.value!r}\n" for each in read.samples)

    if not read.faults:
        assert read_exposition(again.encode()).faults == []
        assert str(read_exposition(again.encode()).samples) == str(read.samples)


def _labels(sample: Sample) -> str:
    return "{" + ",".join(f'{name}="{value}"' for name, value in sample.labels) + "}" if sample.labels else ""
