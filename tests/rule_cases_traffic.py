"""Rules of back ends: each with an example that breaks it."""

from typing import Any

from tests.rule_case import DIGEST, RuleCase

_IMAGE = f"envoyproxy/envoy:distroless-v1.40.0@{DIGEST}"
_RTP = {"name": "rtp", "port": 3478, "protocol": "UDP", "to": "voice-relay"}
_WEB = {"name": "web", "port": 8080, "protocol": "HTTP", "to": "gateway"}


def _edge(*listeners: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"name": "player-edge", "image": _IMAGE, "listeners": list(listeners), **more}


def _dns(**more: Any) -> dict[str, Any]:
    return {"name": "player-dns", "provider": "aws", **more}


TRAFFIC: dict[str, RuleCase] = {
    "an edge is a pinned image": RuleCase(
        rule="EnvoyConfig.image_is_pinned",
        bad=_edge(_RTP, image="envoyproxy/envoy"),
        good=_edge(_RTP),
        says=[
            "$.image: is 'envoyproxy/envoy'; has neither tag nor digest, so every start may run another version"
            "\n  fix: write name:tag@sha256:digest",
        ],
    ),
    "an edge has a listener": RuleCase(
        rule="EnvoyConfig.there_is_a_listener",
        bad=_edge(),
        good=_edge(_RTP),
        says=[
            "$.listeners: no port takes players\n  fix: list at least one listener",
        ],
    ),
    "listeners have ports and names of their own": RuleCase(
        rule="EnvoyConfig.ports_are_distinct",
        bad=_edge(_WEB, {**_WEB, "name": "more"}, {**_WEB, "name": "ops", "port": 9000}),
        good=_edge(_WEB, {**_WEB, "name": "more", "port": 8081}, {**_RTP, "port": 8080}),
        says=[
            "$.listeners[1].port: is 8080; taken by listener 'web'\n  fix: give it another number",
            "$.listeners[2].name: is 'ops'; the name of Envoy's own metrics and readiness\n  fix: give it another name",
        ],
    ),
    "a port can be opened": RuleCase(
        rule="ListenerConfig.the_port_can_be_opened",
        bad={**_WEB, "port": 443},
        good={**_WEB, "port": 8443},
        says=[
            "$.port: is 443; below 1024, which a process without rights cannot open\n  fix: use 1024 or more",
        ],
    ),
    "a port of Envoy's own is taken": RuleCase(
        rule="ListenerConfig.the_port_can_be_opened",
        bad={**_WEB, "port": 9902},
        good={**_RTP, "port": 9902},
        says=[
            "$.port: is 9902; taken by Envoy's own metrics and readiness\n  fix: use another port",
        ],
    ),
    "datagrams move on": RuleCase(
        rule="ListenerConfig.datagrams_move",
        bad={**_RTP, "on_unhealthy": "keep"},
        good={**_WEB, "on_unhealthy": "keep"},
        says=[
            "$.on_unhealthy: is 'keep'; not possible with UDP: Envoy sends the next datagram to a healthy region"
            "\n  fix: leave it out",
        ],
    ),
    "only Route 53 knows latency": RuleCase(
        rule="ExternalDnsConfig.the_provider_knows_latency",
        bad=_dns(provider="cloudflare"),
        good=_dns(),
        says=[
            "$.provider: is 'cloudflare'; external-dns says 'the closest region' to Route 53 only, "
            "which is provider aws"
            "\n  fix: use aws, or a back end of kind envoy",
        ],
    ),
    "an alias has the life of its load balancer": RuleCase(
        rule="ExternalDnsConfig.an_alias_has_no_life_of_its_own",
        bad=_dns(ttl_secs=30),
        good=_dns(ttl_secs=30, health_checks={"us-east-1": "abc"}),
        says=[
            "$.ttl_secs: is 30; not possible: an alias lives as long as the load balancer's record, 60 seconds"
            "\n  fix: leave it out, or give health_checks",
        ],
    ),
}
