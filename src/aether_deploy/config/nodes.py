"""What a field may hold: one node per kind of type, each reading raw values and reporting every fault.

A field's annotation is compiled once into a tree of nodes. Reading never raises for the user's faults:
it reports them to a :class:`Sink` and returns :data:`FAULTY`, so that one pass finds all of them.
The same tree is what the JSON Schema, the layering of files and ``explain`` are derived from.
"""

import re
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any

import msgspec

from aether_deploy.config.marks import (
    Keyed,
    NumberRule,
    Placeholders,
    Tagged,
    TextRule,
    Verbatim,
    WholeRule,
)
from aether_deploy.config.sink import FAULTY, UNCARRIED, Faulty, Path, Sink
from aether_deploy.patterns import Pattern
from aether_deploy.problems import did_you_mean, shown, suggestion


class Node:
    """One kind of value."""

    __slots__ = ()
    expects = "a value"

    def read(self, raw: object, path: Path, sink: Sink) -> Any:
        """Return the value of ``raw``, or report what is wrong and return FAULTY."""
        raise NotImplementedError

    def refuse(self, raw: object, path: Path, sink: Sink, fix: str) -> Faulty:
        return sink.fault(path, f"expected {self.expects}", fix, value=shown(raw))


class AnyNode(Node):
    """Whatever a document can hold."""

    __slots__ = ()

    def read(self, raw: object, path: Path, sink: Sink) -> Any:
        return raw


class TextNode(Node):
    __slots__ = ("_pattern", "expects", "placeholders", "rule")

    def __init__(self, rule: TextRule | None, placeholders: Placeholders | None) -> None:
        self.rule = rule
        self.placeholders = placeholders
        self.expects = rule.what if rule else "text"
        self._pattern = Pattern(rule.pattern) if rule and rule.pattern else None

    def read(self, raw: object, path: Path, sink: Sink) -> Any:
        if type(raw) is not str:
            if isinstance(raw, str) or (self.rule and self.rule.numbers and type(raw) is int):
                raw = str(raw)
            else:
                return self.refuse(raw, path, sink, self._unquoted_fix(raw))
        if not raw.isprintable() and (bad := UNCARRIED.search(raw)):
            reason = f"holds U+{ord(bad.group()):04X} at character {bad.start() + 1}, which no YAML pipeline carries"
            return sink.fault(path, reason, "remove the character", value=shown(raw))
        rule = self.rule
        if rule is None:
            return raw if self.placeholders is None else self._checked_placeholders(raw, path, sink)
        if rule.max_length is not None and len(raw) > rule.max_length:
            reason = f"has {len(raw)} characters; {rule.what} has at most {rule.max_length}"
            return sink.fault(path, reason, "shorten it", value=shown(raw))
        if self._pattern is not None and not self._pattern.fullmatch(raw):
            return sink.fault(path, f"not {rule.what}", rule.fix, value=shown(raw))
        if rule.check is not None and (complaint := rule.check(raw)) is not None:
            return sink.fault(path, complaint, rule.fix, value=shown(raw))
        if self.placeholders is not None:
            return self._checked_placeholders(raw, path, sink)
        return raw

    def _checked_placeholders(self, raw: str, path: Path, sink: Sink) -> Any:
        assert self.placeholders is not None
        known = self.placeholders.names
        for name in re.findall(r"\{([^{}]*)\}", raw):
            if name not in known:
                braced = ", ".join(f"{{{each}}}" for each in known)
                fix = suggestion(name, known, f"use one of {braced}")
                return sink.fault(path, f"has no placeholder {{{name}}}", fix, value=shown(raw))
        return raw

    def _unquoted_fix(self, raw: object) -> str:
        if not isinstance(raw, (bool, int, float)):
            return self.rule.fix if self.rule else "write text"
        source = str(getattr(raw, "text", shown(raw)))
        if self.rule is None or self._pattern is None or self._pattern.fullmatch(source):
            return f'quote it: "{source}"'
        return self.rule.fix


