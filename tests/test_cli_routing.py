"""``route`` and ``routing replay``: what they say, and the exit codes that pipelines rely on."""

from pathlib import Path

import click
import pytest

from aether_deploy.cli.app import GROUPS
from aether_deploy.cli.app import cli as group
from aether_deploy.cli.routed import Options
from aether_deploy.routing.decision_log import loss_line
from aether_deploy.routing.view import Position
from aether_deploy.routing.viewing import view_of
from tests.cli_cases import CommandLine
from tests.decision_logs import HOME, beginning, log_of, logged, told_otherwise
from tests.routing_cli_cases import BARE, ROUTED, routing_cli
from tests.rule_case import DIGEST
from tests.whatif_cases import router_of


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    line = routing_cli(tmp_path, monkeypatch, capsys)
    line.write("bare.yaml", BARE)
    return line


@pytest.mark.parametrize("verb", GROUPS["routing"])
def test_help_names_every_option_of_a_verb(cli: CommandLine, verb: str) -> None:
    routing = group.get_command(click.Context(group), "routing")
    assert isinstance(routing, click.Group)
    command = routing.get_command(click.Context(routing), verb)
    assert command is not None

    said = cli("routing", verb, "--help")

    assert said.code == 0
    assert [opt for each in command.params for opt in each.opts if opt.startswith("-") and opt not in said.out] == []
    assert [each.name for each in command.params if isinstance(each, click.Option) and not each.help] == []


# --- route

ROUTES = {
    "his region is healthy": (["--preferred", "us"], "primary us"),
    "his region is down": (["--preferred", "us", "--down", "us"], "failover eu preferred_unhealthy"),
    "the closest is down, too": (["--preferred", "us", "--down", "us,eu"], "failover ap preferred_unhealthy"),
    "spaces between regions": (["--preferred", "us", "--down", "us, eu"], "failover ap preferred_unhealthy"),
    "a region that is none": (["--preferred", "mars"], "failover us preferred_unknown"),
    "nobody prefers anything": ([], "primary us"),
    "his region is full": (["--preferred", "us", "--load", "us=95"], "failover eu preferred_full"),
    "his region drains": (["--preferred", "us", "--drain", "us"], "failover eu preferred_draining"),
    "his region drains, and he returns": (["--preferred", "us", "--drain", "us=soft", "--sticky", "us"], "primary us"),
    "his region is drained": (["--preferred", "us", "--drain", "us=hard"], "failover eu preferred_drained"),
    "he measured": (["--measured", "us=99", "--measured", "eu=10"], "primary eu"),
    "what he did not measure is linked": (
        ["bare.yaml", "--measured", "ap=12", "--down", "ap"],
        "failover eu preferred_unhealthy",
    ),
    "an empty region is none": (["--preferred", ""], "primary us"),
    "he may only be in one": (["--preferred", "us", "--residency", "eu-players"], "failover eu preferred_not_allowed"),
    "by the three rules": (["plain.yaml", "--preferred", "us", "--down", "us"], "failover eu preferred_unhealthy"),
    "the three rules know no load": (["plain.yaml", "--preferred", "us", "--load", "us=100"], "primary us"),
}


@pytest.mark.parametrize("case", ROUTES)
def test_it_prints_the_decision_alone(case: str, cli: CommandLine) -> None:
    arguments, says = ROUTES[case]

    assert cli("route", *arguments) == (0, f"{says}\n", "")


def test_who_prefers_a_region_without_the_entry_goes_to_the_closest_by_its_links(cli: CommandLine) -> None:
    gateway = f"{{name: gateway, image: 'aether/gateway:v1@{DIGEST}', regions: [us, eu], expose: {{ports: [http]}}}}"
    rules = "{entry: gateway, hostname: play.example.com}"
    cli.write("entry.yaml", f"services: [{gateway}]\nrouting: {rules}\n")

    said = cli("route", "bare.yaml", "entry.yaml", "--preferred", "ap", "-q")

    assert (said.code, said.out) == (0, "failover eu preferred_unknown\n")


@pytest.mark.parametrize("secs", ["nan", "inf", "-1"])
def test_a_wait_that_is_no_time_is_refused(secs: str, cli: CommandLine) -> None:
    assert cli("route", "--waited", secs).code == 2


def test_who_spills_is_decided_by_the_players_name(cli: CommandLine) -> None:
    said = {
        player: cli("route", "--preferred", "us", "--load", "us=90", "--player", player).out for player in "abcdefgh"
    }

    assert set(said.values()) == {"primary us\n", "failover eu preferred_over_soft_limit\n"}


