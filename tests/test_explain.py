"""``explain``: what a field is, and in a file its value and the line that won."""

from pathlib import Path

import pytest

from tests.cli_cases import WARNED, WARNING, CommandLine
from tests.rule_case import DIGEST

FILE = f"""\
name: aether
kubernetes: v1.37
regions:
  - {{code: us-east-1, zones: [a, b], location: {{lat: 38.95, lon: -77.45}}}}
  - {{code: eu-west-1, zones: [c, d], location: {{lat: 53.35, lon: -6.26}}, storage_class: ssd}}
links: [{{between: [us-east-1, eu-west-1], latency_ms: 76}}]
defaults:
  workloads: {{labels: {{team: worlds}}, priority_class: usual}}
  worlds: {{priority_class: high, update: {{partition: 1}}}}
worlds:
  - name: world-server
    image: aether/world-server:v1@{DIGEST}
    pvc: {{size: 10Gi}}
    ports: [{{name: game, port: 7777, protocol: UDP}}]
    env: {{TICK_HZ: "30"}}
    scaling: {{max_replicas: 12}}
    topology: {{preferred_colocation: [{{service: gateway, weight: 80}}]}}
    sidecars:
      - name: shipper
        image: aether/shipper:v1@{DIGEST}
        mounts: [{{volume: wal, path: /data/wal}}]
    per_region:
      eu-west-1: {{scaling: {{max_replicas: 6}}}}
services:
  - name: gateway
    image: aether/gateway:v1@{DIGEST}
    replicas: 3
environments:
  prod: {{}}
  dev:
    worlds: [{{name: world-server, pvc: {{size: 1Gi}}}}]
"""


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    monkeypatch.chdir(tmp_path)
    cli = CommandLine(tmp_path, capsys)
    cli.write("aether.yaml", FILE)
    return cli


# --- what a field is

FIELDS = {
    "a count with a rule": (
        "worlds.scaling.max_replicas",
        "worlds.scaling.max_replicas\n"
        "  Most pods; never scaled above.\n"
        "  type:    a whole number, 1 to 100000\n"
        "  default: 20\n"
        '  rule:    The specification, "Player-Count Autoscaling".\n',
    ),
    "seconds whose default depends on the class": (
        "defaults.workloads.drain.grace_period_secs",
        "defaults.workloads.drain.grace_period_secs\n"
        "  Longest time from the decision to stop until the pod is killed, pre_stop included; seconds.\n"
        "  type:    a whole number, 1 or more\n"
        "  unit:    seconds\n"
        "  default: 300 (worlds), 30 (services)\n",
    ),
    "a required field": (
        "worlds.image",
        "worlds.image\n"
        "  Container image, best `name:tag@sha256:digest`.\n"
        "  type:    an image reference\n"
        "  default: required\n",
    ),
    "a closed set that may be off": (
        "services.kind",
        "services.kind\n"
        "  Follows from `pvc`; a kind that disagrees is a warning.\n"
        "  type:    one of StatefulSet, Deployment, or none\n"
        "  default: none\n",
    ),
    "a section with fields": (
        "regions.location",
        "regions.location\n"
        "  Where it is; latencies between regions are estimated from it where `links` has none.\n"
        "  type:    a mapping, or none\n"
        "  default: none\n"
        "  fields:\n"
        "    lat  Latitude, degrees north.\n"
        "    lon  Longitude, degrees east.\n",
    ),
    "a value of a mapping": (
        "worlds.env.TICK_HZ",
        "worlds.env.TICK_HZ\n"
        "  Environment variables; values are text, and Kubernetes expands `$(NAME)` in them.\n"
        "  type:    text\n",
    ),
    "a field of an environment, which has the default of the class": (
        "environments.dev.worlds.scaling.min_replicas",
        "environments.dev.worlds.scaling.min_replicas\n"
        "  Fewest pods; never scaled below.\n"
        "  type:    a whole number, 1 to 100000\n"
        "  default: 2\n"
        '  rule:    The specification, "Player-Count Autoscaling".\n',
    ),
    "a field of a region, too": (
        "worlds.per_region.eu-west-1.drain.grace_period_secs",
        "worlds.per_region.eu-west-1.drain.grace_period_secs\n"
        "  Longest time from the decision to stop until the pod is killed, pre_stop included; seconds.\n"
        "  type:    a whole number, 1 or more\n"
        "  unit:    seconds\n"
        "  default: 300\n",
    ),
}


