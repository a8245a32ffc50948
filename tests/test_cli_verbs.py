"""What all verbs have in common: help, exit codes, standard output for data and standard error for messages."""

from pathlib import Path

import click
import pytest

from aether_deploy.cli import main
from aether_deploy.cli.app import cli as group
from aether_deploy.problems import NoHealthyRegionError
from tests.cli_cases import FAULTY, SMALL, VERBS, CommandLine

every_verb = pytest.mark.parametrize("verb", VERBS)


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    monkeypatch.chdir(tmp_path)
    return CommandLine(tmp_path, capsys)


# --- help


@every_verb
@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_names_every_option_and_argument_of_a_verb(cli: CommandLine, verb: str, option: str) -> None:
    command = group.get_command(click.Context(group), verb)
    assert command is not None
    words = [word for each in command.params for word in (*each.opts, *each.secondary_opts) if word.startswith("-")]
    words += [str(each.metavar) for each in command.params if isinstance(each, click.Argument)]

    ended = cli(verb, option)

    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith(f"Usage: aether-deploy {verb} [OPTIONS]")
    assert [word for word in [*words, "--help"] if word not in ended.out] == []


@every_verb
def test_every_option_says_what_it_does(verb: str) -> None:
    command = group.get_command(click.Context(group), verb)
    assert command is not None

    assert [each.name for each in command.params if isinstance(each, click.Option) and not each.help] == []
    assert command.help


HELP = """\
Usage: aether-deploy [OPTIONS] VERB [ARGS]...

  One typed description of game worlds becomes a hardened, byte-deterministic
  GitOps tree.

Options:
  --version   Print the version.
  -h, --help  Show this message and exit.

Verbs:
  init        Start a description in a folder.
  check       Say everything that is wrong with a description.
  render      Write the GitOps tree, or the manifests of one environment.
  diff        Say what a change does to the clusters, before it ships.
  publish     Commit the GitOps tree to a branch of a Git repository.
  analyze     Say what every failure does to the data plane, and what to mend.
  rehearse    Let a real Kubernetes on this machine judge a description.
  scaling     Replay, explain, compare and prove how worlds scale by players.
  route       Say which region takes a player, and why.
  routing     Say what the loss of regions does to players, or other rules.
  router      Run the router of players.
  simulate    Let a database fail in a simulation, and see what is lost.
  contract    Test a world server that runs.
  lab         Run the whole platform here, and let it fail as predicted.
  schema      Print the JSON Schema of aether.yaml.
  completion  Print the completion script of a shell.
  explain     Say what a field is, and where its value comes from.
"""


def test_help_lists_the_verbs(cli: CommandLine) -> None:
    assert cli("-h") == (0, HELP, "")


def test_without_a_verb_the_help_is_a_message_and_no_answer(cli: CommandLine) -> None:
    assert cli() == (2, "", HELP)


def test_the_version_is_printed(cli: CommandLine) -> None:
    assert cli("--version") == (0, "aether-deploy 0.1.0\n", "")


# --- exit codes

GOOD = {
    "init": (["init", "new"], 0),
    "check": (["check"], 0),
    "render to standard output": (["render"], 0),
    "render to a folder": (["render", "-o", "deploy"], 0),
    "render to a folder that differs": (["render", "-o", "deploy", "--check"], 1),
    "schema": (["schema"], 0),
    "completion": (["completion", "bash"], 0),
    "explain a field": (["explain", "worlds.image"], 0),
    "explain a value": (["explain", "name", "aether.yaml"], 0),
}


@pytest.mark.parametrize("case", GOOD)
def test_a_verb_that_is_asked_rightly_ends_with(case: str, cli: CommandLine) -> None:
    arguments, code = GOOD[case]

    assert cli(*arguments).code == code


@pytest.mark.parametrize("case", [case for case in GOOD if "render to a" not in case and case != "init"])
def test_an_answer_goes_to_standard_output_alone(case: str, cli: CommandLine) -> None:
    ended = cli(*GOOD[case][0])

    assert ended.out
    assert ended.err == ""


@pytest.mark.parametrize("case", ["init", "render to a folder"])
def test_what_is_written_to_disk_is_told_on_standard_error(case: str, cli: CommandLine) -> None:
    ended = cli(*GOOD[case][0])

    assert ended.out == ""
    assert ended.err


@pytest.mark.parametrize("arguments", [["init", "new"], ["check"], ["render", "-o", "deploy"]], ids=lambda it: it[0])
def test_quiet_is_quiet_where_all_is_well(arguments: list[str], cli: CommandLine) -> None:
    assert cli(*arguments, "-q") == (0, "", "")


