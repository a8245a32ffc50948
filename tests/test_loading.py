"""Files become a platform: JSON as YAML, layers, config files beside them, and every fault at its place."""

import json
import os
import sys
from pathlib import Path

import pytest
import yaml

from aether_deploy import ConfigError, load_platform, read_description
from aether_deploy.delivery import loading
from tests.cli_cases import ROOT, SMALL, STAGES, WARNED
from tests.rule_case import DIGEST

EXAMPLES = sorted((ROOT / "examples").glob("*/aether.yaml"))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "aether.yaml").write_text(SMALL)
    return tmp_path


def faults(*paths: str, environment: str | None = None, settings: list[tuple[str, str]] | None = None) -> list[str]:
    """Return every error of loading."""
    with pytest.raises(ConfigError) as raised:
        load_platform(*(paths or ("aether.yaml",)), environment=environment, settings=settings or ())
    return [str(problem) for problem in raised.value.problems]


# --- JSON


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.parent.name)
@pytest.mark.parametrize("indent", [None, 2])
def test_json_makes_the_same_platform_as_yaml(path: Path, indent: int | None, folder: Path) -> None:
    (folder / "aether.json").write_text(json.dumps(yaml.safe_load(path.read_text("utf-8")), indent=indent))
    if (path.parent / "config").exists():
        (folder / "config").symlink_to(path.parent / "config")

    from_yaml, from_json = read_description([str(path)]), read_description(["aether.json"])
    environments = from_yaml.document.environments()

    assert from_json.document.environments() == environments
    assert from_json.evaluate(environments).platforms == from_yaml.evaluate(environments).platforms
    assert from_json.evaluate(environments).files == from_yaml.evaluate(environments).files


def test_a_fault_in_json_has_its_place(folder: Path) -> None:
    values = yaml.safe_load(SMALL)
    values["worlds"][0]["pvc"]["sise"] = "1Gi"
    (folder / "aether.json").write_text(json.dumps(values, indent=2))
    (folder / "line.json").write_text(json.dumps(values))

    assert faults("aether.json") == [
        "aether.json:20:9: $.worlds[0].pvc: has unknown key 'sise'\n  fix: did you mean 'size'?"
    ]
    column = json.dumps(values).index('"sise"') + 1
    assert faults("line.json") == [
        f"line.json:1:{column}: $.worlds[0].pvc: has unknown key 'sise'\n  fix: did you mean 'size'?"
    ]


def test_layers_may_be_yaml_and_json(folder: Path) -> None:
    (folder / "more.json").write_text('{"worlds": [{"name": "world-server", "pvc": {"size": "20Gi"}}]}')

    system = load_platform("aether.yaml", "more.json")

    config = system.config_of(("worlds", 0), "us-east-1")
    assert config is not None
    assert config.pvc is not None
    assert config.pvc.size == "20Gi"


# --- what is refused, with file, line and column

