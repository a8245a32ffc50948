"""The text of a server's file: typed values in, one setting a line out; and our own text back into values.

A map stands on several lines, so that it needs no commas: on one line without them it is a parse error. Text is
always quoted: unquoted, ``0123`` is a number, ``on`` a boolean and ``1k`` a thousand.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from aether_deploy.patterns import Pattern

_PLAIN_KEY = Pattern("[a-z][a-z_]*")


class Variable(msgspec.Struct, frozen=True):
    """A variable of the server's environment, which reads its value as a setting's text: it must hold its quotes."""

    name: str


def text_of(options: Mapping[str, Any]) -> str:
    """Return the file's text. Equal options give equal bytes."""
    return "".join(f"{line}\n" for line in _lines(options, ""))


def _lines(options: Mapping[str, Any], indent: str) -> Iterator[str]:
    for key, value in options.items():
        name = key if _PLAIN_KEY.fullmatch(key) and key != "include" else json.dumps(key)
        match value:
            case Mapping():
                yield f"{indent}{name} {{"
                yield from _lines(value, indent + "  ")
                yield f"{indent}}}"
            case str() | bool() | int() | Variable():
                yield f"{indent}{name}: {_scalar(value)}"
            case _:
                yield f"{indent}{name}: ["
                yield from _items(value, indent + "  ")
                yield f"{indent}]"


def _items(values: Sequence[Any], indent: str) -> Iterator[str]:
    for value in values:
        if isinstance(value, Mapping):
            yield f"{indent}{{"
            yield from _lines(value, indent + "  ")
            yield f"{indent}}}"
        else:
            yield f"{indent}{_scalar(value)}"


def _scalar(value: str | bool | int | Variable) -> str:
    if isinstance(value, Variable):
        return f"${value.name}"
    return json.dumps(value, ensure_ascii=False)


def variables_in(value: Any) -> set[str]:
    """Return the names of all variables in options, or in a part of them."""
    match value:
        case Variable():
            return {value.name}
        case Mapping():
            return {name for each in value.values() for name in variables_in(each)}
        case list() | tuple():
            return {name for each in value for name in variables_in(each)}
        case _:
            return set()


def options_in(text: str) -> dict[str, Any]:
    """Return the options of a text that :func:`text_of` wrote.

    Raises:
        ValueError: It did not.
    """
    lines = iter(text.splitlines())
    return _map_in(lines, "")


def _map_in(lines: Iterator[str], end: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for line in lines:
        said = line.strip()
        if said == "}" and end:
            return found
        key, separator, rest = said.partition(": ")
        if said.endswith(" {"):
            found[_unquoted(said[:-2])] = _map_in(lines, "}")
        elif not separator:
            raise ValueError(f"no line of ours: {line!r}")
        else:
            found[_unquoted(key)] = _list_in(lines) if rest == "[" else _value_in(rest)
    if end:
        raise ValueError("the text ends inside a map")
    return found


def _list_in(lines: Iterator[str]) -> list[Any]:
    found: list[Any] = []
    for line in lines:
        said = line.strip()
        if said == "]":
            return found
        found.append(_map_in(lines, "}") if said == "{" else _value_in(said))
    raise ValueError("the text ends inside a list")


def _unquoted(key: str) -> str:
    return str(json.loads(key)) if key.startswith('"') else key


def _value_in(text: str) -> Any:
    return Variable(text[1:]) if text.startswith("$") else json.loads(text)
