"""What is said of a fault before it is done: by ``analyze`` of components, by their own rules of workloads.

A fault is one row of the analysis, or two that it knows as a pair. What the analysis cannot know, the lab does: which
processes are hit, and what they lead. So where the analysis answers for the gravest of several cases, it is said
which of them it is: a part whose leader is not hit may notice nothing.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import msgspec

from aether_deploy.infrastructure.analysis.analysing import Analysis, Row, Subject, analyse
from aether_deploy.infrastructure.analysis.failures import PlatformFailure, Role, single_failures
from aether_deploy.infrastructure.analysis.impacts import Effect
from aether_deploy.infrastructure.kinds.edge import EdgeConfig
from aether_deploy.lab.system.faults import LabFault
from aether_deploy.lab.system.mending import mending
from aether_deploy.lab.system.parts import Part
from aether_deploy.lab.system.record import FaultRecord, LabProcess, Predicted
from aether_deploy.lab.system.stores import as_it_runs_here
from aether_deploy.lab.system.workloads import WorkloadRules
from aether_deploy.platform.analysing import analyse_platform

if TYPE_CHECKING:
    from aether_deploy.platform.config import Platform

NO_SUCH_PAIR = "analyze knows no such combination of failures"
_UNTOUCHED = "nothing of it is hit"


class Expectation(msgspec.Struct, frozen=True, kw_only=True):
    """What is said of a fault.

    Attributes:
        failure: How ``analyze`` calls it: ``zone us-east-1a``; empty for what it does not know.
        parts: What becomes of each part.
        unpredicted: The parts of which nothing is said, with the reason.
        clocks: How long each part may take to do something by itself, seconds: until its leader is taken for dead and
            another leads, or the next origin is asked. What fails late has failed by then.
    """

    failure: str
    parts: Mapping[Part, Predicted]
    unpredicted: Mapping[Part, str] = {}
    clocks: Mapping[Part, float] = {}


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    """What a fault is done to.

    Attributes:
        hit: The processes that it ends or stops, as they were before.
        processes: All processes, as they were before.
        parts: The parts that clients ask.
        in_effect: Other faults that are in effect; of ``mend``, those that remain so.
        earlier: What was done before, and what came of it.
    """

    hit: Sequence[LabProcess]
    processes: Sequence[LabProcess]
    parts: Sequence[Part]
    in_effect: Sequence[LabFault] = ()
    earlier: Sequence[FaultRecord] = ()


class Expecting:
    """Answers for one platform. All of it is pure: equal questions have equal answers."""

    def __init__(self, platform: "Platform") -> None:
        """Look at a platform without faults."""
        self._platform = platform
        self._estate = platform.estate
        self._workloads = WorkloadRules(platform)

    @cached_property
    def _silent(self) -> Analysis:
        """What happens where nobody answers for what is lost, with the stores of keys that a lab has."""
        return self._analysis(refuses=False)

    @cached_property
    def _refused(self) -> Analysis:
        """What happens where ended processes refuse connections at once, as they do on one machine."""
        return self._analysis(refuses=True)

    def _analysis(self, *, refuses: bool) -> Analysis:
        said = analyse_platform(self._platform)
        subjects = [as_it_runs_here(each, self._platform, refuses=refuses) for each in said.subjects]
        return analyse(self._estate, subjects, pairs=True)

    def expect(self, fault: LabFault, scene: Scene) -> Expectation:
        """Return what is said of ``fault``.

        Args:
            fault: What is about to be done.
            scene: What it is done to.
        """
        analysis = self._silent if fault.kind in ("freeze", "cut", "mend") else self._refused
        clocks = {part: self._clock_secs(part, analysis) for part in scene.parts}
        return msgspec.structs.replace(self._said(fault, scene, analysis, clocks), clocks=clocks)

    def _said(self, fault: LabFault, scene: Scene, analysis: Analysis, clocks: Mapping[Part, float]) -> Expectation:
        if fault.kind == "mend":
            back = mending(clocks, remaining=scene.in_effect, earlier=scene.earlier)
            return Expectation(failure="", parts=back.parts, unpredicted=back.unpredicted)
        if fault.kind in ("kill", "freeze"):
            if scene.in_effect:
                return self._unknown(scene, NO_SUCH_PAIR)
            return self._of_process(fault, scene, analysis)
        failure = self._failure(fault, scene.in_effect, analysis)
        if failure is None:
            return self._unknown(scene, NO_SUCH_PAIR if scene.in_effect else "analyze knows no such failure")
        return self._of_failure(fault, failure, scene, analysis)

    def _clock_secs(self, part: Part, analysis: Analysis) -> float:
        """Return how long at most what a part does by itself takes: a leader's end, and what passes while it serves.

        A copy of which the analysis says nothing has the clocks of what it is a copy of.
        """
        if part.member not in analysis.by_name:
            return self._workloads.clock_secs(part)
        leader = self._leader_row(analysis, part.member)
        alone = _effect_on(part, leader) or _alike(part, leader) or max(leader, key=_gravity, default=None)
        passing = (
            effect
            for row in analysis.singles
            if part.member in row.cells
            for effect in row.cells[part.member].impact.effects
            if effect.pause is not None and _is_of(effect, part)
        )
        felt = (alone, *passing) if alone is not None else passing
        spans = (effect.recovery or effect.pause for effect in felt)
        return max((span.worst for span in spans if span is not None), default=0.0)

    # --- which failure it is

    def _failure(
        self, fault: LabFault, in_effect: Sequence[LabFault], analysis: Analysis
    ) -> tuple[PlatformFailure, Row | None] | None:
        """Return the failure and its row; without a row it touches no component."""
        halves = [self._single(each) for each in (*in_effect, fault)]
        if any(each is None for each in halves) or len(halves) > 2:
            return None
        known = [each for each in halves if each is not None]
        if len(known) == 1:
            return known[0], _row(analysis.singles, known[0].kind, {known[0].name})
        if known[0].kind != known[1].kind:
            return None
        row = _row(analysis.pairs, f"{known[0].kind}s", {each.name for each in known})
        both = known[0].beside(known[1], "zones" if known[0].kind == "zone" else known[0].kind)
        return (row.failure, row) if row is not None else (both, None)

    def _single(self, fault: LabFault) -> PlatformFailure | None:
        wanted = {"zone": ("zone", "witness"), "region": ("region",), "cut": ("link",)}.get(fault.kind, ())
        for each in single_failures(self._estate, ()):
            named = each.cut == {fault.ends} if each.kind == "link" else each.name == fault.target
            if each.kind in wanted and named:
                return each
        return None

    # --- what is said of it

    def _of_failure(
        self, fault: LabFault, found: tuple[PlatformFailure, Row | None], scene: Scene, analysis: Analysis
    ) -> Expectation:
        failure, row = found
        told = _Teller(scene)
        parts: dict[Part, Predicted] = {}
        unpredicted: dict[Part, str] = {}
        for part in _asked_and_said(scene.parts, row):
            subject = analysis.by_name.get(part.member)
            if subject is None:
                parts[part] = self._workloads.of(
                    part, scene.hit, scene.processes, cut=fault.ends if fault.kind == "cut" else frozenset()
                )
                continue
            effects = row.cells[part.member].impact.effects if row is not None and part.member in row.cells else ()
            if told.leads(part) and not told.is_planned(part, effects, self._leader_row(analysis, part.member)):
                unpredicted[part] = "its leader is not where the plan has it, and analyze speaks of the plan"
            parts[part] = told.predicted(part, _effect_on(part, effects))
        return Expectation(failure=f"{failure.kind} {failure.name}", parts=parts, unpredicted=unpredicted)

    def _of_process(self, fault: LabFault, scene: Scene, analysis: Analysis) -> Expectation:
        """Return what the end of processes, or one that hangs, does: to what they lead, and to what they follow."""
        told = _Teller(scene)
        parts: dict[Part, Predicted] = {}
        unpredicted: dict[Part, str] = {}
        names = {each.member for each in scene.hit}
        homes = frozenset(each.datacenter for each in scene.hit)
        for part in scene.parts:
            subject = analysis.by_name.get(part.member)
            if subject is None:
                parts[part] = self._workloads.of(part, scene.hit, scene.processes)
            elif part.member not in names:
                parts[part] = Predicted()
                if self._origin_of(part.member) in names:
                    unpredicted[part] = "of a process analyze says only what its own component notices"
            elif fault.kind == "freeze":
                failure = PlatformFailure(kind="node", name="", nodes=homes)
                effects = subject.analyst.impact(failure.within(subject.analyst.footprint)).effects
                parts[part] = told.predicted_of_process(part, effects, effects)
            else:
                leader, member = (self._process(subject, role) for role in ("leader", "member"))
                parts[part] = told.predicted_of_process(part, leader, member)
                if parts[part].outcome == "interrupted" and told.leads(part) and _is_alone(scene):
                    unpredicted[part] = "it is back once its process is started again, and a lab has no kubelet"
        return Expectation(failure=_process_name(fault, scene), parts=parts, unpredicted=unpredicted)

    def _origin_of(self, member: str) -> str | None:
        """Return the component that another one fetches from."""
        config = next((each for each in self._platform.components if each.name == member), None)
        return config.store if isinstance(config, EdgeConfig) else None

    def _process(self, subject: Subject, role: Role) -> tuple[Effect, ...]:
        return subject.analyst.impact(PlatformFailure(kind="process", name=subject.name, role=role)).effects

    def _leader_row(self, analysis: Analysis, member: str) -> tuple[Effect, ...]:
        return self._process(analysis.by_name[member], "leader")

    def _unknown(self, scene: Scene, reason: str) -> Expectation:
        return Expectation(
            failure="",
            parts=dict.fromkeys(scene.parts, Predicted()),
            unpredicted=dict.fromkeys(scene.parts, reason),
        )


def _is_alone(scene: Scene) -> bool:
    """Return whether nobody is left in the region who could take over from the processes that are hit."""
    hit = {each.address for each in scene.hit}
    homes = {(each.member, each.region) for each in scene.hit}
    return not any((each.member, each.region) in homes and each.address not in hit for each in scene.processes)


class _Teller:
    """Says what effects mean for the parts that clients ask, by what the processes lead that are hit."""

    def __init__(self, scene: Scene) -> None:
        self._hit = {(each.member, each.region, led) for each in scene.hit for led in each.leads}
        self._homes = {(each.member, each.region) for each in scene.hit}

    def leads(self, part: Part) -> bool:
        """Return whether one of those that are hit leads the part."""
        if part.region is None:
            return any((member, led) == (part.member, part.part) for member, _, led in self._hit)
        return any((m, led) == (part.member, part.part) and r == part.region for m, r, led in self._hit)

    def is_planned(self, part: Part, effects: Sequence[Effect], leader: Sequence[Effect]) -> bool:
        """Return whether the analysis counts on the part's leader being hit, where a leader's end is felt."""
        alone = _effect_on(part, leader) or _alike(part, leader)
        if alone is None or alone.outcome != "interrupted":
            return True
        effect = _effect_on(part, effects)
        return effect is not None and (effect.outcome != "holds" or effect.pause is not None)

    def predicted(self, part: Part, effect: Effect | None) -> Predicted:
        """Return what an effect on a part means, the failure being larger than a process."""
        if effect is None:
            return Predicted(rules=(_UNTOUCHED,))
        said = _said(effect)
        if said.outcome == "interrupted" and not self.leads(part):
            return _perhaps(said)
        return said

    def predicted_of_process(self, part: Part, leader: Sequence[Effect], member: Sequence[Effect]) -> Predicted:
        """Return what the end of a process means: it leads the part, or perhaps follows in it."""
        if self.leads(part):
            effect = _effect_on(part, leader) or _alike(part, leader)
            return Predicted() if effect is None else _said(effect)
        effect = _effect_on(part, member)
        here = part.region is None or (part.member, part.region) in self._homes
        if effect is None or not here:
            return Predicted()
        return _perhaps(_said(effect))


def _said(effect: Effect) -> Predicted:
    """Return an effect as a prediction.

    What takes writes and cannot be read though nothing is said of writes is a copy: nothing is to be had from it.
    """
    span = effect.recovery or effect.pause
    outcome = effect.outcome
    if outcome == "holds" and effect.pause is not None:
        outcome = "interrupted"
    if outcome == "holds" and not effect.readable:
        outcome = "down"
    paused = effect.pause is not None
    return Predicted(
        outcome=outcome,
        readable=effect.readable,
        certain=effect.is_certain and not paused,
        best_secs=None if span is None or paused else span.best,
        worst_secs=None if span is None else span.worst,
        loss="" if effect.loss is None else effect.loss.text,
        human=effect.human,
        note=effect.note,
        rules=tuple(f"{each.text} ({each.source})" for each in effect.rules),
    )


def _perhaps(said: Predicted) -> Predicted:
    """Return a prediction of the gravest that may come, where it is not known whether it does."""
    return msgspec.structs.replace(said, certain=False, best_secs=None)


def _effect_on(part: Part, effects: Iterable[Effect]) -> Effect | None:
    """Return the gravest effect on a part."""
    found = [each for each in effects if _is_of(each, part)]
    return max(found, key=_gravity, default=None)


def _gravity(effect: Effect) -> tuple[int, bool, float, bool, bool]:
    return effect.gravity


def _is_of(effect: Effect, part: Part) -> bool:
    if effect.region is not None and part.region is not None and effect.region != part.region:
        return False
    return effect.part == part.part


def _alike(part: Part, effects: Iterable[Effect]) -> Effect | None:
    """Return what is said of another part in the same region: of shards, which are alike, but one is told."""
    found = [each for each in effects if part.region in (None, each.region)]
    return max(found, key=_gravity, default=None)


def _asked_and_said(parts: Sequence[Part], row: Row | None) -> Iterator[Part]:
    """Yield the parts that clients ask, and those of which something is said though nobody asks them."""
    yield from parts
    if row is None:
        return
    for member, cell in row.cells.items():
        asked = [part for part in parts if part.member == member]
        for effect in cell.impact.effects:
            if not any(_is_of(effect, part) for part in asked):
                yield Part(member, effect.part, effect.region)


def _row(rows: Iterable[Row], kind: str, names: set[str]) -> Row | None:
    for row in rows:
        if row.failure.kind == kind and names == set(row.failure.halves or (row.failure.name,)):
            return row
    return None


def _process_name(fault: LabFault, scene: Scene) -> str:
    leads = any(each.leads for each in scene.hit)
    whose = ", ".join(dict.fromkeys(each.member for each in scene.hit))
    if fault.kind == "freeze":
        return f"node {', '.join(dict.fromkeys(each.datacenter for each in scene.hit))}, for {whose}"
    return f"process of {whose} that leads" if leads else f"another process of {whose}"
