"""How a mirror takes the place of a stream whose region is lost, and how that comes back: words and commands.

Rule:
    Tried on nats-server 2.15: servers refuse the subjects of a stream that is not deleted to another one; an update
    that takes ``mirror`` away works while the mirror runs.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from aether_deploy.infrastructure.nats.streams import Stream

if TYPE_CHECKING:
    from aether_deploy.infrastructure.kinds.nats import NatsConfig

PROMOTING = (
    "Nothing promotes by itself: what two streams take at a time nobody can put together again. What the mirror had "
    "not got yet is lost with the old stream: about one round trip of what was published, and more if the link was "
    "slow. Decide, and then:\n"
)
DELETING = (
    "Delete the dead stream, which still owns the subjects: servers refuse them to another one. The call may end with "
    "an error and have worked, so look until the stream is not found."
)
TAKING_OVER = "Let the mirror be a stream of its own, with the subjects. Consumers and readers go to its name."
RETURNING = (
    "What was deleted stays deleted. If it was not deleted (the region was only cut off), **both** streams get each "
    "message from now on: delete the old one before writers come back. Then, to go back:\n"
)
GOING_BACK = (
    "Make the old stream anew, as a mirror of the one that took over, and wait until it has caught up: "
    "`nats stream report`.",
    "Stop the writers and wait once more.",
    "Delete the one that took over, let the other take the subjects, and let the Jobs go on: they make the mirror "
    "again. aether.yaml stays as it is throughout.",
)


def mirrored(streams: Sequence[Stream]) -> list[tuple[Stream, Stream]]:
    """Return every mirror with what it mirrors: the origin first."""
    by_name = {each.name: each for each in streams}
    return [(by_name[each.sources[0]], each) for each in streams if each.role == "mirror"]


def promotion(config: "NatsConfig", origin: Stream, mirror: Stream) -> Iterator[str]:
    """Yield the commands by which ``mirror`` takes the place of ``origin``."""
    yield from _delete(config, origin.name)
    yield from _take_over(config, mirror.name, origin)


def going_back(config: "NatsConfig", origin: Stream, mirror: Stream) -> Iterator[str]:
    """Yield the commands by which ``origin`` is made anew, and takes its place back from ``mirror``."""
    nats = nats_stream(config)
    place = f'{{cluster: "{origin.region}", tags: ["region:{origin.region}"]}}'
    yield (
        f'{nats} info {mirror.name} --json | jq \'.config | del(.subjects) | .name = "{origin.name}" '
        f'| .placement = {place} | .num_replicas = {origin.replicas} | .mirror = {{name: "{mirror.name}"}}\' '
        "> returned.json"
    )
    yield f"{nats} add {origin.name} --config returned.json"
    yield f"{nats} report   # until: no lag, with the writers stopped"
    yield from _delete(config, mirror.name)
    yield from _take_over(config, origin.name, origin)


def nats_stream(config: "NatsConfig") -> str:
    """Return the words that commands about streams begin with."""
    return f"nats --context {config.name} stream"


def _delete(config: "NatsConfig", name: str) -> Iterator[str]:
    nats = nats_stream(config)
    yield f"{nats} rm -f {name}; {nats} info {name}   # until: stream not found"


def _take_over(config: "NatsConfig", name: str, origin: Stream) -> Iterator[str]:
    nats = nats_stream(config)
    subjects = ",".join(origin.subjects)
    yield (
        f'{nats} info {name} --json | jq \'.config | del(.mirror) | .subjects = ("{subjects}" | split(","))\' '
        "> promoted.json"
    )
    yield f"{nats} edit -f {name} --config promoted.json"
