"""A small client of the S3 API: what the set-up of buckets needs, signed (Signature Version 4), and no more.

Sources: Amazon S3 API Reference, "Authenticating Requests: Using the Authorization Header (AWS Signature Version 4)".
"""

import datetime
import hashlib
import hmac
import http.client
import ssl
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree

import msgspec

from aether_deploy.infrastructure.object_store.job import LOGIN_KEYS
from aether_deploy.jobs.told import not_rendered

_SERVICE = "s3"
_SAFE = "-_.~"
ANSWER_SECS = 20.0


class S3Answer(msgspec.Struct, frozen=True):
    """What a store answered.

    Attributes:
        status: The HTTP status.
        headers: Its headers, names in lower case.
        body: Its body.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def code(self) -> str:
        """The store's word for what went wrong: ``NoSuchBucket``; empty where it has none."""
        try:
            root = ElementTree.fromstring(self.body)
        except ElementTree.ParseError:
            return ""
        return next((each.text or "" for each in root.iter() if each.tag.rpartition("}")[2] == "Code"), "")

    @property
    def said(self) -> str:
        """Status and word, for messages."""
        return f"{self.status} {self.code}".strip()


def login_in(folder: str, told_by: str) -> tuple[str, str]:
    """Return the access key and the secret key whose files are in a folder.

    Args:
        folder: The folder.
        told_by: The file that names it, for messages.

    Raises:
        UnusableFileError: They are not there.
    """
    try:
        access, secret = ((Path(folder) / each).read_text("utf-8").strip() for each in LOGIN_KEYS)
    except OSError as error:
        raise not_rendered(told_by, error) from error
    return access, secret


class S3Client:
    """Asks one store. Buckets are named in the path, as every store understands."""

    def __init__(
        self, endpoint: str, region: str, login: tuple[str, str] | None, *, answer_secs: float = ANSWER_SECS
    ) -> None:
        """Prepare a client.

        Args:
            endpoint: Where the store answers: ``https://s3.eu-west-1.amazonaws.com``.
            region: The region that signatures name.
            login: Access key and secret key; None asks as anybody.
            answer_secs: Longest time that an answer may take, seconds.
        """
        url = urlsplit(endpoint)
        self._secure = url.scheme == "https"
        self._host, self._region, self._login, self._answer_secs = url.netloc, region, login, answer_secs

    def ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> S3Answer:
        """Return the answer to one request.

        Args:
            method: ``GET``, ``PUT`` …
            path: ``/<bucket>`` or ``/<bucket>/<key>``, as it reads: it is quoted here.
            query: What follows the path, as it reads.
            body: What is sent.
            headers: Further headers.

        Raises:
            OSError: The store does not answer.
        """
        now = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
        target, asked = quote(path, safe=f"/{_SAFE}"), _query(query or {})
        sent = {"host": self._host, **{name.lower(): value for name, value in (headers or {}).items()}}
        if self._login is not None:
            sent |= signed_headers(method, target, asked, sent, body, now, self._region, self._login)
        try:
            return self._send(method, f"{target}?{asked}" if asked else target, body, sent)
        except http.client.HTTPException as error:
            raise OSError(f"no HTTP: {error!r}") from error

    def _send(self, method: str, target: str, body: bytes, headers: Mapping[str, str]) -> S3Answer:
        connection: http.client.HTTPConnection
        if self._secure:
            context = ssl.create_default_context()
            connection = http.client.HTTPSConnection(self._host, timeout=self._answer_secs, context=context)
        else:
            connection = http.client.HTTPConnection(self._host, timeout=self._answer_secs)
        try:
            connection.request(method, target, body=body, headers=dict(headers))
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return S3Answer(answer.status, found, answer.read())
        finally:
            connection.close()


def _query(query: Mapping[str, str]) -> str:
    return "&".join(f"{quote(name, safe=_SAFE)}={quote(query[name], safe=_SAFE)}" for name in sorted(query))


def signed_headers(
    method: str,
    target: str,
    query: str,
    headers: Mapping[str, str],
    body: bytes,
    now: str,
    region: str,
    login: tuple[str, str],
) -> dict[str, str]:
    """Return the headers that sign a request.

    Args:
        method: Its method.
        target: Its path, quoted.
        query: Its query, quoted and sorted.
        headers: Its headers, names in lower case; ``host`` is one.
        body: Its body.
        now: The time, ``20130524T000000Z``.
        region: The region of the signature.
        login: Access key and secret key.
    """
    access_key, secret_key = login
    digest = hashlib.sha256(body).hexdigest()
    told = {**headers, "x-amz-content-sha256": digest, "x-amz-date": now}
    names = ";".join(sorted(told))
    lines = "".join(f"{name}:{told[name].strip()}\n" for name in sorted(told))
    request = "\n".join((method, target, query, lines, names, digest))
    scope = f"{now[:8]}/{region}/{_SERVICE}/aws4_request"
    text = "\n".join(("AWS4-HMAC-SHA256", now, scope, hashlib.sha256(request.encode()).hexdigest()))
    key = f"AWS4{secret_key}".encode()
    for part in (now[:8], region, _SERVICE, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    credential = f"AWS4-HMAC-SHA256 Credential={access_key}/{scope},SignedHeaders={names},Signature={signature}"
    return {"authorization": credential, "x-amz-content-sha256": digest, "x-amz-date": now}