MISUSES = {
    "an unknown verb that is like one": (
        ["chekc"], "error: no verb is named 'chekc'; did you mean 'check'?\n  fix: see aether-deploy --help\n",
    ),
    "an unknown verb that is like none": (
        ["deploy-all"],
        f"error: no verb is named 'deploy-all'; verbs are {', '.join(VERBS)}\n"
        "  fix: see aether-deploy --help\n",
    ),
    "a verb of another version": (
        ["teleport"],
        f"error: no verb is named 'teleport'; verbs are {', '.join(VERBS)}\n"
        "  fix: see aether-deploy --help\n",
    ),
    "an unknown option before the verb": (
        ["--bogus", "check"], "error: no option is named '--bogus' before the verb; options of a verb stand after it\n"
        "  fix: see aether-deploy --help\n",
    ),
    "an unknown option of init": (
        ["init", "--bogus"], "error: no option is named '--bogus'\n  fix: see aether-deploy init --help\n",
    ),
    "an unknown option of check": (
        ["check", "--stric"],
        "error: no option is named '--stric'; did you mean '--strict'?\n  fix: see aether-deploy check --help\n",
    ),
    "an option without its value": (
        ["render", "-o"], "error: Option '-o' requires an argument\n  fix: see aether-deploy render --help\n",
    ),
    "init without a folder": (["init"], "error: Missing argument 'DIR'\n  fix: see aether-deploy init --help\n"),
    "init in nothing": (
        ["init", ""],
        "error: DIR is empty; name a folder, or . for this one\n  fix: see aether-deploy init --help\n",
    ),
    "render into nothing": (
        ["render", "-o", ""],
        "error: -o names no folder; give -o DIR, or -o - for standard output\n  fix: see aether-deploy render --help\n",
    ),
    "render --check of standard output": (
        ["render", "--check"],
        "error: --check compares with a folder; give -o DIR\n  fix: see aether-deploy render --help\n",
    ),
    "schema with an argument": (
        ["schema", "x"], "error: Got unexpected extra argument (x)\n  fix: see aether-deploy schema --help\n",
    ),
    "completion without a shell": (
        ["completion"],
        "error: Missing argument 'SHELL'. Choose from: bash, zsh, fish\n  fix: see aether-deploy completion --help\n",
    ),
    "completion of an unknown shell": (
        ["completion", "ksh"],
        "error: Invalid value for 'SHELL': 'ksh' is not one of 'bash', 'zsh', 'fish'\n"
        "  fix: see aether-deploy completion --help\n",
    ),
    "explain without a path": (
        ["explain"], "error: Missing argument 'PATH'\n  fix: see aether-deploy explain --help\n",
    ),
    "explain a region of no file": (
        ["explain", "worlds.image@us-east-1"],
        "error: a region after @ asks for a value; give the FILE that holds it\n"
        "  fix: see aether-deploy explain --help\n",
    ),
    "explain an environment of no file": (
        ["explain", "name", "--env", "dev"],
        "error: --env asks for a value; give the FILE that holds it\n  fix: see aether-deploy explain --help\n",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", MISUSES)
def test_a_misuse_is_told_on_standard_error_with_the_way_to_the_help(case: str, cli: CommandLine) -> None:
    arguments, says = MISUSES[case]

    assert cli(*arguments) == (2, "", says)


@pytest.mark.parametrize("verb", ["render", "explain"])
def test_problems_that_stop_a_verb_are_told_on_standard_error(verb: str, cli: CommandLine) -> None:
    cli.write("aether.yaml", FAULTY)
    arguments = {"render": ["render", "-o", "deploy"], "explain": ["explain", "name", "aether.yaml"]}[verb]

    ended = cli(*arguments)

    assert (ended.code, ended.out) == (2, "")
    assert ended.err == (
        "aether.yaml:8:23: $.worlds[0].pvc: has unknown key 'sise'\n  fix: did you mean 'size'?\n"
        "1 problem in aether.yaml (environment prod)\n"
    )
    assert [path.name for path in cli.folder.iterdir()] == ["aether.yaml"]


def test_what_the_disk_refuses_is_3(cli: CommandLine) -> None:
    assert cli("render", "-o", "aether.yaml") == (
        3,
        "",
        "error: aether.yaml: cannot be used as a folder: is not a folder\n"
        "  fix: choose another folder with -o, or move it away\n",
    )
    assert (cli.folder / "aether.yaml").read_text() == SMALL


# --- what goes wrong inside


def test_our_own_mistake_is_70_with_the_trace(cli: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise RuntimeError("the moon is full")

    monkeypatch.setattr("aether_deploy.cli.verbs.schema.platform_schema", fail)
    ended = cli("schema")

    assert (ended.code, ended.out) == (70, "")
    assert ended.err.startswith("Traceback (most recent call last):\n")
    assert ended.err.endswith(
        "RuntimeError: the moon is full\nerror: this is a bug in aether-deploy; please report it with the lines above\n"
    )


def test_a_decision_that_has_no_answer_is_1(cli: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise NoHealthyRegionError("no region may take the player")

    monkeypatch.setattr("aether_deploy.cli.verbs.schema.platform_schema", fail)

    assert cli("schema") == (1, "", "error: no region may take the player\n")


def test_an_unforeseen_refusal_names_its_file(cli: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise PermissionError(13, "Permission denied", "/etc/shadow")

    monkeypatch.setattr("aether_deploy.cli.verbs.schema.platform_schema", fail)

    assert cli("schema") == (3, "", "error: /etc/shadow: Permission denied\n")


def test_exit_codes_are_those_that_are_documented() -> None:
    codes = (main.OK, main.DOES_NOT_HOLD, main.WRONG_INPUT, main.REFUSED, main.OUR_BUG, main.INTERRUPTED)

    assert (*codes, main.BROKEN_PIPE) == (0, 1, 2, 3, 70, 130, 141)
