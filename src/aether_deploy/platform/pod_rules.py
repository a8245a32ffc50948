"""The rules that the pods of a finished StatefulSet or Deployment are held against.

Sources: Kubernetes, ``k8s.io/pod-security-admission/policy`` (the level ``restricted``, which the namespace enforces),
and the default checks of checkov and kube-score.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from aether_deploy.fleet.deviations import SECRET_NAME
from aether_deploy.platform.manifest_checks import Body, Finding, Findings
from aether_deploy.pods.images import tag_of
from aether_deploy.quantities import parse_quantity

Steps = tuple[str | int, ...]
Box = tuple[Steps, Body]

POD: Steps = ("spec", "template", "spec")
_VOLUMES = {
    "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image", "persistentVolumeClaim", "projected", "secret"
}  # fmt: skip
_SELINUX_TYPES = {None, "", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"}
_SYSCTLS = {
    "kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start", "net.ipv4.ping_group_range", "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl", "net.ipv4.tcp_keepalive_probes", "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_rmem", "net.ipv4.tcp_syncookies", "net.ipv4.tcp_wmem",
}  # fmt: skip
_SECCOMP = ("RuntimeDefault", "Localhost")
_AMOUNTS = ("cpu", "memory", "ephemeral-storage")
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_ACTIONS = ("httpGet", "tcpSocket", "grpc", "exec")
_HOST = "kubernetes.io/hostname"
_USERS_OF_A_NODE = 10_000


def pod_findings(body: Body) -> Findings:
    """Yield every rule that the pods of a workload break."""
    pod = body["spec"]["template"]["spec"]
    boxes = [
        ((*POD, group, place), box)
        for group in ("initContainers", "containers", "ephemeralContainers")
        for place, box in enumerate(pod.get(group, ()))
    ]
    for rule in (_host_findings, _volume_findings, _security_findings, _identity_findings, _spread_findings):
        yield from rule(body, pod)
    yield from _wait_findings(pod)
    yield from _port_findings(boxes)
    for at, box in boxes:
        yield from _box_security_findings(at, box, pod)
        for check in (_image_findings, _resource_findings, _environment_findings):
            yield from check(at, box)
        yield from _mount_findings(at, box, body)
        if at[-2] == "containers":
            yield from _probe_findings(at, box)


# --- what a restricted namespace admits


def _restricted(at: Steps, reason: str, fix: str = "remove it") -> Finding:
    return Finding("restricted", at, reason, fix)


def _host_findings(body: Body, pod: Body) -> Findings:
    for key in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(key):
            yield _restricted((*POD, key), "shares what is its node's")
    options = pod.get("securityContext", {}).get("windowsOptions", {})
    if options.get("hostProcess"):
        yield _restricted((*POD, "securityContext", "windowsOptions", "hostProcess"), "runs on the node itself")
    annotations = body["spec"]["template"].get("metadata", {}).get("annotations", {})
    for key, value in annotations.items():
        if key.startswith("container.apparmor.security.beta.kubernetes.io/") and value == "unconfined":
            yield _restricted(("spec", "template", "metadata", "annotations", key), "switches AppArmor off")


def _volume_findings(body: Body, pod: Body) -> Findings:
    for place, volume in enumerate(pod.get("volumes", ())):
        for kind in volume.keys() - _VOLUMES - {"name"}:
            yield _restricted((*POD, "volumes", place, kind), "a kind of volume that no restricted pod has")


def _security_findings(body: Body, pod: Body) -> Findings:
    context = pod.get("securityContext", {})
    at: Steps = (*POD, "securityContext")
    if context.get("runAsNonRoot") is False:
        yield _restricted((*at, "runAsNonRoot"), "lets processes be root", "set it to true")
    if context.get("seccompProfile", {}).get("type", _SECCOMP[0]) not in _SECCOMP:
        yield _restricted((*at, "seccompProfile"), "lets every system call pass", "set its type to RuntimeDefault")
    for place, sysctl in enumerate(context.get("sysctls", ())):
        if sysctl.get("name") not in _SYSCTLS:
            yield _restricted((*at, "sysctls", place), f"sets {sysctl.get('name')}, which is not safe")
    yield from _confinement_findings(at, context)


def _confinement_findings(at: Steps, context: Body) -> Findings:
    options = context.get("seLinuxOptions", {})
    if options.get("type") not in _SELINUX_TYPES or options.get("user") or options.get("role"):
        yield _restricted((*at, "seLinuxOptions"), "leaves the confinement of containers")
    if context.get("appArmorProfile", {}).get("type") == "Unconfined":
        yield _restricted((*at, "appArmorProfile"), "switches AppArmor off")
    if context.get("runAsUser") == 0:
        yield _restricted((*at, "runAsUser"), "makes its processes root", "use 10001 or more")


def _box_security_findings(at: Steps, box: Body, pod: Body) -> Findings:
    context, around = box.get("securityContext", {}), pod.get("securityContext", {})
    at = (*at, "securityContext")
    if context.get("privileged"):
        yield _restricted((*at, "privileged"), "may do everything on its node")
    if context.get("windowsOptions", {}).get("hostProcess"):
        yield _restricted((*at, "windowsOptions", "hostProcess"), "runs on the node itself")
    if context.get("allowPrivilegeEscalation") is not False:
        yield _restricted((*at, "allowPrivilegeEscalation"), "lets privileges grow", "set it to false")
    capabilities = context.get("capabilities", {})
    if "ALL" not in capabilities.get("drop", ()):
        yield _restricted((*at, "capabilities", "drop"), "keeps capabilities", "drop [ALL]")
    for name in capabilities.get("add", ()):
        if name != "NET_BIND_SERVICE":
            yield _restricted((*at, "capabilities", "add"), f"adds {name}")
    if not context.get("runAsNonRoot", around.get("runAsNonRoot")):
        yield _restricted((*at, "runAsNonRoot"), "lets processes be root", "set it to true")
    if context.get("seccompProfile", around.get("seccompProfile", {})).get("type") not in _SECCOMP:
        yield _restricted((*at, "seccompProfile"), "lets every system call pass", "set its type to RuntimeDefault")
    if context.get("procMount", "Default") != "Default":
        yield _restricted((*at, "procMount"), "shows what the node hides in /proc")
    yield from _confinement_findings(at, context)
    if context.get("readOnlyRootFilesystem") is not True:
        reason = "lets the container write to its root file system"
        yield Finding(
            "read_only_root", (*at, "readOnlyRootFilesystem"), reason, "set it to true, and mount what it writes"
        )
    for key in ("runAsUser", "runAsGroup"):
        identity = context.get(key, around.get(key))
        if identity is None or 0 < identity <= _USERS_OF_A_NODE:
            reason = "is an id that a user of the node may have" if identity else "leaves the id to the image"
            yield Finding("user_id", (*at, key), reason, "use 10001 or more")


# --- the pod


def _identity_findings(body: Body, pod: Body) -> Findings:
    if pod.get("automountServiceAccountToken") is not False:
        reason = "gives the pods a token for the API server"
        yield Finding("service_account_token", (*POD, "automountServiceAccountToken"), reason, "set it to false")
    if not pod.get("securityContext", {}).get("fsGroup"):
        reason = "leaves the volumes to root"
        yield Finding("user_id", (*POD, "securityContext", "fsGroup"), reason, "set it to 10001 or more")


def _spread_findings(body: Body, pod: Body) -> Findings:
    labels = body["spec"]["template"].get("metadata", {}).get("labels", {})
    at: Steps = (*POD, "topologySpreadConstraints")
    constraints = pod.get("topologySpreadConstraints", ())
    if not constraints:
        yield Finding("spread", at, "is not there, so all pods may be in one zone", "keep it")
    for place, constraint in enumerate(constraints):
        if not _selects(constraint.get("labelSelector"), labels):
            yield Finding("spread", (*at, place), "counts other pods than its own", "select the pods' own labels")
    anti = pod.get("affinity", {}).get("podAntiAffinity", {})
    terms = [
        each.get("podAffinityTerm", {}) for each in anti.get("preferredDuringSchedulingIgnoredDuringExecution", ())
    ]
    terms += anti.get("requiredDuringSchedulingIgnoredDuringExecution", ())
    if not any(each.get("topologyKey") == _HOST and _selects(each.get("labelSelector"), labels) for each in terms):
        reason = "lets all pods be on one node"
        yield Finding("spread", (*POD, "affinity", "podAntiAffinity"), reason, f"keep a term with {_HOST}")


def _selects(selector: Body | None, labels: Body) -> bool:
    wanted = (selector or {}).get("matchLabels", {})
    return bool(wanted) and all(labels.get(key) == value for key, value in wanted.items())


def _wait_findings(pod: Body) -> Findings:
    grace = pod.get("terminationGracePeriodSeconds", 30)
    for group in ("initContainers", "containers"):
        for place, box in enumerate(pod.get(group, ())):
            wait = box.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
            if wait >= grace:
                reason = f"waits {wait} seconds, and after {grace} the pod is killed"
                fix = "raise terminationGracePeriodSeconds"
                yield Finding("drain", (*POD, group, place, "lifecycle", "preStop"), reason, fix)


def _port_findings(boxes: Sequence[Box]) -> Findings:
    numbers: set[tuple[Any, Any]] = set()
    for at, box in boxes:
        for place, port in enumerate(box.get("ports", ())):
            where: Steps = (*at, "ports", place)
            if port.get("hostPort"):
                yield _restricted((*where, "hostPort"), "takes a port of its node")
            number = (port.get("containerPort"), port.get("protocol", "TCP"))
            if number in numbers:
                yield Finding(
                    "ports", where, f"is port {number[0]}/{number[1]}, which is taken", "give it another number"
                )
            numbers.add(number)
            if port.get("containerPort") == 22:
                yield Finding("ports", where, "is the port of an SSH server", "use another port")


# --- one container


def _image_findings(at: Steps, box: Body) -> Findings:
    image = box.get("image", "")
    digest, tag = "@sha256:" in image, tag_of(image)
    if not digest and tag in (None, "latest"):
        yield Finding("image_tag", (*at, "image"), "moves, so every start may run another version", "add the digest")
    elif not digest:
        yield Finding("image_digest", (*at, "image"), "is named by its tag only, which can be moved", "add the digest")
    if box.get("imagePullPolicy") != "Always":
        reason = "lets a node run a stale image"
        yield Finding("pull_policy", (*at, "imagePullPolicy"), reason, "set it to Always")


def _resource_findings(at: Steps, box: Body) -> Findings:
    resources = box.get("resources", {})
    requests, limits = resources.get("requests", {}), resources.get("limits", {})
    if missing := [name for name in _AMOUNTS if name not in requests]:
        reason = f"says nothing of {', '.join(missing)}"
        yield Finding("resources", (*at, "resources", "requests"), reason, "say how much is set aside")
    if missing := [name for name in _AMOUNTS if name not in limits]:
        check = "cpu_limit" if missing == ["cpu"] else "resources"
        reason = f"says nothing of {', '.join(missing)}"
        yield Finding(check, (*at, "resources", "limits"), reason, "say how much is the most")
    for name in (name for name in requests if name in limits):
        if parse_quantity(str(requests[name])) > parse_quantity(str(limits[name])):
            reason = f"is more than the limit, {limits[name]}"
            yield Finding("resources", (*at, "resources", "requests", name), reason, "lower it, or raise the limit")


def _environment_findings(at: Steps, box: Body) -> Findings:
    seen: set[str] = set()
    for place, variable in enumerate(box.get("env", ())):
        where: Steps = (*at, "env", place)
        name = variable.get("name", "")
        if name in seen:
            yield Finding("environment", where, f"sets {name} a second time", "remove one")
        seen.add(name)
        if "secretKeyRef" in variable.get("valueFrom", {}):
            yield Finding("secret_env", where, "puts a secret into the environment", "mount it by secret_files")
        elif SECRET_NAME.search(name) and "valueFrom" not in variable:
            yield Finding("secret_env", where, "is a secret in plain sight, by its name", "mount it by secret_files")
    for place, source in enumerate(box.get("envFrom", ())):
        if "secretRef" in source:
            reason = "puts a secret into the environment"
            yield Finding("secret_env", (*at, "envFrom", place), reason, "mount it by secret_files")


def _mount_findings(at: Steps, box: Body, body: Body) -> Findings:
    pod = body["spec"]["template"]["spec"]
    known = {volume.get("name") for volume in pod.get("volumes", ())}
    known |= {each.get("metadata", {}).get("name") for each in body["spec"].get("volumeClaimTemplates", ())}
    taken: set[str] = set()
    for place, mount in enumerate(box.get("volumeMounts", ())):
        where: Steps = (*at, "volumeMounts", place)
        if mount.get("name") not in known:
            yield Finding("mounts", where, f"is of volume '{mount.get('name')}', which is not there", "add the volume")
        if mount.get("mountPath") in taken:
            yield Finding("mounts", where, f"is at {mount.get('mountPath')}, which is taken", "mount it elsewhere")
        taken.add(mount.get("mountPath"))


def _probe_findings(at: Steps, box: Body) -> Findings:
    actions = {}
    for name in _PROBES:
        probe = box.get(name)
        if probe is not None:
            actions[name] = {action: probe[action] for action in _ACTIONS if action in probe}
            if probe.get("httpGet", {}).get("host") or probe.get("tcpSocket", {}).get("host"):
                yield _restricted((*at, name), "asks another host than its pod", "remove host")
        elif name != "startupProbe":
            yield Finding(
                "probes", (*at, name), "is not there", "add it; a helper container belongs into initContainers"
            )
    if "readinessProbe" in actions and actions["readinessProbe"] == actions.get("livenessProbe"):
        reason = "asks the same as livenessProbe, so a pod that is only busy is restarted"
        yield Finding("probes", (*at, "readinessProbe"), reason, "let it ask whether the pod may get traffic")
    if "startupProbe" in actions and actions["startupProbe"] == actions.get("readinessProbe"):
        reason = "asks what readiness asks, so a pod that loads for long is killed over and over"
        yield Finding("startup_probe", (*at, "startupProbe"), reason, "let it ask what livenessProbe asks")


def labels_of_pods(body: Mapping[str, Any]) -> Mapping[str, str]:
    """Return the labels of a workload's pods."""
    labels: Mapping[str, str] = body["spec"]["template"].get("metadata", {}).get("labels", {})
    return labels


def port_names(body: Mapping[str, Any]) -> Iterator[str]:
    """Yield the name of every port of a workload's containers."""
    pod = body["spec"]["template"]["spec"]
    for group in ("initContainers", "containers"):
        for box in pod.get(group, ()):
            yield from (port["name"] for port in box.get("ports", ()) if "name" in port)
