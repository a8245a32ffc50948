"""Files that a description names: contents of config files, and Secrets that were encrypted before."""

import os
import stat
from collections.abc import Iterator

import msgspec

from aether_deploy.config.sink import path_text
from aether_deploy.fleet.config import DeploymentConfig
from aether_deploy.fleet.deviations import literals_of
from aether_deploy.fleet.pod import config_data
from aether_deploy.fleet.rules import LITERAL_FIX, UNUSED_FIX, UNUSED_WAIVER
from aether_deploy.manifest.literals import literal_secret
from aether_deploy.platform.config import Platform
from aether_deploy.platform.encrypted import read_encrypted
from aether_deploy.platform.expansion import Steps
from aether_deploy.platform.placing import at_layer, site_configs
from aether_deploy.platform.secrets import path_of, path_steps, secrets_at
from aether_deploy.problems import ConfigError, Problem, shown

MAX_FILE_BYTES = 64 * 1024 * 1024


def read_bytes(path: str) -> bytes:
    """Return what the file holds; of an endless one such as /dev/zero only more than is allowed.

    Raises:
        OSError: It cannot be read.
    """
    with open(path, "rb") as file:
        return file.read(MAX_FILE_BYTES + 1)


def _read_regular(path: str) -> bytes:
    """Return what the file holds; a pipe or a device would not end, or not give the same twice."""
    if not stat.S_ISREG(os.stat(path).st_mode) and not os.path.isdir(path):
        raise ValueError("is no regular file")
    return read_bytes(path)


def read_sources(platform: Platform, folder: str, files: dict[str, bytes]) -> list[tuple[Steps, Problem]]:
    """Read every file that ``platform`` names into ``files``, and judge what they hold.

    Args:
        platform: The platform of one environment.
        folder: The folder that their paths are relative to.
        files: What was read before, by path.

    Returns:
        What cannot be read, holds a secret in plain sight, or is not encrypted as it must be. A problem of a
        place inside such a file has that place.
    """
    found: dict[Steps, Problem] = {}
    for site in platform.sites:
        for view, config in site_configs(platform, site).values():
            for steps, problem in _read_sources_of(config, folder, files):
                at = at_layer(platform, view, site, steps)
                found[at] = msgspec.structs.replace(problem, path=path_text(at))
    return [*found.items(), *_read_encrypted(platform, folder, files)]


def _read_sources_of(config: DeploymentConfig, folder: str, files: dict[str, bytes]) -> Iterator[tuple[Steps, Problem]]:
    whole = True
    sources = [(at, file.source) for at, file in enumerate(config.config_files) if file.source and file.enabled]
    for place, source in sources:
        at = ("config_files", place, "source")
        try:
            if source not in files:
                files[source] = _read_regular(os.path.join(folder, source))
        except (OSError, ValueError) as error:
            whole = False
            yield at, _unread(error, source, at, "write the file, or correct the path")
    if whole and sources:
        yield from _literals_in_sources(config, {place: files[source] for place, source in sources})
    if whole and config.config_files:
        try:
            config_data(config, files)
        except ConfigError as error:
            yield from ((("config_files",), problem) for problem in error.problems)


def _literals_in_sources(config: DeploymentConfig, contents: dict[int, bytes]) -> Iterator[tuple[Steps, Problem]]:
    kinds = {place: literal_secret(content.decode("utf-8", "replace")) for place, content in contents.items()}
    if "secret_literal" in config.waivers:
        # Rules without files cannot tell whether this one is of use.
        if not any(kinds.values()) and not any(True for _ in literals_of(config)):
            unused = Problem(path="$", reason=UNUSED_WAIVER, fix=UNUSED_FIX, severity="warning")
            yield ("waivers", "secret_literal"), unused
        return
    for place, kind in kinds.items():
        if kind is not None:
            reason, value = f"its content holds {kind} in plain sight", shown(config.config_files[place].source)
            yield ("config_files", place, "source"), Problem(path="$", reason=reason, fix=LITERAL_FIX, value=value)


def _read_encrypted(platform: Platform, folder: str, files: dict[str, bytes]) -> Iterator[tuple[Steps, Problem]]:
    """Read every encrypted Secret into ``files``; yield what cannot be read, and what is wrong in what can."""
    secrets = platform.secrets
    if not secrets.encrypts:
        return
    unread: set[tuple[str, str]] = set()
    for site in platform.sites:
        for namespace, use in secrets_at(platform, site):
            path = path_of(platform, site, use.name, namespace)
            name = os.path.join(folder, path)
            try:
                if path not in files:
                    files[path] = _read_regular(name)
            except (OSError, ValueError) as error:
                if (use.name, path) not in unread:
                    at = path_steps(platform, use.name)
                    yield at, _unread(error, path, at, f"encrypt Secret '{use.name}' into it, or correct the path")
                unread.add((use.name, path))
                continue
            _, problems = read_encrypted(secrets.provider, use, namespace, files[path], name)
            yield from ((("secrets",), problem) for problem in problems)


def _unread(error: Exception, path: str, at: Steps, fix: str) -> Problem:
    reason = f"cannot be read: {getattr(error, 'strerror', None) or error}"
    fix = f"{fix}; it is relative to the folder of the first FILE"
    return Problem(path=path_text(at), reason=reason, fix=fix, value=shown(path))
