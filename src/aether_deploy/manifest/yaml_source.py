"""Strict reading of an aether.yaml, in YAML or JSON, into plain values.

YAML means different things to different readers: ``on`` is a boolean to YAML 1.1 and a text to YAML 1.2,
a repeated key wins or fails, ``1.30`` loses its zero. Whatever two readers could take differently is
refused here with its place, and so is what hides content: anchors, merge keys, tags, further documents.

Values are built straight from the parser's events. That is several times faster than composing nodes
first, needs no recursion, and sees an anchor or a deep nesting before anything is built of it.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from aether_deploy.problems import ConfigError, Problem, suggestion

MAX_DEPTH: Final = 200
"""Levels of nesting; what is nested deeper is refused. Real files stay below 20."""

MAX_PROBLEMS: Final = 1000
"""Problems after which reading stops: a hostile file must not fill the memory with them."""

_LONGEST_NUMBER: Final = 500  # Python refuses to print ints of more than 640 digits when told to be careful.

_INT: Final = re.compile(r"[-+]?(?:0|[1-9][0-9]*)|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE: Final = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_TRUE: Final = frozenset("true True TRUE".split())
_FALSE: Final = frozenset("false False FALSE".split())
_NULL: Final = frozenset(["", "~", "null", "Null", "NULL"])
_AMBIGUOUS: Final = frozenset("y Y yes Yes YES n N no No NO on On ON off Off OFF".split())
_REFUSED_KEYS: Final = _TRUE | _FALSE | _NULL | _AMBIGUOUS | {"<<"}

# C0, DEL, C1, non-characters and surrogates are no YAML. NEL, LS and PS would be folded into a space, and
# would count as ends of lines for the parser but not for an editor; one parser refuses a later BOM, one not.
_UNREADABLE: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]")
_DIRECTIVE: Final = re.compile(r"(?:[ \t]*(?:#[^\n]*)?\n)*(%\S*)")
_JSON_TOKEN: Final = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}]|[^\s\[\]{}:,"]+')
_LIKE_JSON: Final = re.compile(r'\s*\{\s*(?:"|\}|\Z)')
_LONE_SURROGATE: Final = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})|\\."
)

_NO_SHARING: Final = "anchors and aliases are not supported"
_COMPLEX: Final = "?"  # Stands for a key that is no text; compared by identity.

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


def read_document(text: str, name: str) -> dict[str, object]:
    """Return the mapping that ``text`` holds.

    Args:
        text: YAML or JSON; a byte order mark at its start is no part of it.
        name: What the user calls the file, for the problems.

    Returns:
        Maps with str keys, lists, str, int, bool, None and SourceFloat, in the order of the text.

    Raises:
        ConfigError: With every fault, up to MAX_PROBLEMS, each with file, line and column. After a
            fault of syntax nothing more can be found.

    Example:
        >>> read_document("name: aether\\nworlds: [{replicas: 3}]", "aether.yaml")
        {'name': 'aether', 'worlds': [{'replicas': 3}]}
    """
    source = _Source(text)
    if source.json_error is None and source.json_value is not None:
        return source.json_value
    reading = _Reading(source)
    values = reading.read()
    if reading.problems or not isinstance(values, dict):
        raise ConfigError(_located(reading.problems, name))
    return values


def locate(text: str, path: tuple[str | int, ...], *, key: bool = False) -> Place | None:
    """Return where the value at ``path`` stands in ``text``, or with ``key`` its key; None if nowhere."""
    positions = Positions.of(text)
    return positions.key(path) if key else positions.value(path)


class Positions:
    """Where every value of a text stands: parsed once, asked many times."""

    __slots__ = ("_root",)

    def __init__(self, root: "_Spot | None") -> None:
        self._root = root

    @classmethod
    def of(cls, text: str) -> "Positions":
        """Return the positions of ``text``; of a faulty text, those before the fault of syntax."""
        return cls(_spots(_Source(text)))

    def value(self, path: tuple[str | int, ...]) -> Place | None:
        """Return where the value at ``path`` begins: a block list at its first dash."""
        spot = self._spot(path)
        return None if spot is None else spot.place

    def key(self, path: tuple[str | int, ...]) -> Place | None:
        """Return where the key of ``path`` begins; None for the root and for the item of a list."""
        spot = self._spot(path)
        return None if spot is None else spot.key

    def _spot(self, path: tuple[str | int, ...]) -> "_Spot | None":
        spot = self._root
        for step in path:
            if spot is None:
                return None
            spot = spot.inside.get(step)
        return spot


class _Spot:
    __slots__ = ("inside", "key", "place")

    def __init__(self, place: Place, key: Place | None) -> None:
        self.place = place
        self.key = key
        self.inside: dict[str | int, _Spot] = {}


def _spots(source: "_Source") -> _Spot | None:
    """Return the tree of places. A repeated key keeps its first, and the inside of a complex key is lost."""
    import yaml

    opens, closes = (yaml.MappingStartEvent, yaml.SequenceStartEvent), (yaml.MappingEndEvent, yaml.SequenceEndEvent)
    root = into = _Spot((1, 1), None)
    is_map, key = False, None
    around: list[tuple[_Spot, bool, bool]] = []
    try:
        for event in iter(source.events(), None):
            if isinstance(event, closes):
                into, is_map, was_key = around.pop()
                key = event if was_key else None
            elif isinstance(event, (yaml.NodeEvent)):
                is_key = is_map and key is None
                spot = _Spot(_place(event.start_mark), key and _place(key.start_mark))
                if not is_key:
                    into.inside.setdefault(getattr(key, "value", _COMPLEX) if is_map else len(into.inside), spot)
                if isinstance(event, opens):
                    around.append((into, is_map, is_key))
                    into, is_map, key = spot, isinstance(event, yaml.MappingStartEvent), None
                else:
                    key = event if is_key else None
            elif isinstance(event, yaml.StreamEndEvent) or (root.inside and isinstance(event, yaml.DocumentStartEvent)):
                break
    except yaml.YAMLError:
        pass  # What stands before the fault is known; the rest is nowhere.
    return root.inside.get(0)
