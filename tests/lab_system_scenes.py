"""Processes, clients' memories and records of labs that never ran, for what judges and draws them."""

from collections.abc import Sequence

from aether_deploy.lab.system.expecting import Expectation, Expecting, Scene
from aether_deploy.lab.system.faults import LabFault, parse_fault
from aether_deploy.lab.system.parts import Part
from aether_deploy.lab.system.record import (
    FaultRecord,
    LabProcess,
    LabRecord,
    Measured,
    MemberRecord,
    Outage,
    PartRecord,
    Predicted,
)
from aether_deploy.platform.config import Platform
from tests.analysis_cases import MATCHES, THREE_REGIONS, WORLD, nats, platform_of, postgres
from tests.rule_case import DIGEST

SESSIONS = f"""
  - {{name: sessions, kind: valkey, image: "valkey/valkey:9.1.2@{DIGEST}", maxmemory: 1Gi, regions: [us, eu]}}
"""
ASSETS = f"""
  - name: assets
    kind: object_store
    image: chrislusf/seaweedfs:4.48@{DIGEST}
    regions: [us, eu]
    pvc: {{size: 10Gi}}
    expose: {{type: LoadBalancer, internal: true}}
    endpoint: "assets.{{region}}.example.com"
    network: {{allow_from: [10.0.0.0/8]}}
    buckets: [{{name: game-assets, public_prefixes: [public/]}}]
  - name: cdn
    kind: edge
    image: nginx:1.31.3@{DIGEST}
    origin: assets/game-assets
    hostname: cdn.example.com
    cache_classes: [{{name: hashed, match: /public/build/, ttl_secs: 86400}}]
"""
STANDBY = "standby: {region: eu, members: 2}"
SYNCHRONOUS = "failover: {synchronous_mode: quorum}"


def whole() -> Platform:
    """Return a platform of three regions with every kind of component."""
    accounts = postgres(more=f"{STANDBY}\n    {SYNCHRONOUS}")
    return platform_of(THREE_REGIONS, WORLD, "components:", accounts, SESSIONS, nats(streams=MATCHES), ASSETS)


def process(member: str, region: str, zone: str, number: int = 0, leads: Sequence[str] = ()) -> LabProcess:
    """Return a process that runs: ``sessions-us-a-0``."""
    return LabProcess(
        name=f"{member}-{region}-{zone}-{number}",
        member=member,
        region=region,
        datacenter=f"{region}-{zone}",
        state="running",
        pid=1,
        leads=tuple(leads),
    )


def sessions_in(region: str) -> list[LabProcess]:
    """Return a cache's processes as planned: the primary of shard i in zone i, its replica in the next."""
    primaries = [
        process("sessions", region, zone, leads=[f"shard {shard} of {region}"]) for shard, zone in enumerate("abc")
    ]
    return [*primaries, *(process("sessions", region, zone, 1) for zone in "abc")]


def in_zone(processes: Sequence[LabProcess], zone: str) -> list[LabProcess]:
    """Return the processes of a zone: ``us-a``."""
    return [each for each in processes if each.datacenter == zone]


def in_region(processes: Sequence[LabProcess], region: str) -> list[LabProcess]:
    """Return the processes of a region."""
    return [each for each in processes if each.region == region]


def expected(
    expecting: Expecting,
    fault: str,
    *,
    hit: Sequence[LabProcess] = (),
    processes: Sequence[LabProcess] = (),
    parts: Sequence[Part] = (),
    in_effect: Sequence[LabFault] = (),
    earlier: Sequence[FaultRecord] = (),
) -> Expectation:
    """Return what is said of a fault."""
    scene = Scene(hit=hit, processes=processes or hit, parts=parts, in_effect=in_effect, earlier=earlier)
    return expecting.expect(parse_fault(fault), scene)


def measured(outcome: str = "holds", stopped: float | None = 0.1, **more: object) -> Measured:
    """Return what a client saw in 20 seconds."""
    values = {"outcome": outcome, "stopped_secs": stopped, "watched_secs": 20.0, "acknowledged": 200, **more}
    return Measured(**values)  # type: ignore[arg-type]


def part_record(
    member: str,
    part: str,
    region: str | None,
    predicted: Predicted,
    seen: Measured | None,
    verdict: str,
    says: str = "",
) -> PartRecord:
    """Return one part of a fault."""
    return PartRecord(
        member=member, part=part, region=region, predicted=predicted, measured=seen, verdict=verdict, says=says  # type: ignore[arg-type]
    )  # fmt: skip


def lab_record() -> LabRecord:
    """Return a lab of two regions whose first zone was lost and mended, and whose regions were cut apart."""
    sessions = [*sessions_in("us"), *sessions_in("eu")]
    assets = [process("assets", "us", "a", leads=["objects"]), process("assets", "eu", "a", leads=["eu"])]
    hit = tuple(each.address for each in (*in_zone(sessions, "us-a"), assets[0]))
    stopped = Predicted(
        outcome="interrupted", readable=False, best_secs=5.0, worst_secs=10.2, loss="sessions of the last moments",
        rules=("a replica takes over after 1 to 2 node timeouts (measured)",),
    )  # fmt: skip
    shard = part_record(
        "sessions",
        "shard 0 of us",
        "us",
        stopped,
        measured("interrupted", 7.4, lost=2),
        "held",
        "writes stopped for 7.4 s",
    )
    away = Predicted(outcome="read-only", human="wait for us")
    objects = part_record("assets", "objects", None, away, measured("interrupted", 9.0), "broken", "<too soon>")
    quiet = part_record("sessions", "shard 1 of us", "us", Predicted(), measured(), "held", "writes went on")
    unseen = part_record("cdn", "us", "us", Predicted(), None, "unmeasured", "no client asks this part")
    back = part_record("assets", "objects", None, Predicted(), measured(), "held", "writes went on")
    faults = (
        FaultRecord(
            fault="zone=us-a", failure="zone us-a", at=10.0, until=30.0, hit=hit, parts=(shard, objects, quiet, unseen)
        ),
        FaultRecord(fault="mend=all", failure="", at=40.0, until=50.0, hit=hit, parts=(back,)),
        FaultRecord(
            fault="cut=us,eu", failure="link us - eu", at=60.0, until=75.0, cut=(("eu", "us"),), parts=(quiet,)
        ),
    )  # fmt: skip
    return LabRecord(
        system="aether",
        environment="prod",
        file="aether.yaml",
        started="2026-01-01T00:00:00Z",
        up_secs=80.0,
        boot_secs=6.5,
        regions={"us": ("us-a", "us-b", "us-c"), "eu": ("eu-a", "eu-b", "eu-c")},
        links={"us,eu": 76.0},
        uses={"world-server": ("sessions", "assets")},
        members=(
            MemberRecord(name="sessions", kind="valkey", boot_secs=2.5, memory_mb=45.0, processes=tuple(sessions)),
            MemberRecord(name="assets", kind="object_store", boot_secs=6.0, memory_mb=None, processes=tuple(assets)),
        ),
        left_out=("gateway: <nothing> stands for it",),
        cut=(("eu", "us"),),
        faults=faults,
        outages=(
            Outage(member="sessions", part="shard 0 of us", region="us", begin=10.1, end=17.4),
            Outage(member="assets", part="objects", region=None, begin=10.0, end=19.0),
        ),
    )