def test_where_he_is_counts(cli: CommandLine) -> None:
    place = "zones: [ap-a, ap-b, ap-c], location: {lat: 19.08, lon: 72.88},"
    cli.write("aether.yaml", ROUTED.replace("zones: [ap-a, ap-b, ap-c],", place))

    assert cli("route", "--position", "-33.9,151.2").out == "primary us\n"
    cli.write("aether.yaml", ROUTED.replace("zones: [ap-a, ap-b, ap-c],", place).replace("latency_ms: 20,", ""))
    assert cli("route", "--position", "1.35,103.82", "--down", "eu").out == "failover ap preferred_unhealthy\n"


def test_where_no_region_may_take_him_is_1(cli: CommandLine) -> None:
    assert cli("route", "--preferred", "us", "--down", "us,eu,ap") == (1, "", "error: none of 3 regions is healthy\n")


def test_an_explanation_names_every_region_and_what_kept_it_out(cli: CommandLine) -> None:
    said = cli("route", "--preferred", "us", "--down", "us", "--explain")

    assert said.code == 0
    lines = said.out.splitlines()
    assert lines[0] == "failover eu preferred_unhealthy"
    assert lines[1].startswith("why: the closest that may take the player")
    assert [line.split()[-1] for line in lines if line.startswith("   us")] == ["unhealthy"]
    assert any("198 ms > cap 180 ms" in line for line in lines)


def test_an_explanation_is_given_where_there_is_no_decision(cli: CommandLine) -> None:
    said = cli("route", "--preferred", "us", "--down", "us,eu,ap", "--explain")
    machine = cli("route", "--preferred", "us", "--down", "us,eu,ap", "--explain", "--json")

    assert (said.code, said.err) == (1, "error: none of 3 regions is healthy\n")
    assert said.out.count("unhealthy") == 3
    assert (machine.code, machine.answer["ok"]) == (1, False)
    assert [problem["reason"] for problem in machine.answer["problems"]] == ["none of 3 regions is healthy"]
    assert len(machine.answer["result"]["explanation"]["candidates"]) == 3


def test_a_machine_is_told_all_of_a_decision(cli: CommandLine) -> None:
    answer = cli("route", "--preferred", "us", "--down", "us", "--json").answer

    assert (answer["verb"], answer["ok"]) == ("route", True)
    assert answer["result"] == {
        "decision": "failover",
        "region": "eu",
        "reason": "preferred_unhealthy",
        "preferred": "us",
        "latency_ms": 76.0,
        "source": "matrix",
        "alternates": [{"region": "ap"}],
    }


def test_every_fault_of_the_options_is_told_at_once(cli: CommandLine) -> None:
    arguments = ["--down", "mars,us", "--load", "us", "--load", "eu=-1", "--load", "ap=1", "--load", "ap=2"]
    arguments += ["--drain", "eu=hard", "--drain", "eu"]
    more = ["--drain", "us=later", "--position", "91,0", "--measured", "uss=4", "--residency", "eu-playes"]

    assert cli("route", *arguments, *more, "--sticky", "venus") == (
        2,
        "",
        "--load us: has no '='\n  fix: write REGION=PERCENT\n"
        "--load eu=-1: '-1' is no number from 0 to 10000\n  fix: write REGION=PERCENT\n"
        "--load ap=2: ap was said already\n  fix: say each region once\n"
        "--drain eu: eu was said already\n  fix: say each region once\n"
        "--drain us=later: 'later' is no way to drain\n  fix: write soft or hard\n"
        "--down mars,us: no region is named 'mars'\n  fix: known are us, eu, ap\n"
        "--position 91,0: not on Earth: latitudes end at 90 degrees, longitudes at 180\n"
        "  fix: write degrees north and east, such as 38.95,-77.45\n"
        "--measured uss=4: no region is named 'uss'\n  fix: did you mean 'us'?\n"
        "--sticky venus: no region has that name\n  fix: known are us, eu, ap\n"
        "--residency eu-playes: no residency rule has that name\n  fix: did you mean 'eu-players'?\n"
        "10 problems\n",
    )


