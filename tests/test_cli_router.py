"""``router serve`` from a description and from what was rendered of one, and all that it refuses to begin with."""

import json
import re
import shutil
import signal
import socket
from pathlib import Path

import pytest
import yaml

from aether_deploy.cli.served import Sources, described_router, read_router_config
from aether_deploy.problems import ConfigError
from tests.cli_cases import ROOT, SMALL, CommandLine, ended, program
from tests.router_cases import TOKEN, RouterProcess, config_values, dead_port, new_keys, write_config

THREE_REGIONS = ROOT / "examples/three-regions/aether.yaml"


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    monkeypatch.chdir(tmp_path)
    return CommandLine(tmp_path, capsys)


def test_the_group_lists_its_verb(cli: CommandLine) -> None:
    ended = cli("router", "-h")

    assert (ended.code, ended.err) == (0, "")
    assert "serve  Send players to the closest healthy region, over HTTP." in ended.out


def test_every_option_is_told(cli: CommandLine) -> None:
    ended = cli("router", "serve", "-h")

    assert ended.code == 0
    for option in (
        "--env", "--set", "--config", "--listen", "--admin-token-file", "--signing-key-file", "--decision-log",
        "--self-check", "--drain-secs", "/openapi.json", "SIGHUP",
    ):  # fmt: skip
        assert option in ended.out


def test_faults_are_one_object_where_one_is_asked_for(cli: CommandLine) -> None:
    ended = cli("router", "serve", "--json", "--listen", ":0")

    assert (ended.code, ended.err) == (2, "")
    assert (ended.answer["verb"], ended.answer["ok"]) == ("router serve", False)
    assert [each["reason"] for each in ended.answer["problems"]] == ["has no routing, so there is no router"]


def test_a_quiet_router_says_only_what_is_wrong(cli: CommandLine) -> None:
    config, port = cli.write("router.json", json.dumps(config_values(probes={}))), dead_port()
    options = ["--config", str(config), "--listen", f"127.0.0.1:{port}", "--drain-secs", "0"]
    process = program("router", "serve", "-q", "--json", *options, folder=cli.folder)
    while not _is_taken(port):
        assert process.poll() is None
    cli.write("router.json", "{")
    process.send_signal(signal.SIGHUP)
    assert process.stderr is not None
    first = json.loads(process.stderr.readline())
    process.send_signal(signal.SIGTERM)
    told = ended(process)

    assert (first["event"], told.code, told.err) == ("reload_refused", 0, "")
    assert (told.answer["ok"], told.answer["problems"]) == (True, [])


def _is_taken(port: int) -> bool:
    with socket.socket() as wire:
        return wire.connect_ex(("127.0.0.1", port)) == 0


