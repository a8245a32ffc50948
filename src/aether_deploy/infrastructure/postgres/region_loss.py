"""What people do when the region of a database is lost, when it returns, and when a standby goes for good."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from aether_deploy.infrastructure.estate import Estate
from aether_deploy.infrastructure.postgres.commands import PROMOTE, choosing, control_of, patch_of
from aether_deploy.infrastructure.postgres.configuration import API_PORT, POSTGRES_PORT
from aether_deploy.infrastructure.postgres.groups import groups_in, scope_of, slot_for, slot_of
from aether_deploy.infrastructure.postgres.shell import functions
from aether_deploy.infrastructure.recovery import NOTHING_TO_DO, Recovery
from aether_deploy.manifest.yaml_text import to_yaml

if TYPE_CHECKING:
    from aether_deploy.infrastructure.kinds.postgres import PostgresConfig


def recovery_by_patroni(config: "PostgresConfig", estate: Estate, region: str) -> Recovery:
    """Return what somebody does when ``region`` is lost: promote the standby, or let go of it."""
    active = config.active_in(estate)
    if config.standby is None or active is None or region not in (active, config.standby.region):
        return NOTHING_TO_DO
    standby, helpers = config.standby.region, functions(estate.data_namespace)
    if region == standby:
        return Recovery(functions=helpers, gone=gone_text(config, estate, active), without={"standby": "none"})
    groups = groups_in(config, active)
    return Recovery(
        functions=helpers,
        lost=lost_text(config, estate, active, standby, fenced=True),
        returned=returned_text(config, estate, active, standby),
        fenced=tuple(group.part for group in groups),
        fenced_pods=tuple(f"{group.part}-{place}" for group in groups for place in range(group.members)),
        grace_secs=config.stop_secs,
        promoted=promoted_fields(config, active),
        without={"regions": [standby], "standby": "none"},
    )


def promoted_fields(config: "PostgresConfig", active: str) -> dict[str, Any]:
    """Return what the description says of the component once its standby has taken the place of ``active``."""
    assert config.standby is not None
    standby = {**config.standby.to_settings(), "region": active}
    return {"regions": [config.standby.region], "standby": standby}


def lost_text(config: "PostgresConfig", estate: Estate, active: str, standby: str, *, fenced: bool = False) -> str:
    """Return how the standby takes the place of a region that is lost; ``fenced``: where a step before saw to it that
    this one takes no writes."""
    group = groups_in(config, standby)[0]
    steps = (_PROMOTE, _SEND) if fenced else (_STOP, _PROMOTE, _SEND)
    text = _LOST + "".join(f"{place}. {step}" for place, step in enumerate(steps, start=1))
    return text.format(
        active=active,
        standby=standby,
        name=config.name,
        promote=_indented(_patch(config, estate, standby, json.loads(PROMOTE))),
        control=control_of(config, estate, standby, group),
        scope=scope_of(config, standby),
        fields=_fields(promoted_fields(config, active)),
    )


def _fields(fields: Mapping[str, Any]) -> str:
    return "\n".join(f"   {line}" for line in to_yaml(fields).splitlines())


def _leads(config: "PostgresConfig", estate: Estate, code: str) -> str:
    """Return the command that succeeds where the cluster of a region has a primary: a standby's leader is none."""
    who = choosing(config, estate, code, groups_in(config, code)[0], role="primary")
    return f"on {who} \\\n  curl --fail --silent --show-error --output /dev/null http://127.0.0.1:{API_PORT}/primary"


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
        leads=_indented(_leads(config, estate, standby)),
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

"""

_STOP = """\
Make sure that {active} takes no more writes: its clusters are gone, or scaled to nothing, or cut off for good.
"""

_PROMOTE = """\
Promote, in {standby}. It is writable within a second.

   ```sh
   {promote}
   {control} list {scope}
   ```

"""

_SEND = """\
Clients go there once this is published for `{name}`, which is a part of `promoted-{active}.yaml`: the Service
   `{name}` then leads to {standby} from everywhere.

   ```yaml
{fields}
   ```
"""

_GONE = """\
Its slot keeps all WAL on the primary until the disk is full. After `standby: none` is published, in {active}:

```sh
{let_go}
```
"""

_RETURNED = """\
{active} still believes that it is the primary. Where {standby} was not promoted, that is so, and to let it follow would
leave no primary at all: leave all this out. Commands ask first whether {standby} leads. Before anybody can reach
{active}:

1. Let {standby} keep WAL for it, in {standby}:

   ```sh
   {leads} &&
   {keep}
   ```

2. Let it follow, in {active}. `{slot}` is needed there no more.

   ```sh
   {leads} &&
   {follow}
   {control} list {scope}
   ```

3. A member that does not come to `streaming` has writes that {standby} never got. Save them if they matter, then copy
   it anew with `reinit`.
4. To lead from {active} again: once it streams without lag, stop those who write, and do the same with both regions
   exchanged. `{name}.md` says it so as soon as aether.yaml names {standby} in `regions`.
"""
