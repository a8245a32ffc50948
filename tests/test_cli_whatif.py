"""``routing whatif``: what it says of each loss, what it draws, and the exit codes that pipelines rely on."""

import json
import re
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.cli_cases import PROGRAM, ROOT, CommandLine
from tests.routing_cli_cases import PLAIN, routing_cli

THREE_REGIONS = ROOT / "examples/three-regions"


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return routing_cli(tmp_path, monkeypatch, capsys)


HEAD = "lost          players move   p50     p95    most  fullest  no place\n"


def test_each_region_is_lost_and_what_that_does_is_told(cli: CommandLine) -> None:
    said = cli("routing", "whatif", "--players", "players.csv")

    assert said.code == 1
    assert said.out.startswith("2500 players in 3 groups of players.csv\n\n" + HEAD)
    assert "ap                     500  0 ms  122 ms  122 ms  eu 75 %         0\n" in said.out
    assert "us lost: 1000 players move\n" in said.out
    assert said.out.endswith(
        "beyond the limits (at most 0 players without a place, p95 190 ms): 1 of 4\n"
        "  us: p95 is 198 ms, more than 190 ms\n"
    )


def test_quietly_only_what_exceeds_the_limits_is_told(cli: CommandLine) -> None:
    said = cli("routing", "whatif", "--players", "players.csv", "-q")

    assert (said.code, said.out) == (
        1,
        "beyond the limits (at most 0 players without a place, p95 190 ms): 1 of 4\n"
        "  us: p95 is 198 ms, more than 190 ms\n",
    )


def test_within_the_limits_is_0(cli: CommandLine) -> None:
    said = cli("routing", "whatif", "--players", "players.csv", "--set", "routing.limits.p95_ms=200")

    assert said.code == 0
    assert said.out.endswith("the limits hold: at most 0 players without a place, p95 200 ms\n")
    assert cli("routing", "whatif", "--players", "players.csv", "--set", "routing.limits.p95_ms=200", "-q").out == ""


def test_without_limits_nothing_is_held_against_anything(cli: CommandLine) -> None:
    said = cli("routing", "whatif", "plain.yaml", "--fill", "90")

    assert said.code == 0
    assert "eu  1800  76 ms  1800 -> 3600 of 2000, 180 %, 1600 too many" in said.out
    assert said.out.endswith("routing.limits says nothing, so nothing is held against anything\n")


def test_regions_are_filled_where_no_players_are_given(cli: CommandLine) -> None:
    said = cli("routing", "whatif", "--fill", "10").out

    assert said.startswith("500 players: each region filled to 10 % of its capacity (--players CSV for yours)\n")


def test_without_players_and_capacities_there_is_nothing_to_ask(cli: CommandLine) -> None:
    regions = PLAIN.replace(", capacity_players: 2000", "").replace(", capacity_players: 1000", "")
    cli.write("aether.yaml", regions.replace("pvc: {size: 10Gi}", "pvc: {size: 10Gi}\n    scaling: none"))

    assert cli("routing", "whatif") == (
        2,
        "",
        "$.regions: no region has a capacity that could be filled with players\n"
        "  fix: give --players FILE.csv, or regions[].capacity_players\n1 problem\n",
    )


@pytest.mark.parametrize(
    ("arguments", "lost"),
    [
        ([], ["us", "eu", "ap"]),
        (["--lose", "ap,us"], ["us and ap"]),
        (["--lose", "ap", "--lose", "us"], ["ap", "us"]),
        (["--pairs"], ["us", "eu", "ap", "us and eu", "us and ap", "eu and ap"]),
        (["--lose", "us,eu,ap", "--lose", "eu"], ["us and eu and ap", "eu"]),
        (["--lose", "us,ap", "--pairs"], ["us and ap", "us", "eu", "ap", "us and eu", "eu and ap"]),
        (["--set", "routing.limits.lost_regions=2"], ["us", "eu", "ap", "us and eu", "us and ap", "eu and ap"]),
        (["--set", "routing.limits.lost_regions=0"], []),
    ],
)  # fmt: skip
def test_what_is_lost_is_what_was_asked_for_or_what_the_limits_promise(
    cli: CommandLine, arguments: list[str], lost: list[str]
) -> None:
    answer = cli("routing", "whatif", *arguments, "--json").answer

    assert [" and ".join(each["lost"]) for each in answer["result"]["losses"]] == lost


def test_an_unknown_region_cannot_be_lost(cli: CommandLine) -> None:
    assert cli("routing", "whatif", "--lose", "us,mars", "--lose", "eu-1") == (
        2,
        "",
        "--lose us,mars: no region is named 'mars'\n  fix: known are us, eu, ap\n"
        "--lose eu-1: no region is named 'eu-1'\n  fix: did you mean 'eu'?\n2 problems\n",
    )


def test_faults_of_every_option_are_told_together(cli: CommandLine) -> None:
    cli.write("bad.csv", "region,players\nuk,1\n")

    assert cli("routing", "whatif", "--plot", "loss.gif", "--lose", "uss", "--players", "bad.csv") == (
        2,
        "",
        "--plot loss.gif: ends with no format that is drawn\n  fix: name a file that ends with .html or .png\n"
        "--lose uss: no region is named 'uss'\n  fix: did you mean 'us'?\n"
        "bad.csv:2:1: region: is 'uk'; no region of the description\n  fix: known are us, eu, ap\n"
        "3 problems in bad.csv\n",
    )


