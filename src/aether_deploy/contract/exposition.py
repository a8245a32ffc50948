"""A strict reader of the text in which servers give metrics to Prometheus.

Strict, because readers differ in what they forgive: one that is lenient today is replaced tomorrow.

Rule:
    https://prometheus.io/docs/instrumenting/exposition_formats/, "Text-based format", version 0.0.4.
"""

import math
import re
from collections.abc import Iterator
from typing import NamedTuple

from aether_deploy.problems import shown

FAULTS_MAX = 20
KINDS = ("counter", "gauge", "histogram", "summary", "untyped")

_BLANKS = re.compile(r"[ \t]+")
_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL = re.compile(r'[ \t]*([a-zA-Z_][a-zA-Z0-9_]*)[ \t]*=[ \t]*"((?:[^"\\\n]|\\["\\n])*)"[ \t]*')
_NUMBER = re.compile(r"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?|inf(?:inity)?)|nan", re.IGNORECASE)
_HELP = re.compile(r"(?:[^\\]|\\[\\n])*")
_TIMESTAMP = re.compile(r"-?[0-9]{1,19}")
_SUFFIXES = {"histogram": ("_bucket", "_sum", "_count"), "summary": ("_sum", "_count")}


class Sample(NamedTuple):
    """One line that holds a number."""

    name: str
    labels: tuple[tuple[str, str], ...]
    value: float


class Exposition(NamedTuple):
    """What a server says.

    Attributes:
        kinds: Type of each metric that has one.
        samples: The numbers, in the order of the lines.
        faults: What is wrong with the text, each with its line; empty where every reader takes it.
    """

    kinds: dict[str, str]
    samples: list[Sample]
    faults: list[str]

    def of(self, name: str) -> list[Sample]:
        """Return the samples of a metric."""
        return [sample for sample in self.samples if sample.name == name]


def read_exposition(body: bytes) -> Exposition:
    """Return what the body of an answer says; wrong lines are left out and told."""
    reader = _Reader()
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        return Exposition({}, [], [f"byte {error.start} is not UTF-8"])
    if text and not text.endswith("\n"):
        reader.faults.append("the last line does not end with a line feed")
    for number, line in enumerate(text.split("\n"), 1):
        if len(reader.faults) >= FAULTS_MAX:
            break
        reader.faults += [f"line {number}: {fault}" for fault in reader.read(line)]
    return Exposition(reader.kinds, reader.samples, reader.faults)


class _Reader:
    def __init__(self) -> None:
        self.kinds: dict[str, str] = {}
        self.samples: list[Sample] = []
        self.faults: list[str] = []
        self._helped: set[str] = set()
        self._sampled: set[str] = set()
        self._series: set[tuple[str, frozenset[tuple[str, str]]]] = set()
        self._groups: set[str] = set()
        self._group = ""

    def read(self, line: str) -> Iterator[str]:
        """Take in a line, and yield what is wrong with it."""
        line = line.lstrip(" \t")
        if line.startswith("#"):
            yield from self._comment(line)
        elif line:
            yield from self._sample(line)

    def _comment(self, line: str) -> Iterator[str]:
        word, *rest = _BLANKS.split(line[1:].lstrip(" \t"), 2)
        if word not in ("HELP", "TYPE"):
            return
        name = rest[0] if rest else ""
        if not _NAME.fullmatch(name):
            yield f"{word} of {shown(name)}, which is no name"
            return
        yield from self._enter(name)
        if word == "HELP":
            if name in self._helped:
                yield f"a second HELP of {name}"
            if len(rest) > 1 and not _HELP.fullmatch(rest[1]):
                yield f"HELP of {name} has a backslash that is not doubled"
            self._helped.add(name)
            return
        kind = rest[1].rstrip(" \t") if len(rest) > 1 else ""
        if kind not in KINDS:
            yield f"TYPE of {name} is {shown(kind)}, none of {', '.join(KINDS)}"
        elif name in self.kinds:
            yield f"a second TYPE of {name}"
        elif name in self._sampled:
            yield f"TYPE of {name} stands after its first sample"
        else:
            self.kinds[name] = kind

    def _sample(self, line: str) -> Iterator[str]:
        found = _NAME.match(line)
        if not found:
            yield f"begins with {shown(line[:20])}, which is no name of a metric"
            return
        name, rest = found[0], line[found.end() :].lstrip(" \t")
        labels: list[tuple[str, str]] = []
        if rest.startswith("{"):
            end = _read_labels(rest, labels)
            if end is None:
                yield f"the labels of {name} cannot be read"
                return
            rest = rest[end:]
        elif rest == line[found.end() :]:
            yield f"no blank after {name}"
            return
        number, *timestamp = _BLANKS.split(rest.lstrip(" \t"), 1)
        if not _is_number(number):
            yield f"the value of {name} is {shown(number)}, which is no number"
            return
        if timestamp == [""]:
            yield f"a blank at the end, after the value of {name}; some readers take it for a timestamp"
        elif timestamp and not _TIMESTAMP.fullmatch(timestamp[0]):
            yield f"after the value of {name} stands {shown(timestamp[0])}, which is no timestamp"
        names = [key for key, _ in labels]
        if len(set(names)) < len(names):
            yield f"a label of {name} stands twice"
        series = name, frozenset(labels)
        if series in self._series:
            yield f"the series {shown(line)} stands twice"
        self._series.add(series)
        yield from self._enter(self._family(name))
        self._sampled.add(name)
        self.samples.append(Sample(name, tuple(labels), float(number)))

    def _family(self, name: str) -> str:
        """Return the metric that a sample belongs to: that of a histogram's bucket is the histogram."""
        for kind, suffixes in _SUFFIXES.items():
            for suffix in suffixes:
                base = name.removesuffix(suffix)
                if base != name and self.kinds.get(base) == kind:
                    return base
        return name

    def _enter(self, group: str) -> Iterator[str]:
        if group != self._group and group in self._groups:
            yield f"lines of {group} stand apart; they must be one group"
        self._group = group
        self._groups.add(group)


def _is_number(text: str) -> bool:
    """Whether every reader takes a text for a number; what is beyond the greatest one is none to Go."""
    return bool(_NUMBER.fullmatch(text)) and (math.isfinite(float(text)) or text.lstrip("+-")[0] in "iInN")


def _read_labels(text: str, labels: list[tuple[str, str]]) -> int | None:
    """Add the labels in braces at the beginning of a text; return where they end, or None if they are wrong."""
    at = 1
    while found := _LABEL.match(text, at):
        labels.append((found[1], found[2]))
        at = found.end()
        if not text.startswith(",", at):
            break
        at += 1
    at += len(text[at:]) - len(text[at:].lstrip(" \t"))
    return at + 1 if text.startswith("}", at) else None
