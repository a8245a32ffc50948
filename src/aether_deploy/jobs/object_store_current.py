"""Lead readers of a copy to the newest version: ``python -m aether_deploy.jobs.object_store_current FILE``.

What copies brings the versions of an object and, apart from them, which of them is the current one. A reader who comes
between both is led to a version that is not there; SeaweedFS then looks which there are and writes that down, with the
time of now. From then on the copy takes itself to be newer than what it copies, and keeps its word: later versions and
deletions arrive, and nobody sees them (measured on 4.48: ``filer.sync`` leaves what has a later time).

So the note is made to be written anew, by the store itself, for the newest of the versions that the copy has. The filer
is asked to do so, as S3 has no call for it. No version is written or deleted.

Exit: 0 all are right, 1 some are not, 2 the file is wrong, 3 the store does not answer.
"""

import sys
from collections.abc import Iterable, Iterator
from xml.etree import ElementTree

import msgspec

from aether_deploy.infrastructure.object_store.job import FORMAT
from aether_deploy.jobs.object_store_s3 import S3Client, login_in
from aether_deploy.jobs.told import UnusableFileError, told

MODULE = "aether_deploy.jobs.object_store_current"
_NOWHERE = {"Seaweed-X-Amz-Latest-Version-File-Name": "v_none"}
_NULL = "null"
"""The version of what was written while none were kept."""


class CurrentFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the program is to look at; ``infrastructure.object_store.job`` writes it."""

    format: int
    url: str
    filer: str
    region: str
    credentials: str
    buckets: list[str]


class Version(msgspec.Struct, frozen=True):
    """A version of an object, or the mark of its deletion.

    Attributes:
        key: The object.
        number: The version's name.
        modified: When it was written: ``2026-11-26T12:29:04Z``.
        is_current: The store takes it to be the current one.
        deletes: It is the mark of a deletion.
    """

    key: str
    number: str
    modified: str
    is_current: bool
    deletes: bool


class NoStore(Exception):
    """The store does not answer, or not as it should."""


def misled(versions: Iterable[Version]) -> Version | None:
    """Return the version of an object that ought to be the current one, where another one is.

    Where none is, a version is still to come, and readers are led right once it is there. What was written while no
    versions were kept says of itself that it is current, whatever is: it counts only where it is the newest, and
    is left alone there: a bucket that keeps versions from its first day on has none.
    """
    # Names of versions count time down: of one second, the one that sorts first is the newest.
    told = sorted(sorted(versions, key=lambda each: each.number), key=lambda each: each.modified, reverse=True)
    if not told or told[0].is_current or told[0].number == _NULL:
        return None
    return told[0] if any(each.is_current and each.number != _NULL for each in told) else None


def versions_in(listing: bytes) -> list[Version]:
    """Return the versions in an answer to ``ListObjectVersions``, in its order."""
    return [_version(each) for each in ElementTree.fromstring(listing) if _word(each) in ("Version", "DeleteMarker")]


class Copy:
    """The copy of a store in a region that follows."""

    def __init__(self, client: S3Client, filer: S3Client) -> None:
        """Ask ``client`` for versions and objects; spoil at ``filer`` what is noted of them."""
        self._client, self._filer = client, filer

    def misled_in(self, bucket: str) -> Iterator[Version]:
        """Yield what ought to be the current version of each object that has another one.

        Raises:
            OSError: The store does not answer.
            NoStore: It answers otherwise than it should.
        """
        held: dict[str, list[Version]] = {}
        for page, last in self._pages(bucket):
            for each in page:
                held.setdefault(each.key, []).append(each)
            yield from _misled_of([held.pop(key) for key in [*held] if key != last])

    def _pages(self, bucket: str) -> Iterator[tuple[list[Version], str]]:
        """Yield the versions of a page, and the key of which the next page may have more; empty at the end."""
        marks: dict[str, str] = {}
        while True:
            answer = self._client.ask("GET", f"/{bucket}", {"versions": "", "max-keys": "1000", **marks})
            if answer.status != 200:
                raise NoStore(f"{bucket}: its versions cannot be listed: {answer.said}")
            try:
                page, said = versions_in(answer.body), _words(ElementTree.fromstring(answer.body))
            except (ElementTree.ParseError, KeyError) as error:
                raise NoStore(f"{bucket}: the list of its versions cannot be read: {error!r}") from error
            last = said.get("NextKeyMarker", "") if said.get("IsTruncated") == "true" else ""
            yield page, last
            if not last:
                return
            following = {"key-marker": last, "version-id-marker": said.get("NextVersionIdMarker", "")}
            if following == marks:
                raise NoStore(f"{bucket}: the list of its versions does not end")
            marks = following

    def set_current(self, bucket: str, key: str) -> str:
        """Have the store lead to an object's newest version; return what it objects to, empty where nothing.

        The note is led to a version that is not there. A reader then makes the store look which there are, and write
        down all that is noted of the newest one: what lists say of it too, which no other call can.

        Raises:
            OSError: The store does not answer.
        """
        noted = self._filer.ask("PUT", f"/buckets/{bucket}/{key}.versions", {"tagging": ""}, headers=_NOWHERE)
        if noted.status >= 300:
            return str(noted.status)
        read = self._client.ask("HEAD", f"/{bucket}/{key}")  # 404 where the newest version is the mark of a deletion
        return str(read.status) if read.status >= 500 else ""


def _misled_of(objects: Iterable[list[Version]]) -> Iterator[Version]:
    for versions in objects:
        found = misled(versions)
        if found is not None:
            yield found


def _version(element: ElementTree.Element) -> Version:
    said = _words(element)
    return Version(
        key=said["Key"],
        number=said["VersionId"],
        modified=said["LastModified"],
        is_current=said["IsLatest"] == "true",
        deletes=_word(element) == "DeleteMarker",
    )


def _words(element: ElementTree.Element) -> dict[str, str]:
    return {_word(each): each.text or "" for each in element}


def _word(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def set_right(file: CurrentFile, login: tuple[str, str]) -> tuple[int, list[str]]:
    """Set all buckets right; return how many objects were, and what was objected to.

    Raises:
        NoStore: The store does not answer, or not as it should.
    """
    copy = Copy(S3Client(file.url, file.region, login), S3Client(file.filer, file.region, None))
    done, objections = 0, []
    try:
        for bucket in file.buckets:
            for version in copy.misled_in(bucket):
                objection = copy.set_current(bucket, version.key)
                if objection:
                    objections.append(f"{bucket}/{version.key}: {objection}")
                else:
                    print(f"ok   {bucket}/{version.key}: {version.number} is the current one")
                    done += 1
    except OSError as error:
        raise NoStore(f"{file.url} or {file.filer} does not answer: {error}") from error
    return done, objections


def main(arguments: list[str]) -> int:
    """Run the program; the module's docstring says what it returns."""
    try:
        file = told(MODULE, arguments, CurrentFile, format=FORMAT)
        login = login_in(file.credentials, arguments[0])
    except UnusableFileError as error:
        print(error, file=sys.stderr)
        return 2
    try:
        done, objections = set_right(file, login)
    except NoStore as error:
        print(f"{error}\n  fix: see that the store runs, and that network policies let this pod out", file=sys.stderr)
        return 3
    for each in objections:
        print(f"FAIL {each}")
    print(f"{done} set right, {len(objections)} not")
    return 1 if objections else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
