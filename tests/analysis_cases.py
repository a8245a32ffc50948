"""Platforms with a data plane in a few lines, and what an analysis says of them."""

from collections.abc import Iterator

from aether_deploy.infrastructure.analysis.analysing import Analysis, Row, Subject, Use
from aether_deploy.infrastructure.analysis.failures import Footprint, PlatformFailure
from aether_deploy.infrastructure.analysis.findings import Finding
from aether_deploy.infrastructure.analysis.impacts import Effect, FailureImpact
from aether_deploy.infrastructure.analysis.judging import analysis_findings
from aether_deploy.infrastructure.estate import Datacenter, Estate, EstateRegion
from aether_deploy.manifest.yaml_source import read_document
from aether_deploy.platform.analysing import analyse_platform
from aether_deploy.platform.config import Platform
from aether_deploy.timespan import TimeSpan
from tests.rule_case import DIGEST

HEAD = f"""
name: aether
kubernetes: v1.37
tools_image: aether/deploy-tools:v1@{DIGEST}
"""
THREE_REGIONS = """
regions:
  - {code: us, provider: aws, zones: [us-a, us-b, us-c]}
  - {code: eu, provider: aws, zones: [eu-a, eu-b, eu-c]}
  - {code: ap, provider: aws, zones: [ap-a, ap-b, ap-c]}
links:
  - {between: [us, eu], latency_ms: 76, bandwidth_mbps: 10000}
  - {between: [us, ap], latency_ms: 198}
  - {between: [eu, ap], latency_ms: 122}
"""
TWO_REGIONS = """
regions:
  - {code: us, provider: aws, zones: [us-a, us-b, us-c]}
  - {code: eu, provider: aws, zones: [eu-a, eu-b, eu-c]}
links: [{between: [us, eu], latency_ms: 76}]
"""
WITNESSED = """
regions:
  - {code: us, provider: aws, zones: [us-a, us-b, us-c]}
  - code: eu
    provider: aws
    datacenters:
      - {name: eu1, zone: eu-a}
      - {name: eu2, zone: eu-b}
      - {name: eu3, zone: eu-c}
      - {name: fra, zone: fra-a, cluster: frankfurt, role: witness}
links: [{between: [us, eu], latency_ms: 76}]
"""
ONE_REGION = """
regions: [{code: us, provider: aws, zones: [us-a, us-b, us-c]}]
"""
WORLD = f"""
worlds:
  - {{name: world-server, image: "aether/world-server:v1@{DIGEST}", pvc: {{size: 1Gi}}}}
"""


def nats(*, name: str = "events", streams: str = "", more: str = "") -> str:
    """Return a NATS component: an item of ``components``."""
    return f"""
  - name: {name}
    kind: nats
    image: nats:2.15.1@{DIGEST}
    pvc: {{size: 40Gi}}
    expose: {{type: LoadBalancer, per_pod: true, internal: true, ports: [gateway]}}
    gateway: {{endpoint: "{{pod}}.nats.example.com"}}
    {more}
    streams: [{streams}]
"""


MATCHES = "{name: MATCHES, subjects: [matches.>], regions: [us], replicas: 3, max_bytes: 1Gi, mirrors: [eu]}"


def postgres(*, name: str = "accounts", more: str = "") -> str:
    """Return a PostgreSQL component in region ``us``: an item of ``components``; ``more`` are lines of it."""
    return f"""
  - name: {name}
    kind: postgres
    image: ghcr.io/zalando/spilo-18:4.1-p2@{DIGEST}
    regions: [us]
    pvc: {{size: 10Gi}}
    expose: {{type: LoadBalancer, internal: true}}
    endpoint: "{name}.{{region}}.example.com"
    {more}
"""


def platform_of(*texts: str) -> Platform:
    """Return the platform that ``texts`` describe; it must have no fault, warnings aside."""
    return Platform.from_values(read_document("".join([HEAD, *texts]), "aether.yaml"))


def analysed(*texts: str, pairs: bool = False) -> Analysis:
    """Return the analysis of what ``texts`` describe; components are given after ``components:``."""
    return analyse_platform(platform_of(*texts), pairs=pairs)


def with_components(regions: str, *components: str, workloads: str = WORLD, pairs: bool = False) -> Analysis:
    """Return the analysis of ``components`` in ``regions``."""
    return analysed(regions, workloads, "components:", *components, pairs=pairs)


def row(analysis: Analysis, kind: str, name: str = "", role: str | None = None) -> Row:
    """Return the only row of that kind, name and role."""
    (found,) = (
        each
        for each in analysis.rows
        if each.failure.kind == kind and name in ("", each.failure.name) and role in (None, each.failure.role)
    )
    return found


def effects(
    analysis: Analysis, component: str, kind: str, name: str = "", role: str | None = None
) -> dict[str, Effect]:
    """Return what a failure does to each part of a component."""
    return {each.part: each for each in row(analysis, kind, name, role).cells[component].impact.effects}


def found(analysis: Analysis, rule: str) -> list[Finding]:
    """Return the findings of a rule."""
    return [each for each in analysis_findings(analysis) if each.rule == rule]


# --- without any kind

WITNESS = Datacenter("fra", "fra-a", "eu", "frankfurt", witness=True)
US = EstateRegion("us", "us", tuple(Datacenter(f"us-{zone}", f"us-{zone}", "us", "us") for zone in "abc"))
EU = EstateRegion("eu", "dublin", (Datacenter("eu-a", "eu-a", "eu", "dublin"), WITNESS))
ESTATE = Estate("aether", "prod", (US, EU))


class Counting:
    """An analyst that takes any failure for an outage, and counts how often it is asked."""

    def __init__(self, datacenters: str, links: tuple[tuple[str, str], ...] = ()) -> None:
        pairs = frozenset(frozenset(pair) for pair in links)
        self.footprint = Footprint(frozenset(datacenters.split()), pairs)
        self.pods = dict.fromkeys(datacenters.split(), "")
        self.parts = 1
        self.asked: list[PlatformFailure] = []

    def impact(self, failure: PlatformFailure) -> FailureImpact:
        self.asked.append(failure)
        return FailureImpact((Effect(outcome="interrupted", recovery=TimeSpan(1, 2, 3), region="us"),))

    def findings(self) -> Iterator[Finding]:
        yield from ()


def subject(name: str, analyst: Counting, *uses: Use) -> Subject:
    return Subject(name=name, kind="counting", regions=("us",), uses=uses, analyst=analyst)
