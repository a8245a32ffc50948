"""``python -m benchmarks [--write]``: measure, print, and hold the ratios against what the project promises.

With ``--write`` the figures replace those in ``benchmarks/README.md``.
"""

import os
import platform
import sys
from pathlib import Path

from benchmarks import analysis, emitter, failover, fleet, lab, pipeline, router, routing_decision, scaling, system
from benchmarks import platform as whole_platform
from tests.kubectl import COMMAND, find_kubectl

README = Path(__file__).with_name("README.md")
BEGIN, END = "<!-- figures -->", "<!-- end of figures -->"

# Bounds on ratios, from the project's goals: (figure, at least or at most, bound).
PROMISES = (
    ("emitter, times as fast as PyYAML C", "at least", 8.0),
    ("values to text, times as fast as building and PyYAML C", "at least", 6.0),
    ("render from JSON, times as fast as kustomize", "at least", 30.0),
    ("render from YAML, times as fast as kustomize", "at least", 30.0),
    ("start from JSON, times as long as kustomize", "at most", 1.5),
    ("start from YAML, times as long as kustomize", "at most", 1.8),
    ("unchanged render, share of the first", "at most", 0.6),
    ("fleet: unchanged render, share of the first", "at most", 0.6),
    ("fleet: diff of one field, share of the first render", "at most", 1.0),
    ("platform: render, times as fast as kustomize on all clusters", "at least", 3.0),
    ("platform: analyze with all pairs, share of kustomize on the largest cluster", "at most", 1.5),
    ("platform: its objects to text, times as fast as PyYAML C", "at least", 6.0),
    ("lab: whole boot, times the greater of its slowest member and its parts' processor time", "at most", 1.3),
    ("replay of a year by the rule, million times real time", "at least", 1.0),
    ("replay of a year by the autoscaler, million times real time", "at least", 1.0),
    ("analysis: growth exponent over failures times affected components", "at most", 1.2),
    ("replay, memory of a trace four times as long, times", "at most", 1.2),
    ("router: requests per second, share of nginx", "at least", 0.85),
    ("router: CPU per request at an open rate, times nginx", "at most", 1.5),
    ("router: requests per second, times uvicorn and starlette", "at least", 3.0),
    ("router: memory after 10000000 requests, times that after 1000000", "at most", 1.02),
)


def main() -> int:
    """Run every benchmark; exit 1 if a promise is not kept on this machine, 3 without kubectl."""
    kubectl = find_kubectl()
    if kubectl is None:
        print(f"kubectl is not on this machine; to bring it: {COMMAND}", file=sys.stderr)
        return 3
    print(f"Python {platform.python_version()}, {platform.machine()}")
    figures: dict[str, float] = {}
    written = "--write" in sys.argv[1:]
    for measure in (
        _emitter,
        pipeline.values_to_text,
        lambda: pipeline.start(str(kubectl)),
        pipeline.phases,
        lambda: pipeline.whole_command(str(kubectl)),
        pipeline.memory,
        lambda: fleet.measure(str(kubectl)),
        lambda: whole_platform.measure(str(kubectl)),
        scaling.measure,
        analysis.measure,
        failover.measure,
        lab.measure,
        system.measure,
        routing_decision.measure,
        router.measure,
    ):
        found = measure()
        figures |= found
        for name, value in found.items():
            print(f"{name:<66} {value:>10.2f}", flush=True)
    if written:
        _keep(figures)
    return _judge(figures)


def _keep(figures: dict[str, float]) -> None:
    """Put the figures into the README, between its markers."""
    before, begin, rest = README.read_text("utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    machine = f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}"
    promised = {name: f"{direction} {bound:g}" for name, direction, bound in PROMISES}
    rows = [f"| {name} | {value:.2f} | {promised.get(name, '')} |" for name, value in figures.items()]
    table = "\n".join([f"{machine}:", "", "| figure | measured | promised |", "| --- | --- | --- |", *rows])
    README.write_text(f"{before}{begin}\n{table}\n{end}{after}", "utf-8")


def _emitter() -> dict[str, float]:
    found = emitter.measure()
    return {
        "emitter, ms per 1000 documents": found["ms_per_1000"],
        "emitter, ns per output byte": found["ns_per_byte"],
        "emitter, times as fast as PyYAML C": found["ratio"],
    }


def _judge(figures: dict[str, float]) -> int:
    broken = 0
    for name, direction, bound in PROMISES:
        if name not in figures:
            print(f"{'unknown':<9} {name}: not measured on this machine")
            continue
        kept = figures[name] >= bound if direction == "at least" else figures[name] <= bound
        broken += not kept
        print(f"{'kept' if kept else 'NOT KEPT':<9} {name}: {figures[name]:.2f}, {direction} {bound:g}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
