"""The objects of one folder of a unit, before and after: what the rules of a diff look at."""

from collections.abc import Iterator, Mapping

import msgspec

from aether_deploy.gitops.diff.changes import Body, ObjectKey
from aether_deploy.gitops.diff.recipes import Place
from aether_deploy.manifest.value import value_at

Objects = Mapping[ObjectKey, Body]
AUTOSCALERS = ("HorizontalPodAutoscaler", "ScaledObject")
WORKLOADS = ("StatefulSet", "Deployment")

_CHECKSUM = ("spec", "template", "metadata", "annotations", "checksum/config")
"""Where our templates say what their pods restart for."""


class Pair(msgspec.Struct, frozen=True):
    """One object in both states; None where it is not there."""

    key: ObjectKey
    before: Body | None
    after: Body | None


class FolderPair(msgspec.Struct, frozen=True, kw_only=True):
    """One folder in both states.

    Attributes:
        unit: The unit that it belongs to: ``prod/clusters/us-east-1``.
        before: Its objects as they were.
        after: Its objects as they are to be.
        place: Where its files lie, for commands.
    """

    unit: str
    before: Objects
    after: Objects
    place: Place

    def pairs(self) -> Iterator[Pair]:
        """Yield every object that differs, by key."""
        for key in sorted({*self.before, *self.after}):
            before, after = self.before.get(key), self.after.get(key)
            if before != after:
                yield Pair(key, before, after)

    def autoscaler_of(self, objects: Objects, workload: ObjectKey) -> Body | None:
        """Return the autoscaler that has the replicas of a workload."""
        for key, body in objects.items():
            target = body.get("spec", {}).get("scaleTargetRef", {})
            if (
                key.kind in AUTOSCALERS
                and key.namespace == workload.namespace
                and target.get("name") == workload.name
                and target.get("kind", "Deployment") == workload.kind
            ):
                return body
        return None

    def target_of(self, objects: Objects, autoscaler: Body) -> tuple[ObjectKey, Body] | None:
        """Return the workload whose replicas an autoscaler has."""
        target = autoscaler.get("spec", {}).get("scaleTargetRef", {})
        namespace = autoscaler["metadata"].get("namespace", "")
        for key, body in objects.items():
            named = (key.namespace, key.name, key.kind)
            if named == (namespace, target.get("name"), target.get("kind", "Deployment")):
                return key, body
        return None

    def restarted_by(self, config_map: ObjectKey) -> list[Body]:
        """Return the workloads, as they are to be, that read a ConfigMap and get another checksum of what they read."""
        return [
            body
            for key, body in self.after.items()
            if key.kind in WORKLOADS
            and key.namespace == config_map.namespace
            and key in self.before
            and config_map.name in _config_maps(body)
            and value_at(body, _CHECKSUM) != value_at(self.before[key], _CHECKSUM)
        ]

    def rolls(self, namespace: str) -> bool:
        """Return whether the pods of any workload of the folder get a new template."""
        return any(
            key.kind in WORKLOADS
            and key.namespace == namespace
            and key in self.before
            and self.before[key].get("spec", {}).get("template") != body.get("spec", {}).get("template")
            for key, body in self.after.items()
        )


def _config_maps(workload: Body) -> set[str]:
    volumes = value_at(workload, ("spec", "template", "spec", "volumes")) or ()
    return {each["configMap"]["name"] for each in volumes if "configMap" in each}
