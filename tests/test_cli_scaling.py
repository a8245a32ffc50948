"""``scaling replay``, and what all scaling verbs share: which workload is meant, and what is wrong with the asking."""

import io
import sys
from pathlib import Path

import pytest

from tests.cli_cases import SMALL, WARNED, CommandLine
from tests.scaling_cli_cases import EXTERNAL, MORE, TRACE, TWO_REGIONS, scaling_cli


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return scaling_cli(tmp_path, monkeypatch, capsys)


# --- which workload

CHOICES = {
    "the only one": (SMALL, [], "world-server in us-east-1"),
    "by its name": (SMALL + MORE, ["--world", "world-server"], "world-server in us-east-1"),
    "a service": (SMALL + MORE, ["--world", "gateway"], "gateway in us-east-1"),
    "in a region": (TWO_REGIONS, ["--region", "eu-west-1"], "world-server in eu-west-1"),
    "in regions that agree": (
        TWO_REGIONS.replace("max_replicas: 10", "max_replicas: 20"), [], "world-server in us-east-1",
    ),
    "by --set": (SMALL + MORE, ["--set", "services.gateway.scaling=none"], "world-server in us-east-1"),
}  # fmt: skip


@pytest.mark.parametrize("case", CHOICES)
def test_the_workload_that_is_meant_is_found(case: str, cli: CommandLine) -> None:
    text, arguments, title = CHOICES[case]
    cli.write("aether.yaml", text)

    said = cli("scaling", "explain", "--players", "1", "--replicas", "2", *arguments)

    assert (said.code, said.out.splitlines()[0]) == (0, f"{title}: 1 player, 2 pods")


