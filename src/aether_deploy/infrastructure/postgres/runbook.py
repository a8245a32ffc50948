"""What people do to a cluster by hand: commands that can be copied, and the settings that a running cluster takes."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from aether_deploy.infrastructure.estate import Estate
from aether_deploy.infrastructure.postgres.commands import choosing, control_of, patch_of
from aether_deploy.infrastructure.postgres.configuration import patch_body
from aether_deploy.infrastructure.postgres.containers import LOGIN_FOLDER
from aether_deploy.infrastructure.postgres.groups import Group, groups_in, lock_names, scope_of
from aether_deploy.infrastructure.postgres.region_loss import gone_text, lost_text, returned_text
from aether_deploy.infrastructure.postgres.shell import functions

if TYPE_CHECKING:
    from aether_deploy.infrastructure.kinds.postgres import PostgresConfig


def runbooks(config: "PostgresConfig", estate: Estate) -> Mapping[str, str]:
    """Return the runbook of a component and the body of ``PATCH /config`` for each of its regions."""
    active = config.active_in(estate) or ""
    found = {f"{config.name}.md": _text(config, estate, active)}
    for code in config.placed_in(estate):
        body = json.dumps(patch_body(config, code), indent=2, sort_keys=True)
        found[patch_file(config, code)] = f"{body}\n"
    return found


def patch_file(config: "PostgresConfig", region: str) -> str:
    """Return the name of the file with a region's body of ``PATCH /config``."""
    follows = config.standby is not None and region == config.standby.region
    return f"{config.name}-patch-config{f'-{region}' if follows else ''}.json"


def _text(config: "PostgresConfig", estate: Estate, active: str) -> str:
    head = _HEAD.format(name=config.name, namespace=estate.data_namespace, clusters=_clusters(config, estate))
    parts = [head, functions(estate.data_namespace), _daily(config, estate, active), _settings(config, estate, active)]
    if config.sharding is None:
        parts.append(_users(config, estate, active))
    parts.append(_version(config, estate, active))
    if config.standby is not None:
        standby = config.standby.region
        for title, text in (
            (f"The region {active} is lost", lost_text(config, estate, active, standby)),
            ("The standby goes for good", gone_text(config, estate, active)),
            (f"The region {active} returns", returned_text(config, estate, active, standby)),
        ):
            parts.append(f"## {title}\n\n{text}")
    return "\n".join(parts)


def _clusters(config: "PostgresConfig", estate: Estate) -> str:
    lines = ["| Kubernetes cluster | Patroni cluster | members | state in ConfigMaps |", "| --- | --- | --- | --- |"]
    for code in config.placed_in(estate):
        region = estate.region(code)
        for group in groups_in(config, code):
            scope = scope_of(config, code)
            title = scope if group.number is None else f"{scope}, group {group.number}"
            names = f"`{group.part}-0` to `{group.part}-{group.members - 1}`"
            state = ", ".join(f"`{name}`" for name in lock_names(scope, group))
            lines.append(f"| {region.cluster if region else code} | {title} | {names} | {state} |")
    return "\n".join(lines)


def _daily(config: "PostgresConfig", estate: Estate, active: str) -> str:
    group = groups_in(config, active)[0]
    return _DAILY.format(
        control=control_of(config, estate, active, group),
        scope=scope_of(config, active),
        citus=_citus(group),
        other=f"{group.part}-{min(1, group.members - 1)}",
        synchronous=_SYNCHRONOUS if config.failover.is_synchronous else _ASYNCHRONOUS,
        lag=config.failover.maximum_lag_on_failover,
        groups="" if group.number is None else _GROUPS,
    )


def _citus(group: Group) -> str:
    return "" if group.number is None else f" --group {group.number}"


def _settings(config: "PostgresConfig", estate: Estate, active: str) -> str:
    commands = [
        patch_of(config, estate, code, group, f'"$(cat {patch_file(config, code)})"')
        for code in config.placed_in(estate)
        for group in groups_in(config, code)
    ]
    group = groups_in(config, active)[0]
    return _SETTINGS.format(
        commands="\n".join(commands),
        control=control_of(config, estate, active, group),
        scope=scope_of(config, active),
        citus=_citus(group),
    )


def _users(config: "PostgresConfig", estate: Estate, active: str) -> str:
    primary = choosing(config, estate, active, groups_in(config, active)[0], role="primary")
    return _USERS.format(
        primary=primary,
        folder=LOGIN_FOLDER,
        database=config.database,
        credentials=config.credentials,
        name=config.name,
        namespace=estate.data_namespace,
        workloads=estate.namespace,
    )


