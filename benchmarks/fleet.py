"""A large fleet: 10,000 world servers, 500 in each of 20 regions, through render, render again, and diff.

Each is a process of its own, as users run it; times are medians of turns, memory is the peak of one. Its peer is
``kubectl kustomize`` on the folder of one cluster, which both engines call: it is quadratic in objects, so it is
measured on smaller clusters of the same worlds and extrapolated.
"""

import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.pipeline import command_line, description, fitted_kustomize_secs

REGIONS, WORLDS, ROUNDS = 20, 500, 3
_PEAK = (
    "import resource, subprocess, sys; code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode; "
    "print(code, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
)


def fleet() -> dict[str, Any]:
    """Return the description: the same worlds in every region, each region with its place and storage class."""
    regions = [
        {
            "code": f"region-{number:02d}",
            "zones": [f"region-{number:02d}{zone}" for zone in "abc"],
            "location": {"lat": float(number), "lon": float(3 * number)},
        }
        for number in range(REGIONS)
    ]
    return {**description(WORLDS), "regions": regions}


def measure(kubectl: str) -> dict[str, float]:
    """Return the figures of the fleet."""
    taken: dict[str, list[float]] = {}
    memory: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source, changed = folder / "fleet.json", folder / "changed.json"
        text = json.dumps(fleet())
        source.write_text(text, "utf-8")
        changed.write_text(re.sub(r"v1\.2\.7@", "v1.3.7@", text, count=1), "utf-8")
        for _ in range(ROUNDS):
            target = str(folder / "deploy")
            shutil.rmtree(target, ignore_errors=True)
            steps = {
                "first render": ["render", "-q", str(source), "-o", target],
                "unchanged render": ["render", "-q", str(source), "-o", target],
                "diff of one field": ["diff", "-q", str(changed), "--against", target],
            }
            for step, arguments in steps.items():
                secs, megabytes = _run(arguments)
                taken.setdefault(step, []).append(secs)
                memory[step] = max(memory.get(step, 0.0), megabytes)
    medians = {step: statistics.median(times) for step, times in taken.items()}
    kustomize = fitted_kustomize_secs(kubectl, WORLDS)
    return {
        **{f"fleet: {step}, s": value for step, value in medians.items()},
        **{f"fleet: {step}, peak memory, MB": value for step, value in memory.items()},
        "fleet: unchanged render, share of the first": medians["unchanged render"] / medians["first render"],
        "fleet: diff of one field, share of the first render": medians["diff of one field"] / medians["first render"],
        "fleet: kubectl kustomize on one of 20 clusters, extrapolated, s": kustomize,
        "fleet: first render, share of kustomize on one cluster": medians["first render"] / kustomize,
    }


def _run(arguments: list[str]) -> tuple[float, float]:
    """Return how long a command of ours took, seconds, and its peak memory, MB."""
    return peak_of([*command_line(), *arguments])


def peak_of(command: list[str], *, may_find: bool = False) -> tuple[float, float]:
    """Return how long a command took, seconds, and its peak memory, MB.

    Args:
        command: The program and its words.
        may_find: It may end with 1, since it found what it looked for.

    Raises:
        RuntimeError: It failed.
    """
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    os.sync()  # no run pays for what the one before it left to the disk
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", _PEAK, *command], check=True, capture_output=True, text=True, env=env)
    secs = time.perf_counter() - start
    code, peak = done.stdout.split()
    if code != "0" and not (may_find and code == "1"):
        raise RuntimeError(f"{' '.join(command)}: exit code {code}\n{done.stderr}")
    return secs, int(peak) * (1 if sys.platform == "darwin" else 1024) / 1e6
