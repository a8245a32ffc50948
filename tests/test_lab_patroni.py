"""Real Patroni with real PostgreSQL, from configurations of ours: they are valid, a cluster boots and ends with us."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from aether_deploy.lab.patroni import programs as programs_module
from aether_deploy.lab.patroni.cluster import PatroniCluster
from aether_deploy.lab.patroni.configuration import Place, member_configuration
from aether_deploy.lab.patroni.member import PatroniMember
from aether_deploy.lab.patroni.process_tree import postmaster_in, with_children
from aether_deploy.lab.patroni.programs import PatroniPrograms, find_patroni_programs
from aether_deploy.lab.patroni.validation import configuration_faults
from aether_deploy.lab.processes import DaemonError
from aether_deploy.lab.programs import MissingProgramsError
from aether_deploy.lab.workplace import programs_in, workplaces
from aether_deploy.problems import EffectError
from tests.patroni_cases import BOOT_SECS, FAST, QUICK, database_programs, kubernetes_configuration, store_of

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def programs() -> PatroniPrograms:
    return database_programs()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(name="accounts-0", folder=tmp_path / "accounts-0", rest_port=8008, postgres_port=5432)


# --- Patroni's own check


def test_patroni_finds_no_fault_with_a_configuration_of_ours(
    place: Place, programs: PatroniPrograms, tmp_path: Path
) -> None:
    configuration = kubernetes_configuration(place, programs, **QUICK)

    assert configuration_faults(configuration, tmp_path, programs) == []


FAULTS: dict[str, Any] = {
    "ttl": 19,
    "loop_wait": 0,
    "retry_timeout": 2,
    "maximum_lag_on_failover": "1MB",
}


@pytest.mark.parametrize("name", FAULTS)
def test_patroni_refuses_what_is_below_its_minimum(
    name: str, place: Place, programs: PatroniPrograms, tmp_path: Path
) -> None:
    configuration = kubernetes_configuration(place, programs, **{name: FAULTS[name]})

    faults = configuration_faults(configuration, tmp_path, programs)

    assert faults == [f"bootstrap.dcs.{name} {FAULTS[name]} didn't pass validation: Wrong value"]


def test_patroni_takes_no_notice_of_a_lease_that_is_too_short_for_its_loop(
    place: Place, programs: PatroniPrograms, tmp_path: Path
) -> None:
    configuration = kubernetes_configuration(place, programs, ttl=20, loop_wait=10, retry_timeout=10)

    assert configuration_faults(configuration, tmp_path, programs) == []


BREAKS_OFF = {"a traceback": "raise RuntimeError('no luck')", "no word": "raise SystemExit(1)"}


@pytest.mark.parametrize("case", BREAKS_OFF)
def test_a_check_that_breaks_off_is_no_verdict(
    case: str, place: Place, programs: PatroniPrograms, tmp_path: Path
) -> None:
    configuration = kubernetes_configuration(place, programs)
    broken = msgspec.structs.replace(programs, patroni=(sys.executable, "-c", BREAKS_OFF[case]))

    with pytest.raises(EffectError, match=r"^patroni did not judge the configuration\n"):
        configuration_faults(configuration, tmp_path, broken)


# --- programs


def test_packages_that_are_missing_are_all_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs_module, "NEEDED", ("no_patroni", "msgspec", "no_postgres"))

    with pytest.raises(MissingProgramsError) as refused:
        find_patroni_programs()

    assert str(refused.value) == (
        "a database that fails over needs packages that are not installed: no_patroni, no_postgres\n"
        "  fix: pip install 'aether-deploy[lab]'"
    )


# --- what is kept of a rendered configuration


def test_what_decides_over_a_failover_is_kept_and_what_is_of_the_network_is_not(place: Place) -> None:
    rendered = {
        "scope": "elsewhere",
        "tags": {"failover_priority": 2},
        "kubernetes": {"namespace": "data"},
        "bootstrap": {
            "dcs": {
                "ttl": 60,
                "loop_wait": 5,
                "postgresql": {"parameters": {"max_connections": 500, "ssl": "on", "wal_level": "logical"}},
            }
        },
        "postgresql": {"listen": "0.0.0.0:5432", "data_dir": "/var/lib/postgresql"},
    }

    made = member_configuration(
        rendered, {"ttl": 20}, {"etcd3": {"hosts": ["127.0.0.1:1"]}}, place, scope="accounts", bin_dir=Path("/bin")
    )

    settings = made["bootstrap"]["dcs"]
    assert (settings["ttl"], settings["loop_wait"], made["tags"]) == (20, 5, {"failover_priority": 2})
    assert settings["postgresql"]["parameters"]["wal_level"] == "logical"
    assert "ssl" not in settings["postgresql"]["parameters"]
    assert "kubernetes" not in made
    assert (made["scope"], made["postgresql"]["listen"]) == ("accounts", "127.0.0.1:5432")
    assert made["postgresql"]["data_dir"] == str(place.folder / "data")


# --- a cluster on etcd


@pytest.fixture(scope="module")
def cluster() -> Iterator[PatroniCluster]:
    with store_of("etcd3") as store, PatroniCluster(store, members=2, dynamic=FAST) as cluster:
        cluster.writers.start(BOOT_SECS)
        cluster.wait_healthy()
        yield cluster


def test_a_cluster_boots_and_takes_writes(cluster: PatroniCluster) -> None:
    told = cluster.told()

    assert sorted((each["role"], each["state"]) for each in told) == [("leader", "running"), ("replica", "streaming")]
    assert {row.member for row in cluster.writers.acknowledged()} == {cluster.leader().name}
    assert cluster.writers.lost(cluster.leader().name) == []


def test_postgresql_is_of_the_version_that_is_rendered(cluster: PatroniCluster) -> None:
    with cluster.writers.connect(cluster.leader().name) as connection:
        version = connection.execute("SHOW server_version_num").fetchone()

    assert version is not None
    assert str(version[0]).startswith("18")


def test_the_lease_is_seen_to_be_renewed_once_per_loop(cluster: PatroniCluster) -> None:
    first = cluster.lease.next_renewal(120)
    second = cluster.lease.next_renewal(120)

    assert {first.holder, second.holder} == {cluster.leader().name}
    assert cluster.lease.renewed_before(second.at) == second.at


def test_rows_that_a_cluster_does_not_have_are_told_as_lost(cluster: PatroniCluster) -> None:
    cluster.writers.wait_written(time.monotonic(), within_secs=120)
    row = cluster.writers.acknowledged()[-1]
    with cluster.writers.connect(row.member) as connection:
        connection.execute("DELETE FROM written WHERE client = %s AND number = %s", (row.member, row.number))

    lost = cluster.writers.lost(cluster.leader().name)

    assert lost == [row]


def test_a_member_that_ends_each_time_is_told_with_what_it_says(place: Place, programs: PatroniPrograms) -> None:
    says = "raise SystemExit('2026-11-26 CRITICAL: no luck')"
    member = PatroniMember(place, {}, {}, msgspec.structs.replace(programs, patroni=(sys.executable, "-c", says)))
    member.start()

    with pytest.raises(DaemonError) as refused:
        _supervise_for(member, 180)

    assert member.restarts == 2
    assert str(refused.value) == (
        "patroni-accounts-0 ended by itself (exit code 1)\n"
        + "  patroni-accounts-0: 2026-11-26 CRITICAL: no luck\n" * 3
        + "  fix: see the lines of its log above"
    )


def _supervise_for(member: PatroniMember, secs: float) -> None:
    deadline = time.monotonic() + secs
    while time.monotonic() < deadline:
        member.supervise()
        time.sleep(0.02)


def test_a_member_that_is_asked_whether_it_ended_by_itself_stays_as_it_is(
    place: Place, programs: PatroniPrograms
) -> None:
    member = PatroniMember(place, {}, {}, msgspec.structs.replace(programs, patroni=(sys.executable, "-c", "exit(1)")))
    member.start()
    while member.runs:
        time.sleep(0.02)

    with pytest.raises(DaemonError, match=r"^patroni-accounts-0 ended by itself \(exit code 1\)"):
        member.check()

    assert (member.runs, member.restarts) == (False, 0)


def test_a_member_that_we_killed_is_not_started_again(place: Place, programs: PatroniPrograms) -> None:
    asleep = msgspec.structs.replace(programs, patroni=(sys.executable, "-c", "import time; time.sleep(60)"))
    member = PatroniMember(place, {}, {}, asleep)
    member.start()

    member.kill()
    member.supervise()

    assert not member.runs
    assert member.restarts == 0


# --- its end

ONE_MEMBER = """
from aether_deploy.lab.patroni.cluster import PatroniCluster
from aether_deploy.lab.patroni.etcd_store import EtcdStore
with PatroniCluster(EtcdStore(), members=1, dynamic={"ttl": 20, "loop_wait": 1, "retry_timeout": 3}) as cluster:
    cluster.wait_healthy()
    print(cluster.leader().data.parent.parent, flush=True)
    PAUSE
