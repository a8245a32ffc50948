"""The indexes and the journal: their exact text, and what is refused when they are read back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aether_deploy.gitops.index import (
    BadIndexError,
    Journal,
    JournalEntry,
    index_unit,
    parse_journal,
    parse_root_index,
    parse_unit_index,
    render_journal,
    render_root_index,
    render_unit_index,
)
from aether_deploy.gitops.tree import TreeFile, Unit
from aether_deploy.problems import EffectError
from tests.tree_cases import PROD, file_of, sha256

HEADER = '{"format":1,"name":"aether","environment":"prod","cluster":"us-east-1"}\n'
ZEROS = "0" * 64


def line_of(path: str) -> str:
    return f'{{"path":"{path}","sha256":"{ZEROS}"}}\n'


def unit_with(*files: TreeFile, cluster: str | None = "us-east-1") -> Unit:
    return Unit(path=PROD, name="aether", environment="prod", cluster=cluster, files=files)


def test_a_unit_index_has_this_text() -> None:
    kustomization = TreeFile(
        path="kustomization.yaml", text="k\n", api_version="kustomize.config.k8s.io/v1beta1", kind="Kustomization"
    )
    service = file_of("aether-prod/gateway/service.yaml", "é\n")

    text = render_unit_index(index_unit(unit_with(kustomization, service)))

    assert text == (
        HEADER + f'{{"path":"aether-prod/gateway/service.yaml","sha256":"{sha256("é" + chr(10))}","api_version":"v1",'
        '"kind":"Service","namespace":"aether-prod","name":"service","source":"services.gateway"}\n'
        f'{{"path":"kustomization.yaml","sha256":"{sha256("k" + chr(10))}",'
        '"api_version":"kustomize.config.k8s.io/v1beta1","kind":"Kustomization"}\n'
    )


def test_a_unit_for_no_one_cluster_names_none() -> None:
    text = render_unit_index(index_unit(unit_with(cluster=None)))

    assert text == '{"format":1,"name":"aether","environment":"prod"}\n'


def test_the_root_index_has_this_text() -> None:
    text = render_root_index(["prod/clusters/us-east-1", "dev/clusters/us-east-1"])

    assert text == '{"unit": "dev/clusters/us-east-1"}\n{"unit": "prod/clusters/us-east-1"}\n'


names = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"], exclude_characters="/\\:."), min_size=1)
paths = st.lists(names, min_size=1, max_size=3).map("/".join)


@given(st.sets(paths, max_size=5), st.text(st.characters(codec="utf-8")))
def test_an_index_reads_back_as_it_was_written(found: set[str], source: str) -> None:
    index = index_unit(unit_with(*(file_of(path, source=source) for path in found)))

    assert parse_unit_index(render_unit_index(index).encode(), "x") == index
    assert set(parse_root_index(render_root_index(["a", "b"]).encode(), "x")) == {"a", "b"}


def test_a_journal_reads_back_as_it_was_written() -> None:
    journal = Journal("aether", (JournalEntry(PROD, "a.yaml", ZEROS), JournalEntry("", "aether.index.jsonl", ZEROS)))

    assert parse_journal(render_journal(journal).encode(), "x") == journal


HOSTILE = {
    "/etc/passwd": "is absolute",
    "../../x": "leads out of its folder",
    "a/../../x": "leads out of its folder",
    "a\\\\b": "holds a backslash",
    "": "is empty",
    "a\\u0000b": "holds a character that cannot be printed",
    ".git/config": "uses a name that is reserved",
}


@pytest.mark.parametrize("path", HOSTILE)
def test_a_path_that_leads_out_of_its_unit_is_refused(path: str) -> None:
    with pytest.raises(EffectError, match=r"x:2: is corrupt: the path .*" + HOSTILE[path]):
        parse_unit_index((HEADER + line_of(path)).encode(), "x")
    with pytest.raises(EffectError, match=r"x:1: is corrupt: the unit .*" + HOSTILE[path]):
        parse_root_index(f'{{"unit": "{path}"}}\n'.encode(), "x")
    journal = f'{{"format":1,"name":"a"}}\n{{"unit":"u","path":"{path}","sha256":"{ZEROS}"}}\n'
    with pytest.raises(EffectError, match=r"x:2: is corrupt: the path .*" + HOSTILE[path]):
        parse_journal(journal.encode(), "x")


CORRUPT = {
    "empty": b"",
    "no json": b"<<<<<<< HEAD\n",
    "cut off": (HEADER + line_of("a")).encode()[:-1],
    "no header": line_of("a").encode(),
    "format zero": b'{"format":0,"name":"a","environment":"b"}\n',
    "format as text": b'{"format":"1","name":"a","environment":"b"}\n',
    "unknown key in the header": b'{"format":1,"name":"a","environment":"b","more":1}\n',
    "unknown key": (HEADER + f'{{"path":"a","sha256":"{ZEROS}","x":1}}\n').encode(),
    "missing hash": (HEADER + '{"path":"a"}\n').encode(),
    "short hash": (HEADER + '{"path":"a","sha256":"00"}\n').encode(),
    "hash with a newline": (HEADER + f'{{"path":"a","sha256":"{ZEROS}\\n"}}\n').encode(),
    "twice": (HEADER + line_of("a") + line_of("a")).encode(),
    "unsorted": (HEADER + line_of("b") + line_of("a")).encode(),
    "no utf-8": HEADER.encode() + b'{"path":"\xff","sha256":"' + ZEROS.encode() + b'"}\n',
    "lone surrogate": (HEADER + line_of("\\ud800")).encode(),
    "very deep": b'{"format":1,"x":' + b"[" * 100_000 + b"\n",
    "no object": HEADER.encode() + b"[]\n",
    "blank line": HEADER.encode() + b"\n",
}


@pytest.mark.parametrize("case", CORRUPT)
def test_a_corrupt_index_is_refused_with_what_to_do(case: str) -> None:
    with pytest.raises(BadIndexError, match=r"is corrupt: .*\n  fix: restore the file from version control"):
        parse_unit_index(CORRUPT[case], "x")


@given(st.binary(max_size=200), st.booleans())
def test_whatever_the_bytes_the_answer_is_an_index_or_a_refusal(content: bytes, headed: bool) -> None:
    for parse in (parse_unit_index, parse_root_index, parse_journal):
        try:
            parse(HEADER.encode() * headed + content, "x")
        except BadIndexError as refusal:
            assert "\n  fix: " in str(refusal)  # noqa: PT017 -- most of what is drawn is refused, not all


def test_a_newer_index_is_refused_and_names_the_way_out() -> None:
    with pytest.raises(EffectError) as caught:
        parse_unit_index(b'{"format":2,"name":"a","shape":"unknown"}\n', "deploy/aether.index.jsonl")

    assert str(caught.value) == (
        "deploy/aether.index.jsonl:1: has format 2; this aether-deploy knows 1\n"
        "  fix: use the newer aether-deploy that wrote it"
    )


def test_a_root_index_with_a_unit_inside_another_is_refused() -> None:
    with pytest.raises(EffectError, match="x:3: is corrupt: the unit 'a/b' lies in another unit"):
        parse_root_index(b'{"unit": "a"}\n{"unit": "a-b"}\n{"unit": "a/b"}\n', "x")


def test_a_journal_line_outside_of_any_unit_is_refused_unless_it_is_the_root_index() -> None:
    text = f'{{"format":1,"name":"a"}}\n{{"unit":"","path":"README.md","sha256":"{ZEROS}"}}\n'

    with pytest.raises(EffectError, match=r"x:2: is corrupt: the path 'README.md' lies in no unit"):
        parse_journal(text.encode(), "x")
