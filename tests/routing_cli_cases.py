"""Descriptions, players and logs for the tests of the routing verbs."""

import re
from pathlib import Path

import pytest

from tests.cli_cases import CommandLine
from tests.rule_case import DIGEST

PLAIN = f"""\
name: aether
kubernetes: v1.37
regions:
  - {{code: us, zones: [us-a, us-b, us-c], latency_ms: 20, capacity_players: 2000}}
  - {{code: eu, zones: [eu-a, eu-b, eu-c], latency_ms: 30, capacity_players: 2000}}
  - {{code: ap, zones: [ap-a, ap-b, ap-c], latency_ms: 40, capacity_players: 1000}}
links:
  - {{between: [us, eu], latency_ms: 76}}
  - {{between: [us, ap], latency_ms: 198}}
  - {{between: [eu, ap], latency_ms: 122}}
worlds:
  - name: world-server
    image: aether/world-server:v1.2.0@{DIGEST}
    pvc: {{size: 10Gi}}
"""
BARE = re.sub(r"latency_ms: \d+, capacity", "capacity", PLAIN)
"""The same without a static latency."""
ROUTED = (
    PLAIN
    + """\
routing:
  latency: {max_ms: 180}
  load: {}
  residency: [{name: eu-players, regions: [eu]}]
  limits: {p95_ms: 190}
"""
)
PLAYERS = "region,players\nus,1000\neu,1000\nap,500\n"


def routing_cli(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    """Return the command line in a folder that holds aether.yaml with rules of routing, plain.yaml and players.csv."""
    monkeypatch.chdir(folder)
    line = CommandLine(folder, capsys)
    line.write("aether.yaml", ROUTED)
    line.write("plain.yaml", PLAIN)
    line.write("players.csv", PLAYERS)
    return line
