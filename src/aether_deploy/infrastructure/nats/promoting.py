"""How a mirror takes the place of a stream whose region is lost, and how that comes back: words and commands.

Every block of commands stops at its first failure, so that one which is pasted as a whole deletes nothing before what
takes its place was seen to be there. The last copy that could be gone back to is deleted in a block of its own.

Rule:
    Tried on nats-server 2.15: servers refuse the subjects of a stream that is not deleted to another one; an update
    that takes ``mirror`` away works while the mirror runs; a stream that others mirror may take another subject.
    Whether a stream is gone only another deletion tells: asked for its state, servers say of one whose servers are all
    lost that there is none, too. And ``nats stream info`` (natscli, ``cli/util.go``, ``selectStream``) asks for another
    stream where one is not found. So commands ask the API of JetStream.
"""

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from aether_deploy.infrastructure.estate import Estate
from aether_deploy.infrastructure.nats.job import WHAT
from aether_deploy.infrastructure.nats.streams import Stream, streams_of
from aether_deploy.infrastructure.objects.tools import RUN_SECS
from aether_deploy.infrastructure.recovery import shell

if TYPE_CHECKING:
    from aether_deploy.infrastructure.kinds.nats import NatsConfig

FUNCTIONS = """\
Commands for streams use `nats` with the context that they name, and `jq`. Paste these functions first:

```sh
jetstream() {  # jetstream CONTEXT CALL BODY: one call of the API of JetStream; prints its answer
  nats --context "$1" request --raw "\\$JS.API.$2" "$3"
}
state_of() {  # state_of CONTEXT STREAM: how far it is; fails where it does not answer
  jetstream "$1" "STREAM.INFO.$2" "" | jq --exit-status --compact-output 'select(.config) |
    {stream: .config.name, messages: .state.messages, last: .state.last_seq, at: .state.last_ts, lag: .mirror.lag}'
}
owns() {  # owns CONTEXT STREAM: says true if it is a stream of its own; fails if it is a mirror, or does not answer
  jetstream "$1" "STREAM.INFO.$2" "" | jq --exit-status 'select(.config) | .config.mirror == null'
}
change() {  # change CONTEXT STREAM FILTER: changes its settings by a filter of jq
  settings=$(jetstream "$1" "STREAM.INFO.$2" "" | jq --exit-status --compact-output "select(.config) | .config | $3") &&
    jetstream "$1" "STREAM.UPDATE.$2" "$settings" |
    jq --exit-status --compact-output 'if .error then .error, false else .config.subjects end'
}
copy_of() {  # copy_of CONTEXT STREAM NEW FILTER: makes a mirror of a stream, with settings changed by a filter
  settings=$(jetstream "$1" "STREAM.INFO.$2" "" |
    jq --exit-status --compact-output "select(.config) | .config | del(.subjects) | .mirror = {name: .name} | $4") &&
    jetstream "$1" "STREAM.CREATE.$3" "$settings" |
    jq --exit-status --compact-output 'if .error then .error, false else .config.mirror end'
}
last_of() {  # last_of CONTEXT STREAM: the number of its last message
  jetstream "$1" "STREAM.INFO.$2" "" | jq --exit-status '.state.last_seq'
}
caught_up() {  # caught_up CONTEXT COPY STREAM: waits until the copy has all that the stream has
  until wanted=$(last_of "$1" "$3") && have=$(last_of "$1" "$2") && [ "$have" -ge "$wanted" ]; do
    echo "$2 has ${have:-nothing}, $3 has ${wanted:-no answer}"
    sleep 2
  done
}
quiet() {  # quiet CONTEXT STREAM: fails where something was written to it within 10 s
  before=$(last_of "$1" "$2") && sleep 10 && [ "$before" = "$(last_of "$1" "$2")" ] && return
  echo "$2 is written to, or does not answer: stop those who write" >&2
  return 1
}
erase() {  # erase CONTEXT STREAM: deletes it, and waits until servers say that it is not there
  until answer=$(jetstream "$1" "STREAM.DELETE.$2" "")
    echo "$answer" | jq --exit-status '.success or .error.code == 404' > /dev/null; do
    reason=$(echo "$answer" | jq --raw-output '.error.description // empty')
    echo "$2 is still there: ${reason:-nobody answers}"
    sleep 2
  done
  echo "$2 is deleted"
}
```
"""

PROMOTING = (
    "Nothing promotes by itself: what two streams take at a time nobody can put together again. What the mirror had "
    "not got yet is lost with the old stream: about one round trip of what was published, and more if the link was "
    "slow. Decide, and then:\n"
)
RETURNING = (
    "What was deleted stays deleted. If it was not deleted (the region was only cut off), **both** streams get each "
    "message from now on: delete the old one before writers come back.\n"
)


def seeing_still(config: "NatsConfig", estate: Estate, lost: str) -> Iterator[str]:
    """Yield how people see that no Job makes anew what they delete, as Markdown."""
    yield (
        f"See that the Jobs keep still, or they make anew what is deleted here. `lost-{lost}.yaml` says so, once it is "
        f"published (`disaster-recovery.md` has the commands). A patch by hand does not last: what keeps the manifests "
        "in the cluster undoes it.\n"
    )
    yield from _waiting(config, estate, away=lost)


