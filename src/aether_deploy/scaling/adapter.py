"""Configuration of the Prometheus adapter: which series it serves to autoscalers, and how it asks for them."""

from collections.abc import Iterable
from typing import Any

import msgspec

from aether_deploy.scaling.hpa import DESIRED, FLOOR

_NAMESPACE = {"namespace": {"resource": "namespace"}}
_OWNERS = {"StatefulSet": "statefulset", "Deployment": "deployment"}
_LARGEST = "max by (<<.GroupBy>>) (<<.Series>>{<<.LabelMatchers>>})"
_TOTAL = "sum by (<<.GroupBy>>) (<<.Series>>{<<.LabelMatchers>>})"
_COUNTED_ONCE = "sum by (<<.GroupBy>>) (max by (<<.GroupBy>>, world) (<<.Series>>{<<.LabelMatchers>>}))"


class Served(msgspec.Struct, frozen=True, order=True):
    """A metric that an autoscaler reads.

    Attributes:
        name: Its name.
        metric_type: ``Pods``, ``Object`` or ``External``.
        kind: Kind of the workload that it is read of; empty where it is read of pods, or of none.
    """

    name: str
    metric_type: str
    kind: str = ""


def recorded(kind: str) -> list[Served]:
    """Return the counts that recording rules compute for workloads of a kind."""
    return [Served(name, "Object", kind) for name in (DESIRED, FLOOR)]


def adapter_config(served: Iterable[Served]) -> dict[str, Any]:
    """Return the adapter's configuration, with one rule for each metric; equal input gives an equal order.

    Series of pods carry the labels ``namespace`` and ``pod``, those of workloads ``namespace`` and
    ``statefulset`` or ``deployment``, external ones ``namespace``. A pod that is scraped twice counts once.

    Rule:
        prometheus-adapter, ``docs/config.md`` and ``docs/externalmetrics.md``.
    """
    known = sorted(set(served))
    config: dict[str, Any] = {"rules": [_rule(each) for each in known if each.metric_type != "External"]}
    if external := [_rule(each) for each in known if each.metric_type == "External"]:
        config["externalRules"] = external
    return config


def _rule(served: Served) -> dict[str, Any]:
    labels, overrides, query = ['namespace!=""'], dict(_NAMESPACE), _TOTAL
    if served.metric_type == "Pods":
        labels.append('pod!=""')
        overrides["pod"] = {"resource": "pod"}
        query = _COUNTED_ONCE
    elif served.metric_type == "Object":
        owner = _OWNERS[served.kind]
        labels.append(f'{owner}!=""')
        overrides[owner] = {"group": "apps", "resource": owner}
        query = _LARGEST
    return {
        "seriesQuery": f"{served.name}{{{','.join(labels)}}}",
        "resources": {"overrides": overrides},
        "name": {"matches": f"^{served.name}$", "as": served.name},
        "metricsQuery": query,
    }
