"""``--json``: one object on standard output, for every verb and for every way in which it can end."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli_cases import FAULTY, WARNED, CommandLine

KEYS = ["format", "verb", "ok", "problems", "result"]
PROBLEM_KEYS = ["path", "reason", "fix", "value", "severity", "file", "line", "column", "environment", "key"]


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    monkeypatch.chdir(tmp_path)
    return CommandLine(tmp_path, capsys)


def problem(reason: str, fix: str, **said: Any) -> dict[str, Any]:
    """Return a problem as JSON has it; what is not said is null."""
    given = {"path": "$", "severity": "error", **said, "reason": reason, "fix": fix}
    return {key: given.get(key) for key in PROBLEM_KEYS}


NO_FILE = "name a file that is there, or start one with aether-deploy init"
SISE = problem(
    "has unknown key 'sise'",
    "did you mean 'size'?",
    path="$.worlds[0].pvc",
    file="faulty.yaml",
    line=8,
    column=23,
    key="sise",
)
TAG = problem(
    "named by its tag only, which can be moved",
    "add the digest: name:tag@sha256:digest, or give the waiver image_digest a reason",
    path="$.worlds[0].image",
    value="'aether/world-server:v1.2.0'",
    file="warned.yaml",
    line=7,
    column=12,
)

FAILURES: dict[str, tuple[list[str], int, list[dict[str, Any]]]] = {
    "an unknown verb": (
        ["chekc"], 2, [problem("no verb is named 'chekc'; did you mean 'check'?", "see aether-deploy --help")],
    ),
    "no verb": (
        [],
        2,
        [
            problem(
                "no option is named '--json' before the verb; options of a verb stand after it",
                "see aether-deploy --help",
            )
        ],
    ),
    "init without a folder": (["init"], 2, [problem("Missing argument 'DIR'", "see aether-deploy init --help")]),
    "init with a bad name": (
        ["init", "new", "--name", "Bad"],
        2,
        [
            problem(
                "not a DNS-1123 label",
                "use lower-case letters, digits and '-', and begin and end with a letter or digit",
                path="--name",
                value="'Bad'",
            )
        ],
    ),
    "init where files are": (
        ["init", "."], 3, [problem(". already holds aether.yaml", "name another folder, or remove them")],
    ),
    "check of an unknown option": (
        ["check", "--bogus"], 2, [problem("no option is named '--bogus'", "see aether-deploy check --help")],
    ),
    "check of no file": (
        ["check", "gone.yaml"],
        2,
        [problem("cannot be read: No such file or directory", NO_FILE, file="gone.yaml")],
    ),
    "check of no YAML": (
        ["check", "broken.yaml"],
        2,
        [
            problem(
                "not YAML: has a [ that is never closed", "close the bracket", file="broken.yaml", line=1, column=7
            )
        ],
    ),
    "check of a faulty file": (["check", "faulty.yaml"], 2, [SISE]),
    "check of a setting that fits nowhere": (
        ["check", "--set", "worlds.lobby.replicas=1"],
        2,
        [problem("$.worlds has no item 'lobby'", "known are world-server", path="--set worlds.lobby.replicas")],
    ),
    "check of an unknown environment": (
        ["check", "--env", "pord"],
        2,
        [problem("has no environment 'pord'", "did you mean 'prod'?", path="$.environments")],
    ),
        "render of no folder": (
        ["render", "-o", ""],
        2,
        [problem("-o names no folder; give -o DIR, or -o - for standard output", "see aether-deploy render --help")],
    ),
    "render of a faulty file": (["render", "faulty.yaml", "-o", "deploy"], 2, [SISE]),
    "strict render of a warning": (["render", "--strict", "warned.yaml"], 2, [TAG]),
    "render into a file": (
        ["render", "-o", "warned.yaml"],
        3,
        [
            problem(
                "warned.yaml: cannot be used as a folder: is not a folder",
                "choose another folder with -o, or move it away",
            )
        ],
    ),
    "render over foreign files": (
        ["render", "-o", "blocked"],
        3,
        [
            problem(
                "is not from aether-deploy, and has other content",
                "move it away, or give --force to replace it",
                file=f"prod/clusters/us-east-1/{name}",
            )
            for name in ("aether-prod/kustomization.yaml", "kustomization.yaml")
        ],
    ),
    "schema with an argument": (
        ["schema", "x"], 2, [problem("Got unexpected extra argument (x)", "see aether-deploy schema --help")],
    ),
    "completion of an unknown shell": (
        ["completion", "ksh"],
        2,
        [
            problem(
                "Invalid value for 'SHELL': 'ksh' is not one of 'bash', 'zsh', 'fish'",
                "see aether-deploy completion --help",
            )
        ],
    ),
    "explain of an unknown field": (
        ["explain", "nmae"], 2, [problem("has no field 'nmae'", "did you mean 'name'?", path="nmae")],
    ),
    "explain of a faulty file": (["explain", "name", "faulty.yaml"], 2, [SISE]),
}  # fmt: skip


@pytest.mark.parametrize("case", FAILURES)
def test_a_failure_is_one_object_and_no_message(case: str, cli: CommandLine) -> None:
    arguments, code, problems = FAILURES[case]
    cli.write("faulty.yaml", FAULTY)
    cli.write("warned.yaml", WARNED)
    cli.write("broken.yaml", "name: [a")
    cli.write("blocked/prod/clusters/us-east-1/kustomization.yaml", "mine\n")
    cli.write("blocked/prod/clusters/us-east-1/aether-prod/kustomization.yaml", "mine\n")

    ended = cli(*arguments, "--json")

    assert (ended.code, ended.err) == (code, "")
    assert list(ended.answer) == KEYS
    assert ended.answer == {
        "format": 1,
        "verb": arguments[0] if arguments else "",
        "ok": False,
        "problems": problems,
        "result": None,
    }


def test_a_refusal_of_the_system_is_one_object(cli: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise PermissionError(13, "Permission denied", "/etc/shadow")

    monkeypatch.setattr("aether_deploy.cli.verbs.schema.platform_schema", fail)
    ended = cli("schema", "--json")

    assert (ended.code, ended.err) == (3, "")
    assert ended.answer["problems"] == [problem("/etc/shadow: Permission denied", "see the reason")]


SUCCESSES: dict[str, tuple[list[str], list[str]]] = {
    "init": (["init", "new"], ["folder", "files"]),
    "check": (["check"], ["clusters", "objects", "schemas"]),
    "render to standard output": (["render"], ["manifests"]),
    "render to a folder": (
        ["render", "-o", "deploy"], ["output", "objects", "files", "written", "unchanged", "removed", "clusters"],
    ),
    "schema": (["schema"], ["$schema", "title", "$ref", "$defs"]),
    "completion": (["completion", "bash"], ["shell", "script"]),
    "explain": (
        ["explain", "name", "aether.yaml"],
        ["path", "description", "type", "unit", "default", "rule", "fields", "value", "origin"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", SUCCESSES)
def test_an_answer_is_one_object_and_no_message(case: str, cli: CommandLine) -> None:
    arguments, keys = SUCCESSES[case]

    ended = cli(*arguments, "--json")

    assert (ended.code, ended.err) == (0, "")
    assert list(ended.answer) == KEYS
    assert (ended.answer["verb"], ended.answer["ok"], ended.answer["problems"]) == (arguments[0], True, [])
    assert list(ended.answer["result"]) == keys


@pytest.mark.parametrize("arguments", [["check"], ["render"], ["render", "-o", "deploy"], ["explain", "name"]])
def test_a_warning_stands_in_the_answer_and_fails_nothing(arguments: list[str], cli: CommandLine) -> None:
    cli.write("warned.yaml", WARNED)

    ended = cli(*arguments, "warned.yaml", "--json")

    assert (ended.code, ended.err, ended.answer["ok"]) == (0, "", True)
    assert ended.answer["problems"] == [{**TAG, "severity": "warning"}]


def test_a_tree_that_differs_is_an_answer_that_does_not_hold(cli: CommandLine) -> None:
    ended = cli("render", "-o", "deploy", "--check", "--json")

    assert (ended.code, ended.answer["ok"], ended.answer["problems"]) == (1, False, [])
    assert len(ended.answer["result"]["written"]) == 14
    assert not (cli.folder / "deploy").exists()


def test_the_result_of_render_counts_what_happened(cli: CommandLine) -> None:
    cli("render", "-o", "deploy")
    cli.write("more.yaml", "kubernetes: v1.34\nworlds: [{name: world-server, scaling: none}]")

    ended = cli("render", "aether.yaml", "more.yaml", "-o", "deploy", "--json")

    folder = "prod/clusters/us-east-1"
    assert ended.answer["result"] == {
        "output": "deploy",
        "objects": 7,
        "files": 13,
        "written": [
            f"{folder}/aether-prod/world-server/kustomization.yaml",
            f"{folder}/aether-prod/world-server/statefulset.yaml",
            f"{folder}/aether.index.jsonl",
        ],
        "unchanged": 10,
        "removed": [f"{folder}/aether-prod/world-server/horizontalpodautoscaler.yaml"],
        "clusters": [{"path": folder, "kubernetes": "v1.34", "workloads": {"world-server": 6}, "components": {}}],
    }


def test_text_outside_of_ascii_stays_readable(cli: CommandLine) -> None:
    ended = cli("check", "日本.yaml", "--json")

    assert '"file": "日本.yaml"' in ended.out
    assert json.loads(ended.out)["problems"][0]["file"] == "日本.yaml"


def test_strict_makes_a_warning_an_error_of_the_answer(cli: CommandLine) -> None:
    cli.write("warned.yaml", WARNED)

    ended = cli("check", "warned.yaml", "--strict", "--json")

    assert (ended.code, ended.err, ended.answer["ok"]) == (2, "", False)
    assert ended.answer["problems"] == [TAG]
