"""The decision log of a router: one JSON object a line, with all that is needed to decide everything again.

A log begins with what the router was told (``config``), then what it knew (``view``); each ``route`` was decided from
the last of both before it. Every file of a log that was split begins so, and is complete by itself. ``dropped`` says
how many decisions are missing at its place, because they came faster than the disk took them. Times are seconds since
1970 by the wall clock, and nothing is decided by them.

    {"kind":"config","t":1764131683.25,"format":1,"config":{"regions":[{"code":"us-east-1"}]}}
    {"kind":"view","t":1764131683.25,"view":{"regions":[{"code":"us-east-1"}],"epoch":1}}
    {"kind":"route","t":1764131684.5,"request":{"preferred":"us-east-1"},"answer":{"decision":"primary",...},"count":12}

A ``route`` with a count stands for that many players who asked the same and were told the same.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Annotated, Any, Literal, Self

import msgspec

from aether_deploy.problems import (
    ConfigError,
    DecisionError,
    NoCapacityError,
    NoHealthyRegionError,
    Problem,
    UnknownRegionError,
    UnknownResidencyError,
)
from aether_deploy.routing.request import RouteRequest
from aether_deploy.routing.routed import Failover, Routed, code_of
from aether_deploy.routing.router_config import RouterConfig
from aether_deploy.routing.view import RoutingView

FORMAT = 1
PLAYERS_MAX = 10**12
"""More than this many players on one line no router ever counted."""
Outcome = Literal["primary", "failover", "error"]


class LoggedAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a player was told, as far as it was decided.

    Attributes:
        decision: ``primary``, ``failover``, or ``error`` where no region could be named.
        region: The region; None with an error.
        reason: Why not the preferred one; with an error its code: ``no_healthy_region``, ``no_capacity``,
            ``unknown_region``, ``unknown_residency``.
        alternates: The next best regions.
        relaxed: Constraints that had to give way.
    """

    decision: Outcome
    region: str | None = None
    reason: str | None = None
    alternates: tuple[str, ...] = ()
    relaxed: tuple[str, ...] = ()

    @classmethod
    def of(cls, outcome: Routed | DecisionError) -> Self:
        """Return what the log holds of a decision, or of the error that it ended with."""
        if isinstance(outcome, DecisionError):
            return cls(decision="error", reason=outcome_of(outcome))
        decision = outcome.decision
        return cls(
            decision=decision.word,
            region=decision.region,
            reason=decision.reason if isinstance(decision, Failover) else None,
            alternates=outcome.alternates,
            relaxed=outcome.relaxed,
        )

    @property
    def why(self) -> str:
        """Why somebody goes there, in one word: ``primary``, or the code of a failover's reason or of an error."""
        return self.decision if self.reason is None else code_of(self.reason)


class LoggedConfig(msgspec.Struct, frozen=True, kw_only=True):
    """From here on the router was told this.

    Attributes:
        line: Line in the file, from 1.
        at: Wall clock, seconds since 1970.
        config: What it was told.
    """

    line: int
    at: float
    config: RouterConfig


class LoggedView(msgspec.Struct, frozen=True, kw_only=True):
    """From here on the router knew this.

    Attributes:
        line: Line in the file, from 1.
        at: Wall clock, seconds since 1970.
        view: What it knew.
    """

    line: int
    at: float
    view: RoutingView


class LoggedRoute(msgspec.Struct, frozen=True, kw_only=True):
    """Players asked, and were told.

    Attributes:
        line: Line in the file, from 1.
        at: Wall clock, seconds since 1970.
        request: What they brought.
        answer: What they were told.
        count: How many they were.
    """

    line: int
    at: float
    request: RouteRequest
    answer: LoggedAnswer
    count: int = 1


class LoggedLoss(msgspec.Struct, frozen=True, kw_only=True):
    """Decisions that were made here and not logged.

    Attributes:
        line: Line in the file, from 1.
        at: Wall clock, seconds since 1970.
        decisions: How many they were.
    """

    line: int
    at: float
    decisions: int


class CutOff(msgspec.Struct, frozen=True, kw_only=True):
    """The last line has no end: the router was killed while it wrote. What it says is not used.

    Attributes:
        line: Line in the file, from 1.
    """

    line: int


Entry = LoggedConfig | LoggedView | LoggedRoute | LoggedLoss | CutOff


def outcome_of(error: Exception) -> str:
    """Return the code of an error that a decision ended with: ``no_healthy_region``, ``no_capacity``,
    ``unknown_region``, ``unknown_residency``."""
    for kind, code in _CODES:
        if isinstance(error, kind):
            return code
    raise TypeError(f"{type(error).__name__} is no outcome of a decision")


_CODES: tuple[tuple[type[DecisionError], str], ...] = (
    (NoCapacityError, "no_capacity"),
    (NoHealthyRegionError, "no_healthy_region"),
    (UnknownRegionError, "unknown_region"),
    (UnknownResidencyError, "unknown_residency"),
)
ERROR_CODES = tuple(code for _, code in _CODES)
"""Every code that ``outcome_of`` gives."""


# --- writing


def config_line(config: RouterConfig, *, at: float) -> bytes:
    """Return the line that says what a router is told."""
    return _line({"kind": "config", "t": at, "format": FORMAT, "config": config.to_values()})


def view_line(view: RoutingView, *, at: float) -> bytes:
    """Return the line that says what a router knows."""
    return _line({"kind": "view", "t": at, "view": said(view)})


