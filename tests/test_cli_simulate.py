"""``simulate failover``: which database is meant, what is told of its runs, and when that is a failure."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from aether_deploy.cli import simulated
from aether_deploy.cli.verbs import simulate_failover
from aether_deploy.failover.bound import FailoverBounds
from aether_deploy.failover.bounds import bounds
from aether_deploy.failover.faults import FAULT_NAMES
from aether_deploy.simulation.failover.faults import fault_text
from aether_deploy.timespan import TimeSpan
from tests.cli_cases import SMALL, CommandLine
from tests.rule_case import DIGEST

SPILO = f"ghcr.io/zalando/spilo-18:4.1-p2@{DIGEST}"
ACCOUNTS = f"""\
name: aether
kubernetes: v1.37
regions:
  - {{code: us-east-1, zones: [us-east-1a, us-east-1b, us-east-1c]}}
components:
  - name: accounts
    kind: postgres
    image: {SPILO}
    regions: [us-east-1]
    members: 3
    pvc: {{size: 200Gi}}
    failover: {{ttl: 20, loop_wait: 2, retry_timeout: 3}}
"""
LEDGER = f"  - {{name: ledger, kind: postgres, image: '{SPILO}', regions: [us-east-1], pvc: {{size: 10Gi}}}}\n"


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    monkeypatch.chdir(tmp_path)
    command_line = CommandLine(tmp_path, capsys)
    command_line.write("aether.yaml", ACCOUNTS)
    return command_line


def test_a_distribution_stands_beside_its_bounds(cli: CommandLine) -> None:
    said = cli("simulate", "failover", "--fault", "leader-killed", "--runs", "40", "-q", "--dcs", "etcd3")
    loud = cli("simulate", "failover", "--fault", "leader-killed", "--runs", "40", "--dcs", "etcd3")

    assert (said.code, said.out) == (0, "")
    assert loud.code == 0
    lines = loud.out.splitlines()
    assert lines[0] == "accounts in us-east-1: leader-killed on etcd3, 40 runs, seed 1"
    assert lines[1] == "The leader's Patroni and PostgreSQL are killed; its machine lives."
    assert lines[3].split() == ["least", "mean", "p95", "p99", "most", "bounds"]
    assert lines[4].startswith("writes are back after")
    assert lines[4].endswith("18.1 / 19.4 / 20.8 s")
    assert "bounds: ttl 20 - φ + 0..0.5 + race + promotion" in lines
    assert lines[-1] == "every one of 40 runs kept these bounds"


def test_equal_seeds_say_the_same(cli: CommandLine) -> None:
    arguments = ("simulate", "failover", "--fault", "node-loss", "--runs", "20", "--seed", "8")

    assert cli(*arguments) == cli(*arguments)
    assert cli(*arguments) != cli(*arguments[:-1], "9")


def test_one_run_is_told_event_by_event(cli: CommandLine) -> None:
    said = cli("simulate", "failover", "--fault", "postgres-killed", "--trace", "--runs", "1", "--seed", "5")

    lines = said.out.splitlines()
    assert said.code == 0
    assert lines[0] == "accounts in us-east-1: postgres-killed on kubernetes, seed 5"
    assert lines[1].startswith("The leader's PostgreSQL is killed; its Patroni lives. The key was renewed ")
    assert [line[13:] for line in lines[3:-2]] == [
        "fault                 postgres-killed at accounts-us-east-1-0",
        "accounts-us-east-1-0  acknowledges no more writes",
        "accounts-us-east-1-0  starts its PostgreSQL again",
        "accounts-us-east-1-0  acknowledges writes",
    ]
    assert lines[-1].startswith("accounts-us-east-1-0 writes after ")


def test_the_first_of_many_runs_says_so_and_how_it_is_told_alone(cli: CommandLine) -> None:
    question = ["simulate", "failover", "--fault", "node-loss", "--trace"]
    first = cli(*question, "--runs", "10", "--seed", "7").out.splitlines()
    title, _, alone = first[0].partition(" (alone: ")

    again = cli(*question, *alone.rstrip(")").split()).out.splitlines()

    assert title == "accounts in us-east-1: node-loss on kubernetes, run 1 of 10 of seed 7"
    assert again[0].endswith(f"seed {alone.rstrip(')').split()[-1]}")
    assert again[1:] == first[1:]


def test_a_run_that_broke_a_bound_can_be_told_alone(cli: CommandLine) -> None:
    many = cli("simulate", "failover", "--fault", "node-loss", "--runs", "3", "--json").answer["result"]
    first = cli("simulate", "failover", "--fault", "node-loss", "--runs", "3", "--trace", "--json").answer["result"]
    seed = str(first["run"]["seed"])

    alone = cli("simulate", "failover", "--fault", "node-loss", "--runs", "1", "--seed", seed, "--json").answer[
        "result"
    ]

    takeover = first["run"]["takeover_secs"]
    assert alone["spreads"]["takeover_secs"]["mean"] == takeover
    assert many["spreads"]["takeover_secs"]["least"] <= takeover <= many["spreads"]["takeover_secs"]["most"]


def test_json_has_the_spread_and_the_bound(cli: CommandLine) -> None:
    said = cli("simulate", "failover", "--fault", "patroni-killed", "--runs", "10", "--json")

    answer: dict[str, Any] = said.answer
    result = answer["result"]
    assert (answer["verb"], answer["ok"], said.code) == ("simulate failover", True, 0)
    assert (result["component"], result["region"], result["fault"], result["runs"]) == (
        "accounts",
        "us-east-1",
        "patroni-killed",
        10,
    )
    assert result["spreads"]["dual_primary_secs"]["least"] > 30
    assert result["bound"]["loss"] == "all that the old primary takes"
    assert result["broken"] == []


def test_a_broken_bound_is_a_failure_with_the_seed_that_shows_it(
    cli: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_good(*given: Any, **named: Any) -> FailoverBounds:
        made, times = bounds(*given, **named), TimeSpan(1.0, 2.0, 3.0)
        rows = tuple(msgspec.structs.replace(row, writable=times) for row in made.rows)
        return msgspec.structs.replace(made, rows=rows)

    monkeypatch.setattr(simulate_failover, "bounds", too_good)

    said = cli("simulate", "failover", "--fault", "node-loss", "--runs", "7")

    lines = said.out.splitlines()
    assert said.code == 1
    assert "7 of 7 runs broke a bound" in lines
    assert lines[-1] == "  and 2 more"
    assert (
        sum(line.startswith("  seed ") and line.endswith("s were the bound") for line in lines) == simulated.TOLD_BROKEN
    )


def test_a_cluster_in_which_all_lag_says_why_nobody_leads(cli: CommandLine) -> None:
    said = cli("simulate", "failover", "--fault", "node-loss", "--runs", "5", "--behind", "3317392")

    assert said.code == 0
    assert "nobody writes at the end of 5 of 5 runs: accounts-us-east-1-1: it is " in said.out
    assert "and the limit is 1048576" in said.out


CHOICES = {
    "the only one": (ACCOUNTS, [], "accounts in us-east-1"),
    "by its name": (ACCOUNTS + LEDGER, ["--component", "ledger"], "ledger in us-east-1"),
}


@pytest.mark.parametrize("case", CHOICES)
def test_the_database_that_is_meant_is_found(case: str, cli: CommandLine) -> None:
    text, arguments, title = CHOICES[case]
    cli.write("aether.yaml", text)

    said = cli("simulate", "failover", "--fault", "switchover", "--runs", "2", *arguments)

    assert (said.code, said.out.split(":")[0]) == (0, title)


WRONG = {
    "a slip in a name": (
        ACCOUNTS, ["--component", "acounts"],
        "--component acounts: no component has that name\n  fix: did you mean 'accounts'?\n",
    ),
    "a name like none": (
        ACCOUNTS, ["--component", "zzz"],
        "--component zzz: no component has that name\n  fix: known are accounts\n",
    ),
    "one of several": (
        ACCOUNTS + LEDGER, [],
        "--component: several components fail over\n  fix: choose one: accounts, ledger\n",
    ),
    "no database": (
        SMALL, [],
        "$.components: no component of kind postgres runs here\n  fix: add one\n",
    ),
    "a standby that is not there": (
        ACCOUNTS, ["--fault", "region-promoted"],
        "--fault region-promoted: accounts has no standby\n  fix: add standby, or choose another\n",
    ),
    "a slip in a fault": (
        ACCOUNTS, ["--fault", "node-los"],
        "--fault node-los: no fault has that name\n  fix: did you mean 'node-loss'?\n",
    ),
    "a database of one": (
        ACCOUNTS.replace("members: 3", "members: 1"), [],
        "$.components.accounts.members: accounts has 1 member in us-east-1, and nobody takes over from it\n"
        "  fix: set members to 2 or more\n",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_a_question_is_refused_that_names(case: str, cli: CommandLine) -> None:
    text, arguments, says = WRONG[case]
    cli.write("aether.yaml", text)

    said = cli("simulate", "failover", "--fault", "node-loss", *arguments)

    assert (said.code, said.out) == (2, "")
    assert said.err.endswith(f"{says}1 problem\n")


def test_help_lists_every_fault(cli: CommandLine) -> None:
    said = cli("simulate", "failover", "--help")

    assert [name for name in FAULT_NAMES if f"    {name}" not in said.out or fault_text(name) not in said.out] == []


US = "  - {code: us-east-1, zones: [us-east-1a, us-east-1b, us-east-1c]}\n"
EU = US.replace("us-east-1", "eu-west-1")
LINKS = "links: [{between: [us-east-1, eu-west-1], latency_ms: 76}]\n"


def followed(first: str, second: str) -> str:
    """Return a file whose database has its primary in the United States and a standby of two in Europe."""
    return ACCOUNTS.replace(US, first + second + LINKS).replace(
        "    members: 3\n",
        "    members: 3\n    standby: {region: eu-west-1, members: 2}\n"
        "    endpoint: 'accounts.{region}.example.com'\n    expose: {type: LoadBalancer}\n",
    )


def test_a_standby_region_is_what_a_human_promotes(cli: CommandLine) -> None:
    cli.write("aether.yaml", followed(US, EU))

    said = cli("simulate", "failover", "--fault", "region-promoted", "--runs", "3")

    assert said.out.startswith("accounts in eu-west-1: region-promoted on kubernetes, 3 runs"), said
    assert said.code == 0


@pytest.mark.parametrize("regions", [(US, EU), (EU, US)], ids=["primary first", "standby first"])
def test_the_region_of_the_primary_is_simulated_wherever_it_stands_in_the_file(
    regions: tuple[str, str], cli: CommandLine
) -> None:
    cli.write("aether.yaml", followed(*regions))

    result = cli("simulate", "failover", "--fault", "leader-killed", "--runs", "8", "--json").answer["result"]

    assert (result["region"], result["members"]) == ("us-east-1", 3)
    assert result["winners"].keys() == {"accounts-us-east-1-1", "accounts-us-east-1-2"}


# --- shards

INVENTORY = f"""\
  - name: inventory
    kind: postgres
    image: registry.example.com/patroni-citus:18.1@{DIGEST}
    regions: [us-east-1]
    pvc: {{size: 10Gi}}
    members: 3
    sharding: {{database: game, workers: 2, members_per_worker: 2}}
