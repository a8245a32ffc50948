"""What clients may ask and operators may order: read strictly, with every fault at once."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, TypeVar

import msgspec

from aether_deploy.config.base import Config, Fault, rule
from aether_deploy.config.marks import Distinct, NumberRule, TextRule, WholeRule
from aether_deploy.config.sink import FAULTY, Sink
from aether_deploy.config.types import DnsLabel, PositiveSeconds, Seconds
from aether_deploy.problems import Problem, shown, suggestion
from aether_deploy.routing.request import Measurement, PartyMember, RouteRequest
from aether_deploy.routing.router_config import RouterPosition
from aether_deploy.routing.view import Position

Milliseconds = Annotated[float, NumberRule(ge=0, le=600_000)]
Percent = Annotated[float, NumberRule(ge=0, le=100)]
Wait = Annotated[float, NumberRule(ge=0, le=86_400)]
Lease = Annotated[int, WholeRule(ge=1, le=86_400)]
Players = Annotated[int, WholeRule(ge=0, le=100_000_000)]
PlacePlayers = Annotated[int, WholeRule(ge=1, le=1_000_000)]
Samples = Annotated[int, WholeRule(ge=0, le=1_000_000)]
PlayerName = Annotated[
    str,
    TextRule(
        what="a player's name", pattern=r"[!-~]+", max_length=200, fix="write up to 200 ASCII characters, no space"
    ),
]
BuildName = Annotated[
    str, TextRule(what="a build", pattern=r"[!-~]+", max_length=100, fix="write up to 100 ASCII characters, no space")
]
TokenText = Annotated[
    str,
    TextRule(what="a token", pattern=r"[A-Za-z0-9_.-]+", max_length=400, fix="send what the router gave, or none"),
]
PARTY_MAX = 99
_WORDS: Mapping[str, bool] = {"true": True, "1": True, "false": False, "0": False}
C = TypeVar("C", bound=Config)


class RegionMeasurement(Config):
    """What a player measured of one region.

    Attributes:
        rtt_ms: Median round trip, milliseconds.
        jitter_ms: How much it varies, milliseconds.
        loss_percent: Packets lost, percent.
        samples: Round trips behind it.
        age_secs: Time since then, seconds.
    """

    rtt_ms: Milliseconds
    jitter_ms: Milliseconds = 0.0
    loss_percent: Percent = 0.0
    samples: Samples = 3
    age_secs: Wait = 0.0


class PartyPlayer(Config):
    """One of several players who want to play together.

    Attributes:
        preferred: His region, by choice.
        position: Where he is.
        measured: What he measured, by region. Regions that the router does not know count for nothing.
        build: The build that his client speaks: the party goes to no region that speaks another one.
        residency: Name of the residency rule that he is under: the party goes to no region that it excludes.
    """

    preferred: DnsLabel | None = None
    position: RouterPosition | None = None
    measured: Mapping[str, RegionMeasurement] = {}
    build: BuildName | None = None
    residency: str | None = None


class RouteQuestion(Config):
    """A player, or a party of them, who wants a region.

    Attributes:
        player: Who it is; decides whether a share of players includes this one. Left out, the client's address does.
        preferred: His region, by choice; left out, the token decides, and what is closest.
        position: Where he is.
        measured: What he measured, by region. Regions that the router does not know count for nothing.
        sticky: The token of an earlier answer.
        joining: It begins a new session, which ends the hold of a failback.
        build: The build that his client speaks.
        residency: Name of the residency rule that he is under.
        waited_secs: How long he waits already, seconds.
        party: The other members of his party.
    """

    player: PlayerName | None = None
    preferred: DnsLabel | None = None
    position: RouterPosition | None = None
    measured: Mapping[str, RegionMeasurement] = {}
    sticky: TokenText | None = None
    joining: bool = False
    build: BuildName | None = None
    residency: str | None = None
    waited_secs: Wait = 0.0
    party: Sequence[PartyPlayer] = ()


class LoadReport(Config):
    """How many players a region has.

    Attributes:
        players: Players there now.
        capacity: Players that it takes; left out, what the router was told.
        builds: Builds that its worlds speak; left out, any.
    """

    players: Players
    capacity: Players | None = None
    builds: Annotated[Sequence[BuildName], Distinct()] = ()


class DrainOrder(Config):
    """Take players away from a region.

    Attributes:
        mode: ``soft`` sends no new players there, ``hard`` nobody.
        bleed_secs: A soft drain lets new players in by a share that falls from all to none over this time, seconds.
        deadline_secs: From then on a soft drain is a hard one, seconds.
    """

    mode: Literal["soft", "hard"] = "soft"
    bleed_secs: Seconds = 0
    deadline_secs: PositiveSeconds | None = None

    @rule
    def a_hard_drain_has_no_times(self) -> Iterator[Fault]:
        if self.mode == "hard":
            reason, fix = "nothing to wait for: a hard drain takes nobody at once", "leave it out, or order soft"
            if self.bleed_secs:
                yield Fault(("bleed_secs",), reason, fix, self.bleed_secs)
            if self.deadline_secs is not None:
                yield Fault(("deadline_secs",), reason, fix, self.deadline_secs)

    @rule
    def bleeding_ends_by_the_deadline(self) -> Iterator[Fault]:
        if self.mode == "soft" and self.deadline_secs is not None and self.bleed_secs > self.deadline_secs:
            reason = f"longer than deadline_secs, which is {self.deadline_secs}, and nobody is let in from then on"
            yield Fault(("bleed_secs",), reason, "shorten it, or give a later deadline", self.bleed_secs)


class ReservationOrder(Config):
    """Keep places for players who were sent to a region and are not there yet.

    Attributes:
        region: The region.
        players: How many.
        lease_secs: How long, seconds; left out, as the policy says.
    """

    region: DnsLabel
    players: PlacePlayers = 1
    lease_secs: Lease | None = None


QUERY = ("player", "preferred", "lat", "lon", "sticky", "joining", "build", "residency", "waited_secs")
"""What may be asked in the query of an address. The rest needs a body."""


def read_body(cls: type[C], body: bytes) -> C | list[Problem]:
    """Return what a JSON body says, or everything that is wrong with it. ``null`` is as left out."""
    try:
        values = msgspec.json.decode(body or b"{}")
        # A colon stands behind each key, and else only in texts: where there are no more than keys, none is twice.
        faults = [] if body.count(b":") == _keys(values) else [*_said_twice(body)]
        read = _read(cls, _without_null(values))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        reason = str(error) if not isinstance(error, RecursionError) else "is nested too deeply"
        return [Problem(path="$", reason=f"is no JSON: {reason}", fix="send one JSON object in UTF-8")]
    return faults + (read if isinstance(read, list) else []) if faults else read


def read_query(query: Mapping[str, str]) -> RouteQuestion | list[Problem]:
    """Return what the query of an address asks, or everything that is wrong with it. Empty is as left out."""
    faults = [
        Problem(path=f"?{name}", reason="is no parameter", fix=suggestion(name, QUERY, f"known are {', '.join(QUERY)}"))
        for name in query
        if name not in QUERY
    ]
    given = {name: text for name, text in query.items() if name in QUERY and text}
    values: dict[str, Any] = {name: text for name, text in given.items() if name not in ("lat", "lon")}
    if "lat" in given or "lon" in given:
        values["position"] = {name: _number(given[name]) for name in ("lat", "lon") if name in given}
    if "waited_secs" in given:
        values["waited_secs"] = _number(given["waited_secs"])
    if "joining" in given:
        values["joining"] = _WORDS.get(given["joining"], given["joining"])
    read = _read(RouteQuestion, values)
    if isinstance(read, list):
        faults += [in_query(fault) for fault in read]
    return faults if isinstance(read, list) or faults else read


def unasked(query: Mapping[str, str]) -> list[Problem]:
    """Return that the query of something that is asked by its body, or by its path, says nothing."""
    fix = "say it in the body, or leave it out"
    return [Problem(path=f"?{name}", reason="is no parameter here", fix=fix) for name in query]


def request_of(
    question: RouteQuestion, *, peer: str, sticky: str | None, residencies: Sequence[str]
) -> RouteRequest | list[Problem]:
    """Return the request that a question makes, or what is wrong with it.

    Args:
        question: The question.
        peer: Address of the client, who is this player where nobody says who it is.
        sticky: The region that his token names, if it may be believed.
        residencies: Names of the residency rules that there are.
    """
    faults = [*_unknown_residencies(question, residencies)]
    if len(question.party) > PARTY_MAX:
        reason = f"has {len(question.party)} other members; at most {PARTY_MAX} can be placed together"
        faults.append(Problem(path="$.party", reason=reason, fix="split the party"))
    if faults:
        return faults
    return RouteRequest(
        player=peer if question.player is None else question.player,
        preferred=question.preferred,
        position=_position(question.position),
        measured=_measured(question.measured),
        sticky=sticky,
        joining=question.joining,
        build=question.build,
        residency=question.residency,
        waited_secs=question.waited_secs,
        party=tuple(_member(each) for each in question.party),
    )


def _member(player: PartyPlayer) -> PartyMember:
    return PartyMember(
        preferred=player.preferred,
        position=_position(player.position),
        measured=_measured(player.measured),
        build=player.build,
        residency=player.residency,
    )


def _unknown_residencies(question: RouteQuestion, residencies: Sequence[str]) -> Iterator[Problem]:
    named = [("$.residency", question.residency)]
    named += [(f"$.party[{place}].residency", each.residency) for place, each in enumerate(question.party)]
    known = f"known are {', '.join(residencies)}" if residencies else "leave it out; this router knows none"
    for path, name in named:
        if name is not None and name not in residencies:
            fix = suggestion(name, residencies, known)
            yield Problem(path=path, reason="no rule has that name", fix=fix, value=shown(name))


def _read(cls: type[C], values: object) -> C | list[Problem]:
    sink = Sink()
    value = cls.read_values(values, None, sink)
    return list(sink.distinct()) if value is FAULTY or sink.failed else value


def _without_null(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_null(each) for key, each in value.items() if each is not None}
    return [_without_null(each) for each in value] if isinstance(value, list) else value


def _keys(value: Any) -> int:
    """Return how many keys all objects in a value have."""
    if isinstance(value, dict):
        return len(value) + sum(map(_keys, value.values()))
    return sum(map(_keys, value)) if isinstance(value, list) else 0


def _said_twice(body: bytes) -> Iterator[Problem]:
    """Yield each key that an object of a JSON body has twice: who reads it otherwise takes another one for true."""
    found: list[str] = []

    def pairs(given: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in given]
        found.extend(name for name in dict.fromkeys(names) if names.count(name) > 1)
        return dict(given)

    json.loads(body, object_pairs_hook=pairs)
    for name in dict.fromkeys(found):
        yield Problem(path="$", reason=f"says {shown(name)} twice in one object", fix="say it once")


def _number(text: str) -> float | str:
    """Return the number that a text is, or the text, which is then a fault."""
    if not text.isascii() or "_" in text or text.strip() != text:
        return text
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def in_query(fault: Problem) -> Problem:
    """Return a fault of a question as the query that asked it shows it."""
    name = fault.path.removeprefix("$.position.").removeprefix("$.")
    if fault.path == "$.position":  # one of both is missing
        name = "lat" if "'lat'" in fault.reason else "lon"
    return msgspec.structs.replace(fault, path=f"?{name}")


def _position(given: RouterPosition | None) -> Position | None:
    return None if given is None else Position(given.lat, given.lon)


def _measured(given: Mapping[str, RegionMeasurement]) -> dict[str, Measurement]:
    return {
        code: Measurement(
            rtt_ms=each.rtt_ms,
            jitter_ms=each.jitter_ms,
            loss_percent=each.loss_percent,
            samples=each.samples,
            age_secs=each.age_secs,
        )
        for code, each in given.items()
    }
