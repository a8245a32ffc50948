"""What is rendered of a session cache, beyond what all kinds promise."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from aether_deploy.infrastructure.estate import Datacenter, EstateRegion
from aether_deploy.infrastructure.valkey.rendering import files_of
from aether_deploy.infrastructure.valkey.timing import failover_secs, grace_secs
from tests.nats_cases import estate
from tests.valkey_cases import ONE, TWO_REGIONS, objects, place, valkey

SETS = ["sessions-us-a", "sessions-us-b", "sessions-us-c"]


def test_each_zone_has_a_stateful_set_that_is_pinned_to_it_and_that_nobody_rolls() -> None:
    found = objects(valkey(), place())

    assert [name for kind, name in found if kind == "StatefulSet"] == SETS
    for name in SETS:
        spec = found["StatefulSet", name]["spec"]
        pod = spec["template"]["spec"]
        assert spec["replicas"] == 2
        assert spec["updateStrategy"] == {"type": "OnDelete"}
        assert pod["nodeSelector"] == {"topology.kubernetes.io/zone": name.removeprefix("sessions-")}
        assert pod["terminationGracePeriodSeconds"] == grace_secs(5000) > failover_secs(5000).worst


def test_every_region_has_the_same_files_and_nodes_of_its_own() -> None:
    us, eu = (objects(valkey(), place(TWO_REGIONS, code)) for code in ("us", "eu"))

    assert us["ConfigMap", "sessions-config"] == eu["ConfigMap", "sessions-config"]
    assert "sessions-us" not in str(eu)
    assert "sessions-eu" not in str(us)


def test_no_secret_is_in_a_config_map_and_no_variable_holds_one() -> None:
    found = objects(valkey(), place())

    for (kind, _), body in found.items():
        if kind == "StatefulSet":
            (container,) = body["spec"]["template"]["spec"]["containers"]
            assert {each["name"] for each in container["env"]} == {"POD_IP", "POD_NAME", "RETURN_PAUSE_SECS"}
    text = "".join(found["ConfigMap", "sessions-config"]["data"].values())
    assert 'requirepass "$word"' in text
    assert text.count("requirepass") == 1


def test_a_change_that_running_nodes_take_leaves_the_pods_template_alone() -> None:
    def checksum(**settings: object) -> object:
        body = objects(valkey(**settings), place())["StatefulSet", "sessions-us-a"]
        return body["spec"]["template"]["metadata"]["annotations"]["checksum/config"]

    assert checksum() == checksum(eviction="volatile-ttl") == checksum(node_timeout_ms=3000) == checksum(replicas=2)
    assert checksum() != checksum(maxmemory="1Gi")


def test_a_startup_probe_bears_the_pause_of_a_primary_that_is_back() -> None:
    for timeout in (500, 5000, 60_000):
        body = objects(valkey(node_timeout_ms=timeout), place())["StatefulSet", "sessions-us-a"]
        (container,) = body["spec"]["template"]["spec"]["containers"]
        probe, env = container["startupProbe"], {each["name"]: each.get("value") for each in container["env"]}

        assert probe["periodSeconds"] * probe["failureThreshold"] >= int(env["RETURN_PAUSE_SECS"]) + 30


def test_only_datacenters_of_the_cluster_have_objects_there() -> None:
    full = tuple(Datacenter(f"dub{at}", f"eu-{at}", "eu", "dublin") for at in "123")
    witness = Datacenter("fra", "fra-a", "eu", "frankfurt", witness=True)
    where = estate(EstateRegion("eu", "dublin", (*full, witness)))

    found = objects(valkey(), place(where, "eu"))

    assert [name for kind, name in found if kind == "StatefulSet"] == [f"sessions-dub{at}" for at in "123"]
    assert valkey().witnesses(where) == ()


SHELLS = [name for name in ("dash", "bash", "busybox") if shutil.which(name)]


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("word", ["plain", 'all "of\\ it $HOME `id` #x', "end\\", "ä€", "'"])
def test_every_shell_hands_the_password_over_as_it_is(shell: str, word: str, tmp_path: Path) -> None:
    (tmp_path / "password").write_text(word + "\n", "utf-8")
    (tmp_path / "valkey-server").write_text('#!/bin/sh\necho "$@"\ncat\n', "utf-8")
    (tmp_path / "valkey-server").chmod(0o755)
    text = files_of(valkey(), ONE)["start.sh"].replace("/run/aether/secrets/sessions/password", f"{tmp_path}/password")
    text = text.replace("/run/valkey/", f"{tmp_path}/copied-")
    (tmp_path / "start.sh").write_text(text, "utf-8")
    environment = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "POD_NAME": "sessions-us-a-0",
        "POD_IP": "10.0.0.7",
        "RETURN_PAUSE_SECS": "0",
        "LC_ALL": "C",
    }
    command = [shell, "sh"] if shell == "busybox" else [shell]
    done = subprocess.run(
        [*command, str(tmp_path / "start.sh")], capture_output=True, env=environment, encoding="utf-8", check=True
    )

    said = word.replace("\\", "\\\\").replace('"', '\\"')
    assert done.stdout.splitlines() == [
        "/etc/valkey/valkey.conf -",
        f'requirepass "{said}"',
        f'primaryauth "{said}"',
        "cluster-announce-ip 10.0.0.7",
        "cluster-announce-hostname sessions-us-a-0.sessions-headless.aether-prod-data.svc",
        "cluster-announce-human-nodename sessions-us-a-0",
    ]
    assert (tmp_path / "copied-password").read_text("utf-8") == word + "\n"
    assert (tmp_path / "copied-password").stat().st_mode & 0o777 == 0o600
