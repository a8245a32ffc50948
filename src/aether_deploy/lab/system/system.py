"""A platform as real processes on this machine: booted side by side, hit by faults, watched, and ended as one."""

import datetime
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, FIRST_EXCEPTION, Future, wait
from contextlib import ExitStack

import msgspec

from aether_deploy.lab.life import Booted
from aether_deploy.lab.system.desk import Desk
from aether_deploy.lab.system.expecting import Expectation, Expecting, Scene
from aether_deploy.lab.system.faults import LabFault
from aether_deploy.lab.system.judging import part_records
from aether_deploy.lab.system.member import Member
from aether_deploy.lab.system.memory import memories_mb
from aether_deploy.lab.system.network import Network
from aether_deploy.lab.system.record import FaultRecord, LabProcess, LabRecord, MemberRecord
from aether_deploy.lab.system.registry import MODULES, members_of
from aether_deploy.lab.system.targets import FaultInEffect, Strike, strike_of
from aether_deploy.lab.system.watching import Watch
from aether_deploy.lab.system.yardstick import Yardstick
from aether_deploy.lab.workplace import end_children
from aether_deploy.platform.config import Platform
from aether_deploy.problems import EffectError

Tell = Callable[[str], None]
_POLL_SECS = 0.5
_CHECK_SECS = 5.0
_SETTLE_SECS = 60.0
_MENDED_AT_ONCE = 2


def _say_nothing(text: str) -> None:
    pass


