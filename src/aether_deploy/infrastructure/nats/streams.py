"""The streams that servers are to have: what a component's settings mean, region by region."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal

import msgspec

from aether_deploy.infrastructure.estate import Estate, EstateRegion
from aether_deploy.infrastructure.nats.supercluster import placed_regions
from aether_deploy.quantities import bytes_of

if TYPE_CHECKING:
    from aether_deploy.infrastructure.kinds.nats import NatsConfig
    from aether_deploy.infrastructure.nats.parts import NatsStream

Role = Literal["origin", "mirror", "aggregate"]

DUPLICATE_WINDOW_SECS = 120
"""The server's own default; it lowers it to the age limit of the stream."""


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """One stream as servers have it.

    Attributes:
        name: Its name in its account.
        entry: Position of its entry in ``streams``.
        account: Its account.
        role: ``origin`` (written by clients), ``mirror`` or ``aggregate``.
        region: The region that keeps it.
        replicas: Servers of that region that keep it, each in another zone.
        subjects: What it keeps; empty for copies.
        sources: Names of the streams that it copies; one for a mirror.
        max_bytes: Bytes that one replica may hold; None sets none aside.
        settings: The entry.
    """

    name: str
    entry: int
    account: str
    role: Role
    region: str
    replicas: int
    subjects: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    max_bytes: int | None = None
    settings: "NatsStream"


def streams_of(config: "NatsConfig", estate: Estate) -> tuple[Stream, ...]:
    """Return every stream, in the order of the file: an entry's origins, then its mirrors, then its aggregate.

    What names a region that is switched off, or one that the component does not run in, is left out.
    """
    found: list[Stream] = []
    regions = placed_regions(config, estate)
    for entry, settings in enumerate(config.streams):
        if settings.enabled:
            found += _of_entry(config, estate, regions, entry, settings)
    return tuple(found)


def spans_regions(config: "NatsConfig", estate: Estate, settings: "NatsStream") -> bool:
    """Return whether an entry is written in several regions, those included that are switched off.

    Its name must not change in an environment where one region is left of several: it would be another stream.
    """
    known = {*(region.code for region in estate.regions), *estate.disabled}
    if config.regions != "all":
        known &= set(config.regions)
    return len(known if settings.regions == "all" else settings.regions) > 1


def account_of(config: "NatsConfig", settings: "NatsStream") -> str:
    """Return the account of an entry: its own, or the first that may have streams."""
    if settings.account is not None:
        return settings.account
    return next((each.name for each in config.accounts if each.enabled and each.jetstream), "")


def replicas_in(settings: "NatsStream", region: EstateRegion) -> int:
    """Return how many servers of ``region`` keep a stream: what the entry says, else 3 over 3 zones, else 1."""
    if settings.replicas is not None:
        return settings.replicas
    return 3 if len(region.zones) >= 3 else 1


def _of_entry(
    config: "NatsConfig", estate: Estate, regions: Sequence[EstateRegion], entry: int, settings: "NatsStream"
) -> Iterator[Stream]:
    several = spans_regions(config, estate, settings)
    size = None if settings.max_bytes is None else bytes_of(settings.max_bytes)
    wanted = [each for each in regions if settings.regions == "all" or each.code in settings.regions]
    account = account_of(config, settings)
    origins = [
        Stream(
            name=f"{settings.name}-{region.code}" if several else settings.name,
            entry=entry, account=account, role="origin", region=region.code,
            replicas=replicas_in(settings, region),
            subjects=tuple(subject.replace("{region}", region.code) for subject in settings.subjects),
            max_bytes=size, settings=settings,
        )
        for region in wanted
    ]  # fmt: skip
    yield from origins
    for origin in origins:
        for region in regions:
            if region.code in settings.mirrors and region.code != origin.region:
                yield Stream(
                    name=f"{origin.name}-mirror-{region.code}",
                    entry=entry, account=account, role="mirror", region=region.code,
                    replicas=replicas_in(settings, region),
                    sources=(origin.name,), max_bytes=size, settings=settings,
                )  # fmt: skip
    gathering = next((each for each in regions if each.code == settings.aggregate_in), None)
    if gathering is not None and origins and several:
        yield Stream(
            name=f"{settings.name}-all",
            entry=entry, account=account, role="aggregate", region=gathering.code,
            replicas=replicas_in(settings, gathering),
            sources=tuple(origin.name for origin in origins),
            max_bytes=_gathered_bytes(settings, size, len(origins)), settings=settings,
        )  # fmt: skip


def _gathered_bytes(settings: "NatsStream", size: int | None, origins: int) -> int | None:
    if settings.aggregate_max_bytes is not None:
        return bytes_of(settings.aggregate_max_bytes)
    return None if size is None else size * origins


def created(stream: Stream) -> dict[str, object]:
    """Return a stream as the JetStream API takes it, durations in nanoseconds."""
    settings = stream.settings
    body: dict[str, object] = {
        "name": stream.name,
        "retention": settings.retention if stream.role == "origin" else "limits",
        "storage": settings.storage,
        "num_replicas": stream.replicas,
        "placement": {"cluster": stream.region, "tags": [f"region:{stream.region}"]},
        "discard": settings.discard,
        "compression": "none" if settings.compression == "off" else settings.compression,
        "max_age": (settings.max_age_secs or 0) * 10**9,
        "max_bytes": -1 if stream.max_bytes is None else stream.max_bytes,
        "max_msgs": settings.max_messages or -1,
        "max_msg_size": -1 if settings.max_message_bytes is None else bytes_of(settings.max_message_bytes),
        "allow_direct": True,
    }
    if stream.role == "origin":
        # A mirror takes what its origin took, once; a window of its own is refused.
        body["subjects"] = list(stream.subjects)
        body["duplicate_window"] = _duplicate_window_secs(settings) * 10**9
    elif stream.role == "mirror":
        body["mirror"] = {"name": stream.sources[0]}
        body["mirror_direct"] = True
    else:
        body["sources"] = [{"name": source} for source in stream.sources]
        body["duplicate_window"] = _duplicate_window_secs(settings) * 10**9
    return body


def _duplicate_window_secs(settings: "NatsStream") -> int:
    window = settings.duplicate_window_secs or DUPLICATE_WINDOW_SECS
    return min(window, settings.max_age_secs or window)