WRONG_CHOICES = {
    "an unknown world": (
        SMALL, ["--world", "world-servr"],
        "--world world-servr: no world or service has that name\n  fix: did you mean 'world-server'?\n",
    ),
    "a world of which nothing is like it": (
        SMALL + MORE, ["--world", "zzz"],
        "--world zzz: no world or service has that name\n  fix: known are world-server, gateway\n",
    ),
    "a world with a fixed count": (
        SMALL + MORE, ["--world", "fixed"],
        "--world fixed: its count is fixed\n  fix: add scaling to it, or name one that scales: world-server, gateway\n",
    ),
    "a world that runs nowhere": (
        SMALL + MORE, ["--world", "gone"],
        "--world gone: it runs in no region\n  fix: enable it, or name one that scales: world-server, gateway\n",
    ),
    "one of several": (
        SMALL + MORE, [],
        "--world: several worlds and services scale\n  fix: name one of them: world-server, gateway\n",
    ),
    "none that scales": (
        SMALL + "    scaling: none\n", [],
        "$: no world and no service scales\n  fix: add scaling to a world or service\n",
    ),
    "regions that differ": (
        TWO_REGIONS, [],
        "--region: world-server has other settings in eu-west-1 than in us-east-1\n"
        "  fix: name one of them: us-east-1, eu-west-1\n",
    ),
    "an unknown region": (
        TWO_REGIONS, ["--region", "eu-west-2"],
        "--region eu-west-2: no region has that code\n  fix: did you mean 'eu-west-1'?\n",
    ),
    "a region where it does not scale": (
        TWO_REGIONS.replace("{max_replicas: 10}", "none"), ["--region", "eu-west-1"],
        "--region eu-west-1: world-server does not scale there\n  fix: name one of them: us-east-1\n",
    ),
    "an unknown version": (
        SMALL, ["--k8s", "1.33"], "--k8s 1.33: no version that is known\n  fix: known are v1.34, v1.35, v1.36, v1.37\n",
    ),
    "no version": (
        SMALL, ["--k8s", "new"],
        "--k8s new: is no version\n  fix: known are v1.34, v1.35, v1.36, v1.37\n",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG_CHOICES)
def test_a_workload_that_is_not_meant_is_told(case: str, cli: CommandLine) -> None:
    text, arguments, says = WRONG_CHOICES[case]
    cli.write("aether.yaml", text)

    said = cli("scaling", "explain", "--players", "1", "--replicas", "2", *arguments)

    assert said == (2, "", f"{says}1 problem\n")


@pytest.mark.parametrize("verb", ["replay", "compare", "explain", "lint"])
def test_a_faulty_file_stops_every_verb(verb: str, cli: CommandLine) -> None:
    cli.write("aether.yaml", SMALL.replace("10Gi", "10Gi, sise: 1"))
    options = {"explain": ["--players", "1", "--replicas", "1"], "lint": []}.get(verb, ["--trace", "trace.csv"])

    said = cli("scaling", verb, *options)

    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("aether.yaml:8:23: $.worlds[0].pvc: has unknown key 'sise'\n")
    answer = cli("scaling", verb, *options, "--json").answer
    assert (answer["verb"], answer["ok"], answer["result"]) == (f"scaling {verb}", False, None)


def test_warnings_go_to_standard_error_and_stop_nothing(cli: CommandLine) -> None:
    cli.write("aether.yaml", WARNED)

    said = cli("scaling", "replay", "--trace", "trace.csv")

    assert (said.code, said.out.splitlines()[0]) == (
        0, "world-server in us-east-1, by hpa in mode pods on Kubernetes v1.37: 81 syncs in 20 min",
    )  # fmt: skip
    assert "warning" in said.err
    assert cli("scaling", "replay", "--trace", "trace.csv", "-q").err == ""


def test_a_metric_that_no_trace_holds_is_a_warning(cli: CommandLine) -> None:
    cli.write("aether.yaml", SMALL + MORE)

    assert cli("scaling", "replay", "--world", "gateway", "--trace", "trace.csv").err == (
        "aether.yaml:11:22: $.services[0].custom_metrics[1]: warning: is 'queue'; "
        "does not follow from players; it is taken to ask for no more pods than they do\n"
        "  fix: reckon with more pods where it asks for them\n"
        "1 warning in aether.yaml (environment prod)\n"
    )


def test_without_a_metric_of_players_there_is_nothing_to_replay(cli: CommandLine) -> None:
    cli.write("aether.yaml", SMALL + EXTERNAL)

    said = cli("scaling", "replay", "--world", "gateway", "--trace", "trace.csv")

    assert said.code == 2
    assert said.err == (
        "aether.yaml:11:22: $.services[0].custom_metrics: no metric of type Pods counts its players\n"
        "  fix: add a metric of type Pods that counts players\n1 problem in aether.yaml\n"
    )


# --- replay

TOTALS = """\
world-server in us-east-1, by hpa in mode pods on Kubernetes v1.37: 81 syncs in 20 min
  pod hours     1.1
  most pods     4
  most players  200
  over target   0 s
  displaced     14 players on 2 pods
  changes       1 up, 1 down, 0 flaps
"""


def test_a_replay_comes_to_totals(cli: CommandLine) -> None:
    assert cli("scaling", "replay", "--trace", "trace.csv") == (0, TOTALS, "")


def test_a_replay_is_a_timeline_as_csv(cli: CommandLine) -> None:
    said = cli("scaling", "replay", "--trace", "trace.csv", "--csv")
    lines = said.out.splitlines()

    assert (said.code, said.err, len(lines)) == (0, "", 82)
    assert lines[:4] == [
        "secs,players,before,wanted,running,players_per_pod,reason,displaced",
        "0,100,2,2,2,50.00,WithinTolerance,0",
        "15,100,2,2,2,50.00,WithinTolerance,0",
        "30,200,2,4,4,50.00,MetricRecommendation,0",
    ]
    assert [line for line in lines if line.endswith(",14")] == ["885,30,4,2,2,15.00,ReplicaLimit,14"]


@pytest.mark.parametrize("backend", ["decide", "hpa", "keda"])
@pytest.mark.parametrize("trace", ["trace.csv", "pods.csv"])
def test_totals_and_timeline_and_json_agree(backend: str, trace: str, cli: CommandLine) -> None:
    arguments = ["scaling", "replay", "--trace", trace, "--backend", backend, "--start-secs", "40"]
    rows = [line.split(",") for line in cli(*arguments, "--csv").out.splitlines()[1:]]
    answer = cli(*arguments, "--json").answer

    assert (answer["verb"], answer["ok"]) == ("scaling replay", True)
    result = answer["result"]
    assert (result["world"], result["region"], result["kubernetes"]) == ("world-server", "us-east-1", "v1.37")
    assert result["backend"] == backend
    assert result["syncs"] == len(rows)
    assert result["displaced"] == sum(int(row[7]) for row in rows)
    assert result["peak_replicas"] == max(int(row[3]) for row in rows)
    assert result["scale_ups"] == sum(int(row[3]) > int(row[2]) for row in rows)


def test_another_version_of_kubernetes_does_something_else(cli: CommandLine) -> None:
    cli.write("trace.csv", "secs,players\n0,440\n900,440\n")

    new = cli("scaling", "replay", "--trace", "trace.csv", "--replicas", "10", "--json").answer["result"]
    old = cli("scaling", "replay", "--trace", "trace.csv", "--replicas", "10", "--json", "--k8s", "1.34.2").answer[
        "result"
    ]

    assert (new["kubernetes"], new["scale_downs"]) == ("v1.37", 0)
    assert (old["kubernetes"], old["scale_downs"]) == ("v1.34", 1)


def test_a_trace_comes_from_standard_input(cli: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(TRACE.encode())))

    assert cli("scaling", "replay", "--trace", "-") == (0, TOTALS, "")


