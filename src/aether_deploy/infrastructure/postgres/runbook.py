"""What people do to a cluster by hand: commands that can be copied, and the settings that a running cluster takes."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from aether_deploy.infrastructure.estate import Estate
from aether_deploy.infrastructure.postgres.configuration import API_PORT, CONFIG_FOLDER, patch_body
from aether_deploy.infrastructure.postgres.groups import Group, groups_in, lock_names, scope_of, slot_of
from aether_deploy.infrastructure.postgres.rules import active_region

if TYPE_CHECKING:
    from aether_deploy.infrastructure.kinds.postgres import PostgresConfig


def runbooks(config: "PostgresConfig", estate: Estate) -> Mapping[str, str]:
    """Return the runbook of a component and the body of ``PATCH /config`` for each of its regions."""
    active = active_region(config) or ""
    found = {f"{config.name}.md": _text(config, estate, active)}
    for code in config.placed_in(estate):
        body = json.dumps(patch_body(config, code), indent=2, sort_keys=True)
        found[patch_file(config, code)] = f"{body}\n"
    return found


def patch_file(config: "PostgresConfig", region: str) -> str:
    """Return the name of the file with a region's body of ``PATCH /config``."""
    middle = "" if region == active_region(config) else f"-{region}"
    return f"{config.name}-patch-config{middle}.json"


def _text(config: "PostgresConfig", estate: Estate, active: str) -> str:
    parts = [
        _HEAD.format(name=config.name, namespace=estate.data_namespace, clusters=_clusters(config, estate)),
        _daily(config, estate, active),
        _settings(config, estate, active),
    ]
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


def _exec(config: "PostgresConfig", estate: Estate, group: Group, *, stdin: bool = False) -> str:
    flag = " -i" if stdin else ""
    return f"kubectl -n {estate.data_namespace} exec{flag} {group.part}-0 -c postgres --"


def _control(config: "PostgresConfig", estate: Estate, group: Group) -> str:
    file = "" if config.image_kind == "spilo" else f" -c {CONFIG_FOLDER}/{group.file}"
    return f"{_exec(config, estate, group)} patronictl{file}"


def _daily(config: "PostgresConfig", estate: Estate, active: str) -> str:
    group = groups_in(config, active)[0]
    citus = "" if group.number is None else f" --group {group.number}"
    other = f"{group.part}-{min(1, group.members - 1)}"
    return _DAILY.format(
        control=_control(config, estate, group),
        scope=scope_of(config, active),
        citus=citus,
        other=other,
        synchronous=_SYNCHRONOUS if config.failover.is_synchronous else _ASYNCHRONOUS,
        lag=config.failover.maximum_lag_on_failover,
    )


def _settings(config: "PostgresConfig", estate: Estate, active: str) -> str:
    commands = []
    for code in config.placed_in(estate):
        for group in groups_in(config, code):
            patch = f"curl --fail --silent --request PATCH --data @- http://127.0.0.1:{API_PORT}/config"
            run = _exec(config, estate, group, stdin=True)
            commands.append(f"{run} \\\n  {patch} < {patch_file(config, code)}")
    group = groups_in(config, active)[0]
    return _SETTINGS.format(
        commands="\n".join(commands), control=_control(config, estate, group), scope=scope_of(config, active)
    )


def _disaster(config: "PostgresConfig", estate: Estate, active: str, standby: str) -> str:
    group = groups_in(config, standby)[0]
    former = groups_in(config, active)[0]
    follow = {"standby_cluster": {"host": _host(config, estate, standby), "port": 5432}}
    follow["standby_cluster"]["primary_slot_name"] = scope_of(config, active).replace("-", "_")
    return _DISASTER.format(
        active=active,
        standby=standby,
        run=_exec(config, estate, group, stdin=True),
        former=_exec(config, estate, former, stdin=True),
        control=_control(config, estate, group),
        scope=scope_of(config, standby),
        former_scope=scope_of(config, active),
        former_control=_control(config, estate, former),
        port=API_PORT,
        name=config.name,
        slot=slot_of(config),
        follow=json.dumps(follow, separators=(",", ":")),
        back=json.dumps(
            {"slots": {scope_of(config, active).replace("-", "_"): {"type": "physical"}}}, separators=(",", ":")
        ),
    )


def _host(config: "PostgresConfig", estate: Estate, code: str) -> str:
    region = estate.region(code)
    words = {"region": code, "environment": estate.environment, "cluster": region.cluster if region else code}
    return (config.endpoint or "{region}").format_map(words)


_HEAD = """\
# {name}: by hand

Namespace `{namespace}`. Each command runs in the Kubernetes cluster that the table names.

{clusters}

These ConfigMaps are Patroni's memory: never delete one while members run.
"""

_SYNCHRONOUS = "A replica that was not synchronous may lack writes that were acknowledged; `list` shows which are."
_ASYNCHRONOUS = "Writes that the former primary acknowledged and this replica has not got are lost."

_DAILY = """\
## Who leads

```sh
{control} list {scope}{citus}
```

Healthy is: one `Leader` that is `running`, all others `streaming`, one timeline, lag 0.

## Let another member lead (planned)

Writes stop for about 2.5 seconds. No write is lost.

```sh
{control} switchover {scope}{citus} --candidate {other} --force
```

## Let a member lead though nobody takes over

Only where `list` shows no leader and none comes. Every replica may be more than {lag} bytes behind what the
primary last said: then Patroni waits for a human. This command does not look at the lag. {synchronous}

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
leaves alone what it does not, and removes what it sets to null; all members have it within one `loop_wait`.

```sh
{commands}
```

A parameter that needs a restart is then `pending restart` in `list`. Where it went up, restart the replicas first
(`--role replica`); where it went down, the primary (`--role primary`): no replica runs with less than its primary.

```sh
{control} restart {scope} --pending --force
```
"""

_DISASTER = """\
## The region {active} is lost

`{standby}` follows it and never takes over by itself: two regions cannot tell a lost region from a lost link. What
{active} acknowledged and {standby} has not received is lost.

1. Make sure that {active} takes no more writes: its clusters are gone, or scaled to nothing, or cut off for good.
2. Promote, in {standby}. It is writable within a second.

   ```sh
   echo '{{"standby_cluster":null}}' | {run} \\
     curl --fail --silent --request PATCH --data @- http://127.0.0.1:{port}/config
   {control} list {scope}
   ```

3. Send clients there: in aether.yaml set `regions: [{standby}]` and `standby: {{region: {active}, …}}` (or `none`), for
   `{name}`, and publish. The Service `{name}` then leads to {standby} from everywhere.

## The standby goes for good

Its slot keeps all WAL on the primary until the disk is full. After `standby: none` is published, in {active}:

```sh
echo '{{"slots":{{"{slot}":null}}}}' | {former} \
  curl --fail --silent --request PATCH --data @- http://127.0.0.1:{port}/config
```

## The region {active} returns

It still believes that it is the primary. Before anybody can reach it:

1. Let {standby} keep WAL for it, in {standby}:

   ```sh
   echo '{back}' | {run} \\
     curl --fail --silent --request PATCH --data @- http://127.0.0.1:{port}/config
   ```

2. Let it follow, in {active}. `{slot}` is needed there no more.

   ```sh
   echo '{follow}' | {former} \\
     curl --fail --silent --request PATCH --data @- http://127.0.0.1:{port}/config
   {former_control} list {former_scope}
   ```

3. A member that does not come to `streaming` has writes that {standby} never got. Save them if they matter, then copy
   it anew with `reinit`.
"""
