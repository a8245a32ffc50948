"""The rules between the fields of a workload. Each yields the faults that it sees.

Sources: facts of Kubernetes' own validation (``pkg/apis/core/validation``, ``apps/validation``), the checks
of kube-score, kube-linter and polaris, and what the controllers do with settings that validate.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from aether_deploy.config.base import Fault
from aether_deploy.fleet.deviations import SECRET_NAME, deviations, environments_of, images_of, literals_of
from aether_deploy.manifest.labels import RESERVED_PREFIXES
from aether_deploy.pods.images import image_faults
from aether_deploy.pods.names import CONTROLLER_NAME_MAX, NAME_MAX
from aether_deploy.problems import suggestion
from aether_deploy.quantities import parse_quantity

if TYPE_CHECKING:
    from aether_deploy.fleet.config import DeploymentConfig

ANNOTATIONS_MAX_BYTES = 256 * 1024
UNUSED_WAIVER, UNUSED_FIX = "waives nothing: the workload does not deviate", "remove it"
LITERAL_FIX = "mount it by secret_files, or give the waiver secret_literal a reason; if it was ever pushed, replace it"


def kind_follows_the_volume(self: "DeploymentConfig") -> Iterator[Fault]:
    if self.kind is not None and self.kind.value != self.target_kind:
        because = "a pvc is given" if self.is_stateful else "no pvc is given"
        yield Fault(
            ("kind",),
            f"{because}, so a {self.target_kind} is rendered",
            "leave kind out, or " + ("remove the pvc" if self.is_stateful else "add a pvc"),
            self.kind.value,
            "warning",
        )


def names_fit(self: "DeploymentConfig") -> Iterator[Fault]:
    if self.is_stateful and len(self.name) > CONTROLLER_NAME_MAX:
        yield Fault(
            ("name",),
            f"has {len(self.name)} characters; a StatefulSet's name has at most {CONTROLLER_NAME_MAX}",
            "shorten it",
            self.name,
        )
        return
    suffixes = ["-config"] if self.config_files else []
    suffixes += ["-headless"] if self.is_stateful else []
    suffixes += ["-external"] if self.expose and not self.expose.per_pod else []
    suffixes += [f"-{self.most_pods - 1}"] if self.expose and self.expose.per_pod else []
    longest = max(suffixes, key=len, default="")
    if len(self.name + longest) > NAME_MAX:
        yield Fault(
            ("name",),
            f"its object '{self.name}{longest}' has {len(self.name + longest)} characters; "
            f"a name has at most {NAME_MAX}",
            "shorten it",
            self.name,
        )


def namespace_is_hardened(self: "DeploymentConfig") -> Iterator[Fault]:
    if self.namespace == "default":
        yield Fault(
            ("namespace",),
            "the namespace that everything without one lands in, and that nothing hardens",
            "give it a namespace of its own",
            self.namespace,
            "warning",
        )


def image_is_pinned(self: "DeploymentConfig") -> Iterator[Fault]:
    for at, image in images_of(self):
        yield from image_faults(at, image, waived="image_digest" in self.waivers)


def ports_are_distinct(self: "DeploymentConfig") -> Iterator[Fault]:
    seen: dict[tuple[int, str], str] = {}
    for place, port in enumerate(self.ports):
        if not port.enabled:
            continue
        other = seen.setdefault((port.port, port.protocol), port.name)
        if other != port.name:
            yield Fault(("ports", place, "port"), f"taken by port '{other}'", "give it another number", port.port)
        if port.port == 22:
            yield Fault(
                ("ports", place, "port"),
                "the port of an SSH server, which checkers refuse",
                "use another port",
                22,
            )


def port_names_exist(self: "DeploymentConfig") -> Iterator[Fault]:
    names = [port.name for port in self.ports if port.enabled]
    known = ", ".join(names) or "none"
    for place, name in enumerate(self.expose.ports if self.expose else ()):
        if name not in names:
            yield Fault(
                ("expose", "ports", place),
                "no port has that name",
                suggestion(name, names, f"known are {known}"),
                name,
            )
    if self.metrics and self.metrics.port not in names:
        fix = suggestion(self.metrics.port, names, f"known are {known}; metrics: none switches scraping off")
        yield Fault(("metrics", "port"), "no port has that name", fix, self.metrics.port)
    for port in self.ports:
        if self.metrics and port.enabled and port.name == self.metrics.port and port.protocol != "TCP":
            reason = f"a port of protocol {port.protocol}, where nobody can scrape"
            yield Fault(("metrics", "port"), reason, "name a TCP port, or write metrics: none", port.name)


def _mounts(self: "DeploymentConfig") -> Iterator[tuple[tuple[str | int, ...], str]]:
    yield (), "/tmp"
    if self.pvc:
        yield ("pvc", "mount_path"), self.pvc.mount_path
    for group in ("config_files", "secret_files", "volumes"):
        for place, item in enumerate(getattr(self, group)):
            if item.enabled:
                yield (group, place, "path"), item.path


def mounts_do_not_overlap(self: "DeploymentConfig") -> Iterator[Fault]:
    seen: list[tuple[tuple[str | int, ...], str]] = []
    for at, path in _mounts(self):
        for _, other in seen:
            if path == other or path.startswith(f"{other}/") or other.startswith(f"{path}/"):
                whose = "which is scratch in every container" if other == "/tmp" else "which is mounted too"
                yield Fault(at, f"overlaps {other}, {whose}", "mount it elsewhere", path)
                break
        seen.append((at, path))


def container_mounts_exist(self: "DeploymentConfig") -> Iterator[Fault]:
    known = ["tmp", *(["wal"] if self.pvc else []), *(v.name for v in self.volumes if v.enabled)]
    for place, volume in enumerate(self.volumes):
        if volume.name in ("tmp", "wal", "config") or volume.name.startswith("secret-"):
            yield Fault(
                ("volumes", place, "name"),
                "a name that the workload's own volumes use",
                "choose another",
                volume.name,
            )
    for group in ("init_containers", "sidecars"):
        for place, container in enumerate(getattr(self, group)):
            for index, mount in enumerate(container.mounts):
                at = (group, place, "mounts", index)
                if mount.volume not in known:
                    fix = suggestion(mount.volume, known, f"known are {', '.join(known)}")
                    yield Fault((*at, "volume"), "no volume has that name", fix, mount.volume)
                if mount.path == "/tmp" and mount.volume != "tmp":
                    yield Fault(
                        (*at, "path"),
                        "overlaps /tmp, which is scratch in every container",
                        "mount it elsewhere",
                        mount.path,
                    )


def volume_names_fit(self: "DeploymentConfig") -> Iterator[Fault]:
    for place, file in enumerate(self.secret_files):
        if file.enabled and len(f"secret-{file.name}") > NAME_MAX:
            yield Fault(
                ("secret_files", place, "name"),
                f"its volume 'secret-{file.name}' would have more than {NAME_MAX} characters",
                f"use at most {NAME_MAX - len('secret-')}",
                file.name,
            )


def container_names_are_distinct(self: "DeploymentConfig") -> Iterator[Fault]:
    seen = {self.name}
    for group in ("init_containers", "sidecars"):
        for place, container in enumerate(getattr(self, group)):
            if container.name in seen:
                yield Fault(
                    (group, place, "name"),
                    "the name of another container of the pod",
                    "choose another",
                    container.name,
                )
            seen.add(container.name)


def annotations_fit(self: "DeploymentConfig") -> Iterator[Fault]:
    size = sum(len(key.encode()) + len(text.encode()) for key, text in self.annotations.items())
    if size > ANNOTATIONS_MAX_BYTES:
        reason = f"hold {size} bytes together; an object's annotations hold at most {ANNOTATIONS_MAX_BYTES}"
        yield Fault(("annotations",), reason, "put what is large into config_files")


def scratch_fits(self: "DeploymentConfig") -> Iterator[Fault]:
    limits = {"empty_dir": ("ephemeral_limit", "evicts the pod"), "memory": ("memory_limit", "ends the container")}
    for place, volume in enumerate(self.volumes):
        name, what = limits.get(volume.type, ("", ""))
        limit = getattr(self.resources, name, None)
        if volume.enabled and volume.size and limit and parse_quantity(volume.size) > parse_quantity(limit):
            yield Fault(
                ("volumes", place, "size"),
                f"more than resources.{name}, which is {limit}: filling it {what}",
                f"lower it, or raise resources.{name}",
                volume.size,
                "warning",
            )


def tokens_are_of_use(self: "DeploymentConfig") -> Iterator[Fault]:
    if self.identity.automount_token and not self.network.allow_to:
        yield Fault(
            ("identity", "automount_token"),
            "of no use: the network policy lets the pods reach no API server",
            "list its addresses in network.allow_to",
            True,
            "warning",
        )


def secrets_are_files(self: "DeploymentConfig") -> Iterator[Fault]:
    if "secret_env" in self.waivers:
        return
    for at, env in environments_of(self):
        for name in env:
            if SECRET_NAME.search(name):
                yield Fault(
                    (*at, name),
                    "a secret in plain sight, by its name",
                    "mount it by secret_files, or give the waiver secret_env a reason",
                )


def literals_are_no_secrets(self: "DeploymentConfig") -> Iterator[Fault]:
    if "secret_literal" in self.waivers:
        return
    for at, kind in literals_of(self):
        yield Fault(at, f"holds {kind} in plain sight", LITERAL_FIX)  # without the value: messages end in logs


def labels_are_the_authors(self: "DeploymentConfig") -> Iterator[Fault]:
    for field in ("labels", "annotations"):
        for key in getattr(self, field):
            domain = key.partition("/")[0] if "/" in key else ""
            reserved = f"{domain}/" in RESERVED_PREFIXES
            # Controllers are told by annotations what to do with a pod: cluster-autoscaler.kubernetes.io/safe-to-evict.
            if field == "labels":
                reserved |= any(domain.endswith(f".{prefix[:-1]}") for prefix in RESERVED_PREFIXES)
            if reserved:
                yield Fault(
                    (field, key),
                    f"{domain}/ belongs to Kubernetes and to this program",
                    "use a prefix of your own",
                )


def waivers_are_used(self: "DeploymentConfig") -> Iterator[Fault]:
    if not self.waivers:
        return
    unused = self.waivers.keys() - deviations(self).keys()
    if any(file.source and file.enabled for file in self.config_files):
        unused -= {"secret_literal"}  # it may be for the content of a file, which is not known here
    for name in sorted(unused):
        yield Fault(("waivers", name), UNUSED_WAIVER, UNUSED_FIX, severity="warning")
