"""Where a workload deviates from what policy checkers ask: what needs a waiver."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from aether_deploy.patterns import Pattern

if TYPE_CHECKING:
    from aether_deploy.fleet.config import DeploymentConfig

# kube-linter takes "secret" anywhere in the name; the other words count as whole words.
SECRET_NAME = Pattern(r"(?i)secret|(^|_)(password|passwd|token|api_?key|private_?key|credentials?)(_|$)")


def images_of(self: "DeploymentConfig") -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield every image that runs, with the steps to it."""
    yield ("image",), self.image
    for group in ("init_containers", "sidecars"):
        for place, container in enumerate(getattr(self, group)):
            if container.enabled:
                yield (group, place, "image"), container.image


def tag_of(image: str) -> str | None:
    """Return the tag of an image reference, or None."""
    name = image.partition("@")[0]
    _, colon, tag = name.rpartition(":")
    return tag if colon and "/" not in tag else None


def environments_of(self: "DeploymentConfig") -> Iterator[tuple[tuple[str | int, ...], dict[str, str]]]:
    """Yield the environment variables of every container, with the steps to them."""
    yield ("env",), self.env
    for group in ("init_containers", "sidecars"):
        for place, container in enumerate(getattr(self, group)):
            yield (group, place, "env"), container.env


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
    }
    return {name: self.waivers.get(name) for name, deviates in fixed.items() if deviates}
