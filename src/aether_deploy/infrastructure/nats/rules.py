"""What is wrong with a component on its estate: what servers would start with and then fail at, or answer wrongly.

Placement that cannot be met is answered with "no suitable peers for placement", and a reason that may be none: a region
that is unknown, more replicas than zones, a stream larger than any volume. All of it is checked here.
"""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import msgspec

from aether_deploy.config.base import Fault, judged
from aether_deploy.infrastructure.estate import Estate, EstateRegion
from aether_deploy.infrastructure.nats.capacity import fullest, largest_first, room_to_be_sure, size_text
from aether_deploy.infrastructure.nats.quorum import region_holding_half, shape_of
from aether_deploy.infrastructure.nats.streams import Stream, streams_of
from aether_deploy.infrastructure.nats.subjects import overlap
from aether_deploy.infrastructure.nats.supercluster import placed_regions, servers_of
from aether_deploy.problems import suggestion
from aether_deploy.quantities import bytes_of

if TYPE_CHECKING:
    from aether_deploy.infrastructure.kinds.nats import NatsConfig

LABEL_MAX, HOST_MAX = 63, 253
"""Characters of one label of a host name, and of a whole one (RFC 1035, section 2.3.4)."""


def faults_of(config: "NatsConfig", estate: Estate) -> Iterator[Fault]:
    """Yield everything that is wrong with ``config`` on ``estate``."""
    yield from judged(
        witness_can_vote(config, estate),
        regions_reach_each_other(config, estate),
        no_region_holds_half(config, estate),
        a_zone_may_go(config, estate),
        names_of_clusters_differ(config, estate),
        zones_are_told_apart(config, estate),
        regions_of_streams_exist(config, estate),
        replicas_have_zones(config, estate),
        even_counts_gain_nothing(config, estate),
        _of_streams(config, estate),
        gateways_are_kept_private(config, estate),
        endpoints_are_host_names(config, estate),
    )


def _of_streams(config: "NatsConfig", estate: Estate) -> Iterator[Fault]:
    streams = streams_of(config, estate)
    yield from judged(
        streams_are_told_apart(streams),
        subjects_do_not_overlap(config, streams),
        streams_have_limits(config),
        streams_fit(config, estate, streams),
        streams_are_made(config, estate, streams),
    )


def witness_can_vote(config: "NatsConfig", estate: Estate) -> Iterator[Fault]:
    if config.witness is None:
        return
    name, found = config.witness, estate.datacenter(config.witness)
    placed = placed_regions(config, estate)
    if found is None and len(placed) == 1:
        reason = "no datacenter has that name, or it is disabled; one region has no use for it"
        yield Fault(("witness",), reason, "set witness: none here, or run in a second region", name, "warning")
    elif found is None:
        known = [each.name for each in estate.datacenters if each.witness]
        add = "add it to the datacenters of a region, with role: witness and a cluster of its own"
        yield Fault(("witness",), "no datacenter has that name, or it is disabled", suggestion(name, known, add), name)
    elif not found.witness:
        reason = f"a datacenter of region '{found.region}' that holds data"
        yield Fault(("witness",), reason, "name one with role: witness", name)
    elif found.cluster in [region.cluster for region in placed]:
        reason = f"in cluster '{found.cluster}', which goes down with its region and then does not vote"
        yield Fault(("witness",), reason, "give the datacenter a cluster outside of these regions", name)
    elif len(placed) == 1:
        reason = "of no use to one region, whose streams stop with it: it has no server"
        yield Fault(("witness",), reason, "remove it, or run in a second region", name, "warning")


def regions_reach_each_other(config: "NatsConfig", estate: Estate) -> Iterator[Fault]:
    clusters = {each.cluster for each in servers_of(config, estate)}
    if len(clusters) > 1 and config.gateway is None:
        yield Fault(
            (),
            f"lacks 'gateway', by which its {len(clusters)} clusters would reach each other",
            'add gateway: {endpoint: "{pod}.nats.example.com"} and expose: {type: LoadBalancer, per_pod: true, '
            "ports: [gateway]}",
        )


def no_region_holds_half(config: "NatsConfig", estate: Estate) -> Iterator[Fault]:
    shape = shape_of(config, estate)
    found = region_holding_half(shape)
    if found is None:
        return
    cluster, count = found
    others = shape.members - count
    if _is_faulty_witness(config, estate) and 2 * count < shape.members + 1:
        return  # the one that was meant would be the vote that lacks
    yield Fault(
        () if config.witness is None else ("witness",),
        f"region '{cluster}' holds {count} of {shape.members} servers: without it there is no majority, "
        "and no stream or consumer can be made in any region",
        _majority_fix(config, estate, count, others),
    )


