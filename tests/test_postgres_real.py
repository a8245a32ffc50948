"""Patroni's own check, PostgreSQL itself and Patroni's commands judge what is rendered for a cluster."""

import importlib
import json
import os
import re
import shlex
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from aether_deploy.infrastructure.kinds.postgres import PostgresConfig
from aether_deploy.infrastructure.postgres.configuration import dynamic_configuration, patch_body
from aether_deploy.infrastructure.postgres.examples import EXAMPLES
from aether_deploy.lab.patroni.programs import PatroniPrograms
from aether_deploy.lab.processes import free_ports
from tests.patroni_cases import database_programs
from tests.postgres_cases import PATRONI, SHARDED, STANDBY, Body, config, container_of, estate, rendered

pytestmark = pytest.mark.real

VARIANTS: Mapping[str, dict[str, Any]] = {
    "plain": {"image": PATRONI},
    "quorum": {"image": PATRONI, "failover": {"synchronous_mode": "quorum", "failsafe_mode": True}},
    "source": {"image": PATRONI, **STANDBY},
    "standby": {"image": PATRONI, **STANDBY},
    "sharded": {**SHARDED},
    "encrypted": {"image": PATRONI, "tls": {"secret": "tls"}},
    "tuned": {
        "image": PATRONI,
        "postgresql": {"parameters": {"max_connections": 200, "work_mem": "32MB", "wal_keep_size": "1GB"}},
    },
}
REGIONS = {"standby": "eu-west-1"}


def environment(container: Body, folder: Path, programs: PatroniPrograms) -> dict[str, str]:
    """Return the variables of a container as its pod would have them, with folders and programs of this machine."""
    found: dict[str, str] = {}
    for each in container["env"]:
        if "value" in each:
            found[each["name"]] = re.sub(r"\$\((\w+)\)", lambda match: found[match[1]], each["value"])
        elif "fieldRef" in each["valueFrom"]:
            paths = {"metadata.name": "accounts-0", "status.podIP": "10.1.2.3"}
            found[each["name"]] = paths[each["valueFrom"]["fieldRef"]["fieldPath"]]
        else:
            found[each["name"]] = "secret"
    return {
        "PATH": os.environ["PATH"],
        **found,
        "PATRONI_POSTGRESQL_BIN_DIR": str(programs.bin_dir),
        "PATRONI_POSTGRESQL_DATA_DIR": str(folder / "data"),
    }


def validate(objects: Mapping[tuple[str, str], Body], folder: Path, edit: tuple[str, str] = ("", "")) -> list[str]:
    """Return what ``patroni --validate-config`` says of every file of a component, after an edit of its text."""
    programs = database_programs()
    ((_, name),) = [key for key in objects if key[0] == "ConfigMap"]
    files = {key: text for key, text in objects["ConfigMap", name]["data"].items() if key.endswith(".yml")}
    parts = [key[1] for key in objects if key[0] == "StatefulSet"]
    assert len(files) == len(parts)
    said = []
    for part, (file, text) in zip(sorted(parts), sorted(files.items()), strict=True):
        path = folder / file
        path.write_text(text.replace(*edit) if edit[0] else text)
        variables = environment(container_of(dict(objects), part), folder, programs)
        command = [*programs.prefix, *programs.patroni, "-i", "--validate-config", str(path)]
        done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
        said += [f"{file}: {line}" for line in (done.stdout + done.stderr).splitlines()]
        said += [f"{file}: exit code {done.returncode}"] if done.returncode else []
    return said


@pytest.mark.parametrize("variant", VARIANTS)
def test_patronis_own_check_has_nothing_to_say(variant: str, tmp_path: Path) -> None:
    component = config(**VARIANTS[variant])

    assert validate(rendered(component, REGIONS.get(variant, "us-east-1")), tmp_path) == []


@pytest.mark.parametrize(
    "edit",
    [
        ("ttl: 30", "ttl: 19"),
        ("maximum_lag_on_failover: 1048576", "maximum_lag_on_failover: 1MB"),
        ("username: replicator", "nobody: replicator"),
        ('listen: "0.0.0.0:5432"', 'listen: "nowhere"'),
        ("loop_wait: 10", "loop_wait: 0"),
    ],
)
def test_patronis_own_check_has_teeth(edit: tuple[str, str], tmp_path: Path) -> None:
    assert validate(rendered(config(image=PATRONI)), tmp_path, edit)


# --- PostgreSQL itself


