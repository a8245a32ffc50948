"""What happened in a lab, as values that a file can hold: faults, and for each part prediction beside measurement."""

from typing import Literal

import msgspec

from aether_deploy.infrastructure.analysis.impacts import Outcome

FORMAT = "aether-lab/v1"

Verdict = Literal["held", "broken", "unmeasured"]
"""What happened lies within what was predicted; it does not; or nothing could tell."""

ProcessState = Literal["running", "frozen", "ended"]


class LabProcess(msgspec.Struct, frozen=True, kw_only=True):
    """One process of a lab, which stands for one pod.

    Attributes:
        name: Name of the pod; unique among the processes of its region.
        member: The component or workload that it belongs to.
        region: Code of its region.
        datacenter: Name of its datacenter, as :class:`aether_deploy.infrastructure.estate.Datacenter` has it.
        state: Whether it runs.
        pid: Its process id while it has one.
        leads: What it leads, by the names that the member's analyst gives to parts (``Effect.part``): a shard, a
            stream, a database. Empty where it leads nothing.
    """

    name: str
    member: str
    region: str
    datacenter: str
    state: ProcessState
    pid: int | None = None
    leads: tuple[str, ...] = ()

    @property
    def address(self) -> str:
        """What is unique among all processes: ``us-east-1/router-0``."""
        return f"{self.region}/{self.name}"


class Predicted(msgspec.Struct, frozen=True, kw_only=True):
    """What a fault was said to do to one part.

    Attributes:
        outcome: What becomes of writes.
        readable: Whether it can be read meanwhile.
        certain: Whether it must come so; else it is the gravest of several cases, and anything better is as well.
        best_secs: How long writes stop at least, where they come back by themselves, seconds; None: nobody says.
        worst_secs: The same at most.
        loss: What may be lost of acknowledged writes; empty: nothing.
        human: What somebody has to do.
        note: What is worse though writes go on.
        rules: The rules behind it, each with its source.
    """

    outcome: Outcome = "holds"
    readable: bool = True
    certain: bool = True
    best_secs: float | None = None
    worst_secs: float | None = None
    loss: str = ""
    human: str = ""
    note: str = ""
    rules: tuple[str, ...] = ()


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """What clients of one part saw of a fault.

    Attributes:
        outcome: What became of writes until the watch ended.
        readable: Whether it could be read while writes stopped; True where they never did, None where no read was
            tried meanwhile.
        stopped_secs: Longest time between two acknowledged writes, seconds, of which the first was before the fault or
            after; None where writes did not come back. Outages that follow each other within moments are one.
        stalled_secs: For how long of that the machine itself stood still, seconds: no client could have told.
        watched_secs: How long it was watched from the fault on.
        acknowledged: Writes that were acknowledged so far, before the fault too.
        lost: How many of them are gone; None where that was not or could not be told.
    """

    outcome: Outcome
    readable: bool | None = True
    stopped_secs: float | None = None
    stalled_secs: float = 0.0
    watched_secs: float
    acknowledged: int
    lost: int | None = None


class PartRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One part of a member under one fault.

    Attributes:
        member: The member.
        part: The part; empty where it has but one.
        region: The region whose clients are meant; None: all.
        predicted: What was said.
        measured: What happened; None where no client asks that part.
        verdict: What the two make of each other.
        says: Why, in one line; for ``unmeasured`` what was missing.
    """

    member: str
    part: str
    region: str | None
    predicted: Predicted
    measured: Measured | None
    verdict: Verdict
    says: str


class Outage(msgspec.Struct, frozen=True, kw_only=True):
    """A time in which a part acknowledged nothing; seconds since the lab was up.

    Attributes:
        begin: When the last write before it was acknowledged.
        end: When the first after it was; None while it lasts.
    """

    member: str
    part: str
    region: str | None
    begin: float
    end: float | None = None


class FaultRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One fault and what came of it.

    Attributes:
        fault: As it was asked for: ``zone=us-east-1a``.
        failure: How ``analyze`` calls it: ``zone us-east-1a``; empty for what it does not know (``mend``).
        at: When it was done, seconds since the lab was up.
        until: When the watch ended.
        hit: The processes that it ended or stopped, or of ``mend`` those that came back, by their addresses.
        cut: Pairs of regions that it cut apart.
        joined: Pairs of regions that it joined again.
        parts: Every part of every member.
    """

    fault: str
    failure: str
    at: float
    until: float
    hit: tuple[str, ...] = ()
    cut: tuple[tuple[str, str], ...] = ()
    joined: tuple[tuple[str, str], ...] = ()
    parts: tuple[PartRecord, ...] = ()

    @property
    def mends(self) -> bool:
        """Whether it undid faults."""
        return self.fault.startswith("mend=")


class MemberRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One member.

    Attributes:
        name: Its name.
        kind: Its kind.
        boot_secs: How long it took from its start until it served, seconds.
        memory_mb: Memory that its processes share with nobody, and their part of what they do (PSS), MB; None where the
            system does not tell.
        processes: Its processes as they are now.
    """

    name: str
    kind: str
    boot_secs: float
    memory_mb: float | None
    processes: tuple[LabProcess, ...]


class LabRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A lab and everything that was done to it.

    Attributes:
        format: ``aether-lab/v1``.
        system: Name of the system.
        environment: The environment.
        file: The description, as it was named.
        started: When it was up, RFC 3339, UTC.
        up_secs: How long it has been up, seconds.
        boot_secs: How long the whole boot took, seconds.
        regions: Codes of the regions, each with the names of its datacenters.
        links: Round trips between regions, milliseconds: ``{"us-east-1,eu-west-1": 76.0}``.
        uses: Who uses what: ``{"world-server": ["sessions", "events"]}``.
        members: Every member.
        left_out: What of the description does not run here, each with the reason.
        cut: Pairs of regions that are cut apart now.
        faults: Everything that was done, in order.
        outages: Every time in which a part acknowledged nothing for long.
    """

    format: str = FORMAT
    system: str
    environment: str
    file: str
    started: str
    up_secs: float
    boot_secs: float
    regions: dict[str, tuple[str, ...]]
    links: dict[str, float]
    uses: dict[str, tuple[str, ...]]
    members: tuple[MemberRecord, ...]
    left_out: tuple[str, ...] = ()
    cut: tuple[tuple[str, str], ...] = ()
    faults: tuple[FaultRecord, ...] = ()
    outages: tuple[Outage, ...] = ()