class LabSystem(Booted):
    """The whole lab of one platform.

        with LabSystem(platform, file="aether.yaml") as lab:
            record = lab.fault(LabFault("zone", "us-east-1a"))
            lab.fault(LabFault("mend", "all"))
            print(lab.record())

    Everything that it runs ends with the block, and with this process, however that ends. One fault is watched at a
    time; every other method may be called meanwhile, from any thread.

    Attributes:
        platform: What is booted.
        watching: The fault that is being watched; empty where none is.
    """

    def __init__(
        self, platform: Platform, *, file: str = "", tell: Tell = _say_nothing, modules: Sequence[str] = MODULES
    ) -> None:
        """Prepare a lab; no program runs before the block is entered.

        Its network has a thread from now on, which ends with the block, and this process may open more files.

        Args:
            platform: A platform without faults.
            file: How its description is called.
            tell: Hears what is going on while it boots.
            modules: Of :data:`aether_deploy.lab.system.registry.MODULES` those whose members run; left out, all.

        Raises:
            MissingProgramsError: Programs are not on this machine; all of them are named.
        """
        self.platform = platform
        self._file = file
        self._tell = tell
        self._network = Network()
        self._life = ExitStack()
        self._life.callback(self._network.close)
        try:
            manned = members_of(platform, self._network, modules)
        except BaseException:
            self._network.close()
            raise
        self._left_out = manned.left_out
        self._desks = [Desk(member) for member in manned.members]
        self._up: float | None = None
        self._boot_secs = 0.0
        self._started = ""
        self._watch: Watch
        self._expecting: Expecting
        self._faults: list[FaultRecord] = []
        self._in_effect: list[FaultInEffect] = []
        self.watching = ""
        self._watched_until: float | None = None
        self._turn = threading.Lock()

    # --- life

    def _boot(self) -> None:
        if not self._desks:
            raise EffectError(_NOTHING.format(reasons="".join(f"\n  {each}" for each in self._left_out)))
        begun = time.monotonic()
        self._life.callback(self._end_members)
        self._wait_until_booted([desk.boot() for desk in self._desks])
        self._expecting = Expecting(self.platform)
        probes = [probe for desk in self._desks for probe in desk.do(desk.member.probes).result()]
        self._up = time.monotonic()
        self._started = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        yardstick = Yardstick(self._network)
        self._life.callback(yardstick.close)
        self._watch = Watch(probes, self.clock, beat=yardstick.ask)
        self._life.callback(self._watch.close)
        self._watch.start()
        self._boot_secs = time.monotonic() - begun

    def _wait_until_booted(self, boots: Sequence["Future[None]"]) -> None:
        waiting: set[Future[None]] = set(boots)
        while waiting:
            names = [each.member.name for each, boot in zip(self._desks, boots, strict=True) if boot in waiting]
            self._tell(f"{len(boots) - len(waiting)} of {len(boots)} serve; waiting for {', '.join(names)}")
            done, waiting = wait(waiting, timeout=_POLL_SECS, return_when=FIRST_EXCEPTION)
            for each in done:
                each.result()

    def _end(self) -> None:
        if self._up is not None:
            self._life.close()
            return
        self._network.close()  # who waits for an address waits in vain
        try:
            self._life.close()
        except EffectError as error:  # why it did not boot is what counts, and is raised
            self._tell(str(error))

    def _end_members(self) -> None:
        ends = {desk: desk.end() for desk in self._desks}
        while self._up is None and (booting := [desk for desk in self._desks if desk.is_booting]):
            end_children([folder for desk in booting for folder in desk.folders])  # who waits for one waits in vain
            wait([ends[desk] for desk in booting], timeout=_POLL_SECS)
        wait(ends.values())
        for desk in self._desks:
            desk.leave()
        _tell_of_failed_ends({desk.member.name: end.exception() for desk, end in ends.items()})

    # --- what there is

    def clock(self) -> float:
        """Return how long the lab has been up, seconds; 0 before it is."""
        return 0.0 if self._up is None else time.monotonic() - self._up

    @property
    def members(self) -> tuple[Member, ...]:
        """Every member."""
        return tuple(desk.member for desk in self._desks)

    @property
    def in_effect(self) -> tuple[FaultInEffect, ...]:
        """Faults that nobody has undone, in order."""
        return tuple(self._in_effect)

    def processes(self) -> list[LabProcess]:
        """Return every process as it is now."""
        return [process for member in self.members for process in member.processes()]

    def complaints(self) -> list[str]:
        """Return what ended by itself, each with what its log says; a member that is busy is not asked."""
        asked = [desk.do(desk.member.check) for desk in self._desks]
        wait(asked, timeout=_CHECK_SECS)
        return [str(error) for each in asked if each.done() and (error := each.exception()) is not None]

    def record(self) -> LabRecord:
        """Return the lab and everything that was done to it."""
        estate = self.platform.estate
        codes = [region.code for region in estate.regions]
        return LabRecord(
            system=self.platform.name,
            environment=self.platform.environment,
            file=self._file,
            started=self._started,
            up_secs=round(self.clock(), 3),
            boot_secs=round(self._boot_secs, 3),
            regions={each.code: tuple(datacenter.name for datacenter in each.datacenters) for each in estate.regions},
            links={
                f"{one},{other}": trip
                for place, one in enumerate(codes)
                for other in codes[place + 1 :]
                if (trip := estate.round_trip_ms(one, other)) is not None
            },
            uses=_uses(self.platform),
            members=tuple(map(_member_record, self._desks, memories_mb(member.pids() for member in self.members))),
            left_out=self._left_out,
            cut=_pairs(each.fault.ends for each in self._in_effect if each.fault.kind == "cut"),
            faults=tuple(self._faults),
            outages=self._watch.outages(),
        )

    # --- what befalls it

    def fault(self, fault: LabFault, *, most_secs: float | None = None, tell: Tell = _say_nothing) -> FaultRecord:
        """Do something to the lab, watch what comes of it, and return that beside what was predicted.

        Args:
            fault: What is done.
            most_secs: Longest time to watch, seconds; left out, as long as the predictions need.
            tell: Hears what is going on.

        Raises:
            ConfigError: There is no such target; nothing is done.
            EffectError: Another fault is being watched; nothing is done. Or a member could not do its part.
        """
        if not self._turn.acquire(blocking=False):
            raise EffectError(f"{self.watching or 'a fault'} is being watched{self._left()}\n  fix: {_WAIT}")
        try:
            self.watching = str(fault)
            return self._fault(fault, most_secs, tell)
        finally:
            self.watching, self._watched_until = "", None
            self._turn.release()

    @property
    def watch_left_secs(self) -> float | None:
        """For how long the fault is watched at most from now on, seconds; None where none is, or it is not done yet."""
        until = self._watched_until
        return None if until is None else max(0.0, until - self.clock())

    def _left(self) -> str:
        left = self.watch_left_secs
        return "" if left is None else f", for {left:.0f} s more at most"

    def _fault(self, fault: LabFault, most_secs: float | None, tell: Tell) -> FaultRecord:
        self._strike_of(fault, self.processes())  # what cannot be is refused before anybody waits
        unsettled: dict[str, str] = {}
        if fault.kind != "mend":
            tell("members settle, and every client gets its turn")
            unsettled = self._settle()
        strike, expectation = self._foreseen(fault, unsettled)
        self._watch.prepare()
        at = self.clock()
        self._strike(fault, strike, at, tell)
        self._watched_until = at + self._watch.longest_secs(expectation, most_secs=most_secs)
        observed = self._watch.observe(at, expectation, most_secs=most_secs, tell=tell)
        pairs = _pairs(strike.cut)
        record = FaultRecord(
            fault=str(fault),
            failure=expectation.failure,
            at=round(at, 3),
            until=round(observed.until, 3),
            hit=tuple(each.address for each in strike.hit),
            cut=() if fault.kind == "mend" else pairs,
            joined=pairs if fault.kind == "mend" else (),
            parts=part_records(expectation, observed.parts, resolutions=self._watch.resolutions),
        )
        self._faults.append(record)
        return record

    def _strike_of(self, fault: LabFault, processes: Sequence[LabProcess]) -> Strike:
        return strike_of(fault, self.platform.estate, processes, self._in_effect)

    def _settle(self) -> dict[str, str]:
        """Let every member settle; return of those that could not, why."""
        asked = {desk.member.name: desk.do(desk.member.settle, _SETTLE_SECS) for desk in self._desks}
        wait(asked.values())
        unsettled = {}
        for name, each in asked.items():
            if (error := each.exception()) is not None:
                reason = str(error).partition("\n")[0]
                unsettled[name] = f"{name} could not settle beforehand: {reason}"
            elif not each.result():
                unsettled[name] = f"{name} had not settled within {_SETTLE_SECS:g} s, from what befell it before"
        return unsettled

    def _foreseen(self, fault: LabFault, unsettled: Mapping[str, str]) -> tuple[Strike, Expectation]:
        """Return what a fault hits as everything is now, and what is said of it."""
        processes = self.processes()
        strike = self._strike_of(fault, processes)
        scene = Scene(
            hit=strike.hit,
            processes=processes,
            parts=self._watch.parts,
            in_effect=[each.fault for each in self._in_effect if each not in strike.ends],
            earlier=self._faults,
        )
        expectation = self._expecting.expect(fault, scene)
        reasons = {part: unsettled[part.member] for part in self._watch.parts if part.member in unsettled}
        return strike, msgspec.structs.replace(expectation, unpredicted={**reasons, **expectation.unpredicted})

    def _strike(self, fault: LabFault, strike: Strike, at: float, tell: Tell) -> None:
        """Do it everywhere at once; what is mended comes back a few members at a time.

        A fault is in effect from the moment that it begins, even where a member could not do its part; what is mended
        is so until every member has done its own, so that it can be mended again.
        """
        mends = fault.kind == "mend"
        if not mends:
            self._in_effect.append(FaultInEffect(fault, at, frozenset(each.address for each in strike.hit)))
        for pair in strike.cut:
            (self._network.join if mends else self._network.cut)(pair)
        done = [
            desk.do(member.join if mends else member.cut, pair)
            for pair in strike.cut
            for desk in self._desks
            for member in (desk.member,)
        ]
        for desk in self._desks:
            names = [each.address for each in strike.hit if each.member == desk.member.name]
            if names:
                _let_some_finish(done if mends else [])
                tell(f"{desk.member.name} {'comes back' if mends else 'is hit'}")
                done.append(desk.do(_doing(fault, desk.member), names))
        wait(done)
        for each in done:
            each.result()
        if mends:
            self._in_effect = [each for each in self._in_effect if each not in strike.ends]