def _is_faulty_witness(config: "NatsConfig", estate: Estate) -> bool:
    return any(fault.severity == "error" for fault in witness_can_vote(config, estate))


def _majority_fix(config: "NatsConfig", estate: Estate, count: int, others: int) -> str:
    wanted = count + 1 - others
    more = f"let the others have {count + 1} servers together, {wanted} more than now"
    if config.witness is not None or wanted > 1:
        return more
    known = [each.name for each in estate.datacenters if each.witness]
    if known:
        return f"set witness: {known[0]}, whose server is the one that lacks, or run in a further region"
    return (
        "add a datacenter with role: witness and a cluster of its own, and name it in witness (its server is the one "
        "that lacks), or run in a further region"
    )


def a_zone_may_go(config: "NatsConfig", estate: Estate) -> Iterator[Fault]:
    """In one region each zone is what a region is among several."""
    placed = placed_regions(config, estate)
    if len(placed) != 1 or len(placed[0].full) < 2:
        return
    zones = [each.zone for each in placed[0].full]
    most = max(zones, key=zones.count)
    if 2 * zones.count(most) >= len(zones):
        yield Fault(
            ("regions",),
            f"zone '{most}' holds {zones.count(most) * config.servers_per_zone} of its "
            f"{len(zones) * config.servers_per_zone} servers: without it there is no majority",
            f"give region '{placed[0].code}' a third zone",
            severity="warning",
        )


def names_of_clusters_differ(config: "NatsConfig", estate: Estate) -> Iterator[Fault]:
    for witness in config.witnesses(estate):
        if witness.name in [region.code for region in estate.regions]:
            reason = "named as a region is: two clusters of the supercluster would have one name"
            yield Fault(("witness",), reason, "give the datacenter another name", witness.name)
    names: dict[str, str] = {}
    for server in servers_of(config, estate):
        other = names.setdefault(server.pod, server.datacenter.name)
        if other != server.datacenter.name:  # 'x' with ordinal 1-0 and 'x-1' with ordinal 0
            reason = f"makes two servers '{server.pod}', of datacenters '{other}' and '{server.datacenter.name}'"
            yield Fault(("servers_per_zone",), reason, "give one of the datacenters another name")


def zones_are_told_apart(config: "NatsConfig", estate: Estate) -> Iterator[Fault]:
    for region in placed_regions(config, estate):
        seen: dict[str, str] = {}
        for zone in region.zones:
            other = seen.setdefault(zone.lower(), zone)
            if other != zone:
                reason = f"zones '{other}' and '{zone}' of region '{region.code}' are one to the server, which reads "
                yield Fault(("regions",), f"{reason}tags without regard to case", "give one of them another name")


def regions_of_streams_exist(config: "NatsConfig", estate: Estate) -> Iterator[Fault]:
    placed = [region.code for region in placed_regions(config, estate)]
    for place, stream in enumerate(config.streams):
        if not stream.enabled:
            continue
        steps = ("streams", place)
        listed = [(("regions", at), code) for at, code in enumerate(() if stream.regions == "all" else stream.regions)]
        listed += [(("mirrors", at), code) for at, code in enumerate(stream.mirrors)]
        for at, code in listed:
            if code not in estate.disabled:
                yield from _region_fault(estate, placed, (*steps, *at), code)
        if stream.aggregate_in is not None:
            if stream.aggregate_in in estate.disabled:
                fix = "name a region that is enabled, or set aggregate_in: none here"
                yield Fault((*steps, "aggregate_in"), "a region that is disabled", fix, stream.aggregate_in)
            else:
                yield from _region_fault(estate, placed, (*steps, "aggregate_in"), stream.aggregate_in)
        if stream.regions != "all" and all(code in estate.disabled for code in stream.regions):
            fix = "name one that is enabled, or use enabled: false"
            yield Fault((*steps, "regions"), "names no region that is enabled", fix, stream.regions)
        if stream.regions != "all" and len(stream.regions) == 1 and stream.regions[0] in stream.mirrors:
            own = list(stream.mirrors).index(stream.regions[0])
            reason = "the stream itself is there"
            yield Fault((*steps, "mirrors", own), reason, "name another region, or remove it", stream.regions[0])


def _region_fault(estate: Estate, placed: Iterable[str], steps: tuple[str | int, ...], code: str) -> Iterator[Fault]:
    known = [region.code for region in estate.regions]
    if code not in known:
        yield Fault(steps, "no region has that code", suggestion(code, known, f"known are {', '.join(known)}"), code)
    elif code not in placed:
        yield Fault(steps, "a region in which the component does not run", f"one of {', '.join(placed)}", code)


