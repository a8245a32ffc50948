"""Whatever is done to a description, the program says what is wrong and where, or renders it.

``pytest tests/test_mutations.py --mutations 20000 --mutation-seed 7`` tries others.
"""

import io
import json
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from aether_deploy import ConfigError, read_description
from aether_deploy.cli.main import run
from aether_deploy.config.sink import path_text
from aether_deploy.problems import shown
from tests.mutations import Mutation, Steps, mutations_of, places_in
from tests.platform_cases import said
from tests.rule_case import IMAGE

EXAMPLES = Path(__file__).parents[1] / "examples"
SHARES = {"one-region": 1, "two-regions": 10}  # the second has three environments and takes longer
CHUNK = 100

Said = dict[str, set[str]]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Split the mutations into chunks, which several processes can share."""
    if "numbers" not in metafunc.fixturenames:
        return
    count, seed = metafunc.config.getoption("mutations"), metafunc.config.getoption("mutation_seed")
    cases = [
        (example, seed, range(first, min(first + CHUNK, count // share)))
        for example, share in SHARES.items()
        for first in range(0, count // share, CHUNK)
    ]
    names = [f"{example} seed {seed} {numbers.start}-{numbers.stop - 1}" for example, seed, numbers in cases]
    metafunc.parametrize(("example", "seed", "numbers"), cases, ids=names)


def test_a_mutated_description_is_refused_with_existing_paths_or_renders(
    example: str, seed: int, numbers: range, tmp_path: Path
) -> None:
    shutil.copytree(EXAMPLES / example, tmp_path, dirs_exist_ok=True)
    file = tmp_path / "aether.yaml"
    mutations = mutations_of(EXAMPLES / example / "aether.yaml", seed=seed, numbers=numbers)

    faults = [f"{seed}/{m.number} ({m.name}): {fault}" for m in mutations for fault in faults_of(m, file)]

    assert not faults, "\n".join(faults)


def faults_of(mutation: Mutation, file: Path) -> Iterator[str]:
    """Yield what the program does wrong when ``file`` is the mutation."""
    file.write_bytes(mutation.data)
    code, out, err = called("check", "--json", str(file))
    if code not in (0, 2) or err:
        yield f"check ended with exit code {code}, saying {err or out}"
        return
    report = json.loads(out)
    if report["ok"] != (code == 0) or (code == 0) == any(p["severity"] == "error" for p in report["problems"]):
        yield f"exit code {code} does not fit {report}"
    text = mutation.data.decode("utf-8", "replace")
    known = values_of(file, text) if report["problems"] else {}
    for problem in report["problems"]:
        yield from (f"{words}: {problem}" for words in faults_of_problem(problem, known, text))
    if code == 0:
        code, _, err = called("render", "-q", str(file))
        if code != 0:
            yield f"check lets it pass, and render ends with exit code {code}, saying {err}"


def called(*arguments: str) -> tuple[int, str, str]:
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        code = run(arguments)
    return code, out.getvalue(), err.getvalue()


def faults_of_problem(problem: dict[str, Any], known: Said, text: str) -> Iterator[str]:
    values = known.get(problem["path"])
    if problem["path"] not in known:
        yield "names a path that does not exist"
    elif values and problem["value"] is not None and not shows(problem["value"].strip("'"), values):
        yield f"shows another value than {values}"
    if not problem["reason"].strip() or not problem["fix"].strip():
        yield "lacks words"
    if problem["line"] is not None and not is_inside(text, problem["line"], problem["column"]):
        yield "lies outside the file"


def shows(value: str, values: set[str]) -> bool:
    """Return whether a message may show one of the values so: durations in seconds, pairs as text."""
    seconds = value.isdecimal() and any(re.fullmatch("[0-9]+[a-z]+", each) for each in values)
    pair = " - " in value and "a list" in values
    return value in values or seconds or pair


def is_inside(text: str, line: int, column: int) -> bool:
    """Return whether the place exists; readers disagree whether a bare carriage return ends a line."""
    ways = text.split("\n"), re.split(r"\r\n?|\n", text)
    return any(0 < line <= len(lines) and 0 < column <= len(lines[line - 1]) + 1 for lines in ways)


def values_of(file: Path, text: str) -> Said:
    """Return every path of the description, in any environment, and how a message shows the values there.

    Of a text that cannot be read, or not whole, only the paths are known.
    """
    try:
        description = read_description([str(file)])
    except ConfigError:
        return {path_text(steps): set() for steps in places_in(text)}
    document = description.document
    known = values_in(document.sources[0].values, *(document.merged(name) for name in document.environments()))
    if description.refused:
        return {path: set() for path in (*known, *map(path_text, places_in(text)))}
    return known


def values_in(*documents: Mapping[str, Any]) -> Said:
    known: Said = {}
    for values in documents:
        gather(values, (), known)
    return known


def gather(value: Any, at: Steps, known: Said) -> None:
    known.setdefault(path_text(at), set()).add(shown(value).strip("'"))
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, each in inner:
        gather(each, (*at, step), known)


PROBLEM = {"path": "$.a", "value": "'x'", "reason": "wrong", "fix": "mend it", "line": 1, "column": 4}
WRONG = {
    "a path that is not there": ({"path": "$.b"}, "names a path that does not exist"),
    "the value of another place": ({"value": "'y'"}, "shows another value than {'x'}"),
    "no fix": ({"fix": " "}, "lacks words"),
    "no reason": ({"reason": ""}, "lacks words"),
    "a line after the last": ({"line": 2}, "lies outside the file"),
    "a column after the last": ({"column": 6}, "lies outside the file"),
}


@pytest.mark.parametrize("change, words", WRONG.values(), ids=WRONG)
def test_a_problem_that_misleads_is_seen(change: dict[str, Any], words: str) -> None:
    known = values_in({"a": "x"})

    assert list(faults_of_problem(PROBLEM, known, "a: x")) == []
    assert list(faults_of_problem({**PROBLEM, **change}, known, "a: x")) == [words]


def test_equal_seeds_give_equal_mutations() -> None:
    first, second = (
        list(mutations_of(EXAMPLES / "one-region" / "aether.yaml", seed=7, numbers=numbers))
        for numbers in (range(60), range(40, 60))
    )

    assert first[40:] == second


# --- what mutations have found

FOUND = {
    "an item is counted without the items of the class defaults": (
        "services: [{name: gateway, ports: [{name: game, port: x}, {name: chat, port: 81}]}]",
        ["$.services[0].ports[0].port: is 'x'; expected a whole number\n  fix: write a whole number"],
    ),
    "an item that breaks a rule is counted so, too": (
        "services: [{name: gateway, ports: [{name: game, port: 8080}]}]",
        ["$.services[0].ports[0].port: is 8080; taken by port 'http'\n  fix: give it another number"],
    ),
    "an item without its name is named by its place": (
        "services: [{name: gateway, ports: [{nme: game, port: 81, protocol: null}]}]",
        [
            "$.services[0].ports[0]: has unknown key 'nme'\n  fix: did you mean 'name'?",
            "$.services[0].ports[0]: lacks 'name'\n  fix: add name: a port name",
        ],
    ),
    "an item whose name is no text repeats no other": (
        f"services: [{{name: [], image: '{IMAGE}'}}, {{name: [], image: '{IMAGE}'}}]",
        [
            "$.services[3].name: is a list; expected a DNS-1035 label\n"
            "  fix: use lower-case letters, digits and '-', begin with a letter and end with a letter or digit",
            "$.services[4].name: is a list; expected a DNS-1035 label\n"
            "  fix: use lower-case letters, digits and '-', begin with a letter and end with a letter or digit",
        ],
    ),
    "a count that follows another is not reported with it": (
        "worlds: [{name: world-server, scaling: {min_replicas: x}}]",
        ["$.worlds[0].scaling.min_replicas: is 'x'; expected a whole number\n  fix: write a whole number"],
    ),
    "a list instead of a number stands where a region says it": (
        "worlds: [{name: world-server, scaling: {max_replicas: 9}, "
        "per_region: {us-east-1: {scaling: {max_replicas: [9]}}}}]",
        [
            "$.worlds[0].per_region.us-east-1.scaling.max_replicas: is a list; expected a whole number\n"
            "  fix: write a whole number"
        ],
    ),
    "an environment is reported where its name stands": (
        "environments: {d&v: {}}",
        [
            "$.environments: has key 'd&v'; not a DNS-1123 label\n"
            "  fix: use lower-case letters, digits and '-', and begin and end with a letter or digit"
        ],
    ),
}


@pytest.mark.parametrize("text, problems", FOUND.values(), ids=FOUND)
def test_a_fault_that_was_misplaced_once_stands_in_its_place(text: str, problems: list[str]) -> None:
    assert said(text) == problems


def test_the_environment_that_is_asked_for_is_reported_where_its_name_stands() -> None:
    text, problems = FOUND["an environment is reported where its name stands"]

    assert said(text, environment="d&v") == problems


def test_empty_items_are_told_apart(tmp_path: Path) -> None:
    file = tmp_path / "aether.yaml"
    file.write_text("name: aether\nkubernetes: v1.37\nregions: [{code: us-east-1, zones: [a]}]\nservices: [{}, {}]\n")
    problems = json.loads(called("check", "--json", str(file))[1])["problems"]

    places = {(problem["path"], problem["line"], problem["column"]) for problem in problems}
    assert places == {("$.services[0]", 4, 12), ("$.services[1]", 4, 16)}
