"""The rules between the fields of a workload. Each yields the faults that it sees.

Sources: facts of Kubernetes' own validation (``pkg/apis/core/validation``, ``apps/validation``), the checks
of kube-score, kube-linter and polaris, and what the controllers do with settings that validate.
"""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from aether_deploy.config.base import Fault
from aether_deploy.manifest.labels import RESERVED_PREFIXES
from aether_deploy.patterns import Pattern
from aether_deploy.problems import suggestion
from aether_deploy.quantities import parse_quantity

if TYPE_CHECKING:
    from aether_deploy.fleet.config import DeploymentConfig

# kube-linter takes "secret" anywhere in the name; the other words count as whole words.
SECRET_NAME = Pattern(r"(?i)secret|(^|_)(password|passwd|token|api_?key|private_?key|credentials?)(_|$)")
CONTROLLER_NAME_MAX = 52  # a StatefulSet's pods carry "<name>-<10 characters>" as a label, which has 63
NAME_MAX = 63
SERVICES_MAX = 1000
ANNOTATIONS_MAX_BYTES = 256 * 1024


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


def _images(self: "DeploymentConfig") -> Iterator[tuple[tuple[str | int, ...], str]]:
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
    for at, image in _images(self):
        tag = tag_of(image)
        digest = "@sha256:" in image
        if tag is None and not digest:
            yield Fault(
                at,
                "has neither tag nor digest, so every start may run another version",
                "write name:tag@sha256:digest",
                image,
            )
        elif tag == "latest" and not digest:
            yield Fault(
                at,
                "the tag latest moves, so every start may run another version",
                "write name:tag@sha256:digest",
                image,
            )
        elif not digest and "image_digest" not in self.waivers:
            yield Fault(
                at,
                "named by its tag only, which can be moved",
                "add the digest: name:tag@sha256:digest, or give the waiver image_digest a reason",
                image,
                "warning",
            )


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


def budget_leaves_pods(self: "DeploymentConfig") -> Iterator[Fault]:
    missing = self.disruption_budget.max_unavailable
    if missing > 1 and missing >= self.least_pods:
        yield Fault(
            ("disruption_budget", "max_unavailable"),
            f"lets a node drain take all of {self.least_pods} pods",
            f"set it to {max(self.least_pods - 1, 1)} or less",
            missing,
        )


def metrics_match_scaling(self: "DeploymentConfig") -> Iterator[Fault]:
    scaling = self.scaling
    if scaling is None:
        if self.custom_metrics:
            yield Fault(
                ("custom_metrics",),
                "nothing scales by them: scaling is off",
                "remove them, or add scaling",
                severity="warning",
            )
        return
    if not self.custom_metrics:
        yield Fault(
            (),
            "lacks 'custom_metrics': a service that scales must say by which metric",
            "add custom_metrics: [{name: ...}]",
        )
    for place, metric in enumerate(self.custom_metrics):
        target = metric.target_value
        if metric.metric_type == "Pods" and target is not None and target != scaling.target_players_per_pod:
            yield Fault(
                ("custom_metrics", place, "target_value"),
                f"differs from scaling.target_players_per_pod, which is {scaling.target_players_per_pod}",
                "leave target_value out: it follows target_players_per_pod",
                target,
            )


def replicas_are_the_autoscalers(self: "DeploymentConfig") -> Iterator[Fault]:
    if self.replicas == 0:
        yield Fault(("replicas",), "runs nothing", "set it to 1 or more, or use enabled: false", 0)
    scaling = self.scaling
    if scaling and not scaling.min_replicas <= self.replicas <= max(scaling.max_replicas, scaling.min_replicas):
        yield Fault(
            ("replicas",),
            f"outside {scaling.min_replicas}..{scaling.max_replicas}; the autoscaler owns the count",
            "leave replicas out",
            self.replicas,
            "warning",
        )
    if self.least_pods == 1 and "single_replica" not in self.waivers:
        at = ("scaling", "min_replicas") if self.scaling else ("replicas",)
        yield Fault(
            at,
            "one pod: every update and every lost node interrupts it",
            "set it to 2 or more, or give the waiver single_replica a reason",
            1,
            "warning",
        )


