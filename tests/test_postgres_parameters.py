"""Parameters of PostgreSQL: Patroni's own are refused, and each other one stands where Patroni reads it."""

import importlib
import importlib.util
import subprocess
from typing import Any

import pytest

from aether_deploy.infrastructure.postgres.known import known_parameters, unknown_faults
from aether_deploy.infrastructure.postgres.parameters import (
    DYNAMIC,
    OWNED,
    Value,
    dynamic_parameters,
    local_parameters,
    parameter_faults,
)
from tests.patroni_cases import database_programs
from tests.postgres_cases import config, file_of, rendered
from tests.real import miss
from tools import make_parameters


def reasons(**parameters: Value) -> list[str]:
    return [f"{'.'.join(map(str, fault.at))}: {fault.reason}" for fault in parameter_faults(parameters)]


@pytest.mark.parametrize("name", OWNED)
def test_a_parameter_that_patroni_or_the_pod_decides_is_refused(name: str) -> None:
    (reason,) = reasons(**{name: "x"})

    assert reason == f"{name}: not yours to set: {OWNED[name]}"


@pytest.mark.parametrize("name", ["PORT", "Listen_Addresses", "HOT_STANDBY"])
def test_names_are_read_as_postgresql_reads_them(name: str) -> None:
    assert len(reasons(**{name: "x"})) == 1


def test_a_parameter_in_two_spellings_is_one_too_many() -> None:
    assert reasons(work_mem="1MB", Work_Mem="2MB") == ["Work_Mem: the same parameter as 'work_mem'"]


BAD: dict[str, tuple[Value, ...]] = {
    "max_connections": (24, "24", 0, -1, "many", True, 262_144, "1e3"),
    "max_wal_senders": (2, "2"),
    "max_replication_slots": (3,),
    "max_worker_processes": (1,),
    "max_locks_per_transaction": (31,),
    "max_prepared_transactions": (-1,),
    "wal_level": ("minimal", "archive", True),
    "wal_keep_size": (15, "15MB", "15000kB", "lots", True),
    "wal_log_hints": ("maybe", 2),
    "track_commit_timestamp": ("perhaps",),
}
GOOD: dict[str, tuple[Value, ...]] = {
    "max_connections": (25, "25", 262_143),
    "max_wal_senders": (3,),
    "max_replication_slots": (4,),
    "max_worker_processes": (2,),
    "max_locks_per_transaction": (32,),
    "max_prepared_transactions": (0, "0"),
    "wal_level": ("replica", "LOGICAL", "hot_standby"),
    "wal_keep_size": (16, "16MB", "16384kB", "2GB", "1 TB"),
    "wal_log_hints": (True, "off", "on", "1"),
    "track_commit_timestamp": (False, "yes"),
}


@pytest.mark.parametrize("name,value", [(name, value) for name, values in BAD.items() for value in values])
def test_a_value_that_patroni_would_replace_in_silence_is_refused(name: str, value: Value) -> None:
    (reason,) = reasons(**{name: value})

    assert reason.startswith(f"{name}: not ")
    assert "in silence" in reason


@pytest.mark.parametrize("name,value", [(name, value) for name, values in GOOD.items() for value in values])
def test_the_nearest_value_that_patroni_takes_is_taken(name: str, value: Value) -> None:
    assert reasons(**{name: value}) == []


def oracle() -> Any:
    """Return what Patroni takes from its dynamic configuration, each with its own check."""
    if importlib.util.find_spec("patroni") is None:
        miss("patroni is not installed; to bring it: pip install 'aether-deploy[lab]'")
    return importlib.import_module("patroni.postgresql.config").ConfigHandler.CMDLINE_OPTIONS


@pytest.mark.real
def test_what_patroni_itself_takes_only_from_its_dynamic_configuration_is_all_known() -> None:
    before_postgresql_13 = {"wal_keep_segments"}
    known = {name.lower() for name in oracle()} - before_postgresql_13

    assert known <= {*DYNAMIC, *OWNED}
    assert set(DYNAMIC) <= known


@pytest.mark.real
@pytest.mark.parametrize("name,value", [(name, value) for name, values in GOOD.items() for value in values])
def test_patroni_takes_what_we_take(name: str, value: Value) -> None:
    assert oracle()[name][1](dynamic_parameters({name: value})[name])


# Patroni reads numbers as PostgreSQL does, and knows no upper bound of them.
WIDER = {("max_connections", "1e3"), ("max_connections", 262_144)}


@pytest.mark.real
@pytest.mark.parametrize(
    "name,value", [(name, value) for name, values in BAD.items() for value in values if (name, value) not in WIDER]
)
def test_patroni_refuses_what_we_refuse_but_for_what_ends_postgresql(name: str, value: Value) -> None:
    assert not oracle()[name][1](str(value) if isinstance(value, bool) else value)


