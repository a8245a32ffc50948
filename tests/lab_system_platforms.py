"""Platforms that a lab boots in seconds, and the command line against labs of a folder of their own."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from aether_deploy.lab.edge.programs import find_nginx
from aether_deploy.lab.nats.programs import can_certify
from aether_deploy.lab.programs import MissingProgramsError
from aether_deploy.lab.seaweedfs.programs import find_weed
from aether_deploy.lab.valkey.programs import find_valkey_server
from tests.cli_cases import PROGRAM, Ended
from tests.nats_clients import need_nats
from tests.real import miss
from tests.rule_case import DIGEST

SMALL = f"""\
name: aether
kubernetes: v1.37
tools_image: aether/deploy-tools:v1@{DIGEST}
regions:
  - {{code: us, provider: aws, zones: [us-a, us-b, us-c]}}
  - {{code: eu, provider: aws, zones: [eu-a, eu-b, eu-c]}}
links: [{{between: [us, eu], latency_ms: 76, bandwidth_mbps: 1000}}]
components:
  - {{name: sessions, kind: valkey, image: "valkey/valkey:9.1.2@{DIGEST}", maxmemory: 1Gi, node_timeout_ms: 2000}}
  - name: events
    kind: nats
    image: nats:2.15.1@{DIGEST}
    regions: [us]
    pvc: {{size: 10Gi}}
    streams: [{{name: MATCHES, subjects: [matches.>], regions: [us], replicas: 3, max_bytes: 1Gi}}]
  - name: assets
    kind: object_store
    image: chrislusf/seaweedfs:4.48@{DIGEST}
    regions: [us]
    pvc: {{size: 10Gi}}
    expose: {{type: LoadBalancer, internal: true}}
    endpoint: "assets.{{region}}.example.com"
    network: {{allow_from: [10.0.0.0/8]}}
    buckets: [{{name: game-assets, public_prefixes: [public/]}}]
  - name: cdn
    kind: edge
    image: nginx:1.31.3@{DIGEST}
    origin: assets/game-assets
    hostname: cdn.example.com
    network: {{allow_to: [10.0.0.0/8]}}
    cache_classes: [{{name: hashed, match: /public/build/, ttl_secs: 86400}}]
"""
"""Two regions with caches, a broker, a store and edges: twenty processes."""

CACHES = SMALL[: SMALL.index("  - name: events")]
"""Of that the caches: twelve processes."""

_STARTED_SECS = 180.0
_ENDED_SECS = 90.0


def need_system() -> None:
    """End the calling test where a program is missing that these platforms need."""
    if sys.platform != "linux":
        miss("labs of whole platforms need Linux")
    need_nats()
    try:
        for find in (find_valkey_server, find_weed, find_nginx):
            find()
    except MissingProgramsError as error:
        miss(str(error))
    if not can_certify():
        miss("cryptography is not installed; to bring it: pip install 'aether-deploy[lab]'")


class Labs:
    """The installed program, with labs of a folder of their own, so that no other lab is met."""

    def __init__(self, folder: Path, text: str) -> None:
        self.folder = folder
        self._temporary = folder / "t"
        self._temporary.mkdir()
        (folder / "aether.yaml").write_text(text, "utf-8")

    @property
    def environment(self) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "CI")}
        return {**kept, "TMPDIR": str(self._temporary)}

    def __call__(self, *arguments: str, within_secs: float = 400.0) -> Ended:
        done = subprocess.run(
            [PROGRAM, "lab", *arguments], cwd=self.folder, env=self.environment, capture_output=True, text=True,
            timeout=within_secs, check=False,
        )  # fmt: skip
        return Ended(done.returncode, done.stdout, done.stderr)

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start a verb that stays."""
        return subprocess.Popen(
            [PROGRAM, "lab", *arguments], cwd=self.folder, env=self.environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def result(self, *arguments: str) -> Any:
        """Return the ``result`` of a verb's JSON object."""
        return json.loads(self(*arguments, "--json").out)["result"]

    @property
    def runs(self) -> list[Path]:
        """The folders of what runs, or was killed."""
        return sorted(self._temporary.glob("aether-deploy-lab-*/run-*"))

    def processes(self) -> dict[int, str]:
        """Return every living process that was started for one of these labs, the one that keeps it too."""
        found = {}
        mark = f"TMPDIR={self._temporary}".encode()
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                state = (entry / "stat").read_text("utf-8").rpartition(")")[2].split()[0]
                is_ours = mark in (entry / "environ").read_bytes().split(b"\0") or self._is_home_of(entry)
                if state != "Z" and is_ours:
                    found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
        return found

    def wait_for_processes(self, number: int) -> None:
        """Wait until so many run.

        Raises:
            TimeoutError: They do not.
        """
        deadline = time.monotonic() + _STARTED_SECS
        while len(self.processes()) < number:
            if time.monotonic() > deadline:
                raise TimeoutError(f"less than {number} processes run: {self.processes()}")
            time.sleep(0.02)

    def _is_home_of(self, entry: Path) -> bool:
        """Return whether a process works in the labs' folder: some write their titles over their environment."""
        return os.readlink(entry / "cwd").startswith(f"{self._temporary}/")

    def wait_until_nothing_runs(self) -> dict[int, str]:
        """Return what still runs after a while: nothing, as soon as nothing does."""
        deadline = time.monotonic() + _ENDED_SECS
        while (left := self.processes()) and time.monotonic() < deadline:
            time.sleep(0.1)
        return left