@pytest.mark.parametrize("verb", ["replay", "compare"])
def test_a_faulty_trace_is_told_with_its_places(verb: str, cli: CommandLine) -> None:
    cli.write("trace.csv", "secs,players\n0,-1\n0,x\n")

    said = cli("scaling", verb, "--trace", "trace.csv", *(["--plot", "t.html"] if verb == "replay" else []))

    assert said == (
        2,
        "",
        "trace.csv:2:3: players: is '-1'; less than 0\n  fix: write 0 or more\n"
        "trace.csv:3:3: players: is 'x'; not a whole number\n"
        "  fix: write it in digits only, without signs and separators\n"
        "2 problems in trace.csv\n",
    )
    assert not (cli.folder / "t.html").exists()
    problems = cli("scaling", verb, "--trace", "trace.csv", "--json").answer["problems"]
    assert [(problem["file"], problem["line"], problem["column"]) for problem in problems] == [
        ("trace.csv", 2, 3),
        ("trace.csv", 3, 3),
    ]


def test_a_gap_in_a_trace_is_a_warning(cli: CommandLine) -> None:
    cli.write("trace.csv", "secs,players\n" + "".join(f"{n * 15},10\n" for n in range(20)) + "3600,10\n")

    said = cli("scaling", "replay", "--trace", "trace.csv")

    assert said.code == 0
    assert said.err.startswith("trace.csv:22:1: secs: warning: is 3600; 3315 s after the line before")
    assert [
        each["severity"] for each in cli("scaling", "replay", "--trace", "trace.csv", "--json").answer["problems"]
    ] == ["warning"]


def test_a_picture_is_one_file(cli: CommandLine) -> None:
    said = cli("scaling", "replay", "--trace", "trace.csv", "--plot", "t.html")

    page = (cli.folder / "t.html").read_text("utf-8")
    assert said == (0, TOTALS, "")
    assert "<h1>world-server in us-east-1, by hpa in mode pods on Kubernetes v1.37 with trace.csv</h1>" in page
    assert cli("scaling", "replay", "--trace", "trace.csv", "--plot", "t2.html").code == 0
    assert (cli.folder / "t2.html").read_text("utf-8") == page
    assert sorted(path.name for path in cli.folder.iterdir()) == [
        "aether.yaml",
        "pods.csv",
        "t.html",
        "t2.html",
        "trace.csv",
    ]


WRONG_REPLAYS = {
    "no trace": ([], 2, "error: Missing option '--trace'\n  fix: see aether-deploy scaling replay --help\n"),
    "two forms": (
        ["--trace", "trace.csv", "--csv", "--json"], 2, "--csv and --json are two forms of an answer; choose one",
    ),
    "an unknown form of picture": (
        ["--trace", "trace.csv", "--plot", "t.svg"], 2,
        "--plot t.svg: ends with no format that is drawn\n  fix: name a file that ends with .html or .png\n1 problem\n",
    ),
    "a picture in no folder": (
        ["--trace", "trace.csv", "--plot", "gone/t.html"], 3,
        "error: gone/t.html: gone is no folder\n  fix: make it, or name a file in a folder that is there\n",
    ),
    "a trace that is not there": (
        ["--trace", "gone.csv"], 2,
        "gone.csv: $: cannot be read: No such file or directory\n"
        "  fix: name a CSV file that is there, or make one with aether-deploy scaling trace\n1 problem in gone.csv\n",
    ),
    "an unknown backend": (
        ["--trace", "trace.csv", "--backend", "hba"], 2,
        "error: Invalid value for '--backend': 'hba' is not one of 'decide', 'hpa', 'keda'\n"
        "  fix: see aether-deploy scaling replay --help\n",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG_REPLAYS)
def test_a_replay_that_is_asked_wrongly_is_told(case: str, cli: CommandLine) -> None:
    arguments, code, says = WRONG_REPLAYS[case]

    said = cli("scaling", "replay", *arguments)

    assert said.code == code
    assert said.err == says or (said.err == "" and f'"{says}"' in said.out)


def test_a_long_replay_says_how_far_it_is_on_a_terminal_only(cli: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    cli("scaling", "trace", "day-curve", "-o", "week.csv", "-q")
    assert cli("scaling", "replay", "--trace", "week.csv").err == ""

    monkeypatch.setattr("aether_deploy.cli.progress.sys.stderr", Terminal())
    said = cli("scaling", "replay", "--trace", "week.csv")

    assert said.code == 0
    assert "replayed 5000 of 40321 syncs" in Terminal.text


class Terminal(io.StringIO):
    """Standard error as on a terminal; keeps what was written to any."""

    text = ""

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        Terminal.text += text
        return len(text)