def test_what_members_must_agree_on_is_dynamic_and_the_rest_is_local() -> None:
    parameters: dict[str, Value] = {"Max_Connections": 200, "work_mem": "32MB", "jit": False, "wal_log_hints": True}

    assert dynamic_parameters(parameters) == {"max_connections": 200, "wal_log_hints": "on"}
    assert local_parameters(parameters) == {"jit": "off", "work_mem": "32MB"}


def test_a_rendered_file_has_each_parameter_where_patroni_reads_it() -> None:
    component = config(postgresql={"parameters": {"max_connections": 200, "work_mem": "32MB"}})
    file = file_of(rendered(component))

    assert file["bootstrap"]["dcs"]["postgresql"]["parameters"]["max_connections"] == 200
    assert file["postgresql"]["parameters"] == {"work_mem": "32MB"}


# --- names that PostgreSQL knows


def unknown(name: str, version: int = 18) -> tuple[str, str, str]:
    (fault,) = unknown_faults({name: "x"}, version)
    return fault.reason, fault.fix, fault.severity


@pytest.mark.parametrize(
    "name,meant", [("shared_bufers", "shared_buffers"), ("MAX_CONECTIONS", "max_connections"), ("work-mem", "work_mem")]
)
def test_a_slip_is_refused_with_what_was_meant(name: str, meant: str) -> None:
    reason, fix, severity = unknown(name)

    assert reason == "no parameter of PostgreSQL 18; Patroni leaves it out, and only its log says so"
    assert (fix, severity) == (f"did you mean '{meant}'?", "error")


def test_a_name_that_is_like_no_other_is_a_warning_since_a_minor_release_may_bring_it() -> None:
    _, fix, severity = unknown("zzz_qqq_xxyy")

    assert (fix, severity) == ("remove it; one of an extension is written extension.parameter", "warning")


@pytest.mark.parametrize(
    "name,version,told",
    [
        ("force_parallel_mode", 16, ": 15 was the last with it"),
        ("stats_temp_directory", 15, ": 14 was the last with it"),
        ("old_snapshot_threshold", 17, ": 16 was the last with it"),
        ("transaction_timeout", 16, ": it came with 17"),
        ("io_method", 14, ": it came with 18"),
    ],
)
def test_a_parameter_of_another_version_is_refused_with_that_version(name: str, version: int, told: str) -> None:
    reason, _, severity = unknown(name, version)

    assert f"no parameter of PostgreSQL {version}{told}; " in reason
    assert severity == "error"


@pytest.mark.parametrize(
    "name,version",
    [
        ("Shared_Buffers", 18),
        ("TimeZone", 14),
        ("force_parallel_mode", 15),
        ("enable_memoize", 14),
        ("restore_command", 16),
        ("recovery_min_apply_delay", 18),
        ("pg_stat_statements.max", 18),
        ("timescaledb.license", 17),
        ("anything.at_all", 14),
    ],
)
def test_what_a_version_or_an_extension_knows_passes(name: str, version: int) -> None:
    assert list(unknown_faults({name: "x"}, version)) == []


@pytest.mark.real
def test_the_table_is_what_its_tool_makes_of_the_installed_patroni() -> None:
    try:
        made = make_parameters.make_table()
    except make_parameters.SourceError as error:
        miss(str(error))

    assert make_parameters.TARGET.read_text("utf-8") == made


@pytest.mark.real
def test_postgresql_itself_lists_no_parameter_that_is_unknown_here() -> None:
    program = database_programs().bin_dir / "postgres"
    done = subprocess.run([program, "--describe-config"], capture_output=True, text=True, check=True)
    number = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.split()[2]
    names = [line.partition("\t")[0] for line in done.stdout.splitlines()]

    assert len(names) > 300
    assert list(unknown_faults(dict.fromkeys(names, "x"), int(number.split(".")[0]))) == []


@pytest.mark.real
@pytest.mark.parametrize("major", make_parameters.MAJORS)
def test_patroni_leaves_out_what_is_refused_and_takes_the_rest(major: int) -> None:
    if importlib.util.find_spec("patroni") is None:
        miss("patroni is not installed; to bring it: pip install 'aether-deploy[lab]'")
    judge = importlib.import_module("patroni.postgresql.validator")
    lists = {**dict(judge.parameters), **dict(judge.recovery_parameters)}
    newest = major * 10_000 + 9_999

    def takes(name: str) -> bool:
        return any(
            each.version_from <= newest and (each.version_till is None or major * 10_000 < each.version_till)
            for each in lists[name]
        )

    ours = {name for name in lists if not list(unknown_faults({name: "x"}, major))}

    assert ours - set(make_parameters.SINCE) == {name for name in lists if takes(name)} - set(make_parameters.SINCE)


def test_every_name_is_in_lower_case_and_in_order() -> None:
    names = list(known_parameters())

    assert names == sorted(name.lower() for name in names)