class WholeNode(Node):
    __slots__ = ("rule",)
    expects = "a whole number"

    def __init__(self, rule: WholeRule) -> None:
        self.rule = rule

    def read(self, raw: object, path: Path, sink: Sink) -> Any:
        rule = self.rule
        value = raw
        if type(raw) is not int:
            if isinstance(raw, str) and rule.parse is not None:
                try:
                    value = rule.parse(raw)
                except ValueError as error:
                    return sink.fault(path, str(error), "write seconds, or text such as 5m", value=shown(raw))
            else:
                return self.refuse(raw, path, sink, self._fix(raw))
        assert isinstance(value, int)
        if rule.ge is not None and value < rule.ge:
            return sink.fault(path, f"less than {rule.ge}", f"set it to {rule.ge} or more", value=shown(raw))
        if rule.le is not None and value > rule.le:
            return sink.fault(path, f"more than {rule.le}", f"set it to {rule.le} or less", value=shown(raw))
        return value

    @staticmethod
    def _fix(raw: object) -> str:
        if isinstance(raw, str) and re.fullmatch(r"[+-]?[0-9]+", raw):
            return f"remove the quotes: {int(raw)}" if len(raw) < 30 else "remove the quotes"
        return "write a whole number"


class NumberNode(Node):
    __slots__ = ("rule",)
    expects = "a number"

    def __init__(self, rule: NumberRule) -> None:
        self.rule = rule

    def read(self, raw: object, path: Path, sink: Sink) -> Any:
        if isinstance(raw, bool) or not isinstance(raw, (int, float)):
            return self.refuse(raw, path, sink, "write a number")
        if not self.rule.ge <= raw <= self.rule.le:
            reason = f"not between {self.rule.ge:g} and {self.rule.le:g}"
            return sink.fault(path, reason, "write a number between them", value=shown(raw))
        return float(raw)


class BoolNode(Node):
    __slots__ = ()
    expects = "true or false"

    def read(self, raw: object, path: Path, sink: Sink) -> Any:
        if type(raw) is bool:
            return raw
        return self.refuse(raw, path, sink, "write true or false, without quotes")


class ChoiceNode(Node):
    """A closed set of words; ``enum`` is the class whose members they name, if any."""

    __slots__ = ("choices", "enum", "expects")

    def __init__(self, choices: tuple[Any, ...], enum: type[Enum] | None) -> None:
        self.choices = choices
        self.enum = enum
        words = ", ".join(str(choice) for choice in choices)
        self.expects = words if len(choices) == 1 else f"one of {words}"

    def read(self, raw: object, path: Path, sink: Sink) -> Any:
        if self.enum is not None and isinstance(raw, self.enum):
            return raw
        for choice in self.choices:
            if type(choice) is type(raw) and choice == raw:
                return self.enum(raw) if self.enum is not None else raw
        words = [choice for choice in self.choices if isinstance(choice, str)]
        fix = f"write {self.expects}"
        return self.refuse(raw, path, sink, suggestion(raw, words, fix) if isinstance(raw, str) else fix)


class OptionalNode(Node):
    """The inner type, or off: ``none`` in a file, None in Python."""

    __slots__ = ("inner",)

    def __init__(self, inner: Node) -> None:
        self.inner = inner

    def read(self, raw: object, path: Path, sink: Sink) -> Any:
        if raw is None or raw == "none":
            return None
        return self.inner.read(raw, path, sink)


class UnionNode(Node):
    """One of several plain types, told apart by the raw value's type (``true`` or a word)."""

    __slots__ = ("expects", "members")

    def __init__(self, members: tuple[Node, ...]) -> None:
        self.members = members
        self.expects = " or ".join(member.expects for member in members)

    def read(self, raw: object, path: Path, sink: Sink) -> Any:
        for member in self.members:
            attempt = Sink(partial=sink.partial, python=sink.python)
            value = member.read(raw, path, attempt)
            if value is not FAULTY:
                return value
        return self.refuse(raw, path, sink, f"write {self.expects}")


