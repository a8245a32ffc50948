"""A platform of two regions in a few lines, and ways to look at what it renders."""

from collections.abc import Mapping
from typing import Any

from aether_deploy.manifest.yaml_source import read_document
from aether_deploy.platform.config import Platform
from aether_deploy.platform.layers import Document, Evaluation, Setting, Source
from aether_deploy.platform.rendering import ClusterManifests, render_cluster
from tests.rule_case import DIGEST

BASE = f"""
name: aether
kubernetes: v1.37
regions:
  - {{code: us-east-1, provider: aws, zones: [a, b, c], location: {{lat: 38.95, lon: -77.45}}, storage_class: ssd}}
  - code: eu-west-1
    provider: aws
    location: {{lat: 53.35, lon: -6.26}}
    datacenters: [{{name: dub1, zone: eu-west-1a, cluster: dublin}}, {{name: dub2, zone: eu-west-1b, cluster: dublin}}]
worlds:
  - name: world-server
    image: aether/world-server:v1@{DIGEST}
    pvc: {{size: 10Gi}}
    ports: [{{name: game, port: 7777, protocol: UDP}}]
    uses: [voice-relay]
services:
  - {{name: gateway, image: "aether/gateway:v1@{DIGEST}", uses: [world-server, matchmaking]}}
  - {{name: matchmaking, image: "aether/matchmaking:v1@{DIGEST}"}}
  - {{name: voice-relay, image: "aether/voice-relay:v1@{DIGEST}", ports: [{{name: rtp, port: 3478, protocol: UDP}}]}}
"""


def document(*texts: str, **settings: Any) -> Document:
    """Return the layers BASE < texts < settings (``name__of__step=value``)."""
    sources = [Source("base.yaml", read_document(BASE, "base.yaml"))]
    sources += [Source(f"{place}.yaml", read_document(text, f"{place}.yaml")) for place, text in enumerate(texts, 1)]
    return Document(tuple(sources), tuple(Setting(path, value) for path, value in settings.items()))


def evaluate(*texts: str, environment: str | None = None, sets: Mapping[str, Any] | None = None) -> Evaluation:
    return document(*texts, **(sets or {})).evaluate(environment)


def platform(*texts: str, environment: str | None = None, sets: Mapping[str, Any] | None = None) -> Platform:
    """Return the platform of BASE with ``texts`` over it; it must have no fault, warnings aside."""
    evaluation = evaluate(*texts, environment=environment, sets=sets)
    assert evaluation.platform is not None, "\n".join(str(problem) for _, problem in evaluation.found)
    return evaluation.platform


def said(*texts: str, environment: str | None = None, sets: Mapping[str, Any] | None = None) -> list[str]:
    """Return every problem of BASE with ``texts`` over it."""
    return [str(problem) for _, problem in evaluate(*texts, environment=environment, sets=sets).found]


def cluster(system: Platform, region: str, files: Mapping[str, bytes] | None = None) -> ClusterManifests:
    (site,) = (site for site in system.sites if site.region.code == region)
    return render_cluster(system, site, files or {})


def bodies(rendered: ClusterManifests) -> dict[tuple[str, str], dict[str, Any]]:
    """Return every object by kind and name."""
    return {(manifest.kind, manifest.name): manifest.body for manifest in rendered.manifests}


def render(region: str, *texts: str) -> dict[tuple[str, str], dict[str, Any]]:
    """Return every object of one region of BASE with ``texts`` over it."""
    return bodies(cluster(platform(*texts), region))