class Server:
    """A PostgreSQL that was initialised as a component says, with its access rules and parameters."""

    def __init__(self, component: PostgresConfig, folder: Path) -> None:
        self.programs = database_programs()
        self.folder = folder
        (self.port,), self._held = free_ports(1)
        self.objects = rendered(component)
        import yaml

        self.file = yaml.safe_load(self.objects["ConfigMap", "accounts-config"]["data"]["patroni.yml"])
        self._initialise()

    def run(self, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
        path = f"{self.programs.bin_dir}:{os.environ['PATH']}"
        told = {**os.environ, "PATH": path, "LC_ALL": "C", "PGPASSWORD": "root-secret", **variables}
        whole = [*self.programs.prefix, *command]
        return subprocess.run(whole, env=told, capture_output=True, text=True, check=False, timeout=240)

    def _initialise(self) -> None:
        password = self.folder / "password"
        password.write_text("root-secret\n")
        options = []
        for each in self.file["bootstrap"]["initdb"]:
            pairs = each.items() if isinstance(each, dict) else [(each, None)]
            options += [f"--{key}" if value is None else f"--{key}={value}" for key, value in pairs]
        data = str(self.folder / "data")
        done = self.run("initdb", "-D", data, "-U", "postgres", f"--pwfile={password}", *options)
        assert done.returncode == 0, done.stderr
        hba = [line for line in self.file["postgresql"]["pg_hba"] if not line.startswith("local all postgres")]
        (self.folder / "data" / "pg_hba.conf").write_text("\n".join(hba) + "\n")
        said = {**self.file["postgresql"]["parameters"], **self.file["bootstrap"]["dcs"]["postgresql"]["parameters"]}
        said |= {"unix_socket_directories": "", "listen_addresses": "127.0.0.1", "port": self.port}
        lines = [f"{name} = '{value}'" for name, value in said.items()]
        with (self.folder / "data" / "postgresql.conf").open("a") as conf:
            conf.write("\n".join(lines) + "\n")

    def __enter__(self) -> "Server":
        command = [*self.programs.prefix, str(self.programs.bin_dir / "postgres"), "-D", str(self.folder / "data")]
        self.log = (self.folder / "log").open("w")
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log, env={**os.environ, "LC_ALL": "C"})
        deadline = time.monotonic() + 180
        while self.run("pg_isready", "-h", "127.0.0.1", "-p", str(self.port)).returncode != 0:
            ended = self.process.poll() is not None or time.monotonic() > deadline
            assert not ended, (self.folder / "log").read_text()
            time.sleep(0.1)
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(timeout=180)
        self.log.close()
        for each in self._held:
            each.close()

    def sql(
        self, text: str, *, user: str = "postgres", database: str = "postgres", password: str = "root-secret"
    ) -> str:
        where = f"host=127.0.0.1 port={self.port} user={user} dbname={database}"
        done = self.run("psql", "-X", "-A", "-t", "-d", where, "-c", text, PGPASSWORD=password)
        return done.stdout.strip() if done.returncode == 0 else f"refused: {done.stderr.strip()}"

    def first_start(self, username: str, password: str) -> subprocess.CompletedProcess[str]:
        """Run what Patroni runs once, with the Secret's files where this machine has them."""
        secret = self.folder / "secret"
        secret.mkdir()
        (secret / "username").write_text(username)
        (secret / "password").write_text(password)
        script = self.objects["ConfigMap", "accounts-config"]["data"]["post-init.sh"]
        path = self.folder / "post-init.sh"
        path.write_text(script.replace("/run/aether/credentials", str(secret)))
        return self.run("/bin/sh", str(path), f"host=127.0.0.1 port={self.port} user=postgres dbname=postgres")


PARAMETERS = {"log_statement": "all", "log_min_duration_statement": 0, "work_mem": "32MB", "max_connections": 50}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    component = config(image=PATRONI, postgresql={"parameters": PARAMETERS})
    with Server(component, tmp_path_factory.mktemp("pg")) as running:
        done = running.first_start('app\'s "user"', "it's 'quoted' \\ $x")
        assert done.returncode == 0, done.stderr
        yield running


def test_postgresql_reads_every_access_rule_and_parameter(server: Server) -> None:
    faults = server.sql("SELECT count(*) FROM pg_hba_file_rules WHERE error IS NOT NULL")

    assert faults == "0"
    assert server.sql("SHOW work_mem") == "32MB"
    assert server.sql("SHOW max_connections") == "50"
    assert server.sql("SHOW data_checksums") == "on"


def test_texts_are_ordered_alike_whatever_the_image(server: Server) -> None:
    assert server.sql("SELECT datcollate FROM pg_database WHERE datname = 'accounts'") == "C.UTF-8"


def test_the_first_user_owns_the_first_database_and_logs_in_by_the_secret(server: Server) -> None:
    owner = server.sql("SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'accounts'")

    assert owner == 'app\'s "user"'


def test_the_first_user_may_make_tables_and_no_more(server: Server) -> None:
    login = {"user": "'app\\'s \"user\"'", "database": "accounts", "password": "it's 'quoted' \\ $x"}

    assert server.sql("CREATE TABLE t (x int)", **login) == "CREATE TABLE"
    assert "permission denied" in server.sql("CREATE ROLE other", **login)


def test_a_wrong_password_lets_nobody_in(server: Server) -> None:
    assert "password authentication failed" in server.sql("SELECT 1", password="wrong")


