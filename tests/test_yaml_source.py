"""Strict reading: what is refused and how it is said, what is read, and where everything stands."""

import copy
import json
import pickle
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from aether_deploy.manifest.yaml_positions import Positions
from aether_deploy.manifest.yaml_source import (
    MAX_DEPTH,
    MAX_PROBLEMS,
    SourceFloat,
    read_document,
)
from aether_deploy.problems import ConfigError, shown

SAMPLE = """\
# yaml-language-server: $schema=aether.schema.json
name: aether                                        # folder prod/, namespace aether-prod
kubernetes: v1.37
regions:
  - code: us-east-1
    zones: [us-east-1a, us-east-1b, us-east-1c]
    storage_class: ssd                              # of every volume in this region that names none
defaults:
  workloads: {pull_secrets: [registry], labels: {team: worlds}}

worlds:                                             # durable class; what is left out comes from B4
  - name: world-server
    image: aether/world-server:v1.2.0@sha256:3d82af46aecc963b3ab29be52a3dbd61779cce38bdb3df813b0e75e77135e542
    ports: [{name: game, port: 7777, protocol: UDP}]  # http 8080 comes from the class: lists merge by name
    resources: {cpu_request: 500m, cpu_limit: 2000m, memory_request: 1Gi, memory_limit: 4Gi}
    pvc: {size: 10Gi, mount_path: /data/wal}        # a pvc makes it a StatefulSet
    uses: [voice-relay]
    env: {WORLD_TICK_HZ: "30"}
    config_files: [{name: world.toml, path: /etc/aether/world.toml, source: config/world.toml}]
    secret_files: [{name: signing-key, secret: world-signing, key: key.pem, path: /run/secrets/signing/key.pem}]
    probes:                                         # the specification's values; startup allows 10 min of WAL replay
      liveness: {path: /healthz, port: 8080, initial_delay_secs: 10, period_secs: 15, failure_threshold: 3}
      readiness: {path: /readyz, port: 8080, initial_delay_secs: 5, period_secs: 10, failure_threshold: 2}
      startup: {path: /healthz, port: 8080, period_secs: 5, failure_threshold: 120}
    drain: {grace_period_secs: 300, pre_stop: {path: /drain, port: 8080}}
    topology: {spread_across_zones: true, topology_key: topology.kubernetes.io/zone,
               preferred_colocation: [{service: voice-relay, weight: 80}]}
    scaling: {target_players_per_pod: 50, min_replicas: 6, max_replicas: 20,
              scale_up_cooldown_secs: 60, scale_down_cooldown_secs: 300}
    custom_metrics: [{name: aether_world_player_count, target_value: 50, metric_type: Pods}]

services:                                           # stateless class: Deployments
  - name: gateway
    image: aether/gateway:v1.4.0@sha256:0c85bf0015e09c45850293c2d9353801c1282a3491b179936580a428d3b857b1
    uses: [matchmaking, world-server]
    ports: [{name: https, port: 8443}]
    waivers:
      cpu_limit: |
        mixing bursts with the scene;
        a limit shows as jitter
"""

ODD_BUT_VALID = """\
"quoted": 'single'
folded: >-
  two
  lines
dash list:
- - 1
  - 0x1F
- ? explicit
  : "\\u00e9 \\x41"
latency: -1.5
nothing:
flow: {a: [1, {b: ~}], c: }
"""


@pytest.fixture(params=["libyaml", "pure"])
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each of PyYAML's two parsers; the pure one stands in where the C extension could not be built."""
    if request.param == "pure":
        monkeypatch.setattr(yaml, "__with_libyaml__", False)
    elif not yaml.__with_libyaml__:
        pytest.skip("PyYAML was built without its C extension")
    return str(request.param)


both_parsers = pytest.mark.usefixtures("parser")