def _unplaced(config: "NatsConfig", estate: Estate) -> set[int]:
    """Return the positions of streams whose regions are all unknown, so that what else is wrong is told at once."""
    known = {*(region.code for region in placed_regions(config, estate)), *estate.disabled}
    return {
        place
        for place, stream in enumerate(config.streams)
        if stream.enabled and stream.regions != "all" and stream.regions and not known & set(stream.regions)
    }


def _regions_by_entry(config: "NatsConfig", estate: Estate) -> dict[int, list[EstateRegion]]:
    """Return the regions that keep something of each stream; of one with unknown regions, that with most zones."""
    placed = placed_regions(config, estate)
    kept: dict[int, set[str]] = {}
    for stream in streams_of(config, estate):
        kept.setdefault(stream.entry, set()).add(stream.region)
    roomiest = max(placed, key=lambda region: len(region.zones), default=None)
    if roomiest is not None:
        kept |= {place: {roomiest.code, *kept.get(place, ())} for place in _unplaced(config, estate)}
    return {place: [region for region in placed if region.code in codes] for place, codes in kept.items()}


def replicas_have_zones(config: "NatsConfig", estate: Estate) -> Iterator[Fault]:
    for place, regions in _regions_by_entry(config, estate).items():
        replicas = config.streams[place].replicas
        region = next((each for each in regions if replicas is not None and replicas > len(each.zones)), None)
        if region is None:
            continue
        count = len(region.zones)
        yield Fault(
            ("streams", place, "replicas"),
            f"more than the {count} {'zone' if count == 1 else 'zones'} of region '{region.code}': "
            "no two replicas share a zone",
            f"set it to {count if count % 2 else count - 1}, or leave it out",
            replicas,
        )


def even_counts_gain_nothing(config: "NatsConfig", estate: Estate) -> Iterator[Fault]:
    for place, regions in _regions_by_entry(config, estate).items():
        replicas = config.streams[place].replicas
        zones = min(len(region.zones) for region in regions)
        if replicas not in (2, 4) or replicas > zones:
            continue
        bears = "no loss at all" if replicas == 2 else "the loss of one server, as 3 do"
        more = f", or to {replicas + 1}" if zones > replicas else ""
        yield Fault(
            ("streams", place, "replicas"),
            f"an even count: it bears {bears}",
            f"set it to {replicas - 1}{more}",
            replicas,
            "warning",
        )


def streams_are_told_apart(streams: Iterable[Stream]) -> Iterator[Fault]:
    seen: dict[tuple[str, str], Stream] = {}
    for stream in streams:
        other = seen.setdefault((stream.account, stream.name), stream)
        if other is not stream:
            whose = "itself" if other.entry == stream.entry else f"'{other.settings.name}'"
            yield Fault(
                ("streams", stream.entry, "name"),
                f"makes the stream '{stream.name}', as {whose} does",
                "give it another name",
                stream.settings.name,
            )


def subjects_do_not_overlap(config: "NatsConfig", streams: Iterable[Stream]) -> Iterator[Fault]:
    """Yield each entry whose subjects two streams of one account would both keep; the server refuses the second."""
    kept: list[tuple[Stream, str, int]] = []
    faulty: set[tuple[int, int]] = set()
    for stream in streams:
        for at, subject in enumerate(stream.subjects):
            for other, taken, its in kept:
                same = other.entry == stream.entry and its == at
                if other.account != stream.account or not overlap(subject, taken) or (stream.entry, at) in faulty:
                    continue
                faulty.add((stream.entry, at))
                yield _overlap_fault(config, stream, other, at, taken, same=same)
            kept.append((stream, subject, at))


def _overlap_fault(config: "NatsConfig", stream: Stream, other: Stream, at: int, taken: str, *, same: bool) -> Fault:
    steps = ("streams", stream.entry, "subjects", at)
    written = config.streams[stream.entry].subjects[at]
    if same:
        reason = f"the same in regions '{other.region}' and '{stream.region}', whose streams would both keep it"
        first, dot, rest = written.partition(".")
        return Fault(steps, reason, f"write {{region}} into it as a token: {first}.{{region}}{dot}{rest}", written)
    if other is stream:
        reason = f"overlaps with '{taken}' of the same stream, which the server refuses"
        return Fault(steps, reason, "remove one of the two, or let it be narrower", written)
    reason = f"overlaps with '{taken}' of stream '{other.name}': the server refuses the second"
    return Fault(steps, reason, "let one of the two be narrower, or put the streams into different accounts", written)


