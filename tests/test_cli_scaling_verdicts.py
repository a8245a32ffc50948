"""``scaling explain``, ``compare``, ``lint`` and ``trace``, and the group that they belong to."""

from pathlib import Path

import pytest

from tests.cli_cases import SMALL, CommandLine, ended, program
from tests.scaling_cli_cases import EXTERNAL, TWO_REGIONS, scaling_cli


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return scaling_cli(tmp_path, monkeypatch, capsys)


# --- explain

EXPLAINED = """\
world-server in us-east-1: 260 players, 4 pods
the rule
  sees      260 players on 4 pods, 65 a pod; target 50
  band      100 to 200 players are left alone on 4 pods: 260 are more
  needs     6 pods for 260 players
  cooldown  a scale-up waits 60 s after any change: the last was 20 s ago, 40 s to go
  bounds    2 to 20 pods
  result    stays at 4 pods (cooldown)
hpa in mode pods, Kubernetes v1.37
  sees      aether_world_player_count: 65 a pod on 4 pods; target 50
  band      ratios from 0.5 to 1 are left alone: 1.3 is outside
  proposal  ceil(1.3 × 4 = 5.2) = 6
  window    a scale-up waits for nothing
  policy    at most 18 pods in 15 s: not reached
  bounds    2 to 20 pods
  result    scales up from 4 to 6 pods (MetricRecommendation)
they differ: 4 by the rule, 6 by hpa
"""


def test_a_moment_is_explained_step_by_step(cli: CommandLine) -> None:
    arguments = ["scaling", "explain", "--players", "260", "--replicas", "4", "--since-up", "20"]

    assert cli(*arguments) == (0, EXPLAINED, "")
    result = cli(*arguments, "--json").answer["result"]
    assert (result["rule"]["replicas"], result["autoscaler"]["replicas"]) == (4, 6)
    assert result["rule"]["steps"][-1] == {"step": "result", "text": "stays at 4 pods (cooldown)"}


MOMENTS = {
    "floats that round up": (
        ["--players", "350", "--replicas", "25", "--set", "worlds.world-server.scaling.max_replicas=30"],
        "  proposal  ceil(0.28 × 25 = 7.000000000000001) = 8\n",
        "they differ: 7 by the rule, 8 by hpa\n",
    ),
    "a tolerance that old clusters drop": (
        ["--players", "440", "--replicas", "10", "--k8s", "v1.34"],
        "  band      ratios from 0.9 to 1.1 are left alone: 0.88 is outside\n",
        "they differ: 10 by the rule, 9 by hpa\n",
    ),
    "a count out of bounds": (
        ["--players", "1000", "--replicas", "25"],
        "  bounds    25 is outside of 2 to 20 pods: maxReplicas at once, whatever is measured\n",
        "both do the same\n",
    ),
    "no pod at all": (
        ["--players", "100", "--replicas", "0"],
        "  sees      0 pods: the autoscaler is off until somebody sets a count\n",
        "they differ: 2 by the rule, 0 by hpa\n",
    ),
    "a recent recommendation": (
        ["--players", "30", "--replicas", "10", "--since-up", "20"],
        "  window    10 pods, which was recommended within 300 s, wins over 1\n",
        "both do the same\n",
    ),
    "a step": (
        ["--players", "900", "--replicas", "4", "--set", "worlds.world-server.scaling.max_step_up=2"],
        "  policy    at most 2 pods in 60 s: 6 pods now, where 18 are wanted\n",
        "both do the same\n",
    ),
    "KEDA": (
        ["--players", "260", "--replicas", "4", "--backend", "keda"],
        "  sees      aether_world_desired_replicas: 6 on 4 pods; target 1 a pod\n",
        "both do the same\n",
    ),
}


@pytest.mark.parametrize("case", MOMENTS)
def test_an_explanation_shows_what_decides(case: str, cli: CommandLine) -> None:
    arguments, line, verdict = MOMENTS[case]

    said = cli("scaling", "explain", *arguments)

    assert said.code == 0
    assert line in said.out
    assert said.out.endswith(verdict)


@pytest.mark.parametrize("option", ["--players", "--replicas"])
def test_a_moment_has_players_and_pods(option: str, cli: CommandLine) -> None:
    options = {"--players": "1", "--replicas": "1"} | {option: "-1"}

    said = cli("scaling", "explain", *(word for pair in options.items() for word in pair))

    assert said.code == 2
    assert said.err.startswith(f"error: Invalid value for '{option}': -1 is not in the range 0<=x<=")


# --- compare


