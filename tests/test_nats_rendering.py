"""The objects of a component in each cluster."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

from aether_deploy.infrastructure.nats.text import options_in
from aether_deploy.pods.surroundings import Peer
from tests.nats_cases import MATCHES, ONE, TELEMETRY, TOOLS, WITNESS, alone, nats, objects, place


def pod_of(body: dict[str, Any]) -> dict[str, Any]:
    spec = body["spec"]
    return (spec["jobTemplate"]["spec"] if body["kind"] == "CronJob" else spec)["template"]["spec"]  # type: ignore[no-any-return]


def container(body: dict[str, Any], name: str) -> dict[str, Any]:
    return next(each for each in pod_of(body)["containers"] if each["name"] == name)


def variables(body: dict[str, Any]) -> dict[str, str]:
    return {each["name"]: each.get("value", "") for each in container(body, "nats")["env"]}


def test_each_zone_has_a_stateful_set_that_is_pinned_to_it() -> None:
    found = objects(nats(MATCHES, TELEMETRY), place())

    assert sorted(found) == [
        ("ConfigMap", "events-config"),
        ("ConfigMap", "events-streams"),
        ("CronJob", "events-streams"),
        ("NetworkPolicy", "events"),
        ("PodDisruptionBudget", "events"),
        ("Service", "events"),
        ("Service", "events-headless"),
        ("Service", "events-us-a-0"),
        ("Service", "events-us-b-0"),
        ("Service", "events-us-c-0"),
        ("ServiceAccount", "events"),
        ("StatefulSet", "events-us-a"),
        ("StatefulSet", "events-us-b"),
        ("StatefulSet", "events-us-c"),
    ]
    assert pod_of(found["StatefulSet", "events-us-b"])["nodeSelector"] == {"topology.kubernetes.io/zone": "us-b"}


def test_the_servers_of_a_zone_read_their_own_file() -> None:
    found = objects(nats(), place())
    files = found["ConfigMap", "events-config"]["data"]
    volumes = pod_of(found["StatefulSet", "events-us-b"])["volumes"]

    assert [options_in(files[f"us-{letter}.conf"])["server_tags"] for letter in "abc"] == [
        ["region:us", f"zone:us-{letter}"] for letter in "abc"
    ]
    assert {
        "name": "config",
        "configMap": {"name": "events-config", "items": [{"key": "us-b.conf", "path": "nats.conf"}]},
    } in volumes


def test_gateway_and_cluster_have_one_name_and_all_servers_one_domain() -> None:
    files = objects(nats(jetstream={"domain": "hub"}), place())["ConfigMap", "events-config"]["data"]
    options = [options_in(text) for text in files.values()]

    assert {(each["cluster"]["name"], each["gateway"]["name"], each["jetstream"]["domain"]) for each in options} == {
        ("us", "us", "hub")
    }


def test_every_server_has_an_address_for_other_regions() -> None:
    found = objects(nats(), place())
    (options, *_) = (options_in(text) for text in found["ConfigMap", "events-config"]["data"].values())

    assert options["gateway"]["gateways"][1] == {
        "name": "eu",
        "urls": [f"nats://events-eu-{letter}-0.nats.example.com:7222" for letter in "abc"],
    }
    assert variables(found["StatefulSet", "events-us-a"])["GATEWAY_ADVERTISE"] == '"$(POD_NAME).nats.example.com:7222"'
    service = found["Service", "events-us-a-0"]["spec"]
    assert service["selector"] == {
        "app.kubernetes.io/instance": "events",
        "aether.io/part": "events-us-a",
        "apps.kubernetes.io/pod-index": "0",
    }
    assert [port["port"] for port in service["ports"]] == [7222]


def test_one_region_has_no_gateway_in_its_file() -> None:
    (options, *_) = (
        options_in(text) for text in objects(alone(), place(ONE))["ConfigMap", "events-config"]["data"].values()
    )

    assert "gateway" not in options


def test_passwords_reach_the_server_in_quotes() -> None:
    found = variables(objects(nats(), place())["StatefulSet", "events-us-a"])

    assert found["NATS_PASSWORD_APP"] == "'$(RAW_NATS_PASSWORD_APP)'"


def test_a_witness_has_one_server_in_its_cluster_and_nothing_for_clients() -> None:
    at = place(WITNESS, "eu", "fra-cluster")
    found = objects(nats(MATCHES, witness="fra"), at)
    options = options_in(found["ConfigMap", "events-config"]["data"]["fra.conf"])

    assert [name for kind, name in sorted(found) if kind in ("StatefulSet", "Service", "CronJob")] == [
        "events-fra-0",
        "events-headless",
        "events-fra",
    ]
    assert options["server_tags"] == ["region:fra", "zone:fra-zone"]
    assert options["cluster"]["name"] == options["gateway"]["name"] == "fra"
    assert [each["name"] for each in options["gateway"]["gateways"]] == ["us", "eu", "fra"]


def test_no_budget_and_no_service_counts_the_pods_of_the_job() -> None:
    found = objects(nats(MATCHES), place())
    job = found["CronJob", "events-streams"]["spec"]["jobTemplate"]["spec"]["template"]["metadata"]["labels"]
    selectors = [found["PodDisruptionBudget", "events"]["spec"]["selector"]["matchLabels"]]
    selectors += [body["spec"]["selector"] for (kind, _), body in found.items() if kind == "Service"]

    assert not any(selector.items() <= job.items() for selector in selectors)
    assert job["app.kubernetes.io/instance"] == "events"


def test_a_startup_probe_asks_for_the_server_alone() -> None:
    server = container(objects(nats(), place())["StatefulSet", "events-us-a"], "nats")

    assert {
        probe: server[probe]["httpGet"]["path"] for probe in ("startupProbe", "readinessProbe", "livenessProbe")
    } == {
        "startupProbe": "/healthz?js-server-only=true",
        "readinessProbe": "/healthz?js-server-only=true",
        "livenessProbe": "/healthz?js-enabled-only=true",
    }


def test_a_pod_lives_longer_than_its_lame_duck() -> None:
    found = objects(nats(lame_duck={"duration_secs": 120, "grace_secs": 20}), place())

    assert pod_of(found["StatefulSet", "events-us-a"])["terminationGracePeriodSeconds"] == 160


def test_servers_restart_when_somebody_says_so() -> None:
    said = objects(nats(update={"strategy": "RollingUpdate"}), place())["StatefulSet", "events-us-a"]
    default = objects(nats(), place())["StatefulSet", "events-us-a"]

    assert default["spec"]["updateStrategy"] == {"type": "OnDelete"}
    assert said["spec"]["updateStrategy"]["type"] == "RollingUpdate"


def test_a_fifth_of_the_memory_is_not_the_collectors() -> None:
    assert variables(objects(nats(), place())["StatefulSet", "events-us-a"])["GOMEMLIMIT"] == "6553MiB"


# --- network


def policy(config: Any, **surroundings: Any) -> dict[str, Any]:
    return objects(config, place(**surroundings))["NetworkPolicy", "events"]["spec"]  # type: ignore[no-any-return]


def opened(rules: list[dict[str, Any]]) -> list[tuple[str, list[int]]]:
    return [(json.dumps(rule.get("from", rule.get("to"))), [port["port"] for port in rule["ports"]]) for rule in rules]


def test_ports_are_open_to_those_who_need_them() -> None:
    ingress = opened(policy(nats(), used_by=(Peer(name="world", namespace="aether-prod"),))["ingress"])

    assert [ports for _, ports in ingress] == [[4222], [4222, 6222], [7222]]
    assert "aether-prod" in ingress[0][0]
    assert ingress[2][0] == "null"


def test_gateways_take_calls_from_named_addresses_only() -> None:
    rules = policy(nats(network={"allow_from": ["10.1.0.0/16"], "allow_to": ["10.2.0.0/16"]}))

    assert ('[{"ipBlock": {"cidr": "10.1.0.0/16"}}]', [7222]) in opened(rules["ingress"])
    assert {"to": [{"ipBlock": {"cidr": "10.2.0.0/16"}}]} in rules["egress"]
    assert [{"protocol": "TCP", "port": 7222}] not in [rule.get("ports") for rule in rules["egress"]]


def test_monitoring_scrapes_what_there_is() -> None:
    watched: dict[str, Any] = {"monitoring_namespace": "monitoring", "scrape_interval_secs": 15}
    plain, exporting = nats(), nats(exporter={"image": "natsio/prometheus-nats-exporter:0.20.1"})

    assert [8222] in [ports for _, ports in opened(policy(plain, **watched)["ingress"])]
    assert [8222, 7777] in [ports for _, ports in opened(policy(exporting, **watched)["ingress"])]
    assert ("PodMonitor", "events") in objects(exporting, place(**watched))
    assert ("PodMonitor", "events") not in objects(plain, place(**watched))


def test_leafnodes_come_in_where_they_may() -> None:
    expose = {"type": "LoadBalancer", "per_pod": True, "internal": True, "ports": ["gateway", "leafnode"]}
    config = nats(leafnodes={"endpoint": "{pod}.leaf.example.com"}, expose=expose)
    found = objects(config, place())

    assert [7222, 7422] in [ports for _, ports in opened(policy(config)["ingress"])]
    assert variables(found["StatefulSet", "events-us-a"])["LEAFNODE_ADVERTISE"] == '"$(POD_NAME).leaf.example.com:7422"'


# --- sidecars and certificates


def test_a_reloader_sees_the_process_and_the_file() -> None:
    body = objects(nats(reloader={"image": "natsio/nats-server-config-reloader:0.23.0"}), place())[
        "StatefulSet", "events-us-a"
    ]

    assert pod_of(body)["shareProcessNamespace"] is True
    assert container(body, "reloader")["args"] == [
        "-pid",
        "/var/run/nats/nats.pid",
        "-config",
        "/etc/nats-config/nats.conf",
    ]


def test_certificates_are_of_routes_gateways_and_clients() -> None:
    found = objects(nats(MATCHES), place())
    options = options_in(found["ConfigMap", "events-config"]["data"]["us-a.conf"])

    assert [options["tls"].get("verify"), options["cluster"]["tls"]["verify"], options["gateway"]["tls"]["verify"]] == [
        None,
        True,
        True,
    ]
    assert nats(MATCHES).secrets(place()) == {
        "events-credentials": ("username", "password"),
        "events-system": ("username", "password"),
        "events-tls": ("ca.crt", "tls.crt", "tls.key"),
    }


# --- the job


def test_each_region_makes_its_own_streams() -> None:
    config = nats({**MATCHES, "mirrors": ["eu", "ap"]}, TELEMETRY)
    made = {}
    for code in ("us", "eu", "ap"):
        file = json.loads(objects(config, place(code=code))["ConfigMap", "events-streams"]["data"]["streams.json"])
        made[code] = [stream["name"] for account in file["accounts"] for stream in account["streams"]]

    assert made == {
        "us": ["MATCHES", "TELEMETRY-us", "TELEMETRY-all"],
        "eu": ["MATCHES-mirror-eu", "TELEMETRY-eu"],
        "ap": ["MATCHES-mirror-ap", "TELEMETRY-ap"],
    }


def test_the_job_runs_our_program_with_the_login_of_a_user() -> None:
    found = objects(nats(MATCHES), place())
    job = container(found["CronJob", "events-streams"], "streams")
    file = json.loads(found["ConfigMap", "events-streams"]["data"]["streams.json"])

    assert (job["image"], job["command"], job["args"]) == (
        TOOLS,
        ["python", "-m", "aether_deploy.jobs.nats_streams"],
        ["/etc/aether/streams.json"],
    )
    assert [mount["mountPath"] for mount in job["volumeMounts"]] == [
        "/etc/aether",
        "/tmp",
        "/run/aether/secrets/app",
        "/run/aether/tls",
    ]
    assert (file["servers"], file["tls"]) == (
        "nats://events.aether-prod-data.svc:4222",
        {"folder": "/run/aether/tls", "certificate": False},
    )


def test_a_region_without_streams_has_no_job() -> None:
    assert ("CronJob", "events-streams") not in objects(nats(MATCHES), place(code="ap"))


def test_equal_settings_give_equal_objects() -> None:
    assert nats(MATCHES, TELEMETRY).render(place()) == nats(MATCHES, TELEMETRY).render(place())


# --- the runbook


def test_the_runbook_promotes_each_mirror_by_name() -> None:
    config = nats(MATCHES, TELEMETRY)
    (text,) = config.runbooks(place().estate).values()

    assert "  erase events MATCHES &&" in text
    assert """change events MATCHES-mirror-eu 'del(.mirror) | .subjects = ["matches.>"]'""" in text
    assert "restart eu events-eu-c-0 &&" in text
    assert "Of several mirrors" not in text
    assert list(config.runbooks(place().estate)) == ["events.md"]


def test_a_runbook_of_one_region_has_nothing_to_promote() -> None:
    (text,) = alone({"name": "A", "subjects": ["a"]}).runbooks(ONE).values()

    assert "Promote" not in text
    assert "A region is lost" not in text


def test_of_several_mirrors_one_takes_over() -> None:
    (text,) = nats({**MATCHES, "mirrors": ["eu", "ap"]}).runbooks(place().estate).values()

    assert "Of several mirrors one takes over, and the others go." in text
    assert "owns events MATCHES-mirror-eu && erase events MATCHES-mirror-ap" in text
    assert "owns events MATCHES-mirror-ap && erase events MATCHES-mirror-eu" in text


def test_jobs_keep_still_by_what_is_published_since_an_engine_undoes_a_patch() -> None:
    (text,) = nats({**MATCHES, "mirrors": ["eu", "ap"]}).runbooks(place().estate).values()
    waited = re.findall(r"kubectl --context (\S+) .* wait --for=jsonpath='\{.spec.suspend\}'=true (\S+)", text)

    assert "`lost-us.yaml`" in text
    assert "patch cronjob" not in text
    assert waited == [(code, "cronjob/events-streams") for code in ("eu", "ap", "us", "eu", "ap")]
    assert "See that the Jobs keep still, those of the region that is back included" in text.partition("returns")[2]


def test_a_job_is_started_by_a_name_that_none_had_before_and_in_a_cluster_that_is_named() -> None:
    (text,) = nats(MATCHES).runbooks(place().estate).values()

    assert "job=events-streams-$(date +%s)" in text
    assert not re.search(r"kubectl -n \S+ create job", text)


def test_the_runbook_restarts_one_server_after_another_and_waits_for_each(tmp_path: Path) -> None:
    """The commands run as they stand, with programs in the place of kubectl and curl that write down what they do."""
    (text,) = nats(MATCHES).runbooks(place().estate).values()
    script = re.search(r"```sh\n(restart\(\).*?)```", text, re.DOTALL)
    assert script is not None
    record = tmp_path / "record"
    _program(tmp_path / "kubectl", f'echo "$5 $6 $7" >> {record}; [ "$5" != port-forward ] || exec /bin/sleep 60')
    # The first answer of each server is that it has not caught up.
    _program(tmp_path / "curl", f"echo curl >> {record}; [ $(grep -c curl {record}) -gt 1 ]")
    _program(tmp_path / "sleep", "exec /bin/sleep 0.01")
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-c", script.group(1)], env=environment, capture_output=True, text=True, timeout=240, check=False
    )

    assert (done.returncode, done.stdout.splitlines()[-1], done.stderr) == (0, "all restarted", "")
    lines = [line for line in record.read_text("utf-8").splitlines() if not line.startswith("port-forward")]
    assert lines[:6] == [
        "delete pod events-us-a-0",
        "wait --for=condition=Ready pod/events-us-a-0",
        "curl",
        "curl",
        "delete pod events-us-b-0",
        "wait --for=condition=Ready pod/events-us-b-0",
    ]
    assert sum(line.startswith("delete") for line in lines) == 9


def _program(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n", "utf-8")
    path.chmod(0o755)
