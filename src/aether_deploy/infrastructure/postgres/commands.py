"""Commands for one member of a cluster of Patroni: they begin with ``on``, a shell function of the runbook."""

from typing import TYPE_CHECKING

from aether_deploy.infrastructure.estate import Estate
from aether_deploy.infrastructure.postgres.configuration import API_PORT, CONFIG_FOLDER
from aether_deploy.infrastructure.postgres.groups import ROLE, SCOPE, Group, scope_of

if TYPE_CHECKING:
    from aether_deploy.infrastructure.kinds.postgres import PostgresConfig

PROMOTE = '{"standby_cluster": null}'
"""The body of ``PATCH /config`` by which a standby becomes a cluster of its own."""

_PATCH = "curl --fail --silent --show-error --request PATCH --data {body} http://127.0.0.1:" + f"{API_PORT}/config"


def choosing(config: "PostgresConfig", estate: Estate, code: str, group: Group, *, role: str | None = None) -> str:
    """Return the words that choose a member of a cluster: ``us-east-1 aether.io/scope=accounts-us-east-1``."""
    region = estate.region(code)
    labels = {SCOPE: scope_of(config, code), **group.labels, **({} if role is None else {ROLE: role})}
    return f"{region.cluster if region else code} {','.join(f'{name}={value}' for name, value in labels.items())}"


def control_of(config: "PostgresConfig", estate: Estate, code: str, group: Group) -> str:
    """Return the command that asks ``patronictl`` of a member."""
    file = "" if config.image_kind == "spilo" else f" -c {CONFIG_FOLDER}/{group.file}"
    return f"on {choosing(config, estate, code, group)} patronictl{file}"


def patch_of(config: "PostgresConfig", estate: Estate, code: str, group: Group, body: str) -> str:
    """Return the command that changes settings of a running cluster; ``body`` is a word of the shell."""
    return f"on {choosing(config, estate, code, group)} \\\n  {_PATCH.format(body=body)}"
