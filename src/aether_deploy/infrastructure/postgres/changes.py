"""What running members make of a change of their configuration."""

from collections.abc import Mapping

from aether_deploy.infrastructure.component import FileChange
from aether_deploy.manifest.yaml_source import read_document

_BY_HAND = (
    "members read 'bootstrap' at the very first start only: PATCH it into Patroni's /config, as the component's "
    "runbook says"
)
_AT_START = "a member reads it when it starts"


def file_changes(before: Mapping[str, str], after: Mapping[str, str]) -> list[FileChange]:
    """Return what members make of changed files; a file that is new has no member yet.

    Rule:
        Patroni, ``docs/dynamic_configuration.rst``: what is in the store is changed by its REST API.
    """
    first, later = False, False
    for name in before.keys() & after.keys():
        if not name.endswith((".yml", ".yaml")):
            later = later or before[name] != after[name]
            continue
        was, now = (read_document(files[name], name) for files in (before, after))
        first = first or was.get("bootstrap") != now.get("bootstrap")
        later = later or {**was, "bootstrap": None} != {**now, "bootstrap": None}
    found = [FileChange("restarts", _AT_START)] if later else []
    return [*found, FileChange("by hand", _BY_HAND)] if first else found
