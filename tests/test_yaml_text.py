"""The YAML emitter: what it writes, and that PyYAML reads back what was written."""

import collections
import enum
import inspect
import json
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from aether_deploy.manifest import yaml_text
from aether_deploy.manifest.yaml_text import MAX_DEPTH, to_yaml, to_yaml_documents
from benchmarks.emitter import world_server
from tests import run_cases

CORPUS = Path(__file__).parent / "cases" / "yaml_corpus.json"

NEL, LINE_SEPARATOR, PARAGRAPH_SEPARATOR, BOM = "\x85", "\u2028", "\u2029", "\ufeff"
LOADERS = (yaml.CSafeLoader, yaml.SafeLoader)
TRICKY = "".join(chr(code) for code in range(0xA1)) + LINE_SEPARATOR + PARAGRAPH_SEPARATOR + BOM + "\ufffe\U0001f600"

any_text = st.text(st.characters(exclude_categories=["Cs"]))
tricky_text = st.text(st.sampled_from(TRICKY + " \t\n\n:#-?&*!|>%@`'\"{}[],\\" * 4), max_size=12)
number_like = st.from_regex(r"[-+.]?[0-9_]{0,3}[.:xob]?[0-9a-fA-F_]{0,4}(?:[eE][-+]?[0-9]{1,2})?", fullmatch=True)
texts = any_text | tricky_text | number_like
scalars = texts | st.integers(-(2**63), 2**63 - 1) | st.booleans() | st.none()
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=20,
)

SCALARS = {
    "a word is plain": ("world-server", "world-server"),
    "a path is plain": ("/data/wal", "/data/wal"),
    "a label's value is plain": ("app.kubernetes.io/name", "app.kubernetes.io/name"),
    "an image with port and digest is plain": ("r.io:5000/w:1@sha256:0a", "r.io:5000/w:1@sha256:0a"),
    "the empty string is quoted": ("", '""'),
    "a word of YAML 1.1 is quoted": ("yes", '"yes"'),
    "so is one letter that Go takes for a bool": ("n", '"n"'),
    "so is a bool in any mixture of cases": ("tRUE", '"tRUE"'),
    "so is nan": ("NaN", '"NaN"'),
    "a leading digit is quoted": ("1e3", '"1e3"'),
    "a leading sign is quoted": ("-1", '"-1"'),
    "a leading dot is quoted": (".5", '".5"'),
    "a leading tilde is quoted": ("~", '"~"'),
    "the merge key is quoted": ("<<", '"<<"'),
    "the value key is quoted": ("=", '"="'),
    "a space is quoted": ("a b", '"a b"'),
    "a colon at the end is quoted": ("a:", '"a:"'),
    "a double colon is quoted": ("a::b", '"a::b"'),
    "a comment sign is quoted": ("a#b", '"a#b"'),
    "quotes and backslashes are escaped": ('a"\\', '"a\\"\\\\"'),
    "a tab is escaped": ("a\tb", '"a\\tb"'),
    "control characters are escaped": ("\x00\x1b\r", '"\\x00\\x1B\\x0D"'),
    "DEL and C1 are escaped": ("\x7f\x9f", '"\\x7F\\x9F"'),
    "NEL is escaped": (NEL, '"\\x85"'),
    "separators and the byte order mark are escaped": (
        LINE_SEPARATOR + PARAGRAPH_SEPARATOR + BOM,
        '"\\u2028\\u2029\\uFEFF"',
    ),
    "non-characters are escaped": ("\ufffe\uffff", '"\\uFFFE\\uFFFF"'),
    "letters beyond ASCII stay themselves": ("Größe 世界", '"Größe 世界"'),
    "an emoji stays itself, never two surrogates": ("\U0001f600", '"\U0001f600"'),
    "an int is plain": (-5, "-5"),
    "the bools are plain": ([True, False], "- true\n- false"),
    "None is null": (None, "null"),
    "an empty map": ({}, "{}"),
    "an empty list": ([], "[]"),
    "an empty tuple": ((), "[]"),
}

