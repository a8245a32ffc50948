"""Descriptions and traces for the tests of the scaling verbs."""

from pathlib import Path

import pytest

from tests.cli_cases import SMALL, CommandLine

TWO_REGIONS = (
    SMALL.replace(
        "[us-east-1a, us-east-1b, us-east-1c]}\n",
        "[us-east-1a, us-east-1b, us-east-1c]}\n  - {code: eu-west-1, zones: [eu-west-1a]}\n"
        "links: [{between: [us-east-1, eu-west-1], latency_ms: 76}]\n",
    )
    + "    per_region: {eu-west-1: {scaling: {max_replicas: 10}}}\n"
)
MORE = """\
services:
  - {name: gateway, image: "aether/gateway:v1@sha256:DIGEST", scaling: {target_players_per_pod: 500},
     custom_metrics: [{name: aether_gateway_player_count}, {name: queue, metric_type: External, target_value: 9}]}
  - {name: fixed, image: "aether/fixed:v1@sha256:DIGEST"}
  - {name: gone, image: "aether/gone:v1@sha256:DIGEST", enabled: false}
""".replace("DIGEST", "0" * 64)
TRACE = "secs,players\n0,100\n30,200\n60,200\n600,30\n1200,30\n"
PER_POD = "secs,world-server-1,world-server-0\n0,40,60\n15,90,\n30,,\n45,0,0\n"
EXTERNAL = MORE.replace("{name: aether_gateway_player_count}, ", "")


def scaling_cli(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    """Return the command line in a folder that holds aether.yaml, trace.csv and pods.csv."""
    monkeypatch.chdir(folder)
    line = CommandLine(folder, capsys)
    line.write("trace.csv", TRACE)
    line.write("pods.csv", PER_POD)
    return line
