"""What a failure does to a component, with the rule that says so."""

from collections.abc import Iterable
from typing import Literal

import msgspec

from aether_deploy.timespan import TimeSpan

Outcome = Literal["holds", "interrupted", "read-only", "down"]
"""What becomes of writes: they go on; they stop and come back by themselves; only reads go on; nothing does."""

_GRAVITY: dict[Outcome, int] = {"holds": 0, "interrupted": 1, "read-only": 2, "down": 3}


class Basis(msgspec.Struct, frozen=True):
    """Why an answer is what it is.

    Attributes:
        text: The rule, with the numbers that went into it.
        source: Who says so: a document with its section, a source file, or a measurement.
    """

    text: str
    source: str


class Loss(msgspec.Struct, frozen=True, kw_only=True):
    """What may be lost of writes that were acknowledged.

    Attributes:
        text: What is lost, in words.
        bytes_max: At most so many bytes, where a limit holds.
        secs: The last so many seconds, where a time bounds it.
    """

    text: str
    bytes_max: int | None = None
    secs: float | None = None


class Effect(msgspec.Struct, frozen=True, kw_only=True):
    """What a failure does to one part of a component: a shard, a stream, a database.

    Attributes:
        part: The part; empty where the component has but one.
        region: The region whose clients it serves; None where clients everywhere use it.
        outcome: What becomes of writes.
        readable: Whether it can be read until writes are back.
        human: What somebody has to do, as an imperative; empty where it gets by alone or nothing can be done.
        recovery: How long writes stop, where they come back by themselves.
        loss: What may be lost of acknowledged writes; None: nothing.
        note: What is worse though writes go on; empty where nothing is. It begins with "if" or "only if" where the
            effect is the gravest of several cases.
        pause: How long what the note tells of lasts, where it ends by itself.
        fix: What would have to be said in the description for it not to happen, as an imperative.
        by_design: The component promises no more, and nothing in its description would make it: a cache in memory
            loses what it holds. Such an effect is to be known of, not to be mended.
        rules: The rules behind it.
    """

    part: str = ""
    region: str | None = None
    outcome: Outcome = "holds"
    readable: bool = True
    human: str = ""
    recovery: TimeSpan | None = None
    loss: Loss | None = None
    note: str = ""
    pause: TimeSpan | None = None
    fix: str = ""
    by_design: bool = False
    rules: tuple[Basis, ...] = ()

    @property
    def gravity(self) -> tuple[int, bool, float, bool, bool]:
        """How bad it is; the greater, the worse."""
        worst = self.recovery.worst if self.recovery is not None else 0.0
        return (_GRAVITY[self.outcome], bool(self.human), worst, self.loss is not None, bool(self.note))

    @property
    def is_certain(self) -> bool:
        """Whether it comes about in any case; else something less grave may."""
        return not self.note.startswith(("if ", "only if "))

    @property
    def is_felt(self) -> bool:
        """Whether clients notice."""
        return self.outcome != "holds" or self.loss is not None

    @property
    def ends_by_itself(self) -> bool:
        """Whether writes go on, or come back without anybody and before what failed is back."""
        return self.outcome in ("holds", "interrupted") and not self.human


class FailureImpact(msgspec.Struct, frozen=True, dict=True):
    """What a failure does to a component.

    Attributes:
        effects: What it does to each part that it touches; without one it does nothing.
    """

    effects: tuple[Effect, ...] = ()

    @property
    def worst(self) -> Effect | None:
        """The gravest effect; None where there is none."""
        return max(self.effects, key=lambda each: each.gravity, default=None)

    @property
    def outcome(self) -> Outcome:
        """What becomes of writes to the part that is hit hardest."""
        worst = self.worst
        return "holds" if worst is None else worst.outcome

    @property
    def gravity(self) -> tuple[int, bool, float, bool, bool]:
        """How bad it is; the greater, the worse."""
        worst = self.worst
        return Effect().gravity if worst is None else worst.gravity

    @property
    def is_felt(self) -> bool:
        """Whether clients notice."""
        return any(each.is_felt for each in self.effects)


UNTOUCHED = FailureImpact()


def is_graver(impact: FailureImpact, others: Iterable[FailureImpact]) -> bool:
    """Return whether ``impact`` is worse than each of ``others``: in writes, or in what a human must do."""
    return all(impact.gravity[:2] > other.gravity[:2] for other in others)
