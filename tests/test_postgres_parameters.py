"""Parameters of PostgreSQL: Patroni's own are refused, and each other one stands where Patroni reads it."""

import importlib
import importlib.util
from typing import Any

import pytest

from aether_deploy.infrastructure.postgres.parameters import (
    DYNAMIC,
    OWNED,
    Value,
    dynamic_parameters,
    local_parameters,
    parameter_faults,
)
from tests.postgres_cases import config, file_of, rendered
from tests.real import miss


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
