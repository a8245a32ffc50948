"""Seeded mutations of a description: of its values, of its lines and of its bytes; and the paths in it."""

import copy
import json
import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from yaml.reader import Reader

SEED = 20_260_731
COUNT = 2_000

Step = str | int
Steps = tuple[Step, ...]
Values = dict[str, Any]

_STRANGE_TEXTS = (
    "", " ", "none", "null", "~", "yes", "on", "0x1F", "1e3", "1_000", ".inf", "-1", "1.37", "a" * 300, "ß",
    "Ünï-cødé", "日本", "a\nb", "tab\there", "nul\x00", "bell\x07", "esc\x1b[31m", "nel\x85", "ls\u2028",
    "bom\ufeff", "rtl\u202eabc", "😀", "{region}", "{", "[", "'", '"', "#", "&a", "*a", "!t", "%d", "..", "/",
    "../../etc/passwd", "a/b", "a:b", "UPPER", "-a", "a-", "a.b", "$(HOME)", "10Gi", "500m", "5m", "all", "true",
    "LoadBalancer",
)  # fmt: skip
_STRANGE_NUMBERS = (
    0, -1, 1, -0.0, 0.5, 1.37, 2**31 - 1, 2**31, -(2**31), 2**53 + 1, 2**63, 10**30, 10**600, 1e300, 5e-324,
    65535, 65536,
)  # fmt: skip


class Mutation(NamedTuple):
    """One broken description, or a whole one.

    Attributes:
        number: Which of its seed it is.
        name: What was done.
        data: The bytes of the file.
    """

    number: int
    name: str
    data: bytes


def mutations_of(path: Path, *, seed: int, numbers: range) -> Iterator[Mutation]:
    """Yield some of a seed's mutations of the file at ``path``. Equal seeds and numbers give equal mutations."""
    text = path.read_text("utf-8")
    values: Values = yaml.safe_load(text)
    for number in numbers:
        chance = random.Random(seed * 1_000_003 + number)
        if chance.random() < 0.6:
            name, data = _of_values(values, chance)
        elif chance.random() < 0.5:
            name, data = _of_lines(text, chance)
        else:
            name, data = _of_bytes(text.encode(), chance)
        yield Mutation(number, name, data)


# --- values


def _of_values(values: Values, chance: random.Random) -> tuple[str, bytes]:
    changed = copy.deepcopy(values)
    names = [chance.choice(list(_VALUE_MUTATIONS)) for _ in range(chance.choice((1, 1, 1, 2, 3)))]
    for name in names:
        _VALUE_MUTATIONS[name](changed, chance)
    style = "json" if "nested" in names else chance.choice(("json", "block", "flow"))
    return f"{', '.join(names)} ({style})", _written(changed, style).encode("utf-8", "replace")


def _written(values: Values, style: str) -> str:
    if style == "json":
        return json.dumps(values, ensure_ascii=False, indent=1)
    return yaml.dump(
        values,
        Dumper=yaml.CSafeDumper,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=style == "flow",
        width=10_000,
    )


