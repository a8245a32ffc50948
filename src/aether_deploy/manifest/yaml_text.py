"""YAML text of plain values, for Go and for every other reader alike.

Two readers must get the very string that was written: Go's (kubectl, Kustomize, Argo CD, Flux), which takes
``n``, ``08`` and ``1e3`` for a bool, an int and a float, and PyYAML, which takes ``12:30`` and ``2024-01-01``
for an int and a date. So only words that no reader can mistake stay plain, text of several lines becomes a
block where a block is exact, and all else is double-quoted. There are no anchors, tags, comments or folds.

Equal values give equal text: the caches below only save work.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, NamedTuple

from aether_deploy.patterns import Pattern

MAX_DEPTH: Final = 200
"""Levels of indentation; a value nested deeper is refused. Real manifests stay below 40."""

_INT64: Final = 1 << 63
_LONGEST_SIMPLE_KEY: Final = 128  # As Go prints them; its scanner gives up on a simple key beyond 1024.
_CACHE_ENTRIES: Final = 4096
_CACHED_LENGTH: Final = 256

_PLAIN: Final = re.compile(r"[A-Za-z_/][A-Za-z0-9_./@+=-]*(?::[A-Za-z0-9_./@+=-]+)*")
_WORDS_WITH_A_MEANING: Final = frozenset(
    ["y", "n", "yes", "no", "on", "off", "true", "false", "null", "none", "nan", "inf"]
)

# C0, DEL, C1 with NEL, the separators of lines and paragraphs, the byte order mark, the non-characters.
_UNPRINTABLE: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]")
_SURROGATE: Final = Pattern("[\ud800-\udfff]")

_INDENTS: Final = tuple("  " * depth for depth in range(MAX_DEPTH))

_Write = Callable[[str], None]


class _RefusedError(Exception):
    """Something in the document has no YAML form; its path is found afterwards."""


def to_yaml(value: object) -> str:
    """Return ``value`` as one YAML document in block style, without ``---``.

    Args:
        value: Maps with str keys, lists, tuples, str, int, bool and None, nested at will. Subclasses
            of these are refused as values: an enum member could mean its name or its value.

    Returns:
        Text that ends in one newline. Maps keep their order, a list stands at the indent of its key.
        PyYAML and kubectl read back an equal value, whatever the characters. Kustomize does not: it
        alters or refuses U+007F to U+009F, U+FFFE and U+FFFF however they are written, drops the key
        ``<<`` and refuses keys beyond 1024 characters.

    Raises:
        TypeError: A value or a key has another type; the message begins with its path.
        ValueError: A string holds a lone surrogate, an int has more than 64 bits (Go would round it),
            or the value contains itself or is nested deeper than MAX_DEPTH.

    Example:
        >>> print(to_yaml({"kind": "ConfigMap", "data": {"sha": "1e5", "on": "yes"}}), end="")
        kind: ConfigMap
        data:
          sha: "1e5"
          "on": "yes"
    """
    lines: list[str] = []
    try:
        _write_root(lines.append, value)
    except (_RefusedError, IndexError, RecursionError) as error:
        raise _fault(value) or error from None
    return "".join(lines)


def to_yaml_documents(values: Iterable[object]) -> str:
    """Return each of ``values`` as by :func:`to_yaml`, each preceded by a line ``---``."""
    return "".join(f"---\n{to_yaml(value)}" for value in values)


def _write_root(write: _Write, value: object) -> None:
    if type(value) is dict and value:
        _write_map(write, value, 0, "")
    elif (type(value) is list or type(value) is tuple) and value:
        _write_list(write, value, 0, "")
    elif type(value) is str:
        write((_TEXTS[value] or _block(value, "")).removeprefix(" "))
    else:
        write(_other(value).removeprefix(" "))


def _write_map(write: _Write, mapping: dict[str, Any], depth: int, lead: str) -> None:
    """Write ``mapping``, its first line after ``lead`` and the others at the indent of ``depth``.

    The cache of keys takes every str that equals a known one, so the type is asked for here.
    """
    indent = _INDENTS[depth]
    for key, value in mapping.items():
        if type(key) is not str:
            raise _RefusedError
        head = _KEYS[key] or _long_key(key, indent)
        kind = type(value)
        if kind is str:
            write(f"{lead}{head}{_TEXTS[value] or _block(value, indent)}")
        elif kind is dict and value:
            write(f"{lead}{head}\n")
            _write_map(write, value, depth + 1, _INDENTS[depth + 1])
        elif (kind is list or kind is tuple) and value:
            write(f"{lead}{head}\n")
            _write_list(write, value, depth, indent)
        elif kind is int:
            write(f"{lead}{head}{_INTS[value]}")
        else:
            write(f"{lead}{head}{_other(value)}")
        lead = indent


def _write_list(write: _Write, items: list[Any] | tuple[Any, ...], depth: int, lead: str) -> None:
    """Write ``items`` like :func:`_write_map`; a collection in them begins on the line of its dash."""
    indent = _INDENTS[depth]
    for item in items:
        kind = type(item)
        if kind is str:
            write(f"{lead}-{_TEXTS[item] or _block(item, indent)}")
        elif kind is dict and item:
            _write_map(write, item, depth + 1, f"{lead}- ")
        elif (kind is list or kind is tuple) and item:
            _write_list(write, item, depth + 1, f"{lead}- ")
        else:
            write(f"{lead}-{_other(item)}")
        lead = indent


def _other(value: object) -> str:
    if value is None:
        return " null\n"
    if value is True:
        return " true\n"
    if value is False:
        return " false\n"
    if type(value) is int:
        return _INTS[value]
    kind = type(value)
    if kind is dict:
        return " {}\n"
    if kind is list or kind is tuple:
        return " []\n"
    raise _RefusedError


def _scalar(text: str) -> str:
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS_WITH_A_MEANING:
        return text
    quotable = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return f'"{_UNPRINTABLE.sub(_escape, quotable)}"'


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if 0xD800 <= code <= 0xDFFF:
        raise _RefusedError
    return f"\\x{code:02X}" if code <= 0xFF else f"\\u{code:04X}"


def _block_is_exact(text: str) -> bool:
    return (
        "\n" in text
        and not text.startswith((" ", "\t", "\n"))
        and not text.endswith((" ", "\t", "\n\n"))
        and " \n" not in text
        and "\t\n" not in text
        and not _UNPRINTABLE.search(text)
    )


def _block(text: str, indent: str) -> str:
    inner = f"{indent}  "
    header = "|" if text.endswith("\n") else "|-"
    lines = text.removesuffix("\n").replace("\n", f"\n{inner}").replace(f"{inner}\n", "\n")
    return f" {header}\n{inner}{lines}\n"


def _long_key(key: str, indent: str) -> str:
    return f"? {_scalar(key)}\n{indent}:"


class _BoundedCache(dict[str, str]):
    """Rendered text by its source. Emptied when full, so a long-lived process stays small."""

    def keep(self, source: str, rendered: str) -> str:
        if len(source) <= _CACHED_LENGTH:
            if len(self) >= _CACHE_ENTRIES:
                self.clear()
            self[source] = rendered
        return rendered


class _Texts(_BoundedCache):
    """A string as it follows ``key:`` or ``-``; empty where it becomes a block, which needs the indent."""

    def __missing__(self, text: str) -> str:
        return self.keep(text, "" if _block_is_exact(text) else f" {_scalar(text)}\n")


class _Keys(_BoundedCache):
    """A key with its colon; empty where the key is too long for a simple one."""

    def __missing__(self, key: str) -> str:
        head = f"{_scalar(key)}:"
        return self.keep(key, head if len(head) <= _LONGEST_SIMPLE_KEY else "")


class _Ints(dict[int, str]):
    def __missing__(self, number: int) -> str:
        if not -_INT64 <= number < _INT64:
            raise _RefusedError
        if len(self) >= _CACHE_ENTRIES:
            self.clear()
        self[number] = rendered = f" {number}\n"
        return rendered


_TEXTS: Final = _Texts()
_KEYS: Final = _Keys()
_INTS: Final = _Ints()


class _Place(NamedTuple):
    """A value in the document, under a key or at an index; ``inside`` leads to the root."""

    value: object
    key: object
    inside: "_Place | None"
    depth: int

    def enclosing(self) -> Iterator["_Place"]:
        place = self.inside
        while place is not None:
            yield place
            place = place.inside

    def path(self) -> str:
        places = [self, *self.enclosing()]
        return "$" + "".join(_step(place) for place in reversed(places) if place.inside is not None)


def _step(place: _Place) -> str:
    if type(place.key) is str and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*", place.key):
        return f".{place.key}"
    return f"[{place.key!r}]"


def _fault(value: object) -> Exception | None:
    """Return the first thing in ``value`` that cannot be written, or None.

    Keeps its own stack, because Python's may be used up when this is asked.
    """
    pending = [_Place(value, None, None, 0)]
    while pending:
        place = pending.pop()
        fault = _fault_of_key(place) or _fault_of_value(place)
        if fault is not None:
            return fault
        pending.extend(reversed(_places_in(place)))
    return None


def _places_in(place: _Place) -> list[_Place]:
    value = place.value
    if isinstance(value, dict):
        # A list stands at the indent of its key, all else one level further in.
        return [
            _Place(child, key, place, place.depth + (0 if isinstance(child, (list, tuple)) else 1))
            for key, child in value.items()
        ]
    if isinstance(value, (list, tuple)):
        return [_Place(child, index, place, place.depth + 1) for index, child in enumerate(value)]
    return []


def _fault_of_key(place: _Place) -> Exception | None:
    if place.inside is None or not isinstance(place.inside.value, dict):
        return None
    if type(place.key) is not str:
        kind = type(place.key).__name__
        return TypeError(f"{place.inside.path()}: has the key {place.key!r} of type {kind}; write it as a str")
    if _SURROGATE.search(place.key):
        return ValueError(f"{place.path()}: its key holds a lone surrogate, which UTF-8 cannot carry")
    return None


def _fault_of_value(place: _Place) -> Exception | None:
    value = place.value
    kind = type(value)
    if kind is str:
        if _SURROGATE.search(str(value)):
            return ValueError(f"{place.path()}: holds a lone surrogate, which UTF-8 cannot carry")
    elif isinstance(value, int) and kind is int:
        if not -_INT64 <= value < _INT64:
            return ValueError(f"{place.path()}: does not fit 64 bits, so Go would round it; write it as a str")
    elif kind is dict or kind is list or kind is tuple:
        return _fault_of_nesting(place)
    elif kind is float:
        return TypeError(f"{place.path()}: is a float; write an int, or a quantity as a str")
    elif value is not None and kind is not bool:
        return TypeError(f"{place.path()}: is of type {kind.__name__}; write a dict, list, str, int, bool or None")
    return None


def _fault_of_nesting(place: _Place) -> Exception | None:
    for around in place.enclosing():
        if around.value is place.value and place.value:
            return ValueError(f"{place.path()}: contains itself: it is the value of {around.path()}")
    if place.value and place.depth >= MAX_DEPTH:
        return ValueError(f"$: is nested deeper than {MAX_DEPTH} levels")
    return None