def complaints(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read_document(text, "f")
    return [str(problem) for problem in caught.value.problems]


# --- what is read ---------------------------------------------------------------------------------------

PLAIN = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None, "nULL": "nULL", "none": "none", "None": "None",
    "true": True, "True": True, "TRUE": True, "tRUE": "tRUE",
    "false": False, "False": False, "FALSE": False,
    "yEs": "yEs", "oN": "oN", "yes please": "yes please",
    "0": 0, "-0": 0, "+12": 12, "-7": -7, "0o17": 15, "0x1F": 31, "-0x1F": "-0x1F", "0O17": "0O17", "0b11": "0b11",
    "010": "010", "-010": "-010", "1_000": "1_000", "12:30": "12:30", "2024-01-01": "2024-01-01", "007.5": "007.5",
    "1.2.3": "1.2.3", "v1.37": "v1.37", ".": ".", "e3": "e3", "1e": "1e", "+": "+", "=": "=", "<<": "<<",
    "1.30": 1.3, "1.": 1.0, ".5": 0.5, "-.5": -0.5, "+.5": 0.5, "1e3": 1000.0, "1E+3": 1000.0, "1.5e-3": 0.0015,
    "inf": "inf", "nan": "nan", "NaN": "NaN",
}  # fmt: skip


@both_parsers
@pytest.mark.parametrize("text", PLAIN)
def test_a_plain_scalar_means_what_yaml_1_2_says(text: str) -> None:
    value = read_document(f"a: {text}", "f")["a"]

    assert value == PLAIN[text]
    assert type(value) in (type(PLAIN[text]), SourceFloat)


@both_parsers
@pytest.mark.parametrize("text", ["yes", "n", "on", "1.30", "010", "null", "true", ".inf", "<<", "2024-01-01", ""])
def test_a_quoted_scalar_is_text(text: str) -> None:
    assert read_document(f"a: '{text}'\nb: \"{text}\"\n'{text}': |-\n  {text}", "f") == {
        "a": text,
        "b": text,
        text: text,
    }


@both_parsers
@pytest.mark.parametrize("text", ["8080", "1.30", "010", "0x1F", "-", "none", "NaN", "2024-01-01"])
def test_a_key_is_text_by_its_spelling(text: str) -> None:
    text = text.replace("-", "'-'") if text == "-" else text

    assert read_document(f"{text}: 1", "f") == {text.strip("'"): 1}


@both_parsers
def test_a_float_knows_how_it_was_written() -> None:
    value = read_document("kubernetes: 1.30", "f")["kubernetes"]

    assert isinstance(value, SourceFloat)
    assert (value, value.text, str(value), shown(value), f"{value}") == (1.3, "1.30", "1.30", "1.30", "1.30")
    assert copy.deepcopy(value).text == pickle.loads(pickle.dumps(value)).text == "1.30"


def test_a_float_in_json_knows_how_it_was_written() -> None:
    value = read_document('{"kubernetes": 1.30}', "f")["kubernetes"]

    assert isinstance(value, SourceFloat)
    assert value.text == "1.30"


@both_parsers
@pytest.mark.parametrize("text", [SAMPLE, ODD_BUT_VALID])
def test_a_document_without_oddities_reads_as_pyyaml_reads_it(text: str) -> None:
    assert read_document(text, "f") == yaml.safe_load(text)


@both_parsers
def test_crlf_and_a_byte_order_mark_change_nothing() -> None:
    assert read_document("\ufeff" + SAMPLE.replace("\n", "\r\n"), "f") == read_document(SAMPLE, "f")


@both_parsers
@pytest.mark.parametrize(
    "text", ["{a: 1, b: [x]}", '{"a": 1, "b": ["x"],}', '{"a": 1, # comment\n "b": [x]}', "--- {a: 1, b: [x]}\n..."]
)
def test_flow_yaml_that_is_no_json_is_read_as_yaml(text: str) -> None:
    assert read_document(text, "f") == {"a": 1, "b": ["x"]}


def test_json_may_do_what_yaml_may_not() -> None:
    long_key = "k" * 2000

    assert read_document(f'\n{{\t"{long_key}"\n:\t"\\/ \\ud83d\\ude00"}}', "f") == {long_key: "/ \U0001f600"}


# --- what is refused ------------------------------------------------------------------------------------

NO_SHARING = "anchors and aliases are not supported"
AMBIGUITY = "YAML 1.1 reads it as a boolean, YAML 1.2 as text"
IN_EACH_PLACE = "write the value out in each place"
TEXT_FOR_KEY = "write text for the key; quote a text that begins with a bracket"
WRITE_FIRST = "describe the platform; aether-deploy init writes a first file"
ALIGN = "align the line, and check the quotes and brackets before it"
UNCLOSED = "check for a missing comma, quote or closing bracket"

