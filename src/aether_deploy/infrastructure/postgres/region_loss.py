"""What people do when the region of a database is lost, when it returns, and when a standby goes for good."""

import json
from typing import TYPE_CHECKING

from aether_deploy.infrastructure.estate import Estate
from aether_deploy.infrastructure.postgres.commands import PROMOTE, control_of, patch_of
from aether_deploy.infrastructure.postgres.configuration import POSTGRES_PORT
from aether_deploy.infrastructure.postgres.groups import groups_in, scope_of, slot_for, slot_of
from aether_deploy.infrastructure.postgres.shell import functions
from aether_deploy.infrastructure.recovery import NOTHING_TO_DO, Recovery

if TYPE_CHECKING:
    from aether_deploy.infrastructure.kinds.postgres import PostgresConfig


def recovery_by_patroni(config: "PostgresConfig", estate: Estate, region: str) -> Recovery:
    """Return what somebody does when ``region`` is lost: promote the standby, or let go of it."""
    active = config.active_in(estate)
    if config.standby is None or active is None or region not in (active, config.standby.region):
        return NOTHING_TO_DO
    standby, helpers = config.standby.region, functions(estate.data_namespace)
    if region == standby:
        return Recovery(functions=helpers, gone=gone_text(config, estate, active))
    return Recovery(
        functions=helpers,
        lost=lost_text(config, estate, active, standby),
        returned=returned_text(config, estate, active, standby),
        fenced=tuple(group.part for group in groups_in(config, active)),
    )


def lost_text(config: "PostgresConfig", estate: Estate, active: str, standby: str) -> str:
    """Return how the standby takes the place of a region that is lost."""
    group = groups_in(config, standby)[0]
    return _LOST.format(
        active=active,
        standby=standby,
        name=config.name,
        promote=_indented(_patch(config, estate, standby, json.loads(PROMOTE))),
        control=control_of(config, estate, standby, group),
        scope=scope_of(config, standby),
    )


def gone_text(config: "PostgresConfig", estate: Estate, active: str) -> str:
    """Return how the primary lets go of a standby that does not come back."""
    return _GONE.format(active=active, let_go=_patch(config, estate, active, {"slots": {slot_of(config): None}}))


def returned_text(config: "PostgresConfig", estate: Estate, active: str, standby: str) -> str:
    """Return how a region that is back follows the one that took its place."""
    back = slot_for(config, active)
    host = estate.filled(config.endpoint or "{region}", standby)
    follow = {"host": host, "port": POSTGRES_PORT, "primary_slot_name": back}
    return _RETURNED.format(
        active=active,
        standby=standby,
        name=config.name,
        slot=slot_of(config),
        keep=_indented(_patch(config, estate, standby, {"slots": {back: {"type": "physical"}}})),
        follow=_indented(_patch(config, estate, active, {"standby_cluster": follow})),
        control=control_of(config, estate, active, groups_in(config, active)[0]),
        scope=scope_of(config, active),
    )


def _patch(config: "PostgresConfig", estate: Estate, code: str, body: object) -> str:
    return patch_of(config, estate, code, groups_in(config, code)[0], f"'{json.dumps(body)}'")


def _indented(text: str) -> str:
    return text.replace("\n", "\n   ")


_LOST = """\
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
"""

_GONE = """\
Its slot keeps all WAL on the primary until the disk is full. After `standby: none` is published, in {active}:

```sh
{let_go}
```
"""

_RETURNED = """\
It still believes that it is the primary. Before anybody can reach it:

1. Let {standby} keep WAL for it, in {standby}:

   ```sh
   {keep}
   ```

2. Let it follow, in {active}. `{slot}` is needed there no more.

   ```sh
   {follow}
   {control} list {scope}
   ```

3. A member that does not come to `streaming` has writes that {standby} never got. Save them if they matter, then copy
   it anew with `reinit`.
4. To lead from {active} again: once it streams without lag, stop those who write, and do the same with both regions
   exchanged. `{name}.md` says it so as soon as aether.yaml names {standby} in `regions`.
"""