@pytest.mark.parametrize("case", FIELDS)
def test_it_explains(case: str, cli: CommandLine) -> None:
    path, says = FIELDS[case]

    assert cli("explain", path) == (0, says, "")


@pytest.mark.parametrize("path", ["$", "", "$."])
def test_the_whole_description_lists_its_sections(path: str, cli: CommandLine) -> None:
    ended = cli("explain", path)

    assert ended.code == 0
    assert [line.split()[0] for line in ended.out.partition("  fields:\n")[2].splitlines()] == [
        "name", "kubernetes", "tools_image", "regions", "clusters", "links", "defaults", "worlds", "services",
        "routing", "components", "observability", "gitops", "secrets", "patches", "environments",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "path", ["worlds.pvc.size", "worlds.world-server.pvc.size", "worlds[0].pvc.size", "$.worlds[0].pvc.size"]
)
def test_a_field_may_be_named_with_or_without_its_item_and_as_a_problem_names_it(path: str, cli: CommandLine) -> None:
    assert cli("explain", path) == (
        0,
        f"{path}\n  Size of each volume: `10Gi`.\n  type:    a size\n  default: required\n",
        "",
    )


UNKNOWN = {
    "a misspelt section": ("wolrds", "has no field 'wolrds'", "did you mean 'worlds'?"),
    "a misspelt field": ("worlds.scaling.max_replica", "has no field 'max_replica'", "did you mean 'max_replicas'?"),
    "a field without its section": (
        "scaling", "has no field 'scaling'", "it is a field of workloads: worlds.scaling or services.scaling",
    ),
    "nothing alike": ("regions.location.altitude", "has no field 'altitude'", "known are lat, lon"),
    "a field of a value": ("name.first", "has no field 'first'", "leave it out: it has no fields"),
    "no path": (
        "worlds[", "cannot be read as a path", "write it like worlds.world-server.image or worlds[0].image",
    ),
    "what --env chooses": ("environment", "is not set in a file; --env chooses it", "leave it out"),
    "what only Python sets": (
        "worlds.namespace",
        "is not set in a file; it follows from the system's name and the environment",
        "leave it out",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", UNKNOWN)
def test_it_refuses(case: str, cli: CommandLine) -> None:
    path, reason, fix = UNKNOWN[case]

    assert cli("explain", path) == (2, "", f"{path}: {reason}\n  fix: {fix}\n1 problem\n")
    assert cli("explain", path, "aether.yaml").code == 2


# --- what holds in a file

VALUES = {
    "what the file says": ("name", "aether", "aether.yaml:1:7"),
    "what the file says of an item": ("regions.eu-west-1.storage_class", "ssd", "aether.yaml:5:89"),
    "what it does not say": ("regions.us-east-1.storage_class", "none", "default"),
    "an item by position": ("regions[1].code", "eu-west-1", "aether.yaml:5:12"),
    "an item without a name": ("links[0].latency_ms", "76", "aether.yaml:6:55"),
    "a whole list": ("regions.us-east-1.zones", '["a", "b"]', "aether.yaml:4:30"),
    "what an entry says": ("worlds.world-server.scaling.max_replicas", "12", "aether.yaml:16:29"),
    "what a class says": ("worlds.world-server.scaling.min_replicas", "2", "default of worlds"),
    "what the defaults of worlds say": ("worlds.world-server.priority_class", "high", "aether.yaml:9:28"),
    "what the defaults of all workloads say": ("services.gateway.priority_class", "usual", "aether.yaml:8:55"),
    "what a region says": ("worlds.world-server.scaling.max_replicas@eu-west-1", "6", "aether.yaml:23:43"),
    "what no other region says": ("worlds.world-server.scaling.max_replicas@us-east-1", "12", "aether.yaml:16:29"),
    "a port of the entry": ("worlds.world-server.ports.game.port", "7777", "aether.yaml:14:32"),
    "a port by its position in the file": ("worlds.world-server.ports[0].port", "7777", "aether.yaml:14:32"),
    "a port of the class": ("worlds.world-server.ports.http.port", "8080", "default of worlds"),
    "a variable": ("worlds.world-server.env.TICK_HZ", "30", "aether.yaml:15:20"),
    "a neighbour": (
        "worlds.world-server.topology.preferred_colocation.gateway.weight", "80", "aether.yaml:17:66",
    ),
    "a mount, which goes by its path": (
        "worlds.world-server.sidecars.shipper.mounts[0].volume", "wal", "aether.yaml:21:27",
    ),
    "inside of what is off": ("services.gateway.scaling.min_replicas", "none", "default of services"),
    "an overlay by itself": ("environments.dev.worlds.world-server.pvc.size", "1Gi", "aether.yaml:31:47"),
    "where an entry runs": ("worlds.world-server.regions", "all", "default"),
}  # fmt: skip


@pytest.mark.parametrize("case", VALUES)
def test_it_finds(case: str, cli: CommandLine) -> None:
    path, value, origin = VALUES[case]

    ended = cli("explain", path, "aether.yaml", "--json")

    assert (ended.code, ended.err) == (0, "")
    assert (ended.answer["result"]["value"], ended.answer["result"]["origin"]) == (value, origin)


def test_value_and_line_stand_before_what_the_field_is(cli: CommandLine) -> None:
    assert cli("explain", "worlds.world-server.scaling.max_replicas", "aether.yaml") == (
        0,
        "worlds.world-server.scaling.max_replicas\n"
        "  Most pods; never scaled above.\n"
        "  value:   12\n"
        "  from:    aether.yaml:16:29\n"
        "  type:    a whole number, 1 to 100000\n"
        "  default: 20\n"
        '  rule:    The specification, "Player-Count Autoscaling".\n',
        "",
    )


WINNERS = {
    "the first environment": ([], "10Gi", "aether.yaml:13:17"),
    "an environment that says something": (["--env", "dev"], "1Gi", "aether.yaml:31:47 (environment dev)"),
    "a later file": (["more.yaml"], "20Gi", "more.yaml:1:43"),
    "an environment over a later file": (["more.yaml", "--env", "dev"], "1Gi", "aether.yaml:31:47 (environment dev)"),
    "a setting over everything": (
        ["more.yaml", "--env", "dev", "--set", "worlds.world-server.pvc.size=5Gi"], "5Gi", "--set",
    ),
    "a setting of the whole volume": (["--set", "worlds[0].pvc={size: 6Gi}"], "6Gi", "--set"),
}  # fmt: skip


@pytest.mark.parametrize("case", WINNERS)
def test_the_winner_is(case: str, cli: CommandLine) -> None:
    arguments, value, origin = WINNERS[case]
    cli.write("more.yaml", "worlds: [{name: world-server, pvc: {size: 20Gi}}]")

    ended = cli("explain", "worlds.world-server.pvc.size", "aether.yaml", *arguments, "--json")

    assert (ended.answer["result"]["value"], ended.answer["result"]["origin"]) == (value, origin)


MISSING = {
    "a misspelt item": (
        "worlds.world-serve.image", "$.worlds has no item 'world-serve'", "did you mean 'world-server'?",
    ),
    "a misspelt field": ("worlds.world-server.imag", "has no field 'imag'", "did you mean 'image'?"),
    "no item at all": (
        "worlds.scaling.max_replicas", "$.worlds has no item 'scaling'", "name one of its items: world-server",
    ),
    "an item beyond the last": ("worlds[1].image", "$.worlds has no item 1", "name one of its items: world-server"),
    "a region beyond the last": (
        "regions[2].code", "$.regions has no item 2", "name one of its items: us-east-1, eu-west-1",
    ),
    "a link beyond the last": ("links[1].latency_ms", "$.links has no item 1", "name one of its items: 0"),
    "a link by a name": ("links.atlantic.latency_ms", "$.links has no item 'atlantic'", "name one of its items: 0"),
    "a misspelt port": (
        "worlds.world-server.ports.gam.port", "ports has no item 'gam'", "did you mean 'game'?",
    ),
    "a misspelt variable": (
        "worlds.world-server.env.TICKS_HZ", "env has no key 'TICKS_HZ'", "did you mean 'TICK_HZ'?",
    ),
    "a label that nobody sets": ("worlds.world-server.labels.owner", "labels has no key 'owner'", "known are team"),
    "an environment that is none": ("environments.qa", "environments has no key 'qa'", "known are prod, dev"),
    "a misspelt region": (
        "worlds.world-server.image@eu-west1", "has no region 'eu-west1'", "did you mean 'eu-west-1'?",
    ),
    "a region of what has none": (
        "name@eu-west-1", "holds in every region", "leave the region out; only worlds and services differ by it",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", MISSING)
def test_in_a_file_it_refuses(case: str, cli: CommandLine) -> None:
    path, reason, fix = MISSING[case]

    assert cli("explain", path, "aether.yaml") == (2, "", f"{path}: {reason}\n  fix: {fix}\n1 problem\n")


def test_the_whole_description_is_a_value_too(cli: CommandLine) -> None:
    ended = cli("explain", "$", "aether.yaml", "--json")

    assert ended.code == 0
    assert ended.answer["result"]["value"].startswith('{"name": "aether", "kubernetes": "v1.37", "regions": [')
    assert ended.answer["result"]["origin"] == "aether.yaml:1:1"


def test_warnings_of_the_file_are_messages_and_quiet_leaves_them_out(cli: CommandLine) -> None:
    cli.write("aether.yaml", WARNED)

    loud = cli("explain", "name", "aether.yaml")

    assert loud.err == f"{WARNING}1 warning in aether.yaml (environment prod)\n"
    assert cli("explain", "name", "aether.yaml", "-q") == (0, loud.out, "")


def test_as_json_it_says_everything_and_null_for_what_there_is_not(cli: CommandLine) -> None:
    assert cli("explain", "links.latency_ms", "--json").answer["result"] == {
        "path": "links.latency_ms",
        "description": "Round trip, milliseconds.",
        "type": "a whole number, 1 or more",
        "unit": "milliseconds",
        "default": "required",
        "rule": None,
        "fields": {},
        "value": None,
        "origin": None,
    }


def test_what_each_kind_has_of_its_own_is_asked_by_its_name(cli: CommandLine) -> None:
    both = cli("explain", "components.tls")
    one = cli("explain", "components.nats.tls")

    assert (both.code, both.out) == (2, "")
    assert both.err.splitlines()[:2] == [
        "components.tls: is another field in each kind: edge, nats, postgres",
        "  fix: write components.edge.tls or components.nats.tls or components.postgres.tls",
    ]
    assert one.out.splitlines()[1] == "  Certificates of the servers."


def test_a_components_field_is_that_of_its_kind_though_its_name_is_a_field_of_another(cli: CommandLine) -> None:
    image = "ghcr.io/zalando/spilo-18:4.1-p2@sha256:" + "0" * 64
    database = f"{{name: accounts, kind: postgres, image: '{image}', regions: [us-east-1], pvc: {{size: 1Gi}}}}"
    cli.write("data.yaml", f"components: [{database}]")

    ended = cli("explain", "components.accounts.members", "aether.yaml", "data.yaml")

    assert ended.out.splitlines()[1:3] == [
        "  Members of the cluster, the primary included; of each cluster, where nothing else is said.",
        "  value:   3",
    ]
