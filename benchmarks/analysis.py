"""How long ``analyze`` takes: every failure and every pair of zones, regions and links, on platforms of growing size.

The work is failures times the components that each touches: that is the number of cells. The exponent says how time
grows with it: 1 is what a look at each cell costs, 2 would be a look at every component for every failure. Times are
of the processor, so that others on the machine do not count.
"""

import gc
import math
import statistics
import time
from itertools import combinations
from typing import Any

from aether_deploy.infrastructure.analysis.analysing import Analysis
from aether_deploy.infrastructure.analysis.judging import analysis_findings
from aether_deploy.infrastructure.analysis.table import table_text
from aether_deploy.platform.analysing import analyse_platform
from aether_deploy.platform.config import Platform

SIZES = ((5, 50), (8, 80), (12, 120), (16, 160), (20, 200))
ROUNDS = 2
DIGEST = f"sha256:{0:064x}"


def _postgres(number: int, codes: list[str]) -> dict[str, Any]:
    """Return a database; its region and its standby's go round."""
    home, second = codes[number % len(codes)], codes[(number * 7 + 1 + number // len(codes)) % len(codes)]
    component: dict[str, Any] = {
        "name": f"database-{number:03d}",
        "kind": "postgres",
        "image": f"ghcr.io/zalando/spilo-18:4.1-p2@{DIGEST}",
        "regions": [home],
        "pvc": {"size": "10Gi"},
        "failover": {"synchronous_mode": number % 2 == 0},
        "expose": {"type": "LoadBalancer", "internal": True},
        "endpoint": f"database-{number:03d}.{{region}}.example.com",
    }
    return {**component, "standby": {"region": second}} if second != home else component


def _nats(number: int, codes: list[str]) -> dict[str, Any]:
    """Return a backbone of three regions that go round; the first spans all."""
    regions = codes if number == 0 else [codes[(number + step) % len(codes)] for step in range(3)]
    streams = [
        {"name": f"STREAM{each}", "subjects": [f"s{each}.>"], "regions": [code], "max_bytes": "1Gi",
         "mirrors": [regions[(each + 1) % len(regions)]]}
        for each, code in enumerate(regions)
    ]  # fmt: skip
    return {
        "name": f"backbone-{number:03d}",
        "kind": "nats",
        "image": f"nats:2.15.1@{DIGEST}",
        "regions": regions,
        "pvc": {"size": "100Gi"},
        "expose": {"type": "LoadBalancer", "per_pod": True, "internal": True, "ports": ["gateway"]},
        "gateway": {"endpoint": "{pod}.example.com"},
        "tls": {"secret": "nats-tls"},
        "streams": streams,
    }


def description(regions: int, components: int) -> dict[str, Any]:
    """Return a platform: three zones a region, a backbone for nine databases, and services that use both."""
    codes = [f"region-{number:02d}" for number in range(regions)]
    backbones = components // 10
    plane = [_nats(number, codes) for number in range(backbones)]
    plane += [_postgres(number, codes) for number in range(components - backbones)]
    return {
        "name": "aether",
        "kubernetes": "v1.37",
        "tools_image": f"aether/deploy-tools:v1@{DIGEST}",
        "regions": [
            {"code": code, "provider": "aws", "zones": [f"{code}{zone}" for zone in "abc"]} for code in codes
        ],
        "links": [{"between": list(pair), "latency_ms": 50} for pair in combinations(codes, 2)],
        "services": [
            {"name": f"service-{number:02d}", "image": f"aether/service:v1@{DIGEST}", "uses": [each["name"]],
             "regions": [codes[number % regions]], "network": {"allow_to": ["10.0.0.0/8"]}}
            for number, each in enumerate(plane[:20])
        ],
        "components": plane,
    }  # fmt: skip


def measure() -> dict[str, float]:
    """Return the times of the largest platform, and how time grows with failures times affected components."""
    points = []
    found: dict[str, float] = {}
    for regions, components in SIZES:
        platform = Platform.from_values(description(regions, components))
        secs, analysis = _timed(platform)
        cells = sum(len(row.cells) for row in analysis.rows)
        points.append((math.log(cells), math.log(secs)))
        found |= {
            f"analysis: {regions} regions, {components} components: failures": len(analysis.rows) + analysis.untouching,
            f"analysis: {regions} regions, {components} components: cells": cells,
            f"analysis: {regions} regions, {components} components, s": secs,
        }
    started = time.process_time()
    table_text(analysis, analysis_findings(analysis))
    found["analysis: findings and table of the largest, s"] = time.process_time() - started
    found["analysis: growth exponent over failures times affected components"] = _slope(points)
    return found


def _timed(platform: Platform) -> tuple[float, Analysis]:
    times = []
    for _ in range(ROUNDS):
        gc.collect()
        started = time.process_time()
        analysis = analyse_platform(platform, pairs=True)
        times.append(time.process_time() - started)
    return min(times), analysis


def _slope(points: list[tuple[float, float]]) -> float:
    """Return the slope of the line through ``points``, by least squares."""
    x, y = (statistics.fmean(values) for values in zip(*points, strict=True))
    return sum((a - x) * (b - y) for a, b in points) / sum((a - x) ** 2 for a, _ in points)


if __name__ == "__main__":
    for name, value in measure().items():
        print(f"{name:<72} {value:>12.3f}")