BLOCKS = {
    "lines without a final newline": ("a\nb", "k: |-\n  a\n  b\n"),
    "lines with one": ("a\nb\n", "k: |\n  a\n  b\n"),
    "one line with a newline": ("a\n", "k: |\n  a\n"),
    "blank lines hold no spaces": ("a\n\n\nb", "k: |-\n  a\n\n\n  b\n"),
    "indented lines": ("a\n  b\n\tc", "k: |-\n  a\n    b\n  \tc\n"),
    "signs that mean something elsewhere": ("# a\n--- |\n...", "k: |-\n  # a\n  --- |\n  ...\n"),
}

NO_BLOCKS = {
    "two final newlines": "a\n\n",
    "a leading newline": "\na",
    "a leading space": " a\nb",
    "a leading tab": "\ta\nb",
    "a space at the end of a line": "a \nb",
    "a tab at the end of a line": "a\nb\t\nc",
    "a space at the end": "a\nb ",
    "a carriage return": "a\r\nb",
    "NEL": f"a\n{NEL}b",
    "a line separator": f"a\n{LINE_SEPARATOR}b",
    "a byte order mark": f"a\n{BOM}b",
    "only newlines": "\n",
}


@pytest.mark.parametrize("value, text", SCALARS.values(), ids=SCALARS)
def test_a_value_has_one_right_form(value: object, text: str) -> None:
    assert to_yaml(value) == text + "\n"


@pytest.mark.parametrize("text", [text for text, _ in SCALARS.values() if isinstance(text, str)])
def test_a_key_has_the_form_of_a_value(text: str) -> None:
    assert to_yaml({text: 1}) == f"{to_yaml(text).rstrip()}: 1\n"


@pytest.mark.parametrize("value, text", BLOCKS.values(), ids=BLOCKS)
def test_text_of_several_lines_is_a_block(value: str, text: str) -> None:
    assert to_yaml({"k": value}) == text


@pytest.mark.parametrize("value", NO_BLOCKS.values(), ids=NO_BLOCKS)
def test_text_that_a_block_would_change_is_quoted(value: str) -> None:
    assert to_yaml({"k": value}).startswith('k: "')


def test_a_key_of_several_lines_is_quoted() -> None:
    assert to_yaml({"a\nb": 1}) == '"a\\nb": 1\n'


def test_collections_stand_as_kubectl_prints_them() -> None:
    value = {"l": [{"a": 1, "b": {"c": ["x"]}}, [], [[1, 2], {"d": ("y\nz", {})}], "s\n"], "m": {"e": {}}}

    assert to_yaml(value) == (
        "l:\n- a: 1\n  b:\n    c:\n    - x\n- []\n- - - 1\n    - 2\n  - d:\n    - |-\n      y\n      z\n"
        "    - {}\n- |\n  s\nm:\n  e: {}\n"
    )


def test_a_root_may_be_a_list_or_a_block() -> None:
    assert to_yaml(["a", {"b": 1}]) == "- a\n- b: 1\n"
    assert to_yaml("a\nb") == "|-\n  a\n  b\n"


def test_a_long_key_is_written_apart_from_its_value() -> None:
    key = "k" * 128

    assert to_yaml({key[1:]: 1}) == f"{key[1:]}: 1\n"
    assert to_yaml({"a": {key: 1}}) == f"a:\n  ? {key}\n  : 1\n"
    assert to_yaml([{key: {"b": ["c"]}}]) == f"- ? {key}\n  :\n    b:\n    - c\n"


def test_a_long_string_is_never_folded() -> None:
    assert to_yaml({"k": "word " * 5000 + "."}).count("\n") == 1


def test_documents_begin_with_their_marker() -> None:
    assert to_yaml_documents([{"a": 1}, "b"]) == "---\na: 1\n---\nb\n"
    assert to_yaml_documents([]) == ""