def _places(values: Any, found: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    """Return every place of a document as its container and the step in it."""
    steps = values.keys() if isinstance(values, dict) else range(len(values)) if isinstance(values, list) else ()
    for step in list(steps):
        found.append((values, step))
        _places(values[step], found)
    return found


def _pick(values: Values, chance: random.Random, kind: type | tuple[type, ...] = object) -> tuple[Any, Any]:
    places = [place for place in _places(values, []) if isinstance(place[0], kind)]
    return chance.choice(places) if places else (values, next(iter(values), "name"))


def _other_type(values: Values, chance: random.Random) -> None:
    holder, step = _pick(values, chance)
    holder[step] = chance.choice((True, False, 7, 1.5, "text", [], {}, ["a"], {"a": 1}, [[]], [{}], {"a": {"b": []}}))


def _strange_text(values: Values, chance: random.Random) -> None:
    holder, step = _pick(values, chance)
    holder[step] = chance.choice(_STRANGE_TEXTS)


def _strange_number(values: Values, chance: random.Random) -> None:
    numbers = [(h, s) for h, s in _places(values, []) if type(h[s]) is int]
    holder, step = chance.choice(numbers) if numbers and chance.random() < 0.7 else _pick(values, chance)
    holder[step] = chance.choice(_STRANGE_NUMBERS)


def _null(values: Values, chance: random.Random) -> None:
    holder, step = _pick(values, chance)
    holder[step] = None


def _none(values: Values, chance: random.Random) -> None:
    holder, step = _pick(values, chance)
    holder[step] = "none"


def _dropped(values: Values, chance: random.Random) -> None:
    holder, step = _pick(values, chance)
    if len(holder) > 1 or holder is not values:
        del holder[step]


def _renamed(values: Values, chance: random.Random) -> None:
    holder, step = _pick(values, chance, dict)
    slips = (step[1:], step + "s", step.upper(), step.replace("_", "-"), f"{step}\n", *_STRANGE_TEXTS)
    moved = {chance.choice(slips) if key == step else key: value for key, value in holder.items()}
    holder.clear()
    holder.update(moved)


def _moved(values: Values, chance: random.Random) -> None:
    (source, taken), (target, step) = _pick(values, chance), _pick(values, chance)
    value = copy.deepcopy(source[taken])
    if isinstance(target, dict):
        target[taken if isinstance(taken, str) else step] = value
    else:
        target[step] = value


def _repeated(values: Values, chance: random.Random) -> None:
    holder, step = _pick(values, chance, list)
    if isinstance(holder, list):
        holder[step:step] = copy.deepcopy(holder[step : step + 1]) * chance.choice((1, 1, 2, 40))


def _emptied(values: Values, chance: random.Random) -> None:
    holder, step = _pick(values, chance)
    if isinstance(holder[step], dict | list):
        holder[step].clear()


def _nested(values: Values, chance: random.Random) -> None:
    holder, step = _pick(values, chance)
    value = holder[step]
    for _ in range(chance.choice((1, 2, 20, 190, 250))):
        value = [value] if chance.random() < 0.5 else {"a": value}
    holder[step] = value


def _word_of_another_place(values: Values, chance: random.Random) -> None:
    texts = [h[s] for h, s in _places(values, []) if isinstance(h[s], str)]
    holder, step = _pick(values, chance)
    holder[step] = chance.choice(texts) if texts else "a"


_VALUE_MUTATIONS: dict[str, Callable[[Values, random.Random], None]] = {
    "other type": _other_type,
    "strange text": _strange_text,
    "strange number": _strange_number,
    "null": _null,
    "none": _none,
    "dropped": _dropped,
    "renamed": _renamed,
    "moved": _moved,
    "repeated": _repeated,
    "emptied": _emptied,
    "nested": _nested,
    "word of another place": _word_of_another_place,
}


# --- lines and bytes


def _of_lines(text: str, chance: random.Random) -> tuple[str, bytes]:
    lines = text.splitlines(keepends=True)
    at = chance.randrange(len(lines))
    name = chance.choice(
        ("line repeated", "line dropped", "line indented", "lines swapped", "cut off", "word inserted")
    )
    match name:
        case "line repeated":
            lines.insert(at, lines[at])
        case "line dropped":
            del lines[at]
        case "line indented":
            lines[at] = chance.choice((" ", "  ", "    ", "\t", "- ")) + lines[at]
        case "lines swapped":
            other = chance.randrange(len(lines))
            lines[at], lines[other] = lines[other], lines[at]
        case "cut off":
            lines[at:] = [lines[at][: chance.randrange(len(lines[at]))]]
        case _:
            word = chance.choice(
                ("---\n", "...\n", "<<: {}\n", "? [a]\n", "%YAML 1.1\n", "a: &x 1\n", "b: *x\n", ": \n")
            )
            lines.insert(at, word)
    return name, "".join(lines).encode()


def _of_bytes(data: bytes, chance: random.Random) -> tuple[str, bytes]:
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 5))):
        at = chance.randrange(len(changed))
        byte = chance.choice((chance.randrange(256), ord(chance.choice("{}[]:,-#'\"&*!|>%@` \n\t~yn0"))))
        match chance.choice(("replace", "insert", "delete")):
            case "replace":
                changed[at] = byte
            case "insert":
                changed.insert(at, byte)
            case _:
                del changed[at]
    return "bytes", bytes(changed)


# --- paths


def places_in(text: str) -> set[Steps]:
    """Return the steps of everything that ``text`` holds, to the place where it cannot be parsed further.

    Characters that YAML cannot carry are read as ``_``, as the program does.
    """
    with suppress(ValueError):
        return set(_steps_of(json.loads(text), ()))
    events = yaml.parse(Reader.NON_PRINTABLE.sub("_", text), Loader=yaml.CSafeLoader)
    found: set[Steps] = {()}
    with suppress(yaml.YAMLError):
        while not isinstance(event := next(events), yaml.StreamEndEvent):
            if isinstance(event, yaml.DocumentStartEvent):
                _follow(next(events), (), events, found)
    return found


def _steps_of(value: Any, at: Steps) -> Iterator[Steps]:
    yield at
    for step in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield from _steps_of(value[step], (*at, step))


def _follow(event: Any, at: Steps, events: Iterator[Any], found: set[Steps]) -> None:
    found.add(at)
    if isinstance(event, yaml.SequenceStartEvent):
        found.add((*at, 0))  # where parsing ends if it goes no further
        for place, item in enumerate(_until(yaml.SequenceEndEvent, events)):
            _follow(item, (*at, place), events, found)
    if isinstance(event, yaml.MappingStartEvent):
        for key in _until(yaml.MappingEndEvent, events):
            word = getattr(key, "value", "")
            found.add((*at, word))
            if isinstance(key, yaml.CollectionStartEvent):
                _follow(key, (*at, word), events, found)
            _follow(next(events), (*at, word), events, found)


def _until(end: type, events: Iterator[Any]) -> Iterator[Any]:
    while not isinstance(event := next(events), end):
        yield event
