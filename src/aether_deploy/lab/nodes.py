"""Nodes that only exist as objects, and volumes that are bound to a zone as real ones are.

kwok plays the kubelets, one process for each zone, so that a zone can be cut off by ending its process. What it
does to pods and volumes is said by stages of our own, because kwok's have volumes without a zone, and pods that
are ready at once.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

ZONE = "topology.kubernetes.io/zone"
REGION = "topology.kubernetes.io/region"
HOST = "kubernetes.io/hostname"
PROVISIONER = "lab.aether.io/volume"
READY_AFTER = "lab.aether.io/ready-after"
"""Pod annotation: how long the pod runs before it is ready (``5s``), as a world does that replays its log."""

STOP_AFTER = "lab.aether.io/stop-after"
"""Pod annotation: how long the pod takes to end once it is told to."""

BROKEN_IMAGE = "lab.invalid/broken:v1"
"""An image that no registry has: its container never starts."""

HEARTBEAT_MS = 2000


class FakeNode(msgspec.Struct, frozen=True, kw_only=True):
    """One node.

    Attributes:
        name: Its name.
        zone: The zone that it is in.
        labels: All its labels.
        cpu: CPU that pods may request, as a quantity.
        memory: Memory that pods may request.
        pods: How many pods fit.
    """

    name: str
    zone: str
    labels: Mapping[str, str]
    cpu: str = "64"
    memory: str = "256Gi"
    pods: int = 110

    def body(self) -> dict[str, Any]:
        """Return the Node object."""
        room = {"cpu": self.cpu, "memory": self.memory, "ephemeral-storage": "1Ti", "pods": str(self.pods)}
        return {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": self.name, "labels": dict(self.labels)},
            "status": {"allocatable": room, "capacity": room},
        }


def fake_nodes(
    zones: Sequence[str],
    *,
    region: str = "lab",
    per_zone: int = 3,
    zone_keys: Iterable[str] = (),
    cpu: str = "64",
    memory: str = "256Gi",
) -> tuple[FakeNode, ...]:
    """Return ``per_zone`` nodes in each zone.

    Args:
        zones: Values of the zone label.
        region: Value of the region label.
        per_zone: Nodes in each zone.
        zone_keys: Further labels whose value is the zone (``topology.topology_key`` of workloads).
        cpu: CPU of each node.
        memory: Memory of each node.
    """
    nodes = []
    for place, zone in enumerate(zones):
        for number in range(per_zone):
            name = f"{_word(zone) or f'zone-{place}'}-{number}"
            labels = {
                HOST: name,
                REGION: region,
                ZONE: zone,
                **dict.fromkeys(zone_keys, zone),
                "kubernetes.io/os": "linux",
            }
            nodes.append(FakeNode(name=name, zone=zone, labels=labels, cpu=cpu, memory=memory))
    return tuple(nodes)


def _word(zone: str) -> str:
    """Return the zone as part of a node's name, or nothing where it cannot be one."""
    word = zone.lower().replace("_", "-").replace(".", "-")
    return word if word.isascii() and word.strip("-") == word else ""


def storage_class(name: str, *, default: bool) -> dict[str, Any]:
    """Return a StorageClass whose volumes are made where the first pod goes, as those of clouds are."""
    annotations = {"storageclass.kubernetes.io/is-default-class": "true"} if default else {}
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": name, "annotations": annotations},
        "provisioner": PROVISIONER,
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "WaitForFirstConsumer",
        "allowVolumeExpansion": True,
    }


def kubelet_stages() -> str:
    """Return the stages of kwok that play kubelets: nodes report, pods start, become ready, end."""
    return _documents((_NODE_READY, _NODE_HEARTBEAT, _POD_RUNNING, _POD_BROKEN, _POD_READY, _POD_GONE))


