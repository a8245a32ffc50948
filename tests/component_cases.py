"""Every kind's examples on a platform of three regions, rendered: for the promises that all kinds keep."""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import pytest

from aether_deploy.gitops.pieces import RenderedCluster
from aether_deploy.gitops.render import render_clusters
from aether_deploy.infrastructure.component import ComponentConfig
from aether_deploy.infrastructure.registry import component_types
from aether_deploy.manifest.value import Manifest
from aether_deploy.platform.config import Platform
from tests.rule_case import DIGEST, IMAGE

Body = dict[str, Any]
ZONES = ["zone-a", "zone-b", "zone-c"]
REGIONS = ("us-east-1", "eu-west-1", "ap-south-1")
LATENCIES = ((0, 1, 76), (0, 2, 198), (1, 2, 122))
MADE_BY_OPERATORS = ("postgresql",)
"""Kinds of objects from which an operator makes pods and Services."""
CASES = [(kind, title) for kind, cls in component_types().items() for title in cls.EXAMPLES]
COMPANIONS = {str(each["name"]) for cls in component_types().values() for each in cls.COMPANIONS}

every_kind = pytest.mark.parametrize("kind", component_types())
every_example = pytest.mark.parametrize("kind,title", CASES, ids=[f"{kind}-{title}" for kind, title in CASES])


def values_of(kind: str, title: str) -> Mapping[str, Any]:
    """Return an example as a file has it."""
    return {"kind": kind, **component_types()[kind].EXAMPLES[title]}


def description_of(kind: str, title: str, name: str = "aether") -> dict[str, Any]:
    """Return three regions with the example in them, and a service that uses it everywhere."""
    values = values_of(kind, title)
    return {
        "name": name,
        "kubernetes": "v1.37",
        "tools_image": f"aether/deploy-tools:v1@{DIGEST}",
        "regions": [{"code": code, "provider": "aws", "zones": ZONES, "storage_class": "ssd"} for code in REGIONS],
        "links": [{"between": [REGIONS[a], REGIONS[b]], "latency_ms": ms} for a, b, ms in LATENCIES],
        "services": [
            {
                "name": "caller", "image": IMAGE, "uses": [values["name"]], "priority_class": "players",
                "network": {"allow_to": ["10.0.0.0/8"]},
            }
        ],
        "components": [values, *map(dict, component_types()[kind].COMPANIONS)],
        "observability": {"prometheus": {"url": "http://prometheus.monitoring:9090", "namespace": "monitoring"}},
    }  # fmt: skip


@cache
def platform_of(kind: str, title: str, name: str = "aether") -> Platform:
    """Return the platform with the example in it; it must have no fault, warnings aside."""
    return Platform.from_values(description_of(kind, title, name))


@cache
def clusters_of(kind: str, title: str, name: str = "aether") -> tuple[RenderedCluster, ...]:
    """Return the clusters of that platform."""
    return tuple(render_clusters([platform_of(kind, title, name)], {}))


def component_of(kind: str, title: str) -> ComponentConfig:
    component = platform_of(kind, title).components[0]
    assert isinstance(component, ComponentConfig)
    return component


def data_of(rendered: RenderedCluster) -> list[Manifest]:
    """Return the objects of components in one cluster, without those that only stand beside examples."""
    folders = [folder for folder in rendered.cluster.data if folder.name not in COMPANIONS]
    return [manifest for folder in folders for manifest in folder.manifests]


def objects(kind: str, title: str, *wanted: str) -> Iterator[tuple[str, Body]]:
    """Yield the component's objects of the kinds that are wanted, or all, each with its cluster."""
    for rendered in clusters_of(kind, title):
        for manifest in data_of(rendered):
            if not wanted or manifest.kind in wanted:
                yield rendered.cluster.site.cluster, manifest.body


def pods(kind: str, title: str) -> Iterator[tuple[str, Body, Body]]:
    """Yield the pod of everything that makes pods: its cluster, the object, the pod's template."""
    for cluster, body in objects(kind, title):
        yield from ((cluster, *found) for found in makes_pods(body))


def makes_pods(body: Body) -> Iterator[tuple[Body, Body]]:
    """Yield an object that makes pods, with the template of these."""
    if body["kind"] in ("StatefulSet", "Deployment", "Job", "CronJob"):
        spec = body["spec"]["jobTemplate"]["spec"] if body["kind"] == "CronJob" else body["spec"]
        yield body, spec["template"]


def containers(template: Body) -> list[Body]:
    """Return all containers of a pod."""
    return [*template["spec"].get("initContainers", ()), *template["spec"]["containers"]]
