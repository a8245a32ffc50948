"""What people do for messaging when a region is lost: of each stream that has a mirror elsewhere, one takes over."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from aether_deploy.infrastructure.estate import Estate
from aether_deploy.infrastructure.nats.job import WHAT
from aether_deploy.infrastructure.nats.promoting import (
    FUNCTIONS,
    PROMOTING,
    RETURNING,
    going_back,
    mirrored,
    promotion,
    seeing_all_still,
    seeing_still,
)
from aether_deploy.infrastructure.nats.streams import Stream, streams_of
from aether_deploy.infrastructure.recovery import Recovery

if TYPE_CHECKING:
    from aether_deploy.infrastructure.kinds.nats import NatsConfig


def recovery(config: "NatsConfig", estate: Estate, region: str) -> Recovery:
    """Return what somebody does when ``region`` is lost; the first mirror of a stream is the one that takes over."""
    streams = streams_of(config, estate)
    jobs = (f"{config.name}-{WHAT}",) if any(each.region == region for each in streams) else ()
    heirs: dict[str, list[tuple[Stream, Stream]]] = {}
    for origin, mirror in mirrored(streams):
        if origin.region == region:
            heirs.setdefault(origin.name, []).append((origin, mirror))
    if not heirs:
        return Recovery(at_once=jobs)
    return Recovery(
        functions=FUNCTIONS,
        lost="\n".join(_lost(config, estate, list(heirs.values()))),
        returned="\n".join(_returned(config, estate, [pairs[0] for pairs in heirs.values()])),
        still=jobs,
        at_once=jobs,
    )


def _lost(config: "NatsConfig", estate: Estate, heirs: Sequence[Sequence[tuple[Stream, Stream]]]) -> Iterator[str]:
    yield PROMOTING
    yield from seeing_still(config, estate, heirs[0][0][0].region)
    for pairs in heirs:
        origin, mirror = pairs[0]
        others = [each for _, each in pairs[1:]]
        yield f"`{mirror.name}` of {mirror.region} takes the place of `{origin.name}`" + (
            f" (`{config.name}.md` has the same for {_names(others)}):\n" if others else ":\n"
        )
        yield from promotion(config, origin, mirror, others)


def _returned(config: "NatsConfig", estate: Estate, pairs: Sequence[tuple[Stream, Stream]]) -> Iterator[str]:
    yield RETURNING
    yield from seeing_all_still(config, estate)
    for origin, mirror in pairs:
        yield f"Back to `{origin.name}`:\n"
        yield from going_back(config, origin, mirror)


def _names(streams: Sequence[Stream]) -> str:
    return ", ".join(f"`{each.name}`" for each in streams)
