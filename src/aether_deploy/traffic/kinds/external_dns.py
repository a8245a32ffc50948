"""The kind ``external_dns``: the platform's name leads players to the closest region, by latency records of Route 53.

external-dns runs in every cluster and writes what its cluster's objects say; each cluster says its own region's record
and no other, so that no two of them take turns in writing one (each needs a ``--txt-owner-id`` of its own).

Rule:
    external-dns v0.22, ``provider/aws/aws.go``: a latency record needs a ``setIdentifier`` and ``aws/region``. A record
    that is no alias loses ``aws/evaluate-target-health``, and without a health check Route 53 answers with a dead
    region for ever. So the record is an alias, of the region's name in the same zone, which external-dns itself makes
    an alias of the region's load balancer: Route 53 then asks that one whether it has healthy targets. Or, with
    ``health_checks``, it is a CNAME with a health check of yours.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal

from aether_deploy.config.base import FILLED, Fault, rule
from aether_deploy.config.marks import TextRule
from aether_deploy.config.types import DnsLabel, PositiveSeconds
from aether_deploy.manifest.labels import object_labels
from aether_deploy.patterns import Pattern
from aether_deploy.routing.waits import Wait
from aether_deploy.traffic.backend import BackendConfig, Landscape, region_name

NOTICED_SECS = 90
"""How long Route 53 takes to notice, by its defaults: 3 checks, one each 30 seconds."""
ALIAS_TTL_SECS = 60
"""What Route 53 lets clients keep of an alias that ends at a load balancer."""

_AWS_REGION = Pattern("[a-z]{2}(-[a-z]+)+-[0-9]")
_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
AnnotationPrefix = Annotated[
    str,
    TextRule(
        what="a prefix of annotations",
        pattern=rf"{_LABEL}(\.{_LABEL})*/",
        max_length=253,
        fix="end it with '/': external-dns.kubernetes.io/",
    ),
]
HealthCheckId = Annotated[
    str, TextRule(what="a health check's id", pattern="[A-Za-z0-9-]{1,64}", fix="copy it from Route 53")
]


class ExternalDnsConfig(BackendConfig):
    """Latency records of Route 53, one for each region.

    Route 53 measures latency itself, to the place from which a player's resolver asks. It knows a region's health by
    its load balancer, or by ``health_checks``, and not by ``routing.health``; when no region is healthy it answers as
    if all were. Players keep an answer for its life, so a failover takes as much longer.

    Attributes:
        kind: ``external_dns``.
        provider: Who serves the zone. Only ``aws`` has records by latency in external-dns.
        ttl_secs: How long clients keep an answer, seconds. Only with ``health_checks``: else it is 60, the life of a
            load balancer's record.
        health_checks: Ids of Route 53 health checks, by region. Left out, the region's load balancer tells; that needs
            one of AWS, and its name in the zone of ``routing.hostname``.
        aws_regions: The AWS region that is closest to a region of ours, where its code is none itself.
        annotation_prefix: ``--annotation-prefix`` of external-dns; before its v0.22 it was
            ``external-dns.alpha.kubernetes.io/``.
    """

    KIND_NAME: ClassVar[str] = "external_dns"

    EXPRESSES: ClassVar[frozenset[str]] = frozenset({"on_none_healthy: fail_open", "drain: hard"})

    NAMES_WORKLOADS: ClassVar[bool] = True

    EXAMPLES: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "alias": {"name": "player-dns", "kind": "external_dns", "provider": "aws"},
        "health-checks": {
            "name": "player-dns",
            "kind": "external_dns",
            "provider": "aws",
            "ttl_secs": 30,
            "health_checks": {"us-east-1": "hc-us", "eu-west-1": "hc-eu", "ap-south-1": "hc-ap"},
        },
    }

    kind: Literal["external_dns"] = FILLED
    provider: DnsLabel
    ttl_secs: PositiveSeconds = ALIAS_TTL_SECS
    health_checks: dict[DnsLabel, HealthCheckId] = {}
    aws_regions: dict[DnsLabel, DnsLabel] = {}
    annotation_prefix: AnnotationPrefix = "external-dns.kubernetes.io/"

    @rule
    def the_provider_knows_latency(self) -> Iterator[Fault]:
        if self.provider != "aws":
            reason = "external-dns says 'the closest region' to Route 53 only, which is provider aws"
            yield Fault(("provider",), reason, "use aws, or a back end of kind envoy", self.provider)

    @rule
    def an_alias_has_no_life_of_its_own(self) -> Iterator[Fault]:
        if not self.health_checks and self.ttl_secs != ALIAS_TTL_SECS:
            reason = f"not possible: an alias lives as long as the load balancer's record, {ALIAS_TTL_SECS} seconds"
            yield Fault(("ttl_secs",), reason, "leave it out, or give health_checks", self.ttl_secs)

    def faults(self, landscape: Landscape) -> Iterator[Fault]:
        yield from super().faults(landscape)
        yield from self._entry_faults(landscape)
        yield from self._region_faults(landscape)
        yield from self._health_faults(landscape)

    def _entry_faults(self, landscape: Landscape) -> Iterator[Fault]:
        if landscape.hostname is None:
            yield Fault((), "has no name to lead players by", "give routing a hostname")
        if not landscape.entry.exposed:
            reason = f"leads players to '{landscape.entry.name}', which nobody outside can reach"
            yield Fault((), reason, f"give '{landscape.entry.name}' an expose")
        for region in self._regions(landscape):
            target, name = self._target(landscape, region), landscape.hostname
            if name is None or target is None or self.health_checks:
                continue
            if not target.endswith(("." + name, "." + name.partition(".")[2])):
                reason = f"'{target}' is not in the zone of '{name}', and an alias leads nowhere else"
                yield Fault((), reason, "give health_checks, or leave the entry's endpoint out")

    def _region_faults(self, landscape: Landscape) -> Iterator[Fault]:
        seen: dict[str, str] = {}
        for code in self.aws_regions:
            if code not in landscape.regions:
                fix = f"known are {', '.join(landscape.regions)}"
                yield Fault(("aws_regions", code), "no region has that code", fix, key=code)
        for region in self._regions(landscape):
            where, at = self.aws_regions.get(region, region), ("aws_regions", region)
            if not _AWS_REGION.fullmatch(where):
                reason = f"'{where}' is no region of AWS, and Route 53 knows latencies only to those"
                yield Fault(
                    at if region in self.aws_regions else (), reason, f"set aws_regions.{region} to the closest"
                )
            other = seen.setdefault(where, region)
            if other != region:
                reason = f"regions '{other}' and '{region}' are both {where}, and Route 53 takes one record for each"
                yield Fault((), reason, f"set aws_regions.{region} to another one that is close")

    def _health_faults(self, landscape: Landscape) -> Iterator[Fault]:
        regions = self._regions(landscape)
        for code in self.health_checks:
            if code not in regions:
                fix = f"known are {', '.join(regions) or 'none'}"
                yield Fault(("health_checks", code), "no region that the entry runs in has that code", fix, key=code)
        if self.health_checks:
            if lacks := [code for code in regions if code not in self.health_checks]:
                reason = f"lacks {', '.join(lacks)}: a name has aliases or CNAMEs, not both"
                yield Fault(("health_checks",), reason, "give one for every region, or for none")
            return
        for region in regions:
            provider = landscape.providers.get(region)
            if provider != "aws":
                says = "says no provider" if provider is None else f"is of provider {provider}"
                reason = f"region '{region}' {says}; an alias of anything but an AWS load balancer is always healthy"
                severity: Literal["error", "warning"] = "warning" if provider is None else "error"
                fix = "give its provider: aws" if provider is None else "give health_checks"
                yield Fault((), reason, fix, severity=severity)

    def render(self, landscape: Landscape, region: str) -> list[dict[str, Any]]:
        target = self._target(landscape, region)
        if landscape.hostname is None or target is None or region not in self._named(landscape):
            return []
        labels = object_labels(self.name, component="traffic", system=landscape.system, own={})
        return [
            {
                "apiVersion": "externaldns.k8s.io/v1alpha1",
                "kind": "DNSEndpoint",
                "metadata": {"name": self.name, "namespace": landscape.namespace, "labels": labels},
                "spec": {"endpoints": [self._endpoint(landscape.hostname, region, target)]},
            }
        ]

    def waits(self, landscape: Landscape) -> tuple[Wait, ...]:
        noticed = f"until Route 53 noticed, by its defaults: 3 checks each {NOTICED_SECS // 3} s"
        return (
            Wait(secs=float(NOTICED_SECS), what=noticed),
            Wait(secs=float(self.ttl_secs), what="while resolvers keep the old answer"),
        )

    def annotations(self, landscape: Landscape, region: str, workload: str) -> Mapping[str, str]:
        name = region_name(workload, region, entry=landscape.entry.name, hostname=landscape.hostname)
        target = landscape.target(workload)
        if name is None or (target is None and workload not in landscape.edges):
            return {}
        if target is not None and target.addresses.get(region) != name:
            return {}  # it has an endpoint of its author's, who takes care of its name, or nothing exposes it
        return {f"{self.annotation_prefix}hostname": name}

    def _endpoint(self, hostname: str, region: str, target: str) -> dict[str, Any]:
        where = self.aws_regions.get(region, region)
        check = self.health_checks.get(region)
        settings = {"alias": "true", "aws/evaluate-target-health": "true"}
        if check is not None:
            settings = {"alias": "false", "aws/health-check-id": check}
        return {
            "dnsName": hostname,
            **({} if check is None else {"recordTTL": self.ttl_secs}),
            "recordType": "CNAME",
            "setIdentifier": region,
            "targets": [target],
            "providerSpecific": [
                {"name": name, "value": value} for name, value in {**settings, "aws/region": where}.items()
            ],
        }

    def _named(self, landscape: Landscape) -> tuple[str, ...]:
        """Return the regions that have a record: those without a drain, else those under a soft one."""
        regions, drain = self._regions(landscape), landscape.drain
        staying = tuple(code for code in regions if code not in drain)
        return staying or tuple(code for code in regions if drain[code] == "soft")

    @staticmethod
    def _regions(landscape: Landscape) -> tuple[str, ...]:
        return tuple(code for code in landscape.regions if code in landscape.entry.regions)

    @staticmethod
    def _target(landscape: Landscape, region: str) -> str | None:
        entry = landscape.entry
        ours = region_name(entry.name, region, entry=entry.name, hostname=landscape.hostname)
        return entry.addresses.get(region) or ours


KIND = ExternalDnsConfig