REFUSED = {
    "bool-like value": ("env: {FLAG: no, X: [on]}", [
        ("1:13: $.env.FLAG: is no; " + AMBIGUITY, "write true or false, or quote it"),
        ("1:21: $.env.X[0]: is on; " + AMBIGUITY, "write true or false, or quote it")]),
    "bool-like key": ("a:\n  y: 1", [("2:3: $.a: has key y; " + AMBIGUITY, 'quote it: "y"')]),
    "bool as key": ("a: {True: 1}", [("1:5: $.a: has key True, which is no text", 'quote it: "True"')]),
    "null as key": ("a: {~: 1}", [("1:5: $.a: has key ~, which is no text", 'quote it: "~"')]),
    "empty key": ("a:\n  ? # key\n  : 1", [("2:4: $.a: has an empty key", "write the key before the colon")]),
    "not finite": ("a: .inf\nb: [-.Inf, .NAN]\nc: 1e999", [
        ("1:4: $.a: is .inf; not a finite number", "write a number, or quote it"),
        ("2:5: $.b[0]: is -.Inf; not a finite number", "write a number, or quote it"),
        ("2:12: $.b[1]: is .NAN; not a finite number", "write a number, or quote it"),
        ("3:4: $.c: is 1e999; not a finite number", "write a number, or quote it")]),
    "endless number": ("a: " + "9" * 600, [
        (f"1:4: $.a: is {'9' * 57}...; a number of 600 characters", "write a shorter number, or quote it")]),
    "repeated key": ("a: 1\nb: 2\na: 3\n'a': 4", [
        ("3:1: $: has key 'a' again, first in line 1, column 1", "keep one of the two"),
        ("4:1: $: has key 'a' again, first in line 1, column 1", "keep one of the two")]),
    "repeated key below a repeated key": ("a: {b: 1}\na: {c: 1, c: 2}", [
        ("2:1: $: has key 'a' again, first in line 1, column 1", "keep one of the two"),
        ("2:11: $.a: has key 'c' again, first in line 2, column 5", "keep one of the two")]),
    "list as key": ("a:\n- ? [x]\n  : {b: yes, c: 1}\n  d: off", [
        ("2:5: $.a[0]: has a key that is a mapping or a list", TEXT_FOR_KEY),
        ("3:9: $.a[0]: is yes; " + AMBIGUITY, "write true or false, or quote it"),
        ("4:6: $.a[0].d: is off; " + AMBIGUITY, "write true or false, or quote it")]),
    "template": ("image: {{ image }}", [("1:9: $.image: has a key that is a mapping or a list", TEXT_FOR_KEY)]),
    "anchor and alias": ("a: &x\n  b: &y 1\nc: [*x, no]\n*y : {d: 1}\ne: no", [
        ("1:4: $.a: has the anchor &x; " + NO_SHARING, IN_EACH_PLACE),
        ("2:6: $.a.b: has the anchor &y; " + NO_SHARING, IN_EACH_PLACE),
        ("3:5: $.c[0]: is *x; " + NO_SHARING, "write the value out"),
        ("3:9: $.c[1]: is no; " + AMBIGUITY, "write true or false, or quote it"),
        ("4:1: $: has the key *y; " + NO_SHARING, "write the value out"),
        ("5:4: $.e: is no; " + AMBIGUITY, "write true or false, or quote it")]),
    "merge key": ("a: {<<: {b: 1}}", [
        ("1:5: $.a: has a merge key; merge keys are not supported", "write the keys out")]),
    "tag": ("a: !!str 1\nb: !mine {c: 1}\n!x d: !<tag:e> []", [
        ("1:4: $.a: has the tag !!str; tags are not supported", "remove it, and quote what is text"),
        ("2:4: $.b: has the tag !mine; tags are not supported", "remove it, and quote what is text"),
        ("3:1: $: has the tag !x; tags are not supported", "remove it, and quote what is text"),
        ("3:7: $.d: has the tag tag:e; tags are not supported", "remove it, and quote what is text")]),
    "several documents": ("a: 1\n---\nb: yes", [
        ("2:1: $: holds a second document", "remove it, or put it into a file of its own")]),
    "directives": ("# first\n%YAML 1.1\n%MINE\n---\na: yes", [
        ("2:1: $: has the directive %YAML", "remove the line"),
        ("3:1: $: has the directive %MINE", "remove the line"),
        ("5:4: $.a: is yes; " + AMBIGUITY, "write true or false, or quote it")]),
    "empty": ("", [("1:1: $: is empty", WRITE_FIRST)]),
    "only a comment": ("# later\n", [("1:1: $: is empty", WRITE_FIRST)]),
    "only a marker": ("---\n", [("2:1: $: is empty", WRITE_FIRST)]),
    "a list": ("- a\n", [("1:1: $: is a list; expected a mapping", "write keys and values, such as name: aether")]),
    "a text": ("\n 'a'", [("2:2: $: is 'a'; expected a mapping", "write keys and values, such as name: aether")]),
    "unreadable characters": ("a: x\0\nb: é\u2028 \ufeff\ud800", [
        ("1:5: $: holds U+0000, which YAML cannot carry", "remove the character"),
        ("2:5: $: holds U+2028, which YAML cannot carry", "remove the character"),
        ("2:7: $: holds U+FEFF, which YAML cannot carry", "remove the character"),
        ("2:8: $: holds U+D800, which YAML cannot carry", "remove the character")]),
    "columns count characters": ("é: {\U0001f600: yes}", [
        ("1:8: $['é']['\U0001f600']: is yes; " + AMBIGUITY, "write true or false, or quote it")]),
    "a byte order mark has no column": ("\ufeffa: yes", [
        ("1:4: $.a: is yes; " + AMBIGUITY, "write true or false, or quote it")]),
    "faults before the syntax fault": ("a: yes\nb: }", [
        ("1:4: $.a: is yes; " + AMBIGUITY, "write true or false, or quote it"),
        ("2:4: $: not YAML: expected a value", "write a value, or quote the text")]),
}  # fmt: skip