def test_a_comparison_that_differs_is_1_with_the_first_difference_and_its_cause(cli: CommandLine) -> None:
    said = cli("scaling", "compare", "--trace", "trace.csv")

    assert (said.code, said.err) == (1, "")
    assert said.out.startswith(
        "world-server in us-east-1, Kubernetes v1.37, from 2 pods\n"
        "pods     rendered  differs after 19 of 81 syncs\n"
        "                   D6 after 10 min (600 s): 30 players on 4 pods, the rule wants 2, the autoscaler 4\n"
    )
    result = cli("scaling", "compare", "--trace", "trace.csv", "--json").answer["result"]
    assert result["rendered"] == "pods"
    assert [each["backend"] for each in result["compared"]] == ["pods", "desired", "keda"]
    first = result["compared"][0]["differences"][0]
    assert (first["cause"], first["secs"], first["rule_wants"], first["gets"]) == ("D6", 600, 2, 4)


def test_a_comparison_without_a_difference_is_0(cli: CommandLine) -> None:
    cli.write("trace.csv", "secs,players\n0,90\n600,80\n")

    said = cli("scaling", "compare", "-q", "--trace", "trace.csv", "--backend", "pods", "--backend", "desired")

    assert said == (
        0,
        "world-server in us-east-1, Kubernetes v1.37, from 2 pods\n"
        "pods     rendered  exact at each of 41 syncs\n"
        "desired            exact at each of 41 syncs\n",
        "",
    )


def test_a_comparison_on_an_old_cluster_is_of_what_runs_there(cli: CommandLine) -> None:
    result = cli("scaling", "compare", "--trace", "trace.csv", "--k8s", "v1.34", "--json").answer["result"]

    assert (result["rendered"], [each["backend"] for each in result["compared"]]) == ("legacy", ["legacy"])


# --- lint


def test_a_policy_that_flaps_is_1_with_the_smallest_case(cli: CommandLine) -> None:
    said = cli("scaling", "lint")
    lines = said.out.splitlines()

    assert (said.code, said.err) == (1, "")
    assert lines[0].startswith(
        "aether.yaml:6:5: world-server in us-east-1: warning: flap (decide, hpa): "
        "100 players on 5 pods want 2, and 101 on those 2 want 3"
    )
    assert lines[1:] == ["  fix: set headroom_percent to 10", "1 warning: world-server in us-east-1"]


def test_a_policy_without_findings_is_0_and_quiet(cli: CommandLine) -> None:
    arguments = ["scaling", "lint", "--set", "worlds.world-server.scaling.headroom_percent=20"]

    assert cli(*arguments) == (0, "no findings: world-server in us-east-1\n", "")
    assert cli(*arguments, "-q") == (0, "", "")


def test_the_suggestion_of_a_finding_mends_it(cli: CommandLine) -> None:
    finding = cli("scaling", "lint", "--json").answer["result"][0]["findings"][0]
    change = [f"worlds.world-server.scaling.{name}={value}" for name, value in finding["suggestion"].items()]

    mended = cli("scaling", "lint", "--json", *(word for each in change for word in ("--set", each)))

    assert finding["rule"] not in [each["rule"] for each in mended.answer["result"][0]["findings"]]


def test_regions_with_the_same_findings_stand_together(cli: CommandLine) -> None:
    cli.write("aether.yaml", TWO_REGIONS)

    lines = cli("scaling", "lint").out.splitlines()

    assert lines[0].startswith("aether.yaml:8:5: world-server in us-east-1, eu-west-1: warning: flap")
    assert lines[-1] == "2 warnings: world-server in us-east-1, world-server in eu-west-1"


def test_the_settings_of_a_finding_are_found_in_the_file(cli: CommandLine) -> None:
    cli.write("aether.yaml", SMALL + "    scaling: {max_replicas: 30}\n")

    assert cli("scaling", "lint").out.startswith("aether.yaml:9:14: world-server in us-east-1: warning: flap")


def test_a_workload_without_a_metric_of_players_is_left_out_of_a_lint(cli: CommandLine) -> None:
    cli.write("aether.yaml", SMALL + EXTERNAL)

    said = cli("scaling", "lint", "--set", "worlds.world-server.scaling.headroom_percent=20")

    assert (said.code, said.out) == (0, "no findings: world-server in us-east-1\n")
    assert "custom_metrics: warning: no metric of type Pods counts its players\n" in said.err
    assert cli("scaling", "lint", "--world", "gateway").code == 2


def test_a_surge_is_judged_where_it_is_declared(cli: CommandLine) -> None:
    said = cli("scaling", "lint", "--surge", "2000/600+90", "--json")

    assert said.code == 1
    assert "surge" in [each["rule"] for each in said.answer["result"][0]["findings"]]


WRONG_LINTS = {
    "no surge": (
        ["--surge", "many"],
        "--surge: is 'many'; not a surge\n  fix: write PLAYERS/SECS, such as 2000/600, or PLAYERS/SECS+START_SECS\n",
    ),
    "more change than a pod has players": (
        ["--change", "51"],
        "--change: is 51; more than the players of one pod of world-server, which are 50\n  fix: set it to 0 to 50\n",
    ),
}


