"""What running members make of a change of their configuration."""

from collections.abc import Iterator, Mapping
from typing import Any

from aether_deploy.infrastructure.component import FileChange
from aether_deploy.infrastructure.postgres.configuration import POST_INIT, version_in
from aether_deploy.manifest.yaml_source import read_document
from aether_deploy.problems import ConfigError

_BY_HAND = (
    "members read 'bootstrap' at the very first start only: PATCH it into Patroni's /config, as the component's "
    "runbook says"
)
_AT_START = "a member reads it when it starts"
_ONCE = (
    f"{POST_INIT} ran once, when the cluster was made: a database and its user are made by SQL now, as the "
    "component's runbook says"
)
_CITUS = "Citus keeps its tables in the database that it was made with: make a second component, and copy"
_NO_WAY_BACK = "PostgreSQL {now} does not read data of {was}: make a second component of version {now}, and copy"


def file_changes(before: Mapping[str, str], after: Mapping[str, str]) -> list[FileChange]:
    """Return what members make of changed files; a file that is new has no member yet.

    Rule:
        Patroni, ``docs/dynamic_configuration.rst``: what is in the store is changed by its REST API. PostgreSQL's
        manual, "Upgrading a PostgreSQL Cluster". zalando/spilo, ``configure_spilo.py``: the version of the data wins.
    """
    found: list[FileChange] = []
    for name in sorted(before.keys() & after.keys()):
        if name.endswith((".yml", ".yaml")):
            found += _settings_of(name, before[name], after[name])
        elif before[name] != after[name]:
            found.append(FileChange("by hand", _ONCE) if name == POST_INIT else FileChange("restarts", _AT_START))
    return list(dict.fromkeys(found))


def _settings_of(name: str, before: str, after: str) -> Iterator[FileChange]:
    """Yield the same for one file; of one that somebody broke only that members read it when they start."""
    try:
        was, now = (read_document(text, name) for text in (before, after))
    except ConfigError:
        yield from [FileChange("restarts", _AT_START)] if before != after else []
        return
    yield from _settings(was, now)


def _settings(was: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[FileChange]:
    old, new = version_in(was), version_in(now)
    if old is not None and new is not None and old != new:
        # Only an image of Patroni's own is told where the API server is; Spilo finds it by itself.
        yield of_version(old, new) if "kubernetes" in now else of_spilos_version(old, new)
    elif was.get("citus", {}).get("database") != now.get("citus", {}).get("database"):
        yield FileChange("refused", _CITUS)
    elif {**was, "bootstrap": None} != {**now, "bootstrap": None}:
        yield FileChange("restarts", _AT_START)
    if was.get("bootstrap") != now.get("bootstrap"):
        yield FileChange("by hand", _BY_HAND)


def of_version(was: int, now: int) -> FileChange:
    """Return what members make of another major version that they start with whatever their data has."""
    says = f"a member that rolls does not start again, and the rolling update stops at it: PostgreSQL {now} does not "
    says += f"read data of {was}; make a second component of version {now}, and copy"
    return FileChange("refused", f"{says}, or stop all members and run pg_upgrade" if now > was else says)


def of_spilos_version(was: int, now: int) -> FileChange:
    """Return what Spilo makes of another major version: it keeps to the one that the data has, if the image has it."""
    if now < was:
        return FileChange(
            "refused",
            f"members keep running {was}, and start no more if the image lacks it; "
            f"{_NO_WAY_BACK.format(was=was, now=now)}",
        )
    says = f"members keep running {was} until somebody upgrades them in place, as the runbook says; one that is copied "
    return FileChange("by hand", f"{says}anew before that does not start")


def of_an_operators_version(was: int, now: int) -> FileChange:
    """Return what Zalando's operator makes of another major version."""
    if now < was:
        return FileChange("refused", f"the operator leaves {was} as it is: {_NO_WAY_BACK.format(was=was, now=now)}")
    says = f"the operator upgrades {was} to {now} in place, and nobody writes meanwhile, where its "
    return FileChange(
        "restarts", f"{says}major_version_upgrade_mode is manual, its default, or full; else nothing happens"
    )
