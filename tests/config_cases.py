"""Configuration types with one field for every kind of value, and with rules: for the tests of their base."""

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any, Literal

import pytest
from msgspec import UNSET, UnsetType

from aether_deploy import (
    ConfigError,
)
from aether_deploy.config.base import FILLED, Config, Fault, rule
from aether_deploy.config.marks import Keyed, NumberRule, Placeholders, PythonOnly
from aether_deploy.config.types import Count, DnsLabel, ImageRef, LabelKey, PortNumber, Seconds, SizeQuantity


class Colour(StrEnum):
    Red = "red"
    Green = "green"


class Item(Config):
    name: DnsLabel
    port: PortNumber = 80


class Thing(Config):
    """One field for every kind of value."""

    text: str = ""
    label: DnsLabel = "x"
    image: ImageRef = "x:v1"
    host: Annotated[str, Placeholders(("region", "cluster"))] = "x"
    size: SizeQuantity = "1Gi"
    count: Count = 1
    wait_secs: Seconds = 0
    ratio: Annotated[float, NumberRule(ge=0, le=1)] = 0.5
    on: bool = False
    word: Literal["Retain", "Delete"] = "Retain"
    colour: Colour = Colour.Red
    switch: bool | Literal["quorum"] = False
    maybe: Count | None = 1
    late: Item | None | UnsetType = UNSET
    item: Item | None = None
    names: Sequence[DnsLabel] = ()
    items: Annotated[Sequence[Item], Keyed("name")] = ()
    where: Literal["all"] | Sequence[DnsLabel] = "all"
    labels: dict[LabelKey, str] = {}
    inner: Annotated[str, PythonOnly("the section decides")] = "x"


class Span(Config):
    """A class with two rules, one of which warns."""

    first: Count
    last: Count
    step: Count = 1

    @rule
    def ends_are_ordered(self) -> Iterator[Fault]:
        if self.last < self.first:
            yield Fault(("last",), f"before first, which is {self.first}", "raise it", self.last)

    @rule
    def steps_are_short(self) -> Iterator[Fault]:
        if self.step > self.width:
            yield Fault(("step",), "longer than the span", "shorten it", self.step, "warning")

    @rule
    def there_is_a_step(self) -> Iterator[Fault]:
        if self.step == 0:
            yield Fault(("step",), "leads nowhere", "set it to 1", 0)

    @property
    def width(self) -> int:
        return self.last - self.first


class Spans(Config):
    spans: Sequence[Span] = ()
    doubled: Count = FILLED

    @classmethod
    def fill(cls, given: Mapping[str, Any]) -> Mapping[str, Any]:
        spans = given.get("spans")
        return {"doubled": 2 * len(spans) if isinstance(spans, (list, tuple)) else 0, **given}


def faults_of(cls: type[Config], values: Any) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        cls.from_values(values)
    return [str(problem) for problem in raised.value.problems]
