"""The pod of a workload: containers, volumes, identity, scheduling."""

from collections.abc import Mapping
from typing import Any

from aether_deploy.config.sink import UNCARRIED
from aether_deploy.fleet.config import DeploymentConfig
from aether_deploy.manifest.labels import object_labels, selector_labels
from aether_deploy.placement.config import Neighbour, affinity_fragment, spread_fragment
from aether_deploy.pods.fragments import (
    SECRET_MODE,
    bare_container,
    container_security,
    mount_fragment,
    pod_security,
    pre_stop_fragment,
    resources_fragment,
    toleration_fragment,
)
from aether_deploy.pods.parts import ContainerConfig, PreStopConfig
from aether_deploy.pods.surroundings import Peer, Surroundings
from aether_deploy.pods.waivers import joined_annotations
from aether_deploy.probes.config import Probe, ProbeConfig, probe_fragment
from aether_deploy.problems import ConfigError, Problem
from aether_deploy.quantities import canonical

COMPONENTS = {"worlds": "world", "services": "service"}


def labels_of(config: DeploymentConfig, surroundings: Surroundings) -> dict[str, str]:
    """Return the labels of every object of the workload."""
    return object_labels(
        config.name,
        component=COMPONENTS[config.workload_class],
        system=surroundings.system,
        own=config.labels,
    )


