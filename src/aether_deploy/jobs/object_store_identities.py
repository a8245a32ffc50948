"""Write down who may log in to a store: ``python -m aether_deploy.jobs.object_store_identities FILE``.

A server of SeaweedFS takes keys from a file alone, so this runs before it, in its pod: the keys come from Secrets and
go to a folder in memory. A new key is taken when the pod restarts.

Exit: 0 written, 2 the file or a Secret is wrong.
"""

import os
import re
import sys
from pathlib import Path

import msgspec

from aether_deploy.infrastructure.object_store.job import ENCRYPTION_KEYS, FORMAT, LOGIN_KEYS
from aether_deploy.infrastructure.object_store.seaweed import (
    IDENTITIES_FILE,
    SECURITY_FILE,
    identities_text,
    security_text,
)
from aether_deploy.jobs.told import UnusableFileError, not_rendered, told

_KEY = re.compile("[0-9a-fA-F]{64}")
_MODE = 0o440


class Identity(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Somebody: the name, the folder of the keys, and what is allowed in the server's words."""

    name: str
    login: str
    actions: list[str]


class IdentitiesFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the program is to do; ``infrastructure.object_store.job`` writes it."""

    format: int
    folder: str
    identities: list[Identity]
    encryption: str | None = None


class WrongSecret(Exception):
    """A Secret lacks a key, or holds something else than one."""


def files_of(file: IdentitiesFile) -> dict[str, str]:
    """Return the files to write, by name.

    Raises:
        WrongSecret: A Secret is not as it has to be; all of them are named.
    """
    faults: list[str] = []
    people = []
    for each in file.identities:
        login = [_read(Path(each.login) / key, faults) for key in LOGIN_KEYS]
        people.append((each.name, (login[0], login[1]), each.actions))
    found = {IDENTITIES_FILE: identities_text(people)}
    if file.encryption is not None:
        path = Path(file.encryption) / ENCRYPTION_KEYS[0]
        key = _read(path, faults)
        if key and not _KEY.fullmatch(key):
            faults.append(f"{path}: is no key; write 64 hex digits: openssl rand -hex 32")
        found[SECURITY_FILE] = security_text(key)
    names = [access for _, (access, _), _ in people]
    faults += [
        f"two users have the access key of '{name}'" for name in sorted({n for n in names if names.count(n) > 1})
    ]
    if faults:
        raise WrongSecret("\n".join(faults))
    return found


def _read(path: Path, faults: list[str]) -> str:
    try:
        text = path.read_text("utf-8").strip()
    except (OSError, ValueError):
        text = ""
    if not text:
        faults.append(f"{path}: is missing or empty; give the Secret the key '{path.name}'")
    return text


def _write(path: Path, text: str) -> None:
    """Write a file that nobody but the pod's group reads, at no moment."""
    draft = path.with_name(f".{path.name}")
    draft.unlink(missing_ok=True)
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE), "w", encoding="utf-8") as out:
        out.write(text)
    draft.replace(path)


def main(arguments: list[str]) -> int:
    """Run the program; the module's docstring says what it returns."""
    try:
        file = told("aether_deploy.jobs.object_store_identities", arguments, IdentitiesFile, format=FORMAT)
        for name, text in files_of(file).items():
            _write(Path(file.folder) / name, text)
    except (WrongSecret, UnusableFileError) as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(not_rendered(arguments[0], error), file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