@pytest.mark.parametrize("case", WRONG_LINTS)
def test_a_lint_that_is_asked_wrongly_is_told(case: str, cli: CommandLine) -> None:
    arguments, says = WRONG_LINTS[case]

    assert cli("scaling", "lint", *arguments) == (2, "", f"{says}1 problem\n")


# --- trace


def test_a_trace_is_made_up_on_standard_output_or_in_a_file(cli: CommandLine) -> None:
    arguments = ["scaling", "trace", "launch-day", "--days", "1", "--peak", "90", "--step-secs", "3600"]
    printed = cli(*arguments)

    assert (printed.code, printed.err) == (0, "")
    assert printed.out.startswith("secs,players\n0,0\n3600,0\n")
    assert cli(*arguments, "-o", "made.csv") == (0, "", "wrote made.csv: 25 samples\n")
    assert (cli.folder / "made.csv").read_text() == printed.out
    answer = cli(*arguments, "--json").answer
    assert answer["result"]["samples"] == [
        [int(cell) for cell in line.split(",")] for line in printed.out.splitlines()[1:]
    ]
    assert cli(*arguments, "-o", "made.csv", "--json").answer["result"] == {"output": "made.csv", "samples": 25}


WRONG_TRACES = {
    "an unknown kind": (
        ["lunch-day", "--days", "0"], 2,
        "NAME: is 'lunch-day'; no kind of trace has that name\n  fix: did you mean 'launch-day'?\n"
        "--days: is 0; less than 1\n  fix: set it to 1 to 366\n2 problems\n",
    ),
    "no kind": ([], 2, "error: Missing argument 'NAME'\n  fix: see aether-deploy scaling trace --help\n"),
    "into nothing": (
        ["day-curve", "-o", ""], 2,
        "error: -o names no file; give -o FILE, or -o - for standard output\n"
        "  fix: see aether-deploy scaling trace --help\n",
    ),
    "into no folder": (
        ["day-curve", "-o", "gone/made.csv"], 3,
        "error: gone/made.csv: cannot be written: No such file or directory\n"
        "  fix: name a file in a folder that is there and can be written\n",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG_TRACES)
def test_a_trace_that_is_asked_wrongly_is_told(case: str, cli: CommandLine) -> None:
    arguments, code, says = WRONG_TRACES[case]

    assert cli("scaling", "trace", *arguments) == (code, "", says)


def test_a_trace_into_a_pipe_that_breaks_ends_in_silence(cli: CommandLine) -> None:
    process = program("scaling", "trace", "day-curve", "--days", "300", folder=cli.folder)
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    process.stdout = None

    said = ended(process)
    assert (said.code, said.err) == (-13, "")


# --- the group

HELP = """\
Usage: aether-deploy scaling [OPTIONS] VERB [ARGS]...
"""


def test_the_group_lists_its_verbs(cli: CommandLine) -> None:
    said = cli("scaling", "-h")

    assert (said.code, said.err) == (0, "")
    assert said.out.startswith(HELP)
    assert [line.split()[0] for line in said.out.partition("Verbs:\n")[2].splitlines()] == [
        "replay", "explain", "compare", "lint", "trace",
    ]  # fmt: skip
    assert cli("scaling").code == 2


@pytest.mark.parametrize("verb", ["replay", "explain", "compare", "lint", "trace"])
def test_every_verb_of_the_group_has_help(verb: str, cli: CommandLine) -> None:
    said = cli("scaling", verb, "-h")

    assert (said.code, said.err) == (0, "")
    assert said.out.startswith(f"Usage: aether-deploy scaling {verb} [OPTIONS]")


def test_an_unknown_verb_of_the_group_is_told(cli: CommandLine) -> None:
    assert cli("scaling", "replai") == (
        2,
        "",
        "error: no verb of scaling is named 'replai'; did you mean 'replay'?\n"
        "  fix: see aether-deploy scaling --help\n",
    )


def test_the_loss_of_a_zone_is_judged_by_the_spread(cli: CommandLine) -> None:
    strict = ("--set", "worlds.world-server.topology.strict=true")

    loose = cli("scaling", "lint", "--zone-loss", "300", "--json")
    tight = cli("scaling", "lint", "--zone-loss", "300", "--json", *strict)
    (soft,) = (each for each in loose.answer["result"][0]["findings"] if each["rule"] == "zone-loss")
    (hard,) = (each for each in tight.answer["result"][0]["findings"] if each["rule"] == "zone-loss")
    least = hard["suggestion"]["min_replicas"]
    mended = cli(
        *("scaling", "lint", "--zone-loss", "300", "--json", *strict),
        *("--set", f"worlds.world-server.scaling.min_replicas={least}"),
    )

    assert loose.code == tight.code == 1
    assert "soft spread (ScheduleAnyway) only scores nodes" in soft["text"]
    assert "zone-loss" not in [each["rule"] for each in mended.answer["result"][0]["findings"]]