def seeing_all_still(config: "NatsConfig", estate: Estate) -> Iterator[str]:
    """Yield how people see, once a region is back, that its Jobs keep still, too, as Markdown."""
    yield (
        "See that the Jobs keep still, those of the region that is back included, which did not hear what was "
        "published meanwhile: they make anew what is deleted here.\n"
    )
    yield from _waiting(config, estate, away="")


def _waiting(config: "NatsConfig", estate: Estate, *, away: str) -> Iterator[str]:
    """Yield the commands that wait until no Job will run, and see that none does; suspending ends none that runs."""
    job, kept = f"{config.name}-{WHAT}", {each.region for each in streams_of(config, estate)} - {away}
    ask = [
        f"kubectl --context {region.cluster} -n {estate.data_namespace}"
        for region in estate.regions
        if region.code in kept
    ]
    active = [f"{each} get cronjob/{job} -o jsonpath='{{.status.active}}'" for each in ask]
    yield shell(
        [
            *(f"{each} wait --for=jsonpath='{{.spec.suspend}}'=true cronjob/{job} --timeout=10m &&" for each in ask),
            "running=$(",
            *(f"  {each} &&" for each in active),
            "  true) &&",
            '[ -z "$running" ] && echo "no Job runs, and none will"',
        ]
    )
    yield (
        "Go on once it says `no Job runs, and none will`. What was running when they were told to keep still goes on "
        f"for {RUN_SECS} s at most: where it says nothing of the kind, paste it again.\n"
    )


def mirrored(streams: Sequence[Stream]) -> list[tuple[Stream, Stream]]:
    """Return every mirror with what it mirrors: the origin first."""
    by_name = {each.name: each for each in streams}
    return [(by_name[each.sources[0]], each) for each in streams if each.role == "mirror"]


def promotion(config: "NatsConfig", origin: Stream, mirror: Stream, others: Sequence[Stream]) -> Iterator[str]:
    """Yield how ``mirror`` takes the place of ``origin``, as Markdown; ``others`` are its other mirrors."""
    context, word = config.name, "these" if others else "this"
    yield f"Look how far {word} got" + (": the one that is ahead (`last`) is to take over." if others else ".") + "\n"
    yield shell([f"state_of {context} {each.name}" for each in (mirror, *others)])
    yield (
        f"Delete `{origin.name}`, which still owns the subjects (servers refuse them to another stream), and let "
        f"`{mirror.name}` be a stream of its own, with the subjects. A call may get no answer and have worked: the "
        "command asks until servers say that it is deleted. Stop it where that takes more than some minutes: no leader "
        "is there then that could delete anything.\n"
    )
    yield shell(
        [
            f"state_of {context} {mirror.name} &&",
            f"  erase {context} {origin.name} &&",
            f"  change {context} {mirror.name} {_taking(origin)}",
        ]
    )
    yield f"Consumers and readers go to `{mirror.name}`. See that `last` grows there once writers write:\n"
    yield shell([f"state_of {context} {mirror.name}"])
    for each in others:
        yield (
            f"Only then: `{each.name}` follows nothing any more. **This deletes the second copy** of what "
            f"`{origin.name}` had.\n"
        )
        yield shell([f"owns {context} {mirror.name} && erase {context} {each.name}"])


def going_back(config: "NatsConfig", origin: Stream, mirror: Stream) -> Iterator[str]:
    """Yield how ``origin`` is made anew, and takes its place back from ``mirror``, as Markdown."""
    context = config.name
    place = json.dumps({"cluster": origin.region, "tags": [f"region:{origin.region}"]})
    settings = f"'.name = \"{origin.name}\" | .placement = {place} | .num_replicas = {origin.replicas}'"
    yield f"Where this does not say `true`, `{mirror.name}` did not take over: leave all the rest out.\n"
    yield shell([f"owns {context} {mirror.name}"])
    yield (
        f"Make `{origin.name}` anew, as a mirror of the one that took over, and wait until it has all of it. "
        "Stop that where the numbers stay alike for some minutes: it gets nothing then. Nothing is deleted yet.\n"
    )
    yield shell(
        [
            f"owns {context} {mirror.name} &&",
            f"  copy_of {context} {mirror.name} {origin.name} {settings} &&",
            f"  caught_up {context} {origin.name} {mirror.name}",
        ]
    )
    yield (
        f"Stop those who write, and let `{origin.name}` take the subjects. `{mirror.name}` keeps all that it has, and "
        "gets nothing new:\n"
    )
    yield shell(
        [
            f"owns {context} {mirror.name} && quiet {context} {mirror.name} &&",
            f"  change {context} {mirror.name} '.subjects = [\"{mirror.name}\"]' &&",
            f"  caught_up {context} {origin.name} {mirror.name} &&",
            f"  change {context} {origin.name} {_taking(origin)} && state_of {context} {origin.name}",
        ]
    )
    yield (
        f"Let writers go on, and see that `last` grows. Only then delete `{mirror.name}`, which the Jobs make again as "
        "a mirror. **This deletes what it has**, and asks first whether the other has it, too. aether.yaml stays as it "
        "is throughout.\n"
    )
    yield shell(
        [
            f"state_of {context} {origin.name}",
            f"owns {context} {origin.name} && owns {context} {mirror.name} &&",
            f"  caught_up {context} {origin.name} {mirror.name} && erase {context} {mirror.name}",
        ]
    )


def _taking(origin: Stream) -> str:
    return f"'del(.mirror) | .subjects = {json.dumps(list(origin.subjects))}'"
