"""A component in a description: its place in environments and clusters, and who uses it."""

from aether_deploy.platform.rendering import render_cluster
from tests.platform_cases import bodies, cluster, evaluate, platform
from tests.rule_case import DIGEST

EVENTS = f"""
tools_image: aether/tools:v1@{DIGEST}
regions: [{{code: ap-south-1, provider: aws, location: {{lat: 19.08, lon: 72.88}}, zones: [d, e, f]}}]
components:
  - name: events
    kind: nats
    image: nats:2.15.1@{DIGEST}
    pvc: {{size: 40Gi}}
    tls: {{secret: events-tls}}
    expose: {{per_pod: true, internal: true}}
    gateway: {{endpoint: "{{pod}}.nats.example.com"}}
    streams:
      - {{name: MATCHES, subjects: [matches.>], regions: [us-east-1], max_bytes: 10Gi, mirrors: [ap-south-1]}}
      - {{name: TELEMETRY, subjects: ["telemetry.{{region}}.>"], max_bytes: 4Gi, aggregate_in: us-east-1}}
"""
USED = "worlds: [{name: world-server, uses: [events, voice-relay]}]"
DEV = """
environments:
  prod: {}
  dev: {regions: [{code: eu-west-1, enabled: false}, {code: ap-south-1, enabled: false}]}
"""
WITNESS = """
regions:
  - {code: ap-south-1, enabled: false}
  - code: eu-west-1
    datacenters:
      - {name: dub3, zone: eu-west-1c, cluster: dublin}
      - {name: fra, zone: eu-central-1a, cluster: frankfurt, role: witness}
components:
  - {name: events, streams: [{name: MATCHES, enabled: false}, {name: TELEMETRY, replicas: 1}], witness: fra}
"""


def test_every_region_has_servers_named_by_its_datacenters() -> None:
    found = platform(EVENTS)

    names = {
        code: [
            name for kind, name in bodies(cluster(found, code)) if kind == "StatefulSet" and name.startswith("events")
        ]
        for code in ("us-east-1", "eu-west-1", "ap-south-1")
    }
    assert names == {
        "us-east-1": ["events-us-east-1-a", "events-us-east-1-b", "events-us-east-1-c"],
        "eu-west-1": ["events-dub1", "events-dub2"],
        "ap-south-1": ["events-ap-south-1-d", "events-ap-south-1-e", "events-ap-south-1-f"],
    }


def test_a_world_that_uses_it_is_told_where_and_logs_in() -> None:
    found = bodies(cluster(platform(EVENTS, USED), "us-east-1"))
    (container,) = found["StatefulSet", "world-server"]["spec"]["template"]["spec"]["containers"]
    policy = found["NetworkPolicy", "events"]["spec"]["ingress"][0]

    assert {"name": "AETHER_EVENTS_PORT_CLIENT", "value": "4222"} in container["env"]
    assert "/run/aether/secrets/events" in [mount["mountPath"] for mount in container["volumeMounts"]]
    assert [port["port"] for port in policy["ports"]] == [4222]


def test_an_environment_of_one_region_keeps_the_names_of_its_streams() -> None:
    found = bodies(cluster(platform(EVENTS, DEV, environment="dev"), "us-east-1"))
    text = found["ConfigMap", "events-streams"]["data"]["streams.json"]

    assert '"TELEMETRY-us-east-1"' in text
    assert "MATCHES-mirror" not in text
    assert "gateway {" not in found["ConfigMap", "events-config"]["data"]["us-east-1-a.conf"]


def test_a_witness_is_a_cluster_of_its_own() -> None:
    found = platform(EVENTS, WITNESS)
    (site,) = [each for each in found.sites if each.cluster == "frankfurt"]

    rendered = bodies(render_cluster(found, site, {}))
    assert [name for kind, name in rendered if kind == "StatefulSet"] == ["events-fra"]
    assert "Deployment" not in {kind for kind, _ in rendered}


def test_faults_are_told_where_they_are_in_the_file() -> None:
    wrong = """
components: [{name: events, streams: [{name: MATCHES, regions: [us-east-1], mirrors: [mars]}], pvc: {size: 8Gi}}]
"""
    found = [str(problem) for _, problem in evaluate(EVENTS, wrong).found]

    assert any("$.components[0].streams[0].mirrors[0]: is 'mars'; no region has that code" in each for each in found)
    assert any("$.components[0].pvc.size: is '8Gi'; less than the" in each for each in found)


def test_two_regions_and_no_witness_are_refused() -> None:
    found = [str(problem) for _, problem in evaluate(EVENTS, "regions: [{code: ap-south-1, enabled: false}]").found]

    assert any("region 'us-east-1' holds 3 of 5 servers: without it there is no majority" in each for each in found)


def test_a_name_that_is_too_long_for_its_stateful_sets_is_refused() -> None:
    found = [str(problem) for _, problem in evaluate(EVENTS.replace("name: events", f"name: {'e' * 45}")).found]

    assert any("$.components[0].name" in each and "52" in each for each in found), found