def said(problems: list[tuple[str, str]]) -> list[str]:
    return [f"f:{problem}\n  fix: {fix}" for problem, fix in problems]


@both_parsers
@pytest.mark.parametrize("case", REFUSED)
def test_every_refusal_says_where_what_and_how_to_mend(case: str) -> None:
    text, problems = REFUSED[case]

    assert complaints(text) == said(problems)


WORDS_OF_1_1 = ["y", "Y", "n", "N"] + [
    spelled for word in ("yes", "no", "on", "off") for spelled in (word, word.title(), word.upper())
]


@pytest.mark.parametrize("word", WORDS_OF_1_1)
def test_no_spelling_of_a_yaml_1_1_boolean_passes(word: str) -> None:
    assert complaints(f"a: {word}") == said([(f"1:4: $.a: is {word}; {AMBIGUITY}", "write true or false, or quote it")])
    assert complaints(f"{word}: a") == said([(f"1:1: $: has key {word}; {AMBIGUITY}", f'quote it: "{word}"')])


NOT_YAML = {
    "a:\n\tb: 2": ("2:1", "has a tab where YAML allows only spaces", "write spaces in its place"),
    "a:\n  b: 1\n \tc: 2": ("3:2", "has a tab where YAML allows only spaces", "write spaces in its place"),
    "a: @x": ("1:4", "has a text that begins with @, which YAML reserves", "quote the text"),
    "a: `x`": ("1:4", "has a text that begins with `, which YAML reserves", "quote the text"),
    "a: */5 * * * *": ("1:4", "begins with *, which YAML takes for an alias", "quote the text"),
    "a: & b": ("1:4", "begins with &, which YAML takes for an anchor", "quote the text"),
    "a: 1\n...\n%YAML 1.9.\n": ("3:1", "begins with %, which YAML takes for a directive", "remove the line"),
    "a: !x!y z": ("1:4", "begins with !, which YAML takes for a tag", "quote the text"),
    "a: b: c": ("1:5", "has a colon where no key can stand", "quote the text, or align the key"),
    "a: 1\n  b: 2": ("2:4", "has a colon where no key can stand", "quote the text, or align the key"),
    "a: - b": ("1:4", "has a list item where none can stand", "begin the list on its own line, or quote the text"),
    "a: ?": ("1:4", "has a ? where no key can stand", "quote the text"),
    "a: 1\nb\nc: 2": ("2:1", "has a key without a colon and a space", "write key: value"),
    "a: [1, 2\nb: 3": ("2:2", "expected a comma or ] in the list that begins in line 1, column 4", UNCLOSED),
    "a: {b: 1 c: 2}": ("1:11", "expected a comma or } in the mapping that begins in line 1, column 4", UNCLOSED),
    "a: {b: 1": ("1:4", "has a { that is never closed", "close the bracket"),
    "a: {b: [1,": ("1:11", "expected a value", "write a value, or quote the text"),
    "a: 'b\nc: 1": ("1:4", "a text in quotes has no end", "close the quotes"),
    "a: \"b\n---\n": ("1:4", "a text in quotes has no end", "close the quotes"),
    "a: 'b' c": ("1:8", "expected another key of the mapping that begins in line 1, column 1", ALIGN),
    "- a\nb: 1": ("2:1", "expected another item of the list that begins in line 1, column 1", ALIGN),
    "a: |x\n  b": ("1:5", "has text right behind | or >", "begin the text on the next line"),
    "a: ]": ("1:4", "expected a value", "write a value, or quote the text"),
}  # fmt: skip