_WAIT = "wait until that is over; lab report has it then"
_NOTHING = "nothing of this description can run here{reasons}\n  fix: describe components, worlds or services"


def _let_some_finish(begun: "Collection[Future[None]]") -> None:
    """Wait until few enough members are being mended that another may begin.

    What starts takes the machine for itself: everything at once, and clients see how that stands still. Members are in
    the order in which they need each other.
    """
    waiting = {each for each in begun if not each.done()}
    while len(waiting) >= _MENDED_AT_ONCE:
        waiting = wait(waiting, return_when=FIRST_COMPLETED).not_done


def _doing(fault: LabFault, member: Member) -> Callable[[Collection[str]], None]:
    match fault.kind:
        case "mend":
            return member.mend
        case "freeze":
            return member.freeze
        case _:
            return member.kill


def _tell_of_failed_ends(errors: Mapping[str, BaseException | None]) -> None:
    """Raise if a member could not end: programs or files of it may be left.

    Raises:
        EffectError: One could not; all of them are named.
    """
    failed = {name: error for name, error in errors.items() if error is not None}
    if failed:
        first = next(iter(failed.values()))
        raise EffectError("\n".join(f"{name} could not end: {error}" for name, error in failed.items())) from first


def _pairs(pairs: Iterable[frozenset[str]]) -> tuple[tuple[str, str], ...]:
    """Return pairs of regions as a record has them, in order."""
    return tuple(sorted((min(each), max(each)) for each in pairs))


def _member_record(desk: Desk, memory_mb: float | None) -> MemberRecord:
    return MemberRecord(
        name=desk.member.name,
        kind=desk.member.kind,
        boot_secs=round(desk.boot_secs or 0.0, 3),
        memory_mb=memory_mb,
        processes=tuple(desk.member.processes()),
    )


def _uses(platform: Platform) -> dict[str, tuple[str, ...]]:
    """Return what each workload uses anywhere, in the order of the file."""
    found: dict[str, dict[str, None]] = {}
    for view in platform.entries:
        for code in view.regions:
            config = platform.expanded_in(view.at, code).config
            for name in () if config is None else config.uses:
                found.setdefault(view.name, {})[name] = None
    return {name: tuple(used) for name, used in found.items()}
