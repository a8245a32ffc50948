"""What ``router serve`` is told: files of a description, or what was rendered of it, and secrets beside it."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click

from aether_deploy.cli.inputs import collected
from aether_deploy.problems import ConfigError, Problem, shown
from aether_deploy.routing.router_config import RouterConfig
from aether_deploy.service.router.probing import target_of
from aether_deploy.service.router.rights import AdminToken, read_admin_token
from aether_deploy.service.router.serving import Told
from aether_deploy.service.router.signing import SigningKeys, read_signing_keys

SECRET_BYTES_MAX = 65_536
CONFIG_BYTES_MAX = 16 * 1024 * 1024
_LISTEN = re.compile(r"(\[(?P<address>[0-9a-fA-F:.%]+)\]|(?P<host>[^\s\[\]:]*)):(?P<port>[0-9]{1,5})")


class Sources(NamedTuple):
    """Where everything is read that a router is told, at the begin and on SIGHUP.

    Attributes:
        files: Files of the description.
        settings: What ``--set`` says.
        environment: Which environment of it; None is the first.
        config: A rendered configuration instead.
        admin_token: The file with the token that orders need.
        signing_keys: The PEM file with the keys.
    """

    files: Sequence[str]
    settings: Sequence[str]
    environment: str | None
    config: str | None
    admin_token: str | None
    signing_keys: str | None

    def read(self) -> Told:
        """Read everything.

        Raises:
            ConfigError: With every fault of everything.
        """
        problems: list[Problem] = []
        config = collected(problems, self._config)
        keys = collected(problems, self._keys)
        token = collected(problems, self._token)
        if config is None or problems:
            raise ConfigError(problems)
        return Told(config[0], keys, token, config[1])

    def _config(self) -> tuple[RouterConfig, tuple[Problem, ...]]:
        if self.config is not None:
            return read_router_config(self.config), ()
        return described_router(self.files, self.settings, self.environment)

    def _keys(self) -> SigningKeys | None:
        name = self.signing_keys
        return None if name is None else read_signing_keys(_content(name, SECRET_BYTES_MAX), file=name)

    def _token(self) -> AdminToken | None:
        name = self.admin_token
        return None if name is None else read_admin_token(_content(name, SECRET_BYTES_MAX), file=name)


def described_router(
    files: Sequence[str], settings: Sequence[str], environment: str | None
) -> tuple[RouterConfig, tuple[Problem, ...]]:
    """Return what the router of a description is told, and the description's warnings.

    Raises:
        ConfigError: The description has faults, or no routing.
    """
    from aether_deploy.cli.routed import read_routing

    description, judgement, config = read_routing(files, settings, environment)
    if config is None:
        raise ConfigError([problem for problem in judgement.problems if problem.severity == "error"])
    if judgement.platforms[0].routing is None:
        fix = "add 'routing: {entry: NAME}', the service that players reach first"
        source = description.document.sources[0].name
        raise ConfigError([Problem(path="$", reason="has no routing, so there is no router", fix=fix, file=source)])
    return config, judgement.problems


def read_router_config(name: str) -> RouterConfig:
    """Return the configuration that a JSON file holds, as it is rendered beside the router's pods.

    Raises:
        ConfigError: With every fault of it.
    """
    import msgspec

    try:
        values: Any = msgspec.json.decode(_content(name, CONFIG_BYTES_MAX))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _fault(name, f"is no JSON: {error}", "render it anew: aether-deploy render") from None
    try:
        return RouterConfig.from_values(values)
    except ConfigError as error:
        named = [msgspec.structs.replace(problem, file=name) for problem in error.problems]
        raise ConfigError(named) from None


def listening_at(_: click.Context, __: click.Parameter, text: str) -> tuple[str, int]:
    """Return host and port of HOST:PORT; an empty host is every address, port 0 any that is free."""
    found = _LISTEN.fullmatch(text)
    if found is None or int(found["port"]) > 65_535:
        raise click.BadParameter(f"{shown(text)} is not HOST:PORT, such as 0.0.0.0:8080, [::1]:8080 or :8080")
    return found["address"] or found["host"] or "", int(found["port"])


def self_check_url(_: click.Context, __: click.Parameter, url: str | None) -> str | None:
    """Return a URL that can be asked."""
    if url is None:
        return None
    try:
        if target_of(url).scheme in ("http", "https", "tcp"):
            return url
    except ValueError:
        pass
    raise click.BadParameter(f"{shown(url)} is not like https://host/path or tcp://host:port")


def _content(name: str, bytes_max: int) -> bytes:
    try:
        with Path(name).open("rb") as file:
            content = file.read(bytes_max + 1)
    except OSError as error:
        raise _fault(name, f"cannot be read: {error.strerror}", "name a file that is there and can be read") from None
    except ValueError as error:  # a null character in the name
        raise _fault(name, f"cannot be read: {error}", "name a file that is there and can be read") from None
    if len(content) > bytes_max:
        raise _fault(name, f"has more than {bytes_max} bytes", "name the file that is meant")
    return content


def _fault(file: str, reason: str, fix: str) -> ConfigError:
    return ConfigError([Problem(path="$", reason=reason, fix=fix, file=file)])
