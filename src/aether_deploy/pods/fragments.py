"""Fragments of pods, the same for world servers and for the data plane: identity, resources, mounts."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from aether_deploy.pods.parts import IdentityConfig, PreStopConfig, ResourceRequirements, TolerationConfig
from aether_deploy.quantities import canonical

SECRET_MODE = 0o440  # the pod's group reads, nobody writes; Kubernetes wants it decimal


def pod_security(identity: IdentityConfig) -> dict[str, Any]:
    """Return the security context of a pod: no root, and volumes that belong to its group."""
    return {
        "runAsNonRoot": True,
        "runAsUser": identity.run_as_user,
        "runAsGroup": identity.run_as_group,
        "fsGroup": identity.fs_group,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def container_security(identity: IdentityConfig, *, read_only_root: bool = True) -> dict[str, Any]:
    """Return the security context of a container, as the level ``restricted`` wants it and tighter."""
    return {
        "runAsNonRoot": True,
        "runAsUser": identity.run_as_user,
        "runAsGroup": identity.run_as_group,
        "privileged": False,
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": read_only_root,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def bare_container(
    *, name: str, image: str, command: Sequence[str], args: Sequence[str], env: Mapping[str, str]
) -> dict[str, Any]:
    """Return a container with what it runs and its variables, by name."""
    container: dict[str, Any] = {"name": name, "image": image, "imagePullPolicy": "Always"}
    if command:
        container["command"] = list(command)
    if args:
        container["args"] = list(args)
    if env:
        container["env"] = [{"name": key, "value": env[key]} for key in sorted(env)]
    return container


def resources_fragment(resources: ResourceRequirements) -> dict[str, Any]:
    """Return requests and limits of a container."""
    limits = {"cpu": resources.cpu_limit} if resources.cpu_limit is not None else {}
    limits |= {"memory": resources.memory_limit, "ephemeral-storage": resources.ephemeral_limit}
    requests = {
        "cpu": resources.cpu_request,
        "memory": resources.memory_request,
        "ephemeral-storage": resources.ephemeral_request,
    }
    return {
        "requests": {name: canonical(amount) for name, amount in requests.items()},
        "limits": {name: canonical(amount) for name, amount in limits.items()},
    }


def pre_stop_fragment(stop: PreStopConfig, port_names: Mapping[int, str]) -> dict[str, Any]:
    """Return what happens before a container is told to stop."""
    if stop.path is not None and stop.port is not None:
        return {"httpGet": {"path": stop.path, "port": port_names.get(stop.port, stop.port)}}
    if stop.command:
        return {"exec": {"command": list(stop.command)}}
    return {"sleep": {"seconds": stop.sleep_secs}}


def mount_fragment(volume: str, path: str, *, sub_path: str | None = None, read_only: bool = False) -> dict[str, Any]:
    """Return one mount of a container."""
    mount: dict[str, Any] = {"name": volume, "mountPath": path}
    if sub_path is not None:
        mount["subPath"] = sub_path
    if read_only:
        mount["readOnly"] = True
    return mount


def toleration_fragment(toleration: TolerationConfig) -> dict[str, Any]:
    """Return the Kubernetes form of a toleration."""
    fields = {
        "key": toleration.key,
        "operator": toleration.operator,
        "value": toleration.value,
        "effect": toleration.effect,
        "tolerationSeconds": toleration.toleration_secs,
    }
    return {name: value for name, value in fields.items() if value is not None}


def content_checksum(data: Mapping[str, str], binary: Mapping[str, str]) -> str:
    """Return 16 hex digits that change with any content: they roll the pods when a file changes."""
    import hashlib

    text = json.dumps([data, binary], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