@both_parsers
@pytest.mark.parametrize("text", NOT_YAML)
def test_a_fault_of_syntax_is_told_in_plain_words(text: str) -> None:
    place, reason, fix = NOT_YAML[text]

    assert complaints(text) == said([(f"{place}: $: not YAML: {reason}", fix)])


@both_parsers
@pytest.mark.parametrize("escape", ["\\q", "\\x4", "\\ud83d"])
def test_an_unknown_escape_is_told_in_plain_words(escape: str) -> None:
    (complaint,) = complaints(f'a: "{escape}"')

    reason, fix = "has an escape that YAML does not know", "double the backslash, or use single quotes"
    assert complaint.endswith(f": $: not YAML: {reason}\n  fix: {fix}")


NOT_JSON = {
    '{"a": 1, "b": [1,}': ("1:18", "expected a value", "check for a missing value, or for text without double quotes"),
    '{"a": 1\n "b": 2}': ("2:2", "expected a comma or a closing bracket", "check for a missing comma or quote"),
    '{"a" 1}': ("1:6", "expected a colon behind the key", 'write "key": value'),
    '{"a": "b\n': ("1:9", "a text holds a line break or control character", "write \\n or \\t"),
    '{"a": "b': ("1:7", "a text in double quotes has no end", "close the quotes"),
    '{"a": "\\q"}': ("1:8", "has an escape that JSON does not know", "double the backslash"),
    '{"a": 1} b': ("1:10", "goes on behind the closing bracket", "remove what follows"),
    '{"a": 1, : }': ("1:10", "expected a key in double quotes", 'write "key": value'),
}  # fmt: skip


@both_parsers
@pytest.mark.parametrize("text", NOT_JSON)
def test_what_begins_like_json_and_is_neither_gets_the_fault_of_json(text: str) -> None:
    place, reason, fix = NOT_JSON[text]

    assert complaints(text) == said([(f"{place}: $: not JSON: {reason}", fix)])


@both_parsers
def test_what_begins_like_flow_yaml_and_is_neither_gets_the_fault_of_yaml() -> None:
    reason = "not YAML: expected a comma or ] in the list that begins in line 1, column 5"

    assert complaints("{a: [1}") == said([(f"1:7: $: {reason}", UNCLOSED)])


def test_json_is_held_to_the_same_rules() -> None:
    text = '{"a": 1,\n\t"b": {"c": NaN, "d": [-Infinity, 1e999]},\n "a": "\\ud83d", "e": "\\\\ud83d"}'

    assert complaints(text) == said([
        ("2:13: $.b.c: is NaN; not a finite number", "write a number, or quote it"),
        ("2:24: $.b.d[0]: is -Infinity; not a finite number", "write a number, or quote it"),
        ("2:35: $.b.d[1]: is 1e999; not a finite number", "write a number, or quote it"),
        ("3:2: $: has key 'a' again, first in line 1, column 2", "keep one of the two"),
        ("3:8: $: holds half of a surrogate pair", "write the whole character"),
    ])  # fmt: skip