def update_fits_the_kind(self: "DeploymentConfig") -> Iterator[Fault]:
    update, kind = self.update, self.target_kind
    only = {"partition": "StatefulSet", "max_surge": "Deployment"}
    for name, wanted in only.items():
        if getattr(update, name) is not None and kind != wanted:
            yield Fault(
                ("update", name),
                f"only a {wanted} has it, and this is a {kind}",
                "remove it",
                getattr(update, name),
            )
    strategies = {"OnDelete": "StatefulSet", "Recreate": "Deployment"}
    wanted = strategies.get(update.strategy, kind)
    if kind != wanted:
        yield Fault(
            ("update", "strategy"),
            f"only a {wanted} has it, and this is a {kind}",
            "use RollingUpdate",
            update.strategy,
        )
    if update.strategy != "RollingUpdate":
        for name in ("partition", "max_surge", "max_unavailable"):
            if getattr(update, name) is not None and only.get(name, kind) == kind:
                yield Fault(
                    ("update", name),
                    f"not used with strategy {update.strategy}",
                    "remove it",
                    getattr(update, name),
                )
    elif kind == "Deployment" and update.max_surge == 0 and not update.max_unavailable:
        yield Fault(
            ("update", "max_surge"),
            "with max_unavailable 0 no pod can ever be replaced",
            "set one of them to 1",
            0,
        )
    elif kind == "StatefulSet" and update.max_unavailable == 0:
        yield Fault(("update", "max_unavailable"), "no pod could ever be replaced", "set it to 1 or more", 0)


def drain_leaves_time(self: "DeploymentConfig") -> Iterator[Fault]:
    if self.drain.grace_period_secs > 3600:
        yield Fault(
            ("drain", "grace_period_secs"),
            "longer than an hour, which node drains and cluster autoscalers do not wait for",
            "set it to 3600 or less",
            self.drain.grace_period_secs,
            "warning",
        )


def exposed_pods_have_ordinals(self: "DeploymentConfig") -> Iterator[Fault]:
    if self.expose and self.expose.per_pod and not self.is_stateful:
        yield Fault(
            ("expose", "per_pod"),
            "only pods of a StatefulSet have ordinals",
            "add a pvc, or remove per_pod",
            True,
        )
    elif self.expose and self.expose.per_pod and self.most_pods > SERVICES_MAX:
        at = ("scaling", "max_replicas") if self.scaling else ("replicas",)
        yield Fault(
            at,
            f"makes as many Services by expose.per_pod; engines read at most {SERVICES_MAX} objects in time",
            f"set it to {SERVICES_MAX} or less, or remove per_pod",
            self.most_pods,
        )


def endpoints_are_exposed(self: "DeploymentConfig") -> Iterator[Fault]:
    if self.endpoint is None:
        return
    if self.expose is None:
        yield Fault(("endpoint",), "nothing is exposed that other regions could reach", "add expose", self.endpoint)
    host = re.sub(r"\{[^{}]*\}", "x", self.endpoint)
    if len(host) > 253 or not re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)+", host):
        yield Fault(
            ("endpoint",),
            "not a host name",
            "write a DNS name such as matchmaking.{region}.example.com",
            self.endpoint,
        )


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
    for at, env in _environments(self):
        for name in env:
            if SECRET_NAME.search(name):
                yield Fault(
                    (*at, name),
                    "a secret in plain sight, by its name",
                    "mount it by secret_files, or give the waiver secret_env a reason",
                )


def _environments(self: "DeploymentConfig") -> Iterator[tuple[tuple[str | int, ...], dict[str, str]]]:
    yield ("env",), self.env
    for group in ("init_containers", "sidecars"):
        for place, container in enumerate(getattr(self, group)):
            yield (group, place, "env"), container.env


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


def deviations(self: "DeploymentConfig") -> dict[str, str | None]:
    """Return the waivers that the workload needs, each with its author's reason, if he gave one."""
    fixed = {
        "cpu_limit": self.resources.cpu_limit is None
        or any(c.enabled and c.resources.cpu_limit is None for c in (*self.sidecars, *self.init_containers)),
        "image_digest": any("@sha256:" not in image for _, image in _images(self)),
        "priority_class": self.priority_class is None,
        "replicas": self.scaling is not None and not self.is_stateful,
        "single_replica": self.least_pods < 2,
        "fixed_count": self.scaling is not None and self.scaling.min_replicas == self.scaling.max_replicas,
        "per_pod": self.expose is not None and self.expose.per_pod,
        "recreate": self.update.strategy == "Recreate",
        "user_id": min(self.identity.run_as_user, self.identity.run_as_group) <= 10000,
        "service_account_token": self.identity.automount_token,
        "node_port": self.expose is not None and self.expose.type == "NodePort",
        "secret_env": any(SECRET_NAME.search(name) for _, env in _environments(self) for name in env),
    }
    return {name: self.waivers.get(name) for name, deviates in fixed.items() if deviates}


def waivers_are_used(self: "DeploymentConfig") -> Iterator[Fault]:
    if not self.waivers:
        return
    for name in sorted(self.waivers.keys() - deviations(self).keys()):
        yield Fault(
            ("waivers", name),
            "waives nothing: the workload does not deviate",
            "remove it",
            severity="warning",
        )
