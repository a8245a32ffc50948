"""What the strict reading of YAML and JSON stands on: words and their meanings, events, faults of syntax.

Both formats come out as PyYAML's events, JSON from a tokenizer of our own, so that values, problems and
positions are found by one piece of code each.
"""

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from aether_deploy.patterns import Pattern

if TYPE_CHECKING:
    from json import JSONDecodeError

MAX_DEPTH: Final = 200
"""Levels of nesting; what is nested deeper is refused. Real files stay below 20."""

MAX_PROBLEMS: Final = 1000
"""Problems after which reading stops: a hostile file must not fill the memory with them."""

LOST_KEY: Final = "?"
"""Stands for a key that is no text, in a document that is refused anyhow."""

_LONGEST_NUMBER: Final = 500  # A careful Python converts ints of at most 640 digits.

BOOLEANS: Final = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
NULLS: Final = frozenset(["", "~", "null", "Null", "NULL"])
AMBIGUOUS: Final = frozenset(
    ["y", "Y", "yes", "Yes", "YES", "n", "N", "no", "No", "NO", "on", "On", "ON", "off", "Off", "OFF"]
)
_INT: Final = Pattern(r"[-+]?(?:0|[1-9][0-9]*)|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT: Final = Pattern(r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE: Final = Pattern(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")

# C0, DEL, C1, non-characters and surrogates are no YAML. NEL, LS and PS would turn into spaces, and end a
# line for the parser but not for an editor. A BOM inside is refused by one parser and kept by the other.
_UNREADABLE: Final = Pattern("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]")
_SURROGATE: Final = Pattern("[\ud800-\udfff]")
_DIRECTIVE: Final = Pattern(r"(?:[ \t\r]*(?:#[^\n]*)?\n)*(%[^\s]*)")
_BRACE: Final = re.compile(r"\s*\{")
_MEANT_AS_JSON: Final = Pattern(r'\s*\{\s*(?:"|\}|\Z)')
_JSON_TOKEN: Final = Pattern(r'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}]|[^\s\[\]{}:,"]+')
_HALF_CHARACTER: Final = Pattern(r"\\u[dD][89abAB]..\\u[dD][c-fC-F]..|(\\u[dD][89a-fA-F]..|[\ud800-\udfff])|\\.")

Place = tuple[int, int]
"""Line and column, both from 1, the column in characters."""


class SourceFloat(float):
    """A float that knows how it was written: ``kubernetes: 1.30`` must be answered with ``1.30``."""

    __slots__ = ("text",)
    text: str

    def __new__(cls, text: str) -> "SourceFloat":
        number = super().__new__(cls, text)
        number.text = text
        return number

    def __getnewargs__(self) -> tuple[str]:  # type: ignore[override]
        return (self.text,)

    def __str__(self) -> str:
        return self.text


# --- what a plain scalar means ------------------------------------------------------------------------


class Refused(NamedTuple):
    """The meaning of a plain scalar that has none here."""

    reason: str
    fix: str


AMBIGUITY: Final = "YAML 1.1 reads it as a boolean, YAML 1.2 as text"
_AMBIGUOUS_VALUE: Final = Refused(AMBIGUITY, "write true or false, or quote it")
_INFINITE: Final = Refused("not a finite number", "write a number, or quote it")


class Words(dict[str, object]):
    """The meaning of each plain scalar met so far: YAML 1.2's core schema, less what 1.1 reads otherwise."""

    def __missing__(self, text: str) -> object:
        meaning = self[text] = _meaning(text)
        return meaning


def _meaning(text: str) -> object:
    if text in NULLS:
        return None
    if text in BOOLEANS:
        return BOOLEANS[text]
    if text in AMBIGUOUS:
        return _AMBIGUOUS_VALUE
    if _INT.fullmatch(text) or _FLOAT.fullmatch(text):
        return _number(text)
    return _INFINITE if _NOT_FINITE.fullmatch(text) else text