# --- hostile input --------------------------------------------------------------------------------------

DEEP = {
    "flow lists": ("[" * 10_000, "1:201: $[0][0][0]"),
    "flow mappings": ("{a: " * 10_000, "1:801: $.a.a.a"),
    "closed flow lists": ("a: " + "[" * 10_000 + "]" * 10_000, "1:203: $.a[0][0]"),
    "block lists": ("- " * 10_000, "1:401: $[0][0][0]"),
    "block mappings": ("".join(" " * depth + "a:\n" for depth in range(1_000)), "201:201: $.a.a.a"),
    "complex keys": ("? " * 10_000, "1:3: $"),
    "JSON": ('{"a":' * 10_000 + "1" + "}" * 10_000, "1:1001: $.a.a.a"),
    "JSON that Python could read": ('{"a":' * 300 + "1" + "}" * 300, "1:1001: $.a.a.a"),
    "JSON lists": ('{"a":' + "[" * 10_000, "1:205: $.a[0][0]"),
}


@both_parsers
@pytest.mark.parametrize("case", DEEP)
def test_deep_nesting_is_a_problem_and_not_a_crash(case: str) -> None:
    text, first = DEEP[case]

    all_complaints = complaints(text)

    assert all_complaints[0 if case == "complex keys" else -1].startswith(f"f:{first}: ")
    assert "nested deeper than 200 levels\n  fix: flatten it" in all_complaints[-1]


@both_parsers
def test_nesting_up_to_the_bound_is_read() -> None:
    inside = MAX_DEPTH - 1

    assert read_document("a: " + "[" * inside + "]" * inside, "f")
    assert read_document('{"a": ' + "[" * inside + "]" * inside + "}", "f")
    assert complaints("a: " + "[" * MAX_DEPTH + "]" * MAX_DEPTH)
    assert complaints('{"a": ' + "[" * MAX_DEPTH + "]" * MAX_DEPTH + "}")