class ListNode(Node):
    __slots__ = ("distinct", "item", "keyed")
    expects = "a list"

    def __init__(self, item: Node, keyed: Keyed | None, *, distinct: bool = False) -> None:
        self.item = item
        self.keyed = keyed
        self.distinct = distinct

    def read(self, raw: object, path: Path, sink: Sink) -> Any:
        if not isinstance(raw, (list, tuple)):
            return self.refuse(raw, path, sink, "write a list: [ ... ]")
        read = self.item.read
        if isinstance(self.item, TaggedNode):
            raw = self._with_words(raw, path, sink)
        values = [FAULTY if each is FAULTY else read(each, (path, index), sink) for index, each in enumerate(raw)]
        if isinstance(self.item, TaggedNode):
            unread = self.item.tagged.unread
            values = [unread(each) if value is FAULTY else value for each, value in zip(raw, values, strict=True)]
        if any(value is FAULTY for value in values):
            return FAULTY
        if self.keyed is not None and self._repeats(raw, path, sink):
            return FAULTY
        if self.distinct and len(set(values)) < len(values):
            for index, value in enumerate(values):
                if (first := values.index(value)) != index:
                    reason = f"repeats item {first} of the same list"
                    sink.fault((path, index), reason, "remove it", value=shown(value))
            return FAULTY
        return tuple(values)

    def _with_words(self, raw: Sequence[object], path: Path, sink: Sink) -> list[object]:
        """Report items without the word that tells their class, which may be slips of a name, and return the others."""
        assert isinstance(self.item, TaggedNode)
        keys = [self.keyed.key_of(each) if self.keyed else None for each in raw]
        there = [key for key, each in zip(keys, raw, strict=True) if isinstance(key, str) and self.item.chosen(each)]
        return [
            self.item.refuse_wordless((path, index), sink, key, there) if self.item.is_wordless(each) else each
            for index, (key, each) in enumerate(zip(keys, raw, strict=True))
        ]

    def _repeats(self, raw: list[object] | tuple[object, ...], path: Path, sink: Sink) -> bool:
        assert self.keyed is not None
        first: dict[object, int] = {}
        repeats = False
        for index, item in enumerate(raw):
            key = self.keyed.key_of(item)
            if key is not None and first.setdefault(key, index) != index:
                repeats = True
                name = self.keyed.field
                value = shown(key) if isinstance(key, str) else shown(" - ".join(sorted(map(str, key))))  # type: ignore[call-overload]
                where = ((path, index), name)
                sink.fault(
                    where,
                    f"repeats item {first[key]} of the same list",
                    f"give it another {name}, or merge both",
                    value=value,
                )
        return repeats


class MapNode(Node):
    __slots__ = ("key", "value")
    expects = "a mapping"

    def __init__(self, key: Node, value: Node) -> None:
        self.key = key
        self.value = value

    def read(self, raw: object, path: Path, sink: Sink) -> Any:
        if not isinstance(raw, Mapping):
            return self.refuse(raw, path, sink, "write a mapping: { ... }")
        values: dict[str, Any] = {}
        for key, each in raw.items():
            where = (path, key)
            if each is None and sink.partial:
                continue
            name = self._key(key, path, sink)
            value = FAULTY if each is FAULTY else self.value.read(each, where, sink)
            values[str(name)] = FAULTY if name is FAULTY else value
        return FAULTY if any(value is FAULTY for value in values.values()) else values

    def _key(self, key: object, path: Path, sink: Sink) -> Any:
        attempt = Sink()
        name = self.key.read(key, path, attempt)
        for problem in attempt.problems:
            sink.fault(path, f"has key {shown(key)}; {problem.reason}", problem.fix, key=str(key))
        return name


class ConfigNode(Node):
    __slots__ = ("cls",)
    expects = "a mapping"

    def __init__(self, cls: Any) -> None:
        self.cls = cls

    def read(self, raw: object, path: Path, sink: Sink) -> Any:
        return self.cls.read_values(raw, path, sink)


