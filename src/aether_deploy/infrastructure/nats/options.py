"""A server's file as values."""

from typing import TYPE_CHECKING, Any

from aether_deploy.infrastructure.nats.ports import SYSTEM_ACCOUNT
from aether_deploy.infrastructure.nats.wiring import OPERATORS, Login, Wiring
from aether_deploy.quantities import bytes_of

if TYPE_CHECKING:
    from aether_deploy.infrastructure.kinds.nats import NatsConfig

UNIQUE_TAG = "zone:"
"""Prefix of the tag by which the replicas of a stream are kept in different zones."""

_HANDSHAKE_SECS = 5


def options_of(config: "NatsConfig", *, cluster: str, tags: tuple[str, ...], wiring: Wiring) -> dict[str, Any]:
    """Return the options of one server, in the order of its file.

    Args:
        config: The component.
        cluster: Name of its NATS cluster, which is that of its gateway, too: the server refuses another.
        tags: Its tags.
        wiring: Where it is.
    """
    options: dict[str, Any] = {
        "server_name": wiring.server_name,
        "listen": wiring.listens["client"],
        "http": wiring.listens["monitor"],
        **({"pid_file": wiring.pid_file} if wiring.pid_file else {}),
        "server_tags": list(tags),
        "max_payload": bytes_of(config.max_payload),
        "lame_duck_duration": f"{config.lame_duck.duration_secs}s",
        "lame_duck_grace_period": f"{config.lame_duck.grace_secs}s",
        **_tls(config, wiring, verify=config.tls is not None and config.tls.verify_clients),
        "cluster": {
            "name": cluster,
            "listen": wiring.listens["cluster"],
            # Addresses of pods are of no use to anybody: clients have the Service.
            "no_advertise": True,
            "routes": [f"nats://{each}" for each in wiring.routes],
            **_tls(config, wiring, verify=True),
        },
    }
    if wiring.gateways:
        options["gateway"] = _gateway(config, cluster, wiring)
    if config.leafnodes is not None:
        advertise = wiring.leafnode_advertise
        options["leafnodes"] = {
            "listen": wiring.listens["leafnode"],
            **({"no_advertise": True} if advertise is None else {"advertise": advertise}),
            **_tls(config, wiring, verify=config.tls is not None and config.tls.verify_clients),
        }
    options["jetstream"] = _jetstream(config, wiring)
    return {**options, **_accounts(config, wiring)}


def _tls(config: "NatsConfig", wiring: Wiring, *, verify: bool) -> dict[str, Any]:
    if config.tls is None:
        return {}
    folder = wiring.tls_folder
    return {
        "tls": {
            "cert_file": f"{folder}/tls.crt",
            "key_file": f"{folder}/tls.key",
            "ca_file": f"{folder}/ca.crt",
            **({"verify": True} if verify else {}),
            "timeout": _HANDSHAKE_SECS,
        }
    }


def _gateway(config: "NatsConfig", cluster: str, wiring: Wiring) -> dict[str, Any]:
    return {
        "name": cluster,
        "listen": wiring.listens["gateway"],
        **({} if wiring.gateway_advertise is None else {"advertise": wiring.gateway_advertise}),
        "reject_unknown_cluster": True,
        # The own cluster is in the list, too, which is the same for all then; servers pass it over.
        "gateways": [
            {"name": name, "urls": [f"nats://{each}" for each in addresses]}
            for name, addresses in wiring.gateways.items()
        ],
        **_tls(config, wiring, verify=True),
    }


def _jetstream(config: "NatsConfig", wiring: Wiring) -> dict[str, Any]:
    settings = config.jetstream
    every = settings.sync_interval_secs
    return {
        "store_dir": wiring.store_dir,
        "max_memory_store": bytes_of(settings.memory_size),
        "max_file_store": bytes_of(config.pvc.size),
        "sync_interval": f"{every}s" if every else "always",
        "unique_tag": UNIQUE_TAG,
        **({} if settings.domain is None else {"domain": settings.domain}),
    }


def _accounts(config: "NatsConfig", wiring: Wiring) -> dict[str, Any]:
    accounts: dict[str, Any] = {SYSTEM_ACCOUNT: {"users": [_login(wiring.logins[OPERATORS])]}}
    for account in config.accounts:
        if account.enabled:
            users = []
            for user in account.users:
                if user.enabled:
                    allowed = {
                        way: list(subjects)
                        for way, subjects in (("publish", user.publish), ("subscribe", user.subscribe))
                        if subjects
                    }
                    permissions = {"permissions": allowed} if allowed else {}
                    users.append({**_login(wiring.logins[user.name]), **permissions})
            accounts[account.name] = {**({"jetstream": True} if account.jetstream else {}), "users": users}
    return {"system_account": SYSTEM_ACCOUNT, "accounts": accounts}


def _login(login: Login) -> dict[str, Any]:
    return {"user": login.username, "password": login.password}