REFUSED: dict[str, tuple[list[str], str]] = {
    "no port": (["--listen", "localhost"], "'localhost' is not HOST:PORT, such as 0.0.0.0:8080, [::1]:8080 or :8080"),
    "a port that there is not": (["--listen", ":65536"], "':65536' is not HOST:PORT"),
    "a bare IPv6 address": (["--listen", "::1:8080"], "'::1:8080' is not HOST:PORT"),
    "a path": (["--self-check", "/readyz"], "'/readyz' is not like https://host/path or tcp://host:port"),
    "another protocol": (["--self-check", "udp://a:1"], "'udp://a:1' is not like https://host/path"),
    "tcp without a port": (["--self-check", "tcp://a"], "'tcp://a' is not like https://host/path"),
    "less than no time": (["--drain-secs", "-1"], "-1"),
    "two descriptions": (["--config", "a.json", "aether.yaml"], "--config stands for FILE, --env and --set"),
    "a setting of a configuration": (
        ["--config", "a.json", "--set", "a=b"],
        "--config stands for FILE, --env and --set",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_misuse_is_told_with_the_way_to_the_help(case: str, cli: CommandLine) -> None:
    arguments, says = REFUSED[case]

    ended = cli("router", "serve", *arguments)

    assert (ended.code, ended.out) == (2, "")
    assert says in ended.err
    assert ended.err.endswith("fix: see aether-deploy router serve --help\n")


def test_a_description_without_routing_has_no_router(cli: CommandLine) -> None:
    assert cli("router", "serve") == (
        2,
        "",
        "aether.yaml: $: has no routing, so there is no router\n"
        "  fix: add 'routing: {entry: NAME}', the service that players reach first\n1 problem in aether.yaml\n",
    )


def test_faults_of_a_description_and_of_the_files_beside_it_are_told_together(cli: CommandLine) -> None:
    cli.write("aether.yaml", SMALL.replace("10Gi", "10Gi, sise: 1"))

    ended = cli("router", "serve", "--admin-token-file", "none", "--signing-key-file", "aether.yaml")

    assert ended.code == 2
    assert ended.err.startswith(
        "aether.yaml:8:23: $.worlds[0].pvc: has unknown key 'sise'\n  fix: did you mean 'size'?\n"
    )
    assert (
        "aether.yaml: $: holds no private key in PEM\n  fix: name the file of the keys; to make a new one: "
        in ended.err
    )
    assert "none: $: cannot be read: No such file or directory\n  fix: " in ended.err


def test_a_configuration_with_faults_names_its_file(cli: CommandLine) -> None:
    cli.write("router.json", json.dumps({**config_values(), "on_unknown": "explode"}))

    ended = cli("router", "serve", "--config", "router.json")

    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("router.json: $.on_unknown: is 'explode'; expected one of failover, error\n")


def test_what_is_rendered_is_what_a_description_says(tmp_path: Path) -> None:
    config, _ = described_router([str(THREE_REGIONS)], [], None)
    whole, short = (
        write_config(tmp_path, values, name)
        for name, values in (("whole", config.to_settings()), ("short", config.to_values()))
    )

    assert read_router_config(str(whole)) == read_router_config(str(short)) == config
    assert [region.code for region in config.regions] == ["us-east-1", "eu-west-1", "ap-south-1"]
    assert all(region.probe for region in config.regions)


def test_an_environment_and_a_setting_are_heeded() -> None:
    config, _ = described_router([str(THREE_REGIONS)], ["routing.on_unknown=error"], "dev")

    assert config.on_unknown == "error"
    assert [region.code for region in config.regions] == ["us-east-1"]


def test_files_are_read_anew_each_time(tmp_path: Path) -> None:
    config = write_config(tmp_path, config_values())
    (tmp_path / "token").write_text(TOKEN)
    (tmp_path / "keys").write_bytes(new_keys()[0])
    sources = Sources((), (), None, str(config), str(tmp_path / "token"), str(tmp_path / "keys"))
    first = sources.read()
    write_config(tmp_path, config_values(on_unknown="error"))
    (tmp_path / "keys").write_bytes(new_keys()[0])
    second = sources.read()
    (tmp_path / "token").unlink()

    assert (first.config.on_unknown, second.config.on_unknown) == ("failover", "error")
    assert first.keys is not None
    assert second.keys is not None
    assert first.keys.key_id != second.keys.key_id
    with pytest.raises(ConfigError):
        sources.read()


@pytest.mark.parametrize("size", [65_537, 10_000_000])
def test_a_secret_file_without_end_is_not_read_to_its_end(size: int, tmp_path: Path) -> None:
    (tmp_path / "token").write_bytes(b"x" * size)
    sources = Sources((), (), None, str(write_config(tmp_path, config_values())), str(tmp_path / "token"), None)

    with pytest.raises(ConfigError, match="has more than 65536 bytes"):
        sources.read()


def test_a_description_is_served_and_read_again(tmp_path: Path) -> None:
    folder = tmp_path / "three-regions"
    shutil.copytree(THREE_REGIONS.parent, folder)
    description = folder / "aether.yaml"
    with RouterProcess(str(description), "--drain-secs", "0", folder=tmp_path) as router:
        told = [router.ask("GET", "/v1/regions").json]
        router.process.send_signal(signal.SIGHUP)
        router.heard("reloaded")
        told.append(router.ask("GET", "/v1/regions").json)
        description.write_text(description.read_text().replace("play.example.com", "other.example.com"))
        router.process.send_signal(signal.SIGHUP)
        router.heard("reloaded")
        told.append(router.ask("GET", "/v1/regions").json)
        description.write_text("name: [")
        router.process.send_signal(signal.SIGHUP)
        refused = router.heard("reload_refused")
        code = router.end(signal.SIGTERM)

    places = ["us-east-1.play.example.com", "us-east-1.play.example.com", "us-east-1.other.example.com"]
    assert [[region["code"] for region in each["regions"]] for each in told] == [
        ["us-east-1", "eu-west-1", "ap-south-1"]
    ] * 3
    assert [each["regions"][0]["address"] for each in told] == places
    assert f"{description}:1:8: " in refused["problems"][0]
    assert code == 0


def test_the_pod_that_is_rendered_is_a_router_that_runs(cli: CommandLine) -> None:
    assert cli("render", str(THREE_REGIONS), "--env", "prod", "-o", "tree", "-q").code == 0
    folder = cli.folder / "tree/prod/clusters/us-east-1/aether-prod/router"
    deployment, settings = (
        yaml.safe_load((folder / f"{name}.yaml").read_text()) for name in ("deployment", "configmap-config")
    )
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    config = cli.write("router.json", settings["data"]["router.json"])
    given = container["args"]
    arguments = [str(config) if each == "/etc/aether/router.json" else each.replace(":8080", ":0") for each in given]

    with RouterProcess(*arguments[2:], "--drain-secs", "0", folder=cli.folder) as router:
        health = router.ask("GET", container["livenessProbe"]["httpGet"]["path"]).status
        router.until(container["readinessProbe"]["httpGet"]["path"], 200)
        code = router.end(signal.SIGTERM)

    assert (arguments[:2], health, code) == (["router", "serve"], 200, 0)


def test_the_guide_brings_token_keys_and_log_into_the_pod(cli: CommandLine) -> None:
    for page, names in (("routing", ["aether"]), ("router", ["pod", "log"])):
        text = (ROOT / f"docs/{page}.md").read_text("utf-8")
        for name in names:
            found = re.search(rf"<!-- file: {name}.yaml -->\n```yaml\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
            assert found is not None
            cli.write(f"{name}.yaml", found[1])

    args = []
    for files in (["aether.yaml", "pod.yaml"], ["aether.yaml", "pod.yaml", "log.yaml"]):
        ended = cli("render", *files, "--set", "routing.self_check=tcp://status.example.com:443", "-o", "tree")
        assert (ended.code, "warning" in ended.err) == (0, False)
        path = cli.folder / "tree/prod/clusters/us/lobby-prod/router/deployment.yaml"
        args.append(yaml.safe_load(path.read_text())["spec"]["template"]["spec"]["containers"][0]["args"])

    assert "--signing-key-file" in args[0]
    assert args[1] == [*args[0], "--decision-log", "/var/log/aether/decisions.jsonl"]


def test_every_address_is_listened_on_where_none_is_named(tmp_path: Path) -> None:
    config = write_config(tmp_path, config_values(probes={}))
    with RouterProcess("--config", str(config), "--listen", ":0", "--drain-secs", "0", folder=tmp_path) as router:
        answer = router.ask("GET", "/healthz")

    assert answer.status == 200
