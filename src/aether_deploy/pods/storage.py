"""Files and volumes of a workload."""

from collections.abc import Iterator
from typing import Annotated, Literal

from msgspec import UNSET, UnsetType

from aether_deploy.config.base import Config, Fault, rule
from aether_deploy.config.marks import TextRule
from aether_deploy.config.types import AbsolutePath, DnsLabel, FileKey, ObjectName, SizeQuantity

SourcePath = Annotated[
    str,
    TextRule(
        what="a relative path",
        pattern=r"(?!/)(?![A-Za-z]:)[^\\]+",
        fix="write it relative to the folder of aether.yaml, with '/'",
    ),
]


class RetentionConfig(Config):
    """What happens to a world's volume when its pod goes for good.

    Attributes:
        when_deleted: When the StatefulSet is deleted.
        when_scaled: When it is scaled below the volume's ordinal.
    """

    when_deleted: Literal["Retain", "Delete"] = "Retain"
    when_scaled: Literal["Retain", "Delete"] = "Retain"

    @rule
    def logs_survive(self) -> Iterator[Fault]:
        for name in ("when_deleted", "when_scaled"):
            if getattr(self, name) == "Delete":
                yield Fault(
                    (name,),
                    "the volume and the write-ahead log on it are lost with the pod",
                    "set it to Retain",
                    "Delete",
                    "warning",
                )


class PvcConfig(Config):
    """The volume of each pod, which survives the pod.

    Attributes:
        storage_class: StorageClass; left out, the region's, else the cluster's default. Kubernetes refuses to
            change it later, as it does ``size`` and ``access_mode``.
        size: Size of each volume: ``10Gi``.
        mount_path: Where the container sees it.
        access_mode: Who may mount it.
        retention: When the volume goes; left out, never.
    """

    storage_class: ObjectName | None = None
    size: SizeQuantity
    mount_path: AbsolutePath = "/data/wal"
    access_mode: Literal["ReadWriteOnce", "ReadWriteOncePod", "ReadWriteMany"] = "ReadWriteOnce"
    retention: RetentionConfig | UnsetType = UNSET


class ConfigFile(Config):
    """A file in the workload's ConfigMap; a change of its content rolls the pods.

    Attributes:
        name: Key in the ConfigMap.
        path: Where the container sees the file.
        source: File to take the content from, relative to the folder of aether.yaml.
        text: The content itself.
        enabled: false takes the file away.
    """

    name: FileKey
    path: AbsolutePath
    source: SourcePath | None = None
    text: str | None = None
    enabled: bool = True

    @rule
    def content_comes_from_one_place(self) -> Iterator[Fault]:
        if (self.source is None) == (self.text is None):
            says = "lacks its content" if self.source is None else "has both 'source' and 'text'"
            yield Fault((), says, "give exactly one of source and text")


class SecretFile(Config):
    """A Secret, or one key of it, as files. ``secrets`` brings it, or it must exist in the namespace.

    Attributes:
        name: Name of the item; its volume is named ``secret-<name>``.
        secret: Name of the Secret.
        key: One key of it as a file at ``path``; left out, every key as a file in the folder ``path``,
            which follows changes of the Secret without a restart.
        path: Where the container sees it.
        enabled: false takes it away.
    """

    name: DnsLabel
    secret: ObjectName
    key: FileKey | None = None
    path: AbsolutePath
    enabled: bool = True


class VolumeConfig(Config):
    """A further volume of the pod.

    Attributes:
        name: The volume's name.
        path: Where the container sees it.
        type: ``empty_dir`` (scratch disk), ``memory`` (scratch in memory, counts as the container's) or
            ``claim`` (an existing PersistentVolumeClaim).
        size: Most that scratch may hold.
        claim: Name of the claim.
        read_only: The container cannot write to it.
        enabled: false takes it away.
    """

    name: DnsLabel
    path: AbsolutePath
    type: Literal["empty_dir", "memory", "claim"] = "empty_dir"
    size: SizeQuantity | None = None
    claim: ObjectName | None = None
    read_only: bool = False
    enabled: bool = True

    @rule
    def a_claim_is_named_by_its_type(self) -> Iterator[Fault]:
        if self.type == "claim" and self.claim is None:
            yield Fault((), "lacks 'claim', which a volume of type claim needs", "add claim")
        if self.type != "claim" and self.claim is not None:
            yield Fault(("claim",), f"not used by a volume of type {self.type}", "remove it", self.claim)
        if self.type == "claim" and self.size is not None:
            yield Fault(("size",), "not used by a volume of type claim", "remove it", self.size)


class MountConfig(Config):
    """A volume of the pod, seen by a further container.

    Attributes:
        volume: ``wal`` (the world's log), ``tmp``, or the name of an item of ``volumes``.
        path: Where the container sees it.
        read_only: The container cannot write to it.
    """

    volume: DnsLabel
    path: AbsolutePath
    read_only: bool = False