SLIP = "--preferred uss: warning: no region is named 'uss'\n  fix: did you mean 'us'?\n"
HINTS = {
    "a slip of a region": (["--preferred", "uss"], (0, "failover us preferred_unknown\n", SLIP)),
    "a slip that is an error": (
        ["--preferred", "uss", "--set", "routing.on_unknown=error"],
        (1, "", SLIP + "error: no region is named 'uss'; known are us, eu, ap\n"),
    ),
    "a slip, quietly": (["--preferred", "uss", "-q"], (0, "failover us preferred_unknown\n", "")),
    "a token without the rule": (
        ["--sticky", "eu"],
        (
            0,
            "primary us\n",
            "--sticky eu: warning: the description has no routing.sticky, so he does not stay there, "
            "but counts as one who returns\n  fix: set routing.sticky, or leave the option out\n",
        ),
    ),
    "a token with the rule": (["--sticky", "eu", "--set", "routing.sticky={}"], (0, "primary eu\n", "")),
    "a token beside a choice": (["--sticky", "eu", "--preferred", "us"], (0, "primary us\n", "")),
}


@pytest.mark.parametrize("case", HINTS)
def test_what_a_router_bears_without_a_word_is_hinted_at(case: str, cli: CommandLine) -> None:
    arguments, says = HINTS[case]

    assert cli("route", *arguments) == says


def test_a_machine_is_told_hints_as_warnings(cli: CommandLine) -> None:
    answer = cli("route", "--preferred", "uss", "--json").answer

    assert answer["ok"] is True
    assert [(each["severity"], each["path"]) for each in answer["problems"]] == [("warning", "--preferred uss")]


@pytest.mark.parametrize("text", ["1", "1,2,3", "a,b", ",", "1e1,2", "nan,0", "1,,2"])
def test_a_position_that_is_none_is_refused(text: str) -> None:
    options = Options(["us"])

    assert options.position("--position", text) is None
    with pytest.raises(ValueError, match="no latitude and longitude"):
        options.stop_for_faults()


def test_a_position_is_read() -> None:
    assert Options([]).position("--position", " -33.9 ,+151") == Position(-33.9, 151)


# --- replay


def log(cli: CommandLine, *, wrong: bool = False) -> None:
    """Write a log of three regions in which one is nearly full, with an answer that no rule gives if ``wrong``."""
    config = router_of()
    view = view_of(config, loads={"us": 0.9})
    lines = [*beginning(config, view), logged(config, view, HOME, count=7), logged(config, view, HOME)]
    lines += [told_otherwise(lines[-1])] if wrong else []
    (cli.folder / "decisions.jsonl").write_bytes(b"".join(lines))


def test_a_log_that_gives_itself_is_0(cli: CommandLine) -> None:
    log(cli)

    assert cli("routing", "replay", "decisions.jsonl") == (
        0,
        "2 decisions for 8 players in decisions.jsonl: all come out the same\n",
        "",
    )
    assert cli("routing", "replay", "decisions.jsonl", "-q") == (0, "", "")


def test_a_log_that_does_not_give_itself_is_1(cli: CommandLine) -> None:
    log(cli, wrong=True)

    assert cli("routing", "replay", "decisions.jsonl") == (
        1,
        "3 decisions for 9 players in decisions.jsonl: "
        "1 player would be told something else, by the log's own rules\n\n"
        "players  was sent to  goes to  was      is\n"
        "      1  mars         us       primary  primary\n\n"
        "for example\n"
        "  line 5: a player who prefers us: primary mars becomes primary us\n",
        "",
    )


def test_other_rules_say_who_would_move_and_why(cli: CommandLine) -> None:
    log(cli)
    cli.write("aether.yaml", ROUTED.replace("load: {}", "load: {soft_percent: 80, hard_percent: 85}"))

    assert cli("routing", "replay", "decisions.jsonl", "--with", "aether.yaml") == (
        0,
        "2 decisions for 8 players in decisions.jsonl: 8 players would go elsewhere by aether.yaml\n\n"
        "players  was sent to  goes to  was      is\n"
        "      8  us           eu       primary  preferred_full\n\n"
        "for example\n"
        "  line 3: a player who prefers us: primary us becomes failover eu preferred_full\n",
        "",
    )


def test_who_is_told_the_same_region_otherwise_stands_apart_from_those_who_move(cli: CommandLine) -> None:
    log(cli)
    cli.write(
        "aether.yaml", ROUTED.replace("{between: [us, eu], latency_ms: 76}", "{between: [us, eu], latency_ms: 300}")
    )

    said = cli("routing", "replay", "decisions.jsonl", "--with", "aether.yaml", "--set", "routing.load=none")

    assert said.out == (
        "2 decisions for 8 players in decisions.jsonl: 0 players would go elsewhere by aether.yaml\n\n"
        "8 players would go where they went, and be told another reason, or other regions after it\n\n"
        "players  was sent to  goes to  was      is\n"
        "      8  us           us       primary  primary\n\n"
        "for example\n"
        "  line 3: a player who prefers us: primary us, then eu, ap becomes primary us, then ap, eu\n"
    )


