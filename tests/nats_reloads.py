"""Changes of a server's file, and what each takes: held against ``reload_class``, and against a running server."""

import copy
from collections.abc import Callable, Mapping
from typing import Any

from aether_deploy.infrastructure.nats.reloading import ReloadClass
from aether_deploy.infrastructure.nats.text import Variable

Options = Mapping[str, Any]
_ROUTE = "nats://127.0.0.1:9"
_LOGIN = {"user": "new", "password": "new-word"}
_DROP = object()


def _grown(size: int) -> int:
    return size * 2


def _shrunk(size: int) -> int:
    return size // 2


def _with_another(listed: list[Any]) -> Callable[[list[Any]], list[Any]]:
    return lambda found: [*found, *listed]


def _put(value: Any) -> Callable[[Any], Any]:
    return lambda found: value


CHANGES: dict[str, tuple[str, Callable[[Any], Any], ReloadClass]] = {
    # sentence: path, what becomes of what stands there, class
    "a user comes": ("accounts.APP.users", _with_another([_LOGIN]), "reload"),
    "a user comes whose words the process does not know": (
        "accounts.APP.users",
        _with_another([{"user": Variable("NATS_USERNAME_BOB"), "password": Variable("NATS_PASSWORD_BOB")}]),
        "restart",
    ),
    "an account comes whose user the process does not know": (
        "accounts.NEW",
        _put({"jetstream": True, "users": [{"user": Variable("NATS_USERNAME_BOB"), "password": "new-word"}]}),
        "restart",
    ),
    "a password changes": ("accounts.APP.users", lambda users: [{**users[0], "password": "other"}], "reload"),
    "an account comes": ("accounts.NEW", _put({"jetstream": True, "users": [_LOGIN]}), "reload"),
    "an account loses its streams": ("accounts.APP.jetstream", _put(_DROP), "reload"),
    "routes grow": ("cluster.routes", _with_another([_ROUTE]), "reload"),
    "routes are told to clients": ("cluster.no_advertise", _put(False), "reload"),
    "tags change": ("server_tags", _with_another(["disk:fast"]), "reload"),
    "payloads may be larger": ("max_payload", _grown, "reload"),
    "payloads may be half": ("max_payload", _shrunk, "reload"),
    "files may take more": ("jetstream.max_file_store", _grown, "reload"),
    "memory may take more": ("jetstream.max_memory_store", _grown, "reload"),
    "clients show certificates": ("tls.verify", _put(True), "reload"),
    "a handshake may last longer": ("tls.timeout", _put(9), "reload"),
    "a handshake of routes may last longer": ("cluster.tls.timeout", _put(9), "reload"),
    "clients come without certificates": ("tls", _put(_DROP), "reload"),
    "routes come without certificates": ("cluster.tls", _put(_DROP), "reload"),
    "a handshake of gateways may last longer": ("gateway.tls.timeout", _put(9), "restart"),
    "a handshake of leafnodes may last longer": ("leafnodes.tls.timeout", _put(9), "restart"),
    "gateways come without certificates": ("gateway.tls", _put(_DROP), "restart"),
    "files may take less": ("jetstream.max_file_store", _shrunk, "restart"),
    "memory may take less": ("jetstream.max_memory_store", _shrunk, "restart"),
    "the disk is written more often": ("jetstream.sync_interval", _put("60s"), "restart"),
    "each message is written at once": ("jetstream.sync_interval", _put("always"), "restart"),
    "another tag keeps replicas apart": ("jetstream.unique_tag", _put("region:"), "restart"),
    "a domain comes": ("jetstream.domain", _put("hub"), "restart"),
    "a region comes": (
        "gateway.gateways",
        _with_another([{"name": "sa", "urls": ["nats://127.0.0.1:9"]}]),
        "restart",
    ),
    "a region has one more server": (
        "gateway.gateways",
        lambda found: [*found[:-1], {**found[-1], "urls": [*found[-1]["urls"], "nats://127.0.0.1:9"]}],
        "restart",
    ),
    "others dial another address": ("gateway.advertise", _put("127.0.0.1:9"), "restart"),
    "strangers are let in": ("gateway.reject_unknown_cluster", _put(False), "restart"),
    "there is no gateway any more": ("gateway", _put(_DROP), "restart"),
    "the gateway listens elsewhere": ("gateway.listen", _put("127.0.0.1:9"), "restart"),
    "leafnodes connect elsewhere": ("leafnodes.listen", _put("127.0.0.1:9"), "restart"),
    "leafnodes are told addresses": ("leafnodes.no_advertise", _put(False), "restart"),
    "leafnodes are shut out": ("leafnodes", _put(_DROP), "restart"),
    "the monitor listens elsewhere": ("http", _put("127.0.0.1:9"), "restart"),
    "clients connect elsewhere": ("listen", _put("127.0.0.1:9"), "restart"),
    "routes connect elsewhere": ("cluster.listen", _put("127.0.0.1:9"), "restart"),
    "clients are sent away more slowly": ("lame_duck_duration", _put("40s"), "restart"),
    "it waits less before": ("lame_duck_grace_period", _put("5s"), "restart"),
    "another account is the servers' own": ("system_account", _put("APP"), "restart"),
    "it has another name": ("server_name", _put("events-x-0"), "refused"),
    "streams lie elsewhere": ("jetstream.store_dir", lambda found: found + "-new", "refused"),
}


def changed(options: Options, path: str, change: Callable[[Any], Any]) -> dict[str, Any]:
    """Return the options with one setting changed."""
    copied = copy.deepcopy(dict(options))
    *steps, last = path.split(".")
    inner = copied
    for step in steps:
        inner = inner[step]
    value = change(inner.get(last))
    if value is _DROP:
        del inner[last]
    else:
        inner[last] = value
    return copied