def test_no_log_holds_the_password_though_everything_is_logged(server: Server) -> None:
    log = (server.folder / "log").read_text()

    assert "SHOW work_mem" in log or "CREATE TABLE t" in log
    assert "quoted" not in log


def by_hand(server: Server, component: PostgresConfig, what: str) -> str:
    """Run the SQL of a runbook that has ``what`` in it, with the Secret's files where this machine has them."""
    text = component.runbooks(estate())["accounts.md"]
    (block,) = [each for each in re.findall(r"<<'SQL'\n(.*?)^SQL$", text, re.M | re.S) if what in each]
    file = server.folder / "by-hand.sql"
    file.write_text(block.replace("/run/aether/credentials", str(server.folder / "secret")))
    where = f"host=127.0.0.1 port={server.port} user=postgres dbname=postgres"
    done = server.run("psql", "-X", "--set=ON_ERROR_STOP=1", "-d", where, "-f", str(file), PGPASSWORD="root-secret")
    return done.stderr


def test_the_runbook_makes_another_database_for_the_same_user(server: Server) -> None:
    told = by_hand(server, config(image=PATRONI, database="lobby"), "CREATE DATABASE")
    owner = server.sql("SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'lobby'")

    assert told == ""
    assert owner == 'app\'s "user"'


def test_the_runbook_changes_a_password_and_no_log_has_it(server: Server) -> None:
    file = server.folder / "secret" / "password"
    former = file.read_text()
    login = {"user": "'app\\'s \"user\"'", "database": "accounts"}
    file.write_text("an'other one \\")
    told = by_hand(server, config(image=PATRONI), "ALTER ROLE")
    changed = server.sql("SELECT 1", **login, password="an'other one \\")
    refused = server.sql("SELECT 1", **login, password=former)
    file.write_text(former)
    by_hand(server, config(image=PATRONI), "ALTER ROLE")

    assert (told, changed) == ("", "1")
    assert "password authentication failed" in refused
    assert "other one" not in (server.folder / "log").read_text()


# --- Patroni's commands and what a PATCH does


def commands(component: PostgresConfig) -> list[list[str]]:
    text = component.runbooks(estate())[f"{component.name}.md"].replace("\\\n", "")
    lines = [line.strip() for line in text.splitlines() if " patronictl" in line]
    return [shlex.split(line.partition(" patronictl ")[2]) for line in lines]


def knows(options: list[str]) -> bool:
    """Whether ``patronictl`` has a command with these options; help is shown once all of them were read."""
    import click

    command = importlib.import_module("patroni.ctl").ctl.commands[options[0]]
    try:
        command.make_context(options[0], [*options[1:], "--help"])
    except click.exceptions.Exit as shown:
        return shown.exit_code == 0
    except click.UsageError:
        return False
    raise AssertionError(options)


@pytest.mark.parametrize("settings", [{}, {"image": PATRONI}, dict(STANDBY), dict(SHARDED)])
def test_patronictl_knows_every_command_of_the_runbook(settings: dict[str, Any]) -> None:
    database_programs()
    found = commands(config(**settings))

    assert {"list", "switchover", "failover", "reinit", "restart"} <= {word for line in found for word in line}
    for line in found:
        assert knows(line[2:] if line[0] == "-c" else line)
    assert not knows(["switchover", "accounts", "--target", "accounts-1"])


@pytest.mark.parametrize("title", EXAMPLES)
def test_a_patch_brings_a_cluster_of_other_settings_to_ours(title: str) -> None:
    """Patroni's own merge, from another description of the same cluster."""
    database_programs()
    patch_config = importlib.import_module("patroni.utils").patch_config
    component = PostgresConfig.from_values({"kind": "postgres", **EXAMPLES[title]})
    region = str(component.regions[0])
    former = PostgresConfig.from_values(
        {
            **component.to_values(),
            "failover": {"ttl": 120, "check_timeline": True, "primary_start_timeout": 0},
            "postgresql": {"parameters": {"max_connections": 999, "wal_level": "logical", "max_wal_senders": 20}},
        }
    )
    running = json.loads(json.dumps(dynamic_configuration(former, region)))
    changed = patch_config(running, patch_body(component, region))

    assert changed
    assert running == dynamic_configuration(component, region)
    assert not patch_config(running, patch_body(component, region))


@pytest.mark.parametrize("title", EXAMPLES)
def test_the_daemon_makes_of_ours_what_stands_there(title: str) -> None:
    """Neither limits nor sums are adjusted, and no parameter is replaced."""
    database_programs()
    daemon = importlib.import_module("patroni.config").Config
    component = PostgresConfig.from_values({"kind": "postgres", **EXAMPLES[title]})
    dynamic = dynamic_configuration(component, str(component.regions[0]))
    processed = daemon._process_postgresql_parameters(dynamic["postgresql"]["parameters"])

    assert processed == dynamic["postgresql"]["parameters"]
    assert dynamic["loop_wait"] + 2 * dynamic["retry_timeout"] <= dynamic["ttl"]