def test_a_log_of_another_format_is_not_to_be_cut(cli: CommandLine) -> None:
    log(cli)
    path = cli.folder / "decisions.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"format":1', b'"format":99', 1))

    said = cli("routing", "replay", "decisions.jsonl")

    assert said.code == 2
    assert "decisions.jsonl:1: $: is of format 99" in said.err
    assert "fix: replay the log with the version of aether-deploy that wrote it" in said.err
    assert "remove the line" not in said.err


def test_a_machine_is_told_all_of_a_replay(cli: CommandLine) -> None:
    log(cli, wrong=True)

    answer = cli("routing", "replay", "decisions.jsonl", "--json").answer

    assert (answer["verb"], answer["ok"]) == ("routing replay", False)
    assert (answer["result"]["players"], answer["result"]["same_players"], answer["result"]["moved_players"]) == (
        9,
        8,
        1,
    )
    assert answer["result"]["shifts"][0]["examples"][0]["becomes"]["region"] == "us"


def test_what_a_log_lacks_is_said(cli: CommandLine) -> None:
    (cli.folder / "decisions.jsonl").write_bytes(b"".join(log_of([3, 1, 4, 1])) + b'{"kind":"rou')

    said = cli("routing", "replay", "decisions.jsonl")

    assert said.code == 0
    assert said.out.splitlines()[1:] == [
        "note: 5 decisions more were made and not logged",
        "note: decisions.jsonl:14: the last line has no end and was left out: the router was killed",
    ]


def test_nonsense_in_a_log_is_2_with_its_lines(cli: CommandLine) -> None:
    log(cli)
    path = cli.folder / "decisions.jsonl"
    path.write_bytes(path.read_bytes() + b"nonsense\n" + b"{}\n" * 30)

    said = cli("routing", "replay", "decisions.jsonl")

    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("decisions.jsonl:5: $: ")
    assert said.err.count("\n  fix: remove the line, if something else than the router wrote it\n") == 20
    assert "has 11 more problems below line 24" in said.err


@pytest.mark.parametrize("content", [b"", None])
def test_a_log_that_holds_nothing_is_2(cli: CommandLine, content: bytes | None) -> None:
    if content is not None:
        (cli.folder / "decisions.jsonl").write_bytes(content)

    said = cli("routing", "replay", "decisions.jsonl")

    assert (said.code, said.out) == (2, "")
    assert "fix: name a log that is there: what router serve --decision-log writes" in said.err


NO_DECISION = {
    "something else": (
        b'{"hello": 1}',
        "; line 1, which has no end, was left out",
        "name a log that is there: what router serve --decision-log writes",
    ),
    "a router that nobody asked": (b"".join(log_of([3])[:2]), "", "name a log of a router that was asked"),
    "only what was not logged": (
        loss_line(3, at=1.0),
        "",
        "name a log that is there: what router serve --decision-log writes",
    ),
}


@pytest.mark.parametrize("other", [[], ["--with", "aether.yaml"]], ids=["by its own rules", "by others"])
@pytest.mark.parametrize("case", NO_DECISION)
def test_a_log_without_a_decision_is_2(cli: CommandLine, case: str, other: list[str]) -> None:
    content, more, fix = NO_DECISION[case]
    (cli.folder / "decisions.jsonl").write_bytes(content)

    assert cli("routing", "replay", "decisions.jsonl", *other) == (
        2,
        "",
        f"decisions.jsonl: $: holds no decisions{more}\n  fix: {fix}\n1 problem in decisions.jsonl\n",
    )


def test_options_of_a_description_that_is_not_given_are_a_misuse(cli: CommandLine) -> None:
    log(cli)

    assert cli("routing", "replay", "decisions.jsonl", "--env", "dev") == (
        2,
        "",
        "error: --env and --set are about the description of --with; give it, or leave them out\n"
        "  fix: see aether-deploy routing replay --help\n",
    )


def test_faults_of_the_other_description_are_told(cli: CommandLine) -> None:
    log(cli)
    cli.write("aether.yaml", ROUTED.replace("load: {}", "load: {soft_percent: 99}"))

    said = cli("routing", "replay", "decisions.jsonl", "--with", "aether.yaml")

    assert (said.code, said.out) == (2, "")
    assert "$.routing.load.soft_percent: is 99; more than hard_percent, which is 95" in said.err