def volume_stages(nodes: Iterable[FakeNode], zone_key: str = ZONE) -> str:
    """Return the stages of kwok that play the provisioner: a volume in the zone of the chosen node."""
    zones = " ".join(f"{json.dumps(node.name)} {json.dumps(node.zone)}" for node in nodes)
    template = _VOLUME.replace("@ZONES@", zones).replace("@ZONE_KEY@", json.dumps(zone_key))
    made = _stage(
        "claim-provisioned",
        "PersistentVolumeClaim",
        _cel(
            "!has(self.metadata.deletionTimestamp)",
            "!has(self.spec.volumeName)",
            f"has(self.metadata.annotations) && '{_SELECTED_NODE}' in self.metadata.annotations",
        ),
        steps=[{"apply": {"template": template}}],
    )
    gone = _stage(
        "volume-deleted",
        "PersistentVolume",
        _cel(
            "!has(self.metadata.deletionTimestamp)",
            "self.spec.persistentVolumeReclaimPolicy == 'Delete'",
            "self.status.phase == 'Released'",
        ),
        steps=[{"delete": True}],
    )
    return _documents((made, gone))


_SELECTED_NODE = "volume.kubernetes.io/selected-node"


def _stage(name: str, kind: str, selector: list[Any], **more: Any) -> dict[str, Any]:
    return {
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "Stage",
        "metadata": {"name": name},
        "spec": {
            "resourceRef": {"apiGroup": "v1", "kind": kind},
            "selector": {"matchExpressions": selector},
            **more,
        },
    }


def _cel(*expressions: str) -> list[Any]:
    return [{"cel": {"expression": expression}} for expression in expressions]


def _key(key: str, operator: str, *values: str) -> dict[str, Any]:
    return {"key": key, "operator": operator, **({"values": list(values)} if values else {})}


_READY = '.status.conditions.[] | select( .type == "Ready" ) | .status'
_ALIVE = _key(".metadata.deletionTimestamp", "DoesNotExist")
_NODE_STATUS = """
{{ $now := Now }}
conditions:
{{ range NodeConditions }}
- lastHeartbeatTime: {{ $now | Quote }}
  lastTransitionTime: {{ $now | Quote }}
  message: {{ .message | Quote }}
  reason: {{ .reason | Quote }}
  status: {{ .status | Quote }}
  type: {{ .type | Quote }}
{{ end }}
addresses:
{{ with NodeIP }}
- address: {{ . | Quote }}
  type: InternalIP
{{ end }}
phase: Running
"""
_NODE_READY = _stage("node-ready", "Node", [_key(_READY, "NotIn", "True")], next={"statusTemplate": _NODE_STATUS})
_NODE_HEARTBEAT = _stage(
    "node-heartbeat",
    "Node",
    [_key(".status.phase", "In", "Running"), _key(_READY, "In", "True")],
    delay={"durationMilliseconds": HEARTBEAT_MS},
    next={"statusTemplate": _NODE_STATUS},
)

_POD_STATUS = """
{{ $now := Now }}
conditions:
- lastTransitionTime: {{ $now | Quote }}
  status: "True"
  type: Initialized
- lastTransitionTime: {{ $now | Quote }}
  status: "@READY@"
  type: Ready
- lastTransitionTime: {{ $now | Quote }}
  status: "@READY@"
  type: ContainersReady
containerStatuses:
{{ range .spec.containers }}
- image: {{ .image | Quote }}
  name: {{ .name | Quote }}
  ready: @ready@
  restartCount: 0
  started: true
  state:
    running:
      startedAt: {{ $now | Quote }}
{{ end }}
initContainerStatuses:
{{ range .spec.initContainers }}
- image: {{ .image | Quote }}
  name: {{ .name | Quote }}
  ready: true
  restartCount: 0
  {{ if eq .restartPolicy "Always" }}
  started: true
  state:
    running:
      startedAt: {{ $now | Quote }}
  {{ else }}
  state:
    terminated:
      exitCode: 0
      finishedAt: {{ $now | Quote }}
      reason: Completed
      startedAt: {{ $now | Quote }}
  {{ end }}
{{ end }}
@IPS@phase: Running
startTime: {{ $now | Quote }}
"""
_POD_IPS = """\
{{ with NodeIPWith .spec.nodeName }}
hostIP: {{ . | Quote }}
{{ end }}
{{ with PodIPWith .spec.nodeName false ( or .metadata.uid "" ) ( or .metadata.name "" ) ( or .metadata.namespace "" ) }}
podIP: {{ . | Quote }}
podIPs:
- ip: {{ . | Quote }}
{{ end }}
"""
_POD_WAITING = """
{{ $now := Now }}
conditions:
- lastTransitionTime: {{ $now | Quote }}
  status: "False"
  type: Ready
  reason: ContainersNotReady
- lastTransitionTime: {{ $now | Quote }}
  status: "False"
  type: ContainersReady
  reason: ContainersNotReady
containerStatuses:
{{ range .spec.containers }}
- image: {{ .image | Quote }}
  name: {{ .name | Quote }}
  ready: false
  restartCount: 0
  started: false
  state:
    waiting:
      reason: ErrImagePull
      message: no registry has this image
{{ end }}
phase: Pending
"""


