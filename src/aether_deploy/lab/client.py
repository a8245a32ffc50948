"""A small client of the Kubernetes API on the standard library: JSON over TLS, no kinds of its own."""

import http.client
import json
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import msgspec

from aether_deploy.problems import EffectError

Body = dict[str, Any]
TIMEOUT_SECS = 30.0
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
JSON = "application/json"


class ApiError(EffectError):
    """The API server refused a request.

    Attributes:
        status: HTTP status: 404, 409, 422 …
        reason: Its machine-readable reason: ``NotFound``, ``Conflict``, ``Invalid`` …
        body: The whole Status object.
    """

    def __init__(self, what: str, status: int, body: Body) -> None:
        self.status = status
        self.reason = str(body.get("reason", ""))
        self.body = body
        super().__init__(f"{what}: {body.get('message') or http.client.responses.get(status, status)}")


class Answer(msgspec.Struct, frozen=True):
    """What the API server answered.

    Attributes:
        body: The object.
        warnings: Texts of its ``Warning:`` headers.
    """

    body: Body
    warnings: tuple[str, ...]


class Client:
    """Requests to one API server; may be used by several threads, each of which has its own connection.

    Every request ends within ``timeout_secs``, so a server that hangs is an error and no wait for ever.
    """

    def __init__(
        self,
        address: int | Path,
        context: ssl.SSLContext | None,
        *,
        name: str = "kube-apiserver",
        timeout_secs: float = TIMEOUT_SECS,
    ) -> None:
        """Prepare requests to a server on this machine.

        Args:
            address: A port on the loopback address, or a Unix socket (in plain HTTP).
            context: How to speak TLS; without it, plain HTTP.
            name: What messages call the server.
            timeout_secs: How long a request may take, seconds.
        """
        self._address = address
        self._context = context
        self._name = name
        self._timeout_secs = timeout_secs
        self._local = threading.local()
        self._kinds: dict[str, dict[str, tuple[str, bool]]] = {}

    @classmethod
    def from_certificates(cls, port: int, folder: Path, user: str, *, timeout_secs: float = TIMEOUT_SECS) -> "Client":
        """Return a client that trusts ``ca.crt`` and presents the certificate of ``user``."""
        context = ssl.create_default_context(cafile=str(folder / "ca.crt"))
        context.load_cert_chain(str(folder / f"{user}.crt"), str(folder / f"{user}.key"))
        return cls(port, context, timeout_secs=timeout_secs)

    # --- requests

    def request(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        content_type: str = JSON,
        query: Mapping[str, str] | None = None,
    ) -> Answer:
        """Return the answer to one request.

        Raises:
            ApiError: The server refused it.
            EffectError: The server does not answer.
        """
        target = f"{path}?{urlencode(query)}" if query else path
        response, content = self._exchange(method, target, body, content_type)
        decoded = self._decoded(content)
        if response.status >= 400:
            raise ApiError(f"{method} {path}", response.status, decoded)
        return Answer(decoded, _warnings(response))

    def text(self, path: str) -> str | None:
        """Return the text at ``path``, or None where the server answers with an error or not at all."""
        try:
            response, content = self._exchange("GET", path, None, JSON)
        except EffectError:
            return None
        return content.decode("utf-8", "replace") if response.status < 400 else None

    def _exchange(
        self, method: str, target: str, body: object, content_type: str
    ) -> tuple[http.client.HTTPResponse, bytes]:
        encoded = None if body is None else json.dumps(body).encode()
        headers = {"Accept": JSON} | ({} if body is None else {"Content-Type": content_type})
        for attempt in (1, 2):
            connection = self._connection()
            try:
                connection.request(method, target, encoded, headers)
                response = connection.getresponse()
                return response, response.read()
            except TimeoutError as error:
                self._forget()
                raise EffectError(
                    f"{self._name} does not answer within {self._timeout_secs:g} s ({method} {target})\n"
                    "  fix: see whether its machine is overloaded or out of memory, then run again"
                ) from error
            except (OSError, http.client.HTTPException) as error:
                self._forget()
                # A server may close a connection that was idle; one that is new tells the truth.
                if attempt == 2 or isinstance(error, ConnectionRefusedError):
                    raise EffectError(
                        f"{self._name} cannot be reached: {error} ({method} {target})\n  fix: see that it runs"
                    ) from error
        raise AssertionError("unreachable")

    def _connection(self) -> http.client.HTTPConnection:
        connection: http.client.HTTPConnection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._new_connection(self._timeout_secs)
            self._local.connection = connection
        return connection

    def _new_connection(self, timeout_secs: float) -> http.client.HTTPConnection:
        if isinstance(self._address, Path):
            return _UnixConnection(self._address, timeout_secs)
        if self._context is None:
            return http.client.HTTPConnection("127.0.0.1", self._address, timeout=timeout_secs)
        return http.client.HTTPSConnection("127.0.0.1", self._address, context=self._context, timeout=timeout_secs)

    def _forget(self) -> None:
        connection = getattr(self._local, "connection", None)
        if connection is not None:
            connection.close()
            self._local.connection = None

    @staticmethod
    def _decoded(content: bytes) -> Body:
        try:
            decoded = json.loads(content)
        except ValueError:
            return {"message": content.decode("utf-8", "replace").strip()}
        return decoded if isinstance(decoded, dict) else {"items": decoded}

    # --- objects

    def path_of(self, api_version: str, kind: str, namespace: str | None = None, name: str | None = None) -> str:
        """Return the path of an object, or of a collection without ``name``, as the server's discovery says.

        Raises:
            ApiError: The server does not know the kind (status 404).
        """
        resource, namespaced = self._resource(api_version, kind)
        path = f"/api/{api_version}" if "/" not in api_version else f"/apis/{api_version}"
        if namespaced and namespace is not None:
            path += f"/namespaces/{quote(namespace)}"
        path += f"/{resource}"
        return path if name is None else f"{path}/{quote(name)}"

    def _resource(self, api_version: str, kind: str) -> tuple[str, bool]:
        if kind not in self._kinds.get(api_version, {}):
            base = f"/api/{api_version}" if "/" not in api_version else f"/apis/{api_version}"
            listed = self.request("GET", base).body.get("resources", [])
            self._kinds[api_version] = {
                each["kind"]: (each["name"], each["namespaced"]) for each in listed if "/" not in each["name"]
            }
        try:
            return self._kinds[api_version][kind]
        except KeyError:
            body = {"reason": "NotFound", "message": f"the server has no kind {kind} in {api_version}"}
            raise ApiError(f"find {kind}", 404, body) from None

    def path_to(self, body: Mapping[str, Any]) -> str:
        """Return the path of the object that ``body`` describes."""
        metadata = body["metadata"]
        return self.path_of(body["apiVersion"], body["kind"], metadata.get("namespace"), metadata["name"])

    def apply(self, body: Mapping[str, Any], *, manager: str, force: bool = False, dry_run: bool = False) -> Answer:
        """Apply an object on the server's side, its fields strictly validated, and return what is there then."""
        query = {"fieldManager": manager, "fieldValidation": "Strict"}
        query |= ({"force": "true"} if force else {}) | ({"dryRun": "All"} if dry_run else {})
        return self.request("PATCH", self.path_to(body), body, content_type=APPLY, query=query)

    def get(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> Body:
        """Return one object."""
        return self.request("GET", self.path_of(api_version, kind, namespace, name)).body

    def find(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> Body | None:
        """Return one object, or None if there is none."""
        try:
            return self.get(api_version, kind, name, namespace)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def list(
        self, api_version: str, kind: str, namespace: str | None = None, *, labels: str | None = None
    ) -> list[Body]:
        """Return the objects of a kind; in all namespaces where none is named."""
        query = {"labelSelector": labels} if labels else None
        items: list[Body] = self.request("GET", self.path_of(api_version, kind, namespace), query=query).body["items"]
        return items

    def create(self, body: Mapping[str, Any]) -> Answer:
        """Create an object."""
        metadata = body["metadata"]
        path = self.path_of(body["apiVersion"], body["kind"], metadata.get("namespace"))
        return self.request("POST", path, body)

    def delete(
        self, api_version: str, kind: str, name: str, namespace: str | None = None, *, orphan: bool = False
    ) -> None:
        """Delete an object, with what it owns in the background unless ``orphan``."""
        policy = "Orphan" if orphan else "Background"
        self.request("DELETE", self.path_of(api_version, kind, namespace, name), {"propagationPolicy": policy})

    def patch(self, path: str, body: object, *, subresource: str = "", manager: str = "aether-lab") -> Body:
        """Merge ``body`` into the object at ``path``."""
        where = f"{path}/{subresource}" if subresource else path
        query = {"fieldManager": manager}
        return self.request("PATCH", where, body, content_type=MERGE, query=query).body

    def evict(self, namespace: str, pod: str) -> None:
        """Ask for the eviction of a pod, as a node drain does.

        Raises:
            ApiError: The budget forbids it for now (429).
        """
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": namespace}}
        self.request("POST", f"/api/v1/namespaces/{namespace}/pods/{pod}/eviction", body)

    # --- watching

    def watch(self, path: str, resource_version: str, *, labels: str | None = None) -> Iterator[Body]:
        """Yield events (``type``, ``object``) as they come, on a connection of its own; ends when the server ends it.

        Raises:
            EffectError: The connection broke.
        """
        query = {"watch": "1", "resourceVersion": resource_version, "allowWatchBookmarks": "true"}
        query |= {"labelSelector": labels} if labels else {}
        connection = self._new_connection(3600)
        try:
            connection.request("GET", f"{path}?{urlencode(query)}", headers={"Accept": JSON})
            response = connection.getresponse()
            if response.status >= 400:
                raise ApiError(f"watch {path}", response.status, self._decoded(response.read()))
            for line in response:
                yield json.loads(line)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise EffectError(f"the watch of {path} broke: {error}") from error
        finally:
            connection.close()


class _UnixConnection(http.client.HTTPConnection):
    """A connection to a Unix socket, which the rights of its folder keep other users from."""

    def __init__(self, path: Path, timeout_secs: float) -> None:
        super().__init__("localhost", timeout=timeout_secs)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def _warnings(response: http.client.HTTPResponse) -> tuple[str, ...]:
    """Return the texts of the ``Warning: 299 - "text"`` headers."""
    texts = []
    for header in response.headers.get_all("Warning") or ():
        _, _, quoted = header.partition('"')
        texts.append(quoted.rpartition('"')[0].replace('\\"', '"') if quoted else header)
    return tuple(texts)
