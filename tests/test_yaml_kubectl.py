"""The YAML emitter before its judge: thousands of generated values, read back by the real kubectl."""

import random
import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from aether_deploy.manifest.yaml_text import to_yaml
from benchmarks.emitter import world_server
from tests import run_cases
from tests.kubectl import COMMAND, Unread, find_kubectl, read_back
from tests.real import need

pytestmark = pytest.mark.real

CORPUS = Path(__file__).parent / "cases" / "yaml_corpus.json"
SEED = 20_260_801
STRINGS = 6000
VALUES = 2000
# Strings that Go's reader has a rule for, and the pieces of such strings.
WORDS = "y n yes no on off true false null ~ nan inf .inf -.Inf .NaN << = - -- --- ... ? : # & * ! | > ' \" % @ `"
DIGITS = "0123456789eE+-._xXoObBaf:"
SPACES = " \t\n\r\x0b\x0c\x85\xa0\u2003\u2028\u2029\u3000\ufeff"


def _characters(alphabet: str) -> Callable[[random.Random], str]:
    return lambda rng: "".join(rng.choices(alphabet, k=rng.randrange(10)))


def _any_unicode(rng: random.Random) -> str:
    ends = (0x20, 0x80, 0x100, 0x300, 0x3000, 0xD800, 0x10000, 0x20000, 0x110000)
    codes = (rng.randrange(rng.choice(ends)) for _ in range(rng.randrange(1, 8)))
    return "".join(chr(code) for code in codes if not 0xD800 <= code <= 0xDFFF)


def _joined_words(rng: random.Random) -> str:
    words = rng.choices(WORDS.split(), k=rng.randrange(1, 4))
    return rng.choice(["", " ", "\n", ": ", " #", ","]).join(words)


def _lines(rng: random.Random) -> str:
    return "\n".join(rng.choice(STRING_KINDS[:5])(rng).replace("\r", "") for _ in range(rng.randrange(1, 6)))


def _long(rng: random.Random) -> str:
    return _joined_words(rng) + rng.choice("ab :\n\x85世") * rng.choice([100, 127, 128, 129, 1023, 1024, 1025, 9000])


STRING_KINDS: list[Callable[[random.Random], str]] = [
    _characters(DIGITS),
    _characters(string.hexdigits),
    _characters(string.punctuation + " a"),
    _characters(SPACES + "ab"),
    _joined_words,
    _any_unicode,
    _lines,
    _long,
]


def _string(rng: random.Random) -> str:
    return rng.choice(STRING_KINDS)(rng)


def _value(rng: random.Random, depth: int = 0) -> Any:
    kind = rng.randrange(8 if depth < 5 else 4)
    if kind < 2:
        return _string(rng)
    if kind == 2:
        return rng.choice([rng.randrange(-(2**63), 2**63), rng.randrange(-10, 10), 2**63 - 1, -(2**63)])
    if kind == 3:
        return rng.choice([True, False, None, {}, []])
    if kind < 6:
        return [_value(rng, depth + 1) for _ in range(rng.randrange(4))]
    return {_string(rng): _value(rng, depth + 1) for _ in range(rng.randrange(4))}


def _differences(values: list[Any]) -> list[str]:
    kubectl = need(find_kubectl(), "kubectl", COMMAND)
    read = read_back([to_yaml(value) for value in values], kubectl)
    return [
        f"{wanted!a:.200} became {got!a:.200}"
        for wanted, got in zip(values, read, strict=True)
        if not _same(wanted, got)
    ]


def _same(wanted: Any, got: Any) -> bool:
    """Compare types too: to Python, True equals 1."""
    return not isinstance(got, Unread) and repr(_sorted(wanted)) == repr(_sorted(got))


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value


def test_kubectl_reads_any_string_back_as_value_and_key() -> None:
    print(f"seed {SEED}")
    rng = random.Random(SEED)
    strings = [_string(rng) for _ in range(STRINGS)]

    assert _differences([{"v": s, "k": {s: s}, "l": [s, {s: [s]}]} for s in strings]) == []


def test_kubectl_reads_any_value_back() -> None:
    print(f"seed {SEED}")
    rng = random.Random(SEED)

    assert _differences([_value(rng) for _ in range(VALUES)]) == []


def test_kubectl_reads_every_character_of_the_basic_plane_back() -> None:
    codes = [code for code in range(0x10000) if not 0xD800 <= code <= 0xDFFF]
    chunks = [codes[start : start + 256] for start in range(0, len(codes), 256)]
    values = [{chr(code): [chr(code), f"a{chr(code)}\nb"] for code in chunk} for chunk in chunks]

    assert _differences(values) == []


def test_kubectl_reads_short_hashes_back_as_strings() -> None:
    rng = random.Random(SEED)
    hashes = [f"{rng.getrandbits(4 * digits):0{digits}x}" for digits in (4, 7, 8, 10) for _ in range(5000)]
    like_numbers = [f"{number}e{number % 100}" for number in range(1000)]

    assert _differences([hashes, like_numbers, dict.fromkeys(hashes, 1)]) == []


def test_kubectl_reads_world_servers_back() -> None:
    assert _differences([world_server(number) for number in range(20)]) == []


def test_the_judge_has_teeth() -> None:
    kubectl = need(find_kubectl(), "kubectl", COMMAND)

    read = read_back(["a: n\n", "1e3\n", "- [\n", "ok\n", "null\n"], kubectl)

    assert read[:2] == [{"a": False}, 1000]
    assert isinstance(read[2], Unread)
    assert read[2].startswith("error converting YAML to JSON")
    assert read[3:] == ["ok", None]


def test_the_corpus_catches_the_usual_library(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    need(find_kubectl(), "kubectl", COMMAND)
    monkeypatch.setattr(run_cases, "to_yaml", lambda value: yaml.dump(value, Dumper=yaml.CSafeDumper))

    assert run_cases.main(["yaml", str(CORPUS)]) == 1
    assert "kubectl: as value became True" in capsys.readouterr().out