def _pod_status(*, ready: bool) -> str:
    addresses = "" if ready else _POD_IPS  # it has them by then; each mention would add another
    text = _POD_STATUS.replace("@READY@", str(ready)).replace("@ready@", str(ready).lower())
    return text.replace("@IPS@", addresses)


def _delay(annotation: str) -> dict[str, Any]:
    return {
        "durationMilliseconds": 0,
        "durationFrom": {"expressionFrom": f'.metadata.annotations["{annotation}"]'},
    }


_IMAGES = ".spec.containers.[].image"
_POD_RUNNING = _stage(
    "pod-running",
    "Pod",
    [_ALIVE, _key(".status.phase", "In", "Pending"), _key(_IMAGES, "NotIn", BROKEN_IMAGE)],
    next={"statusTemplate": _pod_status(ready=False)},
)
_POD_BROKEN = _stage(
    "pod-broken",
    "Pod",
    [
        _ALIVE,
        _key(".status.phase", "In", "Pending"),
        _key(_IMAGES, "In", BROKEN_IMAGE),
        _key(".status.containerStatuses", "DoesNotExist"),
    ],
    next={"statusTemplate": _POD_WAITING},
)
_POD_READY = _stage(
    "pod-ready",
    "Pod",
    [_ALIVE, _key(".status.phase", "In", "Running"), _key(_READY, "NotIn", "True")],
    delay=_delay(READY_AFTER),
    next={"statusTemplate": _pod_status(ready=True)},
)
_POD_GONE = _stage(
    "pod-gone",
    "Pod",
    [_key(".metadata.deletionTimestamp", "Exists")],
    delay=_delay(STOP_AFTER),
    next={"delete": True},
)
_VOLUME = """
{{ $zones := dict @ZONES@ }}
apiVersion: v1
kind: PersistentVolume
metadata:
  name: pvc-{{ .metadata.uid }}
  annotations:
    pv.kubernetes.io/provisioned-by: lab.aether.io/volume
spec:
  accessModes:
  {{ YAML .spec.accessModes 1 }}
  capacity:
  {{ YAML .spec.resources.requests 2 }}
  persistentVolumeReclaimPolicy: Delete
  storageClassName: {{ .spec.storageClassName | Quote }}
  volumeMode: Filesystem
  claimRef:
    apiVersion: v1
    kind: PersistentVolumeClaim
    name: {{ .metadata.name | Quote }}
    namespace: {{ .metadata.namespace | Quote }}
    uid: {{ .metadata.uid | Quote }}
  hostPath:
    path: /lab/pvc-{{ .metadata.uid }}
  nodeAffinity:
    required:
      nodeSelectorTerms:
      - matchExpressions:
        - key: @ZONE_KEY@
          operator: In
          values:
          - {{ index $zones ( index .metadata.annotations "volume.kubernetes.io/selected-node" ) | Quote }}
"""


def _documents(stages: Iterable[Mapping[str, Any]]) -> str:
    return "".join(f"---\n{json.dumps(stage, indent=1)}\n" for stage in stages)
