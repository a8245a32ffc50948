"""Labels of what we render. Selector labels never change in an object's life: they hold no version or hash."""

from collections.abc import Mapping

NAME = "app.kubernetes.io/name"
INSTANCE = "app.kubernetes.io/instance"
COMPONENT = "app.kubernetes.io/component"
PART_OF = "app.kubernetes.io/part-of"
MANAGED_BY = "app.kubernetes.io/managed-by"
POD_INDEX = "apps.kubernetes.io/pod-index"
RESERVED_PREFIXES = ("app.kubernetes.io/", "apps.kubernetes.io/", "kubernetes.io/", "k8s.io/", "aether.io/")


def selector_labels(name: str) -> dict[str, str]:
    """Return the label by which Services, budgets and policies find the pods of workload ``name``.

    One label is enough inside a namespace, and polaris counts a network policy by two labels as none.
    """
    return {INSTANCE: name}


def system_labels(system: str) -> dict[str, str]:
    """Return the labels of an object that belongs to no workload."""
    return {MANAGED_BY: "aether-deploy", PART_OF: system}


def object_labels(name: str, *, component: str, system: str | None, own: Mapping[str, str]) -> dict[str, str]:
    """Return the labels of an object of workload ``name``, sorted: ours and the user's ``own``."""
    labels = {**own, INSTANCE: name, NAME: name, COMPONENT: component, MANAGED_BY: "aether-deploy"}
    if system is not None:
        labels[PART_OF] = system
    return dict(sorted(labels.items()))
