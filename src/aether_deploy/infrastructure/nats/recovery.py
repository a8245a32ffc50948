"""What people do for messaging when a region is lost: of each stream that has a mirror elsewhere, one takes over."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from aether_deploy.infrastructure.estate import Estate
from aether_deploy.infrastructure.nats.job import WHAT
from aether_deploy.infrastructure.nats.promoting import (
    DELETING,
    GOING_BACK,
    PROMOTING,
    RETURNING,
    TAKING_OVER,
    going_back,
    mirrored,
    nats_stream,
    promotion,
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
        lost="\n".join(_lost(config, list(heirs.values()))),
        returned="\n".join(_returned(config, [pairs[0] for pairs in heirs.values()])),
        still=jobs,
        at_once=jobs,
    )


def _lost(config: "NatsConfig", heirs: Sequence[Sequence[tuple[Stream, Stream]]]) -> Iterator[str]:
    yield PROMOTING
    yield f"1. See that the Jobs keep still: CronJob `{config.name}-{WHAT}` is suspended wherever it is reached."
    yield f"2. {DELETING}"
    yield f"3. {TAKING_OVER}\n"
    for pairs in heirs:
        origin, mirror = pairs[0]
        others = [each.name for _, each in pairs[1:]]
        yield f"`{mirror.name}` of {mirror.region} takes the place of `{origin.name}`" + (
            f" (`{config.name}.md` has the same for {_names(others)}):\n" if others else ":\n"
        )
        yield "```sh"
        yield from promotion(config, origin, mirror)
        yield from (f"{nats_stream(config)} rm -f {name}   # it follows nothing any more" for name in others)
        yield "```\n"


def _returned(config: "NatsConfig", pairs: Sequence[tuple[Stream, Stream]]) -> Iterator[str]:
    yield RETURNING
    yield from (f"{place}. {step}" for place, step in enumerate(GOING_BACK, start=1))
    for origin, mirror in pairs:
        yield f"\nBack to `{origin.name}`:\n"
        yield "```sh"
        yield from going_back(config, origin, mirror)
        yield "```"
    yield ""


def _names(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
