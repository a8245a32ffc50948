"""``check``: every problem at once, at its place, on standard output; and which of them fail it."""

from pathlib import Path

import pytest

from aether_deploy.cli.verbs import check
from tests.cli_cases import FAULTY, ONE_REGION, SMALL, STAGES, UNKNOWN_SIZE, WARNED, WARNING, CommandLine


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    monkeypatch.chdir(tmp_path)
    return CommandLine(tmp_path, capsys)


@pytest.fixture(autouse=True)
def without_schemas(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra ``[check]``: what it adds has tests of its own."""
    monkeypatch.setattr(check, "find_spec", lambda _: None)


FINE = "no problems in aether.yaml (environment prod)\n1 cluster, 8 objects\n"
ONE_WARNING = f"{WARNING}1 warning in aether.yaml (environment prod)\n"


def test_a_sound_file_has_no_problems(cli: CommandLine) -> None:
    assert cli("check") == (0, FINE, "")


def test_several_faults_are_told_at_once_each_at_its_place(cli: CommandLine) -> None:
    text = ONE_REGION.read_text("utf-8")
    for sound, faulty in (
        ("max_replicas: 20", "max_replicas: 4"),
        ("uses: [matchmaking", "uses: [matchmaker"),
        ("    resources: {cpu_request: 1000m", "    resourses: {cpu_request: 1000m"),
    ):
        assert text.count(sound) == 1
        text = text.replace(sound, faulty)
    cli.write("aether.yaml", text)

    assert cli("check", "aether.yaml") == (
        2,
        "aether.yaml:28:74: $.worlds[0].scaling.max_replicas: is 4; less than min_replicas, which is 6\n"
        "  fix: set it to 6 or more, or lower min_replicas\n"
        "aether.yaml:35:12: $.services[0].uses[0]: is 'matchmaker'; nothing in this file has that name\n"
        "  fix: did you mean 'matchmaking'?\n"
        "aether.yaml:50:5: $.services[2]: has unknown key 'resourses'\n"
        "  fix: did you mean 'resources'?\n"
        "3 problems in aether.yaml (environment prod)\n",
        "",
    )


def test_what_no_reader_takes_hides_no_other_fault(cli: CommandLine) -> None:
    text = SMALL.replace("kubernetes: v1.37", "kubernetes: 1.37")
    cli.write("aether.yaml", text + "    replica: 3\n    topology: {strict: yes, spred: true}\n    y: 1\n")

    assert [line for line in cli("check").out.splitlines() if "fix: " not in line] == [
        "aether.yaml:2:13: $.kubernetes: is 1.37; expected a Kubernetes API version",
        "aether.yaml:9:5: $.worlds[0]: has unknown key 'replica'",
        "aether.yaml:10:24: $.worlds[0].topology.strict: is yes; YAML 1.1 reads it as a boolean, YAML 1.2 as text",
        "aether.yaml:10:29: $.worlds[0].topology: has unknown key 'spred'",
        "aether.yaml:11:5: $.worlds[0]: has key y; YAML 1.1 reads it as a boolean, YAML 1.2 as text",
        "5 problems in aether.yaml (environment prod)",
    ]


def test_columns_count_characters_and_not_bytes(cli: CommandLine) -> None:
    cli.write("aether.yaml", SMALL + '  - {"name": "ü日本", image: é}\n')

    assert cli("check").out.splitlines()[:2] == [
        "aether.yaml:9:14: $.worlds[1].name: is 'ü日本'; not a DNS-1035 label",
        "  fix: use lower-case letters, digits and '-', begin with a letter and end with a letter or digit",
    ]


# --- warnings


def test_a_warning_is_told_and_fails_nothing(cli: CommandLine) -> None:
    cli.write("aether.yaml", WARNED)

    assert cli("check") == (0, f"{ONE_WARNING}1 cluster, 8 objects\n", "")


def test_strict_makes_a_warning_an_error(cli: CommandLine) -> None:
    cli.write("aether.yaml", WARNED)
    as_error = ONE_WARNING.replace("warning: ", "").replace("1 warning", "1 problem")

    assert cli("check", "--strict") == (2, f"{as_error}1 cluster, 8 objects\n", "")
    assert cli("check", "--strict", "-q") == (2, as_error, "")


def test_strict_changes_nothing_without_a_warning(cli: CommandLine) -> None:
    assert cli("check", "--strict") == (0, FINE, "")


def test_quiet_leaves_out_warnings_and_keeps_errors(cli: CommandLine) -> None:
    cli.write("warned.yaml", WARNED)
    cli.write("aether.yaml", FAULTY)

    assert cli("check", "-q", "warned.yaml") == (0, "", "")
    assert cli("check", "-q") == (2, UNKNOWN_SIZE, "")


# --- files

NO_FILE = "  fix: name a file that is there, or start one with aether-deploy init\n"


def test_the_file_is_aether_yaml_where_none_is_named(cli: CommandLine) -> None:
    (cli.folder / "aether.yaml").unlink()

    assert cli("check") == (
        2,
        f"aether.yaml: $: cannot be read: No such file or directory\n{NO_FILE}1 problem in aether.yaml\n",
        "",
    )


def test_every_file_that_cannot_be_read_is_told(cli: CommandLine) -> None:
    (cli.folder / "folder").mkdir()
    cli.write("latin.yaml", "")
    (cli.folder / "latin.yaml").write_bytes(b"name: aether\nlabel: caf\xe9\n")

    assert cli("check", "gone.yaml", "folder", "aether.yaml", "latin.yaml") == (
        2,
        f"gone.yaml: $: cannot be read: No such file or directory\n{NO_FILE}"
        f"folder: $: cannot be read: Is a directory\n{NO_FILE}"
        "latin.yaml:2:11: $: holds the byte 0xE9, not UTF-8\n  fix: save it as UTF-8\n"
        "3 problems in gone.yaml, folder, latin.yaml\n",
        "",
    )


def test_several_files_are_layers_and_a_problem_is_told_in_the_one_that_has_it(cli: CommandLine) -> None:
    cli.write("sizes.yaml", "worlds: [{name: world-server, pvc: {size: 20Gi}}]")
    cli.write("scale.yaml", "worlds:\n  - name: world-server\n    scaling: {max_replicas: 1}\n")

    assert cli("check", "aether.yaml", "sizes.yaml") == (0, FINE.replace("aether.yaml", "aether.yaml, sizes.yaml"), "")
    assert cli("check", "aether.yaml", "sizes.yaml", "scale.yaml") == (
        2,
        "scale.yaml:3:29: $.worlds[0].scaling.max_replicas: is 1; less than min_replicas, which is 2\n"
        "  fix: set it to 2 or more, or lower min_replicas\n"
        "1 problem in aether.yaml, sizes.yaml, scale.yaml (environment prod)\n",
        "",
    )


# --- --set and --env


def test_a_setting_is_the_strongest_layer(cli: CommandLine) -> None:
    assert cli("check", "--set", "kubernetes=v1.36") == (0, FINE, "")
    assert cli("check", "--set", "worlds.world-server.scaling.max_replicas=1") == (
        2,
        "--set: $.worlds[0].scaling.max_replicas: is 1; less than min_replicas, which is 2\n"
        "  fix: set it to 2 or more, or lower min_replicas\n"
        "1 problem in aether.yaml (environment prod)\n",
        "",
    )


SETTINGS = {
    "no value": ("kubernetes", "--set kubernetes: has no '='\n  fix: write PATH=VALUE\n"),
    "no path": (
        "=v1.36",
        "--set : cannot be read as a path\n  fix: write it like worlds.world-server.image or worlds[0].image\n",
    ),
    "an unknown item": (
        "worlds.lobby.replicas=3",
        "--set worlds.lobby.replicas: $.worlds has no item 'lobby'\n  fix: known are world-server\n",
    ),
    "a value that is no YAML": (
        "name=[a",
        "--set name: is '[a'; not YAML: has a [ that is never closed\n  fix: close the bracket\n",
    ),
    "two values in one": (
        "name=a\nkubernetes: v1.36",
        "--set name: is 'a\\nkubernetes: v1.36'; holds more than a value\n  fix: give each PATH=VALUE its own --set\n",
    ),
}


@pytest.mark.parametrize("case", SETTINGS)
def test_a_setting_is_refused_that_has(case: str, cli: CommandLine) -> None:
    setting, says = SETTINGS[case]

    assert cli("check", "--set", setting) == (2, f"{says}1 problem\n", "")


def test_all_settings_that_cannot_be_read_are_told_with_the_faults_of_the_files(cli: CommandLine) -> None:
    cli.write("aether.yaml", "name: [a")

    assert cli("check", "--set", "name=[a", "--set", "a..b=1").out.splitlines() == [
        "aether.yaml:1:7: $: not YAML: has a [ that is never closed",
        "  fix: close the bracket",
        "--set name: is '[a'; not YAML: has a [ that is never closed",
        "  fix: close the bracket",
        "--set a..b: cannot be read as a path",
        "  fix: write it like worlds.world-server.image or worlds[0].image",
        "3 problems in aether.yaml",
    ]


def test_every_environment_is_checked_unless_one_is_named(cli: CommandLine) -> None:
    cli.write("aether.yaml", STAGES.replace("kubernetes: v1.36", "regions: none"))
    says = (
        "aether.yaml:9:45: $.regions (environment staging): is 'none'; expected a list\n  fix: write a list: [ ... ]\n"
    )

    assert cli("check") == (2, f"{says}1 problem in aether.yaml (environments prod, staging)\n", "")
    assert cli("check", "--env", "staging") == (2, f"{says}1 problem in aether.yaml (environment staging)\n", "")
    assert cli("check", "--env", "prod") == (0, FINE, "")


@pytest.mark.parametrize("verb", ["check", "render", "explain"])
@pytest.mark.parametrize(
    "text, name, fix",
    [
        (STAGES, "stagin", "did you mean 'staging'?"),
        (STAGES, "qa", "known are prod, staging"),
        (SMALL, "pord", "did you mean 'prod'?"),
        (SMALL, "", "known are prod"),
    ],
    ids=["a slip", "nothing alike", "a file without environments", "nothing at all"],
)
def test_an_unknown_environment_is_refused(verb: str, text: str, name: str, fix: str, cli: CommandLine) -> None:
    cli.write("aether.yaml", text)
    path = ["name"] if verb == "explain" else []

    ended = cli(verb, *path, "aether.yaml", "--env", name)

    assert ended.code == 2
    assert ended.out + ended.err == f"$.environments: has no environment '{name}'\n  fix: {fix}\n1 problem\n"


def test_the_one_environment_of_a_file_without_environments_may_be_named(cli: CommandLine) -> None:
    assert cli("check", "--env", "prod") == (0, FINE, "")


def test_check_writes_nothing(cli: CommandLine) -> None:
    cli("check")

    assert [path.name for path in cli.folder.iterdir()] == ["aether.yaml"]


def test_with_the_extra_check_every_manifest_is_held_against_the_strict_schemas(
    cli: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("jsonschema_rs")
    monkeypatch.undo()
    ended = cli("check", str(cli.folder / "aether.yaml"))

    assert ended.code == 0
    assert ended.out.endswith("1 cluster, 8 objects, valid by the strict schemas\n")