def _number(text: str) -> object:
    if len(text) > _LONGEST_NUMBER:
        return Refused(f"a number of {len(text)} characters", "write a shorter number, or quote it")
    if _INT.fullmatch(text):
        return int(text, 0)
    number = SourceFloat(text)
    return _INFINITE if abs(number) == float("inf") else number


# --- from text to events ------------------------------------------------------------------------------


class Fault(NamedTuple):
    """A fault of the text itself, below anything that has a path."""

    place: Place
    reason: str
    fix: str


class Source:
    """A text made ready for its parser.

    Attributes:
        text: What is parsed: the original with what the parser would choke on replaced, place by place.
        faults: What was replaced.
        values: What the text holds, if it is JSON without a fault.
        words: Meanings of plain scalars.
    """

    def __init__(self, text: str) -> None:
        self.text = text.removeprefix("\ufeff")
        self.faults: list[Fault] = []
        self.values: dict[str, object] | None = None
        self.words = Words()
        self._json_error: JSONDecodeError | None = None
        self._is_json = _BRACE.match(self.text) is not None and self._read_json()
        if not self._is_json:
            self._replace_unreadable()
            self._replace_directives()

    def events(self) -> Callable[[], Any]:
        """Return what returns the next event at each call; the last one is the end of the stream."""
        if self._is_json:
            return _json_events(self.text).__next__
        import yaml

        if not yaml.__with_libyaml__:
            return _pure_events(self.text).__next__
        from yaml._yaml import CParser

        next_event: Callable[[], Any] = CParser(self.text).get_event
        return next_event

    def events_however_deep(self) -> Callable[[], Any]:
        """Return the same from a parser that reads on where libyaml gives up (``is_too_deep``)."""
        return _pure_events(self.text).__next__

    def syntax_fault(self, error: Any) -> Fault:
        """Return what the parser's ``error`` means, in the words of the format that was probably meant."""
        if self._json_error is not None and _MEANT_AS_JSON.match(self.text):
            return _json_fault(self._json_error)
        return _yaml_fault(error, self.text)

    def _read_json(self) -> bool:
        """Tell whether the text is JSON, and keep its values if they are without a fault."""
        import json

        repeats: list[object] = []

        def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
            mapping = dict(pairs)
            if len(mapping) != len(pairs):
                repeats.append(pairs)
            return mapping

        try:
            values = json.loads(
                self.text,
                object_pairs_hook=unique,
                parse_int=self.words.__getitem__,
                parse_float=self.words.__getitem__,
                parse_constant=lambda text: self.words.setdefault(text, _INFINITE),
            )
        except json.JSONDecodeError as error:
            self._json_error = error
            return False
        except RecursionError:
            return True  # Far beyond MAX_DEPTH, so that reading stops long before what json has not seen.
        self._replace_half_characters()
        refused = any(type(meaning) is Refused for meaning in self.words.values())
        if not (repeats or refused or self.faults or _is_too_deep(values)):
            self.values = values
        return True

    def _replace_half_characters(self) -> None:
        if "\\u" not in self.text and not _SURROGATE.search(self.text):
            return
        halves = [match for match in _HALF_CHARACTER.finditer(self.text) if match.lastindex]
        for match in halves[:MAX_PROBLEMS]:
            self._fault(match.start(), "holds half of a surrogate pair", "write the whole character")
        if halves:
            self.text = _HALF_CHARACTER.sub(lambda m: "_" * len(m[0]) if m.lastindex else m[0], self.text)

    def _replace_unreadable(self) -> None:
        if not _UNREADABLE.search(self.text):
            return
        for match in _UNREADABLE.finditer(self.text):
            if len(self.faults) == MAX_PROBLEMS:
                break
            self._fault(match.start(), f"holds U+{ord(match[0]):04X}, which YAML cannot carry", "remove the character")
        self.text = _UNREADABLE.sub("_", self.text)

    def _replace_directives(self) -> None:
        """Turn directives into comments, since the two parsers disagree on which are faults."""
        end = 0
        while (match := _DIRECTIVE.match(self.text, end)) and len(self.faults) < MAX_PROBLEMS:
            start = match.start(1)
            self._fault(start, f"has the directive {short(match[1])}", "remove the line")
            self.text = f"{self.text[:start]}#{self.text[start + 1 :]}"
            end = self.text.find("\n", start) + 1 or len(self.text)

    def _fault(self, index: int, reason: str, fix: str) -> None:
        self.faults.append(Fault(_place(self.text, index), reason, fix))


