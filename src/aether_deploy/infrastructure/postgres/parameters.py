"""Parameters of PostgreSQL: which are Patroni's, and where each of the others belongs.

Rule of it all: Patroni 4.1.5, ``patroni/postgresql/config.py`` (``CMDLINE_OPTIONS``) and
``patroni/postgresql/available_parameters``.
"""

from collections.abc import Iterator, Mapping

from aether_deploy.config.base import Fault
from aether_deploy.patterns import Pattern

Value = bool | int | str

OWNED: Mapping[str, str] = {
    "listen_addresses": "Patroni takes it from the address that it listens on",
    "port": "Patroni takes it from the address that it listens on",
    "cluster_name": "Patroni sets it to the name of the cluster",
    "hot_standby": "Patroni keeps it on",
    "synchronous_standby_names": "Patroni writes it as failover.synchronous_mode wants it",
    "primary_conninfo": "Patroni writes it for each member",
    "primary_slot_name": "Patroni writes it for each member",
    "promote_trigger_file": "Patroni promotes by pg_ctl",
    "data_directory": "the volume decides it",
    "config_file": "Patroni writes that file",
    "hba_file": "Patroni writes that file",
    "ident_file": "Patroni writes that file",
    "unix_socket_directories": "the pod decides it",
    "ssl": "tls decides it",
    "ssl_cert_file": "tls decides it",
    "ssl_key_file": "tls decides it",
    "citus.local_hostname": "Patroni sets it for each member",
    "bg_mon.listen_address": "the image decides it",
}
"""Names that no description sets, each with who does."""

_LEAST: Mapping[str, int] = {
    "max_connections": 25,
    "max_wal_senders": 3,
    "max_prepared_transactions": 0,
    "max_locks_per_transaction": 32,
    "max_replication_slots": 4,
    "max_worker_processes": 2,
}
_SWITCHES = ("wal_log_hints", "track_commit_timestamp")
_MOST = 262_143
_LEVELS = ("replica", "logical", "hot_standby")
_WAL_KEPT = "wal_keep_size"
_WAL_KEPT_LEAST = 16 * 1024
_SIZE = Pattern(r"([0-9]+)\s*(kB|MB|GB|TB)?")
_KIB = {None: 1024, "kB": 1, "MB": 1024, "GB": 1024**2, "TB": 1024**3}
_BOOLS = ("on", "off", "true", "false", "yes", "no", "1", "0")

DYNAMIC = ("wal_level", *_LEAST, _WAL_KEPT, *_SWITCHES)
"""What Patroni takes from its dynamic configuration only: all members must agree on it, and in a local file it is
dropped without a word."""

DEFAULTS: Mapping[str, int] = {"max_wal_senders": 10, "max_replication_slots": 10, "max_connections": 100}
"""What Patroni sets where nothing is said."""


def folded(parameters: Mapping[str, Value]) -> dict[str, Value]:
    """Return parameters by their names in lower case: PostgreSQL reads them so."""
    return {name.lower(): value for name, value in parameters.items()}


def as_setting(value: Value) -> int | str:
    """Return a value as Patroni writes it into a file of PostgreSQL."""
    return ("on" if value else "off") if isinstance(value, bool) else value


def dynamic_parameters(parameters: Mapping[str, Value]) -> dict[str, int | str]:
    """Return what belongs into the dynamic configuration, by name, sorted."""
    said = folded(parameters)
    return {name: as_setting(said[name]) for name in sorted(said) if name in DYNAMIC}


def local_parameters(parameters: Mapping[str, Value]) -> dict[str, int | str]:
    """Return what belongs into a member's own file, by name, sorted: a change of it rolls the pods."""
    said = folded(parameters)
    return {name: as_setting(said[name]) for name in sorted(said) if name not in DYNAMIC}


def parameter_faults(parameters: Mapping[str, Value]) -> Iterator[Fault]:
    """Yield what Patroni would drop, replace or take away; steps begin at the mapping."""
    seen: dict[str, str] = {}
    for name, value in parameters.items():
        low = name.lower()
        if low in seen:
            yield Fault((name,), f"the same parameter as {seen[low]!r}", "keep one of them", value)
        seen.setdefault(low, name)
        if low in OWNED:
            yield Fault((name,), f"not yours to set: {OWNED[low]}", "remove it", value)
        elif (wanted := _unfit(low, value)) is not None:
            reason = f"not {wanted}; Patroni takes its own default then in silence, or PostgreSQL does not start"
            yield Fault((name,), reason, f"write {wanted}", value)


def _unfit(name: str, value: Value) -> str | None:
    """Return what a dynamic parameter must be, where it is not."""
    if name in _LEAST:
        number = _whole(value)
        fits = number is not None and _LEAST[name] <= number <= _MOST
        return None if fits else f"a whole number from {_LEAST[name]} to {_MOST}"
    if name == "wal_level":
        return None if str(value).lower() in _LEVELS else "replica or logical"
    if name == _WAL_KEPT:
        return None if (_kibibytes(value) or 0) >= _WAL_KEPT_LEAST else "a size of 16MB or more"
    if name in _SWITCHES:
        known = isinstance(value, bool) or str(value).lower() in _BOOLS
        return None if known else "on or off"
    return None


def _whole(value: Value) -> int | None:
    if isinstance(value, bool):
        return None
    text = str(value).strip()
    return int(text) if text.isascii() and text.isdigit() else None


def _kibibytes(value: Value) -> int | None:
    found = None if isinstance(value, bool) else _SIZE.fullmatch(str(value).strip())
    return int(found[1]) * _KIB[found[2]] if found else None


def number_of(parameters: Mapping[str, Value], name: str) -> int:
    """Return a counting parameter as PostgreSQL will have it: what is said, or Patroni's default."""
    said = _whole(folded(parameters).get(name, DEFAULTS[name]))
    return DEFAULTS[name] if said is None else said


def is_off(value: Value) -> bool:
    """Whether a switch with several positions is off."""
    return value is False or str(value).lower() in ("off", "false", "no", "0")