REFUSED = {
    "an unquoted version": (
        SMALL.replace("v1.37", "1.37"),
        [
            "aether.yaml:2:13: $.kubernetes: is 1.37; expected a Kubernetes API version\n"
            '  fix: write the minor version as text: "v1.37"'
        ],
    ),
    "an unquoted version that YAML would shorten": (
        SMALL.replace("v1.37", "1.30"),
        [
            "aether.yaml:2:13: $.kubernetes: is 1.30; expected a Kubernetes API version\n"
            '  fix: write the minor version as text: "v1.37"'
        ],
    ),
    "a key given twice, at both ends of the file": (
        f"{SMALL}name: other\n",
        ["aether.yaml:9:1: $: has key 'name' again, first in line 1, column 1\n  fix: keep one of the two"],
    ),
    "a boolean of YAML 1.1": (
        f"{SMALL}    env: {{DEBUG: off}}\n",
        [
            "aether.yaml:9:18: $.worlds[0].env.DEBUG: is off; YAML 1.1 reads it as a boolean, YAML 1.2 as text\n"
            "  fix: write true or false, or quote it"
        ],
    ),
    "a boolean of YAML 1.1 as a key": (
        f"{SMALL}    env: {{y: '1'}}\n",
        [
            "aether.yaml:9:11: $.worlds[0].env: has key y; YAML 1.1 reads it as a boolean, YAML 1.2 as text\n"
            '  fix: quote it: "y"'
        ],
    ),
    "an anchor and its alias": (
        SMALL.replace("aether\n", "&name aether\n", 1) + "services: [{name: *name}]\n",
        [
            "aether.yaml:1:7: $.name: has the anchor &name; anchors and aliases are not supported\n"
            "  fix: write the value out in each place",
            "aether.yaml:9:12: $.services[0]: lacks 'image'\n  fix: add image: an image reference",
            "aether.yaml:9:19: $.services[0].name: is *name; anchors and aliases are not supported\n"
            "  fix: write the value out",
        ],
    ),
    "a merge key": (
        f"{SMALL}    <<: {{replicas: 3}}\n",
        ["aether.yaml:9:5: $.worlds[0]: has a merge key; merge keys are not supported\n  fix: write the keys out"],
    ),
    "a tag": (
        SMALL.replace("v1.37", "!!str 1.37"),
        [
            "aether.yaml:2:13: $.kubernetes: has the tag !!str; tags are not supported\n"
            "  fix: remove it, and quote what is text"
        ],
    ),
    "a second document": (
        f"{SMALL}---\n{SMALL}",
        ["aether.yaml:9:1: $: holds a second document\n  fix: remove it, or put it into a file of its own"],
    ),
    "a tabulator": (
        SMALL.replace("    pvc:", "\tpvc:"),
        [
            "aether.yaml:8:1: $: not YAML: has a tab where YAML allows only spaces\n  fix: write spaces in its place",
        ],
    ),
    "nothing": (
        "",
        ["aether.yaml:1:1: $: is empty\n  fix: describe the platform; aether-deploy init writes a first file"],
    ),
    "a list": (
        "- name: aether\n",
        ["aether.yaml:1:1: $: is a list; expected a mapping\n  fix: write keys and values, such as name: aether"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_it_is_refused_with_its_place(case: str, folder: Path) -> None:
    text, says = REFUSED[case]
    (folder / "aether.yaml").write_text(text)

    assert faults() == says


def test_faults_of_every_file_and_setting_are_told_at_once(folder: Path) -> None:
    (folder / "one.yaml").write_text("a: yes\n")
    (folder / "two.yaml").write_text("b: *b\n")

    assert faults("one.yaml", "gone.yaml", "two.yaml", settings=[("a..b", "1")]) == [
        "one.yaml:1:4: $.a: is yes; YAML 1.1 reads it as a boolean, YAML 1.2 as text\n"
        "  fix: write true or false, or quote it",
        "gone.yaml: $: cannot be read: No such file or directory\n"
        "  fix: name a file that is there, or start one with aether-deploy init",
        "two.yaml:1:4: $.b: is *b; anchors and aliases are not supported\n  fix: write the value out",
        "--set a..b: cannot be read as a path\n  fix: write it like worlds.world-server.image or worlds[0].image",
    ]


def test_a_file_that_never_ends_is_refused_before_it_fills_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "MAX_FILE_BYTES", 1000)

    assert faults("/dev/zero") == [
        "/dev/zero: $: has more than 1000 bytes\n  fix: split it into layers, or generate less of it"
    ]


@pytest.mark.parametrize("name", ["", "a\0b", "n" * 300])
def test_a_name_that_no_file_can_have_is_a_fault_and_no_crash(name: str) -> None:
    (said,) = faults(name)

    assert "cannot be read: " in said


def test_warnings_stop_no_loading_and_are_no_error(folder: Path) -> None:
    (folder / "aether.yaml").write_text(WARNED)

    assert load_platform("aether.yaml").name == "aether"
    assert [problem.severity for problem in read_description(["aether.yaml"]).evaluate(["prod"]).problems] == [
        "warning"
    ]


# --- environments


def test_an_environment_is_the_first_unless_one_is_named(folder: Path) -> None:
    (folder / "aether.yaml").write_text(STAGES)

    assert load_platform("aether.yaml").environment == "prod"
    assert load_platform("aether.yaml", environment="staging").environment == "staging"
    assert load_platform("aether.yaml", environment="staging").kubernetes == "v1.36"


@pytest.mark.parametrize("text", [STAGES, SMALL], ids=["with environments", "without"])
def test_an_environment_that_is_none_is_refused(text: str, folder: Path) -> None:
    (folder / "aether.yaml").write_text(text)

    (said,) = faults(environment="prd")

    assert said == "$.environments: has no environment 'prd'\n  fix: did you mean 'prod'?"


def test_a_fault_of_an_overlay_names_its_environment_and_one_of_the_file_is_told_once(folder: Path) -> None:
    text = STAGES.replace("10Gi", "ten").replace("kubernetes: v1.36}", "name: other}")
    (folder / "aether.yaml").write_text(text)

    judgement = read_description(["aether.yaml"]).evaluate(["prod", "staging"])

    assert [str(problem) for problem in judgement.problems] == [
        "aether.yaml:8:17: $.worlds[0].pvc.size: is 'ten'; not a size\n  fix: write a size such as 512Mi or 10Gi",
        "aether.yaml:9:42: $.environments.staging.name: is 'other'; the same in every environment\n"
        "  fix: remove it from the overlay",
    ]


# --- config files

WITH_SOURCE = f"""\
name: aether
kubernetes: v1.37
regions: [{{code: us-east-1, zones: [a, b]}}]
services:
  - name: gateway
    image: aether/gateway:v1@{DIGEST}
    config_files: [{{name: rules.json, path: /etc/rules.json, source: config/rules.json}}]
"""
AT = "aether.yaml:7:70: $.services[0].config_files[0].source: is 'config/rules.json'; cannot be read: "
WRITE_IT = "\n  fix: write the file, or correct the path; it is relative to the folder of the first FILE"


@pytest.fixture
def rules(folder: Path) -> Path:
    """Give the place of a config file that is not there yet."""
    (folder / "aether.yaml").write_text(WITH_SOURCE)
    (folder / "config").mkdir()
    return folder / "config/rules.json"


def test_a_config_file_lies_beside_the_first_file_wherever_the_command_runs(
    rules: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules.write_bytes(b"{}\n")
    (folder / "elsewhere").mkdir()
    monkeypatch.chdir(folder / "elsewhere")
    (folder / "elsewhere/more.yaml").write_text("kubernetes: v1.36")

    judgement = read_description(["../aether.yaml", "more.yaml"]).evaluate(["prod"])

    assert (judgement.problems, judgement.files) == ((), {"config/rules.json": b"{}\n"})


def test_a_config_file_that_is_missing_is_refused(rules: Path) -> None:
    assert faults() == [f"{AT}No such file or directory{WRITE_IT}"]


def test_a_config_file_that_is_a_folder_is_refused(rules: Path) -> None:
    rules.mkdir()

    assert faults() == [f"{AT}Is a directory{WRITE_IT}"]


def test_a_config_file_that_would_never_end_is_refused(rules: Path) -> None:
    os.mkfifo(rules)
    assert faults() == [f"{AT}is no regular file{WRITE_IT}"]

    rules.unlink()
    rules.symlink_to("/dev/zero")
    assert faults() == [f"{AT}is no regular file{WRITE_IT}"]


def test_a_config_file_behind_a_link_is_read_and_a_link_to_nowhere_refused(rules: Path) -> None:
    rules.symlink_to("real.json")
    assert faults() == [f"{AT}No such file or directory{WRITE_IT}"]

    (rules.parent / "real.json").write_text("{}")
    assert read_description(["aether.yaml"]).evaluate(["prod"]).files == {"config/rules.json": b"{}"}


def test_config_files_that_are_too_large_together_are_refused_at_their_workload(rules: Path) -> None:
    rules.write_bytes(b"x" * 1024 * 1024)

    assert faults() == [
        "aether.yaml:7:19: $.services[0].config_files: hold 1048586 bytes together; a ConfigMap holds at most 1048576\n"
        "  fix: make them smaller, or put them into the image"
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are bytes only there")
def test_a_config_file_need_not_be_text(rules: Path) -> None:
    rules.write_bytes(bytes(range(256)))

    assert read_description(["aether.yaml"]).evaluate(["prod"]).files == {"config/rules.json": bytes(range(256))}


OUTSIDE = {
    "an absolute path": ("/etc/hostname", "not a relative path"),
    "a path of Windows": ("C:/rules.json", "not a relative path"),
    "backslashes": ("config\\rules.json", "not a relative path"),
}


@pytest.mark.parametrize("case", OUTSIDE)
def test_a_config_file_is_named_the_same_on_every_machine(case: str, folder: Path) -> None:
    path, reason = OUTSIDE[case]
    (folder / "aether.yaml").write_text(WITH_SOURCE.replace("config/rules.json", f"'{path}'"))

    assert faults() == [
        f"aether.yaml:7:70: $.services[0].config_files[0].source: is '{path}'; {reason}\n"
        "  fix: write it relative to the folder of aether.yaml, with '/'"
    ]


def test_every_config_file_that_is_missing_is_told_once_however_many_regions_read_it(rules: Path, folder: Path) -> None:
    text = WITH_SOURCE.replace("[{code: us-east-1, zones: [a, b]}]", "[{code: r1, zones: [a]}, {code: r2, zones: [b]}]")
    text = text.replace("source: config/rules.json}", "source: config/rules.json}, {name: b, path: /b, source: b}")
    (folder / "aether.yaml").write_text(f"{text}links: [{{between: [r1, r2], latency_ms: 9}}]\n")

    assert [said.partition(": is ")[0] for said in faults()] == [
        "aether.yaml:7:70: $.services[0].config_files[0].source",
        "aether.yaml:7:118: $.services[0].config_files[1].source",
    ]