def metadata_of(
    config: DeploymentConfig,
    surroundings: Surroundings,
    *,
    name: str | None = None,
    annotations: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return the metadata of one of the workload's objects."""
    metadata: dict[str, Any] = {
        "name": name or config.name,
        "namespace": config.namespace,
        "labels": labels_of(config, surroundings),
    }
    said = joined_annotations(config.annotations, annotations or {})
    if said:
        metadata["annotations"] = dict(sorted(said.items()))
    return metadata


def config_data(config: DeploymentConfig, files: Mapping[str, bytes]) -> tuple[dict[str, str], dict[str, str]]:
    """Return ``data`` and ``binaryData`` of the workload's ConfigMap.

    Raises:
        ConfigError: If the content of a ``source`` is not in ``files``, or all are too large for a ConfigMap.
    """
    data: dict[str, str] = {}
    binary: dict[str, str] = {}
    problems = []
    for place, file in enumerate(config.config_files):
        if not file.enabled:
            continue
        if file.text is not None:
            data[file.name] = file.text
        elif file.source is not None and file.source in files:
            _add_content(file.name, files[file.source], data, binary)
        else:
            path = f"$.config_files[{place}].source"
            problems.append(
                Problem(
                    path=path,
                    value=f"'{file.source}'",
                    reason="its content is not known",
                    fix="give it in surroundings.files, or use text",
                )
            )
    size = sum(len(key) + len(text.encode()) for group in (data, binary) for key, text in group.items())
    if size > 1024 * 1024:
        reason = f"hold {size} bytes together; a ConfigMap holds at most 1048576"
        problems.append(
            Problem(path="$.config_files", reason=reason, fix="make them smaller, or put them into the image")
        )
    if problems:
        raise ConfigError(problems)
    return dict(sorted(data.items())), dict(sorted(binary.items()))


def _add_content(name: str, content: bytes, data: dict[str, str], binary: dict[str, str]) -> None:
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        text = None
    if text is not None and not UNCARRIED.search(text):
        data[name] = text
        return
    import base64

    binary[name] = base64.b64encode(content).decode("ascii")


def pod_template(config: DeploymentConfig, surroundings: Surroundings, checksum: str | None) -> dict[str, Any]:
    """Return ``spec.template`` of the workload."""
    annotations = dict(config.annotations)
    if checksum is not None:
        annotations["checksum/config"] = checksum
    metadata: dict[str, Any] = {"labels": labels_of(config, surroundings)}
    if annotations:
        metadata["annotations"] = dict(sorted(annotations.items()))
    return {"metadata": metadata, "spec": _pod_spec(config, surroundings)}


def _pod_spec(config: DeploymentConfig, surroundings: Surroundings) -> dict[str, Any]:
    identity, selector = config.identity, selector_labels(config.name)
    spec: dict[str, Any] = {
        "serviceAccountName": identity.service_account or config.name,
        "automountServiceAccountToken": identity.automount_token,
        "enableServiceLinks": False,
    }
    if config.priority_class is not None:
        spec["priorityClassName"] = config.priority_class
    spec["securityContext"] = pod_security(identity)
    spec["terminationGracePeriodSeconds"] = config.grace_secs
    if config.pull_secrets:
        spec["imagePullSecrets"] = [{"name": name} for name in config.pull_secrets]
    if config.node_selector:
        spec["nodeSelector"] = dict(sorted(config.node_selector.items()))
    spec["affinity"] = affinity_fragment(config.topology, selector, _neighbours(config, surroundings))
    if config.tolerations:
        spec["tolerations"] = [toleration_fragment(each) for each in config.tolerations]
    revision_label = None if config.is_stateful else "pod-template-hash"
    spec["topologySpreadConstraints"] = spread_fragment(config.topology, selector, revision_label=revision_label)
    first = [_further_container(config, each, sidecar=False) for each in config.init_containers if each.enabled]
    first += [_further_container(config, each, sidecar=True) for each in config.sidecars if each.enabled]
    if first:
        spec["initContainers"] = first
    spec["containers"] = [_main_container(config, surroundings)]
    spec["volumes"] = _volumes(config)
    return spec


def _neighbours(config: DeploymentConfig, surroundings: Surroundings) -> list[Neighbour]:
    found = []
    for near in config.topology.preferred_colocation:
        known = surroundings.neighbours
        namespace = config.namespace if known is None else known.get(near.service)
        if namespace is not None:
            found.append(Neighbour(selector_labels(near.service), namespace, near.weight))
    return found


def _main_container(config: DeploymentConfig, surroundings: Surroundings) -> dict[str, Any]:
    ports = _container_ports(config)
    port_names = {port["containerPort"]: port["name"] for port in ports if port["protocol"] == "TCP"}
    container = bare_container(
        name=config.name,
        image=config.image,
        command=config.command,
        args=config.args,
        env={**_peer_env(surroundings.uses, config), **config.env},
    )
    container["ports"] = ports
    container["resources"] = resources_fragment(config.resources)
    for name, probe in config.probes.all():
        container[f"{name}Probe"] = probe_fragment(probe, port_names)
    if isinstance(config.drain.pre_stop, PreStopConfig):
        container["lifecycle"] = {"preStop": pre_stop_fragment(config.drain.pre_stop, port_names)}
    container["securityContext"] = container_security(config.identity)
    container["volumeMounts"] = _main_mounts(config)
    return container


def _further_container(config: DeploymentConfig, container: ContainerConfig, *, sidecar: bool) -> dict[str, Any]:
    rendered = bare_container(
        name=container.name,
        image=container.image,
        command=container.command,
        args=container.args,
        env=container.env,
    )
    if sidecar:
        rendered["restartPolicy"] = "Always"
    rendered["resources"] = resources_fragment(container.resources)
    rendered["securityContext"] = container_security(config.identity)
    mounts = [mount_fragment(mount.volume, mount.path, read_only=mount.read_only) for mount in container.mounts]
    if not any(mount.path == "/tmp" for mount in container.mounts):
        mounts.append(mount_fragment("tmp", "/tmp"))
    rendered["volumeMounts"] = mounts
    return rendered


def _peer_env(peers: Mapping[str, Peer], config: DeploymentConfig) -> dict[str, str]:
    env = {}
    for name in config.uses:
        peer = peers.get(name, Peer(name=name))
        prefix = "AETHER_" + name.upper().replace("-", "_")
        env[f"{prefix}_HOST"] = f"{name}.{peer.namespace or config.namespace}.svc"
        if peer.url is not None:
            env[f"{prefix}_URL"] = peer.url
        for port_name, number, _ in peer.ports:
            env[f"{prefix}_PORT_{port_name.upper().replace('-', '_')}"] = str(number)
    return env


def _container_ports(config: DeploymentConfig) -> list[dict[str, Any]]:
    ports = [
        {"name": port.name, "containerPort": port.port, "protocol": port.protocol}
        for port in config.ports
        if port.enabled
    ]
    known = {port["containerPort"] for port in ports if port["protocol"] == "TCP"}
    names = {port["name"] for port in ports}
    for number in _probe_ports(config.probes):
        if number not in known:
            # Names have 15 characters, and "health-65535" leaves room for what tells one from a port of that name.
            wanted = ("health", f"health-{number}", *(f"health-{number}-{more}" for more in range(10)))
            name = next(name for name in wanted if name not in names)
            ports.append({"name": name, "containerPort": number, "protocol": "TCP"})
            known.add(number)
            names.add(name)
    return ports


def _probe_ports(probes: ProbeConfig) -> list[int]:
    return [probe.port for _, probe in probes.all() if isinstance(probe, Probe) and probe.port is not None]


def _main_mounts(config: DeploymentConfig) -> list[dict[str, Any]]:
    mounts = [mount_fragment("tmp", "/tmp")]
    if config.pvc is not None:
        mounts.append(mount_fragment("wal", config.pvc.mount_path))
    mounts += [
        mount_fragment("config", file.path, sub_path=file.name, read_only=True)
        for file in config.config_files
        if file.enabled
    ]
    mounts += [
        mount_fragment(f"secret-{file.name}", file.path, sub_path=file.key, read_only=True)
        for file in config.secret_files
        if file.enabled
    ]
    mounts += [
        mount_fragment(volume.name, volume.path, read_only=volume.read_only)
        for volume in config.volumes
        if volume.enabled
    ]
    return mounts


def _volumes(config: DeploymentConfig) -> list[dict[str, Any]]:
    volumes: list[dict[str, Any]] = [{"name": "tmp", "emptyDir": {}}]
    if any(file.enabled for file in config.config_files):
        volumes.append({"name": "config", "configMap": {"name": f"{config.name}-config"}})
    for file in config.secret_files:
        if file.enabled:
            secret: dict[str, Any] = {"secretName": file.secret, "defaultMode": SECRET_MODE}
            if file.key is not None:
                secret["items"] = [{"key": file.key, "path": file.key}]
            volumes.append({"name": f"secret-{file.name}", "secret": secret})
    for volume in config.volumes:
        if volume.enabled:
            volumes.append({"name": volume.name, **_volume_source(volume)})
    return volumes


def _volume_source(volume: Any) -> dict[str, Any]:
    if volume.type == "claim":
        return {"persistentVolumeClaim": {"claimName": volume.claim}}
    source: dict[str, Any] = {"medium": "Memory"} if volume.type == "memory" else {}
    if volume.size is not None:
        source["sizeLimit"] = canonical(volume.size)
    return {"emptyDir": source}