def test_deep_nesting_does_not_end_the_process() -> None:
    script = """
from aether_deploy.manifest.yaml_positions import Positions
from aether_deploy.manifest.yaml_source import read_document
from aether_deploy.problems import ConfigError
for text in ("[" * 100_000, "- " * 100_000, "? " * 100_000, '{"a":' * 100_000, "a: " + "{b: [" * 100_000):
    Positions.of(text)
    try:
        read_document(text, "f")
    except ConfigError:
        print("refused")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)

    assert (done.returncode, done.stdout, done.stderr) == (0, "refused\n" * 5, "")


@both_parsers
def test_a_billion_laughs_are_refused_at_once() -> None:
    lines = ["a0: &a0 [lol, lol]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 30)]
    began = time.thread_time()

    assert len(complaints("\n".join(lines))) == 30 + 29 * 9
    assert time.thread_time() - began < 2


@both_parsers
@pytest.mark.parametrize("text", ["a: [" + "*x, " * 5000, "a: [" + "no, " * 5000, "\0" * 5000, "%X\n" * 5000])
def test_a_flood_of_problems_is_cut_off(text: str) -> None:
    assert len(complaints(text)) == MAX_PROBLEMS


SEEDS = range(2000)
SPECIAL = [
    *(b"\t", b"\0", b"\n", b"\r", b"\xff", b"\xc2\x85", b"\xe2\x80\xa8", b"\xef\xbb\xbf", b"\xed\xa0\x80"),
    *(b"&a ", b"*a ", b"!!x ", b"<<: ", b"{", b"}", b"[", b"]", b"'", b'"', b"\\", b"- ", b"? ", b": "),
    *(b"---\n", b"%Y\n", b"#", b"yes", b"|", b">", b".inf", b"9" * 600, b"\\ud83d", b"NaN", b"\xf0\x9f\x98\x80"),
]


def mutated(sample: bytes, dice: random.Random) -> bytes:
    for _ in range(dice.randint(1, 4)):
        start = dice.randrange(len(sample))
        end = min(len(sample), start + dice.choice([1, 1, 2, 8, 40]))
        insert = dice.choice([
            b"", dice.choice(SPECIAL), dice.choice(SPECIAL), bytes([dice.randrange(256)]), sample[start:end] * 2
        ])  # fmt: skip
        sample = sample[: dice.choice([start, end])] + insert + sample[end:]
    return sample


@both_parsers
@pytest.mark.parametrize("sample", [SAMPLE, ODD_BUT_VALID, json.dumps(yaml.safe_load(SAMPLE), indent=1)])
def test_no_mutation_of_a_document_raises_anything_but_problems_with_a_place(sample: str, parser: str) -> None:
    for seed in SEEDS if parser == "libyaml" else SEEDS[:100]:
        dice = random.Random(seed)
        errors = dice.choice(["replace", "surrogateescape", "surrogatepass" if seed % 2 else "ignore"])
        try:
            text = mutated(sample.encode(), dice).decode(errors=errors)
        except UnicodeDecodeError:
            continue
        try:
            check_one(text)
        except Exception as error:
            raise AssertionError(f"seed {seed}: {error!r} for {text!r}") from error


def check_one(text: str) -> None:
    Positions.of(text)
    try:
        assert isinstance(read_document(text, "f"), dict)
    except ConfigError as error:
        lines = len(text.replace("\r", "\n").splitlines()) + 1
        for problem in error.problems:
            assert problem.file == "f"
            assert 1 <= (problem.line or 0) <= lines
            assert 1 <= (problem.column or 0) <= len(text) + 1
            assert len(str(problem).splitlines()) == 2


# --- laws -----------------------------------------------------------------------------------------------

CARRIED = st.characters(exclude_categories=["Cs"])
KEPT_BY_BOTH_VERSIONS = st.text(CARRIED, max_size=12).filter(
    lambda text: text not in WORDS_OF_1_1 and text[:1] not in tuple("0123456789+-.")
)


def documents(text: st.SearchStrategy[str]) -> st.SearchStrategy[dict[str, Any]]:
    whole = st.integers(-(10**40), 10**40)
    scalars = st.none() | st.booleans() | whole | st.floats(allow_nan=False, allow_infinity=False) | text
    values = st.recursive(
        scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4), max_leaves=15
    )
    return st.dictionaries(text, values, max_size=4)


@settings(deadline=None)
@given(documents(st.text(CARRIED)), st.sampled_from([None, 0, 1, 4, "\t"]), st.booleans())
def test_json_gives_back_what_was_written(document: dict[str, Any], indent: int | str | None, ascii_only: bool) -> None:
    text = json.dumps(document, indent=indent, ensure_ascii=ascii_only)

    assert read_document(text, "f") == document


@settings(deadline=None)
@given(documents(KEPT_BY_BOTH_VERSIONS), st.sampled_from([None, False, True]))
def test_yaml_gives_back_what_pyyaml_wrote(document: dict[str, Any], flow: bool | None) -> None:
    text = yaml.safe_dump(json.loads(json.dumps(document)), default_flow_style=flow)

    assert read_document(text, "f") == document


@settings(max_examples=30, deadline=None)
@given(documents(KEPT_BY_BOTH_VERSIONS))
def test_both_parsers_give_the_same(document: dict[str, Any]) -> None:
    text = yaml.safe_dump(json.loads(json.dumps(document)))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(yaml, "__with_libyaml__", False)

        assert read_document(text, "f") == document
        assert all_places(Positions.of(text), text) == marked_places(text)


# --- where things stand ---------------------------------------------------------------------------------

Path = tuple[str | int, ...]
Places = dict[Path, tuple[tuple[int, int] | None, tuple[int, int] | None]]


def marked(node: yaml.Node, path: Path = (), key: yaml.Node | None = None) -> Iterator[tuple[Path, Any, Any]]:
    yield path, node, key
    if isinstance(node, yaml.MappingNode):
        for inner_key, inner in node.value:
            yield from marked(inner, (*path, inner_key.value), inner_key)
    elif isinstance(node, yaml.SequenceNode):
        for index, inner in enumerate(node.value):
            yield from marked(inner, (*path, index))


def composed(text: str) -> yaml.Node:
    node = yaml.compose(text, yaml.CSafeLoader)
    assert node is not None
    return node


def marked_places(text: str) -> Places:
    """What PyYAML's composer says of every path: (value, key)."""

    def place(node: yaml.Node | None) -> tuple[int, int] | None:
        return None if node is None else (node.start_mark.line + 1, node.start_mark.column + 1)

    return {path: (place(node), place(key)) for path, node, key in marked(composed(text))}


