"""What people do to a cluster by hand: commands that can be copied, and the settings that a running cluster takes."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from aether_deploy.infrastructure.estate import Estate
from aether_deploy.infrastructure.postgres.configuration import API_PORT, CONFIG_FOLDER, POSTGRES_PORT, patch_body
from aether_deploy.infrastructure.postgres.containers import LOGIN_FOLDER
from aether_deploy.infrastructure.postgres.groups import (
    ROLE,
    SCOPE,
    Group,
    groups_in,
    lock_names,
    scope_of,
    slot_for,
    slot_of,
)
from aether_deploy.infrastructure.postgres.shell import functions

if TYPE_CHECKING:
    from aether_deploy.infrastructure.kinds.postgres import PostgresConfig


PROMOTE = '{"standby_cluster": null}'
"""The body of ``PATCH /config`` by which a standby becomes a cluster of its own."""

_PATCH = "curl --fail --silent --show-error --request PATCH --data {body} http://127.0.0.1:" + f"{API_PORT}/config"


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
        parts.append(_disaster(config, estate, active, config.standby.region))
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


def _on(config: "PostgresConfig", estate: Estate, code: str, group: Group, *, role: str | None = None) -> str:
    """Return the words that choose a member of a cluster: ``us-east-1 aether.io/scope=accounts-us-east-1``."""
    region = estate.region(code)
    labels = {SCOPE: scope_of(config, code), **group.labels, **({} if role is None else {ROLE: role})}
    return f"{region.cluster if region else code} {','.join(f'{name}={value}' for name, value in labels.items())}"


def _control(config: "PostgresConfig", estate: Estate, code: str, group: Group) -> str:
    file = "" if config.image_kind == "spilo" else f" -c {CONFIG_FOLDER}/{group.file}"
    return f"on {_on(config, estate, code, group)} patronictl{file}"


def _patch(config: "PostgresConfig", estate: Estate, code: str, group: Group, body: str) -> str:
    return f"on {_on(config, estate, code, group)} \\\n  {_PATCH.format(body=body)}"


def _daily(config: "PostgresConfig", estate: Estate, active: str) -> str:
    group = groups_in(config, active)[0]
    return _DAILY.format(
        control=_control(config, estate, active, group),
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
        _patch(config, estate, code, group, f'"$(cat {patch_file(config, code)})"')
        for code in config.placed_in(estate)
        for group in groups_in(config, code)
    ]
    group = groups_in(config, active)[0]
    return _SETTINGS.format(
        commands="\n".join(commands),
        control=_control(config, estate, active, group),
        scope=scope_of(config, active),
        citus=_citus(group),
    )


def _users(config: "PostgresConfig", estate: Estate, active: str) -> str:
    primary = _on(config, estate, active, groups_in(config, active)[0], role="primary")
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
    primary = _on(config, estate, active, group, role="primary")
    spilo = _IN_PLACE.format(primary=primary, members=group.members) if config.image_kind == "spilo" else ""
    return _VERSION.format(name=config.name, primary=primary, database=config.database) + spilo


def _disaster(config: "PostgresConfig", estate: Estate, active: str, standby: str) -> str:
    group, former = groups_in(config, standby)[0], groups_in(config, active)[0]
    slot, back = slot_of(config), slot_for(config, active)
    follow = {"host": _host(config, estate, standby), "port": POSTGRES_PORT, "primary_slot_name": back}

    def patch(code: str, which: Group, body: object) -> str:
        return _patch(config, estate, code, which, f"'{json.dumps(body)}'")

    return _DISASTER.format(
        active=active,
        standby=standby,
        name=config.name,
        slot=slot,
        promote=_indented(patch(standby, group, json.loads(PROMOTE))),
        control=_control(config, estate, standby, group),
        scope=scope_of(config, standby),
        former_scope=scope_of(config, active),
        former_control=_control(config, estate, active, former),
        let_go=patch(active, former, {"slots": {slot: None}}),
        keep=_indented(patch(standby, group, {"slots": {back: {"type": "physical"}}})),
        follow=_indented(patch(active, former, {"standby_cluster": follow})),
    )


def _indented(text: str) -> str:
    return text.replace("\n", "\n   ")


def _host(config: "PostgresConfig", estate: Estate, code: str) -> str:
    return estate.filled(config.endpoint or "{region}", code)


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

_DISASTER = """\
## The region {active} is lost

`{standby}` follows it and never takes over by itself: two regions cannot tell a lost region from a lost link. What
{active} acknowledged and {standby} has not received is lost.

1. Make sure that {active} takes no more writes: its clusters are gone, or scaled to nothing, or cut off for good.
2. Promote, in {standby}. It is writable within a second.

   ```sh
   {promote}
   {control} list {scope}
   ```

3. Send clients there: in aether.yaml set `regions: [{standby}]` and `standby: {{region: {active}, …}}` (or `none`), for
   `{name}`, and publish. The Service `{name}` then leads to {standby} from everywhere.

## The standby goes for good

Its slot keeps all WAL on the primary until the disk is full. After `standby: none` is published, in {active}:

```sh
{let_go}
```

## The region {active} returns

It still believes that it is the primary. Before anybody can reach it:

1. Let {standby} keep WAL for it, in {standby}:

   ```sh
   {keep}
   ```

2. Let it follow, in {active}. `{slot}` is needed there no more.

   ```sh
   {follow}
   {former_control} list {former_scope}
   ```

3. A member that does not come to `streaming` has writes that {standby} never got. Save them if they matter, then copy
   it anew with `reinit`.
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