print("over", flush=True)
"""


def _run(code: str) -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


def _folder_of(run: "subprocess.Popen[str]") -> Path:
    assert run.stdout is not None
    line = run.stdout.readline().strip()
    assert line, "the run ended before its cluster was healthy"
    return Path(line)


def test_nothing_is_left_of_a_cluster_after_its_block(programs: PatroniPrograms) -> None:
    with store_of("etcd3"):
        run = _run(ONE_MEMBER.replace("PAUSE", "pass"))
    folder = _folder_of(run)

    rest, _ = run.communicate(timeout=240)

    assert (run.returncode, rest) == (0, "over\n")
    assert programs_in(folder) == []
    assert not folder.exists()
    assert folder.parent == workplaces()


def test_nothing_runs_on_after_we_are_killed(programs: PatroniPrograms) -> None:
    with store_of("etcd3"):
        run = _run(ONE_MEMBER.replace("PAUSE", "import time; time.sleep(600)"))
    folder = _folder_of(run)
    postmaster = postmaster_in(folder / "accounts-0" / "data")
    assert postmaster is not None
    pids = {*programs_in(folder), *with_children(postmaster)}

    run.send_signal(signal.SIGKILL)
    run.wait()

    assert len(pids) > 5  # Patroni, etcd, the postmaster and its children
    deadline = time.monotonic() + 90
    while left := [pid for pid in pids if _runs(pid)]:
        assert time.monotonic() < deadline, f"these still run: {left}"
        time.sleep(0.05)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