def all_places(positions: Positions, text: str) -> Places:
    paths = [path for path, _, _ in marked(composed(text))]
    return {path: (positions.value(path), positions.key(path)) for path in paths}


@settings(deadline=None)
@given(documents(KEPT_BY_BOTH_VERSIONS), st.sampled_from([None, False, True]))
def test_positions_are_the_parsers_marks(document: dict[str, Any], flow: bool | None) -> None:
    text = yaml.safe_dump(json.loads(json.dumps(document)), default_flow_style=flow, allow_unicode=False)

    assert all_places(Positions.of(text), text) == marked_places(text)


@settings(deadline=None)
@given(documents(st.text(st.characters(codec="ascii", min_codepoint=32, max_codepoint=126))), st.integers(0, 3))
def test_positions_in_json_are_those_yaml_would_give(document: dict[str, Any], indent: int) -> None:
    text = json.dumps(document, indent=indent)

    assert all_places(Positions.of(text), text) == marked_places(text)


@both_parsers
def test_every_value_of_the_example_is_where_an_editor_shows_it() -> None:
    positions = Positions.of(SAMPLE)

    assert positions.value(("worlds", 0, "scaling", "max_replicas")) == (28, 74)
    assert positions.value(("services", 0, "uses", 0)) == (35, 12)
    assert positions.key(("services", 0, "uses")) == (35, 5)
    assert positions.value(("services", 0, "waivers", "cpu_limit")) == (38, 18)
    assert positions.value(("regions",)) == (5, 3)
    assert positions.value(("regions", 0)) == (5, 5)
    assert positions.value(()) == (2, 1)
    assert positions.key(()) is positions.key(("regions", 0)) is None


@both_parsers
@pytest.mark.parametrize("path", [("absent",), ("worlds", 1), ("worlds", "0"), ("name", "x"), ("worlds", -1), (0,)])
def test_a_path_that_does_not_exist_is_nowhere(path: Path) -> None:
    assert Positions.of(SAMPLE).value(path) is Positions.of(SAMPLE).key(path) is None


def test_positions_in_json_survive_tabs_escapes_and_long_keys() -> None:
    text = '{\n\t"k\\u00e9\\/": ["\\ud83d\\ude00", {"' + "x" * 2000 + '":\t1}]}'

    positions = Positions.of(text)

    assert positions.key(("k\u00e9/",)) == (2, 2)
    assert positions.value(("k\u00e9/", 0)) == (2, 16)
    assert positions.value(("k\u00e9/", 1, "x" * 2000)) == (2, 2037)


@both_parsers
def test_a_faulty_text_has_positions_up_to_the_fault() -> None:
    text = "a: 1\nb: {c: 2}\na: {d: 3}\ne: ]\nf: 4"

    positions = Positions.of(text)

    assert positions.value(("b", "c")) == (2, 8)
    assert positions.value(("a",)) == (1, 4)
    assert positions.value(("a", "d")) is positions.value(("f",)) is Positions.of("").value(()) is None


# --- what it costs --------------------------------------------------------------------------------------


def test_yaml_is_imported_only_for_yaml() -> None:
    script = """
import sys
from aether_deploy.manifest.yaml_source import read_document
assert "yaml" not in sys.modules, "by the import"
read_document('{"a": [1, 1.5, "yes"]}', "f")
assert "yaml" not in sys.modules, "by JSON"
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


@pytest.mark.skipif(not yaml.__with_libyaml__, reason="PyYAML was built without its C extension")
def test_reading_is_at_least_twice_as_fast_as_pyyaml() -> None:
    """Usually it is six times as fast; time of the processor, and the best of alternating rounds, so that what else
    this machine does counts for neither."""
    worlds = SAMPLE[SAMPLE.index("  - name: world-server") : SAMPLE.index("\nservices:")]
    text = "worlds:\n" + worlds * 100
    ours, theirs = [], []
    for _ in range(5):
        began = time.thread_time()
        read_document(text, "f")
        middle = time.thread_time()
        yaml.load(text, yaml.CSafeLoader)
        ours.append(middle - began)
        theirs.append(time.thread_time() - middle)

    assert min(theirs) > 2 * min(ours)