def test_a_shared_object_is_written_out_each_time() -> None:
    labels = {"app": "x"}

    assert to_yaml({"a": labels, "b": [labels]}) == "a:\n  app: x\nb:\n- app: x\n"


class Move(enum.StrEnum):
    UP = "up"


class Port(enum.IntEnum):
    GAME = 7777


REFUSED_TYPES = {
    "$.spec.x[0]: is a float; write an int, or a quantity as a str": {"spec": {"x": [1.5]}},
    "$: is a float; write an int, or a quantity as a str": float("nan"),
    "$.a: is of type set; write a dict, list, str, int, bool or None": {"a": {1}},
    "$.a: is of type bytes; write a dict, list, str, int, bool or None": {"b": 1, "a": b"x"},
    "$.a: is of type Move; write a dict, list, str, int, bool or None": {"a": Move.UP},
    "$[0]: is of type Port; write a dict, list, str, int, bool or None": [Port.GAME],
    "$.a: is of type OrderedDict; write a dict, list, str, int, bool or None": {"a": collections.OrderedDict()},
    "$: has the key 1 of type int; write it as a str": {1: "a"},
    "$['a.b/c']: has the key True of type bool; write it as a str": {"a.b/c": {True: "a"}},
    "$.up: has the key <Move.UP: 'up'> of type Move; write it as a str": {"up": {Move.UP: "a"}},
}

REFUSED_VALUES = {
    "$.a[1]: holds a lone surrogate, which UTF-8 cannot carry": {"a": ["", "x\udc80\ny"]},
    "$.a['\\ud800']: its key holds a lone surrogate, which UTF-8 cannot carry": {"a": {"\ud800": 1}},
    "$.a: does not fit 64 bits, so Go would round it; write it as a str": {"a": 2**63},
    "$.b: does not fit 64 bits, so Go would round it; write it as a str": {"b": -(2**63) - 1},
}


@pytest.mark.parametrize("message, value", REFUSED_TYPES.items(), ids=range(len(REFUSED_TYPES)))
def test_another_type_is_refused_with_its_path(message: str, value: object) -> None:
    to_yaml({"up": "up"})  # A text in the cache that equals an enum's member must not let it pass.

    with pytest.raises(TypeError) as caught:
        to_yaml(value)

    assert str(caught.value) == message


@pytest.mark.parametrize("message, value", REFUSED_VALUES.items(), ids=range(len(REFUSED_VALUES)))
def test_what_no_reader_could_carry_is_refused_with_its_path(message: str, value: object) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is compared whole
        to_yaml(value)

    assert str(caught.value) == message


def test_a_value_that_contains_itself_is_refused() -> None:
    value: dict[str, Any] = {"a": {"b": [1]}}
    value["a"]["b"].append(value["a"])

    with pytest.raises(ValueError, match=r"^\$\.a\.b\[1\]: contains itself: it is the value of \$\.a$"):
        to_yaml(value)


def _nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = {"k": [value]}
    return value