def short(text: str) -> str:
    """Return ``text``, or its beginning where it is too long for a message."""
    return text if len(text) <= 60 else f"{text[:57]}..."


def _place(text: str, index: int) -> Place:
    return text.count("\n", 0, index) + 1, index - text.rfind("\n", 0, index)


def _is_too_deep(values: object) -> bool:
    level: list[Any] = [values]
    for _ in range(MAX_DEPTH):
        parts = (outer.values() if isinstance(outer, dict) else outer for outer in level)
        level = [inner for part in parts for inner in part if isinstance(inner, (dict, list))]
        if not level:
            return False
    return True


def _json_events(text: str) -> Iterator[Any]:
    """Yield the events of a JSON text; a YAML parser would stumble over its tabs, ``\\/`` and long keys."""
    import json

    import yaml

    line = line_start = last = 0
    for token in _JSON_TOKEN.finditer(text):
        index, spelled = token.start(), token[0]
        if breaks := text.count("\n", last, index):
            line, line_start = line + breaks, text.rindex("\n", last, index) + 1
        last = index
        mark = yaml.Mark("", index, line, index - line_start, None, 0)
        match spelled[0]:
            case "{":
                yield yaml.MappingStartEvent(None, None, True, mark)
            case "[":
                yield yaml.SequenceStartEvent(None, None, True, mark)
            case "}":
                yield yaml.MappingEndEvent(mark)
            case "]":
                yield yaml.SequenceEndEvent(mark)
            case '"':
                yield yaml.ScalarEvent(None, None, (False, True), json.loads(spelled), mark, None, '"')
            case _:
                yield yaml.ScalarEvent(None, None, (True, False), spelled, mark)
    yield yaml.StreamEndEvent()


def is_too_deep(error: Any) -> bool:
    """Tell whether libyaml gave up at its own bound, from 0.2.6 on, before it gave the events that lead there."""
    return "nesting depth" in str(getattr(error, "problem", ""))


def _pure_events(text: str) -> Iterator[Any]:
    """Yield the events of the parser that is left without PyYAML's C extension, as strict as that one."""
    import yaml

    for event in yaml.parse(text, yaml.SafeLoader):
        if isinstance(event, yaml.ScalarEvent) and _SURROGATE.search(event.value):
            mark: Any = event.start_mark
            problem = "found invalid Unicode character escape code"
            raise yaml.MarkedYAMLError("while scanning a quoted scalar", mark, problem, mark)
        yield event


# --- faults of syntax, in plain words -----------------------------------------------------------------

_JSON_FAULTS: Final = (
    ("Illegal trailing comma", "a comma stands before a closing bracket", "remove the comma"),
    ("Expecting property name", "expected a key in double quotes", 'write "key": value'),
    ("Expecting ':'", "expected a colon behind the key", 'write "key": value'),
    ("Expecting ','", "expected a comma or a closing bracket", "check for a missing comma or quote"),
    ("Expecting value", "expected a value", "check for a missing value, or for text without double quotes"),
    ("Unterminated string", "a text in double quotes has no end", "close the quotes"),
    ("Invalid control character", "a text holds a line break or control character", r"write \n or \t"),
    ("Invalid \\", "has an escape that JSON does not know", "double the backslash"),
    ("Extra data", "goes on behind the closing bracket", "remove what follows"),
)