class TaggedNode(Node):
    """One of several Config classes, told by a field: ``kind: postgres``."""

    __slots__ = ("tagged",)
    expects = "a mapping"

    def __init__(self, tagged: Tagged) -> None:
        self.tagged = tagged

    def chosen(self, *raws: object) -> ConfigNode | None:
        """Return the node of the class that the first of ``raws`` with a known word names."""
        types = self.tagged.types()
        for raw in raws:
            word = raw.get(self.tagged.field) if isinstance(raw, Mapping) else getattr(raw, self.tagged.field, None)
            if isinstance(word, str) and word in types:
                return ConfigNode(types[word])
        return None

    def read(self, raw: object, path: Path, sink: Sink) -> Any:
        node = self.chosen(raw)
        if node is not None:
            return node.read(raw, path, sink)
        if not isinstance(raw, Mapping):
            return self.refuse(raw, path, sink, "write a mapping: { ... }")
        if self.is_wordless(raw):
            return self.refuse_wordless(path, sink)
        field, types = self.tagged.field, self.tagged.types()
        word = raw[field]
        fix = suggestion(str(word), types, f"known are {', '.join(types)}")
        return sink.fault((path, field), f"no {field} that is known", fix, value=shown(word))

    def is_wordless(self, raw: object) -> bool:
        """Return whether a mapping lacks the word that tells its class."""
        return isinstance(raw, Mapping) and self.tagged.field not in raw

    def refuse_wordless(self, path: Path, sink: Sink, key: object = None, there: Sequence[str] = ()) -> Faulty:
        """Report a mapping without the word; where it is called nearly as one that is ``there``, that may be meant."""
        field = self.tagged.field
        needed = f"{field}: one of {', '.join(self.tagged.types())}"
        close = did_you_mean(key, there) if isinstance(key, str) else None
        fix = f"did you mean '{close}', which is there? Something new needs {needed}" if close else f"add {needed}"
        return sink.fault(path, f"lacks '{field}'", fix)


class VerbatimNode(Node):
    """Any mapping or list of plain values, as it was written."""

    __slots__ = ("expects", "verbatim")

    def __init__(self, verbatim: Verbatim) -> None:
        self.verbatim = verbatim
        self.expects = verbatim.what

    def read(self, raw: object, path: Path, sink: Sink) -> Any:
        if not isinstance(raw, (list, tuple) if self.verbatim.list else Mapping):
            return self.refuse(
                raw, path, sink, f"write a {'list: [ ... ]' if self.verbatim.list else 'mapping: { ... }'}"
            )
        return self._read(raw, path, sink)

    def _read(self, raw: object, path: Path, sink: Sink) -> Any:
        if isinstance(raw, str):
            return _ANY_TEXT.read(raw, path, sink)
        if isinstance(raw, Mapping):
            values = {key: self._read(each, (path, str(key)), sink) for key, each in raw.items()}
            for key in raw:
                if not isinstance(key, str) or UNCARRIED.search(key):
                    return sink.fault(path, f"has key {shown(key)}, no text", "write text for the key", key=str(key))
            return FAULTY if any(each is FAULTY for each in values.values()) else values
        if isinstance(raw, (list, tuple)):
            items = [self._read(each, (path, place), sink) for place, each in enumerate(raw)]
            return FAULTY if any(each is FAULTY for each in items) else items
        if raw is None or type(raw) is bool or (type(raw) is int and -(2**63) <= raw < 2**63):
            return raw
        fix = f'quote it: "{getattr(raw, "text", raw)}"' if isinstance(raw, (int, float)) else "write plain values"
        return sink.fault(path, "not a value that every reader of manifests keeps", fix, value=shown(raw))


_ANY_TEXT = TextNode(None, None)


def is_config(value: object) -> bool:
    return isinstance(value, msgspec.Struct) and hasattr(value, "as_given")
