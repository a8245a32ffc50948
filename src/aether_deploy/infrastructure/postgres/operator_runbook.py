"""What people do by hand to a cluster that Zalando's operator runs."""

from typing import TYPE_CHECKING

from aether_deploy.infrastructure.estate import Estate
from aether_deploy.infrastructure.postgres.shell import functions

if TYPE_CHECKING:
    from aether_deploy.infrastructure.kinds.postgres import PostgresConfig


def operator_runbook(config: "PostgresConfig", estate: Estate) -> str:
    """Return the runbook."""
    active = config.active_in(estate) or ""
    region = estate.region(active)
    on = f"on {region.cluster if region else active} cluster-name={config.name}"
    words = {"name": config.name, "namespace": estate.data_namespace, "workloads": estate.namespace}
    words |= {
        "on": on,
        "secret": config.renderer.credentials(config),
        "user": config.database,
        "database": config.database,
    }
    parts = [_HEAD.format(**words), functions(estate.data_namespace), _DAILY.format(**words)]
    if config.standby is not None:
        parts.append(f"## The region {active} is lost\n\n{promotion_text(config, active, config.standby.region)}")
    return "\n".join(parts)


def promotion_text(config: "PostgresConfig", active: str, standby: str) -> str:
    """Return how the standby takes the place of a region that is lost."""
    return _STANDBY.format(active=active, standby=standby, name=config.name)


_HEAD = """\
# {name}: by hand

Zalando's operator brings every change of the object `postgresql/{name}` in namespace `{namespace}`
to the running cluster, settings of Patroni too: nothing is to be patched by hand.
"""

_DAILY = """\
## Who leads, and let another member lead

```sh
{on} patronictl list
{on} patronictl switchover --candidate {name}-1 --force
```

Take a name that `list` shows as a replica.

## Who logs in

The operator names the Secrets of its users by itself. User `{user}`, who owns database `{database}`, has

    {secret}

with the keys `username`, which must be `{user}`, and `password`. Workloads mount a Secret of that name, in
their own namespace, and no operator copies it there: let `secrets` bring it to both `{namespace}` and
`{workloads}`, or copy it after each change of the password.

## Another major version

The operator upgrades in place where its `major_version_upgrade_mode` is `manual`, its default, or `full`. Nobody writes
meanwhile, and no way leads back: dump first. It never goes down to an older version.
"""

_STANDBY = """\
`{standby}` follows it and never takes over by itself. What {active} acknowledged and {standby} has not
received is lost.

1. Make sure that {active} takes no more writes: its clusters are gone, or scaled to nothing, or cut off for good.
2. Promote: in aether.yaml set `regions: [{standby}]` and `standby: {{region: {active}, …}}` (or `none`) for
   `{name}`, and publish. `standby` leaves the object in {standby}, and the operator there promotes the cluster.
"""
