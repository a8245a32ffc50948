"""``analyze``: the table, the findings and what they mean for a pipeline."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.analysis_cases import HEAD, MATCHES, ONE_REGION, THREE_REGIONS, WORLD, nats, postgres
from tests.cli_cases import ROOT, SMALL, CommandLine

USED = WORLD.replace("pvc", "uses: [accounts], pvc")
GOOD = "failover: {synchronous_mode: true, failsafe_mode: true}"
LONELY = "members: 1"


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    monkeypatch.chdir(tmp_path)
    return CommandLine(tmp_path, capsys)


def described(cli: CommandLine, *components: str, regions: str = ONE_REGION, workloads: str = USED) -> None:
    cli.write("aether.yaml", "".join([HEAD, regions, workloads, "components:", *components]))


TABLE = """\
failure              accounts   noticed by
process that leads   2.5-31 s   world-server
another process      0-12 s     world-server
a node in us         23-72 s    world-server
a zone of us         23-72 s    world-server
control plane us     ok*
region us            down

  ok       writes go on; ok*: and something is weaker until it is back
  20-33 s  writes stop for so long, best to worst, and come back by themselves
  down     it can be neither read nor written until what failed is back

note: accounts: region us: down until what failed is back (region-loss)
  fix: keep a copy in a second region

