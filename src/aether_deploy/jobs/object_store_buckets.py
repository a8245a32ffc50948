"""Make the buckets of an object store as described: ``python -m aether_deploy.jobs.object_store_buckets FILE``.

It deletes no bucket and no object. It sets what differs, and then asks: what counts is what the store says that it has,
since a store may take a setting that it does not know for the making of a bucket.

Exit: 0 all buckets are as described, 1 some are not, 2 the file is wrong, 3 the store does not answer.
"""

import base64
import hashlib
import json
import sys
import time
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree

import msgspec

from aether_deploy.infrastructure.object_store.job import FORMAT
from aether_deploy.jobs.object_store_s3 import S3Answer, S3Client, login_in
from aether_deploy.jobs.told import UnusableFileError, told

_PAUSE_SECS = 1.0
_SUSPENDED = "<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>"
# What a store names or fills in itself.
_UNCOMPARED = ("ID", "Priority", "BucketKeyEnabled", "BlockedEncryptionTypes", "ExistingObjectReplication")
# Where nothing was ever set some answer 200 with nothing in it.
_ABSENT = 404


class Bucket(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One bucket: whether its versions can be locked, and its settings, each by the word of the API."""

    name: str
    settings: dict[str, str]
    locked: bool = False


class BucketsFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the program is to do; ``infrastructure.object_store.job`` writes it. Buckets are made in ``location``."""

    format: int
    url: str
    region: str
    credentials: str
    wait_secs: float
    buckets: list[Bucket]
    location: str = ""


class Refused(Exception):
    """The store says no."""


class NoStore(Exception):
    """The store does not answer, or lets us in not at all."""


def meaning(text: bytes | str) -> Any:
    """Return what a setting says, however it is written: order, names of rules and namespaces do not count."""
    raw = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    if not raw.strip():
        return None
    if raw.lstrip().startswith("{"):
        return _plain(json.loads(raw))
    return _element(ElementTree.fromstring(raw))


def _plain(value: Any) -> Any:
    """Return JSON with every text as a list of one, sorted: stores write either."""
    if isinstance(value, Mapping):
        if value.keys() == {"AWS"}:  # {"AWS": "*"} is "*"
            return _plain(value["AWS"])
        return {key: _plain(each) for key, each in value.items() if key not in ("Sid", "Id")}
    if isinstance(value, list):
        return (
            sorted((_plain(each) for each in value), key=repr)
            if value and isinstance(value[0], Mapping)
            else sorted(value)
        )
    return [value]


def _element(element: ElementTree.Element) -> Any:
    name = element.tag.rpartition("}")[2]
    inner = [_element(each) for each in element if each.tag.rpartition("}")[2] not in _UNCOMPARED]
    kept = sorted((each for each in inner if each[1] not in ("", ())), key=repr)
    return (name, tuple(kept) if len(element) else (element.text or "").strip())


def is_same(wanted: str, answer: S3Answer) -> bool:
    """Return whether the store has a setting as it is wanted; empty text wants none."""
    if answer.status == _ABSENT:
        return not wanted
    found = meaning(answer.body)
    if not wanted:
        return found is None or (isinstance(found, tuple) and found[1] in ("", (), (("Status", "Suspended"),)))
    return bool(found == meaning(wanted))


class Store:
    """The buckets of one store."""

    def __init__(self, client: S3Client, location: str) -> None:
        self._client = client
        self._location = location

    def settle(self, bucket: Bucket) -> str:
        """Bring one bucket about; return what was done.

        Raises:
            Refused: The store says no, or has it otherwise than it said.
            OSError: It does not answer.
        """
        done = [] if self._exists(bucket) else [self._make(bucket)]
        for word, wanted in bucket.settings.items():
            if not self._has(bucket.name, word, wanted):
                self._set(bucket.name, word, wanted)
                if not self._has(bucket.name, word, wanted):
                    raise Refused(f"{word}: the store took it and has it otherwise")
                done.append(f"{'set' if wanted else 'took away'} {word}")
        return ", ".join(done) or "unchanged"

    def _exists(self, bucket: Bucket) -> bool:
        answer = self._client.ask("HEAD", f"/{bucket.name}")
        if answer.status not in (200, 404):
            raise Refused(f"somebody else's, or not for this login: {answer.status}")
        return answer.status == 200

    def _make(self, bucket: Bucket) -> str:
        headers = {"x-amz-bucket-object-lock-enabled": "true"} if bucket.locked else {}
        body = b""
        if self._location:
            where = f"<LocationConstraint>{self._location}</LocationConstraint>"
            body = f"<CreateBucketConfiguration>{where}</CreateBucketConfiguration>".encode()
        answer = self._client.ask("PUT", f"/{bucket.name}", body=body, headers=headers)
        if answer.status >= 300:
            raise Refused(f"cannot be made: {answer.said}")
        return "made"

    def _has(self, bucket: str, word: str, wanted: str) -> bool:
        answer = self._client.ask("GET", f"/{bucket}", {word: ""})
        if answer.status >= 300 and answer.status != _ABSENT:
            raise Refused(f"{word}: cannot be asked for: {answer.said}")
        return is_same(wanted, answer)

    def _set(self, bucket: str, word: str, wanted: str) -> None:
        if not wanted and word != "versioning":
            answer = self._client.ask("DELETE", f"/{bucket}", {word: ""})
        else:
            body = (wanted or _SUSPENDED).encode()
            digest = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
            answer = self._client.ask("PUT", f"/{bucket}", {word: ""}, body=body, headers={"Content-MD5": digest})
        if answer.status >= 300:
            raise Refused(f"{word}: {answer.said}")


def settle_all(file: BucketsFile, login: tuple[str, str]) -> dict[str, tuple[bool, str]]:
    """Bring all buckets about, and return for each whether it is as described and what was done or said.

    Raises:
        NoStore: The store does not answer in time.
    """
    store = Store(S3Client(file.url, file.region, login), file.location)
    deadline = time.monotonic() + file.wait_secs
    results: dict[str, tuple[bool, str]] = {each.name: (False, "") for each in file.buckets}
    while True:
        silent = ""
        for bucket in file.buckets:
            if results[bucket.name][0]:
                continue
            try:
                results[bucket.name] = (True, store.settle(bucket))
            except Refused as error:
                results[bucket.name] = (False, str(error))
            except OSError as error:
                silent = f"{file.url} does not answer: {error}"
        if all(there for there, _ in results.values()):
            return results
        if time.monotonic() >= deadline:
            if silent:
                raise NoStore(silent)
            return results
        time.sleep(_PAUSE_SECS)


def main(arguments: list[str]) -> int:
    """Run the program; the module's docstring says what it returns."""
    try:
        file = told("aether_deploy.jobs.object_store_buckets", arguments, BucketsFile, format=FORMAT)
        login = login_in(file.credentials, arguments[0])
    except UnusableFileError as error:
        print(error, file=sys.stderr)
        return 2
    try:
        results = settle_all(file, login)
    except NoStore as error:
        print(f"{error}\n  fix: see that the store runs, and that network policies let this pod out", file=sys.stderr)
        return 3
    for name, (there, verdict) in results.items():
        print(f"{'ok  ' if there else 'FAIL'} {name}: {verdict}")
    return 0 if all(there for there, _ in results.values()) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