def streams_have_limits(config: "NatsConfig") -> Iterator[Fault]:
    for place, stream in enumerate(config.streams):
        if stream.enabled and stream.max_bytes is None:
            reason = "lacks 'max_bytes': it may fill the volumes, and then no stream on them takes anything"
            yield Fault(("streams", place), reason, "add max_bytes", severity="warning")


def streams_fit(config: "NatsConfig", estate: Estate, streams: tuple[Stream, ...]) -> Iterator[Fault]:
    rooms = {"file": (("pvc", "size"), config.pvc.size), "memory": (("jetstream", "memory_size"), _memory(config))}
    for storage, (steps, room) in rooms.items():
        fault = next(_fits_faults(config, estate, streams, storage, room), None)
        if fault is not None:
            yield msgspec.structs.replace(fault, at=steps)


def _fits_faults(
    config: "NatsConfig", estate: Estate, streams: tuple[Stream, ...], storage: str, room: str
) -> Iterator[Fault]:
    """Yield what is too small for streams of one storage."""
    for region in placed_regions(config, estate):
        needed = fullest(streams, region, config.servers_per_zone, storage)
        sure = room_to_be_sure(streams, region, config.servers_per_zone, storage)
        if needed > bytes_of(room):
            reason = (
                f"less than the {size_text(needed)} of streams that a server of region '{region.code}' keeps: "
                f"{_largest(streams, region.code, storage)}"
            )
            yield Fault((), reason, f"raise it to {size_text(needed)} or more, or lower max_bytes", room)
        elif sure > bytes_of(room):
            reason = (
                f"enough for all streams of region '{region.code}' only if servers happen to place them well: "
                f"{_largest(streams, region.code, storage)}"
            )
            yield Fault((), reason, f"raise it to {size_text(sure)} to be sure, or lower max_bytes", room, "warning")
    for place in sorted(_unplaced(config, estate)):
        stream = config.streams[place]
        size = 0 if stream.max_bytes is None or stream.storage != storage else bytes_of(stream.max_bytes)
        if size > bytes_of(room):
            reason = f"less than the {size_text(size)} of stream '{stream.name}' that a server keeps"
            yield Fault((), reason, f"raise it to {size_text(size)} or more, or lower max_bytes", room)


def _largest(streams: tuple[Stream, ...], region: str, storage: str) -> str:
    sizes = largest_first(streams, region, storage)
    told = ", ".join(f"{name} {size_text(size)}" for name, size in list(sizes.items())[:4])
    return told + (f" and {len(sizes) - 4} more" if len(sizes) > 4 else "")


def _memory(config: "NatsConfig") -> str:
    return config.jetstream.memory_size


def streams_are_made(config: "NatsConfig", estate: Estate, streams: tuple[Stream, ...]) -> Iterator[Fault]:
    if (streams or _unplaced(config, estate)) and estate.tools_image is None:
        yield Fault(
            ("streams",),
            "made by a Job of our own program, and the platform has no 'tools_image'",
            "add tools_image at the top of the file: an image of aether-deploy with its extra [tools]",
        )


def gateways_are_kept_private(config: "NatsConfig", estate: Estate) -> Iterator[Fault]:
    if len({each.cluster for each in servers_of(config, estate)}) < 2 or config.gateway is None:
        return
    if config.tls is None:
        reason = "nobody proves who it is: what reaches port 7222 is taken for a server, and reads all that passes"
        yield Fault(
            ("gateway",), reason, "add tls: {secret: <Secret with tls.crt, tls.key, ca.crt>}", severity="warning"
        )
    if not config.network.allow_from and not (config.expose and config.expose.internal) and config.tls is None:
        reason = "every address reaches port 7222"
        fix = "name the address blocks of the other regions in network.allow_from, or set expose.internal"
        yield Fault(("network",), reason, fix, severity="warning")


def endpoints_are_host_names(config: "NatsConfig", estate: Estate) -> Iterator[Fault]:
    """Look at the names that servers really get: what stands for a placeholder may be long."""
    parts = {"gateway": config.gateway, "leafnodes": config.leafnodes}
    for section, part in parts.items():
        if part is None or part.endpoint is None:
            continue
        for server in servers_of(config, estate):
            where = server.datacenter
            host = estate.filled(part.endpoint, where.region, datacenter=where, pod=server.pod)
            longest = max(host.split("."), key=len)
            if len(longest) > LABEL_MAX or len(host) > HOST_MAX:
                size = f"'{longest}' has {len(longest)} characters; a label has at most {LABEL_MAX}"
                if len(longest) <= LABEL_MAX:
                    size = f"has {len(host)} characters; a host name has at most {HOST_MAX}"
                fix = "shorten it, or join its parts by '.'"
                yield Fault((section, "endpoint"), f"for server '{server.pod}' {size}", fix, part.endpoint)
                break