def test_a_value_may_be_nested_to_the_limit_and_no_deeper() -> None:
    assert yaml.load(to_yaml(_nested(MAX_DEPTH // 2)), Loader=yaml.CSafeLoader) == _nested(MAX_DEPTH // 2)

    with pytest.raises(ValueError, match=r"^\$: is nested deeper than 200 levels$"):
        to_yaml(_nested(100_000))


def test_a_cycle_is_named_even_where_the_stack_is_nearly_used_up() -> None:
    cycle: list[Any] = []
    cycle.append(cycle)

    def fault_after(frames: int) -> str:
        if frames > 0:
            return fault_after(frames - 1)
        with pytest.raises(ValueError) as caught:  # noqa: PT011 - compared whole below
            to_yaml(cycle)
        return str(caught.value)

    frames = sys.getrecursionlimit() - len(inspect.stack()) - 60

    assert fault_after(frames) == "$[0]: contains itself: it is the value of $"


def _read_by_all(text: str) -> list[object]:
    return [yaml.load(text, Loader=loader) for loader in LOADERS]


@given(texts)
@example("a\n\n b\n")
@example(":" * 200)
def test_pyyaml_reads_any_string_back(s: str) -> None:
    value = {s: s, "list": [s, {s: [s]}]}

    assert _read_by_all(to_yaml(value)) == [value, value]


@given(values)
def test_pyyaml_reads_any_value_back(value: object) -> None:
    assert _read_by_all(to_yaml(value)) == [value, value]


@given(st.lists(values, max_size=3))
def test_pyyaml_reads_a_stream_back(documents: list[object]) -> None:
    assert list(yaml.load_all(to_yaml_documents(documents), Loader=yaml.CSafeLoader)) == documents


@given(st.sampled_from("abk/_:~-"), st.integers(100, 2000))
def test_pyyaml_reads_a_key_of_any_length_back(character: str, length: int) -> None:
    key = character * length
    value = {key: {"a": [{key: [1]}, key]}}

    assert _read_by_all(to_yaml(value)) == [value, value]


@given(values)
def test_lines_end_in_newlines_only_and_hold_no_trailing_space(value: object) -> None:
    lines = to_yaml(value).split("\n")

    assert lines[-1] == ""
    assert len(lines) == len("\n".join(lines).splitlines()) + 1
    assert not [line for line in lines if line.endswith((" ", "\t"))]


def test_the_caches_change_no_output_and_stay_bounded() -> None:
    worlds = [world_server(number) for number in range(50)]
    first = to_yaml_documents(worlds)
    many = {f"key-{number}": f"{number}-value" for number in range(20_000)}
    numbers = list(range(20_000))

    assert yaml.load(to_yaml([many, numbers]), Loader=yaml.CSafeLoader) == [many, numbers]
    assert to_yaml_documents(worlds) == first == to_yaml_documents(worlds)
    for cache in (yaml_text._TEXTS, yaml_text._KEYS, yaml_text._INTS):
        assert len(cache) <= yaml_text._CACHE_ENTRIES
    assert to_yaml({"long": "x" * 10_000})
    assert max(map(len, yaml_text._TEXTS)) <= yaml_text._CACHED_LENGTH


def test_threads_share_the_caches_safely() -> None:
    values = [{f"k{number}": [f"{number % 7000}-x", number]} for number in range(9000)]
    expected = to_yaml_documents(values)
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(to_yaml_documents(values))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found == [expected] * 4


def test_every_case_of_the_corpus_passes(capsys: pytest.CaptureFixture[str]) -> None:
    cases = json.loads(CORPUS.read_text("utf-8"))

    assert run_cases.main(["yaml", str(CORPUS)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"{len(cases)} passed, 0 failed"


def test_the_corpus_catches_an_emitter_that_quotes_as_json_does(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run_cases, "to_yaml", lambda value: json.dumps(value, ensure_ascii=False) + "\n")

    assert run_cases.main(["yaml", str(CORPUS)]) == 1
    assert "FAILED" in capsys.readouterr().out


def test_a_file_that_reads_back_as_nothing_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run_cases, "to_yaml", lambda value: "null\n")

    assert run_cases.main(["yaml", str(CORPUS)]) == 1
    assert capsys.readouterr().out.splitlines()[-1].startswith("0 passed, ")


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", "[1]", '[{"category": "x"}]', '[{"category": "x", "s": 1}]'])
def test_a_broken_file_of_cases_is_told_apart_from_a_failure(
    content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "cases.json"
    file.write_text(content)

    assert run_cases.main(["yaml", str(file)]) == 2
    assert run_cases.main(["yaml", str(tmp_path / "missing.json")]) == 2
    assert run_cases.main(["unknown", str(file)]) == 2
    assert str(file) in capsys.readouterr().err