"""
SHARDS = ("--component", "inventory", "--fault", "leader-killed", "--runs", "6", "--seed", "2")


@pytest.mark.parametrize(("group", "members"), [(0, 3), (1, 2), (2, 2)])
def test_a_shard_is_simulated_with_the_members_and_names_that_it_has(
    group: int, members: int, cli: CommandLine
) -> None:
    cli.write("aether.yaml", ACCOUNTS + INVENTORY)

    told = cli("simulate", "failover", *SHARDS, "--group", str(group))
    result = cli("simulate", "failover", *SHARDS, "--group", str(group), "--json").answer["result"]

    assert told.out.startswith(f"inventory, group {group}, in us-east-1: leader-killed on kubernetes, 6 runs"), told
    assert (result["group"], result["members"]) == (group, members)
    assert result["winners"].keys() <= {f"inventory-us-east-1-g{group}-{number}" for number in range(1, members)}


GROUPS: dict[str, tuple[str, list[str], str]] = {
    "a group that is not there": (
        INVENTORY, ["--component", "inventory", "--group", "3"],
        "--group 3: inventory has no group of that number\n  fix: choose one of 0 (the coordinator), 1, 2\n",
    ),
    "a group of what is not sharded": (
        INVENTORY, ["--component", "accounts", "--group", "1"],
        "--group 1: accounts is not sharded in us-east-1\n  fix: leave it out\n",
    ),
    "a worker of one": (
        INVENTORY.replace("worker: 2", "worker: 1"), ["--component", "inventory", "--group", "1"],
        "$.components.inventory.sharding.members_per_worker: group 1 of inventory has 1 member in us-east-1, and "
        "nobody takes over from it\n"
        "  fix: set sharding.members_per_worker to 2 or more\n",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", GROUPS)
def test_a_group_that_cannot_be_simulated_is_refused(case: str, cli: CommandLine) -> None:
    component, arguments, says = GROUPS[case]
    cli.write("aether.yaml", ACCOUNTS + component)

    said = cli("simulate", "failover", "--fault", "node-loss", *arguments)

    assert (said.code, said.out) == (2, "")
    assert said.err.endswith(f"{says}1 problem\n")