def test_a_fault_of_an_option_is_told_beside_those_of_the_description(cli: CommandLine) -> None:
    told = cli("routing", "whatif", "--plot", "loss.gif", "--set", "routing.entry=gatewya", "--json").answer

    assert [each["path"] for each in told["problems"]] == ["$.routing.entry", "--plot loss.gif"]


def test_players_are_counted_or_made_up_and_never_both(cli: CommandLine) -> None:
    assert cli("routing", "whatif", "--players", "players.csv", "--fill", "60") == (
        2,
        "",
        "error: --players and --fill both say who plays; give one or the other\n"
        "  fix: see aether-deploy routing whatif --help\n",
    )


def test_a_machine_is_told_all_of_a_loss(cli: CommandLine) -> None:
    said = cli("routing", "whatif", "--players", "players.csv", "--lose", "us", "--json")

    answer = said.answer
    [loss] = answer["result"]["losses"]
    assert (said.code, answer["ok"], answer["verb"]) == (1, False, "routing whatif")
    assert answer["result"]["players"] == 2500 == loss["held_players"] + loss["deficit_players"]
    assert {"p50", "p95", "most", "unknown_players"} == set(loss["after"])
    assert sum(move["players"] for move in loss["moves"]) == loss["moving_players"] == 1000
    assert loss["regions"][0] == {
        "code": "us",
        "lost": True,
        "capacity": 2000,
        "before": 1000,
        "after": 0,
        "load_before": 0.5,
        "load_after": 0.0,
        "over_capacity": 0,
    }
    assert loss["beyond"] == ["p95 is 198 ms, more than 190 ms"]


def test_faults_of_the_players_are_told_with_line_and_column(cli: CommandLine) -> None:
    cli.write("players.csv", "region,players,residency\nuk,1,\neu,x,eu-players\n")

    assert cli("routing", "whatif", "--players", "players.csv") == (
        2,
        "",
        "players.csv:2:1: region: is 'uk'; no region of the description\n  fix: known are us, eu, ap\n"
        "players.csv:3:4: players: is 'x'; not a whole number\n"
        "  fix: write it in digits only, without signs and separators\n2 problems in players.csv\n",
    )


def test_players_that_are_not_there_are_2(cli: CommandLine) -> None:
    assert cli("routing", "whatif", "--players", "none.csv") == (
        2,
        "",
        "none.csv: $: cannot be read: No such file or directory\n"
        "  fix: name a CSV file that is there: region,players, or lat,lon,players\n1 problem in none.csv\n",
    )


def test_it_is_drawn(cli: CommandLine) -> None:
    said = cli("routing", "whatif", "--plot", "loss.html", "--pairs", "--json")

    html = (cli.folder / "loss.html").read_text("utf-8")
    assert said.answer["result"]["plot"] == "loss.html"
    assert "<title>aether, prod: 3000 players" in html
    ElementTree.fromstring(html[html.index("<svg") : html.index("</svg>") + 6])


@pytest.mark.parametrize(
    ("name", "code", "says"),
    [("loss.gif", 2, "ends with no format that is drawn"), ("none/loss.html", 3, "none is no folder")],
)
def test_a_picture_that_cannot_be_drawn_is_refused_before_any_work(
    cli: CommandLine, name: str, code: int, says: str
) -> None:
    said = cli("routing", "whatif", "--plot", name)

    assert (said.code, said.out) == (code, "")
    assert says in said.err


def test_many_losses_are_told_one_by_one_only_on_demand(cli: CommandLine) -> None:
    codes = [f"r{place}" for place in range(14)]
    regions = [f"  - {{code: {code}, zones: [{code}-a], capacity_players: 100, latency_ms: 9}}\n" for code in codes]
    pairs = [f"  - {{between: [{one}, {two}], latency_ms: 9}}\n" for one in codes for two in codes if one < two]
    head, tail = PLAIN[: PLAIN.index("  - {code")], PLAIN[PLAIN.index("worlds:") :]
    cli.write("aether.yaml", "".join([head, *regions, "links:\n", *pairs, tail]))

    assert cli("routing", "whatif", "--fill", "10").out.count(" lost: ") == 0
    assert cli("routing", "whatif", "--fill", "10", "-v").out.count(" lost: ") == 14


def example(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a what-if of the example with three regions and its players."""
    command = [str(PROGRAM), "routing", "whatif", "aether.yaml", "--players", "players.csv", *arguments]
    return subprocess.run(command, cwd=THREE_REGIONS, capture_output=True, text=True, encoding="utf-8", check=False)


def test_the_example_holds_its_limits() -> None:
    run = example("--json")

    answer = json.loads(run.stdout)
    assert run.returncode == 0
    assert [each["deficit_players"] for each in answer["result"]["losses"]] == [0, 0, 0]
    assert {path["name"].split(",")[0] for path in answer["result"]["paths"]} == {"router", "player-dns", "player-edge"}


def test_the_report_in_the_guide_is_that_of_the_example() -> None:
    text = (ROOT / "docs/routing.md").read_text("utf-8")
    shown = re.search(r"<!-- report: examples/three-regions -->\n```text\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)

    assert shown is not None
    assert shown.group(1) == example().stdout