_QUOTE_IT: Final = "quote the text"
_UNCLOSED: Final = "check for a missing comma, quote or closing bracket"

_BEFORE: Final = "and check the quotes and brackets before it"

# Patterns of "context: problem 'character'", in the words of either parser. First what the beginning of the
# context is to blame for, then what the place of the problem is.
_OPENED: Final = (
    ("scalar: .*unexpected (?:end|document)", "a text in quotes has no end", "close the quotes"),
    ("scanning an alias", "begins with *, which YAML takes for an alias", _QUOTE_IT),
    ("scanning an anchor", "begins with &, which YAML takes for an anchor", _QUOTE_IT),
    ("(?:scanning|parsing) a tag|tag handle", "begins with !, which YAML takes for a tag", _QUOTE_IT),
    ("directive", "begins with %, which YAML takes for a directive", "remove the line"),
    ("expected ':'", "has a key without a colon and a space", "write key: value"),
)
_AT_THE_PROBLEM: Final = (
    ("tab character|'\\\\t'", "has a tab where YAML allows only spaces", "write spaces in its place"),
    ("start any token", "has a text that begins with {character}, which YAML reserves", _QUOTE_IT),
    ("values are not", "has a colon where no key can stand", "quote the text, or align the key"),
    ("keys are not", "has a ? where no key can stand", _QUOTE_IT),
    ("entries are not", "has a list item where none can stand", "begin the list on its own line, or quote the text"),
    ("quoted.*: ", "has an escape that YAML does not know", "double the backslash, or use single quotes"),
    ("block scalar: ", "has text right behind | or >", "begin the text on the next line"),
    ("flow sequence", "expected a comma or ] in the list{opened}", _UNCLOSED),
    ("flow mapping", "expected a comma or } in the mapping{opened}", _UNCLOSED),
    ("block collection", "expected another item of the list{opened}", f"align the line, {_BEFORE}"),
    ("block mapping", "expected another key of the mapping{opened}", f"align the line, {_BEFORE}"),
    ("document start", "expected the end of the text", f"align the line, {_BEFORE}"),
    ("node content", "expected a value", "write a value, or quote the text"),
)


def _json_fault(error: "JSONDecodeError") -> Fault:
    words = next((rest for start, *rest in _JSON_FAULTS if error.msg.startswith(start)), None)
    reason, fix = words or (error.msg, "see json.org")
    return Fault((error.lineno, error.colno), f"not JSON: {reason}", fix)


def _yaml_fault(error: Any, text: str) -> Fault:
    mark, opened = getattr(error, "problem_mark", None), getattr(error, "context_mark", None)
    if mark is None:
        return Fault((1, 1), f"not YAML: {error}", "correct the syntax")
    if mark.index >= len(text) and opened and (bracket := text[opened.index : opened.index + 1]) in ("[", "{"):
        return _fault_at(opened, text, f"has a {bracket} that is never closed", "close the bracket")
    character = text[mark.index : mark.index + 1]
    said = f"{error.context or ''}: {error.problem} {character!r}"
    for pattern, reason, fix in _OPENED:
        if re.search(pattern, said):
            return _fault_at(opened or mark, text, reason, fix)
    where = f" that begins in line {opened.line + 1}, column {opened.column + 1}" if opened else ""
    for pattern, reason, fix in _AT_THE_PROBLEM:
        if re.search(pattern, said):
            reason = reason.replace("{character}", character).replace("{opened}", where)
            return _fault_at(mark, text, reason, fix)
    return _fault_at(mark, text, error.problem, "correct the syntax")


def _fault_at(mark: Any, text: str, reason: str, fix: str) -> Fault:
    """Return the fault at ``mark``; at the end of the text libyaml's mark may be in a line that is not there."""
    place = _place(text, len(text)) if mark.index >= len(text) else (mark.line + 1, mark.column + 1)
    return Fault(place, f"not YAML: {reason}", fix)