def route_line(request: RouteRequest, answer: LoggedAnswer, *, at: float, count: int = 1) -> bytes:
    """Return the line of a decision that ``count`` players asked for."""
    values: dict[str, Any] = {"kind": "route", "t": at, "request": said(request), "answer": answer}
    return _line(values if count == 1 else {**values, "count": count})


def loss_line(decisions: int, *, at: float) -> bytes:
    """Return the line that says how many decisions are missing here."""
    return _line({"kind": "dropped", "t": at, "decisions": decisions})


def said(value: Any) -> Any:
    """Return a view or request as plain values, without what is as its type has it by default.

    Infinity is such a default wherever a type admits it, and JSON knows none.
    """
    if isinstance(value, msgspec.Struct):
        fields = ((field.name, field.default, getattr(value, field.name)) for field in _fields(type(value)))
        return {name: said(each) for name, default, each in fields if each != default and not _is_empty(each)}
    if isinstance(value, Mapping):
        return {key: said(each) for key, each in value.items()}
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, tuple):
        return [said(each) for each in value]
    return value


@cache
def _fields(cls: type[msgspec.Struct]) -> tuple[Any, ...]:
    return msgspec.structs.fields(cls)


def _is_empty(value: Any) -> bool:
    return isinstance(value, (Mapping, frozenset, tuple)) and not value


def _line(values: Mapping[str, Any]) -> bytes:
    return msgspec.json.encode(values) + b"\n"


# --- reading

_Players = Annotated[int, msgspec.Meta(ge=1, le=PLAYERS_MAX)]


class _ConfigRecord(msgspec.Struct, tag_field="kind", tag="config", forbid_unknown_fields=True):
    t: float
    format: int
    config: dict[str, Any]


class _ViewRecord(msgspec.Struct, tag_field="kind", tag="view", forbid_unknown_fields=True):
    t: float
    view: RoutingView


class _RouteRecord(msgspec.Struct, tag_field="kind", tag="route", forbid_unknown_fields=True):
    t: float
    request: RouteRequest
    answer: LoggedAnswer
    count: _Players = 1


class _LossRecord(msgspec.Struct, tag_field="kind", tag="dropped", forbid_unknown_fields=True):
    t: float
    decisions: _Players


_Record = _ConfigRecord | _ViewRecord | _RouteRecord | _LossRecord


_NOT_OURS = "remove the line, if something else than the router wrote it"
_OTHER_FORMAT = "replay the log with the version of aether-deploy that wrote it, or a newer one that reads its format"


class _OtherFormatError(msgspec.ValidationError):
    """The log is of a format that this version does not read."""


def read_decisions(lines: Iterable[bytes], faults: list[Problem], *, file: str = "decisions") -> Iterator[Entry]:
    """Yield what a decision log holds, line by line, so that a log of any length can be read.

    A line that makes no sense is passed over. After a config or view that could not be read, routes are passed over
    until there is a sound one, because nobody knows what they were decided from.

    Args:
        lines: Lines with their ends, as iterating over a file that was opened for bytes gives them.
        faults: Receives every fault, with file and line.
        file: What to call the log in faults.
    """
    decoder = msgspec.json.Decoder(_Record)
    config, view = False, False
    for number, line in enumerate(lines, start=1):
        if not line.endswith(b"\n"):
            yield CutOff(line=number)
            return
        try:
            entry = _entry(decoder.decode(line), number)
        except (msgspec.DecodeError, UnicodeDecodeError, ConfigError) as error:
            fix = _OTHER_FORMAT if isinstance(error, _OtherFormatError) else _NOT_OURS
            faults.append(_fault(file, number, _what(error), fix))
            config = config and not _is_of(line, b"config")
            view = view and config and not _is_of(line, b"view")
            continue
        if isinstance(entry, LoggedConfig):
            config, view = True, False
        elif isinstance(entry, LoggedView):
            view = config
        if isinstance(entry, LoggedLoss) or (config and (view or isinstance(entry, LoggedConfig))):
            yield entry
        elif not faults:
            faults.append(_fault(file, number, "comes before what it was decided from: a config, then a view"))


def _is_of(line: bytes, kind: bytes) -> bool:
    """Say whether a line that cannot be read may have been of that kind."""
    return not line.startswith(b'{"kind":"') or line.startswith(b'{"kind":"%b"' % kind)


def _entry(record: _Record, line: int) -> Entry:
    match record:
        case _ConfigRecord():
            if record.format != FORMAT:
                raise _OtherFormatError(f"is of format {record.format}; this version reads format {FORMAT}")
            return LoggedConfig(line=line, at=record.t, config=RouterConfig.from_values(record.config))
        case _ViewRecord():
            return LoggedView(line=line, at=record.t, view=record.view)
        case _RouteRecord():
            return LoggedRoute(line=line, at=record.t, request=record.request, answer=record.answer, count=record.count)
        case _LossRecord():
            return LoggedLoss(line=line, at=record.t, decisions=record.decisions)


def _what(error: Exception) -> str:
    if isinstance(error, ConfigError):
        first = error.problems[0]
        return f"holds a configuration that cannot be used: {first.path}: {first.message}"
    return str(error)


def _fault(file: str, line: int, reason: str, fix: str = _NOT_OURS) -> Problem:
    return Problem(path="$", reason=reason, fix=fix, file=file, line=line)
