"""What a diff says: for each change its effect, how dangerous it is, what it means, and the way out."""

from enum import Enum, IntEnum
from typing import Any

import msgspec

from aether_deploy.gitops.diff.fields import FieldChange, short_change

Body = dict[str, Any]


class Danger(IntEnum):
    """How much a change asks of its reviewer."""

    NOTHING = 0
    SAFE = 1
    ATTENTION = 2
    DANGEROUS = 3


class Effect(Enum):
    """What a cluster does with a change, the most dangerous first."""

    DATA = "data at risk"
    REFUSED = "refused"
    HAND_OVER = "hand-over"
    REMOVED = "removed"
    ROLLS = "rolls"
    RESTARTS = "restarts"
    BY_HAND = "by hand"
    SCALES = "scales"
    RELOADS = "reloads"
    IN_PLACE = "in place"
    ADDED = "added"


USUAL_DANGER = {
    Effect.DATA: Danger.DANGEROUS,
    Effect.REFUSED: Danger.DANGEROUS,
    Effect.HAND_OVER: Danger.DANGEROUS,
    Effect.REMOVED: Danger.ATTENTION,
    Effect.ROLLS: Danger.ATTENTION,
    Effect.RESTARTS: Danger.ATTENTION,
    Effect.BY_HAND: Danger.ATTENTION,
    Effect.SCALES: Danger.ATTENTION,
    Effect.RELOADS: Danger.SAFE,
    Effect.IN_PLACE: Danger.SAFE,
    Effect.ADDED: Danger.SAFE,
}


class ObjectKey(msgspec.Struct, frozen=True, order=True):
    """What tells one object of a cluster from another; another version of an API is the same object.

    Attributes:
        group: API group; empty for the core.
        kind: Its kind.
        namespace: Its namespace; empty where it is cluster scoped.
        name: Its name.
    """

    group: str
    kind: str
    namespace: str
    name: str

    @classmethod
    def of(cls, api_version: str, kind: str, namespace: str | None, name: str) -> "ObjectKey":
        group, slash, _ = api_version.partition("/")
        return cls(group if slash else "", kind, namespace or "", name)

    def __str__(self) -> str:
        where = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"{self.kind} {where}"


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One effect on one object.

    Attributes:
        effect: What the cluster does with it.
        danger: How much it asks of the reviewer.
        unit: Folder of the tree: ``prod/clusters/us-east-1``.
        key: The object.
        fields: The fields that have this effect; empty where the object comes or goes.
        says: What it means, a line each.
        way_out: Commands that get there all the same, in order.
        more: Objects that share its fate: those of a workload that comes or goes.
        waiting: What else changes in a refused object: it happens only once the way out is gone.
    """

    effect: Effect
    danger: Danger
    unit: str
    key: ObjectKey
    fields: tuple[FieldChange, ...] = ()
    says: tuple[str, ...] = ()
    way_out: tuple[str, ...] = ()
    more: tuple[ObjectKey, ...] = ()
    waiting: "tuple[Change, ...]" = ()

    @property
    def place(self) -> str:
        """What the unit is called: its cluster, or its engine."""
        return self.unit.rpartition("/")[2]

    def field_texts(self) -> list[str]:
        """Return each field's change in a few words; what a pod and its container say alike, once."""
        return list(dict.fromkeys(short_change(field, self.key.name) for field in self.fields))


class Diff(msgspec.Struct, frozen=True):
    """Everything that differs between two states of a tree.

    Attributes:
        changes: The most dangerous first, then by unit and object.
        environments: The environments that were compared.
        clusters: How many clusters were compared.
        edited: Files of the older state that somebody edited or removed since they were rendered.
    """

    changes: tuple[Change, ...]
    environments: tuple[str, ...]
    clusters: int
    edited: tuple[str, ...] = ()

    @property
    def danger(self) -> Danger:
        """The worst that is in it."""
        return max((change.danger for change in self.changes), default=Danger.NOTHING)


def change_of(
    effect: Effect,
    unit: str,
    key: ObjectKey,
    *,
    danger: Danger | None = None,
    fields: tuple[FieldChange, ...] | list[FieldChange] = (),
    says: tuple[str, ...] | list[str] = (),
    way_out: tuple[str, ...] | list[str] = (),
    more: tuple[ObjectKey, ...] | list[ObjectKey] = (),
) -> Change:
    """Return a change with the usual danger of its effect, unless another is given."""
    return Change(
        effect=effect,
        danger=USUAL_DANGER[effect] if danger is None else danger,
        unit=unit,
        key=key,
        fields=tuple(fields),
        says=tuple(says),
        way_out=tuple(way_out),
        more=tuple(more),
    )


def in_report_order(changes: list[Change]) -> tuple[Change, ...]:
    """Return ``changes`` sorted by danger, effect, unit and object."""
    rank = {effect: place for place, effect in enumerate(Effect)}
    return tuple(sorted(changes, key=lambda each: (-each.danger, rank[each.effect], each.unit, each.key)))