10 failures, 1 component: 1 note
"""


def test_it_prints_a_table_its_signs_the_findings_and_a_summary(cli: CommandLine) -> None:
    described(cli, postgres(more=GOOD))

    ended = cli("analyze")

    assert (ended.code, ended.out) == (0, TABLE)


def test_verbose_adds_what_is_weaker_and_the_rules_with_their_sources(cli: CommandLine) -> None:
    described(cli, postgres(more=GOOD))

    out = cli("analyze", "-v").out

    assert "weaker until it is back\n  accounts: one member that is lost meanwhile makes the leader step down" in out
    assert "  Patroni, is_healthiest_node and attempt_to_acquire_leader\n    - accounts: leader-killed: " in out


EXITS = {
    "nothing is an error": (GOOD, [], 0),
    "a note counts if it is asked to": (GOOD, ["--fail-on", "note"], 1),
    "a note is no warning": (GOOD, ["--fail-on", "warning"], 0),
    "a warning is no error": ("", [], 0),
    "a warning counts if it is asked to": ("", ["--fail-on", "warning"], 1),
    "an error": (LONELY, [], 1),
    "an error is more than a warning": (LONELY, ["--fail-on", "warning"], 1),
}


@pytest.mark.parametrize("case", EXITS)
@pytest.mark.parametrize("form", [[], ["--json"], ["--markdown"], ["-q"]], ids=["text", "json", "markdown", "quiet"])
def test_it_fails_on_findings_as_grave_as_asked(case: str, form: list[str], cli: CommandLine) -> None:
    more, arguments, code = EXITS[case]
    described(cli, postgres(more=more))

    assert cli("analyze", *arguments, *form).code == code


def test_quietly_only_the_findings_that_fail_are_printed(cli: CommandLine) -> None:
    described(cli, postgres(more=GOOD))

    assert cli("analyze", "-q") == (0, "", "")
    ended = cli("analyze", "-q", "--fail-on", "note")
    assert (ended.code, ended.err) == (1, "")
    assert ended.out.splitlines()[0] == "note: accounts: region us: down until what failed is back (region-loss)"


def test_the_answer_for_machines_has_cells_rules_and_who_is_hit(cli: CommandLine) -> None:
    described(cli, postgres(more=GOOD))

    answer = cli("analyze", "--json").answer

    assert (answer["verb"], answer["ok"]) == ("analyze", True)
    result = answer["result"]
    assert list(result) == ["components", "failures", "impacts", "findings", "graph"]
    (zone,) = (each for each in result["failures"] if (each["kind"], each["name"]) == ("zone", "us-a"))
    assert zone["cells"]["accounts"]["hits"] == [{"workload": "world-server", "region": "us", "served_from": "us"}]
    effect = result["impacts"][zone["cells"]["accounts"]["impact"]]["effects"][0]
    assert (effect["outcome"], effect["loss"]) == ("interrupted", None)
    assert {rule["source"] for rule in effect["rules"]} >= {"Kubernetes, topologySpreadConstraints"}


def test_pairs_are_asked_for(cli: CommandLine) -> None:
    described(cli, postgres(more=GOOD))

    alone, both = (cli("analyze", *arguments).out for arguments in ([], ["--pairs"]))

    assert "two zones" not in alone
    assert "any two zones of us" in both


def test_markdown_is_for_a_pull_request(cli: CommandLine) -> None:
    described(cli, postgres(more=GOOD))

    out = cli("analyze", "--markdown").out

    assert out.startswith("| failure | accounts | noticed by |\n| --- | --- | --- |\n| process that leads | 2.5-31 s |")
    assert "<details><summary>Why</summary>" in out


def test_a_platform_without_components_has_nothing_to_analyse(cli: CommandLine) -> None:
    cli.write("aether.yaml", SMALL)

    ended = cli("analyze", "--graph", "empty.svg")

    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("no components: ")
    assert ElementTree.parse(cli.folder / "empty.svg").getroot().tag.endswith("svg")
    assert cli("analyze", "--json").answer["result"]["failures"] == []


def test_an_environment_is_analysed_as_it_is_and_the_first_is_the_default(cli: CommandLine) -> None:
    described(cli, postgres(more=GOOD))
    text = (cli.folder / "aether.yaml").read_text("utf-8")
    small = "environments: {prod: {}, dev: {components: [{name: accounts, members: 1, failover: null}]}}\n"
    cli.write("aether.yaml", text + small)

    assert cli("analyze", "-q").code == 0
    assert cli("analyze", "-q", "--env", "dev").code == 1


def test_a_wrong_description_is_refused_and_nothing_is_drawn(cli: CommandLine) -> None:
    described(cli, postgres(more="members: 0"))

    ended = cli("analyze", "--graph", "out.svg")

    assert (ended.code, ended.out) == (2, "")
    assert "$.components[0].members" in ended.err
    assert not (cli.folder / "out.svg").exists()


# --- the picture


def test_the_picture_replaces_the_one_before_and_leaves_nothing_beside_it(cli: CommandLine) -> None:
    described(cli, nats(streams=MATCHES), regions=THREE_REGIONS, workloads=WORLD)
    (cli.folder / "out").mkdir()
    before = cli.write("out/data.svg", "before")

    assert cli("analyze", "-q", "--graph", "out/data.svg").code == 0

    assert before.read_text("utf-8").startswith("<svg")
    assert [each.name for each in (cli.folder / "out").iterdir()] == ["data.svg"]


def test_a_picture_of_another_kind_is_refused(cli: CommandLine) -> None:
    described(cli, postgres(more=GOOD))

    ended = cli("analyze", "--graph", "out.png")

    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("--graph out.png: ends with no format that is drawn\n  fix: ")


def test_a_picture_in_no_folder_is_refused_before_any_work(cli: CommandLine) -> None:
    described(cli, postgres(more=GOOD))

    ended = cli("analyze", "--graph", "nowhere/out.svg")

    assert (ended.code, ended.out) == (3, "")
    assert "nowhere is no folder" in ended.err


def test_two_forms_at_once_are_refused(cli: CommandLine) -> None:
    assert cli("analyze", "--json", "--markdown").code == 2


# --- the examples


@pytest.mark.parametrize("example", ["three-regions", "witness"])
def test_an_example_has_no_problem_and_no_error(example: str, cli: CommandLine) -> None:
    ended = cli("analyze", "-q", "--pairs", str(ROOT / f"examples/{example}/aether.yaml"))

    assert ended == (0, "", "")


def test_with_the_witness_no_region_can_stop_the_other(cli: CommandLine) -> None:
    answer = cli("analyze", "--json", str(ROOT / "examples/witness/aether.yaml")).answer["result"]

    parts = {
        (failure["name"], effect["part"]): effect["outcome"]
        for failure in answer["failures"]
        if failure["kind"] == "region"
        for effect in answer["impacts"][failure["cells"]["events"]["impact"]]["effects"]
    }
    assert (parts["us-east-1", "management"], parts["eu-west-1", "management"]) == ("holds", "holds")
