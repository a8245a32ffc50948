"""What a probe asks: the parts of a URL of http, https or tcp."""

from typing import NamedTuple

DEFAULT_PORTS = {"http": 80, "https": 443}


class Target(NamedTuple):
    """What is asked.

    Attributes:
        scheme: ``http``, ``https``, or ``tcp``, which only connects.
        host: Name or address to connect to.
        port: Port to connect to.
        path: What is asked for, with its query.
        server_name: Name that the certificate must be for, and that the question is addressed to.
    """

    scheme: str
    host: str
    port: int
    path: str
    server_name: str

    @property
    def authority(self) -> str:
        """The ``Host`` of the question."""
        return authority_of(self.scheme, self.server_name, self.port)


def authority_of(scheme: str, name: str, port: int) -> str:
    """Return the ``Host`` of a question to ``name``: without the port that the scheme implies."""
    host = f"[{name}]" if ":" in name else name
    return host if port == DEFAULT_PORTS.get(scheme) else f"{host}:{port}"


def target_of(url: str, server_name: str | None = None) -> Target:
    """Return what a URL of http, https or tcp asks.

    Raises:
        ValueError: It names no host, or no port that there can be.
    """
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    port = parts.port if parts.port is not None else DEFAULT_PORTS.get(parts.scheme)
    if not parts.hostname or not port:
        raise ValueError(f"{url} names no host and port")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme, parts.hostname, port, path, server_name or parts.hostname)