def _version(config: "PostgresConfig", estate: Estate, active: str) -> str:
    group = groups_in(config, active)[0]
    primary = choosing(config, estate, active, group, role="primary")
    spilo = _IN_PLACE.format(primary=primary, members=group.members) if config.image_kind == "spilo" else ""
    return _VERSION.format(name=config.name, primary=primary, database=config.database) + spilo


_HEAD = """\
# {name}: by hand

Namespace `{namespace}`.

{clusters}

These ConfigMaps are Patroni's memory: never delete one while members run.
"""

_SYNCHRONOUS = "A replica that was not synchronous may lack writes that were acknowledged; `list` shows which are."
_ASYNCHRONOUS = "Writes that the former primary acknowledged and this replica has not got are lost."

_GROUPS = """
Each group of Citus is a cluster of its own: for another one change `--group`, `citus-group` and the file."""

_DAILY = """\
## Who leads

```sh
{control} list {scope}{citus}
```

Healthy is: one `Leader` that is `running`, all others `streaming`, one timeline, lag 0. Members that commands name are
examples: take one that `list` shows.{groups}

## Let another member lead (planned)

Writes stop for about 2.5 seconds. No write is lost.

```sh
{control} switchover {scope}{citus} --candidate {other} --force
```

## Let a member lead though nobody takes over

Only where `list` shows no leader and none comes. Every replica may be more than {lag} bytes behind what the
primary last said: then Patroni waits for a human. This command does not look at the lag.
{synchronous}

```sh
{control} failover {scope}{citus} --candidate {other} --force
```

## Copy a member anew

Where a former primary does not come back, or a replica lacks WAL that is gone.

```sh
{control} reinit {scope}{citus} {other} --force
```

## Keep Patroni's hands off

Nobody takes over while the cluster is paused, and nothing is restarted.

```sh
{control} pause {scope}{citus} --wait
{control} resume {scope}{citus} --wait
```
"""

_SETTINGS = """\
## Change settings of the running cluster

What stands under `failover`, and parameters of PostgreSQL that all members share (`max_connections`, `wal_level` …),
are read from the tree once, when the cluster is first made. Later they are changed by a PATCH. It sets what it names,
leaves alone what it does not, and removes what it sets to null; all members have it within one `loop_wait`. Another
`ttl` or `loop_wait` is another time that the readiness probe waits, so that publishing it rolls the members: PATCH
first.

```sh
{commands}
```

A parameter that needs a restart is then `pending restart` in `list`. Where it went up, restart the replicas first
(`--role replica`); where it went down, the primary (`--role primary`): no replica runs with less than its primary.

```sh
{control} restart {scope}{citus} --pending --force
```
"""

_USERS = """\
## Users and databases

A script made the user of Secret `{credentials}` and its database when the cluster was made, and never runs
again. What changes later is made by SQL. Another `database` in aether.yaml:

```sh
sql {primary} postgres <<'SQL'
\\set username `cat {folder}/username`
SELECT format('CREATE DATABASE %I OWNER %I', '{database}', :'username') \\gexec
SQL
```

Another password in `{credentials}`, of `{namespace}` and of `{workloads}`, a minute or two
after the Secret has it:

```sh
sql {primary} postgres <<'SQL'
\\set username `cat {folder}/username`
\\set password `cat {folder}/password`
SET log_statement = 'none';
SET log_min_error_statement = 'panic';
SET log_min_duration_statement = -1;
SELECT format('ALTER ROLE %I PASSWORD %L', :'username', :'password') \\gexec
SQL
```

Passwords of `{name}-members` are those of `postgres`, the replicas and `pg_rewind`: change them by `ALTER ROLE`, and
restart the pods after the Secret is changed.
"""

_VERSION = """\
## Another major version

PostgreSQL reads no data of another one. Make a second component with the new version, keep writers away from
`{name}`, copy, and name the second one in `uses`:

```sh
on {primary} pg_dump --username=postgres --no-owner {database} > {name}.sql
```

Its own runbook has `sql`, by which that file is read into it.
"""

_IN_PLACE = """
Spilo can also upgrade in place, upwards, where its image has both versions. Publish the new `postgresql.version`: the
members roll and keep running the old one. Try it on a copy, dump, see all members stream, and then:

```sh
on {primary} python3 /scripts/inplace_upgrade.py {members}
```

Nobody writes meanwhile. A standby does not follow it: make its cluster anew.
"""
