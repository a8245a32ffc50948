"""Where a workload deviates from what policy checkers ask: what needs a waiver."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from aether_deploy.manifest.literals import literal_secret
from aether_deploy.patterns import Pattern

if TYPE_CHECKING:
    from aether_deploy.fleet.config import DeploymentConfig

# Names as kube-linter (env-var-secret) and polaris (sensitiveContainerEnvVar) refuse them, and their like. A token ends
# the word that it stands in, unlike for polaris: TOKENS_PER_SECOND and TOKENIZER are no secrets.
SECRET_NAME = Pattern(
    r"(?i)secret|password|passwd|passphrase|(token|bearer)([_.-]|$)|^azure_.+key$|^oci_cli_key_content$"
    r"|(^|[_.-])((api|access|private)[_.-]?key|credentials?)([_.-]|$)"
)
Steps = tuple[str | int, ...]


def images_of(self: "DeploymentConfig") -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield every image that runs, with the steps to it."""
    yield ("image",), self.image
    for group in ("init_containers", "sidecars"):
        for place, container in enumerate(getattr(self, group)):
            if container.enabled:
                yield (group, place, "image"), container.image


def environments_of(self: "DeploymentConfig") -> Iterator[tuple[tuple[str | int, ...], dict[str, str]]]:
    """Yield the environment variables of every container, with the steps to them."""
    yield ("env",), self.env
    for group in ("init_containers", "sidecars"):
        for place, container in enumerate(getattr(self, group)):
            yield (group, place, "env"), container.env


def texts_of(self: "DeploymentConfig") -> Iterator[tuple[Steps, str]]:
    """Yield every text that its author is free in and that is rendered, with the steps to it.

    Names, images and quantities have a form that no secret has.
    """
    for at, env in environments_of(self):
        yield from (((*at, name), text) for name, text in env.items())
    yield from _words(("command",), self.command)
    yield from _words(("args",), self.args)
    for group in ("init_containers", "sidecars"):
        for place, container in enumerate(getattr(self, group)):
            yield from _words((group, place, "command"), container.command)
            yield from _words((group, place, "args"), container.args)
    yield from _words(("drain", "pre_stop", "command"), getattr(self.drain.pre_stop, "command", ()))
    for name, probe in self.probes.all():
        yield from _words(("probes", name, "command"), probe.command)
    for place, file in enumerate(self.config_files):
        yield ("config_files", place, "text"), file.text or ""
    for group in ("labels", "annotations", "node_selector", "waivers"):
        yield from (((group, key), text) for key, text in getattr(self, group).items())
    for key, text in (self.expose.annotations if self.expose else {}).items():
        yield ("expose", "annotations", key), text


def _words(at: Steps, words: Sequence[str]) -> Iterator[tuple[Steps, str]]:
    return (((*at, place), word) for place, word in enumerate(words))


def literals_of(self: "DeploymentConfig") -> Iterator[tuple[Steps, str]]:
    """Yield every text that holds a secret, as the steps to it and what kind of secret it is."""
    for at, text in texts_of(self):
        kind = literal_secret(text)
        if kind is not None:
            yield at, kind


def deviations(self: "DeploymentConfig") -> dict[str, str | None]:
    """Return the waivers that the workload needs, each with its author's reason, if he gave one."""
    fixed = {
        "cpu_limit": self.resources.cpu_limit is None
        or any(c.enabled and c.resources.cpu_limit is None for c in (*self.sidecars, *self.init_containers)),
        "image_digest": any("@sha256:" not in image for _, image in images_of(self)),
        "priority_class": self.priority_class is None,
        "replicas": self.scaling is not None and not self.is_stateful,
        "single_replica": self.least_pods < 2,
        "fixed_count": self.scaling is not None and self.scaling.min_replicas == self.scaling.max_replicas,
        "per_pod": self.expose is not None and self.expose.per_pod,
        "recreate": self.update.strategy == "Recreate",
        "user_id": min(self.identity.run_as_user, self.identity.run_as_group) <= 10000,
        "service_account_token": self.identity.automount_token,
        "node_port": self.expose is not None and self.expose.type == "NodePort",
        "secret_env": any(SECRET_NAME.search(name) for _, env in environments_of(self) for name in env),
        # Without the waiver it would have been refused, so nobody needs to look again.
        "secret_literal": "secret_literal" in self.waivers and any(True for _ in literals_of(self)),
    }
    return {name: self.waivers.get(name) for name, deviates in fixed.items() if deviates}
